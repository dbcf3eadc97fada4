// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the ELF loader part and of the PVH start information.
// links: hypervisor/common/elf.c hypervisor/arch/x86/dom0/start_info.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arch/start_info.h>
#include <bulkhead/bytes.h>
#include <bulkhead/elf.h>
#include <bulkhead/errno.h>

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/elfnote.h>

#define IMAGE_SIZE 4096
#define NR_PHDRS   4
#define PH(n)	   (64 + 56 * (n))
#define PH32(n)	   (52 + 32 * (n))
#define NOTES	   0x800

/* A heap copy of the exact size, so that ASan sees every byte read beyond it. */
static int parse_exact(const uint8_t *bytes, size_t size, struct elf_image *image,
		       enum elf_error *error)
{
	uint8_t *copy = malloc(size ? size : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	rc = elf_parse_pvh(copy, size, image, error);
	free(copy);
	return rc;
}

static void put_phdr(uint8_t *b, int n, uint32_t type, uint32_t flags, uint64_t off, uint64_t paddr,
		     uint64_t filesz, uint64_t memsz)
{
	uint8_t *p = b + PH(n);

	store_u32(p, type);
	store_u32(p + 4, flags);
	store_u64(p + 8, off);
	store_u64(p + 16, 0xffffffff80000000 + paddr);
	store_u64(p + 24, paddr);
	store_u64(p + 32, filesz);
	store_u64(p + 40, memsz);
	store_u64(p + 48, 4);
}

static uint32_t put_note(uint8_t *b, uint32_t pos, const char *name, uint32_t type,
			 const void *desc, uint32_t len)
{
	uint32_t name_len = (uint32_t)strlen(name) + 1;

	store_u32(b + pos, name_len);
	store_u32(b + pos + 4, len);
	store_u32(b + pos + 8, type);
	memcpy(b + pos + 12, name, name_len);
	pos += 12 + ((name_len + 3) & ~3u);
	memcpy(b + pos, desc, len);
	return pos + ((len + 3) & ~3u);
}

/* Text at 16 MiB, data at 18 MiB listed first, notes: another vendor's, then the PVH entry. */
static void make_elf64(uint8_t *b)
{
	const uint64_t entry = 0x1000200;
	uint32_t end;

	memset(b, 0, IMAGE_SIZE);
	memcpy(b, "\177ELF\2\1\1", 7);
	store_u16(b + 16, 2);
	store_u16(b + 18, 62);
	store_u32(b + 20, 1);
	store_u64(b + 24, 0x1000000);
	store_u64(b + 32, 64);
	store_u16(b + 54, 56);
	store_u16(b + 56, NR_PHDRS);
	put_phdr(b, 0, 1, ELF_PF_R | ELF_PF_W, 0x600, 0x1200000, 0x100, 0x5000);
	put_phdr(b, 1, 1, ELF_PF_R | ELF_PF_X, 0x200, 0x1000000, 0x400, 0x400);
	end = put_note(b, NOTES, "GNU", XEN_ELFNOTE_PHYS32_ENTRY, "\1\2\3\4", 4);
	end = put_note(b, end, "Xen", XEN_ELFNOTE_GUEST_OS, "linux", 6);
	end = put_note(b, end, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &entry, 8);
	put_phdr(b, 2, 4, ELF_PF_R, NOTES, 0, end - NOTES, end - NOTES);
	put_phdr(b, 3, 1, ELF_PF_R, 0, 0, 0, 0);
}

static void make_elf32(uint8_t *b)
{
	const uint32_t entry = 0x100010;
	uint32_t end = put_note(b, NOTES, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &entry, 4);
	const uint32_t load[8] = {1, 0x400, 0x100000, 0x100000, 0x100, 0x200, 5, 16};
	const uint32_t note[8] = {4, NOTES, 0, 0, end - NOTES, end - NOTES, 4, 4};

	memcpy(b, "\177ELF\1\1\1", 7);
	store_u16(b + 16, 2);
	store_u16(b + 18, 3);
	store_u32(b + 20, 1);
	store_u32(b + 24, 0x100000);
	store_u32(b + 28, 52);
	store_u16(b + 42, 32);
	store_u16(b + 44, 2);
	memcpy(b + PH32(0), load, sizeof(load));
	memcpy(b + PH32(1), note, sizeof(note));
}

static void test_elf64(void **state)
{
	uint8_t b[IMAGE_SIZE];
	struct elf_image image;
	enum elf_error error;
	struct elf_note note;
	uint64_t value;

	(void)state;
	make_elf64(b);
	assert_int_equal(elf_parse_pvh(b, sizeof(b), &image, &error), 0);
	assert_true(image.is_64bit && image.have_pvh_entry && !image.have_reloc);
	assert_int_equal(image.pvh_entry, 0x1000200);
	assert_int_equal(image.nr_segments, 2);
	assert_int_equal(image.segments[0].paddr, 0x1000000);
	assert_int_equal(image.segments[0].flags, ELF_PF_R | ELF_PF_X);
	assert_int_equal(image.segments[1].paddr, 0x1200000);
	assert_int_equal(image.segments[1].offset, 0x600);
	assert_int_equal(image.segments[1].filesz, 0x100);
	assert_int_equal(image.segments[1].memsz, 0x5000);
	assert_int_equal(image.paddr_start, 0x1000000);
	assert_int_equal(image.paddr_end, 0x1205000);

	assert_int_equal(elf_find_xen_note(&image, XEN_ELFNOTE_GUEST_OS, &note), 0);
	assert_int_equal(note.name_len, 3);
	assert_int_equal(note.desc_len, 6);
	assert_memory_equal(note.desc, "linux", 6);
	assert_int_equal(elf_note_number(&note, &value), -EINVAL);
	assert_int_equal(elf_find_xen_note(&image, XEN_ELFNOTE_PHYS32_ENTRY, &note), 0);
	assert_int_equal(elf_note_number(&note, &value), 0);
	assert_int_equal(value, 0x1000200);
	assert_int_equal(elf_find_xen_note(&image, XEN_ELFNOTE_LOADER, &note), -ENOENT);
}

static void test_elf32(void **state)
{
	uint8_t b[IMAGE_SIZE] = {0};
	struct elf_image image;
	enum elf_error error;

	(void)state;
	make_elf32(b);
	assert_int_equal(elf_parse_pvh(b, sizeof(b), &image, &error), 0);
	assert_false(image.is_64bit);
	assert_int_equal(image.pvh_entry, 0x100010);
	assert_int_equal(image.nr_segments, 1);
	assert_int_equal(image.segments[0].memsz, 0x200);
	assert_int_equal(image.segments[0].flags, ELF_PF_R | ELF_PF_X);
}

static void test_reloc_note(void **state)
{
	const uint32_t reloc[3] = {0x200000, 0x1000000, 0x3fffffff};
	const uint64_t entry = 0x1000200;
	uint8_t b[IMAGE_SIZE];
	struct elf_image image;
	enum elf_error error;
	uint32_t end;

	(void)state;
	make_elf64(b);
	end = put_note(b, NOTES, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &entry, 8);
	end = put_note(b, end, "Xen", ELF_XEN_NOTE_PHYS32_RELOC, reloc, sizeof(reloc));
	store_u64(b + PH(2) + 32, end - NOTES);
	assert_int_equal(elf_parse_pvh(b, sizeof(b), &image, &error), 0);
	assert_true(image.have_reloc);
	assert_int_equal(image.reloc_align, 0x200000);
	assert_int_equal(image.reloc_min, 0x1000000);
	assert_int_equal(image.reloc_max, 0x3fffffff);

	store_u32(b + end - 12, 0x300000);
	assert_int_equal(elf_parse_pvh(b, sizeof(b), &image, &error), -EINVAL);
	assert_int_equal(error, ELF_BAD_RELOC_NOTE);
}

/* Each case spoils one field of a good image. */
static const struct {
	uint32_t at;
	uint8_t size;
	uint64_t value;
	enum elf_error want;
} spoiled[] = {
	{0, 1, 0, ELF_NOT_ELF},
	{4, 1, 3, ELF_BAD_CLASS},
	{5, 1, 2, ELF_BAD_ENDIAN},
	{6, 1, 0, ELF_BAD_VERSION},
	{20, 4, 2, ELF_BAD_VERSION},
	{16, 2, 1, ELF_BAD_TYPE},
	{18, 2, 183, ELF_BAD_MACHINE},
	{18, 2, 3, ELF_BAD_MACHINE},
	{32, 8, IMAGE_SIZE - 100, ELF_PHDRS_OUTSIDE},
	{32, 8, UINT64_MAX - 8, ELF_PHDRS_OUTSIDE},
	{54, 2, 55, ELF_BAD_PHDR_SIZE},
	{56, 2, 0, ELF_NO_PHDRS},
	{56, 2, 0xffff, ELF_NO_PHDRS},
	{56, 2, 0xfffe, ELF_PHDRS_OUTSIDE},
	{PH(1) + 8, 8, IMAGE_SIZE - 0x3ff, ELF_SEGMENT_OUTSIDE},
	{PH(1) + 8, 8, UINT64_MAX, ELF_SEGMENT_OUTSIDE},
	{PH(1) + 32, 8, UINT64_MAX - 0x100, ELF_SEGMENT_OUTSIDE},
	{PH(1) + 32, 8, 0x401, ELF_SEGMENT_SIZE},
	{PH(1) + 40, 8, 0x200001, ELF_SEGMENT_OVERLAP},
	{PH(0) + 24, 8, 0x1000000, ELF_SEGMENT_OVERLAP},
	{PH(1) + 40, 8, UINT64_MAX, ELF_SEGMENT_WRAPS},
	{PH(0) + 24, 8, UINT64_MAX - 0x1000, ELF_SEGMENT_WRAPS},
	{PH(2) + 8, 8, IMAGE_SIZE - 4, ELF_NOTE_OUTSIDE},
	{PH(2) + 32, 8, IMAGE_SIZE, ELF_NOTE_OUTSIDE},
	{NOTES, 4, 0x7fffffff, ELF_NOTE_MALFORMED},
	{NOTES, 4, UINT32_MAX, ELF_NOTE_MALFORMED},
	{NOTES + 4, 4, UINT32_MAX - 2, ELF_NOTE_MALFORMED},
	{PH(2), 4, 0x70000000, ELF_NO_PVH_NOTE},
	{PH(1) + 4, 4, ELF_PF_R, ELF_PVH_ENTRY_OUTSIDE},
	{PH(1) + 24, 8, 0x1000204, ELF_PVH_ENTRY_OUTSIDE},
};

static void test_spoiled_images(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(spoiled) / sizeof(spoiled[0]); i++) {
		struct elf_image image = {.nr_segments = 42};
		enum elf_error error = ELF_OK;
		uint8_t b[IMAGE_SIZE];

		make_elf64(b);
		memcpy(b + spoiled[i].at, &spoiled[i].value, spoiled[i].size);
		assert_int_equal(parse_exact(b, sizeof(b), &image, &error), -EINVAL);
		if (error != spoiled[i].want)
			fail_msg("case %zu: %s", i, elf_error_text(error));
		assert_int_equal(image.nr_segments, 42);
	}
}

