// SPDX-License-Identifier: GPL-2.0-or-later
// Of a pair of guests the one that maps and copies pages of the other one and binds to its ports; see granter.c.
#include "pair.h"
#include <xen/errno.h>

/* Behind its memory: nothing is there. */
#define HOLE 0x8000000u

static uint8_t own[2][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static domid_t peer;
static grant_handle_t writable, readonly, last;

static long map(unsigned int ref, uint64_t at, uint32_t flags, grant_handle_t *ret_handle)
{
	struct gnttab_map_grant_ref op = {
		.host_addr = at, .flags = flags, .ref = ref, .dom = peer, .status = 77};
	long result = grant_op(GNTTABOP_map_grant_ref, &op, 1);

	if (ret_handle)
		*ret_handle = op.handle;
	return result ? result : op.status;
}

static long unmap(grant_handle_t handle, uint64_t at)
{
	struct gnttab_unmap_grant_ref op = {.host_addr = at, .handle = handle, .status = 77};
	long result = grant_op(GNTTABOP_unmap_grant_ref, &op, 1);

	return result ? result : op.status;
}

/* Whether a write goes through; else the vector of the fault. */
static unsigned int try_write(volatile void *at)
{
	uint32_t good = 0;

	guest_fault_vector = 0;
	__asm__ volatile("1: movl $0, (%1)\n\tmovl $1, %0\n2:\n" FIXUP("1b", "2b")
			 : "+r"(good)
			 : "r"(at)
			 : "memory");
	return good ? 0 : guest_fault_vector;
}

GUEST_TEST(mapping)
{
	peer = (domid_t)domu_take_word(WORD_PEER);
	await(STEP_GRANTED);
	VALUE("map writable: %ld", map(REF_WRITABLE, HOLE, GNTMAP_host_map, &writable));
	CHECK(is_pattern((void *)(uintptr_t)HOLE, 1, PAGE_BYTES), "not what was granted");
	VALUE("map readonly-as-writable: %ld",
	      map(REF_READONLY, HOLE + PAGE_BYTES, GNTMAP_host_map, NULL));
	VALUE("map readonly: %ld",
	      map(REF_READONLY, HOLE + PAGE_BYTES, GNTMAP_host_map | GNTMAP_readonly, &readonly));
	CHECK(is_pattern((void *)(uintptr_t)(HOLE + PAGE_BYTES), 2, PAGE_BYTES),
	      "not what was granted");
	VALUE("map write-to-readonly: vector %u",
	      try_write((void *)(uintptr_t)(HOLE + PAGE_BYTES)));
	fill((uint8_t *)(uintptr_t)HOLE + 1, 101, 64);
}

GUEST_TEST(mapping_errors)
{
	struct gnttab_map_grant_ref two[2] = {
		{.host_addr = HOLE + 9 * PAGE_BYTES,
		 .flags = GNTMAP_host_map,
		 .ref = REF_NONE,
		 .dom = peer,
		 .status = 77},
		{.host_addr = HOLE + 9 * PAGE_BYTES,
		 .flags = GNTMAP_host_map,
		 .ref = REF_NONE,
		 .dom = 1234,
		 .status = 77},
	};

	VALUE("map none: %ld", map(REF_NONE, HOLE + 8 * PAGE_BYTES, GNTMAP_host_map, NULL));
	VALUE("map of-others: %ld",
	      map(REF_STRANGER, HOLE + 8 * PAGE_BYTES, GNTMAP_host_map, NULL));
	VALUE("map of-transfer: %ld",
	      map(REF_TRANSFER, HOLE + 8 * PAGE_BYTES, GNTMAP_host_map, NULL));
	VALUE("map no-frame: %ld", map(REF_NO_FRAME, HOLE + 8 * PAGE_BYTES, GNTMAP_host_map, NULL));
	VALUE("map beyond: %ld", map(100000, HOLE + 8 * PAGE_BYTES, GNTMAP_host_map, NULL));
	VALUE("map no-flags: %ld", map(REF_WRITABLE, HOLE + 8 * PAGE_BYTES, 0, NULL));
	VALUE("map for-device: %ld",
	      map(REF_WRITABLE, HOLE + 8 * PAGE_BYTES, GNTMAP_device_map, NULL));
	VALUE("map by-entry: %ld", map(REF_WRITABLE, HOLE + 8 * PAGE_BYTES,
				       GNTMAP_host_map | GNTMAP_contains_pte, NULL));
	VALUE("map two: %ld", grant_op(GNTTABOP_map_grant_ref, two, 2));
	VALUE("map two: %d %d", two[0].status, two[1].status);
	VALUE("unmap elsewhere: %ld", unmap(writable, HOLE + 8 * PAGE_BYTES));
	VALUE("unmap nothing: %ld", unmap(9999, HOLE));
}

GUEST_TEST(unmapping)
{
	grant_handle_t second;
	long result;

	tell(STEP_MAPPED);
	await(STEP_TAKEN_BACK);
	CHECK(is_pattern((uint8_t *)(uintptr_t)HOLE + 1, 101, 64),
	      "what was mapped before it was taken back");
	/* As long as it is in use, it may be used by the same one. */
	result = map(REF_WRITABLE, HOLE + 2 * PAGE_BYTES, GNTMAP_host_map, &second);
	VALUE("map taken-back: %ld", result);
	CHECK(result || !unmap(second, HOLE + 2 * PAGE_BYTES), "unmap");
	VALUE("unmap first: %ld", unmap(writable, HOLE));
	VALUE("unmap twice: %ld", unmap(writable, HOLE));
	VALUE("unmap second: %ld", unmap(readonly, HOLE + PAGE_BYTES));
	tell(STEP_UNMAPPED);
	await(STEP_AGAIN);
}

GUEST_TEST(copying)
{
	struct gnttab_copy ops[6] = {0};

	fill(own[0], 55, 100);
	for (unsigned int i = 0; i < 6; i++) {
		ops[i].source.u.gmfn = ADDRESS(own[0]) / PAGE_BYTES;
		ops[i].source.domid = DOMID_SELF;
		ops[i].dest.u.ref = REF_WRITABLE;
		ops[i].dest.domid = peer;
		ops[i].dest.offset = 2048;
		ops[i].len = 100;
		ops[i].flags = GNTCOPY_dest_gref;
		ops[i].status = 77;
	}
	ops[1].dest.u.ref = REF_READONLY;
	ops[2].dest.offset = PAGE_BYTES - 50;
	ops[3].len = 0;
	ops[4].flags = 0; /* a frame of another domain, by its number */
	ops[5].source.u.ref = REF_READONLY;
	ops[5].source.domid = peer;
	ops[5].dest.u.gmfn = ADDRESS(own[1]) / PAGE_BYTES;
	ops[5].dest.domid = DOMID_SELF;
	ops[5].dest.offset = 0;
	ops[5].flags = GNTCOPY_source_gref;
	VALUE("copy six: %ld", grant_op(GNTTABOP_copy, ops, 6));
	VALUE("copy statuses: %d %d %d %d %d %d", ops[0].status, ops[1].status, ops[2].status,
	      ops[3].status, ops[4].status, ops[5].status);
	CHECK(is_pattern(own[1], 2, 100), "not what was granted");
	tell(STEP_COPIED);
}

/* Its own quota of mappings is one frame: the number that fits into it is the hypervisor's business, that there is one not. */
GUEST_TEST(mappings_quota)
{
	static grant_handle_t handles[MAPPINGS_MAX];
	unsigned int n = 0;
	long result = 0;

	while (n < MAPPINGS_MAX && !result) {
		/* One reference alone can be mapped only so many times. */
		result = map(n % 2 ? REF_WRITABLE : REF_READONLY, HOLE + n * PAGE_BYTES,
			     GNTMAP_host_map | GNTMAP_readonly, &handles[n]);
		if (!result)
			n++;
	}
	VALUE("quota full: %ld", result);
	CHECK(n >= 64 && n < MAPPINGS_MAX, "%u mappings", n);
	for (unsigned int i = 0; i < n; i++)
		CHECK(!unmap(handles[i], HOLE + i * PAGE_BYTES), "mapping %u", i);
	CHECK(!map(REF_READONLY, HOLE, GNTMAP_host_map | GNTMAP_readonly, &handles[0]),
	      "nothing can be mapped when all is unmapped");
	CHECK(!unmap(handles[0], HOLE), "the last one");
}

GUEST_TEST(binding)
{
	struct evtchn_bind_interdomain bind = {.remote_dom = peer};
	struct evtchn_status status = {.dom = DOMID_SELF};
	struct evtchn_status other = {.dom = peer};
	struct evtchn_close close;

	await(STEP_OFFERED);
	bind.remote_port = (evtchn_port_t)domu_take_word(WORD_STRANGER);
	VALUE("bind of-others: %ld", event_op(EVTCHNOP_bind_interdomain, &bind));
	bind.remote_port = (evtchn_port_t)domu_take_word(WORD_PORT);
	CHECK(!event_op(EVTCHNOP_bind_interdomain, &bind), "bind");
	CHECK(event_take_pending(bind.local_port), "a new port is pending");
	VALUE("bind second-time: %ld",
	      event_op(EVTCHNOP_bind_interdomain,
		       &(struct evtchn_bind_interdomain){.remote_dom = peer,
							 .remote_port = bind.remote_port}));
	status.port = bind.local_port;
	CHECK(!event_op(EVTCHNOP_status, &status), "status");
	CHECK(status.status == EVTCHNSTAT_interdomain && status.u.interdomain.dom == peer &&
		      status.u.interdomain.port == bind.remote_port,
	      "status %u", status.status);
	other.port = bind.remote_port;
	VALUE("bind status-of-others: %ld", event_op(EVTCHNOP_status, &other));
	event_unmask(bind.local_port);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		event_op(EVTCHNOP_send, &(struct evtchn_send){.port = bind.local_port});
		wait_event(bind.local_port);
	}
	close.port = bind.local_port;
	CHECK(!event_op(EVTCHNOP_close, &close), "close");
	tell(STEP_PLAYED);
	await(STEP_SEEN_CLOSED);
	CHECK(!event_op(EVTCHNOP_bind_interdomain, &bind), "bind again");
	tell(STEP_BOUND_AGAIN);
	await(STEP_CLOSED);
	status.port = bind.local_port;
	CHECK(!event_op(EVTCHNOP_status, &status), "status");
	VALUE("bind other-closed: status %u", status.status);
	CHECK(!event_op(EVTCHNOP_close, &close), "close again");
}

