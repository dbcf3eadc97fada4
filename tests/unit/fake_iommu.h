// SPDX-License-Identifier: GPL-2.0-or-later
// Fakes for tests of the PCI and IOMMU drivers: heap with a view as hardware has it, log, time, interrupts, devices.
#ifndef FAKE_IOMMU_H
#define FAKE_IOMMU_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include <bulkhead/pci.h>

struct irq;

/*
 * Machine addresses are the host's own. With fake_shadowed every heap block has a second half, in which what was made
 * visible by iommu_clean_cache() is kept: what a unit sees that does not snoop caches.
 */
extern bool fake_shadowed;
extern unsigned fake_heap_live;	 /* blocks in use */
extern int fake_heap_fail_after; /* allocations that still succeed; -1: all */
const void *fake_hardware_view(const void *p);
/* Forgets the leftovers of a test that has no teardown of its own. */
void fake_heap_reset(void);

extern uint64_t fake_now;
extern uint64_t fake_tick; /* added by each look at the clock */

/* All lines logged since fake_log_clear(). */
extern char fake_log[65536];
void fake_log_clear(void);
unsigned fake_log_count(const char *needle);

/* expect_panic(statement): true if it panics. */
extern jmp_buf *fake_panic_jmp;
#define expect_panic(statement) \
 ( \
	 { \
jmp_buf jmp_; \
volatile bool panicked_ = true; \
fake_panic_jmp = &jmp_; \
if (!setjmp(jmp_)) { \
statement; \
panicked_ = false; \
} \
fake_panic_jmp = NULL; \
panicked_; \
	 })

/* Attached interrupts get vectors from 0x30 upwards. */
extern unsigned fake_attached;
extern bool fake_x2apic;
extern uint32_t fake_apic_id_base; /* of CPU 0 */

/* Configuration space of a few functions; everything else reads as ones. */
uint8_t *fake_pci_add(sbdf_t s); /* its 4 KiB, with all ones nowhere */
void fake_pci_bridge(sbdf_t s, unsigned secondary, unsigned subordinate, int pcie_type);
void fake_pci_reset(void);
void fake_pci_forget_devices(void); /* empties pci_devices */

/* Small deterministic random numbers. */
uint64_t fake_random(void);
void fake_random_seed(uint64_t seed);

#endif
