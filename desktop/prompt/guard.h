/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When an answer of the user counts: after the question has had the keyboard, uncovered and undisturbed, for a while. */
#ifndef PROMPT_GUARD_H
#define PROMPT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/* Times are in milliseconds of a clock that only goes forward. */
struct guard {
	uint32_t delay;
	bool focus, covered, armed;
	int64_t since; /* from when on nothing has disturbed; valid with focus and without cover */
	unsigned int lost; /* how often it was disarmed */
};

void guard_init(struct guard *guard, uint32_t delay);
void guard_focus(struct guard *guard, bool focus, int64_t now);
void guard_cover(struct guard *guard, bool covered, int64_t now);
/* A key or a button was pressed. Whether it counts; before that, it begins the wait anew: it was meant for something else. */
bool guard_press(struct guard *guard, int64_t now);
/* Time has passed: whether it is armed now. */
bool guard_tick(struct guard *guard, int64_t now);
/* Milliseconds until it may become armed; -1: not by waiting. */
int64_t guard_wait(const struct guard *guard, int64_t now);

#endif
