/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x86 CPU primitives: interrupt flag, per-CPU pointer, control registers, MSRs, port I/O. */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <arch/registers.h>
#include <bulkhead/compiler.h>

struct cpu;

struct tss64 {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap_base;
} __packed;
_Static_assert(sizeof(struct tss64) == 104, "SDM 8.7: 64-bit TSS");

#define GDT_ENTRIES 8

/* Machine-dependent part of struct cpu. */
struct arch_cpu {
	uint64_t exception_stash; /* %gs:… scratch of the entry code */
	uint32_t apic_id;
	uint64_t *root;	  /* its own root page table (PML4) */
	uint64_t *window; /* page table of its windows */
	uint64_t window_base;
	unsigned window_depth;
	struct tss64 tss __aligned(16);
	uint64_t gdt[GDT_ENTRIES];
	void *stack_top;
	struct irq *vector_irq[256];
	struct irq *irq_running;	     /* whose handler is being run */
	void *svm_host_save, *svm_host_vmcb; /* heap pages */
	uint64_t last_domain;		     /* serial of the one whose code ran last here */
	uint64_t asid_generation;
	uint32_t asid_next, asid_max;
	uint32_t call_pending; /* function call IPI */
	uint64_t tsc_adjust;   /* what makes its TSC that of the boot CPU: see tsc_now() */
};

static inline void arch_cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}
/* True if CPUs are threads of an emulator or of another hypervisor, so that they may stand still at any time. */
extern bool cpus_may_stop;
static inline bool arch_cpus_may_stop(void)
{
	return cpus_may_stop;
}
static inline unsigned long arch_irq_save(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
	return flags;
}
static inline void arch_irq_restore(unsigned long flags)
{
	if (flags & X86_EFLAGS_IF)
		__asm__ volatile("sti" ::: "memory");
	else
		__asm__ volatile("cli" ::: "memory");
}
static inline void arch_irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}
static inline void arch_irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}
static inline bool arch_irqs_enabled(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return flags & X86_EFLAGS_IF;
}
static inline struct cpu *arch_this_cpu(void)
{
	struct cpu *c;

	__asm__("movq %%gs:0, %0" : "=r"(c));
	return c;
}
/* Stores before are visible before stores and loads after. */
static inline void arch_mb(void)
{
	__asm__ volatile("mfence" ::: "memory");
}

static inline void cpuid_count(uint32_t leaf, uint32_t sub, uint32_t ret[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(ret[0]), "=b"(ret[1]), "=c"(ret[2]), "=d"(ret[3])
			 : "a"(leaf), "c"(sub));
}
static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return lo | (uint64_t)hi << 32;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
/* As rdmsr and wrmsr; -EFAULT when the CPU raises #GP. */
int rdmsr_safe(uint32_t msr, uint64_t *ret_value);
int wrmsr_safe(uint32_t msr, uint64_t v);
/* Nothing behind it is executed before what is in front of it (SDM vol. 2A LFENCE; cpu_enable_features()). */
static inline void speculation_barrier(void)
{
	__asm__ volatile("lfence" ::: "memory");
}
static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return lo | (uint64_t)hi << 32;
}
#define ARCH_CR(n)                                         \
 static inline uint64_t read_cr##n(void)                   \
 {                                                         \
  uint64_t v;                                              \
  __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));        \
  return v;                                                \
 }                                                         \
 static inline void write_cr##n(uint64_t v)                \
 {                                                         \
  __asm__ volatile("mov %0, %%cr" #n ::"r"(v) : "memory"); \
 }
ARCH_CR(0)
ARCH_CR(2)
ARCH_CR(3)
ARCH_CR(4)
#undef ARCH_CR
static inline void xsetbv(uint32_t idx, uint64_t v)
{
	__asm__ volatile("xsetbv" ::"c"(idx), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}
static inline uint64_t xgetbv(uint32_t idx)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(idx));
	return lo | (uint64_t)hi << 32;
}
/* Protection keys of user pages; CR4.PKE is set. */
static inline uint32_t rdpkru(void)
{
	uint32_t v, zero;

	__asm__ volatile("rdpkru" : "=a"(v), "=d"(zero) : "c"(0));
	return v;
}
static inline void invlpg(const void *p)
{
	__asm__ volatile("invlpg (%0)" ::"r"(p) : "memory");
}
#define ARCH_PORT(suffix, type)                                    \
 static inline type in##suffix(uint16_t port)                      \
 {                                                                 \
  type v;                                                          \
  __asm__ volatile("in" #suffix " %1, %0" : "=a"(v) : "Nd"(port)); \
  return v;                                                        \
 }                                                                 \
 static inline void out##suffix(uint16_t port, type v)             \
 {                                                                 \
  __asm__ volatile("out" #suffix " %0, %1" ::"a"(v), "Nd"(port));  \
 }
ARCH_PORT(b, uint8_t)
ARCH_PORT(w, uint16_t)
ARCH_PORT(l, uint32_t)
#undef ARCH_PORT

/* Device registers, mapped by mmio_map(). */
static inline uint32_t mmio_read32(const volatile void *p)
{
	return *(const volatile uint32_t *)p;
}
static inline void mmio_write32(volatile void *p, uint32_t v)
{
	*(volatile uint32_t *)p = v;
}
static inline uint64_t mmio_read64(const volatile void *p)
{
	return *(const volatile uint64_t *)p;
}
static inline void mmio_write64(volatile void *p, uint64_t v)
{
	*(volatile uint64_t *)p = v;
}

#endif
