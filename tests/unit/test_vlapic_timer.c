// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the timer of the virtual local APIC.
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/vlapic_fixture.c tests/unit/fake_x86.c hypervisor/arch/x86/hvm/vlapic.c
// links: hypervisor/arch/x86/hvm/vlapic_timer.c hypervisor/arch/x86/hvm/vapic_message.c
// links: hypervisor/arch/x86/hvm/vioapic.c hypervisor/arch/x86/hvm/hvm_io.c hypervisor/arch/x86/hvm/mtrr.c
#include "vlapic_fixture.h"

static void test_timer_one_shot(void **state)
{
	(void)state;
	wr(0, TDCR, DIV_1);
	wr(0, LVTT, 0x50);
	wr(0, TMICT, 1000); /* of 10 ns */
	assert_int_equal(rd(0, TMCCT), 1000);
	fake_time_pass(4000);
	assert_int_equal(rd(0, TMCCT), 600);
	fake_time_pass(5990);
	assert_int_equal(rd(0, TMCCT), 1);
	assert_false(pending(0, 0x50));
	fake_time_pass(10);
	assert_true(pending(0, 0x50));
	assert_int_equal(rd(0, TMCCT), 0);
	assert_int_equal(take(0), 0x50);
	fake_time_pass(1000000);
	assert_false(pending(0, 0x50));
	assert_int_equal(fake_timers_armed(), 0);
	/* Again, and stopped in time. */
	wr(0, TMICT, 1000);
	fake_time_pass(9000);
	wr(0, TMICT, 0);
	fake_time_pass(9000);
	assert_false(pending(0, 0x50));
	assert_int_equal(rd(0, TMCCT), 0);
}

static void test_timer_dividers(void **state)
{
	static const struct {
		uint32_t tdcr, div;
	} table[] = {{0x0, 2},	{0x1, 4},  {0x2, 8},   {0x3, 16},
		     {0x8, 32}, {0x9, 64}, {0xa, 128}, {0xb, 1}};
	unsigned i;

	(void)state;
	wr(0, LVTT, 0x50);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		uint64_t start = fake_now;

		wr(0, TDCR, table[i].tdcr);
		wr(0, TMICT, 0xffffffff);
		fake_time_pass(0xfffffffeULL * table[i].div * 10);
		assert_int_equal(rd(0, TMCCT), 1);
		assert_false(pending(0, 0x50));
		fake_time_pass(table[i].div * 10);
		assert_int_equal(take(0), 0x50);
		assert_int_equal(fake_now - start, 0xffffffffULL * table[i].div * 10);
		wr(0, EOI, 0);
	}
	/* A new divider takes over from where the count is. */
	wr(0, TDCR, DIV_1);
	wr(0, TMICT, 1000);
	fake_time_pass(5000);
	wr(0, TDCR, DIV_2);
	assert_int_equal(rd(0, TMCCT), 500);
	fake_time_pass(9980);
	assert_int_equal(rd(0, TMCCT), 1);
	assert_false(pending(0, 0x50));
	fake_time_pass(20);
	assert_true(pending(0, 0x50));
}

static void test_timer_periodic(void **state)
{
	unsigned i;

	(void)state;
	wr(0, TDCR, DIV_1);
	wr(0, LVTT, 0x50 | PERIODIC);
	wr(0, TMICT, 100000); /* 1 ms */
	for (i = 1; i <= 5; i++) {
		fake_time_pass(999990);
		assert_int_equal(rd(0, TMCCT), 1);
		assert_int_equal(take(0), -1);
		fake_time_pass(10);
		assert_int_equal(take(0), 0x50);
		assert_int_equal(rd(0, TMCCT), 100000);
		wr(0, EOI, 0);
		assert_int_equal(fake_now, i * 1000000);
	}
	/* A late timer does not lose the phase. */
	fake_now += 3300000;
	fake_timers_run();
	assert_int_equal(take(0), 0x50);
	wr(0, EOI, 0);
	assert_int_equal(rd(0, TMCCT), 70000);
	fake_time_pass(700000);
	assert_int_equal(take(0), 0x50);
	wr(0, EOI, 0);
	/* To one-shot in the middle of a period: the last one. */
	fake_time_pass(500000);
	wr(0, LVTT, 0x50);
	fake_time_pass(500000);
	assert_int_equal(take(0), 0x50);
	wr(0, EOI, 0);
	fake_time_pass(5000000);
	assert_int_equal(take(0), -1);
	assert_int_equal(rd(0, TMCCT), 0);
}

