// SPDX-License-Identifier: GPL-2.0-or-later
// memory_op and physmap: every operation in both layouts, error codes, references, preemption.
// links: hypervisor/common/memory_op.c hypervisor/common/memory_map.c hypervisor/common/memory_resv.c
// links: hypervisor/common/memory_physmap.c hypervisor/common/physmap.c hypervisor/common/page_owner.c hypervisor/common/pod.c
// links: hypervisor/common/grant.c hypervisor/common/grant_map.c
// links: hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c
#include "domain_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xen/physdev.h>
#include <xen/memory.h>

#include <bulkhead/errno.h>
#include <bulkhead/grant.h>
#include <bulkhead/iommu.h>
#include <bulkhead/log.h>
#include <bulkhead/memory.h>
#include <bulkhead/physmap.h>

#define EXTENT_SHIFT 6

static struct domain *d0, *d1;

static struct domain *memory_domain(domid_t id)
{
	struct domain *d = fixture_domain(id, 1);

	if (grant_domain_init(d, 4, 4))
		panic("no memory");
	fixture_ram(d, 0, 64);
	return d;
}

static void memory_domain_kill(struct domain *d)
{
	d->dying = DOMAIN_DYING;
	assert_int_equal(grant_domain_release_mappings(d), 0);
	while (physmap_domain_release(d))
		;
}

static void memory_domain_free(struct domain *d)
{
	memory_domain_kill(d);
	memory_domain_finish(d);
	memory_domain_finish(d);
	grant_domain_finish(d);
	fixture_domain_free(d);
}

static int setup(void **state)
{
	(void)state;
	fixture_init();
	d0 = memory_domain(0);
	d1 = memory_domain(1);
	fixture_run(d1);
	return 0;
}

static int teardown(void **state)
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

static int64_t call(uint64_t cmd, void *arg, size_t size)
{
	return fixture_call_list(hypercall_memory_op, cmd, arg, size, 0, false);
}

static int64_t call32(uint64_t cmd, void *arg, size_t size)
{
	return fixture_call_list(hypercall_memory_op, cmd, arg, size, 0, true);
}

static uint64_t *buf64(void)
{
	return (uint64_t *)(fake_guest_memory + FIXTURE_BUF);
}

static uint32_t *buf32(void)
{
	return (uint32_t *)(fake_guest_memory + FIXTURE_BUF);
}

static void unknown_calls(void **state)
{
	static const uint8_t faulting[] = {XENMEM_current_reservation,
					   XENMEM_maximum_reservation,
					   XENMEM_maximum_gpfn,
					   XENMEM_add_to_physmap,
					   XENMEM_add_to_physmap_batch,
					   XENMEM_remove_from_physmap,
					   XENMEM_exchange,
					   XENMEM_memory_map,
					   XENMEM_set_memory_map,
					   XENMEM_set_pod_target,
					   XENMEM_get_pod_target,
					   XENMEM_claim_pages,
					   XENMEM_get_vnumainfo,
					   XENMEM_reserved_device_memory_map};
	static const uint8_t none[] = {XENMEM_machphys_mfn_list,
				       8,
				       XENMEM_machine_memory_map,
				       XENMEM_machphys_mapping,
				       XENMEM_paging_op,
				       XENMEM_access_op,
				       XENMEM_sharing_op,
				       29,
				       63};
	uint64_t arg[8] = {0}, exchange[9] = {0};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(call(none[i], arg, sizeof(arg)), -ENOSYS);
	for (unsigned i = 0; i < ARRAY_SIZE(faulting); i++) {
		struct hypercall hc = {.args = {faulting[i], FIXTURE_FAULT}};

		assert_int_equal(hypercall_memory_op(&hc), -EFAULT);
		hc.compat = true;
		/* That one has no 32-bit layout. */
		assert_int_equal(hypercall_memory_op(&hc),
				 faulting[i] == XENMEM_claim_pages ? -ENOSYS : -EFAULT);
	}
	/* Progress is of meaning for few of them. */
	assert_int_equal(call(XENMEM_maximum_ram_page | 1 << EXTENT_SHIFT, arg, 8), -EINVAL);
	assert_int_equal(call(XENMEM_memory_map | 5 << EXTENT_SHIFT, arg, 16), -EINVAL);
	assert_int_equal(call(XENMEM_add_to_physmap | 0x10000UL << EXTENT_SHIFT, arg, 24), -EDOM);
	assert_int_equal(call(XENMEM_add_to_physmap_batch | 0x10000UL << EXTENT_SHIFT, arg, 32),
			 -EDOM);
	/* What PV guests alone have. */
	assert_int_equal(call(XENMEM_exchange, exchange, sizeof(exchange)), -EOPNOTSUPP);
	assert_int_equal(call(XENMEM_machphys_compat_mfn_list, arg, 0), -EOPNOTSUPP);
}

static void statistics(void **state)
{
	struct xen_memory_domain op = {.domid = DOMID_SELF};
	struct hypercall hc = {.compat = true, .args = {XENMEM_maximum_reservation, FIXTURE_ARG}};

	(void)state;
	assert_int_equal(call(XENMEM_maximum_ram_page, &op, 0), FIXTURE_FRAMES);
	assert_int_equal(call(XENMEM_current_reservation, &op, sizeof(op)), 64);
	assert_int_equal(call(XENMEM_maximum_gpfn, &op, sizeof(op)), 63);
	/* No limit is no error either. */
	assert_int_equal(call(XENMEM_maximum_reservation, &op, sizeof(op)), UINT32_MAX);
	memcpy(fake_guest_memory + FIXTURE_ARG, &op, sizeof(op));
	assert_int_equal(hypercall_memory_op(&hc), INT32_MAX);
	d1->max_pages = 100;
	assert_int_equal(call(XENMEM_maximum_reservation, &op, sizeof(op)), 100);
	op.domid = 0;
	assert_int_equal(call(XENMEM_current_reservation, &op, sizeof(op)), -EPERM);
	op.domid = 9;
	assert_int_equal(call(XENMEM_current_reservation, &op, sizeof(op)), -ESRCH);
	fixture_run(d0);
	op.domid = 1;
	assert_int_equal(call(XENMEM_current_reservation, &op, sizeof(op)), 64);
	assert_int_equal(call(XENMEM_get_sharing_freed_pages, &op, 0), 0);
	assert_int_equal(call(XENMEM_get_sharing_shared_pages, &op, 0), 0);
}

