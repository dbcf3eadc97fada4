// SPDX-License-Identifier: GPL-2.0-or-later
// vPCI: handlers of the command register and of the base address registers.

#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>

#include "vpci_priv.h"

#define BAR_ROM_MASK   0xfffff800U
#define BAR_ROM_ENABLE 0x1

/* Resizable BAR capability (PCIe Base 5.0, 7.8.6). */
#define REBAR_CONTROL(i)     (8 + (i)*8)
#define REBAR_INDEX(control) ((control)&7)
#define REBAR_COUNT(control) ((control) >> 5 & 7)

static bool is_memory(const struct vpci_bar *bar)
{
	return bar->kind == BAR_MEM32 || bar->kind == BAR_MEM64 || bar->kind == BAR_ROM;
}

/* BARs that are to be mapped while memory decoding is on. */
unsigned vpci_memory_bars(const struct vpci_dev *dev)
{
	unsigned bars = 0;

	for (unsigned i = 0; i <= VPCI_ROM; i++)
		if (is_memory(&dev->bars[i]) && dev->bars[i].enabled)
			bars |= 1U << i;
	return bars;
}

/* ---- Registers of the real device ---- */

static void hw_bar_sync(struct vpci_dev *dev, struct vpci_bar *bar)
{
	uint32_t low = (uint32_t)bar->host | bar->flags;

	if (bar->kind == BAR_ROM)
		low = ((uint32_t)bar->host & BAR_ROM_MASK) |
		      (bar->enabled && bar->vetted ? BAR_ROM_ENABLE : 0);
	/* Not written without need: some devices react to writes even of the same value. */
	if (vpci_hw_read(dev, bar->reg, 4) != low)
		vpci_hw_write(dev, bar->reg, 4, low);
	if (bar->kind == BAR_MEM64 && vpci_hw_read(dev, bar->reg + 4U, 4) != bar->host >> 32)
		vpci_hw_write(dev, bar->reg + 4U, 4, (uint32_t)(bar->host >> 32));
}

/*
 * For the hardware domain an address is the machine's: the device's BAR follows, but not to where none may be. False: nor
 * may it answer where it is. While the device belonged to nobody it could be moved, and by growing it reaches further.
 */
static bool host_follow(struct vpci_dev *dev, struct vpci_bar *bar)
{
	if (dev->vpci->policy->raw && bar->host != bar->guest &&
	    vpci_may_be_at(bar->guest, bar->size)) {
		bar->host = bar->guest;
		bar->vetted = true;
	}
	if (!bar->vetted)
		bar->vetted = vpci_may_be_at(bar->host, bar->size);
	return bar->vetted;
}

/*
 * Brings the device's BARs in line before it decodes them: with what the hardware domain wrote in the meantime (its
 * addresses are the machine's), and after a reset of the device, with what they were. False: it must not decode.
 */
static bool hw_bars_sync(struct vpci_dev *dev)
{
	unsigned wanted = vpci_memory_bars(dev);
	bool good = true;

	for (unsigned i = 0; i <= VPCI_ROM; i++) {
		struct vpci_bar *bar = &dev->bars[i];

		if (!is_memory(bar) || dev->is_vf)
			continue;
		if (!dev->decode && !host_follow(dev, bar) && (wanted >> i & 1)) {
			vpci_refuse(dev, i, "no device may be there");
			good = false;
		}
		hw_bar_sync(dev, bar);
	}
	return good;
}

/* ---- Command ---- */

static uint32_t command_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	uint32_t hw = vpci_hw_read(dev, reg->off, 2), mask = dev->vpci->policy->command_write;

	if (dev->vpci->policy->raw)
		return hw;
	/* The reserved bits and those that are ours do not show. */
	return (hw & mask & ~(uint32_t)PCI_COMMAND_MEMORY) | (dev->command & PCI_COMMAND_MEMORY);
}

