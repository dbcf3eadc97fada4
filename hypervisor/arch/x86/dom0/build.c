/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds dom0: a PVH guest that owns the devices. Its RAM has the machine's layout (cut to its size), other ranges of the
 * firmware's map appear at their own addresses; ACPI is the machine's with MADT, XSDT and RSDP replaced.
 */
#include <arch/cpu.h>
#include <arch/dom0.h>
#include <arch/dom0_acpi.h>
#include <arch/legacy.h>
#include <arch/machine.h>
#include <arch/paging.h>
#include <arch/start_info.h>
#include <arch/vcpu.h>
#include <arch/vioapic.h>
#include <arch/vpci.h>
#include <bulkhead/cmdline.h>
#include <bulkhead/cpu.h>
#include <bulkhead/domain.h>
#include <bulkhead/elf.h>
#include <bulkhead/errno.h>
#include <bulkhead/event.h>
#include <bulkhead/guest_access.h>
#include <bulkhead/iommu.h>
#include <bulkhead/irq.h>
#include <bulkhead/log.h>
#include <bulkhead/memory.h>
#include <bulkhead/mm.h>
#include <bulkhead/mm_init.h>
#include <bulkhead/p2m.h>
#include <bulkhead/pci.h>
#include <bulkhead/serial.h>
#include <bulkhead/string.h>

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/domctl.h>

#define DOM0_DEFAULT_MAX (GiB(4))
#define DOM0_MIN	 MiB(64)
/* What stays with the hypervisor when dom0 takes "all": its tables, and a start for guests. */
#define RESERVE_MIN	 MiB(64)
#define LAPIC_PADDR	 0xfee00000UL
#define MSI_WINDOW_END	 0xff000000UL

static struct cmdline_dom0_mem opt_mem __initdata;
static unsigned opt_max_vcpus __initdata;
CMDLINE_UINT("dom0_max_vcpus", opt_max_vcpus);

static int __init parse_mem(const char *value)
{
	return cmdline_parse_dom0_mem(value, &opt_mem);
}
CMDLINE_CUSTOM("dom0_mem", parse_mem);

static struct memmap guest_map __initdata; /* as dom0 sees it */

static uint64_t __init dom0_bytes(void)
{
	uint64_t avail = frames_free_count() << PAGE_SHIFT, reserve = MAX(RESERVE_MIN, avail / 16),
		 want;

	if (avail < reserve + DOM0_MIN)
		panic("too little memory: %lu MiB are free, dom0 and the hypervisor need %lu MiB at least",
		      avail >> 20, (reserve + DOM0_MIN) >> 20);
	avail -= reserve;
	/* Two bytes in a thousand are the tables of dom0's own mappings: they come out of the reserve. */
	want = cmdline_dom0_mem_bytes(&opt_mem, avail);
	if (want < DOM0_MIN)
		panic("dom0_mem=%lu MiB is too little: give at least %lu MiB", want >> 20,
		      DOM0_MIN >> 20);
	return ALIGN_DOWN(want, PAGE_SIZE);
}

/* The machine's map with its RAM cut to `bytes`, from the bottom; RAM beyond is gone from it. */
static void __init make_map(uint64_t bytes)
{
	for (unsigned i = 0; i < machine_map.nr; i++) {
		struct memmap_region r = machine_map.r[i];

		if (r.type == MEMMAP_RAM) {
			uint64_t start = ALIGN_UP(r.start, PAGE_SIZE),
				 end = ALIGN_DOWN(r.end, PAGE_SIZE);

			if (end <= start || !bytes)
				continue;
			r.start = start;
			r.end = MIN(end, start + bytes);
			bytes -= r.end - r.start;
		}
		guest_map.r[guest_map.nr++] = r;
	}
	/* Fewer holes below than above: what is left over goes behind the last RAM region, at 4 GiB or higher. */
	if (bytes) {
		uint64_t top = GiB(4);

		for (unsigned i = 0; i < guest_map.nr; i++)
			top = MAX(top, ALIGN_UP(guest_map.r[i].end, GiB(1)));
		if (guest_map.nr == MEMMAP_MAX_REGIONS)
			panic("dom0: the memory map is full");
		guest_map.r[guest_map.nr++] = (struct memmap_region){top, top + bytes, MEMMAP_RAM};
	}
}

