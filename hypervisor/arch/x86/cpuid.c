/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPUID of guests: the machine's, through allow lists; the Xen leaves; what depends on the vCPU's state. */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/cpuid.h>
#include <arch/exit.h>
#include <arch/time.h>
#include <arch/vendor.h>
#include <arch/vlapic.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>
#include <bulkhead/nospec.h>
#include <bulkhead/string.h>

#include <xen/arch-x86/cpuid.h>
#include <xen/version.h>

#define VERSION_MAJOR 4
#define VERSION_MINOR 17

enum {
	EAX,
	EBX,
	ECX,
	EDX
};

/* Features that a guest may see if the machine has them (SDM vol. 2A CPUID; APM vol. 3 appendix E). */
#define LEAF1_ECX \
 0x76da3203U /* no MONITOR, DTES64, VMX, SMX, EST, TM2, xTPR, PDCM, DCA, TSC deadline */
#define LEAF1_EDX	     0x0f8bfbffU /* no DS, ACPI (thermal control), HTT, TM, PBE */
#define LEAF1_ECX_X2APIC     BIT32(21)
#define LEAF1_ECX_OSXSAVE    BIT32(27)
#define LEAF1_ECX_HYPERVISOR BIT32(31)
#define LEAF1_EDX_APIC	     BIT32(9)
#define LEAF7_EBX \
 0x219c27e9U /* FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS INVPCID FPCSDS RDSEED ADX SMAP CLFLUSHOPT CLWB SHA */
#define LEAF7_EBX_AVX512 0xd0230000U
#define LEAF7_ECX \
 0x1a405f4eU /* AVX512VBMI UMIP PKU VBMI2 GFNI VAES VPCLMULQDQ VNNI BITALG VPOPCNTDQ RDPID CLDEMOTE MOVDIRx */
#define LEAF7_ECX_OSPKE BIT32(4)
#define LEAF7_EDX	0x9c004510U /* FSRM VP2INTERSECT MD_CLEAR SERIALIZE IBRS STIBP L1D_FLUSH SSBD */
#define LEAF7_1_EAX	0x00001c30U /* AVX-VNNI AVX512-BF16 FZRM FSRS FSRCS */
#define EXT1_ECX \
 0x002109f1U /* LAHF ABM SSE4A MISALIGNSSE 3DNOWPREFETCH XOP FMA4 TBM … without SVM, IBS, SKINIT, WDT */
#define EXT1_EDX 0xefd3fbffU
#define EXT7_EDX BIT32(8) /* invariant TSC */
#define EXT8_EBX \
 0x650fd005U /* CLZERO RSTR_FP_ERR IBPB IBRS STIBP …_ALWAYS SSBD SSB_NO BTC_NO IBPB_RET */
#define EXT1_EDX_NX	  BIT32(20)
#define EXT1_EDX_FFXSR	  BIT32(25)
#define EXT1_EDX_LM	  BIT32(29)
#define LEAF7_EDX_IBRS	  BIT32(26)
#define LEAF7_EDX_STIBP	  BIT32(27)
#define LEAF7_EDX_SSBD	  BIT32(31)
#define EXT8_EBX_IBPB	  BIT32(12)
#define EXT8_EBX_IBRS	  BIT32(14)
#define EXT8_EBX_STIBP	  BIT32(15)
#define EXT8_EBX_SSBD	  BIT32(24)
#define SPEC_CTRL_IBRS	  1UL
#define SPEC_CTRL_STIBP	  2UL
#define SPEC_CTRL_SSBD	  4UL
#define EXT21_EAX	  0x30000044U /* LFENCE serialising, NullSelClearsBase, IBPB_BRTYPE, SRSO_NO */
#define LEAFD_1_EAX	  0x7U	      /* XSAVEOPT XSAVEC XGETBV1 */
#define LEAFD_1_XSAVEC	  BIT32(1)
#define XSAVE_LEGACY_SIZE 576U	   /* FXSAVE area and header */
#define XSAVE_ALIGNED	  BIT32(1) /* ECX of a state: aligned to 64 bytes when compacted */
#define XCR0_ALLOWED	  0x2e7UL  /* x87 SSE AVX AVX-512 PKRU */

