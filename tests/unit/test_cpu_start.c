// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the meeting of the boot CPU and one that starts, which are threads here.
// links: hypervisor/arch/x86/cpu_start.c
// libs: -lpthread
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arch/cpu_start.h>

static void comes_in_time(void **state)
{
	(void)state;
	cpu_start_expect();
	assert_false(cpu_start_has_come());
	assert_true(cpu_start_come());
	assert_true(cpu_start_has_come());
	/* It came between the last look and the end of the patience. */
	assert_false(cpu_start_give_up());
	assert_true(cpu_start_has_come());
}

static void comes_late(void **state)
{
	(void)state;
	cpu_start_expect();
	assert_true(cpu_start_give_up());
	assert_false(cpu_start_has_come());
	/* Its number may be another CPU's by now. */
	assert_false(cpu_start_come());
	assert_false(cpu_start_has_come());
	assert_false(cpu_start_come());
}

static void comes_uncalled(void **state)
{
	(void)state;
	cpu_start_expect();
	assert_true(cpu_start_come());
	/* A second one that woke with it. */
	assert_false(cpu_start_come());
}

/* ---- At the same time ---- */

#define ROUNDS 2000

static pthread_barrier_t barrier;
static bool came;

static void *other_cpu(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&barrier);
		came = cpu_start_come();
		pthread_barrier_wait(&barrier);
	}
	return arg;
}

static void both_agree(void **state)
{
	pthread_t t;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	assert_int_equal(pthread_create(&t, NULL, other_cpu, NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		bool given_up;

		cpu_start_expect();
		pthread_barrier_wait(&barrier);
		given_up = cpu_start_give_up();
		pthread_barrier_wait(&barrier);
		assert_int_equal(given_up, !came);
		assert_int_equal(cpu_start_has_come(), came);
	}
	assert_int_equal(pthread_join(t, NULL), 0);
	pthread_barrier_destroy(&barrier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_in_time),
		cmocka_unit_test(comes_late),
		cmocka_unit_test(comes_uncalled),
		cmocka_unit_test(both_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
