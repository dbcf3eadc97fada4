// SPDX-License-Identifier: GPL-2.0-or-later
// Of a pair of guests the one that grants pages and offers ports; the other one is user.c. dom0 passes the words on.
#include "pair.h"
#include <xen/errno.h>

static struct grant_entry_v1 table[PAGE_BYTES / sizeof(struct grant_entry_v1)]
	__attribute__((aligned(PAGE_BYTES)));
static uint8_t pages[4][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static domid_t peer;

static void grant(unsigned int ref, const void *page, uint16_t flags)
{
	table[ref].domid = peer;
	table[ref].frame = (uint32_t)(ADDRESS(page) / PAGE_BYTES);
	__atomic_store_n(&table[ref].flags, (uint16_t)(GTF_permit_access | flags),
			 __ATOMIC_RELEASE);
}

static long add_frame(uint64_t index)
{
	struct xen_add_to_physmap add = {.domid = DOMID_SELF,
					 .space = XENMAPSPACE_grant_table,
					 .idx = index,
					 .gpfn = ADDRESS(table) / PAGE_BYTES};

	return hypercall2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, ADDRESS(&add));
}

/* dom0 gave this domain two frames of grants. */
GUEST_TEST(grant_frames_quota)
{
	struct gnttab_query_size size = {.dom = DOMID_SELF};
	struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 3};
	xen_pfn_t frames[3];

	VALUE("quota frame-2: %ld", add_frame(2));
	VALUE("quota frame-1: %ld", add_frame(1));
	VALUE("quota frame-0: %ld", add_frame(0));
	CHECK(grant_op(GNTTABOP_query_size, &size, 1) == 0, "query");
	VALUE("quota size: %u of %u, status %d", size.nr_frames, size.max_nr_frames, size.status);
	set_xen_guest_handle(setup.frame_list, frames);
	CHECK(grant_op(GNTTABOP_setup_table, &setup, 1) == 0, "setup");
	VALUE("quota setup-3: status %d", setup.status);
}

GUEST_TEST(granting)
{
	peer = (domid_t)domu_take_word(WORD_PEER);
	fill_pattern(pages[0], 1);
	fill_pattern(pages[1], 2);
	grant(REF_WRITABLE, pages[0], 0);
	grant(REF_READONLY, pages[1], GTF_readonly);
	/* To somebody else; and one of another kind. */
	grant(REF_STRANGER, pages[2], 0);
	table[REF_STRANGER].domid = 0;
	table[REF_TRANSFER].flags = GTF_accept_transfer;
	/* A frame that there is not. */
	grant(REF_NO_FRAME, pages[3], 0);
	table[REF_NO_FRAME].frame = 0xabcdef;
	tell(STEP_GRANTED);
	await(STEP_MAPPED);
	VALUE("flags writable-mapped: %#x", table[REF_WRITABLE].flags);
	VALUE("flags readonly-mapped: %#x", table[REF_READONLY].flags);
	/* Taken back while it is mapped: the mapping stays, and the marks with it. */
	__atomic_and_fetch(&table[REF_WRITABLE].flags, (uint16_t)~GTF_permit_access,
			   __ATOMIC_SEQ_CST);
	CHECK(is_pattern(pages[0] + 1, 101, 64), "the other side's writes are not there");
	tell(STEP_TAKEN_BACK);
	await(STEP_UNMAPPED);
	VALUE("flags writable-unmapped: %#x", table[REF_WRITABLE].flags);
	VALUE("flags readonly-unmapped: %#x", table[REF_READONLY].flags);
	grant(REF_WRITABLE, pages[0], 0);
	tell(STEP_AGAIN);
	await(STEP_COPIED);
	CHECK(is_pattern(pages[0] + 2048, 55, 100), "the copy did not arrive");
	CHECK(is_pattern(pages[1], 2, PAGE_BYTES), "the read-only page was changed");
}

/* Ports offered to the other one, and to nobody that it is. */
GUEST_TEST(offering)
{
	struct evtchn_alloc_unbound offer = {.dom = DOMID_SELF, .remote_dom = peer};
	struct evtchn_alloc_unbound stranger = {.dom = DOMID_SELF, .remote_dom = 0};
	struct evtchn_status status = {.dom = DOMID_SELF};
	struct evtchn_close close;

	CHECK(!event_op(EVTCHNOP_alloc_unbound, &offer), "offer");
	CHECK(!event_op(EVTCHNOP_alloc_unbound, &stranger), "offer to dom0");
	domu_mailbox()->to_dom0[WORD_PORT] = offer.port;
	domu_mailbox()->to_dom0[WORD_STRANGER] = stranger.port;
	/* A send to nobody is lost in silence. */
	VALUE("offer send-unbound: %ld",
	      event_op(EVTCHNOP_send, &(struct evtchn_send){.port = offer.port}));
	tell(STEP_OFFERED);
	event_unmask(offer.port);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		wait_event(offer.port);
		event_op(EVTCHNOP_send, &(struct evtchn_send){.port = offer.port});
	}
	await(STEP_PLAYED);
	/* The other side has closed its port: this one waits for it again. */
	status.port = offer.port;
	CHECK(!event_op(EVTCHNOP_status, &status), "status");
	VALUE("offer after-close: status %u for-peer %d", status.status,
	      status.u.unbound.dom == peer);
	tell(STEP_SEEN_CLOSED);
	await(STEP_BOUND_AGAIN);
	close.port = offer.port;
	CHECK(!event_op(EVTCHNOP_close, &close), "close");
	tell(STEP_CLOSED);
}

/* The other side uses the FIFO layout meanwhile. */
GUEST_TEST(sending_to_fifo)
{
	struct evtchn_bind_interdomain bind[FIFO_PORTS];

	await(STEP_FIFO);
	for (unsigned int i = 0; i < FIFO_PORTS; i++) {
		bind[i] = (struct evtchn_bind_interdomain){.remote_dom = peer,
							   .remote_port = (evtchn_port_t)
								   domu_take_word(WORD_FIFO + i)};
		CHECK(!event_op(EVTCHNOP_bind_interdomain, &bind[i]), "bind %u", i);
	}
	/* In this order; the priorities are the other side's to choose. */
	for (unsigned int i = 0; i < FIFO_PORTS; i++)
		event_op(EVTCHNOP_send, &(struct evtchn_send){.port = bind[i].local_port});
	tell(STEP_SENT);
	await(STEP_RECEIVED);
}

/* It dies with a page mapped by the other side, who goes on to read it. */
GUEST_TEST(dying)
{
	fill_pattern(pages[2], 77);
	grant(REF_LAST, pages[2], 0);
	tell(STEP_LAST);
	await(STEP_HOLDS_LAST);
}
