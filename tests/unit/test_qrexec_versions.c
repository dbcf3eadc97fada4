// SPDX-License-Identifier: GPL-2.0-or-later
// Qubes with agents of the protocol's versions 2 and 3, which this program plays: calls from dom0, calls to another qube, refusals.
// links: tests/unit/qrexec_fixture.c tests/unit/shell.c vchan/libvchan.c vchan/pace.c vchan/shm.c vchan/uri.c vchan/local.c
// links: vchan/rendezvous.c vchan/xen.c vchan/xen_dev.c vchan/xs.c vchan/end.c
// cflags: -D_GNU_SOURCE
#include "qrexec_fixture.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../vchan/libvchan.h"

/* The numbers of docs/qrexec-protocol.md, by themselves: what the programs have of them could be wrong at both ends. */
enum {
	STDIN = 0x190,
	STDOUT,
	STDERR,
	EXIT_CODE,
	EXEC_CMDLINE = 0x200,
	SERVICE_CONNECT = 0x202,
	SERVICE_REFUSED,
	TRIGGER_SERVICE = 0x210,
	CONNECTION_TERMINATED,
	TRIGGER_SERVICE3,
	HELLO = 0x300,
};

#define CONTROL_PORT 512
#define RING	     65536
#define WORK	     1
#define STREAM	     300000

struct message {
	uint32_t type, length;
	uint8_t body[65536 + 1];
};

static libvchan_t *control;
static int version;

static void get(libvchan_t *channel, struct message *message)
{
	assert_int_equal(libvchan_recv(channel, message, 8), 8);
	assert_true(message->length < sizeof(message->body));
	for (uint32_t done = 0; done < message->length;) {
		int n = libvchan_read(channel, message->body + done, message->length - done);

		assert_true(n > 0);
		done += (uint32_t)n;
	}
	message->body[message->length] = 0;
}

static void put(libvchan_t *channel, uint32_t type, const void *body, uint32_t length)
{
	const uint32_t header[2] = {type, length};

	assert_int_equal(libvchan_write(channel, header, sizeof(header)), sizeof(header));
	assert_int_equal(libvchan_write(channel, body, length), length);
}

static void put_hello(libvchan_t *channel)
{
	const uint32_t own = (uint32_t)version;

	put(channel, HELLO, &own, sizeof(own));
}

static void get_hello(libvchan_t *channel)
{
	struct message message;
	uint32_t theirs;

	get(channel, &message);
	assert_int_equal(message.type, HELLO);
	assert_int_equal(message.length, sizeof(theirs));
	memcpy(&theirs, message.body, sizeof(theirs));
	assert_true(theirs >= 2);
}

/* A record with domain, port and text; returns the text. */
static const char *exec_of(const struct message *message, uint32_t *ret_domain, uint32_t *ret_port)
{
	assert_true(message->length > 8);
	memcpy(ret_domain, message->body, 4);
	memcpy(ret_port, message->body + 4, 4);
	return (const char *)message->body + 8;
}

static void put_terminated(uint32_t domain, uint32_t port)
{
	const uint32_t body[2] = {domain, port};
	uint8_t record[9] = {0};

	memcpy(record, body, sizeof(body));
	put(control, CONNECTION_TERMINATED, record, sizeof(record));
}

/* No chunk is longer than this version allows; a stream as fast as it goes makes use of that. */
static void check_chunk(uint32_t length, uint32_t *longest)
{
	assert_true(length <= (version == 2 ? 4096 : 65536));
	if (length > *longest)
		*longest = length;
}

static void boot(int domain, const char *name)
{
	char script[512];

	snprintf(script, sizeof(script), "printf %%s \"local:$T/v?domain=%d\"", domain);
	sh(script);
	setenv("LIBVCHAN_URI", out, 1);
	control = libvchan_server_init(0, CONTROL_PORT, 4096, 4096);
	assert_non_null(control);
	/* The agent is the first to speak, also before there is anybody. */
	put_hello(control);
	snprintf(
		script, sizeof(script),
		"env LIBVCHAN_URI=\"local:$T/v?domain=0\" $P/qrexec-daemon --socket-dir $T/run --policy-dir $T/policy --qubes $T/qubes --prompt $T/prompt "
		"--starter $T/starter --service-dir $T/dom0.d --config-dir $T/conf %d %s $U >>$T/%s.daemon.log 2>&1 & "
		"echo $! >>$T/pids",
		domain, name, name);
	assert_int_equal(sh(script), 0);
	get_hello(control);
	snprintf(script, sizeof(script), "await %s", name);
	assert_int_equal(sh(script), 0);
}

