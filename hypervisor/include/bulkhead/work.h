/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Deferred work: a function to be run soon on this CPU outside of interrupt context. */
#ifndef BULKHEAD_WORK_H
#define BULKHEAD_WORK_H

#include <bulkhead/list.h>

struct work {
	struct list link;
	void (*fn)(struct work *w);
	bool queued;
};

void work_init(struct work *w, void (*fn)(struct work *w));
/* Callable from any context; queueing a queued item does nothing. */
void work_queue(struct work *w);

#endif
