// SPDX-License-Identifier: GPL-2.0-or-later
// memory_op: every operation in both layouts, error codes, reservations, claims, memory maps, preemption.
// links: hypervisor/common/memory_op.c hypervisor/common/memory_map.c hypervisor/common/memory_resv.c
// links: hypervisor/common/memory_physmap.c hypervisor/common/physmap.c hypervisor/common/page_owner.c hypervisor/common/pod.c
// links: hypervisor/common/grant.c hypervisor/common/grant_map.c
// links: hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c tests/unit/memory_fixture.c
#include "memory_fixture.h"

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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, memory_setup, memory_teardown)
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
		T(memory_map),
		T(set_memory_map),
		T(reserved_regions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
