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
struct vcpu_runstate_info;

/* Why a vCPU may not run: it runs only when the mask is 0. Changed under the vCPU's scheduler lock. */
#define VPF_DOWN    (1U << 0) /* not brought up (INIT/SIPI, VCPUOP_down) */
#define VPF_BLOCKED (1U << 1) /* waits for an event: HLT, SCHEDOP_block, SCHEDOP_poll */
#define VPF_PAUSED  (1U << 2) /* pause count of the vCPU or its domain > 0 */
#define VPF_IO	    (1U << 3) /* waits for a device model */
#define VPF_DYING   (1U << 4) /* the domain is shutting down or dying */

/* By name, as `sched=` gives it; before sched_init(). 0 or -ENOENT. */
int sched_set_policy(const char *name);
/* Boot CPU, which becomes the idle vCPU of CPU 0; timers and work queues of it are there. 0 or -ENOMEM. */
int sched_init(void);
int sched_cpu_init(unsigned cpu); /* before another CPU comes up; 0 or -ENOMEM */
/* The vCPU starts with VPF_DOWN and may run on all CPUs; it prefers `cpu` at first. 0 or -ENOMEM. */
int sched_vcpu_init(struct vcpu *v, unsigned cpu);
/* Waits until it runs nowhere: it must not be runnable. */
void sched_vcpu_finish(struct vcpu *v);
int sched_domain_init(struct domain *d);
void sched_domain_finish(struct domain *d); /* after the vCPUs; accepts a domain without */

/* Sets or clears a reason. Clearing the last one wakes the vCPU. Any context. */
void vcpu_set_flag(struct vcpu *v, unsigned vpf);
void vcpu_clear_flag(struct vcpu *v, unsigned vpf);
/* As vcpu_set_flag, and waits until the vCPU is not running on any CPU. The current vCPU is not waited for. Interrupts
 * are on. */
void vcpu_set_flag_sync(struct vcpu *v, unsigned vpf);
void vcpu_wait_stopped(struct vcpu *v);
/* Wakes a blocked vCPU (clears VPF_BLOCKED, ends a poll); if it is running in guest mode it is made to exit once. */
void vcpu_kick(struct vcpu *v);
/* Pause counts: nest. The _sync forms wait until no vCPU of it runs. */
void vcpu_pause(struct vcpu *v);
void vcpu_pause_sync(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);
void domain_pause(struct domain *d);
void domain_pause_sync(struct domain *d);
void domain_unpause(struct domain *d);

/* Current vCPU: block until kicked. Returns at once; takes effect before the next guest entry. If arch_vcpu_has_work(), it
 * does not block. */
void sched_block(void);
void sched_yield_current(
	void); /* a plain sched_yield() would take the C library's place in host-side tests */
/*
 * SCHEDOP_poll: blocks until one of the ports is pending (masked or not), any other event wakes the vCPU, or system time
 * reaches the timeout (0: none). Returns at once when one is pending. 0 or -EINVAL (no such port).
 * v->polling is set, then the ports are looked at; who makes a port pending sets its bit, then looks at v->polling and
 * wakes the vCPU with vcpu_kick(). v->poll_port is the port if there is just one.
 */
#define SCHED_POLL_MAX_PORTS 128
int sched_poll(unsigned nr_ports, const uint32_t *ports, uint64_t timeout);
/* Times up to now; of any vCPU. */
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *ret_info);
/* The same for one that is about to leave its CPU, as it will be then. */
void vcpu_runstate_leaving(struct vcpu *v, struct vcpu_runstate_info *ret_info);
/* To an address of v, in the layout of a 32-bit guest or not; its state is on this CPU. 0 or -EFAULT. */
int vcpu_runstate_copy(struct vcpu *v, uint64_t gva, bool compat,
		       const struct vcpu_runstate_info *info);
/*
 * Copies the runstate to where the guest has registered: of the current vCPU after it was switched to, and of the one
 * that leaves this CPU while its state is still there. Other vCPUs look whether it runs.
 */
