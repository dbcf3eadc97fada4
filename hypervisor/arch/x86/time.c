/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System time from the TSC, calibrated against HPET, PM timer or PIT; the local APIC timer; the clock of the RTC. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/machine.h>
#include <arch/paging.h>
#include <arch/time.h>
#include <bulkhead/cpu.h>
#include <bulkhead/log.h>
#include <bulkhead/spinlock.h>
#include <bulkhead/time.h>
#include <bulkhead/timer.h>

#define CALIBRATION_MS 10
#define PM_TIMER_HZ    3579545U
#define PIT_HZ	       1193182U
#define TIMER_HORIZON  (60 * NSEC_PER_SEC)
/* No machine's TSC takes so long for CALIBRATION_MS: the reference stands still. */
#define STUCK_TICKS    (1UL << 33)

struct tsc_scale tsc_scale __ro_after_init;
uint64_t tsc_khz __ro_after_init;
uint64_t tsc_boot __ro_after_init; /* TSC at system time 0 */
uint64_t apic_timer_hz __ro_after_init;
bool tsc_reliable __ro_after_init;

static spinlock_t wallclock_lock = SPINLOCK_INIT;
static uint64_t wallclock_ns; /* since 1970, at system time 0 */

/* a * b / c; the quotient must fit into 64 bits. */
static uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t hi, q;

	__asm__("mulq %3" : "=a"(q), "=d"(hi) : "a"(a), "r"(b) : "cc");
	__asm__("divq %2" : "+a"(q), "+d"(hi) : "r"(c) : "cc");
	return q;
}

uint64_t tsc_to_ns(uint64_t delta)
{
	__uint128_t v = delta;

	v = tsc_scale.shift < 0 ? v >> -tsc_scale.shift : v << tsc_scale.shift;
	return (uint64_t)(v * tsc_scale.mul >> 32);
}

uint64_t ns_to_tsc(uint64_t ns)
{
	return mul_div(ns, tsc_khz, 1000000);
}

/* multiplier and shift of the pvclock protocol (xen.h, vcpu_time_info): ns = (tsc << shift) * mul >> 32. */
struct tsc_scale tsc_scale_for(uint64_t hz)
{
	struct tsc_scale s = {0, 0};
	uint64_t v = hz;

	while (v > NSEC_PER_SEC * 2) {
		v >>= 1;
		s.shift--;
	}
	while (v <= NSEC_PER_SEC) {
		v <<= 1;
		s.shift++;
	}
	s.mul = (uint32_t)mul_div(NSEC_PER_SEC, 1UL << 32, v);
	return s;
}

uint64_t tsc_now(void)
{
	return rdtsc() + this_cpu()->arch.tsc_adjust;
}

uint64_t time_now(void)
{
	return tsc_scale.mul ? tsc_to_ns(tsc_now() - tsc_boot) : 0;
}

void time_delay_us(unsigned us)
{
	uint64_t start = rdtsc(),
		 ticks = tsc_khz ? (uint64_t)us * tsc_khz / 1000 : (uint64_t)us * 1000;

	while (rdtsc() - start < ticks)
		arch_cpu_relax();
}

/* ---- Calibration: ticks of TSC and APIC timer over a span of a reference clock ---- */

struct reference {
	const char *name;
	uint64_t hz, mask;
	uint64_t (*read)(void);
};

static volatile uint8_t *hpet;
static uint16_t pm_port;

static uint64_t read_hpet(void)
{
	return mmio_read32(hpet + 0xf0);
}

static uint64_t read_pm(void)
{
	return inl(pm_port);
}

/* PIT channel 2, mode 0, counting down from 65535 with the speaker off: read through the latch. */
static uint64_t read_pit(void)
{
	uint8_t lo, hi;

	outb(0x43, 0x80);
	lo = inb(0x42);
	hi = inb(0x42);
	return 0xffffU - (lo | (unsigned)hi << 8);
}

static bool find_hpet(struct reference *ref)
{
	static struct acpi_hpet info __initdata;
	const struct acpi_table *t;
	const char *why;
	uint64_t period;

	if (acpi_find(&acpi_tables, "HPET", 0, &t, &why) || acpi_parse_hpet(t, &info, &why) ||
	    info.base.space != ACPI_SPACE_MEMORY)
		return false;
	hpet = mmio_map(info.base.address, 0x400);
	if (!hpet)
		return false;
	period = mmio_read32(hpet + 4); /* femtoseconds per tick (IA-PC HPET 2.3.4) */
	if (!period || period > 100000000)
		return false;
	mmio_write32(hpet + 0x10, mmio_read32(hpet + 0x10) | 1);
	*ref = (struct reference){"HPET", 1000000000000000ULL / period, 0xffffffff, read_hpet};
	return true;
}

static bool find_pm_timer(struct reference *ref)
{
	const struct acpi_gas *reg = &acpi_fadt_info.pm_tmr;

	if (!acpi_have_fadt || !reg->address || reg->space != ACPI_SPACE_IO ||
	    reg->address > UINT16_MAX - 3)
		return false;
	pm_port = (uint16_t)reg->address;
	*ref = (struct reference){"PM timer", PM_TIMER_HZ, 0xffffff, read_pm};
	return true;
}

static bool find_pit(struct reference *ref)
{
	outb(0x61, (inb(0x61) & ~2U) | 1);
	outb(0x43, 0xb0);
	outb(0x42, 0xff);
	outb(0x42, 0xff);
	*ref = (struct reference){"PIT", PIT_HZ, 0xffff, read_pit};
	return true;
}

