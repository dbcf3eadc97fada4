// SPDX-License-Identifier: GPL-2.0-or-later
// Fakes for tests of the PCI and IOMMU drivers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arch/paging.h>
#include <bulkhead/cpu.h>
#include <bulkhead/errno.h>
#include <bulkhead/irq.h>
#include <bulkhead/log.h>
#include <bulkhead/mm.h>
#include <bulkhead/time.h>

#include "../../hypervisor/drivers/iommu/machine.h"
#include "fake_iommu.h"

#define WEAK __attribute__((weak))

struct cpu *fake_this_cpu;
bool fake_irqs_off;

/* ---- Heap ---- */

bool fake_shadowed;
unsigned fake_heap_live;
int fake_heap_fail_after = -1;

static struct block {
	struct block *next;
	uint8_t *p;
	size_t size;
} * blocks;

static struct block *block_of(const void *p)
{
	for (struct block *b = blocks; b; b = b->next)
		if ((const uint8_t *)p >= b->p && (const uint8_t *)p < b->p + b->size)
			return b;
	return NULL;
}

WEAK void *heap_alloc(size_t size)
{
	size_t room = ALIGN_UP(MAX(size, (size_t)1), PAGE_SIZE);
	struct block *b;

	if (fake_heap_fail_after == 0)
		return NULL;
	if (fake_heap_fail_after > 0)
		fake_heap_fail_after--;
	b = malloc(sizeof(*b));
	b->size = room;
	b->p = aligned_alloc(PAGE_SIZE, 2 * room);
	memset(b->p, 0, room);
	/* Nothing is visible before it is written back. */
	memset(b->p + room, 0xff, room);
	b->next = blocks;
	blocks = b;
	fake_heap_live++;
	return b->p;
}

WEAK void heap_free(void *p)
{
	struct block **link = &blocks, *b;

	if (!p)
		return;
	while (*link && (*link)->p != p)
		link = &(*link)->next;
	b = *link;
	if (!b)
		abort();
	*link = b->next;
	free(b->p);
	free(b);
	fake_heap_live--;
}

WEAK void *heap_page_alloc(void)
{
	return heap_alloc(PAGE_SIZE);
}

WEAK void heap_page_free(void *page)
{
	heap_free(page);
}

WEAK paddr_t heap_paddr(const void *p)
{
	return paddr_from((uintptr_t)p);
}

WEAK void *heap_ptr(paddr_t p)
{
	return (void *)paddr_raw(p);
}

void fake_heap_reset(void)
{
	while (blocks)
		heap_free(blocks->p);
	fake_heap_fail_after = -1;
	fake_shadowed = false;
}

const void *fake_hardware_view(const void *p)
{
	const struct block *b;

	if (!fake_shadowed)
		return p;
	b = block_of(p);
	return b ? (const uint8_t *)p + b->size : NULL;
}

/* ---- Machine ---- */

WEAK void iommu_clean_cache(const void *p, size_t len)
{
	const struct block *b = block_of(p);

	if (!b)
		abort();
	memcpy((uint8_t *)p + b->size, p, len);
}

WEAK void iommu_store128(void *p, uint64_t lo, uint64_t hi)
{
	((uint64_t *)p)[0] = lo;
	((uint64_t *)p)[1] = hi;
}

bool fake_x2apic;
uint32_t fake_apic_id_base = 4;

WEAK uint32_t iommu_apic_id(unsigned cpu)
{
	return fake_apic_id_base + cpu;
}

WEAK bool iommu_apic_x2apic(void)
{
	return fake_x2apic;
}

unsigned fake_attached;

WEAK int irq_attach(struct irq *irq, unsigned cpu)
{
	irq->cpu = cpu;
	irq->vector = (uint8_t)(0x30 + fake_attached++);
	return 0;
}

WEAK void irq_detach(struct irq *irq)
{
	irq->vector = 0;
}

WEAK void arch_msi_compose(const struct irq *irq, struct msi_msg *ret_msg)
{
	ret_msg->address = 0xfee00000UL | (iommu_apic_id(irq->cpu) & 0xff) << 12;
	ret_msg->data = irq->vector;
}

/* ---- Time, log ---- */

uint64_t fake_now, fake_tick;

WEAK uint64_t time_now(void)
{
	return fake_now += fake_tick;
}

