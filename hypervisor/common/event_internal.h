/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event channels: what the files event*.c share. */
#ifndef COMMON_EVENT_INTERNAL_H
#define COMMON_EVENT_INTERNAL_H

#include <bulkhead/domain.h>
#include <bulkhead/event.h>
#include <bulkhead/gmap.h>
#include <bulkhead/nospec.h>

enum evtchn_state {
	EVTCHN_FREE,
	EVTCHN_RESERVED, /* port 0 */
	EVTCHN_UNBOUND,	 /* waits for `remote` to bind to it */
	EVTCHN_INTERDOMAIN,
	EVTCHN_VIRQ,
	EVTCHN_IPI,
};

/*
 * One end of a channel.
 *
 * Locking: state, xen and the union change only with the event lock of the domain *and* the channel's lock held; of the
 * two ends of an interdomain channel with both pairs of locks. So either lock is enough to read. A sender holds just the
 * lock of its own end: the other end cannot go away under it. Channel locks are taken with interrupts off, because
 * virtual interrupts are raised from interrupt handlers; event locks never are.
 */
struct evtchn {
	spinlock_t lock;
	uint8_t state; /* enum evtchn_state */
	uint8_t priority;
	bool xen; /* the local end is the hypervisor's */
	bool held; /* FIFO: pending, but its event word or control block does not exist yet; atomic */
	uint16_t vcpu; /* whom to notify; changed under the event lock, read without */
	uint16_t
		queue; /* FIFO: queue that it was last put on; changed under the locks of both queues */
	union {
		domid_t remote; /* unbound */
		uint32_t virq;
		struct {
			struct domain *domain;
			uint32_t port;
		} peer; /* interdomain */
	};
};
_Static_assert(sizeof(struct evtchn) == 32, "a whole number of channels fits into a page");

#define EVTCHNS_PER_CHUNK (PAGE_SIZE / sizeof(struct evtchn))

/* How pending events are shown to a guest: one of the two ABIs. */
struct event_abi {
	/* Highest number of ports, including port 0. */
	uint32_t (*max_ports)(const struct domain *d);
	/* Marks pending; notifies the vCPU unless masked. The channel's lock or that of its peer is held. */
	void (*set_pending)(struct domain *d, uint32_t port, struct evtchn *chn);
	void (*clear_pending)(struct domain *d, uint32_t port);
	void (*unmask)(struct domain *d, uint32_t port, struct evtchn *chn);
	bool (*is_pending)(const struct domain *d, uint32_t port);
	/* A closed port that the guest has still on a queue: not to be given out again. */
	bool (*is_busy)(const struct domain *d, uint32_t port);
	bool has_priorities;
};

extern const struct event_abi event_abi_2l, event_abi_fifo;

struct event_fifo;

struct evtchn_domain {
	spinlock_t lock; /* the event lock */
	const struct event_abi *abi;
	struct event_fifo *fifo; /* NULL while the 2-level ABI is used */
	uint32_t max_port;	 /* limit of the domain, inclusive */
	uint32_t valid;		 /* ports that have storage; grows by chunks, read without lock */
	uint32_t free_hint;	 /* no free port below */
	uint32_t active;	 /* ports in use */
	uint32_t xen_ports;	 /* of these, the hypervisor's */
	uint32_t reset_next;	 /* progress of EVTCHNOP_reset, 0: none under way */
	uint32_t close_next;	 /* progress of event_domain_close() */
	struct evtchn *chunks[]; /* by port / EVTCHNS_PER_CHUNK */
};

#define FIFO_PRIORITIES EVTCHN_FIFO_MAX_QUEUES

/* Per vCPU; the FIFO ABI's queues. */
struct evtchn_vcpu {
	spinlock_t lock; /* guards tails; by vCPU id when two are taken */
	struct gmap *map;
	evtchn_fifo_control_block_t *control; /* NULL: the guest did not give one */
	uint32_t tail[FIFO_PRIORITIES];	      /* port that was queued last, 0: none */
};

/* Storage of a port; NULL if it has none. No lock needed. */
static inline struct evtchn *event_port(const struct domain *d, uint32_t port)
{
	struct evtchn_domain *e = d->events;
	uint32_t valid = __atomic_load_n(&e->valid, __ATOMIC_ACQUIRE);

	if (port >= valid)
		return NULL;
	port = (uint32_t)index_nospec(port, valid);
	return &e->chunks[port / EVTCHNS_PER_CHUNK][port % EVTCHNS_PER_CHUNK];
}

static inline const struct event_abi *event_abi_of(const struct domain *d)
{
	return __atomic_load_n(&d->events->abi, __ATOMIC_ACQUIRE);
}

/* vCPU to notify, NULL while the domain does not have it yet. */
static inline struct vcpu *event_target(const struct domain *d, const struct evtchn *chn)
{
	unsigned id = __atomic_load_n(&chn->vcpu, __ATOMIC_SEQ_CST);

	return id < d->max_vcpus ? d->vcpus[index_nospec(id, d->max_vcpus)] : NULL;
}

static inline struct vcpu *event_vcpu_by_id(const struct domain *d, uint32_t id)
{
	return id < d->max_vcpus ? d->vcpus[index_nospec(id, d->max_vcpus)] : NULL;
}

/* In use by the guest: what may be unmasked or looked at. The channel's lock is held. */
static inline bool event_usable(const struct evtchn *chn)
{
	return !chn->xen && chn->state >= EVTCHN_UNBOUND;
}

static inline bool event_virq_is_global(unsigned virq)
{
	return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF &&
	       virq != VIRQ_XENPMU;
}

/* event.c */
/* Lowest port that can be bound, with storage but still free. The event lock is held. 0, -EINVAL (dying), -ENOSPC, -ENOMEM. */
int event_port_find(struct domain *d, uint32_t *ret_port);
/* Brings a free port into use. Event lock and channel lock are held. */
void event_port_take(struct domain *d, struct evtchn *chn, enum evtchn_state state, uint16_t vcpu);
/* Event locks of two domains (may be the same one). */
void event_lock_two(struct domain *a, struct domain *b);
void event_unlock_two(struct domain *a, struct domain *b);
/* Channel locks of the two ends. */
unsigned long event_chn_lock_two(struct evtchn *a, struct evtchn *b);
void event_chn_unlock_two(struct evtchn *a, struct evtchn *b, unsigned long flags);
/* 0 or -EINVAL: no such port, closed already, or (if `guest`) the hypervisor's. */
int event_close(struct domain *d, uint32_t port, bool guest);
/* Sets evtchn_upcall_pending; interrupts the vCPU if it was clear. */
void event_upcall(struct vcpu *v);
/* A port became pending: wakes vCPUs that poll. */
void event_wake_pollers(struct domain *d, uint32_t port);

/* event_fifo.c; the event lock is not held */
int event_fifo_init_control(struct domain *d, struct evtchn_init_control *op);
int event_fifo_expand_array(struct domain *d, uint64_t gfn);
/* Event lock held (or nobody else is there any more), no port of a guest in use: back to the 2-level ABI. */
void event_fifo_destroy(struct domain *d);
/* The vCPU of the port was changed: an event that waited for a control block may go out now. */
void event_fifo_retry(struct domain *d, uint32_t port, struct evtchn *chn);

/* event_2l.c */
/* Pending bit of a port in shared_info, cleared. For the switch to the FIFO ABI. */
bool event_2l_take_pending(struct domain *d, uint32_t port);

#endif
