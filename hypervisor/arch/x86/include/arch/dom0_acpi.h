// SPDX-License-Identifier: GPL-2.0-or-later
// The ACPI tables that dom0 sees: our own RSDP, XSDT and MADT, the rest in place.
#ifndef ARCH_DOM0_ACPI_H
#define ARCH_DOM0_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bulkhead/acpi.h>

/* vCPU n of a guest has ACPI UID n and APIC id 2n. */
#define DOM0_APIC_ID(n) (2u * (n))

struct dom0_acpi_config {
	const struct acpi *host;
	const struct acpi_madt *madt;
	unsigned int nr_vcpus;
	/* Describe vCPUs by x2APIC structures instead of local APIC ones (which have 8-bit ids). */
	bool x2apic;
	/*
	 * Whether dom0 sees this physical range at its own address; a table that it does not see
	 * is left out. NULL: it sees all tables.
	 */
	bool (*visible)(void *ctx, uint64_t paddr, uint32_t len);
	void *ctx;
};

struct dom0_acpi_result {
	uint64_t rsdp_gpa;
	unsigned int nr_kept;	   /* host tables listed in the new XSDT */
	unsigned int nr_hidden;	   /* left out on purpose */
	unsigned int nr_invisible; /* wanted, but malformed or not visible */
};

/* Bytes that dom0_acpi_build() needs at most. */
size_t dom0_acpi_size(const struct dom0_acpi_config *config);

/*
 * Writes RSDP, XSDT and MADT to buf[0, len), which dom0 sees at guest-physical gpa (multiple of
 * 16). Returns 0, -ENOSPC, or -EINVAL with *ret_reason: no FADT that dom0 can see, no IO-APIC, too
 * many vCPUs for their APIC ids, or a misaligned gpa.
 */
int dom0_acpi_build(const struct dom0_acpi_config *config, void *buf, size_t len, uint64_t gpa,
		    struct dom0_acpi_result *ret_result, const char **ret_reason);

#endif