/* A command from dom0: it gets back what it is sent, and exit code 3. */
static void call_from_dom0(const char *name)
{
	struct message message;
	uint32_t domain, port, longest = 0, sum = 0;
	const int32_t code = 3;
	libvchan_t *data;
	char script[256];

	snprintf(
		script, sizeof(script),
		"(head -c %d /dev/zero | dom0 -d %s me:cat >copy; echo $? >code) </dev/null >/dev/null 2>&1 & :",
		STREAM, name);
	assert_int_equal(sh(script), 0);
	get(control, &message);
	assert_int_equal(message.type, EXEC_CMDLINE);
	assert_string_equal(exec_of(&message, &domain, &port), "me:cat");
	assert_int_equal(domain, 0);
	data = libvchan_client_init((int)domain, (int)port);
	assert_non_null(data);
	put_hello(data);
	get_hello(data);
	do {
		get(data, &message);
		assert_int_equal(message.type, STDIN);
		check_chunk(message.length, &longest);
		put(data, STDOUT, message.body, message.length);
		sum += message.length;
	} while (message.length);
	put(data, STDERR, "", 0);
	put(data, EXIT_CODE, &code, sizeof(code));
	assert_int_equal(sum, STREAM);
	assert_true(version == 2 ? longest == 4096 : longest > 4096);
	/* It is the caller who closes. */
	while (libvchan_wait(data) == 0 && libvchan_is_open(data) == VCHAN_CONNECTED)
		continue;
	libvchan_close(data);
	put_terminated(domain, port);
	assert_int_equal(
		sh("for i in $(seq 2000); do [ -s code ] && break; sleep 0.1; done; cat code; wc -c <copy; rm code copy"),
		0);
	assert_string_equal(out, "3\n300000\n");
}

static void trigger(const char *target, const char *service, const char *ident)
{
	char body[64 + 32 + 64] = {0};

	if (version == 2) {
		snprintf(body, 64, "%s", service);
		snprintf(body + 64, 32, "%s", target);
		snprintf(body + 96, 32, "%s", ident);
		put(control, TRIGGER_SERVICE, body, 128);
	} else {
		snprintf(body, 64, "%s", target);
		snprintf(body + 64, 32, "%s", ident);
		snprintf(body + 96, 64, "%s", service);
		put(control, TRIGGER_SERVICE3, body, 96 + (uint32_t)strlen(service) + 1);
	}
}

/* A call of a service in another qube, whose agent is a new one. */
static void call_to_work(void)
{
	static char text[50000];
	uint32_t domain, port, got = 0, longest = 0;
	struct message message;
	libvchan_t *data;
	bool ended = false;

	trigger("work", "test.Cat+argument", "SOCKET7");
	get(control, &message);
	assert_int_equal(message.type, SERVICE_CONNECT);
	assert_string_equal(exec_of(&message, &domain, &port), "SOCKET7");
	assert_int_equal(domain, WORK);
	data = libvchan_server_init((int)domain, (int)port, RING, RING);
	assert_non_null(data);
	put_hello(data);
	get_hello(data);
	memset(text, 'x', sizeof(text));
	for (uint32_t done = 0; done < sizeof(text); done += 4000)
		put(data, STDIN, text + done,
		    sizeof(text) - done < 4000 ? (uint32_t)sizeof(text) - done : 4000);
	put(data, STDIN, "", 0);
	while (!ended) {
		get(data, &message);
		check_chunk(message.length, &longest);
		ended = message.type == EXIT_CODE;
		if (message.type == STDOUT)
			got += message.length;
	}
	assert_int_equal(got, sizeof(text));
	assert_int_equal(message.body[0], 0);
	libvchan_close(data);
	put_terminated(domain, port);
}

static void refusal(void)
{
	struct message message;

	trigger("work", "test.No", "SOCKET8");
	get(control, &message);
	assert_int_equal(message.type, SERVICE_REFUSED);
	assert_int_equal(message.length, 32);
	assert_string_equal((const char *)message.body, "SOCKET8");
}

static void play(int domain, const char *name, int of)
{
	version = of;
	boot(domain, name);
	call_from_dom0(name);
	call_to_work();
	refusal();
	call_from_dom0(name);
	libvchan_close(control);
}

static void test_version_2(void **state)
{
	(void)state;
	play(3, "second", 2);
}

static void test_version_3(void **state)
{
	(void)state;
	play(4, "third", 3);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (fixture_create())
		return -1;
	write_file("work.d/test.Cat", 0755, "#!/bin/sh\nexec cat\n");
	if (fixture_start("test.Cat * second work allow\ntest.Cat * third work allow\n"))
		return -1;
	return sh("printf 'second class=AppVM domid=3\\nthird class=AppVM domid=4\\n' >>qubes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_2),
		cmocka_unit_test(test_version_3),
	};

	return cmocka_run_group_tests(tests, setup, fixture_stop);
}
