/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dispatch of trapped MMIO and port accesses of a guest to emulated devices in the hypervisor. */
#ifndef ARCH_HVM_IO_H
#define ARCH_HVM_IO_H

#include <bulkhead/compiler.h>

struct domain;
struct vcpu;

#define HVM_PORTS 0x10000U

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
	uint64_t base, size; /* guest-physical address or port */
	const struct hvm_io_ops *ops;
	void *opaque;
	uint32_t users; /* handlers at work now; 0 at first, then hvm_io.c's */
};

/* Tables of a new domain, all ports intercepted and denied. 0 or -ENOMEM. Finish accepts what init never saw. */
int hvm_io_init(struct domain *d);
void hvm_io_finish(struct domain *d);

/*
 * Regions of one kind do not overlap (-EEXIST); -EINVAL (empty, or beyond the end of the space), -ENOMEM. The region stays
 * the caller's memory. Port regions are intercepted in the domain's I/O permission bitmap, whatever hvm_port_allow() says;
 * after hvm_port_unregister() that is in force again. MMIO regions are to be unmapped (P2M_NONE) in the p2m.
 */
int hvm_mmio_register(struct domain *d, struct hvm_io_region *r);
void hvm_mmio_unregister(struct domain *d, struct hvm_io_region *r);
int hvm_port_register(struct domain *d, struct hvm_io_region *r);
void hvm_port_unregister(struct domain *d, struct hvm_io_region *r);
/*
 * An unregistered region gets no new accesses, but a handler may still be at work on another CPU. This waits for its end:
 * before the region or what its handlers use is freed. Not from a handler of the region, nor with a lock that it takes.
 */
void hvm_io_region_wait(const struct hvm_io_region *r);
/* Direct access to ports first … last of the machine: allow or deny (denied: reads give ones, writes nothing). */
void hvm_port_allow(struct domain *d, unsigned first, unsigned last, bool allow);
bool hvm_port_is_allowed(struct domain *d, unsigned port);

/*
 * Called by the exit handlers. Nobody home: reads of ones, writes dropped. Any size up to 8 (ports: 4); what crosses the border
 * of a region is split. Port accesses that trapped although they are allowed are made on the real ports. 0 or -EAGAIN: then
 * *value is untouched, and the pieces that were done before are done again with the instruction.
 */
int hvm_mmio_access(struct vcpu *v, uint64_t gpa, unsigned size, bool write, uint64_t *value);
int hvm_port_access(struct vcpu *v, unsigned port, unsigned size, bool write, uint64_t *value);

#endif
