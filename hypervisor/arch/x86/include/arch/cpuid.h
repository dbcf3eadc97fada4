/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU policy of a domain: what its CPUID shows, apart from the bits that follow the vCPU's state. */
#ifndef ARCH_CPUID_H
#define ARCH_CPUID_H

#include <bulkhead/compiler.h>

#define CPU_POLICY_BASIC    14
#define CPU_POLICY_EXTENDED 0x22
#define CPU_POLICY_CACHES   6
#define CPU_POLICY_XSAVE    63

/* EAX, EBX, ECX, EDX of each leaf. */
struct cpu_policy {
	uint32_t basic[CPU_POLICY_BASIC][4];	   /* 0 … 0xd; those with subleaves below */
	uint32_t cache[CPU_POLICY_CACHES][4];	   /* leaf 4 */
	uint32_t features[2][4];		   /* leaf 7 */
	uint32_t xsave[CPU_POLICY_XSAVE][4];	   /* leaf 0xd */
	uint32_t extended[CPU_POLICY_EXTENDED][4]; /* 0x80000000 … */
	uint64_t xcr0_mask;
	bool amd; /* the machine is AMD's or Hygon's: it has their MSRs */
};

/* What a guest may have on this machine; a new domain has all of it. */
void cpu_policy_max(struct cpu_policy *ret_p);
/* Bits that CR4, EFER and SPEC_CTRL may have with these features (pure). */
uint64_t policy_cr4_mask(const struct cpu_policy *p);
uint64_t policy_efer_mask(const struct cpu_policy *p);
uint64_t policy_spec_ctrl_mask(const struct cpu_policy *p); /* 0: there is no such MSR */
bool policy_has_ibpb(const struct cpu_policy *p);

#endif
