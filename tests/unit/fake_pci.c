// SPDX-License-Identifier: GPL-2.0-or-later
// PCI functions, a p2m and interrupts for tests of vPCI; to be compiled with -include fake_x86.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_pci.h"

#include <arch/hvm_io.h>
#include <arch/machine.h>
#include <arch/paging.h>
#include <bulkhead/errno.h>
#include <bulkhead/iommu.h>
#include <bulkhead/mm.h>

static void check(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fake PCI: %s\n", what);
		abort();
	}
}

/* ---- Functions ---- */

struct fake_function fake_functions[FAKE_FUNCTIONS];
struct list pci_devices = LIST_INIT(pci_devices);
static struct {
	uint64_t base;
	unsigned seg, first, last;
} ecams[4];
static unsigned ecam_count;

static struct fake_function *function_at(sbdf_t s)
{
	for (unsigned i = 0; i < FAKE_FUNCTIONS; i++)
		if (fake_functions[i].present && sbdf_eq(fake_functions[i].pci.sbdf, s))
			return &fake_functions[i];
	return NULL;
}

struct fake_function *fake_pci_function(sbdf_t s)
{
	for (unsigned i = 0; i < FAKE_FUNCTIONS; i++) {
		struct fake_function *f = &fake_functions[i];

		if (f->present)
			continue;
		memset(f, 0, sizeof(*f));
		f->present = true;
		f->pci.sbdf = s;
		fake_pci_set(f, PCI_VENDOR, 4, 0x12348086);
		fake_pci_set(f, 0x08, 4, 0x02000001);
		fake_pci_mask(f, PCI_COMMAND, 2, 0x0547);
		fake_pci_mask(f, 0x0c, 2, 0xffff);
		fake_pci_mask(f, 0x3c, 1, 0xff);
		f->write1[PCI_STATUS + 1] = 0xf9;
		fake_pci_set(f, 0x2c, 4, 0xabcd1af4);
		fake_pci_set(f, 0x3d, 1, 1);
		return f;
	}
	check(false, "too many functions");
	return NULL;
}

void fake_pci_know(struct fake_function *f)
{
	f->known = true;
	f->pci.vendor = (uint16_t)fake_pci_get(f, PCI_VENDOR, 2);
	list_insert_before(&pci_devices, &f->pci.link);
}

void fake_pci_set(struct fake_function *f, unsigned reg, unsigned size, uint32_t value)
{
	memcpy(&f->config[reg], &value, size);
}

uint32_t fake_pci_get(const struct fake_function *f, unsigned reg, unsigned size)
{
	uint32_t v = 0;

	memcpy(&v, &f->config[reg], size);
	return v;
}

void fake_pci_mask(struct fake_function *f, unsigned reg, unsigned size, uint32_t writable)
{
	memcpy(&f->writable[reg], &writable, size);
}

void fake_pci_bar32(struct fake_function *f, unsigned idx, uint32_t size, uint32_t address)
{
	fake_pci_set(f, 0x10 + idx * 4, 4, address);
	fake_pci_mask(f, 0x10 + idx * 4, 4, ~(size - 1) & ~0xfU);
}

void fake_pci_bar64(struct fake_function *f, unsigned idx, uint64_t size, uint64_t address)
{
	uint64_t mask = ~(size - 1) & ~0xfULL;

	fake_pci_set(f, 0x10 + idx * 4, 4, (uint32_t)address | 0xc);
	fake_pci_set(f, 0x14 + idx * 4, 4, (uint32_t)(address >> 32));
	fake_pci_mask(f, 0x10 + idx * 4, 4, (uint32_t)mask);
	fake_pci_mask(f, 0x14 + idx * 4, 4, (uint32_t)(mask >> 32));
}

void fake_pci_io(struct fake_function *f, unsigned idx, uint32_t size, uint32_t address)
{
	fake_pci_set(f, 0x10 + idx * 4, 4, address | 1);
	fake_pci_mask(f, 0x10 + idx * 4, 4, ~(size - 1) & ~3U & 0xffff);
}

