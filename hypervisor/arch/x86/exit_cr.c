/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control registers that were intercepted: the checks of the CPU, and the features that the guest has. */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/cpuid.h>
#include <arch/exit.h>
#include <arch/registers.h>
#include <arch/traps.h>
#include <arch/vendor.h>
#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>

#define CR0_BITS                                                                             \
 (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | \
  X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)
#define MSW_BITS 0xfUL /* what LMSW writes: PE, MP, EM, TS */
#define CR3_PCID 0xfffUL
#define CS_LONG	 0x200
#define CR8_BITS 0xfUL

bool guest_crs_ok(const struct vcpu *v, uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	const struct cpu_policy *p = v->domain->arch.policy;
	bool long_mode = (efer & X86_EFER_LME) && (cr0 & X86_CR0_PG);

	if ((cr0 & ~(uint64_t)CR0_BITS) || (cr4 & ~policy_cr4_mask(p)) ||
	    (efer & ~policy_efer_mask(p)))
		return false;
	if ((cr0 & X86_CR0_PG) && !(cr0 & X86_CR0_PE))
		return false;
	if ((cr0 & X86_CR0_NW) && !(cr0 & X86_CR0_CD))
		return false;
	if (long_mode && !(cr4 & X86_CR4_PAE))
		return false;
	if ((cr4 & X86_CR4_PCIDE) && !long_mode)
		return false;
	return !!(efer & X86_EFER_LMA) == long_mode;
}

int guest_write_cr0(struct vcpu *v, uint64_t value)
{
	uint64_t old = vendor->get_cr(v, 0), efer = vendor->get_efer(v), new_efer = efer;
	struct segment cs;

	/* Reserved bits of the lower half are ignored, those of the upper half are not (APM vol. 2 3.1.1). */
	if (value >> 32)
		return -EINVAL;
	value = (value & CR0_BITS) | X86_CR0_ET;
	if (((value ^ old) & X86_CR0_PG) && (efer & X86_EFER_LME)) {
		/* Long mode begins and ends in code that is not of 64 bits (14.6.1, 14.6.2). */
		vendor->get_segment(v, SEG_CS, &cs);
		if (cs.attr & CS_LONG)
			return -EINVAL;
		new_efer ^= X86_EFER_LMA;
	}
	if (!guest_crs_ok(v, value, vendor->get_cr(v, 4), new_efer))
		return -EINVAL;
	if (new_efer != efer)
		vendor->set_efer(v, new_efer);
	vendor->set_cr(v, 0, value);
	return 0;
}

int guest_write_cr4(struct vcpu *v, uint64_t value)
{
	uint64_t old = vendor->get_cr(v, 4);

	if (!guest_crs_ok(v, vendor->get_cr(v, 0), value, vendor->get_efer(v)))
		return -EINVAL;
	/* Process identifiers start with number 0 (SDM vol. 3A 4.10.1). */
	if ((value & ~old & X86_CR4_PCIDE) && (vendor->get_cr(v, 3) & CR3_PCID))
		return -EINVAL;
	/* The tables of 64-bit mode do not change their depth while it uses them (APM vol. 2 5.3.1, SDM vol. 3A 4.1.2). */
	if (((value ^ old) & X86_CR4_LA57) && (vendor->get_efer(v) & X86_EFER_LMA))
		return -EINVAL;
	vendor->set_cr(v, 4, value);
	return 0;
}

/* CR3 is not intercepted, so this is a refusal by the CPU: true if it was for the value. */
static bool cr3_refused(struct vcpu *v, uint64_t value)
{
	return (vendor->get_efer(v) & X86_EFER_LMA) && value >> cpu_info.phys_bits;
}

static int move_to_cr(struct vcpu *v, const struct insn *insn)
{
	uint64_t value = v->arch.gprs.r[insn->rm & 15];

	if (insn->mode != INSN_MODE_64_AMD)
		value = (uint32_t)value;
	switch (insn->reg) {
	case 0:
		return guest_write_cr0(v, value);
	case 3:
		return cr3_refused(v, value) ? -EINVAL : -EAGAIN;
	case 4:
		return guest_write_cr4(v, value);
	case 8:
		if (value & ~CR8_BITS)
			return -EINVAL;
		vlapic_set_tpr(v, (uint8_t)(value << 4));
		return 0;
	default:
		return -EAGAIN;
	}
}

/* LMSW can set PE, but not clear it (APM vol. 3). */
static int load_msw(struct vcpu *v, const struct insn *insn)
{
	uint64_t old = vendor->get_cr(v, 0), value = v->arch.gprs.r[insn->rm & 15];

	return guest_write_cr0(v, (old & ~(MSW_BITS & ~X86_CR0_PE)) | (value & MSW_BITS));
}

bool exit_write_cr(struct vcpu *v)
{
	struct insn insn;
	int err = -EAGAIN;

	if (vcpu_decode(v, &insn))
		return true; /* a fault was queued, or the guest changed its code: it goes on with what is there */
	switch (insn_classify(&insn)) {
	case INSN_MOV_TO_CR:
		err = move_to_cr(v, &insn);
		break;
	case INSN_LMSW:
		if (insn.has_mem)
			return false;
		err = load_msw(v, &insn);
		break;
	default:
		break;
	}
	if (!err)
		vcpu_advance(v, insn.length);
	else if (err == -EINVAL)
		vcpu_inject_exception_error(v, TRAP_GP, 0);
	return true;
}

void exit_read_cr4(struct vcpu *v)
{
	struct insn insn;
	uint64_t value = vendor->get_cr(v, 4);

	/* Otherwise a fault was queued, or the guest changed its code: it goes on with what is there. */
	if (vcpu_decode(v, &insn) || insn_classify(&insn) != INSN_MOV_FROM_CR || insn.reg != 4)
		return;
	/* The upper half of a register is not defined outside of 64-bit mode (APM vol. 1 3.1.5). */
	v->arch.gprs.r[insn.rm & 15] = insn.mode == INSN_MODE_64_AMD ? value : (uint32_t)value;
	vcpu_advance(v, insn.length);
}
