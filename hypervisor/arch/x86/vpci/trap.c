// SPDX-License-Identifier: GPL-2.0-or-later
// vPCI: pages with MSI-X tables, whose accesses are emulated one by one.

#include <arch/paging.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>
#include <bulkhead/p2m.h>

#include "vpci_priv.h"

static uint64_t hw_read_piece(const volatile void *p, unsigned size)
{
	switch (size) {
	case 1:
		return *(const volatile uint8_t *)p;
	case 2:
		return *(const volatile uint16_t *)p;
	case 4:
		return *(const volatile uint32_t *)p;
	default:
		return *(const volatile uint64_t *)p;
	}
}

static void hw_write_piece(volatile void *p, unsigned size, uint64_t value)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)p = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)p = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)p = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)p = value;
		break;
	}
}

/* Largest aligned piece at the start of an access: a guest may be careless, the hypervisor is not. */
static unsigned aligned_piece(uint64_t offset, unsigned size)
{
	while (offset & (size - 1))
		size /= 2;
	return size;
}

static uint64_t hw_read(const volatile uint8_t *page, uint64_t offset, unsigned size)
{
	unsigned n = aligned_piece(offset, size);
	uint64_t value = 0;

	for (unsigned done = 0; done < size; done += n)
		value |= hw_read_piece(page + offset + done, n) << done * 8;
	return value;
}

static void hw_write(volatile uint8_t *page, uint64_t offset, unsigned size, uint64_t value)
{
	unsigned n = aligned_piece(offset, size);

	for (unsigned done = 0; done < size; done += n)
		hw_write_piece(page + offset + done, n, value >> done * 8);
}

/* What is in the page beside tables goes to the device as it is; a page may hold tables of several devices. */
static int trap_read(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
		     uint64_t *ret_value)
{
	struct vpci_trap *t = opaque;
	struct vpci *p = t->vpci;
	uint64_t gpa, value = 0;
	struct vpci_dev *dev;
	bool done = false;

	(void)v;
	spin_lock(&p->lock);
	gpa = (t->gfn << PAGE_SHIFT) + offset;
	LIST_FOR_EACH (dev, &p->devices, struct vpci_dev, link) {
		done = vpci_msix_read(dev, gpa, size, &value);
		if (done)
			break;
	}
	if (!done)
		value = t->users ? hw_read(t->map, offset, size) : ~0ULL >> (64 - size * 8);
	spin_unlock(&p->lock);
	*ret_value = value;
	return 0;
}

static int trap_write(struct vcpu *v, void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct vpci_trap *t = opaque;
	struct vpci *p = t->vpci;
	struct vpci_dev *dev;
	bool done = false;
	uint64_t gpa;

	(void)v;
	spin_lock(&p->lock);
	gpa = (t->gfn << PAGE_SHIFT) + offset;
	LIST_FOR_EACH (dev, &p->devices, struct vpci_dev, link) {
		done = vpci_msix_write(dev, gpa, size, value);
		if (done)
			break;
	}
	if (!done && t->users)
		hw_write(t->map, offset, size, value);
	spin_unlock(&p->lock);
	return 0;
}

static const struct hvm_io_ops trap_ops = {.read = trap_read, .write = trap_write};

static struct vpci_trap *trap_at(struct vpci *p, uint64_t gfn)
{
	struct vpci_trap *t;

	LIST_FOR_EACH (t, &p->traps, struct vpci_trap, link)
		if (t->users && t->gfn == gfn)
			return t;
	return NULL;
}

/*
 * An unused one, or a new one. They are kept, as a handler may be at work with one on another CPU: it then finds that it
 * is not in use.
 */
static struct vpci_trap *trap_new(struct vpci *p)
{
	struct vpci_trap *t;

	LIST_FOR_EACH (t, &p->traps, struct vpci_trap, link)
		if (!t->users && !__atomic_load_n(&t->region.users, __ATOMIC_ACQUIRE))
			return t;
	t = heap_alloc(sizeof(*t));
	if (t) {
		t->vpci = p;
		list_insert_before(&p->traps, &t->link);
	}
	return t;
}

int vpci_trap_get(struct vpci *p, uint64_t gfn, uint64_t mfn)
{
	struct vpci_trap *t = trap_at(p, gfn);
	int err;

	if (t) {
		if (t->mfn != mfn)
			return -EEXIST;
		t->users++;
		return 0;
	}
	t = trap_new(p);
	if (!t)
		return -ENOMEM;
	t->map = mmio_map(mfn << PAGE_SHIFT, PAGE_SIZE);
	if (!t->map)
		return -ENOMEM;
	t->region = (struct hvm_io_region){
		.base = gfn << PAGE_SHIFT,
		.size = PAGE_SIZE,
		.ops = &trap_ops,
		.opaque = t,
	};
	err = hvm_mmio_register(p->domain, &t->region);
	if (err) {
		mmio_unmap(t->map, PAGE_SIZE);
		t->map = NULL;
		return err;
	}
	t->gfn = gfn;
	t->mfn = mfn;
	t->users = 1;
	/* A neighbour's small BAR may have the page mapped. */
	vpci_clear(p->domain, gfn, 1);
	return 0;
}

static bool page_in_mapped_bar(struct vpci *p, uint64_t gfn)
{
	struct vpci_dev *dev;

	LIST_FOR_EACH (dev, &p->devices, struct vpci_dev, link)
		for (unsigned i = 0; i <= VPCI_ROM; i++) {
			const struct vpci_bar *b = &dev->bars[i];

			if (b->mapped && gfn >= b->gfn && gfn < b->gfn + b->pages)
				return true;
		}
	return false;
}

void vpci_trap_put(struct vpci *p, uint64_t gfn)
{
	struct vpci_trap *t = trap_at(p, gfn);

	if (!t || --t->users)
		return;
	hvm_mmio_unregister(p->domain, &t->region);
	mmio_unmap_everywhere(t->map, PAGE_SIZE);
	t->map = NULL;
	/* The neighbour gets its page back; if there is no memory for it, accesses find nothing. */
	if (page_in_mapped_bar(p, gfn))
		(void)!p2m_set(p->domain, gfn_from(gfn), mfn_from(t->mfn), ORDER_4K, P2M_MMIO);
}

bool vpci_trapped(struct vpci *p, uint64_t gfn)
{
	return trap_at(p, gfn) != NULL;
}

uint64_t vpci_next_trap(struct vpci *p, uint64_t gfn, uint64_t end)
{
	struct vpci_trap *t;

	LIST_FOR_EACH (t, &p->traps, struct vpci_trap, link)
		if (t->users && t->gfn >= gfn && t->gfn < end)
			end = t->gfn;
	return end;
}

void vpci_traps_finish(struct vpci *p)
{
	struct vpci_trap *t, *tmp;

	LIST_FOR_EACH_SAFE (t, tmp, &p->traps, struct vpci_trap, link) {
		list_remove(&t->link);
		hvm_io_region_wait(&t->region);
		heap_free(t);
	}
}
