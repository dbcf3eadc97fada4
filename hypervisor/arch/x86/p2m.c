/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest-physical to machine map in the format of nested page tables (APM vol. 2 15.25): that of long-mode page tables, with
 * every entry marked as user. The type of a mapping is kept in bits 52–55, which the CPU ignores (15.25.5).
 */
#include <arch/cpufeature.h>
#include <arch/p2m.h>
#include <arch/paging.h>
#include <arch/vendor.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/iommu.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/p2m.h>
#include <bulkhead/pod.h>

#define ENTRIES	    512
#define GFN_BITS    36 /* that four levels of tables translate, whatever the CPU's addresses have */
#define TYPE_SHIFT  52
#define TYPE_MASK   (0xfUL << TYPE_SHIFT)
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)
/* An entry that is not present, of whatever size. */
#define POD_ENTRY   ((uint64_t)P2M_POD << TYPE_SHIFT)
#define LEAF_FLAGS  (PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY)

/* A domain may always have this many table pages, whatever its pool: a fresh one has no pool set yet. */
#define POOL_INITIAL 256 /* 1 MiB, what a new domain has by the ABI */

/*
 * The changes that a CPU makes to one domain's p2m and has not flushed yet. By CPU: what another one changes meanwhile is
 * not put off, as its frames may be given away at once.
 */
static struct p2m_batch {
	struct domain *d; /* NULL: none is open */
	unsigned depth;
	bool flush_cpu, flush_iommu;
	uint64_t *
		tables; /* cut off, but CPUs may still walk them: linked through their first entry */
} batches[MAX_CPUS];

/* The open batch for d on this CPU, or NULL. */
static struct p2m_batch *batch_of(const struct domain *d)
{
	struct p2m_batch *b = &batches[cpu_id()];

	return b->d == d ? b : NULL;
}

static enum p2m_type entry_type(uint64_t e)
{
	if (!(e & PTE_PRESENT))
		return e == POD_ENTRY ? P2M_POD : P2M_NONE;
	return (enum p2m_type)((e & TYPE_MASK) >> TYPE_SHIFT);
}

static bool has_frame(enum p2m_type t)
{
	return t != P2M_NONE && t != P2M_POD;
}

static bool type_writable(enum p2m_type t)
{
	return t != P2M_RAM_RO && t != P2M_GRANT_RO;
}

static uint64_t make_entry(mfn_t m, unsigned level, enum p2m_type t)
{
	uint64_t e = paddr_raw(mfn_to_paddr(m)) | LEAF_FLAGS | (uint64_t)t << TYPE_SHIFT;

	if (t == P2M_NONE || t == P2M_POD)
		return t == P2M_POD ? POD_ENTRY : 0;
	if (type_writable(t))
		e |= PTE_WRITE;
	/* The guest decides cacheability by its PAT for RAM; device memory is uncached at this stage (APM 15.25.8). */
	if (t == P2M_MMIO)
		e |= PTE_NX;
	if (level > 1)
		e |= PTE_LARGE;
	return e;
}

static unsigned index_at(uint64_t gfn, unsigned level)
{
	return (gfn >> (9 * (level - 1))) & (ENTRIES - 1);
}

static uint64_t *table_of(uint64_t entry)
{
	return heap_ptr(paddr_from(entry & PTE_ADDR));
}

static bool is_table(uint64_t e, unsigned level)
{
	return level > 1 && (e & PTE_PRESENT) && !(e & PTE_LARGE);
}

static uint64_t *table_alloc(struct p2m *p)
{
	uint64_t *t;

	if (p->pool_used >= p->pool_pages)
		return NULL;
	t = heap_page_alloc();
	if (t)
		p->pool_used++;
	return t;
}

static void table_free(struct p2m *p, uint64_t *t)
{
	heap_page_free(t);
	p->pool_used--;
}

int p2m_init(struct domain *d)
{
	struct p2m *p = &d->arch.p2m;

	rw_init(&p->lock);
	p->pool_pages = POOL_INITIAL;
	p->root = table_alloc(p);
	return p->root ? 0 : -ENOMEM;
}

/* Frees the tables below an entry of `level` (not what leaves map): with an open batch, when it is flushed. */
static void free_below(struct p2m *p, uint64_t e, unsigned level, struct p2m_batch *b)
{
	uint64_t *t;

	if (!is_table(e, level))
		return;
	t = table_of(e);
	if (level > 2) {
		for (unsigned i = 0; i < ENTRIES; i++)
			free_below(p, t[i], level - 1, b);
	}
	if (b) {
		/* A page's address is an entry that is not present. */
		WRITE_ONCE(t[0], (uintptr_t)b->tables);
		b->tables = t;
	} else {
		table_free(p, t);
	}
}

