// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the virtual I/O APIC: registers, edge and level flows, binding of real pins, emulated pins.
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/fake_x86.c hypervisor/arch/x86/hvm/vlapic.c hypervisor/arch/x86/hvm/vlapic_timer.c
// links: hypervisor/arch/x86/hvm/vapic_message.c hypervisor/arch/x86/hvm/vioapic.c
// links: hypervisor/arch/x86/hvm/hvm_io.c hypervisor/arch/x86/hvm/mtrr.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arch/hvm_io.h>
#include <arch/vioapic.h>
#include <arch/vlapic.h>
#include <bulkhead/errno.h>
#include <bulkhead/irq.h>

#include "fake_x86.h"

#define NR 3

#define IO0 0xfec00000ULL /* GSIs 0 to 23 */
#define IO1 0xfec10000ULL /* GSIs 24 to 31 */

#define MASKED	   0x10000U
#define LEVEL	   0x8000U
#define REMOTE_IRR 0x4000U
#define LOW	   0x2000U
#define PENDING	   0x1000U
#define LOGICAL	   0x800U
#define LOWEST	   0x100U

static struct domain *dom;

static struct vcpu *vcpu(unsigned n)
{
	return dom->vcpus[n];
}

static void mmio_w(uint64_t gpa, unsigned size, uint64_t value)
{
	assert_int_equal(hvm_mmio_access(vcpu(0), gpa, size, true, &value), 0);
}

static uint64_t mmio_r(uint64_t gpa, unsigned size)
{
	uint64_t value = 0x5555;

	assert_int_equal(hvm_mmio_access(vcpu(0), gpa, size, false, &value), 0);
	return value;
}

static uint32_t reg_r(uint64_t io, unsigned index)
{
	mmio_w(io, 4, index);
	return (uint32_t)mmio_r(io + 0x10, 4);
}

static void reg_w(uint64_t io, unsigned index, uint32_t value)
{
	mmio_w(io, 4, index);
	mmio_w(io + 0x10, 4, value);
}

static void rte_w(unsigned pin, uint32_t low)
{
	reg_w(IO0, 0x10 + 2 * pin, low);
}

static uint32_t rte_r(unsigned pin)
{
	return reg_r(IO0, 0x10 + 2 * pin);
}

static void dest_w(unsigned pin, uint32_t dest)
{
	reg_w(IO0, 0x11 + 2 * pin, dest << 24);
}

static int take(unsigned n)
{
	int vector = vlapic_deliverable(vcpu(n));

	if (vector >= 0)
		vlapic_accept(vcpu(n), (uint8_t)vector);
	return vector;
}

static void eoi(unsigned n)
{
	assert_int_equal(vlapic_mmio_write(vcpu(n), 0xb0, 4, 0), 0);
}

static void make(bool hardware)
{
	unsigned i;

	fake_reset();
	ioapics[0] = (struct ioapic_info){.id = 2, .paddr = IO0, .gsi_base = 0, .pins = 24};
	ioapics[1] = (struct ioapic_info){.id = 3, .paddr = IO1, .gsi_base = 24, .pins = 8};
	ioapic_count = 2;
	dom = fake_domain(hardware, NR);
	dom->arch.emulation_flags = hardware ? 0 : XEN_X86_EMU_IOAPIC;
	for (i = 0; i < NR; i++) {
		assert_int_equal(vlapic_init(vcpu(i)), 0);
		vlapic_mmio_write(vcpu(i), 0xf0, 4, 0x1ff);
		vlapic_mmio_write(vcpu(i), 0xd0, 4, 1U << (24 + i));
	}
	assert_int_equal(vioapic_init(dom), 0);
}

static int setup_host(void **state)
{
	(void)state;
	make(true);
	return 0;
}

static int setup_emulated(void **state)
{
	(void)state;
	make(false);
	return 0;
}

static int teardown(void **state)
{
	unsigned i;

	(void)state;
	vioapic_finish(dom);
	vioapic_finish(dom);
	for (i = 0; i < FAKE_GSIS; i++)
		assert_false(fake_gsis[i].bound);
	for (i = 0; i < NR; i++)
		vlapic_finish(vcpu(i));
	fake_domain_free(dom);
	return fake_heap_live == 0 && !fake_irqs_off ? 0 : -1;
}

/* ---- Registers ---- */

