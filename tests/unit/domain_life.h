/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Real domains on fake hardware, for tests of domain.c, vcpu_op and sched_op: one CPU with its main loop, counted events. */
#ifndef DOMAIN_LIFE_H
#define DOMAIN_LIFE_H

#include <arch/fake.h>
#include <bulkhead/domain.h>
#include <bulkhead/hypercall.h>

#define LIFE_FRAMES 256

/* What the stubs of event channels and grant tables saw. */
struct life_seen {
	unsigned dom_exc;	 /* VIRQ_DOM_EXC to the hardware domain */
	unsigned timer_virqs;	 /* VIRQ_TIMER, to any vCPU */
	struct vcpu *timer_vcpu; /* the last of them */
	unsigned sends;		 /* event_send() */
	uint32_t send_port;
	unsigned moved; /* event_vcpu_info_moved() */
	unsigned closes, releases;
};
extern struct life_seen seen;
/* So many calls of each step of a teardown return -ERESTART, since life_init(). */
extern unsigned life_restarts;
extern bool life_yield; /* hypercall_should_yield() */
extern uint32_t life_pending_port;
extern unsigned life_parts; /* events and grants of domains and vCPUs that exist */

int life_init(void **state);
int life_finish(void **state); /* kills what is left; no memory may be */

struct domain *life_domain(domid_t id, unsigned vcpus); /* with vCPUs, paused and down */
void life_start(struct domain *d);			/* brings them up, unpauses */
void life_kill(struct domain *d);
mfn_t life_ram(struct domain *d); /* one more page; its gfn is the same number */

/* The main loop of this CPU, until it would enter a guest or sleep. Returns what it runs. */
struct vcpu *life_loop(void);
/* Time passes, timers fire, the loop runs. */
void life_pass(uint64_t ns);
/* A hypercall of the current vCPU, with up to three arguments. */
int64_t life_call(hypercall_fn *fn, bool compat, uint64_t a, uint64_t b, uint64_t c);

#endif
