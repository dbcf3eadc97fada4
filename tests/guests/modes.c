// SPDX-License-Identifier: GPL-2.0-or-later
// The CPU's other modes: exits, emulated devices and hypercalls from real mode, 32-bit code without paging, with 32-bit page
// tables, and in long mode; and what the hypervisor leaves in page tables that it walks.
#include "modes.h"
#include <xen/version.h>

#define WINDOW	    0x80000000u /* linear, where no memory is: the I/O APIC by large pages */
#define WINDOW_4K   0x80400000u /* the same by a small one */
#define FREE_MEMORY 0x2000000u	/* in the middle of nowhere */

GUEST_TEST(compatibility_mode)
{
	modes_check(MODES_IOAPIC, MODES_LONG, 0, false);
}

GUEST_TEST(no_paging)
{
	modes_check(MODES_IOAPIC, 0, 0, false);
}

static uint32_t legacy_root[1024] __attribute__((aligned(4096)));
static uint32_t legacy_table[1024] __attribute__((aligned(4096)));

static void build_legacy(void)
{
	for (uint32_t i = 0; i < 1024; i++)
		legacy_root[i] = i << 22 | PTE_PWS;
	legacy_root[WINDOW >> 22] = MODES_IOAPIC | PTE_PWS;
	legacy_root[WINDOW_4K >> 22] = (uint32_t)ADDRESS(legacy_table) | PTE_PW;
	legacy_table[WINDOW_4K >> 12 & 1023] = MODES_IOAPIC | PTE_PW;
}

GUEST_TEST(tables_of_32_bits)
{
	build_legacy();
	modes_check(WINDOW, (uint32_t)ADDRESS(legacy_root), CR4_PSE, false);
	modes_check(WINDOW_4K, (uint32_t)ADDRESS(legacy_root), CR4_PSE, false);
}

/* With segments that reach all memory, as boot loaders have it. */
GUEST_TEST(real_mode)
{
	modes_check(MODES_IOAPIC, 0, 0, true);
}

/* ---- Page tables that the hypervisor walks ---- */

/* A page of the hypercall's buffer is marked as if the CPU itself had accessed and written it. */
GUEST_TEST(buffers_are_marked)
{
	volatile uint64_t *entry = &modes_directory(WINDOW)[WINDOW >> 21 & 511];
	uint64_t old = *entry;
	xen_extraversion_t *buffer = (xen_extraversion_t *)(uintptr_t)WINDOW;

	*entry = FREE_MEMORY | PTE_PWS;
	__asm__ volatile("movq %%cr3, %%rax; movq %%rax, %%cr3" : : : "rax", "memory");
	CHECK(hypercall2(__HYPERVISOR_xen_version, XENVER_extraversion, ADDRESS(buffer)) == 0,
	      "extraversion");
	CHECK((*entry & (PTE_A | PTE_D)) == (PTE_A | PTE_D), "written, but the entry is %#lx",
	      *entry);
	CHECK((*buffer)[0] == '.' || (*buffer)[0] == '-', "it begins with %#x", (*buffer)[0]);
	/* One that may not be written is not, and says nothing else. */
	*entry = FREE_MEMORY | (PTE_PWS & ~2u);
	__asm__ volatile("movq %%cr3, %%rax; movq %%rax, %%cr3" : : : "rax", "memory");
	CHECK(hypercall2(__HYPERVISOR_xen_version, XENVER_extraversion, ADDRESS(buffer)) == -14,
	      "read-only");
	CHECK(!(*entry & PTE_D), "not written, but the entry is %#lx", *entry);
	*entry = old;
	__asm__ volatile("movq %%cr3, %%rax; movq %%rax, %%cr3" : : : "rax", "memory");
}
