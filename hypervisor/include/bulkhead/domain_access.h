/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rights of domains to parts of the machine: device memory, I/O ports, interrupts. */
#ifndef BULKHEAD_DOMAIN_ACCESS_H
#define BULKHEAD_DOMAIN_ACCESS_H

#include <bulkhead/compiler.h>

struct domain;

/* The hardware domain has all that is not the hypervisor's; others have what they were given by domctl. */
bool domain_may_iomem(const struct domain *d, uint64_t first_mfn, uint64_t nr);
bool domain_may_ioports(const struct domain *d, unsigned first, unsigned nr);
bool domain_may_irq(const struct domain *d, unsigned irq);

void domain_access_finish(struct domain *d); /* accepts one that was given nothing */

#endif
