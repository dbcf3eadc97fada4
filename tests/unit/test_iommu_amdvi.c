// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the AMD-Vi driver below the common layer, against a unit that caches all it may.
// links: hypervisor/drivers/iommu/pgtable.c hypervisor/drivers/iommu/fault.c hypervisor/drivers/pci/scan.c
// links: hypervisor/drivers/iommu/amdvi/amdvi.c hypervisor/drivers/iommu/amdvi/unit.c
// links: hypervisor/drivers/iommu/amdvi/command.c hypervisor/drivers/iommu/amdvi/table.c
// links: hypervisor/drivers/iommu/amdvi/event.c hypervisor/drivers/iommu/amdvi/intremap.c
// links: hypervisor/drivers/acpi/ivrs.c hypervisor/drivers/acpi/tables.c hypervisor/common/cmdline_values.c
// links: tests/unit/fake_iommu.c tests/unit/fake_amdvi.c
#include "iommu_fixture.h"

#include "../../hypervisor/drivers/iommu/amdvi/ivrs.c"
#include "fake_amdvi.h"

const struct iommu_ops vtd_ops = {.name = "VT-d", .init = no_unit};

#define UNIT	BDF(0, 1, 0)
#define NVME	BDF(0, 2, 0)
#define EDU	BDF(0, 3, 0)
#define OLD_A	BDF(4, 1, 0)
#define OLD_B	BDF(4, 2, 0)
/* IVHD says that requests of this one carry the id of the next. */
#define SECRET	BDF(0, 5, 0)
#define SPOKEN	BDF(0, 5, 7)
#define SB	BDF(0, 20, 0) /* I/O APIC */
#define OUTSIDE BDF(0, 6, 0)  /* not in the table */

static uint64_t mm_max = 0x100000;

uint64_t mm_max_mfn(void)
{
	return mm_max;
}

static void put_entry(uint8_t *t, unsigned *n, unsigned type, unsigned id, unsigned settings)
{
	t[*n] = (uint8_t)type;
	store_u16(t + *n + 1, (uint16_t)id);
	t[*n + 3] = (uint8_t)settings;
	*n += 4;
}

static void put_ivrs(unsigned flags)
{
	uint8_t t[256] = "IVRS";
	unsigned n = 48 + 24;

	t[8] = 1;
	t[48] = 0x10;
	t[49] = (uint8_t)flags;
	store_u16(t + 52, UNIT);
	store_u16(t + 54, 0x40);
	store_u64(t + 56, FAKE_AMDVI_PADDR);
	put_entry(t, &n, 2, BDF(0, 0, 0), 0);
	put_entry(t, &n, 2, NVME, 0xd7); /* INIT, EINT, NMI, system management 1, LINT0, LINT1 */
	put_entry(t, &n, 2, EDU, 0);
	put_entry(t, &n, 0x42, SECRET, 0); /* alias select */
	t[n + 1] = (uint8_t)(SPOKEN & 0xff);
	t[n + 2] = SPOKEN >> 8;
	n += 4;
	put_entry(t, &n, 3, BDF(4, 0, 0), 0); /* a range: the bus of the bridge */
	put_entry(t, &n, 4, BDF(4, 31, 7), 0);
	put_entry(t, &n, 2, BDF(0, 30, 0), 0);
	put_entry(t, &n, 0x48, 0, 0); /* special: I/O APIC 0 */
	t[n] = 0;
	store_u16(t + n + 1, SB);
	t[n + 3] = 1;
	n += 4;
	store_u16(t + 50, (uint16_t)(n - 48));
	/* IVMD: NVME uses 16 KiB at 1 MiB + 16 KiB */
	t[n] = 0x21;
	t[n + 1] = 7;
	store_u16(t + n + 2, 32);
	store_u16(t + n + 4, NVME);
	store_u64(t + n + 16, 0x104000);
	store_u64(t + n + 24, 0x2000);
	n += 32;
	seal_table(t, n);
	fixture_table(t, n);
}

static uint32_t header = 1U << 27 | 0xf;