static void pod_target(void **state)
{
	struct xen_pod_target op = {.domid = 1, .target_pages = 70, .pod_entries = 5};
	struct xen_vnuma_topology_info numa = {.domid = DOMID_SELF};

	(void)state;
	assert_int_equal(call(XENMEM_get_pod_target, &op, sizeof(op)), -EPERM);
	fixture_run(d0);
	assert_int_equal(call(XENMEM_get_pod_target, &op, sizeof(op)), 0);
	assert_int_equal(op.tot_pages, 64);
	assert_int_equal(op.pod_entries, 0);
	assert_int_equal(call32(XENMEM_set_pod_target, &op, 36), 0);
	d1->max_pages = 69;
	assert_int_equal(call(XENMEM_set_pod_target, &op, sizeof(op)), -EINVAL);
	op.domid = 9;
	assert_int_equal(call(XENMEM_set_pod_target, &op, sizeof(op)), -ESRCH);

	assert_int_equal(call(XENMEM_get_vnumainfo, &numa, sizeof(numa)), -EOPNOTSUPP);
	numa.pad = 1;
	assert_int_equal(call(XENMEM_get_vnumainfo, &numa, sizeof(numa)), -EINVAL);
	numa.pad = 0;
	numa.domid = 9;
	assert_int_equal(call(XENMEM_get_vnumainfo, &numa, sizeof(numa)), -ESRCH);
	fixture_run(d1);
	numa.domid = 0;
	assert_int_equal(call(XENMEM_get_vnumainfo, &numa, sizeof(numa)), -EPERM);
}

/* ---- Reservation ---- */

static int64_t reserve(uint64_t op, domid_t dom, uint64_t nr, unsigned order, uint32_t flags)
{
	struct xen_memory_reservation r = {.nr_extents = nr,
					   .extent_order = order,
					   .mem_flags = flags,
					   .domid = dom};

	r.extent_start.p = (void *)FIXTURE_BUF;
	return call(op, &r, sizeof(r));
}

static void populate(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		buf64()[i] = 100 + i;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 10, 0, 0), 10);
	assert_int_equal(d1->tot_pages, 74);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(fixture_type(d1, 100 + i), P2M_RAM);
	/* Scrubbed. */
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(((char *)fixture_page(d1, 100))[i], 0);
	/* Half-way: the count says where. */
	buf64()[0] = 200;
	buf64()[1] = FIXTURE_GFNS;
	buf64()[2] = 202;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 3, 0, 0), 1);
	assert_int_equal(d1->tot_pages, 75);
	/* The quota. */
	d1->max_pages = 76;
	buf64()[0] = 210;
	buf64()[1] = 211;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 2, 0, 0), 1);
	d1->max_pages = UINT64_MAX;
	/* Over RAM: the old page stays the domain's, out of sight. */
	buf64()[0] = 5;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 0, 0), 1);
	assert_int_equal(d1->tot_pages, 77);
}

static void populate_large(void **state)
{
	uint64_t free = frames_free_count();

	(void)state;
	buf64()[0] = 512;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 9, 0), 1);
	assert_int_equal(fixture_type(d1, 1023), P2M_RAM);
	assert_int_equal(d1->tot_pages, 64 + 512);
	/* Other orders than those of superpages are in order, too, wherever they begin. */
	buf64()[0] = 1030;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 3, 0), 1);
	assert_int_equal(fixture_type(d1, 1037), P2M_RAM);
	assert_int_equal(fixture_type(d1, 1038), P2M_NONE);
	/* Too large: for a guest, for the machine. */
	buf64()[0] = 0;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 10, 0), 0);
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 64, 0), 0);
	fixture_run(d0);
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 19, 0), 0);
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 18, 0), 0);
	assert_int_equal(d0->tot_pages, 64);
	/* Device memory stays where it is, and the frames go back. */
	assert_int_equal(p2m_set(d0, gfn_from(1200), mfn_from(7), 0, P2M_MMIO), 0);
	buf64()[0] = 1024;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 9, 0), 0);
	assert_int_equal(fixture_type(d0, 1200), P2M_MMIO);
	assert_int_equal(fixture_type(d0, 1024), P2M_NONE);
	/* Mapping fails in the middle. */
	buf64()[0] = 1536;
	fixture_p2m_fail = 100;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 9, 0), 0);
	fixture_p2m_fail = -1;
	for (unsigned i = 1536; i < 2048; i++)
		assert_int_equal(fixture_type(d0, i), P2M_NONE);
	assert_int_equal(d0->tot_pages, 64);
	assert_int_equal(frames_free_count(), free - 512 - 8);
	/* So large that its end wraps. */
	buf64()[0] = UINT64_MAX - 3;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 3, 0), 0);
}

static void populate_over_foreign(void **state)
{
	uint32_t *refs = &mfn_to_page(fixture_mfn(d1, 5))->count, before = *refs;

	(void)state;
	fixture_run(d0);
	assert_int_equal(physmap_set_foreign(d0, gfn_from(515), d1, gfn_from(5)), 0);
	assert_int_equal(*refs, before + 1);
	buf64()[0] = 512;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 9, 0), 1);
	assert_int_equal(*refs, before);
	assert_int_equal(d0->foreign_maps, 0);
}