/* Fills [start, end) of dom0's address space with RAM, in the largest pieces that fit. */
static void __init populate(struct domain *d, uint64_t start, uint64_t end)
{
	static const unsigned orders[] = {ORDER_1G, ORDER_2M, ORDER_4K};
	unsigned largest = 0;

	while (start < end) {
		bool done = false;

		for (unsigned i = largest; i < ARRAY_SIZE(orders) && !done; i++) {
			uint64_t size = PAGE_SIZE << orders[i];
			mfn_t m;

			if (!IS_ALIGNED(start, size) || end - start < size)
				continue;
			if (domain_frames_alloc(d, orders[i], 0, &m)) {
				if (orders[i] == ORDER_1G)
					largest = 1; /* no more of that size: do not search again */
				continue;
			}
			if (p2m_set(d, gaddr_to_gfn(gaddr_from(start)), m, orders[i], P2M_RAM))
				panic("dom0: no memory for its page tables");
			start += size;
			done = true;
		}
		if (!done)
			panic("dom0: memory ran out with %lu MiB to go; give less with dom0_mem=",
			      (end - start) >> 20);
	}
}

/* Ranges of devices that the hypervisor keeps to itself, or that are trapped. */
static bool __init withheld(uint64_t page)
{
	if (page >= LAPIC_PADDR && page < MSI_WINDOW_END)
		return true;
	if (pci_is_ecam(page) || iommu_owns(page))
		return true;
	for (unsigned i = 0; i < ioapic_count; i++) {
		if ((ioapics[i].paddr & PAGE_MASK) == page)
			return true;
	}
	/* RAM that a broken map lists as reserved too. */
	return mfn_valid(paddr_to_mfn(paddr_from(page)));
}

/* Where a broken firmware lists RAM as a device's memory too, it stays RAM to dom0. */
static void __init map_run(struct domain *d, uint64_t start, uint64_t end)
{
	int err = p2m_set_range(d, gaddr_to_gfn(gaddr_from(start)), paddr_to_mfn(paddr_from(start)),
				(end - start) >> PAGE_SHIFT, P2M_MMIO);

	if (err != -EBUSY)
		start = end;
	for (; start < end && (!err || err == -EBUSY); start += PAGE_SIZE)
		err = p2m_set(d, gaddr_to_gfn(gaddr_from(start)), paddr_to_mfn(paddr_from(start)),
			      ORDER_4K, P2M_MMIO);
	if (err && err != -EBUSY)
		panic("dom0: device memory below 0x%lx cannot be mapped: error %d", end, err);
}

static void __init map_identity(struct domain *d, uint64_t start, uint64_t end)
{
	uint64_t run = ALIGN_DOWN(start, PAGE_SIZE), p;

	end = ALIGN_UP(end, PAGE_SIZE);
	/* In runs between withheld pages, so that superpages can be used. */
	for (p = run; p <= end; p += PAGE_SIZE) {
		if (p < end && !withheld(p))
			continue;
		if (p > run)
			map_run(d, run, p);
		run = p + PAGE_SIZE;
	}
}

static void __init map_reserved(uint64_t base, uint64_t end, void *arg)
{
	map_identity(arg, base, end);
}

