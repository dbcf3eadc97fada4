// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of event injection on SVM: virtual interrupts, deliveries that an exit cuts short, NMIs and their end.
// cflags: -include hypervisor/arch/x86/include/arch/cpu.h -include hypervisor/arch/x86/include/arch/domain.h
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct cpu *this_one;
static inline struct cpu *test_this_cpu(void)
{
	return this_one;
}
#define arch_this_cpu test_this_cpu

#include "../../hypervisor/arch/x86/svm/inject.c"

#define TYPE_EXCEPTION 3

static struct cpu cpu;
static struct domain dom;
static struct vcpu vcpu;
static struct svm_vcpu svm;
static struct vmcb vmcb;
static int deliverable, highest; /* vectors, -1: none */
static uint8_t tpr;
static unsigned offered, accepted, accepted_vector, kicks;

int vlapic_deliverable(struct vcpu *v)
{
	assert_ptr_equal(v, &vcpu);
	return deliverable;
}

int vlapic_highest_irr(struct vcpu *v)
{
	(void)v;
	return highest;
}

uint8_t vlapic_get_tpr(struct vcpu *v)
{
	(void)v;
	return tpr;
}

void vlapic_set_tpr(struct vcpu *v, uint8_t value)
{
	(void)v;
	tpr = value;
}

void vlapic_offer(struct vcpu *v, uint8_t vector)
{
	(void)v;
	assert_int_equal(offered, 0);
	offered = vector;
}

void vlapic_withdraw(struct vcpu *v)
{
	(void)v;
	assert_int_not_equal(offered, 0);
	offered = 0;
}

void vlapic_accept(struct vcpu *v, uint8_t vector)
{
	(void)v;
	assert_int_equal(offered, vector);
	offered = 0;
	accepted++;
	accepted_vector = vector;
	if (deliverable == vector)
		deliverable = highest = -1;
}

void apic_send_vector(unsigned to, uint8_t vector)
{
	assert_int_equal(to, 0);
	assert_int_equal(vector, VECTOR_KICK);
	kicks++;
}

static int setup(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	svm = (struct svm_vcpu){.vmcb = &vmcb};
	dom = (struct domain){.id = 1};
	vcpu = (struct vcpu){.domain = &dom, .arch.svm = &svm};
	vcpu.arch.rip = 0x1000;
	vcpu.arch.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF;
	vmcb.cr0 = X86_CR0_PE | X86_CR0_PG;
	vmcb.vintr = VINTR_MASKING;
	this_one = &cpu;
	deliverable = highest = -1;
	tpr = 0;
	offered = accepted = kicks = 0;
	return 0;
}

static void prepare(void)
{
	svm_inject_prepare(&vcpu);
	/* As svm_run() does it. */
	vmcb.rflags = vcpu.arch.rflags | (svm.stepping ? X86_EFLAGS_TF : 0);
	vmcb.rip = vcpu.arch.rip;
}

/* The guest ran up to an exit; `info`: the event whose delivery was cut short. */
static void exits(uint64_t info)
{
	vmcb.exit_int_info = info;
	vcpu.arch.rip = vmcb.rip;
	vcpu.arch.rflags = vmcb.rflags;
	svm_inject_exited(&vcpu);
}

static uint64_t event(unsigned type, unsigned vector)
{
	return EVENT_VALID | (uint64_t)type << EVENT_TYPE_SHIFT | vector;
}

static void expect_offer(unsigned vector)
{
	assert_true(vmcb.vintr & VINTR_IRQ);
	assert_int_equal(vmcb.vintr >> VINTR_VECTOR_SHIFT & 0xff, vector);
	assert_int_equal(vmcb.vintr >> VINTR_PRIO_SHIFT & 0xf, vector >> 4);
	assert_false(vmcb.vintr & VINTR_IGN_TPR);
	assert_true(vmcb.vintr & VINTR_MASKING);
}

static void take_interrupt(void)
{
	vmcb.vintr &= ~VINTR_IRQ;
}

/* ---- Interrupts ---- */

static void interrupt(void **state)
{
	(void)state;
	prepare();
	assert_false(vmcb.vintr & VINTR_IRQ);
	deliverable = highest = 0x61;
	prepare();
	expect_offer(0x61);
	assert_int_equal(vmcb.event_inject, 0);
	/* The guest has interrupts off: it stays pending. */
	exits(0);
	assert_int_equal(accepted, 0);
	prepare();
	expect_offer(0x61);
	take_interrupt();
	exits(0);
	assert_int_equal(accepted, 1);
	assert_int_equal(accepted_vector, 0x61);
	prepare();
	assert_false(vmcb.vintr & VINTR_IRQ);
	exits(0);
	assert_int_equal(accepted, 1);
}

