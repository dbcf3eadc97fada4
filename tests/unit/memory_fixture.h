/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two domains and the calls of memory_op, for tests of these. */
#ifndef MEMORY_FIXTURE_H
#define MEMORY_FIXTURE_H

#include "domain_fixture.h"

#define EXTENT_SHIFT 6

/* With 64 frames of RAM each; d1 is who calls. */
extern struct domain *d0, *d1;
extern bool have_iommu; /* with two reserved regions */

int memory_setup(void **state);
int memory_teardown(void **state);

struct domain *memory_domain(domid_t id);
/* What a domain keeps of others is let go of. */
void memory_domain_kill(struct domain *d);
void memory_domain_free(struct domain *d);

/* hypercall_memory_op() in either layout. */
int64_t call(uint64_t cmd, void *arg, size_t size);
int64_t call32(uint64_t cmd, void *arg, size_t size);

/* A reservation of `nr` extents, whose addresses are at FIXTURE_BUF. */
int64_t reserve(uint64_t op, domid_t dom, uint64_t nr, unsigned order, uint32_t flags);

/* What is at FIXTURE_BUF. */
uint64_t *buf64(void);
uint32_t *buf32(void);

#endif