static bool apic_enabled(struct vcpu *v)
{
	uint64_t base = 0;

	return !vlapic_msr_read(v, 0x1b, &base) && (base & BIT(11));
}

static void host(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	uint32_t max = leaf >= 0x80000000 ? cpu_info.max_ext_leaf : cpu_info.max_leaf;

	memset(r, 0, 16);
	if (leaf <= max)
		cpuid_count(leaf, sub, r);
}

static void mask(uint32_t r[4], uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	r[EAX] &= a;
	r[EBX] &= b;
	r[ECX] &= c;
	r[EDX] &= d;
}

uint64_t policy_cr4_mask(const struct cpu_policy *p)
{
	/* Register and bit of the feature (CPUID 1 ECX, 1 EDX, 7 EBX, 7 ECX), bits of CR4 (SDM vol. 3A 2.5). */
	const struct {
		uint32_t reg;
		uint8_t bit;
		uint64_t cr4;
	} needs[] = {
		{p->basic[1][EDX], 1, BIT(0) | BIT(1)}, /* VME, PVI */
		{p->basic[1][EDX], 4, BIT(2)},		/* TSD */
		{p->basic[1][EDX], 2, X86_CR4_DE},
		{p->basic[1][EDX], 3, X86_CR4_PSE},
		{p->basic[1][EDX], 6, X86_CR4_PAE},
		{p->basic[1][EDX], 7, X86_CR4_MCE},
		{p->basic[1][EDX], 13, X86_CR4_PGE},
		{p->basic[1][EDX], 24, X86_CR4_OSFXSR},
		{p->basic[1][EDX], 25, X86_CR4_OSXMMEXCPT},
		{p->basic[1][ECX], 17, X86_CR4_PCIDE},
		{p->basic[1][ECX], 26, X86_CR4_OSXSAVE},
		{p->features[0][EBX], 0, X86_CR4_FSGSBASE},
		{p->features[0][EBX], 7, X86_CR4_SMEP},
		{p->features[0][EBX], 20, X86_CR4_SMAP},
		{p->features[0][ECX], 2, X86_CR4_UMIP},
		{p->features[0][ECX], 3, X86_CR4_PKE},
		{p->features[0][ECX], 16, X86_CR4_LA57},
	};
	uint64_t cr4 = X86_CR4_PCE; /* RDPMC is #GP whatever it says */

	for (unsigned i = 0; i < ARRAY_SIZE(needs); i++) {
		if (needs[i].reg >> needs[i].bit & 1)
			cr4 |= needs[i].cr4;
	}
	return cr4;
}

uint64_t policy_efer_mask(const struct cpu_policy *p)
{
	uint64_t efer = X86_EFER_SCE;

	if (p->extended[1][EDX] & EXT1_EDX_NX)
		efer |= X86_EFER_NX;
	if (p->extended[1][EDX] & EXT1_EDX_FFXSR)
		efer |= X86_EFER_FFXSR;
	if (p->extended[1][EDX] & EXT1_EDX_LM)
		efer |= X86_EFER_LME | X86_EFER_LMA;
	return efer;
}

uint64_t policy_spec_ctrl_mask(const struct cpu_policy *p)
{
	uint64_t mask = 0;

	/* Intel's leaf says IBRS and IBPB with one bit, AMD's with two (SDM vol. 4 table 2-2; APM vol. 2 3.2.9). */
	if ((p->features[0][EDX] & LEAF7_EDX_IBRS) || (p->extended[8][EBX] & EXT8_EBX_IBRS))
		mask |= SPEC_CTRL_IBRS;
	if ((p->features[0][EDX] & LEAF7_EDX_STIBP) || (p->extended[8][EBX] & EXT8_EBX_STIBP))
		mask |= SPEC_CTRL_STIBP;
	if ((p->features[0][EDX] & LEAF7_EDX_SSBD) || (p->extended[8][EBX] & EXT8_EBX_SSBD))
		mask |= SPEC_CTRL_SSBD;
	return mask;
}

