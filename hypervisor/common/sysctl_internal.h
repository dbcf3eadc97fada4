/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sysctl hypercall: its operations, by file. */
#ifndef COMMON_SYSCTL_INTERNAL_H
#define COMMON_SYSCTL_INTERNAL_H

#include <bulkhead/control.h>

/* sysctl_machine.c */
sysctl_fn sysctl_physinfo, sysctl_cputopoinfo, sysctl_numainfo, sysctl_pcitopoinfo,
	sysctl_availheap, sysctl_getcpuinfo, sysctl_cpu_hotplug;
/* sysctl_system.c */
sysctl_fn sysctl_readconsole, sysctl_getdomaininfolist, sysctl_debug_keys, sysctl_sched_id,
	sysctl_scheduler_op, sysctl_cpupool_op;

#endif
