// SPDX-License-Identifier: GPL-2.0-or-later
// How the hostile guest lives on: it takes exceptions whatever state it is in, repairs itself, and starts its second vCPU.
#include "domu/attack.h"
#include <xen/hvm/hvm_vcpu.h>
#include <xen/vcpu.h>

#define SELECTOR_CODE  0x08u
#define SELECTOR_DATA  0x10u
#define SELECTOR_TASK  0x20u
#define GDT_ENTRIES    6u
#define TYPE_TASK      0x89ull /* an available 64-bit TSS, present */
#define GATES	       256u
#define EXCEPTIONS     32u
#define STACK_BYTES    8192u
#define IST_EXCEPTIONS 1u
#define IST_INTERRUPTS 2u
#define MSR_EFER       0xc0000080u

struct descriptor_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct task {
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));
_Static_assert(sizeof(struct task) == 104, "AMD64 Architecture Programmer's Manual vol. 2, 12.2.5");

/* Of a vCPU. It is found by the stack that is in use. */
static struct cpu {
	uint8_t stacks[3]
		      [STACK_BYTES]; /* for exceptions, for interrupts, and the second one's own */
	uint64_t guard;		     /* stack pointer to go back to; 0: no attack is under way */
	uint64_t random;
	struct task task;
	uint64_t gdt[GDT_ENTRIES];
} cpus[2] __attribute__((aligned(PAGE_BYTES)));

uint64_t attack_faults;
extern const uint64_t guest_gdt[4];
extern uint8_t attack_recover[];
static struct descriptor_pointer idt_pointer;

static struct cpu *this_cpu(void)
{
	uint64_t at = ADDRESS(__builtin_frame_address(0)) - ADDRESS(&cpus[1]);

	return at < sizeof(cpus[1]) ? &cpus[1] : &cpus[0];
}

void attack_seed(uint64_t seed)
{
	this_cpu()->random = seed * 0x9e3779b97f4a7c15ull + 1;
}

uint64_t attack_random(void)
{
	uint64_t *state = &this_cpu()->random;

	/* xorshift64* (Vigna): small, and without a short cycle. */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

/* ---- Exceptions ---- */

/* Calls `act`, with the stack pointer in *guard meanwhile. */
__asm__(".pushsection .text\n"
	"attack_call:\n"
	"	pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"	movq %rsi, %rbx\n"
	"	movq %rsp, (%rsi)\n"
	"	call *%rdi\n"
	"	movq %rbx, %rsi\n"
	".globl attack_recover\n"
	"attack_recover:\n"
	"	movq (%rsi), %rsp\n"
	"	movq $0, (%rsi)\n"
	"	cld\n"
	"	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
	"	ret\n"
	".popsection\n");
void attack_call(void (*act)(void), uint64_t *guard);

void attack_guarded(void (*act)(void))
{
	attack_call(act, &this_cpu()->guard);
}

static void fault(struct trap_frame *frame)
{
	struct cpu *cpu = this_cpu();

	if (!cpu->guard) {
		/* An NMI, or an interrupt with the vector of an exception. */
		if (frame->vector == TRAP_NMI || frame->vector > TRAP_PF)
			return;
		guest_end_run();
	}
	attack_faults++;
	frame->rip = ADDRESS(attack_recover);
	frame->rsp = cpu->guard;
	frame->rsi = ADDRESS(&cpu->guard);
	frame->cs = SELECTOR_CODE;
	frame->ss = SELECTOR_DATA;
	frame->rflags = 2;
}

/* Interrupts that were asked for one way or another. */
static void interrupt(struct trap_frame *frame)
{
	/* One at a time: a timer that always has expired would leave no time for anything else. */
	frame->rflags &= ~0x200ull;
	event_shared_info->vcpu_info[this_cpu() - cpus].evtchn_upcall_pending = 0;
	apic_eoi();
}

/* Stacks of their own for exceptions and interrupts, whatever RSP is. */
static void load_stacks(struct cpu *cpu)
{
	struct descriptor_pointer pointer = {sizeof(cpu->gdt) - 1, ADDRESS(cpu->gdt)};
	uint64_t base = ADDRESS(&cpu->task);

	memcpy(cpu->gdt, guest_gdt, sizeof(guest_gdt));
	cpu->task.io_map = sizeof(cpu->task);
	cpu->task.ist[IST_EXCEPTIONS - 1] = ADDRESS(cpu->stacks[1]);
	cpu->task.ist[IST_INTERRUPTS - 1] = ADDRESS(cpu->stacks[2]);
	cpu->gdt[SELECTOR_TASK / 8] = (sizeof(cpu->task) - 1) | (base & 0xffffff) << 16 |
				      TYPE_TASK << 40 | (base >> 24 & 0xff) << 56;
	cpu->gdt[SELECTOR_TASK / 8 + 1] = base >> 32;
	__asm__ volatile("lgdt %0" : : "m"(pointer));
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TASK));
}

