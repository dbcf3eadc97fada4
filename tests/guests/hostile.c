// SPDX-License-Identifier: GPL-2.0-or-later
// Hostile guests, one after the other, beside a witness: hypervisor, dom0 and witness go on, and all memory comes back.
// guests: attacker witness
//
// Words on the command line: first= (seed of the first one), seeds= (how many), actions= (of each).
#include "domu/attack.h"
#include <xen/sched.h>

#define SECOND	   1000000000ull
#define STUCK	   (SECOND / 2) /* without an action for so long it waits for what never comes */
#define LIMIT	   (60 * SECOND)
#define WORD_BEATS 0
#define WORD_STOP  1

static const char *const names[ATTACK_CLASSES] = {ATTACK_NAMES};
static struct domu witness, attacker;
static uint64_t memory[4096];
static unsigned int ended, crashed, stuck, unborn;
static uint64_t actions, done_of[ATTACK_CLASSES];

static bool memory_is_same(void)
{
	for (unsigned int i = 0; i < sizeof(memory) / sizeof(memory[0]); i++)
		if (((volatile uint64_t *)memory)[i] != i * 0x0123456789abcdefull)
			return false;
	return true;
}

static void format(char *out, size_t size, const char *text, ...) PRINTF_LIKE(3, 4);
static void format(char *out, size_t size, const char *text, ...)
{
	__builtin_va_list args;

	__builtin_va_start(args, text);
	guest_format(out, size, text, args);
	__builtin_va_end(args);
}

/* What it was at when it came no further: for who reads the log. */
static void tell_where(void)
{
	static struct vcpu_guest_context context;
	struct xen_domctl info = {.u.getvcpuinfo.vcpu = 0}, op = {.u.vcpucontext.vcpu = 0};

	set_xen_guest_handle(op.u.vcpucontext.ctxt, &context);
	if (!domctl(&info, XEN_DOMCTL_getvcpuinfo, attacker.id) &&
	    !domctl(&op, XEN_DOMCTL_getvcpucontext, attacker.id))
		guest_print("d%u: %s at %#lx, rax %#lx, flags %#lx", attacker.id,
			    info.u.getvcpuinfo.blocked ? "blocked" : "busy", context.user_regs.rip,
			    context.user_regs.rax, context.user_regs.rflags);
}

/* What it has done. It may have written anything there: such a report counts for nothing. */
static void count(uint64_t limit)
{
	const volatile uint64_t *words = attacker.mailbox->to_dom0;
	uint64_t total = words[ATTACK_WORD_TOTAL], last = words[ATTACK_WORD_CLASS], sum = 0;
	uint64_t done[ATTACK_CLASSES];

	for (unsigned int i = 0; i < ATTACK_CLASSES; i++) {
		done[i] = words[ATTACK_WORD_DONE + i];
		sum += done[i];
	}
	if (sum != total || total > limit || last >= ATTACK_CLASSES) {
		guest_print("d%u: its report makes no sense", attacker.id);
		return;
	}
	guest_print("d%u: %lu actions, the last one of kind %s", attacker.id, total, names[last]);
	actions += total;
	for (unsigned int i = 0; i < ATTACK_CLASSES; i++)
		done_of[i] += done[i];
}

/* Until it ends, dies, or has nothing more to do. */
static void let_run(uint64_t limit)
{
	uint64_t done = 0, since = time_now(), end = since + LIMIT;
	struct xen_domctl_getdomaininfo info;

	for (;;) {
		dom0_sleep(5000000);
		domu_drain(&attacker);
		domu_drain(&witness);
		if (!domu_info(attacker.id, &info))
			return;
		if (info.flags & XEN_DOMINF_shutdown) {
			unsigned int reason = info.flags >> XEN_DOMINF_shutdownshift & 0xff;

			if (reason == SHUTDOWN_poweroff)
				ended++;
			else
				crashed++;
			break;
		}
		if (attacker.mailbox->to_dom0[ATTACK_WORD_TOTAL] != done) {
			done = attacker.mailbox->to_dom0[ATTACK_WORD_TOTAL];
			since = time_now();
		}
		if (time_now() - since > STUCK || time_now() > end) {
			stuck++;
			tell_where();
			break;
		}
	}
	domu_drain(&attacker);
	count(limit);
}

/* Whether it goes on: it has to do more than it had done. */
static bool witness_goes_on(uint64_t beats)
{
	uint64_t end = time_now() + LIMIT;

	while (witness.mailbox->to_dom0[WORD_BEATS] <= beats && !witness.failures) {
		if (time_now() > end)
			return false;
		dom0_sleep(5000000);
		domu_drain(&witness);
	}
	return true;
}

static long one_attacker(uint64_t seed, uint64_t limit)
{
	char words[DOMU_COMMAND_MAX];
	long error;

	format(words, sizeof(words), "seed=%lu actions=%lu witness=%u %s", seed, limit, witness.id,
	       seed % 4 == 3 ? "both" : "");
	guest_print("seed %lu", seed);
	error = domu_create(&attacker, &(struct domu_config){.kernel = "attacker",
							     .words = words,
							     .vcpus = 1 + seed % 2});
	if (error)
		return error;
	/* Some are destroyed before they have run, and some while they run. */
	if (seed % 16 == 5) {
		unborn++;
	} else {
		domu_unpause(&attacker);
		let_run(limit);
	}
	return domu_destroy(&attacker);
}

GUEST_TEST(hostile)
{
	uint64_t first = domu_number("first", 1), n = domu_number("seeds", 16);
	uint64_t each = domu_number("actions", 4000), beats = 0, before = 0, after;
	long error = domu_create(&witness, &(struct domu_config){.kernel = "witness", .words = ""});

	for (unsigned int i = 0; i < sizeof(memory) / sizeof(memory[0]); i++)
		memory[i] = i * 0x0123456789abcdefull;
	CHECK(!error, "witness: %ld", error);
	domu_unpause(&witness);
	for (uint64_t seed = first; seed < first + n; seed++) {
		error = one_attacker(seed, each);
		CHECK(!error, "seed %lu: error %ld", seed, error);
		CHECK(witness_goes_on(beats), "seed %lu: the witness stands still", seed);
		CHECK(!witness.failures, "seed %lu: the witness complains", seed);
		beats = witness.mailbox->to_dom0[WORD_BEATS];
		CHECK(memory_is_same(), "seed %lu: memory of dom0 was changed", seed);
		/* The first one pays for what is made once. */
		if (seed == first)
			before = dom0_settled_free_pages();
		after = dom0_wait_free_pages(before);
		CHECK(after == before, "seed %lu: %lu pages are free, %lu were", seed, after,
		      before);
	}
	witness.mailbox->to_guest[WORD_STOP] = 1;
	CHECK(domu_wait_shutdown(&witness, LIMIT) == SHUTDOWN_poweroff, "the witness does not end");
	CHECK(witness.results == 1 && !witness.failures, "the witness complains");
	CHECK(!domu_destroy(&witness), "destroy");
	guest_print("%u attackers ended, %u died, %u waited, %u were not born; %lu actions", ended,
		    crashed, stuck, unborn, actions);
	for (unsigned int i = 0; i < ATTACK_CLASSES; i++) {
		guest_print("%lu of kind %s", done_of[i], names[i]);
		CHECK(done_of[i] > n * each / 200, "%lu of kind %s only", done_of[i], names[i]);
	}
	CHECK(actions > n * each / 4, "%lu actions only", actions);
}
