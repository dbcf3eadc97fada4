/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Building and starting dom0. Whatever is wrong ends in a panic with a message. */
#ifndef ARCH_DOM0_H
#define ARCH_DOM0_H

#include <bulkhead/acpi.h>

void dom0_build(const struct acpi_madt *madt);
void dom0_start(void);

#endif
