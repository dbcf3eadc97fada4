// SPDX-License-Identifier: GPL-2.0-or-later
// AMD IOMMU: registers of a unit, and how it is brought into a state where everything is blocked.

#include <arch/cpu.h>
#include <arch/paging.h>
#include <bulkhead/acpi.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "amdvi.h"

int amdvi_unit_map(struct amdvi_unit *u)
{
	if (!u->paddr || !IS_ALIGNED(u->paddr, AMDVI_REGS_SIZE)) {
		log_err("AMD-Vi %u: bad register address 0x%llx\n", u->index,
			(unsigned long long)u->paddr);
		return -ENODEV;
	}
	u->regs = mmio_map(u->paddr, AMDVI_REGS_SIZE);
	if (!u->regs || iommu_protect(u->paddr, u->paddr + AMDVI_REGS_SIZE))
		return -ENOMEM;
	if (!~iommu_read64(u->regs + AMDVI_CONTROL)) {
		log_err("AMD-Vi %u: no unit at 0x%llx\n", u->index, (unsigned long long)u->paddr);
		return -ENODEV;
	}
	u->cap_header = pci_conf_read(u->function, u->capability + CAP_HEADER, 4);
	if (!~u->cap_header)
		u->cap_header = 0;
	if (u->cap_header & CAP_HEADER_EFR)
		u->efr = iommu_read64(u->regs + AMDVI_EFR);
	/* Its configuration space switches it off: not for anybody else. */
	(void)pci_hide(u->function);
	if (iommu_verbose)
		log_info("AMD-Vi %u: " SBDF_FMT " at 0x%llx, header 0x%x, features 0x%llx\n",
			 u->index, SBDF_ARG(u->function), (unsigned long long)u->paddr,
			 u->cap_header, (unsigned long long)u->efr);
	return 0;
}

/* Bus properties as firmware wants them (5.2.2.1), memory accesses always coherent. */
static uint64_t control_flags(const struct amdvi_unit *u)
{
	return CTL_COHERENT | (u->ivhd_flags & ACPI_IVHD_HT_TUN_EN ? CTL_HT_TUNNEL : 0) |
	       (u->ivhd_flags & ACPI_IVHD_PASS_PW ? CTL_PASS_PW : 0) |
	       (u->ivhd_flags & ACPI_IVHD_RES_PASS_PW ? CTL_RES_PASS_PW : 0) |
	       (u->ivhd_flags & ACPI_IVHD_ISOC ? CTL_ISOCHRONOUS : 0) |
	       (amdvi_wide_irtes ? CTL_GUEST_APIC | CTL_X2APIC | CTL_X2APIC_EVENTS : 0);
}

/* What a former owner of the unit left in its caches. */
static int invalidate_everything(struct amdvi_unit *u)
{
	struct amdvi_cmd c[AMDVI_BATCH];

	if (u->efr & EFR_IA) {
		c[0] = (struct amdvi_cmd){.lo = CMD_INVALIDATE_ALL};
		return amdvi_execute(u, c, 1);
	}
	for (unsigned id = 0; id < u->segment->entries; id += AMDVI_BATCH / 2) {
		int err;

		for (unsigned i = 0; i < AMDVI_BATCH / 2; i++) {
			c[2 * i] = (struct amdvi_cmd){.lo = CMD_INVALIDATE_DTE | (id + i)};
			c[2 * i + 1] = (struct amdvi_cmd){.lo = CMD_INVALIDATE_INT | (id + i)};
		}
		err = amdvi_execute(u, c, AMDVI_BATCH);
		if (err)
			return err;
	}
	for (unsigned id = 0; id < AMDVI_MAX_DOMAIN_IDS; id++) {
		int err;

		c[0] = amdvi_cmd_pages(id, 0, 0);
		err = amdvi_execute(u, c, 1);
		if (err)
			return err;
	}
	return 0;
}

/*
 * DMA that firmware left running meets one of two states: as before, or blocked. If a loader left translation on, it stays on
 * while the device table is exchanged; only its rings are stopped first (2.6).
 */
int amdvi_unit_start(struct amdvi_unit *u)
{
	uint64_t pages = DIV_ROUND_UP(u->segment->entries * sizeof(struct amdvi_dte), PAGE_SIZE);
	uint64_t control = control_flags(u);
	int err;

	spin_init(&u->ids_lock);
	iommu_write64(u->regs + AMDVI_CONTROL, iommu_read64(u->regs + AMDVI_CONTROL) & CTL_ENABLE);
	/* Exclusion ranges are honoured by mappings instead. */
	iommu_write64(u->regs + AMDVI_EXCL_BASE, 0);
	iommu_write64(u->regs + AMDVI_DEVTAB,
		      paddr_raw(heap_paddr(u->segment->dtes)) | (pages - 1));
	err = amdvi_command_start(u);
	if (err)
		return err;
	err = amdvi_event_start(u);
	if (err)
		return err;
	iommu_write64(u->regs + AMDVI_CONTROL,
		      control | CTL_ENABLE | CTL_COMMANDS | CTL_EVENT_LOG | CTL_EVENT_INT);
	if (!IOMMU_WAIT_FOR(iommu_read64(u->regs + AMDVI_STATUS) & STATUS_CMD_RUN))
		panic("AMD-Vi %u does not start", u->index);
	return invalidate_everything(u);
}
