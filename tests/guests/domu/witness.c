// SPDX-License-Identifier: GPL-2.0-or-later
// A guest that minds its own business beside a hostile one, and tells when something of its own is not as it left it.
//
// Words on the command line: beats= (how many rounds; without, until dom0 says so), report= (tells of each so many).
#include "domu.h"
#include <xen/event_channel.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define WORDS (1u << 15)
#define MS    1000000ull

/* Words of the mailbox. */
enum {
	BEATS,
	STOP,
};

static uint64_t memory[WORDS];

static void fill(uint64_t seed)
{
	for (unsigned int i = 0; i < WORDS; i++)
		memory[i] = seed * 0x9e3779b97f4a7c15ull + i;
}

static bool same(uint64_t seed)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (((volatile uint64_t *)memory)[i] != seed * 0x9e3779b97f4a7c15ull + i)
			return false;
	return true;
}

/* Its timer fires, and not before its time. */
static bool timer_works(evtchn_port_t timer)
{
	struct vcpu_set_singleshot_timer shot = {.timeout_abs_ns = time_now() + MS};
	struct sched_poll poll = {.nr_ports = 1};
	evtchn_port_t ports[1] = {timer};

	set_xen_guest_handle(poll.ports, ports);
	if (hypercall3(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, ADDRESS(&shot)) ||
	    hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, ADDRESS(&poll)))
		return false;
	return event_take_pending(timer) && time_now() >= shot.timeout_abs_ns;
}

/* Everything that was not done by itself; 0: all is well. */
static const char *look(uint64_t beat, evtchn_port_t timer, evtchn_port_t quiet, uint64_t *last)
{
	uint64_t now = time_now();
	domid_t self = DOMID_SELF;
	static long pages;
	long have = hypercall2(__HYPERVISOR_memory_op, XENMEM_current_reservation, ADDRESS(&self));

	if (!pages)
		pages = have;
	if (!same(beat))
		return "its memory was changed";
	if (have != pages)
		return "it has another amount of memory";
	if (now < *last)
		return "its clock went back";
	*last = now;
	if (event_take_pending(quiet))
		return "an event came that nobody sent";
	if (!timer_works(timer))
		return "its timer does not work";
	return NULL;
}

GUEST_TEST(witness)
{
	struct evtchn_bind_virq bind = {.virq = VIRQ_TIMER, .vcpu = 0};
	struct evtchn_alloc_unbound quiet = {.dom = DOMID_SELF, .remote_dom = 0};
	uint64_t beats = domu_number("beats", ~0ull), report = domu_number("report", ~0ull);
	uint64_t last = 0, beat = 0;

	CHECK(!event_op(EVTCHNOP_bind_virq, &bind), "no timer");
	CHECK(!event_op(EVTCHNOP_alloc_unbound, &quiet), "no port");
	while (beat < beats && !domu_mailbox()->to_guest[STOP]) {
		const char *wrong;

		fill(++beat);
		wrong = look(beat, bind.port, quiet.port, &last);
		CHECK(!wrong, "round %lu: %s", beat, wrong);
		domu_mailbox()->to_dom0[BEATS] = beat;
		if (beat % report == 0)
			guest_print("beat %lu", beat);
	}
	guest_print("%lu rounds", beat);
}
