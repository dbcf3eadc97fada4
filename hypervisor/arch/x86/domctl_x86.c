/* SPDX-License-Identifier: GPL-2.0-or-later */
/* domctl: what is peculiar to x86: registers of vCPUs, clocks, NMIs, CPU policy. */
#include <arch/cpu.h>
#include <arch/cpu_policy.h>
#include <arch/cpufeature.h>
#include <arch/exit.h>
#include <arch/hvm_context.h>
#include <arch/hvm_io.h>
#include <arch/machine.h>
#include <arch/time.h>
#include <arch/vendor.h>
#include <arch/vlapic.h>
#include <bulkhead/control.h>
#include <bulkhead/errno.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/iommu.h>
#include <bulkhead/irq.h>
#include <bulkhead/mm.h>
#include <bulkhead/pci.h>
#include <xen/hvm/save.h>

_Static_assert(sizeof(struct xen_domctl_cpu_policy) == 40, "ABI");
_Static_assert(sizeof(struct xen_domctl_tsc_info) == 24, "ABI");

/* Modes of settscinfo: whether the guest's TSC is the machine's, or is emulated. */
#define TSC_MODE_DEFAULT  0U
#define TSC_MODE_NATIVE	  2U
/* Two measurements of one clock differ by less than this share. */
#define TSC_KHZ_TOLERANCE 1000
#define NS_PER_KHZ	  1000000U /* nanoseconds of a period of 1 kHz */

#define LAPIC_WINDOW	 0xfee00U /* local APIC and MSI addresses, as frames */
#define LAPIC_WINDOW_END 0xff000U

/* ---- Creation ---- */

int arch_domain_config_check(const struct xen_domctl_createdomain *cfg)
{
	/* PVH: a local APIC and nothing else is emulated. */
	if (cfg->arch.emulation_flags != XEN_X86_EMU_LAPIC ||
	    (cfg->arch.misc_flags & ~XEN_X86_MSR_RELAXED))
		return -EINVAL;
	return 0;
}

void arch_domain_info(const struct domain *d, struct xen_domctl_getdomaininfo *info)
{
	info->gpaddr_bits = (uint8_t)cpu_info.phys_bits;
	info->arch_config.emulation_flags = d->arch.emulation_flags;
	info->arch_config.misc_flags = d->arch.misc_flags;
}

/* ---- Rights ---- */

bool arch_iomem_grantable(uint64_t first_mfn, uint64_t nr)
{
	uint64_t end = first_mfn + nr, limit = BIT(cpu_info.phys_bits - PAGE_SHIFT);

	if (first_mfn >= limit || nr > limit - first_mfn ||
	    (first_mfn < LAPIC_WINDOW_END && end > LAPIC_WINDOW))
		return false;
	for (unsigned i = 0; i < machine_map.nr; i++) {
		const struct memmap_region *r = &machine_map.r[i];

		if (r->type == MEMMAP_RAM && first_mfn < DIV_ROUND_UP(r->end, PAGE_SIZE) &&
		    end > r->start >> PAGE_SHIFT)
			return false;
	}
	for (unsigned i = 0; i < ioapic_count; i++) {
		uint64_t mfn = ioapics[i].paddr >> PAGE_SHIFT;

		if (mfn >= first_mfn && mfn < end)
			return false;
	}
	/* Registers of IOMMUs and configuration space: page by page, of ranges that a device could have. */
	if (nr > BIT(ORDER_1G))
		return false;
	for (uint64_t m = first_mfn; m < end; m++) {
		if (iommu_owns(m << PAGE_SHIFT) || pci_is_ecam(m << PAGE_SHIFT))
			return false;
	}
	return true;
}

bool arch_ioports_grantable(unsigned first, unsigned nr)
{
	const struct domain *d = hardware_domain;

	for (unsigned p = first; p < first + nr; p++) {
		if (!(d->arch.io.port_allowed[p / 8] & (1U << p % 8)))
			return false;
	}
	return true;
}

bool arch_irq_grantable(unsigned irq)
{
	return irq < gsi_count();
}

/* ---- vCPUs ---- */

static int64_t sendtrigger(struct domctl_call *c)
{
	const struct xen_domctl_sendtrigger *op = &c->op.u.sendtrigger;
	struct domain *d = c->d;

	switch (op->trigger) {
	case XEN_DOMCTL_SENDTRIGGER_NMI:
		if (op->vcpu >= d->max_vcpus || !d->vcpus[op->vcpu])
			return -ESRCH;
		vcpu_nmi(d->vcpus[op->vcpu]);
		return 0;
	case XEN_DOMCTL_SENDTRIGGER_POWER:
	case XEN_DOMCTL_SENDTRIGGER_SLEEP:
		/* The buttons of a platform that this domain does not have. */
		return 0;
	default:
		return -ENOSYS;
	}
}

