// SPDX-License-Identifier: GPL-2.0-or-later
// What invalid hypercalls return. The values are compared with the oracle's: Linux, libxl and others rely on them.
#include "guest.h"
#include <xen/callback.h>
#include <xen/domctl.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/* An address that the page tables of this kernel do not map. */
#define UNMAPPED 0x7ead00000000ull

static uint8_t scratch[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

GUEST_TEST(unknown_hypercalls)
{
	static const uint8_t numbers[] = {0,  1,  2,  3,  4,  5,  6,  8,  9,  10, 11,
					  14, 16, 19, 22, 23, 25, 26, 28, 30, 31, 37,
					  43, 47, 48, 50, 51, 52, 53, 54, 55, 56, 63};

	/* Those that a PVH domain does not have, and numbers without any meaning. */
	for (unsigned int i = 0; i < sizeof(numbers); i++) {
		if (numbers[i] == __HYPERVISOR_iret)
			continue;
		VALUE("hypercall %u: %ld", numbers[i],
		      hypercall5(numbers[i], UNMAPPED, UNMAPPED, UNMAPPED, UNMAPPED, UNMAPPED));
	}
}

GUEST_TEST(unknown_numbers)
{
	long result;
	static const uint32_t numbers[] = {64,	       100,	   255,	      0x1000,
					   0x7fffffff, 0x80000000, 0xffffffff};

	/* Beyond what the page has entries for: the instruction at the end of an entry is called as it is. */
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		__asm__ volatile("call *%[entry]"
				 : "=a"(result)
				 : [entry] "r"(guest_hypercall_page + 5), "a"((uint64_t)numbers[i]),
				   "D"(0ul), "S"(0ul), "d"(0ul)
				 : "rcx", "r8", "r9", "r10", "r11", "memory");
		CHECK(result == -XEN_ENOSYS, "number %#x gives %ld", numbers[i], result);
	}
}

GUEST_TEST(version_errors)
{
	VALUE("xen_version 99: %ld", hypercall2(__HYPERVISOR_xen_version, 99, 0));
	VALUE("xen_version extraversion-fault: %ld",
	      hypercall2(__HYPERVISOR_xen_version, XENVER_extraversion, UNMAPPED));
	VALUE("xen_version features-fault: %ld",
	      hypercall2(__HYPERVISOR_xen_version, XENVER_get_features, UNMAPPED));
	VALUE("xen_version commandline-fault: %ld",
	      hypercall2(__HYPERVISOR_xen_version, XENVER_commandline, UNMAPPED));
	VALUE("xen_version build_id-null: %d",
	      hypercall2(__HYPERVISOR_xen_version, XENVER_build_id, 0) > 0);
}

static long memory_op(unsigned int op, void *argument)
{
	return hypercall2(__HYPERVISOR_memory_op, op, ADDRESS(argument));
}

