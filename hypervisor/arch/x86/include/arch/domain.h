/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x86 parts of struct domain and struct vcpu. */
#ifndef ARCH_DOMAIN_H
#define ARCH_DOMAIN_H

#include <bulkhead/abi.h>
#include <bulkhead/addr.h>
#include <bulkhead/list.h>
#include <bulkhead/spinlock.h>

struct vlapic;
struct vioapic;
struct vpci;
struct legacy_ports;
struct vcpu_platform;
struct domain;
struct vcpu;
struct cpu_policy;
struct svm_vcpu;

/* Guest general-purpose registers, in the order of their numbers in instructions. */
union guest_gprs {
	uint64_t r[16];
	struct {
		uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
		uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	};
};

struct p2m {
	rwlock_t lock;
	uint64_t *root; /* heap page */
	uint64_t max_gfn;
	uint64_t pod_entries;		/* frames to come: see bulkhead/pod.h */
	uint64_t pool_pages, pool_used; /* pages allowed for, and used by, tables */
	unsigned open_batches;		/* on all CPUs */
	uint64_t release_gfn;		/* progress of p2m_release() */
	uint64_t generation;		/* of TLB flushes: see vendor tlb_flush */
};

/* Tables of emulated I/O: see arch/hvm_io.h. */
struct hvm_io_region;
struct hvm_io_table {
	struct hvm_io_region **regions; /* sorted by base, disjoint; heap */
	unsigned count, capacity;
};
struct hvm_io_tables {
	spinlock_t lock;
	struct hvm_io_table mmio, ports;
	uint8_t *port_allowed; /* 2 pages, heap: 1 = the domain may use the real port */
};

struct arch_domain {
	struct p2m p2m;
	struct hvm_io_tables io;
	struct vioapic *vioapic;
	struct vpci *vpci;
	struct legacy_ports *legacy; /* see arch/legacy.h */
	uint32_t apic_turn;	     /* vCPU that arbitration of lowest priority asks first */
	uint8_t *io_bitmap;	     /* 3 pages: 1 = intercept; contiguous, heap */
	uint8_t *msr_bitmap;	     /* 2 pages, heap */
	struct cpu_policy *policy;
	uint64_t serial; /* of no other domain, while ids are used again; 0 is none */
	uint64_t tsc_offset;
	uint32_t emulation_flags;
	uint32_t misc_flags;		    /* XEN_X86_MSR_RELAXED */
	uint32_t tsc_mode, tsc_incarnation; /* as settscinfo gave them */
	uint64_t callback_via;		    /* HVM_PARAM_CALLBACK_IRQ as written */
	uint8_t cmos_index;		    /* last written to port 0x70 */
	uint64_t hypercall_page;	    /* gfn or INVALID */
};

/* Interrupt and exception state that is written into the VMCB/VMCS on entry. */
struct pending_event {
	bool valid;
	uint8_t vector;
	uint8_t type; /* 0 INTR, 2 NMI, 3 exception, 4 software interrupt: the coding of SVM's EVENTINJ */
	bool has_error;
	uint32_t error;
	uint8_t insn_len; /* of software interrupts */
};

struct arch_vcpu {
	union guest_gprs gprs; /* rax and rsp are moved from and to the VMCB by vendor code */
	uint64_t rip, rflags;
	uint64_t cr2;
	struct svm_vcpu *svm;
	struct vlapic *vlapic;
	struct pending_event inject;
	bool nmi_pending, nmi_blocked;
	bool in_guest;	    /* between the checks before entry and the exit; read by other CPUs */
	uint64_t spec_ctrl; /* SPEC_CTRL while the guest runs */
	bool sipi_wait;	    /* INIT was received; the next start-up IPI counts */
	bool sipi_pending;  /* start at sipi_vector before the next entry */
	uint8_t sipi_vector;
	bool started;		    /* has a register state to run with */
	uint8_t upcall_vector;	    /* HVMOP_set_evtchn_upcall_vector; 0: none */
	bool upcall_pending_legacy; /* HVM_PARAM_CALLBACK_IRQ vector waits for injection */
	void *fpu;		    /* XSAVE area, 64-byte aligned */
	uint64_t xcr0;
	uint64_t tsc_aux;
	uint64_t pat;
	uint64_t mtrr_def, mtrr_fixed[11], mtrr_var[16];
	bool (*deferred)(
		struct vcpu *v); /* work to be finished before the guest goes on; true: done */
	void *deferred_data;
	struct vcpu_walk_cache {
		uint64_t va_page;
		uint64_t gfn; /* INVALID_FRAME: empty */
		bool writable;
	} walk;
};

#endif
