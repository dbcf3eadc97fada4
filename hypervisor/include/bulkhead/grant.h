/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grant tables (version 1). */
#ifndef BULKHEAD_GRANT_H
#define BULKHEAD_GRANT_H

#include <bulkhead/addr.h>

struct domain;

/* The largest sizes of a table, and of what keeps track of mappings, that may be chosen; and those of domains without a choice. */
#define GRANT_FRAMES_MAX 4096U
extern uint32_t grant_default_frames, grant_default_maptrack;

int grant_domain_init(struct domain *d, uint32_t max_frames, uint32_t max_maptrack);
/* Unmaps all that d has mapped from others; -ERESTART while there is more to do. */
int grant_domain_release_mappings(struct domain *d);
void grant_domain_finish(struct domain *d); /* accepts a domain without a table */
/* Frame idx of the table, growing it up to its limit; for XENMAPSPACE_grant_table and acquire_resource. 0, -EINVAL, -ENOMEM. */
int grant_table_frame(struct domain *d, uint32_t idx, bool status, mfn_t *ret_mfn);
/* Where in d that frame is mapped (for physmap_set_special); only after grant_table_frame() gave it. */
gfn_t *grant_frame_home(struct domain *d, uint32_t idx);
uint32_t grant_max_frames(const struct domain *d);

#endif
