/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory_op hypercall: putting special, foreign and moved pages into the p2m, and taking pages out. */
#include <bulkhead/grant.h>
#include <bulkhead/physmap.h>
#include <bulkhead/pod.h>

#include "memory_internal.h"

struct add_to_physmap_32 {
	uint16_t domid, size;
	uint32_t space, idx, gpfn;
};
struct add_to_physmap_batch_32 {
	uint16_t domid, space, size, foreign_domid;
	uint32_t idxs, gpfns, errs;
};
struct remove_from_physmap_32 {
	uint16_t domid, pad;
	uint32_t gpfn;
};
struct acquire_resource_32 {
	uint16_t domid, type;
	uint32_t id, nr_frames, pad;
	uint64_t frame __packed __aligned(4);
	uint32_t frame_list;
};
_Static_assert(sizeof(struct xen_add_to_physmap) == 24, "ABI");
_Static_assert(sizeof(struct xen_add_to_physmap_batch) == 32, "ABI");
_Static_assert(sizeof(struct xen_remove_from_physmap) == 16, "ABI");
_Static_assert(sizeof(struct xen_mem_acquire_resource) == 32, "ABI");
_Static_assert(sizeof(struct add_to_physmap_32) == 16, "ABI");
_Static_assert(sizeof(struct add_to_physmap_batch_32) == 20, "ABI");
_Static_assert(sizeof(struct remove_from_physmap_32) == 8, "ABI");
_Static_assert(sizeof(struct acquire_resource_32) == 28, "ABI");

static int add_shared_info(struct domain *d, uint64_t idx, gfn_t gfn)
{
	struct memory_domain *md;

	if (idx || mfn_is_invalid(d->shared_info_mfn))
		return -EINVAL;
	md = memory_domain_of(d);
	if (!md)
		return -ENOMEM;
	return physmap_set_special(d, gfn, d->shared_info_mfn, &md->shared_info_home);
}

static int add_grant_frame(struct domain *d, uint64_t idx, gfn_t gfn)
{
	bool status = idx & XENMAPIDX_grant_table_status;
	mfn_t mfn;
	int rc;

	idx &= ~(uint64_t)XENMAPIDX_grant_table_status;
	if (idx > UINT32_MAX)
		return -EINVAL;
	rc = grant_table_frame(d, (uint32_t)idx, status, &mfn);
	if (rc)
		return rc;
	return physmap_set_special(d, gfn, mfn, grant_frame_home(d, (uint32_t)idx));
}

/* Moves a page of the domain's RAM to another gfn: out first, so that it is never in two places. */
static int move_page(struct domain *d, uint64_t idx, gfn_t gfn)
{
	struct physmap_batch b;
	enum p2m_type type;
	int rc = -EINVAL;
	mfn_t mfn;

	physmap_begin(&b, d);
	mfn = p2m_lookup(d, gfn_from(idx), &type);
	if (type == P2M_POD && pod_touch(d, gfn_from(idx)))
		mfn = p2m_lookup(d, gfn_from(idx), &type);
	if (p2m_type_is_ram(type))
		rc = gfn_raw(gfn) == idx ? 0 : p2m_clear(d, gfn_from(idx), ORDER_4K);
	if (!rc && gfn_raw(gfn) != idx) {
		rc = physmap_set(&b, gfn, mfn, type);
		if (rc)
			(void)p2m_set(d, gfn_from(idx), mfn, ORDER_4K,
				      type); /* its table is there */
	}
	physmap_end(&b);
	return rc;
}

static int add_foreign(struct domain *d, uint64_t idx, gfn_t gfn, domid_t foreign)
{
	struct domain *owner = foreign == DOMID_SELF ? NULL : domain_get_by_id(foreign);
	int rc;

	if (!owner)
		return -ESRCH;
	if (owner == d || !may_model(d, owner))
		rc = -EPERM;
	else
		rc = physmap_set_foreign(d, gfn, owner, gfn_from(idx));
	domain_put(owner);
	return rc;
}

static int add_one(struct domain *d, unsigned space, uint64_t idx, gfn_t gfn, domid_t foreign)
{
	switch (space) {
	case XENMAPSPACE_shared_info:
		return add_shared_info(d, idx, gfn);
	case XENMAPSPACE_grant_table:
		return add_grant_frame(d, idx, gfn);
	case XENMAPSPACE_gmfn:
		return move_page(d, idx, gfn);
	case XENMAPSPACE_gmfn_foreign:
		return add_foreign(d, idx, gfn, foreign);
	default: /* dev_mmio included: device memory is where the platform puts it */
		return -EINVAL;
	}
}

