/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handling of VM exits that is the same for all vendors. The vCPU is the current one; interrupts are on. */
#ifndef ARCH_EXIT_H
#define ARCH_EXIT_H

#include <arch/insn.h>
#include <bulkhead/compiler.h>

struct domain;
struct vcpu;

/* Queues an exception for the next entry, combining it with one that is queued already (APM vol. 2 8.2.9). */
void vcpu_inject_exception(struct vcpu *v, uint8_t vector);
void vcpu_inject_exception_error(struct vcpu *v, uint8_t vector, uint32_t error);
void vcpu_inject_page_fault(struct vcpu *v, uint64_t addr, uint32_t error);
/* Moves RIP over the instruction, ends the interrupt shadow, raises a single-step trap if the guest asked for one. */
void vcpu_advance(struct vcpu *v, unsigned length);
/*
 * Length of the intercepted instruction, or 0 if what is there now is not of that kind (an exception was queued then,
 * or the guest changed its code: it is simply resumed). `nrip`: the CPU's own answer, 0 if it gives none.
 */
unsigned vcpu_insn_length(struct vcpu *v, enum insn_kind kind, uint64_t nrip);

void exit_cpuid(struct vcpu *v, unsigned length);
void exit_rdmsr(struct vcpu *v, unsigned length);
void exit_wrmsr(struct vcpu *v, unsigned length);
void exit_hlt(struct vcpu *v, unsigned length);
void exit_hypercall(struct vcpu *v, unsigned length);
void exit_xsetbv(struct vcpu *v, unsigned length);
/* Port access of a plain IN or OUT. */
void exit_port(struct vcpu *v, unsigned port, unsigned size, bool in, unsigned length);
/* INS, OUTS and whatever else needs the emulator. */
void exit_emulate(struct vcpu *v);
/* A guest-physical address without a usable translation was touched. */
void exit_nested_fault(struct vcpu *v, uint64_t gpa, bool write, bool fetch, bool table_walk);
/* The guest's CPU shut down (triple fault). */
void exit_triple_fault(struct vcpu *v);
/* MOV to CR8, or whatever else writes it: the task priority. */
void exit_emulate_cr8(struct vcpu *v, uint64_t nrip);

/* CPUID and MSR policy: cpuid.c, msr.c. MSR accesses give 0 or -EINVAL (#GP). */
void guest_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t ret[4]);
int guest_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *ret_value);
int guest_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value);
uint64_t guest_xcr0_mask(struct vcpu *v); /* states that the policy lets it enable */
int cpuid_domain_init(struct domain *d);
void cpuid_domain_finish(struct domain *d);

#endif
