// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the I/O page tables: both entry formats against a model, as software and as hardware see them.
// links: hypervisor/drivers/iommu/pgtable.c tests/unit/fake_iommu.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/addr.h>
#include <bulkhead/errno.h>
#include <bulkhead/iommu.h>

#include "../../hypervisor/drivers/iommu/machine.h"
#include "../../hypervisor/drivers/iommu/pgtable.h"
#include "fake_iommu.h"

struct list pci_devices = LIST_INIT(pci_devices);

/* The formats again, in the words of the manuals rather than of the drivers. */
static const struct iommu_pt_format vtd = {
	.present = 3,
	.read = 1,
	.write = 2,
	.address = 0x000ffffffffff000,
	.large_bits = 0x80,
	.table_bits = 3,
	.leaf_mask = 0x80,
	.leaf_value = 0x80,
};
static const struct iommu_pt_format amd = {
	.present = 1,
	.read = 1UL << 61,
	.write = 1UL << 62,
	.address = 0x000ffffffffff000,
	.leaf_bits = 1 | 1UL << 60,
	.table_bits = 1 | 3UL << 61,
	.level_shift = 9,
	.leaf_mask = 0xe00,
	.leaf_value = 0,
};

#define ALL_ORDERS (BIT(0) | BIT(9) | BIT(18))
#define RW	   (IOMMU_READ | IOMMU_WRITE)

struct translation {
	bool present;
	uint64_t mfn;
	unsigned flags;
};

/* VT-d 9.8: R, W, bit 7 large at levels 2 and 3, reserved there below the page size. */
static struct translation walk_vtd(uint64_t root, unsigned levels, uint64_t dfn)
{
	uint64_t table = root;
	unsigned flags = RW;

	for (unsigned level = levels; level >= 1; level--) {
		const uint64_t *t = fake_hardware_view((void *)table);
		uint64_t e = t[dfn >> 9 * (level - 1) & 511];

		if (!(e & 3))
			return (struct translation){.present = false};
		assert_int_equal(e & 0xfff0000000000f7cUL, 0);
		flags &= e & 3;
		if (level == 1 || (e & 0x80)) {
			uint64_t below = (1UL << 9 * (level - 1)) - 1, mfn = e << 12 >> 24;

			assert_true(level <= 3);
			assert_int_equal(mfn & below, 0);
			assert_true(level > 1 || !(e & 0x80));
			return (struct translation){true, mfn | (dfn & below), flags};
		}
		table = e & 0x000ffffffffff000UL;
	}
	return (struct translation){.present = false};
}

/* AMD 2.2.3: PR, next level in bits 11:9, IR and IW at every level. */
static struct translation walk_amd(uint64_t root, unsigned levels, uint64_t dfn)
{
	uint64_t table = root;
	unsigned flags = RW, level = levels;

	for (;;) {
		const uint64_t *t = fake_hardware_view((void *)table);
		uint64_t e = t[dfn >> 9 * (level - 1) & 511];
		unsigned next = e >> 9 & 7;

		if (!(e & 1))
			return (struct translation){.present = false};
		assert_int_equal(e & 0x8ff00000000001feUL & ~(1UL << 59), 0);
		flags &= e >> 61 & 3;
		if (next == 0) {
			uint64_t below = (1UL << 9 * (level - 1)) - 1, mfn = e << 12 >> 24;

			assert_int_equal(mfn & below, 0);
			return (struct translation){true, mfn | (dfn & below), flags};
		}
		assert_int_equal(next, level - 1);
		level = next;
		table = e & 0x000ffffffffff000UL;
	}
}

static struct translation walk(const struct iommu_pt *pt, uint64_t dfn)
{
	return pt->format == &vtd ? walk_vtd((uintptr_t)pt->root, pt->levels, dfn)
				  : walk_amd((uintptr_t)pt->root, pt->levels, dfn);
}

static void assert_maps(const struct iommu_pt *pt, uint64_t dfn, struct translation want)
{
	struct translation got = walk(pt, dfn);
	struct iommu_pt_leaf leaf;
	bool found = iommu_pt_walk(pt, dfn, &leaf);

	assert_int_equal(got.present, want.present);
	assert_int_equal(found, want.present);
	if (!want.present)
		return;
	assert_int_equal(got.mfn, want.mfn);
	assert_int_equal(got.flags, want.flags);
	assert_int_equal(leaf.mfn, want.mfn);
	assert_int_equal(leaf.flags, want.flags);
}

