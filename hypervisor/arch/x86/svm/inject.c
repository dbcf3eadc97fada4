/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event injection. External interrupts are offered as virtual interrupts (V_IRQ, APM vol. 2 15.21.4), so that the CPU delivers
 * them when the guest can take them, and no interrupt window is needed. EVENTINJ is for exceptions and NMIs only.
 *
 * While a guest handles an NMI no other one may come, until its handler's IRET is through. That IRET is intercepted, which
 * happens before it is executed; so from then on NMIs are blocked for as long as RIP stays there. If one is waiting, TF is
 * set over the IRET, to get an exit right behind it.
 */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/traps.h>
#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/event.h>

#include "svm.h"

#define DR6_TRAPS 0xfUL
#define DR6_BS	  BIT(14)

/* What the IRET that is stepped over can raise: its frame in memory must not get to see our TF. */
#define STEP_EXCEPTIONS \
 (BIT32(TRAP_TS) | BIT32(TRAP_NP) | BIT32(TRAP_SS) | BIT32(TRAP_GP) | BIT32(TRAP_PF))

static void offer(struct svm_vcpu *s, uint8_t vector, bool legacy)
{
	uint64_t vintr = s->vmcb->vintr & ~VINTR_EVENT_MASK;

	vintr |= VINTR_IRQ | (uint64_t)vector << VINTR_VECTOR_SHIFT;
	if (legacy)
		vintr |= VINTR_IGN_TPR | 0xfUL << VINTR_PRIO_SHIFT;
	else
		vintr |= (uint64_t)(vector >> 4) << VINTR_PRIO_SHIFT;
	s->vmcb->vintr = vintr;
	s->event_offered = true;
	s->event_legacy = legacy;
	s->event_vector = vector;
}

/* An exit as soon as the interrupt shadow is over, if interrupts are on; else the next exit has to do. */
static void open_window(struct svm_vcpu *s)
{
	s->vmcb->intercept3 |= INTERCEPT_VINTR;
	if (!s->event_offered)
		s->vmcb->vintr |= VINTR_IRQ | VINTR_IGN_TPR | 0xfUL << VINTR_PRIO_SHIFT;
}

static void step_over_iret(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;

	s->stepping = true;
	s->step_guest_tf = v->arch.rflags & X86_EFLAGS_TF;
	s->step_dr6 = s->vmcb->dr6;
	s->vmcb->exceptions |= STEP_EXCEPTIONS;
}

static void inject(struct vcpu *v, struct pending_event *p)
{
	struct vmcb *b = v->arch.svm->vmcb;

	b->event_inject = EVENT_VALID | (uint64_t)p->type << EVENT_TYPE_SHIFT | p->vector;
	/* Real mode has no error codes. */
	if (p->has_error && (b->cr0 & X86_CR0_PE))
		b->event_inject |= EVENT_ERROR_VALID | (uint64_t)p->error << 32;
	p->valid = false;
}

/* True: an NMI waits for the end of the interrupt shadow. */
static bool prepare_event(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;
	struct vmcb *b = s->vmcb;
	bool nmi = v->arch.nmi_pending && (!v->arch.nmi_blocked || s->nmi_iret);

	b->event_inject = 0;
	if (v->arch.inject.valid) {
		inject(v, &v->arch.inject);
		/* One at a time: an interrupt of our own ends the guest's run as soon as this is delivered. */
		if (nmi)
			apic_send_vector(cpu_id(), VECTOR_KICK);
		return false;
	}
	if (!nmi)
		return false;
	if (v->arch.nmi_blocked) {
		step_over_iret(v);
		return false;
	}
	if (b->interrupt_shadow & SHADOW_ACTIVE)
		return true;
	v->arch.nmi_pending = false;
	v->arch.nmi_blocked = true;
	b->intercept3 |= INTERCEPT_IRET;
	b->event_inject = EVENT_VALID | EVENT_NMI << EVENT_TYPE_SHIFT | TRAP_NMI;
	return false;
}

/* The best interrupt, if there is one that the task priority admits. True: CR8 writes must be seen. */
static bool prepare_interrupt(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;
	int vector;

	/* Taken before the IRET that is stepped over, it would save our TF with the guest's flags; behind it there is an exit. */
	if (unlikely(s->stepping)) {
		s->vmcb->vintr &= ~VINTR_EVENT_MASK;
		return false;
	}
	if (READ_ONCE(v->arch.upcall_pending_legacy)) {
		/* What is raised after the guest took this is the next; it sees all that was raised before. */
		__atomic_store_n(&v->arch.upcall_pending_legacy, false, __ATOMIC_SEQ_CST);
		offer(s, (uint8_t)v->domain->arch.callback_via, true);
		return false;
	}
	vector = vlapic_deliverable(v);
	if (vector >= 0) {
		vlapic_offer(v, (uint8_t)vector);
		offer(s, (uint8_t)vector, false);
		/* The manual compares priority > TPR, some implementations >=: watch changes of the TPR while offering. */
		return true;
	}
	s->vmcb->vintr &= ~VINTR_EVENT_MASK;
	s->event_offered = false;
	/* Something waits below the priority: a lower TPR lets it in, so that is to be seen. */
	return vlapic_highest_irr(v) >= 0;
}

