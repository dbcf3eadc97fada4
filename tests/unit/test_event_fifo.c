// SPDX-License-Identifier: GPL-2.0-or-later
// FIFO event channels: set-up, queues and priorities, and a guest that does things between any two of our steps.
// links: hypervisor/common/event.c hypervisor/common/event_2l.c
// links: hypervisor/common/event_op.c hypervisor/common/page_owner.c hypervisor/common/pod.c hypervisor/arch/fake/fake.c tests/unit/domain_fixture.c
#include "domain_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/event.h>
#include "event_calls.h"

/*
 * Every atomic operation of the code under test is a point at which the other side may do something: the hook is called
 * before each. An inner name that is the macro's own is not expanded again.
 */
static void (*between)(void);
static void (*in_lock)(void); /* between the look at a port's queue and the locks of it */
static unsigned long steps;

static void step(void)
{
	steps++;
	if (between)
		between();
}

#define __atomic_load_n(p, o)	     (step(), __atomic_load_n(p, o))
#define __atomic_store_n(p, v, o)    (step(), __atomic_store_n(p, v, o))
#define __atomic_fetch_or(p, v, o)   (step(), __atomic_fetch_or(p, v, o))
#define __atomic_fetch_and(p, v, o)  (step(), __atomic_fetch_and(p, v, o))
#define __atomic_exchange_n(p, v, o) (step(), __atomic_exchange_n(p, v, o))
#define __atomic_compare_exchange_n(p, e, v, w, s, f) \
 (step(), __atomic_compare_exchange_n(p, e, v, w, s, f))
#define arch_irq_save() (in_lock ? in_lock() : (void)0, arch_irq_save())
#include "../../hypervisor/common/event_fifo.c"
#undef arch_irq_save
#undef __atomic_load_n
#undef __atomic_store_n
#undef __atomic_fetch_or
#undef __atomic_fetch_and
#undef __atomic_exchange_n
#undef __atomic_compare_exchange_n

#define GFN_ARRAY	 16
#define GFN_CONTROL	 8
#define CONTROL_AT(vcpu) (128 * (vcpu))

static struct domain *d1, *d2;

static int setup(void **state)
{
	(void)state;
	fixture_init();
	d1 = events_domain(1, 3, UINT32_MAX);
	d2 = events_domain(2, 1, 1023);
	fixture_ram(d1, 0, 64);
	fixture_run(d1);
	between = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	between = NULL;
	events_domain_free(d1);
	events_domain_free(d2);
	fixture_finish();
	return 0;
}

static evtchn_fifo_control_block_t *control(unsigned vcpu)
{
	return (void *)((char *)fixture_page(d1, GFN_CONTROL) + CONTROL_AT(vcpu));
}

static event_word_t *word(uint32_t port)
{
	return (event_word_t *)fixture_page(d1, GFN_ARRAY + port / 1024) + port % 1024;
}

/* All three vCPUs and one page of words. */
static void fifo_start(void)
{
	for (unsigned v = 0; v < 3; v++)
		assert_int_equal(ev_control(v, GFN_CONTROL, CONTROL_AT(v)), 0);
	assert_int_equal(ev_expand(GFN_ARRAY), 0);
}

/* ---- What a guest does ---- */

/*
 * A consumer by the rules of the ABI, one atomic step at a time, so that it can be interleaved with the code under test:
 * it takes events off the lists by priority, clears PENDING, and counts what it got.
 */
struct guest {
	unsigned vcpu;
	uint32_t head[FIFO_PRIORITIES]; /* what it remembers of each list */
	uint32_t ready;
	enum {
		IDLE,
		READ_READY,
		PICK,
		READ_HEAD,
		UNLINK,
		CHECK,
		CONSUME
	} at;
	unsigned q;
	uint32_t port;
	unsigned got[64];
	unsigned order[512], taken;
};

static struct guest g[3];

static void guest_start(unsigned vcpu)
{
	memset(&g[vcpu], 0, sizeof(g[vcpu]));
	g[vcpu].vcpu = vcpu;
}