static void decrease(void **state)
{
	uint64_t free = frames_free_count();

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		buf64()[i] = 10 + i;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, 10, 0, 0), 10);
	assert_int_equal(d1->tot_pages, 54);
	assert_int_equal(frames_free_count(), free + 10);
	assert_int_equal(fixture_type(d1, 10), P2M_NONE);
	/* Gone already. */
	buf64()[0] = 20;
	buf64()[1] = 15;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, 2, 0, 0), 1);
	/* Not RAM of the domain. */
	assert_int_equal(p2m_set(d1, gfn_from(300), mfn_from(7), 0, P2M_MMIO), 0);
	buf64()[0] = 300;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, 1, 0, 0), 0);
	assert_int_equal(physmap_set_foreign(d1, gfn_from(301), d0, gfn_from(5)), 0);
	buf64()[0] = 301;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, 1, 0, 0), 0);
	assert_int_equal(fixture_type(d1, 301), P2M_FOREIGN);
}

static void decrease_large(void **state)
{
	uint64_t free = frames_free_count();
	unsigned flushes;

	(void)state;
	buf64()[0] = 512;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 9, 0), 1);
	flushes = fixture_flushes;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, 1, 9, 0), 1);
	/* As one superpage; page by page it would be more than one flush. */
	assert_int_equal(fixture_flushes, flushes + 1);
	assert_int_equal(frames_free_count(), free);
	/* With a hole: page by page up to it. */
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 9, 0), 1);
	buf64()[0] = 515;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, 1, 0, 0), 1);
	buf64()[0] = 512;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, 1, 9, 0), 0);
	assert_int_equal(fixture_type(d1, 514), P2M_NONE);
	assert_int_equal(fixture_type(d1, 516), P2M_RAM);
	/* Two at an odd place. */
	buf64()[0] = 517;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, 1, 1, 0), 1);
	assert_int_equal(fixture_type(d1, 518), P2M_NONE);
	assert_int_equal(fixture_type(d1, 519), P2M_RAM);
	/* Split 2 MiB: many pages, but never freed before the flush (the fixture looks). */
	buf64()[0] = 768;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, 1, 8, 0), 1);
	assert_int_equal(fixture_type(d1, 1023), P2M_NONE);
	assert_int_equal(fixture_type(d1, 767), P2M_RAM);
}

static void increase(void **state)
{
	struct xen_memory_reservation r = {.nr_extents = 3, .domid = DOMID_SELF};

	(void)state;
	assert_int_equal(call(XENMEM_increase_reservation, &r, sizeof(r)), 3);
	assert_int_equal(d1->tot_pages, 67);
	d1->dying = DOMAIN_DYING;
	assert_int_equal(call(XENMEM_increase_reservation, &r, sizeof(r)), 0);
	d1->dying = DOMAIN_ALIVE;
}

static void reservation_arguments(void **state)
{
	struct hypercall hc = {
		.args = {XENMEM_populate_physmap | 7 << EXTENT_SHIFT, FIXTURE_FAULT}};

	(void)state;
	/* Whatever is wrong, the answer is what was done before. */
	assert_int_equal(hypercall_memory_op(&hc), 7);
	buf64()[0] = 100;
	assert_int_equal(reserve(XENMEM_populate_physmap | 2 << EXTENT_SHIFT, DOMID_SELF, 2, 0, 0),
			 2);
	assert_int_equal(reserve(XENMEM_populate_physmap, 9, 1, 0, 0), 0);
	assert_int_equal(reserve(XENMEM_populate_physmap, 0, 1, 0, 0), 0);
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1UL << 26, 0, 0), 0);
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 0, 0, 0), 0);
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 0,
				 XENMEMF_populate_on_demand),
			 0);
	/* Address width: what is wider than the machine is no restriction, less than 32 bits cannot be had. */
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 0,
				 XENMEMF_address_bits(12)),
			 0);
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 0,
				 XENMEMF_address_bits(20)),
			 0);
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 0,
				 XENMEMF_address_bits(23)),
			 1);
	/* Nodes: a request of a guest is no demand. */
	buf64()[0] = 101;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 0, XENMEMF_exact_node(0)),
			 0);
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 0, XENMEMF_node(0)), 1);
	fixture_run(d0);
	buf64()[0] = 102;
	assert_int_equal(reserve(XENMEM_populate_physmap, 1, 1, 0, XENMEMF_exact_node(0)), 1);
	assert_int_equal(reserve(XENMEM_populate_physmap, 1, 1, 0, XENMEMF_exact_node(64)), 0);
	assert_int_equal(fixture_type(d1, 102), P2M_RAM);
	/* A device model for its domain. */
	fixture_run(d1);
	d1->target = 0;
	assert_int_equal(reserve(XENMEM_populate_physmap, 0, 1, 0, 0), 1);
}

static void reservation_preempted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++)
		buf64()[i] = 100 + i;
	fixture_yield_every = 3;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 50, 0, 0), 50);
	assert_in_range(fixture_restarts, 10, 17);
	assert_int_equal(d1->tot_pages, 114);
	/* Each call gets at least one done, however urgent everything else is. */
	fixture_yield_every = 1;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, 50, 0, 0), 50);
	assert_int_equal(fixture_restarts, 49);
	assert_int_equal(d1->tot_pages, 64);
}

static void reservation_compat(void **state)
{
	struct {
		uint32_t start, nr, order, flags;
		uint16_t domid;
	} r = {.start = FIXTURE_BUF, .nr = 5, .domid = DOMID_SELF};

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		buf32()[i] = 100 + i;
	fixture_yield_every = 2;
	assert_int_equal(call32(XENMEM_populate_physmap, &r, sizeof(r)), 5);
	fixture_yield_every = 0;
	assert_int_equal(fixture_type(d1, 104), P2M_RAM);
	assert_int_equal(call32(XENMEM_decrease_reservation, &r, sizeof(r)), 5);
	assert_int_equal(d1->tot_pages, 64);
	assert_int_equal(call32(XENMEM_increase_reservation, &r, sizeof(r)), 5);
	assert_int_equal(d1->tot_pages, 69);
}

