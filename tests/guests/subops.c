// SPDX-License-Identifier: GPL-2.0-or-later
// Every sub-operation of every hypercall is called once, so that what is not there says so with the ABI's own code.
//
// Arguments do no harm: an address that is not mapped where the argument is a pointer, else a structure of zeros. The record
// of stock Xen says what it knows; docs/xen-compatibility.md what is meant to differ.
#include "guest.h"
#include <xen/domctl.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/dm_op.h>
#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/* An address that the page tables of this kernel do not map. */
#define UNMAPPED	0x7ead00000000ull
#define NO_CPU		99u /* the number of a CPU that the machine does not have */
#define SOFT_RESET_CONT 23  /* of Xen alone: how it goes on with a soft reset */

/* A count, or an error as it is. */
static void report(const char *call, unsigned int op, long result)
{
	if (result > 0)
		VALUE("%s %u is: positive", call, op);
	else
		VALUE("%s %u is: %ld", call, op, result);
}

GUEST_TEST(memory_op)
{
	for (unsigned int op = 0; op < 40; op++)
		report("memory_op", op, hypercall2(__HYPERVISOR_memory_op, op, UNMAPPED));
}

GUEST_TEST(xen_version)
{
	for (unsigned int op = 0; op < 16; op++)
		report("xen_version", op, hypercall2(__HYPERVISOR_xen_version, op, UNMAPPED));
}

GUEST_TEST(sched_op)
{
	for (unsigned int op = 0; op < 16; op++) {
		/* To block without an event that ends it would be the end of the run. */
		if (op != SCHEDOP_block)
			report("sched_op", op, hypercall2(__HYPERVISOR_sched_op, op, UNMAPPED));
	}
}

GUEST_TEST(event_channel_op)
{
	for (unsigned int op = 0; op < 24; op++)
		report("event_op", op, hypercall2(__HYPERVISOR_event_channel_op, op, UNMAPPED));
}

GUEST_TEST(vcpu_op)
{
	for (unsigned int op = 0; op < 24; op++) {
		/* The last vCPU that goes down takes the domain with it. */
		if (op != VCPUOP_down)
			report("vcpu_op", op, hypercall3(__HYPERVISOR_vcpu_op, op, 0, UNMAPPED));
	}
}

GUEST_TEST(grant_table_op)
{
	for (unsigned int op = 0; op < 20; op++)
		report("grant_op", op, hypercall3(__HYPERVISOR_grant_table_op, op, UNMAPPED, 1));
}

GUEST_TEST(hvm_op)
{
	for (unsigned int op = 0; op < 32; op++)
		report("hvm_op", op, hypercall2(__HYPERVISOR_hvm_op, op, UNMAPPED));
}

GUEST_TEST(physdev_op)
{
	for (unsigned int op = 0; op < 40; op++)
		report("physdev_op", op, hypercall2(__HYPERVISOR_physdev_op, op, UNMAPPED));
}

GUEST_TEST(console_io)
{
	for (unsigned int op = 2; op < 8; op++)
		report("console_io", op, hypercall3(__HYPERVISOR_console_io, op, 1, UNMAPPED));
}

GUEST_TEST(vm_assist)
{
	for (unsigned int type = 0; type < 40; type++)
		report("vm_assist", type,
		       hypercall2(__HYPERVISOR_vm_assist, VMASST_CMD_enable, type));
	VALUE("vm_assist command-9: %ld",
	      hypercall2(__HYPERVISOR_vm_assist, 9, VMASST_TYPE_runstate_update_flag));
}

GUEST_TEST(others)
{
	report("xenpmu_op", 0, hypercall2(__HYPERVISOR_xenpmu_op, 0, UNMAPPED));
	report("xsm_op", 0, hypercall2(__HYPERVISOR_xsm_op, UNMAPPED, 0));
	report("argo_op", 0, hypercall5(39, 0, UNMAPPED, 0, 0, 0));
	report("tmem_op", 0, hypercall2(38, UNMAPPED, 0));
	report("mca", 0, hypercall2(48, UNMAPPED, 0));
	report("paging_cont", 0, hypercall2(__HYPERVISOR_arch_1, UNMAPPED, 0));
	for (unsigned int op = 0; op < 5; op++)
		report("hypfs_op", op,
		       hypercall5(__HYPERVISOR_hypfs_op, op, UNMAPPED, 4, UNMAPPED, 16));
}