/* A nested page fault in the delivery: it was not delivered, and is offered again, in the same way. */
static void interrupt_cut_short(void **state)
{
	(void)state;
	static const unsigned types[] = {EVENT_INTR, TYPE_EXCEPTION};

	for (unsigned i = 0; i < 4; i++) {
		setup(state);
		deliverable = highest = 0x61;
		prepare();
		/* CPUs differ in when they clear the flag, and emulators in how they call the event. */
		if (i & 1)
			take_interrupt();
		exits(event(types[i >> 1], 0x61));
		assert_int_equal(accepted, 0);
		assert_false(vcpu.arch.inject.valid);
		prepare();
		expect_offer(0x61);
		assert_int_equal(vmcb.event_inject, 0);
		take_interrupt();
		exits(0);
		assert_int_equal(accepted, 1);
	}
}

/* Meanwhile a better one has come: that is the next. */
static void higher_one_meanwhile(void **state)
{
	(void)state;
	deliverable = highest = 0x61;
	prepare();
	take_interrupt();
	deliverable = highest = 0x93;
	exits(event(EVENT_INTR, 0x61));
	prepare();
	expect_offer(0x93);
	take_interrupt();
	exits(0);
	assert_int_equal(accepted_vector, 0x93);
}

static void upcall_without_apic(void **state)
{
	(void)state;
	dom.arch.callback_via = 2UL << 56 | 0xf3;
	vcpu.arch.upcall_pending_legacy = true;
	deliverable = highest = 0x93;
	tpr = 0xf0;
	prepare();
	assert_int_equal(vmcb.vintr >> VINTR_VECTOR_SHIFT & 0xff, 0xf3);
	assert_true(vmcb.vintr & VINTR_IGN_TPR);
	exits(0);
	assert_true(vcpu.arch.upcall_pending_legacy);
	prepare();
	take_interrupt();
	exits(event(EVENT_INTR, 0xf3));
	assert_true(vcpu.arch.upcall_pending_legacy);
	prepare();
	take_interrupt();
	/* Another one, when the guest has this one already. */
	vcpu.arch.upcall_pending_legacy = true;
	exits(0);
	assert_true(vcpu.arch.upcall_pending_legacy);
	prepare();
	assert_int_equal(vmcb.vintr >> VINTR_VECTOR_SHIFT & 0xff, 0xf3);
	take_interrupt();
	exits(0);
	assert_false(vcpu.arch.upcall_pending_legacy);
	assert_int_equal(accepted, 0);
}

/* Writes of CR8 are seen while something is offered or waits below the priority, else they cost nothing. */
static void task_priority(void **state)
{
	(void)state;
	prepare();
	assert_false(vmcb.cr_write & INTERCEPT_WRITE_CR8);
	/* The guest raises it without an exit. */
	vmcb.vintr |= 0x7;
	exits(0);
	assert_int_equal(tpr, 0x70);
	highest = 0x61;
	prepare();
	assert_true(vmcb.cr_write & INTERCEPT_WRITE_CR8);
	assert_false(vmcb.vintr & VINTR_IRQ);
	assert_int_equal(vmcb.vintr & VINTR_TPR_MASK, 7);
	exits(0);
	tpr = 0x20;
	deliverable = 0x61;
	prepare();
	assert_true(vmcb.cr_write & INTERCEPT_WRITE_CR8);
	expect_offer(0x61);
	assert_int_equal(vmcb.vintr & VINTR_TPR_MASK, 2);
	exits(0);
	/* Lower bits of the APIC's register are not in CR8, and stay. */
	tpr = 0x25;
	prepare();
	exits(0);
	assert_int_equal(tpr, 0x25);
}

/* ---- Exceptions ---- */

static void queue(uint8_t vector, bool has_error, uint32_t error)
{
	vcpu.arch.inject = (struct pending_event){.valid = true,
						  .vector = vector,
						  .type = TYPE_EXCEPTION,
						  .has_error = has_error,
						  .error = error};
}

static void exception(void **state)
{
	(void)state;
	queue(TRAP_GP, true, 0x1234);
	prepare();
	assert_int_equal(vmcb.event_inject,
			 event(TYPE_EXCEPTION, TRAP_GP) | EVENT_ERROR_VALID | 0x1234UL << 32);
	assert_false(vcpu.arch.inject.valid);
	exits(0);
	prepare();
	assert_int_equal(vmcb.event_inject, 0);
	queue(TRAP_UD, false, 0);
	prepare();
	assert_int_equal(vmcb.event_inject, event(TYPE_EXCEPTION, TRAP_UD));
	/* Real mode has no error codes. */
	vmcb.cr0 = 0;
	queue(TRAP_GP, true, 7);
	prepare();
	assert_int_equal(vmcb.event_inject, event(TYPE_EXCEPTION, TRAP_GP));
}

