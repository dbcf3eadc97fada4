// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the fair scheduling policy, on simulated CPUs and a simulated clock.
// links: hypervisor/common/sched.c hypervisor/common/sched_fair.c hypervisor/common/sched_fair_ctl.c
// links: hypervisor/common/timer.c hypervisor/common/prioq.c hypervisor/common/softirq.c hypervisor/common/work.c
// links: hypervisor/arch/fake/fake.c hypervisor/common/page_owner.c tests/unit/sched_sim.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/errno.h>
#include <bulkhead/event.h>

#include <xen/domctl.h>
#include <xen/sysctl.h>

#include "../../hypervisor/common/sched_fair.h"
#include "sched_sim.h"

#define SEC NSEC_PER_SEC

/* |a - b| <= tolerance */
#define assert_near(a, b, tolerance) assert_in_range(a, (b) - (tolerance), (b) + (tolerance))

int event_port_pending(struct domain *d, uint32_t port)
{
	(void)d;
	(void)port;
	return 0;
}

static int cpus_256(void **state)
{
	(void)state;
	sim_init(256);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sim_finish();
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(sim_violations, 0);
	fair_ratelimit = MSEC(1);
	return 0;
}

static void set_soft(struct sim_vcpu *s, unsigned cpu)
{
	cpumask_t m = {{0}};

	cpumask_set(&m, cpu);
	assert_int_equal(sched_set_affinity(s->v, NULL, &m), 0);
}

static void set_ratelimit(unsigned us)
{
	struct xen_sysctl_scheduler_op op = {
		.sched_id = XEN_SCHEDULER_CREDIT2,
		.cmd = XEN_SYSCTL_SCHEDOP_putinfo,
		.u.sched_credit2.ratelimit_us = us,
	};

	assert_int_equal(sched_sysctl(&op), 0);
}

/* ---- Shares ---- */

static void weights_share_one_cpu(void **state)
{
	struct domain *a = sim_domain(1, 256, 0), *b = sim_domain(1, 512, 0);

	(void)state;
	sim_run(10 * SEC);
	assert_near(sim_share(a, 10 * SEC), 333, 16);
	assert_near(sim_share(b, 10 * SEC), 667, 33);
	/* Already over a tenth of a second. */
	sim_reset();
	sim_run(SEC / 10);
	assert_near(sim_share(a, SEC / 10), 333, 50);
}

static void weights_of_many(void **state)
{
	struct domain *d[5];
	uint64_t ran = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(d); i++)
		d[i] = sim_domain(1 + i % 2, 64U << i, 0);
	sim_run(100 * SEC);
	/* A domain's weight counts for each of its vCPUs. 64 + 2 * 128 + 256 + 2 * 512 + 1024 = 2624. */
	for (unsigned i = 0; i < ARRAY_SIZE(d); i++) {
		unsigned expected = (64U << i) * (1 + i % 2) * 1000 / 2624;

		assert_near(sim_share(d[i], 100 * SEC), expected, 1 + expected / 20);
		ran += sim_share(d[i], 100 * SEC);
	}
	assert_near(ran, 998, 2);
}

static void weight_changes_take_effect(void **state)
{
	struct domain *a = sim_domain(1, 256, 0), *b = sim_domain(1, 256, 0);

	(void)state;
	sim_run(SEC);
	assert_near(sim_share(a, SEC), 500, 25);
	assert_int_equal(sim_params(a, 1024, 0), 0);
	sim_reset();
	sim_run(SEC);
	assert_near(sim_share(a, SEC), 800, 40);
	assert_near(sim_share(b, SEC), 200, 10);
}

/* Neither starves, whatever the weights. */
static void extreme_weights(void **state)
{
	struct domain *a = sim_domain(1, 1, 0), *b = sim_domain(1, 65535, 0);

	(void)state;
	sim_run(300 * SEC);
	assert_in_range(sim_of(a, 0)->ran, MSEC(2), MSEC(15));
	assert_true(sim_share(b, 300 * SEC) >= 999);
}

