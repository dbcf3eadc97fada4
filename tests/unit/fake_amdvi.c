// SPDX-License-Identifier: GPL-2.0-or-later
// An AMD IOMMU for unit tests; numbers in comments are sections of 48882 revision 3.08.
#include <stdlib.h>
#include <string.h>

#include <arch/paging.h>
#include <bulkhead/irq.h>

#include "../../hypervisor/drivers/iommu/machine.h"
#include "fake_amdvi.h"
#include "fake_iommu.h"

#define TLB	     4096
#define IRTES	     4096
#define CTL_ENABLE   (1UL << 0)
#define CTL_LOG	     (1UL << 2)
#define CTL_LOG_INT  (1UL << 3)
#define CTL_COMMANDS (1UL << 12)
#define CTL_WIDE     (1UL << 17)

struct fake_amdvi fake_amdvi;

static uint8_t regs[0x4000] __attribute__((aligned(0x4000)));

static struct {
	bool valid;
	uint64_t q[4];
} dtes[65536];

static struct tlb {
	bool valid, present;
	unsigned domain;
	uint64_t dfn, mfn;
	unsigned flags; /* 1 read, 2 write */
} tlb[TLB];
static unsigned tlb_next;

static struct {
	bool valid;
	unsigned id, index;
	uint64_t lo, hi;
} irtes[IRTES];
static unsigned irte_next;

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

void fake_amdvi_reset(void)
{
	memset(&fake_amdvi, 0, sizeof(fake_amdvi));
	fake_amdvi.efr = FAKE_AMDVI_EFR;
	memset(regs, 0, sizeof(regs));
	memset(dtes, 0, sizeof(dtes));
	memset(tlb, 0, sizeof(tlb));
	memset(irtes, 0, sizeof(irtes));
}

void *mmio_map(uint64_t paddr, size_t len)
{
	return paddr == FAKE_AMDVI_PADDR && len <= sizeof(regs) ? regs : NULL;
}

int irq_attach(struct irq *irq, unsigned cpu)
{
	irq->cpu = cpu;
	irq->vector = (uint8_t)(0x30 + fake_attached++);
	fake_amdvi.event_irq = irq;
	return 0;
}

/* ---- Events (2.5) ---- */

static void log_event(uint64_t lo, uint64_t hi)
{
	uint64_t *log = (uint64_t *)(get64(0x10) & 0x000ffffffffff000UL);
	uint64_t tail = get64(0x2018), next = (tail + 16) & 0xff0;

	if (!(get64(0x18) & CTL_LOG) || !(get64(0x2020) & 8))
		return;
	if (next == get64(0x2010)) {
		set64(0x2020, (get64(0x2020) | 1) & ~8UL); /* overflow: the log stops */
	} else {
		if (!fake_amdvi.slow_events) {
			log[tail / 8] = lo;
			log[tail / 8 + 1] = hi;
		}
		set64(0x2018, next);
	}
	set64(0x2020, get64(0x2020) | 2);
	if ((get64(0x18) & CTL_LOG_INT) && fake_amdvi.event_irq)
		fake_amdvi.event_irq->handler(fake_amdvi.event_irq);
}

static bool page_fault(unsigned id, uint64_t address, bool write, bool interrupt)
{
	log_event(2UL << 60 | (uint64_t)write << 53 | (uint64_t)interrupt << 51 | id, address);
	return false;
}

/* ---- Commands (2.4) ---- */

static void flush_pages(uint64_t lo, uint64_t hi)
{
	unsigned domain = lo >> 32 & 0xffff, bit = 12;
	uint64_t mask = 0xfff, address = hi & ~0xfffUL;

	if (hi & 1) { /* the lowest clear bit from 12 on says how many */
		while (bit < 63 && (hi >> bit & 1))
			bit++;
		mask = bit == 63 ? ~0UL : (2UL << bit) - 1;
	}
	if (!(hi & 2))
		abort(); /* tables may be gone as well */
	fake_amdvi.page_flushes += mask != ~0UL;
	fake_amdvi.domain_flushes += mask == ~0UL;
	for (unsigned i = 0; i < TLB; i++)
		if (tlb[i].domain == domain && (tlb[i].dfn << 12 | mask) == (address | mask))
			tlb[i].valid = false;
}

