/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fair scheduling: caps, parameters, life of domains and vCPUs. */
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>

#include <xen/domctl.h>
#include <xen/sysctl.h>

#include "sched_fair.h"

/* ---- Caps ---- */

/* The domain's lock is held. */
static void refill(struct sched_domain *sd, uint64_t now)
{
	uint64_t periods = now > sd->refilled ? (now - sd->refilled) / FAIR_CAP_PERIOD : 0;

	if (!periods)
		return;
	sd->refilled += periods * FAIR_CAP_PERIOD;
	/* Beyond this many the debt is paid anyway; the product stays small. */
	if (periods > 1000)
		sd->budget = (int64_t)sd->quota;
	else
		sd->budget = MIN(sd->budget + (int64_t)(periods * sd->quota), (int64_t)sd->quota);
}

void fair_cap_charge(struct sched_vcpu *s, uint64_t ran)
{
	struct sched_domain *sd = s->domain;

	if (!READ_ONCE(sd->cap))
		return;
	spin_lock(&sd->lock);
	sd->budget -= (int64_t)ran;
	spin_unlock(&sd->lock);
}

void fair_cap_running(struct sched_vcpu *s, int delta)
{
	struct sched_domain *sd = s->domain;

	__atomic_fetch_add(&sd->running, (uint32_t)delta, __ATOMIC_RELAXED);
}

uint64_t fair_cap_budget(struct sched_vcpu *s, uint64_t now)
{
	struct sched_domain *sd = s->domain;
	uint64_t ret = 0;

	if (!READ_ONCE(sd->cap))
		return TIME_NEVER;
	spin_lock(&sd->lock);
	refill(sd, now);
	if (!sd->cap) {
		ret = TIME_NEVER;
	} else if (sd->budget > 0) {
		/* Those that run use it up side by side. */
		uint32_t running = __atomic_load_n(&sd->running, __ATOMIC_RELAXED);

		ret = MAX((uint64_t)sd->budget / MAX(running, 1U), FAIR_CAP_MIN);
	} else if (!timer_is_set(&sd->refill)) {
		/* The first of those who are parked; nobody looks at the clock while none is. */
		timer_set(&sd->refill, sd->refilled + FAIR_CAP_PERIOD);
	}
	spin_unlock(&sd->lock);
	return ret;
}

/* Lets all run again that are parked. Those who find the budget used up once more set the timer anew. */
static void unpark_all(struct sched_domain *sd)
{
	struct domain *d = sd->domain;
	unsigned first = sd->unpark_first++ % d->max_vcpus;

	/* Another one is the first each time: the budget may not last for all. */
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		struct vcpu *v = d->vcpus[(first + i) % d->max_vcpus];
		unsigned long flags = arch_irq_save();

		if (v)
			fair_unpark(v->sched);
		arch_irq_restore(flags);
	}
}

static void refill_expired(void *data)
{
	unpark_all(data);
}

/* ---- Parameters ---- */

static void weight_set(struct sched_vcpu *s, uint32_t weight)
{
	s->weight = weight;
	s->inverse = ((uint64_t)FAIR_WEIGHT_DEFAULT << FAIR_INVERSE_SHIFT) / weight;
}

/* What runs is charged by the old parameters, and looks at the new ones at once. */
static void vcpu_update(struct sched_vcpu *s, uint32_t weight)
{
	unsigned long flags = arch_irq_save();
	struct fair_group *g = fair_lock_of(s);
	unsigned cpu = s->vcpu->cpu;

	if (s->state == FAIR_RUNNING)
		fair_charge(g, &g->cpus[cpu % FAIR_GROUP_CPUS], time_now());
	if (s->state == FAIR_RUNNING || s->state == FAIR_QUEUED)
		g->load += weight - (uint64_t)s->weight;
	weight_set(s, weight);
	if (s->state == FAIR_RUNNING)
		softirq_raise_on(cpu, SOFTIRQ_SCHED);
	spin_unlock(&g->lock);
	arch_irq_restore(flags);
}