/* False: it does not count. */
static bool calibrate(const struct reference *ref)
{
	uint64_t span = ref->hz * CALIBRATION_MS / 1000, r0, r1, t0, t1;
	uint32_t a0, a1;

	apic_timer_set(0xffffffff);
	r0 = ref->read();
	t0 = rdtsc();
	a0 = apic_timer_current();
	do {
		bool late = rdtsc() - t0 > STUCK_TICKS;

		r1 = ref->read();
		if (late && ((r1 - r0) & ref->mask) < span)
			return false;
	} while (((r1 - r0) & ref->mask) < span);
	t1 = rdtsc();
	a1 = apic_timer_current();
	apic_timer_set(0);
	span = (r1 - r0) & ref->mask;
	tsc_khz = mul_div(t1 - t0, ref->hz, span) / 1000;
	apic_timer_hz = mul_div(a0 - a1, ref->hz, span);
	return true;
}

/* ---- Wall clock ---- */

static uint8_t cmos(uint8_t reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

static unsigned from_bcd(uint8_t v, bool binary)
{
	return binary ? v : (v >> 4) * 10U + (v & 15);
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static uint64_t days_since_epoch(unsigned year, unsigned month, unsigned day)
{
	static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	unsigned y = year - 1;
	uint64_t days = 365UL * (year - 1970) + (y / 4 - 1969 / 4) - (y / 100 - 1969 / 100) +
			(y / 400 - 1969 / 400);
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days + before[(month - 1) % 12] + (leap && month > 2) + day - 1;
}

static void read_rtc(void)
{
	uint8_t sec, min, hour, day, month, year, status_b;
	unsigned tries = 0;
	bool bin;

	/* Two equal readings with no update in progress between them. */
	do {
		uint64_t start = time_now();

		while ((cmos(0x0a) & 0x80) && time_now() - start < MSEC(3))
			;
		sec = cmos(0);
		min = cmos(2);
		hour = cmos(4);
		day = cmos(7);
		month = cmos(8);
		year = cmos(9);
	} while (sec != cmos(0) && ++tries < 10);
	status_b = cmos(0x0b);
	bin = status_b & 4;
	{
		unsigned h = from_bcd(hour & 0x7f, bin);

		if (!(status_b & 2)) /* 12-hour clock */
			h = h % 12 + (hour & 0x80 ? 12 : 0);
		wallclock_ns = (days_since_epoch(2000 + from_bcd(year, bin),
						 MAX(1U, from_bcd(month, bin)),
						 MAX(1U, from_bcd(day, bin))) *
					86400 +
				h * 3600UL + from_bcd(min, bin) * 60UL + from_bcd(sec, bin)) *
				       NSEC_PER_SEC -
			       time_now();
	}
}

void time_wallclock_base(uint64_t *ret_sec, uint32_t *ret_nsec)
{
	unsigned long irq = spin_lock_irqsave(&wallclock_lock);
	uint64_t ns = wallclock_ns;

	spin_unlock_irqrestore(&wallclock_lock, irq);
	*ret_sec = ns / NSEC_PER_SEC;
	*ret_nsec = (uint32_t)(ns % NSEC_PER_SEC);
}

void time_set_wallclock(uint64_t sec, uint32_t nsec, uint64_t system_time)
{
	unsigned long irq = spin_lock_irqsave(&wallclock_lock);

	wallclock_ns = sec * NSEC_PER_SEC + nsec - system_time;
	spin_unlock_irqrestore(&wallclock_lock, irq);
}

void __init time_init(void)
{
	/* The best one first. */
	static bool (*const find[])(struct reference * ref) = {find_hpet, find_pm_timer, find_pit};
	struct reference ref = {.name = "nothing"};
	bool done = false;

	for (unsigned i = 0; i < ARRAY_SIZE(find) && !done; i++) {
		if (!find[i](&ref))
			continue;
		done = calibrate(&ref);
		if (!done)
			log_warn("clock: the %s stands still\n", ref.name);
	}
	if (tsc_khz < 1000 || apic_timer_hz < 1000000)
		panic("clock: the TSC runs at %lu kHz and the APIC timer at %lu Hz by the %s: no usable clock",
		      tsc_khz, apic_timer_hz, ref.name);
	tsc_scale = tsc_scale_for(tsc_khz * 1000);
	tsc_reliable = cpu_has(CPU_INVARIANT_TSC);
	tsc_boot = rdtsc();
	read_rtc();
	log_info("clock: TSC %lu.%03lu MHz%s, APIC timer %lu.%03lu MHz, by %s\n", tsc_khz / 1000,
		 tsc_khz % 1000, tsc_reliable ? ", invariant" : "", apic_timer_hz / 1000000,
		 apic_timer_hz / 1000 % 1000, ref.name);
}

/* ---- One-shot timer ---- */

void arch_timer_program(uint64_t deadline)
{
	uint64_t now, ticks;

	if (deadline == TIME_NEVER) {
		apic_timer_set(0);
		return;
	}
	now = time_now();
	ticks = deadline > now
			? mul_div(MIN(deadline - now, TIMER_HORIZON), apic_timer_hz, NSEC_PER_SEC) +
				  1
			: 1;
	/* Beyond the horizon or the counter's range it fires early, finds nothing due and is set again. */
	apic_timer_set((uint32_t)MIN(ticks, 0xffffffffUL));
}
