/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private declarations of the SVM code. */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include <arch/domain.h>
#include <arch/vendor.h>

#include "vmcb.h"

struct svm_vcpu {
	struct vmcb *vmcb; /* heap page */
	uint64_t vmcb_pa;
	uint64_t asid_generation; /* of the ASID in the VMCB, on this CPU */
	uint64_t tlb_generation;  /* of d->arch.p2m.generation when last entered */
	unsigned last_cpu;
	bool flush;	    /* the guest's own translations are to be dropped at the next entry */
	bool event_offered; /* V_IRQ was set at the last entry … */
	bool event_legacy;  /* … for the callback vector that bypasses the APIC */
	uint8_t event_vector;
	/* The end of an NMI handler: see inject.c. */
	bool nmi_iret; /* its IRET, at nmi_iret_rip, was seen */
	bool stepping; /* RFLAGS.TF is ours during this entry */
	bool stepped;  /* … and the exit is the trap that it raised */
	bool step_guest_tf;
	uint64_t nmi_iret_rip, step_dr6;
	uint64_t dr[4]; /* DR0–DR3 while not loaded */
	uint64_t cr4;	/* as the guest sees it */
};

extern bool svm_exit_barrier;
void svm_enter(union guest_gprs *gprs, uint64_t vmcb_pa, uint64_t host_vmcb_pa);
void svm_handle_exit(struct vcpu *v);	 /* exit.c */
void svm_inject_prepare(struct vcpu *v); /* inject.c: before entry */
void svm_inject_exited(struct vcpu *v);	 /* inject.c: first thing after exit */
void svm_nmi_iret(struct vcpu *v);
/* A debug exception: true if it was only our own single step. */
bool svm_nmi_step_done(struct vcpu *v);
void svm_nmi_reset(struct vcpu *v); /* INIT */
/* What VMRUN refuses in this control block, or NULL (state.c). */
const char *svm_state_problem(const struct vmcb *b);

#endif
