// SPDX-License-Identifier: GPL-2.0-or-later
// Intel VT-d: root and context tables, domain ids, and the invalidations that changes call for.

#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "vtd.h"

/* 9.8: second-level entries. Intermediate ones allow everything, the leaf decides. */
const struct iommu_pt_format vtd_pt_format = {
	.present = 3,
	.read = BIT(0),
	.write = BIT(1),
	.address = VTD_TABLE_ADDRESS,
	.leaf_bits = 0,
	.large_bits = BIT(7),
	.table_bits = 3,
	.level_shift = 0,
	.leaf_mask = BIT(7),
	.leaf_value = BIT(7),
};

/* Entry of a requester, or NULL if its bus has no table (and, with `create`, memory is out). */
static struct vtd_context_entry *context_entry(struct vtd_unit *u, unsigned bdf, bool create)
{
	struct vtd_root_entry *r = &u->root[bdf >> 8];
	struct vtd_context_entry *table;

	if (r->lo & ROOT_PRESENT) {
		table = heap_ptr(paddr_from(r->lo & VTD_TABLE_ADDRESS));
	} else {
		table = create ? heap_page_alloc() : NULL;
		if (!table)
			return NULL;
		vtd_sync(u, table, PAGE_SIZE);
		WRITE_ONCE(r->lo, paddr_raw(heap_paddr(table)) | ROOT_PRESENT);
		vtd_sync(u, r, sizeof(*r));
	}
	return &table[bdf & 0xff];
}

static int id_alloc(struct vtd_unit *u, uint16_t *ret_id)
{
	/* 9.3: units with caching mode keep 0 for themselves. */
	unsigned long id = bitmap_next_clear(u->ids, u->domain_ids, 1);

	if (id >= u->domain_ids)
		return -ENOSPC;
	bitmap_set(u->ids, id);
	*ret_id = (uint16_t)id;
	return 0;
}

static int invalidate_context(struct vtd_unit *u, unsigned bdf, unsigned old_id)
{
	struct vtd_desc d[2] = {
		{.lo = DESC_CONTEXT_DEVICE | DESC_DOMAIN(old_id) | DESC_SOURCE(bdf)},
		vtd_desc_iotlb(u, DESC_IOTLB_DOMAIN, old_id),
	};

	return vtd_execute(u, d, 2);
}

static int set_context(struct vtd_unit *u, unsigned bdf, const struct iommu_domain *dom)
{
	struct vtd_context_entry *e = context_entry(u, bdf, true);

	if (!e)
		return -ENOMEM;
	if (e->lo & CONTEXT_PRESENT) /* a shared requester id: the same domain */
		return 0;
	WRITE_ONCE(e->hi, CONTEXT_DOMAIN(dom->unit[u->index].tag) | CONTEXT_WIDTH(dom->pt.levels));
	barrier();
	WRITE_ONCE(e->lo, paddr_raw(heap_paddr(dom->pt.root)) | CONTEXT_PRESENT);
	vtd_sync(u, e, sizeof(*e));
	/* 6.1: with caching mode entries that were not present are cached, too, under domain id 0. */
	if (u->cap & CAP_CM)
		return invalidate_context(u, bdf, 0);
	return vtd_flush_write_buffer(u);
}

static int clear_context(struct vtd_unit *u, unsigned bdf)
{
	struct vtd_context_entry *e = context_entry(u, bdf, false);
	unsigned id;

	if (!e || !(e->lo & CONTEXT_PRESENT))
		return 0;
	id = CONTEXT_GET_DOMAIN(e->hi);
	WRITE_ONCE(e->lo, 0);
	vtd_sync(u, e, sizeof(*e));
	return invalidate_context(u, bdf, id);
}

static int clear_device(struct vtd_unit *u, const struct pci_dev *dev)
{
	int err = 0, err2 = 0;

	if (!sbdf_eq(dev->sbdf, dev->dma_alias))
		err = clear_context(u, sbdf_bdf(dev->sbdf));
	if (!iommu_alias_in_use(dev))
		err2 = clear_context(u, sbdf_bdf(dev->dma_alias));
	return err ? err : err2;
}

int vtd_attach(struct pci_dev *dev, struct iommu_domain *dom)
{
	struct vtd_unit *u = vtd_find_unit(dev);
	bool first = dom->unit[u->index].devices == 0;
	uint16_t id = 0;
	int err = 0;

	spin_lock(&u->table_lock);
	if (first) {
		err = id_alloc(u, &id);
		if (err)
			goto out;
		dom->unit[u->index].tag = id;
	}
	err = set_context(u, sbdf_bdf(dev->sbdf), dom);
	if (!err)
		err = set_context(u, sbdf_bdf(dev->dma_alias), dom);
	if (err) {
		int err2 = clear_device(u, dev);

		/* An id whose translations may still be cached is not used again. */
		if (first && !err2)
			bitmap_clear(u->ids, id);
	}
out:
	spin_unlock(&u->table_lock);
	return err;
}

int vtd_detach(struct pci_dev *dev, struct iommu_domain *dom)
{
	struct vtd_unit *u = vtd_find_unit(dev);
	int err;

	spin_lock(&u->table_lock);
	err = clear_device(u, dev);
	if (!err && dom->unit[u->index].devices == 1)
		bitmap_clear(u->ids, dom->unit[u->index].tag);
	spin_unlock(&u->table_lock);
	return err;
}

int vtd_flush(unsigned unit, struct iommu_domain *dom, const struct iommu_flush *f)
{
	struct vtd_unit *u = vtd_units[unit];
	struct vtd_desc d;
	unsigned order = 0;

	/* 6.1: only a unit with caching mode remembers what was not present. */
	if (!(f->effects & IOMMU_PT_CHANGED) && !(u->cap & CAP_CM))
		return vtd_flush_write_buffer(u);
	if (u->cap & CAP_RWBF) {
		int err = vtd_flush_write_buffer(u);

		if (err)
			return err;
	}
	d = vtd_desc_iotlb(u, DESC_IOTLB_DOMAIN, dom->unit[unit].tag);
	if (f->count && (u->cap & CAP_PSI)) {
		/* The smallest naturally aligned block around the range (6.5.2.3, AM). */
		while (order < 64 && f->dfn >> order != (f->dfn + f->count - 1) >> order)
			order++;
		if (order <= CAP_MAX_MASK_ORDER(u->cap)) {
			d = vtd_desc_iotlb(u, DESC_IOTLB_PAGES, dom->unit[unit].tag);
			d.hi = (f->dfn >> order << order) << PAGE_SHIFT | order;
		}
	}
	return vtd_execute(u, &d, 1);
}
