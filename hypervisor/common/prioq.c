/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Priority queue as a complete binary tree of linked nodes. */
#include <bulkhead/prioq.h>

/*
 * The tree has the shape of an array heap: node k (from 1) has the children 2k and 2k + 1. There is no array to
 * index, but the bits of k below its highest are the way from the root: 0 is left, 1 is right.
 */
static struct prioq_node **slot_of(struct prioq *q, unsigned long k, struct prioq_node **ret_parent)
{
	struct prioq_node **slot = &q->root;
	unsigned bit = 63 - (unsigned)__builtin_clzl(k);

	*ret_parent = NULL;
	while (bit-- > 0) {
		*ret_parent = *slot;
		slot = (k >> bit & 1) ? &(*slot)->right : &(*slot)->left;
	}
	return slot;
}

/* Lets what is around the place of `old` point to `n`; `n` has the links of `old` already. */
static void adopt(struct prioq *q, const struct prioq_node *old, struct prioq_node *n)
{
	if (!n->parent)
		q->root = n;
	else if (n->parent->left == old)
		n->parent->left = n;
	else
		n->parent->right = n;
	if (n->left)
		n->left->parent = n;
	if (n->right)
		n->right->parent = n;
}

/* Exchanges a node and its child. */
static void swap_with_child(struct prioq *q, struct prioq_node *up, struct prioq_node *down)
{
	struct prioq_node upper = *up, lower = *down;

	*down = upper;
	if (upper.left == down)
		down->left = up;
	else
		down->right = up;
	*up = lower;
	up->parent = down;
	adopt(q, up, down);
	if (up->left)
		up->left->parent = up;
	if (up->right)
		up->right->parent = up;
}

static void sift_up(struct prioq *q, struct prioq_node *n)
{
	while (n->parent && q->before(n, n->parent))
		swap_with_child(q, n->parent, n);
}

static void sift_down(struct prioq *q, struct prioq_node *n)
{
	for (;;) {
		struct prioq_node *best = n;

		if (n->left && q->before(n->left, best))
			best = n->left;
		if (n->right && q->before(n->right, best))
			best = n->right;
		if (best == n)
			return;
		swap_with_child(q, n, best);
	}
}

void prioq_insert(struct prioq *q, struct prioq_node *n)
{
	struct prioq_node *parent;
	struct prioq_node **slot = slot_of(q, ++q->count, &parent);

	n->parent = parent;
	n->left = n->right = NULL;
	*slot = n;
	sift_up(q, n);
}

void prioq_remove(struct prioq *q, struct prioq_node *n)
{
	struct prioq_node *parent, *last;
	struct prioq_node **slot = slot_of(q, q->count, &parent);

	last = *slot;
	*slot = NULL;
	q->count--;
	if (last != n) {
		*last = *n;
		adopt(q, n, last);
		sift_up(q, last);
		sift_down(q, last);
	}
	n->parent = n->left = n->right = NULL;
}
