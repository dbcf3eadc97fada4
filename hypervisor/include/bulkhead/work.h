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

/* Sets up the list of a CPU; called on the boot CPU for each CPU before that starts. 0 or -ENOMEM. */
int work_cpu_init(unsigned cpu);
void work_init(struct work *w, void (*fn)(struct work *w));
/*
 * Callable from any context; queueing a queued item does nothing and returns false. fn runs from the main loop, interrupts on, no lock
 * held; it may queue the item again or free it.
 */
bool work_queue(struct work *w);

#endif
