/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PVH entry of the test kernels: 32-bit protected mode, no paging, EBX = start_info; goes on in 64-bit mode. */

#define CR0_PG_WP (1 << 31 | 1 << 16)
#define CR4_PAE 0x20
#define EFER 0xc0000080
#define EFER_LME_NXE 0x900
#define PTE_PW 0x3
#define PTE_PWS 0x83

	/* ELF note XEN_ELFNOTE_PHYS32_ENTRY (xen/elfnote.h): where PVH starts. */
	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, 18
	.asciz "Xen"
	.long guest_entry

	.section .text.head, "ax"
	.code32
	.globl guest_entry
guest_entry:
	cld
	movl %ebx, guest_start_info_address
	movl $guest_stack_top, %esp

	/* Identity map of the first 4 GiB with 2 MiB pages. */
	movl $page_directories, %edi
	movl $PTE_PWS, %eax
	xorl %edx, %edx
1:	movl %eax, (%edi)
	movl %edx, 4(%edi)
	addl $8, %edi
	addl $0x200000, %eax
	jnc 1b
	movl $page_directories + PTE_PW, %eax
	movl $page_pointers, %edi
	movl $4, %ecx
2:	movl %eax, (%edi)
	addl $0x1000, %eax
	addl $8, %edi
	loop 2b
	movl $page_pointers + PTE_PW, guest_page_root

	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $guest_page_root, %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $EFER_LME_NXE, %eax
	wrmsr
	movl %cr0, %eax
	orl $CR0_PG_WP, %eax
	movl %eax, %cr0
	lgdtl gdt_pointer
	ljmpl $0x08, $entry64

	.code64
entry64:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movq $guest_stack_top, %rsp
	xorl %ebp, %ebp
	call guest_traps_init
	call guest_main
1:	hlt
	jmp 1b

	/* One entry for each vector: the CPU pushes an error code for some exceptions, we for all others. */
	.section .text
	.balign 16
	.globl guest_trap_stubs
guest_trap_stubs:
	vector = 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	vector = vector + 1
	.endr

trap_common:
	pushq %rax
	pushq %rbx
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rbp
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	movq %rsp, %rbp
	andq $-16, %rsp
	call guest_trap
	movq %rbp, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rbp
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rbx
	popq %rax
	addq $16, %rsp
	iretq

	.section .data
	.balign 16
	.globl guest_gdt
guest_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 0x08: 64-bit code */
	.quad 0x00cf93000000ffff	/* 0x10: data */
	.quad 0x00cf9b000000ffff	/* 0x18: 32-bit code */
gdt_pointer:
	.word . - guest_gdt - 1
	.long guest_gdt
	.long 0
	.balign 8
	.globl guest_start_info_address
guest_start_info_address:
	.quad 0

	.section .bss
	.balign 4096
	.globl guest_page_root
guest_page_root:
	.skip 4096
page_pointers:
	.skip 4096
page_directories:
	.skip 4 * 4096
	.skip 16384
	.globl guest_stack_top
guest_stack_top:

	.section .note.GNU-stack, "", @progbits
