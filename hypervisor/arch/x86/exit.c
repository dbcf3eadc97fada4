/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VM exits: instructions, ports, faults; the part that knows no vendor. */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/exit.h>
#include <arch/guest_walk.h>
#include <arch/hvm_io.h>
#include <arch/traps.h>
#include <arch/vendor.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/log.h>
#include <bulkhead/p2m.h>
#include <bulkhead/sched.h>
#include <bulkhead/string.h>

#define DR6_BS BIT(14)

static void queue_exception(struct vcpu *v, uint8_t vector, bool has_error, uint32_t error)
{
	const struct pending_event next = {
		.valid = true, .vector = vector, .type = 3, .has_error = has_error, .error = error};

	if (exception_combine(&v->arch.inject, &next))
		exit_triple_fault(v);
}

void vcpu_inject_exception(struct vcpu *v, uint8_t vector)
{
	queue_exception(v, vector, false, 0);
}

void vcpu_inject_exception_error(struct vcpu *v, uint8_t vector, uint32_t error)
{
	queue_exception(v, vector, true, error);
}

void vcpu_inject_page_fault(struct vcpu *v, uint64_t addr, uint32_t error)
{
	vendor->set_cr(v, 2, addr);
	queue_exception(v, TRAP_PF, true, error);
}

void vcpu_inject_step_trap(struct vcpu *v)
{
	vendor->set_dr6_bits(v, DR6_BS);
	vcpu_inject_exception(v, TRAP_DB);
}

static enum insn_mode code_mode(struct vcpu *v)
{
	struct segment cs;

	vendor->get_segment(v, SEG_CS, &cs);
	/* L is bit 9, D bit 10 of the attributes. */
	if ((vendor->get_efer(v) & X86_EFER_LMA) && (cs.attr & 0x200))
		return INSN_MODE_64_AMD;
	return cs.attr & 0x400 ? INSN_MODE_32 : INSN_MODE_16;
}

void vcpu_advance(struct vcpu *v, unsigned length)
{
	v->arch.rip += length;
	if (code_mode(v) != INSN_MODE_64_AMD)
		v->arch.rip &= 0xffffffff;
	vendor->clear_shadow(v);
	v->arch.rflags &= ~X86_EFLAGS_RF;
	if (v->arch.rflags & X86_EFLAGS_TF)
		vcpu_inject_step_trap(v);
}

/* Bytes of code within one page. */
static int fetch_bytes(struct vcpu *v, uint64_t linear, uint8_t *buf, unsigned len)
{
	unsigned access = WALK_FETCH | (vendor->get_cpl(v) == 3 ? WALK_USER : 0);
	uint32_t code;
	gaddr_t ga;

	if (guest_walk(v, linear, access, &ga, &code)) {
		vcpu_inject_page_fault(v, linear, code);
		return -EFAULT;
	}
	/* Code outside of memory: the CPU could not have executed it. */
	return guest_phys_copy_from(buf, v->domain, ga, len) ? -EINVAL : 0;
}

int vcpu_decode(struct vcpu *v, struct insn *ret_insn)
{
	enum insn_mode mode = code_mode(v);
	uint8_t bytes[INSN_MAX_LENGTH];
	uint64_t linear = v->arch.rip;
	struct segment cs;
	unsigned have;
	int err;

	if (mode != INSN_MODE_64_AMD) {
		vendor->get_segment(v, SEG_CS, &cs);
		linear = (uint32_t)(cs.base + linear);
	}
	/* The next page only if the instruction reaches it: it need not exist. */
	have = MIN((unsigned)INSN_MAX_LENGTH, (unsigned)(PAGE_SIZE - (linear & ~PAGE_MASK)));
	err = fetch_bytes(v, linear, bytes, have);
	if (err)
		return err;
	err = insn_decode(ret_insn, bytes, have, mode);
	if (err != -EAGAIN || have == INSN_MAX_LENGTH)
		return err ? -EINVAL : 0;
	linear += have;
	if (mode != INSN_MODE_64_AMD)
		linear = (uint32_t)linear;
	err = fetch_bytes(v, linear, bytes + have, INSN_MAX_LENGTH - have);
	if (err)
		return err;
	return insn_decode(ret_insn, bytes, INSN_MAX_LENGTH, mode) ? -EINVAL : 0;
}

unsigned vcpu_insn_length(struct vcpu *v, enum insn_kind kind, uint64_t nrip)
{
	struct insn insn;

	if (nrip)
		return (unsigned)(nrip - v->arch.rip) & 15;
	return vcpu_decode(v, &insn) || insn_classify(&insn) != kind ? 0 : insn.length;
}

void exit_cpuid(struct vcpu *v, unsigned length)
{
	uint32_t r[4];

	guest_cpuid(v, (uint32_t)v->arch.gprs.rax, (uint32_t)v->arch.gprs.rcx, r);
	v->arch.gprs.rax = r[0];
	v->arch.gprs.rbx = r[1];
	v->arch.gprs.rcx = r[2];
	v->arch.gprs.rdx = r[3];
	vcpu_advance(v, length);
}

void exit_rdmsr(struct vcpu *v, unsigned length)
{
	uint64_t value;

	if (vendor->get_cpl(v) || guest_rdmsr(v, (uint32_t)v->arch.gprs.rcx, &value)) {
		vcpu_inject_exception_error(v, TRAP_GP, 0);
		return;
	}
	v->arch.gprs.rax = (uint32_t)value;
	v->arch.gprs.rdx = value >> 32;
	vcpu_advance(v, length);
}

