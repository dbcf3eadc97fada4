// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of ACPI table discovery and of the table parsers.
// links: hypervisor/drivers/acpi/tables.c hypervisor/drivers/acpi/madt.c hypervisor/drivers/acpi/platform.c
// links: hypervisor/drivers/acpi/dmar.c hypervisor/drivers/acpi/ivrs.c hypervisor/drivers/acpi/sleep.c
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

/* A table as the parsers get it, in a heap block of its exact size. */
static struct acpi_table table_of(const void *bytes, size_t len)
{
	struct acpi_table table = {.paddr = FAKE_BASE, .len = (uint32_t)len};

	assert_true(fake_put(&mem, bytes, len) != 0);
	table.data = fake_map(&mem, FAKE_BASE + mem.used - len, (uint32_t)len);
	assert_non_null(table.data);
	memcpy(table.signature, bytes, 4);
	table.revision = table.data[8];
	return table;
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
	struct acpi_table table = table_of(qemu_madt, sizeof(qemu_madt));
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
	table = table_of(mem.bytes + (paddr - FAKE_BASE), 44 + len);
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
	table = table_of(qemu_madt, 43);
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
	table = table_of(table_bytes, sizeof(table_bytes));
	assert_int_equal(acpi_parse_madt(&table, &madt, &reason), 0);
	assert_int_equal(madt.nr_cpus, ACPI_MAX_CPUS);
	assert_int_equal(madt.nr_cpus_dropped, 0);
	{
		static uint8_t more[sizeof(table_bytes) + 8];

		memcpy(more, table_bytes, sizeof(table_bytes));
		more[sizeof(table_bytes)] = 0;
		more[sizeof(table_bytes) + 1] = 8;
		more[sizeof(table_bytes) + 3] = 77;
		table = table_of(more, sizeof(more));
		assert_int_equal(acpi_parse_madt(&table, &madt, &reason), 0);
		assert_int_equal(madt.nr_cpus, ACPI_MAX_CPUS);
		assert_int_equal(madt.nr_cpus_dropped, 1);
	}
}

/* ---- FADT, HPET, MCFG ---- */

static void test_fadt(void **state)
{
	struct acpi_table table = table_of(qemu_facp, sizeof(qemu_facp));
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
	table = table_of(bytes, sizeof(bytes));
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
	table = table_of(bytes, sizeof(bytes));
	assert_int_equal(acpi_parse_fadt(&table, &fadt, &reason), 0);
	assert_true(fadt.dsdt_paddr == UINT64_C(0x123456789));
	assert_true(fadt.pm1a_cnt.address == 0xfed80804);
	assert_int_equal(fadt.pm1a_cnt.space, ACPI_SPACE_MEMORY);
	assert_int_equal(fadt.pm_tmr.address, 0);
}

static void test_hpet(void **state)
{
	struct acpi_table table = table_of(qemu_hpet, sizeof(qemu_hpet));
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
	table = table_of(bytes, sizeof(bytes));
	assert_int_equal(acpi_parse_hpet(&table, &hpet, &reason), -EINVAL);
}

static void test_mcfg(void **state)
{
	struct acpi_table table = table_of(qemu_mcfg, sizeof(qemu_mcfg));
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
	table = table_of(bytes, sizeof(bytes));
	assert_int_equal(acpi_parse_mcfg(&table, &mcfg, &reason), -EINVAL);
	bytes[54] = 0;
	store_u64(bytes + 44, 0xb0001000);
	table = table_of(bytes, sizeof(bytes));
	assert_int_equal(acpi_parse_mcfg(&table, &mcfg, &reason), -EINVAL);
}

/* ---- DMAR ---- */

static struct acpi_dmar dmar;

static int dmar_of(const uint8_t *entries, uint32_t len)
{
	uint8_t body[8192] = {0};
	struct acpi_table table;
	uint64_t paddr;

	body[0] = 47;
	body[1] = 3;
	memcpy(body + 12, entries, len);
	fake_clear(&mem);
	paddr = fake_put_table(&mem, "DMAR", body, 12 + len);
	table = table_of(mem.bytes + (paddr - FAKE_BASE), 48 + len);
	return acpi_parse_dmar(&table, &dmar, &reason);
}

