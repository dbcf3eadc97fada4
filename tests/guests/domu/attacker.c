// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile guest: random and half-sensible hypercalls, storms of events, registers, ports, device memory, odd instructions,
// modes and page tables. The same seed does the same again; what it may break is itself alone.
//
// Words on the command line: seed=, actions= (how many, then it ends), report= (tells of each so many), witness= (the id of
// another guest), both (the second vCPU makes hypercalls all the time, with the same arguments as the first one).
#include "attack.h"
#include <xen/arch-x86/cpuid.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define ARGUMENTS  5u
#define HEAL_EVERY 16u
#define SELDOM	   512u	   /* one of so many */
#define OWN_FIRST  0x1000u /* frame that the kernel begins at (lib/guest.lds) */

static unsigned int witness;

unsigned int attack_below(unsigned int n)
{
	return (unsigned int)(attack_random() >> 33) % n;
}

void attack_scribble(void *at, uint64_t size)
{
	uint64_t *word = at;

	for (uint64_t i = 0; i < size / 8; i++)
		word[i] = attack_value();
}

static domid_t some_domain(void)
{
	static const domid_t special[] = {DOMID_SELF, DOMID_SELF, DOMID_SELF,	 DOMID_IO,
					  DOMID_XEN,  DOMID_COW,  DOMID_INVALID, DOMID_IDLE};

	switch (attack_below(4)) {
	case 0:
		return (domid_t)witness;
	case 1:
		return (domid_t)attack_below(8);
	default:
		return special[attack_below(sizeof(special) / sizeof(special[0]))];
	}
}

/* Numbers at which something ends, or that mean something somewhere. */
uint64_t attack_value(void)
{
	switch (attack_below(9)) {
	case 0:
		return attack_random();
	case 1:
		return (1ull << attack_below(64)) - attack_below(2);
	case 2:
		return (1ull << attack_below(64)) + attack_below(2);
	case 3:
		return attack_below(64);
	case 4:
		return 0;
	case 5:
		return ~0ull - attack_below(8);
	case 6:
		return some_domain();
	case 7:
		return attack_gfn();
	default:
		return ADDRESS(attack_address());
	}
}

/* A frame: of the playground, of the rest of its memory, behind that, or nowhere. */
uint64_t attack_gfn(void)
{
	uint64_t spare = ADDRESS(guest_end) / PAGE_BYTES + 1, gfn;

	switch (attack_below(8)) {
	case 0:
		gfn = attack_random() >> 12;
		break;
	case 1:
		gfn = attack_below(1u << 20);
		break;
	case 2:
		gfn = 0xfee00 + attack_below(2);
		break;
	case 3:
		gfn = 1ull << attack_below(52);
		break;
	default:
		gfn = spare + attack_below(ATTACK_SPARE);
	}
	/* To lose its own code is the end: seldom. */
	if ((gfn < spare && (gfn >= OWN_FIRST || gfn < 0x20)) && attack_below(1000))
		gfn = spare + attack_below(ATTACK_SPARE);
	return gfn;
}

