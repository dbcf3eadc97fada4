// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the VT-d driver below the common layer, against a unit that caches all it may.
// links: hypervisor/drivers/iommu/pgtable.c hypervisor/drivers/iommu/fault.c hypervisor/drivers/pci/scan.c
// links: hypervisor/drivers/iommu/vtd/vtd.c hypervisor/drivers/iommu/vtd/unit.c hypervisor/drivers/iommu/vtd/queue.c
// links: hypervisor/drivers/iommu/vtd/context.c hypervisor/drivers/iommu/vtd/fault.c
// links: hypervisor/drivers/iommu/vtd/intremap.c hypervisor/drivers/iommu/vtd/dmar.c
// links: hypervisor/drivers/acpi/dmar.c hypervisor/drivers/acpi/tables.c hypervisor/common/cmdline_values.c
// links: tests/unit/fake_iommu.c tests/unit/fake_vtd.c
#include "iommu_fixture.h"

#include "../../hypervisor/drivers/iommu/vtd/vtd.h"
#include "fake_vtd.h"

const struct iommu_ops amdvi_ops = {.name = "AMD-Vi", .init = no_unit};

#define EDU   BDF(0, 3, 0)
#define NVME  BDF(0, 2, 0)
/* The bridge to conventional PCI at 00:1e.0, and two devices behind it. */
#define OLD_A BDF(4, 1, 0)
#define OLD_B BDF(4, 2, 0)
#define OTHER BDF(0, 31, 0)

/* One unit for all of segment 0 with the I/O APIC at ff:00.0, and a reserved region at 1 MiB + 16 KiB for NVME. */
static void put_dmar(unsigned drhd_flags, bool rmrr)
{
	uint8_t t[200] = "DMAR";
	unsigned n = 48;

	t[8] = 1;
	t[36] = 47;
	t[37] = 1;
	t[n + 2] = 24; /* DRHD */
	t[n + 4] = (uint8_t)drhd_flags;
	store_u64(t + n + 8, FAKE_VTD_PADDR);
	memcpy(t + n + 16, "\x03\x08\x00\x00\x00\xff\x00\x00", 8);
	n += 24;
	if (rmrr) {
		t[n] = 1;
		t[n + 2] = 32;
		store_u64(t + n + 8, 0x104000);
		store_u64(t + n + 16, 0x105fff);
		memcpy(t + n + 24, "\x01\x08\x00\x00\x00\x00\x02\x00", 8);
		n += 32;
	}
	seal_table(t, n);
	fixture_table(t, n);
}

static void put_devices(void)
{
	fake_pci_add((sbdf_t){BDF(0, 0, 0)});
	fake_pci_add((sbdf_t){NVME});
	fake_pci_add((sbdf_t){EDU});
	fake_pci_add((sbdf_t){OTHER});
	fake_pci_bridge((sbdf_t){BDF(0, 30, 0)}, 4, 4, PCIE_TYPE_PCI_BRIDGE);
	fake_pci_add((sbdf_t){OLD_A});
	fake_pci_add((sbdf_t){OLD_B});
	assert_int_equal(pci_scan(), 0);
}

static int setup(void **state)
{
	(void)state;
	fixture_reset(fake_vtd_dma);
	fake_vtd_reset();
	vtd_unit_count = 0;
	return 0;
}

static void start(void)
{
	put_devices();
	put_dmar(1, true);
	assert_int_equal(iommu_init(), 0);
	fake_log_clear();
	assert_int_equal(iommu_domain_init(&d0), 0);
	assert_int_equal(iommu_domain_init(&d1), 0);
}

/* ---- Start ---- */

static void no_table(void **state)
{
	(void)state;
	assert_int_equal(iommu_init(), -ENODEV);
	assert_false(iommu_present());
	assert_int_equal(iommu_superpages(), 0);
	assert_int_equal(iommu_domain_init(&d0), -ENODEV);
}

static void qemus_table(void **state)
{
	(void)state;
	fake_pci_add((sbdf_t){BDF(0, 0, 0)});
	fake_pci_add((sbdf_t){BDF(0, 31, 0)})[PCI_HEADER_TYPE] = PCI_HEADER_MULTI;
	fake_pci_add((sbdf_t){BDF(0, 31, 2)});
	fake_pci_add((sbdf_t){BDF(0, 5, 0)});
	assert_int_equal(pci_scan(), 0);
	fixture_table(qemu_dmar, sizeof(qemu_dmar));
	assert_int_equal(iommu_init(), 0);
	assert_true(iommu_intremap());
	assert_int_equal(vtd_unit_count, 1);
	assert_int_equal(vtd_units[0]->ioapics[0].bdf, 0xff00);
	assert_ptr_equal(vtd_find_unit(device(BDF(0, 31, 2))), vtd_units[0]);
	/* The unit names its devices, and this is none of them. */
	assert_null(vtd_find_unit(device(BDF(0, 5, 0))));
	assert_int_equal(iommu_domain_init(&d0), 0);
	assert_int_equal(iommu_assign(device(BDF(0, 5, 0)), &d0), -ENODEV);
	release_domain(&d0);
}

