// SPDX-License-Identifier: GPL-2.0-or-later
// The simulated machine of test_sched.c.
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bulkhead/event.h>
#include <bulkhead/mm.h>
#include <bulkhead/work.h>

#include <xen/domctl.h>

#include "../../hypervisor/common/sched_fair.h"
#include "sched_sim.h"

struct sim_vcpu sim[SIM_VCPUS];
unsigned sim_count, sim_violations, sim_passes;
bool sim_check_work = true;

static struct domain *domains[SIM_VCPUS];
static unsigned domain_count;

/* The main loop's part of loop.c, once. */
static void pass(unsigned cpu)
{
	struct vcpu *prev, *next;

	sim_passes++;
	fake_cpu_enter(cpu);
	softirq_process();
	if (!sched_switch_wanted())
		return;
	prev = this_cpu()->current;
	next = sched_switch();
	if (next == prev)
		return;
	assert(this_cpu()->current == next);
	sched_switched(prev);
	if (!next->is_idle) {
		struct sim_vcpu *s = next->arch.test;

		s->switches++;
		/* It may have been woken before its time. */
		s->wake_at = TIME_NEVER;
		if (s->woken) {
			uint64_t late = fake_now - s->woken;

			s->max_latency = MAX(s->max_latency, late);
			s->woken = 0;
		}
	}
}

void sim_settle(void)
{
	bool again;

	do {
		again = false;
		for (unsigned i = 0; i < cpu_count; i++) {
			if (cpu_table[i]->softirqs) {
				pass(i);
				again = true;
			}
		}
	} while (again);
	fake_cpu_enter(0);
}

static void violation(const char *what, const struct vcpu *v)
{
	if (!sim_violations++)
		fprintf(stderr, "at %lu ns: d%uv%u %s\n", fake_now, v->domain->id, v->id, what);
}

/* What must hold whenever no CPU has anything pending. */
static void sim_check(void)
{
	cpumask_t idle = {{0}};
	bool any = false;

	for (unsigned i = 0; i < cpu_count; i++) {
		struct vcpu *v = cpu_table[i]->current;

		if (v->is_idle) {
			bitmap_set(idle.bits, i);
			any = true;
			continue;
		}
		if (!v->is_running || v->cpu != i)
			violation("is current somewhere, but does not know", v);
		if (v->pause_flags)
			violation("runs though it may not", v);
		if (!bitmap_test(v->hard_affinity.bits, i))
			violation("runs where it may not", v);
	}
	if (!any || !sim_check_work)
		return;
	for (unsigned k = 0; k < sim_count; k++) {
		struct vcpu *v = sim[k].v;

		if (v->is_running || v->pause_flags)
			continue;
		for (unsigned i = 0; i < ARRAY_SIZE(idle.bits); i++)
			if (v->hard_affinity.bits[i] & idle.bits[i])
				violation("waits while a CPU for it sleeps", v);
	}
}

static uint64_t next_event(uint64_t end)
{
	uint64_t t = end;

	for (unsigned i = 0; i < cpu_count; i++) {
		struct vcpu *v = cpu_table[i]->current;

		t = MIN(t, fake_programmed[i]);
		if (!v->is_idle) {
			struct sim_vcpu *s = v->arch.test;

			if (s->run)
				t = MIN(t, fake_now + s->left);
		}
	}
	for (unsigned k = 0; k < sim_count; k++)
		t = MIN(t, sim[k].wake_at);
	return MAX(t, fake_now);
}

static void advance(uint64_t t)
{
	uint64_t dt = t - fake_now;

	fake_now = t;
	for (unsigned i = 0; i < cpu_count; i++) {
		struct vcpu *v = cpu_table[i]->current;
		struct sim_vcpu *s;

		if (v->is_idle)
			continue;
		s = v->arch.test;
		s->ran += dt;
		s->ran_on[i] += dt;
		if (s->run)
			s->left -= MIN(s->left, dt);
	}
}

static void act(void)
{
	for (unsigned i = 0; i < cpu_count; i++) {
		struct vcpu *v = cpu_table[i]->current;
		struct sim_vcpu *s;

		fake_cpu_enter(i);
		if (fake_programmed[i] <= fake_now) {
			fake_programmed[i] = TIME_NEVER;
			timer_interrupt();
		}
		if (v->is_idle)
			continue;
		s = v->arch.test;
		if (s->run && !s->left) {
			s->left = s->run;
			s->wake_at = fake_now + s->sleep;
			sched_block();
		}
	}
	for (unsigned k = 0; k < sim_count; k++) {
		struct sim_vcpu *s = &sim[k];

		if (s->wake_at > fake_now)
			continue;
		s->wake_at = TIME_NEVER;
		s->woken = fake_now;
		/* From anywhere. */
		fake_cpu_enter((unsigned)rand() % cpu_count);
		vcpu_kick(s->v);
	}
}

