// SPDX-License-Identifier: GPL-2.0-or-later
// Fixed-size physical memory map: ordered, disjoint regions with an E820 type.
#ifndef ARCH_MEMMAP_H
#define ARCH_MEMMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMMAP_MAX_REGIONS 256

/* Region ends are exclusive; nothing lies above the architectural limit (SDM vol. 3A 4.1.4). */
#define MEMMAP_PADDR_LIMIT (UINT64_C(1) << 52)
#define MEMMAP_PAGE_SIZE   UINT64_C(4096)

/* Values of ACPI 6.4 table 15-374; the same numbers are used by start_info and XENMEM_memory_map. */
enum memmap_type {
	MEMMAP_RAM = 1,
	MEMMAP_RESERVED = 2,
	MEMMAP_ACPI = 3,
	MEMMAP_NVS = 4,
	MEMMAP_UNUSABLE = 5,
	MEMMAP_DISABLED = 6,
	MEMMAP_PMEM = 7,
};

struct memmap_region {
	uint64_t start;
	uint64_t end;
	uint32_t type;
};

struct memmap {
	unsigned int nr;
	struct memmap_region r[MEMMAP_MAX_REGIONS];
};

/*
 * Appends [start, start + size) of the given firmware type; numbers that are not in enum
 * memmap_type become MEMMAP_RESERVED. Empty regions are dropped, regions are cut at
 * MEMMAP_PADDR_LIMIT. Returns 0, -EINVAL if start + size wraps, -E2BIG if the map is full; the map
 * is unchanged on failure.
 */
int memmap_add(struct memmap *map, uint64_t start, uint64_t size, uint32_t type);

/*
 * Writes to *ret_map the sorted, merged and disjoint form of *in. Where regions overlap, the type
 * that allows the least wins (RAM < PMEM < ACPI < NVS < reserved < disabled < unusable). RAM is
 * aligned inwards to pages; other types keep their exact limits, and what is cut off RAM belongs to
 * no region. Returns 0, or -E2BIG if the result needs more regions than there are; then *ret_map
 * holds no meaningful map. The two maps must not be the same object.
 */
int memmap_sanitize(const struct memmap *in, struct memmap *ret_map);

/* True if every byte of [start, end) lies in regions of this type. The map must be sanitised. */
bool memmap_covers(const struct memmap *map, uint64_t start, uint64_t end, uint32_t type);

/* Sum of the sizes of all regions of this type. The map must be sanitised. */
uint64_t memmap_total(const struct memmap *map, uint32_t type);

/* Takes RAM at or above `limit` (a multiple of the page size) out of a sanitised map; returns how many bytes. */
uint64_t memmap_limit_ram(struct memmap *map, uint64_t limit);

/*
 * The first RAM at or after `from` and below `limit` with room for `size` bytes, on a page of its own; 0 if there is none. The map
 * must be sanitised.
 */
uint64_t memmap_find_room(const struct memmap *map, uint64_t from, uint64_t size, uint64_t limit);

/* Short constant name of a type, for logs. */
const char *memmap_type_name(uint32_t type);

#endif
