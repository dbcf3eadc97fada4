// SPDX-License-Identifier: GPL-2.0-or-later
// vPCI: devices of a domain, and dispatch of configuration accesses to register handlers.

#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "vpci_priv.h"

struct vpci_dev *vpci_find(struct vpci *p, sbdf_t guest)
{
	struct vpci_dev *dev;

	LIST_FOR_EACH (dev, &p->devices, struct vpci_dev, link)
		if (sbdf_eq(dev->guest, guest))
			return dev;
	return NULL;
}

uint32_t vpci_hw_read(const struct vpci_dev *dev, unsigned reg, unsigned size)
{
	return pci_conf_read(dev->pci->sbdf, reg, size);
}

void vpci_hw_write(const struct vpci_dev *dev, unsigned reg, unsigned size, uint32_t value)
{
	pci_conf_write(dev->pci->sbdf, reg, size, value);
}

int vpci_reg_add(struct vpci_dev *dev, unsigned off, unsigned size,
		 uint32_t (*read)(struct vpci_dev *, const struct vpci_reg *),
		 int (*write)(struct vpci_dev *, const struct vpci_reg *, uint32_t), uint32_t arg)
{
	struct vpci_reg *r;

	/* A malformed capability list may lay two capabilities over each other: the first one counts. */
	for (unsigned i = 0; i < dev->reg_count; i++)
		if (off < dev->regs[i].off + dev->regs[i].size && dev->regs[i].off < off + size)
			return -EEXIST;
	if (dev->reg_count == VPCI_MAX_REGS || off + size > VPCI_CONFIG_SIZE)
		return -ENOSPC;
	r = &dev->regs[dev->reg_count++];
	*r = (struct vpci_reg){
		.off = (uint16_t)off,
		.size = (uint8_t)size,
		.read = read,
		.write = write,
		.arg = arg,
	};
	return 0;
}

/* Handler of what may be read only. */
int vpci_reg_drop(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value)
{
	(void)dev, (void)reg, (void)value;
	return 0;
}

/* The handler of byte `off`, or NULL and in *ret_end where the next one begins (at most `end`). */
static const struct vpci_reg *reg_at(const struct vpci_dev *dev, unsigned off, unsigned end,
				     unsigned *ret_end)
{
	for (unsigned i = 0; i < dev->reg_count; i++) {
		const struct vpci_reg *r = &dev->regs[i];

		if (off >= r->off && off < r->off + r->size) {
			*ret_end = MIN(end, (unsigned)r->off + r->size);
			return r;
		}
		if (r->off > off && r->off < end)
			end = r->off;
	}
	*ret_end = end;
	return NULL;
}

/* Largest naturally aligned piece at the start of [off, end). */
static unsigned piece(unsigned off, unsigned end)
{
	if (!(off & 3) && end - off >= 4)
		return 4;
	return !(off & 1) && end - off >= 2 ? 2 : 1;
}

static uint32_t ones(unsigned size)
{
	return size == 4 ? ~0U : (1U << size * 8) - 1;
}

/* Bits of the masks that belong to a piece. */
static uint32_t mask_of(const uint8_t *bytes, unsigned off, unsigned size)
{
	uint32_t m = 0;

	for (unsigned i = 0; i < size; i++)
		m |= (uint32_t)bytes[off + i] << i * 8;
	return m;
}

static uint32_t plain_read(const struct vpci_dev *dev, unsigned off, unsigned size)
{
	uint32_t mask = ones(size);

	if (dev->masks) {
		mask = off < VPCI_LEGACY_SIZE ? mask_of(dev->masks->read, off, size) : 0;
		if (!mask)
			return 0;
	}
	return vpci_hw_read(dev, off, size) & mask;
}

static void plain_write(const struct vpci_dev *dev, unsigned off, unsigned size, uint32_t value)
{
	uint32_t mask, keep;

	if (dev->masks) {
		mask = off < VPCI_LEGACY_SIZE ? mask_of(dev->masks->write, off, size) : 0;
		if (!mask)
			return;
		keep = ~mask & ~mask_of(dev->masks->write1, off, size);
		value = (value & mask) | (vpci_hw_read(dev, off, size) & keep);
	}
	vpci_hw_write(dev, off, size, value);
}

/*
 * A function that the hypervisor keeps looks empty. But if it is function 0 of several, the others would not be looked
 * for (PCI Local Bus 3.0, 3.2.2.3.4): then it is a function of no class, without BARs and capabilities.
 */
static uint32_t hidden_read(const struct pci_dev *pci, unsigned off, unsigned size)
{
	uint32_t word = 0;

	if (sbdf_fn(pci->sbdf) != 0 ||
	    !(pci_conf_read(pci->sbdf, PCI_HEADER_TYPE, 1) & PCI_HEADER_MULTI))
		return ones(size);
	switch (off & ~3U) {
	case PCI_VENDOR:
		word = 0xfffe0000U | pci->vendor;
		break;
	case PCI_CLASS_IF & ~3U:
		word = 0xff000000U;
		break;
	case PCI_HEADER_TYPE & ~3U:
		word = (uint32_t)PCI_HEADER_MULTI << 16;
		break;
	default:
		break;
	}
	return word >> (off & 3) * 8 & ones(size);
}

