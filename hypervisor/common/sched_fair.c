/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fair scheduling by weight, with caps: the policy that speaks credit2's control interface. */
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/string.h>

#include <xen/domctl.h>
#include <xen/sysctl.h>

#include "sched_fair.h"

/*
 * Each vCPU has a virtual time: what it has run, in ns, times FAIR_WEIGHT_DEFAULT / weight. Of the vCPUs that wait for a
 * CPU the one with the least virtual time gets it.
 *
 * CPUs come in groups of up to FAIR_GROUP_CPUS with one lock. What waits in a group waits in one heap for each
 * combination of hard and soft affinity in use (a class). A CPU finds its best candidate among the heads of a few
 * heaps, and nobody who waits is passed over for being on the queue of another CPU.
 *
 * Virtual times of vCPUs that compete stay close together, those of others drift apart. So each CPU has a clock: the
 * virtual time that its competitors have reached. Who comes from a place where time went slower, or has slept, is
 * brought up to the clock less FAIR_LAG: sleeping saves up no more than that. A CPU that was idle owes nobody anything,
 * and takes over the most advanced clock of its group.
 */

struct fair_group *fair_groups[FAIR_GROUPS];
uint64_t fair_ratelimit = USEC(FAIR_RATELIMIT_DEFAULT_US);

static struct sched_vcpu *vcpu_of(struct prioq_node *n)
{
	return CONTAINER_OF(n, struct sched_vcpu, node);
}

static bool fair_before(const struct prioq_node *a, const struct prioq_node *b)
{
	return CONTAINER_OF(a, const struct sched_vcpu, node)->vtime <
	       CONTAINER_OF(b, const struct sched_vcpu, node)->vtime;
}

static uint64_t to_vtime(const struct sched_vcpu *s, uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * s->inverse >> FAIR_INVERSE_SHIFT);
}

/* How long s runs until it has gained that much virtual time; no more than a slice. */
static uint64_t from_vtime(const struct sched_vcpu *s, uint64_t vtime)
{
	/* Below this bound the product fits. */
	if (vtime >= FAIR_SLICE_MAX * FAIR_WEIGHT_DEFAULT)
		vtime = FAIR_SLICE_MAX * FAIR_WEIGHT_DEFAULT;
	return MIN(vtime * s->weight / FAIR_WEIGHT_DEFAULT, FAIR_SLICE_MAX);
}

static uint64_t sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* ---- Clocks and accounts ---- */

static void clock_advance(struct fair_group *g, struct fair_cpu *fc, uint64_t vtime)
{
	fc->clock = MAX(fc->clock, vtime);
	g->clock = MAX(g->clock, fc->clock);
}

void fair_charge(struct fair_group *g, struct fair_cpu *fc, uint64_t now)
{
	struct sched_vcpu *s = fc->curr;
	uint64_t ran = sub(now, fc->charged);

	if (!s || !ran)
		return;
	fc->charged = now;
	if (fc->waiters) {
		s->vtime += to_vtime(s, ran);
	} else {
		/* Nobody is kept waiting: a small weight needs not run up virtual time (in years it would overflow). */
		s->vtime += MIN(to_vtime(s, ran), ran);
		clock_advance(g, fc, s->vtime);
	}
	fair_cap_charge(s, ran);
}

/* Brings the clocks up to date of all CPUs that run somebody alone and had no reason to look at the time. */
static void clocks_sync(struct fair_group *g, uint64_t now)
{
	for (unsigned i = 0; i < FAIR_GROUP_CPUS; i++)
		if (g->cpus[i].curr && !g->cpus[i].waiters)
			fair_charge(g, &g->cpus[i], now);
}

/* ---- Groups and classes ---- */

static struct fair_group *group_of_cpu(unsigned cpu)
{
	return fair_groups[cpu / FAIR_GROUP_CPUS];
}

static unsigned cpu_of(const struct fair_group *g, unsigned i)
{
	return g->index * FAIR_GROUP_CPUS + i;
}

