// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the hypervisor's own address space: mappings of all sizes come and go, and no table is lost.
// cflags: -include hypervisor/arch/x86/include/arch/cpu.h
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the file under test asks of the CPU, in place of the functions of <arch/cpu.h>. */
static uint64_t cr4_value = X86_CR4_PGE;
static unsigned cr4_writes, invalidations;
static bool irqs_off;
static struct cpu *this_one;

static inline uint64_t test_read_cr4(void)
{
	return cr4_value;
}
static inline void test_write_cr4(uint64_t v)
{
	cr4_value = v;
	cr4_writes++;
}
static inline void test_write_cr3(uint64_t v)
{
	(void)v;
}
static inline void test_invlpg(const void *p)
{
	(void)p;
	invalidations++;
}
static inline unsigned long test_irq_save(void)
{
	unsigned long old = !irqs_off;

	irqs_off = true;
	return old;
}
static inline void test_irq_restore(unsigned long flags)
{
	irqs_off = !flags;
}
static inline struct cpu *test_this_cpu(void)
{
	return this_one;
}
#define read_cr4	 test_read_cr4
#define write_cr4	 test_write_cr4
#define write_cr3	 test_write_cr3
#define invlpg		 test_invlpg
#define arch_irq_save	 test_irq_save
#define arch_irq_restore test_irq_restore
#define arch_this_cpu	 test_this_cpu

#include "../../hypervisor/arch/x86/paging.c"

#define AREA 4096UL /* pages at the start of the area in which mappings are made: 8 tables */

bool cpus_may_stop;
struct page *frame_table;
uint64_t frame_count;
uint64_t boot_l4[512];
char image_start[1], image_end[1], text_end[1], rodata_end[1], data_start[1], ro_after_init_end[1],
	data_end[1], init_start[1], init_text_end[1], init_end[1], ksyms_start[1], ksyms_end[1],
	bss_start[1], bss_end[1];
static unsigned live;
static int fail_after = -1;

void *heap_page_alloc(void)
{
	void *p;

	if (fail_after == 0)
		return NULL;
	fail_after -= fail_after > 0;
	p = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	memset(p, 0, PAGE_SIZE);
	live++;
	return p;
}

void heap_page_free(void *page)
{
	live -= page != NULL;
	free(page);
}

paddr_t heap_paddr(const void *p)
{
	return paddr_from((uintptr_t)p);
}

void *heap_ptr(paddr_t p)
{
	return (void *)(uintptr_t)paddr_raw(p);
}

/* Boot uses these; nothing here does. */
void panic(const char *fmt, ...)
{
	fail_msg("%s", fmt);
	abort();
}
void log_msg(enum log_level level, const char *fmt, ...)
{
	(void)level, (void)fmt;
}
static unsigned calls;
void cpu_call_all(void (*fn)(void *arg), void *arg)
{
	assert_false(irqs_off);
	calls++;
	fn(arg);
}
void frames_init(void)
{
}
void frames_add(mfn_t first, uint64_t count)
{
	(void)first, (void)count;
}
void frames_account(mfn_t first, uint64_t count)
{
	(void)first, (void)count;
}
void heap_init(paddr_t first_chunk)
{
	(void)first_chunk;
}
int memmap_add(struct memmap *m, uint64_t start, uint64_t size, uint32_t type)
{
	(void)m, (void)start, (void)size, (void)type;
	return -1;
}

static uint64_t *table_in(uint64_t e)
{
	return heap_ptr(paddr_from(e & PTE_ADDR));
}

static void free_tables(uint64_t *t, unsigned level)
{
	for (unsigned i = 0; level > 1 && i < 512; i++)
		if ((t[i] & PTE_PRESENT) && !(t[i] & PTE_LARGE))
			free_tables(table_in(t[i]), level - 1);
	heap_page_free(t);
}

static unsigned count_tables(const uint64_t *t, unsigned level)
{
	unsigned n = 1;

	for (unsigned i = 0; level > 1 && i < 512; i++)
		if ((t[i] & PTE_PRESENT) && !(t[i] & PTE_LARGE))
			n += count_tables(table_in(t[i]), level - 1);
	return n;
}

static int setup(void **state)
{
	(void)state;
	master = heap_page_alloc();
	fill_slots(1UL << 30);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	/* All that was allocated can still be reached. */
	free_tables(master, 4);
	assert_int_equal(live, 0);
	assert_false(irqs_off);
	memset(vmap_used, 0, sizeof(vmap_used));
	vmap_next = 0;
	fail_after = -1;
	return 0;
}