/* Looks up the domain whose p2m is to be changed; -ESRCH, -EACCES, -EPERM. */
static int target(struct memop *m, domid_t domid, unsigned space, struct domain **ret_d)
{
	struct domain *d = domain_get_by_id(domid);
	int rc = 0;

	if (!d)
		return -ESRCH;
	if (space == XENMAPSPACE_dev_mmio && (!d->hardware || d != m->caller))
		rc = -EACCES;
	else if (!may_target(m->caller, d))
		rc = -EPERM;
	if (rc)
		domain_put(d);
	else
		*ret_d = d;
	return rc;
}

static int64_t move_range(struct memop *m, struct domain *d, const struct xen_add_to_physmap *op)
{
	uint64_t done = m->start;

	if (op->size < done)
		return -EILSEQ;
	if (op->gpfn + op->size < op->gpfn || op->idx + op->size < op->idx)
		return -EOVERFLOW;
	for (; done < op->size; done++) {
		int rc;

		if (done != m->start && hypercall_should_yield())
			return memop_restart(m, done);
		rc = move_page(d, op->idx + done, gfn_from(op->gpfn + done));
		if (rc)
			return rc;
	}
	return 0;
}

int64_t memop_add_to_physmap(struct memop *m)
{
	struct xen_add_to_physmap op;
	struct add_to_physmap_32 op32;
	struct domain *d;
	int64_t rc;

	if (m->start > UINT16_MAX)
		return -EDOM;
	if (m->hc->compat) {
		if (guest_copy_from(&op32, m->arg, sizeof(op32)))
			return -EFAULT;
		op = (struct xen_add_to_physmap){.domid = op32.domid,
						 .size = op32.size,
						 .space = op32.space,
						 .idx = op32.idx,
						 .gpfn = op32.gpfn};
	} else if (guest_copy_from(&op, m->arg, sizeof(op))) {
		return -EFAULT;
	}
	if (op.space == XENMAPSPACE_gmfn_foreign)
		return -ENOSYS;
	rc = target(m, op.domid, op.space, &d);
	if (rc)
		return rc;
	if (memop_gfn_is_invalid(m, op.gpfn))
		rc = -EINVAL;
	else if (op.space == XENMAPSPACE_gmfn_range)
		rc = move_range(m, d, &op);
	else
		rc = add_one(d, op.space, op.idx, gfn_from(op.gpfn), DOMID_INVALID);
	domain_put(d);
	return rc;
}

struct batch {
	unsigned space, size;
	domid_t domid, foreign;
	uint64_t idxs, gpfns, errs;
};

static int read_batch(struct memop *m, struct batch *ret)
{
	struct xen_add_to_physmap_batch op;
	struct add_to_physmap_batch_32 op32;

	if (m->hc->compat) {
		if (guest_copy_from(&op32, m->arg, sizeof(op32)))
			return -EFAULT;
		*ret = (struct batch){op32.space, op32.size,  op32.domid, op32.foreign_domid,
				      op32.idxs,  op32.gpfns, op32.errs};
		return 0;
	}
	if (guest_copy_from(&op, m->arg, sizeof(op)))
		return -EFAULT;
	*ret = (struct batch){op.space,
			      op.size,
			      op.domid,
			      op.u.foreign_domid,
			      (uintptr_t)op.idxs.p,
			      (uintptr_t)op.gpfns.p,
			      (uintptr_t)op.errs.p};
	return 0;
}

static int64_t run_batch(struct memop *m, struct domain *d, const struct batch *op)
{
	uint64_t i = m->start;

	if (op->size < i || (op->size == i && i))
		return -EILSEQ;
	if (op->space == XENMAPSPACE_dev_mmio && op->foreign)
		return -EOPNOTSUPP;
	for (; i < op->size; i++) {
		uint64_t idx, gpfn;
		int32_t rc;

		if (i != m->start && hypercall_should_yield())
			return memop_restart(m, i);
		if (memop_read_long(m, op->idxs, i, &idx) ||
		    memop_read_long(m, op->gpfns, i, &gpfn))
			return -EFAULT;
		if (memop_gfn_is_invalid(m, gpfn))
			return -EINVAL;
		rc = add_one(d, op->space, idx, gfn_from(gpfn), op->foreign);
		if (guest_copy_to(op->errs + i * sizeof(rc), &rc, sizeof(rc)))
			return -EFAULT;
	}
	return 0;
}

int64_t memop_add_to_physmap_batch(struct memop *m)
{
	struct domain *d;
	struct batch op;
	int64_t rc;

	if (m->start > UINT16_MAX)
		return -EDOM;
	if (read_batch(m, &op))
		return -EFAULT;
	if (op.space == XENMAPSPACE_gmfn_range)
		return -EOPNOTSUPP;
	rc = target(m, op.domid, op.space, &d);
	if (rc)
		return rc;
	rc = run_batch(m, d, &op);
	domain_put(d);
	return rc;
}

