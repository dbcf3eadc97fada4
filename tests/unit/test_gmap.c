/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of long-lived mappings: references, and how seldom they make all CPUs flush. */
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/fake_x86.c hypervisor/arch/x86/gmap.c hypervisor/arch/x86/hvm/hvm_io.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arch/paging.h>
#include <arch/paging_init.h>
#include <bulkhead/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/gmap.h>
#include <bulkhead/p2m.h>
#include <bulkhead/time.h>
#include <bulkhead/work.h>

#include "fake_x86.h"

#define MAPS 1000U

static struct domain dom;
static unsigned references, mapped, ranges, flushes, queued;
static bool stale; /* something was unmapped since the last flush */
static enum p2m_type type;
static struct work *work;

bool page_get(mfn_t m, const struct domain *d)
{
	assert_ptr_equal(d, &dom);
	if (mfn_is_invalid(m))
		return false;
	references++;
	return true;
}

void page_put(mfn_t m)
{
	(void)m;
	/* No CPU can have it in its TLB any more. */
	assert_false(stale);
	assert_int_not_equal(references, 0);
	references--;
}

mfn_t p2m_get_page(struct domain *d, gfn_t gfn, bool write, enum p2m_type *ret_type)
{
	mfn_t m = mfn_from(gfn_raw(gfn) + 1);

	assert_true(write);
	*ret_type = type;
	return page_get(m, d) ? m : mfn_invalid();
}

void *vmap_pages(const mfn_t *frames, unsigned count, uint64_t prot)
{
	assert_int_equal(count, 1);
	assert_true(prot & PTE_NX);
	mapped++;
	ranges++;
	return (void *)(uintptr_t)((mfn_raw(*frames) + 1) * PAGE_SIZE);
}

void vmap_unmap(const volatile void *p, unsigned pages)
{
	assert_true(p && pages == 1);
	mapped--;
	stale = true;
}

void vmap_free_range(const volatile void *p, unsigned pages)
{
	assert_true(p && pages == 1);
	ranges--;
}

void tlb_flush_all(void)
{
	flushes++;
	stale = false;
}

void work_init(struct work *w, void (*fn)(struct work *w))
{
	w->fn = fn;
}

bool work_queue(struct work *w)
{
	work = w;
	queued++;
	return true;
}

static struct cpu cpu0 = {.self = &cpu0};

static int setup(void **state)
{
	(void)state;
	list_init(&dom.gmaps);
	type = P2M_RAM;
	references = mapped = ranges = flushes = queued = 0;
	work = NULL;
	return 0;
}

/* The main loop. */
static void run_work(void)
{
	struct work *w = work;

	work = NULL;
	if (w)
		w->fn(w);
}

static void pages_of_others_are_not_mapped(void **state)
{
	static const enum p2m_type others[] = {P2M_RAM_RO, P2M_FOREIGN, P2M_GRANT_RW, P2M_MMIO};
	struct gmap *m;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		type = others[i];
		assert_int_equal(gmap_create(&dom, gfn_from(5), GMAP_VCPU_INFO, &m), -EINVAL);
	}
	assert_int_equal(references, 0);
	assert_int_equal(mapped, 0);
}

/* It is out of the tables at once, and lives until all CPUs have flushed, which they do soon. */
static void one_goes(void **state)
{
	struct gmap *m;

	(void)state;
	assert_int_equal(gmap_create(&dom, gfn_from(5), GMAP_VCPU_INFO, &m), 0);
	assert_false(list_empty(&dom.gmaps));
	gmap_destroy(m);
	assert_true(list_empty(&dom.gmaps));
	assert_int_equal(mapped, 0);
	assert_int_equal(references, 1);
	assert_int_equal(ranges, 1);
	assert_int_equal(queued, 0);
	fake_time_pass(MSEC(1));
	run_work();
	assert_int_equal(flushes, 1);
	assert_int_equal(references, 0);
	assert_int_equal(ranges, 0);
	assert_int_equal(fake_heap_live, 0);
}

/* A guest that makes and ends them all the time does not interrupt all CPUs each time. */
static void many_share_a_flush(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MAPS; i++) {
		struct gmap *m;

		assert_int_equal(gmap_create(&dom, gfn_from(i), GMAP_FIFO_ARRAY, &m), 0);
		gmap_destroy(m);
		run_work();
	}
	assert_in_range(flushes, 1, MAPS / 50);
	/* Nor does it pin more than a few pages. */
	assert_in_range(references, 0, 64);
	fake_time_pass(MSEC(1));
	run_work();
	assert_int_equal(references, 0);
	assert_int_equal(ranges, 0);
	assert_int_equal(fake_heap_live, 0);
	assert_in_range(flushes, 1, MAPS / 50 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(pages_of_others_are_not_mapped, setup),
		cmocka_unit_test_setup(one_goes, setup),
		cmocka_unit_test_setup(many_share_a_flush, setup),
	};

	/* Once: the timer is that of all tests. */
	fake_reset();
	fake_this_cpu = &cpu0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
