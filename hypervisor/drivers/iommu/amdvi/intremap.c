// SPDX-License-Identifier: GPL-2.0-or-later
// AMD IOMMU: interrupt remapping (2.2.5). Each requester id has a table of its own.

#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "amdvi.h"

bool amdvi_intremap, amdvi_wide_irtes;

static struct amdvi_irt *find_irt(struct amdvi_segment *s, unsigned id)
{
	unsigned long flags = spin_lock_irqsave(&s->lock);
	struct amdvi_irt *irt, *found = NULL;

	LIST_FOR_EACH (irt, &s->irts, struct amdvi_irt, link)
		if (irt->id == id) {
			found = irt;
			break;
		}
	spin_unlock_irqrestore(&s->lock, flags);
	return found;
}

static void destroy_irt(struct amdvi_irt *irt)
{
	heap_free(irt->entries);
	heap_free(irt->owner);
	heap_free(irt);
}

static struct amdvi_irt *create_irt(struct amdvi_unit *u, unsigned id)
{
	size_t entry = amdvi_wide_irtes ? sizeof(struct amdvi_irte128) : sizeof(uint32_t);
	struct amdvi_irt *irt = heap_alloc(sizeof(*irt));

	if (!irt)
		return NULL;
	irt->id = (uint16_t)id;
	irt->log2 = AMDVI_IRT_LOG2;
	irt->unit = u;
	/* Whole pages: the table is aligned to 128 bytes (2.2.5). */
	irt->entries = heap_alloc(MAX(AMDVI_IRT_ENTRIES * entry, PAGE_SIZE));
	irt->owner = heap_alloc(AMDVI_IRT_ENTRIES * sizeof(struct irq *));
	if (!irt->entries || !irt->owner) {
		destroy_irt(irt);
		return NULL;
	}
	return irt;
}

/* The table of a requester id, made when it is first needed. */
static int get_irt(struct amdvi_unit *u, unsigned id, struct amdvi_irt **ret)
{
	struct amdvi_segment *s = u->segment;
	struct amdvi_irt *irt = find_irt(s, id), *other;
	unsigned long flags;
	int err;

	if (!irt) {
		irt = create_irt(u, id);
		if (!irt)
			return -ENOMEM;
		/* Somebody else may have been faster. */
		other = find_irt(s, id);
		if (other) {
			destroy_irt(irt);
			irt = other;
		} else {
			err = amdvi_set_irt(u, id, irt);
			if (err)
				return err; /* the table stays: the unit may be reading it */
			flags = spin_lock_irqsave(&s->lock);
			list_insert_before(&s->irts, &irt->link);
			spin_unlock_irqrestore(&s->lock, flags);
		}
	}
	*ret = irt;
	return 0;
}

static void write_irte(struct amdvi_irt *irt, unsigned index, const struct irq *irq)
{
	uint32_t id = irq ? iommu_apic_id(irq->cpu) : 0;

	/* Fixed delivery, physical destination. One store each: the unit never sees half an entry. */
	if (amdvi_wide_irtes) {
		struct amdvi_irte128 *e = (struct amdvi_irte128 *)irt->entries + index;

		iommu_store128(e, irq ? IRTE_ENABLE | IRTE128_DEST_LO(id) : 0,
			       irq ? irq->vector | IRTE128_DEST_HI(id) : 0);
	} else {
		uint32_t *e = (uint32_t *)irt->entries + index;

		WRITE_ONCE(*e, irq ? (uint32_t)IRTE_ENABLE | IRTE32_DEST(id) |
					       IRTE32_VECTOR(irq->vector)
				   : 0);
	}
}

static int invalidate(const struct amdvi_irt *irt)
{
	const struct amdvi_cmd c = {.lo = CMD_INVALIDATE_INT | irt->id};

	return amdvi_execute(irt->unit, &c, 1);
}

/* Takes an entry, one whose index ends in `preferred` if that is free. -ENOSPC. The segment's lock is held. */
static int take_entry(struct amdvi_irt *irt, struct irq *irq, unsigned preferred)
{
	for (unsigned n = 0; n < 2; n++) {
		unsigned i = n << 8 | preferred;

		if (!irt->owner[i]) {
			irt->owner[i] = irq;
			return (int)i;
		}
	}
	for (unsigned i = 0; i < AMDVI_IRT_ENTRIES; i++)
		if (!irt->owner[i]) {
			irt->owner[i] = irq;
			return (int)i;
		}
	return -ENOSPC;
}

static void free_entry(struct amdvi_irt *irt, unsigned index)
{
	struct amdvi_segment *s = irt->unit->segment;
	unsigned long flags;

	write_irte(irt, index, NULL);
	/* An entry that a silent unit may still have cached is not used again. */
	if (invalidate(irt))
		return;
	flags = spin_lock_irqsave(&s->lock);
	irt->owner[index] = NULL;
	spin_unlock_irqrestore(&s->lock, flags);
}

/* Gives irq an entry, or changes the one it has. */
static int set_entry(struct amdvi_irt *irt, struct irq *irq)
{
	struct amdvi_segment *s = irt->unit->segment;
	int index = irq->remap - 1;
	unsigned long flags;

	if (index < 0) {
		flags = spin_lock_irqsave(&s->lock);
		index = take_entry(irt, irq, irq->vector);
		spin_unlock_irqrestore(&s->lock, flags);
		if (index < 0)
			return index;
		irq->remap = (uint16_t)(index + 1);
	}
	write_irte(irt, (unsigned)index, irq);
	return invalidate(irt);
}

