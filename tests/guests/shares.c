// SPDX-License-Identifier: GPL-2.0-or-later
// How busy guests share one CPU: by their weights, within their caps, and whatever one of them does to the hypervisor.
// guests: busy
// machine: icount
#include "domu.h"

#define SECOND 1000000000ull
#define LIMIT  (20 * SECOND)

static struct domu a, b;

/* 0 or a negative error. */
static long start(struct domu *d, const char *words, unsigned int weight, unsigned int cap)
{
	long error = domu_create(d, &(struct domu_config){.kernel = "busy", .words = words});
	struct xen_domctl op = {.u.scheduler_op = {.sched_id = XEN_SCHEDULER_CREDIT2,
						   .cmd = XEN_DOMCTL_SCHEDOP_putinfo,
						   .u.credit2 = {.weight = (uint16_t)weight,
								 .cap = (uint16_t)cap}}};

	if (!error)
		error = domctl(&op, XEN_DOMCTL_scheduler_op, d->id);
	if (!error)
		error = domu_unpause(d);
	if (!error && !domu_wait_word(d, 0, LIMIT))
		error = -110;
	return error;
}

static uint64_t used(struct domu *d)
{
	struct xen_domctl_getdomaininfo info;

	return domu_info(d->id, &info) ? info.cpu_time : 0;
}

/* Of a stretch of time, in thousandths of one CPU; each may be NULL. */
static void measure(uint64_t time, uint64_t *ret_a, uint64_t *ret_b)
{
	uint64_t a0, b0, begun;

	/* What they had to catch up with is behind them by then. */
	dom0_sleep(SECOND / 4);
	begun = time_now();
	a0 = used(&a);
	b0 = used(&b);
	dom0_sleep(time);
	time = time_now() - begun;
	*ret_a = (used(&a) - a0) * 1000 / time;
	*ret_b = (used(&b) - b0) * 1000 / time;
	guest_print("%lu and %lu thousandths", *ret_a, *ret_b);
}

static void end(void)
{
	domu_destroy(&a);
	domu_destroy(&b);
}

GUEST_TEST(weights)
{
	uint64_t of_a, of_b;

	CHECK(!start(&a, "", 256, 0), "the first guest cannot be started");
	CHECK(!start(&b, "", 512, 0), "the second guest cannot be started");
	measure(2 * SECOND, &of_a, &of_b);
	end();
	CHECK(of_a + of_b > 950, "the CPU was idle: %lu and %lu", of_a, of_b);
	CHECK(of_b * 100 >= of_a * 190 && of_b * 100 <= of_a * 210, "%lu and %lu, not 1 to 2", of_a,
	      of_b);
}

GUEST_TEST(cap)
{
	uint64_t of_a, of_b;

	CHECK(!start(&a, "", 256, 25), "the guest cannot be started");
	measure(2 * SECOND, &of_a, &of_b);
	CHECK(of_a >= 230 && of_a <= 270, "%lu thousandths alone", of_a);
	/* Beside one that would take all. */
	CHECK(!start(&b, "", 256, 0), "the second guest cannot be started");
	measure(2 * SECOND, &of_a, &of_b);
	end();
	CHECK(of_a >= 230 && of_a <= 270, "%lu thousandths beside another", of_a);
	CHECK(of_b >= 700, "%lu thousandths are left for the other", of_b);
}

/* Rounds that the first guest counts in a stretch of time. */
static uint64_t rounds(uint64_t time)
{
	volatile uint64_t *counter = &a.mailbox->to_dom0[1];
	uint64_t before;

	dom0_sleep(SECOND / 4);
	before = *counter;
	dom0_sleep(time);
	return *counter - before;
}

/*
 * Whatever another guest makes the hypervisor do: a fair share is a half, and nine tenths of it are left. What counts is
 * what the guest gets done, not what it is charged with.
 */
static void beside_storm(const char *words)
{
	uint64_t alone, beside;

	CHECK(!start(&a, "", 256, 0), "the guest cannot be started");
	alone = rounds(SECOND / 2);
	CHECK(!start(&b, words, 256, 0), "the other guest cannot be started");
	beside = rounds(SECOND);
	end();
	guest_print("%s: %lu rounds alone, %lu beside it", words, alone * 2, beside);
	CHECK(beside * 10 >= alone * 9, "%lu of %lu rounds are left", beside, alone * 2);
}

GUEST_TEST(storm_of_interrupts)
{
	beside_storm("storm=1");
}

GUEST_TEST(storm_of_exits)
{
	beside_storm("storm=2");
}

GUEST_TEST(storm_of_memory)
{
	beside_storm("storm=3");
}

GUEST_TEST(storm_of_naps)
{
	beside_storm("storm=4");
}
