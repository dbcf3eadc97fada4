/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of the guest-physical map: sizes, splitting, replacement, pool, and a random run against a model. */
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/fake_x86.c hypervisor/arch/x86/p2m.c hypervisor/arch/x86/hvm/hvm_io.c
// links: hypervisor/common/physmap.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arch/cpufeature.h>
#include <arch/p2m.h>
#include <arch/paging.h>
#include <arch/vendor.h>
#include <bulkhead/errno.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/iommu.h>
#include <bulkhead/mm.h>
#include <bulkhead/physmap.h>
#include <bulkhead/pod.h>

#include "fake_x86.h"

#define G1  (1UL << ORDER_1G)
#define G2M (1UL << ORDER_2M)

static struct domain *dom;
static unsigned cpu_flushes, iommu_flushes;
static unsigned flushed_with; /* live allocations at the last flush */
static bool yield, iommu_fails, iommu_keeps;
static struct page frames[64];
struct cpu_info cpu_info;
struct page *frame_table = frames;
uint64_t frame_count = ARRAY_SIZE(frames);

static void (*at_flush)(void);

static void count_flush(struct domain *d)
{
	assert_ptr_equal(d, dom);
	cpu_flushes++;
	flushed_with = fake_heap_live;
	if (at_flush)
		at_flush();
}

static const struct vendor_ops fake_vendor = {.name = "fake", .tlb_flush = count_flush};
const struct vendor_ops *vendor = &fake_vendor;

bool cpu_has(enum cpu_feature f)
{
	return f == CPU_PDPE1GB;
}

/* Asks to stop at every second opportunity. What is left by then can be walked. */
bool hypercall_should_yield(void)
{
	enum p2m_type t;

	for (uint64_t gfn = 0; gfn < 16 * G1; gfn += G2M / 2)
		(void)p2m_lookup(dom, gfn_from(gfn), &t);
	yield = !yield;
	return yield;
}

paddr_t heap_paddr(const void *p)
{
	return paddr_from((uintptr_t)p);
}

void *heap_ptr(paddr_t p)
{
	return (void *)(uintptr_t)paddr_raw(p);
}

int iommu_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, unsigned flags)
{
	(void)d, (void)gfn, (void)mfn, (void)order;
	if (iommu_fails)
		return -ENOMEM;
	return flags & IOMMU_READ ? 0 : -EINVAL;
}

bool iommu_is_dirty(struct domain *d)
{
	(void)d;
	return false;
}

int iommu_unmap(struct domain *d, gfn_t gfn, unsigned order)
{
	(void)d, (void)gfn, (void)order;
	return iommu_keeps ? -ENOMEM : 0;
}

void iommu_flush(struct domain *d, gfn_t gfn, uint64_t count)
{
	(void)d, (void)gfn, (void)count;
	iommu_flushes++;
}

bool page_get(mfn_t m, const struct domain *d)
{
	struct page *pg = &frames[mfn_raw(m)];

	if (pg->owner != d->id || !pg->count)
		return false;
	pg->count++;
	return true;
}

void page_get_again(mfn_t m)
{
	assert_true(frames[mfn_raw(m)].count);
	frames[mfn_raw(m)].count++;
}

void page_put(mfn_t m)
{
	assert_true(frames[mfn_raw(m)].count);
	frames[mfn_raw(m)].count--;
}

bool domain_frame_release(struct domain *d, mfn_t m)
{
	assert_ptr_equal(d, dom);
	page_put(m);
	return true;
}

bool pod_reclaim(struct domain *d, mfn_t mfn)
{
	(void)d, (void)mfn;
	return false;
}

/* ---- What populate-on-demand needs ---- */

static uint8_t contents[ARRAY_SIZE(frames)][PAGE_SIZE] __aligned(16);
static struct {
	mfn_t mfn;
	unsigned order;
} cache[8];
static unsigned cached, taken_back;

