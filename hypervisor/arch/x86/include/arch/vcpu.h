/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Start states of vCPUs. */
#ifndef ARCH_VCPU_H
#define ARCH_VCPU_H

#include <bulkhead/compiler.h>

struct vcpu;

/* 32-bit flat protected mode at entry, EBX = start_info (Xen's PVH boot ABI). The vCPU does not run yet. */
void vcpu_start_pvh(struct vcpu *v, uint32_t entry, uint32_t start_info);

#endif
