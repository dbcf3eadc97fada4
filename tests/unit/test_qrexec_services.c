// SPDX-License-Identifier: GPL-2.0-or-later
// What can be behind a service: programs, sockets, ports; their configuration, users and sessions.
// links: tests/unit/qrexec_fixture.c tests/unit/shell.c qrexec/lib/service_config.c
#include "qrexec_fixture.h"

#include <stdio.h>
#include <string.h>

#include "../../qrexec/lib/service.h"

static const char policy[] = "* * work vault allow\n* * work dom0 allow\n";

/* Answers each connection with what arrived, after the client's end or at once; then with nothing more. */
static const char server[] =
	"import os, socket, sys, threading\n"
	"kind, at, mode = sys.argv[1:]\n"
	"s = socket.socket(socket.AF_UNIX if kind == 'unix' else socket.AF_INET)\n"
	"s.bind(at if kind == 'unix' else ('127.0.0.1', 0)); s.listen(16)\n"
	"if kind == 'tcp':\n"
	"    open(at + '.new', 'w').write(str(s.getsockname()[1])); os.rename(at + '.new', at)\n"
	"def serve(c):\n"
	"    if mode == 'first':\n"
	"        c.sendall(b'hello'); c.close(); return\n"
	"    if mode == 'stubborn':\n"
	"        c.sendall(b'on')\n"
	"        while c.recv(1): pass\n"
	"        threading.Event().wait()\n"
	"    data = b''\n"
	"    while True:\n"
	"        more = c.recv(65536)\n"
	"        if not more: break\n"
	"        data += more\n"
	"    c.sendall(data.replace(b'\\0', b'|')); c.close()\n"
	"while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()\n";

static int setup(void **state)
{
	(void)state;
	if (fixture_create())
		return -1;
	write_file("server.py", 0644, server);
	sh("serve() { python3 server.py \"$@\" >/dev/null 2>&1 & echo $! >>pids; }\n"
	   "serve unix vault.d/test.Sock echo; serve unix vault.d/test.First first\n"
	   "serve unix vault.d/test.Stubborn stubborn; serve unix dom0.d/test.Sock echo\n"
	   "serve tcp port echo\n"
	   "until [ -S dom0.d/test.Sock -a -S vault.d/test.Stubborn -a -S vault.d/test.First "
	   "-a -S vault.d/test.Sock -a -e port ]; do sleep 0.02; done\n"
	   "ln vault.d/test.Sock vault.d/test.Bare; ln -s /dev/tcp vault.d/test.Any\n"
	   "ln -s /dev/tcp/127.0.0.1 vault.d/test.Host\n"
	   "ln -s /dev/tcp/127.0.0.1/$(cat port) vault.d/test.Fixed; ln -s /dev/tcpip vault.d/test.Not");
	sh("echo skip-service-descriptor=true | tee conf/test.Bare conf/test.Any conf/test.Host >/dev/null");
	write_file("conf/test.First", 0644,
		   "# of a comment\n\nexit-on-service-eof = true\nother=1\n");
	write_file("conf/test.Stubborn", 0644, "exit-on-client-eof=yes");
	write_file("conf/test.User", 0644, "force-user = 'nobody'\n");
	write_file("conf/test.User+me", 0644, "force-user = \"root\"\n");
	write_file("conf/test.Bad", 0644, "wait-for-session=maybe\n");
	write_file("conf/test.Session", 0644, "wait-for-session=1\n");
	write_file("vault.d/test.User", 0755, "#!/bin/sh\nid -un; pwd; id -Gn\n");
	write_file("vault.d/test.Bad", 0755, "#!/bin/sh\n");
	write_file("vault.d/test.Plain", 0644, "#!/bin/sh\n");
	write_file("vault.d/test.Session", 0755, "#!/bin/sh\necho $DISPLAY $EVIL\n");
	sh("chmod 755 ."); /* for services that run as somebody else */
	return fixture_start(policy);
}

static void test_sockets(void **state)
{
	(void)state;
	assert_int_equal(sh("printf data | work vault test.Sock+a+b"), 0);
	assert_string_equal(out, "test.Sock+a+b work|data");
	assert_int_equal(sh("printf data | work dom0 test.Sock"), 0);
	assert_string_equal(out, "test.Sock work name dom0|data");
	assert_int_equal(sh("printf data | work @adminvm test.Sock+"), 0);
	assert_string_equal(out, "test.Sock+ work keyword adminvm|data");
	assert_int_equal(sh("printf data | work vault test.Bare+a"), 0);
	assert_string_equal(out, "data");
	assert_int_equal(sh("head -c 5000000 /dev/urandom | tr -d '\\0' >big; "
			    "work vault test.Bare <big | cmp - big"),
			 0);
}

