// SPDX-License-Identifier: GPL-2.0-or-later
// Physical memory map: collecting firmware regions and making them ordered and disjoint.
#include <arch/memmap.h>
#include <bulkhead/errno.h>

/* How little a type allows; 0 stands for "no region here". */
static unsigned int type_rank(uint32_t type)
{
	switch (type) {
	case MEMMAP_RAM:
		return 1;
	case MEMMAP_PMEM:
		return 2;
	case MEMMAP_ACPI:
		return 3;
	case MEMMAP_NVS:
		return 4;
	case MEMMAP_DISABLED:
		return 6;
	case MEMMAP_UNUSABLE:
		return 7;
	default:
		return 5;
	}
}

const char *memmap_type_name(uint32_t type)
{
	switch (type) {
	case MEMMAP_RAM:
		return "usable";
	case MEMMAP_ACPI:
		return "ACPI data";
	case MEMMAP_NVS:
		return "ACPI NVS";
	case MEMMAP_UNUSABLE:
		return "unusable";
	case MEMMAP_DISABLED:
		return "disabled";
	case MEMMAP_PMEM:
		return "persistent";
	default:
		return "reserved";
	}
}

/* UEFI lists many neighbours of one kind; joining them keeps long maps in bounds. */
static int append_merged(struct memmap *map, uint64_t start, uint64_t end, uint32_t type)
{
	if (map->nr > 0 && map->r[map->nr - 1].end == start && map->r[map->nr - 1].type == type) {
		map->r[map->nr - 1].end = end;
		return 0;
	}
	if (map->nr == MEMMAP_MAX_REGIONS)
		return -E2BIG;
	map->r[map->nr++] = (struct memmap_region){.start = start, .end = end, .type = type};
	return 0;
}

int memmap_add(struct memmap *map, uint64_t start, uint64_t size, uint32_t type)
{
	uint64_t end;

	if (size == 0)
		return 0;
	/* An end of exactly 2^64 is legal; size - 1 keeps it representable. */
	if (start + (size - 1) < start)
		return -EINVAL;
	if (start >= MEMMAP_PADDR_LIMIT)
		return 0;
	end = size > MEMMAP_PADDR_LIMIT - start ? MEMMAP_PADDR_LIMIT : start + size;
	if (type < MEMMAP_RAM || type > MEMMAP_PMEM)
		type = MEMMAP_RESERVED;
	return append_merged(map, start, end, type);
}

/*
 * The type in force at pos (0 if none), and the nearest address above pos at which that may
 * change (UINT64_MAX if there is none).
 */
static uint32_t type_at(const struct memmap *in, uint64_t pos, uint64_t *ret_next)
{
	uint64_t next = UINT64_MAX;
	unsigned int best = 0;
	uint32_t type = 0;

	for (unsigned int i = 0; i < in->nr; i++) {
		const struct memmap_region *r = &in->r[i];

		if (r->start > pos) {
			if (r->start < next)
				next = r->start;
			continue;
		}
		if (r->end <= pos)
			continue;
		if (r->end < next)
			next = r->end;
		if (type_rank(r->type) > best) {
			best = type_rank(r->type);
			type = r->type;
		}
	}
	*ret_next = next;
	return type;
}

/* Aligns RAM inwards and removes RAM regions that hold no whole page. */
static void align_ram(struct memmap *map)
{
	unsigned int out = 0;

	for (unsigned int i = 0; i < map->nr; i++) {
		struct memmap_region r = map->r[i];

		if (r.type == MEMMAP_RAM) {
			r.start = (r.start + MEMMAP_PAGE_SIZE - 1) & ~(MEMMAP_PAGE_SIZE - 1);
			r.end &= ~(MEMMAP_PAGE_SIZE - 1);
			if (r.start >= r.end)
				continue;
		}
		map->r[out++] = r;
	}
	map->nr = out;
}

int memmap_sanitize(const struct memmap *in, struct memmap *ret_map)
{
	uint64_t pos = 0, next;

	ret_map->nr = 0;
	/* Each step moves to another region limit, so there are at most 2 * nr + 1 of them. */
	for (;;) {
		uint32_t type = type_at(in, pos, &next);

		if (next == UINT64_MAX)
			break;
		if (type != 0 && append_merged(ret_map, pos, next, type))
			return -E2BIG;
		pos = next;
	}
	align_ram(ret_map);
	return 0;
}

bool memmap_covers(const struct memmap *map, uint64_t start, uint64_t end, uint32_t type)
{
	if (start >= end)
		return false;
	for (unsigned int i = 0; i < map->nr && start < end; i++) {
		const struct memmap_region *r = &map->r[i];

		if (r->end <= start)
			continue;
		if (r->start > start || r->type != type)
			return false;
		start = r->end;
	}
	return start >= end;
}

uint64_t memmap_total(const struct memmap *map, uint32_t type)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < map->nr; i++)
		if (map->r[i].type == type)
			sum += map->r[i].end - map->r[i].start;
	return sum;
}

uint64_t memmap_limit_ram(struct memmap *map, uint64_t limit)
{
	unsigned int out = 0;
	uint64_t cut = 0;

	for (unsigned int i = 0; i < map->nr; i++) {
		struct memmap_region r = map->r[i];

		if (r.type == MEMMAP_RAM && r.end > limit) {
			cut += r.end - (r.start > limit ? r.start : limit);
			r.end = limit;
			if (r.start >= limit)
				continue;
		}
		map->r[out++] = r;
	}
	map->nr = out;
	return cut;
}

uint64_t memmap_find_room(const struct memmap *map, uint64_t from, uint64_t size, uint64_t limit)
{
	for (unsigned int i = 0; i < map->nr; i++) {
		const struct memmap_region *r = &map->r[i];
		uint64_t start = r->start > from ? r->start : from;
		uint64_t end = r->end < limit ? r->end : limit;

		if (r->type != MEMMAP_RAM || start >= end)
			continue;
		start = (start + MEMMAP_PAGE_SIZE - 1) & ~(MEMMAP_PAGE_SIZE - 1);
		if (start < end && end - start >= size)
			return start;
	}
	return 0;
}