static uint16_t mask_here(const struct fair_group *g, const cpumask_t *m)
{
	unsigned first = g->index * FAIR_GROUP_CPUS;

	return (uint16_t)(READ_ONCE(m->bits[first / BITS_PER_LONG]) >> (first % BITS_PER_LONG) &
			  (BIT32(FAIR_GROUP_CPUS) - 1));
}

struct fair_group *fair_lock_of(struct sched_vcpu *s)
{
	for (;;) {
		struct fair_group *g = __atomic_load_n(&s->group, __ATOMIC_ACQUIRE);

		spin_lock(&g->lock);
		if (s->group == g)
			return g;
		spin_unlock(&g->lock);
	}
}

/*
 * Every vCPU brings the storage for one class along when it is queued, and takes one away when it leaves, not
 * necessarily its own. As no class is empty, there are always enough.
 */
static struct fair_class *class_enter(struct fair_group *g, struct sched_vcpu *s)
{
	const struct vcpu *v = s->vcpu;
	struct fair_class *c;

	LIST_FOR_EACH (c, &g->classes, struct fair_class, link) {
		if (!memcmp(&c->hard, &v->hard_affinity, sizeof(c->hard)) &&
		    !memcmp(&c->soft, &v->soft_affinity, sizeof(c->soft))) {
			list_insert_before(&g->spare, &s->spare->link);
			s->spare = NULL;
			return c;
		}
	}
	c = s->spare;
	s->spare = NULL;
	c->hard = v->hard_affinity;
	c->soft = v->soft_affinity;
	c->hard_here = mask_here(g, &c->hard);
	c->soft_here = mask_here(g, &c->soft) & c->hard_here;
	if (!c->soft_here)
		c->soft_here = c->hard_here;
	prioq_init(&c->queue, fair_before);
	list_insert_before(&g->classes, &c->link);
	return c;
}

static void class_leave(struct fair_group *g, struct sched_vcpu *s)
{
	struct fair_class *c = s->class;

	s->class = NULL;
	if (c->queue.count)
		c = LIST_FIRST(&g->spare, struct fair_class, link);
	list_remove(&c->link);
	s->spare = c;
}

/* Counts who waits for each CPU of the class. What runs alone is charged differently: up to now. */
static void waiters_add(struct fair_group *g, const struct fair_class *c, int delta, uint64_t now)
{
	for (unsigned mask = c->hard_here; mask; mask &= mask - 1) {
		struct fair_cpu *fc = &g->cpus[__builtin_ctz(mask)];

		if (!fc->waiters || !(fc->waiters + (unsigned)delta))
			fair_charge(g, fc, now);
		fc->waiters += (unsigned)delta;
	}
}

static void enqueue(struct fair_group *g, struct sched_vcpu *s, uint64_t now)
{
	s->state = FAIR_QUEUED;
	s->class = class_enter(g, s);
	waiters_add(g, s->class, 1, now);
	prioq_insert(&s->class->queue, &s->node);
	g->queued++;
	g->load += s->weight;
}

static void dequeue(struct fair_group *g, struct sched_vcpu *s, uint64_t now)
{
	prioq_remove(&s->class->queue, &s->node);
	waiters_add(g, s->class, -1, now);
	class_leave(g, s);
	g->queued--;
	g->load -= s->weight;
	s->state = FAIR_OUT;
}

/* ---- Comparing ---- */

/* What is compared on one CPU. */
static uint64_t rank(uint64_t vtime, uint16_t soft, unsigned i)
{
	return vtime + (soft & BIT32(i) ? 0 : FAIR_SOFT_PENALTY);
}

static uint64_t rank_of_curr(const struct fair_group *g, unsigned i, uint64_t now)
{
	const struct fair_cpu *fc = &g->cpus[i];
	const struct sched_vcpu *s = fc->curr;
	uint16_t soft = mask_here(g, &s->vcpu->soft_affinity) &
			mask_here(g, &s->vcpu->hard_affinity);

	return rank(s->vtime + to_vtime(s, sub(now, fc->charged)), soft ? soft : 0xffff, i);
}

