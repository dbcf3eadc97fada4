// SPDX-License-Identifier: GPL-2.0-or-later
// 32-bit code with PAE page tables: exits, emulated devices and hypercalls. Stock Xen cannot run this on QEMU 7.2, which marks
// the entries of the top level as accessed, a bit that is reserved there (APM vol. 2, 5.2.3): Xen gives the guest a page fault
// for it wherever it reads an instruction itself.
#include "modes.h"

#define WINDOW	  0x80000000u /* linear, where no memory is: the I/O APIC by large pages */
#define WINDOW_4K 0x80400000u /* the same by a small one */

static uint64_t pae_root[4] __attribute__((aligned(32)));
static uint64_t pae_table[512] __attribute__((aligned(4096)));

GUEST_TEST(pae_tables)
{
	uint64_t *directory = modes_directory(WINDOW);
	uint64_t large = directory[WINDOW >> 21 & 511], small = directory[WINDOW_4K >> 21 & 511];

	for (uint32_t i = 0; i < 4; i++)
		pae_root[i] = ADDRESS(modes_directory(i << 30)) | 1;
	directory[WINDOW >> 21 & 511] = MODES_IOAPIC | PTE_PWS;
	directory[WINDOW_4K >> 21 & 511] = ADDRESS(pae_table) | PTE_PW;
	pae_table[WINDOW_4K >> 12 & 511] = MODES_IOAPIC | PTE_PW;
	modes_check(WINDOW, (uint32_t)ADDRESS(pae_root), CR4_PAE, false);
	modes_check(WINDOW_4K, (uint32_t)ADDRESS(pae_root), CR4_PAE, false);
	directory[WINDOW >> 21 & 511] = large;
	directory[WINDOW_4K >> 21 & 511] = small;
}
