// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the priority queue and of timers.
// links: hypervisor/common/timer.c hypervisor/common/prioq.c hypervisor/common/softirq.c
// links: hypervisor/arch/fake/fake.c hypervisor/common/page_owner.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arch/fake.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/timer.h>

/* fake.c knows about vCPUs; here is none. */
void vcpu_kick(struct vcpu *v)
{
	(void)v;
	fail();
}

/* ---- Priority queue ---- */

struct item {
	struct prioq_node node;
	unsigned key;
	bool queued;
};

static bool item_before(const struct prioq_node *a, const struct prioq_node *b)
{
	return CONTAINER_OF(a, const struct item, node)->key <
	       CONTAINER_OF(b, const struct item, node)->key;
}

/* Shape and order of a subtree; returns its size. */
static unsigned long check_node(const struct prioq_node *n, const struct prioq_node *parent)
{
	if (!n)
		return 0;
	assert_ptr_equal(n->parent, parent);
	if (parent)
		assert_false(item_before(n, parent));
	return 1 + check_node(n->left, n) + check_node(n->right, n);
}

static unsigned depth(const struct prioq_node *n)
{
	unsigned d = 0;

	/* Complete: the leftmost path is the longest. */
	for (; n; n = n->left)
		d++;
	return d;
}

static void prioq_random_operations(void **state)
{
	static struct item items[1000];
	struct prioq q;
	unsigned queued = 0;

	(void)state;
	srand(1);
	prioq_init(&q, item_before);
	for (unsigned step = 0; step < 50000; step++) {
		struct item *it = &items[(unsigned)rand() % ARRAY_SIZE(items)];

		if (it->queued) {
			prioq_remove(&q, &it->node);
			queued--;
		} else {
			it->key = (unsigned)rand() % 500;
			prioq_insert(&q, &it->node);
			queued++;
		}
		it->queued = !it->queued;
		assert_int_equal(q.count, queued);
		if (step % 97 == 0) {
			assert_int_equal(check_node(q.root, NULL), queued);
			assert_true(!queued || 1UL << depth(q.root) <= 2UL * queued);
		}
	}
	for (unsigned last = 0; queued; queued--) {
		struct item *it = CONTAINER_OF(prioq_first(&q), struct item, node);

		assert_true(it->key >= last);
		last = it->key;
		prioq_remove(&q, &it->node);
	}
	assert_null(prioq_first(&q));
}

/* ---- Timers ---- */

#define CPUS 3

static struct timer timers[200];
static unsigned fired[ARRAY_SIZE(timers)], order[1000], total;
static unsigned fired_on[ARRAY_SIZE(timers)];
static bool irqs_were_off;

static void expire(void *data)
{
	unsigned i = (unsigned)(uintptr_t)data;

	irqs_were_off |= fake_irqs_off;
	fired[i]++;
	fired_on[i] = cpu_id();
	if (total < ARRAY_SIZE(order))
		order[total] = i;
	total++;
}

static int set_up(void **state)
{
	(void)state;
	fake_cpus_init(CPUS);
	fake_now = 1000;
	fake_programs = 0;
	total = 0;
	irqs_were_off = false;
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(timer_cpu_init(i), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
		fired[i] = 0;
		assert_int_equal(timer_init(&timers[i], expire, (void *)(uintptr_t)i, 0), 0);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(timers); i++)
		timer_finish(&timers[i]);
	fake_cpus_finish();
	assert_int_equal(fake_heap_live, 0);
	return 0;
}

/* Lets a CPU handle what is pending on it. */
static void pass(unsigned cpu)
{
	fake_cpu_enter(cpu);
	softirq_process();
}

/* Time goes on to `until`; hardware timers fire on their way. */
static void run_until(unsigned cpu, uint64_t until)
{
	pass(cpu);
	while (this_cpu()->softirqs)
		pass(cpu);
	while (fake_programmed[cpu] <= until) {
		fake_now = MAX(fake_now, fake_programmed[cpu]);
		fake_programmed[cpu] = TIME_NEVER;
		fake_cpu_enter(cpu);
		timer_interrupt();
		pass(cpu);
	}
	fake_now = until;
}

