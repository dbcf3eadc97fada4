/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Long-lived hypervisor mappings of guest frames. The purposes are enumerated; each mapping holds a page
 * reference, is writable and never executable, is listed in its domain, and is gone at teardown.
 */
#ifndef BULKHEAD_GMAP_H
#define BULKHEAD_GMAP_H

#include <bulkhead/addr.h>
#include <bulkhead/list.h>

struct domain;

enum gmap_kind {
	GMAP_SHARED_INFO,
	GMAP_VCPU_INFO,
	GMAP_RUNSTATE,
	GMAP_VCPU_TIME,
	GMAP_FIFO_CONTROL,
	GMAP_FIFO_ARRAY,
	GMAP_GRANT_TABLE,
	GMAP_GRANT_STATUS,
	GMAP_IOREQ,
	GMAP_KINDS
};

struct gmap {
	struct list link; /* domain->gmaps */
	struct domain *domain;
	mfn_t mfn;
	enum gmap_kind kind;
	void *ptr; /* start of the page */
};

/* Maps frame gfn of d (must be RAM of d or one of its special frames). 0, -EINVAL (no such RAM), -ENOMEM. */
int gmap_create(struct domain *d, gfn_t gfn, enum gmap_kind kind, struct gmap **ret_map);
/* The same for a frame that has no gfn (yet), such as shared_info and grant frames: must be owned by d. */
int gmap_create_mfn(struct domain *d, mfn_t m, enum gmap_kind kind, struct gmap **ret_map);
void gmap_destroy(struct gmap *m); /* accepts NULL */

#endif
