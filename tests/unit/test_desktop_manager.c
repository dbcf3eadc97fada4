// SPDX-License-Identifier: GPL-2.0-or-later
// The manager end to end without a hypervisor: a domain is an agent and a database's copy over the local transport, which
// a script in place of qube-domain starts; a loop device is a name. All other programs are the real ones, under ASan.
// links: tests/unit/shell.c
#include "shell.h"

#include <string.h>

static const char prelude[] =
	"cd $T; export PATH=$T/bin:$P/desktop:$P/qubesdb:$P/qrexec:$PATH QUBES_RUN_DIR=$T/run "
	"QUBESDB_SOCKET_DIR=$T/run LIBVCHAN_URI=\"local:$T/v?domain=0\"\n"
	"start_manager() { qube-manager --lib $T/lib --run $T/run --log $T/log --schema $SRC/desktop/manager/qubes.rng "
	">>manager.log 2>&1 & echo $! >manager.pid; "
	"for i in $(seq 2000); do qube ls >/dev/null 2>&1 && return; sleep 0.05; done; return 1; }\n"
	"end_manager() { p=$(cat manager.pid); kill $1 $p; while kill -0 $p 2>/dev/null; do sleep 0.05; done; }\n"
	"await() { for i in $(seq 4000); do \"$@\" && return; sleep 0.05; done; return 1; }\n"
	"state() { qube ls | awk -v n=$1 '$1 == n { print $2 }'; }\n"
	"is() { [ \"$(state $1)\" = \"$2\" ]; }\n";

static int sh(const char *script)
{
	return shell(prelude, script);
}

/* Numbers count up; a file of its number is the domain, with the processes' numbers in it. */
static const char fake_domain[] =
	"#!/bin/sh\n"
	"case $1 in\n"
	"create) echo \"$@\" >>$T/creations; [ ! -e $T/no-memory ] || { echo 'no memory' >&2; exit 1; }\n"
	"    n=$(($(cat $T/next) + 1)); echo $n >$T/next; : >$T/domains/$n; echo $n ;;\n"
	"unpause) mkdir -p $T/qube$2\n"
	"    export LIBVCHAN_URI=\"local:$T/v?domain=$2\"\n"
	"    setsid qubesdb-daemon --socket-dir $T/qube$2 0 >>$T/qube.log 2>&1 & echo $! >>$T/domains/$2\n"
	"    setsid qrexec-agent --socket $T/qube$2/agent --service-dir $T/services >>$T/qube.log 2>&1 & "
	"echo $! >>$T/domains/$2 ;;\n"
	"wait) while [ -e $T/domains/$2 ]; do sleep 0.05; done ;;\n"
	"shutdown | destroy) [ ! -e $T/domains/$2 ] || { kill $(cat $T/domains/$2) 2>/dev/null; "
	"rm -f $T/domains/$2; } ;;\n"
	"esac\n";

static const char fake_losetup[] =
	"#!/bin/sh\n"
	"case $1 in\n"
	"--show) n=$(($(cat $T/next-loop) + 1)); echo $n >$T/next-loop\n"
	"    for file; do :; done; echo $file >$T/loops/$n; echo $T/loops/$n ;;\n"
	"--noheadings) for file; do :; done; grep -l -x \"$file\" $T/loops/* 2>/dev/null | head -n 1 ;;\n"
	"--detach) while [ -e $T/slow-detach ]; do sleep 0.05; done; rm $2 ;;\n"
	"esac\n";

static int setup(void **state)
{
	(void)state;
	if (shell_create(""))
		return -1;
	if (sh("mkdir bin v domains loops services; echo 0 >next; echo 0 >next-loop"))
		return -1;
	write_file("bin/qube-domain", 0755, fake_domain);
	write_file("bin/losetup", 0755, fake_losetup);
	return sh("start_manager && qube create debian TemplateVM && "
		  "qube create work AppVM template=debian label=blue default_user=$U && "
		  "qube create vault AppVM template=debian label=black default_user=$U && "
		  "mkdir -p lib/qubes/debian && echo root >lib/qubes/debian/root.img");
}

static int teardown(void **state)
{
	(void)state;
	sh("for q in $(qube ls | awk '$2 == \"Running\" { print $1 }'); do qube kill $q; done; end_manager");
	return shell_destroy();
}