static void test_entry_above_4g(void **state)
{
	uint64_t entry = UINT64_C(0x101000200);
	uint8_t b[IMAGE_SIZE];
	struct elf_image image;
	enum elf_error error;
	uint32_t end;

	(void)state;
	make_elf64(b);
	end = put_note(b, NOTES, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &entry, 8);
	store_u64(b + PH(2) + 32, end - NOTES);
	assert_int_equal(elf_parse_pvh(b, sizeof(b), &image, &error), -EINVAL);
	assert_int_equal(error, ELF_BAD_PVH_NOTE);
	end = put_note(b, NOTES, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &entry, 3);
	store_u64(b + PH(2) + 32, end - NOTES);
	assert_int_equal(elf_parse_pvh(b, sizeof(b), &image, &error), -EINVAL);
	assert_int_equal(error, ELF_BAD_PVH_NOTE);
}

static void test_too_many_segments(void **state)
{
	uint8_t b[IMAGE_SIZE];
	struct elf_image image;
	enum elf_error error;

	(void)state;
	make_elf64(b);
	store_u16(b + 56, ELF_MAX_SEGMENTS + 1);
	for (int i = 0; i <= ELF_MAX_SEGMENTS; i++)
		put_phdr(b, i, 1, ELF_PF_R, 0, 0x1000000u + 0x1000u * (unsigned int)i, 0, 0x1000);
	assert_int_equal(elf_parse(b, sizeof(b), &image, &error), -EINVAL);
	assert_int_equal(error, ELF_TOO_MANY_SEGMENTS);
	store_u16(b + 56, ELF_MAX_SEGMENTS);
	assert_int_equal(elf_parse(b, sizeof(b), &image, &error), 0);
	assert_int_equal(image.nr_segments, ELF_MAX_SEGMENTS);
	assert_false(image.have_pvh_entry);
}

