/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machine memory. Frames come from a buddy allocator and carry a 16-byte descriptor each. Frames of
 * guests are NOT mapped in the hypervisor: they are reached through a window (window_map(), this CPU
 * only, short) or, for an enumerated list of purposes, a gmap (bulkhead/gmap.h). Memory of the
 * hypervisor itself comes from the heap and has an address for as long as it is allocated.
 */
#ifndef BULKHEAD_MM_H
#define BULKHEAD_MM_H

#include <bulkhead/addr.h>
#include <bulkhead/compiler.h>

struct domain;

enum page_state {
	PAGE_ABSENT,  /* not RAM, or never given to the allocator */
	PAGE_FREE,    /* in the buddy allocator */
	PAGE_HEAP,    /* hypervisor heap */
	PAGE_DOMAIN,  /* RAM of page->owner; page->count references */
	PAGE_SPECIAL, /* of page->owner but not accounted as its RAM: shared_info, grant frames */
	PAGE_OFFLINE, /* broken memory */
};

#define PAGE_NIL      0xffffffffU /* end of a list of pages */
#define PAGE_RELEASED 0xffU /* order of a frame that its owner gave up and others still refer to */

struct page {
	uint32_t next, prev; /* frame numbers, PAGE_NIL at the ends; list of free or owned pages */
	uint32_t count;	     /* references to a PAGE_DOMAIN / PAGE_SPECIAL frame */
	uint16_t owner;	     /* domid */
	uint8_t state;	     /* enum page_state */
	uint8_t order;	     /* of a free block, in its head */
};
_Static_assert(sizeof(struct page) == 16, "a frame descriptor is 16 bytes");

struct page_list {
	uint32_t head, tail;
	uint64_t count;
};

extern struct page *frame_table;
extern uint64_t frame_count; /* descriptors in frame_table: highest RAM frame + 1 */

static inline bool mfn_valid(mfn_t m)
{
	return mfn_raw(m) < frame_count && frame_table[mfn_raw(m)].state != PAGE_ABSENT;
}
static inline struct page *mfn_to_page(mfn_t m)
{
	return &frame_table[mfn_raw(m)];
}
static inline mfn_t page_to_mfn(const struct page *pg)
{
	return mfn_from((uint64_t)(pg - frame_table));
}

void page_list_init(struct page_list *l);
void page_list_add(struct page_list *l, struct page *pg);
void page_list_del(struct page_list *l, struct page *pg);
struct page *page_list_first(const struct page_list *l); /* NULL when empty */

/* Buddy allocator: 2^order contiguous frames, aligned; the invalid frame when there are none. */
#define ALLOC_NO_SCRUB 1U /* contents may be those of a former owner: the caller overwrites all */
#define ALLOC_BELOW_4G 2U
mfn_t frames_alloc(unsigned order, unsigned flags);
void frames_free(mfn_t first, unsigned order);
uint64_t frames_free_count(void);
uint64_t frames_total(void);
uint64_t mm_max_mfn(void); /* highest frame of RAM */

/*
 * Heap. Contents are zero. NULL when memory is out. Pointers are valid on every CPU until freed.
 * heap_page_*: one page (page tables, per-vCPU areas). heap_alloc: any size up to 2 MiB, aligned to 16 and,
 * from 4096 bytes on, to pages.
 */
void *heap_page_alloc(void);
void heap_page_free(void *page); /* accepts NULL */
void *heap_alloc(size_t size);
void heap_free(void *p); /* accepts NULL */
paddr_t heap_paddr(const void *p);
void *heap_ptr(paddr_t p);	/* of an address that heap_paddr() gave */
uint64_t heap_bytes(void);	/* taken from the frame allocator for the heap */
uint64_t heap_bytes_used(void); /* of these in use, in whole pages */

/*
 * A window on one frame, on this CPU, until window_unmap(): do not keep it across anything that may
 * reschedule. At most a few nest. Never fails.
 */
void *window_map(mfn_t m);
void window_unmap(const void *p); /* any address within the window */

/*
 * RAM of domains. Accounting: d->tot_pages counts PAGE_DOMAIN frames, limited by d->max_pages.
 * domain_frames_alloc gives scrubbed frames with one reference each ("the domain owns it").
 */
/* Reserves memory, so that d can come to have `pages` in all (XENMEM_claim_pages); 0 ends the claim. -EINVAL, -ENOMEM. */
int domain_claim(struct domain *d, uint64_t pages);
int domain_frames_alloc(struct domain *d, unsigned order, unsigned flags, mfn_t *ret_first);
/* Drops the "owned" reference: the frame is freed when the last reference is gone. False if d is not the owner. */
bool domain_frame_release(struct domain *d, mfn_t m);
mfn_t special_frame_alloc(struct domain *d); /* one zeroed PAGE_SPECIAL frame, one reference */
/* A further reference, only if the frame is owned by d (and not already being freed). */
bool page_get(mfn_t m, const struct domain *d);
/* One more reference to a frame that the caller knows to be referenced. */
void page_get_again(mfn_t m);
void page_put(mfn_t m);

#endif
