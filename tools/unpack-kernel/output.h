// SPDX-License-Identifier: GPL-2.0-or-later
// Output files that appear whole or not at all.
#ifndef UNPACK_KERNEL_OUTPUT_H
#define UNPACK_KERNEL_OUTPUT_H

#include <stddef.h>

/* Hexadecimal SHA-256 with its NUL. */
#define SHA256_TEXT_SIZE 65

/*
 * Replaces the file at path by one with these contents, readable by all (less the umask): written
 * beside it, flushed, then renamed. Returns 0 or a negative errno; the old file is intact then.
 */
int output_write(const char *path, const void *data, size_t size);

/* Returns 0, or -EIO if the library fails. */
int output_sha256(const void *data, size_t size, char ret_text[SHA256_TEXT_SIZE]);

#endif
