// SPDX-License-Identifier: GPL-2.0-or-later
// Many calls at once, floods, slow readers, calls that are never finished: daemon and agent keep to fixed numbers of
// descriptors and to fixed memory, and go on with everybody else.
// links: tests/unit/qrexec_fixture.c tests/unit/shell.c qrexec/lib/call.c qrexec/lib/channel.c qrexec/lib/endpoint.c qrexec/lib/wire.c qrexec/lib/link.c
// links: qrexec/lib/socket.c qrexec/lib/terminal.c qrexec/lib/rate.c
// links: qrexec/lib/pieces.c qrexec/lib/stream.c vchan/libvchan.c vchan/pace.c vchan/shm.c vchan/uri.c vchan/local.c
// links: vchan/rendezvous.c vchan/xen.c vchan/xen_dev.c vchan/xs.c vchan/end.c
// cflags: -D_GNU_SOURCE
#include "qrexec_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../qrexec/lib/call.h"
#include "../../qrexec/lib/link.h"
#include "../../qrexec/lib/rate.h"
#include "../../qrexec/lib/socket.h"
#include "../../qrexec/lib/stream.h"

static const char policy[] =
	"test.Cat * work vault allow\ntest.Cat * work dom0 allow\ntest.Flood * work vault allow\n"
	"test.Cat * vault work allow\n";
static char directory[64], agent_socket[96], daemon_dir[96], uri[3][96];

static int setup(void **state)
{
	static const char *const places[] = {"dom0.d", "work.d", "vault.d"};
	struct rlimit files = {4096, 4096};
	char name[64];

	(void)state;
	/* What is freed is given back at once, so that memory can be measured. */
	setenv("ASAN_OPTIONS",
	       "quarantine_size_mb=0:thread_local_quarantine_size_kb=0:malloc_context_size=0", 1);
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	if (fixture_create())
		return -1;
	sh("printf %s $T");
	snprintf(directory, sizeof(directory), "%.60s", out);
	snprintf(agent_socket, sizeof(agent_socket), "%s/work.agent", directory);
	snprintf(daemon_dir, sizeof(daemon_dir), "%s/run", directory);
	for (int i = 0; i < 3; i++) {
		snprintf(uri[i], sizeof(uri[i]), "local:%s/v?domain=%d", directory, i);
		snprintf(name, sizeof(name), "%s/test.Cat", places[i]);
		write_file(name, 0755, "#!/bin/sh\nexec cat\n");
	}
	write_file("vault.d/test.Flood", 0755, "#!/bin/sh\nexec cat /dev/zero\n");
	return fixture_start(policy);
}

/* Descriptors, or kilobytes of memory, of a process whose number is in a file. */
static int descriptors(const char *name)
{
	char script[128];

	snprintf(script, sizeof(script), "ls /proc/$(cat %s)/fd | wc -l", name);
	sh(script);
	return atoi(out);
}

static int memory(const char *name)
{
	char script[128];

	snprintf(script, sizeof(script), "sed -n 's/^VmRSS:[^0-9]*//p' /proc/$(cat %s)/status",
		 name);
	sh(script);
	return atoi(out);
}

/* Waits until all that was open is closed again. */
static void settle(const char *name, int wanted)
{
	int now = descriptors(name);

	for (int i = 0; i < 1000 && now != wanted; i++) {
		usleep(20000);
		now = descriptors(name);
	}
	assert_int_equal(now, wanted);
}

static const char *const processes[] = {"work.daemon.pid", "vault.daemon.pid", "work.pid",
					"vault.pid"};
static int before[4];

static void take_stock(void)
{
	for (int i = 0; i < 4; i++)
		before[i] = descriptors(processes[i]);
}

static void compare_stock(void)
{
	for (int i = 0; i < 4; i++)
		settle(processes[i], before[i]);
}

static int open_call(struct call_channel *call, struct link *link, const char *target,
		     const char *service)
{
	int rc;

	setenv("LIBVCHAN_URI", uri[1], 1);
	rc = call_service(agent_socket, target, service, STREAM_RING, STREAM_RING, call);
	return rc ? rc : link_open(link, call->vchan, false);
}

static void check_echo(struct link *link, int number)
{
	struct libvchan_piece pieces[2];
	char text[32], got[32];
	size_t size = (size_t)snprintf(text, sizeof(text), "call %d", number), done = 0;

	assert_int_equal(link_write(link, text, size), 0);
	while (done < size) {
		ssize_t n = link_peek(link, pieces, size - done);

		assert_true(n > 0);
		pieces_get(pieces, got + done, (size_t)n);
		link_consume(link, (size_t)n);
		done += (size_t)n;
	}
	assert_memory_equal(got, text, size);
}

static void finish(struct call_channel *call, struct link *link)
{
	assert_int_equal(link_end(link), 0);
	assert_int_equal(link_wait_exit(link), 0);
	call_finish(call);
}

#define CALLS 144
static struct call_channel calls[CALLS];
static struct link links[CALLS];

