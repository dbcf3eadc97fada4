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

/* RAM of domains throughout; no devices, no ACPI tables, empty logs, and the common layer as before iommu_init(). */
static void fixture_reset(void)
{
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

#endif
