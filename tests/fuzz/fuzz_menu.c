// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: a template's list of applications; what is written of it is read as the same.
// links: desktop/menu/entries.c
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../desktop/menu/entries.h"

static void need_plain(const char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct entries e, again;
	char *text = NULL;
	size_t length;
	FILE *to;

	if (entries_parse((const char *)data, size, &e))
		return 0;
	for (size_t i = 0; i < e.count; i++) {
		need_plain(e.list[i].name);
		need_plain(e.list[i].comment);
		if (strchr(e.list[i].file, '/') || strchr(e.list[i].icon, '/') ||
		    !*e.list[i].name || e.list[i].file[0] == '.')
			abort();
	}
	to = open_memstream(&text, &length);
	if (!to || !entries_write(&e, to) || fclose(to))
		abort();
	if (entries_parse(text, length, &again) || again.count != e.count ||
	    (e.count && memcmp(again.list, e.list, e.count * sizeof(*e.list)) != 0))
		abort();
	entries_finish(&again);
	entries_finish(&e);
	free(text);
	return 0;
}
