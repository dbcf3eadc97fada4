/* SPDX-License-Identifier: GPL-2.0-or-later */
/* domctl: creation, life and death of domains, and what the toolstack is told of them. */
#include <bulkhead/errno.h>
#include <bulkhead/iommu.h>
#include <bulkhead/string.h>

#include "domctl_internal.h"
#include "memory_internal.h"

_Static_assert(sizeof(struct xen_domctl_createdomain) == 64, "ABI");
_Static_assert(sizeof(struct xen_domctl_getdomaininfo) == 112, "ABI");
_Static_assert(offsetof(struct xen_domctl_getdomaininfo, cpu_time) == 56, "ABI");
_Static_assert(offsetof(struct xen_domctl_getdomaininfo, handle) == 76, "ABI");

#define TOOLSTACK_PAUSES_MAX 255
#define GRANT_VERSION_MAX    1
/* What a domain without a pool of its own is in: there is one, which holds all CPUs. */
#define CPUPOOL_DEFAULT	     0

#define KNOWN_FLAGS                                                                                \
 (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap | XEN_DOMCTL_CDF_s3_integrity | XEN_DOMCTL_CDF_oos_off | \
  XEN_DOMCTL_CDF_xs_domain | XEN_DOMCTL_CDF_iommu)

/* ---- Creation ---- */

/* What is not offered (PV, shadow paging, nested virtualisation, vPMU, traces) cannot be asked for. */
static int check_config(const struct xen_domctl_createdomain *cfg)
{
	unsigned version = XEN_DOMCTL_GRANT_version(cfg->grant_opts);

	if ((cfg->flags & ~KNOWN_FLAGS) || !(cfg->flags & XEN_DOMCTL_CDF_hvm) ||
	    !(cfg->flags & XEN_DOMCTL_CDF_hap))
		return -EINVAL;
	if (cfg->flags & XEN_DOMCTL_CDF_iommu) {
		if (!iommu_present() || (cfg->iommu_opts & ~XEN_DOMCTL_IOMMU_MAX))
			return -EINVAL;
	} else if (cfg->iommu_opts) {
		return -EINVAL;
	}
	if (!cfg->max_vcpus || cfg->max_vcpus > MAX_VCPUS || cfg->vmtrace_size)
		return -EINVAL;
	if ((cfg->grant_opts & ~XEN_DOMCTL_GRANT_version_mask) || !version ||
	    version > GRANT_VERSION_MAX)
		return -EINVAL;
	if (cfg->cpupool_id != CPUPOOL_DEFAULT)
		return -ENOENT;
	return arch_domain_config_check(cfg);
}

/* A free id, going round, so that an id is used again as late as possible. -ENOMEM: none is free. */
static int pick_id(domid_t *ret_id)
{
	static domid_t last;
	domid_t id = last;

	for (unsigned tries = 1; tries < DOMID_FIRST_RESERVED; tries++) {
		if (++id >= DOMID_FIRST_RESERVED)
			id = 1;
		if (domain_id_is_free(id)) {
			*ret_id = last = id;
			return 0;
		}
	}
	return -ENOMEM;
}

int64_t domctl_createdomain(struct domctl_call *c)
{
	const struct xen_domctl_createdomain *cfg = &c->op.u.createdomain;
	struct domain_config dc = {
		.flags = cfg->flags,
		.max_vcpus = cfg->max_vcpus,
		.max_evtchn_port = cfg->max_evtchn_port,
		/* Negative: the default, which the callee knows as all ones. */
		.max_grant_frames = cfg->max_grant_frames < 0 ? UINT32_MAX
							      : (uint32_t)cfg->max_grant_frames,
		.max_maptrack_frames = cfg->max_maptrack_frames < 0
					       ? UINT32_MAX
					       : (uint32_t)cfg->max_maptrack_frames,
		.emulation_flags = cfg->arch.emulation_flags,
		.misc_flags = cfg->arch.misc_flags,
		.handle = cfg->handle,
	};
	domid_t id = c->op.domain;
	struct domain *d;
	int ret = check_config(cfg);

	if (ret)
		return ret;
	/* An id that cannot be had means: any. */
	if (id == 0 || id >= DOMID_FIRST_RESERVED) {
		ret = pick_id(&id);
		if (ret)
			return ret;
	}
	ret = domain_create(id, &dc, &d);
	if (ret)
		return ret;
	c->op.domain = id;
	c->copyback = true;
	return 0;
}