/* Three equal ones on two CPUs get two thirds each: the queue is common. */
static void three_on_two_cpus(void **state)
{
	struct domain *d[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		d[i] = sim_domain(1, 256, 0);
	sim_run(10 * SEC);
	for (unsigned i = 0; i < 3; i++)
		assert_near(sim_share(d[i], 10 * SEC), 667, 33);
}

static void weights_on_four_cpus(void **state)
{
	/* 4 CPUs, 12 vCPUs; weights of a and b add up to 4 * 256 + 8 * 512 = 5120: a gets 0.8 of a CPU. */
	struct domain *a = sim_domain(4, 256, 0), *b = sim_domain(8, 512, 0);

	(void)state;
	sim_run(10 * SEC);
	assert_near(sim_share(a, 10 * SEC), 800, 40);
	assert_near(sim_share(b, 10 * SEC), 3200, 160);
}

/* ---- Caps ---- */

static void cap_holds_on_an_idle_machine(void **state)
{
	struct domain *a = sim_domain(1, 256, 25);

	(void)state;
	sim_check_work = false;
	sim_run(10 * SEC);
	assert_near(sim_share(a, 10 * SEC), 250, 20);
	sim_reset();
	sim_run(SEC / 5);
	assert_near(sim_share(a, SEC / 5), 250, 20);
}

static void caps_small_and_large(void **state)
{
	static const unsigned caps[] = {1, 3, 10, 50, 75, 99, 100};

	(void)state;
	sim_check_work = false;
	for (unsigned i = 0; i < ARRAY_SIZE(caps); i++) {
		struct domain *a = sim_domain(1, 256, caps[i]);

		sim_reset();
		sim_run(10 * SEC);
		assert_near(sim_share(a, 10 * SEC), caps[i] * 10, 5);
		vcpu_pause(a->vcpus[0]);
	}
}

/* The cap is the domain's, in percent of one CPU, however many vCPUs it has. */
static void cap_of_several_vcpus(void **state)
{
	struct domain *a = sim_domain(4, 256, 150), *b = sim_domain(8, 256, 40);

	(void)state;
	sim_check_work = false;
	sim_run(10 * SEC);
	assert_near(sim_share(a, 10 * SEC), 1500, 20);
	assert_near(sim_share(b, 10 * SEC), 400, 20);
	/* All of them had a turn. */
	for (unsigned i = 0; i < 8; i++)
		assert_true(sim_of(b, i)->ran > MSEC(100));
}

static void cap_beside_a_busy_domain(void **state)
{
	struct domain *a = sim_domain(1, 256, 25), *b = sim_domain(1, 256, 0);

	(void)state;
	sim_run(10 * SEC);
	assert_near(sim_share(a, 10 * SEC), 250, 20);
	assert_near(sim_share(b, 10 * SEC), 750, 20);
}

/* A cap above the fair share changes nothing. */
static void cap_above_the_share(void **state)
{
	struct domain *a = sim_domain(1, 256, 80), *b = sim_domain(1, 256, 0);

	(void)state;
	sim_run(10 * SEC);
	assert_near(sim_share(a, 10 * SEC), 500, 25);
	assert_near(sim_share(b, 10 * SEC), 500, 25);
}

static void cap_set_and_removed(void **state)
{
	struct domain *a = sim_domain(2, 256, 0);

	(void)state;
	sim_check_work = false;
	sim_run(SEC);
	assert_int_equal(sim_params(a, 0, 30), 0);
	sim_reset();
	sim_run(SEC);
	assert_near(sim_share(a, SEC), 300, 20);
	assert_int_equal(sim_params(a, 0, 60), 0);
	sim_reset();
	sim_run(SEC);
	assert_near(sim_share(a, SEC), 600, 20);
	assert_int_equal(sim_params(a, 0, 0), 0);
	sim_reset();
	sim_check_work = true;
	sim_run(SEC);
	assert_near(sim_share(a, SEC), 2000, 5);
}

/* Budget is not saved up beyond one period. */
static void cap_and_sleep(void **state)
{
	struct domain *a = sim_domain(1, 256, 20);
	struct sim_vcpu *s = sim_of(a, 0);

	(void)state;
	sim_check_work = false;
	sim_bursts(s, MSEC(100), SEC);
	sim_run(MSEC(10));
	sim_run(20 * SEC);
	sim_reset();
	vcpu_pause(a->vcpus[0]);
	sim_run(SEC);
	s->run = s->left = 0;
	vcpu_unpause(a->vcpus[0]);
	vcpu_kick(a->vcpus[0]);
	/* 2 ms in each of the up to three periods that this touches. */
	sim_run(MSEC(20));
	assert_in_range(s->ran, MSEC(4), MSEC(6) + USEC(200));
}

/* Who is parked can be stopped, moved and let go. */
static void parked_vcpus_can_be_paused(void **state)
{
	struct domain *a = sim_domain(1, 256, 1);
	struct vcpu *v = a->vcpus[0];

	(void)state;
	sim_check_work = false;
	for (unsigned i = 0; i < 500; i++) {
		sim_run(USEC(700));
		vcpu_pause(v);
		sim_settle();
		assert_false(v->is_running);
		sim_run(USEC(300));
		vcpu_unpause(v);
		sim_pin(sim_of(a, 0), i % 2, i % 2);
	}
	assert_in_range(sim_of(a, 0)->ran, MSEC(3), MSEC(8));
}

/* ---- Sleeping and waking ---- */

/* Short sleeps right before the end of a slice give no more than the fair share. */
static void gaming_by_short_sleeps(void **state)
{
	static const uint64_t runs[] = {USEC(50), USEC(500), MSEC(1) - 1, MSEC(2),
					MSEC(5),  MSEC(9),   MSEC(19)};
	struct domain *hog = sim_domain(1, 256, 0);

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(runs); i++) {
		struct domain *a = sim_domain(1, 256, 0);

		sim_bursts(sim_of(a, 0), runs[i], USEC(10));
		sim_run(SEC);
		sim_reset();
		sim_run(10 * SEC);
		assert_true(sim_share(a, 10 * SEC) <= 525);
		assert_true(sim_share(hog, 10 * SEC) >= 475);
		sim_of(a, 0)->wake_at = TIME_NEVER;
		vcpu_pause(a->vcpus[0]);
	}
}

