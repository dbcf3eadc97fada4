// SPDX-License-Identifier: GPL-2.0-or-later
// Start of a test kernel in C: finds the hypervisor, sets up hypercalls and traps, runs the linked tests.
#include "guest.h"
#include <xen/sched.h>

extern const struct guest_test guest_tests_begin[], guest_tests_end[];

uint8_t guest_hypercall_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
uint32_t guest_xen_leaf;

/* The Xen leaves begin at a multiple of 0x100 at or behind 0x40000000. */
static uint32_t find_xen_leaf(void)
{
	uint32_t regs[4];

	for (uint32_t leaf = 0x40000000; leaf < 0x40010000; leaf += 0x100) {
		cpuid(leaf, 0, regs);
		if (regs[1] == 0x566e6558 && regs[2] == 0x65584d4d && regs[3] == 0x4d4d566e)
			return leaf;
	}
	return 0;
}

/* Of dom0 a reset, as one that says "poweroff" without ACPI only halts the machine. */
void guest_end_run(void)
{
	struct sched_shutdown op = {.reason = guest_is_dom0() ? SHUTDOWN_reboot
							      : SHUTDOWN_poweroff};

	hypercall2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, ADDRESS(&op));
	for (;;)
		__asm__ volatile("cli; hlt");
}

void guest_main(void)
{
	uint32_t regs[4];

	guest_xen_leaf = find_xen_leaf();
	if (!guest_xen_leaf)
		for (;;)
			__asm__ volatile("cli; hlt");
	cpuid(guest_xen_leaf + 2, 0, regs);
	wrmsr(regs[1], ADDRESS(guest_hypercall_page));
	guest_print("GUEST-START");
	guest_begin_test("setup");
	guest_setup();
	for (const struct guest_test *t = guest_tests_begin; t < guest_tests_end; t++) {
		cli();
		guest_begin_test(t->name);
		t->run();
		if (!guest_failed())
			guest_print("RESULT %s: ok", t->name);
	}
	guest_print("GUEST-DONE");
	guest_end_run();
}