static void starts_blocked(void **state)
{
	(void)state;
	start();
	assert_false(fake_vtd.opened_early);
	assert_int_equal(fake_vtd.gsts & (1U << 31 | 1U << 26 | 1U << 25 | 1U << 23),
			 1U << 31 | 1U << 26 | 1U << 25);
	assert_int_equal(iommu_superpages(), 1 | 1 << 9 | 1 << 18);
	assert_true(refused(EDU, 0x123, true));
	assert_int_equal(fake_log_count(
				 "IOMMU fault: VT-d 0: DMA write by 0000:00:03.0 at 0x123000 "
				 "refused: reason 2 (context entry not present: blocked "
				 "device)\n"),
			 1);
	assert_true(iommu_owns(FAKE_VTD_PADDR + 0x20));
	assert_false(iommu_owns(FAKE_VTD_PADDR + 0x2000));
	assert_true(iommu_owns_part(FAKE_VTD_PADDR - 0x10000, FAKE_VTD_PADDR + 1));
	assert_false(iommu_owns_part(FAKE_VTD_PADDR - 0x10000, FAKE_VTD_PADDR));
}

static void takes_over_a_running_unit(void **state)
{
	(void)state;
	/* A loader left translation, its queue and remapping of the old format on. */
	fake_vtd.gsts = 1U << 31 | 1U << 30 | 1U << 26 | 1U << 25 | 1U << 23;
	start();
	assert_int_equal(fake_vtd.gsts & (1U << 31 | 1U << 26 | 1U << 25 | 1U << 23),
			 1U << 31 | 1U << 26 | 1U << 25);
	assert_true(refused(EDU, 1, false));
}

static void option_words(void **state)
{
	(void)state;
	assert_int_equal(parse_iommu("verbose,debug"), 0);
	assert_true(iommu_verbose && iommu_debug);
	assert_int_equal(parse_iommu("no-intremap"), 0);
	assert_int_equal(parse_iommu("force"), -EINVAL);
	assert_int_equal(parse_iommu("verbose=perhaps"), -EINVAL);
	start();
	assert_false(iommu_intremap());
	assert_int_equal(fake_vtd.gsts >> 25 & 1, 0);
	assert_int_equal(fake_vtd.gsts >> 31, 1);
}

static void impossible_units(void **state)
{
	(void)state;
	put_devices();
	put_dmar(1, false);
	fake_vtd.ecap &= ~2UL; /* no queue */
	assert_int_equal(iommu_init(), -EIO);
	vtd_unit_count = 0;
	fake_vtd.ecap = FAKE_VTD_ECAP;
	fake_vtd.cap = ~0UL; /* nobody answers */
	assert_int_equal(iommu_init(), -EIO);
	vtd_unit_count = 0;
	fake_vtd.cap = FAKE_VTD_CAP & ~(0x1fUL << 8); /* no table depth */
	assert_int_equal(iommu_init(), -EIO);
	assert_false(iommu_present());
}

static void dead_unit_at_boot(void **state)
{
	(void)state;
	put_devices();
	put_dmar(1, false);
	fake_vtd.dead_commands = true;
	assert_true(expect_panic(iommu_init()));
}

static void dead_queue_at_boot(void **state)
{
	uint64_t before;

	(void)state;
	put_devices();
	put_dmar(1, false);
	fake_vtd.dead_queue = true;
	before = fake_now;
	assert_true(expect_panic(iommu_init()));
	assert_in_range(fake_now - before, 100000000, 120000000);
}

static void intremap_needs(void **state)
{
	(void)state;
	ioapics[1] = (struct ioapic_info){.id = 7, .pins = 24};
	ioapic_count = 2;
	start();
	assert_false(iommu_intremap());

	teardown(NULL);
	setup(NULL);
	fake_vtd.ecap &= ~(1UL << 4);
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
	iommu_flush(&d0, gfn_from(0), 0);
	assert_true(refused(EDU, 0x100, true));
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	assert_ptr_equal(device(EDU)->owner, &d0);
	assert_true(reaches(EDU, 0x100, true, 0x200));
	assert_true(reaches(EDU, 0x101, false, 0x300));
	assert_true(refused(EDU, 0x101, true));
	assert_int_equal(fake_log_count("reason 5 (no write permission)"), 1);
	assert_true(refused(EDU, 0x102, false));
	assert_int_equal(fake_log_count("DMA read by 0000:00:03.0 at 0x102000 refused: reason 6"),
			 1);
	assert_true(refused(OTHER, 0x100, true));

	map_one(&d1, 0x100, 0x400, 0, RW);
	assert_int_equal(iommu_assign(device(EDU), &d1), 0);
	assert_true(reaches(EDU, 0x100, true, 0x400));
	assert_int_equal(iommu_assign(device(EDU), NULL), 0);
	assert_null(device(EDU)->owner);
	assert_true(refused(EDU, 0x100, true));
	release_domain(&d0);
	release_domain(&d1);
}

