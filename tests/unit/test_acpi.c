// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of ACPI table discovery and of the tables that describe the platform.
// links: hypervisor/drivers/acpi/tables.c hypervisor/drivers/acpi/madt.c hypervisor/drivers/acpi/platform.c
// links: hypervisor/drivers/acpi/sleep.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/errno.h>

#include "acpi_fixture.h"

static struct fake_memory mem;
static struct acpi acpi;
static const char *reason;

static int setup(void **state)
{
	(void)state;
	fake_clear(&mem);
	reason = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unmap_all(&mem);
	return 0;
}

static int init(const void *rsdp, uint32_t len)
{
	const struct acpi_mapper mapper = {.map = fake_map, .ctx = &mem};

	return acpi_init(&acpi, rsdp, len, &mapper, &reason);
}

static const uint64_t *usual_tables(void)
{
	static uint64_t paddr[6];

	paddr[0] = fake_put(&mem, qemu_facp, sizeof(qemu_facp));
	paddr[1] = fake_put(&mem, qemu_madt, sizeof(qemu_madt));
	paddr[2] = fake_put(&mem, qemu_hpet, sizeof(qemu_hpet));
	paddr[3] = fake_put(&mem, qemu_mcfg, sizeof(qemu_mcfg));
	paddr[4] = fake_put(&mem, qemu_dmar, sizeof(qemu_dmar));
	paddr[5] = fake_put_table(&mem, "SSDT", "x", 1);
	return paddr;
}

static void test_discovery(void **state)
{
	const struct acpi_table *table;
	uint8_t rsdp[ACPI_RSDP_V2_SIZE];

	(void)state;
	for (int xsdt = 0; xsdt < 2; xsdt++) {
		fake_clear(&mem);
		fake_root(&mem, xsdt, 6, usual_tables(), rsdp);
		assert_int_equal(init(rsdp, xsdt ? 36 : 20), 0);
		assert_int_equal(acpi.nr_tables, 6);
		assert_int_equal(acpi.root_is_xsdt, xsdt);
		assert_memory_equal(acpi.oem_id, "TESTER", 6);
		assert_int_equal(acpi_find(&acpi, "DMAR", 0, &table, &reason), 0);
		assert_int_equal(table->len, sizeof(qemu_dmar));
		assert_memory_equal(table->data, qemu_dmar, sizeof(qemu_dmar));
		assert_int_equal(acpi_find(&acpi, "DMAR", 1, &table, &reason), -ENOENT);
		assert_int_equal(acpi_find(&acpi, "IVRS", 0, &table, &reason), -ENOENT);
	}
}

static void test_rsdp_errors(void **state)
{
	uint8_t rsdp[ACPI_RSDP_V2_SIZE];

	(void)state;
	fake_root(&mem, true, 6, usual_tables(), rsdp);
	for (uint32_t len = 0; len < 36; len++)
		assert_int_equal(init(rsdp, len), -EINVAL);
	for (unsigned int i = 0; i < 36; i++) {
		if (i == 20) /* a greater length: the copy ends before it, so there is no sum */
			i += 4;
		rsdp[i] ^= 0x10;
		assert_int_equal(init(rsdp, 36), -EINVAL);
		rsdp[i] ^= 0x10;
	}
	assert_int_equal(init(rsdp, 36), 0);

	/* Revision 2 without XSDT falls back to the RSDT. */
	fake_clear(&mem);
	fake_root(&mem, false, 6, usual_tables(), rsdp);
	rsdp[15] = 2;
	rsdp[8] = 0;
	rsdp[8] = (uint8_t)-acpi_checksum(rsdp, 20);
	store_u32(rsdp + 20, 36);
	rsdp[32] = (uint8_t)-acpi_checksum(rsdp, 36);
	assert_int_equal(init(rsdp, 36), 0);
	assert_false(acpi.root_is_xsdt);
	assert_int_equal(acpi.nr_tables, 6);
}

