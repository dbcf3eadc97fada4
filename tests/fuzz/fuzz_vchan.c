// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: a peer that rewrites the shared page between any two of our accesses. The input is what both ends do.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What is left of the input. */
static struct {
	const uint8_t *data;
	size_t size;
} input;

static void hostile_step(void);

#define VCHAN_STEP() hostile_step()
#include "../vchan/alone.h"

static struct vchan_page *page;
static int events;

static uint8_t next(void)
{
	if (!input.size)
		return 0;
	input.size--;
	return *input.data++;
}

static uint32_t next_word(void)
{
	uint32_t word = 0;

	for (int i = 0; i < 4; i++)
		word = word << 8 | next();
	return word;
}

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* Of every four steps one changes something, while there is input. */
static void hostile_step(void)
{
	_Atomic(uint32_t) *const words[] = {&page->left.cons, &page->left.prod, &page->right.cons,
					    &page->right.prod};
	uint8_t what;

	if (!page || !input.size)
		return;
	what = next();
	switch (what & 15) {
	case 0:
		atomic_store(words[what >> 4 & 3], next_word());
		break;
	case 1: /* nearly right */
		atomic_fetch_add(words[what >> 4 & 3], (uint32_t)(int8_t)next());
		break;
	case 2:
		atomic_store(&page->cli_notify, next());
		atomic_store(&page->srv_notify, next());
		break;
	case 3:
		((volatile uint8_t *)page)[(next() << 8 | next()) % VCHAN_PAGE_SIZE] = next();
		break;
	default:
		break;
	}
}

static int fake_notify(struct libvchan *ctrl)
{
	(void)ctrl;
	events++;
	return 0;
}

/* Sleeping ends at once, with an event, the clock, or the end of the peer; and for certain when the input is used up. */
static int fake_sleep(struct libvchan *ctrl, int64_t timeout)
{
	if (!input.size || next() % 32 == 0)
		ctrl->state = VCHAN_STATE_DEAD;
	return timeout >= 0 && next() % 2 ? -ETIMEDOUT : 0;
}

static const struct vchan_transport transport = {
	.notify = fake_notify,
	.sleep = fake_sleep,
	.progress = alone_nothing,
	.destroy = alone_nothing,
};

/* One call of the API: whatever the peer does, results are in range. */
static void call(struct libvchan *c)
{
	static uint8_t data[70000];
	size_t size = (size_t)(next() << 9 | next()) % sizeof(data);
	/* Exactly as large as it says: a byte too much is found. */
	uint8_t *exact = malloc(size ? size : 1);
	int n = 0, limit = (int)size;

	switch (next() % 8) {
	case 0:
		n = libvchan_read(c, exact, size);
		break;
	case 1:
		n = libvchan_recv(c, exact, size);
		require(n <= 0 || n == limit);
		break;
	case 2:
		n = libvchan_write(c, exact, size);
		require(!c->blocking || n < 0 || n == limit);
		break;
	case 3:
		n = libvchan_send(c, exact, size);
		require(n <= 0 || n == limit);
		break;
	case 4:
		n = libvchan_data_ready(c);
		limit = (int)c->shm.rd.size;
		break;
	case 5:
		n = libvchan_buffer_space(c);
		limit = (int)c->shm.wr.size;
		break;
	case 6:
		n = libvchan_is_open(c);
		limit = VCHAN_WAITING;
		break;
	default:
		n = libvchan_wait(c);
		limit = 0;
		break;
	}
	require(n >= -1 && n <= limit);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct libvchan c = {.transport = &transport};
	uint8_t flags, *left = NULL, *right = NULL;
	uint16_t left_order, right_order;

	input.data = bytes;
	input.size = size;
	flags = next();
	left_order = next() % 24;
	right_order = next() % 24;
	/* As for a client: orders come from the peer. */
	if (!vchan_orders_valid(left_order, right_order, VCHAN_ORDER_PAGE))
		return 0;
	if (posix_memalign((void **)&page, VCHAN_PAGE_SIZE, VCHAN_PAGE_SIZE))
		abort();
	memset(page, 0, VCHAN_PAGE_SIZE);
	if (vchan_order_pages(left_order))
		left = calloc(1, (size_t)1 << left_order);
	if (vchan_order_pages(right_order))
		right = calloc(1, (size_t)1 << right_order);
	c.blocking = flags & 2;
	c.polled = flags & 4;
	vchan_page_format(page, left_order, right_order);
	alone_attach(&c, page, flags & 1, left_order, right_order, left, right, 0);
	if (!c.server)
		vchan_shm_announce(&c.shm);
	while (input.size)
		call(&c);
	free(left);
	free(right);
	free(page);
	page = NULL;
	return 0;
}
