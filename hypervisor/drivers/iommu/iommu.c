// SPDX-License-Identifier: GPL-2.0-or-later
// The layer over the IOMMU drivers: which driver, what may be mapped, and when changes are flushed.

#include <arch/machine.h>
#include <bulkhead/cmdline.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/iommu.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/string.h>

#include "driver.h"

#define MAX_PROTECTED	80
#define RELEASE_TABLES	256 /* freed in one step of iommu_domain_release() */
#define OPTION_MAX_WORD 32
#define MAX_MESSAGES	32 /* of one function by MSI (PCI Local Bus 3.0, 6.8.1.3) */

bool iommu_verbose, iommu_debug;
static bool want_intremap = true;

static const struct iommu_ops *ops; /* NULL: no IOMMU */
static struct iommu_caps caps;

/* Serialises changes of who owns which device. Taken before the lock of an iommu_domain. */
static spinlock_t assign_lock = SPINLOCK_INIT;

/* Ranges that no device may reach; written during boot. */
static struct {
	uint64_t base, end;
} protected[MAX_PROTECTED];
static unsigned protected_count;

/* Memory that firmware keeps using through its devices. */
static struct reserved {
	uint64_t base, end; /* whole pages */
	unsigned flags;
	unsigned seg, first_bdf, last_bdf; /* devices concerned */
} reserved[ACPI_MAX_RESERVED_REGIONS * 4];
static unsigned reserved_count;
/* They are buffers of devices: a larger one is a mistake, and mapping it page by page would take for ever. */
#define RESERVED_MAX GiB(4)
#define RESERVED_END (1UL << 52)

static int parse_iommu(const char *list)
{
	static const struct {
		const char *word;
		bool *var;
	} words[] = {
		{"verbose", &iommu_verbose},
		{"debug", &iommu_debug},
		{"intremap", &want_intremap},
	};
	char item[OPTION_MAX_WORD];
	int more;

	while ((more = cmdline_next_item(&list, item, sizeof(item))) > 0) {
		bool known = false;

		for (unsigned i = 0; i < ARRAY_SIZE(words) && !known; i++) {
			int v = cmdline_item_bool(item, words[i].word);

			if (v == -EINVAL)
				return v;
			if (v >= 0) {
				*words[i].var = v;
				known = true;
			}
		}
		if (!known)
			return -EINVAL;
	}
	return more;
}
CMDLINE_CUSTOM("iommu", parse_iommu);

int iommu_protect(uint64_t base, uint64_t end)
{
	if (protected_count == MAX_PROTECTED)
		return -ENOMEM;
	protected[protected_count].base = base;
	protected[protected_count].end = end;
	protected_count++;
	return 0;
}

void iommu_unprotect(uint64_t base, uint64_t end)
{
	for (unsigned i = 0; i < protected_count; i++) {
		if (protected[i].base == base && protected[i].end == end) {
			protected[i] = protected[--protected_count];
			return;
		}
	}
}

static bool range_protected(uint64_t base, uint64_t end)
{
	for (unsigned i = 0; i < protected_count; i++)
		if (base < protected[i].end && end > protected[i].base)
			return true;
	return false;
}

bool iommu_owns(uint64_t paddr)
{
	uint64_t page = ALIGN_DOWN(paddr, PAGE_SIZE);

	return range_protected(page, page + PAGE_SIZE);
}

bool iommu_owns_part(uint64_t start, uint64_t end)
{
	return range_protected(start, end);
}

int iommu_reserve(uint64_t base, uint64_t end, unsigned flags, unsigned seg, unsigned first_bdf,
		  unsigned last_bdf)
{
	if (base >= end || end - base > RESERVED_MAX || end > RESERVED_END) {
		log_err("IOMMU: the firmware's reserved region 0x%llx-0x%llx makes no sense\n",
			(unsigned long long)base, (unsigned long long)end);
		return -EINVAL;
	}
	if (reserved_count == ARRAY_SIZE(reserved))
		return -ENOMEM;
	reserved[reserved_count++] = (struct reserved){
		.base = ALIGN_DOWN(base, PAGE_SIZE),
		.end = ALIGN_UP(end, PAGE_SIZE),
		.flags = flags,
		.seg = seg,
		.first_bdf = first_bdf,
		.last_bdf = last_bdf,
	};
	return 0;
}

