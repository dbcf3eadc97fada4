// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the hypercalls vcpu_op, set_timer_op and sched_op, and of runstate areas.
// links: hypervisor/common/domain.c hypervisor/common/domain_vcpu.c hypervisor/common/shutdown.c
// links: hypervisor/common/hypercall_vcpu.c hypervisor/common/hypercall_sched.c hypervisor/common/runstate.c
// links: hypervisor/common/sched.c hypervisor/common/sched_fair.c hypervisor/common/sched_fair_ctl.c
// links: hypervisor/common/timer.c hypervisor/common/prioq.c hypervisor/common/softirq.c hypervisor/common/work.c
// links: hypervisor/common/loop.c hypervisor/arch/fake/fake.c hypervisor/common/page_owner.c tests/unit/domain_life.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>

#include <xen/hvm/hvm_vcpu.h>

#include "domain_life.h"

#define ARG 0x100   /* where arguments are in guest memory */
#define BAD 0x10000 /* where there is no memory */

static struct domain *d;
static struct vcpu *v;

/* A domain with two vCPUs, of which 0 runs and 1 is down. */
static int set_up(void **state)
{
	life_init(state);
	d = life_domain(1, 2);
	v = d->vcpus[0];
	v->arch.initialised = true;
	vcpu_clear_flag(v, VPF_DOWN);
	domain_unpause(d);
	assert_ptr_equal(life_loop(), v);
	return 0;
}

static int64_t vcpu_op(unsigned op, unsigned id, uint64_t arg)
{
	return life_call(hypercall_vcpu_op, false, op, id, arg);
}

static int64_t vcpu_op32(unsigned op, unsigned id, uint64_t arg)
{
	return life_call(hypercall_vcpu_op, true, op, id, arg);
}

static int64_t sched_op(unsigned op, uint64_t arg)
{
	return life_call(hypercall_sched_op, false, op, arg, 0);
}

static int64_t sched_op32(unsigned op, uint64_t arg)
{
	return life_call(hypercall_sched_op, true, op, arg, 0);
}

static uint64_t put(const void *p, size_t size)
{
	memset(fake_guest_memory + ARG, 0xee, 256);
	memcpy(fake_guest_memory + ARG, p, size);
	return ARG;
}

/* ---- vcpu_op ---- */

static void unknown(void **state)
{
	(void)state;
	assert_int_equal(vcpu_op(14, 0, 0), -ENOSYS);
	assert_int_equal(vcpu_op(~0U, 0, 0), -ENOSYS);
	assert_int_equal(vcpu_op(VCPUOP_is_up, 2, 0), -ENOENT);
	assert_int_equal(vcpu_op(VCPUOP_is_up, ~0U, 0), -ENOENT);
	assert_int_equal(vcpu_op(14, 2, 0), -ENOENT);
	assert_int_equal(sched_op(8, ARG), -ENOSYS);
	assert_int_equal(sched_op(~0U, ARG), -ENOSYS);
}

static void up_and_down(void **state)
{
	struct vcpu_hvm_context ctx = {.mode = VCPU_HVM_MODE_32B};

	(void)state;
	assert_int_equal(vcpu_op(VCPUOP_is_up, 0, 0), 1);
	assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 0);
	assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), -EINVAL);
	assert_int_equal(vcpu_op(VCPUOP_initialise, 1, BAD), -EFAULT);
	assert_int_equal(vcpu_op(VCPUOP_initialise, 1, put(&ctx, sizeof(ctx))), 0);
	assert_int_equal(vcpu_op(VCPUOP_initialise, 1, ARG), -EEXIST);
	assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 0);
	assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), 0);
	assert_int_equal(vcpu_op(VCPUOP_up, 1, 0), 0);
	assert_int_equal(vcpu_op(VCPUOP_is_up, 1, 0), 1);
	/* Down: itself too, as long as there is another. */
	assert_int_equal(vcpu_op(VCPUOP_down, 0, 0), 0);
	assert_ptr_equal(life_loop(), d->vcpus[1]);
	assert_false(d->shutting_down);
	assert_int_equal(vcpu_op(VCPUOP_down, 1, 0), 0);
	assert_true(d->shutting_down);
	assert_int_equal(d->shutdown_code, SHUTDOWN_poweroff);
	assert_true(life_loop()->is_idle);
}

