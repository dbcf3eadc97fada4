/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two domains, one of which maps what the other one grants. */
#ifndef GRANT_FIXTURE_H
#define GRANT_FIXTURE_H

#include "domain_fixture.h"

#include <xen/grant_table.h>

extern struct domain *back, *front; /* backend maps what frontend grants */

int grant_setup(void **state);
int grant_teardown(void **state);

/* With 64 frames of RAM; limits of the table and of mappings, in frames. */
struct domain *grant_domain(domid_t id, uint32_t frames, uint32_t maptrack);
void grant_domain_free(struct domain *d);

struct grant_entry_v1 *entry_at(struct domain *d, uint32_t ref);
void grant(struct domain *d, uint32_t ref, domid_t to, uint32_t gfn, uint16_t flags);
uint32_t page_refs(struct domain *d, uint64_t gfn);

/* Calls of who runs, on `count` structures of that size; and single ones, which return the status. */
int64_t gt_call(uint64_t cmd, void *arg, size_t size, uint32_t count);
int16_t map_as(domid_t dom, uint32_t ref, uint64_t gfn, uint32_t flags, uint32_t *handle);
int16_t map(uint32_t ref, uint64_t gfn, uint32_t flags, uint32_t *handle); /* of the frontend */
int16_t unmap(uint32_t handle, uint64_t gfn);

#endif
