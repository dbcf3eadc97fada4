// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupt messages between APICs: destinations, arbitration, interprocessor interrupts.
#include <arch/vlapic.h>
#include <bulkhead/nospec.h>

#include "vlapic_state.h"

/* Numbers of sections: SDM vol. 3A, chapter 11. */

#define XAPIC_BROADCAST	 0xffU
#define X2APIC_BROADCAST 0xffffffffU

#define ICR_MODE(icr)	   ((icr) >> 8 & 7)
#define ICR_LOGICAL	   BIT32(11)
#define ICR_ASSERT	   BIT32(14)
#define ICR_LEVEL	   BIT32(15)
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3)

#define DFR_FLAT 0xf

enum shorthand {
	TO_DESTINATION,
	TO_SELF,
	TO_ALL,
	TO_OTHERS,
};

struct message {
	enum shorthand to;
	uint32_t dest;
	bool logical;
	unsigned mode;
	uint8_t vector;
	bool level;
	struct vlapic *from; /* NULL: a device */
};

static bool match_logical_xapic(const struct vlapic *vl, uint32_t dest)
{
	uint32_t ldr = vlapic_reg(vl, LAPIC_LDR) >> 24;

	if (dest > XAPIC_BROADCAST)
		return false;
	if (vlapic_reg(vl, LAPIC_DFR) >> 28 == DFR_FLAT)
		return (dest & ldr) != 0;
	/* Cluster model: a cluster and a set of its members; cluster 15 is all of them (11.6.2.2). */
	return (dest >> 4 == ldr >> 4 || dest >> 4 == 0xf) && (dest & ldr & 0xf) != 0;
}

static bool match(const struct vlapic *vl, uint32_t dest, bool logical)
{
	bool x2apic = READ_ONCE(vl->x2apic);
	uint32_t ldr;

	if (dest == X2APIC_BROADCAST || (!x2apic && dest == XAPIC_BROADCAST))
		return true;
	if (!logical)
		return dest == vl->id;
	if (!x2apic)
		return match_logical_xapic(vl, dest);
	ldr = vlapic_reg(vl, LAPIC_LDR);
	return dest >> 16 == ldr >> 16 && (dest & ldr & 0xffff) != 0;
}

bool vlapic_match(struct vcpu *v, uint32_t dest, bool logical)
{
	const struct vlapic *vl = vcpu_vlapic(v);

	return vl && match(vl, dest, logical);
}

/* One vCPU gets the message; false if its APIC does not take it. */
static bool accept(struct vlapic *vl, const struct message *m)
{
	if (!READ_ONCE(vl->hw_enabled))
		return false;
	switch (m->mode) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		/* Software-disabled: only the modes below are responded to (11.4.7.2). */
		if (!READ_ONCE(vl->sw_enabled))
			return false;
		if (m->vector < LAPIC_FIRST_VECTOR) {
			vlapic_error(vl, ESR_RECEIVED_VECTOR);
			return false;
		}
		vlapic_raise(vl, m->vector, m->level);
		return true;
	case LAPIC_NMI:
		vcpu_nmi(vl->vcpu);
		return true;
	case LAPIC_INIT:
		vcpu_init_ipi(vl->vcpu);
		return true;
	case LAPIC_STARTUP:
		vcpu_startup_ipi(vl->vcpu, m->vector);
		return true;
	default:
		/* SMI: there is no system management mode. ExtINT: no 8259. 3: reserved. */
		return false;
	}
}

static bool is_target(const struct vlapic *vl, const struct message *m)
{
	switch (m->to) {
	case TO_DESTINATION:
		return match(vl, m->dest, m->logical);
	case TO_SELF:
		return vl == m->from;
	case TO_ALL:
		return true;
	default:
		return vl != m->from;
	}
}

static struct vlapic *vlapic_of(const struct domain *d, unsigned id)
{
	struct vcpu *v = READ_ONCE(d->vcpus[id]);

