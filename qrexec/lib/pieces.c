// SPDX-License-Identifier: GPL-2.0-or-later
// Copies between memory and what is in two pieces, as the contents of a ring are.
#include "pieces.h"

#include <stdint.h>
#include <string.h>

void pieces_get(const struct libvchan_piece pieces[2], void *data, size_t size)
{
	size_t first = size < pieces[0].size ? size : pieces[0].size;

	memcpy(data, pieces[0].data, first);
	memcpy((uint8_t *)data + first, pieces[1].data, size - first);
}

void pieces_put(const struct libvchan_piece pieces[2], size_t skip, const void *data, size_t size)
{
	size_t room = skip < pieces[0].size ? pieces[0].size - skip : 0;
	size_t first = size < room ? size : room;
	size_t at = skip > pieces[0].size ? skip - pieces[0].size : 0;

	if (first)
		memcpy((uint8_t *)pieces[0].data + skip, data, first);
	memcpy((uint8_t *)pieces[1].data + at, (const uint8_t *)data + first, size - first);
}
