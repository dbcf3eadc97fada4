// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of machine checks: banks are opened, what they hold is told.
// cflags: -include tests/unit/fake_x86.h
// links: hypervisor/arch/x86/machine_check.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/machine_check.h>
#include <bulkhead/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>

#define VALID	(1UL << 63)
#define UC	(1UL << 61)
#define ADDRESS (1UL << 58)

static struct cpu cpu0 = {.self = &cpu0};
struct cpu *fake_this_cpu = &cpu0;
bool fake_irqs_off;
struct cpu_info cpu_info;

/* The registers of a CPU with six banks, and a place for each MSR that may be asked for. */
static uint64_t msrs[0x500];
static unsigned nr_banks;
static char text[MACHINE_CHECK_TEXT], logged[256];

bool cpu_has(enum cpu_feature f)
{
	return f == CPU_MCE && cpu_info.family;
}

static bool exists(uint32_t msr)
{
	return (msr >= 0x179 && msr <= 0x17b) || (msr >= 0x400 && msr < 0x400 + 4 * nr_banks);
}

int rdmsr_safe(uint32_t msr, uint64_t *ret_value)
{
	if (!exists(msr))
		return -EFAULT;
	*ret_value = msrs[msr];
	return 0;
}

int wrmsr_safe(uint32_t msr, uint64_t v)
{
	/* Capabilities are read-only; a status takes zeros only (SDM vol. 3B 16.3.2.2). */
	if (!exists(msr) || msr == 0x179 || (msr >= 0x400 && msr % 4 == 1 && v))
		return -EFAULT;
	msrs[msr] = v;
	return 0;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	size_t n = strlen(logged);
	va_list ap;

	assert_int_equal(level, LOG_WARN);
	va_start(ap, fmt);
	vsnprintf(logged + n, sizeof(logged) - n, fmt, ap);
	va_end(ap);
}

static int setup(void **state)
{
	(void)state;
	memset(msrs, 0, sizeof(msrs));
	memset(logged, 0, sizeof(logged));
	memset(text, 'x', sizeof(text));
	cpu_info.family = 0x17;
	nr_banks = 6;
	msrs[0x179] = 6 | 1 << 8;
	return 0;
}

static void banks_are_opened(void **state)
{
	(void)state;
	machine_check_prepare();
	assert_int_equal(msrs[0x17b], ~0UL);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(msrs[0x400 + 4 * i], ~0UL);
	assert_string_equal(logged, "");
}

static void leftovers_are_told(void **state)
{
	(void)state;
	msrs[0x401 + 8] = VALID | 0x17;
	msrs[0x402 + 8] = 0x123000;
	msrs[0x401 + 12] = 0x18; /* not valid */
	machine_check_prepare();
	assert_string_equal(logged,
			    "machine check before the boot: CPU 0 bank 2 status 8000000000000017 "
			    "address 0000000000123000\n");
	assert_int_equal(msrs[0x401 + 8], 0);
	assert_int_equal(msrs[0x401 + 12], 0);
}

static void no_error_of_family_10h(void **state)
{
	(void)state;
	cpu_info.family = 0x10;
	machine_check_prepare();
	assert_int_equal(msrs[0x40c], ~0UL);
	assert_int_equal(msrs[0x410], ~(1UL << 10));
}

static void without_banks(void **state)
{
	(void)state;
	nr_banks = 0;
	msrs[0x179] = 0;
	msrs[0x17a] = 4;
	machine_check_prepare();
	assert_int_equal(msrs[0x17b], 0);
	machine_check_describe(text);
	assert_string_equal(text, "no bank has an error, MCG_STATUS 4");
	cpu_info.family = 0; /* not even the feature */
	machine_check_prepare();
	cpu_info.family = 0x17;
	/* More than there are MSRs for. */
	msrs[0x179] = 0xff;
	machine_check_prepare();
	machine_check_describe(text);
	assert_string_equal(text, "no bank has an error, MCG_STATUS 4");
}

static void the_worst_is_described(void **state)
{
	(void)state;
	msrs[0x17a] = 5;
	msrs[0x401 + 4] = VALID | 1;
	machine_check_describe(text);
	assert_string_equal(text, "bank 1, status 8000000000000001, MCG_STATUS 5");
	msrs[0x401 + 12] = VALID | UC | ADDRESS | 2;
	msrs[0x402 + 12] = 0xabc000;
	msrs[0x401 + 16] = VALID | UC | 3;
	machine_check_describe(text);
	assert_string_equal(
		text, "bank 3, status a400000000000002, address 0000000000abc000, MCG_STATUS 5");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(banks_are_opened), T(leftovers_are_told),	T(no_error_of_family_10h),
		T(without_banks),    T(the_worst_is_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