static void test_timer_masked_counts_on(void **state)
{
	(void)state;
	wr(0, TDCR, DIV_1);
	wr(0, LVTT, 0x50 | MASKED);
	wr(0, TMICT, 1000);
	/* No timer of the machine runs for it. */
	assert_int_equal(fake_timers_armed(), 0);
	fake_time_pass(4000);
	assert_int_equal(rd(0, TMCCT), 600);
	wr(0, LVTT, 0x50);
	fake_time_pass(6000);
	assert_int_equal(take(0), 0x50);
	wr(0, EOI, 0);
	/* What expires while masked is lost. */
	wr(0, LVTT, 0x50 | MASKED);
	wr(0, TMICT, 1000);
	fake_time_pass(20000);
	wr(0, LVTT, 0x50);
	fake_time_pass(20000);
	assert_false(pending(0, 0x50));
	/* What expired before the mask is not. */
	wr(0, TMICT, 1000);
	fake_now += 20000;
	wr(0, LVTT, 0x51 | MASKED);
	assert_true(pending(0, 0x50));
	assert_false(pending(0, 0x51));
	assert_int_equal(take(0), 0x50);
	wr(0, EOI, 0);
	/* Periodic: the next period after unmasking. */
	wr(0, LVTT, 0x50 | MASKED | PERIODIC);
	wr(0, TMICT, 100000);
	fake_time_pass(5500000);
	assert_int_equal(rd(0, TMCCT), 50000);
	wr(0, LVTT, 0x50 | PERIODIC);
	assert_false(pending(0, 0x50));
	fake_time_pass(499990);
	assert_false(pending(0, 0x50));
	fake_time_pass(10);
	assert_true(pending(0, 0x50));
}

/* The load that a timer can put on the machine is bounded. */
static void test_timer_storm(void **state)
{
	unsigned taken = 0;

	(void)state;
	wr(0, TDCR, DIV_1);
	wr(0, LVTT, 0x50 | PERIODIC);
	wr(0, TMICT, 1);
	/* Nobody takes the interrupt: the timer stops after the second expiry. */
	fake_time_pass(NSEC_PER_SEC);
	assert_in_range(fake_timer_runs, 1, 2);
	assert_int_equal(fake_timers_armed(), 0);
	/* It is taken: on it goes, with at most one run in 100 us. */
	fake_timer_runs = 0;
	while (fake_now < 2 * NSEC_PER_SEC) {
		if (take(0) == 0x50) {
			taken++;
			wr(0, EOI, 0);
		}
		fake_time_pass(USEC(10));
	}
	assert_in_range(fake_timer_runs, 5000, 10001);
	assert_in_range(taken, 5000, 10002);
	wr(0, TMICT, 0);
	assert_int_equal(fake_timers_armed(), 0);
}

static void test_timer_stall_and_new_vector(void **state)
{
	(void)state;
	wr(0, TDCR, DIV_1);
	wr(0, LVTT, 0x50 | PERIODIC);
	wr(0, TMICT, 100000);
	fake_time_pass(10000000);
	assert_int_equal(fake_timers_armed(), 0);
	/* Another vector: the timer must not wait for the old one. */
	wr(0, LVTT, 0x60 | PERIODIC);
	fake_time_pass(1000000);
	assert_true(pending(0, 0x60));
	/* A paused guest comes back after long: one interrupt is pending, then one each period. */
	fake_time_pass(NSEC_PER_SEC);
	assert_int_equal(take(0), 0x60);
	wr(0, EOI, 0);
	while (take(0) >= 0)
		wr(0, EOI, 0);
	fake_time_pass(1000000);
	assert_int_equal(take(0), 0x60);
	wr(0, EOI, 0);
	assert_int_equal(take(0), -1);
}

static void test_timer_disabled_and_moved(void **state)
{
	(void)state;
	wr(0, LVTT, 0x50 | PERIODIC);
	wr(0, TMICT, 100000);
	assert_int_equal(fake_timers_armed(), 1);
	wr(0, SVR, 0xff);
	assert_int_equal(rd(0, LVTT), 0x50 | PERIODIC | MASKED);
	assert_int_equal(fake_timers_armed(), 0);
	wr(0, SVR, 0x1ff);
	wr(0, LVTT, 0x50 | PERIODIC);
	assert_int_equal(fake_timers_armed(), 1);
	/* The timer follows the vCPU when it is armed again. */
	vcpu(0)->cpu = 3;
	fake_time_pass(2000000);
	assert_true(pending(0, 0x50));
	assert_int_equal(fake_timer_cpu, 3);
	vlapic_init_reset(vcpu(0));
	assert_int_equal(fake_timers_armed(), 0);
	assert_false(pending(0, 0x50));
	/* An illegal vector: an error, no interrupt. */
	wr(0, SVR, 0x1ff);
	wr(0, LVTT, 0x08);
	wr(0, TMICT, 100);
	fake_time_pass(10000);
	assert_int_equal(vlapic_highest_irr(vcpu(0)), -1);
	wr(0, ESR, 0);
	assert_int_equal(rd(0, ESR), 0x40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_timer_one_shot),
		T(test_timer_dividers),
		T(test_timer_periodic),
		T(test_timer_masked_counts_on),
		T(test_timer_storm),
		T(test_timer_stall_and_new_vector),
		T(test_timer_disabled_and_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
