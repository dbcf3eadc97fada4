// SPDX-License-Identifier: GPL-2.0-or-later
// AMD IOMMU: registers and structures in memory. Numbers in comments are sections of the AMD I/O Virtualization
// Technology (IOMMU) Specification, 48882 revision 3.08.
#ifndef AMDVI_REGS_H
#define AMDVI_REGS_H

#include <bulkhead/compiler.h>

/* 3.2: capability block in the configuration space of the unit's PCI function. */
#define CAP_HEADER     0x00
#define CAP_HEADER_NPC BIT32(26) /* not-present entries are cached */
#define CAP_HEADER_EFR BIT32(27) /* extended feature register is there */

/* 3.4: register offsets. */
#define AMDVI_DEVTAB	 0x0000
#define AMDVI_CMDBUF	 0x0008
#define AMDVI_EVTLOG	 0x0010
#define AMDVI_CONTROL	 0x0018
#define AMDVI_EXCL_BASE	 0x0020
#define AMDVI_EFR	 0x0030
#define AMDVI_XT_GEN_INT 0x0170
#define AMDVI_CMD_HEAD	 0x2000
#define AMDVI_CMD_TAIL	 0x2008
#define AMDVI_EVT_HEAD	 0x2010
#define AMDVI_EVT_TAIL	 0x2018
#define AMDVI_STATUS	 0x2020
#define AMDVI_REGS_SIZE	 0x4000

/* Base registers of the rings: 2^8 entries of 16 bytes are a page. */
#define RING_LENGTH (8UL << 56)

/* 3.4.3 */
#define CTL_ENABLE	  BIT(0)
#define CTL_HT_TUNNEL	  BIT(1)
#define CTL_EVENT_LOG	  BIT(2)
#define CTL_EVENT_INT	  BIT(3)
#define CTL_PASS_PW	  BIT(8)
#define CTL_RES_PASS_PW	  BIT(9)
#define CTL_COHERENT	  BIT(10)
#define CTL_ISOCHRONOUS	  BIT(11)
#define CTL_COMMANDS	  BIT(12)
#define CTL_GUEST_APIC	  BIT(17) /* 128-bit remapping entries */
#define CTL_X2APIC	  BIT(50)
#define CTL_X2APIC_EVENTS BIT(51)

/* 3.4.4 */
#define EFR_XT		BIT(2)
#define EFR_IA		BIT(6)
#define EFR_GA		BIT(7)
#define EFR_LEVELS(efr) (4 + (unsigned)((efr) >> 10 & 3))

/* 3.4.13 */
#define STATUS_OVERFLOW	 BIT(0)
#define STATUS_EVENT_INT BIT(1)
#define STATUS_EVENT_RUN BIT(3)
#define STATUS_CMD_RUN	 BIT(4)

/* 2.2.2.1: device table entry. */
struct amdvi_dte {
	uint64_t q[4];
};
_Static_assert(sizeof(struct amdvi_dte) == 32, "AMD IOMMU 2.2.2.1");
#define DTE_V		    BIT(0)
#define DTE_TV		    BIT(1)
#define DTE_MODE(levels)    ((uint64_t)(levels) << 9)
#define DTE_READ	    BIT(61)
#define DTE_WRITE	    BIT(62)
#define DTE1_DOMAIN(id)	    ((uint64_t)(id))
#define DTE1_SYS_MGT(v)	    ((uint64_t)(v) << 40)
#define DTE2_IV		    BIT(0)
#define DTE2_LENGTH(log2)   ((uint64_t)(log2) << 1)
#define DTE2_INIT_PASS	    BIT(56)
#define DTE2_EINT_PASS	    BIT(57)
#define DTE2_NMI_PASS	    BIT(58)
#define DTE2_INT_ABORT	    (0UL << 60)
#define DTE2_INT_REMAP	    (2UL << 60)
#define DTE2_LINT0_PASS	    BIT(62)
#define DTE2_LINT1_PASS	    BIT(63)
#define AMDVI_TABLE_ADDRESS 0x000ffffffffff000UL

/* 2.2.3: page table entries. */
#define PTE_PRESENT_BIT	     BIT(0)
#define PTE_NEXT_LEVEL_SHIFT 9
#define PTE_NEXT_LEVEL_MASK  (7UL << PTE_NEXT_LEVEL_SHIFT)
#define PTE_FORCE_COHERENT   BIT(60)

/* 2.2.5.2: interrupt remapping entries, 32 and 128 bits. */
#define IRTE_ENABLE	    BIT(0)
#define IRTE32_DEST(id)	    ((uint32_t)(id) << 8)
#define IRTE32_VECTOR(v)    ((uint32_t)(v) << 16)
#define IRTE128_DEST_LO(id) ((uint64_t)((id)&0xffffff) << 8)
#define IRTE128_DEST_HI(id) ((uint64_t)((id) >> 24) << 56)
struct amdvi_irte128 {
	uint64_t lo, hi;
};
_Static_assert(sizeof(struct amdvi_irte128) == 16, "AMD IOMMU 2.2.5.2");

/* 2.4: commands. */
struct amdvi_cmd {
	uint64_t lo, hi;
};
_Static_assert(sizeof(struct amdvi_cmd) == 16, "AMD IOMMU 2.4");
#define CMD_OP(op)	     ((uint64_t)(op) << 60)
#define CMD_COMPLETION_WAIT  CMD_OP(1)
#define CMD_COMPLETION_STORE BIT(0)
#define CMD_INVALIDATE_DTE   CMD_OP(2)
#define CMD_INVALIDATE_PAGES CMD_OP(3)
#define CMD_INVALIDATE_INT   CMD_OP(5)
#define CMD_INVALIDATE_ALL   CMD_OP(8)
#define CMD_PAGES_DOMAIN(id) ((uint64_t)(id) << 32)
#define CMD_PAGES_SIZE	     BIT(0) /* the address says how many */
#define CMD_PAGES_TABLES     BIT(1) /* entries that point to tables, too */
#define CMD_PAGES_ALL	     0x7ffffffffffff000UL

/* 2.5: events. */
struct amdvi_event {
	uint64_t lo, hi;
};
_Static_assert(sizeof(struct amdvi_event) == 16, "AMD IOMMU 2.5");
#define EVENT_CODE(lo)	 ((unsigned)((lo) >> 60))
#define EVENT_DEVICE(lo) ((unsigned)((lo)&0xffff))
#define EVENT_INTERRUPT	 BIT(51)
#define EVENT_WRITE	 BIT(53)

#define AMDVI_INT_FIRST 0xfee00000UL
#define AMDVI_INT_LAST	0xfeefffffUL

#endif
