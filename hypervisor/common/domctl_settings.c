/* SPDX-License-Identifier: GPL-2.0-or-later */
/* domctl: limits and settings of a domain. */
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/p2m.h>
#include <bulkhead/string.h>

#include "domctl_internal.h"

#define PAGES_PER_MIB BIT(20 - PAGE_SHIFT)

_Static_assert(sizeof(struct xen_domctl_shadow_op) == 40, "ABI");
_Static_assert(sizeof(struct xen_domctl_paging_mempool) == 8, "ABI");

int64_t domctl_max_mem(struct domctl_call *c)
{
	/* It may be less than the domain has: then it gets no more. */
	spin_lock(&c->d->page_lock);
	c->d->max_pages = c->op.u.max_mem.max_memkb >> (PAGE_SHIFT - 10);
	spin_unlock(&c->d->page_lock);
	return 0;
}

int64_t domctl_setdomainhandle(struct domctl_call *c)
{
	_Static_assert(sizeof(c->d->handle) == sizeof(xen_domain_handle_t), "ABI");
	memcpy(c->d->handle, c->op.u.setdomainhandle.handle, sizeof(c->d->handle));
	return 0;
}

int64_t domctl_settimeoffset(struct domctl_call *c)
{
	c->d->time_offset_seconds = c->op.u.settimeoffset.time_offset_seconds;
	domain_wallclock_update(c->d);
	return 0;
}

int64_t domctl_subscribe(struct domctl_call *c)
{
	WRITE_ONCE(c->d->suspend_port, c->op.u.subscribe.port);
	return 0;
}

int64_t domctl_set_virq_handler(struct domctl_call *c)
{
	return event_set_virq_handler(c->d, c->op.u.set_virq_handler.virq);
}

/* ---- Pool of the tables of its memory map ---- */

int64_t domctl_paging_mempool(struct domctl_call *c)
{
	uint64_t size = c->op.u.paging_mempool.size;

	if (c->op.cmd == XEN_DOMCTL_get_paging_mempool_size) {
		c->op.u.paging_mempool.size = p2m_pool_get(c->d) << PAGE_SHIFT;
		c->copyback = true;
		return 0;
	}
	if (!IS_ALIGNED(size, PAGE_SIZE))
		return -EINVAL;
	return p2m_pool_set(c->d, size >> PAGE_SHIFT);
}

/* The older form of the same, in MiB. Dirty pages are not logged; there is no shadow paging. */
int64_t domctl_shadow_op(struct domctl_call *c)
{
	struct xen_domctl_shadow_op *op = &c->op.u.shadow_op;

	switch (op->op) {
	case XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION:
		op->mb = (uint32_t)DIV_ROUND_UP(p2m_pool_get(c->d), PAGES_PER_MIB);
		c->copyback = true;
		return 0;
	case XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION:
		return c->d == c->caller ? -EINVAL : p2m_pool_set(c->d, op->mb * PAGES_PER_MIB);
	case XEN_DOMCTL_SHADOW_OP_OFF:
	case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
	case XEN_DOMCTL_SHADOW_OP_CLEAN:
	case XEN_DOMCTL_SHADOW_OP_PEEK:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}