bool policy_has_ibpb(const struct cpu_policy *p)
{
	return (p->features[0][EDX] & LEAF7_EDX_IBRS) || (p->extended[8][EBX] & EXT8_EBX_IBPB);
}

static void policy_basic(struct cpu_policy *p)
{
	host(0, 0, p->basic[0]);
	p->basic[0][EAX] = MIN(p->basic[0][EAX], 0xdU);
	host(1, 0, p->basic[1]);
	mask(p->basic[1], ~0U, 0x0000ff00, LEAF1_ECX, LEAF1_EDX);
	p->basic[1][ECX] |= LEAF1_ECX_X2APIC | LEAF1_ECX_HYPERVISOR;
	host(2, 0, p->basic[2]);
	for (unsigned i = 0; i < CPU_POLICY_CACHES; i++) {
		host(4, i, p->cache[i]);
		/* Each vCPU is a core of its own: no cache is shared. */
		p->cache[i][EAX] &= 0x3ff;
	}
	host(6, 0, p->basic[6]);
	mask(p->basic[6], 4, 0, 0, 0); /* ARAT: the virtual timer never stops */
	p->basic[6][EAX] |= 4;
	if (p->basic[0][EAX] < 7)
		return;
	host(7, 0, p->features[0]);
	mask(p->features[0], ~0U, LEAF7_EBX | LEAF7_EBX_AVX512, LEAF7_ECX, LEAF7_EDX);
	p->features[0][EAX] = MIN(p->features[0][EAX], 1U); /* the last subleaf */
	if (p->features[0][EAX])
		host(7, 1, p->features[1]);
	mask(p->features[1], LEAF7_1_EAX, 0, 0, 0);
}

static void policy_extended(struct cpu_policy *p)
{
	host(0x80000000, 0, p->extended[0]);
	p->extended[0][EAX] = MIN(p->extended[0][EAX], 0x80000000U + CPU_POLICY_EXTENDED - 1);
	for (uint32_t i = 1; i < 9; i++)
		host(0x80000000 + i, 0, p->extended[i]);
	mask(p->extended[1], ~0U, ~0U, EXT1_ECX, EXT1_EDX);
	mask(p->extended[7], 0, 0, 0, EXT7_EDX);
	mask(p->extended[8], 0xffff, EXT8_EBX, 0, 0);
	/* Four levels of tables at both stages: addresses of 48 bits. */
	p->extended[8][EAX] = MIN(p->extended[8][EAX] & 0xff, 48U) |
			      MIN(p->extended[8][EAX] >> 8, 48U) << 8;
	host(0x80000021, 0, p->extended[0x21]);
	mask(p->extended[0x21], EXT21_EAX, 0, 0, 0);
}

static void policy_xsave(struct cpu_policy *p)
{
	uint64_t allowed = cpu_info.xcr0_mask & XCR0_ALLOWED;

	if (!(p->basic[1][ECX] & BIT32(26)))
		return;
	p->xcr0_mask = allowed;
	p->xsave[0][EAX] = (uint32_t)allowed;
	p->xsave[0][EDX] = (uint32_t)(allowed >> 32);
	host(0xd, 1, p->xsave[1]);
	mask(p->xsave[1], LEAFD_1_EAX, 0, 0, 0);
	p->xsave[0][ECX] = XSAVE_LEGACY_SIZE;
	for (uint32_t i = 2; i < CPU_POLICY_XSAVE; i++) {
		if (!(allowed >> i & 1))
			continue;
		host(0xd, i, p->xsave[i]);
		p->xsave[0][ECX] = MAX(p->xsave[0][ECX], p->xsave[i][EAX] + p->xsave[i][EBX]);
	}
}

