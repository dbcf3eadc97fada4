// SPDX-License-Identifier: GPL-2.0-or-later
// Calls end to end: daemons and agents of two qubes over the local transport; the programs run under ASan too.
// links: tests/unit/qrexec_fixture.c tests/unit/shell.c
#include "qrexec_fixture.h"

#include <stdio.h>

static const char policy[] =
	"test.Allowed * work vault allow\ntest.Env * work vault allow\ntest.Env * work @adminvm allow\n"
	"test.Env * work @default allow target=dom0\n"
	"test.Cat * @anyvm @anyvm allow\ntest.Missing * work vault allow\n"
	"test.Code * work * allow\ntest.Redirect * work @default allow target=vault\n"
	"test.Late * work vault deny\ntest.Ask * work vault ask\n"
	"test.Gone * work vault allow\n";

static int setup(void **state)
{
	(void)state;
	if (fixture_create())
		return -1;
	write_file("vault.d/test.Allowed", 0755, "#!/bin/sh\necho \"allowed $1\"\n");
	write_file("vault.d/test.Allowed+special", 0755, "#!/bin/sh\necho special\n");
	write_file("vault.d/test.Redirect", 0755, "#!/bin/sh\necho redirected\n");
	write_file("vault.d/test.Cat", 0755, "#!/bin/sh\nexec cat\n");
	write_file("work.d/test.Cat", 0755, "#!/bin/sh\nexec cat\n");
	write_file("vault.d/test.Late", 0755, "#!/bin/sh\necho late\n");
	write_file("vault.d/test.Gone", 0755,
		   "#!/bin/sh\n: >$T/began; cat >/dev/null; : >$T/gone\n");
	write_file("vault.d/test.Ask", 0755, "#!/bin/sh\necho asked\n");
	write_file("vault.d/test.Code", 0755, "#!/bin/sh\necho out; echo err >&2; exit $1\n");
	write_file("vault.d/test.Env", 0755,
		   "#!/bin/sh\necho \"$QREXEC_REMOTE_DOMAIN $QREXEC_SERVICE_FULL_NAME "
		   "$QREXEC_SERVICE_ARGUMENT\"\n");
	write_file("dom0.d/test.Env", 0755,
		   "#!/bin/sh\necho \"dom0 $QREXEC_REMOTE_DOMAIN $QREXEC_REQUESTED_TARGET_TYPE "
		   "$QREXEC_REQUESTED_TARGET$QREXEC_REQUESTED_TARGET_KEYWORD\"\n");
	return fixture_start(policy);
}

static void test_command_in_a_qube(void **state)
{
	(void)state;
	assert_int_equal(sh("dom0 -d work \"$U:echo hello; exit 7\""), 7);
	assert_string_equal(out, "hello\n");
	assert_int_equal(sh("dom0 -d vault \"DEFAULT:id -un\" | grep -x \"$U\""), 0);
	assert_int_equal(sh("dom0 -d work \"$U:kill -9 \\$\\$\""), 128 + 9);
	assert_int_equal(sh("dom0 -d work \"$U:echo loud >&2\" 2>&1 >/dev/null | grep -x loud"), 0);
	assert_int_equal(sh("dom0 -d work nobody-here:true"), 125);
	assert_int_equal(sh("dom0 -d off \"$U:true\" 2>/dev/null"), 125);
}

static void test_data_and_half_close(void **state)
{
	(void)state;
	assert_int_equal(sh("printf abc | dom0 -d work \"$U:cat\""), 0);
	assert_string_equal(out, "abc");
	/* The command sees the end of its input while its own output goes on. */
	assert_int_equal(sh("printf abc | dom0 -d work \"$U:cat; sleep 0.2; echo after\""), 0);
	assert_string_equal(out, "abcafter\n");
	/* It closes its output; input still arrives, and the exit code comes last. */
	assert_int_equal(sh("(sleep 0.3; printf late) | dom0 -d work "
			    "\"$U:exec >&- 2>&-; cat >$T/late; exit 3\"; c=$?; cat late; exit $c"),
			 3);
	assert_string_equal(out, "late");
	/* Nobody reads the input: that is no reason to stop. */
	assert_int_equal(sh("head -c 3000000 /dev/zero | dom0 -d work \"$U:exec <&-; echo ok\""),
			 0);
	assert_string_equal(out, "ok\n");
	assert_int_equal(
		sh("dom0 -d work -l 'printf local; exec >got; cat' \"$U:cat; echo\" && cat got"),
		0);
	assert_string_equal(out, "local\n");
}

static void test_large_transfers(void **state)
{
	(void)state;
	assert_int_equal(sh("head -c 20000000 /dev/urandom >big; "
			    "dom0 -d work \"$U:cat\" <big | cmp - big"),
			 0);
	assert_int_equal(sh("work vault test.Cat <big | cmp - big"), 0);
	assert_int_equal(sh("vault work test.Cat <big | cmp - big"), 0);
	assert_int_equal(
		sh("dom0 -d work \"$U:cat $T/big >&2\" 2>&1 >/dev/null | tail -c 20000000 | "
		   "cmp - big"),
		0);
}

