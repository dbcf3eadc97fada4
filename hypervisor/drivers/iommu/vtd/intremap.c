// SPDX-License-Identifier: GPL-2.0-or-later
// Intel VT-d: interrupt remapping (VT-d chapter 5).

#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "vtd.h"

#define IRTE_LIMIT  65535 /* struct irq has the index plus one in 16 bits */
#define MAX_ENTRIES 65536

int vtd_intremap_prepare(struct vtd_unit *u, unsigned entries)
{
	const struct vtd_desc flush = {.lo = DESC_IEC};
	unsigned log2 = 1;
	int err;

	while (1U << log2 < MIN(entries, (unsigned)MAX_ENTRIES))
		log2++;
	spin_init(&u->irte_lock);
	u->irte_count = 1U << log2;
	/* At least a page: the table has to start at a page boundary (11.4.16). */
	u->irtes = heap_alloc(MAX(u->irte_count * sizeof(*u->irtes), PAGE_SIZE));
	u->irte_owner = heap_alloc(u->irte_count * sizeof(struct irq *));
	if (!u->irtes || !u->irte_owner)
		return -ENOMEM;
	vtd_sync(u, u->irtes, u->irte_count * sizeof(*u->irtes));
	iommu_write64(u->regs + VTD_IRTA, paddr_raw(heap_paddr(u->irtes)) | IRTA_SIZE(log2) |
						  (iommu_apic_x2apic() ? IRTA_EIME : 0));
	err = vtd_command(u, GCMD_SIRTP, true);
	if (err)
		return err;
	return vtd_execute(u, &flush, 1);
}

int vtd_intremap_enable(struct vtd_unit *u)
{
	/* 5.1.4: interrupts in the old format would pass unchecked with CFI. */
	int err = u->gcmd & GCMD_CFI ? vtd_command(u, GCMD_CFI, false) : 0;

	return err ? err : vtd_command(u, GCMD_IRE, true);
}

static uint64_t irte_low(const struct irq *irq, bool level)
{
	uint32_t id = iommu_apic_id(irq->cpu);

	/* Fixed delivery, physical destination. */
	return IRTE_PRESENT | IRTE_VECTOR(irq->vector) | (level ? IRTE_LEVEL : 0) |
	       (iommu_apic_x2apic() ? IRTE_DEST(id) : IRTE_DEST_XAPIC(id));
}

static int invalidate(struct vtd_unit *u, unsigned index)
{
	const struct vtd_desc d = {.lo = DESC_IEC_INDEX | DESC_IEC_ENTRY(index)};

	return vtd_execute(u, &d, 1);
}

/* Index of an entry that was nobody's and is irq's now, or -ENOSPC. u->irte_lock is held. */
static int irte_alloc(struct vtd_unit *u, struct irq *irq)
{
	unsigned limit = MIN(u->irte_count, (unsigned)IRTE_LIMIT);

	for (unsigned n = 0; n < limit; n++) {
		unsigned i = (u->irte_next + n) % limit;

		if (u->irte_owner[i])
			continue;
		u->irte_owner[i] = irq;
		u->irte_next = i + 1;
		return (int)i;
	}
	return -ENOSPC;
}

/* u->irte_lock is held. All that changes while the entry is in use is in the lower half: one store, never half an entry. */
static void irte_write(struct vtd_unit *u, unsigned index, uint64_t lo, uint64_t hi)
{
	struct vtd_irte *e = &u->irtes[index];

	if (e->hi != hi) {
		ASSERT(!(e->lo & IRTE_PRESENT));
		WRITE_ONCE(e->hi, hi);
		barrier();
	}
	WRITE_ONCE(e->lo, lo);
	vtd_sync(u, e, sizeof(*e));
}

/* Gives irq an entry, or changes the one it has. */
static int irte_set(struct vtd_unit *u, struct irq *irq, uint64_t lo, uint64_t hi)
{
	unsigned long flags = spin_lock_irqsave(&u->irte_lock);
	int index = irq->remap ? irq->remap - 1 : irte_alloc(u, irq);

	if (index >= 0) {
		irq->remap = (uint16_t)(index + 1);
		irte_write(u, (unsigned)index, lo, hi);
	}
	spin_unlock_irqrestore(&u->irte_lock, flags);
	return index < 0 ? index : invalidate(u, (unsigned)index);
}

/* 9.10: who may use the entry. Behind a bridge for conventional PCI the id is the bridge's or of its bus. */
static uint64_t verify(const struct pci_dev *dev)
{
	unsigned own = sbdf_bus(dev->sbdf), alias = sbdf_bus(dev->dma_alias);

	if (sbdf_eq(dev->sbdf, dev->dma_alias))
		return IRTE_VERIFY_SOURCE(sbdf_bdf(dev->sbdf));
	return IRTE_VERIFY_BUSES(MIN(own, alias), MAX(own, alias));
}

