/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small domains for unit tests of what guests call: references are counted, the p2m is an array, TLBs are modelled. */
#ifndef DOMAIN_FIXTURE_H
#define DOMAIN_FIXTURE_H

#include <arch/fake.h>
#include <bulkhead/domain.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/p2m.h>

#define FIXTURE_GFNS	   2048
#define FIXTURE_FRAMES	   2048
#define FIXTURE_GUEST_SIZE 0x40000

/* CPU 0, frames, guest memory. finish checks that no heap object, frame or lock was left behind. */
void fixture_init(void);
void fixture_finish(void);

/* A domain with vCPUs, shared_info and (page_lock and so on) everything that common code looks at; no RAM. */
struct domain *fixture_domain(domid_t id, unsigned nr_vcpus);
/* Gives it `count` frames of RAM at gfn. */
void fixture_ram(struct domain *d, uint64_t gfn, uint64_t count);
/* Contents of a page of the guest. */
void *fixture_page(struct domain *d, uint64_t gfn);
mfn_t fixture_mfn(struct domain *d, uint64_t gfn);
enum p2m_type fixture_type(struct domain *d, uint64_t gfn);
/* Releases its frames and itself; only one reference may be left. The p2m may hold no foreign pages any more. */
void fixture_domain_free(struct domain *d);

/* The machine, a hardware domain with all rights, which runs, and a guest of this id; pair_finish undoes all of it. */
void fixture_pair_init(domid_t guest, struct domain **ret_dom0, struct domain **ret_domu);
void fixture_pair_finish(struct domain *dom0, struct domain *domu);

/* Runs what was deferred to the main loop. */
void fixture_work(void);

/* The caller of hypercalls from now on: vCPU 0 of d. */
void fixture_run(struct domain *d);
/* A call with a structure in guest memory at a fixed address; *arg is copied there and back. */
int64_t fixture_call(hypercall_fn *fn, uint64_t cmd, void *arg, size_t size);
/* The same with the remaining arguments and the layout chosen; restarts until it is done, and counts these. */
int64_t fixture_call_list(hypercall_fn *fn, uint64_t cmd, void *list, size_t size, uint32_t count,
			  bool compat);
#define FIXTURE_ARG   0x1000UL	       /* where the structure is put */
#define FIXTURE_BUF   0x8000UL	       /* free for what it points to */
#define FIXTURE_FAULT 0x7fffffff0000UL /* nothing there */

extern unsigned fixture_restarts; /* of the last call */
extern int fixture_yield_every;	  /* hypercall_should_yield() is true every n-th time; 0: never */
extern unsigned fixture_kicks[8]; /* vcpu_kick() by vCPU id, any domain */
extern unsigned fixture_cleared;  /* flags that vcpu_clear_flag() was called with, ORed */
extern unsigned fixture_crashes;  /* domain_crash() */
extern unsigned fixture_flushes;  /* TLB flushes of any p2m */
extern int
	fixture_p2m_fail; /* that many p2m changes succeed, then one fails with -ENOMEM; -1: never */
extern domid_t fixture_privileged;

#endif
