// SPDX-License-Identifier: GPL-2.0-or-later
// vPCI: the two ways of a guest to configuration space, ports CF8/CFC and ECAM windows.

#include <arch/cpu.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/p2m.h>

#include "vpci_priv.h"

#define PORT_ADDRESS   0xcf8
#define PORT_DATA      0xcfc
#define ADDRESS_ENABLE 0x80000000U
#define ADDRESS_VALID  0x80fffffcU

#define ECAM_BUS_SHIFT 20 /* PCIe Base 5.0, 7.2.2 */
#define ECAM_FN_SHIFT  12

/*
 * Only 32-bit accesses are for the address register (PCI Local Bus 3.0, 3.2.2.3.2). Smaller ones are for what else the
 * chipset has at these ports, the reset control register at CF9 above all: they go there if the domain may use the port.
 */
static int address_read(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
			uint64_t *ret_value)
{
	struct vpci *p = opaque;
	uint16_t port = (uint16_t)(PORT_ADDRESS + offset);

	(void)v;
	if (size == 4)
		*ret_value = READ_ONCE(p->cf8);
	else if (!hvm_port_is_allowed(p->domain, port))
		*ret_value = ~0ULL >> (64 - size * 8);
	else
		*ret_value = size == 1 ? inb(port) : inw(port);
	return 0;
}

static int address_write(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
			 uint64_t value)
{
	struct vpci *p = opaque;
	uint16_t port = (uint16_t)(PORT_ADDRESS + offset);

	(void)v;
	if (size == 4)
		WRITE_ONCE(p->cf8, (uint32_t)value & ADDRESS_VALID);
	else if (!hvm_port_is_allowed(p->domain, port))
		return 0;
	else if (size == 1)
		outb(port, (uint8_t)value);
	else
		outw(port, (uint16_t)value);
	return 0;
}

static int data_read(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
		     uint64_t *ret_value)
{
	struct vpci *p = opaque;
	uint32_t cf8 = READ_ONCE(p->cf8);

	(void)v;
	if (!(cf8 & ADDRESS_ENABLE)) {
		*ret_value = ~0ULL >> (64 - size * 8);
		return 0;
	}
	return vpci_config_read(p, (sbdf_t){cf8 >> 8 & 0xffff}, (cf8 & 0xfc) | (unsigned)offset,
				size, ret_value);
}

static int data_write(struct vcpu *v, void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct vpci *p = opaque;
	uint32_t cf8 = READ_ONCE(p->cf8);

	(void)v;
	if (!(cf8 & ADDRESS_ENABLE))
		return 0;
	return vpci_config_write(p, (sbdf_t){cf8 >> 8 & 0xffff}, (cf8 & 0xfc) | (unsigned)offset,
				 size, value);
}

static const struct hvm_io_ops address_ops = {.read = address_read, .write = address_write};
static const struct hvm_io_ops data_ops = {.read = data_read, .write = data_write};

int vpci_ports_init(struct vpci *p)
{
	int err;

	p->address = (struct hvm_io_region){
		.base = PORT_ADDRESS,
		.size = 4,
		.ops = &address_ops,
		.opaque = p,
	};
	p->data = (struct hvm_io_region){
		.base = PORT_DATA,
		.size = 4,
		.ops = &data_ops,
		.opaque = p,
	};
	err = hvm_port_register(p->domain, &p->address);
	if (err)
		return err;
	err = hvm_port_register(p->domain, &p->data);
	if (err)
		hvm_port_unregister(p->domain, &p->address);
	return err;
}

void vpci_ports_finish(struct vpci *p)
{
	hvm_port_unregister(p->domain, &p->data);
	hvm_port_unregister(p->domain, &p->address);
	hvm_io_region_wait(&p->data);
	hvm_io_region_wait(&p->address);
}

/* The function that an offset is for, and how many bytes of the access are within its 4 KiB. */
static sbdf_t ecam_target(const struct vpci_ecam *e, uint64_t offset, unsigned size,
			  unsigned *ret_reg, unsigned *ret_size)
{
	unsigned bus = e->first_bus + (unsigned)(offset >> ECAM_BUS_SHIFT);
	unsigned devfn = offset >> ECAM_FN_SHIFT & 0xff;

	*ret_reg = offset & (VPCI_CONFIG_SIZE - 1);
	*ret_size = MIN(size, VPCI_CONFIG_SIZE - *ret_reg);
	return sbdf_make(e->seg, bus, devfn >> 3, devfn & 7);
}

