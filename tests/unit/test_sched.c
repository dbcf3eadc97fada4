// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the scheduler's mechanism, on simulated CPUs and a simulated clock.
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

#include "sched_sim.h"

#define SEC NSEC_PER_SEC

/* |a - b| <= tolerance */
#define assert_near(a, b, tolerance) assert_in_range(a, (b) - (tolerance), (b) + (tolerance))

static uint32_t pending_port;

int event_port_pending(struct domain *d, uint32_t port)
{
	(void)d;
	if (port >= 100)
		return -EINVAL;
	return port == pending_port;
}

static int tear_down(void **state)
{
	(void)state;
	sim_finish();
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(sim_violations, 0);
	fake_has_work = NULL;
	pending_port = 0;
	return 0;
}

/* ---- Stopping ---- */

static void pause_counts_nest(void **state)
{
	struct domain *d = sim_domain(2, 256, 0);
	struct vcpu *v = d->vcpus[0], *w = d->vcpus[1];

	(void)state;
	sim_settle();
	assert_true(v->is_running && w->is_running);
	vcpu_pause(v);
	domain_pause(d);
	domain_pause(d);
	vcpu_pause(v);
	sim_settle();
	assert_false(v->is_running || w->is_running);
	vcpu_unpause(v);
	domain_unpause(d);
	sim_settle();
	assert_false(v->is_running || w->is_running);
	domain_unpause(d);
	sim_settle();
	assert_false(v->is_running);
	assert_true(w->is_running);
	vcpu_unpause(v);
	sim_settle();
	assert_true(v->is_running);
}

/* A vCPU that is created while its domain is paused waits. */
static void created_paused(void **state)
{
	struct domain *d = sim_domain(2, 256, 0);
	struct vcpu *v;

	(void)state;
	domain_pause(d);
	v = d->vcpus[1];
	vcpu_set_flag(v, VPF_DYING);
	sim_settle();
	sched_vcpu_finish(v);
	assert_int_equal(sched_vcpu_init(v, 0), 0);
	vcpu_clear_flag(v, VPF_DOWN);
	sim_settle();
	assert_false(v->is_running);
	domain_unpause(d);
	sim_settle();
	assert_true(v->is_running);
}

static void other_cpus_go_on(void)
{
	unsigned here = cpu_id();

	sim_settle();
	fake_cpu_enter(here);
}

static void sync_waits(void **state)
{
	struct domain *d = sim_domain(4, 256, 0);

	(void)state;
	sim_settle();
	for (unsigned i = 0; i < 4; i++)
		assert_true(d->vcpus[i]->is_running);
	fake_relax = other_cpus_go_on;
	/* As a hypercall of the vCPU on this CPU, which is not waited for. */
	fake_cpu_enter(d->vcpus[0]->cpu);
	vcpu_pause_sync(d->vcpus[1]);
	assert_false(d->vcpus[1]->is_running);
	vcpu_set_flag_sync(d->vcpus[2], VPF_IO);
	assert_false(d->vcpus[2]->is_running);
	vcpu_set_flag_sync(d->vcpus[0], VPF_IO);
	vcpu_clear_flag(d->vcpus[0], VPF_IO);
	fake_relax = NULL;
	vcpu_unpause(d->vcpus[1]);
	vcpu_clear_flag(d->vcpus[2], VPF_IO);
	fake_cpu_enter(d->vcpus[0]->cpu);
	fake_relax = other_cpus_go_on;
	domain_pause_sync(d);
	fake_relax = NULL;
	for (unsigned i = 1; i < 4; i++)
		assert_false(d->vcpus[i]->is_running);
	domain_unpause(d);
}

/* Paused and unpaused again before its CPU noticed. */
static void pause_is_undone_in_time(void **state)
{
	struct domain *d = sim_domain(1, 256, 0);
	struct vcpu *v = d->vcpus[0];

	(void)state;
	sim_settle();
	vcpu_pause(v);
	vcpu_unpause(v);
	sim_settle();
	assert_true(v->is_running);
	assert_int_equal(sim_of(d, 0)->switches, 1);
}

