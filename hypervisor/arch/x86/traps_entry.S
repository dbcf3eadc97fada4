/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry code of exceptions and interrupts. Builds a struct trap_frame and calls trap_dispatch(). */
	.section .text, "ax"
	.code64

	/* 256 entry stubs of 16 bytes each: vector n at trap_stubs + 16 * n. */
	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	/* Exceptions with an error code (SDM vol. 3A table 6-1, and #CP, #VC, #SX of AMD). */
	.if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
	.else
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

	.balign 16
trap_common:
	cld
	pushq %r15
	pushq %r14
	pushq %r13
	pushq %r12
	pushq %r11
	pushq %r10
	pushq %r9
	pushq %r8
	pushq %rdi
	pushq %rsi
	pushq %rbp
	pushq %rbx
	pushq %rdx
	pushq %rcx
	pushq %rax
	movq %rsp, %rdi
	movq %rsp, %rbp
	andq $-16, %rsp
	call trap_dispatch
	movq %rbp, %rsp
	popq %rax
	popq %rcx
	popq %rdx
	popq %rbx
	popq %rbp
	popq %rsi
	popq %rdi
	popq %r8
	popq %r9
	popq %r10
	popq %r11
	popq %r12
	popq %r13
	popq %r14
	popq %r15
	addq $16, %rsp
	iretq

	/* int rdmsr_safe(uint32_t msr, uint64_t *ret_value) */
	.globl rdmsr_safe
	.type rdmsr_safe, @function
rdmsr_safe:
	movl %edi, %ecx
	movq %rsi, %r8
1:	rdmsr
	shlq $32, %rdx
	movl %eax, %eax
	orq %rdx, %rax
	movq %rax, (%r8)
	xorl %eax, %eax
	ret
	int3
2:	movl $-14, %eax
	ret
	int3
	.pushsection .extable, "a"
	.quad 1b, 2b
	.popsection

	/* int wrmsr_safe(uint32_t msr, uint64_t v) */
	.globl wrmsr_safe
	.type wrmsr_safe, @function
wrmsr_safe:
	movl %edi, %ecx
	movl %esi, %eax
	movq %rsi, %rdx
	shrq $32, %rdx
1:	wrmsr
	xorl %eax, %eax
	ret
	int3
2:	movl $-14, %eax
	ret
	int3
	.pushsection .extable, "a"
	.quad 1b, 2b
	.popsection
	.section .note.GNU-stack, "", @progbits