/* Small pages only, and the memory for tables ends after some of them: the frames will be somebody else's. */
static void nothing_stays_of_half_a_mapping(void **state)
{
	uint64_t mfn = GiB(4) >> PAGE_SHIFT, got;

	(void)state;
	fake_vtd.cap = FAKE_VTD_CAP & ~(0xfUL << 34);
	start();
	assert_int_equal(iommu_superpages(), 1);
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	map_one(&d0, 0, 0x200, 0, RW);
	fake_heap_fail_after = 4;
	assert_int_equal(iommu_map(&d0, gfn_from(BIT(ORDER_1G)), mfn_from(mfn), ORDER_1G, RW),
			 -ENOMEM);
	fake_heap_fail_after = -1;
	iommu_flush(&d0, gfn_from(0), 0);
	for (uint64_t i = 0; i < BIT(ORDER_1G); i += 64)
		assert_false(iommu_lookup(&d0, gfn_from(BIT(ORDER_1G) + i), &(mfn_t){0},
					  &(unsigned){0}, &(unsigned){0}));
	assert_false(fake_vtd_dma(EDU, BIT(ORDER_1G) << PAGE_SHIFT, true, &got));
	assert_true(reaches(EDU, 0, true, 0x200));
	assert_int_equal(iommu_assign(device(EDU), NULL), 0);
	release_domain(&d0);
}

static void domains_do_not_mix(void **state)
{
	(void)state;
	start();
	map_one(&d0, 0x100, 0x200, 0, RW);
	map_one(&d1, 0x100, 0x300, 0, RW);
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	assert_int_equal(iommu_assign(device(NVME), &d1), 0);
	assert_true(reaches(EDU, 0x100, true, 0x200));
	assert_true(reaches(NVME, 0x100, true, 0x300));
	/* The tag of a domain that lost its last device is used again: nothing of it may be left. */
	assert_int_equal(iommu_assign(device(EDU), NULL), 0);
	assert_int_equal(iommu_assign(device(NVME), NULL), 0);
	assert_int_equal(iommu_assign(device(NVME), &d0), 0);
	assert_true(reaches(NVME, 0x100, true, 0x200));
}

static void flush_rules(void **state)
{
	(void)state;
	start();
	map_one(&d0, 0x100, 0x200, 0, RW);
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	assert_false(iommu_is_dirty(&d0));
	assert_true(reaches(EDU, 0x100, true, 0x200));

	assert_int_equal(iommu_unmap(&d0, gfn_from(0x100), 0), 0);
	assert_true(iommu_is_dirty(&d0));
	/* The unit still knows it: this is what the flush is for. */
	assert_true(reaches(EDU, 0x100, true, 0x200));
	iommu_flush(&d0, gfn_from(0x700), 1);
	assert_true(iommu_is_dirty(&d0));
	iommu_flush(&d0, gfn_from(0x100), 1);
	assert_false(iommu_is_dirty(&d0));
	assert_true(refused(EDU, 0x100, true));

	/* New translations need no flush on such a unit. */
	fake_vtd.page_flushes = fake_vtd.domain_flushes = 0;
	map_one(&d0, 0x100, 0x250, 0, RW);
	assert_false(iommu_is_dirty(&d0));
	iommu_flush(&d0, gfn_from(0x100), 1);
	assert_int_equal(fake_vtd.page_flushes + fake_vtd.domain_flushes, 0);
	assert_true(reaches(EDU, 0x100, true, 0x250));
}