/* Without a place for its vcpu_info a vCPU cannot be initialised. */
static void initialise_needs_info(void **state)
{
	struct vcpu_hvm_context ctx = {0};
	struct domain *e = life_domain(2, XEN_LEGACY_MAX_VCPUS + 1);

	(void)state;
	e->vcpus[0]->arch.initialised = true;
	vcpu_clear_flag(e->vcpus[0], VPF_DOWN);
	domain_unpause(e);
	vcpu_set_flag(v, VPF_IO);
	assert_ptr_equal(life_loop(), e->vcpus[0]);
	assert_int_equal(vcpu_op(VCPUOP_initialise, XEN_LEGACY_MAX_VCPUS, put(&ctx, sizeof(ctx))),
			 -EINVAL);
	assert_int_equal(vcpu_op(VCPUOP_initialise, XEN_LEGACY_MAX_VCPUS - 1, ARG), 0);
}

static void singleshot(void **state)
{
	struct vcpu_set_singleshot_timer op = {.timeout_abs_ns = fake_now + 5000};

	(void)state;
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 1, BAD), -EINVAL);
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 0, BAD), -EFAULT);
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 0, put(&op, sizeof(op))), 0);
	life_pass(4999);
	assert_int_equal(seen.timer_virqs, 0);
	life_pass(1);
	assert_int_equal(seen.timer_virqs, 1);
	assert_ptr_equal(seen.timer_vcpu, v);

	/* In the past: at once, with and without the flag that asks for an error. */
	op.timeout_abs_ns = fake_now - 1;
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 0, put(&op, sizeof(op))), 0);
	assert_int_equal(seen.timer_virqs, 2);
	op.flags = VCPU_SSHOTTMR_future;
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 0, put(&op, sizeof(op))), 0);
	assert_int_equal(seen.timer_virqs, 3);
	life_pass(MSEC(1));
	assert_int_equal(seen.timer_virqs, 3);

	/* And that takes back one that was set. */
	op.timeout_abs_ns = fake_now + 100;
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 0, put(&op, sizeof(op))), 0);
	op.timeout_abs_ns = 1;
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 0, put(&op, sizeof(op))), 0);
	life_pass(MSEC(1));
	assert_int_equal(seen.timer_virqs, 4);

	op.timeout_abs_ns = fake_now + 100;
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 0, put(&op, sizeof(op))), 0);
	assert_int_equal(vcpu_op(VCPUOP_stop_singleshot_timer, 1, 0), -EINVAL);
	assert_int_equal(vcpu_op(VCPUOP_stop_singleshot_timer, 0, 0), 0);
	life_pass(MSEC(1));
	assert_int_equal(seen.timer_virqs, 4);
}

/* The 32-bit structure is shorter: it may end where memory does. */
static void singleshot_32(void **state)
{
	uint64_t at = fake_guest_size - 12;

	(void)state;
	store_u64(fake_guest_memory + at, fake_now + 100);
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 0, at), -EFAULT);
	assert_int_equal(vcpu_op32(VCPUOP_set_singleshot_timer, 0, at), 0);
	life_pass(100);
	assert_int_equal(seen.timer_virqs, 1);
}

/* A timer wakes its vCPU from a sleep. */
static void singleshot_wakes(void **state)
{
	struct vcpu_set_singleshot_timer op = {.timeout_abs_ns = fake_now + MSEC(3)};

	(void)state;
	assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, 0, put(&op, sizeof(op))), 0);
	assert_int_equal(sched_op(SCHEDOP_block, 0), 0);
	assert_true(life_loop()->is_idle);
	life_pass(MSEC(3));
	assert_ptr_equal(current_vcpu(), v);
}

