// SPDX-License-Identifier: GPL-2.0-or-later
// What a 32-bit guest may call, with the structures as they are for it (hvmloader and old kernels are such guests).
#include "guest.h"
#include <xen/errno.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/* No RAM is there, and nothing else that a guest could write to. */
#define UNMAPPED 0xf0000000u
#define ENTRIES	 32u
#define PAGES	 4u

static uint8_t pages[PAGES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static uint8_t grants[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static domid_t own_id(void)
{
	uint32_t regs[4];

	cpuid(guest_xen_leaf + 4, 0, regs);
	return (domid_t)regs[2];
}

static long memory_op(unsigned int op, void *argument)
{
	return hypercall2(__HYPERVISOR_memory_op, op, ADDRESS(argument));
}

static long version_op(unsigned int op, void *argument)
{
	return hypercall2(__HYPERVISOR_xen_version, op, ADDRESS(argument));
}

static long vcpu_op(unsigned int op, void *argument)
{
	return hypercall3(__HYPERVISOR_vcpu_op, op, 0, ADDRESS(argument));
}

static long grant_op(unsigned int op, void *argument, unsigned int count)
{
	return hypercall3(__HYPERVISOR_grant_table_op, op, ADDRESS(argument), count);
}

GUEST_TEST(version)
{
	xen_extraversion_t extra;
	struct xen_feature_info features = {.submap_idx = 0};
	uint32_t around[3] = {0x55555555, 0x55555555, 0x55555555};

	CHECK(version_op(XENVER_version, NULL) == (4 << 16 | 17), "version");
	CHECK(version_op(XENVER_extraversion, extra) == 0, "extraversion");
	CHECK(version_op(XENVER_get_features, &features) == 0, "features");
	VALUE("features all: %#x", features.submap & ~(1u << XENFEAT_dom0));
	/* The start of the hypervisor's area is as wide as an address of the caller. */
	CHECK(version_op(XENVER_platform_parameters, &around[1]) == 0, "parameters");
	CHECK(around[0] == 0x55555555 && around[2] == 0x55555555, "%#x %#x around it", around[0],
	      around[2]);
	VALUE("version pagesize: %ld", version_op(XENVER_pagesize, NULL));
}

GUEST_TEST(reservation)
{
	domid_t self = DOMID_SELF;
	long have = memory_op(XENMEM_current_reservation, &self);
	long most = memory_op(XENMEM_maximum_reservation, &self);
	long highest = memory_op(XENMEM_maximum_gpfn, &self);
	xen_pfn_t list[PAGES];
	struct xen_memory_reservation op = {.nr_extents = PAGES, .domid = DOMID_SELF};

	/* Also one without limit is positive here. */
	CHECK(have > 0 && most > 0 && highest > 0, "%ld %ld %ld", have, most, highest);
	for (unsigned int i = 0; i < PAGES; i++)
		list[i] = ADDRESS(pages[i]) / PAGE_BYTES;
	set_xen_guest_handle(op.extent_start, list);
	CHECK(memory_op(XENMEM_decrease_reservation, &op) == PAGES, "decrease");
	CHECK(memory_op(XENMEM_current_reservation, &self) == have - (long)PAGES,
	      "not given back: %ld of %ld", memory_op(XENMEM_current_reservation, &self), have);
	CHECK(memory_op(XENMEM_populate_physmap, &op) == PAGES, "populate");
	CHECK(memory_op(XENMEM_current_reservation, &self) == have, "not taken again");
	for (unsigned int i = 0; i < PAGES; i++) {
		pages[i][0] = (uint8_t)(i + 1);
		CHECK(pages[i][0] == i + 1, "page %u is not memory", i);
	}
	/* A list that ends where memory ends: what was done before counts. */
	op.nr_extents = 2;
	set_xen_guest_handle(op.extent_start, (xen_pfn_t *)UNMAPPED);
	VALUE("reservation fault: %ld", memory_op(XENMEM_decrease_reservation, &op));
	VALUE("reservation argument-fault: %ld",
	      memory_op(XENMEM_decrease_reservation, (void *)UNMAPPED));
}

GUEST_TEST(memory_map)
{
	static struct __attribute__((packed)) {
		uint64_t address, size;
		uint32_t type;
	} entries[ENTRIES];
	struct xen_memory_map op = {.nr_entries = ENTRIES};
	bool ram = false;

	set_xen_guest_handle(op.buffer, (void *)entries);
	CHECK(memory_op(XENMEM_memory_map, &op) == 0, "error %ld",
	      memory_op(XENMEM_memory_map, &op));
	CHECK(op.nr_entries && op.nr_entries <= ENTRIES, "%u entries", op.nr_entries);
	for (unsigned int i = 0; i < op.nr_entries; i++)
		ram |= entries[i].type == 1 && entries[i].size >= PAGE_BYTES;
	CHECK(ram, "no RAM in it");
	op.nr_entries = 0;
	VALUE("map no-room: %ld, %u", memory_op(XENMEM_memory_map, &op), op.nr_entries);
}

GUEST_TEST(physmap)
{
	xen_pfn_t to = ADDRESS(pages[0]) / PAGE_BYTES, from = ADDRESS(pages[1]) / PAGE_BYTES;
	struct xen_add_to_physmap add = {.domid = DOMID_SELF,
					 .space = XENMAPSPACE_gmfn,
					 .idx = from,
					 .gpfn = to};
	struct xen_remove_from_physmap remove = {.domid = DOMID_SELF, .gpfn = 0xe0000};
	struct xen_memory_reservation fill = {.nr_extents = 1, .domid = DOMID_SELF};

	pages[1][7] = 77;
	CHECK(memory_op(XENMEM_add_to_physmap, &add) == 0, "move");
	CHECK(pages[0][7] == 77, "the page did not move");
	set_xen_guest_handle(fill.extent_start, &from);
	CHECK(memory_op(XENMEM_populate_physmap, &fill) == 1, "the old place cannot be filled");
	VALUE("physmap remove-nothing: %ld", memory_op(XENMEM_remove_from_physmap, &remove));
	add.space = 99;
	VALUE("physmap space-99: %ld", memory_op(XENMEM_add_to_physmap, &add));
}

GUEST_TEST(physmap_batch)
{
	xen_ulong_t idxs[2] = {ADDRESS(pages[2]) / PAGE_BYTES, 0x7ffff};
	xen_pfn_t gpfns[2] = {ADDRESS(pages[3]) / PAGE_BYTES, ADDRESS(pages[3]) / PAGE_BYTES};
	int errs[2] = {99, 99};
	struct xen_add_to_physmap_batch op = {.domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn,
					      .size = 2};
	struct xen_memory_reservation fill = {.nr_extents = 1, .domid = DOMID_SELF};

	set_xen_guest_handle(op.idxs, idxs);
	set_xen_guest_handle(op.gpfns, gpfns);
	set_xen_guest_handle(op.errs, errs);
	pages[2][9] = 99;
	VALUE("batch two: %ld", memory_op(XENMEM_add_to_physmap_batch, &op));
	VALUE("batch errors: %d %d", errs[0], errs[1]);
	CHECK(pages[3][9] == 99, "the page did not move");
	set_xen_guest_handle(fill.extent_start, &idxs[0]);
	CHECK(memory_op(XENMEM_populate_physmap, &fill) == 1, "the old place cannot be filled");
}

GUEST_TEST(other_memory_ops)
{
	struct xen_mem_acquire_resource resource = {.domid = DOMID_SELF,
						    .type = XENMEM_resource_grant_table};
	struct xen_reserved_device_memory_map reserved = {.flags = XENMEM_RDM_ALL};
	struct xen_vnuma_topology_info nodes = {.domid = DOMID_SELF};

	VALUE("memory acquire: %ld", memory_op(XENMEM_acquire_resource, &resource));
	resource.pad = 1;
	VALUE("memory acquire-pad: %ld", memory_op(XENMEM_acquire_resource, &resource));
	VALUE("memory reserved: %ld, %u", memory_op(XENMEM_reserved_device_memory_map, &reserved),
	      reserved.nr_entries);
	VALUE("memory nodes: %ld", memory_op(XENMEM_get_vnumainfo, &nodes));
}

/* The pending word is 32 bits wide, and so is the mask. */
GUEST_TEST(events)
{
	struct evtchn_alloc_unbound alloc = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
	struct evtchn_bind_interdomain bind = {.remote_dom = DOMID_SELF};
	struct evtchn_status status = {.dom = DOMID_SELF};
	struct evtchn_send send;
	struct evtchn_close close;

	/* Beyond the first 32, so that the width of the words shows. */
	do
		CHECK(event_op(EVTCHNOP_alloc_unbound, &alloc) == 0, "alloc");
	while (alloc.port < 40);
	bind.remote_port = alloc.port;
	CHECK(event_op(EVTCHNOP_bind_interdomain, &bind) == 0, "bind");
	CHECK(event_take_pending(bind.local_port), "binding makes the port pending");
	CHECK(!event_take_pending(alloc.port), "pending without an event");
	send.port = bind.local_port;
	CHECK(event_op(EVTCHNOP_send, &send) == 0, "send");
	CHECK(event_take_pending(alloc.port), "no event");
	status.port = alloc.port;
	CHECK(event_op(EVTCHNOP_status, &status) == 0, "status");
	CHECK(status.status == EVTCHNSTAT_interdomain &&
		      status.u.interdomain.port == bind.local_port,
	      "status %u", status.status);
	for (evtchn_port_t port = 1; port <= bind.local_port; port++) {
		close.port = port;
		event_op(EVTCHNOP_close, &close);
	}
}

GUEST_TEST(runstate)
{
	/* The structure is 44 bytes here: what is behind it is not touched. */
	static struct {
		struct vcpu_runstate_info info;
		uint32_t behind;
	} area = {.behind = 0x12345678};
	struct vcpu_register_runstate_memory_area op = {0};
	uint64_t sum = 0;

	CHECK(sizeof(area.info) == 44, "the size is %u", (unsigned int)sizeof(area.info));
	CHECK(vcpu_op(VCPUOP_get_runstate_info, &area.info) == 0, "get");
	for (unsigned int i = 0; i < 4; i++)
		sum += area.info.time[i];
	CHECK(area.info.state == RUNSTATE_running && sum, "state %d", area.info.state);
	CHECK(area.behind == 0x12345678, "%#x is behind it", area.behind);
	area.info.state = 99;
	op.addr.h.p = &area.info;
	CHECK(vcpu_op(VCPUOP_register_runstate_memory_area, &op) == 0, "register");
	CHECK(area.info.state == RUNSTATE_running && area.behind == 0x12345678,
	      "state %d, %#x behind it", area.info.state, area.behind);
	CHECK(hypercall2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0) == 0, "yield");
	CHECK(area.behind == 0x12345678, "%#x is behind it", area.behind);
}

static bool timer_fired(evtchn_port_t port)
{
	struct sched_poll poll = {.nr_ports = 1};

	set_xen_guest_handle(poll.ports, &port);
	return hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, ADDRESS(&poll)) == 0 &&
	       event_take_pending(port);
}

