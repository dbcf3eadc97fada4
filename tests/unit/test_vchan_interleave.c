// SPDX-License-Identifier: GPL-2.0-or-later
// The real code of the ring and of the API, both ends, in every order of their accesses to the shared page.
// libs: -lpthread
// cflags: -O2 -fno-sanitize=address -D_GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../vchan/explore.h"

/* Time stands still; whether a clock expires is one of the choices. */
static int stopped_clock(clockid_t id, struct timespec *time)
{
	(void)id;
	*time = (struct timespec){1, 0};
	return 0;
}

static bool in_setup;

#define VCHAN_STEP()	     (in_setup ? (void)0 : explore_step())
#define clock_gettime(id, t) stopped_clock(id, t)
#include "../vchan/alone.h"
#undef clock_gettime

/* The world: thread 0 has the server's end, thread 1 the client's. */
#define RING_MAX 8

static struct {
	_Alignas(4096) uint8_t page[4096];
	uint8_t left[RING_MAX], right[RING_MAX];
	struct libvchan ends[2];
	uint32_t got[2]; /* bytes that arrived at each end */
} world;

enum peers {
	BOTH_OLD, /* no end knows targets: the page has no room for them */
	BOTH_NEW,
	OLD_CLIENT,
	OLD_SERVER,
};

static struct setup {
	enum peers peers;
	uint32_t size;		/* of both rings */
	uint32_t writes, reads; /* bytes per call */
	uint32_t total;
	bool no_clock; /* clocks never expire: nothing may depend on it */
} setup;

static int fake_notify(struct libvchan *ctrl)
{
	explore_step();
	explore.threads[ctrl == &world.ends[0]].event = true;
	return 0;
}

static int fake_sleep(struct libvchan *ctrl, int64_t timeout)
{
	int id = ctrl == &world.ends[1];

	explore_step();
	if (timeout == 0) {
		bool event = explore.threads[id].event;

		explore.threads[id].event = false;
		return event ? 0 : -ETIMEDOUT;
	}
	return explore_sleep(timeout > 0 && !setup.no_clock) ? 0 : -ETIMEDOUT;
}

static const struct vchan_transport fake_transport = {
	.notify = fake_notify,
	.sleep = fake_sleep,
	.progress = alone_nothing,
	.destroy = alone_nothing,
};

static void reset(void)
{
	uint16_t order = setup.peers == BOTH_OLD ? 11 : 12;
	int i;

	memset(&world, 0, sizeof(world));
	in_setup = true;
	vchan_page_format((struct vchan_page *)world.page, order, order);
	for (i = 0; i < 2; i++) {
		struct libvchan *c = &world.ends[i];

		alone_attach(c, (struct vchan_page *)world.page, i == 0, order, order, world.left,
			     world.right, setup.size);
		c->transport = &fake_transport;
		c->blocking = true;
	}
	/* An end that does not know targets behaves as on a page without; the other one has to notice by the bits. */
	if (setup.peers == OLD_SERVER) {
		world.ends[0].shm.index_bit = 0;
		vchan_and(world.ends[0].shm.ask, (uint8_t)~VCHAN_BIT_TARGETS);
	}
	if (setup.peers == OLD_CLIENT)
		world.ends[1].shm.index_bit = 0;
	vchan_shm_announce(&world.ends[1].shm);
	in_setup = false;
}

static uint64_t hash(uint64_t h)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct libvchan *c = &world.ends[i];

		/* What only counts must not make states different, nor what only grows. */
		memset(&c->stats, 0, sizeof(c->stats));
		if (c->pace.streamed > setup.size)
			c->pace.streamed = setup.size;
	}
	h = explore_mix(h, world.page, 64);
	h = explore_mix(h, world.page + VCHAN_TARGETS_OFFSET, sizeof(struct vchan_targets));
	h = explore_mix(h, world.left, sizeof(world.left));
	h = explore_mix(h, world.right, sizeof(world.right));
	h = explore_mix(h, world.ends, sizeof(world.ends));
	return explore_mix(h, world.got, sizeof(world.got));
}

static void check(bool good, const char *what)
{
	if (!good)
		explore_fail(what);
}

