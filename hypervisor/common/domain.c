/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domains: creation, lookup, destruction. */
#include <bulkhead/domain.h>
#include <bulkhead/domain_access.h>
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/grant.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/iommu.h>
#include <bulkhead/log.h>
#include <bulkhead/memory.h>
#include <bulkhead/p2m.h>
#include <bulkhead/physmap.h>
#include <bulkhead/pod.h>
#include <bulkhead/string.h>

#include <xen/domctl.h>

#include "domain_internal.h"

/* Frames given back between two looks at whether something else waits. */
#define RELEASE_BATCH 64

struct list domain_list = LIST_INIT(domain_list);
spinlock_t domain_list_lock = SPINLOCK_INIT;
struct domain *hardware_domain;

/* ---- Lookup and references ---- */

/* Interrupts are off under this lock: domains are looked up in any context. */
static unsigned long list_lock(void)
{
	return spin_lock_irqsave(&domain_list_lock);
}

static void list_unlock(unsigned long flags)
{
	spin_unlock_irqrestore(&domain_list_lock, flags);
}

/* False for a domain whose last reference has gone: it is about to leave the list. */
static bool get_unless_gone(struct domain *d)
{
	uint32_t refs = __atomic_load_n(&d->refs, __ATOMIC_RELAXED);

	do {
		if (!refs)
			return false;
	} while (!__atomic_compare_exchange_n(&d->refs, &refs, refs + 1, false, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	return true;
}

/* First domain with id >= first; exactly that id if `exact`. */
static struct domain *lookup(domid_t first, bool exact)
{
	unsigned long flags = list_lock();
	struct domain *d, *found = NULL;

	LIST_FOR_EACH (d, &domain_list, struct domain, link) {
		if (d->id < first)
			continue;
		if (exact && d->id != first)
			break;
		if (get_unless_gone(d)) {
			found = d;
			break;
		}
	}
	list_unlock(flags);
	return found;
}

struct domain *domain_get_by_id(domid_t id)
{
	if (id == DOMID_SELF) {
		domain_get(current_domain());
		return current_domain();
	}
	return lookup(id, true);
}

struct domain *domain_get_next(domid_t id)
{
	return lookup(id, false);
}

void domain_get(struct domain *d)
{
	uint32_t old = __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);

	BUG_ON(!old || old == UINT32_MAX);
}

void domain_put(struct domain *d)
{
	/* The last one may be dropped under any lock, and freeing takes many: that happens in the main loop. */
	if (d && __atomic_fetch_sub(&d->refs, 1, __ATOMIC_ACQ_REL) == 1)
		work_queue(&d->free_work);
}

/* ---- Creation ---- */

static int list_add(struct domain *d)
{
	unsigned long flags = list_lock();
	struct domain *pos;

	LIST_FOR_EACH (pos, &domain_list, struct domain, link) {
		if (pos->id == d->id) {
			list_unlock(flags);
			return -EEXIST;
		}
		if (pos->id > d->id)
			break;
	}
	list_insert_before(&pos->link, &d->link);
	list_unlock(flags);
	return 0;
}

static void list_del(struct domain *d)
{
	unsigned long flags = list_lock();

	list_remove(&d->link);
	list_unlock(flags);
}

/* Also one without references. */
static struct domain *find_any(domid_t id)
{
	unsigned long flags = list_lock();
	struct domain *d, *found = NULL;

	LIST_FOR_EACH (d, &domain_list, struct domain, link) {
		if (d->id == id) {
			found = d;
			break;
		}
	}
	list_unlock(flags);
	return found;
}

bool domain_id_is_free(domid_t id)
{
	return !find_any(id);
}

struct domain *domain_of_frame(const struct page *pg)
{
	struct domain *d = find_any(pg->owner);

	BUG_ON(!d);
	return d;
}

static int shared_info_create(struct domain *d)
{
	int ret;

	d->shared_info_mfn = special_frame_alloc(d);
	if (mfn_is_invalid(d->shared_info_mfn))
		return -ENOMEM;
	ret = gmap_create_mfn(d, d->shared_info_mfn, GMAP_SHARED_INFO, &d->shared_info_map);
	if (ret)
		return ret;
	d->shared_info = d->shared_info_map->ptr;
	domain_wallclock_update(d);
	return 0;
}

/* Gives back all special frames and RAM. -ERESTART while there is more. */
static int release_frames(struct domain *d, struct page_list *list)
{
	struct page *pg;
	unsigned n = 0;

	/* domain_frame_release() takes the frame off the list, also when others still refer to it. */
	while ((pg = page_list_first(list)) != NULL) {
		domain_frame_release(d, page_to_mfn(pg));
		if (++n % RELEASE_BATCH == 0 && hypercall_should_yield())
			return -ERESTART;
	}
	return 0;
}

static void shared_info_destroy(struct domain *d)
{
	gmap_destroy(d->shared_info_map);
	d->shared_info_map = NULL;
	d->shared_info = NULL;
}

/* For a function that is called until it is done, where nobody waits. */
static void run_to_end(int (*step)(struct domain *d), struct domain *d)
{
	while (step(d) == -ERESTART)
		;
}

/* What domain_create() made but for its place in the list. Accepts one that is half made. */
static void destroy_parts(struct domain *d)
{
	event_domain_finish(d);
	grant_domain_finish(d);
	memory_domain_finish(d);
	domain_access_finish(d);
	arch_domain_finish(d);
	shared_info_destroy(d);
	run_to_end(p2m_release, d);
	if (d->iommu)
		run_to_end(iommu_domain_release, d);
	/* What it had was given back when it died. */
	BUG_ON(d->pages.count);
	while (release_frames(d, &d->specials))
		;
	sched_domain_finish(d);
	heap_free(d->vcpus);
	d->vcpus = NULL;
	d->max_vcpus = 0;
}

/* Nothing is left, and nobody refers to a frame: its id may be given to another one. */
static void forget(struct work *w)
{
	struct domain *d = CONTAINER_OF(w, struct domain, free_work);

	list_del(d);
	heap_free(d);
}

void domain_forget(struct domain *d)
{
	/* Here too, there may be locks. */
	if (__atomic_fetch_sub(&d->frames_held, 1, __ATOMIC_ACQ_REL) == 1)
		work_queue(&d->free_work);
}

/* Who may act on it could act on its successor otherwise. */
static void take_back_target(domid_t id)
{
	unsigned long flags = list_lock();
	struct domain *d;

	LIST_FOR_EACH (d, &domain_list, struct domain, link)
		if (d->target == id)
			WRITE_ONCE(d->target, DOMID_INVALID);
	list_unlock(flags);
}

static void free_domain(struct work *w)
{
	struct domain *d = CONTAINER_OF(w, struct domain, free_work);

	take_back_target(d->id);
	for (unsigned i = 0; i < d->max_vcpus; i++)
		vcpu_destroy(d->vcpus[i]);
	log_debug("d%u is gone\n", d->id);
	destroy_parts(d);
	work_init(&d->free_work, forget);
	domain_forget(d);
	/* Third of three: the toolstack sees that the zombie has left. */
	event_send_hwdom_virq(VIRQ_DOM_EXC);
}

static void init_fields(struct domain *d, domid_t id, const struct domain_config *cfg)
{
	d->id = id;
	d->frames_held = 1;
	d->hardware = d->privileged = id == 0;
	d->target = DOMID_INVALID;
	d->create_flags = cfg->flags;
	if (cfg->handle)
		memcpy(d->handle, cfg->handle, sizeof(d->handle));
	d->max_vcpus = cfg->max_vcpus;
	d->shutdown_code = ~0U;
	d->pause_count = 1;
	/* The hardware domain is started by who builds it. */
	d->toolstack_pauses = !d->hardware;
	d->toolstack_paused = !d->hardware;
	d->built = d->hardware;
	/* The hardware domain takes what its builder gives it; for others the toolstack sets a limit. */
	d->max_pages = d->hardware ? UINT64_MAX : 0;
	spin_init(&d->lock);
	spin_init(&d->page_lock);
	page_list_init(&d->pages);
	page_list_init(&d->specials);
	pod_init(d);
	list_init(&d->gmaps);
	list_init(&d->link);
	work_init(&d->free_work, free_domain);
	domain_shutdown_init(d);
}

static int create_parts(struct domain *d, const struct domain_config *cfg)
{
	int ret;

	d->vcpus = heap_alloc(d->max_vcpus * sizeof(struct vcpu *));
	if (!d->vcpus)
		return -ENOMEM;
	if ((ret = sched_domain_init(d)) || (ret = p2m_init(d)))
		return ret;
	if (iommu_present() && (d->hardware || (cfg->flags & XEN_DOMCTL_CDF_iommu)) &&
	    (ret = iommu_domain_init(d)))
		return ret;
	if ((ret = shared_info_create(d)) || (ret = arch_domain_init(d, cfg)) ||
	    (ret = grant_domain_init(d, cfg->max_grant_frames, cfg->max_maptrack_frames)))
		return ret;
	return event_domain_init(d, cfg->max_evtchn_port);
}

int domain_create(domid_t id, const struct domain_config *cfg, struct domain **ret_d)
{
	struct domain *d;
	int ret;

	if (id >= DOMID_FIRST_RESERVED || !cfg->max_vcpus || cfg->max_vcpus > MAX_VCPUS)
		return -EINVAL;
	d = heap_alloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	init_fields(d, id, cfg);
	/* Takes the id: without references it cannot be seen yet. */
	ret = list_add(d);
	if (ret) {
		heap_free(d);
		return ret;
	}
	ret = create_parts(d, cfg);
	if (ret)
		goto err_parts;
	if (d->hardware)
		hardware_domain = d;
	__atomic_store_n(&d->refs, 1, __ATOMIC_RELEASE);
	*ret_d = d;
	return 0;

err_parts:
	destroy_parts(d);
	/* Frames of it may still be mapped here, until all CPUs have flushed. */
	work_init(&d->free_work, forget);
	domain_forget(d);
	return ret;
}

/* ---- Destruction ---- */

/* Its vCPUs do not run any more when this returns. */
static void begin_dying(struct domain *d)
{
	struct vcpu *v;
	unsigned i;

	spin_lock(&d->lock);
	if (d->dying == DOMAIN_ALIVE) {
		__atomic_store_n(&d->dying, DOMAIN_DYING, __ATOMIC_SEQ_CST);
		DOMAIN_FOR_EACH_VCPU (d, v, i)
			vcpu_set_flag(v, VPF_DYING);
		(void)domain_claim(d, 0);
	}
	spin_unlock(&d->lock);
	/* Page allocations that looked at `dying` before are over when the lock has been taken once. */
	spin_lock(&d->page_lock);
	spin_unlock(&d->page_lock);
	DOMAIN_FOR_EACH_VCPU (d, v, i) {
		vcpu_wait_stopped(v);
		vcpu_timers_finish(v);
	}
	/* Nobody sets one any more. One that is just expiring takes a reference: as long as there is another one. */
	for (i = 0; i < DOMAIN_WATCHDOGS; i++)
		timer_finish(&d->watchdog[i]);
}

/* The steps in their order. Each may be called again after it was done. */
static int release_resources(struct domain *d)
{
	struct vcpu *v;
	unsigned i;
	int ret;

	if ((ret = event_domain_close(d)) || (ret = grant_domain_release_mappings(d)))
		return ret;
	/* Nothing writes to them any more: no events, no vCPU that runs. */
	DOMAIN_FOR_EACH_VCPU (d, v, i)
		vcpu_unregister_info(v);
	if ((ret = arch_domain_release(d)) || (ret = physmap_domain_release(d)) ||
	    (ret = p2m_release(d)))
		return ret;
	if (d->iommu && (ret = iommu_domain_release(d)))
		return ret;
	if ((ret = pod_release(d)))
		return ret;
	return release_frames(d, &d->pages);
}

static int kill_step(struct domain *d)
{
	int ret;

	if (d->dying == DOMAIN_DEAD)
		return 0;
	begin_dying(d);
	ret = release_resources(d);
	if (ret)
		return ret;
	spin_lock(&d->lock);
	__atomic_store_n(&d->dying, DOMAIN_DEAD, __ATOMIC_SEQ_CST);
	spin_unlock(&d->lock);
	/* Second of three, see free_domain(): the domain is dead. */
	event_send_hwdom_virq(VIRQ_DOM_EXC);
	domain_put(d);
	return 0;
}

int domain_kill(struct domain *d)
{
	int ret;

	if (d == current_domain())
		return -EINVAL;
	/* The steps of two callers must not mix: whoever comes second tries again, until the first one is through. */
	if (__atomic_exchange_n(&d->being_killed, true, __ATOMIC_ACQUIRE))
		return -ERESTART;
	ret = kill_step(d);
	__atomic_store_n(&d->being_killed, false, __ATOMIC_RELEASE);
	return ret;
}

/* ---- Who may do what ---- */

bool may_control(const struct domain *caller, const struct domain *target)
{
	return caller->privileged && target;
}

bool may_system(const struct domain *caller)
{
	return caller->privileged;
}

bool may_model(const struct domain *caller, const struct domain *target)
{
	return caller->privileged || (caller != target && caller->target == target->id);
}
