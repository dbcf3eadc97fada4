// SPDX-License-Identifier: GPL-2.0-or-later
// The scheduler and timers with CPUs that really run at one time: locks, wakeups, stopping. Each CPU is a thread.
// cflags: -include tests/unit/thread_cpu.h
// libs: -pthread
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* Two groups of two CPUs each. */
#define FAIR_GROUP_CPUS 2
/* Compiled here, with the CPUs of thread_cpu.h. Names that two of them use are told apart. */
#include "../../hypervisor/common/prioq.c"
#define enqueue timer_enqueue
#define dequeue timer_dequeue
#include "../../hypervisor/common/timer.c"
#undef enqueue
#undef dequeue
#include "../../hypervisor/common/sched.c"
#include "../../hypervisor/common/sched_fair.c"
#include "../../hypervisor/common/sched_fair_ctl.c"
#include "../../hypervisor/common/softirq.c"
#include "../../hypervisor/common/work.c"

#define CPUS		   4
#define DOMAINS		   3
#define VCPUS		   4 /* in each */
/* What has to have happened before the test ends, however long a loaded host takes for it. */
#define ENOUGH_RUNS	   50 /* of each vCPU */
#define ENOUGH_BLOCKS	   10
#define ENOUGH_SYNCS	   1000
#define ENOUGH_EXPIRATIONS 1000

_Thread_local struct cpu *thread_this_cpu;
_Thread_local bool thread_irqs_off;
struct cpu *cpu_table[MAX_CPUS];
cpumask_t cpu_online;
unsigned cpu_count;

struct guest {
	struct vcpu *v;
	uint32_t on_cpu;  /* CPU + 1 whose registers hold its state */
	uint32_t pending; /* an event that it has not seen */
	unsigned runs, blocks;
};

static struct guest guests[DOMAINS * VCPUS];
static struct domain *domains[DOMAINS];
static uint64_t programmed[CPUS];
static uint32_t kicks, stop;
static unsigned syncs;

/* ---- The machine ---- */

uint64_t time_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

void arch_timer_program(uint64_t deadline)
{
	programmed[cpu_id()] = deadline;
}

void arch_cpu_kick(unsigned cpu)
{
	(void)cpu;
	/* Threads look at their softirqs all the time. */
	__atomic_fetch_add(&kicks, 1, __ATOMIC_RELAXED);
}

void *heap_alloc(size_t size)
{
	return calloc(1, size);
}