GUEST_TEST(memory_errors)
{
	domid_t self = DOMID_SELF, nobody = 1234;
	struct xen_add_to_physmap map = {.domid = DOMID_SELF, .space = 99};
	xen_pfn_t frame = ADDRESS(scratch) / PAGE_BYTES;
	struct xen_memory_reservation reservation = {.domid = DOMID_SELF, .nr_extents = 1};

	VALUE("memory_op 60: %ld", memory_op(60, scratch));
	VALUE("memory_op fault: %ld",
	      hypercall2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, UNMAPPED));
	VALUE("memory_op maximum_ram_page-positive: %d",
	      memory_op(XENMEM_maximum_ram_page, NULL) > 0);
	VALUE("memory_op current-nobody: %ld", memory_op(XENMEM_current_reservation, &nobody));
	VALUE("memory_op current-self-positive: %d",
	      memory_op(XENMEM_current_reservation, &self) > 0);
	VALUE("memory_op add-space-99: %ld", memory_op(XENMEM_add_to_physmap, &map));
	map.space = XENMAPSPACE_shared_info;
	map.idx = 1;
	VALUE("memory_op add-shared-info-1: %ld", memory_op(XENMEM_add_to_physmap, &map));
	map.domid = nobody;
	VALUE("memory_op add-nobody: %ld", memory_op(XENMEM_add_to_physmap, &map));
	map = (struct xen_add_to_physmap){.domid = DOMID_SELF,
					  .space = XENMAPSPACE_grant_table,
					  .idx = 100000,
					  .gpfn = frame};
	VALUE("memory_op add-grant-100000: %ld", memory_op(XENMEM_add_to_physmap, &map));
	map.space = XENMAPSPACE_gmfn;
	map.idx = 1ull << 40;
	VALUE("memory_op add-gmfn: %ld", memory_op(XENMEM_add_to_physmap, &map));
	reservation.domid = nobody;
	VALUE("memory_op decrease-nobody: %ld",
	      memory_op(XENMEM_decrease_reservation, &reservation));
	reservation.domid = DOMID_SELF;
	reservation.extent_order = 60;
	set_xen_guest_handle(reservation.extent_start, &frame);
	VALUE("memory_op decrease-order-60: %ld",
	      memory_op(XENMEM_decrease_reservation, &reservation));
	reservation.extent_order = 0;
	frame = 1ull << 50;
	VALUE("memory_op decrease-no-such-frame: %ld",
	      memory_op(XENMEM_decrease_reservation, &reservation));
	VALUE("memory_op map-fault: %ld",
	      hypercall2(__HYPERVISOR_memory_op, XENMEM_memory_map, UNMAPPED));
}

GUEST_TEST(event_errors)
{
	struct evtchn_alloc_unbound alloc = {.dom = 1234, .remote_dom = 0};
	struct evtchn_bind_interdomain bind = {.remote_dom = DOMID_SELF, .remote_port = 4000};
	struct evtchn_bind_virq virq = {.virq = 99, .vcpu = 0};
	struct evtchn_bind_ipi ipi = {.vcpu = 99};
	struct evtchn_bind_pirq pirq = {.pirq = 100000};
	struct evtchn_close close = {.port = 4000};
	struct evtchn_send send = {.port = 4000};
	struct evtchn_status status = {.dom = DOMID_SELF, .port = 4000};
	struct evtchn_bind_vcpu move = {.port = 4000, .vcpu = 0};
	struct evtchn_unmask unmask = {.port = 4000};
	struct evtchn_set_priority priority = {.port = 4000, .priority = 3};
	struct evtchn_init_control control = {.vcpu = 99};

	VALUE("event_op 60: %ld", event_op(60, scratch));
	VALUE("event_op fault: %ld",
	      hypercall2(__HYPERVISOR_event_channel_op, EVTCHNOP_send, UNMAPPED));
	VALUE("event_op alloc-nobody: %ld", event_op(EVTCHNOP_alloc_unbound, &alloc));
	VALUE("event_op bind-4000: %ld", event_op(EVTCHNOP_bind_interdomain, &bind));
	bind.remote_dom = 1234;
	VALUE("event_op bind-nobody: %ld", event_op(EVTCHNOP_bind_interdomain, &bind));
	VALUE("event_op virq-99: %ld", event_op(EVTCHNOP_bind_virq, &virq));
	virq.virq = VIRQ_TIMER;
	virq.vcpu = 99;
	VALUE("event_op virq-vcpu-99: %ld", event_op(EVTCHNOP_bind_virq, &virq));
	VALUE("event_op ipi-vcpu-99: %ld", event_op(EVTCHNOP_bind_ipi, &ipi));
	VALUE("event_op pirq-100000: %ld", event_op(EVTCHNOP_bind_pirq, &pirq));
	VALUE("event_op close-4000: %ld", event_op(EVTCHNOP_close, &close));
	VALUE("event_op send-4000: %ld", event_op(EVTCHNOP_send, &send));
	send.port = 0x7fffffff;
	VALUE("event_op send-huge: %ld", event_op(EVTCHNOP_send, &send));
	VALUE("event_op status-4000: %ld", event_op(EVTCHNOP_status, &status));
	status.dom = 1234;
	VALUE("event_op status-nobody: %ld", event_op(EVTCHNOP_status, &status));
	VALUE("event_op bind-vcpu-4000: %ld", event_op(EVTCHNOP_bind_vcpu, &move));
	VALUE("event_op unmask-4000: %ld", event_op(EVTCHNOP_unmask, &unmask));
	unmask.port = 0x7fffffff;
	VALUE("event_op unmask-huge: %ld", event_op(EVTCHNOP_unmask, &unmask));
	VALUE("event_op priority-2-level: %ld", event_op(EVTCHNOP_set_priority, &priority));
	VALUE("event_op control-vcpu-99: %ld", event_op(EVTCHNOP_init_control, &control));
}

