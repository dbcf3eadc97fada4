// SPDX-License-Identifier: GPL-2.0-or-later
// Which names and which links of a stream are taken.
#include "qfile.h"

#include <errno.h>
#include <string.h>

/* Decodes one character of UTF-8: shortest form only, no surrogates. Its length, or 0. */
static size_t decode(const unsigned char *text, uint32_t *ret_character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = *text < 0x80 ? 1 : *text >= 0xf0 ? 4 : *text >= 0xe0 ? 3 : 2;
	uint32_t c = length == 1 ? *text : *text & (0x7fu >> length);

	if (*text >= 0xf8 || (*text >= 0x80 && *text < 0xc0))
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (text[i] & 0x3f);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_character = c;
	return length;
}

/* What shows nothing, changes how its neighbours look, or has no agreed look: a name could pretend to be another one. */
static bool is_deceptive(uint32_t c)
{
	static const uint32_t ranges[][2] = {
		{0, 0x1f},	  {0x7f, 0xa0},	      {0xad, 0xad},	   {0x034f, 0x034f},
		{0x061c, 0x061c}, {0x115f, 0x1160},   {0x1680, 0x1680},	   {0x17b4, 0x17b5},
		{0x180b, 0x180f}, {0x2000, 0x200f},   {0x2028, 0x202f},	   {0x205f, 0x206f},
		{0x2800, 0x2800}, {0x3000, 0x3000},   {0x3164, 0x3164},	   {0xe000, 0xf8ff},
		{0xfdd0, 0xfdef}, {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},	   {0xffa0, 0xffa0},
		{0xfff0, 0xffff}, {0x1d173, 0x1d17a}, {0xe0000, 0x10ffff},
	};

	if ((c & 0xfffe) == 0xfffe)
		return true;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return false;
}

static bool is_readable(const char *name)
{
	const unsigned char *at = (const unsigned char *)name;
	uint32_t c = 0;

	while (*at) {
		size_t length = decode(at, &c);

		if (!length || is_deceptive(c))
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
