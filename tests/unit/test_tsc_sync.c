// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the comparison of TSCs: bounds, verdicts, and the talk of two CPUs, which are threads here.
// libs: -lpthread
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A machine with one clock that advances with each look at it; a CPU's TSC is at some distance, and may run faster. */
static uint64_t clock_ticks;
static _Thread_local int64_t distance;
static _Thread_local unsigned faster;

static uint64_t rdtsc(void)
{
	uint64_t t = __atomic_add_fetch(&clock_ticks, 100, __ATOMIC_SEQ_CST);

	return t + (uint64_t)distance + t * faster;
}

/* In place of <arch/cpu.h>. */
#define ARCH_CPU_H
#include <bulkhead/compiler.h>
static void arch_cpu_relax(void)
{
	sched_yield();
}

#include "../../hypervisor/arch/x86/tsc_sync.c"

struct other {
	int64_t distance;
	unsigned faster;
};

static void *other_cpu(void *arg)
{
	const struct other *o = arg;

	distance = o->distance;
	faster = o->faster;
	tsc_sync_answer();
	return NULL;
}

static struct tsc_bounds compare(int64_t at, unsigned rate)
{
	struct other o = {at, rate};
	struct tsc_bounds b;
	pthread_t t;

	/* The last round of the pair before is over. */
	turn = 0;
	assert_int_equal(pthread_create(&t, NULL, other_cpu, &o), 0);
	assert_true(tsc_sync_measure(&b, UINT64_MAX));
	tsc_sync_done();
	assert_int_equal(pthread_join(t, NULL), 0);
	return b;
}

static void bounds(void **state)
{
	struct tsc_bounds b;
	int64_t shift;

	(void)state;
	tsc_bounds_init(&b);
	assert_int_equal(tsc_bounds_judge(&b, &shift), TSC_SAME);
	tsc_bounds_add(&b, 1000, 1500, 2000);
	assert_int_equal(b.lo, -500);
	assert_int_equal(b.hi, 500);
	/* A longer round says nothing new, a shorter one does. */
	tsc_bounds_add(&b, 1000, 5000, 9000);
	assert_int_equal(b.lo, -500);
	assert_int_equal(b.hi, 500);
	tsc_bounds_add(&b, 1000, 1090, 1100);
	assert_int_equal(b.lo, -10);
	assert_int_equal(b.hi, 90);
	assert_int_equal(tsc_bounds_judge(&b, &shift), TSC_SAME);
	assert_int_equal(shift, 0);
}

static void verdicts(void **state)
{
	int64_t shift;

	(void)state;
	assert_int_equal(tsc_bounds_judge(&(struct tsc_bounds){0, 0}, &shift), TSC_SAME);
	assert_int_equal(tsc_bounds_judge(&(struct tsc_bounds){10, 20}, &shift), TSC_SHIFTED);
	assert_int_equal(shift, 15);
	assert_int_equal(tsc_bounds_judge(&(struct tsc_bounds){-20, -10}, &shift), TSC_SHIFTED);
	assert_int_equal(shift, -15);
	assert_int_equal(tsc_bounds_judge(&(struct tsc_bounds){20, 10}, &shift), TSC_DRIFTING);
	assert_int_equal(shift, 0);
}

static void same_clock(void **state)
{
	struct tsc_bounds b = compare(0, 0);
	int64_t shift;

	(void)state;
	assert_int_equal(tsc_bounds_judge(&b, &shift), TSC_SAME);
}

static void another_zero(void **state)
{
	static const int64_t at[] = {1L << 40, -(1L << 40)};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		struct tsc_bounds b = compare(at[i], 0);
		int64_t shift;

		assert_int_equal(tsc_bounds_judge(&b, &shift), TSC_SHIFTED);
		assert_true(b.lo <= at[i] && at[i] <= b.hi);
		/* Corrected by that, it is the same clock. */
		b = compare(at[i] - shift, 0);
		assert_true(b.lo <= 0 || b.hi >= 0);
	}
}

/* A clock that runs at twice the rate is at no distance. */
static void another_rate(void **state)
{
	struct tsc_bounds b;
	int64_t shift;

	(void)state;
	tsc_bounds_init(&b);
	for (uint64_t t = 1000; t < 100000; t += 1000)
		tsc_bounds_add(&b, t, 2 * (t + 50), t + 100);
	assert_int_equal(tsc_bounds_judge(&b, &shift), TSC_DRIFTING);
}

static void no_answer(void **state)
{
	struct tsc_bounds b = {1, 2};

	(void)state;
	assert_false(tsc_sync_measure(&b, 10000));
	assert_int_equal(b.lo, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds),	cmocka_unit_test(verdicts),
		cmocka_unit_test(same_clock),	cmocka_unit_test(another_zero),
		cmocka_unit_test(another_rate), cmocka_unit_test(no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