int vtd_msi_map(struct pci_dev *dev, struct irq *irq, struct msi_msg *ret_msg)
{
	struct vtd_unit *u = vtd_find_unit(dev);
	int err;

	if (!u)
		return -ENODEV;
	err = irte_set(u, irq, irte_low(irq, false), verify(dev));
	if (err)
		return err;
	ret_msg->address = MSI_REMAP_BASE | MSI_REMAP_HANDLE(irq->remap - 1);
	ret_msg->data = 0;
	return 0;
}

/* First of `count` entries in a row that are nobody's, or -ENOSPC. u->irte_lock is held. */
static int irte_find_row(const struct vtd_unit *u, unsigned count)
{
	unsigned limit = MIN(u->irte_count, (unsigned)IRTE_LIMIT), free = 0;

	for (unsigned i = 0; i < limit; i++) {
		free = u->irte_owner[i] ? 0 : free + 1;
		if (free == count)
			return (int)(i + 1 - count);
	}
	return -ENOSPC;
}

int vtd_msi_map_multi(struct pci_dev *dev, struct irq *const irqs[], unsigned count,
		      struct msi_msg *ret_msg)
{
	const struct vtd_desc flush = {.lo = DESC_IEC};
	struct vtd_unit *u = vtd_find_unit(dev);
	unsigned long flags;
	int first, err;

	if (!u)
		return -ENODEV;
	flags = spin_lock_irqsave(&u->irte_lock);
	first = irte_find_row(u, count);
	for (unsigned i = 0; i < count && first >= 0; i++) {
		unsigned index = (unsigned)first + i;

		u->irte_owner[index] = irqs[i];
		irqs[i]->remap = (uint16_t)(index + 1);
		irte_write(u, index, irte_low(irqs[i], false), verify(dev));
	}
	spin_unlock_irqrestore(&u->irte_lock, flags);
	if (first < 0)
		return first;
	err = vtd_execute(u, &flush, 1);
	if (err) {
		/* As in irte_clear(): a silent unit may have them cached. They stay somebody's for ever. */
		flags = spin_lock_irqsave(&u->irte_lock);
		for (unsigned i = 0; i < count; i++) {
			irte_write(u, (unsigned)first + i, 0, verify(dev));
			irqs[i]->remap = 0;
		}
		spin_unlock_irqrestore(&u->irte_lock, flags);
		return err;
	}
	/* 5.1.3: with a subhandle, the entry is the handle plus the data, in which the device counts its messages. */
	ret_msg->address = MSI_REMAP_BASE | MSI_REMAP_SUBHANDLE | MSI_REMAP_HANDLE((unsigned)first);
	ret_msg->data = 0;
	return 0;
}

static struct vtd_unit *unit_of_ioapic(unsigned id, unsigned *ret_bdf)
{
	for (unsigned i = 0; i < vtd_unit_count; i++)
		for (unsigned j = 0; j < vtd_units[i]->ioapic_count; j++)
			if (vtd_units[i]->ioapics[j].id == id) {
				*ret_bdf = vtd_units[i]->ioapics[j].bdf;
				return vtd_units[i];
			}
	return NULL;
}

int vtd_ioapic_map(unsigned ioapic_id, unsigned pin, struct irq *irq, bool level, bool active_low,
		   uint64_t *ret_rte)
{
	unsigned bdf = 0;
	struct vtd_unit *u = unit_of_ioapic(ioapic_id, &bdf);
	int err;

	(void)pin;
	if (!u)
		return -ENODEV;
	err = irte_set(u, irq, irte_low(irq, level), IRTE_VERIFY_SOURCE(bdf));
	if (err)
		return err;
	/* 5.1.5.1: the vector is that of the entry, as the EOI is matched with it. */
	*ret_rte = RTE_REMAP_FORMAT | RTE_REMAP_HANDLE(irq->remap - 1) | irq->vector |
		   (level ? RTE_LEVEL : 0) | (active_low ? RTE_ACTIVE_LOW : 0);
	return 0;
}

static void irte_clear(struct vtd_unit *u, struct irq *irq)
{
	unsigned index = irq->remap - 1U;
	unsigned long flags = spin_lock_irqsave(&u->irte_lock);

	WRITE_ONCE(u->irtes[index].lo, 0);
	vtd_sync(u, &u->irtes[index], sizeof(u->irtes[index]));
	spin_unlock_irqrestore(&u->irte_lock, flags);

	/* An entry that a silent unit may still have cached is not used again. */
	if (!invalidate(u, index)) {
		flags = spin_lock_irqsave(&u->irte_lock);
		u->irte_owner[index] = NULL;
		spin_unlock_irqrestore(&u->irte_lock, flags);
	}
	irq->remap = 0;
}

void vtd_irq_free(struct pci_dev *dev, struct irq *irq)
{
	struct vtd_unit *u = dev ? vtd_find_unit(dev) : NULL;

	/* A pin's irq does not tell its I/O APIC. */
	for (unsigned i = 0; i < vtd_unit_count && !dev && !u; i++)
		if (irq->remap <= vtd_units[i]->irte_count &&
		    vtd_units[i]->irte_owner[irq->remap - 1] == irq)
			u = vtd_units[i];
	if (u)
		irte_clear(u, irq);
}