GUEST_TEST(platform_op)
{
	for (unsigned int op = 1; op < 70; op++) {
		struct xen_platform_op call = {.cmd = op,
					       .interface_version = XENPF_INTERFACE_VERSION};

		/* These add a CPU or memory to the machine, whatever their arguments. */
		if (op == XENPF_cpu_hotadd || op == XENPF_mem_hotadd)
			continue;
		if (op == XENPF_cpu_online || op == XENPF_cpu_offline)
			call.u.cpu_ol.cpuid = NO_CPU;
		report("platform_op", op, hypercall2(__HYPERVISOR_platform_op, ADDRESS(&call), 0));
	}
}

GUEST_TEST(sysctl)
{
	for (unsigned int op = 1; op < 35; op++) {
		struct xen_sysctl call = {.cmd = op,
					  .interface_version = XEN_SYSCTL_INTERFACE_VERSION};

		if (op == XEN_SYSCTL_cpu_hotplug)
			call.u.cpu_hotplug = (struct xen_sysctl_cpu_hotplug){.cpu = NO_CPU};
		if (op == XEN_SYSCTL_page_offline_op)
			call.u.page_offline.cmd = 99;
		report("sysctl", op, hypercall2(__HYPERVISOR_sysctl, ADDRESS(&call), 0));
	}
	for (unsigned int op = 0; op < 10; op++) {
		struct xen_sysctl call = {.cmd = XEN_SYSCTL_cpupool_op,
					  .interface_version = XEN_SYSCTL_INTERFACE_VERSION,
					  .u.cpupool_op = {.op = op,
							   .cpupool_id = 77,
							   .sched_id = NO_CPU,
							   .cpu = NO_CPU}};

		report("cpupool", op, hypercall2(__HYPERVISOR_sysctl, ADDRESS(&call), 0));
	}
}

static domid_t created;

static long domctl(unsigned int op, domid_t domain)
{
	struct xen_domctl call = {.cmd = op,
				  .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
				  .domain = domain};

	return hypercall2(__HYPERVISOR_domctl, ADDRESS(&call), 0);
}

/* A domain without memory that never runs: what is done to it shows nothing but the answers. */
static long create(void)
{
	struct xen_domctl call = {.cmd = XEN_DOMCTL_createdomain,
				  .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
				  .domain = DOMID_INVALID,
				  .u.createdomain = {
					  .flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
					  .max_vcpus = 1,
					  .max_evtchn_port = 1023,
					  .max_grant_frames = -1,
					  .max_maptrack_frames = -1,
					  .grant_opts = XEN_DOMCTL_GRANT_version(1),
					  .arch.emulation_flags = XEN_X86_EMU_LAPIC,
				  }};
	long result = hypercall2(__HYPERVISOR_domctl, ADDRESS(&call), 0);

	created = call.domain;
	if (result)
		return result;
	call = (struct xen_domctl){.cmd = XEN_DOMCTL_max_vcpus,
				   .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
				   .domain = created,
				   .u.max_vcpus.max = 1};
	return hypercall2(__HYPERVISOR_domctl, ADDRESS(&call), 0);
}

GUEST_TEST(domctl)
{
	long result = create();

	CHECK(!result, "no domain can be created: %ld", result);
	for (unsigned int op = 1; op < 95; op++) {
		/* Unpaused, it would run; it is not to be reset. */
		if (op != XEN_DOMCTL_createdomain && op != XEN_DOMCTL_destroydomain &&
		    op != XEN_DOMCTL_unpausedomain && op != XEN_DOMCTL_soft_reset &&
		    op != SOFT_RESET_CONT)
			report("domctl", op, domctl(op, created));
	}
	for (unsigned int op = XEN_DOMCTL_gdbsx_guestmemio; op <= XEN_DOMCTL_gdbsx_domstatus; op++)
		report("domctl", op, domctl(op, created));
	for (unsigned int op = 0; op < 34; op++) {
		struct xen_domctl call = {.cmd = XEN_DOMCTL_shadow_op,
					  .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
					  .domain = created,
					  .u.shadow_op.op = op};

		report("shadow_op", op, hypercall2(__HYPERVISOR_domctl, ADDRESS(&call), 0));
	}
}

GUEST_TEST(dm_op)
{
	for (unsigned int op = 1; op < 24; op++) {
		struct xen_dm_op call = {.op = op};
		struct xen_dm_op_buf buffer = {.size = sizeof(call)};

		set_xen_guest_handle(buffer.h, &call);
		report("dm_op", op, hypercall3(__HYPERVISOR_dm_op, created, 1, ADDRESS(&buffer)));
	}
}

/* Last: what they leave behind goes with the domain. */
GUEST_TEST(destroy)
{
	long result = domctl(XEN_DOMCTL_destroydomain, created);

	CHECK(!result, "error %ld", result);
	VALUE("domctl after-destroy: %ld", domctl(XEN_DOMCTL_max_mem, created));
}