/* Periodic timers stand still while the vCPU waits: it does not. */
static bool tick_comes(evtchn_port_t port)
{
	uint64_t end = time_now() + 1000000000;

	while (time_now() < end)
		if (event_take_pending(port))
			return true;
	return false;
}

GUEST_TEST(timers)
{
	struct evtchn_bind_virq bind = {.virq = VIRQ_TIMER, .vcpu = 0};
	struct evtchn_close close;
	struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = time_now() + 2000000};
	struct vcpu_set_periodic_timer period = {.period_ns = 2000000};
	uint64_t then;

	CHECK(event_op(EVTCHNOP_bind_virq, &bind) == 0, "bind");
	CHECK(vcpu_op(VCPUOP_set_singleshot_timer, &shot) == 0, "one shot");
	CHECK(timer_fired(bind.port) && time_now() >= shot.timeout_abs_ns, "no shot");
	/* The time is two registers wide. */
	then = time_now() + 2000000;
	CHECK(hypercall2(__HYPERVISOR_set_timer_op, (uint32_t)then, (uint32_t)(then >> 32)) == 0,
	      "set_timer_op");
	CHECK(timer_fired(bind.port) && time_now() >= then, "no timer");
	CHECK(vcpu_op(VCPUOP_set_periodic_timer, &period) == 0, "period");
	CHECK(tick_comes(bind.port) && tick_comes(bind.port), "no ticks");
	CHECK(vcpu_op(VCPUOP_stop_periodic_timer, NULL) == 0, "stop");
	VALUE("timers is_up: %ld", vcpu_op(VCPUOP_is_up, NULL));
	close.port = bind.port;
	CHECK(event_op(EVTCHNOP_close, &close) == 0, "close");
}