static void claims(void **state)
{
	struct xen_memory_reservation r = {.domid = 1};
	uint64_t free = frames_free_count();

	(void)state;
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), -EPERM);
	fixture_run(d0);
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), 0);
	r.nr_extents = 64;
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), -EINVAL); /* has them */
	r.nr_extents = 64 + free + 1;
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), -ENOMEM);
	assert_int_equal(domain_claim(d0, 164), 0);
	r.nr_extents = 64 + free;
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), -ENOMEM);
	r.nr_extents = 64 + free - 100;
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), 0);
	assert_int_equal(d1->outstanding_pages, free - 100);
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), -EINVAL); /* one at a time */
	r.nr_extents = 0;
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), 0);
	assert_int_equal(d1->outstanding_pages, 0);
	d1->max_pages = 70;
	r.nr_extents = 71;
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), -EINVAL);
	r.extent_order = 1;
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), -EINVAL);
	r.extent_order = 0;
	r.mem_flags = 1;
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), -EINVAL);
	r.mem_flags = 0;
	r.extent_start.p = (void *)1;
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), -EINVAL);
	r.extent_start.p = NULL;
	r.domid = 9;
	assert_int_equal(call(XENMEM_claim_pages, &r, sizeof(r)), -EINVAL);
	assert_int_equal(domain_claim(d0, 0), 0);
}

/* What is claimed is there for the one who claimed it, and for nobody else. */
static void claims_are_kept(void **state)
{
	uint64_t free = frames_free_count();

	(void)state;
	fixture_run(d0);
	assert_int_equal(domain_claim(d1, 64 + free - 3), 0);
	for (unsigned i = 0; i < 8; i++)
		buf64()[i] = 100 + i;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 8, 0, 0), 3);
	assert_int_equal(reserve(XENMEM_populate_physmap, 1, 8, 0, 0), 8);
	assert_int_equal(d1->outstanding_pages, free - 11);
	/* More than claimed comes out of what is left. */
	assert_int_equal(domain_claim(d1, 0), 0);
	assert_int_equal(domain_claim(d1, d1->tot_pages + 2), 0);
	for (unsigned i = 0; i < 8; i++)
		buf64()[i] = 200 + i;
	assert_int_equal(reserve(XENMEM_populate_physmap, 1, 5, 0, 0), 5);
	assert_int_equal(d1->outstanding_pages, 0);
	/* An allocation that fails takes nothing of the claim: memory in pieces, with a bad frame in each. */
	assert_int_equal(domain_claim(d1, d1->tot_pages + 1000), 0);
	for (unsigned i = 500; i < FIXTURE_FRAMES; i += 512)
		frame_table[i].state = PAGE_OFFLINE;
	buf64()[0] = 512;
	assert_int_equal(reserve(XENMEM_populate_physmap, 1, 1, 9, 0), 0);
	for (unsigned i = 500; i < FIXTURE_FRAMES; i += 512)
		frame_table[i].state = PAGE_FREE;
	assert_int_equal(d1->outstanding_pages, 1000);
	d1->dying = DOMAIN_DYING;
	assert_int_equal(domain_claim(d1, 0), 0);
	assert_int_equal(domain_claim(d1, 10000), -EINVAL);
	assert_int_equal(domain_claim(d0, d0->tot_pages + frames_free_count()), 0);
	assert_int_equal(domain_claim(d0, 0), 0);
}

/* ---- add_to_physmap ---- */

static int64_t add(domid_t dom, unsigned space, uint64_t idx, uint64_t gpfn)
{
	struct xen_add_to_physmap op = {.domid = dom, .space = space, .idx = idx, .gpfn = gpfn};

	return call(XENMEM_add_to_physmap, &op, sizeof(op));
}

static int64_t drop(domid_t dom, uint64_t gpfn)
{
	struct xen_remove_from_physmap op = {.domid = dom, .gpfn = gpfn};

	return call(XENMEM_remove_from_physmap, &op, sizeof(op));
}

static void shared_info(void **state)
{
	uint64_t free = frames_free_count();

	(void)state;
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 1, 100), -EINVAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, UINT64_MAX), -EINVAL);
	assert_int_equal(add(0, XENMAPSPACE_shared_info, 0, 100), -EPERM);
	assert_int_equal(add(9, XENMAPSPACE_shared_info, 0, 100), -ESRCH);
	fake_heap_fail_after = 0;
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 100), -ENOMEM);
	fake_heap_fail_after = -1;
	/* In the place of RAM, which nobody could reach any more: its frame is free. */
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 1), 0);
	assert_int_equal(fixture_type(d1, 1), P2M_SPECIAL);
	assert_ptr_equal(fixture_page(d1, 1), d1->shared_info);
	assert_int_equal(d1->tot_pages, 63);
	assert_int_equal(frames_free_count(), free + 1);
	/* It is in one place only. */
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 100), 0);
	assert_int_equal(fixture_type(d1, 1), P2M_NONE);
	assert_int_equal(fixture_type(d1, 100), P2M_SPECIAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 100), 0);
	/* Ballooning it out takes just the mapping away. */
	buf64()[0] = 100;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, 1, 0, 0), 1);
	assert_int_equal(fixture_type(d1, 100), P2M_NONE);
	assert_int_equal(mfn_to_page(d1->shared_info_mfn)->state, PAGE_SPECIAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 101), 0);
	assert_int_equal(drop(DOMID_SELF, 101), 0);
	assert_int_equal(drop(DOMID_SELF, 101), -ENOENT);
	/* Where it was is RAM again: that must not go when shared_info moves on. */
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 102), 0);
	assert_int_equal(drop(DOMID_SELF, 102), 0);
	buf64()[0] = 102;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1, 0, 0), 1);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 103), 0);
	assert_int_equal(fixture_type(d1, 102), P2M_RAM);
	/* Not over a device, and not where there can be no memory. */
	assert_int_equal(p2m_set(d1, gfn_from(300), mfn_from(7), 0, P2M_MMIO), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 300), -EPERM);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, FIXTURE_GFNS), -EINVAL);
}

