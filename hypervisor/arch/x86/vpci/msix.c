// SPDX-License-Identifier: GPL-2.0-or-later
// vPCI: the MSI-X capability and its table in device memory (PCI Local Bus 3.0, 6.8.2).

#include <arch/cpu.h>
#include <arch/paging.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/nospec.h>

#include "vpci_priv.h"

#define MSIX_CONTROL 2
#define MSIX_TABLE   4
#define MSIX_PBA     8

#define CONTROL_ENABLE	 0x8000U
#define CONTROL_MASK_ALL 0x4000U
#define CONTROL_SIZE	 0x07ffU
#define AREA_BAR	 0x7U

#define ENTRY_SIZE	   16
#define ENTRY_ADDRESS	   0
#define ENTRY_ADDRESS_HIGH 4
#define ENTRY_DATA	   8
#define ENTRY_CONTROL	   12
#define ENTRY_MASKED	   0x1U

static void msix_fire(struct irq *irq)
{
	struct vpci_irq *vi = irq->data;
	const struct vpci_msix_entry *e = &vi->dev->msix.entries[vi->index];

	vpci_deliver(vi->dev, READ_ONCE(e->address), READ_ONCE(e->data));
}

/* ---- The real table ---- */

static volatile uint32_t *hw_word(const struct vpci_dev *dev, unsigned idx, unsigned field)
{
	return (volatile uint32_t *)(dev->msix.hw + idx * ENTRY_SIZE + field);
}

/* Reads back, so that the device has seen the mask when this returns. */
static void hw_mask(struct vpci_dev *dev, unsigned idx, bool masked)
{
	volatile uint32_t *control = hw_word(dev, idx, ENTRY_CONTROL);
	uint32_t value = *control & ~ENTRY_MASKED;

	*control = value | (masked ? ENTRY_MASKED : 0);
	(void)*control;
}

static void hw_entry(struct vpci_dev *dev, unsigned idx, const struct msi_msg *msg)
{
	*hw_word(dev, idx, ENTRY_ADDRESS) = (uint32_t)msg->address;
	*hw_word(dev, idx, ENTRY_ADDRESS_HIGH) = (uint32_t)(msg->address >> 32);
	*hw_word(dev, idx, ENTRY_DATA) = msg->data;
}

static void entry_detach(struct vpci_dev *dev, struct vpci_msix_entry *e)
{
	if (!e->irq.attached)
		return;
	vpci_irq_detach(&e->irq);
	dev->msix.attached--;
}

static int entry_attach(struct vpci_dev *dev, unsigned idx)
{
	struct vpci_msix_entry *e = &dev->msix.entries[idx];
	int err;

	if (e->irq.attached)
		return 0;
	if (dev->msix.attached >= dev->vpci->policy->max_msix)
		return -ENOSPC;
	err = vpci_irq_attach(&e->irq, dev, idx, msix_fire, vpci_target_cpu(dev, e->address),
			      &e->hw);
	if (!err)
		dev->msix.attached++;
	return err;
}

/*
 * Brings the real entry in line with the guest's. Always written as a whole: the device may have been reset. An entry
 * gets its vector when it is first unmasked and keeps it until MSI-X is switched off.
 */
static void entry_sync(struct vpci_dev *dev, unsigned idx)
{
	struct vpci_msix *msix = &dev->msix;
	struct vpci_msix_entry *e = &msix->entries[idx];
	int err;

	if (!msix->hw)
		return;
	if (!msix->enabled || e->masked) {
		hw_mask(dev, idx, true);
		return;
	}
	err = entry_attach(dev, idx);
	hw_mask(dev, idx, true);
	if (err) {
		log_guest(dev->vpci->domain, LOG_WARN,
			  "PCI " SBDF_FMT ": no interrupt for MSI-X entry %u: error %d\n",
			  SBDF_ARG(dev->pci->sbdf), idx, err);
		return;
	}
	hw_entry(dev, idx, &e->hw);
	hw_mask(dev, idx, false);
}

