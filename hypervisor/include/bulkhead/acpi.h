// SPDX-License-Identifier: GPL-2.0-or-later
// ACPI tables of the host: discovery from the RSDP, and checked views of those we use.
#ifndef BULKHEAD_ACPI_H
#define BULKHEAD_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits; firmware that exceeds them is reported, not believed. */
#define ACPI_MAX_TABLES		  128
#define ACPI_MAX_TABLE_SIZE	  (4u * 1024 * 1024)
#define ACPI_MAX_CPUS		  512
#define ACPI_MAX_IOAPICS	  32
#define ACPI_MAX_OVERRIDES	  32
#define ACPI_MAX_NMI_SOURCES	  16
#define ACPI_MAX_LAPIC_NMIS	  64
#define ACPI_MAX_MCFG		  32
#define ACPI_MAX_IOMMUS		  32
#define ACPI_MAX_RESERVED_REGIONS 64
#define ACPI_MAX_ATSRS		  16
#define ACPI_MAX_RHSAS		  32
#define ACPI_MAX_SCOPE_PATH	  8

/* Table header (ACPI 6.4, 5.2.6). */
#define ACPI_HEADER_SIZE  36
#define ACPI_RSDP_V1_SIZE 20
#define ACPI_RSDP_V2_SIZE 36

/*
 * Gives a pointer to len bytes of physical memory, or NULL. What map() returned must stay readable
 * for as long as the struct acpi and the views parsed from it are used.
 */
struct acpi_mapper {
	const void *(*map)(void *ctx, uint64_t paddr, uint32_t len);
	void *ctx;
};

/* A table whose length and checksum were verified; all len bytes are mapped. */
struct acpi_table {
	char signature[4];
	uint8_t revision;
	uint64_t paddr;
	uint32_t len;
	const uint8_t *data;
	/* NULL, or why the table cannot be used; data is NULL then. */
	const char *problem;
};

struct acpi {
	uint8_t rsdp_revision;
	char oem_id[6];
	uint64_t root_paddr; /* of the XSDT, or of the RSDT */
	bool root_is_xsdt;
	unsigned int nr_tables;
	struct acpi_table tables[ACPI_MAX_TABLES]; /* in the order of the root table */
	struct acpi_mapper mapper;
};

/*
 * Reads RSDP, XSDT (or RSDT) and the headers of all tables listed there. A listed table that is
 * malformed is kept with its problem. Returns 0, or -EINVAL with a constant text in *ret_reason if
 * RSDP or root table are not usable; then *acpi is unspecified.
 */
int acpi_init(struct acpi *acpi, const void *rsdp, uint32_t rsdp_len,
	      const struct acpi_mapper *mapper, const char **ret_reason);

/*
 * The index-th usable table with this signature (4 characters). Returns 0; -ENOENT if there is
 * none; -EINVAL with *ret_reason if there are only unusable ones.
 */
int acpi_find(const struct acpi *acpi, const char *signature, unsigned int index,
	      const struct acpi_table **ret_table, const char **ret_reason);

/*
 * Maps and checks one table by its address (the DSDT is in no list). Returns 0 or -EINVAL with
 * *ret_reason.
 */
int acpi_load(const struct acpi *acpi, uint64_t paddr, struct acpi_table *ret_table,
	      const char **ret_reason);

/* Sum of len bytes modulo 256; 0 for an intact table. */
uint8_t acpi_checksum(const void *data, uint32_t len);

/* ---- Register addresses (ACPI 6.4, 5.2.3.2) ---- */

enum acpi_space {
	ACPI_SPACE_MEMORY = 0,
	ACPI_SPACE_IO = 1,
	ACPI_SPACE_PCI = 2,
};

/* address 0: there is no such register. */
struct acpi_gas {
	uint8_t space;
	uint8_t bits;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
};

/* ---- MADT (5.2.12) ---- */

#define ACPI_MADT_PCAT_COMPAT 1u

