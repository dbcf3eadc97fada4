// SPDX-License-Identifier: GPL-2.0-or-later
// Checks an ELF kernel image and finds what a loader needs in it.
#include <bulkhead/bytes.h>
#include <bulkhead/elf.h>
#include <bulkhead/errno.h>
#include <bulkhead/string.h>

#include <xen/elfnote.h>

/* System V ABI (gABI) chapters 4 and 5. */
#define EI_CLASS    4
#define EI_DATA	    5
#define EI_VERSION  6
#define EI_NIDENT   16
#define ELFCLASS32  1
#define ELFCLASS64  2
#define ELFDATA2LSB 1
#define EV_CURRENT  1
#define ET_EXEC	    2
#define ET_DYN	    3
#define EM_386	    3
#define EM_X86_64   62
#define PT_LOAD	    1
#define PT_NOTE	    4
#define PN_XNUM	    0xffff

#define EHDR32_SIZE	 52
#define EHDR64_SIZE	 64
#define PHDR32_SIZE	 32
#define PHDR64_SIZE	 56
#define NOTE_HEADER_SIZE 12

/* Linux Documentation/arch/x86/boot.rst: the setup header's magic. */
#define BZIMAGE_MAGIC_OFFSET 0x202

/* Paddr above which nothing can be loaded (SDM vol. 3A 4.1.4). */
#define PADDR_LIMIT (UINT64_C(1) << 52)

struct phdr {
	uint32_t type;
	uint32_t flags;
	uint64_t offset;
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t filesz;
	uint64_t memsz;
	uint64_t align;
};

struct phdr_table {
	const uint8_t *first;
	uint32_t nr;
	uint32_t entsize;
	bool is_64bit;
};

static const char *const error_texts[ELF_ERROR_COUNT] = {
	[ELF_OK] = "no error",
	[ELF_NOT_ELF] = "not an ELF image",
	[ELF_IS_BZIMAGE] = "this is a bzImage: unpack it with bh-unpack-kernel",
	[ELF_IS_GZIP] = "this is gzip-compressed: unpack it first",
	[ELF_TRUNCATED] = "the image is truncated",
	[ELF_BAD_CLASS] = "neither a 32-bit nor a 64-bit ELF image",
	[ELF_BAD_ENDIAN] = "not a little-endian ELF image",
	[ELF_BAD_MACHINE] = "not an x86 ELF image",
	[ELF_BAD_TYPE] = "not an executable ELF image",
	[ELF_BAD_VERSION] = "unknown ELF version",
	[ELF_BAD_PHDR_SIZE] = "bad size of a program header",
	[ELF_NO_PHDRS] = "no program headers",
	[ELF_PHDRS_OUTSIDE] = "program headers lie outside the image",
	[ELF_NO_SEGMENTS] = "no loadable segment",
	[ELF_TOO_MANY_SEGMENTS] = "too many loadable segments",
	[ELF_SEGMENT_OUTSIDE] = "a segment lies outside the image",
	[ELF_SEGMENT_SIZE] = "a segment is larger in the file than in memory",
	[ELF_SEGMENT_WRAPS] = "a segment exceeds the address space",
	[ELF_SEGMENT_OVERLAP] = "two segments overlap",
	[ELF_NOTE_OUTSIDE] = "a note segment lies outside the image",
	[ELF_NOTE_MALFORMED] = "a note is malformed",
	[ELF_NO_PVH_NOTE] = "no PVH entry note: the kernel was built without CONFIG_PVH",
	[ELF_BAD_PVH_NOTE] = "the PVH entry note is malformed",
	[ELF_PVH_ENTRY_OUTSIDE] = "the PVH entry point lies outside the segments",
	[ELF_BAD_RELOC_NOTE] = "the PVH relocation note is malformed",
};

const char *elf_error_text(enum elf_error error)
{
	if ((unsigned int)error >= ELF_ERROR_COUNT)
		return "unknown error";
	return error_texts[error];
}

static enum elf_error identify_other(const uint8_t *buf, size_t size)
{
	if (size >= BZIMAGE_MAGIC_OFFSET + 4 && !memcmp(buf + BZIMAGE_MAGIC_OFFSET, "HdrS", 4))
		return ELF_IS_BZIMAGE;
	if (size >= 2 && buf[0] == 0x1f && buf[1] == 0x8b)
		return ELF_IS_GZIP;
	return ELF_NOT_ELF;
}

