// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the virtual local APIC: priorities, EOI, modes, registers, timer, interprocessor interrupts.
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/fake_x86.c hypervisor/arch/x86/hvm/vlapic.c hypervisor/arch/x86/hvm/vlapic_timer.c
// links: hypervisor/arch/x86/hvm/vapic_message.c hypervisor/arch/x86/hvm/vioapic.c
// links: hypervisor/arch/x86/hvm/hvm_io.c hypervisor/arch/x86/hvm/mtrr.c
// libs: -lpthread
/* The C library's function of this name is not the hypervisor's. */
#define sched_yield libc_sched_yield
#include <pthread.h>
#undef sched_yield
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <arch/vlapic.h>
#include <bulkhead/errno.h>

#include "fake_x86.h"

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

static struct domain *dom;

static struct vcpu *vcpu(unsigned n)
{
	return dom->vcpus[n];
}

static uint32_t rd(unsigned n, uint32_t reg)
{
	uint64_t value = ~0ULL;

	assert_int_equal(vlapic_mmio_read(vcpu(n), reg, 4, &value), 0);
	return (uint32_t)value;
}

static void wr(unsigned n, uint32_t reg, uint32_t value)
{
	assert_int_equal(vlapic_mmio_write(vcpu(n), reg, 4, value), 0);
}

static uint64_t rdm(unsigned n, uint32_t msr)
{
	uint64_t value = ~0ULL;

	assert_int_equal(vlapic_msr_read(vcpu(n), msr, &value), 0);
	return value;
}

static void wrm(unsigned n, uint32_t msr, uint64_t value)
{
	assert_int_equal(vlapic_msr_write(vcpu(n), msr, value), 0);
}

static void refused(unsigned n, uint32_t msr, uint64_t value)
{
	assert_int_equal(vlapic_msr_write(vcpu(n), msr, value), -EINVAL);
}

static void to_x2apic(unsigned n)
{
	wrm(n, BASE, rdm(n, BASE) | 0x400);
}

static bool pending(unsigned n, unsigned vector)
{
	bool x2 = vlapic_x2apic(vcpu(n));
	uint32_t reg = IRR + 16 * (vector / 32);
	uint32_t word = x2 ? (uint32_t)rdm(n, X2(reg)) : rd(n, reg);

	return word >> (vector % 32) & 1;
}

/* The CPU takes the interrupt that is to be delivered. */
static int take(unsigned n)
{
	int vector = vlapic_deliverable(vcpu(n));

	if (vector >= 0)
		vlapic_accept(vcpu(n), (uint8_t)vector);
	return vector;
}

static int setup(void **state)
{
	unsigned i;

	(void)state;
	fake_reset();
	dom = fake_domain(false, NR);
	for (i = 0; i < NR; i++) {
		assert_int_equal(vlapic_init(vcpu(i)), 0);
		wr(i, SVR, 0x1ff);
	}
	return 0;
}

static int teardown(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < NR; i++)
		vlapic_finish(vcpu(i));
	fake_domain_free(dom);
	return fake_heap_live == 0 && fake_timers_armed() == 0 ? 0 : -1;
}

/* ---- State after power-up ---- */

static void test_reset_values(void **state)
{
	unsigned lvt;

	(void)state;
	vlapic_reset(vcpu(0));
	vlapic_reset(vcpu(1));
	assert_int_equal(rdm(0, BASE), 0xfee00900);
	assert_int_equal(rdm(1, BASE), 0xfee00800);
	assert_int_equal(rd(1, ID), 2U << 24);
	assert_int_equal(rd(0, VERSION), 0x50014);
	assert_int_equal(rd(0, SVR), 0xff);
	assert_int_equal(rd(0, DFR), 0xffffffff);
	assert_int_equal(rd(0, LDR), 0);
	for (lvt = LVTT; lvt <= LVTERR; lvt += 16)
		assert_int_equal(rd(0, lvt), MASKED);
	assert_int_equal(rd(0, TMCCT), 0);
	assert_int_equal(rd(0, ESR), 0);
	assert_true(vlapic_covers(vcpu(0), 0xfee00ff0));
	assert_false(vlapic_covers(vcpu(0), 0xfee01000));
	assert_int_equal(vlapic_deliverable(vcpu(0)), -1);
}

static void test_init_failures(void **state)
{
	struct vcpu *v = calloc(1, sizeof(*v));
	int n;

	(void)state;
	v->domain = dom;
	for (n = 0; n < 2; n++) {
		fake_heap_fail_after = n;
		assert_int_equal(vlapic_init(v), -ENOMEM);
		assert_null(v->arch.vlapic);
	}
	fake_heap_fail_after = -1;
	vlapic_finish(v);
	/* Without an APIC nothing is there, and nothing is touched. */
	assert_int_equal(vlapic_deliverable(v), -1);
	assert_int_equal(vlapic_highest_irr(v), -1);
	assert_false(vlapic_covers(v, 0xfee00000));
	assert_false(vlapic_match(v, 0, false));
	assert_int_equal(vlapic_msr_write(v, BASE, 0xfee00800), -EINVAL);
	vlapic_set_irq(v, 0x40, false);
	vlapic_accept(v, 0x40);
	vlapic_reset(v);
	free(v);
}

/* ---- Priorities and EOI ---- */