/* A register of its own for the vCPU's information: its layout is that of the caller. */
GUEST_TEST(vcpu_info)
{
	static struct vcpu_info own __attribute__((aligned(64)));
	struct vcpu_register_vcpu_info op = {.mfn = ADDRESS(&own) / PAGE_BYTES,
					     .offset = ADDRESS(&own) % PAGE_BYTES};

	CHECK(vcpu_op(VCPUOP_register_vcpu_info, &op) == 0, "register");
	CHECK(own.time.version && !(own.time.version & 1) && own.time.tsc_to_system_mul,
	      "version %u", own.time.version);
	CHECK(own.evtchn_pending_sel != 0 || own.evtchn_upcall_pending,
	      "an upcall is to be made once, for events that came before");
	VALUE("info again: %ld", vcpu_op(VCPUOP_register_vcpu_info, &op));
}

GUEST_TEST(grant_table)
{
	struct xen_add_to_physmap add = {.domid = DOMID_SELF,
					 .space = XENMAPSPACE_grant_table,
					 .gpfn = ADDRESS(grants) / PAGE_BYTES};
	struct gnttab_query_size size = {.dom = DOMID_SELF};
	struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 2};
	xen_pfn_t frames[3] = {~0u, ~0u, 0x55555555};

	CHECK(memory_op(XENMEM_add_to_physmap, &add) == 0, "add");
	CHECK(grant_op(GNTTABOP_query_size, &size, 1) == 0 && size.status == 0, "size");
	CHECK(size.nr_frames && size.max_nr_frames >= size.nr_frames, "%u of %u frames",
	      size.nr_frames, size.max_nr_frames);
	set_xen_guest_handle(setup.frame_list, frames);
	CHECK(grant_op(GNTTABOP_setup_table, &setup, 1) == 0 && setup.status == 0, "setup: %d",
	      setup.status);
	CHECK(frames[0] == ADDRESS(grants) / PAGE_BYTES, "frame 0 is at %#lx", frames[0]);
	VALUE("grant second-frame: %#lx", frames[1]);
	CHECK(frames[2] == 0x55555555, "more than asked for was written");
}

