/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Detection of CPU features, and what the hypervisor switches on for its own protection. */
#include <arch/cpufeature.h>
#include <arch/cpu.h>
#include <arch/paging.h>
#include <bulkhead/bitmap.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>

#define MSR_SPEC_CTRL	0x48
#define MSR_PRED_CMD	0x49
#define MSR_PAT		0x277
#define MSR_EFER	0xc0000080
#define MSR_AMD_DE_CFG	0xc0011029
#define SPEC_CTRL_IBRS	1U
#define SPEC_CTRL_STIBP 2U
#define EFER_AIBRSE	BIT(21)

#define DE_CFG_LFENCE_SERIAL BIT(1)

struct cpu_info cpu_info __ro_after_init;
bool cpus_may_stop __ro_after_init;
static BITMAP_DECLARE(features, CPU_FEATURES) __ro_after_init;

struct feature_bit {
	uint32_t leaf, sub;
	uint8_t reg, bit; /* register 0 eax … 3 edx */
	uint8_t feature;
};

/* APM vol. 3 appendix E, SDM vol. 2A CPUID. */
static const struct feature_bit table[] = {
	{0x80000001, 0, 2, 2, CPU_SVM},
	{1, 0, 2, 5, CPU_VMX},
	{1, 0, 3, 7, CPU_MCE},
	{0x8000000a, 0, 3, 0, CPU_NPT},
	{0x80000001, 0, 3, 26, CPU_PDPE1GB},
	{7, 0, 1, 7, CPU_SMEP},
	{7, 0, 1, 20, CPU_SMAP},
	{7, 0, 2, 2, CPU_UMIP},
	{7, 0, 2, 3, CPU_PKU},
	{1, 0, 2, 26, CPU_XSAVE},
	{0xd, 1, 0, 3, CPU_XSAVES},
	{1, 0, 2, 21, CPU_X2APIC},
	{0x80000007, 0, 3, 8, CPU_INVARIANT_TSC},
	{0x80000001, 0, 3, 27, CPU_RDTSCP},
	{0x8000000a, 0, 3, 3, CPU_NRIPS},
	{0x8000000a, 0, 3, 7, CPU_DECODE_ASSISTS},
	{0x8000000a, 0, 3, 6, CPU_FLUSH_BY_ASID},
	{0x8000000a, 0, 3, 16, CPU_VGIF},
	{0x8000000a, 0, 3, 4, CPU_TSC_RATIO},
	{0x80000008, 0, 1, 2, CPU_RSTR_FP_ERR_PTRS},
	{0x80000008, 0, 1, 12, CPU_IBPB},
	{0x80000008, 0, 1, 14, CPU_IBRS},
	{0x80000008, 0, 1, 15, CPU_STIBP},
	{0x80000008, 0, 1, 24, CPU_SSBD},
	{0x80000008, 0, 1, 25, CPU_VIRT_SPEC_CTRL},
	{7, 0, 3, 26, CPU_IBRS},
	{7, 0, 3, 26, CPU_IBPB},
	{7, 0, 3, 27, CPU_STIBP},
	{7, 0, 3, 31, CPU_SSBD},
	{7, 0, 3, 10, CPU_MD_CLEAR},
	{7, 0, 3, 28, CPU_L1D_FLUSH},
	{0x80000008, 0, 1, 29, CPU_BTC_NO},
	{0x80000021, 0, 0, 8, CPU_AUTOMATIC_IBRS},
	{0x80000021, 0, 0, 29, CPU_SRSO_NO},
};

bool cpu_has(enum cpu_feature f)
{
	return bitmap_test(features, f);
}

static bool leaf_exists(uint32_t leaf)
{
	return leaf >= 0x80000000 ? leaf <= cpu_info.max_ext_leaf : leaf <= cpu_info.max_leaf;
}

static void detect_xsave(void)
{
	uint32_t r[4];

	cpu_info.xsave_size = 512; /* FXSAVE */
	if (!cpu_has(CPU_XSAVE) || !leaf_exists(0xd))
		return;
	cpuid_count(0xd, 0, r);
	cpu_info.xcr0_mask = r[0] | (uint64_t)r[3] << 32;
	cpu_info.xsave_size = r[2];
}

void cpu_detect(void)
{
	uint32_t r[4];

	cpuid_count(0, 0, r);
	cpu_info.max_leaf = r[0];
	memcpy(cpu_info.vendor, &r[1], 4);
	memcpy(cpu_info.vendor + 4, &r[3], 4);
	memcpy(cpu_info.vendor + 8, &r[2], 4);
	cpuid_count(0x80000000, 0, r);
	cpu_info.max_ext_leaf = r[0];
	cpuid_count(1, 0, r);
	cpu_info.family = (r[0] >> 8 & 15) + ((r[0] >> 8 & 15) == 15 ? r[0] >> 20 & 255 : 0);
	cpu_info.model = (r[0] >> 4 & 15) | (r[0] >> 12 & 0xf0);
	cpu_info.stepping = r[0] & 15;
	/* Never set by a CPU: what emulates one says so (APM vol. 3, CPUID Fn0000_0001_ECX). */
	cpus_may_stop = r[2] >> 31;
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
		if (!leaf_exists(table[i].leaf))
			continue;
		cpuid_count(table[i].leaf, table[i].sub, r);
		if (r[table[i].reg] >> table[i].bit & 1)
			bitmap_set(features, table[i].feature);
	}
	for (unsigned i = 0; i < 3 && leaf_exists(0x80000004); i++) {
		cpuid_count(0x80000002 + i, 0, r);
		memcpy(cpu_info.brand + 16 * i, r, 16);
	}
	cpu_info.phys_bits = 36;
	if (leaf_exists(0x80000008)) {
		cpuid_count(0x80000008, 0, r);
		cpu_info.phys_bits = r[0] & 255;
		cpu_info.virt_bits = r[0] >> 8 & 255;
	}
	if (leaf_exists(0x8000000a)) {
		cpuid_count(0x8000000a, 0, r);
		cpu_info.asids = r[1];
	}
	detect_xsave();
}