static void flush_sizes(void **state)
{
	(void)state;
	start();
	map_one(&d0, 0, 0, 9, RW);
	map_one(&d0, 0x40000, 0x40000, 18, RW);
	map_one(&d0, 0x80000, 0x80000, 18, RW);
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	fake_vtd.page_flushes = fake_vtd.domain_flushes = 0;
	assert_int_equal(iommu_unmap(&d0, gfn_from(0x1ff), 0), 0);
	iommu_flush(&d0, gfn_from(0x1ff), 1);
	assert_int_equal(fake_vtd.page_flushes, 1);
	/* Everything is asked for, but only this is dirty. */
	assert_int_equal(iommu_unmap(&d0, gfn_from(0x3), 0), 0);
	iommu_flush(&d0, gfn_from(0), 0);
	assert_int_equal(fake_vtd.page_flushes, 2);
	assert_int_equal(iommu_unmap(&d0, gfn_from(0x40000), 18), 0);
	iommu_flush(&d0, gfn_from(0x40000), 0x40000);
	assert_int_equal(fake_vtd.page_flushes, 3);
	/* A block that no mask covers. */
	map_one(&d0, 0x40000, 0x40000, 18, RW);
	iommu_flush(&d0, gfn_from(0), 0);
	assert_int_equal(iommu_unmap(&d0, gfn_from(0x7ffff), 0), 0);
	assert_int_equal(iommu_unmap(&d0, gfn_from(0x80000), 0), 0);
	iommu_flush(&d0, gfn_from(0), 0);
	assert_int_equal(fake_vtd.domain_flushes, 1);
}

static void random_dma(uint64_t cap, uint64_t ecap, uint64_t seed)
{
	setup(NULL);
	fake_vtd.cap = cap;
	fake_vtd.ecap = ecap;
	fake_shadowed = !(ecap & 1);
	start();
	/* The unit may remember that there was nothing, and reads what is in memory, not in caches. */
	assert_true(refused(EDU, 1, true));
	assert_true(refused(OLD_A, 1, true));
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	assert_true(refused(NVME, 1, true));
	assert_int_equal(fake_log_count("0000:00:02.0 at 0x1000 refused: reason 2"), 1);
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
	const uint64_t cap = FAKE_VTD_CAP, ecap = FAKE_VTD_ECAP;

	(void)state;
	random_dma(cap, ecap, 1);
	random_dma(cap | 1UL << 7, ecap, 2);			     /* caching mode */
	random_dma(cap, ecap & ~1UL, 3);			     /* does not snoop */
	random_dma((cap | 1UL << 7) & ~(1UL << 39), ecap & ~1UL, 4); /* no page-selective flush */
	random_dma(cap & ~(63UL << 48), ecap, 5);		     /* one page at a time */
	random_dma(cap & ~(3UL << 34), ecap, 6);		     /* no large pages */
	random_dma((cap & ~(0x1fUL << 8)) | 2UL << 8, ecap, 7);	     /* three levels only */
	random_dma((cap & ~(3UL << 54)) | 1UL << 4, ecap & ~1UL, 8); /* write buffer, no draining */
}

static void write_buffer(void **state)
{
	(void)state;
	fake_vtd.cap |= 1UL << 4;
	start();
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	fake_vtd.wbfs = 0;
	map_one(&d0, 5, 5, 0, RW);
	iommu_flush(&d0, gfn_from(5), 1);
	assert_int_equal(fake_vtd.wbfs, 1);
}

static void hypervisor_memory(void **state)
{
	(void)state;
	start();
	frames[0x333].state = PAGE_HEAP;
	frames[0x444].state = PAGE_FREE;
	frames[0x445].state = PAGE_ABSENT;
	assert_int_equal(iommu_protect(0x2000000, 0x2001000), 0);
	assert_int_equal(iommu_map(&d0, gfn_from(1), mfn_from(0x333), 0, RW), -EPERM);
	assert_int_equal(iommu_map(&d0, gfn_from(1), mfn_from(0x444), 0, RW), -EPERM);
	assert_int_equal(iommu_map(&d0, gfn_from(0x200), mfn_from(0x200), 9, RW), -EPERM);
	assert_int_equal(iommu_map(&d0, gfn_from(0x2000), mfn_from(0x2000), 0, RW), -EPERM);
	assert_int_equal(iommu_map(&d0, gfn_from(1), mfn_from(FAKE_VTD_PADDR >> 12), 0, RW),
			 -EPERM);
	assert_int_equal(iommu_map(&d0, gfn_from(0xc0000), mfn_from(0xc0000), 18, RW), -EPERM);
	/* Given up by the hypervisor: memory like any other. */
	iommu_unprotect(0x2000000, 0x2001000);
	assert_int_equal(iommu_map(&d0, gfn_from(0x2000), mfn_from(0x2000), 0, RW), 0);
	/* Device memory, and RAM that was never ours. */
	assert_int_equal(iommu_map(&d0, gfn_from(0xd0000), mfn_from(0xd0000), 0, RW), 0);
	assert_int_equal(iommu_map(&d0, gfn_from(0x445), mfn_from(0x445), 0, RW), 0);
}

/* ---- Devices that go together ---- */

