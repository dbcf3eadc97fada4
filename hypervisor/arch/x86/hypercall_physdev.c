// SPDX-License-Identifier: GPL-2.0-or-later
// Hypercall physdev_op: dom0 tells of PCI devices and configuration windows that it has found.

#include <arch/vpci.h>
#include <bulkhead/control.h>
#include <bulkhead/domain.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/iommu.h>
#include <bulkhead/log.h>
#include <bulkhead/pci.h>

#include <xen/physdev.h>

#define ADD_SIZE    12 /* struct physdev_pci_device_add up to its optional array */
#define VENDOR_NONE 0xffff

#define ECAM_BUS_ORDER 8 /* a bus has 256 pages of configuration space (PCIe Base 5.0, 7.2.2) */

/* The same for 32-bit callers: no member is a pointer or a long. */
_Static_assert(sizeof(struct physdev_pci_mmcfg_reserved) == 16, "ABI");
_Static_assert(offsetof(struct physdev_pci_device_add, optarr) == ADD_SIZE, "ABI");
_Static_assert(sizeof(struct physdev_pci_device) == 4, "ABI");
_Static_assert(sizeof(struct physdev_dbgp_op) == 6, "ABI");

/* A window of the firmware's tables, or one that was told of before; maybe a part of it. */
static bool window_is_known(const struct physdev_pci_mmcfg_reserved *op)
{
	unsigned seg, first, last;
	uint64_t base;

	for (unsigned i = 0; pci_ecam_get(i, &base, &seg, &first, &last); i++)
		if (base == op->address && seg == op->segment && first <= op->start_bus &&
		    last >= op->end_bus)
			return true;
	return false;
}

/*
 * The hypervisor reads and writes there what dom0 asks it to: so no memory of the machine, no device of the hypervisor's
 * and no part of another window may be called a window.
 */
static int check_window(const struct physdev_pci_mmcfg_reserved *op)
{
	uint64_t first = (op->address >> PAGE_SHIFT) + ((uint64_t)op->start_bus << ECAM_BUS_ORDER);

	if (op->start_bus > op->end_bus)
		return -EINVAL;
	if (window_is_known(op) ||
	    arch_iomem_grantable(first, (op->end_bus - op->start_bus + 1UL) << ECAM_BUS_ORDER))
		return 0;
	log_warn(
		"PCI: no configuration window of dom0's at 0x%lx (segment %u, buses %u to %u): the range is in use\n",
		op->address, op->segment, op->start_bus, op->end_bus);
	return -EPERM;
}

static int64_t mmcfg_reserved(uint64_t gva)
{
	struct physdev_pci_mmcfg_reserved untrusted_op;
	int err;

	if (guest_copy_from(&untrusted_op, gva, sizeof(untrusted_op)))
		return -EFAULT;
	/* Not reserved by the firmware's tables: dom0 does not use it. */
	if (!(untrusted_op.flags & XEN_PCI_MMCFG_RESERVED))
		return 0;
	err = check_window(&untrusted_op);
	if (err)
		return err;
	err = pci_ecam_add(untrusted_op.address, untrusted_op.segment, untrusted_op.start_bus,
			   untrusted_op.end_bus);
	if (err && err != -EEXIST)
		return err;
	return vpci_ecam_add(current_domain(), untrusted_op.address, untrusted_op.segment,
			     untrusted_op.start_bus, untrusted_op.end_bus);
}

/* Gives a device that nobody has to the hardware domain. */
static int take_device(struct pci_dev *dev)
{
	struct domain *d = current_domain();
	int err;

	if (dev->hidden || dev->vpci)
		return 0;
	if (iommu_present() && dev->owner != d) {
		err = iommu_assign(dev, d);
		if (err)
			return err;
	}
	err = vpci_assign(dev, d);
	/* Another vCPU was faster. */
	if (err == -EEXIST)
		return 0;
	if (err && iommu_present())
		iommu_assign(dev, NULL);
	return err;
}

