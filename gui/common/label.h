/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Labels: the colours by which users tell qubes apart. */
#ifndef GUI_LABEL_H
#define GUI_LABEL_H

#include <stdint.h>

/* 0xRRGGBB of a label, by name or by number from 1; -1: there is no such label. */
int32_t label_color(const char *label);

#endif