static void periodic(void **state)
{
	struct vcpu_set_periodic_timer op = {.period_ns = MSEC(1) - 1};

	(void)state;
	fake_now += MSEC(50);
	assert_int_equal(vcpu_op(VCPUOP_set_periodic_timer, 0, BAD), -EFAULT);
	assert_int_equal(vcpu_op(VCPUOP_set_periodic_timer, 0, put(&op, sizeof(op))), -EINVAL);
	op.period_ns = (~0ULL >> 2) + 1;
	assert_int_equal(vcpu_op(VCPUOP_set_periodic_timer, 0, put(&op, sizeof(op))), -EINVAL);
	op.period_ns = MSEC(10);
	assert_int_equal(vcpu_op(VCPUOP_set_periodic_timer, 0, put(&op, sizeof(op))), 0);
	assert_int_equal(seen.timer_virqs, 1);
	life_pass(MSEC(100));
	assert_int_equal(seen.timer_virqs, 11);

	/* It does not wake its vCPU; when that comes back there is one tick. */
	assert_int_equal(sched_op(SCHEDOP_block, 0), 0);
	life_pass(MSEC(95));
	assert_int_equal(seen.timer_virqs, 11);
	vcpu_kick(v);
	life_pass(0);
	assert_int_equal(seen.timer_virqs, 12);
	life_pass(MSEC(9));
	assert_int_equal(seen.timer_virqs, 12);
	life_pass(MSEC(1));
	assert_int_equal(seen.timer_virqs, 13);

	assert_int_equal(vcpu_op(VCPUOP_stop_periodic_timer, 0, 0), 0);
	life_pass(MSEC(100));
	assert_int_equal(seen.timer_virqs, 13);
	/* Of another vCPU, which does not run: it has a tick due, and no more until it does. */
	assert_int_equal(vcpu_op(VCPUOP_set_periodic_timer, 1, put(&op, sizeof(op))), 0);
	life_pass(MSEC(100));
	assert_int_equal(seen.timer_virqs, 14);
	assert_ptr_equal(seen.timer_vcpu, d->vcpus[1]);
	assert_int_equal(vcpu_op(VCPUOP_stop_periodic_timer, 1, 0), 0);
}

static void register_info(void **state)
{
	struct vcpu_register_vcpu_info op = {.mfn = mfn_raw(life_ram(d)), .offset = 64};

	(void)state;
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 1, BAD), -EFAULT);
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 1, put(&op, sizeof(op))), 0);
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 1, ARG), -EINVAL);
	assert_int_equal(vcpu_op32(VCPUOP_register_vcpu_info, 0, ARG), 0);
	op.offset = PAGE_SIZE;
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_info, 0, put(&op, sizeof(op))), -ENXIO);
	assert_int_equal(seen.moved, 2);
}

static void time_area_nmi_physid(void **state)
{
	uint64_t gva = 0x1234567890;
	cpumask_t m = {{1}};
	struct domain *dom0;

	(void)state;
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, BAD), -EFAULT);
	assert_int_equal(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, put(&gva, 8)), 0);
	assert_int_equal(v->time_info_gva, gva);
	assert_int_equal(v->arch.time_updates, 1);
	assert_int_equal(vcpu_op32(VCPUOP_register_vcpu_time_memory_area, 0, ARG), 0);
	assert_int_equal(v->time_info_gva, (uint32_t)gva);

	assert_int_equal(vcpu_op(VCPUOP_send_nmi, 1, ARG), -EINVAL);
	assert_int_equal(vcpu_op(VCPUOP_send_nmi, 1, 0), 0);
	assert_int_equal(d->vcpus[1]->arch.nmis, 1);

	/* Only of the hardware domain's vCPUs, and if they are pinned. */
	assert_int_equal(sched_set_affinity(v, &m, NULL), 0);
	assert_int_equal(vcpu_op(VCPUOP_get_physid, 0, ARG), -EINVAL);
	vcpu_set_flag(v, VPF_IO);
	dom0 = life_domain(0, 1);
	life_start(dom0);
	cpumask_set(&cpu_online, 1);
	assert_int_equal(vcpu_op(VCPUOP_get_physid, 0, ARG), -EINVAL);
	/* On a machine of one CPU all are. */
	cpu_online.bits[0] = 1;
	assert_int_equal(vcpu_op(VCPUOP_get_physid, 0, ARG), 0);
	cpumask_set(&cpu_online, 1);
	assert_int_equal(sched_set_affinity(dom0->vcpus[0], &m, NULL), 0);
	assert_int_equal(vcpu_op(VCPUOP_get_physid, 0, BAD), -EFAULT);
	assert_int_equal(vcpu_op(VCPUOP_get_physid, 0, ARG), 0);
	assert_int_equal(load_u64(fake_guest_memory + ARG), arch_cpu_physid(0));
	cpu_online.bits[0] = 1;
}