static void sync_all(struct vpci_dev *dev)
{
	for (unsigned i = 0; i < dev->msix.count; i++)
		entry_sync(dev, i);
}

/* ---- Control ---- */

static uint32_t control_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	const struct vpci_msix *msix = &dev->msix;

	(void)reg;
	return (msix->count - 1) | (msix->enabled ? CONTROL_ENABLE : 0) |
	       (msix->function_mask ? CONTROL_MASK_ALL : 0);
}

static void disable(struct vpci_dev *dev)
{
	struct vpci_msix *msix = &dev->msix;

	vpci_hw_write(dev, msix->pos + MSIX_CONTROL, 2, CONTROL_MASK_ALL);
	/* The answer to a read pushes messages before it that were sent already (PCIe Base 5.0, 2.4.1). */
	(void)vpci_hw_read(dev, msix->pos + MSIX_CONTROL, 2);
	msix->enabled = false;
	for (unsigned i = 0; i < msix->count; i++) {
		/* Entries of a device that no longer decodes are masked when it does again. */
		if (msix->hw && msix->entries[i].irq.attached)
			hw_mask(dev, i, true);
		entry_detach(dev, &msix->entries[i]);
	}
}

static int control_write(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	struct vpci_msix *msix = &dev->msix;
	bool enable = value & CONTROL_ENABLE;

	if (dev->job.active) {
		vpci_wait(dev);
		return -EAGAIN;
	}
	msix->function_mask = value & CONTROL_MASK_ALL;
	if (!enable) {
		if (msix->enabled)
			disable(dev);
		vpci_hw_write(dev, reg->off, 2, value & CONTROL_MASK_ALL);
		return 0;
	}
	/* Entries are made good under the function mask: none goes out with stale contents. */
	vpci_hw_write(dev, reg->off, 2, CONTROL_ENABLE | CONTROL_MASK_ALL);
	msix->enabled = true;
	sync_all(dev);
	if (!msix->function_mask)
		vpci_hw_write(dev, reg->off, 2, CONTROL_ENABLE);
	return 0;
}

/* ---- The guest's table ---- */

static uint32_t entry_read(const struct vpci_msix_entry *e, unsigned field)
{
	switch (field) {
	case ENTRY_ADDRESS:
		return (uint32_t)e->address;
	case ENTRY_ADDRESS_HIGH:
		return (uint32_t)(e->address >> 32);
	case ENTRY_DATA:
		return e->data;
	default:
		return e->masked ? ENTRY_MASKED : 0;
	}
}

static void entry_write(struct vpci_dev *dev, unsigned idx, unsigned field, uint32_t value)
{
	struct vpci_msix_entry *e = &dev->msix.entries[index_nospec(idx, dev->msix.count)];

	switch (field) {
	case ENTRY_ADDRESS:
		WRITE_ONCE(e->address, (e->address & ~0xffffffffULL) | (value & ~3U));
		break;
	case ENTRY_ADDRESS_HIGH:
		WRITE_ONCE(e->address, (uint64_t)value << 32 | (uint32_t)e->address);
		break;
	case ENTRY_DATA:
		WRITE_ONCE(e->data, value);
		break;
	default:
		e->masked = value & ENTRY_MASKED;
		entry_sync(dev, idx);
		break;
	}
}

/* Guest-physical address of an area; false while its BAR is not mapped. */
static bool area_address(const struct vpci_dev *dev, const struct vpci_msix_area *a,
			 uint64_t *ret_gpa)
{
	const struct vpci_bar *bar = &dev->bars[a->bar];

	if (!bar->mapped)
		return false;
	/* The BAR's guest value may have changed since; where it is mapped is kept in frames. */
	*ret_gpa = (bar->gfn << PAGE_SHIFT) + (bar->host & (PAGE_SIZE - 1)) + a->offset;
	return true;
}

