// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the multiboot2 parser and of the memory map.
// links: hypervisor/arch/x86/boot/multiboot2.c hypervisor/arch/x86/boot/memmap.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arch/multiboot2.h>
#include <bulkhead/bytes.h>
#include <bulkhead/errno.h>

/* A boot information under construction. */
struct builder {
	uint8_t b[16384];
	uint32_t len;
};

static struct builder bld;
static struct mb2_info info;
static const char *reason;

static void begin(void)
{
	memset(&bld, 0, sizeof(bld));
	bld.len = 8;
}

static uint8_t *add_tag(uint32_t type, const void *payload, uint32_t size)
{
	uint8_t *tag = bld.b + bld.len;

	assert_true(bld.len + size + 32 < sizeof(bld.b));
	store_u32(tag, type);
	store_u32(tag + 4, 8 + size);
	if (payload)
		memcpy(tag + 8, payload, size);
	bld.len += (8 + size + 7) & ~7u;
	return tag;
}

static void add_string(uint32_t type, const char *s)
{
	add_tag(type, s, (uint32_t)strlen(s) + 1);
}

static void add_module(uint32_t start, uint32_t end, const char *cmdline)
{
	uint8_t payload[512];
	uint32_t len = (uint32_t)strlen(cmdline) + 1;

	store_u32(payload, start);
	store_u32(payload + 4, end);
	memcpy(payload + 8, cmdline, len);
	add_tag(MB2_TAG_MODULE, payload, 8 + len);
}

static void add_mmap(unsigned int nr, const uint64_t (*entries)[3])
{
	uint8_t *tag = add_tag(MB2_TAG_MMAP, NULL, 8 + 24 * nr);

	store_u32(tag + 8, 24);
	for (unsigned int i = 0; i < nr; i++) {
		store_u64(tag + 16 + 24 * i, entries[i][0]);
		store_u64(tag + 24 + 24 * i, entries[i][1]);
		store_u32(tag + 32 + 24 * i, (uint32_t)entries[i][2]);
	}
}

static void add_usual_mmap(void)
{
	static const uint64_t entries[][3] = {
		{0, 0x9fc00, 1},
		{0x9fc00, 0x400, 2},
		{0xf0000, 0x10000, 2},
		{0x100000, 0x7ee0000, 1},
		{0x7fe0000, 0x20000, 2},
		{0xfffc0000, 0x40000, 2},
		{0x100000000, 0x40000000, 1},
	};

	add_mmap(7, entries);
}

/* Parses a heap copy of the exact size, for ASan. */
static int finish(bool end_tag)
{
	uint8_t *copy;
	int rc;

	if (end_tag)
		add_tag(MB2_TAG_END, NULL, 0);
	store_u32(bld.b, bld.len);
	copy = malloc(bld.len);
	assert_non_null(copy);
	memcpy(copy, bld.b, bld.len);
	reason = NULL;
	rc = mb2_info_init(&info, copy, bld.len, &reason);
	free(copy);
	assert_true(rc == 0 || reason != NULL);
	return rc;
}

