// SPDX-License-Identifier: GPL-2.0-or-later
// What the toolstack asks of the machine and of a domain beyond what xl shows: each call does what its answer says.
// guests: basics
#include "domu.h"
#include <xen/errno.h>
#include <xen/hvm/save.h>
#include <xen/sysctl.h>
#include <xen/arch-x86/hvm/save.h>

#define MIB	    32u
#define NODES_BYTES 8u
#define LIMIT	    20000000000ull
/* A memory address that nothing of this machine is at, and two ports likewise. */
#define FAR_MFN	    0xfe000ul
#define PORT	    0x2f0u

static long sysctl(struct xen_sysctl *op, unsigned int cmd)
{
	op->cmd = cmd;
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	return hypercall2(__HYPERVISOR_sysctl, ADDRESS(op), 0);
}

/* ---- The machine ---- */

GUEST_TEST(availheap)
{
	struct xen_sysctl op = {.u.availheap = {.min_bitwidth = 0, .max_bitwidth = 0, .node = -1}};
	uint64_t free = dom0_settled_free_pages() * PAGE_BYTES;
	long error = sysctl(&op, XEN_SYSCTL_availheap);

	CHECK(!error, "error %ld", error);
	CHECK(op.u.availheap.avail_bytes == free, "%lu bytes, %lu are free",
	      op.u.availheap.avail_bytes, free);
	op = (struct xen_sysctl){.u.availheap.node = 0};
	error = sysctl(&op, XEN_SYSCTL_availheap);
	CHECK(!error && op.u.availheap.avail_bytes == free, "node 0: error %ld, %lu bytes", error,
	      op.u.availheap.avail_bytes);
}

GUEST_TEST(getcpuinfo)
{
	struct xen_sysctl_cpuinfo first[4] = {{0}}, second[4] = {{0}};
	struct xen_sysctl op = {.u.getcpuinfo.max_cpus = 4};
	long error;

	set_xen_guest_handle(op.u.getcpuinfo.info, first);
	error = sysctl(&op, XEN_SYSCTL_getcpuinfo);
	CHECK(!error && op.u.getcpuinfo.nr_cpus == 1, "error %ld, %u CPUs", error,
	      op.u.getcpuinfo.nr_cpus);
	dom0_sleep(50000000);
	set_xen_guest_handle(op.u.getcpuinfo.info, second);
	op.u.getcpuinfo.max_cpus = 4;
	error = sysctl(&op, XEN_SYSCTL_getcpuinfo);
	CHECK(!error && second[0].idletime > first[0].idletime, "error %ld, idle for %lu, then %lu",
	      error, first[0].idletime, second[0].idletime);
	CHECK(!first[1].idletime && !second[1].idletime, "more is written than there is");
}

GUEST_TEST(topology)
{
	struct xen_sysctl_cputopo cpus[4];
	struct xen_sysctl_meminfo memory[2];
	uint32_t distance[4], nodes[2] = {9, 9};
	struct physdev_pci_device {
		uint16_t segment;
		uint8_t bus, devfn;
	} devices[2] = {{0, 0, 0}, {0, 0xee, 0}};
	struct xen_sysctl op = {.u.cputopoinfo.num_cpus = 4};
	long error;

	set_xen_guest_handle(op.u.cputopoinfo.cputopo, cpus);
	error = sysctl(&op, XEN_SYSCTL_cputopoinfo);
	CHECK(!error, "cputopoinfo: error %ld", error);
	VALUE("cputopoinfo all: %u CPUs, socket %u, node %u", op.u.cputopoinfo.num_cpus,
	      cpus[0].socket, cpus[0].node);
	op = (struct xen_sysctl){.u.numainfo.num_nodes = 2};
	set_xen_guest_handle(op.u.numainfo.meminfo, memory);
	set_xen_guest_handle(op.u.numainfo.distance, distance);
	error = sysctl(&op, XEN_SYSCTL_numainfo);
	CHECK(!error, "numainfo: error %ld", error);
	VALUE("numainfo all: %u nodes, distance %u", op.u.numainfo.num_nodes, distance[0]);
	CHECK(memory[0].memfree < memory[0].memsize && memory[0].memsize > 1ull << 30,
	      "%lu of %lu bytes are free", memory[0].memfree, memory[0].memsize);
	op = (struct xen_sysctl){.u.pcitopoinfo.num_devs = 2};
	op.u.pcitopoinfo.devs.p = (void *)devices;
	set_xen_guest_handle(op.u.pcitopoinfo.nodes, nodes);
	error = sysctl(&op, XEN_SYSCTL_pcitopoinfo);
	CHECK(!error, "pcitopoinfo: error %ld", error);
	CHECK(nodes[0] != XEN_INVALID_DEV && nodes[1] == XEN_INVALID_DEV, "nodes %#x and %#x",
	      nodes[0], nodes[1]);
	VALUE("pcitopoinfo all: %u devices", op.u.pcitopoinfo.num_devs);
}