static void shared_requester_id(void **state)
{
	const unsigned alias = BDF(4, 0, 0);

	(void)state;
	start();
	map_one(&d0, 1, 0x11, 0, RW);
	map_one(&d1, 1, 0x22, 0, RW);
	assert_int_equal(device(OLD_A)->dma_alias.v, alias);
	assert_int_equal(iommu_assign(device(OLD_A), &d0), 0);
	assert_true(reaches(alias, 1, true, 0x11));
	assert_true(reaches(OLD_A, 1, true, 0x11));
	assert_int_equal(iommu_assign(device(OLD_B), &d1), -EBUSY);
	assert_true(refused(OLD_B, 1, true));
	assert_int_equal(iommu_assign(device(OLD_B), &d0), 0);
	assert_int_equal(iommu_assign(device(OLD_A), NULL), 0);
	assert_true(refused(OLD_A, 1, true));
	assert_true(reaches(alias, 1, true, 0x11));
	assert_int_equal(iommu_assign(device(OLD_B), NULL), 0);
	assert_true(refused(alias, 1, true));
	assert_int_equal(iommu_assign(device(OLD_B), &d1), 0);
	assert_true(reaches(alias, 1, true, 0x22));
}

static void hidden_devices(void **state)
{
	(void)state;
	start();
	assert_int_equal(pci_hide((sbdf_t){EDU}), 0);
	assert_int_equal(iommu_assign(device(EDU), &d0), -EPERM);
	assert_int_equal(pci_hide((sbdf_t){BDF(0, 9, 0)}), -ENOENT);
}

static void note_region(uint64_t base, uint64_t end, void *arg)
{
	uint64_t *sum = arg;

	*sum += base + end;
}

/* What no device's buffer is: it would be mapped page by page. */
static void reserved_regions_that_make_no_sense(void **state)
{
	static const uint64_t bad[][2] = {{0x1000, 0x1000},
					  {0x2000, 0x1000},
					  {0x1000, 0x1000 + GiB(4) + 1},
					  {(1UL << 52) - 0x1000, (1UL << 52) + 1},
					  {~0UL - 0x800, ~0UL}};

	(void)state;
	reserved_count = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(iommu_reserve(bad[i][0], bad[i][1], IOMMU_READ, 0, 0, 1), -EINVAL);
	assert_int_equal(reserved_count, 0);
	assert_int_equal(iommu_reserve(0x1000, 0x1000 + GiB(4), IOMMU_READ, 0, 0, 1), 0);
	assert_int_equal(reserved_count, 1);
	reserved_count = 0;
}

static void reserved_regions(void **state)
{
	uint64_t sum = 0;

	(void)state;
	start();
	iommu_for_each_reserved(note_region, &sum);
	assert_int_equal(sum, 0x104000 + 0x106000);
	assert_int_equal(iommu_assign(device(EDU), &d1), 0);
	assert_true(refused(EDU, 0x104, false));
	assert_int_equal(iommu_assign(device(NVME), &d1), 0);
	assert_true(reaches(NVME, 0x104, true, 0x104));
	assert_true(reaches(NVME, 0x105, true, 0x105));
	assert_true(refused(NVME, 0x106, true));
	assert_int_equal(iommu_assign(device(NVME), NULL), 0);
	assert_true(refused(EDU, 0x104, false));
	/* Something else is there already. */
	map_one(&d1, 0x105, 0x777, 0, RW);
	assert_int_equal(iommu_assign(device(NVME), &d1), -EBUSY);
	assert_true(refused(NVME, 0x104, true));
	/* The hardware domain has it mapped to itself, and keeps it. */
	map_one(&d0, 0x104, 0x104, 0, RW);
	assert_int_equal(iommu_assign(device(NVME), &d0), 0);
	assert_int_equal(iommu_assign(device(NVME), NULL), 0);
	assert_int_equal(iommu_assign(device(OTHER), &d0), 0);
	assert_true(reaches(OTHER, 0x104, true, 0x104));
}

static void virtual_functions(void **state)
{
	struct pci_dev *vf;

	(void)state;
	start();
	vtd_units[0]->include_all = false;
	vtd_units[0]->scopes[0] = (struct vtd_range){EDU, EDU};
	vtd_units[0]->scope_count = 1;
	assert_int_equal(pci_dev_add((sbdf_t){BDF(0, 3, 4)}, &vf), 0);
	assert_int_equal(iommu_assign(vf, &d0), -ENODEV);
	vf->physfn = device(EDU);
	assert_int_equal(iommu_assign(vf, &d0), 0);
}

/* ---- A unit that fails at run time ---- */

