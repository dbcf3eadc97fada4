/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hvm_op hypercall: parameters of a domain, upcall vectors and some questions. */
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hvm.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/nospec.h>
#include <bulkhead/p2m.h>
#include <bulkhead/permission.h>
#include <xen/hvm/hvm_op.h>

/* Every structure here has one layout for 32-bit and 64-bit callers: only the alignment of longs differs, and all offsets are
 * multiples of 8 already. */
_Static_assert(sizeof(struct xen_hvm_param) == 16, "ABI");
_Static_assert(sizeof(struct xen_hvm_evtchn_upcall_vector) == 8, "ABI");
_Static_assert(sizeof(struct xen_hvm_get_mem_type) == 16, "ABI");
_Static_assert(sizeof(struct xen_hvm_pagetable_dying) == 16, "ABI");

/* Vectors below are exceptions (SDM vol. 3A 11.5.2). */
#define VECTOR_MIN 0x10

/* Limits of the task state segment for virtual-8086 mode that old firmware gives: without any map; with both, full. */
#define TSS32_SIZE     104U
#define TSS32_MAX      (TSS32_SIZE + 0x100 / 8 + 0x10000 / 8 + 1)
/* Firmware of old used a fixed size. */
#define TSS32_FIRMWARE 128ULL

/* Pages of ioreq servers are counted in a 64-bit mask. */
#define IOREQ_SERVER_PAGES_MAX 64

enum param_flags {
	GUEST_SET = 1, /* the domain itself may set it */
	GUEST_GET = 2,
	DEPRECATED = 4,
	SET_ONCE = 8, /* a value other than 0 stays */
};

static const uint8_t param_flags[HVM_NR_PARAMS] = {
	[HVM_PARAM_CALLBACK_IRQ] = GUEST_SET | GUEST_GET,
	[HVM_PARAM_VM86_TSS] = GUEST_SET | GUEST_GET,
	[HVM_PARAM_VM86_TSS_SIZED] = GUEST_SET | GUEST_GET,
	[HVM_PARAM_ACPI_IOPORTS_LOCATION] = GUEST_SET | GUEST_GET,
	[HVM_PARAM_VM_GENERATION_ID_ADDR] = GUEST_SET | GUEST_GET,
	[HVM_PARAM_STORE_PFN] = GUEST_GET,
	[HVM_PARAM_STORE_EVTCHN] = GUEST_SET | GUEST_GET,
	[HVM_PARAM_CONSOLE_PFN] = GUEST_GET,
	[HVM_PARAM_CONSOLE_EVTCHN] = GUEST_SET | GUEST_GET,
	[HVM_PARAM_ALTP2M] = GUEST_GET | SET_ONCE,
	[HVM_PARAM_X87_FIP_WIDTH] = GUEST_SET | GUEST_GET,
	[HVM_PARAM_VIRIDIAN] = SET_ONCE,
	[HVM_PARAM_IOREQ_PFN] = SET_ONCE,
	[HVM_PARAM_BUFIOREQ_PFN] = SET_ONCE,
	[HVM_PARAM_IOREQ_SERVER_PFN] = SET_ONCE,
	[HVM_PARAM_NR_IOREQ_SERVER_PAGES] = SET_ONCE,
	[HVM_PARAM_MCA_CAP] = SET_ONCE,
	[HVM_PARAM_PAE_ENABLED] = DEPRECATED,
	[HVM_PARAM_DM_DOMAIN] = DEPRECATED,
	[HVM_PARAM_MEMORY_EVENT_CR0] = DEPRECATED,
	[HVM_PARAM_MEMORY_EVENT_CR3] = DEPRECATED,
	[HVM_PARAM_MEMORY_EVENT_CR4] = DEPRECATED,
	[HVM_PARAM_MEMORY_EVENT_INT3] = DEPRECATED,
	[HVM_PARAM_NESTEDHVM] = DEPRECATED,
	[HVM_PARAM_MEMORY_EVENT_SINGLE_STEP] = DEPRECATED,
	[HVM_PARAM_BUFIOREQ_EVTCHN] = DEPRECATED,
	[HVM_PARAM_MEMORY_EVENT_MSR] = DEPRECATED,
};

