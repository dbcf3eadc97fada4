// SPDX-License-Identifier: GPL-2.0-or-later
// Unit tests of exceptions that meet: the whole of APM vol. 2 table 8-3.
// cflags: -include tests/unit/fake_x86.h
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../hypervisor/arch/x86/exception.c"

#define TYPE_INTR 0
#define TYPE_SOFT 4

static const uint8_t contributory[] = {0, 10, 11, 12, 13};
static const uint8_t benign[] = {1, 3, 4, 5, 6, 7, 16, 17, 18, 19};

static struct pending_event event(uint8_t type, uint8_t vector)
{
	bool has_error = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;

	return (struct pending_event){.valid = true,
				      .type = type,
				      .vector = vector,
				      .has_error = has_error,
				      .error = has_error ? 0x1234U + vector : 0};
}

/* `second` is raised while `first` is to be delivered: what is delivered then; -1: the CPU shuts down. */
static void expect(uint8_t first, uint8_t second, int result)
{
	struct pending_event queued = event(TYPE_EXCEPTION, first),
			     next = event(TYPE_EXCEPTION, second);

	if (exception_combine(&queued, &next)) {
		assert_int_equal(result, -1);
		return;
	}
	assert_true(queued.valid);
	assert_int_equal(queued.type, TYPE_EXCEPTION);
	assert_int_equal(queued.vector, result);
	if (result == TRAP_DF && second != TRAP_DF) {
		/* Its error code is always 0. */
		assert_true(queued.has_error);
		assert_int_equal(queued.error, 0);
	} else {
		assert_int_equal(queued.has_error, next.has_error);
		assert_int_equal(queued.error, next.error);
	}
}

static void benign_first(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(benign); i++)
		for (uint8_t second = 0; second < 20; second++)
			expect(benign[i], second, second);
}

static void contributory_first(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(contributory); i++) {
		for (unsigned k = 0; k < sizeof(benign); k++)
			expect(contributory[i], benign[k], benign[k]);
		for (unsigned k = 0; k < sizeof(contributory); k++)
			expect(contributory[i], contributory[k], TRAP_DF);
		expect(contributory[i], TRAP_PF, TRAP_PF);
	}
}

static void page_fault_first(void **state)
{
	(void)state;
	for (unsigned k = 0; k < sizeof(benign); k++)
		expect(TRAP_PF, benign[k], benign[k]);
	for (unsigned k = 0; k < sizeof(contributory); k++)
		expect(TRAP_PF, contributory[k], TRAP_DF);
	expect(TRAP_PF, TRAP_PF, TRAP_DF);
}

static void double_fault_first(void **state)
{
	(void)state;
	for (unsigned k = 0; k < sizeof(benign); k++)
		expect(TRAP_DF, benign[k], benign[k]);
	for (unsigned k = 0; k < sizeof(contributory); k++)
		expect(TRAP_DF, contributory[k], -1);
	expect(TRAP_DF, TRAP_PF, -1);
}

/* A shutdown leaves what was queued for the report. */
static void shutdown_changes_nothing(void **state)
{
	struct pending_event queued = event(TYPE_EXCEPTION, TRAP_DF), before = queued,
			     next = event(TYPE_EXCEPTION, TRAP_GP);

	(void)state;
	assert_true(exception_combine(&queued, &next));
	assert_memory_equal(&queued, &before, sizeof(queued));
}

/* Interrupts, and what INT n raises, are no exceptions: a fault in their delivery is delivered as it is. */
static void other_events_first(void **state)
{
	const uint8_t types[] = {TYPE_INTR, 2, TYPE_SOFT};

	(void)state;
	for (unsigned i = 0; i < sizeof(types); i++) {
		struct pending_event queued = event(types[i], TRAP_GP),
				     next = event(TYPE_EXCEPTION, TRAP_PF);

		assert_false(exception_combine(&queued, &next));
		assert_memory_equal(&queued, &next, sizeof(queued));
		queued = event(types[i], TRAP_DF);
		next = event(TYPE_EXCEPTION, TRAP_GP);
		assert_false(exception_combine(&queued, &next));
		assert_int_equal(queued.vector, TRAP_GP);
	}
}

static void nothing_first(void **state)
{
	struct pending_event queued = {.vector = TRAP_DF, .type = TYPE_EXCEPTION},
			     next = event(TYPE_EXCEPTION, TRAP_GP);

	(void)state;
	assert_false(exception_combine(&queued, &next));
	assert_memory_equal(&queued, &next, sizeof(queued));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(benign_first),
		cmocka_unit_test(contributory_first),
		cmocka_unit_test(page_fault_first),
		cmocka_unit_test(double_fault_first),
		cmocka_unit_test(shutdown_changes_nothing),
		cmocka_unit_test(other_events_first),
		cmocka_unit_test(nothing_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
