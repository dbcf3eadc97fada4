// SPDX-License-Identifier: GPL-2.0-or-later
// Populate-on-demand: guests that see more memory than they have.
// guests: toucher
#include "domu.h"
#include <xen/memory.h>
#include <xen/sched.h>

#define LIMIT	   120000000000ull
#define MIB_PAGES  256u
/* What a guest has beyond its memory: the page of its console. */
#define SPECIAL	   1u
#define TARGET_MIB 32u

static long pod_target(struct domu *d, unsigned int cmd, uint64_t pages, struct xen_pod_target *ret)
{
	*ret = (struct xen_pod_target){.target_pages = pages, .domid = d->id};
	return hypercall2(__HYPERVISOR_memory_op, cmd, ADDRESS(ret));
}

static long create(struct domu *d, const char *words)
{
	return domu_create(d, &(struct domu_config){.kernel = "toucher",
						    .words = words,
						    .mib = 64,
						    .target_mib = TARGET_MIB});
}

/* How a guest of 32 MiB that sees 64 ends. */
static int end_of(const char *words, struct xen_pod_target *ret)
{
	struct domu d;
	int reason = -2;

	if (!create(&d, words) && !domu_unpause(&d)) {
		reason = domu_wait_shutdown(&d, LIMIT);
		if (pod_target(&d, XENMEM_get_pod_target, 0, ret))
			reason = -3;
		if (reason == SHUTDOWN_poweroff && (!d.mailbox->to_dom0[0] || d.failures))
			reason = -4;
	}
	domu_destroy(&d);
	return reason;
}

GUEST_TEST(accounting)
{
	uint64_t before = dom0_settled_free_pages(), after;
	struct xen_domctl_getdomaininfo info;
	struct xen_pod_target t;
	struct domu d;

	CHECK(!create(&d, "mib=64"), "cannot be created");
	CHECK(domu_info(d.id, &info), "no information");
	VALUE("pages of its %lu", (uint64_t)info.tot_pages);
	CHECK(info.tot_pages == TARGET_MIB * MIB_PAGES + SPECIAL, "%lu pages",
	      (uint64_t)info.tot_pages);
	CHECK(!pod_target(&d, XENMEM_get_pod_target, 0, &t), "no target");
	VALUE("target tot_pages %lu", t.tot_pages);
	CHECK(t.pod_entries >= 56 * MIB_PAGES && t.pod_entries < 64 * MIB_PAGES, "%lu entries",
	      t.pod_entries);
	CHECK(t.pod_cache_pages + 64 * MIB_PAGES - t.pod_entries == TARGET_MIB * MIB_PAGES,
	      "%lu in the cache, %lu entries", t.pod_cache_pages, t.pod_entries);
	after = dom0_settled_free_pages();
	CHECK(before - after >= TARGET_MIB * MIB_PAGES &&
		      before - after < (TARGET_MIB + 8) * MIB_PAGES,
	      "%lu pages are taken", before - after);
	CHECK(!domu_destroy(&d), "cannot be destroyed");
	CHECK(dom0_wait_free_pages(before) == before, "%lu pages are missing",
	      before - dom0_free_pages());
}

/* It may not be more than the limit, has to be somebody else's, and less than there is changes nothing. */
GUEST_TEST(targets)
{
	struct xen_pod_target t;
	struct domu d;

	CHECK(!create(&d, "mib=64"), "cannot be created");
	VALUE("beyond maximum %ld",
	      pod_target(&d, XENMEM_set_pod_target, (TARGET_MIB + 2) * MIB_PAGES, &t));
	VALUE("less than it-has %ld", pod_target(&d, XENMEM_set_pod_target, 8 * MIB_PAGES, &t));
	CHECK(!pod_target(&d, XENMEM_get_pod_target, 0, &t), "no target");
	VALUE("less pages-then %lu", t.tot_pages);
	VALUE("more than it-has %ld",
	      pod_target(&d, XENMEM_set_pod_target, TARGET_MIB * MIB_PAGES + 100, &t));
	CHECK(!pod_target(&d, XENMEM_get_pod_target, 0, &t), "no target");
	VALUE("more pages-then %lu", t.tot_pages);
	CHECK(!domu_destroy(&d), "cannot be destroyed");
	VALUE("no such-domain %ld",
	      pod_target(&(struct domu){.id = 77}, XENMEM_set_pod_target, 1, &t));
}

GUEST_TEST(not_for_oneself)
{
	xen_pfn_t frame = 0x50000;
	struct xen_memory_reservation op = {.nr_extents = 1,
					    .mem_flags = XENMEMF_populate_on_demand,
					    .domid = DOMID_SELF};

	set_xen_guest_handle(op.extent_start, &frame);
	VALUE("of one's-own %ld",
	      hypercall2(__HYPERVISOR_memory_op, XENMEM_populate_physmap, ADDRESS(&op)));
}

GUEST_TEST(less_than_it_has)
{
	struct xen_pod_target t;

	VALUE("less ends %d", end_of("mib=64 write=20 buffer", &t));
}

GUEST_TEST(more_than_it_has)
{
	struct xen_pod_target t;

	VALUE("more ends %d", end_of("mib=64 write=40", &t));
}

/* What was only looked at still holds zeros, and can be taken back. */
GUEST_TEST(all_is_read)
{
	struct xen_pod_target t;

	VALUE("read ends %d", end_of("mib=64 read write=8", &t));
}

/* A balloon driver gives back what it was promised too much, and what it has is enough for the rest. */
GUEST_TEST(balloon)
{
	struct xen_pod_target t;

	VALUE("balloon ends %d", end_of("mib=64 give=32 write=14", &t));
	VALUE("balloon pages-then %lu", t.tot_pages);
	CHECK(t.pod_entries == t.pod_cache_pages, "%lu entries, %lu in the cache", t.pod_entries,
	      t.pod_cache_pages);
}

GUEST_TEST(more_than_is_left)
{
	struct xen_pod_target t;

	VALUE("give-more ends %d", end_of("mib=64 give=40 write=6", &t));
	VALUE("give-more pages-then %lu", t.tot_pages);
}