static void fill(uint8_t *data, uint32_t from, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		data[i] = (uint8_t)(from + i + 1);
}

static void arrived(int id, const uint8_t *data, int n)
{
	int i;

	for (i = 0; i < n; i++)
		check(data[i] == (uint8_t)(++world.got[id]), "wrong byte");
	check(world.got[id] <= setup.total, "more than was written");
}

static uint32_t part(uint32_t done, uint32_t n)
{
	return n < setup.total - done ? n : setup.total - done;
}

static void end_finished(void)
{
	if (world.got[0] != setup.total)
		explore.failure = "bytes are missing";
}

/* Thread 1 writes a stream, thread 0 reads it, both blocking. */
static void write_stream(int id)
{
	uint8_t data[RING_MAX * 2];
	uint32_t done = 0;

	while (done < setup.total) {
		uint32_t n = part(done, setup.writes);

		fill(data, done, n);
		check(libvchan_write(&world.ends[id], data, n) == (int)n, "write fell short");
		done += n;
	}
}

static void read_stream(int id)
{
	uint8_t data[RING_MAX * 2];

	while (world.got[id] < setup.total) {
		int n = libvchan_read(&world.ends[id], data, setup.reads);

		check(n > 0 && n <= (int)setup.reads, "read failed");
		arrived(id, data, n);
	}
}

/* The same in whole messages. */
static void send_messages(int id)
{
	uint8_t data[RING_MAX];
	uint32_t done = 0;

	while (done < setup.total) {
		uint32_t n = part(done, setup.writes);

		fill(data, done, n);
		check(libvchan_send(&world.ends[id], data, n) == (int)n, "send failed");
		done += n;
	}
}

static void receive_messages(int id)
{
	uint8_t data[RING_MAX];

	while (world.got[id] < setup.total) {
		uint32_t n = part(world.got[id], setup.reads);

		if (setup.no_clock)
			world.ends[id].pace.streamed = 0; /* asks for no more than it needs */
		check(libvchan_recv(&world.ends[id], data, n) == (int)n, "recv failed");
		arrived(id, data, (int)n);
	}
}

/* The same by callers that never block in transfers: they look, then wait. */
static void send_when_space(int id)
{
	uint8_t data[RING_MAX];
	uint32_t done = 0;

	libvchan_set_blocking(&world.ends[id], false);
	while (done < setup.total) {
		uint32_t n = part(done, setup.writes);

		while (libvchan_buffer_space(&world.ends[id]) < (int)n)
			check(libvchan_wait(&world.ends[id]) == 0, "wait failed");
		fill(data, done, n);
		check(libvchan_send(&world.ends[id], data, n) == (int)n, "send failed");
		done += n;
	}
}

static void receive_when_ready(int id)
{
	uint8_t data[RING_MAX];

	libvchan_set_blocking(&world.ends[id], false);
	while (world.got[id] < setup.total) {
		uint32_t n = part(world.got[id], setup.reads);

		while (libvchan_data_ready(&world.ends[id]) < (int)n)
			check(libvchan_wait(&world.ends[id]) == 0, "wait failed");
		check(libvchan_recv(&world.ends[id], data, n) == (int)n, "recv failed");
		arrived(id, data, (int)n);
	}
}

/* The same by callers that transfer what is possible and poll the descriptor when that is less than they want. */
static void write_and_poll(int id)
{
	uint8_t data[RING_MAX * 2];
	uint32_t done = 0;

	libvchan_set_blocking(&world.ends[id], false);
	libvchan_fd_for_select(&world.ends[id]);
	while (done < setup.total) {
		uint32_t n = part(done, setup.writes);
		int written;

		fill(data, done, n);
		written = libvchan_write(&world.ends[id], data, n);
		check(written >= 0, "write failed");
		done += (uint32_t)written;
		if (written < (int)n)
			check(libvchan_wait(&world.ends[id]) == 0, "wait failed");
	}
}

static void read_and_poll(int id)
{
	uint8_t data[RING_MAX * 2];

	libvchan_set_blocking(&world.ends[id], false);
	libvchan_fd_for_select(&world.ends[id]);
	while (world.got[id] < setup.total) {
		int n = libvchan_read(&world.ends[id], data, setup.reads);

		check(n >= 0, "read failed");
		arrived(id, data, n);
		if (n < (int)setup.reads && world.got[id] < setup.total)
			check(libvchan_wait(&world.ends[id]) == 0, "wait failed");
	}
}