static void timers_fire_in_order(void **state)
{
	(void)state;
	srand(2);
	for (unsigned i = 0; i < ARRAY_SIZE(timers); i++)
		timer_set(&timers[i], 2000 + (unsigned)rand() % 100000);
	run_until(0, 200000);
	assert_int_equal(total, ARRAY_SIZE(timers));
	for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
		assert_int_equal(fired[i], 1);
		assert_false(timer_is_set(&timers[i]));
	}
	assert_false(irqs_were_off);
	assert_int_equal(fake_programmed[0], TIME_NEVER);
}

static uint64_t late_by;

static void measure(void *data)
{
	late_by = fake_now - *(uint64_t *)data;
}

static void timers_are_exact(void **state)
{
	uint64_t deadline;
	struct timer t;

	(void)state;
	timer_init(&t, measure, &deadline, 0);
	late_by = 1;
	deadline = 123456;
	timer_set(&t, deadline);
	run_until(0, 123455);
	assert_int_equal(late_by, 1);
	run_until(0, 123456);
	assert_int_equal(late_by, 0);
	timer_finish(&t);
}

static void past_deadline_fires_at_once(void **state)
{
	(void)state;
	timer_set(&timers[0], 1);
	/* Not from within timer_set(): the caller may hold locks. */
	assert_int_equal(fired[0], 0);
	pass(0);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fake_programs, 0);
}

static void stop_and_set_again(void **state)
{
	(void)state;
	timer_set(&timers[0], 5000);
	timer_set(&timers[1], 6000);
	assert_true(timer_is_set(&timers[0]));
	timer_stop(&timers[0]);
	assert_false(timer_is_set(&timers[0]));
	timer_set(&timers[1], 9000);
	run_until(0, 8000);
	assert_int_equal(total, 0);
	timer_set(&timers[1], 8500);
	run_until(0, 8499);
	assert_int_equal(total, 0);
	run_until(0, 8500);
	assert_int_equal(fired[1], 1);
	timer_set(&timers[1], TIME_NEVER);
	assert_false(timer_is_set(&timers[1]));
	run_until(0, 1000000);
	assert_int_equal(total, 1);
}

/* The hardware is not written for deadlines that move back or are dropped: one spurious interrupt is cheaper. */
static void hardware_is_written_rarely(void **state)
{
	(void)state;
	timer_set(&timers[0], 50000);
	assert_int_equal(fake_programs, 1);
	for (unsigned i = 1; i < 100; i++)
		timer_set(&timers[0], 50000 + i * 10);
	timer_stop(&timers[0]);
	timer_set(&timers[0], 60000);
	assert_int_equal(fake_programs, 1);
	timer_set(&timers[1], 40000);
	assert_int_equal(fake_programs, 2);
	run_until(0, 59999);
	assert_int_equal(fired[0], 0);
	run_until(0, 60000);
	assert_int_equal(fired[0], 1);
}

/* Its interrupt may get lost: whoever looks before a halt finds that it is due, once. */
static void passed_deadline_is_seen_without_interrupt(void **state)
{
	(void)state;
	fake_cpu_enter(0);
	timer_set(&timers[0], 5000);
	timer_set(&timers[1], 9000);
	timer_check();
	assert_int_equal(this_cpu()->softirqs, 0);
	fake_now = 5000;
	timer_check();
	assert_int_equal(this_cpu()->softirqs, 1U << SOFTIRQ_TIMER);
	pass(0);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fake_programmed[0], 9000);
	timer_check();
	assert_int_equal(this_cpu()->softirqs, 0);
	/* The last one: nothing is due when the queue is empty. */
	fake_now = 9500;
	timer_check();
	pass(0);
	assert_int_equal(fired[1], 1);
	timer_check();
	assert_int_equal(this_cpu()->softirqs, 0);
}

