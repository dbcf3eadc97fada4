/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual I/O APICs: for the hardware domain one per real one, pins bound to the real pins. */
#ifndef ARCH_VIOAPIC_H
#define ARCH_VIOAPIC_H

#include <bulkhead/compiler.h>

struct domain;

/*
 * Creates the I/O APICs of d and registers their MMIO regions: mirrors of the machine's (hardware domain), or one of 48 pins at
 * 0xfec00000 (XEN_X86_EMU_IOAPIC in d->arch.emulation_flags), or none. After hvm_io_init(). 0 or -errno.
 */
int vioapic_init(struct domain *d);
/* The vCPUs do not run any more. Accepts a domain without I/O APICs. */
void vioapic_finish(struct domain *d);
/*
 * Level of an input pin (for emulated devices). A pin whose entry is edge-triggered interrupts when the level goes from false to
 * true: for a pulse, call with true, then with false. Any context.
 */
void vioapic_set_pin(struct domain *d, unsigned gsi, bool level);

#endif
