/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Follows the list of qubes: who comes and who goes, and a child for each one that runs. */
#ifndef QREXEC_FOLLOW_H
#define QREXEC_FOLLOW_H

#include "../policy/world.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A qube that has a domain and a colour. With another domain or another colour it is another qube: one goes, one comes. */
struct follow_qube {
	char name[WORLD_NAME_SIZE], label[16];
	int domain;
	void *own; /* its owner's; NULL at first */
};

struct follow_calls {
	/* Either may be NULL. What comes() keeps in `own`, goes() frees; a child that still runs then gets SIGTERM. */
	void (*comes)(void *data, struct follow_qube *qube);
	void (*goes)(void *data, struct follow_qube *qube);
	/* Whether it is to have a child now. NULL: always. */
	bool (*wants)(void *data, const struct follow_qube *qube);
	/* Makes the child by follow_fork(); returns its id, or a negative errno, after which there is a pause, too. */
	pid_t (*start)(void *data, struct follow_qube *qube);
	/* Its child has ended, with a status of waitpid(2); `last`: there will be no other one. Not called after goes(). May be NULL. */
	void (*ended)(void *data, struct follow_qube *qube, int status, bool last);
	/* For an owner with events of its own: called before each wait, which `fd` ends as well. NULL and -1: there are none. */
	void (*before_wait)(void *data);
	int fd;
};

struct follow_options {
	const char *program; /* before each message on standard error */
	const char *dir;     /* where FOLLOW_LIST is, or will be */
	/* Milliseconds from the start of a child to the start of the next one, if it is still wanted. */
	int64_t pause;
	unsigned int tries; /* how many children one after the other; 0: without end */
	/* The pause is twice as long after each child, up to this; one that lasts for longer makes it short again. 0: always the same. */
	int64_t longest;
};

#define FOLLOW_LIST "qubes.list"

struct follow;

/*
 * Blocks SIGCHLD, SIGTERM, SIGINT and SIGHUP, which follow_run() takes, and watches the directory. The structures and strings
 * stay the caller's, and have to stay. 0 or a negative errno.
 */
int follow_create(struct follow **ret_follow, const struct follow_options *options,
		  const struct follow_calls *calls, void *data);
/* Ends all children, waits for them, and lets each qube go. */
void follow_destroy(struct follow *follow);

/* Returns 0 after a signal that asks to end, or a negative errno. */
int follow_run(struct follow *follow);

/* fork(2); in the child no signal is blocked. An id or a negative errno. */
pid_t follow_fork(void);

/* Forgets what was tried: what is wanted is due at once, as often as at first. */
void follow_anew(struct follow *follow);

/* The pieces of follow_run(), for tests. A list that is absent or damaged changes nothing; the latter is said. */
void follow_read(struct follow *follow);
/* At a time in milliseconds, starts what is due; milliseconds to the next that will be, or -1. */
int64_t follow_start_due(struct follow *follow, int64_t now);
void follow_ended(struct follow *follow, pid_t pid, int status);

#endif
