// SPDX-License-Identifier: GPL-2.0-or-later
// A VT-d unit that behaves as the specification allows at worst: it caches all it may until it is told otherwise.
#ifndef FAKE_VTD_H
#define FAKE_VTD_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_VTD_PADDR 0xfed90000UL
/* 4 and 3 levels, 2M, 1G, page-selective invalidation up to 2^18 pages, draining, 1 fault register at 0x220. */
#define FAKE_VTD_CAP \
 (2UL | 6UL << 8 | 47UL << 16 | 0x22UL << 24 | 3UL << 34 | 1UL << 39 | 18UL << 48 | 3UL << 54)
#define FAKE_VTD_ECAP (1UL | 1UL << 1 | 1UL << 3 | 1UL << 4)

struct fake_vtd {
	uint64_t cap, ecap;
	bool dead_commands; /* GCMD has no effect */
	bool dead_queue;    /* the queue does not move */
	uint32_t gsts;
	/* What happened, for assertions. */
	unsigned context_flushes, domain_flushes, page_flushes, global_flushes, iec_flushes, wbfs;
	bool opened_early; /* translation on before root table and flushes */
	struct irq *fault_irq;
};

extern struct fake_vtd fake_vtd;

/* A unit after power-on. */
void fake_vtd_reset(void);

/* DMA of a requester: true and the frame that is reached, or false (a fault was recorded). */
bool fake_vtd_dma(unsigned bdf, uint64_t address, bool write, uint64_t *ret_mfn);

/* A message of a requester: true and what the local APIC gets. */
struct fake_vtd_interrupt {
	uint8_t vector;
	uint32_t dest;
	bool level;
};
bool fake_vtd_message(unsigned bdf, uint64_t address, uint32_t data,
		      struct fake_vtd_interrupt *ret);

#endif
