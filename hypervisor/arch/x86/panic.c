/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end: reason, registers, symbolised backtrace; then reboot or halt. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/machine.h>
#include <arch/paging.h>
#include <arch/paging_init.h>
#include <arch/traps.h>
#include <bulkhead/cmdline.h>
#include <bulkhead/console.h>
#include <bulkhead/cpu.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>
#include <bulkhead/time.h>

#define BACKTRACE_MAX 32

extern const uint32_t ksyms_count, ksyms_addr[], ksyms_name_off[];
extern const char ksyms_names[];

static bool opt_noreboot;
CMDLINE_BOOL("noreboot", opt_noreboot);
static bool panic_begun;

const char *ksym_lookup(uint64_t addr, uint64_t *ret_offset)
{
	uint64_t off = addr - IMAGE_BASE;
	uint32_t lo = 0, hi = ksyms_count;

	if (addr < (uintptr_t)image_start || addr >= (uintptr_t)image_end || !ksyms_count ||
	    off < ksyms_addr[0])
		return NULL;
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (ksyms_addr[mid] <= off)
			lo = mid;
		else
			hi = mid;
	}
	*ret_offset = off - ksyms_addr[lo];
	return ksyms_names + ksyms_name_off[lo];
}

/* `before`: 1 for a return address. It may lie behind the end of a function whose last act was a call without return. */
static void print_address(uint64_t addr, uint64_t before)
{
	uint64_t off;
	const char *name = ksym_lookup(addr - before, &off);

	if (name)
		log_err("  %016lx %s+0x%lx\n", addr, name, off + before);
	else
		log_err("  %016lx\n", addr);
}

void backtrace_print(uint64_t rip, uint64_t rbp)
{
	uint64_t here = (uintptr_t)__builtin_frame_address(0);

	log_err("backtrace:\n");
	if (rip)
		print_address(rip, 0);
	/* Frames lie on this stack, upwards: anything else is a damaged chain. */
	for (unsigned i = 0; i < BACKTRACE_MAX; i++) {
		const uint64_t *frame = (const uint64_t *)rbp;

		if (!IS_ALIGNED(rbp, 8) || rbp < here || rbp > here + 8 * PAGE_SIZE ||
		    (rbp & ~PAGE_MASK) > PAGE_SIZE - 16)
			return;
		if (!frame[1])
			return;
		print_address(frame[1], 1);
		if (frame[0] <= rbp)
			return;
		rbp = frame[0];
	}
}

static void __noreturn finish(void)
{
	if (opt_noreboot) {
		log_err("halted (noreboot)\n");
		for (;;)
			__asm__ volatile("cli; hlt");
	}
	log_err("rebooting in 5 seconds\n");
	time_delay_us(5000000);
	machine_reboot();
}

static void begin(void)
{
	arch_irq_disable();
	if (__atomic_exchange_n(&panic_begun, true, __ATOMIC_SEQ_CST)) {
		/* Another CPU is at it, or the panic itself failed. */
		for (;;)
			__asm__ volatile("cli; hlt");
	}
	apic_stop_others();
	console_panic_mode();
	log_err("*** PANIC on CPU %u: ", cpu_id());
}

void panic_frame(const struct trap_frame *f, const char *fmt, ...)
{
	va_list ap;

	begin();
	va_start(ap, fmt);
	log_vmsg(LOG_ERR, fmt, ap);
	va_end(ap);
	log_err("\nrip %04lx:%016lx rsp %016lx rflags %08lx\n", f->cs, f->rip, f->rsp, f->rflags);
	log_err("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	log_err("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
	log_err("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
	log_err("r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
	log_err("cr0 %016lx cr2 %016lx cr3 %016lx cr4 %016lx\n", read_cr0(), read_cr2(), read_cr3(),
		read_cr4());
	backtrace_print(f->rip, f->rbp);
	finish();
}

void panic(const char *fmt, ...)
{
	va_list ap;

	begin();
	va_start(ap, fmt);
	log_vmsg(LOG_ERR, fmt, ap);
	va_end(ap);
	log_err("\n");
	backtrace_print(0, (uintptr_t)__builtin_frame_address(0));
	finish();
}
