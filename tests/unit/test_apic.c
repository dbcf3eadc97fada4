// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the machine's local APICs in both modes; the emulator has no x2APIC for the host.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A CPU of its own, in the place of <arch/cpu.h>. */
#define ARCH_CPU_H
#include "../../hypervisor/include/bulkhead/addr.h"
#include "../../hypervisor/include/bulkhead/compiler.h"

struct arch_cpu {
	uint32_t apic_id;
};
struct cpu;
static struct cpu *here;

static inline struct cpu *arch_this_cpu(void)
{
	return here;
}
static inline void arch_cpu_relax(void)
{
}
static inline bool arch_cpus_may_stop(void)
{
	return false;
}
static inline unsigned long arch_irq_save(void)
{
	return 0;
}
static inline void arch_irq_restore(unsigned long flags)
{
	(void)flags;
}
static unsigned fences;
static inline void arch_mb(void)
{
	fences++;
}

static uint32_t features_ecx, features_edx;
static inline void cpuid_count(uint32_t leaf, uint32_t sub, uint32_t ret[4])
{
	assert_int_equal(leaf, 1);
	(void)sub;
	ret[0] = ret[1] = 0;
	ret[2] = features_ecx;
	ret[3] = features_edx;
}

/* What was written, in order: an MSR, or a register of the page at 0. */
static struct access {
	uint32_t where;
	uint64_t value;
} writes[64];
static unsigned write_count;
static uint64_t base_msr;
static uint32_t id_register;
static unsigned busy_reads; /* so often the last interrupt command is still being sent */

static void note(uint32_t where, uint64_t value)
{
	assert_true(write_count < ARRAY_SIZE(writes));
	writes[write_count].where = where;
	writes[write_count++].value = value;
}
static inline uint64_t rdmsr(uint32_t msr)
{
	if (msr == 0x1b)
		return base_msr;
	/* SDM vol. 3A 11.12.1.2: other registers are there in x2APIC mode only. */
	assert_int_equal(base_msr & 0xc00, 0xc00);
	return msr == 0x802 ? id_register : 0;
}
static inline void wrmsr(uint32_t msr, uint64_t value)
{
	if (msr == 0x1b) {
		/* 11.12.5: not from disabled to x2APIC at once, nor back. */
		assert_false((value & 0x400) && !(value & 0x800));
		assert_false((base_msr & 0x400) && !(value & 0x400));
		base_msr = value;
	} else {
		assert_int_equal(base_msr & 0xc00, 0xc00);
	}
	note(msr, value);
}

#define ARCH_PAGING_H
static char page_of_registers[4096];
static void *mmio_map(uint64_t paddr, size_t size)
{
	assert_int_equal(paddr, 0xfee00000);
	assert_int_equal(size, 4096);
	return page_of_registers;
}
static uint32_t mmio_read32(const volatile void *p)
{
	size_t offset = (size_t)((const volatile char *)p - page_of_registers);

	assert_int_equal(base_msr & 0x400, 0);
	if (offset == 0x300 && busy_reads) {
		busy_reads--;
		return 0x1000;
	}
	return offset == 0x20 ? id_register : 0;
}
static void mmio_write32(volatile void *p, uint32_t value)
{
	assert_int_equal(base_msr & 0x400, 0);
	note((uint32_t)((volatile char *)p - page_of_registers), value);
}

#include "../../hypervisor/arch/x86/apic.c"

static struct cpu cpus[3] = {{.id = 0}, {.id = 1}, {.id = 2}};
struct cpu *cpu_table[MAX_CPUS] = {&cpus[0], &cpus[1], &cpus[2]};
unsigned cpu_count;
static unsigned waited_us;

void time_delay_us(unsigned us)
{
	waited_us += us;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	(void)level, (void)fmt;
}

static int setup(void **state)
{
	(void)state;
	here = &cpus[0];
	cpu_count = 3;
	features_ecx = 0;
	features_edx = BIT32(9);
	base_msr = 0xfee00900;
	id_register = 0;
	write_count = fences = busy_reads = waited_us = 0;
	apic_x2 = false;
	page = NULL;
	up = stopping = false;
	for (unsigned i = 0; i < 3; i++)
		cpus[i].arch.apic_id = i;
	return 0;
}

static const struct access *written(uint32_t where)
{
	for (unsigned i = write_count; i > 0; i--)
		if (writes[i - 1].where == where)
			return &writes[i - 1];
	return NULL;
}

static void no_apic(void **state)
{
	(void)state;
	features_edx = 0;
	assert_int_equal(apic_init(0xfee00000), -ENODEV);
	assert_int_equal(write_count, 0);
}

