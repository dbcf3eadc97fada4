// SPDX-License-Identifier: GPL-2.0-or-later
// IVRS: the AMD-Vi units, their devices, and reserved memory (AMD IOMMU 3.08, chapter 5).
#include <bulkhead/acpi.h>
#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

#define IVRS_INFO   36
#define IVRS_BLOCKS 48

#define BLOCK_HEADER_SIZE 4
#define BLOCK_IVHD10	  0x10
#define BLOCK_IVHD11	  0x11
#define BLOCK_IVHD40	  0x40
#define BLOCK_IVMD_ALL	  0x20
#define BLOCK_IVMD_SELECT 0x21
#define BLOCK_IVMD_RANGE  0x22

#define IVHD10_SIZE 24
#define IVHD11_SIZE 40
#define IVMD_SIZE   32

/* Device entries (5.2.2.5 to 5.2.2.7). Their length follows from the type. */
#define ENTRY_PAD4	   0
#define ENTRY_ALL	   1
#define ENTRY_SELECT	   2
#define ENTRY_RANGE_START  3
#define ENTRY_RANGE_END	   4
#define ENTRY_PAD8	   64
#define ENTRY_ALIAS_SELECT 66
#define ENTRY_ALIAS_START  67
#define ENTRY_EXT_SELECT   70
#define ENTRY_EXT_START	   71
#define ENTRY_SPECIAL	   72
#define ENTRY_ACPI	   240

#define ACPI_ENTRY_SIZE	   22
#define ACPI_ENTRY_UID_LEN 21

#define SPECIAL_IOAPIC 1
#define SPECIAL_HPET   2

static int bad(const char *reason, const char **ret_reason)
{
	*ret_reason = reason;
	return -EINVAL;
}

/* Length of the entry at e, of which left bytes are there; 0 if it is not complete. */
static uint32_t entry_length(const uint8_t *e, uint32_t left)
{
	uint32_t len;

	if (e[0] < 64)
		len = 4;
	else if (e[0] < 128)
		len = 8;
	else if (e[0] < 192)
		len = 16;
	else if (e[0] < 240)
		len = 32;
	else if (e[0] == ENTRY_ACPI && left >= ACPI_ENTRY_SIZE)
		len = ACPI_ENTRY_SIZE + e[ACPI_ENTRY_UID_LEN];
	else
		return 0;
	return len <= left ? len : 0;
}

/* Finds the end entry of a range, which only padding may separate from its start. */
static bool find_range_end(const struct acpi_ivhd *ivhd, uint32_t *pos, uint16_t *ret_last)
{
	while (*pos < ivhd->entries_len) {
		const uint8_t *e = ivhd->entries + *pos;
		uint32_t len = entry_length(e, ivhd->entries_len - *pos);

		if (len == 0)
			return false;
		*pos += len;
		if (e[0] == ENTRY_PAD4 || e[0] == ENTRY_PAD8)
			continue;
		if (e[0] != ENTRY_RANGE_END)
			return false;
		*ret_last = load_u16(e + 1);
		return true;
	}
	return false;
}

/* Returns 1 with *ret filled, 0 if this entry says nothing to us, or -EINVAL. */
static int decode_entry(const struct acpi_ivhd *ivhd, const uint8_t *e, uint32_t *pos,
			struct acpi_ivhd_entry *ret)
{
	bool range = false;

	*ret = (struct acpi_ivhd_entry){
		.kind = ACPI_IVHD_DEVICES,
		.first_id = load_u16(e + 1),
		.last_id = load_u16(e + 1),
		.settings = e[3],
	};
	switch (e[0]) {
	case ENTRY_ALL:
		ret->kind = ACPI_IVHD_ALL;
		ret->first_id = 0;
		ret->last_id = UINT16_MAX;
		return 1;
	case ENTRY_SELECT:
		return 1;
	case ENTRY_RANGE_START:
		range = true;
		break;
	case ENTRY_ALIAS_START:
		range = true;
		__attribute__((fallthrough));
	case ENTRY_ALIAS_SELECT:
		ret->has_alias = true;
		ret->alias_id = load_u16(e + 5);
		break;
	case ENTRY_EXT_START:
		range = true;
		__attribute__((fallthrough));
	case ENTRY_EXT_SELECT:
		ret->extended = load_u32(e + 4);
		break;
	case ENTRY_SPECIAL:
		if (e[7] != SPECIAL_IOAPIC && e[7] != SPECIAL_HPET)
			return 0;
		ret->kind = e[7] == SPECIAL_IOAPIC ? ACPI_IVHD_IOAPIC : ACPI_IVHD_HPET;
		ret->handle = e[4];
		ret->first_id = load_u16(e + 5);
		ret->last_id = ret->first_id;
		return 1;
	case ENTRY_ACPI:
		ret->kind = ACPI_IVHD_ACPI;
		memcpy(ret->hid, e + 4, sizeof(ret->hid));
		return 1;
	case ENTRY_RANGE_END:
		return -EINVAL;
	default:
		return 0;
	}
	if (range && (!find_range_end(ivhd, pos, &ret->last_id) || ret->last_id < ret->first_id))
		return -EINVAL;
	return 1;
}

