// SPDX-License-Identifier: GPL-2.0-or-later
// A VT-d unit for unit tests; numbers in comments are sections of the VT-d specification 3.3.
#include <stdlib.h>
#include <string.h>

#include <arch/paging.h>
#include <bulkhead/irq.h>

#include "../../hypervisor/drivers/iommu/machine.h"
#include "fake_iommu.h"
#include "fake_vtd.h"

#define TLB 4096

struct fake_vtd fake_vtd;

static uint8_t regs[0x2000] __attribute__((aligned(4096)));

static struct {
	bool valid;
	uint64_t lo, hi; /* also of entries that were not present, with caching mode */
} contexts[65536];

static struct tlb {
	bool valid, present;
	unsigned domain;
	uint64_t dfn, mfn;
	unsigned flags;
} tlb[TLB];
static unsigned tlb_next;

static struct {
	bool valid;
	uint64_t lo, hi;
} irtes[65536];

static uint64_t get64(unsigned reg)
{
	uint64_t v;

	memcpy(&v, regs + reg, 8);
	return v;
}

static void set64(unsigned reg, uint64_t v)
{
	memcpy(regs + reg, &v, 8);
}

static void set32(unsigned reg, uint32_t v)
{
	memcpy(regs + reg, &v, 4);
}

void fake_vtd_reset(void)
{
	memset(&fake_vtd, 0, sizeof(fake_vtd));
	fake_vtd.cap = FAKE_VTD_CAP;
	fake_vtd.ecap = FAKE_VTD_ECAP;
	memset(regs, 0, sizeof(regs));
	memset(contexts, 0, sizeof(contexts));
	memset(tlb, 0, sizeof(tlb));
	memset(irtes, 0, sizeof(irtes));
	set32(0x38, 1U << 31);
}

void *mmio_map(uint64_t paddr, size_t len)
{
	return paddr == FAKE_VTD_PADDR && len <= sizeof(regs) ? regs : NULL;
}

int irq_attach(struct irq *irq, unsigned cpu)
{
	irq->cpu = cpu;
	irq->vector = (uint8_t)(0x30 + fake_attached++);
	fake_vtd.fault_irq = irq;
	return 0;
}

/* ---- Invalidation ---- */

static void flush_contexts(unsigned kind, unsigned domain, unsigned bdf)
{
	for (unsigned i = 0; i < 65536; i++) {
		unsigned tag = contexts[i].lo & 1 ? contexts[i].hi >> 8 & 0xffff : 0;

		/* 6.5.2.1: a device-selective command has to name the domain that is cached, too. */
		if (kind == 1 || (kind == 2 && tag == domain) ||
		    (kind == 3 && i == bdf && tag == domain))
			contexts[i].valid = false;
	}
}

static void flush_tlb(unsigned kind, unsigned domain, uint64_t dfn, unsigned order)
{
	for (unsigned i = 0; i < TLB; i++)
		if (kind == 1 ||
		    (tlb[i].domain == domain && (kind == 2 || tlb[i].dfn >> order == dfn >> order)))
			tlb[i].valid = false;
}

static void execute(const uint64_t d[2])
{
	unsigned kind = d[0] >> 4 & 3, domain = d[0] >> 16 & 0xffff;

	switch (d[0] & 0xf) {
	case 1:
		fake_vtd.context_flushes++;
		flush_contexts(kind, domain, d[0] >> 32 & 0xffff);
		break;
	case 2:
		fake_vtd.global_flushes += kind == 1;
		fake_vtd.domain_flushes += kind == 2;
		fake_vtd.page_flushes += kind == 3;
		if ((fake_vtd.cap >> 54 & 3) != (d[0] >> 6 & 3))
			abort(); /* drain as the unit can */
		if (kind == 3 &&
		    (!(fake_vtd.cap >> 39 & 1) || (d[1] & 0x3f) > (fake_vtd.cap >> 48 & 0x3f) ||
		     (d[1] >> 12 & ((1UL << (d[1] & 0x3f)) - 1))))
			abort();
		flush_tlb(kind, domain, d[1] >> 12, d[1] & 0x3f);
		break;
	case 4:
		fake_vtd.iec_flushes++;
		for (unsigned i = 0; i < 65536; i++)
			if (!(d[0] & 0x10) || i == (d[0] >> 32 & 0xffff))
				irtes[i].valid = false;
		break;
	case 5:
		if (d[0] & 0x20)
			*(uint32_t *)d[1] = (uint32_t)(d[0] >> 32);
		break;
	default:
		abort();
	}
}

