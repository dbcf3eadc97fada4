// SPDX-License-Identifier: GPL-2.0-or-later
// DMAR: the VT-d units, what they cover, and reserved memory (VT-d 3.3, chapter 8).
#include <bulkhead/acpi.h>
#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

#define DMAR_ADDRESS_WIDTH 36
#define DMAR_FLAGS	   37
#define DMAR_ENTRIES	   48

#define ENTRY_HEADER_SIZE 4
#define ENTRY_DRHD	  0
#define ENTRY_RMRR	  1
#define ENTRY_ATSR	  2
#define ENTRY_RHSA	  3

#define DRHD_SIZE 16
#define RMRR_SIZE 24
#define ATSR_SIZE 8
#define RHSA_SIZE 20

#define DRHD_INCLUDE_ALL 1u
#define ATSR_ALL_PORTS	 1u

#define SCOPE_HEADER_SIZE     6
#define SCOPE_PATH_ENTRY_SIZE 2

static int bad(const char *reason, const char **ret_reason)
{
	*ret_reason = reason;
	return -EINVAL;
}

static int full(const char *reason, const char **ret_reason)
{
	*ret_reason = reason;
	return -E2BIG;
}

int acpi_scope_next(const struct acpi_scope_list *list, uint32_t *pos, struct acpi_scope *ret)
{
	const uint8_t *s = list->data + *pos;
	uint32_t left = list->len - *pos;
	struct acpi_scope scope = {0};
	uint32_t nr_path;

	if (left == 0)
		return 0;
	if (left < SCOPE_HEADER_SIZE || s[1] > left ||
	    s[1] < SCOPE_HEADER_SIZE + SCOPE_PATH_ENTRY_SIZE || s[1] % SCOPE_PATH_ENTRY_SIZE != 0)
		return -EINVAL;
	nr_path = (s[1] - SCOPE_HEADER_SIZE) / SCOPE_PATH_ENTRY_SIZE;
	if (nr_path > ACPI_MAX_SCOPE_PATH)
		return -EINVAL;

	scope.type = s[0];
	scope.enumeration_id = s[4];
	scope.start_bus = s[5];
	scope.nr_path = (uint8_t)nr_path;
	for (uint32_t i = 0; i < nr_path; i++) {
		const uint8_t *p = s + SCOPE_HEADER_SIZE + i * SCOPE_PATH_ENTRY_SIZE;

		if (p[0] > 31 || p[1] > 7)
			return -EINVAL;
		scope.path[i].device = p[0];
		scope.path[i].function = p[1];
	}
	*pos += s[1];
	*ret = scope;
	return 1;
}

/* The scopes are what follows the fixed part of an entry. */
static int take_scopes(const uint8_t *e, uint32_t len, uint32_t fixed,
		       struct acpi_scope_list *ret_list, const char **ret_reason)
{
	struct acpi_scope_list list = {.data = e + fixed, .len = len - fixed};
	struct acpi_scope scope;
	uint32_t pos = 0;
	int rc;

	do {
		rc = acpi_scope_next(&list, &pos, &scope);
	} while (rc > 0);
	if (rc)
		return bad("DMAR device scope is malformed", ret_reason);
	*ret_list = list;
	return 0;
}

static int parse_drhd(struct acpi_dmar *dmar, const uint8_t *e, uint32_t len,
		      const char **ret_reason)
{
	struct acpi_drhd drhd = {
		.include_all = e[4] & DRHD_INCLUDE_ALL,
		.segment = load_u16(e + 6),
		.paddr = load_u64(e + 8),
	};
	int rc;

	if (drhd.paddr == 0 || drhd.paddr % 4096 != 0)
		return bad("DMAR unit has a bad register address", ret_reason);
	for (unsigned int i = 0; i < dmar->nr_drhds; i++)
		if (dmar->drhds[i].paddr == drhd.paddr)
			return bad("DMAR lists a unit twice", ret_reason);
	rc = take_scopes(e, len, DRHD_SIZE, &drhd.scopes, ret_reason);
	if (rc)
		return rc;
	if (dmar->nr_drhds == ACPI_MAX_IOMMUS)
		return full("DMAR has too many units", ret_reason);
	dmar->drhds[dmar->nr_drhds++] = drhd;
	return 0;
}

