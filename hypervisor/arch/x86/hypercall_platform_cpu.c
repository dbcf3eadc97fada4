// SPDX-License-Identifier: GPL-2.0-or-later
// platform_op: registers and identification of physical CPUs, names of the hypervisor's functions.

#include <arch/cpu.h>
#include <bulkhead/cpu.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/string.h>
#include <bulkhead/time.h>

#include "hypercall_platform.h"

#define MAX_RESOURCE_ENTRIES 3 /* a limit of the ABI's first implementation that callers rely on */

#define MSR_TSC	      0x10
#define MSR_QM_EVTSEL 0xc8d /* SDM vol. 3B 18.18: cache monitoring */
#define MSR_QM_CTR    0xc8e

_Static_assert(sizeof(struct xenpf_resource_entry) == 24, "ABI");
_Static_assert(sizeof(struct xenpf_symdata) == 32, "ABI");

struct version_call {
	uint32_t cpu;
	struct xenpf_pcpu_version *info;
};

static void version_here(void *arg)
{
	struct version_call *call = arg;
	struct xenpf_pcpu_version *info = call->info;
	uint32_t r[4];

	if (cpu_id() != call->cpu)
		return;
	cpuid_count(0, 0, r);
	memcpy(info->vendor_id, &r[1], 4);
	memcpy(info->vendor_id + 4, &r[3], 4);
	memcpy(info->vendor_id + 8, &r[2], 4);
	/* SDM vol. 2A, CPUID leaf 1: the extended fields count for families 6 and 15. */
	cpuid_count(1, 0, r);
	info->family = r[0] >> 8 & 0xf;
	info->model = r[0] >> 4 & 0xf;
	info->stepping = r[0] & 0xf;
	if (info->family == 6 || info->family == 15)
		info->model |= (r[0] >> 16 & 0xf) << 4;
	if (info->family == 15)
		info->family += r[0] >> 20 & 0xff;
}

void platform_cpu_version(uint32_t cpu, struct xenpf_pcpu_version *ret_info)
{
	struct version_call call = {cpu, ret_info};

	cpu_call_all(version_here, &call);
}

struct resource_call {
	uint32_t cpu;
	uint32_t count, done;
	struct xenpf_resource_entry entry[MAX_RESOURCE_ENTRIES];
};

/* Which registers a caller may touch at all; 0 or a negative errno. */
static int resource_check(const struct xenpf_resource_entry *e)
{
	if (e->rsvd)
		return -EINVAL;
	if (e->u.cmd != XEN_RESOURCE_OP_MSR_READ && e->u.cmd != XEN_RESOURCE_OP_MSR_WRITE)
		return -EOPNOTSUPP;
	if (e->idx >> 32)
		return -EINVAL;
	if (e->idx != MSR_TSC && e->idx != MSR_QM_EVTSEL && e->idx != MSR_QM_CTR)
		return -EACCES;
	return 0;
}

static int resource_access(struct xenpf_resource_entry *e)
{
	bool write = e->u.cmd == XEN_RESOURCE_OP_MSR_WRITE;

	if (e->idx == MSR_TSC) {
		if (write)
			return -EPERM;
		/* The ABI: not the counter, but the system time at which the others were read. */
		e->val = time_now();
		return 0;
	}
	return write ? wrmsr_safe((uint32_t)e->idx, e->val) : rdmsr_safe((uint32_t)e->idx, &e->val);
}

static void resource_here(void *arg)
{
	struct resource_call *call = arg;
	unsigned long flags;

	if (cpu_id() != call->cpu)
		return;
	/* In one go: a counter and the time that follows it belong together. */
	flags = arch_irq_save();
	for (uint32_t i = 0; i < call->count; i++) {
		struct xenpf_resource_entry *e = &call->entry[i];
		int err = resource_access(e);

		if (err) {
			e->u.ret = err;
			break;
		}
		call->done++;
	}
	arch_irq_restore(flags);
}

int64_t platform_resource_op(const struct xenpf_resource_op *op)
{
	uint64_t gva = (uintptr_t)op->entries.p;
	struct resource_call call = {.cpu = op->cpu};
	uint32_t valid, total = op->nr_entries;

	if (!total)
		return 0;
	if (total > MAX_RESOURCE_ENTRIES)
		return -EINVAL;
	if (guest_copy_from(call.entry, gva, total * sizeof(call.entry[0])))
		return -EFAULT;
	for (valid = 0; valid < total; valid++) {
		int err = resource_check(&call.entry[valid]);

		if (err) {
			call.entry[valid].u.ret = err;
			break;
		}
	}
	call.count = valid;
	if (valid) {
		if (op->cpu >= MAX_CPUS || !cpumask_test(&cpu_online, op->cpu))
			return -ENODEV;
		cpu_call_all(resource_here, &call);
	}
	/* Results, and the error of the first that failed. */
	if (guest_copy_to(gva, call.entry, MIN(call.done + 1, total) * sizeof(call.entry[0])))
		return -EFAULT;
	return call.done;
}

/* Table made by tools/ksyms.py at link time; weak: host tests have none. */
extern const char image_start[] __attribute__((weak));
extern const uint32_t ksyms_count __attribute__((weak));
extern const uint32_t ksyms_addr[] __attribute__((weak));
extern const uint32_t ksyms_name_off[] __attribute__((weak));
extern const char ksyms_names[] __attribute__((weak));

static uint32_t symbol_count(void)
{
	return &ksyms_count ? ksyms_count : 0;
}

int64_t platform_get_symbol(struct xenpf_symdata *op)
{
	uint64_t gva = (uintptr_t)op->name.p;
	uint32_t nr = op->symnum, size = op->namelen, len;
	const char *name;

	if (nr > symbol_count())
		return -ERANGE;
	/* The caller stops when the number does not change. */
	if (nr == symbol_count()) {
		op->namelen = 1;
		op->address = 0;
		op->type = 0;
		return 0;
	}
	name = ksyms_names + ksyms_name_off[nr];
	len = (uint32_t)strlen(name);
	if (guest_copy_to(gva, name, MIN(size, len + 1)))
		return -EFAULT;
	op->namelen = len + 1;
	op->address = (uintptr_t)image_start + ksyms_addr[nr];
	op->type = 't';
	op->symnum = nr + 1;
	return 0;
}