static void run_queue(void)
{
	const uint8_t *queue = (const uint8_t *)(get64(0x90) & ~0xfffUL);
	unsigned head = get64(0x80) & 0xff0;

	if (!(fake_vtd.gsts & 1U << 26) || fake_vtd.dead_queue)
		return;
	while (head != (get64(0x88) & 0xff0)) {
		execute((const uint64_t *)(queue + head));
		head = (head + 16) & 0xff0;
	}
	set64(0x80, head);
}

/* ---- Registers ---- */

static void command(uint32_t v)
{
	const uint32_t persistent = 1U << 31 | 1U << 26 | 1U << 25 | 1U << 23;
	uint32_t old = fake_vtd.gsts;

	if (fake_vtd.dead_commands)
		return;
	fake_vtd.gsts = (old & ~persistent) | (v & persistent);
	if (v & 1U << 30)
		fake_vtd.gsts |= 1U << 30;
	if (v & 1U << 24)
		fake_vtd.gsts |= 1U << 24;
	fake_vtd.wbfs += v >> 27 & 1;
	if (fake_vtd.gsts & ~old & 1U << 31 &&
	    (!(old & 1U << 30) || !fake_vtd.global_flushes || !fake_vtd.context_flushes))
		fake_vtd.opened_early = true;
	if (fake_vtd.gsts & ~old & 1U << 26)
		set64(0x80, 0);
}

static unsigned offset_of(const volatile void *reg)
{
	return (unsigned)((const volatile uint8_t *)reg - regs);
}

uint32_t iommu_read32(const volatile void *reg)
{
	uint32_t v;

	if (offset_of(reg) == 0x1c)
		return fake_vtd.gsts;
	memcpy(&v, regs + offset_of(reg), 4);
	return v;
}

uint64_t iommu_read64(const volatile void *reg)
{
	switch (offset_of(reg)) {
	case 0x08:
		return fake_vtd.cap;
	case 0x10:
		return fake_vtd.ecap;
	}
	return get64(offset_of(reg));
}

void iommu_write32(volatile void *reg, uint32_t v)
{
	unsigned o = offset_of(reg);
	uint32_t old = iommu_read32(reg);

	if (o == 0x18) {
		command(v);
	} else if (o == 0x34) { /* 11.4.8: write 1 to clear, PPF follows the records */
		set32(o, old & ~(v & 0x71));
	} else if (o == 0x22c) {
		if (v & 1U << 31) {
			set32(o, old & ~(1U << 31));
			set32(0x34, iommu_read32(regs + 0x34) & ~2U);
		}
	} else {
		set32(o, v);
	}
}

void iommu_write64(volatile void *reg, uint64_t v)
{
	set64(offset_of(reg), v);
	if (offset_of(reg) == 0x88)
		run_queue();
}

/* ---- Faults (7.2, 7.3) ---- */

static bool fault(unsigned bdf, uint64_t info, bool read, unsigned reason)
{
	uint32_t fsts = iommu_read32(regs + 0x34);

	if (get64(0x228) >> 63) {
		set32(0x34, fsts | 1); /* overflow */
	} else {
		set64(0x220, info);
		set64(0x228, 1UL << 63 | (uint64_t)read << 62 | (uint64_t)reason << 32 | bdf);
		set32(0x34, fsts | 2);
	}
	if (!(iommu_read32(regs + 0x38) >> 31) && fake_vtd.fault_irq)
		fake_vtd.fault_irq->handler(fake_vtd.fault_irq);
	return false;
}

/* ---- Translation ---- */

static const uint64_t *entry_at(uint64_t table, unsigned index, unsigned words)
{
	const uint64_t *t = fake_vtd.ecap & 1 ? (const uint64_t *)table
					      : fake_hardware_view((void *)table);

	return t + index * words;
}

static void load_context(unsigned bdf, uint64_t *ret_lo, uint64_t *ret_hi)
{
	const uint64_t *root = entry_at(get64(0x20) & ~0xfffUL, bdf >> 8, 2), *c;
	static const uint64_t none[2];

	if (!contexts[bdf].valid) {
		c = *root & 1 ? entry_at(*root & ~0xfffUL, bdf & 0xff, 2) : none;
		contexts[bdf].valid = (c[0] & 1) || (fake_vtd.cap >> 7 & 1);
		contexts[bdf].lo = c[0];
		contexts[bdf].hi = c[1];
	}
	*ret_lo = contexts[bdf].lo;
	*ret_hi = contexts[bdf].hi;
}

