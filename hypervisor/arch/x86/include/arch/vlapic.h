/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual local APIC: xAPIC page and x2APIC MSRs, timer, IPIs, interrupt acceptance. */
#ifndef ARCH_VLAPIC_H
#define ARCH_VLAPIC_H

#include <bulkhead/compiler.h>

struct domain;
struct vcpu;

/* v->arch.vlapic; APIC id is 2 * vcpu id, as the ABI has it. 0 or -ENOMEM. */
int vlapic_init(struct vcpu *v);
/* After what sends it messages is gone: devices, I/O APICs; no vCPU of the domain runs. */
void vlapic_finish(struct vcpu *v);
/*
 * Power-on state (enabled in APIC_BASE, software-disabled, BSP bit for vCPU 0), and the state after an INIT: the same but for
 * APIC_BASE, which stays (SDM 11.4.7.3). The vCPU does not run, or is the current one.
 */
void vlapic_reset(struct vcpu *v);
void vlapic_init_reset(struct vcpu *v);

/* APIC_BASE (0x1b), x2APIC registers 0x800–0x83f. 0, or -EINVAL: the caller injects #GP. */
int vlapic_msr_read(struct vcpu *v, uint32_t msr, uint64_t *ret_value);
int vlapic_msr_write(struct vcpu *v, uint32_t msr, uint64_t value);
/* xAPIC page at the address of APIC_BASE: called by the nested page fault path. True if gpa is in v's (enabled, xAPIC mode)
 * APIC page: then the access goes to vlapic_mmio_read/write. */
bool vlapic_covers(struct vcpu *v, uint64_t gpa);
int vlapic_mmio_read(struct vcpu *v, uint32_t offset, unsigned size, uint64_t *ret_value);
int vlapic_mmio_write(struct vcpu *v, uint32_t offset, unsigned size, uint64_t value);

/*
 * Sets IRR (edge, or level with TMR) and kicks v, also while the APIC is disabled: then the interrupt waits until it is
 * enabled. For the hypervisor's own interrupts (event channel upcall). Any context.
 */
void vlapic_set_irq(struct vcpu *v, uint8_t vector, bool level);
/* A message as an MSI or an I/O APIC sends it (SDM 11.11). Any context. lowest priority: arbitrated. Unknown destinations and
 * reserved modes do nothing. Returns how many vCPUs accepted it. */
struct vapic_message {
	uint32_t dest; /* 8 bits of xAPIC, or 15 bits with the extended destination id */
	bool logical;  /* destination mode */
	uint8_t mode;  /* delivery mode: 0 fixed, 1 lowest, 2 SMI, 4 NMI, 5 INIT, 7 ExtINT */
	uint8_t vector;
	bool level;
};
unsigned vapic_deliver(struct domain *d, const struct vapic_message *m);

/* Highest vector that may be delivered now with respect to the processor priority, or -1. Only on the vCPU's CPU. */
int vlapic_deliverable(struct vcpu *v);
/* Highest vector pending in IRR whatever the priority, or -1; also -1 while the APIC is disabled. */
int vlapic_highest_irr(struct vcpu *v);
/* The guest is about to run with this vector, which vlapic_deliverable() gave. One of the next two follows at the exit. */
void vlapic_offer(struct vcpu *v, uint8_t vector);
/* The guest did not take it. */
void vlapic_withdraw(struct vcpu *v);
/* The guest took it: IRR to ISR, and back into IRR what was raised since. */
void vlapic_accept(struct vcpu *v, uint8_t vector);
uint8_t vlapic_get_tpr(struct vcpu *v);
void vlapic_set_tpr(struct vcpu *v, uint8_t tpr);
uint32_t vlapic_id(struct vcpu *v);
bool vlapic_x2apic(struct vcpu *v);
/* True if vcpu v matches a destination (physical or logical, in its APIC's mode). */
bool vlapic_match(struct vcpu *v, uint32_t dest, bool logical);

/* Contract with vCPU control (arch/x86/vcpu.c): INIT and start-up IPIs, NMI. Any context. */
void vcpu_init_ipi(struct vcpu *v);
void vcpu_startup_ipi(struct vcpu *v, uint8_t vector);
void vcpu_nmi(struct vcpu *v);
/* EOI of a level-triggered vector: broadcast to the I/O APICs of the domain. */
void vioapic_eoi(struct domain *d, uint8_t vector);

#endif
