// SPDX-License-Identifier: GPL-2.0-or-later
// An AMD IOMMU that behaves as the specification allows at worst: it caches all it may until it is told otherwise.
#ifndef FAKE_AMDVI_H
#define FAKE_AMDVI_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_AMDVI_PADDR 0xfed80000UL
#define FAKE_AMDVI_EFR	 (1UL << 6) /* invalidate all; 4 levels */

struct irq;

struct fake_amdvi {
	uint64_t efr;
	bool caches_absent; /* must agree with the capability header in configuration space */
	bool dead;	    /* commands are not executed */
	bool slow_events;   /* an event's place is counted before the event is written */
	unsigned all_flushes, dte_flushes, page_flushes, domain_flushes, int_flushes;
	struct irq *event_irq;
};

extern struct fake_amdvi fake_amdvi;

/* A unit after power-on. */
void fake_amdvi_reset(void);

/* DMA of a requester: true and the frame that is reached, or false (an event was logged). */
bool fake_amdvi_dma(unsigned id, uint64_t address, bool write, uint64_t *ret_mfn);

/* A message of a requester: true and what the local APIC gets. */
struct fake_amdvi_interrupt {
	bool remapped;
	uint8_t vector;
	uint32_t dest;
};
bool fake_amdvi_message(unsigned id, uint64_t address, uint32_t data,
			struct fake_amdvi_interrupt *ret);

#endif
