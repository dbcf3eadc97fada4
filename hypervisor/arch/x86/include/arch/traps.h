/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exceptions and interrupts of the host. */
#ifndef ARCH_TRAPS_H
#define ARCH_TRAPS_H

#include <bulkhead/compiler.h>

#define TRAP_DE	      0
#define TRAP_DB	      1
#define TRAP_NMI      2
#define TRAP_BP	      3
#define TRAP_OF	      4
#define TRAP_UD	      6
#define TRAP_NM	      7
#define TRAP_DF	      8
#define TRAP_TS	      10
#define TRAP_NP	      11
#define TRAP_SS	      12
#define TRAP_GP	      13
#define TRAP_PF	      14
#define TRAP_AC	      17
#define TRAP_MC	      18
#define NR_EXCEPTIONS 32

/* Vectors of the hypervisor's own; devices use IRQ_VECTOR_FIRST … IRQ_VECTOR_LAST. */
#define IRQ_VECTOR_FIRST 0x30
#define IRQ_VECTOR_LAST	 0xef
#define VECTOR_TIMER	 0xf0
#define VECTOR_KICK	 0xf1 /* leave guest mode or HLT, run softirqs */
#define VECTOR_CALL	 0xf2 /* cpu_call_all() */
#define VECTOR_ERROR	 0xfe /* local APIC error */
#define VECTOR_SPURIOUS	 0xff

/* Interrupt stacks (APM vol. 2 8.9.4): index in the TSS + 1. */
#define IST_DF	1
#define IST_NMI 2
#define IST_MC	3
#define IST_DB	4

struct trap_frame {
	uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

void traps_init(void);	   /* the IDT; boot CPU, early */
void traps_cpu_load(void); /* load GDT, TSS and IDT of this CPU */
void trap_dispatch(struct trap_frame *f);
/* Prints "name+0x12" lines up the frame pointer chain; first for `rip`, if that is not 0. */
void backtrace_print(uint64_t rip, uint64_t rbp);
const char *ksym_lookup(uint64_t addr, uint64_t *ret_offset); /* NULL if not in the image's code */
void panic_frame(const struct trap_frame *f, const char *fmt, ...) __printf(2, 3) __noreturn;

/* Interrupt controller side: see apic.c and irq.c. */
void irq_dispatch(uint8_t vector);
void cpu_call_interrupt(void);

#endif
