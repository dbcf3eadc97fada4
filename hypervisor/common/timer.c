/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One-shot timers. */
#include <bulkhead/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>
#include <bulkhead/timer.h>

struct timer_queue {
	spinlock_t lock;
	struct prioq heap;
	/* What the hardware was last told. Written by the CPU itself, with interrupts off. */
	uint64_t programmed;
};

static struct timer *timer_of(struct prioq_node *n)
{
	return CONTAINER_OF(n, struct timer, node);
}

static bool timer_before(const struct prioq_node *a, const struct prioq_node *b)
{
	return CONTAINER_OF(a, const struct timer, node)->deadline <
	       CONTAINER_OF(b, const struct timer, node)->deadline;
}

/* Locks the queue on which t is now: it may migrate until the lock is held. */
static struct timer_queue *lock_queue(struct timer *t, unsigned long *ret_flags)
{
	for (;;) {
		unsigned cpu = READ_ONCE(t->cpu);
		struct timer_queue *q = cpu_table[cpu]->timers;

		*ret_flags = spin_lock_irqsave(&q->lock);
		if (t->cpu == cpu)
			return q;
		spin_unlock_irqrestore(&q->lock, *ret_flags);
	}
}

/*
 * The first deadline of a queue has come forward. A CPU programs only its own hardware. Deadlines that go back are left
 * to the interrupt that then comes too early: it is cheaper than to write the register each time.
 */
static void first_changed(struct timer_queue *q, unsigned cpu, uint64_t deadline)
{
	if (cpu != cpu_id()) {
		softirq_raise_on(cpu, SOFTIRQ_TIMER);
	} else if (deadline <= time_now()) {
		softirq_raise(SOFTIRQ_TIMER);
	} else if (deadline < q->programmed) {
		q->programmed = deadline;
		arch_timer_program(deadline);
	}
}

static void enqueue(struct timer_queue *q, struct timer *t)
{
	t->armed = true;
	prioq_insert(&q->heap, &t->node);
	if (prioq_first(&q->heap) == &t->node)
		first_changed(q, t->cpu, t->deadline);
}

static void dequeue(struct timer_queue *q, struct timer *t)
{
	if (t->armed) {
		prioq_remove(&q->heap, &t->node);
		t->armed = false;
	}
}

/* Not to be set again by a timer_migrate() that is under way. */
static void disarm(struct timer_queue *q, struct timer *t)
{
	dequeue(q, t);
	t->deadline = TIME_NEVER;
}

int timer_init(struct timer *t, void (*fn)(void *data), void *data, unsigned cpu)
{
	t->fn = fn;
	t->data = data;
	t->cpu = cpu;
	t->deadline = TIME_NEVER;
	t->armed = t->running = false;
	return 0;
}

void timer_set(struct timer *t, uint64_t deadline)
{
	unsigned long flags;
	struct timer_queue *q = lock_queue(t, &flags);

	dequeue(q, t);
	t->deadline = deadline;
	if (deadline != TIME_NEVER)
		enqueue(q, t);
	spin_unlock_irqrestore(&q->lock, flags);
}

void timer_stop(struct timer *t)
{
	unsigned long flags;
	struct timer_queue *q;

	/* Storage that timer_init() never saw: teardown of something half made. */
	if (!t->fn)
		return;
	q = lock_queue(t, &flags);
	disarm(q, t);
	spin_unlock_irqrestore(&q->lock, flags);
}

void timer_finish(struct timer *t)
{
	do {
		/* fn may have armed it once more. */
		timer_stop(t);
		while (__atomic_load_n(&t->running, __ATOMIC_ACQUIRE))
			arch_cpu_relax();
	} while (READ_ONCE(t->armed));
}

void timer_migrate(struct timer *t, unsigned cpu)
{
	struct timer_queue *q;
	unsigned long flags;
	bool armed;

	if (READ_ONCE(t->cpu) == cpu)
		return;
	q = lock_queue(t, &flags);
	armed = t->armed;
	dequeue(q, t);
	/* From here on others lock the new queue. */
	WRITE_ONCE(t->cpu, cpu);
	spin_unlock_irqrestore(&q->lock, flags);
	if (!armed)
		return;

	q = lock_queue(t, &flags);
	/* Somebody may have set or stopped it meanwhile: that is newer than what is moved here. */
	if (!t->armed && t->deadline != TIME_NEVER)
		enqueue(q, t);
	spin_unlock_irqrestore(&q->lock, flags);
}

bool timer_is_set(const struct timer *t)
{
	return READ_ONCE(t->armed);
}

void timer_interrupt(void)
{
	/* One shot: the hardware is idle now. */
	this_cpu()->timers->programmed = TIME_NEVER;
	softirq_raise(SOFTIRQ_TIMER);
}

void timer_check(void)
{
	if (this_cpu()->timers->programmed <= time_now())
		softirq_raise(SOFTIRQ_TIMER);
}

/* Takes the first timer off the queue if it has expired. Called and returns with the lock held. */
static struct timer *take_expired(struct timer_queue *q, uint64_t now)
{
	struct prioq_node *n = prioq_first(&q->heap);
	struct timer *t;

	if (!n || timer_of(n)->deadline > now)
		return NULL;
	t = timer_of(n);
	/* It fired on another CPU, migrated and was armed again, and its function has not returned yet there: two
	 * must not run at one time. */
	if (__atomic_load_n(&t->running, __ATOMIC_ACQUIRE))
		return NULL;
	disarm(q, t);
	t->running = true;
	return t;
}

static void timer_softirq(void)
{
	struct timer_queue *q = this_cpu()->timers;
	unsigned long flags = spin_lock_irqsave(&q->lock);
	unsigned long left = q->heap.count;
	uint64_t now = time_now(), first;
	struct timer *t;

	/* No more than were there: timers that are set to the past again and again do not keep the CPU here. */
	while (left-- && (t = take_expired(q, now)) != NULL) {
		spin_unlock_irqrestore(&q->lock, flags);
		t->fn(t->data);
		flags = spin_lock_irqsave(&q->lock);
		/* The last access: who waits in timer_finish() may free it now. */
		__atomic_store_n(&t->running, false, __ATOMIC_RELEASE);
	}

	first = prioq_first(&q->heap) ? timer_of(prioq_first(&q->heap))->deadline : TIME_NEVER;
	if (first <= now) {
		softirq_raise(SOFTIRQ_TIMER);
	} else if (first != q->programmed) {
		q->programmed = first;
		arch_timer_program(first);
	}
	spin_unlock_irqrestore(&q->lock, flags);
}

int timer_cpu_init(unsigned cpu)
{
	struct timer_queue *q = heap_alloc(sizeof(*q));

	if (!q)
		return -ENOMEM;
	spin_init(&q->lock);
	prioq_init(&q->heap, timer_before);
	q->programmed = TIME_NEVER;
	cpu_table[cpu]->timers = q;
	softirq_register(SOFTIRQ_TIMER, timer_softirq);
	return 0;
}
