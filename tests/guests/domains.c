// SPDX-License-Identifier: GPL-2.0-or-later
// Guests of this dom0: they are built, run, and leave nothing behind.
// guests: basics
#include "domu.h"
#include <xen/errno.h>
#include <xen/sched.h>

#define LIMIT 20000000000ull

GUEST_TEST(first_guest)
{
	static struct domu d;
	long error = domu_create(&d,
				 &(struct domu_config){.kernel = "basics", .words = "answer=42"});
	int reason;

	CHECK(!error, "cannot be built: %ld", error);
	error = domu_unpause(&d);
	CHECK(!error, "cannot be started: %ld", error);
	reason = domu_wait_shutdown(&d, LIMIT);
	CHECK(reason == SHUTDOWN_poweroff, "it ended by %d", reason);
	CHECK(d.mailbox->to_dom0[0] == 42, "it says %lu", d.mailbox->to_dom0[0]);
	CHECK(d.results && !d.failures, "%u results, %u failures", d.results, d.failures);
	error = domu_destroy(&d);
	CHECK(!error, "cannot be destroyed: %ld", error);
}

GUEST_TEST(memory_comes_back)
{
	static struct domu d;
	uint64_t free_before = 0, after;

	for (unsigned int i = 0; i < 4; i++) {
		long error = domu_create(&d, &(struct domu_config){.kernel = "basics",
								   .words = "answer=42"});

		CHECK(!error, "cannot be built: %ld", error);
		/* The second one runs to its end, the others die unborn. */
		if (i == 1) {
			CHECK(!domu_unpause(&d), "cannot be started");
			domu_wait_shutdown(&d, LIMIT);
		}
		error = domu_destroy(&d);
		CHECK(!error, "cannot be destroyed: %ld", error);
		if (!i)
			free_before = dom0_settled_free_pages();
	}
	after = dom0_wait_free_pages(free_before);
	CHECK(after == free_before, "%lu pages are free, %lu were", after, free_before);
}

/* What an image says of the guest's clock is anybody's: no number of it stops the hypervisor. */
GUEST_TEST(clock_of_an_image)
{
	static const uint64_t far[] = {1ull << 63, ~0ull};
	static struct domu d;
	struct xen_domctl op = {.u.tsc_info = {.elapsed_nsec = 1000000000}};
	long error = domu_create(&d, &(struct domu_config){.kernel = "basics"});

	CHECK(!error, "cannot be built: %ld", error);
	error = domctl(&op, XEN_DOMCTL_settscinfo, d.id);
	CHECK(!error, "a second: %ld", error);
	for (unsigned int i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		op = (struct xen_domctl){.u.tsc_info = {.elapsed_nsec = far[i]}};
		error = domctl(&op, XEN_DOMCTL_settscinfo, d.id);
		CHECK(!error || error == -XEN_EINVAL, "0x%lx ns: %ld", far[i], error);
	}
	op = (struct xen_domctl){0};
	error = domctl(&op, XEN_DOMCTL_gettscinfo, d.id);
	CHECK(!error, "it is not known any more: %ld", error);
	CHECK(!domu_destroy(&d), "cannot be destroyed");
}