/* MPS INTI flags (table 5-48). */
#define ACPI_INTI_POLARITY_MASK 3u
#define ACPI_INTI_POLARITY_HIGH 1u
#define ACPI_INTI_POLARITY_LOW	3u
#define ACPI_INTI_TRIGGER_MASK	0xcu
#define ACPI_INTI_TRIGGER_EDGE	4u
#define ACPI_INTI_TRIGGER_LEVEL 0xcu

#define ACPI_UID_ALL UINT32_MAX

struct acpi_cpu {
	uint32_t apic_id;
	uint32_t uid;
	bool enabled;
	bool online_capable; /* not enabled, but may be plugged in */
};

struct acpi_ioapic {
	uint8_t id;
	uint32_t paddr;
	uint32_t gsi_base;
};

struct acpi_override {
	uint8_t bus;
	uint8_t source; /* ISA IRQ */
	uint32_t gsi;
	uint16_t flags; /* MPS INTI */
};

struct acpi_nmi_source {
	uint32_t gsi;
	uint16_t flags;
};

struct acpi_lapic_nmi {
	uint32_t uid; /* ACPI_UID_ALL: every CPU */
	uint16_t flags;
	uint8_t lint;
};

struct acpi_madt {
	uint64_t lapic_paddr;
	uint32_t flags;
	unsigned int nr_cpus;
	unsigned int nr_cpus_dropped; /* beyond ACPI_MAX_CPUS */
	struct acpi_cpu cpus[ACPI_MAX_CPUS];
	unsigned int nr_ioapics;
	struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
	unsigned int nr_overrides;
	struct acpi_override overrides[ACPI_MAX_OVERRIDES];
	unsigned int nr_nmi_sources;
	struct acpi_nmi_source nmi_sources[ACPI_MAX_NMI_SOURCES];
	unsigned int nr_lapic_nmis;
	struct acpi_lapic_nmi lapic_nmis[ACPI_MAX_LAPIC_NMIS];
};

/*
 * The parsers below fill *ret in one go. They return 0; -EINVAL with *ret_reason if the table is
 * malformed; -E2BIG with *ret_reason if a limit is exceeded. *ret is unspecified on failure. The
 * larger ones want static storage.
 */
int acpi_parse_madt(const struct acpi_table *table, struct acpi_madt *ret, const char **ret_reason);

/* ---- FADT (5.2.9) ---- */

#define ACPI_FADT_TMR_VAL_EXT	      (1u << 8) /* PM timer has 32 bits, not 24 */
#define ACPI_FADT_RESET_REG_SUP	      (1u << 10)
#define ACPI_FADT_FORCE_APIC_CLUSTER  (1u << 18)
#define ACPI_FADT_FORCE_APIC_PHYSICAL (1u << 19)
#define ACPI_FADT_HW_REDUCED	      (1u << 20)

#define ACPI_BOOT_LEGACY_DEVICES (1u << 0)
#define ACPI_BOOT_8042		 (1u << 1)
#define ACPI_BOOT_NO_VGA	 (1u << 2)
#define ACPI_BOOT_NO_MSI	 (1u << 3)
#define ACPI_BOOT_NO_ASPM	 (1u << 4)
#define ACPI_BOOT_NO_CMOS_RTC	 (1u << 5)

struct acpi_fadt {
	uint8_t revision;
	uint32_t flags;
	uint16_t boot_arch; /* 0 before revision 2 */
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable;
	uint8_t acpi_disable;
	uint8_t pm_profile;
	uint8_t century; /* CMOS index, 0: none */
	uint64_t dsdt_paddr;
	uint64_t facs_paddr;
	/* The X_ form where it is given, else the old one. */
	struct acpi_gas pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	struct acpi_gas reset_reg; /* address 0 unless ACPI_FADT_RESET_REG_SUP is set */
	uint8_t reset_value;
};

int acpi_parse_fadt(const struct acpi_table *table, struct acpi_fadt *ret, const char **ret_reason);

/* ---- HPET (IA-PC HPET 1.0a, 3.2.4) ---- */

struct acpi_hpet {
	uint32_t block_id;
	struct acpi_gas base;
	uint8_t number;
	uint16_t min_tick;
};

int acpi_parse_hpet(const struct acpi_table *table, struct acpi_hpet *ret, const char **ret_reason);