static void test_start_and_call(void **state)
{
	(void)state;
	assert_int_equal(sh("qube start work && state work && qube run work echo hello"), 0);
	assert_string_equal(out, "Running\nhello\n");
	assert_int_equal(sh("qubesdb-cmd -c read -d work /name /type /qubes-base-template; "
			    "grep '^work ' run/qubes.list; tail -n 1 creations"),
			 0);
	assert_non_null(strstr(out, "work\nAppVM\ndebian\n"));
	assert_non_null(strstr(out, " template=debian"));
	assert_non_null(strstr(out, " domid=1\n"));
	assert_non_null(strstr(out, "create work 400 1 "));
	assert_non_null(strstr(out, ",xvda,r "));
	assert_non_null(strstr(out, ",xvdb,w "));
	/* Started on demand; the exit code is the command's; the root's device is the same one. */
	assert_int_equal(sh("qube run vault 'exit 7'"), 7);
	assert_int_equal(
		sh("awk '{ print $9 }' creations | sort -u | wc -l; stat -c %s lib/qubes/work/private.img"),
		0);
	assert_string_equal(out, "1\n2147483648\n");
	assert_int_equal(sh("qube start work"), 0);
	assert_int_equal(sh("qube ls --json | python3 -c 'import json, sys; "
			    "print([q[\"state\"] for q in json.load(sys.stdin)])'"),
			 0);
	assert_string_equal(out, "['Halted', 'Running', 'Running']\n");
	/* Its root is in use. */
	assert_int_equal(sh("qube start debian 2>&1"), 1);
	assert_non_null(strstr(out, "same root"));
	assert_int_equal(sh("qube remove work 2>&1"), 1);
	assert_int_equal(sh("qube prefs work template debian 2>&1"), 1);
}

static void test_ends(void **state)
{
	(void)state;
	assert_int_equal(
		sh("qube shutdown vault && state vault && grep -c '^vault.*domid' run/qubes.list; "
		   "ls run/state loops | wc -l; ls run | grep vault; ls lib/qubes/vault"),
		0);
	/* work has its three devices; of vault there is the private volume. */
	assert_string_equal(out, "Halted\n0\n7\nprivate.img\n");
	assert_int_equal(
		sh("qube kill work && state work; ls loops | wc -l; pgrep -f \"$T/run.* work\" | wc -l"),
		0);
	assert_string_equal(out, "Halted\n0\n0\n");
	/* A domain that ends by itself. */
	assert_int_equal(
		sh("qube start work && qube-domain destroy $(cat next) && await is work Halted && ls loops | wc -l"),
		0);
	assert_string_equal(out, "0\n");
}

static void test_failed_start_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(sh(": >no-memory; qube start work 2>&1; c=$?; rm no-memory; exit $c"), 1);
	assert_non_null(strstr(out, "no memory"));
	assert_int_equal(
		sh("state work; ls loops run/state | grep -v : | wc -w; mv lib/qubes/debian/root.img root; "
		   "qube start work 2>&1; c=$?; mv root lib/qubes/debian/root.img; exit $c"),
		1);
	assert_non_null(strstr(out, "Halted\n0\n"));
	assert_non_null(strstr(out, "root.img"));
}

/* The manager dies; the qube goes on, and the next manager knows it. */
static void test_crash_of_the_manager(void **state)
{
	(void)state;
	assert_int_equal(
		sh("qube start work && qube start vault && end_manager -9 && qube-domain destroy $(cat next); "
		   "qrexec-client --socket-dir $T/run -d work \"$U:echo alive\"; start_manager && state work; "
		   "await is vault Halted && qube run work echo again"),
		0);
	assert_string_equal(out, "alive\nRunning\nagain\n");
	assert_int_equal(
		sh("qube-domain destroy $(($(cat next) - 1)); await is work Halted; ls loops | wc -l"),
		0);
	assert_string_equal(out, "0\n");
}

/* The agent dies and comes back, as systemd would have it: calls go on. */
static void test_agent_starts_anew(void **state)
{
	(void)state;
	assert_int_equal(
		sh("qube start work; n=$(cat next); kill -9 $(tail -n 1 domains/$n)\n"
		   "await test ! -S run/qrexec.work\n"
		   "LIBVCHAN_URI=\"local:$T/v?domain=$n\" setsid qrexec-agent --socket $T/qube$n/agent --service-dir "
		   "$T/services >>qube.log 2>&1 & echo $! >>domains/$(cat next)\n"
		   "await test -S run/qrexec.work && qube run work echo back && qube kill work && state work"),
		0);
	assert_string_equal(out, "back\nHalted\n");
}