/* The head of the queues that is best for a CPU. NULL if there is none. */
static struct sched_vcpu *best_queued(struct fair_group *g, unsigned i, uint64_t *ret_rank)
{
	struct sched_vcpu *best = NULL, *s;
	struct fair_class *c;

	if (!g->cpus[i].waiters)
		return NULL;
	LIST_FOR_EACH (c, &g->classes, struct fair_class, link) {
		if (!(c->hard_here & BIT32(i)))
			continue;
		/* A CPU that they prefer is free: it was told so, or is now. */
		if (!(c->soft_here & BIT32(i)) && (c->soft_here & (g->idle | g->tickled)))
			continue;
		s = vcpu_of(prioq_first(&c->queue));
		if (!best || rank(s->vtime, c->soft_here, i) < *ret_rank) {
			best = s;
			*ret_rank = rank(s->vtime, c->soft_here, i);
		}
	}
	return best;
}

/* ---- Telling CPUs ---- */

/* Wakes a sleeping CPU of the mask for somebody; the one where he ran last if possible. */
static bool tickle(struct fair_group *g, uint16_t mask, uint16_t soft, unsigned last)
{
	uint16_t idle = g->idle & mask;
	unsigned i;

	if (!idle)
		return false;
	if (idle & soft)
		idle &= soft;
	i = last % FAIR_GROUP_CPUS;
	if (last / FAIR_GROUP_CPUS != g->index || !(idle & BIT32(i)))
		i = (unsigned)__builtin_ctz(idle);
	g->idle &= (uint16_t)~BIT32(i);
	g->tickled |= (uint16_t)BIT32(i);
	softirq_raise_on(cpu_of(g, i), SOFTIRQ_SCHED);
	return true;
}

static void slice_set(struct fair_group *g, unsigned i, uint64_t deadline)
{
	if (g->cpus[i].slice == deadline)
		return;
	g->cpus[i].slice = deadline;
	sched_slice_set(cpu_of(g, i), deadline);
}

/* Until then what runs on a CPU is not interrupted for another one. */
static uint64_t protected_until(const struct fair_cpu *fc)
{
	return fc->started + MAX(READ_ONCE(fair_ratelimit), FAIR_RUN_MIN);
}

/* When s, which waits, may take the place of what runs on a CPU. */
static uint64_t due(const struct fair_group *g, unsigned i, uint64_t s_rank, uint64_t now)
{
	const struct fair_cpu *fc = &g->cpus[i];
	uint64_t ahead = sub(s_rank + FAIR_GRANULE, rank_of_curr(g, i, now));
	uint64_t t = now + from_vtime(fc->curr, ahead);

	return MAX(t, protected_until(fc));
}

/* Somebody was queued: finds the CPU that is to look at the queue, and when. */
static void notify(struct fair_group *g, struct sched_vcpu *s, uint64_t now)
{
	const struct fair_class *c = s->class;
	uint16_t mask = c->hard_here & g->online;
	uint64_t lead = 0, t;
	int worst = -1;

	if (tickle(g, mask, c->soft_here, s->vcpu->cpu))
		return;
	/* The one that is most ahead of s has to give way first. */
	for (; mask; mask &= (uint16_t)(mask - 1)) {
		unsigned i = (unsigned)__builtin_ctz(mask);
		uint64_t r;

		/* One that picks right now will see s. */
		if (!g->cpus[i].curr)
			continue;
		r = rank_of_curr(g, i, now) + FAIR_SOFT_PENALTY - rank(0, c->soft_here, i);
		if (worst < 0 || r > lead) {
			worst = (int)i;
			lead = r;
		}
	}
	if (worst < 0)
		return;
	t = MAX(s->vtime, sub(g->cpus[worst].clock, FAIR_LAG));
	t = due(g, (unsigned)worst, rank(t, c->soft_here, (unsigned)worst), now);
	if (t <= now)
		softirq_raise_on(cpu_of(g, (unsigned)worst), SOFTIRQ_SCHED);
	else if (t < g->cpus[worst].slice)
		slice_set(g, (unsigned)worst, t);
}

