// SPDX-License-Identifier: GPL-2.0-or-later
// Questions to the user, notifications, and targets that have to be started or made first.
// links: tests/unit/qrexec_fixture.c tests/unit/shell.c
#include "qrexec_fixture.h"

#include <stdio.h>
#include <string.h>

static const char policy[] =
	"test.Ask * work vault ask\ntest.Ask * work @default ask default_target=vault\n"
	"test.AskNone * work vault ask\ntest.AskMany * work vault ask\n"
	"test.Choose * work @anyvm ask\n"
	"test.Loud * work vault allow notify=yes\ntest.Quiet * work vault deny notify=no\n"
	"test.Start * work off allow\ntest.NoStart * work off allow autostart=no\n"
	"test.Disp * work @dispvm allow\ntest.Hold * work @dispvm allow\ntest.Broken * work @dispvm allow\n";

/* Answers from a file, and keeps what it was asked. */
static const char prompt[] =
	"#!/bin/sh\ncat >>$T/prompt.$1; while [ -e $T/hold ]; do sleep 0.02; done\n"
	"[ $1 = ask ] && cat $T/answer; exit $(cat $T/code)\n";

/* "off" appears as another name of vault's daemon. */
static const char starter[] =
	"#!/bin/sh\ncase $1 in\n"
	"start) ln -sf qrexec.vault $T/run/qrexec.$2;;\n"
	"disposable) ln -sf qrexec.vault $T/run/qrexec.disp7; cat $T/dispname;;\n"
	"finish) rm -f $T/run/qrexec.$2;;\nesac\necho \"$*\" >>$T/starts\n";

static int setup(void **state)
{
	(void)state;
	if (fixture_create())
		return -1;
	write_file("prompt", 0755, prompt);
	write_file("starter", 0755, starter);
	write_file("code", 0644, "0\n");
	write_file("dispname", 0644, "disp7\n");
	write_file("answer", 0644, "allow:vault\n");
	write_file("vault.d/test.Ask", 0755, "#!/bin/sh\necho asked $1\n");
	sh("for s in AskMany Choose Loud Quiet Start NoStart Disp; do ln -s test.Ask vault.d/test.$s; done");
	return fixture_start(policy);
}

static void test_user_allows(void **state)
{
	(void)state;
	write_file("answer", 0644, "allow:vault\n");
	assert_int_equal(sh("rm -f prompt.ask; work vault test.Ask+x </dev/null && cat prompt.ask"),
			 0);
	assert_string_equal(
		out, "asked x\n"
		     "{\"source\": \"work\", \"service\": \"test.Ask\", \"argument\": \"x\", "
		     "\"requested_target\": \"vault\", \"default_target\": \"vault\", "
		     "\"targets\": [\"vault\"], \"labels\": {\"work\": \"red\"}}\n");
	assert_int_equal(sh("rm -f prompt.ask; work @default test.Ask </dev/null && "
			    "grep -o 'default_target[^,]*' prompt.ask"),
			 0);
	assert_string_equal(out, "asked\ndefault_target\": \"vault\"\n");
}

static void test_user_chooses(void **state)
{
	(void)state;
	write_file("answer", 0644, "allow:vault\n");
	assert_int_equal(sh("rm -f prompt.ask; work off test.Choose </dev/null && "
			    "grep -o 'targets\": [^]]*' prompt.ask"),
			 0);
	assert_string_equal(out,
			    "asked\ntargets\": [\"dvm\", \"@dispvm:dvm\", \"off\", \"vault\"\n");
}

static void test_user_refuses(void **state)
{
	static const char *const answers[] = {
		"deny\n",	"",	   "allow:\n",	    "allow:off\n",    "allow:dom0\n",
		"allow:work\n", "allow\n", "ALLOW:vault\n", " allow:vault\n", "allow:vault x\n",
		"allow:vault ",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		write_file("answer", 0644, answers[i]);
		assert_int_equal(sh("work vault test.Ask 2>/dev/null </dev/null"), 126);
	}
	write_file("answer", 0644, "allow:vault\n");
	write_file("code", 0644, "1\n"); /* it failed, whatever it has said */
	assert_int_equal(sh("work vault test.Ask 2>/dev/null </dev/null"), 126);
	write_file("code", 0644, "0\n");
	assert_int_equal(sh("yes allow:vault | head -c 100000 >answer; "
			    "work vault test.Ask 2>/dev/null </dev/null"),
			 126);
	assert_int_equal(sh("mv prompt away; work vault test.Ask 2>/dev/null </dev/null; c=$?; "
			    "mv away prompt; exit $c"),
			 126);
	write_file("answer", 0644, "allow:vault\n");
	assert_int_equal(sh("work vault test.Ask </dev/null"), 0);
}

/* A qube cannot cover the screen: the ninth question is a no. Other calls go on meanwhile. */
static void test_questions_are_limited(void **state)
{
	(void)state;
	write_file("answer", 0644, "allow:vault\n");
	assert_int_equal(
		sh("rm -f prompt.ask codes; : >hold\n"
		   "for i in $(seq 8); do (work vault test.AskMany </dev/null; echo $? >>codes) & done\n"
		   "while [ $(cat prompt.ask 2>/dev/null | wc -l) != 8 ]; do sleep 0.02; done\n"
		   "work vault test.AskMany 2>/dev/null </dev/null; echo ninth $?\n"
		   "work vault test.Loud </dev/null; rm hold; wait; sort codes | uniq -c"),
		0);
	assert_non_null(strstr(out, "ninth 126\n"));
	assert_non_null(strstr(out, " 8 0\n"));
}

