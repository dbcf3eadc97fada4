// SPDX-License-Identifier: GPL-2.0-or-later
// Rules that stock Xen breaks on this emulator, or that stop the emulator under it: there is no oracle for these.
//
// QEMU 7.2 delivers a virtual interrupt whose class equals the task priority, and
// aborts when a guest writes CR8 while a virtual interrupt is pending and the write is not intercepted. It reports INVD as
// WBINVD, and stock Xen raises #GP when the instruction there is not what it was told.
#include "guest.h"

#define VECTOR 0x61u

static volatile unsigned int taken;

static void count(struct trap_frame *frame)
{
	(void)frame;
	taken++;
	apic_eoi();
}

static void prepare(void)
{
	taken = 0;
	guest_on(VECTOR, count);
	write_cr8(0);
}

/* A few instructions with interrupts on: what is deliverable is delivered. */
static void window(void)
{
	__asm__ volatile("sti; nop; nop; nop; nop; cli" : : : "memory");
}

GUEST_TEST(invd_goes_by)
{
	unsigned int good = 0;

	guest_fault_vector = 0;
	__asm__ volatile("1: wbinvd\n\tinvd\n\twbinvd\n\tmovl $1, %0\n2:\n" FIXUP("1b", "2b")
			 : "+r"(good)
			 :
			 : "memory");
	CHECK(good, "vector %u", guest_fault_vector);
}

GUEST_TEST(cr8_blocks)
{
	prepare();
	write_cr8(VECTOR >> 4);
	apic_self_ipi(VECTOR);
	window();
	CHECK(taken == 0, "delivered at its own priority class");
	write_cr8((VECTOR >> 4) - 1);
	window();
	CHECK(taken == 1, "not delivered after the priority fell");
	write_cr8(0);
}

/* The priority rises while an interrupt is already pending at the CPU: it must wait. */
GUEST_TEST(cr8_raised_while_pending)
{
	prepare();
	for (unsigned int i = 0; i < 200; i++) {
		taken = 0;
		apic_self_ipi(VECTOR);
		write_cr8(0xf);
		window();
		CHECK(taken == 0, "delivered at priority 15 in round %u", i);
		CHECK(apic_bit(APIC_IRR, VECTOR), "lost in round %u", i);
		write_cr8(0);
		window();
		CHECK(taken == 1, "taken %u times in round %u", taken, i);
	}
}

static bool write_cr0_safe(uint64_t value)
{
	uint32_t good = 0;

	__asm__ volatile("1: movq %1, %%cr0\n\tmovl $1, %0\n2:\n" FIXUP("1b", "2b")
			 : "+r"(good)
			 : "r"(value)
			 : "memory");
	return good;
}

/* CR0.NW without CR0.CD is no state that VMRUN accepts (APM 15.5.1): it must not get there. */
GUEST_TEST(cr0_nw_without_cd)
{
	uint64_t cr0;

	__asm__ volatile("movq %%cr0, %0" : "=r"(cr0));
	CHECK(!write_cr0_safe((cr0 | 1u << 29) & ~(1ull << 30)), "accepted");
	CHECK(guest_fault_vector == TRAP_GP, "vector %u", guest_fault_vector);
}