/* Made runnable between the choice of the next one and the end of the switch. */
static void wake_during_the_switch(void **state)
{
	struct domain *d = sim_domain(1, 256, 0);
	struct vcpu *v = d->vcpus[0], *next;

	(void)state;
	sim_settle();
	fake_cpu_enter(0);
	vcpu_set_flag(v, VPF_IO);
	softirq_process();
	assert_true(sched_switch_wanted());
	next = sched_switch();
	assert_true(next->is_idle);
	assert_true(v->is_running);
	vcpu_clear_flag(v, VPF_IO);
	assert_true(v->is_running);
	sched_switched(v);
	assert_false(v->is_running);
	sim_settle();
	assert_true(v->is_running);
	assert_ptr_equal(this_cpu()->current, v);
}

/* Stopped between being chosen and running. */
static void stop_during_the_switch(void **state)
{
	struct domain *d = sim_domain(1, 256, 0);
	struct vcpu *v = d->vcpus[0], *idle;

	(void)state;
	fake_cpu_enter(0);
	softirq_process();
	idle = this_cpu()->current;
	assert_ptr_equal(sched_switch(), v);
	vcpu_set_flag(v, VPF_IO);
	/* Who waits for it sees that it is not stopped yet. */
	assert_true(v->is_running);
	sched_switched(idle);
	sim_settle();
	assert_false(v->is_running);
	vcpu_clear_flag(v, VPF_IO);
}

/* ---- Blocking ---- */

static bool work_pending;

static bool has_work(struct vcpu *v)
{
	(void)v;
	return work_pending;
}

static void block_and_kick(void **state)
{
	struct domain *d = sim_domain(1, 256, 0);
	struct vcpu *v = d->vcpus[0];

	(void)state;
	sim_settle();
	sched_block();
	sim_settle();
	assert_false(v->is_running);
	assert_int_equal(v->runstate.state, RUNSTATE_blocked);
	vcpu_kick(v);
	sim_settle();
	assert_true(v->is_running);
	/* An interrupt is pending: no blocking. */
	fake_has_work = has_work;
	work_pending = true;
	sched_block();
	sim_settle();
	assert_true(v->is_running);
	assert_int_equal(sched_poll(0, NULL, 0), 0);
	sim_settle();
	assert_true(v->is_running);
	assert_false(v->polling);
	work_pending = false;
	/* An event that it could not take now does not keep it awake. */
	v->info->evtchn_upcall_pending = 1;
	sched_block();
	sim_settle();
	assert_false(v->is_running);
	vcpu_kick(v);
	sim_settle();
	v->info->evtchn_upcall_pending = 0;
	/* Woken before its CPU got to switch. */
	sched_block();
	vcpu_kick(v);
	sim_settle();
	assert_true(v->is_running);
	assert_int_equal(v->pause_flags, 0);
}

static void kick_makes_it_leave_the_guest(void **state)
{
	struct domain *d = sim_domain(2, 256, 0);
	struct vcpu *v;

	(void)state;
	sim_settle();
	v = d->vcpus[0]->cpu == 0 ? d->vcpus[0] : d->vcpus[1];
	fake_cpu_enter(0);
	memset(fake_kicks, 0, sizeof(fake_kicks));
	vcpu_kick(v);
	assert_int_equal(fake_kicks[0], 0);
	v = d->vcpus[0]->cpu == 1 ? d->vcpus[0] : d->vcpus[1];
	vcpu_kick(v);
	assert_int_equal(fake_kicks[1], 1);
}

