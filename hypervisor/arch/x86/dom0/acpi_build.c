// SPDX-License-Identifier: GPL-2.0-or-later
// Builds the ACPI tables of a PVH dom0: a filtered XSDT and a MADT of its virtual CPUs.
#include <arch/dom0_acpi.h>
#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

/* Table layouts: ACPI 6.4, 5.2.5.3, 5.2.6, 5.2.8, 5.2.12. */
#define RSDP_SPACE	     64
#define MADT_FIXED_SIZE	     44
#define MADT_LAPIC_SIZE	     8
#define MADT_IOAPIC_SIZE     12
#define MADT_OVERRIDE_SIZE   10
#define MADT_NMI_SOURCE_SIZE 8
#define MADT_X2APIC_SIZE     16
#define APIC_ID_LIMIT	     255u

/*
 * What dom0 may see. FADT, SSDT and the like carry AML and fixed hardware, which dom0 drives
 * itself; the others are plain data. Everything about CPUs, memory topology, timers that are ours
 * and IOMMUs stays hidden, and so does what we do not know.
 */
static const char allowed[][4] = {
	{'F', 'A', 'C', 'P'}, {'S', 'S', 'D', 'T'}, {'P', 'S', 'D', 'T'}, {'S', 'B', 'S', 'T'},
	{'M', 'C', 'F', 'G'}, {'S', 'L', 'I', 'C'}, {'M', 'S', 'D', 'M'}, {'W', 'D', 'A', 'T'},
	{'F', 'P', 'D', 'T'}, {'S', '3', 'P', 'T'}, {'V', 'F', 'C', 'T'},
};

/* Fields of fixed width, without a terminator. */
static const char rsdp_signature[8] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
static const char oem_table_id[8] = {'B', 'U', 'L', 'K', 'H', 'E', 'A', 'D'};
static const char creator_id[4] = {'B', 'L', 'K', 'H'};

/* A table being written. */
struct writer {
	uint8_t *data;
	uint32_t len;
};

static bool is_allowed(const struct acpi_table *table)
{
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (memcmp(table->signature, allowed[i], sizeof(allowed[i])) == 0)
			return true;
	return false;
}

static bool is_visible(const struct dom0_acpi_config *config, const struct acpi_table *table)
{
	if (table->problem)
		return false;
	return !config->visible || config->visible(config->ctx, table->paddr, table->len);
}

static void begin_table(struct writer *w, uint8_t *at, const char *signature, uint8_t revision,
			const struct acpi *host)
{
	w->data = at;
	w->len = ACPI_HEADER_SIZE;
	memset(at, 0, ACPI_HEADER_SIZE);
	memcpy(at, signature, 4);
	at[8] = revision;
	memcpy(at + 10, host->oem_id, 6);
	memcpy(at + 16, oem_table_id, sizeof(oem_table_id));
	store_u32(at + 24, 1);
	memcpy(at + 28, creator_id, sizeof(creator_id));
	store_u32(at + 32, 1);
}

static void end_table(struct writer *w)
{
	store_u32(w->data + 4, w->len);
	w->data[9] = 0;
	w->data[9] = (uint8_t)-acpi_checksum(w->data, w->len);
}

/* Room for one more entry, cleared and with its type and length set. */
static uint8_t *add_entry(struct writer *w, uint8_t type, uint8_t size)
{
	uint8_t *e = w->data + w->len;

	memset(e, 0, size);
	e[0] = type;
	e[1] = size;
	w->len += size;
	return e;
}

static void add_vcpus(struct writer *w, const struct dom0_acpi_config *config)
{
	for (unsigned int n = 0; n < config->nr_vcpus; n++) {
		uint8_t *e;

		if (config->x2apic) {
			e = add_entry(w, 9, MADT_X2APIC_SIZE);
			store_u32(e + 4, DOM0_APIC_ID(n));
			store_u32(e + 8, 1);
			store_u32(e + 12, n);
		} else {
			e = add_entry(w, 0, MADT_LAPIC_SIZE);
			e[2] = (uint8_t)n;
			e[3] = (uint8_t)DOM0_APIC_ID(n);
			store_u32(e + 4, 1);
		}
	}
}

static uint32_t madt_size(const struct dom0_acpi_config *config)
{
	const struct acpi_madt *host = config->madt;

	return MADT_FIXED_SIZE + host->nr_ioapics * MADT_IOAPIC_SIZE +
	       config->nr_vcpus * (config->x2apic ? MADT_X2APIC_SIZE : MADT_LAPIC_SIZE) +
	       host->nr_overrides * MADT_OVERRIDE_SIZE +
	       host->nr_nmi_sources * MADT_NMI_SOURCE_SIZE;
}

