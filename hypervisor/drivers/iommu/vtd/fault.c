// SPDX-License-Identifier: GPL-2.0-or-later
// Intel VT-d: fault recording registers and the fault event (VT-d 7.2, 7.3).

#include <bulkhead/errno.h>
#include <bulkhead/log.h>

#include "vtd.h"

#define REASON_INTERRUPT_FIRST 0x20
#define REASON_INTERRUPT_LAST  0x27

/* 7.2.3: legacy mode and interrupt remapping. */
static const char *reason_text(unsigned reason)
{
	static const char *const dma[] = {
		[0x1] = "root entry not present: blocked device",
		[0x2] = "context entry not present: blocked device",
		[0x3] = "malformed context entry",
		[0x4] = "address beyond the table",
		[0x5] = "no write permission",
		[0x6] = "no read permission",
		[0x7] = "page table not accessible",
		[0x8] = "root table not accessible",
		[0x9] = "context table not accessible",
		[0xa] = "reserved bits in a root entry",
		[0xb] = "reserved bits in a context entry",
		[0xc] = "reserved bits in a page table entry",
		[0xd] = "translated request blocked",
	};
	static const char *const interrupt[] = {
		[0x0] = "reserved bits in the request",
		[0x1] = "index beyond the table",
		[0x2] = "entry not present",
		[0x3] = "table not accessible",
		[0x4] = "reserved bits in the entry",
		[0x5] = "compatibility format blocked",
		[0x6] = "wrong source id",
		[0x7] = "posted-interrupt descriptor not accessible",
	};

	if (reason < ARRAY_SIZE(dma) && dma[reason])
		return dma[reason];
	if (reason >= REASON_INTERRUPT_FIRST && reason <= REASON_INTERRUPT_LAST)
		return interrupt[reason - REASON_INTERRUPT_FIRST];
	return "not known";
}

static void report(const struct vtd_unit *u, uint64_t lo, uint64_t hi)
{
	struct iommu_fault f = {
		.driver = "VT-d",
		.unit = u->index,
		.source = sbdf_make(u->seg, FRCD_SOURCE(hi) >> 8, FRCD_SOURCE(hi) >> 3 & 0x1f,
				    FRCD_SOURCE(hi) & 7),
		.address = FRCD_ADDRESS(lo),
		.reason = FRCD_REASON(hi),
		.text = reason_text(FRCD_REASON(hi)),
	};

	if (f.reason >= REASON_INTERRUPT_FIRST && f.reason <= REASON_INTERRUPT_LAST) {
		f.access = IOMMU_INTERRUPT;
		f.address = FRCD_INDEX(lo);
	} else if (FRCD_T2(hi)) {
		f.access = IOMMU_DMA_OTHER;
	} else {
		f.access = FRCD_T1(hi) ? IOMMU_DMA_READ : IOMMU_DMA_WRITE;
	}
	iommu_report_fault(&f);
}

void vtd_fault_poll(struct vtd_unit *u)
{
	unsigned count = CAP_FAULT_COUNT(u->cap), i;
	unsigned long flags = spin_lock_irqsave(&u->fault_lock);
	uint32_t fsts = iommu_read32(u->regs + VTD_FSTS);

	/* Each register once: a device that goes on cannot keep us here. */
	i = FSTS_RECORD(fsts) % count;
	for (unsigned n = 0; (fsts & FSTS_PENDING) && n < count; n++, i = (i + 1) % count) {
		volatile uint8_t *r = u->regs + CAP_FAULT_OFFSET(u->cap) + i * 16;
		uint64_t hi = iommu_read64(r + 8), lo;

		if (!(hi & FRCD_FAULT))
			break;
		lo = iommu_read64(r);
		iommu_write32(r + 12, (uint32_t)(FRCD_FAULT >> 32));
		report(u, lo, hi);
	}
	if (fsts & FSTS_OVERFLOW) {
		iommu_report_overflow("VT-d", u->index);
		iommu_write32(u->regs + VTD_FSTS, FSTS_OVERFLOW);
	}
	/* Who waits for the queue notices and handles it; said once, as the status stays. */
	if ((fsts & FSTS_QUEUE) && !u->queue_error) {
		u->queue_error = true;
		log_err("VT-d %u: error in the invalidation queue: status 0x%x\n", u->index, fsts);
	}
	spin_unlock_irqrestore(&u->fault_lock, flags);
}

static void fault_interrupt(struct irq *irq)
{
	vtd_fault_poll(irq->data);
}

int vtd_fault_start(struct vtd_unit *u)
{
	uint32_t id;
	int err;

	spin_init(&u->fault_lock);
	/* Faults of a former owner's devices: not ours to report. */
	for (unsigned i = 0; i < CAP_FAULT_COUNT(u->cap); i++)
		iommu_write32(u->regs + CAP_FAULT_OFFSET(u->cap) + i * 16 + 12,
			      (uint32_t)(FRCD_FAULT >> 32));
	iommu_write32(u->regs + VTD_FSTS, FSTS_OVERFLOW | FSTS_QUEUE);

	u->fault_irq.handler = fault_interrupt;
	u->fault_irq.data = u;
	err = irq_attach(&u->fault_irq, 0);
	if (err)
		return err;
	/* The unit's own messages are not remapped (5.1.6): plain format, wide destination in x2APIC mode. */
	id = iommu_apic_id(u->fault_irq.cpu);
	iommu_write32(u->regs + VTD_FEDATA, u->fault_irq.vector);
	iommu_write32(u->regs + VTD_FEADDR, MSI_PLAIN_BASE | MSI_PLAIN_DEST(id));
	iommu_write32(u->regs + VTD_FEUADDR, iommu_apic_x2apic() ? id & ~0xffU : 0);
	iommu_write32(u->regs + VTD_FECTL, 0);
	return 0;
}
