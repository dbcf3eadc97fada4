// SPDX-License-Identifier: GPL-2.0-or-later
// Event channels: operations, error codes, 2-level delivery, life cycle.
// links: hypervisor/common/event_2l.c hypervisor/common/event_fifo.c
// links: hypervisor/common/event_op.c hypervisor/common/page_owner.c hypervisor/common/pod.c hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c
#include "domain_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/event.h>
#include "event_calls.h"

/* Called after a lock was given up: others may get it then. */
static void (*on_unlock)(void);
#define spin_unlock(l) (spin_unlock(l), on_unlock ? on_unlock() : (void)0)
#include "../../hypervisor/common/event.c"
#undef spin_unlock

static struct domain *d0, *d1, *d2;

static int setup(void **state)
{
	(void)state;
	fixture_init();
	d0 = events_domain(0, 2, 4095);
	d1 = events_domain(1, 3, 1023);
	d2 = events_domain(2, 1, 1023);
	hardware_domain = d0;
	fixture_run(d1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hardware_domain = NULL;
	events_domain_free(d0);
	events_domain_free(d1);
	events_domain_free(d2);
	fixture_finish();
	return 0;
}

static uint64_t sel(struct vcpu *v)
{
	return v->info->evtchn_pending_sel;
}

static void quiet(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		d->vcpus[i]->arch.upcalls = 0;
		d->vcpus[i]->info->evtchn_upcall_pending = 0;
		d->vcpus[i]->info->evtchn_pending_sel = 0;
	}
	memset(d->shared_info->evtchn_pending, 0, sizeof(d->shared_info->evtchn_pending));
}

static bool pending(struct domain *d, uint32_t port)
{
	return d->shared_info->evtchn_pending[port / 64] >> (port % 64) & 1;
}

static void mask(struct domain *d, uint32_t port)
{
	d->shared_info->evtchn_mask[port / 64] |= 1UL << (port % 64);
}

static void unknown_calls(void **state)
{
	uint64_t arg[3] = {0};

	(void)state;
	assert_int_equal(ev_call(15, arg, 24), -ENOSYS);
	assert_int_equal(ev_call(0xffffffff, arg, 24), -ENOSYS);
	assert_int_equal(ev_call(EVTCHNOP_bind_pirq, arg, 12), -EINVAL);
	for (unsigned cmd = 0; cmd <= 14; cmd++) {
		struct hypercall hc = {.args = {cmd, FIXTURE_FAULT}};

		assert_int_equal(hypercall_event_channel_op(&hc), -EFAULT);
	}
}

static void alloc_unbound(void **state)
{
	uint32_t port;

	(void)state;
	assert_int_equal(ev_alloc(DOMID_SELF, 2, &port), 0);
	assert_int_equal(port, 1);
	assert_int_equal(ev_alloc(1, DOMID_SELF, &port), 0);
	assert_int_equal(port, 2);
	assert_int_equal(ev_alloc(7, 0, &port), -ESRCH);
	assert_int_equal(ev_alloc(DOMID_INVALID, 0, &port), -ESRCH);
	assert_int_equal(ev_alloc(2, 1, &port), -EPERM);
	/* The lowest free port is taken. */
	assert_int_equal(ev_close(1), 0);
	assert_int_equal(ev_alloc(DOMID_SELF, 2, &port), 0);
	assert_int_equal(port, 1);
	/* A device model may do it for its domain. */
	d1->target = 2;
	assert_int_equal(ev_alloc(2, 1, &port), 0);
	assert_int_equal(port, 1);
	d2->dying = DOMAIN_DYING;
	assert_int_equal(ev_alloc(2, 1, &port), -EINVAL);
	d2->dying = DOMAIN_ALIVE;
}