void sim_run(uint64_t ns)
{
	uint64_t end = fake_now + ns;

	sim_settle();
	sim_check();
	while (fake_now < end) {
		advance(next_event(end));
		act();
		sim_settle();
		sim_check();
	}
}

void sim_init(unsigned cpus)
{
	fake_cpus_init(cpus);
	srand(1);
	fake_now = SIM_VCPUS;
	memset(sim, 0, sizeof(sim));
	sim_count = domain_count = sim_violations = 0;
	sim_check_work = true;
	for (unsigned i = 0; i < cpus; i++) {
		assert(!timer_cpu_init(i));
		assert(!work_cpu_init(i));
	}
	assert(!sched_init());
	for (unsigned i = 1; i < cpus; i++)
		assert(!sched_cpu_init(i));
	sim_settle();
}

struct domain *sim_domain(unsigned vcpus, uint32_t weight, uint32_t cap)
{
	struct domain *d = heap_alloc(sizeof(*d));

	domains[domain_count++] = d;
	d->id = (domid_t)domain_count;
	d->refs = 1;
	d->max_vcpus = vcpus;
	d->vcpus = heap_alloc(vcpus * sizeof(d->vcpus[0]));
	assert(!sched_domain_init(d));
	for (unsigned i = 0; i < vcpus; i++) {
		struct sim_vcpu *s = &sim[sim_count++];
		struct vcpu *v = heap_alloc(sizeof(*v));

		v->id = i;
		v->domain = d;
		v->info = &v->dummy_info;
		v->arch.test = s;
		s->v = v;
		s->wake_at = TIME_NEVER;
		assert(!sched_vcpu_init(v, i % cpu_count));
		d->vcpus[i] = v;
	}
	assert(!sim_params(d, weight, cap));
	for (unsigned i = 0; i < vcpus; i++)
		vcpu_clear_flag(d->vcpus[i], VPF_DOWN);
	return d;
}

int sim_params(struct domain *d, unsigned weight, unsigned cap)
{
	struct xen_domctl_scheduler_op op = {
		.sched_id = sched_policy_id(),
		.cmd = XEN_DOMCTL_SCHEDOP_putinfo,
		.u.credit2 = {.weight = (uint16_t)weight, .cap = (uint16_t)cap},
	};

	return sched_domctl(d, &op);
}

int cpus_1(void **state)
{
	(void)state;
	sim_init(1);
	return 0;
}

int cpus_2(void **state)
{
	(void)state;
	sim_init(2);
	return 0;
}

int cpus_4(void **state)
{
	(void)state;
	sim_init(4);
	return 0;
}

void sim_finish(void)
{
	sim_settle();
	for (unsigned k = 0; k < sim_count; k++) {
		sim[k].wake_at = TIME_NEVER;
		vcpu_set_flag(sim[k].v, VPF_DYING);
	}
	sim_settle();
	for (unsigned k = 0; k < sim_count; k++) {
		sched_vcpu_finish(sim[k].v);
		heap_free(sim[k].v);
	}
	for (unsigned i = 0; i < domain_count; i++) {
		sched_domain_finish(domains[i]);
		heap_free(domains[i]->vcpus);
		heap_free(domains[i]);
	}
	for (unsigned i = 0; i < FAIR_GROUPS; i++) {
		heap_free(fair_groups[i]);
		fair_groups[i] = NULL;
	}
	fake_cpus_finish();
}

struct sim_vcpu *sim_of(const struct domain *d, unsigned vcpu)
{
	return d->vcpus[vcpu]->arch.test;
}

void sim_bursts(struct sim_vcpu *s, uint64_t run, uint64_t sleep)
{
	s->run = s->left = run;
	s->sleep = sleep;
}

void sim_reset(void)
{
	sim_passes = 0;
	for (unsigned k = 0; k < sim_count; k++) {
		sim[k].ran = sim[k].max_latency = 0;
		sim[k].switches = 0;
		memset(sim[k].ran_on, 0, sizeof(sim[k].ran_on));
	}
}

unsigned sim_share(const struct domain *d, uint64_t ns)
{
	uint64_t ran = 0;

	for (unsigned i = 0; i < d->max_vcpus; i++)
		ran += sim_of(d, i)->ran;
	return (unsigned)(ran * 1000 / ns);
}

void sim_pin(struct sim_vcpu *s, unsigned first, unsigned last)
{
	cpumask_t m = {{0}};

	for (unsigned i = first; i <= last; i++)
		cpumask_set(&m, i);
	assert(!sched_set_affinity(s->v, &m, NULL));
}

/* ---- What sched.c needs from the modules around it ---- */

void vcpu_timers_enter(struct vcpu *v, unsigned cpu)
{
	(void)v;
	(void)cpu;
}

void vcpu_timers_leave(struct vcpu *v)
{
	(void)v;
}
