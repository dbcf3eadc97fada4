/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MSRs of guests: those that are virtual, a few of the machine's that may be read; everything else is #GP. */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/cpuid.h>
#include <arch/exit.h>
#include <arch/mtrr.h>
#include <arch/vendor.h>
#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>

#define MSR_TSC		       0x10
#define MSR_PLATFORM_ID	       0x17
#define MSR_APIC_BASE	       0x1b
#define MSR_SPEC_CTRL	       0x48
#define MSR_PRED_CMD	       0x49
#define MSR_UCODE_REV	       0x8b
#define MSR_PLATFORM_INFO      0xce
#define MSR_MISC_FEATURES      0x140
#define MSR_MCG_CAP	       0x179
#define MSR_MCG_STATUS	       0x17a
#define MSR_MCG_CTL	       0x17b
#define MSR_MISC_ENABLE	       0x1a0
#define MSR_DEBUGCTL	       0x1d9
#define MSR_PAT		       0x277
#define MSR_MC0_CTL	       0x400
#define MSR_X2APIC_FIRST       0x800
#define MSR_X2APIC_LAST	       0x8ff
#define MSR_HYPERCALL	       0x40000000
#define MSR_EFER	       0xc0000080
#define MSR_TSC_AUX	       0xc0000103
#define MSR_AMD_SYSCFG	       0xc0010010
#define MSR_AMD_HWCR	       0xc0010015
#define MSR_AMD_PATCH_LEVEL    0x8b
#define MSR_AMD_NB_CFG	       0xc001001f
#define MSR_AMD_INT_PENDING    0xc0010055
#define MSR_AMD_VIRT_SPEC_CTRL 0xc001011f
#define MSR_AMD_DE_CFG	       0xc0011029

#define MCE_BANKS	  2
#define SPEC_CTRL_VALID	  7UL
#define HWCR_TSC_FREQ_SEL BIT(24)
#define HYPERCALL_SLOT	  32
#define HYPERCALL_SLOTS	  (PAGE_SIZE / HYPERCALL_SLOT)
#define HYPERCALL_IRET	  23

/* mov $n, %eax; vmmcall; ret. The slot of iret is a trap: there is nothing to return from. */
static int write_hypercall_page(struct vcpu *v, uint64_t value)
{
	static const uint8_t code[] = {0xb8, 0, 0, 0, 0, 0x0f, 0x01, 0xd9, 0xc3};
	uint8_t slot[HYPERCALL_SLOT];

	if (value & ~PAGE_MASK)
		return -EINVAL; /* one page, index 0 */
	for (unsigned n = 0; n < HYPERCALL_SLOTS; n++) {
		memset(slot, 0xcc, sizeof(slot));
		memcpy(slot, code, sizeof(code));
		memcpy(slot + 1, &n, 4);
		if (n == HYPERCALL_IRET) {
			slot[0] = 0x0f; /* ud2 */
			slot[1] = 0x0b;
		}
		if (guest_phys_copy_to(v->domain, gaddr_from(value + n * HYPERCALL_SLOT), slot,
				       sizeof(slot)))
			return -EINVAL;
	}
	/* What runs here now talks to us in this mode: firmware, a boot loader, then a kernel. */
	event_set_compat(v->domain, !(vendor->get_efer(v) & X86_EFER_LMA));
	return 0;
}

/* Reads that mirror a harmless fact of the machine, for the hardware domain's drivers. */
static bool host_readable(uint32_t msr)
{
	switch (msr) {
	case MSR_UCODE_REV:
	case MSR_PLATFORM_ID:
	case MSR_AMD_SYSCFG:
	case MSR_AMD_NB_CFG:
	case MSR_AMD_DE_CFG:
		return true;
	default:
		return false;
	}
}

static bool has_spec_ctrl(const struct vcpu *v)
{
	const struct cpu_policy *p = v->domain->arch.policy;

	/* IBRS, STIBP or SSBD of either vendor's leaf. */
	return (p->features[0][3] & 0x8c000000) || (p->extended[8][1] & 0x0100c000);
}

