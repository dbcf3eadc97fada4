// SPDX-License-Identifier: GPL-2.0-or-later
// vPCI: finds the base address registers of a device and their sizes.

#include <bulkhead/string.h>

#include "vpci_priv.h"

/* PCI Local Bus 3.0, 6.2.5. */
#define BAR_SPACE_IO   0x1
#define BAR_TYPE(v)    ((v) >> 1 & 3)
#define BAR_TYPE_32    0
#define BAR_TYPE_1M    1 /* below 1 MiB: a 32-bit one since revision 2.2 */
#define BAR_IO_MASK    0xfffffffcU
#define BAR_MEM_MASK   0xfffffff0U
#define BAR_ROM_MASK   0xfffff800U
#define BAR_ROM_ENABLE 0x1
#define ROM_REG	       0x30
#define ROM_REG_BRIDGE 0x38
#define HEADER_CARDBUS 2
#define EXT_CAP_FIRST  0x100
#define EXT_CAP_MAX    960 /* capabilities that fit: ends a circular list */

uint64_t vpci_size_of_mask(uint64_t mask)
{
	return mask & -mask;
}

/* What sticks of `ones`; the register has its old value afterwards. */
static uint32_t sticky_bits(const struct vpci_dev *dev, unsigned reg, uint32_t all_ones)
{
	uint32_t old = vpci_hw_read(dev, reg, 4), bits;

	vpci_hw_write(dev, reg, 4, all_ones);
	bits = vpci_hw_read(dev, reg, 4);
	vpci_hw_write(dev, reg, 4, old);
	return bits;
}

/* Size of the memory BAR at reg; 0 if it is malformed. */
static uint64_t memory_size(const struct vpci_dev *dev, unsigned reg, bool is64)
{
	uint64_t mask = sticky_bits(dev, reg, ~0U) & BAR_MEM_MASK;

	if (is64)
		mask |= (uint64_t)sticky_bits(dev, reg + 4, ~0U) << 32;
	else if (mask)
		mask |= ~0ULL << 32;
	return vpci_size_of_mask(mask);
}

void vpci_bar_size_probe(struct vpci_dev *dev, unsigned idx)
{
	struct vpci_bar *bar = &dev->bars[idx];

	if (bar->kind == BAR_MEM32 || bar->kind == BAR_MEM64)
		bar->size = memory_size(dev, bar->reg, bar->kind == BAR_MEM64);
}

/* One register, or the pair of a 64-bit one; returns how many registers that was. */
static unsigned probe_bar(struct vpci_dev *dev, unsigned idx)
{
	struct vpci_bar *bar = &dev->bars[idx];
	uint32_t bits, value;

	bar->reg = (uint16_t)(PCI_BAR_FIRST + idx * 4);
	bar->enabled = true;
	bits = sticky_bits(dev, bar->reg, ~0U);
	value = vpci_hw_read(dev, bar->reg, 4);
	if (!bits)
		return 1;
	if (bits & BAR_SPACE_IO) {
		bar->kind = BAR_IO;
		bar->size = vpci_size_of_mask(bits & BAR_IO_MASK) & 0xffffffff;
		return 1;
	}
	bar->flags = bits & 0xf;
	bar->host = value & BAR_MEM_MASK;
	switch (BAR_TYPE(bits)) {
	case BAR_TYPE_32:
	case BAR_TYPE_1M:
		bar->kind = BAR_MEM32;
		break;
	case PCI_BAR_TYPE_64:
		/* The upper half must be a BAR, too. */
		if (idx + 1 >= dev->bar_count)
			return 1;
		bar->kind = BAR_MEM64;
		bar->host |= (uint64_t)vpci_hw_read(dev, bar->reg + 4, 4) << 32;
		break;
	default:
		return 1;
	}
	bar->size = memory_size(dev, bar->reg, bar->kind == BAR_MEM64);
	if (!bar->size) {
		bar->kind = BAR_NONE;
		return 1;
	}
	bar->guest = bar->host;
	if (bar->kind != BAR_MEM64)
		return 1;
	dev->bars[idx + 1].kind = BAR_MEM64_HIGH;
	dev->bars[idx + 1].reg = (uint16_t)(bar->reg + 4);
	return 2;
}

