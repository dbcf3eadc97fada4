// SPDX-License-Identifier: GPL-2.0-or-later
// Follows the list of qubes: who comes and who goes, and a child for each one that runs.
#define _GNU_SOURCE
#include "follow.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct member {
	struct follow_qube qube;
	bool listed, gone; /* gone: only its child is waited for */
	pid_t pid;	   /* 0: there is none */
	unsigned int tries;
	int64_t again;
	struct member *next;
};

struct follow {
	const struct follow_options *options;
	const struct follow_calls *calls;
	void *data;
	struct member *members;
	int watch, signals;
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool is(const struct member *member, const struct world_qube *qube)
{
	return !member->gone && member->qube.domain == qube->domid &&
	       !strcmp(member->qube.name, qube->name) && !strcmp(member->qube.label, qube->label);
}

static void want(struct follow *follow, const struct world_qube *qube)
{
	struct member *member = follow->members;

	while (member && !is(member, qube))
		member = member->next;
	if (!member) {
		member = calloc(1, sizeof(*member));
		if (!member || strlen(qube->label) >= sizeof(member->qube.label)) {
			fprintf(stderr, "%s: %s: %s\n", follow->options->program, qube->name,
				member ? "unknown label" : strerror(errno));
			free(member);
			return;
		}
		member->qube.domain = qube->domid;
		snprintf(member->qube.name, sizeof(member->qube.name), "%s", qube->name);
		snprintf(member->qube.label, sizeof(member->qube.label), "%s", qube->label);
		member->next = follow->members;
		follow->members = member;
		if (follow->calls->comes)
			follow->calls->comes(follow->data, &member->qube);
	}
	member->listed = true;
}

static void let_go(struct follow *follow, struct member *member)
{
	if (member->gone)
		return;
	member->gone = true;
	if (member->pid)
		kill(member->pid, SIGTERM);
	if (follow->calls->goes)
		follow->calls->goes(follow->data, &member->qube);
}

/* Those that have gone, and have no child that would have to be waited for. */
static void sweep(struct follow *follow)
{
	struct member **at = &follow->members;

	while (*at) {
		struct member *member = *at;

		if (member->gone && !member->pid) {
			*at = member->next;
			free(member);
		} else {
			at = &member->next;
		}
	}
}

void follow_read(struct follow *follow)
{
	char path[PATH_MAX];
	unsigned int line = 0;
	struct world *world;

	snprintf(path, sizeof(path), "%s/" FOLLOW_LIST, follow->options->dir);
	world = world_load(path, &line);
	if (!world) {
		if (errno != ENOENT)
			fprintf(stderr, "%s: %s:%u: %s\n", follow->options->program, path, line,
				strerror(errno));
		return;
	}
	for (struct member *member = follow->members; member; member = member->next)
		member->listed = false;
	for (size_t i = 0; i < world_count(world); i++) {
		const struct world_qube *qube = world_at(world, i);

		if (qube->domid > 0 && *qube->label)
			want(follow, qube);
	}
	world_destroy(world);
	for (struct member *member = follow->members; member; member = member->next)
		if (!member->listed)
			let_go(follow, member);
	sweep(follow);
}

static bool may_try(const struct follow *follow, const struct member *member)
{
	return !follow->options->tries || member->tries < follow->options->tries;
}

/* From the start of the child that begins now. */
static int64_t pause_of(const struct follow *follow, struct member *member, int64_t at)
{
	const struct follow_options *options = follow->options;
	int64_t pause = options->pause;

	if (!options->longest)
		return pause;
	/* `again` is a pause behind the start of the last one. */
	if (member->tries && at - member->again > options->longest)
		member->tries = 0;
	for (unsigned int i = 0; i < member->tries && pause < options->longest; i++)
		pause *= 2;
	return pause < options->longest ? pause : options->longest;
}

int64_t follow_start_due(struct follow *follow, int64_t at)
{
	const struct follow_calls *calls = follow->calls;
	int64_t next = -1;
	pid_t pid;

	for (struct member *member = follow->members; member; member = member->next) {
		if (member->gone || member->pid || !may_try(follow, member) ||
		    (calls->wants && !calls->wants(follow->data, &member->qube)))
			continue;
		if (!member->tries || at >= member->again) {
			member->again = at + pause_of(follow, member, at);
			member->tries++;
			pid = calls->start(follow->data, &member->qube);
			if (pid > 0) {
				member->pid = pid;
				continue;
			}
			fprintf(stderr, "%s: %s: %s\n", follow->options->program, member->qube.name,
				strerror(-pid));
			if (!may_try(follow, member))
				continue;
		}
		if (next < 0 || member->again - at < next)
			next = member->again - at;
	}
	return next;
}

void follow_ended(struct follow *follow, pid_t pid, int status)
{
	for (struct member *member = follow->members; member; member = member->next) {
		if (member->pid != pid)
			continue;
		member->pid = 0;
		if (!member->gone && follow->calls->ended)
			follow->calls->ended(follow->data, &member->qube, status,
					     !may_try(follow, member));
		break;
	}
	sweep(follow);
}

void follow_anew(struct follow *follow)
{
	for (struct member *member = follow->members; member; member = member->next)
		member->tries = 0;
}

pid_t follow_fork(void)
{
	pid_t pid = fork();
	sigset_t none;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
	}
	return pid;
}

int follow_create(struct follow **ret_follow, const struct follow_options *options,
		  const struct follow_calls *calls, void *data)
{
	struct follow *follow = calloc(1, sizeof(*follow));
	sigset_t set;
	int error;

	if (!follow)
		return -ENOMEM;
	*follow = (struct follow){.options = options, .calls = calls, .data = data};
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	follow->signals = signalfd(-1, &set, SFD_CLOEXEC);
	follow->watch = inotify_init1(IN_CLOEXEC);
	/* The list is replaced, not written: the directory is what changes. */
	if (follow->signals >= 0 && follow->watch >= 0 &&
	    inotify_add_watch(follow->watch, options->dir, IN_MOVED_TO | IN_ONLYDIR) >= 0) {
		*ret_follow = follow;
		return 0;
	}
	error = errno;
	follow_destroy(follow);
	return -error;
}

void follow_destroy(struct follow *follow)
{
	if (!follow)
		return;
	for (struct member *member = follow->members; member; member = member->next)
		let_go(follow, member);
	sweep(follow);
	for (struct member *member = follow->members; member; member = member->next) {
		while (waitpid(member->pid, NULL, 0) < 0 && errno == EINTR)
			;
		member->pid = 0;
	}
	sweep(follow);
	if (follow->signals >= 0)
		close(follow->signals);
	if (follow->watch >= 0)
		close(follow->watch);
	free(follow);
}

static void reap(struct follow *follow)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		follow_ended(follow, pid, status);
}

int follow_run(struct follow *follow)
{
	struct pollfd p[] = {{follow->watch, POLLIN, 0},
			     {follow->signals, POLLIN, 0},
			     {follow->calls->fd, POLLIN, 0}};
	struct signalfd_siginfo info;
	char events[4096];
	int64_t wait;

	follow_read(follow);
	for (;;) {
		if (follow->calls->before_wait)
			follow->calls->before_wait(follow->data);
		wait = follow_start_due(follow, now());
		if (poll(p, 3, wait > INT_MAX ? INT_MAX : (int)wait) < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		if (p[1].revents && read(follow->signals, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGCHLD)
				return 0;
			reap(follow);
		}
		/* What has happened there does not matter: the list is read anew. */
		if (p[0].revents && read(follow->watch, events, sizeof(events)) > 0)
			follow_read(follow);
	}
}