/* Of itself: the layouts are the point here. */
GUEST_TEST(grants_of_itself)
{
	struct grant_entry_v1 *table = (struct grant_entry_v1 *)grants;
	struct gnttab_map_grant_ref map = {.host_addr = ADDRESS(pages[1]),
					   .flags = GNTMAP_host_map,
					   .ref = 9,
					   .dom = own_id(),
					   .status = 77};
	struct gnttab_unmap_grant_ref unmap = {.host_addr = ADDRESS(pages[1]), .status = 77};
	struct gnttab_copy copy[2] = {
		{.source.u.ref = 9,
		 .source.domid = own_id(),
		 .dest.domid = DOMID_SELF,
		 .len = 16,
		 .flags = GNTCOPY_source_gref,
		 .status = 77},
		{.source.u.ref = 10,
		 .source.domid = own_id(),
		 .dest.domid = DOMID_SELF,
		 .len = 16,
		 .flags = GNTCOPY_source_gref,
		 .status = 77},
	};
	xen_pfn_t hole = ADDRESS(pages[1]) / PAGE_BYTES;
	struct xen_memory_reservation fill = {.nr_extents = 1, .domid = DOMID_SELF};
	long result;

	memcpy(pages[0], "granted to itself", 18);
	table[9].domid = own_id();
	table[9].frame = ADDRESS(pages[0]) / PAGE_BYTES;
	__atomic_store_n(&table[9].flags, GTF_permit_access, __ATOMIC_RELEASE);
	copy[0].dest.u.gmfn = ADDRESS(pages[2]) / PAGE_BYTES;
	copy[0].dest.offset = 100;
	copy[1].dest = copy[0].dest;
	result = grant_op(GNTTABOP_copy, copy, 2);
	VALUE("grant copy: %ld status %d %d", result, copy[0].status, copy[1].status);
	CHECK(copy[0].status || !memcmp(pages[2] + 100, "granted", 7), "not what was granted");
	set_xen_guest_handle(fill.extent_start, &hole);
	CHECK(memory_op(XENMEM_decrease_reservation, &fill) == 1, "decrease");
	result = grant_op(GNTTABOP_map_grant_ref, &map, 1);
	VALUE("grant map-own: %ld status %d", result, map.status);
	if (!map.status) {
		CHECK(!memcmp(pages[1], "granted", 7), "not what was granted");
		unmap.handle = map.handle;
		result = grant_op(GNTTABOP_unmap_grant_ref, &unmap, 1);
		VALUE("grant unmap-own: %ld status %d", result, unmap.status);
	}
	CHECK(memory_op(XENMEM_populate_physmap, &fill) == 1, "populate");
	table[9].flags = 0;
}

