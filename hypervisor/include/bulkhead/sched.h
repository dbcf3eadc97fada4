/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scheduling of vCPUs: the mechanism, and the interface that a policy implements. */
#ifndef BULKHEAD_SCHED_H
#define BULKHEAD_SCHED_H

#include <bulkhead/cpu.h>
#include <bulkhead/list.h>
#include <bulkhead/time.h>

struct domain;
struct vcpu;
struct xen_domctl_scheduler_op;
struct xen_sysctl_scheduler_op;

/* Why a vCPU may not run: it runs only when the mask is 0. Changed under the vCPU's scheduler lock. */
#define VPF_DOWN    (1U << 0) /* not brought up (INIT/SIPI, VCPUOP_down) */
#define VPF_BLOCKED (1U << 1) /* waits for an event: HLT, SCHEDOP_block, SCHEDOP_poll */
#define VPF_PAUSED  (1U << 2) /* pause count of the vCPU or its domain > 0 */
#define VPF_IO	    (1U << 3) /* waits for a device model */
#define VPF_DYING   (1U << 4) /* the domain is shutting down or dying */

int sched_init(void);		  /* boot CPU: choose policy by `sched=`, idle vCPU */
int sched_cpu_init(unsigned cpu); /* before CPU `cpu` comes up */
int sched_vcpu_init(struct vcpu *v, unsigned cpu); /* vCPU starts with VPF_DOWN */
void sched_vcpu_finish(struct vcpu *v);
int sched_domain_init(struct domain *d);
void sched_domain_finish(struct domain *d);

/* Sets or clears a reason. Clearing the last one wakes the vCPU. Any context. */
void vcpu_set_flag(struct vcpu *v, unsigned vpf);
void vcpu_clear_flag(struct vcpu *v, unsigned vpf);
/* As vcpu_set_flag, and waits until the vCPU is not running on any CPU; not on the current one. */
void vcpu_set_flag_sync(struct vcpu *v, unsigned vpf);
/* Wakes a blocked vCPU (clears VPF_BLOCKED, ends a poll); if it is running in guest mode it is made to exit once. */
void vcpu_kick(struct vcpu *v);
/* Pause counts: nest. The _sync forms wait until no vCPU of it runs. */
void vcpu_pause(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);
void domain_pause(struct domain *d);
void domain_unpause(struct domain *d);

/* Current vCPU: block until kicked. Returns at once; takes effect before the next guest entry. If an event is pending
 * (event_vcpu_pending or arch_vcpu_has_work) it does not block. */
void sched_block(void);
void sched_yield(void);
int sched_poll(unsigned nr_ports, const uint32_t *ports, uint64_t timeout);

/* The main loop asks, with interrupts on and no lock held: who runs now on this CPU? Switches cpu->current and accounts
 * runstates; the caller then does the architectural switch (arch_vcpu_switch(prev, next)). */
struct vcpu *sched_switch(void);

/* Affinity; masks are intersected with the online CPUs, -EINVAL when empty. */
int sched_set_affinity(struct vcpu *v, const cpumask_t *hard, const cpumask_t *soft);
int sched_domctl(struct domain *d, struct xen_domctl_scheduler_op *op);
int sched_sysctl(struct xen_sysctl_scheduler_op *op);
unsigned sched_policy_id(void); /* XEN_SCHEDULER_* */
const char *sched_policy_name(void);

struct sched_policy {
	const char *name;
	unsigned id; /* XEN_SCHEDULER_* */
	int (*cpu_init)(unsigned cpu);
	int (*domain_init)(struct domain *d);
	void (*domain_finish)(struct domain *d);
	int (*vcpu_init)(struct vcpu *v);
	void (*vcpu_finish)(struct vcpu *v);
	void (*wake)(struct vcpu *v);  /* became runnable */
	void (*sleep)(struct vcpu *v); /* is not runnable any more */
	void (*yield)(struct vcpu *v);
	/* Next vCPU for this CPU (the idle one if none) and how long it may run, in ns. */
	struct vcpu *(*pick)(unsigned cpu, uint64_t now, uint64_t *ret_slice);
	void (*affinity_changed)(struct vcpu *v);
	int (*domctl)(struct domain *d, struct xen_domctl_scheduler_op *op);
	int (*sysctl)(struct xen_sysctl_scheduler_op *op);
};

/* Contract with the architecture. */
void arch_vcpu_switch(
	struct vcpu *prev,
	struct vcpu *next); /* saves and loads register state that is not the hypervisor's */
bool arch_vcpu_has_work(struct vcpu *v);	/* a deliverable interrupt or NMI is pending */
void arch_cpu_kick(unsigned cpu);		/* IPI that makes the CPU leave guest mode or HLT */
void arch_vcpu_runstate_update(struct vcpu *v); /* nothing, or hooks */

#endif
