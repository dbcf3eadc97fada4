// SPDX-License-Identifier: GPL-2.0-or-later
// A small machine for host-side tests of hypervisor/arch/x86/hvm; to be compiled with -include fake_x86.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_x86.h"

#include <arch/hvm_io.h>
#include <arch/vlapic.h>
#include <bulkhead/errno.h>
#include <bulkhead/irq.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>

static void check(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fake machine: %s\n", what);
		abort();
	}
}

struct cpu *fake_this_cpu;
bool fake_irqs_off;
struct domain *hardware_domain;

void (*fake_relax)(void);

/* There is one CPU: unless the test does it, what it waits for never comes. */
void fake_wait(void)
{
	if (fake_relax)
		fake_relax();
	else
		check(false, "a lock is taken twice, or a wait has no end");
}

/* ---- Heap ---- */

unsigned fake_heap_live;
int fake_heap_fail_after = -1;

void *heap_alloc(size_t size)
{
	void *p;

	if (fake_heap_fail_after == 0)
		return NULL;
	if (fake_heap_fail_after > 0)
		fake_heap_fail_after--;
	/* From a page on aligned to pages, as heap.c does it. */
	p = aligned_alloc(size >= PAGE_SIZE ? PAGE_SIZE : 16,
			  ALIGN_UP(size, size >= PAGE_SIZE ? PAGE_SIZE : 16UL));
	check(p != NULL, "out of memory");
	memset(p, 0, size);
	fake_heap_live++;
	return p;
}

void heap_free(void *p)
{
	if (p)
		fake_heap_live--;
	free(p);
}

void *heap_page_alloc(void)
{
	return heap_alloc(PAGE_SIZE);
}

void heap_page_free(void *page)
{
	heap_free(page);
}

/* ---- Time ---- */

#define MAX_TIMERS 64

uint64_t fake_now;
unsigned fake_timer_runs, fake_timer_cpu;
static struct timer *timers[MAX_TIMERS];

uint64_t time_now(void)
{
	return fake_now;
}

int timer_init(struct timer *t, void (*fn)(void *data), void *data, unsigned cpu)
{
	unsigned i;

	memset(t, 0, sizeof(*t));
	t->fn = fn;
	t->data = data;
	t->cpu = cpu;
	for (i = 0; i < MAX_TIMERS; i++) {
		if (!timers[i]) {
			timers[i] = t;
			return 0;
		}
	}
	check(false, "too many timers");
	return -ENOMEM;
}

void timer_finish(struct timer *t)
{
	unsigned i;

	t->armed = false;
	for (i = 0; i < MAX_TIMERS; i++) {
		if (timers[i] == t)
			timers[i] = NULL;
	}
}

void timer_set(struct timer *t, uint64_t deadline)
{
	t->deadline = deadline;
	t->armed = true;
	fake_timer_cpu = t->cpu;
}

void timer_stop(struct timer *t)
{
	t->armed = false;
}

void timer_migrate(struct timer *t, unsigned cpu)
{
	t->cpu = cpu;
}

bool timer_is_set(const struct timer *t)
{
	return t->armed;
}

unsigned fake_timers_armed(void)
{
	unsigned i, n = 0;

	for (i = 0; i < MAX_TIMERS; i++)
		n += timers[i] && timers[i]->armed;
	return n;
}

static struct timer *next_timer(uint64_t until)
{
	struct timer *best = NULL;
	unsigned i;

	for (i = 0; i < MAX_TIMERS; i++) {
		if (timers[i] && timers[i]->armed && timers[i]->deadline <= until &&
		    (!best || timers[i]->deadline < best->deadline))
			best = timers[i];
	}
	return best;
}

static void run_timer(struct timer *t)
{
	t->armed = false;
	fake_timer_runs++;
	t->fn(t->data);
}

void fake_time_pass(uint64_t ns)
{
	uint64_t until = fake_now + ns;
	struct timer *t;

	while ((t = next_timer(until)) != NULL) {
		if (t->deadline > fake_now)
			fake_now = t->deadline;
		run_timer(t);
	}
	fake_now = until;
}

void fake_timers_run(void)
{
	struct timer *t;

	while ((t = next_timer(fake_now)) != NULL)
		run_timer(t);
}

