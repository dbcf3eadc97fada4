// SPDX-License-Identifier: GPL-2.0-or-later
// Small domains for unit tests of what guests call: references are counted, the p2m is an array, TLBs are modelled.
#include "domain_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/errno.h>
#include <bulkhead/gmap.h>
#include <bulkhead/iommu.h>
#include <bulkhead/log.h>
#include <bulkhead/pod.h>
#include <bulkhead/work.h>

#define DOMAINS 8

/* What a TLB may still hold after the p2m entry is gone: until the flush, its frame must not be given away. */
struct entry {
	enum p2m_type type;
	mfn_t mfn;
	bool in_tlb;
	mfn_t tlb_mfn;
};

struct fake_p2m {
	struct entry e[FIXTURE_GFNS];
	unsigned batch;
	bool dirty;
	uint64_t max_gfn;
};

struct list domain_list = LIST_INIT(domain_list);
spinlock_t domain_list_lock;
struct domain *hardware_domain;
static struct domain *domains[DOMAINS];

unsigned fixture_restarts, fixture_kicks[8], fixture_cleared, fixture_crashes, fixture_flushes;
int fixture_yield_every, fixture_p2m_fail = -1;
domid_t fixture_privileged;
static int yields;

static struct fake_p2m *p2m_of(const struct domain *d)
{
	return d->arch.test;
}

void fixture_init(void)
{
	fake_cpus_init(1);
	fake_frames_init(FIXTURE_FRAMES);
	fake_guest_size = FIXTURE_GUEST_SIZE;
	fake_guest_memory = calloc(1, fake_guest_size);
	fake_heap_live = 0;
	fake_heap_fail_after = -1;
	fixture_yield_every = yields = 0;
	fixture_p2m_fail = -1;
	fixture_privileged = 0;
	fixture_cleared = fixture_crashes = fixture_flushes = 0;
	memset(fixture_kicks, 0, sizeof(fixture_kicks));
}

void fixture_finish(void)
{
	for (unsigned i = 0; i < DOMAINS; i++)
		assert_null(domains[i]);
	fixture_work();
	assert_int_equal(frames_free_count(), FIXTURE_FRAMES);
	assert_int_equal(fake_heap_live, 0);
	assert_false(fake_irqs_off);
	free(fake_guest_memory);
	fake_guest_memory = NULL;
	fake_frames_finish();
	fake_cpus_finish();
}

/* ---- Domains ---- */

struct domain *fixture_domain(domid_t id, unsigned nr_vcpus)
{
	struct domain *d = calloc(1, sizeof(*d));
	unsigned slot = 0;

	while (domains[slot])
		slot++;
	assert_true(slot < DOMAINS);
	domains[slot] = d;
	d->id = id;
	d->refs = d->frames_held = 1;
	d->hardware = d->privileged = id == 0;
	d->target = DOMID_INVALID;
	d->max_pages = UINT64_MAX;
	page_list_init(&d->pages);
	page_list_init(&d->specials);
	pod_init(d);
	list_init(&d->gmaps);
	d->arch.test = calloc(1, sizeof(struct fake_p2m));
	d->shared_info_mfn = special_frame_alloc(d);
	d->shared_info = fake_frame(d->shared_info_mfn);
	d->max_vcpus = nr_vcpus;
	d->vcpus = calloc(nr_vcpus + 1, sizeof(struct vcpu *));
	for (unsigned i = 0; i < nr_vcpus; i++) {
		struct vcpu *v = calloc(1, sizeof(*v));

		v->id = i;
		v->domain = d;
		v->info = &d->shared_info->vcpu_info[i];
		d->vcpus[i] = v;
	}
	return d;
}

void fixture_ram(struct domain *d, uint64_t gfn, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		mfn_t m;

		assert_int_equal(domain_frames_alloc(d, 0, 0, &m), 0);
		assert_int_equal(p2m_set(d, gfn_from(gfn + i), m, 0, P2M_RAM), 0);
	}
}

mfn_t fixture_mfn(struct domain *d, uint64_t gfn)
{
	enum p2m_type t;

	return p2m_lookup(d, gfn_from(gfn), &t);
}

enum p2m_type fixture_type(struct domain *d, uint64_t gfn)
{
	enum p2m_type t;

	(void)p2m_lookup(d, gfn_from(gfn), &t);
	return t;
}

