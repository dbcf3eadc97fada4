// SPDX-License-Identifier: GPL-2.0-or-later
// What granter.c and user.c have agreed on.
#ifndef PAIR_H
#define PAIR_H

#include "domu.h"
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>

/* Words of the mailbox; dom0 passes those from WORD_PORT on to the other guest, the others are its own. */
enum {
	WORD_PEER,
	WORD_DEAD,
	WORD_LET_GO,
	WORD_END,
	WORD_PORT,
	WORD_STRANGER,
	WORD_STEP,
	WORD_FIFO,
};

/* In the order in which they are reached, in turns. */
enum {
	STEP_GRANTED = 1,
	STEP_MAPPED,
	STEP_TAKEN_BACK,
	STEP_UNMAPPED,
	STEP_AGAIN,
	STEP_COPIED,
	STEP_OFFERED,
	STEP_PLAYED,
	STEP_SEEN_CLOSED,
	STEP_BOUND_AGAIN,
	STEP_CLOSED,
	STEP_FIFO,
	STEP_SENT,
	STEP_RECEIVED,
	STEP_LAST,
	STEP_HOLDS_LAST,
};

enum {
	REF_WRITABLE = 8,
	REF_READONLY,
	REF_STRANGER,
	REF_TRANSFER,
	REF_NO_FRAME,
	REF_NONE,
	REF_LAST,
};

#define ROUNDS	     100u
#define FIFO_PORTS   4u
#define MAPPINGS_MAX 2048u

static inline void tell(uint64_t step)
{
	domu_mailbox()->to_dom0[WORD_STEP] = step;
}

/* Also when the other one has gone further already. */
static inline void await(uint64_t step)
{
	while (domu_mailbox()->to_guest[WORD_STEP] < step)
		domu_sleep(500000);
}

static inline void wait_event(evtchn_port_t port)
{
	struct sched_poll poll = {.nr_ports = 1};
	evtchn_port_t ports[1] = {port};

	set_xen_guest_handle(poll.ports, ports);
	while (!event_take_pending(port))
		hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, ADDRESS(&poll));
}

static inline long grant_op(unsigned int op, void *argument, unsigned int count)
{
	return hypercall3(__HYPERVISOR_grant_table_op, op, ADDRESS(argument), count);
}

static inline void fill(uint8_t *at, uint8_t seed, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		at[i] = (uint8_t)(seed + i * 7);
}

static inline bool is_pattern(const void *at, uint8_t seed, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		if (((const volatile uint8_t *)at)[i] != (uint8_t)(seed + i * 7))
			return false;
	return true;
}

static inline void fill_pattern(void *page, uint8_t seed)
{
	fill(page, seed, PAGE_BYTES);
}

#endif