static void timer_op(void **state)
{
	(void)state;
	assert_int_equal(life_call(hypercall_set_timer_op, false, fake_now + 100, 0, 0), 0);
	life_pass(100);
	assert_int_equal(seen.timer_virqs, 1);
	/* The past: at once. */
	assert_int_equal(life_call(hypercall_set_timer_op, false, 1, 0, 0), 0);
	life_pass(0);
	assert_int_equal(seen.timer_virqs, 2);
	/* 0 takes it back. */
	assert_int_equal(life_call(hypercall_set_timer_op, false, fake_now + 100, 0, 0), 0);
	assert_int_equal(life_call(hypercall_set_timer_op, false, 0, 0, 0), 0);
	life_pass(MSEC(200));
	assert_int_equal(seen.timer_virqs, 2);
	/* Negative or very far: after 100 ms. */
	assert_int_equal(life_call(hypercall_set_timer_op, false, ~0ULL, 0, 0), 0);
	life_pass(MSEC(100) - 1);
	assert_int_equal(seen.timer_virqs, 2);
	life_pass(1);
	assert_int_equal(seen.timer_virqs, 3);
	assert_int_equal(life_call(hypercall_set_timer_op, false, fake_now + (1ULL << 50), 0, 0),
			 0);
	life_pass(MSEC(100));
	assert_int_equal(seen.timer_virqs, 4);
	/* Two registers of a 32-bit caller. */
	fake_now += 1ULL << 33;
	life_pass(0);
	assert_int_equal(life_call(hypercall_set_timer_op, true, (uint32_t)(fake_now + 500),
				   fake_now >> 32, 0),
			 0);
	life_pass(499);
	assert_int_equal(seen.timer_virqs, 4);
	life_pass(1);
	assert_int_equal(seen.timer_virqs, 5);
}

/* ---- Runstates ---- */

/* Takes v off the CPU for a while, ready to run. */
static void be_preempted(uint64_t ns)
{
	vcpu_set_flag(v, VPF_IO);
	life_pass(ns);
	vcpu_clear_flag(v, VPF_IO);
	life_pass(0);
	assert_ptr_equal(current_vcpu(), v);
}

static void runstate_query(void **state)
{
	struct vcpu_runstate_info info;

	(void)state;
	life_pass(MSEC(2));
	assert_int_equal(vcpu_op(VCPUOP_get_runstate_info, 0, BAD), -EFAULT);
	assert_int_equal(vcpu_op(VCPUOP_get_runstate_info, 0, ARG), 0);
	memcpy(&info, fake_guest_memory + ARG, sizeof(info));
	assert_int_equal(info.state, RUNSTATE_running);
	assert_int_equal(info.time[RUNSTATE_running], MSEC(2));
	assert_int_equal(vcpu_op32(VCPUOP_get_runstate_info, 1, ARG), 0);
	assert_int_equal(load_u32(fake_guest_memory + ARG), RUNSTATE_offline);
	assert_int_equal(load_u64(fake_guest_memory + ARG + 4 + 8 + 8 * RUNSTATE_offline), MSEC(2));
}

