/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scheduling: the mechanism that all policies share. */
#include <bulkhead/abi.h>
#include <bulkhead/domain.h>
#include <bulkhead/event.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/sched.h>
#include <bulkhead/string.h>

#include <xen/domctl.h>
#include <xen/sysctl.h>

struct sched_cpu {
	struct timer slice; /* makes the CPU pick anew */
	bool wanted;	    /* SOFTIRQ_SCHED was seen */
};

static const struct sched_policy *const policies[] = {&sched_policy_fair};
static const struct sched_policy *policy __ro_after_init = &sched_policy_fair;

/* Holder of the idle vCPUs, one for each CPU. It is in no list and is never destroyed. */
static struct vcpu *idle_vcpus[MAX_CPUS];
static struct domain idle_domain = {
	.id = DOMID_IDLE,
	.refs = 1,
	.target = DOMID_INVALID,
	.vcpus = idle_vcpus,
	.max_vcpus = MAX_CPUS,
};

/* ---- Runstates ---- */

/* Of one that does not run. */
static int runstate_off_cpu(const struct vcpu *v)
{
	unsigned flags = v->pause_flags;

	if (!flags)
		return RUNSTATE_runnable;
	return (flags & VPF_BLOCKED) && !(flags & VPF_DOWN) ? RUNSTATE_blocked : RUNSTATE_offline;
}

static int runstate_of(const struct vcpu *v)
{
	return v->is_running ? RUNSTATE_running : runstate_off_cpu(v);
}

/* Accounts the time in the state that v leaves. Its scheduler lock is held. */
static void runstate_set(struct vcpu *v, int state, uint64_t now)
{
	struct vcpu_runstate_info *r = &v->runstate;

	if (r->state == state)
		return;
	if (now > r->state_entry_time) {
		r->time[r->state] += now - r->state_entry_time;
		r->state_entry_time = now;
	}
	r->state = state;
	arch_vcpu_runstate_update(v);
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *ret_info)
{
	unsigned long flags = spin_lock_irqsave(&v->sched_lock);
	uint64_t now = time_now();

	*ret_info = v->runstate;
	if (now > ret_info->state_entry_time)
		ret_info->time[ret_info->state] += now - ret_info->state_entry_time;
	spin_unlock_irqrestore(&v->sched_lock, flags);
}

void vcpu_runstate_leaving(struct vcpu *v, struct vcpu_runstate_info *ret_info)
{
	unsigned long flags = spin_lock_irqsave(&v->sched_lock);
	uint64_t now = time_now();

	*ret_info = v->runstate;
	if (now > ret_info->state_entry_time) {
		ret_info->time[ret_info->state] += now - ret_info->state_entry_time;
		ret_info->state_entry_time = now;
	}
	ret_info->state = runstate_off_cpu(v);
	spin_unlock_irqrestore(&v->sched_lock, flags);
}

/* ---- Reasons not to run ---- */

/* The scheduler lock is held. */
static void set_flags(struct vcpu *v, unsigned vpf)
{
	unsigned old = v->pause_flags;

	__atomic_store_n(&v->pause_flags, old | vpf, __ATOMIC_SEQ_CST);
	if (!old) {
		policy->sleep(v);
		/* Stable from here on: a vCPU that may not run is not picked. */
		if (v->is_running)
			softirq_raise_on(v->cpu, SOFTIRQ_SCHED);
	}
	if (!v->is_running)
		runstate_set(v, runstate_of(v), time_now());
}

/* The scheduler lock is held. */
static void clear_flags(struct vcpu *v, unsigned vpf)
{
	unsigned old = v->pause_flags;

	if (!(old & vpf))
		return;
	if (old & vpf & VPF_BLOCKED)
		v->polling = false;
	__atomic_store_n(&v->pause_flags, old & ~vpf, __ATOMIC_SEQ_CST);
	/* One that is still on its CPU is looked at when it leaves: sched_switched(). */
	if (v->is_running)
		return;
	runstate_set(v, runstate_of(v), time_now());
	if (!v->pause_flags)
		policy->wake(v);
}

void vcpu_set_flag(struct vcpu *v, unsigned vpf)
{
	unsigned long flags = spin_lock_irqsave(&v->sched_lock);

	set_flags(v, vpf);
	spin_unlock_irqrestore(&v->sched_lock, flags);
}

void vcpu_clear_flag(struct vcpu *v, unsigned vpf)
{
	unsigned long flags = spin_lock_irqsave(&v->sched_lock);

	clear_flags(v, vpf);
	spin_unlock_irqrestore(&v->sched_lock, flags);
}