static void grant_frames(void **state)
{
	mfn_t m;

	(void)state;
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 2, 100), 0);
	assert_int_equal(grant_table_frame(d1, 2, false, &m), 0);
	assert_true(mfn_eq(fixture_mfn(d1, 100), m));
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 0, 101), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 2, 102), 0);
	assert_int_equal(fixture_type(d1, 100), P2M_NONE);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 4, 103), -EINVAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, XENMAPIDX_grant_table_status,
			     103),
			 -EINVAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 1UL << 32, 103), -EINVAL);
}

static void move(void **state)
{
	mfn_t m = fixture_mfn(d1, 5);

	(void)state;
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_gmfn, 5, 200), 0);
	assert_true(mfn_eq(fixture_mfn(d1, 200), m));
	assert_int_equal(fixture_type(d1, 5), P2M_NONE);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_gmfn, 200, 200), 0);
	assert_true(mfn_eq(fixture_mfn(d1, 200), m));
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_gmfn, 5, 201), -EINVAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_gmfn, UINT64_MAX, 201), -EINVAL);
	/* Onto RAM: that is free then. */
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_gmfn, 200, 6), 0);
	assert_true(mfn_eq(fixture_mfn(d1, 6), m));
	assert_int_equal(d1->tot_pages, 63);
	/* Where it cannot go it stays. */
	assert_int_equal(p2m_set(d1, gfn_from(300), mfn_from(7), 0, P2M_MMIO), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_gmfn, 6, 300), -EPERM);
	assert_true(mfn_eq(fixture_mfn(d1, 6), m));
	/* Only RAM is moved. */
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 100), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_gmfn, 100, 101), -EINVAL);
	assert_int_equal(add(DOMID_SELF, 77, 0, 101), -EINVAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 0, 101), -ENOSYS);
}

static void move_range(void **state)
{
	struct xen_add_to_physmap op = {.domid = DOMID_SELF,
					.space = XENMAPSPACE_gmfn_range,
					.size = 20,
					.idx = 10,
					.gpfn = 200};

	(void)state;
	fixture_yield_every = 4;
	assert_int_equal(call(XENMEM_add_to_physmap, &op, sizeof(op)), 0);
	assert_true(fixture_restarts > 3);
	fixture_yield_every = 0;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(fixture_type(d1, 10 + i), P2M_NONE);
		assert_int_equal(fixture_type(d1, 200 + i), P2M_RAM);
	}
	assert_int_equal(call(XENMEM_add_to_physmap | 21 << EXTENT_SHIFT, &op, sizeof(op)),
			 -EILSEQ);
	assert_int_equal(call(XENMEM_add_to_physmap, &op, sizeof(op)), -EINVAL);
	op.gpfn = UINT64_MAX - 5;
	assert_int_equal(call(XENMEM_add_to_physmap, &op, sizeof(op)), -EOVERFLOW);
	op.gpfn = 1;
	op.idx = UINT64_MAX - 5;
	assert_int_equal(call(XENMEM_add_to_physmap, &op, sizeof(op)), -EOVERFLOW);
}

static void add_compat(void **state)
{
	struct {
		uint16_t domid, size;
		uint32_t space, idx, gpfn;
	} op = {.domid = DOMID_SELF, .space = XENMAPSPACE_shared_info, .gpfn = 100};
	struct {
		uint16_t domid, pad;
		uint32_t gpfn;
	} rm = {.domid = DOMID_SELF, .gpfn = 100};

	(void)state;
	assert_int_equal(call32(XENMEM_add_to_physmap, &op, sizeof(op)), 0);
	assert_int_equal(fixture_type(d1, 100), P2M_SPECIAL);
	assert_int_equal(call32(XENMEM_remove_from_physmap, &rm, sizeof(rm)), 0);
	assert_int_equal(fixture_type(d1, 100), P2M_NONE);
	op.gpfn = UINT32_MAX;
	assert_int_equal(call32(XENMEM_add_to_physmap, &op, sizeof(op)), -EINVAL);
	op.space = XENMAPSPACE_gmfn_range;
	op.idx = 10;
	op.gpfn = 200;
	op.size = 5;
	fixture_yield_every = 1;
	assert_int_equal(call32(XENMEM_add_to_physmap, &op, sizeof(op)), 0);
	assert_int_equal(fixture_restarts, 4);
	assert_int_equal(fixture_type(d1, 204), P2M_RAM);
}

/* ---- Foreign pages ---- */

static int64_t batch(domid_t dom, unsigned space, domid_t foreign, uint16_t size)
{
	struct xen_add_to_physmap_batch op = {.domid = dom,
					      .space = (uint16_t)space,
					      .size = size,
					      .u.foreign_domid = foreign};

	op.idxs.p = (void *)FIXTURE_BUF;
	op.gpfns.p = (void *)(FIXTURE_BUF + 0x1000);
	op.errs.p = (void *)(FIXTURE_BUF + 0x2000);
	return call(XENMEM_add_to_physmap_batch, &op, sizeof(op));
}

static int32_t *errs(void)
{
	return (int32_t *)(fake_guest_memory + FIXTURE_BUF + 0x2000);
}

static void pairs(unsigned n, uint64_t idx, uint64_t gfn)
{
	for (unsigned i = 0; i < n; i++) {
		buf64()[i] = idx + i;
		buf64()[512 + i] = gfn + i;
		errs()[i] = 99;
	}
}

