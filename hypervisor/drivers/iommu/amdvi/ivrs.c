// SPDX-License-Identifier: GPL-2.0-or-later
// AMD IOMMU: which units there are, which devices they serve, and reserved memory (chapter 5).

#include <bulkhead/acpi.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

#include "amdvi.h"

#define IDS_PER_BUS 256U
#define ALL_IDS	    0x10000U

struct amdvi_unit *amdvi_units[IOMMU_MAX_UNITS];
unsigned amdvi_unit_count;

static struct amdvi_segment segments[AMDVI_MAX_SEGMENTS];
static unsigned segment_count;

static struct {
	uint8_t id;
	uint16_t bdf;
	struct amdvi_unit *unit;
} described_ioapics[AMDVI_MAX_IOAPICS];
static unsigned described_ioapic_count;

static struct amdvi_segment *segment_of(unsigned seg)
{
	for (unsigned i = 0; i < segment_count; i++)
		if (segments[i].seg == seg)
			return &segments[i];
	if (segment_count == AMDVI_MAX_SEGMENTS)
		return NULL;
	segments[segment_count].seg = seg;
	return &segments[segment_count++];
}

/* The device table reaches at least as far as this requester id, in whole buses. */
static void cover(struct amdvi_segment *s, unsigned id)
{
	s->entries = MAX(s->entries, MIN(ALIGN_UP(id + 1, IDS_PER_BUS), ALL_IDS));
}

/* By what is there: firmware likes to describe every possible requester id. */
static void cover_devices(struct amdvi_segment *s)
{
	struct pci_dev *dev;

	LIST_FOR_EACH (dev, &pci_devices, struct pci_dev, link) {
		if (sbdf_seg(dev->sbdf) != s->seg)
			continue;
		cover(s, sbdf_bdf(dev->sbdf));
		if (dev->subordinate_bus)
			cover(s, dev->subordinate_bus * IDS_PER_BUS);
	}
}

static int add_ioapic(struct amdvi_unit *u, const struct acpi_ivhd_entry *e)
{
	if (described_ioapic_count == AMDVI_MAX_IOAPICS)
		return -E2BIG;
	described_ioapics[described_ioapic_count].id = e->handle;
	described_ioapics[described_ioapic_count].bdf = e->first_id;
	described_ioapics[described_ioapic_count].unit = u;
	described_ioapic_count++;
	return 0;
}

static int add_entry(struct amdvi_unit *u, const struct acpi_ivhd_entry *e)
{
	if (u->range_count == AMDVI_MAX_RANGES) {
		log_err("AMD-Vi %u: more than %u device entries\n", u->index, AMDVI_MAX_RANGES);
		return -E2BIG;
	}
	u->ranges[u->range_count++] = (struct amdvi_range){
		.first = e->kind == ACPI_IVHD_ALL ? 0 : e->first_id,
		.last = e->kind == ACPI_IVHD_ALL ? ALL_IDS - 1 : e->last_id,
		.has_alias = e->has_alias,
		.alias = e->alias_id,
		.settings = e->settings,
	};
	if (e->has_alias)
		cover(u->segment, e->alias_id);
	if (e->kind != ACPI_IVHD_ALL && e->kind != ACPI_IVHD_DEVICES)
		cover(u->segment, e->first_id);
	return e->kind == ACPI_IVHD_IOAPIC ? add_ioapic(u, e) : 0;
}

static int read_unit(const struct acpi_ivhd *ivhd)
{
	struct amdvi_unit *u = heap_alloc(sizeof(*u));
	struct acpi_ivhd_entry e;
	uint32_t pos = 0;
	int more, err;

	if (!u)
		return -ENOMEM;
	u->segment = segment_of(ivhd->segment);
	if (!u->segment) {
		log_err("AMD-Vi: more than %u PCI segments\n", AMDVI_MAX_SEGMENTS);
		return -E2BIG;
	}
	u->index = amdvi_unit_count;
	u->paddr = ivhd->paddr;
	u->function = (sbdf_t){(uint32_t)ivhd->segment << 16 | ivhd->device_id};
	u->capability = ivhd->capability;
	u->ivhd_flags = ivhd->flags;
	amdvi_units[amdvi_unit_count++] = u;
	while ((more = acpi_ivhd_next(ivhd, &pos, &e)) > 0) {
		err = add_entry(u, &e);
		if (err)
			return err;
	}
	return more;
}