static void test_root_errors(void **state)
{
	uint8_t rsdp[ACPI_RSDP_V2_SIZE];
	uint64_t many[ACPI_MAX_TABLES + 1];
	uint8_t *root;

	(void)state;
	fake_root(&mem, true, 6, usual_tables(), rsdp);
	root = mem.bytes + (load_u64(rsdp + 24) - FAKE_BASE);
	root[40] ^= 1;
	assert_int_equal(init(rsdp, 36), -EINVAL);
	assert_non_null(strstr(reason, "checksum"));
	root[40] ^= 1;
	memcpy(root, "YSDT", 4);
	seal_table(root, 36 + 48);
	assert_int_equal(init(rsdp, 36), -EINVAL);
	memcpy(root, "XSDT", 4);
	store_u32(root + 4, 35);
	assert_int_equal(init(rsdp, 36), -EINVAL);
	store_u32(root + 4, ACPI_MAX_TABLE_SIZE + 1);
	assert_int_equal(init(rsdp, 36), -EINVAL);
	store_u32(root + 4, FAKE_SIZE);
	assert_int_equal(init(rsdp, 36), -EINVAL);
	/* Half an entry at the end is not an entry. */
	seal_table(root, 36 + 44);
	assert_int_equal(init(rsdp, 36), 0);
	assert_int_equal(acpi.nr_tables, 5);

	fake_clear(&mem);
	for (unsigned int i = 0; i <= ACPI_MAX_TABLES; i++)
		many[i] = FAKE_BASE;
	(void)usual_tables();
	fake_root(&mem, true, ACPI_MAX_TABLES + 1, many, rsdp);
	assert_int_equal(init(rsdp, 36), -EINVAL);
}

static void test_bad_table_is_kept_with_its_problem(void **state)
{
	const struct acpi_table *table;
	uint8_t rsdp[ACPI_RSDP_V2_SIZE];
	uint64_t paddr[8];

	(void)state;
	memcpy(paddr, usual_tables(), 6 * sizeof(paddr[0]));
	paddr[6] = FAKE_BASE - 0x1000; /* not mapped */
	paddr[7] = UINT64_MAX - 10;    /* wraps */
	mem.bytes[paddr[4] - FAKE_BASE + 50] ^= 1;
	fake_root(&mem, true, 8, paddr, rsdp);
	assert_int_equal(init(rsdp, 36), 0);
	assert_int_equal(acpi.nr_tables, 8);
	assert_int_equal(acpi_find(&acpi, "DMAR", 0, &table, &reason), -EINVAL);
	assert_non_null(strstr(reason, "checksum"));
	assert_non_null(acpi.tables[6].problem);
	assert_non_null(acpi.tables[7].problem);
	assert_int_equal(acpi_find(&acpi, "HPET", 0, &table, &reason), 0);
}

/* ---- MADT ---- */

static void test_madt(void **state)
{
	struct acpi_table table = fake_table(&mem, qemu_madt, sizeof(qemu_madt));
	static struct acpi_madt madt;

	(void)state;
	assert_int_equal(acpi_parse_madt(&table, &madt, &reason), 0);
	assert_true(madt.lapic_paddr == 0xfee00000);
	assert_int_equal(madt.flags, ACPI_MADT_PCAT_COMPAT);
	assert_int_equal(madt.nr_cpus, 2);
	assert_int_equal(madt.cpus[1].apic_id, 1);
	assert_true(madt.cpus[1].enabled);
	assert_int_equal(madt.nr_ioapics, 1);
	assert_int_equal(madt.ioapics[0].paddr, 0xfec00000);
	assert_int_equal(madt.nr_overrides, 5);
	assert_int_equal(madt.overrides[0].source, 0);
	assert_int_equal(madt.overrides[0].gsi, 2);
	assert_int_equal(madt.overrides[2].source, 9);
	assert_int_equal(madt.overrides[2].flags,
			 ACPI_INTI_POLARITY_HIGH | ACPI_INTI_TRIGGER_LEVEL);
	assert_int_equal(madt.nr_lapic_nmis, 1);
	assert_true(madt.lapic_nmis[0].uid == ACPI_UID_ALL);
	assert_int_equal(madt.lapic_nmis[0].lint, 1);
}

/* Parses a MADT made of these entries. */
static int madt_of(const uint8_t *entries, uint32_t len, struct acpi_madt *madt)
{
	uint8_t body[4096] = {0};
	uint64_t paddr;
	struct acpi_table table;

	memcpy(body + 8, entries, len);
	fake_clear(&mem);
	paddr = fake_put_table(&mem, "APIC", body, 8 + len);
	table = fake_table(&mem, mem.bytes + (paddr - FAKE_BASE), 44 + len);
	return acpi_parse_madt(&table, madt, &reason);
}

