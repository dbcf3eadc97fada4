// SPDX-License-Identifier: GPL-2.0-or-later
// Intel VT-d: which units there are, which devices they serve, and reserved memory (VT-d chapter 8).

#include <bulkhead/acpi.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "vtd.h"

struct vtd_unit *vtd_units[IOMMU_MAX_UNITS];
unsigned vtd_unit_count;

/* The function that a scope's path ends at: start bus, bridges, function (8.3.1). */
static unsigned scope_bdf(unsigned seg, const struct acpi_scope *s)
{
	unsigned bus = s->start_bus, last = s->nr_path - 1U;

	for (unsigned i = 0; i < last; i++)
		bus = pci_conf_read(sbdf_make(seg, bus, s->path[i].device & 0x1f,
					      s->path[i].function & 7),
				    PCI_SECONDARY_BUS, 1);
	return bus << 8 | (s->path[last].device & 0x1fU) << 3 | (s->path[last].function & 7U);
}

/*
 * Requester ids that a scope means: one function, or for a bridge itself and the buses below it. 1 if there are such, 0 for
 * scopes that are not about PCI functions. *below is empty (first > last) if there is no bus below.
 */
static bool scope_ranges(unsigned seg, const struct acpi_scope *s, struct vtd_range *self,
			 struct vtd_range *below)
{
	unsigned bdf;

	*below = (struct vtd_range){.first = 1, .last = 0};
	if (s->nr_path == 0 || (s->type != ACPI_SCOPE_ENDPOINT && s->type != ACPI_SCOPE_BRIDGE))
		return false;
	bdf = scope_bdf(seg, s);
	*self = (struct vtd_range){.first = (uint16_t)bdf, .last = (uint16_t)bdf};
	if (s->type == ACPI_SCOPE_BRIDGE) {
		const struct pci_dev *dev = pci_find((sbdf_t){seg << 16 | bdf});

		if (dev && dev->secondary_bus)
			*below = (struct vtd_range){
				.first = (uint16_t)(dev->secondary_bus << 8),
				.last = (uint16_t)(dev->subordinate_bus << 8 | 0xff),
			};
	}
	return true;
}

static int add_range(struct vtd_unit *u, struct vtd_range r)
{
	if (r.first > r.last)
		return 0;
	if (u->scope_count == VTD_MAX_SCOPES) {
		log_err("VT-d %u: more than %u device scopes\n", u->index, VTD_MAX_SCOPES);
		return -EINVAL;
	}
	u->scopes[u->scope_count++] = r;
	return 0;
}

static int add_ioapic(struct vtd_unit *u, const struct acpi_scope *s)
{
	if (s->nr_path == 0)
		return 0;
	if (u->ioapic_count == VTD_MAX_IOAPICS) {
		log_err("VT-d %u: more than %u I/O APICs\n", u->index, VTD_MAX_IOAPICS);
		return -EINVAL;
	}
	u->ioapics[u->ioapic_count].id = s->enumeration_id;
	u->ioapics[u->ioapic_count].bdf = (uint16_t)scope_bdf(u->seg, s);
	u->ioapic_count++;
	return 0;
}

static int read_scopes(struct vtd_unit *u, const struct acpi_scope_list *list)
{
	struct vtd_range self, below;
	struct acpi_scope s;
	uint32_t pos = 0;
	int more, err;

	while ((more = acpi_scope_next(list, &pos, &s)) > 0) {
		if (s.type == ACPI_SCOPE_IOAPIC) {
			err = add_ioapic(u, &s);
		} else if (scope_ranges(u->seg, &s, &self, &below)) {
			err = add_range(u, self);
			if (!err)
				err = add_range(u, below);
		} else {
			err = 0;
		}
		if (err)
			return err;
	}
	return more;
}

static int read_unit(const struct acpi_drhd *drhd)
{
	struct vtd_unit *u = heap_alloc(sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->index = vtd_unit_count;
	u->seg = drhd->segment;
	u->include_all = drhd->include_all;
	u->paddr = drhd->paddr;
	vtd_units[vtd_unit_count++] = u;
	return read_scopes(u, &drhd->scopes);
}

static int read_reserved(const struct acpi_rmrr *r)
{
	const unsigned flags = IOMMU_READ | IOMMU_WRITE;
	struct vtd_range self, below;
	struct acpi_scope s;
	uint32_t pos = 0;
	int more, err;

	if (iommu_verbose)
		log_info("VT-d: reserved region 0x%llx-0x%llx\n", (unsigned long long)r->start,
			 (unsigned long long)r->end - 1);
	while ((more = acpi_scope_next(&r->scopes, &pos, &s)) > 0) {
		if (!scope_ranges(r->segment, &s, &self, &below))
			continue;
		err = iommu_reserve(r->start, r->end, flags, r->segment, self.first, self.last);
		if (!err && below.first <= below.last)
			err = iommu_reserve(r->start, r->end, flags, r->segment, below.first,
					    below.last);
		if (err)
			return err;
	}
	return more;
}

int vtd_read_dmar(const struct acpi *acpi, bool *ret_intremap)
{
	const struct acpi_table *table;
	struct acpi_dmar *dmar;
	const char *reason = "out of memory";
	int err;

	err = acpi_find(acpi, "DMAR", 0, &table, &reason);
	if (err == -ENOENT)
		return -ENODEV;
	if (err) {
		log_err("VT-d: DMAR table: %s\n", reason);
		return err;
	}
	dmar = heap_alloc(sizeof(*dmar));
	if (!dmar)
		return -ENOMEM;
	err = acpi_parse_dmar(table, dmar, &reason);
	if (err) {
		log_err("VT-d: DMAR table: %s\n", reason);
		goto out;
	}
	for (unsigned i = 0; i < dmar->nr_drhds && !err; i++)
		err = read_unit(&dmar->drhds[i]);
	for (unsigned i = 0; i < dmar->nr_rmrrs && !err; i++)
		err = read_reserved(&dmar->rmrrs[i]);
	if (!err && dmar->nr_drhds == 0)
		err = -ENODEV;
	*ret_intremap = dmar->flags & ACPI_DMAR_INTR_REMAP;
out:
	heap_free(dmar);
	return err;
}

struct vtd_unit *vtd_find_unit(const struct pci_dev *dev)
{
	/* A virtual function belongs to the unit of its physical one (8.3). */
	const struct pci_dev *named = dev->physfn ? dev->physfn : dev;
	unsigned bdf = sbdf_bdf(named->sbdf), seg = sbdf_seg(named->sbdf);
	struct vtd_unit *rest = NULL;

	for (unsigned i = 0; i < vtd_unit_count; i++) {
		struct vtd_unit *u = vtd_units[i];

		if (u->seg != seg)
			continue;
		if (u->include_all)
			rest = u;
		for (unsigned j = 0; j < u->scope_count; j++)
			if (bdf >= u->scopes[j].first && bdf <= u->scopes[j].last)
				return u;
	}
	return rest;
}