/* Two that take turns to sleep do not push the third aside. */
static void gaming_by_taking_turns(void **state)
{
	struct domain *hog = sim_domain(1, 256, 0), *a = sim_domain(2, 256, 0);

	(void)state;
	sim_bursts(sim_of(a, 0), MSEC(3), MSEC(3));
	sim_bursts(sim_of(a, 1), MSEC(3), MSEC(3));
	sim_run(10 * SEC);
	assert_true(sim_share(hog, 10 * SEC) >= 320);
}

/* After a long sleep it is ahead a little, not for as long as it slept. */
static void long_sleep_saves_nothing(void **state)
{
	struct domain *hog = sim_domain(1, 256, 0), *a = sim_domain(1, 256, 0);
	struct sim_vcpu *s = sim_of(a, 0);

	(void)state;
	sim_bursts(s, MSEC(1), 100 * SEC);
	sim_run(90 * SEC);
	s->run = 0;
	sim_run(15 * SEC);
	sim_reset();
	vcpu_pause(a->vcpus[0]);
	sim_run(100 * SEC);
	sim_reset();
	vcpu_unpause(a->vcpus[0]);
	sim_run(MSEC(100));
	assert_in_range(s->ran, MSEC(45), MSEC(58));
	assert_in_range(sim_of(hog, 0)->ran, MSEC(42), MSEC(55));
}

/* The same for one that was alone on its CPU for hours: its virtual time is no debt. */
static void long_run_alone_is_no_debt(void **state)
{
	struct domain *hog = sim_domain(1, 256, 0), *a = sim_domain(1, 256, 0), *b;

	(void)state;
	vcpu_pause(a->vcpus[0]);
	sim_run(10000 * SEC);
	vcpu_unpause(a->vcpus[0]);
	b = sim_domain(1, 256, 0);
	sim_reset();
	sim_run(SEC);
	assert_near(sim_share(hog, SEC), 333, 20);
	assert_near(sim_share(a, SEC), 333, 20);
	assert_near(sim_share(b, SEC), 333, 20);
}

