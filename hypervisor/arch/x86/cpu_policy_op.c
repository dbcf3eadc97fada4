/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU policies and feature sets by domctl and sysctl. */
#include <arch/cpu.h>
#include <arch/cpu_policy.h>
#include <arch/cpufeature.h>
#include <arch/exit.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/mm.h>

/* MSRs that belong to a policy; neither has a bit that a guest could be given. */
static const uint32_t policy_msrs[] = {
	0xce,  /* PLATFORM_INFO */
	0x10a, /* ARCH_CAPABILITIES */
};

/* ---- Policies of the system ---- */

static void read_leaf(uint32_t leaf, uint32_t sub, uint32_t max, uint32_t r[4])
{
	if (leaf <= max)
		cpuid_count(leaf, sub, r);
}

/* The machine's, as this CPU has it. */
static void policy_machine(struct cpu_policy *p)
{
	uint32_t max = cpu_info.max_leaf;

	for (uint32_t i = 0; i < CPU_POLICY_BASIC; i++)
		read_leaf(i, 0, max, p->basic[i]);
	p->basic[0][0] = MIN(p->basic[0][0], CPU_POLICY_BASIC - 1U);
	for (uint32_t i = 0; i < CPU_POLICY_CACHES; i++)
		read_leaf(4, i, max, p->cache[i]);
	for (uint32_t i = 0; i < 2; i++)
		read_leaf(7, i, max, p->features[i]);
	p->features[0][0] = MIN(p->features[0][0], 1U);
	for (uint32_t i = 0; i < CPU_POLICY_XSAVE; i++)
		read_leaf(0xd, i, max, p->xsave[i]);
	p->xcr0_mask = p->xsave[0][0] | (uint64_t)p->xsave[0][3] << 32;
	for (uint32_t i = 0; i < CPU_POLICY_EXTENDED; i++)
		read_leaf(0x80000000 + i, 0, cpu_info.max_ext_leaf, p->extended[i]);
	p->extended[0][0] = MIN(p->extended[0][0], 0x80000000U + CPU_POLICY_EXTENDED - 1);
}

/* 0, -EINVAL (no such index) or -EOPNOTSUPP (for PV guests). */
static int system_policy(uint32_t index, struct cpu_policy *p)
{
	switch (index) {
	case XEN_SYSCTL_cpu_policy_raw:
	case XEN_SYSCTL_cpu_policy_host:
		policy_machine(p);
		return 0;
	case XEN_SYSCTL_cpu_policy_pv_max:
	case XEN_SYSCTL_cpu_policy_pv_default:
		return -EOPNOTSUPP;
	case XEN_SYSCTL_cpu_policy_hvm_max:
	case XEN_SYSCTL_cpu_policy_hvm_default:
		cpu_policy_max(p);
		return 0;
	default:
		return -EINVAL;
	}
}

void cpu_policy_host_caps(uint32_t ret_caps[8])
{
	static struct cpu_policy machine;
	uint32_t words[CPU_FEATURE_WORDS];

	policy_machine(&machine); /* the same whoever fills it in */
	cpu_policy_features(&machine, words);
	for (unsigned i = 0; i < 8; i++)
		ret_caps[i] = words[i];
}

/* ---- Output ---- */

/* A list to where the caller has room for *nr entries; without a buffer, just how many there can be. */
static int put_leaves(const struct cpu_policy *p, uint64_t gva, uint32_t *nr)
{
	xen_cpuid_leaf_t *list;
	unsigned n;
	int ret = 0;

	if (!gva) {
		*nr = CPU_POLICY_LEAVES_MAX;
		return 0;
	}
	list = heap_alloc(CPU_POLICY_LEAVES_MAX * sizeof(*list));
	if (!list)
		return -ENOMEM;
	n = cpu_policy_list(p, list, CPU_POLICY_LEAVES_MAX);
	if (n > *nr)
		ret = -ENOBUFS;
	else
		ret = guest_copy_to(gva, list, n * sizeof(*list));
	if (!ret)
		*nr = n;
	heap_free(list);
	return ret;
}

static int put_msrs(uint64_t gva, uint32_t *nr)
{
	if (!gva) {
		*nr = ARRAY_SIZE(policy_msrs);
		return 0;
	}
	if (*nr < ARRAY_SIZE(policy_msrs))
		return -ENOBUFS;
	for (unsigned i = 0; i < ARRAY_SIZE(policy_msrs); i++) {
		const xen_msr_entry_t e = {.idx = policy_msrs[i]};

		if (guest_copy_to(gva + i * sizeof(e), &e, sizeof(e)))
			return -EFAULT;
	}
	*nr = ARRAY_SIZE(policy_msrs);
	return 0;
}

int64_t cpu_policy_sysctl_get(struct sysctl_call *c)
{
	struct xen_sysctl_cpu_policy *op = &c->op.u.cpu_policy;
	struct cpu_policy *p = heap_alloc(sizeof(*p));
	int ret = p ? 0 : -ENOMEM;

	if (!ret)
		ret = system_policy(op->index, p);
	if (!ret)
		ret = put_leaves(p, (uintptr_t)op->leaves.p, &op->nr_leaves);
	if (!ret)
		ret = put_msrs((uintptr_t)op->msrs.p, &op->nr_msrs);
	heap_free(p);
	c->copyback = !ret;
	return ret;
}