void fake_pci_rom(struct fake_function *f, unsigned reg, uint32_t size, uint32_t address)
{
	fake_pci_set(f, reg, 4, address);
	fake_pci_mask(f, reg, 4, (~(size - 1) & ~0x7ffU) | 1);
}

void fake_pci_cap(struct fake_function *f, unsigned pos, uint8_t id, uint8_t next)
{
	if (!f->config[PCI_CAP_POINTER])
		f->config[PCI_CAP_POINTER] = (uint8_t)pos;
	f->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	f->config[pos] = id;
	f->config[pos + 1] = next;
}

void fake_pci_ext_cap(struct fake_function *f, unsigned pos, uint16_t id, unsigned next)
{
	fake_pci_set(f, pos, 4, id | 1U << 16 | next << 20);
}

void fake_pci_msi(struct fake_function *f, unsigned pos, uint8_t next, unsigned log2, bool is64,
		  bool maskable)
{
	unsigned data = pos + (is64 ? 12 : 8);

	fake_pci_cap(f, pos, PCI_CAP_ID_MSI, next);
	fake_pci_set(f, pos + 2, 2, log2 << 1 | (is64 ? 0x80 : 0) | (maskable ? 0x100 : 0));
	fake_pci_mask(f, pos + 2, 2, 0x71);
	fake_pci_mask(f, pos + 4, 4, 0xfffffffc);
	if (is64)
		fake_pci_mask(f, pos + 8, 4, 0xffffffff);
	fake_pci_mask(f, data, 2, 0xffff);
	if (maskable)
		fake_pci_mask(f, data + 4, 4, log2 >= 5 ? ~0U : (1U << (1U << log2)) - 1);
}

void fake_pci_msix(struct fake_function *f, unsigned pos, uint8_t next, unsigned count,
		   unsigned table_bar, uint32_t table, unsigned pba_bar, uint32_t pba)
{
	fake_pci_cap(f, pos, PCI_CAP_ID_MSIX, next);
	fake_pci_set(f, pos + 2, 2, count - 1);
	fake_pci_mask(f, pos + 2, 2, 0xc000);
	fake_pci_set(f, pos + 4, 4, table | table_bar);
	fake_pci_set(f, pos + 8, 4, pba | pba_bar);
	f->memory_bar = table_bar;
	for (unsigned i = 0; i < count && table + i * 16 + 12 < FAKE_MEMORY_SIZE; i++)
		f->memory[table + i * 16 + 12] = 1;
}

void fake_pci_lose_state(struct fake_function *f)
{
	for (unsigned i = 0; i < sizeof(f->config); i++)
		f->config[i] &= (uint8_t)~f->writable[i];
	memset(f->memory, 0, sizeof(f->memory));
}

static bool is_bar(const struct fake_function *f, unsigned reg)
{
	if ((f->config[PCI_HEADER_TYPE] & 0x7f) == PCI_HEADER_BRIDGE)
		return reg >= 0x10 && reg < 0x18;
	return reg >= 0x10 && reg < 0x28;
}

uint32_t pci_conf_read(sbdf_t s, unsigned reg, unsigned size)
{
	const struct fake_function *f = function_at(s);

	check(!(reg & (size - 1)) && reg + size <= 4096 && size <= 4, "unaligned config read");
	if (!f)
		return size == 4 ? ~0U : (1U << size * 8) - 1;
	return fake_pci_get(f, reg, size);
}

void pci_conf_write(sbdf_t s, unsigned reg, unsigned size, uint32_t value)
{
	struct fake_function *f = function_at(s);

	check(!(reg & (size - 1)) && reg + size <= 4096 && size <= 4, "unaligned config write");
	check(size == 4 || value < 1U << size * 8, "config write of more bits than fit");
	if (!f)
		return;
	f->config_writes++;
	if (is_bar(f, reg) && (f->config[PCI_COMMAND] & PCI_COMMAND_MEMORY))
		f->bar_writes_while_decoding++;
	for (unsigned i = 0; i < size; i++) {
		uint8_t b = (uint8_t)(value >> i * 8), w = f->writable[reg + i];

		f->config[reg + i] = (uint8_t)((f->config[reg + i] & ~w) | (b & w));
		f->config[reg + i] &= (uint8_t) ~(b & f->write1[reg + i]);
	}
}

