/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts of the machine: vectors, message-signalled interrupts and I/O APIC pins. */
#ifndef BULKHEAD_IRQ_H
#define BULKHEAD_IRQ_H

#include <bulkhead/compiler.h>

struct pci_dev;

/* An interrupt source with a vector on one CPU. Storage is the user's. */
struct irq {
	void (*handler)(struct irq *irq); /* interrupts off, after the local APIC's EOI */
	void (*ack)(struct irq *irq);	  /* before the EOI; may be NULL */
	void *data;
	unsigned cpu;
	uint8_t vector; /* 0: none */
	uint16_t remap; /* index + 1 in the interrupt remapping table of its IOMMU; 0: none */
};

struct msi_msg {
	uint64_t address;
	uint32_t data;
};

/* Takes a free vector of the CPU (or of the next one that has any). 0 or -ENOSPC. */
int irq_attach(struct irq *irq, unsigned cpu);
/* Gives it back; after the return no handler runs. Remapping entry: iommu_irq_free() first. */
void irq_detach(struct irq *irq);

/* Message that makes a device raise irq, without remapping (APM/SDM APIC chapters). */
void arch_msi_compose(const struct irq *irq, struct msi_msg *ret_msg);

/*
 * Binds an I/O APIC pin to a handler. The pin starts masked: gsi_unmask() opens it. Level: when it fires it is masked before
 * the handler runs, until gsi_unmask() (at the guest's EOI). 0, -EINVAL (no such pin), -EBUSY (bound, or the hypervisor's own).
 */
int gsi_bind(unsigned gsi, bool level, bool active_low, void (*handler)(void *data), void *data);
void gsi_unbind(unsigned gsi);
void gsi_unmask(unsigned gsi);
void gsi_mask(unsigned gsi);
unsigned gsi_count(void);

/* The I/O APICs of the machine, for vIO-APIC and dom0's MADT. */
struct ioapic_info {
	uint8_t id;
	uint64_t paddr;
	unsigned gsi_base, pins;
};
extern struct ioapic_info ioapics[];
extern unsigned ioapic_count;

#endif