static void __init build_memory(struct domain *d)
{
	p2m_batch_begin(d);
	for (unsigned i = 0; i < guest_map.nr; i++) {
		const struct memmap_region *r = &guest_map.r[i];

		switch (r->type) {
		case MEMMAP_RAM:
			populate(d, r->start, r->end);
			break;
		case MEMMAP_ACPI:
		case MEMMAP_NVS:
		case MEMMAP_RESERVED:
			/* A reserved hole of the physical address space (HyperTransport) is no memory: skip what is huge. */
			if (r->end - r->start <= GiB(4))
				map_identity(d, r->start, r->end);
			break;
		default:
			break;
		}
	}
	/* Below 1 MiB: video memory and option ROMs, whether the firmware lists them or not. */
	map_identity(d, 0xa0000, MiB(1));
	iommu_for_each_reserved(map_reserved, d);
	p2m_batch_end(d);
}

/* Room in dom0's RAM for what has addresses of 32 bits; 0 if there is none. */
static uint64_t __init find_room(uint64_t from, uint64_t size)
{
	return memmap_find_room(&guest_map, from, size, GiB(4));
}

static void __init copy_in(struct domain *d, uint64_t ga, const void *src, uint64_t len)
{
	if (guest_phys_copy_to(d, gaddr_from(ga), src, len))
		panic("dom0: guest address 0x%lx is not in its memory: the kernel does not fit, raise dom0_mem=",
		      ga);
}

static void __init clear(struct domain *d, uint64_t ga, uint64_t len)
{
	static const char zeros[PAGE_SIZE];

	while (len) {
		uint64_t n = MIN(len, sizeof(zeros));

		copy_in(d, ga, zeros, n);
		ga += n;
		len -= n;
	}
}

/* Copies machine memory (a module), a piece at a time. */
static void __init copy_module(struct domain *d, uint64_t ga, uint64_t from, uint64_t len)
{
	while (len) {
		uint64_t n = MIN(len, PAGE_SIZE - (from & ~PAGE_MASK));
		char *w = window_map(paddr_to_mfn(paddr_from(from)));

		copy_in(d, ga, w + (from & ~PAGE_MASK), n);
		window_unmap(w);
		ga += n;
		from += n;
		len -= n;
	}
}

/* Where its segments lie. */
struct kernel_place {
	uint64_t start, end;
	uint32_t entry;
};

static void __init load_kernel(struct domain *d, struct kernel_place *ret_place)
{
	const struct mb2_module *m = &boot_info.modules[0];
	uint64_t size = m->end - m->start;
	static struct elf_image img __initdata;
	enum elf_error error;
	const void *image = table_map(m->start, size);
	int err;

	if (!image)
		panic("dom0: no memory to look at the kernel (%lu MiB)", size >> 20);
	err = elf_parse_pvh(image, size, &img, &error);
	if (err)
		panic("dom0 kernel: %s", elf_error_text(error));
	for (unsigned i = 0; i < img.nr_segments; i++) {
		const struct elf_segment *s = &img.segments[i];

		copy_module(d, s->paddr, m->start + s->offset, s->filesz);
		clear(d, s->paddr + s->filesz, s->memsz - s->filesz);
	}
	*ret_place = (struct kernel_place){img.paddr_start, img.paddr_end, img.pvh_entry};
	mmio_unmap(image, size);
}

static bool __init table_visible(void *ctx, uint64_t paddr, uint32_t len)
{
	struct domain *d = ctx;

	for (uint64_t p = paddr & PAGE_MASK; p < paddr + len; p += PAGE_SIZE) {
		enum p2m_type t;
		mfn_t m = p2m_lookup(d, gaddr_to_gfn(gaddr_from(p)), &t);

		if (t != P2M_MMIO || mfn_raw(m) != p >> PAGE_SHIFT)
			return false;
	}
	return true;
}

