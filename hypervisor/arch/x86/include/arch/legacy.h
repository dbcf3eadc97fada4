/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Legacy I/O ports of the hardware domain: which are denied, which are trapped. */
#ifndef ARCH_LEGACY_H
#define ARCH_LEGACY_H

#include <bulkhead/spinlock.h>

struct domain;

/* Index and data port of the CMOS RAM (0x70, 0x71) are one access under this lock; irqsave. */
extern spinlock_t cmos_lock;

/* Sets up the ports of the hardware domain, after hvm_io_init(). 0 or -ENOMEM. */
int legacy_ports_init(struct domain *d);
/* Accepts a domain without. */
void legacy_ports_finish(struct domain *d);
/*
 * Keeps ports first … last of a device that the hypervisor uses (console UART) from the hardware domain, also from one
 * that exists already. 0, -EINVAL, or -ENOSPC when there are too many ranges.
 */
int legacy_deny(unsigned first, unsigned last);

#endif
