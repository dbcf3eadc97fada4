// SPDX-License-Identifier: GPL-2.0-or-later
// Unaligned little-endian loads and stores for tables that other software laid out.
#ifndef BULKHEAD_BYTES_H
#define BULKHEAD_BYTES_H

#include <stdint.h>

#include <bulkhead/string.h>

/*
 * Firmware and loader tables are packed and may start at any address. A fixed-size memcpy
 * becomes one plain load; all hosts we run on are little-endian.
 */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tables are read in host byte order");

static inline uint8_t load_u8(const void *p)
{
	return *(const uint8_t *)p;
}

static inline uint16_t load_u16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load_u32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load_u64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store_u16(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store_u32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void store_u64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

#endif
