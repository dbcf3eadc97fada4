// SPDX-License-Identifier: GPL-2.0-or-later
// QubesDB end to end: both daemons, commands and library over the local transport; the programs run under ASan too.
// links: tests/unit/shell.c qubesdb/library.c qrexec/lib/socket.c qubesdb/wire.c
#define _GNU_SOURCE
#include "shell.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../qubesdb/qubesdb-client.h"

/* Shell words: dom0's commands, the qube's, and waiting for what the other side will do. */
static const char prelude[] =
	"dom0() { c=$1; shift; QUBESDB_SOCKET_DIR=$T/dom0 timeout 300 $P/qubesdb-cmd -c $c -d work \"$@\"; }\n"
	"qube() { c=$1; shift; QUBESDB_SOCKET_DIR=$T/qube timeout 300 $P/qubesdb-cmd -c $c \"$@\"; }\n"
	"start_dom0() { LIBVCHAN_URI=\"local:$T/v?domain=0\" $P/qubesdb-daemon --background "
	"--socket-dir $T/dom0 --pid-file $T/dom0.pid 1 work 2>>$T/dom0.log; }\n"
	"start_qube() { LIBVCHAN_URI=\"local:$T/v?domain=1\" $P/qubesdb-daemon --background "
	"--socket-dir $T/qube --pid-file $T/qube.pid 0 2>>$T/qube.log; }\n"
	"end_of() { p=$(cat $T/$1.pid); kill $2 $p; while kill -0 $p 2>/dev/null; do sleep 0.05; done; }\n"
	"cd $T\n";

static int sh(const char *script)
{
	return shell(prelude, script);
}

static int setup(void **state)
{
	(void)state;
	if (shell_create("qubesdb"))
		return -1;
	/* The parents return when the sockets are there: in the qube, with dom0's entries behind them. */
	return sh(
		"mkdir v dom0 qube; start_dom0 && dom0 write /name work /type AppVM && start_qube");
}

static int teardown(void **state)
{
	(void)state;
	sh("end_of dom0; end_of qube");
	return shell_destroy();
}

static void test_entries_of_dom0_are_there_from_the_start(void **state)
{
	(void)state;
	assert_int_equal(sh("qube read /name; qube read -f /type; qube multiread /"), 0);
	assert_string_equal(out, "work\n/type = AppVM\nname = work\ntype = AppVM\n");
}

static qdb_handle_t open_dom0(void)
{
	qdb_handle_t qdb;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/dom0", getenv("T"));
	setenv("QUBESDB_SOCKET_DIR", path, 1);
	qdb = qdb_open("work");
	unsetenv("QUBESDB_SOCKET_DIR");
	assert_non_null(qdb);
	return qdb;
}

static void assert_event(qdb_handle_t qdb, const char *wanted)
{
	char *path = qdb_read_watch(qdb);

	assert_non_null(path);
	assert_string_equal(path, wanted);
	free(path);
}

static void test_changes_reach_the_other_side(void **state)
{
	qdb_handle_t dom0;

	(void)state;
	assert_int_equal(sh("qube read -w /new & dom0 write /new 1; wait $!"), 0);
	assert_string_equal(out, "1\n");
	assert_int_equal(sh("qube write /mine 2; dom0 read -w /mine"), 0);
	assert_string_equal(out, "2\n");
	dom0 = open_dom0();
	assert_int_equal(qdb_watch(dom0, "/mine"), 1);
	assert_int_equal(sh("qube rm /mine"), 0);
	assert_event(dom0, "/mine");
	assert_null(qdb_read(dom0, "/mine", NULL));
	assert_int_equal(errno, ENOENT);
	qdb_close(dom0);
}