static void dead_unit_at_run_time(void **state)
{
	(void)state;
	start();
	map_one(&d0, 1, 1, 0, RW);
	assert_int_equal(iommu_assign(device(EDU), &d0), 0);
	assert_int_equal(iommu_assign(device(NVME), &d1), 0);
	fake_vtd.dead_queue = true;
	assert_int_equal(iommu_unmap(&d0, gfn_from(1), 0), 0);
	iommu_flush(&d0, gfn_from(1), 1);
	/* It may still reach the page: so it may do nothing at all. */
	assert_false(masters(EDU));
	assert_true(masters(NVME));
	map_one(&d0, 2, 2, 0, RW);
	assert_int_equal(iommu_unmap(&d0, gfn_from(2), 0), 0);
	iommu_flush(&d0, gfn_from(2), 1);
	assert_int_equal(fake_log_count("devices of d0 behind it are stopped"), 1);
	assert_int_equal(iommu_assign(device(NVME), NULL), -EIO);
	assert_false(masters(NVME));
}

static void fault_storm(void **state)
{
	unsigned lines;

	(void)state;
	start();
	for (unsigned i = 0; i < 5000; i++)
		assert_true(refused(EDU, i, true));
	lines = fake_log_count("IOMMU fault: VT-d 0: DMA write");
	assert_in_range(lines, 1, 10);
	assert_int_equal(fake_log_count("its bus mastering is switched off"), 1);
	assert_false(masters(EDU));
	assert_true(masters(NVME));
	/* A second later there is news again, and the account of what was not shown. */
	fake_now += 2000000000;
	fake_log_clear();
	assert_true(refused(NVME, 7, false));
	assert_int_equal(fake_log_count("IOMMU fault: 4990 more were not shown"), 1);
	assert_int_equal(fake_log_count("DMA read by 0000:00:02.0 at 0x7000"), 1);
}

static void fault_storm_behind_a_bridge(void **state)
{
	(void)state;
	start();
	for (unsigned i = 0; i < 2000; i++)
		assert_true(refused(BDF(4, 0, 0), i, true));
	assert_false(masters(OLD_A));
	assert_false(masters(OLD_B));
	assert_true(masters(EDU));
}

static void fault_overflow(void **state)
{
	struct irq *irq;

	(void)state;
	start();
	irq = fake_vtd.fault_irq;
	fake_vtd.fault_irq = NULL; /* the interrupt is late */
	assert_true(refused(EDU, 1, true));
	assert_true(refused(EDU, 2, true));
	assert_int_equal(fake_log_count("IOMMU fault"), 0);
	fake_vtd.fault_irq = irq;
	irq->handler(irq);
	assert_int_equal(fake_log_count("at 0x1000 refused"), 1);
	assert_int_equal(fake_log_count("more faults than it can record"), 1);
	fake_log_clear();
	assert_true(refused(EDU, 3, true));
	assert_int_equal(fake_log_count("at 0x3000 refused"), 1);
	assert_int_equal(fake_log_count("more faults"), 0);
}

/* ---- Interrupts ---- */

static struct irq make_irq(unsigned cpu, uint8_t vector)
{
	return (struct irq){.cpu = cpu, .vector = vector};
}

static void msi_remapping(void **state)
{
	struct irq a = make_irq(0, 0x41), b = make_irq(2, 0x42);
	struct fake_vtd_interrupt got;
	struct msi_msg ma, mb, again;

	(void)state;
	start();
	assert_int_equal(iommu_msi_map(device(EDU), &a, &ma), 0);
	assert_int_equal(iommu_msi_map(device(NVME), &b, &mb), 0);
	assert_true(fake_vtd_message(EDU, ma.address, ma.data, &got));
	assert_int_equal(got.vector, 0x41);
	assert_int_equal(got.dest, 4);
	assert_false(got.level);
	assert_true(fake_vtd_message(NVME, mb.address, mb.data, &got));
	assert_int_equal(got.vector, 0x42);
	assert_int_equal(got.dest, 6);
	/* One device cannot raise the other's, nor anything in the old format. */
	assert_false(fake_vtd_message(EDU, mb.address, mb.data, &got));
	assert_int_equal(fake_log_count(
				 "interrupt by 0000:00:03.0 at 0x1 refused: reason 38 (wrong "
				 "source id)"),
			 1);
	assert_false(fake_vtd_message(EDU, 0xfee00000, 0x41, &got));
	assert_int_equal(fake_log_count("(compatibility format blocked)"), 1);

	/* It moves: the device's registers stay as they are. */
	a.cpu = 3;
	a.vector = 0x99;
	assert_int_equal(iommu_msi_map(device(EDU), &a, &again), 0);
	assert_int_equal(again.address, ma.address);
	assert_int_equal(again.data, ma.data);
	assert_true(fake_vtd_message(EDU, ma.address, ma.data, &got));
	assert_int_equal(got.vector, 0x99);
	assert_int_equal(got.dest, 7);

	iommu_irq_free(device(EDU), &a);
	assert_int_equal(a.remap, 0);
	assert_false(fake_vtd_message(EDU, ma.address, ma.data, &got));
	iommu_irq_free(device(EDU), &a);
	assert_true(fake_vtd_message(NVME, mb.address, mb.data, &got));
}

