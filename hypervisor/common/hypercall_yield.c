// SPDX-License-Identifier: GPL-2.0-or-later
// When a long hypercall stops for a moment.

#include <bulkhead/cpu.h>
#include <bulkhead/hypercall.h>

/* Interrupts are taken during a call; what they leave to be done is a softirq. */
bool hypercall_should_yield(void)
{
	return READ_ONCE(this_cpu()->softirqs) != 0;
}