unsigned pci_find_capability(sbdf_t s, unsigned id)
{
	unsigned pos;

	if (!(pci_conf_read(s, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	pos = pci_conf_read(s, PCI_CAP_POINTER, 1) & 0xfc;
	for (unsigned n = 0; n < 48 && pos >= 0x40; n++) {
		if (pci_conf_read(s, pos, 1) == id)
			return pos;
		pos = pci_conf_read(s, pos + 1, 1) & 0xfc;
	}
	return 0;
}

void pci_stop_dma(sbdf_t s)
{
	pci_conf_write(s, PCI_COMMAND, 2,
		       pci_conf_read(s, PCI_COMMAND, 2) & ~(uint32_t)PCI_COMMAND_MASTER);
}

struct pci_dev *pci_find(sbdf_t s)
{
	struct fake_function *f = function_at(s);

	return f && f->known ? &f->pci : NULL;
}

int pci_dev_add(sbdf_t s, struct pci_dev **ret_dev)
{
	struct fake_function *f = function_at(s);

	check(f != NULL, "adding a device that is not there");
	*ret_dev = &f->pci;
	if (f->known)
		return -EEXIST;
	fake_pci_know(f);
	return 0;
}

int pci_ecam_add(uint64_t base, unsigned seg, unsigned first_bus, unsigned last_bus)
{
	for (unsigned i = 0; i < ecam_count; i++)
		if (ecams[i].base == base && ecams[i].seg == seg)
			return -EEXIST;
	check(ecam_count < ARRAY_SIZE(ecams), "too many ECAM windows");
	ecams[ecam_count].base = base;
	ecams[ecam_count].seg = seg;
	ecams[ecam_count].first = first_bus;
	ecams[ecam_count].last = last_bus;
	ecam_count++;
	return 0;
}

bool pci_ecam_get(unsigned idx, uint64_t *ret_base, unsigned *ret_seg, unsigned *ret_first_bus,
		  unsigned *ret_last_bus)
{
	if (idx >= ecam_count)
		return false;
	*ret_base = ecams[idx].base;
	*ret_seg = ecams[idx].seg;
	*ret_first_bus = ecams[idx].first;
	*ret_last_bus = ecams[idx].last;
	return true;
}

uint64_t fake_iommu_page, fake_ecam_page;

bool pci_is_ecam(uint64_t paddr)
{
	return fake_ecam_page && paddr >> PAGE_SHIFT == fake_ecam_page;
}

bool iommu_owns(uint64_t paddr)
{
	return fake_iommu_page && paddr >> PAGE_SHIFT == fake_iommu_page;
}

bool pci_has_ecam(uint64_t start, uint64_t end)
{
	uint64_t page = fake_ecam_page << PAGE_SHIFT;

	return fake_ecam_page && start < page + PAGE_SIZE && page < end;
}

bool iommu_owns_part(uint64_t start, uint64_t end)
{
	uint64_t page = fake_iommu_page << PAGE_SHIFT;

	return fake_iommu_page && start < page + PAGE_SIZE && page < end;
}

/* ---- Device memory ---- */

bool fake_pci_strict = true;
static uint8_t nowhere[FAKE_MEMORY_SIZE] __aligned(4096);

static uint64_t bar_address(const struct fake_function *f, unsigned idx)
{
	uint32_t low = fake_pci_get(f, 0x10 + idx * 4, 4);
	uint64_t address = low & ~0xfU;

	if ((low & 6) == 4)
		address |= (uint64_t)fake_pci_get(f, 0x14 + idx * 4, 4) << 32;
	return address;
}

/* What answers there is found when it is mapped: BARs do not move while they are. */
void *mmio_map(uint64_t paddr, size_t len)
{
	if (fake_heap_fail_after == 0)
		return NULL;
	for (unsigned i = 0; i < FAKE_FUNCTIONS; i++) {
		struct fake_function *f = &fake_functions[i];
		uint64_t base;

		if (!f->present)
			continue;
		base = bar_address(f, f->memory_bar) & ~0xfffULL;
		if (base && paddr >= base && paddr + len <= base + FAKE_MEMORY_SIZE) {
			fake_heap_live++;
			return &f->memory[paddr - base];
		}
	}
	check(!fake_pci_strict && len <= sizeof(nowhere),
	      "mapping device memory that is not there");
	fake_heap_live++;
	return nowhere;
}

void mmio_unmap(const volatile void *p, size_t len)
{
	check(p != NULL && len, "unmapping nothing");
	fake_heap_live--;
	fake_local_unmaps++;
}

void mmio_unmap_everywhere(const volatile void *p, size_t len)
{
	check(p != NULL && len, "unmapping nothing");
	check(!fake_irqs_off, "other CPUs cannot be waited for");
	fake_heap_live--;
}

/* ---- Machine memory ---- */

#define RAM_FRAMES 0x1000 /* 16 MiB */
static struct page frames[RAM_FRAMES];
struct page *frame_table = frames;
uint64_t frame_count = RAM_FRAMES;
struct memmap machine_map;

/* ---- The p2m: a hash of 4 KiB frames, and superpages as entries of their own ---- */

#define SLOTS 65536

struct slot {
	uint64_t gfn, mfn;
	unsigned order;
	enum p2m_type type;
	bool used;
};
static struct slot slots[SLOTS];
unsigned fake_p2m_changes, fake_p2m_max_step, fake_p2m_batches;
int fake_p2m_fail_after = -1;
static unsigned step_changes;

static struct slot *slot_of(uint64_t gfn, unsigned order, bool make)
{
	uint64_t h = (gfn * 0x9e3779b97f4a7c15ULL + order) >> 48;

	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &slots[(h + i) % SLOTS];

		if (s->used && s->gfn == gfn && s->order == order)
			return s;
		if (!s->used) {
			if (!make)
				return NULL;
			*s = (struct slot){.gfn = gfn, .order = order, .used = true};
			return s;
		}
	}
	check(false, "the p2m is full");
	return NULL;
}

static const unsigned orders[] = {ORDER_4K, ORDER_2M, ORDER_1G};

static const struct slot *lookup(uint64_t gfn)
{
	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
		const struct slot *s = slot_of(gfn & ~((1UL << orders[i]) - 1), orders[i], false);

		if (s && s->type != P2M_NONE)
			return s;
	}
	return NULL;
}

/* An entry of orders[i], if there is one, becomes a table of the next smaller ones. */
static void split(uint64_t gfn, unsigned i)
{
	struct slot *s = slot_of(gfn, orders[i], false);

	if (!s || s->type == P2M_NONE)
		return;
	for (uint64_t n = 0; n < 1UL << orders[i]; n += 1UL << orders[i - 1]) {
		slot_of(gfn + n, orders[i - 1], true)->mfn = s->mfn + n;
		slot_of(gfn + n, orders[i - 1], true)->type = s->type;
	}
	s->type = P2M_NONE;
}

static bool memory_at(uint64_t gfn, unsigned order)
{
	const struct slot *s = lookup(gfn);

	if (s && s->type != P2M_MMIO)
		return true;
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].used && slots[i].gfn >> order == gfn >> order &&
		    slots[i].order <= order && slots[i].type != P2M_NONE &&
		    slots[i].type != P2M_MMIO)
			return true;
	return false;
}

