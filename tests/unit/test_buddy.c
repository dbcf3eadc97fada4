/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of the frame allocator: splitting and merging, scrubbing, zones, and a random run against a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arch/cpu.h>

/* Times that interrupts could come in. */
static unsigned irq_windows;
static inline void test_irq_restore(unsigned long flags)
{
	irq_windows += flags != 0;
	arch_irq_restore(flags);
}
#define arch_irq_restore test_irq_restore

#include "../../hypervisor/common/buddy.c"

#define FRAMES	    4096U
#define HIGH_FIRST  (GiB(4) >> PAGE_SHIFT)
#define HIGH_FRAMES 512U

struct cpu *fake_this_cpu;
bool fake_irqs_off;

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

/* The allocator opens a window only to scrub: each gets a page of rubbish and must leave zeros. */
static uint64_t scrubbed;
/* What frames hold, in random_contents(). */
static bool rubbish[FRAMES];

void *window_map(mfn_t m)
{
	void *page = malloc(PAGE_SIZE);

	assert_true(mfn_valid(m));
	if (mfn_raw(m) < ARRAY_SIZE(rubbish))
		rubbish[mfn_raw(m)] = false;
	memset(page, 0x5a, PAGE_SIZE);
	return page;
}

void window_unmap(const void *p)
{
	const uint64_t *w = p;

	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		assert_int_equal(w[i], 0);
	scrubbed++;
	free((void *)(uintptr_t)p);
}

static int setup(void **state)
{
	(void)state;
	frame_count = HIGH_FIRST + HIGH_FRAMES;
	frame_table = calloc(frame_count, sizeof(*frame_table));
	scrubbed = 0;
	frames_init();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(frame_table);
	return 0;
}

static void give(uint64_t first, uint64_t count)
{
	frames_account(mfn_from(first), count);
	frames_add(mfn_from(first), count);
}

static void drain(void)
{
	for (unsigned order = 21; order-- > 0;) {
		while (!mfn_is_invalid(frames_alloc(order, ALLOC_NO_SCRUB)))
			;
	}
	assert_int_equal(frames_free_count(), 0);
}

static void splits_and_merges(void **state)
{
	mfn_t m[FRAMES];

	(void)state;
	give(0, FRAMES);
	assert_int_equal(frames_free_count(), FRAMES);
	for (unsigned i = 0; i < FRAMES; i++) {
		m[i] = frames_alloc(0, ALLOC_NO_SCRUB);
		assert_false(mfn_is_invalid(m[i]));
	}
	assert_true(mfn_is_invalid(frames_alloc(0, 0)));
	for (unsigned i = 0; i < FRAMES; i++)
		frames_free(m[(i * 1237U) % FRAMES], 0);
	/* All merged again: the whole is one block. */
	m[0] = frames_alloc(12, ALLOC_NO_SCRUB);
	assert_int_equal(mfn_raw(m[0]), 0);
	assert_int_equal(frames_free_count(), 0);
}

static void blocks_are_aligned(void **state)
{
	(void)state;
	give(3, 1000);
	for (unsigned order = 0; order < 9; order++) {
		mfn_t m = frames_alloc(order, ALLOC_NO_SCRUB);

		assert_false(mfn_is_invalid(m));
		assert_int_equal(mfn_raw(m) & (BIT(order) - 1), 0);
		assert_true(mfn_raw(m) >= 3 && mfn_raw(m) + BIT(order) <= 1003);
	}
	drain();
}

static void dirty_frames_are_scrubbed_once(void **state)
{
	mfn_t m;

	(void)state;
	give(0, 64);
	m = frames_alloc(3, 0);
	assert_int_equal(scrubbed, 8);	   /* boot memory may hold anything */
	assert_false(frames_scrub_some()); /* nothing was given back yet */
	frames_free(m, 3);
	assert_true(frames_dirty());
	while (frames_scrub_some())
		;
	assert_false(frames_dirty());
	frames_scrub_all();
	while (frames_scrub_some())
		;
	m = frames_alloc(6, 0);
	frames_free(m, 6);
	scrubbed = 8;
	while (frames_scrub_some())
		;
	assert_int_equal(scrubbed, 8 + 64);
	assert_false(frames_scrub_some());
	assert_int_equal(frames_free_count(), 64);
	m = frames_alloc(6, 0);
	assert_false(mfn_is_invalid(m));
	assert_int_equal(scrubbed, 8 + 64); /* clean already */
	frames_free(m, 6);
	m = frames_alloc(0, ALLOC_NO_SCRUB);
	assert_int_equal(scrubbed, 8 + 64);
	drain();
}

