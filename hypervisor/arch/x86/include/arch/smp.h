/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPUs of the machine: preparation and start. */
#ifndef ARCH_SMP_H
#define ARCH_SMP_H

#include <bulkhead/acpi.h>

struct cpu;

struct cpu *cpu_boot_early(void); /* makes this_cpu() work on the boot CPU */
/* Stacks, root table and TSS of a CPU. 0 or -ENOMEM. */
int cpu_prepare(struct cpu *c, unsigned id, uint32_t apic_id);
/* Starts all CPUs of the MADT; they wait for smp_release(). */
void smp_start_all(const struct acpi_madt *madt);
void smp_release(void);

#endif