static void test_notifications(void **state)
{
	(void)state;
	assert_int_equal(sh("rm -f prompt.notify; work vault test.Loud </dev/null; "
			    "while ! [ -s prompt.notify ]; do sleep 0.02; done; cat prompt.notify"),
			 0);
	assert_string_equal(out,
			    "asked\n{\"resolution\": \"allow\", \"source\": \"work\", \"service\": "
			    "\"test.Loud\", \"argument\": \"\", \"target\": \"vault\"}\n");
	assert_int_equal(sh("rm -f prompt.notify; work vault test.None 2>/dev/null </dev/null; "
			    "while ! [ -s prompt.notify ]; do sleep 0.02; done; cat prompt.notify"),
			 0);
	assert_string_equal(out, "{\"resolution\": \"deny\", \"source\": \"work\", \"service\": "
				 "\"test.None\", \"argument\": \"\", \"target\": \"vault\"}\n");
	/* The loud one comes behind the quiet one, and is the only one. */
	assert_int_equal(
		sh("rm -f prompt.notify; work vault test.Quiet 2>/dev/null </dev/null; "
		   "work vault test.None 2>/dev/null </dev/null; "
		   "while ! [ -s prompt.notify ]; do sleep 0.02; done; grep -c . prompt.notify; "
		   "grep -c Quiet prompt.notify"),
		1);
	assert_string_equal(out, "1\n0\n");
}

static void test_autostart(void **state)
{
	(void)state;
	assert_int_equal(
		sh("rm -f starts run/qrexec.off; work off test.NoStart 2>/dev/null </dev/null; "
		   "echo $?; cat starts 2>/dev/null; work off test.Start </dev/null; echo $?; "
		   "work off test.Start </dev/null; cat starts; rm run/qrexec.off"),
		0);
	assert_string_equal(out, "126\nasked\n0\nasked\nstart off\n");
	assert_int_equal(sh("mv starter away; work off test.Start 2>/dev/null </dev/null; c=$?; "
			    "mv away starter; exit $c"),
			 126);
}

static void test_disposables(void **state)
{
	(void)state;
	assert_int_equal(sh("rm -f starts; work @dispvm test.Disp </dev/null || exit; "
			    "while ! grep -q finish starts; do sleep 0.02; done; cat starts; "
			    "[ ! -e run/qrexec.disp7 ]"),
			 0);
	assert_string_equal(out, "asked\ndisposable dvm\nfinish disp7\n");
	/* Its service is missing: the call is over, so it goes, too. */
	assert_int_equal(
		sh("rm -f starts; work @dispvm test.Broken 2>/dev/null </dev/null; echo $?; "
		   "while ! grep -q finish starts; do sleep 0.02; done; cat starts"),
		0);
	assert_string_equal(out, "127\ndisposable dvm\nfinish disp7\n");
	write_file("dispname", 0644, "../x\n");
	assert_int_equal(sh("work @dispvm test.Disp 2>/dev/null </dev/null"), 126);
	write_file("dispname", 0644, "disp8\n"); /* it does not run after all */
	assert_int_equal(sh("work @dispvm test.Disp 2>/dev/null </dev/null"), 126);
	write_file("dispname", 0644, "disp7\n");
}

/* A qube has 32 of them at once, and none of those is forgotten. */
static void test_disposables_are_limited(void **state)
{
	(void)state;
	write_file("vault.d/test.Hold", 0755,
		   "#!/bin/sh\necho in; while ! [ -e $T/enough ]; do sleep 0.1; done\n");
	assert_int_equal(
		sh("rm -f starts holds; for i in $(seq 32); do (work @dispvm test.Hold </dev/null >>holds) & done\n"
		   "while [ \"$(cat holds | wc -l)\" != 32 ]; do sleep 0.1; done\n"
		   "work @dispvm test.Disp 2>/dev/null </dev/null; echo $?; : >enough; wait\n"
		   "while [ $(grep -c 'finish disp7' starts) != 32 ]; do sleep 0.1; done; grep -c disposable starts"),
		0);
	assert_string_equal(out, "126\n32\n");
}

/* The prompt for a terminal, whose place a FIFO takes for what is read. */
static void test_terminal(void **state)
{
	static const char *const answers[][2] = {
		{"1", "allow:dvm"},   {"4", "allow:vault"}, {"vault", "allow:vault"},
		{"5", "deny"},	      {"0", "deny"},	    {"", "deny"},
		{"y", "allow:vault"}, {"n", "deny"},	    {"@dispvm:dvm", "allow:@dispvm:dvm"},
	};
	char script[600], wanted[64];

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		snprintf(script, sizeof(script),
			 "echo '{\"source\": \"work\", \"service\": \"a.B\", \"argument\": \"x\", "
			 "\"default_target\": \"vault\", \"targets\": [\"dvm\", \"@dispvm:dvm\", "
			 "\"off\", \"vault\"], \"labels\": {}}' >question\n"
			 "echo '%s' >tty; $P/qrexec-prompt-tty --tty $T/tty ask <question",
			 answers[i][0]);
		assert_int_equal(sh(script), 0);
		snprintf(wanted, sizeof(wanted), "%s\n", answers[i][1]);
		assert_string_equal(out, wanted);
	}
	assert_int_equal(sh("$P/qrexec-prompt-tty --tty $T/none/tty ask <question 2>/dev/null"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_allows),
		cmocka_unit_test(test_user_chooses),
		cmocka_unit_test(test_user_refuses),
		cmocka_unit_test(test_questions_are_limited),
		cmocka_unit_test(test_notifications),
		cmocka_unit_test(test_autostart),
		cmocka_unit_test(test_disposables),
		cmocka_unit_test(test_disposables_are_limited),
		cmocka_unit_test(test_terminal),
	};

	return cmocka_run_group_tests(tests, setup, fixture_stop);
}
