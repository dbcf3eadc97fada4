// SPDX-License-Identifier: GPL-2.0-or-later
// Leaves a mark in every page that it has and does not use, or looks for one.
//
// Words on the command line: mib= (how much memory it has); look: looks, and gives nothing back.
#include "domu.h"
#include <xen/memory.h>

#define MARK	   0x5afe5ec2e7c0ffeeull
#define MIB	   0x100000ull
#define GIVE_PAGES 512u

/* Two words of each page, at places that change from page to page. */
static uint64_t *word(uint64_t page, unsigned int which)
{
	uint64_t at = (page * 37 + which * 251) % (PAGE_BYTES / 8);

	return (uint64_t *)(uintptr_t)(page * PAGE_BYTES + at * 8);
}

static uint64_t first_page(void)
{
	return ADDRESS(guest_end) / PAGE_BYTES + 1;
}

static uint64_t end_page(void)
{
	return domu_number("mib", 32) * MIB / PAGE_BYTES;
}

static void give_back(uint64_t first, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		xen_pfn_t frame = first + i;
		struct xen_memory_reservation op = {.nr_extents = 1, .domid = DOMID_SELF};

		set_xen_guest_handle(op.extent_start, &frame);
		CHECK(hypercall2(__HYPERVISOR_memory_op, XENMEM_decrease_reservation,
				 ADDRESS(&op)) == 1,
		      "page %u", i);
	}
}

GUEST_TEST(marks)
{
	uint64_t marked = 0, dirty = 0;
	bool look = domu_has_word("look");

	for (uint64_t page = first_page(); page < end_page(); page++) {
		volatile uint64_t *a = word(page, 0), *b = word(page, 1);

		marked += *a == MARK || *b == MARK;
		dirty += *a || *b;
		if (!look)
			*a = *b = MARK;
	}
	domu_mailbox()->to_dom0[1] = marked;
	domu_mailbox()->to_dom0[2] = dirty;
	guest_print("%s %lu pages: %lu with the mark, %lu not clean", look ? "looked at" : "marked",
		    end_page() - first_page(), marked, dirty);
	if (!look) {
		/* Some go while the guest lives, the others when it is gone. */
		give_back(first_page(), GIVE_PAGES);
		domu_mailbox()->to_dom0[0] = 1;
		domu_take_word(0);
	}
	domu_mailbox()->to_dom0[0] = 2;
}
