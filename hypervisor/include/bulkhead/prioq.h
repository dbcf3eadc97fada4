/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Priority queue: a binary heap whose nodes live in the queued objects, so that inserting needs no memory. */
#ifndef BULKHEAD_PRIOQ_H
#define BULKHEAD_PRIOQ_H

#include <bulkhead/compiler.h>

struct prioq_node {
	struct prioq_node *parent, *left, *right;
};

/* True if a comes out before b. Keys of queued nodes do not change. */
typedef bool prioq_before_fn(const struct prioq_node *a, const struct prioq_node *b);

struct prioq {
	struct prioq_node *root;
	unsigned long count;
	prioq_before_fn *before;
};

static inline void prioq_init(struct prioq *q, prioq_before_fn *before)
{
	q->root = NULL;
	q->count = 0;
	q->before = before;
}
/* NULL when empty. */
static inline struct prioq_node *prioq_first(const struct prioq *q)
{
	return q->root;
}

/* Both take O(log n) steps. Nodes that compare equal come out in no particular order. */
void prioq_insert(struct prioq *q, struct prioq_node *n);
void prioq_remove(struct prioq *q, struct prioq_node *n);

#endif
