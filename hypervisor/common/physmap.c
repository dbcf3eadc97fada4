/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes of a domain's p2m together with the page references that its entries hold. */
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/log.h>
#include <bulkhead/physmap.h>
#include <bulkhead/pod.h>

/* Entries of the p2m that are looked at between two looks at whether something more urgent waits. */
#define RELEASE_BATCH 512

void physmap_begin(struct physmap_batch *b, struct domain *d)
{
	b->d = d;
	b->nr = 0;
	spin_lock(&d->lock);
	p2m_batch_begin(d);
}

static void drop_all(struct physmap_batch *b)
{
	for (unsigned i = 0; i < b->nr; i++) {
		for (uint64_t k = 0; k < BIT(b->drop[i].order); k++) {
			mfn_t m = mfn_add(b->drop[i].mfn, k);

			if (!b->drop[i].release)
				page_put(m);
			else if (!pod_reclaim(b->d, m))
				(void)domain_frame_release(b->d, m);
		}
	}
	b->nr = 0;
}

void physmap_end(struct physmap_batch *b)
{
	p2m_batch_end(b->d);
	spin_unlock(&b->d->lock);
	drop_all(b);
}

static void drop_later(struct physmap_batch *b, mfn_t mfn, unsigned order, bool release)
{
	if (b->nr == PHYSMAP_DROPS) {
		p2m_batch_end(b->d);
		drop_all(b);
		p2m_batch_begin(b->d);
	}
	b->drop[b->nr].mfn = mfn;
	b->drop[b->nr].order = (uint8_t)order;
	b->drop[b->nr].release = release;
	b->nr++;
}

static void count_foreign(struct domain *d, int64_t n)
{
	spin_lock(&d->page_lock);
	d->foreign_maps += (uint64_t)n;
	spin_unlock(&d->page_lock);
}

/* The entry has left the p2m: takes care of what it held. */
static void entry_gone(struct physmap_batch *b, mfn_t mfn, enum p2m_type type)
{
	if (type != P2M_FOREIGN)
		return;
	count_foreign(b->d, -1);
	drop_later(b, mfn, 0, false);
}

static int check_replace(enum p2m_type old)
{
	if (old == P2M_MMIO)
		return -EPERM;
	return p2m_type_is_grant(old) ? -ENXIO : 0;
}

int physmap_set(struct physmap_batch *b, gfn_t gfn, mfn_t mfn, enum p2m_type type)
{
	enum p2m_type old;
	mfn_t old_mfn = p2m_lookup(b->d, gfn, &old);
	int rc = check_replace(old);

	if (rc)
		return rc;
	rc = p2m_set(b->d, gfn, mfn, ORDER_4K, type);
	if (rc)
		return rc;
	entry_gone(b, old_mfn, old);
	/* A grant takes its place for a while only: the domain cannot know that the page is lost by that. */
	if (p2m_type_is_ram(old) && !p2m_type_is_grant(type) && !mfn_eq(old_mfn, mfn))
		drop_later(b, old_mfn, ORDER_4K, true);
	if (type == P2M_FOREIGN)
		count_foreign(b->d, 1);
	return 0;
}

/* What is in the way of new RAM: 0 nothing, 1 something that may go, or an error. */
static int check_range(struct physmap_batch *b, gfn_t gfn, uint64_t count)
{
	int found = 0;

	for (uint64_t i = 0; i < count;) {
		enum p2m_type old;
		unsigned order;
		gfn_t g = gfn_add(gfn, i);
		int rc;

		(void)p2m_lookup_order(b->d, g, &old, &order);
		rc = check_replace(old);
		if (rc)
			return rc;
		if (old != P2M_NONE)
			found = 1;
		i += BIT(order) - (gfn_raw(g) & (BIT(order) - 1));
	}
	return found;
}

