/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PVH entry of the 32-bit test kernels: they stay in the mode that they start in, without paging. */

	/* ELF note XEN_ELFNOTE_PHYS32_ENTRY (xen/elfnote.h): where PVH starts. */
	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, 18
	.asciz "Xen"
	.long guest_entry

	.section .text.head, "ax"
	.globl guest_entry
guest_entry:
	cld
	movl %ebx, guest_start_info_address
	movl $guest_stack_top, %esp
	/* The segments of PVH are flat, but there is no table to load them from again. */
	lgdt gdt_pointer
	ljmp $0x08, $1f
1:	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %ebp, %ebp
	call guest_main
2:	hlt
	jmp 2b

	.section .data
	.balign 16
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff	/* 0x08: 32-bit code */
	.quad 0x00cf93000000ffff	/* 0x10: data */
gdt_pointer:
	.word . - gdt - 1
	.long gdt
	.balign 8
	.globl guest_start_info_address
guest_start_info_address:
	.quad 0

	.section .bss
	.balign 4096
	.skip 16384
guest_stack_top:

	.section .note.GNU-stack, "", @progbits