char fake_log[65536];
static size_t log_used;

void fake_log_clear(void)
{
	log_used = 0;
	fake_log[0] = 0;
}

unsigned fake_log_count(const char *needle)
{
	unsigned n = 0;

	for (const char *p = fake_log; (p = strstr(p, needle)); p++)
		n++;
	return n;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list ap;
	int n;

	(void)level;
	va_start(ap, fmt);
	n = vsnprintf(fake_log + log_used, sizeof(fake_log) - log_used, fmt, ap);
	va_end(ap);
	log_used = MIN(log_used + (size_t)n, sizeof(fake_log) - 1);
}

jmp_buf *fake_panic_jmp;

void panic(const char *fmt, ...)
{
	va_list ap;

	if (fake_panic_jmp)
		longjmp(*fake_panic_jmp, 1);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

/* ---- PCI ---- */

#define FUNCTIONS 64

static struct function {
	sbdf_t s;
	uint8_t space[4096];
} functions[FUNCTIONS];
static unsigned function_count;

void fake_pci_reset(void)
{
	function_count = 0;
}

static struct function *function_at(sbdf_t s)
{
	for (unsigned i = 0; i < function_count; i++)
		if (sbdf_eq(functions[i].s, s))
			return &functions[i];
	return NULL;
}

uint8_t *fake_pci_add(sbdf_t s)
{
	struct function *f = &functions[function_count++];

	if (function_count > FUNCTIONS)
		abort();
	memset(f, 0, sizeof(*f));
	f->s = s;
	f->space[PCI_VENDOR] = 0x86;
	f->space[PCI_VENDOR + 1] = 0x80;
	f->space[PCI_DEVICE] = (uint8_t)function_count;
	f->space[PCI_COMMAND] = PCI_COMMAND_MASTER;
	return f->space;
}

void fake_pci_bridge(sbdf_t s, unsigned secondary, unsigned subordinate, int pcie_type)
{
	uint8_t *c = fake_pci_add(s);

	c[PCI_HEADER_TYPE] = PCI_HEADER_BRIDGE;
	c[PCI_CLASS_BASE] = PCI_CLASS_BRIDGE;
	c[PCI_CLASS_SUB] = PCI_SUBCLASS_PCI_PCI;
	c[PCI_PRIMARY_BUS] = (uint8_t)sbdf_bus(s);
	c[PCI_SECONDARY_BUS] = (uint8_t)secondary;
	c[PCI_SUBORDINATE_BUS] = (uint8_t)subordinate;
	if (pcie_type < 0)
		return;
	c[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	c[PCI_CAP_POINTER] = 0x40;
	c[0x40] = PCI_CAP_ID_PCIE;
	c[0x42] = (uint8_t)(pcie_type << 4);
}

WEAK uint32_t pci_conf_read(sbdf_t s, unsigned reg, unsigned size)
{
	const struct function *f = function_at(s);
	uint32_t v = 0;

	if (!f)
		return size == 4 ? ~0U : (1U << size * 8) - 1;
	memcpy(&v, f->space + reg, size);
	return v;
}

WEAK void pci_conf_write(sbdf_t s, unsigned reg, unsigned size, uint32_t value)
{
	struct function *f = function_at(s);

	if (f)
		memcpy(f->space + reg, &value, size);
}

WEAK uint32_t pci_port_read(unsigned bdf, unsigned reg, unsigned size)
{
	return pci_conf_read((sbdf_t){bdf}, reg, size);
}

void fake_pci_forget_devices(void)
{
	/* They are heap blocks of the test. */
	list_init(&pci_devices);
}

/* ---- Random numbers (xorshift64) ---- */

static uint64_t random_state = 1;

void fake_random_seed(uint64_t seed)
{
	random_state = seed * 2654435761U + 1;
}

uint64_t fake_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* ---- What only some tests care about ---- */

WEAK bool pci_ecam_get(unsigned idx, uint64_t *ret_base, unsigned *ret_seg, unsigned *ret_first_bus,
		       unsigned *ret_last_bus)
{
	(void)idx;
	(void)ret_base;
	(void)ret_seg;
	(void)ret_first_bus;
	(void)ret_last_bus;
	return false;
}

WEAK void mmio_unmap(const volatile void *p, size_t len)
{
	(void)p;
	(void)len;
}