void iommu_for_each_reserved(void (*fn)(uint64_t base, uint64_t end, void *arg), void *arg)
{
	for (unsigned i = 0; i < reserved_count; i++)
		fn(reserved[i].base, reserved[i].end, arg);
}

int iommu_init(void)
{
	static const struct iommu_ops *const drivers[] = {&vtd_ops, &amdvi_ops};

	for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++) {
		int err = drivers[i]->init(&acpi_tables, want_intremap, &caps);

		if (err == -ENODEV)
			continue;
		if (err)
			return err;
		ops = drivers[i];
		log_info("IOMMU: %s, %u unit%s, %u-level tables%s%s, interrupt remapping %s\n",
			 ops->name, caps.units, caps.units == 1 ? "" : "s", caps.levels,
			 caps.leaf_orders & BIT(ORDER_2M) ? ", 2M" : "",
			 caps.leaf_orders & BIT(ORDER_1G) ? ", 1G" : "",
			 caps.intremap ? "on" : "off");
		return 0;
	}
	return -ENODEV;
}

bool iommu_present(void)
{
	return ops;
}

bool iommu_intremap(void)
{
	return ops && caps.intremap;
}

uint64_t iommu_superpages(void)
{
	return ops ? caps.leaf_orders : 0;
}

/* ---- Domains ---- */

int iommu_domain_init(struct domain *d)
{
	struct iommu_domain *dom;
	int err;

	if (!ops)
		return -ENODEV;
	dom = heap_alloc(sizeof(*dom));
	if (!dom)
		return -ENOMEM;
	dom->domain = d;
	spin_init(&dom->lock);
	err = iommu_pt_init(&dom->pt, caps.format, caps.levels, caps.leaf_orders, caps.sync);
	if (err) {
		heap_free(dom);
		return err;
	}
	d->iommu = dom;
	return 0;
}

int iommu_domain_release(struct domain *d)
{
	struct iommu_domain *dom = d->iommu;
	int err;

	if (!dom)
		return 0;
	spin_lock(&dom->lock);
	/* The last detach flushed the domain's tag: nothing of the tables is cached anywhere. */
	for (unsigned i = 0; i < caps.units; i++)
		BUG_ON(dom->unit[i].devices);
	err = iommu_pt_release(&dom->pt, RELEASE_TABLES);
	spin_unlock(&dom->lock);
	if (err)
		return err;
	d->iommu = NULL;
	heap_free(dom);
	return 0;
}

/* ---- Flushing ---- */

static void note_dirty(struct iommu_domain *dom, uint64_t dfn, uint64_t count, unsigned effects)
{
	if (!effects)
		return;
	if (!dom->effects) {
		dom->dirty_lo = dfn;
		dom->dirty_hi = dfn + count;
	}
	dom->dirty_lo = MIN(dom->dirty_lo, dfn);
	dom->dirty_hi = MAX(dom->dirty_hi, dfn + count);
	dom->effects |= effects;
}

/* A unit that does not answer may go on with old translations: then no device of the domain behind it may do DMA. */
static void stop_devices(struct iommu_domain *dom, unsigned unit)
{
	struct pci_dev *dev;

	/* Each change of the domain's memory comes here from now on. */
	if (!dom->unit[unit].stopped)
		log_err("%s %u: no answer to an invalidation; devices of d%u behind it are stopped\n",
			ops->name, unit, dom->domain->id);
	dom->unit[unit].stopped = true;
	LIST_FOR_EACH (dev, &pci_devices, struct pci_dev, link)
		if (dev->owner == dom->domain && ops->unit_of(dev) == (int)unit)
			pci_stop_dma(dev->sbdf);
}

