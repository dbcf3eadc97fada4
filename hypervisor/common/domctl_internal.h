/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The domctl hypercall: its operations, by file. */
#ifndef COMMON_DOMCTL_INTERNAL_H
#define COMMON_DOMCTL_INTERNAL_H

#include <bulkhead/control.h>

/* domctl_domain.c */
domctl_fn domctl_createdomain, domctl_destroydomain, domctl_pausedomain, domctl_unpausedomain,
	domctl_getdomaininfo, domctl_max_vcpus, domctl_resumedomain;
/* domctl_settings.c */
domctl_fn domctl_max_mem, domctl_setdomainhandle, domctl_settimeoffset, domctl_subscribe,
	domctl_set_virq_handler, domctl_paging_mempool, domctl_shadow_op;
/* domctl_vcpu.c */
domctl_fn domctl_vcpuaffinity, domctl_getvcpuinfo, domctl_scheduler_op, domctl_setnodeaffinity,
	domctl_getnodeaffinity;
/* domctl_access.c */
domctl_fn domctl_irq_permission, domctl_iomem_permission, domctl_ioport_permission;

#endif
