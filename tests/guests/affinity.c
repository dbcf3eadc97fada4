// SPDX-License-Identifier: GPL-2.0-or-later
// Where a busy guest runs: only where it may (hard), and where it likes to be as long as there is room (soft).
// guests: busy
// machine: smp=2
#include "domu.h"

#define MS	1000000ul
#define LIMIT	20000000000ull
#define SAMPLES 40u

static long affinity(struct domu *d, unsigned int flags, uint8_t hard, uint8_t soft)
{
	struct xen_domctl op = {.u.vcpuaffinity = {.flags = flags,
						   .cpumap_hard.nr_bits = 2,
						   .cpumap_soft.nr_bits = 2}};
	static uint8_t maps[2];

	maps[0] = hard;
	maps[1] = soft;
	set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, &maps[0]);
	set_xen_guest_handle(op.u.vcpuaffinity.cpumap_soft.bitmap, &maps[1]);
	return domctl(&op, XEN_DOMCTL_setvcpuaffinity, d->id);
}

/* How often it was seen on CPU 1. */
static unsigned int seen_on_1(struct domu *d)
{
	unsigned int n = 0;

	dom0_sleep(50 * MS);
	for (unsigned int i = 0; i < SAMPLES; i++) {
		struct xen_domctl op = {.u.getvcpuinfo.vcpu = 0};

		if (!domctl(&op, XEN_DOMCTL_getvcpuinfo, d->id))
			n += op.u.getvcpuinfo.cpu == 1;
		dom0_sleep(2 * MS);
	}
	return n;
}

static long start(struct domu *d)
{
	long error = domu_create(d, &(struct domu_config){.kernel = "busy", .words = ""});

	return error ? error : domu_unpause(d);
}

GUEST_TEST(hard)
{
	static struct domu d;
	unsigned int n;

	CHECK(!start(&d), "the guest cannot be started");
	CHECK(!affinity(&d, XEN_VCPUAFFINITY_HARD, 2, 0), "CPU 1");
	n = seen_on_1(&d);
	CHECK(n == SAMPLES, "%u of %u times on CPU 1", n, SAMPLES);
	CHECK(!affinity(&d, XEN_VCPUAFFINITY_HARD, 1, 0), "CPU 0");
	n = seen_on_1(&d);
	CHECK(n == 0, "%u times on CPU 1", n);
	CHECK(!domu_destroy(&d), "destroy");
}

GUEST_TEST(soft)
{
	static struct domu d, other;
	uint64_t before, after;
	struct xen_domctl_getdomaininfo info;
	unsigned int n;

	CHECK(!start(&d), "the guest cannot be started");
	CHECK(!affinity(&d, XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT, 3, 2), "soft");
	n = seen_on_1(&d);
	CHECK(n > SAMPLES / 2, "%u of %u times on CPU 1, which is free", n, SAMPLES);
	/* Where it likes to be there is another one that may be nowhere else: together they use both. */
	CHECK(!start(&other), "the other guest cannot be started");
	CHECK(!affinity(&other, XEN_VCPUAFFINITY_HARD, 2, 0), "CPU 1");
	dom0_sleep(200 * MS);
	domu_info(d.id, &info);
	before = info.cpu_time;
	dom0_sleep(500 * MS);
	domu_info(d.id, &info);
	after = info.cpu_time;
	CHECK(after - before > 350 * MS, "%lu ms of 500 beside another", (after - before) / MS);
	CHECK(!domu_destroy(&d) && !domu_destroy(&other), "destroy");
}