/* PCI Local Bus 3.0, 6.8.1.3: message i is the data with its low bits replaced by i. */
static void several_messages(void **state)
{
	struct irq single[3] = {make_irq(0, 0x31), make_irq(0, 0x32), make_irq(0, 0x33)};
	struct irq irqs[8], *list[8];
	struct fake_vtd_interrupt got;
	struct msi_msg m, other;

	(void)state;
	start();
	for (unsigned i = 0; i < 8; i++) {
		irqs[i] = make_irq(i % 4, (uint8_t)(0x41 + 7 * i));
		list[i] = &irqs[i];
	}
	/* A hole too small for all of them lies before. */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(iommu_msi_map(device(NVME), &single[i], &other), 0);
	iommu_irq_free(device(NVME), &single[1]);
	assert_int_equal(iommu_msi_map_multi(device(EDU), list, 8, &m), 0);
	assert_int_equal(m.data & 7, 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_true(fake_vtd_message(EDU, m.address, m.data | i, &got));
		assert_int_equal(got.vector, irqs[i].vector);
		assert_int_equal(got.dest, 4 + i % 4);
		assert_false(fake_vtd_message(NVME, m.address, m.data | i, &got));
	}
	/* The next entry is nobody's, and each of them moves and goes alone. */
	assert_false(fake_vtd_message(EDU, m.address, m.data + 8, &got));
	irqs[5].cpu = 3;
	irqs[5].vector = 0x99;
	assert_int_equal(iommu_msi_map(device(EDU), &irqs[5], &other), 0);
	iommu_irq_free(device(EDU), &irqs[6]);
	assert_true(fake_vtd_message(EDU, m.address, m.data | 5, &got));
	assert_int_equal(got.vector, 0x99);
	assert_int_equal(got.dest, 7);
	assert_false(fake_vtd_message(EDU, m.address, m.data | 6, &got));
	assert_true(fake_vtd_message(EDU, m.address, m.data | 7, &got));
	assert_int_equal(iommu_msi_map_multi(device(EDU), list, 3, &m), -EINVAL);
	assert_int_equal(iommu_msi_map_multi(device(EDU), list, 64, &m), -EINVAL);
	assert_int_equal(iommu_msi_map_multi(device(EDU), list, 0, &m), -EINVAL);
}

/* All or nothing: no row that long is left, then the unit falls silent. */
static void several_messages_fail(void **state)
{
	static struct irq fill[70000];
	struct irq irqs[4] = {{0}}, *list[4] = {&irqs[0], &irqs[1], &irqs[2], &irqs[3]};
	struct fake_vtd_interrupt got;
	struct msi_msg m;
	unsigned n = 0;

	(void)state;
	start();
	memset(fill, 0, sizeof(fill));
	while (!iommu_msi_map(device(EDU), &fill[n], &m))
		n++;
	for (unsigned i = 0; i < n; i += 3)
		iommu_irq_free(device(EDU), &fill[i]);
	assert_int_equal(iommu_msi_map_multi(device(EDU), list, 2, &m), -ENOSPC);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(irqs[i].remap, 0);
	iommu_irq_free(device(EDU), &fill[1]);
	iommu_irq_free(device(EDU), &fill[2]);
	fake_vtd.dead_queue = true;
	assert_int_equal(iommu_msi_map_multi(device(EDU), list, 4, &m), -EIO);
	fake_vtd.dead_queue = false;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(irqs[i].remap, 0);
		assert_false(fake_vtd_message(EDU, MSI_REMAP_BASE | MSI_REMAP_HANDLE(i), 0, &got));
	}
	assert_int_equal(iommu_msi_map_multi(device(EDU), list, 4, &m), -ENOSPC);
}

static void msi_behind_a_bridge(void **state)
{
	struct irq a = make_irq(0, 0x41);
	struct fake_vtd_interrupt got;
	struct msi_msg m;

	(void)state;
	start();
	assert_int_equal(iommu_msi_map(device(OLD_A), &a, &m), 0);
	assert_true(fake_vtd_message(OLD_A, m.address, m.data, &got));
	assert_true(fake_vtd_message(BDF(4, 0, 0), m.address, m.data, &got));
	assert_false(fake_vtd_message(EDU, m.address, m.data, &got));
}

static void x2apic_destinations(void **state)
{
	struct irq a = make_irq(1, 0x41);
	struct fake_vtd_interrupt got;
	struct msi_msg m;

	(void)state;
	fake_x2apic = true;
	fake_apic_id_base = 0x12345;
	start();
	assert_int_equal(iommu_msi_map(device(EDU), &a, &m), 0);
	assert_true(fake_vtd_message(EDU, m.address, m.data, &got));
	assert_int_equal(got.dest, 0x12346);
	/* The unit's own event: low part of the destination in the address, the rest above it. */
	assert_int_equal(iommu_read32(vtd_units[0]->regs + 0x40), 0xfee45000);
	assert_int_equal(iommu_read32(vtd_units[0]->regs + 0x44), 0x12300);
	assert_int_equal(iommu_read32(vtd_units[0]->regs + 0x3c), vtd_units[0]->fault_irq.vector);
	fake_apic_id_base = 4;
}