static void runstate_area(void **state)
{
	uint64_t gva = 0x800;
	struct vcpu_runstate_info *info = (void *)(fake_guest_memory + 0x800);

	(void)state;
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, BAD), -EFAULT);
	life_pass(MSEC(1));
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, put(&gva, 8)), 0);
	assert_int_equal(info->state, RUNSTATE_running);
	assert_int_equal(info->time[RUNSTATE_running], MSEC(1));
	be_preempted(MSEC(7));
	assert_int_equal(info->state, RUNSTATE_running);
	assert_int_equal(info->state_entry_time, fake_now);
	assert_int_equal(info->time[RUNSTATE_offline], MSEC(7));
	/* Others see that it does not run, and why. */
	vcpu_set_flag(v, VPF_IO);
	life_pass(MSEC(1));
	assert_int_equal(info->state, RUNSTATE_offline);
	assert_int_equal(info->state_entry_time, v->runstate.state_entry_time);
	vcpu_clear_flag(v, VPF_IO);
	assert_ptr_equal(life_loop(), v);
	assert_int_equal(sched_op(SCHEDOP_block, 0), 0);
	assert_true(life_loop()->is_idle);
	assert_int_equal(info->state, RUNSTATE_blocked);
	vcpu_kick(v);
	assert_ptr_equal(life_loop(), v);
	assert_int_equal(info->state, RUNSTATE_running);
	be_preempted(MSEC(6));
	/* One that is not there is the guest's own loss. */
	gva = BAD;
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, put(&gva, 8)), 0);
	be_preempted(MSEC(1));
	assert_int_equal(info->time[RUNSTATE_offline], MSEC(14));
	/* 0: none. */
	gva = 0;
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, put(&gva, 8)), 0);
	memset(fake_guest_memory, 0x55, 48);
	be_preempted(MSEC(1));
	assert_int_equal(load_u64(fake_guest_memory), 0x5555555555555555);
}

static void runstate_area_32(void **state)
{
	uint8_t *p = fake_guest_memory + 0x804;
	uint32_t gva = 0x804;

	(void)state;
	put(&gva, 4);
	memset(p, 0x55, 48);
	assert_int_equal(vcpu_op32(VCPUOP_register_runstate_memory_area, 0, ARG), 0);
	be_preempted(MSEC(7));
	assert_int_equal(load_u32(p), RUNSTATE_running);
	assert_int_equal(load_u64(p + 4), fake_now);
	assert_int_equal(load_u64(p + 12 + 8 * RUNSTATE_offline), MSEC(7));
	assert_int_equal(load_u32(p + 44), 0x55555555);
}

/* What the guest's memory looked like in the course of an update. */
static uint64_t entry_times[8];
static unsigned copies;
static size_t time_offset;

int guest_copy_to(uint64_t guest_va, const void *src, size_t len)
{
	if (guest_va > fake_guest_size || len > fake_guest_size - guest_va)
		return -EFAULT;
	memcpy(fake_guest_memory + guest_va, src, len);
	if (copies < ARRAY_SIZE(entry_times))
		entry_times[copies] = load_u64(fake_guest_memory + 0x800 + time_offset);
	copies++;
	return 0;
}

static void check_update(void)
{
	memset(fake_guest_memory + 0x800, 0, 64);
	copies = 0;
	be_preempted(MSEC(7));
	/* When it leaves and when it is back: the flag is there before anything else changes, and until all has. */
	assert_int_equal(copies, 6);
	for (unsigned i = 0; i < 6; i += 3) {
		assert_true(entry_times[i] & XEN_RUNSTATE_UPDATE);
		assert_true(entry_times[i + 1] & XEN_RUNSTATE_UPDATE);
		assert_int_equal(entry_times[i + 2], fake_now - (i ? 0 : MSEC(7)));
	}
	assert_int_equal(load_u64(fake_guest_memory + 0x800 + time_offset + 8 +
				  8 * RUNSTATE_offline),
			 v->runstate.time[RUNSTATE_offline]);
}

