// SPDX-License-Identifier: GPL-2.0-or-later
// A small toolstack: builds PVH guests by the calls that libxl makes, in their order, and ends them.
#include "domu.h"
#include <xen/elfnote.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/hvm/save.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/arch-x86/hvm/start_info.h>

/* Frames of dom0's own space that nothing is at: 32 slots of 1 MiB behind 1 GiB. */
#define WINDOW_GFN   0x40000ul
#define SLOT_FRAMES  256u
#define SLOT_BUILD   29u
#define ORDER_2M     9u
#define FRAMES_2M    512u
#define MAP_BATCH    64u
#define CONTEXT_SIZE 16384u
#define STEP	     2000000ull /* ns between two looks at a guest */
#define FREE_LIMIT   2000000000ull
#define SETTLED	     100000000ull

/* What the harness puts in front of each guest's ELF image in the module. */
struct module_header {
	char magic[8], name[24];
	uint64_t size, reserved[3];
};
_Static_assert(sizeof(struct module_header) == 64, "as tests/system/guests.py writes it");

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_note {
	uint32_t name_size, size, type;
};

long domctl(struct xen_domctl *op, unsigned int cmd, domid_t domain)
{
	op->cmd = cmd;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = domain;
	return hypercall2(__HYPERVISOR_domctl, ADDRESS(op), 0);
}

void dom0_sleep(uint64_t time)
{
	struct sched_poll poll = {.timeout = time_now() + time};

	hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, ADDRESS(&poll));
}

uint64_t dom0_free_pages(void)
{
	struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo,
				.interface_version = XEN_SYSCTL_INTERFACE_VERSION};

	return hypercall2(__HYPERVISOR_sysctl, ADDRESS(&op), 0) ? 0 : op.u.physinfo.free_pages;
}

uint64_t dom0_settled_free_pages(void)
{
	uint64_t since = time_now(), pages = dom0_free_pages();

	while (time_now() - since < SETTLED) {
		dom0_sleep(STEP);
		if (dom0_free_pages() != pages) {
			pages = dom0_free_pages();
			since = time_now();
		}
	}
	return pages;
}

uint64_t dom0_wait_free_pages(uint64_t pages)
{
	uint64_t end = time_now() + FREE_LIMIT, now;

	while ((now = dom0_free_pages()) != pages && time_now() < end)
		dom0_sleep(STEP);
	return now;
}

/* ---- The window into the memory of others ---- */

static long map_some(uint64_t at, domid_t domain, uint64_t gfn, unsigned int frames)
{
	xen_ulong_t idxs[MAP_BATCH];
	xen_pfn_t gpfns[MAP_BATCH];
	int errs[MAP_BATCH];
	struct xen_add_to_physmap_batch op = {.domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = (uint16_t)frames,
					      .u.foreign_domid = domain};
	long result;

	for (unsigned int i = 0; i < frames; i++) {
		idxs[i] = gfn + i;
		gpfns[i] = at + i;
		errs[i] = 0;
	}
	set_xen_guest_handle(op.idxs, idxs);
	set_xen_guest_handle(op.gpfns, gpfns);
	set_xen_guest_handle(op.errs, errs);
	result = hypercall2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch, ADDRESS(&op));
	for (unsigned int i = 0; i < frames && !result; i++)
		result = errs[i];
	return result;
}

void *dom0_map(unsigned int slot, domid_t domain, uint64_t gfn, unsigned int frames)
{
	uint64_t at = WINDOW_GFN + slot * SLOT_FRAMES;

	for (unsigned int done = 0; done < frames; done += MAP_BATCH) {
		unsigned int n = frames - done < MAP_BATCH ? frames - done : MAP_BATCH;

		if (map_some(at + done, domain, gfn + done, n))
			return NULL;
	}
	return (void *)(uintptr_t)(at * PAGE_BYTES);
}

void dom0_unmap(unsigned int slot, unsigned int frames)
{
	for (unsigned int i = 0; i < frames; i++) {
		struct xen_remove_from_physmap op = {.domid = DOMID_SELF,
						     .gpfn = WINDOW_GFN + slot * SLOT_FRAMES + i};

		hypercall2(__HYPERVISOR_memory_op, XENMEM_remove_from_physmap, ADDRESS(&op));
	}
}

