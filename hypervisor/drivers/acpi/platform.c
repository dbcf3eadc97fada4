// SPDX-License-Identifier: GPL-2.0-or-later
// Tables of fixed form: FADT, HPET and MCFG.
#include <bulkhead/acpi.h>
#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

#define GAS_SIZE 12

/* Offsets in the FADT (ACPI 6.4, table 5-9). */
#define FADT_FACS	  36
#define FADT_DSDT	  40
#define FADT_PM_PROFILE	  45
#define FADT_SCI_INT	  46
#define FADT_SMI_CMD	  48
#define FADT_ACPI_ENABLE  52
#define FADT_ACPI_DISABLE 53
#define FADT_PM1A_EVT	  56
#define FADT_PM1B_EVT	  60
#define FADT_PM1A_CNT	  64
#define FADT_PM1B_CNT	  68
#define FADT_PM2_CNT	  72
#define FADT_PM_TMR	  76
#define FADT_GPE0	  80
#define FADT_GPE1	  84
#define FADT_PM1_EVT_LEN  88
#define FADT_PM1_CNT_LEN  89
#define FADT_PM2_CNT_LEN  90
#define FADT_PM_TMR_LEN	  91
#define FADT_GPE0_LEN	  92
#define FADT_GPE1_LEN	  93
#define FADT_CENTURY	  108
#define FADT_BOOT_ARCH	  109
#define FADT_FLAGS	  112
#define FADT_V1_SIZE	  116
#define FADT_RESET_REG	  116
#define FADT_RESET_VALUE  128
#define FADT_X_FACS	  132
#define FADT_X_DSDT	  140
#define FADT_X_PM1A_EVT	  148
#define FADT_X_PM1B_EVT	  160
#define FADT_X_PM1A_CNT	  172
#define FADT_X_PM1B_CNT	  184
#define FADT_X_PM2_CNT	  196
#define FADT_X_PM_TMR	  208
#define FADT_X_GPE0	  220
#define FADT_X_GPE1	  232

#define HPET_BLOCK_ID 36
#define HPET_BASE     40
#define HPET_NUMBER   52
#define HPET_MIN_TICK 53
#define HPET_SIZE     56

#define MCFG_ENTRIES	44
#define MCFG_ENTRY_SIZE 16
#define ECAM_BUS_SIZE	(UINT64_C(1) << 20)

static struct acpi_gas read_gas(const uint8_t *p)
{
	return (struct acpi_gas){
		.space = p[0],
		.bits = p[1],
		.bit_offset = p[2],
		.access_size = p[3],
		.address = load_u64(p + 4),
	};
}

static bool has_field(const struct acpi_table *table, uint32_t off, uint32_t size)
{
	return table->len >= off + size;
}

/*
 * A register block in its extended form if the table reaches that far and gives an address, else in
 * the old form: a port number and a length in bytes (5.2.9). The bit width is taken from the
 * length, as firmware is known to leave wrong widths in the extended form.
 */
static struct acpi_gas read_block(const struct acpi_table *table, uint32_t x_off, uint32_t off,
				  uint32_t len_off)
{
	struct acpi_gas gas;
	uint8_t len = table->data[len_off];

	if (has_field(table, x_off, GAS_SIZE)) {
		gas = read_gas(table->data + x_off);
		if (gas.address != 0)
			return gas;
	}
	memset(&gas, 0, sizeof(gas));
	gas.address = load_u32(table->data + off);
	if (gas.address == 0 || len == 0)
		return (struct acpi_gas){0};
	gas.space = ACPI_SPACE_IO;
	gas.bits = len > 31 ? 0 : (uint8_t)(len * 8);
	return gas;
}

static uint64_t read_pointer(const struct acpi_table *table, uint32_t x_off, uint32_t off)
{
	if (has_field(table, x_off, 8) && load_u64(table->data + x_off) != 0)
		return load_u64(table->data + x_off);
	return load_u32(table->data + off);
}

