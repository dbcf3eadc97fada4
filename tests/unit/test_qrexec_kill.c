// SPDX-License-Identifier: GPL-2.0-or-later
// Large copies in the middle of which one of the processes is killed: nothing hangs, and what the other qube sees afterwards is all of it or
// nothing. The points are chosen by a seeded generator, in bytes of the stream.
// links: tests/unit/qrexec_fixture.c tests/unit/shell.c
#include "qrexec_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE   12000000
#define ROUNDS 3

static const char policy[] = "qubes.Filecopy * work @default allow target=vault\n";

/*
 * The service lets a number of bytes through, then kills, then goes on. Where the files go is in memory, as the
 * unpacker waits until all is on the disk.
 */
static int setup(void **state)
{
	(void)state;
	if (fixture_create())
		return -1;
	write_file("vault.d/qubes.Filecopy", 0755,
		   "#!/bin/sh\nexport SERVICE=$$\n"
		   "{ head -c $(cat $T/point); sh $T/murder; exec cat; } | $P/qfile-unpacker\n");
	sh("mkdir -p tree/sub; head -c 11000000 /dev/urandom >tree/a; head -c 700000 /dev/urandom >tree/sub/b; "
	   "ln -s ../a tree/sub/l; mktemp -d /dev/shm/qrexec-kill.XXXXXX || mktemp -d");
	out[strcspn(out, "\n")] = '\0';
	setenv("HOME", out, 1);
	return fixture_start(policy);
}

static int teardown(void **state)
{
	sh("rm -r \"$HOME\"");
	return fixture_stop(state);
}

/* Copies, with the murder at a point. Its exit code; 128 + 9 if it was the victim. */
static int copy(const char *murder, long point)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld\n", point);
	write_file("point", 0644, text);
	write_file("murder", 0644, murder);
	return sh(
		"rm -rf $HOME/QubesIncoming; "
		"QREXEC_AGENT_SOCKET=$T/work.agent LIBVCHAN_URI=\"local:$T/v?domain=1\" $P/qvm-copy tree 2>/dev/null & "
		"p=$!; echo $p >client; (sleep 90; kill -6 $p) 2>/dev/null >/dev/null & w=$!; "
		"wait $p; c=$?; kill $w; exit $c");
}

/* 1: all is there; 0: nothing is visible; -1: something between them. Waits for the end of a receiver, which holds a lock. */
static int what_arrived(void)
{
	return sh("got=$HOME/QubesIncoming/work\n"
		  "for d in $got/.qfile-partial-*; do [ -d $d ] && flock -w 90 $d true; done\n"
		  "[ -e $got/tree ] || exit 10; diff -r tree $got/tree && exit 11; exit 12") -
	       10;
}

/* What a service manager does. One ends by itself when its other half does. */
static void restart(void)
{
	assert_int_equal(
		sh("lives() { case $(ps -o stat= -p $1) in '' | Z*) return 1; esac; }\n"
		   "for q in work vault; do a=$(cat $q.pid); d=$(cat $q.daemon.pid)\n"
		   "if ! lives $a || ! lives $d; then while lives $a || lives $d; do sleep 0.02; done\n"
		   "rm -f run/qrexec.$q; boot $q; fi; await $q || exit 1; done"),
		0);
}

static const struct {
	const char *name, *murder;
	int outcome; /* of the copy, as what_arrived() says it; 2: depends on who is faster */
} victims[] = {
	{"unpacker", "kill -9 $(pgrep -P $SERVICE qfile-unpacker)", 0},
	{"process of the call", "kill -9 $(ps -o ppid= -p $SERVICE)", 0},
	{"sender", "kill -9 $(cat $T/client)", 0},
	/* Those that brought the call together are not needed any more. */
	{"agent of the target", "kill -9 $(cat $T/vault.pid)", 1},
	{"agent of the source", "kill -9 $(cat $T/work.pid)", 1},
	{"daemon of the source", "kill -9 $(cat $T/work.daemon.pid)", 1},
	{"daemon of the target", "kill -9 $(cat $T/vault.daemon.pid)", 1},
};

static void test_nobody_is_killed(void **state)
{
	(void)state;
	assert_int_equal(copy(":", 1000), 0);
	assert_int_equal(what_arrived(), 1);
}

static void test_kills(void **state)
{
	unsigned int seed = 20240607;

	(void)state;
	for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++)
		for (int round = 0; round < ROUNDS; round++) {
			long point = (long)(((double)rand_r(&seed) / RAND_MAX) * (SIZE - 400000));
			int code = copy(victims[i].murder, point), arrived = what_arrived();

			if (arrived != victims[i].outcome ||
			    (code == 0) != (victims[i].outcome == 1))
				print_message("%s killed at %ld: code %d, arrived %d\n",
					      victims[i].name, point, code, arrived);
			assert_int_equal(arrived, victims[i].outcome);
			assert_int_equal(code == 0, victims[i].outcome == 1);
			restart();
		}
	/* And all goes on as if nothing had been. */
	assert_int_equal(copy(":", 1000), 0);
	assert_int_equal(what_arrived(), 1);
	assert_int_equal(sh("ls -A $HOME/QubesIncoming/work"), 0);
	assert_string_equal(out, "tree\n");
}

/* The service in the agent's process: killed as soon as a part of the file is there. */
static void test_kill_of_the_builtin(void **state)
{
	int code;

	(void)state;
	write_file("conf/qubes.Filecopy", 0644, "built-in=filecopy\n");
	for (int round = 0; round < ROUNDS; round++) {
		code = sh(
			"rm -rf $HOME/QubesIncoming; cp tree/a big; for i in 1 2 3 4 5; do cat tree/a tree/a tree/a >>big; done\n"
			"QREXEC_AGENT_SOCKET=$T/work.agent LIBVCHAN_URI=\"local:$T/v?domain=1\" $P/qvm-copy big 2>/dev/null & p=$!\n"
			"until ls $HOME/QubesIncoming/work/.qfile-partial-*/big >/dev/null 2>&1 || ! kill -0 $p 2>/dev/null; do :; done\n"
			"kill -9 $(pgrep -P $(cat vault.pid)) 2>/dev/null; wait $p; c=$?\n"
			"if [ -e $HOME/QubesIncoming/work/big ]; then cmp big $HOME/QubesIncoming/work/big || exit 77\n"
			"[ $c = 0 ] || [ $c = 1 ] || exit 78; exit 0; fi; [ $c = 1 ] || exit 79; exit 0");
		assert_int_equal(code, 0);
		restart();
	}
	assert_int_equal(
		sh("QREXEC_AGENT_SOCKET=$T/work.agent in_work $P/qvm-copy tree && ls -A $HOME/QubesIncoming/work | "
		   "grep -c partial"),
		1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_is_killed),
		cmocka_unit_test(test_kills),
		cmocka_unit_test(test_kill_of_the_builtin),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
