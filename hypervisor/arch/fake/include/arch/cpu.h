/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU primitives for unit tests on a host: one CPU, interrupts are a flag. */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <bulkhead/compiler.h>

struct cpu;
struct arch_cpu {
	int unused;
};

extern struct cpu *fake_this_cpu; /* set by the test; see fake.c */
extern bool fake_irqs_off;
/* A turn of a busy wait: see fake_relax in <arch/fake.h>. Tests with a machine of their own need not have it. */
void fake_wait(void) __attribute__((weak));

static inline void arch_cpu_relax(void)
{
	if (fake_wait)
		fake_wait();
}
static inline bool arch_cpus_may_stop(void)
{
	return false;
}
static inline unsigned long arch_irq_save(void)
{
	unsigned long old = !fake_irqs_off;

	fake_irqs_off = true;
	return old;
}
static inline void arch_irq_restore(unsigned long flags)
{
	fake_irqs_off = !flags;
}
static inline void arch_irq_disable(void)
{
	fake_irqs_off = true;
}
static inline void arch_irq_enable(void)
{
	fake_irqs_off = false;
}
static inline bool arch_irqs_enabled(void)
{
	return !fake_irqs_off;
}
static inline struct cpu *arch_this_cpu(void)
{
	return fake_this_cpu;
}
static inline void arch_mb(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
