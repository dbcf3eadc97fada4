// SPDX-License-Identifier: GPL-2.0-or-later
// I/O page tables: map, unmap, split, merge and walk.

#include <bulkhead/addr.h>
#include <bulkhead/errno.h>
#include <bulkhead/iommu.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "pgtable.h"

/* DMA addresses have 64 bits at most. */
#define DFN_BITS (64 - PAGE_SHIFT)

static bool present(const struct iommu_pt *pt, uint64_t e)
{
	return e & pt->format->present;
}

/* Of a present entry of a table of this level. */
static bool is_leaf(const struct iommu_pt *pt, uint64_t e, unsigned level)
{
	return level == 1 || (e & pt->format->leaf_mask) == pt->format->leaf_value;
}

static unsigned order_of(unsigned level)
{
	return (level - 1) * IOMMU_PT_BITS;
}

static unsigned index_of(uint64_t dfn, unsigned level)
{
	return dfn >> order_of(level) & (IOMMU_PT_ENTRIES - 1);
}

static bool leaf_allowed(const struct iommu_pt *pt, unsigned level)
{
	unsigned order = order_of(level);

	return order < 64 && (pt->leaf_orders >> order & 1);
}

static uint64_t make_leaf(const struct iommu_pt *pt, uint64_t mfn, unsigned level, unsigned flags)
{
	const struct iommu_pt_format *f = pt->format;
	uint64_t e = f->leaf_bits | (mfn << PAGE_SHIFT & f->address);

	if (level > 1)
		e |= f->large_bits;
	if (flags & IOMMU_READ)
		e |= f->read;
	if (flags & IOMMU_WRITE)
		e |= f->write;
	return e;
}

static unsigned leaf_flags(const struct iommu_pt *pt, uint64_t e)
{
	return (e & pt->format->read ? IOMMU_READ : 0) | (e & pt->format->write ? IOMMU_WRITE : 0);
}

static uint64_t entry_mfn(const struct iommu_pt *pt, uint64_t e)
{
	return (e & pt->format->address) >> PAGE_SHIFT;
}

/* Entry of a table of `level` that points to one of the level below. */
static uint64_t make_table(const struct iommu_pt *pt, const uint64_t *table, unsigned level)
{
	const struct iommu_pt_format *f = pt->format;
	uint64_t e = f->table_bits | (paddr_raw(heap_paddr(table)) & f->address);

	if (f->level_shift)
		e |= (uint64_t)(level - 1) << f->level_shift;
	return e;
}

static uint64_t *table_at(const struct iommu_pt *pt, uint64_t e)
{
	return heap_ptr(paddr_from(e & pt->format->address));
}

static void sync(const struct iommu_pt *pt, const void *p, size_t len)
{
	/* x86 keeps stores in order; what a unit must not see early is written before the entry leading to it. */
	barrier();
	if (pt->sync)
		pt->sync(p, len);
}

static void write_entry(const struct iommu_pt *pt, uint64_t *slot, uint64_t e)
{
	WRITE_ONCE(*slot, e);
	sync(pt, slot, sizeof(*slot));
}

static uint64_t *table_alloc(struct iommu_pt *pt)
{
	uint64_t *table = heap_page_alloc();

	if (table)
		pt->tables++;
	return table;
}

static void table_free(struct iommu_pt *pt, uint64_t *table)
{
	ASSERT(pt->tables > 0);
	pt->tables--;
	heap_page_free(table);
}

static void pend(struct iommu_pt *pt, uint64_t *table, unsigned level)
{
	ASSERT(pt->pending_count < IOMMU_PT_PENDING);
	pt->pending[pt->pending_count++] = (struct iommu_pt_subtree){table, level};
}

static bool room_to_pend(const struct iommu_pt *pt)
{
	return pt->pending_count + IOMMU_PT_PENDING_PER_CALL <= IOMMU_PT_PENDING;
}

int iommu_pt_init(struct iommu_pt *pt, const struct iommu_pt_format *format, unsigned levels,
		  uint64_t leaf_orders, void (*sync_fn)(const void *p, size_t len))
{
	if (levels < IOMMU_PT_MIN_LEVELS || levels > IOMMU_PT_MAX_LEVELS || !(leaf_orders & 1))
		return -EINVAL;
	/* A leaf is split into those of the next smaller order. */
	if (!(leaf_orders & BIT(ORDER_2M)))
		leaf_orders = BIT(ORDER_4K);
	*pt = (struct iommu_pt){
		.format = format,
		.levels = levels,
		.leaf_orders = leaf_orders & (BIT(ORDER_4K) | BIT(ORDER_2M) | BIT(ORDER_1G)),
		.sync = sync_fn,
	};
	pt->root = table_alloc(pt);
	if (!pt->root)
		return -ENOMEM;
	sync(pt, pt->root, PAGE_SIZE);
	return 0;
}

