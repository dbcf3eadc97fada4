// SPDX-License-Identifier: LGPL-2.1-or-later
// The shared page and its two rings, correct against a peer that rewrites the page at any time.
#include "shm.h"
#include "atomic.h"

#include <errno.h>
#include <string.h>

_Static_assert(offsetof(struct vchan_page, left) == 0, "layout");
_Static_assert(offsetof(struct vchan_page, right) == 8, "layout");
_Static_assert(offsetof(struct vchan_page, left_order) == 16, "layout");
_Static_assert(offsetof(struct vchan_page, right_order) == 18, "layout");
_Static_assert(offsetof(struct vchan_page, cli_live) == 20, "layout");
_Static_assert(offsetof(struct vchan_page, srv_live) == 21, "layout");
_Static_assert(offsetof(struct vchan_page, cli_notify) == 22, "layout");
_Static_assert(offsetof(struct vchan_page, srv_notify) == 23, "layout");
_Static_assert(offsetof(struct vchan_page, grants) == 24, "layout");
_Static_assert(sizeof(struct vchan_page) <= VCHAN_TARGETS_OFFSET, "targets behind the grants");
_Static_assert(sizeof(_Atomic(uint32_t)) == 4 && sizeof(_Atomic(uint8_t)) == 1, "plain atomics");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_CHAR_LOCK_FREE == 2,
	       "no locks in shared memory");

static uint16_t order_for(size_t min)
{
	uint16_t order = VCHAN_PAGE_SHIFT;

	while (((size_t)1 << order) < min)
		order++;
	return order;
}

int vchan_choose_orders(size_t left_min, size_t right_min, uint16_t *ret_left, uint16_t *ret_right)
{
	const size_t low = 1u << VCHAN_ORDER_MIN, mid = 1u << VCHAN_ORDER_MID;

	if (left_min > VCHAN_SIZE_MAX || right_min > VCHAN_SIZE_MAX)
		return -EINVAL;
	if (left_min <= low && right_min <= mid) {
		*ret_left = VCHAN_ORDER_MIN;
		*ret_right = VCHAN_ORDER_MID;
	} else if (left_min <= mid && right_min <= low) {
		*ret_left = VCHAN_ORDER_MID;
		*ret_right = VCHAN_ORDER_MIN;
	} else {
		/* Never order 10 beside a ring of pages: the grants of 256 of them reach beyond 1024. */
		*ret_left = left_min <= mid && right_min > mid ? VCHAN_ORDER_MID
							       : order_for(left_min);
		*ret_right = right_min <= mid && left_min > mid ? VCHAN_ORDER_MID
								: order_for(right_min);
	}
	return 0;
}

bool vchan_orders_valid(uint32_t left, uint32_t right, uint32_t most)
{
	if (left < VCHAN_ORDER_MIN || left > most || right < VCHAN_ORDER_MIN || right > most)
		return false;
	/* Two rings of one size in the page would be the same bytes. */
	return left != right || left >= VCHAN_PAGE_SHIFT;
}

static bool has_targets(uint16_t left, uint16_t right)
{
	return left >= VCHAN_PAGE_SHIFT && right >= VCHAN_PAGE_SHIFT;
}

void vchan_page_format(struct vchan_page *page, uint16_t left, uint16_t right)
{
	uint8_t extension = has_targets(left, right) ? VCHAN_BIT_TARGETS : 0;

	vchan_store(&page->left_order, left);
	vchan_store(&page->right_order, right);
	vchan_store(&page->srv_live, VCHAN_LIVE_OPEN);
	vchan_store(&page->cli_live, VCHAN_LIVE_WAITING);
	vchan_store(&page->cli_notify, (uint8_t)(VCHAN_BIT_WRITE | extension));
	vchan_store(&page->srv_notify, 0);
}

static void *ring_data(struct vchan_page *page, uint16_t order, void *separate)
{
	return order >= VCHAN_PAGE_SHIFT ? separate : (uint8_t *)page + ((size_t)1 << order);
}

void vchan_shm_attach(struct vchan_shm *shm, struct vchan_page *page, bool server, uint16_t left,
		      uint16_t right, void *left_data, void *right_data)
{
	struct vchan_targets *targets = (void *)((uint8_t *)page + VCHAN_TARGETS_OFFSET);
	struct vchan_ring *l = server ? &shm->rd : &shm->wr, *r = server ? &shm->wr : &shm->rd;

	shm->page = page;
	shm->ask = server ? &page->cli_notify : &page->srv_notify;
	shm->told = server ? &page->srv_notify : &page->cli_notify;
	shm->my_live = server ? &page->srv_live : &page->cli_live;
	shm->peer_live = server ? &page->cli_live : &page->srv_live;
	shm->index_bit = has_targets(left, right) ? VCHAN_BIT_TARGETS : 0;

	l->mine = server ? &page->left.cons : &page->left.prod;
	l->theirs = server ? &page->left.prod : &page->left.cons;
	l->my_target = server ? &targets->left_prod : &targets->left_cons;
	l->their_target = server ? &targets->left_cons : &targets->left_prod;
	l->data = ring_data(page, left, left_data);
	l->size = 1u << left;
	l->index = vchan_load(l->mine);

	r->mine = server ? &page->right.prod : &page->right.cons;
	r->theirs = server ? &page->right.cons : &page->right.prod;
	r->my_target = server ? &targets->right_cons : &targets->right_prod;
	r->their_target = server ? &targets->right_prod : &targets->right_cons;
	r->data = ring_data(page, right, right_data);
	r->size = 1u << right;
	r->index = vchan_load(r->mine);
}

