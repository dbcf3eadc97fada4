/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory_op hypercall: growing and shrinking the reservation of a domain. */
#include <bulkhead/physmap.h>
#include <bulkhead/pod.h>

#include "memory_internal.h"

/* Largest extents: who controls others builds them with 1 GiB pages, a guest balloons by 2 MiB at most. */
#define ORDER_MAX_CONTROL ORDER_1G
#define ORDER_MAX	  ORDER_2M

/* Nodes that a caller may name; memory comes from wherever it is. */
#define NODES_MAX 64
#define NO_NODE	  0xff

struct reservation_32 {
	uint32_t extent_start, nr_extents, extent_order, mem_flags;
	uint16_t domid;
};
_Static_assert(sizeof(struct xen_memory_reservation) == 32, "ABI");
_Static_assert(sizeof(struct reservation_32) == 20, "ABI");

struct reservation {
	uint64_t extents; /* guest address of the list, 0: none */
	uint64_t nr;
	unsigned order;
	uint32_t mem_flags;
	domid_t domid;
	unsigned alloc; /* ALLOC_* */
};

static int read_reservation(struct memop *m, struct reservation *ret)
{
	struct reservation_32 r32;
	struct xen_memory_reservation r64;

	if (m->hc->compat) {
		if (guest_copy_from(&r32, m->arg, sizeof(r32)))
			return -EFAULT;
		*ret = (struct reservation){.extents = r32.extent_start,
					    .nr = r32.nr_extents,
					    .order = r32.extent_order,
					    .mem_flags = r32.mem_flags,
					    .domid = r32.domid};
		return 0;
	}
	if (guest_copy_from(&r64, m->arg, sizeof(r64)))
		return -EFAULT;
	*ret = (struct reservation){.extents = (uintptr_t)r64.extent_start.p,
				    .nr = r64.nr_extents,
				    .order = r64.extent_order,
				    .mem_flags = r64.mem_flags,
				    .domid = r64.domid};
	return 0;
}

/* The flags: width of the machine addresses, and a node. */
static int check_flags(const struct memop *m, struct reservation *r)
{
	unsigned bits = XENMEMF_get_address_bits(r->mem_flags);
	unsigned node = XENMEMF_get_node(r->mem_flags);

	if (bits && mm_max_mfn() >> (bits > PAGE_SHIFT ? MIN(bits, 63U) - PAGE_SHIFT : 0)) {
		/* Less than the machine has: 32 bits is the one border that the allocator knows. */
		if (bits < 32)
			return -EINVAL;
		r->alloc |= ALLOC_BELOW_4G;
	}
	if (r->mem_flags & XENMEMF_vnode || node == NO_NODE)
		return 0;
	if (may_system(m->caller))
		return node < NODES_MAX ? 0 : -EINVAL;
	return r->mem_flags & XENMEMF_exact_node_request ? -EINVAL : 0;
}

static int populate_one(struct domain *d, const struct reservation *r, uint64_t gfn)
{
	struct physmap_batch b;
	mfn_t mfn;
	int rc = domain_frames_alloc(d, r->order, r->alloc, &mfn);

	if (rc)
		return rc;
	physmap_begin(&b, d);
	rc = physmap_set_ram(&b, gfn_from(gfn), mfn, r->order);
	physmap_end(&b);
	for (uint64_t i = 0; rc && i < BIT(r->order); i++)
		(void)domain_frame_release(d, mfn_add(mfn, i));
	return rc;
}

/* Others only: a guest has no use for such pages of its own, but could make as many of them as it has room for tables. */
static int mark_pod_one(const struct memop *m, struct domain *d, const struct reservation *r,
			uint64_t gfn)
{
	struct physmap_batch b;
	int rc;

	if (d == m->caller || d->iommu)
		return -EINVAL;
	physmap_begin(&b, d);
	rc = physmap_mark_pod(&b, gfn_from(gfn), r->order);
	physmap_end(&b);
	return rc;
}

static int decrease_one(struct domain *d, const struct reservation *r, uint64_t gfn)
{
	struct physmap_batch b;
	int rc;

	physmap_begin(&b, d);
	rc = physmap_release_block(&b, gfn_from(gfn), r->order);
	if (rc == -EAGAIN) {
		rc = 0;
		for (uint64_t i = 0; !rc && i < BIT(r->order); i++)
			rc = physmap_release(&b, gfn_from(gfn + i));
	}
	physmap_end(&b);
	pod_trim(d);
	return rc;
}

/* New memory that is mapped nowhere: a translated guest has no use for it, but may have it. */
static int increase_one(struct domain *d, const struct reservation *r)
{
	mfn_t mfn;

	return domain_frames_alloc(d, r->order, r->alloc, &mfn);
}

static int one_extent(struct memop *m, struct domain *d, const struct reservation *r, uint64_t i)
{
	uint64_t gfn;

	if (m->op == XENMEM_increase_reservation)
		return increase_one(d, r);
	if (memop_read_long(m, r->extents, i, &gfn))
		return -EFAULT;
	if (m->op == XENMEM_decrease_reservation)
		return decrease_one(d, r, gfn);
	if (r->mem_flags & XENMEMF_populate_on_demand)
		return mark_pod_one(m, d, r, gfn);
	return populate_one(d, r, gfn);
}

/* Whatever goes wrong, the answer is how many extents were done (G15). */
int64_t memop_reservation(struct memop *m)
{
	struct reservation r;
	uint64_t done = m->start;
	bool preempted = false;
	struct domain *d;

	if (read_reservation(m, &r))
		return (int64_t)m->start;
	if (r.nr > EXTENTS_MAX || m->start >= r.nr || check_flags(m, &r))
		return (int64_t)m->start;
	d = domain_get_by_id(r.domid);
	if (!d)
		return (int64_t)m->start;
	if (may_target(m->caller, d) &&
	    r.order <= (may_system(m->caller) ? ORDER_MAX_CONTROL : ORDER_MAX)) {
		while (done < r.nr && !preempted) {
			if (done != m->start && hypercall_should_yield())
				preempted = true;
			else if (one_extent(m, d, &r, done))
				break;
			else
				done++;
		}
	}
	domain_put(d);
	return preempted ? memop_restart(m, done) : (int64_t)done;
}

int64_t memop_claim_pages(struct memop *m)
{
	struct reservation r;
	struct domain *d;
	int rc;

	/* The ABI has no 32-bit layout of it: it is a toolstack's. */
	if (m->hc->compat)
		return -ENOSYS;
	if (read_reservation(m, &r))
		return -EFAULT;
	if (r.extents || r.order || r.mem_flags)
		return -EINVAL;
	d = r.domid == DOMID_SELF ? NULL : domain_get_by_id(r.domid);
	if (!d)
		return -EINVAL;
	rc = may_control(m->caller, d) ? domain_claim(d, r.nr) : -EPERM;
	domain_put(d);
	return rc;
}
