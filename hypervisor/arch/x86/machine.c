/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reset and power-off of the machine. */
#include <arch/machine.h>
#include <arch/cpu.h>
#include <arch/apic.h>
#include <bulkhead/domain.h>
#include <bulkhead/log.h>
#include <bulkhead/time.h>

#define PM1_SLP_EN	  BIT(13)
#define PM1_SLP_TYP_SHIFT 10

struct acpi acpi_tables;
struct acpi_fadt acpi_fadt_info;
bool acpi_have_fadt;
bool acpi_have_s5;
struct acpi_sleep_type acpi_s5;

static void reset_by_acpi(void)
{
	const struct acpi_gas *r = &acpi_fadt_info.reset_reg;

	if (!acpi_have_fadt || !r->address)
		return;
	if (r->space == ACPI_SPACE_IO)
		outb((uint16_t)r->address, acpi_fadt_info.reset_value);
	time_delay_us(50000);
}

void machine_reboot(void)
{
	arch_irq_disable();
	apic_stop_others();
	reset_by_acpi();
	/* PCI reset control register (ICH: 13.7.5), then the keyboard controller. */
	outb(0xcf9, 0x02);
	outb(0xcf9, 0x06);
	time_delay_us(50000);
	for (unsigned i = 0; i < 10; i++) {
		outb(0x64, 0xfe);
		time_delay_us(50000);
	}
	/* A triple fault is the last resort. */
	{
		struct {
			uint16_t limit;
			uint64_t base;
		} __packed empty = {0, 0};

		__asm__ volatile("lidt %0; int3" ::"m"(empty));
	}
	for (;;)
		__asm__ volatile("hlt");
}

static void write_pm1(const struct acpi_gas *reg, unsigned type)
{
	uint16_t v;

	if (!reg->address || reg->space != ACPI_SPACE_IO)
		return;
	v = inw((uint16_t)reg->address) & ~(7U << PM1_SLP_TYP_SHIFT);
	v |= (uint16_t)(type << PM1_SLP_TYP_SHIFT);
	outw((uint16_t)reg->address, v);
	outw((uint16_t)reg->address, v | PM1_SLP_EN);
}

void machine_poweroff(void)
{
	arch_irq_disable();
	apic_stop_others();
	if (acpi_have_fadt && acpi_have_s5) {
		write_pm1(&acpi_fadt_info.pm1a_cnt, acpi_s5.typ_a);
		write_pm1(&acpi_fadt_info.pm1b_cnt, acpi_s5.typ_b);
		time_delay_us(1000000);
	}
	log_err("power-off by ACPI did not work: halted, switch the machine off\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}

void arch_machine_shutdown(unsigned reason)
{
	switch (reason) {
	case SHUTDOWN_poweroff:
		log_info("dom0 has shut down: power off\n");
		machine_poweroff();
	case SHUTDOWN_crash:
		panic("dom0 has crashed");
	case SHUTDOWN_watchdog:
		panic("dom0's watchdog fired");
	default:
		log_info("dom0 asks for a reboot\n");
		machine_reboot();
	}
}
