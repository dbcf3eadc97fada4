// SPDX-License-Identifier: GPL-2.0-or-later
// I/O page tables: one radix tree engine for the entry formats of all units.
#ifndef IOMMU_PGTABLE_H
#define IOMMU_PGTABLE_H

#include <bulkhead/compiler.h>

#define IOMMU_PT_ENTRIES	  512
#define IOMMU_PT_BITS		  9
#define IOMMU_PT_MIN_LEVELS	  3 /* so that every order up to 18 has an entry of its own */
#define IOMMU_PT_MAX_LEVELS	  6
#define IOMMU_PT_PENDING	  32
/* Most tables that one call of map or unmap (of a single leaf) takes out of the tree. */
#define IOMMU_PT_PENDING_PER_CALL IOMMU_PT_MAX_LEVELS

/* How entries are written. A leaf of level n covers 2^(9 * (n - 1)) pages. */
struct iommu_pt_format {
	uint64_t present; /* an entry with any of these bits counts */
	uint64_t read, write;
	uint64_t address;     /* bits of the address of a table or frame */
	uint64_t leaf_bits;   /* set in every leaf */
	uint64_t large_bits;  /* set in leaves above level 1 */
	uint64_t table_bits;  /* set in entries that point to a table */
	unsigned level_shift; /* where such an entry has the level of that table; 0: nowhere */
	uint64_t leaf_mask, leaf_value; /* what tells leaves above level 1 from tables */
};

struct iommu_pt {
	const struct iommu_pt_format *format;
	uint64_t *root; /* heap page */
	unsigned levels;
	uint64_t leaf_orders; /* mask of 1 << order: 0, 9, 18 */
	/* Makes a change visible to a unit that does not snoop caches; NULL: they all do. */
	void (*sync)(const void *p, size_t len);
	uint64_t tables; /* heap pages in use, with those pending */
	/*
	 * Subtrees taken out: a unit may still be walking them, so that they are neither changed nor freed until
	 * its caches are flushed.
	 */
	unsigned pending_count;
	struct iommu_pt_subtree {
		uint64_t *table;
		unsigned level; /* of its entries */
	} pending[IOMMU_PT_PENDING];
};

/* What a change calls for. */
#define IOMMU_PT_ADDED	 1U /* entries that were not present are now */
#define IOMMU_PT_CHANGED 2U /* present entries were changed or removed */

/* 0, -EINVAL or -ENOMEM. leaf_orders must contain order 0; an order 18 without 9 is not used. */
int iommu_pt_init(struct iommu_pt *pt, const struct iommu_pt_format *format, unsigned levels,
		  uint64_t leaf_orders, void (*sync)(const void *p, size_t len));

/*
 * Maps 2^order pages (0, 9 or 18, both addresses aligned to it), over whatever was there; flags are IOMMU_READ and
 * IOMMU_WRITE. Adds to *effects. 0; -EINVAL; -ENOMEM: a part may be mapped; -EAGAIN: flush, iommu_pt_reap() and call again.
 */
int iommu_pt_map(struct iommu_pt *pt, uint64_t dfn, uint64_t mfn, unsigned order, unsigned flags,
		 unsigned *effects);
/* The same for removal; what is not mapped is skipped. -ENOMEM when a large leaf cannot be split: nothing changed. */
int iommu_pt_unmap(struct iommu_pt *pt, uint64_t dfn, unsigned order, unsigned *effects);

struct iommu_pt_leaf {
	uint64_t mfn; /* frame of the page asked for */
	unsigned order;
	unsigned flags;
};
/* Translates like a unit does. False: it would refuse. */
bool iommu_pt_walk(const struct iommu_pt *pt, uint64_t dfn, struct iommu_pt_leaf *ret);

/* Frees what is pending: only after the caches of all units were flushed. */
void iommu_pt_reap(struct iommu_pt *pt);

/* Frees everything; no unit uses the tables any more. At most `budget` tables per call, -ERESTART while there are more. */
int iommu_pt_release(struct iommu_pt *pt, unsigned budget);

#endif