static int param_allowed(const struct domain *caller, const struct domain *d, uint32_t index,
			 uint8_t guest_may)
{
	uint8_t flags = param_flags[index];

	if (!may_target(caller, d))
		return -EPERM;
	if (flags & DEPRECATED)
		return -EINVAL;
	return caller == d && !(flags & guest_may) ? -EPERM : 0;
}

/* Segments for virtual-8086 mode are not needed with hardware that runs real mode; the value is kept for who asks. */
static int check_vm86_tss(struct domain *caller, struct domain *d, uint64_t value, bool sized)
{
	if (sized ? value >> 32 >= TSS32_SIZE : !(value >> 32))
		return 0;
	if (caller == d)
		domain_crash(d, "senseless task state segment %#llx", (unsigned long long)value);
	return -EINVAL;
}

static int param_check(struct domain *caller, struct domain *d, uint32_t index, uint64_t value)
{
	bool ok = true;

	switch (index) {
	case HVM_PARAM_TIMER_MODE:
		ok = value <= HVMPTM_one_missed_tick_pending;
		break;
	case HVM_PARAM_VIRIDIAN:
		ok = !(value & ~(uint64_t)HVMPV_feature_mask) && (value & HVMPV_base_freq);
		break;
	case HVM_PARAM_ACPI_S_STATE: /* the state of being awake is the one there is */
	case HVM_PARAM_ALTP2M:	     /* no alternate maps */
	case HVM_PARAM_MCA_CAP:	     /* no local machine checks */
		ok = value == 0;
		break;
	case HVM_PARAM_ACPI_IOPORTS_LOCATION:
		ok = value <= 1;
		break;
	case HVM_PARAM_TRIPLE_FAULT_REASON:
		ok = value <= SHUTDOWN_MAX;
		break;
	case HVM_PARAM_NR_IOREQ_SERVER_PAGES:
		ok = value && value <= IOREQ_SERVER_PAGES_MAX;
		break;
	case HVM_PARAM_X87_FIP_WIDTH:
		ok = value == 0 || value == 4 || value == 8;
		break;
	case HVM_PARAM_VM86_TSS:
	case HVM_PARAM_VM86_TSS_SIZED:
		return check_vm86_tss(caller, d, value, index == HVM_PARAM_VM86_TSS_SIZED);
	default:
		break;
	}
	return ok ? 0 : -EINVAL;
}

static int param_set(struct hypercall *hc, struct domain *caller, struct domain *d, uint32_t index,
		     uint64_t value)
{
	int rc = param_allowed(caller, d, index, GUEST_SET);

	if (rc)
		return rc;
	spin_lock(&d->lock);
	if ((param_flags[index] & SET_ONCE) && d->hvm_params[index] &&
	    d->hvm_params[index] != value)
		rc = -EEXIST;
	spin_unlock(&d->lock);
	if (!rc)
		rc = param_check(caller, d, index, value);
	if (rc)
		return rc;
	if (index == HVM_PARAM_VM86_TSS) {
		index = HVM_PARAM_VM86_TSS_SIZED;
		if (value)
			value |= TSS32_FIRMWARE << 32;
	} else if (index == HVM_PARAM_VM86_TSS_SIZED && value >> 32 > TSS32_MAX) {
		value = (uint32_t)value | (uint64_t)TSS32_MAX << 32;
	}
	spin_lock(&d->lock);
	d->hvm_params[index] = value;
	spin_unlock(&d->lock);
	if (index == HVM_PARAM_CALLBACK_IRQ) {
		/* A guest does this once it runs in its final mode: its shared_info has that layout from now on. */
		if (caller == d)
			event_set_compat(d, hc->compat);
		spin_lock(&d->lock);
		arch_domain_set_callback(d, value);
		spin_unlock(&d->lock);
	}
	return 0;
}

static int param_get(struct domain *caller, struct domain *d, uint32_t index, uint64_t *ret_value)
{
	int rc = param_allowed(caller, d, index, GUEST_GET);

	if (rc)
		return rc;
	*ret_value = READ_ONCE(d->hvm_params[index]);
	if (index == HVM_PARAM_VM86_TSS)
		*ret_value = (uint32_t)READ_ONCE(d->hvm_params[HVM_PARAM_VM86_TSS_SIZED]);
	return 0;
}

