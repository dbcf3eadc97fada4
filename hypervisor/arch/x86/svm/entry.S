/* SPDX-License-Identifier: GPL-2.0-or-later */
/* World switch (APM vol. 2 15.5, 15.6). */
	.section .text, "ax"
	.code64

	/*
	 * void svm_enter(union guest_gprs *gprs, uint64_t vmcb_pa, uint64_t host_vmcb_pa)
	 * GIF is clear at call and return. RAX and RSP of the guest are in the VMCB.
	 */
	.globl svm_enter
	.type svm_enter, @function
	.balign 64
svm_enter:
	pushq %rbp
	movq %rsp, %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdx		/* host's VMCB: FS, GS, TR, LDTR and the system-call MSRs */
	pushq %rdi
	movq %rsi, %rax
	vmload %rax
	movq 0x08(%rdi), %rcx
	movq 0x10(%rdi), %rdx
	movq 0x18(%rdi), %rbx
	movq 0x28(%rdi), %rbp
	movq 0x30(%rdi), %rsi
	movq 0x40(%rdi), %r8
	movq 0x48(%rdi), %r9
	movq 0x50(%rdi), %r10
	movq 0x58(%rdi), %r11
	movq 0x60(%rdi), %r12
	movq 0x68(%rdi), %r13
	movq 0x70(%rdi), %r14
	movq 0x78(%rdi), %r15
	movq 0x38(%rdi), %rdi
	vmrun %rax
	vmsave %rax
	xchgq %rdi, (%rsp)
	movq %rcx, 0x08(%rdi)
	movq %rdx, 0x10(%rdi)
	movq %rbx, 0x18(%rdi)
	movq %rbp, 0x28(%rdi)
	movq %rsi, 0x30(%rdi)
	popq %rcx
	movq %rcx, 0x38(%rdi)
	movq %r8, 0x40(%rdi)
	movq %r9, 0x48(%rdi)
	movq %r10, 0x50(%rdi)
	movq %r11, 0x58(%rdi)
	movq %r12, 0x60(%rdi)
	movq %r13, 0x68(%rdi)
	movq %r14, 0x70(%rdi)
	movq %r15, 0x78(%rdi)
	popq %rax
	vmload %rax
	cmpb $0, svm_exit_barrier(%rip)
	je 1f
	movl $0x49, %ecx	/* PRED_CMD: IBPB */
	movl $1, %eax
	xorl %edx, %edx
	wrmsr
	/* Nobody returns before it is sure which way that branch went. */
1:	lfence
	/* Return addresses that the guest has trained must not steer our returns: new ones for all 32. */
	movl $16, %eax
1:	call 2f
	int3
2:	call 3f
	int3
3:	decl %eax
	jnz 1b
	addq $(32 * 8), %rsp
	/* Nothing of the guest stays in registers for speculation to use. */
	xorl %ecx, %ecx
	xorl %edx, %edx
	xorl %esi, %esi
	xorl %edi, %edi
	xorl %r8d, %r8d
	xorl %r9d, %r9d
	xorl %r10d, %r10d
	xorl %r11d, %r11d
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	cld
	ret
	int3
	.section .note.GNU-stack, "", @progbits
