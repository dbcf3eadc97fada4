// SPDX-License-Identifier: GPL-2.0-or-later
// Intel VT-d: the driver as the common layer sees it, and the order in which units come up.

#include <bulkhead/errno.h>
#include <bulkhead/log.h>

#include "vtd.h"

#define INTREMAP_MIN   256
#define INTREMAP_SPARE 2 /* virtual functions and hotplugged devices come later */

/* A number of levels that all units can walk; four is what fits x86 best. */
static int common_levels(unsigned *ret_levels)
{
	static const unsigned preferred[] = {4, 3, 5};
	unsigned sagaw = ~0U;

	for (unsigned i = 0; i < vtd_unit_count; i++)
		sagaw &= CAP_SAGAW(vtd_units[i]->cap);
	for (unsigned i = 0; i < ARRAY_SIZE(preferred); i++)
		if (sagaw >> (preferred[i] - 2) & 1) {
			*ret_levels = preferred[i];
			return 0;
		}
	log_err("VT-d: the units have no table depth in common\n");
	return -ENODEV;
}

static void common_caps(struct iommu_caps *caps)
{
	uint64_t cap = ~0UL;
	bool coherent = true;

	for (unsigned i = 0; i < vtd_unit_count; i++) {
		cap &= vtd_units[i]->cap;
		coherent &= vtd_coherent(vtd_units[i]);
	}
	caps->format = &vtd_pt_format;
	caps->units = vtd_unit_count;
	caps->leaf_orders = BIT(ORDER_4K);
	if (cap & CAP_SLLPS_2M)
		caps->leaf_orders |= BIT(ORDER_2M);
	if ((cap & CAP_SLLPS_2M) && (cap & CAP_SLLPS_1G))
		caps->leaf_orders |= BIT(ORDER_1G);
	caps->sync = coherent ? NULL : iommu_clean_cache;
}

static bool ioapic_covered(unsigned id)
{
	for (unsigned i = 0; i < vtd_unit_count; i++)
		for (unsigned j = 0; j < vtd_units[i]->ioapic_count; j++)
			if (vtd_units[i]->ioapics[j].id == id)
				return true;
	return false;
}

static bool intremap_possible(void)
{
	for (unsigned i = 0; i < vtd_unit_count; i++) {
		const struct vtd_unit *u = vtd_units[i];

		if (!(u->ecap & ECAP_IR) || (iommu_apic_x2apic() && !(u->ecap & ECAP_EIM))) {
			log_warn("VT-d %u: cannot remap interrupts\n", i);
			return false;
		}
	}
	for (unsigned i = 0; i < ioapic_count; i++)
		if (!ioapic_covered(ioapics[i].id)) {
			log_warn("VT-d: no unit for I/O APIC %u: interrupts are not remapped\n",
				 ioapics[i].id);
			return false;
		}
	return true;
}

/* Table entries by need: every vector that a device has, and every pin. */
static unsigned intremap_entries(void)
{
	struct pci_dev *dev;
	unsigned n = INTREMAP_MIN;

	LIST_FOR_EACH (dev, &pci_devices, struct pci_dev, link) {
		if (dev->cap_msix)
			n += (pci_conf_read(dev->sbdf, dev->cap_msix + PCI_MSIX_CONTROL, 2) &
			      PCI_MSIX_SIZE_MASK) +
			     1;
		else if (dev->cap_msi)
			n++;
	}
	for (unsigned i = 0; i < ioapic_count; i++)
		n += ioapics[i].pins;
	return n * INTREMAP_SPARE;
}

static int start_units(bool intremap)
{
	unsigned entries = intremap ? intremap_entries() : 0;

	for (unsigned i = 0; i < vtd_unit_count; i++) {
		struct vtd_unit *u = vtd_units[i];
		int err = vtd_unit_start(u);

		if (!err && intremap) {
			err = vtd_intremap_prepare(u, entries);
			if (!err)
				err = vtd_intremap_enable(u);
		} else if (!err && (u->gcmd & GCMD_IRE)) {
			err = vtd_command(u, GCMD_IRE, false);
		}
		if (err) {
			log_err("VT-d %u: cannot be set up (%d)\n", i, err);
			return err;
		}
		u->running = true;
	}
	return 0;
}

static int vtd_init(const struct acpi *acpi, bool want_intremap, struct iommu_caps *ret_caps)
{
	struct iommu_caps caps = {0};
	bool intremap = false;
	int err;

	err = vtd_read_dmar(acpi, &intremap);
	for (unsigned i = 0; i < vtd_unit_count && !err; i++) {
		err = vtd_unit_map(vtd_units[i]);
		/* A unit that the table promises and that is not there would leave its devices unguarded. */
		if (err == -ENODEV)
			err = -EIO;
	}
	if (err)
		return err;
	common_caps(&caps);
	err = common_levels(&caps.levels);
	if (err)
		return -EIO;
	caps.intremap = intremap && want_intremap && intremap_possible();
	err = start_units(caps.intremap);
	if (err)
		return err;
	*ret_caps = caps;
	return 0;
}

static int vtd_unit_of(struct pci_dev *dev)
{
	const struct vtd_unit *u = vtd_find_unit(dev);

	return u ? (int)u->index : -ENODEV;
}

const struct iommu_ops vtd_ops = {
	.name = "VT-d",
	.init = vtd_init,
	.unit_of = vtd_unit_of,
	.attach = vtd_attach,
	.detach = vtd_detach,
	.flush = vtd_flush,
	.msi_map = vtd_msi_map,
	.msi_map_multi = vtd_msi_map_multi,
	.ioapic_map = vtd_ioapic_map,
	.irq_free = vtd_irq_free,
};