GUEST_TEST(vcpu_errors)
{
	struct vcpu_register_vcpu_info info = {.mfn = 1ull << 50, .offset = 0};
	struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = 0,
						  .flags = VCPU_SSHOTTMR_future};
	struct vcpu_set_periodic_timer periodic = {.period_ns = 1};

	VALUE("vcpu_op 60: %ld", hypercall3(__HYPERVISOR_vcpu_op, 60, 0, 0));
	VALUE("vcpu_op is_up-0: %ld", hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 0, 0));
	VALUE("vcpu_op is_up-99: %ld", hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 99, 0));
	VALUE("vcpu_op is_up-huge: %ld",
	      hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 0xffffffff, 0));
	VALUE("vcpu_op up-99: %ld", hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_up, 99, 0));
	VALUE("vcpu_op info-no-frame: %ld",
	      hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ADDRESS(&info)));
	info.mfn = ADDRESS(scratch) / PAGE_BYTES;
	info.offset = PAGE_BYTES - 8;
	VALUE("vcpu_op info-crosses: %ld",
	      hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ADDRESS(&info)));
	VALUE("vcpu_op info-fault: %ld",
	      hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, UNMAPPED));
	VALUE("vcpu_op timer-past-future-flag: %ld",
	      hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, ADDRESS(&timer)));
	VALUE("vcpu_op timer-other-vcpu: %ld",
	      hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 1, ADDRESS(&timer)));
	VALUE("vcpu_op timer-fault: %ld",
	      hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, UNMAPPED));
	VALUE("vcpu_op periodic-1ns: %ld",
	      hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, 0, ADDRESS(&periodic)));
	VALUE("vcpu_op stop-periodic: %ld",
	      hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0));
	VALUE("vcpu_op stop-singleshot: %ld",
	      hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer, 0, 0));
}

GUEST_TEST(sched_errors)
{
	struct sched_poll poll = {.nr_ports = 1000};
	struct sched_remote_shutdown remote = {.domain_id = 1234, .reason = SHUTDOWN_crash};
	struct sched_watchdog watchdog = {.id = 77, .timeout = 100};

	VALUE("sched_op 60: %ld", hypercall2(__HYPERVISOR_sched_op, 60, ADDRESS(scratch)));
	VALUE("sched_op yield: %ld", hypercall2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0));
	VALUE("sched_op shutdown-fault: %ld",
	      hypercall2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, UNMAPPED));
	VALUE("sched_op poll-fault: %ld",
	      hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, UNMAPPED));
	VALUE("sched_op poll-1000: %ld",
	      hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, ADDRESS(&poll)));
	VALUE("sched_op remote-nobody: %ld",
	      hypercall2(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, ADDRESS(&remote)));
	VALUE("sched_op watchdog-77: %ld",
	      hypercall2(__HYPERVISOR_sched_op, SCHEDOP_watchdog, ADDRESS(&watchdog)));
}