static int command_write(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	const struct vpci_policy *policy = dev->vpci->policy;
	bool decode = value & PCI_COMMAND_MEMORY;

	if (dev->job.active) {
		vpci_wait(dev);
		return -EAGAIN;
	}
	if (decode && !hw_bars_sync(dev)) {
		decode = false;
		value &= ~(uint32_t)PCI_COMMAND_MEMORY;
	}
	if (!policy->raw) {
		dev->command = (uint16_t)value;
		value = (value & policy->command_write) |
			(vpci_hw_read(dev, reg->off, 2) & ~(uint32_t)policy->command_write);
	}
	if (decode == dev->decode) {
		vpci_hw_write(dev, reg->off, 2, value);
		return 0;
	}
	dev->decode = decode;
	if (!decode)
		vpci_hw_write(dev, reg->off, 2, value);
	vpci_job_start_command(dev, decode, vpci_memory_bars(dev), (uint16_t)value);
	if (!vpci_job_step(dev))
		vpci_wait(dev);
	return 0;
}

/* ---- BARs ---- */

static uint32_t bar_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	const struct vpci_bar *bar = &dev->bars[reg->arg];

	return (uint32_t)bar->guest | bar->flags;
}

static uint32_t bar_high_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	return (uint32_t)(dev->bars[reg->arg].guest >> 32);
}

/*
 * The guest's register takes any value, so that the size can be found out by the usual sequence even while decoding is
 * on; what is mapped, and the device, follow when decoding is switched on the next time.
 */
static int bar_store(struct vpci_dev *dev, unsigned idx, uint64_t value)
{
	struct vpci_bar *bar = &dev->bars[idx];

	if (dev->job.active) {
		vpci_wait(dev);
		return -EAGAIN;
	}
	value &= ~(bar->size - 1);
	if (value != bar->guest)
		bar->refused = false;
	bar->guest = value;
	return 0;
}

/* For the hardware domain an address is the machine's. */
static bool bar_host_moves(const struct vpci_dev *dev, const struct vpci_bar *bar)
{
	return dev->vpci->policy->raw && bar->host != bar->guest;
}

/*
 * Except that Linux moves 32-bit BARs, and enabled ROMs, without switching decoding off (pci_std_update_resource()):
 * then they have to follow at once. Not for the pattern that asks for the size.
 */
static void bar_follow(struct vpci_dev *dev, unsigned idx)
{
	const struct vpci_bar *bar = &dev->bars[idx];
	uint32_t sizing = ~((uint32_t)bar->size - 1);

	if (!dev->decode || !bar->enabled || bar->guest == sizing)
		return;
	if (bar->mapped && bar->gfn == bar->guest >> PAGE_SHIFT && !bar_host_moves(dev, bar))
		return;
	vpci_job_start_move(dev, idx);
	if (!vpci_job_step(dev))
		vpci_wait(dev);
}

void vpci_bar_moved(struct vpci_dev *dev, unsigned idx)
{
	struct vpci_bar *bar = &dev->bars[idx];

	host_follow(dev, bar);
	if (!dev->is_vf)
		hw_bar_sync(dev, bar);
}

static int bar_write(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	const struct vpci_bar *bar = &dev->bars[reg->arg];
	uint64_t high = bar->kind == BAR_MEM64 ? bar->guest & ~0xffffffffULL : 0;
	int err = bar_store(dev, reg->arg, high | value);

	if (!err && bar->kind == BAR_MEM32)
		bar_follow(dev, reg->arg);
	return err;
}

static int bar_high_write(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	uint64_t low = (uint32_t)dev->bars[reg->arg].guest;

	return bar_store(dev, reg->arg, (uint64_t)value << 32 | low);
}

static uint32_t rom_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	const struct vpci_bar *rom = &dev->bars[reg->arg];

	return (uint32_t)rom->guest | (rom->enabled ? BAR_ROM_ENABLE : 0);
}

static int rom_write(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	struct vpci_bar *rom = &dev->bars[reg->arg];
	bool enable = value & BAR_ROM_ENABLE, was = rom->enabled;
	int err = bar_store(dev, reg->arg, value & BAR_ROM_MASK);

	if (err)
		return err;
	rom->enabled = enable;
	if (!dev->decode) {
		/* The device follows with the next switch of decoding, but must not see an enable bit before. */
		if (!enable && was)
			hw_bar_sync(dev, rom);
		return 0;
	}
	if (enable) {
		bar_follow(dev, reg->arg);
	} else if (was) {
		hw_bar_sync(dev, rom);
		vpci_job_start(dev, false, 1U << reg->arg);
		if (!vpci_job_step(dev))
			vpci_wait(dev);
	}
	return 0;
}

