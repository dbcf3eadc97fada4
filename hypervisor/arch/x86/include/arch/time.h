/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The TSC as a clock. */
#ifndef ARCH_TIME_H
#define ARCH_TIME_H

#include <bulkhead/compiler.h>

struct tsc_scale {
	uint32_t mul;
	int8_t shift;
};

extern struct tsc_scale tsc_scale; /* of the host's TSC */
extern uint64_t tsc_khz, tsc_boot;
extern bool tsc_reliable; /* it runs always, alike on all CPUs, from one zero */

/* The TSC of the machine: that of the boot CPU, whatever CPU asks. */
uint64_t tsc_now(void);

void time_init(void); /* boot CPU, after ACPI and the local APIC */
uint64_t tsc_to_ns(uint64_t delta);
uint64_t ns_to_tsc(uint64_t ns);
struct tsc_scale tsc_scale_for(uint64_t hz);

#endif