void *fixture_page(struct domain *d, uint64_t gfn)
{
	mfn_t m = fixture_mfn(d, gfn);

	assert_false(mfn_is_invalid(m));
	return fake_frame(m);
}

static void release_list(struct domain *d, struct page_list *l)
{
	struct page *pg;

	while ((pg = page_list_first(l)) != NULL)
		assert_true(domain_frame_release(d, page_to_mfn(pg)));
}

void fixture_domain_free(struct domain *d)
{
	struct fake_p2m *p = p2m_of(d);

	assert_int_equal(d->refs, 1);
	assert_int_equal(d->foreign_maps, 0);
	assert_true(list_empty(&d->gmaps));
	assert_false(spin_is_locked(&d->lock));
	assert_int_equal(p->batch, 0);
	for (unsigned i = 0; i < FIXTURE_GFNS; i++) {
		assert_true(p->e[i].type != P2M_FOREIGN);
		assert_true(p->e[i].type != P2M_GRANT_RW && p->e[i].type != P2M_GRANT_RO);
		p->e[i].in_tlb = false;
	}
	d->dying = DOMAIN_DYING;
	while (pod_release(d))
		;
	release_list(d, &d->pages);
	release_list(d, &d->specials);
	assert_int_equal(d->tot_pages, 0);
	for (unsigned i = 0; i < d->max_vcpus; i++)
		free(d->vcpus[i]);
	for (unsigned i = 0; i < DOMAINS; i++)
		if (domains[i] == d)
			domains[i] = NULL;
	free(d->vcpus);
	free(p);
	free(d);
}

struct domain *domain_get_by_id(domid_t id)
{
	struct domain *d = id == DOMID_SELF ? current_domain() : NULL;

	for (unsigned i = 0; i < DOMAINS && !d; i++)
		if (domains[i] && domains[i]->id == id)
			d = domains[i];
	if (d)
		domain_get(d);
	return d;
}

struct domain *domain_get_next(domid_t id)
{
	struct domain *best = NULL;

	for (unsigned i = 0; i < DOMAINS; i++)
		if (domains[i] && domains[i]->id >= id && (!best || domains[i]->id < best->id))
			best = domains[i];
	if (best)
		domain_get(best);
	return best;
}

void domain_get(struct domain *d)
{
	d->refs++;
}

void domain_put(struct domain *d)
{
	if (!d)
		return;
	assert_true(d->refs > 1);
	d->refs--;
}

struct domain *domain_of_frame(const struct page *pg)
{
	for (unsigned i = 0; i < DOMAINS; i++)
		if (domains[i] && domains[i]->id == pg->owner)
			return domains[i];
	fail_msg("a frame of nobody");
	return NULL;
}

void domain_forget(struct domain *d)
{
	assert_true(d->frames_held > 1);
	d->frames_held--;
}

__attribute__((weak)) void domain_wallclock_update(struct domain *d)
{
	(void)d;
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
	(void)d;
	(void)fmt;
	fixture_crashes++;
}

bool may_control(const struct domain *caller, const struct domain *target)
{
	return target && caller->id == fixture_privileged;
}

bool may_system(const struct domain *caller)
{
	return caller->id == fixture_privileged;
}

bool may_model(const struct domain *caller, const struct domain *target)
{
	return caller->id == fixture_privileged ||
	       (caller != target && caller->target == target->id);
}

void vcpu_kick(struct vcpu *v)
{
	fixture_kicks[v->id]++;
	v->polling = false;
}

void vcpu_clear_flag(struct vcpu *v, unsigned vpf)
{
	(void)v;
	fixture_cleared |= vpf;
}

uint64_t mm_max_mfn(void)
{
	return FIXTURE_FRAMES - 1;
}

/* ---- Deferred work ---- */

static struct work *queued;

bool work_queue(struct work *w)
{
	if (w->queued)
		return false;
	assert_null(queued); /* one is enough so far */
	w->queued = true;
	queued = w;
	return true;
}

void fixture_work(void)
{
	struct work *w = queued;

	if (!w)
		return;
	queued = NULL;
	w->queued = false;
	w->fn(w);
}

/* ---- Hypercalls ---- */

bool hypercall_should_yield(void)
{
	return fixture_yield_every && ++yields % fixture_yield_every == 0;
}

void fixture_pair_init(domid_t guest, struct domain **ret_dom0, struct domain **ret_domu)
{
	fixture_init();
	*ret_dom0 = fixture_domain(0, 1);
	(*ret_dom0)->hardware = (*ret_dom0)->privileged = true;
	*ret_domu = fixture_domain(guest, 1);
	fixture_run(*ret_dom0);
}

