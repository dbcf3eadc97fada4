// SPDX-License-Identifier: GPL-2.0-or-later
// Calls of memory_op that map: add_to_physmap, foreign pages, resources; references and preemption.
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
#define T(f) cmocka_unit_test_setup_teardown(f, memory_setup, memory_teardown)
	const struct CMUnitTest tests[] = {
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
		T(acquire),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
