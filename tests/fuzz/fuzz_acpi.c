// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: ACPI. The input is one table, or physical memory that begins with an RSDP.
// links: hypervisor/drivers/acpi/tables.c hypervisor/drivers/acpi/madt.c hypervisor/drivers/acpi/platform.c
// links: hypervisor/drivers/acpi/dmar.c hypervisor/drivers/acpi/ivrs.c hypervisor/drivers/acpi/sleep.c
// links: hypervisor/arch/x86/dom0/acpi_build.c
#include <stdlib.h>

#include <arch/dom0_acpi.h>
#include <bulkhead/acpi.h>
#include <bulkhead/bytes.h>

#define BASE	 UINT64_C(0x100000)
#define MAX_MAPS 512

static struct {
	const uint8_t *data;
	size_t size;
	void *maps[MAX_MAPS];
	unsigned int nr_maps;
} mem;

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* Copies of exact size for ASan; whole tables get a right checksum, or few inputs would pass. */
static const void *map(void *ctx, uint64_t paddr, uint32_t len)
{
	uint8_t *copy;

	(void)ctx;
	if (paddr < BASE || paddr - BASE > mem.size || len > mem.size - (paddr - BASE) ||
	    mem.nr_maps == MAX_MAPS)
		return NULL;
	copy = malloc(len ? len : 1);
	require(copy != NULL);
	memcpy(copy, mem.data + (paddr - BASE), len);
	if (len >= ACPI_HEADER_SIZE) {
		copy[9] = 0;
		copy[9] = (uint8_t)-acpi_checksum(copy, len);
	}
	mem.maps[mem.nr_maps++] = copy;
	return copy;
}

static void parse_dmar(const struct acpi_table *table)
{
	static struct acpi_dmar dmar;
	struct acpi_scope scope;
	const char *reason = NULL;

	if (acpi_parse_dmar(table, &dmar, &reason)) {
		require(reason != NULL);
		return;
	}
	for (unsigned int i = 0; i < dmar.nr_drhds; i++) {
		uint32_t pos = 0;
		int rc;

		while ((rc = acpi_scope_next(&dmar.drhds[i].scopes, &pos, &scope)) > 0)
			require(scope.nr_path > 0 && scope.nr_path <= ACPI_MAX_SCOPE_PATH);
		require(rc == 0);
	}
	for (unsigned int i = 0; i < dmar.nr_rmrrs; i++)
		require(dmar.rmrrs[i].start < dmar.rmrrs[i].end);
}

static void parse_ivrs(const struct acpi_table *table)
{
	static struct acpi_ivrs ivrs;
	struct acpi_ivhd_entry entry;
	const char *reason = NULL;

	if (acpi_parse_ivrs(table, &ivrs, &reason)) {
		require(reason != NULL);
		return;
	}
	for (unsigned int i = 0; i < ivrs.nr_ivhds; i++) {
		uint32_t pos = 0;
		int rc;

		while ((rc = acpi_ivhd_next(&ivrs.ivhds[i], &pos, &entry)) > 0)
			require(entry.first_id <= entry.last_id);
		require(rc == 0);
	}
	for (unsigned int i = 0; i < ivrs.nr_ivmds; i++)
		require(ivrs.ivmds[i].start < ivrs.ivmds[i].end &&
			ivrs.ivmds[i].first_id <= ivrs.ivmds[i].last_id);
}

static void parse_table(const struct acpi_table *table)
{
	static struct acpi_madt madt;
	struct acpi_fadt fadt;
	struct acpi_hpet hpet;
	struct acpi_mcfg mcfg;
	const char *reason = NULL;
	int rc = 0;

	if (!memcmp(table->signature, "DMAR", 4))
		parse_dmar(table);
	else if (!memcmp(table->signature, "IVRS", 4))
		parse_ivrs(table);
	else if (!memcmp(table->signature, "APIC", 4))
		rc = acpi_parse_madt(table, &madt, &reason);
	else if (!memcmp(table->signature, "FACP", 4))
		rc = acpi_parse_fadt(table, &fadt, &reason);
	else if (!memcmp(table->signature, "HPET", 4))
		rc = acpi_parse_hpet(table, &hpet, &reason);
	else if (!memcmp(table->signature, "MCFG", 4))
		rc = acpi_parse_mcfg(table, &mcfg, &reason);
	require(rc == 0 || reason != NULL);
}

/* What dom0 gets must be readable by our own parsers, whatever the host's tables say. */
static void build_for_dom0(const struct acpi *host, const struct acpi_madt *madt)
{
	static struct acpi_madt seen;
	const struct dom0_acpi_config config = {.host = host, .madt = madt, .nr_vcpus = 3};
	struct dom0_acpi_result result;
	size_t size = dom0_acpi_size(&config);
	uint8_t *out = malloc(size);
	const char *reason = NULL;
	struct acpi_table table = {.signature = {'A', 'P', 'I', 'C'}};

	require(out != NULL);
	if (dom0_acpi_build(&config, out, size, 0x1000, &result, &reason) == 0) {
		table.data = out + 64;
		table.len = load_u32(table.data + 4);
		require(acpi_checksum(table.data, table.len) == 0);
		require(acpi_parse_madt(&table, &seen, &reason) == 0);
		require(seen.nr_cpus == 3 && seen.nr_ioapics == madt->nr_ioapics);
	}
	free(out);
}

static void discover(const uint8_t *data, size_t size)
{
	const struct acpi_mapper mapper = {.map = map};
	static struct acpi acpi;
	static struct acpi_madt madt;
	uint8_t rsdp[ACPI_RSDP_V2_SIZE] = {0};
	const struct acpi_table *table;
	struct acpi_fadt fadt;
	struct acpi_sleep_type s5;
	const char *reason = NULL;

	memcpy(rsdp, data, size < sizeof(rsdp) ? size : sizeof(rsdp));
	rsdp[8] = 0;
	rsdp[8] = (uint8_t)-acpi_checksum(rsdp, ACPI_RSDP_V1_SIZE);
	rsdp[32] = 0;
	rsdp[32] = (uint8_t)-acpi_checksum(rsdp, ACPI_RSDP_V2_SIZE);
	if (acpi_init(&acpi, rsdp, sizeof(rsdp), &mapper, &reason)) {
		require(reason != NULL);
		return;
	}
	for (unsigned int i = 0; i < acpi.nr_tables; i++)
		if (!acpi.tables[i].problem)
			parse_table(&acpi.tables[i]);
	if (acpi_find(&acpi, "FACP", 0, &table, &reason) == 0 &&
	    acpi_parse_fadt(table, &fadt, &reason) == 0 &&
	    acpi_find_s5(&acpi, &fadt, &s5, &reason) == 0)
		require(s5.typ_a <= 7 && s5.typ_b <= 7);
	if (acpi_find(&acpi, "APIC", 0, &table, &reason) == 0 &&
	    acpi_parse_madt(table, &madt, &reason) == 0)
		build_for_dom0(&acpi, &madt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acpi_table table = {.paddr = BASE, .len = (uint32_t)size};

	mem.data = data;
	mem.size = size;
	if (size >= ACPI_RSDP_V1_SIZE && !memcmp(data, "RSD PTR ", 8)) {
		discover(data, size);
	} else if (size >= ACPI_HEADER_SIZE) {
		memcpy(table.signature, data, 4);
		table.revision = data[8];
		table.data = map(NULL, BASE, table.len);
		parse_table(&table);
	}
	while (mem.nr_maps > 0)
		free(mem.maps[--mem.nr_maps]);
	return 0;
}