static void test_whole(void **state)
{
	const uint8_t fb[30] = {0, 0, 0, 0xc0, 0, 0,  0, 0, 0, 0x10, 0, 0, 0, 4, 0,
				0, 0, 3, 0,    0, 32, 1, 0, 0, 16,   8, 8, 8, 0, 8};
	const char rsdp1[20] = "RSD PTR old", rsdp2[36] = "RSD PTR new";
	const uint64_t system_table = 0x7e000000, image_handle = 0x7d000000;
	const uint32_t mem[2] = {639, 130048}, load_base = 0x200000;

	(void)state;
	begin();
	add_string(MB2_TAG_CMDLINE, "console=com1 dom0_mem=1G");
	add_string(MB2_TAG_LOADER_NAME, "GRUB 2.06-13");
	add_tag(MB2_TAG_ACPI_NEW, rsdp2, 36);
	add_tag(MB2_TAG_ACPI_OLD, rsdp1, 20);
	add_module(0x1000000, 0x2000000, "root=/dev/nvme0n1");
	add_module(0x2000000, 0x2345678, "");
	add_tag(MB2_TAG_BASIC_MEM, mem, 8);
	add_usual_mmap();
	add_tag(MB2_TAG_FRAMEBUFFER, fb, 30);
	add_tag(MB2_TAG_EFI64, &system_table, 8);
	add_tag(MB2_TAG_EFI64_IH, &image_handle, 8);
	add_tag(MB2_TAG_LOAD_BASE, &load_base, 4);
	add_tag(MB2_TAG_NETWORK, "whatever", 9);
	add_tag(4711, "unknown", 8);
	assert_int_equal(finish(true), 0);

	assert_string_equal(info.cmdline, "console=com1 dom0_mem=1G");
	assert_string_equal(info.loader_name, "GRUB 2.06-13");
	assert_int_equal(info.nr_modules, 2);
	assert_int_equal(info.modules[0].start, 0x1000000);
	assert_int_equal(info.modules[0].end, 0x2000000);
	assert_string_equal(info.modules[0].cmdline, "root=/dev/nvme0n1");
	assert_string_equal(info.modules[1].cmdline, "");
	assert_true(info.have_basic_mem && info.mem_lower_kib == 639);
	assert_int_equal(info.map.nr, 7);
	assert_int_equal(info.map.r[0].end, 0x9f000);
	assert_int_equal(info.map.r[6].end, 0x140000000);
	assert_false(info.map_is_efi);
	assert_true(info.have_framebuffer);
	assert_int_equal(info.framebuffer.paddr, 0xc0000000);
	assert_int_equal(info.framebuffer.pitch, 4096);
	assert_int_equal(info.framebuffer.width, 1024);
	assert_int_equal(info.framebuffer.height, 768);
	assert_int_equal(info.framebuffer.type, MB2_FB_RGB);
	assert_int_equal(info.framebuffer.red.shift, 16);
	assert_int_equal(info.framebuffer.blue.shift, 0);
	assert_int_equal(info.rsdp_size, 36);
	assert_memory_equal(info.rsdp, rsdp2, 36);
	assert_true(info.have_efi64 && info.efi64_system_table == system_table);
	assert_true(info.have_efi64_image && info.efi64_image_handle == image_handle);
	assert_true(info.have_load_base && info.load_base == load_base);
	assert_false(info.efi_boot_services);
}

static void test_old_rsdp_alone(void **state)
{
	(void)state;
	begin();
	add_usual_mmap();
	add_tag(MB2_TAG_ACPI_OLD, "RSD PTR 0123456789abc", 20);
	assert_int_equal(finish(true), 0);
	assert_int_equal(info.rsdp_size, 20);
}

static void test_ega_text(void **state)
{
	uint8_t *tag;

	(void)state;
	begin();
	add_usual_mmap();
	tag = add_tag(MB2_TAG_FRAMEBUFFER, NULL, 24);
	store_u64(tag + 8, 0xb8000);
	store_u32(tag + 16, 160);
	store_u32(tag + 20, 80);
	store_u32(tag + 24, 25);
	tag[28] = 16;
	tag[29] = MB2_FB_EGA_TEXT;
	assert_int_equal(finish(true), 0);
	assert_int_equal(info.framebuffer.type, MB2_FB_EGA_TEXT);

	tag[29] = 3;
	assert_int_equal(finish(false), -EINVAL);
	tag[29] = MB2_FB_RGB; /* without colour fields */
	assert_int_equal(finish(false), -EINVAL);
	tag[29] = MB2_FB_EGA_TEXT;
	store_u32(tag + 16, 159);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 16, 160);
	store_u64(tag + 8, UINT64_MAX - 100);
	assert_int_equal(finish(false), -EINVAL);
	store_u64(tag + 8, 0xb8000);
	store_u32(tag + 24, 0);
	assert_int_equal(finish(false), -EINVAL);
}

