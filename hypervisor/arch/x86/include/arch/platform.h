/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the platform hypercall asks the rest of the architecture. */
#ifndef ARCH_PLATFORM_H
#define ARCH_PLATFORM_H

#include <bulkhead/abi.h>
#include <bulkhead/compiler.h>

/* The screen as the boot loader left it, for dom0; false: there is none. Nothing is filled in then. */
bool arch_dom0_console_info(struct dom0_vga_console_info *ret_info);
/* ACPI processor UID of a CPU that is present, from the MADT. */
uint32_t arch_cpu_acpi_uid(unsigned cpu);

#endif