static void build_madt(struct writer *w, uint8_t *at, const struct dom0_acpi_config *config)
{
	const struct acpi_madt *host = config->madt;

	begin_table(w, at, "APIC", 4, config->host);
	/* No ACPI_MADT_PCAT_COMPAT: dom0 has no 8259. */
	store_u32(at + 36, (uint32_t)host->lapic_paddr);
	store_u32(at + 40, 0);
	w->len = MADT_FIXED_SIZE;
	for (unsigned int i = 0; i < host->nr_ioapics; i++) {
		uint8_t *e = add_entry(w, 1, MADT_IOAPIC_SIZE);

		e[2] = host->ioapics[i].id;
		store_u32(e + 4, host->ioapics[i].paddr);
		store_u32(e + 8, host->ioapics[i].gsi_base);
	}
	add_vcpus(w, config);
	for (unsigned int i = 0; i < host->nr_overrides; i++) {
		uint8_t *e = add_entry(w, 2, MADT_OVERRIDE_SIZE);

		e[2] = host->overrides[i].bus;
		e[3] = host->overrides[i].source;
		store_u32(e + 4, host->overrides[i].gsi);
		store_u16(e + 8, host->overrides[i].flags);
	}
	for (unsigned int i = 0; i < host->nr_nmi_sources; i++) {
		uint8_t *e = add_entry(w, 3, MADT_NMI_SOURCE_SIZE);

		store_u16(e + 2, host->nmi_sources[i].flags);
		store_u32(e + 4, host->nmi_sources[i].gsi);
	}
	end_table(w);
}

static void add_pointer(struct writer *w, uint64_t gpa)
{
	store_u64(w->data + w->len, gpa);
	w->len += 8;
}

/* Returns whether the FADT is among the tables. */
static bool build_xsdt(struct writer *w, uint8_t *at, const struct dom0_acpi_config *config,
		       uint64_t madt_gpa, struct dom0_acpi_result *result)
{
	const struct acpi *host = config->host;
	bool have_fadt = false;

	begin_table(w, at, "XSDT", 1, host);
	for (unsigned int i = 0; i < host->nr_tables; i++) {
		const struct acpi_table *table = &host->tables[i];

		if (!is_allowed(table)) {
			result->nr_hidden++;
			continue;
		}
		if (!is_visible(config, table)) {
			result->nr_invisible++;
			continue;
		}
		add_pointer(w, table->paddr);
		result->nr_kept++;
		if (memcmp(table->signature, "FACP", 4) == 0)
			have_fadt = true;
	}
	add_pointer(w, madt_gpa);
	end_table(w);
	return have_fadt;
}

static void build_rsdp(uint8_t *at, const struct acpi *host, uint64_t xsdt_gpa)
{
	memset(at, 0, ACPI_RSDP_V2_SIZE);
	memcpy(at, rsdp_signature, sizeof(rsdp_signature));
	memcpy(at + 9, host->oem_id, 6);
	at[15] = 2;
	store_u32(at + 20, ACPI_RSDP_V2_SIZE);
	store_u64(at + 24, xsdt_gpa);
	at[8] = (uint8_t)-acpi_checksum(at, ACPI_RSDP_V1_SIZE);
	at[32] = (uint8_t)-acpi_checksum(at, ACPI_RSDP_V2_SIZE);
}

/* The MADT follows the RSDP; the XSDT, whose size depends on what is kept, comes last. */
static size_t xsdt_offset(const struct dom0_acpi_config *config)
{
	return RSDP_SPACE + ((madt_size(config) + 15) & ~15u);
}

size_t dom0_acpi_size(const struct dom0_acpi_config *config)
{
	return xsdt_offset(config) + ACPI_HEADER_SIZE + (config->host->nr_tables + 1) * 8;
}

static const char *check_config(const struct dom0_acpi_config *config, uint64_t gpa)
{
	if (gpa % 16 != 0)
		return "dom0's ACPI tables are misaligned";
	if (config->madt->nr_ioapics == 0)
		return "the machine has no IO-APIC";
	if (config->nr_vcpus == 0)
		return "dom0 has no vCPU";
	if (DOM0_APIC_ID(config->nr_vcpus - 1) >= APIC_ID_LIMIT && !config->x2apic)
		return "dom0 has more vCPUs than xAPIC ids";
	if (config->nr_vcpus > ACPI_MAX_CPUS)
		return "dom0 has too many vCPUs";
	return NULL;
}

int dom0_acpi_build(const struct dom0_acpi_config *config, void *buf, size_t len, uint64_t gpa,
		    struct dom0_acpi_result *ret_result, const char **ret_reason)
{
	struct dom0_acpi_result result = {.rsdp_gpa = gpa};
	uint8_t *out = buf;
	struct writer madt, xsdt;
	const char *problem = check_config(config, gpa);

	if (problem) {
		*ret_reason = problem;
		return -EINVAL;
	}
	if (len < dom0_acpi_size(config))
		return -ENOSPC;
	build_madt(&madt, out + RSDP_SPACE, config);
	if (!build_xsdt(&xsdt, out + xsdt_offset(config), config, gpa + RSDP_SPACE, &result)) {
		*ret_reason = "the machine has no FADT that dom0 can use";
		return -EINVAL;
	}
	build_rsdp(out, config->host, gpa + xsdt_offset(config));
	*ret_result = result;
	return 0;
}
