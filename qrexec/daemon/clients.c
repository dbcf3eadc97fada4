// SPDX-License-Identifier: GPL-2.0-or-later
// Programs of dom0, and other daemons, that want something executed in the qube.
#define _GNU_SOURCE
#include "broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* DEFAULT stands for the user that this daemon was started with. */
static int forward(uint32_t type, const struct wire_exec *where)
{
	struct wire_exec exec = *where;
	char *text = NULL;
	int rc;

	if (!strncmp(where->text, "DEFAULT:", 8)) {
		if (asprintf(&text, "%s%s", broker.user, where->text + 7) < 0)
			return -ENOMEM;
		exec.text = text;
	}
	rc = channel_send_exec(&broker.control, type, &exec);
	free(text);
	return rc;
}

static void drop_client(struct client *client)
{
	channel_finish(&client->channel);
	client->used = false;
	broker.accepting = true;
}

static int execute(struct client *client, uint32_t type, const struct wire_exec *asked)
{
	struct wire_exec here = {(uint32_t)broker.domain, 0, ""};
	struct wire_exec there = {asked->domain, 0, asked->text};
	int port = asked->domain < 0x7ff0 && (int)asked->domain != broker.domain
			   ? port_allocate((int)asked->domain)
			   : -1;
	int rc;

	if (port < 0) {
		drop_client(client);
		return 0;
	}
	here.port = there.port = (uint32_t)port;
	rc = forward(type, &there);
	if (rc == -EMSGSIZE || rc == -ENOMEM) {
		port_free(asked->domain, there.port);
		drop_client(client);
		return 0;
	}
	if (!rc && channel_send_exec(&client->channel, type, &here))
		drop_client(client);
	return rc;
}

int client_serve(struct client *client)
{
	struct wire_header header = {0};
	uint32_t untrusted_version;
	struct wire_exec asked;
	uint8_t *body = NULL;
	int rc = channel_flush(&client->channel);

	if (!rc)
		rc = channel_receive(&client->channel, &header, &body);
	if (rc == 0)
		return 0;
	if (rc > 0 && !client->greeted && header.type == WIRE_HELLO &&
	    !wire_decode_hello(body, header.length, &untrusted_version) &&
	    untrusted_version >= WIRE_VERSION_LOCAL) {
		client->greeted = true;
		return client_serve(client);
	}
	if (rc > 0 && client->greeted &&
	    (header.type == WIRE_EXEC_CMDLINE || header.type == WIRE_JUST_EXEC) &&
	    !wire_decode_exec(body, header.length, &asked))
		return execute(client, header.type, &asked);
	drop_client(client);
	return 0;
}

void clients_accept(void)
{
	int fd = accept4(broker.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		/* Out of descriptors: they wait until one is free again, and so does this. */
		broker.accepting = errno != EMFILE && errno != ENFILE && errno != ENOMEM;
		return;
	}
	for (size_t i = 0; i < MAX_CLIENTS; i++) {
		struct client *client = &broker.clients[i];

		if (client->used)
			continue;
		*client = (struct client){0};
		client->used = !channel_init(&client->channel, NULL, fd);
		if (client->used && channel_send_hello(&client->channel, WIRE_VERSION_LOCAL))
			drop_client(client);
		return;
	}
	close(fd);
}