static void runstate_update_flag(void **state)
{
	uint64_t gva = 0x800;

	(void)state;
	d->vm_assist = 1U << VMASST_TYPE_runstate_update_flag;
	time_offset = 8;
	assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, 0, put(&gva, 8)), 0);
	check_update();
	time_offset = 4;
	assert_int_equal(vcpu_op32(VCPUOP_register_runstate_memory_area, 0, ARG), 0);
	check_update();
}

/* ---- sched_op ---- */

static bool interrupt_pending(struct vcpu *w)
{
	return w == v;
}

static void yield_and_block(void **state)
{
	(void)state;
	assert_int_equal(sched_op(SCHEDOP_yield, 0), 0);
	assert_ptr_equal(life_loop(), v);
	assert_int_equal(sched_op(SCHEDOP_block, 0), 0);
	assert_true(life_loop()->is_idle);
	vcpu_kick(v);
	assert_ptr_equal(life_loop(), v);
	fake_has_work = interrupt_pending;
	assert_int_equal(sched_op(SCHEDOP_block, 0), 0);
	assert_ptr_equal(life_loop(), v);
	fake_has_work = NULL;
}

static void shutdown_op(void **state)
{
	/* Reasons are a byte. */
	uint32_t reason = 0x100 | SHUTDOWN_reboot;

	(void)state;
	assert_int_equal(sched_op(SCHEDOP_shutdown, BAD), -EFAULT);
	assert_int_equal(sched_op(SCHEDOP_shutdown, put(&reason, 4)), 0);
	assert_true(life_loop()->is_idle);
	assert_true(d->shut_down);
	assert_int_equal(d->shutdown_code, SHUTDOWN_reboot);
}

static void shutdown_code_op(void **state)
{
	uint32_t reason = SHUTDOWN_crash;

	(void)state;
	assert_int_equal(sched_op(SCHEDOP_shutdown_code, BAD), -EFAULT);
	assert_int_equal(sched_op(SCHEDOP_shutdown_code, put(&reason, 4)), 0);
	assert_ptr_equal(life_loop(), v);
	assert_int_equal(d->shutdown_code, SHUTDOWN_crash);
}

static void poll_op(void **state)
{
	uint32_t ports[2] = {5, 6};
	struct sched_poll op = {.nr_ports = 129, .timeout = 0};
	uint32_t op32[4] = {0x200, 2, 0, 0};

	(void)state;
	memcpy(fake_guest_memory + 0x200, ports, sizeof(ports));
	op.ports.p = (evtchn_port_t *)(uintptr_t)0x200;
	assert_int_equal(sched_op(SCHEDOP_poll, BAD), -EFAULT);
	assert_int_equal(sched_op(SCHEDOP_poll, put(&op, sizeof(op))), -EINVAL);
	op.nr_ports = 2;
	op.ports.p = (evtchn_port_t *)(uintptr_t)BAD;
	assert_int_equal(sched_op(SCHEDOP_poll, put(&op, sizeof(op))), -EFAULT);
	op.ports.p = (evtchn_port_t *)(uintptr_t)0x200;
	life_pending_port = 6;
	assert_int_equal(sched_op(SCHEDOP_poll, put(&op, sizeof(op))), 0);
	assert_ptr_equal(life_loop(), v);
	life_pending_port = 0;
	op.timeout = fake_now + MSEC(1);
	assert_int_equal(sched_op(SCHEDOP_poll, put(&op, sizeof(op))), 0);
	assert_true(life_loop()->is_idle);
	life_pass(MSEC(1));
	assert_ptr_equal(current_vcpu(), v);

	/* 32 bits: pointer, count, timeout without padding. */
	store_u64(&op32[2], fake_now + MSEC(2));
	assert_int_equal(sched_op32(SCHEDOP_poll, put(op32, sizeof(op32))), 0);
	assert_true(v->polling);
	life_pass(MSEC(2) - 1);
	assert_true(current_vcpu()->is_idle);
	life_pass(1);
	assert_ptr_equal(current_vcpu(), v);
	store_u32(fake_guest_memory + 0x204, 101);
	assert_int_equal(sched_op32(SCHEDOP_poll, put(op32, sizeof(op32))), -EINVAL);
	assert_int_equal(v->pause_flags, 0);
}

