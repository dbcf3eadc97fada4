/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The meeting of the boot CPU and one that it starts. */
#include <arch/cpu_start.h>

/*
 * A CPU may answer its start-up IPI late: firmware, or what emulates it, kept it. By then the boot CPU goes on without, and
 * its number, if any, is another's. So both take the same step out of EXPECTED, and the second one finds that it is late.
 */
enum {
	NOBODY,
	EXPECTED,
	CAME,
	GIVEN_UP,
};

static uint32_t meeting = NOBODY;

static bool leave_expected(uint32_t to)
{
	uint32_t from = EXPECTED;

	return __atomic_compare_exchange_n(&meeting, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

void cpu_start_expect(void)
{
	__atomic_store_n(&meeting, EXPECTED, __ATOMIC_SEQ_CST);
}

bool cpu_start_has_come(void)
{
	return __atomic_load_n(&meeting, __ATOMIC_SEQ_CST) == CAME;
}

bool cpu_start_give_up(void)
{
	return leave_expected(GIVEN_UP);
}

bool cpu_start_come(void)
{
	return leave_expected(CAME);
}