/* ---- Building ---- */

static const uint8_t *find_kernel(const char *name)
{
	const struct hvm_start_info *info =
		(const struct hvm_start_info *)(uintptr_t)guest_start_info_address;
	const struct hvm_modlist_entry *module;
	const uint8_t *at, *end;

	if (!info->nr_modules)
		return NULL;
	module = (const struct hvm_modlist_entry *)(uintptr_t)info->modlist_paddr;
	at = (const uint8_t *)(uintptr_t)module->paddr;
	end = at + module->size;
	while (at + sizeof(struct module_header) <= end) {
		const struct module_header *header = (const struct module_header *)at;

		if (memcmp(header->magic, "BHGUEST", 8))
			return NULL;
		if (!strcmp(header->name, name))
			return at + sizeof(*header);
		at += sizeof(*header) + (header->size + 63) / 64 * 64;
	}
	return NULL;
}

/* Copies to the guest's memory, or clears it where there is nothing to copy. */
static long put(domid_t id, uint64_t address, const void *data, uint64_t size, uint64_t total)
{
	uint64_t done = 0;

	while (done < total) {
		uint64_t offset = (address + done) % PAGE_BYTES;
		uint64_t n = SLOT_FRAMES * PAGE_BYTES - offset;
		unsigned int frames;
		uint8_t *to;

		if (n > total - done)
			n = total - done;
		frames = (unsigned int)((offset + n + PAGE_BYTES - 1) / PAGE_BYTES);
		to = dom0_map(SLOT_BUILD, id, (address + done) / PAGE_BYTES, frames);
		if (!to)
			return -1;
		to += offset;
		for (uint64_t i = 0; i < n;) {
			uint64_t at = done + i, part = n - i;

			if (at < size) {
				part = part < size - at ? part : size - at;
				memcpy(to + i, (const uint8_t *)data + at, part);
			} else {
				memset(to + i, 0, part);
			}
			i += part;
		}
		dom0_unmap(SLOT_BUILD, frames);
		done += n;
	}
	return 0;
}

static uint32_t note_entry(const uint8_t *note, const uint8_t *end)
{
	while (note + sizeof(struct elf_note) <= end) {
		const struct elf_note *n = (const struct elf_note *)note;
		const uint8_t *name = note + sizeof(*n);
		const uint8_t *value = name + (n->name_size + 3) / 4 * 4;

		if (n->type == XEN_ELFNOTE_PHYS32_ENTRY && !memcmp(name, "Xen", 4))
			return *(const uint32_t *)value;
		note = value + (n->size + 3) / 4 * 4;
	}
	return 0;
}

/* Loads an ELF image of either class; its entry, or 0. */
static uint32_t load(domid_t id, const uint8_t *image)
{
	const struct elf_header *h = (const struct elf_header *)image;
	bool wide = image[4] == 2;
	uint16_t count = wide ? h->phnum : *(const uint16_t *)(image + 44);
	uint64_t table = wide ? h->phoff : *(const uint32_t *)(image + 28);
	uint32_t entry = 0;

	for (unsigned int i = 0; i < count; i++) {
		struct elf_segment s;

		if (wide) {
			s = ((const struct elf_segment *)(image + table))[i];
		} else {
			const uint32_t *s32 = (const uint32_t *)(image + table + i * 32ul);

			s = (struct elf_segment){.type = s32[0],
						 .offset = s32[1],
						 .paddr = s32[3],
						 .filesz = s32[4],
						 .memsz = s32[5]};
		}
		if (s.type == 1 && put(id, s.paddr, image + s.offset, s.filesz, s.memsz))
			return 0;
		if (s.type == 4)
			entry = note_entry(image + s.offset, image + s.offset + s.filesz);
	}
	return entry;
}

