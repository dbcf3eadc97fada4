/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual memory type range registers and the page attribute table. */
#ifndef ARCH_MTRR_H
#define ARCH_MTRR_H

#include <bulkhead/compiler.h>

struct vcpu;

/* Reads the machine's MTRRs, on the boot CPU, before the hardware domain gets vCPUs. */
void mtrr_boot_init(void);
/* Sets v->arch.mtrr_* and pat to what a CPU starts with: the machine's (hardware domain), or all memory write-back. */
void mtrr_vcpu_init(struct vcpu *v);

/* The bits that a physical address can have on this machine (MAXPHYADDR). */
uint64_t mtrr_phys_mask(void);

/* True for the MSRs below: MTRRcap 0xfe, variable 0x200–0x20f, fixed, default type 0x2ff, PAT 0x277. */
bool mtrr_owns_msr(uint32_t msr);
/*
 * 0, or -EINVAL: the caller injects #GP. They are the guest's alone: memory types in effect come from the second-stage tables and
 * the guest's PAT, v->arch.pat, which vendor code loads.
 */
int mtrr_msr_read(struct vcpu *v, uint32_t msr, uint64_t *ret_value);
int mtrr_msr_write(struct vcpu *v, uint32_t msr, uint64_t value);

#endif
