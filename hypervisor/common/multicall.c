// SPDX-License-Identifier: GPL-2.0-or-later
// Hypercall multicall: a list of calls in guest memory, executed in order.

#include <bulkhead/abi.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>

/* 32-bit form of struct multicall_entry. */
struct multicall_entry32 {
	uint32_t op, result;
	uint32_t args[6];
};
_Static_assert(sizeof(struct multicall_entry) == 64, "ABI, 64-bit callers");
_Static_assert(sizeof(struct multicall_entry32) == 32, "ABI, 32-bit callers");

static int read_entry(struct hypercall *call, uint64_t gva)
{
	if (call->compat) {
		struct multicall_entry32 untrusted_entry;

		if (guest_copy_from(&untrusted_entry, gva, sizeof(untrusted_entry)))
			return -EFAULT;
		call->nr = untrusted_entry.op;
		for (unsigned i = 0; i < 5; i++)
			call->args[i] = untrusted_entry.args[i];
	} else {
		struct multicall_entry untrusted_entry;

		if (guest_copy_from(&untrusted_entry, gva, sizeof(untrusted_entry)))
			return -EFAULT;
		call->nr = untrusted_entry.op < HYPERCALL_MAX ? (unsigned)untrusted_entry.op
							      : HYPERCALL_MAX;
		for (unsigned i = 0; i < 5; i++)
			call->args[i] = untrusted_entry.args[i];
	}
	return 0;
}

static int write_result(const struct hypercall *call, uint64_t gva, int64_t result)
{
	if (call->compat) {
		uint32_t result32 = (uint32_t)result;

		return guest_copy_to(gva + offsetof(struct multicall_entry32, result), &result32,
				     sizeof(result32));
	}
	return guest_copy_to(gva + offsetof(struct multicall_entry, result), &result,
			     sizeof(result));
}

/* A call that was interrupted goes on from its entry: this is where its progress is kept. */
static int write_args(const struct hypercall *call, uint64_t gva)
{
	if (call->compat) {
		uint32_t args32[5];

		for (unsigned i = 0; i < 5; i++)
			args32[i] = (uint32_t)call->args[i];
		return guest_copy_to(gva + offsetof(struct multicall_entry32, args), args32,
				     sizeof(args32));
	}
	return guest_copy_to(gva + offsetof(struct multicall_entry, args), call->args,
			     sizeof(call->args));
}

int64_t hypercall_multicall(struct hypercall *hc)
{
	uint64_t size = hc->compat ? sizeof(struct multicall_entry32)
				   : sizeof(struct multicall_entry);
	uint64_t gva = hc->args[0];
	uint32_t left = (uint32_t)hc->args[1];

	for (bool first = true; left; first = false) {
		struct hypercall call = {.compat = hc->compat};
		int64_t result;

		if (!first && hypercall_should_yield())
			goto preempted;
		if (read_entry(&call, gva))
			return -EFAULT;
		/* Lists of lists would recurse on our stack. */
		result = call.nr == __HYPERVISOR_multicall ? -EINVAL : hypercall_dispatch(&call);
		if (result == -ERESTART) {
			if (write_args(&call, gva))
				return -EFAULT;
			goto preempted;
		}
		if (write_result(&call, gva, result))
			return -EFAULT;
		gva += size;
		left--;
	}
	return 0;

preempted:
	hc->args[0] = gva;
	hc->args[1] = left;
	return -ERESTART;
}