static void port_limit(void **state)
{
	struct domain *d = events_domain(5, 1, 300);
	uint32_t port;

	(void)state;
	fixture_run(d);
	for (uint32_t i = 1; i <= 300; i++) {
		assert_int_equal(ev_alloc(DOMID_SELF, 0, &port), 0);
		assert_int_equal(port, i);
	}
	assert_int_equal(ev_alloc(DOMID_SELF, 0, &port), -ENOSPC);
	assert_int_equal(ev_close(128), 0);
	assert_int_equal(ev_close(129), 0);
	assert_int_equal(ev_alloc(DOMID_SELF, 0, &port), 0);
	assert_int_equal(port, 128);
	assert_int_equal(ev_status(DOMID_SELF, 300, NULL), 0);
	/* 300 ports fill two and a half chunks of storage; there is nothing behind them. */
	assert_int_equal(ev_status(DOMID_SELF, 384, NULL), -EINVAL);
	fixture_run(d1);
	events_domain_free(d);

	/* The 2-level ABI ends at 4096 ports whatever the limit. */
	d = events_domain(5, 1, UINT32_MAX);
	fixture_run(d);
	for (uint32_t i = 1; i < 4096; i++)
		assert_int_equal(ev_alloc(DOMID_SELF, 0, &port), 0);
	assert_int_equal(ev_alloc(DOMID_SELF, 0, &port), -ENOSPC);
	fixture_run(d1);
	events_domain_free(d);
}

static void no_memory(void **state)
{
	struct domain *d = fixture_domain(5, 1);
	uint32_t port;

	(void)state;
	for (int n = 0; n < 2; n++) {
		fake_heap_fail_after = n;
		assert_int_equal(event_domain_init(d, 1023), -ENOMEM);
		assert_null(d->events);
	}
	fake_heap_fail_after = -1;
	fixture_domain_free(d);
	for (uint32_t i = 1; i < 128; i++)
		assert_int_equal(ev_alloc(DOMID_SELF, 0, &port), 0);
	fake_heap_fail_after = 0;
	assert_int_equal(ev_alloc(DOMID_SELF, 0, &port), -ENOMEM);
	fake_heap_fail_after = -1;
	assert_int_equal(ev_alloc(DOMID_SELF, 0, &port), 0);
	assert_int_equal(port, 128);
}

static void bind_interdomain_errors(void **state)
{
	uint32_t mine, port;

	(void)state;
	fixture_run(d2);
	assert_int_equal(ev_alloc(DOMID_SELF, 0, &mine), 0);
	fixture_run(d1);
	assert_int_equal(ev_bind(9, mine, &port), -ESRCH);
	assert_int_equal(ev_bind(2, mine, &port), -EINVAL); /* reserved for domain 0 */
	assert_int_equal(ev_bind(2, 0, &port), -EINVAL);
	assert_int_equal(ev_bind(2, mine + 1, &port), -EINVAL);
	assert_int_equal(ev_bind(2, 1U << 30, &port), -EINVAL);
	fixture_run(d0);
	d2->dying = DOMAIN_DYING;
	assert_int_equal(ev_bind(2, mine, &port), -EINVAL);
	d2->dying = DOMAIN_ALIVE;
	assert_int_equal(ev_bind(2, mine, &port), 0);
	assert_int_equal(ev_bind(2, mine, &port), -EINVAL); /* taken */
	/* A failed bind takes no port. */
	assert_int_equal(ev_alloc(DOMID_SELF, 0, &port), 0);
	assert_int_equal(port, 2);
}

