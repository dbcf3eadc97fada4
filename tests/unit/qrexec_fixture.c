// SPDX-License-Identifier: GPL-2.0-or-later
// Two qubes and dom0 over the local transport, for tests of whole programs.
#include "qrexec_fixture.h"

/* Shell words for the three places that calls come from. */
static const char prelude[] =
	"export LIBVCHAN_URI; in_dom0() { LIBVCHAN_URI=\"local:$T/v?domain=0\" \"$@\"; }\n"
	"in_work() { LIBVCHAN_URI=\"local:$T/v?domain=1\" \"$@\"; }\n"
	"in_vault() { LIBVCHAN_URI=\"local:$T/v?domain=2\" \"$@\"; }\n"
	"dom0() { in_dom0 timeout 300 $P/qrexec-client --socket-dir $T/run \"$@\"; }\n"
	"work() { in_work timeout 300 $P/qrexec-client-vm --socket $T/work.agent \"$@\"; }\n"
	"vault() { in_vault timeout 300 $P/qrexec-client-vm --socket $T/vault.agent \"$@\"; }\n"
	/* Starts agent and daemon of a qube; waits until it takes calls. */
	"boot() { case $1 in work) d=1;; *) d=2;; esac\n"
	"env LIBVCHAN_URI=\"local:$T/v?domain=$d\" QREXEC_AGENT_SOCKET=$T/$1.agent "
	"$P/qrexec-agent --socket $T/$1.agent --service-dir $T/$1.d --config-dir $T/conf "
	"--session-dir $T/session --pam-dir $T/pam >>$T/$1.agent.log 2>&1 & echo $! >>$T/pids; echo $! >$T/$1.pid\n"
	"env LIBVCHAN_URI=\"local:$T/v?domain=0\" $P/qrexec-daemon --socket-dir $T/run "
	"--policy-dir $T/policy --qubes $T/qubes --prompt $T/prompt --starter $T/starter "
	"--service-dir $T/dom0.d --config-dir $T/conf $d $1 $U >>$T/$1.daemon.log 2>&1 & "
	"echo $! >>$T/pids; echo $! >$T/$1.daemon.pid; }\n"
	"await() { for i in $(seq 2000); do [ -S $T/run/qrexec.$1 ] && return 0; sleep 0.1; done; return 1; }\n"
	"cd $T\n";

/* Runs a script; its output is in `out`, what it returns is the exit status. */
int sh(const char *script)
{
	return shell(prelude, script);
}

int fixture_create(void)
{
	return shell_create("qrexec") || sh("mkdir v run policy work.d vault.d dom0.d conf") ? -1
											     : 0;
}

int fixture_start(const char *policy)
{
	write_file("qubes", 0644,
		   "work class=AppVM domid=1 label=red default_dispvm=dvm\n"
		   "vault class=AppVM domid=2\noff class=AppVM\n"
		   "dvm class=AppVM template_for_dispvms=yes\n");
	write_file("policy/50-test.policy", 0644, policy);
	return sh("boot work; boot vault; await work && await vault || { cat *.log; exit 1; }");
}

int fixture_stop(void **state)
{
	(void)state;
	sh("kill $(cat pids) 2>/dev/null");
	return shell_destroy();
}