static int read_reserved(const struct acpi_ivmd *m)
{
	unsigned flags = (m->flags & ACPI_IVMD_READ ? IOMMU_READ : 0) |
			 (m->flags & ACPI_IVMD_WRITE ? IOMMU_WRITE : 0);

	/* An exclusion range is not translated at all by the unit; as a mapping it is the same, and only for its devices. */
	if (m->flags & ACPI_IVMD_EXCLUSION)
		flags = IOMMU_READ | IOMMU_WRITE;
	if (iommu_verbose)
		log_info("AMD-Vi: reserved region 0x%llx-0x%llx\n", (unsigned long long)m->start,
			 (unsigned long long)m->end - 1);
	if (!flags)
		return 0;
	return iommu_reserve(m->start, m->end, flags, m->segment, m->first_id, m->last_id);
}

int amdvi_read_ivrs(const struct acpi *acpi)
{
	const struct acpi_table *table;
	struct acpi_ivrs *ivrs;
	const char *reason = "out of memory";
	int err;

	err = acpi_find(acpi, "IVRS", 0, &table, &reason);
	if (err == -ENOENT)
		return -ENODEV;
	if (err) {
		log_err("AMD-Vi: IVRS table: %s\n", reason);
		return err;
	}
	ivrs = heap_alloc(sizeof(*ivrs));
	if (!ivrs)
		return -ENOMEM;
	err = acpi_parse_ivrs(table, ivrs, &reason);
	if (err) {
		log_err("AMD-Vi: IVRS table: %s\n", reason);
		goto out;
	}
	for (unsigned i = 0; i < ivrs->nr_ivhds && !err; i++)
		err = read_unit(&ivrs->ivhds[i]);
	for (unsigned i = 0; i < ivrs->nr_ivmds && !err; i++)
		err = read_reserved(&ivrs->ivmds[i]);
	for (unsigned i = 0; i < segment_count; i++)
		cover_devices(&segments[i]);
	if (!err && amdvi_unit_count == 0)
		err = -ENODEV;
out:
	heap_free(ivrs);
	return err;
}

static const struct amdvi_range *find_range(const struct amdvi_unit *u, unsigned id)
{
	const struct amdvi_range *found = NULL;

	/* A later entry overrides an earlier, wider one (5.2.2.1). */
	for (unsigned i = 0; i < u->range_count; i++)
		if (id >= u->ranges[i].first && id <= u->ranges[i].last)
			found = &u->ranges[i];
	return found;
}

uint8_t amdvi_settings(const struct amdvi_unit *u, unsigned id)
{
	const struct amdvi_range *r = find_range(u, id);

	return r ? r->settings : 0;
}

struct amdvi_unit *amdvi_find_unit(struct pci_dev *dev)
{
	const struct pci_dev *named = dev->physfn ? dev->physfn : dev;

	for (unsigned i = 0; i < amdvi_unit_count; i++) {
		struct amdvi_unit *u = amdvi_units[i];
		const struct amdvi_range *r;

		if (u->segment->seg != sbdf_seg(dev->sbdf) ||
		    sbdf_bdf(dev->sbdf) >= u->segment->entries)
			continue;
		r = find_range(u, sbdf_bdf(dev->sbdf));
		if (!r && named != dev)
			r = find_range(u, sbdf_bdf(named->sbdf));
		if (!r)
			continue;
		if (r->has_alias && named == dev)
			dev->dma_alias = (sbdf_t){u->segment->seg << 16 | r->alias};
		return u;
	}
	return NULL;
}

struct amdvi_unit *amdvi_find_ioapic(unsigned ioapic_id, unsigned *ret_id)
{
	for (unsigned i = 0; i < described_ioapic_count; i++)
		if (described_ioapics[i].id == ioapic_id) {
			*ret_id = described_ioapics[i].bdf;
			return described_ioapics[i].unit;
		}
	return NULL;
}