/* dom->lock is held. */
static void flush_locked(struct iommu_domain *dom, uint64_t dfn, uint64_t count)
{
	struct iommu_flush f = {.dfn = dfn, .count = count, .effects = dom->effects};
	bool all, failed = false;

	if (!dom->effects)
		return;
	all = count == 0 || (dfn <= dom->dirty_lo && count >= dom->dirty_hi - dfn);
	if (all) {
		/* What is dirty is known better here than by the caller. */
		f.dfn = dom->dirty_lo;
		f.count = dom->dirty_hi - dom->dirty_lo;
	}
	for (unsigned i = 0; i < caps.units; i++)
		if (dom->unit[i].devices && ops->flush(i, dom, &f)) {
			stop_devices(dom, i);
			failed = true;
		}
	if (!all)
		return;
	dom->effects = 0;
	/* Tables that a silent unit may still read are lost on purpose. */
	if (failed)
		dom->pt.pending_count = 0;
	iommu_pt_reap(&dom->pt);
}

void iommu_flush(struct domain *d, gfn_t gfn, uint64_t count)
{
	struct iommu_domain *dom = d->iommu;

	if (!dom)
		return;
	spin_lock(&dom->lock);
	flush_locked(dom, gfn_raw(gfn), count);
	spin_unlock(&dom->lock);
}

bool iommu_is_dirty(struct domain *d)
{
	struct iommu_domain *dom = d->iommu;
	bool dirty = false;

	if (!dom)
		return false;
	spin_lock(&dom->lock);
	/* New translations only matter to their user, and never reach what they should not. */
	if (dom->effects & IOMMU_PT_CHANGED)
		for (unsigned i = 0; i < caps.units; i++)
			dirty |= dom->unit[i].devices != 0;
	spin_unlock(&dom->lock);
	return dirty;
}

/* ---- Mapping ---- */

/* Defence in depth: no mistake elsewhere makes a frame of the hypervisor, or a free one, reachable by a device. */
static bool frames_mappable(mfn_t mfn, uint64_t count)
{
	uint64_t first = mfn_raw(mfn), end = first + count;

	if (end < first || range_protected(first << PAGE_SHIFT, end << PAGE_SHIFT))
		return false;
	end = MIN(end, frame_count);
	for (uint64_t i = first; i < end; i++) {
		uint8_t state = frame_table[i].state;

		if (state == PAGE_HEAP || state == PAGE_FREE)
			return false;
	}
	return true;
}

static int unmap_locked(struct iommu_domain *dom, uint64_t dfn, unsigned order)
{
	unsigned effects;
	int err;

	do {
		effects = 0;
		err = iommu_pt_unmap(&dom->pt, dfn, order, &effects);
		note_dirty(dom, dfn, 1UL << order, effects);
		if (err == -EAGAIN)
			flush_locked(dom, 0, 0);
	} while (err == -EAGAIN);
	return err;
}

static int map_locked(struct iommu_domain *dom, uint64_t dfn, uint64_t mfn, unsigned order,
		      unsigned flags)
{
	unsigned effects;
	int err;

	do {
		effects = 0;
		err = iommu_pt_map(&dom->pt, dfn, mfn, order, flags, &effects);
		note_dirty(dom, dfn, 1UL << order, effects);
		if (err == -EAGAIN)
			flush_locked(dom, 0, 0);
	} while (err == -EAGAIN);
	/* Where units have small pages only it may have got half-way, and the caller gives the frames to somebody else. */
	if (err == -ENOMEM && order > ORDER_4K)
		(void)unmap_locked(dom, dfn, order);
	return err;
}

int iommu_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, unsigned flags)
{
	struct iommu_domain *dom = d->iommu;
	int err;

	if (!dom || order > ORDER_1G)
		return -EINVAL;
	if (!frames_mappable(mfn, 1UL << order)) {
		log_err("IOMMU: frame 0x%llx (order %u) is not for devices of d%u\n",
			(unsigned long long)mfn_raw(mfn), order, d->id);
		return -EPERM;
	}
	spin_lock(&dom->lock);
	err = map_locked(dom, gfn_raw(gfn), mfn_raw(mfn), order, flags);
	spin_unlock(&dom->lock);
	return err;
}

int iommu_unmap(struct domain *d, gfn_t gfn, unsigned order)
{
	struct iommu_domain *dom = d->iommu;
	int err;

	if (!dom)
		return -EINVAL;
	spin_lock(&dom->lock);
	err = unmap_locked(dom, gfn_raw(gfn), order);
	spin_unlock(&dom->lock);
	return err;
}

