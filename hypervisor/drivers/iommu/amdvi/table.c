// SPDX-License-Identifier: GPL-2.0-or-later
// AMD IOMMU: the device table, domain ids, and the invalidations that changes call for.

#include <bulkhead/acpi.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "amdvi.h"

/* 2.2.3. The level of the next table is part of an entry; in leaves it is 0: a page of the natural size. */
const struct iommu_pt_format amdvi_pt_format = {
	.present = PTE_PRESENT_BIT,
	.read = DTE_READ,
	.write = DTE_WRITE,
	.address = AMDVI_TABLE_ADDRESS,
	.leaf_bits = PTE_PRESENT_BIT | PTE_FORCE_COHERENT,
	.large_bits = 0,
	.table_bits = PTE_PRESENT_BIT | DTE_READ | DTE_WRITE,
	.level_shift = PTE_NEXT_LEVEL_SHIFT,
	.leaf_mask = PTE_NEXT_LEVEL_MASK,
	.leaf_value = 0,
};

int amdvi_segment_start(struct amdvi_segment *s, unsigned levels)
{
	uint64_t interrupts = amdvi_intremap ? DTE2_IV | DTE2_INT_ABORT : 0;
	uint64_t *root = heap_page_alloc();

	spin_init(&s->lock);
	list_init(&s->irts);
	s->dtes = heap_alloc(MAX(s->entries * sizeof(*s->dtes), PAGE_SIZE));
	if (!root || !s->dtes)
		return -ENOMEM;
	s->blocked = DTE_V | DTE_TV | DTE_MODE(levels) | paddr_raw(heap_paddr(root));
	for (unsigned i = 0; i < s->entries; i++) {
		s->dtes[i].q[0] = s->blocked;
		s->dtes[i].q[2] = interrupts;
	}
	return 0;
}

static int id_alloc(struct amdvi_unit *u, uint16_t *ret_id)
{
	unsigned long flags = spin_lock_irqsave(&u->ids_lock);
	unsigned long id = bitmap_next_clear(u->ids, AMDVI_MAX_DOMAIN_IDS, 1);

	/* 0 is what blocked devices have. */
	if (id < AMDVI_MAX_DOMAIN_IDS)
		bitmap_set(u->ids, id);
	spin_unlock_irqrestore(&u->ids_lock, flags);
	if (id == AMDVI_MAX_DOMAIN_IDS)
		return -ENOSPC;
	*ret_id = (uint16_t)id;
	return 0;
}

static void id_free(struct amdvi_unit *u, uint16_t id)
{
	unsigned long flags = spin_lock_irqsave(&u->ids_lock);

	bitmap_clear(u->ids, id);
	spin_unlock_irqrestore(&u->ids_lock, flags);
}

static uint64_t settings_bits(uint8_t settings)
{
	return (settings & ACPI_IVHD_INIT_PASS ? DTE2_INIT_PASS : 0) |
	       (settings & ACPI_IVHD_EINT_PASS ? DTE2_EINT_PASS : 0) |
	       (settings & ACPI_IVHD_NMI_PASS ? DTE2_NMI_PASS : 0) |
	       (settings & ACPI_IVHD_LINT0_PASS ? DTE2_LINT0_PASS : 0) |
	       (settings & ACPI_IVHD_LINT1_PASS ? DTE2_LINT1_PASS : 0);
}

static unsigned sys_mgt(uint8_t settings)
{
	return settings >> ACPI_IVHD_SYS_MGT_SHIFT & ACPI_IVHD_SYS_MGT_MASK;
}

static int invalidate_dte(struct amdvi_unit *u, unsigned id)
{
	const struct amdvi_cmd c = {.lo = CMD_INVALIDATE_DTE | id};

	return amdvi_execute(u, &c, 1);
}

/* Lets a requester id use the domain's tables. It was blocked, so that the order of the two stores is all that matters. */
static int open_dte(struct amdvi_unit *u, unsigned id, const struct iommu_domain *dom)
{
	struct amdvi_dte *e = &u->segment->dtes[id];
	unsigned long flags = spin_lock_irqsave(&u->segment->lock);

	WRITE_ONCE(e->q[1], DTE1_DOMAIN(dom->unit[u->index].tag) |
				    DTE1_SYS_MGT(sys_mgt(amdvi_settings(u, id))));
	barrier();
	WRITE_ONCE(e->q[0], DTE_V | DTE_TV | DTE_READ | DTE_WRITE | DTE_MODE(dom->pt.levels) |
				    paddr_raw(heap_paddr(dom->pt.root)));
	spin_unlock_irqrestore(&u->segment->lock, flags);
	return invalidate_dte(u, id);
}