/* What is dom0's, or its tools'. */
GUEST_TEST(forbidden)
{
	xen_ulong_t index = 0x1000;
	xen_pfn_t gfn = HOLE / PAGE_BYTES;
	int error = 99;
	struct xen_add_to_physmap_batch foreign = {.domid = DOMID_SELF,
						   .space = XENMAPSPACE_gmfn_foreign,
						   .size = 1,
						   .u.foreign_domid = peer};
	struct xen_mem_acquire_resource resource = {.domid = peer,
						    .type = XENMEM_resource_grant_table,
						    .nr_frames = 1};
	domid_t of_peer = peer;
	struct evtchn_alloc_unbound port = {.dom = peer, .remote_dom = DOMID_SELF};
	struct gnttab_query_size size = {.dom = peer};

	set_xen_guest_handle(foreign.idxs, &index);
	set_xen_guest_handle(foreign.gpfns, &gfn);
	set_xen_guest_handle(foreign.errs, &error);
	VALUE("forbidden foreign: %ld",
	      hypercall2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, ADDRESS(&foreign)));
	VALUE("forbidden foreign-error: %d", error);
	foreign.u.foreign_domid = 0;
	VALUE("forbidden of-dom0: %ld",
	      hypercall2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, ADDRESS(&foreign)));
	set_xen_guest_handle(resource.frame_list, &gfn);
	VALUE("forbidden acquire: %ld",
	      hypercall2(__HYPERVISOR_memory_op, XENMEM_acquire_resource, ADDRESS(&resource)));
	resource.domid = DOMID_SELF;
	VALUE("forbidden acquire-own: %ld",
	      hypercall2(__HYPERVISOR_memory_op, XENMEM_acquire_resource, ADDRESS(&resource)));
	VALUE("forbidden reservation: %ld",
	      hypercall2(__HYPERVISOR_memory_op, XENMEM_current_reservation, ADDRESS(&of_peer)));
	VALUE("forbidden port: %ld", event_op(EVTCHNOP_alloc_unbound, &port));
	VALUE("forbidden grants: %ld", grant_op(GNTTABOP_query_size, &size, 1));
	VALUE("forbidden grants-status: %d", size.status);
}

