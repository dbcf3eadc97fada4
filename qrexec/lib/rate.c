// SPDX-License-Identifier: GPL-2.0-or-later
// How often something may happen.
#include "rate.h"

bool rate_take(struct rate *rate, long long now)
{
	long long back = rate->taken ? (now - rate->since) / rate->pause : 0;

	if (!rate->taken || back >= rate->taken) {
		rate->taken = 0;
		rate->since = now;
	} else {
		rate->taken -= (unsigned int)back;
		rate->since += back * rate->pause;
	}
	if (rate->taken >= rate->burst) {
		rate->refused++;
		return false;
	}
	rate->taken++;
	return true;
}

unsigned int rate_refused(struct rate *rate)
{
	unsigned int refused = rate->refused;

	rate->refused = 0;
	return refused;
}
