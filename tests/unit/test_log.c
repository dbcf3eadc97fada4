/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of the log: levels, the ring, and how much a guest can make the hypervisor write. */
// links: hypervisor/common/log.c hypervisor/lib/printf.c hypervisor/lib/string.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bulkhead/console.h>
#include <bulkhead/domain.h>
#include <bulkhead/event.h>
#include <bulkhead/log.h>
#include <bulkhead/time.h>

#define SECONDS 100U

bool fake_irqs_off;
static uint64_t now;
static size_t written;
static char last[600];
static struct domain dom;

struct domain *hardware_domain;

uint64_t time_now(void)
{
	return now;
}

void event_send_hwdom_virq(unsigned virq)
{
	(void)virq;
}

static void count(struct console_driver *drv, const char *s, size_t len)
{
	(void)drv;
	assert_true(len < sizeof(last));
	written += len;
	memcpy(last, s, len);
	last[len] = '\0';
}

static struct console_driver driver = {.name = "count", .write = count};

static int setup(void **state)
{
	(void)state;
	memset(&dom, 0, sizeof(dom));
	dom.id = 7;
	now = 1000 * NSEC_PER_SEC;
	log_guest_threshold = LOG_WARN;
	written = 0;
	return 0;
}

static void levels(void **state)
{
	(void)state;
	log_guest(&dom, LOG_WARN, "port %u\n", 5);
	assert_string_equal(last, "port 5\n");
	written = 0;
	log_guest(&dom, LOG_DEBUG, "details\n");
	assert_int_equal(written, 0);
}

/* A serial port takes 87 us for a character: what a guest is let write takes less than a thirtieth of the time. */
static void a_guest_that_complains_all_the_time(void **state)
{
	size_t burst;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		log_guest(&dom, LOG_WARN, "execution where no memory is, at %#lx\n",
			  0xfee00000UL + i);
	burst = written;
	assert_in_range(burst, 2000, 5000);
	for (unsigned i = 0; i < SECONDS * 1000; i++) {
		now += USEC(1000);
		log_guest(&dom, LOG_WARN, "execution where no memory is, at %#lx\n",
			  0xfee00000UL + i);
	}
	/* It is not silenced for good, either. */
	assert_in_range(written - burst, SECONDS * 100, SECONDS * 11520 / 30);
}

/* Long lines are no way around it. */
static void long_lines(void **state)
{
	char text[480];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (unsigned i = 0; i < SECONDS * 100; i++) {
		now += USEC(10000);
		log_guest(&dom, LOG_WARN, "%s\n", text);
	}
	assert_in_range(written, SECONDS * 100, 5000 + SECONDS * 11520 / 30);
}

static void dropped_lines_are_counted(void **state)
{
	char text[200];
	uint32_t index = 0;
	size_t n;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		log_guest(&dom, LOG_WARN,
			  "again and again and again and again and again and again\n");
	now += 10 * NSEC_PER_SEC;
	console_ring_read(text, 0, &index, false, true);
	log_guest(&dom, LOG_WARN, "once more\n");
	n = console_ring_read(text, sizeof(text) - 1, &index, false, false);
	text[n] = '\0';
	assert_non_null(strstr(text, "(d7, "));
	assert_non_null(strstr(text, " lines dropped) once more\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(levels, setup),
		cmocka_unit_test_setup(a_guest_that_complains_all_the_time, setup),
		cmocka_unit_test_setup(long_lines, setup),
		cmocka_unit_test_setup(dropped_lines_are_counted, setup),
	};

	console_register(&driver);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