void vcpu_runstate_publish(struct vcpu *v);
void vcpu_runstate_publish_leaving(struct vcpu *v);

/*
 * The main loop asks, with interrupts on and no lock held: who runs now on this CPU? Switches cpu->current and accounts
 * runstates. If it is another one, the caller does the architectural switch, then calls sched_switched(prev): from then
 * on prev may run elsewhere.
 */
bool sched_switch_wanted(void);
struct vcpu *sched_switch(void);
void sched_switched(struct vcpu *prev);

/* Affinity; masks are intersected with the online CPUs, -EINVAL when empty. */
int sched_set_affinity(struct vcpu *v, const cpumask_t *hard,
		       const cpumask_t *soft); /* NULL: as is; -EBUSY: pinned */
/* Pins a vCPU for some time, whatever its affinity; cpu < 0 undoes it. 0, -EINVAL (no such CPU, not pinned), -EBUSY. */
int sched_pin_override(struct vcpu *v, int cpu);
int sched_domctl(struct domain *d, struct xen_domctl_scheduler_op *op);
int sched_sysctl(struct xen_sysctl_scheduler_op *op);
unsigned sched_policy_id(void); /* XEN_SCHEDULER_* */
const char *sched_policy_name(void);

/*
 * Interrupts are off in wake, sleep and pick; a policy has its own lock below the vCPU's. Of a vCPU that is not running
 * and may run, the policy knows since wake(); it hands it out by pick(), which sets is_running and v->cpu under that
 * lock. So whoever stops a vCPU calls sleep() and then sees either that it is not running and will not be picked, or
 * where it is.
 */
struct sched_policy {
	const char *name;   /* as `xl info` shows it */
	const char *option; /* as `sched=` names it */
	unsigned id;	    /* XEN_SCHEDULER_* */
	int (*cpu_init)(unsigned cpu);
	int (*domain_init)(struct domain *d);
	void (*domain_finish)(struct domain *d);
	int (*vcpu_init)(struct vcpu *v);
	void (*vcpu_finish)(struct vcpu *v);
	void (*wake)(struct vcpu *v); /* became runnable, or gave its CPU to another and still is */
	void (*sleep)(struct vcpu *v); /* is not runnable any more; may be running still */
	void (*yield)(struct vcpu *v);
	/* Next vCPU for this CPU (the idle one if none). The one that runs may stay. Arms or stops the slice timer. */
	struct vcpu *(*pick)(unsigned cpu, uint64_t now);
	void (*affinity_changed)(struct vcpu *v);
	int (*domctl)(struct domain *d, struct xen_domctl_scheduler_op *op);
	int (*sysctl)(struct xen_sysctl_scheduler_op *op);
};

extern const struct sched_policy sched_policy_fair;
/* For policies: the CPU picks anew at that time, TIME_NEVER: never. Under the policy's lock. */
void sched_slice_set(unsigned cpu, uint64_t deadline);

/* Contract with the architecture. */
/*
 * Saves and loads register state that is not the hypervisor's; interrupts on. Idle vCPUs have none: the state of prev may
 * be left on the CPU if next is idle, if it is fetched from there in case that another CPU needs it.
 */
void arch_vcpu_switch(struct vcpu *prev, struct vcpu *next);
/* Enters the guest once and handles the exit. Called with interrupts off and no softirq pending, returns with interrupts
 * on. */
void arch_vcpu_run(struct vcpu *v);
/* Called with interrupts off and no softirq pending: enables them and halts in one step; returns after an interrupt, with
 * interrupts on. */
void arch_cpu_idle(void);
bool arch_vcpu_has_work(struct vcpu *v);	/* a deliverable interrupt or NMI is pending */
void arch_cpu_kick(unsigned cpu);		/* IPI that makes the CPU leave guest mode or HLT */
void arch_vcpu_runstate_update(struct vcpu *v); /* nothing, or hooks */

#endif
