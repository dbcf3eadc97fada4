// SPDX-License-Identifier: GPL-2.0-or-later
// Hard affinity on two CPUs: a busy guest goes where it may run, also away from where it runs, and is seen nowhere else.
// guests: busy
// machine: smp=2
#include "domu.h"

#define MS     1000000ul
/* Each with the guest at work in between. */
#define LOOKS  50u
/* For what is to happen: it ends a run that cannot go on. */
#define LIMIT  (60000 * MS)
#define NO_CPU 99u

static struct domu guest;

static long allow(uint8_t cpus)
{
	struct xen_domctl op = {
		.u.vcpuaffinity = {.flags = XEN_VCPUAFFINITY_HARD, .cpumap_hard.nr_bits = 2}};
	static uint8_t map;

	map = cpus;
	set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, &map);
	return domctl(&op, XEN_DOMCTL_setvcpuaffinity, guest.id);
}

static unsigned int cpu_of_guest(void)
{
	struct xen_domctl op = {.u.getvcpuinfo.vcpu = 0};

	return domctl(&op, XEN_DOMCTL_getvcpuinfo, guest.id) ? NO_CPU : op.u.getvcpuinfo.cpu;
}

/* Until the guest has counted on, so that it did run since the last look. */
static bool goes_on(uint64_t end)
{
	volatile uint64_t *counter = &guest.mailbox->to_dom0[1];
	uint64_t before = *counter;

	while (*counter == before && time_now() < end)
		dom0_sleep(MS);
	return *counter != before;
}

/* Once it has come to the only CPU that it may use, it is there whenever one looks. */
static void stays_on(unsigned int cpu)
{
	uint64_t end = time_now() + LIMIT;

	CHECK(!allow((uint8_t)(1u << cpu)), "CPU %u cannot be made the only one", cpu);
	while (cpu_of_guest() != cpu && time_now() < end)
		dom0_sleep(MS);
	for (unsigned int i = 0; i < LOOKS; i++) {
		unsigned int now;

		CHECK(goes_on(end), "CPU %u: it stands still", cpu);
		now = cpu_of_guest();
		CHECK(now == cpu, "CPU %u is allowed, it is on CPU %u", cpu, now);
	}
}

GUEST_TEST(hard_affinity)
{
	long error = domu_create(&guest, &(struct domu_config){.kernel = "busy", .words = ""});

	CHECK(!error, "the guest cannot be built: %ld", error);
	CHECK(!allow(2), "before its start");
	CHECK(!domu_unpause(&guest), "unpause");
	CHECK(domu_wait_word(&guest, 0, LIMIT), "it does not start");
	stays_on(1);
	stays_on(0);
	stays_on(1);
	CHECK(!allow(3), "both CPUs");
	CHECK(goes_on(time_now() + LIMIT), "it stands still");
	CHECK(!domu_destroy(&guest), "destroy");
}
