// SPDX-License-Identifier: GPL-2.0-or-later
// Model-specific registers and CPUID: what exists behaves, what does not exist faults, nothing of the host shows.
#include "guest.h"

#define MSR_EFER      0xc0000080u
#define MSR_PAT	      0x277u
#define MSR_LSTAR     0xc0000082u
#define MSR_GS_BASE   0xc0000101u
#define MSR_KERNEL_GS 0xc0000102u

static const char *show_read(uint32_t msr)
{
	uint64_t value;

	return rdmsr_safe(msr, &value) ? "readable" : "faults";
}

GUEST_TEST(absent_registers)
{
	static const uint32_t absent[] = {0x4,	      0x2ff + 0x900, 0x1000,
					  0xbadc0de,  0x3fffffff,    0x40000200,
					  0xc0000fff, 0xc0012000,    0xffffffff};
	uint64_t value;

	for (unsigned int i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		CHECK(!rdmsr_safe(absent[i], &value), "%#x can be read: %#lx", absent[i], value);
		CHECK(guest_fault_vector == TRAP_GP, "%#x: vector %u", absent[i],
		      guest_fault_vector);
		CHECK(!wrmsr_safe(absent[i], 0), "%#x can be written", absent[i]);
		CHECK(guest_fault_vector == TRAP_GP, "%#x: vector %u", absent[i],
		      guest_fault_vector);
	}
}

GUEST_TEST(virtualisation_hidden)
{
	CHECK(!wrmsr_safe(MSR_EFER, rdmsr(MSR_EFER) | 1u << 12), "EFER.SVME can be set");
}

GUEST_TEST(efer_rules)
{
	uint64_t efer = rdmsr(MSR_EFER);

	CHECK((efer & 0xd00) == 0xd00, "EFER is %#lx", efer);
	CHECK(!wrmsr_safe(MSR_EFER, efer | 1ull << 40), "a reserved bit can be set");
	CHECK(!wrmsr_safe(MSR_EFER, efer & ~0x100ull), "long mode can be left with paging on");
	CHECK(rdmsr(MSR_EFER) == efer, "EFER became %#lx", rdmsr(MSR_EFER));
	CHECK(wrmsr_safe(MSR_EFER, efer | 1), "SCE cannot be set");
	CHECK(rdmsr(MSR_EFER) & 1, "SCE did not stay");
	wrmsr(MSR_EFER, efer);
}

GUEST_TEST(pat_rules)
{
	uint64_t pat = rdmsr(MSR_PAT);

	CHECK(pat == 0x0007040600070406ull, "PAT is %#lx", pat);
	CHECK(!wrmsr_safe(MSR_PAT, 0x0007040600070402ull), "a reserved type is accepted");
	CHECK(!wrmsr_safe(MSR_PAT, 0xff), "a reserved bit is accepted");
	CHECK(wrmsr_safe(MSR_PAT, 0x0007010600070106ull), "write-combining cannot be set");
	CHECK(rdmsr(MSR_PAT) == 0x0007010600070106ull, "PAT became %#lx", rdmsr(MSR_PAT));
	wrmsr(MSR_PAT, pat);
}

GUEST_TEST(base_registers)
{
	static const uint32_t bases[] = {0xc0000100, MSR_GS_BASE, MSR_KERNEL_GS, MSR_LSTAR,
					 0xc0000083};

	for (unsigned int i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		uint64_t old = rdmsr(bases[i]);

		CHECK(wrmsr_safe(bases[i], 0xffff800000001000ull), "%#x takes nothing", bases[i]);
		CHECK(rdmsr(bases[i]) == 0xffff800000001000ull, "%#x is %#lx", bases[i],
		      rdmsr(bases[i]));
		wrmsr(bases[i], old);
	}
}

GUEST_TEST(mtrr_registers)
{
	uint64_t value;

	CHECK(rdmsr_safe(0xfe, &value), "no MTRRCAP");
	VALUE("msr mtrrcap-variable %lu", value & 0xff);
	CHECK(rdmsr_safe(0x2ff, &value), "no MTRR default type");
	CHECK(rdmsr_safe(0x250, &value), "no fixed MTRR");
	CHECK(rdmsr_safe(0x200, &value), "no variable MTRR");
	CHECK(!wrmsr_safe(0x2ff, 0x2), "a reserved memory type is accepted");
}

GUEST_TEST(tsc_registers)
{
	uint64_t value, before, after;

	CHECK(rdmsr_safe(0x10, &value), "the TSC cannot be read as a register");
	before = rdtsc();
	value = rdmsr(0x10);
	after = rdtsc();
	CHECK(value >= before && value <= after, "the register says %#lx, RDTSC %#lx", value,
	      before);
}

