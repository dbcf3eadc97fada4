/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MSRs of guests: those that are virtual, a few of the machine's that may be read; everything else is #GP. */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/cpuid.h>
#include <arch/exit.h>
#include <arch/mtrr.h>
#include <arch/time.h>
#include <arch/vendor.h>
#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>

#define MSR_TSC		    0x10
#define MSR_PLATFORM_ID	    0x17
#define MSR_APIC_BASE	    0x1b
#define MSR_FEATURE_CONTROL 0x3a
#define MSR_SPEC_CTRL	    0x48
#define MSR_PRED_CMD	    0x49
#define MSR_UCODE_REV	    0x8b
#define MSR_PLATFORM_INFO   0xce
#define MSR_FLUSH_CMD	    0x10b
#define MSR_MISC_FEATURES   0x140
#define MSR_MCG_CAP	    0x179
#define MSR_MCG_STATUS	    0x17a
#define MSR_MCG_CTL	    0x17b
#define MSR_MISC_ENABLE	    0x1a0
#define MSR_DEBUGCTL	    0x1d9
#define MSR_PAT		    0x277
#define MSR_MC0_CTL	    0x400
#define MSR_X2APIC_FIRST    0x800
#define MSR_X2APIC_LAST	    0x8ff
#define MSR_HYPERCALL	    0x40000000
#define MSR_EFER	    0xc0000080
#define MSR_TSC_AUX	    0xc0000103
#define MSR_AMD_PERF_FIRST  0xc0010000
#define MSR_AMD_PERF_LAST   0xc0010007
#define MSR_AMD_SYSCFG	    0xc0010010
#define MSR_AMD_HWCR	    0xc0010015
#define MSR_AMD_IORR_FIRST  0xc0010016
#define MSR_AMD_IORR_LAST   0xc0010019
#define MSR_AMD_TOP_MEM	    0xc001001a
#define MSR_AMD_TOP_MEM2    0xc001001d
#define MSR_AMD_NB_CFG	    0xc001001f
#define MSR_AMD_INT_PENDING 0xc0010055
#define MSR_AMD_TSEG_FIRST  0xc0010112
#define MSR_AMD_TSEG_LAST   0xc0010113
#define MSR_AMD_VM_CR	    0xc0010114
#define MSR_AMD_DE_CFG	    0xc0011029

#define MCE_BANKS	     2
#define HWCR_TSC_FREQ_SEL    BIT(24)
#define SYSCFG_MEMORY_BITS   (BIT(18) | BIT(20) | BIT(21) | BIT(22)) /* what TOP_MEM and MTRRs mean */
#define DE_CFG_LFENCE_SERIAL BIT(1)
#define VM_CR_OFF	     (BIT(3) | BIT(4)) /* SVM is disabled, and locked so */
#define MISC_ENABLE_NO_BTS   BIT(11)
#define MISC_ENABLE_NO_PEBS  BIT(12)
#define MISC_ENABLE_MONITOR  BIT(18)
#define FEATURE_CONTROL_LOCK BIT(0)
#define DEBUGCTL_VALID	     0x3fUL
#define LEAF7_EDX_L1D_FLUSH  BIT32(28)
#define HYPERCALL_SLOT	     32
#define HYPERCALL_SLOTS	     (PAGE_SIZE / HYPERCALL_SLOT)
#define HYPERCALL_IRET	     23

/* mov $n, %eax; vmmcall; ret. The slot of iret is a trap: there is nothing to return from. */
int hypercall_page_write(struct domain *d, uint64_t value)
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
		if (guest_phys_copy_to(d, gaddr_from(value + n * HYPERCALL_SLOT), slot,
				       sizeof(slot)))
			return -EINVAL;
	}
	return 0;
}

/* What the machine itself answers. */
enum {
	FOR_AMD = 1,
	FOR_INTEL = 2,
	FOR_HARDWARE = 4, /* the hardware domain only: where memory is, for its drivers */
};

static const struct host_msr {
	uint32_t first, last;
	unsigned who;
	uint64_t mask;
} host_msrs[] = {
	{MSR_UCODE_REV, MSR_UCODE_REV, FOR_AMD | FOR_INTEL, ~0UL},
	{MSR_PLATFORM_ID, MSR_PLATFORM_ID, FOR_INTEL, ~0UL},
	{MSR_AMD_SYSCFG, MSR_AMD_SYSCFG, FOR_AMD | FOR_HARDWARE, SYSCFG_MEMORY_BITS},
	{MSR_AMD_IORR_FIRST, MSR_AMD_IORR_LAST, FOR_AMD | FOR_HARDWARE, ~0UL},
	{MSR_AMD_TOP_MEM, MSR_AMD_TOP_MEM, FOR_AMD | FOR_HARDWARE, ~0UL},
	{MSR_AMD_TOP_MEM2, MSR_AMD_TOP_MEM2, FOR_AMD | FOR_HARDWARE, ~0UL},
	{MSR_AMD_NB_CFG, MSR_AMD_NB_CFG, FOR_AMD | FOR_HARDWARE, ~0UL},
	{MSR_AMD_TSEG_FIRST, MSR_AMD_TSEG_LAST, FOR_AMD | FOR_HARDWARE, ~0UL},
	{MSR_AMD_DE_CFG, MSR_AMD_DE_CFG, FOR_AMD, DE_CFG_LFENCE_SERIAL},
};