int64_t cpu_policy_domctl_get(struct domctl_call *c)
{
	struct xen_domctl_cpu_policy *op = &c->op.u.cpu_policy;
	int ret = put_leaves(c->d->arch.policy, (uintptr_t)op->leaves.p, &op->nr_leaves);

	if (!ret)
		ret = put_msrs((uintptr_t)op->msrs.p, &op->nr_msrs);
	c->copyback = !ret;
	return ret;
}

/* Feature sets have other names for the same. */
static int featureset_policy(uint32_t index, struct cpu_policy *p)
{
	static const uint8_t policies[] = {
		[XEN_SYSCTL_cpu_featureset_raw] = XEN_SYSCTL_cpu_policy_raw,
		[XEN_SYSCTL_cpu_featureset_host] = XEN_SYSCTL_cpu_policy_host,
		[XEN_SYSCTL_cpu_featureset_pv] = XEN_SYSCTL_cpu_policy_pv_default,
		[XEN_SYSCTL_cpu_featureset_hvm] = XEN_SYSCTL_cpu_policy_hvm_default,
		[XEN_SYSCTL_cpu_featureset_pv_max] = XEN_SYSCTL_cpu_policy_pv_max,
		[XEN_SYSCTL_cpu_featureset_hvm_max] = XEN_SYSCTL_cpu_policy_hvm_max,
	};

	return index < ARRAY_SIZE(policies) ? system_policy(policies[index], p) : -EINVAL;
}

int64_t cpu_policy_sysctl_features(struct sysctl_call *c)
{
	struct xen_sysctl_cpu_featureset *op = &c->op.u.cpu_featureset;
	uint64_t gva = (uintptr_t)op->features.p;
	uint32_t words[CPU_FEATURE_WORDS], n = MIN(op->nr_features, (uint32_t)CPU_FEATURE_WORDS);
	struct cpu_policy *p;
	int ret;

	c->copyback = true;
	if (!gva) {
		op->nr_features = CPU_FEATURE_WORDS;
		return 0;
	}
	p = heap_alloc(sizeof(*p));
	ret = p ? featureset_policy(op->index, p) : -ENOMEM;
	if (!ret) {
		cpu_policy_features(p, words);
		ret = guest_copy_to(gva, words, n * sizeof(words[0]));
		op->nr_features = n;
	}
	heap_free(p);
	/* The caller has what it asked for, and learns that there is more. */
	return ret ? ret : n < CPU_FEATURE_WORDS ? -ENOBUFS : 0;
}

/* ---- Input ---- */

static int take_leaves(struct cpu_policy *p, uint64_t gva, uint32_t nr,
		       struct cpu_policy_fault *ret_fault)
{
	if (nr > CPU_POLICY_LEAVES_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < nr; i++) {
		xen_cpuid_leaf_t untrusted_leaf;

		if (guest_copy_from(&untrusted_leaf, gva + i * sizeof(untrusted_leaf),
				    sizeof(untrusted_leaf)))
			return -EFAULT;
		if (cpu_policy_take(p, &untrusted_leaf)) {
			ret_fault->leaf = untrusted_leaf.leaf;
			ret_fault->subleaf = untrusted_leaf.subleaf;
			return -ERANGE;
		}
	}
	return 0;
}

static bool is_policy_msr(uint32_t idx)
{
	for (unsigned i = 0; i < ARRAY_SIZE(policy_msrs); i++) {
		if (policy_msrs[i] == idx)
			return true;
	}
	return false;
}

static int check_msrs(uint64_t gva, uint32_t nr, struct cpu_policy_fault *ret_fault)
{
	if (nr > ARRAY_SIZE(policy_msrs))
		return -E2BIG;
	for (uint32_t i = 0; i < nr; i++) {
		xen_msr_entry_t untrusted_msr;
		int ret = 0;

		if (guest_copy_from(&untrusted_msr, gva + i * sizeof(untrusted_msr),
				    sizeof(untrusted_msr)))
			return -EFAULT;
		if (untrusted_msr.flags || untrusted_msr.val)
			ret = -EINVAL;
		else if (!is_policy_msr(untrusted_msr.idx))
			ret = -ERANGE;
		if (ret) {
			ret_fault->msr = untrusted_msr.idx;
			return ret;
		}
	}
	return 0;
}

int64_t cpu_policy_domctl_set(struct domctl_call *c)
{
	struct xen_domctl_cpu_policy *op = &c->op.u.cpu_policy;
	struct cpu_policy_fault fault = {~0U, ~0U, ~0U};
	struct domain *d = c->d;
	struct cpu_policy *p, *max;
	int ret;

	if (d == c->caller)
		return -EINVAL;
	/* What its vCPUs can do does not change under them. */
	if (READ_ONCE(d->built))
		return -EEXIST;
	p = heap_alloc(sizeof(*p));
	max = heap_alloc(sizeof(*max));
	ret = p && max ? 0 : -ENOMEM;
	if (!ret) {
		*p = *d->arch.policy;
		cpu_policy_max(max);
		ret = take_leaves(p, (uintptr_t)op->leaves.p, op->nr_leaves, &fault);
	}
	if (!ret)
		ret = check_msrs((uintptr_t)op->msrs.p, op->nr_msrs, &fault);
	if (!ret)
		ret = cpu_policy_check(p, max, &fault);
	if (!ret) {
		cpu_policy_level(p, max);
		*d->arch.policy = *p;
	}
	heap_free(p);
	heap_free(max);
	op->err_leaf = fault.leaf;
	op->err_subleaf = fault.subleaf;
	op->err_msr = fault.msr;
	c->copyback = ret != 0;
	return ret;
}
