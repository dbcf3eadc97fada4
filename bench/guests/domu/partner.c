// SPDX-License-Identifier: GPL-2.0-or-later
// Two guests of the benchmark: one grants and answers (word "server"), the other one measures.
#include "domu.h"
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>

/* Words of the mailbox. */
enum {
	PEER,
	PORT = 4,
	READY,
	RESULT_MAP,
	RESULT_COPY,
	RESULT_EVENT,
	DONE,
};

#define REF    8u
#define ROUNDS 500u
#define HOLE   0x8000000u

static struct grant_entry_v1 table[PAGE_BYTES / sizeof(struct grant_entry_v1)]
	__attribute__((aligned(PAGE_BYTES)));
static uint8_t page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static void wait_event(evtchn_port_t port)
{
	struct sched_poll poll = {.nr_ports = 1};
	evtchn_port_t ports[1] = {port};

	set_xen_guest_handle(poll.ports, ports);
	while (!event_take_pending(port))
		hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, ADDRESS(&poll));
}

static void send(evtchn_port_t port)
{
	struct evtchn_send op = {.port = port};

	event_op(EVTCHNOP_send, &op);
}

static void serve(domid_t peer)
{
	struct xen_add_to_physmap add = {.domid = DOMID_SELF,
					 .space = XENMAPSPACE_grant_table,
					 .gpfn = ADDRESS(table) / PAGE_BYTES};
	struct evtchn_alloc_unbound offer = {.dom = DOMID_SELF, .remote_dom = peer};

	CHECK(!hypercall2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, ADDRESS(&add)), "grants");
	CHECK(!event_op(EVTCHNOP_alloc_unbound, &offer), "port");
	table[REF].domid = peer;
	table[REF].frame = (uint32_t)(ADDRESS(page) / PAGE_BYTES);
	__atomic_store_n(&table[REF].flags, GTF_permit_access, __ATOMIC_RELEASE);
	domu_mailbox()->to_dom0[PORT] = offer.port;
	domu_mailbox()->to_dom0[READY] = 1;
	for (;;) {
		wait_event(offer.port);
		send(offer.port);
	}
}

static uint64_t map_and_unmap(domid_t peer)
{
	uint64_t begun = time_now();

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct gnttab_map_grant_ref map = {.host_addr = HOLE,
						   .flags = GNTMAP_host_map,
						   .ref = REF,
						   .dom = peer};
		struct gnttab_unmap_grant_ref unmap = {.host_addr = HOLE};

		hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, ADDRESS(&map), 1);
		unmap.handle = map.handle;
		hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, ADDRESS(&unmap),
			   1);
		if (map.status || unmap.status) {
			guest_fail("statuses %d and %d", map.status, unmap.status);
			return 0;
		}
	}
	return (time_now() - begun) / ROUNDS;
}

static uint64_t copy(domid_t peer)
{
	uint64_t begun = time_now();

	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct gnttab_copy op = {.source.u.ref = REF,
					 .source.domid = peer,
					 .dest.u.gmfn = ADDRESS(page) / PAGE_BYTES,
					 .dest.domid = DOMID_SELF,
					 .len = PAGE_BYTES,
					 .flags = GNTCOPY_source_gref};

		hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_copy, ADDRESS(&op), 1);
		if (op.status) {
			guest_fail("status %d", op.status);
			return 0;
		}
	}
	return (time_now() - begun) / ROUNDS;
}

static uint64_t round_trips(evtchn_port_t port)
{
	uint64_t begun = time_now();

	for (unsigned int i = 0; i < ROUNDS; i++) {
		send(port);
		wait_event(port);
	}
	return (time_now() - begun) / ROUNDS;
}

GUEST_TEST(partner)
{
	domid_t peer = (domid_t)domu_take_word(PEER);
	struct evtchn_bind_interdomain bind = {.remote_dom = peer};

	if (domu_has_word("server")) {
		serve(peer);
		return;
	}
	domu_take_word(READY);
	bind.remote_port = (evtchn_port_t)domu_take_word(PORT);
	CHECK(!event_op(EVTCHNOP_bind_interdomain, &bind), "bind");
	event_take_pending(bind.local_port);
	domu_mailbox()->to_dom0[RESULT_MAP] = map_and_unmap(peer);
	domu_mailbox()->to_dom0[RESULT_COPY] = copy(peer);
	domu_mailbox()->to_dom0[RESULT_EVENT] = round_trips(bind.local_port);
	domu_mailbox()->to_dom0[DONE] = 1;
}