static void test_commands(void **state)
{
	(void)state;
	assert_int_equal(sh("dom0 write /c/1 \"$(printf 'a\\033b')\" /c/2 '' && dom0 list /c/"), 0);
	assert_string_equal(out, "1\n2\n");
	assert_int_equal(sh("dom0 read /c/1; dom0 read -r /c/1; dom0 read /c/2; dom0 list -f /c"),
			 0);
	assert_string_equal(out, "a\\x1bb\na\x1b"
				 "b\n\n/c/1\n/c/2\n");
	assert_int_equal(sh("dom0 read -e none /c/3"), 0);
	assert_string_equal(out, "none\n");
	assert_int_equal(sh("dom0 read -x /c/2; dom0 read -q /c/2"), 2);
	assert_int_equal(sh("dom0 rm /c/ /c/ && dom0 list /c"), 0);
	assert_string_equal(out, "");
	assert_int_equal(sh("dom0 write /c/1/ x 2>&1"), 1);
	assert_int_equal(sh("dom0 write '/c 1' x 2>&1"), 1);
	assert_int_equal(sh("dom0 write /c 2>&1"), 1);
	assert_int_equal(sh("dom0 write /c \"$(head -c 3072 /dev/zero | tr '\\0' x)\" 2>&1"), 1);
	assert_int_equal(
		sh("dom0 write /c \"$(head -c 3071 /dev/zero | tr '\\0' x)\"; dom0 read /c | wc -c"),
		0);
	assert_string_equal(out, "3072\n");
	assert_int_equal(sh("QUBESDB_SOCKET_DIR=$T/dom0 $P/qubesdb-cmd -c read -d vault /a 2>&1"),
			 1);
	assert_non_null(strstr(out, "vault"));
	/* By its other names. */
	assert_int_equal(
		sh("ln -s $P/qubesdb-cmd qubesdb-read; QUBESDB_SOCKET_DIR=$T/qube ./qubesdb-read /name"),
		0);
	assert_string_equal(out, "work\n");
}

static void test_readers_cannot_write(void **state)
{
	(void)state;
	/* The socket for readers under the name of the one for writers. */
	assert_int_equal(
		sh("mkdir ro; ln -s $T/qube/qubesdb.ro.sock ro/qubesdb.sock; export QUBESDB_SOCKET_DIR=$T/ro; "
		   "$P/qubesdb-cmd -c read /name; $P/qubesdb-cmd -c write /name x 2>&1"),
		1);
	assert_non_null(strstr(out, "work\n"));
	assert_int_equal(sh("stat -c %a qube/qubesdb.sock qube/qubesdb.ro.sock"), 0);
	assert_string_equal(out, "660\n666\n");
}

static void test_many_entries_and_a_flood(void **state)
{
	(void)state;
	assert_int_equal(
		sh("for i in $(seq 500); do echo /many/$i; echo $i; done | xargs -n 100 sh -c "
		   "'QUBESDB_SOCKET_DIR=$T/dom0 $P/qubesdb-cmd -c write -d work \"$@\"' -- && "
		   "dom0 write /last 1; qube read -w /last; qube list /many/ | wc -l"),
		0);
	assert_string_equal(out, "1\n500\n");
}

/* A watcher that does not read while the qube floods loses no event. */
static void test_watcher_gets_every_event(void **state)
{
	qdb_handle_t dom0 = open_dom0();

	(void)state;
	assert_int_equal(qdb_watch(dom0, "/flood"), 1);
	assert_int_equal(
		sh("for i in $(seq 3000); do echo /flood; echo $i; done | xargs -n 500 sh -c "
		   "'QUBESDB_SOCKET_DIR=$T/qube $P/qubesdb-cmd -c write \"$@\"' --"),
		0);
	for (int i = 0; i < 3000; i++)
		assert_event(dom0, "/flood");
	assert_int_equal(sh("dom0 read /flood"), 0);
	assert_string_equal(out, "3000\n");
	qdb_close(dom0);
	/* The command: however early or late the watch is, there is a change after it. */
	assert_int_equal(sh("dom0 watch /end >seen & while kill -0 $!; do qube write /end 1; done "
			    "2>/dev/null; cat seen"),
			 0);
	assert_string_equal(out, "/end\n");
}

