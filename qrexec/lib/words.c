// SPDX-License-Identifier: GPL-2.0-or-later
// Commands as arguments of a service.
#define _GNU_SOURCE
#include "words.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_';
}

char *words_encode(const char *service, char *const words[])
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	fputs(service, to);
	for (; *words; words++) {
		fputc('+', to);
		for (const char *c = *words; *c; c++)
			if (is_plain(*c))
				fputc(*c, to);
			else if (*c == '-')
				fputs("--", to);
			else
				fprintf(to, "-%02X", (unsigned char)*c);
	}
	if (!fclose(to))
		return text;
	free(text);
	return NULL;
}

/* Upper case only: there is one way to write a word. */
static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One character from *at; false: not understood. */
static bool decode_one(const char **at, char *ret)
{
	const char *c = *at;
	int high, low;

	if (*c != '-') {
		*ret = *c;
		*at = c + 1;
		return is_plain(*c);
	}
	if (c[1] == '-') {
		*ret = '-';
		*at = c + 2;
		return true;
	}
	high = digit(c[1]);
	low = high < 0 ? -1 : digit(c[2]);
	if (low < 0)
		return false;
	*ret = (char)(high << 4 | low);
	*at = c + 3;
	return *ret != '\0';
}

char **words_decode(const char *argument)
{
	size_t count = 1;
	char *to = malloc(strlen(argument) + 1), **words;

	for (const char *c = argument; *c; c++)
		count += *c == '+';
	words = calloc(count + 1, sizeof(*words));
	if (!to || !words)
		goto err;
	words[0] = to;
	count = 1;
	while (*argument) {
		if (*argument == '+') {
			*to++ = '\0';
			words[count++] = to;
			argument++;
		} else if (decode_one(&argument, to)) {
			to++;
		} else {
			to = words[0];
			goto err;
		}
	}
	*to = '\0';
	if (*words[0])
		return words;
	to = words[0];
err:
	free(to);
	free(words);
	return NULL;
}
