/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypervisor's own address space: one root table per CPU, shared but for the windows. No map of guest memory. */
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/paging_init.h>
#include <bulkhead/bitmap.h>
#include <bulkhead/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/mm_init.h>
#include <bulkhead/spinlock.h>
#include <bulkhead/string.h>

#define SIZE_2M	 (2UL << 20)
#define SLOT(va) (((va) >> 39) & 511)

#define PROT_RX	    (PTE_PRESENT | PTE_GLOBAL | PTE_ACCESSED | PTE_DIRTY)
#define PROT_RO	    (PTE_PRESENT | PTE_GLOBAL | PTE_ACCESSED | PTE_DIRTY | PTE_NX)
#define PROT_RW	    (PROT_RO | PTE_WRITE)
#define PROT_DEVICE (PROT_RW | PTE_PCD | PTE_PWT)
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED)

#define VMAP_PAGES (VMAP_SIZE >> PAGE_SHIFT)

extern uint64_t boot_l4[];

static uint64_t *master; /* root table that new CPUs copy; itself the boot CPU's */
static uint64_t load_paddr __ro_after_init;
static spinlock_t map_lock = SPINLOCK_INIT;
static BITMAP_DECLARE(vmap_used, VMAP_PAGES);
static unsigned long vmap_next;

uint64_t image_paddr(void)
{
	return load_paddr;
}

/* Next-level table of an entry, created when absent. NULL: out of memory. */
static uint64_t *table_below(uint64_t *entry)
{
	void *t;

	if (*entry & PTE_PRESENT)
		return heap_ptr(paddr_from(*entry & PTE_ADDR));
	t = heap_page_alloc();
	if (t)
		WRITE_ONCE(*entry, paddr_raw(heap_paddr(t)) | TABLE_FLAGS);
	return t;
}

/* Entry of the wanted level (1: 4 KiB, 2: 2 MiB) for va. NULL: out of memory. */
static uint64_t *entry_for(uint64_t *root, uint64_t va, unsigned level)
{
	uint64_t *table = root;

	for (unsigned l = 4; l > level; l--) {
		table = table_below(&table[(va >> (3 + 9 * l)) & 511]);
		if (!table)
			return NULL;
	}
	return &table[(va >> (3 + 9 * level)) & 511];
}

static int map_range(uint64_t *root, uint64_t va, uint64_t pa, uint64_t size, uint64_t prot)
{
	while (size) {
		uint64_t *e = entry_for(root, va, 2), step = SIZE_2M;
		/* A table that is there stays: other CPUs may remember that it is. It is filled instead. */
		bool large = IS_ALIGNED(va | pa, SIZE_2M) && size >= SIZE_2M && e &&
			     ((*e & PTE_LARGE) || !(*e & PTE_PRESENT));

		if (!large) {
			e = entry_for(root, va, 1);
			step = PAGE_SIZE;
		}
		if (!e)
			return -ENOMEM;
		WRITE_ONCE(*e, pa | prot | (large ? PTE_LARGE : 0));
		va += step;
		pa += step;
		size -= step;
	}
	return 0;
}

static int map_range_locked(uint64_t va, uint64_t pa, uint64_t size, uint64_t prot)
{
	unsigned long irq = spin_lock_irqsave(&map_lock);
	int err = map_range(master, va, pa, size, prot);

	spin_unlock_irqrestore(&map_lock, irq);
	return err;
}

/*
 * The heap grows when it has no page left, so the table that a new GiB of it needs was set aside before. The root's
 * slots and the tables below them are all there from the start (fill_slots()).
 */
static spinlock_t heap_map_lock = SPINLOCK_INIT;
static void *spare_table;

