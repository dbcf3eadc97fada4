// SPDX-License-Identifier: GPL-2.0-or-later
// Hypercall platform_op: what dom0 asks of, or tells, the hypervisor about the machine.

#include <arch/platform.h>
#include <bulkhead/cpu.h>
#include <bulkhead/domain.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/hypercall.h>
#include <bulkhead/string.h>
#include <bulkhead/time.h>

#include <xen/platform.h>

#include "hypercall_platform.h"

/* Asked by Linux since 6.0 of every hypervisor; newer than the headers of 4.17. */
#define XENPF_GET_DOM0_CONSOLE 64

_Static_assert(sizeof(struct xen_platform_op) == 136, "ABI");
_Static_assert(offsetof(struct xen_platform_op, u) == 8, "ABI");

/* Not linked where there is no screen. */
#pragma weak arch_dom0_console_info

static int64_t put_op(uint64_t gva, const struct xen_platform_op *op)
{
	return guest_copy_to(gva, op, sizeof(*op));
}

static int64_t set_time(uint64_t sec, uint32_t nsec, uint64_t system_time)
{
	sec += nsec / NSEC_PER_SEC;
	time_set_wallclock(sec, nsec % NSEC_PER_SEC, system_time);
	domain_wallclock_update_all();
	return 0;
}

/*
 * Nothing of the BIOS is asked at boot (the loader does not leave real mode to us), so that each list of
 * disks, signatures and the like is an empty one: -ESRCH is what ends the caller's walk.
 */
static int64_t firmware_info(const struct xenpf_firmware_info *info)
{
	switch (info->type) {
	case XEN_FW_DISK_INFO:
	case XEN_FW_DISK_MBR_SIGNATURE:
	case XEN_FW_VBEDDC_INFO:
	case XEN_FW_KBD_SHIFT_FLAGS:
		return -ESRCH;
	case XEN_FW_EFI_INFO:
		/* No EFI runtime services through us. */
		return -ENOSYS;
	default:
		return -EINVAL;
	}
}

static int64_t dom0_console(uint64_t gva)
{
	/* With the padding up to what the caller takes as the structure's size: all of it is zero. */
	struct dom0_vga_console_info info;

	memset(&info, 0, sizeof(info));
	if (!arch_dom0_console_info || !arch_dom0_console_info(&info))
		return -ENODATA;
	if (guest_copy_to(gva + offsetof(struct xen_platform_op, u), &info, sizeof(info)))
		return -EFAULT;
	return sizeof(info);
}

static struct cpu *cpu_present(uint32_t cpu)
{
	return cpu < MAX_CPUS ? cpu_table[cpu & (MAX_CPUS - 1)] : NULL;
}

static uint32_t last_cpu(void)
{
	return cpu_count - 1;
}

static void get_cpuinfo(struct xenpf_pcpuinfo *info)
{
	const struct cpu *c = cpu_present(info->xen_cpuid);

	info->max_present = last_cpu();
	if (!c) {
		info->flags = XEN_PCPU_FLAGS_INVALID;
		return;
	}
	info->flags = cpumask_test(&cpu_online, c->id) ? XEN_PCPU_FLAGS_ONLINE : 0;
	info->apic_id = (uint32_t)arch_cpu_physid(c->id);
	info->acpi_id = (uint32_t)(arch_cpu_physid(c->id) >> 32);
}

static void get_cpu_version(struct xenpf_pcpu_version *info)
{
	uint32_t cpu = info->xen_cpuid;

	info->max_present = last_cpu();
	memset(info->vendor_id, 0, sizeof(info->vendor_id));
	info->family = info->model = info->stepping = 0;
	if (cpu_present(cpu) && cpumask_test(&cpu_online, cpu))
		platform_cpu_version(cpu, info);
}

/* CPUs are all brought up at boot and stay: only what is so already can be asked for. */
static int64_t cpu_online_op(uint32_t cpu, bool online)
{
	if (!cpu_present(cpu))
		return -EINVAL;
	if (cpumask_test(&cpu_online, cpu) == online)
		return 0;
	return -EOPNOTSUPP;
}