static const struct host_msr *host_readable(const struct vcpu *v, uint32_t msr)
{
	unsigned vendor_bit = v->domain->arch.policy->amd ? FOR_AMD : FOR_INTEL;

	for (unsigned i = 0; i < ARRAY_SIZE(host_msrs); i++) {
		const struct host_msr *h = &host_msrs[i];

		if (msr >= h->first && msr <= h->last)
			return (h->who & vendor_bit) &&
					       (v->domain->hardware || !(h->who & FOR_HARDWARE))
				       ? h
				       : NULL;
	}
	return NULL;
}

static int refuse_read(const struct vcpu *v, uint32_t msr)
{
	log_guest(v->domain, LOG_DEBUG, "vCPU %u at %016lx: read of MSR 0x%x refused\n", v->id,
		  v->arch.rip, msr);
	return -EINVAL;
}

/* Registers that only one of the vendors has; the answers to drivers that look for a feature and are to find it off. */
static int read_vendor_specific(struct vcpu *v, uint32_t msr, uint64_t *ret_value)
{
	bool amd = v->domain->arch.policy->amd;

	if (amd && msr >= MSR_AMD_PERF_FIRST && msr <= MSR_AMD_PERF_LAST) {
		*ret_value =
			0; /* no flag says that these exist, they always do: counters that do not count */
		return 0;
	}
	switch (msr) {
	case MSR_AMD_HWCR:
		*ret_value = HWCR_TSC_FREQ_SEL;
		return amd ? 0 : refuse_read(v, msr);
	case MSR_AMD_INT_PENDING:
	case MSR_AMD_NB_CFG:
	case MSR_AMD_SYSCFG: /* a guest's: fixed MTRRs without their DRAM bits, no second top of memory */
		*ret_value = 0;
		return amd ? 0 : refuse_read(v, msr);
	case MSR_AMD_VM_CR:
		*ret_value = VM_CR_OFF;
		return amd ? 0 : refuse_read(v, msr);
	case MSR_FEATURE_CONTROL:
		*ret_value = FEATURE_CONTROL_LOCK;
		return amd ? refuse_read(v, msr) : 0;
	case MSR_MISC_ENABLE:
		if (amd || rdmsr_safe(msr, ret_value))
			return refuse_read(v, msr);
		*ret_value = (*ret_value | MISC_ENABLE_NO_BTS | MISC_ENABLE_NO_PEBS) &
			     ~MISC_ENABLE_MONITOR;
		return 0;
	default:
		return vendor->msr_read(v, msr, ret_value) ? refuse_read(v, msr) : 0;
	}
}

int guest_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *ret_value)
{
	const struct host_msr *h;

	if (msr == MSR_APIC_BASE || (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST))
		return vlapic_msr_read(v, msr, ret_value);
	if (mtrr_owns_msr(msr))
		return mtrr_msr_read(v, msr, ret_value);
	*ret_value = 0;
	if (msr >= MSR_MC0_CTL && msr < MSR_MC0_CTL + 4 * MCE_BANKS)
		return 0;
	h = host_readable(v, msr);
	if (h) {
		if (rdmsr_safe(msr, ret_value))
			return refuse_read(v, msr);
		*ret_value &= h->mask;
		return 0;
	}
	switch (msr) {
	case MSR_EFER:
		*ret_value = vendor->get_efer(v);
		return 0;
	case MSR_TSC:
		*ret_value = tsc_now() + v->domain->arch.tsc_offset;
		return 0;
	case MSR_TSC_AUX:
		*ret_value = v->arch.tsc_aux;
		return 0;
	case MSR_SPEC_CTRL:
		*ret_value = v->arch.spec_ctrl;
		return policy_spec_ctrl_mask(v->domain->arch.policy) ? 0 : refuse_read(v, msr);
	case MSR_MCG_CAP:
		*ret_value = MCE_BANKS;
		return 0;
	case MSR_HYPERCALL:
	case MSR_MCG_STATUS:
	case MSR_PLATFORM_INFO:
	case MSR_MISC_FEATURES:
		return 0;
	default:
		if (!read_vendor_specific(v, msr, ret_value))
			return 0;
		/* For guests that read what they should not, and expect no fault where the machine raises none. */
		if (!(v->domain->arch.misc_flags & XEN_X86_MSR_RELAXED) ||
		    rdmsr_safe(msr, ret_value))
			return -EINVAL;
		*ret_value = 0;
		return 0;
	}
}

