/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compares the TSCs of two CPUs. The one asks, the other answers with its time, which was between question and answer: each
 * round bounds the distance from both sides, and the shortest ones bound it best. As messages take at least as long between
 * guests' CPUs, a distance that no round can tell from zero is none for them either.
 */
#include <arch/cpu.h>
#include <arch/tsc_sync.h>

#define ROUNDS 64U

/* Odd: a question; even: answered. One pair of CPUs at a time. */
static uint32_t turn;
static uint64_t answer;

void tsc_bounds_init(struct tsc_bounds *b)
{
	*b = (struct tsc_bounds){INT64_MIN, INT64_MAX};
}

void tsc_bounds_add(struct tsc_bounds *b, uint64_t before, uint64_t stamp, uint64_t after)
{
	b->lo = MAX(b->lo, (int64_t)(stamp - after));
	b->hi = MIN(b->hi, (int64_t)(stamp - before));
}

enum tsc_verdict tsc_bounds_judge(const struct tsc_bounds *b, int64_t *ret_shift)
{
	*ret_shift = 0;
	if (b->lo > b->hi)
		return TSC_DRIFTING;
	if (b->lo <= 0 && b->hi >= 0)
		return TSC_SAME;
	*ret_shift = b->lo + (b->hi - b->lo) / 2;
	return TSC_SHIFTED;
}

bool tsc_sync_measure(struct tsc_bounds *ret_bounds, uint64_t max_ticks)
{
	struct tsc_bounds b;

	tsc_bounds_init(&b);
	__atomic_store_n(&turn, 0, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t before = rdtsc(), after;

		__atomic_store_n(&turn, 2 * i + 1, __ATOMIC_RELEASE);
		while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != 2 * i + 2) {
			if (rdtsc() - before > max_ticks)
				return false;
			arch_cpu_relax();
		}
		after = rdtsc();
		tsc_bounds_add(&b, before, answer, after);
	}
	*ret_bounds = b;
	return true;
}

void tsc_sync_done(void)
{
	__atomic_store_n(&turn, 2 * ROUNDS + 1, __ATOMIC_RELEASE);
}

void tsc_sync_answer(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != 2 * i + 1)
			arch_cpu_relax();
		answer = rdtsc();
		__atomic_store_n(&turn, 2 * i + 2, __ATOMIC_RELEASE);
	}
	while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != 2 * ROUNDS + 1)
		arch_cpu_relax();
}
