/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exceptions that meet: which of them is delivered (APM vol. 2 8.2.9, table 8-3). */
#include <arch/domain.h>
#include <arch/exit.h>
#include <arch/traps.h>

#define TYPE_EXCEPTION 3

enum exception_class {
	BENIGN,
	CONTRIBUTORY,
	PAGE_FAULT,
};

static enum exception_class class_of(uint8_t vector)
{
	switch (vector) {
	case TRAP_DE:
	case TRAP_TS:
	case TRAP_NP:
	case TRAP_SS:
	case TRAP_GP:
		return CONTRIBUTORY;
	case TRAP_PF:
		return PAGE_FAULT;
	default:
		return BENIGN;
	}
}

bool exception_combine(struct pending_event *queued, const struct pending_event *next)
{
	enum exception_class first, second = class_of(next->vector);
	struct pending_event result = *next;

	if (queued->valid && queued->type == TYPE_EXCEPTION) {
		first = class_of(queued->vector);
		if (queued->vector == TRAP_DF && second != BENIGN)
			return true;
		if ((first == CONTRIBUTORY && second == CONTRIBUTORY) ||
		    (first == PAGE_FAULT && second != BENIGN)) {
			result.vector = TRAP_DF;
			result.has_error = true;
			result.error = 0;
		}
	}
	*queued = result;
	return false;
}
