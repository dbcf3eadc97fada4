/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the TSCs of two CPUs compare. */
#ifndef ARCH_TSC_SYNC_H
#define ARCH_TSC_SYNC_H

#include <bulkhead/compiler.h>

/* What is known of the other CPU's TSC minus ours, in ticks. */
struct tsc_bounds {
	int64_t lo, hi;
};

enum tsc_verdict {
	TSC_SAME,     /* as far as can be seen */
	TSC_SHIFTED,  /* they run alike, at some distance */
	TSC_DRIFTING, /* no distance explains what was seen */
};

void tsc_bounds_init(struct tsc_bounds *b);
/* The other CPU read `stamp` between our readings `before` and `after`. */
void tsc_bounds_add(struct tsc_bounds *b, uint64_t before, uint64_t stamp, uint64_t after);
/* *ret_shift is the best guess of the distance; 0 unless TSC_SHIFTED. */
enum tsc_verdict tsc_bounds_judge(const struct tsc_bounds *b, int64_t *ret_shift);

/*
 * Compares the TSC of a CPU that starts with that of the boot CPU: each calls its part. tsc_sync_measure() gives up, and returns
 * false, when no answer comes within max_ticks. The other CPU goes on after tsc_sync_done() of the boot CPU.
 */
bool tsc_sync_measure(struct tsc_bounds *ret_bounds, uint64_t max_ticks);
void tsc_sync_done(void);
void tsc_sync_answer(void);

#endif