/* Whoever still waits although a CPU for him sleeps (he was passed over for a better one) gets that. */
static void notify_rest(struct fair_group *g)
{
	struct fair_class *c;

	if (!g->queued || !g->idle)
		return;
	LIST_FOR_EACH (c, &g->classes, struct fair_class, link)
		tickle(g, c->hard_here, c->soft_here, cpu_of(g, 0));
}

/* ---- Moving between groups ---- */

/* Takes s, which is not queued, to another group; its lock is held, and then that of the other. */
static void change_group(struct fair_group *from, struct fair_group *to, struct sched_vcpu *s)
{
	uint64_t ahead = MIN(sub(s->vtime, from->clock), FAIR_LAG);
	uint64_t behind = MIN(sub(from->clock, s->vtime), FAIR_LAG);

	__atomic_store_n(&s->group, to, __ATOMIC_RELEASE);
	spin_unlock(&from->lock);
	spin_lock(&to->lock);
	s->vtime = sub(to->clock + ahead, behind);
}

/* Weight of those who run or want to, for each CPU. Also of groups that are not locked. */
static uint64_t load_of(const struct fair_group *g)
{
	unsigned cpus = (unsigned)__builtin_popcount(READ_ONCE(g->online));

	return READ_ONCE(g->load) * FAIR_GROUP_CPUS / MAX(cpus, 1U);
}

/*
 * Where s should wait: where a CPU sleeps; else in its own group, where caches are warm, unless that has more to do than
 * another one. As also who was preempted comes by here, groups with too much work shed it soon.
 */
static struct fair_group *better_group(struct fair_group *g, const struct sched_vcpu *s)
{
	const struct vcpu *v = s->vcpu;
	uint16_t here = mask_here(g, &v->hard_affinity) & g->online;
	struct fair_group *best = NULL;

	if (here & g->idle)
		return g;
	for (unsigned i = 0; i < FAIR_GROUPS; i++) {
		struct fair_group *h = fair_groups[i];
		uint16_t mask = h ? mask_here(h, &v->hard_affinity) & READ_ONCE(h->online) : 0;

		if (!mask || h == g)
			continue;
		if (mask & READ_ONCE(h->idle))
			return h;
		if (!best || load_of(h) < load_of(best))
			best = h;
	}
	if (!best || (here && load_of(best) * 9 / 8 + s->weight >= load_of(g)))
		return g;
	return best;
}

/* Queues s, which has the lock of its group and may run, and unlocks. */
static void place(struct fair_group *g, struct sched_vcpu *s, uint64_t now)
{
	struct fair_group *to = better_group(g, s);

	if (to != g) {
		change_group(g, to, s);
		g = to;
	}
	if (!fair_cap_budget(s, now)) {
		s->state = FAIR_PARKED;
	} else {
		enqueue(g, s, now);
		notify(g, s, now);
	}
	spin_unlock(&g->lock);
}

/* Looks for somebody who waits in another group and may run on this CPU; no lock is held. He is no longer queued there. */
static struct sched_vcpu *steal(struct fair_group *g, unsigned i, uint64_t now)
{
	for (unsigned k = 1; k < FAIR_GROUPS; k++) {
		struct fair_group *h = fair_groups[(g->index + k) % FAIR_GROUPS];
		struct sched_vcpu *s = NULL;
		struct fair_class *c;

		if (!h || !READ_ONCE(h->queued))
			continue;
		spin_lock(&h->lock);
		LIST_FOR_EACH (c, &h->classes, struct fair_class, link) {
			struct sched_vcpu *head = vcpu_of(prioq_first(&c->queue));

			if (cpumask_test(&c->hard, cpu_of(g, i)) && (!s || head->vtime < s->vtime))
				s = head;
		}
		if (s) {
			dequeue(h, s, now);
			/* From now on he is running here: see struct sched_policy. His state says so when he is on the
			 * accounts of this group. */
			s->vcpu->cpu = cpu_of(g, i);
			__atomic_store_n(&s->vcpu->is_running, true, __ATOMIC_RELEASE);
			change_group(h, g, s);
			return s;
		}
		spin_unlock(&h->lock);
	}
	return NULL;
}

