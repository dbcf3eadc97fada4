// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the heap: sizes, alignment, zeros, reuse, growth, shortage, and a random run against a model.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <arch/paging.h>

/* Machine memory is an area of the test; its first byte has machine address 0. */
static uint8_t *machine;
#undef HEAP_BASE
#define HEAP_BASE ((uintptr_t)machine)

#include "../../hypervisor/common/heap.c"

#define CHUNKS 24UL
#define FRAMES (CHUNKS * CHUNK_PAGES)

struct cpu *fake_this_cpu;
bool fake_irqs_off;
static struct page frames[FRAMES];
struct page *frame_table = frames;
uint64_t frame_count = FRAMES;
static enum {
	FREE,
	TAKEN,
	MAPPED,
	STALE, /* unmapped; CPUs may know the mapping */
} state_of[CHUNKS];
static int map_fail_after = -1;
static unsigned grown, flushes;

void fake_wait(void);
void fake_wait(void)
{
	abort(); /* one CPU: a lock is taken twice */
}

void panic(const char *fmt, ...)
{
	fprintf(stderr, "panic: %s\n", fmt);
	abort();
}

mfn_t frames_alloc(unsigned order, unsigned flags)
{
	unsigned long n = BIT(order) / CHUNK_PAGES;

	assert_true(order >= ORDER_2M && order <= ORDER_1G);
	assert_int_equal(flags, ALLOC_NO_SCRUB);
	for (unsigned long c = 0; c + n <= CHUNKS; c += n) {
		unsigned long k = 0;

		while (k < n && state_of[c + k] == FREE)
			k++;
		if (k < n)
			continue;
		for (k = 0; k < n; k++)
			state_of[c + k] = TAKEN;
		return mfn_from(c * CHUNK_PAGES);
	}
	return mfn_invalid();
}

void frames_free(mfn_t first, unsigned order)
{
	assert_int_equal(order, ORDER_2M);
	/* What was mapped must not be given to anybody else. */
	assert_int_equal(state_of[mfn_raw(first) / CHUNK_PAGES], TAKEN);
	state_of[mfn_raw(first) / CHUNK_PAGES] = FREE;
}

static void make_reachable(unsigned long c)
{
	assert_int_equal(mprotect(machine + c * CHUNK_SIZE, CHUNK_SIZE, PROT_READ | PROT_WRITE), 0);
	/* A former owner's data. */
	memset(machine + c * CHUNK_SIZE, 0xa5, CHUNK_SIZE);
	state_of[c] = MAPPED;
}

int arch_heap_map(paddr_t chunk)
{
	unsigned long c = paddr_raw(chunk) / CHUNK_SIZE;

	assert_int_equal(paddr_raw(chunk) % CHUNK_SIZE, 0);
	assert_int_equal(state_of[c], TAKEN);
	if (map_fail_after == 0)
		return -ENOMEM;
	map_fail_after -= map_fail_after > 0;
	make_reachable(c);
	return 0;
}

void arch_heap_grown(void)
{
	grown++;
}

/* Whoever still uses it faults. */
void arch_heap_unmap(paddr_t chunk)
{
	unsigned long c = paddr_raw(chunk) / CHUNK_SIZE;

	assert_false(spin_is_locked(&heap_lock));
	assert_int_equal(state_of[c], MAPPED);
	assert_int_equal(mprotect(machine + c * CHUNK_SIZE, CHUNK_SIZE, PROT_NONE), 0);
	state_of[c] = STALE;
}

void arch_heap_flush(void)
{
	assert_false(fake_irqs_off);
	for (unsigned c = 0; c < CHUNKS; c++)
		if (state_of[c] == STALE)
			state_of[c] = TAKEN;
	flushes++;
}

/* Work waits until a test lets it run. */
static struct work *waiting;

void work_init(struct work *w, void (*fn)(struct work *w))
{
	w->fn = fn;
}

bool work_queue(struct work *w)
{
	waiting = w;
	return true;
}

static void let_work_run(void)
{
	struct work *w = waiting;

	waiting = NULL;
	if (w)
		w->fn(w);
}

