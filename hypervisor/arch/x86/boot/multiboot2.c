// SPDX-License-Identifier: GPL-2.0-or-later
// Strict parser of the Multiboot2 boot information.
#include <arch/multiboot2.h>
#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

/* Multiboot2 3.6.1: total_size and reserved, then tags of type and size, each aligned to 8. */
#define INFO_HEADER_SIZE 8
#define TAG_HEADER_SIZE	 8
#define TAG_ALIGN	 8

struct parser {
	struct mb2_info *info;
	const char *reason;
	uint64_t seen;		 /* bit n: tag type n has been met */
	const uint8_t *efi_mmap; /* looked at last, when no E820 tag came */
	uint32_t efi_mmap_size;
};

static int fail(struct parser *ps, int err, const char *reason)
{
	ps->reason = reason;
	return err;
}

/* Copies a string that must end within the tag and fit, with its NUL, into dst. */
static int copy_string(struct parser *ps, char *dst, size_t dst_size, const uint8_t *src,
		       uint32_t src_size, const char *unterminated, const char *too_long)
{
	uint32_t len = 0;

	while (len < src_size && src[len] != '\0')
		len++;
	if (len == src_size)
		return fail(ps, -EINVAL, unterminated);
	if (len >= dst_size)
		return fail(ps, -E2BIG, too_long);
	memcpy(dst, src, len + 1);
	return 0;
}

static int parse_cmdline(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	return copy_string(ps, ps->info->cmdline, sizeof(ps->info->cmdline), tag + TAG_HEADER_SIZE,
			   size - TAG_HEADER_SIZE, "command line is not terminated",
			   "command line is too long");
}

static int parse_loader_name(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	return copy_string(ps, ps->info->loader_name, sizeof(ps->info->loader_name),
			   tag + TAG_HEADER_SIZE, size - TAG_HEADER_SIZE,
			   "boot loader name is not terminated", "boot loader name is too long");
}

static int parse_module(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	struct mb2_info *info = ps->info;
	struct mb2_module *mod;
	uint32_t start, end;
	int rc;

	start = load_u32(tag + 8);
	end = load_u32(tag + 12);
	if (start >= end)
		return fail(ps, -EINVAL, "module is empty or ends before it starts");
	for (unsigned int i = 0; i < info->nr_modules; i++)
		if (start < info->modules[i].end && info->modules[i].start < end)
			return fail(ps, -EINVAL, "modules overlap");
	if (info->nr_modules == MB2_MAX_MODULES)
		return fail(ps, -E2BIG, "too many modules");
	mod = &info->modules[info->nr_modules];
	mod->start = start;
	mod->end = end;
	rc = copy_string(ps, mod->cmdline, sizeof(mod->cmdline), tag + 16, size - 16,
			 "module command line is not terminated",
			 "module command line is too long");
	if (rc)
		return rc;
	info->nr_modules++;
	return 0;
}

static int parse_basic_mem(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	(void)size;
	ps->info->have_basic_mem = true;
	ps->info->mem_lower_kib = load_u32(tag + 8);
	ps->info->mem_upper_kib = load_u32(tag + 12);
	return 0;
}

static int add_region(struct parser *ps, uint64_t start, uint64_t size, uint32_t type)
{
	int rc = memmap_add(&ps->info->raw_map, start, size, type);

	if (rc == -E2BIG)
		return fail(ps, rc, "memory map has too many entries");
	if (rc)
		return fail(ps, rc, "memory map entry wraps around");
	return 0;
}

/* 3.6.8: entries of base, length, type, reserved; later versions may append fields. */
static int parse_mmap(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	uint32_t entry_size = load_u32(tag + 8);

	if (entry_size < 24 || entry_size % 8 != 0)
		return fail(ps, -EINVAL, "memory map has a bad entry size");
	if ((size - 16) % entry_size != 0)
		return fail(ps, -EINVAL, "memory map ends within an entry");
	for (uint32_t off = 16; off < size; off += entry_size) {
		const uint8_t *e = tag + off;
		int rc = add_region(ps, load_u64(e), load_u64(e + 8), load_u32(e + 16));

		if (rc)
			return rc;
	}
	return 0;
}

static bool field_fits(struct mb2_fb_field f, uint8_t bpp)
{
	return f.bits > 0 && f.shift + f.bits <= bpp;
}