/* One step. False: it has nothing to do and waits for an upcall. */
static bool guest_step(struct guest *u)
{
	evtchn_fifo_control_block_t *cb = control(u->vcpu);
	vcpu_info_t *info = d1->vcpus[u->vcpu]->info;
	uint32_t w, link;

	switch (u->at) {
	case IDLE:
		if (!__atomic_exchange_n(&info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST))
			return false;
		u->at = READ_READY;
		return true;
	case READ_READY:
		u->ready |= __atomic_exchange_n(&cb->ready, 0, __ATOMIC_SEQ_CST);
		u->at = PICK;
		return true;
	case PICK:
		if (!u->ready) {
			u->at = IDLE;
			return true;
		}
		u->q = (unsigned)__builtin_ctz(u->ready);
		u->port = u->head[u->q];
		u->at = u->port ? UNLINK : READ_HEAD;
		return true;
	case READ_HEAD:
		u->port = __atomic_load_n(&cb->head[u->q], __ATOMIC_SEQ_CST);
		u->at = UNLINK;
		if (!u->port) {
			u->ready &= ~(1U << u->q);
			u->at = READ_READY;
		}
		return true;
	case UNLINK:
		/* Takes it off the list: LINKED and LINK in one operation, tried again in the next step if it fails. */
		w = __atomic_load_n(word(u->port), __ATOMIC_SEQ_CST);
		link = w & LINK_MASK;
		if (!__atomic_compare_exchange_n(word(u->port), &w, w & ~(LINKED | LINK_MASK),
						 false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
		u->head[u->q] = link;
		if (!link)
			u->ready &= ~(1U << u->q);
		u->at = CHECK;
		return true;
	case CHECK:
		w = __atomic_load_n(word(u->port), __ATOMIC_SEQ_CST);
		u->at = (w & PENDING) && !(w & MASKED) ? CONSUME : READ_READY;
		return true;
	case CONSUME:
		__atomic_fetch_and(word(u->port), ~PENDING, __ATOMIC_SEQ_CST);
		u->got[u->port]++;
		u->order[u->taken++ % 512] = u->port;
		u->at = READ_READY;
		return true;
	}
	return false;
}

static void guest_run(unsigned vcpu)
{
	for (unsigned i = 0; guest_step(&g[vcpu]); i++)
		assert_true(i < 100000);
}

static bool guest_is_on_list(uint32_t port)
{
	return *word(port) & LINKED;
}

/* ---- Set-up ---- */

static void init_control_errors(void **state)
{
	(void)state;
	assert_int_equal(ev_control(3, GFN_CONTROL, 0), -ENOENT);
	assert_int_equal(ev_control(0, GFN_CONTROL, 4), -EINVAL);
	assert_int_equal(ev_control(0, GFN_CONTROL, 4096 - 64), -EINVAL);
	assert_int_equal(ev_control(0, GFN_CONTROL, UINT32_MAX), -EINVAL);
	assert_int_equal(ev_control(0, 1000, 0), -EINVAL);
	assert_int_equal(ev_control(0, UINT64_MAX, 0), -EINVAL);
	assert_int_equal(ev_expand(GFN_ARRAY), -EOPNOTSUPP);
	/* Nothing of these has switched the ABI. */
	assert_ptr_equal(d1->events->abi, &event_abi_2l);
	assert_true(list_empty(&d1->gmaps));
	assert_int_equal(ev_control(0, GFN_CONTROL, 4096 - 72), 0);
	assert_int_equal(ev_control(0, GFN_CONTROL, 0), -EINVAL);
	assert_int_equal(ev_expand(1000), -EINVAL);
	d1->dying = DOMAIN_DYING;
	assert_int_equal(ev_control(1, GFN_CONTROL, 0), -EINVAL);
	assert_int_equal(ev_expand(GFN_ARRAY), -EINVAL);
	d1->dying = DOMAIN_ALIVE;
}

static void init_control_no_memory(void **state)
{
	(void)state;
	for (int n = 0; n < 2; n++) {
		fake_heap_fail_after = n;
		assert_int_equal(ev_control(0, GFN_CONTROL, 0), -ENOMEM);
	}
	fake_heap_fail_after = -1;
	assert_ptr_equal(d1->events->abi, &event_abi_2l);
	assert_int_equal(ev_control(0, GFN_CONTROL, 0), 0);
	fake_heap_fail_after = 0;
	assert_int_equal(ev_expand(GFN_ARRAY), -ENOMEM);
	fake_heap_fail_after = -1;
}

static void array_has_an_end(void **state)
{
	uint32_t port = 0;

	(void)state;
	fifo_start();
	for (unsigned i = 1; i < 128; i++)
		assert_int_equal(ev_expand(GFN_ARRAY), 0);
	assert_int_equal(ev_expand(GFN_ARRAY), -ENOSPC);
	while (port < (1 << 17) - 1)
		assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(ev_ipi(0, &port), -ENOSPC);
	assert_int_equal(ev_send(port), 0);
	assert_int_equal(control(0)->head[7], port);
}

/* Pending 2-level events come along, and are delivered once there is a word for them. */
static void migration(void **state)
{
	uint32_t a, b, c, remote, mine;

	(void)state;
	assert_int_equal(ev_ipi(0, &a), 0);
	assert_int_equal(ev_ipi(1, &b), 0);
	assert_int_equal(ev_ipi(2, &c), 0);
	assert_int_equal(ev_alloc(DOMID_SELF, 2, &mine), 0);
	fixture_run(d2);
	assert_int_equal(ev_bind(1, mine, &remote), 0);
	assert_int_equal(ev_send(remote), 0);
	fixture_run(d1);
	assert_int_equal(ev_send(a), 0);
	assert_int_equal(ev_send(c), 0);
	/* vCPU 2 gets its control block last. */
	assert_int_equal(ev_control(0, GFN_CONTROL, CONTROL_AT(0)), 0);
	assert_int_equal(ev_expand(GFN_ARRAY), 0);
	assert_int_equal(ev_control(1, GFN_CONTROL, CONTROL_AT(1)), 0);
	assert_true(*word(a) & PENDING);
	assert_true(*word(mine) & PENDING);
	assert_false(*word(b) & PENDING);
	assert_false(*word(c) & PENDING);
	assert_int_equal(control(0)->ready, 1 << 7);
	assert_int_equal(control(0)->head[7], a);
	assert_int_equal(*word(a) & LINK_MASK, mine);
	assert_int_equal(ev_control(2, GFN_CONTROL, CONTROL_AT(2)), 0);
	assert_true(*word(c) & PENDING);
	assert_int_equal(control(2)->head[7], c);
}

static void held_until_there_is_a_page(void **state)
{
	uint32_t port = 0;

	(void)state;
	fifo_start();
	while (port < 1030)
		assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(ev_send(1030), 0);
	assert_int_equal(ev_send(1029), 0);
	assert_int_equal(ev_unmask(1030), 0);
	assert_int_equal(event_port_pending(d1, 1030), 0);
	assert_int_equal(control(0)->ready, 0);
	/* A port that is closed meanwhile is forgotten. */
	assert_int_equal(ev_close(1029), 0);
	assert_int_equal(ev_expand(GFN_ARRAY + 1), 0);
	assert_true(*word(1030) & PENDING);
	assert_false(*word(1029) & PENDING);
	assert_int_equal(control(0)->head[7], 1030);
	assert_int_equal(*word(1030) & LINK_MASK, 0);
}

static void held_until_there_is_a_control_block(void **state)
{
	uint32_t a, b;

	(void)state;
	assert_int_equal(ev_control(0, GFN_CONTROL, CONTROL_AT(0)), 0);
	assert_int_equal(ev_expand(GFN_ARRAY), 0);
	assert_int_equal(ev_alloc(DOMID_SELF, DOMID_SELF, &a), 0);
	assert_int_equal(ev_bind(DOMID_SELF, a, &b), 0);
	assert_int_equal(ev_bind_vcpu(a, 1), 0);
	assert_int_equal(ev_send(b), 0);
	assert_false(*word(a) & PENDING);
	/* Moved to a vCPU that has one. */
	assert_int_equal(ev_bind_vcpu(a, 0), 0);
	assert_true(*word(a) & PENDING);
	guest_start(0);
	guest_run(0);
	assert_int_equal(g[0].got[a], 1);
	assert_int_equal(ev_bind_vcpu(a, 2), 0);
	assert_int_equal(ev_send(b), 0);
	assert_false(*word(a) & PENDING);
	assert_int_equal(ev_control(2, GFN_CONTROL, CONTROL_AT(2)), 0);
	assert_int_equal(control(2)->head[7], a);
}

/* ---- Delivery ---- */

static void queues_and_priorities(void **state)
{
	uint32_t p[6];

	(void)state;
	fifo_start();
	guest_start(0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(ev_ipi(0, &p[i]), 0);
	assert_int_equal(ev_priority(p[0], 16), -EINVAL);
	assert_int_equal(ev_priority(p[3], 0), 0);
	assert_int_equal(ev_priority(p[4], 15), 0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(ev_send(p[i]), 0);
	assert_int_equal(d1->vcpus[0]->arch.upcalls, 1);
	assert_int_equal(control(0)->ready, 1 << 0 | 1 << 7 | 1 << 15);
	assert_int_equal(control(0)->head[0], p[3]);
	assert_int_equal(control(0)->head[7], p[0]);
	assert_int_equal(*word(p[0]) & LINK_MASK, p[1]);
	assert_int_equal(*word(p[1]) & LINK_MASK, p[2]);
	assert_int_equal(*word(p[2]) & LINK_MASK, p[5]);
	assert_int_equal(*word(p[5]) & LINK_MASK, 0);
	/* Sent again while on the list: nothing changes. */
	assert_int_equal(ev_send(p[1]), 0);
	assert_int_equal(*word(p[1]) & LINK_MASK, p[2]);
	guest_run(0);
	assert_int_equal(g[0].taken, 6);
	assert_int_equal(g[0].order[0], p[3]);
	assert_int_equal(g[0].order[1], p[0]);
	assert_int_equal(g[0].order[4], p[5]);
	assert_int_equal(g[0].order[5], p[4]);
	/* The last of a list, again: begins a new list. */
	assert_int_equal(ev_send(p[5]), 0);
	assert_int_equal(control(0)->head[7], p[5]);
	assert_true(*word(p[5]) == (PENDING | LINKED));
	guest_run(0);
	assert_int_equal(g[0].got[p[5]], 2);
}

static void masked_and_unmasked(void **state)
{
	uint32_t port;

	(void)state;
	fifo_start();
	guest_start(0);
	assert_int_equal(ev_ipi(0, &port), 0);
	*word(port) = MASKED;
	assert_int_equal(ev_send(port), 0);
	assert_true(*word(port) == (PENDING | MASKED));
	assert_int_equal(control(0)->ready, 0);
	assert_int_equal(d1->vcpus[0]->arch.upcalls, 0);
	assert_int_equal(event_port_pending(d1, port), 1);
	assert_int_equal(ev_unmask(port), 0);
	assert_true(*word(port) == (PENDING | LINKED));
	assert_int_equal(d1->vcpus[0]->arch.upcalls, 1);
	guest_run(0);
	assert_int_equal(g[0].got[port], 1);
	/* Unmasking without a pending event raises none. */
	*word(port) = MASKED;
	assert_int_equal(ev_unmask(port), 0);
	assert_int_equal(*word(port), 0);
	assert_int_equal(d1->vcpus[0]->arch.upcalls, 1);
	assert_int_equal(event_port_pending(d1, port), 0);
}

static void pollers(void **state)
{
	uint32_t port;

	(void)state;
	fifo_start();
	assert_int_equal(ev_ipi(0, &port), 0);
	*word(port) = MASKED;
	d1->vcpus[2]->polling = true;
	d1->vcpus[2]->poll_port = port;
	memset(fixture_kicks, 0, sizeof(fixture_kicks));
	assert_int_equal(ev_send(port), 0);
	assert_int_equal(fixture_kicks[2], 1);
	d1->vcpus[2]->polling = true;
	assert_int_equal(ev_send(port), 0); /* was pending before the poll began */
	assert_int_equal(fixture_kicks[2], 1);
}

/* A closed port that is still on a list is not given out: its next user would inherit the place. */
static void linked_port_is_busy(void **state)
{
	uint32_t a, b;

	(void)state;
	fifo_start();
	guest_start(0);
	assert_int_equal(ev_ipi(0, &a), 0);
	assert_int_equal(ev_send(a), 0);
	assert_int_equal(ev_close(a), 0);
	assert_true(guest_is_on_list(a));
	assert_false(*word(a) & PENDING);
	assert_int_equal(ev_ipi(0, &b), 0);
	assert_int_not_equal(a, b);
	guest_run(0);
	assert_int_equal(g[0].taken, 0);
	assert_int_equal(ev_ipi(0, &b), 0);
	assert_int_equal(a, b);
}

/* Moved to another queue while it was the tail of the old one: that must not grow from it any more. */
static void queue_change_of_a_tail(void **state)
{
	uint32_t a, b, x, y;

	(void)state;
	fifo_start();
	guest_start(0);
	guest_start(1);
	assert_int_equal(ev_alloc(DOMID_SELF, DOMID_SELF, &a), 0);
	assert_int_equal(ev_bind(DOMID_SELF, a, &x), 0);
	assert_int_equal(ev_alloc(DOMID_SELF, DOMID_SELF, &b), 0);
	assert_int_equal(ev_bind(DOMID_SELF, b, &y), 0);
	guest_run(0);
	assert_int_equal(ev_send(x), 0); /* a is the tail of vCPU 0's list */
	guest_run(0);
	assert_int_equal(ev_bind_vcpu(a, 1), 0);
	assert_int_equal(ev_send(x), 0); /* now it is on that of vCPU 1 */
	assert_int_equal(control(1)->head[7], a);
	assert_int_equal(ev_send(y), 0); /* b: vCPU 0 */
	assert_int_equal(control(0)->head[7], b);
	assert_int_equal(*word(a) & LINK_MASK, 0);
	guest_run(0);
	guest_run(1);
	assert_int_equal(g[0].got[b], 1);
	assert_int_equal(g[1].got[a], 1);
	/* The same with priorities. */
	assert_int_equal(ev_send(x), 0);
	guest_run(1);
	assert_int_equal(ev_priority(a, 3), 0);
	assert_int_equal(ev_send(x), 0);
	assert_int_equal(control(1)->head[3], a);
	guest_run(1);
	assert_int_equal(g[1].got[a], 3);
}

static void reset_goes_back(void **state)
{
	uint32_t port;

	(void)state;
	fifo_start();
	assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(ev_send(port), 0);
	assert_int_equal(ev_reset(DOMID_SELF), 0);
	assert_ptr_equal(d1->events->abi, &event_abi_2l);
	assert_true(list_empty(&d1->gmaps));
	assert_int_equal(ev_expand(GFN_ARRAY), -EOPNOTSUPP);
	assert_int_equal(ev_ipi(0, &port), 0);
	assert_int_equal(ev_send(port), 0);
	assert_int_equal(event_port_pending(d1, port), 1);
	assert_int_equal(ev_close(port), 0);
	/* And forward once more, with queues that know nothing of the past. */
	memset(fixture_page(d1, GFN_CONTROL), 0, PAGE_SIZE);
	memset(fixture_page(d1, GFN_ARRAY), 0, PAGE_SIZE);
	fifo_start();
	assert_int_equal(ev_ipi(1, &port), 0);
	assert_int_equal(ev_send(port), 0);
	assert_int_equal(control(1)->head[7], port);
}

/* ---- Interleavings ---- */

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static void guests_step_at_random(void)
{
	void (*self)(void) = between;

	between = NULL; /* the model's steps are not steps of the code under test */
	while (rnd(3))
		(void)guest_step(&g[rnd(2)]);
	between = self;
}

/*
 * A guest that keeps to the rules, at every possible point of ours: no event is lost. An event may be delivered together
 * with an earlier one, so what counts is that none is left pending once everybody is done.
 */
static void no_event_is_lost(void **state)
{
	uint32_t port[6], peer[6];

	(void)state;
	fifo_start();
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(ev_alloc(DOMID_SELF, DOMID_SELF, &port[i]), 0);
		assert_int_equal(ev_bind(DOMID_SELF, port[i], &peer[i]), 0);
	}
	for (unsigned round = 0; round < 4000; round++) {
		seed = round;
		guest_start(0);
		guest_start(1);
		memset(fixture_page(d1, GFN_CONTROL), 0, PAGE_SIZE);
		memset(fixture_page(d1, GFN_ARRAY), 0, PAGE_SIZE);
		for (unsigned v = 0; v < 2; v++) {
			memset(d1->vcpus[v]->events->tail, 0, sizeof(d1->vcpus[v]->events->tail));
			d1->vcpus[v]->info->evtchn_upcall_pending = 0;
		}
		between = guests_step_at_random;
		for (unsigned i = 0; i < 30; i++) {
			unsigned k = rnd(6);

			assert_int_equal(ev_send(peer[k]), 0);
			/* The guest moves events about as it likes. */
			if (!rnd(4))
				assert_int_equal(ev_bind_vcpu(port[rnd(6)], rnd(2)), 0);
			if (!rnd(4))
				assert_int_equal(ev_priority(port[rnd(6)], rnd(2) ? 7 : 3), 0);
			if (!rnd(6)) {
				__atomic_fetch_or(word(port[k]), MASKED, __ATOMIC_SEQ_CST);
				assert_int_equal(ev_unmask(port[k]), 0);
			}
		}
		between = NULL;
		guest_run(0);
		guest_run(1);
		for (unsigned i = 0; i < 6; i++) {
			if (*word(port[i]) & (PENDING | LINKED | BUSY))
				fail_msg("round %u: port %u is left as %#x", round, port[i],
					 *word(port[i]));
		}
	}
}

/* A guest that writes anything anywhere in the shared pages. */
static void guest_goes_mad(void)
{
	void (*self)(void) = between;

	between = NULL;
	for (unsigned n = rnd(4); n; n--) {
		event_word_t *w = word(rnd(1024));

		switch (rnd(6)) {
		case 0:
			*w ^= 1U << rnd(32);
			break;
		case 1:
			*w = rnd(UINT32_MAX);
			break;
		case 2:
			*word(1 + rnd(12)) ^= LINKED;
			break;
		case 3:
			*word(1 + rnd(12)) ^= PENDING | MASKED | rnd(1U << 17);
			break;
		case 4:
			control(rnd(3))->head[rnd(16)] = rnd(UINT32_MAX);
			break;
		case 5:
			control(rnd(3))->ready = rnd(UINT32_MAX);
			break;
		}
	}
	between = self;
}

static void mad_guest_only_hurts_itself(void **state)
{
	uint32_t port[12] = {0}, n = 0;

	(void)state;
	fifo_start();
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(ev_alloc(DOMID_SELF, DOMID_SELF, &port[n]), 0);
		assert_int_equal(ev_bind(DOMID_SELF, port[n], &port[n + 1]), 0);
		n += 2;
	}
	for (unsigned round = 0; round < 20000; round++) {
		unsigned long before = steps;

		seed = round;
		between = guest_goes_mad;
		switch (rnd(4)) {
		case 0:
			(void)ev_bind_vcpu(port[rnd(12)], rnd(3));
			break;
		case 1:
			(void)ev_priority(port[rnd(12)], rnd(16));
			break;
		case 2:
			(void)ev_unmask(port[rnd(12)]);
			break;
		default:
			break;
		}
		assert_int_equal(ev_send(port[rnd(12)]), 0);
		between = NULL;
		/* A bound that does not depend on the guest. */
		assert_true(steps - before < 64);
		assert_false(fake_irqs_off);
	}
	for (unsigned v = 0; v < 3; v++) {
		assert_false(spin_is_locked(&d1->vcpus[v]->events->lock));
		for (unsigned q = 0; q < 16; q++)
			assert_true(d1->vcpus[v]->events->tail[q] <= 12);
	}
	/* Ports can be closed whatever state their words are in. */
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(ev_close(port[i]), 0);
}

/* The word of the tail changes at each try: given up after a few, the new event is put at the head instead. */
static event_word_t *restless;

static void word_does_not_hold_still(void)
{
	*restless ^= MASKED;
	*restless |= LINKED;
}

static void restless_tail(void **state)
{
	uint32_t a, b;
	unsigned long before;

	(void)state;
	fifo_start();
	assert_int_equal(ev_ipi(0, &a), 0);
	assert_int_equal(ev_ipi(0, &b), 0);
	assert_int_equal(ev_send(a), 0);
	restless = word(a);
	before = steps;
	between = word_does_not_hold_still;
	assert_int_equal(ev_send(b), 0);
	between = NULL;
	assert_true(steps - before < 40);
	assert_false(*word(a) & BUSY);
	assert_int_equal(*word(a) & LINK_MASK, 0);
	assert_int_equal(control(0)->head[7], b);
	assert_true(*word(b) & LINKED);
}

/* A guest that masks and unmasks by the rules cannot make us fail: BUSY stops it. */
static unsigned unmasks;

static void unmask_unless_busy(void)
{
	event_word_t w = *restless;

	if (!(w & BUSY)) {
		*restless = w ^ MASKED;
		unmasks++;
	}
}

static void busy_holds_the_word(void **state)
{
	uint32_t a, b;

	(void)state;
	fifo_start();
	assert_int_equal(ev_ipi(0, &a), 0);
	assert_int_equal(ev_ipi(0, &b), 0);
	assert_int_equal(ev_send(a), 0);
	restless = word(a);
	between = unmask_unless_busy;
	assert_int_equal(ev_send(b), 0);
	between = NULL;
	assert_true(unmasks > 0);
	assert_int_equal(*word(a) & LINK_MASK, b);
	assert_false(*word(a) & BUSY);
}

/* Others put the port on another queue each time that we have found out which locks to take. */
static uint32_t hopping;
static unsigned hops, hops_left;

static void queue_hops(void)
{
	struct evtchn *chn = event_port(d1, hopping);

	if (hops_left) {
		hops_left--;
		hops++;
		chn->queue = (uint16_t)(chn->queue ^ QUEUE(2, 1));
	}
}

static void queue_changes_all_the_time(void **state)
{
	uint32_t a;

	(void)state;
	fifo_start();
	guest_start(0);
	assert_int_equal(ev_ipi(0, &a), 0);
	hopping = a;
	in_lock = queue_hops;
	/* A few times: tried again. */
	hops_left = 3;
	assert_int_equal(ev_send(a), 0);
	assert_int_equal(hops_left, 0);
	assert_int_equal(control(0)->head[7], a);
	guest_run(0);
	/* Again and again: given up, with no lock held. */
	hops = 0;
	hops_left = 1000;
	assert_int_equal(ev_send(a), 0);
	in_lock = NULL;
	assert_int_equal(hops, QUEUE_TRIES);
	assert_false(fake_irqs_off);
	for (unsigned v = 0; v < 3; v++)
		assert_false(spin_is_locked(&d1->vcpus[v]->events->lock));
	assert_false(*word(a) & PENDING);
	assert_int_equal(ev_send(a), 0);
	assert_true(*word(a) & PENDING);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(init_control_errors),
		T(init_control_no_memory),
		T(array_has_an_end),
		T(migration),
		T(held_until_there_is_a_page),
		T(held_until_there_is_a_control_block),
		T(queues_and_priorities),
		T(masked_and_unmasked),
		T(pollers),
		T(linked_port_is_busy),
		T(queue_change_of_a_tail),
		T(reset_goes_back),
		T(no_event_is_lost),
		T(mad_guest_only_hurts_itself),
		T(restless_tail),
		T(busy_holds_the_word),
		T(queue_changes_all_the_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
