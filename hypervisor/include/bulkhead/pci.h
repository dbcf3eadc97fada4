/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI functions of the machine and access to their real configuration space. */
#ifndef BULKHEAD_PCI_H
#define BULKHEAD_PCI_H

#include <bulkhead/list.h>
#include <bulkhead/spinlock.h>

struct domain;

/* Segment, bus, device, function in one number. */
typedef struct {
	uint32_t v; /* segment << 16 | bus << 8 | device << 3 | function */
} sbdf_t;

static inline sbdf_t sbdf_make(unsigned seg, unsigned bus, unsigned dev, unsigned fn)
{
	return (sbdf_t){seg << 16 | bus << 8 | dev << 3 | fn};
}
static inline unsigned sbdf_seg(sbdf_t s)
{
	return s.v >> 16;
}
static inline unsigned sbdf_bdf(sbdf_t s)
{
	return s.v & 0xffff;
}

struct pci_dev {
	struct list link; /* list of all */
	sbdf_t sbdf;
	struct domain *owner; /* who may use it; NULL: hidden or quarantined */
	bool hidden;	      /* used by the hypervisor itself (console UART, IOMMU) */
	uint16_t vendor, device;
	uint8_t header_type; /* without the multi-function bit */
	uint8_t class_base, class_sub, class_if;
	uint8_t secondary_bus; /* of a bridge, else 0 */
	sbdf_t dma_alias;      /* requester id that the IOMMU sees (bridge for conventional PCI) */
	uint16_t cap_msi, cap_msix, cap_pcie; /* offsets, 0 if absent */
	struct vpci_dev *vpci;		      /* emulation state, owned by arch/x86 vPCI */
	void *iommu;			      /* state of the IOMMU driver */
};

/* Real configuration space; size 1, 2 or 4, naturally aligned. Reads of nothing give ones. Through ECAM where known,
 * else through CF8/CFC (offsets < 256). Any context. */
uint32_t pci_conf_read(sbdf_t dev, unsigned reg, unsigned size);
void pci_conf_write(sbdf_t dev, unsigned reg, unsigned size, uint32_t value);

/* Makes an ECAM window known: from MCFG at boot, or by PHYSDEVOP_pci_mmcfg_reserved. 0, -EEXIST (known already), -ENOMEM. */
int pci_ecam_add(uint64_t base, unsigned seg, unsigned first_bus, unsigned last_bus);
/* True if the page belongs to a known ECAM window. */
bool pci_is_ecam(uint64_t paddr);

int pci_scan(void); /* segment 0 and those of MCFG */
struct pci_dev *pci_find(sbdf_t s);
/* For PHYSDEVOP_pci_device_add of a device that the scan did not find (virtual functions, hotplug). */
int pci_dev_add(sbdf_t s, struct pci_dev **ret_dev);
extern struct list pci_devices;

#endif
