/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event channels: the hypercall and the operations on a domain's own ports. */
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/permission.h>

#include "event_internal.h"

/* Continuation of EVTCHNOP_reset: keeps it apart from a second reset while the first is under way. */
#define OP_RESET_CONT 14

#define RESET_BATCH 64

/* No pointers and no longs in them: one layout for 32-bit and 64-bit callers. */
_Static_assert(sizeof(struct evtchn_alloc_unbound) == 8, "ABI");
_Static_assert(sizeof(struct evtchn_bind_interdomain) == 12, "ABI");
_Static_assert(sizeof(struct evtchn_status) == 24, "ABI");
_Static_assert(sizeof(struct evtchn_init_control) == 24, "ABI");
_Static_assert(sizeof(struct evtchn_expand_array) == 8, "ABI");

static int op_alloc_unbound(struct domain *caller, void *arg)
{
	struct evtchn_alloc_unbound *op = arg;
	struct domain *d = domain_get_by_id(op->dom);
	struct evtchn *chn;
	unsigned long flags;
	uint32_t port;
	int rc;

	if (!d)
		return -ESRCH;
	if (!may_target(caller, d)) {
		domain_put(d);
		return -EPERM;
	}
	spin_lock(&d->events->lock);
	rc = event_port_find(d, &port);
	if (!rc) {
		chn = event_port(d, port);
		flags = spin_lock_irqsave(&chn->lock);
		event_port_take(d, chn, EVTCHN_UNBOUND, 0);
		chn->remote = op->remote_dom == DOMID_SELF ? caller->id : op->remote_dom;
		spin_unlock_irqrestore(&chn->lock, flags);
		op->port = port;
	}
	spin_unlock(&d->events->lock);
	domain_put(d);
	return rc;
}

/* Both event locks are held. */
static int bind_to(struct domain *d, struct domain *remote, uint32_t remote_port,
		   uint32_t *ret_port)
{
	struct evtchn *chn, *peer;
	unsigned long flags;
	uint32_t port;
	int rc = event_port_find(d, &port);

	if (rc)
		return rc;
	chn = event_port(d, port);
	peer = event_port(remote, remote_port);
	/* Ports of a dying domain must not come to life again: event_domain_close() passes each one once. */
	if (!peer || peer->state != EVTCHN_UNBOUND || peer->remote != d->id ||
	    remote->dying != DOMAIN_ALIVE)
		return -EINVAL;
	flags = event_chn_lock_two(chn, peer);
	event_port_take(d, chn, EVTCHN_INTERDOMAIN, 0);
	chn->peer.domain = remote;
	chn->peer.port = remote_port;
	peer->state = EVTCHN_INTERDOMAIN;
	peer->peer.domain = d;
	peer->peer.port = port;
	/* Notifications sent to the unbound port were dropped: make up for them with one. */
	event_abi_of(d)->set_pending(d, port, chn);
	event_chn_unlock_two(chn, peer, flags);
	*ret_port = port;
	return 0;
}

static int op_bind_interdomain(struct domain *caller, void *arg)
{
	struct evtchn_bind_interdomain *op = arg;
	struct domain *remote = domain_get_by_id(op->remote_dom);
	int rc;

	if (!remote)
		return -ESRCH;
	event_lock_two(caller, remote);
	rc = bind_to(caller, remote, op->remote_port, &op->local_port);
	event_unlock_two(caller, remote);
	domain_put(remote);
	return rc;
}

static int op_bind_virq(struct domain *caller, void *arg)
{
	struct evtchn_bind_virq *op = arg;
	struct evtchn *chn;
	unsigned long flags;
	struct vcpu *v;
	uint32_t virq, port;
	int rc;

	if (op->virq >= NR_VIRQS)
		return -EINVAL;
	virq = (uint32_t)index_nospec(op->virq, NR_VIRQS);
	if (event_virq_is_global(virq) && op->vcpu != 0)
		return -EINVAL;
	v = event_vcpu_by_id(caller, op->vcpu);
	if (!v)
		return -ENOENT;
	spin_lock(&caller->events->lock);
	rc = v->virq_to_evtchn[virq] ? -EEXIST : event_port_find(caller, &port);
	if (!rc) {
		chn = event_port(caller, port);
		flags = spin_lock_irqsave(&chn->lock);
		event_port_take(caller, chn, EVTCHN_VIRQ, (uint16_t)v->id);
		chn->virq = virq;
		spin_unlock_irqrestore(&chn->lock, flags);
		flags = spin_lock_irqsave(&v->virq_lock);
		v->virq_to_evtchn[virq] = port;
		spin_unlock_irqrestore(&v->virq_lock, flags);
		op->port = port;
	}
	spin_unlock(&caller->events->lock);
	return rc;
}

