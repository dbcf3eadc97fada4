/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exceptions of the hypervisor itself, and dispatch of interrupts. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/machine_check.h>
#include <arch/paging_init.h>
#include <arch/traps.h>
#include <bulkhead/cpu.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>

#define SELECTOR_CODE  0x08
#define SELECTOR_DATA  0x10
#define SELECTOR_TSS   0x20
#define GATE_INTERRUPT 0x8e00U

struct idt_gate {
	uint16_t offset_low, selector;
	uint16_t flags; /* IST in 2:0, type and present in 15:8 */
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct idt_gate) == 16, "APM vol. 2 4.8.4");

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __packed;

extern char trap_stubs[];
extern const uint64_t extable_start[], extable_end[];

static struct idt_gate idt[256] __aligned(4096);

static const char *const trap_names[] = {"divide error",
					 "debug",
					 "NMI",
					 "breakpoint",
					 "overflow",
					 "bound range",
					 "invalid opcode",
					 "no FPU",
					 "double fault",
					 "coprocessor overrun",
					 "invalid TSS",
					 "segment not present",
					 "stack fault",
					 "general protection fault",
					 "page fault",
					 "reserved",
					 "x87 error",
					 "alignment check",
					 "machine check",
					 "SIMD error",
					 "virtualisation exception",
					 "control protection"};

void traps_init(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t handler = (uintptr_t)trap_stubs + 16UL * i;
		unsigned ist = i == TRAP_DF    ? IST_DF
			       : i == TRAP_NMI ? IST_NMI
			       : i == TRAP_MC  ? IST_MC
			       : i == TRAP_DB  ? IST_DB
					       : 0;

		idt[i] = (struct idt_gate){.offset_low = (uint16_t)handler,
					   .selector = SELECTOR_CODE,
					   .flags = (uint16_t)(GATE_INTERRUPT | ist),
					   .offset_mid = (uint16_t)(handler >> 16),
					   .offset_high = (uint32_t)(handler >> 32)};
	}
}

void traps_cpu_load(void)
{
	struct cpu *c = this_cpu();
	struct table_pointer gdtr = {sizeof(c->arch.gdt) - 1, (uintptr_t)c->arch.gdt};
	struct table_pointer idtr = {sizeof(idt) - 1, (uintptr_t)idt};
	uint64_t tss = (uintptr_t)&c->arch.tss;

	c->arch.gdt[0] = 0;
	c->arch.gdt[1] = 0x00af9b000000ffff; /* 64-bit code, accessed */
	c->arch.gdt[2] = 0x00cf93000000ffff; /* data, accessed */
	c->arch.gdt[3] = 0;
	/* 64-bit TSS descriptor, two entries (APM vol. 2 4.8.3). */
	c->arch.gdt[4] = (sizeof(struct tss64) - 1) | (tss & 0xffffff) << 16 | 0x89UL << 40 |
			 (tss >> 24 & 0xff) << 56;
	c->arch.gdt[5] = tss >> 32;
	c->arch.tss.iomap_base = sizeof(struct tss64);
	__asm__ volatile("lgdt %0" ::"m"(gdtr));
	__asm__ volatile("lidt %0" ::"m"(idtr));
	__asm__ volatile("movw %w0, %%ds; movw %w0, %%es; movw %w0, %%ss" ::"r"(SELECTOR_DATA));
	__asm__ volatile("ltr %w0" ::"r"(SELECTOR_TSS));
}

/* An instruction that may fault (rdmsr_safe and the like) continues at its landing place. */
static bool fixup(struct trap_frame *f)
{
	for (const uint64_t *e = extable_start; e < extable_end; e += 2) {
		if (e[0] == f->rip) {
			f->rip = e[1];
			return true;
		}
	}
	return false;
}

static void handle_nmi(struct trap_frame *f)
{
	uint8_t reason;

	/* Does not return if another CPU wants this one to stop. */
	apic_nmi();
	reason = inb(0x61);
	/* Port 61h bits 7 and 6: parity (SERR#) and I/O channel check. All ones: there is no such port. */
	if ((reason & 0xc0) && reason != 0xff)
		panic_frame(f, "NMI: hardware error, reason 0x%02x", reason);
}

static void __noreturn handle_machine_check(struct trap_frame *f)
{
	char text[MACHINE_CHECK_TEXT];

	machine_check_describe(text);
	panic_frame(f, "machine check: %s", text);
}

void trap_dispatch(struct trap_frame *f)
{
	if (f->vector >= 32) {
		irq_dispatch((uint8_t)f->vector);
		return;
	}
	if (f->vector == TRAP_NMI) {
		handle_nmi(f);
		return;
	}
	if (f->vector == TRAP_MC)
		handle_machine_check(f);
	if ((f->vector == TRAP_GP || f->vector == TRAP_PF || f->vector == TRAP_UD) && fixup(f))
		return;
	if (f->vector == TRAP_PF)
		panic_frame(f, "page fault at 0x%016lx (%s%s%s)", read_cr2(),
			    f->error & 2 ? "write" : "read",
			    f->error & 1 ? ", protection" : ", not mapped",
			    f->error & 16 ? ", fetch" : "");
	panic_frame(f, "%s (vector %lu, error 0x%lx)",
		    f->vector < ARRAY_SIZE(trap_names) ? trap_names[f->vector] : "exception",
		    f->vector, f->error);
}
