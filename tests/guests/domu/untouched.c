// SPDX-License-Identifier: GPL-2.0-or-later
// Takes events of every kind on stacks that nobody has touched before.
#include "domu.h"

#define VECTOR	     0x61u
#define HIGHER	     0x82u
#define FIRST_STACK  0x2000000ul /* the memory from there on is nobody's */
#define STACK_BYTES  0x200000ul
#define ABSENT_MSR   0xc0001234u
#define BAD_ADDRESS  0x7ead00000000ul
#define BAD_SELECTOR 0x58u
#define FLAGS_TF     0x100u

static unsigned int stacks, taken;
static struct trap_frame seen[2];
static uint64_t seen_stack[2], seen_cr2, go_on;

/* In the middle of 2 MiB, so that whatever size the pages get, none has been touched. */
static uint64_t fresh_stack(void)
{
	return FIRST_STACK + stacks++ * STACK_BYTES + STACK_BYTES / 2;
}

static void note(struct trap_frame *frame)
{
	if (taken < 2) {
		seen[taken] = *frame;
		seen_stack[taken] = ADDRESS(frame);
	}
	__asm__ volatile("movq %%cr2, %0" : "=r"(seen_cr2));
	taken++;
}

static void note_interrupt(struct trap_frame *frame)
{
	note(frame);
	apic_eoi();
}

/* The instruction would fault again and again. */
static void note_fault(struct trap_frame *frame)
{
	note(frame);
	frame->rip = go_on;
}

static void note_step(struct trap_frame *frame)
{
	note(frame);
	frame->rflags &= ~(uint64_t)FLAGS_TF;
}

static void prepare(void)
{
	taken = 0;
	seen_cr2 = 0;
	guest_on(VECTOR, note_interrupt);
	guest_on(HIGHER, note_interrupt);
}

/*
 * Runs instructions on a stack that is fresh. Label 1 is behind what raises the event, label 3 at it; RAX, RCX and RDX have the
 * values given.
 */
#define RUN(instructions, a, c, d)                                                               \
 do {                                                                                            \
  uint64_t stack_ = fresh_stack(), a_ = (a), c_ = (c), d_ = (d);                                 \
                                                                                                 \
  top = stack_;                                                                                  \
  __asm__ volatile("leaq 1f(%%rip), %%r14\n\tmovq %%r14, %[on]\n\tmovq %%r14, %[behind]\n\t"     \
		   "leaq 3f(%%rip), %%r14\n\tmovq %%r14, %[at]\n\t"                              \
		   "movq %%rsp, %%r15\n\t" instructions "\n\tmovq %%r15, %%rsp"                  \
		   : [on] "=m"(go_on), [behind] "=m"(behind), [at] "=m"(at), "+a"(a_), "+c"(c_), \
		     "+d"(d_)                                                                    \
		   : [stack] "r"(stack_)                                                         \
		   : "r14", "r15", "memory", "cc");                                              \
 } while (0)
#define ON_STACK "movq %[stack], %%rsp\n\t"

static uint64_t top, behind, at;

/* One event came, by this vector, on the fresh stack, and goes on at the address. */
static void check(unsigned int n, unsigned int vector, uint64_t error, uint64_t rip)
{
	CHECK(taken > n, "%u events came", taken);
	CHECK(seen[n].vector == vector, "vector %lu", seen[n].vector);
	CHECK(seen[n].error == error, "error code %#lx", seen[n].error);
	CHECK(seen_stack[n] < top && top - seen_stack[n] < 0x1000, "its frame is at %#lx",
	      seen_stack[n]);
	CHECK(seen[n].rsp == top, "RSP was %#lx, not %#lx", seen[n].rsp, top);
	CHECK(!rip || seen[n].rip == rip, "RIP is %#lx, not %#lx", seen[n].rip, rip);
}

static void check_one(unsigned int vector, uint64_t error, uint64_t rip)
{
	CHECK(taken == 1, "%u events came", taken);
	check(0, vector, error, rip);
}

/* Dom0 looks how much memory we have before the first stack is used. */
GUEST_TEST(begin)
{
	domu_mailbox()->to_dom0[0] = 1;
	domu_take_word(0);
	CHECK(apic_is_x2(), "no x2APIC");
}

GUEST_TEST(interrupt)
{
	for (unsigned int i = 0; i < 3; i++) {
		prepare();
		apic_self_ipi(VECTOR);
		RUN(ON_STACK "3: sti\n\tnop\n1:\tnop\n\tnop\n\tcli", 0, 0, 0);
		check_one(VECTOR, 0, 0);
		CHECK(!apic_bit(APIC_IRR, VECTOR) && !apic_bit(APIC_ISR, VECTOR),
		      "IRR or ISR is left");
	}
}

GUEST_TEST(interrupt_in_halt)
{
	prepare();
	apic_self_ipi(VECTOR);
	RUN(ON_STACK "sti\n3:\thlt\n1:\tcli", 0, 0, 0);
	check_one(VECTOR, 0, behind);
}

