// SPDX-License-Identifier: GPL-2.0-or-later
// Memory comes clean: no page has the mark that this kernel leaves on all of its pages when it ends. Run twice in a row
// with most of the machine's memory, the second run gets pages of the first.
#include "guest.h"
#include <xen/memory.h>

#define E820_RAM	 1u
#define ENTRIES		 64
#define LOW_MEMORY	 (1ull << 20) /* what firmware left there is dom0's to see */
#define IDENTITY_MAP_END (1ull << 32)
#define MARK		 0x6b72614d20646c4full
#define WORDS		 (PAGE_BYTES / 8)

struct e820 {
	uint64_t addr, size;
	uint32_t type;
} __attribute__((packed));

static struct e820 ram[ENTRIES];
static uint32_t nr_ram;

GUEST_TEST(memory_is_known)
{
	struct xen_memory_map op = {.nr_entries = ENTRIES};

	set_xen_guest_handle(op.buffer, ram);
	CHECK(hypercall2(__HYPERVISOR_memory_op, XENMEM_memory_map, ADDRESS(&op)) == 0, "error");
	nr_ram = op.nr_entries;
	CHECK(nr_ram && nr_ram <= ENTRIES, "%u entries", nr_ram);
}

/* Calls for every page of RAM behind the image, and returns for how many the function was true. */
static uint64_t count_pages(bool (*visit)(volatile uint64_t *page))
{
	uint64_t count = 0, image_end = ADDRESS(guest_end);

	for (uint32_t i = 0; i < nr_ram; i++) {
		uint64_t page = (ram[i].addr + PAGE_BYTES - 1) & -(uint64_t)PAGE_BYTES;
		uint64_t end = ram[i].addr + ram[i].size;

		if (ram[i].type != E820_RAM)
			continue;
		if (end > IDENTITY_MAP_END)
			end = IDENTITY_MAP_END;
		for (; page + PAGE_BYTES <= end; page += PAGE_BYTES) {
			if (page < LOW_MEMORY || page < image_end)
				continue;
			count += visit((volatile uint64_t *)page);
		}
	}
	return count;
}

static bool is_marked(volatile uint64_t *page)
{
	return page[0] == MARK || page[WORDS - 1] == MARK;
}

static bool mark(volatile uint64_t *page)
{
	page[0] = page[WORDS - 1] = MARK;
	return true;
}

GUEST_TEST(memory_is_clean)
{
	uint64_t marked = count_pages(is_marked);

	CHECK(marked == 0, "%lu pages have the mark of a domain that has ended", marked);
}

/* The last test, as it spares nothing. */
GUEST_TEST(memory_is_marked)
{
	uint64_t pages = count_pages(mark);

	CHECK(pages && count_pages(is_marked) == pages, "not all of %lu pages keep the mark",
	      pages);
	guest_print("GUEST-NOTE %lu pages are marked", pages);
}