uint64_t cpu_spec_ctrl(void)
{
	uint64_t v = 0;

	if (cpu_has(CPU_IBRS) && !cpu_has(CPU_AUTOMATIC_IBRS))
		v |= SPEC_CTRL_IBRS;
	if (cpu_has(CPU_STIBP))
		v |= SPEC_CTRL_STIBP;
	return v;
}

bool cpu_branches_protected(void)
{
	return cpu_has(CPU_AUTOMATIC_IBRS) || (cpu_spec_ctrl() & SPEC_CTRL_IBRS);
}

static bool is_amd(void)
{
	return !strcmp(cpu_info.vendor, "AuthenticAMD") || !strcmp(cpu_info.vendor, "HygonGenuine");
}

bool cpu_needs_exit_barrier(void)
{
	if (!is_amd() || cpu_info.family < 0x15 || !cpu_has(CPU_IBPB))
		return false;
	return cpu_info.family <= 0x18 ? !cpu_has(CPU_BTC_NO) : !cpu_has(CPU_SRSO_NO);
}

bool cpu_keeps_fp_pointers(void)
{
	return is_amd() && !cpu_has(CPU_RSTR_FP_ERR_PTRS);
}

/*
 * AMD's LFENCE stops what runs ahead only if it is told so (APM vol. 3, LFENCE: bit 1 of MSR C001_1029; not all
 * families have it). Guests see the bit, cannot set it, and choose their own barriers by it.
 */
static void make_lfence_serialising(void)
{
	uint64_t v;

	if (is_amd() && cpu_info.family >= 0x10 && !rdmsr_safe(MSR_AMD_DE_CFG, &v) &&
	    !(v & DE_CFG_LFENCE_SERIAL))
		(void)wrmsr_safe(MSR_AMD_DE_CFG, v | DE_CFG_LFENCE_SERIAL);
}

void cpu_enable_features(void)
{
	uint64_t cr4 = read_cr4() | X86_CR4_DE | X86_CR4_PGE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;

	if (cpu_has(CPU_MCE))
		cr4 |= X86_CR4_MCE;
	if (cpu_has(CPU_SMEP))
		cr4 |= X86_CR4_SMEP;
	if (cpu_has(CPU_SMAP))
		cr4 |= X86_CR4_SMAP;
	if (cpu_has(CPU_UMIP))
		cr4 |= X86_CR4_UMIP;
	/* For guests' keys to be read: they hold for user pages only, and there are none here. */
	if (cpu_has(CPU_PKU))
		cr4 |= X86_CR4_PKE;
	if (cpu_has(CPU_XSAVE))
		cr4 |= X86_CR4_OSXSAVE;
	write_cr4(cr4);
	/* The AC flag would open SMAP: nothing here has user pages, so it stays clear. */
	__asm__ volatile("pushfq; andq %0, (%%rsp); popfq" ::"r"(~X86_EFLAGS_AC) : "memory", "cc");
	if (cpu_has(CPU_XSAVE))
		xsetbv(0, cpu_info.xcr0_mask);
	wrmsr(MSR_PAT, HOST_PAT);
	make_lfence_serialising();
	if (cpu_has(CPU_AUTOMATIC_IBRS))
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_AIBRSE);
	if (cpu_spec_ctrl())
		wrmsr(MSR_SPEC_CTRL, cpu_spec_ctrl());
}

void cpu_guest_switch_barrier(void)
{
	if (cpu_has(CPU_IBPB))
		wrmsr(MSR_PRED_CMD, 1);
}

void cpu_report(void)
{
	static const struct {
		enum cpu_feature f;
		const char *name;
	} shown[] = {
		{CPU_SMEP, "SMEP"},	{CPU_SMAP, "SMAP"},
		{CPU_UMIP, "UMIP"},	{CPU_AUTOMATIC_IBRS, "AutoIBRS"},
		{CPU_IBRS, "IBRS"},	{CPU_STIBP, "STIBP"},
		{CPU_IBPB, "IBPB"},	{CPU_SSBD, "SSBD for guests"},
		{CPU_MD_CLEAR, "VERW"},
	};
	char yes[160] = "W^X, NX, stack protector", no[160] = "";

	for (unsigned i = 0; i < ARRAY_SIZE(shown); i++) {
		char *list = cpu_has(shown[i].f) ? yes : no;
		size_t n = strlen(list);

		snprintf(list + n, 160 - n, "%s%s", n ? ", " : "", shown[i].name);
	}
	snprintf(yes + strlen(yes), sizeof(yes) - strlen(yes), "%s%s",
		 cpu_branches_protected() ? "" : ", retpolines",
		 cpu_needs_exit_barrier() ? ", IBPB at each exit" : "");
	log_info("CPU: %s, family 0x%x model 0x%x stepping %u, %u bits of physical address\n",
		 cpu_info.brand[0] ? cpu_info.brand : cpu_info.vendor, cpu_info.family,
		 cpu_info.model, cpu_info.stepping, cpu_info.phys_bits);
	log_info("protections in force: %s; not offered by this CPU: %s\n", yes,
		 no[0] ? no : "none");
}
