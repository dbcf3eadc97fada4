/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual I/O APICs: for the hardware domain one per real one, pins bound to the real pins. */
#ifndef ARCH_VIOAPIC_H
#define ARCH_VIOAPIC_H

#include <bulkhead/compiler.h>

struct domain;

/* Creates the I/O APICs of d: mirrors of the machine's (hardware domain) and registers their MMIO regions. 0 or -errno. */
int vioapic_init(struct domain *d);
void vioapic_finish(struct domain *d);
/* Level of an input pin (for emulated devices), or a pulse for edge pins. Any context. */
void vioapic_set_pin(struct domain *d, unsigned gsi, bool level);

#endif
