/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The applications of a template, as its service qubes.GetAppmenus lists them: lines "FILE.desktop:Key=Value". */
#ifndef MENU_ENTRIES_H
#define MENU_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define ENTRIES_TEXT_MAX (1u << 20) /* bytes of the whole list */
#define ENTRIES_MAX	 512
#define ENTRY_FILE_MAX	 100 /* characters of the name of the file, without ".desktop" */
#define ENTRY_TEXT_MAX	 80

/* Files are of letters, digits and "._-"; names, comments and categories of printable ASCII, icons as files; "" is what is not known. */
struct entry {
	char file[ENTRY_FILE_MAX + 1];
	char name[ENTRY_TEXT_MAX + 1], comment[ENTRY_TEXT_MAX + 1], icon[ENTRY_TEXT_MAX + 1];
	char categories[ENTRY_TEXT_MAX + 1];
};

struct entries {
	struct entry *list; /* by name */
	size_t count;
};

/* A template may send anything: lines that are not understood are left out, entries without a name too. 0, -E2BIG or -ENOMEM. */
int entries_parse(const char *untrusted_text, size_t length, struct entries *ret_entries);
void entries_finish(struct entries *entries);
/* What entries_parse() reads; false: it could not be written. */
bool entries_write(const struct entries *entries, FILE *to);
/* Reads a file of such lines. -errno. */
int entries_load(const char *path, struct entries *ret_entries);

#endif