static void test_disposables(void **state)
{
	(void)state;
	assert_int_equal(sh("qube run --disposable work true 2>&1"), 1);
	assert_non_null(strstr(out, "template_for_dispvms"));
	assert_int_equal(
		sh("qube create dvm AppVM template=debian template_for_dispvms=yes default_user=$U && "
		   "qube run --disposable dvm 'echo in $(ls $T/loops | wc -l); exit 3'; echo $?; "
		   "await is disp1 ''; ls lib/qubes | grep disp; qube ls | grep disp; ls loops | wc -l"),
		0);
	assert_string_equal(out, "in 3\n3\n0\n");
}

/* The end of a domain that was killed does not begin a second cleaning: what the first has given back others may have by then. */
static void test_cleaned_once(void **state)
{
	(void)state;
	assert_int_equal(
		sh("qube start work && : >slow-detach; qube kill work & kill=$!\n"
		   "one() { [ \"$(pgrep -P $(cat manager.pid) | wc -l)\" = 1 ]; }\n"
		   "await test ! -e domains/$(cat next) && await one; qube kill work 2>&1; echo $?\n"
		   "rm slow-detach; wait $kill; state work; ls loops | wc -l"),
		0);
	assert_string_equal(out, "work is being shut down already\n1\nHalted\n0\n");
}

/* Dom0 starts anew: of a disposable nothing is left, as nobody waits for its end any more. */
static void test_disposables_end_with_dom0(void **state)
{
	(void)state;
	assert_int_equal(
		sh("d=$(qube disposable dvm); state $d; ls lib/qubes | grep -c $d; end_manager -9; "
		   "qube-domain destroy $(cat next); kill $(pgrep -f \"$T/run.* $d\"); rm -rf run/state run/qrexec.*\n"
		   "start_manager; qube ls | grep -c $d; ls lib/qubes | grep -c $d; grep -c $d lib/qubes.xml; rm -f loops/*"),
		0);
	assert_string_equal(out, "Running\n1\n0\n0\n0\n");
}

/* A qube that is copied stays as it is; half a copy is no qube. */
static void test_interrupted_copy(void **state)
{
	(void)state;
	write_file(
		"bin/cp", 0755,
		"#!/bin/sh\n: >$T/copying; while [ -e $T/hold ]; do sleep 0.05; done; exec /bin/cp \"$@\"\n");
	assert_int_equal(
		sh("mkdir -p lib/qubes/work; echo private >lib/qubes/work/private.img; : >hold\n"
		   "qube clone work second & await test -e copying; qube start work 2>&1; qube remove work 2>&1\n"
		   "job=$(pgrep -P $(cat manager.pid)); end_manager -9; kill -9 $job $(pgrep -P $job); wait\n"
		   "start_manager; qube ls | grep -c second; ls lib/qubes | grep -c second; rm hold bin/cp\n"
		   "qube clone work second && cat lib/qubes/second/private.img && ls lib/qubes/second && qube remove second"),
		0);
	assert_string_equal(
		out,
		"work is being copied to second; try again later\n"
		"work is being copied to second; try again later\n0\n0\nprivate\nprivate.img\n");
}

/* Files that an earlier qube of the name has left do not become the new one's. */
static void test_old_volumes_are_not_taken(void **state)
{
	(void)state;
	assert_int_equal(
		sh("mkdir lib/qubes/fresh; echo secret >lib/qubes/fresh/private.img\n"
		   "qube create fresh AppVM template=debian 2>&1; qube clone work fresh 2>&1; qube ls | grep -c fresh; "
		   "cat lib/qubes/fresh/private.img; rm -r lib/qubes/fresh; "
		   "qube create fresh AppVM template=debian && qube remove fresh"),
		0);
	assert_non_null(strstr(out, "move it away first\n"));
	assert_non_null(strstr(strstr(out, "first\n") + 6, "move it away first\n0\nsecret\n"));
}