/* A linear address for an argument: good memory with some content, its last bytes, or none at all. */
void *attack_address(void)
{
	/* The last one takes what goes beyond the others. */
	static uint8_t buffers[5][2 * PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
	uint8_t *buffer = buffers[attack_below(4)];

	switch (attack_below(12)) {
	case 0:
		return (void *)(uintptr_t)attack_random();
	case 1:
		return (void *)0x7ead00000000;
	case 2:
		return (void *)(uintptr_t)(0xffff800000000000ull + attack_below(1u << 30));
	case 3: /* the first page of the window that attack_tables() fills with oddities */
		return (void *)(uintptr_t)(ATTACK_WINDOW + attack_below(1u << 30));
	case 4:
		return buffer + 2 * PAGE_BYTES - attack_below(64);
	case 5:
		return buffer + attack_below(2 * PAGE_BYTES);
	default:
		return buffer;
	}
}

static bool ends_or_waits(uint32_t op)
{
	return op == SCHEDOP_block || op == SCHEDOP_shutdown || op == SCHEDOP_poll ||
	       op == SCHEDOP_watchdog;
}

static void any_hypercall(void)
{
	static const uint8_t real[] = {7,  12, 13, 15, 17, 18, 20, 21, 24, 27, 29, 32,
				       33, 34, 35, 36, 39, 40, 41, 42, 12, 20, 32, 34};
	uint64_t args[ARGUMENTS];
	unsigned int number = attack_below(8) ? real[attack_below(sizeof(real))] : attack_below(64);

	for (unsigned int i = 0; i < ARGUMENTS; i++)
		args[i] = attack_value();
	if (attack_below(4))
		args[0] = attack_below(32);
	if (attack_below(2))
		args[1] = ADDRESS(attack_address());
	/*
	 * Long lists and long texts take long, without anything new behind their first part, and results of lists are
	 * written over the kernel behind the buffers.
	 */
	if (number == __HYPERVISOR_multicall && attack_below(SELDOM))
		args[1] &= 63;
	if (number == __HYPERVISOR_grant_table_op && attack_below(SELDOM))
		args[2] &= 63;
	if (number == __HYPERVISOR_console_io && attack_below(SELDOM))
		args[1] &= 255;
	/* These end the run, or wait for nothing: once in a while only. */
	if (number == __HYPERVISOR_sched_op && attack_below(SELDOM) &&
	    ends_or_waits((uint32_t)args[0]))
		args[0] = SCHEDOP_yield;
	if (number == __HYPERVISOR_vcpu_op && (uint32_t)args[0] == VCPUOP_down &&
	    attack_below(SELDOM))
		args[0] = VCPUOP_is_up;
	hypercall5(number, args[0], args[1], args[2], args[3], args[4]);
}

/* An argument of the right size for one call; its members are half right. */
static void memory_call(void)
{
	static const uint8_t ops[] = {XENMEM_decrease_reservation, XENMEM_populate_physmap,
				      XENMEM_add_to_physmap,	   XENMEM_add_to_physmap_batch,
				      XENMEM_remove_from_physmap,  XENMEM_populate_physmap,
				      XENMEM_increase_reservation, XENMEM_acquire_resource};
	static xen_pfn_t list[64], other[64];
	static int errors[64];
	union {
		struct xen_memory_reservation reservation;
		struct xen_add_to_physmap add;
		struct xen_add_to_physmap_batch batch;
		struct xen_remove_from_physmap remove;
		struct xen_mem_acquire_resource resource;
	} u;
	unsigned int op = ops[attack_below(sizeof(ops))];

	for (unsigned int i = 0; i < 64; i++) {
		list[i] = attack_gfn();
		other[i] = attack_gfn();
	}
	attack_scribble(&u, sizeof(u));
	switch (op) {
	case XENMEM_add_to_physmap:
		u.add = (struct xen_add_to_physmap){.domid = some_domain(),
						    .size = (uint16_t)attack_below(40),
						    .space = attack_below(7),
						    .idx = attack_below(2) ? attack_below(40)
									   : attack_gfn(),
						    .gpfn = attack_gfn()};
		break;
	case XENMEM_add_to_physmap_batch:
		u.batch.domid = some_domain();
		u.batch.space = (uint16_t)attack_below(7);
		u.batch.size = (uint16_t)attack_below(64);
		u.batch.u.foreign_domid = some_domain();
		set_xen_guest_handle(u.batch.idxs, list);
		set_xen_guest_handle(u.batch.gpfns, other);
		set_xen_guest_handle(u.batch.errs, errors);
		break;
	case XENMEM_remove_from_physmap:
		u.remove = (struct xen_remove_from_physmap){.domid = some_domain(),
							    .gpfn = attack_gfn()};
		break;
	case XENMEM_acquire_resource:
		u.resource.domid = some_domain();
		u.resource.type = (uint16_t)attack_below(4);
		u.resource.pad = 0;
		set_xen_guest_handle(u.resource.frame_list, list);
		break;
	default:
		u.reservation.domid = attack_below(4) ? DOMID_SELF : some_domain();
		u.reservation.extent_order = attack_below(8) ? 0 : attack_below(32);
		u.reservation.nr_extents = attack_below(8) ? attack_below(64) : attack_value();
		u.reservation.mem_flags = attack_below(4) ? 0 : (unsigned int)attack_value();
		set_xen_guest_handle(u.reservation.extent_start, list);
	}
	hypercall2(__HYPERVISOR_memory_op, op | (attack_below(16) ? 0 : attack_value() << 6),
		   ADDRESS(&u));
}

static void grant_call(void)
{
	static struct grant_entry_v1 table[512] __attribute__((aligned(PAGE_BYTES)));
	static bool mapped;
	static union {
		struct gnttab_map_grant_ref map[8];
		struct gnttab_unmap_grant_ref unmap[8];
		struct gnttab_copy copy[8];
		struct gnttab_swap_grant_ref swap[8];
	} u;
	struct xen_add_to_physmap add = {.domid = DOMID_SELF,
					 .space = XENMAPSPACE_grant_table,
					 .gpfn = ADDRESS(table) / PAGE_BYTES};
	unsigned int op = attack_below(13), n = attack_below(9);

	if (!mapped)
		mapped = !hypercall2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, ADDRESS(&add));
	for (unsigned int i = 0; mapped && i < 4; i++)
		table[attack_below(64)] = (struct grant_entry_v1){.flags = (uint16_t)attack_below(
									  32),
								  .domid = some_domain(),
								  .frame = (uint32_t)attack_gfn()};
	attack_scribble(&u, sizeof(u));
	for (unsigned int i = 0; i < 8; i++) {
		switch (op) {
		case GNTTABOP_map_grant_ref:
			u.map[i].host_addr = attack_gfn() * PAGE_BYTES;
			u.map[i].flags = attack_below(4) ? GNTMAP_host_map : attack_below(64);
			u.map[i].ref = attack_below(80);
			u.map[i].dom = some_domain();
			break;
		case GNTTABOP_unmap_grant_ref:
			u.unmap[i].host_addr = attack_gfn() * PAGE_BYTES;
			u.unmap[i].handle = attack_below(64);
			break;
		case GNTTABOP_copy:
			u.copy[i].flags = (uint16_t)attack_below(4);
			u.copy[i].source.domid = some_domain();
			u.copy[i].dest.domid = some_domain();
			u.copy[i].source.u.gmfn = attack_gfn();
			u.copy[i].dest.u.gmfn = attack_gfn();
			u.copy[i].source.offset &= 0xfff;
			u.copy[i].dest.offset &= 0xfff;
			u.copy[i].len &= 0x7ff;
			break;
		default:
			break;
		}
	}
	hypercall3(__HYPERVISOR_grant_table_op, op, ADDRESS(&u), n);
}

