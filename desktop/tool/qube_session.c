// SPDX-License-Identifier: GPL-2.0-or-later
// qube-session: in the user's session on dom0's screen, runs a gui-daemon for each running qube.
#define _GNU_SOURCE
#include "../../qrexec/policy/world.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DAEMONS_MAX   512
#define LIST	      "qubes.list"
/* A daemon that ends by itself, with its qube still running, comes back after so many seconds. */
#define AGAIN_SECONDS 2

struct daemon {
	bool used, wanted, stopping;
	char name[WORLD_NAME_SIZE], label[16];
	int domain;
	pid_t pid; /* 0: it has ended */
	time_t again;
};

static struct session {
	const char *run, *program;
	struct daemon daemons[DAEMONS_MAX];
} session;

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void start(struct daemon *daemon)
{
	char domain[16], list[PATH_MAX];

	snprintf(domain, sizeof(domain), "%d", daemon->domain);
	snprintf(list, sizeof(list), "%s/" LIST, session.run);
	daemon->again = now() + AGAIN_SECONDS;
	daemon->pid = fork();
	if (daemon->pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execlp(session.program, "gui-daemon", "--domain", domain, "--name", daemon->name,
		       "--label", daemon->label, "--qubes", list, NULL);
		fprintf(stderr, "qube-session: %s: %s\n", session.program, strerror(errno));
		_exit(127);
	}
	if (daemon->pid < 0) {
		daemon->pid = 0;
		fprintf(stderr, "qube-session: %s: %s\n", daemon->name, strerror(errno));
	}
}

/* The same qube in the same domain with the same colour: anything else is another daemon. */
static struct daemon *find(const struct world_qube *qube)
{
	for (size_t i = 0; i < DAEMONS_MAX; i++) {
		struct daemon *daemon = &session.daemons[i];

		if (daemon->used && daemon->domain == qube->domid &&
		    !strcmp(daemon->name, qube->name) && !strcmp(daemon->label, qube->label))
			return daemon;
	}
	return NULL;
}

static void want(const struct world_qube *qube)
{
	struct daemon *daemon = find(qube);

	for (size_t i = 0; i < DAEMONS_MAX && !daemon; i++)
		if (!session.daemons[i].used) {
			daemon = &session.daemons[i];
			*daemon = (struct daemon){.used = true, .domain = qube->domid};
			snprintf(daemon->name, sizeof(daemon->name), "%s", qube->name);
			snprintf(daemon->label, sizeof(daemon->label), "%s", qube->label);
		}
	if (daemon)
		daemon->wanted = true;
}

/* Makes what runs equal to the list. A list that cannot be read changes nothing. */
static void compare(void)
{
	char path[PATH_MAX];
	unsigned int line = 0;
	struct world *world;

	snprintf(path, sizeof(path), "%s/" LIST, session.run);
	world = world_load(path, &line);
	if (!world) {
		if (errno != ENOENT)
			fprintf(stderr, "qube-session: %s:%u: %s\n", path, line, strerror(errno));
		return;
	}
	for (size_t i = 0; i < DAEMONS_MAX; i++)
		session.daemons[i].wanted = false;
	for (size_t i = 0; i < world_count(world); i++) {
		const struct world_qube *qube = world_at(world, i);

		if (qube->domid > 0 && *qube->label)
			want(qube);
	}
	world_destroy(world);
	for (size_t i = 0; i < DAEMONS_MAX; i++) {
		struct daemon *daemon = &session.daemons[i];

		if (!daemon->used || daemon->wanted)
			continue;
		if (daemon->pid && !daemon->stopping)
			kill(daemon->pid, SIGTERM);
		daemon->stopping = true;
		daemon->used = daemon->pid != 0;
	}
}

static void reap(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (size_t i = 0; i < DAEMONS_MAX; i++) {
			struct daemon *daemon = &session.daemons[i];

			if (!daemon->used || daemon->pid != pid)
				continue;
			daemon->pid = 0;
			daemon->used = !daemon->stopping;
		}
}

/* Starts what is due; returns milliseconds to the next that will be, or -1. */
static int start_due(void)
{
	int timeout = -1;

	for (size_t i = 0; i < DAEMONS_MAX; i++) {
		struct daemon *daemon = &session.daemons[i];

		if (!daemon->used || daemon->pid || daemon->stopping)
			continue;
		if (now() >= daemon->again)
			start(daemon);
		else
			timeout = 500;
	}
	return timeout;
}

static void end_all(void)
{
	for (size_t i = 0; i < DAEMONS_MAX; i++)
		if (session.daemons[i].used && session.daemons[i].pid)
			kill(session.daemons[i].pid, SIGTERM);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

static int run(int watch, int signals)
{
	struct pollfd p[] = {{watch, POLLIN, 0}, {signals, POLLIN, 0}};
	struct signalfd_siginfo info;
	char events[4096];

	compare();
	for (;;) {
		if (poll(p, 2, start_due()) < 0 && errno != EINTR)
			return 1;
		if (p[1].revents && read(signals, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGCHLD)
				break;
			reap();
		}
		/* What has happened there does not matter: the list is read anew. */
		if (p[0].revents && read(watch, events, sizeof(events)) > 0)
			compare();
	}
	end_all();
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"run", required_argument, NULL, 'r'},
					      {"gui-daemon", required_argument, NULL, 'g'},
					      {NULL, 0, NULL, 0}};
	int option, watch, signals;
	sigset_t set;

	session = (struct session){.run = "/run/qubes", .program = "gui-daemon"};
	while ((option = getopt_long(argc, argv, "r:g:", longs, NULL)) != -1)
		if (option == 'r') {
			session.run = optarg;
		} else if (option == 'g') {
			session.program = optarg;
		} else {
			fprintf(stderr, "usage: qube-session [--run DIR] [--gui-daemon PROGRAM]\n");
			return 2;
		}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	watch = inotify_init1(IN_CLOEXEC);
	/* The list is replaced, not written: the directory is what changes. */
	if (signals < 0 || watch < 0 || inotify_add_watch(watch, session.run, IN_MOVED_TO) < 0) {
		fprintf(stderr, "qube-session: %s: %s\n", session.run, strerror(errno));
		return 1;
	}
	return run(watch, signals);
}
