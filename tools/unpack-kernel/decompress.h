// SPDX-License-Identifier: GPL-2.0-or-later
// Decompression of a kernel payload, in the formats that Linux can be built with.
#ifndef UNPACK_KERNEL_DECOMPRESS_H
#define UNPACK_KERNEL_DECOMPRESS_H

#include <stddef.h>
#include <stdint.h>

/* Larger kernels than this are not believed. */
#define DECOMPRESS_MAX_SIZE ((size_t)1 << 30)

/*
 * Decompresses a payload, whose last four bytes are the size of the result (that is gzip's own
 * trailer; Linux' build appends it for the other formats). Returns 0 and a block to free(); -EINVAL
 * (malformed), -E2BIG (the size is above max_size), -EOPNOTSUPP (unknown format) or -ENOMEM, with
 * a constant text in *ret_reason.
 */
int decompress(const uint8_t *in, size_t in_size, size_t max_size, uint8_t **ret_out,
	       size_t *ret_size, const char **ret_reason);

/* Name of the format by its magic, or NULL. */
const char *decompress_format(const uint8_t *in, size_t in_size);

#endif