/* An entry that cannot be taken out: its frames must stay this domain's, although their owner gives them up. */
static void keep_frames(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order)
{
	log_err("d%u: %lu frames from gfn %#lx on stay mapped, and are lost\n", d->id, BIT(order),
		gfn_raw(gfn));
	for (uint64_t i = 0; i < BIT(order); i++)
		(void)page_get(mfn_add(mfn, i), d);
}

/*
 * Takes out what p2m_set_range() has entered of a range in which there was nothing before, as the caller gives the frames
 * back. Entry by entry: to split one takes a table, and that there are none left may be why it has failed.
 */
static void clear_ram(struct domain *d, gfn_t gfn, uint64_t count)
{
	for (uint64_t i = 0; i < count;) {
		gfn_t g = gfn_add(gfn, i);
		enum p2m_type type;
		unsigned order;
		mfn_t mfn = p2m_lookup_order(d, g, &type, &order);

		if (type == P2M_RAM && p2m_clear(d, g, order))
			keep_frames(d, g, mfn, order);
		i += BIT(order) - (gfn_raw(g) & (BIT(order) - 1));
	}
}

int physmap_set_ram(struct physmap_batch *b, gfn_t gfn, mfn_t mfn, unsigned order)
{
	uint64_t count = BIT(order);
	int rc = gfn_raw(gfn) + count < count ? -EINVAL : check_range(b, gfn, count);

	if (rc > 0) {
		for (uint64_t i = 0; i < count; i++) {
			rc = physmap_clear(b, gfn_add(gfn, i));
			if (rc && rc != -ENOENT)
				return rc;
		}
		rc = 0;
	}
	if (rc)
		return rc;
	rc = p2m_set_range(b->d, gfn, mfn, count, P2M_RAM);
	if (rc)
		clear_ram(b->d, gfn, count);
	return rc;
}

int physmap_mark_pod(struct physmap_batch *b, gfn_t gfn, unsigned order)
{
	uint64_t count = BIT(order);

	if (gfn_raw(gfn) + count < count)
		return -EINVAL;
	for (uint64_t i = 0; i < count;) {
		gfn_t g = gfn_add(gfn, i);
		enum p2m_type old;
		unsigned entry_order;

		(void)p2m_lookup_order(b->d, g, &old, &entry_order);
		if (old != P2M_NONE && old != P2M_POD)
			return old == P2M_MMIO ? -EPERM : -EBUSY;
		i += BIT(entry_order) - (gfn_raw(g) & (BIT(entry_order) - 1));
	}
	return p2m_set_range(b->d, gfn, mfn_invalid(), count, P2M_POD);
}

int physmap_clear(struct physmap_batch *b, gfn_t gfn)
{
	enum p2m_type old;
	mfn_t mfn = p2m_lookup(b->d, gfn, &old);
	int rc;

	if (old == P2M_NONE || old == P2M_MMIO)
		return -ENOENT;
	if (p2m_type_is_grant(old))
		return -EPERM;
	rc = p2m_clear(b->d, gfn, ORDER_4K);
	if (!rc)
		entry_gone(b, mfn, old);
	return rc;
}

int physmap_release(struct physmap_batch *b, gfn_t gfn)
{
	enum p2m_type old;
	mfn_t mfn = p2m_lookup(b->d, gfn, &old);
	int rc;

	if (old == P2M_POD) {
		rc = p2m_clear_pod(b->d, gfn, ORDER_4K);
		if (rc != -EAGAIN)
			return rc;
		/* A vCPU has touched it just now. */
		mfn = p2m_lookup(b->d, gfn, &old);
	}
	if (old == P2M_NONE)
		return -ENOENT;
	if (old == P2M_MMIO)
		return -EPERM;
	if (old == P2M_FOREIGN || p2m_type_is_grant(old))
		return -ENXIO;
	rc = p2m_clear(b->d, gfn, ORDER_4K);
	if (!rc && p2m_type_is_ram(old))
		drop_later(b, mfn, 0, true);
	return rc;
}

