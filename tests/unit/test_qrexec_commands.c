// SPDX-License-Identifier: GPL-2.0-or-later
// The standard services and the commands around them, as they are installed.
// links: tests/unit/qrexec_fixture.c tests/unit/shell.c qrexec/lib/words.c
#include "qrexec_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../qrexec/lib/words.h"

static const char policy[] = "* * work vault allow\n* * work @default allow target=vault\n"
			     "* * work @dispvm allow target=vault\n* * vault work deny notify=no\n"
			     "qubes.GetDate + work @adminvm allow\n";

static int setup(void **state)
{
	(void)state;
	if (fixture_create())
		return -1;
	sh("printf %s $T/lib");
	setenv("QUBES_LIB", out, 1);
	sh("printf %s $T/home");
	setenv("HOME", out, 1);
	sh("printf %s $T/apps");
	setenv("QUBES_APPLICATIONS", out, 1);
	sh("cp -P $SRC/qrexec/etc/vm/qubes-rpc/* vault.d/; cp $SRC/qrexec/etc/vm/rpc-config/* conf/\n"
	   "cp $SRC/qrexec/etc/dom0/qubes-rpc/* dom0.d/; mkdir lib home apps; cp $SRC/qrexec/etc/lib/* lib/\n"
	   "ln -s $P/vm-exec $P/qfile-unpacker lib/; ln -s $P/qvm-run qvm-run-vm\n"
	   "sed -i s/root/$U/ conf/qubes.SetDateTime");
	write_file("starter", 0755,
		   "#!/bin/sh\necho \"$*\" >>$T/starts\ncase $1 in\n"
		   "start) ln -sf qrexec.vault $T/run/qrexec.$2;;\n"
		   "disposable) ln -sf qrexec.vault $T/run/qrexec.disp7; echo disp7;;\n"
		   "finish) rm $T/run/qrexec.$2;;\nesac\n");
	write_file("lib/fake-date", 0755, "#!/bin/sh\necho \"$*\" >$T/date-set\n");
	sh("printf %s $T/lib/fake-date");
	setenv("QUBES_DATE", out, 1);
	/* An editor that appends, a browser that tells, a program with odd words. */
	write_file("lib/editor", 0755,
		   "#!/bin/sh\n[ -w \"$1\" ] && [ ! -e $T/lazy ] && echo edited >>\"$1\"\n"
		   "stat -c %a \"$1\" >$T/mode; basename \"$1\" >$T/base; exit 0\n");
	write_file("lib/browser", 0755,
		   "#!/bin/sh\nprintf '%s\\n' \"$@\" >$T/url.new; mv $T/url.new $T/url\n");
	sh("printf '[Desktop Entry]\\nType=Application\\nName=Edit\\nExec=%s/lib/editor %%f\\nMimeType=text/plain;application/octet-stream;\\n' $T >apps/edit.desktop\n"
	   "printf '[Desktop Entry]\\nType=Application\\nName=Bro\\033wse\\nIcon=web\\nExec=\"%s/lib/browser\" %%u\\nMimeType=x-scheme-handler/https;\\n[Desktop Action new]\\nName=New\\n' $T >apps/browse.desktop\n"
	   "printf '[Desktop Entry]\\nType=Application\\nName=Odd\\nExec=%s/lib/browser \"a b\" c\\\\\\\\ d %%%% $HOME ;ls %%c\\n' $T >apps/odd.app.desktop\n"
	   "printf '[Desktop Entry]\\nType=Application\\nName=No\\nNoDisplay=true\\nExec=no\\n' >apps/hidden.desktop");
	return fixture_start(policy);
}

static int with_session(void)
{
	return sh("LANG=C DISPLAY=:9 QUBES_SESSION_DIR=$T/session lib/qubes-session-ready");
}

#define WORK "in_() { QREXEC_AGENT_SOCKET=$T/work.agent in_work timeout 300 \"$@\"; }; "
#define DOM0 "in_() { QREXEC_DAEMON_DIR=$T/run in_dom0 timeout 300 \"$@\"; }; "
#define RUN  DOM0 "run() { in_ $P/qvm-run --starter $T/starter \"$@\"; }; "