GUEST_TEST(hvm_errors)
{
	struct xen_hvm_param param = {.domid = DOMID_SELF, .index = 10000};
	struct xen_hvm_evtchn_upcall_vector vector = {.vcpu = 0, .vector = 8};

	VALUE("hvm_op 60: %ld", hypercall2(__HYPERVISOR_hvm_op, 60, ADDRESS(scratch)));
	VALUE("hvm_op get-10000: %ld",
	      hypercall2(__HYPERVISOR_hvm_op, HVMOP_get_param, ADDRESS(&param)));
	VALUE("hvm_op set-10000: %ld",
	      hypercall2(__HYPERVISOR_hvm_op, HVMOP_set_param, ADDRESS(&param)));
	param.domid = 1234;
	param.index = HVM_PARAM_CALLBACK_IRQ;
	VALUE("hvm_op get-nobody: %ld",
	      hypercall2(__HYPERVISOR_hvm_op, HVMOP_get_param, ADDRESS(&param)));
	VALUE("hvm_op get-fault: %ld", hypercall2(__HYPERVISOR_hvm_op, HVMOP_get_param, UNMAPPED));
	VALUE("hvm_op upcall-vector-8: %ld",
	      hypercall2(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, ADDRESS(&vector)));
	vector = (struct xen_hvm_evtchn_upcall_vector){.vcpu = 99, .vector = EVENT_VECTOR};
	VALUE("hvm_op upcall-vcpu-99: %ld",
	      hypercall2(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, ADDRESS(&vector)));
}

static long grant_op(unsigned int op, void *argument, unsigned int count)
{
	return hypercall3(__HYPERVISOR_grant_table_op, op, ADDRESS(argument), count);
}

GUEST_TEST(grant_errors)
{
	struct gnttab_query_size size = {.dom = DOMID_SELF, .status = 77};
	struct gnttab_map_grant_ref map = {.dom = DOMID_SELF,
					   .ref = 8,
					   .flags = GNTMAP_host_map,
					   .status = 77};
	struct gnttab_unmap_grant_ref unmap = {.handle = 5000, .status = 77};
	struct gnttab_get_version version = {.dom = DOMID_SELF};
	struct gnttab_set_version set = {.version = 3};
	struct gnttab_copy copy = {.source.domid = DOMID_SELF,
				   .source.u.gmfn = 1ull << 50,
				   .dest.domid = DOMID_SELF,
				   .dest.u.gmfn = ADDRESS(scratch) / PAGE_BYTES,
				   .len = 16,
				   .status = 77};
	long result;

	VALUE("grant_op 60: %ld", grant_op(60, scratch, 1));
	VALUE("grant_op fault: %ld",
	      hypercall3(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, UNMAPPED, 1));
	result = grant_op(GNTTABOP_query_size, &size, 1);
	VALUE("grant_op query: %ld status %d", result, size.status);
	VALUE("grant_op query-twice: %ld", grant_op(GNTTABOP_query_size, &size, 2));
	size.dom = 1234;
	result = grant_op(GNTTABOP_query_size, &size, 1);
	VALUE("grant_op query-nobody: %ld status %d", result, size.status);
	result = grant_op(GNTTABOP_map_grant_ref, &map, 1);
	VALUE("grant_op map-self: %ld status %d", result, map.status);
	map.dom = 1234;
	result = grant_op(GNTTABOP_map_grant_ref, &map, 1);
	VALUE("grant_op map-nobody: %ld status %d", result, map.status);
	result = grant_op(GNTTABOP_unmap_grant_ref, &unmap, 1);
	VALUE("grant_op unmap-5000: %ld status %d", result, unmap.status);
	result = grant_op(GNTTABOP_get_version, &version, 1);
	VALUE("grant_op get-version: %ld is %u", result, version.version);
	VALUE("grant_op set-version-3: %ld", grant_op(GNTTABOP_set_version, &set, 1));
	result = grant_op(GNTTABOP_copy, &copy, 1);
	VALUE("grant_op copy-no-frame: %ld status %d", result, copy.status);
	copy.source.u.gmfn = ADDRESS(scratch) / PAGE_BYTES;
	copy.source.offset = PAGE_BYTES - 8;
	result = grant_op(GNTTABOP_copy, &copy, 1);
	VALUE("grant_op copy-crosses: %ld status %d", result, copy.status);
}

