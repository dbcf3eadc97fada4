/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machine checks: errors that the hardware finds in itself. */
#ifndef ARCH_MACHINE_CHECK_H
#define ARCH_MACHINE_CHECK_H

#include <bulkhead/compiler.h>

/* Has all banks of this CPU report; what they hold from before the boot is logged and cleared. Before CR4.MCE is set. */
void machine_check_prepare(void);

#define MACHINE_CHECK_TEXT 128
/* What this CPU's banks say of an exception, for the one line that is left: never fails. */
void machine_check_describe(char text[MACHINE_CHECK_TEXT]);

#endif
