/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of platform_op that need the machine: model-specific registers, CPUID, the symbol table. */
#ifndef HYPERCALL_PLATFORM_H
#define HYPERCALL_PLATFORM_H

#include <bulkhead/abi.h>

#include <xen/platform.h>

/* Vendor, family, model and stepping of an online CPU. */
void platform_cpu_version(uint32_t cpu, struct xenpf_pcpu_version *ret_info);
/* Result: operations that succeeded. */
int64_t platform_resource_op(const struct xenpf_resource_op *op);
int64_t platform_get_symbol(struct xenpf_symdata *op);

#endif
