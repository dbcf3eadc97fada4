// SPDX-License-Identifier: GPL-2.0-or-later
// Four vCPUs with virtual local APICs, for unit tests.
#include "vlapic_fixture.h"

struct domain *dom;

struct vcpu *vcpu(unsigned n)
{
	return dom->vcpus[n];
}

uint32_t rd(unsigned n, uint32_t reg)
{
	uint64_t value = ~0ULL;

	assert_int_equal(vlapic_mmio_read(vcpu(n), reg, 4, &value), 0);
	return (uint32_t)value;
}

void wr(unsigned n, uint32_t reg, uint32_t value)
{
	assert_int_equal(vlapic_mmio_write(vcpu(n), reg, 4, value), 0);
}

uint64_t rdm(unsigned n, uint32_t msr)
{
	uint64_t value = ~0ULL;

	assert_int_equal(vlapic_msr_read(vcpu(n), msr, &value), 0);
	return value;
}

void wrm(unsigned n, uint32_t msr, uint64_t value)
{
	assert_int_equal(vlapic_msr_write(vcpu(n), msr, value), 0);
}

void refused(unsigned n, uint32_t msr, uint64_t value)
{
	assert_int_equal(vlapic_msr_write(vcpu(n), msr, value), -EINVAL);
}

void to_x2apic(unsigned n)
{
	wrm(n, BASE, rdm(n, BASE) | 0x400);
}

bool pending(unsigned n, unsigned vector)
{
	bool x2 = vlapic_x2apic(vcpu(n));
	uint32_t reg = IRR + 16 * (vector / 32);
	uint32_t word = x2 ? (uint32_t)rdm(n, X2(reg)) : rd(n, reg);

	return word >> (vector % 32) & 1;
}

/* The CPU takes the interrupt that is to be delivered. */
int take(unsigned n)
{
	int vector = vlapic_deliverable(vcpu(n));

	if (vector >= 0)
		vlapic_accept(vcpu(n), (uint8_t)vector);
	return vector;
}

int vlapic_setup(void **state)
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

int vlapic_teardown(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < NR; i++)
		vlapic_finish(vcpu(i));
	fake_domain_free(dom);
	return fake_heap_live == 0 && fake_timers_armed() == 0 ? 0 : -1;
}
