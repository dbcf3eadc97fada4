/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The meeting of the boot CPU and one that it starts: that comes, or is given up, and both know which. */
#ifndef ARCH_CPU_START_H
#define ARCH_CPU_START_H

#include <bulkhead/compiler.h>

/* The boot CPU: before it wakes the other one. */
void cpu_start_expect(void);
/* Whether it has come by now. */
bool cpu_start_has_come(void);
/* No longer waits for it. False: it has come after all. */
bool cpu_start_give_up(void);

/* The other one, before it touches anything that is shared. False: it was given up, and has to keep still for ever. */
bool cpu_start_come(void);

#endif