/* Runs with either domain having the lower number, for the two orders of locks. */
static void interdomain(struct domain *a, struct domain *b)
{
	struct evtchn_status st;
	uint32_t pa, pb;

	fixture_run(a);
	assert_int_equal(ev_alloc(DOMID_SELF, b->id, &pa), 0);
	assert_int_equal(ev_send(pa), 0); /* nobody there: no error, and dropped */
	assert_int_equal(ev_status(DOMID_SELF, pa, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_unbound);
	assert_int_equal(st.u.unbound.dom, b->id);
	assert_int_equal(st.vcpu, 0);

	fixture_run(b);
	quiet(b);
	assert_int_equal(ev_bind(a->id, pa, &pb), 0);
	/* Pending at once, for what was dropped. */
	assert_true(pending(b, pb));
	assert_int_equal(sel(b->vcpus[0]), 1UL << (pb / 64));
	assert_int_equal(b->vcpus[0]->info->evtchn_upcall_pending, 1);
	assert_int_equal(b->vcpus[0]->arch.upcalls, 1);
	assert_false(pending(a, pa));
	assert_int_equal(ev_status(DOMID_SELF, pb, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_interdomain);
	assert_int_equal(st.u.interdomain.dom, a->id);
	assert_int_equal(st.u.interdomain.port, pa);

	/* One upcall for any number of events, until the guest has taken it. */
	assert_int_equal(ev_send(pb), 0);
	assert_true(pending(a, pa));
	assert_int_equal(a->vcpus[0]->arch.upcalls, 1);
	assert_int_equal(ev_send(pb), 0);
	assert_int_equal(a->vcpus[0]->arch.upcalls, 1);
	quiet(a);
	assert_int_equal(ev_send(pb), 0);
	assert_int_equal(a->vcpus[0]->arch.upcalls, 1);

	/* The selector bit is still set: the guest will look there anyway. */
	quiet(a);
	a->vcpus[0]->info->evtchn_pending_sel = 1;
	assert_int_equal(ev_send(pb), 0);
	assert_int_equal(a->vcpus[0]->arch.upcalls, 0);

	/* Masked: pending, but no upcall; unmasking brings it. */
	quiet(a);
	mask(a, pa);
	assert_int_equal(ev_send(pb), 0);
	assert_true(pending(a, pa));
	assert_int_equal(sel(a->vcpus[0]), 0);
	assert_int_equal(a->vcpus[0]->arch.upcalls, 0);
	fixture_run(a);
	assert_int_equal(event_port_pending(a, pa), 1);
	assert_int_equal(ev_unmask(pa), 0);
	assert_int_equal(sel(a->vcpus[0]), 1UL << (pa / 64));
	assert_int_equal(a->vcpus[0]->arch.upcalls, 1);
	/* Unmasking what is not masked does nothing. */
	quiet(a);
	assert_int_equal(ev_unmask(pa), 0);
	assert_int_equal(a->vcpus[0]->arch.upcalls, 0);

	/* Closing leaves the other end to whom it was bound to. */
	fixture_run(b);
	assert_int_equal(ev_close(pb), 0);
	assert_int_equal(ev_close(pb), -EINVAL);
	assert_int_equal(ev_send(pb), -EINVAL);
	assert_false(pending(b, pb));
	fixture_run(a);
	assert_int_equal(ev_status(DOMID_SELF, pa, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_unbound);
	assert_int_equal(st.u.unbound.dom, b->id);
	assert_int_equal(ev_send(pa), 0);
	fixture_run(b);
	assert_int_equal(ev_bind(a->id, pa, &pb), 0);
	fixture_run(a);
	assert_int_equal(ev_close(pa), 0);
	fixture_run(b);
	assert_int_equal(ev_status(DOMID_SELF, pb, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_unbound);
	assert_int_equal(ev_close(pb), 0);
}

static void interdomain_both_orders(void **state)
{
	(void)state;
	interdomain(d1, d2);
	interdomain(d2, d1);
	interdomain(d0, d1);
}

/*
 * Closing takes two locks, the one of the lower domid first. Where that is the peer's, there is a moment without any: the
 * peer closes its end then, or others do more.
 */
static uint32_t mine2, theirs1, mine0, reborn;

static void peer_closes(void)
{
	on_unlock = NULL;
	fixture_run(d1);
	assert_int_equal(ev_close(theirs1), 0);
	fixture_run(d2);
}

static void port_is_reborn(void)
{
	peer_closes();
	assert_int_equal(ev_close(mine2), 0);
	assert_int_equal(ev_bind(0, mine0, &reborn), 0);
	assert_int_equal(reborn, mine2);
}

static void close_meets_close(void **state)
{
	struct evtchn_status st;

	(void)state;
	assert_int_equal(ev_alloc(DOMID_SELF, 2, &theirs1), 0);
	fixture_run(d2);
	assert_int_equal(ev_bind(1, theirs1, &mine2), 0);
	on_unlock = peer_closes;
	assert_int_equal(ev_close(mine2), 0);
	assert_null(on_unlock);
	assert_int_equal(ev_status(DOMID_SELF, mine2, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_closed);

	fixture_run(d0);
	assert_int_equal(ev_alloc(DOMID_SELF, 2, &mine0), 0);
	fixture_run(d1);
	assert_int_equal(ev_alloc(DOMID_SELF, 2, &theirs1), 0);
	fixture_run(d2);
	assert_int_equal(ev_bind(1, theirs1, &mine2), 0);
	on_unlock = port_is_reborn;
	assert_int_equal(ev_close(mine2), -EINVAL);
	assert_int_equal(ev_status(DOMID_SELF, reborn, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_interdomain);
	assert_int_equal(st.u.interdomain.dom, 0);
	assert_int_equal(d0->refs, 1);
	assert_int_equal(d1->refs, 1);
}

static void loopback(void **state)
{
	struct evtchn_status st;
	uint32_t a, b;

	(void)state;
	assert_int_equal(ev_alloc(DOMID_SELF, DOMID_SELF, &a), 0);
	assert_int_equal(ev_bind(DOMID_SELF, a, &b), 0);
	quiet(d1);
	assert_int_equal(ev_send(a), 0);
	assert_true(pending(d1, b));
	assert_false(pending(d1, a));
	assert_int_equal(ev_send(b), 0);
	assert_true(pending(d1, a));
	assert_int_equal(ev_close(b), 0);
	assert_int_equal(ev_status(1, a, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_unbound);
	assert_int_equal(st.u.unbound.dom, 1);
}

static void port_zero(void **state)
{
	struct evtchn_status st;

	(void)state;
	assert_int_equal(ev_close(0), -EINVAL);
	assert_int_equal(ev_send(0), -EINVAL);
	assert_int_equal(ev_unmask(0), 0);
	assert_int_equal(ev_bind_vcpu(0, 0), -EINVAL);
	assert_int_equal(ev_status(DOMID_SELF, 0, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_closed);
	assert_int_equal(ev_send(5), -EINVAL); /* free */
	assert_int_equal(ev_send(100000), -EINVAL);
	assert_int_equal(ev_close(100000), -EINVAL);
	assert_int_equal(ev_unmask(100000), -EINVAL);
	assert_int_equal(ev_bind_vcpu(100000, 0), -EINVAL);
	/* Unmasking a port that is not open leaves the bits alone. */
	mask(d1, 5);
	d1->shared_info->evtchn_pending[0] |= 1 << 5;
	assert_int_equal(ev_unmask(5), 0);
	assert_int_equal(d1->vcpus[0]->arch.upcalls, 0);
}

static void status_rights(void **state)
{
	struct evtchn_status st;
	uint32_t port;

	(void)state;
	assert_int_equal(ev_status(9, 1, &st), -ESRCH);
	assert_int_equal(ev_status(2, 1, &st), -EPERM);
	assert_int_equal(ev_ipi(1, &port), 0);
	fixture_run(d0);
	assert_int_equal(ev_status(1, port, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_ipi);
	assert_int_equal(st.vcpu, 1);
}

static void virqs(void **state)
{
	struct evtchn_status st;
	uint32_t timer0, timer1, con, port;

	(void)state;
	fixture_run(d0);
	assert_int_equal(ev_virq(NR_VIRQS, 0, &port), -EINVAL);
	assert_int_equal(ev_virq(UINT32_MAX, 0, &port), -EINVAL);
	assert_int_equal(ev_virq(VIRQ_CON_RING, 1, &port), -EINVAL);
	assert_int_equal(ev_virq(VIRQ_TIMER, 2, &port), -ENOENT);
	assert_int_equal(ev_virq(VIRQ_TIMER, UINT32_MAX, &port), -ENOENT);
	assert_int_equal(ev_virq(VIRQ_TIMER, 0, &timer0), 0);
	assert_int_equal(ev_virq(VIRQ_TIMER, 0, &port), -EEXIST);
	assert_int_equal(ev_virq(VIRQ_TIMER, 1, &timer1), 0);
	assert_int_equal(ev_virq(VIRQ_CON_RING, 0, &con), 0);
	assert_int_equal(ev_status(DOMID_SELF, timer1, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_virq);
	assert_int_equal(st.u.virq, VIRQ_TIMER);
	assert_int_equal(st.vcpu, 1);

	event_send_vcpu_virq(d0->vcpus[1], VIRQ_TIMER);
	assert_true(pending(d0, timer1));
	assert_false(pending(d0, timer0));
	assert_int_equal(d0->vcpus[1]->arch.upcalls, 1);
	assert_int_equal(d0->vcpus[0]->arch.upcalls, 0);
	event_send_vcpu_virq(d0->vcpus[1], VIRQ_DEBUG); /* not bound */
	event_send_vcpu_virq(d0->vcpus[1], NR_VIRQS);

	/* Virtual interrupts of one vCPU stay there, those of the domain may move. */
	assert_int_equal(ev_bind_vcpu(timer1, 0), -EINVAL);
	assert_int_equal(ev_bind_vcpu(con, 1), 0);
	quiet(d0);
	event_send_hwdom_virq(VIRQ_CON_RING);
	event_send_hwdom_virq(VIRQ_CON_RING);
	assert_false(pending(d0, con)); /* not with whatever locks we hold */
	fixture_work();
	assert_true(pending(d0, con));
	assert_int_equal(d0->vcpus[1]->arch.upcalls, 1);
	assert_int_equal(d0->vcpus[0]->arch.upcalls, 0);
	event_send_hwdom_virq(VIRQ_DOM_EXC);
	event_send_hwdom_virq(NR_VIRQS);
	fixture_work();

	/* Closed: quiet, and may be bound again. */
	assert_int_equal(ev_close(con), 0);
	quiet(d0);
	event_send_hwdom_virq(VIRQ_CON_RING);
	fixture_work();
	assert_false(pending(d0, con));
	assert_int_equal(ev_virq(VIRQ_CON_RING, 0, &con), 0);
	assert_int_equal(ev_close(timer1), 0);
	event_send_vcpu_virq(d0->vcpus[1], VIRQ_TIMER);
	assert_false(pending(d0, timer1));
	event_send_vcpu_virq(d0->vcpus[0], VIRQ_TIMER);
	assert_true(pending(d0, timer0));
}

static void virq_handler(void **state)
{
	uint32_t port;

	(void)state;
	assert_int_equal(ev_virq(VIRQ_DOM_EXC, 0, &port), 0);
	assert_int_equal(event_set_virq_handler(d1, VIRQ_TIMER), -EINVAL);
	assert_int_equal(event_set_virq_handler(d1, NR_VIRQS), -EINVAL);
	event_send_hwdom_virq(VIRQ_DOM_EXC);
	fixture_work();
	assert_false(pending(d1, port));
	assert_int_equal(event_set_virq_handler(d1, VIRQ_DOM_EXC), 0);
	assert_int_equal(event_set_virq_handler(d1, VIRQ_DOM_EXC), 0);
	assert_int_equal(d1->refs, 2);
	event_send_hwdom_virq(VIRQ_DOM_EXC);
	fixture_work();
	assert_true(pending(d1, port));
	assert_int_equal(event_set_virq_handler(d2, VIRQ_DOM_EXC), 0);
	assert_int_equal(d1->refs, 1);
	/* Gone with the domain: the hardware domain is asked again. */
	d2->dying = DOMAIN_DYING;
	assert_int_equal(event_domain_close(d2), 0);
	assert_int_equal(d2->refs, 1);
	assert_int_equal(event_set_virq_handler(d2, VIRQ_DOM_EXC), -EINVAL);
	event_send_hwdom_virq(VIRQ_DOM_EXC);
	fixture_work();
	hardware_domain = NULL;
	event_send_hwdom_virq(VIRQ_DOM_EXC);
	fixture_work();
}

static void ipis(void **state)
{
	uint32_t port;

	(void)state;
	assert_int_equal(ev_ipi(3, &port), -ENOENT);
	assert_int_equal(ev_ipi(2, &port), 0);
	assert_int_equal(ev_send(port), 0);
	assert_int_equal(d1->vcpus[2]->arch.upcalls, 1);
	assert_true(event_vcpu_pending(d1->vcpus[2]));
	assert_false(event_vcpu_pending(d1->vcpus[0]));
	/* Whatever the mask byte says. */
	d1->vcpus[2]->info->evtchn_upcall_mask = 1;
	assert_true(event_vcpu_pending(d1->vcpus[2]));
	assert_int_equal(ev_bind_vcpu(port, 0), -EINVAL);
}

static void bind_vcpu(void **state)
{
	struct evtchn_status st;
	uint32_t a, b;

	(void)state;
	assert_int_equal(ev_alloc(DOMID_SELF, 2, &a), 0);
	assert_int_equal(ev_bind_vcpu(a, 3), -ENOENT);
	assert_int_equal(ev_bind_vcpu(a, 2), 0);
	assert_int_equal(ev_status(DOMID_SELF, a, &st), 0);
	assert_int_equal(st.vcpu, 2);
	fixture_run(d2);
	assert_int_equal(ev_bind(1, a, &b), 0);
	assert_int_equal(ev_send(b), 0);
	assert_int_equal(d1->vcpus[2]->arch.upcalls, 1);
	assert_int_equal(d1->vcpus[0]->arch.upcalls, 0);
	/* The next user of the port begins at vCPU 0. */
	fixture_run(d1);
	assert_int_equal(ev_close(a), 0);
	assert_int_equal(ev_alloc(DOMID_SELF, 2, &a), 0);
	assert_int_equal(ev_status(DOMID_SELF, a, &st), 0);
	assert_int_equal(st.vcpu, 0);
}

static void missing_vcpu(void **state)
{
	struct domain *d = events_domain(6, 0, 1023);
	uint32_t mine, theirs;

	(void)state;
	fixture_run(d0);
	assert_int_equal(ev_alloc(6, 0, &theirs), 0);
	assert_int_equal(ev_bind(6, theirs, &mine), 0);
	assert_int_equal(ev_send(mine), 0);
	assert_true(pending(d, theirs));
	event_send_virq(d, VIRQ_ARGO);
	events_domain_free(d);
}

static void priorities_need_fifo(void **state)
{
	uint32_t port;

	(void)state;
	assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(ev_priority(port, 0), -ENOSYS);
	assert_int_equal(ev_priority(100000, 0), -EINVAL);
	assert_int_equal(ev_expand(1), -EOPNOTSUPP);
}

static void xen_ports(void **state)
{
	struct evtchn_status st;
	uint32_t port, mine;

	(void)state;
	assert_int_equal(event_xen_port_alloc(d1, 1, 0, &port), 0);
	/* Not the guest's to touch. */
	assert_int_equal(ev_close(port), -EINVAL);
	assert_int_equal(ev_send(port), -EINVAL);
	assert_int_equal(ev_bind_vcpu(port, 0), -EINVAL);
	assert_int_equal(ev_status(DOMID_SELF, port, &st), -EACCES);
	assert_int_equal(ev_unmask(port), 0);
	event_xen_port_notify(d1, port); /* nobody there yet */
	fixture_run(d0);
	assert_int_equal(ev_bind(1, port, &mine), 0);
	quiet(d0);
	quiet(d1);
	event_xen_port_notify(d1, port);
	assert_true(pending(d0, mine));
	assert_int_equal(ev_send(mine), 0);
	assert_int_equal(fixture_cleared, VPF_IO);
	assert_false(pending(d1, port));
	assert_int_equal(event_port_pending(d1, port), 0);
	/* The peer leaves and comes back. */
	assert_int_equal(ev_close(mine), 0);
	assert_int_equal(ev_bind(1, port, &mine), 0);
	event_xen_port_free(d1, port);
	assert_int_equal(ev_status(DOMID_SELF, mine, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_unbound);
	event_xen_port_free(d1, port); /* again: harmless */
	event_xen_port_free(d1, 100000);
	event_xen_port_notify(d1, 100000);
	event_xen_port_notify(d1, port);
	d1->dying = DOMAIN_DYING;
	assert_int_equal(event_xen_port_alloc(d1, 1, 0, &port), -EINVAL);
}

static void pollers(void **state)
{
	uint32_t a, b;

	(void)state;
	assert_int_equal(ev_ipi(0, &a), 0);
	assert_int_equal(ev_ipi(0, &b), 0);
	mask(d1, a);
	mask(d1, b);
	/* One port: that one. Masked ones count. */
	d1->vcpus[1]->polling = true;
	d1->vcpus[1]->poll_port = b;
	memset(fixture_kicks, 0, sizeof(fixture_kicks));
	assert_int_equal(ev_send(a), 0);
	assert_int_equal(fixture_kicks[1], 0);
	assert_int_equal(ev_send(b), 0);
	assert_int_equal(fixture_kicks[1], 1);
	assert_int_equal(fixture_kicks[2], 0);
	/* Pending already: whoever polls then sees it by itself. */
	d1->vcpus[1]->polling = true;
	assert_int_equal(ev_send(b), 0);
	assert_int_equal(fixture_kicks[1], 1);
	/* Several ports: any. */
	quiet(d1);
	d1->vcpus[1]->poll_port = 0;
	assert_int_equal(ev_send(a), 0);
	assert_int_equal(fixture_kicks[1], 2);
}

static void port_pending(void **state)
{
	uint32_t port;

	(void)state;
	assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(event_port_pending(d1, port), 0);
	assert_int_equal(ev_send(port), 0);
	assert_int_equal(event_port_pending(d1, port), 1);
	assert_int_equal(event_port_pending(d1, 1023), 0);
	assert_int_equal(event_port_pending(d1, 1024), -EINVAL);
	assert_int_equal(event_port_pending(d1, UINT32_MAX), -EINVAL);
	/* Pending bits of ports that are not open are the guest's own doing. */
	d1->shared_info->evtchn_pending[0] = ~0UL;
	assert_int_equal(event_port_pending(d1, port + 1), 0);
}

static void info_moved(void **state)
{
	vcpu_info_t fresh = {0};

	(void)state;
	d1->vcpus[1]->info = &fresh;
	event_vcpu_info_moved(d1->vcpus[1]);
	assert_int_equal(fresh.evtchn_upcall_pending, 1);
	assert_true(fresh.evtchn_pending_sel == ~0UL);
	assert_int_equal(d1->vcpus[1]->arch.upcalls, 1);
	event_set_compat(d1, true);
	memset(&fresh, 0, sizeof(fresh));
	event_vcpu_info_moved(d1->vcpus[1]);
	assert_int_equal(fresh.evtchn_upcall_pending, 1);
	assert_int_equal(((uint32_t *)&fresh)[1], UINT32_MAX);
	assert_true(fresh.evtchn_pending_sel == 0);
}

/* 32-bit layout: 1024 ports, selector of 32 bits, mask behind 128 bytes of pending bits. */
static void compat_layout(void **state)
{
	uint8_t *si = (uint8_t *)d1->shared_info;
	uint32_t *info = (uint32_t *)d1->vcpus[0]->info;
	uint32_t port = 0;

	(void)state;
	event_set_compat(d1, true);
	assert_true(d1->shared_info_32);
	while (port < 40)
		assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(ev_send(40), 0);
	assert_int_equal(si[2048 + 5], 1);
	assert_int_equal(info[1], 1U << 1);
	assert_int_equal(d1->vcpus[0]->arch.upcalls, 1);
	quiet(d1);
	info[1] = 0;
	si[2048 + 5] = 0;
	si[2048 + 128 + 5] = 1;
	assert_int_equal(ev_send(40), 0);
	assert_int_equal(si[2048 + 5], 1);
	assert_int_equal(d1->vcpus[0]->arch.upcalls, 0);
	assert_int_equal(ev_unmask(40), 0);
	assert_int_equal(si[2048 + 128 + 5], 0);
	assert_int_equal(d1->vcpus[0]->arch.upcalls, 1);
	while (port < 1023)
		assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(ev_ipi(0, &port), -ENOSPC);
}

/* Ports that the small layout cannot show: dropped, and nothing behind the bitmaps is touched. */
static void compat_with_high_ports(void **state)
{
	struct domain *d = events_domain(5, 1, 4095);
	uint32_t port = 0;

	(void)state;
	fixture_run(d);
	while (port < 2000)
		assert_int_equal(ev_ipi(0, &port), 0);
	event_set_compat(d, true);
	assert_int_equal(ev_send(2000), 0);
	assert_int_equal(ev_unmask(2000), 0);
	assert_int_equal(event_port_pending(d, 2000), -EINVAL);
	assert_int_equal(ev_close(2000), 0);
	for (unsigned i = 2048; i < 3072; i++)
		assert_int_equal(((uint8_t *)d->shared_info)[i], 0);
	fixture_run(d1);
	events_domain_free(d);
}

static void reset(void **state)
{
	struct evtchn_status st;
	uint32_t theirs, port, xen;

	(void)state;
	fixture_run(d2);
	assert_int_equal(ev_alloc(DOMID_SELF, 1, &theirs), 0);
	fixture_run(d1);
	assert_int_equal(ev_bind(2, theirs, &port), 0);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(event_xen_port_alloc(d1, 0, 0, &xen), 0);
	assert_int_equal(ev_reset(9), -ESRCH);
	assert_int_equal(ev_reset(2), -EPERM);
	/* Of another domain only while that is paused. */
	fixture_run(d0);
	assert_int_equal(ev_reset(1), -EINVAL);
	d1->toolstack_paused = true;
	fixture_yield_every = 1;
	assert_int_equal(ev_reset(1), 0);
	assert_true(fixture_restarts >= 3);
	fixture_yield_every = 0;
	assert_int_equal(ev_status(2, theirs, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_unbound);
	assert_int_equal(ev_status(1, xen, &st), -EACCES);
	fixture_run(d1);
	assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(port, 1);
	assert_int_equal(ev_reset(DOMID_SELF), 0);
}

static void reset_one_at_a_time(void **state)
{
	struct hypercall hc = {.args = {EVTCHNOP_reset, FIXTURE_ARG}};
	struct evtchn_reset op = {.dom = DOMID_SELF};
	uint32_t port;

	(void)state;
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(ev_ipi(0, &port), 0);
	memcpy(fake_guest_memory + FIXTURE_ARG, &op, sizeof(op));
	fixture_yield_every = 1;
	assert_int_equal(hypercall_event_channel_op(&hc), -ERESTART);
	fixture_yield_every = 0;
	/* A second one does not start over, and a port bound behind its back is found at the end. */
	assert_int_equal(ev_reset(DOMID_SELF), -EBUSY);
	assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(port, 1);
	memcpy(fake_guest_memory + FIXTURE_ARG, &op, sizeof(op));
	assert_int_equal(hypercall_event_channel_op(&hc), -EAGAIN);
	/* The continuation of nothing. */
	assert_int_equal(ev_call(14, &op, sizeof(op)), -EBUSY);
	assert_int_equal(ev_reset(DOMID_SELF), 0);
}

static void domain_dies(void **state)
{
	struct evtchn_status st;
	uint32_t mine, theirs, port, timer;
	unsigned steps = 0;

	(void)state;
	assert_int_equal(ev_alloc(DOMID_SELF, 2, &mine), 0);
	assert_int_equal(ev_virq(VIRQ_TIMER, 0, &timer), 0);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(event_xen_port_alloc(d1, 0, 0, &port), 0);
	fixture_run(d2);
	assert_int_equal(ev_bind(1, mine, &theirs), 0);
	d1->dying = DOMAIN_DYING;
	fixture_yield_every = 1;
	while (event_domain_close(d1) == -ERESTART)
		steps++;
	fixture_yield_every = 0;
	assert_int_equal(steps, 6); /* 384 ports of storage, by 64 */
	assert_int_equal(ev_status(DOMID_SELF, theirs, &st), 0);
	assert_int_equal(st.status, EVTCHNSTAT_unbound);
	assert_int_equal(ev_send(theirs), 0);
	event_send_vcpu_virq(d1->vcpus[0], VIRQ_TIMER);
	assert_int_equal(d1->vcpus[0]->arch.upcalls, 0);
	assert_int_equal(event_domain_close(d1), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(unknown_calls),
		T(alloc_unbound),
		T(port_limit),
		T(no_memory),
		T(bind_interdomain_errors),
		T(interdomain_both_orders),
		T(close_meets_close),
		T(loopback),
		T(port_zero),
		T(status_rights),
		T(virqs),
		T(virq_handler),
		T(ipis),
		T(bind_vcpu),
		T(missing_vcpu),
		T(priorities_need_fifo),
		T(xen_ports),
		T(pollers),
		T(port_pending),
		T(info_moved),
		T(compat_layout),
		T(compat_with_high_ports),
		T(reset),
		T(reset_one_at_a_time),
		T(domain_dies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
