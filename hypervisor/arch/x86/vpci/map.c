// SPDX-License-Identifier: GPL-2.0-or-later
// vPCI: puts BARs into a domain's p2m and takes them out, in bounded steps.

#include <arch/machine.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/iommu.h>
#include <bulkhead/irq.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/p2m.h>

#include "vpci_priv.h"

#define STEP_ENTRIES \
 256 /* p2m entries changed before the vCPU is asked whether something else is due */
#define STEP_CHECKS    16384	    /* pages looked at */
#define MSI_WINDOW     0xfee00000UL /* SDM vol. 3A 11.11.1: writes to it are interrupts */
#define MSI_WINDOW_END 0xfef00000UL
#define PADDR_LIMIT    (1UL << 52)

/* ---- Ranges in the p2m ---- */

/* The largest entry that begins at gfn, maps it to mfn, and is not longer than `pages`. */
static unsigned entry_order(uint64_t gfn, uint64_t mfn, uint64_t pages)
{
	static const unsigned orders[] = {ORDER_1G, ORDER_2M};

	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++)
		if (pages >> orders[i] && IS_ALIGNED(gfn | mfn, 1UL << orders[i]))
			return orders[i];
	return ORDER_4K;
}

/* Frames that at most STEP_ENTRIES entries cover. */
static uint64_t step_pages(uint64_t gfn, uint64_t mfn, uint64_t pages)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < STEP_ENTRIES && done < pages; i++)
		done += 1UL << entry_order(gfn + done, mfn + done, pages - done);
	return done;
}

/* What the domain has put between the pages of a device stays: it has references, and is not ours. */
static int clear_block(struct domain *d, uint64_t gfn, unsigned order)
{
	int rc = p2m_clear_mmio(d, gfn_from(gfn), order), err = 0;

	if (rc != -EBUSY)
		return rc;
	for (unsigned i = 0; order != ORDER_4K && i < 512; i++) {
		rc = clear_block(d, gfn + ((uint64_t)i << (order - ORDER_2M)), order - ORDER_2M);
		err = rc ? rc : err;
	}
	return err;
}

static void clear_range(struct domain *d, uint64_t gfn, uint64_t mfn, uint64_t pages)
{
	while (pages) {
		unsigned order = entry_order(gfn, mfn, pages);

		/* Can fail only for want of memory to split a larger entry, and then that stays: say so. */
		if (clear_block(d, gfn, order))
			log_guest(d, LOG_ERR, "device memory at %#lx stays mapped\n",
				  (unsigned long)(gfn << PAGE_SHIFT));
		gfn += 1UL << order;
		mfn += 1UL << order;
		pages -= 1UL << order;
	}
}

void vpci_clear(struct domain *d, uint64_t gfn, uint64_t pages)
{
	p2m_batch_begin(d);
	clear_range(d, gfn, gfn, pages);
	p2m_batch_end(d);
}

/* ---- Which frames may be mapped ---- */

static bool is_ioapic(uint64_t paddr)
{
	for (unsigned i = 0; i < ioapic_count; i++)
		if (ioapics[i].paddr >> PAGE_SHIFT == paddr >> PAGE_SHIFT)
			return true;
	return false;
}

/* Not device memory, whatever a BAR says: RAM, and devices that are the hypervisor's own. */
static bool frame_forbidden(uint64_t mfn)
{
	uint64_t paddr = mfn << PAGE_SHIFT;

	return mfn_valid(mfn_from(mfn)) || (paddr >= MSI_WINDOW && paddr < MSI_WINDOW_END) ||
	       iommu_owns(paddr) || is_ioapic(paddr) || pci_is_ecam(paddr);
}

/* Also RAM that never came to the allocator, such as our own image. */
static bool overlaps_ram(uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < machine_map.nr; i++) {
		const struct memmap_region *r = &machine_map.r[i];

		if ((r->type == MEMMAP_RAM || r->type == MEMMAP_ACPI || r->type == MEMMAP_NVS) &&
		    r->start < end && start < r->end)
			return true;
	}
	return false;
}

bool vpci_may_be_at(uint64_t start, uint64_t size)
{
	uint64_t end = start + size;

	if (size > PADDR_LIMIT || start > PADDR_LIMIT - size)
		return false;
	for (unsigned i = 0; i < ioapic_count; i++) {
		uint64_t page = ALIGN_DOWN(ioapics[i].paddr, PAGE_SIZE);

		if (start < page + PAGE_SIZE && page < end)
			return false;
	}
	return !overlaps_ram(start, end) && (start >= MSI_WINDOW_END || end <= MSI_WINDOW) &&
	       !iommu_owns_part(start, end) && !pci_has_ecam(start, end);
}

