/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grant tables (version 1): the tables, their growth, and the use of single grants. */
#include <bulkhead/cmdline.h>
#include <bulkhead/log.h>
#include <bulkhead/p2m.h>

#include "grant_internal.h"

/* Sizes where the toolstack leaves the choice to us (all ones), in frames. */
uint32_t grant_default_frames = 64;
CMDLINE_UINT("gnttab_max_frames", grant_default_frames);
uint32_t grant_default_maptrack = 1024;
CMDLINE_UINT("gnttab_max_maptrack_frames", grant_default_maptrack);
/* A maptrack frame stands for so many mappings, whatever they take here. */
#define MAPPINGS_PER_FRAME 256

/* The guest may change its entry while we set flags in it; it has no reason to do so again and again. */
#define CLAIM_TRIES   5
/* The same for the frame number. */
#define ACQUIRE_TRIES 3

struct grant_active *grant_active_of(struct grant_table *gt, uint32_t ref)
{
	uint32_t nr = gt->nr_frames * (uint32_t)GRANTS_PER_FRAME, i;

	if (ref >= nr)
		return NULL;
	ref = (uint32_t)index_nospec(ref, nr);
	i = ref % GRANTS_PER_FRAME;
	return &gt->frames[ref / GRANTS_PER_FRAME]
			.active[i / GRANT_ACTIVE_PER_PAGE][i % GRANT_ACTIVE_PER_PAGE];
}

struct grant_entry_v1 *grant_entry_of(struct grant_table *gt, uint32_t ref)
{
	uint32_t nr = gt->nr_frames * (uint32_t)GRANTS_PER_FRAME;
	struct gmap *map;

	ref = (uint32_t)index_nospec(ref, nr);
	map = gt->frames[ref / GRANTS_PER_FRAME].map;
	return map ? (struct grant_entry_v1 *)map->ptr + ref % GRANTS_PER_FRAME : NULL;
}

/* Flags and domain of an entry as one word: they have to be read and changed together. */
static uint32_t *header_of(struct grant_entry_v1 *entry)
{
	_Static_assert(offsetof(struct grant_entry_v1, flags) == 0 &&
			       offsetof(struct grant_entry_v1, domid) == 2,
		       "ABI");
	return (uint32_t *)(void *)entry;
}

/*
 * Sets GTF_reading and GTF_writing if the entry allows the use. Of a grant that is in use already by the same domain,
 * only the right to write is asked again: the granter cannot take it back otherwise.
 */