GUEST_TEST(physdev_errors)
{
	struct physdev_eoi eoi = {.irq = 100000};
	struct physdev_setup_gsi gsi = {.gsi = 10000, .triggering = 1, .polarity = 1};
	struct physdev_pci_device device = {.seg = 0, .bus = 200, .devfn = 0};

	VALUE("physdev_op 99: %ld", hypercall2(__HYPERVISOR_physdev_op, 99, ADDRESS(scratch)));
	VALUE("physdev_op eoi-100000: %ld",
	      hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, ADDRESS(&eoi)));
	VALUE("physdev_op gsi-10000: %ld",
	      hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_setup_gsi, ADDRESS(&gsi)));
	VALUE("physdev_op remove-absent: %ld",
	      hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_remove, ADDRESS(&device)));
	VALUE("physdev_op fault: %ld",
	      hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, UNMAPPED));
}

GUEST_TEST(control_errors)
{
	struct xen_domctl domctl = {.cmd = XEN_DOMCTL_getdomaininfo, .interface_version = 1};
	struct xen_sysctl sysctl = {.cmd = XEN_SYSCTL_physinfo, .interface_version = 1};
	struct xen_platform_op platform = {.cmd = 5000,
					   .interface_version = XENPF_INTERFACE_VERSION};

	VALUE("domctl version-1: %ld", hypercall2(__HYPERVISOR_domctl, ADDRESS(&domctl), 0));
	domctl.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	domctl.domain = 1234;
	VALUE("domctl info-nobody: %ld", hypercall2(__HYPERVISOR_domctl, ADDRESS(&domctl), 0));
	domctl.cmd = 5000;
	VALUE("domctl 5000-nobody: %ld", hypercall2(__HYPERVISOR_domctl, ADDRESS(&domctl), 0));
	VALUE("domctl fault: %ld", hypercall2(__HYPERVISOR_domctl, UNMAPPED, 0));
	VALUE("sysctl version-1: %ld", hypercall2(__HYPERVISOR_sysctl, ADDRESS(&sysctl), 0));
	sysctl.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	sysctl.cmd = 5000;
	VALUE("sysctl 5000: %ld", hypercall2(__HYPERVISOR_sysctl, ADDRESS(&sysctl), 0));
	VALUE("sysctl fault: %ld", hypercall2(__HYPERVISOR_sysctl, UNMAPPED, 0));
	VALUE("platform_op 5000: %ld", hypercall2(__HYPERVISOR_platform_op, ADDRESS(&platform), 0));
	platform.interface_version = 1;
	VALUE("platform_op version-1: %ld",
	      hypercall2(__HYPERVISOR_platform_op, ADDRESS(&platform), 0));
	VALUE("platform_op fault: %ld", hypercall2(__HYPERVISOR_platform_op, UNMAPPED, 0));
}

GUEST_TEST(console_errors)
{
	VALUE("console_io 60: %ld", hypercall3(__HYPERVISOR_console_io, 60, 1, ADDRESS(scratch)));
	VALUE("console_io fault: %ld",
	      hypercall3(__HYPERVISOR_console_io, CONSOLEIO_write, 8, UNMAPPED));
	VALUE("console_io read-nothing: %ld",
	      hypercall3(__HYPERVISOR_console_io, CONSOLEIO_read, 8, ADDRESS(scratch)));
	VALUE("console_io write-0: %ld",
	      hypercall3(__HYPERVISOR_console_io, CONSOLEIO_write, 0, ADDRESS(scratch)));
}

GUEST_TEST(multicall)
{
	static struct multicall_entry calls[3];

	calls[0].op = __HYPERVISOR_xen_version;
	calls[0].args[0] = XENVER_version;
	calls[1].op = 63;
	calls[2].op = __HYPERVISOR_xen_version;
	calls[2].args[0] = XENVER_pagesize;
	CHECK(hypercall2(__HYPERVISOR_multicall, ADDRESS(calls), 3) == 0, "error");
	CHECK(calls[0].result == (4 << 16 | 17), "version %#lx", calls[0].result);
	CHECK((long)calls[1].result == -XEN_ENOSYS, "number 63 gives %ld", (long)calls[1].result);
	CHECK(calls[2].result == PAGE_BYTES, "page size %ld", (long)calls[2].result);
	VALUE("multicall fault: %ld", hypercall2(__HYPERVISOR_multicall, UNMAPPED, 1));
}
