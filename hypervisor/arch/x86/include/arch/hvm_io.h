/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dispatch of trapped MMIO and port accesses of a guest to emulated devices in the hypervisor. */
#ifndef ARCH_HVM_IO_H
#define ARCH_HVM_IO_H

#include <bulkhead/list.h>

struct domain;
struct vcpu;

/*
 * Handlers get the offset within the region and a size of 1, 2, 4 or 8 (ports: 1, 2, 4); accesses do not cross the end of
 * the region. Reads fill *ret_value (zero extended). They return 0, or -EAGAIN when the vCPU must wait
 * (arch.deferred was set): the instruction is then executed again. The vCPU is the current one. No lock is held.
 */
struct hvm_io_ops {
	int (*read)(struct vcpu *v, void *opaque, uint64_t offset, unsigned size,
		    uint64_t *ret_value);
	int (*write)(struct vcpu *v, void *opaque, uint64_t offset, unsigned size, uint64_t value);
};

struct hvm_io_region {
	struct list link;
	uint64_t base, size; /* guest-physical address or port */
	const struct hvm_io_ops *ops;
	void *opaque;
};

/* Regions of one kind do not overlap (-EEXIST). The region stays the caller's memory. Port regions set the domain's I/O
 * permission bitmap to intercept. MMIO regions are to be unmapped (P2M_NONE) in the p2m. */
int hvm_mmio_register(struct domain *d, struct hvm_io_region *r);
void hvm_mmio_unregister(struct domain *d, struct hvm_io_region *r);
int hvm_port_register(struct domain *d, struct hvm_io_region *r);
void hvm_port_unregister(struct domain *d, struct hvm_io_region *r);
/* Direct access to ports first … last of the machine: allow or deny (denied: reads give ones, writes nothing). */
void hvm_port_allow(struct domain *d, unsigned first, unsigned last, bool allow);

/* Called by the exit handlers. Nobody home: reads of ones, writes dropped. 0 or -EAGAIN. */
int hvm_mmio_access(struct vcpu *v, uint64_t gpa, unsigned size, bool write, uint64_t *value);
int hvm_port_access(struct vcpu *v, unsigned port, unsigned size, bool write, uint64_t *value);

#endif