/* I/O BARs of the hardware domain have no handler: they pass through. Others do not have ports of devices. */
static int bars_register(struct vpci_dev *dev)
{
	int err = 0;

	for (unsigned i = 0; i <= VPCI_ROM && !err; i++) {
		struct vpci_bar *bar = &dev->bars[i];

		switch (bar->kind) {
		case BAR_MEM32:
		case BAR_MEM64:
			err = vpci_reg_add(dev, bar->reg, 4, bar_read, bar_write, i);
			break;
		case BAR_MEM64_HIGH:
			err = vpci_reg_add(dev, bar->reg, 4, bar_high_read, bar_high_write, i - 1);
			break;
		case BAR_ROM:
			if (dev->vpci->policy->rom)
				err = vpci_reg_add(dev, bar->reg, 4, rom_read, rom_write, i);
			else
				bar->kind = BAR_NONE;
			break;
		default:
			break;
		}
	}
	return err;
}

/* ---- Resizable BARs: a new size is only good for us if we learn of it ---- */

static uint32_t rebar_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	return vpci_hw_read(dev, reg->off, 4);
}

static int rebar_write(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	unsigned idx = REBAR_INDEX(vpci_hw_read(dev, reg->off, 4));
	struct vpci_bar *bar = &dev->bars[idx];

	if (dev->job.active) {
		vpci_wait(dev);
		return -EAGAIN;
	}
	/* The specification forbids it while the device decodes, and what is mapped would be wrong. */
	if (dev->decode)
		return 0;
	vpci_hw_write(dev, reg->off, 4, value);
	if (idx < VPCI_MAX_BARS) {
		uint64_t old = bar->size;

		vpci_bar_size_probe(dev, idx);
		if (!bar->size)
			bar->size = old;
		bar->vetted = bar->vetted && bar->size <= old;
		bar->guest &= ~(bar->size - 1);
	}
	return 0;
}

static int rebar_init(struct vpci_dev *dev)
{
	unsigned pos, count;

	if (!dev->vpci->policy->raw)
		return 0;
	pos = vpci_find_ext_cap(dev, PCI_EXT_CAP_REBAR);
	if (!pos)
		return 0;
	count = REBAR_COUNT(vpci_hw_read(dev, pos + REBAR_CONTROL(0), 4));
	for (unsigned i = 0; i < MIN(count, (unsigned)VPCI_MAX_BARS); i++) {
		int err = vpci_reg_add(dev, pos + REBAR_CONTROL(i), 4, rebar_read, rebar_write, 0);

		if (err)
			return err;
	}
	return 0;
}

/* ---- Setting up ---- */

/*
 * Another domain begins as after a reset: nothing decoded, no DMA, BARs unset. The device keeps its own. Interrupt pins
 * are shared with devices of other domains: not used.
 */
static void header_reset(struct vpci_dev *dev)
{
	vpci_hw_write(dev, PCI_COMMAND, 2, PCI_COMMAND_INTX_OFF);
	dev->decode = false;
	for (unsigned i = 0; i <= VPCI_ROM; i++)
		dev->bars[i].guest = 0;
}

