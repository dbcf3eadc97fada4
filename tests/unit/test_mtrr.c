// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the virtual MTRRs and PAT: start values and validation.
// cflags: -include tests/unit/fake_x86.h
// links: tests/unit/fake_x86.c hypervisor/arch/x86/hvm/mtrr.c hypervisor/arch/x86/hvm/hvm_io.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arch/mtrr.h>
#include <bulkhead/errno.h>

#include "fake_x86.h"

static const uint32_t fixed[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
				 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

static struct domain *dom0, *domu;

static uint64_t rd(struct domain *d, uint32_t msr)
{
	uint64_t value = 0;

	assert_int_equal(mtrr_msr_read(d->vcpus[0], msr, &value), 0);
	return value;
}

static int wr(struct domain *d, uint32_t msr, uint64_t value)
{
	uint64_t old = rd(d, msr);
	int rc = mtrr_msr_write(d->vcpus[0], msr, value);

	assert_int_equal(rd(d, msr), rc == 0 ? value : old);
	return rc;
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	dom0 = fake_domain(true, 1);
	domu = fake_domain(false, 1);
	mtrr_vcpu_init(dom0->vcpus[0]);
	mtrr_vcpu_init(domu->vcpus[0]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_domain_free(dom0);
	fake_domain_free(domu);
	return 0;
}

static void test_start_values(void **state)
{
	unsigned i;

	(void)state;
	assert_int_equal(rd(domu, 0xfe), 0x508);
	assert_int_equal(rd(domu, 0x2ff), 0x806);
	assert_int_equal(rd(domu, 0x277), 0x0007040600070406);
	for (i = 0x200; i < 0x210; i++)
		assert_int_equal(rd(domu, i), 0);
	for (i = 0; i < ARRAY_SIZE(fixed); i++)
		assert_int_equal(rd(domu, fixed[i]), 0);
	/* No MTRRs on this machine: as the others. */
	assert_int_equal(rd(dom0, 0x2ff), 0x806);
}

static void test_which_msrs(void **state)
{
	unsigned msr, count = 0;
	uint64_t value;

	(void)state;
	for (msr = 0; msr < 0x1000; msr++) {
		int rc = mtrr_msr_read(domu->vcpus[0], msr, &value);

		assert_int_equal(rc, mtrr_owns_msr(msr) ? 0 : -EINVAL);
		count += rc == 0;
		if (rc)
			assert_int_equal(mtrr_msr_write(domu->vcpus[0], msr, 0), -EINVAL);
	}
	assert_int_equal(count, 1 + 16 + 11 + 1 + 1);
	assert_int_equal(mtrr_msr_write(domu->vcpus[0], 0xfe, 0x508), -EINVAL);
}

static void test_types(void **state)
{
	unsigned type, shift;

	(void)state;
	for (type = 0; type < 256; type++) {
		bool mtrr = type <= 1 || (type >= 4 && type <= 6), pat = mtrr || type == 7;

		assert_int_equal(wr(domu, 0x2ff, 0xc00 | type), mtrr ? 0 : -EINVAL);
		assert_int_equal(wr(domu, 0x204, 0x80000000 | type), mtrr ? 0 : -EINVAL);
		for (shift = 0; shift < 64; shift += 8) {
			assert_int_equal(wr(domu, 0x26c, (uint64_t)type << shift),
					 mtrr ? 0 : -EINVAL);
			assert_int_equal(wr(domu, 0x277, (uint64_t)type << shift),
					 pat ? 0 : -EINVAL);
		}
	}
}

static void test_reserved_bits(void **state)
{
	unsigned bit;

	(void)state;
	for (bit = 0; bit < 64; bit++) {
		uint64_t v = 1ULL << bit;
		bool address = bit >= 12 && bit < fake_phys_bits;

		if (bit >= 8) {
			assert_int_equal(wr(domu, 0x2ff, v), bit == 10 || bit == 11 ? 0 : -EINVAL);
			assert_int_equal(wr(domu, 0x20e, v | 6), address ? 0 : -EINVAL);
		}
		assert_int_equal(wr(domu, 0x20f, v), address || bit == 11 ? 0 : -EINVAL);
	}
}

static void test_host_values(void **state)
{
	unsigned i;

	(void)state;
	fake_msr_set(0xfe, 0x50a); /* ten ranges: eight are seen */
	fake_msr_set(0x2ff, 0xc00);
	for (i = 0; i < 20; i += 2) {
		fake_msr_set(0x200 + i, 0x10000000ULL * i | 6);
		fake_msr_set(0x201 + i, 0x3ffff0000800);
	}
	fake_msr_set(0x204, 0x80000003); /* a type that there is not */
	for (i = 0; i < ARRAY_SIZE(fixed); i++)
		fake_msr_set(fixed[i], 0x0505050505050505);
	fake_msr_set(0x259, 0xff);
	mtrr_boot_init();
	mtrr_vcpu_init(dom0->vcpus[0]);
	mtrr_vcpu_init(domu->vcpus[0]);
	assert_int_equal(rd(dom0, 0xfe), 0x508);
	assert_int_equal(rd(dom0, 0x2ff), 0xc00);
	assert_int_equal(rd(dom0, 0x200), 6);
	assert_int_equal(rd(dom0, 0x202), 0x20000006);
	assert_int_equal(rd(dom0, 0x204), 0);
	assert_int_equal(rd(dom0, 0x20f), 0x3ffff0000800);
	assert_int_equal(rd(dom0, 0x250), 0x0505050505050505);
	assert_int_equal(rd(dom0, 0x259), 0);
	assert_int_equal(rd(dom0, 0x277), 0x0007040600070406);
	assert_int_equal(rd(domu, 0x2ff), 0x806);
	assert_int_equal(rd(domu, 0x202), 0);
	/* Each vCPU has its own. */
	assert_int_equal(wr(dom0, 0x2ff, 0x800), 0);
	mtrr_vcpu_init(dom0->vcpus[0]);
	assert_int_equal(rd(dom0, 0x2ff), 0xc00);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_start_values),  T(test_which_msrs),  T(test_types),
		T(test_reserved_bits), T(test_host_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
