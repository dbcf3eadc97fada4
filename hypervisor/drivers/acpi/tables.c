// SPDX-License-Identifier: GPL-2.0-or-later
// ACPI table discovery: RSDP, XSDT or RSDT, and the headers of all tables.
#include <bulkhead/acpi.h>
#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

/* ACPI 6.4, 5.2.5.3 and 5.2.6 */
#define RSDP_OEM_ID   9
#define RSDP_REVISION 15
#define RSDP_RSDT     16
#define RSDP_LENGTH   20
#define RSDP_XSDT     24
#define SDT_LENGTH    4
#define SDT_REVISION  8

uint8_t acpi_checksum(const void *data, uint32_t len)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return sum;
}

static const void *map(const struct acpi *acpi, uint64_t paddr, uint32_t len)
{
	if (paddr == 0 || len > UINT64_MAX - paddr)
		return NULL;
	return acpi->mapper.map(acpi->mapper.ctx, paddr, len);
}

/* Fills the table with what is known of it; returns NULL or the problem. */
static const char *load(const struct acpi *acpi, uint64_t paddr, struct acpi_table *table)
{
	const uint8_t *header, *data;

	memset(table, 0, sizeof(*table));
	table->paddr = paddr;
	header = map(acpi, paddr, ACPI_HEADER_SIZE);
	if (!header)
		return "ACPI table cannot be mapped";
	memcpy(table->signature, header, sizeof(table->signature));
	table->revision = header[SDT_REVISION];
	table->len = load_u32(header + SDT_LENGTH);
	if (table->len < ACPI_HEADER_SIZE)
		return "ACPI table is shorter than its header";
	if (table->len > ACPI_MAX_TABLE_SIZE)
		return "ACPI table is too long";
	data = map(acpi, paddr, table->len);
	if (!data)
		return "ACPI table cannot be mapped";
	if (acpi_checksum(data, table->len) != 0)
		return "ACPI table has a bad checksum";
	table->data = data;
	return NULL;
}

int acpi_load(const struct acpi *acpi, uint64_t paddr, struct acpi_table *ret_table,
	      const char **ret_reason)
{
	struct acpi_table table;
	const char *problem = load(acpi, paddr, &table);

	if (problem) {
		*ret_reason = problem;
		return -EINVAL;
	}
	*ret_table = table;
	return 0;
}

/* Checks the RSDP and notes which root table it names. */
static const char *read_rsdp(struct acpi *acpi, const uint8_t *rsdp, uint32_t len)
{
	if (len < ACPI_RSDP_V1_SIZE || memcmp(rsdp, "RSD PTR ", 8) != 0)
		return "RSDP has no signature";
	if (acpi_checksum(rsdp, ACPI_RSDP_V1_SIZE) != 0)
		return "RSDP has a bad checksum";
	memcpy(acpi->oem_id, rsdp + RSDP_OEM_ID, sizeof(acpi->oem_id));
	acpi->rsdp_revision = rsdp[RSDP_REVISION];
	acpi->root_paddr = load_u32(rsdp + RSDP_RSDT);
	if (acpi->rsdp_revision < 2)
		return NULL;

	/* A longer RSDP than we have a copy of cannot be summed up: its first part was. */
	if (len < ACPI_RSDP_V2_SIZE || load_u32(rsdp + RSDP_LENGTH) < ACPI_RSDP_V2_SIZE)
		return "RSDP is truncated";
	if (load_u32(rsdp + RSDP_LENGTH) <= len &&
	    acpi_checksum(rsdp, load_u32(rsdp + RSDP_LENGTH)) != 0)
		return "RSDP has a bad extended checksum";
	if (load_u64(rsdp + RSDP_XSDT) != 0) {
		acpi->root_paddr = load_u64(rsdp + RSDP_XSDT);
		acpi->root_is_xsdt = true;
	}
	return NULL;
}

static const char *read_root(struct acpi *acpi)
{
	uint32_t entry_size = acpi->root_is_xsdt ? 8 : 4;
	struct acpi_table root;
	const char *problem;

	problem = load(acpi, acpi->root_paddr, &root);
	if (problem)
		return problem;
	if (memcmp(root.signature, acpi->root_is_xsdt ? "XSDT" : "RSDT", 4) != 0)
		return "ACPI root table has another signature";

	for (uint32_t off = ACPI_HEADER_SIZE; root.len - off >= entry_size; off += entry_size) {
		uint64_t paddr = acpi->root_is_xsdt ? load_u64(root.data + off)
						    : load_u32(root.data + off);
		struct acpi_table *table;

		if (paddr == 0)
			continue;
		if (acpi->nr_tables == ACPI_MAX_TABLES)
			return "ACPI root table has too many entries";
		table = &acpi->tables[acpi->nr_tables++];
		table->problem = load(acpi, paddr, table);
	}
	return NULL;
}

int acpi_init(struct acpi *acpi, const void *rsdp, uint32_t rsdp_len,
	      const struct acpi_mapper *mapper, const char **ret_reason)
{
	const char *problem;

	memset(acpi, 0, sizeof(*acpi));
	acpi->mapper = *mapper;
	problem = read_rsdp(acpi, rsdp, rsdp_len);
	if (!problem)
		problem = read_root(acpi);
	if (problem) {
		*ret_reason = problem;
		return -EINVAL;
	}
	return 0;
}

int acpi_find(const struct acpi *acpi, const char *signature, unsigned int index,
	      const struct acpi_table **ret_table, const char **ret_reason)
{
	const char *problem = NULL;

	for (unsigned int i = 0; i < acpi->nr_tables; i++) {
		const struct acpi_table *table = &acpi->tables[i];

		if (memcmp(table->signature, signature, sizeof(table->signature)) != 0)
			continue;
		if (table->problem) {
			problem = table->problem;
			continue;
		}
		if (index-- == 0) {
			*ret_table = table;
			return 0;
		}
	}
	if (problem) {
		*ret_reason = problem;
		return -EINVAL;
	}
	return -ENOENT;
}