/* What could not be written holds neither here nor for the policy. */
static void test_change_that_is_not_saved(void **state)
{
	(void)state;
	assert_int_equal(
		sh("mkdir lib/qubes.xml.new; qube prefs work label red 2>&1; qube prefs work label; "
		   "grep -c '^work .*label=blue' run/qubes.list; qube create other AppVM template=debian 2>/dev/null; "
		   "qube remove vault 2>/dev/null; qube ls | grep -c -e other -e vault; rmdir lib/qubes.xml.new; "
		   "qube prefs work label red && qube prefs work label && qube prefs work label blue"),
		0);
	assert_non_null(strstr(out, "qubes.xml: "));
	assert_non_null(strstr(out, "\nblue\n1\n1\nred\n"));
}

static void test_preferences(void **state)
{
	(void)state;
	assert_int_equal(
		sh("qube prefs work memory; qube prefs work memory 300; qube prefs work memory; "
		   "qube prefs work memory --default; qube prefs work memory"),
		0);
	assert_string_equal(out, "400\n300\n400\n");
	assert_int_equal(sh("qube prefs work memory 1 2>&1"), 1);
	assert_int_equal(sh("qube prefs work colour 2>&1"), 1);
	assert_int_equal(sh("qube prefs nothing 2>&1"), 1);
	assert_int_equal(
		sh("ln -s $P/desktop/qube qvm-prefs; ./qvm-prefs work label; qube tags work add mail; qube tags work; "
		   "grep -c 'tags=mail' run/qubes.list; grep -c '<tag>mail' lib/qubes.xml; qube tags work del mail"),
		0);
	assert_string_equal(out, "blue\nmail\n1\n1\n");
	assert_int_equal(
		sh("qube prefs --json work | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"label\"])'"),
		0);
	assert_string_equal(out, "blue\n");
	assert_int_equal(
		sh("qube tags work add mail; qube tags --json work; qube tags work del mail; qube tags --json work; "
		   "mkdir -p lib/qubes/work; truncate -s 3M lib/qubes/work/private.img; qube volume --json work | "
		   "python3 -c 'import json, sys; v = {x[\"name\"]: x for x in json.load(sys.stdin)}; "
		   "print(*v, v[\"private\"][\"size_mib\"], v[\"private\"][\"used_mib\"])'; "
		   "qube volume work | grep -c private; rm lib/qubes/work/private.img"),
		0);
	assert_string_equal(out, "[\"mail\"]\n[]\nroot private 3 0\n1\n");
}

static void test_clone_and_remove(void **state)
{
	(void)state;
	assert_int_equal(
		sh("mkdir -p lib/qubes/work; echo private >lib/qubes/work/private.img; qube clone work second && "
		   "cat lib/qubes/second/private.img; qube prefs second label; qube remove second; "
		   "qube ls | grep -c second; ls lib/qubes | grep -c second; qube remove debian 2>&1"),
		1);
	assert_non_null(strstr(out, "private\nblue\n0\n0\ndebian: "));
}

/* A gui-daemon for each running qube, in place of which a script says how it was called, and sleeps. */
static void test_session(void **state)
{
	(void)state;
	write_file("bin/gui-daemon", 0755, "#!/bin/sh\necho \"$@\" >>$T/guis\nexec sleep 1000\n");
	assert_int_equal(
		sh("touch guis; qube-session --run $T/run >session.log 2>&1 & echo $! >session.pid\n"
		   "seen() { [ \"$(wc -l <guis)\" = $1 ]; }\n"
		   "children() { [ \"$(pgrep -P $(cat session.pid) | wc -l)\" = $1 ]; }\n"
		   "qube start work && await seen 1 && qube prefs work label green && await seen 2 && await children 1 && "
		   "kill $(pgrep -P $(cat session.pid)) && await seen 3 && qube kill work && await children 0 && "
		   "kill $(cat session.pid) && while kill -0 $(cat session.pid) 2>/dev/null; do sleep 0.05; done; "
		   "cut -d' ' -f 1,3-6 guis; qube prefs work label blue"),
		0);
	assert_string_equal(
		out, "--domain --name work --label blue\n--domain --name work --label green\n"
		     "--domain --name work --label green\n");
}

