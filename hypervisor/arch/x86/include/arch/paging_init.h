/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Set-up of the hypervisor's address space, and what else only arch/x86 needs of it. */
#ifndef ARCH_PAGING_INIT_H
#define ARCH_PAGING_INIT_H

#include <arch/memmap.h>
#include <bulkhead/addr.h>

/* RAM beyond is not used: the frame table has no place for it. */
#define RAM_LIMIT (1UL << 46)

struct cpu;

/* First half, on the boot loader's identity map: picks and maps the first heap chunk, builds the final root table and
 * loads it. `map`: the machine's RAM without image and modules. */
void paging_init_root(const struct memmap *free_map, uint64_t load_base);
/* Second half: frame table and buddy allocator. No RAM is at or above RAM_LIMIT. */
void paging_init_frames(const struct memmap *machine, const struct memmap *free_map);
/* Root table and windows of one more CPU. 0 or -ENOMEM. */
int paging_cpu_init(struct cpu *c);
/* A root table below 4 GiB with the image and an identity map of one low page, for a processor's start. */
uint64_t paging_trampoline_root(uint64_t low_page);
/* After boot: read-only data is read-only, init code and data are gone. */
void paging_seal(void);
void paging_free_init(void); /* once no CPU has it in its TLB */
uint64_t image_paddr(void);  /* where the image lies */

/* A stack of `pages` with an unmapped page below; returns its top, or NULL. */
void *stack_alloc(unsigned pages);

/* vmap: address space for mappings of single pages. */
void *vmap_pages(const mfn_t *frames, unsigned count, uint64_t prot);
void *vmap_contiguous(uint64_t paddr, unsigned pages, uint64_t prot);
void vmap_unmap(const volatile void *p, unsigned pages); /* clears entries; flushes this CPU only */
void vmap_free_range(const volatile void *p,
		     unsigned pages); /* gives the addresses back, after all CPUs flushed */
void tlb_flush_local_all(void);
void tlb_flush_all(void); /* on every CPU; interrupts on, no lock held */

extern char image_start[], image_end[], text_end[], rodata_end[], data_start[], ro_after_init_end[],
	data_end[], init_start[], init_text_end[], init_end[], ksyms_start[], ksyms_end[],
	bss_start[], bss_end[];

#endif
