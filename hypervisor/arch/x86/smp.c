/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bringing up the other CPUs, and calls across CPUs. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/cpu_start.h>
#include <arch/cpufeature.h>
#include <arch/machine.h>
#include <arch/machine_check.h>
#include <arch/paging.h>
#include <arch/paging_init.h>
#include <arch/platform.h>
#include <arch/smp.h>
#include <arch/time.h>
#include <arch/traps.h>
#include <arch/tsc_sync.h>
#include <arch/vendor.h>
#include <bulkhead/cmdline.h>
#include <bulkhead/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/init.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/sched.h>
#include <bulkhead/string.h>
#include <bulkhead/time.h>
#include <bulkhead/timer.h>
#include <bulkhead/work.h>

#define STACK_PAGES	 4
#define IST_PAGES	 2
#define MSR_GS_BASE	 0xc0000101
#define START_TIMEOUT_MS 500
#define SYNC_TIMEOUT_MS	 10000

extern const char trampoline_start[], trampoline_end[], trampoline_args[];

struct cpu *cpu_table[MAX_CPUS];
cpumask_t cpu_online;
unsigned cpu_count;

static unsigned opt_maxcpus __initdata = MAX_CPUS;
CMDLINE_UINT("maxcpus", opt_maxcpus);

static struct cpu boot_cpu __aligned(64);
static uint32_t acpi_uid[MAX_CPUS];
static bool go; /* the CPUs may enter their main loops */

int cpu_prepare(struct cpu *c, unsigned id, uint32_t apic_id)
{
	c->self = c;
	c->id = id;
	c->arch.apic_id = apic_id;
	c->arch.stack_top = stack_alloc(STACK_PAGES);
	if (!c->arch.stack_top || paging_cpu_init(c))
		return -ENOMEM;
	for (unsigned i = IST_DF; i <= IST_DB; i++) {
		void *top = stack_alloc(IST_PAGES);

		if (!top)
			return -ENOMEM;
		c->arch.tss.ist[i - 1] = (uintptr_t)top;
	}
	c->arch.tss.rsp[0] = (uintptr_t)c->arch.stack_top;
	cpu_table[id] = c;
	return 0;
}

struct cpu *cpu_boot_early(void)
{
	boot_cpu.self = &boot_cpu;
	cpu_table[0] = &boot_cpu;
	cpu_count = 1;
	wrmsr(MSR_GS_BASE, (uintptr_t)&boot_cpu);
	cpumask_set(&cpu_online, 0);
	return &boot_cpu;
}

/* First C code of another CPU: on its own stack, on the trampoline's root table. */
static void __noreturn secondary_start(struct cpu *c)
{
	/* Too late: it is nobody's, and what it would set up may be in use by another one. */
	if (!cpu_start_come()) {
		for (;;)
			__asm__ volatile("cli; hlt");
	}
	wrmsr(MSR_GS_BASE, (uintptr_t)c);
	write_cr3(paddr_raw(heap_paddr(c->arch.root)));
	traps_cpu_load();
	machine_check_prepare();
	cpu_enable_features();
	apic_cpu_init();
	if (apic_id_self() != c->arch.apic_id)
		panic("CPU %u: local APIC id %u, expected %u", c->id, apic_id_self(),
		      c->arch.apic_id);
	if (vendor->cpu_up())
		panic("CPU %u does not offer %s as the others do", c->id, vendor->name);
	cpumask_set(&cpu_online, c->id);
	tsc_sync_answer();
	/* Building dom0 takes a while. Its devices' interrupts have to wait, only a kick gets through. */
	apic_block_devices(true);
	arch_irq_disable();
	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE)) {
		arch_cpu_idle();
		arch_irq_disable();
	}
	/* Tables that were made read-only meanwhile. */
	tlb_flush_local_all();
	apic_block_devices(false);
	arch_irq_enable();
	cpu_loop();
}

/* INIT, start-up, start-up (SDM vol. 3A 9.4.4). */
static bool wake_cpu(uint32_t apic_id, uint64_t page)
{
	cpu_start_expect();
	apic_ipi(apic_id, APIC_ICR_INIT | APIC_ICR_LEVEL | APIC_ICR_ASSERT);
	time_delay_us(10000);
	for (unsigned i = 0; i < 2; i++) {
		apic_ipi(apic_id,
			 APIC_ICR_STARTUP | APIC_ICR_ASSERT | (uint32_t)(page >> PAGE_SHIFT));
		for (unsigned us = 0; us < (i ? START_TIMEOUT_MS * 1000 : 1000); us += 50) {
			if (cpu_start_has_come())
				return true;
			time_delay_us(50);
		}
	}
	return !cpu_start_give_up();
}

/*
 * Firmware should have all TSCs start at once, and they should run alike. A distance is made up for; but as it is known to some
 * ticks only, guests are told that they have to look after an order of times across CPUs themselves.
 */
static bool clocks_differ __initdata;

static void __init compare_tsc(struct cpu *c)
{
	struct tsc_bounds bounds;
	int64_t shift;

	if (!tsc_sync_measure(&bounds, tsc_khz * SYNC_TIMEOUT_MS))
		panic("CPU %u has stopped as soon as it had started", c->id);
	switch (tsc_bounds_judge(&bounds, &shift)) {
	case TSC_SAME:
		break;
	case TSC_SHIFTED:
		clocks_differ = true;
		c->arch.tsc_adjust = -(uint64_t)shift;
		log_warn(
			"clock: the TSC of CPU %u is %ld ticks from the boot CPU's, which is made up for\n",
			c->id, shift);
		break;
	default:
		clocks_differ = true;
		log_warn(
			"clock: the TSC of CPU %u does not run as the boot CPU's does: times of guests may go wrong; maxcpus=%u "
			"leaves it out\n",
			c->id, c->id);
	}
	tsc_sync_done();
}