/* ---- vCPUs ---- */

struct fake_vcpu_events fake_events[MAX_VCPUS];

void vcpu_kick(struct vcpu *v)
{
	__atomic_fetch_add(&fake_events[v->id].kicks, 1, __ATOMIC_RELAXED);
}

void vcpu_init_ipi(struct vcpu *v)
{
	fake_events[v->id].inits++;
}

void vcpu_startup_ipi(struct vcpu *v, uint8_t vector)
{
	fake_events[v->id].startups++;
	fake_events[v->id].startup_vector = vector;
}

void vcpu_nmi(struct vcpu *v)
{
	fake_events[v->id].nmis++;
}

/* ---- I/O APIC pins ---- */

struct fake_gsi fake_gsis[FAKE_GSIS];
struct ioapic_info ioapics[4];
unsigned ioapic_count;

/* The lock of the interrupt descriptor comes before those that are taken with interrupts off. */
static void check_context(unsigned gsi)
{
	check(!fake_irqs_off,
	      "a pin is operated with a lock held that comes after the descriptor's");
	check(gsi < FAKE_GSIS, "no such GSI");
}

static void gsi_fire(struct fake_gsi *g)
{
	check(!fake_irqs_off, "an interrupt with interrupts off");
	fake_irqs_off = true;
	g->fires++;
	if (g->level)
		g->masked = true;
	g->handler(g->data);
	check(fake_irqs_off, "the handler enabled interrupts");
	fake_irqs_off = false;
}

int gsi_bind(unsigned gsi, bool level, bool active_low, void (*handler)(void *data), void *data)
{
	struct fake_gsi *g;

	check_context(gsi);
	g = &fake_gsis[gsi];
	if (g->bound || g->reserved)
		return -EBUSY;
	g->bound = g->masked = true;
	g->level = level;
	g->low = active_low;
	g->handler = handler;
	g->data = data;
	g->binds++;
	return 0;
}

void gsi_unbind(unsigned gsi)
{
	check_context(gsi);
	check(fake_gsis[gsi].bound, "unbinding an unbound pin");
	fake_gsis[gsi].bound = false;
}

void gsi_unmask(unsigned gsi)
{
	struct fake_gsi *g = &fake_gsis[gsi];

	check_context(gsi);
	check(g->bound, "unmasking an unbound pin");
	g->masked = false;
	if (g->level && g->line)
		gsi_fire(g);
}

void gsi_mask(unsigned gsi)
{
	check_context(gsi);
	check(fake_gsis[gsi].bound, "masking an unbound pin");
	fake_gsis[gsi].masked = true;
}

unsigned gsi_count(void)
{
	return FAKE_GSIS;
}

void fake_gsi_pulse(unsigned gsi)
{
	if (fake_gsis[gsi].bound && !fake_gsis[gsi].masked && !fake_gsis[gsi].level)
		gsi_fire(&fake_gsis[gsi]);
}

void fake_gsi_line(unsigned gsi, bool high)
{
	struct fake_gsi *g = &fake_gsis[gsi];

	g->line = high;
	if (high && g->bound && !g->masked && g->level)
		gsi_fire(g);
}

/* ---- Ports and MSRs ---- */

uint8_t fake_ports[0x10000];
uint8_t fake_cmos[128];
struct fake_port_access fake_port_log[64];
unsigned fake_port_count;

static void log_port(uint16_t port, uint8_t size, bool write, uint32_t value)
{
	check(fake_port_count < ARRAY_SIZE(fake_port_log), "too many port accesses");
	fake_port_log[fake_port_count++] = (struct fake_port_access){port, size, write, value};
}

static uint32_t in(uint16_t port, uint8_t size)
{
	uint32_t value = 0;
	unsigned i;

	for (i = 0; i < size; i++) {
		uint16_t p = (uint16_t)(port + i);

		value |= (uint32_t)(p == 0x71 ? fake_cmos[fake_ports[0x70] & 127] : fake_ports[p])
			 << (8 * i);
	}
	log_port(port, size, false, value);
	return value;
}