static int op_param(struct hypercall *hc, bool set)
{
	struct domain *caller = current_domain(), *d;
	struct xen_hvm_param op;
	uint32_t index;
	int rc;

	if (guest_copy_from(&op, hc->args[1], sizeof(op)))
		return -EFAULT;
	if (op.index >= HVM_NR_PARAMS)
		return -EINVAL;
	index = (uint32_t)index_nospec(op.index, HVM_NR_PARAMS);
	d = domain_get_by_id(op.domid);
	if (!d)
		return -ESRCH;
	if (set)
		rc = param_set(hc, caller, d, index, op.value);
	else
		rc = param_get(caller, d, index, &op.value);
	domain_put(d);
	if (!rc && !set && guest_copy_to(hc->args[1], &op, sizeof(op)))
		rc = -EFAULT;
	return rc;
}

static int op_upcall_vector(struct hypercall *hc)
{
	struct domain *d = current_domain();
	struct xen_hvm_evtchn_upcall_vector op;
	struct vcpu *v;

	if (guest_copy_from(&op, hc->args[1], sizeof(op)))
		return -EFAULT;
	if (op.vector < VECTOR_MIN)
		return -EINVAL;
	v = op.vcpu < d->max_vcpus ? d->vcpus[index_nospec(op.vcpu, d->max_vcpus)] : NULL;
	return v ? arch_vcpu_set_upcall_vector(v, op.vector) : -ENOENT;
}

static int op_get_mem_type(struct hypercall *hc)
{
	struct xen_hvm_get_mem_type op;
	struct domain *d;
	enum p2m_type t;
	bool allowed;

	if (guest_copy_from(&op, hc->args[1], sizeof(op)))
		return -EFAULT;
	d = domain_get_by_id(op.domid);
	if (!d)
		return -ESRCH;
	allowed = may_target(current_domain(), d);
	if (allowed) {
		spin_lock(&d->lock);
		(void)p2m_lookup(d, gfn_from(op.pfn), &t);
		spin_unlock(&d->lock);
		if (t == P2M_NONE || t == P2M_MMIO || t == P2M_FOREIGN)
			op.mem_type = HVMMEM_mmio_dm;
		else
			op.mem_type = t == P2M_RAM_RO || t == P2M_GRANT_RO ? HVMMEM_ram_ro
									   : HVMMEM_ram_rw;
	}
	domain_put(d);
	if (!allowed)
		return -EPERM;
	return guest_copy_to(hc->args[1], &op, sizeof(op)) ? -EFAULT : 0;
}

/* A hint for shadow page tables; with second-stage translation there is nothing to do, which guests want to hear. */
static int op_pagetable_dying(struct hypercall *hc)
{
	struct xen_hvm_pagetable_dying op;
	struct domain *d;
	int rc;

	if (guest_copy_from(&op, hc->args[1], sizeof(op)))
		return -EFAULT;
	d = domain_get_by_id(op.domid);
	if (!d)
		return -ESRCH;
	rc = d == current_domain() ? -EINVAL : -EOPNOTSUPP;
	domain_put(d);
	return rc;
}

static int op_get_time(struct hypercall *hc)
{
	struct xen_hvm_get_time op = {.now = time_now()};

	return guest_copy_to(hc->args[1], &op, sizeof(op)) ? -EFAULT : 0;
}

int64_t hypercall_hvm_op(struct hypercall *hc)
{
	switch (hc->args[0]) {
	case HVMOP_set_param:
		return op_param(hc, true);
	case HVMOP_get_param:
		return op_param(hc, false);
	case HVMOP_flush_tlbs:
		if (hc->args[1])
			return -EINVAL;
		arch_domain_flush_guest_tlb(current_domain());
		return 0;
	case HVMOP_pagetable_dying:
		return op_pagetable_dying(hc);
	case HVMOP_get_time:
		return op_get_time(hc);
	case HVMOP_get_mem_type:
		return op_get_mem_type(hc);
	case HVMOP_set_evtchn_upcall_vector:
		return op_upcall_vector(hc);
	case HVMOP_guest_request_vm_event: /* nobody monitors the domain */
		return hc->args[1] ? -EINVAL : 0;
	case HVMOP_altp2m:
		return -EOPNOTSUPP;
	default:
		return -ENOSYS;
	}
}
