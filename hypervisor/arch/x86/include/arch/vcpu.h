/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Start states of vCPUs. */
#ifndef ARCH_VCPU_H
#define ARCH_VCPU_H

#include <bulkhead/compiler.h>

struct vcpu;

/* 32-bit flat protected mode at entry, EBX = start_info (Xen's PVH boot ABI). The vCPU does not run yet. */
/* FPU and vector state as after reset; or a copy of what FXSAVE writes, with the rest as after reset. It is not loaded on a CPU. */
void vcpu_fpu_reset(struct vcpu *v);
void vcpu_fpu_load(struct vcpu *v, const void *fxsave);

void vcpu_start_pvh(struct vcpu *v, uint32_t entry, uint32_t start_info);

#endif
