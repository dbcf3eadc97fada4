// SPDX-License-Identifier: GPL-2.0-or-later
// Exits, emulated devices and hypercalls from the CPU's other modes: real mode, 32-bit code with and without paging.
#include "modes.h"
#include <xen/version.h>

#define EFER_LMA 0x400u
#define CMOS_D	 0x0d /* a register of the clock that does not run */

/* What the code below reads and writes, through EBP. */
struct block {
	uint32_t ioapic, xen_leaf;
	uint32_t moved, copied, added, signature, efer, port, string_port, version;
};

extern uint8_t modes_low[], modes_low_end[];
void modes_enter(uint32_t cr3, uint32_t cr4, uint32_t real);

struct block modes_block __attribute__((used));
uint8_t modes_stack[4096] __attribute__((aligned(16), used));

/* The same instructions for all modes: the assembler adds prefixes where they are needed. */
#define WORK                                                             \
 "movl $modes_block, %ebp\n\t"                                           \
 "movl 0(%ebp), %esi\n\t"                                                \
 "movl $1, (%esi)\n\t" /* index of the version register */               \
 "movl 0x10(%esi), %eax\n\t"                                             \
 "movl %eax, 8(%ebp)\n\t"                                                \
 "leal 12(%ebp), %edi\n\t"                                               \
 "leal 0x10(%esi), %esi\n\t"                                             \
 "cld\n\t"                                                               \
 "movsl (%esi), %es:(%edi)\n\t"                                          \
 "movl 0(%ebp), %esi\n\t"                                                \
 "xorl %ebx, %ebx\n\t"                                                   \
 "addl 0x10(%esi), %ebx\n\t"                                             \
 "movl %ebx, 16(%ebp)\n\t"                                               \
 "movl 4(%ebp), %eax\n\t"                                                \
 "cpuid\n\t"                                                             \
 "movl %ebx, 20(%ebp)\n\t"                                               \
 "movl $0xc0000080, %ecx\n\t"                                            \
 "rdmsr\n\t"                                                             \
 "movl %eax, 24(%ebp)\n\t"                                               \
 "movb $0x0d, %al\n\t"                                                   \
 "outb %al, $0x70\n\t"                                                   \
 "inb $0x71, %al\n\t"                                                    \
 "movzbl %al, %eax\n\t"                                                  \
 "movl %eax, 28(%ebp)\n\t"                                               \
 "movl $0, 32(%ebp)\n\t"                                                 \
 "leal 32(%ebp), %edi\n\t"                                               \
 "movw $0x71, %dx\n\t"                                                   \
 "insb (%dx), %es:(%edi)\n\t"                                            \
 "movl $17, %eax\n\t"                                                    \
 "xorl %ebx, %ebx\n\t"                                                   \
 "xorl %ecx, %ecx\n\t"                                                   \
 ".byte 0x0f, 0x01, 0xd9\n\t" /* VMMCALL: xen_version(XENVER_version) */ \
 "movl $modes_block, %ebp\n\t"                                           \
 "movl %eax, 36(%ebp)\n\t"

