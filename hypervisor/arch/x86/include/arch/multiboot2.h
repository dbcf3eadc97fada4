// SPDX-License-Identifier: GPL-2.0-or-later
// Multiboot2: header constants for the entry code, and the parsed boot information.
#ifndef ARCH_MULTIBOOT2_H
#define ARCH_MULTIBOOT2_H

/* Section numbers below are those of the Multiboot2 Specification, version 2.0. */

/* Header in the image (3.1); also used by assembler. */
#define MB2_HEADER_MAGIC     0xe85250d6
#define MB2_HEADER_ARCH_I386 0
#define MB2_HEADER_ALIGN     8
#define MB2_HEADER_SEARCH    32768

/* Register contents at the entry point (3.3). */
#define MB2_ENTRY_MAGIC 0x36d76289

/* Header tags (3.1.4 to 3.1.14). */
#define MB2_HDR_TAG_END		  0
#define MB2_HDR_TAG_INFO_REQUEST  1
#define MB2_HDR_TAG_ADDRESS	  2
#define MB2_HDR_TAG_ENTRY	  3
#define MB2_HDR_TAG_CONSOLE_FLAGS 4
#define MB2_HDR_TAG_FRAMEBUFFER	  5
#define MB2_HDR_TAG_MODULE_ALIGN  6
#define MB2_HDR_TAG_EFI_BS	  7
#define MB2_HDR_TAG_ENTRY_EFI32	  8
#define MB2_HDR_TAG_ENTRY_EFI64	  9
#define MB2_HDR_TAG_RELOCATABLE	  10

#define MB2_HDR_TAG_REQUIRED 0
#define MB2_HDR_TAG_OPTIONAL 1

#define MB2_CONSOLE_REQUIRED 1
#define MB2_CONSOLE_EGA_TEXT 2

#define MB2_LOAD_PREFER_NONE 0
#define MB2_LOAD_PREFER_LOW  1
#define MB2_LOAD_PREFER_HIGH 2

/* Boot information tags (3.6). */
#define MB2_TAG_END	     0
#define MB2_TAG_CMDLINE	     1
#define MB2_TAG_LOADER_NAME  2
#define MB2_TAG_MODULE	     3
#define MB2_TAG_BASIC_MEM    4
#define MB2_TAG_BIOS_DEVICE  5
#define MB2_TAG_MMAP	     6
#define MB2_TAG_VBE	     7
#define MB2_TAG_FRAMEBUFFER  8
#define MB2_TAG_ELF_SECTIONS 9
#define MB2_TAG_APM	     10
#define MB2_TAG_EFI32	     11
#define MB2_TAG_EFI64	     12
#define MB2_TAG_SMBIOS	     13
#define MB2_TAG_ACPI_OLD     14
#define MB2_TAG_ACPI_NEW     15
#define MB2_TAG_NETWORK	     16
#define MB2_TAG_EFI_MMAP     17
#define MB2_TAG_EFI_BS	     18
#define MB2_TAG_EFI32_IH     19
#define MB2_TAG_EFI64_IH     20
#define MB2_TAG_LOAD_BASE    21

#ifndef __ASSEMBLER__

# include <stdbool.h>
# include <stddef.h>
# include <stdint.h>

# include <arch/memmap.h>

# define MB2_MAX_MODULES      8
# define MB2_MAX_CMDLINE      2048
# define MB2_MAX_LOADER_NAME  64
# define MB2_MAX_ELF_SECTIONS 64
# define MB2_RSDP_V1_SIZE     20
# define MB2_RSDP_V2_SIZE     36

/* Boot information larger than this is refused before it is mapped. */
# define MB2_MAX_INFO_SIZE (1024u * 1024)

struct mb2_module {
	uint64_t start; /* physical, [start, end) */
	uint64_t end;
	char cmdline[MB2_MAX_CMDLINE];
};

enum mb2_fb_type {
	MB2_FB_INDEXED = 0,
	MB2_FB_RGB = 1,
	MB2_FB_EGA_TEXT = 2,
};

/* Position of the lowest bit and number of bits of a colour in a pixel. */
struct mb2_fb_field {
	uint8_t shift;
	uint8_t bits;
};

struct mb2_framebuffer {
	uint64_t paddr;
	uint32_t pitch; /* bytes per pixel row, or per text row */
	uint32_t width; /* pixels, or characters */
	uint32_t height;
	uint8_t bpp;
	enum mb2_fb_type type;
	struct mb2_fb_field red, green, blue; /* MB2_FB_RGB only */
};

/* One ELF section header of our own image as the loader placed it. */
struct mb2_elf_section {
	uint32_t name; /* offset in the section name table */
	uint32_t type;
	uint64_t flags;
	uint64_t addr; /* physical address of the contents */
	uint64_t size;
	uint32_t link;
	uint64_t entsize;
};

/*
 * All that the loader said, in copies: the boot information itself is not needed any more. About
 * 36 KiB: static storage.
 */
struct mb2_info {
	char cmdline[MB2_MAX_CMDLINE];	       /* empty if there was none */
	char loader_name[MB2_MAX_LOADER_NAME]; /* empty if there was none */

	unsigned int nr_modules;
	struct mb2_module modules[MB2_MAX_MODULES];

	/* From the E820 tag, or from the UEFI map if that is the only one. */
	struct memmap raw_map;
	struct memmap map; /* raw_map through memmap_sanitize() */
	bool map_is_efi;

	bool have_basic_mem;
	uint32_t mem_lower_kib;
	uint32_t mem_upper_kib;

	bool have_load_base;
	uint32_t load_base;

	bool have_framebuffer;
	struct mb2_framebuffer framebuffer;

	/* Copy of the RSDP, the newer one if there are two; 0 bytes if there is none. */
	uint32_t rsdp_size;
	uint8_t rsdp[MB2_RSDP_V2_SIZE];

	bool have_efi64;
	uint64_t efi64_system_table;
	bool have_efi64_image;
	uint64_t efi64_image_handle;
	bool efi_boot_services; /* the loader did not leave boot services */

	unsigned int nr_elf_sections;
	uint32_t elf_name_section; /* index of the section name table */
	struct mb2_elf_section elf_sections[MB2_MAX_ELF_SECTIONS];
};

/*
 * The size that the boot information claims, from its first 8 bytes: what has to be mapped for
 * mb2_info_init(). Returns 0 or -EINVAL with *ret_reason set.
 */
int mb2_info_size(const void *first8, uint32_t *ret_size, const char **ret_reason);

/*
 * Parses the boot information in buf[0, len). Unknown tags are skipped (3.6.1); a malformed or
 * repeated one is an error. Returns 0, -EINVAL (malformed), -E2BIG (a limit above is exceeded) or
 * -ENOENT (no memory map); *ret_reason then is a constant text, and the contents of *info are
 * unspecified.
 */
int mb2_info_init(struct mb2_info *info, const void *buf, size_t len, const char **ret_reason);

/*
 * The arguments within a command line of the image or of a module. Loaders other than GRUB 2 put
 * the file name first; GRUB's scripts for Xen put the word "placeholder" there. Both are skipped.
 */
const char *mb2_arguments(const char *loader_name, const char *cmdline);

#endif /* __ASSEMBLER__ */
#endif