static void test_madt_all_entries(void **state)
{
	static const uint8_t entries[] = {
		/* x2APIC 0x12345 uid 7, the same again, a disabled one that may come later */
		9,
		16,
		0,
		0,
		0x45,
		0x23,
		1,
		0,
		1,
		0,
		0,
		0,
		7,
		0,
		0,
		0,
		9,
		16,
		0,
		0,
		0x45,
		0x23,
		1,
		0,
		1,
		0,
		0,
		0,
		8,
		0,
		0,
		0,
		0,
		8,
		3,
		4,
		2,
		0,
		0,
		0,
		0,
		8,
		5,
		0xff,
		0,
		0,
		0,
		0,
		9,
		16,
		0,
		0,
		0xff,
		0xff,
		0xff,
		0xff,
		0,
		0,
		0,
		0,
		9,
		0,
		0,
		0,
		/* NMI source on GSI 20, x2APIC NMI for all, address override, unknown */
		3,
		8,
		5,
		0,
		20,
		0,
		0,
		0,
		10,
		12,
		0,
		0,
		0xff,
		0xff,
		0xff,
		0xff,
		1,
		0,
		0,
		0,
		5,
		12,
		0,
		0,
		0,
		0,
		0xe0,
		0xfe,
		1,
		0,
		0,
		0,
		200,
		5,
		1,
		2,
		3,
	};
	static struct acpi_madt madt;

	(void)state;
	assert_int_equal(madt_of(entries, sizeof(entries), &madt), 0);
	assert_int_equal(madt.nr_cpus, 2);
	assert_int_equal(madt.cpus[0].apic_id, 0x12345);
	assert_int_equal(madt.cpus[0].uid, 7);
	assert_false(madt.cpus[1].enabled);
	assert_true(madt.cpus[1].online_capable);
	assert_int_equal(madt.nr_nmi_sources, 1);
	assert_int_equal(madt.nmi_sources[0].gsi, 20);
	assert_int_equal(madt.nmi_sources[0].flags, 5);
	assert_true(madt.lapic_nmis[0].uid == ACPI_UID_ALL);
	assert_true(madt.lapic_paddr == UINT64_C(0x1fee00000));
}

static void test_madt_errors(void **state)
{
	static const struct {
		uint8_t bytes[12];
		uint32_t len;
	} bad[] = {
		{{0}, 1},
		{{0, 0}, 2},
		{{0, 1}, 2},
		{{99, 3, 0, 0}, 2},
		{{0, 7, 0, 0, 0, 0, 0}, 7},
		{{1, 11}, 11},
		{{1, 12, 1}, 12},
		{{2, 9}, 9},
		{{4, 6, 0, 0, 0, 2}, 6},
		{{0, 8, 0, 0, 1}, 7},
	};
	static struct acpi_madt madt;
	uint8_t many[12 * (ACPI_MAX_IOAPICS + 1)];
	struct acpi_table table;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(madt_of(bad[i].bytes, bad[i].len, &madt), -EINVAL);
	for (unsigned int i = 0; i <= ACPI_MAX_IOAPICS; i++) {
		uint8_t entry[12] = {1, 12, (uint8_t)i, 0, 0, 0, 0xc0, 0xfe};

		memcpy(many + 12 * i, entry, 12);
	}
	assert_int_equal(madt_of(many, sizeof(many), &madt), -E2BIG);
	assert_int_equal(madt_of(many, sizeof(many) - 12, &madt), 0);
	table = fake_table(&mem, qemu_madt, 43);
	assert_int_equal(acpi_parse_madt(&table, &madt, &reason), -EINVAL);
}

static void test_madt_with_too_many_cpus(void **state)
{
	static uint8_t entries[8192];
	static struct acpi_madt madt;
	static uint8_t table_bytes[44 + sizeof(entries)];
	unsigned int nr = ACPI_MAX_CPUS;
	struct acpi_table table;

	(void)state;
	for (unsigned int i = 0; i < nr; i++) {
		entries[16 * i] = 9;
		entries[16 * i + 1] = 16;
		store_u32(entries + 16 * i + 4, 2 * i);
		store_u32(entries + 16 * i + 8, 1);
	}
	memcpy(table_bytes + 44, entries, sizeof(entries));
	/* One more in the old form. */
	memcpy(table_bytes, "APIC", 4);
	table = fake_table(&mem, table_bytes, sizeof(table_bytes));
	assert_int_equal(acpi_parse_madt(&table, &madt, &reason), 0);
	assert_int_equal(madt.nr_cpus, ACPI_MAX_CPUS);
	assert_int_equal(madt.nr_cpus_dropped, 0);
	{
		static uint8_t more[sizeof(table_bytes) + 8];

		memcpy(more, table_bytes, sizeof(table_bytes));
		more[sizeof(table_bytes)] = 0;
		more[sizeof(table_bytes) + 1] = 8;
		more[sizeof(table_bytes) + 3] = 77;
		table = fake_table(&mem, more, sizeof(more));
		assert_int_equal(acpi_parse_madt(&table, &madt, &reason), 0);
		assert_int_equal(madt.nr_cpus, ACPI_MAX_CPUS);
		assert_int_equal(madt.nr_cpus_dropped, 1);
	}
}

