/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fake machine of host-side unit tests: what a test sets and looks at. */
#ifndef ARCH_FAKE_H
#define ARCH_FAKE_H

#include <bulkhead/addr.h>
#include <bulkhead/cpu.h>

/*
 * All functions in fake.c are weak: a test that links the real one, or has its own, gets that. Everything runs on one
 * host thread; a test says on which CPU it is.
 */

/* CPUs 0 … n - 1 without anything on them; this CPU is 0. finish frees them and what the modules put there. */
void fake_cpus_init(unsigned n);
void fake_cpus_finish(void);
void fake_cpu_enter(unsigned cpu);

extern uint64_t fake_now;		   /* system time */
extern uint64_t fake_programmed[MAX_CPUS]; /* arch_timer_program() */
extern unsigned fake_programs;		   /* how often that was called */
extern unsigned fake_kicks[MAX_CPUS];	   /* arch_cpu_kick() */
extern void (*fake_relax)(void); /* called in each turn of a busy wait; NULL: waiting is an error */
extern bool (*fake_has_work)(struct vcpu *); /* arch_vcpu_has_work(); NULL: never */
extern unsigned fake_machine_shutdown; /* reason of arch_machine_shutdown(), which jumps here: */
extern void *fake_shutdown_jmp;	       /* a jmp_buf, or NULL: abort */

/* Heap on calloc(), so that the address sanitizer sees each object. */
extern unsigned fake_heap_live;	 /* objects not freed */
extern int fake_heap_fail_after; /* that many allocations succeed, then they fail; -1: never */

/* Frames: fake_frames_init(n) gives n free ones with contents; see also fake_frame(). */
void fake_frames_init(uint64_t n);
void fake_frames_finish(void);
void *fake_frame(mfn_t m); /* its contents */

/* Guest memory of the current vCPU: linear address = offset into this buffer. */
extern uint8_t *fake_guest_memory;
extern size_t fake_guest_size;

#endif