void cpu_policy_max(struct cpu_policy *ret_p)
{
	memset(ret_p, 0, sizeof(*ret_p));
	ret_p->amd = !strcmp(cpu_info.vendor, "AuthenticAMD") ||
		     !strcmp(cpu_info.vendor, "HygonGenuine");
	policy_basic(ret_p);
	policy_extended(ret_p);
	policy_xsave(ret_p);
}

int cpuid_domain_init(struct domain *d)
{
	struct cpu_policy *p = heap_alloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	cpu_policy_max(p);
	p->basic[1][EBX] |= MIN(d->max_vcpus * 2, 255U) << 16;
	d->arch.policy = p;
	return 0;
}

void cpuid_domain_finish(struct domain *d)
{
	heap_free(d->arch.policy);
	d->arch.policy = NULL;
}

uint64_t guest_xcr0_mask(struct vcpu *v)
{
	return v->domain->arch.policy->xcr0_mask;
}

/* Leaves of the Xen ABI (<xen/arch-x86/cpuid.h>). */
static void xen_leaf(struct vcpu *v, uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	uint64_t offset = v->domain->arch.tsc_offset;

	memset(r, 0, 16);
	switch (leaf) {
	case 0:
		r[EAX] = XEN_CPUID_FIRST_LEAF + XEN_CPUID_MAX_NUM_LEAVES;
		r[EBX] = XEN_CPUID_SIGNATURE_EBX;
		r[ECX] = XEN_CPUID_SIGNATURE_ECX;
		r[EDX] = XEN_CPUID_SIGNATURE_EDX;
		break;
	case 1:
		r[EAX] = VERSION_MAJOR << 16 | VERSION_MINOR;
		break;
	case 2:
		r[EAX] = 1;
		r[EBX] = 0x40000000;
		break;
	case 3:
		if (sub == 0) {
			r[EAX] = (tsc_reliable ? 2U : 0) | (cpu_has(CPU_RDTSCP) ? 4U : 0);
			r[ECX] = (uint32_t)tsc_khz;
		} else if (sub == 1) {
			r[EAX] = (uint32_t)offset;
			r[EBX] = (uint32_t)(offset >> 32);
			r[ECX] = tsc_scale.mul;
			r[EDX] = (uint32_t)(uint8_t)tsc_scale.shift;
		} else if (sub == 2) {
			r[EAX] = (uint32_t)tsc_khz;
		}
		break;
	case 4:
		if (sub)
			break;
		r[EAX] = XEN_HVM_CPUID_IOMMU_MAPPINGS | XEN_HVM_CPUID_VCPU_ID_PRESENT |
			 XEN_HVM_CPUID_DOMID_PRESENT | XEN_HVM_CPUID_UPCALL_VECTOR;
		r[EBX] = v->id;
		r[ECX] = v->domain->id;
		break;
	default:
		break;
	}
}

static void topology_leaf(struct vcpu *v, uint32_t sub, uint32_t r[4])
{
	r[EDX] = vlapic_id(v);
	r[ECX] = sub & 0xff;
	if (sub == 0) { /* threads: one per core; ids are even */
		r[EAX] = 1;
		r[EBX] = 1;
		r[ECX] |= 1 << 8;
	} else if (sub == 1) {
		r[EAX] = 32 - (uint32_t)__builtin_clz(MAX(v->domain->max_vcpus * 2 - 1, 1U));
		r[EBX] = v->domain->max_vcpus;
		r[ECX] |= 2 << 8;
	}
}

/* Size of the XSAVE area for the states that XCR0 has on now, in the standard format. */
static uint32_t xsave_size(const struct cpu_policy *p, uint64_t xcr0)
{
	uint32_t size = XSAVE_LEGACY_SIZE;

	for (unsigned i = 2; i < CPU_POLICY_XSAVE; i++) {
		if (xcr0 >> i & 1)
			size = MAX(size, p->xsave[i][EAX] + p->xsave[i][EBX]);
	}
	return size;
}

