/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the hvm_op hypercall wants of the architecture. */
#ifndef BULKHEAD_HVM_H
#define BULKHEAD_HVM_H

#include <bulkhead/compiler.h>

struct domain;
struct vcpu;

/* Contract with the architecture. */
/* Vector (at least 16) that the vCPU's local APIC raises for events, in place of the domain's callback. Raises it at once if an
 * upcall is pending. 0 or -errno. */
int arch_vcpu_set_upcall_vector(struct vcpu *v, uint8_t vector);
/* HVM_PARAM_CALLBACK_IRQ was set: how events interrupt vCPUs that have no vector of their own. Raises it for pending upcalls. */
void arch_domain_set_callback(struct domain *d, uint64_t via);
/* Forgets the guest's own translations (its page tables' TLB entries) on all vCPUs of the domain, before they run again. */
void arch_domain_flush_guest_tlb(struct domain *d);

#endif
