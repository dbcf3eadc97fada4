/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The copy of a vCPU's runstate that its guest has registered. */
#include <bulkhead/abi.h>
#include <bulkhead/domain.h>
#include <bulkhead/guest_access.h>

/* struct vcpu_runstate_info as a 32-bit guest lays it out: 64-bit members are aligned to 4. */
struct compat_runstate_info {
	int32_t state;
	uint64_t state_entry_time;
	uint64_t time[4];
} __packed;
_Static_assert(sizeof(struct compat_runstate_info) == 44, "i386 ABI");
_Static_assert(sizeof(struct vcpu_runstate_info) == 48, "x86-64 ABI");

int vcpu_runstate_copy(struct vcpu *v, uint64_t gva, bool compat,
		       const struct vcpu_runstate_info *info)
{
	struct compat_runstate_info c;

	if (!compat)
		return vcpu_copy_to(v, gva, info, sizeof(*info));
	c.state = info->state;
	c.state_entry_time = info->state_entry_time;
	for (unsigned i = 0; i < ARRAY_SIZE(c.time); i++)
		c.time[i] = info->time[i];
	return vcpu_copy_to(v, gva, &c, sizeof(c));
}

static void publish(struct vcpu *v, struct vcpu_runstate_info info)
{
	uint64_t time_gva, gva = v->runstate_gva;

	if (!(READ_ONCE(v->domain->vm_assist) & 1U << VMASST_TYPE_runstate_update_flag)) {
		vcpu_runstate_copy(v, gva, v->runstate_compat, &info);
		return;
	}
	/*
	 * With this assistance (<xen/vcpu.h>, XEN_RUNSTATE_UPDATE) other vCPUs may read the area too: the flag is in
	 * the time of entry while the rest changes. An area that became inaccessible is the guest's own loss.
	 */
	time_gva = gva + (v->runstate_compat
				  ? offsetof(struct compat_runstate_info, state_entry_time)
				  : offsetof(struct vcpu_runstate_info, state_entry_time));
	info.state_entry_time |= XEN_RUNSTATE_UPDATE;
	if (vcpu_copy_to(v, time_gva, &info.state_entry_time, sizeof(info.state_entry_time)))
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	vcpu_runstate_copy(v, gva, v->runstate_compat, &info);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	info.state_entry_time &= ~XEN_RUNSTATE_UPDATE;
	vcpu_copy_to(v, time_gva, &info.state_entry_time, sizeof(info.state_entry_time));
}

void vcpu_runstate_publish(struct vcpu *v)
{
	/* It changes only when v is switched to or from, so there is no need for a lock here. */
	if (v->runstate_gva)
		publish(v, v->runstate);
}

void vcpu_runstate_publish_leaving(struct vcpu *v)
{
	struct vcpu_runstate_info info;

	if (!v->runstate_gva)
		return;
	vcpu_runstate_leaving(v, &info);
	publish(v, info);
}
