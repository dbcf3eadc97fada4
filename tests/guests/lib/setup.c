// SPDX-License-Identifier: GPL-2.0-or-later
// What a 64-bit test kernel needs before its first test: the APIC, and events.
#include "guest.h"

void guest_setup(void)
{
	if (!apic_init())
		guest_print("GUEST-NOTE no x2APIC");
	if (event_init())
		guest_fail("event channels cannot be set up");
}
