// SPDX-License-Identifier: GPL-2.0-or-later
// Two guests that grant, map, copy and notify; what they find is theirs to say, in the order of their steps.
// guests: granter user
#include "domu.h"
#include "domu/pair.h"

#define LIMIT 60000000000ull

static struct domu granter, user;

/* Words of one guest for the other. */
static void pass(struct domu *from, struct domu *to)
{
	if (!from->mailbox || !to->mailbox)
		return;
	for (unsigned int i = WORD_PORT; i < 32; i++) {
		/* The step says that all before it is there: it goes last. */
		if (i != WORD_STEP)
			to->mailbox->to_guest[i] = from->mailbox->to_dom0[i];
	}
	to->mailbox->to_guest[WORD_STEP] = from->mailbox->to_dom0[WORD_STEP];
}

static int ended(struct domu *d)
{
	struct xen_domctl_getdomaininfo info;

	return domu_info(d->id, &info) && (info.flags & XEN_DOMINF_shutdown);
}

/* Runs both until the condition holds. */
static bool run_until(bool (*done)(void))
{
	uint64_t end = time_now() + LIMIT;

	while (!done()) {
		if (time_now() > end)
			return false;
		pass(&granter, &user);
		pass(&user, &granter);
		domu_drain(&granter);
		domu_drain(&user);
		dom0_sleep(500000);
	}
	domu_drain(&granter);
	domu_drain(&user);
	return true;
}

static bool granter_ended(void)
{
	return ended(&granter);
}

static bool let_go(void)
{
	return user.mailbox->to_dom0[WORD_LET_GO];
}

static bool user_ended(void)
{
	return ended(&user);
}

GUEST_TEST(pair)
{
	struct xen_domctl kill = {0};
	struct xen_domctl_getdomaininfo info;
	long error;

	error = domu_create(&granter, &(struct domu_config){.kernel = "granter",
							    .words = "",
							    .max_grant_frames = 2,
							    .speaks = true});
	CHECK(!error, "granter: %ld", error);
	error = domu_create(&user, &(struct domu_config){.kernel = "user",
							 .words = "",
							 .max_maptrack_frames = 1,
							 .speaks = true});
	CHECK(!error, "user: %ld", error);
	granter.mailbox->to_guest[WORD_PEER] = user.id;
	user.mailbox->to_guest[WORD_PEER] = granter.id;
	domu_unpause(&granter);
	domu_unpause(&user);
	CHECK(run_until(granter_ended), "the granter does not end");
	/* Dead, but with a page that is in use elsewhere. */
	dom0_unmap(granter.slot, 1);
	dom0_unmap(granter.slot + 1, 1);
	granter.mailbox = NULL;
	granter.console = NULL;
	CHECK(!domctl(&kill, XEN_DOMCTL_destroydomain, granter.id), "destroy");
	dom0_sleep(20000000);
	CHECK(domu_info(granter.id, &info), "it is gone, with a page in use");
	VALUE("zombie dying: %d pages %lu", !!(info.flags & XEN_DOMINF_dying), info.tot_pages);
	user.mailbox->to_guest[WORD_DEAD] = 1;
	CHECK(run_until(let_go), "the user does not let go");
	for (unsigned int i = 0; i < 100 && domu_info(granter.id, &info); i++)
		dom0_sleep(20000000);
	CHECK(!domu_info(granter.id, &info), "it stays when nothing of it is in use");
	user.mailbox->to_guest[WORD_END] = 1;
	CHECK(run_until(user_ended), "the user does not end");
	CHECK(!domu_destroy(&user), "destroy");
}