int physmap_release_block(struct physmap_batch *b, gfn_t gfn, unsigned order)
{
	enum p2m_type old;
	unsigned entry_order;
	mfn_t mfn;
	int rc;

	if (order != ORDER_2M && order != ORDER_1G)
		return -EAGAIN;
	if (!IS_ALIGNED(gfn_raw(gfn), BIT(order)))
		return -EAGAIN;
	mfn = p2m_lookup_order(b->d, gfn, &old, &entry_order);
	if (old == P2M_POD && entry_order == order)
		return p2m_clear_pod(b->d, gfn, order);
	if (!p2m_type_is_ram(old) || entry_order != order)
		return -EAGAIN;
	rc = p2m_clear(b->d, gfn, order);
	if (!rc)
		drop_later(b, mfn, order, true);
	return rc;
}

int physmap_clear_grant(struct physmap_batch *b, gfn_t gfn, mfn_t mfn)
{
	enum p2m_type old;
	mfn_t old_mfn = p2m_lookup(b->d, gfn, &old);

	if (!p2m_type_is_grant(old) || !mfn_eq(old_mfn, mfn))
		return -ENOENT;
	return p2m_clear(b->d, gfn, ORDER_4K);
}

int physmap_set_special(struct domain *d, gfn_t gfn, mfn_t mfn, gfn_t *home)
{
	struct physmap_batch b;
	enum p2m_type type;
	int rc = 0;

	physmap_begin(&b, d);
	if (!gfn_is_invalid(*home) && !gfn_eq(*home, gfn) &&
	    mfn_eq(p2m_lookup(d, *home, &type), mfn) && type == P2M_SPECIAL)
		rc = p2m_clear(d, *home, ORDER_4K);
	if (!rc) {
		*home = gfn_invalid();
		rc = physmap_set(&b, gfn, mfn, P2M_SPECIAL);
	}
	if (!rc)
		*home = gfn;
	physmap_end(&b);
	return rc;
}

int physmap_set_foreign_mfn(struct domain *d, gfn_t gfn, mfn_t mfn)
{
	struct physmap_batch b;
	int rc;

	physmap_begin(&b, d);
	/* A dying domain's p2m is being emptied: nothing may enter it behind the one who does that. */
	rc = d->dying == DOMAIN_ALIVE ? physmap_set(&b, gfn, mfn, P2M_FOREIGN) : -EINVAL;
	physmap_end(&b);
	return rc;
}

int physmap_set_foreign(struct domain *d, gfn_t gfn, struct domain *owner, gfn_t fgfn)
{
	enum p2m_type type;
	mfn_t mfn = p2m_get_page(owner, fgfn, false, &type);
	int rc = -EINVAL;

	if (mfn_is_invalid(mfn))
		return -EINVAL;
	if (p2m_type_is_ram(type) || type == P2M_SPECIAL)
		rc = physmap_set_foreign_mfn(d, gfn, mfn);
	if (rc)
		page_put(mfn);
	return rc;
}

int physmap_domain_release(struct domain *d)
{
	uint64_t end = gfn_raw(p2m_max_gfn(d));
	unsigned looked_at = 0;
	struct physmap_batch b;
	int rc = 0;

	physmap_begin(&b, d);
	for (uint64_t g = d->physmap_release_next; d->foreign_maps && g <= end;) {
		enum p2m_type type;
		unsigned order;

		(void)p2m_lookup_order(d, gfn_from(g), &type, &order);
		if (type == P2M_FOREIGN && physmap_clear(&b, gfn_from(g)))
			log_err("d%u: foreign page at gfn %#llx stays mapped\n", d->id,
				(unsigned long long)g);
		g += BIT(order) - (g & (BIT(order) - 1));
		d->physmap_release_next = g;
		if (++looked_at % RELEASE_BATCH == 0 && hypercall_should_yield()) {
			rc = -ERESTART;
			break;
		}
	}
	physmap_end(&b);
	return rc;
}