	return v ? vcpu_vlapic(v) : NULL;
}

/*
 * Among those addressed the one with the lowest processor priority; equals take turns (11.6.2.4). An APIC that would not
 * accept takes no part.
 */
static unsigned deliver_lowest(struct domain *d, const struct message *m)
{
	unsigned first = READ_ONCE(d->arch.apic_turn), i;
	struct vlapic *best = NULL;
	unsigned best_priority = 0x100;

	for (i = 0; i < d->max_vcpus; i++) {
		struct vlapic *vl = vlapic_of(d, (first + i) % d->max_vcpus);

		if (!vl || !READ_ONCE(vl->hw_enabled) || !READ_ONCE(vl->sw_enabled) ||
		    !is_target(vl, m) || vlapic_ppr(vl) >= best_priority)
			continue;
		best = vl;
		best_priority = vlapic_ppr(vl);
	}
	if (!best)
		return 0;
	WRITE_ONCE(d->arch.apic_turn, best->vcpu->id + 1);
	return accept(best, m);
}

static unsigned deliver(struct domain *d, const struct message *m)
{
	unsigned accepted = 0, i;
	struct vlapic *vl;

	if (!d->vcpus)
		return 0;
	if (m->mode == LAPIC_LOWEST)
		return deliver_lowest(d, m);
	/* Ids are twice the vCPU's number, so that the usual case needs no search. */
	if (m->to == TO_DESTINATION && !m->logical && m->dest != X2APIC_BROADCAST &&
	    m->dest != XAPIC_BROADCAST) {
		if (m->dest % 2 != 0 || m->dest / 2 >= d->max_vcpus)
			return 0;
		vl = vlapic_of(d, (unsigned)index_nospec(m->dest / 2, d->max_vcpus));
		return vl && accept(vl, m);
	}
	for (i = 0; i < d->max_vcpus; i++) {
		vl = vlapic_of(d, i);
		if (vl && is_target(vl, m))
			accepted += accept(vl, m);
	}
	return accepted;
}

unsigned vapic_deliver(struct domain *d, const struct vapic_message *m)
{
	struct message msg = {
		.to = TO_DESTINATION,
		.dest = m->dest,
		.logical = m->logical,
		.mode = m->mode,
		.vector = m->vector,
		.level = m->level,
	};

	/* Devices do not start CPUs up: reserved in messages (11.11.2). */
	if (m->mode > LAPIC_EXTINT || m->mode == LAPIC_STARTUP)
		return 0;
	/* Their destination has eight bits, all ones reach everybody, whatever mode the APICs are in. */
	if (m->dest == XAPIC_BROADCAST && !m->logical)
		msg.dest = X2APIC_BROADCAST;
	return deliver(d, &msg);
}

void vlapic_send_ipi(struct vlapic *vl, uint32_t icr, uint32_t dest)
{
	struct message m = {
		.to = (enum shorthand)ICR_SHORTHAND(icr),
		.dest = dest,
		.logical = icr & ICR_LOGICAL,
		.mode = ICR_MODE(icr),
		.vector = (uint8_t)icr,
		.level = false, /* the trigger mode counts for INIT only (11.6.1) */
		.from = vl,
	};

	switch (m.mode) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		if (m.vector < LAPIC_FIRST_VECTOR) {
			vlapic_error(vl, ESR_SEND_VECTOR);
			return;
		}
		break;
	case LAPIC_INIT:
	case LAPIC_STARTUP:
		/* Not with shorthands that include the sender (table 11-3). */
		if (m.to == TO_SELF || m.to == TO_ALL)
			return;
		/* "INIT level de-assert" was for arbitration ids, which current CPUs do not have. */
		if (m.mode == LAPIC_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
			return;
		break;
	case LAPIC_NMI:
		break;
	default:
		return;
	}
	deliver(vl->vcpu->domain, &m);
}