int vpci_header_init(struct vpci_dev *dev)
{
	bool raw = dev->vpci->policy->raw;
	int err;

	vpci_bars_probe(dev);
	err = vpci_reg_add(dev, PCI_COMMAND, 2, command_read, command_write, 0);
	if (!err)
		err = bars_register(dev);
	if (!err && raw)
		err = rebar_init(dev);
	if (err)
		return err;
	if (raw)
		dev->decode = vpci_hw_read(dev, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY;
	else
		header_reset(dev);
	/* It was the firmware, or we, that let it decode: there are devices whose BAR is that of an I/O APIC. */
	for (unsigned i = 0; i <= VPCI_ROM; i++)
		dev->bars[i].vetted = dev->decode && dev->bars[i].enabled;
	return 0;
}

/* Number of the virtual function among those of physfn; negative: it is not one of them. */
static int vf_index(const struct vpci_dev *physfn, sbdf_t s)
{
	unsigned pos = physfn->sriov, rid = sbdf_bdf(s), first, stride, count;

	if (!pos || sbdf_seg(s) != sbdf_seg(physfn->pci->sbdf) ||
	    !(vpci_hw_read(physfn, pos + PCI_SRIOV_CONTROL, 2) & PCI_SRIOV_ENABLE))
		return -1;
	first = sbdf_bdf(physfn->pci->sbdf) + vpci_hw_read(physfn, pos + PCI_SRIOV_OFFSET, 2);
	stride = vpci_hw_read(physfn, pos + PCI_SRIOV_STRIDE, 2);
	count = vpci_hw_read(physfn, pos + PCI_SRIOV_COUNT, 2);
	if (rid < first || !count)
		return -1;
	if (rid == first)
		return 0;
	if (!stride || (rid - first) % stride || (rid - first) / stride >= count)
		return -1;
	return (int)((rid - first) / stride);
}

/* The physical function of a virtual one; NULL: s is not a virtual function of a device that we know. */
struct vpci_dev *vpci_physfn(sbdf_t s)
{
	struct pci_dev *pci;

	LIST_FOR_EACH (pci, &pci_devices, struct pci_dev, link)
		if (pci->vpci && pci->vpci->sriov && vf_index(pci->vpci, s) >= 0)
			return pci->vpci;
	return NULL;
}

static uint32_t id_read(struct vpci_dev *dev, const struct vpci_reg *reg)
{
	(void)dev;
	return reg->arg;
}

/*
 * A virtual function's own BARs read zero and its memory decoding is that of the physical function (PCIe Base 5.0,
 * 9.3.4.1.3, 9.3.4.1.11): it is always on as long as the function exists.
 */
int vpci_header_init_vf(struct vpci_dev *dev, const struct vpci_dev *physfn)
{
	unsigned idx = (unsigned)vf_index(physfn, dev->pci->sbdf);
	uint32_t id;
	int err;

	dev->is_vf = true;
	dev->bar_count = VPCI_MAX_BARS;
	for (unsigned i = 0; i < VPCI_MAX_BARS; i++) {
		struct vpci_bar *bar = &dev->bars[i];
		unsigned reg = physfn->sriov + PCI_SRIOV_BAR + i * 4;
		uint32_t low;

		if (!physfn->vf_size[i])
			continue;
		low = vpci_hw_read(physfn, reg, 4);
		bar->kind = BAR_MEM32;
		bar->enabled = true;
		bar->flags = low & 0xf;
		bar->reg = (uint16_t)(PCI_BAR_FIRST + i * 4);
		bar->size = physfn->vf_size[i];
		bar->host = low & ~0xfU;
		if ((low >> 1 & 3) == PCI_BAR_TYPE_64) {
			bar->kind = BAR_MEM64;
			bar->host |= (uint64_t)vpci_hw_read(physfn, reg + 4, 4) << 32;
			i++;
			dev->bars[i].kind = BAR_MEM64_HIGH;
			dev->bars[i].reg = (uint16_t)(PCI_BAR_FIRST + i * 4);
		}
		bar->host += idx * bar->size;
		bar->guest = bar->host;
	}
	dev->decode = true;
	if (dev->vpci->policy->raw)
		return 0;
	header_reset(dev);
	/* Its identity is in the physical function, too (9.3.3.11, 9.3.4.1.1). */
	id = vpci_hw_read(physfn, PCI_VENDOR, 2) |
	     vpci_hw_read(physfn, physfn->sriov + PCI_SRIOV_DEVICE, 2) << 16;
	err = vpci_reg_add(dev, PCI_VENDOR, 4, id_read, vpci_reg_drop, id);
	if (!err)
		err = vpci_reg_add(dev, PCI_COMMAND, 2, command_read, command_write, 0);
	return err ? err : bars_register(dev);
}
