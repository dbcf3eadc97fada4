// SPDX-License-Identifier: GPL-2.0-or-later
// The hostile guest: attacker.c chooses and calls, hardware.c is what it does to its (virtual) machine, life.c how it survives.
#ifndef ATTACK_H
#define ATTACK_H

#include "domu.h"

/* Frames behind the kernel that it may lose. */
#define ATTACK_SPARE  1024u
/* Linear addresses whose page tables hold anything. */
#define ATTACK_WINDOW 0x8000000000ull

/* Kinds of attacks, and words of the mailbox: how many there were, the last one's kind, how many of each. */
#define ATTACK_CLASSES	  15u
#define ATTACK_WORD_TOTAL 0u
#define ATTACK_WORD_CLASS 1u
#define ATTACK_WORD_DONE  2u
#define ATTACK_NAMES                                                                         \
 "hypercall", "memory", "grant", "event", "vcpu", "multicall", "shared", "interrupt", "msr", \
	 "port", "device", "instruction", "mode", "register", "tables"

/* Random numbers of the calling vCPU. */
void attack_seed(uint64_t seed);
uint64_t attack_random(void);
unsigned int attack_below(unsigned int n);
uint64_t attack_value(void);
uint64_t attack_gfn(void);
void *attack_address(void);
void attack_scribble(void *at, uint64_t size);

void attack_init(void);
/* Calls it; an exception ends it and is counted. */
void attack_guarded(void (*act)(void));
/* Puts back what of it is broken and can be put back. */
void attack_heal(void);
/* Starts the second vCPU, which calls it for ever, with random numbers of its own. */
bool attack_second(void (*act)(void), uint64_t seed);
extern uint64_t attack_faults;

void attack_msr(void);
void attack_port(void);
void attack_device_memory(void);
void attack_instruction(void);
void attack_mode(void);
void attack_control_register(void);
void attack_tables(void);

#endif
