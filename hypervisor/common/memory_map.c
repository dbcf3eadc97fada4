/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory_op hypercall: the memory map that a guest is told, and reserved regions of devices. */
#include <bulkhead/iommu.h>
#include <bulkhead/string.h>

#include "memory_internal.h"

/* 32-bit layouts. */
struct memory_map_32 {
	uint32_t nr_entries, buffer;
};
struct foreign_memory_map_32 {
	uint16_t domid, pad;
	struct memory_map_32 map;
};
struct rdm_map_32 {
	uint32_t flags, nr_entries, buffer;
	struct physdev_pci_device pci;
};
struct rdm_32 {
	uint32_t start_pfn, nr_pages;
};
_Static_assert(sizeof(struct xen_memory_map) == 16, "ABI");
_Static_assert(sizeof(struct xen_foreign_memory_map) == 24, "ABI");
_Static_assert(sizeof(struct memory_map_32) == 8, "ABI");
_Static_assert(sizeof(struct foreign_memory_map_32) == 12, "ABI");
_Static_assert(sizeof(struct xen_reserved_device_memory_map) == 24, "ABI");
_Static_assert(sizeof(struct rdm_map_32) == 16, "ABI");

struct memory_domain *memory_domain_of(struct domain *d)
{
	struct memory_domain *md = __atomic_load_n(&d->memory, __ATOMIC_ACQUIRE);
	struct memory_domain *fresh;