GUEST_TEST(cpu_features)
{
	uint32_t host[64], hvm[64];
	struct xen_sysctl op = {0};
	uint32_t length;
	long error;

	error = sysctl(&op, XEN_SYSCTL_get_cpu_levelling_caps);
	CHECK(!error, "get_cpu_levelling_caps: error %ld", error);
	op = (struct xen_sysctl){.u.cpu_featureset.index = XEN_SYSCTL_cpu_featureset_host};
	error = sysctl(&op, XEN_SYSCTL_get_cpu_featureset);
	length = op.u.cpu_featureset.nr_features;
	CHECK(!error && length > 8 && length < 64, "error %ld, %u words", error, length);
	VALUE("featureset words: %u", length);
	for (unsigned int i = 0; i < 2; i++) {
		op = (struct xen_sysctl){
			.u.cpu_featureset = {.index = i ? XEN_SYSCTL_cpu_featureset_hvm
							: XEN_SYSCTL_cpu_featureset_host,
					     .nr_features = length}};
		set_xen_guest_handle(op.u.cpu_featureset.features, i ? hvm : host);
		error = sysctl(&op, XEN_SYSCTL_get_cpu_featureset);
		CHECK(!error, "set %u: error %ld", i, error);
	}
	/* Word 0 is EDX of CPUID leaf 1: FPU, TSC, APIC, SSE2. */
	CHECK((host[0] & hvm[0] & 0x4000211) == 0x4000211, "%#x and %#x", host[0], hvm[0]);
	op = (struct xen_sysctl){.u.cpu_featureset = {.index = 99, .nr_features = length}};
	set_xen_guest_handle(op.u.cpu_featureset.features, host);
	VALUE("featureset unknown: %ld", sysctl(&op, XEN_SYSCTL_get_cpu_featureset));
	op = (struct xen_sysctl){.u.cpu_policy.index = XEN_SYSCTL_cpu_policy_hvm_default};
	error = sysctl(&op, XEN_SYSCTL_get_cpu_policy);
	CHECK(!error && op.u.cpu_policy.nr_leaves > 10, "get_cpu_policy: error %ld, %u leaves",
	      error, op.u.cpu_policy.nr_leaves);
}

/* ---- A domain that does not run ---- */

static struct domu d;

static bool info(struct xen_domctl_getdomaininfo *ret_info)
{
	return domu_info(d.id, ret_info);
}