static int parse_rmrr(struct acpi_dmar *dmar, const uint8_t *e, uint32_t len,
		      const char **ret_reason)
{
	uint64_t base = load_u64(e + 8), limit = load_u64(e + 16);
	struct acpi_rmrr rmrr = {.segment = load_u16(e + 6), .start = base, .end = limit + 1};
	int rc;

	if (limit < base || limit == UINT64_MAX)
		return bad("DMAR reserved region ends before it starts", ret_reason);
	rc = take_scopes(e, len, RMRR_SIZE, &rmrr.scopes, ret_reason);
	if (rc)
		return rc;
	if (dmar->nr_rmrrs == ACPI_MAX_RESERVED_REGIONS)
		return full("DMAR has too many reserved regions", ret_reason);
	dmar->rmrrs[dmar->nr_rmrrs++] = rmrr;
	return 0;
}

static int parse_atsr(struct acpi_dmar *dmar, const uint8_t *e, uint32_t len,
		      const char **ret_reason)
{
	struct acpi_atsr atsr = {
		.all_ports = e[4] & ATSR_ALL_PORTS,
		.segment = load_u16(e + 6),
	};
	int rc;

	rc = take_scopes(e, len, ATSR_SIZE, &atsr.scopes, ret_reason);
	if (rc)
		return rc;
	if (dmar->nr_atsrs == ACPI_MAX_ATSRS)
		return full("DMAR has too many ATS structures", ret_reason);
	dmar->atsrs[dmar->nr_atsrs++] = atsr;
	return 0;
}

static int parse_rhsa(struct acpi_dmar *dmar, const uint8_t *e, uint32_t len,
		      const char **ret_reason)
{
	(void)len;
	if (dmar->nr_rhsas == ACPI_MAX_RHSAS)
		return full("DMAR has too many affinity structures", ret_reason);
	dmar->rhsas[dmar->nr_rhsas++] = (struct acpi_rhsa){
		.paddr = load_u64(e + 8),
		.proximity_domain = load_u32(e + 16),
	};
	return 0;
}

static const struct {
	uint32_t min_len;
	int (*parse)(struct acpi_dmar *dmar, const uint8_t *e, uint32_t len,
		     const char **ret_reason);
} entry_kinds[] = {
	[ENTRY_DRHD] = {DRHD_SIZE, parse_drhd},
	[ENTRY_RMRR] = {RMRR_SIZE, parse_rmrr},
	[ENTRY_ATSR] = {ATSR_SIZE, parse_atsr},
	[ENTRY_RHSA] = {RHSA_SIZE, parse_rhsa},
};

int acpi_parse_dmar(const struct acpi_table *table, struct acpi_dmar *ret, const char **ret_reason)
{
	uint32_t off = DMAR_ENTRIES;

	if (table->len < DMAR_ENTRIES)
		return bad("DMAR is too short", ret_reason);
	memset(ret, 0, sizeof(*ret));
	/* The table holds the width minus one (8.1). */
	if (table->data[DMAR_ADDRESS_WIDTH] > 63)
		return bad("DMAR has a bad address width", ret_reason);
	ret->address_bits = (uint8_t)(table->data[DMAR_ADDRESS_WIDTH] + 1);
	ret->flags = table->data[DMAR_FLAGS];

	while (off < table->len) {
		const uint8_t *e = table->data + off;
		uint32_t left = table->len - off, len;
		uint16_t type;
		int rc;

		if (left < ENTRY_HEADER_SIZE)
			return bad("DMAR entry exceeds the table", ret_reason);
		type = load_u16(e);
		len = load_u16(e + 2);
		if (len < ENTRY_HEADER_SIZE || len > left)
			return bad("DMAR entry exceeds the table", ret_reason);
		off += len;
		/* Types from a later version of the table are to be skipped (8.2). */
		if (type >= sizeof(entry_kinds) / sizeof(entry_kinds[0]))
			continue;
		if (len < entry_kinds[type].min_len)
			return bad("DMAR entry is too short", ret_reason);
		rc = entry_kinds[type].parse(ret, e, len, ret_reason);
		if (rc)
			return rc;
	}
	return 0;
}
