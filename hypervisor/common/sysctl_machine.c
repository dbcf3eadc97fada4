/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sysctl: CPUs, memory and devices of the machine. It is one NUMA node. */
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/pci.h>
#include <bulkhead/time.h>

#include "sysctl_internal.h"

_Static_assert(sizeof(struct xen_sysctl_physinfo) == 112, "ABI");
_Static_assert(sizeof(struct xen_sysctl_cputopo) == 12, "ABI");
_Static_assert(sizeof(struct xen_sysctl_meminfo) == 16, "ABI");

#define DISTANCE_LOCAL 10 /* ACPI, SLIT: from a node to itself */
#define PCI_TOPO_BATCH 64 /* devices looked up before the call looks whether to yield */

static uint64_t claimed_pages(void)
{
	uint64_t sum = 0;
	unsigned id = 0;
	struct domain *d;

	while (id < DOMID_LIMIT && (d = domain_get_next((domid_t)id)) != NULL) {
		sum += READ_ONCE(d->outstanding_pages);
		id = d->id + 1U;
		domain_put(d);
	}
	return sum;
}

int64_t sysctl_physinfo(struct sysctl_call *c)
{
	struct xen_sysctl_physinfo *pi = &c->op.u.physinfo;

	*pi = (struct xen_sysctl_physinfo){
		.threads_per_core = 1,
		.cores_per_socket = cpu_count,
		.nr_cpus = cpu_count,
		.max_cpu_id = control_cpu_limit() - 1,
		.nr_nodes = 1,
		.max_node_id = 0,
		.capabilities = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_hap |
				XEN_SYSCTL_PHYSCAP_gnttab_v1,
		.total_pages = frames_total(),
		.free_pages = frames_free_count(),
		.outstanding_pages = claimed_pages(),
		.max_mfn = mm_max_mfn(),
	};
	arch_physinfo(pi);
	c->copyback = true;
	return 0;
}

/* CPUs are all brought up at boot and stay: only what is so already can be asked for. */
int64_t sysctl_cpu_hotplug(struct sysctl_call *c)
{
	const struct xen_sysctl_cpu_hotplug *op = &c->op.u.cpu_hotplug;

	switch (op->op) {
	case XEN_SYSCTL_CPU_HOTPLUG_ONLINE:
	case XEN_SYSCTL_CPU_HOTPLUG_OFFLINE:
		if (op->cpu >= MAX_CPUS || !cpumask_test(&cpu_online, op->cpu))
			return -EINVAL;
		return op->op == XEN_SYSCTL_CPU_HOTPLUG_ONLINE ? 0 : -EOPNOTSUPP;
	default:
		return -EOPNOTSUPP;
	}
}

int64_t sysctl_cputopoinfo(struct sysctl_call *c)
{
	struct xen_sysctl_cputopoinfo *op = &c->op.u.cputopoinfo;
	unsigned n = control_cpu_limit();
	uint64_t gva = (uintptr_t)op->cputopo.p;

	/* Without a buffer it is a question for its size. */
	if (gva)
		n = MIN(n, op->num_cpus);
	for (unsigned i = 0; gva && i < n; i++) {
		struct xen_sysctl_cputopo t = {XEN_INVALID_CORE_ID, XEN_INVALID_SOCKET_ID,
					       XEN_INVALID_NODE_ID};

		if (cpumask_test(&cpu_online, i)) {
			arch_cpu_topology(i, &t.core, &t.socket);
			t.node = 0;
		}
		if (guest_copy_to(gva + i * sizeof(t), &t, sizeof(t)))
			return -EFAULT;
	}
	op->num_cpus = n;
	c->copyback = true;
	return 0;
}

int64_t sysctl_numainfo(struct sysctl_call *c)
{
	struct xen_sysctl_numainfo *op = &c->op.u.numainfo;
	uint64_t meminfo = (uintptr_t)op->meminfo.p, distance = (uintptr_t)op->distance.p;
	const struct xen_sysctl_meminfo info = {
		.memsize = frames_total() << PAGE_SHIFT,
		.memfree = frames_free_count() << PAGE_SHIFT,
	};
	const uint32_t local = DISTANCE_LOCAL;
	bool room = op->num_nodes || (!meminfo && !distance);

	if (op->num_nodes && ((meminfo && guest_copy_to(meminfo, &info, sizeof(info))) ||
			      (distance && guest_copy_to(distance, &local, sizeof(local)))))
		return -EFAULT;
	op->num_nodes = room ? 1 : 0;
	c->copyback = true;
	return 0;
}

int64_t sysctl_pcitopoinfo(struct sysctl_call *c)
{
	struct xen_sysctl_pcitopoinfo *op = &c->op.u.pcitopoinfo;
	uint64_t devs = (uintptr_t)op->devs.p, nodes = (uintptr_t)op->nodes.p;
	uint32_t i;

	if (!devs || !nodes)
		return -EINVAL;
	/* The caller comes again for those that were not processed. */
	for (i = 0; i < op->num_devs && (i < PCI_TOPO_BATCH || !hypercall_should_yield()); i++) {
		struct physdev_pci_device untrusted_dev;
		uint32_t node;

		if (guest_copy_from(&untrusted_dev, devs + i * sizeof(untrusted_dev),
				    sizeof(untrusted_dev)))
			return -EFAULT;
		node = pci_find(sbdf_make(untrusted_dev.seg, untrusted_dev.bus,
					  untrusted_dev.devfn >> 3, untrusted_dev.devfn & 7))
			       ? 0
			       : XEN_INVALID_DEV;
		if (guest_copy_to(nodes + i * sizeof(node), &node, sizeof(node)))
			return -EFAULT;
	}
	op->num_devs = i;
	c->copyback = true;
	return 0;
}

int64_t sysctl_availheap(struct sysctl_call *c)
{
	struct xen_sysctl_availheap *op = &c->op.u.availheap;

	/* Frames are not counted by their address; node -1 is all of them. */
	op->avail_bytes = op->node > 0 ? 0 : frames_free_count() << PAGE_SHIFT;
	c->copyback = true;
	return 0;
}

int64_t sysctl_getcpuinfo(struct sysctl_call *c)
{
	struct xen_sysctl_getcpuinfo *op = &c->op.u.getcpuinfo;
	unsigned n = MIN(op->max_cpus, control_cpu_limit());

	for (unsigned i = 0; i < n; i++) {
		struct vcpu_runstate_info runstate = {0};
		struct xen_sysctl_cpuinfo info;

		if (cpu_table[i] && cpu_table[i]->idle)
			vcpu_runstate_get(cpu_table[i]->idle, &runstate);
		info.idletime = runstate.time[RUNSTATE_running];
		if (guest_copy_to((uintptr_t)op->info.p + i * sizeof(info), &info, sizeof(info)))
			return -EFAULT;
	}
	op->nr_cpus = n;
	c->copyback = true;
	return 0;
}