void vpci_refuse(struct vpci_dev *dev, unsigned idx, const char *why)
{
	struct vpci_bar *bar = &dev->bars[idx];

	if (!bar->refused)
		log_guest(dev->vpci->domain, LOG_WARN,
			  "PCI " SBDF_FMT ": BAR %u at %#lx, size %#lx, not mapped: %s\n",
			  SBDF_ARG(dev->pci->sbdf), idx, (unsigned long)bar->guest,
			  (unsigned long)bar->size, why);
	bar->refused = true;
	bar->pages = 0;
}

/* The whole range at once; NULL if it is fine. */
static const char *check_range(const struct vpci_dev *dev, const struct vpci_bar *bar)
{
	bool page_sized = IS_ALIGNED(bar->size | bar->host | bar->guest, PAGE_SIZE);

	if (bar->size > PADDR_LIMIT || bar->guest > PADDR_LIMIT - bar->size ||
	    bar->host > PADDR_LIMIT - bar->size)
		return "address out of range";
	if (overlaps_ram(bar->host, bar->host + bar->size))
		return "RAM of the machine is there";
	if (dev->vpci->policy->raw && !dev->is_vf && bar->host != bar->guest)
		return "no device may be moved there";
	/* What else is in the page may be another device's, and that one another domain's. */
	if (!dev->vpci->policy->share_pages && !page_sized)
		return "it is smaller than a page";
	return NULL;
}

/*
 * Some pages from job.pos on; NULL if they are fine. Advances. That the machine's side is fine is remembered: it changes
 * with the address only, and devices with the largest BARs are switched on and off several times while dom0 boots.
 */
static const char *check_pages(struct vpci_dev *dev, struct vpci_bar *bar)
{
	bool vetted = bar->vetted_mfn == bar->mfn && bar->vetted_pages == bar->pages;
	struct vpci_job *job = &dev->job;
	uint64_t skip_until = job->pos;

	for (unsigned n = 0; n < STEP_CHECKS && job->pos < bar->pages; n++) {
		enum p2m_type type;
		unsigned order;

		if (!vetted && frame_forbidden(bar->mfn + job->pos))
			return "a page is the hypervisor's";
		if (job->pos >= skip_until) {
			/* RAM, grants and foreign pages of the guest have references: they are not replaced. */
			uint64_t gfn = bar->gfn + job->pos;

			p2m_lookup_order(dev->vpci->domain, gfn_from(gfn), &type, &order);
			if (type != P2M_NONE && type != P2M_MMIO)
				return "memory of the domain is there";
			skip_until = job->pos + (1UL << order) - (gfn & ((1UL << order) - 1));
		}
		job->pos = vetted ? MIN(skip_until, bar->pages) : job->pos + 1;
	}
	if (job->pos == bar->pages) {
		bar->vetted_mfn = bar->mfn;
		bar->vetted_pages = bar->pages;
	}
	return NULL;
}

/* ---- Overlaps: a page may belong to BARs of several devices (PCI Local Bus 3.0, 6.2.5.1) ---- */

/*
 * First page at or after *pos that no other mapped BAR of the domain covers; returns the end of the run from there.
 * Equal to *pos: nothing left before `end`.
 */
static uint64_t uncovered_run(struct vpci *p, const struct vpci_bar *self, uint64_t *pos,
			      uint64_t end)
{
	uint64_t run_end = end;
	struct vpci_dev *dev;
	bool again;

	do {
		again = false;
		run_end = end;
		LIST_FOR_EACH (dev, &p->devices, struct vpci_dev, link)
			for (unsigned i = 0; i <= VPCI_ROM; i++) {
				const struct vpci_bar *b = &dev->bars[i];

				if (b == self || !b->mapped)
					continue;
				if (*pos >= b->gfn && *pos < b->gfn + b->pages && *pos < end) {
					*pos = MIN(end, b->gfn + b->pages);
					again = true;
				} else if (b->gfn > *pos) {
					run_end = MIN(run_end, b->gfn);
				}
			}
	} while (again);
	return MAX(run_end, *pos);
}

/* ---- Steps ---- */

static void bar_range(struct vpci_bar *bar)
{
	uint64_t first = bar->guest >> PAGE_SHIFT;

	bar->gfn = first;
	bar->mfn = bar->host >> PAGE_SHIFT;
	bar->pages = ((bar->guest + bar->size - 1) >> PAGE_SHIFT) - first + 1;
}

