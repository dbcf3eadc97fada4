// SPDX-License-Identifier: GPL-2.0-or-later
// AMD IOMMU: the driver as the common layer sees it, and the order in which units come up.

#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "amdvi.h"

#define DEFAULT_LEVELS 4 /* 48 bits */

static int choose_levels(unsigned *ret_levels)
{
	unsigned levels = DEFAULT_LEVELS;

	while (mm_max_mfn() >> levels * IOMMU_PT_BITS)
		levels++;
	for (unsigned i = 0; i < amdvi_unit_count; i++)
		if (levels > EFR_LEVELS(amdvi_units[i]->efr)) {
			log_err("AMD-Vi %u: cannot reach all memory\n", i);
			return -EIO;
		}
	*ret_levels = levels;
	return 0;
}

/* Fills amdvi_intremap and amdvi_wide_irtes. */
static void choose_intremap(bool want)
{
	unsigned id;

	amdvi_wide_irtes = iommu_apic_x2apic();
	amdvi_intremap = want;
	for (unsigned i = 0; i < amdvi_unit_count && amdvi_intremap; i++)
		if (amdvi_wide_irtes &&
		    !((amdvi_units[i]->efr & EFR_XT) && (amdvi_units[i]->efr & EFR_GA))) {
			log_warn("AMD-Vi %u: no x2APIC destinations: interrupts are not remapped\n",
				 i);
			amdvi_intremap = false;
		}
	for (unsigned i = 0; i < ioapic_count && amdvi_intremap; i++)
		if (!amdvi_find_ioapic(ioapics[i].id, &id)) {
			log_warn("AMD-Vi: no entry for I/O APIC %u: interrupts are not remapped\n",
				 ioapics[i].id);
			amdvi_intremap = false;
		}
	amdvi_wide_irtes &= amdvi_intremap;
}

static int start_units(unsigned levels)
{
	for (unsigned i = 0; i < amdvi_unit_count; i++) {
		struct amdvi_unit *u = amdvi_units[i];
		int err = 0;

		if (!u->segment->dtes)
			err = amdvi_segment_start(u->segment, levels);
		if (!err)
			err = amdvi_unit_start(u);
		if (err) {
			log_err("AMD-Vi %u: cannot be set up (%d)\n", i, err);
			return err;
		}
		u->running = true;
	}
	return 0;
}

static int amdvi_init(const struct acpi *acpi, bool want_intremap, struct iommu_caps *ret_caps)
{
	unsigned levels = 0;
	struct pci_dev *dev;
	int err;

	err = amdvi_read_ivrs(acpi);
	for (unsigned i = 0; i < amdvi_unit_count && !err; i++) {
		err = amdvi_unit_map(amdvi_units[i]);
		/* A unit that the table promises and that is not there would leave its devices unguarded. */
		if (err == -ENODEV)
			err = -EIO;
	}
	if (err)
		return err;
	err = choose_levels(&levels);
	if (err)
		return err;
	choose_intremap(want_intremap);
	err = start_units(levels);
	if (err)
		return err;
	/* Requester ids as firmware names them, before anything compares them. */
	LIST_FOR_EACH (dev, &pci_devices, struct pci_dev, link)
		(void)amdvi_find_unit(dev);
	*ret_caps = (struct iommu_caps){
		.format = &amdvi_pt_format,
		.units = amdvi_unit_count,
		.levels = levels,
		.leaf_orders = BIT(ORDER_4K) | BIT(ORDER_2M) | BIT(ORDER_1G),
		.intremap = amdvi_intremap,
	};
	return 0;
}

static int amdvi_unit_of(struct pci_dev *dev)
{
	const struct amdvi_unit *u = amdvi_find_unit(dev);

	return u ? (int)u->index : -ENODEV;
}

const struct iommu_ops amdvi_ops = {
	.name = "AMD-Vi",
	/* The entry has an index in place of the vector, and QEMU 7.2 makes remapped level interrupts edge-triggered. */
	.ioapic_needs_eoi = true,
	.init = amdvi_init,
	.unit_of = amdvi_unit_of,
	.attach = amdvi_attach,
	.detach = amdvi_detach,
	.flush = amdvi_flush,
	.msi_map = amdvi_msi_map,
	.msi_map_multi = amdvi_msi_map_multi,
	.ioapic_map = amdvi_ioapic_map,
	.irq_free = amdvi_irq_free,
};