static void foreign(void **state)
{
	struct page *pg = mfn_to_page(fixture_mfn(d1, 5));
	uint32_t refs = pg->count;

	(void)state;
	fixture_run(d0);
	pairs(3, 5, 500);
	buf64()[1] = 1000; /* nothing there */
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 1, 3), 0);
	assert_int_equal(errs()[0], 0);
	assert_int_equal(errs()[1], -EINVAL);
	assert_int_equal(errs()[2], 0);
	assert_int_equal(d0->foreign_maps, 2);
	assert_int_equal(fixture_type(d0, 500), P2M_FOREIGN);
	assert_ptr_equal(fixture_page(d0, 500), fixture_page(d1, 5));
	assert_int_equal(pg->count, refs + 1);
	/* The same again in the same place: one reference. */
	pairs(1, 5, 500);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 1, 1), 0);
	assert_int_equal(pg->count, refs + 1);
	assert_int_equal(d0->foreign_maps, 2);
	/* Another page in its place: the reference goes. */
	pairs(1, 9, 500);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 1, 1), 0);
	assert_int_equal(pg->count, refs);
	assert_int_equal(drop(DOMID_SELF, 500), 0);
	assert_int_equal(drop(DOMID_SELF, 502), 0);
	assert_int_equal(drop(DOMID_SELF, 502), -ENOENT);
	assert_int_equal(d0->foreign_maps, 0);
	/* shared_info of another domain may be mapped as well; what that got from others may not. */
	assert_int_equal(physmap_set_foreign(d1, gfn_from(300), d0, gfn_from(5)), 0);
	pairs(1, 300, 500);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 1, 1), 0);
	assert_int_equal(errs()[0], -EINVAL);
	fixture_run(d1);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 100), 0);
	fixture_run(d0);
	pairs(1, 100, 500);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 1, 1), 0);
	assert_int_equal(errs()[0], 0);
	assert_int_equal(drop(DOMID_SELF, 500), 0);
}

static void foreign_errors(void **state)
{
	(void)state;
	pairs(1, 5, 500);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 0, 1), 0);
	assert_int_equal(errs()[0], -EPERM); /* not privileged over it */
	fixture_run(d0);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 9, 1), 0);
	assert_int_equal(errs()[0], -ESRCH);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 0, 1), 0);
	assert_int_equal(errs()[0], -EPERM);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, DOMID_SELF, 1), 0);
	assert_int_equal(errs()[0], -ESRCH);
	assert_int_equal(batch(9, XENMAPSPACE_gmfn_foreign, 1, 1), -ESRCH);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_range, 0, 1), -EOPNOTSUPP);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 1, 0), 0);
	/* Device memory is not given out in this way: to nobody else, and of no other domain. */
	d0->hardware = true;
	assert_int_equal(batch(1, XENMAPSPACE_dev_mmio, 0, 1), -EACCES);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_dev_mmio, 1, 1), -EOPNOTSUPP);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_dev_mmio, 0, 1), 0);
	assert_int_equal(errs()[0], -EINVAL);
	fixture_run(d1);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_dev_mmio, 0, 1), -EACCES);
	fixture_run(d0);
	pairs(2, 5, 500);
	buf64()[513] = UINT64_MAX;
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 1, 2), -EINVAL);
	assert_int_equal(errs()[0], 0);
	assert_int_equal(drop(DOMID_SELF, 500), 0);
	/* The list of results cannot be written. */
	{
		struct xen_add_to_physmap_batch op = {.domid = DOMID_SELF,
						      .space = XENMAPSPACE_gmfn_foreign,
						      .size = 1,
						      .u.foreign_domid = 1};

		op.idxs.p = (void *)FIXTURE_BUF;
		op.gpfns.p = (void *)(FIXTURE_BUF + 0x1000);
		op.errs.p = (void *)FIXTURE_FAULT;
		assert_int_equal(call(XENMEM_add_to_physmap_batch, &op, sizeof(op)), -EFAULT);
		op.gpfns.p = (void *)FIXTURE_FAULT;
		assert_int_equal(call(XENMEM_add_to_physmap_batch, &op, sizeof(op)), -EFAULT);
		assert_int_equal(call(XENMEM_add_to_physmap_batch | 1 << EXTENT_SHIFT, &op,
				      sizeof(op)),
				 -EILSEQ);
		assert_int_equal(call(XENMEM_add_to_physmap_batch | 2 << EXTENT_SHIFT, &op,
				      sizeof(op)),
				 -EILSEQ);
	}
	/* Out of tables: nothing is left behind. */
	pairs(1, 6, 501);
	fixture_p2m_fail = 0;
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 1, 1), 0);
	assert_int_equal(errs()[0], -ENOMEM);
	assert_int_equal(mfn_to_page(fixture_mfn(d1, 6))->count, 1);
	assert_int_equal(d0->foreign_maps, 1);
}

static void batch_preempted_and_compat(void **state)
{
	struct {
		uint16_t domid, space, size, foreign;
		uint32_t idxs, gpfns, errs;
	} op = {DOMID_SELF,	      XENMAPSPACE_gmfn_foreign, 30, 1, FIXTURE_BUF,
		FIXTURE_BUF + 0x1000, FIXTURE_BUF + 0x2000};

	(void)state;
	fixture_run(d0);
	pairs(40, 5, 500);
	fixture_yield_every = 2;
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 1, 40), 0);
	assert_true(fixture_restarts >= 13);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(errs()[i], 0);
	assert_int_equal(d0->foreign_maps, 40);
	for (unsigned i = 0; i < 30; i++) {
		buf32()[i] = 5 + i;
		buf32()[1024 + i] = 600 + i;
	}
	assert_int_equal(call32(XENMEM_add_to_physmap_batch, &op, sizeof(op)), 0);
	assert_int_equal(d0->foreign_maps, 70);
	assert_int_equal(fixture_type(d0, 629), P2M_FOREIGN);
}

