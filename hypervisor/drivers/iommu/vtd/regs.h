// SPDX-License-Identifier: GPL-2.0-or-later
// Intel VT-d: registers and structures in memory. Numbers in comments are sections of the VT-d specification 3.3.
#ifndef VTD_REGS_H
#define VTD_REGS_H

#include <bulkhead/compiler.h>

/* 11.4: register offsets. */
#define VTD_VER	    0x00
#define VTD_CAP	    0x08
#define VTD_ECAP    0x10
#define VTD_GCMD    0x18
#define VTD_GSTS    0x1c
#define VTD_RTADDR  0x20
#define VTD_FSTS    0x34
#define VTD_FECTL   0x38
#define VTD_FEDATA  0x3c
#define VTD_FEADDR  0x40
#define VTD_FEUADDR 0x44
#define VTD_PMEN    0x64
#define VTD_IQH	    0x80
#define VTD_IQT	    0x88
#define VTD_IQA	    0x90
#define VTD_IRTA    0xb8

#define VTD_REGS_MIN 0x1000 /* 8.3: a unit's registers take at least a page */

/* 11.4.2 */
#define CAP_DOMAINS_LOG2(cap)	(4 + 2 * (unsigned)((cap)&7))
#define CAP_RWBF		BIT(4)
#define CAP_PLMR		BIT(5)
#define CAP_PHMR		BIT(6)
#define CAP_CM			BIT(7)
#define CAP_SAGAW(cap)		((unsigned)((cap) >> 8 & 0x1f))
#define CAP_MGAW(cap)		((unsigned)((cap) >> 16 & 0x3f) + 1)
#define CAP_FAULT_OFFSET(cap)	((unsigned)((cap) >> 24 & 0x3ff) * 16)
#define CAP_SLLPS_2M		BIT(34)
#define CAP_SLLPS_1G		BIT(35)
#define CAP_PSI			BIT(39)
#define CAP_FAULT_COUNT(cap)	((unsigned)((cap) >> 40 & 0xff) + 1)
#define CAP_MAX_MASK_ORDER(cap) ((unsigned)((cap) >> 48 & 0x3f))
#define CAP_DRAIN_WRITES	BIT(54)
#define CAP_DRAIN_READS		BIT(55)

/* 11.4.3 */
#define ECAP_COHERENT BIT(0)
#define ECAP_QI	      BIT(1)
#define ECAP_IR	      BIT(3)
#define ECAP_EIM      BIT(4)

/* 11.4.4: commands and, at the same places, status. */
#define GCMD_TE		BIT32(31)
#define GCMD_SRTP	BIT32(30)
#define GCMD_WBF	BIT32(27)
#define GCMD_QIE	BIT32(26)
#define GCMD_IRE	BIT32(25)
#define GCMD_SIRTP	BIT32(24)
#define GCMD_CFI	BIT32(23)
/* Bits that stay on until switched off: what a command that changes one bit has to repeat. */
#define GSTS_PERSISTENT (GCMD_TE | GCMD_QIE | GCMD_IRE | GCMD_CFI)

/* 11.4.8 */
#define FSTS_OVERFLOW	 BIT32(0)
#define FSTS_PENDING	 BIT32(1)
#define FSTS_IQE	 BIT32(4)
#define FSTS_ICE	 BIT32(5)
#define FSTS_ITE	 BIT32(6)
#define FSTS_QUEUE	 (FSTS_IQE | FSTS_ICE | FSTS_ITE)
#define FSTS_RECORD(sts) ((sts) >> 8 & 0xff)
#define FECTL_MASK	 BIT32(31)

/* 11.4.14: fault recording registers of 16 bytes each. */
#define FRCD_ADDRESS(lo) ((lo) & ~0xfffUL)
#define FRCD_INDEX(lo)	 ((unsigned)((lo) >> 48))
#define FRCD_SOURCE(hi)	 ((unsigned)((hi)&0xffff))
#define FRCD_T2(hi)	 ((unsigned)((hi) >> 28 & 1))
#define FRCD_REASON(hi)	 ((unsigned)((hi) >> 32 & 0xff))
#define FRCD_T1(hi)	 ((unsigned)((hi) >> 62 & 1))
#define FRCD_FAULT	 BIT(63) /* of the upper half; write 1 to clear */