int64_t memop_remove_from_physmap(struct memop *m)
{
	struct xen_remove_from_physmap op;
	struct remove_from_physmap_32 op32;
	struct physmap_batch b;
	struct domain *d;
	int rc;

	if (m->hc->compat) {
		if (guest_copy_from(&op32, m->arg, sizeof(op32)))
			return -EFAULT;
		op = (struct xen_remove_from_physmap){.domid = op32.domid, .gpfn = op32.gpfn};
	} else if (guest_copy_from(&op, m->arg, sizeof(op))) {
		return -EFAULT;
	}
	rc = target(m, op.domid, XENMAPSPACE_gmfn, &d);
	if (rc)
		return rc;
	physmap_begin(&b, d);
	rc = physmap_clear(&b, gfn_from(op.gpfn));
	physmap_end(&b);
	pod_trim(d);
	domain_put(d);
	return rc;
}

struct resource {
	domid_t domid;
	uint16_t type;
	uint32_t id, nr;
	uint64_t frame, list;
};

static int read_resource(struct memop *m, struct resource *ret)
{
	struct xen_mem_acquire_resource op;
	struct acquire_resource_32 op32;
	uint32_t pad;

	if (m->hc->compat) {
		if (guest_copy_from(&op32, m->arg, sizeof(op32)))
			return -EFAULT;
		*ret = (struct resource){op32.domid,	 op32.type,  op32.id,
					 op32.nr_frames, op32.frame, op32.frame_list};
		pad = op32.pad;
	} else {
		if (guest_copy_from(&op, m->arg, sizeof(op)))
			return -EFAULT;
		*ret = (struct resource){op.domid,     op.type,	 op.id,
					 op.nr_frames, op.frame, (uintptr_t)op.frame_list.p};
		pad = op.pad;
	}
	return pad || ret->frame >> 32 || (ret->frame + ret->nr) >> 32 ? -EINVAL : 0;
}

/* One frame of a resource, with a reference for its new entry; 0, -EINVAL, -ENOMEM, -EOPNOTSUPP. */
static int resource_frame(struct domain *d, const struct resource *r, uint64_t i, mfn_t *ret_mfn)
{
	int rc;

	if (r->type != XENMEM_resource_grant_table)
		return -EOPNOTSUPP;
	rc = grant_table_frame(d, (uint32_t)(r->frame + i),
			       r->id == XENMEM_resource_grant_table_id_status, ret_mfn);
	if (rc)
		return rc;
	return page_get(*ret_mfn, d) ? 0 : -EINVAL;
}

/* How many frames it has; 0 or -EINVAL (no such id), -EOPNOTSUPP (no such type). */
static int resource_size(struct domain *d, const struct resource *r, uint32_t *ret_nr)
{
	if (r->type != XENMEM_resource_grant_table)
		return -EOPNOTSUPP;
	if (r->id != XENMEM_resource_grant_table_id_shared)
		return -EINVAL; /* no status frames without version 2 */
	*ret_nr = grant_max_frames(d);
	return *ret_nr ? 0 : -EINVAL;
}

static int64_t resource_map(struct memop *m, struct domain *d, const struct resource *r)
{
	for (uint64_t i = m->start; i < r->nr; i++) {
		uint64_t gfn;
		mfn_t mfn;
		int rc;

		if (i != m->start && hypercall_should_yield())
			return memop_restart(m, i);
		if (memop_read_long(m, r->list, i, &gfn))
			return -EFAULT;
		rc = resource_frame(d, r, i, &mfn);
		if (rc)
			return rc;
		rc = physmap_set_foreign_mfn(m->caller, gfn_from(gfn), mfn);
		if (rc) {
			page_put(mfn);
			/* -EIO: some are mapped, and the caller has to unmap them. */
			return i ? -EIO : rc;
		}
	}
	return 0;
}

int64_t memop_acquire_resource(struct memop *m)
{
	size_t nr_offset = m->hc->compat ? offsetof(struct acquire_resource_32, nr_frames)
					 : offsetof(struct xen_mem_acquire_resource, nr_frames);
	struct resource r;
	struct domain *d;
	uint32_t size;
	int64_t rc;

	/* Such an entry keeps a page of another domain alive: one domain only is trusted to let go of it (ABI). */
	if (!m->caller->hardware)
		return -EACCES;
	rc = read_resource(m, &r);
	if (rc)
		return rc;
	d = r.domid == DOMID_SELF ? NULL : domain_get_by_id(r.domid);
	if (!d)
		return -ESRCH;
	if (d == m->caller || !may_model(m->caller, d)) {
		rc = -EPERM;
		goto out;
	}
	rc = resource_size(d, &r, &size);
	if (rc)
		goto out;
	if (!r.list) {
		if (r.nr || m->start)
			rc = -EINVAL;
		else
			rc = guest_copy_to(m->arg + nr_offset, &size, sizeof(size));
	} else if (m->start >= r.nr || r.nr > EXTENTS_MAX) {
		rc = -EINVAL;
	} else {
		rc = resource_map(m, d, &r);
	}
out:
	domain_put(d);
	return rc;
}
