// SPDX-License-Identifier: GPL-2.0-or-later
// Parser of lists of applications.
#define _GNU_SOURCE
#include "entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char suffix[] = ".desktop:";

static bool is_plain(const char *untrusted_text, size_t length)
{
	char before = '.';

	/* Neither hidden, nor an option, nor on the way out of a directory. */
	if (!length || untrusted_text[0] == '-')
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = untrusted_text[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			      (c >= '0' && c <= '9');

		if ((!letter && c != '.' && c != '_' && c != '-') || (c == '.' && before == '.'))
			return false;
		before = c;
	}
	return true;
}

/* What cannot be shown becomes an underscore, what is too long is cut. */
static void copy_text(char *to, size_t size, const char *untrusted_text, size_t length)
{
	size_t i;

	for (i = 0; i < length && i + 1 < size; i++)
		to[i] = (char)(untrusted_text[i] >= 0x20 && untrusted_text[i] <= 0x7e
				       ? untrusted_text[i]
				       : '_');
	memset(to + i, 0, size - i);
}

static struct entry *find_or_add(struct entries *entries, const char *file, size_t length)
{
	struct entry *entry;

	for (size_t i = 0; i < entries->count; i++)
		if (!strncmp(entries->list[i].file, file, length) && !entries->list[i].file[length])
			return &entries->list[i];
	if (entries->count == ENTRIES_MAX)
		return NULL;
	entry = &entries->list[entries->count++];
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->file, file, length);
	return entry;
}

static void set(struct entry *entry, const char *key, size_t key_length, const char *value,
		size_t length)
{
	if (key_length == 4 && !memcmp(key, "Name", 4))
		copy_text(entry->name, sizeof(entry->name), value, length);
	else if (key_length == 7 && !memcmp(key, "Comment", 7))
		copy_text(entry->comment, sizeof(entry->comment), value, length);
	else if (key_length == 10 && !memcmp(key, "Categories", 10))
		copy_text(entry->categories, sizeof(entry->categories), value, length);
	else if (key_length == 4 && !memcmp(key, "Icon", 4) && length <= ENTRY_TEXT_MAX &&
		 is_plain(value, length))
		copy_text(entry->icon, sizeof(entry->icon), value, length);
}

static void take_line(struct entries *entries, const char *line, size_t length)
{
	const char *file_end = memmem(line, length, suffix, sizeof(suffix) - 1), *key, *equals;
	struct entry *entry;

	if (!file_end || file_end - line > ENTRY_FILE_MAX ||
	    !is_plain(line, (size_t)(file_end - line)))
		return;
	key = file_end + sizeof(suffix) - 1;
	equals = memchr(key, '=', length - (size_t)(key - line));
	if (!equals)
		return;
	entry = find_or_add(entries, line, (size_t)(file_end - line));
	if (entry)
		set(entry, key, (size_t)(equals - key), equals + 1,
		    length - (size_t)(equals + 1 - line));
}

static int by_name(const void *a, const void *b)
{
	const struct entry *one = a, *other = b;
	int order = strcasecmp(one->name, other->name);

	return order ? order : strcmp(one->file, other->file);
}

int entries_parse(const char *untrusted_text, size_t length, struct entries *ret_entries)
{
	const char *end = untrusted_text + length, *line = untrusted_text, *newline;
	struct entries entries = {0};
	size_t named = 0;

	if (length > ENTRIES_TEXT_MAX)
		return -E2BIG;
	entries.list = malloc(ENTRIES_MAX * sizeof(*entries.list));
	if (!entries.list)
		return -ENOMEM;
	for (; line < end; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		if (!newline)
			newline = end;
		take_line(&entries, line, (size_t)(newline - line));
	}
	for (size_t i = 0; i < entries.count; i++)
		if (*entries.list[i].name)
			entries.list[named++] = entries.list[i];
	entries.count = named;
	qsort(entries.list, entries.count, sizeof(*entries.list), by_name);
	*ret_entries = entries;
	return 0;
}

void entries_finish(struct entries *entries)
{
	free(entries->list);
	*entries = (struct entries){0};
}

bool entries_write(const struct entries *entries, FILE *to)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct entry *entry = &entries->list[i];

		fprintf(to, "%s%sName=%s\n", entry->file, suffix, entry->name);
		if (*entry->comment)
			fprintf(to, "%s%sComment=%s\n", entry->file, suffix, entry->comment);
		if (*entry->icon)
			fprintf(to, "%s%sIcon=%s\n", entry->file, suffix, entry->icon);
		if (*entry->categories)
			fprintf(to, "%s%sCategories=%s\n", entry->file, suffix, entry->categories);
	}
	return !ferror(to);
}

int entries_load(const char *path, struct entries *ret_entries)
{
	FILE *from = fopen(path, "re");
	char *text = from ? malloc(ENTRIES_TEXT_MAX + 1) : NULL;
	int rc = from ? -ENOMEM : -errno;

	if (text)
		rc = entries_parse(text, fread(text, 1, ENTRIES_TEXT_MAX + 1, from), ret_entries);
	free(text);
	if (from)
		fclose(from);
	return rc;
}
