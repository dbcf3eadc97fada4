/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisor's heap: chunks of 2 MiB of machine memory, each mapped as a whole at HEAP_BASE + its address.
 * Page 0 of a chunk describes it. Objects below a page come from slabs. Allocations beyond a chunk take frames of
 * their own. Chunks that nobody uses any more go back to the allocator of frames, all but one: so a single object that
 * comes and goes does not make the heap grow and shrink. It is done later, as every CPU has to forget the mapping,
 * which no caller of heap_free() could wait for.
 */
#include <arch/paging.h>
#include <bulkhead/bitmap.h>
#include <bulkhead/errno.h>
#include <bulkhead/list.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/mm_init.h>
#include <bulkhead/spinlock.h>
#include <bulkhead/string.h>
#include <bulkhead/work.h>

#define CHUNK_SIZE  (2UL << 20)
#define CHUNK_PAGES (CHUNK_SIZE / PAGE_SIZE)
#define RUN_SLAB    0xffff /* the page is a slab */
#define SPARE_MAX   1U	   /* unused chunks that stay */
#define TRIM_BATCH  32U	   /* chunks that go back with one flush of all TLBs */

struct chunk {
	struct list link; /* in chunks[] */
	unsigned free;
	BITMAP_DECLARE(used, CHUNK_PAGES);
	uint16_t run[CHUNK_PAGES]; /* pages of the allocation that starts here, or RUN_SLAB */
};
_Static_assert(sizeof(struct chunk) <= PAGE_SIZE, "a chunk's description fits into its first page");

/* What a chunk has. Pages are taken from those first that are in use anyway. */
enum kind {
	PARTIAL, /* free pages, and used ones */
	SPARE,	 /* free pages only */
	FULL,
};

/* Object sizes: multiples of 16, so that everything is aligned to 16. */
static const uint16_t class_size[] = {32, 64, 128, 192, 256, 384, 512, 672, 1008, 1344, 2016};
#define CLASSES ARRAY_SIZE(class_size)

struct slab {
	struct list link; /* slabs of its class with free objects; empty list when full */
	void *free;	  /* singly linked through the first word of each object */
	uint16_t class, used;
} __aligned(64);

static spinlock_t heap_lock = SPINLOCK_INIT;
static struct list chunks[] = {
	[PARTIAL] = LIST_INIT(chunks[PARTIAL]),
	[FULL] = LIST_INIT(chunks[FULL]),
	[SPARE] = LIST_INIT(chunks[SPARE]),
};
static struct chunk *first_chunk; /* of the boot: it stays */
static unsigned spare_count;
static struct list slabs[CLASSES];
static uint64_t heap_size, pages_used;
static struct work trim_work;

static struct chunk *chunk_of(const void *p)
{
	return (struct chunk *)((uintptr_t)p & ~(CHUNK_SIZE - 1));
}

static enum kind kind_of(const struct chunk *c)
{
	if (!c->free)
		return FULL;
	return c->free == CHUNK_PAGES - 1 && c != first_chunk ? SPARE : PARTIAL;
}

static void link_chunk(struct chunk *c)
{
	enum kind k = kind_of(c);

	list_insert_before(&chunks[k], &c->link);
	spare_count += k == SPARE;
}

/* Takes pages from a chunk, or gives them back if less than 0. */
static void take_pages(struct chunk *c, int pages)
{
	enum kind before = kind_of(c);

	c->free -= (unsigned)pages;
	pages_used += (uint64_t)pages;
	if (kind_of(c) != before) {
		list_remove(&c->link);
		spare_count -= before == SPARE;
		link_chunk(c);
	}
}

static void add_chunk(paddr_t p)
{
	struct chunk *c = heap_ptr(p);

	memset(c, 0, sizeof(*c));
	bitmap_set(c->used, 0);
	c->free = CHUNK_PAGES - 1;
	link_chunk(c);
	heap_size += CHUNK_SIZE;
}

void heap_init(paddr_t chunk)
{
	for (unsigned i = 0; i < CLASSES; i++)
		list_init(&slabs[i]);
	first_chunk = heap_ptr(chunk);
	add_chunk(chunk);
}

paddr_t heap_paddr(const void *p)
{
	return paddr_from((uintptr_t)p - HEAP_BASE);
}

void *heap_ptr(paddr_t p)
{
	return (void *)(uintptr_t)(HEAP_BASE + paddr_raw(p));
}

