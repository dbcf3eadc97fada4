/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The domctl hypercall: what the toolstack does to one domain. Decoding, permission, dispatch. */
#include <bulkhead/control.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/nospec.h>

#include "domctl_internal.h"

_Static_assert(sizeof(struct xen_domctl) == 144, "ABI");
_Static_assert(offsetof(struct xen_domctl, u) == 16, "ABI");
_Static_assert(XEN_DOMCTL_INTERFACE_VERSION == 0x15,
	       "the operations below are those of this version");

/* Operations change domains one at a time, so that two callers cannot build the same one. */
static spinlock_t domctl_lock = SPINLOCK_INIT;

enum {
	NO_LOCK = 1, /* may take long, and looks after itself */
};

static const struct {
	domctl_fn *fn;
	unsigned flags;
} entries[] = {
	[XEN_DOMCTL_createdomain] = {domctl_createdomain, 0},
	[XEN_DOMCTL_destroydomain] = {domctl_destroydomain, NO_LOCK},
	[XEN_DOMCTL_pausedomain] = {domctl_pausedomain, 0},
	[XEN_DOMCTL_unpausedomain] = {domctl_unpausedomain, 0},
	[XEN_DOMCTL_getdomaininfo] = {domctl_getdomaininfo, 0},
	[XEN_DOMCTL_setvcpuaffinity] = {domctl_vcpuaffinity, 0},
	[XEN_DOMCTL_getvcpuaffinity] = {domctl_vcpuaffinity, 0},
	[XEN_DOMCTL_shadow_op] = {domctl_shadow_op, 0},
	[XEN_DOMCTL_max_mem] = {domctl_max_mem, 0},
	[XEN_DOMCTL_getvcpuinfo] = {domctl_getvcpuinfo, 0},
	[XEN_DOMCTL_max_vcpus] = {domctl_max_vcpus, 0},
	[XEN_DOMCTL_scheduler_op] = {domctl_scheduler_op, 0},
	[XEN_DOMCTL_setdomainhandle] = {domctl_setdomainhandle, 0},
	[XEN_DOMCTL_irq_permission] = {domctl_irq_permission, 0},
	[XEN_DOMCTL_iomem_permission] = {domctl_iomem_permission, 0},
	[XEN_DOMCTL_ioport_permission] = {domctl_ioport_permission, 0},
	[XEN_DOMCTL_settimeoffset] = {domctl_settimeoffset, 0},
	[XEN_DOMCTL_resumedomain] = {domctl_resumedomain, 0},
	[XEN_DOMCTL_subscribe] = {domctl_subscribe, 0},
	[XEN_DOMCTL_set_virq_handler] = {domctl_set_virq_handler, 0},
	[XEN_DOMCTL_setnodeaffinity] = {domctl_setnodeaffinity, 0},
	[XEN_DOMCTL_getnodeaffinity] = {domctl_getnodeaffinity, 0},
	[XEN_DOMCTL_get_paging_mempool_size] = {domctl_paging_mempool, 0},
	[XEN_DOMCTL_set_paging_mempool_size] = {domctl_paging_mempool, 0},
};

static domctl_fn *lookup(uint32_t cmd, unsigned *ret_flags)
{
	uint64_t i;

	*ret_flags = 0;
	if (cmd >= ARRAY_SIZE(entries))
		return arch_domctl;
	i = index_nospec(cmd, ARRAY_SIZE(entries));
	if (!entries[i].fn)
		return arch_domctl;
	*ret_flags = entries[i].flags;
	return entries[i].fn;
}

/* Two operations do not name a domain that exists: the one that makes it, and the one that means "this or the next". */
static int find_domain(struct domctl_call *c)
{
	domid_t id = c->op.domain;

	if (c->op.cmd == XEN_DOMCTL_getdomaininfo) {
		if (id >= DOMID_FIRST_RESERVED && id != DOMID_SELF)
			return -EINVAL;
		c->d = id == DOMID_SELF ? domain_get_by_id(id) : domain_get_next(id);
		return c->d ? 0 : -ESRCH;
	}
	if (c->op.cmd == XEN_DOMCTL_createdomain)
		return 0;
	c->d = domain_get_by_id(id);
	return c->d ? 0 : -ESRCH;
}

static int64_t run(struct domctl_call *c)
{
	unsigned flags;
	domctl_fn *fn = lookup(c->op.cmd, &flags);
	int64_t ret;

	/* May it be done at all, and to this domain? */
	if (c->op.cmd == XEN_DOMCTL_createdomain ? !may_system(c->caller)
						 : !may_control(c->caller, c->d))
		return -EPERM;
	if (flags & NO_LOCK)
		return fn(c);
	/* Nobody waits: who has the lock may have to wait for a vCPU that would then wait for it. */
	if (!spin_trylock(&domctl_lock))
		return -ERESTART;
	ret = fn(c);
	spin_unlock(&domctl_lock);
	return ret;
}

int64_t hypercall_domctl(struct hypercall *hc)
{
	struct domctl_call c = {.caller = current_domain()};
	int64_t ret;

	if (guest_copy_from(&c.op, hc->args[0], sizeof(c.op)))
		return -EFAULT;
	if (c.op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
		return -EACCES;
	ret = find_domain(&c);
	if (ret)
		return ret;
	ret = run(&c);
	domain_put(c.d);
	if (c.copyback && guest_copy_to(hc->args[0], &c.op, sizeof(c.op)))
		return -EFAULT;
	return ret;
}