static void test_elf_sections(void **state)
{
	uint8_t *tag;

	(void)state;
	begin();
	add_usual_mmap();
	tag = add_tag(MB2_TAG_ELF_SECTIONS, NULL, 12 + 2 * 64);
	store_u32(tag + 8, 2);
	store_u32(tag + 12, 64);
	store_u32(tag + 16, 1);
	store_u32(tag + 20 + 64, 7);
	store_u32(tag + 20 + 64 + 4, 3);
	store_u64(tag + 20 + 64 + 16, 0x123000);
	store_u64(tag + 20 + 64 + 32, 0x456);
	assert_int_equal(finish(true), 0);
	assert_int_equal(info.nr_elf_sections, 2);
	assert_int_equal(info.elf_name_section, 1);
	assert_int_equal(info.elf_sections[1].addr, 0x123000);
	assert_int_equal(info.elf_sections[1].size, 0x456);

	store_u32(tag + 8, 3);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 8, 0x04000001); /* times 64 wraps in 32 bits */
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 8, 2);
	store_u32(tag + 16, 2);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 12, 63);
	assert_int_equal(finish(false), -EINVAL);
}

static void add_efi_desc(uint8_t *tag, unsigned int i, uint32_t type, uint64_t start,
			 uint64_t pages, uint64_t attr)
{
	uint8_t *d = tag + 16 + 48 * i;

	store_u32(d, type);
	store_u64(d + 8, start);
	store_u64(d + 24, pages);
	store_u64(d + 32, attr);
}

static uint8_t *efi_map_only(unsigned int nr)
{
	uint8_t *tag;

	begin();
	tag = add_tag(MB2_TAG_EFI_MMAP, NULL, 8 + 48 * nr);
	store_u32(tag + 8, 48);
	store_u32(tag + 12, 1);
	return tag;
}

static void test_efi_map(void **state)
{
	uint8_t *tag = efi_map_only(7);

	(void)state;
	add_efi_desc(tag, 0, 7, 0, 0x80, 0xf);
	add_efi_desc(tag, 1, 4, 0x80000, 0x20, 0xf);
	add_efi_desc(tag, 2, 7, 0x100000, 0x1000, 0xf);
	add_efi_desc(tag, 3, 9, 0x1100000, 2, 0xf);
	add_efi_desc(tag, 4, 10, 0x1102000, 2, 0xf);
	add_efi_desc(tag, 5, 7, 0x2000000, 0x10, 0x4000f);
	add_efi_desc(tag, 6, 6, 0x3000000, 1, UINT64_C(0x800000000000000f));
	assert_int_equal(finish(true), 0);
	assert_true(info.map_is_efi);
	assert_int_equal(info.map.nr, 6);
	assert_int_equal(info.map.r[0].end, 0xa0000);
	assert_int_equal(info.map.r[0].type, MEMMAP_RAM);
	assert_int_equal(info.map.r[2].type, MEMMAP_ACPI);
	assert_int_equal(info.map.r[3].type, MEMMAP_NVS);
	assert_int_equal(info.map.r[4].type, MEMMAP_RESERVED);
	assert_int_equal(info.map.r[5].type, MEMMAP_RESERVED);

	/* Boot services that still run keep their memory, whichever tag comes first. */
	tag = efi_map_only(2);
	add_efi_desc(tag, 0, 7, 0, 0x80, 0xf);
	add_efi_desc(tag, 1, 4, 0x80000, 0x20, 0xf);
	add_tag(MB2_TAG_EFI_BS, NULL, 0);
	assert_int_equal(finish(true), 0);
	assert_true(info.efi_boot_services);
	assert_int_equal(info.map.r[1].type, MEMMAP_RESERVED);
}

static void test_efi_map_errors(void **state)
{
	uint8_t *tag = efi_map_only(1);

	(void)state;
	add_efi_desc(tag, 0, 7, 0x1000, UINT64_C(1) << 52, 0xf);
	assert_int_equal(finish(true), -EINVAL);
	add_efi_desc(tag, 0, 7, UINT64_C(0xfffffffffffff000), 2, 0xf);
	assert_int_equal(finish(false), -EINVAL);
	add_efi_desc(tag, 0, 7, 0x1000, 2, 0xf);
	store_u32(tag + 8, 32);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 8, 40);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 8, 48);
	store_u32(tag + 12, 2);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 12, 1);
	assert_int_equal(finish(false), 0);
}