void *window_map(mfn_t m)
{
	return contents[mfn_raw(m)];
}

void window_unmap(const void *p)
{
	(void)p;
}

mfn_t pod_cache_take(struct domain *d, unsigned order)
{
	assert_ptr_equal(d, dom);
	for (unsigned i = 0; i < cached; i++) {
		if (cache[i].order == order) {
			mfn_t m = cache[i].mfn;

			cache[i] = cache[--cached];
			return m;
		}
	}
	return mfn_invalid();
}

void pod_cache_put(struct domain *d, mfn_t first, unsigned order)
{
	assert_ptr_equal(d, dom);
	assert_true(cached < ARRAY_SIZE(cache));
	cache[cached].mfn = first;
	cache[cached++].order = order;
	taken_back++;
}

bool pod_touch(struct domain *d, gfn_t gfn)
{
	return !p2m_populate(d, gfn);
}

static struct cpu cpu0 = {.self = &cpu0};

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_this_cpu = &cpu0;
	dom = calloc(1, sizeof(*dom));
	dom->id = 5;
	cpu_info.phys_bits = 40;
	assert_int_equal(p2m_init(dom), 0);
	assert_int_equal(p2m_pool_set(dom, 100000), 0);
	memset(frames, 0, sizeof(frames));
	memset(contents, 0, sizeof(contents));
	cpu_flushes = iommu_flushes = cached = taken_back = 0;
	iommu_fails = false;
	at_flush = NULL;
	return 0;
}

static int teardown(void **state)
{
	int ret;

	(void)state;
	while ((ret = p2m_release(dom)) == -ERESTART)
		;
	assert_int_equal(ret, 0);
	assert_int_equal(dom->arch.p2m.pool_used, 0);
	assert_int_equal(fake_heap_live, 0);
	free(dom);
	return 0;
}

static void expect(uint64_t gfn, uint64_t mfn, enum p2m_type type)
{
	enum p2m_type t;
	mfn_t m = p2m_lookup(dom, gfn_from(gfn), &t);

	assert_int_equal(t, type);
	if (type == P2M_NONE)
		assert_true(mfn_is_invalid(m));
	else
		assert_int_equal(mfn_raw(m), mfn);
}

static int set(uint64_t gfn, uint64_t mfn, unsigned order, enum p2m_type type)
{
	return p2m_set(dom, gfn_from(gfn), mfn_from(mfn), order, type);
}

static void every_size(void **state)
{
	(void)state;
	assert_int_equal(set(7, 1234, ORDER_4K, P2M_RAM), 0);
	assert_int_equal(set(G2M, 3 * G2M, ORDER_2M, P2M_RAM), 0);
	assert_int_equal(set(2 * G1, 5 * G1, ORDER_1G, P2M_MMIO), 0);
	expect(7, 1234, P2M_RAM);
	expect(8, 0, P2M_NONE);
	expect(G2M + 77, 3 * G2M + 77, P2M_RAM);
	expect(2 * G1 + 4242, 5 * G1 + 4242, P2M_MMIO);
	assert_int_equal(gfn_raw(p2m_max_gfn(dom)), 3 * G1 - 1);
	assert_int_equal(cpu_flushes, 0); /* nothing was replaced */
}

static void bad_arguments(void **state)
{
	(void)state;
	assert_int_equal(set(1, 0, ORDER_2M, P2M_RAM), -EINVAL);
	assert_int_equal(set(0, 1, ORDER_2M, P2M_RAM), -EINVAL);
	assert_int_equal(set(0, 0, 3, P2M_RAM), -EINVAL);
	assert_int_equal(set(1UL << (40 - PAGE_SHIFT), 0, ORDER_4K, P2M_RAM), -EINVAL);
	expect(1UL << 40, 0, P2M_NONE);
	expect(~0UL, 0, P2M_NONE);
}