static void foreign_page_of_the_dead(void **state)
{
	struct domain *d = memory_domain(5);
	mfn_t m = fixture_mfn(d, 5);

	(void)state;
	fixture_run(d0);
	pairs(1, 5, 500);
	assert_int_equal(batch(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 5, 1), 0);
	assert_int_equal(errs()[0], 0);
	memory_domain_kill(d);
	assert_true(domain_frame_release(d, m));
	/* The frame stays as long as it is mapped, and with it the domain. */
	assert_int_equal(mfn_to_page(m)->state, PAGE_DOMAIN);
	assert_int_equal(d->tot_pages, 64);
	assert_int_equal(d->refs, 2);
	*(uint32_t *)fixture_page(d0, 500) = 7;
	assert_int_equal(drop(DOMID_SELF, 500), 0);
	assert_int_equal(mfn_to_page(m)->state, PAGE_FREE);
	assert_int_equal(d->tot_pages, 63);
	assert_int_equal(d->refs, 1);
	memory_domain_free(d);
}

static void mapper_of_foreign_pages_dies(void **state)
{
	struct domain *d = memory_domain(5);
	unsigned restarts = 0;

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(physmap_set_foreign(d, gfn_from(100 + i * 32), d1, gfn_from(i)),
				 0);
	assert_int_equal(d->foreign_maps, 60);
	d->dying = DOMAIN_DYING;
	assert_int_equal(physmap_set_foreign(d, gfn_from(90), d1, gfn_from(1)), -EINVAL);
	fixture_yield_every = 1;
	while (physmap_domain_release(d) == -ERESTART)
		restarts++;
	assert_true(restarts >= 2);
	assert_int_equal(d->foreign_maps, 0);
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(mfn_to_page(fixture_mfn(d1, i))->count, 1);
	fixture_yield_every = 0;
	memory_domain_free(d);
}

static void remove_page(void **state)
{
	(void)state;
	assert_int_equal(drop(0, 5), -EPERM);
	assert_int_equal(drop(9, 5), -ESRCH);
	assert_int_equal(drop(DOMID_SELF, 1000), -ENOENT);
	assert_int_equal(p2m_set(d1, gfn_from(300), mfn_from(7), 0, P2M_MMIO), 0);
	assert_int_equal(drop(DOMID_SELF, 300), -ENOENT);
	assert_int_equal(drop(DOMID_SELF, 5), 0);
	assert_int_equal(fixture_type(d1, 5), P2M_NONE);
	assert_int_equal(d1->tot_pages, 64);
}

/* ---- Memory map ---- */

static void memory_map(void **state)
{
	struct memory_map_entry e[3] = {{0, 0xa0000, 1},
					{0xf0000, 0x10000, 2},
					{0x100000, 1 << 20, 1}};
	struct xen_memory_map op = {.nr_entries = 10};
	struct {
		uint32_t nr, buffer;
	} op32 = {2, FIXTURE_BUF};

	(void)state;
	op.buffer.p = (void *)FIXTURE_BUF;
	assert_int_equal(call(XENMEM_memory_map, &op, sizeof(op)), -ENOSYS);
	assert_int_equal(memory_map_set(d1, e, MEMORY_MAP_MAX + 1), -E2BIG);
	assert_int_equal(memory_map_set(d1, e, 3), 0);
	assert_int_equal(call(XENMEM_memory_map, &op, sizeof(op)), 0);
	assert_int_equal(op.nr_entries, 3);
	assert_memory_equal(buf64(), e, sizeof(e));
	memset(buf64(), 0, 100);
	assert_int_equal(call32(XENMEM_memory_map, &op32, sizeof(op32)), 0);
	assert_int_equal(op32.nr, 2);
	assert_memory_equal(buf64(), e, 40);
	assert_int_equal(((char *)buf64())[40], 0);
	op.buffer.p = (void *)FIXTURE_FAULT;
	assert_int_equal(call(XENMEM_memory_map, &op, sizeof(op)), -EFAULT);
	assert_int_equal(memory_map_set(d1, e, 0), 0);
	assert_int_equal(call(XENMEM_memory_map, &op, sizeof(op)), -ENOSYS);
	for (int n = 0; n < 2; n++) {
		fake_heap_fail_after = n;
		assert_int_equal(memory_map_set(d0, e, 3), -ENOMEM);
	}
}

static void set_memory_map(void **state)
{
	struct memory_map_entry e[2] = {{0, 0xa0000, 1}, {0x100000, 1 << 20, 1}};
	struct xen_foreign_memory_map op = {.domid = 1, .map.nr_entries = 2};
	struct xen_memory_map get = {.nr_entries = 10};
	struct {
		uint16_t domid, pad;
		uint32_t nr, buffer;
	} op32 = {1, 0, 1, FIXTURE_BUF};

	(void)state;
	op.map.buffer.p = (void *)FIXTURE_BUF;
	get.buffer.p = (void *)(FIXTURE_BUF + 0x1000);
	memcpy(buf64(), e, sizeof(e));
	fixture_run(d0);
	assert_int_equal(call(XENMEM_set_memory_map, &op, sizeof(op)), 0);
	fixture_run(d1);
	assert_int_equal(call(XENMEM_memory_map, &get, sizeof(get)), 0);
	assert_int_equal(get.nr_entries, 2);
	assert_memory_equal(fake_guest_memory + FIXTURE_BUF + 0x1000, e, sizeof(e));
	fixture_run(d0);
	assert_int_equal(call32(XENMEM_set_memory_map, &op32, sizeof(op32)), 0);
	op.map.nr_entries = 1025;
	assert_int_equal(call(XENMEM_set_memory_map, &op, sizeof(op)), -EINVAL);
	op.map.nr_entries = 2;
	op.map.buffer.p = (void *)FIXTURE_FAULT;
	assert_int_equal(call(XENMEM_set_memory_map, &op, sizeof(op)), -EFAULT);
	op.domid = 9;
	assert_int_equal(call(XENMEM_set_memory_map, &op, sizeof(op)), -ESRCH);
	fixture_run(d1);
	op.domid = 0;
	assert_int_equal(call(XENMEM_set_memory_map, &op, sizeof(op)), -EPERM);
	get.nr_entries = 10;
	assert_int_equal(call(XENMEM_memory_map, &get, sizeof(get)), 0);
	assert_int_equal(get.nr_entries, 1);
}