/* `device`: see p2m_set() and p2m_clear_mmio(). */
static int change(uint64_t gfn, uint64_t mfn, unsigned order, enum p2m_type type, bool device)
{
	check(IS_ALIGNED(gfn, 1UL << order), "an entry that is not aligned");
	check(type == P2M_NONE || IS_ALIGNED(mfn, 1UL << order), "a frame that is not aligned");
	if (device && memory_at(gfn, order))
		return -EBUSY;
	if (fake_p2m_fail_after == 0)
		return -ENOMEM;
	if (fake_p2m_fail_after > 0)
		fake_p2m_fail_after--;
	fake_p2m_changes++;
	step_changes++;
	fake_p2m_max_step = MAX(fake_p2m_max_step, step_changes);
	for (unsigned i = ARRAY_SIZE(orders) - 1; orders[i] > order; i--)
		split(gfn & ~((1UL << orders[i]) - 1), i);
	/* A superpage replaces the table below it. */
	for (unsigned i = 0; order && i < SLOTS; i++)
		if (slots[i].used && slots[i].order < order &&
		    slots[i].gfn >> order == gfn >> order)
			slots[i].type = P2M_NONE;
	slot_of(gfn, order, true)->mfn = mfn;
	slot_of(gfn, order, true)->type = type;
	return 0;
}