GUEST_TEST(settings)
{
	long error = domu_create(&d, &(struct domu_config){.kernel = "basics",
							   .words = "answer=1",
							   .mib = MIB});
	struct xen_domctl_getdomaininfo now;
	struct xen_domctl op = {0};

	CHECK(!error, "cannot be built: %ld", error);
	for (unsigned int i = 0; i < sizeof(op.u.setdomainhandle.handle); i++)
		op.u.setdomainhandle.handle[i] = (uint8_t)(0xa0 + i);
	error = domctl(&op, XEN_DOMCTL_setdomainhandle, d.id);
	CHECK(!error && info(&now), "setdomainhandle: error %ld", error);
	CHECK(now.handle[0] == 0xa0 && now.handle[15] == 0xaf, "the handle begins with %#x",
	      now.handle[0]);
	op = (struct xen_domctl){.u.max_mem.max_memkb = 77 * 1024};
	error = domctl(&op, XEN_DOMCTL_max_mem, d.id);
	CHECK(!error && info(&now) && now.max_pages == 77 * 256, "max_mem: error %ld, %lu pages",
	      error, now.max_pages);
	VALUE("getdomaininfo cpupool: %u", now.cpupool);
	VALUE("getdomaininfo vcpus: %u online, last %u", now.nr_online_vcpus, now.max_vcpu_id);
	VALUE("getdomaininfo flags: %#x",
	      now.flags & (0xffffu | XEN_DOMINF_shutdownmask << XEN_DOMINF_shutdownshift));
	op = (struct xen_domctl){.u.settimeoffset.time_offset_seconds = -3600};
	error = domctl(&op, XEN_DOMCTL_settimeoffset, d.id);
	CHECK(!error, "settimeoffset: error %ld", error);
	op = (struct xen_domctl){.u.subscribe.port = 5};
	error = domctl(&op, XEN_DOMCTL_subscribe, d.id);
	CHECK(!error, "subscribe: error %ld", error);
	op = (struct xen_domctl){.u.set_virq_handler.virq = VIRQ_TBUF};
	error = domctl(&op, XEN_DOMCTL_set_virq_handler, d.id);
	CHECK(!error, "set_virq_handler: error %ld", error);
	op = (struct xen_domctl){.u.set_virq_handler.virq = VIRQ_TIMER};
	VALUE("set_virq_handler of-each-vcpu: %ld", domctl(&op, XEN_DOMCTL_set_virq_handler, d.id));
	op = (struct xen_domctl){.u.set_virq_handler.virq = 1000};
	VALUE("set_virq_handler unknown: %ld", domctl(&op, XEN_DOMCTL_set_virq_handler, d.id));
}

GUEST_TEST(vcpus)
{
	struct xen_domctl op = {.u.max_vcpus.max = 2};
	long error;

	VALUE("max_vcpus again: %ld", domctl(&op, XEN_DOMCTL_max_vcpus, d.id));
	op = (struct xen_domctl){.u.getvcpuinfo.vcpu = 0};
	error = domctl(&op, XEN_DOMCTL_getvcpuinfo, d.id);
	CHECK(!error && op.u.getvcpuinfo.online && !op.u.getvcpuinfo.running,
	      "getvcpuinfo: error %ld, online %u, running %u", error, op.u.getvcpuinfo.online,
	      op.u.getvcpuinfo.running);
	CHECK(!op.u.getvcpuinfo.cpu_time, "it has run for %lu ns", op.u.getvcpuinfo.cpu_time);
	op = (struct xen_domctl){.u.getvcpuinfo.vcpu = 7};
	VALUE("getvcpuinfo absent: %ld", domctl(&op, XEN_DOMCTL_getvcpuinfo, d.id));
	op = (struct xen_domctl){.u.scheduler_op = {.sched_id = XEN_SCHEDULER_CREDIT2,
						    .cmd = XEN_DOMCTL_SCHEDOP_putinfo,
						    .u.credit2 = {.weight = 300, .cap = 40}}};
	error = domctl(&op, XEN_DOMCTL_scheduler_op, d.id);
	CHECK(!error, "putinfo: error %ld", error);
	op = (struct xen_domctl){.u.scheduler_op = {.sched_id = XEN_SCHEDULER_CREDIT2,
						    .cmd = XEN_DOMCTL_SCHEDOP_getinfo}};
	error = domctl(&op, XEN_DOMCTL_scheduler_op, d.id);
	CHECK(!error && op.u.scheduler_op.u.credit2.weight == 300 &&
		      op.u.scheduler_op.u.credit2.cap == 40,
	      "getinfo: error %ld, weight %u, cap %u", error, op.u.scheduler_op.u.credit2.weight,
	      op.u.scheduler_op.u.credit2.cap);
}

