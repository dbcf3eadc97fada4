/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Data in two pieces, as the contents of a ring are. */
#ifndef QREXEC_PIECES_H
#define QREXEC_PIECES_H

#include <stddef.h>

#include "../../vchan/libvchan.h"

/* Copies between the pieces and memory. */
void pieces_get(const struct libvchan_piece pieces[2], void *data, size_t size);
void pieces_put(const struct libvchan_piece pieces[2], size_t skip, const void *data, size_t size);

#endif
