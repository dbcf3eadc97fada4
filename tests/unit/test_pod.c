// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of populate-on-demand: the cache and its size, frames for pages and back, zeros that are taken back, the end.
// links: hypervisor/common/memory_op.c hypervisor/common/memory_map.c hypervisor/common/memory_resv.c
// links: hypervisor/common/memory_physmap.c hypervisor/common/physmap.c hypervisor/common/page_owner.c
// links: hypervisor/common/grant.c hypervisor/common/grant_map.c hypervisor/common/pod.c
// links: hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c
#include "domain_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xen/memory.h>

#include <bulkhead/errno.h>
#include <bulkhead/iommu.h>
#include <bulkhead/memory.h>
#include <bulkhead/pod.h>

#define BLOCK 512u

static struct domain *d0, *d1;
/* No devices. */
void iommu_for_each_reserved(void (*fn)(uint64_t base, uint64_t end, void *arg), void *arg)
{
	(void)fn;
	(void)arg;
}

static int setup(void **state)
{
	(void)state;
	fixture_init();
	d0 = fixture_domain(0, 1);
	d1 = fixture_domain(1, 1);
	d1->max_pages = 1000;
	fixture_run(d0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fixture_yield_every = 0;
	memory_domain_finish(d0);
	memory_domain_finish(d1);
	fixture_domain_free(d1);
	fixture_domain_free(d0);
	fixture_finish();
	return 0;
}

static int64_t set_target(uint64_t pages, struct xen_pod_target *ret)
{
	*ret = (struct xen_pod_target){.domid = 1, .target_pages = pages};
	return fixture_call_list(hypercall_memory_op, XENMEM_set_pod_target, ret, sizeof(*ret), 0,
				 false);
}

static int64_t reserve(unsigned op, domid_t domid, uint64_t gfn, unsigned order, unsigned flags)
{
	struct xen_memory_reservation r = {.extent_start.p = (void *)FIXTURE_BUF,
					   .nr_extents = 1,
					   .extent_order = order,
					   .mem_flags = flags,
					   .domid = domid};

	memcpy(fake_guest_memory + FIXTURE_BUF, &gfn, sizeof(gfn));
	return fixture_call(hypercall_memory_op, op, &r, sizeof(r));
}

static int64_t mark(uint64_t gfn, unsigned order)
{
	return reserve(XENMEM_populate_physmap, 1, gfn, order, XENMEMF_populate_on_demand);
}

static int64_t give(uint64_t gfn, unsigned order)
{
	return reserve(XENMEM_decrease_reservation, 1, gfn, order, 0);
}

/* Of 1024 pages that it sees it has so many. */
static void promise(uint64_t target)
{
	struct xen_pod_target t;

	assert_int_equal(set_target(target, &t), 0);
	assert_int_equal(mark(0, ORDER_2M), 1);
	assert_int_equal(mark(BLOCK, ORDER_2M), 1);
}

static void expect(uint64_t pages, uint64_t cache, uint64_t entries)
{
	struct xen_pod_target t = {.domid = 1};

	assert_int_equal(fixture_call(hypercall_memory_op, XENMEM_get_pod_target, &t, sizeof(t)),
			 0);
	assert_int_equal(t.tot_pages, pages);
	assert_int_equal(t.pod_cache_pages, cache);
	assert_int_equal(t.pod_entries, entries);
}

/* A vCPU touches it, and writes something that is not zero. */
static void use(uint64_t gfn)
{
	pod_fault(d1, gfn_from(gfn));
	assert_int_equal(fixture_type(d1, gfn), P2M_RAM);
	*(uint64_t *)fixture_page(d1, gfn) = gfn + 1;
}

static void creation_takes_the_target(void **state)
{
	struct xen_pod_target t;

	(void)state;
	fixture_yield_every = 2;
	assert_int_equal(set_target(700, &t), 0);
	assert_int_equal(t.tot_pages, 700);
	assert_int_equal(t.pod_cache_pages, 700);
	assert_true(fixture_restarts);
	fixture_yield_every = 0;
	assert_int_equal(mark(0, ORDER_2M), 1);
	assert_int_equal(mark(BLOCK, ORDER_2M), 1);
	expect(700, 700, 1024);
	/* Frames of its own beside it. */
	assert_int_equal(reserve(XENMEM_populate_physmap, 1, 1500, 0, 0), 1);
	expect(701, 700, 1024);
	assert_int_equal(frames_free_count(), FIXTURE_FRAMES - 701 - 2);
}

static void not_enough_memory(void **state)
{
	struct xen_pod_target t;

	(void)state;
	assert_int_equal(set_target(1001, &t), -EINVAL);
	d1->max_pages = 4000;
	assert_int_equal(set_target(3000, &t), -ENOMEM);
	assert_true(frames_free_count() < BLOCK);
}

static void pages_get_frames(void **state)
{
	enum p2m_type t;
	mfn_t m;

	(void)state;
	promise(600);
	use(3);
	use(700);
	pod_fault(d1, gfn_from(3)); /* another vCPU was faster */
	expect(600, 598, 1022);
	m = mfn_invalid();
	assert_true(pod_touch(d1, gfn_from(9)));
	m = p2m_lookup(d1, gfn_from(9), &t);
	assert_int_equal(t, P2M_RAM);
	assert_int_equal(mfn_to_page(m)->count, 1);
	expect(600, 597, 1021);
	/* A page that is moved gets one, too. */
	fixture_run(d1);
	assert_int_equal(fixture_call(hypercall_memory_op, XENMEM_add_to_physmap,
				      &(struct xen_add_to_physmap){.domid = DOMID_SELF,
								   .space = XENMAPSPACE_gmfn,
								   .idx = 20,
								   .gpfn = 1600},
				      sizeof(struct xen_add_to_physmap)),
			 0);
	assert_int_equal(fixture_type(d1, 1600), P2M_RAM);
	assert_int_equal(fixture_type(d1, 20), P2M_NONE);
	fixture_run(d0);
	expect(600, 596, 1020);
	assert_int_equal(fixture_crashes, 0);
}

static void marks_that_cannot_be(void **state)
{
	(void)state;
	fixture_ram(d1, 5, 1);
	assert_int_equal(mark(5, 0), 0);
	assert_int_equal(mark(0, ORDER_2M), 0);
	assert_int_equal(p2m_set(d1, gfn_from(6), mfn_from(4), 0, P2M_MMIO), 0);
	assert_int_equal(mark(6, 0), 0);
	assert_int_equal(mark(FIXTURE_GFNS, 0), 0);
	assert_int_equal(mark(~0UL, 1), 0);
	/* Its own it would never run out of. */
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, 1700, 0,
				 XENMEMF_populate_on_demand),
			 0);
	fixture_run(d1);
	assert_int_equal(reserve(XENMEM_populate_physmap, 0, 1700, 0, XENMEMF_populate_on_demand),
			 0);
	fixture_run(d0);
	expect(1, 0, 0);
	assert_int_equal(mark(7, 0), 1);
	assert_int_equal(mark(7, 0), 1);
	expect(1, 0, 1);
	assert_int_equal(p2m_clear(d1, gfn_from(6), 0), 0);
}

