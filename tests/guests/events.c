// SPDX-License-Identifier: GPL-2.0-or-later
// Event channels and timers as a running dom0 uses them: delivery, masking, one-shot timers, polling.
// machine: icount
#include "guest.h"
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define MS	     1000000ul
#define ALARM_VECTOR 0x61u
#define ALARM_TICKS  20000000u
/* Nanoseconds, that is instructions. */
#define BEFORE_HALT  2000u
#define BEYOND_HALT  2000u

static volatile unsigned int alarms;

static long timer_set(uint64_t at, uint32_t flags)
{
	struct vcpu_set_singleshot_timer op = {.timeout_abs_ns = at, .flags = flags};

	return hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, ADDRESS(&op));
}

static evtchn_port_t bind_timer(void)
{
	static struct evtchn_bind_virq op = {.virq = VIRQ_TIMER, .vcpu = 0};

	if (!op.port && event_op(EVTCHNOP_bind_virq, &op))
		return 0;
	event_take_pending(op.port);
	event_unmask(op.port);
	return op.port;
}

GUEST_TEST(event_to_self)
{
	evtchn_port_t other, port = event_to_self(&other);
	struct evtchn_send send = {.port = other};
	struct evtchn_status status = {.dom = DOMID_SELF, .port = port};
	struct evtchn_close close = {.port = port};

	CHECK(port, "no port");
	CHECK(event_op(EVTCHNOP_status, &status) == 0, "no status");
	CHECK(status.status == EVTCHNSTAT_interdomain, "status %u", status.status);
	CHECK(status.u.interdomain.port == other, "peer %u", status.u.interdomain.port);
	event_upcalls = 0;
	CHECK(event_op(EVTCHNOP_send, &send) == 0, "send");
	CHECK(event_shared_info->evtchn_pending[port / 64] >> (port % 64) & 1, "not pending");
	CHECK(event_shared_info->vcpu_info[0].evtchn_upcall_pending, "no upcall is pending");
	CHECK(event_upcalls == 0, "delivered with interrupts off");
	CHECK(time_wait(&event_upcalls, 100 * MS), "no upcall came");
	CHECK(event_upcalls == 1, "%u upcalls", event_upcalls);
	CHECK(event_take_pending(port), "the port is not pending");
	CHECK(event_op(EVTCHNOP_close, &close) == 0, "close");
	status.port = other;
	CHECK(event_op(EVTCHNOP_status, &status) == 0, "no status of the peer");
	CHECK(status.status == EVTCHNSTAT_unbound, "after close the peer is %u", status.status);
	close.port = other;
	CHECK(event_op(EVTCHNOP_close, &close) == 0, "close the peer");
}

GUEST_TEST(event_mask)
{
	evtchn_port_t other, port = event_to_self(&other);
	struct evtchn_send send = {.port = other};

	CHECK(port, "no port");
	event_mask(port);
	event_upcalls = 0;
	CHECK(event_op(EVTCHNOP_send, &send) == 0, "send");
	CHECK(!time_wait(&event_upcalls, 5 * MS), "a masked port was delivered");
	CHECK(event_shared_info->evtchn_pending[port / 64] >> (port % 64) & 1, "not pending");
	/* Unmasking a pending port delivers it. */
	event_unmask(port);
	CHECK(time_wait(&event_upcalls, 100 * MS), "no upcall after unmask");
	CHECK(event_take_pending(port), "lost");
	/* Sending twice before it is taken is one event. */
	event_upcalls = 0;
	event_op(EVTCHNOP_send, &send);
	event_op(EVTCHNOP_send, &send);
	CHECK(time_wait(&event_upcalls, 100 * MS), "no upcall");
	time_wait(&(unsigned int){0}, 2 * MS);
	CHECK(event_upcalls == 1, "%u upcalls", event_upcalls);
	event_take_pending(port);
}

GUEST_TEST(event_thousand)
{
	evtchn_port_t other, port = event_to_self(&other);
	struct evtchn_send send = {.port = other};

	CHECK(port, "no port");
	for (unsigned int i = 0; i < 1000; i++) {
		event_upcalls = 0;
		CHECK(event_op(EVTCHNOP_send, &send) == 0, "send %u", i);
		CHECK(time_wait(&event_upcalls, 100 * MS), "no upcall for event %u", i);
		CHECK(event_take_pending(port), "event %u is not pending", i);
	}
}

