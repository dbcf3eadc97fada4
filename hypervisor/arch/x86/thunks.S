/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the compiler calls in place of an indirect call or jump through a register. As built they are retpolines: the
 * prediction of the return is our own loop, so that nothing that a guest has taught the branch predictor is followed
 * (Intel, "Retpoline: A Branch Target Injection Mitigation"). On CPUs that keep such predictions apart by themselves boot
 * makes plain jumps of them: see thunks.c.
 */
	.section .text.thunks, "ax"
	.code64

	.macro THUNK reg
	.balign THUNK_SIZE
	.globl __x86_indirect_thunk_\reg
	.type __x86_indirect_thunk_\reg, @function
__x86_indirect_thunk_\reg:
	call 2f
1:	pause
	lfence
	jmp 1b
2:	movq %\reg, (%rsp)
	ret
	int3
	.size __x86_indirect_thunk_\reg, . - __x86_indirect_thunk_\reg
	.endm

	.set THUNK_SIZE, 32

	.balign THUNK_SIZE
	.globl thunks_start
thunks_start:
	/* In the order of their numbers in instructions; that of RSP, which is none, is never used. */
	THUNK rax
	THUNK rcx
	THUNK rdx
	THUNK rbx
	.balign THUNK_SIZE
	int3
	THUNK rbp
	THUNK rsi
	THUNK rdi
	THUNK r8
	THUNK r9
	THUNK r10
	THUNK r11
	THUNK r12
	THUNK r13
	THUNK r14
	THUNK r15
	.balign THUNK_SIZE
	.globl thunks_end
thunks_end:
	.section .note.GNU-stack, "", @progbits
