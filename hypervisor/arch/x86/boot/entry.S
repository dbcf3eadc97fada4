/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry from the boot loader: 32-bit protected mode without paging, anywhere below 4 GiB (Multiboot2 3.3). */
#define __ASSEMBLER__ 1
#include <arch/multiboot2.h>
#include <arch/paging.h>

/* Distance from the start of the image, as a 32-bit absolute relocation. */
#define OFF(sym) (sym - IMAGE_BASE)

#define CR0_BITS 0x80010033 /* PG WP NE ET MP PE */
#define CR4_BITS 0x000000a0 /* PGE PAE */
#define MSR_EFER 0xc0000080

#define BOOT_STACK_SIZE 16384

	.section .multiboot2, "a"
	.balign MB2_HEADER_ALIGN
mb2_header:
	.long MB2_HEADER_MAGIC
	.long MB2_HEADER_ARCH_I386
	.long mb2_header_end - mb2_header
	.long -(MB2_HEADER_MAGIC + MB2_HEADER_ARCH_I386 + (mb2_header_end - mb2_header))

	.balign 8
	.short MB2_HDR_TAG_INFO_REQUEST, MB2_HDR_TAG_REQUIRED
	.long 12
	.long MB2_TAG_MMAP

	.balign 8
	.short MB2_HDR_TAG_INFO_REQUEST, MB2_HDR_TAG_OPTIONAL
	.long 28
	.long MB2_TAG_ACPI_OLD, MB2_TAG_ACPI_NEW, MB2_TAG_EFI_MMAP, MB2_TAG_EFI64, MB2_TAG_FRAMEBUFFER

	.balign 8
	.short MB2_HDR_TAG_MODULE_ALIGN, MB2_HDR_TAG_REQUIRED
	.long 8

	.balign 8
	.short MB2_HDR_TAG_CONSOLE_FLAGS, MB2_HDR_TAG_OPTIONAL
	.long 12
	.long MB2_CONSOLE_EGA_TEXT

	.balign 8
	.short MB2_HDR_TAG_FRAMEBUFFER, MB2_HDR_TAG_OPTIONAL
	.long 20
	.long 0, 0, 0

	.balign 8
	.short MB2_HDR_TAG_RELOCATABLE, MB2_HDR_TAG_REQUIRED
	.long 24
	.long 0x00200000	/* lowest address */
	.long 0xffffffff	/* highest address */
	.long 0x00200000	/* alignment: the image is mapped by 2 MiB pages at first */
	.long MB2_LOAD_PREFER_LOW

	.balign 8
	.short MB2_HDR_TAG_END, 0
	.long 8
mb2_header_end:

	.section .text.entry, "ax"
	.code32
	.globl boot_entry
boot_entry:
	cld
	cli
	movl %eax, %edi
	movl %ebx, %esi
	/*
	 * Where are we? A call needs a stack, and there is none: the boot information's second word is
	 * reserved (Multiboot2 3.6), so four bytes of it serve.
	 */
	leal 8(%ebx), %esp
	cmpl $MB2_ENTRY_MAGIC, %edi
	je 1f
	xorl %esp, %esp		/* not a multiboot2 loader: nothing is known; halt in silence */
2:	hlt
	jmp 2b
1:	call 1f
1:	popl %ebp
	subl $OFF(1b), %ebp	/* load address of the image */
	leal OFF(boot_stack_top)(%ebp), %esp

	/* Long mode and NX are the least we need; SVM and the rest is judged later, with a console. */
	movl $0x80000000, %eax
	cpuid
	leal OFF(no_long_mode)(%ebp), %ecx
	cmpl $0x80000001, %eax
	jb boot_fail
	movl $0x80000001, %eax
	cpuid
	leal OFF(no_long_mode)(%ebp), %ecx
	testl $(1 << 29), %edx
	jz boot_fail
	leal OFF(no_nx)(%ebp), %ecx
	testl $(1 << 20), %edx
	jz boot_fail

	/* Identity map of 4 GiB by 2 MiB pages: boot information, modules, ACPI. */
	leal OFF(boot_l2_identity)(%ebp), %ebx
	movl $(PTE_PRESENT | PTE_WRITE | PTE_LARGE), %eax
	xorl %ecx, %ecx
