// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of softirqs and deferred work.
// links: hypervisor/common/work.c hypervisor/common/softirq.c
// links: hypervisor/arch/fake/fake.c hypervisor/common/page_owner.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arch/fake.h>
#include <bulkhead/domain.h>
#include <bulkhead/work.h>

void vcpu_kick(struct vcpu *v)
{
	(void)v;
	fail();
}

static unsigned runs, rcu_runs, rcu_cpu;

static int set_up(void **state)
{
	(void)state;
	fake_cpus_init(2);
	runs = rcu_runs = 0;
	assert_int_equal(work_cpu_init(0), 0);
	assert_int_equal(work_cpu_init(1), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_cpus_finish();
	assert_int_equal(fake_heap_live, 0);
	return 0;
}

static void count(struct work *w)
{
	(void)w;
	assert_false(fake_irqs_off);
	runs++;
}

static void runs_once(void **state)
{
	struct work a, b;

	(void)state;
	work_init(&a, count);
	work_init(&b, count);
	assert_true(work_queue(&a));
	assert_false(work_queue(&a));
	assert_true(work_queue(&b));
	assert_int_equal(runs, 0);
	softirq_process();
	assert_int_equal(runs, 2);
	softirq_process();
	assert_int_equal(runs, 2);
	assert_true(work_queue(&a));
	softirq_process();
	assert_int_equal(runs, 3);
}

static void again(struct work *w)
{
	if (++runs < 5)
		assert_true(work_queue(w));
}

static void may_queue_itself(void **state)
{
	struct work w;

	(void)state;
	work_init(&w, again);
	work_queue(&w);
	/* Once in each pass. */
	for (unsigned i = 1; i <= 5; i++) {
		softirq_process();
		assert_int_equal(runs, i);
	}
	softirq_process();
	assert_int_equal(runs, 5);
}

static void free_it(struct work *w)
{
	runs++;
	free(w);
}

static void may_free_itself(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct work *w = malloc(sizeof(*w));

		work_init(w, free_it);
		work_queue(w);
	}
	softirq_process();
	assert_int_equal(runs, 3);
}

static struct work second;

static void queue_second(struct work *w)
{
	(void)w;
	runs++;
	work_queue(&second);
}

static void may_queue_others(void **state)
{
	struct work w;

	(void)state;
	work_init(&w, queue_second);
	work_init(&second, count);
	work_queue(&w);
	softirq_process();
	softirq_process();
	assert_int_equal(runs, 2);
}

static void stays_on_its_cpu(void **state)
{
	struct work w;

	(void)state;
	work_init(&w, count);
	fake_cpu_enter(1);
	work_queue(&w);
	fake_cpu_enter(0);
	softirq_process();
	assert_int_equal(runs, 0);
	/* Queued there: here, too, it is queued. */
	assert_false(work_queue(&w));
	fake_cpu_enter(1);
	softirq_process();
	assert_int_equal(runs, 1);
}

/* Queued with interrupts off, as in a handler: they stay off, and it runs with interrupts on. */
static void from_an_interrupt(void **state)
{
	struct work w;

	(void)state;
	work_init(&w, count);
	fake_irqs_off = true;
	work_queue(&w);
	assert_true(fake_irqs_off);
	fake_irqs_off = false;
	softirq_process();
	assert_int_equal(runs, 1);
}

static void on_rcu(void)
{
	rcu_runs++;
	rcu_cpu = cpu_id();
}

static void softirq_kicks_others_once(void **state)
{
	(void)state;
	softirq_register(SOFTIRQ_RCU, on_rcu);
	softirq_raise_on(0, SOFTIRQ_RCU);
	assert_int_equal(fake_kicks[0], 0);
	softirq_raise_on(1, SOFTIRQ_RCU);
	softirq_raise_on(1, SOFTIRQ_RCU);
	assert_int_equal(fake_kicks[1], 1);
	softirq_process();
	assert_int_equal(rcu_runs, 1);
	assert_int_equal(rcu_cpu, 0);
	fake_cpu_enter(1);
	softirq_process();
	assert_int_equal(rcu_runs, 2);
	assert_int_equal(rcu_cpu, 1);
	fake_cpu_enter(0);
	softirq_raise_on(1, SOFTIRQ_RCU);
	assert_int_equal(fake_kicks[1], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(runs_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(may_queue_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(may_free_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(may_queue_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stays_on_its_cpu, set_up, tear_down),
		cmocka_unit_test_setup_teardown(from_an_interrupt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(softirq_kicks_others_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
