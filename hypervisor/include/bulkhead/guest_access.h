/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies between the hypervisor and guest memory. */
#ifndef BULKHEAD_GUEST_ACCESS_H
#define BULKHEAD_GUEST_ACCESS_H

#include <bulkhead/addr.h>
#include <bulkhead/errno.h>

struct domain;
struct vcpu;

/*
 * Guest-linear addresses of the current vCPU, translated by its own page tables with the rights of its
 * kernel. 0 or -EFAULT; on -EFAULT a part may have been copied. Each call reads every byte once.
 */
int guest_copy_from(void *dst, uint64_t guest_va, size_t len);
int guest_copy_to(uint64_t guest_va, const void *src, size_t len);
int guest_clear(uint64_t guest_va, size_t len);
/* As guest_copy_to, for a vCPU that may be about to leave this CPU: its state is still there. */
int vcpu_copy_to(struct vcpu *v, uint64_t guest_va, const void *src, size_t len);

/* Guest-physical memory of any domain (RAM, grants, foreign pages; not MMIO). 0 or -EFAULT. */
int guest_phys_copy_from(void *dst, struct domain *d, gaddr_t src, size_t len);
int guest_phys_copy_to(struct domain *d, gaddr_t dst, const void *src, size_t len);

/* Linear address (of the current vCPU) to guest-physical; 0 or -EFAULT. */
int guest_va_to_gaddr(uint64_t guest_va, bool write, gaddr_t *ret_gaddr);

#endif
