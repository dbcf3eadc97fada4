/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual PCI: configuration space of assigned devices, through CF8/CFC and ECAM; BARs, MSI, MSI-X. */
#ifndef ARCH_VPCI_H
#define ARCH_VPCI_H

#include <bulkhead/pci.h>

struct domain;
struct vcpu;

/* Sets up config access for d (ports CF8/CFC; ECAM of the known windows for the hardware domain). 0 or -errno. */
int vpci_domain_init(struct domain *d);
void vpci_domain_finish(struct domain *d);
/* Makes an ECAM window of the machine visible to the hardware domain (also PHYSDEVOP_pci_mmcfg_reserved). */
int vpci_ecam_add(struct domain *d, uint64_t base, unsigned seg, unsigned first_bus,
		  unsigned last_bus);
/* Gives a device to d: reads its capabilities and BARs, maps BARs if memory decoding is on. */
int vpci_assign(struct pci_dev *dev, struct domain *d);
void vpci_deassign(struct pci_dev *dev);

#endif
