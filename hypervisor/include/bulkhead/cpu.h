/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Per-CPU state, CPU masks and softirqs. */
#ifndef BULKHEAD_CPU_H
#define BULKHEAD_CPU_H

#include <arch/cpu.h>
#include <bulkhead/bitmap.h>
#include <bulkhead/compiler.h>

#define MAX_CPUS 256 /* xAPIC identifiers end at 254 */

struct vcpu;
struct timer_queue;
struct sched_cpu;
struct xen_multicall;

typedef struct {
	BITMAP_DECLARE(bits, MAX_CPUS);
} cpumask_t;

static inline bool cpumask_test(const cpumask_t *m, unsigned cpu)
{
	return bitmap_test(m->bits, cpu);
}
static inline void cpumask_set(cpumask_t *m, unsigned cpu)
{
	bitmap_set_atomic(m->bits, cpu);
}
static inline void cpumask_clear(cpumask_t *m, unsigned cpu)
{
	bitmap_clear_atomic(m->bits, cpu);
}

enum softirq {
	SOFTIRQ_TIMER, /* timers of this CPU have expired */
	SOFTIRQ_SCHED, /* pick a vCPU anew */
	SOFTIRQ_WORK,  /* run deferred work (work_queue()) */
	SOFTIRQ_RCU,   /* a quiescent state is wanted */
	SOFTIRQ_COUNT
};

/* One per CPU, found through %gs on x86. Only this CPU writes it, unless a field says otherwise. */
struct cpu {
	struct cpu *self; /* must be first: read as %gs:0 */
	unsigned id;
	uint32_t softirqs;    /* bit mask of enum softirq; other CPUs set bits atomically */
	struct vcpu *current; /* vCPU whose state is loaded; never NULL after sched_init */
	struct vcpu *idle;
	struct timer_queue *timers;
	struct sched_cpu *sched;
	struct list *work;  /* head of this CPU's deferred work */
	uint64_t quiescent; /* count of passes through the main loop; for sync with readers */
	struct arch_cpu arch;
};

extern struct cpu *cpu_table[MAX_CPUS]; /* NULL where there is no such CPU */
extern cpumask_t cpu_online;
extern unsigned cpu_count; /* CPUs online; ids are 0 … cpu_count - 1 */

/* this_cpu() is given by <arch/cpu.h> as arch_this_cpu(). */
static inline struct cpu *this_cpu(void)
{
	return arch_this_cpu();
}
static inline unsigned cpu_id(void)
{
	return this_cpu()->id;
}

/* Marks a softirq pending on this CPU: handled before the next guest entry. */
static inline void softirq_raise(enum softirq nr)
{
	__atomic_fetch_or(&this_cpu()->softirqs, 1U << nr, __ATOMIC_SEQ_CST);
}
/* The same on another CPU (or this one); interrupts it if it runs a guest or sleeps. */
void softirq_raise_on(unsigned cpu, enum softirq nr);
void softirq_register(enum softirq nr, void (*handler)(void));
/* Runs all pending handlers; interrupts are on, no lock is held. Softirqs that these raise stay pending. */
void softirq_process(void);

/* Runs fn(arg) on every online CPU including this one and waits; interrupts must be on, no irq lock held. */
void cpu_call_all(void (*fn)(void *arg), void *arg);

#endif