int arch_heap_map(paddr_t chunk)
{
	uint64_t va = HEAP_BASE + paddr_raw(chunk), *l3, *l2;
	unsigned long irq = spin_lock_irqsave(&heap_map_lock);
	int err = 0;

	l3 = heap_ptr(paddr_from(master[SLOT(va)] & PTE_ADDR));
	l3 += (va >> 30) & 511;
	if (!(*l3 & PTE_PRESENT)) {
		if (spare_table)
			WRITE_ONCE(*l3, paddr_raw(heap_paddr(spare_table)) | TABLE_FLAGS);
		else
			err = -ENOMEM;
		spare_table = NULL;
	}
	if (!err) {
		l2 = heap_ptr(paddr_from(*l3 & PTE_ADDR));
		WRITE_ONCE(l2[(va >> 21) & 511], paddr_raw(chunk) | PROT_RW | PTE_LARGE);
	}
	spin_unlock_irqrestore(&heap_map_lock, irq);
	return err;
}

void arch_heap_unmap(paddr_t chunk)
{
	uint64_t va = HEAP_BASE + paddr_raw(chunk), *l3, *l2;
	unsigned long irq = spin_lock_irqsave(&heap_map_lock);

	/* The tables stay. */
	l3 = heap_ptr(paddr_from(master[SLOT(va)] & PTE_ADDR));
	l2 = heap_ptr(paddr_from(l3[(va >> 30) & 511] & PTE_ADDR));
	WRITE_ONCE(l2[(va >> 21) & 511], 0);
	spin_unlock_irqrestore(&heap_map_lock, irq);
}

void arch_heap_flush(void)
{
	tlb_flush_all();
}

void arch_heap_grown(void)
{
	unsigned long irq;
	void *t = NULL;

	if (!READ_ONCE(spare_table))
		t = heap_page_alloc();
	irq = spin_lock_irqsave(&heap_map_lock);
	if (!spare_table) {
		spare_table = t;
		t = NULL;
	}
	spin_unlock_irqrestore(&heap_map_lock, irq);
	heap_page_free(t);
}

/* Largest 2 MiB-aligned chunk choice: the highest one below 4 GiB, away from what firmware and loader like. */
static uint64_t pick_chunk(const struct memmap *m)
{
	uint64_t best = 0;

	for (unsigned i = 0; i < m->nr; i++) {
		uint64_t start = ALIGN_UP(m->r[i].start, SIZE_2M), end = MIN(m->r[i].end, GiB(4));

		if (m->r[i].type != MEMMAP_RAM || start < MiB(2) || end < start + SIZE_2M)
			continue;
		best = MAX(best, ALIGN_DOWN(end - SIZE_2M, SIZE_2M));
	}
	return best;
}

static void map_image(uint64_t *root)
{
	static const struct {
		char *start, *end;
		uint64_t prot;
	} parts[] = {
		{image_start, text_end, PROT_RX},   {text_end, rodata_end, PROT_RO},
		{data_start, data_end, PROT_RW},    {init_start, init_text_end, PROT_RX},
		{init_text_end, init_end, PROT_RW}, {ksyms_start, ksyms_end, PROT_RO},
		{bss_start, bss_end, PROT_RW},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		uint64_t va = (uintptr_t)parts[i].start;

		if (map_range(root, va, load_paddr + va - IMAGE_BASE,
			      (uint64_t)(parts[i].end - parts[i].start), parts[i].prot))
			panic("no memory for the page tables of the image");
	}
}

void paging_init_root(const struct memmap *free_map, uint64_t load_base)
{
	static uint64_t early_l3[512] __aligned(4096), early_l2[512] __aligned(4096);
	uint64_t chunk = pick_chunk(free_map);
	uint64_t va = HEAP_BASE + chunk;

	if (!chunk)
		panic("no 2 MiB of free memory below 4 GiB: the machine has too little memory");
	load_paddr = load_base;
	/* The chunk at its heap address, in the boot tables. */
	early_l2[(va >> 21) & 511] = chunk | PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_NX;
	early_l3[(va >> 30) & 511] = ((uintptr_t)early_l2 - IMAGE_BASE + load_base) | PTE_PRESENT |
				     PTE_WRITE;
	boot_l4[SLOT(HEAP_BASE)] = ((uintptr_t)early_l3 - IMAGE_BASE + load_base) | PTE_PRESENT |
				   PTE_WRITE;
	barrier();
	heap_init(paddr_from(chunk));

	master = heap_page_alloc();
	map_image(master);
	if (map_range(master, va, chunk, SIZE_2M, PROT_RW))
		panic("no memory for the first page tables");
}