static void test_session(void **state)
{
	(void)state;
	assert_int_equal(with_session(), 0);
	assert_int_equal(sh("cat session/$U; work vault qubes.WaitForSession </dev/null"), 0);
	assert_string_equal(out, "DISPLAY=:9\nLANG=C\n");
}

static void test_shell_and_exec(void **state)
{
	(void)state;
	assert_int_equal(sh("echo 'echo a; exit 5' | work vault qubes.VMShell"), 5);
	assert_string_equal(out, "a\n");
	assert_int_equal(sh("work vault qubes.VMExec+printf+-25s-0A+a-20--b </dev/null"), 0);
	assert_string_equal(out, "a -b\n");
	assert_int_equal(sh("work vault qubes.VMExec+a-zz 2>&1 </dev/null"), 125);
	assert_int_equal(sh("work vault qubes.VMExec 2>/dev/null </dev/null"), 125);
	assert_int_equal(sh("work vault qubes.VMExec+no.such.program 2>/dev/null </dev/null"), 127);
	assert_int_equal(
		sh(WORK "printf 'in put' | in_ ./qvm-run-vm vault \"cat; echo ' it''s'; exit 4\""),
		4);
	assert_string_equal(out, "in put its\n");
	assert_int_equal(sh(WORK "in_ ./qvm-run-vm vault \"printf '%s.' \\\"it's\\\"\" </dev/null"),
			 0);
	assert_string_equal(out, "it's.");
	assert_int_equal(
		sh(WORK "in_ ./qvm-run-vm --no-shell vault printf '%s|' a 'b c' \"d'\" </dev/null"),
		0);
	assert_string_equal(out, "a|b c|d'|");
	assert_int_equal(sh(WORK "in_ ./qvm-run-vm --dispvm echo x </dev/null"), 0);
	assert_string_equal(out, "x\n");
	assert_int_equal(sh(WORK "in_ ./qvm-run-vm --dispvm true </dev/null"), 0);
	assert_int_equal(sh(WORK "in_ ./qvm-run-vm --dispvm </dev/null 2>/dev/null"), 2);
	assert_int_equal(sh(WORK "in_ ./qvm-run-vm none echo x 2>&1 </dev/null"), 126);
	assert_string_equal(out, "qvm-run-vm: request refused\n");
}

static void test_run_from_dom0(void **state)
{
	(void)state;
	with_session();
	assert_int_equal(sh(RUN "printf in | run -p work 'cat; exit 9'"), 9);
	assert_string_equal(out, "in");
	assert_int_equal(sh(RUN "run -p work echo a   b </dev/null"), 0);
	assert_string_equal(out, "a b\n");
	assert_int_equal(sh(RUN "run -p -u $U --no-shell vault printf '%s|' a 'b c' </dev/null"),
			 0);
	assert_string_equal(out, "a|b c|");
	assert_int_equal(sh(RUN "run -p --service vault qubes.GetDate </dev/null | "
				"grep -Ex '[0-9-]{10}T[0-9:]{8}\\+00:00' | wc -l"),
			 0);
	assert_string_equal(out, "1\n");
	assert_int_equal(sh(RUN "run --gui -p vault 'echo $DISPLAY' </dev/null"), 0);
	assert_string_equal(out, ":9\n");
	/* Only started: nothing comes back, and nobody waits. */
	assert_int_equal(
		sh(RUN
		   "mkfifo gate; run work \"echo out; cat $T/gate >$T/went\"; echo $?; echo through >gate; "
		   "while ! [ -s went ]; do sleep 0.02; done; cat went"),
		0);
	assert_string_equal(out, "0\nthrough\n");
	assert_int_equal(sh(RUN "run -p --no-autostart off true 2>&1 </dev/null"), 125);
	assert_int_equal(
		sh(RUN
		   "rm -f starts; run -p off echo up </dev/null; run -p --dispvm=dvm echo disp </dev/null; "
		   "cat starts; rm run/qrexec.off"),
		0);
	assert_string_equal(out, "up\ndisp\nstart off\ndisposable dvm\nfinish disp7\n");
}

