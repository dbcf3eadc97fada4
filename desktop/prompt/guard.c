// SPDX-License-Identifier: GPL-2.0-or-later
// When an answer of the user counts.
#include "guard.h"

void guard_init(struct guard *guard, uint32_t delay)
{
	*guard = (struct guard){.delay = delay};
}

static bool undisturbed(const struct guard *guard)
{
	return guard->focus && !guard->covered;
}

static void disturb(struct guard *guard, int64_t now)
{
	if (guard->armed)
		guard->lost++;
	guard->armed = false;
	guard->since = now;
}

void guard_focus(struct guard *guard, bool focus, int64_t now)
{
	if (guard->focus == focus)
		return;
	guard->focus = focus;
	disturb(guard, now);
}

void guard_cover(struct guard *guard, bool covered, int64_t now)
{
	if (guard->covered == covered)
		return;
	guard->covered = covered;
	disturb(guard, now);
}

bool guard_press(struct guard *guard, int64_t now)
{
	if (!guard_tick(guard, now))
		guard->since = now;
	return guard->armed;
}

bool guard_tick(struct guard *guard, int64_t now)
{
	if (undisturbed(guard) && now - guard->since >= guard->delay)
		guard->armed = true;
	return guard->armed;
}

int64_t guard_wait(const struct guard *guard, int64_t now)
{
	int64_t left = guard->since + guard->delay - now;

	if (guard->armed || !undisturbed(guard))
		return -1;
	return left > 0 ? left : 0;
}