	if (md)
		return md;
	fresh = heap_alloc(sizeof(*fresh));
	if (!fresh)
		return NULL;
	fresh->shared_info_home = gfn_invalid();
	if (__atomic_compare_exchange_n(&d->memory, &md, fresh, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return fresh;
	heap_free(fresh);
	return md;
}

void memory_domain_finish(struct domain *d)
{
	if (!d->memory)
		return;
	heap_free(d->memory->map);
	heap_free(d->memory);
	d->memory = NULL;
}

/* Takes over `map`. */
static int map_replace(struct domain *d, struct memory_map_entry *map, unsigned nr)
{
	struct memory_domain *md = memory_domain_of(d);
	struct memory_map_entry *old;

	if (!md) {
		heap_free(map);
		return -ENOMEM;
	}
	spin_lock(&d->lock);
	old = md->map;
	md->map = map;
	md->map_entries = nr;
	spin_unlock(&d->lock);
	heap_free(old);
	return 0;
}

int memory_map_set(struct domain *d, const struct memory_map_entry *entries, unsigned nr)
{
	struct memory_map_entry *map;

	if (nr > MEMORY_MAP_MAX)
		return -E2BIG;
	map = heap_alloc(MAX(nr, 1U) * sizeof(*map));
	if (!map)
		return -ENOMEM;
	memcpy(map, entries, nr * sizeof(*map));
	return map_replace(d, map, nr);
}

/* Gives a struct xen_memory_map in either layout. */
static int read_map(struct memop *m, uint64_t addr, uint32_t *ret_nr, uint64_t *ret_buffer)
{
	struct memory_map_32 m32;
	struct xen_memory_map m64;

	if (m->hc->compat) {
		if (guest_copy_from(&m32, addr, sizeof(m32)))
			return -EFAULT;
		*ret_nr = m32.nr_entries;
		*ret_buffer = m32.buffer;
		return 0;
	}
	if (guest_copy_from(&m64, addr, sizeof(m64)))
		return -EFAULT;
	*ret_nr = m64.nr_entries;
	*ret_buffer = (uintptr_t)m64.buffer.p;
	return 0;
}

int64_t memop_memory_map(struct memop *m)
{
	struct domain *d = m->caller;
	struct memory_domain *md = __atomic_load_n(&d->memory, __ATOMIC_ACQUIRE);
	struct memory_map_entry *copy;
	uint64_t buffer;
	uint32_t nr, have;
	int64_t rc = 0;

	if (read_map(m, m->arg, &nr, &buffer))
		return -EFAULT;
	if (!md || !READ_ONCE(md->map_entries))
		return -ENOSYS;
	/* Copied out without the lock: the guest's pages may take a while to reach. */
	copy = heap_alloc(MEMORY_MAP_MAX * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	spin_lock(&d->lock);
	have = MIN(nr, md->map_entries);
	memcpy(copy, md->map, have * sizeof(*copy));
	spin_unlock(&d->lock);
	if (guest_copy_to(buffer, copy, have * sizeof(*copy)) ||
	    guest_copy_to(m->arg, &have, sizeof(have)))
		rc = -EFAULT;
	heap_free(copy);
	return rc;
}

static int set_map(struct memop *m, struct domain *d, uint32_t nr, uint64_t buffer)
{
	struct memory_map_entry *map;

	if (!may_target(m->caller, d))
		return -EPERM;
	map = heap_alloc(MAX(nr, 1U) * sizeof(*map));
	if (!map)
		return -ENOMEM;
	if (guest_copy_from(map, buffer, nr * sizeof(*map))) {
		heap_free(map);
		return -EFAULT;
	}
	return map_replace(d, map, nr);
}

int64_t memop_set_memory_map(struct memop *m)
{
	size_t map_offset = m->hc->compat ? offsetof(struct foreign_memory_map_32, map)
					  : offsetof(struct xen_foreign_memory_map, map);
	struct domain *d;
	uint64_t buffer;
	uint16_t domid;
	uint32_t nr;
	int rc;

	if (guest_copy_from(&domid, m->arg, sizeof(domid)) ||
	    read_map(m, m->arg + map_offset, &nr, &buffer))
		return -EFAULT;
	if (nr > MEMORY_MAP_MAX)
		return -EINVAL;
	d = domain_get_by_id(domid);
	if (!d)
		return -ESRCH;
	rc = set_map(m, d, nr, buffer);
	domain_put(d);
	return rc;
}

/* Regions that devices need identity-mapped, written to the caller's buffer as far as there is room. */
struct rdm_walk {
	struct memop *m;
	uint64_t buffer;
	uint32_t room, found;
	bool fault;
};

static void rdm_one(uint64_t base, uint64_t end, void *arg)
{
	struct rdm_walk *w = arg;
	uint64_t start = base >> PAGE_SHIFT;
	uint64_t nr = DIV_ROUND_UP(end, PAGE_SIZE) - start;
	int rc = 0;

	if (w->found < w->room && w->m->hc->compat) {
		struct rdm_32 r = {(uint32_t)start, (uint32_t)nr};

		rc = guest_copy_to(w->buffer + w->found * sizeof(r), &r, sizeof(r));
	} else if (w->found < w->room) {
		struct xen_reserved_device_memory r = {.start_pfn = start, .nr_pages = nr};

		rc = guest_copy_to(w->buffer + w->found * sizeof(r), &r, sizeof(r));
	}
	w->found++;
	if (rc)
		w->fault = true;
}

/*
 * The regions of one device are not told apart from those of others: whoever passes a device through makes all of them
 * reserved, which is what XENMEM_RDM_ALL asks for.
 */
int64_t memop_reserved_device_memory(struct memop *m)
{
	struct rdm_walk w = {.m = m};
	struct rdm_map_32 m32;
	struct xen_reserved_device_memory_map m64;
	uint32_t flags;

	if (m->hc->compat) {
		if (guest_copy_from(&m32, m->arg, sizeof(m32)))
			return -EFAULT;
		flags = m32.flags;
		w.room = m32.nr_entries;
		w.buffer = m32.buffer;
	} else {
		if (guest_copy_from(&m64, m->arg, sizeof(m64)))
			return -EFAULT;
		flags = m64.flags;
		w.room = m64.nr_entries;
		w.buffer = (uintptr_t)m64.buffer.p;
	}
	if (flags & ~(uint32_t)XENMEM_RDM_ALL)
		return -EINVAL;
	if (iommu_present())
		iommu_for_each_reserved(rdm_one, &w);
	/* nr_entries follows flags in both layouts. */
	if (w.fault || guest_copy_to(m->arg + sizeof(flags), &w.found, sizeof(w.found)))
		return -EFAULT;
	return w.found > w.room ? -ENOBUFS : 0;
}