static int write_efer(struct vcpu *v, uint64_t value)
{
	uint64_t old = vendor->get_efer(v);

	if (value & ~policy_efer_mask(v->domain->arch.policy))
		return -EINVAL;
	/* Long mode cannot be switched while paging is on; LMA is the CPU's to set (APM vol. 2 14.6). */
	if ((vendor->get_cr(v, 0) & X86_CR0_PG) && ((value ^ old) & X86_EFER_LME))
		return -EINVAL;
	vendor->set_efer(v, (value & ~X86_EFER_LMA) | (old & X86_EFER_LMA));
	return 0;
}

/* A command for the CPU: bit 0 of the MSR, if the guest has the feature. */
static int write_command(uint32_t msr, uint64_t value, bool exists)
{
	if (!exists || (value & ~1UL))
		return -EINVAL;
	if (value)
		wrmsr(msr, 1);
	return 0;
}

static int write_tsc_aux(struct vcpu *v, uint64_t value)
{
	if (value >> 32)
		return -EINVAL;
	v->arch.tsc_aux = value;
	if (cpu_has(CPU_RDTSCP))
		wrmsr(MSR_TSC_AUX, value);
	return 0;
}

static int write_spec_ctrl(struct vcpu *v, uint64_t value)
{
	/* It goes into the machine's register as it is, where a bit that does not exist would be our own fault. */
	uint64_t valid = policy_spec_ctrl_mask(v->domain->arch.policy);

	if (!valid || (value & ~valid))
		return -EINVAL;
	v->arch.spec_ctrl = value;
	return 0;
}

static int write_mtrr(struct vcpu *v, uint32_t msr, uint64_t value)
{
	int err = mtrr_msr_write(v, msr, value);

	if (!err && msr == MSR_PAT)
		vendor->msr_write(v, MSR_PAT, v->arch.pat);
	return err;
}

static int write_vendor_specific(struct vcpu *v, uint32_t msr, uint64_t value)
{
	const struct cpu_policy *p = v->domain->arch.policy;

	if (p->amd && ((msr >= MSR_AMD_PERF_FIRST && msr <= MSR_AMD_PERF_LAST) ||
		       msr == MSR_AMD_INT_PENDING || msr == MSR_AMD_DE_CFG || msr == MSR_AMD_HWCR ||
		       msr == MSR_AMD_SYSCFG || msr == MSR_AMD_VM_CR ||
		       (msr == MSR_AMD_NB_CFG && v->domain->hardware)))
		return 0; /* the machine's own setting stands */
	return vendor->msr_write(v, msr, value) ? -EINVAL : 0;
}

static int write_msr(struct vcpu *v, uint32_t msr, uint64_t value)
{
	const struct cpu_policy *p = v->domain->arch.policy;

	switch (msr) {
	case MSR_EFER:
		return write_efer(v, value);
	case MSR_TSC_AUX:
		return write_tsc_aux(v, value);
	case MSR_SPEC_CTRL:
		return write_spec_ctrl(v, value);
	case MSR_PRED_CMD:
		return write_command(msr, value, policy_has_ibpb(p));
	case MSR_FLUSH_CMD:
		return write_command(msr, value, p->features[0][3] & LEAF7_EDX_L1D_FLUSH);
	case MSR_HYPERCALL:
		if (hypercall_page_write(v->domain, value))
			return -EINVAL;
		/* What runs here now talks to us in this mode: firmware, a boot loader, then a kernel. */
		event_set_compat(v->domain, !(vendor->get_efer(v) & X86_EFER_LMA));
		return 0;
	case MSR_TSC: /* the clock of pvclock hangs on it: not to be set */
	case MSR_MCG_STATUS:
	case MSR_MCG_CTL:
	case MSR_UCODE_REV:
		return 0;
	case MSR_MISC_FEATURES:
		return value ? -EINVAL : 0;
	case MSR_DEBUGCTL:
		/* Kept, without effect: branches are neither recorded nor stepped over. */
		return value & ~DEBUGCTL_VALID ? -EINVAL : vendor->msr_write(v, msr, value);
	default:
		return write_vendor_specific(v, msr, value);
	}
}

int guest_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value)
{
	int err;

	if (msr == MSR_APIC_BASE || (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST))
		err = vlapic_msr_write(v, msr, value);
	else if (mtrr_owns_msr(msr))
		err = write_mtrr(v, msr, value);
	else if (msr >= MSR_MC0_CTL && msr < MSR_MC0_CTL + 4 * MCE_BANKS)
		/* CTL any; STATUS, ADDR, MISC only cleared */
		err = (msr & 3) == 0 || value == 0 ? 0 : -EINVAL;
	else
		err = write_msr(v, msr, value);
	if (err)
		log_guest(v->domain, LOG_DEBUG,
			  "vCPU %u at %016lx: write of 0x%lx to MSR 0x%x refused\n", v->id,
			  v->arch.rip, value, msr);
	return err;
}