static void wakeups_are_prompt(void **state)
{
	struct domain *hogs = sim_domain(6, 256, 0), *a = sim_domain(1, 256, 0);
	struct sim_vcpu *s = sim_of(a, 0);

	(void)state;
	sim_bursts(s, USEC(200), MSEC(7));
	sim_run(SEC);
	sim_reset();
	sim_run(10 * SEC);
	/* Nobody is interrupted within the rate limit. */
	assert_true(s->max_latency <= MSEC(1));
	assert_true(s->switches >= 1300);
	assert_true(sim_share(hogs, 10 * SEC) >= 970);
}

static void ratelimit_delays_preemption(void **state)
{
	struct domain *hogs = sim_domain(2, 256, 0), *a = sim_domain(1, 256, 0);
	struct sim_vcpu *s = sim_of(a, 0);

	(void)state;
	set_ratelimit(0);
	sim_bursts(s, USEC(100), USEC(1300));
	sim_run(SEC);
	sim_reset();
	sim_run(SEC);
	assert_true(s->max_latency <= FAIR_RUN_MIN);

	set_ratelimit(8000);
	sim_reset();
	sim_run(SEC);
	assert_in_range(s->max_latency, MSEC(6), MSEC(8));
	/* CPUs do not look at their queues before it is over. */
	assert_true(sim_passes < 1500);
	/* Nobody who wants to go on is switched from sooner. */
	assert_true(sim_of(hogs, 0)->switches + sim_of(hogs, 1)->switches <= 260);
}

/* A woken vCPU goes to a CPU that sleeps, and back to the one it knows. */
static void wakes_where_it_ran(void **state)
{
	struct domain *a = sim_domain(1, 256, 0);
	struct sim_vcpu *s = sim_of(a, 0);
	unsigned cpu;

	(void)state;
	sim_bursts(s, MSEC(1), MSEC(1));
	sim_run(MSEC(10));
	cpu = s->v->cpu;
	sim_reset();
	sim_run(SEC);
	assert_int_equal(s->ran, s->ran_on[cpu]);
	assert_int_equal(s->max_latency, 0);
}

/* ---- CPUs ---- */

static void idle_cpus_are_left_alone(void **state)
{
	struct domain *a = sim_domain(2, 256, 0);

	(void)state;
	sim_run(MSEC(10));
	/* Nobody waits: no CPU has a timer, not even those that run somebody. */
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(fake_programmed[i], TIME_NEVER);
	fake_programs = 0;
	sim_run(SEC);
	assert_int_equal(fake_programs, 0);
	assert_int_equal(sim_of(a, 0)->switches + sim_of(a, 1)->switches, 2);
}

static void work_conserving(void **state)
{
	(void)state;
	/* Everything comes and goes; sim_check() looks after each event. */
	for (unsigned i = 0; i < 12; i++) {
		struct domain *d = sim_domain(1, 64 + i * 50, 0);

		sim_bursts(sim_of(d, 0), USEC(300) + USEC(170) * i, USEC(200) + USEC(530) * i);
		if (i % 3 == 0)
			sim_pin(sim_of(d, 0), i % 4, i % 4);
		if (i % 4 == 1)
			sim_pin(sim_of(d, 0), 1, 2);
	}
	sim_run(5 * SEC);
}

static void hard_affinity_is_respected(void **state)
{
	struct domain *d = sim_domain(10, 256, 0);

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		sim_bursts(sim_of(d, i), USEC(1000) + USEC(100) * i, i % 2 ? USEC(500) : 0);
	/* Any time, also while they run. */
	for (unsigned step = 0; step < 2000; step++) {
		unsigned first = (unsigned)rand() % 4, n = (unsigned)rand() % (4 - first);

		sim_run((uint64_t)rand() % MSEC(2));
		sim_pin(sim_of(d, (unsigned)rand() % 10), first, first + n);
	}
}

