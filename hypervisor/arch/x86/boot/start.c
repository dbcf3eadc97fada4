/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Boot of the hypervisor on the boot CPU, in one visible order. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/dom0.h>
#include <arch/ioapic.h>
#include <arch/machine.h>
#include <arch/machine_check.h>
#include <arch/mtrr.h>
#include <arch/multiboot2.h>
#include <arch/paging.h>
#include <arch/paging_init.h>
#include <arch/smp.h>
#include <arch/thunks.h>
#include <arch/time.h>
#include <arch/traps.h>
#include <arch/vendor.h>
#include <arch/video.h>
#include <bulkhead/cmdline.h>
#include <bulkhead/console.h>
#include <bulkhead/cpu.h>
#include <bulkhead/domain.h>
#include <bulkhead/errno.h>
#include <bulkhead/init.h>
#include <bulkhead/iommu.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/mm_init.h>
#include <bulkhead/pci.h>
#include <bulkhead/sched.h>
#include <bulkhead/serial.h>
#include <bulkhead/string.h>
#include <bulkhead/timer.h>
#include <bulkhead/work.h>

#define CPUID_RDRAND BIT32(30) /* leaf 1 ECX */
#define RDRAND_TRIES 10

#define VERSION_LINE "Bulkhead hypervisor, Xen ABI 4.17-bulkhead\n"

struct mb2_info boot_info __initdata;
struct memmap machine_map;
const char *hypervisor_cmdline = "";
uintptr_t __stack_chk_guard __ro_after_init;

static char saved_cmdline[MB2_MAX_CMDLINE];
static struct memmap free_map __initdata; /* RAM that nobody uses yet */
static struct acpi_madt madt __initdata;

void __stack_chk_fail(void);
void boot_main(uint32_t magic, uint64_t info_paddr, uint64_t load_base) __noreturn;
static void boot_continue(void) __noreturn;

void __stack_chk_fail(void)
{
	panic("stack overrun in the caller of %016lx", (uintptr_t)__builtin_return_address(0));
}

/* ---- Command line ---- */

static int parse_loglvl(const char *value)
{
	return log_level_parse(value, &log_threshold);
}
CMDLINE_CUSTOM("loglvl", parse_loglvl);

static int parse_guest_loglvl(const char *value)
{
	return log_level_parse(value, &log_guest_threshold);
}
CMDLINE_CUSTOM("guest_loglvl", parse_guest_loglvl);

static char opt_console[64] __initdata = "com1,vga";
CMDLINE_STRING("console", opt_console);

static int parse_sched(const char *value)
{
	return sched_set_policy(value) ? -EINVAL : 0;
}
CMDLINE_CUSTOM("sched", parse_sched);

/*
 * Memory that the firmware left: cleaned when it is allocated ("yes", the default), by idle CPUs ("idle"), or taken for clean
 * ("no"). What a domain gives back is always cleaned.
 */
static bool scrub_idle __initdata;

static int parse_bootscrub(const char *value)
{
	bool on;

	if (!strcmp(value, "idle")) {
		scrub_idle = true;
		return 0;
	}
	if (cmdline_parse_bool(value, &on))
		return -EINVAL;
	frames_boot_dirty = on;
	return 0;
}
CMDLINE_CUSTOM("bootscrub", parse_bootscrub);

static void __init report_word(void *ctx, enum cmdline_problem problem, const char *word)
{
	(void)ctx;
	switch (problem) {
	case CMDLINE_UNKNOWN:
		log_warn("command line: unknown parameter \"%s\" has no effect\n", word);
		break;
	case CMDLINE_BAD_VALUE:
		log_warn("command line: \"%s\" has a value that makes no sense; it has no effect\n",
			 word);
		break;
	default:
		log_warn("command line: a word is too long: \"%.40s...\"\n", word);
	}
}

static void __init start_consoles(void)
{
	const char *list = opt_console;
	char item[32];

	while (cmdline_next_item(&list, item, sizeof(item)) == 1) {
		if (!strcmp(item, "com1"))
			serial_init(0);
		else if (!strcmp(item, "com2"))
			serial_init(1);
		else if (!strcmp(item, "vga"))
			video_console_init();
		else if (strcmp(item, "none"))
			log_warn(
				"console: \"%s\" is not known; there are com1, com2, vga and none\n",
				item);
	}
}

/* ---- Memory ---- */

static void __init exclude(uint64_t start, uint64_t end)
{
	static struct memmap raw __initdata, out __initdata;

	raw = free_map;
	start = ALIGN_DOWN(start, PAGE_SIZE);
	end = ALIGN_UP(end, PAGE_SIZE);
	if (memmap_add(&raw, start, end - start, MEMMAP_UNUSABLE) || memmap_sanitize(&raw, &out))
		panic("the memory map has too many regions");
	free_map = out;
}

