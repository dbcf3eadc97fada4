// SPDX-License-Identifier: GPL-2.0-or-later
// Between the common layer and the drivers: domain state, operations of a driver, fault reports.
#ifndef IOMMU_DRIVER_H
#define IOMMU_DRIVER_H

#include <bulkhead/iommu.h>
#include <bulkhead/spinlock.h>
#include <bulkhead/time.h>

#include "pgtable.h"

struct acpi;

#define IOMMU_MAX_UNITS 32
/* I/O APIC redirection entry (82093AA, 3.2.4). */
#define RTE_LEVEL	BIT(15)
#define RTE_ACTIVE_LOW	BIT(13)

/* A unit that has not done a thing by then is broken. */
#define IOMMU_TIMEOUT MSEC(100)

/* Per domain. The lock is taken after the p2m lock and before the locks of units; never in interrupt handlers. */
struct iommu_domain {
	struct domain *domain;
	spinlock_t lock;
	struct iommu_pt pt;
	unsigned effects;	     /* IOMMU_PT_* not flushed yet */
	uint64_t dirty_lo, dirty_hi; /* pages concerned: [lo, hi) */
	/* By unit: devices attached, and the tag of the domain's cached translations there (valid if devices > 0). */
	struct {
		unsigned devices;
		uint16_t tag;
		bool stopped; /* the unit did not answer: the devices were switched off */
	} unit[IOMMU_MAX_UNITS];
};

struct iommu_flush {
	uint64_t dfn, count; /* count 0: everything */
	unsigned effects;    /* IOMMU_PT_* */
};

/* What a driver tells about its units when it has found and set them up. */
struct iommu_caps {
	const struct iommu_pt_format *format;
	unsigned units;
	unsigned levels;
	uint64_t leaf_orders;
	void (*sync)(const void *p, size_t len);
	bool intremap;
};

struct iommu_ops {
	const char *name;
	bool ioapic_needs_eoi; /* see iommu_ioapic_needs_eoi() */
	/* -ENODEV: there is no such unit. After 0 all units translate and block everything. */
	int (*init)(const struct acpi *acpi, bool want_intremap, struct iommu_caps *ret_caps);
	/* Index of the unit that sees the device's requests, or -ENODEV. */
	int (*unit_of)(struct pci_dev *dev);
	/* Lets the device use the domain's tables. dom->lock is held. On failure it is blocked. */
	int (*attach)(struct pci_dev *dev, struct iommu_domain *dom);
	/* Blocks it; its translations are gone from the unit's caches on success. dom->lock is held. */
	int (*detach)(struct pci_dev *dev, struct iommu_domain *dom);
	/* 0 or -EIO (timeout). dom->lock is held. */
	int (*flush)(unsigned unit, struct iommu_domain *dom, const struct iommu_flush *f);
	int (*msi_map)(struct pci_dev *dev, struct irq *irq, struct msi_msg *ret_msg);
	/* See iommu_msi_map_multi(): all of them or none. */
	int (*msi_map_multi)(struct pci_dev *dev, struct irq *const irqs[], unsigned count,
			     struct msi_msg *ret_msg);
	int (*ioapic_map)(unsigned ioapic_id, unsigned pin, struct irq *irq, bool level,
			  bool active_low, uint64_t *ret_rte);
	void (*irq_free)(struct pci_dev *dev, struct irq *irq);
};

extern const struct iommu_ops vtd_ops, amdvi_ops;

extern bool iommu_verbose, iommu_debug; /* iommu=verbose, iommu=debug */

/* True if another attached device of the same owner sends its requests under the same id as dev. */
bool iommu_alias_in_use(const struct pci_dev *dev);

/* For drivers, during init: registers of a unit; region that firmware wants its devices to reach. 0 or -ENOMEM. */
int iommu_reserve(uint64_t base, uint64_t end, unsigned flags, unsigned seg, unsigned first_bdf,
		  unsigned last_bdf);

/* Waits until cond holds: evaluates to false when IOMMU_TIMEOUT passed before. */
#define IOMMU_WAIT_FOR(cond)                         \
 ({                                                  \
uint64_t iommu_deadline_ = time_now() + IOMMU_TIMEOUT;           \
bool iommu_done_;                                                \
while (!(iommu_done_ = (cond)) && time_now() <= iommu_deadline_) \
arch_cpu_relax();                                               \
iommu_done_ || (cond);                                           \
 })

/* ---- Faults (fault.c) ---- */

enum iommu_access {
	IOMMU_DMA_READ,
	IOMMU_DMA_WRITE,
	IOMMU_INTERRUPT,
	IOMMU_DMA_OTHER, /* translation requests, atomics, or not known */
};

struct iommu_fault {
	const char *driver; /* "VT-d" */
	unsigned unit;
	sbdf_t source;
	enum iommu_access access;
	uint64_t address; /* of DMA; of an interrupt: its index */
	unsigned reason;  /* as the unit numbers it */
	const char *text; /* what that means */
};

/*
 * Logs, rate limited. A device that causes more than a bounded number of faults per second loses bus mastering.
 * Any context.
 */
void iommu_report_fault(const struct iommu_fault *f);
/* The unit lost reports: some more have happened. */
void iommu_report_overflow(const char *driver, unsigned unit);

#endif