static void test_registers(void **state)
{
	unsigned pin;

	(void)state;
	assert_int_equal(reg_r(IO0, 0), 2U << 24);
	assert_int_equal(reg_r(IO0, 1), 23U << 16 | 0x20);
	assert_int_equal(reg_r(IO0, 2), 2U << 24);
	assert_int_equal(reg_r(IO1, 0), 3U << 24);
	assert_int_equal(reg_r(IO1, 1), 7U << 16 | 0x20);
	for (pin = 0; pin < 24; pin++) {
		assert_int_equal(rte_r(pin), MASKED);
		assert_int_equal(reg_r(IO0, 0x11 + 2 * pin), 0);
	}
	/* Beyond the last pin, and indices that there are not. */
	assert_int_equal(rte_r(24), 0);
	rte_w(24, 0x40);
	assert_int_equal(rte_r(24), 0);
	assert_int_equal(reg_r(IO0, 0xff), 0);
	reg_w(IO0, 0xff, 0xffffffff);
	assert_int_equal(reg_r(IO0, 5), 0);
	reg_w(IO0, 5, 0xffffffff);
	/* The identifier has four bits; version is read-only. */
	reg_w(IO0, 0, 0xffffffff);
	assert_int_equal(reg_r(IO0, 0), 0x0f000000);
	reg_w(IO0, 1, 0);
	assert_int_equal(reg_r(IO0, 1), 23U << 16 | 0x20);
}

static void test_rte_bits(void **state)
{
	(void)state;
	rte_w(5, 0xffffffff);
	assert_int_equal(rte_r(5), 0x1afff);
	reg_w(IO0, 0x11 + 10, 0xffffffff);
	assert_int_equal(reg_r(IO0, 0x11 + 10), 0xfffe0000);
	assert_false(fake_gsis[5].bound);
	rte_w(5, MASKED);
	assert_int_equal(rte_r(5), MASKED);
	assert_int_equal(reg_r(IO0, 0x11 + 10), 0xfffe0000);
}

static void test_access_sizes(void **state)
{
	(void)state;
	mmio_w(IO0, 1, 0x01);
	assert_int_equal(mmio_r(IO0, 1), 0x01);
	assert_int_equal(mmio_r(IO0 + 0x10, 1), 0x20);
	assert_int_equal(mmio_r(IO0 + 0x12, 2), 23);
	assert_int_equal(mmio_r(IO0 + 0x10, 8), 23U << 16 | 0x20);
	assert_int_equal(mmio_r(IO0 + 0x20, 4), 0);
	/* A part of an entry is not written. */
	mmio_w(IO0, 4, 0xffffff10);
	mmio_w(IO0 + 0x10, 1, 0x40);
	mmio_w(IO0 + 0x10, 2, 0x4040);
	mmio_w(IO0 + 0x12, 2, 0);
	assert_int_equal(rte_r(0), MASKED);
	mmio_w(IO0 + 0x10, 8, 0x123456789 | MASKED);
	assert_int_equal(rte_r(0), (0x23456789 | MASKED) & 0x1afff);
	/* Behind the registers nobody is at home. */
	assert_int_equal(mmio_r(IO0 + 0x100, 4), 0xffffffff);
}

/* ---- Pins of the machine ---- */

static void test_bind_follows_the_entry(void **state)
{
	(void)state;
	dest_w(9, 2);
	assert_false(fake_gsis[9].bound);
	rte_w(9, 0x40 | MASKED | LEVEL | LOW);
	assert_false(fake_gsis[9].bound);
	rte_w(9, 0x40 | LEVEL | LOW);
	assert_true(fake_gsis[9].bound);
	assert_true(fake_gsis[9].level);
	assert_true(fake_gsis[9].low);
	assert_false(fake_gsis[9].masked);
	rte_w(9, 0x40 | LEVEL | LOW | MASKED);
	assert_true(fake_gsis[9].masked);
	/* Same trigger: no new binding. */
	rte_w(9, 0x41 | LEVEL | LOW);
	assert_int_equal(fake_gsis[9].binds, 1);
	assert_false(fake_gsis[9].masked);
	/* Another trigger mode, another polarity. */
	rte_w(9, 0x41 | LOW);
	assert_int_equal(fake_gsis[9].binds, 2);
	assert_false(fake_gsis[9].level);
	assert_false(fake_gsis[9].masked);
	rte_w(9, 0x41);
	assert_int_equal(fake_gsis[9].binds, 3);
	assert_false(fake_gsis[9].low);
	/* The second I/O APIC. */
	reg_w(IO1, 0x10 + 2 * 3, 0x55);
	assert_true(fake_gsis[27].bound);
}