/* ---- MCFG (PCI Firmware 3.3, 4.1.2) ---- */

struct acpi_mcfg_window {
	uint64_t paddr; /* of bus 0, even if start_bus is above */
	uint16_t segment;
	uint8_t start_bus;
	uint8_t end_bus;
};

struct acpi_mcfg {
	unsigned int nr;
	struct acpi_mcfg_window windows[ACPI_MAX_MCFG];
};

int acpi_parse_mcfg(const struct acpi_table *table, struct acpi_mcfg *ret, const char **ret_reason);

/* ---- DMAR (VT-d 3.3, chapter 8) ---- */

#define ACPI_DMAR_INTR_REMAP	  1u
#define ACPI_DMAR_X2APIC_OPT_OUT  2u
#define ACPI_DMAR_DMA_CTRL_OPT_IN 4u

enum acpi_scope_type {
	ACPI_SCOPE_ENDPOINT = 1,
	ACPI_SCOPE_BRIDGE = 2, /* and all below it */
	ACPI_SCOPE_IOAPIC = 3,
	ACPI_SCOPE_HPET = 4,
	ACPI_SCOPE_NAMESPACE = 5,
};

struct acpi_scope {
	uint8_t type;
	uint8_t enumeration_id; /* IO-APIC id, HPET number, … */
	uint8_t start_bus;
	uint8_t nr_path;
	struct {
		uint8_t device;
		uint8_t function;
	} path[ACPI_MAX_SCOPE_PATH]; /* nr_path - 1 bridges, then the device */
};

/* A list of scopes within the table; checked by acpi_parse_dmar(). */
struct acpi_scope_list {
	const uint8_t *data;
	uint32_t len;
};

struct acpi_drhd {
	bool include_all; /* all devices of the segment that no other unit names */
	uint16_t segment;
	uint64_t paddr;
	struct acpi_scope_list scopes;
};

struct acpi_rmrr {
	uint16_t segment;
	uint64_t start;
	uint64_t end; /* exclusive */
	struct acpi_scope_list scopes;
};

struct acpi_atsr {
	bool all_ports;
	uint16_t segment;
	struct acpi_scope_list scopes;
};

struct acpi_rhsa {
	uint64_t paddr; /* of the unit's registers */
	uint32_t proximity_domain;
};

struct acpi_dmar {
	uint8_t address_bits; /* DMA address width of the host */
	uint8_t flags;
	unsigned int nr_drhds;
	struct acpi_drhd drhds[ACPI_MAX_IOMMUS];
	unsigned int nr_rmrrs;
	struct acpi_rmrr rmrrs[ACPI_MAX_RESERVED_REGIONS];
	unsigned int nr_atsrs;
	struct acpi_atsr atsrs[ACPI_MAX_ATSRS];
	unsigned int nr_rhsas;
	struct acpi_rhsa rhsas[ACPI_MAX_RHSAS];
};

int acpi_parse_dmar(const struct acpi_table *table, struct acpi_dmar *ret, const char **ret_reason);

/*
 * Walks a scope list: *pos starts at 0. Returns 1 and the scope, 0 at the end, -EINVAL if the list
 * is malformed (those from acpi_parse_dmar() are not).
 */
int acpi_scope_next(const struct acpi_scope_list *list, uint32_t *pos, struct acpi_scope *ret);

/* ---- IVRS (AMD I/O Virtualization Technology 3.08, chapter 5) ---- */

/* Flags of an IVHD block (5.2.2.1). */
#define ACPI_IVHD_HT_TUN_EN   (1u << 0)
#define ACPI_IVHD_PASS_PW     (1u << 1)
#define ACPI_IVHD_RES_PASS_PW (1u << 2)
#define ACPI_IVHD_ISOC	      (1u << 3)
#define ACPI_IVHD_IOTLB_SUP   (1u << 4)
#define ACPI_IVHD_COHERENT    (1u << 5)
#define ACPI_IVHD_PREF_SUP    (1u << 6)
#define ACPI_IVHD_PPR_SUP     (1u << 7)