/* The same in the compacted format: one behind the other (SDM vol. 1 13.4.3). */
static uint32_t xsave_size_compacted(const struct cpu_policy *p, uint64_t xcr0)
{
	uint32_t size = XSAVE_LEGACY_SIZE;

	for (unsigned i = 2; i < CPU_POLICY_XSAVE; i++) {
		if (!(xcr0 >> i & 1))
			continue;
		if (p->xsave[i][ECX] & XSAVE_ALIGNED)
			size = ALIGN_UP(size, 64U);
		size += p->xsave[i][EAX];
	}
	return size;
}

static void xsave_leaf(struct vcpu *v, uint32_t sub, uint32_t r[4])
{
	const struct cpu_policy *p = v->domain->arch.policy;

	memset(r, 0, 16);
	if (sub < CPU_POLICY_XSAVE)
		memcpy(r, p->xsave[index_nospec(sub, CPU_POLICY_XSAVE)], 16);
	if (!p->xcr0_mask || sub > 1)
		return;
	/* Emulated CPUs let a guest write XCR0 without an exit. */
	if (v == current_vcpu())
		v->arch.xcr0 = xgetbv(0);
	if (sub == 0)
		r[EBX] = xsave_size(p, v->arch.xcr0);
	else if (r[EAX] & LEAFD_1_XSAVEC)
		r[EBX] = xsave_size_compacted(p, v->arch.xcr0);
}

static void basic_leaf(struct vcpu *v, uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	const struct cpu_policy *p = v->domain->arch.policy;

	memcpy(r, p->basic[index_nospec(leaf, ARRAY_SIZE(p->basic))], 16);
	switch (leaf) {
	case 1:
		r[EBX] |= (vlapic_id(v) & 0xff) << 24;
		if (vendor->get_cr(v, 4) & X86_CR4_OSXSAVE)
			r[ECX] |= LEAF1_ECX_OSXSAVE;
		if (!apic_enabled(v))
			r[EDX] &= ~LEAF1_EDX_APIC;
		break;
	case 4:
		memset(r, 0, 16);
		if (sub < CPU_POLICY_CACHES)
			memcpy(r, p->cache[index_nospec(sub, CPU_POLICY_CACHES)], 16);
		break;
	case 7:
		memset(r, 0, 16);
		if (sub < ARRAY_SIZE(p->features))
			memcpy(r, p->features[index_nospec(sub, ARRAY_SIZE(p->features))], 16);
		if (sub == 0 && (vendor->get_cr(v, 4) & X86_CR4_PKE))
			r[ECX] |= LEAF7_ECX_OSPKE;
		break;
	case 0xb:
		memset(r, 0, 16);
		topology_leaf(v, sub, r);
		break;
	case 0xd:
		xsave_leaf(v, sub, r);
		break;
	default:
		break;
	}
}

void guest_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t ret[4])
{
	const struct cpu_policy *p = v->domain->arch.policy;

	if (leaf - XEN_CPUID_FIRST_LEAF < 0x100) {
		xen_leaf(v, leaf - XEN_CPUID_FIRST_LEAF, subleaf, ret);
	} else if (leaf >= 0x80000000 && leaf <= p->extended[0][EAX]) {
		memcpy(ret, p->extended[index_nospec(leaf - 0x80000000, ARRAY_SIZE(p->extended))],
		       16);
		/* AMD repeats the APIC bit there; SYSCALL of Intel exists in 64-bit mode only. */
		if (leaf == 0x80000001 && !apic_enabled(v))
			ret[EDX] &= ~LEAF1_EDX_APIC;
	} else if (leaf <= p->basic[0][EAX]) {
		basic_leaf(v, leaf, subleaf, ret);
	} else {
		memset(ret, 0, 16);
	}
}
