/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory_op hypercall: dispatch, and the operations that only report something. */
#include "memory_internal.h"

#include <bulkhead/nospec.h>
#include <bulkhead/p2m.h>
#include <bulkhead/pod.h>

_Static_assert(sizeof(struct xen_memory_exchange) == 72, "ABI");
#define EXCHANGE_SIZE_32 44 /* two reservations of 20 bytes, and a count */

static int64_t memop_maximum_ram_page(struct memop *m)
{
	(void)m;
	return (int64_t)mm_max_mfn() + 1;
}

/* The result is signed, and 32 bits for 32-bit callers: an unlimited reservation must not look like an error. */
static int64_t bounded(const struct memop *m, uint64_t n)
{
	uint64_t max = m->hc->compat ? INT32_MAX : UINT32_MAX;

	return (int64_t)MIN(n, max);
}

static int64_t memop_domain_stat(struct memop *m)
{
	struct xen_memory_domain op;
	struct domain *d;
	int64_t rc;

	if (guest_copy_from(&op, m->arg, sizeof(op)))
		return -EFAULT;
	d = domain_get_by_id(op.domid);
	if (!d)
		return -ESRCH;
	if (!may_target(m->caller, d))
		rc = -EPERM;
	else if (m->op == XENMEM_current_reservation)
		rc = bounded(m, READ_ONCE(d->tot_pages));
	else if (m->op == XENMEM_maximum_reservation)
		rc = bounded(m, READ_ONCE(d->max_pages));
	else
		rc = (int64_t)gfn_raw(p2m_max_gfn(d));
	domain_put(d);
	return rc;
}

static int64_t memop_pod_target(struct memop *m)
{
	struct xen_pod_target op;
	/* The padding at the end is not there in the 32-bit layout. */
	size_t size = offsetof(struct xen_pod_target, domid) + sizeof(op.domid);
	struct domain *d;
	int64_t rc = 0;

	if (guest_copy_from(&op, m->arg, size))
		return -EFAULT;
	d = domain_get_by_id(op.domid);
	if (!d)
		return -ESRCH;
	if (!may_control(m->caller, d))
		rc = -EPERM;
	else if (m->op == XENMEM_set_pod_target && op.target_pages > READ_ONCE(d->max_pages))
		rc = -EINVAL;
	else if (m->op == XENMEM_set_pod_target)
		rc = pod_set_target(d, op.target_pages);
	if (rc == -ERESTART)
		(void)memop_restart(m, 0);
	if (!rc) {
		op.tot_pages = READ_ONCE(d->tot_pages);
		op.pod_cache_pages = READ_ONCE(d->pod.frames);
		op.pod_entries = p2m_pod_entries(d);
		if (guest_copy_to(m->arg, &op, size))
			rc = -EFAULT;
	}
	domain_put(d);
	return rc;
}

/* Nothing is shared between domains, so nothing is saved by it either. */
static int64_t memop_no_sharing(struct memop *m)
{
	(void)m;
	return 0;
}

/* No domain has virtual NUMA nodes; what is asked is still checked. */
static int64_t memop_vnumainfo(struct memop *m)
{
	struct xen_vnuma_topology_info op;
	struct domain *d;
	int64_t rc;

	if (guest_copy_from(&op, m->arg, offsetof(struct xen_vnuma_topology_info, vdistance)))
		return -EFAULT;
	if (op.pad)
		return -EINVAL;
	d = domain_get_by_id(op.domid);
	if (!d)
		return -ESRCH;
	rc = may_target(m->caller, d) ? -EOPNOTSUPP : -EPERM;
	domain_put(d);
	return rc;
}

/* Frames cannot be exchanged where the guest does not know them; that its argument can be read is checked first. */
static int64_t memop_exchange(struct memop *m)
{
	struct xen_memory_exchange untrusted_op;
	size_t size = m->hc->compat ? EXCHANGE_SIZE_32 : sizeof(untrusted_op);

	return guest_copy_from(&untrusted_op, m->arg, size) ? -EFAULT : -EOPNOTSUPP;
}

/* For 32-bit PV guests alone, which there are not. */
static int64_t memop_no_compat_list(struct memop *m)
{
	(void)m;
	return -EOPNOTSUPP;
}

struct memop_entry {
	int64_t (*fn)(struct memop *m);
	bool restarts; /* the upper bits of the command may be set */
};

static const struct memop_entry entries[] = {
	[XENMEM_increase_reservation] = {memop_reservation, true},
	[XENMEM_decrease_reservation] = {memop_reservation, true},
	[XENMEM_populate_physmap] = {memop_reservation, true},
	[XENMEM_maximum_ram_page] = {memop_maximum_ram_page, false},
	[XENMEM_current_reservation] = {memop_domain_stat, false},
	[XENMEM_maximum_reservation] = {memop_domain_stat, false},
	[XENMEM_maximum_gpfn] = {memop_domain_stat, false},
	[XENMEM_add_to_physmap] = {memop_add_to_physmap, true},
	[XENMEM_add_to_physmap_batch] = {memop_add_to_physmap_batch, true},
	[XENMEM_remove_from_physmap] = {memop_remove_from_physmap, false},
	[XENMEM_memory_map] = {memop_memory_map, false},
	[XENMEM_set_memory_map] = {memop_set_memory_map, false},
	[XENMEM_exchange] = {memop_exchange, false},
	[XENMEM_machphys_compat_mfn_list] = {memop_no_compat_list, false},
	[XENMEM_set_pod_target] = {memop_pod_target, false},
	[XENMEM_get_pod_target] = {memop_pod_target, false},
	[XENMEM_get_sharing_freed_pages] = {memop_no_sharing, false},
	[XENMEM_get_sharing_shared_pages] = {memop_no_sharing, false},
	[XENMEM_claim_pages] = {memop_claim_pages, false},
	[XENMEM_get_vnumainfo] = {memop_vnumainfo, false},
	[XENMEM_reserved_device_memory_map] = {memop_reserved_device_memory, false},
	[XENMEM_acquire_resource] = {memop_acquire_resource, true},
};

int64_t hypercall_memory_op(struct hypercall *hc)
{
	uint64_t cmd = hc->compat ? (uint32_t)hc->args[0] : hc->args[0];
	struct memop m = {
		.hc = hc,
		.caller = current_domain(),
		.op = (unsigned)(cmd & OP_MASK),
		.start = cmd >> OP_BITS,
		.arg = hc->args[1],
	};
	const struct memop_entry *e;

	if (m.op >= ARRAY_SIZE(entries))
		return -ENOSYS;
	e = &entries[index_nospec(m.op, ARRAY_SIZE(entries))];
	if (!e->fn)
		return -ENOSYS;
	if (m.start && !e->restarts)
		return -EINVAL;
	return e->fn(&m);
}
