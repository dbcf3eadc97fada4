/* SPDX-License-Identifier: GPL-2.0-or-later */
/* domctl: vCPUs, where they may run, and how they are scheduled. */
#include <bulkhead/errno.h>
#include <bulkhead/nospec.h>

#include "domctl_internal.h"

_Static_assert(sizeof(struct xen_domctl_getvcpuinfo) == 24, "ABI");
_Static_assert(sizeof(struct xen_domctl_vcpuaffinity) == 40, "ABI");
_Static_assert(sizeof(struct xen_domctl_scheduler_op) == 24, "ABI");

#define NODES_MAX 64 /* that the tools may name; the machine is one node */

/* -EINVAL: no such id; -ESRCH: it was not created. */
static int find_vcpu(struct domain *d, uint32_t id, struct vcpu **ret_v)
{
	struct vcpu *v;

	if (id >= d->max_vcpus)
		return -EINVAL;
	v = __atomic_load_n(&d->vcpus[index_nospec(id, d->max_vcpus)], __ATOMIC_ACQUIRE);
	if (!v)
		return -ESRCH;
	*ret_v = v;
	return 0;
}

int64_t domctl_getvcpuinfo(struct domctl_call *c)
{
	struct xen_domctl_getvcpuinfo *op = &c->op.u.getvcpuinfo;
	struct vcpu_runstate_info runstate;
	struct vcpu *v;
	unsigned why;
	int ret = find_vcpu(c->d, op->vcpu, &v);

	if (ret)
		return ret;
	vcpu_runstate_get(v, &runstate);
	why = READ_ONCE(v->pause_flags);
	op->online = !(why & VPF_DOWN);
	op->blocked = !!(why & VPF_BLOCKED);
	op->running = READ_ONCE(v->is_running);
	op->cpu_time = runstate.time[RUNSTATE_running];
	op->cpu = READ_ONCE(v->cpu);
	c->copyback = true;
	return 0;
}

/* ---- Affinity ---- */

unsigned control_cpu_limit(void)
{
	unsigned n = MAX_CPUS;

	while (n && !cpu_table[n - 1])
		n--;
	return n;
}

static int put_mask(const struct xenctl_bitmap *to, const cpumask_t *mask, const cpumask_t *within)
{
	cpumask_t out;

	for (unsigned i = 0; i < ARRAY_SIZE(out.bits); i++)
		out.bits[i] = mask->bits[i] & (within ? within->bits[i] : ~0UL);
	return control_bitmap_put(to, out.bits, control_cpu_limit());
}

/* The masks that come back are those in effect: what of the wish is online and, for the soft one, in the hard one. */
static int64_t set_affinity(struct vcpu *v, const struct xen_domctl_vcpuaffinity *op)
{
	unsigned both = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;
	cpumask_t hard, soft;
	int ret;

	if (!(op->flags & both) || (op->flags & ~(both | XEN_VCPUAFFINITY_FORCE)))
		return -EINVAL;
	if (((op->flags & XEN_VCPUAFFINITY_HARD) &&
	     control_bitmap_get(&op->cpumap_hard, hard.bits, MAX_CPUS)) ||
	    ((op->flags & XEN_VCPUAFFINITY_SOFT) &&
	     control_bitmap_get(&op->cpumap_soft, soft.bits, MAX_CPUS)))
		return -EFAULT;
	if (op->flags & XEN_VCPUAFFINITY_FORCE)
		(void)sched_pin_override(v, -1); /* it need not be pinned */
	ret = sched_set_affinity(v, op->flags & XEN_VCPUAFFINITY_HARD ? &hard : NULL,
				 op->flags & XEN_VCPUAFFINITY_SOFT ? &soft : NULL);
	if (!ret && (op->flags & XEN_VCPUAFFINITY_HARD))
		ret = put_mask(&op->cpumap_hard, &v->hard_affinity, &cpu_online);
	if (!ret && (op->flags & XEN_VCPUAFFINITY_SOFT)) {
		for (unsigned i = 0; i < ARRAY_SIZE(soft.bits); i++)
			soft.bits[i] = v->hard_affinity.bits[i] & cpu_online.bits[i];
		ret = put_mask(&op->cpumap_soft, &v->soft_affinity, &soft);
	}
	return ret;
}

static int64_t get_affinity(struct vcpu *v, const struct xen_domctl_vcpuaffinity *op)
{
	int ret = 0;

	if (!(op->flags & (XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT)))
		return -EINVAL;
	if (op->flags & XEN_VCPUAFFINITY_HARD)
		ret = put_mask(&op->cpumap_hard, &v->hard_affinity, NULL);
	if (!ret && (op->flags & XEN_VCPUAFFINITY_SOFT))
		ret = put_mask(&op->cpumap_soft, &v->soft_affinity, NULL);
	return ret;
}

int64_t domctl_vcpuaffinity(struct domctl_call *c)
{
	const struct xen_domctl_vcpuaffinity *op = &c->op.u.vcpuaffinity;
	struct vcpu *v;
	int ret = find_vcpu(c->d, op->vcpu, &v);

	if (ret)
		return ret;
	return c->op.cmd == XEN_DOMCTL_setvcpuaffinity ? set_affinity(v, op) : get_affinity(v, op);
}

/* All memory is one node: any wish that includes it is fulfilled. */
int64_t domctl_setnodeaffinity(struct domctl_call *c)
{
	BITMAP_DECLARE(nodes, NODES_MAX);

	if (control_bitmap_get(&c->op.u.nodeaffinity.nodemap, nodes, NODES_MAX))
		return -EFAULT;
	return bitmap_test(nodes, 0) ? 0 : -EINVAL;
}

int64_t domctl_getnodeaffinity(struct domctl_call *c)
{
	BITMAP_DECLARE(nodes, NODES_MAX) = {1};

	return control_bitmap_put(&c->op.u.nodeaffinity.nodemap, nodes, NODES_MAX);
}

/* ---- Scheduler ---- */

int64_t domctl_scheduler_op(struct domctl_call *c)
{
	int ret = sched_domctl(c->d, &c->op.u.scheduler_op);

	c->copyback = !ret;
	return ret;
}
