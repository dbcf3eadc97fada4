// SPDX-License-Identifier: GPL-2.0-or-later
// Intel VT-d: queued invalidation (VT-d 6.5.2).

#include <arch/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "vtd.h"

int vtd_queue_start(struct vtd_unit *u)
{
	int err;

	u->queue = heap_page_alloc();
	u->status = heap_alloc(sizeof(*u->status));
	if (!u->queue || !u->status)
		return -ENOMEM;
	/* A loader may have left its own queue running; it is idle, as a loader waits for its commands. */
	if (u->gcmd & GCMD_QIE) {
		err = vtd_command(u, GCMD_QIE, false);
		if (err)
			return err;
	}
	/* 6.5.2: the tail is zero before the queue is switched on, and so is the head then. */
	iommu_write64(u->regs + VTD_IQT, 0);
	iommu_write64(u->regs + VTD_IQA, paddr_raw(heap_paddr(u->queue)));
	return vtd_command(u, GCMD_QIE, true);
}

struct vtd_desc vtd_desc_iotlb(const struct vtd_unit *u, uint32_t kind, unsigned id)
{
	uint64_t lo = kind | DESC_DOMAIN(id);

	/* Requests under way with the old translation are done when the command is (6.5.2.3). */
	if (u->cap & CAP_DRAIN_WRITES)
		lo |= DESC_IOTLB_DRAIN_W;
	if (u->cap & CAP_DRAIN_READS)
		lo |= DESC_IOTLB_DRAIN_R;
	return (struct vtd_desc){.lo = lo};
}

static void put(struct vtd_unit *u, struct vtd_desc d)
{
	WRITE_ONCE(u->queue[u->tail].lo, d.lo);
	WRITE_ONCE(u->queue[u->tail].hi, d.hi);
	u->tail = (u->tail + 1) % VTD_QUEUE_ENTRIES;
}

/* The queue is always empty between two calls, so that it cannot overflow. */
int vtd_execute(struct vtd_unit *u, const struct vtd_desc *descs, unsigned count)
{
	unsigned long flags;
	int err = 0;

	ASSERT(count <= VTD_BATCH);
	flags = spin_lock_irqsave(&u->queue_lock);
	if (u->broken) {
		err = -EIO;
		goto out;
	}
	for (unsigned i = 0; i < count; i++)
		put(u, descs[i]);
	u->sequence++;
	put(u, (struct vtd_desc){
		       .lo = DESC_WAIT | DESC_WAIT_STATUS | (uint64_t)u->sequence << 32,
		       .hi = paddr_raw(heap_paddr(u->status)),
	       });
	/* The register is uncached: the store to it comes after those to the queue. */
	iommu_write64(u->regs + VTD_IQT, (uint64_t)u->tail << 4);
	if (!IOMMU_WAIT_FOR(READ_ONCE(*u->status) == u->sequence)) {
		uint32_t fsts = iommu_read32(u->regs + VTD_FSTS);

		log_err("VT-d %u: invalidation timed out: status 0x%x, head 0x%llx, tail 0x%x\n",
			u->index, fsts, (unsigned long long)iommu_read64(u->regs + VTD_IQH),
			u->tail << 4);
		if (!u->running)
			panic("VT-d %u does not answer", u->index);
		u->broken = true;
		err = -EIO;
	}
out:
	spin_unlock_irqrestore(&u->queue_lock, flags);
	return err;
}