GUEST_TEST(event_ipi_port)
{
	struct evtchn_bind_ipi bind = {.vcpu = 0};
	struct evtchn_send send;

	CHECK(event_op(EVTCHNOP_bind_ipi, &bind) == 0, "bind");
	event_unmask(bind.port);
	event_upcalls = 0;
	send.port = bind.port;
	CHECK(event_op(EVTCHNOP_send, &send) == 0, "send");
	CHECK(time_wait(&event_upcalls, 100 * MS), "no upcall");
	CHECK(event_take_pending(bind.port), "not pending");
}

GUEST_TEST(virq_bound_once)
{
	struct evtchn_bind_virq again = {.virq = VIRQ_TIMER, .vcpu = 0};

	CHECK(bind_timer(), "no port");
	CHECK(event_op(EVTCHNOP_bind_virq, &again) == -XEN_EEXIST, "a VIRQ was bound twice");
}

GUEST_TEST(port_numbers_ascend)
{
	struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF}, b = a;
	struct evtchn_close close;

	CHECK(event_op(EVTCHNOP_alloc_unbound, &a) == 0, "alloc");
	CHECK(event_op(EVTCHNOP_alloc_unbound, &b) == 0, "alloc");
	CHECK(a.port && b.port && a.port != b.port, "ports %u, %u", a.port, b.port);
	close.port = a.port;
	CHECK(event_op(EVTCHNOP_close, &close) == 0, "close");
	CHECK(event_op(EVTCHNOP_close, &close) == -XEN_EINVAL, "a port was closed twice");
	close.port = b.port;
	CHECK(event_op(EVTCHNOP_close, &close) == 0, "close");
}

GUEST_TEST(timer_singleshot)
{
	evtchn_port_t port = bind_timer();
	uint64_t begun = time_now(), took;

	CHECK(port, "no port");
	event_upcalls = 0;
	CHECK(timer_set(begun + 10 * MS, 0) == 0, "set");
	CHECK(time_wait(&event_upcalls, 500 * MS), "the timer did not fire");
	took = time_now() - begun;
	CHECK(event_take_pending(port), "not pending");
	CHECK(took >= 10 * MS, "%lu ns early", 10 * MS - took);
	CHECK(took < 60 * MS, "after %lu us in place of 10 ms", took / 1000);
}

GUEST_TEST(timer_in_halt)
{
	evtchn_port_t port = bind_timer();
	uint64_t begun;

	CHECK(port, "no port");
	for (unsigned int i = 0; i < 20; i++) {
		begun = time_now();
		event_upcalls = 0;
		CHECK(timer_set(begun + 2 * MS, 0) == 0, "set");
		while (!event_upcalls)
			sti_hlt();
		cli();
		CHECK(event_take_pending(port), "round %u: not pending", i);
		CHECK(time_now() - begun >= 2 * MS, "round %u: early", i);
	}
}

/* One round: the event is due after that many nanoseconds, and the halt must not outlast it. Returns when the halt began. */
static uint64_t halt_until_event(uint64_t delay, unsigned int *slept)
{
	uint64_t begun = time_now(), halted;

	event_upcalls = 0;
	alarms = 0;
	apic_write(APIC_TIMER_INITIAL, ALARM_TICKS);
	timer_set(begun + delay, 0);
	halted = time_now();
	while (!event_upcalls && !alarms) {
		sti_hlt();
		cli();
	}
	*slept += alarms != 0;
	/* Both are taken before the next round. */
	apic_write(APIC_TIMER_INITIAL, 0);
	time_wait(&event_upcalls, MS);
	return halted - begun;
}

static void alarm(struct trap_frame *frame)
{
	(void)frame;
	alarms++;
	apic_eoi();
}

/* The machine's interrupt comes at each instruction around STI and HLT once: also between the two, where the event waits for HLT. */
GUEST_TEST(event_around_the_halt)
{
	evtchn_port_t port = bind_timer();
	unsigned int slept = 0;
	uint64_t reach;

	CHECK(port, "no port");
	guest_on(ALARM_VECTOR, alarm);
	apic_write(APIC_TIMER_DIVIDE, 0xb);
	apic_write(APIC_LVT_TIMER, ALARM_VECTOR);
	reach = halt_until_event(MS, &slept);
	event_take_pending(port);
	CHECK(!slept, "it does not even wake after a millisecond");
	for (uint64_t delay = reach - BEFORE_HALT; delay < reach + BEYOND_HALT; delay++) {
		halt_until_event(delay, &slept);
		event_take_pending(port);
	}
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	CHECK(!slept, "%u of %u halts slept over the event", slept, BEFORE_HALT + BEYOND_HALT);
}

