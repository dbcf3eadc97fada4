// SPDX-License-Identifier: GPL-2.0-or-later
// Registers, caches and local APIC identifiers for the IOMMU drivers.

#include <arch/cpu.h>
#include <bulkhead/cpu.h>

#include "machine.h"

#define MSR_APIC_BASE	 0x1b
#define APIC_BASE_X2APIC BIT(10) /* SDM 10.12.1 */
#define CACHE_LINE_MIN	 64

uint32_t iommu_read32(const volatile void *reg)
{
	return mmio_read32(reg);
}

uint64_t iommu_read64(const volatile void *reg)
{
	return mmio_read64(reg);
}

void iommu_write32(volatile void *reg, uint32_t v)
{
	mmio_write32(reg, v);
}

void iommu_write64(volatile void *reg, uint64_t v)
{
	mmio_write64(reg, v);
}

void iommu_clean_cache(const void *p, size_t len)
{
	uintptr_t line = ALIGN_DOWN((uintptr_t)p, CACHE_LINE_MIN);

	for (; line < (uintptr_t)p + len; line += CACHE_LINE_MIN)
		__asm__ volatile("clflush %0" ::"m"(*(const char *)line) : "memory");
	/* CLFLUSH is ordered by MFENCE only (SDM vol. 2A). */
	arch_mb();
}

/* Every CPU with x2APIC and units with wide entries has CMPXCHG16B. */
static bool swap128(volatile uint64_t *p, uint64_t lo, uint64_t hi)
{
	uint64_t old_lo = p[0], old_hi = p[1];
	bool done = false;

	__asm__ volatile("lock cmpxchg16b %1; sete %0"
			 : "+q"(done), "+m"(*(volatile __int128 *)p), "+a"(old_lo), "+d"(old_hi)
			 : "b"(lo), "c"(hi)
			 : "memory", "cc");
	return done;
}

void iommu_store128(void *p, uint64_t lo, uint64_t hi)
{
	/* Fails only if somebody else wrote meanwhile. */
	while (!swap128(p, lo, hi))
		arch_cpu_relax();
}

uint32_t iommu_apic_id(unsigned cpu)
{
	return cpu_table[cpu]->arch.apic_id;
}

bool iommu_apic_x2apic(void)
{
	return rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
}
