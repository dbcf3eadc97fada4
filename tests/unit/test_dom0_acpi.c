// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the ACPI tables built for dom0, read back with our own parsers.
// links: hypervisor/arch/x86/dom0/acpi_build.c hypervisor/drivers/acpi/tables.c hypervisor/drivers/acpi/madt.c
// links: hypervisor/drivers/acpi/platform.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arch/dom0_acpi.h>
#include <bulkhead/errno.h>

#include "acpi_fixture.h"

static struct fake_memory mem;
static struct acpi host, seen;
static struct acpi_madt host_madt, seen_madt;
static const char *reason;
static uint64_t ssdt_paddr, wdat_paddr;

/* A host with tables of each kind; SSDT twice. */
static int setup(void **state)
{
	static const char *const hidden[] = {"DMAR", "IVRS", "SRAT", "SLIT",
					     "BERT", "DBG2", "TPM2"};
	const struct acpi_mapper mapper = {.map = fake_map, .ctx = &mem};
	uint8_t rsdp[ACPI_RSDP_V2_SIZE];
	const struct acpi_table *table;
	uint64_t paddr[16];
	unsigned int nr = 0;

	(void)state;
	fake_clear(&mem);
	reason = NULL;
	paddr[nr++] = fake_put(&mem, qemu_facp, sizeof(qemu_facp));
	paddr[nr++] = fake_put(&mem, qemu_madt, sizeof(qemu_madt));
	paddr[nr++] = fake_put(&mem, qemu_hpet, sizeof(qemu_hpet));
	paddr[nr++] = ssdt_paddr = fake_put_table(&mem, "SSDT", "a", 1);
	paddr[nr++] = fake_put(&mem, qemu_mcfg, sizeof(qemu_mcfg));
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		paddr[nr++] = fake_put_table(&mem, hidden[i], "b", 1);
	paddr[nr++] = fake_put_table(&mem, "SSDT", "cc", 2);
	paddr[nr++] = wdat_paddr = fake_put_table(&mem, "WDAT", "d", 1);
	fake_root(&mem, true, nr, paddr, rsdp);
	assert_int_equal(acpi_init(&host, rsdp, 36, &mapper, &reason), 0);
	assert_int_equal(acpi_find(&host, "APIC", 0, &table, &reason), 0);
	assert_int_equal(acpi_parse_madt(table, &host_madt, &reason), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unmap_all(&mem);
	return 0;
}

/* Builds into the fake memory, then discovers the result as dom0 would. */
static void build_and_read(const struct dom0_acpi_config *config, struct dom0_acpi_result *result)
{
	const struct acpi_mapper mapper = {.map = fake_map, .ctx = &mem};
	size_t size = dom0_acpi_size(config);
	uint64_t gpa = FAKE_BASE + FAKE_SIZE / 2;
	uint8_t *out = malloc(size);
	const struct acpi_table *table;

	assert_non_null(out);
	memset(out, 0xee, size);
	assert_int_equal(dom0_acpi_build(config, out, size - 1, gpa, result, &reason), -ENOSPC);
	assert_int_equal(dom0_acpi_build(config, out, size, gpa, result, &reason), 0);
	assert_true(result->rsdp_gpa == gpa);
	memcpy(mem.bytes + FAKE_SIZE / 2, out, size);
	free(out);
	assert_int_equal(acpi_init(&seen, mem.bytes + FAKE_SIZE / 2, 36, &mapper, &reason), 0);
	assert_int_equal(acpi_find(&seen, "APIC", 0, &table, &reason), 0);
	assert_int_equal(acpi_find(&seen, "APIC", 1, &table, &reason), -ENOENT);
	assert_int_equal(acpi_find(&seen, "APIC", 0, &table, &reason), 0);
	assert_int_equal(acpi_parse_madt(table, &seen_madt, &reason), 0);
}

static void test_tables(void **state)
{
	const struct dom0_acpi_config config = {.host = &host, .madt = &host_madt, .nr_vcpus = 2};
	const struct acpi_table *table;
	struct dom0_acpi_result result;

	(void)state;
	build_and_read(&config, &result);
	assert_int_equal(seen.rsdp_revision, 2);
	assert_true(seen.root_is_xsdt);
	assert_memory_equal(seen.oem_id, "TESTER", 6);
	assert_int_equal(result.nr_kept, 5);
	assert_int_equal(result.nr_hidden, 9);
	assert_int_equal(result.nr_invisible, 0);
	assert_int_equal(seen.nr_tables, 6);
	for (unsigned int i = 0; i < seen.nr_tables; i++)
		assert_null(seen.tables[i].problem);
	assert_int_equal(acpi_find(&seen, "FACP", 0, &table, &reason), 0);
	assert_true(table->paddr == host.tables[0].paddr);
	assert_int_equal(acpi_find(&seen, "SSDT", 0, &table, &reason), 0);
	assert_true(table->paddr == ssdt_paddr);
	assert_int_equal(acpi_find(&seen, "SSDT", 1, &table, &reason), 0);
	assert_int_equal(acpi_find(&seen, "MCFG", 0, &table, &reason), 0);
	assert_int_equal(acpi_find(&seen, "WDAT", 0, &table, &reason), 0);
	assert_true(table->paddr == wdat_paddr);
	assert_int_equal(acpi_find(&seen, "DMAR", 0, &table, &reason), -ENOENT);
	assert_int_equal(acpi_find(&seen, "HPET", 0, &table, &reason), -ENOENT);
}

static void check_madt(unsigned int nr_vcpus)
{
	assert_int_equal(seen_madt.flags & ACPI_MADT_PCAT_COMPAT, 0);
	assert_true(seen_madt.lapic_paddr == 0xfee00000);
	assert_int_equal(seen_madt.nr_cpus, nr_vcpus);
	for (unsigned int n = 0; n < nr_vcpus; n++) {
		assert_int_equal(seen_madt.cpus[n].uid, n);
		assert_int_equal(seen_madt.cpus[n].apic_id, 2 * n);
		assert_true(seen_madt.cpus[n].enabled);
	}
	assert_int_equal(seen_madt.nr_ioapics, host_madt.nr_ioapics);
	assert_memory_equal(seen_madt.ioapics, host_madt.ioapics,
			    host_madt.nr_ioapics * sizeof(host_madt.ioapics[0]));
	assert_int_equal(seen_madt.nr_overrides, host_madt.nr_overrides);
	for (unsigned int i = 0; i < host_madt.nr_overrides; i++) {
		assert_int_equal(seen_madt.overrides[i].source, host_madt.overrides[i].source);
		assert_int_equal(seen_madt.overrides[i].gsi, host_madt.overrides[i].gsi);
		assert_int_equal(seen_madt.overrides[i].flags, host_madt.overrides[i].flags);
	}
	assert_int_equal(seen_madt.nr_nmi_sources, host_madt.nr_nmi_sources);
	assert_int_equal(seen_madt.nr_lapic_nmis, 0);
}

static void test_madt_forms(void **state)
{
	struct dom0_acpi_config config = {.host = &host, .madt = &host_madt};
	struct dom0_acpi_result result;

	(void)state;
	host_madt.nr_nmi_sources = 1;
	host_madt.nmi_sources[0] = (struct acpi_nmi_source){.gsi = 20, .flags = 5};
	for (config.nr_vcpus = 1; config.nr_vcpus <= 127; config.nr_vcpus += 42) {
		config.x2apic = false;
		build_and_read(&config, &result);
		check_madt(config.nr_vcpus);
		config.x2apic = true;
		build_and_read(&config, &result);
		check_madt(config.nr_vcpus);
	}
	assert_int_equal(seen_madt.nmi_sources[0].gsi, 20);
	assert_int_equal(seen_madt.nmi_sources[0].flags, 5);
	config.nr_vcpus = 512;
	build_and_read(&config, &result);
	check_madt(512);
}

static bool not_the_ssdt(void *ctx, uint64_t paddr, uint32_t len)
{
	assert_true(len >= ACPI_HEADER_SIZE);
	return paddr != *(const uint64_t *)ctx;
}

static void test_invisible_tables(void **state)
{
	struct dom0_acpi_config config = {
		.host = &host,
		.madt = &host_madt,
		.nr_vcpus = 1,
		.visible = not_the_ssdt,
		.ctx = &ssdt_paddr,
	};
	struct dom0_acpi_result result;
	uint8_t out[4096];

	(void)state;
	build_and_read(&config, &result);
	assert_int_equal(result.nr_kept, 4);
	assert_int_equal(result.nr_invisible, 1);
	for (unsigned int i = 0; i < seen.nr_tables; i++)
		assert_true(seen.tables[i].paddr != ssdt_paddr);

	config.ctx = &host.tables[0].paddr;
	assert_int_equal(dom0_acpi_build(&config, out, sizeof(out), 0x1000, &result, &reason),
			 -EINVAL);
	assert_non_null(strstr(reason, "FADT"));

	/* A table with a bad checksum is not passed on. */
	config.visible = NULL;
	host.tables[3].problem = "bad";
	build_and_read(&config, &result);
	assert_int_equal(result.nr_invisible, 1);
}

static void test_errors(void **state)
{
	struct dom0_acpi_config config = {.host = &host, .madt = &host_madt, .nr_vcpus = 128};
	struct dom0_acpi_result result = {.nr_kept = 42};
	uint8_t out[8192];

	(void)state;
	assert_int_equal(dom0_acpi_build(&config, out, sizeof(out), 0x1000, &result, &reason), 0);
	config.nr_vcpus = 129; /* id 256 */
	result.nr_kept = 42;
	assert_int_equal(dom0_acpi_build(&config, out, sizeof(out), 0x1000, &result, &reason),
			 -EINVAL);
	config.nr_vcpus = 0;
	assert_int_equal(dom0_acpi_build(&config, out, sizeof(out), 0x1000, &result, &reason),
			 -EINVAL);
	config.nr_vcpus = 1;
	assert_int_equal(dom0_acpi_build(&config, out, sizeof(out), 0x1008, &result, &reason),
			 -EINVAL);
	host_madt.nr_ioapics = 0;
	assert_int_equal(dom0_acpi_build(&config, out, sizeof(out), 0x1000, &result, &reason),
			 -EINVAL);
	assert_int_equal(result.nr_kept, 42);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_tables),
		T(test_madt_forms),
		T(test_invisible_tables),
		T(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