static uint64_t __init build_acpi(struct domain *d, const struct acpi_madt *madt,
				  const struct kernel_place *kernel, uint64_t *ret_gpa)
{
	struct dom0_acpi_config cfg = {.host = &acpi_tables,
				       .madt = madt,
				       .nr_vcpus = d->max_vcpus,
				       .x2apic = true,
				       .visible = table_visible,
				       .ctx = d};
	struct dom0_acpi_result result;
	size_t size = dom0_acpi_size(&cfg);
	const char *why = "no room";
	uint64_t gpa = find_room(MiB(16), size);
	void *buf = heap_alloc(size);

	/* At the end of the highest large region, so that it is out of the kernel's way. */
	for (unsigned i = 0; i < guest_map.nr; i++) {
		struct memmap_region *r = &guest_map.r[i];

		if (r->type == MEMMAP_RAM && r->end <= GiB(4) && r->end - r->start >= MiB(32))
			gpa = ALIGN_DOWN(r->end - size, PAGE_SIZE);
	}
	if (!buf || !gpa || dom0_acpi_build(&cfg, buf, size, gpa, &result, &why))
		panic("dom0: no ACPI tables: %s", why);
	if (gpa < kernel->end && gpa + size > kernel->start)
		panic("dom0: the kernel reaches up to 0x%lx, where its ACPI tables have to be: raise dom0_mem=",
		      kernel->end);
	copy_in(d, gpa, buf, size);
	heap_free(buf);
	log_debug("dom0: ACPI at 0x%lx, %u tables kept, %u hidden, %u not visible\n", gpa,
		  result.nr_kept, result.nr_hidden, result.nr_invisible);
	*ret_gpa = gpa;
	return result.rsdp_gpa;
}

/* The pages of the ACPI tables are not RAM to dom0. */
static void __init carve(uint64_t gpa, uint32_t type)
{
	static struct memmap raw __initdata;

	raw = guest_map;
	for (unsigned i = 0; i < guest_map.nr; i++) {
		struct memmap_region *r = &guest_map.r[i];

		if (r->type == MEMMAP_RAM && gpa >= r->start && gpa < r->end &&
		    memmap_add(&raw, gpa, r->end - gpa, type))
			panic("dom0: the memory map is full");
	}
	if (memmap_sanitize(&raw, &guest_map))
		panic("dom0: the memory map is full");
}

static void __init give_map(struct domain *d)
{
	static struct memory_map_entry e[MEMMAP_MAX_REGIONS] __initdata;

	for (unsigned i = 0; i < guest_map.nr; i++)
		e[i] = (struct memory_map_entry){guest_map.r[i].start,
						 guest_map.r[i].end - guest_map.r[i].start,
						 guest_map.r[i].type};
	if (memory_map_set(d, e, guest_map.nr))
		panic("dom0: no memory for its memory map");
}

static uint64_t __init build_start_info(struct domain *d, uint64_t kernel_end, uint64_t rsdp)
{
	struct start_info_config cfg = {.flags = 3, /* SIF_PRIVILEGED | SIF_INITDOMAIN */
					.cmdline = mb2_arguments(boot_info.loader_name,
								 boot_info.modules[0].cmdline),
					.rsdp_paddr = rsdp,
					.map = &guest_map};
	uint64_t at = ALIGN_UP(kernel_end, MiB(2));
	size_t size;
	void *buf;

	if (boot_info.nr_modules > 1) {
		const struct mb2_module *m = &boot_info.modules[1];
		uint64_t len = m->end - m->start, room = find_room(at, len);

		if (!room)
			panic("dom0: the initramfs (%lu MiB) does not fit, raise dom0_mem=",
			      len >> 20);
		copy_module(d, room, m->start, len);
		cfg.nr_modules = 1;
		cfg.modules[0] = (struct start_info_module){.paddr = room, .size = len};
		at = ALIGN_UP(room + len, PAGE_SIZE);
	}
	size = start_info_size(&cfg);
	at = find_room(at, size);
	buf = heap_alloc(size);
	if (!size || !at || !buf || start_info_build(buf, size, at, &cfg))
		panic("dom0: no room for the start information");
	copy_in(d, at, buf, size);
	heap_free(buf);
	return at;
}

