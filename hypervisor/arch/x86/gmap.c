/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Long-lived mappings of guest frames. Teardown is deferred until every CPU has flushed its TLB. */
#include <bulkhead/gmap.h>
#include <arch/paging.h>
#include <arch/paging_init.h>
#include <bulkhead/cpu.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>
#include <bulkhead/p2m.h>
#include <bulkhead/time.h>
#include <bulkhead/timer.h>
#include <bulkhead/work.h>

#define GMAP_PROT (PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL)

/*
 * All CPUs are interrupted for each flush, those of other domains as well: a guest that makes and ends such mappings as
 * fast as it can would take their time. So a flush waits until it serves this many, or for this long.
 */
#define REAP_COUNT 64U
#define REAP_DELAY MSEC(1)

static spinlock_t gmap_lock = SPINLOCK_INIT;
static struct list dead = LIST_INIT(dead);
static unsigned dead_count;
static struct work reaper;
static struct timer reap_timer;

static void reap(struct work *w)
{
	struct list batch;
	struct gmap *m, *tmp;
	unsigned long irq;

	(void)w;
	list_init(&batch);
	irq = spin_lock_irqsave(&gmap_lock);
	LIST_FOR_EACH_SAFE (m, tmp, &dead, struct gmap, link) {
		list_remove(&m->link);
		list_insert_before(&batch, &m->link);
	}
	dead_count = 0;
	spin_unlock_irqrestore(&gmap_lock, irq);
	tlb_flush_all();
	LIST_FOR_EACH_SAFE (m, tmp, &batch, struct gmap, link) {
		vmap_free_range(m->ptr, 1);
		page_put(m->mfn);
		heap_free(m);
	}
}

static void reap_soon(void *unused)
{
	(void)unused;
	work_queue(&reaper);
}

static int create(struct domain *d, mfn_t mfn, enum gmap_kind kind, struct gmap **ret_map)
{
	struct gmap *m = heap_alloc(sizeof(*m));
	unsigned long irq;

	if (!m)
		return -ENOMEM;
	m->ptr = vmap_pages(&mfn, 1, GMAP_PROT);
	if (!m->ptr) {
		heap_free(m);
		return -ENOMEM;
	}
	m->domain = d;
	m->mfn = mfn;
	m->kind = kind;
	irq = spin_lock_irqsave(&gmap_lock);
	if (!reaper.fn) {
		work_init(&reaper, reap);
		timer_init(&reap_timer, reap_soon, NULL, cpu_id());
	}
	list_insert_before(&d->gmaps, &m->link);
	spin_unlock_irqrestore(&gmap_lock, irq);
	*ret_map = m;
	return 0;
}

int gmap_create_mfn(struct domain *d, mfn_t mfn, enum gmap_kind kind, struct gmap **ret_map)
{
	int err;

	if (!page_get(mfn, d))
		return -EINVAL;
	err = create(d, mfn, kind, ret_map);
	if (err)
		page_put(mfn);
	return err;
}

int gmap_create(struct domain *d, gfn_t gfn, enum gmap_kind kind, struct gmap **ret_map)
{
	enum p2m_type t;
	mfn_t mfn = p2m_get_page(d, gfn, true, &t);
	int err;

	if (mfn_is_invalid(mfn))
		return -EINVAL;
	/* A page of another domain (grant, foreign) must not be pinned by this one's structures. */
	if (t != P2M_RAM && t != P2M_SPECIAL) {
		page_put(mfn);
		return -EINVAL;
	}
	err = create(d, mfn, kind, ret_map);
	if (err)
		page_put(mfn);
	return err;
}

void gmap_destroy(struct gmap *m)
{
	unsigned long irq;
	unsigned n;

	if (!m)
		return;
	vmap_unmap(m->ptr, 1);
	irq = spin_lock_irqsave(&gmap_lock);
	list_remove(&m->link);
	list_insert_before(&dead, &m->link);
	n = ++dead_count;
	spin_unlock_irqrestore(&gmap_lock, irq);
	if (n >= REAP_COUNT)
		work_queue(&reaper);
	else if (n == 1)
		timer_set(&reap_timer, time_now() + REAP_DELAY);
}
