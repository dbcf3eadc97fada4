/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPUs that are threads of the host; comes ahead of everything else (-include), in the place of the fake <arch/cpu.h>. */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <sched.h>

#include "../../hypervisor/include/bulkhead/compiler.h"

struct cpu;
struct arch_cpu {
	int unused;
};

extern _Thread_local struct cpu *thread_this_cpu;
extern _Thread_local bool thread_irqs_off;

/* There are more CPUs than the host has: who waits for a lock lets its holder run. */
static inline void arch_cpu_relax(void)
{
	sched_yield();
}
/* So they are. But what real CPUs do is to be tested: locks with tickets, unless a test says otherwise. */
bool thread_cpus_may_stop __attribute__((weak));
static inline bool arch_cpus_may_stop(void)
{
	return thread_cpus_may_stop;
}
static inline unsigned long arch_irq_save(void)
{
	unsigned long old = !thread_irqs_off;

	thread_irqs_off = true;
	return old;
}
static inline void arch_irq_restore(unsigned long flags)
{
	thread_irqs_off = !flags;
}
static inline void arch_irq_disable(void)
{
	thread_irqs_off = true;
}
static inline void arch_irq_enable(void)
{
	thread_irqs_off = false;
}
static inline bool arch_irqs_enabled(void)
{
	return !thread_irqs_off;
}
static inline struct cpu *arch_this_cpu(void)
{
	return thread_this_cpu;
}
static inline void arch_mb(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
