/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI functions made of registers with write masks, a p2m, remapped interrupts: for tests of vPCI. With fake_x86. */
#ifndef FAKE_PCI_H
#define FAKE_PCI_H

#include "fake_x86.h"

#include <arch/vlapic.h>
#include <bulkhead/irq.h>
#include <bulkhead/p2m.h>
#include <bulkhead/pci.h>

#define FAKE_FUNCTIONS	 16
#define FAKE_MEMORY_SIZE 0x10000

struct fake_function {
	bool present;
	bool known; /* in pci_devices: found by the scan */
	struct pci_dev pci;
	uint8_t config[4096], writable[4096], write1[4096];
	/* Where reads of config space come from a BAR that decodes: one piece of memory. */
	unsigned memory_bar;
	uint8_t memory[FAKE_MEMORY_SIZE] __aligned(4096);
	unsigned bar_writes_while_decoding; /* the device would have answered at two places */
	unsigned config_writes;
};
extern struct fake_function fake_functions[FAKE_FUNCTIONS];

void fake_pci_reset(void);
/* Cleared by a test whose BARs lead anywhere: what no function answers is then memory, too. Set by the reset. */
extern bool fake_pci_strict;
/* A function with a type 0 header, unknown to pci_find() until fake_pci_know(). */
struct fake_function *fake_pci_function(sbdf_t s);
void fake_pci_know(struct fake_function *f);
void fake_pci_set(struct fake_function *f, unsigned reg, unsigned size, uint32_t value);
uint32_t fake_pci_get(const struct fake_function *f, unsigned reg, unsigned size);
void fake_pci_mask(struct fake_function *f, unsigned reg, unsigned size, uint32_t writable);
/* Memory BAR idx: size a power of two, at address. */
void fake_pci_bar32(struct fake_function *f, unsigned idx, uint32_t size, uint32_t address);
void fake_pci_bar64(struct fake_function *f, unsigned idx, uint64_t size, uint64_t address);
void fake_pci_io(struct fake_function *f, unsigned idx, uint32_t size, uint32_t address);
void fake_pci_rom(struct fake_function *f, unsigned reg, uint32_t size, uint32_t address);
/* Appends a capability to the list; returns its offset (given by the caller). */
void fake_pci_cap(struct fake_function *f, unsigned pos, uint8_t id, uint8_t next);
void fake_pci_ext_cap(struct fake_function *f, unsigned pos, uint16_t id, unsigned next);
void fake_pci_msi(struct fake_function *f, unsigned pos, uint8_t next, unsigned log2, bool is64,
		  bool maskable);
void fake_pci_msix(struct fake_function *f, unsigned pos, uint8_t next, unsigned count,
		   unsigned table_bar, uint32_t table, unsigned pba_bar, uint32_t pba);
/* What a reset of the function does to its registers. */
void fake_pci_lose_state(struct fake_function *f);

/* ---- The domain's p2m ---- */

/* Frames [gfn, gfn + pages) map to mfn … with this type. */
bool fake_p2m_is(uint64_t gfn, uint64_t pages, uint64_t mfn, enum p2m_type type);
bool fake_p2m_empty(uint64_t gfn, uint64_t pages);
/* How many entries the function says true for. */
unsigned fake_p2m_count(bool (*fn)(uint64_t gfn, uint64_t mfn, unsigned order, enum p2m_type type));
void fake_p2m_put(uint64_t gfn, uint64_t pages, uint64_t mfn, enum p2m_type type);
extern unsigned fake_p2m_changes;  /* entries written */
extern unsigned fake_p2m_max_step; /* most entries written in one batch */
extern int fake_p2m_fail_after;	   /* so many changes succeed; -1: all */
extern unsigned fake_p2m_batches;  /* open ones */

/* ---- The hypervisor's own pages ---- */
extern uint64_t fake_iommu_page, fake_ecam_page;

/* ---- Interrupts ---- */

/* Mappings of device memory that were taken from this CPU alone. */
extern unsigned fake_local_unmaps;
extern bool fake_intremap;
extern unsigned fake_irqs_attached, fake_irqs_mapped;
extern int fake_irq_fail_after; /* so many attachments succeed; -1: all */
/* What a device's message does: finds the irq that was mapped to it. False: nobody's, the unit blocks it. */
bool fake_message(uint64_t address, uint32_t data);
/* Every interrupt that is attached fires once. */
void fake_messages_all(void);
/* The CPU that the irq behind a message is attached to. */
unsigned fake_message_cpu(uint64_t address, uint32_t data);

/* Messages that reached the guest's APICs. */
struct fake_delivery {
	struct vapic_message m;
	struct domain *d;
};
extern struct fake_delivery fake_deliveries[64];
extern unsigned fake_delivery_count;

/* ---- Guest accesses, as the exit handlers make them ---- */

void fake_run_as(struct vcpu *v);
/* A port or memory access of the guest, repeated while the hypervisor says so, deferred work done before and after. */
uint32_t guest_in(unsigned port, unsigned size);
void guest_out(unsigned port, unsigned size, uint32_t value);
uint64_t guest_read(uint64_t gpa, unsigned size);
void guest_write(uint64_t gpa, unsigned size, uint64_t value);
/* Configuration space by CF8/CFC, naturally aligned. */
uint32_t guest_conf_read(sbdf_t s, unsigned reg, unsigned size);
void guest_conf_write(sbdf_t s, unsigned reg, unsigned size, uint32_t value);
extern unsigned guest_deferred_steps; /* of the last access */

/* What Linux does to find the size of a BAR; decoding is left as it is. */
uint32_t guest_size_bar(sbdf_t s, unsigned reg);

#endif
