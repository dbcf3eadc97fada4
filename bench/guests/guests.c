// SPDX-License-Identifier: GPL-2.0-or-later
// What guests cost: to build one of 256 MiB and to end it, memory beside its own, and what two of them do with each other.
// guests: partner
#include "domu.h"

#define MIB	256u
#define LIMIT	20000000000ull
#define PAGES	64u
#define IDLE	1000000000ull
#define SEVERAL 5u

static void measured(const char *name, uint64_t value)
{
	guest_print("BENCH %s %lu", name, value);
}

GUEST_TEST(one)
{
	static struct domu d;
	uint64_t before = 0, begun;

	/*
	 * The first one pays for what is made once. The second one gets memory that the first one had: idle CPUs have
	 * cleaned it by then, here as there.
	 */
	for (unsigned int i = 0; i < 2; i++) {
		dom0_sleep(IDLE);
		before = dom0_free_pages();
		begun = time_now();
		CHECK(!domu_create(&d, &(struct domu_config){.kernel = "partner",
							     .words = "server",
							     .mib = MIB}),
		      "create");
		CHECK(!domu_unpause(&d), "unpause");
		if (i)
			measured("guest_build", time_now() - begun);
		begun = time_now();
		CHECK(!domu_destroy(&d), "destroy");
		if (i)
			measured("guest_destroy", time_now() - begun);
		dom0_wait_free_pages(before);
	}
}

/* What each of some guests that wait for their first word takes beside its RAM, while the others are there. */
GUEST_TEST(several)
{
	static struct domu guests[SEVERAL];
	uint64_t first = 0, last = 0;

	for (unsigned int i = 0; i < SEVERAL; i++) {
		CHECK(!domu_create(&guests[i], &(struct domu_config){.kernel = "partner",
								     .words = "server",
								     .mib = MIB}),
		      "create");
		CHECK(!domu_unpause(&guests[i]), "unpause");
		dom0_sleep(IDLE / 10);
		last = dom0_free_pages();
		if (!i)
			first = last;
	}
	/* One page of its RAM is that of the console. */
	measured("guest_memory_kib", ((first - last) / (SEVERAL - 1) - MIB * 256ul - 1) * 4);
	for (unsigned int i = 0; i < SEVERAL; i++)
		CHECK(!domu_destroy(&guests[i]), "destroy");
}

/* As a toolstack loads a kernel and as a backend without grants works. */
GUEST_TEST(foreign)
{
	static struct domu d;
	uint64_t begun;

	CHECK(!domu_create(&d, &(struct domu_config){.kernel = "partner", .words = ""}), "create");
	begun = time_now();
	for (unsigned int i = 0; i < PAGES; i++) {
		CHECK(dom0_map(DOM0_SLOT_FREE, d.id, 0x800 + i, 1), "map");
		dom0_unmap(DOM0_SLOT_FREE, 1);
	}
	measured("foreign_map_unmap", (time_now() - begun) / PAGES);
	CHECK(!domu_destroy(&d), "destroy");
}

GUEST_TEST(two)
{
	static struct domu server, client;
	static const char *const names[] = {"grant_map_unmap", "grant_copy_4k", "event_round_trip"};

	CHECK(!domu_create(&server, &(struct domu_config){.kernel = "partner", .words = "server"}),
	      "server");
	CHECK(!domu_create(&client, &(struct domu_config){.kernel = "partner", .words = ""}),
	      "client");
	server.mailbox->to_guest[0] = client.id;
	client.mailbox->to_guest[0] = server.id;
	domu_unpause(&server);
	CHECK(domu_wait_word(&server, 5, LIMIT), "the server is not ready");
	client.mailbox->to_guest[4] = server.mailbox->to_dom0[4];
	client.mailbox->to_guest[5] = 1;
	domu_unpause(&client);
	CHECK(domu_wait_word(&client, 9, LIMIT), "the client does not end");
	for (unsigned int i = 0; i < 3; i++)
		measured(names[i], client.mailbox->to_dom0[6 + i]);
	CHECK(!domu_destroy(&client) && !domu_destroy(&server), "destroy");
}