static void put_devices(void)
{
	uint8_t *c;

	fake_pci_add((sbdf_t){BDF(0, 0, 0)});
	c = fake_pci_add((sbdf_t){UNIT});
	c[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	c[PCI_CAP_POINTER] = 0x40;
	store_u32(c + 0x40, header | 0x6000);
	store_u32(c + 0x60, 0x00800005);
	fake_pci_add((sbdf_t){NVME});
	fake_pci_add((sbdf_t){EDU});
	fake_pci_add((sbdf_t){SECRET});
	fake_pci_add((sbdf_t){OUTSIDE});
	fake_pci_bridge((sbdf_t){BDF(0, 30, 0)}, 4, 4, PCIE_TYPE_PCI_BRIDGE);
	fake_pci_add((sbdf_t){OLD_A});
	fake_pci_add((sbdf_t){OLD_B});
	assert_int_equal(pci_scan(), 0);
}

static int setup(void **state)
{
	(void)state;
	fixture_reset(fake_amdvi_dma);
	fake_amdvi_reset();
	amdvi_unit_count = segment_count = described_ioapic_count = 0;
	memset(segments, 0, sizeof(segments));
	mm_max = 0x100000;
	header = 1U << 27 | 0xf;
	return 0;
}

static void start(void)
{
	put_devices();
	put_ivrs(0);
	assert_int_equal(iommu_init(), 0);
	fake_log_clear();
	assert_int_equal(iommu_domain_init(&d0), 0);
	assert_int_equal(iommu_domain_init(&d1), 0);
}

/* ---- Start ---- */

static void qemus_table(void **state)
{
	(void)state;
	fake_pci_add((sbdf_t){BDF(0, 0, 0)});
	fake_pci_add((sbdf_t){BDF(0, 1, 0)});
	fake_pci_add((sbdf_t){BDF(0, 31, 0)});
	assert_int_equal(pci_scan(), 0);
	fixture_table(qemu_ivrs, sizeof(qemu_ivrs));
	assert_int_equal(iommu_init(), 0);
	assert_true(iommu_intremap());
	assert_true(device(BDF(0, 1, 0))->hidden);
	assert_true(refused(BDF(0, 31, 0), 1, true));
	assert_int_equal(iommu_domain_init(&d0), 0);
	map_one(&d0, 1, 2, 0, RW);
	assert_int_equal(iommu_assign(device(BDF(0, 31, 0)), &d0), 0);
	assert_true(reaches(BDF(0, 31, 0), 1, true, 2));
}

static void starts_blocked(void **state)
{
	struct fake_amdvi_interrupt got;

	(void)state;
	start();
	assert_int_equal(fake_amdvi.all_flushes, 1);
	assert_int_equal(iommu_superpages(), 1 | 1 << 9 | 1 << 18);
	for (unsigned id = 0; id < 5 * 256; id++) {
		assert_true(refused(id, 0x123, true));
		assert_true(refused(id, 0x123, false));
		assert_false(fake_amdvi_message(id, 0xfee00000, 0x41, &got));
	}
	/* Nothing is behind bus 4: such requests are refused as well. */
	assert_true(refused(0x600, 0x123, true));
	assert_true(iommu_owns(FAKE_AMDVI_PADDR + 0x3fff));
}

static void faults_are_reported(void **state)
{
	struct fake_amdvi_interrupt got;

	(void)state;
	start();
	assert_true(refused(EDU, 0x123, true));
	assert_int_equal(fake_log_count(
				 "IOMMU fault: AMD-Vi 0: DMA write by 0000:00:03.0 at 0x123000 "
				 "refused: reason 2 (not mapped, or no permission)\n"),
			 1);
	assert_true(refused(EDU, 0x124, false));
	assert_int_equal(fake_log_count("DMA read by 0000:00:03.0 at 0x124000"), 1);
	assert_false(fake_amdvi_message(EDU, 0xfee00000, 0x41, &got));
	assert_int_equal(fake_log_count("interrupt by 0000:00:03.0 at 0xfee00000"), 1);
	assert_true(refused(0x700, 1, true));
	assert_int_equal(fake_log_count(
				 "by 0000:07:00.0 at 0x1000 refused: reason 1 (illegal device "
				 "table entry)"),
			 1);
}

static void control_follows_firmware(void **state)
{
	(void)state;
	put_devices();
	put_ivrs(ACPI_IVHD_HT_TUN_EN | ACPI_IVHD_RES_PASS_PW);
	assert_int_equal(iommu_init(), 0);
	/* Enabled, tunnel, event log and interrupt, response pass, coherent, commands. */
	assert_int_equal(iommu_read64(amdvi_units[0]->regs + 0x18), 0x160f);
	/* The event interrupt of the unit's function. */
	assert_int_equal(pci_conf_read((sbdf_t){UNIT}, 0x64, 4), 0xfee04000);
	assert_int_equal(pci_conf_read((sbdf_t){UNIT}, 0x6c, 2), 0x30);
	assert_int_equal(pci_conf_read((sbdf_t){UNIT}, 0x62, 2), 0x81);
}

static void device_settings(void **state)
{
	const uint64_t *dte;

	(void)state;
	start();
	assert_int_equal(iommu_assign(device(NVME), &d0), 0);
	dte = amdvi_units[0]->segment->dtes[NVME].q;
	assert_int_equal(dte[1] >> 40 & 3, 1);
	assert_int_equal(amdvi_settings(amdvi_units[0], NVME), 0xd7);
	assert_int_equal(amdvi_settings(amdvi_units[0], EDU), 0);
}

static void takes_over_a_running_unit(void **state)
{
	(void)state;
	put_devices();
	put_ivrs(0);
	fake_amdvi.efr = 0; /* everything has to be flushed one by one */
	assert_int_equal(iommu_init(), 0);
	assert_int_equal(fake_amdvi.all_flushes, 0);
	assert_int_equal(fake_amdvi.dte_flushes, 5 * 256);
	assert_int_equal(fake_amdvi.int_flushes, 5 * 256);
	assert_true(refused(EDU, 1, true));
}

static void too_much_memory(void **state)
{
	(void)state;
	mm_max = 1UL << 36;
	put_devices();
	put_ivrs(0);
	assert_int_equal(iommu_init(), -EIO);
	teardown(NULL);
	setup(NULL);
	mm_max = 1UL << 36;
	fake_amdvi.efr |= 1UL << 10; /* five levels */
	start();
	map_one(&d0, 1UL << 36, 7, 0, RW);
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	assert_true(reaches(EDU, 1UL << 36, true, 7));
}

static void dead_unit_at_boot(void **state)
{
	(void)state;
	put_devices();
	put_ivrs(0);
	fake_amdvi.dead = true;
	assert_true(expect_panic(iommu_init()));
}

static void intremap_needs(void **state)
{
	(void)state;
	ioapics[0].id = 9;
	start();
	assert_false(iommu_intremap());
	teardown(NULL);
	setup(NULL);
	fake_x2apic = true;
	start();
	assert_false(iommu_intremap());
}

/* ---- DMA ---- */

static void assign_and_take_away(void **state)
{
	(void)state;
	start();
	map_one(&d0, 0x100, 0x200, 0, RW);
	map_one(&d0, 0x101, 0x300, 0, IOMMU_READ);
	map_one(&d1, 0x100, 0x400, 0, RW);
	assert_true(refused(EDU, 0x100, true));
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	assert_true(reaches(EDU, 0x100, true, 0x200));
	assert_true(reaches(EDU, 0x101, false, 0x300));
	assert_true(refused(EDU, 0x101, true));
	assert_true(refused(EDU, 0x102, false));
	assert_true(refused(NVME, 0x100, true));
	assert_int_equal(iommu_assign(device(EDU), &d1), 0);
	assert_true(reaches(EDU, 0x100, true, 0x400));
	assert_int_equal(iommu_assign(device(EDU), NULL), 0);
	assert_true(refused(EDU, 0x100, true));
	/* The domain id is used again. */
	assert_int_equal(iommu_assign(device(NVME), &d0), 0);
	assert_true(reaches(NVME, 0x100, true, 0x200));
	assert_int_equal(iommu_assign(device(NVME), NULL), 0);
	assert_int_equal(iommu_assign(device(OUTSIDE), &d0), -ENODEV);
	assert_int_equal(iommu_assign(device(UNIT), &d0), -EPERM);
	release_domain(&d0);
	release_domain(&d1);
}

static void flush_rules(void **state)
{
	(void)state;
	start();
	map_one(&d0, 0x100, 0x200, 0, RW);
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	assert_true(reaches(EDU, 0x100, true, 0x200));
	assert_int_equal(iommu_unmap(&d0, gfn_from(0x100), 0), 0);
	assert_true(iommu_is_dirty(&d0));
	assert_true(reaches(EDU, 0x100, true, 0x200));
	iommu_flush(&d0, gfn_from(0x100), 1);
	assert_false(iommu_is_dirty(&d0));
	assert_true(refused(EDU, 0x100, true));
	fake_amdvi.page_flushes = fake_amdvi.domain_flushes = 0;
	map_one(&d0, 0x100, 0x250, 0, RW);
	iommu_flush(&d0, gfn_from(0x100), 1);
	assert_int_equal(fake_amdvi.page_flushes + fake_amdvi.domain_flushes, 0);
	assert_true(reaches(EDU, 0x100, true, 0x250));
}

static void random_dma(bool caches_absent, uint64_t seed)
{
	setup(NULL);
	fake_amdvi.caches_absent = caches_absent;
	if (caches_absent)
		header |= 1U << 26;
	start();
	assert_true(refused(EDU, 1, true));
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	assert_true(refused(EDU, 1, true));
	fixture_random_dma(EDU, seed);
	assert_int_equal(iommu_assign(device(EDU), NULL), 0);
	assert_true(refused(EDU, 0, false));
	release_domain(&d0);
	release_domain(&d1);
	teardown(NULL);
}

static void random_dma_on_all_kinds(void **state)
{
	(void)state;
	random_dma(false, 1);
	random_dma(true, 2);
}

static void flush_sizes(void **state)
{
	(void)state;
	/* 2.4.3: the lowest clear bit from 12 on. */
	assert_int_equal(amdvi_cmd_pages(7, 0x123, 1).lo, 3UL << 60 | 7UL << 32);
	assert_int_equal(amdvi_cmd_pages(7, 0x123, 1).hi, 0x123000 | 2);
	assert_int_equal(amdvi_cmd_pages(7, 0x122, 2).hi, 0x122000 | 3);
	assert_int_equal(amdvi_cmd_pages(7, 0x120, 4).hi, 0x121000 | 3);
	assert_int_equal(amdvi_cmd_pages(7, 0x200, 512).hi, 0x2ff000 | 3);
	assert_int_equal(amdvi_cmd_pages(7, 0x1ff, 2).hi, 0x1ff000 | 3);
	assert_int_equal(amdvi_cmd_pages(7, 0, 0).hi, 0x7ffffffffffff003);
	assert_int_equal(amdvi_cmd_pages(7, 0, 1UL << 51).hi, 0x7ffffffffffff003);
}

/* ---- Requester ids ---- */

static void firmware_alias(void **state)
{
	struct irq a = {.cpu = 1, .vector = 0x41};
	struct fake_amdvi_interrupt got;
	struct msi_msg m;

	(void)state;
	start();
	assert_int_equal(device(SECRET)->dma_alias.v, SPOKEN);
	map_one(&d0, 1, 0x11, 0, RW);
	assert_int_equal(iommu_assign(device(SECRET), &d0), 0);
	assert_true(reaches(SPOKEN, 1, true, 0x11));
	assert_true(reaches(SECRET, 1, true, 0x11));
	assert_int_equal(iommu_msi_map(device(SECRET), &a, &m), 0);
	assert_true(fake_amdvi_message(SPOKEN, m.address, m.data, &got));
	assert_int_equal(got.vector, 0x41);
	assert_int_equal(iommu_assign(device(SECRET), NULL), 0);
	assert_true(refused(SPOKEN, 1, true));
	assert_true(refused(SECRET, 1, true));
}

static void shared_requester_id(void **state)
{
	const unsigned alias = BDF(4, 0, 0);

	(void)state;
	start();
	map_one(&d0, 1, 0x11, 0, RW);
	assert_int_equal(iommu_assign(device(OLD_A), &d0), 0);
	assert_int_equal(iommu_assign(device(OLD_B), &d1), -EBUSY);
	assert_int_equal(iommu_assign(device(OLD_B), &d0), 0);
	assert_int_equal(iommu_assign(device(OLD_A), NULL), 0);
	assert_true(refused(OLD_A, 1, true));
	assert_true(reaches(alias, 1, true, 0x11));
	assert_int_equal(iommu_assign(device(OLD_B), NULL), 0);
	assert_true(refused(alias, 1, true));
}

static void reserved_regions(void **state)
{
	(void)state;
	start();
	assert_int_equal(iommu_assign(device(EDU), &d1), 0);
	assert_true(refused(EDU, 0x104, false));
	assert_int_equal(iommu_assign(device(NVME), &d1), 0);
	assert_true(reaches(NVME, 0x104, true, 0x104));
	assert_true(reaches(NVME, 0x105, true, 0x105));
	assert_true(refused(NVME, 0x106, true));
}

/* ---- A unit that fails, or has much to say ---- */

static void dead_unit_at_run_time(void **state)
{
	(void)state;
	start();
	map_one(&d0, 1, 1, 0, RW);
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	fake_amdvi.dead = true;
	assert_int_equal(iommu_unmap(&d0, gfn_from(1), 0), 0);
	iommu_flush(&d0, gfn_from(1), 1);
	assert_false(masters(EDU));
	assert_int_equal(iommu_assign(device(NVME), &d1), -EIO);
}

static void event_storm(void **state)
{
	(void)state;
	start();
	for (unsigned i = 0; i < 3000; i++)
		assert_true(refused(EDU, i, true));
	assert_in_range(fake_log_count("DMA write by 0000:00:03.0"), 1, 10);
	assert_false(masters(EDU));
	assert_true(masters(NVME));
}

static void event_overflow(void **state)
{
	struct irq *irq;

	(void)state;
	start();
	irq = fake_amdvi.event_irq;
	fake_amdvi.event_irq = NULL; /* the interrupt is late */
	for (unsigned i = 0; i < 400; i++)
		assert_true(refused(EDU, i, true));
	assert_int_equal(iommu_read64(amdvi_units[0]->regs + 0x2020) & 9, 1);
	fake_amdvi.event_irq = irq;
	irq->handler(irq);
	assert_int_equal(iommu_read64(amdvi_units[0]->regs + 0x2020) & 9, 8);
	fake_now += 2 * NSEC_PER_SEC;
	fake_log_clear();
	assert_true(refused(NVME, 9, false));
	assert_int_equal(fake_log_count("DMA read by 0000:00:02.0 at 0x9000"), 1);
}

static void events_wrap(void **state)
{
	(void)state;
	start();
	for (unsigned i = 0; i < 600; i++) {
		fake_now += 2 * NSEC_PER_SEC;
		fake_log_clear();
		assert_true(refused(EDU, i, true));
		assert_int_equal(fake_log_count("refused"), 1);
	}
}

static void event_is_late(void **state)
{
	(void)state;
	start();
	/* Once around: an old entry is not taken for a new one. */
	for (unsigned i = 0; i < 256; i++)
		assert_true(refused(NVME, i, true));
	fake_now += 2 * NSEC_PER_SEC;
	fake_log_clear();
	fake_amdvi.slow_events = true;
	assert_true(refused(EDU, 1, true));
	assert_int_equal(fake_log_count("refused"), 0);
	fake_amdvi.slow_events = false;
	assert_true(refused(EDU, 2, true));
	assert_int_equal(fake_log_count("at 0x2000 refused"), 1);
}

/* ---- Interrupts ---- */

static void msi_remapping(void **state)
{
	struct irq a = {.cpu = 0, .vector = 0x41}, b = {.cpu = 2, .vector = 0x41};
	struct fake_amdvi_interrupt got;
	struct msi_msg ma, mb, again;

	(void)state;
	start();
	assert_int_equal(iommu_msi_map(device(EDU), &a, &ma), 0);
	assert_int_equal(iommu_msi_map(device(NVME), &b, &mb), 0);
	assert_true(fake_amdvi_message(EDU, ma.address, ma.data, &got));
	assert_true(got.remapped);
	assert_int_equal(got.vector, 0x41);
	assert_int_equal(got.dest, 4);
	assert_true(fake_amdvi_message(NVME, mb.address, mb.data, &got));
	assert_int_equal(got.dest, 6);
	/* Each has a table of its own, with nothing else in it. */
	for (unsigned data = 0; data < 0x200; data++)
		if (data != ma.data)
			assert_false(fake_amdvi_message(EDU, 0xfee00000, data, &got));
	/* NMI, INIT, ExtINT: as firmware says, for each device. */
	assert_false(fake_amdvi_message(EDU, 0xfee00000, 0x400, &got));
	assert_true(fake_amdvi_message(NVME, 0xfee00000, 0x400, &got));

	a.cpu = 3;
	a.vector = 0x99;
	assert_int_equal(iommu_msi_map(device(EDU), &a, &again), 0);
	assert_int_equal(again.data, ma.data);
	assert_true(fake_amdvi_message(EDU, ma.address, ma.data, &got));
	assert_int_equal(got.vector, 0x99);
	assert_int_equal(got.dest, 7);
	iommu_irq_free(device(EDU), &a);
	assert_int_equal(a.remap, 0);
	assert_false(fake_amdvi_message(EDU, ma.address, ma.data, &got));
	assert_true(fake_amdvi_message(NVME, mb.address, mb.data, &got));
	/* A new owner of the device does not change who gets its interrupts. */
	assert_int_equal(iommu_assign(device(NVME), &d0), 0);
	assert_true(fake_amdvi_message(NVME, mb.address, mb.data, &got));
}

static void table_is_full(void **state)
{
	static struct irq irqs[600];
	struct fake_amdvi_interrupt got;
	struct msi_msg m;
	unsigned n = 0;
	int err;

	(void)state;
	start();
	for (unsigned i = 0; i < 600; i++)
		irqs[i] = (struct irq){.vector = (uint8_t)(0x30 + i % 0xc0)};
	while (!(err = iommu_msi_map(device(EDU), &irqs[n], &m))) {
		assert_true(fake_amdvi_message(EDU, m.address, m.data, &got));
		assert_int_equal(got.vector, irqs[n].vector);
		n++;
	}
	assert_int_equal(err, -ENOSPC);
	assert_int_equal(n, 512);
	iommu_irq_free(device(EDU), &irqs[17]);
	assert_int_equal(iommu_msi_map(device(EDU), &irqs[n], &m), 0);
}

/* PCI Local Bus 3.0, 6.8.1.3: message i is the data with its low bits replaced by i. */
static void several_messages(void **state)
{
	struct irq single = {.vector = 0x09}, irqs[8], *list[8];
	struct fake_amdvi_interrupt got;
	struct msi_msg m, other;

	(void)state;
	start();
	/* Takes entry 9: the first row of eight is 0 to 7, the second one is 16 to 23. */
	assert_int_equal(iommu_msi_map(device(EDU), &single, &other), 0);
	for (unsigned row = 0; row < 2; row++) {
		for (unsigned i = 0; i < 8; i++) {
			irqs[i] = (struct irq){.cpu = i % 4, .vector = (uint8_t)(0x41 + 7 * i)};
			list[i] = &irqs[i];
		}
		assert_int_equal(iommu_msi_map_multi(device(EDU), list, 8, &m), 0);
		assert_int_equal(m.data, row * 16);
		for (unsigned i = 0; i < 8; i++) {
			assert_true(fake_amdvi_message(EDU, m.address, m.data | i, &got));
			assert_true(got.remapped);
			assert_int_equal(got.vector, irqs[i].vector);
			assert_int_equal(got.dest, 4 + i % 4);
			assert_false(fake_amdvi_message(NVME, m.address, m.data | i, &got));
		}
	}
	iommu_irq_free(device(EDU), &irqs[6]);
	assert_false(fake_amdvi_message(EDU, m.address, m.data | 6, &got));
	assert_true(fake_amdvi_message(EDU, m.address, m.data | 7, &got));
	assert_true(fake_amdvi_message(EDU, other.address, other.data, &got));
	assert_int_equal(got.vector, 0x09);
	/* A unit that does not answer. */
	for (unsigned i = 0; i < 8; i++)
		irqs[i].remap = 0;
	fake_amdvi.dead = true;
	assert_int_equal(iommu_msi_map_multi(device(EDU), list, 8, &m), -EIO);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(irqs[i].remap, 0);
}

/* All or nothing. */
static void several_messages_no_row(void **state)
{
	static struct irq fill[600];
	struct irq irqs[2] = {{0}}, *list[2] = {&irqs[0], &irqs[1]};
	struct msi_msg m;
	unsigned n = 0;

	(void)state;
	start();
	memset(fill, 0, sizeof(fill));
	while (!iommu_msi_map(device(EDU), &fill[n], &m))
		n++;
	for (unsigned i = 0; i < n; i++)
		if ((fill[i].remap - 1) % 2)
			iommu_irq_free(device(EDU), &fill[i]);
	assert_int_equal(iommu_msi_map_multi(device(EDU), list, 2, &m), -ENOSPC);
	assert_int_equal(irqs[0].remap, 0);
	assert_int_equal(irqs[1].remap, 0);
}

static void wide_entries(void **state)
{
	struct irq a = {.cpu = 1, .vector = 0x41};
	struct fake_amdvi_interrupt got;
	struct msi_msg m;

	(void)state;
	fake_x2apic = true;
	fake_apic_id_base = 0x12345677;
	fake_amdvi.efr |= 1UL << 2 | 1UL << 7;
	start();
	assert_true(iommu_intremap());
	assert_int_equal(iommu_read64(amdvi_units[0]->regs + 0x18) >> 50, 3);
	/* 3.4.11: destination in pieces, vector of the event. */
	assert_int_equal(iommu_read64(amdvi_units[0]->regs + 0x170),
			 0x12UL << 56 | 0x30UL << 32 | 0x345677UL << 8);
	assert_int_equal(iommu_msi_map(device(EDU), &a, &m), 0);
	assert_true(fake_amdvi_message(EDU, m.address, m.data, &got));
	assert_int_equal(got.vector, 0x41);
	assert_int_equal(got.dest, 0x12345678);
	iommu_irq_free(device(EDU), &a);
	assert_false(fake_amdvi_message(EDU, m.address, m.data, &got));
	fake_apic_id_base = 4;
}

/* What an I/O APIC sends: vector and delivery mode of the entry. */
static bool pin_message(uint64_t rte, struct fake_amdvi_interrupt *ret)
{
	return fake_amdvi_message(SB, 0xfee00000 | rte >> 56 << 12, rte & 0x7ff, ret);
}

static void ioapic_remapping(void **state)
{
	struct irq a = {.cpu = 0, .vector = 0x51}, b = {.cpu = 1, .vector = 0x51},
		   c = {.cpu = 2, .vector = 0x51};
	struct fake_amdvi_interrupt got;
	uint64_t ra, rb, rc, moved;

	(void)state;
	start();
	assert_true(iommu_ioapic_needs_eoi());
	assert_int_equal(iommu_ioapic_map(0, 9, &a, true, true, &ra), 0);
	assert_int_equal(ra & ~0x700UL, 0x51 | 1 << 15 | 1 << 13);
	assert_true(pin_message(ra, &got));
	assert_int_equal(got.vector, 0x51);
	assert_int_equal(got.dest, 4);
	/* The same vector of another CPU: the EOI fits this entry, too. For a third one there is no such place. */
	assert_int_equal(iommu_ioapic_map(0, 10, &b, true, false, &rb), 0);
	assert_int_equal(rb & 0xff, 0x51);
	assert_int_not_equal(rb & 0x7ff, ra & 0x7ff);
	assert_true(pin_message(rb, &got));
	assert_int_equal(got.dest, 5);
	assert_int_equal(iommu_ioapic_map(0, 11, &c, true, false, &rc), 0);
	assert_true(pin_message(rc, &got));
	assert_int_equal(got.vector, 0x51);
	assert_int_equal(got.dest, 6);
	/* It moves: a new entry for the new vector, and the old one is void. */
	a.vector = 0x77;
	assert_int_equal(iommu_ioapic_map(0, 9, &a, true, true, &moved), 0);
	assert_int_equal(moved & 0xff, 0x77);
	assert_true(pin_message(moved, &got));
	assert_int_equal(got.vector, 0x77);
	assert_false(pin_message(ra, &got));
	iommu_irq_free(NULL, &b);
	assert_int_equal(b.remap, 0);
	assert_false(pin_message(rb, &got));
	assert_int_equal(iommu_ioapic_map(5, 1, &b, true, false, &rb), -ENODEV);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(qemus_table),		  T(starts_blocked),
		T(faults_are_reported),	  T(control_follows_firmware),
		T(device_settings),	  T(takes_over_a_running_unit),
		T(too_much_memory),	  T(dead_unit_at_boot),
		T(intremap_needs),	  T(assign_and_take_away),
		T(flush_rules),		  T(random_dma_on_all_kinds),
		T(flush_sizes),		  T(firmware_alias),
		T(shared_requester_id),	  T(reserved_regions),
		T(dead_unit_at_run_time), T(event_storm),
		T(event_overflow),	  T(events_wrap),
		T(event_is_late),	  T(msi_remapping),
		T(table_is_full),	  T(wide_entries),
		T(several_messages),	  T(several_messages_no_row),
		T(ioapic_remapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
