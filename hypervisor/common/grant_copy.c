/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grant tables: copying between pages of two domains. */
#include <bulkhead/p2m.h>
#include <bulkhead/string.h>

#include "grant_internal.h"

/* 32-bit layout: frame numbers are shorter. */
struct copy_ptr_32 {
	uint32_t u;
	uint16_t domid, offset;
};
struct copy_32 {
	struct copy_ptr_32 source, dest;
	uint16_t len, flags;
	int16_t status;
};
_Static_assert(sizeof(struct gnttab_copy) == 40, "ABI");
_Static_assert(sizeof(struct copy_32) == 24, "ABI");

/* One side of a copy. */
struct copy_side {
	bool is_ref, readonly;
	uint64_t frame; /* reference, or the caller's gfn */
	domid_t domid;
	unsigned offset;
	struct domain *d;
	mfn_t mfn;   /* a reference is held while it is valid */
	bool mapped; /* the caller's gfn is a grant that it has mapped */
};

static int side_find_domain(struct copy_side *s)
{
	/* Pages are named by frame number only by their owner. */
	if (!s->is_ref && s->domid != DOMID_SELF)
		return GNTST_permission_denied;
	s->d = domain_get_by_id(s->domid);
	return s->d ? GNTST_okay : GNTST_bad_domain;
}

static int side_claim(struct copy_side *s, domid_t user)
{
	enum p2m_type type;

	if (s->is_ref) {
		if (s->frame > UINT32_MAX)
			return GNTST_bad_gntref;
		return grant_acquire(s->d, (uint32_t)s->frame, user, s->readonly, false, &s->mfn);
	}
	s->mfn = p2m_get_page(s->d, gfn_from(s->frame), !s->readonly, &type);
	if (mfn_is_invalid(s->mfn))
		return GNTST_bad_page;
	if (type == P2M_FOREIGN) {
		page_put(s->mfn);
		s->mfn = mfn_invalid();
		return GNTST_bad_page;
	}
	s->mapped = p2m_type_is_grant(type);
	return GNTST_okay;
}

static void side_drop(struct copy_side *s)
{
	if (!mfn_is_invalid(s->mfn)) {
		if (s->is_ref)
			grant_release(s->d, (uint32_t)s->frame, s->readonly);
		page_put(s->mfn);
	}
	domain_put(s->d);
}

/* Is it still the page that was claimed? The domain is locked if it is a mapping. */
static bool side_holds(const struct copy_side *s)
{
	enum p2m_type type;

	return !s->mapped || (mfn_eq(p2m_lookup(s->d, gfn_from(s->frame), &type), s->mfn) &&
			      p2m_type_is_grant(type));
}

static int copy_pages(const struct copy_side *src, const struct copy_side *dst, unsigned len)
{
	/* Both mappings are the caller's. */
	struct domain *locked = src->mapped ? src->d : dst->mapped ? dst->d : NULL;
	int rc = GNTST_bad_page;
	const uint8_t *from;
	uint8_t *to;

	if (src->offset + len > PAGE_SIZE || dst->offset + len > PAGE_SIZE)
		return GNTST_bad_copy_arg;
	from = window_map(src->mfn);
	to = window_map(dst->mfn);
	/*
	 * A mapping ends under this lock. Afterwards its page is the granter's alone, who must not find it changed, nor what
	 * it writes there read: our reference keeps the page from being freed, not from being used for something else.
	 */
	if (locked)
		spin_lock(&locked->lock);
	if (side_holds(src) && side_holds(dst)) {
		/* Both may be one page. */
		memmove(to + dst->offset, from + src->offset, len);
		rc = GNTST_okay;
	}
	if (locked)
		spin_unlock(&locked->lock);
	window_unmap(to);
	window_unmap(from);
	return rc;
}

static int copy_one(struct domain *caller, const struct gnttab_copy *op)
{
	struct copy_side src = {
		.is_ref = op->flags & GNTCOPY_source_gref,
		.readonly = true,
		.domid = op->source.domid,
		.offset = op->source.offset,
		.mfn = mfn_invalid(),
	};
	struct copy_side dst = {
		.is_ref = op->flags & GNTCOPY_dest_gref,
		.readonly = false,
		.domid = op->dest.domid,
		.offset = op->dest.offset,
		.mfn = mfn_invalid(),
	};
	int rc;

	src.frame = src.is_ref ? op->source.u.ref : op->source.u.gmfn;
	dst.frame = dst.is_ref ? op->dest.u.ref : op->dest.u.gmfn;
	rc = side_find_domain(&src);
	if (rc == GNTST_okay)
		rc = side_find_domain(&dst);
	if (rc == GNTST_okay)
		rc = side_claim(&src, caller->id);
	if (rc == GNTST_okay)
		rc = side_claim(&dst, caller->id);
	if (rc == GNTST_okay)
		rc = copy_pages(&src, &dst, op->len);
	side_drop(&dst);
	side_drop(&src);
	return rc;
}

/* Reads an operation of either layout. */
static int read_copy(const struct grant_call *c, uint64_t addr, struct gnttab_copy *ret)
{
	struct copy_32 op;

	if (!c->hc->compat)
		return guest_copy_from(ret, addr, sizeof(*ret));
	if (guest_copy_from(&op, addr, sizeof(op)))
		return -EFAULT;
	memset(ret, 0, sizeof(*ret));
	ret->source.u.gmfn = op.source.u;
	ret->source.domid = op.source.domid;
	ret->source.offset = op.source.offset;
	ret->dest.u.gmfn = op.dest.u;
	ret->dest.domid = op.dest.domid;
	ret->dest.offset = op.dest.offset;
	ret->len = op.len;
	ret->flags = op.flags;
	return 0;
}

int64_t grant_op_copy(struct grant_call *c)
{
	size_t size = c->hc->compat ? sizeof(struct copy_32) : sizeof(struct gnttab_copy);
	size_t status_at = c->hc->compat ? offsetof(struct copy_32, status)
					 : offsetof(struct gnttab_copy, status);
	struct gnttab_copy op;

	for (uint32_t i = 0; i < c->count; i++) {
		uint64_t addr = c->list + (uint64_t)i * size;

		if (i && hypercall_should_yield())
			return grant_restart(c, i, size);
		if (read_copy(c, addr, &op))
			return -EFAULT;
		op.status = (int16_t)copy_one(c->caller, &op);
		if (guest_copy_to(addr + status_at, &op.status, sizeof(op.status)))
			return -EFAULT;
	}
	return 0;
}
