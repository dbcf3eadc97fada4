/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Start states of vCPUs, and state that no exit shows. */
#ifndef ARCH_VCPU_H
#define ARCH_VCPU_H

#include <bulkhead/compiler.h>

struct vcpu;

/* FPU and vector state as after reset; or a copy of what FXSAVE writes, with the rest as after reset. It is not loaded on a CPU. */
void vcpu_fpu_reset(struct vcpu *v);
void vcpu_fpu_load(struct vcpu *v, const void *fxsave);
/* Protection keys of the current vCPU; its CR4 has PKE. */
uint32_t vcpu_pkru(const struct vcpu *v);

/* 32-bit flat protected mode at entry, EBX = start_info (Xen's PVH boot ABI). The vCPU does not run yet. */
void vcpu_start_pvh(struct vcpu *v, uint32_t entry, uint32_t start_info);

#endif