/*
 * Functions that are not assigned. dom0 has to find new ones (hotplug, virtual functions) by looking, before it tells us
 * of them: it reaches what is not known yet; but nothing of what the hypervisor uses or what another domain has.
 */
static uint32_t unassigned_read(struct vpci *p, sbdf_t s, unsigned off, unsigned size)
{
	const struct pci_dev *pci;

	if (!p->policy->raw)
		return ones(size);
	pci = pci_find(s);
	if (pci && pci->hidden)
		return hidden_read(pci, off, size);
	if (pci && pci->vpci)
		return ones(size);
	return pci_conf_read(s, off, size);
}

#define DECODE	   (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)
/* Expansion ROMs: PCI Local Bus 3.0, 6.1; PCI-to-PCI Bridge 1.2, 3.2. */
#define DEVICE_ROM 0x30
#define BRIDGE_ROM 0x38

/* A register with an address that the function answers to, but not a bridge's windows: those lead elsewhere. */
static bool is_base_address(sbdf_t s, unsigned off)
{
	bool bridge = (pci_conf_read(s, PCI_HEADER_TYPE, 1) & ~PCI_HEADER_MULTI) ==
		      PCI_HEADER_BRIDGE;

	if (off < PCI_BAR_FIRST)
		return false;
	if (bridge)
		return off < PCI_BAR_FIRST + 2 * 4 || (off & ~3U) == BRIDGE_ROM;
	return off < PCI_BAR_FIRST + VPCI_MAX_BARS * 4 || (off & ~3U) == DEVICE_ROM;
}

/*
 * Who looks for devices sizes their BARs, with decoding off. Nobody checks where these point: so until the function is
 * assigned it does not decode, nor begins to do DMA; and while it does, from an earlier time, it stays where it is.
 */
static void unassigned_write(struct vpci *p, sbdf_t s, unsigned off, unsigned size, uint32_t value)
{
	const struct pci_dev *pci;
	uint32_t command;

	if (!p->policy->raw)
		return;
	pci = pci_find(s);
	if (pci && (pci->hidden || pci->vpci))
		return;
	command = pci_conf_read(s, PCI_COMMAND, 2);
	if (off == PCI_COMMAND)
		value &= ~(uint32_t)(DECODE | PCI_COMMAND_MASTER) | command;
	else if ((command & DECODE) && is_base_address(s, off))
		return;
	pci_conf_write(s, off, size, value);
}

int vpci_config_read(struct vpci *p, sbdf_t s, unsigned reg, unsigned size, uint64_t *ret_value)
{
	unsigned off = reg, end = reg + size, stop, n;
	struct vpci_dev *dev;
	uint64_t result = 0;

	if (end > VPCI_CONFIG_SIZE)
		return -EINVAL;
	spin_lock(&p->lock);
	dev = vpci_find(p, s);
	while (off < end) {
		const struct vpci_reg *r = NULL;
		uint64_t part;

		stop = end;
		if (dev)
			r = reg_at(dev, off, end, &stop);
		if (r) {
			n = stop - off;
			part = r->read(dev, r) >> (off - r->off) * 8 & ones(n);
		} else {
			n = piece(off, stop);
			part = dev ? plain_read(dev, off, n) : unassigned_read(p, s, off, n);
		}
		result |= part << (off - reg) * 8;
		off += n;
	}
	spin_unlock(&p->lock);
	*ret_value = result;
	return 0;
}

/* A write to a part of a register: the rest keeps its value. */
static int reg_write(struct vpci_dev *dev, const struct vpci_reg *r, unsigned off, unsigned n,
		     uint32_t value)
{
	unsigned shift = (off - r->off) * 8;
	uint32_t mask;

	if (n == r->size)
		return r->write(dev, r, value);
	mask = ones(n) << shift;
	return r->write(dev, r, (r->read(dev, r) & ~mask) | (value << shift & mask));
}

int vpci_config_write(struct vpci *p, sbdf_t s, unsigned reg, unsigned size, uint64_t value)
{
	unsigned off = reg, end = reg + size, stop, n;
	struct vpci_dev *dev;
	int err = 0;

	if (end > VPCI_CONFIG_SIZE)
		return -EINVAL;
	spin_lock(&p->lock);
	dev = vpci_find(p, s);
	while (off < end && !err) {
		const struct vpci_reg *r = NULL;
		uint64_t rest = value >> (off - reg) * 8;

		stop = end;
		if (dev)
			r = reg_at(dev, off, end, &stop);
		n = r ? stop - off : piece(off, stop);
		if (r)
			err = reg_write(dev, r, off, n, (uint32_t)rest & ones(n));
		else if (dev)
			plain_write(dev, off, n, (uint32_t)rest & ones(n));
		else
			unassigned_write(p, s, off, n, (uint32_t)rest & ones(n));
		off += n;
	}
	spin_unlock(&p->lock);
	return err;
}

