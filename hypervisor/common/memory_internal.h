/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory_op hypercall: what the files memory_*.c share. */
#ifndef COMMON_MEMORY_INTERNAL_H
#define COMMON_MEMORY_INTERNAL_H

#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/memory.h>
#include <bulkhead/permission.h>
#include <xen/physdev.h>
#include <xen/memory.h>

/* Low bits of the command are the operation, the rest is where to go on after a preemption (ABI). */
#define OP_BITS	    6
#define OP_MASK	    ((1U << OP_BITS) - 1)
/* More extents cannot be expressed in the command of a 32-bit caller. */
#define EXTENTS_MAX (UINT32_MAX >> OP_BITS)

/* One memory_op call, decoded as far as all of them are alike. */
struct memop {
	struct hypercall *hc;
	struct domain *caller;
	unsigned op;
	uint64_t start; /* extents done before a preemption */
	uint64_t arg;	/* guest address of the argument structure */
};

/* To be returned by a handler: continue with `done` extents behind it. */
static inline int64_t memop_restart(struct memop *m, uint64_t done)
{
	m->hc->args[0] = m->op | done << OP_BITS;
	return -ERESTART;
}

/* Element i of an array of guest longs (xen_ulong_t, xen_pfn_t), whose size depends on the caller. */
static inline int memop_read_long(const struct memop *m, uint64_t array, uint64_t i,
				  uint64_t *ret_value)
{
	size_t size = m->hc->compat ? sizeof(uint32_t) : sizeof(uint64_t);
	uint64_t untrusted_value = 0;

	if (guest_copy_from(&untrusted_value, array + i * size, size))
		return -EFAULT;
	*ret_value = untrusted_value;
	return 0;
}

/* A frame number that means "none", in either size of long. */
static inline bool memop_gfn_is_invalid(const struct memop *m, uint64_t gfn)
{
	return gfn == (m->hc->compat ? UINT32_MAX : UINT64_MAX);
}

/* Also d->memory: what only memory_op knows of a domain. */
struct memory_domain {
	struct memory_map_entry *map; /* NULL: none was set */
	unsigned map_entries;
	gfn_t shared_info_home; /* where shared_info is mapped */
};

/* d->memory, created when it does not exist yet; NULL when out of memory. */
struct memory_domain *memory_domain_of(struct domain *d);

/* memory_resv.c */
int64_t memop_reservation(struct memop *m);
int64_t memop_claim_pages(struct memop *m);
/* memory_physmap.c */
int64_t memop_add_to_physmap(struct memop *m);
int64_t memop_add_to_physmap_batch(struct memop *m);
int64_t memop_remove_from_physmap(struct memop *m);
int64_t memop_acquire_resource(struct memop *m);
/* memory_map.c */
int64_t memop_memory_map(struct memop *m);
int64_t memop_set_memory_map(struct memop *m);
int64_t memop_reserved_device_memory(struct memop *m);

#endif