void heap_free(void *p)
{
	free(p);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	abort();
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

void page_list_init(struct page_list *l)
{
	l->count = 0;
}

void arch_vcpu_runstate_update(struct vcpu *v)
{
	(void)v;
}

bool arch_vcpu_has_work(struct vcpu *v)
{
	const struct guest *g = v->arch.test;

	return __atomic_load_n(&g->pending, __ATOMIC_SEQ_CST);
}

int event_port_pending(struct domain *d, uint32_t port)
{
	(void)d;
	(void)port;
	return 0;
}

void vcpu_timers_enter(struct vcpu *v, unsigned cpu)
{
	(void)v;
	(void)cpu;
}

void vcpu_timers_leave(struct vcpu *v)
{
	(void)v;
}

/* Two CPUs never have the state of one vCPU. */
static void switch_state(struct vcpu *prev, struct vcpu *next)
{
	struct guest *g;

	if (!prev->is_idle) {
		g = prev->arch.test;
		if (__atomic_exchange_n(&g->on_cpu, 0, __ATOMIC_SEQ_CST) != cpu_id() + 1)
			panic("a vCPU left a CPU on which it was not\n");
	}
	if (!next->is_idle) {
		g = next->arch.test;
		if (__atomic_exchange_n(&g->on_cpu, cpu_id() + 1, __ATOMIC_SEQ_CST))
			panic("a vCPU runs twice\n");
	}
}

/* As cpu_loop(), up to the entry of the guest. */
static void loop_once(void)
{
	struct cpu *c = this_cpu();
	struct vcpu *prev = c->current, *next;

	if (programmed[c->id] <= time_now()) {
		programmed[c->id] = TIME_NEVER;
		timer_interrupt();
	}
	softirq_process();
	if (!sched_switch_wanted())
		return;
	next = sched_switch();
	if (next == prev)
		return;
	switch_state(prev, next);
	sched_switched(prev);
}

/* ---- What guests and the toolstack do ---- */

static unsigned pick(unsigned *seed, unsigned n)
{
	return (unsigned)rand_r(seed) / 7 % n;
}

static void event_for(struct guest *g)
{
	/* As event channels do: if there was one already, its sender has told the vCPU. */
	if (!__atomic_exchange_n(&g->pending, 1, __ATOMIC_SEQ_CST))
		vcpu_kick(g->v);
}

static struct timer timers[6];
static uint32_t expirations;

static void timer_expired(void *data)
{
	(void)data;
	__atomic_fetch_add(&expirations, 1, __ATOMIC_RELAXED);
}

/* Any timer from any CPU. */
static void play_with_timers(unsigned *seed)
{
	struct timer *t = &timers[pick(seed, ARRAY_SIZE(timers))];

	switch (pick(seed, 4)) {
	case 0:
		timer_stop(t);
		break;
	case 1:
		timer_migrate(t, pick(seed, CPUS));
		break;
	default:
		timer_set(t, time_now() + pick(seed, 100) * 1000);
	}
}

static void guest_code(struct vcpu *v, unsigned *seed)
{
	struct guest *g = v->arch.test;

	if (__atomic_load_n(&g->on_cpu, __ATOMIC_SEQ_CST) != cpu_id() + 1)
		panic("a vCPU runs without its state\n");
	g->runs++;
	__atomic_store_n(&g->pending, 0, __ATOMIC_SEQ_CST);
	for (unsigned i = pick(seed, 200); i > 0; i--)
		barrier();
	switch (pick(seed, 12)) {
	case 0:
	case 1:
	case 2:
	case 3:
		g->blocks++;
		sched_block();
		break;
	case 4:
		sched_yield_current();
		break;
	case 5:
		sched_poll(0, NULL, time_now() + pick(seed, 200) * 1000);
		break;
	default:
		event_for(&guests[pick(seed, ARRAY_SIZE(guests))]);
	}
}

static void must_be_stopped(const struct vcpu *v)
{
	const struct guest *g = v->arch.test;

	if (v == current_vcpu())
		return;
	for (unsigned i = 0; i < 50; i++)
		if (v->is_running || __atomic_load_n(&g->on_cpu, __ATOMIC_SEQ_CST))
			panic("a stopped vCPU runs\n");
}

static void set_cap(struct domain *d, unsigned weight, unsigned cap)
{
	struct xen_domctl_scheduler_op op = {
		.sched_id = XEN_SCHEDULER_CREDIT2,
		.cmd = XEN_DOMCTL_SCHEDOP_putinfo,
		.u.credit2 = {.weight = (uint16_t)weight, .cap = (uint16_t)cap},
	};

	if (sched_domctl(d, &op))
		panic("putinfo\n");
}

/* Only one CPU does this: of two that wait for each other's vCPUs none would go on. */
static void toolstack(unsigned *seed)
{
	struct vcpu *v = guests[pick(seed, ARRAY_SIZE(guests))].v;
	struct domain *d = v->domain;
	cpumask_t m = {{1 + pick(seed, (1U << CPUS) - 1)}};

	switch (pick(seed, 6)) {
	case 0:
		vcpu_pause_sync(v);
		must_be_stopped(v);
		vcpu_unpause(v);
		syncs++;
		break;
	case 1:
		domain_pause_sync(d);
		for (unsigned i = 0; i < VCPUS; i++)
			must_be_stopped(d->vcpus[i]);
		domain_unpause(d);
		syncs++;
		break;
	case 2:
		sched_set_affinity(v, &m, NULL);
		break;
	case 3:
		sched_set_affinity(v, NULL, &m);
		break;
	case 4:
		set_cap(d, 1 + pick(seed, 1000), pick(seed, 3) ? 0 : 1 + pick(seed, 300));
		break;
	default:
		vcpu_set_flag_sync(v, VPF_IO);
		must_be_stopped(v);
		vcpu_clear_flag(v, VPF_IO);
	}
}

static bool enough(void)
{
	for (unsigned k = 0; k < ARRAY_SIZE(guests); k++)
		if (READ_ONCE(guests[k].runs) < ENOUGH_RUNS ||
		    READ_ONCE(guests[k].blocks) < ENOUGH_BLOCKS)
			return false;
	return syncs >= ENOUGH_SYNCS && READ_ONCE(expirations) >= ENOUGH_EXPIRATIONS;
}

/*
 * CPU 0 ends the test, and only when it waits for nobody: a CPU that stopped on its own, with a vCPU still on it that
 * the toolstack on CPU 0 is waiting for, would never take it off again.
 */
static bool ended(unsigned id)
{
	if (id == 0 && enough())
		__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void *cpu_thread(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg, seed = id + 1;

	thread_this_cpu = cpu_table[id];
	while (!ended(id)) {
		loop_once();
		if (thread_irqs_off)
			panic("interrupts are off\n");
		if (!current_vcpu()->is_idle)
			guest_code(current_vcpu(), &seed);
		else
			sched_yield();
		if (id == 0 && pick(&seed, 20) == 0)
			toolstack(&seed);
		play_with_timers(&seed);
		if (pick(&seed, 4) == 0)
			event_for(&guests[pick(&seed, ARRAY_SIZE(guests))]);
	}
	return NULL;
}

/* ---- The test ---- */

static void make_cpus(void)
{
	for (unsigned i = 0; i < CPUS; i++) {
		cpu_table[i] = calloc(1, sizeof(struct cpu));
		cpu_table[i]->self = cpu_table[i];
		cpu_table[i]->id = i;
		cpumask_set(&cpu_online, i);
		programmed[i] = TIME_NEVER;
		thread_this_cpu = cpu_table[0];
		assert_int_equal(timer_cpu_init(i), 0);
		assert_int_equal(work_cpu_init(i), 0);
	}
	cpu_count = CPUS;
	assert_int_equal(sched_init(), 0);
	for (unsigned i = 1; i < CPUS; i++)
		assert_int_equal(sched_cpu_init(i), 0);
}

static void make_domains(void)
{
	for (unsigned k = 0; k < ARRAY_SIZE(guests); k++) {
		struct domain *d = domains[k / VCPUS];
		struct vcpu *v = calloc(1, sizeof(*v));

		if (!d) {
			d = domains[k / VCPUS] = calloc(1, sizeof(*d));
			d->id = (domid_t)(k / VCPUS + 1);
			d->max_vcpus = VCPUS;
			d->vcpus = calloc(VCPUS, sizeof(d->vcpus[0]));
			assert_int_equal(sched_domain_init(d), 0);
		}
		v->id = k % VCPUS;
		v->domain = d;
		v->arch.test = &guests[k];
		guests[k].v = v;
		assert_int_equal(sched_vcpu_init(v, k % CPUS), 0);
		d->vcpus[v->id] = v;
		vcpu_clear_flag(v, VPF_DOWN);
	}
}

/* All CPUs in turn, until none has anything to do. */
static void settle(void)
{
	bool again;

	do {
		again = false;
		for (unsigned i = 0; i < CPUS; i++) {
			thread_this_cpu = cpu_table[i];
			if (!cpu_table[i]->softirqs && programmed[i] > time_now())
				continue;
			loop_once();
			again = true;
		}
	} while (again);
	thread_this_cpu = cpu_table[0];
}

static void check_end_state(void)
{
	unsigned runnable = 0, running = 0;

	for (unsigned k = 0; k < ARRAY_SIZE(guests); k++) {
		struct guest *g = &guests[k];

		/* No event found its vCPU asleep without waking it. */
		assert_int_equal(g->v->pause_flags & ~VPF_BLOCKED, 0);
		if (g->pending)
			assert_false(g->v->pause_flags & VPF_BLOCKED);
		assert_int_equal(g->v->pause_count, 0);
		vcpu_kick(g->v);
	}
	for (unsigned i = 0; i < DOMAINS; i++)
		set_cap(domains[i], 256, 0);
	for (unsigned k = 0; k < ARRAY_SIZE(guests); k++) {
		cpumask_t all = {{(1U << CPUS) - 1}};

		assert_int_equal(sched_set_affinity(guests[k].v, &all, &all), 0);
	}
	settle();
	for (unsigned k = 0; k < ARRAY_SIZE(guests); k++) {
		runnable += !guests[k].v->pause_flags;
		running += guests[k].v->is_running;
	}
	assert_int_equal(runnable, ARRAY_SIZE(guests));
	assert_int_equal(running, CPUS);
}

static void destroy(void)
{
	for (unsigned k = 0; k < ARRAY_SIZE(guests); k++)
		vcpu_set_flag(guests[k].v, VPF_DYING);
	settle();
	for (unsigned k = 0; k < ARRAY_SIZE(guests); k++) {
		sched_vcpu_finish(guests[k].v);
		free(guests[k].v);
	}
	for (unsigned i = 0; i < DOMAINS; i++) {
		sched_domain_finish(domains[i]);
		free(domains[i]->vcpus);
		free(domains[i]);
	}
	for (unsigned i = 0; i < CPUS; i++) {
		struct fair_group *g = fair_groups[i / FAIR_GROUP_CPUS];

		assert_int_equal(g->cpus[i % FAIR_GROUP_CPUS].waiters, 0);
		assert_null(cpu_table[i]->timers->heap.root);
		free(cpu_table[i]->timers);
		free(cpu_table[i]->work);
		free(cpu_table[i]->sched);
		free(cpu_table[i]->idle);
		free(cpu_table[i]);
	}
	for (unsigned i = 0; i < CPUS / FAIR_GROUP_CPUS; i++) {
		struct fair_group *g = fair_groups[i];

		assert_int_equal(g->queued, 0);
		assert_int_equal(g->load, 0);
		assert_true(list_empty(&g->classes) && list_empty(&g->spare));
		free(g);
	}
}

static void all_at_once(void **state)
{
	pthread_t threads[CPUS];

	(void)state;
	make_cpus();
	make_domains();
	for (unsigned i = 0; i < ARRAY_SIZE(timers); i++)
		assert_int_equal(timer_init(&timers[i], timer_expired, NULL, i % CPUS), 0);
	for (uintptr_t i = 0; i < CPUS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, cpu_thread, (void *)i), 0);
	for (unsigned i = 0; i < CPUS; i++)
		pthread_join(threads[i], NULL);
	settle();
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	settle();
	for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
		assert_false(timer_is_set(&timers[i]));
		timer_finish(&timers[i]);
	}
	check_end_state();
	destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
