// SPDX-License-Identifier: GPL-2.0-or-later
// Costs of round trips through the hypervisor, in TSC ticks: with -icount shift=0 a tick is an instruction.
#include "guest.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define ROUNDS	   1000u
#define IPI_VECTOR 0x61u

static void report(const char *name, uint64_t begun)
{
	guest_print("BENCH %s %lu\n", name, (rdtsc() - begun) / ROUNDS);
}

/* Waits, interrupts open, for what the round has set off. */
static void until(const volatile unsigned int *flag)
{
	while (!*flag)
		__asm__ volatile("sti; nop; cli" : : : "memory");
}

static volatile unsigned int taken;

static void on_ipi(struct trap_frame *frame)
{
	(void)frame;
	taken++;
	apic_eoi();
}

GUEST_TEST(bench_hypercall)
{
	uint64_t begun;

	hypercall2(__HYPERVISOR_xen_version, XENVER_version, 0);
	begun = rdtsc();
	for (unsigned int i = 0; i < ROUNDS; i++)
		hypercall2(__HYPERVISOR_xen_version, XENVER_version, 0);
	report("hypercall", begun);
}

GUEST_TEST(bench_cpuid)
{
	uint32_t regs[4];
	uint64_t begun = rdtsc();

	for (unsigned int i = 0; i < ROUNDS; i++)
		cpuid(1, 0, regs);
	report("cpuid", begun);
}

GUEST_TEST(bench_event_to_self)
{
	evtchn_port_t other, port = event_to_self(&other);
	struct evtchn_send send = {.port = other};
	uint64_t begun;

	CHECK(port, "no port");
	begun = rdtsc();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		event_upcalls = 0;
		event_op(EVTCHNOP_send, &send);
		until(&event_upcalls);
		event_take_pending(port);
	}
	report("event_to_self", begun);
}

GUEST_TEST(bench_self_ipi)
{
	uint64_t begun;

	guest_on(IPI_VECTOR, on_ipi);
	begun = rdtsc();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		taken = 0;
		apic_self_ipi(IPI_VECTOR);
		until(&taken);
	}
	report("self_ipi", begun);
}

/* A deadline in the past: set, fired, delivered. */
GUEST_TEST(bench_timer)
{
	struct evtchn_bind_virq bind = {.virq = VIRQ_TIMER, .vcpu = 0};
	struct vcpu_set_singleshot_timer op = {.timeout_abs_ns = 1};
	uint64_t begun;

	CHECK(event_op(EVTCHNOP_bind_virq, &bind) == 0, "bind");
	event_take_pending(bind.port);
	event_unmask(bind.port);
	begun = rdtsc();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		event_upcalls = 0;
		hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, ADDRESS(&op));
		until(&event_upcalls);
		event_take_pending(bind.port);
	}
	report("timer", begun);
}

/* What the hypervisor keeps of the machine's memory: all, less what is free, less what dom0 has. */
GUEST_TEST(bench_memory)
{
	static struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo,
				       .interface_version = XEN_SYSCTL_INTERFACE_VERSION};
	static struct xen_domctl dom = {.cmd = XEN_DOMCTL_getdomaininfo,
					.interface_version = XEN_DOMCTL_INTERFACE_VERSION,
					.domain = 0};

	CHECK(hypercall2(__HYPERVISOR_sysctl, ADDRESS(&op), 0) == 0, "physinfo");
	CHECK(hypercall2(__HYPERVISOR_domctl, ADDRESS(&dom), 0) == 0, "getdomaininfo");
	guest_print("BENCH memory_kib %lu\n",
		    (op.u.physinfo.total_pages - op.u.physinfo.free_pages -
		     dom.u.getdomaininfo.tot_pages) *
			    4);
	guest_print("BENCH total_kib %lu\n", (unsigned long)op.u.physinfo.total_pages * 4);
}
