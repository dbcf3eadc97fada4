/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domains: what domain.c, domain_vcpu.c and shutdown.c share. */
#ifndef COMMON_DOMAIN_INTERNAL_H
#define COMMON_DOMAIN_INTERNAL_H

#include <bulkhead/domain.h>

void vcpu_destroy(struct vcpu *v); /* accepts NULL; it does not run */
/* Back to the vcpu_info in shared_info, or to the dummy; harmless when none was registered. */
void vcpu_unregister_info(struct vcpu *v);
void domain_shutdown_init(struct domain *d);

#endif