static bool have_iommu;

bool iommu_present(void)
{
	return have_iommu;
}

void iommu_for_each_reserved(void (*fn)(uint64_t base, uint64_t end, void *arg), void *arg)
{
	fn(0x9f000, 0xa0000, arg);
	fn(0x7f000000, 0x7f000800, arg);
}

static void reserved_regions(void **state)
{
	struct xen_reserved_device_memory_map op = {.flags = XENMEM_RDM_ALL};
	struct {
		uint32_t flags, nr, buffer;
		uint8_t pci[4];
	} op32 = {XENMEM_RDM_ALL, 2, FIXTURE_BUF, {0}};

	(void)state;
	op.buffer.p = (void *)FIXTURE_BUF;
	have_iommu = false;
	assert_int_equal(call(XENMEM_reserved_device_memory_map, &op, sizeof(op)), 0);
	assert_int_equal(op.nr_entries, 0);
	have_iommu = true;
	assert_int_equal(call(XENMEM_reserved_device_memory_map, &op, sizeof(op)), -ENOBUFS);
	assert_int_equal(op.nr_entries, 2);
	assert_int_equal(call(XENMEM_reserved_device_memory_map, &op, sizeof(op)), 0);
	assert_true(buf64()[0] == 0x9f && buf64()[1] == 1);
	assert_true(buf64()[2] == 0x7f000 && buf64()[3] == 1);
	assert_int_equal(call32(XENMEM_reserved_device_memory_map, &op32, sizeof(op32)), 0);
	assert_true(buf32()[2] == 0x7f000 && buf32()[3] == 1);
	op.flags = 2;
	assert_int_equal(call(XENMEM_reserved_device_memory_map, &op, sizeof(op)), -EINVAL);
	op.flags = 0;
	op.nr_entries = 2;
	op.buffer.p = (void *)FIXTURE_FAULT;
	assert_int_equal(call(XENMEM_reserved_device_memory_map, &op, sizeof(op)), -EFAULT);
}

/* ---- acquire_resource ---- */

static void acquire(void **state)
{
	struct xen_mem_acquire_resource op = {.domid = 1, .type = XENMEM_resource_grant_table};
	struct {
		uint16_t domid, type;
		uint32_t id, nr, pad, frame_lo, frame_hi, list;
	} op32 = {1, XENMEM_resource_grant_table, 0, 0, 0, 0, 0, 0};
	mfn_t m;

	(void)state;
	fixture_run(d0);
	/* Size. */
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), 0);
	assert_int_equal(op.nr_frames, 4);
	assert_int_equal(call32(XENMEM_acquire_resource, &op32, sizeof(op32)), 0);
	assert_int_equal(op32.nr, 4);
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EINVAL); /* nr, no list */
	/* Frames 1 and 2 at gfns of the caller. */
	op.nr_frames = 2;
	op.frame = 1;
	op.frame_list.p = (void *)FIXTURE_BUF;
	buf64()[0] = 500;
	buf64()[1] = 600;
	fixture_yield_every = 1;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), 0);
	assert_int_equal(fixture_restarts, 1);
	fixture_yield_every = 0;
	assert_int_equal(grant_table_frame(d1, 2, false, &m), 0);
	assert_true(mfn_eq(fixture_mfn(d0, 600), m));
	assert_int_equal(fixture_type(d0, 600), P2M_FOREIGN);
	assert_int_equal(d0->foreign_maps, 2);
	op32.nr = 1;
	op32.list = FIXTURE_BUF;
	buf32()[0] = 601;
	assert_int_equal(call32(XENMEM_acquire_resource, &op32, sizeof(op32)), 0);
	assert_int_equal(fixture_type(d0, 601), P2M_FOREIGN);
	/* Part of it done. */
	op.frame = 0;
	buf64()[0] = 602;
	buf64()[1] = FIXTURE_GFNS;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EIO);
	buf64()[0] = FIXTURE_GFNS;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EINVAL);
	assert_int_equal(d0->foreign_maps, 4);
	/* Frames that there are not. */
	buf64()[0] = 603;
	op.frame = 4;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EINVAL);
	op.frame = 1UL << 32;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EINVAL);
	op.frame = UINT32_MAX;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EINVAL);
	op.frame = 0;
	op.id = XENMEM_resource_grant_table_id_status;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EINVAL);
	op.id = 0;
	op.pad = 1;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EINVAL);
	op.pad = 0;
	op.type = 7;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EOPNOTSUPP);
	op.type = XENMEM_resource_grant_table;
	assert_int_equal(call(XENMEM_acquire_resource | 2 << EXTENT_SHIFT, &op, sizeof(op)),
			 -EINVAL);
	op.frame_list.p = (void *)FIXTURE_FAULT;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EFAULT);
	op.domid = 9;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -ESRCH);
	op.domid = DOMID_SELF;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -ESRCH);
	op.domid = 0;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EPERM);
	/* Of no use to a guest: it is not even read. */
	fixture_run(d1);
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EACCES);
	op.pad = 1;
	assert_int_equal(call(XENMEM_acquire_resource, &op, sizeof(op)), -EACCES);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(unknown_calls),
		T(statistics),
		T(pod_target),
		T(populate),
		T(populate_large),
		T(populate_over_foreign),
		T(decrease),
		T(decrease_large),
		T(increase),
		T(reservation_arguments),
		T(reservation_preempted),
		T(reservation_compat),
		T(claims),
		T(claims_are_kept),
		T(shared_info),
		T(grant_frames),
		T(move),
		T(move_range),
		T(add_compat),
		T(foreign),
		T(foreign_errors),
		T(batch_preempted_and_compat),
		T(foreign_page_of_the_dead),
		T(mapper_of_foreign_pages_dies),
		T(remove_page),
		T(memory_map),
		T(set_memory_map),
		T(reserved_regions),
		T(acquire),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