static void test_priority_order(void **state)
{
	(void)state;
	vlapic_set_irq(vcpu(0), 0x31, false);
	vlapic_set_irq(vcpu(0), 0x51, false);
	vlapic_set_irq(vcpu(0), 0xe0, false);
	assert_int_equal(fake_events[0].kicks, 3);
	assert_int_equal(vlapic_highest_irr(vcpu(0)), 0xe0);
	assert_int_equal(take(0), 0xe0);
	/* Lower classes wait for the EOI. */
	assert_int_equal(take(0), -1);
	assert_int_equal(vlapic_highest_irr(vcpu(0)), 0x51);
	assert_int_equal(rd(0, PPR), 0xe0);
	wr(0, EOI, 0);
	assert_int_equal(take(0), 0x51);
	/* Neither does the same class nest, but a higher one does. */
	vlapic_set_irq(vcpu(0), 0x5f, false);
	assert_int_equal(take(0), -1);
	vlapic_set_irq(vcpu(0), 0x60, false);
	assert_int_equal(take(0), 0x60);
	assert_int_equal(rd(0, ISR + 0x20), 1U << (0x51 - 0x40));
	assert_int_equal(rd(0, ISR + 0x30), 1U << 0);
	/* EOIs end the highest first. */
	wr(0, EOI, 0);
	assert_int_equal(rd(0, PPR), 0x50);
	wr(0, EOI, 0);
	assert_int_equal(take(0), 0x5f);
	wr(0, EOI, 0);
	assert_int_equal(take(0), 0x31);
	wr(0, EOI, 0);
	assert_int_equal(rd(0, PPR), 0);
	/* One too many is harmless. */
	wr(0, EOI, 0);
	assert_int_equal(take(0), -1);
}

static void test_task_priority(void **state)
{
	(void)state;
	vlapic_set_irq(vcpu(0), 0x45, false);
	wr(0, TPR, 0x40);
	assert_int_equal(vlapic_deliverable(vcpu(0)), -1);
	assert_int_equal(vlapic_highest_irr(vcpu(0)), 0x45);
	vlapic_set_tpr(vcpu(0), 0x3f);
	assert_int_equal(rd(0, TPR), 0x3f);
	assert_int_equal(vlapic_get_tpr(vcpu(0)), 0x3f);
	assert_int_equal(take(0), 0x45);
	/* PPR is TPR with its sub-class where that class is not the lower one. */
	assert_int_equal(rd(0, PPR), 0x40);
	vlapic_set_tpr(vcpu(0), 0x47);
	assert_int_equal(rd(0, PPR), 0x47);
	vlapic_set_tpr(vcpu(0), 0xff);
	vlapic_set_irq(vcpu(0), 0xff, false);
	assert_int_equal(take(0), -1);
}

static void test_one_pending_per_vector(void **state)
{
	(void)state;
	vlapic_set_irq(vcpu(0), 0x40, false);
	vlapic_set_irq(vcpu(0), 0x40, false);
	assert_int_equal(fake_events[0].kicks, 1);
	assert_int_equal(take(0), 0x40);
	/* In service and pending once more. */
	vlapic_set_irq(vcpu(0), 0x40, false);
	assert_int_equal(take(0), -1);
	wr(0, EOI, 0);
	assert_int_equal(take(0), 0x40);
	wr(0, EOI, 0);
	assert_int_equal(take(0), -1);
}

static void test_illegal_vectors(void **state)
{
	(void)state;
	vlapic_set_irq(vcpu(0), 15, false);
	assert_int_equal(vlapic_highest_irr(vcpu(0)), -1);
	vlapic_set_irq(vcpu(0), 16, false);
	assert_int_equal(take(0), 16);
}

static void test_trigger_mode_register(void **state)
{
	(void)state;
	vlapic_set_irq(vcpu(0), 0x61, true);
	assert_int_equal(rd(0, TMR + 0x30), 2);
	assert_int_equal(take(0), 0x61);
	wr(0, EOI, 0);
	assert_int_equal(rd(0, TMR + 0x30), 2);
	vlapic_set_irq(vcpu(0), 0x61, false);
	assert_int_equal(rd(0, TMR + 0x30), 0);
}

/* ---- Software disable ---- */

static void test_software_disable(void **state)
{
	struct vapic_message m = {.dest = 0, .vector = 0x50};

	(void)state;
	vlapic_set_irq(vcpu(0), 0x40, false);
	wr(0, LINT0, 0x700);
	wr(0, SVR, 0xff);
	/* What is pending is held, LVT entries are masked and cannot be unmasked, messages are not accepted. */
	assert_int_equal(vlapic_deliverable(vcpu(0)), -1);
	assert_int_equal(rd(0, LINT0), MASKED | 0x700);
	wr(0, LINT0, 0x400);
	assert_int_equal(rd(0, LINT0), MASKED | 0x400);
	assert_int_equal(vapic_deliver(dom, &m), 0);
	assert_false(pending(0, 0x50));
	/* NMI, INIT and start-up still come through. */
	m.mode = 4;
	assert_int_equal(vapic_deliver(dom, &m), 1);
	m.mode = 5;
	assert_int_equal(vapic_deliver(dom, &m), 1);
	assert_int_equal(fake_events[0].nmis, 1);
	assert_int_equal(fake_events[0].inits, 1);
	/* The hypervisor's own interrupts wait too. */
	vlapic_set_irq(vcpu(0), 0xf3, false);
	wr(0, SVR, 0x1ff);
	assert_int_equal(take(0), 0xf3);
	wr(0, EOI, 0);
	assert_int_equal(take(0), 0x40);
	assert_int_equal(rd(0, LINT0), MASKED | 0x400);
}

/* ---- APIC_BASE and x2APIC ---- */

static void test_base_transitions(void **state)
{
	(void)state;
	/* From xAPIC: EXTD without EN never; x2APIC; then only off. */
	refused(1, BASE, 0xfee00400);
	wrm(1, BASE, 0xfee00c00);
	assert_true(vlapic_x2apic(vcpu(1)));
	refused(1, BASE, 0xfee00800);
	refused(1, BASE, 0xfee00400);
	wrm(1, BASE, 0xfee00c00);
	wrm(1, BASE, 0xfee00000);
	assert_false(vlapic_x2apic(vcpu(1)));
	/* From disabled: not straight to x2APIC. */
	refused(1, BASE, 0xfee00c00);
	refused(1, BASE, 0xfee00400);
	assert_int_equal(rdm(1, BASE), 0xfee00000);
	wrm(1, BASE, 0xfee00800);
	assert_int_equal(rdm(1, BASE), 0xfee00800);
	wrm(1, BASE, 0xfee00000);
	wrm(1, BASE, 0xfee00800);
}