GUEST_TEST(hvm_params)
{
	struct xen_hvm_param op = {.domid = DOMID_SELF,
				   .index = HVM_PARAM_CALLBACK_IRQ,
				   .value = 0x0123456789ull};

	VALUE("hvm set: %ld", hypercall2(__HYPERVISOR_hvm_op, HVMOP_set_param, ADDRESS(&op)));
	op.value = 0;
	CHECK(hypercall2(__HYPERVISOR_hvm_op, HVMOP_get_param, ADDRESS(&op)) == 0, "get");
	VALUE("hvm get: %#llx", (unsigned long long)op.value);
	op.value = 0;
	CHECK(hypercall2(__HYPERVISOR_hvm_op, HVMOP_set_param, ADDRESS(&op)) == 0, "reset");
}

GUEST_TEST(multicall)
{
	static struct multicall_entry calls[4];
	struct xen_feature_info features = {.submap_idx = 0};
	domid_t self = DOMID_SELF;

	calls[0].op = __HYPERVISOR_xen_version;
	calls[0].args[0] = XENVER_version;
	calls[1].op = 63;
	calls[2].op = __HYPERVISOR_xen_version;
	calls[2].args[0] = XENVER_get_features;
	calls[2].args[1] = ADDRESS(&features);
	calls[3].op = __HYPERVISOR_memory_op;
	calls[3].args[0] = XENMEM_current_reservation;
	calls[3].args[1] = ADDRESS(&self);
	CHECK(hypercall2(__HYPERVISOR_multicall, ADDRESS(calls), 4) == 0, "error");
	CHECK(calls[0].result == (4 << 16 | 17), "version %#lx", calls[0].result);
	CHECK((long)calls[1].result == -XEN_ENOSYS, "number 63 gives %ld", (long)calls[1].result);
	CHECK(calls[2].result == 0 && features.submap, "features");
	CHECK((long)calls[3].result == memory_op(XENMEM_current_reservation, &self),
	      "reservation %ld", (long)calls[3].result);
	VALUE("multicall fault: %ld", hypercall2(__HYPERVISOR_multicall, UNMAPPED, 1));
}

GUEST_TEST(errors)
{
	uint32_t none = UNMAPPED;

	VALUE("error event: %ld", event_op(EVTCHNOP_send, (void *)none));
	VALUE("error grant: %ld", grant_op(GNTTABOP_query_size, (void *)none, 1));
	VALUE("error vcpu: %ld", vcpu_op(VCPUOP_get_runstate_info, (void *)none));
	VALUE("error sched: %ld", hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, none));
	VALUE("error hvm: %ld", hypercall2(__HYPERVISOR_hvm_op, HVMOP_get_param, none));
	VALUE("error version: %ld", version_op(XENVER_get_features, (void *)none));
	VALUE("error console: %ld", hypercall3(__HYPERVISOR_console_io, CONSOLEIO_write, 8, none));
	VALUE("error hypercall-63: %ld", hypercall2(63, 0, 0));
}
