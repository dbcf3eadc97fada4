// SPDX-License-Identifier: GPL-2.0-or-later
// Two vCPUs: start and stop, interrupts of all kinds between them, events, timers and states of another vCPU.
// machine: vcpus=2 icount
#include "guest.h"
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/hvm_vcpu.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define MS	    1000000ul
/* For what is to happen: it ends a run that cannot go on. Time is counted in instructions here, so that the load of the host does not matter. */
#define LIMIT	    (1000 * MS)
#define AP_ID	    2u /* the APIC ID of vCPU 1 */
#define TRAMPOLINE  0x8000u
#define VECTOR	    0x61u
#define WAKE	    0x51u
#define AP_EVENT    0xf4u
#define CR0_CD_NW   0x60000000u	 /* INIT leaves them as they are (SDM vol. 3A, 9.1.1) */
#define WINDOW	    0x80000000ul /* virtual, 2 MiB, where no memory is */
#define FIRST_PLACE 0x2000000ul	 /* memory in the middle of nowhere */
#define OTHER_PLACE 0x2200000ul

/* ---- vCPU 1 ---- */

extern uint8_t smp_trampoline[], smp_trampoline_end[], smp_cr0[];
void smp_main(void);

static uint8_t ap_stack[16384] __attribute__((aligned(16), used));
uint8_t *const smp_stack_top __attribute__((used)) = ap_stack + sizeof(ap_stack);
static volatile unsigned int starts, done;
static void (*volatile job)(void);
static volatile long job_result;
static uint8_t ap_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static volatile struct vcpu_info *ap_info;
static volatile unsigned int taken[2], nmis[2], ap_upcalls;

__asm__(".pushsection .text\n\t"
	".code16\n\t"
	".globl smp_trampoline, smp_trampoline_end, smp_cr0\n"
	"smp_trampoline:\n\t"
	"cli\n\t"
	"movw %cs, %ax\n\t"
	"movw %ax, %ds\n\t"
	"movl %cr0, %eax\n\t"
	"movl %eax, smp_cr0 - smp_trampoline\n\t"
	"lgdtl smp_gdt - smp_trampoline\n\t"
	"movl $0x20, %eax\n\t"
	"movl %eax, %cr4\n\t"
	"movl $guest_page_root, %eax\n\t"
	"movl %eax, %cr3\n\t"
	"movl $0xc0000080, %ecx\n\t"
	"rdmsr\n\t"
	"orl $0x900, %eax\n\t"
	"wrmsr\n\t"
	"movl $0x80010011, %eax\n\t"
	"movl %eax, %cr0\n\t"
	"ljmpl $0x08, $smp_entry64\n"
	"smp_gdt: .word 31\n\t"
	".long guest_gdt\n"
	"smp_cr0: .long 0\n"
	"smp_trampoline_end:\n\t"
	".code64\n"
	"smp_entry64:\n\t"
	"movl $0x10, %eax\n\t"
	"movl %eax, %ds\n\t"
	"movl %eax, %es\n\t"
	"movl %eax, %ss\n\t"
	"movq smp_stack_top, %rsp\n\t"
	"xorl %ebp, %ebp\n\t"
	"call smp_main\n\t"
	"ud2\n\t"
	".popsection");

static unsigned int self(void)
{
	return apic_read(APIC_ID) != 0;
}

/* Waits for work; an interrupt says that there is some. */
void smp_main(void)
{
	guest_traps_load();
	apic_init();
	__atomic_fetch_add(&starts, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		void (*f)(void) = job;

		if (f) {
			job = NULL;
			f();
			__atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
		}
		cli();
		if (!job)
			sti_hlt();
	}
}

static void woken(struct trap_frame *frame)
{
	(void)frame;
	apic_eoi();
}

static void count(struct trap_frame *frame)
{
	(void)frame;
	taken[self()]++;
	apic_eoi();
}

static void count_nmi(struct trap_frame *frame)
{
	(void)frame;
	nmis[self()]++;
}

