/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine's I/O APICs (82093AA data sheet), pins bound to handlers. */
#include <arch/ioapic.h>
#include <arch/cpu.h>
#include <arch/paging.h>
#include <bulkhead/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/iommu.h>
#include <bulkhead/irq.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/spinlock.h>

#define IOREGSEL	0x00
#define IOWIN		0x10
#define IOEOI		0x40 /* of version 0x20 and later */
#define REG_VERSION	1
#define REG_REDIRECTION 0x10

#define RTE_ACTIVE_LOW BIT(13)
#define RTE_LEVEL      BIT(15)
#define RTE_MASKED     BIT(16)

struct pin {
	struct irq irq;
	void (*handler)(void *data);
	void *data;
	bool bound, level, masked;
	uint64_t rte;
	unsigned ioapic, number;
};

struct ioapic_info ioapics[ACPI_MAX_IOAPICS] __ro_after_init;
unsigned ioapic_count __ro_after_init;
static volatile uint8_t *regs[ACPI_MAX_IOAPICS] __ro_after_init;
static struct pin *pins __ro_after_init; /* by GSI */
static unsigned pin_count __ro_after_init;
static spinlock_t ioapic_lock = SPINLOCK_INIT;

static uint32_t read_reg(unsigned io, unsigned reg)
{
	mmio_write32(regs[io] + IOREGSEL, reg);
	return mmio_read32(regs[io] + IOWIN);
}

static void write_reg(unsigned io, unsigned reg, uint32_t v)
{
	mmio_write32(regs[io] + IOREGSEL, reg);
	mmio_write32(regs[io] + IOWIN, v);
}

/* The low half holds the mask: written last when opening, first when closing. */
static void write_rte(const struct pin *p, uint64_t rte)
{
	if (rte & RTE_MASKED)
		write_reg(p->ioapic, REG_REDIRECTION + 2 * p->number, (uint32_t)rte);
	write_reg(p->ioapic, REG_REDIRECTION + 2 * p->number + 1, (uint32_t)(rte >> 32));
	if (!(rte & RTE_MASKED))
		write_reg(p->ioapic, REG_REDIRECTION + 2 * p->number, (uint32_t)rte);
}

static void set_mask(struct pin *p, bool masked)
{
	if (p->masked == masked)
		return;
	p->masked = masked;
	write_reg(p->ioapic, REG_REDIRECTION + 2 * p->number,
		  (uint32_t)(p->rte & ~RTE_MASKED) | (masked ? (uint32_t)RTE_MASKED : 0));
}

/*
 * What the EOI broadcast of a local APIC does, where it cannot: clears the entry's record of a delivered level interrupt.
 * The pin is masked. Old chips do it when the entry becomes edge-triggered.
 */
static void end_of_interrupt(const struct pin *p)
{
	unsigned low = REG_REDIRECTION + 2 * p->number;

	if ((read_reg(p->ioapic, REG_VERSION) & 0xff) >= 0x20) {
		mmio_write32(regs[p->ioapic] + IOEOI, p->rte & 0xff);
		return;
	}
	write_reg(p->ioapic, low, (uint32_t)((p->rte & ~RTE_LEVEL) | RTE_MASKED));
	write_reg(p->ioapic, low, (uint32_t)(p->rte | RTE_MASKED));
}