static bool in_area(const struct vpci_dev *dev, const struct vpci_msix_area *a, uint64_t gpa,
		    uint64_t *ret_offset)
{
	uint64_t start;

	if (!area_address(dev, a, &start) || gpa < start || gpa >= start + a->size)
		return false;
	*ret_offset = gpa - start;
	return true;
}

/*
 * Software has to use aligned accesses of 4 or 8 bytes (6.8.2); smaller reads get their part, smaller writes and
 * unaligned accesses are undefined and do nothing.
 */
bool vpci_msix_read(struct vpci_dev *dev, uint64_t gpa, unsigned size, uint64_t *ret_value)
{
	struct vpci_msix *msix = &dev->msix;
	const struct vpci_msix_entry *e;
	uint64_t off, value;

	if (!msix->count || !in_area(dev, &msix->table, gpa, &off))
		return false;
	*ret_value = ~0ULL >> (64 - size * 8);
	if (off & (size - 1))
		return true;
	e = &msix->entries[index_nospec(off / ENTRY_SIZE, msix->count)];
	value = entry_read(e, off & 12);
	if (size == 8)
		value |= (uint64_t)entry_read(e, (off & 12) + 4) << 32;
	*ret_value &= value >> (off & 3) * 8;
	return true;
}

bool vpci_msix_write(struct vpci_dev *dev, uint64_t gpa, unsigned size, uint64_t value)
{
	struct vpci_msix *msix = &dev->msix;
	uint64_t off;

	if (!msix->count)
		return false;
	/* Pending bits are the device's to write. */
	if (in_area(dev, &msix->pba, gpa, &off))
		return true;
	if (!in_area(dev, &msix->table, gpa, &off))
		return false;
	if (size < 4 || (off & (size - 1)))
		return true;
	entry_write(dev, (unsigned)(off / ENTRY_SIZE), off & 12, (uint32_t)value);
	if (size == 8)
		entry_write(dev, (unsigned)(off / ENTRY_SIZE), (off & 12) + 4,
			    (uint32_t)(value >> 32));
	return true;
}

/* ---- BARs come and go ---- */

static void area_frames(const struct vpci_dev *dev, const struct vpci_msix_area *a,
			uint64_t *ret_gfn, uint64_t *ret_mfn, uint64_t *ret_count)
{
	const struct vpci_bar *bar = &dev->bars[a->bar];
	uint64_t start = (bar->host & (PAGE_SIZE - 1)) + a->offset;
	uint64_t first = start >> PAGE_SHIFT;

	*ret_gfn = bar->gfn + first;
	*ret_mfn = bar->mfn + first;
	*ret_count = ((start + a->size - 1) >> PAGE_SHIFT) - first + 1;
}

static void area_down(struct vpci_dev *dev, const struct vpci_msix_area *a, uint64_t count)
{
	uint64_t gfn, mfn, all;

	area_frames(dev, a, &gfn, &mfn, &all);
	for (uint64_t i = 0; i < count; i++)
		vpci_trap_put(dev->vpci, gfn + i);
}

static int area_up(struct vpci_dev *dev, const struct vpci_msix_area *a)
{
	uint64_t gfn, mfn, count;

	area_frames(dev, a, &gfn, &mfn, &count);
	for (uint64_t i = 0; i < count; i++) {
		int err = vpci_trap_get(dev->vpci, gfn + i, mfn + i);

		if (err) {
			area_down(dev, a, i);
			return err;
		}
	}
	return 0;
}

static uint64_t area_pages(const struct vpci_dev *dev, const struct vpci_msix_area *a)
{
	uint64_t gfn, mfn, count;

	area_frames(dev, a, &gfn, &mfn, &count);
	return count;
}

