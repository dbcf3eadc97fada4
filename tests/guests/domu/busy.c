// SPDX-License-Identifier: GPL-2.0-or-later
// Uses all the CPU that it gets: it computes and counts, or (storm=) makes as much work for the hypervisor as it can.
#include "domu.h"
#include <xen/event_channel.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define NOWHERE 0x40000000ul /* no memory is there */
#define SPARE	0x1000000ul  /* memory behind the kernel that it can do without, of 2 MiB */
#define PAGES	512u
#define MOMENT	1000u /* ns */

static evtchn_port_t port, other;

static void set_timer(uint64_t at)
{
	struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = at};

	hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, ADDRESS(&shot));
}

/* Hypercalls, and interrupts of every kind. */
static void interrupts(void)
{
	struct evtchn_send send = {.port = other};

	for (unsigned int i = 0; i < 16; i++)
		event_op(EVTCHNOP_send, &send);
	/* Each one becomes an interrupt at once. */
	set_timer(time_now() + MOMENT);
	apic_self_ipi(0x40);
	hypercall2(__HYPERVISOR_xen_version, XENVER_version, 0);
	event_take_pending(port);
}

/* Instructions that the hypervisor does or refuses. */
static void exits(void)
{
	uint32_t regs[4];
	uint64_t value;

	for (unsigned int i = 0; i < 16; i++) {
		cpuid(i, 0, regs);
		inb((uint16_t)(0x60 + i));
		((volatile uint64_t *)NOWHERE)[i] = i;
		rdmsr_safe(0x1000 + i, &value);
		write_cr8(i & 1);
	}
	write_cr8(0);
}

static void change_map(unsigned int op, xen_pfn_t frame, unsigned int order)
{
	struct xen_memory_reservation r = {.nr_extents = 1,
					   .extent_order = order,
					   .domid = DOMID_SELF};

	set_xen_guest_handle(r.extent_start, &frame);
	hypercall2(__HYPERVISOR_memory_op, op, ADDRESS(&r));
}

/* Changes of its memory: pages go and come, and are mapped by the hypervisor for nothing. */
static void memory(void)
{
	xen_pfn_t first = (ADDRESS(guest_end) + SPARE) / PAGE_BYTES & ~(xen_pfn_t)(PAGES - 1);
	struct evtchn_init_control init = {.control_gfn = first + PAGES};
	struct evtchn_expand_array expand = {.array_gfn = first + PAGES + 1};
	struct evtchn_reset reset = {.dom = DOMID_SELF};

	for (unsigned int i = 0; i < 16; i++) {
		change_map(XENMEM_decrease_reservation, first + i, 0);
		change_map(XENMEM_populate_physmap, first + i, 0);
		event_op(EVTCHNOP_init_control, &init);
		event_op(EVTCHNOP_expand_array, &expand);
		event_op(EVTCHNOP_reset, &reset);
	}
	change_map(XENMEM_decrease_reservation, first, 9);
	change_map(XENMEM_populate_physmap, first, 9);
}

/* It sleeps for a moment each time, so that somebody else is interrupted when it wakes up. */
static void naps(void)
{
	domu_sleep(MOMENT);
}

static void (*const storms[])(void) = {interrupts, exits, memory, naps};

static void ignore(struct trap_frame *frame)
{
	(void)frame;
	apic_eoi();
}

GUEST_TEST(busy)
{
	uint64_t storm = domu_number("storm", 0);

	guest_on(0x40, ignore);
	port = event_to_self(&other);
	CHECK(port, "no port");
	domu_mailbox()->to_dom0[0] = 1;
	if (storm && storm <= sizeof(storms) / sizeof(storms[0])) {
		sti();
		for (;;)
			storms[storm - 1]();
	}
	for (;;)
		domu_mailbox()->to_dom0[1]++;
}
