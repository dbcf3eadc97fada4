// SPDX-License-Identifier: GPL-2.0-or-later
// The texts for the prompt program, see docs/qrexec-programs.md.
#define _GNU_SOURCE
#include "broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names and services are of plain characters already; this is for whatever else may come. */
static void put_string(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\' || c < 0x20 || c > 0x7e)
			fprintf(to, "\\u%04x", c);
		else
			fputc(c, to);
	}
	fputc('"', to);
}

static void put_member(FILE *to, const char *name, const char *text)
{
	fprintf(to, "\"%s\": ", name);
	put_string(to, text);
}

static void put_service(FILE *to, const char *service)
{
	char name[SERVICE_NAME_MAX + 1];
	const char *argument = "+";

	if (!policy_split_service(service, name, sizeof(name), &argument))
		name[0] = '\0';
	put_member(to, "service", name);
	fputs(", ", to);
	put_member(to, "argument", argument + 1);
}

static void put_labels(FILE *to, const struct world *world)
{
	bool first = true;

	fputs("{", to);
	for (size_t i = 0; world && i < world_count(world); i++) {
		const struct world_qube *qube = world_at(world, i);

		if (!*qube->label)
			continue;
		fputs(first ? "" : ", ", to);
		put_member(to, qube->name, qube->label);
		first = false;
	}
	fputs("}", to);
}

char *question_text(const struct call *call, const struct world *world)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	fputs("{", to);
	put_member(to, "source", broker.name);
	fputs(", ", to);
	put_service(to, call->service);
	fputs(", ", to);
	put_member(to, "requested_target", call->trigger.target);
	fputs(", ", to);
	put_member(to, "default_target", call->answer.default_target);
	fputs(", \"targets\": [", to);
	for (size_t i = 0; i < call->answer.choice_count; i++) {
		fputs(i ? ", " : "", to);
		put_string(to, call->answer.choices[i]);
	}
	fputs("], \"labels\": ", to);
	put_labels(to, world);
	fputs("}\n", to);
	return fclose(to) ? NULL : text;
}

char *note_text(const char *resolution, const char *service, const char *target)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	fputs("{", to);
	put_member(to, "resolution", resolution);
	fputs(", ", to);
	put_member(to, "source", broker.name);
	fputs(", ", to);
	put_service(to, service);
	fputs(", ", to);
	put_member(to, "target", target);
	fputs("}\n", to);
	return fclose(to) ? NULL : text;
}
