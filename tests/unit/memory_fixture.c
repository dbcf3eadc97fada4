// SPDX-License-Identifier: GPL-2.0-or-later
// Two domains and the calls of memory_op, for tests of these.
#include "memory_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xen/memory.h>

#include <bulkhead/errno.h>
#include <bulkhead/grant.h>
#include <bulkhead/iommu.h>
#include <bulkhead/log.h>
#include <bulkhead/memory.h>
#include <bulkhead/physmap.h>

struct domain *d0, *d1;

struct domain *memory_domain(domid_t id)
{
	struct domain *d = fixture_domain(id, 1);

	if (grant_domain_init(d, 4, 4))
		panic("no memory");
	fixture_ram(d, 0, 64);
	return d;
}

void memory_domain_kill(struct domain *d)
{
	d->dying = DOMAIN_DYING;
	assert_int_equal(grant_domain_release_mappings(d), 0);
	while (physmap_domain_release(d))
		;
}

void memory_domain_free(struct domain *d)
{
	memory_domain_kill(d);
	memory_domain_finish(d);
	memory_domain_finish(d);
	grant_domain_finish(d);
	fixture_domain_free(d);
}

int memory_setup(void **state)
{
	(void)state;
	fixture_init();
	d0 = memory_domain(0);
	d1 = memory_domain(1);
	fixture_run(d1);
	return 0;
}

int memory_teardown(void **state)
{
	(void)state;
	fixture_yield_every = 0;
	/* Neither is gone before the other one has let go of its frames. */
	memory_domain_kill(d0);
	memory_domain_kill(d1);
	memory_domain_free(d0);
	memory_domain_free(d1);
	fixture_finish();
	return 0;
}

int64_t call(uint64_t cmd, void *arg, size_t size)
{
	return fixture_call_list(hypercall_memory_op, cmd, arg, size, 0, false);
}

int64_t call32(uint64_t cmd, void *arg, size_t size)
{
	return fixture_call_list(hypercall_memory_op, cmd, arg, size, 0, true);
}

int64_t reserve(uint64_t op, domid_t dom, uint64_t nr, unsigned order, uint32_t flags)
{
	struct xen_memory_reservation r = {.nr_extents = nr,
					   .extent_order = order,
					   .mem_flags = flags,
					   .domid = dom};

	r.extent_start.p = (void *)FIXTURE_BUF;
	return call(op, &r, sizeof(r));
}

uint64_t *buf64(void)
{
	return (uint64_t *)(fake_guest_memory + FIXTURE_BUF);
}

uint32_t *buf32(void)
{
	return (uint32_t *)(fake_guest_memory + FIXTURE_BUF);
}

bool have_iommu;

bool iommu_present(void)
{
	return have_iommu;
}

void iommu_for_each_reserved(void (*fn)(uint64_t base, uint64_t end, void *arg), void *arg)
{
	fn(0x9f000, 0xa0000, arg);
	fn(0x7f000000, 0x7f000800, arg);
}
