/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fair scheduling: what the files sched_fair*.c share. */
#ifndef COMMON_SCHED_FAIR_H
#define COMMON_SCHED_FAIR_H

#include <bulkhead/domain.h>
#include <bulkhead/prioq.h>
#include <bulkhead/sched.h>

/* At most the bits of the masks in struct fair_group; tests have smaller ones. */
#ifndef FAIR_GROUP_CPUS
# define FAIR_GROUP_CPUS 16
#endif
#define FAIR_GROUPS (MAX_CPUS / FAIR_GROUP_CPUS)

/* The range is that of the control interface: a weight is 16 bits wide. */
#define FAIR_WEIGHT_DEFAULT 256
#define FAIR_WEIGHT_MAX	    65535

#define FAIR_SLICE_MAX MSEC(10) /* time between two looks at those who wait */
#define FAIR_GRANULE \
 MSEC(2) /* virtual time that one may be ahead of the next, so as not to switch all the time */
#define FAIR_LAG MSEC(4) /* virtual time that one who has slept is ahead of the others, at most */
#define FAIR_SOFT_PENALTY \
 MSEC(4) /* virtual time that staying off a CPU which is not preferred is worth */
#define FAIR_RUN_MIN		  USEC(50) /* rate limit that holds in any case: a yield is worth that much */
#define FAIR_CAP_PERIOD		  MSEC(10)  /* of the budget of a capped domain */
#define FAIR_CAP_MIN		  USEC(200) /* shortest slice because of a budget that runs out */
#define FAIR_RATELIMIT_DEFAULT_US 1000

enum fair_state {
	FAIR_OUT,     /* cannot run, or is just leaving its CPU */
	FAIR_QUEUED,  /* waits for a CPU */
	FAIR_PARKED,  /* waits for budget of its domain */
	FAIR_RUNNING, /* was picked */
};

/* The queue of those in a group whose affinities are the same. Never empty while it is in use. */
struct fair_class {
	struct list link; /* group->classes, or group->spare */
	cpumask_t hard, soft;
	uint16_t hard_here,
		soft_here; /* the part of the group; a soft affinity that has none is that of all */
	struct prioq queue; /* of struct sched_vcpu, by virtual time */
};

/* Policy's part of a vCPU. Guarded by the lock of its group. */
struct sched_vcpu {
	struct vcpu *vcpu;
	struct sched_domain *domain;
	struct fair_group *group; /* changed under the lock of the old one */
	enum fair_state state;
	bool yields;
	uint32_t weight;
	uint64_t inverse; /* FAIR_WEIGHT_DEFAULT / weight, as a fraction of 2^FAIR_INVERSE_SHIFT */
	uint64_t vtime;
	struct prioq_node node;
	struct fair_class *class; /* in which it is queued */
	struct fair_class *spare; /* while it is not queued */
};
#define FAIR_INVERSE_SHIFT 24

struct sched_domain {
	struct domain *domain;
	spinlock_t lock; /* below those of groups */
	uint32_t weight;
	uint32_t vcpus;

	/* Cap: all vCPUs together use up `quota` ns in each period. Debts stay, savings do not. */
	uint32_t cap; /* percent of one CPU, 0: none */
	uint32_t running;
	uint64_t quota;
	int64_t budget;
	uint64_t refilled; /* when the current period began */
	struct timer refill;
	unsigned unpark_first;
};

struct fair_cpu {
	struct sched_vcpu *curr; /* NULL: idle, or about to pick */
	uint64_t started;	 /* when curr was picked */
	uint64_t charged;	 /* up to when curr has paid */
	uint64_t clock;		 /* see sched_fair.c */
	uint64_t slice;		 /* deadline of the slice timer */
	unsigned waiters;	 /* how many are queued that may run here */
};

struct fair_group {
	spinlock_t lock;
	unsigned index;
	/* Masks of CPUs, as offsets within the group. */
	uint16_t online;  /* have picked at least once */
	uint16_t idle;	  /* sleep */
	uint16_t tickled; /* slept and were told to look */
	unsigned queued;
	uint64_t load; /* sum of weights: queued and running */
	uint64_t clock;
	struct list classes, spare;
	struct fair_cpu cpus[FAIR_GROUP_CPUS];
};

extern struct fair_group *fair_groups[FAIR_GROUPS]; /* NULL: no CPU there */
extern uint64_t fair_ratelimit; /* ns that a vCPU is left alone once it runs; 0: none */

/* sched_fair.c; interrupts are off */
struct fair_group *fair_lock_of(struct sched_vcpu *s);
/* Charges curr for the time until now; the group lock is held. */
void fair_charge(struct fair_group *g, struct fair_cpu *fc, uint64_t now);
/* There is budget again. */
void fair_unpark(struct sched_vcpu *s);

/* sched_fair_ctl.c; the lock of the vCPU's group is held */
void fair_cap_charge(struct sched_vcpu *s, uint64_t ran);
void fair_cap_running(struct sched_vcpu *s, int delta);
/* How long it may run now: TIME_NEVER without cap, 0 if it has to be parked; then fair_unpark() will be called. */
uint64_t fair_cap_budget(struct sched_vcpu *s, uint64_t now);
int fair_domain_init(struct domain *d);
void fair_domain_finish(struct domain *d);
int fair_vcpu_init(struct vcpu *v);
void fair_vcpu_finish(struct vcpu *v);
int fair_domctl(struct domain *d, struct xen_domctl_scheduler_op *op);
int fair_sysctl(struct xen_sysctl_scheduler_op *op);

#endif