static void test_e820_goes_before_efi_map(void **state)
{
	uint8_t *tag = efi_map_only(1);

	(void)state;
	add_efi_desc(tag, 0, 7, 0, 0x80, 0xf);
	add_usual_mmap();
	assert_int_equal(finish(true), 0);
	assert_false(info.map_is_efi);
	assert_int_equal(info.map.nr, 7);
}

static void test_no_memory_map(void **state)
{
	static const uint64_t reserved[][3] = {{0, 0x100000, 2}};

	(void)state;
	begin();
	assert_int_equal(finish(true), -ENOENT);
	begin();
	add_mmap(1, reserved);
	assert_int_equal(finish(true), -ENOENT);
}

static void test_mmap_errors(void **state)
{
	static const uint64_t wraps[][3] = {{0xfffffffffff00000, 0x200000, 1}};
	uint8_t *tag;

	(void)state;
	begin();
	add_mmap(1, wraps);
	assert_int_equal(finish(true), -EINVAL);

	begin();
	tag = bld.b + bld.len;
	add_usual_mmap();
	store_u32(tag + 8, 16);
	assert_int_equal(finish(true), -EINVAL);
	store_u32(tag + 8, 0);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 8, 32);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 8, UINT32_MAX - 7);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 8, 24);
	assert_int_equal(finish(false), 0);
}

static void test_mmap_limit(void **state)
{
	static uint64_t entries[MEMMAP_MAX_REGIONS + 1][3];

	(void)state;
	for (unsigned int i = 0; i <= MEMMAP_MAX_REGIONS; i++) {
		entries[i][0] = 0x100000 + i * UINT64_C(0x2000);
		entries[i][1] = 0x1000;
		entries[i][2] = 1;
	}
	begin();
	add_mmap(MEMMAP_MAX_REGIONS + 1, (const uint64_t(*)[3])entries);
	assert_int_equal(finish(true), -E2BIG);
	begin();
	add_mmap(MEMMAP_MAX_REGIONS, (const uint64_t(*)[3])entries);
	assert_int_equal(finish(true), 0);
	assert_int_equal(info.map.nr, MEMMAP_MAX_REGIONS);
}

static void test_modules(void **state)
{
	uint8_t *tag;

	(void)state;
	begin();
	add_usual_mmap();
	for (uint32_t i = 0; i < MB2_MAX_MODULES; i++)
		add_module(0x1000000 * (i + 1), 0x1000000 * (i + 1) + 0x1000, "m");
	assert_int_equal(finish(true), 0);
	assert_int_equal(info.nr_modules, MB2_MAX_MODULES);
	bld.len -= 8;
	add_module(0xf000000, 0xf001000, "one too many");
	assert_int_equal(finish(true), -E2BIG);

	begin();
	add_usual_mmap();
	tag = bld.b + bld.len;
	add_module(0x1000000, 0x1001000, "abcdefg");
	assert_int_equal(finish(true), 0);
	tag[4]--; /* cuts the terminator off */
	assert_int_equal(finish(false), -EINVAL);
	tag[4]++;
	store_u32(tag + 12, 0x1000000);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 12, 0x0fff000);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 12, 0x1001000);
	bld.len -= 8;
	add_module(0x1000fff, 0x1002000, "overlaps");
	assert_int_equal(finish(true), -EINVAL);
}

static void test_strings(void **state)
{
	char s[MB2_MAX_CMDLINE + 1];

	(void)state;
	memset(s, 'a', sizeof(s));
	s[MB2_MAX_CMDLINE - 1] = '\0';
	begin();
	add_usual_mmap();
	add_string(MB2_TAG_CMDLINE, s);
	assert_int_equal(finish(true), 0);
	assert_string_equal(info.cmdline, s);
	s[MB2_MAX_CMDLINE - 1] = 'a';
	s[MB2_MAX_CMDLINE] = '\0';
	begin();
	add_usual_mmap();
	add_string(MB2_TAG_CMDLINE, s);
	assert_int_equal(finish(true), -E2BIG);
	begin();
	add_usual_mmap();
	add_tag(MB2_TAG_LOADER_NAME, "GRUB", 4);
	assert_int_equal(finish(true), -EINVAL);
}