/* As long as more is promised than there is, what the balloon gives up fills the cache; then it is freed. */
static void the_balloon_gives_back(void **state)
{
	(void)state;
	promise(600);
	use(1);
	use(2);
	expect(600, 598, 1022);
	assert_int_equal(give(BLOCK, ORDER_2M), 1);
	assert_int_equal(fixture_type(d1, BLOCK), P2M_NONE);
	/* 512 entries less: 598 frames for 510 pages are too many. */
	expect(512, 510, 510);
	assert_int_equal(give(1, 0), 1);
	expect(511, 510, 510);
	assert_int_equal(give(4, 0), 1);
	expect(510, 509, 509);
	assert_int_equal(give(4, 0), 0);
}

static void used_pages_fill_the_cache(void **state)
{
	enum p2m_type t;
	mfn_t m;

	(void)state;
	promise(10);
	for (unsigned i = 0; i < 10; i++)
		use(i);
	expect(10, 0, 1014);
	m = p2m_lookup(d1, gfn_from(2), &t);
	assert_int_equal(give(2, 0), 1);
	expect(10, 1, 1014);
	use(900);
	/* The same frame, and clean. */
	assert_int_equal(mfn_raw(p2m_lookup(d1, gfn_from(900), &t)), mfn_raw(m));
	for (unsigned i = 8; i < PAGE_SIZE; i++)
		assert_int_equal(((uint8_t *)fixture_page(d1, 900))[i], 0);
	/* One that somebody refers to goes when he lets it go. */
	m = p2m_get_page(d1, gfn_from(3), false, &t);
	assert_int_equal(give(3, 0), 1);
	expect(10, 0, 1013);
	page_put(m);
	expect(9, 0, 1013);
	expect(9, 0, 1013);
}