static void test_dmar(void **state)
{
	struct acpi_table table = table_of(qemu_dmar, sizeof(qemu_dmar));
	struct acpi_scope scope;
	uint32_t pos = 0;

	(void)state;
	assert_int_equal(acpi_parse_dmar(&table, &dmar, &reason), 0);
	assert_int_equal(dmar.address_bits, 48);
	assert_int_equal(dmar.flags, ACPI_DMAR_INTR_REMAP);
	assert_int_equal(dmar.nr_drhds, 1);
	assert_false(dmar.drhds[0].include_all);
	assert_true(dmar.drhds[0].paddr == 0xfed90000);
	assert_int_equal(acpi_scope_next(&dmar.drhds[0].scopes, &pos, &scope), 1);
	assert_int_equal(scope.type, ACPI_SCOPE_IOAPIC);
	assert_int_equal(scope.enumeration_id, 0);
	assert_int_equal(scope.start_bus, 0xff);
	assert_int_equal(scope.nr_path, 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(acpi_scope_next(&dmar.drhds[0].scopes, &pos, &scope), 1);
	assert_int_equal(scope.type, ACPI_SCOPE_ENDPOINT);
	assert_int_equal(scope.path[0].device, 0x1f);
	assert_int_equal(scope.path[0].function, 3);
	assert_int_equal(acpi_scope_next(&dmar.drhds[0].scopes, &pos, &scope), 0);
}

static void test_dmar_all_entries(void **state)
{
	static const uint8_t entries[] = {
		/* DRHD segment 1 at 0xfed91000 for everything, with an HPET behind two bridges */
		0,
		0,
		26,
		0,
		1,
		0,
		1,
		0,
		0,
		0x10,
		0xd9,
		0xfe,
		0,
		0,
		0,
		0,
		4,
		10,
		0,
		0,
		2,
		0x80,
		0x1c,
		0,
		0,
		7,
		/* RMRR 0x7b800000-0x7f7fffff for 00:02.0 */
		1,
		0,
		32,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0x80,
		0x7b,
		0,
		0,
		0,
		0,
		0xff,
		0xff,
		0x7f,
		0x7f,
		0,
		0,
		0,
		0,
		1,
		8,
		0,
		0,
		0,
		0,
		2,
		0,
		/* ATSR for all ports, RHSA, ANDD */
		2,
		0,
		8,
		0,
		1,
		0,
		2,
		0,
		3,
		0,
		20,
		0,
		0,
		0,
		0,
		0,
		0,
		0x10,
		0xd9,
		0xfe,
		0,
		0,
		0,
		0,
		5,
		0,
		0,
		0,
		4,
		0,
		10,
		0,
		0,
		0,
		0,
		1,
		'x',
		0,
	};
	struct acpi_scope scope;
	uint32_t pos = 0;

	(void)state;
	assert_int_equal(dmar_of(entries, sizeof(entries)), 0);
	assert_int_equal(dmar.flags, ACPI_DMAR_INTR_REMAP | ACPI_DMAR_X2APIC_OPT_OUT);
	assert_true(dmar.drhds[0].include_all);
	assert_int_equal(dmar.drhds[0].segment, 1);
	assert_int_equal(acpi_scope_next(&dmar.drhds[0].scopes, &pos, &scope), 1);
	assert_int_equal(scope.type, ACPI_SCOPE_HPET);
	assert_int_equal(scope.nr_path, 2);
	assert_int_equal(scope.path[0].device, 0x1c);
	assert_int_equal(scope.path[1].function, 7);
	assert_int_equal(dmar.nr_rmrrs, 1);
	assert_true(dmar.rmrrs[0].start == 0x7b800000 && dmar.rmrrs[0].end == 0x7f800000);
	assert_int_equal(dmar.rmrrs[0].scopes.len, 8);
	assert_true(dmar.nr_atsrs == 1 && dmar.atsrs[0].all_ports && dmar.atsrs[0].segment == 2);
	assert_true(dmar.nr_rhsas == 1 && dmar.rhsas[0].proximity_domain == 5);
}

static void test_dmar_errors(void **state)
{
#define DRHD_AT(b) 0, 0, 0, b, 0xd9, 0xfe, 0, 0, 0, 0
	static const struct {
		uint8_t bytes[40];
		uint32_t len;
	} bad[] = {
		{{0}, 3},
		{{9, 0, 3, 0}, 4},
		{{9, 0, 5, 0}, 4},
		{{0, 0, 15, 0}, 15},
		{{0, 0, 16, 0, 0, 0, DRHD_AT(0x11) - 0}, 15},
		{{0, 0, 16, 0, 0, 0, 0, 0, 1, 0, 0xd9, 0xfe}, 16}, /* misaligned */
		{{0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 16},	   /* no address */
		{{0, 0, 18, 0, 0, 0, DRHD_AT(0), 1, 8}, 18},	   /* scope cut */
		{{0, 0, 24, 0, 0, 0, DRHD_AT(0), 1, 9, 0, 0, 0, 0, 0, 0}, 24},
		{{0, 0, 24, 0, 0, 0, DRHD_AT(0), 1, 6, 0, 0, 0, 0, 0, 0}, 24},
		{{0, 0, 24, 0, 0, 0, DRHD_AT(0), 1, 0, 0, 0, 0, 0, 0, 0}, 24},
		{{0, 0, 24, 0, 0, 0, DRHD_AT(0), 1, 8, 0, 0, 0, 0, 32, 0}, 24}, /* device 32 */
		{{0, 0, 24, 0, 0, 0, DRHD_AT(0), 1, 8, 0, 0, 0, 0, 0, 8}, 24},
		{{0, 0, 25, 0, 0, 0, DRHD_AT(0), 1, 9, 0, 0, 0, 0, 0, 0, 0}, 25},
		{{1, 0, 23, 0}, 23},
		{{1, 0, 24, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0xff, 0x0e}, 24},
		{{2, 0, 7, 0}, 7},
		{{3, 0, 19, 0}, 19},
	};
	uint8_t many[16 * (ACPI_MAX_IOMMUS + 1)];
	struct acpi_table table;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(dmar_of(bad[i].bytes, bad[i].len), -EINVAL);
	table = table_of(qemu_dmar, 47);
	assert_int_equal(acpi_parse_dmar(&table, &dmar, &reason), -EINVAL);

	memset(many, 0, sizeof(many));
	for (unsigned int i = 0; i <= ACPI_MAX_IOMMUS; i++) {
		many[16 * i + 2] = 16;
		store_u32(many + 16 * i + 8, 0xfed00000 + 0x1000 * i);
	}
	assert_int_equal(dmar_of(many, sizeof(many)), -E2BIG);
	assert_int_equal(dmar_of(many, sizeof(many) - 16), 0);
	store_u32(many + 16 + 8, 0xfed00000);
	assert_int_equal(dmar_of(many, 32), -EINVAL); /* the same unit twice */
}

static void test_scope_path_too_long(void **state)
{
	uint8_t bytes[6 + 2 * (ACPI_MAX_SCOPE_PATH + 1)] = {2, sizeof(bytes)};
	struct acpi_scope_list list = {.data = bytes, .len = sizeof(bytes)};
	struct acpi_scope scope;
	uint32_t pos = 0;

	(void)state;
	assert_int_equal(acpi_scope_next(&list, &pos, &scope), -EINVAL);
	bytes[1] -= 2;
	list.len -= 2;
	assert_int_equal(acpi_scope_next(&list, &pos, &scope), 1);
	assert_int_equal(scope.nr_path, ACPI_MAX_SCOPE_PATH);
}

/* ---- IVRS ---- */

static struct acpi_ivrs ivrs;

static int ivrs_of(const uint8_t *blocks, uint32_t len)
{
	uint8_t body[8192] = {0};
	struct acpi_table table;
	uint64_t paddr;

	memcpy(body + 12, blocks, len);
	fake_clear(&mem);
	paddr = fake_put_table(&mem, "IVRS", body, 12 + len);
	table = table_of(mem.bytes + (paddr - FAKE_BASE), 48 + len);
	return acpi_parse_ivrs(&table, &ivrs, &reason);
}

static void test_ivrs(void **state)
{
	struct acpi_table table = table_of(qemu_ivrs, sizeof(qemu_ivrs));
	struct acpi_ivhd_entry e;
	uint32_t pos = 0;
	int nr = 0, rc;

	(void)state;
	assert_int_equal(acpi_parse_ivrs(&table, &ivrs, &reason), 0);
	assert_int_equal(ivrs.info, 0x2800);
	assert_int_equal(ivrs.nr_ivhds, 1);
	assert_int_equal(ivrs.ivhds[0].type, 0x10);
	assert_int_equal(ivrs.ivhds[0].device_id, 8);
	assert_int_equal(ivrs.ivhds[0].capability, 0x40);
	assert_true(ivrs.ivhds[0].paddr == 0xfed80000);
	assert_int_equal(ivrs.ivhds[0].features, 0x44);
	while ((rc = acpi_ivhd_next(&ivrs.ivhds[0], &pos, &e)) > 0)
		nr++;
	assert_int_equal(rc, 0);
	assert_int_equal(nr, 6);
	assert_int_equal(e.kind, ACPI_IVHD_IOAPIC);
	assert_int_equal(e.handle, 0);
	assert_int_equal(e.first_id, 0xa0);
}

#define IVHD10(len, base) \
 0x10, 0x01, len, 0, 2, 0, 0x40, 0, 0, base, 0xd8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define IVHD11(type, len, base)                                                                    \
 type, 0x02, len, 0, 2, 0, 0x40, 0, 0, base, 0xd8, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xef, \
	 0xbe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0

static void test_ivrs_device_entries(void **state)
{
	static const uint8_t blocks[] = {
		IVHD11(0x40, 40 + 80 + 26, 0),
		1,
		0,
		0,
		0xc7, /* all */
		3,
		0x00,
		1,
		0x10,
		0,
		0,
		0,
		0,
		4,
		0xff,
		1,
		0, /* range with padding inside */
		66,
		0x08,
		2,
		1,
		0,
		0x00,
		3,
		0, /* alias */
		67,
		0x00,
		4,
		0,
		0,
		0x10,
		3,
		0,
		4,
		0xff,
		4,
		0, /* alias range */
		70,
		0x00,
		5,
		0,
		0,
		0,
		0,
		0x80, /* extended */
		71,
		0x00,
		6,
		0,
		1,
		0,
		0,
		0,
		4,
		0x07,
		6,
		0, /* extended range */
		72,
		0,
		0,
		0x80,
		3,
		0xa0,
		0,
		2, /* HPET 3 */
		72,
		0,
		0,
		0,
		3,
		0xa0,
		0,
		9, /* unknown variety */
		64,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		240,
		0x40,
		0,
		0,
		'A',
		'M',
		'D',
		'I',
		'0',
		'0',
		'4',
		'0',
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		2,
		4,
		'\\',
		'_',
		'S',
		'B',
	};
	const struct acpi_ivhd *ivhd = &ivrs.ivhds[0];
	struct acpi_ivhd_entry e;
	uint32_t pos = 0;

	(void)state;
	assert_int_equal(ivrs_of(blocks, sizeof(blocks)), 0);
	assert_int_equal(ivhd->efr, 0xbeef);
	assert_int_equal(acpi_ivhd_next(ivhd, &pos, &e), 1);
	assert_int_equal(e.kind, ACPI_IVHD_ALL);
	assert_int_equal(e.last_id, 0xffff);
	assert_int_equal(e.settings, 0xc7);
	assert_int_equal(acpi_ivhd_next(ivhd, &pos, &e), 1);
	assert_int_equal(e.kind, ACPI_IVHD_DEVICES);
	assert_int_equal(e.first_id, 0x100);
	assert_int_equal(e.last_id, 0x1ff);
	assert_false(e.has_alias);
	assert_int_equal(acpi_ivhd_next(ivhd, &pos, &e), 1);
	assert_true(e.has_alias);
	assert_int_equal(e.first_id, 0x208);
	assert_int_equal(e.last_id, 0x208);
	assert_int_equal(e.alias_id, 0x300);
	assert_int_equal(acpi_ivhd_next(ivhd, &pos, &e), 1);
	assert_int_equal(e.last_id, 0x4ff);
	assert_int_equal(e.alias_id, 0x310);
	assert_int_equal(acpi_ivhd_next(ivhd, &pos, &e), 1);
	assert_true(e.extended == ACPI_IVHD_EXT_ATS_DISABLED);
	assert_int_equal(acpi_ivhd_next(ivhd, &pos, &e), 1);
	assert_int_equal(e.extended, 1);
	assert_int_equal(e.last_id, 0x607);
	assert_int_equal(acpi_ivhd_next(ivhd, &pos, &e), 1);
	assert_int_equal(e.kind, ACPI_IVHD_HPET);
	assert_int_equal(e.handle, 3);
	assert_int_equal(e.settings, 0x80);
	assert_int_equal(acpi_ivhd_next(ivhd, &pos, &e), 1);
	assert_int_equal(e.kind, ACPI_IVHD_ACPI);
	assert_int_equal(e.first_id, 0x40);
	assert_memory_equal(e.hid, "AMDI0040", 8);
	assert_int_equal(acpi_ivhd_next(ivhd, &pos, &e), 0);
}

static void test_ivrs_newest_block_wins(void **state)
{
	static const uint8_t blocks[] = {
		IVHD10(24, 0),
		IVHD11(0x40, 40, 0),
		IVHD11(0x11, 40, 0),
	};
	static const uint8_t disagree[] = {IVHD10(24, 0), IVHD11(0x11, 40, 0x10)};

	(void)state;
	assert_int_equal(ivrs_of(blocks, sizeof(blocks)), 0);
	assert_int_equal(ivrs.nr_ivhds, 1);
	assert_int_equal(ivrs.ivhds[0].type, 0x40);
	assert_int_equal(ivrs.ivhds[0].flags, 2);
	assert_int_equal(ivrs_of(disagree, sizeof(disagree)), -EINVAL);
}

static void test_ivrs_memory(void **state)
{
	uint8_t blocks[3 * 32] = {0};

	(void)state;
	for (uint8_t i = 0; i < 3; i++) {
		uint8_t *b = blocks + 32 * i;

		b[0] = (uint8_t)(0x20 + i);
		b[1] = ACPI_IVMD_UNITY | ACPI_IVMD_READ;
		b[2] = 32;
		store_u16(b + 4, 0x100);
		store_u16(b + 6, 0x1ff);
		store_u64(b + 16, 0x7b000000);
		store_u64(b + 24, 0x10000);
	}
	assert_int_equal(ivrs_of(blocks, sizeof(blocks)), 0);
	assert_int_equal(ivrs.nr_ivmds, 3);
	assert_int_equal(ivrs.ivmds[0].first_id, 0);
	assert_int_equal(ivrs.ivmds[0].last_id, 0xffff);
	assert_int_equal(ivrs.ivmds[1].first_id, 0x100);
	assert_int_equal(ivrs.ivmds[1].last_id, 0x100);
	assert_int_equal(ivrs.ivmds[2].last_id, 0x1ff);
	assert_true(ivrs.ivmds[2].start == 0x7b000000 && ivrs.ivmds[2].end == 0x7b010000);

	store_u64(blocks + 64 + 24, UINT64_MAX);
	assert_int_equal(ivrs_of(blocks, sizeof(blocks)), -EINVAL);
	store_u64(blocks + 64 + 24, 0);
	assert_int_equal(ivrs_of(blocks, sizeof(blocks)), 0);
	assert_int_equal(ivrs.nr_ivmds, 2);
	store_u64(blocks + 64 + 24, 1);
	store_u16(blocks + 64 + 6, 0xff);
	assert_int_equal(ivrs_of(blocks, sizeof(blocks)), -EINVAL);
	assert_int_equal(ivrs_of(blocks, 31), -EINVAL);
}

static void test_ivrs_errors(void **state)
{
	static const struct {
		uint8_t bytes[72];
		uint32_t len;
	} bad[] = {
		{{0x10}, 3},
		{{0x99, 0, 3, 0}, 4},
		{{0x99, 0, 5, 0}, 4},
		{{IVHD10(23, 0)}, 23},
		{{IVHD11(0x11, 39, 0)}, 39},
		{{IVHD10(28, 0), 4, 0, 0, 0}, 28},	       /* end without start */
		{{IVHD10(28, 0), 3, 0, 0, 0}, 28},	       /* start without end */
		{{IVHD10(32, 0), 3, 0, 1, 0, 2, 0, 1, 0}, 32}, /* another in between */
		{{IVHD10(32, 0), 3, 0, 1, 0, 4, 0, 0, 0}, 32}, /* ends before it starts */
		{{IVHD10(28, 0), 66, 0, 0, 0}, 28},	       /* eight bytes, four there */
		{{IVHD10(28, 0), 200, 0, 0, 0}, 28},
		{{IVHD10(28, 0), 241, 0, 0, 0}, 28},
		{{IVHD10(46, 0),
		  240,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  0,
		  1,
		  1},
		 46},
		{{0x10, 0, 24, 0, 2, 0, 0, 0, 0, 0, 0, 0}, 24}, /* no address */
		{{0x10, 0, 24, 0, 2, 0, 0, 0, 1, 0, 0xd8}, 24},
	};
	uint8_t many[24 * (ACPI_MAX_IOMMUS + 1)];
	struct acpi_table table;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ivrs_of(bad[i].bytes, bad[i].len), -EINVAL);
	table = table_of(qemu_ivrs, 47);
	assert_int_equal(acpi_parse_ivrs(&table, &ivrs, &reason), -EINVAL);
	for (unsigned int i = 0; i <= ACPI_MAX_IOMMUS; i++) {
		static const uint8_t one[] = {IVHD10(24, 0)};

		memcpy(many + 24 * i, one, 24);
		store_u16(many + 24 * i + 4, (uint16_t)(0x100 * i));
	}
	assert_int_equal(ivrs_of(many, sizeof(many)), -E2BIG);
	assert_int_equal(ivrs_of(many, sizeof(many) - 24), 0);
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
		{qemu_facp, sizeof(qemu_facp)}, {qemu_madt, sizeof(qemu_madt)},
		{qemu_hpet, sizeof(qemu_hpet)}, {qemu_mcfg, sizeof(qemu_mcfg)},
		{qemu_dmar, sizeof(qemu_dmar)}, {qemu_ivrs, sizeof(qemu_ivrs)},
	};
	static struct acpi_madt madt;
	struct acpi_fadt fadt;
	struct acpi_hpet hpet;
	struct acpi_mcfg mcfg;

	(void)state;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (size_t len = ACPI_HEADER_SIZE; len <= tables[i].len; len++) {
			struct acpi_table t;
			int rc[6];

			fake_clear(&mem);
			t = table_of(tables[i].bytes, len);
			rc[0] = acpi_parse_fadt(&t, &fadt, &reason);
			rc[1] = acpi_parse_madt(&t, &madt, &reason);
			rc[2] = acpi_parse_hpet(&t, &hpet, &reason);
			rc[3] = acpi_parse_mcfg(&t, &mcfg, &reason);
			rc[4] = acpi_parse_dmar(&t, &dmar, &reason);
			rc[5] = acpi_parse_ivrs(&t, &ivrs, &reason);
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
		T(test_dmar),
		T(test_dmar_all_entries),
		T(test_dmar_errors),
		T(test_scope_path_too_long),
		T(test_ivrs),
		T(test_ivrs_device_entries),
		T(test_ivrs_newest_block_wins),
		T(test_ivrs_memory),
		T(test_ivrs_errors),
		T(test_s5_forms),
		T(test_s5_not_found),
		T(test_s5_without_dsdt),
		T(test_truncated_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
