// SPDX-License-Identifier: GPL-2.0-or-later
// Copies of rectangles of pixels.
#include "pixels.h"

#include <string.h>

#define PIXEL 4

uint64_t pixels_copy(void *target, size_t target_stride, const void *source, size_t source_stride,
		     int dx, int dy, pixman_region32_t *region)
{
	uint64_t copied = 0;
	int count, i, y;
	const pixman_box32_t *boxes = pixman_region32_rectangles(region, &count);

	for (i = 0; i < count; i++) {
		const pixman_box32_t *box = &boxes[i];
		size_t bytes = (size_t)(box->x2 - box->x1) * PIXEL;
		uint8_t *to = (uint8_t *)target + (size_t)box->y1 * target_stride +
			      (size_t)box->x1 * PIXEL;
		const uint8_t *from = (const uint8_t *)source +
				      (size_t)(box->y1 + dy) * source_stride +
				      (size_t)(box->x1 + dx) * PIXEL;

		copied += bytes * (uint64_t)(box->y2 - box->y1);
		/* Rows that follow each other without a gap in both are one copy. */
		if (bytes == target_stride && bytes == source_stride) {
			memcpy(to, from, bytes * (size_t)(box->y2 - box->y1));
			continue;
		}
		for (y = box->y1; y < box->y2; y++) {
			memcpy(to, from, bytes);
			to += target_stride;
			from += source_stride;
		}
	}
	return copied;
}

static uint32_t flat(uint32_t pixel)
{
	uint32_t missing = 255 - (pixel >> 24), result = 0xff000000u;

	for (int shift = 0; shift < 24; shift += 8) {
		uint32_t value = (pixel >> shift & 255) +
				 ((PIXELS_BEHIND >> shift & 255) * missing + 127) / 255;

		result |= (value > 255 ? 255 : value) << shift;
	}
	return result;
}

void pixels_flatten(void *target, size_t target_stride, pixman_region32_t *region)
{
	int count, i, x, y;
	const pixman_box32_t *boxes = pixman_region32_rectangles(region, &count);

	for (i = 0; i < count; i++)
		for (y = boxes[i].y1; y < boxes[i].y2; y++) {
			uint32_t *row = (uint32_t *)(void *)((uint8_t *)target +
							     (size_t)y * target_stride);

			for (x = boxes[i].x1; x < boxes[i].x2; x++)
				if (row[x] < 0xff000000u)
					row[x] = flat(row[x]);
		}
}
