// SPDX-License-Identifier: GPL-2.0-or-later
// Answers to the qube command: messages of one letter and a text. o: output, e: error, x: exit code, the last one.
#define _GNU_SOURCE
#include "manager.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One message of the socket; a client that does not read loses the rest. */
#define PIECE_MAX 16384

static void send_piece(int client, char kind, const char *text, size_t length)
{
	char message[PIECE_MAX + 1];

	message[0] = kind;
	memcpy(message + 1, text, length);
	if (send(client, message, length + 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		shutdown(client, SHUT_RDWR);
}

void reply_text(int client, char kind, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	if (client < 0)
		return;
	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	for (int at = 0; at < length; at += PIECE_MAX)
		send_piece(client, kind, text + at,
			   (size_t)(length - at > PIECE_MAX ? PIECE_MAX : length - at));
	free(text);
}

void reply_end(int client, int status)
{
	char text[8];
	int length = snprintf(text, sizeof(text), "%d", status);

	if (client < 0)
		return;
	send_piece(client, 'x', text, (size_t)length);
	close(client);
}