/* Frees the tables of the next GiB that has any, at most 513 pages. False: there are none left, nor the root. */
static bool release_some(struct p2m *p)
{
	for (; p->root && p->release_gfn < ENTRIES; p->release_gfn++) {
		uint64_t *l3, l4e = p->root[p->release_gfn];

		if (!is_table(l4e, 4))
			continue;
		l3 = table_of(l4e);
		for (unsigned i = 0; i < ENTRIES; i++) {
			uint64_t e = l3[i];

			if (!is_table(e, 3))
				continue;
			l3[i] = 0;
			free_below(p, e, 3, NULL);
			return true;
		}
		p->root[p->release_gfn] = 0;
		table_free(p, l3);
	}
	if (p->root)
		table_free(p, p->root);
	p->root = NULL;
	return false;
}

int p2m_release(struct domain *d)
{
	struct p2m *p = &d->arch.p2m;
	bool more = true;

	while (more) {
		/* Others may look for its pages until the end: who has a grant of it, who maps its memory. */
		write_lock(&p->lock);
		more = release_some(p);
		write_unlock(&p->lock);
		if (more && hypercall_should_yield())
			return -ERESTART;
	}
	return 0;
}

static void flush_now(struct domain *d, gfn_t gfn, uint64_t count)
{
	struct p2m_batch *b = batch_of(d);

	if (b) {
		b->flush_cpu = true;
		b->flush_iommu = true;
		return;
	}
	vendor->tlb_flush(d);
	if (d->iommu)
		iommu_flush(d, gfn, count);
}

/* Replaces a superpage by a table of smaller ones. */
static int split(struct p2m *p, uint64_t *e, unsigned level)
{
	uint64_t *t = table_alloc(p), old = *e;
	mfn_t m = paddr_to_mfn(paddr_from(old & PTE_ADDR));

	if (!t)
		return -ENOMEM;
	for (unsigned i = 0; i < ENTRIES; i++)
		t[i] = make_entry(mfn_add(m, (uint64_t)i << (9 * (level - 2))), level - 1,
				  entry_type(old));
	WRITE_ONCE(*e, paddr_raw(heap_paddr(t)) | TABLE_FLAGS);
	return 0;
}

/* Entry of the wanted level, with tables made and superpages split on the way. */
static int walk_for_change(struct p2m *p, uint64_t gfn, unsigned level, bool make,
			   uint64_t **ret_entry)
{
	uint64_t *t = p->root;

	for (unsigned l = 4; l > level; l--) {
		uint64_t *e = &t[index_at(gfn, l)];

		if (*e == POD_ENTRY || (*e & PTE_LARGE)) {
			int err = split(p, e, l);

			if (err)
				return err;
		} else if (!(*e & PTE_PRESENT)) {
			uint64_t *n;

			if (!make) {
				*ret_entry = NULL;
				return 0;
			}
			n = table_alloc(p);
			if (!n)
				return -ENOMEM;
			WRITE_ONCE(*e, paddr_raw(heap_paddr(n)) | TABLE_FLAGS);
		}
		t = table_of(*e);
	}
	*ret_entry = &t[index_at(gfn, level)];
	return 0;
}

/* Pages below an entry of `level` that have no frame yet. */
static uint64_t pods_of(uint64_t e, unsigned level)
{
	uint64_t n = 0;

	if (e == POD_ENTRY)
		return BIT(9 * (level - 1));
	for (unsigned i = 0; is_table(e, level) && i < ENTRIES; i++)
		n += pods_of(table_of(e)[i], level - 1);
	return n;
}

static unsigned iommu_flags(enum p2m_type t)
{
	return IOMMU_READ | (type_writable(t) ? IOMMU_WRITE : 0);
}

/* Something that is not device memory: it may hold references, and goes only where these are looked after. */
static bool holds_memory(uint64_t e, unsigned level)
{
	bool found = false;

	if (!is_table(e, level))
		return entry_type(e) != P2M_NONE && entry_type(e) != P2M_MMIO;
	for (unsigned i = 0; i < ENTRIES && !found; i++)
		found = holds_memory(table_of(e)[i], level - 1);
	return found;
}

