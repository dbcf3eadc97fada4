/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Layout of the image: one segment per protection, each on its own pages. */
#include <arch/paging.h>

#define LOAD_BASE 0x200000

OUTPUT_FORMAT(elf64-x86-64)
OUTPUT_ARCH(i386:x86-64)
ENTRY(boot_entry)

PHDRS
{
	text PT_LOAD FLAGS(5);
	rodata PT_LOAD FLAGS(4);
	data PT_LOAD FLAGS(6);
	init PT_LOAD FLAGS(7);
	ksyms PT_LOAD FLAGS(4);
	bss PT_LOAD FLAGS(6);
	note PT_NOTE FLAGS(4);
}

SECTIONS
{
	. = IMAGE_BASE;
	image_start = .;
	.text : AT(ADDR(.text) - IMAGE_BASE + LOAD_BASE) {
		*(.multiboot2)
		*(.text.entry)
		*(.text .text.*)
		. = ALIGN(4096);
		text_end = .;
	} :text
	.rodata : AT(ADDR(.rodata) - IMAGE_BASE + LOAD_BASE) {
		*(.rodata .rodata.str* .rodata.cst*)
		. = ALIGN(8);
		extable_start = .;
		KEEP(*(.extable))
		extable_end = .;
	} :rodata
	.note.gnu.build-id : AT(ADDR(.note.gnu.build-id) - IMAGE_BASE + LOAD_BASE) {
		build_id_start = .;
		KEEP(*(.note.gnu.build-id))
		build_id_end = .;
		. = ALIGN(4096);
		rodata_end = .;
	} :rodata :note
	.data : AT(ADDR(.data) - IMAGE_BASE + LOAD_BASE) {
		data_start = .;
		*(.data.ro_after_init)
		. = ALIGN(4096);
		ro_after_init_end = .;
		*(.data .data.*)
		. = ALIGN(4096);
		data_end = .;
	} :data
	.init : AT(ADDR(.init) - IMAGE_BASE + LOAD_BASE) {
		init_start = .;
		*(.init.text)
		. = ALIGN(4096);
		init_text_end = .;
		*(.init.data)
		. = ALIGN(8);
		cmdline_params_start = .;
		KEEP(*(.init.params))
		cmdline_params_end = .;
		. = ALIGN(4096);
		init_end = .;
	} :init
	/* Behind all code: its size must not move a function between the two passes of the link. */
	.ksyms : AT(ADDR(.ksyms) - IMAGE_BASE + LOAD_BASE) {
		ksyms_start = .;
		*(.rodata.ksyms)
		. = ALIGN(4096);
		ksyms_end = .;
	} :ksyms
	.bss : AT(ADDR(.bss) - IMAGE_BASE + LOAD_BASE) {
		bss_start = .;
		*(.bss.page_aligned)
		*(.bss .bss.* COMMON)
		. = ALIGN(4096);
		bss_end = .;
	} :bss
	image_end = .;
	/DISCARD/ : {
		*(.comment)
		*(.eh_frame)
		*(.note.GNU-stack)
		*(.note.gnu.property)
	}
}