/* One end is enough where the configuration says so; the other call goes on until its client ends, too. */
static void test_ends_of_sockets(void **state)
{
	(void)state;
	assert_int_equal(sh("mkfifo open; exec 3<>open; work vault test.First <&3"), 0);
	assert_string_equal(out, "hello");
	assert_int_equal(sh("(while ! [ -e seen ]; do sleep 0.02; done) | "
			    "work vault test.Stubborn | (head -c 2; : >seen; cat)"),
			 0);
	assert_string_equal(out, "on");
}

static void test_ports(void **state)
{
	(void)state;
	assert_int_equal(sh("printf data | work vault test.Fixed"), 0);
	assert_string_equal(out, "test.Fixed work|data");
	assert_int_equal(sh("printf data | work vault test.Host+$(cat port)"), 0);
	assert_string_equal(out, "data");
	assert_int_equal(sh("printf data | work vault test.Any+127.0.0.1+$(cat port)"), 0);
	assert_string_equal(out, "data");
	assert_int_equal(sh("printf data | work vault test.Any+localhost+$(cat port)"), 0);
	assert_int_equal(sh("printf data | work vault test.Host+1 2>&1"), 125); /* nobody there */
	assert_int_equal(sh("work vault test.Host </dev/null"), 127);
	assert_int_equal(sh("work vault test.Host+80x </dev/null"), 127);
	assert_int_equal(sh("work vault test.Any+80 </dev/null"), 127);
	assert_int_equal(sh("work vault test.Not+127.0.0.1+80 </dev/null"), 127);
}

/* After SIGUSR1 what the program reads from is also where it writes to; nothing that it wrote before is lost. */
static void test_one_socket(void **state)
{
	(void)state;
	write_file(
		"vault.d/test.One", 0755,
		"#!/bin/sh\nexec 3>&0\nhead -c 200000 /dev/zero | tr '\\0' a\nkill -USR1 $QREXEC_AGENT_PID\n"
		"read word\nprintf b$word >&3\nhead -c 200000 /dev/zero | tr '\\0' c >&3\n"
		"cat >&2\nexit 7\n");
	assert_int_equal(sh("(echo word; printf rest) | work vault test.One 2>err >got"), 7);
	assert_int_equal(sh("tr -d ac <got; cat err; tr -dc ac <got | wc -c; "
			    "head -c 200001 got | tail -c 1; tail -c 200000 got | tr -d c | wc -c"),
			 0);
	assert_string_equal(out, "bwordrest400000\nb0\n");
	/* The caller's program can do the same; and it is not too late when the input has ended. */
	assert_int_equal(
		sh("work vault test.Bare sh -c "
		   "'kill -USR1 $QREXEC_AGENT_PID; exec 1>&-; printf data >&0; "
		   "python3 -c \"import socket; socket.socket(fileno=0).shutdown(1)\"; cat >from'; cat from"),
		0);
	assert_string_equal(out, "data");
	write_file("vault.d/test.Late", 0755,
		   "#!/bin/sh\ncat\nkill -USR1 $QREXEC_AGENT_PID\necho after >&0\n");
	assert_int_equal(sh("printf x | work vault test.Late"), 0);
	assert_string_equal(out, "xafter\n");
}

static void test_programs_that_are_none(void **state)
{
	(void)state;
	assert_int_equal(sh("work vault test.Plain </dev/null"), 127);
	assert_int_equal(sh("work vault test.Bad </dev/null"), 125);
	assert_int_equal(sh("work vault .. </dev/null 2>/dev/null"), 125);
}

/* Only root can become another user; anybody else gets no for an answer. */
static void test_users(void **state)
{
	(void)state;
	if (sh("[ $(id -u) = 0 ]")) {
		assert_int_equal(sh("work vault test.User </dev/null"), 125);
		return;
	}
	assert_int_equal(sh("work vault test.User </dev/null"), 0);
	assert_string_equal(out, "nobody\n/\nnogroup\n");
	assert_int_equal(sh("work vault test.User+me </dev/null"), 0);
	assert_memory_equal(out, "root\n", 5);
	/* Its login shell lets nobody in. */
	assert_int_equal(sh("dom0 -d vault 'nobody:id -un'"), 1);
}

