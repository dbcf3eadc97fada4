// SPDX-License-Identifier: GPL-2.0-or-later
// vPCI: what domains other than the hardware domain see of a device, and what of it they may write.

#include <bulkhead/errno.h>
#include <bulkhead/mm.h>

#include "vpci_priv.h"

#define CAP_ID_PM      0x01
#define CAP_ID_VENDOR  0x09
#define CAP_FIRST      0x40
#define CAP_NEXT       1
#define INTERRUPT_LINE 0x3c

/* MSI-X of the hardware domain has no limit of its own: vectors are what is scarce. */
#define MSIX_NO_LIMIT 2048
#define MSIX_CONFINED 64

static const uint8_t confined_caps[] = {PCI_CAP_ID_MSI, PCI_CAP_ID_MSIX, PCI_CAP_ID_PCIE,
					CAP_ID_VENDOR, 0};

const struct vpci_policy vpci_policy_hardware = {
	.raw = true,
	.rom = true,
	.share_pages = true,
	.command_write = 0xffff,
	.max_msi = VPCI_MAX_MSI,
	.max_msix = MSIX_NO_LIMIT,
};

/*
 * Ports, ROM, INTx and power states are left out: each of them is shared with, or changes the place of, what is not the
 * guest's. So is every capability with which a device could be told where to send what.
 */
const struct vpci_policy vpci_policy_confined = {
	.command_write = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
	.max_msi = VPCI_MAX_MSI,
	.max_msix = MSIX_CONFINED,
	.capabilities = confined_caps,
};

bool vpci_policy_shows(const struct vpci_policy *p, uint8_t cap)
{
	if (p->raw)
		return true;
	for (const uint8_t *c = p->capabilities; *c; c++)
		if (*c == cap)
			return true;
	return false;
}

struct window {
	uint8_t off, size;
	uint32_t read, write, write1;
};

/* PCI Local Bus 3.0, 6.1, header type 0. What is not here reads zero. */
static const struct window header_windows[] = {
	{PCI_VENDOR, 4, 0xffffffff, 0, 0}, {PCI_STATUS, 2, 0xffff, 0xf900, 0xf900},
	{0x08, 4, 0xffffffff, 0, 0},	  /* revision, class */
	{0x0c, 2, 0xffff, 0xffff, 0},	  /* cache line size, latency timer */
	{PCI_HEADER_TYPE, 1, 0x7f, 0, 0}, /* never one of several functions */
	{0x2c, 4, 0xffffffff, 0, 0},	  /* subsystem */
};

/*
 * PCI Express (PCIe Base 5.0, 7.5.3): only how the device's own requests look (relaxed ordering, no snoop, size of
 * reads) is the guest's. A function reset would take the BARs away that the hypervisor has mapped.
 */
static const struct window pcie_windows[] = {
	{2, 2, 0xffff, 0, 0},	   {4, 4, ~(1U << 28), 0, 0}, /* no function level reset */
	{8, 2, 0xffff, 0x7810, 0}, {10, 2, 0xffff, 0x000f, 0x000f}, {12, 8, 0xffffffff, 0, 0},
	{36, 4, 0xffffffff, 0, 0}, {40, 4, 0xffffffff, 0, 0},
};

static void allow(struct vpci_masks *m, unsigned off, const struct window *w)
{
	for (unsigned i = 0; i < w->size && off + i < VPCI_LEGACY_SIZE; i++) {
		m->read[off + i] = (uint8_t)(w->read >> (i & 3) * 8);
		m->write[off + i] = (uint8_t)(w->write >> (i & 3) * 8);
		m->write1[off + i] = (uint8_t)(w->write1 >> (i & 3) * 8);
	}
}

static uint32_t const_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	(void)dev;
	return reg->arg;
}

static uint32_t line_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	(void)reg;
	return dev->int_line;
}

/* A note from software to software: kept, not written to the device. */
static int line_write(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	(void)reg;
	dev->int_line = (uint8_t)value;
	return 0;
}

/* Bytes of a capability that may be seen. */
static int show_capability(struct vpci_dev *dev, unsigned pos, uint8_t id)
{
	struct window body = {0, 0, 0xffffffff, 0, 0};

	switch (id) {
	case PCI_CAP_ID_MSI:
		/* Its registers have handlers; the pending bits are plain. */
		if (!dev->msi.maskable)
			return 0;
		body.size = 4;
		allow(dev->masks, dev->msi.mask_reg + 4U, &body);
		return 0;
	case PCI_CAP_ID_MSIX:
		body.size = 8;
		allow(dev->masks, pos + 4, &body);
		return 0;
	case PCI_CAP_ID_PCIE:
		for (unsigned i = 0; i < ARRAY_SIZE(pcie_windows); i++)
			allow(dev->masks, pos + pcie_windows[i].off, &pcie_windows[i]);
		return 0;
	case CAP_ID_VENDOR:
		body.size = (uint8_t)vpci_hw_read(dev, pos + 2, 1);
		if (body.size > 2) {
			body.size = (uint8_t)(body.size - 2);
			allow(dev->masks, pos + 2, &body);
		}
		return 0;
	default:
		return -EINVAL;
	}
}

/* A list of its own: the pointers skip what is not shown. */
static int build_capabilities(struct vpci_dev *dev)
{
	unsigned link = PCI_CAP_POINTER, pos = 0;
	uint32_t seen[VPCI_LEGACY_SIZE / 32] = {0};
	int err;

	if (vpci_hw_read(dev, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST)
		pos = vpci_hw_read(dev, PCI_CAP_POINTER, 1) & 0xfc;
	for (unsigned n = 0; n < VPCI_MAX_CAPS && pos >= CAP_FIRST; n++) {
		uint32_t header = vpci_hw_read(dev, pos, 2);
		uint8_t id = (uint8_t)header;

		if (seen[pos / 32] & 1U << pos % 32)
			break;
		seen[pos / 32] |= 1U << pos % 32;
		/* Of MSI and MSI-X the first one counts. */
		if (vpci_policy_shows(dev->vpci->policy, id) &&
		    (id != PCI_CAP_ID_MSI || pos == dev->msi.pos) &&
		    (id != PCI_CAP_ID_MSIX || pos == dev->msix.pos)) {
			err = vpci_reg_add(dev, link, 1, const_read, vpci_reg_drop, pos);
			if (!err)
				err = vpci_reg_add(dev, pos, 1, const_read, vpci_reg_drop, id);
			if (!err)
				err = show_capability(dev, pos, id);
			if (err)
				return err;
			link = pos + CAP_NEXT;
		}
		pos = header >> 8 & 0xfc;
	}
	return vpci_reg_add(dev, link, 1, const_read, vpci_reg_drop, 0);
}

int vpci_policy_apply(struct vpci_dev *dev)
{
	int err;

	/* Bridges are not for guests. */
	if (dev->header_type != 0)
		return -EINVAL;
	dev->masks = heap_alloc(sizeof(*dev->masks));
	if (!dev->masks)
		return -ENOMEM;
	for (unsigned i = 0; i < ARRAY_SIZE(header_windows); i++)
		allow(dev->masks, header_windows[i].off, &header_windows[i]);
	err = vpci_reg_add(dev, INTERRUPT_LINE, 1, line_read, line_write, 0);
	if (!err)
		err = build_capabilities(dev);
	return err;
}
