/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of domains: ownership, accounting and references. */
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

/* A count that comes near the top would wrap into a use after free: refuse further references long before. */
#define PAGE_COUNT_MAX 0x7fffffffU

int domain_frames_alloc(struct domain *d, unsigned order, unsigned flags, mfn_t *ret_first)
{
	uint64_t n = BIT(order);
	struct page *pg;
	mfn_t m;

	spin_lock(&d->page_lock);
	if (d->dying || d->tot_pages + n > d->max_pages) {
		spin_unlock(&d->page_lock);
		return -ENOMEM;
	}
	d->tot_pages += n;
	spin_unlock(&d->page_lock);

	m = frames_alloc(order, flags);
	spin_lock(&d->page_lock);
	if (mfn_is_invalid(m)) {
		d->tot_pages -= n;
		spin_unlock(&d->page_lock);
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

bool domain_frame_release(struct domain *d, mfn_t m)
{
	struct page *pg = mfn_to_page(m);

	spin_lock(&d->page_lock);
	if (!mfn_valid(m) || pg->owner != d->id ||
	    (pg->state != PAGE_DOMAIN && pg->state != PAGE_SPECIAL) || pg->order == PAGE_RELEASED) {
		spin_unlock(&d->page_lock);
		return false;
	}
	if (pg->state == PAGE_DOMAIN) {
		page_list_del(&d->pages, pg);
		d->tot_pages--;
	} else {
		page_list_del(&d->specials, pg);
	}
	pg->order = PAGE_RELEASED;
	spin_unlock(&d->page_lock);
	page_put(m);
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

void page_put(mfn_t m)
{
	struct page *pg = mfn_to_page(m);
	uint32_t old = __atomic_fetch_sub(&pg->count, 1, __ATOMIC_ACQ_REL);

	BUG_ON(!old);
	if (old == 1)
		frames_free(m, 0);
}