/* What a qube writes cannot control dom0's terminal. */
static void test_terminal_is_safe(void **state)
{
	(void)state;
	write_file("esc", 0755,
		   "#!/bin/sh\nQREXEC_DAEMON_DIR=$T/run LIBVCHAN_URI=\"local:$T/v?domain=0\" "
		   "$P/qvm-run -p $1 work \"printf 'a\\033]0;x\\007\\200b\\n'\"\n");
	assert_int_equal(sh("script -qec './esc' /dev/null </dev/null | tr -d '\\r'"), 0);
	assert_string_equal(out, "a_]0;x__b\n");
	assert_int_equal(sh("script -qec './esc --no-filter' /dev/null </dev/null | tr -d '\\r'"),
			 0);
	assert_string_equal(out, "a\033]0;x\007\200b\n");
	/* Both streams, by each program that a person calls. */
	write_file(
		"esc", 0755,
		"#!/bin/sh\nexport QREXEC_DAEMON_DIR=$T/run LIBVCHAN_URI=\"local:$T/v?domain=0\"\n"
		"exec $P/qrexec-client $1 -d work \"$U:printf 'o\\233' >&$2\"\n");
	assert_int_equal(
		sh("for s in 1 2; do script -qec \"./esc --no-filter $s\" /dev/null "
		   "</dev/null; script -qec \"./esc -s$T/run $s\" /dev/null </dev/null; done; "
		   "./esc --no-error 2 2>&1"),
		0);
	assert_string_equal(out, "o\233o_o\233o_");
	write_file("vault.d/test.Escape", 0755, "#!/bin/sh\nprintf 'x\\033[2J' >&${1:-1}\n");
	write_file(
		"esc", 0755,
		"#!/bin/sh\nexport QREXEC_AGENT_SOCKET=$T/work.agent LIBVCHAN_URI=\"local:$T/v?domain=1\"\n"
		"\"$@\"\n");
	assert_int_equal(
		sh("for s in test.Escape test.Escape+2; do\n"
		   "script -qec \"./esc $P/qrexec-client-vm vault $s\" /dev/null </dev/null\n"
		   "script -qec \"./esc ./qvm-run-vm --service vault $s\" /dev/null </dev/null\ndone"),
		0);
	assert_string_equal(out, "x_[2Jx_[2Jx_[2Jx_[2J");
}

/* Neither can the other end of a copy. */
static void test_copy_is_safe(void **state)
{
	(void)state;
	write_file("conf/qubes.Filecopy+allow-all-names", 0644, "# not built in\n");
	write_file("vault.d/qubes.Filecopy+allow-all-names", 0755,
		   "#!/bin/sh\nprintf 'e\\033[2J' >&2\nexec $P/qfile-unpacker allow-all-names\n");
	write_file(
		"esc", 0755,
		"#!/bin/sh\nexport QREXEC_AGENT_SOCKET=$T/work.agent LIBVCHAN_URI=\"local:$T/v?domain=1\"\n"
		"$P/qvm-copy --allow-all-names --no-progress copied\n");
	assert_int_equal(
		sh("mkdir copied; for i in $(seq 300); do echo $i >copied/$i; done; "
		   "script -qec ./esc /dev/null </dev/null && ls home/QubesIncoming/work && diff -r copied home/QubesIncoming/work/copied"),
		0);
	/* Nor does that end it: it is no answer. */
	assert_string_equal(out, "e_[2Jcopied\n");
}

