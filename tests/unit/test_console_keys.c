// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of the serial console's input: three times Ctrl-A, and who gets what.
// links: hypervisor/common/console_keys.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/console.h>
#include <bulkhead/debug_keys.h>
#include <bulkhead/log.h>
#include <bulkhead/work.h>

struct cpu *fake_this_cpu;
bool fake_irqs_off;

static char dom0[64], ours[64];
static unsigned switches;
static struct work *queued;

void console_receive(char c)
{
	/* The lock is not held: this wakes dom0. */
	assert_false(fake_irqs_off);
	strncat(dom0, &c, 1);
}

void debug_key(char key)
{
	assert_false(fake_irqs_off);
	strncat(ours, &key, 1);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	(void)level, (void)fmt;
	switches++;
}

void work_init(struct work *w, void (*fn)(struct work *w))
{
	w->fn = fn;
}

bool work_queue(struct work *w)
{
	queued = w;
	return true;
}

static void type(const char *text)
{
	while (*text)
		console_typed(*text++);
	if (queued) {
		struct work *w = queued;

		queued = NULL;
		w->fn(w);
	}
}

static void expect(const char *for_dom0, const char *for_us, unsigned said)
{
	assert_string_equal(dom0, for_dom0);
	assert_string_equal(ours, for_us);
	assert_int_equal(switches, said);
	dom0[0] = ours[0] = 0;
	switches = 0;
}

static void switching(void **state)
{
	(void)state;
	type("ls\r");
	expect("ls\r", "", 0);
	/* Two are what somebody typed; dom0 sees those before the third, too. */
	type("\1\1x\1");
	expect("\1\1x\1", "", 0);
	type("\1\1");
	expect("\1", "", 1);
	type("hq");
	expect("", "hq", 0);
	type("\1\1m");
	expect("", "m", 0);
	type("\1\1\1echo");
	expect("echo", "", 1);
	/* To us and back in one go. */
	type("\1\1\1r\1\1\1.");
	expect("\1\1.", "r", 2);
}

static void many_keys(void **state)
{
	(void)state;
	type("\1\1\1");
	expect("\1\1", "", 1);
	/* More than can wait until the work is done: the first ones count. */
	type("abcdefghijklmnopqrstuvwxyz");
	expect("", "abcdefghijklmnop", 0);
	type("q");
	expect("", "q", 0);
	type("\1\1\1");
	expect("", "", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switching),
		cmocka_unit_test(many_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
