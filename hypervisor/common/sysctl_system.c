/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sysctl: the hypervisor's log, lists of domains, the scheduler, the CPU pool. */
#include <bulkhead/console.h>
#include <bulkhead/debug_keys.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>

#include "sysctl_internal.h"

_Static_assert(sizeof(struct xen_sysctl_readconsole) == 24, "ABI");
_Static_assert(sizeof(struct xen_sysctl_getdomaininfolist) == 24, "ABI");
_Static_assert(sizeof(struct xen_sysctl_cpupool_op) == 40, "ABI");
_Static_assert(sizeof(struct xen_sysctl_scheduler_op) == 32, "ABI");

#define LOG_PIECE 256
#define KEYS_MAX  64
#define POOL	  0U /* the one CPU pool */

int64_t sysctl_readconsole(struct sysctl_call *c)
{
	struct xen_sysctl_readconsole *op = &c->op.u.readconsole;
	uint64_t gva = (uintptr_t)op->buffer.p;
	uint32_t index = op->index, done = 0;
	bool follow = op->incremental;
	char text[LOG_PIECE];

	while (done < op->count) {
		size_t n = console_ring_read(text, MIN(op->count - done, (uint32_t)LOG_PIECE),
					     &index, follow, false);

		if (!n)
			break;
		if (guest_copy_to(gva + done, text, n))
			return -EFAULT;
		done += (uint32_t)n;
		follow = true; /* behind what was read */
	}
	if (op->clear)
		console_ring_read(text, 0, &index, true, true);
	op->index = index;
	op->count = done;
	c->copyback = true;
	return 0;
}

int64_t sysctl_getdomaininfolist(struct sysctl_call *c)
{
	struct xen_sysctl_getdomaininfolist *op = &c->op.u.getdomaininfolist;
	unsigned id = op->first_domain;
	uint32_t n = 0;
	struct domain *d;
	int ret = 0;

	while (!ret && n < op->max_domains && id < DOMID_LIMIT &&
	       (d = domain_get_next((domid_t)id)) != NULL) {
		struct xen_domctl_getdomaininfo info;

		control_domain_info(d, &info);
		id = d->id + 1U;
		domain_put(d);
		ret = guest_copy_to((uintptr_t)op->buffer.p + n * sizeof(info), &info,
				    sizeof(info));
		n++;
	}
	if (ret)
		return ret;
	op->num_domains = n;
	c->copyback = true;
	return 0;
}

int64_t sysctl_debug_keys(struct sysctl_call *c)
{
	const struct xen_sysctl_debug_keys *op = &c->op.u.debug_keys;
	char untrusted_keys[KEYS_MAX];
	unsigned n = MIN(op->nr_keys, (uint32_t)KEYS_MAX);

	if (guest_copy_from(untrusted_keys, (uintptr_t)op->keys.p, n))
		return -EFAULT;
	for (unsigned i = 0; i < n; i++)
		debug_key(untrusted_keys[i]);
	return 0;
}

/* ---- Scheduler ---- */

int64_t sysctl_sched_id(struct sysctl_call *c)
{
	c->op.u.sched_id.sched_id = sched_policy_id();
	c->copyback = true;
	return 0;
}

int64_t sysctl_scheduler_op(struct sysctl_call *c)
{
	int ret = sched_sysctl(&c->op.u.scheduler_op);

	c->copyback = !ret;
	return ret;
}

/* ---- CPU pool ---- */

static uint32_t count_domains(void)
{
	struct domain *d;
	unsigned id = 0;
	uint32_t n = 0;

	while (id < DOMID_LIMIT && (d = domain_get_next((domid_t)id)) != NULL) {
		id = d->id + 1U;
		n += READ_ONCE(d->dying) == DOMAIN_ALIVE;
		domain_put(d);
	}
	return n;
}

static int pool_info(struct sysctl_call *c)
{
	struct xen_sysctl_cpupool_op *op = &c->op.u.cpupool_op;
	int ret;

	/* The one with this id or the next higher. */
	if (op->cpupool_id > POOL)
		return -ENOENT;
	op->cpupool_id = POOL;
	op->sched_id = sched_policy_id();
	op->n_dom = count_domains();
	ret = control_bitmap_put(&op->cpumap, cpu_online.bits, control_cpu_limit());
	c->copyback = !ret;
	return ret;
}

/* No CPU is outside of the pool. */
static int pool_free_cpus(struct sysctl_call *c)
{
	static const cpumask_t none;
	int ret = control_bitmap_put(&c->op.u.cpupool_op.cpumap, none.bits, control_cpu_limit());

	c->copyback = !ret;
	return ret;
}

static int pool_move_domain(const struct sysctl_call *c)
{
	const struct xen_sysctl_cpupool_op *op = &c->op.u.cpupool_op;
	struct domain *d;

	if (op->domid >= DOMID_FIRST_RESERVED)
		return -ESRCH;
	d = domain_get_by_id((domid_t)op->domid);
	if (!d)
		return -ESRCH;
	domain_put(d);
	if (d == c->caller)
		return -EPERM;
	/* All others are where they can be. */
	return op->cpupool_id == POOL ? 0 : -ENOENT;
}

static int pool_add_cpu(const struct xen_sysctl_cpupool_op *op)
{
	if (op->cpupool_id != POOL)
		return -ENOENT;
	if (op->cpu == XEN_SYSCTL_CPUPOOL_PAR_ANY)
		return -ENODEV; /* none is free */
	return op->cpu < MAX_CPUS && cpumask_test(&cpu_online, op->cpu) ? -EBUSY : -ENODEV;
}

int64_t sysctl_cpupool_op(struct sysctl_call *c)
{
	const struct xen_sysctl_cpupool_op *op = &c->op.u.cpupool_op;

	switch (op->op) {
	case XEN_SYSCTL_CPUPOOL_OP_INFO:
		return pool_info(c);
	case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
		return pool_free_cpus(c);
	case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN:
		return pool_move_domain(c);
	case XEN_SYSCTL_CPUPOOL_OP_ADDCPU:
		return pool_add_cpu(op);
	case XEN_SYSCTL_CPUPOOL_OP_DESTROY:
	case XEN_SYSCTL_CPUPOOL_OP_RMCPU:
		/* The default pool stays, with all its CPUs. */
		return op->cpupool_id == POOL ? -EBUSY : -ENOENT;
	case XEN_SYSCTL_CPUPOOL_OP_CREATE:
		return -EOPNOTSUPP;
	default:
		return -ENOSYS;
	}
}