static void out(uint16_t port, uint8_t size, uint32_t value)
{
	unsigned i;

	for (i = 0; i < size; i++) {
		uint16_t p = (uint16_t)(port + i);

		if (p == 0x71)
			fake_cmos[fake_ports[0x70] & 127] = (uint8_t)(value >> (8 * i));
		else
			fake_ports[p] = (uint8_t)(value >> (8 * i));
	}
	log_port(port, size, true, value);
}

uint8_t inb(uint16_t port)
{
	return (uint8_t)in(port, 1);
}
uint16_t inw(uint16_t port)
{
	return (uint16_t)in(port, 2);
}
uint32_t inl(uint16_t port)
{
	return in(port, 4);
}
void outb(uint16_t port, uint8_t v)
{
	out(port, 1, v);
}
void outw(uint16_t port, uint16_t v)
{
	out(port, 2, v);
}
void outl(uint16_t port, uint32_t v)
{
	out(port, 4, v);
}

unsigned fake_phys_bits = 46;
static struct {
	uint32_t msr;
	uint64_t value;
} msrs[64];
static unsigned msr_count;

void fake_msr_set(uint32_t msr, uint64_t value)
{
	check(msr_count < ARRAY_SIZE(msrs), "too many MSRs");
	msrs[msr_count].msr = msr;
	msrs[msr_count++].value = value;
}

int rdmsr_safe(uint32_t msr, uint64_t *ret_value)
{
	unsigned i;

	for (i = msr_count; i > 0; i--) {
		if (msrs[i - 1].msr == msr) {
			*ret_value = msrs[i - 1].value;
			return 0;
		}
	}
	return -EFAULT;
}

void cpuid_count(uint32_t leaf, uint32_t sub, uint32_t ret[4])
{
	(void)sub;
	memset(ret, 0, 4 * sizeof(ret[0]));
	if (leaf == 0x80000008)
		ret[0] = 0x3000 | fake_phys_bits;
}

/* ---- Log ---- */

char fake_log[256];
unsigned fake_log_lines;

void log_msg(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

void log_guest(const struct domain *d, enum log_level level, const char *fmt, ...)
{
	va_list ap;

	(void)d;
	(void)level;
	va_start(ap, fmt);
	vsnprintf(fake_log, sizeof(fake_log), fmt, ap);
	va_end(ap);
	fake_log_lines++;
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	abort();
}

/* ---- Setup ---- */

void fake_reset(void)
{
	fake_irqs_off = false;
	fake_heap_fail_after = -1;
	fake_now = 0;
	fake_timer_runs = 0;
	memset(timers, 0, sizeof(timers));
	memset(fake_events, 0, sizeof(fake_events));
	memset(fake_gsis, 0, sizeof(fake_gsis));
	memset(fake_ports, 0, sizeof(fake_ports));
	memset(fake_cmos, 0, sizeof(fake_cmos));
	fake_port_count = 0;
	msr_count = 0;
	fake_log[0] = '\0';
	fake_log_lines = 0;
	ioapic_count = 0;
	hardware_domain = NULL;
}

struct domain *fake_domain(bool hardware, unsigned vcpus)
{
	struct domain *d = calloc(1, sizeof(*d));
	unsigned i;

	check(d != NULL, "out of memory");
	d->hardware = hardware;
	d->max_vcpus = vcpus;
	d->vcpus = calloc(vcpus, sizeof(struct vcpu *));
	check(d->vcpus != NULL, "out of memory");
	for (i = 0; i < vcpus; i++) {
		d->vcpus[i] = calloc(1, sizeof(struct vcpu));
		check(d->vcpus[i] != NULL, "out of memory");
		d->vcpus[i]->id = i;
		d->vcpus[i]->domain = d;
	}
	check(hvm_io_init(d) == 0, "hvm_io_init failed");
	if (hardware)
		hardware_domain = d;
	return d;
}

void fake_domain_free(struct domain *d)
{
	unsigned i;

	if (!d)
		return;
	if (hardware_domain == d)
		hardware_domain = NULL;
	hvm_io_finish(d);
	for (i = 0; i < d->max_vcpus; i++)
		free(d->vcpus[i]);
	free(d->vcpus);
	free(d);
}
