// SPDX-License-Identifier: GPL-2.0-or-later
// Event channels in the 2-level layout, with an upcall vector for vCPU 0.
#include "guest.h"
#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>

/* Of the words of the 2-level layout: as wide as a register. */
#define WORD_BITS (8 * sizeof(xen_ulong_t))

static uint8_t shared_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
struct shared_info *event_shared_info;
volatile unsigned int event_upcalls;

static void upcall(struct trap_frame *frame)
{
	(void)frame;
	event_shared_info->vcpu_info[0].evtchn_upcall_pending = 0;
	/* The next event makes an upcall only when the selector of its word is clear. */
	__atomic_exchange_n(&event_shared_info->vcpu_info[0].evtchn_pending_sel, 0,
			    __ATOMIC_SEQ_CST);
	event_upcalls++;
	/* A vector set by HVMOP_set_evtchn_upcall_vector passes through the local APIC. */
	apic_eoi();
}

long event_op(unsigned int op, void *argument)
{
	return hypercall2(__HYPERVISOR_event_channel_op, op, ADDRESS(argument));
}

/* Maps the shared page in place of one of our own, and asks for upcalls. 0 or a negative error. */
int event_init(void)
{
	struct xen_add_to_physmap map = {
		.domid = DOMID_SELF,
		.space = XENMAPSPACE_shared_info,
		.gpfn = ADDRESS(shared_page) / PAGE_BYTES,
	};
	struct xen_hvm_evtchn_upcall_vector vector = {.vcpu = 0, .vector = EVENT_VECTOR};
	long error = hypercall2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, ADDRESS(&map));

	if (error)
		return (int)error;
	event_shared_info = (struct shared_info *)shared_page;
	for (unsigned int i = 0; i < sizeof(event_shared_info->evtchn_mask) / sizeof(xen_ulong_t);
	     i++)
		event_shared_info->evtchn_mask[i] = ~(xen_ulong_t)0;
	event_shared_info->vcpu_info[0].evtchn_upcall_mask = 0;
	guest_on(EVENT_VECTOR, upcall);
	return (int)hypercall2(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector,
			       ADDRESS(&vector));
}

/* Tells whether the port is pending, and clears it. */
bool event_take_pending(evtchn_port_t port)
{
	xen_ulong_t bit = (xen_ulong_t)1 << (port % WORD_BITS);

	return __atomic_fetch_and(&event_shared_info->evtchn_pending[port / WORD_BITS], ~bit,
				  __ATOMIC_SEQ_CST) &
	       bit;
}

void event_mask(evtchn_port_t port)
{
	__atomic_fetch_or(&event_shared_info->evtchn_mask[port / WORD_BITS],
			  (xen_ulong_t)1 << (port % WORD_BITS), __ATOMIC_SEQ_CST);
}

void event_unmask(evtchn_port_t port)
{
	struct evtchn_unmask op = {.port = port};

	event_op(EVTCHNOP_unmask, &op);
}

/* A pair of connected ports of this domain; the unmasked one is returned, the other one sends to it. 0: error. */
evtchn_port_t event_to_self(evtchn_port_t *ret_other)
{
	struct evtchn_alloc_unbound alloc = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
	struct evtchn_bind_interdomain bind = {.remote_dom = DOMID_SELF};

	if (event_op(EVTCHNOP_alloc_unbound, &alloc))
		return 0;
	bind.remote_port = alloc.port;
	if (event_op(EVTCHNOP_bind_interdomain, &bind))
		return 0;
	/* Binding makes the new port pending once, for a peer that sent before. */
	event_take_pending(bind.local_port);
	event_take_pending(alloc.port);
	event_unmask(alloc.port);
	*ret_other = bind.local_port;
	return alloc.port;
}
