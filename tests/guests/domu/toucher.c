// SPDX-License-Identifier: GPL-2.0-or-later
// Uses memory that it was promised, in the ways that its command line names.
//
// mib= (how much memory it sees); read: reads all pages; give= (MiB from the end that it gives back first); write= (MiB
// behind its image that it fills with other things than zeros); check: they hold what was written.
#include "domu.h"
#include <xen/memory.h>

#define MIB_PAGES 256u
#define MARK	  0x1234567890abcdefull

static volatile uint64_t *page(uint64_t n)
{
	return (volatile uint64_t *)(uintptr_t)(n * PAGE_BYTES);
}

static uint64_t first_page(void)
{
	return ADDRESS(guest_end) / PAGE_BYTES + 1;
}

static uint64_t end_page(void)
{
	return domu_number("mib", 32) * MIB_PAGES;
}

GUEST_TEST(read)
{
	uint64_t sum = 0;

	if (!domu_has_word("read"))
		return;
	for (uint64_t n = first_page(); n < end_page(); n++)
		sum |= page(n)[n % 512];
	CHECK(!sum, "memory is not zero: %lx", sum);
}

GUEST_TEST(give)
{
	uint64_t give = domu_number("give", 0) * MIB_PAGES;

	for (uint64_t n = end_page() - give; n < end_page(); n++) {
		xen_pfn_t frame = n;
		struct xen_memory_reservation op = {.nr_extents = 1, .domid = DOMID_SELF};

		/* One half as a balloon driver that scrubs what it gives, the other half as it is. */
		if (n % 2)
			page(n)[5] = 0;
		set_xen_guest_handle(op.extent_start, &frame);
		CHECK(hypercall2(__HYPERVISOR_memory_op, XENMEM_decrease_reservation,
				 ADDRESS(&op)) == 1,
		      "page %lu", n);
	}
}

GUEST_TEST(write)
{
	uint64_t end = first_page() + domu_number("write", 0) * MIB_PAGES;

	for (uint64_t n = first_page(); n < end && n < end_page(); n++)
		page(n)[n % 512] = n ^ MARK;
	/* A buffer of the hypervisor's in a page that is touched by it first. */
	if (domu_has_word("buffer")) {
		uint64_t *name = (uint64_t *)(uintptr_t)(end * PAGE_BYTES);

		CHECK(hypercall2(__HYPERVISOR_xen_version, 1, ADDRESS(name)) == 0, "no version");
		CHECK(*name, "the version is not there");
	}
	for (uint64_t n = first_page(); n < end && n < end_page(); n++)
		CHECK(page(n)[n % 512] == (n ^ MARK), "page %lu has %lx", n, page(n)[n % 512]);
	domu_mailbox()->to_dom0[0] = 1;
}