static void other_cpu(void **state)
{
	(void)state;
	timer_init(&timers[0], expire, (void *)0, 2);
	fake_cpu_enter(0);
	timer_set(&timers[0], 5000);
	/* Only CPU 2 can program its timer. */
	assert_int_equal(fake_kicks[2], 1);
	assert_int_equal(fake_programmed[2], TIME_NEVER);
	assert_int_equal(fake_programmed[0], TIME_NEVER);
	pass(2);
	assert_int_equal(fake_programmed[2], 5000);
	fake_cpu_enter(0);
	timer_set(&timers[0], 7000);
	assert_int_equal(fake_kicks[2], 2);
	run_until(2, 7000);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired_on[0], 2);
}

static void migrate(void **state)
{
	(void)state;
	timer_set(&timers[0], 5000);
	timer_migrate(&timers[0], 1);
	assert_true(timer_is_set(&timers[0]));
	run_until(0, 6000);
	assert_int_equal(fired[0], 0);
	pass(1);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired_on[0], 1);

	/* One that is not armed, or was stopped, is not armed by the move. */
	timer_migrate(&timers[0], 2);
	timer_set(&timers[1], 9000);
	timer_stop(&timers[1]);
	timer_migrate(&timers[1], 2);
	run_until(2, 20000);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 0);
}

static void rearm(void *data)
{
	struct timer *t = data;

	total++;
	timer_set(t, fake_now);
}

/* A timer that sets itself to the past is run once in each pass, and others have their turn. */
static void rearming_does_not_starve(void **state)
{
	struct timer t;

	(void)state;
	timer_init(&t, rearm, &t, 0);
	timer_set(&t, 1);
	timer_set(&timers[0], 2);
	pass(0);
	pass(0);
	assert_int_equal(fired[0], 1);
	total = 0;
	pass(0);
	pass(0);
	assert_int_equal(total, 2);
	assert_int_equal(this_cpu()->softirqs, 1U << SOFTIRQ_TIMER);
	timer_finish(&t);
}

static struct timer *waiting_for;

static void other_cpu_returns(void)
{
	waiting_for->running = false;
}

/* timer_finish() waits for a function that runs on another CPU. */
static void finish_waits(void **state)
{
	(void)state;
	timers[0].running = true;
	waiting_for = &timers[0];
	fake_relax = other_cpu_returns;
	timer_finish(&timers[0]);
	assert_false(timers[0].running);
	fake_relax = NULL;
}

/* A timer that is still running on one CPU and was armed on another is not run twice at one time. */
static void never_runs_twice(void **state)
{
	(void)state;
	timers[0].running = true;
	timer_set(&timers[0], 1500);
	fake_now = 2000;
	fake_cpu_enter(0);
	timer_interrupt();
	pass(0);
	pass(0);
	assert_int_equal(fired[0], 0);
	timers[0].running = false;
	pass(0);
	assert_int_equal(fired[0], 1);
}

static void init_fails_without_memory(void **state)
{
	struct timer_queue *q = cpu_table[1]->timers;

	(void)state;
	fake_heap_fail_after = 0;
	assert_int_equal(timer_cpu_init(1), -ENOMEM);
	fake_heap_fail_after = -1;
	assert_ptr_equal(cpu_table[1]->timers, q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prioq_random_operations),
		cmocka_unit_test_setup_teardown(timers_fire_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(timers_are_exact, set_up, tear_down),
		cmocka_unit_test_setup_teardown(past_deadline_fires_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stop_and_set_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hardware_is_written_rarely, set_up, tear_down),
		cmocka_unit_test_setup_teardown(passed_deadline_is_seen_without_interrupt, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(other_cpu, set_up, tear_down),
		cmocka_unit_test_setup_teardown(migrate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rearming_does_not_starve, set_up, tear_down),
		cmocka_unit_test_setup_teardown(finish_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(never_runs_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(init_fails_without_memory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
