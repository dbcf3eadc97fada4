/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The texts that ask for an execution, and how the program behind one is found and started. */
#ifndef QREXEC_SERVICE_H
#define QREXEC_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../../vchan/libvchan.h"

#define SERVICE_NAME_MAX 255
#define SERVICE_DIRS_MAX 8

struct service_dirs {
	const char *dirs[SERVICE_DIRS_MAX];
	size_t count;
};

/* Texts point into the one that was parsed. */
struct service_call {
	const char *user;    /* or NULL */
	const char *command; /* a shell command, or NULL: a service */
	const char *full;    /* NAME or NAME+ARGUMENT */
	const char *source;
	const char *target_type, *target; /* "name" or "keyword", and which; or NULL */
};

/*
 * "USER:COMMAND", "USER:QUBESRPC NAME SOURCE" (with_user), "QUBESRPC NAME SOURCE name|keyword TARGET". The
 * text is cut in pieces. False: not understood.
 */
bool service_parse(char *text, bool with_user, struct service_call *ret_call);

struct service_pipes {
	int to, from, err; /* the program's standard input, output and error */
	pid_t pid;
};

/*
 * Starts the program. 0, or the exit code of the call that failed: not found, or a problem. In the program
 * no descriptor of this process is open but the three.
 */
int service_spawn(const struct service_call *call, const struct service_dirs *dirs,
		  struct service_pipes *ret_pipes);
/* A program with its arguments, for the caller's side; its standard error stays the caller's. */
int service_spawn_local(char *const argv[], struct service_pipes *ret_pipes);

/*
 * The whole of one call on the side of the service: connects to `domain`, starts the program, carries the
 * data, says how it ended. just_exec: the program gets no data and nobody waits for it.
 */
int service_serve(const struct service_call *call, const struct service_dirs *dirs, int domain,
		  int port, bool just_exec);

#endif