static void test_repeated_tag(void **state)
{
	(void)state;
	begin();
	add_usual_mmap();
	add_string(MB2_TAG_CMDLINE, "a");
	add_string(MB2_TAG_CMDLINE, "b");
	assert_int_equal(finish(true), -EINVAL);
	assert_string_equal(reason, "a tag appears twice");
}

static void test_short_tags(void **state)
{
	/* One byte less than each known tag needs. */
	static const struct {
		uint32_t type, payload;
	} cases[] = {
		{MB2_TAG_CMDLINE, 0},	{MB2_TAG_LOADER_NAME, 0},  {MB2_TAG_MODULE, 8},
		{MB2_TAG_BASIC_MEM, 7}, {MB2_TAG_FRAMEBUFFER, 23}, {MB2_TAG_ELF_SECTIONS, 11},
		{MB2_TAG_EFI64, 7},	{MB2_TAG_ACPI_OLD, 19},	   {MB2_TAG_ACPI_NEW, 35},
		{MB2_TAG_EFI_MMAP, 7},	{MB2_TAG_EFI64_IH, 7},	   {MB2_TAG_LOAD_BASE, 3},
		{MB2_TAG_MMAP, 7},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		add_tag(cases[i].type, NULL, cases[i].payload);
		assert_int_equal(finish(true), -EINVAL);
		assert_non_null(strstr(reason, "too short"));
	}
}

static void test_framing(void **state)
{
	uint32_t size;
	uint8_t *tag;

	(void)state;
	begin();
	add_usual_mmap();
	assert_int_equal(finish(false), -EINVAL); /* no end tag */
	assert_int_equal(finish(true), 0);

	begin();
	tag = add_tag(1000, "12345678", 8);
	add_usual_mmap();
	store_u32(tag + 4, 7);
	assert_int_equal(finish(true), -EINVAL);
	store_u32(tag + 4, 0);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 4, UINT32_MAX);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 4, bld.len - 8 + 1);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 4, bld.len - 8);
	assert_int_equal(finish(false), -EINVAL);
	store_u32(tag + 4, bld.len - 8 - 3); /* ends within its padding */
	assert_int_equal(finish(false), -EINVAL);

	begin();
	store_u32(bld.b, 15);
	assert_int_equal(mb2_info_size(bld.b, &size, &reason), -EINVAL);
	store_u32(bld.b, MB2_MAX_INFO_SIZE + 1);
	assert_int_equal(mb2_info_size(bld.b, &size, &reason), -EINVAL);
	store_u32(bld.b, 100);
	assert_int_equal(mb2_info_size(bld.b, &size, &reason), 0);
	assert_int_equal(size, 100);
	assert_int_equal(mb2_info_init(&info, bld.b, 99, &reason), -EINVAL);
	assert_int_equal(mb2_info_init(&info, bld.b, 7, &reason), -EINVAL);
}

static void test_every_truncation(void **state)
{
	uint32_t whole;

	(void)state;
	begin();
	add_string(MB2_TAG_CMDLINE, "console=com1");
	add_module(0x1000000, 0x2000000, "root=/dev/nvme0n1");
	add_usual_mmap();
	assert_int_equal(finish(true), 0);
	for (whole = bld.len - 1; whole > 8; whole--) {
		bld.len = whole;
		assert_int_equal(finish(false), -EINVAL);
	}
}

static void test_arguments(void **state)
{
	(void)state;
	assert_string_equal(mb2_arguments("GRUB 2.06", "console=com1"), "console=com1");
	assert_string_equal(mb2_arguments("GRUB 2.06", "placeholder  a b"), "a b");
	assert_string_equal(mb2_arguments("GRUB 2.06", "placeholder"), "");
	assert_string_equal(mb2_arguments("GRUB 2.06", "placeholders a"), "placeholders a");
	assert_string_equal(mb2_arguments("iPXE", "/bulkhead.gz a b"), "a b");
	assert_string_equal(mb2_arguments("", "/bulkhead.gz"), "");
	assert_string_equal(mb2_arguments("", ""), "");
}

