// SPDX-License-Identifier: GPL-2.0-or-later
// Uses all the CPU that it gets: it computes, or (word "storm") makes as much work for the hypervisor as it can.
#include "domu.h"
#include <xen/event_channel.h>
#include <xen/vcpu.h>
#include <xen/version.h>

static void storm(void)
{
	evtchn_port_t other, port = event_to_self(&other);
	struct evtchn_send send = {.port = other};
	struct vcpu_set_singleshot_timer shot = {0};

	sti();
	for (;;) {
		for (unsigned int i = 0; i < 16; i++)
			event_op(EVTCHNOP_send, &send);
		/* Each one becomes an interrupt at once. */
		shot.timeout_abs_ns = time_now() + 1000;
		hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, ADDRESS(&shot));
		apic_self_ipi(0x40);
		hypercall2(__HYPERVISOR_xen_version, XENVER_version, 0);
		event_take_pending(port);
	}
}

static void ignore(struct trap_frame *frame)
{
	(void)frame;
	apic_eoi();
}

GUEST_TEST(busy)
{
	guest_on(0x40, ignore);
	domu_mailbox()->to_dom0[0] = 1;
	if (domu_has_word("storm"))
		storm();
	for (;;)
		domu_mailbox()->to_dom0[1]++;
}
