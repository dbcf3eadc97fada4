/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Handling of VM exits that is the same for all vendors. The vCPU is the current one; interrupts are on. */
#ifndef ARCH_EXIT_H
#define ARCH_EXIT_H

#include <arch/insn.h>
#include <bulkhead/compiler.h>

struct domain;
struct pending_event;
struct vcpu;

/* Queues an exception for the next entry, combining it with one that is queued already (APM vol. 2 8.2.9). */
void vcpu_inject_exception(struct vcpu *v, uint8_t vector);
void vcpu_inject_exception_error(struct vcpu *v, uint8_t vector, uint32_t error);
void vcpu_inject_page_fault(struct vcpu *v, uint64_t addr, uint32_t error);
/* The trap behind an instruction that was emulated while RFLAGS.TF was set. */
void vcpu_inject_step_trap(struct vcpu *v);
/*
 * The rule behind these (pure): *queued becomes what is to be delivered now that *next was raised on top of it. True: the CPU
 * shuts down, as not even the double fault could be delivered.
 */
bool exception_combine(struct pending_event *queued, const struct pending_event *next);
/* Moves RIP over the instruction, ends the interrupt shadow, raises a single-step trap if the guest asked for one. */
void vcpu_advance(struct vcpu *v, unsigned length);
/*
 * Length of the intercepted instruction, or 0 if what is there now is not of that kind (an exception was queued then,
 * or the guest changed its code: it is simply resumed). `nrip`: the CPU's own answer, 0 if it gives none.
 */
unsigned vcpu_insn_length(struct vcpu *v, enum insn_kind kind, uint64_t nrip);
/* Decodes the instruction at RIP. 0; -EFAULT: an exception was queued; -EINVAL: there is nothing that can be decoded. */
int vcpu_decode(struct vcpu *v, struct insn *ret_insn);

void exit_cpuid(struct vcpu *v, unsigned length);
void exit_rdmsr(struct vcpu *v, unsigned length);
void exit_wrmsr(struct vcpu *v, unsigned length);
void exit_hlt(struct vcpu *v, unsigned length);
void exit_hypercall(struct vcpu *v, unsigned length);
void exit_xsetbv(struct vcpu *v, unsigned length);
/* Port access of a plain IN or OUT. */
void exit_port(struct vcpu *v, unsigned port, unsigned size, bool in, unsigned length);
/* INS and OUTS: what the exit said of them. The instruction itself may be another one by now. */
void exit_string_port(struct vcpu *v, unsigned port, unsigned size, bool in);
/* A guest-physical address without a usable translation was touched. */
struct nested_fault {
	uint64_t gpa;
	bool write, fetch;
	bool table_walk; /* in a walk of the guest's page tables */
	bool delivery; /* while the CPU delivered an event: the instruction at RIP has no part in it */
};
void exit_nested_fault(struct vcpu *v, const struct nested_fault *f);
/* The guest's CPU shut down (triple fault). */
void exit_triple_fault(struct vcpu *v);

/*
 * A write to a control register was intercepted, or refused by the CPU in a way of its own. False: this form of it is not
 * emulated, only the CPU can execute it (LMSW from memory).
 */
bool exit_write_cr(struct vcpu *v);
/* A read of CR4 was intercepted. */
void exit_read_cr4(struct vcpu *v);
/* Checks as the CPU has them (APM vol. 2 3.1.1, 3.1.3), with the features that the domain's policy shows. 0 or -EINVAL (#GP). */
int guest_write_cr0(struct vcpu *v, uint64_t value);
int guest_write_cr4(struct vcpu *v, uint64_t value);
/* May a vCPU of this domain have these together? EFER.LMA is to say whether LME and CR0.PG are both set. */
bool guest_crs_ok(const struct vcpu *v, uint64_t cr0, uint64_t cr4, uint64_t efer);

/* CPUID and MSR policy: cpuid.c, msr.c. MSR accesses give 0 or -EINVAL (#GP). */
void guest_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf, uint32_t ret[4]);
int guest_rdmsr(struct vcpu *v, uint32_t msr, uint64_t *ret_value);
int guest_wrmsr(struct vcpu *v, uint32_t msr, uint64_t value);
/* Fills a page with calls; value is its guest-physical address. 0 or -EINVAL. */
int hypercall_page_write(struct domain *d, uint64_t value);
uint64_t guest_xcr0_mask(struct vcpu *v); /* states that the policy lets it enable */
int cpuid_domain_init(struct domain *d);
void cpuid_domain_finish(struct domain *d);

#endif