/* Every root-table slot that the shared part can ever use exists before the first copy is made. */
static void fill_slots(uint64_t ram_end)
{
	for (uint64_t va = HEAP_BASE; va < HEAP_BASE + ram_end; va += 1UL << 39)
		table_below(&master[SLOT(va)]);
	table_below(&master[SLOT(FRAME_TABLE_BASE)]);
	table_below(&master[SLOT(VMAP_BASE)]);
}

int paging_cpu_init(struct cpu *c)
{
	uint64_t *root = c->id == 0 ? master : heap_page_alloc();
	uint64_t *l3 = heap_page_alloc(), *l2 = heap_page_alloc(), *l1 = heap_page_alloc();

	if (!root || !l3 || !l2 || !l1)
		return -ENOMEM; /* boot ends on this: nothing to give back */
	if (root != master)
		memcpy(root, master, PAGE_SIZE);
	root[SLOT(WINDOW_BASE)] = paddr_raw(heap_paddr(l3)) | TABLE_FLAGS;
	l3[0] = paddr_raw(heap_paddr(l2)) | TABLE_FLAGS;
	l2[0] = paddr_raw(heap_paddr(l1)) | TABLE_FLAGS;
	c->arch.root = root;
	c->arch.window = l1;
	return 0;
}

uint64_t paging_trampoline_root(uint64_t low_page)
{
	/* Pages of the first chunk are below 4 GiB, as CR3 is loaded in 32-bit mode. */
	uint64_t *root = heap_page_alloc(), *e;

	if (!root || paddr_raw(heap_paddr(root)) >= GiB(4))
		return 0;
	memcpy(root, master, PAGE_SIZE);
	root[SLOT(WINDOW_BASE)] = 0;
	e = entry_for(root, low_page, 1);
	if (!e)
		return 0;
	*e = low_page | PTE_PRESENT | PTE_WRITE;
	return paddr_raw(heap_paddr(root));
}

/* Machine memory for the frame table, taken from the free map before there is an allocator. */
static uint64_t boot_take(struct memmap *m, uint64_t size)
{
	for (unsigned i = m->nr; i-- > 0;) {
		uint64_t start = ALIGN_UP(m->r[i].start, SIZE_2M),
			 end = ALIGN_DOWN(m->r[i].end, SIZE_2M);

		if (m->r[i].type != MEMMAP_RAM || start < MiB(2) || end < start + size)
			continue;
		/* Cut the top off; what lies beyond the alignment is lost to the map, at most 2 MiB. */
		m->r[i].end = end - size;
		return end - size;
	}
	panic("no %lu MiB of contiguous memory for the frame table", size >> 20);
}

/*
 * Descriptors exist for frames of RAM. In between, where a descriptor would describe a hole, a page of zeros
 * (PAGE_ABSENT) is mapped read-only, 2 MiB of table at a time where possible.
 */
