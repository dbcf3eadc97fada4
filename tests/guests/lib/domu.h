// SPDX-License-Identifier: GPL-2.0-or-later
// Guests of a test kernel: a dom0 kernel builds them as a toolstack does, feeds their consoles through, and passes words.
//
// A kernel in tests/guests/ names its guests in a line "// guests: a b"; they are tests/guests/domu/{a,b}.c, made with the
// same runtime. A guest learns from its command line what it has to be, prints to its PV console, and ends by shutting down.
#ifndef DOMU_H
#define DOMU_H

#include "guest.h"
#include <xen/domctl.h>
#include <xen/io/console.h>

/* Guest-physical addresses of what the builder prepares. */
#define DOMU_START_INFO	 0x10000u
#define DOMU_COMMAND	 0x10100u
#define DOMU_MEMORY_MAP	 0x10200u
#define DOMU_MAILBOX	 0x12000u
#define DOMU_CONSOLE_GFN 0xfeffful
#define DOMU_COMMAND_MAX 256u

/* A page that dom0 and the guest write to and read from: how guests that work in pairs learn of each other. */
struct domu_mailbox {
	volatile uint64_t to_dom0[32];
	volatile uint64_t to_guest[32];
};

/* ---- For dom0 ---- */

struct domu {
	domid_t id;
	unsigned int slot; /* of the window into foreign memory */
	struct xencons_interface *console;
	struct domu_mailbox *mailbox;
	char line[160];
	unsigned int line_used;
	unsigned int results, failures; /* RESULT lines */
	bool speaks;
};

struct domu_config {
	const char *kernel; /* one of the names in "// guests:" */
	const char *words;
	unsigned int mib, vcpus;		   /* 0: 32 MiB, one vCPU */
	int max_grant_frames, max_maptrack_frames; /* 0: the default */
	bool speaks;		 /* its VALUE and RESULT lines are lines of the test */
	unsigned int target_mib; /* what it really has, the rest on demand; 0: all */
};

long domctl(struct xen_domctl *op, unsigned int cmd, domid_t domain);
/* Builds it, paused. 0 or the negative error of the call that failed. */
long domu_create(struct domu *ret_d, const struct domu_config *config);
long domu_unpause(struct domu *d);
/* Prints what its console holds, each line behind its id. */
void domu_drain(struct domu *d);
/* Its state; false when there is no such domain. */
bool domu_info(domid_t id, struct xen_domctl_getdomaininfo *ret_info);
/* Until it has shut down; returns the reason, or -1 when the time (ns) is over. */
int domu_wait_shutdown(struct domu *d, uint64_t time);
/* Until its mailbox has something other than zero in a word; 0 when the time is over or it has shut down. */
uint64_t domu_wait_word(struct domu *d, unsigned int word, uint64_t time);
/* Takes its pages out of the window, kills it and waits until nothing is left. 0 or a negative error. */
long domu_destroy(struct domu *d);
/* Sleeps for some ns, so that guests may run. */
void dom0_sleep(uint64_t time);
/* Pages that the hypervisor has free. */
uint64_t dom0_free_pages(void);
/* The same once it has not changed for a while. */
uint64_t dom0_settled_free_pages(void);
/* The same once it is the number given, or when that takes too long. */
uint64_t dom0_wait_free_pages(uint64_t pages);
/* Maps the frames of a domain at an address of ours (one slot of the window is 1 MiB). NULL: not possible. */
void *dom0_map(unsigned int slot, domid_t domain, uint64_t gfn, unsigned int frames);
void dom0_unmap(unsigned int slot, unsigned int frames);
#define DOM0_SLOT_FREE 30u /* slots from here on are not used by domu_create() */

/* ---- For guests ---- */

static inline struct domu_mailbox *domu_mailbox(void)
{
	return (struct domu_mailbox *)(uintptr_t)DOMU_MAILBOX;
}

/* The number behind "name=" on the command line, or the default. */
uint64_t domu_number(const char *name, uint64_t otherwise);
/* Whether a word is on the command line. */
bool domu_has_word(const char *word);
/* The value of a word of the mailbox once dom0 has written it. */
uint64_t domu_take_word(unsigned int word);
/* Gives the CPU away for a while (ns). */
void domu_sleep(uint64_t time);

#endif