void svm_inject_prepare(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;
	struct vmcb *b = s->vmcb;
	bool window = prepare_event(v);

	/* CR8 as the guest sees it. */
	b->vintr = (b->vintr & ~VINTR_TPR_MASK) | (vlapic_get_tpr(v) >> 4);
	if (prepare_interrupt(v))
		b->cr_write |= INTERCEPT_WRITE_CR8;
	else
		b->cr_write &= (uint16_t)~INTERCEPT_WRITE_CR8;
	b->intercept3 &= ~INTERCEPT_VINTR;
	if (unlikely(window))
		open_window(s);
}

/* An event whose delivery was cut short by the exit (EXITINTINFO). True if it was an external interrupt. */
static bool requeue(struct vcpu *v, uint64_t info)
{
	unsigned type = (unsigned)(info >> EVENT_TYPE_SHIFT & 7);
	struct svm_vcpu *s = v->arch.svm;
	uint8_t vector = (uint8_t)info;

	if (!(info & EVENT_VALID))
		return false;
	switch (type) {
	case EVENT_INTR:
		return true;
	case EVENT_NMI:
		v->arch.nmi_pending = true;
		v->arch.nmi_blocked = s->nmi_iret = false;
		s->vmcb->intercept3 &= ~INTERCEPT_IRET;
		return false;
	case EVENT_SOFT:
		return false; /* RIP is at the INT instruction: it is executed again */
	default:
		/* Exceptions end at 31; QEMU up to 7.2 reports an interrupt as one. */
		if (vector >= NR_EXCEPTIONS)
			return true;
		/* INT3 and INTO are like INT, though of this type: nothing else raises these. */
		if (vector == TRAP_BP || vector == TRAP_OF)
			return false;
		v->arch.inject = (struct pending_event){
			.valid = true,
			.vector = vector,
			.type = (uint8_t)type,
			.has_error = (info & EVENT_ERROR_VALID) != 0,
			.error = (uint32_t)(info >> 32),
		};
		return false;
	}
}

/* The exit behind an IRET that was to be stepped over, or before it. */
static void step_exited(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;

	s->stepping = false;
	s->vmcb->exceptions &= ~STEP_EXCEPTIONS;
	if (s->step_guest_tf)
		return;
	if (v->arch.rip == s->nmi_iret_rip)
		v->arch.rflags &= ~X86_EFLAGS_TF; /* not executed: this TF is ours */
	else
		s->stepped = s->vmcb->exit_code == EXIT_EXCEPTION + TRAP_DB;
}

static void offer_ended(struct vcpu *v, bool taken)
{
	struct svm_vcpu *s = v->arch.svm;

	s->event_offered = false;
	if (!s->event_legacy) {
		if (taken)
			vlapic_accept(v, s->event_vector);
		else
			vlapic_withdraw(v);
	} else if (!taken) {
		WRITE_ONCE(v->arch.upcall_pending_legacy, true);
	}
}

void svm_inject_exited(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;
	struct vmcb *b = s->vmcb;
	bool interrupted_delivery = requeue(v, b->exit_int_info);

	if (s->event_offered)
		offer_ended(v, !(b->vintr & VINTR_IRQ) && !interrupted_delivery);
	/* CR8 was the guest's while it ran, unless writes were intercepted. */
	if ((b->vintr & VINTR_TPR_MASK & 0xf) != (vlapic_get_tpr(v) >> 4U))
		vlapic_set_tpr(v, (uint8_t)((b->vintr & 0xf) << 4));
	s->stepped = false;
	if (unlikely(s->stepping))
		step_exited(v);
	if (unlikely(s->nmi_iret) && v->arch.rip != s->nmi_iret_rip)
		s->nmi_iret = v->arch.nmi_blocked = false;
}

void svm_nmi_iret(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;

	s->vmcb->intercept3 &= ~INTERCEPT_IRET;
	s->nmi_iret = true;
	s->nmi_iret_rip = v->arch.rip;
}

bool svm_nmi_step_done(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;
	struct vmcb *b = s->vmcb;
	uint64_t hits;

	if (!s->stepped)
		return false;
	/* The single step is not the guest's event; breakpoints that it met at the same time are. */
	hits = b->dr6 & ~s->step_dr6 & DR6_TRAPS;
	for (unsigned i = 0; i < 4; i++) {
		if (!(b->dr7 >> 2 * i & 3))
			hits &= ~BIT(i);
	}
	if (!hits)
		b->dr6 = s->step_dr6;
	else
		b->dr6 = (b->dr6 & ~DR6_BS) | (s->step_dr6 & DR6_BS);
	return !hits;
}

void svm_nmi_reset(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;

	s->stepping = s->stepped = s->nmi_iret = s->event_offered = false;
	s->vmcb->exceptions &= ~STEP_EXCEPTIONS;
	s->vmcb->intercept3 &= ~INTERCEPT_IRET;
}