static int64_t core_parking(struct xenpf_core_parking *op)
{
	switch (op->type) {
	case XEN_CORE_PARKING_GET:
		op->idle_nums = 0;
		return 0;
	case XEN_CORE_PARKING_SET:
		return op->idle_nums ? -EOPNOTSUPP : 0;
	default:
		return -EINVAL;
	}
}

/* Frequency and sleep states of the CPUs are left to the hardware: there is no driver that would take the tables. */
static int64_t set_pminfo(const struct xenpf_set_processor_pminfo *info)
{
	switch (info->type) {
	case XEN_PM_CX:
	case XEN_PM_PX:
	case XEN_PM_PDC:
		return -ENOSYS;
	default:
		return -EINVAL;
	}
}

static int64_t getidletime(struct xenpf_getidletime *op)
{
	uint64_t map_gva = (uintptr_t)op->cpumap_bitmap.p, times_gva = (uintptr_t)op->idletime.p;
	uint32_t nr = MIN(op->cpumap_nr_cpus, (uint32_t)MAX_CPUS);
	uint8_t map[MAX_CPUS / 8] = {0};

	op->now = time_now();
	if (guest_copy_from(map, map_gva, DIV_ROUND_UP(nr, 8)))
		return -EFAULT;
	for (uint32_t cpu = 0; cpu < nr; cpu++) {
		const struct cpu *c = cpu_present(cpu);
		struct vcpu_runstate_info idle;
		uint64_t t = 0;

		if (!(map[cpu / 8] & BIT32(cpu % 8)))
			continue;
		if (c && c->idle) {
			vcpu_runstate_get(c->idle, &idle);
			t = idle.time[RUNSTATE_running];
		} else {
			map[cpu / 8] &= (uint8_t)~BIT32(cpu % 8);
		}
		if (guest_copy_to(times_gva + cpu * sizeof(t), &t, sizeof(t)))
			return -EFAULT;
	}
	return guest_copy_to(map_gva, map, DIV_ROUND_UP(nr, 8));
}

/* Those that change or fill the structure: it goes back to the caller on success. */
static int64_t query(struct xen_platform_op *op, uint64_t gva)
{
	int64_t err = 0;

	switch (op->cmd) {
	case XENPF_get_cpuinfo:
		get_cpuinfo(&op->u.pcpu_info);
		break;
	case XENPF_get_cpu_version:
		get_cpu_version(&op->u.pcpu_version);
		break;
	case XENPF_getidletime:
		err = getidletime(&op->u.getidletime);
		break;
	case XENPF_core_parking:
		err = core_parking(&op->u.core_parking);
		break;
	case XENPF_get_symbol:
		err = platform_get_symbol(&op->u.symdata);
		break;
	default:
		return -ENOSYS;
	}
	return err ? err : put_op(gva, op);
}

int64_t hypercall_platform_op(struct hypercall *hc)
{
	struct xen_platform_op op;
	uint64_t gva = hc->args[0];

	if (guest_copy_from(&op, gva, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XENPF_INTERFACE_VERSION)
		return -EACCES;
	if (!may_system(current_domain()))
		return -EPERM;

	switch (op.cmd) {
	case XENPF_settime32:
		return set_time(op.u.settime32.secs, op.u.settime32.nsecs,
				op.u.settime32.system_time);
	case XENPF_settime64:
		if (op.u.settime64.mbz)
			return -EINVAL;
		return set_time(op.u.settime64.secs, op.u.settime64.nsecs,
				op.u.settime64.system_time);
	case XENPF_GET_DOM0_CONSOLE:
		return dom0_console(gva);
	case XENPF_firmware_info:
		return firmware_info(&op.u.firmware_info);
	case XENPF_set_processor_pminfo:
		return set_pminfo(&op.u.set_pminfo);
	case XENPF_cpu_online:
		return cpu_online_op(op.u.cpu_ol.cpuid, true);
	case XENPF_cpu_offline:
		return cpu_online_op(op.u.cpu_ol.cpuid, false);
	case XENPF_resource_op:
		return platform_resource_op(&op.u.resource_op);
	default:
		return query(&op, gva);
	}
}