static event_word_t array[PAGE_BYTES / sizeof(event_word_t)] __attribute__((aligned(PAGE_BYTES)));
static struct evtchn_fifo_control_block control __attribute__((aligned(PAGE_BYTES)));

/* Takes the next event of a queue; 0: it is empty. */
static evtchn_port_t fifo_take(unsigned int priority, uint32_t *head)
{
	uint32_t port = *head ? *head : control.head[priority];
	event_word_t word;

	if (!port)
		return 0;
	word = __atomic_fetch_and(&array[port], ~(1u << EVTCHN_FIFO_LINKED | EVTCHN_FIFO_LINK_MASK),
				  __ATOMIC_SEQ_CST);
	*head = word & EVTCHN_FIFO_LINK_MASK;
	return port;
}

/* Last of the events: the layout stays. Queues are emptied in the order of their priorities. */
GUEST_TEST(fifo)
{
	static const uint8_t priorities[FIFO_PORTS] = {7, 2, 2, 0};
	struct evtchn_init_control init = {.control_gfn = ADDRESS(&control) / PAGE_BYTES};
	struct evtchn_expand_array expand = {.array_gfn = ADDRESS(array) / PAGE_BYTES};
	evtchn_port_t ports[FIFO_PORTS];

	CHECK(!event_op(EVTCHNOP_init_control, &init), "init");
	VALUE("fifo bits: %u", init.link_bits);
	CHECK(!event_op(EVTCHNOP_expand_array, &expand), "expand");
	for (unsigned int i = 0; i < FIFO_PORTS; i++) {
		struct evtchn_alloc_unbound offer = {.dom = DOMID_SELF, .remote_dom = peer};
		struct evtchn_set_priority set = {.priority = priorities[i]};

		CHECK(!event_op(EVTCHNOP_alloc_unbound, &offer), "offer");
		set.port = ports[i] = offer.port;
		CHECK(!event_op(EVTCHNOP_set_priority, &set), "priority");
		domu_mailbox()->to_dom0[WORD_FIFO + i] = offer.port;
		event_unmask(offer.port);
	}
	VALUE("fifo priority-16: %ld",
	      event_op(EVTCHNOP_set_priority,
		       &(struct evtchn_set_priority){.port = ports[0], .priority = 16}));
	VALUE("fifo control-again: %ld", event_op(EVTCHNOP_init_control, &init));
	tell(STEP_FIFO);
	await(STEP_SENT);
	VALUE("fifo ready: %#x", control.ready);
	for (unsigned int p = 0; p < 16; p++) {
		uint32_t head = 0;
		evtchn_port_t port;

		while (control.ready & (1u << p) && (port = fifo_take(p, &head))) {
			for (unsigned int i = 0; i < FIFO_PORTS; i++) {
				if (ports[i] == port)
					VALUE("fifo queue-%u-has-%u: %d", p, i,
					      !!(array[port] & 1u << EVTCHN_FIFO_PENDING));
			}
			if (!head)
				break;
		}
	}
	tell(STEP_RECEIVED);
}

/* The other one dies; what is mapped stays until it is unmapped. */
GUEST_TEST(surviving)
{
	await(STEP_LAST);
	CHECK(!map(REF_LAST, HOLE, GNTMAP_host_map, &last), "map");
	tell(STEP_HOLDS_LAST);
	domu_take_word(WORD_DEAD);
	CHECK(is_pattern((void *)(uintptr_t)HOLE, 77, PAGE_BYTES), "the page is gone");
	fill_pattern((void *)(uintptr_t)HOLE, 78);
	CHECK(is_pattern((void *)(uintptr_t)HOLE, 78, PAGE_BYTES), "the page cannot be written");
	VALUE("surviving unmap: %ld", unmap(last, HOLE));
	VALUE("surviving map-of-dead: %ld", map(REF_LAST, HOLE, GNTMAP_host_map, NULL));
	domu_mailbox()->to_dom0[WORD_LET_GO] = 1;
	domu_take_word(WORD_END);
}
