/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU policies as the toolstack sees them: lists of CPUID leaves, feature sets, and what may be asked for. */
#ifndef ARCH_CPU_POLICY_H
#define ARCH_CPU_POLICY_H

#include <arch/cpuid.h>
#include <bulkhead/abi.h>
#include <bulkhead/control.h>

/* Basic leaves, four of which are given by their subleaves (the tools know three of leaf 7, two of 0xb); the two limits of
 * hypervisor leaves; extended ones. */
#define CPU_POLICY_LEAVES_MAX \
 (CPU_POLICY_BASIC - 4 + CPU_POLICY_CACHES + 3 + 2 + CPU_POLICY_XSAVE + 2 + CPU_POLICY_EXTENDED)
#define CPU_FEATURE_WORDS 19 /* of a feature set: <xen/arch-x86/cpufeatureset.h> */

/* Where auditing found fault; all ones: nowhere. */
struct cpu_policy_fault {
	uint32_t leaf, subleaf, msr;
};

/* Writes at most `room` leaves, in ascending order; returns how many there are. */
unsigned cpu_policy_list(const struct cpu_policy *p, xen_cpuid_leaf_t *leaves, unsigned room);
/* Takes one leaf over as it is. 0, or -ERANGE (no such leaf or subleaf). */
int cpu_policy_take(struct cpu_policy *p, const xen_cpuid_leaf_t *leaf);
/* 0, or -EINVAL: it has more leaves than the most capable one. */
int cpu_policy_check(const struct cpu_policy *p, const struct cpu_policy *max,
		     struct cpu_policy_fault *ret_fault);
/* Clears what max does not have, and what is of no use without features that p lacks; derives the rest. */
void cpu_policy_level(struct cpu_policy *p, const struct cpu_policy *max);
void cpu_policy_features(const struct cpu_policy *p, uint32_t ret_words[CPU_FEATURE_WORDS]);

/* cpu_policy_op.c: the operations of domctl and sysctl. */
domctl_fn cpu_policy_domctl_get, cpu_policy_domctl_set;
sysctl_fn cpu_policy_sysctl_get, cpu_policy_sysctl_features;
/* Words 0 … 7 of the machine's feature set. */
void cpu_policy_host_caps(uint32_t ret_caps[8]);

#endif