int vpci_msix_bar_up(struct vpci_dev *dev, unsigned bar)
{
	struct vpci_msix *msix = &dev->msix;
	bool table = msix->count && msix->table.bar == bar;
	bool pba = msix->count && msix->pba.bar == bar;
	int err;

	if (table) {
		err = area_up(dev, &msix->table);
		if (err)
			return err;
		msix->hw = mmio_map(dev->bars[bar].host + msix->table.offset, msix->table.size);
		if (!msix->hw) {
			err = -ENOMEM;
			goto err_table;
		}
	}
	if (pba) {
		err = area_up(dev, &msix->pba);
		if (err)
			goto err_unmap;
	}
	/* The device answers only when its command register is written: then the entries are made good. */
	return 0;

err_unmap:
	if (table) {
		mmio_unmap(msix->hw, msix->table.size);
		msix->hw = NULL;
	}
err_table:
	if (table)
		area_down(dev, &msix->table, area_pages(dev, &msix->table));
	return err;
}

void vpci_msix_bar_down(struct vpci_dev *dev, unsigned bar)
{
	struct vpci_msix *msix = &dev->msix;

	if (!msix->count)
		return;
	if (msix->table.bar == bar) {
		mmio_unmap_everywhere(msix->hw, msix->table.size);
		msix->hw = NULL;
		area_down(dev, &msix->table, area_pages(dev, &msix->table));
	}
	if (msix->pba.bar == bar)
		area_down(dev, &msix->pba, area_pages(dev, &msix->pba));
}

void vpci_msix_decode_on(struct vpci_dev *dev)
{
	if (dev->msix.enabled)
		sync_all(dev);
}

/* ---- Setting up ---- */

/* The area must be within one memory BAR. */
static bool area_init(const struct vpci_dev *dev, struct vpci_msix_area *a, unsigned reg,
		      uint32_t size)
{
	uint32_t value = vpci_hw_read(dev, reg, 4);
	const struct vpci_bar *bar;

	a->bar = value & AREA_BAR;
	a->offset = value & ~AREA_BAR;
	a->size = size;
	if (a->bar >= VPCI_MAX_BARS)
		return false;
	bar = &dev->bars[a->bar];
	return (bar->kind == BAR_MEM32 || bar->kind == BAR_MEM64) && a->offset < bar->size &&
	       size <= bar->size - a->offset;
}

static uint32_t broken_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	return vpci_hw_read(dev, reg->off, 2) & ~(CONTROL_ENABLE | CONTROL_MASK_ALL);
}

int vpci_msix_init(struct vpci_dev *dev)
{
	struct vpci_msix *msix = &dev->msix;
	unsigned pos = pci_find_capability(dev->pci->sbdf, PCI_CAP_ID_MSIX), count;

	if (!pos || !vpci_policy_shows(dev->vpci->policy, PCI_CAP_ID_MSIX))
		return 0;
	msix->pos = (uint16_t)pos;
	count = (vpci_hw_read(dev, pos + MSIX_CONTROL, 2) & CONTROL_SIZE) + 1;
	vpci_hw_write(dev, pos + MSIX_CONTROL, 2, CONTROL_MASK_ALL);
	if (!area_init(dev, &msix->table, pos + MSIX_TABLE, count * ENTRY_SIZE) ||
	    !area_init(dev, &msix->pba, pos + MSIX_PBA, DIV_ROUND_UP(count, 64) * 8)) {
		/* Without its table it cannot be emulated; enabled, the device would send messages of its own. */
		log_warn("PCI " SBDF_FMT ": the MSI-X table is outside of its BAR\n",
			 SBDF_ARG(dev->pci->sbdf));
		return vpci_reg_add(dev, pos + MSIX_CONTROL, 2, broken_read, vpci_reg_drop, 0);
	}
	msix->entries = heap_alloc(count * sizeof(*msix->entries));
	if (!msix->entries)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		msix->entries[i].masked = true;
	msix->count = count;
	return vpci_reg_add(dev, pos + MSIX_CONTROL, 2, control_read, control_write, 0);
}

void vpci_msix_finish(struct vpci_dev *dev)
{
	struct vpci_msix *msix = &dev->msix;

	if (!msix->count)
		return;
	disable(dev);
}

void vpci_msix_free(struct vpci_dev *dev)
{
	heap_free(dev->msix.entries);
	dev->msix.entries = NULL;
	dev->msix.count = 0;
}