static void exception_cut_short(void **state)
{
	(void)state;
	prepare();
	exits(event(TYPE_EXCEPTION, TRAP_PF) | EVENT_ERROR_VALID | 6UL << 32);
	prepare();
	assert_int_equal(vmcb.event_inject,
			 event(TYPE_EXCEPTION, TRAP_PF) | EVENT_ERROR_VALID | 6UL << 32);
	exits(0);
	prepare();
	assert_int_equal(vmcb.event_inject, 0);
	/* Together with an interrupt that waits: the exception first, the interrupt stays offered. */
	deliverable = highest = 0x61;
	exits(event(TYPE_EXCEPTION, TRAP_DE));
	prepare();
	assert_int_equal(vmcb.event_inject, event(TYPE_EXCEPTION, TRAP_DE));
	expect_offer(0x61);
}

/* What an instruction raises is raised by it once more: RIP is still there. */
static void software_interrupt_cut_short(void **state)
{
	static const uint64_t all[] = {EVENT_SOFT << EVENT_TYPE_SHIFT | 0x80,
				       TYPE_EXCEPTION << EVENT_TYPE_SHIFT | TRAP_BP,
				       TYPE_EXCEPTION << EVENT_TYPE_SHIFT | TRAP_OF};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		prepare();
		exits(EVENT_VALID | all[i]);
		assert_false(vcpu.arch.inject.valid);
		prepare();
		assert_int_equal(vmcb.event_inject, 0);
	}
	/* Not valid: nothing. */
	exits(event(TYPE_EXCEPTION, TRAP_GP) & ~EVENT_VALID);
	assert_false(vcpu.arch.inject.valid);
}

/* ---- NMIs ---- */

static void expect_nmi(void)
{
	assert_int_equal(vmcb.event_inject, event(EVENT_NMI, TRAP_NMI));
	assert_true(vcpu.arch.nmi_blocked);
	assert_false(vcpu.arch.nmi_pending);
	assert_true(vmcb.intercept3 & INTERCEPT_IRET);
}

/* The handler reaches its IRET, which exits before it is executed. */
static void reach_iret(uint64_t rip)
{
	vmcb.rip = rip;
	exits(0);
	svm_nmi_iret(&vcpu);
	assert_false(vmcb.intercept3 & INTERCEPT_IRET);
}

/* One is being handled, another one has come. */
static void second_nmi_waits(void)
{
	vcpu.arch.nmi_pending = true;
	prepare();
	exits(0);
	vcpu.arch.nmi_pending = true;
}

/* The exit behind the IRET that was stepped over, which has loaded flags of its own. */
static void trap_behind_iret(void)
{
	vmcb.rip = 0x1000;
	vmcb.rflags &= ~X86_EFLAGS_TF;
	vmcb.exit_code = EXIT_EXCEPTION + TRAP_DB;
	vmcb.dr6 |= DR6_BS;
	exits(0);
}

static void nmi(void **state)
{
	(void)state;
	vcpu.arch.nmi_pending = true;
	prepare();
	expect_nmi();
	exits(0);
	prepare();
	assert_int_equal(vmcb.event_inject, 0);
	reach_iret(0x2000);
	assert_true(vcpu.arch.nmi_blocked);
	prepare();
	assert_false(svm.stepping); /* nothing waits: no exit is needed */
	vmcb.rip = 0x1000;
	exits(0);
	assert_false(vcpu.arch.nmi_blocked);
}

static void nmi_cut_short(void **state)
{
	(void)state;
	vcpu.arch.nmi_pending = true;
	prepare();
	expect_nmi();
	exits(event(EVENT_NMI, TRAP_NMI));
	assert_true(vcpu.arch.nmi_pending);
	assert_false(vcpu.arch.nmi_blocked);
	assert_false(vmcb.intercept3 & INTERCEPT_IRET);
	prepare();
	expect_nmi();
}

/* A second one waits for the first one's IRET, and comes right behind it, before the guest goes on. */
static void nmi_within_nmi(void **state)
{
	(void)state;
	second_nmi_waits();
	prepare();
	assert_int_equal(vmcb.event_inject, 0);
	reach_iret(0x2000);
	prepare();
	assert_true(svm.stepping);
	assert_true(vmcb.rflags & X86_EFLAGS_TF);
	assert_int_equal(vmcb.exceptions & STEP_EXCEPTIONS, STEP_EXCEPTIONS);
	/* An exit that came before the IRET: our TF is not the guest's. */
	exits(0);
	assert_false(vcpu.arch.rflags & X86_EFLAGS_TF);
	assert_true(vcpu.arch.nmi_blocked);
	prepare();
	assert_true(svm.stepping);
	trap_behind_iret();
	assert_true(svm_nmi_step_done(&vcpu));
	assert_int_equal(vmcb.dr6, 0);
	assert_int_equal(vmcb.exceptions & STEP_EXCEPTIONS, 0);
	assert_false(vcpu.arch.nmi_blocked);
	prepare();
	expect_nmi();
}

