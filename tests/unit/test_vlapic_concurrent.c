// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the virtual local APIC: bits that other CPUs set while they are read.
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/vlapic_fixture.c tests/unit/fake_x86.c hypervisor/arch/x86/hvm/vlapic.c
// links: hypervisor/arch/x86/hvm/vlapic_timer.c hypervisor/arch/x86/hvm/vapic_message.c
// links: hypervisor/arch/x86/hvm/vioapic.c hypervisor/arch/x86/hvm/hvm_io.c hypervisor/arch/x86/hvm/mtrr.c
// libs: -lpthread
/* The C library's function of this name is not the hypervisor's. */
#define sched_yield libc_sched_yield
#include <pthread.h>
#undef sched_yield
#include <time.h>

#include "vlapic_fixture.h"

#define RAISES 200000

static unsigned stop_raising;

static void *raiser(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg, i;

	for (i = 0; i < RAISES; i++) {
		seed = seed * 1103515245 + 12345;
		vlapic_set_irq(vcpu(0), (uint8_t)(16 + (seed >> 16) % 64), seed >> 8 & 1);
	}
	__atomic_fetch_add(&stop_raising, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Each interrupt that went from not pending to pending kicked once, and is taken once: none lost, none made up. */
static void test_concurrent_raises(void **state)
{
	pthread_t threads[3];
	unsigned i, taken = 0;

	(void)state;
	stop_raising = 0;
	fake_events[0].kicks = 0;
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, raiser,
						(void *)(uintptr_t)(i + 1)),
				 0);
	for (;;) {
		bool last = __atomic_load_n(&stop_raising, __ATOMIC_SEQ_CST) == ARRAY_SIZE(threads);
		int vector;

		while ((vector = take(0)) >= 0) {
			taken++;
			wr(0, EOI, 0);
		}
		if (last)
			break;
	}
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(taken, fake_events[0].kicks);
	for (i = 0; i < 8; i++)
		assert_int_equal(rd(0, IRR + 16 * i), 0);
	assert_int_equal(vlapic_highest_irr(vcpu(0)), -1);
}

#define OFFERED 0x41

static unsigned posted;

static void *poster(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < RAISES; i++) {
		__atomic_fetch_add(&posted, 1, __ATOMIC_SEQ_CST);
		vlapic_set_irq(vcpu(0), OFFERED, false);
	}
	__atomic_store_n(&stop_raising, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* The guest takes what it was offered, and looks for work, long before the exit that shows it: no post goes unseen. */
static void test_raised_while_in_guest(void **state)
{
	unsigned seen = 0, turn = 0;
	pthread_t thread;

	(void)state;
	stop_raising = posted = 0;
	assert_int_equal(pthread_create(&thread, NULL, poster, NULL), 0);
	for (;;) {
		bool last = __atomic_load_n(&stop_raising, __ATOMIC_SEQ_CST);

		while (vlapic_deliverable(vcpu(0)) >= 0) {
			vlapic_offer(vcpu(0), OFFERED);
			if (turn++ % 3 == 0) {
				vlapic_withdraw(vcpu(0));
				continue;
			}
			seen = __atomic_load_n(&posted, __ATOMIC_SEQ_CST);
			vlapic_accept(vcpu(0), OFFERED);
			wr(0, EOI, 0);
		}
		if (last)
			break;
	}
	pthread_join(thread, NULL);
	assert_int_equal(seen, RAISES);
}

static void test_raised_again(void **state)
{
	(void)state;
	for (unsigned level = 0; level < 2; level++) {
		/* Before it is offered it merges, also if it is offered in vain. */
		vlapic_set_irq(vcpu(0), OFFERED, level);
		vlapic_set_irq(vcpu(0), OFFERED, level);
		vlapic_offer(vcpu(0), OFFERED);
		fake_events[0].kicks = 0;
		vlapic_set_irq(vcpu(0), OFFERED, level);
		assert_int_equal(fake_events[0].kicks, 1);
		vlapic_withdraw(vcpu(0));
		vlapic_offer(vcpu(0), OFFERED);
		vlapic_accept(vcpu(0), OFFERED);
		assert_false(pending(0, OFFERED));
		wr(0, EOI, 0);
		/* Once the guest may have it, the next one follows. */
		vlapic_set_irq(vcpu(0), OFFERED, level);
		vlapic_offer(vcpu(0), OFFERED);
		vlapic_set_irq(vcpu(0), OFFERED, level);
		vlapic_accept(vcpu(0), OFFERED);
		assert_true(pending(0, OFFERED));
		assert_int_equal(rd(0, TMR + 16 * (OFFERED / 32)) >> (OFFERED % 32) & 1, level);
		assert_int_equal(take(0), -1);
		wr(0, EOI, 0);
		assert_int_equal(take(0), OFFERED);
		wr(0, EOI, 0);
		assert_int_equal(take(0), -1);
	}
}

#define PAIRS 100000

static unsigned stuck, pairs_done;

static bool irr_word_empties(void)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		uint64_t word = 0;

		vlapic_mmio_read(vcpu(0), IRR + 0x10, 4, &word);
		if (word == 0)
			return true;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 5);
	return false;
}

static void *pair_raiser(void *arg)
{
	unsigned i;

	(void)arg;
	for (i = 0; i < PAIRS && !stuck; i++) {
		vlapic_set_irq(vcpu(0), 0x31, false);
		vlapic_set_irq(vcpu(0), 0x30, false);
		if (!irr_word_empties())
			__atomic_store_n(&stuck, 1, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&pairs_done, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* A bit that comes in while the last one of its word is taken out must not be overlooked. */
static void test_concurrent_last_bit_of_word(void **state)
{
	pthread_t thread;

	(void)state;
	stuck = pairs_done = 0;
	assert_int_equal(pthread_create(&thread, NULL, pair_raiser, NULL), 0);
	while (!__atomic_load_n(&pairs_done, __ATOMIC_SEQ_CST)) {
		while (take(0) >= 0)
			wr(0, EOI, 0);
	}
	pthread_join(thread, NULL);
	assert_int_equal(stuck, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_concurrent_raises),
		T(test_concurrent_last_bit_of_word),
		T(test_raised_while_in_guest),
		T(test_raised_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
