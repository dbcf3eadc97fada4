/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the machine's CPUs can do: detected once, on the boot CPU. */
#ifndef ARCH_CPUFEATURE_H
#define ARCH_CPUFEATURE_H

#include <bulkhead/compiler.h>

enum cpu_feature {
	CPU_SVM,
	CPU_VMX,
	CPU_MCE,
	CPU_NPT,
	CPU_PDPE1GB,
	CPU_SMEP,
	CPU_SMAP,
	CPU_UMIP,
	CPU_PKU,
	CPU_XSAVE,
	CPU_XSAVES,
	CPU_X2APIC,
	CPU_INVARIANT_TSC,
	CPU_RDTSCP,
	CPU_NRIPS,
	CPU_DECODE_ASSISTS,
	CPU_FLUSH_BY_ASID,
	CPU_VGIF,
	CPU_TSC_RATIO,
	CPU_IBPB,
	CPU_IBRS,
	CPU_STIBP,
	CPU_SSBD,
	CPU_VIRT_SPEC_CTRL,
	CPU_MD_CLEAR,
	CPU_L1D_FLUSH,
	CPU_BTC_NO,
	CPU_AUTOMATIC_IBRS,
	CPU_RSTR_FP_ERR_PTRS,
	CPU_SRSO_NO,
	CPU_FEATURES
};

struct cpu_info {
	char vendor[13], brand[49];
	uint32_t family, model, stepping;
	unsigned phys_bits, virt_bits;
	uint32_t max_leaf, max_ext_leaf;
	uint32_t asids;	     /* number of ASIDs (SVM) */
	uint64_t xcr0_mask;  /* states that XCR0 may enable */
	uint32_t xsave_size; /* of all of them, standard format */
};

extern struct cpu_info cpu_info;
void cpu_detect(void); /* boot CPU */
bool cpu_has(enum cpu_feature f);
/* Each CPU: CR4 protections, machine checks, XCR0, speculation controls. */
void cpu_enable_features(void);
void cpu_report(void);	      /* the line that says what is in force */
uint64_t cpu_spec_ctrl(void); /* value of SPEC_CTRL while the hypervisor runs */
/* Does the CPU itself keep guests from steering the hypervisor's indirect branches? Else they are retpolines. */
bool cpu_branches_protected(void);
/*
 * CPUs that predict returns as they do indirect branches (AMD families 15h to 17h, Hygon's 18h: CVE-2022-29900), or by what
 * other branches have left in the stack of return addresses (families from 19h on that do not say otherwise:
 * CVE-2023-20569): predictions are dropped at each exit, before the first return.
 */
bool cpu_needs_exit_barrier(void);
/*
 * CPUs that load and save the addresses of the last x87 instruction only while an exception is pending (AMD: APM vol. 3
 * appendix E, CPUID Fn8000_0008_EBX[RstrFpErrPtrs]): those of one domain would be seen by the next (CVE-2006-1056).
 */
bool cpu_keeps_fp_pointers(void);
void cpu_guest_switch_barrier(
	void); /* between vCPUs of different domains on this CPU: IBPB where there is one */

#endif
