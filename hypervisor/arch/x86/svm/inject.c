/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event injection. External interrupts are offered as virtual interrupts (V_IRQ, APM vol. 2 15.21.4), so that the CPU delivers
 * them when the guest can take them, and no interrupt window is needed. EVENTINJ is for exceptions and NMIs only.
 */
#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/event.h>

#include "svm.h"

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

static void prepare_event(struct vcpu *v)
{
	struct pending_event *p = &v->arch.inject;
	struct vmcb *b = v->arch.svm->vmcb;

	b->event_inject = 0;
	if (p->valid) {
		b->event_inject = EVENT_VALID | (uint64_t)p->type << EVENT_TYPE_SHIFT | p->vector;
		if (p->has_error)
			b->event_inject |= EVENT_ERROR_VALID | (uint64_t)p->error << 32;
		p->valid = false;
		return;
	}
	if (v->arch.nmi_pending && !v->arch.nmi_blocked && !b->interrupt_shadow) {
		v->arch.nmi_pending = false;
		v->arch.nmi_blocked = true;
		b->intercept3 |= INTERCEPT_IRET;
		b->event_inject = EVENT_VALID | EVENT_NMI << EVENT_TYPE_SHIFT | 2;
	}
}

void svm_inject_prepare(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;
	struct vmcb *b = s->vmcb;
	int vector;

	prepare_event(v);
	/* CR8 as the guest sees it. */
	b->vintr = (b->vintr & ~VINTR_TPR_MASK) | (vlapic_get_tpr(v) >> 4);
	if (v->arch.upcall_pending_legacy) {
		offer(s, (uint8_t)v->domain->arch.callback_via, true);
		b->cr_write &= (uint16_t)~INTERCEPT_WRITE_CR8;
		return;
	}
	vector = vlapic_deliverable(v);
	if (vector >= 0) {
		offer(s, (uint8_t)vector, false);
		/* The manual compares priority > TPR, some implementations >=: watch changes of the TPR while offering. */
		b->cr_write |= INTERCEPT_WRITE_CR8;
		return;
	}
	b->vintr &= ~VINTR_EVENT_MASK;
	s->event_offered = false;
	/* Something waits below the priority: a lower TPR lets it in, so that is to be seen. */
	if (vlapic_highest_irr(v) >= 0)
		b->cr_write |= INTERCEPT_WRITE_CR8;
	else
		b->cr_write &= (uint16_t)~INTERCEPT_WRITE_CR8;
}

/* An event whose delivery was cut short by the exit (EXITINTINFO). True if it was an external interrupt. */
static bool requeue(struct vcpu *v, uint64_t info)
{
	unsigned type = (unsigned)(info >> EVENT_TYPE_SHIFT & 7);

	if (!(info & EVENT_VALID))
		return false;
	switch (type) {
	case EVENT_INTR:
		return true;
	case EVENT_NMI:
		v->arch.nmi_pending = true;
		v->arch.nmi_blocked = false;
		v->arch.svm->vmcb->intercept3 &= ~INTERCEPT_IRET;
		return false;
	case EVENT_SOFT:
		return false; /* RIP is at the INT instruction: it is executed again */
	default:
		v->arch.inject = (struct pending_event){
			.valid = true,
			.vector = (uint8_t)info,
			.type = (uint8_t)type,
			.has_error = (info & EVENT_ERROR_VALID) != 0,
			.error = (uint32_t)(info >> 32),
		};
		return false;
	}
}

void svm_inject_exited(struct vcpu *v)
{
	struct svm_vcpu *s = v->arch.svm;
	struct vmcb *b = s->vmcb;
	bool interrupted_delivery = requeue(v, b->exit_int_info);

	if (s->event_offered && !(b->vintr & VINTR_IRQ) && !interrupted_delivery) {
		s->event_offered = false;
		if (s->event_legacy)
			v->arch.upcall_pending_legacy = false;
		else
			vlapic_accept(v, s->event_vector);
	}
	/* CR8 was the guest's while it ran, unless writes were intercepted. */
	if ((b->vintr & VINTR_TPR_MASK & 0xf) != (vlapic_get_tpr(v) >> 4U))
		vlapic_set_tpr(v, (uint8_t)((b->vintr & 0xf) << 4));
}

void svm_nmi_iret(struct vcpu *v)
{
	struct vmcb *b = v->arch.svm->vmcb;

	b->intercept3 &= ~INTERCEPT_IRET;
	if (v->arch.nmi_pending && !(b->rflags & (1UL << 8))) {
		/* The next NMI has to wait until this IRET is through: trap right behind it. */
		v->arch.svm->stepping = true;
		b->rflags |= 1UL << 8;
		return;
	}
	v->arch.nmi_blocked = false;
}

bool svm_nmi_step_done(struct vcpu *v)
{
	if (!v->arch.svm->stepping)
		return false;
	v->arch.svm->stepping = false;
	v->arch.nmi_blocked = false;
	/* The IRET has loaded the guest's own flags; DR6.BS is not the guest's event unless it steps itself. */
	if (v->arch.svm->vmcb->rflags & (1UL << 8))
		return false;
	v->arch.svm->vmcb->dr6 &= ~(1UL << 14);
	return true;
}