static void test_base_reserved_bits(void **state)
{
	unsigned bit;

	(void)state;
	for (bit = 0; bit < 64; bit++) {
		bool ok = bit == 8 || bit == 11 || (bit >= 12 && bit < fake_phys_bits);
		int rc = vlapic_msr_write(vcpu(1), BASE, 0xfee00800 ^ 1ULL << bit);

		if (bit == 10)
			continue;
		assert_int_equal(rc, ok ? 0 : -EINVAL);
		wrm(1, BASE, 0xfee00800);
	}
	/* The page moves with the base. */
	wrm(1, BASE, 0x12345800);
	assert_true(vlapic_covers(vcpu(1), 0x12345080));
	assert_false(vlapic_covers(vcpu(1), 0xfee00080));
}

static void test_disable_loses_state(void **state)
{
	(void)state;
	vlapic_set_irq(vcpu(0), 0x40, true);
	wr(0, TPR, 0x20);
	wr(0, TMICT, 1000);
	wrm(0, BASE, 0xfee00100);
	assert_false(vlapic_covers(vcpu(0), 0xfee00000));
	assert_int_equal(vlapic_deliverable(vcpu(0)), -1);
	wrm(0, BASE, 0xfee00900);
	assert_int_equal(rd(0, SVR), 0xff);
	assert_int_equal(rd(0, TPR), 0);
	assert_int_equal(rd(0, IRR + 0x20), 0);
	assert_int_equal(rd(0, TMR + 0x20), 0);
	assert_int_equal(rd(0, TMICT), 0);
	wr(0, SVR, 0x1ff);
	assert_int_equal(vlapic_deliverable(vcpu(0)), -1);
	/* And it works again. */
	vlapic_set_irq(vcpu(0), 0x40, false);
	assert_int_equal(take(0), 0x40);
}

static void test_x2apic_keeps_state(void **state)
{
	(void)state;
	wr(3, TPR, 0x20);
	wr(3, LDR, 0x08000000);
	wr(3, LVTERR, 0xfe);
	vlapic_set_irq(vcpu(3), 0x40, false);
	to_x2apic(3);
	assert_false(vlapic_covers(vcpu(3), 0xfee00000));
	assert_int_equal(rdm(3, X2(ID)), 6);
	assert_int_equal(rdm(3, X2(LDR)), 1U << 6);
	assert_int_equal(rdm(3, X2(TPR)), 0x20);
	assert_int_equal(rdm(3, X2(LVTERR)), 0xfe);
	assert_int_equal(rdm(3, X2(SVR)), 0x1ff);
	assert_int_equal(rdm(3, X2(ICR)), 0);
	assert_int_equal(take(3), 0x40);
	/* INIT leaves the mode alone. */
	vlapic_init_reset(vcpu(3));
	assert_true(vlapic_x2apic(vcpu(3)));
	assert_int_equal(rdm(3, X2(ID)), 6);
	assert_int_equal(rdm(3, X2(LDR)), 1U << 6);
	assert_int_equal(rdm(3, X2(TPR)), 0);
	assert_int_equal(rdm(3, X2(SVR)), 0xff);
	vlapic_reset(vcpu(3));
	assert_false(vlapic_x2apic(vcpu(3)));
}

static void test_x2apic_msrs_need_the_mode(void **state)
{
	uint64_t value;
	uint32_t msr;

	(void)state;
	for (msr = 0x800; msr < 0x840; msr++) {
		assert_int_equal(vlapic_msr_read(vcpu(0), msr, &value), -EINVAL);
		assert_int_equal(vlapic_msr_write(vcpu(0), msr, 0), -EINVAL);
	}
	assert_int_equal(vlapic_msr_read(vcpu(0), 0x840, &value), -EINVAL);
	/* No TSC deadline mode. */
	assert_int_equal(vlapic_msr_write(vcpu(0), 0x6e0, 1), -EINVAL);
}

static void test_x2apic_register_set(void **state)
{
	static const char readable[] = "0011000010100101" /* 800 */
				       "1111111111111111"
				       "1111111110000000"
				       "1011111111000010";
	static const char writable[] = "0000000010010001"
				       "0000000000000000"
				       "0000000010000000"
				       "1011111110000011";
	uint32_t msr;

	(void)state;
	to_x2apic(0);
	for (msr = 0x800; msr < 0x840; msr++) {
		uint64_t value;
		/* A valid vector for the two that send. */
		uint64_t arg = msr == X2(SELF) || msr == X2(ICR) ? 0x40 : 0;

		assert_int_equal(vlapic_msr_read(vcpu(0), msr, &value),
				 readable[msr - 0x800] == '1' ? 0 : -EINVAL);
		assert_int_equal(vlapic_msr_write(vcpu(0), msr, arg),
				 writable[msr - 0x800] == '1' ? 0 : -EINVAL);
	}
}