int ioapic_init(const struct acpi_madt *madt)
{
	for (unsigned i = 0; i < madt->nr_ioapics; i++) {
		struct ioapic_info *info = &ioapics[ioapic_count];

		regs[ioapic_count] = mmio_map(madt->ioapics[i].paddr, IOEOI + 4);
		if (!regs[ioapic_count])
			return -ENOMEM;
		info->id = madt->ioapics[i].id;
		info->paddr = madt->ioapics[i].paddr;
		info->gsi_base = madt->ioapics[i].gsi_base;
		info->pins = (read_reg(ioapic_count, REG_VERSION) >> 16 & 0xff) + 1;
		if (info->gsi_base > 4096) {
			log_warn("I/O APIC %u: GSI base %u is out of range, ignored\n", info->id,
				 info->gsi_base);
			continue;
		}
		pin_count = MAX(pin_count, info->gsi_base + info->pins);
		ioapic_count++;
	}
	pins = heap_alloc(MAX(pin_count, 1U) * sizeof(*pins));
	if (!pins)
		return -ENOMEM;
	for (unsigned i = 0; i < ioapic_count; i++) {
		for (unsigned n = 0; n < ioapics[i].pins; n++) {
			struct pin *p = &pins[ioapics[i].gsi_base + n];

			p->ioapic = i;
			p->number = n;
			p->rte = RTE_MASKED;
			p->masked = true;
			write_rte(p, RTE_MASKED);
		}
		log_info("I/O APIC %u at 0x%lx: GSI %u-%u\n", ioapics[i].id, ioapics[i].paddr,
			 ioapics[i].gsi_base, ioapics[i].gsi_base + ioapics[i].pins - 1);
	}
	return 0;
}

unsigned gsi_count(void)
{
	return pin_count;
}

static void pin_ack(struct irq *irq)
{
	struct pin *p = irq->data;

	spin_lock(&ioapic_lock);
	set_mask(p, true);
	if (iommu_ioapic_needs_eoi())
		end_of_interrupt(p);
	spin_unlock(&ioapic_lock);
}

static void pin_interrupt(struct irq *irq)
{
	struct pin *p = irq->data;

	p->handler(p->data);
}

static struct pin *pin_of(unsigned gsi)
{
	if (gsi >= pin_count || gsi < ioapics[pins[gsi].ioapic].gsi_base ||
	    gsi - ioapics[pins[gsi].ioapic].gsi_base != pins[gsi].number)
		return NULL;
	return &pins[gsi];
}

int gsi_bind(unsigned gsi, bool level, bool active_low, void (*handler)(void *data), void *data)
{
	struct pin *p = pin_of(gsi);
	unsigned long flags;
	int err;

	if (!p)
		return -EINVAL;
	if (__atomic_exchange_n(&p->bound, true, __ATOMIC_SEQ_CST))
		return -EBUSY;
	p->handler = handler;
	p->data = data;
	p->level = level;
	p->irq.handler = pin_interrupt;
	p->irq.ack = level ? pin_ack : NULL;
	p->irq.data = p;
	err = irq_attach(&p->irq, 0);
	if (!err) {
		err = iommu_ioapic_map(ioapics[p->ioapic].id, p->number, &p->irq, level, active_low,
				       &p->rte);
		if (err)
			irq_detach(&p->irq);
	}
	if (err) {
		__atomic_store_n(&p->bound, false, __ATOMIC_SEQ_CST);
		return err;
	}
	flags = spin_lock_irqsave(&ioapic_lock);
	p->masked = true;
	write_rte(p, p->rte | RTE_MASKED);
	spin_unlock_irqrestore(&ioapic_lock, flags);
	return 0;
}

void gsi_unbind(unsigned gsi)
{
	struct pin *p = pin_of(gsi);
	unsigned long flags;

	if (!p || !p->bound)
		return;
	flags = spin_lock_irqsave(&ioapic_lock);
	p->masked = true;
	write_rte(p, RTE_MASKED);
	spin_unlock_irqrestore(&ioapic_lock, flags);
	iommu_irq_free(NULL, &p->irq);
	irq_detach(&p->irq);
	__atomic_store_n(&p->bound, false, __ATOMIC_SEQ_CST);
}

static void change_mask(unsigned gsi, bool masked)
{
	struct pin *p = pin_of(gsi);
	unsigned long flags;

	if (!p || !p->bound)
		return;
	flags = spin_lock_irqsave(&ioapic_lock);
	set_mask(p, masked);
	spin_unlock_irqrestore(&ioapic_lock, flags);
}

void gsi_unmask(unsigned gsi)
{
	change_mask(gsi, false);
}

void gsi_mask(unsigned gsi)
{
	change_mask(gsi, true);
}
