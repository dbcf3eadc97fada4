// SPDX-License-Identifier: GPL-2.0-or-later
// The local APIC, in x2APIC mode where there is one and as memory otherwise (SDM vol. 3, ch. 11).
#include "guest.h"

#define APIC_MEMORY 0xfee00000u

static bool x2;

bool apic_is_x2(void)
{
	return x2;
}

bool apic_init(void)
{
	uint32_t regs[4];
	uint64_t base = rdmsr(MSR_APIC_BASE);

	cpuid(1, 0, regs);
	if (regs[2] & (1u << 21)) {
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ON | APIC_BASE_X2);
		x2 = true;
	} else {
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ON);
	}
	apic_write(APIC_SVR, SVR_ENABLE | 0xff);
	apic_write(APIC_TPR, 0);
	return x2;
}

static volatile uint32_t *memory_reg(enum apic_reg reg)
{
	return (volatile uint32_t *)(uintptr_t)(APIC_MEMORY + ((unsigned int)reg << 4));
}

uint64_t apic_read(enum apic_reg reg)
{
	return x2 ? rdmsr(MSR_X2APIC + reg) : *memory_reg(reg);
}

void apic_write(enum apic_reg reg, uint64_t value)
{
	if (x2) {
		wrmsr(MSR_X2APIC + reg, value);
		return;
	}
	if (reg == APIC_ICR)
		*memory_reg(APIC_ICR_HIGH) = (uint32_t)(value >> 32);
	*memory_reg(reg) = (uint32_t)value;
}

void apic_self_ipi(unsigned int vector)
{
	apic_write(APIC_ICR, ICR_SELF | ICR_FIXED | vector);
}

/* The self shorthand does not allow an NMI: it goes to our own ID. */
void apic_self_nmi(void)
{
	uint64_t id = x2 ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24 << 24;

	apic_write(APIC_ICR, id << 32 | ICR_NMI);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

/* A bit of the 256-bit registers IRR and ISR. */
bool apic_bit(enum apic_reg base, unsigned int vector)
{
	return apic_read((enum apic_reg)(base + vector / 32)) >> (vector % 32) & 1;
}