/* Tables below one, itself included. Tables but the root are neither empty nor replaceable by a leaf. */
static uint64_t check_table(const struct iommu_pt *pt, const uint64_t *t, unsigned level)
{
	uint64_t n = 1;
	unsigned used = 0, leaves = 0, in_row = 0;
	struct iommu_pt_leaf first = {0}, leaf;

	for (unsigned i = 0; i < 512; i++) {
		uint64_t e = t[i];

		if (!(e & pt->format->present)) {
			assert_int_equal(e, 0);
			continue;
		}
		used++;
		if (level > 1 && (e & pt->format->leaf_mask) != pt->format->leaf_value) {
			n += check_table(pt, (void *)(e & pt->format->address), level - 1);
			continue;
		}
		leaves++;
		leaf.mfn = (e & pt->format->address) >> 12;
		leaf.flags = (e & pt->format->read ? 1 : 0) | (e & pt->format->write ? 2 : 0);
		if (i == 0)
			first = leaf;
		in_row += leaf.mfn == first.mfn + ((uint64_t)i << 9 * (level - 1)) &&
			  leaf.flags == first.flags;
	}
	if (t == pt->root)
		return n;
	assert_true(used > 0);
	if (leaves == 512 && in_row == 512 && (pt->leaf_orders >> 9 * level & 1))
		assert_int_not_equal(first.mfn & ((1UL << 9 * level) - 1), 0);
	return n;
}

static void check_tree(const struct iommu_pt *pt)
{
	if (pt->pending_count == 0)
		assert_int_equal(check_table(pt, pt->root, pt->levels), pt->tables);
}

static void finish(struct iommu_pt *pt)
{
	while (iommu_pt_release(pt, 7) == -ERESTART)
		;
	assert_null(pt->root);
	assert_int_equal(fake_heap_live, 0);
}

static int teardown(void **state)
{
	(void)state;
	fake_heap_reset();
	return 0;
}

static const struct iommu_pt_format *const formats[] = {&vtd, &amd};

static void init(struct iommu_pt *pt, const struct iommu_pt_format *f, unsigned levels,
		 uint64_t orders)
{
	fake_shadowed = true;
	assert_int_equal(iommu_pt_init(pt, f, levels, orders, iommu_clean_cache), 0);
}

static void init_rejects(void **state)
{
	struct iommu_pt pt;

	(void)state;
	assert_int_equal(iommu_pt_init(&pt, &vtd, 2, ALL_ORDERS, NULL), -EINVAL);
	assert_int_equal(iommu_pt_init(&pt, &vtd, 7, ALL_ORDERS, NULL), -EINVAL);
	assert_int_equal(iommu_pt_init(&pt, &vtd, 4, BIT(9), NULL), -EINVAL);
	fake_heap_fail_after = 0;
	assert_int_equal(iommu_pt_init(&pt, &vtd, 4, ALL_ORDERS, NULL), -ENOMEM);
	fake_heap_fail_after = -1;
	/* 1G without 2M could not be split. */
	assert_int_equal(iommu_pt_init(&pt, &vtd, 4, BIT(0) | BIT(18), NULL), 0);
	assert_int_equal(pt.leaf_orders, BIT(0));
	finish(&pt);
}

static void arguments(void **state)
{
	unsigned effects = 0;
	struct iommu_pt pt;

	(void)state;
	init(&pt, &vtd, 3, ALL_ORDERS);
	assert_int_equal(iommu_pt_map(&pt, 1, 0, 9, RW, &effects), -EINVAL);
	assert_int_equal(iommu_pt_map(&pt, 0, 1, 9, RW, &effects), -EINVAL);
	assert_int_equal(iommu_pt_map(&pt, 0, 0, 1, RW, &effects), -EINVAL);
	assert_int_equal(iommu_pt_map(&pt, 0, 0, 27, RW, &effects), -EINVAL);
	assert_int_equal(iommu_pt_map(&pt, 0, 0, 0, 0, &effects), -EINVAL);
	assert_int_equal(iommu_pt_map(&pt, 0, 0, 0, 8 | RW, &effects), -EINVAL);
	assert_int_equal(iommu_pt_map(&pt, 0, 1UL << 40, 0, RW, &effects), -EINVAL);
	assert_int_equal(iommu_pt_map(&pt, 1UL << 27, 0, 0, RW, &effects), -EINVAL);
	assert_int_equal(iommu_pt_unmap(&pt, 1UL << 27, 0, &effects), -EINVAL);
	assert_int_equal(iommu_pt_unmap(&pt, 3, 9, &effects), -EINVAL);
	assert_int_equal(effects, 0);
	assert_int_equal(iommu_pt_map(&pt, (1UL << 27) - 1, (1UL << 40) - 1, 0, RW, &effects), 0);
	assert_maps(&pt, (1UL << 27) - 1, (struct translation){true, (1UL << 40) - 1, RW});
	finish(&pt);
}