/* What a qube has brought into the log of its daemons does not control the terminal where it is read. */
static void test_log_is_safe(void **state)
{
	(void)state;
	write_file("log/esc.log", 0644, "a\033[2Jb\n");
	assert_int_equal(sh("export QUBES_LOG_DIR=$T/log; qube log esc; qube log none 2>/dev/null; "
			    "script -qec 'qube log esc' /dev/null </dev/null | tr -d '\\r'"),
			 0);
	assert_string_equal(out, "a\033[2Jb\na_[2Jb\n");
}

static void test_damaged_list_is_kept(void **state)
{
	(void)state;
	assert_int_equal(
		sh("end_manager; cp lib/qubes.xml good.xml; echo '<qubes' >lib/qubes.xml; "
		   "qube-manager --lib $T/lib --run $T/run --log $T/log --schema $SRC/desktop/manager/qubes.rng 2>&1; echo $?; "
		   "cat lib/qubes.xml; mv good.xml lib/qubes.xml; start_manager && qube ls | wc -l"),
		0);
	assert_non_null(strstr(out, "qubes.xml:"));
	assert_non_null(strstr(out, "lib/qubes.xml.1 "));
	assert_non_null(strstr(out, "\n1\n<qubes\n5\n"));
}

/* The wait for a session comes first, and leaves the input to the command. */
static void test_run_waits_for_the_session(void **state)
{
	(void)state;
	assert_int_equal(
		sh("printf '#!/bin/sh\ncat; echo session >>$T/waited\n' >services/qubes.WaitForSession; "
		   "chmod 755 services/qubes.WaitForSession; qube start work; echo hello | qube run --gui work cat; "
		   "cat waited; printf '#!/bin/sh\nexit 3\n' >services/qubes.WaitForSession; qube run --gui work echo not; "
		   "echo $?; qube kill work"),
		0);
	assert_string_equal(out, "hello\nsession\n3\n");
}

static void test_usage(void **state)
{
	(void)state;
	assert_int_equal(sh("qube 2>&1"), 2);
	assert_int_equal(sh("qube nonsense 2>&1"), 2);
	assert_int_equal(sh("qube --nonsense 2>&1"), 2);
	assert_int_equal(
		sh("ln -s $P/desktop/qube qvm-ls; QUBES_RUN_DIR=/nonexistent ./qvm-ls --help"), 0);
	assert_non_null(strstr(out, "usage: qube ls"));
	/* Too long for the address of a socket; and a command of many words, of which none may be missing. */
	assert_int_equal(sh("QUBES_RUN_DIR=/$(printf %0150d 1) qube ls 2>&1"), 1);
	assert_non_null(strstr(out, "File name too long"));
	assert_int_equal(sh("qube run work echo $(seq 100) && qube kill work"), 0);
	assert_non_null(strstr(out, " 62 63 64 65 "));
	assert_non_null(strstr(out, " 99 100\n"));
	assert_int_equal(sh("qube start 2>&1"), 2);
	assert_int_equal(sh("qube start absent 2>&1"), 1);
	assert_int_equal(sh("qube create dom0 AppVM 2>&1"), 1);
	assert_int_equal(sh("qube create x HVM 2>&1"), 1);
	assert_int_equal(sh("qube create --label red x 2>&1"), 2);
	assert_int_equal(sh("QUBES_RUN_DIR=/nonexistent qube ls 2>&1"), 1);
	assert_non_null(strstr(out, "qube-manager"));
	assert_int_equal(
		sh("qube-manager --lib $T/lib --run $T/run --log $T/log --schema $SRC/desktop/manager/qubes.rng 2>&1"),
		1);
	assert_non_null(strstr(out, "another manager"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_and_call),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_failed_start_leaves_nothing),
		cmocka_unit_test(test_crash_of_the_manager),
		cmocka_unit_test(test_agent_starts_anew),
		cmocka_unit_test(test_disposables),
		cmocka_unit_test(test_cleaned_once),
		cmocka_unit_test(test_disposables_end_with_dom0),
		cmocka_unit_test(test_interrupted_copy),
		cmocka_unit_test(test_old_volumes_are_not_taken),
		cmocka_unit_test(test_change_that_is_not_saved),
		cmocka_unit_test(test_preferences),
		cmocka_unit_test(test_clone_and_remove),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_log_is_safe),
		cmocka_unit_test(test_damaged_list_is_kept),
		cmocka_unit_test(test_run_waits_for_the_session),
		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