/* An address of a CPU with more than 48 bits is not taken for one that four levels of tables have. */
static void gfns_beyond_the_tables(void **state)
{
	(void)state;
	cpu_info.phys_bits = 52;
	assert_int_equal(set(7, 1234, ORDER_4K, P2M_GRANT_RW), 0);
	assert_int_equal(set((1UL << 36) + 7, 99, ORDER_4K, P2M_RAM), -EINVAL);
	assert_int_equal(set(1UL << 39, 0, ORDER_1G, P2M_RAM), -EINVAL);
	assert_int_equal(set((1UL << 36) - 1, 5, ORDER_4K, P2M_RAM), 0);
	expect(7, 1234, P2M_GRANT_RW);
	expect((1UL << 36) + 7, 0, P2M_NONE);
	expect((1UL << 36) - 1, 5, P2M_RAM);
}

static void superpages_split_and_are_replaced(void **state)
{
	uint64_t used;

	(void)state;
	assert_int_equal(set(0, G1, ORDER_1G, P2M_RAM), 0);
	used = dom->arch.p2m.pool_used;
	assert_int_equal(set(G2M + 3, 9, ORDER_4K, P2M_RAM_RO), 0);
	assert_int_equal(cpu_flushes, 1);
	expect(G2M + 2, G1 + G2M + 2, P2M_RAM);
	expect(G2M + 3, 9, P2M_RAM_RO);
	expect(G2M + 4, G1 + G2M + 4, P2M_RAM);
	expect(G1 - 1, 2 * G1 - 1, P2M_RAM);
	assert_int_equal(dom->arch.p2m.pool_used, used + 2);
	/* A superpage over it takes the tables away again. */
	assert_int_equal(set(0, 3 * G1, ORDER_1G, P2M_RAM), 0);
	expect(G2M + 3, 3 * G1 + G2M + 3, P2M_RAM);
	assert_int_equal(dom->arch.p2m.pool_used, used);
}

/* What holds references is left to those who drop them; device memory goes around it. */
static void device_memory_replaces_no_memory(void **state)
{
	static const enum p2m_type others[] = {P2M_RAM,	     P2M_RAM_RO,  P2M_GRANT_RW,
					       P2M_GRANT_RO, P2M_FOREIGN, P2M_SPECIAL};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		assert_int_equal(set(G2M + 5, 9, ORDER_4K, others[i]), 0);
		assert_int_equal(set(G2M + 5, 5, ORDER_4K, P2M_MMIO), -EBUSY);
		assert_int_equal(set(G2M, G2M, ORDER_2M, P2M_MMIO), -EBUSY);
		assert_int_equal(set(0, 0, ORDER_1G, P2M_MMIO), -EBUSY);
		assert_int_equal(p2m_clear_mmio(dom, gfn_from(G2M + 5), ORDER_4K), -EBUSY);
		assert_int_equal(p2m_clear_mmio(dom, gfn_from(0), ORDER_1G), -EBUSY);
		expect(G2M + 5, 9, others[i]);
	}
	assert_int_equal(p2m_clear(dom, gfn_from(G2M + 5), ORDER_4K), 0);
	assert_int_equal(set(G2M, G2M, ORDER_2M, P2M_MMIO), 0);
	assert_int_equal(set(0, 0, ORDER_1G, P2M_MMIO), 0);
	assert_int_equal(p2m_clear_mmio(dom, gfn_from(G2M), ORDER_2M), 0);
	expect(G2M + 5, 0, P2M_NONE);
	expect(G2M - 1, G2M - 1, P2M_MMIO);
	assert_int_equal(p2m_clear_mmio(dom, gfn_from(0), ORDER_1G), 0);
	expect(G2M - 1, 0, P2M_NONE);
	/* Memory that waits for its frame is memory, too. */
	assert_int_equal(set(0, 0, ORDER_2M, P2M_POD), 0);
	assert_int_equal(set(5, 5, ORDER_4K, P2M_MMIO), -EBUSY);
	assert_int_equal(p2m_clear_mmio(dom, gfn_from(0), ORDER_2M), -EBUSY);
	assert_int_equal(p2m_pod_entries(dom), 512);
}

