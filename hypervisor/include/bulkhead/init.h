/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Boot order: what runs when the machine is handed over, in one visible list (common/start.c). */
#ifndef BULKHEAD_INIT_H
#define BULKHEAD_INIT_H

#include <bulkhead/compiler.h>

/* What the boot loader gave us, without our own name; NUL-terminated, kept by the architecture. */
extern const char *hypervisor_cmdline;

/* Entered by the architecture on the boot CPU once it has memory maps, traps and a console. */
void start_hypervisor(void) __noreturn;
/* Main loop of each CPU; see common/loop.c. */
void cpu_loop(void) __noreturn;

#endif