/* Pages in which there is nothing are taken back; those that others refer to are not. */
static void zeros_are_taken_back(void **state)
{
	enum p2m_type t;
	mfn_t m = mfn_invalid();

	(void)state;
	promise(100);
	for (unsigned i = 0; i < 100; i++) {
		pod_fault(d1, gfn_from(i));
		if (i % 10)
			*(uint8_t *)fixture_page(d1, i) = 1;
		if (i == 50)
			m = p2m_get_page(d1, gfn_from(50), true, &t);
	}
	for (unsigned i = 0; fixture_type(d1, 600) == P2M_POD && i < 20; i++)
		pod_fault(d1, gfn_from(600));
	assert_int_equal(fixture_type(d1, 600), P2M_RAM);
	assert_int_equal(fixture_crashes, 0);
	assert_int_equal(fixture_type(d1, 50), P2M_RAM);
	assert_int_equal(fixture_type(d1, 0), P2M_POD);
	assert_int_equal(fixture_type(d1, 11), P2M_RAM);
	page_put(m);
}

static void without_any_it_crashes(void **state)
{
	(void)state;
	promise(64);
	for (unsigned i = 0; i < 64; i++)
		use(i);
	expect(64, 0, 960);
	for (unsigned i = 0; !fixture_crashes && i < 100; i++)
		pod_fault(d1, gfn_from(64));
	assert_int_equal(fixture_crashes, 1);
	assert_false(pod_touch(d1, gfn_from(64)));
	assert_int_equal(fixture_crashes, 2);
	/* Of a dying one nobody gets a page any more. */
	d1->dying = DOMAIN_DYING;
	assert_false(pod_touch(d1, gfn_from(65)));
	assert_int_equal(fixture_crashes, 2);
}

static void no_table_for_the_page(void **state)
{
	(void)state;
	promise(64);
	fixture_p2m_fail = 0;
	pod_fault(d1, gfn_from(0));
	assert_int_equal(fixture_crashes, 1);
	expect(64, 64, 1024);
}

static void targets_while_it_runs(void **state)
{
	struct xen_pod_target t;

	(void)state;
	promise(600);
	use(1);
	/* Less: its balloon does it. More: as many as there are entries. */
	assert_int_equal(set_target(300, &t), 0);
	expect(600, 599, 1023);
	assert_int_equal(set_target(650, &t), 0);
	expect(650, 649, 1023);
	assert_int_equal(give(BLOCK, ORDER_2M), 1);
	expect(512, 511, 511);
	assert_int_equal(set_target(900, &t), 0);
	expect(512, 511, 511);
	/* Without entries there is nothing to do. */
	assert_int_equal(give(0, ORDER_2M), 1);
	expect(0, 0, 0);
	fixture_ram(d1, 0, 3);
	assert_int_equal(set_target(900, &t), 0);
	expect(3, 0, 0);
}

static void only_who_controls_it(void **state)
{
	struct xen_pod_target t;

	(void)state;
	fixture_run(d1);
	assert_int_equal(set_target(10, &t), -EPERM);
}

/* RAM makes room for a page that is put in its place, with all that this does to the cache. */
static void replaced_pages_are_freed(void **state)
{
	struct xen_add_to_physmap op = {.domid = DOMID_SELF,
					.space = XENMAPSPACE_shared_info,
					.gpfn = 3};

	(void)state;
	fixture_ram(d1, 0, 10);
	fixture_run(d1);
	assert_int_equal(fixture_call(hypercall_memory_op, XENMEM_add_to_physmap, &op, sizeof(op)),
			 0);
	fixture_run(d0);
	expect(9, 0, 0);
	assert_int_equal(fixture_type(d1, 3), P2M_SPECIAL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(creation_takes_the_target), T(not_enough_memory),
		T(pages_get_frames),	      T(marks_that_cannot_be),
		T(the_balloon_gives_back),    T(used_pages_fill_the_cache),
		T(zeros_are_taken_back),      T(without_any_it_crashes),
		T(no_table_for_the_page),     T(targets_while_it_runs),
		T(only_who_controls_it),      T(replaced_pages_are_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
