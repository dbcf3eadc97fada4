/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Populate-on-demand: a domain that is promised more memory (maxmem) than it gets (memory). Its p2m says of each page that
 * has no frame yet that it will get one when it is touched (P2M_POD); the frames wait in the domain's cache. They count as
 * its memory, so that creation takes all at once and nobody else can use them up. Until its balloon driver has given back
 * what is promised too much there are more such entries than frames: pages that leave the domain then fill the cache, and
 * when it is empty, pages that hold only zeros are taken back. A domain that nothing of this helps has crashed.
 */
#ifndef BULKHEAD_POD_H
#define BULKHEAD_POD_H

#include <bulkhead/mm.h>

struct domain;

void pod_init(struct domain *d);
/* Gives the cache back; the domain is dying. -ERESTART while there is more. */
int pod_release(struct domain *d);

/*
 * The domain is to have `target` pages, the cache included (XENMEM_set_pod_target). While it is built, the cache becomes as
 * large as that. Later it holds at most a frame for each entry, and only grows: a domain that has too much gives it back by
 * its balloon. 0, -ENOMEM, -ERESTART (call again).
 */
int pod_set_target(struct domain *d, uint64_t target);
/* Entries have left the p2m: frees what the cache has beyond one frame for each. No lock is held. */
void pod_trim(struct domain *d);

/* A frame left the p2m and all TLBs; the cache keeps it if it is short of frames. False: it is to be released. */
bool pod_reclaim(struct domain *d, mfn_t mfn);

/* A vCPU of d touched such a page. On return it goes on, tries again, or has crashed. No lock is held. */
void pod_fault(struct domain *d, gfn_t gfn);
/* The hypervisor is about to use such a page, under whatever locks above the p2m's. False: it cannot; the domain has crashed. */
bool pod_touch(struct domain *d, gfn_t gfn);

/* For the p2m, under its lock: 2^order (0 or 9) frames of zeros, which are the domain's RAM now; the invalid frame if there are none. */
mfn_t pod_cache_take(struct domain *d, unsigned order);
/* They were not needed after all, or are RAM of the domain that nothing maps: zeros, one reference each. */
void pod_cache_put(struct domain *d, mfn_t first, unsigned order);

#endif