/* ---- FADT, HPET, MCFG ---- */

static void test_fadt(void **state)
{
	struct acpi_table table = fake_table(&mem, qemu_facp, sizeof(qemu_facp));
	struct acpi_fadt fadt;

	(void)state;
	assert_int_equal(acpi_parse_fadt(&table, &fadt, &reason), 0);
	assert_int_equal(fadt.revision, 3);
	assert_int_equal(fadt.sci_int, 9);
	assert_int_equal(fadt.smi_cmd, 0xb2);
	assert_int_equal(fadt.acpi_enable, 2);
	assert_int_equal(fadt.pm1a_evt.address, 0x600);
	assert_int_equal(fadt.pm1a_cnt.address, 0x604);
	assert_int_equal(fadt.pm1a_cnt.space, ACPI_SPACE_IO);
	assert_int_equal(fadt.pm1a_cnt.bits, 16);
	assert_int_equal(fadt.pm1b_cnt.address, 0);
	assert_int_equal(fadt.pm_tmr.address, 0x608);
	assert_int_equal(fadt.pm_tmr.bits, 32);
	assert_true(fadt.flags & ACPI_FADT_RESET_REG_SUP);
	assert_int_equal(fadt.reset_reg.address, 0xcf9);
	assert_int_equal(fadt.reset_value, 0x0f);
	assert_int_equal(fadt.boot_arch, 2);
	assert_int_equal(fadt.dsdt_paddr, 0x3fe0040);
	assert_int_equal(fadt.century, 0x32);
}

static void test_fadt_version_1(void **state)
{
	uint8_t bytes[116];
	struct acpi_table table;
	struct acpi_fadt fadt;

	(void)state;
	memcpy(bytes, qemu_facp, sizeof(bytes));
	bytes[8] = 1;
	store_u32(bytes + 68, 0x700); /* PM1b control */
	table = fake_table(&mem, bytes, sizeof(bytes));
	assert_int_equal(acpi_parse_fadt(&table, &fadt, &reason), 0);
	assert_int_equal(fadt.pm_tmr.address, 0x608);
	assert_int_equal(fadt.pm_tmr.space, ACPI_SPACE_IO);
	assert_int_equal(fadt.pm_tmr.bits, 32);
	assert_int_equal(fadt.pm1b_cnt.address, 0x700);
	assert_int_equal(fadt.reset_reg.address, 0);
	assert_int_equal(fadt.boot_arch, 0);
	assert_int_equal(fadt.dsdt_paddr, 0x3fe0040);
	table.len = 115;
	assert_int_equal(acpi_parse_fadt(&table, &fadt, &reason), -EINVAL);
}

static void test_fadt_x_fields_win(void **state)
{
	uint8_t bytes[sizeof(qemu_facp)];
	struct acpi_table table;
	struct acpi_fadt fadt;

	(void)state;
	memcpy(bytes, qemu_facp, sizeof(bytes));
	store_u64(bytes + 140, UINT64_C(0x123456789));
	bytes[172] = ACPI_SPACE_MEMORY;
	store_u64(bytes + 176, 0xfed80804);
	store_u64(bytes + 212, 0); /* no X_PM_TMR_BLK: the old field counts */
	bytes[91] = 0;		   /* and says there is none */
	table = fake_table(&mem, bytes, sizeof(bytes));
	assert_int_equal(acpi_parse_fadt(&table, &fadt, &reason), 0);
	assert_true(fadt.dsdt_paddr == UINT64_C(0x123456789));
	assert_true(fadt.pm1a_cnt.address == 0xfed80804);
	assert_int_equal(fadt.pm1a_cnt.space, ACPI_SPACE_MEMORY);
	assert_int_equal(fadt.pm_tmr.address, 0);
}

