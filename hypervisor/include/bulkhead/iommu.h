/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O memory management units. Common part: list of units, per-domain state, the driver operations. Drivers are in
 * drivers/iommu/{vtd,amdvi}. What is not assigned is blocked.
 */
#ifndef BULKHEAD_IOMMU_H
#define BULKHEAD_IOMMU_H

#include <bulkhead/addr.h>
#include <bulkhead/irq.h>
#include <bulkhead/pci.h>

struct domain;

#define IOMMU_READ  1U
#define IOMMU_WRITE 2U

/*
 * Finds the units in ACPI (DMAR or IVRS), sets them up with everything blocked, enables translation and interrupt remapping.
 * Command line: iommu=[verbose][,debug][,no-intremap].
 * 0; -ENODEV when the machine has none; otherwise the error was logged. After pci_scan() and the local APIC's set-up (its mode
 * decides how interrupts are addressed), before I/O APIC pins are bound.
 */
int iommu_init(void);
bool iommu_present(void);
bool iommu_intremap(void);

int iommu_domain_init(struct domain *d); /* d->iommu; needed before iommu_map */
int iommu_domain_release(
	struct domain
		*d); /* all devices must be gone; frees tables; -ERESTART while there is more */
/*
 * Maps 2^order frames (any order 0, 9, 18; the driver splits what its unit cannot do). No flush. 0; -ENOMEM (a part may be
 * mapped); -EPERM if a frame is the hypervisor's (heap, free, registers of a unit, protected range).
 */
int iommu_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned order, unsigned flags);
int iommu_unmap(struct domain *d, gfn_t gfn, unsigned order);
/* Makes changes effective on all units that hold devices of d. count == 0: everything. Waits for completion. */
void iommu_flush(struct domain *d, gfn_t gfn, uint64_t count);
/* True while a change was not flushed: frames that were unmapped may not be reused. For assertions. */
bool iommu_is_dirty(struct domain *d);
/* What a device of d would reach at gfn: false if nothing. */
bool iommu_lookup(struct domain *d, gfn_t gfn, mfn_t *ret_mfn, unsigned *ret_order,
		  unsigned *ret_flags);

/*
 * Moves a device to d (NULL: blocked) and sets dev->owner. Reserved regions (RMRR, unity maps) of the device are mapped for d.
 * 0; -ENODEV (no unit translates its requests); -EPERM (hidden); -EBUSY (it shares its requester id with a device of another
 * domain, or a reserved region collides with a mapping of d); -ENOMEM; -EIO (the unit did not answer). On failure it is blocked.
 */
int iommu_assign(struct pci_dev *dev, struct domain *d);

/* Sizes of leaf entries that every unit supports, as a mask of 1 << order. */
uint64_t iommu_superpages(void);
/* True if the page belongs to registers of a unit or to a protected range: never mapped to anybody. */
bool iommu_owns(uint64_t paddr);
/* True if that is so for some of [start, end). */
bool iommu_owns_part(uint64_t start, uint64_t end);
/* [base, end) is never mapped for a device: what is the hypervisor's without being its heap (its image). 0 or -ENOMEM. */
int iommu_protect(uint64_t base, uint64_t end);
/* Takes back one call of iommu_protect(), once what lay there has been given up; before dom0 runs. */
void iommu_unprotect(uint64_t base, uint64_t end);
/* Reserved memory regions for dom0's p2m: calls fn for each. */
void iommu_for_each_reserved(void (*fn)(uint64_t base, uint64_t end, void *arg), void *arg);

/*
 * Interrupt remapping. Fills ret_msg with what the device has to be given, so that it raises irq. With no remapping it is
 * arch_msi_compose(). Called again after irq moved: updates in place. 0, -ENOSPC, -ENODEV, -EIO.
 */
int iommu_msi_map(struct pci_dev *dev, struct irq *irq, struct msi_msg *ret_msg);
/*
 * The same for MSI with several messages: count (a power of two up to 32) interrupts of any vectors on any CPUs, none of them
 * mapped yet. The device raises irqs[i] by replacing the low bits of ret_msg->data by i. Freed one by one; one that moved is
 * updated with iommu_msi_map(), whose message is then not for the device. 0 or nothing was mapped: -ENODEV (also without
 * remapping), -EINVAL (count), -ENOSPC, -ENOMEM, -EIO.
 */
int iommu_msi_map_multi(struct pci_dev *dev, struct irq *const irqs[], unsigned count,
			struct msi_msg *ret_msg);
/* The same for I/O APIC pins: gives the redirection entry to write (not masked: the caller adds that). */
int iommu_ioapic_map(unsigned ioapic_id, unsigned pin, struct irq *irq, bool level, bool active_low,
		     uint64_t *ret_rte);
/*
 * True if the EOI of a local APIC does not find the redirection entry: then whoever handles a level-triggered interrupt writes
 * bits 7:0 of the entry to the EOI register of the I/O APIC.
 */
bool iommu_ioapic_needs_eoi(void);
void iommu_irq_free(struct pci_dev *dev,
		    struct irq *irq); /* dev NULL: I/O APIC; accepts an unmapped irq */

#endif