static void test_calls_between_qubes(void **state)
{
	(void)state;
	assert_int_equal(sh("work vault test.Allowed+x </dev/null"), 0);
	assert_string_equal(out, "allowed x\n");
	assert_int_equal(sh("work vault test.Allowed+special </dev/null"), 0);
	assert_string_equal(out, "special\n");
	assert_int_equal(sh("work vault test.Env+a+b </dev/null"), 0);
	assert_string_equal(out, "work test.Env+a+b a+b\n");
	assert_int_equal(sh("work @default test.Redirect </dev/null"), 0);
	assert_string_equal(out, "redirected\n");
	assert_int_equal(sh("work vault test.Code+42 2>&1 </dev/null | sort; "
			    "work vault test.Code+42 >/dev/null 2>&1 </dev/null"),
			 42);
	assert_string_equal(out, "err\nout\n");
	/* The local program talks to the service; the service's exit code is the answer. */
	assert_int_equal(
		sh("work vault test.Cat sh -c 'echo ping; exec >&-; cat >reply'; cat reply"), 0);
	assert_string_equal(out, "ping\n");
	assert_int_equal(sh("work vault test.Missing 2>&1 </dev/null"), 127);
}

static void test_calls_to_dom0(void **state)
{
	(void)state;
	assert_int_equal(sh("work dom0 test.Env </dev/null"), 0);
	assert_string_equal(out, "dom0 work name dom0\n");
	assert_int_equal(sh("work @adminvm test.Env </dev/null"), 0);
	assert_string_equal(out, "dom0 work keyword adminvm\n");
	assert_int_equal(sh("work '' test.Env </dev/null"), 0);
	assert_string_equal(out, "dom0 work keyword default\n");
	assert_int_equal(sh("work dom0 test.Code+1 2>/dev/null </dev/null"), 127);
}

static void test_refusal(void **state)
{
	static const char *const calls[] = {
		"work dom0 test.Allowed",   "vault work test.Allowed",
		"work nobody test.Allowed", "work vault test.Unknown",
		"work off test.Code",	    "work work/../x test.Allowed",
		"work vault test.Ask",	    "work @anyvm test.Allowed",
	};
	char script[200];

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		snprintf(script, sizeof(script), "%s 2>&1 </dev/null", calls[i]);
		assert_int_equal(sh(script), 126);
		assert_string_equal(out, "qrexec-client-vm: request refused\n");
	}
}

static void test_policy_counts_at_once(void **state)
{
	(void)state;
	assert_int_equal(sh("work vault test.Late 2>/dev/null </dev/null"), 126);
	write_file("policy/40-more.policy", 0644, "test.Late * work vault allow\n");
	assert_int_equal(sh("work vault test.Late </dev/null"), 0);
	assert_string_equal(out, "late\n");
	write_file("policy/40-more.policy", 0644, "test.Late * work vault allowed\n");
	assert_int_equal(sh("work vault test.Allowed 2>/dev/null </dev/null"), 126);
	assert_int_equal(sh("rm policy/40-more.policy; work vault test.Allowed </dev/null"), 0);
}

static void test_many_at_once(void **state)
{
	(void)state;
	assert_int_equal(
		sh("for i in $(seq 30); do (echo $i | work vault test.Cat >par.$i) & done; wait; "
		   "cat par.* | sort -n | tr '\\n' ' '"),
		0);
	assert_string_equal(out,
			    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 "
			    "27 28 29 30 ");
}

/* Two qubes have 128 ports to call each other: each is freed when its call is over. */
static void test_ports_come_back(void **state)
{
	(void)state;
	assert_int_equal(sh("for i in $(seq 130); do "
			    "work vault test.Allowed </dev/null >/dev/null || exit 1; done"),
			 0);
}

static void test_just_exec(void **state)
{
	(void)state;
	assert_int_equal(
		sh("rm -f mark; dom0 -d work -e \"$U:sleep 0.3; echo out || exit; echo done >$T/mark; exit 9\"; "
		   "c=$?; until [ -s mark ]; do sleep 0.1; done; "
		   "cat mark; exit $c"),
		0);
	assert_string_equal(out, "done\n");
}

static void test_death_of_the_caller(void **state)
{
	(void)state;
	/* The service sees the end of its input, and does what it does then. */
	assert_int_equal(
		sh("env LIBVCHAN_URI=\"local:$T/v?domain=1\" $P/qrexec-client-vm --socket $T/work.agent "
		   "vault test.Gone sh -c ': >calls; exec sleep 1000' >/dev/null & p=$!; "
		   "until [ -e began -a -e calls ]; do sleep 0.1; done; "
		   "[ -e gone ] && exit 2; kill -9 $(pgrep -P $p) $p; "
		   "until [ -e gone ]; do sleep 0.1; done"),
		0);
	assert_int_equal(sh("work vault test.Allowed </dev/null"), 0);
}

/* The last one, as it ends an agent. */
static void test_death_of_the_qube(void **state)
{
	(void)state;
	assert_int_equal(
		sh("dom0 -d vault \"$U:touch $T/runs; exec sleep 100\" </dev/null 2>/dev/null & c=$!; "
		   "until [ -e runs ]; do sleep 0.1; done; "
		   "a=$(cat vault.pid); kill -9 $(pgrep -P $a) $a; wait $c"),
		125);
	assert_int_equal(sh("while [ -S run/qrexec.vault ]; do sleep 0.1; done; "
			    "work vault test.Allowed 2>/dev/null </dev/null"),
			 126);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_in_a_qube),
		cmocka_unit_test(test_data_and_half_close),
		cmocka_unit_test(test_large_transfers),
		cmocka_unit_test(test_calls_between_qubes),
		cmocka_unit_test(test_calls_to_dom0),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_policy_counts_at_once),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_ports_come_back),
		cmocka_unit_test(test_just_exec),
		cmocka_unit_test(test_death_of_the_caller),
		cmocka_unit_test(test_death_of_the_qube),
	};

	return cmocka_run_group_tests(tests, setup, fixture_stop);
}