bool iommu_lookup(struct domain *d, gfn_t gfn, mfn_t *ret_mfn, unsigned *ret_order,
		  unsigned *ret_flags)
{
	struct iommu_domain *dom = d->iommu;
	struct iommu_pt_leaf leaf;
	bool found;

	if (!dom)
		return false;
	spin_lock(&dom->lock);
	found = iommu_pt_walk(&dom->pt, gfn_raw(gfn), &leaf);
	spin_unlock(&dom->lock);
	if (!found)
		return false;
	*ret_mfn = mfn_from(leaf.mfn);
	*ret_order = leaf.order;
	*ret_flags = leaf.flags;
	return true;
}

/* ---- Devices ---- */

static bool region_concerns(const struct reserved *r, const struct pci_dev *dev)
{
	unsigned bdf = sbdf_bdf(dev->sbdf), alias = sbdf_bdf(dev->dma_alias);

	return r->seg == sbdf_seg(dev->sbdf) && ((bdf >= r->first_bdf && bdf <= r->last_bdf) ||
						 (alias >= r->first_bdf && alias <= r->last_bdf));
}

/* dom->lock is held. Pages that are mapped to themselves already are left alone. */
static int map_reserved(struct iommu_domain *dom, const struct reserved *r)
{
	for (uint64_t pfn = r->base >> PAGE_SHIFT; pfn < r->end >> PAGE_SHIFT; pfn++) {
		struct iommu_pt_leaf leaf;
		int err;

		if (iommu_pt_walk(&dom->pt, pfn, &leaf)) {
			if (leaf.mfn != pfn)
				return -EBUSY;
			if ((leaf.flags & r->flags) == r->flags)
				continue;
		}
		if (!frames_mappable(mfn_from(pfn), 1))
			return -EPERM;
		err = map_locked(dom, pfn, pfn, ORDER_4K, r->flags);
		if (err)
			return err;
	}
	return 0;
}

static int map_reserved_of(struct iommu_domain *dom, const struct pci_dev *dev)
{
	for (unsigned i = 0; i < reserved_count; i++) {
		const struct reserved *r = &reserved[i];
		int err;

		if (!region_concerns(r, dev))
			continue;
		err = map_reserved(dom, r);
		if (err) {
			log_err("IOMMU: reserved region 0x%llx-0x%llx of " SBDF_FMT
				" cannot be mapped for d%u (%d)\n",
				(unsigned long long)r->base, (unsigned long long)r->end - 1,
				SBDF_ARG(dev->sbdf), dom->domain->id, err);
			return err;
		}
	}
	return 0;
}

static bool reserved_in_use(const struct reserved *r, const struct domain *d,
			    const struct pci_dev *except)
{
	struct pci_dev *dev;

	LIST_FOR_EACH (dev, &pci_devices, struct pci_dev, link)
		if (dev != except && dev->owner == d && region_concerns(r, dev))
			return true;
	return false;
}

/* dom->lock is held. The hardware domain keeps its identity mappings: they are in its p2m, too. */
static void unmap_reserved_of(struct iommu_domain *dom, const struct pci_dev *dev)
{
	for (unsigned i = 0; i < reserved_count && !dom->domain->hardware; i++) {
		const struct reserved *r = &reserved[i];

		if (!region_concerns(r, dev) || reserved_in_use(r, dom->domain, dev))
			continue;
		for (uint64_t pfn = r->base >> PAGE_SHIFT; pfn < r->end >> PAGE_SHIFT; pfn++)
			(void)unmap_locked(dom, pfn, ORDER_4K);
	}
	flush_locked(dom, 0, 0);
}

bool iommu_alias_in_use(const struct pci_dev *dev)
{
	struct pci_dev *other;

	LIST_FOR_EACH (other, &pci_devices, struct pci_dev, link)
		if (other != dev && other->owner && sbdf_eq(other->dma_alias, dev->dma_alias))
			return true;
	return false;
}

