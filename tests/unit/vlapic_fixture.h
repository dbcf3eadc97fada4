// SPDX-License-Identifier: GPL-2.0-or-later
// Four vCPUs with virtual local APICs, for unit tests: names of the registers, and how to read and write them.
#ifndef VLAPIC_FIXTURE_H
#define VLAPIC_FIXTURE_H

#include "fake_x86.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arch/vlapic.h>
#include <bulkhead/errno.h>

#define NR 4

#define BASE	0x1b
#define X2(off) (0x800 + ((off) >> 4))

enum {
	ID = 0x20,
	VERSION = 0x30,
	TPR = 0x80,
	PPR = 0xa0,
	EOI = 0xb0,
	LDR = 0xd0,
	DFR = 0xe0,
	SVR = 0xf0,
	ISR = 0x100,
	TMR = 0x180,
	IRR = 0x200,
	ESR = 0x280,
	ICR = 0x300,
	ICR2 = 0x310,
	LVTT = 0x320,
	THERMAL = 0x330,
	LINT0 = 0x350,
	LVTERR = 0x370,
	TMICT = 0x380,
	TMCCT = 0x390,
	TDCR = 0x3e0,
	SELF = 0x3f0,
};

#define MASKED	 0x10000U
#define PERIODIC 0x20000U
#define DIV_1	 0xb
#define DIV_2	 0x0

extern struct domain *dom;

struct vcpu *vcpu(unsigned n);
/* Registers of the page, and MSRs, of vCPU n. */
uint32_t rd(unsigned n, uint32_t reg);
void wr(unsigned n, uint32_t reg, uint32_t value);
uint64_t rdm(unsigned n, uint32_t msr);
void wrm(unsigned n, uint32_t msr, uint64_t value);
/* A write that the guest gets a fault for. */
void refused(unsigned n, uint32_t msr, uint64_t value);
void to_x2apic(unsigned n);
bool pending(unsigned n, unsigned vector);
/* The CPU takes the interrupt that is to be delivered; -1: there is none. */
int take(unsigned n);
/* Four vCPUs with enabled APICs in xAPIC mode; the end finds what is left over. */
int vlapic_setup(void **state);
int vlapic_teardown(void **state);

#define T(name) cmocka_unit_test_setup_teardown(name, vlapic_setup, vlapic_teardown)

#endif
