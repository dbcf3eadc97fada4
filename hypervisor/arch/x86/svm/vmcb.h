/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual machine control block (APM vol. 2 appendix B) and exit codes (appendix C). */
#ifndef SVM_VMCB_H
#define SVM_VMCB_H

#include <stddef.h>
#include <stdint.h>

#include <bulkhead/compiler.h>

/* Word 3 of the intercepts (offset 0x0c). */
#define INTERCEPT_INTR		  BIT32(0)
#define INTERCEPT_NMI		  BIT32(1)
#define INTERCEPT_SMI		  BIT32(2)
#define INTERCEPT_INIT		  BIT32(3)
#define INTERCEPT_VINTR		  BIT32(4)
#define INTERCEPT_CR0_OTHER	  BIT32(5) /* writes that change more than TS and MP */
#define INTERCEPT_RDTSC		  BIT32(14)
#define INTERCEPT_RDPMC		  BIT32(15)
#define INTERCEPT_CPUID		  BIT32(18)
#define INTERCEPT_IRET		  BIT32(20)
#define INTERCEPT_INVD		  BIT32(22)
#define INTERCEPT_PAUSE		  BIT32(23)
#define INTERCEPT_HLT		  BIT32(24)
#define INTERCEPT_INVLPGA	  BIT32(26)
#define INTERCEPT_IOIO		  BIT32(27)
#define INTERCEPT_MSR		  BIT32(28)
#define INTERCEPT_TASK_SWITCH	  BIT32(29)
#define INTERCEPT_FERR_FREEZE	  BIT32(30)
#define INTERCEPT_SHUTDOWN	  BIT32(31)
/* Word 4 (offset 0x10). */
#define INTERCEPT_VMRUN		  BIT32(0)
#define INTERCEPT_VMMCALL	  BIT32(1)
#define INTERCEPT_VMLOAD	  BIT32(2)
#define INTERCEPT_VMSAVE	  BIT32(3)
#define INTERCEPT_STGI		  BIT32(4)
#define INTERCEPT_CLGI		  BIT32(5)
#define INTERCEPT_SKINIT	  BIT32(6)
#define INTERCEPT_RDTSCP	  BIT32(7)
#define INTERCEPT_ICEBP		  BIT32(8)
#define INTERCEPT_WBINVD	  BIT32(9)
#define INTERCEPT_MONITOR	  BIT32(10)
#define INTERCEPT_MWAIT		  BIT32(11)
#define INTERCEPT_MWAIT_ARMED	  BIT32(12)
#define INTERCEPT_XSETBV	  BIT32(13)
#define INTERCEPT_RDPRU		  BIT32(14)
/* Word 5 (offset 0x14). */
#define INTERCEPT_INVLPGB	  BIT32(0)
#define INTERCEPT_INVLPGB_ILLEGAL BIT32(1)
#define INTERCEPT_MCOMMIT	  BIT32(3)
#define INTERCEPT_TLBSYNC	  BIT32(4)

/* Of cr_read and cr_write. */
#define INTERCEPT_READ_CR4  BIT32(4)
#define INTERCEPT_WRITE_CR4 BIT32(4)
#define INTERCEPT_WRITE_CR8 BIT32(8)

/* int_ctl (offset 0x60). */
#define VINTR_TPR_MASK	   0xffUL
#define VINTR_IRQ	   BIT(8)
#define VINTR_PRIO_SHIFT   16
#define VINTR_IGN_TPR	   BIT(20)
#define VINTR_MASKING	   BIT(24)
#define VINTR_VECTOR_SHIFT 32
#define VINTR_EVENT_MASK \
 (VINTR_IRQ | 0xfUL << VINTR_PRIO_SHIFT | VINTR_IGN_TPR | 0xffUL << VINTR_VECTOR_SHIFT)

#define SHADOW_ACTIVE \
 BIT(0) /* of interrupt_shadow (offset 0x68); bit 1 is RFLAGS.IF of encrypted guests */

/* EVENTINJ and EXITINTINFO (15.20, 15.7.2). */
#define EVENT_TYPE_SHIFT  8
#define EVENT_INTR	  0U
#define EVENT_NMI	  2U
#define EVENT_EXCEPTION	  3U
#define EVENT_SOFT	  4U
#define EVENT_ERROR_VALID BIT(11)
#define EVENT_VALID	  BIT(31)

#define TLB_KEEP	0U
#define TLB_FLUSH_ALL	1U
#define TLB_FLUSH_GUEST 3U /* needs FlushByAsid */

struct vmcb_segment {
	uint16_t sel, attr;
	uint32_t limit;
	uint64_t base;
};

