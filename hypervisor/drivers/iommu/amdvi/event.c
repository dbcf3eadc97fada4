// SPDX-License-Identifier: GPL-2.0-or-later
// AMD IOMMU: the event log (2.5).

#include <arch/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "amdvi.h"

#define EVENT_BYTES (AMDVI_RING_ENTRIES * sizeof(struct amdvi_event))
#define EVENT_WAIT  USEC(10)

enum {
	EVENT_ILLEGAL_DTE = 1,
	EVENT_PAGE_FAULT = 2,
	EVENT_DTE_HARDWARE = 3,
	EVENT_TABLE_HARDWARE = 4,
	EVENT_ILLEGAL_COMMAND = 5,
	EVENT_COMMAND_HARDWARE = 6,
	EVENT_IOTLB_TIMEOUT = 7,
	EVENT_INVALID_REQUEST = 8,
};

static const char *event_text(unsigned code)
{
	static const char *const text[] = {
		[EVENT_ILLEGAL_DTE] = "illegal device table entry",
		[EVENT_PAGE_FAULT] = "not mapped, or no permission",
		[EVENT_DTE_HARDWARE] = "device table not accessible",
		[EVENT_TABLE_HARDWARE] = "page table not accessible",
		[EVENT_IOTLB_TIMEOUT] = "device TLB does not answer",
		[EVENT_INVALID_REQUEST] = "invalid request",
	};

	return code < ARRAY_SIZE(text) && text[code] ? text[code] : "not known";
}

static void report(const struct amdvi_unit *u, uint64_t lo, uint64_t hi)
{
	unsigned id = EVENT_DEVICE(lo);
	struct iommu_fault f = {
		.driver = "AMD-Vi",
		.unit = u->index,
		.source = {u->segment->seg << 16 | id},
		.address = hi,
		.reason = EVENT_CODE(lo),
		.text = event_text(EVENT_CODE(lo)),
	};

	switch (f.reason) {
	case EVENT_ILLEGAL_COMMAND:
	case EVENT_COMMAND_HARDWARE:
		/* Not about a device; who waits for the command notices. */
		log_err("AMD-Vi %u: command at 0x%llx refused (event %u)\n", u->index,
			(unsigned long long)hi, f.reason);
		return;
	case EVENT_PAGE_FAULT:
	case EVENT_ILLEGAL_DTE:
		/* Emulators set the interrupt flag for every fault: the address has to fit as well. */
		if ((lo & EVENT_INTERRUPT) && hi >= AMDVI_INT_FIRST && hi <= AMDVI_INT_LAST)
			f.access = IOMMU_INTERRUPT;
		else
			f.access = lo & EVENT_WRITE ? IOMMU_DMA_WRITE : IOMMU_DMA_READ;
		break;
	default:
		f.access = IOMMU_DMA_OTHER;
	}
	iommu_report_fault(&f);
}

/* 3.4.13: the log stops when it overflows; switching it off and on again makes it go on. */
static void restart_log(struct amdvi_unit *u)
{
	uint64_t control = iommu_read64(u->regs + AMDVI_CONTROL);

	iommu_report_overflow("AMD-Vi", u->index);
	iommu_write64(u->regs + AMDVI_CONTROL, control & ~(CTL_EVENT_LOG | CTL_EVENT_INT));
	if (!IOMMU_WAIT_FOR(!(iommu_read64(u->regs + AMDVI_STATUS) & STATUS_EVENT_RUN)))
		log_err("AMD-Vi %u: the event log does not stop\n", u->index);
	iommu_write64(u->regs + AMDVI_STATUS, STATUS_OVERFLOW);
	iommu_write64(u->regs + AMDVI_EVT_HEAD, 0);
	iommu_write64(u->regs + AMDVI_EVT_TAIL, 0);
	iommu_write64(u->regs + AMDVI_CONTROL, control);
}

