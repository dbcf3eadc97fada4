// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: the multiboot2 boot information. The input is the boot information.
// links: hypervisor/arch/x86/boot/multiboot2.c hypervisor/arch/x86/boot/memmap.c
#include <stdlib.h>

#include <arch/multiboot2.h>
#include <bulkhead/bytes.h>

static struct mb2_info info;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_map(const struct memmap *map)
{
	require(map->nr <= MEMMAP_MAX_REGIONS);
	for (unsigned int i = 0; i < map->nr; i++) {
		const struct memmap_region *r = &map->r[i];

		require(r->start < r->end && r->end <= MEMMAP_PADDR_LIMIT);
		require(i == 0 || r->start >= map->r[i - 1].end);
		if (r->type == MEMMAP_RAM)
			require(r->start % MEMMAP_PAGE_SIZE == 0 && r->end % MEMMAP_PAGE_SIZE == 0);
	}
}

static void check_info(void)
{
	require(strnlen(info.cmdline, sizeof(info.cmdline)) < sizeof(info.cmdline));
	require(strnlen(info.loader_name, sizeof(info.loader_name)) < sizeof(info.loader_name));
	require(info.nr_modules <= MB2_MAX_MODULES);
	for (unsigned int i = 0; i < info.nr_modules; i++) {
		require(info.modules[i].start < info.modules[i].end);
		require(mb2_arguments(info.loader_name, info.modules[i].cmdline) != NULL);
	}
	require(info.nr_elf_sections <= MB2_MAX_ELF_SECTIONS);
	check_map(&info.map);
	/* As the boot uses it. */
	for (unsigned int bits = 20; bits <= 52; bits += 8) {
		uint64_t limit = UINT64_C(1) << bits, at,
			 size = info.modules[0].end - info.modules[0].start;

		at = memmap_find_room(&info.map, info.modules[0].end, size, limit);
		require(at == 0 || (at >= info.modules[0].end && at % MEMMAP_PAGE_SIZE == 0 &&
				    at + size <= limit));
		require(at == 0 || size == 0 ||
			memmap_covers(&info.map, at, at + size, MEMMAP_RAM));
	}
	for (unsigned int bits = 52; bits >= 20; bits -= 8) {
		uint64_t limit = UINT64_C(1) << bits, total = memmap_total(&info.map, MEMMAP_RAM);

		require(memmap_limit_ram(&info.map, limit) + memmap_total(&info.map, MEMMAP_RAM) ==
			total);
		check_map(&info.map);
		for (unsigned int i = 0; i < info.map.nr; i++)
			require(info.map.r[i].type != MEMMAP_RAM || info.map.r[i].end <= limit);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *reason = NULL;
	uint8_t *copy;
	int rc;

	if (size < 8)
		return 0;
	copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data, size);
	/* Most mutations change the length: the total is made to match, so that they are seen. */
	if (load_u32(copy + 4) != UINT32_MAX)
		store_u32(copy, (uint32_t)size);
	rc = mb2_info_init(&info, copy, size, &reason);
	free(copy);
	if (rc == 0)
		check_info();
	else
		require(reason != NULL);
	return 0;
}
