// SPDX-License-Identifier: GPL-2.0-or-later
// Texts of a qube made harmless: no control characters, no broken or deceptive UTF-8.
#include "../../qrexec/lib/characters.h"
#include "model.h"

void text_clean(char *to, size_t to_size, const char *untrusted_text, size_t size, bool utf8)
{
	size_t done = 0, from = 0, length, i;
	uint32_t code = 0;

	while (from < size && untrusted_text[from] && done + 1 < to_size) {
		if (untrusted_text[from] >= 0x20 && untrusted_text[from] <= 0x7e) {
			to[done++] = untrusted_text[from++];
			continue;
		}
		length = utf8 ? character_decode(untrusted_text + from, size - from, &code) : 0;
		/* They could forge a prefix. */
		if (!length || character_deceptive(code)) {
			to[done++] = '_';
			from += length ? length : 1;
			continue;
		}
		if (done + length >= to_size)
			break;
		for (i = 0; i < length; i++)
			to[done++] = untrusted_text[from++];
	}
	to[done] = '\0';
}