static bool range_valid(const struct iommu_pt *pt, uint64_t dfn, unsigned order)
{
	unsigned bits = MIN(pt->levels * IOMMU_PT_BITS, (unsigned)DFN_BITS);

	return (order == ORDER_4K || order == ORDER_2M || order == ORDER_1G) &&
	       IS_ALIGNED(dfn, 1UL << order) && dfn >> bits == 0;
}

/* Replaces the leaf in *slot by a table with the same meaning. */
static uint64_t *split(struct iommu_pt *pt, uint64_t *slot, unsigned level)
{
	uint64_t *table = table_alloc(pt);
	uint64_t mfn = entry_mfn(pt, *slot);
	unsigned flags = leaf_flags(pt, *slot);

	if (!table)
		return NULL;
	for (unsigned i = 0; i < IOMMU_PT_ENTRIES; i++)
		table[i] = make_leaf(pt, mfn + ((uint64_t)i << order_of(level - 1)), level - 1,
				     flags);
	sync(pt, table, PAGE_SIZE);
	write_entry(pt, slot, make_table(pt, table, level));
	return table;
}

/* True if the table of `level` could as well be one leaf of the level above. */
static bool mergeable(const struct iommu_pt *pt, const uint64_t *table, unsigned level)
{
	uint64_t first = table[0], mfn, step = 1UL << order_of(level);
	unsigned flags;

	if (!leaf_allowed(pt, level + 1) || !present(pt, first) || !is_leaf(pt, first, level))
		return false;
	mfn = entry_mfn(pt, first);
	flags = leaf_flags(pt, first);
	if (!IS_ALIGNED(mfn, step << IOMMU_PT_BITS))
		return false;
	/* From the end: a table that is being filled fails at the first look. */
	for (unsigned i = IOMMU_PT_ENTRIES - 1; i > 0; i--)
		if (table[i] != make_leaf(pt, mfn + i * step, level, flags))
			return false;
	return true;
}

static void merge_up(struct iommu_pt *pt, uint64_t *const *path, uint64_t dfn, unsigned level,
		     unsigned *effects)
{
	for (; level < pt->levels && mergeable(pt, path[level], level); level++) {
		const uint64_t *table = path[level];
		uint64_t *slot = &path[level + 1][index_of(dfn, level + 1)];

		write_entry(pt, slot,
			    make_leaf(pt, entry_mfn(pt, table[0]), level + 1,
				      leaf_flags(pt, table[0])));
		pend(pt, path[level], level);
		*effects |= IOMMU_PT_CHANGED;
	}
}

/* One leaf of the given level. */
static int map_leaf(struct iommu_pt *pt, uint64_t dfn, uint64_t mfn, unsigned leaf_level,
		    unsigned flags, unsigned *effects)
{
	uint64_t *path[IOMMU_PT_MAX_LEVELS + 1];
	uint64_t *table = pt->root, *slot, old, new;

	if (!room_to_pend(pt))
		return -EAGAIN;
	for (unsigned level = pt->levels; level > leaf_level; level--) {
		path[level] = table;
		slot = &table[index_of(dfn, level)];
		old = *slot;
		if (!present(pt, old)) {
			table = table_alloc(pt);
			if (!table)
				return -ENOMEM;
			sync(pt, table, PAGE_SIZE);
			write_entry(pt, slot, make_table(pt, table, level));
			*effects |= IOMMU_PT_ADDED;
		} else if (is_leaf(pt, old, level)) {
			uint64_t inside = dfn & ((1UL << order_of(level)) - 1);

			if (entry_mfn(pt, old) + inside == mfn && leaf_flags(pt, old) == flags)
				return 0;
			table = split(pt, slot, level);
			if (!table)
				return -ENOMEM;
			*effects |= IOMMU_PT_CHANGED;
		} else {
			table = table_at(pt, old);
		}
	}
	path[leaf_level] = table;
	slot = &table[index_of(dfn, leaf_level)];
	old = *slot;
	new = make_leaf(pt, mfn, leaf_level, flags);
	if (old == new)
		return 0;
	write_entry(pt, slot, new);
	*effects |= present(pt, old) ? IOMMU_PT_CHANGED : IOMMU_PT_ADDED;
	if (present(pt, old) && !is_leaf(pt, old, leaf_level))
		pend(pt, table_at(pt, old), leaf_level - 1);
	merge_up(pt, path, dfn, leaf_level, effects);
	return 0;
}

int iommu_pt_map(struct iommu_pt *pt, uint64_t dfn, uint64_t mfn, unsigned order, unsigned flags,
		 unsigned *effects)
{
	uint64_t max_mfn = pt->format->address >> PAGE_SHIFT;
	unsigned level = order / IOMMU_PT_BITS + 1;
	uint64_t step;

	if (!range_valid(pt, dfn, order) || !IS_ALIGNED(mfn, 1UL << order) || mfn > max_mfn ||
	    !(flags & (IOMMU_READ | IOMMU_WRITE)) || flags & ~(IOMMU_READ | IOMMU_WRITE))
		return -EINVAL;
	while (!leaf_allowed(pt, level))
		level--;
	step = 1UL << order_of(level);
	for (uint64_t i = 0; i < 1UL << order; i += step) {
		int err = map_leaf(pt, dfn + i, mfn + i, level, flags, effects);

		if (err)
			return err;
	}
	return 0;
}

