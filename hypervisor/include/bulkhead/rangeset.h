/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of numbers, kept as ranges: rights to device memory, ports and interrupts. */
#ifndef BULKHEAD_RANGESET_H
#define BULKHEAD_RANGESET_H

#include <bulkhead/list.h>

struct rangeset {
	struct list ranges; /* sorted, disjoint, not adjacent */
	unsigned count;
};

/* Each further range costs memory, and adding looks at all of them. */
#define RANGESET_MAX 256

void rangeset_init(struct rangeset *r);
void rangeset_finish(struct rangeset *r);
/* first … last, inclusive. 0, -ENOMEM or -ENOSPC (too many ranges); the set is as before then. */
int rangeset_add(struct rangeset *r, uint64_t first, uint64_t last);
int rangeset_remove(struct rangeset *r, uint64_t first, uint64_t last);
/* All of first … last is in it. */
bool rangeset_contains(const struct rangeset *r, uint64_t first, uint64_t last);

#endif
