/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of domains: ownership, accounting and references. */
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

/* A count that comes near the top would wrap into a use after free: refuse further references long before. */
#define PAGE_COUNT_MAX 0x7fffffffU

/*
 * Memory that domains have claimed and not taken yet, the sum of all outstanding_pages. Below the page lock of any domain.
 */
static spinlock_t claims_lock = SPINLOCK_INIT;
static uint64_t claims;

/* Frames that nobody else has claimed; the page lock of d and the claims lock are held. */
static uint64_t unclaimed(const struct domain *d)
{
	uint64_t free = frames_free_count(), others = claims - d->outstanding_pages;

	return free > others ? free - others : 0;
}

int domain_claim(struct domain *d, uint64_t pages)
{
	int rc = 0;

	spin_lock(&d->page_lock);
	spin_lock(&claims_lock);
	if (!pages) {
		claims -= d->outstanding_pages;
		d->outstanding_pages = 0;
	} else if (d->outstanding_pages || pages <= d->tot_pages || pages > d->max_pages ||
		   d->dying) {
		rc = -EINVAL;
	} else if (pages - d->tot_pages > unclaimed(d)) {
		rc = -ENOMEM;
	} else {
		d->outstanding_pages = pages - d->tot_pages;
		claims += d->outstanding_pages;
	}
	spin_unlock(&claims_lock);
	spin_unlock(&d->page_lock);
	return rc;
}

/* Takes n frames out of what d has claimed; false if they belong to the claims of others. The page lock is held. */
static bool claim_use(struct domain *d, uint64_t n, uint64_t *ret_used)
{
	bool ok;

	*ret_used = 0;
	spin_lock(&claims_lock);
	ok = !claims || unclaimed(d) >= n;
	if (ok) {
		*ret_used = MIN(d->outstanding_pages, n);
		d->outstanding_pages -= *ret_used;
		claims -= *ret_used;
	}
	spin_unlock(&claims_lock);
	return ok;
}

/* They could not be had after all. The page lock is held. */
static void claim_restore(struct domain *d, uint64_t n)
{
	if (!n || d->dying)
		return;
	spin_lock(&claims_lock);
	d->outstanding_pages += n;
	claims += n;
	spin_unlock(&claims_lock);
}

int domain_frames_alloc(struct domain *d, unsigned order, unsigned flags, mfn_t *ret_first)
{
	uint64_t n = BIT(order), claimed;
	struct page *pg;
	mfn_t m;

	spin_lock(&d->page_lock);
	if (d->dying || d->tot_pages + n > d->max_pages || !claim_use(d, n, &claimed)) {
		spin_unlock(&d->page_lock);
		return -ENOMEM;
	}
	d->tot_pages += n;
	spin_unlock(&d->page_lock);

	m = frames_alloc(order, flags);
	spin_lock(&d->page_lock);
	/* Of a domain that began to die meanwhile the frames are given back once, and that may have been before now. */
	if (mfn_is_invalid(m) || d->dying) {
		d->tot_pages -= n;
		claim_restore(d, claimed);
		spin_unlock(&d->page_lock);
		if (!mfn_is_invalid(m))
			frames_free(m, order);
		return -ENOMEM;
	}
	pg = mfn_to_page(m);
	for (uint64_t i = 0; i < n; i++) {
		pg[i].state = PAGE_DOMAIN;
		pg[i].owner = d->id;
		__atomic_store_n(&pg[i].count, 1, __ATOMIC_RELEASE);
		page_list_add(&d->pages, &pg[i]);
	}
	spin_unlock(&d->page_lock);
	*ret_first = m;
	return 0;
}

mfn_t special_frame_alloc(struct domain *d)
{
	mfn_t m = frames_alloc(0, 0);
	struct page *pg;

	if (mfn_is_invalid(m))
		return m;
	pg = mfn_to_page(m);
	spin_lock(&d->page_lock);
	pg->state = PAGE_SPECIAL;
	pg->owner = d->id;
	__atomic_store_n(&pg->count, 1, __ATOMIC_RELEASE);
	page_list_add(&d->specials, pg);
	spin_unlock(&d->page_lock);
	return m;
}

/*
 * A frame that its owner gave up stays his while others refer to it: it counts as his memory, so that no domain gets
 * around its limit with the help of another one, and keeps its id from being given to a new domain. RAM holds a
 * reference to the domain, which stays there for the tools to see. What is special is given up with the last reference
 * only, and holds no more than the id.
 */
static void owner_hold(struct domain *d, const struct page *pg)
{
	if (pg->state == PAGE_DOMAIN)
		domain_get(d);
	else
		__atomic_fetch_add(&d->frames_held, 1, __ATOMIC_RELAXED);
}

static void owner_let_go(struct domain *d, bool ram)
{
	if (ram)
		domain_put(d);
	else
		domain_forget(d);
}

bool domain_frame_release(struct domain *d, mfn_t m)
{
	struct page *pg = mfn_to_page(m);
	uint32_t old;
	bool ram;

	spin_lock(&d->page_lock);
	if (!mfn_valid(m) || pg->owner != d->id ||
	    (pg->state != PAGE_DOMAIN && pg->state != PAGE_SPECIAL) || pg->order == PAGE_RELEASED) {
		spin_unlock(&d->page_lock);
		return false;
	}
	ram = pg->state == PAGE_DOMAIN;
	page_list_del(ram ? &d->pages : &d->specials, pg);
	pg->order = PAGE_RELEASED;
	owner_hold(d, pg);
	old = __atomic_fetch_sub(&pg->count, 1, __ATOMIC_ACQ_REL);
	BUG_ON(!old);
	if (old == 1 && ram)
		d->tot_pages--;
	spin_unlock(&d->page_lock);
	if (old == 1) {
		frames_free(m, 0);
		owner_let_go(d, ram);
	}
	return true;
}

bool page_get(mfn_t m, const struct domain *d)
{
	struct page *pg;
	uint32_t count;

	if (!mfn_valid(m))
		return false;
	pg = mfn_to_page(m);
	count = __atomic_load_n(&pg->count, __ATOMIC_ACQUIRE);
	do {
		if (!count || count >= PAGE_COUNT_MAX || pg->owner != d->id ||
		    (pg->state != PAGE_DOMAIN && pg->state != PAGE_SPECIAL))
			return false;
	} while (!__atomic_compare_exchange_n(&pg->count, &count, count + 1, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	/* The frame may have changed hands between the check and the increment. */
	if (pg->owner != d->id || (pg->state != PAGE_DOMAIN && pg->state != PAGE_SPECIAL)) {
		page_put(m);
		return false;
	}
	return true;
}

void page_get_again(mfn_t m)
{
	__atomic_fetch_add(&mfn_to_page(m)->count, 1, __ATOMIC_ACQ_REL);
}

/* The last reference to a frame that its owner gave up before. */
static void free_released(mfn_t m, const struct page *pg)
{
	bool ram = pg->state == PAGE_DOMAIN;
	struct domain *d;

	BUG_ON(pg->order != PAGE_RELEASED);
	d = domain_of_frame(pg);
	if (ram) {
		spin_lock(&d->page_lock);
		d->tot_pages--;
		spin_unlock(&d->page_lock);
	}
	frames_free(m, 0);
	owner_let_go(d, ram);
}

void page_put(mfn_t m)
{
	struct page *pg = mfn_to_page(m);
	uint32_t old = __atomic_fetch_sub(&pg->count, 1, __ATOMIC_ACQ_REL);

	BUG_ON(!old);
	if (old == 1)
		free_released(m, pg);
}