/* No interrupt of the machine or of a device is ever offered as an event: hvm_pirqs is not among our features. */
static int op_bind_pirq(struct domain *caller, void *arg)
{
	(void)caller;
	(void)arg;
	return -EINVAL;
}

static int op_bind_ipi(struct domain *caller, void *arg)
{
	struct evtchn_bind_ipi *op = arg;
	struct vcpu *v = event_vcpu_by_id(caller, op->vcpu);
	struct evtchn *chn;
	unsigned long flags;
	uint32_t port;
	int rc;

	if (!v)
		return -ENOENT;
	spin_lock(&caller->events->lock);
	rc = event_port_find(caller, &port);
	if (!rc) {
		chn = event_port(caller, port);
		flags = spin_lock_irqsave(&chn->lock);
		event_port_take(caller, chn, EVTCHN_IPI, (uint16_t)v->id);
		spin_unlock_irqrestore(&chn->lock, flags);
		op->port = port;
	}
	spin_unlock(&caller->events->lock);
	return rc;
}

static int op_close(struct domain *caller, void *arg)
{
	struct evtchn_close *op = arg;

	return event_close(caller, op->port, true);
}

static int op_send(struct domain *caller, void *arg)
{
	struct evtchn_send *op = arg;

	return event_send(caller, op->port);
}

/* The event lock is held. */
static int port_status(const struct evtchn *chn, struct evtchn_status *op)
{
	if (chn->xen)
		return -EACCES;
	switch ((enum evtchn_state)chn->state) {
	case EVTCHN_FREE:
	case EVTCHN_RESERVED:
		op->status = EVTCHNSTAT_closed;
		break;
	case EVTCHN_UNBOUND:
		op->status = EVTCHNSTAT_unbound;
		op->u.unbound.dom = chn->remote;
		break;
	case EVTCHN_INTERDOMAIN:
		op->status = EVTCHNSTAT_interdomain;
		op->u.interdomain.dom = chn->peer.domain->id;
		op->u.interdomain.port = chn->peer.port;
		break;
	case EVTCHN_VIRQ:
		op->status = EVTCHNSTAT_virq;
		op->u.virq = chn->virq;
		break;
	case EVTCHN_IPI:
		op->status = EVTCHNSTAT_ipi;
		break;
	}
	op->vcpu = chn->vcpu;
	return 0;
}

static int op_status(struct domain *caller, void *arg)
{
	struct evtchn_status *op = arg;
	struct domain *d = domain_get_by_id(op->dom);
	struct evtchn *chn;
	int rc = -EINVAL;

	if (!d)
		return -ESRCH;
	chn = event_port(d, op->port);
	if (chn && !may_target(caller, d)) {
		rc = -EPERM;
	} else if (chn) {
		spin_lock(&d->events->lock);
		rc = port_status(chn, op);
		spin_unlock(&d->events->lock);
	}
	domain_put(d);
	return rc;
}

static int op_bind_vcpu(struct domain *caller, void *arg)
{
	struct evtchn_bind_vcpu *op = arg;
	struct vcpu *v = event_vcpu_by_id(caller, op->vcpu);
	struct evtchn *chn;
	int rc = 0;

	if (!v)
		return -ENOENT;
	chn = event_port(caller, op->port);
	if (!chn)
		return -EINVAL;
	spin_lock(&caller->events->lock);
	if (chn->xen || chn->state < EVTCHN_UNBOUND || chn->state == EVTCHN_IPI ||
	    (chn->state == EVTCHN_VIRQ && !event_virq_is_global(chn->virq))) {
		rc = -EINVAL;
	} else {
		__atomic_store_n(&chn->vcpu, (uint16_t)v->id, __ATOMIC_SEQ_CST);
		event_fifo_retry(caller, op->port, chn);
	}
	spin_unlock(&caller->events->lock);
	return rc;
}

static int op_unmask(struct domain *caller, void *arg)
{
	struct evtchn_unmask *op = arg;
	struct evtchn *chn = event_port(caller, op->port);
	unsigned long flags;

	if (!chn)
		return -EINVAL;
	flags = spin_lock_irqsave(&chn->lock);
	if (event_usable(chn))
		event_abi_of(caller)->unmask(caller, op->port, chn);
	spin_unlock_irqrestore(&chn->lock, flags);
	return 0;
}