/* ---- The policy's operations ---- */

static void fair_wake(struct vcpu *v)
{
	struct sched_vcpu *s = v->sched;

	place(fair_lock_of(s), s, time_now());
}

void fair_unpark(struct sched_vcpu *s)
{
	struct fair_group *g = fair_lock_of(s);

	if (s->state == FAIR_PARKED)
		place(g, s, time_now());
	else
		spin_unlock(&g->lock);
}

static void fair_sleep(struct vcpu *v)
{
	struct sched_vcpu *s = v->sched;
	struct fair_group *g = fair_lock_of(s);

	if (s->state == FAIR_QUEUED)
		dequeue(g, s, time_now());
	else if (s->state == FAIR_PARKED)
		s->state = FAIR_OUT;
	spin_unlock(&g->lock);
}

static void fair_yield(struct vcpu *v)
{
	WRITE_ONCE(v->sched->yields, true);
}

static void fair_affinity_changed(struct vcpu *v)
{
	struct sched_vcpu *s = v->sched;
	struct fair_group *g = fair_lock_of(s);
	uint64_t now = time_now(), max = 0;
	unsigned mask = mask_here(g, &v->hard_affinity) & g->online;

	if (s->state == FAIR_RUNNING || s->state == FAIR_PARKED) {
		spin_unlock(&g->lock);
		return;
	}
	/* He may come from CPUs where time went faster: without this he would wait until the others are as far. */
	for (unsigned m = mask; m; m &= m - 1)
		max = MAX(max, g->cpus[__builtin_ctz(m)].clock);
	if (s->state == FAIR_OUT) {
		if (mask)
			s->vtime = MIN(s->vtime, max + FAIR_LAG);
		spin_unlock(&g->lock);
		return;
	}
	dequeue(g, s, now);
	if (mask)
		s->vtime = MIN(s->vtime, max + FAIR_LAG);
	place(g, s, now);
}

/* May what runs on this CPU go on? It is charged. */
static bool keeps_cpu(struct fair_group *g, unsigned i, const struct sched_vcpu *best,
		      uint64_t best_rank, uint64_t now)
{
	struct fair_cpu *fc = &g->cpus[i];
	struct sched_vcpu *s = fc->curr;
	uint64_t r;

	if (READ_ONCE(s->vcpu->pause_flags) ||
	    !(mask_here(g, &s->vcpu->hard_affinity) & BIT32(i)) || !fair_cap_budget(s, now))
		return false;
	if (!best)
		return true;
	if (READ_ONCE(s->yields))
		return false;
	if (now < protected_until(fc))
		return true;
	r = rank_of_curr(g, i, now);
	/* After a whole slice the one who is behind by anything at all may run. */
	return r < best_rank + (now < fc->started + FAIR_SLICE_MAX ? FAIR_GRANULE : 1);
}

/* Takes the best candidate off the queue who has budget; parks those without. */
static struct sched_vcpu *take_best(struct fair_group *g, unsigned i, uint64_t now)
{
	struct sched_vcpu *s;
	uint64_t r;

	while ((s = best_queued(g, i, &r)) != NULL) {
		dequeue(g, s, now);
		if (fair_cap_budget(s, now))
			break;
		s->state = FAIR_PARKED;
	}
	return s;
}

static void leave_cpu(struct fair_group *g, struct fair_cpu *fc)
{
	struct sched_vcpu *s = fc->curr;

	if (!s)
		return;
	fc->curr = NULL;
	s->state = FAIR_OUT;
	g->load -= s->weight;
	fair_cap_running(s, -1);
}

static void enter_cpu(struct fair_group *g, unsigned i, struct sched_vcpu *s, uint64_t now)
{
	struct fair_cpu *fc = &g->cpus[i];

	fc->curr = s;
	fc->started = fc->charged = now;
	s->state = FAIR_RUNNING;
	g->load += s->weight;
	fair_cap_running(s, 1);
	s->vtime = MAX(s->vtime, sub(fc->clock, FAIR_LAG));
	clock_advance(g, fc, s->vtime);
	/* Under this lock: who stops the vCPU now sees where it is. */
	s->vcpu->cpu = cpu_of(g, i);
	__atomic_store_n(&s->vcpu->is_running, true, __ATOMIC_RELEASE);
}

