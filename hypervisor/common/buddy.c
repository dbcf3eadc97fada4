/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buddy allocator of machine frames, with scrubbing. A free block is either clean (all zero) or dirty; an allocation gets a
 * clean block, or a dirty one that is scrubbed first. Blocks merge with those of their kind: one frame that is given back
 * must not make the gigabytes around it dirty, and what an idle CPU has cleaned must stay so. Only where no block is large
 * enough otherwise, both kinds merge to dirty ones: to find them at once, clean blocks beside a dirty one have lists of
 * their own.
 */
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/mm_init.h>
#include <bulkhead/spinlock.h>
#include <bulkhead/string.h>

#define ORDERS 21 /* blocks of up to 4 GiB */

/* In a free block's head, page->count says whether its contents may be somebody's. */
#define CLEAN	     0U
#define DIRTY	     1U
#define CLEAN_PAIRED 2U /* clean, and its buddy is free and dirty */
#define KINDS	     3U

/* Blocks of both kinds that are merged with interrupts off, before those that wait get their turn. */
#define MERGE_BATCH 64U

enum zone {
	ZONE_LOW,
	ZONE_HIGH,
	ZONES
}; /* below 4 GiB, above */

static struct page_list free_list[ZONES][ORDERS][KINDS];
static uint64_t free_frames, total_frames, max_mfn;
/* Frames that idle CPUs should still clean: as many as domains gave back. What the firmware left is cleaned when it is
 * allocated, unless `bootscrub=idle` asks for more. */
static uint64_t scrub_debt;
bool frames_boot_dirty __ro_after_init = true;
static spinlock_t buddy_lock = SPINLOCK_INIT;

struct page *frame_table __ro_after_init;
uint64_t frame_count __ro_after_init;

static struct page *page_at(uint32_t n)
{
	return n == PAGE_NIL ? NULL : &frame_table[n];
}

void page_list_init(struct page_list *l)
{
	l->head = l->tail = PAGE_NIL;
	l->count = 0;
}

void page_list_add(struct page_list *l, struct page *pg)
{
	uint32_t n = (uint32_t)mfn_raw(page_to_mfn(pg));

	pg->next = l->head;
	pg->prev = PAGE_NIL;
	if (l->head != PAGE_NIL)
		frame_table[l->head].prev = n;
	else
		l->tail = n;
	l->head = n;
	l->count++;
}

void page_list_del(struct page_list *l, struct page *pg)
{
	if (pg->prev != PAGE_NIL)
		frame_table[pg->prev].next = pg->next;
	else
		l->head = pg->next;
	if (pg->next != PAGE_NIL)
		frame_table[pg->next].prev = pg->prev;
	else
		l->tail = pg->prev;
	pg->next = pg->prev = PAGE_NIL;
	l->count--;
}

struct page *page_list_first(const struct page_list *l)
{
	return page_at(l->head);
}

static enum zone zone_of(mfn_t m)
{
	return mfn_raw(m) < GiB(4) >> PAGE_SHIFT ? ZONE_LOW : ZONE_HIGH;
}

static void insert_block(mfn_t m, unsigned order, unsigned kind)
{
	struct page *pg = mfn_to_page(m);

	pg->state = PAGE_FREE;
	pg->order = (uint8_t)order;
	pg->count = kind;
	page_list_add(&free_list[zone_of(m)][order][kind], pg);
}

static struct page_list *list_of(const struct page *pg)
{
	return &free_list[zone_of(page_to_mfn(pg))][pg->order][pg->count];
}

/* The free buddy of a block, if it is whole, of either kind. Blocks do not merge across 4 GiB, as these are no larger than that. */
static struct page *free_buddy(mfn_t m, unsigned order)
{
	mfn_t b = mfn_from(mfn_raw(m) ^ BIT(order));
	struct page *pg;

	if (!mfn_valid(b))
		return NULL;
	pg = mfn_to_page(b);
	/* Who has just allocated it writes both without the lock, the state first. */
	return __atomic_load_n(&pg->order, __ATOMIC_ACQUIRE) == order && pg->state == PAGE_FREE
		       ? pg
		       : NULL;
}

/* A clean block finds a dirty buddy, or has lost it. */
static void set_paired(struct page *pg, bool paired)
{
	page_list_del(list_of(pg), pg);
	pg->count = paired ? CLEAN_PAIRED : CLEAN;
	page_list_add(list_of(pg), pg);
}