/* Settings of a device entry, as they go into its device table entry. */
#define ACPI_IVHD_INIT_PASS	(1u << 0)
#define ACPI_IVHD_EINT_PASS	(1u << 1)
#define ACPI_IVHD_NMI_PASS	(1u << 2)
#define ACPI_IVHD_SYS_MGT_SHIFT 4
#define ACPI_IVHD_SYS_MGT_MASK	3u
#define ACPI_IVHD_LINT0_PASS	(1u << 6)
#define ACPI_IVHD_LINT1_PASS	(1u << 7)

#define ACPI_IVHD_EXT_ATS_DISABLED (1u << 31)

/* Flags of an IVMD block (5.2.2.8). */
#define ACPI_IVMD_UNITY	    (1u << 0)
#define ACPI_IVMD_READ	    (1u << 1)
#define ACPI_IVMD_WRITE	    (1u << 2)
#define ACPI_IVMD_EXCLUSION (1u << 3)

struct acpi_ivhd {
	uint8_t type; /* 0x10, 0x11 or 0x40: the best block for this unit */
	uint8_t flags;
	uint16_t segment;
	uint16_t device_id;  /* of the IOMMU itself: bus << 8 | device << 3 | function */
	uint16_t capability; /* its offset in configuration space */
	uint64_t paddr;	     /* of the registers */
	uint16_t info;
	uint32_t features; /* type 0x10: feature reporting; others: attributes */
	uint64_t efr;	   /* extended feature register image; 0 with type 0x10 */
	const uint8_t *entries;
	uint32_t entries_len;
};

enum acpi_ivhd_kind {
	ACPI_IVHD_ALL,	   /* every device of the segment */
	ACPI_IVHD_DEVICES, /* first_id to last_id; the same for one device */
	ACPI_IVHD_IOAPIC,  /* handle is its id; requests come from first_id */
	ACPI_IVHD_HPET,	   /* handle is its number */
	ACPI_IVHD_ACPI,	   /* named in the ACPI namespace; requests come from first_id */
};

struct acpi_ivhd_entry {
	enum acpi_ivhd_kind kind;
	uint16_t first_id;
	uint16_t last_id;
	uint8_t settings;
	bool has_alias; /* requests of these devices carry alias_id */
	uint16_t alias_id;
	uint32_t extended; /* ACPI_IVHD_EXT_*, 0 if not given */
	uint8_t handle;
	char hid[8]; /* ACPI_IVHD_ACPI, not terminated */
};

struct acpi_ivmd {
	uint8_t flags;
	uint16_t segment;
	uint16_t first_id;
	uint16_t last_id;
	uint64_t start;
	uint64_t end; /* exclusive */
};

struct acpi_ivrs {
	uint32_t info;
	unsigned int nr_ivhds;
	struct acpi_ivhd ivhds[ACPI_MAX_IOMMUS];
	unsigned int nr_ivmds;
	struct acpi_ivmd ivmds[ACPI_MAX_RESERVED_REGIONS];
};

/* Several blocks may describe one unit for software of different age: only the newest is kept. */
int acpi_parse_ivrs(const struct acpi_table *table, struct acpi_ivrs *ret, const char **ret_reason);

/*
 * Walks the device entries of a block; start and end of a range come as one entry. *pos starts at
 * 0. Returns 1 and the entry, 0 at the end, -EINVAL if the entries are malformed (those from
 * acpi_parse_ivrs() are not).
 */
int acpi_ivhd_next(const struct acpi_ivhd *ivhd, uint32_t *pos, struct acpi_ivhd_entry *ret);

/* ---- Soft-off ---- */

struct acpi_sleep_type {
	uint8_t typ_a; /* SLP_TYP for PM1a_CNT */
	uint8_t typ_b; /* SLP_TYP for PM1b_CNT */
};

/*
 * Searches DSDT and SSDTs for the package \_S5_ without an AML interpreter. Returns 0, -ENOENT if
 * there is none, -EINVAL with *ret_reason if the DSDT is not usable.
 */
int acpi_find_s5(const struct acpi *acpi, const struct acpi_fadt *fadt, struct acpi_sleep_type *ret,
		 const char **ret_reason);

#endif
