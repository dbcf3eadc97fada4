// SPDX-License-Identifier: GPL-2.0-or-later
// Which names and which links of a stream are taken.
#include "qfile.h"

#include <errno.h>
#include <string.h>

#include "../lib/characters.h"

static bool is_readable(const char *name)
{
	const char *at = name;
	uint32_t c = 0;

	while (*at) {
		size_t length = character_decode(at, strlen(at), &c);

		if (!length || character_deceptive(c))
			return false;
		at += length;
	}
	return true;
}

/* The length of a component. */
static size_t component(const char *path)
{
	return strcspn(path, "/");
}

static bool is_dots(const char *path, size_t length)
{
	return length <= 2 && !strncmp(path, "..", length);
}

int qfile_check_name(const char *name, bool all_names)
{
	const char *at = name;

	for (;;) {
		size_t length = component(at);

		if (!length || is_dots(at, length))
			return -EINVAL;
		at += length;
		if (!*at)
			break;
		at++;
	}
	return all_names || is_readable(name) ? 0 : -EILSEQ;
}

/*
 * "..", in front only, at most as often as the link is below its first component. Behind another component it could follow
 * that one, if it is a link itself, to somewhere else first.
 */
int qfile_check_link(const char *name, const char *target)
{
	const char *at = target;
	size_t below = 0;
	bool leading = true;

	for (const char *c = name; *c; c++)
		below += *c == '/';
	if (!*target)
		return -EINVAL;
	if (*target == '/' || !below)
		return -ENOLINK;
	below--; /* that one leads to the first component itself */
	while (*at) {
		size_t length = component(at);

		if (length == 2 && is_dots(at, 2)) {
			if (!leading || !below)
				return -ENOLINK;
			below--;
		} else if (length && !is_dots(at, length)) {
			leading = false;
		}
		at += length;
		at += *at == '/';
	}
	return 0;
}