static void test_x2apic_reserved_bits(void **state)
{
	static const struct {
		uint32_t reg;
		uint64_t allowed;
	} regs[] = {
		{TPR, 0xff},	     {EOI, 0},
		{SVR, 0x3ff},	     {ESR, 0},
		{LVTT, 0x310ff},     {THERMAL, 0x117ff},
		{0x340, 0x117ff},    {LINT0, 0x1f7ff},
		{0x360, 0x1f7ff},    {LVTERR, 0x110ff},
		{TMICT, 0xffffffff}, {TDCR, 0xb},
		{SELF, 0xff},	     {ICR, 0xffffffff000ccfff & ~0x1000ULL},
	};
	unsigned i, bit;

	(void)state;
	to_x2apic(0);
	for (i = 0; i < ARRAY_SIZE(regs); i++) {
		for (bit = 0; bit < 64; bit++) {
			bool ok = regs[i].allowed >> bit & 1;

			assert_int_equal(vlapic_msr_write(vcpu(0), X2(regs[i].reg), 1ULL << bit),
					 ok ? 0 : -EINVAL);
		}
		/* Not left running. */
		if (regs[i].reg == TMICT)
			wrm(0, X2(TMICT), 0);
		if (regs[i].reg == SVR)
			wrm(0, X2(SVR), 0x1ff);
	}
	/* Read-only bits do not stick. */
	wrm(0, X2(LINT0), 0x1f7ff);
	assert_int_equal(rdm(0, X2(LINT0)), 0x1a7ff);
}

/* ---- The page ---- */