void amdvi_event_poll(struct amdvi_unit *u)
{
	unsigned long flags = spin_lock_irqsave(&u->event_lock);
	uint64_t head, tail;

	/* First, so that an event which comes while we read raises the interrupt again. */
	iommu_write64(u->regs + AMDVI_STATUS, STATUS_EVENT_INT);
	head = iommu_read64(u->regs + AMDVI_EVT_HEAD) % EVENT_BYTES;
	tail = iommu_read64(u->regs + AMDVI_EVT_TAIL) % EVENT_BYTES;
	/* One round at most: a device that goes on cannot keep us here. */
	while (head != tail) {
		struct amdvi_event *e = &u->events[head / sizeof(*e)];
		uint64_t deadline = time_now() + EVENT_WAIT, lo;

		/* The pointer may move before the entry is written. */
		while (!EVENT_CODE(lo = READ_ONCE(e->lo)) && time_now() <= deadline)
			arch_cpu_relax();
		if (EVENT_CODE(lo))
			report(u, lo, READ_ONCE(e->hi));
		WRITE_ONCE(e->lo, 0);
		head = (head + sizeof(*e)) % EVENT_BYTES;
	}
	iommu_write64(u->regs + AMDVI_EVT_HEAD, head);
	if (iommu_read64(u->regs + AMDVI_STATUS) & STATUS_OVERFLOW)
		restart_log(u);
	spin_unlock_irqrestore(&u->event_lock, flags);
}

static void event_interrupt(struct irq *irq)
{
	amdvi_event_poll(irq->data);
}

/* The unit's own messages are not remapped. */
static int program_msi(struct amdvi_unit *u)
{
	unsigned cap = pci_find_capability(u->function, PCI_CAP_ID_MSI);
	struct msi_msg msg;
	uint32_t control;

	if (!cap)
		return -ENODEV;
	arch_msi_compose(&u->event_irq, &msg);
	control = pci_conf_read(u->function, cap + PCI_MSI_CONTROL, 2);
	pci_conf_write(u->function, cap + 4, 4, (uint32_t)msg.address);
	if (control & PCI_MSI_64BIT)
		pci_conf_write(u->function, cap + 8, 4, (uint32_t)(msg.address >> 32));
	pci_conf_write(u->function, cap + (control & PCI_MSI_64BIT ? 12 : 8), 2, msg.data);
	pci_conf_write(u->function, cap + PCI_MSI_CONTROL, 2,
		       (control & ~(uint32_t)PCI_MSI_MULTIPLE_MASK) | PCI_MSI_ENABLE);
	/* The message is a DMA write of the function. */
	pci_conf_write(u->function, PCI_COMMAND, 2,
		       pci_conf_read(u->function, PCI_COMMAND, 2) | PCI_COMMAND_MASTER);
	return 0;
}

int amdvi_event_start(struct amdvi_unit *u)
{
	int err;

	spin_init(&u->event_lock);
	u->events = heap_page_alloc();
	if (!u->events)
		return -ENOMEM;
	iommu_write64(u->regs + AMDVI_EVTLOG, paddr_raw(heap_paddr(u->events)) | RING_LENGTH);
	iommu_write64(u->regs + AMDVI_EVT_HEAD, 0);
	iommu_write64(u->regs + AMDVI_EVT_TAIL, 0);

	u->event_irq.handler = event_interrupt;
	u->event_irq.data = u;
	err = irq_attach(&u->event_irq, 0);
	if (err)
		return err;
	if (amdvi_wide_irtes) {
		uint32_t id = iommu_apic_id(u->event_irq.cpu);

		/* 3.4.11: destination and vector of events while x2APIC events are on. */
		iommu_write64(u->regs + AMDVI_XT_GEN_INT,
			      (uint64_t)(id & 0xffffff) << 8 | (uint64_t)u->event_irq.vector << 32 |
				      (uint64_t)(id >> 24) << 56);
	}
	err = program_msi(u);
	if (err)
		log_warn("AMD-Vi %u: no MSI: faults are not reported\n", u->index);
	return 0;
}
