// SPDX-License-Identifier: GPL-2.0-or-later
// The runtime of the bare-metal test kernels: they run as dom0 in place of Linux, on one CPU, identity-mapped.
//
// A test is written as GUEST_TEST(name) { … CHECK(condition, "what is wrong", …); … } and prints one line:
// "RESULT name: ok" or "RESULT name: FAIL reason". VALUE("…") lines are compared with the oracle's.
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/event_channel.h>

#define PAGE_BYTES 4096u

#ifdef __x86_64__
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

#endif

enum trap_vector {
	TRAP_DE = 0,
	TRAP_DB = 1,
	TRAP_NMI = 2,
	TRAP_BP = 3,
	TRAP_UD = 6,
	TRAP_DF = 8,
	TRAP_GP = 13,
	TRAP_PF = 14,
};

struct guest_test {
	const char *name;
	void (*run)(void);
};

#define GUEST_TEST(test_name)                                                             \
 static void test_##test_name(void);                                                      \
 static const struct guest_test guest_test_##test_name                                    \
	 __attribute__((used, section(".guest_tests"), aligned(8))) = {#test_name,        \
								       test_##test_name}; \
 static void test_##test_name(void)

/* Ends the running test with the reason when the condition does not hold. */
#define CHECK(condition, ...) \
 do {                         \
  if (!(condition)) {         \
   guest_fail(__VA_ARGS__);   \
   return;                    \
  }                           \
 } while (0)

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* console.c */
void guest_print(const char *format, ...) PRINTF_LIKE(1, 2);
void guest_fail(const char *format, ...) PRINTF_LIKE(1, 2);
int guest_format(char *out, size_t size, const char *format, __builtin_va_list args);
bool guest_failed(void);
void guest_begin_test(const char *name);
#define VALUE(...) guest_print("VALUE " __VA_ARGS__)

/* domu.c */
bool guest_is_dom0(void);
void domu_write(const char *text, int length);

/* string.c */
void *memset(void *to, int value, size_t size);
void *memcpy(void *to, const void *from, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
const char *strstr(const char *text, const char *word);

/* main.c */
extern const uint64_t guest_start_info_address;
extern uint64_t guest_page_root[512];
extern uint8_t guest_hypercall_page[PAGE_BYTES];
extern uint8_t guest_end[];
extern uint32_t guest_xen_leaf;
void guest_main(void);
void guest_end_run(void) __attribute__((noreturn));

/* setup.c */
void guest_setup(void);

#ifdef __x86_64__
/* trap.c */
typedef void guest_handler(struct trap_frame *frame);
extern uint8_t guest_trap_stubs[256][16];
void guest_traps_init(void);
void guest_traps_load(void); /* on a further CPU */
void guest_trap(struct trap_frame *frame);
/* NULL takes the handler away. An interrupt or exception without one ends the run. */
void guest_on(unsigned int vector, guest_handler *handler);
/* The vector of the last fault that a *_safe function met. */
extern unsigned int guest_fault_vector;

#endif

static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
			 : "a"(leaf), "c"(subleaf));
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

#ifdef __x86_64__
# define FIXUP(from, to) \
  ".pushsection .guest_fixups, \"a\"\n\t.balign 8\n\t.quad " from ", " to "\n\t.popsection\n"

/* True when the access did not fault; on a fault guest_fault_vector tells which. */
static inline bool rdmsr_safe(uint32_t msr, uint64_t *ret_value)
{
	uint32_t low = 0, high = 0, good = 0;

	__asm__ volatile("1: rdmsr\n\tmovl $1, %2\n2:\n" FIXUP("1b", "2b")
			 : "+a"(low), "+d"(high), "+r"(good)
			 : "c"(msr)
			 : "memory");
	*ret_value = (uint64_t)high << 32 | low;
	return good;
}

static inline bool wrmsr_safe(uint32_t msr, uint64_t value)
{
	uint32_t good = 0;

	__asm__ volatile("1: wrmsr\n\tmovl $1, %0\n2:\n" FIXUP("1b", "2b")
			 : "+r"(good)
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
	return good;
}

static inline bool read_safe(const volatile void *address, uint32_t *ret_value)
{
	uint32_t good = 0, value = 0;

	__asm__ volatile("1: movl (%2), %1\n\tmovl $1, %0\n2:\n" FIXUP("1b", "2b")
			 : "+r"(good), "+r"(value)
			 : "r"(address)
			 : "memory");
	*ret_value = value;
	return good;
}

#endif

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void sti(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/* STI and HLT without a gap: an interrupt that is pending ends the halt. */
static inline void sti_hlt(void)
{
	__asm__ volatile("sti; hlt" : : : "memory");
}

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

#ifdef __x86_64__
static inline uint64_t read_cr8(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr8, %0" : "=r"(value));
	return value;
}

static inline void write_cr8(uint64_t value)
{
	__asm__ volatile("movq %0, %%cr8" : : "r"(value) : "memory");
}

#endif

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* A hypercall through the hypercall page, with up to five arguments. */
#ifdef __x86_64__
static inline long hypercall5(unsigned int number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
			      uint64_t e)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	long result;

	__asm__ volatile("call *%[entry]"
			 : "=a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8)
			 : [entry] "r"(guest_hypercall_page + number * 32)
			 : "rcx", "r11", "memory");
	return result;
}

#else
static inline long hypercall5(unsigned int number, uint32_t a, uint32_t b, uint32_t c, uint32_t d,
			      uint32_t e)
{
	long result;

	__asm__ volatile("call *%%eax"
			 : "=a"(result), "+b"(a), "+c"(b), "+d"(c), "+S"(d), "+D"(e)
			 : "0"(guest_hypercall_page + number * 32)
			 : "memory");
	return result;
}
#endif

static inline long hypercall2(unsigned int number, uintptr_t a, uintptr_t b)
{
	return hypercall5(number, a, b, 0, 0, 0);
}

static inline long hypercall3(unsigned int number, uintptr_t a, uintptr_t b, uintptr_t c)
{
	return hypercall5(number, a, b, c, 0, 0);
}

/* As wide as a register: arguments of hypercalls. */
#define ADDRESS(pointer) ((uintptr_t)(pointer))

/* apic.c */
enum apic_reg {
	APIC_ID = 0x02,
	APIC_VERSION = 0x03,
	APIC_TPR = 0x08,
	APIC_PPR = 0x0a,
	APIC_EOI = 0x0b,
	APIC_LDR = 0x0d,
	APIC_SVR = 0x0f,
	APIC_ISR = 0x10,
	APIC_IRR = 0x20,
	APIC_ESR = 0x28,
	APIC_ICR = 0x30,
	APIC_ICR_HIGH = 0x31,
	APIC_LVT_TIMER = 0x32,
	APIC_LVT_ERROR = 0x37,
	APIC_TIMER_INITIAL = 0x38,
	APIC_TIMER_CURRENT = 0x39,
	APIC_TIMER_DIVIDE = 0x3e,
	APIC_SELF_IPI = 0x3f,
};

#define MSR_APIC_BASE 0x1bu
#define MSR_X2APIC    0x800u
#define APIC_BASE_X2  (1u << 10)
#define APIC_BASE_ON  (1u << 11)
#define ICR_NMI	      (4u << 8)
#define ICR_FIXED     (0u << 8)
#define ICR_LOWEST    (1u << 8)
#define ICR_INIT      (5u << 8)
#define ICR_STARTUP   (6u << 8)
#define ICR_LOGICAL   (1u << 11)
#define ICR_ASSERT    (1u << 14)
#define ICR_SELF      (1u << 18)
#define ICR_ALL	      (2u << 18)
#define ICR_OTHERS    (3u << 18)
#define LVT_MASKED    (1u << 16)
#define LVT_PERIODIC  (1u << 17)
#define SVR_ENABLE    (1u << 8)

/* Switches to x2APIC mode where the CPU has it, and enables the APIC with the spurious vector 0xff. */
bool apic_init(void);
bool apic_is_x2(void);
uint64_t apic_read(enum apic_reg reg);
void apic_write(enum apic_reg reg, uint64_t value);
void apic_self_ipi(unsigned int vector);
void apic_self_nmi(void);
void apic_eoi(void);
bool apic_bit(enum apic_reg base, unsigned int vector);

/* event.c: 2-level event channels of this vCPU, delivered by an upcall vector. */
#define EVENT_VECTOR 0xf3u
extern struct shared_info *event_shared_info;
extern volatile unsigned int event_upcalls;
int event_init(void);
bool event_take_pending(evtchn_port_t port);
void event_unmask(evtchn_port_t port);
void event_mask(evtchn_port_t port);
long event_op(unsigned int op, void *argument);
evtchn_port_t event_to_self(evtchn_port_t *ret_other);

/* time.c */
uint64_t time_now(void);
/* Runs with interrupts on until *flag is not zero or the time is over; returns whether the flag was set. */
bool time_wait(const volatile unsigned int *flag, uint64_t nanoseconds);

#endif
