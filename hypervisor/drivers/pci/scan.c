// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the PCI functions of the machine, their bridges and the requester ids that an IOMMU sees.

#include <bulkhead/bitmap.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/pci.h>

#define BUSES	      256
#define MAX_SEGMENTS  32
#define MAX_CAPS      48 /* what fits in 192 bytes: ends a circular list */
#define CAP_FIRST     0x40
#define VENDOR_ABSENT 0xffff

struct list pci_devices = LIST_INIT(pci_devices);
/* Devices are added, never removed. Also taken by fault handlers. */
static spinlock_t devices_lock = SPINLOCK_INIT;

static struct pci_dev *find_locked(sbdf_t s)
{
	struct pci_dev *dev;

	LIST_FOR_EACH (dev, &pci_devices, struct pci_dev, link)
		if (sbdf_eq(dev->sbdf, s))
			return dev;
	return NULL;
}

struct pci_dev *pci_find(sbdf_t s)
{
	unsigned long flags = spin_lock_irqsave(&devices_lock);
	struct pci_dev *dev = find_locked(s);

	spin_unlock_irqrestore(&devices_lock, flags);
	return dev;
}

unsigned pci_find_capability(sbdf_t s, unsigned id)
{
	unsigned pos;

	if (!(pci_conf_read(s, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	pos = pci_conf_read(s, PCI_CAP_POINTER, 1) & 0xfc;
	for (unsigned n = 0; n < MAX_CAPS && pos >= CAP_FIRST; n++) {
		uint32_t header = pci_conf_read(s, pos, 2);

		if ((header & 0xff) == id)
			return pos;
		pos = header >> 8 & 0xfc;
	}
	return 0;
}

void pci_stop_dma(sbdf_t s)
{
	uint32_t command = pci_conf_read(s, PCI_COMMAND, 2);

	pci_conf_write(s, PCI_COMMAND, 2, command & ~(uint32_t)PCI_COMMAND_MASTER);
}

/* The bridge whose secondary bus is the one of s. */
static struct pci_dev *find_bridge(sbdf_t s)
{
	unsigned long flags = spin_lock_irqsave(&devices_lock);
	struct pci_dev *dev, *found = NULL;

	LIST_FOR_EACH (dev, &pci_devices, struct pci_dev, link)
		if (dev->secondary_bus && dev->secondary_bus == sbdf_bus(s) &&
		    sbdf_seg(dev->sbdf) == sbdf_seg(s)) {
			found = dev;
			break;
		}
	spin_unlock_irqrestore(&devices_lock, flags);
	return found;
}

/*
 * Requests of conventional PCI devices carry no id; the bridge to PCI Express gives them one: its secondary bus
 * and device 0 (PCI Express to PCI/PCI-X Bridge 1.0, 2.3). A bridge without PCI Express capability on a root bus
 * takes ownership under its own id. The last such bridge on the way up is what counts.
 */
static sbdf_t dma_alias(const struct pci_dev *dev)
{
	sbdf_t alias = dev->sbdf;
	const struct pci_dev *b = dev->bridge;

	/* A bus number strictly falls on the way up (pci_dev_add), so that this ends. */
	for (; b; b = b->bridge) {
		if (!b->cap_pcie || b->pcie_type == PCIE_TYPE_REVERSED)
			alias = b->sbdf;
		else if (b->pcie_type == PCIE_TYPE_PCI_BRIDGE)
			alias = sbdf_make(sbdf_seg(b->sbdf), b->secondary_bus, 0, 0);
	}
	return alias;
}

static void read_header(struct pci_dev *dev)
{
	sbdf_t s = dev->sbdf;

	dev->vendor = (uint16_t)pci_conf_read(s, PCI_VENDOR, 2);
	dev->device = (uint16_t)pci_conf_read(s, PCI_DEVICE, 2);
	dev->header_type = pci_conf_read(s, PCI_HEADER_TYPE, 1) & 0x7f;
	dev->class_base = (uint8_t)pci_conf_read(s, PCI_CLASS_BASE, 1);
	dev->class_sub = (uint8_t)pci_conf_read(s, PCI_CLASS_SUB, 1);
	dev->class_if = (uint8_t)pci_conf_read(s, PCI_CLASS_IF, 1);
	dev->cap_msi = (uint16_t)pci_find_capability(s, PCI_CAP_ID_MSI);
	dev->cap_msix = (uint16_t)pci_find_capability(s, PCI_CAP_ID_MSIX);
	dev->cap_pcie = (uint16_t)pci_find_capability(s, PCI_CAP_ID_PCIE);
	if (dev->cap_pcie)
		dev->pcie_type = pci_conf_read(s, dev->cap_pcie + PCIE_CAPABILITIES, 1) >> 4;
	if (dev->header_type == PCI_HEADER_BRIDGE) {
		dev->secondary_bus = (uint8_t)pci_conf_read(s, PCI_SECONDARY_BUS, 1);
		dev->subordinate_bus = (uint8_t)pci_conf_read(s, PCI_SUBORDINATE_BUS, 1);
		/* Not set up, or nonsense: nothing can be below it. */
		if (dev->secondary_bus <= sbdf_bus(s) || dev->subordinate_bus < dev->secondary_bus)
			dev->secondary_bus = dev->subordinate_bus = 0;
	}
}

int pci_dev_add(sbdf_t s, struct pci_dev **ret_dev)
{
	struct pci_dev *dev = pci_find(s), *other;
	unsigned long flags;

	if (dev) {
		*ret_dev = dev;
		return -EEXIST;
	}
	dev = heap_alloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->sbdf = s;
	read_header(dev);
	dev->bridge = find_bridge(s);
	dev->dma_alias = dma_alias(dev);

	flags = spin_lock_irqsave(&devices_lock);
	other = find_locked(s);
	if (!other)
		list_insert_before(&pci_devices, &dev->link);
	spin_unlock_irqrestore(&devices_lock, flags);
	if (other) {
		heap_free(dev);
		*ret_dev = other;
		return -EEXIST;
	}
	*ret_dev = dev;
	return 0;
}

int pci_hide(sbdf_t s)
{
	struct pci_dev *dev = pci_find(s);

	if (!dev)
		return -ENOENT;
	dev->hidden = true;
	return 0;
}

/* Most of these reads find nothing: through the ports where possible, so that empty buses are not mapped. */
static bool function_present(sbdf_t s)
{
	unsigned vendor = sbdf_seg(s) ? pci_conf_read(s, PCI_VENDOR, 2)
				      : pci_port_read(sbdf_bdf(s), PCI_VENDOR, 2);

	/* Zero comes from some root complexes for nothing; one is a retry status (PCIe Base 5.0, 2.3.2). */
	return vendor != VENDOR_ABSENT && vendor > 1;
}

struct bus_walk {
	BITMAP_DECLARE(seen, BUSES);
	uint8_t queue[BUSES];
	unsigned queued;
};

static void walk_add(struct bus_walk *w, unsigned bus)
{
	if (bitmap_test(w->seen, bus))
		return;
	bitmap_set(w->seen, bus);
	w->queue[w->queued++] = (uint8_t)bus;
}

static int scan_bus(unsigned seg, unsigned bus, struct bus_walk *w)
{
	for (unsigned d = 0; d < 32; d++)
		for (unsigned fn = 0; fn < 8; fn++) {
			sbdf_t s = sbdf_make(seg, bus, d, fn);
			struct pci_dev *dev;
			int err;

			if (!function_present(s)) {
				if (fn == 0)
					break;
				continue;
			}
			err = pci_dev_add(s, &dev);
			if (err && err != -EEXIST)
				return err;
			if (dev->secondary_bus)
				walk_add(w, dev->secondary_bus);
			if (fn == 0 && !(pci_conf_read(s, PCI_HEADER_TYPE, 1) & PCI_HEADER_MULTI))
				break;
		}
	return 0;
}

/*
 * Goes down from every root bus. Which buses are roots is written in AML only: a bus that no bridge leads to is tried as
 * one. Buses are visited in rising order of their roots, so that bridges are known before what is below them.
 */
static int scan_segment(unsigned seg, unsigned first_bus, unsigned last_bus, struct bus_walk *w)
{
	unsigned done = 0;

	for (unsigned root = first_bus; root <= last_bus; root++) {
		walk_add(w, root);
		for (; done < w->queued; done++) {
			int err = scan_bus(seg, w->queue[done], w);

			if (err)
				return err;
		}
	}
	return 0;
}

static int scan_segment_alloc(unsigned seg, unsigned first_bus, unsigned last_bus)
{
	struct bus_walk *w = heap_alloc(sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	err = scan_segment(seg, first_bus, last_bus, w);
	heap_free(w);
	return err;
}

int pci_scan(void)
{
	unsigned seg, first, last, count = 0;
	struct pci_dev *dev;
	bool seg0 = false;
	uint64_t base;
	int err;

	for (unsigned i = 0; pci_ecam_get(i, &base, &seg, &first, &last); i++) {
		seg0 |= seg == 0;
		err = scan_segment_alloc(seg, first, last);
		if (err)
			return err;
	}
	if (!seg0) {
		err = scan_segment_alloc(0, 0, BUSES - 1);
		if (err)
			return err;
	}
	LIST_FOR_EACH (dev, &pci_devices, struct pci_dev, link) {
		count++;
		log_debug("PCI " SBDF_FMT ": %04x:%04x class %02x%02x%02x\n", SBDF_ARG(dev->sbdf),
			  dev->vendor, dev->device, dev->class_base, dev->class_sub, dev->class_if);
	}
	log_info("PCI: %u functions\n", count);
	return 0;
}