void fixture_pair_finish(struct domain *dom0, struct domain *domu)
{
	fixture_domain_free(domu);
	fixture_domain_free(dom0);
	fixture_finish();
}

void fixture_run(struct domain *d)
{
	fake_this_cpu->current = d->vcpus[0];
}

int64_t fixture_call(hypercall_fn *fn, uint64_t cmd, void *arg, size_t size)
{
	return fixture_call_list(fn, cmd, arg, size, 1, false);
}

int64_t fixture_call_list(hypercall_fn *fn, uint64_t cmd, void *list, size_t size, uint32_t count,
			  bool compat)
{
	struct hypercall hc = {.compat = compat, .args = {cmd, FIXTURE_ARG, count}};
	int64_t rc;

	memcpy(fake_guest_memory + FIXTURE_ARG, list, size);
	fixture_restarts = 0;
	while ((rc = fn(&hc)) == -ERESTART)
		assert_true(++fixture_restarts < 100000);
	memcpy(list, fake_guest_memory + FIXTURE_ARG, size);
	return rc;
}

/* ---- p2m ---- */

static void flush(struct domain *d)
{
	struct fake_p2m *p = p2m_of(d);

	for (unsigned i = 0; i < FIXTURE_GFNS; i++)
		p->e[i].in_tlb = false;
	p->dirty = false;
	fixture_flushes++;
}

/* In place of that of fake.c: nobody may still reach the frame. */
void frames_free(mfn_t first, unsigned order)
{
	for (unsigned i = 0; i < DOMAINS; i++) {
		struct fake_p2m *p = domains[i] ? p2m_of(domains[i]) : NULL;

		for (unsigned g = 0; p && g < FIXTURE_GFNS; g++)
			assert_false(p->e[g].in_tlb && mfn_raw(p->e[g].tlb_mfn) >= mfn_raw(first) &&
				     mfn_raw(p->e[g].tlb_mfn) < mfn_raw(first) + BIT(order));
	}
	for (uint64_t i = 0; i < BIT(order); i++) {
		struct page *pg = mfn_to_page(mfn_add(first, i));

		assert_true(pg->state != PAGE_FREE);
		memset(pg, 0, sizeof(*pg));
		pg->state = PAGE_FREE;
		memset(fake_frame(mfn_add(first, i)), 0xa5, PAGE_SIZE);
	}
}

static bool has_frame(enum p2m_type type)
{
	return type != P2M_NONE && type != P2M_POD;
}

int p2m_set(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type)
{
	struct fake_p2m *p = p2m_of(d);
	uint64_t g = gfn_raw(gfn), n = BIT(order);

	if (order != 0 && order != 9 && order != 18)
		return -EINVAL;
	if (g % n || (has_frame(type) && mfn_raw(mfn) % n) || g > FIXTURE_GFNS - 1 ||
	    n > FIXTURE_GFNS - g)
		return -EINVAL;
	if (fixture_p2m_fail >= 0 && fixture_p2m_fail-- == 0)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++) {
		struct entry *e = &p->e[g + i];

		if (has_frame(e->type)) {
			e->in_tlb = true;
			e->tlb_mfn = e->mfn;
			p->dirty = true;
		}
		e->type = type;
		e->mfn = has_frame(type) ? mfn_add(mfn, i) : mfn_invalid();
	}
	if (type != P2M_NONE && g + n - 1 > p->max_gfn)
		p->max_gfn = g + n - 1;
	if (!p->batch && p->dirty)
		flush(d);
	return 0;
}

int p2m_clear(struct domain *d, gfn_t gfn, unsigned order)
{
	return p2m_set(d, gfn, mfn_invalid(), order, P2M_NONE);
}

int p2m_set_range(struct domain *d, gfn_t gfn, mfn_t mfn, uint64_t count, enum p2m_type type)
{
	int rc = 0;

	for (uint64_t i = 0; i < count && !rc; i++)
		rc = p2m_set(d, gfn_add(gfn, i), mfn_add(mfn, i), 0, type);
	return rc;
}

void p2m_batch_begin(struct domain *d)
{
	p2m_of(d)->batch++;
}

void p2m_batch_end(struct domain *d)
{
	struct fake_p2m *p = p2m_of(d);

	assert_true(p->batch > 0);
	if (--p->batch == 0 && p->dirty)
		flush(d);
}

