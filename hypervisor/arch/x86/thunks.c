/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Indirect branches: plain jumps in place of retpolines where the CPU protects them. */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/paging.h>
#include <arch/paging_init.h>
#include <arch/thunks.h>
#include <bulkhead/mm.h>
#include <bulkhead/string.h>

#define THUNK_SIZE 32
#define REG_RSP	   4U
#define INT3	   0xcc

extern char thunks_start[], thunks_end[];

unsigned thunk_jump(unsigned reg, uint8_t *code)
{
	unsigned n = 0;

	/* JMP r/m64, opcode FF /4 (APM vol. 3). */
	if (reg >= 8)
		code[n++] = 0x41;
	code[n++] = 0xff;
	code[n++] = (uint8_t)(0xe0 | (reg & 7));
	/* What is behind a jump may be executed speculatively. */
	code[n++] = INT3;
	return n;
}

void thunks_init(void)
{
	uint8_t code[THUNK_SIZE];
	uint32_t regs[4];

	if (!cpu_branches_protected())
		return;
	for (unsigned reg = 0; thunks_start + reg * THUNK_SIZE < thunks_end; reg++) {
		/* The text is not writable at its own address. A thunk does not cross a page. */
		uint64_t va = (uintptr_t)thunks_start + reg * THUNK_SIZE;
		uint64_t pa = image_paddr() + va - IMAGE_BASE;
		unsigned n = thunk_jump(reg, code);
		char *p;

		if (reg == REG_RSP)
			continue;
		p = window_map(paddr_to_mfn(paddr_from(pa)));
		memcpy(p + (pa & ~PAGE_MASK), code, n);
		window_unmap(p);
	}
	/* Modified code: a serialising instruction before it is executed (APM vol. 2 7.6.1). Other CPUs do not run yet. */
	cpuid_count(0, 0, regs);
}