static void map_frame_table(const struct memmap *machine, struct memmap *free_map)
{
	uint64_t *zero_l1 = heap_page_alloc(), zero = paddr_raw(heap_paddr(heap_page_alloc()));
	uint64_t bytes = ALIGN_UP(frame_count * sizeof(struct page), PAGE_SIZE), need = 0, at, off;
	const uint64_t per_page = PAGE_SIZE / sizeof(struct page) *
				  PAGE_SIZE; /* RAM that a page describes */

	for (unsigned i = 0; i < 512; i++)
		zero_l1[i] = zero | PROT_RO;
	/* Count the pages of the table with RAM behind them. */
	for (off = 0; off < bytes; off += PAGE_SIZE) {
		uint64_t ram = off / PAGE_SIZE * per_page;

		for (unsigned i = 0; i < machine->nr; i++) {
			if (machine->r[i].type == MEMMAP_RAM &&
			    machine->r[i].start < ram + per_page && machine->r[i].end > ram) {
				need += PAGE_SIZE;
				break;
			}
		}
	}
	at = boot_take(free_map, ALIGN_UP(need, SIZE_2M));
	for (off = 0; off < bytes; off += PAGE_SIZE) {
		uint64_t ram = off / PAGE_SIZE * per_page, va = FRAME_TABLE_BASE + off, *e;
		bool used = false;

		for (unsigned i = 0; i < machine->nr && !used; i++)
			used = machine->r[i].type == MEMMAP_RAM &&
			       machine->r[i].start < ram + per_page && machine->r[i].end > ram;
		if (!used && IS_ALIGNED(off, SIZE_2M)) {
			/* Try the whole 2 MiB of table at once. */
			uint64_t span = per_page * 512;
			bool any = false;

			for (unsigned i = 0; i < machine->nr && !any; i++)
				any = machine->r[i].type == MEMMAP_RAM &&
				      machine->r[i].start < ram + span && machine->r[i].end > ram;
			if (!any) {
				e = entry_for(master, va, 2);
				*e = paddr_raw(heap_paddr(zero_l1)) | PTE_PRESENT | PTE_ACCESSED;
				off += SIZE_2M - PAGE_SIZE;
				continue;
			}
		}
		e = entry_for(master, va, 1);
		*e = used ? at | PROT_RW : zero | PROT_RO;
		if (used) {
			memset((void *)va, 0, PAGE_SIZE);
			at += PAGE_SIZE;
		}
	}
	frame_table = (struct page *)FRAME_TABLE_BASE;
}

void paging_init_frames(const struct memmap *machine, const struct memmap *free_map)
{
	static struct memmap left __initdata; /* what goes to the allocator */
	uint64_t ram_end = 0, chunk = paddr_raw(heap_paddr(master)) & ~(SIZE_2M - 1);

	for (unsigned i = 0; i < machine->nr; i++) {
		if (machine->r[i].type == MEMMAP_RAM)
			ram_end = MAX(ram_end, machine->r[i].end);
	}
	frame_count = ram_end >> PAGE_SHIFT;
	fill_slots(ram_end);
	arch_heap_grown();
	write_cr3(paddr_raw(heap_paddr(master)));

	left = *free_map;
	/* The first chunk is the heap's: take it out of the map. */
	for (unsigned i = 0; i < left.nr; i++) {
		struct memmap_region *r = &left.r[i];

		if (r->type == MEMMAP_RAM && r->start <= chunk && r->end >= chunk + SIZE_2M) {
			uint64_t end = r->end;

			r->end = chunk;
			if (end > chunk + SIZE_2M &&
			    memmap_add(&left, chunk + SIZE_2M, end - chunk - SIZE_2M, MEMMAP_RAM))
				log_warn("memory: the map is full, %lu KiB stay unused\n",
					 (end - chunk - SIZE_2M) >> 10);
			break;
		}
	}
	map_frame_table(machine, &left);
	frames_init();
	for (unsigned i = 0; i < machine->nr; i++) {
		if (machine->r[i].type == MEMMAP_RAM)
			frames_account(mfn_from(machine->r[i].start >> PAGE_SHIFT),
				       (machine->r[i].end - machine->r[i].start) >> PAGE_SHIFT);
	}
	for (uint64_t i = 0; i < SIZE_2M / PAGE_SIZE; i++)
		frame_table[(chunk >> PAGE_SHIFT) + i].state = PAGE_HEAP;
	for (unsigned i = 0; i < left.nr; i++) {
		uint64_t start = MAX(left.r[i].start, MiB(1)), end = left.r[i].end;

		if (left.r[i].type == MEMMAP_RAM && start < end)
			frames_add(mfn_from(start >> PAGE_SHIFT), (end - start) >> PAGE_SHIFT);
	}
	/* RAM that is in use already: image, modules, frame table, the first MiB. Known as RAM, so that no device range may
	 * cover it. */
	for (unsigned i = 0; i < machine->nr; i++) {
		for (uint64_t n = machine->r[i].start >> PAGE_SHIFT;
		     machine->r[i].type == MEMMAP_RAM && n < machine->r[i].end >> PAGE_SHIFT; n++) {
			if (frame_table[n].state == PAGE_ABSENT)
				frame_table[n].state = PAGE_OFFLINE;
		}
	}
}