/* What the CPU would find there; 0: nothing. */
static uint64_t entry_at(uint64_t va)
{
	const uint64_t *t = master;

	for (unsigned l = 4;; l--) {
		uint64_t e = t[va >> (3 + 9 * l) & 511];

		if (!(e & PTE_PRESENT))
			return 0;
		if (l == 1)
			return e;
		if (e & PTE_LARGE)
			return (e & ~(uint64_t)PTE_LARGE) + (va & (SIZE_2M - 1) & PAGE_MASK);
		t = table_in(e);
	}
}

static void expect(const void *p, unsigned pages, uint64_t pa, uint64_t prot)
{
	for (unsigned i = 0; i < pages; i++)
		assert_int_equal(entry_at((uintptr_t)p + i * PAGE_SIZE),
				 prot ? (pa + i * PAGE_SIZE) | prot : 0);
}

static void single_pages(void **state)
{
	mfn_t m[3] = {mfn_from(7), mfn_from(100), mfn_from(8)};
	char *p = vmap_pages(m, 3, PROT_RW);

	(void)state;
	assert_int_equal((uintptr_t)p, VMAP_BASE);
	expect(p, 1, 7 * PAGE_SIZE, PROT_RW);
	expect(p + PAGE_SIZE, 1, 100 * PAGE_SIZE, PROT_RW);
	expect(p + 2 * PAGE_SIZE, 1, 8 * PAGE_SIZE, PROT_RW);
	expect(p + 3 * PAGE_SIZE, 1, 0, 0);
	vmap_unmap(p, 3);
	expect(p, 3, 0, 0);
	vmap_free_range(p, 3);
}

static void large_pages(void **state)
{
	char *p = vmap_contiguous(4 * SIZE_2M, 1024 + 3, PROT_DEVICE);
	unsigned tables = live;

	(void)state;
	expect(p, 1027, 4 * SIZE_2M, PROT_DEVICE);
	/* Two of 2 MiB need no table of their own, the rest has one. */
	assert_int_equal(tables, count_tables(master, 4));
	invalidations = 0;
	vmap_unmap(p, 1027);
	assert_int_equal(invalidations, 2 + 3);
	expect(p, 1027, 0, 0);
}

/* A large page where small ones have been: the table of those is neither lost nor replaced, as CPUs remember it. */
static void large_page_over_a_table(void **state)
{
	mfn_t m = mfn_from(7);
	char *p = vmap_pages(&m, 1, PROT_RW), *q;
	unsigned before = live;

	(void)state;
	vmap_unmap(p, 1);
	vmap_free_range(p, 1);
	vmap_next = 0;
	q = vmap_contiguous(4 * SIZE_2M, 1024, PROT_RW);
	assert_ptr_equal(q, p);
	expect(q, 1024, 4 * SIZE_2M, PROT_RW);
	assert_int_equal(live, before);
	assert_int_equal(count_tables(master, 4), before);
	vmap_unmap(q, 1024);
	expect(q, 1024, 0, 0);
}

static void without_memory(void **state)
{
	mfn_t m[2] = {mfn_from(7), mfn_from(8)};
	unsigned before = live;

	(void)state;
	for (int n = 0; n < 2; n++) {
		fail_after = n;
		assert_null(vmap_pages(m, 2, PROT_RW));
		assert_null(vmap_contiguous(0, 2, PROT_RW));
		fail_after = -1;
	}
	assert_true(bitmap_next(vmap_used, VMAP_PAGES, 0) == VMAP_PAGES);
	assert_int_equal(count_tables(master, 4), live);
	assert_true(live >= before);
}

static void random_run(void **state)
{
	static struct {
		char *p;
		unsigned pages;
		uint64_t pa, prot;
	} map[24];

	(void)state;
	memset(map, 0, sizeof(map));
	srand(5);
	for (unsigned step = 0; step < 2000; step++) {
		unsigned i = (unsigned)rand() % ARRAY_SIZE(map);

		if (map[i].p) {
			vmap_unmap(map[i].p, map[i].pages);
			expect(map[i].p, map[i].pages, 0, 0);
			vmap_free_range(map[i].p, map[i].pages);
			map[i].p = NULL;
		} else {
			map[i].pages = 1 + (unsigned)rand() % (rand() % 4 ? 8 : 1500);
			map[i].pa = ((uint64_t)rand() % 64) * SIZE_2M;
			map[i].prot = rand() % 2 ? PROT_RW : PROT_RO;
			/* Starts at a border of 2 MiB in half of the cases. */
			vmap_next = (unsigned long)rand() % AREA & (rand() % 2 ? ~511UL : ~0UL);
			map[i].p = vmap_contiguous(map[i].pa, map[i].pages, map[i].prot);
			assert_non_null(map[i].p);
		}
		for (unsigned k = 0; step % 16 == 0 && k < ARRAY_SIZE(map); k++)
			if (map[k].p)
				expect(map[k].p, map[k].pages, map[k].pa, map[k].prot);
		assert_int_equal(count_tables(master, 4), live);
	}
}