static void exact_entries(void **state)
{
	unsigned effects = 0;
	struct iommu_pt pt;
	uint64_t *l3, *l2;

	(void)state;
	init(&pt, &vtd, 4, ALL_ORDERS);
	assert_int_equal(iommu_pt_map(&pt, 0x200, 0x400, 9, IOMMU_READ, &effects), 0);
	assert_int_equal(effects, IOMMU_PT_ADDED);
	l3 = (void *)(pt.root[0] & ~0xfffUL);
	assert_int_equal(pt.root[0] & 0xfff, 3);
	l2 = (void *)(l3[0] & ~0xfffUL);
	assert_int_equal(l2[1], 0x400081);
	finish(&pt);

	init(&pt, &amd, 4, ALL_ORDERS);
	assert_int_equal(iommu_pt_map(&pt, 0x200, 0x400, 9, IOMMU_WRITE, &effects), 0);
	assert_int_equal(pt.root[0] >> 9 & 7, 3);
	l3 = (void *)(pt.root[0] & amd.address);
	assert_int_equal(l3[0] >> 9 & 7, 2);
	l2 = (void *)(l3[0] & amd.address);
	assert_int_equal(l2[1], 0x5000000000400001);
	assert_int_equal(l2[0], 0);
	finish(&pt);
}

static void effects_are_told(void **state)
{
	(void)state;
	for (unsigned f = 0; f < 2; f++) {
		struct iommu_pt pt;
		unsigned e = 0;

		init(&pt, formats[f], 4, ALL_ORDERS);
		assert_int_equal(iommu_pt_unmap(&pt, 5, 0, &e), 0);
		assert_int_equal(e, 0);
		assert_int_equal(iommu_pt_map(&pt, 5, 7, 0, RW, &e), 0);
		assert_int_equal(e, IOMMU_PT_ADDED);
		e = 0;
		assert_int_equal(iommu_pt_map(&pt, 5, 7, 0, RW, &e), 0);
		assert_int_equal(e, 0);
		assert_int_equal(iommu_pt_map(&pt, 5, 7, 0, IOMMU_READ, &e), 0);
		assert_int_equal(e, IOMMU_PT_CHANGED);
		e = 0;
		assert_int_equal(iommu_pt_unmap(&pt, 5, 0, &e), 0);
		assert_int_equal(e, IOMMU_PT_CHANGED);
		/* The tables that led there are out of the tree, but not free before the flush. */
		assert_int_equal(pt.pending_count, 3);
		assert_int_equal(fake_heap_live, 4);
		iommu_pt_reap(&pt);
		assert_int_equal(fake_heap_live, 1);
		/* A part of a large page, mapped to the same frame again: nothing happens. */
		e = 0;
		assert_int_equal(iommu_pt_map(&pt, 0x40000, 0x80000, 18, RW, &e), 0);
		e = 0;
		assert_int_equal(iommu_pt_map(&pt, 0x40123, 0x80123, 0, RW, &e), 0);
		assert_int_equal(e, 0);
		assert_int_equal(iommu_pt_map(&pt, 0x40200, 0x80200, 9, RW, &e), 0);
		assert_int_equal(e, 0);
		finish(&pt);
	}
}

static void split_and_merge(void **state)
{
	(void)state;
	for (unsigned f = 0; f < 2; f++) {
		struct iommu_pt_leaf leaf;
		struct iommu_pt pt;
		uint64_t tables;
		unsigned e = 0;

		init(&pt, formats[f], 4, ALL_ORDERS);
		assert_int_equal(iommu_pt_map(&pt, 0, 0x40000, 18, RW, &e), 0);
		tables = pt.tables;
		assert_int_equal(iommu_pt_unmap(&pt, 0x3ff, 0, &e), 0);
		assert_maps(&pt, 0x3ff, (struct translation){.present = false});
		assert_maps(&pt, 0x3fe, (struct translation){true, 0x403fe, RW});
		assert_maps(&pt, 0x400, (struct translation){true, 0x40400, RW});
		assert_maps(&pt, 0x3ffff, (struct translation){true, 0x7ffff, RW});
		assert_int_equal(pt.tables, tables + 2);
		assert_true(iommu_pt_walk(&pt, 0x400, &leaf));
		assert_int_equal(leaf.order, 9);
		assert_int_equal(iommu_pt_map(&pt, 0x3ff, 0x403ff, 0, RW, &e), 0);
		iommu_pt_reap(&pt);
		assert_true(iommu_pt_walk(&pt, 0x3ff, &leaf));
		assert_int_equal(leaf.order, 18);
		assert_int_equal(pt.tables, tables);
		check_tree(&pt);
		finish(&pt);
	}
}