int p2m_set(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, enum p2m_type type)
{
	(void)d;
	return change(gfn_raw(gfn), mfn_raw(mfn), order, type, type == P2M_MMIO);
}

int p2m_clear(struct domain *d, gfn_t gfn, unsigned order)
{
	(void)d;
	return change(gfn_raw(gfn), 0, order, P2M_NONE, false);
}

int p2m_clear_mmio(struct domain *d, gfn_t gfn, unsigned order)
{
	(void)d;
	return change(gfn_raw(gfn), 0, order, P2M_NONE, true);
}

int p2m_set_range(struct domain *d, gfn_t gfn, mfn_t mfn, uint64_t count, enum p2m_type type)
{
	uint64_t g = gfn_raw(gfn), m = mfn_raw(mfn);

	(void)d;
	while (count) {
		unsigned order = ORDER_4K;
		int err;

		for (unsigned i = 0; i < ARRAY_SIZE(orders); i++)
			if (IS_ALIGNED(g | m, 1UL << orders[i]) && count >> orders[i])
				order = orders[i];
		err = change(g, m, order, type, type == P2M_MMIO);
		if (err)
			return err;
		g += 1UL << order;
		m += 1UL << order;
		count -= 1UL << order;
	}
	return 0;
}

void p2m_batch_begin(struct domain *d)
{
	(void)d;
	if (!fake_p2m_batches++)
		step_changes = 0;
}

void p2m_batch_end(struct domain *d)
{
	(void)d;
	check(fake_p2m_batches--, "batches do not nest");
}

mfn_t p2m_lookup_order(struct domain *d, gfn_t gfn, enum p2m_type *ret_type, unsigned *ret_order)
{
	const struct slot *s = lookup(gfn_raw(gfn));

	(void)d;
	*ret_type = s ? s->type : P2M_NONE;
	/* A hole is as large as its surroundings without an entry; all of ours are below 4 GiB, or alone in a GiB. */
	*ret_order = s ? s->order : gfn_raw(gfn) >> 20 ? ORDER_2M : ORDER_4K;
	return s ? mfn_from(s->mfn + gfn_raw(gfn) - s->gfn) : mfn_invalid();
}

bool fake_p2m_is(uint64_t gfn, uint64_t pages, uint64_t mfn, enum p2m_type type)
{
	for (uint64_t i = 0; i < pages; i++) {
		const struct slot *s = lookup(gfn + i);

		if (!s || s->type != type || s->mfn + (gfn + i - s->gfn) != mfn + i)
			return false;
	}
	return true;
}

unsigned fake_p2m_count(bool (*fn)(uint64_t gfn, uint64_t mfn, unsigned order, enum p2m_type type))
{
	unsigned n = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].used && slots[i].type != P2M_NONE)
			n += fn(slots[i].gfn, slots[i].mfn, slots[i].order, slots[i].type);
	return n;
}

bool fake_p2m_empty(uint64_t gfn, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		if (lookup(gfn + i))
			return false;
	return true;
}

void fake_p2m_put(uint64_t gfn, uint64_t pages, uint64_t mfn, enum p2m_type type)
{
	p2m_set_range(NULL, gfn_from(gfn), mfn_from(mfn), pages, type);
}