static int claim(struct grant_entry_v1 *entry, bool in_use, domid_t user, bool readonly, bool map)
{
	uint32_t type_mask = GTF_type_mask | (map ? GTF_sub_page : 0);
	uint32_t *header = header_of(entry);
	uint32_t old = READ_ONCE(*header);

	for (unsigned i = 0; i < CLAIM_TRIES; i++) {
		uint32_t new = old | GTF_reading | (readonly ? 0 : GTF_writing);

		if (!in_use && ((old & type_mask) != GTF_permit_access || old >> 16 != user))
			return GNTST_general_error;
		if (!readonly && (old & GTF_readonly))
			return GNTST_general_error;
		if (__atomic_compare_exchange_n(header, &old, new, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return GNTST_okay;
	}
	return GNTST_general_error;
}

/* Clears the flags that no use stands behind any more. */
static void unclaim(struct grant_table *gt, uint32_t ref, const struct grant_active *act)
{
	struct grant_entry_v1 *entry = grant_entry_of(gt, ref);
	uint32_t clear = 0;

	if (!act->writers)
		clear |= GTF_writing;
	if (!act->writers && !act->readers)
		clear |= GTF_reading;
	if (entry && clear)
		__atomic_fetch_and(header_of(entry), ~clear, __ATOMIC_SEQ_CST);
}

/* A page of the granter, as its p2m says. */
struct granter_page {
	gfn_t gfn;
	mfn_t mfn;
	bool writable;
};

/*
 * Looks at a grant under the lock. GNTST_okay: counted, *mfn is the frame. GNTST_eagain: the frame of *ret_gfn has to be
 * looked up first (not possible under the lock), giving `page`.
 */
static int try_acquire(struct grant_table *gt, uint32_t ref, domid_t user, bool readonly, bool map,
		       const struct granter_page *page, mfn_t *mfn, gfn_t *ret_gfn)
{
	struct grant_active *act = grant_active_of(gt, ref);
	struct grant_entry_v1 *entry;
	bool in_use;
	int rc;

	if (!act)
		return GNTST_bad_gntref;
	entry = grant_entry_of(gt, ref);
	in_use = act->readers || act->writers;
	if (!entry || (in_use && act->user != user) ||
	    (readonly ? act->readers : act->writers) == UINT16_MAX)
		return GNTST_general_error;
	if (!in_use &&
	    (mfn_is_invalid(page->mfn) || gfn_raw(page->gfn) != READ_ONCE(entry->frame))) {
		*ret_gfn = gfn_from(READ_ONCE(entry->frame));
		return GNTST_eagain;
	}
	/* Reading was all that the first use asked for: it says nothing of writing. */
	if (in_use && !readonly && !act->writable)
		return GNTST_bad_page;
	rc = claim(entry, in_use, user, readonly, map);
	if (rc != GNTST_okay)
		return rc;
	if (in_use) {
		*mfn = act->mfn;
	} else {
		*mfn = act->mfn = page->mfn;
		act->writable = page->writable;
		act->user = user;
	}
	if (readonly)
		act->readers++;
	else
		act->writers++;
	return GNTST_okay;
}

/* Looks up page->gfn in the granter's own memory, with a reference; GNTST_*. */
static int own_page(struct domain *d, bool write, struct granter_page *page)
{
	enum p2m_type type;
	mfn_t mfn = p2m_get_page(d, page->gfn, write, &type);

	if (mfn_is_invalid(mfn))
		return GNTST_bad_page;
	if (!p2m_type_is_ram(type) && type != P2M_SPECIAL) {
		/* What others let it use is not its to pass on. */
		page_put(mfn);
		return GNTST_bad_page;
	}
	page->mfn = mfn;
	page->writable = type != P2M_RAM_RO;
	return GNTST_okay;
}

/*
 * The p2m cannot be asked under the lock of the table (lock order), and the granter may change the entry meanwhile: so
 * look at the entry, get the page, then take both together if the entry is still the same.
 */
int grant_acquire(struct domain *granter, uint32_t ref, domid_t user, bool readonly, bool map,
		  mfn_t *ret_mfn)
{
	struct grant_table *gt = granter->grants;
	/* Holds a reference if its frame is not the invalid one. */
	struct granter_page page = {.gfn = gfn_invalid(), .mfn = mfn_invalid()};

	if (granter->dying != DOMAIN_ALIVE)
		return GNTST_general_error;
	for (unsigned i = 0;; i++) {
		mfn_t mfn = page.mfn;
		gfn_t want = page.gfn;
		bool again = false;
		int rc;

		spin_lock(&gt->lock);
		rc = try_acquire(gt, ref, user, readonly, map, &page, &mfn, &want);
		/* In use already, of another page than now: it is kept by the references of those uses. */
		if (rc == GNTST_okay && !mfn_eq(mfn, page.mfn))
			again = !page_get(mfn, granter);
		spin_unlock(&gt->lock);

		if (!mfn_is_invalid(page.mfn) && (rc != GNTST_okay || !mfn_eq(mfn, page.mfn)))
			page_put(page.mfn);
		page.mfn = mfn_invalid();
		if (again) {
			grant_release(granter, ref, readonly);
			return GNTST_general_error;
		}
		if (rc == GNTST_okay)
			*ret_mfn = mfn;
		if (rc != GNTST_eagain)
			return rc;
		if (i == ACQUIRE_TRIES)
			return GNTST_general_error;
		page.gfn = want;
		rc = own_page(granter, !readonly, &page);
		if (rc != GNTST_okay)
			return rc;
	}
}

void grant_release(struct domain *granter, uint32_t ref, bool readonly)
{
	struct grant_table *gt = granter->grants;
	struct grant_active *act;

	spin_lock(&gt->lock);
	act = grant_active_of(gt, ref);
	ASSERT(act && (readonly ? act->readers : act->writers));
	if (readonly)
		act->readers--;
	else
		act->writers--;
	unclaim(gt, ref, act);
	spin_unlock(&gt->lock);
}

static void frame_free_active(struct grant_frame *f)
{
	for (unsigned i = 0; i < GRANT_ACTIVE_PAGES; i++) {
		heap_page_free(f->active[i]);
		f->active[i] = NULL;
	}
}

static int frame_create(struct domain *d, struct grant_frame *f)
{
	int rc = -ENOMEM;

	for (unsigned i = 0; i < GRANT_ACTIVE_PAGES; i++) {
		f->active[i] = heap_page_alloc();
		if (!f->active[i])
			goto err_active;
	}
	f->mfn = special_frame_alloc(d);
	if (mfn_is_invalid(f->mfn))
		goto err_active;
	rc = gmap_create_mfn(d, f->mfn, GMAP_GRANT_TABLE, &f->map);
	if (rc)
		goto err_frame;
	f->home = gfn_invalid();
	return 0;

err_frame:
	(void)domain_frame_release(d, f->mfn);
err_active:
	frame_free_active(f);
	return rc;
}

int grant_grow(struct domain *d, uint32_t nr_frames)
{
	struct grant_table *gt = d->grants;

	if (d->dying != DOMAIN_ALIVE)
		return -EINVAL;
	while (gt->nr_frames < nr_frames) {
		int rc = frame_create(d, &gt->frames[gt->nr_frames]);

		if (rc)
			return rc;
		gt->nr_frames++;
	}
	return 0;
}

int grant_table_frame(struct domain *d, uint32_t idx, bool status, mfn_t *ret_mfn)
{
	struct grant_table *gt = d->grants;
	int rc;

	/* Status frames are there with version 2 only. */
	if (status || idx >= gt->max_frames)
		return -EINVAL;
	spin_lock(&gt->lock);
	rc = grant_grow(d, idx + 1);
	if (!rc)
		*ret_mfn = gt->frames[index_nospec(idx, gt->max_frames)].mfn;
	spin_unlock(&gt->lock);
	return rc;
}

gfn_t *grant_frame_home(struct domain *d, uint32_t idx)
{
	return &d->grants->frames[index_nospec(idx, d->grants->max_frames)].home;
}

uint32_t grant_max_frames(const struct domain *d)
{
	return d->grants->max_frames;
}

static int table_create(struct grant_table *gt, uint32_t max_frames, uint32_t max_maptrack)
{
	spin_init(&gt->lock);
	gt->max_frames = max_frames;
	gt->max_mapping_pages = (uint32_t)(max_maptrack * MAPPINGS_PER_FRAME /
					   GRANT_MAPPINGS_PER_PAGE);
	gt->free_handle = GRANT_NO_HANDLE;
	gt->frames = heap_alloc(max_frames * sizeof(*gt->frames));
	if (!gt->frames)
		return -ENOMEM;
	if (!gt->max_mapping_pages)
		return 0;
	gt->mappings = heap_alloc(gt->max_mapping_pages * sizeof(struct grant_mapping *));
	return gt->mappings ? 0 : -ENOMEM;
}

int grant_domain_init(struct domain *d, uint32_t max_frames, uint32_t max_maptrack)
{
	struct grant_table *gt;
	int rc;

	if (max_frames == UINT32_MAX)
		max_frames = READ_ONCE(grant_default_frames);
	if (max_maptrack == UINT32_MAX)
		max_maptrack = READ_ONCE(grant_default_maptrack);
	if (!max_frames || max_frames > GRANT_FRAMES_MAX || max_maptrack > GRANT_FRAMES_MAX)
		return -EINVAL;
	gt = heap_alloc(sizeof(*gt));
	if (!gt)
		return -ENOMEM;
	d->grants = gt;
	rc = table_create(gt, max_frames, max_maptrack);
	if (!rc)
		rc = grant_grow(d, 1); /* the frame with the reserved entries is always there */
	if (rc)
		grant_domain_finish(d);
	return rc;
}

void grant_domain_finish(struct domain *d)
{
	struct grant_table *gt = d->grants;

	if (!gt)
		return;
	for (uint32_t i = 0; i < gt->nr_frames; i++) {
		gmap_destroy(gt->frames[i].map);
		frame_free_active(&gt->frames[i]);
	}
	for (uint32_t i = 0; i < gt->nr_mapping_pages; i++)
		heap_page_free(gt->mappings[i]);
	heap_free(gt->mappings);
	heap_free(gt->frames);
	heap_free(gt);
	d->grants = NULL;
}