static long populate(domid_t id, uint64_t gfn, unsigned int order, unsigned int flags)
{
	xen_pfn_t frame = gfn;
	struct xen_memory_reservation op = {.domid = id,
					    .nr_extents = 1,
					    .extent_order = order,
					    .mem_flags = flags};

	set_xen_guest_handle(op.extent_start, &frame);
	return hypercall2(__HYPERVISOR_memory_op, XENMEM_populate_physmap, ADDRESS(&op)) == 1 ? 0
											      : -12;
}

static long build_memory(domid_t id, unsigned int mib, unsigned int target, unsigned int vcpus)
{
	struct xen_pod_target pod = {.domid = id, .target_pages = target * 256ull};
	struct xen_domctl op = {.u.max_mem.max_memkb = ((target ? target : mib) + 1) * 1024ull};
	long result = domctl(&op, XEN_DOMCTL_max_mem, id);

	if (result)
		return result;
	op.u.paging_mempool.size = (256ull * vcpus + mib + 255) / 256 << 20;
	result = domctl(&op, XEN_DOMCTL_set_paging_mempool_size, id);
	if (!result && target)
		result = hypercall2(__HYPERVISOR_memory_op, XENMEM_set_pod_target, ADDRESS(&pod));
	for (unsigned int i = 0; i < mib / 2 && !result; i++)
		result = populate(id, (uint64_t)i * FRAMES_2M, ORDER_2M,
				  target ? XENMEMF_populate_on_demand : 0);
	return result ? result : populate(id, DOMU_CONSOLE_GFN, 0, 0);
}

static long build_info(domid_t id, const struct domu_config *c, unsigned int mib)
{
	struct hvm_start_info info = {.magic = XEN_HVM_START_MAGIC_VALUE,
				      .version = 1,
				      .cmdline_paddr = DOMU_COMMAND,
				      .memmap_paddr = DOMU_MEMORY_MAP,
				      .memmap_entries = 1};
	struct hvm_memmap_table_entry map = {.size = (uint64_t)mib << 20,
					     .type = XEN_HVM_MEMMAP_TYPE_RAM};
	struct {
		uint64_t address, size;
		uint32_t type;
	} __attribute__((packed)) e820 = {.size = (uint64_t)mib << 20, .type = 1};
	struct xen_foreign_memory_map set = {.domid = id, .map.nr_entries = 1};
	uint64_t words = strlen(c->words) + 1;
	long result;

	if (words > DOMU_COMMAND_MAX)
		return -7;
	result = put(id, DOMU_START_INFO, &info, sizeof(info), PAGE_BYTES);
	if (!result)
		result = put(id, DOMU_COMMAND, c->words, words, words);
	if (!result)
		result = put(id, DOMU_MEMORY_MAP, &map, sizeof(map), sizeof(map));
	if (!result)
		result = put(id, DOMU_MAILBOX, NULL, 0, PAGE_BYTES);
	if (!result)
		result = put(id, DOMU_CONSOLE_GFN * PAGE_BYTES, NULL, 0, PAGE_BYTES);
	set_xen_guest_handle(set.map.buffer, (void *)&e820);
	return result ? result
		      : hypercall2(__HYPERVISOR_memory_op, XENMEM_set_memory_map, ADDRESS(&set));
}

static long set_param(domid_t id, uint32_t index, uint64_t value)
{
	struct xen_hvm_param op = {.domid = id, .index = index, .value = value};

	return hypercall2(__HYPERVISOR_hvm_op, HVMOP_set_param, ADDRESS(&op));
}

static long build_console(domid_t id)
{
	struct evtchn_alloc_unbound port = {.dom = id, .remote_dom = DOMID_SELF};
	long result = event_op(EVTCHNOP_alloc_unbound, &port);

	if (!result)
		result = set_param(id, HVM_PARAM_CONSOLE_PFN, DOMU_CONSOLE_GFN);
	return result ? result : set_param(id, HVM_PARAM_CONSOLE_EVTCHN, port.port);
}

static uint8_t *put_record(uint8_t *to, uint16_t type, const void *data, uint32_t size)
{
	struct hvm_save_descriptor d = {.typecode = type, .length = size};

	memcpy(to, &d, sizeof(d));
	memcpy(to + sizeof(d), data, size);
	return to + sizeof(d) + size;
}