static void execute(uint64_t lo, uint64_t hi)
{
	unsigned id = lo & 0xffff;

	switch (lo >> 60) {
	case 1:
		if (lo & 1)
			*(uint64_t *)(lo & 0x000ffffffffffff8UL) = hi;
		break;
	case 2:
		fake_amdvi.dte_flushes++;
		dtes[id].valid = false;
		break;
	case 3:
		flush_pages(lo, hi);
		break;
	case 5:
		fake_amdvi.int_flushes++;
		for (unsigned i = 0; i < IRTES; i++)
			if (irtes[i].id == id)
				irtes[i].valid = false;
		break;
	case 8:
		if (!(fake_amdvi.efr & 1UL << 6))
			abort();
		fake_amdvi.all_flushes++;
		memset(dtes, 0, sizeof(dtes));
		memset(tlb, 0, sizeof(tlb));
		memset(irtes, 0, sizeof(irtes));
		break;
	default:
		abort();
	}
}

static void run_commands(void)
{
	const uint64_t *ring = (const uint64_t *)(get64(8) & 0x000ffffffffff000UL);
	uint64_t head = get64(0x2000);

	if (!(get64(0x18) & CTL_COMMANDS) || !(get64(0x18) & CTL_ENABLE) || fake_amdvi.dead)
		return;
	if ((get64(8) >> 56 & 0xf) != 8)
		abort(); /* the ring of this driver is a page */
	while (head != get64(0x2008)) {
		execute(ring[head / 8], ring[head / 8 + 1]);
		head = (head + 16) & 0xff0;
	}
	set64(0x2000, head);
}

/* ---- Registers ---- */

static unsigned offset_of(const volatile void *reg)
{
	return (unsigned)((const volatile uint8_t *)reg - regs);
}

uint32_t iommu_read32(const volatile void *reg)
{
	(void)reg;
	abort(); /* registers have 64 bits */
}

void iommu_write32(volatile void *reg, uint32_t v)
{
	(void)reg;
	(void)v;
	abort();
}

uint64_t iommu_read64(const volatile void *reg)
{
	return offset_of(reg) == 0x30 ? fake_amdvi.efr : get64(offset_of(reg));
}

void iommu_write64(volatile void *reg, uint64_t v)
{
	unsigned o = offset_of(reg);

	if (o == 0x2020) { /* 3.4.13: write 1 to clear */
		set64(o, get64(o) & ~(v & 0x67));
		return;
	}
	set64(o, v);
	if (o == 0x18)
		set64(0x2020, (get64(0x2020) & ~0x18UL) | (v & CTL_LOG ? 8 : 0) |
				      (v & CTL_COMMANDS && !fake_amdvi.dead ? 16 : 0));
	if (o == 0x2008 || o == 0x18)
		run_commands();
}

/* ---- Translation (2.2) ---- */

static const uint64_t *load_dte(unsigned id)
{
	uint64_t base = get64(0);
	const uint64_t *t = (const uint64_t *)(base & 0x000ffffffffff000UL);

	if (id >= ((base & 0x1ff) + 1) * 128)
		return NULL;
	if (!dtes[id].valid) {
		memcpy(dtes[id].q, t + id * 4, 32);
		dtes[id].valid = true;
	}
	/* Table 7: what must be zero. */
	if (dtes[id].q[0] & 0x8000000000000164UL || dtes[id].q[3])
		abort();
	return dtes[id].q;
}

static struct tlb walk(const uint64_t *dte, uint64_t dfn)
{
	struct tlb t = {.domain = dte[1] & 0xffff, .dfn = dfn, .flags = dte[0] >> 61 & 3};
	unsigned level = dte[0] >> 9 & 7;
	uint64_t e = dte[0];

	if (dfn >> 9 * level)
		return t;
	for (;;) {
		unsigned next;

		e = ((const uint64_t *)(e & 0x000ffffffffff000UL))[dfn >> 9 * (level - 1) & 511];
		if (!(e & 1))
			return t;
		t.flags &= e >> 61 & 3;
		next = e >> 9 & 7;
		if (next == 0) {
			t.present = true;
			t.mfn = (e << 12 >> 24) | (dfn & ((1UL << 9 * (level - 1)) - 1));
			return t;
		}
		if (next >= level)
			abort();
		level = next;
	}
}

