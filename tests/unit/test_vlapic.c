// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the virtual local APIC: state after power-up, priorities, EOI, modes, the registers of the page and the MSRs.
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/vlapic_fixture.c tests/unit/fake_x86.c hypervisor/arch/x86/hvm/vlapic.c
// links: hypervisor/arch/x86/hvm/vlapic_timer.c hypervisor/arch/x86/hvm/vapic_message.c
// links: hypervisor/arch/x86/hvm/vioapic.c hypervisor/arch/x86/hvm/hvm_io.c hypervisor/arch/x86/hvm/mtrr.c
#include "vlapic_fixture.h"

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
	/* Without an APIC nothing is there, and nothing is touched; nothing is deliverable, so nothing is offered or accepted. */
	assert_int_equal(vlapic_deliverable(v), -1);
	assert_int_equal(vlapic_highest_irr(v), -1);
	assert_false(vlapic_covers(v, 0xfee00000));
	assert_false(vlapic_match(v, 0, false));
	assert_int_equal(vlapic_msr_write(v, BASE, 0xfee00800), -EINVAL);
	vlapic_set_irq(v, 0x40, false);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
