/* SPDX-License-Identifier: GPL-2.0-or-later */
/* domctl: limits and settings of a domain, and what its memory is. */
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/p2m.h>
#include <bulkhead/string.h>

#include "domctl_internal.h"

#define PAGES_PER_MIB	 BIT(20 - PAGE_SHIFT)
#define FRAME_INFO_MAX	 1024 /* frames of one getpageframeinfo3 */
#define FRAME_INFO_PIECE 64   /* of these, how many are on the stack */

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

/* ---- Kinds of frames ---- */

static uint64_t frame_info(struct domain *d, uint64_t gfn)
{
	enum p2m_type type;

	(void)p2m_lookup(d, gfn_from(gfn), &type);
	/* Pages of others are theirs to save, and device memory is nobody's. */
	return p2m_type_is_ram(type) || type == P2M_POD ? XEN_DOMCTL_PFINFO_NOTAB
							: XEN_DOMCTL_PFINFO_XTAB;
}

int64_t domctl_getpageframeinfo3(struct domctl_call *c)
{
	const struct xen_domctl_getpageframeinfo3 *op = &c->op.u.getpageframeinfo3;
	uint64_t untrusted_gfns[FRAME_INFO_PIECE], list = (uintptr_t)op->array.p;

	if (op->num > FRAME_INFO_MAX)
		return -E2BIG;
	for (uint64_t done = 0; done < op->num;) {
		uint64_t n = MIN(op->num - done, (uint64_t)FRAME_INFO_PIECE);

		if (guest_copy_from(untrusted_gfns, list + done * 8, n * 8))
			return -EFAULT;
		for (uint64_t i = 0; i < n; i++)
			untrusted_gfns[i] = frame_info(c->d, untrusted_gfns[i]);
		if (guest_copy_to(list + done * 8, untrusted_gfns, n * 8))
			return -EFAULT;
		done += n;
	}
	return 0;
}
