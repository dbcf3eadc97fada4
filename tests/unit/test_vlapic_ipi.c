// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the virtual local APIC: interprocessor interrupts and messages, and whom they reach.
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/vlapic_fixture.c tests/unit/fake_x86.c hypervisor/arch/x86/hvm/vlapic.c
// links: hypervisor/arch/x86/hvm/vlapic_timer.c hypervisor/arch/x86/hvm/vapic_message.c
// links: hypervisor/arch/x86/hvm/vioapic.c hypervisor/arch/x86/hvm/hvm_io.c hypervisor/arch/x86/hvm/mtrr.c
#include "vlapic_fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ipi_physical),	  T(test_ipi_shorthands),      T(test_ipi_startup_sequence),
		T(test_ipi_logical_flat), T(test_ipi_logical_cluster), T(test_ipi_x2apic),
		T(test_ipi_mixed_modes),  T(test_lowest_priority),     T(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
