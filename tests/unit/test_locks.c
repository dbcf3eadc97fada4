// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the locks, on CPUs that are threads: nobody is inside together with a writer.
// cflags: -include tests/unit/thread_cpu.h
// libs: -lpthread
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include <bulkhead/spinlock.h>

#define THREADS 4
#define ROUNDS	3000

_Thread_local struct cpu *thread_this_cpu;
_Thread_local bool thread_irqs_off;

static spinlock_t spin;
static rwlock_t rw;
/* Changed together by writers only; plain, so that a lock that fails shows. */
static volatile uint64_t first, second;
static unsigned readers_inside, torn;
static pthread_barrier_t barrier;

static void change(void)
{
	uint64_t v = first;

	first = v + 1;
	sched_yield();
	second = v + 1;
}

static void *spin_user(void *arg)
{
	bool try = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (try && i % 2) {
			while (!spin_trylock(&spin))
				arch_cpu_relax();
		} else {
			spin_lock(&spin);
		}
		if (first != second)
			__atomic_fetch_add(&torn, 1, __ATOMIC_RELAXED);
		change();
		spin_unlock(&spin);
	}
	return NULL;
}

static void *writer(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		write_lock(&rw);
		if (first != second || __atomic_load_n(&readers_inside, __ATOMIC_RELAXED))
			__atomic_fetch_add(&torn, 1, __ATOMIC_RELAXED);
		change();
		write_unlock(&rw);
	}
	return NULL;
}

static void *reader(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		read_lock(&rw);
		__atomic_fetch_add(&readers_inside, 1, __ATOMIC_RELAXED);
		if (first != second)
			__atomic_fetch_add(&torn, 1, __ATOMIC_RELAXED);
		__atomic_fetch_sub(&readers_inside, 1, __ATOMIC_RELAXED);
		read_unlock(&rw);
	}
	return NULL;
}

static void run(void *(*const fn[THREADS])(void *), void *const arg[THREADS])
{
	pthread_t t[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, fn[i], arg[i]), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(torn, 0);
	assert_int_equal(first, second);
}

static int setup(void **state)
{
	(void)state;
	spin_init(&spin);
	rw_init(&rw);
	first = second = 0;
	readers_inside = torn = 0;
	thread_cpus_may_stop = false;
	return 0;
}

static void spinlocks(void **state)
{
	void *(*const fn[THREADS])(void *) = {spin_user, spin_user, spin_user, spin_user};
	void *const arg[THREADS] = {NULL, NULL, &spin, &spin};

	(void)state;
	run(fn, arg);
	assert_int_equal(first, THREADS * ROUNDS);
	assert_false(spin_is_locked(&spin));
	/* Without the queue of tickets. */
	thread_cpus_may_stop = true;
	run(fn, arg);
	assert_int_equal(first, 2 * THREADS * ROUNDS);
	assert_false(spin_is_locked(&spin));
}

static void readers_and_writers(void **state)
{
	void *(*const fn[THREADS])(void *) = {writer, reader, writer, reader};
	void *const arg[THREADS] = {NULL};

	(void)state;
	run(fn, arg);
	assert_int_equal(first, 2 * ROUNDS);
	assert_int_equal(rw.state, 0);
}

/* They meet inside: with a lock for one at a time this would not end. */
static void *meet(void *arg)
{
	(void)arg;
	read_lock(&rw);
	pthread_barrier_wait(&barrier);
	read_unlock(&rw);
	return NULL;
}

static void readers_do_not_wait_for_each_other(void **state)
{
	void *(*const fn[THREADS])(void *) = {meet, meet, meet, meet};
	void *const arg[THREADS] = {NULL};

	(void)state;
	assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
	run(fn, arg);
	pthread_barrier_destroy(&barrier);
	assert_int_equal(rw.state, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(spinlocks, setup),
		cmocka_unit_test_setup(readers_and_writers, setup),
		cmocka_unit_test_setup(readers_do_not_wait_for_each_other, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
