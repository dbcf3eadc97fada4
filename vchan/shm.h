/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shared page and its two rings: layout (Xen's io/libxenvchan.h) and the operations on them. No system calls. */
#ifndef VCHAN_SHM_H
#define VCHAN_SHM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VCHAN_PAGE_SIZE	 4096u
#define VCHAN_PAGE_SHIFT 12
#define VCHAN_ORDER_MIN	 10 /* 1 KiB, in the shared page at 1024 */
#define VCHAN_ORDER_MID	 11 /* 2 KiB, in the shared page at 2048 */
#define VCHAN_ORDER_PAGE 20 /* 1 MiB, the largest ring whose references are in the shared page */
#define VCHAN_ORDER_MAX	 25 /* 32 MiB */
#define VCHAN_SIZE_MAX	 (1u << VCHAN_ORDER_MAX)
#define VCHAN_GRANTS_MAX (2u << (VCHAN_ORDER_PAGE - VCHAN_PAGE_SHIFT))
#define VCHAN_LIST_REFS	 (VCHAN_PAGE_SIZE / sizeof(uint32_t))

/* Bits of cli_notify and srv_notify. */
#define VCHAN_BIT_WRITE	  0x01u /* tell me when you wrote */
#define VCHAN_BIT_READ	  0x02u /* tell me when you consumed */
#define VCHAN_BIT_TARGETS 0x80u /* extension: my targets are valid, see vchan_targets */

#define VCHAN_LIVE_GONE	   0
#define VCHAN_LIVE_OPEN	   1
#define VCHAN_LIVE_WAITING 2

struct vchan_indices {
	_Atomic(uint32_t) cons, prod;
};

/* "left" carries client to server, "right" server to client. */
struct vchan_page {
	struct vchan_indices left, right;
	_Atomic(uint16_t) left_order, right_order;
	_Atomic(uint8_t) cli_live, srv_live;
	_Atomic(uint8_t) cli_notify; /* what the client has to tell the server */
	_Atomic(uint8_t) srv_notify; /* what the server has to tell the client */
	_Atomic(uint32_t) grants[VCHAN_GRANTS_MAX];
};

/*
 * Extension, at the end of the page where old peers keep nothing (no ring is in the page): how far an index has to
 * get before its other end wants an event. Announced by bit 0x80 of the notify bytes, which old peers
 * neither set nor look at; an old client clears the bit meant for it when it starts.
 */
struct vchan_targets {
	_Atomic(uint32_t) left_prod, left_cons, right_prod, right_cons;
};
#define VCHAN_TARGETS_OFFSET (VCHAN_PAGE_SIZE - sizeof(struct vchan_targets))

/* One ring as one end sees it. The own index is kept here; the copy in the page is never read back. */
struct vchan_ring {
	_Atomic(uint32_t) *mine;
	const _Atomic(uint32_t) *theirs;
	_Atomic(uint32_t) *my_target; /* how far *theirs should get */
	const _Atomic(uint32_t) *their_target;
	uint8_t *data;
	uint32_t size; /* a power of two */
	uint32_t index;
};

struct vchan_shm {
	struct vchan_page *page;
	struct vchan_ring rd, wr;
	_Atomic(uint8_t) *ask;	/* the byte in which this end sets bits and the peer clears them */
	_Atomic(uint8_t) *told; /* the other way round */
	_Atomic(uint8_t) *my_live;
	const _Atomic(uint8_t) *peer_live;
	uint8_t index_bit; /* VCHAN_BIT_TARGETS if this page has room for targets */
};

/* Server: picks log2 sizes for two rings. -EINVAL if one is too large. */
int vchan_choose_orders(size_t left_min, size_t right_min, uint16_t *ret_left, uint16_t *ret_right);
/* Client: whether a pair of orders can be used, by one that accepts so much. */
bool vchan_orders_valid(uint32_t left, uint32_t right, uint32_t most);
/* Pages besides the shared one that a ring of this order needs. */
static inline uint32_t vchan_order_pages(uint16_t order)
{
	return order >= VCHAN_PAGE_SHIFT ? 1u << (order - VCHAN_PAGE_SHIFT) : 0;
}
/* Extension: pages with the references of a ring that has too many for the shared one, which has those of the lists. */
static inline uint32_t vchan_order_lists(uint16_t order)
{
	return order > VCHAN_ORDER_PAGE
		       ? (vchan_order_pages(order) + VCHAN_LIST_REFS - 1) / VCHAN_LIST_REFS
		       : 0;
}

/* Server: fills a zeroed page (not its grants). */
void vchan_page_format(struct vchan_page *page, uint16_t left, uint16_t right);
/*
 * Either end: points *shm at a page with these (checked) orders and at the separately mapped rings; those in the page
 * are found here. Does not announce anything.
 */
void vchan_shm_attach(struct vchan_shm *shm, struct vchan_page *page, bool server, uint16_t left,
		      uint16_t right, void *left_data, void *right_data);
/* Client: asks for data events, then goes live. The server has to be sent an event afterwards. */
void vchan_shm_announce(struct vchan_shm *shm);

/* Bytes to read, bytes free. An index that cannot be right counts as "nothing": a stall, not an error. */
uint32_t vchan_ready(const struct vchan_shm *shm);
uint32_t vchan_space(const struct vchan_shm *shm);

/*
 * Copies n bytes out of or into the ring; n must not exceed what vchan_ready() or vchan_space() returned. True: the
 * peer has to be sent an event.
 */
bool vchan_take(struct vchan_shm *shm, void *dst, uint32_t n);
bool vchan_put(struct vchan_shm *shm, const void *src, uint32_t n);

/*
 * The same in two steps, for callers that copy by themselves: where the next n bytes of a ring are, in two pieces (the
 * size of the second is what is left of n), then the end of the transfer.
 */
uint32_t vchan_pieces(const struct vchan_ring *ring, uint32_t n, void **ret_first,
		      void **ret_second);
bool vchan_took(struct vchan_shm *shm, uint32_t n);
bool vchan_filled(struct vchan_shm *shm, uint32_t n);

/*
 * Ask for an event once `want` bytes are ready (free); returns how many are now. Only if that is less than what the
 * caller needs may it sleep. With a peer that knows no targets any progress brings the event.
 */
uint32_t vchan_ask_ready(struct vchan_shm *shm, uint32_t want);
uint32_t vchan_ask_space(struct vchan_shm *shm, uint32_t want);

/*
 * To be called before sleeping for data. The peer may be waiting for more space than is free, while this end
 * waits for more data than is there. True: it has to be sent an event, so that it writes what fits.
 */
bool vchan_release_writer(struct vchan_shm *shm);
/* Before sleeping for space: whether the peer starves for data, so that less space has to do. */
bool vchan_reader_starves(const struct vchan_shm *shm);

#endif
