// SPDX-License-Identifier: GPL-2.0-or-later
// Time of the test kernels: the pvclock of vCPU 0 (xen/xen.h, struct vcpu_time_info).
#include "guest.h"

uint64_t time_now(void)
{
	const volatile struct vcpu_time_info *info = &event_shared_info->vcpu_info[0].time;
	uint32_t version;
	uint64_t now, delta;

	do {
		version = info->version;
		__asm__ volatile("" : : : "memory");
		delta = rdtsc() - info->tsc_timestamp;
		if (info->tsc_shift >= 0)
			delta <<= info->tsc_shift;
		else
			delta >>= -info->tsc_shift;
		/* 96 bits, of which the upper 64 count: without a type that not every CPU has. */
		now = info->system_time + (delta >> 32) * info->tsc_to_system_mul +
		      ((delta & 0xffffffff) * info->tsc_to_system_mul >> 32);
		__asm__ volatile("" : : : "memory");
	} while ((version & 1) || version != info->version);
	return now;
}

bool time_wait(const volatile unsigned int *flag, uint64_t nanoseconds)
{
	uint64_t end = time_now() + nanoseconds;

	sti();
	while (!*flag && time_now() < end)
		cpu_pause();
	cli();
	return *flag != 0;
}
