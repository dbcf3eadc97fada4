/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypercalls vcpu_op and set_timer_op. */
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/nospec.h>

#include <xen/hvm/hvm_vcpu.h>

/* <xen/vcpu.h>: periods below may be refused. */
#define PERIOD_MIN  MSEC(1)
/* Periods above, about 146 years, are a mistake. */
#define PERIOD_MAX  (~0ULL >> 2)
/* set_timer_op: 2^50 ns, about 13 days. */
#define TIMEOUT_FAR (1ULL << 50)

_Static_assert(sizeof(struct vcpu_hvm_context) == 128, "ABI");
_Static_assert(sizeof(struct vcpu_register_vcpu_info) == 16, "ABI, also of 32-bit guests");

/* ---- The timers of a vCPU ---- */

static void singleshot_expired(void *data)
{
	event_send_vcpu_virq(data, VIRQ_TIMER);
}

/* Arms the periodic timer for its next tick. True if one is due now. */
static bool periodic_step(struct vcpu *v)
{
	unsigned long flags = spin_lock_irqsave(&v->periodic_lock);
	uint64_t now = time_now();
	bool tick = false;

	if (v->periodic_period) {
		tick = now >= v->periodic_last + v->periodic_period;
		if (tick)
			v->periodic_last = now;
		/* It ticks only while the vCPU runs: vcpu_timers_enter() comes back here. */
		if (READ_ONCE(v->is_running))
			timer_set(&v->periodic, v->periodic_last + v->periodic_period);
	}
	spin_unlock_irqrestore(&v->periodic_lock, flags);
	return tick;
}

static void periodic_expired(void *data)
{
	if (periodic_step(data))
		event_send_vcpu_virq(data, VIRQ_TIMER);
}

/* 0 stops it. A period that is set anew ticks at once, if none has passed since the last tick. */
static void periodic_set(struct vcpu *v, uint64_t period)
{
	unsigned long flags = spin_lock_irqsave(&v->periodic_lock);

	timer_stop(&v->periodic);
	v->periodic_period = period;
	spin_unlock_irqrestore(&v->periodic_lock, flags);
	periodic_expired(v);
}

void vcpu_timers_init(struct vcpu *v)
{
	spin_init(&v->periodic_lock);
	timer_init(&v->singleshot, singleshot_expired, v, cpu_id());
	timer_init(&v->periodic, periodic_expired, v, cpu_id());
}

void vcpu_timers_finish(struct vcpu *v)
{
	periodic_set(v, 0);
	timer_finish(&v->singleshot);
	timer_finish(&v->periodic);
}

void vcpu_timers_enter(struct vcpu *v, unsigned cpu)
{
	timer_migrate(&v->singleshot, cpu);
	if (READ_ONCE(v->periodic_period)) {
		timer_migrate(&v->periodic, cpu);
		periodic_expired(v);
	}
}

void vcpu_timers_leave(struct vcpu *v)
{
	if (READ_ONCE(v->periodic_period))
		timer_stop(&v->periodic);
}

int64_t hypercall_set_timer_op(struct hypercall *hc)
{
	struct vcpu *v = current_vcpu();
	/* A 64-bit argument takes two registers of a 32-bit caller. */
	uint64_t timeout = hc->compat ? (uint32_t)hc->args[0] | hc->args[1] << 32 : hc->args[0];
	uint64_t now = time_now();

	if (!timeout) {
		timer_stop(&v->singleshot);
		return 0;
	}
	/*
	 * Far away or "negative": old Linux says so both when it has work overdue (its tick counter wrapped) and when
	 * it has nothing to wait for. A tick after a moment serves both.
	 */
	if (timeout >> 63 || (timeout > now && timeout - now >= TIMEOUT_FAR))
		timeout = now + MSEC(100);
	timer_migrate(&v->singleshot, cpu_id());
	timer_set(&v->singleshot, timeout);
	return 0;
}

/* ---- vcpu_op ---- */

static int64_t op_initialise(struct vcpu *v, uint64_t arg)
{
	struct vcpu_hvm_context untrusted_ctx;
	int ret;

	/* Without a place for its vcpu_info it could get no event. */
	if (v->info == &v->dummy_info)
		return -EINVAL;
	if (guest_copy_from(&untrusted_ctx, arg, sizeof(untrusted_ctx)))
		return -EFAULT;
	/* Two callers at one time would give it a state that is half of each. */
	spin_lock(&v->domain->lock);
	ret = arch_vcpu_set_hvm_context(v, &untrusted_ctx);
	spin_unlock(&v->domain->lock);
	return ret;
}

static int64_t op_up(struct vcpu *v)
{
	if (!arch_vcpu_is_initialised(v))
		return -EINVAL;
	vcpu_clear_flag(v, VPF_DOWN);
	return 0;
}

static int64_t op_down(struct vcpu *v)
{
	struct domain *d = v->domain;
	struct vcpu *other;
	bool last = true;
	unsigned i;

	DOMAIN_FOR_EACH_VCPU (d, other, i)
		last &= other == v || (READ_ONCE(other->pause_flags) & VPF_DOWN);
	if (last)
		domain_shutdown(d, SHUTDOWN_poweroff);
	else
		vcpu_set_flag(v, VPF_DOWN);
	return 0;
}

static int64_t op_get_runstate(struct vcpu *v, uint64_t arg, bool compat)
{
	struct vcpu_runstate_info info;

	vcpu_runstate_get(v, &info);
	return vcpu_runstate_copy(current_vcpu(), arg, compat, &info);
}

