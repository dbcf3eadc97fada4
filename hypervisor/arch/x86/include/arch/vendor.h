/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a CPU vendor's virtualisation (SVM, VMX) has to offer: the operations that neutral code calls. */
#ifndef ARCH_VENDOR_H
#define ARCH_VENDOR_H

#include <arch/domain.h>
#include <bulkhead/compiler.h>

struct vcpu;
struct domain;

enum guest_seg {
	SEG_ES,
	SEG_CS,
	SEG_SS,
	SEG_DS,
	SEG_FS,
	SEG_GS,
	SEG_LDTR,
	SEG_TR,
	SEG_GDTR,
	SEG_IDTR,
	SEG_COUNT
};

struct segment {
	uint64_t base;
	uint32_t limit;
	uint16_t sel;
	uint16_t attr; /* SVM coding: descriptor bits 55:52 in 11:8, 47:40 in 7:0 */
};

struct vendor_ops {
	const char *name;
	/* 0: the CPU can be used; -ENODEV: it is of another kind; else why it cannot be. */
	int (*probe)(const char **ret_why);
	int (*cpu_up)(void);	/* enable on this CPU */
	void (*cpu_down)(void); /* disable, before reboot */
	int (*vcpu_init)(struct vcpu *v);
	void (*vcpu_finish)(struct vcpu *v);
	int (*domain_init)(struct domain *d);
	void (*domain_finish)(struct domain *d);
	/* Runs the guest until the next exit and handles what is vendor specific. Interrupts off at call, on at return. */
	void (*run)(struct vcpu *v);
	void (*load)(struct vcpu *v);	     /* becomes current on this CPU */
	void (*save)(struct vcpu *v);	     /* leaves this CPU */
	void (*tlb_flush)(struct domain *d); /* second-stage translations of d changed */
	uint64_t (*get_cr)(struct vcpu *v, unsigned cr);
	void (*set_cr)(struct vcpu *v, unsigned cr, uint64_t value);
	uint64_t (*get_efer)(struct vcpu *v);
	void (*set_efer)(struct vcpu *v, uint64_t value);
	void (*get_segment)(struct vcpu *v, enum guest_seg seg, struct segment *ret_seg);
	void (*set_segment)(struct vcpu *v, enum guest_seg seg, const struct segment *s);
	unsigned (*get_cpl)(struct vcpu *v);
	void (*set_dr6_bits)(struct vcpu *v,
			     uint64_t bits); /* before a #DB that is not the CPU's own */
	void (*init)(
		struct vcpu *v); /* INIT: what neutral code does not reset; the vCPU is loaded */
	/* DR0–DR7 (4 and 5 do not exist) of a vCPU that does not run. */
	void (*get_debug)(struct vcpu *v, uint64_t ret_dr[8]);
	void (*set_debug)(struct vcpu *v, const uint64_t dr[8]);
	void (*clear_shadow)(struct vcpu *v);
	int (*msr_read)(struct vcpu *v, uint32_t msr,
			uint64_t *ret_value); /* MSRs kept in vendor state; -ENOENT: not mine */
	int (*msr_write)(struct vcpu *v, uint32_t msr, uint64_t value);
	void (*dump)(struct vcpu *v); /* prints the state, for crashes */
};

extern const struct vendor_ops *vendor; /* chosen at boot */
extern const struct vendor_ops svm_ops;
extern const struct vendor_ops vmx_ops;

#endif