static void test_every_truncation(void **state)
{
	uint8_t b[IMAGE_SIZE];

	(void)state;
	make_elf64(b);
	for (size_t size = 0; size < NOTES + 16; size++) {
		struct elf_image image;
		enum elf_error error;

		assert_int_equal(parse_exact(b, size, &image, &error), -EINVAL);
		assert_string_not_equal(elf_error_text(error), "unknown error");
	}
}

static void test_other_formats(void **state)
{
	struct elf_image image;
	enum elf_error error;
	uint8_t b[1024] = {0};

	(void)state;
	memcpy(b + 0x202, "HdrS", 4);
	assert_int_equal(parse_exact(b, sizeof(b), &image, &error), -EINVAL);
	assert_int_equal(error, ELF_IS_BZIMAGE);
	assert_string_equal(elf_error_text(error),
			    "this is a bzImage: unpack it with bh-unpack-kernel");
	memset(b, 0, sizeof(b));
	memcpy(b, "\x1f\x8b\x08", 3);
	assert_int_equal(parse_exact(b, sizeof(b), &image, &error), -EINVAL);
	assert_int_equal(error, ELF_IS_GZIP);
	assert_int_equal(parse_exact((const uint8_t *)"hello", 5, &image, &error), -EINVAL);
	assert_int_equal(error, ELF_NOT_ELF);
	for (int i = 0; i < ELF_ERROR_COUNT; i++)
		assert_non_null(elf_error_text((enum elf_error)i));
	assert_string_equal(elf_error_text((enum elf_error)9999), "unknown error");
}