static void test_page_reserved_bits_and_read_only(void **state)
{
	uint64_t value;

	(void)state;
	wr(0, TPR, 0xffffffff);
	assert_int_equal(rd(0, TPR), 0xff);
	wr(0, LDR, 0xffffffff);
	assert_int_equal(rd(0, LDR), 0xff000000);
	wr(0, DFR, 0);
	assert_int_equal(rd(0, DFR), 0x0fffffff);
	wr(0, LINT0, 0xffffffff);
	assert_int_equal(rd(0, LINT0), 0x1a7ff);
	wr(0, ICR2, 0xffffffff);
	assert_int_equal(rd(0, ICR2), 0xff000000);
	wr(0, ID, 0x55000000);
	wr(0, VERSION, 0);
	wr(0, PPR, 0x55);
	wr(0, ISR, 1);
	wr(0, IRR, 1);
	wr(0, TMCCT, 5);
	assert_int_equal(rd(0, ID), 0);
	assert_int_equal(rd(0, VERSION), 0x50014);
	assert_int_equal(rd(0, ISR), 0);
	assert_int_equal(rd(0, IRR), 0);
	wr(0, TPR, 0);

	/* Parts of a register, and what is not one. */
	assert_int_equal(vlapic_mmio_read(vcpu(0), VERSION + 2, 1, &value), 0);
	assert_int_equal(value, 5);
	assert_int_equal(vlapic_mmio_read(vcpu(0), VERSION, 2, &value), 0);
	assert_int_equal(value, 0x14);
	assert_int_equal(vlapic_mmio_read(vcpu(0), VERSION, 8, &value), 0);
	assert_int_equal(value, 0x50014);
	assert_int_equal(vlapic_mmio_read(vcpu(0), VERSION + 4, 4, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(vlapic_mmio_write(vcpu(0), TPR, 1, 0xffffff30), 0);
	assert_int_equal(rd(0, TPR), 0x30);
	assert_int_equal(vlapic_mmio_write(vcpu(0), TPR + 4, 4, 0x70), 0);
	assert_int_equal(rd(0, TPR), 0x30);
	assert_int_equal(rd(0, ESR), 0);
}

static void test_errors(void **state)
{
	uint64_t value;

	(void)state;
	wr(0, LVTERR, 0xfe);
	assert_int_equal(vlapic_mmio_read(vcpu(0), 0x2f0, 4, &value), 0);
	assert_true(pending(0, 0xfe));
	assert_int_equal(take(0), 0xfe);
	wr(0, EOI, 0);
	/* Shown by the next write, gone by the one after. */
	assert_int_equal(rd(0, ESR), 0);
	wr(0, ESR, 0);
	assert_int_equal(rd(0, ESR), 0x80);
	wr(0, ESR, 0);
	assert_int_equal(rd(0, ESR), 0);
	/* Beyond the registers. */
	assert_int_equal(vlapic_mmio_write(vcpu(0), 0xff0, 4, 1), 0);
	assert_int_equal(take(0), 0xfe);
	wr(0, ESR, 0);
	assert_int_equal(rd(0, ESR), 0x80);
	wr(0, EOI, 0);

	/* Illegal vectors: sent, and received in a message. */
	wr(0, ICR2, 2U << 24);
	wr(0, ICR, 0x0f);
	wr(0, ESR, 0);
	assert_int_equal(rd(0, ESR), 0x20);
	vapic_deliver(dom, &(struct vapic_message){.dest = 2, .vector = 3});
	wr(1, ESR, 0);
	assert_int_equal(rd(1, ESR), 0x40);

	/* An illegal vector in the error entry itself must not go round in circles. */
	wr(2, LVTERR, 0x05);
	assert_int_equal(vlapic_mmio_read(vcpu(2), 0x2f0, 4, &value), 0);
	assert_int_equal(vlapic_highest_irr(vcpu(2)), -1);
}

static void test_self_ipi(void **state)
{
	(void)state;
	to_x2apic(1);
	wrm(1, X2(SELF), 0x77);
	assert_int_equal(take(1), 0x77);
	assert_int_equal(vlapic_highest_irr(vcpu(0)), -1);
	wrm(1, X2(EOI), 0);
	wrm(1, X2(SELF), 0x03);
	wrm(1, X2(ESR), 0);
	assert_int_equal(rdm(1, X2(ESR)), 0x20);
}

/* ---- Interprocessor interrupts ---- */

#define LOGICAL	  0x800U
#define TO_SELF	  0x40000U
#define TO_ALL	  0x80000U
#define TO_OTHERS 0xc0000U
#define LOWEST	  0x100U
#define NMI	  0x400U
#define INIT	  0x500U
#define STARTUP	  0x600U
#define ASSERT_IT 0x4000U
#define LEVEL_IT  0x8000U

/* Bit n: vCPU n has the vector pending; all are taken. */
static unsigned who_has(unsigned vector)
{
	unsigned n, mask = 0;

	for (n = 0; n < NR; n++) {
		if (!pending(n, vector))
			continue;
		mask |= 1U << n;
		assert_int_equal(take(n), (int)vector);
		if (vlapic_x2apic(vcpu(n)))
			wrm(n, X2(EOI), 0);
		else
			wr(n, EOI, 0);
	}
	return mask;
}

static void send(unsigned n, uint32_t dest, uint32_t icr)
{
	wr(n, ICR2, dest << 24);
	wr(n, ICR, icr);
}

static void test_ipi_physical(void **state)
{
	(void)state;
	send(0, 4, 0x40);
	assert_int_equal(who_has(0x40), 1 << 2);
	send(1, 2, 0x40);
	assert_int_equal(who_has(0x40), 1 << 1);
	send(0, 0xff, 0x40);
	assert_int_equal(who_has(0x40), 0xf);
	/* Odd ids and those beyond the last are nobody. */
	send(0, 3, 0x40);
	send(0, 8, 0x40);
	send(0, 0xfe, 0x40);
	assert_int_equal(who_has(0x40), 0);
	assert_int_equal(rd(0, ICR), 0x40);
}

static void test_ipi_shorthands(void **state)
{
	(void)state;
	send(2, 0, 0x40 | TO_SELF);
	assert_int_equal(who_has(0x40), 1 << 2);
	send(2, 0, 0x40 | TO_ALL);
	assert_int_equal(who_has(0x40), 0xf);
	send(2, 0, 0x40 | TO_OTHERS);
	assert_int_equal(who_has(0x40), 0xb);
	send(2, 0, NMI | TO_OTHERS);
	assert_int_equal(fake_events[0].nmis, 1);
	assert_int_equal(fake_events[1].nmis, 1);
	assert_int_equal(fake_events[2].nmis, 0);
	/* INIT and start-up do not go to the sender by shorthand. */
	send(2, 0, INIT | TO_SELF | ASSERT_IT);
	send(2, 0, INIT | TO_ALL | ASSERT_IT);
	send(2, 0, STARTUP | TO_ALL | 0x10);
	assert_int_equal(fake_events[0].inits + fake_events[2].inits, 0);
	assert_int_equal(fake_events[0].startups, 0);
	/* A disabled APIC gets none. */
	wrm(1, BASE, 0xfee00000);
	send(0, 0, NMI | TO_ALL);
	assert_int_equal(fake_events[1].nmis, 1);
	wrm(1, BASE, 0xfee00800);
}

static void test_ipi_startup_sequence(void **state)
{
	(void)state;
	send(0, 2, INIT | ASSERT_IT | LEVEL_IT);
	assert_int_equal(fake_events[1].inits, 1);
	send(0, 2, INIT | LEVEL_IT); /* de-assert */
	assert_int_equal(fake_events[1].inits, 1);
	send(0, 2, STARTUP | 0x9a);
	send(0, 2, STARTUP | 0x9b);
	assert_int_equal(fake_events[1].startups, 2);
	assert_int_equal(fake_events[1].startup_vector, 0x9b);
	send(0, 0, INIT | ASSERT_IT | TO_OTHERS);
	assert_int_equal(fake_events[0].inits, 0);
	assert_int_equal(fake_events[1].inits, 2);
	assert_int_equal(fake_events[3].inits, 1);
	/* Reserved mode 3, SMI and ExtINT do nothing. */
	send(0, 2, 0x340);
	send(0, 2, 0x240);
	send(0, 2, 0x740);
	assert_int_equal(who_has(0x40), 0);
}

static void test_ipi_logical_flat(void **state)
{
	unsigned n;

	(void)state;
	for (n = 0; n < NR; n++)
		wr(n, LDR, 1U << (24 + n));
	send(0, 0x5, 0x40 | LOGICAL);
	assert_int_equal(who_has(0x40), 0x5);
	send(0, 0xff, 0x40 | LOGICAL);
	assert_int_equal(who_has(0x40), 0xf);
	send(0, 0x10, 0x40 | LOGICAL);
	assert_int_equal(who_has(0x40), 0);
	assert_true(vlapic_match(vcpu(1), 0x02, true));
	assert_false(vlapic_match(vcpu(1), 0x102, true));
	assert_true(vlapic_match(vcpu(1), 0x02, false));
	assert_false(vlapic_match(vcpu(1), 0x01, false));
}

static void test_ipi_logical_cluster(void **state)
{
	static const uint8_t ldr[NR] = {0x01, 0x02, 0x11, 0x12};
	unsigned n;

	(void)state;
	for (n = 0; n < NR; n++) {
		wr(n, DFR, 0x0fffffff);
		wr(n, LDR, (uint32_t)ldr[n] << 24);
	}
	send(0, 0x03, 0x40 | LOGICAL);
	assert_int_equal(who_has(0x40), 0x3);
	send(0, 0x12, 0x40 | LOGICAL);
	assert_int_equal(who_has(0x40), 0x8);
	send(0, 0xf1, 0x40 | LOGICAL);
	assert_int_equal(who_has(0x40), 0x5);
	send(0, 0xff, 0x40 | LOGICAL);
	assert_int_equal(who_has(0x40), 0xf);
	send(0, 0x21, 0x40 | LOGICAL);
	assert_int_equal(who_has(0x40), 0);
}

static void test_ipi_x2apic(void **state)
{
	unsigned n;

	(void)state;
	for (n = 0; n < NR; n++)
		to_x2apic(n);
	wrm(0, X2(ICR), 4ULL << 32 | 0x40);
	assert_int_equal(who_has(0x40), 0x4);
	assert_int_equal(rdm(0, X2(ICR)), 4ULL << 32 | 0x40);
	wrm(0, X2(ICR), 0xffffffffULL << 32 | 0x40);
	assert_int_equal(who_has(0x40), 0xf);
	/* 255 is an id like another here. */
	wrm(0, X2(ICR), 0xffULL << 32 | 0x40);
	assert_int_equal(who_has(0x40), 0);
	/* Ids 0, 2, 4, 6 of cluster 0. */
	wrm(0, X2(ICR), 0x44ULL << 32 | 0x40 | LOGICAL);
	assert_int_equal(who_has(0x40), 0xa);
	wrm(0, X2(ICR), 0x10044ULL << 32 | 0x40 | LOGICAL);
	assert_int_equal(who_has(0x40), 0);
	wrm(0, X2(ICR), 0xffffffffULL << 32 | 0x40 | LOGICAL);
	assert_int_equal(who_has(0x40), 0xf);
	wrm(0, X2(ICR), 0x40 | TO_OTHERS);
	assert_int_equal(who_has(0x40), 0xe);
}

static void test_ipi_mixed_modes(void **state)
{
	(void)state;
	to_x2apic(0);
	to_x2apic(1);
	/* While CPUs come up, the first is in x2APIC mode and the others are not yet. */
	wrm(0, X2(ICR), 6ULL << 32 | INIT | ASSERT_IT);
	assert_int_equal(fake_events[3].inits, 1);
	wrm(0, X2(ICR), 0xffffffffULL << 32 | 0x40);
	assert_int_equal(who_has(0x40), 0xf);
	/* A message of a device with eight bits of ones reaches everybody. */
	assert_int_equal(vapic_deliver(dom, &(struct vapic_message){.dest = 0xff, .vector = 0x40}),
			 4);
	assert_int_equal(who_has(0x40), 0xf);
}

static void test_lowest_priority(void **state)
{
	unsigned n, seen = 0;

	(void)state;
	for (n = 0; n < NR; n++)
		wr(n, LDR, 1U << (24 + n));
	/* Equals take turns. */
	for (n = 0; n < NR; n++) {
		unsigned who;

		send(0, 0xff, 0x40 | LOWEST | LOGICAL);
		who = who_has(0x40);
		assert_int_equal(who & (who - 1), 0);
		seen |= who;
	}
	assert_int_equal(seen, 0xf);
	/* The lowest priority wins, whether it is that of a task or of an interrupt in service. */
	wr(0, TPR, 0x20);
	wr(1, TPR, 0x10);
	vlapic_set_irq(vcpu(2), 0x90, false);
	assert_int_equal(take(2), 0x90);
	wr(3, TPR, 0x30);
	for (n = 0; n < NR; n++) {
		send(3, 0x0f, 0x41 | LOWEST | LOGICAL);
		assert_int_equal(who_has(0x41), 0x2);
	}
	/* Among those addressed only, and not to one that is disabled. */
	send(3, 0x09, 0x41 | LOWEST | LOGICAL);
	assert_int_equal(who_has(0x41), 0x1);
	wr(1, SVR, 0xff);
	send(3, 0x0b, 0x41 | LOWEST | LOGICAL);
	assert_int_equal(who_has(0x41), 0x1);
	send(3, 0x02, 0x41 | LOWEST | LOGICAL);
	assert_int_equal(who_has(0x41), 0);
	/* Physical destinations too. */
	send(3, 6, 0x41 | LOWEST);
	assert_int_equal(who_has(0x41), 0x8);
}

static void test_messages(void **state)
{
	struct vapic_message m = {.dest = 2, .vector = 0x40};
	struct vcpu *gone = dom->vcpus[3];

	(void)state;
	assert_int_equal(vapic_deliver(dom, &m), 1);
	assert_int_equal(who_has(0x40), 0x2);
	/* Start-up and anything that is not three bits wide are not messages. */
	m.mode = 6;
	assert_int_equal(vapic_deliver(dom, &m), 0);
	m.mode = 200;
	assert_int_equal(vapic_deliver(dom, &m), 0);
	m.mode = 7;
	assert_int_equal(vapic_deliver(dom, &m), 0);
	/* Extended destinations are beyond what there is here. */
	m.mode = 0;
	m.dest = 0x7fff;
	assert_int_equal(vapic_deliver(dom, &m), 0);
	/* A vCPU that was not created yet. */
	dom->vcpus[3] = NULL;
	m.dest = 6;
	assert_int_equal(vapic_deliver(dom, &m), 0);
	m.dest = 0xff;
	assert_int_equal(vapic_deliver(dom, &m), 3);
	m.mode = 1;
	assert_int_equal(vapic_deliver(dom, &m), 1);
	dom->vcpus[3] = gone;
}

/* ---- Timer ---- */

static void test_timer_one_shot(void **state)
{
	(void)state;
	wr(0, TDCR, DIV_1);
	wr(0, LVTT, 0x50);
	wr(0, TMICT, 1000); /* of 10 ns */
	assert_int_equal(rd(0, TMCCT), 1000);
	fake_time_pass(4000);
	assert_int_equal(rd(0, TMCCT), 600);
	fake_time_pass(5990);
	assert_int_equal(rd(0, TMCCT), 1);
	assert_false(pending(0, 0x50));
	fake_time_pass(10);
	assert_true(pending(0, 0x50));
	assert_int_equal(rd(0, TMCCT), 0);
	assert_int_equal(take(0), 0x50);
	fake_time_pass(1000000);
	assert_false(pending(0, 0x50));
	assert_int_equal(fake_timers_armed(), 0);
	/* Again, and stopped in time. */
	wr(0, TMICT, 1000);
	fake_time_pass(9000);
	wr(0, TMICT, 0);
	fake_time_pass(9000);
	assert_false(pending(0, 0x50));
	assert_int_equal(rd(0, TMCCT), 0);
}

static void test_timer_dividers(void **state)
{
	static const struct {
		uint32_t tdcr, div;
	} table[] = {{0x0, 2},	{0x1, 4},  {0x2, 8},   {0x3, 16},
		     {0x8, 32}, {0x9, 64}, {0xa, 128}, {0xb, 1}};
	unsigned i;

	(void)state;
	wr(0, LVTT, 0x50);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		uint64_t start = fake_now;

		wr(0, TDCR, table[i].tdcr);
		wr(0, TMICT, 0xffffffff);
		fake_time_pass(0xfffffffeULL * table[i].div * 10);
		assert_int_equal(rd(0, TMCCT), 1);
		assert_false(pending(0, 0x50));
		fake_time_pass(table[i].div * 10);
		assert_int_equal(take(0), 0x50);
		assert_int_equal(fake_now - start, 0xffffffffULL * table[i].div * 10);
		wr(0, EOI, 0);
	}
	/* A new divider takes over from where the count is. */
	wr(0, TDCR, DIV_1);
	wr(0, TMICT, 1000);
	fake_time_pass(5000);
	wr(0, TDCR, DIV_2);
	assert_int_equal(rd(0, TMCCT), 500);
	fake_time_pass(9980);
	assert_int_equal(rd(0, TMCCT), 1);
	assert_false(pending(0, 0x50));
	fake_time_pass(20);
	assert_true(pending(0, 0x50));
}

static void test_timer_periodic(void **state)
{
	unsigned i;

	(void)state;
	wr(0, TDCR, DIV_1);
	wr(0, LVTT, 0x50 | PERIODIC);
	wr(0, TMICT, 100000); /* 1 ms */
	for (i = 1; i <= 5; i++) {
		fake_time_pass(999990);
		assert_int_equal(rd(0, TMCCT), 1);
		assert_int_equal(take(0), -1);
		fake_time_pass(10);
		assert_int_equal(take(0), 0x50);
		assert_int_equal(rd(0, TMCCT), 100000);
		wr(0, EOI, 0);
		assert_int_equal(fake_now, i * 1000000);
	}
	/* A late timer does not lose the phase. */
	fake_now += 3300000;
	fake_timers_run();
	assert_int_equal(take(0), 0x50);
	wr(0, EOI, 0);
	assert_int_equal(rd(0, TMCCT), 70000);
	fake_time_pass(700000);
	assert_int_equal(take(0), 0x50);
	wr(0, EOI, 0);
	/* To one-shot in the middle of a period: the last one. */
	fake_time_pass(500000);
	wr(0, LVTT, 0x50);
	fake_time_pass(500000);
	assert_int_equal(take(0), 0x50);
	wr(0, EOI, 0);
	fake_time_pass(5000000);
	assert_int_equal(take(0), -1);
	assert_int_equal(rd(0, TMCCT), 0);
}

static void test_timer_masked_counts_on(void **state)
{
	(void)state;
	wr(0, TDCR, DIV_1);
	wr(0, LVTT, 0x50 | MASKED);
	wr(0, TMICT, 1000);
	/* No timer of the machine runs for it. */
	assert_int_equal(fake_timers_armed(), 0);
	fake_time_pass(4000);
	assert_int_equal(rd(0, TMCCT), 600);
	wr(0, LVTT, 0x50);
	fake_time_pass(6000);
	assert_int_equal(take(0), 0x50);
	wr(0, EOI, 0);
	/* What expires while masked is lost. */
	wr(0, LVTT, 0x50 | MASKED);
	wr(0, TMICT, 1000);
	fake_time_pass(20000);
	wr(0, LVTT, 0x50);
	fake_time_pass(20000);
	assert_false(pending(0, 0x50));
	/* What expired before the mask is not. */
	wr(0, TMICT, 1000);
	fake_now += 20000;
	wr(0, LVTT, 0x51 | MASKED);
	assert_true(pending(0, 0x50));
	assert_false(pending(0, 0x51));
	assert_int_equal(take(0), 0x50);
	wr(0, EOI, 0);
	/* Periodic: the next period after unmasking. */
	wr(0, LVTT, 0x50 | MASKED | PERIODIC);
	wr(0, TMICT, 100000);
	fake_time_pass(5500000);
	assert_int_equal(rd(0, TMCCT), 50000);
	wr(0, LVTT, 0x50 | PERIODIC);
	assert_false(pending(0, 0x50));
	fake_time_pass(499990);
	assert_false(pending(0, 0x50));
	fake_time_pass(10);
	assert_true(pending(0, 0x50));
}

/* The load that a timer can put on the machine is bounded. */
static void test_timer_storm(void **state)
{
	unsigned taken = 0;

	(void)state;
	wr(0, TDCR, DIV_1);
	wr(0, LVTT, 0x50 | PERIODIC);
	wr(0, TMICT, 1);
	/* Nobody takes the interrupt: the timer stops after the second expiry. */
	fake_time_pass(NSEC_PER_SEC);
	assert_in_range(fake_timer_runs, 1, 2);
	assert_int_equal(fake_timers_armed(), 0);
	/* It is taken: on it goes, with at most one run in 100 us. */
	fake_timer_runs = 0;
	while (fake_now < 2 * NSEC_PER_SEC) {
		if (take(0) == 0x50) {
			taken++;
			wr(0, EOI, 0);
		}
		fake_time_pass(USEC(10));
	}
	assert_in_range(fake_timer_runs, 5000, 10001);
	assert_in_range(taken, 5000, 10002);
	wr(0, TMICT, 0);
	assert_int_equal(fake_timers_armed(), 0);
}

static void test_timer_stall_and_new_vector(void **state)
{
	(void)state;
	wr(0, TDCR, DIV_1);
	wr(0, LVTT, 0x50 | PERIODIC);
	wr(0, TMICT, 100000);
	fake_time_pass(10000000);
	assert_int_equal(fake_timers_armed(), 0);
	/* Another vector: the timer must not wait for the old one. */
	wr(0, LVTT, 0x60 | PERIODIC);
	fake_time_pass(1000000);
	assert_true(pending(0, 0x60));
	/* A paused guest comes back after long: one interrupt is pending, then one each period. */
	fake_time_pass(NSEC_PER_SEC);
	assert_int_equal(take(0), 0x60);
	wr(0, EOI, 0);
	while (take(0) >= 0)
		wr(0, EOI, 0);
	fake_time_pass(1000000);
	assert_int_equal(take(0), 0x60);
	wr(0, EOI, 0);
	assert_int_equal(take(0), -1);
}

static void test_timer_disabled_and_moved(void **state)
{
	(void)state;
	wr(0, LVTT, 0x50 | PERIODIC);
	wr(0, TMICT, 100000);
	assert_int_equal(fake_timers_armed(), 1);
	wr(0, SVR, 0xff);
	assert_int_equal(rd(0, LVTT), 0x50 | PERIODIC | MASKED);
	assert_int_equal(fake_timers_armed(), 0);
	wr(0, SVR, 0x1ff);
	wr(0, LVTT, 0x50 | PERIODIC);
	assert_int_equal(fake_timers_armed(), 1);
	/* The timer follows the vCPU when it is armed again. */
	vcpu(0)->cpu = 3;
	fake_time_pass(2000000);
	assert_true(pending(0, 0x50));
	assert_int_equal(fake_timer_cpu, 3);
	vlapic_init_reset(vcpu(0));
	assert_int_equal(fake_timers_armed(), 0);
	assert_false(pending(0, 0x50));
	/* An illegal vector: an error, no interrupt. */
	wr(0, SVR, 0x1ff);
	wr(0, LVTT, 0x08);
	wr(0, TMICT, 100);
	fake_time_pass(10000);
	assert_int_equal(vlapic_highest_irr(vcpu(0)), -1);
	wr(0, ESR, 0);
	assert_int_equal(rd(0, ESR), 0x40);
}

/* ---- Setting bits from other CPUs ---- */

#define RAISES 200000

static unsigned stop_raising;

static void *raiser(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg, i;

	for (i = 0; i < RAISES; i++) {
		seed = seed * 1103515245 + 12345;
		vlapic_set_irq(vcpu(0), (uint8_t)(16 + (seed >> 16) % 64), seed >> 8 & 1);
	}
	__atomic_fetch_add(&stop_raising, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Each interrupt that went from not pending to pending kicked once, and is taken once: none lost, none made up. */
static void test_concurrent_raises(void **state)
{
	pthread_t threads[3];
	unsigned i, taken = 0;

	(void)state;
	stop_raising = 0;
	fake_events[0].kicks = 0;
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, raiser,
						(void *)(uintptr_t)(i + 1)),
				 0);
	for (;;) {
		bool last = __atomic_load_n(&stop_raising, __ATOMIC_SEQ_CST) == ARRAY_SIZE(threads);
		int vector;

		while ((vector = take(0)) >= 0) {
			taken++;
			wr(0, EOI, 0);
		}
		if (last)
			break;
	}
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(taken, fake_events[0].kicks);
	for (i = 0; i < 8; i++)
		assert_int_equal(rd(0, IRR + 16 * i), 0);
	assert_int_equal(vlapic_highest_irr(vcpu(0)), -1);
}

#define PAIRS 100000

static unsigned stuck, pairs_done;

static bool irr_word_empties(void)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		uint64_t word = 0;

		vlapic_mmio_read(vcpu(0), IRR + 0x10, 4, &word);
		if (word == 0)
			return true;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 5);
	return false;
}

