// SPDX-License-Identifier: GPL-2.0-or-later
// Every sub-operation of every hypercall that guests may make, for a kernel of either width. UNMAPPED is an address that its
// page tables do not map, or where no memory is.
#ifndef GUEST_SUBOPS_H
#define GUEST_SUBOPS_H

#include "guest.h"
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

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

#endif