void exit_wrmsr(struct vcpu *v, unsigned length)
{
	uint64_t value = (uint32_t)v->arch.gprs.rax | v->arch.gprs.rdx << 32;

	if (vendor->get_cpl(v) || guest_wrmsr(v, (uint32_t)v->arch.gprs.rcx, value)) {
		vcpu_inject_exception_error(v, TRAP_GP, 0);
		return;
	}
	vcpu_advance(v, length);
}

void exit_hlt(struct vcpu *v, unsigned length)
{
	struct domain *d = v->domain;
	struct vcpu *other;
	bool last = true;
	unsigned i;

	vcpu_advance(v, length);
	if ((v->arch.rflags & X86_EFLAGS_IF) || arch_vcpu_has_work(v)) {
		sched_block();
		return;
	}
	/*
	 * Nothing but INIT brings a CPU back that was halted with interrupts off (an NMI would, but who sends NMIs does
	 * not wait so). The last one to go takes the domain with it, as it would run no more.
	 */
	vcpu_set_flag(v, VPF_DOWN);
	/* The flag first, then the look: who starts us does it the other way round. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (READ_ONCE(v->arch.sipi_pending)) {
		vcpu_clear_flag(v, VPF_DOWN);
		return;
	}
	DOMAIN_FOR_EACH_VCPU (d, other, i)
		last &= (READ_ONCE(other->pause_flags) & VPF_DOWN) != 0;
	if (last) {
		log_guest(d, LOG_INFO, "all vCPUs halted for good: powering off\n");
		domain_shutdown(d, SHUTDOWN_poweroff);
	}
}

void exit_xsetbv(struct vcpu *v, unsigned length)
{
	uint64_t value = (uint32_t)v->arch.gprs.rax | v->arch.gprs.rdx << 32;
	uint32_t index = (uint32_t)v->arch.gprs.rcx;

	/* SDM vol. 1 13.3: x87 always, AVX only with SSE, AVX-512 all three with AVX, MPX both. */
	if (vendor->get_cpl(v) || index || !(value & 1) || (value & ~guest_xcr0_mask(v)) ||
	    ((value & 4) && !(value & 2)) || ((value & 0xe0) && (value & 0xe6) != 0xe6) ||
	    ((value & 0x18) && (value & 0x18) != 0x18)) {
		vcpu_inject_exception_error(v, TRAP_GP, 0);
		return;
	}
	v->arch.xcr0 = value;
	xsetbv(0, value);
	vcpu_advance(v, length);
}

void exit_hypercall(struct vcpu *v, unsigned length)
{
	union guest_gprs *g = &v->arch.gprs;
	bool is64 = code_mode(v) == INSN_MODE_64_AMD;
	struct hypercall hc = {.nr = (unsigned)g->rax, .compat = !is64};
	int64_t ret;

	/* Real mode has no privilege levels; virtual-8086 mode is level 3. */
	if (vendor->get_cpl(v) || (v->arch.rflags & X86_EFLAGS_VM)) {
		g->rax = is64 ? (uint64_t)-EPERM : (uint32_t)-EPERM;
		vcpu_advance(v, length);
		return;
	}
	if (is64) {
		const uint64_t args[5] = {g->rdi, g->rsi, g->rdx, g->r10, g->r8};

		memcpy(hc.args, args, sizeof(args));
	} else {
		const uint64_t args[5] = {(uint32_t)g->rbx, (uint32_t)g->rcx, (uint32_t)g->rdx,
					  (uint32_t)g->rsi, (uint32_t)g->rdi};

		memcpy(hc.args, args, sizeof(args));
	}
	guest_walk_forget(v);
	ret = hypercall_dispatch(&hc);
	if (ret == -ERESTART) {
		/* The instruction is executed again, with the progress in its arguments. */
		if (is64) {
			g->rdi = hc.args[0];
			g->rsi = hc.args[1];
			g->rdx = hc.args[2];
			g->r10 = hc.args[3];
			g->r8 = hc.args[4];
		} else {
			g->rbx = (uint32_t)hc.args[0];
			g->rcx = (uint32_t)hc.args[1];
			g->rdx = (uint32_t)hc.args[2];
			g->rsi = (uint32_t)hc.args[3];
			g->rdi = (uint32_t)hc.args[4];
		}
		g->rax = hc.nr;
		return;
	}
	g->rax = is64 ? (uint64_t)ret : (uint32_t)ret;
	vcpu_advance(v, length);
}

void exit_port(struct vcpu *v, unsigned port, unsigned size, bool in, unsigned length)
{
	uint64_t value = in ? 0 : v->arch.gprs.rax & (size == 4 ? 0xffffffffUL : BIT(size * 8) - 1);

	if (hvm_port_access(v, port, size, !in, &value))
		return; /* the vCPU waits; the instruction is executed again */
	if (in) {
		uint64_t *rax = &v->arch.gprs.rax;

		if (size == 4)
			*rax = (uint32_t)value;
		else
			*rax = (*rax & ~(BIT(size * 8) - 1)) | (value & (BIT(size * 8) - 1));
	}
	vcpu_advance(v, length);
}

void exit_triple_fault(struct vcpu *v)
{
	struct domain *d = v->domain;

	log_guest(d, LOG_ERR, "triple fault on vCPU %u at %016lx\n", v->id, v->arch.rip);
	if (d->hardware)
		vendor->dump(v);
	domain_shutdown(d, (unsigned)d->hvm_params[HVM_PARAM_TRIPLE_FAULT_REASON]);
}
