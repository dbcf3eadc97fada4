/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sysctl hypercall: what the toolstack asks of the machine as a whole. Decoding, permission, dispatch. */
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/nospec.h>

#include "sysctl_internal.h"

_Static_assert(sizeof(struct xen_sysctl) == 136, "ABI");
_Static_assert(offsetof(struct xen_sysctl, u) == 8, "ABI");
_Static_assert(XEN_SYSCTL_INTERFACE_VERSION == 0x15,
	       "the operations below are those of this version");

/* No trace buffers, counters, lock profiles or patches are kept: these are the answers of a hypervisor built without them. */
static int64_t not_supported(struct sysctl_call *c)
{
	(void)c;
	return -EOPNOTSUPP;
}

/* Neither idle states nor frequencies are managed. */
static int64_t no_device(struct sysctl_call *c)
{
	(void)c;
	return -ENODEV;
}

static int64_t pm_op(struct sysctl_call *c)
{
	return (c->op.u.pm_op.cmd & PM_PARA_CATEGORY_MASK) == CPUFREQ_PARA ? -ENODEV : -ENOSYS;
}

static sysctl_fn *const entries[] = {
	[XEN_SYSCTL_readconsole] = sysctl_readconsole,
	[XEN_SYSCTL_physinfo] = sysctl_physinfo,
	[XEN_SYSCTL_sched_id] = sysctl_sched_id,
	[XEN_SYSCTL_getdomaininfolist] = sysctl_getdomaininfolist,
	[XEN_SYSCTL_debug_keys] = sysctl_debug_keys,
	[XEN_SYSCTL_getcpuinfo] = sysctl_getcpuinfo,
	[XEN_SYSCTL_availheap] = sysctl_availheap,
	[XEN_SYSCTL_get_pmstat] = no_device,
	[XEN_SYSCTL_cpu_hotplug] = sysctl_cpu_hotplug,
	[XEN_SYSCTL_pm_op] = pm_op,
	[XEN_SYSCTL_cputopoinfo] = sysctl_cputopoinfo,
	[XEN_SYSCTL_numainfo] = sysctl_numainfo,
	[XEN_SYSCTL_cpupool_op] = sysctl_cpupool_op,
	[XEN_SYSCTL_scheduler_op] = sysctl_scheduler_op,
	[XEN_SYSCTL_coverage_op] = not_supported,
	[XEN_SYSCTL_pcitopoinfo] = sysctl_pcitopoinfo,
};

static sysctl_fn *lookup(uint32_t cmd)
{
	sysctl_fn *fn = NULL;

	if (cmd < ARRAY_SIZE(entries))
		fn = entries[index_nospec(cmd, ARRAY_SIZE(entries))];
	return fn ? fn : arch_sysctl;
}

int64_t hypercall_sysctl(struct hypercall *hc)
{
	struct sysctl_call c = {.caller = current_domain()};
	int64_t ret;

	if (guest_copy_from(&c.op, hc->args[0], sizeof(c.op)))
		return -EFAULT;
	if (c.op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
		return -EACCES;
	if (!may_system(c.caller))
		return -EPERM;
	ret = lookup(c.op.cmd)(&c);
	if (c.copyback && guest_copy_to(hc->args[0], &c.op, sizeof(c.op)))
		return -EFAULT;
	return ret;
}
