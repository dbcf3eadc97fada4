// SPDX-License-Identifier: GPL-2.0-or-later
// The compressed payload within a Linux bzImage.
#ifndef UNPACK_KERNEL_BZIMAGE_H
#define UNPACK_KERNEL_BZIMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bzimage_payload {
	const uint8_t *data;
	size_t size;
};

/* Whether this looks like a bzImage at all. */
bool bzimage_detect(const uint8_t *buf, size_t size);

/*
 * Finds the payload by the setup header (Linux Documentation/arch/x86/boot.rst). Returns 0, or
 * -EINVAL with a constant text in *ret_reason.
 */
int bzimage_find_payload(const uint8_t *buf, size_t size, struct bzimage_payload *ret_payload,
			 const char **ret_reason);

#endif
