/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CRC-32 of zlib and Ethernet (reflected polynomial 0xedb88320), at memory speed where the CPU multiplies polynomials. */
#ifndef QREXEC_CRC32_H
#define QREXEC_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The sum of what came before (0: nothing) and of these bytes. */
uint32_t crc32_add(uint32_t crc, const void *data, size_t size);
/* The same without special instructions; for tests. */
uint32_t crc32_add_plain(uint32_t crc, const void *data, size_t size);

#endif