/* Time before the change is not charged to the budget. */
static void cap_set(struct sched_domain *sd, uint32_t cap)
{
	unsigned long flags = spin_lock_irqsave(&sd->lock);

	sd->quota = FAIR_CAP_PERIOD * cap / 100;
	if (!sd->cap) {
		sd->refilled = time_now();
		sd->budget = (int64_t)sd->quota;
	}
	sd->budget = MIN(sd->budget, (int64_t)sd->quota);
	WRITE_ONCE(sd->cap, cap);
	spin_unlock_irqrestore(&sd->lock, flags);
}

int fair_domctl(struct domain *d, struct xen_domctl_scheduler_op *op)
{
	struct sched_domain *sd = d->sched;
	uint32_t weight = op->u.credit2.weight, cap = op->u.credit2.cap;
	struct vcpu *v;
	unsigned i;

	if (op->cmd == XEN_DOMCTL_SCHEDOP_getinfo) {
		op->u.credit2.weight = (uint16_t)sd->weight;
		op->u.credit2.cap = (uint16_t)sd->cap;
		return 0;
	}
	/* vCPUs have no parameters of their own. */
	if (op->cmd != XEN_DOMCTL_SCHEDOP_putinfo)
		return -EINVAL;
	if (cap > 100 * READ_ONCE(sd->vcpus))
		return -EINVAL;
	if (weight)
		sd->weight = weight;
	/* Twice, as the charge before the new cap is by the old one. */
	DOMAIN_FOR_EACH_VCPU (d, v, i)
		vcpu_update(v->sched, sd->weight);
	cap_set(sd, cap);
	DOMAIN_FOR_EACH_VCPU (d, v, i)
		vcpu_update(v->sched, sd->weight);
	unpark_all(sd);
	return 0;
}

int fair_sysctl(struct xen_sysctl_scheduler_op *op)
{
	uint32_t us = op->u.sched_credit2.ratelimit_us;

	if (op->cmd == XEN_SYSCTL_SCHEDOP_putinfo) {
		if (us &&
		    (us > XEN_SYSCTL_SCHED_RATELIMIT_MAX || us < XEN_SYSCTL_SCHED_RATELIMIT_MIN))
			return -EINVAL;
		WRITE_ONCE(fair_ratelimit, USEC(us));
	}
	op->u.sched_credit2.ratelimit_us = (uint32_t)(fair_ratelimit / USEC(1));
	return 0;
}

/* ---- Life ---- */

int fair_domain_init(struct domain *d)
{
	struct sched_domain *sd = heap_alloc(sizeof(*sd));

	if (!sd)
		return -ENOMEM;
	sd->domain = d;
	sd->weight = FAIR_WEIGHT_DEFAULT;
	spin_init(&sd->lock);
	timer_init(&sd->refill, refill_expired, sd, cpu_id());
	d->sched = sd;
	return 0;
}

void fair_domain_finish(struct domain *d)
{
	timer_finish(&d->sched->refill);
	heap_free(d->sched);
	d->sched = NULL;
}

int fair_vcpu_init(struct vcpu *v)
{
	struct sched_vcpu *s = heap_alloc(sizeof(*s));
	struct fair_class *spare = heap_alloc(sizeof(*spare));

	if (!s || !spare) {
		heap_free(spare);
		heap_free(s);
		return -ENOMEM;
	}
	list_init(&spare->link);
	s->vcpu = v;
	s->spare = spare;
	s->domain = v->domain->sched;
	s->group = fair_groups[v->cpu / FAIR_GROUP_CPUS];
	s->state = FAIR_OUT;
	weight_set(s, s->domain->weight);
	__atomic_fetch_add(&s->domain->vcpus, 1, __ATOMIC_RELAXED);
	v->sched = s;
	return 0;
}

void fair_vcpu_finish(struct vcpu *v)
{
	struct sched_vcpu *s = v->sched;

	/* It goes over the vCPUs. None of a domain that is being destroyed will be parked again. */
	timer_finish(&s->domain->refill);
	__atomic_fetch_sub(&s->domain->vcpus, 1, __ATOMIC_RELAXED);
	heap_free(s->spare);
	heap_free(s);
	v->sched = NULL;
}