static bool table_empty(const struct iommu_pt *pt, const uint64_t *table, unsigned near)
{
	/* Ranges are mostly cleared in rising or falling order: a neighbour tells at once in nearly all cases. */
	if (present(pt, table[(near + 1) % IOMMU_PT_ENTRIES]))
		return false;
	for (unsigned i = 0; i < IOMMU_PT_ENTRIES; i++)
		if (present(pt, table[i]))
			return false;
	return true;
}

int iommu_pt_unmap(struct iommu_pt *pt, uint64_t dfn, unsigned order, unsigned *effects)
{
	uint64_t *path[IOMMU_PT_MAX_LEVELS + 1];
	uint64_t *table = pt->root, *slot, old;
	unsigned target = order / IOMMU_PT_BITS + 1;

	if (!range_valid(pt, dfn, order))
		return -EINVAL;
	if (!room_to_pend(pt))
		return -EAGAIN;
	for (unsigned level = pt->levels; level > target; level--) {
		path[level] = table;
		slot = &table[index_of(dfn, level)];
		old = *slot;
		if (!present(pt, old))
			return 0;
		if (is_leaf(pt, old, level)) {
			table = split(pt, slot, level);
			if (!table)
				return -ENOMEM;
			*effects |= IOMMU_PT_CHANGED;
		} else {
			table = table_at(pt, old);
		}
	}
	path[target] = table;
	slot = &table[index_of(dfn, target)];
	old = *slot;
	if (!present(pt, old))
		return 0;
	write_entry(pt, slot, 0);
	*effects |= IOMMU_PT_CHANGED;
	if (!is_leaf(pt, old, target))
		pend(pt, table_at(pt, old), target - 1);

	for (unsigned level = target; level < pt->levels; level++) {
		if (!table_empty(pt, path[level], index_of(dfn, level)))
			break;
		write_entry(pt, &path[level + 1][index_of(dfn, level + 1)], 0);
		pend(pt, path[level], level);
	}
	return 0;
}

bool iommu_pt_walk(const struct iommu_pt *pt, uint64_t dfn, struct iommu_pt_leaf *ret)
{
	const uint64_t *table = pt->root;

	if (!range_valid(pt, dfn, ORDER_4K))
		return false;
	for (unsigned level = pt->levels; level > 0; level--) {
		uint64_t e = table[index_of(dfn, level)];

		if (!present(pt, e))
			return false;
		if (is_leaf(pt, e, level)) {
			ret->order = order_of(level);
			ret->mfn = entry_mfn(pt, e) + (dfn & ((1UL << ret->order) - 1));
			ret->flags = leaf_flags(pt, e);
			return true;
		}
		table = table_at(pt, e);
	}
	return false;
}

static void free_subtree(struct iommu_pt *pt, uint64_t *table, unsigned level)
{
	for (unsigned i = 0; level > 1 && i < IOMMU_PT_ENTRIES; i++)
		if (present(pt, table[i]) && !is_leaf(pt, table[i], level))
			free_subtree(pt, table_at(pt, table[i]), level - 1);
	table_free(pt, table);
}

void iommu_pt_reap(struct iommu_pt *pt)
{
	while (pt->pending_count) {
		struct iommu_pt_subtree *s = &pt->pending[--pt->pending_count];

		free_subtree(pt, s->table, s->level);
	}
}

/* A table of the tree that points to no other table; *ret_slot leads to it, NULL for the root. */
static uint64_t *find_bottom(struct iommu_pt *pt, uint64_t **ret_slot)
{
	uint64_t *table = pt->root, *slot = NULL;

	for (unsigned level = pt->levels; level > 1; level--) {
		uint64_t *next = NULL;

		for (unsigned i = 0; i < IOMMU_PT_ENTRIES && !next; i++)
			if (present(pt, table[i]) && !is_leaf(pt, table[i], level)) {
				slot = &table[i];
				next = table_at(pt, table[i]);
			}
		if (!next)
			break;
		table = next;
	}
	*ret_slot = slot;
	return table;
}

int iommu_pt_release(struct iommu_pt *pt, unsigned budget)
{
	if (!pt->root)
		return 0;
	iommu_pt_reap(pt);
	for (; budget > 0; budget--) {
		uint64_t *slot, *table = find_bottom(pt, &slot);

		table_free(pt, table);
		if (table == pt->root) {
			pt->root = NULL;
			ASSERT(pt->tables == 0);
			return 0;
		}
		*slot = 0;
	}
	return -ERESTART;
}
