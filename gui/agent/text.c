// SPDX-License-Identifier: GPL-2.0-or-later
// Text in fields of fixed size.
#include "text.h"

#include <string.h>

/* Bytes of the character that begins here; 0 for what begins none (RFC 3629, 3). */
static size_t sequence_length(const unsigned char *text)
{
	size_t length, i;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		length = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		length = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		length = 4;
	else
		return 0;
	for (i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	return length;
}

void text_copy(char *field, size_t size, const char *text)
{
	size_t used = 0;

	while (text[used]) {
		size_t length = sequence_length((const unsigned char *)text + used);

		if (!length || used + length >= size)
			break;
		used += length;
	}
	memcpy(field, text, used);
	memset(field + used, 0, size - used);
}