/* When the CPU has to look again: if somebody waits for it, or the budget of its vCPU ends. */
static uint64_t next_look(struct fair_group *g, unsigned i, uint64_t now)
{
	struct fair_cpu *fc = &g->cpus[i];
	uint64_t budget, r, t = TIME_NEVER;

	if (best_queued(g, i, &r)) {
		t = due(g, i, r, now);
		t = MIN(t, MAX(now + FAIR_SLICE_MAX, protected_until(fc)));
	}
	budget = fair_cap_budget(fc->curr, now);
	return budget == TIME_NEVER ? t : MIN(t, now + budget);
}

static struct vcpu *fair_pick(unsigned cpu, uint64_t now)
{
	struct fair_group *g = group_of_cpu(cpu);
	unsigned i = cpu % FAIR_GROUP_CPUS;
	struct fair_cpu *fc = &g->cpus[i];
	struct sched_vcpu *s;
	uint64_t r = 0;
	bool was_idle;

	spin_lock(&g->lock);
	was_idle = !fc->curr;
	g->online |= (uint16_t)BIT32(i);
	g->idle &= (uint16_t)~BIT32(i);
	g->tickled &= (uint16_t)~BIT32(i);
	fair_charge(g, fc, now);

	s = best_queued(g, i, &r);
	if (fc->curr && keeps_cpu(g, i, s, r, now)) {
		s = fc->curr;
	} else {
		/* A yield counts once. */
		if (fc->curr)
			fc->curr->yields = false;
		leave_cpu(g, fc);
		s = take_best(g, i, now);
		if (!s) {
			spin_unlock(&g->lock);
			s = steal(g, i, now);
			if (!s)
				spin_lock(&g->lock);
		}
		/* Somebody may have come while the lock was not held. */
		if (!s)
			s = take_best(g, i, now);
		if (s && was_idle) {
			clocks_sync(g, now);
			clock_advance(g, fc, g->clock);
		}
		if (s)
			enter_cpu(g, i, s, now);
		else
			g->idle |= (uint16_t)BIT32(i);
	}
	slice_set(g, i, s ? next_look(g, i, now) : TIME_NEVER);
	notify_rest(g);
	spin_unlock(&g->lock);
	return s ? s->vcpu : cpu_table[cpu]->idle;
}

static int fair_cpu_init(unsigned cpu)
{
	struct fair_group **slot = &fair_groups[cpu / FAIR_GROUP_CPUS], *g = *slot;

	if (!g) {
		g = heap_alloc(sizeof(*g));
		if (!g)
			return -ENOMEM;
		spin_init(&g->lock);
		g->index = cpu / FAIR_GROUP_CPUS;
		list_init(&g->classes);
		list_init(&g->spare);
		for (unsigned i = 0; i < FAIR_GROUP_CPUS; i++)
			g->cpus[i].slice = TIME_NEVER;
		__atomic_store_n(slot, g, __ATOMIC_RELEASE);
	}
	return 0;
}

const struct sched_policy sched_policy_fair = {
	/* The tools choose their control operations by this name. */
	.name = "SMP Credit Scheduler rev2",
	.option = "credit2",
	.id = XEN_SCHEDULER_CREDIT2,
	.cpu_init = fair_cpu_init,
	.domain_init = fair_domain_init,
	.domain_finish = fair_domain_finish,
	.vcpu_init = fair_vcpu_init,
	.vcpu_finish = fair_vcpu_finish,
	.wake = fair_wake,
	.sleep = fair_sleep,
	.yield = fair_yield,
	.pick = fair_pick,
	.affinity_changed = fair_affinity_changed,
	.domctl = fair_domctl,
	.sysctl = fair_sysctl,
};