__asm__(".pushsection .text\n\t"
	".code64\n\t"
	".globl modes_enter, modes_low, modes_low_end\n"
	"modes_enter:\n\t"
	"pushq %rbx\n\t"
	"pushq %rbp\n\t"
	"pushq %r12\n\t"
	"pushq %r13\n\t"
	"pushq %r14\n\t"
	"pushq %r15\n\t"
	"movl %edi, modes_cr3\n\t"
	"movl %esi, modes_cr4\n\t"
	"movl %edx, modes_real\n\t"
	"movq %rsp, modes_rsp\n\t"
	"lgdt modes_gdt_pointer\n\t"
	"ljmpl *modes_to32\n"
	/* Compatibility mode. */
	".code32\n"
	"modes_32:\n\t"
	"movl $0x10, %eax\n\t"
	"movl %eax, %ds\n\t"
	"movl %eax, %es\n\t"
	"movl %eax, %ss\n\t"
	"movl $modes_stack + 4096, %esp\n\t"
	"cmpl $-1, modes_cr3\n\t"
	"je 3f\n\t"
	/* Out of long mode. */
	"movl %cr0, %eax\n\t"
	"andl $0x7fffffff, %eax\n\t"
	"movl %eax, %cr0\n\t"
	"movl $0xc0000080, %ecx\n\t"
	"rdmsr\n\t"
	"andl $0xfffffeff, %eax\n\t"
	"wrmsr\n\t"
	"movl modes_cr4, %eax\n\t"
	"movl %eax, %cr4\n\t"
	"cmpl $0, modes_real\n\t"
	"je 2f\n\t"
	"ljmpl $0x20, $0x8000\n"
	"2:\n\t"
	"movl modes_cr3, %eax\n\t"
	"testl %eax, %eax\n\t"
	"jz 3f\n\t"
	"movl %eax, %cr3\n\t"
	"movl %cr0, %eax\n\t"
	"orl $0x80000000, %eax\n\t"
	"movl %eax, %cr0\n\t"
	"3:\n\t" WORK "modes_back:\n\t"
	"cmpl $-1, modes_cr3\n\t"
	"je 4f\n\t"
	"movl %cr0, %eax\n\t"
	"andl $0x7fffffff, %eax\n\t"
	"movl %eax, %cr0\n\t"
	"movl $0x20, %eax\n\t"
	"movl %eax, %cr4\n\t"
	"movl $guest_page_root, %eax\n\t"
	"movl %eax, %cr3\n\t"
	"movl $0xc0000080, %ecx\n\t"
	"rdmsr\n\t"
	"orl $0x100, %eax\n\t"
	"wrmsr\n\t"
	"movl %cr0, %eax\n\t"
	"orl $0x80000000, %eax\n\t"
	"movl %eax, %cr0\n"
	"4:\n\t"
	"ljmpl $0x08, $modes_64\n"
	".code64\n"
	"modes_64:\n\t"
	"movl $0x10, %eax\n\t"
	"movl %eax, %ds\n\t"
	"movl %eax, %es\n\t"
	"movl %eax, %ss\n\t"
	"movq modes_rsp, %rsp\n\t"
	"popq %r15\n\t"
	"popq %r14\n\t"
	"popq %r13\n\t"
	"popq %r12\n\t"
	"popq %rbp\n\t"
	"popq %rbx\n\t"
	"ret\n"
	/* Copied below 1 MiB. The data segments keep their bases and limits of protected mode. */
	".code16\n"
	"modes_low:\n\t"
	"movl %cr0, %eax\n\t"
	"andl $0xfffffffe, %eax\n\t"
	"movl %eax, %cr0\n\t"
	"ljmp $0x800, $modes_low_real - modes_low\n"
	"modes_low_real:\n\t" WORK "movl %cr0, %eax\n\t"
	"orl $1, %eax\n\t"
	"movl %eax, %cr0\n\t"
	"ljmpl $0x18, $modes_from16\n"
	"modes_low_end:\n"
	".code32\n"
	"modes_from16:\n\t"
	"jmp modes_back\n"
	".code64\n\t"
	".popsection\n\t"
	".pushsection .data\n\t"
	".balign 8\n"
	"modes_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff, 0x00009b000000ffff\n"
	"modes_gdt_pointer: .word 39\n\t"
	".quad modes_gdt\n"
	".balign 8\n"
	"modes_to32: .long modes_32\n\t"
	".word 0x18\n"
	".balign 8\n"
	"modes_rsp: .quad 0\n"
	"modes_cr3: .long 0\n"
	"modes_cr4: .long 0\n"
	"modes_real: .long 0\n\t"
	".popsection");

/* ---- Answers ---- */

uint64_t *modes_directory(uint32_t linear)
{
	uint64_t *pointers = (uint64_t *)(uintptr_t)(guest_page_root[0] & ~0xffful);

	return (uint64_t *)(uintptr_t)(pointers[linear >> 30] & ~0xffful);
}

static uint32_t ioapic_version(void)
{
	volatile uint32_t *ioapic = (volatile uint32_t *)(uintptr_t)MODES_IOAPIC;

	ioapic[0] = 1;
	return ioapic[4];
}

void modes_check(uint32_t ioapic, uint32_t cr3, uint32_t cr4, bool real)
{
	uint32_t version = ioapic_version(), regs[4], cmos;
	long hypervisor = hypercall2(__HYPERVISOR_xen_version, XENVER_version, 0);
	struct block *b = &modes_block;

	cpuid(guest_xen_leaf, 0, regs);
	outb(0x70, CMOS_D);
	cmos = inb(0x71);
	memset(b, 0x55, sizeof(*b));
	b->ioapic = ioapic;
	b->xen_leaf = guest_xen_leaf;
	if (real)
		memcpy((void *)(uintptr_t)MODES_LOW_CODE, modes_low,
		       (size_t)(modes_low_end - modes_low));
	modes_enter(cr3, cr4, real);
	CHECK(b->moved == version, "MOV reads %#x, not %#x", b->moved, version);
	CHECK(b->copied == version, "MOVS reads %#x, not %#x", b->copied, version);
	CHECK(b->added == version, "ADD reads %#x, not %#x", b->added, version);
	CHECK(b->signature == regs[1], "CPUID gives %#x, not %#x", b->signature, regs[1]);
	CHECK(!(b->efer & EFER_LMA) == (cr3 != MODES_LONG), "EFER is %#x", b->efer);
	CHECK(b->port == cmos, "IN reads %#x, not %#x", b->port, cmos);
	CHECK(b->string_port == cmos, "INS reads %#x, not %#x", b->string_port, cmos);
	CHECK(b->version == (uint32_t)hypervisor, "the hypercall returns %#x, not %#lx", b->version,
	      hypervisor);
}
