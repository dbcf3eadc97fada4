/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machine-dependent parts of domains for unit tests on a host. */
#ifndef ARCH_DOMAIN_H
#define ARCH_DOMAIN_H

#include <bulkhead/addr.h>

struct arch_domain {
	void *test; /* whatever the test wants */
};
struct arch_vcpu {
	unsigned upcalls;      /* arch_event_upcall() calls seen */
	unsigned time_updates; /* arch_vcpu_time_update() */
	unsigned nmis;	       /* arch_vcpu_nmi() */
	bool initialised;      /* arch_vcpu_set_hvm_context() */
	void *test;
};

#endif