/* ---- Interrupts ---- */

bool fake_intremap;
unsigned fake_local_unmaps;
unsigned fake_irqs_attached, fake_irqs_mapped;
int fake_irq_fail_after = -1;
static struct irq *mapped[256]; /* by handle */
static uint8_t next_vector = 0x40;

int irq_attach(struct irq *irq, unsigned cpu)
{
	check(irq->handler != NULL, "an interrupt without a handler");
	check(!irq->vector, "attached twice");
	if (fake_irq_fail_after == 0)
		return -ENOSPC;
	if (fake_irq_fail_after > 0)
		fake_irq_fail_after--;
	irq->cpu = cpu;
	irq->vector = next_vector++;
	if (next_vector == 0xf0)
		next_vector = 0x40;
	fake_irqs_attached++;
	return 0;
}

void irq_detach(struct irq *irq)
{
	check(irq->vector != 0, "detached, but was not attached");
	check(irq->remap == 0, "detached with a remapping entry");
	irq->vector = 0;
	fake_irqs_attached--;
}

/* Address: that of messages with a format of its own, so that a guest's never looks like it. Data: the handle. */
#define HOST_ADDRESS 0xfee00010UL

static void message_of(unsigned handle, struct msi_msg *ret_msg)
{
	ret_msg->address = HOST_ADDRESS;
	ret_msg->data = handle;
}

int iommu_msi_map(struct pci_dev *dev, struct irq *irq, struct msi_msg *ret_msg)
{
	check(dev != NULL && irq->vector, "mapping an interrupt without a vector");
	for (unsigned i = irq->remap ? irq->remap : 1; i < ARRAY_SIZE(mapped); i++) {
		if (mapped[i] && mapped[i] != irq)
			continue;
		if (!mapped[i])
			fake_irqs_mapped++;
		mapped[i] = irq;
		irq->remap = (uint16_t)i;
		message_of(i, ret_msg);
		return 0;
	}
	return -ENOSPC;
}

int iommu_msi_map_multi(struct pci_dev *dev, struct irq *const irqs[], unsigned count,
			struct msi_msg *ret_msg)
{
	check(fake_intremap, "several messages without remapping");
	for (unsigned base = count; base + count <= ARRAY_SIZE(mapped); base += count) {
		unsigned i = 0;

		while (i < count && !mapped[base + i])
			i++;
		if (i < count)
			continue;
		for (i = 0; i < count; i++) {
			check(irqs[i]->vector != 0, "mapping an interrupt without a vector");
			mapped[base + i] = irqs[i];
			irqs[i]->remap = (uint16_t)(base + i);
			fake_irqs_mapped++;
		}
		message_of(base, ret_msg);
		(void)dev;
		return 0;
	}
	return -ENOSPC;
}

void iommu_irq_free(struct pci_dev *dev, struct irq *irq)
{
	(void)dev;
	if (!irq->remap)
		return;
	check(mapped[irq->remap] == irq, "not the owner of the remapping entry");
	mapped[irq->remap] = NULL;
	irq->remap = 0;
	fake_irqs_mapped--;
}

bool iommu_intremap(void)
{
	return fake_intremap;
}

bool fake_message(uint64_t address, uint32_t data)
{
	struct irq *irq;

	if (address != HOST_ADDRESS || data >= ARRAY_SIZE(mapped) || !mapped[data])
		return false;
	irq = mapped[data];
	fake_irqs_off = true;
	irq->handler(irq);
	fake_irqs_off = false;
	return true;
}

void fake_messages_all(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(mapped); i++) {
		if (fake_delivery_count == ARRAY_SIZE(fake_deliveries))
			fake_delivery_count = 0;
		fake_message(HOST_ADDRESS, i);
	}
}

unsigned fake_message_cpu(uint64_t address, uint32_t data)
{
	check(address == HOST_ADDRESS && data < ARRAY_SIZE(mapped) && mapped[data],
	      "no such message");
	return mapped[data]->cpu;
}

struct fake_delivery fake_deliveries[64];
unsigned fake_delivery_count;