/* `device`: only what is device memory, or nothing, is changed. */
static int change(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type,
		  bool device)
{
	struct p2m_batch *batch = batch_of(d);
	struct p2m *p = &d->arch.p2m;
	unsigned level = order / 9 + 1;
	uint64_t *e, old;
	int err = 0;

	/* Behind p2m_release() nobody would take new entries and their tables away again. */
	if (!p->root || (type != P2M_NONE && READ_ONCE(d->dying)))
		return -EINVAL;
	err = walk_for_change(p, gfn_raw(gfn), level, type != P2M_NONE, &e);
	if (err || !e)
		return err;
	if (device && holds_memory(*e, level))
		return -EBUSY;
	if (d->iommu) {
		err = type == P2M_NONE ? iommu_unmap(d, gfn, order)
				       : iommu_map(d, gfn, mfn, order, iommu_flags(type));
		if (err) {
			/* It may have got half-way. */
			if (batch)
				batch->flush_iommu = true;
			else
				iommu_flush(d, gfn_from(0), 0);
			return err;
		}
	}
	old = *e;
	if (p->pod_entries)
		p->pod_entries -= pods_of(old, level);
	if (type == P2M_POD)
		p->pod_entries += BIT(order);
	WRITE_ONCE(*e, make_entry(mfn, level, type));
	if (type != P2M_NONE && gfn_raw(gfn) + BIT(order) - 1 > p->max_gfn)
		p->max_gfn = gfn_raw(gfn) + BIT(order) - 1;
	/* An entry that was not present is in no TLB, but an IOMMU in caching mode may remember even that. */
	if (old & PTE_PRESENT)
		flush_now(d, gfn, BIT(order));
	else if (d->iommu && !batch)
		iommu_flush(d, gfn, BIT(order));
	else if (d->iommu)
		batch->flush_iommu = true;
	free_below(p, old, level, batch);
	return 0;
}

static int set(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type,
	       bool device)
{
	struct p2m *p = &d->arch.p2m;
	uint64_t mask = BIT(order) - 1;
	int err;

	if ((order != ORDER_4K && order != ORDER_2M && order != ORDER_1G) ||
	    (gfn_raw(gfn) & mask) || (has_frame(type) && (mfn_raw(mfn) & mask)) ||
	    gfn_raw(gfn) >> MIN(cpu_info.phys_bits - PAGE_SHIFT, (unsigned)GFN_BITS))
		return -EINVAL;
	if (type == P2M_POD && d->iommu)
		return -EOPNOTSUPP;
	write_lock(&p->lock);
	err = change(d, gfn, mfn, order, type, device);
	write_unlock(&p->lock);
	return err;
}

int p2m_set(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type)
{
	return set(d, gfn, mfn, order, type, type == P2M_MMIO);
}

int p2m_clear(struct domain *d, gfn_t gfn, unsigned order)
{
	return set(d, gfn, mfn_invalid(), order, P2M_NONE, false);
}

int p2m_clear_mmio(struct domain *d, gfn_t gfn, unsigned order)
{
	return set(d, gfn, mfn_invalid(), order, P2M_NONE, true);
}

int p2m_set_range(struct domain *d, gfn_t gfn, mfn_t mfn, uint64_t count, enum p2m_type type)
{
	int err = 0;

	p2m_batch_begin(d);
	while (count && !err) {
		uint64_t align = gfn_raw(gfn) | (has_frame(type) ? mfn_raw(mfn) : 0);
		unsigned order = ORDER_4K;

		if (cpu_has(CPU_PDPE1GB) && IS_ALIGNED(align, BIT(ORDER_1G)) &&
		    count >= BIT(ORDER_1G))
			order = ORDER_1G;
		else if (IS_ALIGNED(align, BIT(ORDER_2M)) && count >= BIT(ORDER_2M))
			order = ORDER_2M;
		err = p2m_set(d, gfn, mfn, order, type);
		gfn = gfn_add(gfn, BIT(order));
		mfn = mfn_add(mfn, BIT(order));
		count -= BIT(order);
	}
	p2m_batch_end(d);
	return err;
}

void p2m_batch_begin(struct domain *d)
{
	struct p2m_batch *b = &batches[cpu_id()];

	/* One domain at a time: changes of another one meanwhile are flushed one by one. */
	if (b->d && b->d != d)
		return;
	if (b->depth++)
		return;
	b->d = d;
	write_lock(&d->arch.p2m.lock);
	d->arch.p2m.open_batches++;
	write_unlock(&d->arch.p2m.lock);
}