static void test_hpet(void **state)
{
	struct acpi_table table = fake_table(&mem, qemu_hpet, sizeof(qemu_hpet));
	uint8_t bytes[sizeof(qemu_hpet)];
	struct acpi_hpet hpet;

	(void)state;
	assert_int_equal(acpi_parse_hpet(&table, &hpet, &reason), 0);
	assert_true(hpet.base.address == 0xfed00000);
	assert_int_equal(hpet.block_id, 0x8086a201);
	table.len--;
	assert_int_equal(acpi_parse_hpet(&table, &hpet, &reason), -EINVAL);
	memcpy(bytes, qemu_hpet, sizeof(bytes));
	store_u64(bytes + 44, 0);
	table = fake_table(&mem, bytes, sizeof(bytes));
	assert_int_equal(acpi_parse_hpet(&table, &hpet, &reason), -EINVAL);
}

static void test_mcfg(void **state)
{
	struct acpi_table table = fake_table(&mem, qemu_mcfg, sizeof(qemu_mcfg));
	uint8_t bytes[sizeof(qemu_mcfg)];
	struct acpi_mcfg mcfg;

	(void)state;
	assert_int_equal(acpi_parse_mcfg(&table, &mcfg, &reason), 0);
	assert_int_equal(mcfg.nr, 1);
	assert_true(mcfg.windows[0].paddr == 0xb0000000);
	assert_int_equal(mcfg.windows[0].end_bus, 255);
	table.len--;
	assert_int_equal(acpi_parse_mcfg(&table, &mcfg, &reason), -EINVAL);
	memcpy(bytes, qemu_mcfg, sizeof(bytes));
	bytes[54] = 1;
	bytes[55] = 0;
	table = fake_table(&mem, bytes, sizeof(bytes));
	assert_int_equal(acpi_parse_mcfg(&table, &mcfg, &reason), -EINVAL);
	bytes[54] = 0;
	store_u64(bytes + 44, 0xb0001000);
	table = fake_table(&mem, bytes, sizeof(bytes));
	assert_int_equal(acpi_parse_mcfg(&table, &mcfg, &reason), -EINVAL);
}

/* ---- soft-off ---- */

static int s5_of(const void *dsdt, uint32_t len, const void *ssdt, uint32_t ssdt_len,
		 struct acpi_sleep_type *ret)
{
	uint8_t rsdp[ACPI_RSDP_V2_SIZE];
	struct acpi_fadt fadt = {0};
	uint64_t paddr[1];

	fake_clear(&mem);
	fadt.dsdt_paddr = fake_put_table(&mem, "DSDT", dsdt, len);
	paddr[0] = fake_put_table(&mem, "SSDT", ssdt, ssdt_len);
	fake_root(&mem, true, 1, paddr, rsdp);
	assert_int_equal(init(rsdp, 36), 0);
	return acpi_find_s5(&acpi, &fadt, ret, &reason);
}

#define S5(...)                               \
 {                                            \
  0x10, 0x08, '_', 'S', '5', '_', __VA_ARGS__ \
 }

static void test_s5_forms(void **state)
{
	static const struct {
		uint8_t aml[24];
		uint8_t typ_a, typ_b;
	} good[] = {
		{S5(0x12, 6, 4, 0, 0, 0, 0), 0, 0},
		{S5(0x12, 8, 4, 0x0a, 5, 0x0a, 7, 0, 0), 5, 7},
		{S5(0x12, 0x40, 1, 4, 0x0b, 7, 0, 1, 0, 0), 7, 1}, /* two-byte length: see below */
		{S5(0x12, 13, 2, 0x0c, 5, 0, 0, 0, 0x0c, 6, 0, 0, 0), 5, 6},
		{S5(0x12, 5, 1, 0x0b, 5, 4), 5, 4}, /* both in one integer */
		{{0x10, 0x08, '\\', '_', 'S', '5', '_', 0x12, 5, 2, 0x0a, 5, 0}, 5, 0},
	};
	struct acpi_sleep_type s5;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint8_t aml[24];

		memcpy(aml, good[i].aml, sizeof(aml));
		if (aml[7] == 0x40) /* 0x40 | low nibble, then bits 11:4 */
			aml[7] = 0x40 | 9, aml[8] = 0;
		memset(&s5, 0xff, sizeof(s5));
		assert_int_equal(s5_of(aml, sizeof(aml), "-", 1, &s5), 0);
		assert_int_equal(s5.typ_a, good[i].typ_a);
		assert_int_equal(s5.typ_b, good[i].typ_b);
		/* In an SSDT as well. */
		memset(&s5, 0xff, sizeof(s5));
		assert_int_equal(s5_of("-", 1, aml, sizeof(aml), &s5), 0);
		assert_int_equal(s5.typ_a, good[i].typ_a);
	}
}

