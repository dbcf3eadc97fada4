/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pictures in the colour of a qube. */
#ifndef GUI_TINT_H
#define GUI_TINT_H

#include <stddef.h>
#include <stdint.h>

/* Gives `count` pixels of 32 bits, blue lowest, the hue of `color`, keeping their lightness. */
void icon_tint(uint32_t *pixels, size_t count, uint32_t color);
/* Replaces what looks like the background (the colour of the first pixel) by `color`. */
void icon_fill(uint32_t *pixels, size_t count, uint32_t background, uint32_t color);

#endif
