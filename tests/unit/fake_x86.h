/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small machine for host-side tests of hypervisor/arch/x86/hvm: fake CPU, x86 domains, time, timers, pins, ports. */
#ifndef FAKE_X86_H
#define FAKE_X86_H

/*
 * Included ahead of everything else in each file of such a test (-include): the CPU is the fake one, domains and vCPUs have their
 * x86 parts. The guards of these two headers keep their namesakes out.
 */
#include "../../hypervisor/arch/fake/include/arch/cpu.h"
#include "../../hypervisor/arch/x86/include/arch/domain.h"

#include <bulkhead/domain.h>

/* What <arch/cpu.h> of x86 has and the fake one has not. */
uint8_t inb(uint16_t port);
uint16_t inw(uint16_t port);
uint32_t inl(uint16_t port);
void outb(uint16_t port, uint8_t v);
void outw(uint16_t port, uint16_t v);
void outl(uint16_t port, uint32_t v);
void cpuid_count(uint32_t leaf, uint32_t sub, uint32_t ret[4]);
int rdmsr_safe(uint32_t msr, uint64_t *ret_value);
int wrmsr_safe(uint32_t msr, uint64_t v); /* a test that links a user of it has its own */

/* Fresh machine: time 0, nothing armed, bound or logged. */
void fake_reset(void);
/* A domain with I/O tables and vCPUs, without any devices; freed by fake_domain_free(). */
struct domain *fake_domain(bool hardware, unsigned vcpus);
void fake_domain_free(struct domain *d);

/* What other CPUs do at each turn of a busy wait. */
extern void (*fake_relax)(void);

/* Heap. */
extern unsigned fake_heap_live;	 /* allocations not freed */
extern int fake_heap_fail_after; /* so many succeed, then all fail; -1: none fails */

/* Time: fake_time_pass() runs the timers that become due, in their order, at their time. */
extern uint64_t fake_now;
extern unsigned fake_timer_runs;
extern unsigned fake_timer_cpu; /* of the timer that was armed last */
void fake_time_pass(uint64_t ns);
/* Runs due timers only: after fake_now was set by hand, timers are late. */
void fake_timers_run(void);
unsigned fake_timers_armed(void);

/* What happened to vCPU n. */
struct fake_vcpu_events {
	unsigned kicks, inits, startups, nmis;
	uint8_t startup_vector;
};
extern struct fake_vcpu_events fake_events[MAX_VCPUS];

/* The machine's I/O APIC pins. */
#define FAKE_GSIS 64
struct fake_gsi {
	bool bound, level, low, masked, line, reserved;
	unsigned binds, fires;
	void (*handler)(void *data);
	void *data;
};
extern struct fake_gsi fake_gsis[FAKE_GSIS];
/* Edge: a pulse. Level: the line goes up or down. */
void fake_gsi_pulse(unsigned gsi);
void fake_gsi_line(unsigned gsi, bool high);

/* Ports: bytes that outs left and ins find; a log of the accesses. */
struct fake_port_access {
	uint16_t port;
	uint8_t size;
	bool write;
	uint32_t value;
};
extern uint8_t fake_ports[0x10000];
extern uint8_t fake_cmos[128]; /* behind 0x70 and 0x71 */
extern struct fake_port_access fake_port_log[64];
extern unsigned fake_port_count;

/* MSRs of the machine: set ones can be read. */
void fake_msr_set(uint32_t msr, uint64_t value);
extern unsigned fake_phys_bits;

extern char fake_log[256]; /* last line of log_guest() */
extern unsigned fake_log_lines;

#endif