/* Competing on a CPU, pinned ones get shares by weight, whatever happens on other CPUs. */
static void pinned_weights(void **state)
{
	struct domain *a = sim_domain(1, 256, 0), *b = sim_domain(1, 512, 0),
		      *alone = sim_domain(1, 256, 0);

	(void)state;
	sim_pin(sim_of(a, 0), 0, 0);
	sim_pin(sim_of(b, 0), 0, 0);
	sim_pin(sim_of(alone, 0), 1, 1);
	sim_run(100 * SEC);
	assert_near(sim_share(a, 100 * SEC), 333, 16);
	assert_near(sim_share(b, 100 * SEC), 667, 33);
	assert_near(sim_share(alone, 100 * SEC), 1000, 1);
}

/*
 * Time has run differently on two CPUs for long; one who may use both comes. It does not push anybody aside, does
 * not starve, and whoever had CPU 0 to share still shares it.
 */
static void newcomer_between_clocks(void **state)
{
	struct domain *slow = sim_domain(4, 256, 0), *fast = sim_domain(1, 256, 0), *u;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		sim_pin(sim_of(slow, i), 0, 0);
	sim_pin(sim_of(fast, 0), 1, 1);
	sim_run(1000 * SEC);
	u = sim_domain(1, 256, 0);
	sim_reset();
	sim_run(SEC);
	/* The best there is for all: half of CPU 1 for u and fast, a quarter of CPU 0 for the others. */
	assert_near(sim_share(u, SEC), 500, 60);
	assert_near(sim_share(fast, SEC), 500, 60);
	for (unsigned i = 0; i < 4; i++)
		assert_near(sim_of(slow, i)->ran, MSEC(250), MSEC(30));
	/* Now it may use CPU 0 only: it does not have to wait for a thousand seconds. */
	sim_pin(sim_of(u, 0), 0, 0);
	sim_run(MSEC(200));
	sim_reset();
	sim_run(SEC);
	assert_near(sim_share(u, SEC), 200, 20);
	assert_near(sim_share(fast, SEC), 1000, 5);
	/* And CPU 1: not it alone for as long. */
	sim_pin(sim_of(u, 0), 1, 1);
	sim_run(MSEC(200));
	sim_reset();
	sim_run(SEC);
	assert_near(sim_share(u, SEC), 500, 25);
	assert_near(sim_share(fast, SEC), 500, 25);
}

/* A CPU that slept while another was busy for long does not owe the time to the first who comes. */
static void idle_cpu_owes_nothing(void **state)
{
	struct domain *a = sim_domain(1, 256, 0), *b = sim_domain(1, 256, 0),
		      *p = sim_domain(1, 256, 0);

	(void)state;
	sim_pin(sim_of(p, 0), 1, 1);
	sim_run(SEC);
	vcpu_pause(b->vcpus[0]);
	vcpu_pause(p->vcpus[0]);
	sim_run(10000 * SEC);
	/* p first: it finds its CPU asleep. */
	vcpu_unpause(p->vcpus[0]);
	sim_run(MSEC(1));
	vcpu_unpause(b->vcpus[0]);
	sim_reset();
	sim_run(SEC);
	assert_near(sim_share(a, SEC), 667, 40);
	assert_near(sim_share(b, SEC), 667, 40);
	assert_near(sim_share(p, SEC), 667, 40);
}

/* What makes a CPU look at its queue early does not end the time for which a vCPU is left alone. */
static void ratelimit_holds_in_any_case(void **state)
{
	struct domain *a = sim_domain(3, 256, 0);
	unsigned switches = 0;

	(void)state;
	set_ratelimit(8000);
	sim_run(MSEC(100));
	/* That one has yielded makes no difference later. */
	for (unsigned i = 0; i < 10; i++) {
		sched_yield_current();
		sim_run(MSEC(9));
	}
	sim_reset();
	for (unsigned i = 0; i < 1000; i++) {
		struct vcpu *v;

		sim_run(USEC(100));
		/* Its CPU notices, and finds that all is as it was. */
		v = cpu_table[0]->current;
		vcpu_pause(v);
		vcpu_unpause(v);
	}
	for (unsigned i = 0; i < 3; i++)
		switches += sim_of(a, i)->switches;
	assert_in_range(switches, 8, 13);
}

