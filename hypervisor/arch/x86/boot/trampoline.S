/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Start of an application processor: real mode at a page below 1 MiB, to long mode in the image. SDM vol. 3A 9.4. */
#define __ASSEMBLER__ 1
#include <arch/paging.h>

#define T(sym) (sym - trampoline_start)

	.section .rodata, "a"
	.balign 16
	.globl trampoline_start, trampoline_end, trampoline_args
	.code16
trampoline_start:
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	movzwl %ax, %ebp
	shll $4, %ebp			/* physical address of this page */
	/* The descriptor tables need linear addresses. */
	leal T(tramp_gdt)(%ebp), %eax
	movl %eax, T(tramp_gdt_ptr) + 2
	leal T(tramp_32)(%ebp), %eax
	movl %eax, T(tramp_far32)
	leal T(tramp_64)(%ebp), %eax
	movl %eax, T(tramp_far64)
	lgdtl T(tramp_gdt_ptr)
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl *T(tramp_far32)

	.code32
tramp_32:
	movw $0x10, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $0x000000a0, %eax		/* PGE PAE */
	movl %eax, %cr4
	movl T(trampoline_args)(%ebp), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $((1 << 8) | (1 << 11)), %eax
	wrmsr
	movl $0x80010033, %eax
	movl %eax, %cr0
	ljmpl *T(tramp_far64)(%ebp)

	.code64
tramp_64:
	movq (T(trampoline_args) + 8)(%rbp), %rax	/* entry */
	movq (T(trampoline_args) + 16)(%rbp), %rsp	/* stack */
	movq (T(trampoline_args) + 24)(%rbp), %rdi	/* argument */
	xorl %ebp, %ebp
	pushq $0
	jmp *%rax

	.balign 8
tramp_gdt:
	.quad 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00cf9b000000ffff
tramp_gdt_ptr:
	.short . - tramp_gdt - 1
	.long 0
	.balign 8
tramp_far32:
	.long 0
	.short 0x18
	.balign 8
tramp_far64:
	.long 0
	.short 0x08
	.balign 8
trampoline_args:	/* root table, entry, stack, argument */
	.quad 0, 0, 0, 0
trampoline_end:
	.section .note.GNU-stack, "", @progbits