mfn_t p2m_lookup(struct domain *d, gfn_t gfn, enum p2m_type *ret_type)
{
	struct fake_p2m *p = p2m_of(d);

	if (gfn_raw(gfn) >= FIXTURE_GFNS || p->e[gfn_raw(gfn)].type == P2M_NONE) {
		*ret_type = P2M_NONE;
		return mfn_invalid();
	}
	*ret_type = p->e[gfn_raw(gfn)].type;
	return p->e[gfn_raw(gfn)].mfn;
}

/* Blocks of 512 of one kind: the map looks as if it had 2 MiB entries where it could. */
mfn_t p2m_lookup_order(struct domain *d, gfn_t gfn, enum p2m_type *ret_type, unsigned *ret_order)
{
	uint64_t first = ALIGN_DOWN(gfn_raw(gfn), 512UL);
	mfn_t m = p2m_lookup(d, gfn, ret_type), m0 = fixture_mfn(d, first);

	*ret_order = 9;
	for (uint64_t i = 0; i < 512; i++) {
		enum p2m_type t;
		mfn_t mi = p2m_lookup(d, gfn_from(first + i), &t);

		if (t != *ret_type ||
		    (has_frame(t) && (mfn_raw(m0) % 512 || mfn_raw(mi) != mfn_raw(m0) + i)))
			*ret_order = 0;
	}
	return m;
}

mfn_t p2m_get_page(struct domain *d, gfn_t gfn, bool write, enum p2m_type *ret_type)
{
	mfn_t m = p2m_lookup(d, gfn, ret_type);
	struct domain *owner;
	bool got;

	if (mfn_is_invalid(m) || !p2m_type_is_mappable(*ret_type) ||
	    (write && (*ret_type == P2M_RAM_RO || *ret_type == P2M_GRANT_RO)))
		return mfn_invalid();
	owner = domain_get_by_id(mfn_to_page(m)->owner);
	got = owner && page_get(m, owner);
	domain_put(owner);
	return got ? m : mfn_invalid();
}

uint64_t p2m_pod_entries(const struct domain *d)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < FIXTURE_GFNS; i++)
		n += p2m_of(d)->e[i].type == P2M_POD;
	return n;
}

int p2m_clear_pod(struct domain *d, gfn_t gfn, unsigned order)
{
	return fixture_type(d, gfn_raw(gfn)) == P2M_POD ? p2m_clear(d, gfn, order) : -EAGAIN;
}

int p2m_populate(struct domain *d, gfn_t gfn)
{
	mfn_t m;
	int rc;

	if (fixture_type(d, gfn_raw(gfn)) != P2M_POD)
		return 0;
	m = pod_cache_take(d, ORDER_4K);
	if (mfn_is_invalid(m))
		return -ENOSPC;
	rc = p2m_set(d, gfn, m, ORDER_4K, P2M_RAM);
	if (rc)
		pod_cache_put(d, m, ORDER_4K);
	return rc;
}

unsigned p2m_pod_sweep(struct domain *d, gfn_t gfn, unsigned entries, gfn_t *ret_next)
{
	static const uint8_t zeros[PAGE_SIZE];
	unsigned found = 0;

	assert_true(spin_is_locked(&d->lock));
	for (; entries && gfn_raw(gfn) <= p2m_of(d)->max_gfn; entries--, gfn = gfn_add(gfn, 1)) {
		enum p2m_type t;
		mfn_t m = p2m_lookup(d, gfn, &t);

		if (t != P2M_RAM || mfn_to_page(m)->count != 1 ||
		    memcmp(fake_frame(m), zeros, PAGE_SIZE) != 0)
			continue;
		assert_int_equal(p2m_set(d, gfn, mfn_invalid(), ORDER_4K, P2M_POD), 0);
		pod_cache_put(d, m, ORDER_4K);
		found++;
	}
	*ret_next = gfn;
	return found;
}

gfn_t p2m_max_gfn(const struct domain *d)
{
	return gfn_from(p2m_of(d)->max_gfn);
}

int gmap_create(struct domain *d, gfn_t gfn, enum gmap_kind kind, struct gmap **ret_map)
{
	enum p2m_type t;
	mfn_t m = p2m_lookup(d, gfn, &t);

	if (t != P2M_RAM && t != P2M_SPECIAL)
		return -EINVAL;
	return gmap_create_mfn(d, m, kind, ret_map);
}