static void *run_in_chunk(struct chunk *c, unsigned pages)
{
	unsigned long i = 1, end;

	while (i + pages <= CHUNK_PAGES) {
		i = bitmap_next_clear(c->used, CHUNK_PAGES, i);
		end = bitmap_next(c->used, CHUNK_PAGES, i);
		if (end - i >= pages) {
			for (unsigned long k = 0; k < pages; k++)
				bitmap_set(c->used, i + k);
			c->run[i] = (uint16_t)pages;
			take_pages(c, (int)pages);
			return (char *)c + i * PAGE_SIZE;
		}
		i = end;
	}
	return NULL;
}

static void *pages_locked(unsigned pages)
{
	struct chunk *c;
	void *p;

	LIST_FOR_EACH (c, &chunks[PARTIAL], struct chunk, link) {
		if (c->free >= pages && (p = run_in_chunk(c, pages)) != NULL)
			return p;
	}
	if (list_empty(&chunks[SPARE]))
		return NULL;
	return run_in_chunk(LIST_FIRST(&chunks[SPARE], struct chunk, link), pages);
}

static void free_pages_locked(void *p)
{
	struct chunk *c = chunk_of(p);
	unsigned long i = ((uintptr_t)p - (uintptr_t)c) / PAGE_SIZE;
	unsigned pages = c->run[i] == RUN_SLAB ? 1 : c->run[i];

	BUG_ON(!pages || !bitmap_test(c->used, i));
	for (unsigned k = 0; k < pages; k++)
		bitmap_clear(c->used, i + k);
	c->run[i] = 0;
	take_pages(c, -(int)pages);
}

/* Grows the heap by a chunk. Called without the lock, as it maps and may scrub. */
static bool grow(void)
{
	mfn_t m = frames_alloc(ORDER_2M, ALLOC_NO_SCRUB);
	unsigned long irq;

	if (mfn_is_invalid(m))
		return false;
	if (arch_heap_map(mfn_to_paddr(m))) {
		frames_free(m, ORDER_2M);
		return false;
	}
	irq = spin_lock_irqsave(&heap_lock);
	add_chunk(mfn_to_paddr(m));
	spin_unlock_irqrestore(&heap_lock, irq);
	arch_heap_grown();
	return true;
}

static void *pages_alloc(unsigned pages)
{
	void *p;

	do {
		unsigned long irq = spin_lock_irqsave(&heap_lock);

		p = pages_locked(pages);
		spin_unlock_irqrestore(&heap_lock, irq);
	} while (!p && grow());
	if (p)
		memset(p, 0, pages * PAGE_SIZE);
	return p;
}

void *heap_page_alloc(void)
{
	return pages_alloc(1);
}

void heap_page_free(void *page)
{
	heap_free(page);
}

/* Gives back what nobody uses. The chunks' first pages, which link them, are out of reach from arch_heap_unmap() on. */
static void trim(struct work *w)
{
	paddr_t batch[TRIM_BATCH];
	unsigned n;

	(void)w;
	do {
		unsigned long irq = spin_lock_irqsave(&heap_lock);

		for (n = 0; n < TRIM_BATCH && spare_count > SPARE_MAX; n++) {
			struct chunk *c = LIST_FIRST(&chunks[SPARE], struct chunk, link);

			list_remove(&c->link);
			spare_count--;
			heap_size -= CHUNK_SIZE;
			batch[n] = heap_paddr(c);
		}
		spin_unlock_irqrestore(&heap_lock, irq);
		for (unsigned i = 0; i < n; i++)
			arch_heap_unmap(batch[i]);
		if (n)
			arch_heap_flush();
		for (unsigned i = 0; i < n; i++)
			frames_free(paddr_to_mfn(batch[i]), ORDER_2M);
	} while (n == TRIM_BATCH);
}

void heap_trim_init(void)
{
	work_init(&trim_work, trim);
}

/* After something was freed, without the lock. */
static void trim_later(void)
{
	if (READ_ONCE(spare_count) > SPARE_MAX && trim_work.fn)
		work_queue(&trim_work);
}

/* Frames that are mapped in the heap become ordinary chunks. */
static void add_chunks(paddr_t p, uint64_t size)
{
	unsigned long irq = spin_lock_irqsave(&heap_lock);

	for (uint64_t off = 0; off < size; off += CHUNK_SIZE)
		add_chunk(paddr_from(paddr_raw(p) + off));
	spin_unlock_irqrestore(&heap_lock, irq);
}

static int big_map(paddr_t p, unsigned order)
{
	uint64_t size = PAGE_SIZE << order, off;

	for (off = 0; off < size; off += CHUNK_SIZE)
		if (arch_heap_map(paddr_from(paddr_raw(p) + off)))
			break;
	if (off == size)
		return 0;
	add_chunks(p, off);
	for (; off < size; off += CHUNK_SIZE)
		frames_free(paddr_to_mfn(paddr_from(paddr_raw(p) + off)), ORDER_2M);
	return -ENOMEM;
}

