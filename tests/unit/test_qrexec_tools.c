// SPDX-License-Identifier: GPL-2.0-or-later
// The program that checks and explains the policy, the completion of bash, and what is installed beside the programs.
// links: tests/unit/qrexec_fixture.c tests/unit/shell.c
#include "qrexec_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
	(void)state;
	if (fixture_create())
		return -1;
	return sh(
		"mkdir pol bin; touch pids none.log; printf 'work class=AppVM domid=1 label=blue\\nvault class=AppVM domid=2 tags=keys\\n' >list");
}

#define TOOL "$P/qrexec-policy -d pol -l pol -q list "

static void assert_has(const char *text)
{
	if (!strstr(out, text))
		fail_msg("'%s' is not in: %s", text, out);
}

/* Errors with file, line, what is wrong and what would be right. */
static void test_check(void **state)
{
	(void)state;
	write_file("pol/10-a.policy", 0644, "# a comment\n\ntest.A * work vault allow\n");
	assert_int_equal(sh(TOOL "check"), 0);
	assert_string_equal(out, "1 rules, no problems\n");
	write_file("pol/20-b.policy", 0644, "test.B * work vault\ntest.C * work vault perhaps\n");
	assert_int_equal(sh(TOOL "check 2>&1"), 1);
	assert_has("pol/20-b.policy:1: ");
	assert_has("pol/20-b.policy:2: ");
	assert_has("\tfix: ");
	assert_has("2 problems: every call is refused");
	assert_int_equal(sh(TOOL "explain work test.A vault"), 1);
	assert_has("deny: ");
	assert_int_equal(sh("rm pol/20-b.policy; " TOOL "check"), 0);
	assert_int_equal(sh(TOOL "nonsense 2>&1"), 2);
	assert_has("usage: ");
	assert_int_equal(sh(TOOL "--help"), 0);
}

/* Which line decides, why, and which ones come close. */
static void test_explain(void **state)
{
	(void)state;
	write_file(
		"pol/10-a.policy", 0644,
		"test.A * vault @anyvm deny\ntest.A * work @tag:keys allow user=me autostart=no\n"
		"test.Q * work @anyvm ask default_target=vault\ntest.A * * * deny\n");
	assert_int_equal(sh(TOOL "explain work test.A+x vault"), 0);
	assert_has("allow: ");
	assert_has("decided by pol/10-a.policy:2\ntarget: vault\nuser: me\nautostart: no\n");
	assert_has("pol/10-a.policy:1: another source");
	assert_int_equal(sh(TOOL "explain vault test.A work"), 1);
	assert_has("decided by pol/10-a.policy:1\n");
	assert_int_equal(sh(TOOL "explain work test.Q vault"), 0);
	assert_has("ask: ");
	assert_has("choice: vault (preselected)");
	assert_int_equal(sh(TOOL "explain work test.None vault"), 1);
	assert_int_equal(sh(TOOL "explain work 'no service' vault 2>&1"), 2);
	assert_has("is not a service");
	assert_int_equal(sh(TOOL "-q absent explain work test.A vault 2>&1"), 2);
	assert_has("absent");
}

/* What bash offers for the last of these words. */
static int complete(const char *words)
{
	char script[512];

	snprintf(
		script, sizeof(script),
		"bash -c 'source $SRC/qrexec/etc/completion/qvm; COMP_WORDS=(%s \"\"); COMP_CWORD=$((${#COMP_WORDS[@]} - 2))\n"
		"COMP_WORDS=(\"${COMP_WORDS[@]:0:COMP_CWORD+1}\"); f=$(complete -p ${COMP_WORDS[0]} | sed \"s/.*-F \\([^ ]*\\).*/\\1/\")\n"
		"$f; printf \"%%s\\n\" \"${COMPREPLY[@]}\"'",
		words);
	return sh(script);
}

static void test_completion(void **state)
{
	static const char *const commands[] = {
		"qvm-run",	  "qvm-run-vm",	    "qvm-copy",	      "qvm-move",
		"qvm-copy-to-vm", "qvm-move-to-vm", "qvm-open-in-vm", "qvm-connect-tcp",
	};
	char words[64];

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		snprintf(words, sizeof(words), "%s --h", commands[i]);
		assert_int_equal(complete(words), 0);
		assert_string_equal(out, "--help\n");
	}
	assert_int_equal(complete("qvm-run-vm --quiet @dis"), 0);
	assert_string_equal(out, "@dispvm\n");
	assert_int_equal(complete("qvm-run --user me @dis"), 0);
	assert_string_equal(out, "@dispvm\n");
	/* There is no qube then, but a command. */
	assert_int_equal(complete("qvm-run-vm --dispvm mkfif"), 0);
	assert_non_null(strstr(out, "mkfifo\n"));
	assert_int_equal(complete("qrexec-policy --dir pol ex"), 0);
	assert_string_equal(out, "explain\n");
	assert_int_equal(complete("qrexec-policy ex"), 0);
	assert_string_equal(out, "explain\n");
	assert_int_equal(sh("touch some-file"), 0);
	assert_int_equal(complete("qvm-copy some-f"), 0);
	assert_string_equal(out, "some-file\n");
}