static void test_taken_pin(void **state)
{
	(void)state;
	/* The hypervisor's own pin: the entry works as far as it can. */
	fake_gsis[4].reserved = true;
	rte_w(4, 0x40);
	assert_int_equal(rte_r(4), 0x40);
	assert_false(fake_gsis[4].bound);
	assert_true(fake_log_lines > 0);
	rte_w(4, 0x40 | MASKED);
	/* It may become free. */
	fake_gsis[4].reserved = false;
	rte_w(4, 0x40);
	assert_true(fake_gsis[4].bound);
}

static void test_edge(void **state)
{
	(void)state;
	dest_w(1, 2);
	rte_w(1, 0x40);
	fake_gsi_pulse(1);
	assert_int_equal(take(1), 0x40);
	assert_int_equal(rte_r(1), 0x40);
	/* Another one before the EOI is delivered after it. */
	fake_gsi_pulse(1);
	eoi(1);
	assert_int_equal(take(1), 0x40);
	eoi(1);
	assert_int_equal(take(1), -1);
	/* While masked it is lost. */
	rte_w(1, 0x40 | MASKED);
	fake_gsi_pulse(1);
	rte_w(1, 0x40);
	assert_int_equal(take(1), -1);
	assert_int_equal(take(0), -1);
}

static void test_level(void **state)
{
	(void)state;
	dest_w(9, 0);
	rte_w(9, 0x60 | LEVEL);
	fake_gsi_line(9, true);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | REMOTE_IRR);
	assert_true(fake_gsis[9].masked);
	assert_int_equal(take(0), 0x60);
	/* The device still wants service after the EOI: again. */
	eoi(0);
	assert_true(fake_gsis[9].masked);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | REMOTE_IRR);
	assert_int_equal(take(0), 0x60);
	fake_gsi_line(9, false);
	eoi(0);
	assert_false(fake_gsis[9].masked);
	assert_int_equal(rte_r(9), 0x60 | LEVEL);
	assert_int_equal(take(0), -1);
	/* Not by the EOI of another vector, nor by one of an edge interrupt. */
	fake_gsi_line(9, true);
	vlapic_set_irq(vcpu(0), 0x80, true);
	assert_int_equal(take(0), 0x80);
	eoi(0);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | REMOTE_IRR);
	assert_int_equal(take(0), 0x60);
	vlapic_set_irq(vcpu(0), 0x90, false);
	assert_int_equal(take(0), 0x90);
	eoi(0);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | REMOTE_IRR);
	fake_gsi_line(9, false);
	eoi(0);
	assert_int_equal(rte_r(9), 0x60 | LEVEL);
}

static void test_level_masked_in_service(void **state)
{
	(void)state;
	rte_w(9, 0x60 | LEVEL);
	fake_gsi_line(9, true);
	assert_int_equal(take(0), 0x60);
	rte_w(9, 0x60 | LEVEL | MASKED);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | MASKED | REMOTE_IRR);
	/* The EOI clears remote IRR, the mask stays. */
	eoi(0);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | MASKED);
	assert_true(fake_gsis[9].masked);
	assert_int_equal(take(0), -1);
	/* Unmasked: the line is still up. */
	rte_w(9, 0x60 | LEVEL);
	assert_int_equal(take(0), 0x60);
	/* Mask and unmask within the service do not make a second one. */
	rte_w(9, 0x60 | LEVEL | MASKED);
	rte_w(9, 0x60 | LEVEL);
	assert_true(fake_gsis[9].masked);
	assert_int_equal(fake_gsis[9].fires, 2);
	assert_int_equal(vlapic_highest_irr(vcpu(0)), -1);
	fake_gsi_line(9, false);
	eoi(0);
	assert_false(fake_gsis[9].masked);
	assert_int_equal(take(0), -1);
}

static void test_edge_and_back_clears_remote_irr(void **state)
{
	(void)state;
	rte_w(9, 0x60 | LEVEL);
	fake_gsi_line(9, true);
	assert_int_equal(take(0), 0x60);
	rte_w(9, 0x60 | MASKED);
	rte_w(9, 0x60 | LEVEL | MASKED);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | MASKED);
	/* Masked all the time: the binding was not touched. */
	assert_int_equal(fake_gsis[9].binds, 1);
	rte_w(9, 0x60 | LEVEL);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | REMOTE_IRR);
	eoi(0);
	assert_int_equal(take(0), 0x60);
}