void p2m_batch_end(struct domain *d)
{
	struct p2m_batch *b = batch_of(d);
	struct p2m *p = &d->arch.p2m;

	if (!b || --b->depth)
		return;
	if (b->flush_cpu)
		vendor->tlb_flush(d);
	if (b->flush_iommu && d->iommu)
		iommu_flush(d, gfn_from(0), 0);
	write_lock(&p->lock);
	while (b->tables) {
		uint64_t *t = b->tables;

		b->tables = (uint64_t *)(uintptr_t)t[0];
		table_free(p, t);
	}
	*b = (struct p2m_batch){0};
	/* Changes outside of batches are flushed under the lock: nothing can be left. */
	p->open_batches--;
	ASSERT(p->open_batches || !iommu_is_dirty(d));
	write_unlock(&p->lock);
}

bool p2m_in_batch(void)
{
	return batches[cpu_id()].d;
}

/* Leaf entry and the frame within it; without one *ret_mfn is left alone. Under the lock. */
static uint64_t lookup(struct p2m *p, uint64_t gfn, mfn_t *ret_mfn)
{
	uint64_t *t = p->root;

	if (!t || gfn >> GFN_BITS)
		return 0;
	for (unsigned l = 4; l >= 1; l--) {
		uint64_t e = t[index_at(gfn, l)];

		if (!(e & PTE_PRESENT))
			return e;
		if (l == 1 || (e & PTE_LARGE)) {
			*ret_mfn = mfn_from(((e & PTE_ADDR) >> PAGE_SHIFT) +
					    (gfn & (BIT(9 * (l - 1)) - 1)));
			return e;
		}
		t = table_of(e);
	}
	return 0;
}

mfn_t p2m_lookup_locked(struct domain *d, gfn_t gfn, enum p2m_type *ret_type)
{
	mfn_t m = mfn_invalid();
	uint64_t e = lookup(&d->arch.p2m, gfn_raw(gfn), &m);

	*ret_type = entry_type(e);
	return m;
}

mfn_t p2m_lookup(struct domain *d, gfn_t gfn, enum p2m_type *ret_type)
{
	mfn_t m;

	read_lock(&d->arch.p2m.lock);
	m = p2m_lookup_locked(d, gfn, ret_type);
	read_unlock(&d->arch.p2m.lock);
	return m;
}

static mfn_t lookup_order(struct p2m *p, gfn_t gfn, enum p2m_type *ret_type, unsigned *ret_order)
{
	uint64_t n = gfn_raw(gfn), e = 0;
	unsigned level = 4;
	mfn_t m = mfn_invalid();
	uint64_t *t;

	for (t = n >> GFN_BITS ? NULL : p->root; t; level--) {
		e = t[index_at(n, level)];
		if (!is_table(e, level))
			break;
		t = table_of(e);
	}
	if (e & PTE_PRESENT)
		m = mfn_from(((e & PTE_ADDR) >> PAGE_SHIFT) + (n & (BIT(9 * (level - 1)) - 1)));
	*ret_type = entry_type(e);
	*ret_order = 9 * (level - 1);
	return m;
}

mfn_t p2m_lookup_order(struct domain *d, gfn_t gfn, enum p2m_type *ret_type, unsigned *ret_order)
{
	struct p2m *p = &d->arch.p2m;
	mfn_t m;

	read_lock(&p->lock);
	m = lookup_order(p, gfn, ret_type, ret_order);
	read_unlock(&p->lock);
	return m;
}

mfn_t p2m_get_page(struct domain *d, gfn_t gfn, bool write, enum p2m_type *ret_type)
{
	enum p2m_type t;
	mfn_t m;

again:
	read_lock(&d->arch.p2m.lock);
	m = p2m_lookup_locked(d, gfn, &t);
	if (t == P2M_POD) {
		read_unlock(&d->arch.p2m.lock);
		if (pod_touch(d, gfn))
			goto again;
		*ret_type = t;
		return mfn_invalid();
	}
	if (mfn_is_invalid(m) || !p2m_type_is_mappable(t) || (write && !type_writable(t)) ||
	    !mfn_valid(m)) {
		m = mfn_invalid();
	} else if (t == P2M_GRANT_RW || t == P2M_GRANT_RO || t == P2M_FOREIGN) {
		/* The mapping itself holds a reference, and stays while we have the lock. */
		page_get_again(m);
	} else if (!page_get(m, d)) {
		m = mfn_invalid();
	}
	read_unlock(&d->arch.p2m.lock);
	*ret_type = t;
	return m;
}

/* ---- Populate-on-demand ---- */

uint64_t p2m_pod_entries(const struct domain *d)
{
	return READ_ONCE(d->arch.p2m.pod_entries);
}

int p2m_clear_pod(struct domain *d, gfn_t gfn, unsigned order)
{
	struct p2m *p = &d->arch.p2m;
	enum p2m_type t;
	unsigned have;
	int err = -EAGAIN;

	write_lock(&p->lock);
	(void)lookup_order(p, gfn, &t, &have);
	if (t == P2M_POD && have >= order)
		err = change(d, gfn, mfn_invalid(), order, P2M_NONE, false);
	write_unlock(&p->lock);
	return err;
}

