/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One-shot timers: a heap per CPU, driven by that CPU's hardware timer. */
#ifndef BULKHEAD_TIMER_H
#define BULKHEAD_TIMER_H

#include <bulkhead/prioq.h>
#include <bulkhead/spinlock.h>
#include <bulkhead/time.h>

struct timer {
	struct prioq_node node; /* in the heap of its CPU, while armed */
	uint64_t deadline;	/* system time, ns */
	void (*fn)(void *data);
	void *data;
	unsigned cpu; /* where it runs; changed by timer_migrate() */
	bool armed;
	bool running;
};

/* Sets up the queue of a CPU; called on the boot CPU for each CPU before that starts. 0 or -ENOMEM. */
int timer_cpu_init(unsigned cpu);
/*
 * fn runs on CPU `cpu` from the main loop (softirq), interrupts on, no lock held, and may arm the timer again.
 * A timer takes no memory beyond the struct, so neither this nor arming can fail; the result is 0.
 */
int timer_init(struct timer *t, void (*fn)(void *data), void *data, unsigned cpu);
/* Stops it and waits until fn has returned. Not from fn itself. It may be armed again afterwards. */
void timer_finish(struct timer *t);
/* The following: any context. */
void timer_set(struct timer *t, uint64_t deadline); /* in the past: fires at once */
void timer_stop(struct timer *t); /* not armed any more; fn may still be running */
void timer_migrate(struct timer *t, unsigned cpu);
bool timer_is_set(const struct timer *t);
/* Called by the architecture in its timer interrupt: raises SOFTIRQ_TIMER. */
void timer_interrupt(void);
/* Raises SOFTIRQ_TIMER if the deadline that the hardware was told has passed, whether or not its interrupt arrives. For
 * the main loop, with interrupts off: a guest entered then would exit at once, and a CPU halted then would sleep for ever
 * if that interrupt got lost. */
void timer_check(void);

/* Contract with the architecture: program this CPU's timer for the absolute time, or TIME_NEVER. Interrupts are off. A
 * deadline that has passed interrupts at once. */
void arch_timer_program(uint64_t deadline);

#endif