/* 32-bit protected mode without paging, as PVH asks for. The header is that of the hypervisor. */
static long build_vcpu(domid_t id, uint32_t entry)
{
	static uint8_t context[CONTEXT_SIZE], out[2 * PAGE_BYTES];
	static struct hvm_hw_cpu cpu;
	struct xen_domctl op = {.u.hvmcontext.size = sizeof(context)};
	const struct hvm_save_descriptor *first = (const struct hvm_save_descriptor *)context;
	uint8_t *end;
	long result;

	set_xen_guest_handle(op.u.hvmcontext.buffer, context);
	result = domctl(&op, XEN_DOMCTL_gethvmcontext, id);
	if (result)
		return result;
	memset(&cpu, 0, sizeof(cpu));
	cpu.cs_limit = cpu.ds_limit = cpu.es_limit = cpu.ss_limit = ~0u;
	cpu.tr_limit = 0x67;
	cpu.cs_arbytes = 0xc9b;
	cpu.ds_arbytes = cpu.es_arbytes = cpu.ss_arbytes = 0xc93;
	cpu.tr_arbytes = 0x8b;
	cpu.cr0 = 0x11;
	cpu.rip = entry;
	cpu.rbx = DOMU_START_INFO;
	cpu.rflags = 2;
	cpu.dr6 = 0xffff0ff0;
	cpu.dr7 = 0x400;
	end = put_record(out, HVM_SAVE_CODE(HEADER), context + sizeof(*first), first->length);
	end = put_record(end, HVM_SAVE_CODE(CPU), &cpu, sizeof(cpu));
	end = put_record(end, HVM_SAVE_CODE(END), NULL, 0);
	op.u.hvmcontext.size = (uint32_t)(end - out);
	set_xen_guest_handle(op.u.hvmcontext.buffer, out);
	return domctl(&op, XEN_DOMCTL_sethvmcontext, id);
}

static long build(struct domu *d, const struct domu_config *c, const uint8_t *image)
{
	struct xen_domctl op = {
		.u.createdomain = {
			.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
			.max_vcpus = c->vcpus ? c->vcpus : 1,
			.max_evtchn_port = 1023,
			.max_grant_frames = c->max_grant_frames ? c->max_grant_frames : -1,
			.max_maptrack_frames = c->max_maptrack_frames ? c->max_maptrack_frames : -1,
			.grant_opts = XEN_DOMCTL_GRANT_version(1),
			.arch.emulation_flags = XEN_X86_EMU_LAPIC,
		}};
	unsigned int mib = c->mib ? c->mib : 32, vcpus = c->vcpus ? c->vcpus : 1;
	uint32_t entry;
	long result = domctl(&op, XEN_DOMCTL_createdomain, DOMID_INVALID);

	if (result)
		return result;
	d->id = op.domain;
	op.u.max_vcpus.max = vcpus;
	result = domctl(&op, XEN_DOMCTL_max_vcpus, d->id);
	if (!result)
		result = build_memory(d->id, mib, c->target_mib, vcpus);
	if (result)
		return result;
	entry = load(d->id, image);
	if (!entry)
		return -8;
	result = build_info(d->id, c, mib);
	if (!result)
		result = build_console(d->id);
	return result ? result : build_vcpu(d->id, entry);
}

/* Slots in use, one bit for each guest: it has two of them. */
static uint32_t slots_used;

static bool take_slot(unsigned int *ret_slot)
{
	for (unsigned int i = 0; i < SLOT_BUILD / 2; i++) {
		if (!(slots_used & 1u << i)) {
			slots_used |= 1u << i;
			*ret_slot = 2 * i;
			return true;
		}
	}
	return false;
}

long domu_create(struct domu *d, const struct domu_config *c)
{
	const uint8_t *image = find_kernel(c->kernel);
	long result;

	*d = (struct domu){.id = DOMID_INVALID, .speaks = c->speaks};
	if (!image || !take_slot(&d->slot))
		return -2;
	result = build(d, c, image);
	if (d->id == DOMID_INVALID)
		slots_used &= ~(1u << d->slot / 2);
	if (result)
		return result;
	d->console = dom0_map(d->slot, d->id, DOMU_CONSOLE_GFN, 1);
	d->mailbox = dom0_map(d->slot + 1, d->id, DOMU_MAILBOX / PAGE_BYTES, 1);
	return d->console && d->mailbox ? 0 : -14;
}

