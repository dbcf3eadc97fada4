/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A simulated machine for tests of the scheduler: CPUs whose main loop is run by hand, guests that compute and sleep. */
#ifndef SCHED_SIM_H
#define SCHED_SIM_H

#include <arch/fake.h>
#include <bulkhead/domain.h>
#include <bulkhead/sched.h>

#define SIM_VCPUS 1024

/* One vCPU and what its guest does: computes for `run` ns, then sleeps for `sleep` ns. run 0: computes for ever. */
struct sim_vcpu {
	struct vcpu *v;
	uint64_t run, sleep;
	uint64_t left;	  /* until it sleeps */
	uint64_t wake_at; /* TIME_NEVER while it does not sleep */
	uint64_t woken;	  /* when it was last woken, 0: runs since */
	uint64_t ran;	  /* in total */
	uint64_t ran_on[MAX_CPUS];
	uint64_t max_latency; /* from being woken to running */
	unsigned switches;    /* how often it was switched to */
};

extern struct sim_vcpu sim[SIM_VCPUS];
extern unsigned sim_count;
extern unsigned sim_violations; /* of what must hold at any time; see sim_check() */
extern unsigned sim_passes;	/* of main loops, since sim_reset() */
extern bool sim_check_work;	/* no CPU may sleep while somebody waits for it */

void sim_init(unsigned cpus);
/* The same for the setup of a test. */
int cpus_1(void **state);
int cpus_2(void **state);
int cpus_4(void **state);
/* Destroys domains and CPUs; nothing may be left on the heap. */
void sim_finish(void);
/* A domain with busy vCPUs, running. */
struct domain *sim_domain(unsigned vcpus, uint32_t weight, uint32_t cap);
/* The simulated vCPU of one. */
struct sim_vcpu *sim_of(const struct domain *d, unsigned vcpu);
/* It computes for `run`, then sleeps for `sleep`, and so on. */
void sim_bursts(struct sim_vcpu *s, uint64_t run, uint64_t sleep);
/* Lets time pass. */
void sim_run(uint64_t ns);
/* Lets all CPUs do what is pending, in no time. */
void sim_settle(void);
/* All counters back to 0. */
void sim_reset(void);
/* CPU time of a domain since sim_reset(), in per mille of `ns`. */
unsigned sim_share(const struct domain *d, uint64_t ns);
void sim_pin(struct sim_vcpu *s, unsigned first, unsigned last);
int sim_params(struct domain *d, unsigned weight, unsigned cap);

#endif