static enum elf_error check_ident(const uint8_t *buf, size_t size, bool *ret_is_64bit)
{
	static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};

	if (size < sizeof(magic) || memcmp(buf, magic, sizeof(magic)) != 0)
		return identify_other(buf, size);
	if (size < EI_NIDENT)
		return ELF_TRUNCATED;
	if (buf[EI_CLASS] != ELFCLASS32 && buf[EI_CLASS] != ELFCLASS64)
		return ELF_BAD_CLASS;
	if (buf[EI_DATA] != ELFDATA2LSB)
		return ELF_BAD_ENDIAN;
	if (buf[EI_VERSION] != EV_CURRENT)
		return ELF_BAD_VERSION;
	*ret_is_64bit = buf[EI_CLASS] == ELFCLASS64;
	return ELF_OK;
}

static enum elf_error check_header(const uint8_t *buf, size_t size, bool is_64bit,
				   uint64_t *ret_entry, struct phdr_table *ret_table)
{
	uint16_t type, machine, phentsize, phnum;
	uint64_t phoff;

	if (size < (is_64bit ? EHDR64_SIZE : EHDR32_SIZE))
		return ELF_TRUNCATED;
	type = load_u16(buf + 16);
	machine = load_u16(buf + 18);
	if (load_u32(buf + 20) != EV_CURRENT)
		return ELF_BAD_VERSION;
	if (machine != (is_64bit ? EM_X86_64 : EM_386))
		return ELF_BAD_MACHINE;
	if (type != ET_EXEC && type != ET_DYN)
		return ELF_BAD_TYPE;
	*ret_entry = is_64bit ? load_u64(buf + 24) : load_u32(buf + 24);
	phoff = is_64bit ? load_u64(buf + 32) : load_u32(buf + 28);
	phentsize = load_u16(buf + (is_64bit ? 54 : 42));
	phnum = load_u16(buf + (is_64bit ? 56 : 44));

	/* PN_XNUM moves the count elsewhere; no kernel has that many. */
	if (phnum == 0 || phnum == PN_XNUM)
		return ELF_NO_PHDRS;
	if (phentsize < (is_64bit ? PHDR64_SIZE : PHDR32_SIZE))
		return ELF_BAD_PHDR_SIZE;
	if (phoff > size || (uint64_t)phnum * phentsize > size - phoff)
		return ELF_PHDRS_OUTSIDE;
	*ret_table = (struct phdr_table){
		.first = buf + phoff,
		.nr = phnum,
		.entsize = phentsize,
		.is_64bit = is_64bit,
	};
	return ELF_OK;
}

static struct phdr read_phdr(const struct phdr_table *table, uint32_t index)
{
	const uint8_t *p = table->first + (size_t)index * table->entsize;

	if (table->is_64bit)
		return (struct phdr){
			.type = load_u32(p),
			.flags = load_u32(p + 4),
			.offset = load_u64(p + 8),
			.vaddr = load_u64(p + 16),
			.paddr = load_u64(p + 24),
			.filesz = load_u64(p + 32),
			.memsz = load_u64(p + 40),
			.align = load_u64(p + 48),
		};
	return (struct phdr){
		.type = load_u32(p),
		.offset = load_u32(p + 4),
		.vaddr = load_u32(p + 8),
		.paddr = load_u32(p + 12),
		.filesz = load_u32(p + 16),
		.memsz = load_u32(p + 20),
		.flags = load_u32(p + 24),
		.align = load_u32(p + 28),
	};
}

static bool within_file(const struct elf_image *image, const struct phdr *ph)
{
	return ph->offset <= image->size && ph->filesz <= image->size - ph->offset;
}

/* Keeps the segments ordered by address while they come in. */
static enum elf_error add_segment(struct elf_image *image, const struct phdr *ph)
{
	unsigned int i;

