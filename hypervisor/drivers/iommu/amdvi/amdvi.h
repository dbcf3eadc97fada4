// SPDX-License-Identifier: GPL-2.0-or-later
// AMD IOMMU driver: its units, the device table of a segment, and what its files share.
#ifndef AMDVI_AMDVI_H
#define AMDVI_AMDVI_H

#include <bulkhead/bitmap.h>
#include <bulkhead/iommu.h>
#include <bulkhead/irq.h>
#include <bulkhead/spinlock.h>

#include "../driver.h"
#include "../machine.h"
#include "regs.h"

#define AMDVI_MAX_SEGMENTS   4
#define AMDVI_MAX_RANGES     256 /* device ranges of one unit */
#define AMDVI_MAX_IOAPICS    32
#define AMDVI_MAX_DOMAIN_IDS 4096 /* domains with devices behind one unit */
#define AMDVI_RING_ENTRIES   256  /* one page */

/* Index of an interrupt in its table: bits 10:8 are the delivery mode of the message, and only 0 and 1 are remapped (2.2.5.1). */
#define AMDVI_IRT_LOG2	  9
#define AMDVI_IRT_ENTRIES (1U << AMDVI_IRT_LOG2)

struct amdvi_unit;

/* Interrupt remapping table of one requester id. */
struct amdvi_irt {
	struct list link;
	uint16_t id;
	unsigned log2;
	void *entries;		 /* uint32_t or struct amdvi_irte128 */
	struct irq **owner;	 /* NULL: free */
	struct amdvi_unit *unit; /* that caches it */
};

/* Devices of a unit as the firmware lists them. */
struct amdvi_range {
	uint16_t first, last;
	bool has_alias;
	uint16_t alias;
	uint8_t settings; /* ACPI_IVHD_*_PASS */
};

/* All units of a segment share its device table. */
struct amdvi_segment {
	unsigned seg;
	unsigned entries; /* requester ids below this have an entry */
	struct amdvi_dte *dtes;
	/*
	 * First quarter of the entry of a device that belongs to nobody: valid, translated, and neither readable nor
	 * writable. A set table depth (with an empty root) makes the unit report what it refuses.
	 */
	uint64_t blocked;
	spinlock_t lock; /* entries, interrupt tables */
	struct list irts;
};

struct amdvi_unit {
	unsigned index;
	struct amdvi_segment *segment;
	uint64_t paddr;
	sbdf_t function; /* its own PCI function */
	uint16_t capability;
	uint8_t ivhd_flags;
	unsigned range_count;
	struct amdvi_range ranges[AMDVI_MAX_RANGES];

	volatile uint8_t *regs;
	uint32_t cap_header;
	uint64_t efr;
	bool running;

	spinlock_t ids_lock;
	BITMAP_DECLARE(ids, AMDVI_MAX_DOMAIN_IDS);

	spinlock_t cmd_lock;
	struct amdvi_cmd *cmds;
	uint64_t *semaphore;
	unsigned cmd_tail;
	uint64_t sequence;
	bool broken;

	spinlock_t event_lock;
	struct amdvi_event *events;
	struct irq event_irq;
};

extern struct amdvi_unit *amdvi_units[IOMMU_MAX_UNITS];
extern unsigned amdvi_unit_count;
extern bool amdvi_intremap, amdvi_wide_irtes; /* wide: 128-bit entries, x2APIC destinations */

/* ivrs.c: units, device ranges and reserved regions from ACPI. 0, -ENODEV (no IVRS), -EINVAL, -ENOMEM. */
int amdvi_read_ivrs(const struct acpi *acpi);
/* Unit and range of a device; also puts the requester id that firmware names into dev->dma_alias. NULL: none. */
struct amdvi_unit *amdvi_find_unit(struct pci_dev *dev);
/* The settings for a requester id. */
uint8_t amdvi_settings(const struct amdvi_unit *u, unsigned id);
/* Requester id of an I/O APIC's messages, and the unit that sees them; NULL: not described. */
struct amdvi_unit *amdvi_find_ioapic(unsigned ioapic_id, unsigned *ret_id);

/* table.c */
extern const struct iommu_pt_format amdvi_pt_format;
int amdvi_segment_start(struct amdvi_segment *s, unsigned levels); /* all blocked: 0, -ENOMEM */
int amdvi_attach(struct pci_dev *dev, struct iommu_domain *dom);
int amdvi_detach(struct pci_dev *dev, struct iommu_domain *dom);
int amdvi_flush(unsigned unit, struct iommu_domain *dom, const struct iommu_flush *f);
/* Pointer to the interrupt table in a device table entry; irt NULL: interrupts are refused. 0 or -EIO. */
int amdvi_set_irt(struct amdvi_unit *u, unsigned id, const struct amdvi_irt *irt);

/* unit.c */
int amdvi_unit_map(struct amdvi_unit *u);
int amdvi_unit_start(struct amdvi_unit *u);

/* command.c */
int amdvi_command_start(struct amdvi_unit *u);
/* Executes up to AMDVI_BATCH commands and waits. 0 or -EIO. */
#define AMDVI_BATCH 64
int amdvi_execute(struct amdvi_unit *u, const struct amdvi_cmd *cmds, unsigned count);
struct amdvi_cmd amdvi_cmd_pages(unsigned domain_id, uint64_t dfn, uint64_t count);

/* event.c */
int amdvi_event_start(struct amdvi_unit *u);
void amdvi_event_poll(struct amdvi_unit *u);

/* intremap.c */
int amdvi_msi_map(struct pci_dev *dev, struct irq *irq, struct msi_msg *ret_msg);
int amdvi_msi_map_multi(struct pci_dev *dev, struct irq *const irqs[], unsigned count,
			struct msi_msg *ret_msg);
int amdvi_ioapic_map(unsigned ioapic_id, unsigned pin, struct irq *irq, bool level, bool active_low,
		     uint64_t *ret_rte);
void amdvi_irq_free(struct pci_dev *dev, struct irq *irq);

#endif