/* 3.6.12. The palette of indexed modes is not kept: nothing is drawn in them. */
static int parse_framebuffer(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	struct mb2_framebuffer fb = {
		.paddr = load_u64(tag + 8),
		.pitch = load_u32(tag + 16),
		.width = load_u32(tag + 20),
		.height = load_u32(tag + 24),
		.bpp = tag[28],
	};
	uint64_t row, bytes;

	if (fb.width == 0 || fb.height == 0 || fb.bpp == 0)
		return fail(ps, -EINVAL, "framebuffer has no pixels");
	row = ((uint64_t)fb.width * fb.bpp + 7) / 8;
	if (fb.pitch < row)
		return fail(ps, -EINVAL, "framebuffer pitch is smaller than a row");
	bytes = (uint64_t)fb.pitch * fb.height;
	if (fb.paddr >= MEMMAP_PADDR_LIMIT || bytes > MEMMAP_PADDR_LIMIT - fb.paddr)
		return fail(ps, -EINVAL, "framebuffer exceeds the address space");

	switch (tag[29]) {
	case MB2_FB_INDEXED:
		fb.type = MB2_FB_INDEXED;
		break;
	case MB2_FB_RGB:
		if (size < 38)
			return fail(ps, -EINVAL, "framebuffer tag has no colour fields");
		fb.type = MB2_FB_RGB;
		fb.red = (struct mb2_fb_field){tag[32], tag[33]};
		fb.green = (struct mb2_fb_field){tag[34], tag[35]};
		fb.blue = (struct mb2_fb_field){tag[36], tag[37]};
		if (!field_fits(fb.red, fb.bpp) || !field_fits(fb.green, fb.bpp) ||
		    !field_fits(fb.blue, fb.bpp))
			return fail(ps, -EINVAL, "framebuffer colour exceeds the pixel");
		break;
	case MB2_FB_EGA_TEXT:
		fb.type = MB2_FB_EGA_TEXT;
		break;
	default:
		return fail(ps, -EINVAL, "framebuffer type is unknown");
	}
	ps->info->have_framebuffer = true;
	ps->info->framebuffer = fb;
	return 0;
}

/*
 * 3.6.7: num, entsize, shndx as 32-bit fields, then the section header table of the class that the
 * image file had. Only ELF64 is kept: our image is one.
 */
static int parse_elf_sections(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	uint32_t num = load_u32(tag + 8);
	uint32_t entsize = load_u32(tag + 12);
	uint32_t shndx = load_u32(tag + 16);
	struct mb2_info *info = ps->info;

	if (num == 0)
		return 0;
	if (entsize < 64) {
		if (entsize != 40)
			return fail(ps, -EINVAL, "ELF sections have a bad entry size");
		return 0;
	}
	if ((uint64_t)num * entsize > size - 20)
		return fail(ps, -EINVAL, "ELF sections exceed their tag");
	if (shndx >= num)
		return fail(ps, -EINVAL, "ELF section name table does not exist");
	if (num > MB2_MAX_ELF_SECTIONS)
		return fail(ps, -E2BIG, "too many ELF sections");
	for (uint32_t i = 0; i < num; i++) {
		const uint8_t *sh = tag + 20 + (size_t)i * entsize;
		struct mb2_elf_section *s = &info->elf_sections[i];

		s->name = load_u32(sh);
		s->type = load_u32(sh + 4);
		s->flags = load_u64(sh + 8);
		s->addr = load_u64(sh + 16);
		s->size = load_u64(sh + 32);
		s->link = load_u32(sh + 40);
		s->entsize = load_u64(sh + 56);
	}
	info->nr_elf_sections = num;
	info->elf_name_section = shndx;
	return 0;
}

static int parse_efi64(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	(void)size;
	ps->info->have_efi64 = true;
	ps->info->efi64_system_table = load_u64(tag + 8);
	return 0;
}

static int parse_efi64_image(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	(void)size;
	ps->info->have_efi64_image = true;
	ps->info->efi64_image_handle = load_u64(tag + 8);
	return 0;
}

static int parse_efi_bs(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	(void)tag;
	(void)size;
	ps->info->efi_boot_services = true;
	return 0;
}

static int parse_acpi_old(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	(void)size;
	if (ps->info->rsdp_size != 0)
		return 0;
	ps->info->rsdp_size = MB2_RSDP_V1_SIZE;
	memcpy(ps->info->rsdp, tag + TAG_HEADER_SIZE, MB2_RSDP_V1_SIZE);
	return 0;
}