static void test_open(void **state)
{
	(void)state;
	with_session();
	assert_int_equal(
		sh(WORK "echo text >f.txt; chmod 640 f.txt; in_ $P/qvm-open-in-vm vault f.txt && "
			"cat f.txt base && stat -c %a f.txt; ls f.txt*"),
		0);
	assert_string_equal(out, "text\nedited\nf.txt\n640\nf.txt\n");
	assert_int_equal(
		sh(WORK "in_ $P/qvm-open-in-vm --view-only vault ./f.txt && cat f.txt base mode"),
		0);
	assert_string_equal(out, "text\nedited\nf.txt\n400\n");
	assert_int_equal(
		sh(WORK
		   ": >lazy; i=$(stat -c %i f.txt); in_ $P/qvm-open-in-vm vault f.txt; rm lazy; "
		   "[ $i = $(stat -c %i f.txt) ]"),
		0);
	assert_int_equal(sh(WORK "in_ $P/qvm-open-in-vm vault nothing 2>&1"), 1);
	assert_string_equal(out, "qvm-open-in-vm: nothing: No such file or directory\n");
	assert_int_equal(sh(WORK "in_ $P/qvm-open-in-vm vault conf 2>&1"), 1);
	assert_string_equal(out, "qvm-open-in-vm: conf: Is a directory\n");
	assert_int_equal(sh(WORK "in_ $P/qvm-open-in-vm vault /dev/null 2>&1"), 1);
	assert_string_equal(out, "qvm-open-in-vm: /dev/null: not a regular file\n");
	assert_int_equal(
		sh("QREXEC_AGENT_SOCKET=$T/vault.agent in_vault $P/qvm-open-in-vm work f.txt 2>&1"),
		126);
	/* A hostile caller: names that are paths, or none. */
	assert_int_equal(
		sh("for n in ../x .x a/b '' -rf; do (printf %s \"$n\"; head -c 300 /dev/zero) | head -c 256 | "
		   "work vault qubes.OpenInVM 2>/dev/null; echo $?; done; printf x | "
		   "work vault qubes.OpenInVM 2>/dev/null; echo $?; ls -d /tmp/open-in-vm.* 2>/dev/null"),
		2);
	assert_string_equal(out, "1\n1\n1\n1\n1\n1\n");
}

static void test_urls(void **state)
{
	(void)state;
	with_session();
	assert_int_equal(
		sh(WORK
		   "rm -f url; in_ $P/qvm-open-in-vm @default 'https://a.example/?q=1;x'; echo $?; "
		   "while ! [ -e url ]; do sleep 0.02; done; cat url"),
		0);
	assert_string_equal(out, "0\nhttps://a.example/?q=1;x\n");
	assert_int_equal(
		sh("for u in file:///etc/passwd 'javascript:x' '' 'https://' \"https://a b\" 'ftp://x'; do "
		   "echo \"$u\" | work vault qubes.OpenURL 2>/dev/null; echo $?; done"),
		0);
	assert_string_equal(out, "1\n1\n1\n1\n1\n1\n"); /* nobody opens ftp here */
}

static void test_applications(void **state)
{
	(void)state;
	with_session();
	assert_int_equal(sh("work vault qubes.GetAppmenus </dev/null"), 0);
	assert_string_equal(
		out,
		"browse.desktop:Type=Application\nbrowse.desktop:Name=Bro_wse\nbrowse.desktop:Icon=web\n"
		"browse.desktop:Exec=qubes-desktop-run browse\n"
		"edit.desktop:Type=Application\nedit.desktop:Name=Edit\n"
		"edit.desktop:Exec=qubes-desktop-run edit\n"
		"odd.app.desktop:Type=Application\nodd.app.desktop:Name=Odd\n"
		"odd.app.desktop:Exec=qubes-desktop-run odd.app\n");
	assert_int_equal(sh("rm -f url; work vault qubes.StartApp+odd.app </dev/null; echo $?; "
			    "while ! [ -e url ]; do sleep 0.02; done; cat url"),
			 0);
	assert_string_equal(out, "0\na b\nc\\\nd\n%\n$HOME\n;ls\n");
	assert_int_equal(sh("work vault qubes.StartApp+none 2>/dev/null </dev/null"), 1);
	assert_int_equal(sh("work vault qubes.StartApp+..x 2>/dev/null </dev/null"), 1);
}

static void test_dates(void **state)
{
	(void)state;
	assert_int_equal(sh("work dom0 qubes.GetDate </dev/null | work vault qubes.SetDateTime && "
			    "grep -Ecx -- '-u --set [0-9-]{10}T[0-9:]{8}\\+00:00' date-set"),
			 0);
	assert_string_equal(out, "1\n");
	assert_int_equal(
		sh("rm date-set; for d in now '2024-05-06' '2024-05-06T07:08:09+00:00 x' '' '-x'; do "
		   "echo \"$d\" | work vault qubes.SetDateTime 2>/dev/null; echo $?; done; [ ! -e date-set ]"),
		0);
	assert_string_equal(out, "1\n1\n1\n1\n1\n");
}