static void xapic(void **state)
{
	(void)state;
	id_register = 5U << 24;
	assert_int_equal(apic_init(0xfee00000), 0);
	assert_false(apic_x2);
	assert_int_equal(base_msr, 0xfee00900);
	assert_int_equal(apic_id_self(), 5);
	assert_int_equal(written(0xf0)->value, 0x1ff);
	assert_int_equal(written(0x320)->value, VECTOR_TIMER);
	/* One after the other: destination, then the command, when the last one is away. */
	busy_reads = 3;
	write_count = 0;
	apic_ipi(0x42, 0x4030);
	assert_int_equal(busy_reads, 0);
	assert_int_equal(write_count, 2);
	assert_int_equal(writes[0].where, 0x310);
	assert_int_equal(writes[0].value, 0x42U << 24);
	assert_int_equal(writes[1].where, 0x300);
	assert_int_equal(writes[1].value, 0x4030);
}

static void switched_off_by_firmware(void **state)
{
	(void)state;
	base_msr = 0xfee00100;
	assert_int_equal(apic_init(0xfee00000), 0);
	assert_int_equal(base_msr, 0xfee00900);
	/* With x2APIC there: on first, then the mode (11.12.5). */
	setup(state);
	features_ecx = BIT32(21);
	base_msr = 0xfee00100;
	assert_int_equal(apic_init(0xfee00000), 0);
	assert_int_equal(writes[0].value, 0xfee00900);
	assert_int_equal(writes[1].value, 0xfee00d00);
}

static void x2apic(void **state)
{
	(void)state;
	features_ecx = BIT32(21);
	id_register = 0x12345;
	assert_int_equal(apic_init(0xfee00000), 0);
	assert_true(apic_x2);
	assert_int_equal(base_msr, 0xfee00d00);
	assert_null(page);
	assert_int_equal(apic_id_self(), 0x12345);
	assert_int_equal(written(0x80f)->value, 0x1ff);
	assert_int_equal(written(0x832)->value, VECTOR_TIMER);
	/* One write of 64 bits, behind a fence (11.12.3), to an id that xAPIC could not name. */
	cpus[2].arch.apic_id = 0x54321;
	write_count = fences = 0;
	apic_send_vector(2, VECTOR_KICK);
	assert_int_equal(write_count, 1);
	assert_int_equal(writes[0].where, 0x830);
	assert_int_equal(writes[0].value, 0x54321ULL << 32 | 0x4000 | VECTOR_KICK);
	assert_int_equal(fences, 1);
	apic_eoi();
	assert_int_equal(written(0x80b)->value, 0);
	apic_timer_set(1000);
	assert_int_equal(written(0x838)->value, 1000);
}

static void x2apic_left_on_by_firmware(void **state)
{
	(void)state;
	features_ecx = BIT32(21);
	base_msr = 0xfee00d00;
	assert_int_equal(apic_init(0xfee00000), 0);
	assert_int_equal(base_msr, 0xfee00d00);
	assert_null(written(0x1b));
}

static void devices_wait(void **state)
{
	(void)state;
	assert_int_equal(apic_init(0xfee00000), 0);
	apic_block_devices(true);
	/* The class of the task priority and all below it wait (11.8.3.1). */
	assert_true(IRQ_VECTOR_LAST >> 4 <= written(0x80)->value >> 4);
	assert_true(VECTOR_KICK >> 4 > written(0x80)->value >> 4);
	apic_block_devices(false);
	assert_int_equal(written(0x80)->value, 0);
}

static void stop_others(void **state)
{
	(void)state;
	/* A panic before the APIC is up. */
	apic_stop_others();
	assert_int_equal(write_count, 0);
	assert_int_equal(apic_init(0xfee00000), 0);
	here = &cpus[1];
	write_count = 0;
	apic_stop_others();
	assert_int_equal(write_count, 4);
	assert_int_equal(writes[0].value, 0);
	assert_int_equal(writes[1].value, 0x4400);
	assert_int_equal(writes[2].value, 2U << 24);
	assert_int_equal(waited_us, 1000);
	here = &cpus[0];
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_apic, setup),
		cmocka_unit_test_setup(xapic, setup),
		cmocka_unit_test_setup(switched_off_by_firmware, setup),
		cmocka_unit_test_setup(x2apic, setup),
		cmocka_unit_test_setup(x2apic_left_on_by_firmware, setup),
		cmocka_unit_test_setup(devices_wait, setup),
		cmocka_unit_test_setup(stop_others, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
