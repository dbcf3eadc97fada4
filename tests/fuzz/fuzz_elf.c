// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: the ELF loader part. The input is an image.
// links: hypervisor/common/elf.c
#include <stdlib.h>
#include <string.h>

#include <bulkhead/elf.h>

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_image(const struct elf_image *image)
{
	struct elf_note note;
	uint64_t value;

	require(image->nr_segments > 0 && image->nr_segments <= ELF_MAX_SEGMENTS);
	for (unsigned int i = 0; i < image->nr_segments; i++) {
		const struct elf_segment *s = &image->segments[i];

		require(s->offset <= image->size && s->filesz <= image->size - s->offset);
		require(s->filesz <= s->memsz && s->memsz > 0);
		require(s->paddr >= image->paddr_start);
		require(s->paddr + s->memsz > s->paddr && s->paddr + s->memsz <= image->paddr_end);
		require(i == 0 || s->paddr >= s[-1].paddr + s[-1].memsz);
	}
	for (uint32_t type = 0; type < 20; type++) {
		if (elf_find_xen_note(image, type, &note) != 0)
			continue;
		require(note.desc >= image->base && note.desc <= image->base + image->size);
		require(note.desc_len <= (size_t)(image->base + image->size - note.desc));
		(void)elf_note_number(&note, &value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct elf_image image;
	enum elf_error error = ELF_OK;

	require(copy != NULL);
	memcpy(copy, data, size);
	if (elf_parse(copy, size, &image, &error) == 0)
		check_image(&image);
	else
		require(error != ELF_OK && elf_error_text(error) != NULL);
	if (elf_parse_pvh(copy, size, &image, &error) == 0)
		require(image.have_pvh_entry && image.pvh_entry >= image.paddr_start &&
			image.pvh_entry < image.paddr_end);
	free(copy);
	return 0;
}
