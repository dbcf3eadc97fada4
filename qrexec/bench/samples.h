/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Samples of a measurement: the clock, and their order. */
#ifndef QREXEC_SAMPLES_H
#define QREXEC_SAMPLES_H

#include <time.h>

/* Microseconds. */
static inline double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* For qsort(). */
static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

#endif
