// SPDX-License-Identifier: GPL-2.0-or-later
// Loader view of an ELF kernel image with Xen notes: segments, PVH entry, clear errors.
#ifndef BULKHEAD_ELF_H
#define BULKHEAD_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_MAX_SEGMENTS    16
#define ELF_MAX_NOTES_BYTES (1024u * 1024)

/* Segment permissions (ELF gABI, p_flags). */
#define ELF_PF_X 1u
#define ELF_PF_W 2u
#define ELF_PF_R 4u

/* Xen note of kernels from Linux 6.10 on; the 4.17 headers do not have it yet. */
#define ELF_XEN_NOTE_PHYS32_RELOC 19u

enum elf_error {
	ELF_OK = 0,
	ELF_NOT_ELF,
	ELF_IS_BZIMAGE,
	ELF_IS_GZIP,
	ELF_TRUNCATED,
	ELF_BAD_CLASS,
	ELF_BAD_ENDIAN,
	ELF_BAD_MACHINE,
	ELF_BAD_TYPE,
	ELF_BAD_VERSION,
	ELF_BAD_PHDR_SIZE,
	ELF_NO_PHDRS,
	ELF_PHDRS_OUTSIDE,
	ELF_NO_SEGMENTS,
	ELF_TOO_MANY_SEGMENTS,
	ELF_SEGMENT_OUTSIDE,
	ELF_SEGMENT_SIZE,
	ELF_SEGMENT_WRAPS,
	ELF_SEGMENT_OVERLAP,
	ELF_NOTE_OUTSIDE,
	ELF_NOTE_MALFORMED,
	ELF_NO_PVH_NOTE,
	ELF_BAD_PVH_NOTE,
	ELF_PVH_ENTRY_OUTSIDE,
	ELF_BAD_RELOC_NOTE,
	ELF_ERROR_COUNT,
};

/* One PT_LOAD: copy filesz bytes from offset to paddr, clear the rest up to memsz. */
struct elf_segment {
	uint64_t paddr;
	uint64_t vaddr;
	uint64_t offset;
	uint64_t filesz;
	uint64_t memsz;
	uint32_t flags;
};

/* Names the image it was made from: that must outlive it. */
struct elf_image {
	const uint8_t *base;
	size_t size;
	bool is_64bit;
	uint64_t entry; /* e_entry, virtual */

	/* Ordered by paddr, disjoint, without empty ones. */
	unsigned int nr_segments;
	struct elf_segment segments[ELF_MAX_SEGMENTS];
	uint64_t paddr_start; /* of the first segment */
	uint64_t paddr_end;   /* of the last one, exclusive */

	bool have_pvh_entry;
	uint32_t pvh_entry; /* physical */

	/* Where the image may be moved to, if it may (XEN_ELFNOTE_PHYS32_RELOC). */
	bool have_reloc;
	uint32_t reloc_align;
	uint32_t reloc_min;
	uint32_t reloc_max; /* last usable address */
};

struct elf_note {
	const char *name; /* not NUL-terminated; name_len does not count a final NUL */
	uint32_t name_len;
	uint32_t type;
	const uint8_t *desc;
	uint32_t desc_len;
};

/* Text for a person, without a final full stop. */
const char *elf_error_text(enum elf_error error);

/*
 * Reads the headers of an ELF32 or ELF64 x86 image in buf[0, size) and checks them: every segment
 * lies in the buffer, none wraps or overlaps another. Returns 0; on failure -EINVAL with *ret_error
 * set and *ret_image untouched.
 */
int elf_parse(const void *buf, size_t size, struct elf_image *ret_image, enum elf_error *ret_error);

/*
 * Same, and requires a PVH entry point within a segment. A guest kernel is loaded by its PVH note
 * only.
 */
int elf_parse_pvh(const void *buf, size_t size, struct elf_image *ret_image,
		  enum elf_error *ret_error);

/*
 * Finds the note of vendor "Xen" with this type in the PT_NOTE segments. Returns 0, -ENOENT, or
 * -EINVAL for a malformed note segment (elf_parse() has refused those already).
 */
int elf_find_xen_note(const struct elf_image *image, uint32_t type, struct elf_note *ret_note);

/* Value of a note that holds a 4- or 8-byte number: 0, or -EINVAL for another length. */
int elf_note_number(const struct elf_note *note, uint64_t *ret_value);

#endif