static void contiguous_but_not_aligned(void **state)
{
	(void)state;
	for (unsigned f = 0; f < 2; f++) {
		struct iommu_pt_leaf leaf;
		struct iommu_pt pt;
		unsigned e = 0;

		init(&pt, formats[f], 4, ALL_ORDERS);
		for (uint64_t i = 0; i < 512; i++)
			assert_int_equal(iommu_pt_map(&pt, i, i + 1, 0, RW, &e), 0);
		for (uint64_t i = 0; i < 512; i++)
			assert_int_equal(iommu_pt_map(&pt, 0x200 + i, 0x600 + i, 0, RW, &e), 0);
		assert_true(iommu_pt_walk(&pt, 7, &leaf));
		assert_int_equal(leaf.order, 0);
		assert_maps(&pt, 511, (struct translation){true, 512, RW});
		assert_true(iommu_pt_walk(&pt, 0x207, &leaf));
		assert_int_equal(leaf.order, 9);
		assert_maps(&pt, 0x3ff, (struct translation){true, 0x7ff, RW});
		finish(&pt);
	}
}

static void unsupported_orders_are_split(void **state)
{
	const uint64_t orders[] = {BIT(0), BIT(0) | BIT(9)};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct iommu_pt_leaf leaf;
		struct iommu_pt pt;
		unsigned e = 0;

		init(&pt, &vtd, 3, orders[i]);
		assert_int_equal(iommu_pt_map(&pt, 0x40000, 0, 18, RW, &e), 0);
		assert_true(iommu_pt_walk(&pt, 0x40000, &leaf));
		assert_int_equal(leaf.order, i ? 9 : 0);
		assert_maps(&pt, 0x7ffff, (struct translation){true, 0x3ffff, RW});
		assert_int_equal(iommu_pt_unmap(&pt, 0x40000, 18, &e), 0);
		iommu_pt_reap(&pt);
		assert_int_equal(pt.tables, 1);
		finish(&pt);
	}
}

static void memory_runs_out(void **state)
{
	(void)state;
	for (unsigned f = 0; f < 2; f++) {
		struct iommu_pt pt;
		unsigned e = 0;

		init(&pt, formats[f], 4, ALL_ORDERS);
		for (int n = 0; n < 3; n++) {
			fake_heap_fail_after = n;
			assert_int_equal(iommu_pt_map(&pt, 0x123456, 9, 0, RW, &e), -ENOMEM);
			fake_heap_fail_after = -1;
			assert_maps(&pt, 0x123456, (struct translation){.present = false});
			/* What is left behind goes with the unmap that the caller owes. */
			assert_int_equal(iommu_pt_map(&pt, 0x123456, 9, 0, RW, &e), 0);
			assert_int_equal(iommu_pt_unmap(&pt, 0x123456, 0, &e), 0);
			iommu_pt_reap(&pt);
			assert_int_equal(pt.tables, 1);
		}
		assert_int_equal(iommu_pt_map(&pt, 0, 0x40000, 18, RW, &e), 0);
		fake_heap_fail_after = 1;
		assert_int_equal(iommu_pt_unmap(&pt, 7, 0, &e), -ENOMEM);
		fake_heap_fail_after = -1;
		for (uint64_t i = 0; i < 0x40000; i += 77)
			assert_maps(&pt, i, (struct translation){true, 0x40000 + i, RW});
		finish(&pt);
	}
}

static void pending_is_bounded(void **state)
{
	struct iommu_pt pt;
	unsigned e = 0, again = 0;

	(void)state;
	init(&pt, &vtd, 4, ALL_ORDERS);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(iommu_pt_map(&pt, i << 18, i, 0, RW, &e), 0);
	for (uint64_t i = 0; i < 64; i++) {
		int err = iommu_pt_unmap(&pt, i << 18, 0, &e);

		if (err == -EAGAIN) {
			again++;
			assert_maps(&pt, i << 18, (struct translation){true, i, RW});
			iommu_pt_reap(&pt);
			err = iommu_pt_unmap(&pt, i << 18, 0, &e);
		}
		assert_int_equal(err, 0);
	}
	assert_true(again > 0);
	finish(&pt);
}