static const struct memmap start_map = {
	.nr = 2,
	.r = {{0, 0xa0000, MEMMAP_RAM}, {0x100000, 0x8000000, MEMMAP_RAM}},
};

static void test_start_info(void **state)
{
	const struct start_info_config config = {
		.flags = 3,
		.cmdline = "console=hvc0",
		.rsdp_paddr = 0x7000,
		.nr_modules = 2,
		.modules = {{0x4000000, 0x1234, NULL}, {0x5000000, 0x10, "second"}},
		.map = &start_map,
	};
	const uint64_t gpa = 0x9000;
	struct hvm_start_info si;
	struct hvm_modlist_entry mod[2];
	struct hvm_memmap_table_entry map[2];
	size_t size = start_info_size(&config);
	uint8_t *b = malloc(size);

	(void)state;
	assert_non_null(b);
	assert_int_equal(size % 8, 0);
	assert_int_equal(start_info_build(b, size - 1, gpa, &config), -ENOSPC);
	assert_int_equal(start_info_build(b, size, gpa + 4, &config), -EINVAL);
	assert_int_equal(start_info_build(b, size, UINT64_C(1) << 32, &config), -EINVAL);
	assert_int_equal(start_info_build(b, size, 0xfffffff8, &config), -EINVAL);
	assert_int_equal(start_info_build(b, size, gpa, &config), 0);
	memcpy(&si, b, sizeof(si));
	assert_int_equal(si.magic, XEN_HVM_START_MAGIC_VALUE);
	assert_int_equal(si.version, 1);
	assert_int_equal(si.flags, 3);
	assert_int_equal(si.rsdp_paddr, 0x7000);
	assert_int_equal(si.nr_modules, 2);
	assert_string_equal((char *)b + (si.cmdline_paddr - gpa), "console=hvc0");
	memcpy(mod, b + (si.modlist_paddr - gpa), sizeof(mod));
	assert_int_equal(mod[0].paddr, 0x4000000);
	assert_int_equal(mod[0].size, 0x1234);
	assert_int_equal(mod[0].cmdline_paddr, 0);
	assert_string_equal((char *)b + (mod[1].cmdline_paddr - gpa), "second");
	assert_int_equal(si.memmap_entries, 2);
	memcpy(map, b + (si.memmap_paddr - gpa), sizeof(map));
	assert_int_equal(map[1].addr, 0x100000);
	assert_int_equal(map[1].size, 0x7f00000);
	assert_int_equal(map[1].type, XEN_HVM_MEMMAP_TYPE_RAM);
	free(b);
}

static void test_start_info_minimal(void **state)
{
	struct start_info_config config = {.flags = 0};
	struct hvm_start_info si;
	char *huge;

	(void)state;
	assert_int_equal(start_info_size(&config), sizeof(si));
	assert_int_equal(start_info_build(&si, sizeof(si), 0x1000, &config), 0);
	assert_int_equal(si.modlist_paddr, 0);
	assert_int_equal(si.cmdline_paddr, 0);
	assert_int_equal(si.memmap_paddr, 0);

	config.nr_modules = START_INFO_MAX_MODULES + 1;
	assert_int_equal(start_info_size(&config), 0);
	config.nr_modules = 0;
	huge = malloc(START_INFO_MAX_CMDLINE + 1);
	assert_non_null(huge);
	memset(huge, 'x', START_INFO_MAX_CMDLINE);
	huge[START_INFO_MAX_CMDLINE] = '\0';
	config.cmdline = huge;
	assert_int_equal(start_info_size(&config), 0);
	assert_int_equal(start_info_build(&si, sizeof(si), 0x1000, &config), -EINVAL);
	huge[START_INFO_MAX_CMDLINE - 1] = '\0';
	assert_int_not_equal(start_info_size(&config), 0);
	free(huge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elf64),
		cmocka_unit_test(test_elf32),
		cmocka_unit_test(test_reloc_note),
		cmocka_unit_test(test_spoiled_images),
		cmocka_unit_test(test_entry_above_4g),
		cmocka_unit_test(test_too_many_segments),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_other_formats),
		cmocka_unit_test(test_start_info),
		cmocka_unit_test(test_start_info_minimal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