/* What GRUB 2.06 passed on an emulated machine; the same files seed the fuzz target. */
static int parse_recorded(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t len;
	int rc;

	assert_non_null(f);
	len = fread(bld.b, 1, sizeof(bld.b), f);
	fclose(f);
	rc = mb2_info_init(&info, bld.b, len, &reason);
	if (rc)
		return rc;
	assert_string_equal(info.loader_name, "GRUB 2.06-13+deb12u2");
	assert_string_equal(mb2_arguments(info.loader_name, info.cmdline),
			    "console=com1 com1=115200,8n1 dom0_mem=1024M loglvl=all");
	assert_int_equal(info.nr_modules, 2);
	assert_int_equal(info.modules[0].end - info.modules[0].start, 5000);
	assert_string_equal(mb2_arguments(info.loader_name, info.modules[0].cmdline),
			    "root=/dev/nvme0n1p1 ro console=hvc0");
	assert_int_equal(info.modules[1].end - info.modules[1].start, 3000);
	assert_true(info.have_framebuffer);
	assert_int_equal(info.framebuffer.width, 1024);
	assert_int_equal(info.framebuffer.type, MB2_FB_RGB);
	return 0;
}

static void test_grub_on_bios(void **state)
{
	(void)state;
	assert_int_equal(parse_recorded("tests/fuzz/corpus/multiboot2/grub-bios"), 0);
	assert_int_equal(info.rsdp_size, 20);
	assert_false(info.have_efi64);
	assert_true(memmap_covers(&info.map, 0x100000, 0x1ffdf000, MEMMAP_RAM));
}

static void test_grub_on_uefi(void **state)
{
	(void)state;
	assert_int_equal(parse_recorded("tests/fuzz/corpus/multiboot2/grub-efi"), 0);
	assert_int_equal(info.rsdp_size, 36);
	assert_true(info.have_efi64);
	assert_false(info.efi_boot_services);
	assert_true(memmap_total(&info.map, MEMMAP_RAM) > UINT64_C(480) << 20);
	assert_true(memmap_total(&info.map, MEMMAP_ACPI) > 0);
}

/* ---- memory map ---- */

static struct memmap in, out;

static void region(uint64_t start, uint64_t end, uint32_t type)
{
	assert_int_equal(memmap_add(&in, start, end - start, type), 0);
}

static void expect(unsigned int nr, const struct memmap_region *want)
{
	assert_int_equal(memmap_sanitize(&in, &out), 0);
	assert_int_equal(out.nr, nr);
	for (unsigned int i = 0; i < nr; i++) {
		assert_true(out.r[i].start == want[i].start);
		assert_true(out.r[i].end == want[i].end);
		assert_int_equal(out.r[i].type, want[i].type);
	}
}

/* RAM that cannot be addressed, or described, is none; what is not RAM stays where it is. */
static void test_ram_beyond_the_limit(void **state)
{
	const uint64_t limit = 1UL << 40;

	(void)state;
	in.nr = 0;
	region(0x1000, 0x9000, MEMMAP_RAM);
	region(limit - 0x2000, limit + 0x3000, MEMMAP_RAM);
	region(limit + 0x3000, limit + 0x4000, MEMMAP_NVS);
	region(limit + 0x4000, limit + 0x8000, MEMMAP_RAM);
	region(1UL << 47, (1UL << 47) + 0x1000, MEMMAP_RAM);
	assert_int_equal(memmap_sanitize(&in, &out), 0);
	assert_true(memmap_limit_ram(&out, limit) == 0x3000 + 0x4000 + 0x1000);
	assert_int_equal(out.nr, 3);
	assert_true(memmap_total(&out, MEMMAP_RAM) == 0x8000 + 0x2000);
	assert_true(out.r[1].end == limit);
	assert_int_equal(out.r[2].type, MEMMAP_NVS);
	assert_true(memmap_limit_ram(&out, limit) == 0);
	assert_int_equal(out.nr, 3);
}