/* Windows: a handful of slots per CPU; interrupt handlers may use them too and leave the mask as they found it. */
void *window_map(mfn_t m)
{
	struct cpu *c = this_cpu();
	unsigned slot = (unsigned)__builtin_ctz(~c->arch.window_depth);
	uint64_t va = WINDOW_BASE + ((uint64_t)slot << PAGE_SHIFT);

	BUG_ON(slot >= WINDOW_SLOTS);
	__asm__ volatile("orl %1, %0"
			 : "+m"(c->arch.window_depth)
			 : "r"(1U << slot)
			 : "memory", "cc");
	WRITE_ONCE(c->arch.window[slot],
		   paddr_raw(mfn_to_paddr(m)) | (PROT_RW & ~(uint64_t)PTE_GLOBAL));
	barrier();
	return (void *)va;
}

void window_unmap(const void *p)
{
	struct cpu *c = this_cpu();
	unsigned slot = (unsigned)(((uintptr_t)p - WINDOW_BASE) >> PAGE_SHIFT);

	barrier();
	WRITE_ONCE(c->arch.window[slot], 0);
	invlpg((const void *)((uintptr_t)p & PAGE_MASK));
	__asm__ volatile("andl %1, %0"
			 : "+m"(c->arch.window_depth)
			 : "r"(~(1U << slot))
			 : "memory", "cc");
}

static unsigned long vmap_take(unsigned pages)
{
	unsigned long start = vmap_next, end;

	for (unsigned pass = 0; pass < 2; pass++) {
		while (start + pages <= VMAP_PAGES) {
			start = bitmap_next_clear(vmap_used, VMAP_PAGES, start);
			end = bitmap_next(vmap_used, MIN(VMAP_PAGES, start + pages), start);
			if (start + pages <= VMAP_PAGES && end >= start + pages) {
				for (unsigned i = 0; i < pages; i++)
					bitmap_set(vmap_used, start + i);
				vmap_next = start + pages;
				return start;
			}
			start = end;
		}
		start = 0;
	}
	return VMAP_PAGES;
}

static uint64_t vmap_reserve(unsigned pages)
{
	unsigned long irq = spin_lock_irqsave(&map_lock), i = vmap_take(pages);

	spin_unlock_irqrestore(&map_lock, irq);
	return i == VMAP_PAGES ? 0 : VMAP_BASE + (i << PAGE_SHIFT);
}

void vmap_free_range(const volatile void *p, unsigned pages)
{
	unsigned long irq = spin_lock_irqsave(&map_lock);
	unsigned long first = ((uintptr_t)p - VMAP_BASE) >> PAGE_SHIFT;

	for (unsigned i = 0; i < pages; i++)
		bitmap_clear(vmap_used, first + i);
	spin_unlock_irqrestore(&map_lock, irq);
}

void vmap_unmap(const volatile void *p, unsigned pages)
{
	uint64_t va = (uintptr_t)p & PAGE_MASK, end = va + ((uint64_t)pages << PAGE_SHIFT), step;

	for (; va < end; va += step) {
		unsigned long irq = spin_lock_irqsave(&map_lock);
		uint64_t *e = entry_for(master, va, 2);

		/* A large one was made by the mapping that goes now, so it goes as a whole. */
		step = SIZE_2M;
		if (e && !(*e & PTE_LARGE)) {
			e = entry_for(master, va, 1);
			step = PAGE_SIZE;
		}
		if (e)
			WRITE_ONCE(*e, 0);
		spin_unlock_irqrestore(&map_lock, irq);
		invlpg((const void *)va);
	}
}