static void remove_block(struct page *pg)
{
	page_list_del(list_of(pg), pg);
	if (pg->count == DIRTY) {
		struct page *buddy = free_buddy(page_to_mfn(pg), pg->order);

		if (buddy && buddy->count == CLEAN_PAIRED)
			set_paired(buddy, false);
	}
	pg->order = ORDERS; /* not a head any more */
}

/* The kind is CLEAN or DIRTY. */
static void free_block(mfn_t m, unsigned order, unsigned kind)
{
	struct page *buddy = NULL;

	free_frames += BIT(order);
	while (order < ORDERS - 1 && (buddy = free_buddy(m, order)) != NULL &&
	       buddy->count == kind) {
		remove_block(buddy);
		m = mfn_from(mfn_raw(m) & ~BIT(order));
		order++;
		buddy = NULL;
	}
	if (buddy && kind == DIRTY)
		set_paired(buddy, true);
	insert_block(m, order, buddy && kind == CLEAN ? CLEAN_PAIRED : kind);
}

/* Merges some clean blocks below an order with their dirty buddies, the smallest first. False: there are none. */
static bool merge_some(enum zone z, unsigned order)
{
	unsigned merged = 0;

	for (unsigned o = 0; o < order && merged < MERGE_BATCH; o++) {
		struct page_list *l = &free_list[z][o][CLEAN_PAIRED];

		for (; l->count && merged < MERGE_BATCH; merged++) {
			struct page *pg = page_list_first(l);
			mfn_t m = page_to_mfn(pg);

			remove_block(pg);
			remove_block(mfn_to_page(mfn_from(mfn_raw(m) ^ BIT(o))));
			free_frames -= 2 * BIT(o);
			scrub_debt += BIT(o);
			free_block(mfn_from(mfn_raw(m) & ~BIT(o)), o + 1, DIRTY);
		}
	}
	return merged != 0;
}

/* A clean block, or a dirty one, split off a larger one if need be. */
static struct page *take_kind(enum zone z, unsigned order, bool dirty)
{
	for (unsigned o = order; o < ORDERS; o++) {
		struct page *pg = page_list_first(&free_list[z][o][dirty ? DIRTY : CLEAN]);

		if (!pg && !dirty)
			pg = page_list_first(&free_list[z][o][CLEAN_PAIRED]);
		if (!pg)
			continue;
		remove_block(pg);
		free_frames -= BIT(order);
		while (o > order) {
			o--;
			insert_block(mfn_add(page_to_mfn(pg), BIT(o)), o, dirty ? DIRTY : CLEAN);
		}
		pg->count = dirty ? DIRTY : CLEAN;
		return pg;
	}
	return NULL;
}

static struct page *take_from(enum zone z, unsigned order, unsigned flags)
{
	bool prefer_dirty = flags & ALLOC_NO_SCRUB;
	struct page *pg = take_kind(z, order, prefer_dirty);

	return pg ? pg : take_kind(z, order, !prefer_dirty);
}

static struct page *take_block(unsigned order, unsigned flags)
{
	struct page *pg = NULL;

	if (!(flags & ALLOC_BELOW_4G))
		pg = take_from(ZONE_HIGH, order, flags);
	return pg ? pg : take_from(ZONE_LOW, order, flags);
}

static void scrub(mfn_t first, unsigned order)
{
	for (uint64_t i = 0; i < BIT(order); i++) {
		void *p = window_map(mfn_add(first, i));

		memset(p, 0, PAGE_SIZE);
		window_unmap(p);
	}
}

mfn_t frames_alloc(unsigned order, unsigned flags)
{
	unsigned long irq;
	struct page *pg;
	mfn_t m;
	bool dirty;

	if (order >= ORDERS)
		return mfn_invalid();
	irq = spin_lock_irqsave(&buddy_lock);
	while (!(pg = take_block(order, flags)) &&
	       ((!(flags & ALLOC_BELOW_4G) && merge_some(ZONE_HIGH, order)) ||
		merge_some(ZONE_LOW, order))) {
		/* There may be millions of them. */
		spin_unlock_irqrestore(&buddy_lock, irq);
		irq = spin_lock_irqsave(&buddy_lock);
	}
	spin_unlock_irqrestore(&buddy_lock, irq);
	if (!pg)
		return mfn_invalid();
	m = page_to_mfn(pg);
	dirty = pg->count == DIRTY;
	for (uint64_t i = 0; i < BIT(order); i++) {
		pg[i].state = PAGE_HEAP; /* the caller says what it is for */
		/* Until here it says that this is no head of a free block: see free_buddy(). */
		__atomic_store_n(&pg[i].order, 0, __ATOMIC_RELEASE);
		pg[i].count = 0;
		pg[i].owner = 0;
		pg[i].next = pg[i].prev = PAGE_NIL;
	}
	if (dirty && !(flags & ALLOC_NO_SCRUB))
		scrub(m, order);
	return m;
}

