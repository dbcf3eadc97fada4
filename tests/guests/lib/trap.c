// SPDX-License-Identifier: GPL-2.0-or-later
// Exceptions and interrupts of the test kernels: handlers, and fixups for accesses that may fault.
#include "guest.h"

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

struct fixup {
	uint64_t from, to;
};

extern const struct fixup guest_fixups_begin[], guest_fixups_end[];

static struct gate idt[256] __attribute__((aligned(16)));
static guest_handler *handlers[256];
unsigned int guest_fault_vector;

void guest_on(unsigned int vector, guest_handler *handler)
{
	handlers[vector] = handler;
}

void guest_traps_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = {sizeof(idt) - 1, ADDRESS(idt)};

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void guest_traps_init(void)
{
	for (unsigned int i = 0; i < 256; i++) {
		uint64_t entry = ADDRESS(guest_trap_stubs[i]);

		idt[i] = (struct gate){
			.offset_low = (uint16_t)entry,
			.offset_mid = (uint16_t)(entry >> 16),
			.offset_high = (uint32_t)(entry >> 32),
			.selector = 0x08,
			.type = 0x8e, /* present, ring 0, interrupt gate */
		};
	}
	guest_traps_load();
}

void guest_trap(struct trap_frame *frame)
{
	uint64_t cr2;

	if (handlers[frame->vector]) {
		handlers[frame->vector](frame);
		return;
	}
	for (const struct fixup *f = guest_fixups_begin; f < guest_fixups_end; f++) {
		if (f->from == frame->rip && frame->vector < 32) {
			guest_fault_vector = (unsigned int)frame->vector;
			frame->rip = f->to;
			return;
		}
	}
	__asm__ volatile("movq %%cr2, %0" : "=r"(cr2));
	guest_fail("unexpected vector %lu, error %#lx, at %#lx, cr2 %#lx", frame->vector,
		   frame->error, frame->rip, cr2);
	guest_print("GUEST-STOPPED");
	guest_end_run();
}
