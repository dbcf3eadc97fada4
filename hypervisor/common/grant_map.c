/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grant tables: mapping pages of other domains, and undoing it. */
#include <bulkhead/log.h>
#include <bulkhead/physmap.h>

#include "grant_internal.h"

/* Mappings that are undone with one TLB flush. */
#define UNMAP_BATCH PHYSMAP_DROPS

_Static_assert(sizeof(struct gnttab_map_grant_ref) == 32, "one layout for all callers");
_Static_assert(sizeof(struct gnttab_unmap_grant_ref) == 24, "one layout for all callers");

/* Any number below the pages that exist. */
static struct grant_mapping *mapping_of(struct grant_table *gt, uint32_t handle)
{
	uint32_t nr = gt->nr_mapping_pages * (uint32_t)GRANT_MAPPINGS_PER_PAGE;

	if (handle >= nr)
		return NULL;
	handle = (uint32_t)index_nospec(handle, nr);
	return &gt->mappings[handle / GRANT_MAPPINGS_PER_PAGE][handle % GRANT_MAPPINGS_PER_PAGE];
}

/* The lock is held. */
static bool mappings_grow(struct grant_table *gt)
{
	uint32_t first = gt->nr_mapping_pages * (uint32_t)GRANT_MAPPINGS_PER_PAGE;
	struct grant_mapping *page;

	if (gt->nr_mapping_pages == gt->max_mapping_pages)
		return false;
	page = heap_page_alloc();
	if (!page)
		return false;
	for (uint32_t i = 0; i < GRANT_MAPPINGS_PER_PAGE; i++)
		page[i].ref = i + 1 < GRANT_MAPPINGS_PER_PAGE ? first + i + 1 : gt->free_handle;
	gt->free_handle = first;
	gt->mappings[gt->nr_mapping_pages++] = page;
	return true;
}

/* GRANT_NO_HANDLE if the quota is used up. The mapping is busy until mapping_publish() or mapping_free(). */
static uint32_t mapping_alloc(struct grant_table *gt)
{
	uint32_t handle = GRANT_NO_HANDLE;

	spin_lock(&gt->lock);
	if (gt->free_handle != GRANT_NO_HANDLE || mappings_grow(gt)) {
		struct grant_mapping *m;

		handle = gt->free_handle;
		m = mapping_of(gt, handle);
		gt->free_handle = m->ref;
		m->busy = true;
	}
	spin_unlock(&gt->lock);
	return handle;
}

static void mapping_free(struct grant_table *gt, uint32_t handle)
{
	struct grant_mapping *m;

	spin_lock(&gt->lock);
	m = mapping_of(gt, handle);
	m->granter = NULL;
	m->busy = false;
	m->ref = gt->free_handle;
	gt->free_handle = handle;
	spin_unlock(&gt->lock);
}

static void mapping_publish(struct grant_table *gt, uint32_t handle, const struct grant_mapping *in)
{
	spin_lock(&gt->lock);
	*mapping_of(gt, handle) = *in;
	spin_unlock(&gt->lock);
}

/* The reference on the page goes to the p2m entry if this succeeds. */
static int enter(struct domain *d, const struct grant_mapping *m)
{
	struct physmap_batch b;
	int rc;

	physmap_begin(&b, d);
	rc = physmap_set(&b, m->gfn, m->mfn, m->readonly ? P2M_GRANT_RO : P2M_GRANT_RW);
	physmap_end(&b);
	return rc ? GNTST_general_error : GNTST_okay;
}

/* `m` says what is to be mapped where; on success the handle is in use and keeps the reference on the granter. */
static int map_page(struct domain *d, struct grant_mapping *m, uint32_t *ret_handle)
{
	uint32_t handle = mapping_alloc(d->grants);
	int rc;

	if (handle == GRANT_NO_HANDLE)
		return GNTST_no_space;
	rc = grant_acquire(m->granter, m->ref, d->id, m->readonly, true, &m->mfn);
	if (rc != GNTST_okay)
		goto err_handle;
	rc = enter(d, m);
	if (rc != GNTST_okay)
		goto err_grant;
	mapping_publish(d->grants, handle, m);
	*ret_handle = handle;
	return GNTST_okay;

err_grant:
	grant_release(m->granter, m->ref, m->readonly);
	page_put(m->mfn);
err_handle:
	mapping_free(d->grants, handle);
	return rc;
}

static int map_one(struct domain *d, struct gnttab_map_grant_ref *op)
{
	struct grant_mapping m = {
		.gfn = gaddr_to_gfn(gaddr_from(op->host_addr)),
		.ref = op->ref,
		.readonly = op->flags & GNTMAP_readonly,
	};
	int rc;

	if (!(op->flags & (GNTMAP_host_map | GNTMAP_device_map)))
		return GNTST_bad_gntref;
	/* Device mappings follow those of the guest; page tables and applications are the guest's own business. */
	if ((op->flags & ~(uint32_t)GNTMAP_readonly) != GNTMAP_host_map)
		return GNTST_general_error;
	m.granter = op->dom == DOMID_SELF ? NULL : domain_get_by_id(op->dom);
	if (!m.granter)
		return GNTST_bad_domain;
	rc = map_page(d, &m, &op->handle);
	if (rc != GNTST_okay) {
		domain_put(m.granter);
		return rc;
	}
	/* Where devices of the domain see the page: the IOMMU follows the p2m. */
	op->dev_bus_addr = gaddr_raw(gfn_to_gaddr(m.gfn));
	return GNTST_okay;
}

