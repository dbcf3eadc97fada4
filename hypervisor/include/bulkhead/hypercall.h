/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypercall table: number, handler, who may call. */
#ifndef BULKHEAD_HYPERCALL_H
#define BULKHEAD_HYPERCALL_H

#include <bulkhead/compiler.h>
#include <bulkhead/errno.h>

/*
 * One call. A handler returns the result (negative errno for failure). To be preempted it stores the
 * progress in args[] (all of it: nothing is kept elsewhere) and returns -ERESTART; the guest executes the
 * instruction again with these arguments after interrupts were taken. `restart` style counters are kept in the
 * high bits of the command argument as the ABI does (MEMOP_EXTENT_SHIFT).
 */
struct hypercall {
	unsigned nr;
	bool compat; /* 32-bit caller: pointers are 32 bits wide, structures have their 32-bit layout */
	uint64_t args[5];
};

typedef int64_t hypercall_fn(struct hypercall *hc);

struct hypercall_entry {
	hypercall_fn *fn; /* NULL: -ENOSYS */
	bool compat_ok; /* the handler knows 32-bit layouts (or has none); else 32-bit callers get -ENOSYS */
};

#define HYPERCALL_MAX 64
extern const struct hypercall_entry hypercall_table[HYPERCALL_MAX];

/* Executes hc by the table; common for the trap path and multicall. */
int64_t hypercall_dispatch(struct hypercall *hc);

/* True when the handler should stop at the next safe point and return -ERESTART (softirq pending). */
bool hypercall_should_yield(void);

/* Handlers, one file each in common/ or arch/. */
hypercall_fn hypercall_platform_op, hypercall_memory_op, hypercall_multicall,
	hypercall_set_timer_op, hypercall_xen_version, hypercall_console_io,
	hypercall_grant_table_op, hypercall_vm_assist, hypercall_vcpu_op, hypercall_xsm_op,
	hypercall_sched_op, hypercall_event_channel_op, hypercall_physdev_op, hypercall_hvm_op,
	hypercall_sysctl, hypercall_domctl, hypercall_xenpmu_op, hypercall_dm_op,
	hypercall_hypfs_op;

#endif