static void test_find_room(void **state)
{
	(void)state;
	in.nr = 0;
	region(0x1000, 0x9000, MEMMAP_RAM);
	region(0x10000, 0x20000, MEMMAP_ACPI);
	region(0x20000, 0x40000, MEMMAP_RAM);
	assert_int_equal(memmap_sanitize(&in, &out), 0);
	assert_true(memmap_find_room(&out, 0, 0x8000, 1UL << 32) == 0x1000);
	assert_true(memmap_find_room(&out, 0, 0x8001, 1UL << 32) == 0x20000);
	assert_true(memmap_find_room(&out, 0x1001, 0x7000, 1UL << 32) == 0x2000);
	assert_true(memmap_find_room(&out, 0x1001, 0x7001, 1UL << 32) == 0x20000);
	assert_true(memmap_find_room(&out, 0x8001, 1, 1UL << 32) == 0x20000);
	/* Only its first part is low enough. */
	assert_true(memmap_find_room(&out, 0x9000, 0x10000, 0x30000) == 0x20000);
	assert_true(memmap_find_room(&out, 0x9000, 0x10001, 0x30000) == 0);
	assert_true(memmap_find_room(&out, 0x3f001, 1, 1UL << 32) == 0);
	assert_true(memmap_find_room(&out, 0x50000, 0, 1UL << 32) == 0);
	assert_true(memmap_find_room(&out, UINT64_MAX, UINT64_MAX, 1UL << 32) == 0);
	assert_true(memmap_find_room(&out, 0, UINT64_MAX, 1UL << 32) == 0);
}

static void test_map_overlaps(void **state)
{
	static const struct memmap_region want[] = {
		{0x0, 0x4000, MEMMAP_RAM},	   {0x4000, 0x5800, MEMMAP_RESERVED},
		{0x6000, 0x8000, MEMMAP_RAM},	   {0x8000, 0x9000, MEMMAP_NVS},
		{0x9000, 0xa000, MEMMAP_UNUSABLE}, {0xa000, 0x10000, MEMMAP_RAM},
		{0x20000, 0x20800, MEMMAP_ACPI},
	};

	(void)state;
	in.nr = 0;
	region(0x20000, 0x20800, MEMMAP_ACPI);
	region(0x8000, 0xa000, MEMMAP_NVS);
	region(0x9000, 0xa000, MEMMAP_UNUSABLE);
	region(0x0, 0x10000, MEMMAP_RAM);
	region(0x2000, 0x3000, MEMMAP_RAM);
	region(0x4000, 0x5800, 42);
	expect(7, want);
	assert_true(memmap_total(&out, MEMMAP_RAM) == 0x4000 + 0x2000 + 0x6000);
	assert_true(memmap_covers(&out, 0x6000, 0x8000, MEMMAP_RAM));
	assert_false(memmap_covers(&out, 0x5fff, 0x8000, MEMMAP_RAM));
	assert_false(memmap_covers(&out, 0x6000, 0x8001, MEMMAP_RAM));
	assert_false(memmap_covers(&out, 0x6000, 0x6000, MEMMAP_RAM));
	assert_false(memmap_covers(&out, 0x30000, 0x31000, MEMMAP_RAM));
}

static void test_map_merges(void **state)
{
	static const struct memmap_region want[] = {{0x1000, 0x9000, MEMMAP_RAM}};

	(void)state;
	in.nr = 0;
	region(0x5000, 0x9000, MEMMAP_RAM);
	region(0x3000, 0x5001, MEMMAP_RAM);
	region(0x1000, 0x3000, MEMMAP_RAM);
	region(0x9800, 0x9c00, MEMMAP_RAM); /* holds no page */
	expect(1, want);
}

static void test_map_type_order(void **state)
{
	static const uint32_t order[] = {
		MEMMAP_RAM,	 MEMMAP_PMEM,	  MEMMAP_ACPI,	   MEMMAP_NVS,
		MEMMAP_RESERVED, MEMMAP_DISABLED, MEMMAP_UNUSABLE,
	};

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		for (size_t j = 0; j < 7; j++) {
			in.nr = 0;
			region(0x1000, 0x2000, order[i]);
			region(0x1000, 0x2000, order[j]);
			assert_int_equal(memmap_sanitize(&in, &out), 0);
			assert_int_equal(out.nr, 1);
			assert_int_equal(out.r[0].type, order[i > j ? i : j]);
		}
	}
}