/* ---- Random operations against a flat model ---- */

#define MODEL_PAGES (3UL << 18)

static struct translation *model;

static void model_set(uint64_t dfn, unsigned order, struct translation t)
{
	for (uint64_t i = 0; i < 1UL << order; i++) {
		model[dfn + i] = t;
		t.mfn++;
	}
}

static void random_step(struct iommu_pt *pt, uint64_t base, unsigned *effects)
{
	static const unsigned orders[] = {0, 0, 0, 0, 9, 9, 9, 18};
	unsigned order = orders[fake_random() % 8], flags = 1 + fake_random() % 3;
	uint64_t dfn = fake_random() % MODEL_PAGES >> order << order;
	/* Few distinct offsets, so that neighbours often fit together. */
	uint64_t mfn = dfn + (fake_random() % 3 << 18);
	int err;

	/* Mostly in one corner, so that tables fill and empty. */
	if (order == 0 && fake_random() % 4)
		dfn %= 1024, mfn = dfn + (fake_random() % 2 << 18);
	if (fake_random() % 3) {
		flags = fake_random() % 4 ? RW : flags;
		do {
			err = iommu_pt_map(pt, base + dfn, mfn, order, flags, effects);
			if (err == -EAGAIN)
				iommu_pt_reap(pt);
		} while (err == -EAGAIN);
		model_set(dfn, order, (struct translation){true, mfn, flags});
	} else {
		do {
			err = iommu_pt_unmap(pt, base + dfn, order, effects);
			if (err == -EAGAIN)
				iommu_pt_reap(pt);
		} while (err == -EAGAIN);
		model_set(dfn, order, (struct translation){.present = false});
	}
	assert_int_equal(err, 0);
}

static void random_run(const struct iommu_pt_format *f, unsigned levels, uint64_t orders,
		       uint64_t seed)
{
	uint64_t base = levels > 3 ? 0x7fUL << 27 : 0;
	unsigned effects = 0;
	struct iommu_pt pt;

	fake_random_seed(seed);
	model_set(0, 18, (struct translation){.present = false});
	memset(model, 0, MODEL_PAGES * sizeof(*model));
	init(&pt, f, levels, orders);
	for (unsigned step = 0; step < 1500; step++) {
		random_step(&pt, base, &effects);
		if (fake_random() % 8 == 0) {
			iommu_pt_reap(&pt);
			check_tree(&pt);
		}
		for (unsigned i = 0; i < 16; i++) {
			uint64_t dfn = fake_random() % (i % 2 ? 1024 : MODEL_PAGES);

			assert_maps(&pt, base + dfn, model[dfn]);
		}
	}
	for (uint64_t i = 0; i < MODEL_PAGES; i += i < 4096 ? 1 : 61)
		assert_maps(&pt, base + i, model[i]);
	finish(&pt);
}

static void random_operations(void **state)
{
	(void)state;
	model = calloc(MODEL_PAGES, sizeof(*model));
	random_run(&vtd, 4, ALL_ORDERS, 1);
	random_run(&vtd, 3, BIT(0) | BIT(9), 2);
	random_run(&vtd, 5, ALL_ORDERS, 3);
	random_run(&amd, 4, ALL_ORDERS, 4);
	random_run(&amd, 5, ALL_ORDERS, 5);
	random_run(&amd, 6, ALL_ORDERS, 6);
	random_run(&amd, 3, BIT(0) | BIT(9), 7);
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(init_rejects, teardown),
		cmocka_unit_test_teardown(arguments, teardown),
		cmocka_unit_test_teardown(exact_entries, teardown),
		cmocka_unit_test_teardown(effects_are_told, teardown),
		cmocka_unit_test_teardown(split_and_merge, teardown),
		cmocka_unit_test_teardown(contiguous_but_not_aligned, teardown),
		cmocka_unit_test_teardown(unsupported_orders_are_split, teardown),
		cmocka_unit_test_teardown(memory_runs_out, teardown),
		cmocka_unit_test_teardown(pending_is_bounded, teardown),
		cmocka_unit_test_teardown(random_operations, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