/* Ports of every kind, and many events; in the FIFO layout the queues are scribbled over. */
static void event_call(void)
{
	static uint8_t control[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
	static uint32_t array[PAGE_BYTES / 4] __attribute__((aligned(PAGE_BYTES)));
	union {
		uint64_t words[4];
		struct evtchn_alloc_unbound alloc;
		struct evtchn_bind_interdomain bind;
		struct evtchn_send send;
		struct evtchn_init_control init;
		struct evtchn_expand_array expand;
	} u;
	unsigned int op = attack_below(16), repeat = attack_below(32) ? 1 : 300;

	attack_scribble(&u, sizeof(u));
	switch (op) {
	case EVTCHNOP_alloc_unbound:
		u.alloc = (struct evtchn_alloc_unbound){.dom = DOMID_SELF,
							.remote_dom = some_domain()};
		break;
	case EVTCHNOP_bind_interdomain:
		u.bind = (struct evtchn_bind_interdomain){.remote_dom = some_domain(),
							  .remote_port = attack_below(64)};
		break;
	case EVTCHNOP_init_control:
		u.init = (struct evtchn_init_control){.control_gfn = ADDRESS(control) / PAGE_BYTES,
						      .offset = attack_below(PAGE_BYTES) & ~7u};
		break;
	case EVTCHNOP_expand_array:
		u.expand.array_gfn = attack_below(2) ? ADDRESS(array) / PAGE_BYTES : attack_gfn();
		break;
	case EVTCHNOP_reset:
		if (attack_below(8))
			return;
		break;
	default:
		((uint32_t *)&u)[attack_below(2)] = attack_below(64);
	}
	while (repeat--)
		event_op(op, &u);
	attack_scribble(control + 8 * attack_below(500), 64);
	for (unsigned int i = 0; i < 8; i++)
		array[attack_below(64)] = (uint32_t)attack_value();
}

/* Timers, areas that the hypervisor writes to, other vCPUs, parameters. */
static void vcpu_call(void)
{
	static uint8_t areas[2][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
	uint64_t u[16];
	unsigned int op = attack_below(14);

	attack_scribble(u, sizeof(u));
	switch (op) {
	case VCPUOP_down:
		return;
	case VCPUOP_register_runstate_memory_area:
	case VCPUOP_register_vcpu_time_memory_area:
		u[0] = attack_below(2) ? ADDRESS(areas[0]) + attack_below(PAGE_BYTES)
				       : ADDRESS(attack_address());
		break;
	case VCPUOP_register_vcpu_info:
		u[0] = attack_gfn();
		u[1] = attack_below(PAGE_BYTES);
		break;
	case VCPUOP_set_singleshot_timer:
		u[0] = time_now() + (attack_below(2) ? attack_below(100000) : attack_value());
		break;
	case VCPUOP_set_periodic_timer:
		u[0] = attack_below(2) ? 1000000 : attack_value();
		break;
	default:
		break;
	}
	hypercall3(__HYPERVISOR_vcpu_op, op, attack_below(8) ? 0 : attack_below(4), ADDRESS(u));
	if (!attack_below(4)) {
		struct xen_hvm_param param = {.domid = some_domain(),
					      .index = attack_below(48),
					      .value = attack_value()};

		/* The console stays: it is how the end is told. A senseless state segment is the end. */
		if (param.index != HVM_PARAM_CONSOLE_PFN &&
		    param.index != HVM_PARAM_CONSOLE_EVTCHN &&
		    ((param.index != HVM_PARAM_VM86_TSS &&
		      param.index != HVM_PARAM_VM86_TSS_SIZED) ||
		     !attack_below(200)))
			hypercall2(__HYPERVISOR_hvm_op, attack_below(2), ADDRESS(&param));
	}
}

/* Lists of calls, which may be long. */
static void multicall(void)
{
	static struct multicall_entry calls[64];
	unsigned int n = attack_below(64);

	for (unsigned int i = 0; i < n; i++) {
		static const uint8_t harmless[] = {12, 17, 20, 32, 13, 34, 24, 40};

		attack_scribble(&calls[i], sizeof(calls[i]));
		calls[i].op = harmless[attack_below(sizeof(harmless))];
		calls[i].args[0] = calls[i].op == __HYPERVISOR_vcpu_op ? 3 : attack_below(16);
		calls[i].args[1] = ADDRESS(attack_address());
		/* A list of grants that goes beyond the buffers is written over what is behind them. */
		calls[i].args[2] &= 63;
	}
	hypercall2(__HYPERVISOR_multicall, ADDRESS(calls), n);
}

/* Words that the hypervisor reads and writes, too. */
static void shared_page(void)
{
	struct shared_info *info = event_shared_info;

	info->evtchn_pending[attack_below(16)] = attack_value();
	info->evtchn_mask[attack_below(16)] = attack_value();
	info->vcpu_info[attack_below(32)].evtchn_pending_sel = attack_value();
	info->vcpu_info[attack_below(32)].evtchn_upcall_pending = (uint8_t)attack_value();
}

static int append(char *line, size_t size, int used, const char *format, ...) PRINTF_LIKE(4, 5);
static int append(char *line, size_t size, int used, const char *format, ...)
{
	__builtin_va_list args;

	__builtin_va_start(args, format);
	used += guest_format(line + used, size - (size_t)used, format, args);
	__builtin_va_end(args);
	return used;
}

static uint32_t own_id(void)
{
	uint32_t regs[4];

	cpuid(guest_xen_leaf + 4, 0, regs);
	return regs[0] & XEN_HVM_CPUID_DOMID_PRESENT ? regs[2] : 0;
}

/* Lets interrupts in for a moment. */
static void interrupts(void)
{
	sti();
	cpu_pause();
	cli();
}

static const char *const names[ATTACK_CLASSES] = {ATTACK_NAMES};
static const struct {
	void (*act)(void);
	unsigned int weight;
} classes[ATTACK_CLASSES] = {
	{any_hypercall, 24},
	{memory_call, 10},
	{grant_call, 12},
	{event_call, 12},
	{vcpu_call, 6},
	{multicall, 3},
	{shared_page, 3},
	{interrupts, 3},
	{attack_msr, 8},
	{attack_port, 6},
	{attack_device_memory, 6},
	{attack_instruction, 5},
	{attack_mode, 3},
	{attack_control_register, 3},
	{attack_tables, 4},
};

static uint64_t done[ATTACK_CLASSES], total, second_done, last_faults;
static unsigned int pick;

/* Where dom0 looks while it lasts: it may be the last one. */
static void tell_mailbox(void)
{
	volatile uint64_t *words = domu_mailbox()->to_dom0;

	words[ATTACK_WORD_TOTAL] = total;
	words[ATTACK_WORD_CLASS] = pick;
	for (unsigned int i = 0; i < ATTACK_CLASSES; i++)
		words[ATTACK_WORD_DONE + i] = done[i];
}

static void choose(void)
{
	unsigned int weights = 0;

	for (unsigned int i = 0; i < ATTACK_CLASSES; i++)
		weights += classes[i].weight;
	weights = attack_below(weights);
	for (pick = 0; weights >= classes[pick].weight; pick++)
		weights -= classes[pick].weight;
}

/* What the second vCPU does: calls only, whose arguments the first one is writing, or the other way round. */
static void second(void)
{
	static void (*const acts[])(void) = {any_hypercall, memory_call, grant_call, event_call,
					     vcpu_call,	    multicall,	 shared_page};

	second_done++;
	acts[attack_below(sizeof(acts) / sizeof(acts[0]))]();
}

static void tell_console(void)
{
	char line[320];
	int used = 0;

	for (unsigned int i = 0; i < ATTACK_CLASSES; i++)
		used = append(line, sizeof(line), used, " %s %lu", names[i], done[i]);
	guest_print("ATTACKS %lu faults %lu second %lu%s", total, attack_faults, second_done, line);
}

GUEST_TEST(attack)
{
	uint64_t seed = domu_number("seed", 1), n = domu_number("actions", 1000);
	uint64_t report = domu_number("report", n);

	witness = (unsigned int)domu_number("witness", 0);
	/* Its own id is part of it: one that is built anew does something else. */
	seed = seed << 16 | own_id();
	attack_seed(seed);
	attack_init();
	CHECK(!domu_has_word("both") || attack_second(second, ~seed), "no second vCPU");
	while (total < n) {
		choose();
		total++;
		done[pick]++;
		attack_guarded(tell_mailbox);
		attack_guarded(classes[pick].act);
		if (attack_faults != last_faults || total % HEAL_EVERY == 0)
			attack_heal();
		last_faults = attack_faults;
		if (total % report == 0)
			attack_guarded(tell_console);
	}
}