GUEST_TEST(misc_registers)
{
	/* Those that Linux reads on this CPU without expecting a fault. */
	static const uint32_t registers[] = {0x8b,	 0x179,	     0xc0010010, 0xc0010015,
					     0xc001001f, 0xc0010055, 0xc0011029};

	for (unsigned int i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		VALUE("msr %#x: %s", registers[i], show_read(registers[i]));
}

GUEST_TEST(io_bitmap)
{
	/* Ports that dom0 must not have: the PICs and the PIT's channels are not hers, CF8 is emulated. */
	outl(0xcf8, 0x80000000);
	CHECK(inl(0xcf8) == 0x80000000, "CF8 is %#x", inl(0xcf8));
	VALUE("io host-bridge %#x", inl(0xcfc));
	outl(0xcf8, 0);
}

GUEST_TEST(leaves_of_the_cpu)
{
	uint32_t regs[4];

	cpuid(0, 0, regs);
	CHECK(regs[0] >= 0xd, "the last leaf is %#x", regs[0]);
	cpuid(0x80000000, 0, regs);
	CHECK(regs[0] >= 0x80000008, "the last leaf is %#x", regs[0]);
	cpuid(0x80000008, 0, regs);
	VALUE("cpuid physical %u", regs[0] & 0xff);
	cpuid(1, 0, regs);
	CHECK(!(regs[2] & 1u << 27), "OSXSAVE shows without CR4");
	CHECK(!(regs[2] & 1u << 3), "MONITOR is offered");
	VALUE("cpuid leaf1-ecx-no-xsave %#x", regs[2] & ~(1u << 26 | 1u << 27));
	/* Self-snoop and the thermal monitor say nothing to a guest. */
	VALUE("cpuid leaf1-edx %#x", regs[3] & ~(1u << 22 | 1u << 27));
}

GUEST_TEST(osxsave_follows_cr4)
{
	uint32_t regs[4];
	uint64_t cr4, now;

	cpuid(1, 0, regs);
	if (!(regs[2] & 1u << 26))
		return;
	__asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
	now = cr4 | 1u << 18;
	__asm__ volatile("movq %0, %%cr4" : : "r"(now) : "memory");
	cpuid(1, 0, regs);
	__asm__ volatile("movq %0, %%cr4" : : "r"(cr4) : "memory");
	CHECK(regs[2] & 1u << 27, "OSXSAVE does not follow CR4");
}

static bool write_cr4_safe(uint64_t value)
{
	uint32_t good = 0;

	__asm__ volatile("1: movq %1, %%cr4\n\tmovl $1, %0\n2:\n" FIXUP("1b", "2b")
			 : "+r"(good)
			 : "r"(value)
			 : "memory");
	return good;
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

GUEST_TEST(control_registers)
{
	uint64_t cr0, cr4;

	__asm__ volatile("movq %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
	CHECK(!write_cr4_safe(cr4 | 1ull << 40), "CR4 takes a reserved bit");
	CHECK(!write_cr4_safe(cr4 | 1u << 13), "CR4 takes VMXE");
	CHECK(!write_cr4_safe(cr4 & ~0x20ull), "PAE can go in long mode");
	CHECK(!write_cr0_safe(cr0 & ~1ull), "paging stays without protection");
	CHECK(write_cr0_safe(cr0 | 1u << 30), "the cache cannot be disabled");
	CHECK(write_cr0_safe(cr0), "CR0 cannot be restored");
}

/* Whatever the hypervisor runs the guest with. */
GUEST_TEST(machine_check_bit)
{
	uint64_t cr4, off, on;

	__asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
	CHECK(write_cr4_safe(cr4 & ~0x40ull), "CR4.MCE cannot be cleared");
	__asm__ volatile("movq %%cr4, %%r13; movq %%r13, %0" : "=r"(off) : : "r13");
	CHECK(write_cr4_safe(cr4 | 0x40), "CR4.MCE cannot be set");
	__asm__ volatile("movq %%cr4, %0" : "=r"(on));
	CHECK(write_cr4_safe(cr4), "CR4 cannot be restored");
	CHECK(off == (cr4 & ~0x40ull), "without MCE it is %#lx", off);
	CHECK(on == (cr4 | 0x40), "with MCE it is %#lx", on);
}

GUEST_TEST(debug_registers)
{
	uint64_t value = 0x1234;

	__asm__ volatile("movq %0, %%dr0" : : "r"(value));
	value = 0;
	__asm__ volatile("movq %%dr0, %0" : "=r"(value));
	CHECK(value == 0x1234, "DR0 is %#lx", value);
	__asm__ volatile("movq %%dr6, %0" : "=r"(value));
	CHECK((value & 0xfffe0ff0) == 0xfffe0ff0 || (value & 0xffff0ff0) == 0xffff0ff0,
	      "DR6 is %#lx", value);
	value = 0;
	__asm__ volatile("movq %0, %%dr0" : : "r"(value));
}

static volatile unsigned int debug_traps;
static volatile uint64_t debug_status;

static void on_debug(struct trap_frame *frame)
{
	uint64_t dr6;

	__asm__ volatile("movq %%dr6, %0" : "=r"(dr6));
	debug_status = dr6;
	debug_traps++;
	frame->rflags &= ~0x100ull;
}

/* Single-stepping over an instruction that exits: the trap comes behind it, once. */
GUEST_TEST(single_step_over_exit)
{
	debug_traps = 0;
	guest_on(TRAP_DB, on_debug);
	__asm__ volatile(
		"xorl %%eax, %%eax\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tcpuid\n\tnop"
		:
		:
		: "rax", "rbx", "rcx", "rdx", "memory", "cc");
	guest_on(TRAP_DB, NULL);
	CHECK(debug_traps == 1, "%u traps", debug_traps);
	CHECK(debug_status & 0x4000, "DR6 is %#lx", debug_status);
}

GUEST_TEST(undefined_instructions)
{
	uint32_t good = 0;

	__asm__ volatile("1: vmload %%rax\n\tmovl $1, %0\n2:\n" FIXUP("1b", "2b")
			 : "+r"(good)
			 : "a"(0)
			 : "memory");
	CHECK(!good && guest_fault_vector == TRAP_UD, "VMLOAD: vector %u", guest_fault_vector);
	good = 0;
	__asm__ volatile("1: ud2\n\tmovl $1, %0\n2:\n" FIXUP("1b", "2b") : "+r"(good) : : "memory");
	CHECK(!good && guest_fault_vector == TRAP_UD, "UD2: vector %u", guest_fault_vector);
}