/* physfn: of a virtual function, else NULL. */
static int add_device(sbdf_t s, struct pci_dev *physfn)
{
	struct pci_dev *dev = pci_find(s);
	int err;

	if (!dev) {
		/* The identity of a virtual function is that of its physical one: its own reads as nothing. */
		if (!physfn && pci_conf_read(s, PCI_VENDOR, 2) == VENDOR_NONE)
			return -ENODEV;
		err = pci_dev_add(s, &dev);
		if (err && err != -EEXIST)
			return err;
	}
	/* The IOMMU unit of a virtual function is that of its physical one; it is not changed under a device in use. */
	if (physfn && !dev->owner && !dev->vpci)
		dev->physfn = physfn;
	return take_device(dev);
}

static int64_t device_add(uint64_t gva)
{
	union {
		struct physdev_pci_device_add op;
		uint8_t bytes[ADD_SIZE];
	} untrusted;
	const struct physdev_pci_device_add *op = &untrusted.op;
	struct pci_dev *physfn = NULL;
	bool vf;
	sbdf_t s;
	int err;

	if (guest_copy_from(untrusted.bytes, gva, ADD_SIZE))
		return -EFAULT;
	vf = op->flags & XEN_PCI_DEV_VIRTFN;
	s = sbdf_make(op->seg, op->bus, op->devfn >> 3, op->devfn & 7);
	if (vf) {
		sbdf_t pf = sbdf_make(op->seg, op->physfn.bus, op->physfn.devfn >> 3,
				      op->physfn.devfn & 7);

		err = add_device(pf, NULL);
		if (err)
			return err;
		physfn = pci_find(pf);
	}
	err = add_device(s, physfn);
	if (!err)
		log_info("PCI add %s " SBDF_FMT "\n", vf ? "virtual function" : "device",
			 SBDF_ARG(s));
	else
		log_warn("PCI add device " SBDF_FMT ": error %d\n", SBDF_ARG(s), err);
	return err;
}

static int64_t device_remove(uint64_t gva)
{
	struct physdev_pci_device untrusted_op;
	struct pci_dev *dev;
	sbdf_t s;

	if (guest_copy_from(&untrusted_op, gva, sizeof(untrusted_op)))
		return -EFAULT;
	s = sbdf_make(untrusted_op.seg, untrusted_op.bus, untrusted_op.devfn >> 3,
		      untrusted_op.devfn & 7);
	dev = pci_find(s);
	if (!dev)
		return -ENODEV;
	if (dev->hidden || (dev->owner && dev->owner != current_domain()))
		return -EBUSY;
	vpci_deassign(dev);
	if (iommu_present())
		iommu_assign(dev, NULL);
	log_info("PCI remove device " SBDF_FMT "\n", SBDF_ARG(s));
	return 0;
}

/* Before and after dom0 resets a USB controller whose debug port we use: there is no such console. */
static int64_t debug_port(uint64_t gva)
{
	struct physdev_dbgp_op untrusted_op;

	if (guest_copy_from(&untrusted_op, gva, sizeof(untrusted_op)))
		return -EFAULT;
	return 0;
}

/*
 * Interrupts of HVM and PVH domains are those of their APICs and MSIs: what binds them to event channels (pirqs) is not
 * offered, and -ENOSYS is what tells a guest so.
 */
int64_t hypercall_physdev_op(struct hypercall *hc)
{
	uint64_t gva = hc->args[1];

	if (!current_domain()->hardware)
		return -ENOSYS;
	switch ((uint32_t)hc->args[0]) {
	case PHYSDEVOP_pci_mmcfg_reserved:
		return mmcfg_reserved(gva);
	case PHYSDEVOP_pci_device_add:
		return device_add(gva);
	case PHYSDEVOP_pci_device_remove:
		return device_remove(gva);
	case PHYSDEVOP_dbgp_op:
		return debug_port(gva);
	default:
		return -ENOSYS;
	}
}
