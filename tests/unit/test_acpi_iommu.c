// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the parsers of DMAR and IVRS.
// links: hypervisor/drivers/acpi/tables.c hypervisor/drivers/acpi/dmar.c hypervisor/drivers/acpi/ivrs.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/errno.h>

#include "acpi_fixture.h"

static struct fake_memory mem;
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
	table = fake_table(&mem, mem.bytes + (paddr - FAKE_BASE), 48 + len);
	return acpi_parse_dmar(&table, &dmar, &reason);
}

static void test_dmar(void **state)
{
	struct acpi_table table = fake_table(&mem, qemu_dmar, sizeof(qemu_dmar));
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
	table = fake_table(&mem, qemu_dmar, 47);
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
	table = fake_table(&mem, mem.bytes + (paddr - FAKE_BASE), 48 + len);
	return acpi_parse_ivrs(&table, &ivrs, &reason);
}

static void test_ivrs(void **state)
{
	struct acpi_table table = fake_table(&mem, qemu_ivrs, sizeof(qemu_ivrs));
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
	table = fake_table(&mem, qemu_ivrs, 47);
	assert_int_equal(acpi_parse_ivrs(&table, &ivrs, &reason), -EINVAL);
	for (unsigned int i = 0; i <= ACPI_MAX_IOMMUS; i++) {
		static const uint8_t one[] = {IVHD10(24, 0)};

		memcpy(many + 24 * i, one, 24);
		store_u16(many + 24 * i + 4, (uint16_t)(0x100 * i));
	}
	assert_int_equal(ivrs_of(many, sizeof(many)), -E2BIG);
	assert_int_equal(ivrs_of(many, sizeof(many) - 24), 0);
}

/* Both tables, cut at every length: an answer, and no byte read beyond the end. */
static void test_truncated_tables(void **state)
{
	(void)state;
	for (size_t len = ACPI_HEADER_SIZE; len <= sizeof(qemu_dmar); len++) {
		struct acpi_table t;

		fake_clear(&mem);
		t = fake_table(&mem, qemu_dmar, len);
		assert_int_equal(acpi_parse_dmar(&t, &dmar, &reason) == 0,
				 len == sizeof(qemu_dmar) || len == 48);
	}
	for (size_t len = ACPI_HEADER_SIZE; len <= sizeof(qemu_ivrs); len++) {
		struct acpi_table t;

		fake_clear(&mem);
		t = fake_table(&mem, qemu_ivrs, len);
		assert_int_equal(acpi_parse_ivrs(&t, &ivrs, &reason) == 0,
				 len == sizeof(qemu_ivrs) || len == 48);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_dmar),
		T(test_dmar_all_entries),
		T(test_dmar_errors),
		T(test_scope_path_too_long),
		T(test_ivrs),
		T(test_ivrs_device_entries),
		T(test_ivrs_newest_block_wins),
		T(test_ivrs_memory),
		T(test_ivrs_errors),
		T(test_truncated_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
