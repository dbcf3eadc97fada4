/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walks of a guest's page tables. */
#ifndef ARCH_GUEST_WALK_H
#define ARCH_GUEST_WALK_H

#include <bulkhead/addr.h>

struct vcpu;

#define WALK_WRITE 1U
#define WALK_USER \
 2U /* by code at CPL 3; else it is a supervisor's access, and explicit unless the vCPU is at CPL 3 */
#define WALK_FETCH 4U

/* Page-fault error code (APM vol. 2 8.4.2). */
#define PFEC_PRESENT  1U
#define PFEC_WRITE    2U
#define PFEC_USER     4U
#define PFEC_RESERVED 8U
#define PFEC_FETCH    16U
#define PFEC_PK	      32U

/*
 * Translates as the CPU would, with the state of v (its own CPU only): checks rights (SMEP, SMAP, protection keys), and sets
 * accessed and dirty bits. 0, or -EFAULT with the error code of the page fault.
 */
int guest_walk(struct vcpu *v, uint64_t va, unsigned access, gaddr_t *ret_gaddr,
	       uint32_t *ret_code);
/* Drops the remembered translation: before every hypercall and emulation. */
void guest_walk_forget(struct vcpu *v);

#endif