static int ecam_read(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
		     uint64_t *ret_value)
{
	struct vpci_ecam *e = opaque;
	uint64_t value = 0;

	(void)v;
	for (unsigned done = 0; done < size;) {
		unsigned reg, n;
		sbdf_t s = ecam_target(e, offset + done, size - done, &reg, &n);
		uint64_t part = 0;
		int err = vpci_config_read(e->vpci, s, reg, n, &part);

		if (err)
			return err;
		value |= part << done * 8;
		done += n;
	}
	*ret_value = value;
	return 0;
}

static int ecam_write(struct vcpu *v, void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct vpci_ecam *e = opaque;

	(void)v;
	for (unsigned done = 0; done < size;) {
		unsigned reg, n;
		sbdf_t s = ecam_target(e, offset + done, size - done, &reg, &n);
		int err = vpci_config_write(e->vpci, s, reg, n, value >> done * 8);

		if (err)
			return err;
		done += n;
	}
	return 0;
}

static const struct hvm_io_ops ecam_ops = {.read = ecam_read, .write = ecam_write};

/* 0, 1: the very window is there, or -EEXIST. */
static int ecam_conflict(struct vpci *p, const struct vpci_ecam *n)
{
	struct vpci_ecam *e;

	LIST_FOR_EACH (e, &p->ecams, struct vpci_ecam, link) {
		if (n->region.base >= e->region.base + e->region.size ||
		    e->region.base >= n->region.base + n->region.size)
			continue;
		/* A part of a window that is there says nothing new. */
		if (e->seg == n->seg && n->first_bus >= e->first_bus &&
		    n->last_bus <= e->last_bus &&
		    n->region.base - e->region.base == (uint64_t)(n->first_bus - e->first_bus)
							       << ECAM_BUS_SHIFT)
			return 1;
		return -EEXIST;
	}
	return 0;
}

/* Memory that the domain has where the window is to be. */
static bool memory_in(struct domain *d, uint64_t start, uint64_t size)
{
	uint64_t gfn = start >> PAGE_SHIFT, end = (start + size) >> PAGE_SHIFT;

	while (gfn < end) {
		enum p2m_type type;
		unsigned order;

		(void)p2m_lookup_order(d, gfn_from(gfn), &type, &order);
		if (type != P2M_NONE && type != P2M_MMIO)
			return true;
		gfn += (1UL << order) - (gfn & ((1UL << order) - 1));
	}
	return false;
}

int vpci_ecam_add(struct domain *d, uint64_t base, unsigned seg, unsigned first_bus,
		  unsigned last_bus)
{
	struct vpci *p = d->arch.vpci;
	struct vpci_ecam *e;
	uint64_t start, size;
	int err;

	if (first_bus > last_bus || last_bus > 0xff || seg > 0xffff ||
	    !IS_ALIGNED(base, 1UL << ECAM_BUS_SHIFT) || base >> 52)
		return -EINVAL;
	start = base + ((uint64_t)first_bus << ECAM_BUS_SHIFT);
	size = (uint64_t)(last_bus - first_bus + 1) << ECAM_BUS_SHIFT;
	if (memory_in(d, start, size)) {
		log_guest(d, LOG_WARN,
			  "PCI: no configuration window at 0x%lx: memory of the domain is there\n",
			  (unsigned long)start);
		return -EBUSY;
	}
	e = heap_alloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	*e = (struct vpci_ecam){
		.vpci = p,
		.seg = seg,
		.first_bus = first_bus,
		.last_bus = last_bus,
		.region = {.base = start, .size = size, .ops = &ecam_ops, .opaque = e},
	};
	spin_lock(&p->lock);
	err = ecam_conflict(p, e);
	if (!err)
		err = hvm_mmio_register(d, &e->region);
	if (!err)
		list_insert_before(&p->ecams, &e->link);
	spin_unlock(&p->lock);
	if (err) {
		heap_free(e);
		return err == 1 ? 0 : err;
	}
	/* The window may be in a region that the firmware reserves, and those are mapped as they are. */
	vpci_clear(d, start >> PAGE_SHIFT, size >> PAGE_SHIFT);
	return 0;
}

void vpci_ecam_finish(struct vpci *p)
{
	struct vpci_ecam *e, *tmp;

	LIST_FOR_EACH_SAFE (e, tmp, &p->ecams, struct vpci_ecam, link) {
		hvm_mmio_unregister(p->domain, &e->region);
		hvm_io_region_wait(&e->region);
		list_remove(&e->link);
		heap_free(e);
	}
}
