// SPDX-License-Identifier: GPL-2.0-or-later
// What a 32-bit test kernel needs before its first test: the shared page. It takes no interrupts and has no handlers.
#include "guest.h"
#include <xen/memory.h>

#define WORD_BITS (8 * sizeof(xen_ulong_t))

static uint8_t shared_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
struct shared_info *event_shared_info;

long event_op(unsigned int op, void *argument)
{
	return hypercall2(__HYPERVISOR_event_channel_op, op, ADDRESS(argument));
}

bool event_take_pending(evtchn_port_t port)
{
	xen_ulong_t bit = (xen_ulong_t)1 << (port % WORD_BITS);

	return __atomic_fetch_and(&event_shared_info->evtchn_pending[port / WORD_BITS], ~bit,
				  __ATOMIC_SEQ_CST) &
	       bit;
}

void guest_setup(void)
{
	struct xen_add_to_physmap map = {
		.domid = DOMID_SELF,
		.space = XENMAPSPACE_shared_info,
		.gpfn = ADDRESS(shared_page) / PAGE_BYTES,
	};
	long error = hypercall2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, ADDRESS(&map));

	event_shared_info = (struct shared_info *)shared_page;
	if (error)
		guest_fail("the shared page cannot be mapped: %ld", error);
}