static void prepare_exceptions(void)
{
	uint8_t *gates;

	load_stacks(&cpus[0]);
	__asm__ volatile("sidt %0" : "=m"(idt_pointer));
	/* Byte 4 of a gate: number of the stack (APM vol. 2, 8.9.3). */
	gates = (uint8_t *)(uintptr_t)idt_pointer.base;
	for (unsigned int i = 0; i < GATES; i++)
		gates[i * 16 + 4] = i < EXCEPTIONS ? IST_EXCEPTIONS : IST_INTERRUPTS;
	for (unsigned int i = 0; i < EXCEPTIONS; i++)
		guest_on(i, fault);
	for (unsigned int i = EXCEPTIONS; i < GATES; i++)
		guest_on(i, interrupt);
}

/* ---- Repairs ---- */

/* What it cannot live without, and how that was at the beginning. */
static struct {
	uint64_t *at, *copy;
	uint64_t words;
} vital[8];
static unsigned int vitals;
static uint64_t copies[24 * PAGE_BYTES / 8];
static uint64_t copied, cr0, cr3, cr4, efer, apic_base;

/* Entries of page tables lose what the CPU sets in them: accessed and dirty. */
#define CPU_BITS 0x60ull

static void keep(void *at, uint64_t bytes)
{
	vital[vitals].at = at;
	vital[vitals].copy = copies + copied;
	vital[vitals].words = bytes / 8;
	if (copied + bytes / 8 > sizeof(copies) / 8) {
		guest_fail("%lu bytes more to keep than there is room for", bytes);
		return;
	}
	for (uint64_t i = 0; i < bytes / 8; i++)
		copies[copied++] = vital[vitals].at[i];
	vitals++;
}

void attack_heal(void)
{
	for (unsigned int v = 0; v < vitals; v++)
		for (uint64_t i = 0; i < vital[v].words; i++)
			if ((vital[v].at[i] ^ vital[v].copy[i]) & ~CPU_BITS)
				vital[v].at[i] = vital[v].copy[i];
	__asm__ volatile("movq %0, %%cr0; movq %1, %%cr4; movq %2, %%cr3"
			 :
			 : "r"(cr0), "r"(cr4), "r"(cr3)
			 : "memory");
	__asm__ volatile("movq %0, %%dr7" : : "r"(0x400ul) : "memory");
	write_cr8(0);
	if (rdmsr(MSR_EFER) != efer)
		wrmsr(MSR_EFER, efer);
	if (rdmsr(MSR_APIC_BASE) != apic_base)
		wrmsr_safe(MSR_APIC_BASE, apic_base);
}

void attack_init(void)
{
	const uint64_t *pointers = (const uint64_t *)(uintptr_t)(guest_page_root[0] &
								 ~(PAGE_BYTES - 1ull));

	prepare_exceptions();
	keep(guest_page_root, 8); /* the second entry is that of the window */
	keep((void *)(uintptr_t)pointers, 4 * 8);
	keep((void *)(uintptr_t)(pointers[0] & ~(PAGE_BYTES - 1ull)), 4 * PAGE_BYTES);
	keep((void *)(uintptr_t)idt_pointer.base, GATES * 16);
	keep(cpus[0].gdt, sizeof(cpus[0].gdt));
	keep(&cpus[0].task, sizeof(cpus[0].task));
	keep(guest_hypercall_page, PAGE_BYTES);
	__asm__ volatile("movq %%cr0, %0; movq %%cr4, %1; movq %%cr3, %2"
			 : "=r"(cr0), "=r"(cr4), "=r"(cr3));
	efer = rdmsr(MSR_EFER);
	apic_base = rdmsr(MSR_APIC_BASE);
}

/* ---- The second vCPU ---- */

static void (*second_act)(void);

static void second(void)
{
	struct cpu *cpu = &cpus[1];

	load_stacks(cpu);
	__asm__ volatile("lidt %0" : : "m"(idt_pointer));
	wrmsr_safe(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ON | APIC_BASE_X2);
	wrmsr_safe(MSR_X2APIC + APIC_SVR, SVR_ENABLE | 0xff);
	for (;;)
		attack_guarded(second_act);
}

bool attack_second(void (*act)(void), uint64_t seed)
{
	static struct vcpu_hvm_context context;
	struct vcpu_hvm_x86_64 *r = &context.cpu_regs.x86_64;

	second_act = act;
	cpus[1].random = seed * 0x9e3779b97f4a7c15ull + 1;
	context.mode = VCPU_HVM_MODE_64B;
	r->rip = ADDRESS(second);
	/* As after a call. */
	r->rsp = ADDRESS(cpus[1].stacks + 3) - 8;
	r->rflags = 2;
	r->cr0 = cr0;
	r->cr3 = cr3;
	r->cr4 = cr4;
	r->efer = efer;
	return !hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_initialise, 1, ADDRESS(&context)) &&
	       !hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_up, 1, 0);
}
