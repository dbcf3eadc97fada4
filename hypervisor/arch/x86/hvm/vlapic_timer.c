// SPDX-License-Identifier: GPL-2.0-or-later
// Timer of a virtual local APIC: one-shot and periodic counts on a bus clock of 100 MHz.
#include <arch/vlapic.h>

#include "vlapic_state.h"

/*
 * The count is never stored: it follows from the time at which it began (SDM vol. 3A, 11.5.4). A timer of the
 * hypervisor is armed only while an expiry would raise an interrupt.
 */

/* Period of the clock before the divider, in ns: what guests of this ABI are used to. */
#define BUS_CYCLE_NS 10

/*
 * Two interrupts of a periodic timer are at least this far apart, and there is none while the last one is still pending: a guest
 * cannot load the machine with a timer beyond its own share. The count that it reads is exact.
 */
#define MIN_PERIOD_NS USEC(100)

static uint64_t tick_ns(const struct vlapic *vl)
{
	uint32_t tdcr = vlapic_reg(vl, LAPIC_TDCR);
	/* Bits 3, 1, 0: 000 divides by 2 … 110 by 128, 111 by 1 (figure 11-10). */
	unsigned shift = ((tdcr & 3) + ((tdcr & 8) >> 1) + 1) & 7;

	return (uint64_t)BUS_CYCLE_NS << shift;
}

static bool is_periodic(const struct vlapic *vl)
{
	return vlapic_reg(vl, LAPIC_LVT_TIMER) & LVT_TIMER_PERIODIC;
}

static bool is_masked(const struct vlapic *vl)
{
	return vlapic_reg(vl, LAPIC_LVT_TIMER) & LVT_MASKED;
}

/* Current count; with the lock. */
static uint32_t count_at(const struct vlapic *vl, uint64_t now)
{
	uint32_t initial = vlapic_reg(vl, LAPIC_TMICT);
	uint64_t elapsed;

	if (!vl->timer.running || initial == 0)
		return 0;
	elapsed = (now - vl->timer.start) / tick_ns(vl);
	if (is_periodic(vl))
		return initial - (uint32_t)(elapsed % initial);
	return elapsed < initial ? initial - (uint32_t)elapsed : 0;
}

/* Lets expiries up to now happen; false if the interrupt was still pending from the last one. With the lock. */
static bool advance(struct vlapic *vl, uint64_t now)
{
	uint64_t period = vlapic_reg(vl, LAPIC_TMICT) * tick_ns(vl);

	if (!vl->timer.running || period == 0 || now - vl->timer.start < period)
		return true;
	if (is_periodic(vl))
		vl->timer.start += (now - vl->timer.start) / period * period;
	else
		vl->timer.running = false;
	return vlapic_raise_lvt(vl, vlapic_reg(vl, LAPIC_LVT_TIMER));
}

/* Sets the hypervisor's timer to the next expiry that matters. With the lock, after advance(). */
static void arm(struct vlapic *vl, uint64_t now)
{
	struct vlapic_timer *t = &vl->timer;
	uint64_t period = vlapic_reg(vl, LAPIC_TMICT) * tick_ns(vl);
	uint64_t deadline = t->start + period;

	t->stalled = false;
	if (!t->running || period == 0 || is_masked(vl)) {
		timer_stop(&t->timer);
		return;
	}
	if (is_periodic(vl) && deadline - now < MIN_PERIOD_NS && period < MIN_PERIOD_NS)
		deadline = t->start + DIV_ROUND_UP(now + MIN_PERIOD_NS - t->start, period) * period;
	/* The vCPU may have moved to another CPU since: a timer there needs no interrupt to wake it. */
	timer_migrate(&t->timer, vl->vcpu->cpu);
	timer_set(&t->timer, deadline);
}

static bool is_pending(const struct vlapic *vl, uint8_t vector)
{
	return vlapic_reg(vl, vlapic_vector_word(LAPIC_IRR, vector)) & BIT32(vector % 32);
}

static void expired(void *data)
{
	struct vlapic *vl = data;
	uint64_t now = time_now();
	bool delivered;

	spin_lock(&vl->timer.lock);
	delivered = advance(vl, now);
	if (delivered || !vl->timer.running) {
		arm(vl, now);
	} else {
		/* vlapic_accept() clears IRR, then looks for `stalled`; here it is the other way round. */
		__atomic_store_n(&vl->timer.stalled, true, __ATOMIC_SEQ_CST);
		arch_mb();
		if (!is_pending(vl, (uint8_t)vlapic_reg(vl, LAPIC_LVT_TIMER)))
			arm(vl, now);
	}
	spin_unlock(&vl->timer.lock);
}

uint32_t vlapic_timer_count(struct vlapic *vl)
{
	uint32_t count;

	spin_lock(&vl->timer.lock);
	count = count_at(vl, time_now());
	spin_unlock(&vl->timer.lock);
	return count;
}

void vlapic_timer_write(struct vlapic *vl, unsigned offset, uint32_t value)
{
	struct vlapic_timer *t = &vl->timer;
	uint64_t now;
	uint32_t count;

	spin_lock(&t->lock);
	now = time_now();
	/* What has expired by now does so with the old settings. */
	advance(vl, now);
	count = count_at(vl, now);
	vlapic_put(vl, offset, value);
	if (offset == LAPIC_TMICT) {
		t->start = now;
		t->running = value != 0;
	} else if (offset == LAPIC_TDCR && t->running) {
		/* The count goes on from where it is, at the new speed. */
		t->start = now - (vlapic_reg(vl, LAPIC_TMICT) - count) * tick_ns(vl);
	}
	arm(vl, now);
	spin_unlock(&t->lock);
}

void vlapic_timer_resume(struct vlapic *vl)
{
	uint64_t now = time_now();

	spin_lock(&vl->timer.lock);
	if (vl->timer.stalled) {
		advance(vl, now);
		arm(vl, now);
	}
	spin_unlock(&vl->timer.lock);
}

void vlapic_timer_reset(struct vlapic *vl)
{
	spin_lock(&vl->timer.lock);
	vl->timer.running = false;
	vl->timer.stalled = false;
	timer_stop(&vl->timer.timer);
	vlapic_put(vl, LAPIC_LVT_TIMER, LVT_MASKED);
	spin_unlock(&vl->timer.lock);
}

int vlapic_timer_init(struct vlapic *vl)
{
	spin_init(&vl->timer.lock);
	return timer_init(&vl->timer.timer, expired, vl, vl->vcpu->cpu);
}

void vlapic_timer_finish(struct vlapic *vl)
{
	timer_finish(&vl->timer.timer);
}