/* The unit cannot tell devices with one requester id apart: they go together. */
static bool alias_conflict(const struct pci_dev *dev, const struct domain *d)
{
	struct pci_dev *other;

	LIST_FOR_EACH (other, &pci_devices, struct pci_dev, link)
		if (other != dev && other->owner && other->owner != d &&
		    sbdf_eq(other->dma_alias, dev->dma_alias))
			return true;
	return false;
}

static int detach(struct pci_dev *dev)
{
	struct iommu_domain *dom = dev->owner->iommu;
	int unit = ops->unit_of(dev), err;

	spin_lock(&dom->lock);
	dev->owner = NULL;
	err = ops->detach(dev, dom);
	ASSERT(dom->unit[unit].devices > 0);
	dom->unit[unit].devices--;
	if (err)
		pci_stop_dma(dev->sbdf);
	unmap_reserved_of(dom, dev);
	spin_unlock(&dom->lock);
	return err;
}

static int attach(struct pci_dev *dev, struct domain *d)
{
	struct iommu_domain *dom = d->iommu;
	int unit = ops->unit_of(dev), err;

	if (!dom)
		return -EINVAL;
	if (unit < 0)
		return unit;
	if (alias_conflict(dev, d))
		return -EBUSY;
	spin_lock(&dom->lock);
	err = map_reserved_of(dom, dev);
	if (!err)
		err = ops->attach(dev, dom);
	if (!err) {
		dom->unit[unit].devices++;
		dev->owner = d;
		/* The unit may know older states of tables if other devices of d are behind it. */
		flush_locked(dom, 0, 0);
	} else {
		unmap_reserved_of(dom, dev);
	}
	spin_unlock(&dom->lock);
	return err;
}

int iommu_assign(struct pci_dev *dev, struct domain *d)
{
	int err = 0;

	if (!ops)
		return -ENODEV;
	if (dev->hidden && d)
		return -EPERM;
	spin_lock(&assign_lock);
	if (dev->owner != d) {
		if (dev->owner)
			err = detach(dev);
		if (!err && d)
			err = attach(dev, d);
	}
	spin_unlock(&assign_lock);
	if (err)
		log_err("IOMMU: " SBDF_FMT " cannot be assigned (%d)\n", SBDF_ARG(dev->sbdf), err);
	else if (iommu_debug)
		log_debug("IOMMU: " SBDF_FMT " assigned to %s%u\n", SBDF_ARG(dev->sbdf),
			  d ? "d" : "nobody ", d ? d->id : 0);
	return err;
}

/* ---- Interrupts ---- */

int iommu_msi_map(struct pci_dev *dev, struct irq *irq, struct msi_msg *ret_msg)
{
	if (iommu_intremap())
		return ops->msi_map(dev, irq, ret_msg);
	arch_msi_compose(irq, ret_msg);
	return 0;
}

int iommu_msi_map_multi(struct pci_dev *dev, struct irq *const irqs[], unsigned count,
			struct msi_msg *ret_msg)
{
	if (!iommu_intremap())
		return -ENODEV;
	if (!count || count > MAX_MESSAGES || (count & (count - 1)))
		return -EINVAL;
	return ops->msi_map_multi(dev, irqs, count, ret_msg);
}

int iommu_ioapic_map(unsigned ioapic_id, unsigned pin, struct irq *irq, bool level, bool active_low,
		     uint64_t *ret_rte)
{
	struct msi_msg msg;

	if (iommu_intremap())
		return ops->ioapic_map(ioapic_id, pin, irq, level, active_low, ret_rte);
	/* Fixed delivery to the physical destination that the message names (SDM vol. 3A 11.11.1). */
	arch_msi_compose(irq, &msg);
	*ret_rte = (uint64_t)(msg.address >> 12 & 0xff) << 56 | (msg.data & 0xff) |
		   (level ? RTE_LEVEL : 0) | (active_low ? RTE_ACTIVE_LOW : 0);
	return 0;
}

bool iommu_ioapic_needs_eoi(void)
{
	return iommu_intremap() && ops->ioapic_needs_eoi;
}

void iommu_irq_free(struct pci_dev *dev, struct irq *irq)
{
	if (iommu_intremap() && irq->remap)
		ops->irq_free(dev, irq);
}
