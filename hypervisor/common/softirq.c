/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Softirqs: work that a CPU does outside of interrupt handlers, before it enters a guest again. */
#include <bulkhead/cpu.h>
#include <bulkhead/log.h>
#include <bulkhead/sched.h>

static void (*handlers[SOFTIRQ_COUNT])(void) __ro_after_init;

void softirq_register(enum softirq nr, void (*handler)(void))
{
	/* The table is read-only when CPUs are added later. */
	if (handlers[nr] != handler)
		handlers[nr] = handler;
}

void softirq_raise_on(unsigned cpu, enum softirq nr)
{
	uint32_t old = __atomic_fetch_or(&cpu_table[cpu]->softirqs, 1U << nr, __ATOMIC_SEQ_CST);

	/* Whoever set the bit first has interrupted the CPU. */
	if (!(old & 1U << nr) && cpu != cpu_id())
		arch_cpu_kick(cpu);
}

void softirq_process(void)
{
	uint32_t pending = __atomic_exchange_n(&this_cpu()->softirqs, 0, __ATOMIC_SEQ_CST);

	/* One pass: what handlers raise is for the next, so that the main loop gets on with scheduling in any case. */
	for (; pending; pending &= pending - 1) {
		unsigned nr = (unsigned)__builtin_ctz(pending);

		if (handlers[nr])
			handlers[nr]();
	}
}
