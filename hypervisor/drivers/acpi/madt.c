// SPDX-License-Identifier: GPL-2.0-or-later
// MADT: processors, IO-APICs and how legacy interrupts are wired (ACPI 6.4, 5.2.12).
#include <bulkhead/acpi.h>
#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

#define MADT_LAPIC_PADDR 36
#define MADT_FLAGS	 40
#define MADT_ENTRIES	 44

#define ENTRY_LAPIC	    0
#define ENTRY_IOAPIC	    1
#define ENTRY_OVERRIDE	    2
#define ENTRY_NMI_SOURCE    3
#define ENTRY_LAPIC_NMI	    4
#define ENTRY_LAPIC_ADDRESS 5
#define ENTRY_X2APIC	    9
#define ENTRY_X2APIC_NMI    10

#define CPU_ENABLED	   1u
#define CPU_ONLINE_CAPABLE 2u
#define LAPIC_ID_NONE	   0xff
#define X2APIC_ID_NONE	   UINT32_MAX
#define UID_ALL_8BIT	   0xff

static int full(const char *reason, const char **ret_reason)
{
	*ret_reason = reason;
	return -E2BIG;
}

static void add_cpu(struct acpi_madt *madt, uint32_t apic_id, uint32_t uid, uint32_t flags)
{
	/* A table may list a CPU in both forms (5.2.12.12): the first one counts. */
	for (unsigned int i = 0; i < madt->nr_cpus; i++)
		if (madt->cpus[i].apic_id == apic_id)
			return;
	if (madt->nr_cpus == ACPI_MAX_CPUS) {
		madt->nr_cpus_dropped++;
		return;
	}
	madt->cpus[madt->nr_cpus++] = (struct acpi_cpu){
		.apic_id = apic_id,
		.uid = uid,
		.enabled = flags & CPU_ENABLED,
		.online_capable = !(flags & CPU_ENABLED) && (flags & CPU_ONLINE_CAPABLE),
	};
}

static int add_lapic_nmi(struct acpi_madt *madt, uint32_t uid, uint16_t flags, uint8_t lint,
			 const char **ret_reason)
{
	if (lint > 1) {
		*ret_reason = "MADT names a local interrupt that does not exist";
		return -EINVAL;
	}
	if (madt->nr_lapic_nmis == ACPI_MAX_LAPIC_NMIS)
		return full("MADT has too many local NMIs", ret_reason);
	madt->lapic_nmis[madt->nr_lapic_nmis++] = (struct acpi_lapic_nmi){
		.uid = uid,
		.flags = flags,
		.lint = lint,
	};
	return 0;
}

static int add_ioapic(struct acpi_madt *madt, const uint8_t *e, const char **ret_reason)
{
	struct acpi_ioapic io = {
		.id = e[2],
		.paddr = load_u32(e + 4),
		.gsi_base = load_u32(e + 8),
	};

	if (io.paddr == 0) {
		*ret_reason = "MADT has an IO-APIC without address";
		return -EINVAL;
	}
	if (madt->nr_ioapics == ACPI_MAX_IOAPICS)
		return full("MADT has too many IO-APICs", ret_reason);
	madt->ioapics[madt->nr_ioapics++] = io;
	return 0;
}

static int add_override(struct acpi_madt *madt, const uint8_t *e, const char **ret_reason)
{
	if (madt->nr_overrides == ACPI_MAX_OVERRIDES)
		return full("MADT has too many interrupt overrides", ret_reason);
	madt->overrides[madt->nr_overrides++] = (struct acpi_override){
		.bus = e[2],
		.source = e[3],
		.gsi = load_u32(e + 4),
		.flags = load_u16(e + 8),
	};
	return 0;
}

static int add_nmi_source(struct acpi_madt *madt, const uint8_t *e, const char **ret_reason)
{
	if (madt->nr_nmi_sources == ACPI_MAX_NMI_SOURCES)
		return full("MADT has too many NMI sources", ret_reason);
	madt->nmi_sources[madt->nr_nmi_sources++] = (struct acpi_nmi_source){
		.gsi = load_u32(e + 4),
		.flags = load_u16(e + 2),
	};
	return 0;
}

/* Length of the fixed part of an entry we read; 0 for entries that are skipped. */
static uint8_t min_length(uint8_t type)
{
	switch (type) {
	case ENTRY_LAPIC:
	case ENTRY_NMI_SOURCE:
		return 8;
	case ENTRY_IOAPIC:
	case ENTRY_LAPIC_ADDRESS:
	case ENTRY_X2APIC_NMI:
		return 12;
	case ENTRY_OVERRIDE:
		return 10;
	case ENTRY_LAPIC_NMI:
		return 6;
	case ENTRY_X2APIC:
		return 16;
	default:
		return 0;
	}
}

static int parse_entry(struct acpi_madt *madt, const uint8_t *e, const char **ret_reason)
{
	switch (e[0]) {
	case ENTRY_LAPIC:
		if (e[3] != LAPIC_ID_NONE)
			add_cpu(madt, e[3], e[2], load_u32(e + 4));
		return 0;
	case ENTRY_X2APIC:
		if (load_u32(e + 4) != X2APIC_ID_NONE)
			add_cpu(madt, load_u32(e + 4), load_u32(e + 12), load_u32(e + 8));
		return 0;
	case ENTRY_IOAPIC:
		return add_ioapic(madt, e, ret_reason);
	case ENTRY_OVERRIDE:
		return add_override(madt, e, ret_reason);
	case ENTRY_NMI_SOURCE:
		return add_nmi_source(madt, e, ret_reason);
	case ENTRY_LAPIC_NMI:
		return add_lapic_nmi(madt, e[2] == UID_ALL_8BIT ? ACPI_UID_ALL : e[2],
				     load_u16(e + 3), e[5], ret_reason);
	case ENTRY_X2APIC_NMI:
		return add_lapic_nmi(madt, load_u32(e + 4), load_u16(e + 2), e[8], ret_reason);
	case ENTRY_LAPIC_ADDRESS:
		madt->lapic_paddr = load_u64(e + 4);
		return 0;
	default:
		return 0;
	}
}

int acpi_parse_madt(const struct acpi_table *table, struct acpi_madt *ret, const char **ret_reason)
{
	uint32_t off = MADT_ENTRIES;

	if (table->len < MADT_ENTRIES) {
		*ret_reason = "MADT is too short";
		return -EINVAL;
	}
	memset(ret, 0, sizeof(*ret));
	ret->lapic_paddr = load_u32(table->data + MADT_LAPIC_PADDR);
	ret->flags = load_u32(table->data + MADT_FLAGS);
	while (off < table->len) {
		const uint8_t *e = table->data + off;
		uint32_t left = table->len - off;
		int rc;

		if (left < 2 || e[1] < 2 || e[1] > left) {
			*ret_reason = "MADT entry exceeds the table";
			return -EINVAL;
		}
		if (e[1] < min_length(e[0])) {
			*ret_reason = "MADT entry is too short";
			return -EINVAL;
		}
		rc = parse_entry(ret, e, ret_reason);
		if (rc)
			return rc;
		off += e[1];
	}
	return 0;
}