static void clearing_makes_no_tables(void **state)
{
	uint64_t used = dom->arch.p2m.pool_used;

	(void)state;
	assert_int_equal(p2m_clear(dom, gfn_from(12345), ORDER_4K), 0);
	assert_int_equal(dom->arch.p2m.pool_used, used);
	assert_int_equal(set(0, 0, ORDER_2M, P2M_RAM), 0);
	assert_int_equal(p2m_clear(dom, gfn_from(0), ORDER_2M), 0);
	expect(0, 0, P2M_NONE);
	assert_int_equal(cpu_flushes, 1);
}

/* What the release has gone past it does not find again: so nothing is added, and what is there can still go. */
static void nothing_new_for_the_dying(void **state)
{
	uint64_t used;

	(void)state;
	assert_int_equal(set(0, 0, ORDER_2M, P2M_RAM), 0);
	used = dom->arch.p2m.pool_used;
	dom->dying = DOMAIN_DYING;
	assert_int_equal(set(G1, 5, ORDER_4K, P2M_FOREIGN), -EINVAL);
	assert_int_equal(set(0, 7, ORDER_4K, P2M_RAM), -EINVAL);
	assert_int_equal(dom->arch.p2m.pool_used, used);
	expect(0, 0, P2M_RAM);
	assert_int_equal(set(0, 0, ORDER_2M, P2M_NONE), 0);
	expect(0, 0, P2M_NONE);
}

static void pool_is_a_limit(void **state)
{
	(void)state;
	assert_int_equal(p2m_pool_set(dom, dom->arch.p2m.pool_used + 2), 0);
	assert_int_equal(set(0, 0, ORDER_4K, P2M_RAM), -ENOMEM);
	assert_int_equal(p2m_pool_set(dom, 4), 0);
	assert_int_equal(set(0, 0, ORDER_4K, P2M_RAM), 0);
	assert_int_equal(set(4 * G1, 0, ORDER_4K, P2M_RAM), -ENOMEM);
	expect(0, 0, P2M_RAM);
	/* Less than is in use: what is free goes back. */
	assert_int_equal(p2m_pool_set(dom, 8), 0);
	assert_int_equal(p2m_pool_set(dom, 1), 0);
	assert_int_equal(p2m_pool_get(dom), 4);
}