/* A page of RAM below 1 MiB for the trampoline; that RAM is never given to the allocator. */
static uint64_t low_page(void)
{
	for (unsigned i = 0; i < machine_map.nr; i++) {
		const struct memmap_region *r = &machine_map.r[i];
		uint64_t end = MIN(r->end, 0x9f000UL);

		/* Page 0 holds the real-mode vectors; take the topmost page of what is left. */
		if (r->type == MEMMAP_RAM && r->start < end && end >= 0x2000)
			return ALIGN_DOWN(end - PAGE_SIZE, PAGE_SIZE);
	}
	return 0;
}

static bool __init start_one(uint32_t apic_id, uint64_t page, uint64_t root)
{
	uint64_t args[4];
	struct cpu *c = heap_alloc(sizeof(*c));
	char *copy;
	bool ok;

	if (!c || cpu_prepare(c, cpu_count, apic_id) || timer_cpu_init(cpu_count) ||
	    work_cpu_init(cpu_count) || sched_cpu_init(cpu_count)) {
		log_err("CPU with APIC id %u: no memory for its data\n", apic_id);
		cpu_table[cpu_count] = NULL;
		return false;
	}
	args[0] = root;
	args[1] = (uintptr_t)secondary_start;
	args[2] = (uintptr_t)c->arch.stack_top;
	args[3] = (uintptr_t)c;
	copy = window_map(paddr_to_mfn(paddr_from(page)));
	memcpy(copy, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	memcpy(copy + (trampoline_args - trampoline_start), args, sizeof(args));
	window_unmap(copy);
	cpu_count++;
	ok = wake_cpu(apic_id, page);
	if (!ok) {
		log_err("CPU with APIC id %u did not start: it and those behind it in the table stay out\n",
			apic_id);
		cpu_count--;
		cpu_table[cpu_count] = NULL;
	} else {
		compare_tsc(c);
	}
	return ok;
}

void __init smp_start_all(const struct acpi_madt *madt)
{
	uint64_t page = low_page(), root = page ? paging_trampoline_root(page) : 0;
	unsigned absent = 0;

	for (unsigned i = 0; i < madt->nr_cpus; i++) {
		uint32_t id = madt->cpus[i].apic_id;

		if (id == apic_id_self())
			acpi_uid[0] = madt->cpus[i].uid;
		if (!madt->cpus[i].enabled || id == apic_id_self())
			continue;
		if (cpu_count >= MIN(opt_maxcpus, (unsigned)MAX_CPUS) || (!apic_x2 && id > 254)) {
			absent++;
			continue;
		}
		if (!root) {
			log_err("SMP: no page below 1 MiB or no memory for the start of CPUs; one CPU is used\n");
			break;
		}
		acpi_uid[cpu_count] = madt->cpus[i].uid;
		if (!start_one(id, page, root))
			break;
	}
	if (absent)
		log_info("SMP: %u CPUs are left unused (maxcpus or APIC ids)\n", absent);
	if (clocks_differ)
		tsc_reliable = false;
	log_info("SMP: %u CPU%s online%s\n", cpu_count, cpu_count == 1 ? "" : "s",
		 cpu_count > 1 && !clocks_differ ? ", and their clocks agree" : "");
}

void smp_release(void)
{
	__atomic_store_n(&go, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < cpu_count; i++)
		arch_cpu_kick(i);
}

/* ---- Calls across CPUs ---- */

static spinlock_t call_lock = SPINLOCK_INIT;
static void (*call_fn)(void *arg);
static void *call_arg;
static unsigned call_left;

void cpu_call_interrupt(void)
{
	struct cpu *c = this_cpu();

	if (!__atomic_exchange_n(&c->arch.call_pending, 0, __ATOMIC_ACQ_REL))
		return;
	call_fn(call_arg);
	__atomic_fetch_sub(&call_left, 1, __ATOMIC_RELEASE);
}

void cpu_call_all(void (*fn)(void *arg), void *arg)
{
	BUG_ON(!arch_irqs_enabled() && cpu_count > 1 && go);
	/* Whoever waits for the lock goes on answering calls, as its interrupts are on. */
	spin_lock(&call_lock);
	if (go && cpu_count > 1) {
		call_fn = fn;
		call_arg = arg;
		__atomic_store_n(&call_left, cpu_count - 1, __ATOMIC_SEQ_CST);
		for (unsigned i = 0; i < cpu_count; i++) {
			if (i == cpu_id())
				continue;
			__atomic_store_n(&cpu_table[i]->arch.call_pending, 1, __ATOMIC_SEQ_CST);
			apic_send_vector(i, VECTOR_CALL);
		}
	}
	fn(arg);
	while (__atomic_load_n(&call_left, __ATOMIC_ACQUIRE))
		arch_cpu_relax();
	spin_unlock(&call_lock);
}

void arch_cpu_kick(unsigned cpu)
{
	if (cpu != cpu_id())
		apic_send_vector(cpu, VECTOR_KICK);
}
uint32_t arch_cpu_acpi_uid(unsigned cpu)
{
	return acpi_uid[cpu];
}