long domu_unpause(struct domu *d)
{
	struct xen_domctl op = {0};

	return domctl(&op, XEN_DOMCTL_unpausedomain, d->id);
}

/* ---- While it runs ---- */

static void line_ends(struct domu *d)
{
	bool result, line_of_test;

	d->line[d->line_used] = 0;
	d->line_used = 0;
	result = !memcmp(d->line, "RESULT ", 7);
	line_of_test = result || !memcmp(d->line, "VALUE ", 6);
	if (d->speaks && line_of_test)
		guest_print("%s", d->line);
	else
		guest_print("d%u| %s", d->id, d->line);
	d->results += result;
	d->failures += result && !strstr(d->line, ": ok");
}

void domu_drain(struct domu *d)
{
	struct xencons_interface *ring = d->console;
	XENCONS_RING_IDX at;
	uint32_t n;

	if (!ring)
		return;
	at = ring->out_cons;
	/* A hostile guest may claim to have written more than there is room for. */
	n = __atomic_load_n(&ring->out_prod, __ATOMIC_ACQUIRE) - at;
	if (n > sizeof(ring->out))
		n = sizeof(ring->out);
	for (; n; n--) {
		char c = ring->out[MASK_XENCONS_IDX(at++, ring->out)];

		if (c == '\n' || d->line_used + 1 == sizeof(d->line))
			line_ends(d);
		if (c >= ' ' && c <= '~')
			d->line[d->line_used++] = c;
	}
	__atomic_store_n(&ring->out_cons, at, __ATOMIC_RELEASE);
}

bool domu_info(domid_t id, struct xen_domctl_getdomaininfo *ret_info)
{
	struct xen_domctl op = {0};

	if (domctl(&op, XEN_DOMCTL_getdomaininfo, id) || op.domain != id)
		return false;
	*ret_info = op.u.getdomaininfo;
	return true;
}

/* The reason, or -1 while it runs. */
static int shutdown_reason(domid_t id)
{
	struct xen_domctl_getdomaininfo info;

	if (!domu_info(id, &info) || !(info.flags & XEN_DOMINF_shutdown))
		return -1;
	return (int)(info.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask);
}

int domu_wait_shutdown(struct domu *d, uint64_t time)
{
	uint64_t end = time_now() + time;
	int reason;

	while ((reason = shutdown_reason(d->id)) < 0 && time_now() < end) {
		domu_drain(d);
		dom0_sleep(STEP);
	}
	domu_drain(d);
	return reason;
}

uint64_t domu_wait_word(struct domu *d, unsigned int word, uint64_t time)
{
	uint64_t end = time_now() + time;

	while (!d->mailbox->to_dom0[word] && shutdown_reason(d->id) < 0 && time_now() < end) {
		domu_drain(d);
		dom0_sleep(STEP);
	}
	domu_drain(d);
	return d->mailbox->to_dom0[word];
}

#define DESTROY_LIMIT 2000000000ull

long domu_destroy(struct domu *d)
{
	struct xen_domctl op = {0};
	struct xen_domctl_getdomaininfo info;
	uint64_t end = time_now() + DESTROY_LIMIT;
	long result;

	if (d->id == DOMID_INVALID)
		return 0;
	if (d->console)
		dom0_unmap(d->slot, 1);
	if (d->mailbox)
		dom0_unmap(d->slot + 1, 1);
	d->console = NULL;
	d->mailbox = NULL;
	slots_used &= ~(1u << d->slot / 2);
	result = domctl(&op, XEN_DOMCTL_destroydomain, d->id);
	while (!result && domu_info(d->id, &info)) {
		if (time_now() > end)
			return -16;
		dom0_sleep(STEP);
	}
	d->id = DOMID_INVALID;
	return result;
}
