/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Vectors of device interrupts, per CPU, and dispatch. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/traps.h>
#include <bulkhead/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/irq.h>
#include <bulkhead/log.h>
#include <bulkhead/spinlock.h>
#include <bulkhead/timer.h>

static spinlock_t vector_lock = SPINLOCK_INIT;

static bool attach_to(struct irq *irq, unsigned cpu)
{
	struct cpu *c = cpu_table[cpu];

	for (unsigned v = IRQ_VECTOR_FIRST; v <= IRQ_VECTOR_LAST; v++) {
		/* 0x80 and the like are ordinary vectors here: there is no PV guest. */
		if (c->arch.vector_irq[v])
			continue;
		irq->cpu = cpu;
		irq->vector = (uint8_t)v;
		__atomic_store_n(&c->arch.vector_irq[v], irq, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

int irq_attach(struct irq *irq, unsigned cpu)
{
	unsigned long flags = spin_lock_irqsave(&vector_lock);
	int err = -ENOSPC;

	for (unsigned i = 0; i < cpu_count && err; i++) {
		if (attach_to(irq, (cpu + i) % cpu_count))
			err = 0;
	}
	spin_unlock_irqrestore(&vector_lock, flags);
	return err;
}

void irq_detach(struct irq *irq)
{
	struct cpu *c;
	unsigned long flags;

	if (!irq->vector)
		return;
	flags = spin_lock_irqsave(&vector_lock);
	c = cpu_table[irq->cpu];
	__atomic_store_n(&c->arch.vector_irq[irq->vector], NULL, __ATOMIC_SEQ_CST);
	irq->vector = 0;
	spin_unlock_irqrestore(&vector_lock, flags);
	/* A handler that is running has seen the pointer: wait until that CPU is out of it. */
	while (c != this_cpu() && READ_ONCE(c->arch.irq_running) == irq)
		arch_cpu_relax();
}

void arch_msi_compose(const struct irq *irq, struct msi_msg *ret_msg)
{
	/* SDM vol. 3A 11.11: fixed delivery, edge, physical destination. */
	ret_msg->address = 0xfee00000UL | (uint64_t)(cpu_table[irq->cpu]->arch.apic_id & 0xff)
						  << 12;
	ret_msg->data = irq->vector;
}

void irq_dispatch(uint8_t vector)
{
	struct cpu *c = this_cpu();
	struct irq *irq;

	switch (vector) {
	case VECTOR_SPURIOUS: /* no EOI (SDM 11.9) */
		return;
	case VECTOR_TIMER:
		apic_eoi();
		timer_interrupt();
		return;
	case VECTOR_KICK: /* its purpose was the interruption */
		apic_eoi();
		return;
	case VECTOR_CALL:
		apic_eoi();
		cpu_call_interrupt();
		return;
	case VECTOR_ERROR:
		apic_eoi();
		apic_error_interrupt();
		return;
	}
	irq = __atomic_load_n(&c->arch.vector_irq[vector], __ATOMIC_ACQUIRE);
	if (!irq) {
		/* One that was detached while it was on its way. */
		apic_eoi();
		log_debug("IRQ: vector 0x%02x on CPU %u has no owner\n", vector, c->id);
		return;
	}
	c->arch.irq_running = irq;
	arch_mb();
	/* A level-triggered pin is closed before the EOI, or it fires again at once. */
	if (irq->ack)
		irq->ack(irq);
	apic_eoi();
	if (__atomic_load_n(&c->arch.vector_irq[vector], __ATOMIC_ACQUIRE) == irq)
		irq->handler(irq);
	__atomic_store_n(&c->arch.irq_running, NULL, __ATOMIC_RELEASE);
}