void *vmap_pages(const mfn_t *frames, unsigned count, uint64_t prot)
{
	uint64_t va = vmap_reserve(count);

	for (unsigned i = 0; va && i < count; i++) {
		if (map_range_locked(va + i * PAGE_SIZE, paddr_raw(mfn_to_paddr(frames[i])),
				     PAGE_SIZE, prot)) {
			vmap_unmap((void *)va, i);
			vmap_free_range((void *)va, count);
			return NULL;
		}
	}
	return (void *)va;
}

void *vmap_contiguous(uint64_t paddr, unsigned pages, uint64_t prot)
{
	uint64_t va = vmap_reserve(pages);

	if (va && map_range_locked(va, paddr, (uint64_t)pages << PAGE_SHIFT, prot)) {
		vmap_unmap((void *)va, pages);
		vmap_free_range((void *)va, pages);
		return NULL;
	}
	return (void *)va;
}

static void *map_physical(uint64_t paddr, size_t len, uint64_t prot)
{
	uint64_t offset = paddr & ~PAGE_MASK;
	char *p = vmap_contiguous(paddr - offset, (unsigned)DIV_ROUND_UP(offset + len, PAGE_SIZE),
				  prot);

	return p ? p + offset : NULL;
}

void *mmio_map(uint64_t paddr, size_t len)
{
	return map_physical(paddr, len, PROT_DEVICE);
}

const void *table_map(uint64_t paddr, size_t len)
{
	return map_physical(paddr, len, PROT_RO);
}

static void unmap_physical(const volatile void *p, size_t len, bool everywhere)
{
	uint64_t offset = (uintptr_t)p & ~PAGE_MASK;
	unsigned pages = (unsigned)DIV_ROUND_UP(offset + len, PAGE_SIZE);

	vmap_unmap(p, pages);
	if (everywhere)
		tlb_flush_all();
	/* Nobody remembers it: the addresses can be used again at once. */
	vmap_free_range(p, pages);
}

void mmio_unmap(const volatile void *p, size_t len)
{
	unmap_physical(p, len, false);
}

void mmio_unmap_everywhere(const volatile void *p, size_t len)
{
	unmap_physical(p, len, true);
}

void *stack_alloc(unsigned pages)
{
	uint64_t va = vmap_reserve(pages + 1);

	if (!va)
		return NULL;
	va += PAGE_SIZE; /* the guard page stays unmapped */
	for (unsigned i = 0; i < pages; i++) {
		void *p = heap_page_alloc();

		if (!p || map_range_locked(va + i * PAGE_SIZE, paddr_raw(heap_paddr(p)), PAGE_SIZE,
					   PROT_RW))
			return NULL;
	}
	return (void *)(va + pages * PAGE_SIZE);
}

void tlb_flush_local_all(void)
{
	uint64_t cr4 = read_cr4();

	/* Toggling PGE drops global entries as well (SDM vol. 3A 4.10.4.1). */
	write_cr4(cr4 & ~X86_CR4_PGE);
	write_cr4(cr4);
}

static void flush_this_cpu(void *unused)
{
	(void)unused;
	tlb_flush_local_all();
}

void tlb_flush_all(void)
{
	cpu_call_all(flush_this_cpu, NULL);
}

void paging_seal(void)
{
	uint64_t va;

	map_range_locked((uintptr_t)data_start, load_paddr + (uintptr_t)data_start - IMAGE_BASE,
			 (uint64_t)(ro_after_init_end - data_start), PROT_RO);
	for (va = (uintptr_t)init_start; va < (uintptr_t)init_end; va += PAGE_SIZE) {
		unsigned long irq = spin_lock_irqsave(&map_lock);

		*entry_for(master, va, 1) = 0;
		spin_unlock_irqrestore(&map_lock, irq);
	}
}

void paging_free_init(void)
{
	uint64_t start = load_paddr + (uint64_t)(init_start - image_start),
		 end = load_paddr + (uint64_t)(init_end - image_start);

	frames_add(mfn_from(start >> PAGE_SHIFT), (end - start) >> PAGE_SHIFT);
}