static void a_clean_block_merged_with_a_dirty_one_is_dirty(void **state)
{
	mfn_t a;

	(void)state;
	give(0, 2);
	frames_scrub_all();
	while (frames_scrub_some())
		;
	scrubbed = 0;
	a = frames_alloc(0, 0);
	assert_int_equal(scrubbed, 0);
	frames_free(a, 0);
	a = frames_alloc(1, 0);
	assert_int_equal(scrubbed, 2);
	frames_free(a, 1);
	drain();
}

static void one_dirty_frame_leaves_the_others_clean(void **state)
{
	mfn_t m[8];

	(void)state;
	give(0, 4096);
	frames_scrub_all();
	while (frames_scrub_some())
		;
	scrubbed = 0;
	m[0] = frames_alloc(0, 0);
	frames_free(m[0], 0);
	for (unsigned i = 0; i < 7; i++) {
		m[i] = frames_alloc(9, 0);
		assert_false(mfn_is_invalid(m[i]));
	}
	assert_int_equal(scrubbed, 0);
	m[7] = frames_alloc(9, 0); /* that with the frame in it */
	assert_false(mfn_is_invalid(m[7]));
	assert_int_equal(scrubbed, 512);
	for (unsigned i = 0; i < 8; i++)
		frames_free(m[i], 9);
	drain();
}

/* What idle CPUs have cleaned stays clean, however large the block is that it was cut out of. */
static void idle_cpus_clean_for_good(void **state)
{
	mfn_t m;

	(void)state;
	give(0, 4096);
	m = frames_alloc(12, ALLOC_NO_SCRUB);
	frames_free(m, 12);
	scrubbed = 0;
	while (frames_scrub_some())
		;
	assert_int_equal(scrubbed, 4096);
	m = frames_alloc(12, 0);
	assert_int_equal(mfn_raw(m), 0);
	assert_int_equal(scrubbed, 4096);
	frames_free(m, 12);
	/* Half of it: no more than that is to be cleaned by who gets the other half. */
	for (unsigned i = 0; i < 2048 / 64; i++)
		assert_true(frames_scrub_some());
	scrubbed = 0;
	m = frames_alloc(11, 0);
	assert_false(mfn_is_invalid(m));
	assert_int_equal(scrubbed, 0);
	frames_free(m, 11);
	drain();
}

/* However many blocks of both kinds have to be merged for one allocation, interrupts wait for a few of them only. */
static void merging_lets_interrupts_in(void **state)
{
	unsigned windows;
	mfn_t m;

	(void)state;
	give(0, FRAMES);
	for (unsigned i = 0; i < FRAMES; i++)
		assert_false(mfn_is_invalid(frames_alloc(0, ALLOC_NO_SCRUB)));
	for (unsigned i = 0; i < FRAMES; i += 2)
		frames_free(mfn_from(i), 0);
	while (frames_scrub_some())
		;
	for (unsigned i = 1; i < FRAMES; i += 2)
		frames_free(mfn_from(i), 0);
	scrubbed = 0;
	windows = irq_windows;
	/* A few merges serve a small block. */
	m = frames_alloc(1, 0);
	assert_false(mfn_is_invalid(m));
	assert_true(irq_windows - windows <= 2);
	assert_int_equal(scrubbed, 2);
	frames_free(m, 1);
	windows = irq_windows;
	assert_int_equal(mfn_raw(frames_alloc(12, ALLOC_NO_SCRUB)), 0);
	assert_true(irq_windows - windows >= FRAMES / 2 / MERGE_BATCH - 2);
	assert_int_equal(frames_free_count(), 0);
}

static void zones(void **state)
{
	mfn_t m;

	(void)state;
	give(16, 16);
	give(HIGH_FIRST, HIGH_FRAMES);
	assert_int_equal(mm_max_mfn(), HIGH_FIRST + HIGH_FRAMES - 1);
	m = frames_alloc(0, ALLOC_NO_SCRUB);
	assert_true(mfn_raw(m) >= HIGH_FIRST);
	m = frames_alloc(0, ALLOC_NO_SCRUB | ALLOC_BELOW_4G);
	assert_true(mfn_raw(m) < HIGH_FIRST);
	m = frames_alloc(9, ALLOC_NO_SCRUB | ALLOC_BELOW_4G);
	assert_true(mfn_is_invalid(m));
	drain();
}