/* Windows nest, are this CPU's own, and leave nothing behind. */
static void windows(void **state)
{
	struct cpu c = {.id = 0};
	char *p[WINDOW_SLOTS], *again;

	(void)state;
	this_one = &c;
	assert_int_equal(paging_cpu_init(&c), 0);
	assert_ptr_equal(c.arch.root, master);
	for (unsigned i = 0; i < WINDOW_SLOTS; i++) {
		p[i] = window_map(mfn_from(100 + i));
		assert_true(SLOT((uintptr_t)p[i]) == SLOT(WINDOW_BASE));
		/* Not global: it must not outlive a load of CR3. */
		expect(p[i], 1, (100 + i) * PAGE_SIZE, PROT_RW & ~(uint64_t)PTE_GLOBAL);
	}
	window_unmap(p[3] + 77);
	expect(p[3], 1, 0, 0);
	again = window_map(mfn_from(200));
	assert_ptr_equal(again, p[3]);
	invalidations = 0;
	for (unsigned i = 0; i < WINDOW_SLOTS; i++) {
		window_unmap(p[i]);
		expect(p[i], 1, 0, 0);
	}
	assert_int_equal(invalidations, WINDOW_SLOTS);
	assert_int_equal(c.arch.window_depth, 0);
}

/* Another CPU's root shares all but the windows. */
static void second_cpu(void **state)
{
	struct cpu c0 = {.id = 0}, c1 = {.id = 1};
	mfn_t m = mfn_from(7);
	char *p, *w;

	(void)state;
	assert_int_equal(paging_cpu_init(&c0), 0);
	assert_int_equal(paging_cpu_init(&c1), 0);
	p = vmap_pages(&m, 1, PROT_RW);
	this_one = &c1;
	w = window_map(mfn_from(9));
	/* It is in the tables of CPU 1 only, the other mapping in both. */
	expect(w, 1, 0, 0);
	expect(p, 1, 7 * PAGE_SIZE, PROT_RW);
	assert_int_equal(c1.arch.root[SLOT(VMAP_BASE)], master[SLOT(VMAP_BASE)]);
	assert_int_not_equal(c1.arch.root[SLOT(WINDOW_BASE)], master[SLOT(WINDOW_BASE)]);
	window_unmap(w);
	for (unsigned i = 0; i < 512; i++)
		if (i != SLOT(WINDOW_BASE))
			c1.arch.root[i] = 0;
	free_tables(c1.arch.root, 4);
}

static void flush(void **state)
{
	(void)state;
	cr4_writes = 0;
	tlb_flush_local_all();
	assert_int_equal(cr4_writes, 2);
	assert_int_equal(cr4_value, X86_CR4_PGE);
}

/* A chunk of the heap that ends leaves no entry; its table stays for the next one. */
static void heap_chunks(void **state)
{
	uint64_t base = HEAP_BASE + GiB(5), *l3 = table_in(master[SLOT(base)]), *l2;

	(void)state;
	assert_int_equal(arch_heap_map(paddr_from(GiB(5))), -ENOMEM);
	arch_heap_grown();
	assert_int_equal(arch_heap_map(paddr_from(GiB(5))), 0);
	assert_int_equal(arch_heap_map(paddr_from(GiB(5) + SIZE_2M)), 0);
	l2 = heap_ptr(paddr_from(l3[5] & PTE_ADDR));
	assert_int_equal(l2[0], GiB(5) | PROT_RW | PTE_LARGE);
	assert_int_equal(l2[1], (GiB(5) + SIZE_2M) | PROT_RW | PTE_LARGE);
	calls = cr4_writes = 0;
	arch_heap_unmap(paddr_from(GiB(5)));
	assert_int_equal(calls, 0);
	arch_heap_flush();
	assert_int_equal(calls, 1);
	assert_int_equal(cr4_writes, 2);
	assert_int_equal(l2[0], 0);
	assert_int_equal(l2[1], (GiB(5) + SIZE_2M) | PROT_RW | PTE_LARGE);
	assert_int_equal(arch_heap_map(paddr_from(GiB(5))), 0);
	assert_int_equal(l2[0], GiB(5) | PROT_RW | PTE_LARGE);
	l2[0] = l2[1] = 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(single_pages),   T(large_pages), T(large_page_over_a_table),
		T(without_memory), T(random_run),  T(flush),
		T(heap_chunks),	   T(windows),	   T(second_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
