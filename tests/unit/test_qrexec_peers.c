// SPDX-License-Identifier: GPL-2.0-or-later
// The agent's watches of other qubes: one for all calls with a qube, whose end reaches each of them.
// links: qrexec/agent/peers.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../qrexec/agent/peers.h"
#include "../../vchan/libvchan.h"

/* XenStore: a descriptor for each watch, and what is to be said of the domain. */
static int watches, answer, last_watch, told;

int libvchan_domain_watch(int domain)
{
	if (domain == 99) {
		errno = ENOENT;
		return -1;
	}
	watches++;
	last_watch = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return last_watch;
}

int libvchan_domain_ended(int fd, int domain)
{
	uint64_t value;

	assert_int_equal(fd, last_watch);
	assert_in_range(domain, 1, 98);
	assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
	return answer;
}

static void note(uint32_t domain)
{
	told = (int)domain;
}

static void hear(int what)
{
	struct pollfd p[MAX_PEERS];

	answer = what;
	told = 0;
	eventfd_write(last_watch, 1);
	peers_collect(p);
	assert_int_equal(poll(p, MAX_PEERS, 0), 1);
	peers_polled(p, note);
}

static short state_of(int line)
{
	struct pollfd p = {line, POLLIN, 0};

	return poll(&p, 1, 0) ? p.revents : 0;
}

static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++) {
		struct pollfd p = {fd, 0, 0};

		n += poll(&p, 1, 0) == 0 || !(p.revents & POLLNVAL);
	}
	return n;
}

static void test_one_watch_for_all(void **state)
{
	int before = open_descriptors(), line, again;

	(void)state;
	watches = 0;
	line = peer_join(7);
	assert_true(line >= 0);
	for (int i = 1; i < 200; i++)
		assert_int_equal(peer_join(7), line);
	assert_int_equal(watches, 1);
	hear(0);
	assert_int_equal(told, 0);
	assert_int_equal(state_of(line), 0);
	hear(1);
	assert_int_equal(told, 7);
	assert_int_equal(state_of(line), POLLIN);
	/* A call that was on its way when that happened. */
	again = peer_join(7);
	assert_int_equal(state_of(again), POLLIN);
	for (int i = 0; i < 201; i++)
		peer_leave(7);
	assert_int_equal(open_descriptors(), before);
	peer_leave(7);
}

static void test_without_news(void **state)
{
	int before = open_descriptors(), line;

	(void)state;
	assert_int_equal(peer_join(0), -1);
	assert_int_equal(peer_join(99), -1);
	line = peer_join(5);
	hear(-1);
	assert_int_equal(told, 0);
	assert_int_equal(state_of(line), POLLHUP);
	peer_leave(5);
	assert_int_equal(open_descriptors(), before);
}

static void test_many_qubes(void **state)
{
	int before = open_descriptors();

	(void)state;
	for (uint32_t domain = 1; domain <= MAX_PEERS; domain++)
		assert_true(peer_join(domain) >= 0);
	assert_int_equal(peer_join(MAX_PEERS + 1), -1);
	peer_leave(1);
	assert_true(peer_join(MAX_PEERS + 1) >= 0);
	for (uint32_t domain = 2; domain <= MAX_PEERS + 1; domain++)
		peer_leave(domain);
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_watch_for_all),
		cmocka_unit_test(test_without_news),
		cmocka_unit_test(test_many_qubes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
