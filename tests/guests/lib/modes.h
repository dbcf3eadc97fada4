// SPDX-License-Identifier: GPL-2.0-or-later
// The CPU's other modes, for test kernels: leaves 64-bit mode, does what makes exits there, and comes back.
#ifndef MODES_H
#define MODES_H

#include "guest.h"

#define MODES_IOAPIC   0xfec00000u
#define MODES_LOW_CODE 0x8000u	   /* the code of real mode is copied there */
#define MODES_LONG     0xffffffffu /* as CR3: stays in long mode, with 32-bit code */
#define PTE_PW	       0x3u
#define PTE_PWS	       0x83u
#define PTE_A	       0x20u
#define PTE_D	       0x40u
#define CR4_PSE	       0x10u
#define CR4_PAE	       0x20u

/* The page directory of an address below 4 GiB. */
uint64_t *modes_directory(uint32_t linear);
/*
 * Runs the code with these control registers, and compares with what 64-bit code finds. CR3 0: without paging; real: in real mode.
 * The I/O APIC is reached at the address given.
 */
void modes_check(uint32_t ioapic, uint32_t cr3, uint32_t cr4, bool real);

#endif