/* The writer closes at once: everything arrives, then the end. */
static void write_and_close(int id)
{
	write_stream(id);
	libvchan_close(&world.ends[id]);
}

static void read_to_end(int id)
{
	uint8_t data[RING_MAX * 2];
	int n;

	while ((n = libvchan_read(&world.ends[id], data, setup.reads)) > 0)
		arrived(id, data, n);
	check(n == -1 && errno == EPIPE, "no end");
	check(libvchan_is_open(&world.ends[id]) == VCHAN_DISCONNECTED, "still open");
	/* At most one more event says so. */
	if (libvchan_wait(&world.ends[id]) == 0)
		check(libvchan_wait(&world.ends[id]) == -1, "waits for a peer that is gone");
}

static void poll_to_end(int id)
{
	uint8_t data[RING_MAX * 2];
	int n;

	libvchan_set_blocking(&world.ends[id], false);
	libvchan_fd_for_select(&world.ends[id]);
	while ((n = libvchan_read(&world.ends[id], data, setup.reads)) >= 0) {
		arrived(id, data, n);
		if (n < (int)setup.reads)
			check(libvchan_wait(&world.ends[id]) == 0, "wait failed");
	}
	check(errno == EPIPE, "no end");
}

/* The reader closes early: the writer learns of it and does not hang. */
static void read_some_and_close(int id)
{
	uint8_t data[RING_MAX];
	int n = libvchan_read(&world.ends[id], data, 1);

	check(n == 1, "read failed");
	libvchan_close(&world.ends[id]);
	world.got[id] = setup.total;
}

static void write_to_end(int id)
{
	uint8_t data[RING_MAX * 2] = {0};
	int n;

	do
		n = libvchan_write(&world.ends[id], data, setup.writes);
	while (n > 0);
	check(n == -1 && errno == EPIPE, "no end");
}

/* Thread 1 asks, thread 0 answers, byte for byte through the second ring. */
static void ask_bytes(int id)
{
	uint32_t done;

	for (done = 0; done < setup.total; done++) {
		uint8_t byte = (uint8_t)(done + 1), answer = 0;

		check(libvchan_send(&world.ends[id], &byte, 1) == 1, "send failed");
		check(libvchan_recv(&world.ends[id], &answer, 1) == 1, "recv failed");
		check((answer ^ byte) == 0xff, "wrong answer");
	}
}

static void answer_bytes(int id)
{
	while (world.got[id] < setup.total) {
		uint8_t byte;

		check(libvchan_read(&world.ends[id], &byte, 1) == 1, "read failed");
		arrived(id, &byte, 1);
		byte = (uint8_t)~byte;
		check(libvchan_write(&world.ends[id], &byte, 1) == 1, "write failed");
	}
}

/* Both ends write and read at the same time, as proxies do. */
static void exchange(int id)
{
	struct libvchan *c = &world.ends[id];
	uint8_t data[RING_MAX * 2];
	uint32_t done = 0;

	libvchan_set_blocking(c, false);
	libvchan_fd_for_select(c);
	while (done < setup.total || world.got[id] < setup.total) {
		uint32_t n = part(done, setup.writes);
		int got = libvchan_read(c, data, setup.reads), put;

		check(got >= 0, "read failed");
		arrived(id, data, got);
		fill(data, done, n);
		put = n ? libvchan_write(c, data, n) : 0;
		check(put >= 0, "write failed");
		done += (uint32_t)put;
		if (!got && !put && (done < setup.total || world.got[id] < setup.total))
			check(libvchan_wait(c) == 0, "wait failed");
	}
}

static void both_finished(void)
{
	if (world.got[0] != setup.total || world.got[1] != setup.total)
		explore.failure = "bytes are missing";
}