static void __init read_boot_info(uint64_t info_paddr)
{
	const char *why;
	uint32_t size;

	/* The boot loader's identity map reaches 4 GiB. */
	if (mb2_info_size((const void *)info_paddr, &size, &why) ||
	    mb2_info_init(&boot_info, (const void *)info_paddr, size, &why)) {
		serial_init(0);
		panic("boot information: %s", why);
	}
	snprintf(saved_cmdline, sizeof(saved_cmdline), "%s",
		 mb2_arguments(boot_info.loader_name, boot_info.cmdline));
	hypervisor_cmdline = saved_cmdline;
	machine_map = boot_info.map;
}

static void __init init_memory(uint64_t load_base)
{
	uint64_t limit = MIN(1UL << MIN(cpu_info.phys_bits, 52U), RAM_LIMIT),
		 cut = memmap_limit_ram(&machine_map, limit);

	if (cut)
		log_warn(
			"memory: %lu MiB above 0x%lx stay unused: beyond the CPU's addresses or the frame table\n",
			cut >> 20, limit);
	free_map = machine_map;
	exclude(load_base, load_base + (uint64_t)(image_end - image_start));
	for (unsigned i = 0; i < boot_info.nr_modules; i++)
		exclude(boot_info.modules[i].start, boot_info.modules[i].end);
	paging_init_root(&free_map, load_base);
	paging_init_frames(&machine_map, &free_map);
	video_console_remap();
	for (unsigned i = 0; i < machine_map.nr; i++)
		log_debug("memory: %016lx-%016lx %s\n", machine_map.r[i].start,
			  machine_map.r[i].end, memmap_type_name(machine_map.r[i].type));
	log_info("memory: %lu MiB, %lu MiB free\n", frames_total() >> 8, frames_free_count() >> 8);
}

/* ---- Firmware tables ---- */

static const void *__init map_table(void *ctx, uint64_t paddr, uint32_t len)
{
	(void)ctx;
	return table_map(paddr, len);
}

static void __init init_acpi(void)
{
	static const struct acpi_mapper mapper = {map_table, NULL};
	const struct acpi_table *t;
	const char *why = "the boot loader gave no RSDP";

	if (!boot_info.rsdp_size ||
	    acpi_init(&acpi_tables, boot_info.rsdp, boot_info.rsdp_size, &mapper, &why))
		panic("ACPI: %s", why);
	why = "the firmware lists none";
	if (acpi_find(&acpi_tables, "APIC", 0, &t, &why) || acpi_parse_madt(t, &madt, &why))
		panic("ACPI: no usable MADT: %s", why);
	if (!acpi_find(&acpi_tables, "FACP", 0, &t, &why) &&
	    !acpi_parse_fadt(t, &acpi_fadt_info, &why)) {
		acpi_have_fadt = true;
		acpi_have_s5 = !acpi_find_s5(&acpi_tables, &acpi_fadt_info, &acpi_s5, &why);
	}
	if (!acpi_have_s5)
		log_warn("ACPI: no soft-off state was found; power-off may need the button\n");
}

static void __init init_ecam(void)
{
	static struct acpi_mcfg mcfg __initdata;
	const struct acpi_table *t;
	const char *why = NULL;

	if (acpi_find(&acpi_tables, "MCFG", 0, &t, &why) || acpi_parse_mcfg(t, &mcfg, &why)) {
		if (why)
			log_warn(
				"PCI: no ECAM windows, and so no extended configuration space: %s\n",
				why);
		return;
	}
	for (unsigned i = 0; i < mcfg.nr; i++) {
		const struct acpi_mcfg_window *w = &mcfg.windows[i];

		if (pci_ecam_add(w->paddr, w->segment, w->start_bus, w->end_bus))
			log_warn("PCI: ECAM window at 0x%lx is not used\n", w->paddr);
	}
}

/* ---- Machine ---- */

static void __init choose_vendor(void)
{
	static const struct vendor_ops *const kinds[] = {&svm_ops, &vmx_ops};
	const char *why;
	int err = -ENODEV;

	for (unsigned i = 0; i < ARRAY_SIZE(kinds) && err == -ENODEV; i++) {
		vendor = kinds[i];
		err = vendor->probe(&why);
	}
	if (err == -ENODEV)
		panic("this CPU does not offer hardware virtualisation (SVM); look for a firmware setting");
	if (err)
		panic("%s", why);
	if (vendor->cpu_up())
		panic("%s is switched off by the firmware: enable virtualisation there",
		      vendor->name);
}

static uint64_t image_paddr_of(const char *va)
{
	return image_paddr() + (uint64_t)(va - image_start);
}