static void ap_upcall(struct trap_frame *frame)
{
	(void)frame;
	if (!self())
		return;
	ap_info->evtchn_upcall_pending = 0;
	__atomic_exchange_n(&ap_info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
	ap_upcalls++;
	apic_eoi();
}

/* ---- vCPU 0 ---- */

static long vcpu_op(unsigned int op, unsigned int vcpu, void *argument)
{
	return hypercall3(__HYPERVISOR_vcpu_op, op, vcpu, ADDRESS(argument));
}

static void let_other_run(void)
{
	hypercall2(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

/* Until *p is at least n; interrupts are on meanwhile. */
static bool reaches(const volatile unsigned int *p, unsigned int n)
{
	uint64_t end = time_now() + LIMIT;

	sti();
	while (*p < n && time_now() < end)
		let_other_run();
	cli();
	return *p >= n;
}

/* Gives what is not to happen the time to happen. */
static void pass_time(void)
{
	uint64_t end = time_now() + 3 * MS;

	sti();
	while (time_now() < end)
		let_other_run();
	cli();
}

static void ipi(uint64_t destination, unsigned int command)
{
	apic_write(APIC_ICR, destination << 32 | ICR_ASSERT | command);
}

/* Until vCPU 1 is in the state; a vCPU that has halted or stopped still runs for a moment. */
static bool state_becomes(int state, struct vcpu_runstate_info *ret_info)
{
	uint64_t end = time_now() + LIMIT;

	do {
		let_other_run();
		if (vcpu_op(VCPUOP_get_runstate_info, 1, ret_info))
			return false;
	} while (ret_info->state != state && time_now() < end);
	return ret_info->state == state;
}

static bool becomes(long up)
{
	uint64_t end = time_now() + LIMIT;

	while (vcpu_op(VCPUOP_is_up, 1, NULL) != up && time_now() < end)
		let_other_run();
	return vcpu_op(VCPUOP_is_up, 1, NULL) == up;
}

static void give(void (*f)(void))
{
	job = f;
	ipi(AP_ID, WAKE);
}

static bool on_ap(void (*f)(void))
{
	unsigned int n = done;

	give(f);
	return reaches(&done, n + 1);
}

static bool start(void)
{
	unsigned int n = starts;

	ipi(AP_ID, ICR_STARTUP | TRAMPOLINE >> 12);
	return reaches(&starts, n + 1);
}

static void nothing(void)
{
}

GUEST_TEST(before_the_start)
{
	CHECK(apic_is_x2(), "no x2APIC");
	guest_on(WAKE, woken);
	guest_on(VECTOR, count);
	guest_on(TRAP_NMI, count_nmi);
	guest_on(AP_EVENT, ap_upcall);
	CHECK(vcpu_op(VCPUOP_is_up, 0, NULL) == 1, "vCPU 0 is not up");
	CHECK(vcpu_op(VCPUOP_is_up, 1, NULL) == 0, "vCPU 1 is up");
	CHECK(vcpu_op(VCPUOP_is_up, 2, NULL) == -XEN_ENOENT, "vCPU 2 exists");
	CHECK(vcpu_op(VCPUOP_up, 1, NULL) == -XEN_EINVAL, "a vCPU without registers goes up");
	/* Lost, as nobody is there to take them. */
	ipi(AP_ID, VECTOR);
	ipi(AP_ID, ICR_NMI);
	pass_time();
	CHECK(starts == 0 && taken[0] + taken[1] + nmis[0] + nmis[1] == 0,
	      "somebody took an interrupt");
}

static uint64_t ap_base, ap_id, ap_ldr;

static void identify(void)
{
	ap_base = rdmsr(MSR_APIC_BASE);
	ap_id = apic_read(APIC_ID);
	ap_ldr = apic_read(APIC_LDR);
}

GUEST_TEST(start_by_sipi)
{
	uint32_t cr0;

	memcpy((void *)(uintptr_t)TRAMPOLINE, smp_trampoline,
	       (size_t)(smp_trampoline_end - smp_trampoline));
	ipi(AP_ID, ICR_INIT);
	pass_time();
	CHECK(starts == 0, "it starts by INIT");
	CHECK(start(), "it does not start");
	cr0 = *(volatile uint32_t *)(uintptr_t)(TRAMPOLINE + (size_t)(smp_cr0 - smp_trampoline));
	CHECK((cr0 & ~CR0_CD_NW) == 0x10, "CR0 is %#x", cr0);
	CHECK(vcpu_op(VCPUOP_is_up, 1, NULL) == 1, "not up");
	CHECK(on_ap(identify), "no answer");
	CHECK(ap_id == AP_ID, "APIC ID %lu", ap_id);
	CHECK(!(ap_base & 0x100), "it is the boot CPU, too");
	VALUE("ap base %#lx", ap_base);
	VALUE("ap logical %#lx", ap_ldr);
	VALUE("ap initialise %ld", vcpu_op(VCPUOP_initialise, 1, ap_page));
}

/* Only the first one after INIT counts (SDM vol. 3A 9.4.3). */
GUEST_TEST(second_sipi)
{
	unsigned int n = starts;

	ipi(AP_ID, ICR_STARTUP | TRAMPOLINE >> 12);
	pass_time();
	CHECK(on_ap(nothing), "no answer");
	CHECK(starts == n, "it started again");
}

/* One IPI, and who takes it. */
static bool delivers(uint64_t destination, unsigned int command, unsigned int here,
		     unsigned int there)
{
	taken[0] = taken[1] = 0;
	ipi(destination, command | VECTOR);
	if (!reaches(&taken[0], here) || !reaches(&taken[1], there))
		return false;
	pass_time();
	return taken[0] == here && taken[1] == there;
}

#define DELIVERS(destination, command, here, there, what) \
 CHECK(delivers(destination, command, here, there), what ": %u here, %u there", taken[0], taken[1])

GUEST_TEST(ipi_kinds)
{
	uint64_t ldr = apic_read(APIC_LDR);

	DELIVERS(AP_ID, 0, 0, 1, "physical");
	DELIVERS(0, 0, 1, 0, "physical, to itself");
	DELIVERS(7, 0, 0, 0, "to nobody");
	DELIVERS(0xffffffff, 0, 1, 1, "physical broadcast");
	DELIVERS(ap_ldr, ICR_LOGICAL, 0, 1, "logical");
	DELIVERS(ldr | ap_ldr, ICR_LOGICAL, 1, 1, "logical, both");
	DELIVERS(0, ICR_SELF, 1, 0, "self");
	DELIVERS(0, ICR_ALL, 1, 1, "all");
	DELIVERS(0, ICR_OTHERS, 0, 1, "all but self");
	taken[0] = taken[1] = 0;
	ipi(ldr | ap_ldr, ICR_LOGICAL | ICR_LOWEST | VECTOR);
	for (uint64_t end = time_now() + LIMIT; taken[0] + taken[1] == 0 && time_now() < end;)
		pass_time();
	pass_time();
	CHECK(taken[0] + taken[1] == 1, "lowest priority: %u here, %u there", taken[0], taken[1]);
}

GUEST_TEST(logical_broadcast)
{
	DELIVERS(0xffffffff, ICR_LOGICAL, 1, 1, "broadcast");
}

static void send_back(void)
{
	ipi(0, VECTOR);
}

static void send_to_others(void)
{
	ipi(0, ICR_OTHERS | VECTOR);
}

GUEST_TEST(ipi_from_the_other)
{
	taken[0] = taken[1] = 0;
	CHECK(on_ap(send_back), "no answer");
	CHECK(reaches(&taken[0], 1), "nothing came");
	CHECK(on_ap(send_to_others), "no answer");
	CHECK(reaches(&taken[0], 2), "nothing came to the others");
	CHECK(taken[1] == 0, "it came to the sender");
}

/* Each finds the other halted. */
GUEST_TEST(ping_pong)
{
	taken[0] = 0;
	for (unsigned int i = 0; i < 300; i++) {
		CHECK(on_ap(send_back), "no answer in round %u", i);
		CHECK(reaches(&taken[0], i + 1), "nothing came in round %u", i);
	}
	CHECK(taken[0] == 300, "%u came", taken[0]);
}

static volatile unsigned int halts;

/* Interrupts are on and taken, but only an NMI ends this. */
static void halt_until_nmi(void)
{
	unsigned int n = nmis[1];

	halts++;
	while (nmis[1] == n)
		__asm__ volatile("hlt" : : : "memory");
}

static void give_halt(void)
{
	halts = 0;
	give(halt_until_nmi);
}

GUEST_TEST(nmi_to_the_other)
{
	unsigned int n;

	nmis[0] = nmis[1] = 0;
	ipi(AP_ID, ICR_NMI);
	CHECK(reaches(&nmis[1], 1), "no NMI came");
	ipi(0, ICR_OTHERS | ICR_NMI);
	CHECK(reaches(&nmis[1], 2), "no NMI came to all but self");
	CHECK(vcpu_op(VCPUOP_send_nmi, 1, NULL) == 0, "send_nmi");
	CHECK(reaches(&nmis[1], 3), "no NMI came by hypercall");
	CHECK(nmis[0] == 0, "an NMI came here");
	CHECK(on_ap(nothing), "no answer");
	n = done;
	give_halt();
	CHECK(reaches(&halts, 1), "it does not take the work");
	pass_time();
	ipi(AP_ID, VECTOR);
	pass_time();
	CHECK(done == n, "an interrupt ended it");
	/* One that comes just before the halt does not end it. */
	for (uint64_t end = time_now() + LIMIT; done == n && time_now() < end;) {
		ipi(AP_ID, ICR_NMI);
		pass_time();
	}
	CHECK(done == n + 1, "an NMI did not end it");
	CHECK(vcpu_op(VCPUOP_send_nmi, 2, NULL) == -XEN_ENOENT,
	      "an NMI to a vCPU that does not exist");
}

GUEST_TEST(init_and_sipi_again)
{
	for (unsigned int i = 0; i < 20; i++) {
		ipi(AP_ID, ICR_INIT);
		CHECK(becomes(0), "it does not stop in round %u", i);
		CHECK(start(), "it does not start in round %u", i);
		CHECK(on_ap(nothing), "no answer in round %u", i);
	}
	/* In the middle of a halt, too, and without waiting for it in between. Work that it has not taken would wait
	 * for it, and be taken by it when it has started again. */
	give_halt();
	CHECK(reaches(&halts, 1), "it does not take the work");
	ipi(AP_ID, ICR_INIT);
	CHECK(start(), "it does not start");
	CHECK(on_ap(nothing), "no answer");
}

static void go_down(void)
{
	job_result = vcpu_op(VCPUOP_down, 1, NULL);
}

GUEST_TEST(down_and_up)
{
	unsigned int n = done;

	give(go_down);
	CHECK(becomes(0), "it does not go down");
	pass_time();
	CHECK(done == n, "it goes on");
	CHECK(vcpu_op(VCPUOP_up, 1, NULL) == 0, "up");
	CHECK(reaches(&done, n + 1), "it does not go on");
	CHECK(job_result == 0, "down returned %ld", job_result);
	CHECK(vcpu_op(VCPUOP_is_up, 1, NULL) == 1, "not up");
	CHECK(vcpu_op(VCPUOP_up, 1, NULL) == 0, "up twice");
	VALUE("ap down-by-other %ld", vcpu_op(VCPUOP_down, 1, NULL));
	CHECK(becomes(0), "it does not go down from here");
	CHECK(vcpu_op(VCPUOP_up, 1, NULL) == 0, "up");
	CHECK(on_ap(nothing), "no answer");
}

/* ---- Events ---- */

static void register_info(void)
{
	struct vcpu_register_vcpu_info info = {.mfn = ADDRESS(ap_page) / PAGE_BYTES, .offset = 128};

	job_result = vcpu_op(VCPUOP_register_vcpu_info, 1, &info);
}

GUEST_TEST(vcpu_info_of_the_other)
{
	struct vcpu_register_vcpu_info info = {.mfn = ADDRESS(ap_page) / PAGE_BYTES, .offset = 128};

	VALUE("ap info-by-other %ld", vcpu_op(VCPUOP_register_vcpu_info, 1, &info));
	CHECK(on_ap(register_info), "no answer");
	CHECK(job_result == 0, "register: %ld", job_result);
	ap_info = (volatile struct vcpu_info *)(void *)(ap_page + 128);
	ap_info->evtchn_upcall_mask = 0;
	CHECK(on_ap(register_info), "no answer");
	CHECK(job_result == -XEN_EINVAL, "twice: %ld", job_result);
	CHECK(ap_info->time.tsc_to_system_mul, "there is no time in it");
}

static bool event_to_ap(evtchn_port_t port, evtchn_port_t sender)
{
	struct evtchn_send send = {.port = sender};

	ap_upcalls = event_upcalls = 0;
	return event_op(EVTCHNOP_send, &send) == 0 && reaches(&ap_upcalls, 1) &&
	       event_take_pending(port) && event_upcalls == 0;
}

GUEST_TEST(event_bound_to_the_other)
{
	evtchn_port_t other, port = event_to_self(&other);
	struct evtchn_bind_vcpu bind = {.port = port, .vcpu = 1};
	struct evtchn_bind_ipi bind_ipi = {.vcpu = 1};
	struct evtchn_status status = {.dom = DOMID_SELF, .port = port};
	struct xen_hvm_evtchn_upcall_vector vector = {.vcpu = 1, .vector = AP_EVENT};

	CHECK(ap_info, "no vcpu_info");
	CHECK(hypercall2(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, ADDRESS(&vector)) ==
		      0,
	      "no upcall vector");
	CHECK(event_op(EVTCHNOP_bind_vcpu, &bind) == 0, "bind");
	CHECK(event_op(EVTCHNOP_status, &status) == 0 && status.vcpu == 1, "bound to %u",
	      status.vcpu);
	for (unsigned int i = 0; i < 100; i++)
		CHECK(event_to_ap(port, other), "event %u: %u upcalls there, %u here", i,
		      ap_upcalls, event_upcalls);
	/* Back again. */
	bind.vcpu = 0;
	CHECK(event_op(EVTCHNOP_bind_vcpu, &bind) == 0, "bind back");
	ap_upcalls = event_upcalls = 0;
	CHECK(event_op(EVTCHNOP_send, &(struct evtchn_send){.port = other}) == 0, "send");
	CHECK(time_wait(&event_upcalls, LIMIT), "no upcall here");
	CHECK(event_take_pending(port) && ap_upcalls == 0, "%u upcalls there", ap_upcalls);

	CHECK(event_op(EVTCHNOP_bind_ipi, &bind_ipi) == 0, "bind an IPI");
	event_take_pending(bind_ipi.port);
	event_unmask(bind_ipi.port);
	CHECK(event_to_ap(bind_ipi.port, bind_ipi.port), "no IPI by event");
	bind.port = bind_ipi.port;
	CHECK(event_op(EVTCHNOP_bind_vcpu, &bind) == -XEN_EINVAL, "an IPI can be bound elsewhere");
	bind.port = port;
	bind.vcpu = 2;
	CHECK(event_op(EVTCHNOP_bind_vcpu, &bind) == -XEN_ENOENT,
	      "bound to a vCPU that does not exist");
}

static void arm_timer(void)
{
	struct vcpu_set_singleshot_timer op = {.timeout_abs_ns = time_now() + 2 * MS};

	job_result = vcpu_op(VCPUOP_set_singleshot_timer, 1, &op);
}

GUEST_TEST(timer_of_the_other)
{
	struct vcpu_set_singleshot_timer op = {.timeout_abs_ns = time_now() + 2 * MS};
	struct evtchn_bind_virq bind = {.virq = VIRQ_TIMER, .vcpu = 1};

	CHECK(ap_info, "no vcpu_info");
	CHECK(vcpu_op(VCPUOP_set_singleshot_timer, 1, &op) == -XEN_EINVAL, "from here");
	CHECK(event_op(EVTCHNOP_bind_virq, &bind) == 0, "bind");
	event_take_pending(bind.port);
	event_unmask(bind.port);
	ap_upcalls = 0;
	CHECK(on_ap(arm_timer), "no answer");
	CHECK(job_result == 0, "set: %ld", job_result);
	CHECK(reaches(&ap_upcalls, 1), "no upcall");
	CHECK(event_take_pending(bind.port), "the port is not pending");
}

/* ---- States, translations ---- */

static volatile unsigned int spin, spinning;

static void spin_for_a_while(void)
{
	spinning = 1;
	sti();
	while (spin)
		cpu_pause();
	cli();
}

static uint64_t total(const struct vcpu_runstate_info *r)
{
	return r->time[0] + r->time[1] + r->time[2] + r->time[3];
}

GUEST_TEST(runstate_of_the_other)
{
	struct vcpu_runstate_info before, after;
	unsigned int n = done;

	CHECK(on_ap(nothing), "no answer");
	CHECK(state_becomes(RUNSTATE_blocked, &before), "halted, but state %d", before.state);
	pass_time();
	CHECK(vcpu_op(VCPUOP_get_runstate_info, 1, &after) == 0, "get");
	CHECK(after.time[RUNSTATE_blocked] > before.time[RUNSTATE_blocked], "time does not pass");
	spin = 1;
	spinning = 0;
	n = done;
	give(spin_for_a_while);
	CHECK(reaches(&spinning, 1), "it does not take the work");
	CHECK(vcpu_op(VCPUOP_get_runstate_info, 1, &before) == 0, "get");
	/* There may be one CPU for both. */
	CHECK(before.state == RUNSTATE_running || before.state == RUNSTATE_runnable,
	      "busy, but state %d", before.state);
	CHECK(before.time[RUNSTATE_running] > after.time[RUNSTATE_running],
	      "its time does not count");
	CHECK(total(&before) > total(&after), "all its times together stand still");
	spin = 0;
	CHECK(reaches(&done, n + 1), "it does not end");
	ipi(AP_ID, ICR_INIT);
	CHECK(becomes(0), "it does not stop");
	CHECK(state_becomes(RUNSTATE_offline, &after), "down, but state %d", after.state);
	CHECK(start(), "it does not start");
}

static volatile uint64_t ap_saw;

static void look(void)
{
	ap_saw = *(volatile uint64_t *)WINDOW;
}

/* vCPU 1 has a translation; vCPU 0 changes it and asks for a flush of everybody's. */
GUEST_TEST(tlb_shootdown)
{
	volatile uint64_t *pointers = (volatile uint64_t *)(uintptr_t)(guest_page_root[0] &
								       ~0xffful);
	volatile uint64_t *directory = (volatile uint64_t *)(uintptr_t)(pointers[WINDOW >> 30] &
									~0xffful);
	uint64_t old = directory[WINDOW >> 21 & 511];

	*(volatile uint64_t *)FIRST_PLACE = 0x1111;
	*(volatile uint64_t *)OTHER_PLACE = 0x2222;
	for (unsigned int i = 0; i < 20; i++) {
		directory[WINDOW >> 21 & 511] = (i % 2 ? OTHER_PLACE : FIRST_PLACE) | 0x83;
		CHECK(hypercall2(__HYPERVISOR_hvm_op, HVMOP_flush_tlbs, 0) == 0, "flush");
		CHECK(on_ap(look), "no answer");
		CHECK(ap_saw == (i % 2 ? 0x2222u : 0x1111u), "round %u: it sees %#lx", i, ap_saw);
	}
	directory[WINDOW >> 21 & 511] = old;
	hypercall2(__HYPERVISOR_hvm_op, HVMOP_flush_tlbs, 0);
}
