/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual PCI: configuration space of assigned devices, through CF8/CFC and ECAM; BARs, MSI, MSI-X. */
#ifndef ARCH_VPCI_H
#define ARCH_VPCI_H

#include <bulkhead/pci.h>

struct domain;
struct vcpu;

/* Sets up config access for d (ports CF8/CFC; ECAM of the known windows for the hardware domain). 0 or -errno. */
int vpci_domain_init(struct domain *d);
/* Takes back all devices first. No vCPU of d runs any more. Accepts a domain without vPCI. */
void vpci_domain_finish(struct domain *d);
/*
 * Makes an ECAM window of the machine visible to the hardware domain (also PHYSDEVOP_pci_mmcfg_reserved). base is that
 * of bus 0. 0 (also if it is there already), -EEXIST (another one is in the way), -EBUSY (memory of d is there), -ENOMEM.
 */
int vpci_ecam_add(struct domain *d, uint64_t base, unsigned seg, unsigned first_bus,
		  unsigned last_bus);
/*
 * Gives a device to d: reads its capabilities and BARs, maps BARs if memory decoding is on. The IOMMU's part
 * (iommu_assign) is the caller's. A virtual function is known by its physical function, which must be assigned (to the
 * hardware domain) and have it enabled. 0, -EEXIST (assigned already), -EPERM (hidden), -ENOMEM.
 */
int vpci_assign(struct pci_dev *dev, struct domain *d);
/* For a domain that does not own the machine's topology: where the device appears to be. */
int vpci_assign_at(struct pci_dev *dev, struct domain *d, sbdf_t guest_sbdf);
/* Takes the device back: unmaps its BARs, releases its interrupts, stops its DMA. Accepts an unassigned one. */
void vpci_deassign(struct pci_dev *dev);

#endif