int guest_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *ret_value)
{
	if (msr == MSR_APIC_BASE || (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST))
		return vlapic_msr_read(v, msr, ret_value);
	if (mtrr_owns_msr(msr))
		return mtrr_msr_read(v, msr, ret_value);
	if (msr >= MSR_MC0_CTL && msr < MSR_MC0_CTL + 4 * MCE_BANKS) {
		*ret_value = 0;
		return 0;
	}
	if (host_readable(msr))
		return rdmsr_safe(msr, ret_value) ? -EINVAL : 0;
	*ret_value = 0;
	switch (msr) {
	case MSR_EFER:
		*ret_value = vendor->get_efer(v);
		return 0;
	case MSR_TSC:
		*ret_value = rdtsc() + v->domain->arch.tsc_offset;
		return 0;
	case MSR_TSC_AUX:
		*ret_value = v->arch.tsc_aux;
		return 0;
	case MSR_SPEC_CTRL:
		*ret_value = v->arch.spec_ctrl;
		return has_spec_ctrl(v) ? 0 : -EINVAL;
	case MSR_MCG_CAP:
		*ret_value = MCE_BANKS;
		return 0;
	case MSR_AMD_HWCR:
		*ret_value = HWCR_TSC_FREQ_SEL;
		return 0;
	case MSR_HYPERCALL:
	case MSR_MCG_STATUS:
	case MSR_AMD_INT_PENDING:
	case MSR_PLATFORM_INFO:
	case MSR_MISC_FEATURES:
	case MSR_MISC_ENABLE:
		return 0;
	default:
		if (!vendor->msr_read(v, msr, ret_value))
			return 0;
		log_guest(v->domain, LOG_DEBUG, "vCPU %u at %016lx: read of MSR 0x%x refused\n",
			  v->id, v->arch.rip, msr);
		return -EINVAL;
	}
}

static int write_efer(struct vcpu *v, uint64_t value)
{
	uint64_t old = vendor->get_efer(v), cr0 = vendor->get_cr(v, 0);
	uint64_t valid = X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NX;
	const struct cpu_policy *p = v->domain->arch.policy;

	if (p->extended[1][3] & BIT32(25))
		valid |= X86_EFER_FFXSR;
	if (value & ~valid)
		return -EINVAL;
	/* Long mode cannot be switched while paging is on; LMA is the CPU's to set (APM vol. 2 14.6). */
	if ((cr0 & X86_CR0_PG) && ((value ^ old) & X86_EFER_LME))
		return -EINVAL;
	vendor->set_efer(v, (value & ~X86_EFER_LMA) | (old & X86_EFER_LMA));
	return 0;
}

int guest_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value)
{
	int err;

	if (msr == MSR_APIC_BASE || (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST))
		return vlapic_msr_write(v, msr, value);
	if (mtrr_owns_msr(msr)) {
		err = mtrr_msr_write(v, msr, value);
		if (!err && msr == MSR_PAT)
			vendor->msr_write(v, MSR_PAT, v->arch.pat);
		return err;
	}
	if (msr >= MSR_MC0_CTL && msr < MSR_MC0_CTL + 4 * MCE_BANKS)
		return (msr & 3) == 0 || value == 0
			       ? 0
			       : -EINVAL; /* CTL any; STATUS, ADDR, MISC only cleared */
	switch (msr) {
	case MSR_EFER:
		return write_efer(v, value);
	case MSR_TSC_AUX:
		if (value >> 32)
			return -EINVAL;
		v->arch.tsc_aux = value;
		if (cpu_has(CPU_RDTSCP))
			wrmsr(MSR_TSC_AUX, value);
		return 0;
	case MSR_SPEC_CTRL:
		if (!has_spec_ctrl(v) || (value & ~SPEC_CTRL_VALID))
			return -EINVAL;
		v->arch.spec_ctrl = value;
		return 0;
	case MSR_PRED_CMD:
		if (!cpu_has(CPU_IBPB) || (value & ~1UL))
			return -EINVAL;
		if (value)
			wrmsr(MSR_PRED_CMD, 1);
		return 0;
	case MSR_HYPERCALL:
		return write_hypercall_page(v, value);
	case MSR_TSC: /* the clock of pvclock hangs on it: not to be set */
	case MSR_MCG_STATUS:
	case MSR_MCG_CTL:
	case MSR_UCODE_REV:
	case MSR_AMD_INT_PENDING:
		return 0;
	case MSR_DEBUGCTL:
	case MSR_MISC_FEATURES:
		return value ? -EINVAL : 0;
	case MSR_AMD_DE_CFG:
	case MSR_AMD_HWCR:
	case MSR_AMD_SYSCFG:
		return 0; /* the machine's own setting stands */
	default:
		if (!vendor->msr_write(v, msr, value))
			return 0;
		log_guest(v->domain, LOG_DEBUG,
			  "vCPU %u at %016lx: write of 0x%lx to MSR 0x%x refused\n", v->id,
			  v->arch.rip, value, msr);
		return -EINVAL;
	}
}
