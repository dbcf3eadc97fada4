/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The main loop of every CPU. */
#include <bulkhead/cpu.h>
#include <bulkhead/domain.h>
#include <bulkhead/init.h>
#include <bulkhead/mm_init.h>
#include <bulkhead/sched.h>
#include <bulkhead/timer.h>

/* Lets another vCPU take over if softirqs asked for a choice. */
static void reschedule(struct cpu *c)
{
	struct vcpu *prev = c->current, *next;

	if (!sched_switch_wanted())
		return;
	next = sched_switch();
	if (next == prev)
		return;
	if (!prev->is_idle)
		vcpu_runstate_publish_leaving(prev);
	arch_vcpu_switch(prev, next);
	sched_switched(prev);
	if (!next->is_idle)
		vcpu_runstate_publish(next);
}

void cpu_loop(void)
{
	struct cpu *c = this_cpu();

	for (;;) {
		__atomic_store_n(&c->quiescent, c->quiescent + 1, __ATOMIC_RELEASE);
		softirq_process();
		reschedule(c);

		/* From this look on an interrupt that raises a softirq stays pending, and so ends the guest entry or the
		 * halt at once. */
		arch_irq_disable();
		timer_check();
		if (READ_ONCE(c->softirqs)) {
			arch_irq_enable();
			continue;
		}
		if (!c->current->is_idle) {
			arch_vcpu_run(c->current);
		} else if (frames_dirty()) {
			arch_irq_enable();
			frames_scrub_some();
		} else {
			arch_cpu_idle();
		}
	}
}
