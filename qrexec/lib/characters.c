// SPDX-License-Identifier: GPL-2.0-or-later
// Characters in texts of qubes.
#include "characters.h"

size_t character_decode(const char *untrusted_text, size_t size, uint32_t *ret_character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *text = (const unsigned char *)untrusted_text;
	size_t length;
	uint32_t c;

	if (!size || *text >= 0xf8 || (*text >= 0x80 && *text < 0xc0))
		return 0;
	length = *text < 0x80 ? 1 : *text >= 0xf0 ? 4 : *text >= 0xe0 ? 3 : 2;
	c = length == 1 ? *text : *text & (0x7fu >> length);
	if (length > size)
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

bool character_deceptive(uint32_t character)
{
	static const uint32_t ranges[][2] = {
		{0, 0x1f},	  {0x7f, 0xa0},	      {0xad, 0xad},	   {0x034f, 0x034f},
		{0x061c, 0x061c}, {0x115f, 0x1160},   {0x1680, 0x1680},	   {0x17b4, 0x17b5},
		{0x180b, 0x180f}, {0x2000, 0x200f},   {0x2028, 0x202f},	   {0x205f, 0x206f},
		{0x2800, 0x2800}, {0x3000, 0x3000},   {0x3164, 0x3164},	   {0xe000, 0xf8ff},
		{0xfdd0, 0xfdef}, {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},	   {0xffa0, 0xffa0},
		{0xfff0, 0xffff}, {0x1d173, 0x1d17a}, {0xe0000, 0x10ffff},
	};

	if ((character & 0xfffe) == 0xfffe)
		return true;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (character >= ranges[i][0] && character <= ranges[i][1])
			return true;
	return false;
}
