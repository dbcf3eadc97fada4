/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How often something may happen that a qube can cause. */
#ifndef QREXEC_RATE_H
#define QREXEC_RATE_H

#include <stdbool.h>

/* At first, and after a rest, `burst` times at once; beyond that once in `pause` milliseconds. The rest starts as zeros. */
struct rate {
	unsigned int burst;
	long long pause;
	unsigned int taken; /* of the burst */
	long long since;    /* when the last one came back */
	unsigned int refused;
};

/* Whether it may happen now, in milliseconds of a clock that goes forward; counts in `refused` how often it might not. */
bool rate_take(struct rate *rate, long long now);
/* How often it might not since the last such question. */
unsigned int rate_refused(struct rate *rate);

#endif
