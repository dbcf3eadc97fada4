// SPDX-License-Identifier: GPL-2.0-or-later
// Events whose delivery meets a nested page fault: the guest's stack is memory that it gets when it is touched, and the first to
// touch it is the CPU that delivers. The exit cuts the delivery short (APM vol. 2, 15.7.2), and nothing of it may get lost.
// guests: untouched
#include "domu.h"
#include <xen/memory.h>
#include <xen/sched.h>

#define LIMIT	   120000000000ull
#define STACKS_MIN 12u

static long pod_entries(domid_t id, uint64_t *ret_entries)
{
	struct xen_pod_target t = {.domid = id};
	long error = hypercall2(__HYPERVISOR_memory_op, XENMEM_get_pod_target, ADDRESS(&t));

	*ret_entries = t.pod_entries;
	return error;
}

GUEST_TEST(delivery_to_untouched_stacks)
{
	static struct domu d;
	const struct domu_config config = {
		.kernel = "untouched", .words = "", .mib = 96, .target_mib = 64, .speaks = true};
	uint64_t before, after, stacks;
	long error = domu_create(&d, &config);

	CHECK(!error, "cannot be built: %ld", error);
	CHECK(!domu_unpause(&d), "cannot be started");
	CHECK(domu_wait_word(&d, 0, LIMIT) == 1, "it does not begin");
	CHECK(!pod_entries(d.id, &before), "no target");
	d.mailbox->to_guest[0] = 1;
	CHECK(domu_wait_shutdown(&d, LIMIT) == SHUTDOWN_poweroff, "it does not end");
	CHECK(!pod_entries(d.id, &after), "no target");
	stacks = d.mailbox->to_dom0[1];
	CHECK(stacks >= STACKS_MIN, "only %lu stacks were used", stacks);
	/* Each was new indeed. */
	VALUE("entries per-stack %lu", (before - after) / stacks);
	CHECK(before - after >= stacks, "%lu entries are gone for %lu stacks", before - after,
	      stacks);
	CHECK(d.results && !d.failures, "%u results, %u failures", d.results, d.failures);
	CHECK(!domu_destroy(&d), "cannot be destroyed");
}
