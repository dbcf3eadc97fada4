/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes of a domain's p2m together with the page references that its entries hold. What an entry holds:
 *
 *   RAM, SPECIAL   nothing: the frame is the domain's until it releases it
 *   GRANT, FOREIGN one reference on the frame of the other domain, dropped when the entry goes away
 *   POD            nothing, not even a frame; a vCPU that touches it makes it RAM at any time
 *   MMIO           nothing; such entries are not changed through here
 *
 * All changes after the domain was built go through here, under the domain lock, so that each reference is dropped
 * exactly once, and not before the translation is gone from all TLBs.
 */
#ifndef BULKHEAD_PHYSMAP_H
#define BULKHEAD_PHYSMAP_H

#include <bulkhead/p2m.h>

struct domain;

#define PHYSMAP_DROPS 32

/* Changes made under one hold of the domain lock and one TLB flush. On the stack of the caller. */
struct physmap_batch {
	struct domain *d;
	unsigned nr;
	struct {
		mfn_t mfn;
		uint8_t order;
		bool release; /* the domain gives its RAM back; otherwise a reference is dropped */
	} drop[PHYSMAP_DROPS];
};

/* Takes the domain lock; no lock below it is held. */
void physmap_begin(struct physmap_batch *b, struct domain *d);
/* Flushes, gives up the lock, drops what was taken out. */
void physmap_end(struct physmap_batch *b);

/*
 * Maps a frame. RAM that was there goes back to the allocator; a grant only leaves it without a place. On success a
 * reference that the new entry is to hold has passed from the caller to it. -EPERM (a device's memory is there), -ENXIO (a
 * grant is mapped there: only an unmap removes it), or what p2m_set() says.
 */
int physmap_set(struct physmap_batch *b, gfn_t gfn, mfn_t mfn, enum p2m_type type);
/* The same for 2^order frames of the domain's RAM, any order; if it fails, none of them is mapped. */
int physmap_set_ram(struct physmap_batch *b, gfn_t gfn, mfn_t mfn, unsigned order);
/*
 * 2^order gfns, any order, are to get frames of the domain when they are touched. -EBUSY (memory is there already), -EPERM (a
 * device's), -EINVAL, or what p2m_set() says.
 */
int physmap_mark_pod(struct physmap_batch *b, gfn_t gfn, unsigned order);
/* Takes out RAM (it stays the domain's), a special frame or a foreign page. -ENOENT (nothing, or MMIO), -EPERM (grant). */
int physmap_clear(struct physmap_batch *b, gfn_t gfn);
/*
 * Takes RAM out and gives it back to the allocator; of a special frame just the mapping goes. -ENOENT (nothing there),
 * -EPERM (MMIO), -ENXIO (somebody else's page).
 */
int physmap_release(struct physmap_batch *b, gfn_t gfn);
/* The same for 2^order frames that are one p2m entry; -EAGAIN if they are not: go frame by frame. */
int physmap_release_block(struct physmap_batch *b, gfn_t gfn, unsigned order);
/*
 * Takes out a grant mapping of this frame: -ENOENT if that is not what is there. The entry's reference passes to the caller,
 * who ends the use of the grant after physmap_end() and then drops it.
 */
int physmap_clear_grant(struct physmap_batch *b, gfn_t gfn, mfn_t mfn);

/* One of the domain's special frames: appears at one gfn only, which *home remembers (invalid: none yet). */
int physmap_set_special(struct domain *d, gfn_t gfn, mfn_t mfn, gfn_t *home);
/* Page fgfn of another domain (RAM or special); permissions were checked. */
int physmap_set_foreign(struct domain *d, gfn_t gfn, struct domain *owner, gfn_t fgfn);
/* A frame on which the caller holds a reference, handed over on success. */
int physmap_set_foreign_mfn(struct domain *d, gfn_t gfn, mfn_t mfn);

/* Drops the references of all foreign mappings of a dying domain, before p2m_release(). -ERESTART: call again. */
int physmap_domain_release(struct domain *d);

#endif