static void __init init_iommu(void)
{
	int err = pci_scan();

	if (err)
		panic("PCI: the scan failed: error %d", err);
	/* In three parts, as the one in the middle becomes free memory in the end. */
	if (iommu_protect(image_paddr(), image_paddr_of(init_start)) ||
	    iommu_protect(image_paddr_of(init_start), image_paddr_of(init_end)) ||
	    iommu_protect(image_paddr_of(init_end), image_paddr_of(image_end)))
		panic("no memory to protect the hypervisor's image");
	err = iommu_init();
	if (err == -ENODEV)
		panic("no IOMMU (VT-d or AMD-Vi): dom0's devices could reach all memory. Enable it in the firmware, or add "
		      "one to the emulated machine");
	if (err)
		panic("the IOMMU cannot be used: error %d", err);
}

static void __init init_cpu0(struct cpu *c)
{
	cpu_detect();
	machine_check_prepare();
	cpu_enable_features();
	tlb_flush_local_all(); /* memory types have changed */
	if (cpu_prepare(c, 0, 0))
		panic("no memory for the boot CPU's tables");
	traps_cpu_load();
	thunks_init();
	cpu_report();
}

/*
 * Random number of the CPU where it has one, and the time since power-on. The lowest byte is zero: a string that runs over
 * its end cannot write it, and one that is read beyond its end stops at it.
 */
static uintptr_t __init stack_guard(void)
{
	uint64_t v = rdtsc(), random = 0;
	uint32_t r[4];
	bool ok = false;

	cpuid_count(1, 0, r);
	for (unsigned i = 0; (r[2] & CPUID_RDRAND) && !ok && i < RDRAND_TRIES; i++)
		__asm__ volatile("rdrand %0" : "=r"(random), "=@ccc"(ok));
	v = (v ^ random) *
	    0x9e3779b97f4a7c15; /* spreads the few bits that differ from boot to boot */
	v ^= v >> 32;
	return v & ~0xffUL;
}

void boot_main(uint32_t magic, uint64_t info_paddr, uint64_t load_base)
{
	struct cpu *c = cpu_boot_early();

	/* No function that has a guard returns across this. */
	__stack_chk_guard = stack_guard();
	(void)magic; /* the entry code checked it */
	traps_init();
	traps_cpu_load();
	read_boot_info(info_paddr);
	cmdline_parse(hypervisor_cmdline, cmdline_params_start, cmdline_params_end, report_word,
		      NULL);
	video_detect(&boot_info);
	start_consoles();
	log_info(VERSION_LINE);
	log_info("loaded by %s at 0x%lx, command line: %s\n", boot_info.loader_name, load_base,
		 hypervisor_cmdline);
	cpu_detect();
	init_memory(load_base);
	init_cpu0(c);
	/* From the boot stack in the image to a stack with a guard page. */
	__asm__ volatile("movq %0, %%rsp; xorl %%ebp, %%ebp; pushq $0; jmp *%1" ::"r"(
				 c->arch.stack_top),
			 "r"(boot_continue)
			 : "memory");
	__builtin_unreachable();
}

static void __used boot_continue(void)
{
	struct cpu *c = this_cpu();

	init_acpi();
	if (apic_init(madt.lapic_paddr))
		panic("no local APIC");
	c->arch.apic_id = apic_id_self();
	time_init();
	if (ioapic_init(&madt))
		panic("no memory for the I/O APICs");
	mtrr_boot_init();
	choose_vendor();
	if (timer_cpu_init(0) || work_cpu_init(0) || sched_init())
		panic("no memory for the scheduler");
	heap_trim_init();
	init_ecam();
	init_iommu();
	arch_irq_enable();
	smp_start_all(&madt);
	dom0_build(&madt);
	serial_start_input();
	start_hypervisor();
}

/* The modules are in dom0's memory by now: theirs is free. */
static void __init release_modules(void)
{
	for (unsigned i = 0; i < boot_info.nr_modules; i++) {
		uint64_t start = ALIGN_UP(boot_info.modules[i].start, PAGE_SIZE);
		uint64_t end = ALIGN_DOWN(boot_info.modules[i].end, PAGE_SIZE);

		/* Where the map and the boot loader disagree, it stays as it is. */
		if (start >= MiB(1) && memmap_covers(&machine_map, start, end, MEMMAP_RAM))
			frames_add(mfn_from(start >> PAGE_SHIFT), (end - start) >> PAGE_SHIFT);
	}
}

void start_hypervisor(void)
{
	release_modules();
	if (scrub_idle)
		frames_scrub_all();
	log_info("memory: %lu KiB of heap, %lu MiB free for guests\n", heap_bytes() >> 10,
		 frames_free_count() >> 8);
	video_console_release();
	/* From here on nothing of init may be touched. */
	paging_seal();
	smp_release();
	tlb_flush_all();
	iommu_unprotect(image_paddr_of(init_start), image_paddr_of(init_end));
	paging_free_init();
	dom0_start();
	cpu_loop();
}
