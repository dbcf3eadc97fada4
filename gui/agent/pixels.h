/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies of rectangles of pixels. */
#ifndef AGENT_PIXELS_H
#define AGENT_PIXELS_H

#include <stddef.h>
#include <stdint.h>

#include <pixman.h>

/*
 * Copies the rectangles of `region` (in coordinates of the target) between images of 32 bits per pixel. The
 * source's pixel for (0, 0) of the target is (dx, dy); strides are in bytes. The caller has clipped the
 * region to both images. Returns the number of bytes copied.
 */
uint64_t pixels_copy(void *target, size_t target_stride, const void *source, size_t source_stride,
		     int dx, int dy, pixman_region32_t *region);

/* What is seen through pixels that are not opaque: there is nothing behind a window of the protocol. 0xRRGGBB. */
#define PIXELS_BEHIND 0x808080u

/* Makes the pixels of `region` opaque, which have colours multiplied by their alpha (wl_shm's ARGB8888). */
void pixels_flatten(void *target, size_t target_stride, pixman_region32_t *region);

#endif
