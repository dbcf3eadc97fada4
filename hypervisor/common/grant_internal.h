/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grant tables: what the files grant*.c share. */
#ifndef COMMON_GRANT_INTERNAL_H
#define COMMON_GRANT_INTERNAL_H

#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/gmap.h>
#include <bulkhead/grant.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/nospec.h>
#include <bulkhead/permission.h>
#include <xen/grant_table.h>

/*
 * What the hypervisor knows of a grant while it is in use: kept apart from the entry that the guest can write, so that
 * nothing depends on that staying the same.
 */
struct grant_active {
	mfn_t mfn;
	domid_t user;	  /* who uses it; of meaning while there are readers or writers */
	uint16_t readers; /* uses that only read */
	uint16_t writers; /* uses that may write */
	bool writable;	  /* the granter itself could write the page when its use began */
};

/* One mapping of somebody else's page in the owner's p2m. The handle of the ABI is its number. */
struct grant_mapping {
	struct domain *granter; /* a reference is held; NULL: not in use */
	gfn_t gfn;
	mfn_t mfn;
	uint32_t ref; /* not in use: number of the next free one */
	bool readonly;
	bool busy; /* being set up or undone */
};

#define GRANTS_PER_FRAME	(PAGE_SIZE / sizeof(struct grant_entry_v1))
#define GRANT_ACTIVE_PER_PAGE	(PAGE_SIZE / sizeof(struct grant_active))
#define GRANT_ACTIVE_PAGES	(GRANTS_PER_FRAME / GRANT_ACTIVE_PER_PAGE)
#define GRANT_MAPPINGS_PER_PAGE (PAGE_SIZE / sizeof(struct grant_mapping))
#define GRANT_NO_HANDLE		UINT32_MAX

_Static_assert(sizeof(struct grant_entry_v1) == 8, "ABI");
_Static_assert(sizeof(struct grant_active) == 16, "a whole number of them fits into a page");
_Static_assert(GRANTS_PER_FRAME % GRANT_ACTIVE_PER_PAGE == 0, "and of pages belongs to a frame");

/* A frame of the table. */
struct grant_frame {
	mfn_t mfn;
	struct gmap *map; /* NULL once the domain is dying */
	gfn_t home;	  /* where the domain has mapped it; domain lock */
	struct grant_active *active[GRANT_ACTIVE_PAGES];
};

struct grant_table {
	spinlock_t
		lock; /* guards all; copies from and to guests and p2m changes are made without it */
	uint32_t max_frames, nr_frames;
	struct grant_frame *frames; /* max_frames of them */

	uint32_t max_mapping_pages, nr_mapping_pages;
	struct grant_mapping **mappings; /* by handle / GRANT_MAPPINGS_PER_PAGE */
	uint32_t free_handle;		 /* head of the list of free ones */
	uint32_t release_next;		 /* progress of grant_domain_release_mappings() */
};

/* grant.c; the table's lock is held */
/* NULL: no such reference. */
struct grant_active *grant_active_of(struct grant_table *gt, uint32_t ref);
/* Entry in the shared frame; NULL once the domain is dying. The reference is valid. */
struct grant_entry_v1 *grant_entry_of(struct grant_table *gt, uint32_t ref);
int grant_grow(struct domain *d, uint32_t nr_frames);

/*
 * Begins the use of a grant of `granter` by domain `user`: on success a page reference was taken, the use counted, and the
 * entry's flags show it. Returns GNTST_*. `map`: for a mapping, otherwise for a copy.
 */
int grant_acquire(struct domain *granter, uint32_t ref, domid_t user, bool readonly, bool map,
		  mfn_t *ret_mfn);
/* Ends it. The page reference is dropped by the caller, and after this: a use that is counted keeps the frame from being
 * given to anybody else. */
void grant_release(struct domain *granter, uint32_t ref, bool readonly);

/* Progress of a list of operations. */
struct grant_call {
	struct hypercall *hc;
	struct domain *caller;
	uint64_t list; /* guest address of the operation at hand */
	uint32_t count;
};

/* To be returned by a handler that has done `done` of the list: the guest comes back for the rest. */
static inline int64_t grant_restart(struct grant_call *c, uint32_t done, size_t size)
{
	c->hc->args[1] = c->list + (uint64_t)done * size;
	c->hc->args[2] = c->count - done;
	return -ERESTART;
}

/* grant_map.c */
int64_t grant_op_map(struct grant_call *c);
int64_t grant_op_unmap(struct grant_call *c);
/* grant_copy.c */
int64_t grant_op_copy(struct grant_call *c);

#endif