static void test_eoi_register(void **state)
{
	(void)state;
	rte_w(9, 0x60 | LEVEL);
	rte_w(10, 0x60 | LEVEL);
	rte_w(11, 0x61 | LEVEL);
	fake_gsi_line(9, true);
	fake_gsi_line(10, true);
	fake_gsi_line(11, true);
	fake_gsi_line(9, false);
	fake_gsi_line(10, false);
	fake_gsi_line(11, false);
	/* All entries with the vector, in this I/O APIC alone. */
	mmio_w(IO1 + 0x40, 4, 0x60);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | REMOTE_IRR);
	mmio_w(IO0 + 0x40, 4, 0x60);
	assert_int_equal(rte_r(9), 0x60 | LEVEL);
	assert_int_equal(rte_r(10), 0x60 | LEVEL);
	assert_int_equal(rte_r(11), 0x61 | LEVEL | REMOTE_IRR);
	assert_false(fake_gsis[9].masked);
	assert_true(fake_gsis[11].masked);
	mmio_w(IO0 + 0x40, 1, 0x61);
	assert_int_equal(rte_r(11), 0x61 | LEVEL);
	mmio_w(IO0 + 0x40, 4, 0x61);
	assert_int_equal(rte_r(11), 0x61 | LEVEL);
}

static void test_vector_changed_in_service(void **state)
{
	(void)state;
	rte_w(9, 0x60 | LEVEL);
	fake_gsi_line(9, true);
	assert_int_equal(take(0), 0x60);
	/* The EOI of the old vector does not match any more, as on the machine; the new one's does. */
	rte_w(9, 0x70 | LEVEL);
	eoi(0);
	assert_int_equal(rte_r(9), 0x70 | LEVEL | REMOTE_IRR);
	fake_gsi_line(9, false);
	mmio_w(IO0 + 0x40, 4, 0x70);
	assert_int_equal(rte_r(9), 0x70 | LEVEL);
	assert_false(fake_gsis[9].masked);
}

/* A level-triggered message that nobody takes is repeated when somebody may. */
static void test_not_accepted(void **state)
{
	(void)state;
	vlapic_mmio_write(vcpu(1), 0xf0, 4, 0xff);
	dest_w(9, 2);
	rte_w(9, 0x60 | LEVEL);
	fake_gsi_line(9, true);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | PENDING);
	assert_true(fake_gsis[9].masked);
	vlapic_mmio_write(vcpu(1), 0xf0, 4, 0x1ff);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | REMOTE_IRR);
	assert_int_equal(take(1), 0x60);
	eoi(1);
	assert_int_equal(take(1), 0x60);
	fake_gsi_line(9, false);
	eoi(1);
	/* A destination that does not exist; then the entry is put right. */
	dest_w(9, 77);
	fake_gsi_line(9, true);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | PENDING);
	rte_w(9, 0x60 | LEVEL | MASKED);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | MASKED);
	rte_w(9, 0x60 | LEVEL);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | PENDING);
	dest_w(9, 4);
	assert_int_equal(rte_r(9), 0x60 | LEVEL | REMOTE_IRR);
	assert_int_equal(take(2), 0x60);
	fake_gsi_line(9, false);
	eoi(2);
	/* Edges are not kept. */
	dest_w(1, 77);
	rte_w(1, 0x40);
	fake_gsi_pulse(1);
	assert_int_equal(rte_r(1), 0x40);
}

static void test_delivery_modes(void **state)
{
	(void)state;
	/* Lowest priority to all in the logical set: one of them. */
	dest_w(3, 0x7);
	rte_w(3, 0x50 | LOGICAL | LOWEST);
	fake_gsi_pulse(3);
	assert_int_equal((take(0) == 0x50) + (take(1) == 0x50) + (take(2) == 0x50), 1);
	/* NMI, also with the level bit: no remote IRR. */
	dest_w(4, 2);
	rte_w(4, 0x400 | LEVEL);
	fake_gsi_line(4, true);
	assert_int_equal(fake_events[1].nmis, 1);
	assert_int_equal(rte_r(4), 0x400 | LEVEL);
	fake_gsi_line(4, false);
	rte_w(4, 0x500);
	fake_gsi_pulse(4);
	assert_int_equal(fake_events[1].inits, 1);
	/* SMI, ExtINT and reserved ones: nothing. */
	rte_w(4, 0x240);
	fake_gsi_pulse(4);
	rte_w(4, 0x740);
	fake_gsi_pulse(4);
	rte_w(4, 0x340);
	fake_gsi_pulse(4);
	rte_w(4, 0x640);
	fake_gsi_pulse(4);
	assert_int_equal(take(1), -1);
	assert_int_equal(fake_events[1].startups, 0);
	/* Illegal vector. */
	rte_w(4, 0x00f | LEVEL);
	fake_gsi_line(4, true);
	assert_int_equal(rte_r(4), 0x00f | LEVEL | PENDING);
	fake_gsi_line(4, false);
}