/* 11.4.13 */
#define PMEN_ENABLE BIT32(31)
#define PMEN_STATUS BIT32(0)

/* 11.4.16 */
#define IRTA_EIME	BIT(11)
#define IRTA_SIZE(log2) ((uint64_t)(log2)-1)

/* 9.1, 9.3: root and context entries. */
struct vtd_root_entry {
	uint64_t lo, hi;
};
struct vtd_context_entry {
	uint64_t lo, hi;
};
_Static_assert(sizeof(struct vtd_root_entry) == 16, "VT-d 9.1");
_Static_assert(sizeof(struct vtd_context_entry) == 16, "VT-d 9.3");
#define ROOT_PRESENT	       BIT(0)
#define CONTEXT_PRESENT	       BIT(0)
#define CONTEXT_DOMAIN(id)     ((uint64_t)(id) << 8)
#define CONTEXT_GET_DOMAIN(hi) ((unsigned)((hi) >> 8 & 0xffff))
/* Address width: 1 means 39 bits (3 levels), and so on. */
#define CONTEXT_WIDTH(levels)  ((uint64_t)(levels)-2)
#define VTD_TABLE_ADDRESS      0x000ffffffffff000UL

/* 6.5.2: descriptors of the invalidation queue. */
struct vtd_desc {
	uint64_t lo, hi;
};
_Static_assert(sizeof(struct vtd_desc) == 16, "VT-d 6.5.2");
#define DESC_CONTEXT	      1U
#define DESC_CONTEXT_GLOBAL   (DESC_CONTEXT | 1U << 4)
#define DESC_CONTEXT_DEVICE   (DESC_CONTEXT | 3U << 4)
#define DESC_IOTLB	      2U
#define DESC_IOTLB_GLOBAL     (DESC_IOTLB | 1U << 4)
#define DESC_IOTLB_DOMAIN     (DESC_IOTLB | 2U << 4)
#define DESC_IOTLB_PAGES      (DESC_IOTLB | 3U << 4)
#define DESC_IOTLB_DRAIN_W    (1U << 6)
#define DESC_IOTLB_DRAIN_R    (1U << 7)
#define DESC_IEC	      4U
#define DESC_IEC_INDEX	      (DESC_IEC | 1U << 4)
#define DESC_WAIT	      5U
#define DESC_WAIT_STATUS      (1U << 5)
#define DESC_DOMAIN(id)	      ((uint64_t)(id) << 16)
#define DESC_SOURCE(bdf)      ((uint64_t)(bdf) << 32)
#define DESC_IEC_ENTRY(index) ((uint64_t)(index) << 32)

/* 9.10: interrupt remapping table entry. */
struct vtd_irte {
	uint64_t lo, hi;
};
_Static_assert(sizeof(struct vtd_irte) == 16, "VT-d 9.10");
#define IRTE_PRESENT		BIT(0)
#define IRTE_LEVEL		BIT(4)
#define IRTE_VECTOR(v)		((uint64_t)(v) << 16)
#define IRTE_DEST(id)		((uint64_t)(id) << 32)
#define IRTE_DEST_XAPIC(id)	((uint64_t)(id) << 40)
#define IRTE_VERIFY_SOURCE(bdf) (1UL << 18 | (uint64_t)(bdf))
#define IRTE_VERIFY_BUSES(a, b) (2UL << 18 | (uint64_t)(a) << 8 | (uint64_t)(b))

/* 5.1.2.2, 5.1.5.1: what devices and I/O APICs are given. */
#define MSI_REMAP_BASE	    0xfee00010UL /* interrupt format 1 */
#define MSI_REMAP_SUBHANDLE BIT(3)	 /* the data are added to the handle */
#define MSI_REMAP_HANDLE(i) (((uint64_t)(i)&0x7fff) << 5 | ((uint64_t)(i) >> 15 & 1) << 2)
#define RTE_REMAP_FORMAT    BIT(48)
#define RTE_REMAP_HANDLE(i) (((uint64_t)(i)&0x7fff) << 49 | ((uint64_t)(i) >> 15 & 1) << 11)
#define MSI_PLAIN_BASE	    0xfee00000UL
#define MSI_PLAIN_DEST(id)  (((uint32_t)(id)&0xff) << 12)

#endif
