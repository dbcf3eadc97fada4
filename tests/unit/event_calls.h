/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operations of event_channel_op as functions, for unit tests. */
#ifndef EVENT_CALLS_H
#define EVENT_CALLS_H

#include "domain_fixture.h"

#include <bulkhead/event.h>
#include <bulkhead/log.h>

static inline int64_t ev_call(uint64_t cmd, void *arg, size_t size)
{
	return fixture_call(hypercall_event_channel_op, cmd, arg, size);
}

static inline int64_t ev_alloc(domid_t dom, domid_t remote, uint32_t *port)
{
	struct evtchn_alloc_unbound op = {.dom = dom, .remote_dom = remote};
	int64_t rc = ev_call(EVTCHNOP_alloc_unbound, &op, sizeof(op));

	if (!rc)
		*port = op.port;
	return rc;
}

static inline int64_t ev_bind(domid_t remote, uint32_t remote_port, uint32_t *port)
{
	struct evtchn_bind_interdomain op = {.remote_dom = remote, .remote_port = remote_port};
	int64_t rc = ev_call(EVTCHNOP_bind_interdomain, &op, sizeof(op));

	if (!rc)
		*port = op.local_port;
	return rc;
}

static inline int64_t ev_virq(uint32_t virq, uint32_t vcpu, uint32_t *port)
{
	struct evtchn_bind_virq op = {.virq = virq, .vcpu = vcpu};
	int64_t rc = ev_call(EVTCHNOP_bind_virq, &op, sizeof(op));

	if (!rc)
		*port = op.port;
	return rc;
}

static inline int64_t ev_ipi(uint32_t vcpu, uint32_t *port)
{
	struct evtchn_bind_ipi op = {.vcpu = vcpu};
	int64_t rc = ev_call(EVTCHNOP_bind_ipi, &op, sizeof(op));

	if (!rc)
		*port = op.port;
	return rc;
}

static inline int64_t ev_close(uint32_t port)
{
	struct evtchn_close op = {.port = port};

	return ev_call(EVTCHNOP_close, &op, sizeof(op));
}

static inline int64_t ev_send(uint32_t port)
{
	struct evtchn_send op = {.port = port};

	return ev_call(EVTCHNOP_send, &op, sizeof(op));
}

static inline int64_t ev_unmask(uint32_t port)
{
	struct evtchn_unmask op = {.port = port};

	return ev_call(EVTCHNOP_unmask, &op, sizeof(op));
}

static inline int64_t ev_bind_vcpu(uint32_t port, uint32_t vcpu)
{
	struct evtchn_bind_vcpu op = {.port = port, .vcpu = vcpu};

	return ev_call(EVTCHNOP_bind_vcpu, &op, sizeof(op));
}

static inline int64_t ev_status(domid_t dom, uint32_t port, struct evtchn_status *ret)
{
	struct evtchn_status op = {.dom = dom, .port = port};
	int64_t rc = ev_call(EVTCHNOP_status, &op, sizeof(op));

	if (ret)
		*ret = op;
	return rc;
}

static inline int64_t ev_reset(domid_t dom)
{
	struct evtchn_reset op = {.dom = dom};

	return ev_call(EVTCHNOP_reset, &op, sizeof(op));
}

static inline int64_t ev_control(uint32_t vcpu, uint64_t gfn, uint32_t offset)
{
	struct evtchn_init_control op = {.control_gfn = gfn, .offset = offset, .vcpu = vcpu};
	int64_t rc = ev_call(EVTCHNOP_init_control, &op, sizeof(op));

	return !rc && op.link_bits != EVTCHN_FIFO_LINK_BITS ? -1000 : rc;
}

static inline int64_t ev_expand(uint64_t gfn)
{
	struct evtchn_expand_array op = {.array_gfn = gfn};

	return ev_call(EVTCHNOP_expand_array, &op, sizeof(op));
}

static inline int64_t ev_priority(uint32_t port, uint32_t priority)
{
	struct evtchn_set_priority op = {.port = port, .priority = priority};

	return ev_call(EVTCHNOP_set_priority, &op, sizeof(op));
}

static inline struct domain *events_domain(domid_t id, unsigned nr_vcpus, uint32_t max_port)
{
	struct domain *d = fixture_domain(id, nr_vcpus);

	if (event_domain_init(d, max_port))
		panic("no memory");
	for (unsigned i = 0; i < nr_vcpus; i++)
		if (event_vcpu_init(d->vcpus[i]))
			panic("no memory");
	return d;
}

static inline void events_domain_free(struct domain *d)
{
	d->dying = DOMAIN_DYING;
	if (event_domain_close(d))
		panic("events of a domain do not close");
	event_domain_finish(d);
	event_domain_finish(d);
	for (unsigned i = 0; i < d->max_vcpus; i++)
		event_vcpu_finish(d->vcpus[i]);
	fixture_domain_free(d);
}

#endif