static struct tlb walk(uint64_t lo, uint64_t hi, uint64_t dfn)
{
	struct tlb t = {.present = false, .domain = hi >> 8 & 0xffff, .dfn = dfn};
	uint64_t table = lo & ~0xfffUL;
	unsigned level = (hi & 7) + 2;

	for (t.flags = 3; level >= 1; level--) {
		uint64_t e = *entry_at(table, dfn >> 9 * (level - 1) & 511, 1);

		t.flags &= e & 3;
		if (!(e & 3))
			return t;
		if (level == 1 || (e & 0x80)) {
			t.present = true;
			t.mfn = (e << 12 >> 24) | (dfn & ((1UL << 9 * (level - 1)) - 1));
			return t;
		}
		table = e & 0x000ffffffffff000UL;
	}
	return t;
}

static struct tlb translate(uint64_t lo, uint64_t hi, uint64_t dfn)
{
	struct tlb t;

	for (unsigned i = 0; i < TLB; i++)
		if (tlb[i].valid && tlb[i].dfn == dfn && tlb[i].domain == (hi >> 8 & 0xffff))
			return tlb[i];
	t = walk(lo, hi, dfn);
	t.valid = t.present || (fake_vtd.cap >> 7 & 1);
	if (t.valid)
		tlb[tlb_next++ % TLB] = t;
	return t;
}

bool fake_vtd_dma(unsigned bdf, uint64_t address, bool write, uint64_t *ret_mfn)
{
	uint64_t lo, hi;
	struct tlb t;

	if (!(fake_vtd.gsts >> 31)) {
		*ret_mfn = address >> 12;
		return true;
	}
	load_context(bdf, &lo, &hi);
	if (!(lo & 1))
		return fault(bdf, address & ~0xfffUL, !write, 2);
	if (!(fake_vtd.cap >> 8 >> (hi & 7) & 1))
		return fault(bdf, address & ~0xfffUL, !write, 3);
	t = translate(lo, hi, address >> 12);
	if (!t.present || !(t.flags & (write ? 2 : 1)))
		return fault(bdf, address & ~0xfffUL, !write, write ? 5 : 6);
	*ret_mfn = t.mfn;
	return true;
}

/* ---- Interrupts (5.1) ---- */

bool fake_vtd_message(unsigned bdf, uint64_t address, uint32_t data, struct fake_vtd_interrupt *ret)
{
	uint64_t irta = get64(0xb8), lo, hi;
	unsigned handle = (address >> 5 & 0x7fff) | (address >> 2 & 1) << 15, svt, sid;

	if (!(fake_vtd.gsts & 1U << 25)) {
		ret->vector = (uint8_t)data;
		ret->dest = address >> 12 & 0xff;
		return true;
	}
	if (!(address & 0x10))
		return fake_vtd.gsts & 1U << 23 ? true : fault(bdf, 0, false, 0x25);
	if (address & 8)
		handle += data & 0xffff;
	else if (data)
		return fault(bdf, (uint64_t)handle << 48, false, 0x20);
	if (handle >= 2U << (irta & 0xf))
		return fault(bdf, (uint64_t)handle << 48, false, 0x21);
	if (!irtes[handle].valid) {
		const uint64_t *e = entry_at(irta & ~0xfffUL, handle, 2);

		irtes[handle].valid = (e[0] & 1) || (fake_vtd.cap >> 7 & 1);
		irtes[handle].lo = e[0];
		irtes[handle].hi = e[1];
	}
	lo = irtes[handle].lo;
	hi = irtes[handle].hi;
	if (!(lo & 1))
		return fault(bdf, (uint64_t)handle << 48, false, 0x22);
	svt = hi >> 18 & 3;
	sid = hi & 0xffff;
	if ((svt == 1 && sid != bdf) ||
	    (svt == 2 && (bdf >> 8 < sid >> 8 || bdf >> 8 > (sid & 0xff))) || svt == 3 || svt == 0)
		return fault(bdf, (uint64_t)handle << 48, false, 0x26);
	ret->vector = (uint8_t)(lo >> 16);
	ret->level = lo >> 4 & 1;
	ret->dest = irta & 1U << 11 ? (uint32_t)(lo >> 32) : (uint32_t)(lo >> 40 & 0xff);
	return true;
}
