/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Deferred work. */
#include <bulkhead/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>
#include <bulkhead/work.h>

static void work_softirq(void)
{
	struct list *head = this_cpu()->work;
	unsigned long flags = arch_irq_save();
	struct list batch;

	/* Only what is there now: items that queue themselves again are for the next pass. */
	if (list_empty(head)) {
		arch_irq_restore(flags);
		return;
	}
	batch = *head;
	batch.next->prev = batch.prev->next = &batch;
	list_init(head);

	while (!list_empty(&batch)) {
		struct work *w = LIST_FIRST(&batch, struct work, link);

		list_remove(&w->link);
		__atomic_store_n(&w->queued, false, __ATOMIC_RELEASE);
		arch_irq_restore(flags);
		w->fn(w);
		flags = arch_irq_save();
	}
	arch_irq_restore(flags);
}

int work_cpu_init(unsigned cpu)
{
	struct list *head = heap_alloc(sizeof(*head));

	if (!head)
		return -ENOMEM;
	list_init(head);
	cpu_table[cpu]->work = head;
	softirq_register(SOFTIRQ_WORK, work_softirq);
	return 0;
}

void work_init(struct work *w, void (*fn)(struct work *w))
{
	list_init(&w->link);
	w->fn = fn;
	w->queued = false;
}

bool work_queue(struct work *w)
{
	unsigned long flags;

	if (__atomic_exchange_n(&w->queued, true, __ATOMIC_ACQ_REL))
		return false;
	/* Each CPU touches only its own list: off the reach of its interrupt handlers is enough. */
	flags = arch_irq_save();
	list_insert_before(this_cpu()->work, &w->link);
	softirq_raise(SOFTIRQ_WORK);
	arch_irq_restore(flags);
	return true;
}
