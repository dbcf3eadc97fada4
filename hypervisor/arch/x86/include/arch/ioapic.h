/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Set-up of the machine's I/O APICs; their use is in bulkhead/irq.h. */
#ifndef ARCH_IOAPIC_H
#define ARCH_IOAPIC_H

#include <bulkhead/acpi.h>

/* Maps them, masks every pin. 0 or -ENOMEM. */
int ioapic_init(const struct acpi_madt *madt);

#endif
