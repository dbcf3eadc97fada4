/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State of a virtual local APIC and what its three files share. Numbers of sections: SDM vol. 3A, chapter 11. */
#ifndef VLAPIC_STATE_H
#define VLAPIC_STATE_H

#include <bulkhead/domain.h>
#include <bulkhead/timer.h>

/* Offsets in the register page (table 11-1); an x2APIC MSR is 0x800 + (offset >> 4) (11.12.1.2). */
enum lapic_reg {
	LAPIC_ID = 0x020,
	LAPIC_VERSION = 0x030,
	LAPIC_TPR = 0x080,
	LAPIC_APR = 0x090, /* reads as 0 */
	LAPIC_PPR = 0x0a0,
	LAPIC_EOI = 0x0b0,
	LAPIC_RRD = 0x0c0, /* reads as 0 */
	LAPIC_LDR = 0x0d0,
	LAPIC_DFR = 0x0e0,
	LAPIC_SVR = 0x0f0,
	LAPIC_ISR = 0x100,
	LAPIC_TMR = 0x180,
	LAPIC_IRR = 0x200,
	LAPIC_ESR = 0x280,
	LAPIC_ICR = 0x300,
	LAPIC_ICR2 = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_THERMAL = 0x330,
	LAPIC_LVT_PERF = 0x340,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370,
	LAPIC_TMICT = 0x380,
	LAPIC_TMCCT = 0x390,
	LAPIC_TDCR = 0x3e0,
	LAPIC_SELF_IPI = 0x3f0,
};

#define LVT_DELIVERY_STATUS BIT32(12)
#define LVT_REMOTE_IRR	    BIT32(14)
#define LVT_MASKED	    BIT32(16)
#define LVT_TIMER_PERIODIC  BIT32(17)
#define SVR_ENABLED	    BIT32(8)

/* Error status (11.5.3). */
#define ESR_SEND_VECTOR	    BIT32(5)
#define ESR_RECEIVED_VECTOR BIT32(6)
#define ESR_REGISTER	    BIT32(7)

/* Delivery modes of messages and of the interrupt command register (11.6.1). */
enum lapic_mode {
	LAPIC_FIXED = 0,
	LAPIC_LOWEST = 1,
	LAPIC_SMI = 2,
	LAPIC_NMI = 4,
	LAPIC_INIT = 5,
	LAPIC_STARTUP = 6,
	LAPIC_EXTINT = 7,
};

/* Vectors below are not for interrupts of APICs (11.5.2). */
#define LAPIC_FIRST_VECTOR 16

struct vlapic_timer {
	spinlock_t lock; /* of what follows and of the timer's registers */
	struct timer timer;
	uint64_t start; /* system time at which the current count began */
	bool running;	/* the count is not 0 */
	bool stalled;	/* periodic: not armed until the guest takes the interrupt that waits */
};

/*
 * The page of registers is laid out as the architecture has it: it is what gets saved and restored. Its own CPU changes
 * it, with these exceptions: IRR, TMR and `esr_pending` are changed by anybody, atomically, and anybody sets `again`. Others
 * read the identifiers, `irr_words`, `isr_top`, `offered`, TPR and the three flags.
 */
struct vlapic {
	struct vcpu *vcpu;
	uint8_t *regs; /* heap page */
	uint64_t base; /* APIC_BASE as the guest reads it */
	bool hw_enabled, sw_enabled, x2apic;
	uint32_t id;
	/*
	 * Bit n: word n of IRR may be non-zero. Set after, and never cleared before, the bits of the word; so 0 says that
	 * nothing is pending and the highest vector is found in one step.
	 */
	uint32_t irr_words;
	int isr_top; /* highest vector in service, -1: none */
	/*
	 * The vector that the guest runs with, 0: none. It stays in IRR until the exit, when it is seen whether the guest took
	 * it; so if it is raised meanwhile, that may be a second interrupt.
	 */
	uint8_t offered;
	bool again;
	uint32_t esr_pending;
	struct vlapic_timer timer;
};

static inline uint32_t *vlapic_word(struct vlapic *vl, unsigned offset)
{
	return (uint32_t *)(void *)(vl->regs + offset);
}
static inline uint32_t vlapic_reg(const struct vlapic *vl, unsigned offset)
{
	return READ_ONCE(*(const uint32_t *)(const void *)(vl->regs + offset));
}
static inline void vlapic_put(struct vlapic *vl, unsigned offset, uint32_t value)
{
	WRITE_ONCE(*vlapic_word(vl, offset), value);
}
/* IRR, ISR and TMR: eight words of 32 bits, 16 bytes apart. */
static inline unsigned vlapic_vector_word(unsigned base, unsigned vector)
{
	return base + 16 * (vector / 32);
}
static inline struct vlapic *vcpu_vlapic(const struct vcpu *v)
{
	return __atomic_load_n(&v->arch.vlapic, __ATOMIC_ACQUIRE);
}

/* Sets IRR and TMR and kicks the vCPU; false if it merged with one that waits. The vector is a valid one. Any context. */
bool vlapic_raise(struct vlapic *vl, uint8_t vector, bool level);
/* Notes an error and raises the error interrupt if that is not masked. Any context. */
void vlapic_error(struct vlapic *vl, uint32_t esr_bit);
/* Raises the interrupt of a local vector table entry unless masked; false if it was pending already. */
bool vlapic_raise_lvt(struct vlapic *vl, uint32_t lvt);
/* Processor priority. Any context; for other CPUs than the vCPU's it is a snapshot. */
uint8_t vlapic_ppr(const struct vlapic *vl);

/* vlapic_timer.c. On the vCPU's CPU; reset also while the vCPU does not run. */
int vlapic_timer_init(struct vlapic *vl);
void vlapic_timer_finish(struct vlapic *vl);
void vlapic_timer_reset(struct vlapic *vl);
uint32_t vlapic_timer_count(struct vlapic *vl);
/* Writes a register of the timer: LAPIC_LVT_TIMER, LAPIC_TMICT or LAPIC_TDCR. */
void vlapic_timer_write(struct vlapic *vl, unsigned offset, uint32_t value);
/* The guest took an interrupt: a stalled timer goes on. */
void vlapic_timer_resume(struct vlapic *vl);

/* vapic_message.c: sends what was written to the interrupt command register. Reserved combinations do nothing. */
void vlapic_send_ipi(struct vlapic *vl, uint32_t icr, uint32_t dest);

/* vioapic.c: an APIC was enabled; messages that nobody accepted are sent again. */
void vioapic_retry(struct domain *d);

#endif
