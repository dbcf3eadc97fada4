/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The p2m as arch/x86 sees it: lookups under its lock. */
#ifndef ARCH_P2M_H
#define ARCH_P2M_H

#include <bulkhead/p2m.h>

/* d->arch.p2m.lock is held, for reading at least. While it is held the frame cannot be freed: to free it, the entry must be removed first. */
mfn_t p2m_lookup_locked(struct domain *d, gfn_t gfn, enum p2m_type *ret_type);

#endif