static void __init give_devices(struct domain *d)
{
	struct pci_dev *dev;
	unsigned n = 0;

	LIST_FOR_EACH (dev, &pci_devices, struct pci_dev, link) {
		int err;

		if (dev->hidden)
			continue;
		err = iommu_assign(dev, d);
		if (err && err != -ENODEV) {
			log_warn("dom0: device %04x:%02x:%02x.%u is withheld: error %d\n",
				 sbdf_seg(dev->sbdf), sbdf_bdf(dev->sbdf) >> 8,
				 sbdf_bdf(dev->sbdf) >> 3 & 31, sbdf_bdf(dev->sbdf) & 7, err);
			continue;
		}
		err = vpci_assign(dev, d);
		if (err)
			log_warn(
				"dom0: device %04x:%02x:%02x.%u has no configuration space: error %d\n",
				sbdf_seg(dev->sbdf), sbdf_bdf(dev->sbdf) >> 8,
				sbdf_bdf(dev->sbdf) >> 3 & 31, sbdf_bdf(dev->sbdf) & 7, err);
		else
			n++;
	}
	log_info("dom0: %u PCI functions\n", n);
}

static void __init create_vcpus(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		struct vcpu *v;

		if (vcpu_create(d, i, &v))
			panic("dom0: no memory for vCPU %u", i);
	}
}

static void __init deny_ports(unsigned first, unsigned last, void *arg)
{
	(void)arg;
	if (legacy_deny(first, last))
		log_warn("dom0: ports 0x%x-0x%x could not be withheld\n", first, last);
}

void __init dom0_build(const struct acpi_madt *madt)
{
	struct domain_config cfg = {.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap |
					     XEN_DOMCTL_CDF_iommu,
				    .max_evtchn_port = ~0U,
				    .max_grant_frames = ~0U,
				    .max_maptrack_frames = ~0U,
				    .emulation_flags = XEN_X86_EMU_LAPIC | XEN_X86_EMU_IOAPIC |
						       XEN_X86_EMU_VPCI};
	uint64_t bytes, rsdp, acpi_gpa;
	struct kernel_place kernel;
	uint32_t info;
	struct domain *d;
	int err;

	if (!boot_info.nr_modules)
		panic("no dom0 kernel: give it as the first module2 of the GRUB entry");
	bytes = dom0_bytes();
	make_map(bytes);
	cfg.max_vcpus = MIN(opt_max_vcpus ? opt_max_vcpus : cpu_count, (unsigned)MAX_VCPUS);
	err = domain_create(0, &cfg, &d);
	if (err)
		panic("dom0 cannot be created: error %d", err);
	serial_for_each_port_range(deny_ports, NULL);
	d->max_pages = ~0U;
	d->privileged = true;
	if (p2m_pool_set(d, 256UL * cfg.max_vcpus + 4096 + (bytes >> 20)))
		panic("dom0: no pool for its page tables");
	if (!d->iommu)
		panic("dom0: no IOMMU tables");
	build_memory(d);
	load_kernel(d, &kernel);
	rsdp = build_acpi(d, madt, &kernel, &acpi_gpa);
	carve(acpi_gpa, MEMMAP_ACPI);
	give_map(d);
	create_vcpus(d);
	if (vioapic_init(d) || vpci_domain_init(d))
		panic("dom0: no memory for its interrupt controllers");
	give_devices(d);
	info = (uint32_t)build_start_info(d, kernel.end, rsdp);
	vcpu_start_pvh(d->vcpus[0], kernel.entry, info);
	log_info("dom0: %lu MiB, %u vCPU%s, kernel entry 0x%x\n", d->tot_pages >> 8, d->max_vcpus,
		 d->max_vcpus == 1 ? "" : "s", kernel.entry);
}

void dom0_start(void)
{
	struct domain *d = hardware_domain;

	vcpu_clear_flag(d->vcpus[0], VPF_DOWN);
	domain_unpause(d);
}