int64_t grant_op_map(struct grant_call *c)
{
	struct gnttab_map_grant_ref op;

	for (uint32_t i = 0; i < c->count; i++) {
		uint64_t addr = c->list + (uint64_t)i * sizeof(op);

		if (i && hypercall_should_yield())
			return grant_restart(c, i, sizeof(op));
		if (guest_copy_from(&op, addr, sizeof(op)))
			return -EFAULT;
		op.status = (int16_t)map_one(c->caller, &op);
		if (guest_copy_to(addr, &op, sizeof(op)))
			return -EFAULT;
	}
	return 0;
}

/* Mappings that have left the p2m, to be finished after the flush. */
struct unmap_batch {
	struct physmap_batch physmap;
	unsigned nr;
	uint32_t handle[UNMAP_BATCH];
};

/* Finds the mapping and makes it ours alone; GNTST_*. */
static int unmap_begin(struct grant_table *gt, uint32_t handle, struct grant_mapping *ret)
{
	struct grant_mapping *m;
	int rc = GNTST_bad_handle;

	spin_lock(&gt->lock);
	m = mapping_of(gt, handle);
	if (m && m->granter && !m->busy) {
		m->busy = true;
		*ret = *m;
		rc = GNTST_okay;
	}
	spin_unlock(&gt->lock);
	return rc;
}

static void unmap_cancel(struct grant_table *gt, uint32_t handle)
{
	spin_lock(&gt->lock);
	mapping_of(gt, handle)->busy = false;
	spin_unlock(&gt->lock);
}

/* Takes one mapping out of the p2m. `b` has the domain locked: lock order domain > grant table. */
static int unmap_one(struct domain *d, struct unmap_batch *b, uint32_t handle,
		     const uint64_t *host_addr)
{
	struct grant_mapping m;
	int rc = unmap_begin(d->grants, handle, &m);

	if (rc != GNTST_okay)
		return rc;
	if (host_addr && !*host_addr) {
		/* By the ABI: nothing is to be unmapped. */
		unmap_cancel(d->grants, handle);
		return GNTST_okay;
	}
	if ((host_addr && !gfn_eq(gaddr_to_gfn(gaddr_from(*host_addr)), m.gfn)) ||
	    physmap_clear_grant(&b->physmap, m.gfn, m.mfn)) {
		unmap_cancel(d->grants, handle);
		return GNTST_general_error;
	}
	b->handle[b->nr++] = handle;
	return GNTST_okay;
}

static void unmap_batch_begin(struct domain *d, struct unmap_batch *b)
{
	b->nr = 0;
	physmap_begin(&b->physmap, d);
}

/*
 * Flushes; only then the granter is told (by the flags in its entry) that the page is its own again, and the handle may
 * be used anew.
 */
static void unmap_batch_end(struct domain *d, struct unmap_batch *b)
{
	physmap_end(&b->physmap);
	for (unsigned i = 0; i < b->nr; i++) {
		struct grant_mapping m;

		spin_lock(&d->grants->lock);
		m = *mapping_of(d->grants, b->handle[i]);
		spin_unlock(&d->grants->lock);
		grant_release(m.granter, m.ref, m.readonly);
		page_put(m.mfn);
		mapping_free(d->grants, b->handle[i]);
		domain_put(m.granter);
	}
}

/* One batch; the number of operations done, or -EFAULT. Guest memory is accessed without the domain lock. */
static int unmap_some(struct grant_call *c, uint32_t first, uint32_t nr)
{
	struct gnttab_unmap_grant_ref ops[UNMAP_BATCH];
	uint64_t addr = c->list + (uint64_t)first * sizeof(ops[0]);
	struct unmap_batch b;
	int rc = 0;

	if (guest_copy_from(ops, addr, nr * sizeof(ops[0])))
		return -EFAULT;
	unmap_batch_begin(c->caller, &b);
	for (uint32_t i = 0; i < nr; i++)
		ops[i].status = (int16_t)unmap_one(c->caller, &b, ops[i].handle, &ops[i].host_addr);
	unmap_batch_end(c->caller, &b);
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t at = addr + i * sizeof(ops[0]) +
			      offsetof(struct gnttab_unmap_grant_ref, status);

		if (guest_copy_to(at, &ops[i].status, sizeof(ops[i].status)))
			rc = -EFAULT;
	}
	return rc;
}

int64_t grant_op_unmap(struct grant_call *c)
{
	for (uint32_t i = 0; i < c->count;) {
		uint32_t nr = MIN(c->count - i, (uint32_t)UNMAP_BATCH);
		int rc;

		if (i && hypercall_should_yield())
			return grant_restart(c, i, sizeof(struct gnttab_unmap_grant_ref));
		rc = unmap_some(c, i, nr);
		if (rc)
			return rc;
		i += nr;
	}
	return 0;
}

/* The domain's vCPUs do not run any more. Its own table is not looked at by it from now on, so that its mappings go, too. */
int grant_domain_release_mappings(struct domain *d)
{
	struct grant_table *gt = d->grants;

	if (!gt)
		return 0;
	while (gt->release_next < gt->nr_mapping_pages * GRANT_MAPPINGS_PER_PAGE) {
		struct unmap_batch b;

		unmap_batch_begin(d, &b);
		while (b.nr < UNMAP_BATCH &&
		       gt->release_next < gt->nr_mapping_pages * GRANT_MAPPINGS_PER_PAGE) {
			int rc = unmap_one(d, &b, gt->release_next++, NULL);

			if (rc != GNTST_okay && rc != GNTST_bad_handle)
				log_err("d%u: grant mapping %u stays\n", d->id,
					gt->release_next - 1);
		}
		unmap_batch_end(d, &b);
		if (hypercall_should_yield())
			return -ERESTART;
	}
	spin_lock(&gt->lock);
	for (uint32_t i = 0; i < gt->nr_frames; i++) {
		gmap_destroy(gt->frames[i].map);
		gt->frames[i].map = NULL;
	}
	spin_unlock(&gt->lock);
	return 0;
}