static void probe_rom(struct vpci_dev *dev, unsigned reg)
{
	struct vpci_bar *rom = &dev->bars[VPCI_ROM];
	uint32_t value = vpci_hw_read(dev, reg, 4);
	uint32_t mask = sticky_bits(dev, reg, BAR_ROM_MASK) & BAR_ROM_MASK;

	if (!mask)
		return;
	*rom = (struct vpci_bar){
		.kind = BAR_ROM,
		.reg = (uint16_t)reg,
		.enabled = value & BAR_ROM_ENABLE,
		.size = vpci_size_of_mask(mask),
		.host = value & BAR_ROM_MASK,
		.guest = value & BAR_ROM_MASK,
	};
}

unsigned vpci_find_ext_cap(const struct vpci_dev *dev, unsigned id)
{
	unsigned pos = EXT_CAP_FIRST;

	if (!pci_find_capability(dev->pci->sbdf, PCI_CAP_ID_PCIE))
		return 0;
	for (unsigned n = 0; n < EXT_CAP_MAX && pos >= EXT_CAP_FIRST; n++) {
		uint32_t header = vpci_hw_read(dev, pos, 4);

		if (header == 0 || header == ~0U)
			return 0;
		if ((header & 0xffff) == id)
			return pos;
		pos = header >> 20 & 0xffc;
	}
	return 0;
}

/*
 * BARs of virtual functions are registers of the physical one (PCIe Base 5.0, 9.3.3.14). Their sizes can only be found
 * out while none of them decodes memory, so it is done now and not when the first one appears.
 */
static void probe_vf_bars(struct vpci_dev *dev)
{
	unsigned pos = vpci_find_ext_cap(dev, PCI_EXT_CAP_SRIOV);
	uint32_t control;

	if (!pos)
		return;
	dev->sriov = (uint16_t)pos;
	control = vpci_hw_read(dev, pos + PCI_SRIOV_CONTROL, 2);
	if (control & PCI_SRIOV_MEMORY)
		vpci_hw_write(dev, pos + PCI_SRIOV_CONTROL, 2, control & ~PCI_SRIOV_MEMORY);
	for (unsigned i = 0; i < VPCI_MAX_BARS; i++) {
		unsigned reg = pos + PCI_SRIOV_BAR + i * 4;
		uint32_t bits = sticky_bits(dev, reg, ~0U);
		bool is64 = BAR_TYPE(bits) == PCI_BAR_TYPE_64;

		if (!bits || (bits & BAR_SPACE_IO) || (is64 && i + 1 == VPCI_MAX_BARS))
			continue;
		dev->vf_size[i] = memory_size(dev, reg, is64);
		i += is64;
	}
	if (control & PCI_SRIOV_MEMORY)
		vpci_hw_write(dev, pos + PCI_SRIOV_CONTROL, 2, control);
}

void vpci_bars_probe(struct vpci_dev *dev)
{
	uint32_t command = vpci_hw_read(dev, PCI_COMMAND, 2);
	uint32_t decoding = command & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	unsigned rom = 0;

	dev->header_type = vpci_hw_read(dev, PCI_HEADER_TYPE, 1) & (uint8_t)~PCI_HEADER_MULTI;
	switch (dev->header_type) {
	case 0:
		dev->bar_count = VPCI_MAX_BARS;
		rom = ROM_REG;
		break;
	case PCI_HEADER_BRIDGE:
		dev->bar_count = 2;
		rom = ROM_REG_BRIDGE;
		break;
	case HEADER_CARDBUS:
		dev->bar_count = 1;
		break;
	default:
		return;
	}
	/* While a register holds the sizing pattern the device must not answer at that address. */
	if (decoding)
		vpci_hw_write(dev, PCI_COMMAND, 2, command & ~decoding);
	for (unsigned i = 0; i < dev->bar_count;)
		i += probe_bar(dev, i);
	if (rom)
		probe_rom(dev, rom);
	probe_vf_bars(dev);
	if (decoding)
		vpci_hw_write(dev, PCI_COMMAND, 2, command);
}