static int parse_acpi_new(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	(void)size;
	ps->info->rsdp_size = MB2_RSDP_V2_SIZE;
	memcpy(ps->info->rsdp, tag + TAG_HEADER_SIZE, MB2_RSDP_V2_SIZE);
	return 0;
}

static int parse_efi_mmap(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	uint32_t desc_size = load_u32(tag + 8);

	/* UEFI 2.9, 7.2.3: descriptors may grow; the fields of version 1 take 40 bytes. */
	if (desc_size < 40 || desc_size % 8 != 0)
		return fail(ps, -EINVAL, "EFI memory map has a bad descriptor size");
	if (load_u32(tag + 12) != 1)
		return fail(ps, -EINVAL, "EFI memory map has an unknown version");
	if ((size - 16) % desc_size != 0)
		return fail(ps, -EINVAL, "EFI memory map ends within a descriptor");
	ps->efi_mmap = tag;
	ps->efi_mmap_size = size;
	return 0;
}

static int parse_load_base(struct parser *ps, const uint8_t *tag, uint32_t size)
{
	(void)size;
	ps->info->have_load_base = true;
	ps->info->load_base = load_u32(tag + 8);
	return 0;
}

static const struct {
	uint32_t type;
	uint32_t min_size;
	bool repeatable;
	int (*parse)(struct parser *ps, const uint8_t *tag, uint32_t size);
	const char *short_reason;
} tag_table[] = {
	{MB2_TAG_CMDLINE, 9, false, parse_cmdline, "command line tag is too short"},
	{MB2_TAG_LOADER_NAME, 9, false, parse_loader_name, "boot loader name tag is too short"},
	{MB2_TAG_MODULE, 17, true, parse_module, "module tag is too short"},
	{MB2_TAG_BASIC_MEM, 16, false, parse_basic_mem, "basic memory tag is too short"},
	{MB2_TAG_MMAP, 16, false, parse_mmap, "memory map tag is too short"},
	{MB2_TAG_FRAMEBUFFER, 32, false, parse_framebuffer, "framebuffer tag is too short"},
	{MB2_TAG_ELF_SECTIONS, 20, false, parse_elf_sections, "ELF sections tag is too short"},
	{MB2_TAG_EFI64, 16, false, parse_efi64, "EFI system table tag is too short"},
	{MB2_TAG_ACPI_OLD, 28, false, parse_acpi_old, "old RSDP tag is too short"},
	{MB2_TAG_ACPI_NEW, 44, false, parse_acpi_new, "new RSDP tag is too short"},
	{MB2_TAG_EFI_MMAP, 16, false, parse_efi_mmap, "EFI memory map tag is too short"},
	{MB2_TAG_EFI_BS, 8, false, parse_efi_bs, "EFI boot services tag is too short"},
	{MB2_TAG_EFI64_IH, 16, false, parse_efi64_image, "EFI image handle tag is too short"},
	{MB2_TAG_LOAD_BASE, 12, false, parse_load_base, "load base tag is too short"},
};

static int parse_tag(struct parser *ps, uint32_t type, const uint8_t *tag, uint32_t size)
{
	for (size_t i = 0; i < sizeof(tag_table) / sizeof(tag_table[0]); i++) {
		if (tag_table[i].type != type)
			continue;
		if (size < tag_table[i].min_size)
			return fail(ps, -EINVAL, tag_table[i].short_reason);
		if (!tag_table[i].repeatable && (ps->seen & (UINT64_C(1) << type)))
			return fail(ps, -EINVAL, "a tag appears twice");
		ps->seen |= UINT64_C(1) << type;
		return tag_table[i].parse(ps, tag, size);
	}
	return 0;
}

/* UEFI 2.9 table 7-10, as seen after boot services are gone. */
static uint32_t efi_to_memmap_type(uint32_t type, uint64_t attributes, bool boot_services)
{
	const uint64_t attr_wb = UINT64_C(1) << 3;
	const uint64_t attr_special_purpose = UINT64_C(1) << 18;

	switch (type) {
	case 3: /* boot services code */
	case 4: /* boot services data */
		if (boot_services)
			return MEMMAP_RESERVED;
		__attribute__((fallthrough));
	case 1: /* loader code */
	case 2: /* loader data */
	case 7: /* conventional */
		if (!(attributes & attr_wb) || (attributes & attr_special_purpose))
			return MEMMAP_RESERVED;
		return MEMMAP_RAM;
	case 8:
		return MEMMAP_UNUSABLE;
	case 9:
		return MEMMAP_ACPI;
	case 10:
		return MEMMAP_NVS;
	case 14:
		return MEMMAP_PMEM;
	default:
		return MEMMAP_RESERVED;
	}
}

