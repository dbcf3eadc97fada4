/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Populate-on-demand: the cache of frames, its size, and what is done when it is empty. */
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/log.h>
#include <bulkhead/p2m.h>
#include <bulkhead/pod.h>
#include <bulkhead/string.h>

#define BLOCK BIT(ORDER_2M)

/* Frames given back between two looks at whether something else waits. */
#define RELEASE_BATCH 64
/* With fewer frames than this left, each fault looks for a few more: who may not wait for that needs some, too. */
#define CACHE_LOW     32
/* p2m entries that are looked at in one go. */
#define SWEEP_ENTRIES 256

/*
 * Frames in the cache are PAGE_DOMAIN, count in tot_pages, and hold the one reference of their owner, but are on a list of
 * the cache in place of d->pages. Of a block of 2 MiB only the first one is on a list. page_lock guards all of it.
 */
void pod_init(struct domain *d)
{
	page_list_init(&d->pod.singles);
	page_list_init(&d->pod.blocks);
}

/* Takes a frame off; with no single one left a block becomes many. */
static struct page *take_single(struct pod *p)
{
	struct page *pg = page_list_first(&p->singles);

	if (!pg) {
		pg = page_list_first(&p->blocks);
		if (!pg)
			return NULL;
		page_list_del(&p->blocks, pg);
		for (uint64_t i = 0; i < BLOCK; i++)
			page_list_add(&p->singles, &pg[i]);
	}
	page_list_del(&p->singles, pg);
	return pg;
}

static struct page *take_block(struct pod *p)
{
	struct page *pg = page_list_first(&p->blocks);

	if (pg)
		page_list_del(&p->blocks, pg);
	return pg;
}

/* They are on d->pages again, as all RAM that is mapped. */
static mfn_t take_locked(struct domain *d, unsigned order)
{
	struct page *pg = NULL;

	if (d->pod.frames >= BIT(order))
		pg = order ? take_block(&d->pod) : take_single(&d->pod);
	if (!pg)
		return mfn_invalid();
	d->pod.frames -= BIT(order);
	for (uint64_t i = 0; i < BIT(order); i++)
		page_list_add(&d->pages, &pg[i]);
	return page_to_mfn(pg);
}

mfn_t pod_cache_take(struct domain *d, unsigned order)
{
	mfn_t m = mfn_invalid();

	spin_lock(&d->page_lock);
	/* Of a dying domain they are being given back. */
	if (d->dying == DOMAIN_ALIVE)
		m = take_locked(d, order);
	spin_unlock(&d->page_lock);
	return m;
}

void pod_cache_put(struct domain *d, mfn_t first, unsigned order)
{
	struct page *pg = mfn_to_page(first);

	spin_lock(&d->page_lock);
	/* Otherwise the list where it is, is being emptied. */
	if (d->dying == DOMAIN_ALIVE) {
		for (uint64_t i = 0; i < BIT(order); i++)
			page_list_del(&d->pages, &pg[i]);
		page_list_add(order ? &d->pod.blocks : &d->pod.singles, pg);
		d->pod.frames += BIT(order);
	}
	spin_unlock(&d->page_lock);
}

static void release_frames(struct domain *d, mfn_t first, unsigned order)
{
	for (uint64_t i = 0; i < BIT(order); i++)
		(void)domain_frame_release(d, mfn_add(first, i));
}

/* A block if there may go as many, else a frame. Returns how many, 0: the cache is empty. */
static uint64_t shrink(struct domain *d, uint64_t surplus)
{
	unsigned order = surplus >= BLOCK ? ORDER_2M : ORDER_4K;
	mfn_t m;

	spin_lock(&d->page_lock);
	m = take_locked(d, order);
	if (order && mfn_is_invalid(m)) {
		order = ORDER_4K;
		m = take_locked(d, order);
	}
	spin_unlock(&d->page_lock);
	if (mfn_is_invalid(m))
		return 0;
	release_frames(d, m, order);
	return BIT(order);
}

int pod_release(struct domain *d)
{
	for (unsigned n = 1; d->pod.frames && shrink(d, 1); n++) {
		if (n % RELEASE_BATCH == 0 && hypercall_should_yield())
			return -ERESTART;
	}
	return 0;
}

/* ---- Its size ---- */

