/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Combinations of the permission questions of bulkhead/domain.h. */
#ifndef BULKHEAD_PERMISSION_H
#define BULKHEAD_PERMISSION_H

#include <bulkhead/domain.h>

/* Operations on a domain's own resources (ports, memory, parameters): itself, its device model, who controls it. */
static inline bool may_target(const struct domain *caller, const struct domain *target)
{
	return caller == target || may_model(caller, target) || may_control(caller, target);
}

#endif