void vchan_shm_announce(struct vchan_shm *shm)
{
	uint8_t bits = VCHAN_BIT_WRITE;

	/* Any byte at all is wanted: the target is one byte more than what was consumed. */
	if (shm->index_bit && (vchan_load(shm->told) & VCHAN_BIT_TARGETS)) {
		vchan_store(shm->rd.my_target, shm->rd.index + 1);
		bits |= VCHAN_BIT_TARGETS;
	}
	vchan_store(shm->ask, bits);
	vchan_store(shm->my_live, VCHAN_LIVE_OPEN);
}

uint32_t vchan_ready(const struct vchan_shm *shm)
{
	uint32_t ready = vchan_load(shm->rd.theirs) - shm->rd.index;

	return ready <= shm->rd.size ? ready : 0;
}

uint32_t vchan_space(const struct vchan_shm *shm)
{
	uint32_t used = shm->wr.index - vchan_load(shm->wr.theirs);

	return used <= shm->wr.size ? shm->wr.size - used : 0;
}

/* Both ends of the span within the ring: bytes up to its end, the rest from its start. */
static uint32_t span(const struct vchan_ring *ring, uint32_t n, uint32_t *ret_at)
{
	uint32_t at = ring->index & (ring->size - 1), left = ring->size - at;

	*ret_at = at;
	return n < left ? n : left;
}

/* Whether the peer, which set `bit`, wants to hear of the ring's index now. */
static bool wants_event(struct vchan_shm *shm, const struct vchan_ring *ring, uint8_t bit)
{
	uint8_t told = vchan_load(shm->told);

	if (!(told & bit))
		return false;
	if (shm->index_bit & told) {
		uint32_t missing = vchan_load(ring->their_target) - ring->index;

		/* A target behind the index is reached; so is nonsense, which costs the peer alone. */
		if (missing != 0 && missing <= ring->size)
			return false;
	}
	return vchan_and(shm->told, (uint8_t)~bit) & bit;
}

static bool advance(struct vchan_shm *shm, struct vchan_ring *ring, uint32_t n, uint8_t bit)
{
	ring->index += n;
	vchan_store(ring->mine, ring->index);
	return wants_event(shm, ring, bit);
}

bool vchan_take(struct vchan_shm *shm, void *dst, uint32_t n)
{
	uint32_t at, first = span(&shm->rd, n, &at);

	VCHAN_STEP();
	memcpy(dst, shm->rd.data + at, first);
	memcpy((uint8_t *)dst + first, shm->rd.data, n - first);
	return advance(shm, &shm->rd, n, VCHAN_BIT_READ);
}

bool vchan_put(struct vchan_shm *shm, const void *src, uint32_t n)
{
	uint32_t at, first = span(&shm->wr, n, &at);

	VCHAN_STEP();
	memcpy(shm->wr.data + at, src, first);
	memcpy(shm->wr.data, (const uint8_t *)src + first, n - first);
	return advance(shm, &shm->wr, n, VCHAN_BIT_WRITE);
}

uint32_t vchan_pieces(const struct vchan_ring *ring, uint32_t n, void **ret_first,
		      void **ret_second)
{
	uint32_t at, first = span(ring, n, &at);

	*ret_first = ring->data + at;
	*ret_second = ring->data;
	return first;
}

bool vchan_took(struct vchan_shm *shm, uint32_t n)
{
	return advance(shm, &shm->rd, n, VCHAN_BIT_READ);
}

bool vchan_filled(struct vchan_shm *shm, uint32_t n)
{
	return advance(shm, &shm->wr, n, VCHAN_BIT_WRITE);
}

static void ask(struct vchan_shm *shm, struct vchan_ring *ring, uint32_t target, uint8_t bit)
{
	/* The target before the bit: whoever sees the bit sees a target that is no older. */
	if (shm->index_bit)
		vchan_store(ring->my_target, target);
	vchan_or(shm->ask, bit);
}

uint32_t vchan_ask_ready(struct vchan_shm *shm, uint32_t want)
{
	if (want > shm->rd.size)
		want = shm->rd.size;
	ask(shm, &shm->rd, shm->rd.index + want, VCHAN_BIT_WRITE);
	return vchan_ready(shm);
}

uint32_t vchan_ask_space(struct vchan_shm *shm, uint32_t want)
{
	if (want > shm->wr.size)
		want = shm->wr.size;
	ask(shm, &shm->wr, shm->wr.index + want - shm->wr.size, VCHAN_BIT_READ);
	return vchan_space(shm);
}

bool vchan_release_writer(struct vchan_shm *shm)
{
	uint8_t told = vchan_load(shm->told);

	/* Without targets an event was sent with the last byte consumed, if it was wanted. */
	if (!(told & shm->index_bit) || !(told & VCHAN_BIT_READ) ||
	    vchan_ready(shm) == shm->rd.size)
		return false;
	return vchan_and(shm->told, (uint8_t)~VCHAN_BIT_READ) & VCHAN_BIT_READ;
}

bool vchan_reader_starves(const struct vchan_shm *shm)
{
	return vchan_load(shm->told) & VCHAN_BIT_WRITE;
}