static void absurd_orders_fail(void **state)
{
	(void)state;
	give(0, 16);
	assert_true(mfn_is_invalid(frames_alloc(5, 0)));
	assert_true(mfn_is_invalid(frames_alloc(21, 0)));
	assert_true(mfn_is_invalid(frames_alloc(~0U, 0)));
	drain();
}

/* Random allocations and frees; no two live blocks overlap, none leaves the arena, counts add up. */
static void random_run(void **state)
{
	static struct {
		uint64_t first;
		unsigned order;
	} live[512];
	static uint8_t taken[FRAMES];
	unsigned n = 0;
	uint64_t used = 0;

	(void)state;
	memset(taken, 0, sizeof(taken));
	srand(7);
	give(0, FRAMES);
	for (unsigned step = 0; step < 40000; step++) {
		if (n < ARRAY_SIZE(live) && (rand() & 1)) {
			unsigned order = (unsigned)rand() % 7;
			mfn_t m = frames_alloc(order, ALLOC_NO_SCRUB);

			if (mfn_is_invalid(m))
				continue;
			for (uint64_t i = 0; i < BIT(order); i++) {
				assert_false(taken[mfn_raw(m) + i]);
				taken[mfn_raw(m) + i] = 1;
			}
			live[n].first = mfn_raw(m);
			live[n++].order = order;
			used += BIT(order);
		} else if (n) {
			unsigned k = (unsigned)rand() % n;

			for (uint64_t i = 0; i < BIT(live[k].order); i++)
				taken[live[k].first + i] = 0;
			frames_free(mfn_from(live[k].first), live[k].order);
			used -= BIT(live[k].order);
			live[k] = live[--n];
		}
		assert_int_equal(frames_free_count(), FRAMES - used);
	}
	while (n--)
		frames_free(mfn_from(live[n].first), live[n].order);
	assert_int_equal(mfn_raw(frames_alloc(12, ALLOC_NO_SCRUB)), 0);
}

/* Whatever is given back and cleaned when: who gets a frame finds zeros, and nothing clean is cleaned again and again. */
static void random_contents(void **state)
{
	static struct {
		uint64_t first;
		unsigned order;
	} live[256];
	uint64_t soiled = FRAMES;
	unsigned n = 0;

	(void)state;
	srand(11);
	memset(rubbish, 1, sizeof(rubbish));
	give(0, FRAMES);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned what = (unsigned)rand() % 4, k = n ? (unsigned)rand() % n : 0;

		if (what == 0) {
			frames_scrub_some();
		} else if (what == 1 && n < ARRAY_SIZE(live)) {
			unsigned order = (unsigned)rand() % 10;
			mfn_t m = frames_alloc(order, 0);

			if (mfn_is_invalid(m))
				continue;
			for (uint64_t i = 0; i < BIT(order); i++)
				assert_false(rubbish[mfn_raw(m) + i]);
			live[n].first = mfn_raw(m);
			live[n++].order = order;
		} else if (what > 1 && n) {
			uint64_t frames = BIT(live[k].order);

			memset(rubbish + live[k].first, 1, frames);
			frames_free(mfn_from(live[k].first), live[k].order);
			soiled += frames;
			live[k] = live[--n];
		}
	}
	/* Merging both kinds costs something, but not much. */
	assert_in_range(scrubbed, 1, soiled * 5 / 4);
	while (n--)
		frames_free(mfn_from(live[n].first), live[n].order);
	while (frames_scrub_some())
		;
	assert_int_equal(frames_free_count(), FRAMES);
	/* All of it is one block again, and what was freed last is clean. */
	assert_int_equal(mfn_raw(frames_alloc(12, 0)), 0);
	for (unsigned i = 0; i < FRAMES; i++)
		assert_false(rubbish[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(splits_and_merges, setup, teardown),
		cmocka_unit_test_setup_teardown(blocks_are_aligned, setup, teardown),
		cmocka_unit_test_setup_teardown(dirty_frames_are_scrubbed_once, setup, teardown),
		cmocka_unit_test_setup_teardown(one_dirty_frame_leaves_the_others_clean, setup,
						teardown),
		cmocka_unit_test_setup_teardown(random_contents, setup, teardown),
		cmocka_unit_test_setup_teardown(idle_cpus_clean_for_good, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clean_block_merged_with_a_dirty_one_is_dirty,
						setup, teardown),
		cmocka_unit_test_setup_teardown(merging_lets_interrupts_in, setup, teardown),
		cmocka_unit_test_setup_teardown(zones, setup, teardown),
		cmocka_unit_test_setup_teardown(absurd_orders_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(random_run, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
