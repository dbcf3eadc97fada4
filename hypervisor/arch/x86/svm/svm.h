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
	bool stepping;	    /* RFLAGS.TF is ours: over an IRET, with another NMI waiting */
	bool event_offered; /* V_IRQ was set at the last entry … */
	bool event_legacy;  /* … for the callback vector that bypasses the APIC */
	uint8_t event_vector;
	uint64_t dr[4]; /* DR0–DR3 while not loaded */
};

void svm_enter(union guest_gprs *gprs, uint64_t vmcb_pa, uint64_t host_vmcb_pa);
void svm_handle_exit(struct vcpu *v);	 /* exit.c */
void svm_inject_prepare(struct vcpu *v); /* inject.c: before entry */
void svm_inject_exited(struct vcpu *v);	 /* inject.c: first thing after exit */
void svm_nmi_iret(struct vcpu *v);
/* A debug exception: true if it was our own single step. */
bool svm_nmi_step_done(struct vcpu *v);

#endif
