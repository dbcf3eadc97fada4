/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event channels: ports and their storage, sending, closing, virtual interrupts, life cycle. */
#include <bulkhead/errno.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/work.h>

#include "event_internal.h"

/* Ports closed between two looks at whether something more urgent waits. */
#define CLOSE_BATCH 64

void event_upcall(struct vcpu *v)
{
	vcpu_info_t *info = __atomic_load_n(&v->info, __ATOMIC_ACQUIRE);

	if (!__atomic_exchange_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
		arch_event_upcall(v);
}

/* The mask byte beside it is not used with HVM callbacks: the guest has its interrupt flag and its local APIC. */
bool event_vcpu_pending(const struct vcpu *v)
{
	const vcpu_info_t *info = __atomic_load_n(&v->info, __ATOMIC_ACQUIRE);

	return READ_ONCE(info->evtchn_upcall_pending) != 0;
}

/*
 * SCHEDOP_poll marks the vCPU as polling and then looks at its ports; we made the port pending and then look at the
 * marks. One of the two sees the other. Of a poll for several ports the names are not kept (poll_port is 0): any event
 * ends it, and the guest looks for itself.
 */
void event_wake_pollers(struct domain *d, uint32_t port)
{
	struct vcpu *v;
	unsigned i;

	DOMAIN_FOR_EACH_VCPU (d, v, i) {
		uint32_t wanted;

		if (!__atomic_load_n(&v->polling, __ATOMIC_SEQ_CST))
			continue;
		wanted = READ_ONCE(v->poll_port);
		if (!wanted || wanted == port)
			vcpu_kick(v);
	}
}

void event_lock_two(struct domain *a, struct domain *b)
{
	if (a == b) {
		spin_lock(&a->events->lock);
		return;
	}
	spin_lock(a->id < b->id ? &a->events->lock : &b->events->lock);
	spin_lock(a->id < b->id ? &b->events->lock : &a->events->lock);
}

void event_unlock_two(struct domain *a, struct domain *b)
{
	spin_unlock(&a->events->lock);
	if (a != b)
		spin_unlock(&b->events->lock);
}

unsigned long event_chn_lock_two(struct evtchn *a, struct evtchn *b)
{
	unsigned long flags = spin_lock_irqsave(a < b ? &a->lock : &b->lock);

	spin_lock(a < b ? &b->lock : &a->lock);
	return flags;
}

void event_chn_unlock_two(struct evtchn *a, struct evtchn *b, unsigned long flags)
{
	spin_unlock(a < b ? &b->lock : &a->lock);
	spin_unlock_irqrestore(a < b ? &a->lock : &b->lock, flags);
}

/* Storage for one more chunk of ports. */
static int grow(struct evtchn_domain *e)
{
	struct evtchn *chunk = heap_page_alloc();

	if (!chunk)
		return -ENOMEM;
	for (unsigned i = 0; i < EVTCHNS_PER_CHUNK; i++)
		spin_init(&chunk[i].lock);
	e->chunks[e->valid / EVTCHNS_PER_CHUNK] = chunk;
	__atomic_store_n(&e->valid, e->valid + EVTCHNS_PER_CHUNK, __ATOMIC_RELEASE);
	return 0;
}

int event_port_find(struct domain *d, uint32_t *ret_port)
{
	struct evtchn_domain *e = d->events;
	uint32_t end = MIN(e->max_port + 1, e->abi->max_ports(d));

	if (d->dying != DOMAIN_ALIVE)
		return -EINVAL;
	for (uint32_t port = e->free_hint; port < end; port++) {
		if (port >= e->valid) {
			int rc = grow(e);

			if (rc)
				return rc;
		}
		if (event_port(d, port)->state != EVTCHN_FREE) {
			if (port == e->free_hint)
				e->free_hint++;
		} else if (!e->abi->is_busy(d, port)) {
			*ret_port = port;
			return 0;
		}
	}
	return -ENOSPC;
}

void event_port_take(struct domain *d, struct evtchn *chn, enum evtchn_state state, uint16_t vcpu)
{
	__atomic_store_n(&chn->vcpu, vcpu, __ATOMIC_SEQ_CST);
	WRITE_ONCE(chn->priority, EVTCHN_FIFO_PRIORITY_DEFAULT);
	chn->state = state;
	d->events->active++;
}

/* Event and channel locks are held. What is pending is forgotten, for the next user of the port. */
static void port_release(struct domain *d, uint32_t port, struct evtchn *chn)
{
	struct evtchn_domain *e = d->events;

	e->abi->clear_pending(d, port);
	__atomic_store_n(&chn->held, false, __ATOMIC_SEQ_CST);
	if (chn->xen)
		e->xen_ports--;
	e->active--;
	chn->xen = false;
	chn->state = EVTCHN_FREE;
	chn->vcpu = 0;
	if (port < e->free_hint)
		e->free_hint = port;
}

static void virq_forget(struct domain *d, struct evtchn *chn)
{
	struct vcpu *v = d->vcpus[event_virq_is_global(chn->virq) ? 0 : chn->vcpu];
	unsigned long flags = spin_lock_irqsave(&v->virq_lock);

	v->virq_to_evtchn[chn->virq] = 0;
	spin_unlock_irqrestore(&v->virq_lock, flags);
}

/* Both event locks are held. The other end stays, reserved for whoever it was connected with. */
static void close_interdomain(struct domain *d, uint32_t port, struct evtchn *chn)
{
	struct evtchn *peer = event_port(chn->peer.domain, chn->peer.port);
	unsigned long flags = event_chn_lock_two(chn, peer);

	port_release(d, port, chn);
	peer->state = EVTCHN_UNBOUND;
	peer->remote = d->id;
	event_chn_unlock_two(chn, peer, flags);
}

/*
 * Takes the event lock of d and, if the port is connected, that of its peer. The lower domid comes first: where that is
 * the peer's, d is unlocked in between. Returns the peer to pass to close_unlock(), NULL if there is none but d.
 */
static struct domain *close_lock(struct domain *d, struct evtchn *chn)
{
	struct domain *peer;

	spin_lock(&d->events->lock);
	if (chn->state != EVTCHN_INTERDOMAIN || chn->peer.domain == d)
		return NULL;
	/* Alive: its end of the channel cannot be closed without the event lock of d. */
	peer = chn->peer.domain;
	domain_get(peer);
	if (d->id < peer->id) {
		spin_lock(&peer->events->lock);
	} else {
		spin_unlock(&d->events->lock);
		event_lock_two(d, peer);
	}
	return peer;
}

static void close_unlock(struct domain *d, struct domain *peer)
{
	spin_unlock(&d->events->lock);
	if (peer) {
		spin_unlock(&peer->events->lock);
		domain_put(peer);
	}
}

/*
 * The locks of close_lock() are held. A port that is connected with a domain whose lock is not held was closed and bound
 * anew while d was unlocked: for a moment it was closed, then, and that may be told.
 */
static bool may_close(const struct domain *d, const struct domain *peer, const struct evtchn *chn,
		      bool guest)
{
	if (chn->state < EVTCHN_UNBOUND || (chn->xen && guest))
		return false;
	return chn->state != EVTCHN_INTERDOMAIN || chn->peer.domain == d ||
	       chn->peer.domain == peer;
}

int event_close(struct domain *d, uint32_t port, bool guest)
{
	struct evtchn *chn = event_port(d, port);
	struct domain *peer;
	unsigned long flags;
	int rc = 0;

	if (!chn)
		return -EINVAL;
	peer = close_lock(d, chn);
	if (!may_close(d, peer, chn, guest)) {
		rc = -EINVAL;
	} else if (chn->state == EVTCHN_INTERDOMAIN) {
		close_interdomain(d, port, chn);
	} else {
		if (chn->state == EVTCHN_VIRQ)
			virq_forget(d, chn);
		flags = spin_lock_irqsave(&chn->lock);
		port_release(d, port, chn);
		spin_unlock_irqrestore(&chn->lock, flags);
	}
	close_unlock(d, peer);
	return rc;
}

/* The lock of the channel or of its peer is held. */
static void deliver(struct domain *d, uint32_t port, struct evtchn *chn)
{
	if (chn->xen) {
		struct vcpu *v = event_target(d, chn);

		/* An ioreq server has answered: the vCPU looks at its request again. */
		if (v)
			vcpu_clear_flag(v, VPF_IO);
		return;
	}
	event_abi_of(d)->set_pending(d, port, chn);
}

int event_send(struct domain *d, uint32_t port)
{
	struct evtchn *chn = event_port(d, port);
	unsigned long flags;
	int rc = 0;

	if (!chn)
		return -EINVAL;
	flags = spin_lock_irqsave(&chn->lock);
	if (!chn->xen && chn->state == EVTCHN_INTERDOMAIN)
		deliver(chn->peer.domain, chn->peer.port,
			event_port(chn->peer.domain, chn->peer.port));
	else if (!chn->xen && chn->state == EVTCHN_IPI)
		deliver(d, port, chn);
	else if (chn->xen || chn->state != EVTCHN_UNBOUND) /* nobody there yet: not an error */
		rc = -EINVAL;
	spin_unlock_irqrestore(&chn->lock, flags);
	return rc;
}

int event_port_pending(struct domain *d, uint32_t port)
{
	struct evtchn *chn;
	unsigned long flags;
	int pending;

	if (port > d->events->max_port || port >= event_abi_of(d)->max_ports(d))
		return -EINVAL;
	chn = event_port(d, port);
	if (!chn)
		return 0;
	flags = spin_lock_irqsave(&chn->lock);
	pending = event_usable(chn) && event_abi_of(d)->is_pending(d, port);
	spin_unlock_irqrestore(&chn->lock, flags);
	return pending;
}

static void virq_raise(struct vcpu *v, unsigned virq)
{
	unsigned long flags = spin_lock_irqsave(&v->virq_lock);
	uint32_t port = v->virq_to_evtchn[virq];
	struct evtchn *chn = port ? event_port(v->domain, port) : NULL;

	if (chn) {
		spin_lock(&chn->lock);
		if (chn->state == EVTCHN_VIRQ)
			event_abi_of(v->domain)->set_pending(v->domain, port, chn);
		spin_unlock(&chn->lock);
	}
	spin_unlock_irqrestore(&v->virq_lock, flags);
}

void event_send_vcpu_virq(struct vcpu *v, unsigned virq)
{
	if (virq < NR_VIRQS)
		virq_raise(v, virq);
}

void event_send_virq(struct domain *d, unsigned virq)
{
	if (virq < NR_VIRQS && d->max_vcpus && d->vcpus[0])
		virq_raise(d->vcpus[0], virq);
}

/* Domains that take a global VIRQ in place of the hardware domain; each holds a reference. */
static struct domain *virq_handlers[NR_VIRQS];
static spinlock_t virq_handlers_lock = SPINLOCK_INIT;

static uint32_t global_virqs; /* raised, not sent yet; a mask */

static void global_virqs_send(struct work *w)
{
	uint32_t virqs = __atomic_exchange_n(&global_virqs, 0, __ATOMIC_SEQ_CST);

	(void)w;
	for (unsigned virq = 0; virq < NR_VIRQS; virq++) {
		unsigned long flags;
		struct domain *d;

		if (!(virqs & BIT32(virq)))
			continue;
		flags = spin_lock_irqsave(&virq_handlers_lock);
		d = virq_handlers[virq];
		if (!d)
			d = hardware_domain;
		if (d)
			event_send_virq(d, virq);
		spin_unlock_irqrestore(&virq_handlers_lock, flags);
	}
}

static struct work global_virqs_work = {
	.link = LIST_INIT(global_virqs_work.link),
	.fn = global_virqs_send,
};

/*
 * Sent from the main loop: a message that is logged raises VIRQ_CON_RING, and messages are logged with any lock held,
 * even those that sending takes.
 */
void event_send_hwdom_virq(unsigned virq)
{
	_Static_assert(NR_VIRQS <= 32, "one word for all");

	if (virq >= NR_VIRQS || !READ_ONCE(hardware_domain))
		return;
	__atomic_fetch_or(&global_virqs, BIT32(virq), __ATOMIC_SEQ_CST);
	work_queue(&global_virqs_work);
}

int event_set_virq_handler(struct domain *d, unsigned virq)
{
	struct domain *old = NULL;
	unsigned long flags;
	int rc = -EINVAL;

	if (virq >= NR_VIRQS || !event_virq_is_global(virq))
		return -EINVAL;
	flags = spin_lock_irqsave(&virq_handlers_lock);
	/* Under the lock: virq_handlers_drop() of one that dies comes by once. */
	if (READ_ONCE(d->dying) == DOMAIN_ALIVE) {
		domain_get(d);
		old = virq_handlers[virq];
		virq_handlers[virq] = d;
		rc = 0;
	}
	spin_unlock_irqrestore(&virq_handlers_lock, flags);
	domain_put(old);
	return rc;
}

static void virq_handlers_drop(struct domain *d)
{
	for (unsigned virq = 0; virq < NR_VIRQS; virq++) {
		unsigned long flags = spin_lock_irqsave(&virq_handlers_lock);
		bool mine = virq_handlers[virq] == d;

		if (mine)
			virq_handlers[virq] = NULL;
		spin_unlock_irqrestore(&virq_handlers_lock, flags);
		if (mine)
			domain_put(d);
	}
}

int event_xen_port_alloc(struct domain *d, unsigned vcpu, uint16_t remote_domid, uint32_t *ret_port)
{
	struct evtchn *chn;
	unsigned long flags;
	uint32_t port;
	int rc;

	spin_lock(&d->events->lock);
	rc = event_port_find(d, &port);
	if (!rc) {
		chn = event_port(d, port);
		flags = spin_lock_irqsave(&chn->lock);
		event_port_take(d, chn, EVTCHN_UNBOUND, (uint16_t)vcpu);
		chn->remote = remote_domid;
		chn->xen = true;
		d->events->xen_ports++;
		spin_unlock_irqrestore(&chn->lock, flags);
		*ret_port = port;
	}
	spin_unlock(&d->events->lock);
	return rc;
}

void event_xen_port_free(struct domain *d, uint32_t port)
{
	/* -EINVAL: the domain is dying and its ports were closed already. */
	(void)event_close(d, port, false);
}

void event_xen_port_notify(struct domain *d, uint32_t port)
{
	struct evtchn *chn = event_port(d, port);
	unsigned long flags;

	if (!chn)
		return;
	flags = spin_lock_irqsave(&chn->lock);
	if (chn->xen && chn->state == EVTCHN_INTERDOMAIN)
		deliver(chn->peer.domain, chn->peer.port,
			event_port(chn->peer.domain, chn->peer.port));
	spin_unlock_irqrestore(&chn->lock, flags);
}

void event_set_compat(struct domain *d, bool compat)
{
	if (READ_ONCE(d->shared_info_32) == compat)
		return;
	WRITE_ONCE(d->shared_info_32, compat);
	domain_wallclock_update(d);
}

int event_domain_init(struct domain *d, uint32_t max_port)
{
	struct evtchn_domain *e;
	int rc;

	max_port = MIN(max_port, (uint32_t)EVTCHN_FIFO_NR_CHANNELS - 1);
	e = heap_alloc(sizeof(*e) +
		       DIV_ROUND_UP(max_port + 1, EVTCHNS_PER_CHUNK) * sizeof(struct evtchn *));
	if (!e)
		return -ENOMEM;
	spin_init(&e->lock);
	e->abi = &event_abi_2l;
	e->max_port = max_port;
	rc = grow(e);
	if (rc) {
		heap_free(e);
		return rc;
	}
	e->chunks[0][0].state = EVTCHN_RESERVED;
	e->free_hint = 1;
	e->close_next = 1;
	d->events = e;
	return 0;
}

/* The domain is dying: taking the lock once makes sure that nobody is about to bind another port. */
int event_domain_close(struct domain *d)
{
	struct evtchn_domain *e = d->events;

	if (!e)
		return 0;
	spin_lock(&e->lock);
	spin_unlock(&e->lock);
	while (e->close_next < e->valid) {
		(void)event_close(d, e->close_next++, false);
		if (e->close_next % CLOSE_BATCH == 0 && hypercall_should_yield())
			return -ERESTART;
	}
	virq_handlers_drop(d);
	spin_lock(&e->lock);
	event_fifo_destroy(d);
	spin_unlock(&e->lock);
	return 0;
}

void event_domain_finish(struct domain *d)
{
	struct evtchn_domain *e = d->events;

	if (!e)
		return;
	event_fifo_destroy(d);
	for (uint32_t i = 0; i < e->valid / EVTCHNS_PER_CHUNK; i++)
		heap_page_free(e->chunks[i]);
	heap_free(e);
	d->events = NULL;
}

int event_vcpu_init(struct vcpu *v)
{
	v->events = heap_alloc(sizeof(*v->events));
	if (!v->events)
		return -ENOMEM;
	spin_init(&v->events->lock);
	return 0;
}

void event_vcpu_finish(struct vcpu *v)
{
	heap_free(v->events);
	v->events = NULL;
}