int64_t domctl_max_vcpus(struct domctl_call *c)
{
	struct domain *d = c->d;
	int ret = 0;

	/* A domain that runs may look at its vCPUs: that it may do to others only. */
	if (d == c->caller || c->op.u.max_vcpus.max != d->max_vcpus)
		return -EINVAL;
	domain_pause_sync(d);
	for (unsigned i = 0; i < d->max_vcpus && !ret; i++) {
		struct vcpu *v;

		if (!d->vcpus[i])
			ret = vcpu_create(d, i, &v);
	}
	domain_unpause(d);
	return ret;
}

/* ---- Life ---- */

int64_t domctl_destroydomain(struct domctl_call *c)
{
	return domain_kill(c->d);
}

int64_t domctl_pausedomain(struct domctl_call *c)
{
	struct domain *d = c->d;
	int ret = 0;

	if (d == c->caller)
		return -EINVAL;
	spin_lock(&d->lock);
	if (d->toolstack_pauses == TOOLSTACK_PAUSES_MAX) {
		ret = -EOVERFLOW;
	} else {
		d->toolstack_pauses++;
		WRITE_ONCE(d->toolstack_paused, true);
	}
	spin_unlock(&d->lock);
	if (!ret)
		domain_pause_sync(d);
	return ret;
}

int64_t domctl_unpausedomain(struct domctl_call *c)
{
	struct domain *d = c->d;
	int ret = 0;

	spin_lock(&d->lock);
	if (!d->toolstack_pauses) {
		ret = -EINVAL;
	} else if (--d->toolstack_pauses == 0) {
		WRITE_ONCE(d->toolstack_paused, false);
		/* From now on what its vCPUs are like is fixed. */
		d->built = true;
	}
	spin_unlock(&d->lock);
	if (!ret)
		domain_unpause(d);
	return ret;
}

int64_t domctl_resumedomain(struct domctl_call *c)
{
	if (c->d == c->caller)
		return -EINVAL;
	domain_resume(c->d);
	return 0;
}

/* ---- Information ---- */

static void vcpus_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
	uint32_t flags = XEN_DOMINF_blocked;
	struct vcpu *v;
	unsigned i;

	info->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
	DOMAIN_FOR_EACH_VCPU (d, v, i) {
		struct vcpu_runstate_info runstate;
		unsigned why = READ_ONCE(v->pause_flags);

		vcpu_runstate_get(v, &runstate);
		info->cpu_time += runstate.time[RUNSTATE_running];
		info->max_vcpu_id = i;
		if (why & VPF_DOWN)
			continue;
		if (!(why & VPF_BLOCKED))
			flags &= ~(uint32_t)XEN_DOMINF_blocked;
		if (READ_ONCE(v->is_running))
			flags |= XEN_DOMINF_running;
		info->nr_online_vcpus++;
	}
	if (info->nr_online_vcpus)
		info->flags |= flags;
}

static uint64_t shared_info_gfn(const struct domain *d)
{
	const struct memory_domain *md = __atomic_load_n(&d->memory, __ATOMIC_ACQUIRE);

	return md ? gfn_raw(md->shared_info_home) : gfn_raw(gfn_invalid());
}

void control_domain_info(struct domain *d, struct xen_domctl_getdomaininfo *ret_info)
{
	struct xen_domctl_getdomaininfo info = {
		.domain = d->id,
		.flags = XEN_DOMINF_hvm_guest | XEN_DOMINF_hap,
		.tot_pages = READ_ONCE(d->tot_pages),
		.max_pages = READ_ONCE(d->max_pages),
		.outstanding_pages = READ_ONCE(d->outstanding_pages),
		.shared_info_frame = shared_info_gfn(d),
		.cpupool = CPUPOOL_DEFAULT,
	};

	vcpus_info(d, &info);
	if (READ_ONCE(d->dying) == DOMAIN_DEAD)
		info.flags |= XEN_DOMINF_dying;
	if (READ_ONCE(d->shut_down))
		info.flags |= XEN_DOMINF_shutdown;
	if (READ_ONCE(d->toolstack_paused))
		info.flags |= XEN_DOMINF_paused;
	if (d->create_flags & XEN_DOMCTL_CDF_xs_domain)
		info.flags |= XEN_DOMINF_xs_domain;
	info.flags |= (READ_ONCE(d->shutdown_code) & XEN_DOMINF_shutdownmask)
		      << XEN_DOMINF_shutdownshift;
	memcpy(info.handle, d->handle, sizeof(info.handle));
	arch_domain_info(d, &info);
	*ret_info = info;
}

/* Asked for an id, it tells of the first domain that has this id or a higher one. */
int64_t domctl_getdomaininfo(struct domctl_call *c)
{
	control_domain_info(c->d, &c->op.u.getdomaininfo);
	c->op.domain = c->d->id;
	c->copyback = true;
	return 0;
}