static int64_t getvcpucontext(struct domctl_call *c)
{
	const struct xen_domctl_vcpucontext *op = &c->op.u.vcpucontext;
	struct domain *d = c->d;
	struct vcpu_guest_context *ctx;
	struct vcpu *v;
	int ret = 0;

	if (op->vcpu >= d->max_vcpus || !(v = d->vcpus[op->vcpu]) || v == current_vcpu())
		return -EINVAL;
	if (!arch_vcpu_is_initialised(v))
		return -ENODATA;
	ctx = heap_alloc(sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	vcpu_pause_sync(v);
	vcpu_context_get(v, ctx);
	vcpu_unpause(v);
	if (guest_copy_to((uintptr_t)op->ctxt.p, ctx, sizeof(*ctx)))
		ret = -EFAULT;
	heap_free(ctx);
	c->copyback = true;
	return ret;
}

static int64_t setvcpucontext(struct domctl_call *c)
{
	const struct xen_domctl_vcpucontext *op = &c->op.u.vcpucontext;
	struct domain *d = c->d;
	struct vcpu_guest_context *ctx;
	struct vcpu *v;
	int ret = 0;

	if (d == c->caller || op->vcpu >= d->max_vcpus || !(v = d->vcpus[op->vcpu]))
		return -EINVAL;
	if (!op->ctxt.p) {
		/* Back to waiting for a start-up IPI. */
		domain_pause_sync(d);
		vcpu_set_flag(v, VPF_DOWN);
		vcpu_context_reset(v);
		domain_unpause(d);
		return 0;
	}
	ctx = heap_alloc(sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	if (guest_copy_from(ctx, (uintptr_t)op->ctxt.p, sizeof(*ctx))) {
		ret = -EFAULT;
	} else {
		domain_pause_sync(d);
		vcpu_context_set(v, ctx);
		domain_unpause(d);
	}
	heap_free(ctx);
	return ret;
}

/* ---- Save records ---- */

static int64_t gethvmcontext(struct domctl_call *c)
{
	struct xen_domctl_hvmcontext *op = &c->op.u.hvmcontext;
	uint64_t gva = (uintptr_t)op->buffer.p;
	struct domain *d = c->d;
	size_t max = hvm_context_size(d), size;
	void *buf;
	int ret = 0;

	if (d == c->caller)
		return -EINVAL;
	c->copyback = true;
	if (!gva) {
		op->size = (uint32_t)max;
		return 0;
	}
	if (op->size < max)
		return -ENOSPC;
	buf = heap_alloc(max);
	if (!buf)
		return -ENOMEM;
	domain_pause_sync(d);
	size = hvm_context_save(d, buf);
	domain_unpause(d);
	op->size = (uint32_t)size;
	if (guest_copy_to(gva, buf, size))
		ret = -EFAULT;
	heap_free(buf);
	return ret;
}

static int64_t sethvmcontext(struct domctl_call *c)
{
	const struct xen_domctl_hvmcontext *op = &c->op.u.hvmcontext;
	struct domain *d = c->d;
	void *buf;
	int ret;

	if (d == c->caller)
		return -EINVAL;
	/* One record of each kind for each vCPU is what there can be. */
	if (op->size > hvm_context_size(d))
		return -E2BIG;
	buf = heap_alloc(MAX(op->size, 1U));
	if (!buf)
		return -ENOMEM;
	if (guest_copy_from(buf, (uintptr_t)op->buffer.p, op->size)) {
		ret = -EFAULT;
	} else {
		domain_pause_sync(d);
		ret = hvm_context_load(d, buf, op->size);
		domain_unpause(d);
	}
	heap_free(buf);
	return ret;
}

static int64_t gethvmcontext_partial(struct domctl_call *c)
{
	struct xen_domctl_hvmcontext_partial *op = &c->op.u.hvmcontext_partial;
	uint64_t gva = (uintptr_t)op->buffer.p;
	struct domain *d = c->d;
	void *buf;
	int64_t size;

	if (d == c->caller)
		return -EINVAL;
	buf = heap_alloc(HVM_CONTEXT_RECORD_MAX);
	if (!buf)
		return -ENOMEM;
	domain_pause_sync(d);
	size = hvm_context_save_one(d, op->type, op->instance, buf);
	domain_unpause(d);
	if (size >= 0) {
		/* Room for less is filled as far as it goes; no room is a question for the size. */
		uint64_t n = gva ? MIN(op->bufsz, (uint64_t)size) : 0;

		op->bufsz = gva ? n : (uint64_t)size;
		c->copyback = true;
		size = n && guest_copy_to(gva, buf, n) ? -EFAULT : 0;
	}
	heap_free(buf);
	return size;
}

/* ---- Clock ---- */

static int64_t gettscinfo(struct domctl_call *c)
{
	struct xen_domctl_tsc_info *op = &c->op.u.tsc_info;
	const struct arch_domain *a = &c->d->arch;

	*op = (struct xen_domctl_tsc_info){
		.tsc_mode = a->tsc_mode,
		.incarnation = a->tsc_incarnation,
	};
	if (a->tsc_mode == TSC_MODE_DEFAULT) {
		op->gtsc_khz = (uint32_t)tsc_khz;
		op->elapsed_nsec = tsc_to_ns(tsc_now() + a->tsc_offset);
	}
	c->copyback = true;
	return 0;
}

/* The offset is a matter of the whole domain, none of whose vCPUs runs. */
static void set_tsc(struct domain *d, uint64_t value)
{
	struct vcpu *v;
	unsigned i;

	/* Each vCPU takes it over when it is loaded next. */
	d->arch.tsc_offset = value - tsc_now();
	spin_lock(&d->lock);
	DOMAIN_FOR_EACH_VCPU (d, v, i)
		arch_vcpu_time_update(v);
	spin_unlock(&d->lock);
}

static int64_t settscinfo(struct domctl_call *c)
{
	const struct xen_domctl_tsc_info *op = &c->op.u.tsc_info;
	struct domain *d = c->d;
	uint64_t difference = op->gtsc_khz > tsc_khz ? op->gtsc_khz - tsc_khz
						     : tsc_khz - op->gtsc_khz;

	if (d == c->caller || (op->tsc_mode != TSC_MODE_DEFAULT && op->tsc_mode != TSC_MODE_NATIVE))
		return -EINVAL;
	/* It comes from a saved image: no counter can be that far, nor is there a number for it. */
	if (op->elapsed_nsec / NS_PER_KHZ >= UINT64_MAX / tsc_khz)
		return -EINVAL;
	/* The TSC is never emulated: a clock of another frequency cannot be had. */
	if (op->tsc_mode == TSC_MODE_DEFAULT && op->gtsc_khz &&
	    difference > tsc_khz / TSC_KHZ_TOLERANCE)
		return -EOPNOTSUPP;
	domain_pause_sync(d);
	d->arch.tsc_mode = op->tsc_mode;
	d->arch.tsc_incarnation = op->incarnation;
	if (op->tsc_mode == TSC_MODE_DEFAULT && op->elapsed_nsec)
		set_tsc(d, ns_to_tsc(op->elapsed_nsec));
	domain_unpause(d);
	return 0;
}

/* ---- The rest ---- */

static int64_t hypercall_init(struct domctl_call *c)
{
	uint64_t gfn = c->op.u.hypercall_init.gmfn;

	if (gfn >> (64 - PAGE_SHIFT))
		return -EINVAL;
	return hypercall_page_write(c->d, gfn << PAGE_SHIFT) ? -EINVAL : 0;
}

int64_t arch_domctl(struct domctl_call *c)
{
	switch (c->op.cmd) {
	case XEN_DOMCTL_getvcpucontext:
		return getvcpucontext(c);
	case XEN_DOMCTL_setvcpucontext:
		return setvcpucontext(c);
	case XEN_DOMCTL_hypercall_init:
		return hypercall_init(c);
	case XEN_DOMCTL_sendtrigger:
		return sendtrigger(c);
	case XEN_DOMCTL_gethvmcontext:
		return gethvmcontext(c);
	case XEN_DOMCTL_sethvmcontext:
		return sethvmcontext(c);
	case XEN_DOMCTL_gethvmcontext_partial:
		return gethvmcontext_partial(c);
	case XEN_DOMCTL_set_address_size:
	case XEN_DOMCTL_get_address_size:
		/* The mode is the guest's own business. */
	case XEN_DOMCTL_debug_op:
	case XEN_DOMCTL_assign_device:
	case XEN_DOMCTL_test_assign_device:
	case XEN_DOMCTL_deassign_device:
	case XEN_DOMCTL_get_device_group:
		/* No domain has a part in the IOMMU: the answer for a domain created without. */
		return -EOPNOTSUPP;
	case XEN_DOMCTL_vmtrace_op:
		/* A domain without buffers for traces, as all are. */
		return -EINVAL;
	case XEN_DOMCTL_gettscinfo:
		return gettscinfo(c);
	case XEN_DOMCTL_settscinfo:
		return settscinfo(c);
	case XEN_DOMCTL_get_cpu_policy:
		return cpu_policy_domctl_get(c);
	case XEN_DOMCTL_set_cpu_policy:
		return cpu_policy_domctl_set(c);
	case XEN_DOMCTL_psr_cmt_op:
	case XEN_DOMCTL_psr_alloc:
		return -ENODEV; /* caches and memory bandwidth are not shared out */
	default:
		return -ENOSYS;
	}
}