void vcpu_wait_stopped(struct vcpu *v)
{
	if (v == current_vcpu())
		return;
	while (__atomic_load_n(&v->is_running, __ATOMIC_ACQUIRE))
		arch_cpu_relax();
}

void vcpu_set_flag_sync(struct vcpu *v, unsigned vpf)
{
	vcpu_set_flag(v, vpf);
	vcpu_wait_stopped(v);
}

void vcpu_kick(struct vcpu *v)
{
	unsigned long flags;

	/* What the vCPU is woken for was stored before; it is looked at after the flag was set, or after is_running. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (READ_ONCE(v->pause_flags) & VPF_BLOCKED) {
		flags = spin_lock_irqsave(&v->sched_lock);
		clear_flags(v, VPF_BLOCKED);
		spin_unlock_irqrestore(&v->sched_lock, flags);
	}
	if (__atomic_load_n(&v->is_running, __ATOMIC_ACQUIRE)) {
		unsigned cpu = READ_ONCE(v->cpu);

		if (cpu != cpu_id())
			arch_cpu_kick(cpu);
	}
}

/* ---- Pause counts ---- */

/* VPF_PAUSED follows the two counts. Who changes a count calls this afterwards, so the last one gets it right. */
static void pause_update(struct vcpu *v, int delta)
{
	unsigned long flags = spin_lock_irqsave(&v->sched_lock);

	v->pause_count += (unsigned)delta;
	if (v->pause_count || __atomic_load_n(&v->domain->pause_count, __ATOMIC_SEQ_CST))
		set_flags(v, VPF_PAUSED);
	else
		clear_flags(v, VPF_PAUSED);
	spin_unlock_irqrestore(&v->sched_lock, flags);
}

void vcpu_pause(struct vcpu *v)
{
	pause_update(v, 1);
}

void vcpu_pause_sync(struct vcpu *v)
{
	vcpu_pause(v);
	vcpu_wait_stopped(v);
}

void vcpu_unpause(struct vcpu *v)
{
	ASSERT(v->pause_count);
	pause_update(v, -1);
}

void domain_pause(struct domain *d)
{
	struct vcpu *v;
	unsigned i;

	__atomic_fetch_add(&d->pause_count, 1, __ATOMIC_SEQ_CST);
	DOMAIN_FOR_EACH_VCPU (d, v, i)
		pause_update(v, 0);
}

void domain_pause_sync(struct domain *d)
{
	struct vcpu *v;
	unsigned i;

	domain_pause(d);
	DOMAIN_FOR_EACH_VCPU (d, v, i)
		vcpu_wait_stopped(v);
}

void domain_unpause(struct domain *d)
{
	uint32_t old = __atomic_fetch_sub(&d->pause_count, 1, __ATOMIC_SEQ_CST);
	struct vcpu *v;
	unsigned i;

	ASSERT(old);
	DOMAIN_FOR_EACH_VCPU (d, v, i)
		pause_update(v, 0);
}

/* ---- The current vCPU blocks ---- */

void sched_block(void)
{
	struct vcpu *v = current_vcpu();

	vcpu_set_flag(v, VPF_BLOCKED);
	/*
	 * Who interrupts v stores what for, then kicks; here the flag comes first, then the look. An event that v cannot
	 * take now (interrupts off, no upcall set up) is no reason to stay awake.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (arch_vcpu_has_work(v))
		vcpu_clear_flag(v, VPF_BLOCKED);
}

void sched_yield_current(void)
{
	struct vcpu *v = current_vcpu();

	policy->yield(v);
	softirq_raise(SOFTIRQ_SCHED);
}

static void poll_timeout(void *data)
{
	struct vcpu *v = data;
	unsigned long flags = spin_lock_irqsave(&v->sched_lock);

	/* It may have been woken and be blocked for something else by now. */
	if (v->polling)
		clear_flags(v, VPF_BLOCKED);
	spin_unlock_irqrestore(&v->sched_lock, flags);
}

/* Sets or takes back that the current vCPU polls. */
static void set_polling(struct vcpu *v, bool on, uint32_t port)
{
	unsigned long flags = spin_lock_irqsave(&v->sched_lock);

	if (on) {
		v->poll_port = port;
		v->polling = true;
		set_flags(v, VPF_BLOCKED);
	} else {
		clear_flags(v, VPF_BLOCKED);
	}
	spin_unlock_irqrestore(&v->sched_lock, flags);
}

int sched_poll(unsigned nr_ports, const uint32_t *ports, uint64_t timeout)
{
	struct vcpu *v = current_vcpu();
	int ret = 0;

	/* A timeout that was left over from the last poll must not end this one. */
	timer_stop(&v->poll_timer);
	set_polling(v, true, nr_ports == 1 ? ports[0] : 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (arch_vcpu_has_work(v))
		goto out;
	for (unsigned i = 0; i < nr_ports; i++) {
		ret = event_port_pending(v->domain, ports[i]);
		if (ret)
			goto out;
	}
	if (timeout) {
		timer_migrate(&v->poll_timer, cpu_id());
		timer_set(&v->poll_timer, timeout);
	}
	return 0;

out:
	set_polling(v, false, 0);
	return MIN(ret, 0);
}

/* ---- Switching ---- */

static void sched_softirq(void)
{
	this_cpu()->sched->wanted = true;
}

bool sched_switch_wanted(void)
{
	return this_cpu()->sched->wanted;
}

static void slice_expired(void *data)
{
	(void)data;
	softirq_raise(SOFTIRQ_SCHED);
}

void sched_slice_set(unsigned cpu, uint64_t deadline)
{
	struct timer *t = &cpu_table[cpu]->sched->slice;

	if (deadline == TIME_NEVER)
		timer_stop(t);
	else
		timer_set(t, deadline);
}

struct vcpu *sched_switch(void)
{
	struct cpu *c = this_cpu();
	struct vcpu *prev = c->current, *next;
	unsigned long flags;
	uint64_t now;

	c->sched->wanted = false;
	flags = arch_irq_save();
	now = time_now();
	next = policy->pick(c->id, now);
	if (next != prev) {
		c->current = next;
		if (prev->is_idle) { /* its time is what tools take for the CPU's idle time */
			spin_lock(&prev->sched_lock);
			runstate_set(prev, RUNSTATE_runnable, now);
			spin_unlock(&prev->sched_lock);
		}
		spin_lock(&next->sched_lock);
		runstate_set(next, RUNSTATE_running, now);
		spin_unlock(&next->sched_lock);
	}
	arch_irq_restore(flags);
	if (next != prev && !next->is_idle)
		vcpu_timers_enter(next, c->id);
	return next;
}

void sched_switched(struct vcpu *prev)
{
	unsigned long flags;

	if (prev->is_idle)
		return;
	vcpu_timers_leave(prev);
	flags = spin_lock_irqsave(&prev->sched_lock);
	__atomic_store_n(&prev->is_running, false, __ATOMIC_RELEASE);
	runstate_set(prev, runstate_of(prev), time_now());
	if (!prev->pause_flags)
		policy->wake(prev);
	spin_unlock_irqrestore(&prev->sched_lock, flags);
}

/* ---- Affinity ---- */

static void set_hard(struct vcpu *v, const cpumask_t *hard)
{
	v->hard_affinity = *hard;
	policy->affinity_changed(v);
	if (v->is_running && !cpumask_test(hard, v->cpu))
		softirq_raise_on(v->cpu, SOFTIRQ_SCHED);
}

/* False if nothing is left. */
static bool mask_online(const cpumask_t *mask, cpumask_t *ret_mask)
{
	unsigned long any = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(mask->bits); i++) {
		ret_mask->bits[i] = mask->bits[i] & cpu_online.bits[i];
		any |= ret_mask->bits[i];
	}
	return any;
}

int sched_set_affinity(struct vcpu *v, const cpumask_t *hard, const cpumask_t *soft)
{
	cpumask_t new_hard, new_soft;
	unsigned long flags;
	int ret = 0;

	if ((hard && !mask_online(hard, &new_hard)) || (soft && !mask_online(soft, &new_soft)))
		return -EINVAL;
	flags = spin_lock_irqsave(&v->sched_lock);
	if (v->pinned) {
		ret = -EBUSY;
	} else {
		if (soft) {
			v->soft_affinity = new_soft;
			policy->affinity_changed(v);
		}
		if (hard)
			set_hard(v, &new_hard);
	}
	spin_unlock_irqrestore(&v->sched_lock, flags);
	return ret;
}

int sched_pin_override(struct vcpu *v, int cpu)
{
	cpumask_t one = {{0}};
	unsigned long flags;
	int ret = 0;

	if (cpu >= MAX_CPUS || (cpu >= 0 && !cpumask_test(&cpu_online, (unsigned)cpu)))
		return -EINVAL;
	flags = spin_lock_irqsave(&v->sched_lock);
	if (cpu < 0 && v->pinned) {
		v->pinned = false;
		set_hard(v, &v->saved_affinity);
	} else if (cpu < 0) {
		ret = -EINVAL;
	} else if (v->pinned) {
		ret = -EBUSY;
	} else {
		v->saved_affinity = v->hard_affinity;
		v->pinned = true;
		cpumask_set(&one, (unsigned)cpu);
		set_hard(v, &one);
	}
	spin_unlock_irqrestore(&v->sched_lock, flags);
	return ret;
}

/* ---- Control operations ---- */

int sched_domctl(struct domain *d, struct xen_domctl_scheduler_op *op)
{
	if (op->sched_id != policy->id || op->cmd > XEN_DOMCTL_SCHEDOP_getvcpuinfo)
		return -EINVAL;
	return policy->domctl(d, op);
}

int sched_sysctl(struct xen_sysctl_scheduler_op *op)
{
	if (op->cmd != XEN_SYSCTL_SCHEDOP_putinfo && op->cmd != XEN_SYSCTL_SCHEDOP_getinfo)
		return -EINVAL;
	if (op->cpupool_id != 0)
		return -ESRCH;
	if (op->sched_id != policy->id)
		return -EINVAL;
	return policy->sysctl(op);
}

unsigned sched_policy_id(void)
{
	return policy->id;
}

const char *sched_policy_name(void)
{
	return policy->name;
}

/* ---- Life of vCPUs, domains and CPUs ---- */

int sched_vcpu_init(struct vcpu *v, unsigned cpu)
{
	int ret;

	spin_init(&v->sched_lock);
	v->cpu = cpu;
	v->pause_flags = VPF_DOWN;
	if (__atomic_load_n(&v->domain->pause_count, __ATOMIC_SEQ_CST))
		v->pause_flags |= VPF_PAUSED;
	memset(&v->hard_affinity, 0xff, sizeof(v->hard_affinity));
	memset(&v->soft_affinity, 0xff, sizeof(v->soft_affinity));
	v->runstate.state = RUNSTATE_offline;
	v->runstate.state_entry_time = time_now();
	ret = timer_init(&v->poll_timer, poll_timeout, v, cpu);
	return ret ? ret : policy->vcpu_init(v);
}

void sched_vcpu_finish(struct vcpu *v)
{
	vcpu_wait_stopped(v);
	timer_finish(&v->poll_timer);
	if (v->sched)
		policy->vcpu_finish(v);
}

int sched_domain_init(struct domain *d)
{
	return policy->domain_init(d);
}

void sched_domain_finish(struct domain *d)
{
	if (d->sched)
		policy->domain_finish(d);
}

int sched_cpu_init(unsigned cpu)
{
	struct cpu *c = cpu_table[cpu];
	struct sched_cpu *s = heap_alloc(sizeof(*s));
	struct vcpu *v = heap_alloc(sizeof(*v));
	int ret = -ENOMEM;

	if (!s || !v)
		goto err_free;
	spin_init(&v->sched_lock);
	v->id = cpu;
	v->cpu = cpu;
	v->domain = &idle_domain;
	v->is_idle = v->is_running = true;
	v->info = &v->dummy_info;
	v->runstate.state = RUNSTATE_running;
	v->runstate.state_entry_time = time_now();
	cpumask_set(&v->hard_affinity, cpu);
	cpumask_set(&v->soft_affinity, cpu);

	ret = timer_init(&s->slice, slice_expired, NULL, cpu);
	if (ret)
		goto err_free;
	idle_vcpus[cpu] = v;
	c->sched = s;
	c->idle = c->current = v;
	ret = policy->cpu_init(cpu);
	if (ret)
		goto err_unlink;
	/* The first pass of its main loop asks for a vCPU; before that it gets none. */
	__atomic_fetch_or(&c->softirqs, 1U << SOFTIRQ_SCHED, __ATOMIC_SEQ_CST);
	return 0;

err_unlink:
	idle_vcpus[cpu] = NULL;
	c->sched = NULL;
	c->idle = c->current = NULL;
err_free:
	heap_free(v);
	heap_free(s);
	return ret;
}

int sched_set_policy(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(policies); i++) {
		if (!strcmp(name, policies[i]->option)) {
			policy = policies[i];
			return 0;
		}
	}
	return -ENOENT;
}

int sched_init(void)
{
	spin_init(&idle_domain.lock);
	spin_init(&idle_domain.page_lock);
	page_list_init(&idle_domain.pages);
	page_list_init(&idle_domain.specials);
	list_init(&idle_domain.gmaps);
	list_init(&idle_domain.link);
	softirq_register(SOFTIRQ_SCHED, sched_softirq);
	log_info("scheduler: %s\n", policy->name);
	return sched_cpu_init(cpu_id());
}