/* Passed over because a CPU that it prefers was on its way, which then takes somebody else: it gets the other one. */
static void passed_over_is_not_forgotten(void **state)
{
	struct domain *w = sim_domain(1, 256, 0), *v = sim_domain(1, 256, 0);

	(void)state;
	set_soft(sim_of(v, 0), 1);
	/* w runs on CPU 1, then both sleep. */
	sim_pin(sim_of(w, 0), 1, 1);
	sim_run(MSEC(10));
	vcpu_pause(v->vcpus[0]);
	sim_run(SEC);
	vcpu_pause(w->vcpus[0]);
	sim_run(MSEC(1));
	sim_pin(sim_of(w, 0), 0, 1);
	/* w tickles CPU 1, v then CPU 0, which leaves v to CPU 1. sim_check() sees if it does so for good. */
	vcpu_unpause(w->vcpus[0]);
	vcpu_unpause(v->vcpus[0]);
	sim_run(SEC);
	assert_near(sim_of(v, 0)->ran, SEC, MSEC(20));
}

/* Alone, a small weight runs up no more virtual time than others: in years it would overflow. */
static void virtual_time_of_small_weights(void **state)
{
	struct domain *a = sim_domain(1, 1, 0);

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		sim_run(10 * SEC);
		vcpu_pause(a->vcpus[0]);
		sim_settle();
		vcpu_unpause(a->vcpus[0]);
	}
	assert_true(a->vcpus[0]->sched->vtime <= 1001 * SEC);
}

static void soft_affinity_is_preferred(void **state)
{
	struct domain *d = sim_domain(4, 256, 0);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		set_soft(sim_of(d, i), 3 - i);
		sim_bursts(sim_of(d, i), MSEC(3) + USEC(10) * i, MSEC(1));
	}
	sim_run(MSEC(50));
	sim_reset();
	sim_run(2 * SEC);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(sim_of(d, i)->ran_on[3 - i], sim_of(d, i)->ran);
}

/* But no CPU stays idle for it, and it makes no difference to shares. */
static void soft_affinity_is_only_soft(void **state)
{
	struct domain *a = sim_domain(4, 256, 0), *b = sim_domain(4, 256, 0);

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		set_soft(sim_of(a, i), 0);
	vcpu_pause(b->vcpus[0]);
	vcpu_pause(b->vcpus[1]);
	vcpu_pause(b->vcpus[2]);
	vcpu_pause(b->vcpus[3]);
	sim_run(SEC);
	assert_near(sim_share(a, SEC), 4000, 20);
	for (unsigned i = 0; i < 4; i++)
		vcpu_unpause(b->vcpus[i]);
	sim_reset();
	sim_run(5 * SEC);
	assert_near(sim_share(a, 5 * SEC), 2000, 100);
	assert_near(sim_share(b, 5 * SEC), 2000, 100);
}

static void affinity_errors(void **state)
{
	struct domain *d = sim_domain(1, 256, 0);
	struct vcpu *v = d->vcpus[0];
	cpumask_t m = {{0}};

	(void)state;
	assert_int_equal(sched_set_affinity(v, &m, NULL), -EINVAL);
	cpumask_set(&m, 4);
	assert_int_equal(sched_set_affinity(v, &m, NULL), -EINVAL);
	assert_int_equal(sched_set_affinity(v, NULL, &m), -EINVAL);
	cpumask_set(&m, 3);
	assert_int_equal(sched_set_affinity(v, &m, NULL), 0);
	assert_true(cpumask_test(&v->hard_affinity, 3));
	assert_false(cpumask_test(&v->hard_affinity, 4));
}

static void pin_override(void **state)
{
	struct domain *d = sim_domain(1, 256, 0);
	struct vcpu *v = d->vcpus[0];
	cpumask_t m = {{0}};

	(void)state;
	assert_int_equal(sched_pin_override(v, -1), -EINVAL);
	assert_int_equal(sched_pin_override(v, 4), -EINVAL);
	assert_int_equal(sched_pin_override(v, MAX_CPUS), -EINVAL);
	sim_pin(sim_of(d, 0), 0, 1);
	assert_int_equal(sched_pin_override(v, 3), 0);
	sim_run(MSEC(1));
	assert_int_equal(v->cpu, 3);
	assert_int_equal(sched_pin_override(v, 2), -EBUSY);
	cpumask_set(&m, 0);
	assert_int_equal(sched_set_affinity(v, &m, NULL), -EBUSY);
	assert_int_equal(sched_pin_override(v, -1), 0);
	sim_run(MSEC(1));
	assert_true(v->cpu <= 1);
	assert_false(cpumask_test(&v->hard_affinity, 3));
}

