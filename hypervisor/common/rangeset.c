/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of numbers, kept as a sorted list of ranges. */
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>
#include <bulkhead/rangeset.h>

struct range {
	struct list link;
	uint64_t first, last;
};

static void drop(struct rangeset *r, struct range *e)
{
	list_remove(&e->link);
	r->count--;
	heap_free(e);
}

void rangeset_init(struct rangeset *r)
{
	list_init(&r->ranges);
	r->count = 0;
}

void rangeset_finish(struct rangeset *r)
{
	struct range *e, *next;

	LIST_FOR_EACH_SAFE (e, next, &r->ranges, struct range, link)
		drop(r, e);
}

static struct range *make(struct rangeset *r, uint64_t first, uint64_t last)
{
	struct range *e = heap_alloc(sizeof(*e));

	if (e) {
		e->first = first;
		e->last = last;
		r->count++;
	}
	return e;
}

/* They overlap, or nothing is between them. */
static bool touches(const struct range *e, uint64_t first, uint64_t last)
{
	return (first == 0 || e->last >= first - 1) && (last == UINT64_MAX || e->first <= last + 1);
}

int rangeset_add(struct rangeset *r, uint64_t first, uint64_t last)
{
	struct range *e, *next, *merged = NULL;
	struct list *before = &r->ranges;

	LIST_FOR_EACH_SAFE (e, next, &r->ranges, struct range, link) {
		if (!touches(e, first, last)) {
			/* The first one that lies behind. */
			if (e->first > last && before == &r->ranges)
				before = &e->link;
			continue;
		}
		first = MIN(first, e->first);
		last = MAX(last, e->last);
		if (merged)
			drop(r, e);
		else
			merged = e;
		if (merged) {
			merged->first = first;
			merged->last = last;
		}
	}
	if (merged)
		return 0;
	if (r->count >= RANGESET_MAX)
		return -ENOSPC;
	e = make(r, first, last);
	if (!e)
		return -ENOMEM;
	list_insert_before(before, &e->link);
	return 0;
}

/* Only a range that has `first … last` in its middle becomes two: that takes memory. */
static int split(struct rangeset *r, struct range *e, uint64_t first, uint64_t last)
{
	struct range *tail;

	if (r->count >= RANGESET_MAX)
		return -ENOSPC;
	tail = make(r, last + 1, e->last);
	if (!tail)
		return -ENOMEM;
	e->last = first - 1;
	list_insert_after(&e->link, &tail->link);
	return 0;
}

int rangeset_remove(struct rangeset *r, uint64_t first, uint64_t last)
{
	struct range *e, *next;

	LIST_FOR_EACH_SAFE (e, next, &r->ranges, struct range, link) {
		if (e->last < first || e->first > last)
			continue;
		if (e->first < first && e->last > last)
			return split(r, e, first, last);
		if (e->first < first)
			e->last = first - 1;
		else if (e->last > last)
			e->first = last + 1;
		else
			drop(r, e);
	}
	return 0;
}

bool rangeset_contains(const struct rangeset *r, uint64_t first, uint64_t last)
{
	struct range *e;

	LIST_FOR_EACH (e, &r->ranges, struct range, link) {
		if (e->first <= first && e->last >= last)
			return true;
	}
	return false;
}