1:	movl %eax, (%ebx, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $2048, %ecx
	jb 1b
	leal OFF(boot_l3_identity)(%ebp), %edx
	leal (PTE_PRESENT | PTE_WRITE)(%ebx), %eax
	xorl %ecx, %ecx
1:	movl %eax, (%edx, %ecx, 8)
	addl $0x1000, %eax
	incl %ecx
	cmpl $4, %ecx
	jb 1b
	/* The image, 16 MiB at most. */
	leal OFF(boot_l2_image)(%ebp), %ebx
	leal (PTE_PRESENT | PTE_WRITE | PTE_LARGE)(%ebp), %eax
	xorl %ecx, %ecx
1:	movl %eax, (%ebx, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $8, %ecx
	jb 1b
	leal OFF(boot_l3_image)(%ebp), %edx
	leal (PTE_PRESENT | PTE_WRITE)(%ebx), %eax
	movl %eax, 510 * 8(%edx)
	/* Root. */
	leal OFF(boot_l4)(%ebp), %ebx
	leal (PTE_PRESENT | PTE_WRITE)(%edx), %eax
	movl %eax, 511 * 8(%ebx)
	leal OFF(boot_l3_identity)(%ebp), %edx
	leal (PTE_PRESENT | PTE_WRITE)(%edx), %eax
	movl %eax, (%ebx)

	movl %ebx, %cr3
	movl $CR4_BITS, %eax
	movl %eax, %cr4
	movl $MSR_EFER, %ecx
	rdmsr
	orl $((1 << 8) | (1 << 11)), %eax	/* LME, NXE */
	wrmsr
	movl $CR0_BITS, %eax
	movl %eax, %cr0

	/* A far jump takes an address known when linking: push one instead. */
	leal OFF(boot_gdt)(%ebp), %eax
	leal OFF(boot_gdt_ptr)(%ebp), %ebx
	movl %eax, 2(%ebx)
	lgdt (%ebx)
	leal OFF(boot_64)(%ebp), %eax
	pushl $0x08
	pushl %eax
	lret

/* Prints the text at %ecx on the first serial port and the VGA text screen, then halts. */
boot_fail:
	movl $0xb8000, %ebx
1:	movb (%ecx), %al
	testb %al, %al
	jz 3f
	movb %al, (%ebx)
	movb $0x4f, 1(%ebx)
	movb %al, %ah
	movw $0x3fd, %dx
	movl $100000, %edi
2:	inb %dx, %al
	testb $0x20, %al
	jnz 4f
	decl %edi
	jnz 2b
4:	movw $0x3f8, %dx
	movb %ah, %al
	outb %al, %dx
	addl $2, %ebx
	incl %ecx
	jmp 1b
3:	hlt
	jmp 3b

	.code64
boot_64:
	movw $0x10, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	xorl %eax, %eax
	movw %ax, %fs
	movw %ax, %gs
	movabsq $boot_high, %rax
	jmp *%rax
boot_high:
	movabsq $boot_stack_top, %rsp
	lgdt boot_gdt_ptr64(%rip)
	movl %edi, %edi		/* magic */
	movl %esi, %esi		/* physical address of the boot information */
	movl %ebp, %edx		/* load address */
	xorl %ebp, %ebp
	call boot_main
	ud2

	.section .rodata, "a"
no_long_mode:
	.asciz "Bulkhead: this CPU has no 64-bit mode. Use a 64-bit x86 machine.\r\n"
no_nx:
	.asciz "Bulkhead: this CPU has no NX (no-execute) bit, or the firmware has it switched off. Enable it.\r\n"

	.section .init.data, "aw"
	.balign 8
	.globl boot_gdt
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff	/* 0x10: data */
	.quad 0x00cf9b000000ffff	/* 0x18: 32-bit code */
boot_gdt_end:
	.balign 8
boot_gdt_ptr:
	.short boot_gdt_end - boot_gdt - 1
	.long 0
	.balign 8
boot_gdt_ptr64:
	.short boot_gdt_end - boot_gdt - 1
	.quad boot_gdt

	.section .bss.page_aligned, "aw", @nobits
	.balign 4096
	.globl boot_l4
boot_l4:		.skip 4096
boot_l3_identity:	.skip 4096
boot_l2_identity:	.skip 4 * 4096
boot_l3_image:		.skip 4096
boot_l2_image:		.skip 4096
boot_stack:		.skip BOOT_STACK_SIZE
	.globl boot_stack_top
boot_stack_top:
	.section .note.GNU-stack, "", @progbits
