/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps indices that a guest chose within bounds while the CPU runs ahead of a bounds check. */
#ifndef BULKHEAD_NOSPEC_H
#define BULKHEAD_NOSPEC_H

#include <bulkhead/compiler.h>

/*
 * Returns i, which the caller has found to be below n; 0 on a mispredicted path where it is not (Spectre variant 1,
 * SDM "Speculative Execution Side Channel Mitigations"). The empty statement hides the relation of i and n from the
 * compiler, which would drop the mask otherwise.
 */
static inline uint64_t index_nospec(uint64_t i, uint64_t n)
{
	uint64_t mask;

	__asm__ volatile("" : "+r"(i));
	mask = (i | (n - 1 - i)) >> 63;
	return i & (mask - 1);
}

#endif