static void test_s5_not_found(void **state)
{
	static const uint8_t bad[][16] = {
		S5(0x12, 6, 4, 0x0a, 8, 0, 0), /* no such sleep type */
		S5(0x12, 2, 4, 0, 0),	       /* package ends before the values */
		S5(0x12, 0, 4, 0, 0),
		S5(0x12, 0x3f, 4, 0, 0),	    /* package exceeds the table */
		S5(0x12, 6, 0, 0, 0),		    /* no elements */
		S5(0x12, 6, 4, 'X', 'Y', 'Z', '_'), /* a reference */
		S5(0x11, 6, 4, 0, 0),		    /* a buffer */
		{0x10, 0x09, '_', 'S', '5', '_', 0x12, 6, 4, 0, 0, 0, 0},
		{0x10, 0x00, '_', 'S', '4', '_', 0x12, 6, 4, 0, 0, 0, 0},
	};
	struct acpi_sleep_type s5 = {99, 99};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(s5_of(bad[i], 16, "-", 1, &s5), -ENOENT);
	/* Cut anywhere: not found, and nothing read beyond the end. */
	for (uint32_t len = 1; len < 11; len++) {
		static const uint8_t whole[] = S5(0x12, 8, 4, 0x0a, 5, 0x0a, 7, 0, 0);

		assert_int_equal(s5_of(whole, len, "-", 1, &s5), -ENOENT);
	}
	assert_int_equal(s5.typ_a, 99);
}

static void test_s5_without_dsdt(void **state)
{
	const struct acpi_fadt fadt = {.dsdt_paddr = FAKE_BASE - 1};
	uint8_t rsdp[ACPI_RSDP_V2_SIZE];
	struct acpi_sleep_type s5;

	(void)state;
	fake_root(&mem, true, 6, usual_tables(), rsdp);
	assert_int_equal(init(rsdp, 36), 0);
	assert_int_equal(acpi_find_s5(&acpi, &fadt, &s5, &reason), -EINVAL);
	assert_non_null(reason);
}

/* Every table, cut at every length: an answer, and no byte read beyond the end. */
static void test_truncated_tables(void **state)
{
	static const struct {
		const uint8_t *bytes;
		size_t len;
	} tables[] = {
		{qemu_facp, sizeof(qemu_facp)},
		{qemu_madt, sizeof(qemu_madt)},
		{qemu_hpet, sizeof(qemu_hpet)},
		{qemu_mcfg, sizeof(qemu_mcfg)},
	};
	static struct acpi_madt madt;
	struct acpi_fadt fadt;
	struct acpi_hpet hpet;
	struct acpi_mcfg mcfg;

	(void)state;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (size_t len = ACPI_HEADER_SIZE; len <= tables[i].len; len++) {
			struct acpi_table t;
			int rc[4];

			fake_clear(&mem);
			t = fake_table(&mem, tables[i].bytes, len);
			rc[0] = acpi_parse_fadt(&t, &fadt, &reason);
			rc[1] = acpi_parse_madt(&t, &madt, &reason);
			rc[2] = acpi_parse_hpet(&t, &hpet, &reason);
			rc[3] = acpi_parse_mcfg(&t, &mcfg, &reason);
			if (len == tables[i].len)
				assert_int_equal(rc[i], 0);
		}
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_discovery),
		T(test_rsdp_errors),
		T(test_root_errors),
		T(test_bad_table_is_kept_with_its_problem),
		T(test_madt),
		T(test_madt_all_entries),
		T(test_madt_errors),
		T(test_madt_with_too_many_cpus),
		T(test_fadt),
		T(test_fadt_version_1),
		T(test_fadt_x_fields_win),
		T(test_hpet),
		T(test_mcfg),
		T(test_s5_forms),
		T(test_s5_not_found),
		T(test_s5_without_dsdt),
		T(test_truncated_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
