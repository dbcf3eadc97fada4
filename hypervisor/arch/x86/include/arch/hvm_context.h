/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State of a domain's vCPUs as records of the save format, and as the older register structure. */
#ifndef ARCH_HVM_CONTEXT_H
#define ARCH_HVM_CONTEXT_H

#include <bulkhead/abi.h>
#include <bulkhead/compiler.h>

struct domain;
struct vcpu;

#define HVM_CONTEXT_RECORD_MAX 2048 /* bytes of the largest record, without its descriptor */

/* No vCPU of d runs during any of these. */
/* Bytes that all records may need. */
size_t hvm_context_size(const struct domain *d);
/* Writes the records; returns their size. */
size_t hvm_context_save(struct domain *d, void *buf);
/* One record without its descriptor: its size, -EINVAL (no such type), -ENOENT (no such instance, or it has no state). */
int64_t hvm_context_save_one(struct domain *d, uint32_t type, uint32_t instance, void *buf);
/* Any subset of the records, the header first; -EINVAL (malformed, unknown, impossible values), -ENODATA (no end). What
 * came before the fault has taken effect. */
int hvm_context_load(struct domain *d, const void *buf, size_t size);

/* Registers of a vCPU; it is paused. Set leaves segments and control registers alone. */
void vcpu_context_get(struct vcpu *v, struct vcpu_guest_context *ret_ctx);
void vcpu_context_set(struct vcpu *v, const struct vcpu_guest_context *ctx);
/* As before it was ever started. */
void vcpu_context_reset(struct vcpu *v);

#endif