	if (!within_file(image, ph))
		return ELF_SEGMENT_OUTSIDE;
	if (ph->filesz > ph->memsz)
		return ELF_SEGMENT_SIZE;
	if (ph->memsz == 0)
		return ELF_OK;
	if (ph->paddr >= PADDR_LIMIT || ph->memsz > PADDR_LIMIT - ph->paddr)
		return ELF_SEGMENT_WRAPS;
	if (image->nr_segments == ELF_MAX_SEGMENTS)
		return ELF_TOO_MANY_SEGMENTS;
	for (i = image->nr_segments; i > 0 && image->segments[i - 1].paddr > ph->paddr; i--)
		image->segments[i] = image->segments[i - 1];
	image->segments[i] = (struct elf_segment){
		.paddr = ph->paddr,
		.vaddr = ph->vaddr,
		.offset = ph->offset,
		.filesz = ph->filesz,
		.memsz = ph->memsz,
		.flags = ph->flags,
	};
	image->nr_segments++;
	return ELF_OK;
}

static enum elf_error read_segments(struct elf_image *image, const struct phdr_table *table)
{
	const struct elf_segment *seg = image->segments;
	enum elf_error err;

	for (uint32_t i = 0; i < table->nr; i++) {
		struct phdr ph = read_phdr(table, i);

		if (ph.type != PT_LOAD)
			continue;
		err = add_segment(image, &ph);
		if (err)
			return err;
	}
	if (image->nr_segments == 0)
		return ELF_NO_SEGMENTS;
	for (unsigned int i = 1; i < image->nr_segments; i++)
		if (seg[i].paddr - seg[i - 1].paddr < seg[i - 1].memsz)
			return ELF_SEGMENT_OVERLAP;
	image->paddr_start = seg[0].paddr;
	image->paddr_end = seg[image->nr_segments - 1].paddr + seg[image->nr_segments - 1].memsz;
	return ELF_OK;
}

/* Reads the note at *pos and moves *pos behind it. */
static bool next_note(const uint8_t *notes, uint32_t size, uint32_t align, uint32_t *pos,
		      struct elf_note *ret_note)
{
	uint32_t name_len, desc_len, name_space, desc_space, left = size - *pos;
	const uint8_t *p = notes + *pos;

	if (left < NOTE_HEADER_SIZE)
		return false;
	name_len = load_u32(p);
	desc_len = load_u32(p + 4);
	left -= NOTE_HEADER_SIZE;
	if (name_len > left)
		return false;
	/* What follows the header and the name starts at a multiple of the alignment. */
	name_space = ((NOTE_HEADER_SIZE + name_len + align - 1) & ~(align - 1)) - NOTE_HEADER_SIZE;
	if (name_space > left || desc_len > left - name_space)
		return false;
	left -= name_space;
	/* The last descriptor may come without its padding. */
	desc_space = (desc_len + align - 1) & ~(align - 1);
	if (desc_space > left)
		desc_space = left;

	ret_note->type = load_u32(p + 8);
	ret_note->name = (const char *)p + NOTE_HEADER_SIZE;
	ret_note->name_len = name_len;
	if (name_len > 0 && p[NOTE_HEADER_SIZE + name_len - 1] == '\0')
		ret_note->name_len--;
	ret_note->desc = p + NOTE_HEADER_SIZE + name_space;
	ret_note->desc_len = desc_len;
	*pos += NOTE_HEADER_SIZE + name_space + desc_space;
	return true;
}

/*
 * Calls the visitor for every note, until it returns true. Note segments
 * are aligned to 4, also in ELF64 images; those that say 8 (GNU properties) mean it.
 */
static enum elf_error visit_notes(const struct elf_image *image, const struct phdr_table *table,
				  bool (*visit)(void *ctx, const struct elf_note *note), void *ctx)
{
	for (uint32_t i = 0; i < table->nr; i++) {
		struct phdr ph = read_phdr(table, i);
		struct elf_note note;
		uint32_t pos = 0;

		if (ph.type != PT_NOTE)
			continue;
		if (!within_file(image, &ph) || ph.filesz > ELF_MAX_NOTES_BYTES)
			return ELF_NOTE_OUTSIDE;
		while (pos < ph.filesz) {
			if (!next_note(image->base + ph.offset, (uint32_t)ph.filesz,
				       ph.align == 8 ? 8 : 4, &pos, &note))
				return ELF_NOTE_MALFORMED;
			if (visit(ctx, &note))
				return ELF_OK;
		}
	}
	return ELF_OK;
}

static bool is_xen_note(const struct elf_note *note)
{
	return note->name_len == 3 && !memcmp(note->name, "Xen", 3);
}

struct xen_notes {
	struct elf_image *image;
	enum elf_error error;
};