/* The higher one first; the other is still pending while it is delivered. */
GUEST_TEST(two_interrupts)
{
	prepare();
	apic_self_ipi(VECTOR);
	apic_self_ipi(HIGHER);
	RUN(ON_STACK "3: sti\n\tnop\n1:\tnop\n\tnop\n\tnop\n\tcli", 0, 0, 0);
	CHECK(taken == 2, "%u events came", taken);
	check(0, HIGHER, 0, 0);
	check(1, VECTOR, 0, 0);
}

/* The priority is above the interrupt again when the stack is there. */
GUEST_TEST(priority_raised)
{
	prepare();
	apic_self_ipi(VECTOR);
	RUN(ON_STACK "3: wrmsr\n\tsti\n\tnop\n1:\tnop\n\tcli", 0xf0, MSR_X2APIC + APIC_TPR, 0);
	CHECK(taken == 0, "delivered at priority 15");
	/* The page is still not there. */
	__asm__ volatile(
		"movq %%rsp, %%r15\n\tmovq %0, %%rsp\n\twrmsr\n\tsti\n\tnop\n\tnop\n\tcli\n\t"
		"movq %%r15, %%rsp"
		:
		: "r"(top), "a"(0), "c"(MSR_X2APIC + APIC_TPR), "d"(0)
		: "r15", "memory", "cc");
	check_one(VECTOR, 0, 0);
}

static unsigned int nmi_depth, nmi_deepest;

static void on_nmi(struct trap_frame *frame)
{
	note(frame);
	if (++nmi_depth > nmi_deepest)
		nmi_deepest = nmi_depth;
	/* A second one has to wait for our IRET. */
	if (taken == 1) {
		apic_self_nmi();
		(void)apic_read(APIC_VERSION);
	}
	nmi_depth--;
}

GUEST_TEST(nmi)
{
	prepare();
	guest_on(TRAP_NMI, on_nmi);
	RUN(ON_STACK "3: wrmsr\n1:\tnop", ICR_NMI, MSR_X2APIC + APIC_ICR, 0);
	(void)apic_read(APIC_VERSION);
	CHECK(taken == 2, "%u NMIs came", taken);
	CHECK(nmi_deepest == 1, "nested %u deep", nmi_deepest);
	check(0, TRAP_NMI, 0, behind);
	guest_on(TRAP_NMI, NULL);
}

GUEST_TEST(breakpoint)
{
	prepare();
	guest_on(TRAP_BP, note);
	RUN(ON_STACK "3: int3\n1:\tnop", 0, 0, 0);
	check_one(TRAP_BP, 0, behind);
}

static void note_software(struct trap_frame *frame)
{
	note(frame);
}

GUEST_TEST(software_interrupt)
{
	prepare();
	guest_on(VECTOR, note_software);
	RUN(ON_STACK "3: int $0x61\n1:\tnop", 0, 0, 0);
	check_one(VECTOR, 0, behind);
}

GUEST_TEST(undefined_instruction)
{
	prepare();
	guest_on(TRAP_UD, note_fault);
	RUN(ON_STACK "3: ud2\n1:\tnop", 0, 0, 0);
	check_one(TRAP_UD, 0, at);
	guest_on(TRAP_UD, NULL);
}

GUEST_TEST(division)
{
	prepare();
	guest_on(TRAP_DE, note_fault);
	RUN(ON_STACK "3: divl %%ecx\n1:\tnop", 1, 0, 0);
	check_one(TRAP_DE, 0, at);
	guest_on(TRAP_DE, NULL);
}

GUEST_TEST(error_code)
{
	prepare();
	guest_on(TRAP_GP, note_fault);
	RUN(ON_STACK "3: movl %%ecx, %%es\n1:\tnop", 0, BAD_SELECTOR, 0);
	check_one(TRAP_GP, BAD_SELECTOR, at);
	guest_on(TRAP_GP, NULL);
}

GUEST_TEST(page_fault)
{
	prepare();
	guest_on(TRAP_PF, note_fault);
	RUN(ON_STACK "3: movb $1, (%%rcx)\n1:\tnop", 0, BAD_ADDRESS, 0);
	check_one(TRAP_PF, 2, at);
	CHECK(seen_cr2 == BAD_ADDRESS, "CR2 is %#lx", seen_cr2);
	guest_on(TRAP_PF, NULL);
}

/* One that the hypervisor injects, and no CPU. */
GUEST_TEST(injected_exception)
{
	prepare();
	guest_on(TRAP_GP, note_fault);
	RUN(ON_STACK "3: rdmsr\n1:\tnop", 0, ABSENT_MSR, 0);
	check_one(TRAP_GP, 0, at);
	guest_on(TRAP_GP, NULL);
}

/* A trap behind an instruction; the hypervisor sees it first. */
GUEST_TEST(single_step)
{
	prepare();
	guest_on(TRAP_DB, note_step);
	RUN("pushfq\n\torq $0x100, (%%rsp)\n3:\tpopfq\n\t" ON_STACK "1: nop", 0, 0, 0);
	check_one(TRAP_DB, 0, behind);
	guest_on(TRAP_DB, NULL);
}

GUEST_TEST(end)
{
	domu_mailbox()->to_dom0[1] = stacks;
}
