/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The texts that ask for an execution, and how what is behind one is found and started. */
#ifndef QREXEC_SERVICE_H
#define QREXEC_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../../vchan/libvchan.h"
#include "stream.h"

#define SERVICE_NAME_MAX 255
#define SERVICE_DIRS_MAX 8

struct service_call;

/* A service that runs in the process that has the data channel: no pipe is in its way. Returns its exit code. */
struct service_builtin {
	const char *name;
	int (*run)(libvchan_t *vchan, const struct service_call *call);
};

/* The system's own rules for the programs of a user. */
struct service_login {
	/* 0, or -errno: the user may not; what is wrong was said. */
	int (*open)(const char *user, const char *source);
	char **(*environment)(void); /* "NAME=VALUE"…, NULL at the end; or NULL */
	void (*close)(void);
};

/* Where things are found. */
struct service_dirs {
	const char *dirs[SERVICE_DIRS_MAX]; /* services */
	size_t count;
	const char *configs[SERVICE_DIRS_MAX]; /* their configuration */
	size_t config_count;
	const char *session_dir;		/* who has a session; NULL: nobody waits for one */
	const struct service_builtin *builtins; /* the last one has no name; or NULL */
	const struct service_login *login;	/* or NULL */
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

#define SERVICE_CONFIG_MAX 4096
#define SERVICE_USER_SIZE  33

/* What a file of the configuration says of a service. */
struct service_config {
	bool wait_for_session, skip_descriptor, exit_on_client_eof, exit_on_service_eof;
	char user[SERVICE_USER_SIZE]; /* "" unless force-user */
	char builtin[32];
};

/* Lines "key = value"; unknown keys are skipped. False: a value that cannot be, or more than one NUL-terminated text. */
bool service_config_parse(const char *text, size_t length, struct service_config *ret_config);
/* That of the service, or an empty one. False: unreadable. */
bool service_config_load(const struct service_dirs *dirs, const char *full,
			 struct service_config *ret_config);

enum service_kind {
	SERVICE_PROGRAM,
	SERVICE_SOCKET,
	SERVICE_TCP,
};

/* Finds NAME+ARGUMENT or else NAME. The path is that of the program or socket; for SERVICE_TCP "HOST\0PORT". */
bool service_find(const struct service_dirs *dirs, const char *full, enum service_kind *ret_kind,
		  char *ret_path, size_t size);
/* Connects, and says who calls unless the configuration is against it. The socket, or -1. */
int service_connect(const struct service_call *call, enum service_kind kind, const char *path,
		    const struct service_config *config);

/* Whether `user` has a session: waits for it as long as the other end of the channel is there. */
bool service_wait_session(const char *dir, const char *user, libvchan_t *vchan);
/* Takes over what the session of this process's user has in its environment, if there is one. */
void service_take_session(const char *dir, const char *user);

/* A program with its arguments, for the caller's side; its standard error stays the caller's. */
int service_spawn_local(char *const argv[], struct stream *stream);

/*
 * The whole of one call on the side of the service: connects to `domain`, starts the program, carries the
 * data, says how it ended. just_exec: the program gets no data and nobody waits for it.
 */
int service_serve(const struct service_call *call, const struct service_dirs *dirs, int domain,
		  int port, bool just_exec);
/* The same for a call that cannot be understood. */
int service_fail(int domain, int port, int exit_code);

#endif
