// SPDX-License-Identifier: GPL-2.0-or-later
// AMD IOMMU: the command buffer (2.4).

#include <arch/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "amdvi.h"

int amdvi_command_start(struct amdvi_unit *u)
{
	spin_init(&u->cmd_lock);
	u->cmds = heap_page_alloc();
	u->semaphore = heap_alloc(sizeof(*u->semaphore));
	if (!u->cmds || !u->semaphore)
		return -ENOMEM;
	/* 3.4.2: writing the base resets neither pointer on all units. */
	iommu_write64(u->regs + AMDVI_CMDBUF, paddr_raw(heap_paddr(u->cmds)) | RING_LENGTH);
	iommu_write64(u->regs + AMDVI_CMD_HEAD, 0);
	iommu_write64(u->regs + AMDVI_CMD_TAIL, 0);
	return 0;
}

/*
 * 2.4.3: the position of the lowest clear bit from bit 12 upwards says how large the naturally aligned block is, when the
 * size bit is set.
 */
struct amdvi_cmd amdvi_cmd_pages(unsigned domain_id, uint64_t dfn, uint64_t count)
{
	uint64_t address = CMD_PAGES_ALL | CMD_PAGES_SIZE;
	unsigned order = 0;

	if (count) {
		while (order < 64 && dfn >> order != (dfn + count - 1) >> order)
			order++;
		if (order == 0)
			address = dfn << PAGE_SHIFT;
		else if (order + PAGE_SHIFT < 52)
			address = (dfn >> order << order) << PAGE_SHIFT |
				  ((1UL << (order - 1)) - 1) << PAGE_SHIFT | CMD_PAGES_SIZE;
	}
	return (struct amdvi_cmd){
		.lo = CMD_INVALIDATE_PAGES | CMD_PAGES_DOMAIN(domain_id),
		.hi = address | CMD_PAGES_TABLES,
	};
}

static void put(struct amdvi_unit *u, struct amdvi_cmd c)
{
	WRITE_ONCE(u->cmds[u->cmd_tail].lo, c.lo);
	WRITE_ONCE(u->cmds[u->cmd_tail].hi, c.hi);
	u->cmd_tail = (u->cmd_tail + 1) % AMDVI_RING_ENTRIES;
}

/* The buffer is always empty between two calls, so that it cannot overflow. */
int amdvi_execute(struct amdvi_unit *u, const struct amdvi_cmd *cmds, unsigned count)
{
	unsigned long flags;
	int err = 0;

	ASSERT(count <= AMDVI_BATCH);
	flags = spin_lock_irqsave(&u->cmd_lock);
	if (u->broken) {
		err = -EIO;
		goto out;
	}
	for (unsigned i = 0; i < count; i++)
		put(u, cmds[i]);
	u->sequence++;
	put(u, (struct amdvi_cmd){
		       .lo = CMD_COMPLETION_WAIT | CMD_COMPLETION_STORE |
			     paddr_raw(heap_paddr(u->semaphore)),
		       .hi = u->sequence,
	       });
	iommu_write64(u->regs + AMDVI_CMD_TAIL, u->cmd_tail * sizeof(*u->cmds));
	if (!IOMMU_WAIT_FOR(READ_ONCE(*u->semaphore) == u->sequence)) {
		log_err("AMD-Vi %u: command timed out: status 0x%llx, head 0x%llx, tail 0x%llx\n",
			u->index, (unsigned long long)iommu_read64(u->regs + AMDVI_STATUS),
			(unsigned long long)iommu_read64(u->regs + AMDVI_CMD_HEAD),
			(unsigned long long)iommu_read64(u->regs + AMDVI_CMD_TAIL));
		if (!u->running)
			panic("AMD-Vi %u does not answer", u->index);
		u->broken = true;
		err = -EIO;
	}
out:
	spin_unlock_irqrestore(&u->cmd_lock, flags);
	return err;
}
