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
static inline unsigned sbdf_bus(sbdf_t s)
{
	return s.v >> 8 & 0xff;
}
static inline unsigned sbdf_dev(sbdf_t s)
{
	return s.v >> 3 & 0x1f;
}
static inline unsigned sbdf_fn(sbdf_t s)
{
	return s.v & 7;
}
static inline bool sbdf_eq(sbdf_t a, sbdf_t b)
{
	return a.v == b.v;
}

/* For messages: log_info("device " SBDF_FMT " …", SBDF_ARG(dev->sbdf)). */
#define SBDF_FMT    "%04x:%02x:%02x.%x"
#define SBDF_ARG(s) sbdf_seg(s), sbdf_bus(s), sbdf_dev(s), sbdf_fn(s)

/* Configuration space header (PCI Local Bus 3.0, 6.1; PCI-to-PCI Bridge 1.2, 3.2). */
#define PCI_VENDOR	      0x00
#define PCI_DEVICE	      0x02
#define PCI_COMMAND	      0x04
#define PCI_COMMAND_IO	      0x0001
#define PCI_COMMAND_MEMORY    0x0002
#define PCI_COMMAND_MASTER    0x0004
#define PCI_COMMAND_INTX_OFF  0x0400
#define PCI_STATUS	      0x06
#define PCI_STATUS_CAP_LIST   0x0010
#define PCI_CLASS_IF	      0x09
#define PCI_CLASS_SUB	      0x0a
#define PCI_CLASS_BASE	      0x0b
#define PCI_HEADER_TYPE	      0x0e
#define PCI_HEADER_MULTI      0x80
#define PCI_HEADER_BRIDGE     1
#define PCI_PRIMARY_BUS	      0x18
#define PCI_SECONDARY_BUS     0x19
#define PCI_SUBORDINATE_BUS   0x1a
#define PCI_CAP_POINTER	      0x34
#define PCI_CAP_ID_MSI	      0x05
#define PCI_CAP_ID_SECURE     0x0f /* AMD IOMMU, 3.2 */
#define PCI_CAP_ID_PCIE	      0x10
#define PCI_CAP_ID_MSIX	      0x11
#define PCI_CLASS_BRIDGE      0x06
#define PCI_SUBCLASS_PCI_PCI  0x04
#define PCI_MSI_CONTROL	      2
#define PCI_MSI_ENABLE	      0x0001
#define PCI_MSI_64BIT	      0x0080
#define PCI_MSI_MULTIPLE_MASK 0x0070
#define PCI_MSIX_CONTROL      2
#define PCI_MSIX_SIZE_MASK    0x07ff

/* Device/port type in the PCI Express capabilities register (PCIe Base 5.0, 7.5.3.2). */
#define PCIE_CAPABILITIES	2
#define PCIE_TYPE_ROOT_PORT	4
#define PCIE_TYPE_UPSTREAM	5
#define PCIE_TYPE_DOWNSTREAM	6
#define PCIE_TYPE_PCI_BRIDGE	7 /* PCI Express to conventional PCI */
#define PCIE_TYPE_REVERSED	8 /* conventional PCI to PCI Express */
#define PCIE_TYPE_RC_INTEGRATED 9
#define PCIE_TYPE_RC_EVENT	10

struct pci_dev {
	struct list link; /* list of all */
	sbdf_t sbdf;
	struct domain
		*owner; /* who may use it; NULL: hidden or quarantined. Set by iommu_assign() */
	bool hidden;	/* used by the hypervisor itself (console UART, IOMMU) */
	uint16_t vendor, device;
	uint8_t header_type; /* without the multi-function bit */
	uint8_t class_base, class_sub, class_if;
	uint8_t secondary_bus; /* of a bridge, else 0 */
	uint8_t subordinate_bus;
	uint8_t pcie_type;	/* PCIE_TYPE_*; only if cap_pcie */
	struct pci_dev *bridge; /* above it; NULL on a root bus */
	struct pci_dev *physfn; /* of a virtual function, set by who adds it; else NULL */
	sbdf_t dma_alias;	/* requester id that the IOMMU sees (bridge for conventional PCI) */
	uint16_t cap_msi, cap_msix, cap_pcie; /* offsets, 0 if absent */
	struct vpci_dev *vpci;		      /* emulation state, owned by arch/x86 vPCI */
	void *iommu;			      /* state of the IOMMU driver */
};

/* Real configuration space; size 1, 2 or 4, naturally aligned. Reads of nothing give ones. Through ECAM where known,
 * else through CF8/CFC (offsets < 256). Any context. */
uint32_t pci_conf_read(sbdf_t dev, unsigned reg, unsigned size);
void pci_conf_write(sbdf_t dev, unsigned reg, unsigned size, uint32_t value);

/*
 * Makes an ECAM window known: from MCFG at boot, or by PHYSDEVOP_pci_mmcfg_reserved. base is that of bus 0, even if
 * first_bus is above it. 0, -EEXIST (known already), -EINVAL (bad range, or overlaps another one), -ENOMEM.
 */
int pci_ecam_add(uint64_t base, unsigned seg, unsigned first_bus, unsigned last_bus);
/* True if the page belongs to a known ECAM window. */
bool pci_is_ecam(uint64_t paddr);
/* True if some of [start, end) does. */
bool pci_has_ecam(uint64_t start, uint64_t end);
/* The idx-th window; false after the last. */
bool pci_ecam_get(unsigned idx, uint64_t *ret_base, unsigned *ret_seg, unsigned *ret_first_bus,
		  unsigned *ret_last_bus);

int pci_scan(void); /* segment 0 and those of the known ECAM windows; 0 or -ENOMEM */
struct pci_dev *pci_find(sbdf_t s);
/* For PHYSDEVOP_pci_device_add of a device that the scan did not find (virtual functions, hotplug). 0; -EEXIST with the
 * known device in *ret_dev; -ENOMEM. */
int pci_dev_add(sbdf_t s, struct pci_dev **ret_dev);
extern struct list pci_devices;

/* The hypervisor keeps this device for itself. 0, or -ENOENT if there is no such device. */
int pci_hide(sbdf_t s);
/* Offset of a capability in the first 256 bytes, 0 if absent. */
unsigned pci_find_capability(sbdf_t s, unsigned id);
/* Switches bus mastering off: the device cannot start DMA or send MSIs any more. Any context. */
void pci_stop_dma(sbdf_t s);

/* Contract with the architecture (drivers/pci/access.c on x86): the accesses themselves. */
uint32_t pci_port_read(unsigned bdf, unsigned reg, unsigned size);
void pci_port_write(unsigned bdf, unsigned reg, unsigned size, uint32_t value);
uint32_t pci_ecam_read(const volatile void *p, unsigned size);
void pci_ecam_write(volatile void *p, unsigned size, uint32_t value);

#endif