/* The handler had interrupts on: none may come between our TF and the IRET, and save that TF as the guest's. */
static void no_interrupt_before_the_stepped_iret(void **state)
{
	for (unsigned legacy = 0; legacy < 2; legacy++) {
		setup(state);
		dom.arch.callback_via = 2UL << 56 | 0xf3;
		second_nmi_waits();
		reach_iret(0x2000);
		if (legacy)
			vcpu.arch.upcall_pending_legacy = true;
		else
			deliverable = highest = 0x61;
		prepare();
		assert_true(svm.stepping);
		assert_false(vmcb.vintr & VINTR_IRQ);
		assert_int_equal(offered, 0);
		assert_int_equal(vcpu.arch.upcall_pending_legacy, legacy);
		/* The IRET is through: the NMI that waited, and the interrupt is offered again. */
		trap_behind_iret();
		assert_true(svm_nmi_step_done(&vcpu));
		prepare();
		expect_nmi();
		assert_true(vmcb.vintr & VINTR_IRQ);
		assert_int_equal(vmcb.vintr >> VINTR_VECTOR_SHIFT & 0xff, legacy ? 0xf3 : 0x61);
	}
}

/* The guest single-steps its handler: the trap behind the IRET is its own. */
static void guest_steps_the_iret(void **state)
{
	(void)state;
	second_nmi_waits();
	vmcb.rflags |= X86_EFLAGS_TF;
	reach_iret(0x2000);
	prepare();
	assert_true(svm.stepping);
	/* An exit before it leaves the guest's TF alone. */
	exits(0);
	assert_true(vcpu.arch.rflags & X86_EFLAGS_TF);
	prepare();
	trap_behind_iret();
	assert_false(svm_nmi_step_done(&vcpu));
	assert_int_equal(vmcb.dr6, DR6_BS);
}

/* A breakpoint behind the IRET is the guest's. */
static void breakpoint_behind_the_iret(void **state)
{
	(void)state;
	second_nmi_waits();
	reach_iret(0x2000);
	prepare();
	vmcb.dr7 = 1 << 2;
	vmcb.dr6 = 2 | 1; /* 1 is on, 0 is not */
	trap_behind_iret();
	assert_false(svm_nmi_step_done(&vcpu));
	assert_int_equal(vmcb.dr6 & DR6_BS, 0);
}

static void exception_before_nmi(void **state)
{
	(void)state;
	queue(TRAP_UD, false, 0);
	vcpu.arch.nmi_pending = true;
	prepare();
	assert_int_equal(vmcb.event_inject, event(TYPE_EXCEPTION, TRAP_UD));
	/* An interrupt of our own ends the guest's run right after it. */
	assert_int_equal(kicks, 1);
	exits(0);
	prepare();
	expect_nmi();
	assert_int_equal(kicks, 1);
}

static void nmi_in_a_shadow(void **state)
{
	(void)state;
	vcpu.arch.nmi_pending = true;
	vmcb.interrupt_shadow = SHADOW_ACTIVE;
	prepare();
	assert_int_equal(vmcb.event_inject, 0);
	assert_true(vmcb.intercept3 & INTERCEPT_VINTR);
	assert_true(vmcb.vintr & VINTR_IRQ);
	assert_false(svm.event_offered);
	/* The window: nothing was delivered by this. */
	vmcb.interrupt_shadow = 0;
	exits(0);
	assert_int_equal(accepted, 0);
	prepare();
	expect_nmi();
	assert_false(vmcb.intercept3 & INTERCEPT_VINTR);
	assert_false(vmcb.vintr & VINTR_IRQ);
}

static void init_ends_all(void **state)
{
	(void)state;
	deliverable = highest = 0x61;
	second_nmi_waits();
	reach_iret(0x2000);
	prepare();
	assert_true(svm.stepping);
	svm_nmi_reset(&vcpu);
	vcpu.arch.nmi_pending = vcpu.arch.nmi_blocked = false;
	take_interrupt();
	exits(0);
	/* The reset APIC has nothing to accept. */
	assert_int_equal(accepted, 0);
	assert_int_equal(vmcb.exceptions | (vmcb.intercept3 & INTERCEPT_IRET), 0);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(interrupt),
		T(interrupt_cut_short),
		T(higher_one_meanwhile),
		T(upcall_without_apic),
		T(task_priority),
		T(exception),
		T(exception_cut_short),
		T(software_interrupt_cut_short),
		T(nmi),
		T(nmi_cut_short),
		T(nmi_within_nmi),
		T(no_interrupt_before_the_stepped_iret),
		T(guest_steps_the_iret),
		T(breakpoint_behind_the_iret),
		T(exception_before_nmi),
		T(nmi_in_a_shadow),
		T(init_ends_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