static void explore_setups(void (*reader)(int), void (*writer)(int), const struct setup *setups,
			   size_t count, void (*finished)(void))
{
	size_t i;
	int peers;

	for (i = 0; i < count; i++) {
		for (peers = BOTH_OLD; peers <= OLD_SERVER; peers++) {
			setup = setups[i];
			setup.peers = peers;
			assert_null(explore_all(reader, writer, reset, hash, finished));
			/* Both old and new peers, or this tests something else than it says. */
			assert_true(explore.ends > 0 && explore.states > 50);
			print_message(
				"  peers %d size %u writes %u reads %u total %u: %lu states, %lu ends\n",
				peers, setup.size, setup.writes, setup.reads, setup.total,
				(unsigned long)explore.states, (unsigned long)explore.ends);
		}
	}
}

#define SETUPS(...) ((const struct setup[]){__VA_ARGS__})
#define EXPLORE(reader, writer, finished, ...)       \
 explore_setups(reader, writer, SETUPS(__VA_ARGS__), \
		sizeof(SETUPS(__VA_ARGS__)) / sizeof(struct setup), finished)

static void test_stream(void **state)
{
	(void)state;
	EXPLORE(read_stream, write_stream, end_finished,
		{.size = 2, .writes = 1, .reads = 1, .total = 4},
		{.size = 2, .writes = 3, .reads = 2, .total = 6},
		{.size = 4, .writes = 3, .reads = 2, .total = 8},
		{.size = 4, .writes = 8, .reads = 8, .total = 12});
}

static void test_messages(void **state)
{
	(void)state;
	EXPLORE(receive_messages, send_messages, end_finished,
		{.size = 2, .writes = 1, .reads = 2, .total = 6},
		{.size = 4, .writes = 2, .reads = 3, .total = 12},
		{.size = 4, .writes = 4, .reads = 1, .total = 8});
}

static void test_recv_of_a_stream(void **state)
{
	(void)state;
	/* A reader that needs more than is there, while the writer waits for more space than is free: no clock helps. */
	EXPLORE(receive_messages, write_stream, end_finished,
		{.size = 4, .writes = 8, .reads = 3, .total = 15, .no_clock = true},
		{.size = 8, .writes = 16, .reads = 5, .total = 25, .no_clock = true});
}

static void test_look_then_wait(void **state)
{
	(void)state;
	EXPLORE(receive_when_ready, send_when_space, end_finished,
		{.size = 2, .writes = 1, .reads = 2, .total = 6},
		{.size = 4, .writes = 2, .reads = 3, .total = 9});
}

static void test_poll(void **state)
{
	(void)state;
	EXPLORE(read_and_poll, write_and_poll, end_finished,
		{.size = 2, .writes = 1, .reads = 2, .total = 4},
		{.size = 4, .writes = 8, .reads = 8, .total = 12},
		{.size = 4, .writes = 3, .reads = 2, .total = 6});
}

static void test_writer_closes(void **state)
{
	(void)state;
	EXPLORE(read_to_end, write_and_close, end_finished,
		{.size = 2, .writes = 1, .reads = 2, .total = 4},
		{.size = 4, .writes = 3, .reads = 4, .total = 8});
}

static void test_writer_closes_on_poller(void **state)
{
	(void)state;
	EXPLORE(poll_to_end, write_and_close, end_finished,
		{.size = 2, .writes = 1, .reads = 2, .total = 3},
		{.size = 4, .writes = 3, .reads = 8, .total = 6});
}

static void test_reader_closes(void **state)
{
	(void)state;
	EXPLORE(read_some_and_close, write_to_end, end_finished,
		{.size = 2, .writes = 3, .reads = 1, .total = 4},
		{.size = 4, .writes = 5, .reads = 1, .total = 4});
}

static void test_questions(void **state)
{
	(void)state;
	EXPLORE(answer_bytes, ask_bytes, end_finished,
		{.size = 2, .writes = 1, .reads = 1, .total = 3});
}

static void test_exchange(void **state)
{
	(void)state;
	EXPLORE(exchange, exchange, both_finished,
		{.size = 2, .writes = 2, .reads = 1, .total = 2});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_recv_of_a_stream),
		cmocka_unit_test(test_look_then_wait),
		cmocka_unit_test(test_poll),
		cmocka_unit_test(test_writer_closes),
		cmocka_unit_test(test_writer_closes_on_poller),
		cmocka_unit_test(test_reader_closes),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_exchange),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