static uint64_t grow(struct domain *d, uint64_t missing)
{
	unsigned order = missing >= BLOCK ? ORDER_2M : ORDER_4K;
	mfn_t m;

	if (domain_frames_alloc(d, order, 0, &m)) {
		if (!order || domain_frames_alloc(d, ORDER_4K, 0, &m))
			return 0;
		order = ORDER_4K;
	}
	pod_cache_put(d, m, order);
	return BIT(order);
}

static int set_size(struct domain *d, uint64_t size)
{
	for (unsigned n = 1;; n++) {
		uint64_t have = READ_ONCE(d->pod.frames);

		if (have == size || d->dying != DOMAIN_ALIVE)
			return 0;
		if (n % RELEASE_BATCH == 0 && hypercall_should_yield())
			return -ERESTART;
		if (have > size) {
			(void)shrink(d, have - size);
		} else if (!grow(d, size - have)) {
			return -ENOMEM;
		}
	}
}

int pod_set_target(struct domain *d, uint64_t target)
{
	uint64_t entries = p2m_pod_entries(d), tot, populated;

	spin_lock(&d->page_lock);
	tot = d->tot_pages;
	populated = tot - d->pod.frames;
	spin_unlock(&d->page_lock);
	if (populated && !entries)
		return 0;
	/* Less than it has: frames leave by its balloon driver, or with the entries that it gives up. */
	if (target < tot)
		return 0;
	target -= populated;
	if (populated)
		target = MIN(target, entries);
	return set_size(d, target);
}

void pod_trim(struct domain *d)
{
	while (READ_ONCE(d->pod.frames) > p2m_pod_entries(d)) {
		if (!shrink(d, READ_ONCE(d->pod.frames) - p2m_pod_entries(d)))
			return;
	}
}

bool pod_reclaim(struct domain *d, mfn_t mfn)
{
	struct page *pg = mfn_to_page(mfn);
	uint64_t entries = p2m_pod_entries(d);
	void *p;

	if (READ_ONCE(d->pod.frames) >= entries || !mfn_valid(mfn))
		return false;
	/* Nobody can get a reference any more: it is mapped nowhere. */
	if (pg->owner != d->id || pg->state != PAGE_DOMAIN ||
	    __atomic_load_n(&pg->count, __ATOMIC_ACQUIRE) != 1)
		return false;
	p = window_map(mfn);
	memset(p, 0, PAGE_SIZE);
	window_unmap(p);
	pod_cache_put(d, mfn, ORDER_4K);
	return true;
}

/* ---- Frames for pages ---- */

static void out_of_memory(struct domain *d, int rc)
{
	domain_crash(d, "no %s for a page on demand: %lu pages, %lu in the cache, %lu to come",
		     rc == -ENOMEM ? "page table" : "memory", d->tot_pages, d->pod.frames,
		     p2m_pod_entries(d));
}

/*
 * Looks at some more pages for zeros, from where it stopped last. False: all pages were looked at without any. The domain
 * lock keeps everybody from changing the p2m by steps, who could lose a frame between two of them.
 */
static bool sweep(struct domain *d)
{
	struct pod *p = &d->pod;
	bool more = true;
	gfn_t next;

	spin_lock(&d->lock);
	if (p2m_pod_sweep(d, gfn_from(p->sweep_next), SWEEP_ENTRIES, &next) ||
	    READ_ONCE(p->frames)) {
		p->sweep_rounds = 0;
	} else if (gfn_raw(next) > gfn_raw(p2m_max_gfn(d))) {
		/* One round began somewhere: only the second one was a whole. */
		more = ++p->sweep_rounds < 2;
	}
	p->sweep_next = gfn_raw(next) > gfn_raw(p2m_max_gfn(d)) ? 0 : gfn_raw(next);
	spin_unlock(&d->lock);
	return more;
}

void pod_fault(struct domain *d, gfn_t gfn)
{
	int rc;

	/* Before the page is there, which is all zeros at first. */
	if (READ_ONCE(d->pod.frames) < MIN(p2m_pod_entries(d), (uint64_t)CACHE_LOW) && !sweep(d))
		out_of_memory(d, -ENOSPC);
	rc = p2m_populate(d, gfn);
	/* Without a frame the guest executes the instruction again: others may run between two steps. */
	if (rc == -ENOMEM)
		out_of_memory(d, rc);
}

bool pod_touch(struct domain *d, gfn_t gfn)
{
	int rc = p2m_populate(d, gfn);

	if (rc == -ENOSPC || rc == -ENOMEM) {
		if (d->dying == DOMAIN_ALIVE)
			out_of_memory(d, rc);
		return false;
	}
	return true;
}