int acpi_parse_fadt(const struct acpi_table *table, struct acpi_fadt *ret, const char **ret_reason)
{
	const uint8_t *d = table->data;

	if (table->len < FADT_V1_SIZE) {
		*ret_reason = "FADT is too short";
		return -EINVAL;
	}
	memset(ret, 0, sizeof(*ret));
	ret->revision = table->revision;
	ret->flags = load_u32(d + FADT_FLAGS);
	if (table->revision >= 2)
		ret->boot_arch = load_u16(d + FADT_BOOT_ARCH);
	ret->sci_int = load_u16(d + FADT_SCI_INT);
	ret->smi_cmd = load_u32(d + FADT_SMI_CMD);
	ret->acpi_enable = d[FADT_ACPI_ENABLE];
	ret->acpi_disable = d[FADT_ACPI_DISABLE];
	ret->pm_profile = d[FADT_PM_PROFILE];
	ret->century = d[FADT_CENTURY];
	ret->dsdt_paddr = read_pointer(table, FADT_X_DSDT, FADT_DSDT);
	ret->facs_paddr = read_pointer(table, FADT_X_FACS, FADT_FACS);
	ret->pm1a_evt = read_block(table, FADT_X_PM1A_EVT, FADT_PM1A_EVT, FADT_PM1_EVT_LEN);
	ret->pm1b_evt = read_block(table, FADT_X_PM1B_EVT, FADT_PM1B_EVT, FADT_PM1_EVT_LEN);
	ret->pm1a_cnt = read_block(table, FADT_X_PM1A_CNT, FADT_PM1A_CNT, FADT_PM1_CNT_LEN);
	ret->pm1b_cnt = read_block(table, FADT_X_PM1B_CNT, FADT_PM1B_CNT, FADT_PM1_CNT_LEN);
	ret->pm2_cnt = read_block(table, FADT_X_PM2_CNT, FADT_PM2_CNT, FADT_PM2_CNT_LEN);
	ret->pm_tmr = read_block(table, FADT_X_PM_TMR, FADT_PM_TMR, FADT_PM_TMR_LEN);
	ret->gpe0 = read_block(table, FADT_X_GPE0, FADT_GPE0, FADT_GPE0_LEN);
	ret->gpe1 = read_block(table, FADT_X_GPE1, FADT_GPE1, FADT_GPE1_LEN);
	if ((ret->flags & ACPI_FADT_RESET_REG_SUP) && has_field(table, FADT_RESET_VALUE, 1)) {
		ret->reset_reg = read_gas(d + FADT_RESET_REG);
		ret->reset_value = d[FADT_RESET_VALUE];
	}
	return 0;
}

int acpi_parse_hpet(const struct acpi_table *table, struct acpi_hpet *ret, const char **ret_reason)
{
	const uint8_t *d = table->data;

	if (table->len < HPET_SIZE) {
		*ret_reason = "HPET table is too short";
		return -EINVAL;
	}
	*ret = (struct acpi_hpet){
		.block_id = load_u32(d + HPET_BLOCK_ID),
		.base = read_gas(d + HPET_BASE),
		.number = d[HPET_NUMBER],
		.min_tick = load_u16(d + HPET_MIN_TICK),
	};
	if (ret->base.address == 0 || ret->base.space != ACPI_SPACE_MEMORY) {
		*ret_reason = "HPET table has no memory address";
		return -EINVAL;
	}
	return 0;
}

int acpi_parse_mcfg(const struct acpi_table *table, struct acpi_mcfg *ret, const char **ret_reason)
{
	ret->nr = 0;
	if (table->len < MCFG_ENTRIES || (table->len - MCFG_ENTRIES) % MCFG_ENTRY_SIZE != 0) {
		*ret_reason = "MCFG has a bad length";
		return -EINVAL;
	}
	for (uint32_t off = MCFG_ENTRIES; off < table->len; off += MCFG_ENTRY_SIZE) {
		const uint8_t *e = table->data + off;
		struct acpi_mcfg_window w = {
			.paddr = load_u64(e),
			.segment = load_u16(e + 8),
			.start_bus = e[10],
			.end_bus = e[11],
		};

		if (w.start_bus > w.end_bus) {
			*ret_reason = "MCFG window ends before it starts";
			return -EINVAL;
		}
		if (w.paddr == 0 || w.paddr % ECAM_BUS_SIZE != 0 ||
		    w.paddr > UINT64_MAX - 256 * ECAM_BUS_SIZE) {
			*ret_reason = "MCFG window has a bad address";
			return -EINVAL;
		}
		if (ret->nr == ACPI_MAX_MCFG) {
			*ret_reason = "MCFG has too many windows";
			return -E2BIG;
		}
		ret->windows[ret->nr++] = w;
	}
	return 0;
}