static int64_t op_set_periodic(struct vcpu *v, uint64_t arg)
{
	struct vcpu_set_periodic_timer untrusted_op;

	if (guest_copy_from(&untrusted_op, arg, sizeof(untrusted_op)))
		return -EFAULT;
	if (untrusted_op.period_ns < PERIOD_MIN || untrusted_op.period_ns > PERIOD_MAX)
		return -EINVAL;
	periodic_set(v, untrusted_op.period_ns);
	return 0;
}

static int64_t op_set_singleshot(struct vcpu *v, uint64_t arg, bool compat)
{
	struct vcpu_set_singleshot_timer untrusted_op;

	if (v != current_vcpu())
		return -EINVAL;
	/* The 32-bit structure ends with the flags, the 64-bit one with padding. */
	if (guest_copy_from(&untrusted_op, arg, compat ? 12 : sizeof(untrusted_op)))
		return -EFAULT;
	/* One that has passed fires at once, whatever the flags: guests take an error as fatal. */
	if (untrusted_op.timeout_abs_ns < time_now()) {
		timer_stop(&v->singleshot);
		event_send_vcpu_virq(v, VIRQ_TIMER);
		return 0;
	}
	timer_migrate(&v->singleshot, cpu_id());
	timer_set(&v->singleshot, untrusted_op.timeout_abs_ns);
	return 0;
}

static int64_t op_stop_singleshot(struct vcpu *v)
{
	if (v != current_vcpu())
		return -EINVAL;
	timer_stop(&v->singleshot);
	return 0;
}

static int64_t op_register_info(struct vcpu *v, uint64_t arg)
{
	struct vcpu_register_vcpu_info untrusted_op;

	if (guest_copy_from(&untrusted_op, arg, sizeof(untrusted_op)))
		return -EFAULT;
	return vcpu_register_info(v, gfn_from(untrusted_op.mfn), untrusted_op.offset);
}

/* The address in a structure that holds nothing else. */
static int copy_address(uint64_t arg, bool compat, uint64_t *ret_gva)
{
	uint64_t gva = 0;

	if (guest_copy_from(&gva, arg, compat ? 4 : 8))
		return -EFAULT;
	*ret_gva = gva;
	return 0;
}

static int64_t op_register_runstate(struct vcpu *v, uint64_t arg, bool compat)
{
	struct vcpu_runstate_info info;
	uint64_t gva;
	int ret = copy_address(arg, compat, &gva);

	if (ret)
		return ret;
	v->runstate_compat = compat;
	WRITE_ONCE(v->runstate_gva, gva);
	vcpu_runstate_get(v, &info);
	/* What it is by now, through the address space of the caller; that this may fail is the guest's own loss. */
	vcpu_runstate_copy(current_vcpu(), gva, compat, &info);
	return 0;
}

static int64_t op_register_time(struct vcpu *v, uint64_t arg, bool compat)
{
	uint64_t gva;
	int ret = copy_address(arg, compat, &gva);

	if (ret)
		return ret;
	WRITE_ONCE(v->time_info_gva, gva);
	arch_vcpu_time_update(v);
	return 0;
}

static int64_t op_get_physid(struct vcpu *v, uint64_t arg)
{
	struct vcpu_get_physid op;
	cpumask_t mask;
	unsigned long cpu;

	/* It has an answer only for vCPUs that stay on one CPU. */
	for (unsigned i = 0; i < ARRAY_SIZE(mask.bits); i++)
		mask.bits[i] = v->hard_affinity.bits[i] & cpu_online.bits[i];
	cpu = bitmap_next(mask.bits, MAX_CPUS, 0);
	if (!v->domain->hardware || cpu >= MAX_CPUS ||
	    bitmap_next(mask.bits, MAX_CPUS, cpu + 1) < MAX_CPUS)
		return -EINVAL;
	op.phys_id = arch_cpu_physid((unsigned)cpu);
	return guest_copy_to(arg, &op, sizeof(op));
}

int64_t hypercall_vcpu_op(struct hypercall *hc)
{
	struct domain *d = current_domain();
	uint32_t id = (uint32_t)hc->args[1];
	uint64_t arg = hc->args[2];
	struct vcpu *v = id < d->max_vcpus ? d->vcpus[index_nospec(id, d->max_vcpus)] : NULL;

	if (!v)
		return -ENOENT;
	switch ((uint32_t)hc->args[0]) {
	case VCPUOP_initialise:
		return op_initialise(v, arg);
	case VCPUOP_up:
		return op_up(v);
	case VCPUOP_down:
		return op_down(v);
	case VCPUOP_is_up:
		return !(READ_ONCE(v->pause_flags) & VPF_DOWN);
	case VCPUOP_get_runstate_info:
		return op_get_runstate(v, arg, hc->compat);
	case VCPUOP_set_periodic_timer:
		return op_set_periodic(v, arg);
	case VCPUOP_stop_periodic_timer:
		periodic_set(v, 0);
		return 0;
	case VCPUOP_set_singleshot_timer:
		return op_set_singleshot(v, arg, hc->compat);
	case VCPUOP_stop_singleshot_timer:
		return op_stop_singleshot(v);
	case VCPUOP_register_vcpu_info:
		return op_register_info(v, arg);
	case VCPUOP_register_runstate_memory_area:
		return op_register_runstate(v, arg, hc->compat);
	case VCPUOP_register_vcpu_time_memory_area:
		return op_register_time(v, arg, hc->compat);
	case VCPUOP_send_nmi:
		if (arg)
			return -EINVAL;
		arch_vcpu_nmi(v);
		return 0;
	case VCPUOP_get_physid:
		return op_get_physid(v, arg);
	default:
		return -ENOSYS;
	}
}