static void a_batch_flushes_once(void **state)
{
	(void)state;
	dom->iommu = (struct iommu_domain *)dom; /* only its presence counts */
	p2m_batch_begin(dom);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(set(i, i, ORDER_4K, P2M_RAM), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(p2m_clear(dom, gfn_from(i), ORDER_4K), 0);
	assert_int_equal(cpu_flushes + iommu_flushes, 0);
	p2m_batch_end(dom);
	assert_int_equal(cpu_flushes, 1);
	assert_int_equal(iommu_flushes, 1);
	dom->iommu = NULL;
}

/* Frames that another CPU takes away go back at once: its changes cannot wait for the end of this CPU's batch. */
static void a_batch_is_of_one_cpu(void **state)
{
	struct cpu *here = fake_this_cpu, other = {.id = 1};

	(void)state;
	dom->iommu = (struct iommu_domain *)dom;
	assert_int_equal(set(0, 0, ORDER_4K, P2M_RAM), 0);
	assert_int_equal(set(1, 1, ORDER_4K, P2M_RAM), 0);
	assert_int_equal(set(2, 2, ORDER_4K, P2M_RAM), 0);
	cpu_flushes = iommu_flushes = 0;
	assert_false(p2m_in_batch());
	p2m_batch_begin(dom);
	assert_int_equal(p2m_clear(dom, gfn_from(0), ORDER_4K), 0);
	assert_int_equal(cpu_flushes, 0);
	assert_true(p2m_in_batch());
	other.self = &other;
	fake_this_cpu = &other;
	assert_false(p2m_in_batch());
	assert_int_equal(p2m_clear(dom, gfn_from(1), ORDER_4K), 0);
	assert_int_equal(cpu_flushes, 1);
	assert_int_equal(iommu_flushes, 1);
	p2m_batch_begin(dom);
	assert_int_equal(p2m_clear(dom, gfn_from(2), ORDER_4K), 0);
	p2m_batch_end(dom);
	assert_int_equal(cpu_flushes, 2);
	assert_int_equal(iommu_flushes, 2);
	fake_this_cpu = here;
	p2m_batch_end(dom);
	assert_int_equal(cpu_flushes, 3);
	assert_false(p2m_in_batch());
	dom->iommu = NULL;
}

/* Until CPUs have forgotten a table that was replaced, it may not become anything else. */
static void a_batch_keeps_tables(void **state)
{
	unsigned live, used;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(set(i * G2M, i * G2M, ORDER_4K, P2M_RAM), 0);
	live = fake_heap_live;
	used = dom->arch.p2m.pool_used;
	p2m_batch_begin(dom);
	p2m_batch_begin(dom);
	/* One table goes by a larger page over it, both of a level and what is left by the largest. */
	assert_int_equal(set(0, 0, ORDER_2M, P2M_RAM), 0);
	assert_int_equal(set(0, 0, ORDER_1G, P2M_RAM), 0);
	assert_int_equal(fake_heap_live, live);
	p2m_batch_end(dom);
	assert_int_equal(fake_heap_live, live);
	assert_int_equal(cpu_flushes, 0);
	flushed_with = 0;
	p2m_batch_end(dom);
	assert_int_equal(cpu_flushes, 1);
	/* The flush came before. */
	assert_int_equal(flushed_with, live);
	assert_int_equal(fake_heap_live, live - 3);
	assert_int_equal(dom->arch.p2m.pool_used, used - 3);
	expect(G2M + 7, G2M + 7, P2M_RAM);
}

/* An IOMMU mapping that got half-way has changed something, too. */
static void a_failed_change_is_flushed(void **state)
{
	(void)state;
	dom->iommu = (struct iommu_domain *)dom;
	iommu_fails = true;
	assert_int_equal(set(0, 0, ORDER_2M, P2M_RAM), -ENOMEM);
	assert_int_equal(iommu_flushes, 1);
	p2m_batch_begin(dom);
	assert_int_equal(set(0, 0, ORDER_2M, P2M_RAM), -ENOMEM);
	assert_int_equal(iommu_flushes, 1);
	p2m_batch_end(dom);
	assert_int_equal(iommu_flushes, 2);
	iommu_fails = false;
	dom->iommu = NULL;
}

static void ranges_use_the_largest_pieces(void **state)
{
	(void)state;
	assert_int_equal(p2m_set_range(dom, gfn_from(G1 - 1), mfn_from(2 * G1 - 1), G1 + 2,
				       P2M_MMIO),
			 0);
	expect(G1 - 2, 0, P2M_NONE);
	expect(G1 - 1, 2 * G1 - 1, P2M_MMIO);
	expect(G1 + 5, 2 * G1 + 5, P2M_MMIO);
	expect(2 * G1, 3 * G1, P2M_MMIO);
	expect(2 * G1 + 1, 0, P2M_NONE);
	/* Root, one level-3 table, and level 2 and 1 on both sides of the 1 GiB leaf. */
	assert_int_equal(dom->arch.p2m.pool_used, 6);
}

/* A block of RAM that lies in two tables, with room for the first one only. */
static int ram_without_room(uint64_t gfn, uint64_t mfn, unsigned order, unsigned tables)
{
	struct physmap_batch b;
	int rc;

	assert_int_equal(p2m_pool_set(dom, dom->arch.p2m.pool_used + tables), 0);
	physmap_begin(&b, dom);
	rc = physmap_set_ram(&b, gfn_from(gfn), mfn_from(mfn), order);
	physmap_end(&b);
	return rc;
}

/* What was mapped before it failed goes: the caller gives the frames back. No table is left to split a large entry. */
static void ram_that_does_not_fit_is_taken_out(void **state)
{
	enum p2m_type t;

	(void)state;
	assert_int_equal(ram_without_room(G1 - G2M, 2 * G1, ORDER_2M + 1, 2), -ENOMEM);
	for (uint64_t gfn = G1 - G2M; gfn < G1 + G2M; gfn++) {
		assert_true(mfn_is_invalid(p2m_lookup(dom, gfn_from(gfn), &t)));
		assert_int_equal(t, P2M_NONE);
	}
}

/* If it cannot go, the frame is nobody else's, either. */
static void ram_that_stays_is_kept(void **state)
{
	enum p2m_type t;

	(void)state;
	for (unsigned i = 8; i < 10; i++) {
		frames[i].owner = dom->id;
		frames[i].count = 1;
	}
	dom->iommu = (struct iommu_domain *)dom; /* not looked at */
	iommu_keeps = true;
	assert_int_equal(ram_without_room(G2M - 1, 8, 1, 3), -ENOMEM);
	iommu_keeps = false;
	dom->iommu = NULL;
	assert_int_equal(mfn_raw(p2m_lookup(dom, gfn_from(G2M - 1), &t)), 8);
	assert_int_equal(frames[8].count, 2);
	assert_int_equal(frames[9].count, 1);
	(void)p2m_lookup(dom, gfn_from(G2M), &t);
	assert_int_equal(t, P2M_NONE);
}

static void page_references(void **state)
{
	enum p2m_type t;

	(void)state;
	frames[10] = (struct page){.state = PAGE_DOMAIN, .owner = 5, .count = 1};
	frames[11] = (struct page){.state = PAGE_DOMAIN, .owner = 9, .count = 1};
	assert_int_equal(set(1, 10, ORDER_4K, P2M_RAM), 0);
	assert_int_equal(set(2, 11, ORDER_4K, P2M_GRANT_RO), 0);
	assert_int_equal(set(3, 11, ORDER_4K, P2M_RAM),
			 0); /* an owner that does not fit: no reference */
	assert_int_equal(set(4, 12, ORDER_4K, P2M_MMIO), 0);
	assert_int_equal(mfn_raw(p2m_get_page(dom, gfn_from(1), true, &t)), 10);
	assert_int_equal(frames[10].count, 2);
	assert_int_equal(mfn_raw(p2m_get_page(dom, gfn_from(2), false, &t)), 11);
	assert_int_equal(frames[11].count, 2);
	assert_true(mfn_is_invalid(p2m_get_page(dom, gfn_from(2), true, &t)));
	assert_int_equal(t, P2M_GRANT_RO);
	assert_true(mfn_is_invalid(p2m_get_page(dom, gfn_from(3), false, &t)));
	assert_true(mfn_is_invalid(p2m_get_page(dom, gfn_from(4), false, &t)));
	assert_true(mfn_is_invalid(p2m_get_page(dom, gfn_from(5), false, &t)));
	assert_int_equal(t, P2M_NONE);
}

/* Entries as the CPU reads them (APM vol. 2 15.25): user always, writable by type, device memory not executable. */
static void pages_on_demand(void **state)
{
	enum p2m_type t;

	(void)state;
	assert_int_equal(set(0, 0, ORDER_1G, P2M_POD), 0);
	assert_int_equal(p2m_pod_entries(dom), G1);
	assert_int_equal(cpu_flushes, 0);
	assert_true(mfn_is_invalid(p2m_lookup(dom, gfn_from(77), &t)));
	assert_int_equal(t, P2M_POD);
	assert_int_equal(p2m_populate(dom, gfn_from(77)), -ENOSPC);
	pod_cache_put(dom, mfn_from(5), ORDER_4K);
	frames[5] = (struct page){.state = PAGE_DOMAIN, .owner = 5, .count = 1};
	/* A single frame: the entry becomes smaller ones. */
	assert_int_equal(mfn_raw(p2m_get_page(dom, gfn_from(77), true, &t)), 5);
	assert_int_equal(t, P2M_RAM);
	expect(77, 5, P2M_RAM);
	assert_int_equal(p2m_pod_entries(dom), G1 - 1);
	assert_true(mfn_is_invalid(p2m_get_page(dom, gfn_from(78), true, &t)));
	assert_int_equal(t, P2M_POD);
	/* 2 MiB of frames for 2 MiB of pages. */
	pod_cache_put(dom, mfn_from(4 * G2M), ORDER_2M);
	assert_int_equal(p2m_populate(dom, gfn_from(3 * G2M + 9)), 0);
	expect(3 * G2M + 1, 4 * G2M + 1, P2M_RAM);
	assert_int_equal(p2m_pod_entries(dom), G1 - 1 - G2M);
	assert_int_equal(p2m_populate(dom, gfn_from(3 * G2M + 9)), 0);
	/* None of it ever was in a TLB. */
	assert_int_equal(cpu_flushes, 0);

	assert_int_equal(p2m_clear_pod(dom, gfn_from(77), ORDER_4K), -EAGAIN);
	assert_int_equal(p2m_clear_pod(dom, gfn_from(78), ORDER_2M), -EAGAIN);
	assert_int_equal(p2m_clear_pod(dom, gfn_from(78), ORDER_4K), 0);
	assert_int_equal(p2m_clear_pod(dom, gfn_from(8 * G2M), ORDER_2M), 0);
	assert_int_equal(p2m_pod_entries(dom), G1 - 2 - 2 * G2M);
	/* Clearing a part of a large one makes tables for the rest. */
	assert_int_equal(p2m_clear(dom, gfn_from(9 * G2M + 1), ORDER_4K), 0);
	assert_int_equal(p2m_pod_entries(dom), G1 - 3 - 2 * G2M);
	expect(9 * G2M + 1, 0, P2M_NONE);
	/* And what replaces tables replaces all that is in them. */
	assert_int_equal(p2m_clear(dom, gfn_from(0), ORDER_1G), 0);
	assert_int_equal(p2m_pod_entries(dom), 0);
}

static void without_tables_no_pages(void **state)
{
	(void)state;
	assert_int_equal(set(0, 0, ORDER_1G, P2M_POD), 0);
	assert_int_equal(p2m_pool_set(dom, 0), 0);
	pod_cache_put(dom, mfn_from(5), ORDER_4K);
	assert_int_equal(p2m_populate(dom, gfn_from(1)), -ENOMEM);
	assert_int_equal(cached, 1);
	assert_int_equal(p2m_pod_entries(dom), G1);
	/* Devices cannot wait for a page. */
	dom->iommu = (struct iommu_domain *)&frames;
	assert_int_equal(set(G1, 0, ORDER_1G, P2M_POD), -EOPNOTSUPP);
	dom->iommu = NULL;
}

static void late_write(void)
{
	contents[11][4095] = 1;
}

static void sweep_takes_zeros(void **state)
{
	gfn_t next;

	(void)state;
	for (unsigned i = 10; i < 16; i++) {
		frames[i] = (struct page){.state = PAGE_DOMAIN, .owner = 5, .count = 1};
		assert_int_equal(set(i, i, ORDER_4K, P2M_RAM), 0);
	}
	contents[10][4088] = 1;
	frames[12].count = 2;
	frames[13].owner = 6;
	frames[14].state = PAGE_SPECIAL;
	/* 11 is written to by a vCPU that still had it in its TLB when it was looked at. */
	at_flush = late_write;
	assert_int_equal(p2m_pod_sweep(dom, gfn_from(0), 100, &next), 1);
	assert_true(gfn_raw(next) > 15);
	for (unsigned i = 10; i < 15; i++)
		expect(i, i, P2M_RAM);
	assert_true(cpu_flushes);
	assert_int_equal(cached, 1);
	assert_int_equal(mfn_raw(cache[0].mfn), 15);
	assert_int_equal(p2m_pod_entries(dom), 1);
	/* By steps. */
	assert_int_equal(p2m_pod_sweep(dom, gfn_from(10), 2, &next), 0);
	assert_int_equal(gfn_raw(next), 12);
}

static void entry_bits(void **state)
{
	uint64_t *l4 = dom->arch.p2m.root, *l3, *l2, *l1;

	(void)state;
	assert_int_equal(set(0, 5, ORDER_4K, P2M_RAM), 0);
	assert_int_equal(set(1, 6, ORDER_4K, P2M_GRANT_RO), 0);
	assert_int_equal(set(2, 7, ORDER_4K, P2M_MMIO), 0);
	l3 = heap_ptr(paddr_from(l4[0] & PTE_ADDR));
	l2 = heap_ptr(paddr_from(l3[0] & PTE_ADDR));
	l1 = heap_ptr(paddr_from(l2[0] & PTE_ADDR));
	assert_int_equal(l1[0] & (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_NX),
			 PTE_PRESENT | PTE_WRITE | PTE_USER);
	assert_int_equal(l1[1] & (PTE_PRESENT | PTE_WRITE | PTE_USER), PTE_PRESENT | PTE_USER);
	assert_int_equal(l1[2] & PTE_NX, PTE_NX);
	assert_int_equal(l1[3], 0);
}

#define MODEL (4 * G2M)

static void random_run(void **state)
{
	static struct {
		uint64_t mfn;
		enum p2m_type type;
	} model[MODEL];

	(void)state;
	memset(model, 0, sizeof(model));
	srand(3);
	for (unsigned step = 0; step < 3000; step++) {
		unsigned order = rand() % 8 ? ORDER_4K : ORDER_2M;
		uint64_t gfn = ((uint64_t)rand() % MODEL) & ~(BIT(order) - 1);
		uint64_t mfn = ((uint64_t)rand() % 100000) & ~(BIT(order) - 1);
		enum p2m_type type = (enum p2m_type)(rand() % 4);
		bool in_use = false;

		for (uint64_t i = 0; type == P2M_MMIO && i < BIT(order); i++)
			in_use |= model[gfn + i].type != P2M_NONE &&
				  model[gfn + i].type != P2M_MMIO;
		assert_int_equal(type == P2M_NONE ? p2m_clear(dom, gfn_from(gfn), order)
						  : set(gfn, mfn, order, type),
				 in_use ? -EBUSY : 0);
		for (uint64_t i = 0; !in_use && i < BIT(order); i++) {
			model[gfn + i].mfn = mfn + i;
			model[gfn + i].type = type;
		}
		for (unsigned k = 0; k < 16; k++) {
			uint64_t g = (uint64_t)rand() % MODEL;

			expect(g, model[g].mfn, model[g].type);
		}
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(every_size),
		T(bad_arguments),
		T(gfns_beyond_the_tables),
		T(superpages_split_and_are_replaced),
		T(device_memory_replaces_no_memory),
		T(clearing_makes_no_tables),
		T(nothing_new_for_the_dying),
		T(pool_is_a_limit),
		T(a_batch_flushes_once),
		T(a_batch_is_of_one_cpu),
		T(a_batch_keeps_tables),
		T(a_failed_change_is_flushed),
		T(ranges_use_the_largest_pieces),
		T(ram_that_does_not_fit_is_taken_out),
		T(ram_that_stays_is_kept),
		T(page_references),
		T(pages_on_demand),
		T(without_tables_no_pages),
		T(sweep_takes_zeros),
		T(entry_bits),
		T(random_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