/* 2 MiB at once where the entry and the cache have them. */
static int populate(struct domain *d, gfn_t gfn)
{
	unsigned order;
	enum p2m_type t;
	mfn_t m;
	int err;

	(void)lookup_order(&d->arch.p2m, gfn, &t, &order);
	if (t != P2M_POD)
		return 0;
	order = order >= ORDER_2M ? ORDER_2M : ORDER_4K;
	m = pod_cache_take(d, order);
	if (mfn_is_invalid(m) && order) {
		order = ORDER_4K;
		m = pod_cache_take(d, order);
	}
	if (mfn_is_invalid(m))
		return -ENOSPC;
	err = change(d, gfn_from(ALIGN_DOWN(gfn_raw(gfn), BIT(order))), m, order, P2M_RAM, false);
	if (err)
		pod_cache_put(d, m, order);
	return err;
}

int p2m_populate(struct domain *d, gfn_t gfn)
{
	int err;

	write_lock(&d->arch.p2m.lock);
	err = populate(d, gfn);
	write_unlock(&d->arch.p2m.lock);
	return err;
}

static bool frame_is_zero(mfn_t m)
{
	const uint64_t *p = window_map(m);
	bool zero = true;

	for (unsigned i = 0; zero && i < PAGE_SIZE / sizeof(*p); i++)
		zero = !p[i];
	window_unmap(p);
	return zero;
}

/* It is RAM that nobody has a reference to but its owner. */
static bool frame_is_free_to_go(const struct domain *d, mfn_t m)
{
	const struct page *pg = mfn_to_page(m);

	return mfn_valid(m) && pg->state == PAGE_DOMAIN && pg->owner == d->id &&
	       __atomic_load_n(&pg->count, __ATOMIC_ACQUIRE) == 1 && frame_is_zero(m);
}

struct candidate {
	gfn_t gfn;
	mfn_t mfn;
};
#define CANDIDATES 32

/* Pages that look as if they could go; their entries are taken out. */
static unsigned sweep_find(struct domain *d, uint64_t *gfn, unsigned entries, struct candidate *c)
{
	struct p2m *p = &d->arch.p2m;
	unsigned n = 0;

	for (; entries && n < CANDIDATES && *gfn <= p->max_gfn; entries--) {
		enum p2m_type t;
		unsigned order;
		mfn_t m = lookup_order(p, gfn_from(*gfn), &t, &order);

		if (t != P2M_RAM) {
			*gfn = ALIGN_DOWN(*gfn, BIT(order)) + BIT(order);
			continue;
		}
		if (frame_is_free_to_go(d, m) &&
		    !change(d, gfn_from(*gfn), mfn_invalid(), ORDER_4K, P2M_POD, false))
			c[n++] = (struct candidate){gfn_from(*gfn), m};
		++*gfn;
	}
	return n;
}

unsigned p2m_pod_sweep(struct domain *d, gfn_t gfn, unsigned entries, gfn_t *ret_next)
{
	struct candidate c[CANDIDATES];
	uint64_t next = gfn_raw(gfn);
	unsigned n, found = 0;

	p2m_batch_begin(d);
	write_lock(&d->arch.p2m.lock);
	n = sweep_find(d, &next, entries, c);
	/* From here on no vCPU can write to them: who tries waits for the lock. What was written before counts. */
	if (n)
		vendor->tlb_flush(d);
	for (unsigned i = 0; i < n; i++) {
		if (frame_is_free_to_go(d, c[i].mfn)) {
			pod_cache_put(d, c[i].mfn, ORDER_4K);
			found++;
		} else {
			/* Its table is there. */
			(void)change(d, c[i].gfn, c[i].mfn, ORDER_4K, P2M_RAM, false);
		}
	}
	write_unlock(&d->arch.p2m.lock);
	p2m_batch_end(d);
	*ret_next = gfn_from(next);
	return found;
}

gfn_t p2m_max_gfn(const struct domain *d)
{
	return gfn_from(d->arch.p2m.max_gfn);
}

int p2m_pool_set(struct domain *d, uint64_t pages)
{
	struct p2m *p = &d->arch.p2m;

	write_lock(&p->lock);
	p->pool_pages = MAX(pages, p->pool_used);
	write_unlock(&p->lock);
	return 0;
}

uint64_t p2m_pool_get(const struct domain *d)
{
	return d->arch.p2m.pool_pages;
}