/* PAM of the qube may set what a user's programs have, and refuse them. */
static void test_login(void **state)
{
	(void)state;
	if (sh("[ $(id -u) = 0 ]"))
		return;
	write_file("vault.d/test.Pam", 0755, "#!/bin/sh\necho $FROM_PAM; ulimit -n\n");
	write_file("conf/test.Pam", 0644, "force-user = nobody\n");
	assert_int_equal(
		sh("mkdir pam; echo 'FROM_PAM DEFAULT=set' >env; echo '* - nofile 123' >limits\n"
		   "printf 'account required pam_permit.so\\nauth required pam_permit.so\\n"
		   "session required pam_env.so conffile=%s/env readenv=0\\n"
		   "session required pam_limits.so conf=%s/limits\\n' $T $T >pam/new; mv pam/new pam/qrexec\n"
		   "work vault test.Pam </dev/null"),
		0);
	assert_string_equal(out, "set\n123\n");
	assert_int_equal(sh("echo 'account required pam_deny.so' >pam/new; mv pam/new pam/qrexec; "
			    "work vault test.Pam </dev/null"),
			 125);
	assert_int_equal(sh("grep -c 'nobody may not run programs for work' vault.agent.log"), 0);
	assert_int_equal(sh("rm -r pam; work vault test.Pam </dev/null | head -n 1"), 0);
	assert_string_equal(out, "\n");
}

/* The service starts when the session is there, and finds its display; nothing else that the file says. */
static void test_session(void **state)
{
	(void)state;
	assert_int_equal(
		sh("(work vault test.Session </dev/null >answer; echo $? >>answer) & "
		   "while ! pgrep -P $(cat vault.pid) >/dev/null; do sleep 0.02; done; "
		   "[ -s answer ] && exit 9; printf 'EVIL=1\\nDISPLAY=:7\\n' >session.new; "
		   "mv session.new session/$U; wait $!; cat answer"),
		0);
	assert_string_equal(out, ":7\n0\n");
	assert_int_equal(sh("work vault test.Session </dev/null"), 0);
	assert_string_equal(out, ":7\n");
}

/* Whoever waits for a session does not wait longer than his caller. */
static void test_caller_does_not_wait(void **state)
{
	(void)state;
	assert_int_equal(sh("rm session/$U; a=$(cat vault.pid)\n"
			    "in_work $P/qrexec-client-vm --socket $T/work.agent vault test.Session "
			    "</dev/null 2>/dev/null & p=$!\n"
			    "while ! pgrep -P $a >/dev/null; do sleep 0.02; done; sleep 0.2\n"
			    "kill -9 $(pgrep -x -P $p qrexec-client-v || echo $p)\n"
			    "while pgrep -P $a >/dev/null; do sleep 0.02; done"),
			 0);
}

static bool parse(const char *text, struct service_config *config)
{
	return service_config_parse(text, strlen(text), config);
}

static void test_configuration(void **state)
{
	struct service_config config;
	char large[5000];

	(void)state;
	assert_true(parse("", &config));
	assert_false(config.wait_for_session || config.skip_descriptor || *config.user);
	assert_true(parse("wait-for-session=1\r\n  exit-on-client-eof = true  \n#x\n", &config));
	assert_true(config.wait_for_session && config.exit_on_client_eof);
	assert_false(config.exit_on_service_eof);
	assert_true(parse("force-user='user'\n", &config));
	assert_string_equal(config.user, "user");
	assert_true(parse("force-user=user", &config));
	assert_string_equal(config.user, "user");
	assert_false(parse("force-user=", &config));
	assert_false(parse("force-user=''", &config));
	assert_false(parse("force-user='a b'", &config));
	assert_false(parse("force-user=a/b", &config));
	assert_false(parse("force-user=0123456789012345678901234567890123", &config));
	assert_false(parse("wait-for-session", &config));
	assert_false(parse("wait-for-session=", &config));
	assert_false(service_config_parse("a=b\0c", 5, &config));
	memset(large, '#', sizeof(large));
	assert_true(service_config_parse(large, 4096, &config));
	assert_false(service_config_parse(large, 4097, &config));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_ends_of_sockets),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_one_socket),
		cmocka_unit_test(test_programs_that_are_none),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_caller_does_not_wait),
		cmocka_unit_test(test_configuration),
	};

	return cmocka_run_group_tests(tests, setup, fixture_stop);
}