/* Beyond what fits into a chunk: whole frames, 2 MiB at least. The size is kept in the head's descriptor. */
static void *big_alloc(size_t size)
{
	unsigned order = ORDER_2M;
	unsigned long irq;
	void *p;
	mfn_t m;

	while (order < ORDER_1G && (PAGE_SIZE << order) < size)
		order++;
	if (PAGE_SIZE << order < size)
		return NULL;
	m = frames_alloc(order, ALLOC_NO_SCRUB);
	if (mfn_is_invalid(m) || big_map(mfn_to_paddr(m), order))
		return NULL;
	mfn_to_page(m)->order = (uint8_t)order;
	irq = spin_lock_irqsave(&heap_lock);
	heap_size += PAGE_SIZE << order;
	pages_used += BIT(order);
	spin_unlock_irqrestore(&heap_lock, irq);
	p = heap_ptr(mfn_to_paddr(m));
	memset(p, 0, PAGE_SIZE << order);
	return p;
}

static void *slab_object(unsigned class)
{
	struct slab *s;
	void *p;

	if (list_empty(&slabs[class]))
		return NULL;
	s = LIST_FIRST(&slabs[class], struct slab, link);
	p = s->free;
	s->free = *(void **)p;
	s->used++;
	if (!s->free)
		list_remove(&s->link);
	return p;
}

static void slab_setup(struct slab *s, unsigned class)
{
	size_t size = class_size[class];

	chunk_of(s)->run[((uintptr_t)s % CHUNK_SIZE) / PAGE_SIZE] = RUN_SLAB;
	s->class = (uint16_t) class;
	s->used = 0;
	s->free = NULL;
	for (size_t off = sizeof(*s); off + size <= PAGE_SIZE; off += size) {
		void **obj = (void **)((char *)s + off);

		*obj = s->free;
		s->free = obj;
	}
	list_insert_after(&slabs[class], &s->link);
}

static void *slab_alloc(unsigned class)
{
	unsigned long irq = spin_lock_irqsave(&heap_lock);
	void *p = slab_object(class);

	while (!p) {
		void *page;

		spin_unlock_irqrestore(&heap_lock, irq);
		page = pages_alloc(1);
		if (!page)
			return NULL;
		irq = spin_lock_irqsave(&heap_lock);
		slab_setup(page, class);
		p = slab_object(class);
	}
	spin_unlock_irqrestore(&heap_lock, irq);
	memset(p, 0, class_size[class]);
	return p;
}

void *heap_alloc(size_t size)
{
	if (size > (CHUNK_PAGES - 1) * PAGE_SIZE)
		return big_alloc(size);
	if (size > class_size[CLASSES - 1])
		return pages_alloc((unsigned)DIV_ROUND_UP(size, PAGE_SIZE));
	for (unsigned i = 0;; i++) {
		if (size <= class_size[i])
			return slab_alloc(i);
	}
}

static void slab_free(struct slab *s, void *p)
{
	if (!s->free)
		list_insert_after(&slabs[s->class], &s->link);
	*(void **)p = s->free;
	s->free = p;
	if (--s->used == 0) {
		list_remove(&s->link);
		free_pages_locked(s);
	}
}

static void big_free(void *p)
{
	struct page *pg = mfn_to_page(paddr_to_mfn(heap_paddr(p)));
	uint64_t size = PAGE_SIZE << pg->order;
	unsigned long irq = spin_lock_irqsave(&heap_lock);

	pg->order = 0;
	heap_size -= size; /* the chunks count again */
	pages_used -= size / PAGE_SIZE;
	spin_unlock_irqrestore(&heap_lock, irq);
	add_chunks(heap_paddr(p), size);
	trim_later();
}

void heap_free(void *p)
{
	unsigned long irq;

	if (!p)
		return;
	if (IS_ALIGNED((uintptr_t)p, CHUNK_SIZE)) {
		big_free(p);
		return;
	}
	irq = spin_lock_irqsave(&heap_lock);
	if (IS_ALIGNED((uintptr_t)p, PAGE_SIZE))
		free_pages_locked(p);
	else
		slab_free((struct slab *)((uintptr_t)p & PAGE_MASK), p);
	spin_unlock_irqrestore(&heap_lock, irq);
	trim_later();
}

uint64_t heap_bytes(void)
{
	return READ_ONCE(heap_size);
}

uint64_t heap_bytes_used(void)
{
	return READ_ONCE(pages_used) * PAGE_SIZE;
}
