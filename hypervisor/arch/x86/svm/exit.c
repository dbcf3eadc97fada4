/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exits of an SVM guest: what the hardware says, translated for the neutral handlers. */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/exit.h>
#include <arch/traps.h>
#include <bulkhead/domain.h>
#include <bulkhead/log.h>

#include "svm.h"

static uint64_t nrip(const struct vmcb *b)
{
	return cpu_has(CPU_NRIPS) ? b->nrip : 0;
}

static void with_length(struct vcpu *v, enum insn_kind kind,
			void (*fn)(struct vcpu *v, unsigned length))
{
	unsigned n = vcpu_insn_length(v, kind, nrip(v->arch.svm->vmcb));

	if (n)
		fn(v, n);
}

static void skip(struct vcpu *v, unsigned length)
{
	vcpu_advance(v, length);
}

/*
 * An exit between STI and HLT. Interrupts are held back until the guest halts, and wake it then; but QEMU up to 7.2 takes no
 * notice of the interrupt shadow at VMRUN, and would deliver one before HLT, which would sleep over what it was about. So the
 * halt is done here. Of other instructions in the shadow none depends on it so.
 */
static void finish_halt(struct vcpu *v)
{
	unsigned n;

	if (v->arch.inject.valid || vendor->get_cpl(v))
		return;
	n = vcpu_insn_length(v, INSN_HLT, 0);
	if (n)
		exit_hlt(v, n);
}

static void raise_ud(struct vcpu *v)
{
	vcpu_inject_exception(v, TRAP_UD);
}

static void exit_wbinvd(struct vcpu *v)
{
	/* Caches are coherent with devices, and a flush would hit everybody. */
	unsigned n = vcpu_insn_length(v, INSN_WBINVD, nrip(v->arch.svm->vmcb));

	if (!n && !v->arch.inject.valid)
		n = vcpu_insn_length(v, INSN_WBNOINVD, 0);
	/* QEMU 7.2 reports INVD so, too. */
	if (!n && !v->arch.inject.valid)
		n = vcpu_insn_length(v, INSN_INVD, 0);
	if (n)
		vcpu_advance(v, n);
}

static void exit_debug(struct vcpu *v)
{
	/* DR6 and DR7 are as the guest's handler is to see them (15.12.2). */
	if (!svm_nmi_step_done(v))
		vcpu_inject_exception(v, TRAP_DB);
}

/* Faults of an IRET that is stepped over: they are the guest's. */
static void exit_step_fault(struct vcpu *v, uint8_t vector)
{
	const struct vmcb *b = v->arch.svm->vmcb;

	if (vector == TRAP_PF)
		vcpu_inject_page_fault(v, b->exit_info2, (uint32_t)b->exit_info1);
	else
		vcpu_inject_exception_error(v, vector, (uint32_t)b->exit_info1);
}

static void exit_ioio(struct vcpu *v)
{
	const struct vmcb *b = v->arch.svm->vmcb;
	uint64_t info = b->exit_info1;

	if (info & (IOIO_STRING | IOIO_REP)) {
		exit_string_port(v, IOIO_PORT(info), IOIO_SIZE(info), info & IOIO_IN);
		return;
	}
	/* EXITINFO2 holds the RIP of the next instruction (15.10.2). */
	exit_port(v, IOIO_PORT(info), IOIO_SIZE(info), info & IOIO_IN,
		  (unsigned)(b->exit_info2 - v->arch.rip) & 15);
}

static void exit_cr(struct vcpu *v)
{
	/* The CPU checks by itself; what is lost with the intercept is a work-around. */
	if (!exit_write_cr(v))
		v->arch.svm->vmcb->intercept3 &= ~INTERCEPT_CR0_OTHER;
}

static void exit_npf(struct vcpu *v)
{
	const struct vmcb *b = v->arch.svm->vmcb;
	const struct nested_fault f = {
		.gpa = b->exit_info2,
		.write = b->exit_info1 & NPF_WRITE,
		.fetch = b->exit_info1 & NPF_FETCH,
		.table_walk = b->exit_info1 & NPF_TABLE_WALK,
		.delivery = b->exit_int_info & EVENT_VALID,
	};

	exit_nested_fault(v, &f);
}