static void poll(void **state)
{
	struct domain *d = sim_domain(1, 256, 0);
	struct vcpu *v = d->vcpus[0];
	const uint32_t ports[] = {3, 4}, bad[] = {3, 100};
	uint64_t start;

	(void)state;
	sim_settle();
	/* Pending already, or no such port: does not block. */
	pending_port = 4;
	assert_int_equal(sched_poll(2, ports, 0), 0);
	assert_int_equal(v->pause_flags, 0);
	assert_false(v->polling);
	pending_port = 0;
	assert_int_equal(sched_poll(2, bad, 0), -EINVAL);
	assert_int_equal(v->pause_flags, 0);

	/* Woken by the port. */
	assert_int_equal(sched_poll(1, ports, 0), 0);
	assert_true(v->polling);
	assert_int_equal(v->poll_port, 3);
	sim_settle();
	assert_false(v->is_running);
	vcpu_kick(v);
	assert_false(v->polling);
	sim_settle();
	assert_true(v->is_running);

	/* By the timeout. */
	start = fake_now;
	assert_int_equal(sched_poll(2, ports, start + MSEC(5)), 0);
	assert_int_equal(v->poll_port, 0);
	sim_run(MSEC(5) - 1);
	assert_false(v->is_running);
	sim_run(1);
	assert_true(v->is_running);
	assert_false(v->polling);

	/* A timeout that is left over does not wake it from something else. */
	assert_int_equal(sched_poll(2, ports, fake_now + MSEC(5)), 0);
	sim_settle();
	vcpu_kick(v);
	sim_settle();
	sched_block();
	sim_run(MSEC(10));
	assert_false(v->is_running);
	vcpu_kick(v);
	sim_settle();

	/* No ports: a sleep. In the past: none. */
	assert_int_equal(sched_poll(0, NULL, fake_now + MSEC(1)), 0);
	sim_run(MSEC(1));
	assert_true(v->is_running);
	assert_int_equal(sched_poll(0, NULL, 1), 0);
	sim_settle();
	assert_true(v->is_running);
}

/* ---- Runstates ---- */

static uint64_t total_of(struct vcpu *v)
{
	struct vcpu_runstate_info info;

	vcpu_runstate_get(v, &info);
	return info.time[0] + info.time[1] + info.time[2] + info.time[3];
}

static void runstates_add_up(void **state)
{
	struct domain *a = sim_domain(1, 256, 0), *b = sim_domain(1, 256, 0);
	struct vcpu *v = a->vcpus[0];
	struct vcpu_runstate_info info;
	uint64_t before, start = fake_now;

	(void)state;
	before = total_of(v);
	sim_bursts(sim_of(a, 0), MSEC(3), MSEC(4));
	sim_run(SEC);
	vcpu_pause(v);
	sim_run(SEC);
	vcpu_runstate_get(v, &info);
	assert_int_equal(total_of(v) - before, fake_now - start);
	assert_int_equal(info.time[RUNSTATE_running], sim_of(a, 0)->ran);
	assert_true(info.time[RUNSTATE_runnable] > 0);
	assert_true(info.time[RUNSTATE_blocked] >= MSEC(200));
	/* A vCPU that sleeps stays "blocked" while it is paused. */
	assert_true(info.time[RUNSTATE_offline] + info.time[RUNSTATE_blocked] >= SEC);
	vcpu_runstate_get(b->vcpus[0], &info);
	assert_int_equal(info.time[RUNSTATE_running], sim_of(b, 0)->ran);
}

/* What sysctl getcpuinfo tells of a CPU. */
static uint64_t idle_time(void)
{
	struct vcpu_runstate_info info;

	vcpu_runstate_get(cpu_table[0]->idle, &info);
	return info.time[RUNSTATE_running];
}

static void idle_time_is_what_nobody_ran(void **state)
{
	struct domain *d = sim_domain(1, 256, 0);
	uint64_t idle, ran;

	(void)state;
	sim_bursts(sim_of(d, 0), MSEC(1), MSEC(3));
	sim_run(MSEC(100));
	idle = idle_time();
	ran = sim_of(d, 0)->ran;
	sim_run(SEC);
	assert_int_equal(idle_time() - idle + sim_of(d, 0)->ran - ran, SEC);
	assert_near(idle_time() - idle, MSEC(750), MSEC(5));
	sim_bursts(sim_of(d, 0), 0, 0);
	sim_run(MSEC(10));
	idle = idle_time();
	sim_run(SEC);
	assert_int_equal(idle_time(), idle);
}

/* ---- Control ---- */