static int use_efi_mmap(struct parser *ps)
{
	uint32_t desc_size = load_u32(ps->efi_mmap + 8);

	for (uint32_t off = 16; off < ps->efi_mmap_size; off += desc_size) {
		const uint8_t *d = ps->efi_mmap + off;
		uint64_t pages = load_u64(d + 24);
		int rc;

		if (pages > UINT64_MAX / MEMMAP_PAGE_SIZE)
			return fail(ps, -EINVAL, "memory map entry wraps around");
		rc = add_region(ps, load_u64(d + 8), pages * MEMMAP_PAGE_SIZE,
				efi_to_memmap_type(load_u32(d), load_u64(d + 32),
						   ps->info->efi_boot_services));
		if (rc)
			return rc;
	}
	ps->info->map_is_efi = true;
	return 0;
}

static int finish_map(struct parser *ps)
{
	int rc;

	if (!(ps->seen & (UINT64_C(1) << MB2_TAG_MMAP)) && ps->efi_mmap) {
		rc = use_efi_mmap(ps);
		if (rc)
			return rc;
	}
	rc = memmap_sanitize(&ps->info->raw_map, &ps->info->map);
	if (rc)
		return fail(ps, rc, "memory map has too many entries");
	if (memmap_total(&ps->info->map, MEMMAP_RAM) == 0)
		return fail(ps, -ENOENT, "no usable memory in the memory map");
	return 0;
}

static int parse_tags(struct parser *ps, const uint8_t *buf, uint32_t total)
{
	uint32_t off = INFO_HEADER_SIZE;

	for (;;) {
		uint32_t type, size;
		int rc;

		if (total - off < TAG_HEADER_SIZE)
			return fail(ps, -EINVAL, "no end tag");
		type = load_u32(buf + off);
		size = load_u32(buf + off + 4);
		if (size < TAG_HEADER_SIZE || size > total - off)
			return fail(ps, -EINVAL, "a tag exceeds the boot information");
		if (type == MB2_TAG_END)
			return 0;
		rc = parse_tag(ps, type, buf + off, size);
		if (rc)
			return rc;
		/* The padding of the last tag may lie beyond the end; then no end tag follows. */
		size = (size + TAG_ALIGN - 1) & ~(uint32_t)(TAG_ALIGN - 1);
		if (size > total - off)
			return fail(ps, -EINVAL, "no end tag");
		off += size;
	}
}

int mb2_info_size(const void *first8, uint32_t *ret_size, const char **ret_reason)
{
	uint32_t total = load_u32(first8);

	if (total < INFO_HEADER_SIZE + TAG_HEADER_SIZE) {
		*ret_reason = "boot information is too short";
		return -EINVAL;
	}
	if (total > MB2_MAX_INFO_SIZE) {
		*ret_reason = "boot information is too long";
		return -EINVAL;
	}
	*ret_size = total;
	return 0;
}

int mb2_info_init(struct mb2_info *info, const void *buf, size_t len, const char **ret_reason)
{
	struct parser ps = {.info = info};
	uint32_t total;
	int rc;

	if (len < INFO_HEADER_SIZE) {
		*ret_reason = "boot information is too short";
		return -EINVAL;
	}
	rc = mb2_info_size(buf, &total, ret_reason);
	if (rc)
		return rc;
	if (total > len) {
		*ret_reason = "boot information exceeds its buffer";
		return -EINVAL;
	}
	memset(info, 0, sizeof(*info));
	rc = parse_tags(&ps, buf, total);
	if (rc == 0)
		rc = finish_map(&ps);
	if (rc)
		*ret_reason = ps.reason;
	return rc;
}

static const char *skip_word(const char *s)
{
	while (*s != '\0' && *s != ' ')
		s++;
	while (*s == ' ')
		s++;
	return s;
}

const char *mb2_arguments(const char *loader_name, const char *cmdline)
{
	static const char grub2[] = "GRUB 2";
	static const char placeholder[] = "placeholder";
	const size_t word = sizeof(placeholder) - 1;

	while (*cmdline == ' ')
		cmdline++;
	if (strncmp(loader_name, grub2, sizeof(grub2) - 1) != 0)
		return skip_word(cmdline);
	if (strncmp(cmdline, placeholder, word) == 0 &&
	    (cmdline[word] == '\0' || cmdline[word] == ' '))
		return skip_word(cmdline);
	return cmdline;
}