void frames_free(mfn_t first, unsigned order)
{
	unsigned long irq = spin_lock_irqsave(&buddy_lock);
	struct page *pg = mfn_to_page(first);

	for (uint64_t i = 0; i < BIT(order); i++) {
		BUG_ON(pg[i].state == PAGE_FREE || pg[i].state == PAGE_ABSENT);
		pg[i].state = PAGE_FREE;
		pg[i].order = ORDERS;
		pg[i].count = 0;
		pg[i].owner = 0;
	}
	free_block(first, order, DIRTY);
	scrub_debt += BIT(order);
	spin_unlock_irqrestore(&buddy_lock, irq);
}

bool frames_dirty(void)
{
	return READ_ONCE(scrub_debt) != 0;
}

void frames_scrub_all(void)
{
	unsigned long irq = spin_lock_irqsave(&buddy_lock);

	scrub_debt = free_frames;
	spin_unlock_irqrestore(&buddy_lock, irq);
}

bool frames_scrub_some(void)
{
	if (!READ_ONCE(scrub_debt))
		return false;
	for (unsigned z = 0; z < ZONES; z++) {
		for (unsigned o = 0; o < ORDERS; o++) {
			unsigned long irq = spin_lock_irqsave(&buddy_lock);
			struct page *pg = page_list_first(&free_list[z][o][DIRTY]);
			unsigned piece = MIN(o, SCRUB_ORDER);
			mfn_t m;

			if (!pg) {
				spin_unlock_irqrestore(&buddy_lock, irq);
				continue;
			}
			remove_block(pg);
			m = page_to_mfn(pg);
			pg->state =
				PAGE_HEAP; /* ours while it is scrubbed; its frames are not counted */
			free_frames -= BIT(piece);
			scrub_debt -= MIN(scrub_debt, BIT(piece));
			while (o > piece) {
				o--;
				insert_block(mfn_add(m, BIT(o)), o, DIRTY);
			}
			spin_unlock_irqrestore(&buddy_lock, irq);
			scrub(m, piece);
			irq = spin_lock_irqsave(&buddy_lock);
			free_block(m, piece, CLEAN);
			spin_unlock_irqrestore(&buddy_lock, irq);
			return true;
		}
	}
	/* All is clean: other frames of the debt were allocated in the meantime. */
	WRITE_ONCE(scrub_debt, 0);
	return false;
}

void frames_init(void)
{
	free_frames = total_frames = scrub_debt = 0;
	for (unsigned z = 0; z < ZONES; z++) {
		for (unsigned o = 0; o < ORDERS; o++) {
			for (unsigned k = 0; k < KINDS; k++)
				page_list_init(&free_list[z][o][k]);
		}
	}
}

void frames_account(mfn_t first, uint64_t count)
{
	total_frames += count;
	if (mfn_raw(first) + count - 1 > max_mfn)
		max_mfn = mfn_raw(first) + count - 1;
}

void frames_add(mfn_t first, uint64_t count)
{
	unsigned long irq = spin_lock_irqsave(&buddy_lock);
	uint64_t n = mfn_raw(first), end = n + count;

	while (n < end) {
		unsigned order = n ? MIN((unsigned)__builtin_ctzl(n), ORDERS - 1U) : ORDERS - 1U;

		while (n + BIT(order) > end)
			order--;
		for (uint64_t i = 0; i < BIT(order); i++) {
			frame_table[n + i].state = PAGE_FREE;
			frame_table[n + i].order = ORDERS;
		}
		free_block(mfn_from(n), order, frames_boot_dirty ? DIRTY : CLEAN);
		n += BIT(order);
	}
	spin_unlock_irqrestore(&buddy_lock, irq);
}

uint64_t frames_free_count(void)
{
	return READ_ONCE(free_frames);
}

uint64_t frames_total(void)
{
	return total_frames;
}

uint64_t mm_max_mfn(void)
{
	return max_mfn;
}
