// SPDX-License-Identifier: GPL-2.0-or-later
// What the IOMMU drivers need from the machine below them; unit tests replace machine.c by a fake unit.
#ifndef IOMMU_MACHINE_H
#define IOMMU_MACHINE_H

#include <bulkhead/compiler.h>

uint32_t iommu_read32(const volatile void *reg);
uint64_t iommu_read64(const volatile void *reg);
void iommu_write32(volatile void *reg, uint32_t v);
void iommu_write64(volatile void *reg, uint64_t v);

/* Writes back cache lines that a unit reads from memory. */
void iommu_clean_cache(const void *p, size_t len);

/* 16 bytes at once, as a unit may read them at any time; p is aligned to 16. */
void iommu_store128(void *p, uint64_t lo, uint64_t hi);

/* Local APIC: identifier of a CPU (of this struct cpu index), and the mode in which interrupts find it. */
uint32_t iommu_apic_id(unsigned cpu);
bool iommu_apic_x2apic(void);

#endif
