/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exits of an SVM guest: what the hardware says, translated for the neutral handlers. */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/exit.h>
#include <arch/traps.h>
#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/log.h>

#include "svm.h"

#define DR6_BS BIT(14)

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

static void raise_ud(struct vcpu *v)
{
	vcpu_inject_exception(v, TRAP_UD);
}

/* VMCALL is undefined on AMD's CPUs, and yet a guest may have been told another vendor: serve it. */
static void exit_ud(struct vcpu *v)
{
	unsigned n = vcpu_insn_length(v, INSN_VMCALL, 0);

	if (n)
		exit_hypercall(v, n);
	else if (!v->arch.inject.valid)
		raise_ud(v);
}

static void exit_debug(struct vcpu *v)
{
	if (svm_nmi_step_done(v))
		return;
	vcpu_inject_exception(v, TRAP_DB);
}

static void exit_ioio(struct vcpu *v)
{
	const struct vmcb *b = v->arch.svm->vmcb;
	uint64_t info = b->exit_info1;

	if (info & (IOIO_STRING | IOIO_REP)) {
		exit_emulate(v);
		return;
	}
	/* EXITINFO2 holds the RIP of the next instruction (15.10.2). */
	exit_port(v, IOIO_PORT(info), IOIO_SIZE(info), info & IOIO_IN,
		  (unsigned)(b->exit_info2 - v->arch.rip) & 15);
}

static void exit_cr8(struct vcpu *v)
{
	exit_emulate_cr8(v, nrip(v->arch.svm->vmcb));
}

static void exit_npf(struct vcpu *v)
{
	const struct vmcb *b = v->arch.svm->vmcb;

	exit_nested_fault(v, b->exit_info2, b->exit_info1 & NPF_WRITE, b->exit_info1 & NPF_FETCH,
			  b->exit_info1 & NPF_TABLE_WALK);
}

static void exit_invalid(struct vcpu *v)
{
	vendor->dump(v);
	domain_crash(v->domain, "VMRUN refused the state of vCPU %u", v->id);
}

void svm_handle_exit(struct vcpu *v)
{
	const struct vmcb *b = v->arch.svm->vmcb;

	switch (b->exit_code) {
	case EXIT_INTR:
	case EXIT_NMI:
	case EXIT_SMI:
	case EXIT_VINTR:
		break; /* taken by the host when GIF was set */
	case EXIT_INIT:
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
	case EXIT_WRITE_CR8:
		exit_cr8(v);
		break;
	case EXIT_XSETBV:
		with_length(v, INSN_XSETBV, exit_xsetbv);
		break;
	case EXIT_WBINVD: /* caches are coherent with devices, and a flush would hit everybody */
		with_length(v, INSN_WBINVD, skip);
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
	case EXIT_EXCEPTION + TRAP_UD:
		exit_ud(v);
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
		raise_ud(v);
		break;
	case EXIT_INVALID:
		exit_invalid(v);
		break;
	default:
		vendor->dump(v);
		domain_crash(v->domain, "exit 0x%lx is unknown", b->exit_code);
	}
}
