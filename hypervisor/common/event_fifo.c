/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event delivery by the FIFO ABI: an array of event words, and per vCPU one linked list for each priority. */
#include <bulkhead/errno.h>
#include <bulkhead/log.h>

#include "event_internal.h"

/*
 * The guest takes events off the head of a list, the hypervisor appends at the tail. The tail is known to the hypervisor
 * only; links are in the event words, which the guest can change at any time:
 *
 *   PENDING  set by us, cleared by the guest
 *   MASKED   both; the guest must not clear it itself while BUSY is set, but by EVTCHNOP_unmask
 *   LINKED   set by us when the event is put on a list, cleared by the guest (with LINK) when it takes it off
 *   BUSY     ours: we are about to write LINK
 *
 * Nothing in these words is trusted: they are changed by atomic operations, loops over them are bounded, and the
 * port numbers used as indices (tails) are our own.
 */
#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define ARRAY_PAGES    (EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE)

#define PENDING	  BIT32(EVTCHN_FIFO_PENDING)
#define MASKED	  BIT32(EVTCHN_FIFO_MASKED)
#define LINKED	  BIT32(EVTCHN_FIFO_LINKED)
#define BUSY	  BIT32(EVTCHN_FIFO_BUSY)
#define LINK_MASK ((uint32_t)EVTCHN_FIFO_LINK_MASK)

/*
 * A guest that keeps to the protocol changes a linked word at most four times while BUSY is set: PENDING cleared, MASKED
 * set, LINKED cleared, and one clearing of MASKED that was under way.
 */
#define LINK_TRIES  6
/* Two senders at most work on one port at a time (its peer and an unmask); more changes of its queue are an attack. */
#define QUEUE_TRIES 8

_Static_assert(sizeof(evtchn_fifo_control_block_t) == 72, "ABI");
_Static_assert(sizeof(event_word_t) == 4, "ABI");

struct event_fifo {
	uint32_t words; /* event words that exist; read without lock */
	struct gmap *pages[ARRAY_PAGES];
};

/* Queue number in struct evtchn: vCPU and priority. */
#define QUEUE(vcpu, priority) ((uint16_t)((vcpu) << 4 | (priority)))
#define QUEUE_VCPU(q)	      ((unsigned)(q) >> 4)
#define QUEUE_PRIORITY(q)     ((unsigned)(q)&15)
_Static_assert(MAX_VCPUS <= 1 << 12 && FIFO_PRIORITIES == 16, "a queue number has 16 bits");

static event_word_t *fifo_word(const struct domain *d, uint32_t port)
{
	struct event_fifo *f = d->events->fifo;
	uint32_t words = __atomic_load_n(&f->words, __ATOMIC_SEQ_CST);

	if (port >= words)
		return NULL;
	port = (uint32_t)index_nospec(port, words);
	return (event_word_t *)f->pages[port / WORDS_PER_PAGE]->ptr + port % WORDS_PER_PAGE;
}

static evtchn_fifo_control_block_t *fifo_control(const struct vcpu *v)
{
	return v ? __atomic_load_n(&v->events->control, __ATOMIC_SEQ_CST) : NULL;
}

/*
 * Makes the tail point to the next event. False if the tail is not on the list any more (the guest has taken it off),
 * or if the guest changes the word all the time.
 */