static struct tlb translate(const uint64_t *dte, uint64_t dfn)
{
	struct tlb t;

	for (unsigned i = 0; i < TLB; i++)
		if (tlb[i].valid && tlb[i].dfn == dfn && tlb[i].domain == (dte[1] & 0xffff))
			return tlb[i];
	t = walk(dte, dfn);
	t.valid = t.present || fake_amdvi.caches_absent;
	if (t.valid)
		tlb[tlb_next++ % TLB] = t;
	return t;
}

bool fake_amdvi_dma(unsigned id, uint64_t address, bool write, uint64_t *ret_mfn)
{
	const uint64_t *dte;
	struct tlb t;

	*ret_mfn = address >> 12;
	if (!(get64(0x18) & CTL_ENABLE))
		return true;
	dte = load_dte(id);
	if (!dte) {
		log_event(1UL << 60 | id, address);
		return false;
	}
	if (!(dte[0] & 1))
		return true;
	if ((dte[0] & 2) == 0 || !(dte[0] >> (write ? 62 : 61) & 1))
		return page_fault(id, address, write, false);
	if ((dte[0] >> 9 & 7) == 0)
		return true;
	t = translate(dte, address >> 12);
	if (!t.present || !(t.flags & (write ? 2 : 1)))
		return page_fault(id, address, write, false);
	*ret_mfn = t.mfn;
	return true;
}

/* ---- Interrupts (2.2.5) ---- */

static void load_irte(const uint64_t *dte, unsigned id, unsigned index, uint64_t *lo, uint64_t *hi)
{
	uint64_t table = dte[2] & 0x000fffffffffffc0UL;
	bool wide = get64(0x18) & CTL_WIDE;
	unsigned i;

	for (i = 0; i < IRTES; i++)
		if (irtes[i].valid && irtes[i].id == id && irtes[i].index == index)
			break;
	if (i == IRTES) {
		i = irte_next++ % IRTES;
		irtes[i].valid = true;
		irtes[i].id = id;
		irtes[i].index = index;
		irtes[i].lo = wide ? ((uint64_t *)table)[2 * index] : ((uint32_t *)table)[index];
		irtes[i].hi = wide ? ((uint64_t *)table)[2 * index + 1] : 0;
	}
	*lo = irtes[i].lo;
	*hi = irtes[i].hi;
}

bool fake_amdvi_message(unsigned id, uint64_t address, uint32_t data,
			struct fake_amdvi_interrupt *ret)
{
	const uint64_t *dte = load_dte(id);
	unsigned index = data & 0x7ff, type = data >> 8 & 7;
	uint64_t lo, hi;

	*ret = (struct fake_amdvi_interrupt){.vector = (uint8_t)data, .dest = address >> 12 & 0xff};
	if (!dte)
		return false;
	if (!(dte[2] & 1))
		return true;
	if (type > 1) { /* not fixed or arbitrated: by the pass bits only */
		unsigned bit = type == 4 ? 58 : type == 5 ? 56 : type == 7 ? 57 : 63;

		return bit != 63 && (dte[2] >> bit & 1);
	}
	if ((dte[2] >> 60 & 3) == 1)
		return true;
	if ((dte[2] >> 60 & 3) != 2 || index >= 1U << (dte[2] >> 1 & 0xf))
		return page_fault(id, address, true, true);
	load_irte(dte, id, index, &lo, &hi);
	if (!(lo & 1))
		return page_fault(id, address, true, true);
	if (lo & 0xfe) /* fixed, physical, no guest mode */
		abort();
	ret->remapped = true;
	if (get64(0x18) & CTL_WIDE) {
		ret->vector = (uint8_t)hi;
		ret->dest = (uint32_t)((lo >> 8 & 0xffffff) | hi >> 56 << 24);
	} else {
		ret->vector = (uint8_t)(lo >> 16);
		ret->dest = (uint8_t)(lo >> 8);
	}
	return true;
}