static void test_extended_destination(void **state)
{
	(void)state;
	/* Destination 0x102 is not vCPU 1, whose id is 2. */
	reg_w(IO0, 0x11 + 2, 2U << 24 | 1U << 17);
	rte_w(1, 0x40);
	fake_gsi_pulse(1);
	assert_int_equal(take(1), -1);
	reg_w(IO0, 0x11 + 2, 2U << 24);
	fake_gsi_pulse(1);
	assert_int_equal(take(1), 0x40);
}

static void test_init_failures(void **state)
{
	struct domain *d = fake_domain(true, 1);
	int n;

	(void)state;
	hardware_domain = dom;
	for (n = 0; n < 4; n++) {
		fake_heap_fail_after = n;
		assert_int_equal(vioapic_init(d), -ENOMEM);
		assert_null(d->arch.vioapic);
	}
	fake_heap_fail_after = -1;
	/* Two at one address. */
	ioapics[1].paddr = IO0 + 0x80;
	assert_int_equal(vioapic_init(d), -EEXIST);
	assert_null(d->arch.vioapic);
	/* None at all. */
	ioapic_count = 0;
	assert_int_equal(vioapic_init(d), 0);
	assert_null(d->arch.vioapic);
	vioapic_set_pin(d, 3, true);
	vioapic_eoi(d, 0x40);
	fake_domain_free(d);
	d = fake_domain(false, 1);
	assert_int_equal(vioapic_init(d), 0);
	assert_null(d->arch.vioapic);
	fake_domain_free(d);
}

/* ---- Emulated pins ---- */

static void test_emulated_edge(void **state)
{
	(void)state;
	assert_int_equal(reg_r(IO0, 1), 47U << 16 | 0x20);
	rte_w(47, 0x40);
	vioapic_set_pin(dom, 47, true);
	assert_int_equal(take(0), 0x40);
	eoi(0);
	/* The level stays: no further edge. */
	vioapic_set_pin(dom, 47, true);
	assert_int_equal(take(0), -1);
	vioapic_set_pin(dom, 47, false);
	vioapic_set_pin(dom, 47, true);
	assert_int_equal(take(0), 0x40);
	eoi(0);
	vioapic_set_pin(dom, 47, false);
	/* Masked edges are lost. */
	rte_w(47, 0x40 | MASKED);
	vioapic_set_pin(dom, 47, true);
	rte_w(47, 0x40);
	assert_int_equal(take(0), -1);
	/* No such pin. */
	vioapic_set_pin(dom, 48, true);
	vioapic_set_pin(dom, ~0U, true);
	assert_int_equal(take(0), -1);
	assert_false(fake_gsis[47].bound);
}

static void test_emulated_level(void **state)
{
	(void)state;
	vioapic_set_pin(dom, 20, true);
	rte_w(20, 0x60 | LEVEL);
	assert_int_equal(rte_r(20), 0x60 | LEVEL | REMOTE_IRR);
	assert_int_equal(take(0), 0x60);
	eoi(0);
	/* Still up. */
	assert_int_equal(take(0), 0x60);
	vioapic_set_pin(dom, 20, false);
	assert_int_equal(rte_r(20), 0x60 | LEVEL | REMOTE_IRR);
	/* Down and up within the service. */
	vioapic_set_pin(dom, 20, true);
	vioapic_set_pin(dom, 20, false);
	eoi(0);
	assert_int_equal(rte_r(20), 0x60 | LEVEL);
	assert_int_equal(take(0), -1);
	vioapic_set_pin(dom, 20, true);
	assert_int_equal(take(0), 0x60);
	vioapic_set_pin(dom, 20, false);
	eoi(0);
	/* Not accepted at first. */
	vlapic_mmio_write(vcpu(0), 0xf0, 4, 0xff);
	vioapic_set_pin(dom, 20, true);
	assert_int_equal(rte_r(20), 0x60 | LEVEL | PENDING);
	vlapic_mmio_write(vcpu(0), 0xf0, 4, 0x1ff);
	assert_int_equal(rte_r(20), 0x60 | LEVEL | REMOTE_IRR);
	assert_int_equal(take(0), 0x60);
}

