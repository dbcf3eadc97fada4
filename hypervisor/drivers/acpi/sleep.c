// SPDX-License-Identifier: GPL-2.0-or-later
// Finds the sleep types of soft-off in AML, so that the hypervisor can switch the machine off.
#include <bulkhead/acpi.h>
#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

/* AML encodings (ACPI 6.4, 20.2). */
#define AML_ZERO    0x00
#define AML_ONE	    0x01
#define AML_NAME    0x08
#define AML_BYTE    0x0a
#define AML_WORD    0x0b
#define AML_DWORD   0x0c
#define AML_QWORD   0x0e
#define AML_PACKAGE 0x12

#define SLP_TYP_MAX 7

/* A stretch of AML that is read from front to back. */
struct aml {
	const uint8_t *p;
	uint32_t left;
};

static bool take(struct aml *aml, uint32_t n, const uint8_t **ret)
{
	if (n > aml->left)
		return false;
	*ret = aml->p;
	aml->p += n;
	aml->left -= n;
	return true;
}

/* PkgLength (20.2.4): narrows the stretch to the package. */
static bool enter_package(struct aml *aml)
{
	const uint8_t *b;
	uint32_t len, nr, start = aml->left;

	if (!take(aml, 1, &b))
		return false;
	nr = b[0] >> 6;
	len = nr ? b[0] & 0xf : b[0] & 0x3f;
	if (nr && !take(aml, nr, &b))
		return false;
	for (uint32_t i = 0; i < nr; i++)
		len |= (uint32_t)b[i] << (4 + 8 * i);
	/* The length counts its own bytes. */
	if (len < start - aml->left || len > start)
		return false;
	aml->left = len - (start - aml->left);
	return true;
}

static bool take_integer(struct aml *aml, uint64_t *ret_value)
{
	const uint8_t *b;

	if (!take(aml, 1, &b))
		return false;
	switch (b[0]) {
	case AML_ZERO:
	case AML_ONE:
		*ret_value = b[0];
		return true;
	case AML_BYTE:
		if (!take(aml, 1, &b))
			return false;
		*ret_value = b[0];
		return true;
	case AML_WORD:
		if (!take(aml, 2, &b))
			return false;
		*ret_value = load_u16(b);
		return true;
	case AML_DWORD:
		if (!take(aml, 4, &b))
			return false;
		*ret_value = load_u32(b);
		return true;
	case AML_QWORD:
		if (!take(aml, 8, &b))
			return false;
		*ret_value = load_u64(b);
		return true;
	default:
		return false;
	}
}

/* What follows the name: Package (n) { PM1a value, PM1b value, … } (7.4.2). */
static bool parse_s5(struct aml aml, struct acpi_sleep_type *ret)
{
	const uint8_t *b;
	uint64_t a, v;

	if (!take(&aml, 1, &b) || b[0] != AML_PACKAGE || !enter_package(&aml))
		return false;
	if (!take(&aml, 1, &b) || b[0] == 0 || !take_integer(&aml, &a))
		return false;
	if (b[0] == 1) {
		/* Seen in old firmware: both values in the bytes of one integer. */
		v = (a >> 8) & 0xff;
		a &= 0xff;
	} else if (!take_integer(&aml, &v)) {
		return false;
	}
	if (a > SLP_TYP_MAX || v > SLP_TYP_MAX)
		return false;
	ret->typ_a = (uint8_t)a;
	ret->typ_b = (uint8_t)v;
	return true;
}

static bool find_in_table(const struct acpi_table *table, struct acpi_sleep_type *ret)
{
	static const char name[4] = {'_', 'S', '5', '_'};
	const uint8_t *d = table->data;

	for (uint32_t i = ACPI_HEADER_SIZE + 1; i + sizeof(name) <= table->len; i++) {
		struct aml rest = {d + i + sizeof(name), table->len - i - sizeof(name)};

		if (memcmp(d + i, name, sizeof(name)) != 0)
			continue;
		/* Name (_S5_, …) or Name (\_S5_, …); other mentions are references. */
		if (d[i - 1] != AML_NAME && !(d[i - 1] == '\\' && d[i - 2] == AML_NAME))
			continue;
		if (parse_s5(rest, ret))
			return true;
	}
	return false;
}

int acpi_find_s5(const struct acpi *acpi, const struct acpi_fadt *fadt, struct acpi_sleep_type *ret,
		 const char **ret_reason)
{
	const struct acpi_table *ssdt;
	struct acpi_table dsdt;
	const char *ignored;
	int rc;

	rc = acpi_load(acpi, fadt->dsdt_paddr, &dsdt, ret_reason);
	if (rc)
		return rc;
	if (find_in_table(&dsdt, ret))
		return 0;
	for (unsigned int i = 0; acpi_find(acpi, "SSDT", i, &ssdt, &ignored) == 0; i++)
		if (find_in_table(ssdt, ret))
			return 0;
	return -ENOENT;
}