struct vmcb {
	/* Control area. */
	uint16_t cr_read, cr_write, dr_read, dr_write; /* 0x000 */
	uint32_t exceptions;			       /* 0x008 */
	uint32_t intercept3, intercept4, intercept5;   /* 0x00c */
	uint8_t reserved1[0x3c - 0x18];
	uint16_t pause_threshold, pause_count; /* 0x03c */
	uint64_t iopm_pa, msrpm_pa;	       /* 0x040 */
	uint64_t tsc_offset;		       /* 0x050 */
	uint32_t asid;			       /* 0x058 */
	uint32_t tlb_control;
	uint64_t vintr;		   /* 0x060 */
	uint64_t interrupt_shadow; /* 0x068 */
	uint64_t exit_code;	   /* 0x070 */
	uint64_t exit_info1, exit_info2;
	uint64_t exit_int_info; /* 0x088 */
	uint64_t np_enable;	/* 0x090 */
	uint8_t reserved2[0xa8 - 0x98];
	uint64_t event_inject; /* 0x0a8 */
	uint64_t n_cr3;	       /* 0x0b0 */
	uint64_t lbr_control;
	uint32_t clean_bits, reserved3; /* 0x0c0 */
	uint64_t nrip;			/* 0x0c8 */
	uint8_t insn_bytes_count;	/* 0x0d0 */
	uint8_t insn_bytes[15];
	uint8_t reserved4[0x400 - 0xe0];
	/* State save area. */
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr; /* 0x400 */
	uint8_t reserved5[0x4cb - 0x4a0];
	uint8_t cpl; /* 0x4cb */
	uint32_t reserved6;
	uint64_t efer; /* 0x4d0 */
	uint8_t reserved7[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6; /* 0x548 */
	uint64_t rflags, rip;		  /* 0x570 */
	uint8_t reserved8[0x5d8 - 0x580];
	uint64_t rsp; /* 0x5d8 */
	uint8_t reserved9[0x5f8 - 0x5e0];
	uint64_t rax;					       /* 0x5f8 */
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;   /* 0x600 */
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip, cr2; /* 0x628 */
	uint8_t reserved10[0x668 - 0x648];
	uint64_t g_pat, dbgctl, br_from, br_to, last_excp_from, last_excp_to; /* 0x668 */
	uint8_t reserved11[0x1000 - 0x698];
};
_Static_assert(sizeof(struct vmcb) == 0x1000, "a VMCB is a page");
_Static_assert(offsetof(struct vmcb, iopm_pa) == 0x40, "APM B-1");
_Static_assert(offsetof(struct vmcb, asid) == 0x58, "APM B-1");
_Static_assert(offsetof(struct vmcb, vintr) == 0x60, "APM B-1");
_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "APM B-1");
_Static_assert(offsetof(struct vmcb, exit_int_info) == 0x88, "APM B-1");
_Static_assert(offsetof(struct vmcb, event_inject) == 0xa8, "APM B-1");
_Static_assert(offsetof(struct vmcb, nrip) == 0xc8, "APM B-1");
_Static_assert(offsetof(struct vmcb, es) == 0x400, "APM B-2");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "APM B-2");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "APM B-2");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "APM B-2");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "APM B-2");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "APM B-2");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "APM B-2");
_Static_assert(offsetof(struct vmcb, cr2) == 0x640, "APM B-2");
_Static_assert(offsetof(struct vmcb, g_pat) == 0x668, "APM B-2");

/* Exit codes. */
#define EXIT_READ_CR4	 0x004
#define EXIT_WRITE_CR4	 0x014
#define EXIT_WRITE_CR8	 0x018
#define EXIT_EXCEPTION	 0x040 /* + vector */
#define EXIT_INTR	 0x060
#define EXIT_NMI	 0x061
#define EXIT_SMI	 0x062
#define EXIT_INIT	 0x063
#define EXIT_VINTR	 0x064
#define EXIT_CR0_OTHER	 0x065
#define EXIT_RDTSC	 0x06e
#define EXIT_RDPMC	 0x06f
#define EXIT_CPUID	 0x072
#define EXIT_IRET	 0x074
#define EXIT_INVD	 0x076
#define EXIT_HLT	 0x078
#define EXIT_INVLPGA	 0x07a
#define EXIT_IOIO	 0x07b
#define EXIT_MSR	 0x07c
#define EXIT_TASK_SWITCH 0x07d
#define EXIT_SHUTDOWN	 0x07f
#define EXIT_VMRUN	 0x080
#define EXIT_VMMCALL	 0x081
#define EXIT_VMLOAD	 0x082
#define EXIT_VMSAVE	 0x083
#define EXIT_STGI	 0x084
#define EXIT_CLGI	 0x085
#define EXIT_SKINIT	 0x086
#define EXIT_WBINVD	 0x089
#define EXIT_MONITOR	 0x08a
#define EXIT_MWAIT	 0x08b
#define EXIT_MWAIT_ARMED 0x08c
#define EXIT_XSETBV	 0x08d
#define EXIT_RDPRU	 0x08e
#define EXIT_INVLPGB	 0x0a0
#define EXIT_INVLPGB_BAD 0x0a1
#define EXIT_MCOMMIT	 0x0a3
#define EXIT_TLBSYNC	 0x0a4
#define EXIT_NPF	 0x400
#define EXIT_INVALID	 (~0ULL)
#define EXIT_INVALID_32	 0xffffffffULL /* the same as QEMU writes it */

/* IOIO exit information (15.10.2). */
#define IOIO_IN		BIT(0)
#define IOIO_STRING	BIT(2)
#define IOIO_REP	BIT(3)
#define IOIO_SIZE(info) ((unsigned)((info) >> 4 & 7))
#define IOIO_PORT(info) ((unsigned)((info) >> 16 & 0xffff))

/* Nested page fault information (15.25.6): page-fault code in 31:0. */
#define NPF_PRESENT    BIT(0)
#define NPF_WRITE      BIT(1)
#define NPF_FETCH      BIT(4)
#define NPF_TABLE_WALK BIT(33) /* the fault was in a walk of the guest's tables */

#endif