static bool fifo_append(struct domain *d, event_word_t *tail, uint32_t port)
{
	event_word_t old = __atomic_load_n(tail, __ATOMIC_SEQ_CST);
	bool busy = false;

	for (unsigned i = 0; i < LINK_TRIES && (old & LINKED); i++) {
		event_word_t new = (old & ~(BUSY | LINK_MASK)) | port;

		if (__atomic_compare_exchange_n(tail, &old, new, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return true;
		if (!busy) {
			/* Keeps a guest that follows the rules from unmasking, so that the next try works. */
			old = __atomic_fetch_or(tail, BUSY, __ATOMIC_SEQ_CST) | BUSY;
			busy = true;
		}
	}
	if (busy)
		__atomic_fetch_and(tail, ~BUSY, __ATOMIC_SEQ_CST);
	if (old & LINKED)
		log_guest(d, LOG_WARN, "FIFO event word does not hold still\n");
	return false;
}

static void fifo_lock_two(struct vcpu *a, struct vcpu *b)
{
	if (a->id > b->id) {
		struct vcpu *tmp = a;

		a = b;
		b = tmp;
	}
	spin_lock(&a->events->lock);
	if (a != b)
		spin_lock(&b->events->lock);
}

static void fifo_unlock_two(struct vcpu *a, struct vcpu *b)
{
	spin_unlock(&a->events->lock);
	if (a != b)
		spin_unlock(&b->events->lock);
}

/*
 * Locks the queues that a port is to be put on and was on before, and keeps interrupts off. The latter may change before
 * the lock is held: then try again. Returns the vCPU of the old queue, NULL when it could not be had.
 */
static struct vcpu *fifo_lock(struct domain *d, struct evtchn *chn, struct vcpu *v,
			      unsigned long *ret_flags)
{
	for (unsigned i = 0; i < QUEUE_TRIES; i++) {
		uint16_t queue = READ_ONCE(chn->queue);
		struct vcpu *old = d->vcpus[QUEUE_VCPU(queue)];
		unsigned long flags = arch_irq_save();

		if (!old) /* never queued before, and there is no vCPU 0 */
			old = v;
		fifo_lock_two(v, old);
		if (READ_ONCE(chn->queue) == queue) {
			*ret_flags = flags;
			return old;
		}
		fifo_unlock_two(v, old);
		arch_irq_restore(flags);
	}
	return NULL;
}

/* Puts a linked event at the end of its queue; the locks are held. True if the queue was empty. */
static bool fifo_enqueue(struct domain *d, struct vcpu *v, struct vcpu *old, uint32_t port,
			 struct evtchn *chn, unsigned priority)
{
	struct evtchn_vcpu *q = v->events;
	unsigned old_priority = QUEUE_PRIORITY(chn->queue);
	bool linked = false;

	/*
	 * The port was taken off its queue before, but may still be known as its tail. It would look linked again by now,
	 * and the next event of that queue would be hung on this one.
	 */
	if (old->events->tail[old_priority] == port)
		old->events->tail[old_priority] = 0;
	WRITE_ONCE(chn->queue, QUEUE(v->id, priority));
	if (q->tail[priority]) {
		event_word_t *tail = fifo_word(d, q->tail[priority]);

		linked = tail && fifo_append(d, tail, port);
	}
	if (!linked)
		__atomic_store_n(&q->control->head[priority], port, __ATOMIC_SEQ_CST);
	q->tail[priority] = port;
	return !linked;
}

/* Word and control block exist. */
static void fifo_raise(struct domain *d, struct vcpu *v, uint32_t port, struct evtchn *chn,
		       event_word_t *word)
{
	unsigned priority = READ_ONCE(chn->priority) % FIFO_PRIORITIES;
	bool was_pending, notify = false;
	unsigned long flags;
	struct vcpu *old = fifo_lock(d, chn, v, &flags);

	if (!old) {
		log_guest(d, LOG_WARN, "event of port %u lost: its queue changes all the time\n",
			  port);
		return;
	}
	was_pending = __atomic_fetch_or(word, PENDING, __ATOMIC_SEQ_CST) & PENDING;
	if (!(__atomic_load_n(word, __ATOMIC_SEQ_CST) & MASKED) &&
	    !(__atomic_fetch_or(word, LINKED, __ATOMIC_SEQ_CST) & LINKED))
		notify = fifo_enqueue(d, v, old, port, chn, priority);
	fifo_unlock_two(v, old);
	arch_irq_restore(flags);

	/* The head was written before (G17): whoever sees the bit finds the event. */
	if (notify &&
	    !(__atomic_fetch_or(&v->events->control->ready, BIT32(priority), __ATOMIC_SEQ_CST) &
	      BIT32(priority)))
		event_upcall(v);
	if (!was_pending)
		event_wake_pollers(d, port);
}

static void set_pending(struct domain *d, uint32_t port, struct evtchn *chn)
{
	struct vcpu *v = event_target(d, chn);
	event_word_t *word = fifo_word(d, port);

	if (unlikely(!word || !fifo_control(v))) {
		/* Keep it until there is a place for it, then look again: that place may have come just now. */
		__atomic_store_n(&chn->held, true, __ATOMIC_SEQ_CST);
		event_fifo_retry(d, port, chn);
		return;
	}
	fifo_raise(d, v, port, chn, word);
}

void event_fifo_retry(struct domain *d, uint32_t port, struct evtchn *chn)
{
	struct vcpu *v;
	event_word_t *word;

	if (!d->events->fifo || !__atomic_load_n(&chn->held, __ATOMIC_SEQ_CST))
		return;
	v = event_target(d, chn);
	word = fifo_word(d, port);
	if (word && fifo_control(v) && __atomic_exchange_n(&chn->held, false, __ATOMIC_SEQ_CST))
		fifo_raise(d, v, port, chn, word);
}

static void clear_pending(struct domain *d, uint32_t port)
{
	event_word_t *word = fifo_word(d, port);

	/* It stays linked: the guest takes it off and sees that it is not pending. */
	if (word)
		__atomic_fetch_and(word, ~PENDING, __ATOMIC_SEQ_CST);
}

static void unmask(struct domain *d, uint32_t port, struct evtchn *chn)
{
	event_word_t *word = fifo_word(d, port);

	if (!word)
		return;
	if (__atomic_fetch_and(word, ~MASKED, __ATOMIC_SEQ_CST) & PENDING)
		set_pending(d, port, chn);
}

static bool is_pending(const struct domain *d, uint32_t port)
{
	event_word_t *word = fifo_word(d, port);

	return word && (__atomic_load_n(word, __ATOMIC_SEQ_CST) & PENDING);
}

static bool is_busy(const struct domain *d, uint32_t port)
{
	event_word_t *word = fifo_word(d, port);

	return word && (__atomic_load_n(word, __ATOMIC_SEQ_CST) & LINKED);
}

static uint32_t max_ports(const struct domain *d)
{
	(void)d;
	return EVTCHN_FIFO_NR_CHANNELS;
}

const struct event_abi event_abi_fifo = {
	.max_ports = max_ports,
	.set_pending = set_pending,
	.clear_pending = clear_pending,
	.unmask = unmask,
	.is_pending = is_pending,
	.is_busy = is_busy,
	.has_priorities = true,
};

/* Waits until nobody uses the channel with what was true before. */
static void chn_sync(struct evtchn *chn)
{
	unsigned long flags = spin_lock_irqsave(&chn->lock);

	spin_unlock_irqrestore(&chn->lock, flags);
}

/*
 * The ABI has just been switched. Senders that still use the old one hold the channel's lock or that of its peer (which
 * cannot change, as the event lock is held); once they are through, the pending bits of the old ABI are complete.
 */
static void fifo_migrate(struct domain *d, uint32_t old_ports)
{
	for (uint32_t port = 1; port < old_ports; port++) {
		struct evtchn *chn = event_port(d, port);

		if (!chn)
			break;
		if (chn->state < EVTCHN_UNBOUND)
			continue;
		chn_sync(chn);
		if (chn->state == EVTCHN_INTERDOMAIN)
			chn_sync(event_port(chn->peer.domain, chn->peer.port));
		if (event_2l_take_pending(d, port))
			__atomic_store_n(&chn->held, true, __ATOMIC_SEQ_CST);
		WRITE_ONCE(chn->priority, EVTCHN_FIFO_PRIORITY_DEFAULT);
	}
}

/* Raises held events of ports from first on; the event lock is held. */
static void fifo_replay(struct domain *d, uint32_t first)
{
	for (uint32_t port = first; port < d->events->valid; port++)
		event_fifo_retry(d, port, event_port(d, port));
}

/* The event lock is held; `fifo` is taken over if it is the first control block, then the ABI is switched. */
static int fifo_set_control(struct domain *d, struct vcpu *v, struct gmap *map, uint32_t offset,
			    struct event_fifo **fifo)
{
	struct evtchn_domain *e = d->events;
	uint32_t old_ports;

	if (d->dying != DOMAIN_ALIVE || v->events->control)
		return -EINVAL;
	v->events->map = map;
	__atomic_store_n(&v->events->control, (void *)((char *)map->ptr + offset),
			 __ATOMIC_SEQ_CST);
	if (!e->fifo) {
		old_ports = event_abi_2l.max_ports(d);
		e->fifo = *fifo;
		*fifo = NULL;
		__atomic_store_n(&e->abi, &event_abi_fifo, __ATOMIC_SEQ_CST);
		fifo_migrate(d, old_ports);
	}
	fifo_replay(d, 1);
	return 0;
}

int event_fifo_init_control(struct domain *d, struct evtchn_init_control *op)
{
	struct vcpu *v = event_vcpu_by_id(d, op->vcpu);
	struct event_fifo *fifo;
	struct gmap *map;
	int rc;

	if (!v)
		return -ENOENT;
	if (op->offset > PAGE_SIZE - sizeof(evtchn_fifo_control_block_t) || op->offset % 8)
		return -EINVAL;
	fifo = heap_alloc(sizeof(*fifo));
	if (!fifo)
		return -ENOMEM;
	rc = gmap_create(d, gfn_from(op->control_gfn), GMAP_FIFO_CONTROL, &map);
	if (!rc) {
		spin_lock(&d->events->lock);
		rc = fifo_set_control(d, v, map, op->offset, &fifo);
		spin_unlock(&d->events->lock);
		if (rc)
			gmap_destroy(map);
	}
	heap_free(fifo);
	if (!rc)
		op->link_bits = EVTCHN_FIFO_LINK_BITS;
	return rc;
}

/* The event lock is held. */
static int fifo_add_page(struct domain *d, struct gmap *map)
{
	struct event_fifo *fifo = d->events->fifo;
	uint32_t first;

	if (!fifo)
		return -EOPNOTSUPP;
	if (d->dying != DOMAIN_ALIVE)
		return -EINVAL;
	first = fifo->words;
	if (first >= EVTCHN_FIFO_NR_CHANNELS)
		return -ENOSPC;
	fifo->pages[first / WORDS_PER_PAGE] = map;
	__atomic_store_n(&fifo->words, first + WORDS_PER_PAGE, __ATOMIC_SEQ_CST);
	fifo_replay(d, first);
	return 0;
}

int event_fifo_expand_array(struct domain *d, uint64_t gfn)
{
	struct gmap *map;
	int rc;

	/* Before the page is looked at, as ABI users probe for it; looked at again below. */
	if (!READ_ONCE(d->events->fifo))
		return -EOPNOTSUPP;
	rc = gmap_create(d, gfn_from(gfn), GMAP_FIFO_ARRAY, &map);
	if (rc)
		return rc;
	spin_lock(&d->events->lock);
	rc = fifo_add_page(d, map);
	spin_unlock(&d->events->lock);
	if (rc)
		gmap_destroy(map);
	return rc;
}

void event_fifo_destroy(struct domain *d)
{
	struct evtchn_domain *e = d->events;
	struct event_fifo *fifo = e->fifo;
	struct vcpu *v;
	unsigned i;

	if (!fifo)
		return;
	__atomic_store_n(&e->abi, &event_abi_2l, __ATOMIC_SEQ_CST);
	e->fifo = NULL;
	DOMAIN_FOR_EACH_VCPU (d, v, i) {
		struct gmap *map = v->events->map;

		v->events->control = NULL;
		v->events->map = NULL;
		for (unsigned k = 0; k < FIFO_PRIORITIES; k++)
			v->events->tail[k] = 0;
		gmap_destroy(map);
	}
	for (i = 0; i < fifo->words / WORDS_PER_PAGE; i++)
		gmap_destroy(fifo->pages[i]);
	heap_free(fifo);
	for (uint32_t port = 1; port < e->valid; port++) {
		event_port(d, port)->queue = 0;
		event_port(d, port)->held = false;
	}
}