static void test_map_limits(void **state)
{
	(void)state;
	in.nr = 0;
	assert_int_equal(memmap_add(&in, 5, 0, MEMMAP_RAM), 0);
	assert_int_equal(memmap_add(&in, MEMMAP_PADDR_LIMIT, 1, MEMMAP_RAM), 0);
	assert_int_equal(in.nr, 0);
	assert_int_equal(memmap_add(&in, 0x1000, UINT64_MAX, MEMMAP_RAM), -EINVAL);
	assert_int_equal(in.nr, 0);
	assert_int_equal(memmap_add(&in, 0x1000, UINT64_MAX - 0xfff, MEMMAP_RAM), 0);
	assert_true(in.r[0].end == MEMMAP_PADDR_LIMIT);

	/* One region with holes punched into it needs more regions than there are. */
	in.nr = 0;
	region(0, UINT64_C(1) << 40, MEMMAP_RAM);
	for (uint64_t i = 1; i < MEMMAP_MAX_REGIONS; i++)
		region(i << 20, (i << 20) + 0x1000, MEMMAP_RESERVED);
	assert_int_equal(memmap_add(&in, 0x1000, 0x1000, MEMMAP_NVS), -E2BIG);
	assert_int_equal(memmap_sanitize(&in, &out), -E2BIG);
	assert_string_equal(memmap_type_name(MEMMAP_RAM), "usable");
	assert_string_equal(memmap_type_name(99), "reserved");
}

/* Compares with a page-by-page model on random maps. */
static void test_map_against_model(void **state)
{
	enum {
		PAGES = 64
	};
	static const unsigned int rank[8] = {0, 1, 5, 3, 4, 7, 6, 2};
	uint32_t seed = 12345;

	(void)state;
	for (unsigned int round = 0; round < 2000; round++) {
		uint32_t model[PAGES] = {0};

		in.nr = 0;
		for (unsigned int i = 0; i < 12; i++) {
			uint32_t start, len, type;

			seed = seed * 1664525 + 1013904223;
			start = (seed >> 8) % PAGES;
			len = (seed >> 16) % (PAGES - start) + 1;
			type = (seed >> 28) % 7 + 1;
			region(start * UINT64_C(4096), (start + len) * UINT64_C(4096), type);
			for (uint32_t p = start; p < start + len; p++)
				if (rank[type] > rank[model[p]])
					model[p] = type;
		}
		assert_int_equal(memmap_sanitize(&in, &out), 0);
		for (unsigned int i = 1; i < out.nr; i++) {
			assert_true(out.r[i].start >= out.r[i - 1].end);
			assert_true(out.r[i].start > out.r[i - 1].end ||
				    out.r[i].type != out.r[i - 1].type);
		}
		for (unsigned int i = 0; i < out.nr; i++) {
			for (uint64_t a = out.r[i].start; a < out.r[i].end; a += 4096) {
				assert_int_equal(model[a / 4096], out.r[i].type);
				model[a / 4096] = 0;
			}
		}
		for (unsigned int p = 0; p < PAGES; p++)
			assert_int_equal(model[p], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_old_rsdp_alone),
		cmocka_unit_test(test_ega_text),
		cmocka_unit_test(test_elf_sections),
		cmocka_unit_test(test_efi_map),
		cmocka_unit_test(test_efi_map_errors),
		cmocka_unit_test(test_e820_goes_before_efi_map),
		cmocka_unit_test(test_no_memory_map),
		cmocka_unit_test(test_mmap_errors),
		cmocka_unit_test(test_mmap_limit),
		cmocka_unit_test(test_modules),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_repeated_tag),
		cmocka_unit_test(test_short_tags),
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_grub_on_bios),
		cmocka_unit_test(test_grub_on_uefi),
		cmocka_unit_test(test_map_overlaps),
		cmocka_unit_test(test_ram_beyond_the_limit),
		cmocka_unit_test(test_find_room),
		cmocka_unit_test(test_map_merges),
		cmocka_unit_test(test_map_type_order),
		cmocka_unit_test(test_map_limits),
		cmocka_unit_test(test_map_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
