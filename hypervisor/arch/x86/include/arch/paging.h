/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypervisor's own address space. */
#ifndef ARCH_PAGING_H
#define ARCH_PAGING_H

/*
 * Layout (canonical upper half; root slots of 512 GiB):
 *   slot 256  heap: machine address p of a heap page is at HEAP_BASE + p; other frames are absent
 *   slot 384  frame table
 *   slot 400  vmap: stacks with guard pages, device registers, gmaps
 *   slot 510  windows: per CPU, different in each root table
 *   slot 511  image, in the last 2 GiB
 */
#define HEAP_BASE	 0xffff800000000000
#define FRAME_TABLE_BASE 0xffffc00000000000
#define VMAP_BASE	 0xffffc80000000000
#define VMAP_SIZE	 0x0000000100000000
#define WINDOW_BASE	 0xffffff0000000000
#define IMAGE_BASE	 0xffffffff80000000

#define WINDOW_SLOTS 16

#define PTE_PRESENT  0x001
#define PTE_WRITE    0x002
#define PTE_USER     0x004
#define PTE_PWT	     0x008
#define PTE_PCD	     0x010
#define PTE_ACCESSED 0x020
#define PTE_DIRTY    0x040
#define PTE_LARGE    0x080
#define PTE_GLOBAL   0x100
#define PTE_NX	     0x8000000000000000
#define PTE_ADDR     0x000ffffffffff000

/*
 * Memory types of the entries 0–7 that PAT, PCD and PWT select: as after reset, but write-combining in place of write-through
 * (SDM vol. 3A 12.12.4). Set on every CPU.
 */
#define HOST_PAT 0x0007040600070106
#define PROT_WRITE_COMBINING \
 (PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL | PTE_ACCESSED | PTE_DIRTY | PTE_PWT)

#ifndef __ASSEMBLER__
# include <bulkhead/addr.h>

/* Maps device memory, uncached, read-write, NX. Offsets within the page are kept. NULL when out of memory. */
void *mmio_map(uint64_t paddr, size_t len);
/* Maps memory that holds tables (ACPI) read-only, cached; undone by mmio_unmap(). */
const void *table_map(uint64_t paddr, size_t len);
/* Removes either mapping, which no other CPU has ever used. */
void mmio_unmap(const volatile void *p, size_t len);
/* The same for one that any CPU may have used, and none does any more. All forget it: interrupts are on. */
void mmio_unmap_everywhere(const volatile void *p, size_t len);
#endif

#endif
