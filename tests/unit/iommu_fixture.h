// SPDX-License-Identifier: GPL-2.0-or-later
// A machine for tests of the IOMMU drivers: frames, domains, ACPI; the common layer with its state in reach.
#ifndef IOMMU_FIXTURE_H
#define IOMMU_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../hypervisor/drivers/iommu/iommu.c"

#include "acpi_fixture.h"
#include "fake_iommu.h"

#define FRAMES 0x4000

struct acpi acpi_tables;
struct page *frame_table;
uint64_t frame_count;
struct ioapic_info ioapics[4];
unsigned ioapic_count;

static struct page frames[FRAMES];
static struct domain d0, d1;
static struct fake_memory acpi_memory;

#define BDF(bus, dev, fn) ((unsigned)((bus) << 8 | (dev) << 3 | (fn)))
#define RW		  (IOMMU_READ | IOMMU_WRITE)

/* What a device gets: the unit that is tested. */
static bool (*fixture_dma)(unsigned id, uint64_t address, bool write, uint64_t *ret_mfn);

/* RAM of domains throughout; no devices, no ACPI tables, empty logs, and the common layer as before iommu_init(). */
static void fixture_reset(bool (*dma)(unsigned, uint64_t, bool, uint64_t *))
{
	fixture_dma = dma;
	fake_heap_reset();
	fake_pci_reset();
	fake_pci_forget_devices();
	fake_log_clear();
	fake_clear(&acpi_memory);
	fake_now += 10 * NSEC_PER_SEC; /* rate limits start anew */
	fake_tick = 1000;
	fake_attached = 0;
	fake_x2apic = false;
	frame_table = frames;
	frame_count = FRAMES;
	for (unsigned i = 0; i < FRAMES; i++)
		frames[i] = (struct page){.state = PAGE_DOMAIN};
	memset(&d0, 0, sizeof(d0));
	memset(&d1, 0, sizeof(d1));
	d0.hardware = true;
	d1.id = 1;
	ops = NULL;
	want_intremap = true;
	iommu_verbose = iommu_debug = false;
	reserved_count = protected_count = 0;
	ioapics[0] = (struct ioapic_info){.id = 0, .paddr = 0xfec00000, .pins = 24};
	ioapic_count = 1;
	memset(&acpi_tables, 0, sizeof(acpi_tables));
}

static void fixture_table(const void *bytes, size_t len)
{
	acpi_tables.tables[acpi_tables.nr_tables++] = fake_table(&acpi_memory, bytes, len);
}

static void map_one(struct domain *d, uint64_t gfn, uint64_t mfn, unsigned order, unsigned flags)
{
	assert_int_equal(iommu_map(d, gfn_from(gfn), mfn_from(mfn), order, flags), 0);
}

static struct pci_dev *device(unsigned bdf)
{
	struct pci_dev *dev = pci_find((sbdf_t){bdf});

	assert_non_null(dev);
	return dev;
}

static void release_domain(struct domain *d)
{
	while (iommu_domain_release(d) == -ERESTART)
		;
	assert_null(d->iommu);
}

/* For the driver that is not tested. */
static int no_unit(const struct acpi *acpi, bool want, struct iommu_caps *ret_caps)
{
	(void)acpi;
	(void)want;
	(void)ret_caps;
	return -ENODEV;
}

static int teardown(void **state)
{
	(void)state;
	fake_unmap_all(&acpi_memory);
	fake_heap_reset();
	return 0;
}

static bool reaches(unsigned bdf, uint64_t gfn, bool write, uint64_t mfn)
{
	uint64_t got = 0;

	return fixture_dma(bdf, gfn << 12, write, &got) && got == mfn;
}

static bool refused(unsigned bdf, uint64_t gfn, bool write)
{
	uint64_t got;

	return !fixture_dma(bdf, gfn << 12, write, &got);
}

static bool masters(unsigned bdf)
{
	return pci_conf_read((sbdf_t){bdf}, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

#define MODEL_PAGES 0x1000

/* Maps and unmaps for d0, and compares what its device reaches with a model after each flush. */
static void fixture_random_dma(unsigned bdf, uint64_t seed)
{
	static struct {
		uint64_t mfn;
		unsigned flags;
	} model[MODEL_PAGES];
	uint64_t got;

	memset(model, 0, sizeof(model));
	fake_random_seed(seed);
	for (unsigned step = 0; step < 3000; step++) {
		unsigned order = fake_random() % 4 ? 0 : 9, flags = 1 + fake_random() % 3;
		uint64_t gfn = fake_random() % MODEL_PAGES >> order << order;
		uint64_t mfn = gfn ^ (fake_random() % 2 ? 0x1000 : 0x2000);
		bool unmap = fake_random() % 3 == 0;

		if (unmap)
			assert_int_equal(iommu_unmap(&d0, gfn_from(gfn), order), 0);
		else
			map_one(&d0, gfn, mfn, order, flags);
		for (uint64_t i = 0; i < 1UL << order; i++) {
			model[gfn + i].mfn = mfn + i;
			model[gfn + i].flags = unmap ? 0 : flags;
		}
		if (fake_random() % 8 == 0)
			iommu_flush(&d0, gfn_from(0), 0);
		else
			iommu_flush(&d0, gfn_from(gfn), 1UL << order);
		assert_false(iommu_is_dirty(&d0));
		for (unsigned i = 0; i < 4; i++) {
			uint64_t at = fake_random() % 4 ? gfn + fake_random() % (1UL << order)
							: fake_random() % MODEL_PAGES;
			bool write = fake_random() & 1;
			bool may = model[at].flags & (write ? IOMMU_WRITE : IOMMU_READ);

			assert_int_equal(fixture_dma(bdf, at << 12, write, &got), may);
			if (may)
				assert_int_equal(got, model[at].mfn);
		}
		fake_log_clear();
	}
}

#endif