static void *pair_raiser(void *arg)
{
	unsigned i;

	(void)arg;
	for (i = 0; i < PAIRS && !stuck; i++) {
		vlapic_set_irq(vcpu(0), 0x31, false);
		vlapic_set_irq(vcpu(0), 0x30, false);
		if (!irr_word_empties())
			__atomic_store_n(&stuck, 1, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&pairs_done, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* A bit that comes in while the last one of its word is taken out must not be overlooked. */
static void test_concurrent_last_bit_of_word(void **state)
{
	pthread_t thread;

	(void)state;
	stuck = pairs_done = 0;
	assert_int_equal(pthread_create(&thread, NULL, pair_raiser, NULL), 0);
	while (!__atomic_load_n(&pairs_done, __ATOMIC_SEQ_CST)) {
		while (take(0) >= 0)
			wr(0, EOI, 0);
	}
	pthread_join(thread, NULL);
	assert_int_equal(stuck, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_reset_values),
		T(test_init_failures),
		T(test_priority_order),
		T(test_task_priority),
		T(test_one_pending_per_vector),
		T(test_illegal_vectors),
		T(test_trigger_mode_register),
		T(test_software_disable),
		T(test_base_transitions),
		T(test_base_reserved_bits),
		T(test_disable_loses_state),
		T(test_x2apic_keeps_state),
		T(test_x2apic_msrs_need_the_mode),
		T(test_x2apic_register_set),
		T(test_x2apic_reserved_bits),
		T(test_page_reserved_bits_and_read_only),
		T(test_errors),
		T(test_self_ipi),
		T(test_ipi_physical),
		T(test_ipi_shorthands),
		T(test_ipi_startup_sequence),
		T(test_ipi_logical_flat),
		T(test_ipi_logical_cluster),
		T(test_ipi_x2apic),
		T(test_ipi_mixed_modes),
		T(test_lowest_priority),
		T(test_messages),
		T(test_timer_one_shot),
		T(test_timer_dividers),
		T(test_timer_periodic),
		T(test_timer_masked_counts_on),
		T(test_timer_storm),
		T(test_timer_stall_and_new_vector),
		T(test_timer_disabled_and_moved),
		T(test_concurrent_raises),
		T(test_concurrent_last_bit_of_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