static bool read_xen_note(void *ctx, const struct elf_note *note)
{
	struct xen_notes *xn = ctx;
	struct elf_image *image = xn->image;
	uint64_t value;

	if (!is_xen_note(note))
		return false;
	switch (note->type) {
	case XEN_ELFNOTE_PHYS32_ENTRY:
		if (elf_note_number(note, &value) || value > UINT32_MAX) {
			xn->error = ELF_BAD_PVH_NOTE;
			return true;
		}
		image->have_pvh_entry = true;
		image->pvh_entry = (uint32_t)value;
		break;
	case ELF_XEN_NOTE_PHYS32_RELOC:
		/* Alignment, lowest and highest address; the last two may be missing. */
		if (note->desc_len < 4 || note->desc_len % 4 != 0) {
			xn->error = ELF_BAD_RELOC_NOTE;
			return true;
		}
		image->have_reloc = true;
		image->reloc_align = load_u32(note->desc);
		image->reloc_min = note->desc_len >= 8 ? load_u32(note->desc + 4) : 0;
		image->reloc_max = note->desc_len >= 12 ? load_u32(note->desc + 8) : UINT32_MAX;
		if (image->reloc_align & (image->reloc_align - 1) ||
		    image->reloc_min > image->reloc_max) {
			xn->error = ELF_BAD_RELOC_NOTE;
			return true;
		}
		break;
	default:
		break;
	}
	return false;
}

static enum elf_error parse(const uint8_t *buf, size_t size, struct elf_image *image)
{
	struct xen_notes xn = {.image = image};
	struct phdr_table table;
	enum elf_error err;

	memset(image, 0, sizeof(*image));
	image->base = buf;
	image->size = size;
	err = check_ident(buf, size, &image->is_64bit);
	if (err)
		return err;
	err = check_header(buf, size, image->is_64bit, &image->entry, &table);
	if (err)
		return err;
	err = read_segments(image, &table);
	if (err)
		return err;
	err = visit_notes(image, &table, read_xen_note, &xn);
	return err ? err : xn.error;
}

int elf_parse(const void *buf, size_t size, struct elf_image *ret_image, enum elf_error *ret_error)
{
	struct elf_image image;

	*ret_error = parse(buf, size, &image);
	if (*ret_error)
		return -EINVAL;
	*ret_image = image;
	return 0;
}

static bool entry_in_segment(const struct elf_image *image)
{
	for (unsigned int i = 0; i < image->nr_segments; i++) {
		const struct elf_segment *seg = &image->segments[i];

		if (image->pvh_entry >= seg->paddr && image->pvh_entry - seg->paddr < seg->filesz &&
		    (seg->flags & ELF_PF_X))
			return true;
	}
	return false;
}

int elf_parse_pvh(const void *buf, size_t size, struct elf_image *ret_image,
		  enum elf_error *ret_error)
{
	struct elf_image image;

	*ret_error = parse(buf, size, &image);
	if (*ret_error == ELF_OK && !image.have_pvh_entry)
		*ret_error = ELF_NO_PVH_NOTE;
	if (*ret_error == ELF_OK && !entry_in_segment(&image))
		*ret_error = ELF_PVH_ENTRY_OUTSIDE;
	if (*ret_error)
		return -EINVAL;
	*ret_image = image;
	return 0;
}

struct note_search {
	uint32_t type;
	bool found;
	struct elf_note note;
};

static bool match_note(void *ctx, const struct elf_note *note)
{
	struct note_search *search = ctx;

	if (note->type != search->type || !is_xen_note(note))
		return false;
	search->note = *note;
	search->found = true;
	return true;
}

int elf_find_xen_note(const struct elf_image *image, uint32_t type, struct elf_note *ret_note)
{
	struct note_search search = {.type = type};
	struct phdr_table table;
	uint64_t entry;

	if (check_header(image->base, image->size, image->is_64bit, &entry, &table) ||
	    visit_notes(image, &table, match_note, &search))
		return -EINVAL;
	if (!search.found)
		return -ENOENT;
	*ret_note = search.note;
	return 0;
}

int elf_note_number(const struct elf_note *note, uint64_t *ret_value)
{
	if (note->desc_len == 4)
		*ret_value = load_u32(note->desc);
	else if (note->desc_len == 8)
		*ret_value = load_u64(note->desc);
	else
		return -EINVAL;
	return 0;
}