static void control_operations(void **state)
{
	struct domain *d = sim_domain(2, 300, 0);
	struct xen_domctl_scheduler_op op = {.sched_id = XEN_SCHEDULER_CREDIT2};
	struct xen_sysctl_scheduler_op sys = {.sched_id = XEN_SCHEDULER_CREDIT2};

	(void)state;
	assert_int_equal(sched_policy_id(), XEN_SCHEDULER_CREDIT2);
	op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	assert_int_equal(sched_domctl(d, &op), 0);
	assert_int_equal(op.u.credit2.weight, 300);
	assert_int_equal(op.u.credit2.cap, 0);
	/* Weight 0: as it is. The cap is at most 100 for each vCPU. */
	op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
	op.u.credit2.weight = 0;
	op.u.credit2.cap = 201;
	assert_int_equal(sched_domctl(d, &op), -EINVAL);
	op.u.credit2.cap = 200;
	assert_int_equal(sched_domctl(d, &op), 0);
	op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	assert_int_equal(sched_domctl(d, &op), 0);
	assert_int_equal(op.u.credit2.weight, 300);
	assert_int_equal(op.u.credit2.cap, 200);
	op.cmd = XEN_DOMCTL_SCHEDOP_getvcpuinfo;
	assert_int_equal(sched_domctl(d, &op), -EINVAL);
	op.cmd = XEN_DOMCTL_SCHEDOP_putvcpuinfo;
	assert_int_equal(sched_domctl(d, &op), -EINVAL);
	op.cmd = 4;
	assert_int_equal(sched_domctl(d, &op), -EINVAL);
	op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	op.sched_id = XEN_SCHEDULER_RTDS;
	assert_int_equal(sched_domctl(d, &op), -EINVAL);

	sys.cmd = XEN_SYSCTL_SCHEDOP_getinfo;
	assert_int_equal(sched_sysctl(&sys), 0);
	assert_int_equal(sys.u.sched_credit2.ratelimit_us, 1000);
	sys.cmd = XEN_SYSCTL_SCHEDOP_putinfo;
	sys.u.sched_credit2.ratelimit_us = 99;
	assert_int_equal(sched_sysctl(&sys), -EINVAL);
	sys.u.sched_credit2.ratelimit_us = 500001;
	assert_int_equal(sched_sysctl(&sys), -EINVAL);
	sys.cmd = 2;
	assert_int_equal(sched_sysctl(&sys), -EINVAL);
	sys.cmd = XEN_SYSCTL_SCHEDOP_getinfo;
	sys.cpupool_id = 1;
	assert_int_equal(sched_sysctl(&sys), -ESRCH);
	sys.cpupool_id = 0;
	sys.sched_id = XEN_SCHEDULER_CREDIT;
	assert_int_equal(sched_sysctl(&sys), -EINVAL);

	assert_int_equal(sched_set_policy("credit2"), 0);
	assert_int_equal(sched_set_policy("nosuch"), -ENOENT);
}

static void out_of_memory(void **state)
{
	struct domain *d = sim_domain(1, 256, 0), e = {.id = 77};
	struct vcpu v = {.domain = d, .id = 1};

	(void)state;
	for (int n = 0; n < 2; n++) {
		fake_heap_fail_after = n;
		assert_int_equal(sched_vcpu_init(&v, 0), -ENOMEM);
	}
	fake_heap_fail_after = 0;
	assert_int_equal(sched_domain_init(&e), -ENOMEM);
	fake_heap_fail_after = -1;
}

#define T(name, cpus) cmocka_unit_test_setup_teardown(name, cpus, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pause_counts_nest, cpus_2),
		T(created_paused, cpus_2),
		T(sync_waits, cpus_4),
		T(pause_is_undone_in_time, cpus_1),
		T(wake_during_the_switch, cpus_1),
		T(stop_during_the_switch, cpus_1),
		T(block_and_kick, cpus_1),
		T(kick_makes_it_leave_the_guest, cpus_2),
		T(poll, cpus_1),
		T(runstates_add_up, cpus_1),
		T(idle_time_is_what_nobody_ran, cpus_1),
		T(control_operations, cpus_1),
		T(out_of_memory, cpus_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