static void remote_shutdown(void **state)
{
	struct sched_remote_shutdown op = {.domain_id = 2, .reason = SHUTDOWN_reboot};
	struct domain *e = life_domain(2, 1);

	(void)state;
	assert_int_equal(sched_op(SCHEDOP_remote_shutdown, BAD), -EFAULT);
	assert_int_equal(sched_op(SCHEDOP_remote_shutdown, put(&op, sizeof(op))), -EPERM);
	d->target = 2;
	assert_int_equal(sched_op(SCHEDOP_remote_shutdown, put(&op, sizeof(op))), 0);
	assert_true(e->shut_down);
	assert_int_equal(e->shutdown_code, SHUTDOWN_reboot);
	op.domain_id = 3;
	assert_int_equal(sched_op(SCHEDOP_remote_shutdown, put(&op, sizeof(op))), -ESRCH);
	op.domain_id = DOMID_SELF;
	assert_int_equal(sched_op(SCHEDOP_remote_shutdown, put(&op, sizeof(op))), -ESRCH);
	op.domain_id = 1;
	assert_int_equal(sched_op(SCHEDOP_remote_shutdown, put(&op, sizeof(op))), -EPERM);
	assert_false(d->shutting_down);
}

static void watchdog_op(void **state)
{
	struct sched_watchdog op = {.id = 0, .timeout = 2};

	(void)state;
	assert_int_equal(sched_op(SCHEDOP_watchdog, BAD), -EFAULT);
	assert_int_equal(sched_op(SCHEDOP_watchdog, put(&op, sizeof(op))), 1);
	life_pass(2 * NSEC_PER_SEC);
	assert_int_equal(d->shutdown_code, SHUTDOWN_watchdog);
}

static void pin_override_op(void **state)
{
	int32_t cpu = 0;
	struct domain *dom0;

	(void)state;
	assert_int_equal(sched_op(SCHEDOP_pin_override, put(&cpu, 4)), -EPERM);
	vcpu_set_flag(v, VPF_IO);
	dom0 = life_domain(0, 1);
	life_start(dom0);
	assert_int_equal(sched_op(SCHEDOP_pin_override, BAD), -EFAULT);
	assert_int_equal(sched_op(SCHEDOP_pin_override, put(&cpu, 4)), 0);
	cpu = 1;
	assert_int_equal(sched_op(SCHEDOP_pin_override, put(&cpu, 4)), -EINVAL);
	cpu = MAX_CPUS;
	assert_int_equal(sched_op(SCHEDOP_pin_override, put(&cpu, 4)), -EINVAL);
	cpu = -1;
	assert_int_equal(sched_op(SCHEDOP_pin_override, put(&cpu, 4)), 0);
	assert_int_equal(sched_op(SCHEDOP_pin_override, put(&cpu, 4)), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, life_finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(unknown),	     T(up_and_down),	      T(initialise_needs_info),
		T(singleshot),	     T(singleshot_32),	      T(singleshot_wakes),
		T(periodic),	     T(register_info),	      T(time_area_nmi_physid),
		T(timer_op),	     T(runstate_query),	      T(runstate_area),
		T(runstate_area_32), T(runstate_update_flag), T(yield_and_block),
		T(shutdown_op),	     T(shutdown_code_op),     T(poll_op),
		T(remote_shutdown),  T(watchdog_op),	      T(pin_override_op),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
