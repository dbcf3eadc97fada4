/* SPDX-License-Identifier: GPL-2.0-or-later */
/* domctl: rights of a domain to device memory, I/O ports and interrupts of the machine. */
#include <bulkhead/domain_access.h>
#include <bulkhead/errno.h>
#include <bulkhead/mm.h>
#include <bulkhead/rangeset.h>

#include "domctl_internal.h"

#define PORTS 0x10000U

struct domain_access {
	struct rangeset iomem, ioports, irqs;
};

/* The lock of the domain is held, or nobody changes the set any more. */
static const struct domain_access *access_of(const struct domain *d)
{
	return __atomic_load_n(&d->access, __ATOMIC_ACQUIRE);
}

static struct domain_access *access_make(struct domain *d)
{
	struct domain_access *a = d->access;

	if (a)
		return a;
	a = heap_alloc(sizeof(*a));
	if (!a)
		return NULL;
	rangeset_init(&a->iomem);
	rangeset_init(&a->ioports);
	rangeset_init(&a->irqs);
	/* Only domctl comes here, one call at a time. */
	__atomic_store_n(&d->access, a, __ATOMIC_RELEASE);
	return a;
}

void domain_access_finish(struct domain *d)
{
	struct domain_access *a = d->access;

	if (!a)
		return;
	rangeset_finish(&a->iomem);
	rangeset_finish(&a->ioports);
	rangeset_finish(&a->irqs);
	heap_free(a);
	d->access = NULL;
}

static bool given(const struct domain *d, size_t set, uint64_t first, uint64_t last)
{
	const struct domain_access *a = access_of(d);
	struct domain *locked = (struct domain *)(uintptr_t)d;
	bool ret;

	if (!a)
		return false;
	spin_lock(&locked->lock);
	ret = rangeset_contains((const void *)((const char *)a + set), first, last);
	spin_unlock(&locked->lock);
	return ret;
}

bool domain_may_iomem(const struct domain *d, uint64_t first_mfn, uint64_t nr)
{
	if (!nr || first_mfn + nr - 1 < first_mfn)
		return false;
	return d->hardware ? arch_iomem_grantable(first_mfn, nr)
			   : given(d, offsetof(struct domain_access, iomem), first_mfn,
				   first_mfn + nr - 1);
}

bool domain_may_ioports(const struct domain *d, unsigned first, unsigned nr)
{
	if (!nr || first >= PORTS || nr > PORTS - first)
		return false;
	return d->hardware
		       ? arch_ioports_grantable(first, nr)
		       : given(d, offsetof(struct domain_access, ioports), first, first + nr - 1);
}

bool domain_may_irq(const struct domain *d, unsigned irq)
{
	return d->hardware ? arch_irq_grantable(irq)
			   : given(d, offsetof(struct domain_access, irqs), irq, irq);
}

/* The caller may pass on what it has itself. */
static int change(struct domain *d, size_t set, uint64_t first, uint64_t last, bool allow)
{
	struct domain_access *a = access_make(d);
	struct rangeset *r;
	int ret;

	if (!a)
		return -ENOMEM;
	r = (void *)((char *)a + set);
	spin_lock(&d->lock);
	ret = allow ? rangeset_add(r, first, last) : rangeset_remove(r, first, last);
	spin_unlock(&d->lock);
	return ret;
}

int64_t domctl_irq_permission(struct domctl_call *c)
{
	const struct xen_domctl_irq_permission *op = &c->op.u.irq_permission;

	if (!domain_may_irq(c->caller, op->pirq))
		return -EPERM;
	return change(c->d, offsetof(struct domain_access, irqs), op->pirq, op->pirq,
		      op->allow_access);
}

int64_t domctl_iomem_permission(struct domctl_call *c)
{
	const struct xen_domctl_iomem_permission *op = &c->op.u.iomem_permission;

	if (op->first_mfn + op->nr_mfns - 1 < op->first_mfn)
		return -EINVAL;
	if (!domain_may_iomem(c->caller, op->first_mfn, op->nr_mfns))
		return -EPERM;
	return change(c->d, offsetof(struct domain_access, iomem), op->first_mfn,
		      op->first_mfn + op->nr_mfns - 1, op->allow_access);
}

int64_t domctl_ioport_permission(struct domctl_call *c)
{
	const struct xen_domctl_ioport_permission *op = &c->op.u.ioport_permission;

	if (!op->nr_ports || op->first_port >= PORTS || op->nr_ports > PORTS - op->first_port)
		return -EINVAL;
	if (!domain_may_ioports(c->caller, op->first_port, op->nr_ports))
		return -EPERM;
	return change(c->d, offsetof(struct domain_access, ioports), op->first_port,
		      op->first_port + op->nr_ports - 1, op->allow_access);
}
