// SPDX-License-Identifier: GPL-2.0-or-later
// Intel VT-d driver: its units and what its files share.
#ifndef VTD_VTD_H
#define VTD_VTD_H

#include <bulkhead/bitmap.h>
#include <bulkhead/iommu.h>
#include <bulkhead/irq.h>
#include <bulkhead/spinlock.h>

#include "../driver.h"
#include "../machine.h"
#include "regs.h"

#define VTD_MAX_DOMAIN_IDS 4096 /* domains with devices behind one unit */
#define VTD_QUEUE_ENTRIES  256	/* one page */
#define VTD_MAX_SCOPES	   64
#define VTD_MAX_IOAPICS	   8

/* Devices that a unit names: a range of requester ids of its segment. */
struct vtd_range {
	uint16_t first, last;
};

struct vtd_unit {
	unsigned index;
	unsigned seg;
	bool include_all;
	uint64_t paddr;
	unsigned scope_count;
	struct vtd_range scopes[VTD_MAX_SCOPES];
	unsigned ioapic_count;
	struct {
		uint8_t id;
		uint16_t bdf;
	} ioapics[VTD_MAX_IOAPICS];

	volatile uint8_t *regs;
	uint64_t cap, ecap;
	uint32_t gcmd; /* persistent bits that are on */
	bool running;  /* initialised: a timeout is not fatal any more */
	spinlock_t reg_lock;

	struct vtd_root_entry *root;
	spinlock_t table_lock; /* context tables, domain ids */
	unsigned domain_ids;
	BITMAP_DECLARE(ids, VTD_MAX_DOMAIN_IDS);

	spinlock_t queue_lock;
	struct vtd_desc *queue;
	uint32_t *status; /* written by wait descriptors */
	unsigned tail;
	uint32_t sequence;
	bool broken; /* the queue does not move any more */

	struct irq fault_irq;
	spinlock_t fault_lock;
	bool queue_error; /* was logged */

	spinlock_t irte_lock;
	struct vtd_irte *irtes;
	unsigned irte_count, irte_next;
	struct irq **irte_owner; /* NULL: free */
};

extern struct vtd_unit *vtd_units[IOMMU_MAX_UNITS];
extern unsigned vtd_unit_count;

static inline bool vtd_coherent(const struct vtd_unit *u)
{
	return u->ecap & ECAP_COHERENT;
}
/* After a change of a structure that the unit reads. */
static inline void vtd_sync(const struct vtd_unit *u, const void *p, size_t len)
{
	barrier();
	if (!vtd_coherent(u))
		iommu_clean_cache(p, len);
}

/* dmar.c: units and reserved regions from ACPI. 0, -ENODEV (no DMAR), -EINVAL, -ENOMEM. */
int vtd_read_dmar(const struct acpi *acpi, bool *ret_intremap);
struct vtd_unit *vtd_find_unit(const struct pci_dev *dev);

/* unit.c */
int vtd_unit_map(struct vtd_unit *u); /* registers readable and sensible: 0, -ENODEV, -ENOMEM */
/* Tables loaded, queue running, caches empty, faults reported, all DMA blocked. 0 or -errno. */
int vtd_unit_start(struct vtd_unit *u);
/* Changes one persistent bit, or fires one command, and waits for its status. 0 or -EIO. */
int vtd_command(struct vtd_unit *u, uint32_t bit, bool on);
int vtd_flush_write_buffer(struct vtd_unit *u);

/* queue.c */
int vtd_queue_start(struct vtd_unit *u);
/* Executes up to VTD_BATCH descriptors and waits. 0 or -EIO. */
#define VTD_BATCH 16
int vtd_execute(struct vtd_unit *u, const struct vtd_desc *descs, unsigned count);
struct vtd_desc vtd_desc_iotlb(const struct vtd_unit *u, uint32_t kind, unsigned id);

/* context.c */
int vtd_attach(struct pci_dev *dev, struct iommu_domain *dom);
int vtd_detach(struct pci_dev *dev, struct iommu_domain *dom);
int vtd_flush(unsigned unit, struct iommu_domain *dom, const struct iommu_flush *f);
extern const struct iommu_pt_format vtd_pt_format;

/* fault.c */
int vtd_fault_start(struct vtd_unit *u);
void vtd_fault_poll(struct vtd_unit *u);

/* intremap.c */
int vtd_intremap_prepare(struct vtd_unit *u, unsigned entries); /* table loaded, not enabled */
int vtd_intremap_enable(struct vtd_unit *u);
int vtd_msi_map(struct pci_dev *dev, struct irq *irq, struct msi_msg *ret_msg);
int vtd_msi_map_multi(struct pci_dev *dev, struct irq *const irqs[], unsigned count,
		      struct msi_msg *ret_msg);
int vtd_ioapic_map(unsigned ioapic_id, unsigned pin, struct irq *irq, bool level, bool active_low,
		   uint64_t *ret_rte);
void vtd_irq_free(struct pci_dev *dev, struct irq *irq);

#endif