GUEST_TEST(timer_stopped)
{
	evtchn_port_t port = bind_timer();

	CHECK(port, "no port");
	event_upcalls = 0;
	CHECK(timer_set(time_now() + 5 * MS, 0) == 0, "set");
	CHECK(hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer, 0, 0) == 0, "stop");
	CHECK(!time_wait(&event_upcalls, 20 * MS), "a stopped timer fired");
	/* A timer for the past fires at once. */
	CHECK(timer_set(time_now() - MS, 0) == 0, "set in the past");
	CHECK(time_wait(&event_upcalls, 100 * MS), "a timer of the past did not fire");
	CHECK(event_take_pending(port), "not pending");
}

GUEST_TEST(timer_replaced)
{
	evtchn_port_t port = bind_timer();
	uint64_t begun = time_now();

	CHECK(port, "no port");
	event_upcalls = 0;
	CHECK(timer_set(begun + 2 * MS, 0) == 0, "set");
	CHECK(timer_set(begun + 30 * MS, 0) == 0, "set again");
	CHECK(time_wait(&event_upcalls, 500 * MS), "did not fire");
	CHECK(time_now() - begun >= 30 * MS, "the first setting fired");
	event_upcalls = 0;
	CHECK(!time_wait(&event_upcalls, 10 * MS), "fired twice");
	event_take_pending(port);
}

GUEST_TEST(clock_goes_forward)
{
	uint64_t last = time_now(), now;

	for (unsigned int i = 0; i < 20000; i++) {
		now = time_now();
		CHECK(now >= last, "back by %lu ns", last - now);
		last = now;
	}
}

GUEST_TEST(wall_clock)
{
	/* Seconds since 1970: between 2024 and 2100. */
	CHECK(event_shared_info->wc_version % 2 == 0, "version %u", event_shared_info->wc_version);
	CHECK(event_shared_info->wc_sec > 1704067200u && event_shared_info->wc_sec < 4102444800u,
	      "%u seconds", event_shared_info->wc_sec);
}

GUEST_TEST(sched_poll)
{
	evtchn_port_t other, port = event_to_self(&other);
	evtchn_port_t ports[1] = {port};
	struct sched_poll poll = {.nr_ports = 1, .timeout = 0};
	struct evtchn_send send = {.port = other};
	uint64_t begun = time_now();

	CHECK(port, "no port");
	event_mask(port);
	set_xen_guest_handle(poll.ports, ports);
	/* Returns at once when the port is pending. */
	event_op(EVTCHNOP_send, &send);
	CHECK(hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, ADDRESS(&poll)) == 0, "poll");
	event_take_pending(port);
	/* Otherwise waits until the time is over. */
	begun = time_now();
	poll.timeout = begun + 10 * MS;
	CHECK(hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, ADDRESS(&poll)) == 0, "poll");
	CHECK(time_now() - begun >= 9 * MS, "after %lu ns", time_now() - begun);
	CHECK(time_now() - begun < 200 * MS, "after %lu ns", time_now() - begun);
}

GUEST_TEST(runstate_area)
{
	static struct vcpu_runstate_info area;
	struct vcpu_register_runstate_memory_area op = {.addr.p = ADDRESS(&area)};
	struct vcpu_runstate_info info;

	CHECK(hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0,
			 ADDRESS(&op)) == 0,
	      "register");
	CHECK(area.state == RUNSTATE_running, "state %d", area.state);
	CHECK(hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, ADDRESS(&info)) == 0,
	      "get");
	CHECK(info.state == RUNSTATE_running, "state %d", info.state);
	CHECK(info.time[RUNSTATE_running] > 0, "no time spent running");
	bind_timer();
	event_upcalls = 0;
	timer_set(time_now() + 20 * MS, 0);
	while (!event_upcalls)
		sti_hlt();
	cli();
	CHECK(hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, ADDRESS(&info)) == 0,
	      "get again");
	CHECK(info.time[RUNSTATE_blocked] > 10 * MS, "blocked for %lu ns",
	      info.time[RUNSTATE_blocked]);
}