/* Everything that assignment set up, in reverse; the lock is held. */
static void dev_release(struct vpci_dev *dev)
{
	struct pci_dev *pci = dev->pci;

	vpci_msi_finish(dev);
	vpci_msix_finish(dev);
	/* A job that was interrupted half-way knows alone what it has mapped or left. */
	while (!vpci_job_step(dev))
		;
	vpci_job_start(dev, false, (1U << (VPCI_MAX_BARS + 1)) - 1);
	while (!vpci_job_step(dev))
		;
	vpci_msix_free(dev);
	list_remove(&dev->link);
	pci->vpci = NULL;
	heap_free(dev->masks);
	heap_free(dev);
}

/* Devices come and go one at a time: a virtual function needs its physical one meanwhile. */
static spinlock_t assign_lock = SPINLOCK_INIT;

static int assign(struct pci_dev *pci, struct domain *d, sbdf_t guest)
{
	struct vpci *p = d->arch.vpci;
	const struct vpci_dev *physfn;
	struct vpci_dev *dev;
	int err;

	if (pci->hidden)
		return -EPERM;
	dev = heap_alloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	spin_lock(&p->lock);
	if (pci->vpci || vpci_find(p, guest)) {
		spin_unlock(&p->lock);
		heap_free(dev);
		return -EEXIST;
	}
	dev->vpci = p;
	dev->pci = pci;
	dev->guest = guest;
	list_insert_before(&p->devices, &dev->link);
	pci->vpci = dev;

	physfn = vpci_physfn(pci->sbdf);
	err = physfn ? vpci_header_init_vf(dev, physfn) : vpci_header_init(dev);
	if (!err)
		err = vpci_msi_init(dev);
	if (!err)
		err = vpci_msix_init(dev);
	if (!err && !p->policy->raw)
		err = vpci_policy_apply(dev);
	if (err) {
		dev_release(dev);
	} else if (dev->decode) {
		/* The firmware, or for a virtual function dom0, has switched it on. */
		vpci_job_start(dev, true, vpci_memory_bars(dev));
		while (!vpci_job_step(dev))
			;
	}
	spin_unlock(&p->lock);
	if (err)
		log_warn("PCI " SBDF_FMT ": not given to domain %u: error %d\n",
			 SBDF_ARG(pci->sbdf), d->id, err);
	return err;
}

int vpci_assign_at(struct pci_dev *dev, struct domain *d, sbdf_t guest_sbdf)
{
	int err;

	spin_lock(&assign_lock);
	err = assign(dev, d, guest_sbdf);
	spin_unlock(&assign_lock);
	return err;
}

int vpci_assign(struct pci_dev *dev, struct domain *d)
{
	return vpci_assign_at(dev, d, dev->sbdf);
}

void vpci_deassign(struct pci_dev *pci)
{
	spin_lock(&assign_lock);
	if (pci->vpci) {
		struct vpci *p = pci->vpci->vpci;

		spin_lock(&p->lock);
		pci_stop_dma(pci->sbdf);
		dev_release(pci->vpci);
		spin_unlock(&p->lock);
	}
	spin_unlock(&assign_lock);
}

int vpci_domain_init(struct domain *d)
{
	struct vpci *p = heap_alloc(sizeof(*p));
	unsigned seg, first, last;
	uint64_t base;
	int err;

	if (!p)
		return -ENOMEM;
	p->domain = d;
	p->policy = d->hardware ? &vpci_policy_hardware : &vpci_policy_confined;
	list_init(&p->devices);
	list_init(&p->traps);
	list_init(&p->ecams);
	err = vpci_ports_init(p);
	if (err)
		goto err_free;
	d->arch.vpci = p;
	for (unsigned i = 0; d->hardware && pci_ecam_get(i, &base, &seg, &first, &last); i++) {
		err = vpci_ecam_add(d, base, seg, first, last);
		if (err)
			goto err_finish;
	}
	return 0;

err_finish:
	vpci_domain_finish(d);
	return err;
err_free:
	heap_free(p);
	return err;
}

void vpci_domain_finish(struct domain *d)
{
	struct vpci *p = d->arch.vpci;

	if (!p)
		return;
	while (!list_empty(&p->devices))
		vpci_deassign(LIST_FIRST(&p->devices, struct vpci_dev, link)->pci);
	vpci_traps_finish(p);
	vpci_ecam_finish(p);
	vpci_ports_finish(p);
	d->arch.vpci = NULL;
	heap_free(p);
}