/*
 * All of them are open before the first one is used. Of the 128 ports that two qubes have for a direction, all can be: the
 * next call is refused, the one after an end is not. Dom0 runs 16 services for a qube at a time.
 */
static void test_many_calls_of_a_qube(void **state)
{
	struct call_channel more;
	struct link link;

	(void)state;
	take_stock();
	for (int i = 0; i < CALLS; i++)
		assert_int_equal(open_call(&calls[i], &links[i], i < 128 ? "vault" : "dom0",
					   "test.Cat"),
				 0);
	for (int i = 0; i < CALLS; i++)
		check_echo(&links[i], i);
	assert_int_equal(open_call(&more, &link, "vault", "test.Cat"), -EACCES);
	assert_int_equal(open_call(&more, &link, "dom0", "test.Cat"), -EACCES);
	/* Other peers have ports of their own. */
	assert_int_equal(
		sh("echo other | vault work test.Cat; echo dom0 | dom0 -d vault \"$U:cat\""), 0);
	assert_string_equal(out, "other\ndom0\n");
	finish(&calls[0], &links[0]);
	finish(&calls[128], &links[128]);
	while (open_call(&calls[0], &links[0], "vault", "test.Cat"))
		usleep(10000); /* the end of a call comes to the daemon after it comes here */
	while (open_call(&calls[128], &links[128], "dom0", "test.Cat"))
		usleep(10000);
	for (int i = 0; i < CALLS; i++)
		finish(&calls[i], &links[i]);
	compare_stock();
}

static void test_many_calls_from_dom0(void **state)
{
	(void)state;
	take_stock();
	setenv("LIBVCHAN_URI", uri[0], 1);
	for (int i = 0; i < CALLS; i++) {
		assert_int_equal(call_execute(daemon_dir, "work", "DEFAULT:QUBESRPC test.Cat dom0",
					      false, STREAM_RING, STREAM_RING, &calls[i]),
				 0);
		assert_int_equal(link_open(&links[i], calls[i].vchan, false), 0);
	}
	for (int i = 0; i < CALLS; i++)
		check_echo(&links[i], i);
	for (int i = 0; i < CALLS; i++)
		finish(&calls[i], &links[i]);
	compare_stock();
}

static int connect_to(const char *path)
{
	int fd = socket_connect(path, SOCK_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* Connections that send half a message, or nothing, to agent and daemon; more than they have places for. */
static void test_half_open_connections(void **state)
{
	static int agents[600], daemons[600];
	char path[128];

	(void)state;
	take_stock();
	snprintf(path, sizeof(path), "%s/qrexec.work", daemon_dir);
	for (int i = 0; i < 600; i++) {
		agents[i] = connect_to(agent_socket);
		send(agents[i], "\x12\x02\0\0\x80", 5, MSG_NOSIGNAL);
		daemons[i] = connect_to(path);
		send(daemons[i], "\0\x03\0", 3, MSG_NOSIGNAL);
	}
	/* The daemon of this qube has no place for more; that of the other one has, and calls of the qube need none. */
	assert_int_equal(sh("dom0 -d work \"$U:true\" 2>/dev/null </dev/null"), 125);
	assert_int_equal(sh("dom0 -d vault \"$U:true\" </dev/null"), 0);
	assert_true(descriptors("work.daemon.pid") < 600 && descriptors("work.pid") < 600);
	for (int i = 0; i < 600; i++) {
		close(agents[i]);
		close(daemons[i]);
	}
	compare_stock();
	assert_int_equal(sh("dom0 -d work \"$U:true\" </dev/null; echo x | work vault test.Cat"),
			 0);
}

/* Requests without end: each is answered, nothing is kept. */
static void test_flood_of_requests(void **state)
{
	int start[4];

	(void)state;
	take_stock();
	setenv("LIBVCHAN_URI", uri[1], 1);
	for (int i = 0; i < 100; i++) /* what is allocated once */
		assert_int_equal(call_service(agent_socket, "vault", "test.No", 1, 1, &calls[0]),
				 -EACCES);
	for (int i = 0; i < 4; i++)
		start[i] = memory(processes[i]);
	for (int i = 0; i < 500; i++)
		assert_int_equal(call_service(agent_socket, "vault", "test.No", 1, 1, &calls[0]),
				 -EACCES);
	for (int i = 0; i < 4; i++)
		assert_true(memory(processes[i]) - start[i] < 512);
	compare_stock();
}

/* What a qube makes dom0 write and show: so much at once, then a little from time to time, and how much was left out. */
static void test_rate(void **state)
{
	struct rate rate = {.burst = 3, .pause = 100};

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&rate, 1000));
	for (int i = 0; i < 7; i++)
		assert_false(rate_take(&rate, 1099));
	assert_int_equal(rate_refused(&rate), 7);
	assert_int_equal(rate_refused(&rate), 0);
	assert_true(rate_take(&rate, 1100));
	assert_false(rate_take(&rate, 1199));
	/* Two pauses are two more, and what is left of a third one counts for the next. */
	assert_true(rate_take(&rate, 1350));
	assert_true(rate_take(&rate, 1350));
	assert_false(rate_take(&rate, 1350));
	assert_true(rate_take(&rate, 1400));
	/* After a rest it is as at first, however long that was. */
	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&rate, 1000000000000));
	assert_false(rate_take(&rate, 1000000000000));
}

