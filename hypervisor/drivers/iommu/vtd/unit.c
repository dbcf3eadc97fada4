// SPDX-License-Identifier: GPL-2.0-or-later
// Intel VT-d: registers of a unit, and how it is brought into a state where everything is blocked.

#include <arch/cpu.h>
#include <arch/paging.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "vtd.h"

int vtd_unit_map(struct vtd_unit *u)
{
	unsigned size = VTD_REGS_MIN, end;

	if (!u->paddr || !IS_ALIGNED(u->paddr, VTD_REGS_MIN)) {
		log_err("VT-d %u: bad register address 0x%llx\n", u->index,
			(unsigned long long)u->paddr);
		return -ENODEV;
	}
	u->regs = mmio_map(u->paddr, size);
	if (!u->regs)
		return -ENOMEM;
	u->cap = iommu_read64(u->regs + VTD_CAP);
	u->ecap = iommu_read64(u->regs + VTD_ECAP);
	if (!~u->cap || !~u->ecap || !u->cap) {
		log_err("VT-d %u: no unit at 0x%llx\n", u->index, (unsigned long long)u->paddr);
		return -ENODEV;
	}
	/* The fault registers may lie behind the first page (11.4.2, FRO). */
	end = CAP_FAULT_OFFSET(u->cap) + CAP_FAULT_COUNT(u->cap) * 16;
	if (end > size) {
		mmio_unmap(u->regs, size);
		size = ALIGN_UP(end, PAGE_SIZE);
		u->regs = mmio_map(u->paddr, size);
		if (!u->regs)
			return -ENOMEM;
	}
	if (iommu_protect(u->paddr, u->paddr + size))
		return -ENOMEM;
	if (!(u->ecap & ECAP_QI)) {
		log_err("VT-d %u: no queued invalidation\n", u->index);
		return -ENODEV;
	}
	if (iommu_verbose)
		log_info("VT-d %u: at 0x%llx, version 0x%x, capabilities 0x%llx, 0x%llx\n",
			 u->index, (unsigned long long)u->paddr, iommu_read32(u->regs + VTD_VER),
			 (unsigned long long)u->cap, (unsigned long long)u->ecap);
	return 0;
}

int vtd_command(struct vtd_unit *u, uint32_t bit, bool on)
{
	/* SRTP and SIRTP fire once; their status is set when the command is done (11.4.4). WBF falls back to 0. */
	bool once = bit & (GCMD_SRTP | GCMD_SIRTP | GCMD_WBF);
	bool want = on && bit != GCMD_WBF;
	unsigned long flags = spin_lock_irqsave(&u->reg_lock);
	bool done;

	if (!once)
		u->gcmd = on ? u->gcmd | bit : u->gcmd & ~bit;
	iommu_write32(u->regs + VTD_GCMD, u->gcmd | (once ? bit : 0));
	done = IOMMU_WAIT_FOR(!!(iommu_read32(u->regs + VTD_GSTS) & bit) == want);
	spin_unlock_irqrestore(&u->reg_lock, flags);
	if (done)
		return 0;
	log_err("VT-d %u: command 0x%x timed out: status 0x%x\n", u->index, bit,
		iommu_read32(u->regs + VTD_GSTS));
	if (!u->running)
		panic("VT-d %u does not answer", u->index);
	return -EIO;
}

int vtd_flush_write_buffer(struct vtd_unit *u)
{
	/* 6.8: only old units hold back writes to memory structures. */
	if (!(u->cap & CAP_RWBF))
		return 0;
	return vtd_command(u, GCMD_WBF, true);
}

/* 11.4.13: ranges that firmware closed to DMA; translation replaces them. */
static int open_protected_memory(struct vtd_unit *u)
{
	if (!(u->cap & (CAP_PLMR | CAP_PHMR)))
		return 0;
	iommu_write32(u->regs + VTD_PMEN, iommu_read32(u->regs + VTD_PMEN) & ~PMEN_ENABLE);
	if (IOMMU_WAIT_FOR(!(iommu_read32(u->regs + VTD_PMEN) & PMEN_STATUS)))
		return 0;
	log_err("VT-d %u: protected memory stays closed\n", u->index);
	return -EIO;
}

/*
 * DMA that firmware left running meets one of two states: as before, or blocked; never a half-made table. If a loader
 * left translation on, it stays on while the root table is exchanged (11.4.5).
 */
int vtd_unit_start(struct vtd_unit *u)
{
	const struct vtd_desc flush_all[2] = {
		{.lo = DESC_CONTEXT_GLOBAL},
		vtd_desc_iotlb(u, DESC_IOTLB_GLOBAL, 0),
	};
	int err;

	spin_init(&u->reg_lock);
	spin_init(&u->table_lock);
	spin_init(&u->queue_lock);
	u->gcmd = iommu_read32(u->regs + VTD_GSTS) & GSTS_PERSISTENT;
	iommu_write32(u->regs + VTD_FECTL, FECTL_MASK);
	u->domain_ids = MIN(1U << CAP_DOMAINS_LOG2(u->cap), (unsigned)VTD_MAX_DOMAIN_IDS);
	u->root = heap_page_alloc();
	if (!u->root)
		return -ENOMEM;
	vtd_sync(u, u->root, PAGE_SIZE);
	err = vtd_flush_write_buffer(u);
	if (err)
		return err;
	err = vtd_queue_start(u);
	if (err)
		return err;
	iommu_write64(u->regs + VTD_RTADDR, paddr_raw(heap_paddr(u->root)));
	err = vtd_command(u, GCMD_SRTP, true);
	if (err)
		return err;
	err = vtd_execute(u, flush_all, 2);
	if (err)
		return err;
	err = vtd_fault_start(u);
	if (err)
		return err;
	err = vtd_command(u, GCMD_TE, true);
	if (err)
		return err;
	return open_protected_memory(u);
}