/* 5.1.2.2 backwards: what an I/O APIC makes of a redirection entry. */
static uint64_t rte_message(uint64_t rte)
{
	return 0xfee00000 | (rte >> 49 & 0x7fff) << 5 | (rte >> 48 & 1) << 4 | (rte >> 11 & 1) << 2;
}

static void ioapic_remapping(void **state)
{
	struct irq a = make_irq(0, 0x51), b = make_irq(1, 0x52);
	struct fake_vtd_interrupt got;
	uint64_t rte;

	(void)state;
	start();
	assert_false(iommu_ioapic_needs_eoi());
	assert_int_equal(iommu_ioapic_map(0, 9, &a, true, true, &rte), 0);
	assert_int_equal(rte & 0xffff, 0x51 | 1 << 15 | 1 << 13);
	assert_true(fake_vtd_message(0xff00, rte_message(rte), 0, &got));
	assert_int_equal(got.vector, 0x51);
	assert_true(got.level);
	assert_false(fake_vtd_message(EDU, rte_message(rte), 0, &got));
	assert_int_equal(iommu_ioapic_map(0, 4, &b, false, false, &rte), 0);
	assert_true(fake_vtd_message(0xff00, rte_message(rte), 0, &got));
	assert_int_equal(got.vector, 0x52);
	assert_false(got.level);
	assert_int_equal(rte & (1 << 16 | 1 << 15 | 1 << 13), 0);
	iommu_irq_free(NULL, &b);
	assert_int_equal(b.remap, 0);
	assert_false(fake_vtd_message(0xff00, rte_message(rte), 0, &got));
	assert_int_equal(iommu_ioapic_map(3, 4, &b, false, false, &rte), -ENODEV);
}

static void without_remapping(void **state)
{
	struct irq a = make_irq(1, 0x51), *list = &a;
	struct msi_msg m;
	uint64_t rte;

	(void)state;
	want_intremap = false;
	start();
	assert_int_equal(iommu_msi_map_multi(device(EDU), &list, 1, &m), -ENODEV);
	assert_int_equal(iommu_msi_map(device(EDU), &a, &m), 0);
	assert_int_equal(m.address, 0xfee05000);
	assert_int_equal(m.data, 0x51);
	assert_int_equal(iommu_ioapic_map(0, 9, &a, true, false, &rte), 0);
	assert_int_equal(rte, 5UL << 56 | 1 << 15 | 0x51);
	iommu_irq_free(NULL, &a);
}

static void table_is_full(void **state)
{
	static struct irq irqs[70000];
	struct fake_vtd_interrupt got;
	struct msi_msg m;
	unsigned n = 0;
	int err;

	(void)state;
	start();
	while (!(err = iommu_msi_map(device(EDU), &irqs[n], &m)))
		n++;
	assert_int_equal(err, -ENOSPC);
	assert_int_equal(n, vtd_units[0]->irte_count);
	assert_int_equal(irqs[n].remap, 0);
	iommu_irq_free(device(EDU), &irqs[17]);
	irqs[n].vector = 0x77;
	assert_int_equal(iommu_msi_map(device(EDU), &irqs[n], &m), 0);
	assert_true(fake_vtd_message(EDU, m.address, m.data, &got));
	assert_int_equal(got.vector, 0x77);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_table),
		T(qemus_table),
		T(starts_blocked),
		T(takes_over_a_running_unit),
		T(option_words),
		T(impossible_units),
		T(dead_unit_at_boot),
		T(dead_queue_at_boot),
		T(intremap_needs),
		T(assign_and_take_away),
		T(nothing_stays_of_half_a_mapping),
		T(domains_do_not_mix),
		T(flush_rules),
		T(flush_sizes),
		T(random_dma_on_all_kinds),
		T(write_buffer),
		T(hypervisor_memory),
		T(shared_requester_id),
		T(hidden_devices),
		T(reserved_regions),
		T(reserved_regions_that_make_no_sense),
		T(virtual_functions),
		T(dead_unit_at_run_time),
		T(fault_storm),
		T(fault_storm_behind_a_bridge),
		T(fault_overflow),
		T(msi_remapping),
		T(several_messages),
		T(several_messages_fail),
		T(msi_behind_a_bridge),
		T(x2apic_destinations),
		T(ioapic_remapping),
		T(without_remapping),
		T(table_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
