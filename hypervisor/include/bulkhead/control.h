/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control hypercalls domctl and sysctl: one call as its handlers see it, and the architecture's share. */
#ifndef BULKHEAD_CONTROL_H
#define BULKHEAD_CONTROL_H

#include <bulkhead/cpu.h>
#include <bulkhead/domain.h>
#include <bulkhead/hypercall.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>

/* The hypervisor's copy of the caller's structure; it goes back when a handler sets `copyback`, also with an error. */
struct domctl_call {
	struct xen_domctl op;
	struct domain *caller;
	struct domain *d; /* who op.domain names; the call has a reference */
	bool copyback;
};

struct sysctl_call {
	struct xen_sysctl op;
	struct domain *caller;
	bool copyback;
};

typedef int64_t domctl_fn(struct domctl_call *c);
typedef int64_t sysctl_fn(struct sysctl_call *c);

/*
 * Bit maps of the tools, in bytes: get takes the first `bits` bits (those that the caller does not give are 0), put writes
 * them and fills up with zeros. 0 or -EFAULT.
 */
int control_bitmap_get(const struct xenctl_bitmap *from, unsigned long *bits, unsigned nr);
int control_bitmap_put(const struct xenctl_bitmap *to, const unsigned long *bits, unsigned nr);

/* What the tools are told of a domain. */
void control_domain_info(struct domain *d, struct xen_domctl_getdomaininfo *ret_info);

/* CPUs that the tools number: 0 … this - 1. */
unsigned control_cpu_limit(void);

/* Contract with the architecture. */
/* Operations that common code does not know: -ENOSYS if the architecture does not either. */
domctl_fn arch_domctl;
sysctl_fn arch_sysctl;
/* 0 or -EINVAL: whether a domain like this can be made. */
int arch_domain_config_check(const struct xen_domctl_createdomain *cfg);
/* The architecture's part of getdomaininfo and physinfo; the rest is filled in. */
void arch_domain_info(const struct domain *d, struct xen_domctl_getdomaininfo *info);
void arch_physinfo(struct xen_sysctl_physinfo *info);
/* Core and socket of an online CPU. */
void arch_cpu_topology(unsigned cpu, uint32_t *ret_core, uint32_t *ret_socket);
/* Whether the hardware domain may hand these to others: nothing in there is the hypervisor's or RAM. */
bool arch_iomem_grantable(uint64_t first_mfn, uint64_t nr);
bool arch_ioports_grantable(unsigned first, unsigned nr);
bool arch_irq_grantable(unsigned irq);
/* Prints the registers of a vCPU as it last left its CPU; it may be running. */
void arch_vcpu_log(struct vcpu *v);

#endif
