/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual CPUs of a domain: creation, vcpu_info. */
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>

#include "domain_internal.h"

_Static_assert(sizeof(vcpu_info_t) == 64, "ABI");

static vcpu_info_t *default_info(struct vcpu *v)
{
	return v->id < XEN_LEGACY_MAX_VCPUS && v->domain->shared_info
		       ? &v->domain->shared_info->vcpu_info[v->id]
		       : &v->dummy_info;
}

/* CPUs in turn, so that vCPUs start spread out. */
static unsigned first_cpu(const struct vcpu *v)
{
	return (v->domain->id + v->id) % MAX(cpu_count, 1U);
}

int vcpu_create(struct domain *d, unsigned id, struct vcpu **ret_v)
{
	struct vcpu *v;
	int ret;

	if (id >= d->max_vcpus)
		return -EINVAL;
	if (d->vcpus[id])
		return -EEXIST;
	v = heap_alloc(sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->id = id;
	v->domain = d;
	v->info = default_info(v);
	spin_init(&v->virq_lock);
	vcpu_timers_init(v);
	if ((ret = sched_vcpu_init(v, first_cpu(v))) || (ret = event_vcpu_init(v)) ||
	    (ret = arch_vcpu_init(v)))
		goto err_vcpu;

	spin_lock(&d->lock);
	if (d->dying)
		ret = -EINVAL;
	else if (d->vcpus[id])
		ret = -EEXIST;
	else
		__atomic_store_n(&d->vcpus[id], v, __ATOMIC_RELEASE);
	spin_unlock(&d->lock);
	if (ret)
		goto err_vcpu;
	/* The pause count of the domain may have changed while nobody could see the vCPU. */
	vcpu_pause(v);
	vcpu_unpause(v);
	*ret_v = v;
	return 0;

err_vcpu:
	vcpu_destroy(v);
	return ret;
}

void vcpu_destroy(struct vcpu *v)
{
	if (!v)
		return;
	vcpu_timers_finish(v);
	vcpu_unregister_info(v);
	arch_vcpu_finish(v);
	event_vcpu_finish(v);
	sched_vcpu_finish(v);
	heap_free(v);
}

/* Under the domain lock. */
static int register_info(struct vcpu *v, gfn_t gfn, unsigned offset)
{
	struct gmap *map;
	vcpu_info_t *info;
	int ret;

	if (offset > PAGE_SIZE - sizeof(*info) || !IS_ALIGNED(offset, _Alignof(vcpu_info_t)))
		return -ENXIO;
	if (v->info_map || v->domain->dying)
		return -EINVAL;
	/* Of another vCPU only while that is down: it would miss an event that comes right now. */
	if (v != current_vcpu() && !(READ_ONCE(v->pause_flags) & VPF_DOWN))
		return -EINVAL;
	ret = gmap_create(v->domain, gfn, GMAP_VCPU_INFO, &map);
	if (ret)
		return ret;
	info = (vcpu_info_t *)(void *)((char *)map->ptr + offset);
	if (v->info == &v->dummy_info)
		memset(info, 0, sizeof(*info));
	else
		memcpy(info, v->info, sizeof(*info));
	v->info_map = map;
	__atomic_store_n(&v->info, info, __ATOMIC_SEQ_CST);
	return 0;
}

int vcpu_register_info(struct vcpu *v, gfn_t gfn, unsigned offset)
{
	int ret;

	spin_lock(&v->domain->lock);
	ret = register_info(v, gfn, offset);
	spin_unlock(&v->domain->lock);
	if (ret)
		return ret;
	/* What was set in the old place after it was copied is not lost: everything is looked at again. */
	event_vcpu_info_moved(v);
	arch_vcpu_time_update(v);
	return 0;
}

void vcpu_unregister_info(struct vcpu *v)
{
	struct gmap *map;

	/* Whoever looks at it from outside does so under this lock: see struct vcpu. */
	spin_lock(&v->domain->lock);
	map = v->info_map;
	__atomic_store_n(&v->info, default_info(v), __ATOMIC_SEQ_CST);
	v->info_map = NULL;
	spin_unlock(&v->domain->lock);
	gmap_destroy(map);
}
