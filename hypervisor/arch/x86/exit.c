/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VM exits: instructions, ports, faults; the part that knows no vendor. */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/exit.h>
#include <arch/guest_walk.h>
#include <arch/hvm_io.h>
#include <arch/traps.h>
#include <arch/vendor.h>
#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/log.h>
#include <bulkhead/p2m.h>
#include <bulkhead/string.h>

/* Classes of exceptions for the double fault rule (APM vol. 2 table 8-1). */
static unsigned exception_class(uint8_t vector)
{
	switch (vector) {
	case TRAP_DE:
	case TRAP_TS:
	case TRAP_NP:
	case TRAP_SS:
	case TRAP_GP:
		return 1; /* contributory */
	case TRAP_PF:
		return 2;
	default:
		return 0;
	}
}

static void queue_exception(struct vcpu *v, uint8_t vector, bool has_error, uint32_t error)
{
	struct pending_event *p = &v->arch.inject;

	if (p->valid && p->type == 3) {
		unsigned first = exception_class(p->vector), second = exception_class(vector);

		if (p->vector == TRAP_DF && second) {
			exit_triple_fault(v);
			return;
		}
		if ((first == 1 && second == 1) || (first == 2 && second)) {
			vector = TRAP_DF;
			has_error = true;
			error = 0;
		}
	}
	*p = (struct pending_event){
		.valid = true, .vector = vector, .type = 3, .has_error = has_error, .error = error};
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

void vcpu_advance(struct vcpu *v, unsigned length)
{
	v->arch.rip += length;
	if (!(vendor->get_efer(v) & X86_EFER_LMA))
		v->arch.rip &= 0xffffffff;
	vendor->clear_shadow(v);
	v->arch.rflags &= ~X86_EFLAGS_RF;
	if (v->arch.rflags & X86_EFLAGS_TF)
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

/* Bytes at RIP, at most to the end of their page (*ret_page_end) or INSN_MAX_LENGTH. */
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
	return guest_phys_copy_from(buf, v->domain, ga, len);
}

unsigned vcpu_insn_length(struct vcpu *v, enum insn_kind kind, uint64_t nrip)
{
	uint8_t bytes[INSN_MAX_LENGTH];
	enum insn_mode mode = code_mode(v);
	struct segment cs;
	struct insn insn;
	uint64_t linear;
	unsigned have;
	int err;

	if (nrip)
		return (unsigned)(nrip - v->arch.rip) & 15;
	vendor->get_segment(v, SEG_CS, &cs);
	linear = (mode == INSN_MODE_64_AMD ? 0 : cs.base) + v->arch.rip;
	if (mode != INSN_MODE_64_AMD)
		linear &= 0xffffffff;
	have = MIN((unsigned)INSN_MAX_LENGTH, (unsigned)(PAGE_SIZE - (linear & ~PAGE_MASK)));
	if (fetch_bytes(v, linear, bytes, have))
		return 0;
	err = insn_decode(&insn, bytes, have, mode);
	if (err == -EAGAIN && have < INSN_MAX_LENGTH) {
		if (fetch_bytes(v, linear + have, bytes + have, INSN_MAX_LENGTH - have))
			return 0;
		err = insn_decode(&insn, bytes, INSN_MAX_LENGTH, mode);
	}
	return err || insn_classify(&insn) != kind ? 0 : insn.length;
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
	vcpu_advance(v, length);
	sched_block();
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

	if (vendor->get_cpl(v)) {
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

void exit_emulate_cr8(struct vcpu *v, uint64_t nrip)
{
	uint8_t bytes[INSN_MAX_LENGTH];
	struct segment cs;
	struct insn insn;
	uint64_t linear, value;
	unsigned have;

	(void)nrip; /* the register operand is needed anyway */
	vendor->get_segment(v, SEG_CS, &cs);
	linear = code_mode(v) == INSN_MODE_64_AMD ? v->arch.rip : (uint32_t)(cs.base + v->arch.rip);
	have = MIN((unsigned)INSN_MAX_LENGTH, (unsigned)(PAGE_SIZE - (linear & ~PAGE_MASK)));
	if (fetch_bytes(v, linear, bytes, have))
		return;
	if (insn_decode(&insn, bytes, have, code_mode(v)) == -EAGAIN && have < INSN_MAX_LENGTH &&
	    fetch_bytes(v, linear + have, bytes + have, INSN_MAX_LENGTH - have))
		return;
	if (insn_decode(&insn, bytes, INSN_MAX_LENGTH, code_mode(v)) ||
	    insn_classify(&insn) != INSN_MOV_TO_CR || insn.reg != 8)
		return; /* the guest changed its code meanwhile: let it run what is there */
	value = v->arch.gprs.r[insn.rm];
	if (value & ~0xfUL) {
		vcpu_inject_exception_error(v, TRAP_GP, 0);
		return;
	}
	vlapic_set_tpr(v, (uint8_t)(value << 4));
	vcpu_advance(v, insn.length);
}

void exit_triple_fault(struct vcpu *v)
{
	log_guest(v->domain, LOG_ERR, "triple fault on vCPU %u at %016lx\n", v->id, v->arch.rip);
	if (v->domain->hardware)
		vendor->dump(v);
	domain_shutdown(v->domain, SHUTDOWN_crash);
}