/* True: this BAR is done. */
static bool map_step(struct vpci_dev *dev, unsigned idx)
{
	struct vpci_bar *bar = &dev->bars[idx];
	struct vpci_job *job = &dev->job;
	struct domain *d = dev->vpci->domain;
	const char *why;
	uint64_t end, n;
	int err;

	if (job->pos == 0 && !job->prepared) {
		if (bar->mapped)
			return true;
		why = check_range(dev, bar);
		if (why) {
			vpci_refuse(dev, idx, why);
			return true;
		}
		bar_range(bar);
	}
	if (!job->prepared) {
		why = check_pages(dev, bar);
		if (!why && job->pos < bar->pages)
			return false;
		/* Tables of MSI-X first: their pages are left out of what is mapped. */
		if (!why && vpci_msix_bar_up(dev, idx))
			why = "its MSI-X table cannot be emulated";
		if (why) {
			vpci_refuse(dev, idx, why);
			return true;
		}
		job->prepared = true;
		job->pos = 0;
		bar->mapped = true;
	}
	end = vpci_next_trap(dev->vpci, bar->gfn + job->pos, bar->gfn + bar->pages);
	n = step_pages(bar->gfn + job->pos, bar->mfn + job->pos, end - bar->gfn - job->pos);
	err = n ? p2m_set_range(d, gfn_from(bar->gfn + job->pos), mfn_from(bar->mfn + job->pos), n,
				P2M_MMIO)
		: 0;
	if (err) {
		/* What was mapped of it is harmless and goes with the next unmapping. */
		log_guest(d, LOG_WARN, "PCI " SBDF_FMT ": BAR %u mapped in part: %s\n",
			  SBDF_ARG(dev->pci->sbdf), idx,
			  err == -EBUSY ? "memory of the domain is there" : "no memory");
		return true;
	}
	job->pos += n;
	while (job->pos < bar->pages && vpci_trapped(dev->vpci, bar->gfn + job->pos))
		job->pos++;
	return job->pos >= bar->pages;
}

static bool unmap_step(struct vpci_dev *dev, unsigned idx)
{
	struct vpci_bar *bar = &dev->bars[idx];
	struct vpci_job *job = &dev->job;
	uint64_t pos, end, n;

	if (!job->prepared) {
		if (!bar->mapped)
			return true;
		bar->mapped = false;
		job->prepared = true;
		job->pos = 0;
		vpci_msix_bar_down(dev, idx);
	}
	pos = bar->gfn + job->pos;
	end = uncovered_run(dev->vpci, bar, &pos, bar->gfn + bar->pages);
	n = step_pages(pos, bar->mfn + (pos - bar->gfn), end - pos);
	clear_range(dev->vpci->domain, pos, bar->mfn + (pos - bar->gfn), n);
	job->pos = pos + n - bar->gfn;
	return job->pos >= bar->pages;
}

bool vpci_job_step(struct vpci_dev *dev)
{
	struct vpci_job *job = &dev->job;
	struct domain *d = dev->vpci->domain;
	unsigned budget = VPCI_MAX_BARS + 1;

	if (!job->active)
		return true;
	p2m_batch_begin(d);
	/* Small BARs all in one step; a large one ends the step before the next begins. */
	while (job->bars && budget--) {
		unsigned idx = (unsigned)__builtin_ctz(job->bars);
		bool done = job->map ? map_step(dev, idx) : unmap_step(dev, idx);

		if (!done)
			break;
		job->bars &= (uint8_t) ~(1U << idx);
		job->prepared = false;
		job->pos = 0;
	}
	p2m_batch_end(d);
	if (job->bars)
		return false;
	if (job->move) {
		unsigned idx = (unsigned)__builtin_ctz(job->move);

		vpci_bar_moved(dev, idx);
		vpci_job_start(dev, true, 1U << idx);
		return vpci_job_step(dev);
	}
	job->active = false;
	if (job->set_command)
		vpci_hw_write(dev, PCI_COMMAND, 2, job->command);
	if (job->map)
		vpci_msix_decode_on(dev);
	return true;
}

void vpci_job_start(struct vpci_dev *dev, bool map, unsigned bars)
{
	dev->job = (struct vpci_job){.active = true, .map = map, .bars = (uint8_t)bars};
}

void vpci_job_start_command(struct vpci_dev *dev, bool map, unsigned bars, uint16_t command)
{
	vpci_job_start(dev, map, bars);
	dev->job.set_command = map;
	dev->job.command = command;
}

void vpci_job_start_move(struct vpci_dev *dev, unsigned bar)
{
	vpci_job_start(dev, false, 1U << bar);
	dev->job.move = (uint8_t)(1U << bar);
}

/* Any vCPU that waits for a job helps it along: a job cannot be forgotten with the vCPU that began it. */
static bool deferred_step(struct vcpu *v)
{
	struct vpci *p = v->domain->arch.vpci;
	sbdf_t s = {(uint32_t)(uintptr_t)v->arch.deferred_data};
	struct vpci_dev *dev;
	bool done;

	spin_lock(&p->lock);
	/* It may be gone, or another one by now: then there is nothing to wait for, or no harm in helping. */
	dev = vpci_find(p, s);
	done = !dev || vpci_job_step(dev);
	spin_unlock(&p->lock);
	return done;
}

void vpci_wait(struct vpci_dev *dev)
{
	struct vcpu *v = current_vcpu();

	v->arch.deferred = deferred_step;
	v->arch.deferred_data = (void *)(uintptr_t)dev->guest.v;
}
