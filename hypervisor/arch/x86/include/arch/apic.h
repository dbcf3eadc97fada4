/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine's local APICs. */
#ifndef ARCH_APIC_H
#define ARCH_APIC_H

#include <bulkhead/compiler.h>

extern bool apic_x2;	       /* x2APIC mode */
extern uint64_t apic_timer_hz; /* ticks per second at divide by 1 */
int apic_init(uint64_t paddr); /* boot CPU: mode, mapping */
void apic_cpu_init(void);      /* each CPU: enable, LVTs */
/* Device vectors wait on this CPU, those of the hypervisor do not. */
void apic_block_devices(bool block);
uint32_t apic_id_self(void);
void apic_eoi(void);
void apic_ipi(uint32_t apic_id,
	      uint32_t icr_low); /* fixed, NMI, INIT, SIPI by the low word's bits */
void apic_send_vector(unsigned cpu, uint8_t vector);
void apic_stop_others(void); /* NMI to all but self: they halt. Harmless before the APIC is up. */
void apic_nmi(void); /* an NMI arrived: does not return if it was apic_stop_others() elsewhere */
void apic_error_interrupt(void);
void apic_timer_set(uint32_t count); /* one shot; 0 stops */
uint32_t apic_timer_current(void);

#define APIC_ICR_NMI	 0x400
#define APIC_ICR_INIT	 0x500
#define APIC_ICR_STARTUP 0x600
#define APIC_ICR_ASSERT	 0x4000
#define APIC_ICR_LEVEL	 0x8000

#endif