/* The table that messages of a device go through. */
static int get_irt_of(struct pci_dev *dev, struct amdvi_irt **ret)
{
	struct amdvi_unit *u = amdvi_find_unit(dev);
	unsigned alias = sbdf_bdf(dev->dma_alias);
	int err;

	if (!u || alias >= u->segment->entries)
		return -ENODEV;
	err = get_irt(u, alias, ret);
	/* A bridge passes on messages with the device's own id, or with its alias. */
	if (!err && alias != sbdf_bdf(dev->sbdf))
		err = amdvi_set_irt(u, sbdf_bdf(dev->sbdf), *ret);
	return err;
}

int amdvi_msi_map(struct pci_dev *dev, struct irq *irq, struct msi_msg *ret_msg)
{
	struct amdvi_irt *irt;
	int err = get_irt_of(dev, &irt);

	if (!err)
		err = set_entry(irt, irq);
	if (err)
		return err;
	/* 2.2.5.1: bits 10:0 of the data are the index. */
	ret_msg->address = AMDVI_INT_FIRST;
	ret_msg->data = irq->remap - 1U;
	return 0;
}

/* Entries in a row that were nobody's, the first at a multiple of count. False: there is no such row. */
static bool take_row(struct amdvi_irt *irt, struct irq *const irqs[], unsigned count)
{
	struct amdvi_segment *s = irt->unit->segment;
	unsigned long flags = spin_lock_irqsave(&s->lock);
	bool taken = false;

	for (unsigned first = 0; first < AMDVI_IRT_ENTRIES && !taken; first += count) {
		unsigned n = 0;

		while (n < count && !irt->owner[first + n])
			n++;
		taken = n == count;
		for (n = 0; n < count && taken; n++) {
			irt->owner[first + n] = irqs[n];
			irqs[n]->remap = (uint16_t)(first + n + 1);
		}
	}
	spin_unlock_irqrestore(&s->lock, flags);
	return taken;
}

int amdvi_msi_map_multi(struct pci_dev *dev, struct irq *const irqs[], unsigned count,
			struct msi_msg *ret_msg)
{
	struct amdvi_irt *irt;
	int err = get_irt_of(dev, &irt);

	if (err)
		return err;
	if (!take_row(irt, irqs, count))
		return -ENOSPC;
	for (unsigned i = 0; i < count; i++)
		write_irte(irt, irqs[i]->remap - 1U, irqs[i]);
	err = invalidate(irt);
	if (err) {
		/* As in free_entry(): a silent unit may have them cached. They stay somebody's for ever. */
		for (unsigned i = 0; i < count; i++) {
			write_irte(irt, irqs[i]->remap - 1U, NULL);
			irqs[i]->remap = 0;
		}
		return err;
	}
	/* The device replaces the low bits of the data, which are the index, by the number of the message. */
	ret_msg->address = AMDVI_INT_FIRST;
	ret_msg->data = irqs[0]->remap - 1U;
	return 0;
}

/*
 * The redirection entry carries the index in its vector and delivery mode. An EOI is matched with that vector (82093AA, 3.2.4):
 * therefore the index ends in irq's own vector if possible. When irq has moved, it gets an index that fits again.
 */
int amdvi_ioapic_map(unsigned ioapic_id, unsigned pin, struct irq *irq, bool level, bool active_low,
		     uint64_t *ret_rte)
{
	unsigned id = 0;
	struct amdvi_unit *u = amdvi_find_ioapic(ioapic_id, &id);
	struct amdvi_irt *irt;
	int old, err;

	(void)pin;
	if (!u || id >= u->segment->entries)
		return -ENODEV;
	err = get_irt(u, id, &irt);
	if (err)
		return err;
	old = irq->remap - 1;
	if (old >= 0 && (old & 0xff) != irq->vector)
		irq->remap = 0;
	err = set_entry(irt, irq);
	if (err) {
		irq->remap = (uint16_t)(old + 1);
		return err;
	}
	if (old >= 0 && old != irq->remap - 1)
		free_entry(irt, (unsigned)old);
	*ret_rte = (irq->remap - 1U) | (level ? RTE_LEVEL : 0) | (active_low ? RTE_ACTIVE_LOW : 0);
	return 0;
}

static bool owns(const struct amdvi_irt *irt, const struct irq *irq)
{
	return irt->owner[irq->remap - 1] == irq;
}

void amdvi_irq_free(struct pci_dev *dev, struct irq *irq)
{
	for (unsigned i = 0; i < amdvi_unit_count; i++) {
		struct amdvi_segment *s = amdvi_units[i]->segment;
		struct amdvi_irt *irt, *found = NULL;
		unsigned long flags;

		if (dev && s->seg != sbdf_seg(dev->sbdf))
			continue;
		flags = spin_lock_irqsave(&s->lock);
		LIST_FOR_EACH (irt, &s->irts, struct amdvi_irt, link)
			if (owns(irt, irq))
				found = irt;
		spin_unlock_irqrestore(&s->lock, flags);
		if (!found)
			continue;
		free_entry(found, irq->remap - 1U);
		break;
	}
	irq->remap = 0;
}
