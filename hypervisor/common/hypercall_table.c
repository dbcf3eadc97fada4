// SPDX-License-Identifier: GPL-2.0-or-later
// The hypercall table, and the one place where a call is looked up in it.

#include <bulkhead/abi.h>
#include <bulkhead/hypercall.h>

/*
 * Weak: a handler that is not linked leaves its slot empty, and an empty slot answers -ENOSYS. This is how
 * unit tests link a few handlers only, and how an image without an optional subsystem is made.
 */
#pragma weak hypercall_platform_op
#pragma weak hypercall_memory_op
#pragma weak hypercall_multicall
#pragma weak hypercall_set_timer_op
#pragma weak hypercall_xen_version
#pragma weak hypercall_console_io
#pragma weak hypercall_grant_table_op
#pragma weak hypercall_vm_assist
#pragma weak hypercall_vcpu_op
#pragma weak hypercall_xsm_op
#pragma weak hypercall_sched_op
#pragma weak hypercall_event_channel_op
#pragma weak hypercall_physdev_op
#pragma weak hypercall_hvm_op
#pragma weak hypercall_sysctl
#pragma weak hypercall_domctl
#pragma weak hypercall_xenpmu_op
#pragma weak hypercall_dm_op
#pragma weak hypercall_hypfs_op

#define CALL(name)	  [__HYPERVISOR_##name] = {hypercall_##name, false}
#define CALL_COMPAT(name) [__HYPERVISOR_##name] = {hypercall_##name, true}

/* clang-format off */
const struct hypercall_entry hypercall_table[HYPERCALL_MAX] = {
	CALL(platform_op),
	CALL_COMPAT(memory_op),
	CALL_COMPAT(multicall),
	CALL_COMPAT(set_timer_op),
	CALL_COMPAT(xen_version),
	CALL_COMPAT(console_io),
	CALL_COMPAT(grant_table_op),
	CALL_COMPAT(vm_assist),
	CALL_COMPAT(vcpu_op),
	CALL_COMPAT(xsm_op),
	CALL_COMPAT(sched_op),
	CALL_COMPAT(event_channel_op),
	CALL_COMPAT(physdev_op),
	CALL_COMPAT(hvm_op),
	CALL(sysctl),
	CALL(domctl),
	CALL_COMPAT(xenpmu_op),
	CALL(dm_op),
	CALL_COMPAT(hypfs_op),
};
/* clang-format on */

int64_t hypercall_dispatch(struct hypercall *hc)
{
	const struct hypercall_entry *e;
	unsigned nr = hc->nr;

	if (nr >= HYPERCALL_MAX)
		return -ENOSYS;
	/* The bound holds under speculation, too: no branch decides it. */
	e = &hypercall_table[nr & (HYPERCALL_MAX - 1)];
	if (!e->fn || (hc->compat && !e->compat_ok))
		return -ENOSYS;
	return e->fn(hc);
}
_Static_assert((HYPERCALL_MAX & (HYPERCALL_MAX - 1)) == 0, "the index is masked");
