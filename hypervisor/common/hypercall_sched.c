/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypercall sched_op. */
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>

struct compat_sched_poll {
	uint32_t ports;
	uint32_t nr_ports;
	uint64_t timeout;
} __packed;
_Static_assert(sizeof(struct compat_sched_poll) == 16, "i386 ABI");
_Static_assert(sizeof(struct sched_poll) == 24, "x86-64 ABI");
_Static_assert(sizeof(struct sched_remote_shutdown) == 8, "ABI, also of 32-bit guests");

/* Reads the one member of struct sched_shutdown. Reasons are kept as a byte. */
static int copy_reason(uint64_t arg, unsigned *ret_reason)
{
	struct sched_shutdown untrusted_op;

	if (guest_copy_from(&untrusted_op, arg, sizeof(untrusted_op)))
		return -EFAULT;
	*ret_reason = (uint8_t)untrusted_op.reason;
	return 0;
}

static int64_t op_shutdown(uint64_t arg)
{
	unsigned reason;
	int ret = copy_reason(arg, &reason);

	if (ret)
		return ret;
	domain_shutdown(current_domain(), reason);
	return 0;
}

static int64_t op_shutdown_code(uint64_t arg)
{
	unsigned reason;
	int ret = copy_reason(arg, &reason);

	if (ret)
		return ret;
	domain_set_shutdown_code(current_domain(), reason);
	return 0;
}

static int64_t op_poll(uint64_t arg, bool compat)
{
	uint32_t untrusted_ports[SCHED_POLL_MAX_PORTS], nr;
	uint64_t ports_gva, timeout;

	if (compat) {
		struct compat_sched_poll op;

		if (guest_copy_from(&op, arg, sizeof(op)))
			return -EFAULT;
		ports_gva = op.ports;
		nr = op.nr_ports;
		timeout = op.timeout;
	} else {
		struct sched_poll op;

		if (guest_copy_from(&op, arg, sizeof(op)))
			return -EFAULT;
		ports_gva = (uintptr_t)op.ports.p;
		nr = op.nr_ports;
		timeout = op.timeout;
	}
	if (nr > SCHED_POLL_MAX_PORTS)
		return -EINVAL;
	if (guest_copy_from(untrusted_ports, ports_gva, nr * sizeof(untrusted_ports[0])))
		return -EFAULT;
	return sched_poll(nr, untrusted_ports, timeout);
}

static int64_t op_remote_shutdown(uint64_t arg)
{
	struct sched_remote_shutdown untrusted_op;
	struct domain *d;
	int ret = 0;

	if (guest_copy_from(&untrusted_op, arg, sizeof(untrusted_op)))
		return -EFAULT;
	/* It is for others: ids with a special meaning are unknown here. */
	if (untrusted_op.domain_id >= DOMID_FIRST_RESERVED)
		return -ESRCH;
	d = domain_get_by_id(untrusted_op.domain_id);
	if (!d)
		return -ESRCH;
	if (may_model(current_domain(), d))
		domain_shutdown(d, (uint8_t)untrusted_op.reason);
	else
		ret = -EPERM;
	domain_put(d);
	return ret;
}

static int64_t op_watchdog(uint64_t arg)
{
	struct sched_watchdog untrusted_op;

	if (guest_copy_from(&untrusted_op, arg, sizeof(untrusted_op)))
		return -EFAULT;
	return domain_watchdog_set(current_domain(), untrusted_op.id, untrusted_op.timeout);
}

static int64_t op_pin_override(uint64_t arg)
{
	struct sched_pin_override untrusted_op;

	if (!current_domain()->hardware)
		return -EPERM;
	if (guest_copy_from(&untrusted_op, arg, sizeof(untrusted_op)))
		return -EFAULT;
	return sched_pin_override(current_vcpu(), untrusted_op.pcpu);
}

int64_t hypercall_sched_op(struct hypercall *hc)
{
	uint64_t arg = hc->args[1];

	switch ((uint32_t)hc->args[0]) {
	case SCHEDOP_yield:
		sched_yield_current();
		return 0;
	case SCHEDOP_block:
		sched_block();
		return 0;
	case SCHEDOP_shutdown:
		return op_shutdown(arg);
	case SCHEDOP_poll:
		return op_poll(arg, hc->compat);
	case SCHEDOP_remote_shutdown:
		return op_remote_shutdown(arg);
	case SCHEDOP_shutdown_code:
		return op_shutdown_code(arg);
	case SCHEDOP_watchdog:
		return op_watchdog(arg);
	case SCHEDOP_pin_override:
		return op_pin_override(arg);
	default:
		return -ENOSYS;
	}
}