static void exit_invalid(struct vcpu *v)
{
	const char *what = svm_state_problem(v->arch.svm->vmcb);
	bool qemu = v->arch.svm->vmcb->exit_code == EXIT_INVALID_32;

	/* Nothing is wrong with the state: this is how QEMU refuses a value for CR3 that a CPU answers with #GP. */
	if (qemu && !what && !v->arch.inject.valid) {
		(void)exit_write_cr(v);
		if (v->arch.inject.valid)
			return;
	}
	vendor->dump(v);
	domain_crash(v->domain, "VMRUN refused the state of vCPU %u: %s", v->id,
		     what ? what : "for no known reason");
}

void svm_handle_exit(struct vcpu *v)
{
	const struct vmcb *b = v->arch.svm->vmcb;

	switch (b->exit_code) {
	case EXIT_INTR:
	case EXIT_NMI:
	case EXIT_SMI:
	case EXIT_VINTR:
	case EXIT_INIT:
		/* Taken by the host when GIF was set. */
		if (unlikely(b->interrupt_shadow & SHADOW_ACTIVE))
			finish_halt(v);
		break;
	case EXIT_CPUID:
		with_length(v, INSN_CPUID, exit_cpuid);
		break;
	case EXIT_HLT:
		with_length(v, INSN_HLT, exit_hlt);
		break;
	case EXIT_VMMCALL:
		with_length(v, INSN_VMMCALL, exit_hypercall);
		break;
	case EXIT_MSR:
		if (b->exit_info1)
			with_length(v, INSN_WRMSR, exit_wrmsr);
		else
			with_length(v, INSN_RDMSR, exit_rdmsr);
		break;
	case EXIT_IOIO:
		exit_ioio(v);
		break;
	case EXIT_NPF:
		exit_npf(v);
		break;
	case EXIT_READ_CR4:
		exit_read_cr4(v);
		break;
	case EXIT_WRITE_CR4:
	case EXIT_WRITE_CR8:
	case EXIT_CR0_OTHER:
		exit_cr(v);
		break;
	case EXIT_XSETBV:
		with_length(v, INSN_XSETBV, exit_xsetbv);
		break;
	case EXIT_WBINVD:
		exit_wbinvd(v);
		break;
	case EXIT_INVD:
		with_length(v, INSN_INVD, skip);
		break;
	case EXIT_IRET:
		svm_nmi_iret(v);
		break;
	case EXIT_RDPMC:
		vcpu_inject_exception_error(v, TRAP_GP, 0);
		break;
	case EXIT_EXCEPTION + TRAP_DB:
		exit_debug(v);
		break;
	case EXIT_EXCEPTION + TRAP_TS:
	case EXIT_EXCEPTION + TRAP_NP:
	case EXIT_EXCEPTION + TRAP_SS:
	case EXIT_EXCEPTION + TRAP_GP:
	case EXIT_EXCEPTION + TRAP_PF:
		exit_step_fault(v, (uint8_t)(b->exit_code - EXIT_EXCEPTION));
		break;
	case EXIT_EXCEPTION + TRAP_AC:
		vcpu_inject_exception_error(v, TRAP_AC, 0);
		break;
	case EXIT_EXCEPTION + TRAP_MC:
		/* The host's own machine check (15.12.17): run its handler, as the exit has swallowed it. */
		__asm__ volatile("int $18");
		break;
	case EXIT_SHUTDOWN:
		exit_triple_fault(v);
		break;
	case EXIT_TASK_SWITCH: /* hardware task switching is not offered: nothing of ours uses it */
		vcpu_inject_exception_error(v, TRAP_GP, 0);
		break;
	case EXIT_VMRUN:
	case EXIT_VMLOAD:
	case EXIT_VMSAVE:
	case EXIT_STGI:
	case EXIT_CLGI:
	case EXIT_SKINIT:
	case EXIT_INVLPGA:
	case EXIT_MONITOR:
	case EXIT_MWAIT:
	case EXIT_MWAIT_ARMED:
	case EXIT_RDPRU:
	case EXIT_INVLPGB:
	case EXIT_INVLPGB_BAD:
	case EXIT_MCOMMIT:
	case EXIT_TLBSYNC:
		raise_ud(v);
		break;
	case EXIT_INVALID:
	case EXIT_INVALID_32:
		exit_invalid(v);
		break;
	default:
		vendor->dump(v);
		domain_crash(v->domain, "exit 0x%lx is unknown", b->exit_code);
	}
}