static void yield_lets_others_run(void **state)
{
	struct domain *a = sim_domain(1, 256, 0), *b = sim_domain(1, 256, 0);

	(void)state;
	sim_run(MSEC(100));
	for (unsigned i = 0; i < 100; i++) {
		struct vcpu *v = cpu_table[0]->current;

		sched_yield_current();
		sim_settle();
		assert_ptr_not_equal(cpu_table[0]->current, v);
		sim_run(USEC(10));
	}
	sim_run(SEC);
	/* It is no way to lose CPU time for good, either. */
	sim_reset();
	sim_run(SEC);
	assert_near(sim_share(a, SEC), 500, 25);
	assert_near(sim_share(b, SEC), 500, 25);
}

/* Also without a rate limit the other one has its turn, for a moment. */
static void yield_without_ratelimit(void **state)
{
	struct domain *a = sim_domain(2, 256, 0);
	struct vcpu *v;

	(void)state;
	set_ratelimit(0);
	sim_run(MSEC(100));
	/* Off balance: the other one has run more, by far. */
	v = cpu_table[0]->current;
	v->sched->vtime -= MSEC(50);
	sched_yield_current();
	sim_settle();
	assert_ptr_not_equal(cpu_table[0]->current, v);
	sim_run(FAIR_RUN_MIN - 1);
	assert_ptr_not_equal(cpu_table[0]->current, v);
	sim_run(USEC(2));
	assert_ptr_equal(cpu_table[0]->current, v);
	assert_int_equal(a->vcpus[0]->pause_flags, 0);
}

/* With nobody else there it simply goes on. */
static void yield_alone(void **state)
{
	struct domain *a = sim_domain(1, 256, 0);

	(void)state;
	sim_run(MSEC(1));
	sched_yield_current();
	sim_settle();
	assert_ptr_equal(cpu_table[0]->current, a->vcpus[0]);
	assert_int_equal(sim_of(a, 0)->switches, 1);
}

/* ---- Many ---- */

/* 256 CPUs, 16 groups: work reaches all of them, and the shares stay fair. */
static void large_machine(void **state)
{
	struct domain *d[10];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(d); i++)
		d[i] = sim_domain(60, 256, 0);
	for (unsigned i = 0; i < 60; i++)
		sim_bursts(sim_of(d[9], i), USEC(900) + USEC(7) * i, USEC(1100));
	sim_run(MSEC(150));
	sim_reset();
	sim_run(MSEC(600));
	/* 540 that compute and 60 that do so for half of the time at most, on 256 CPUs. */
	for (unsigned i = 0; i < 9; i++)
		assert_near(sim_share(d[i], MSEC(600)), 25400, 2540);
}

static void large_machine_pinned(void **state)
{
	struct domain *d = sim_domain(100, 256, 0), *e = sim_domain(100, 256, 0);

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		/* Each of d has a CPU for itself; those of e move between two groups. */
		sim_pin(sim_of(d, i), 2 * i, 2 * i);
		sim_pin(sim_of(e, i), 220 + i % 20, 240 + i % 15);
		sim_bursts(sim_of(e, i), USEC(100) * (1 + i % 7), USEC(100) * (1 + i % 5));
	}
	sim_run(MSEC(300));
	for (unsigned i = 0; i < 100; i++) {
		assert_true(sim_of(d, i)->ran >= MSEC(299));
		assert_true(sim_of(e, i)->ran >= MSEC(20));
	}
}