/* ---- Any sequence of operations ---- */

static uint32_t random_state;

static unsigned any(unsigned n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % n;
}

/* A real pin is open exactly when its entry says so: a closed one that nothing opens again would be dead. */
static void check_pins(void)
{
	unsigned pin;

	for (pin = 0; pin < 4; pin++) {
		const struct fake_gsi *g = &fake_gsis[pin];
		uint32_t rte = rte_r(pin);
		bool waits = rte & (REMOTE_IRR | PENDING);

		assert_true(!(rte & REMOTE_IRR) || (rte & LEVEL));
		if (rte & MASKED) {
			assert_true(!g->bound || g->masked);
			continue;
		}
		assert_true(g->bound);
		assert_int_equal(g->level, !!(rte & LEVEL));
		assert_int_equal(g->low, !!(rte & LOW));
		if (!(rte & LEVEL) || !waits)
			assert_false(g->masked);
		else
			assert_true(g->masked);
	}
}

static void random_operation(void)
{
	static const uint32_t vectors[] = {0x0f, 0x40, 0x41, 0x60};
	unsigned pin = any(4), n = any(NR);

	switch (any(10)) {
	case 0:
	case 1:
		rte_w(pin, vectors[any(4)] | any(2) * LEVEL | (any(4) == 0) * MASKED |
				   (any(8) == 0) * LOW | any(2) * LOWEST);
		break;
	case 2:
		rte_w(pin, rte_r(pin) ^ MASKED);
		break;
	case 3:
		dest_w(pin, any(4) ? 2 * n : 77);
		break;
	case 4:
		fake_gsi_line(pin, any(2));
		break;
	case 5:
		fake_gsi_pulse(pin);
		break;
	case 6:
		take(n);
		break;
	case 7:
		eoi(n);
		break;
	case 8:
		mmio_w(IO0 + 0x40, 4, vectors[any(4)]);
		break;
	default:
		vlapic_mmio_write(vcpu(n), 0xf0, 4, any(8) ? 0x1ff : 0xff);
		break;
	}
}

static void test_random_operations(void **state)
{
	unsigned round, i;

	(void)state;
	for (round = 1; round <= 200; round++) {
		random_state = round;
		for (i = 0; i < 500; i++) {
			random_operation();
			check_pins();
		}
		/* Every device is served, every interrupt ended: all pins are idle and open. */
		for (i = 0; i < 4; i++) {
			fake_gsi_line(i, false);
			dest_w(i, 0);
			rte_w(i, 0x50 | LEVEL);
			mmio_w(IO0 + 0x40, 4, 0x50);
		}
		for (i = 0; i < NR; i++) {
			vlapic_mmio_write(vcpu(i), 0xf0, 4, 0x1ff);
			while (take(i) >= 0)
				eoi(i);
		}
		for (i = 0; i < 40; i++)
			eoi(i % NR);
		for (i = 0; i < NR; i++) {
			while (take(i) >= 0)
				eoi(i);
		}
		check_pins();
		for (i = 0; i < 4; i++) {
			assert_int_equal(rte_r(i), 0x50 | LEVEL);
			fake_gsi_line(i, true);
			assert_int_equal(take(0), 0x50);
			fake_gsi_line(i, false);
			eoi(0);
		}
	}
}

#define H(name) cmocka_unit_test_setup_teardown(name, setup_host, teardown)
#define E(name) cmocka_unit_test_setup_teardown(name, setup_emulated, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		H(test_registers),
		H(test_rte_bits),
		H(test_access_sizes),
		H(test_bind_follows_the_entry),
		H(test_taken_pin),
		H(test_edge),
		H(test_level),
		H(test_level_masked_in_service),
		H(test_edge_and_back_clears_remote_irr),
		H(test_eoi_register),
		H(test_vector_changed_in_service),
		H(test_not_accepted),
		H(test_delivery_modes),
		H(test_extended_destination),
		H(test_init_failures),
		H(test_random_operations),
		E(test_emulated_edge),
		E(test_emulated_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
