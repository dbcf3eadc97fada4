/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sysctl: CPU features, policies and topology. */
#include <arch/cpu.h>
#include <arch/cpu_policy.h>
#include <arch/cpufeature.h>
#include <arch/time.h>
#include <bulkhead/control.h>
#include <bulkhead/errno.h>

/* ---- Topology: which bits of an APIC id number threads and cores (SDM vol. 3A 9.9.1; APM vol. 3 appendix E.5) ---- */

#define LEAF_TOPOLOGY	    0xbU
#define LEAF_AMD_SIZES	    0x80000008U
#define TOPOLOGY_SHIFT	    0x1f
#define FEATURE_HTT	    BIT32(28) /* 1.EDX */
#define AMD_CORE_ID_SIZE(c) ((c) >> 12 & 15)
#define AMD_CORES(c)	    (((c)&0xff) + 1)

/* Bits that numbers below n need. */
static unsigned width(unsigned n)
{
	unsigned bits = 0;

	while (BIT32(bits) < n)
		bits++;
	return bits;
}

static void shifts(unsigned *ret_core, unsigned *ret_socket)
{
	uint32_t r[4], logical;

	*ret_core = *ret_socket = 0;
	if (cpu_info.max_leaf >= LEAF_TOPOLOGY) {
		cpuid_count(LEAF_TOPOLOGY, 0, r);
		if (r[1]) {
			*ret_core = r[0] & TOPOLOGY_SHIFT;
			cpuid_count(LEAF_TOPOLOGY, 1, r);
			*ret_socket = r[0] & TOPOLOGY_SHIFT;
			return;
		}
	}
	cpuid_count(1, 0, r);
	logical = r[3] & FEATURE_HTT ? r[1] >> 16 & 0xff : 1;
	*ret_socket = width(logical);
	if (cpu_info.max_ext_leaf >= LEAF_AMD_SIZES && cpu_has(CPU_SVM)) {
		cpuid_count(LEAF_AMD_SIZES, 0, r);
		*ret_socket = AMD_CORE_ID_SIZE(r[2]) ? AMD_CORE_ID_SIZE(r[2])
						     : width(AMD_CORES(r[2]));
	} else if (cpu_info.max_leaf >= 4) {
		cpuid_count(4, 0, r);
		*ret_core = *ret_socket - MIN(*ret_socket, width((r[0] >> 26) + 1));
	}
}

void arch_cpu_topology(unsigned cpu, uint32_t *ret_core, uint32_t *ret_socket)
{
	uint32_t id = cpu_table[cpu]->arch.apic_id;
	unsigned core, socket;

	shifts(&core, &socket);
	*ret_socket = id >> socket;
	*ret_core = (id & (uint32_t)(BIT(socket) - 1)) >> core;
}

void arch_physinfo(struct xen_sysctl_physinfo *info)
{
	unsigned core_shift, socket_shift, threads = 0, in_socket = 0;
	uint32_t first = cpu_table[0]->arch.apic_id;

	/* All cores are like the first one. */
	shifts(&core_shift, &socket_shift);
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		if (!cpumask_test(&cpu_online, i))
			continue;
		threads += cpu_table[i]->arch.apic_id >> core_shift == first >> core_shift;
		in_socket += cpu_table[i]->arch.apic_id >> socket_shift == first >> socket_shift;
	}
	info->threads_per_core = MAX(threads, 1U);
	info->cores_per_socket = MAX(in_socket / info->threads_per_core, 1U);
	info->cpu_khz = (uint32_t)tsc_khz;
	cpu_policy_host_caps(info->hw_cap);
}

int64_t arch_sysctl(struct sysctl_call *c)
{
	switch (c->op.cmd) {
	case XEN_SYSCTL_get_cpu_levelling_caps:
		/* Nothing masks CPUID in hardware: it is intercepted. */
		c->op.u.cpu_levelling_caps.caps = 0;
		c->copyback = true;
		return 0;
	case XEN_SYSCTL_get_cpu_featureset:
		return cpu_policy_sysctl_features(c);
	case XEN_SYSCTL_get_cpu_policy:
		return cpu_policy_sysctl_get(c);
	case XEN_SYSCTL_psr_cmt_op:
	case XEN_SYSCTL_psr_alloc:
		return -ENODEV;
	default:
		return -ENOSYS;
	}
}