static int close_dte(struct amdvi_unit *u, unsigned id, const struct iommu_domain *dom)
{
	struct amdvi_cmd c[2] = {
		{.lo = CMD_INVALIDATE_DTE | id},
		amdvi_cmd_pages(dom->unit[u->index].tag, 0, 0),
	};
	struct amdvi_dte *e = &u->segment->dtes[id];
	unsigned long flags = spin_lock_irqsave(&u->segment->lock);

	/* The domain id stays until the entry is not used any more: it is what cached translations are found by. */
	WRITE_ONCE(e->q[0], u->segment->blocked);
	spin_unlock_irqrestore(&u->segment->lock, flags);
	return amdvi_execute(u, c, 2);
}

static int close_device(struct amdvi_unit *u, const struct pci_dev *dev,
			const struct iommu_domain *dom)
{
	int err = 0, err2 = 0;

	if (!sbdf_eq(dev->sbdf, dev->dma_alias))
		err = close_dte(u, sbdf_bdf(dev->sbdf), dom);
	if (!iommu_alias_in_use(dev))
		err2 = close_dte(u, sbdf_bdf(dev->dma_alias), dom);
	return err ? err : err2;
}

int amdvi_attach(struct pci_dev *dev, struct iommu_domain *dom)
{
	struct amdvi_unit *u = amdvi_find_unit(dev);
	bool first = dom->unit[u->index].devices == 0;
	uint16_t id = 0;
	int err = 0;

	if (sbdf_bdf(dev->dma_alias) >= u->segment->entries)
		return -ENODEV;
	if (first) {
		err = id_alloc(u, &id);
		if (err)
			return err;
		dom->unit[u->index].tag = id;
	}
	err = open_dte(u, sbdf_bdf(dev->sbdf), dom);
	if (!err && !sbdf_eq(dev->sbdf, dev->dma_alias))
		err = open_dte(u, sbdf_bdf(dev->dma_alias), dom);
	if (err) {
		int err2 = close_device(u, dev, dom);

		/* An id whose translations may still be cached is not used again. */
		if (first && !err2)
			id_free(u, id);
	}
	return err;
}

int amdvi_detach(struct pci_dev *dev, struct iommu_domain *dom)
{
	struct amdvi_unit *u = amdvi_find_unit(dev);
	int err = close_device(u, dev, dom);

	if (!err && dom->unit[u->index].devices == 1)
		id_free(u, dom->unit[u->index].tag);
	return err;
}

int amdvi_flush(unsigned unit, struct iommu_domain *dom, const struct iommu_flush *f)
{
	struct amdvi_unit *u = amdvi_units[unit];
	struct amdvi_cmd c;

	if (!(f->effects & IOMMU_PT_CHANGED) && !(u->cap_header & CAP_HEADER_NPC))
		return 0;
	c = amdvi_cmd_pages(dom->unit[unit].tag, f->dfn, f->count);
	return amdvi_execute(u, &c, 1);
}

int amdvi_set_irt(struct amdvi_unit *u, unsigned id, const struct amdvi_irt *irt)
{
	const struct amdvi_cmd c[2] = {
		{.lo = CMD_INVALIDATE_DTE | id},
		{.lo = CMD_INVALIDATE_INT | id},
	};
	struct amdvi_dte *e = &u->segment->dtes[id];
	uint64_t v = DTE2_IV | DTE2_INT_ABORT;
	unsigned long flags;

	if (irt)
		v = DTE2_IV | DTE2_INT_REMAP | DTE2_LENGTH(irt->log2) |
		    paddr_raw(heap_paddr(irt->entries)) | settings_bits(amdvi_settings(u, id));
	flags = spin_lock_irqsave(&u->segment->lock);
	WRITE_ONCE(e->q[2], v);
	spin_unlock_irqrestore(&u->segment->lock, flags);
	return amdvi_execute(u, c, 2);
}
