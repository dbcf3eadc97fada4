// SPDX-License-Identifier: GPL-2.0-or-later
// Every sub-operation of every hypercall is called once, so that what is not there says so with the ABI's own code.
//
// Arguments do no harm: an address that is not mapped where the argument is a pointer, else a structure of zeros. The record
// of stock Xen says what it knows; docs/xen-compatibility.md what is meant to differ.

/* An address that the page tables of this kernel do not map. */
#define UNMAPPED 0x7ead00000000ull
#include "subops.h"
#include <xen/domctl.h>
#include <xen/hvm/dm_op.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

#define NO_CPU		99u /* the number of a CPU that the machine does not have */
#define SOFT_RESET_CONT 23  /* of Xen alone: how it goes on with a soft reset */

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