static int op_init_control(struct domain *caller, void *arg)
{
	return event_fifo_init_control(caller, arg);
}

static int op_expand_array(struct domain *caller, void *arg)
{
	struct evtchn_expand_array *op = arg;

	return event_fifo_expand_array(caller, op->array_gfn);
}

static int op_set_priority(struct domain *caller, void *arg)
{
	struct evtchn_set_priority *op = arg;
	struct evtchn *chn = event_port(caller, op->port);

	if (!chn)
		return -EINVAL;
	if (!event_abi_of(caller)->has_priorities)
		return -ENOSYS;
	if (op->priority > EVTCHN_FIFO_PRIORITY_MIN)
		return -EINVAL;
	/* For the next time that the event is queued. */
	WRITE_ONCE(chn->priority, (uint8_t)op->priority);
	return 0;
}

/*
 * One reset at a time: reset_next is its progress. Ports that others bind meanwhile make it fail with -EAGAIN at the end;
 * the FIFO ABI is left only when no port of the guest is open.
 */
static int reset(struct domain *d, bool resumed)
{
	struct evtchn_domain *e = d->events;
	uint32_t port;
	int rc = 0;

	spin_lock(&e->lock);
	port = e->reset_next;
	if (resumed ? port == 0 : port != 0) {
		spin_unlock(&e->lock);
		return -EBUSY;
	}
	if (!resumed)
		port = e->reset_next = 1;
	spin_unlock(&e->lock);

	while (port < READ_ONCE(e->valid)) {
		(void)event_close(d, port++, true);
		if (port % RESET_BATCH == 0 && hypercall_should_yield()) {
			spin_lock(&e->lock);
			e->reset_next = port;
			spin_unlock(&e->lock);
			return -ERESTART;
		}
	}
	spin_lock(&e->lock);
	e->reset_next = 0;
	if (e->active > e->xen_ports)
		rc = -EAGAIN;
	else
		event_fifo_destroy(d);
	spin_unlock(&e->lock);
	return rc;
}

static int op_reset(struct domain *caller, struct evtchn_reset *op, bool resumed)
{
	struct domain *d = domain_get_by_id(op->dom);
	int rc;

	if (!d)
		return -ESRCH;
	if (!may_target(caller, d))
		rc = -EPERM;
	else if (d != caller && !d->toolstack_paused)
		rc = -EINVAL;
	else
		rc = reset(d, resumed);
	domain_put(d);
	return rc;
}

struct event_op {
	int (*fn)(struct domain *caller, void *arg);
	uint8_t size;
	bool answers; /* the structure is copied back on success */
};

#define OP(name, copied_back) \
 [EVTCHNOP_##name] = {op_##name, sizeof(struct evtchn_##name), copied_back}

static const struct event_op ops[] = {
	OP(alloc_unbound, true), OP(bind_interdomain, true), OP(bind_virq, true),
	OP(bind_pirq, true),	 OP(bind_ipi, true),	     OP(close, false),
	OP(send, false),	 OP(status, true),	     OP(bind_vcpu, false),
	OP(unmask, false),	 OP(init_control, true),     OP(expand_array, false),
	OP(set_priority, false),
};

#undef OP

int64_t hypercall_event_channel_op(struct hypercall *hc)
{
	uint32_t cmd = (uint32_t)hc->args[0];
	uint64_t arg = hc->args[1];
	struct domain *caller = current_domain();
	union {
		uint8_t bytes[24];
		uint64_t align;
		struct evtchn_reset reset;
	} u;
	const struct event_op *op;
	int rc;

	if (cmd == EVTCHNOP_reset || cmd == OP_RESET_CONT) {
		if (guest_copy_from(&u.reset, arg, sizeof(u.reset)))
			return -EFAULT;
		rc = op_reset(caller, &u.reset, cmd == OP_RESET_CONT);
		if (rc == -ERESTART)
			hc->args[0] = OP_RESET_CONT;
		return rc;
	}
	if (cmd >= ARRAY_SIZE(ops) || !ops[index_nospec(cmd, ARRAY_SIZE(ops))].fn)
		return -ENOSYS;
	op = &ops[index_nospec(cmd, ARRAY_SIZE(ops))];
	if (guest_copy_from(u.bytes, arg, op->size))
		return -EFAULT;
	rc = op->fn(caller, u.bytes);
	if (!rc && op->answers && guest_copy_to(arg, u.bytes, op->size))
		rc = -EFAULT;
	return rc;
}
