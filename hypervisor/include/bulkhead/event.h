/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event channels: 2-level and FIFO delivery, virtual interrupts. */
#ifndef BULKHEAD_EVENT_H
#define BULKHEAD_EVENT_H

#include <bulkhead/compiler.h>

struct domain;
struct vcpu;

/* Sets up d->events; ports up to max_port (a limit given at domain creation) can be used. 0 or -ENOMEM. */
int event_domain_init(struct domain *d, uint32_t max_port);
/* Closes every channel (peers see theirs unbound), then frees. Two steps, for destruction with continuations:
 * close returns -ERESTART while there is more to do. */
int event_domain_close(struct domain *d);
void event_domain_finish(struct domain *d); /* accepts a domain without events */
int event_vcpu_init(struct vcpu *v);
void event_vcpu_finish(struct vcpu *v);

/* Raises a per-vCPU VIRQ (VIRQ_TIMER, VIRQ_DEBUG, …) or a global one; nothing happens if it is not bound. Any context. */
void event_send_vcpu_virq(struct vcpu *v, unsigned virq);
void event_send_virq(struct domain *d, unsigned virq);
/*
 * The same to the hardware domain (VIRQ_DOM_EXC, VIRQ_CON_RING, …), or to the domain that took it over; harmless before
 * there is one. Any context and any locks: it is sent soon, by the main loop of this CPU.
 */
void event_send_hwdom_virq(unsigned virq);
/* As EVTCHNOP_send of d. 0 or -EINVAL. */
int event_send(struct domain *d, uint32_t port);
/* d takes this global VIRQ in place of the hardware domain (XEN_DOMCTL_set_virq_handler). 0 or -EINVAL. */
int event_set_virq_handler(struct domain *d, unsigned virq);
/* A vCPU got a (new) vcpu_info: replay what is pending. */
void event_vcpu_info_moved(struct vcpu *v);
/*
 * Layout of shared_info and vcpu_info: that of a 32-bit guest or not. Set by what the guest runs when it sets
 * HVM_PARAM_CALLBACK_IRQ or its hypercall page; the wall clock is written anew. Ports above 1023 are lost in the small layout.
 */
void event_set_compat(struct domain *d, bool compat);
/* For SCHEDOP_poll: is the port valid, and pending? 1, 0 or -EINVAL. */
int event_port_pending(struct domain *d, uint32_t port);
/* True if the vCPU has an unmasked upcall pending (evtchn_upcall_pending && !masked as it concerns HVM callbacks). */
bool event_vcpu_pending(const struct vcpu *v);

/* Channels whose local end is the hypervisor (ioreq servers). */
int event_xen_port_alloc(struct domain *d, unsigned vcpu, uint16_t remote_domid,
			 uint32_t *ret_port);
void event_xen_port_free(struct domain *d, uint32_t port);
void event_xen_port_notify(struct domain *d, uint32_t port);

/* Contract with the architecture: v->info->evtchn_upcall_pending went from 0 to 1. Interrupt v so that it takes its upcall
 * (wakes it if blocked). Any context. */
void arch_event_upcall(struct vcpu *v);

#endif
