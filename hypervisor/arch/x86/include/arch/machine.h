/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine as a whole: what the loader and the firmware said, reset, power-off. */
#ifndef ARCH_MACHINE_H
#define ARCH_MACHINE_H

#include <arch/memmap.h>
#include <arch/multiboot2.h>
#include <bulkhead/acpi.h>

extern struct mb2_info boot_info; /* __initdata: gone once dom0 runs */
extern struct memmap machine_map; /* sanitised map of the firmware */
extern struct acpi acpi_tables;
extern struct acpi_fadt acpi_fadt_info;
extern bool acpi_have_fadt, acpi_have_s5;
extern struct acpi_sleep_type acpi_s5;

void machine_reboot(void) __attribute__((noreturn));
void machine_poweroff(void) __attribute__((noreturn));

#endif
