/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manager: which qubes run, what is being done with them, and who has asked for it. */
#ifndef DESKTOP_MANAGER_H
#define DESKTOP_MANAGER_H

#include <limits.h>
#include <sys/types.h>

#include "config.h"

#define REQUEST_MAX 65536 /* bytes of all words */
#define WORDS_MAX   64
#define CLIENTS_MAX 64
#define REVISIONS   30
#define LOOPS_MAX   3

/* Where things are; tests have other places. */
struct places {
	const char *lib, *run, *log,
		*schema; /* /var/lib/qubes, /run/qubes, /var/log/qubes, qubes.rng */
};

enum qube_state {
	STATE_HALTED,
	STATE_STARTING,
	STATE_RUNNING,
	STATE_STOPPING,
};

/* What is running for a qube. It is in a file, too: a manager that starts anew finds it there. */
struct running {
	int domain; /* -1: none */
	pid_t qrexec, gui;
	char loops[LOOPS_MAX][32]; /* devices of its volumes: root, private, volatile */
};

/* A child of the manager that does something that takes long. */
enum job_kind {
	JOB_START,
	JOB_SHUTDOWN,
	JOB_CLEAN, /* after the end of its domain */
	JOB_COPY,  /* of volumes, for a clone */
	JOB_WATCH, /* waits for the end of its domain */
};

struct job {
	struct job *next;
	enum job_kind kind;
	pid_t pid;
	int pid_fd;
	char name[QUBE_NAME_MAX + 1],
		source[QUBE_NAME_MAX + 1]; /* source: whose volumes it reads, or "" */
	int client;			   /* who waits for it, or -1 */
};

struct manager {
	struct places places;
	struct config config;
	struct job *jobs;
	pid_t pid;
	int lock; /* held as long as the manager lives */
	int listener;
	int clients[CLIENTS_MAX]; /* connected, without a request so far; -1: free */
};

/* ---- state.c ---- */

void place_of(const struct manager *manager, char path[PATH_MAX], const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* False: nothing runs for it. */
bool running_load(const struct manager *manager, const char *name, struct running *ret_running);
int running_save(const struct manager *manager, const char *name, const struct running *running);
void running_forget(const struct manager *manager, const char *name);
enum qube_state qube_state(const struct manager *manager, const struct qube *qube);
const char *state_name(enum qube_state state);
/* What qrexec's policy knows of qubes. */
void write_list(const struct manager *manager);
/* What cannot be written does not hold: then the qubes are as in the file again, and pointers to them are gone. */
int save_config(struct manager *manager, struct problem *problem);
/*
 * One job at a time brings a qube up or takes it down, also where the last manager's jobs go on: waits for its turn, which ends
 * with the process. False: it cannot be had.
 */
bool qube_lock(const struct manager *manager, const char *name);
/* Whether a job of another process has it. */
bool qube_locked(const struct manager *manager, const char *name);

/* ---- process.c: in jobs ---- */

/* Runs a program to its end; its output (without the last newline) if wanted. 0, or -1 with what it said. */
int process_run(const char *const argv[], char *ret_out, size_t size, struct problem *problem);
/* Starts one that goes on; its messages go to the file. -1 with a problem. */
pid_t process_start(const char *const argv[], const char *log, struct problem *problem);
/* Ends one that process_start() has started, if it is still the same program. */
void process_end(pid_t pid, const char *program);

/* ---- volumes.c: in jobs ---- */

int volumes_attach(const struct manager *manager, const struct qube *qube, struct running *running,
		   struct problem *problem);
void volumes_detach(const struct manager *manager, const char *name, struct running *running);
/* Of a new name there must be none yet: they would be another qube's that had it. `root`: nor that one. */
int volumes_absent(const struct manager *manager, const char *name, bool root,
		   struct problem *problem);
/* Between the two, the qube is a copy that is not complete. */
int volumes_announce_copy(const struct manager *manager, const char *name, struct problem *problem);
int volumes_copy(const struct manager *manager, const struct qube *source,
		 const struct qube *target, struct problem *problem);
bool volumes_half_copied(const struct manager *manager, const char *name);
void volumes_remove(const struct manager *manager, const char *name);

/* ---- start.c: in jobs ---- */

int job_start(const struct manager *manager, const struct qube *qube, struct problem *problem);
int job_shutdown(const struct manager *manager, const struct qube *qube, struct problem *problem);
int job_clean(const struct manager *manager, const struct qube *qube, struct problem *problem);
/* Also writes down its process number. */
int start_qrexec(const struct manager *manager, const struct qube *qube, struct running *running,
		 struct problem *problem);

/* ---- watch.c: in jobs ---- */

/* Waits for the end of the qube's domain; until then it has a qrexec-daemon. */
int job_watch(const struct manager *manager, const struct qube *qube, struct problem *problem);

/* ---- jobs.c ---- */

struct job *job_find(const struct manager *manager, const char *name, bool (*is)(enum job_kind));
/* The job that reads the qube's volumes, or NULL. */
struct job *job_reading(const struct manager *manager, const char *name);
/* Forks the job; `client` (or -1) hears of its outcome. -1 with a problem. */
int job_begin(struct manager *manager, enum job_kind kind, const struct qube *qube,
	      const struct qube *source, int client, struct problem *problem);
/* Its process has ended. */
void job_ended(struct manager *manager, struct job *job);
/* After the start of the manager: watches what runs, cleans up what no longer does. */
void jobs_resume(struct manager *manager);

/* ---- reply.c ---- */

void reply_text(int client, char kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void reply_end(int client, int status);

/* ---- commands.c ---- */

/* Handles one request; takes the descriptor over. */
void command_handle(struct manager *manager, int client, int count, char **words);

#endif