/* Each program tells how it is used, has a page with all of its options, and each command its completion of them. */
static void test_options_are_told(void **state)
{
	(void)state;
	assert_int_equal(
		sh("for root in vm dom0 db gui; do for p in $root/usr/bin/* $root/usr/sbin/*; do n=${p##*/}; [ -e $p ] || continue\n"
		   "page=$(cat $root/usr/share/man/man*/$n.[18]); case $page in .so*) page=$(cat $root/usr/share/man/${page#.so });; esac\n"
		   "page=$(echo \"$page\" | sed 's/\\\\f.//g; s/\\\\-/-/g')\n"
		   "$p --help >help || echo no help: $p; [ -s help ] || echo nothing told: $p\n"
		   "for o in $(grep -o -e '[[ ]--[a-z-]*' help | tr -d '[ ') --help; do\n"
		   "echo \"$page\" | grep -q -e \"$o\" || echo not in the page: $n $o\n"
		   "f=$root/usr/share/bash-completion/completions/$n; [ -e $f ] || continue\n"
		   "bash -c 'source $0; COMP_WORDS=($1 $2); COMP_CWORD=1; f=$(complete -p $1 | sed \"s/.*-F \\([^ ]*\\).*/\\1/\"); $f; "
		   "printf \"%s\\n\" \"${COMPREPLY[@]}\"' $f $n $o | grep -qx -e $o || echo not completed: $n $o; done; done; done"),
		0);
	assert_string_equal(out, "");
}

/* The letters that qubesdb-cmd tells for each of its names, and no others; names of qubes and paths. */
static void test_database_completion(void **state)
{
	(void)state;
	assert_int_equal(
		sh("for n in read multiread list write rm watch cmd; do\n"
		   "told=$(db/usr/bin/qubesdb-cmd --help | grep -e qubesdb-$n' ' | grep -o -e ' \\[*-[a-z]*' | tr -dc 'a-z\\n' | grep -o . | sort)\n"
		   "have=$(bash -c 'source $0; COMP_WORDS=(qubesdb-$1 -) COMP_CWORD=1; _qubesdb; printf \"%s\n\" \"${COMPREPLY[@]}\"' \\\n"
		   "db/usr/share/bash-completion/completions/qubesdb-$n $n | sed -n 's/^-\\([a-z]\\)$/\\1/p' | sort)\n"
		   "[ \"$told\" = \"$have\" ] || echo $n: $told, completed $have; done"),
		0);
	assert_string_equal(out, "");
	/* What qubesdb-list says, of the qube that is named. */
	write_file("bin/qubesdb-list", 0755,
		   "#!/bin/sh\n[ \"$*\" = '-d work -fq /na' ] && echo /name\n");
	assert_int_equal(
		sh("PATH=$T/bin:$PATH bash -c 'source db/usr/share/bash-completion/completions/qubesdb-cmd\n"
		   "COMP_WORDS=(qubesdb-read -d work /na); COMP_CWORD=3; _qubesdb; echo \"${COMPREPLY[@]}\"\n"
		   "COMP_WORDS=(qubesdb-cmd -c -d work l); COMP_CWORD=2; COMP_WORDS[2]=mu; _qubesdb; echo \"${COMPREPLY[@]}\"'"),
		0);
	assert_string_equal(out, "/name\nmultiread\n");
}

/* Each program has its page, and each command its completion. */
static void test_installation(void **state)
{
	(void)state;
	assert_int_equal(
		sh("cd $SRC && unset MAKEFLAGS && make -s install-qrexec-vm DESTDIR=$T/vm PREFIX=/usr >/dev/null 2>&1 &&\n"
		   "make -s install-qrexec-dom0 DESTDIR=$T/dom0 PREFIX=/usr >/dev/null 2>&1 &&\n"
		   "make -s install-qubesdb DESTDIR=$T/db PREFIX=/usr >/dev/null 2>&1 &&\n"
		   "make -s install-gui-daemon DESTDIR=$T/gui PREFIX=/usr >/dev/null 2>&1 || echo not installed; cd $T\n"
		   "for root in vm dom0 db gui; do for p in $root/usr/bin/* $root/usr/sbin/*; do [ -e $p ] || continue\n"
		   "ls $root/usr/share/man/man*/${p##*/}.* >/dev/null || echo no page: $p; done\n"
		   "for p in $root/usr/bin/*; do case $p in */gui-monitor-layout) continue;; esac; [ -e $root/usr/share/bash-completion/completions/${p##*/} ] || echo no completion: $p; done; done\n"
		   "for s in Filecopy OpenInVM OpenURL VMShell VMExec VMExecGUI StartApp GetAppmenus WaitForSession ClipboardCopy \\\n"
		   "ClipboardPaste ConnectTCP GetDate SetDateTime; do\n"
		   "[ -e vm/etc/qubes-rpc/qubes.$s ] || [ -L vm/etc/qubes-rpc/qubes.$s ] || echo no service: $s; done"),
		0);
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_installation),
		cmocka_unit_test(test_options_are_told),
		cmocka_unit_test(test_database_completion),
	};

	return cmocka_run_group_tests(tests, setup, fixture_stop);
}