GUEST_TEST(affinity)
{
	uint8_t hard[NODES_BYTES] = {0}, soft[NODES_BYTES] = {0};
	struct xen_domctl op = {.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD |
							XEN_VCPUAFFINITY_SOFT};
	struct xen_domctl_vcpuaffinity *a = &op.u.vcpuaffinity;
	long error;

	a->cpumap_hard.nr_bits = a->cpumap_soft.nr_bits = 8 * NODES_BYTES;
	set_xen_guest_handle(a->cpumap_hard.bitmap, hard);
	set_xen_guest_handle(a->cpumap_soft.bitmap, soft);
	hard[0] = 3;
	soft[0] = 1;
	error = domctl(&op, XEN_DOMCTL_setvcpuaffinity, d.id);
	CHECK(!error, "setvcpuaffinity: error %ld", error);
	VALUE("setvcpuaffinity effective: %#x and %#x", hard[0], soft[0]);
	hard[0] = soft[0] = 0;
	error = domctl(&op, XEN_DOMCTL_getvcpuaffinity, d.id);
	CHECK(!error, "getvcpuaffinity: error %ld", error);
	VALUE("getvcpuaffinity as-set: %#x and %#x", hard[0] & 1, soft[0] & 1);
	hard[0] = 2;
	a->flags = XEN_VCPUAFFINITY_HARD;
	VALUE("setvcpuaffinity absent-cpu: %ld", domctl(&op, XEN_DOMCTL_setvcpuaffinity, d.id));
	op = (struct xen_domctl){.u.nodeaffinity.nodemap.nr_bits = 8 * NODES_BYTES};
	set_xen_guest_handle(op.u.nodeaffinity.nodemap.bitmap, hard);
	hard[0] = 1;
	error = domctl(&op, XEN_DOMCTL_setnodeaffinity, d.id);
	CHECK(!error, "setnodeaffinity: error %ld", error);
	hard[0] = 0;
	error = domctl(&op, XEN_DOMCTL_getnodeaffinity, d.id);
	CHECK(!error, "getnodeaffinity: error %ld", error);
	VALUE("getnodeaffinity node-0: %#x", hard[0] & 1);
	hard[0] = 2;
	VALUE("setnodeaffinity absent: %ld", domctl(&op, XEN_DOMCTL_setnodeaffinity, d.id));
}

/* The pool's size by either call. */
GUEST_TEST(pool)
{
	struct xen_domctl op = {.u.paging_mempool.size = 3 << 20};
	long error = domctl(&op, XEN_DOMCTL_set_paging_mempool_size, d.id);

	CHECK(!error, "set_paging_mempool_size: error %ld", error);
	op = (struct xen_domctl){.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION};
	error = domctl(&op, XEN_DOMCTL_shadow_op, d.id);
	CHECK(!error && op.u.shadow_op.mb == 3, "get_allocation: error %ld, %u MiB", error,
	      op.u.shadow_op.mb);
	op = (struct xen_domctl){
		.u.shadow_op = {.op = XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION, .mb = 4}};
	error = domctl(&op, XEN_DOMCTL_shadow_op, d.id);
	CHECK(!error, "set_allocation: error %ld", error);
	op = (struct xen_domctl){0};
	error = domctl(&op, XEN_DOMCTL_get_paging_mempool_size, d.id);
	CHECK(!error && op.u.paging_mempool.size == 4 << 20,
	      "get_paging_mempool_size: error %ld, %lu bytes", error, op.u.paging_mempool.size);
}

GUEST_TEST(permissions)
{
	struct xen_domctl op = {0};
	long error;

	for (unsigned int allow = 2; allow-- > 0;) {
		op.u.iomem_permission.first_mfn = FAR_MFN;
		op.u.iomem_permission.nr_mfns = 4;
		op.u.iomem_permission.allow_access = (uint8_t)allow;
		error = domctl(&op, XEN_DOMCTL_iomem_permission, d.id);
		CHECK(!error, "iomem_permission %u: error %ld", allow, error);
		op = (struct xen_domctl){0};
		op.u.ioport_permission.first_port = PORT;
		op.u.ioport_permission.nr_ports = 2;
		op.u.ioport_permission.allow_access = (uint8_t)allow;
		error = domctl(&op, XEN_DOMCTL_ioport_permission, d.id);
		CHECK(!error, "ioport_permission %u: error %ld", allow, error);
		op = (struct xen_domctl){0};
	}
	op.u.ioport_permission.first_port = 0xffff;
	op.u.ioport_permission.nr_ports = 2;
	VALUE("ioport_permission beyond: %ld", domctl(&op, XEN_DOMCTL_ioport_permission, d.id));
	op = (struct xen_domctl){0};
	op.u.iomem_permission.first_mfn = ~0ull;
	op.u.iomem_permission.nr_mfns = 2;
	VALUE("iomem_permission beyond: %ld", domctl(&op, XEN_DOMCTL_iomem_permission, d.id));
	/* The end is 2^64. */
	op.u.iomem_permission.nr_mfns = 1;
	VALUE("iomem_permission last: %ld", domctl(&op, XEN_DOMCTL_iomem_permission, d.id));
}