/* A qube chooses the argument of a service: its line in the log is cut. */
static void test_log_lines_are_short(void **state)
{
	char *service = malloc(40000);

	(void)state;
	memset(service, 'a', 40000);
	memcpy(service, "test.No+", 8);
	service[39999] = '\0';
	setenv("LIBVCHAN_URI", uri[1], 1);
	assert_int_equal(call_service(agent_socket, "vault", service, 1, 1, &calls[0]), -EACCES);
	free(service);
	assert_int_equal(
		sh("grep -c aaaa work.daemon.log; awk 'length > 600' *.daemon.log | wc -l"), 0);
	assert_string_equal(out, "1\n0\n");
}

/* Callers that ask and are gone before they get an answer. */
static void test_callers_that_leave(void **state)
{
	struct wire_trigger trigger = {.target = "dom0", .service = "test.Cat"};
	uint8_t body[256], message[300];
	struct wire_header header;
	uint32_t type;
	int length = wire_encode_trigger(4, &trigger, &type, body, sizeof(body));

	(void)state;
	take_stock();
	header = (struct wire_header){type, (uint32_t)length};
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), body, (size_t)length);
	for (int i = 0; i < 100; i++) {
		int fd = connect_to(agent_socket);

		assert_int_equal(send(fd, message, sizeof(header) + (size_t)length, MSG_NOSIGNAL),
				 (int)sizeof(header) + length);
		close(fd);
	}
	/* One that comes behind them all, so that they have been looked at. */
	assert_int_equal(open_call(&calls[0], &links[0], "vault", "test.Cat"), 0);
	check_echo(&links[0], 1);
	finish(&calls[0], &links[0]);
	compare_stock();
	/* Nor does dom0 keep the children that were to serve them. */
	for (int i = 0; i < 1000 && sh("[ -z \"$(pgrep -P $(cat work.daemon.pid))\" ]"); i++)
		usleep(20000);
	assert_int_equal(sh("pgrep -P $(cat work.daemon.pid)"), 1);
}

/* A service that floods a caller who does not read: the ring is all that is kept, on both sides. */
static void test_slow_reader(void **state)
{
	struct libvchan_piece pieces[2];
	size_t sum = 0;
	int kept = 0;

	(void)state;
	take_stock();
	for (int i = 0; i < 20; i++)
		assert_int_equal(open_call(&calls[i], &links[i], "vault", "test.Flood"), 0);
	for (int i = 0; i < 20; i++)
		while (libvchan_data_ready(calls[i].vchan) < STREAM_RING * 3 / 4)
			usleep(1000);
	/* Others are not held up. */
	assert_int_equal(sh("echo through | work vault test.Cat"), 0);
	assert_string_equal(out, "through\n");
	for (int i = 0; i < 20; i++)
		kept += libvchan_data_ready(calls[i].vchan);
	assert_true(kept <= 20 * STREAM_RING);
	/* It is a flood indeed. */
	while (sum < 3000000) {
		ssize_t n = link_peek(&links[0], pieces, 65536);

		assert_true(n > 0);
		link_consume(&links[0], (size_t)n);
		sum += (size_t)n;
	}
	/* Their ends are noticed though the services do nothing but write. */
	for (int i = 0; i < 20; i++)
		call_finish(&calls[i]);
	compare_stock();
}

/* The last one, as it ends a qube in the middle of many calls: all of them end, and nothing of them stays. */
static void test_dying_qube(void **state)
{
	(void)state;
	take_stock();
	for (int i = 0; i < 50; i++)
		assert_int_equal(open_call(&calls[i], &links[i], "vault",
					   i & 1 ? "test.Cat" : "test.Flood"),
				 0);
	sh("a=$(cat vault.pid); kill -9 $(pgrep -P $a) $a");
	for (int i = 0; i < 50; i++) {
		assert_int_equal(link_wait_exit(&links[i]), WIRE_EXIT_PROBLEM);
		call_finish(&calls[i]);
	}
	settle(processes[0], before[0]);
	settle(processes[2], before[2]);
	assert_int_equal(sh("echo on | work dom0 test.Cat"), 0);
	assert_string_equal(out, "on\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_calls_of_a_qube),
		cmocka_unit_test(test_many_calls_from_dom0),

		cmocka_unit_test(test_half_open_connections),
		cmocka_unit_test(test_log_lines_are_short),
		cmocka_unit_test(test_flood_of_requests),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_callers_that_leave),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_dying_qube),
	};

	return cmocka_run_group_tests(tests, setup, fixture_stop);
}
