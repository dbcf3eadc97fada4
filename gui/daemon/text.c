// SPDX-License-Identifier: GPL-2.0-or-later
// Texts of a qube made harmless: no control characters, no broken or deceptive UTF-8.
#include "model.h"

/* Length of the character that starts there, 0 if it is none. RFC 3629. */
static size_t utf8_length(const unsigned char *text, size_t left, uint32_t *ret_code)
{
	uint32_t code, least;
	size_t length, i;

	if (text[0] >= 0xc2 && text[0] <= 0xdf) {
		length = 2;
		code = text[0] & 0x1fu;
		least = 0x80;
	} else if ((text[0] & 0xf0) == 0xe0) {
		length = 3;
		code = text[0] & 0x0fu;
		least = 0x800;
	} else if (text[0] >= 0xf0 && text[0] <= 0xf4) {
		length = 4;
		code = text[0] & 0x07u;
		least = 0x10000;
	} else {
		return 0;
	}
	if (length > left)
		return 0;
	for (i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fu);
	}
	if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return length;
}

/* Characters that change how their neighbours look or that nobody sees: they could forge a prefix. */
static bool deceptive(uint32_t code)
{
	return code < 0xa0 || code == 0xad || (code >= 0x200b && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
	       code == 0xfeff || (code >= 0xfff0 && code <= 0xffff) ||
	       (code >= 0xe000 && code <= 0xf8ff) || code >= 0xe0000;
}

void text_clean(char *to, size_t to_size, const char *untrusted_text, size_t size, bool utf8)
{
	const unsigned char *text = (const unsigned char *)untrusted_text;
	size_t done = 0, from = 0, length, i;
	uint32_t code = 0;

	while (from < size && text[from] && done + 1 < to_size) {
		if (text[from] >= 0x20 && text[from] <= 0x7e) {
			to[done++] = (char)text[from++];
			continue;
		}
		length = utf8 ? utf8_length(text + from, size - from, &code) : 0;
		if (!length || deceptive(code)) {
			to[done++] = '_';
			from += length ? length : 1;
			continue;
		}
		if (done + length >= to_size)
			break;
		for (i = 0; i < length; i++)
			to[done++] = (char)text[from++];
	}
	to[done] = '\0';
}