static int setup(void **state)
{
	uint8_t *p = mmap(NULL, (CHUNKS + 1) * CHUNK_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	(void)state;
	assert_true(p != MAP_FAILED);
	/* What is not mapped in the heap faults. */
	machine = (uint8_t *)ALIGN_UP((uintptr_t)p, CHUNK_SIZE);
	memset(state_of, 0, sizeof(state_of));
	memset(frames, 0, sizeof(frames));
	map_fail_after = -1;
	grown = flushes = 0;
	for (unsigned k = 0; k < ARRAY_SIZE(chunks); k++)
		list_init(&chunks[k]);
	heap_size = pages_used = spare_count = 0;
	waiting = NULL;
	trim_work.fn = NULL;
	make_reachable(0);
	heap_init(paddr_from(0));
	return 0;
}

static unsigned free_pages(void)
{
	struct chunk *c;
	unsigned n = 0;

	for (unsigned k = 0; k < ARRAY_SIZE(chunks); k++) {
		unsigned count = 0;

		LIST_FOR_EACH (c, &chunks[k], struct chunk, link) {
			unsigned used = 0;

			for (unsigned i = 0; i < CHUNK_PAGES; i++)
				used += bitmap_test(c->used, i);
			assert_int_equal(c->free + used, CHUNK_PAGES);
			assert_int_equal(kind_of(c), k);
			n += c->free;
			count++;
		}
		if (k == SPARE)
			assert_int_equal(count, spare_count);
	}
	return n;
}

static int teardown(void **state)
{
	(void)state;
	assert_false(spin_is_locked(&heap_lock));
	assert_false(fake_irqs_off);
	return 0;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static void sizes(void **state)
{
	static const size_t all[] = {0,
				     1,
				     16,
				     31,
				     32,
				     33,
				     64,
				     1008,
				     1009,
				     2016,
				     2017,
				     4095,
				     4096,
				     4097,
				     8192,
				     100000,
				     CHUNK_SIZE - PAGE_SIZE};
	unsigned before = free_pages();

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		uint8_t *p = heap_alloc(all[i]);

		assert_non_null(p);
		assert_true(IS_ALIGNED((uintptr_t)p, 16));
		if (all[i] >= PAGE_SIZE)
			assert_true(IS_ALIGNED((uintptr_t)p, PAGE_SIZE));
		assert_true(is_zero(p, all[i]));
		assert_ptr_equal(heap_ptr(heap_paddr(p)), p);
		memset(p, 0x5a, all[i]);
		heap_free(p);
		/* The next one of that size gets it back, clean. */
		p = heap_alloc(all[i]);
		assert_true(is_zero(p, all[i]));
		heap_free(p);
		assert_int_equal(free_pages(), before);
	}
	heap_free(NULL);
	assert_int_equal(heap_bytes(), CHUNK_SIZE);
	assert_int_equal(grown, 0);
}

static void slabs_fill_up(void **state)
{
	enum {
		COUNT = 1000
	};
	static uint8_t *p[COUNT];
	unsigned before = free_pages();

	(void)state;
	for (unsigned i = 0; i < COUNT; i++) {
		p[i] = heap_alloc(60);
		memset(p[i], (int)i, 60);
	}
	/* 63 objects of 64 bytes to a page. */
	assert_int_equal(before - free_pages(), DIV_ROUND_UP(COUNT, 63U));
	for (unsigned i = 0; i < COUNT; i++)
		for (unsigned k = 0; k < 60; k++)
			assert_int_equal(p[i][k], (uint8_t)i);
	for (unsigned i = 0; i < COUNT; i += 2)
		heap_free(p[i]);
	for (unsigned i = 1; i < COUNT; i += 2)
		heap_free(p[i]);
	assert_int_equal(free_pages(), before);
}

static void growth(void **state)
{
	uint8_t *a, *b;

	(void)state;
	/* The first chunk has a page less than this. */
	a = heap_alloc((CHUNK_PAGES - 1) * PAGE_SIZE);
	assert_int_equal(heap_bytes(), CHUNK_SIZE);
	b = heap_page_alloc();
	assert_int_equal(heap_bytes(), 2 * CHUNK_SIZE);
	assert_int_equal(grown, 1);
	assert_true(is_zero(b, PAGE_SIZE));
	heap_page_free(b);
	heap_free(a);
	/* Before heap_trim_init() it stays as large as it was. */
	assert_int_equal(heap_bytes(), 2 * CHUNK_SIZE);
	assert_int_equal(free_pages(), 2 * (CHUNK_PAGES - 1));
}

static void large_ones(void **state)
{
	uint8_t *p = heap_alloc(5 * CHUNK_SIZE);

	(void)state;
	assert_true(IS_ALIGNED((uintptr_t)p, CHUNK_SIZE));
	assert_true(is_zero(p, 5 * CHUNK_SIZE));
	assert_int_equal(heap_bytes(), 9 * CHUNK_SIZE);
	assert_int_equal(heap_bytes_used(), 8 * CHUNK_SIZE);
	heap_free(p);
	assert_int_equal(heap_bytes_used(), 0);
	/* Its frames are chunks now. */
	assert_int_equal(heap_bytes(), 9 * CHUNK_SIZE);
	assert_int_equal(free_pages(), 9 * (CHUNK_PAGES - 1));
	assert_null(heap_alloc(GiB(1)));
	assert_null(heap_alloc(GiB(1) + 1));
	assert_null(heap_alloc(SIZE_MAX));
}

static void no_memory(void **state)
{
	unsigned n = 0;

	(void)state;
	while (heap_alloc(CHUNK_SIZE - PAGE_SIZE))
		n++;
	assert_int_equal(n, CHUNKS);
	assert_null(heap_page_alloc());
	assert_null(heap_alloc(16));
	assert_null(heap_alloc(CHUNK_SIZE));
}

/* The frames of what cannot be mapped go back; of those that are mapped none is lost. */
static void no_memory_for_tables(void **state)
{
	unsigned free = 0;

	(void)state;
	map_fail_after = 0;
	assert_non_null(heap_alloc(CHUNK_SIZE - PAGE_SIZE));
	assert_null(heap_page_alloc());
	map_fail_after = 3;
	assert_null(heap_alloc(8 * CHUNK_SIZE));
	assert_int_equal(heap_bytes(), 4 * CHUNK_SIZE);
	assert_int_equal(free_pages(), 3 * (CHUNK_PAGES - 1));
	for (unsigned i = 0; i < CHUNKS; i++) {
		assert_int_not_equal(state_of[i], TAKEN);
		free += state_of[i] == FREE;
	}
	assert_int_equal(free, CHUNKS - 4);
}

static unsigned long in_state(unsigned state)
{
	unsigned long n = 0;

	for (unsigned i = 0; i < CHUNKS; i++)
		n += (unsigned)state_of[i] == state;
	return n;
}

/* One chunk that nobody uses stays, so that an object that comes and goes costs no flush; the others go back. */
static void shrinking(void **state)
{
	uint8_t *p[6], *small;

	(void)state;
	heap_trim_init();
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = heap_alloc(CHUNK_SIZE - PAGE_SIZE);
	assert_int_equal(heap_bytes(), 6 * CHUNK_SIZE);
	heap_free(p[5]);
	assert_null(waiting);
	for (unsigned i = 0; i < 100; i++)
		heap_free(heap_alloc(CHUNK_SIZE - PAGE_SIZE));
	assert_null(waiting);
	assert_int_equal(grown, 5);
	heap_free(p[1]);
	heap_free(p[2]);
	heap_free(p[3]);
	assert_non_null(waiting);
	assert_int_equal(heap_bytes(), 6 * CHUNK_SIZE);
	let_work_run();
	assert_int_equal(heap_bytes(), 3 * CHUNK_SIZE);
	assert_int_equal(flushes, 1);
	assert_int_equal(in_state(FREE), CHUNKS - 3);
	assert_int_equal(in_state(MAPPED), 3);
	/* What is left is used first, and by all. */
	small = heap_alloc(100);
	assert_int_equal(heap_bytes(), 3 * CHUNK_SIZE);
	heap_free(small);
	/* The first chunk is not one of those that go. */
	heap_free(p[0]);
	heap_free(p[4]);
	let_work_run();
	assert_int_equal(heap_bytes(), 2 * CHUNK_SIZE);
	assert_int_equal(in_state(FREE), CHUNKS - 2);
	assert_int_equal(free_pages(), 2 * (CHUNK_PAGES - 1));
	assert_int_equal(heap_bytes_used(), 0);
	/* Grown again, it takes what went back. */
	for (unsigned i = 0; i < 4; i++) {
		p[i] = heap_alloc(CHUNK_SIZE - PAGE_SIZE);
		assert_true(is_zero(p[i], CHUNK_SIZE - PAGE_SIZE));
	}
	assert_int_equal(heap_bytes(), 4 * CHUNK_SIZE);
}

/* The pieces of a large allocation go back one by one; one that is used again stays. */
static void shrinking_after_large_ones(void **state)
{
	uint8_t *p = heap_alloc(8 * CHUNK_SIZE), *q;

	(void)state;
	assert_non_null(p);
	heap_trim_init();
	heap_free(p);
	q = heap_alloc(CHUNK_SIZE - PAGE_SIZE);
	assert_int_equal(heap_bytes(), 9 * CHUNK_SIZE);
	let_work_run();
	/* q's is the first chunk's room: one chunk stays beside it. */
	assert_int_equal(heap_bytes(), 2 * CHUNK_SIZE);
	assert_int_equal(flushes, 1);
	p = heap_alloc(8 * CHUNK_SIZE);
	assert_non_null(p);
	heap_free(q);
	heap_free(p);
	let_work_run();
	assert_int_equal(heap_bytes(), 2 * CHUNK_SIZE);
	assert_int_equal(in_state(FREE), CHUNKS - 2);
}

/* Pages are taken from chunks that are in use anyway, so that others empty. */
static void pages_are_kept_together(void **state)
{
	static uint8_t *p[3 * (CHUNK_PAGES - 1)];

	(void)state;
	heap_trim_init();
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = heap_page_alloc();
	assert_int_equal(heap_bytes(), 3 * CHUNK_SIZE);
	/* All of the second but one page, and one page of the first. */
	for (unsigned i = CHUNK_PAGES; i < 2 * (CHUNK_PAGES - 1); i++)
		heap_page_free(p[i]);
	heap_page_free(p[7]);
	/* Every other page of the third, then all of it. */
	for (unsigned i = 2 * (CHUNK_PAGES - 1); i < ARRAY_SIZE(p); i += 2)
		heap_page_free(p[i]);
	for (unsigned i = 2 * (CHUNK_PAGES - 1) + 1; i < ARRAY_SIZE(p); i += 2)
		heap_page_free(p[i]);
	assert_null(waiting);
	assert_int_equal(spare_count, 1);
	for (unsigned i = 0; i < CHUNK_PAGES - 1; i++)
		assert_non_null(heap_page_alloc());
	assert_int_equal(spare_count, 1);
	assert_int_equal(heap_bytes(), 3 * CHUNK_SIZE);
}

static void random_run(void **state)
{
	static struct {
		uint8_t *p;
		size_t size;
		uint8_t mark;
	} m[300];
	uint64_t high;

	(void)state;
	memset(m, 0, sizeof(m));
	srand(7);
	heap_trim_init();
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)rand() % ARRAY_SIZE(m);

		if (m[i].p) {
			for (size_t k = 0; k < m[i].size; k += 1 + m[i].size / 16)
				assert_int_equal(m[i].p[k], m[i].mark);
			assert_int_equal(m[i].p[m[i].size - 1], m[i].mark);
			heap_free(m[i].p);
			m[i].p = NULL;
			if (step % 64 == 0)
				let_work_run();
			continue;
		}
		m[i].size = 1 + (size_t)rand() % (rand() % 10 ? 2500 : 60000);
		m[i].mark = (uint8_t)rand();
		m[i].p = heap_alloc(m[i].size);
		assert_non_null(m[i].p);
		if (step % 8 == 0)
			assert_true(is_zero(m[i].p, m[i].size));
		memset(m[i].p, m[i].mark, m[i].size);
	}
	high = heap_bytes();
	for (unsigned i = 0; i < ARRAY_SIZE(m); i++)
		heap_free(m[i].p);
	/* All slabs are gone. */
	assert_int_equal(free_pages(), high / CHUNK_SIZE * (CHUNK_PAGES - 1));
	assert_int_equal(heap_bytes_used(), 0);
	let_work_run();
	assert_true(heap_bytes() <= 2 * CHUNK_SIZE);
	assert_int_equal(in_state(MAPPED), heap_bytes() / CHUNK_SIZE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sizes),
		T(slabs_fill_up),
		T(growth),
		T(large_ones),
		T(no_memory),
		T(no_memory_for_tables),
		T(random_run),
		T(shrinking),
		T(shrinking_after_large_ones),
		T(pages_are_kept_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
