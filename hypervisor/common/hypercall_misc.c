// SPDX-License-Identifier: GPL-2.0-or-later
// Small hypercalls: vm_assist, and the two of which only the refusal is specified.

#include <bulkhead/domain.h>
#include <bulkhead/hypercall.h>

/* Guests without PV paging have one assist: the update flag in their runstate area. */
#define VALID_ASSISTS BIT32(VMASST_TYPE_runstate_update_flag)

int64_t hypercall_vm_assist(struct hypercall *hc)
{
	struct domain *d = current_domain();
	uint32_t cmd = (uint32_t)hc->args[0], type = (uint32_t)hc->args[1];

	if (type >= 32 || !(VALID_ASSISTS & BIT32(type)))
		return -EINVAL;
	switch (cmd) {
	case VMASST_CMD_enable:
		__atomic_fetch_or(&d->vm_assist, BIT32(type), __ATOMIC_SEQ_CST);
		return 0;
	case VMASST_CMD_disable:
		__atomic_fetch_and(&d->vm_assist, ~BIT32(type), __ATOMIC_SEQ_CST);
		return 0;
	default:
		return -ENOSYS;
	}
}

/* There is no virtual performance monitoring unit; this is the answer for a hypervisor with it switched off. */
int64_t hypercall_xenpmu_op(struct hypercall *hc)
{
	(void)hc;
	return -EOPNOTSUPP;
}

/* No security module is loaded. The toolstack asks on every invocation and takes this answer for it. */
int64_t hypercall_xsm_op(struct hypercall *hc)
{
	(void)hc;
	return -ENOSYS;
}