GUEST_TEST(frames)
{
	/* Memory of its own, and what is not there. Who does not tell the kinds says so, and writes none. */
	xen_pfn_t frames[3] = {1, DOMU_CONSOLE_GFN, 0x80000};
	struct xen_domctl op = {.u.getpageframeinfo3.num = 3};
	long error;

	set_xen_guest_handle(op.u.getpageframeinfo3.array, frames);
	error = domctl(&op, XEN_DOMCTL_getpageframeinfo3, d.id);
	CHECK(!error || error == -XEN_ENOSYS, "error %ld", error);
	CHECK(!error == (frames[0] != 1), "error %ld, and frame 1 is %#lx", error, frames[0]);
	VALUE("getpageframeinfo3 kinds: %#lx %#lx %#lx", frames[0], frames[1], frames[2]);
}

/* The vCPU's state by three calls: it is the same. */
GUEST_TEST(contexts)
{
	static vcpu_guest_context_t context;
	static struct hvm_hw_cpu cpu;
	struct xen_domctl op = {0};
	long error;

	op.u.hvmcontext_partial.type = HVM_SAVE_CODE(CPU);
	op.u.hvmcontext_partial.bufsz = sizeof(cpu);
	set_xen_guest_handle(op.u.hvmcontext_partial.buffer, (uint8_t *)&cpu);
	error = domctl(&op, XEN_DOMCTL_gethvmcontext_partial, d.id);
	CHECK(!error, "gethvmcontext_partial: error %ld", error);
	CHECK(cpu.rip && cpu.rbx == DOMU_START_INFO, "RIP %#lx, RBX %#lx", cpu.rip, cpu.rbx);
	op.u.hvmcontext_partial.instance = 9;
	VALUE("gethvmcontext_partial absent: %ld",
	      domctl(&op, XEN_DOMCTL_gethvmcontext_partial, d.id));
	op = (struct xen_domctl){.u.vcpucontext.vcpu = 0};
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &context);
	error = domctl(&op, XEN_DOMCTL_getvcpucontext, d.id);
	CHECK(!error, "getvcpucontext: error %ld", error);
	CHECK(context.user_regs.rip == cpu.rip && context.user_regs.rbx == cpu.rbx,
	      "RIP %#lx, RBX %#lx", context.user_regs.rip, context.user_regs.rbx);
	VALUE("getvcpucontext cr0: %#lx", context.ctrlreg[0]);
}

/* Last: what has never run cannot be suspended, and goes on being what it is. */
GUEST_TEST(end_of_the_domain)
{
	struct xen_domctl_getdomaininfo now;
	struct xen_domctl op = {0};

	VALUE("soft_reset running: %ld", domctl(&op, XEN_DOMCTL_soft_reset, d.id));
	op = (struct xen_domctl){0};
	VALUE("resumedomain not-suspended: %ld", domctl(&op, XEN_DOMCTL_resumedomain, d.id));
	CHECK(!domu_unpause(&d), "cannot be started");
	CHECK(domu_wait_shutdown(&d, LIMIT) == 0, "it does not end");
	CHECK(!domctl(&op, XEN_DOMCTL_pausedomain, d.id), "cannot be paused");
	/* As after a suspension that came to nothing; it would go on behind its shutdown. */
	CHECK(!domctl(&op, XEN_DOMCTL_resumedomain, d.id), "cannot be resumed");
	CHECK(info(&now) && !(now.flags & XEN_DOMINF_shutdown), "its flags are %#x", now.flags);
	CHECK(!domu_destroy(&d), "cannot be destroyed");
}