unsigned vapic_deliver(struct domain *d, const struct vapic_message *m)
{
	check(fake_delivery_count < ARRAY_SIZE(fake_deliveries), "too many messages");
	fake_deliveries[fake_delivery_count++] = (struct fake_delivery){*m, d};
	return 1;
}

/* Physical identifiers as the ABI has them; logical ones one bit each. */
bool vlapic_match(struct vcpu *v, uint32_t dest, bool logical)
{
	return logical ? dest & 1U << v->id : dest == v->id * 2;
}

/* ---- Guest accesses ---- */

static struct cpu cpu0;
struct cpu *cpu_table[MAX_CPUS];
unsigned guest_deferred_steps;

void fake_run_as(struct vcpu *v)
{
	cpu0.id = 0;
	cpu0.current = v;
	fake_this_cpu = &cpu0;
	cpu_table[0] = &cpu0;
}

static void run_deferred(struct vcpu *v)
{
	while (v->arch.deferred) {
		check(guest_deferred_steps++ < 100000, "deferred work does not end");
		if (v->arch.deferred(v))
			v->arch.deferred = NULL;
	}
}

static uint64_t access(bool port, uint64_t where, unsigned size, bool write, uint64_t value)
{
	struct vcpu *v = cpu0.current;
	int err;

	guest_deferred_steps = 0;
	do {
		uint64_t v64 = value;

		run_deferred(v);
		err = port ? hvm_port_access(v, (unsigned)where, size, write, &v64)
			   : hvm_mmio_access(v, where, size, write, &v64);
		check(err == 0 || err == -EAGAIN, "an access failed");
		check(err == 0 || v->arch.deferred, "to be repeated, but nothing to wait for");
		if (!err)
			value = v64;
	} while (err);
	run_deferred(v);
	return value;
}

uint32_t guest_in(unsigned port, unsigned size)
{
	return (uint32_t)access(true, port, size, false, 0);
}

void guest_out(unsigned port, unsigned size, uint32_t value)
{
	access(true, port, size, true, value);
}

uint64_t guest_read(uint64_t gpa, unsigned size)
{
	return access(false, gpa, size, false, 0);
}

void guest_write(uint64_t gpa, unsigned size, uint64_t value)
{
	access(false, gpa, size, true, value);
}

uint32_t guest_conf_read(sbdf_t s, unsigned reg, unsigned size)
{
	guest_out(0xcf8, 4, 0x80000000U | sbdf_bdf(s) << 8 | (reg & 0xfc));
	return guest_in(0xcfc + (reg & 3), size);
}

void guest_conf_write(sbdf_t s, unsigned reg, unsigned size, uint32_t value)
{
	guest_out(0xcf8, 4, 0x80000000U | sbdf_bdf(s) << 8 | (reg & 0xfc));
	guest_out(0xcfc + (reg & 3), size, value);
}

uint32_t guest_size_bar(sbdf_t s, unsigned reg)
{
	uint32_t old = guest_conf_read(s, reg, 4), size;

	guest_conf_write(s, reg, 4, ~0U);
	size = guest_conf_read(s, reg, 4);
	guest_conf_write(s, reg, 4, old);
	return size;
}

void fake_pci_reset(void)
{
	fake_local_unmaps = 0;
	memset(fake_functions, 0, sizeof(fake_functions));
	memset(slots, 0, sizeof(slots));
	memset(mapped, 0, sizeof(mapped));
	memset(&machine_map, 0, sizeof(machine_map));
	for (unsigned i = 0; i < RAM_FRAMES; i++)
		frames[i].state = PAGE_DOMAIN;
	list_init(&pci_devices);
	ecam_count = 0;
	fake_iommu_page = fake_ecam_page = 0;
	fake_p2m_changes = fake_p2m_max_step = fake_p2m_batches = 0;
	fake_p2m_fail_after = fake_irq_fail_after = -1;
	fake_intremap = fake_pci_strict = true;
	fake_irqs_attached = fake_irqs_mapped = 0;
	fake_delivery_count = 0;
}