int acpi_ivhd_next(const struct acpi_ivhd *ivhd, uint32_t *pos, struct acpi_ivhd_entry *ret)
{
	while (*pos < ivhd->entries_len) {
		const uint8_t *e = ivhd->entries + *pos;
		uint32_t len = entry_length(e, ivhd->entries_len - *pos);
		struct acpi_ivhd_entry entry;
		int rc;

		if (len == 0)
			return -EINVAL;
		*pos += len;
		rc = decode_entry(ivhd, e, pos, &entry);
		if (rc > 0)
			*ret = entry;
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int check_entries(const struct acpi_ivhd *ivhd, const char **ret_reason)
{
	struct acpi_ivhd_entry entry;
	uint32_t pos = 0;
	int rc;

	do {
		rc = acpi_ivhd_next(ivhd, &pos, &entry);
	} while (rc > 0);
	return rc ? bad("IVRS device entry is malformed", ret_reason) : 0;
}

static int parse_ivhd(struct acpi_ivrs *ivrs, const uint8_t *b, uint32_t len,
		      const char **ret_reason)
{
	uint32_t fixed = b[0] == BLOCK_IVHD10 ? IVHD10_SIZE : IVHD11_SIZE;
	struct acpi_ivhd ivhd;
	unsigned int i;
	int rc;

	if (len < fixed)
		return bad("IVRS unit block is too short", ret_reason);
	ivhd = (struct acpi_ivhd){
		.type = b[0],
		.flags = b[1],
		.device_id = load_u16(b + 4),
		.capability = load_u16(b + 6),
		.paddr = load_u64(b + 8),
		.segment = load_u16(b + 16),
		.info = load_u16(b + 18),
		.features = load_u32(b + 20),
		.efr = fixed == IVHD11_SIZE ? load_u64(b + 24) : 0,
		.entries = b + fixed,
		.entries_len = len - fixed,
	};
	if (ivhd.paddr == 0 || ivhd.paddr % 4096 != 0)
		return bad("IVRS unit has a bad register address", ret_reason);
	rc = check_entries(&ivhd, ret_reason);
	if (rc)
		return rc;

	/* The same unit again, for newer software: it replaces the older form, never the newer. */
	for (i = 0; i < ivrs->nr_ivhds; i++)
		if (ivrs->ivhds[i].segment == ivhd.segment &&
		    ivrs->ivhds[i].device_id == ivhd.device_id)
			break;
	if (i == ACPI_MAX_IOMMUS) {
		*ret_reason = "IVRS has too many units";
		return -E2BIG;
	}
	if (i < ivrs->nr_ivhds) {
		if (ivrs->ivhds[i].paddr != ivhd.paddr)
			return bad("IVRS blocks of one unit disagree", ret_reason);
		if (ivhd.type <= ivrs->ivhds[i].type)
			return 0;
	} else {
		ivrs->nr_ivhds++;
	}
	ivrs->ivhds[i] = ivhd;
	return 0;
}

static int parse_ivmd(struct acpi_ivrs *ivrs, const uint8_t *b, uint32_t len,
		      const char **ret_reason)
{
	uint64_t start, size;
	struct acpi_ivmd ivmd;

	if (len < IVMD_SIZE)
		return bad("IVRS memory block is too short", ret_reason);
	start = load_u64(b + 16);
	size = load_u64(b + 24);
	if (size > UINT64_MAX - start)
		return bad("IVRS memory block wraps around", ret_reason);
	if (size == 0)
		return 0;
	ivmd = (struct acpi_ivmd){
		.flags = b[1],
		.segment = load_u16(b + 8),
		.first_id = load_u16(b + 4),
		.last_id = load_u16(b + 4),
		.start = start,
		.end = start + size,
	};
	if (b[0] == BLOCK_IVMD_ALL) {
		ivmd.first_id = 0;
		ivmd.last_id = UINT16_MAX;
	} else if (b[0] == BLOCK_IVMD_RANGE) {
		ivmd.last_id = load_u16(b + 6);
	}
	if (ivmd.last_id < ivmd.first_id)
		return bad("IVRS memory block has a bad device range", ret_reason);
	if (ivrs->nr_ivmds == ACPI_MAX_RESERVED_REGIONS) {
		*ret_reason = "IVRS has too many memory blocks";
		return -E2BIG;
	}
	ivrs->ivmds[ivrs->nr_ivmds++] = ivmd;
	return 0;
}

int acpi_parse_ivrs(const struct acpi_table *table, struct acpi_ivrs *ret, const char **ret_reason)
{
	uint32_t off = IVRS_BLOCKS;

	if (table->len < IVRS_BLOCKS)
		return bad("IVRS is too short", ret_reason);
	memset(ret, 0, sizeof(*ret));
	ret->info = load_u32(table->data + IVRS_INFO);
	while (off < table->len) {
		const uint8_t *b = table->data + off;
		uint32_t left = table->len - off, len;
		int rc = 0;

		if (left < BLOCK_HEADER_SIZE)
			return bad("IVRS block exceeds the table", ret_reason);
		len = load_u16(b + 2);
		if (len < BLOCK_HEADER_SIZE || len > left)
			return bad("IVRS block exceeds the table", ret_reason);
		switch (b[0]) {
		case BLOCK_IVHD10:
		case BLOCK_IVHD11:
		case BLOCK_IVHD40:
			rc = parse_ivhd(ret, b, len, ret_reason);
			break;
		case BLOCK_IVMD_ALL:
		case BLOCK_IVMD_SELECT:
		case BLOCK_IVMD_RANGE:
			rc = parse_ivmd(ret, b, len, ret_reason);
			break;
		default:
			break;
		}
		if (rc)
			return rc;
		off += len;
	}
	return 0;
}
