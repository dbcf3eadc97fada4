/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest-physical to machine map of a domain: contract with the architecture, which keeps it in the format that
 * the second-stage translation of the CPU reads. The IOMMU mappings of the domain (if it has any) follow each change.
 */
#ifndef BULKHEAD_P2M_H
#define BULKHEAD_P2M_H

#include <bulkhead/addr.h>

struct domain;

enum p2m_type {
	P2M_NONE,   /* nothing there: accesses go to MMIO handlers, else read ones */
	P2M_RAM,    /* RAM of the domain */
	P2M_RAM_RO, /* RAM that the guest may only read; writes are dropped */
	P2M_MMIO, /* a device's memory, mapped directly, uncached unless the guest's PAT says otherwise */
	P2M_GRANT_RW, /* page of another domain, by grant */
	P2M_GRANT_RO,
	P2M_FOREIGN, /* page of another domain, mapped by a privileged one */
	P2M_SPECIAL, /* PAGE_SPECIAL frame of the domain: shared_info, grant table */
	P2M_POD,     /* RAM of the domain that gets its frame when it is touched: see pod.h */
};

static inline bool p2m_type_is_ram(enum p2m_type t)
{
	return t == P2M_RAM || t == P2M_RAM_RO;
}
static inline bool p2m_type_is_grant(enum p2m_type t)
{
	return t == P2M_GRANT_RW || t == P2M_GRANT_RO;
}
static inline bool p2m_type_is_mappable(enum p2m_type t)
{
	return t != P2M_NONE && t != P2M_MMIO && t != P2M_POD;
}

int p2m_init(struct domain *d);
int p2m_release(struct domain *d); /* frees all tables; -ERESTART while there is more to do */

/*
 * Sets 2^order frames (0, 9 or 18; gfn and mfn aligned to it, else -EINVAL) to one type. Page references are the caller's
 * business. P2M_MMIO does not replace memory: -EBUSY. -ENOMEM: the pool of the domain is used up. P2M_POD, which has no frame, is -EOPNOTSUPP where devices reach the
 * domain's memory: they cannot wait for a frame. The old translation is gone from all TLBs (CPU and IOMMU) on
 * return, unless inside p2m_batch_begin/end.
 */
int p2m_set(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type);
/* Any range, split into the largest possible pieces. */
int p2m_set_range(struct domain *d, gfn_t gfn, mfn_t mfn, uint64_t count, enum p2m_type type);
int p2m_clear(struct domain *d, gfn_t gfn, unsigned order);
/* Takes out device memory, where there is nothing else: otherwise -EBUSY, and all stays. */
int p2m_clear_mmio(struct domain *d, gfn_t gfn, unsigned order);
/*
 * Translations that this CPU changes within a batch are flushed once, at its end: until then frames that were mapped may not
 * be given back. Batches nest; other CPUs are not concerned. Begins and ends on one CPU, without sleeping or running the
 * guest between. The p2m lock is taken by each call itself.
 */
void p2m_batch_begin(struct domain *d);
void p2m_batch_end(struct domain *d);
/* True between begin and end on this CPU. For assertions: no guest may be entered then. */
bool p2m_in_batch(void);

/* Takes out what has no frame yet; -EAGAIN if that is not what is there (any more). */
int p2m_clear_pod(struct domain *d, gfn_t gfn, unsigned order);
/* A frame for a page that has none yet; 0 (also: it has one), -ENOSPC (the cache is empty), -ENOMEM (the pool is). */
int p2m_populate(struct domain *d, gfn_t gfn);
/* Pages that have no frame yet. */
uint64_t p2m_pod_entries(const struct domain *d);
/*
 * Looks at up to `entries` entries from gfn on; frames that hold only zeros and that nobody refers to go to the cache. The
 * domain lock is held. Returns how many, and where to go on; that is beyond p2m_max_gfn() at the end.
 */
unsigned p2m_pod_sweep(struct domain *d, gfn_t gfn, unsigned entries, gfn_t *ret_next);

/* Translation without a reference: only safe for domains whose p2m cannot change meanwhile (or under domain lock). */
mfn_t p2m_lookup(struct domain *d, gfn_t gfn, enum p2m_type *ret_type);
/*
 * The same, and *ret_order tells of how many frames (2^order, aligned) gfn's surroundings are one entry of that type, or
 * one hole (P2M_NONE): so that sparse maps can be walked. A smaller order than the true one is allowed.
 */
mfn_t p2m_lookup_order(struct domain *d, gfn_t gfn, enum p2m_type *ret_type, unsigned *ret_order);
/*
 * Takes a page reference (of the frame's owner) on what gfn maps to: RAM, special, grant or foreign. The invalid frame
 * if there is none or, with `write`, if it may not be written. What has no frame yet gets one. Undo with page_put().
 */
mfn_t p2m_get_page(struct domain *d, gfn_t gfn, bool write, enum p2m_type *ret_type);

/* Highest gfn that was ever mapped. */
gfn_t p2m_max_gfn(const struct domain *d);
/* Pool of table pages, in pages; it keeps those that are in use. 0, -ENOMEM, -ERESTART (call again). */
int p2m_pool_set(struct domain *d, uint64_t pages);
uint64_t p2m_pool_get(const struct domain *d);

#endif