/* Everything at once, at random, with all checks on. */
static void random_operations(void **state)
{
	struct domain *d[6];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(d); i++)
		d[i] = sim_domain(1 + i, 100 + i * 100, 0);
	sim_check_work = false;
	for (unsigned step = 0; step < 20000; step++) {
		struct domain *dom = d[(unsigned)rand() % ARRAY_SIZE(d)];
		struct sim_vcpu *s = sim_of(dom, (unsigned)rand() % dom->max_vcpus);
		unsigned first = (unsigned)rand() % 4;

		sim_run((uint64_t)rand() % USEC(500));
		fake_cpu_enter((unsigned)rand() % 4);
		switch (rand() % 9) {
		case 0:
			vcpu_pause(s->v);
			break;
		case 1:
			if (s->v->pause_count)
				vcpu_unpause(s->v);
			break;
		case 2:
			sim_pin(s, first, first + (unsigned)rand() % (4 - first));
			break;
		case 3:
			set_soft(s, first);
			break;
		case 4:
			assert_int_equal(sim_params(dom, 1 + (unsigned)rand() % 1000, 0), 0);
			break;
		case 5:
			assert_int_equal(sim_params(dom, 0, (unsigned)rand() % 101), 0);
			break;
		case 6:
			if (s->wake_at == TIME_NEVER)
				sim_bursts(s, 1 + (uint64_t)rand() % MSEC(3),
					   (uint64_t)rand() % MSEC(3));
			break;
		case 7:
			if (!this_cpu()->current->is_idle)
				sched_yield_current();
			break;
		default:
			vcpu_kick(s->v);
		}
	}
	/* When all is released, everybody gets on. */
	for (unsigned i = 0; i < sim_count; i++) {
		while (sim[i].v->pause_count)
			vcpu_unpause(sim[i].v);
		sim[i].run = 0;
		sim_pin(&sim[i], 0, 3);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(d); i++)
		assert_int_equal(sim_params(d[i], 256, 0), 0);
	sim_run(SEC);
	sim_check_work = true;
	sim_reset();
	sim_run(10 * SEC);
	for (unsigned i = 0; i < sim_count; i++)
		assert_near(sim[i].ran, 40 * SEC / 21, 3 * SEC / 21);
}

#define T(name, cpus) cmocka_unit_test_setup_teardown(name, cpus, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(weights_share_one_cpu, cpus_1),
		T(weights_of_many, cpus_1),
		T(weight_changes_take_effect, cpus_1),
		T(extreme_weights, cpus_1),
		T(three_on_two_cpus, cpus_2),
		T(weights_on_four_cpus, cpus_4),
		T(cap_holds_on_an_idle_machine, cpus_2),
		T(caps_small_and_large, cpus_1),
		T(cap_of_several_vcpus, cpus_4),
		T(cap_beside_a_busy_domain, cpus_1),
		T(cap_above_the_share, cpus_1),
		T(cap_set_and_removed, cpus_2),
		T(cap_and_sleep, cpus_1),
		T(parked_vcpus_can_be_paused, cpus_2),
		T(gaming_by_short_sleeps, cpus_1),
		T(gaming_by_taking_turns, cpus_1),
		T(long_sleep_saves_nothing, cpus_1),
		T(long_run_alone_is_no_debt, cpus_1),
		T(wakeups_are_prompt, cpus_1),
		T(ratelimit_delays_preemption, cpus_1),
		T(wakes_where_it_ran, cpus_4),
		T(idle_cpus_are_left_alone, cpus_4),
		T(work_conserving, cpus_4),
		T(hard_affinity_is_respected, cpus_4),
		T(pinned_weights, cpus_2),
		T(newcomer_between_clocks, cpus_2),
		T(idle_cpu_owes_nothing, cpus_2),
		T(ratelimit_holds_in_any_case, cpus_1),
		T(soft_affinity_is_preferred, cpus_4),
		T(soft_affinity_is_only_soft, cpus_4),
		T(affinity_errors, cpus_4),
		T(pin_override, cpus_4),
		T(yield_lets_others_run, cpus_1),
		T(yield_without_ratelimit, cpus_1),
		T(yield_alone, cpus_1),
		T(passed_over_is_not_forgotten, cpus_2),
		T(virtual_time_of_small_weights, cpus_1),
		T(large_machine, cpus_256),
		T(large_machine_pinned, cpus_256),
		T(random_operations, cpus_4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
