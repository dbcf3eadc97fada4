/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Indirect branches of the hypervisor's own code. */
#ifndef ARCH_THUNKS_H
#define ARCH_THUNKS_H

#include <bulkhead/compiler.h>

/* Boot CPU, before the others start; windows work. */
void thunks_init(void);
/* Code of a jump through register `reg` (its number in instructions), at most 4 bytes: returns how many (pure). */
unsigned thunk_jump(unsigned reg, uint8_t *code);

#endif