static void test_clipboard(void **state)
{
	(void)state;
	with_session();
	/* A clipboard that is a file. */
	write_file("lib/xclip", 0755,
		   "#!/bin/sh\ncase $* in *-in) cat >$T/clip;; *) cat $T/clip;; esac\n");
	assert_int_equal(
		sh("cp -P $SRC/qrexec/etc/vm/qubes-rpc/qubes.Clip* vault.d/; "
		   "for s in Copy Paste; do sed -i \"2s|^|PATH=$T/lib:\\$PATH\\n|\" vault.d/qubes.Clipboard$s; done; "
		   "printf 'some text' | work vault qubes.ClipboardPaste && "
		   "work vault qubes.ClipboardCopy </dev/null; echo; "
		   "head -c 300000 /dev/zero | work vault qubes.ClipboardPaste; stat -c %s clip"),
		0);
	assert_string_equal(out, "some text\n256000\n");
}

static void test_connect_tcp(void **state)
{
	(void)state;
	write_file(
		"echo.py", 0644,
		"import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
		"open('port', 'w').write(str(s.getsockname()[1]) + '\\n')\n"
		"f = socket.socket(); f.bind(('127.0.0.1', 0)); open('free', 'w').write(str(f.getsockname()[1])); f.close()\n"
		"open('ready', 'w').close()\n"
		"while True:\n    c = s.accept()[0]\n    while d := c.recv(65536): c.sendall(d.upper())\n    c.close()\n");
	write_file("client.py", 0644,
		   "import socket, sys, time\n"
		   "for i in range(200):\n"
		   "    try: c = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); break\n"
		   "    except ConnectionRefusedError: time.sleep(0.05)\n"
		   "c.sendall(b'hello ' * 20000); c.shutdown(socket.SHUT_WR)\n"
		   "d = b''\nwhile m := c.recv(65536): d += m\nprint(len(d), d[:5].decode())\n");
	assert_int_equal(
		sh("python3 echo.py >/dev/null 2>&1 & echo $! >>pids; while ! [ -e ready ]; do sleep 0.02; done\n"
		   "QREXEC_AGENT_SOCKET=$T/work.agent LIBVCHAN_URI=\"local:$T/v?domain=1\" $P/qvm-connect-tcp --foreground $(cat free):vault:$(cat port) >/dev/null 2>&1 & "
		   "echo $! >>pids; for i in 1 2 3; do python3 client.py $(cat free); done"),
		0);
	assert_string_equal(out, "120000 HELLO\n120000 HELLO\n120000 HELLO\n");
	assert_int_equal(
		sh("for w in x: :0 a:b:c 99999:v:1 ''; do $P/qvm-connect-tcp \"$w\" 2>/dev/null; echo $?; done"),
		0);
	assert_string_equal(out, "2\n2\n2\n2\n2\n");
}

static void check_words(const char *text, const char *first, const char *second)
{
	char **words = words_decode(text);
	char *again;

	assert_non_null(words);
	assert_string_equal(words[0], first);
	if (second)
		assert_string_equal(words[1], second);
	else
		assert_null(words[1]);
	again = words_encode("S", words);
	assert_memory_equal(again, "S+", 2);
	assert_string_equal(again + 2, text);
	free(again);
	free(words[0]);
	free(words);
}

static void test_words(void **state)
{
	static const char *const bad[] = {"",	  "+a",	 "a-",	"a-2", "a-2g",
					  "a-2f", "a b", "-00", "a@"};

	(void)state;
	check_words("a", "a", NULL);
	check_words("a+", "a", "");
	check_words("a--b+-2F.x_-FF", "a-b", "/.x_\xff");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(words_decode(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session),	      cmocka_unit_test(test_shell_and_exec),
		cmocka_unit_test(test_run_from_dom0), cmocka_unit_test(test_terminal_is_safe),
		cmocka_unit_test(test_open),	      cmocka_unit_test(test_urls),
		cmocka_unit_test(test_applications),  cmocka_unit_test(test_dates),
		cmocka_unit_test(test_clipboard),     cmocka_unit_test(test_connect_tcp),
		cmocka_unit_test(test_words),	      cmocka_unit_test(test_copy_is_safe),
	};

	return cmocka_run_group_tests(tests, setup, fixture_stop);
}
