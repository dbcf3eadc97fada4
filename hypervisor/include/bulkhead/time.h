/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System time: nanoseconds since the hypervisor started, monotonic and equal on all CPUs. */
#ifndef BULKHEAD_TIME_H
#define BULKHEAD_TIME_H

#include <bulkhead/compiler.h>

#define NSEC_PER_SEC 1000000000ULL
#define USEC(n)	     ((uint64_t)(n)*1000ULL)
#define MSEC(n)	     ((uint64_t)(n)*1000000ULL)

#define TIME_NEVER ~0ULL

uint64_t time_now(void);
/* Busy wait, for hardware sequences only. */
void time_delay_us(unsigned us);
/* Wall clock at system time 0, as seconds since 1970 and nanoseconds. */
void time_wallclock_base(uint64_t *ret_sec, uint32_t *ret_nsec);
void time_set_wallclock(uint64_t sec, uint32_t nsec, uint64_t system_time);

#endif
