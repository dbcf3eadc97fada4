/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dom0 and two qubes, "work" and "vault", over the local transport: their daemons, agents and directories. */
#ifndef QREXEC_FIXTURE_H
#define QREXEC_FIXTURE_H

#include "shell.h"

/*
 * Runs a script in the directory of shell_create(); its output is in `out`, what it returns is the exit status. Its words
 * dom0, work and vault are qrexec-client and qrexec-client-vm there; in_dom0, in_work and in_vault run programs there.
 */
int sh(const char *script);

/* Makes the directory. Services are in work.d, vault.d, dom0.d, the policy in policy/. */
int fixture_create(void);
/* Starts daemons and agents. */
int fixture_start(const char *policy);
/* Ends everything. -1 if a sanitizer found something in one of the programs. */
int fixture_stop(void **state);

#endif