static void test_library(void **state)
{
	qdb_handle_t qdb = open_dom0();
	unsigned int count, *lengths;
	char **list;

	(void)state;
	assert_int_equal(qdb_write(qdb, "/l/1", "one", 3), 1);
	assert_int_equal(qdb_write(qdb, "/l/2", "", 0), 1);
	list = qdb_multiread(qdb, "/l/", &lengths, &count);
	assert_int_equal(count, 2);
	assert_string_equal(list[1], "one");
	assert_int_equal(lengths[0], 3);
	assert_string_equal(list[2], "/l/2");
	assert_int_equal(lengths[1], 0);
	assert_null(list[4]);
	assert_null(list[5]);
	for (int i = 0; i < 4; i++)
		free(list[i]);
	free(list);
	free(lengths);
	list = qdb_list(qdb, "/nothing", &count);
	assert_int_equal(count, 0);
	assert_null(list[0]);
	free(list);
	assert_int_equal(qdb_write(qdb, "/l/3", "a\0b", 3), 0);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(qdb_rm(qdb, "/l /"), 0);
	assert_int_equal(errno, EINVAL);
	/* An event between a request and its answer is kept. */
	assert_int_equal(qdb_watch(qdb, "/l/"), 1);
	assert_int_equal(qdb_rm(qdb, "/l/"), 1);
	free(qdb_read(qdb, "/name", NULL));
	assert_int_equal(qdb_watch_pending(qdb), 2);
	assert_event(qdb, "/l/1");
	assert_event(qdb, "/l/2");
	assert_int_equal(qdb_unwatch(qdb, "/l/"), 1);
	assert_int_equal(qdb_unwatch(qdb, "/l/"), 0);
	assert_int_equal(errno, ENOENT);
	qdb_close(qdb);
	qdb_close(NULL);
}

/* A daemon that dies and comes back finds the other one and all entries. */
static void test_restarts(void **state)
{
	(void)state;
	assert_int_equal(
		sh("qube write /of-qube 1; dom0 read -w /of-qube >/dev/null; end_of dom0 -9; "
		   "qube write /meanwhile 2; start_dom0; dom0 write /name again; "
		   "dom0 read -w /of-qube; dom0 read -w /meanwhile; "
		   "dom0 write /mark 1; qube read -w /mark; qube read /name"),
		0);
	assert_string_equal(out, "1\n2\n1\nagain\n");
	assert_int_equal(sh("end_of qube -9; start_qube; qube read /name; qube read /of-qube"), 0);
	assert_string_equal(out, "again\n1\n");
}

static void test_usage(void **state)
{
	(void)state;
	assert_int_equal(sh("$P/qubesdb-daemon 2>&1"), 2);
	assert_int_equal(sh("$P/qubesdb-daemon x 2>&1"), 2);
	assert_int_equal(sh("$P/qubesdb-daemon 1 ../x 2>&1"), 2);
	assert_int_equal(sh("$P/qubesdb-daemon --socket-dir $T/none --background 9 other 2>&1"), 1);
	assert_non_null(strstr(out, "No such file"));
	assert_int_equal(sh("$P/qubesdb-cmd /a 2>&1"), 1);
	assert_int_equal(sh("$P/qubesdb-cmd -c nonsense /a 2>&1"), 1);
	assert_int_equal(sh("$P/qubesdb-cmd -c watch -n 1x /a 2>&1"), 1);
	assert_non_null(strstr(out, "1x is no number of events"));
	assert_int_equal(sh("$P/qubesdb-cmd --help"), 0);
	assert_non_null(strstr(out, "usage: qubesdb-read"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_of_dom0_are_there_from_the_start),
		cmocka_unit_test(test_changes_reach_the_other_side),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_readers_cannot_write),
		cmocka_unit_test(test_many_entries_and_a_flood),
		cmocka_unit_test(test_watcher_gets_every_event),
		cmocka_unit_test(test_library),
		cmocka_unit_test(test_restarts),
		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
