// SPDX-License-Identifier: GPL-2.0-or-later
// What a guest had in its memory is not there when another one gets it.
// guests: stain
#include "domu.h"
#include <xen/sched.h>

#define LIMIT	  120000000000ull
#define PAGES_MIB 256u

static void format(char *out, size_t size, const char *text, ...) PRINTF_LIKE(3, 4);
static void format(char *out, size_t size, const char *text, ...)
{
	__builtin_va_list args;

	__builtin_va_start(args, text);
	guest_format(out, size, text, args);
	__builtin_va_end(args);
}

static long start(struct domu *d, unsigned int mib, const char *more)
{
	char words[64];
	long error;

	format(words, sizeof(words), "mib=%u %s", mib, more);
	error = domu_create(d,
			    &(struct domu_config){.kernel = "stain", .words = words, .mib = mib});
	return error ? error : domu_unpause(d);
}

/* Gets nearly all the memory that is free, so that what was given back is in it. */
static void look(struct domu *d)
{
	unsigned int mib = (unsigned int)(dom0_free_pages() / PAGES_MIB - 48) & ~1u;
	long error = start(d, mib, "look");

	CHECK(!error, "a guest of %u MiB cannot be built: %ld", mib, error);
	CHECK(domu_wait_shutdown(d, LIMIT) == SHUTDOWN_poweroff, "it does not end");
	CHECK(d->mailbox->to_dom0[0] == 2, "it has not looked");
	CHECK(!d->mailbox->to_dom0[1], "%lu pages have the mark", d->mailbox->to_dom0[1]);
	CHECK(!d->mailbox->to_dom0[2], "%lu pages are not clean", d->mailbox->to_dom0[2]);
	CHECK(!domu_destroy(d), "cannot be destroyed");
}

GUEST_TEST(scrub)
{
	static struct domu d, other;
	uint64_t before = dom0_free_pages();

	CHECK(!start(&d, 128, ""), "the first guest cannot be built");
	CHECK(domu_wait_word(&d, 0, LIMIT) == 1, "the first guest has not marked its pages");
	/* What it gave back by itself. */
	look(&other);
	if (guest_failed())
		return;
	d.mailbox->to_guest[0] = 1;
	CHECK(domu_wait_shutdown(&d, LIMIT) == SHUTDOWN_poweroff, "the first guest does not end");
	CHECK(!domu_destroy(&d), "the first guest cannot be destroyed");
	CHECK(dom0_wait_free_pages(before) + PAGES_MIB > before, "its memory did not come back");
	look(&other);
}
