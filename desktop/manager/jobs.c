// SPDX-License-Identifier: GPL-2.0-or-later
// What takes long runs in children of the manager. They tell the client what they have to say; its end comes from here.
#define _GNU_SOURCE
#include "manager.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct job *job_find(const struct manager *manager, const char *name, bool (*is)(enum job_kind))
{
	for (struct job *job = manager->jobs; job; job = job->next)
		if (!strcmp(job->name, name) && is(job->kind))
			return job;
	return NULL;
}

struct job *job_reading(const struct manager *manager, const char *name)
{
	struct running running;

	/* A disposable has its copy when its state is there. */
	for (struct job *job = manager->jobs; job; job = job->next)
		if (!strcmp(job->source, name) &&
		    (job->kind == JOB_COPY || !running_load(manager, job->name, &running)))
			return job;
	return NULL;
}

static int in_child(const struct manager *manager, enum job_kind kind, const struct qube *qube,
		    const struct qube *source, struct problem *problem)
{
	if (kind != JOB_SHUTDOWN && kind != JOB_WATCH && !qube_lock(manager, qube->name)) {
		problem_set(problem, "the lock of %s cannot be had: %s", qube->name,
			    strerror(errno));
		return -1;
	}
	switch (kind) {
	case JOB_START:
		/* A disposable begins with the private volume of what it is made of, and with nothing else. */
		if (source)
			volumes_remove(manager, qube->name);
		if (source && volumes_copy(manager, source, qube, problem))
			return -1;
		return job_start(manager, qube, problem);
	case JOB_SHUTDOWN:
		return job_shutdown(manager, qube, problem);
	case JOB_CLEAN:
		return job_clean(manager, qube, problem);
	case JOB_COPY:
		return volumes_copy(manager, source, qube, problem);
	default:
		return job_watch(manager, qube, problem);
	}
}

__attribute__((noreturn)) static void child(struct manager *manager, enum job_kind kind,
					    const struct qube *qube, const struct qube *source,
					    int client)
{
	struct problem problem = {""};
	int rc;

	/* The manager's sockets are not the child's. */
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (manager->clients[i] >= 0 && manager->clients[i] != client)
			close(manager->clients[i]);
	for (struct job *job = manager->jobs; job; job = job->next)
		if (job->client >= 0)
			close(job->client);
	close(manager->listener);
	close(manager->lock);
	signal(SIGCHLD, SIG_DFL);
	rc = in_child(manager, kind, qube, source, &problem);
	if (rc) {
		reply_text(client, 'e', "%s\n", problem.text);
		fprintf(stderr, "qube-manager: %s\n", problem.text);
	}
	_exit(rc ? 1 : 0);
}

int job_begin(struct manager *manager, enum job_kind kind, const struct qube *qube,
	      const struct qube *source, int client, struct problem *problem)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job)
		job->pid = fork();
	if (!job || job->pid < 0) {
		free(job);
		problem_set(problem, "no process for a job: %s", strerror(errno));
		return -1;
	}
	if (job->pid == 0)
		child(manager, kind, qube, source, client);
	job->kind = kind;
	job->client = client;
	job->pid_fd = pidfd_open(job->pid, 0);
	strcpy(job->name, qube->name);
	if (source)
		strcpy(job->source, source->name);
	job->next = manager->jobs;
	manager->jobs = job;
	return 0;
}

static bool is_watch(enum job_kind kind)
{
	return kind == JOB_WATCH;
}

static bool is_clean(enum job_kind kind)
{
	return kind == JOB_CLEAN;
}

static void begin_quietly(struct manager *manager, enum job_kind kind, const struct qube *qube)
{
	struct problem problem = {""};

	if (job_begin(manager, kind, qube, NULL, -1, &problem))
		fprintf(stderr, "qube-manager: %s: %s\n", qube->name, problem.text);
}

/* After a start: its end is awaited. After its end: what it leaves is cleaned up, and a disposable is gone. */
static void follow_up(struct manager *manager, const struct job *job, bool fine)
{
	struct qube *qube = config_find(&manager->config, job->name);
	struct running running;
	struct problem problem = {""};
	bool running_now;

	if (!qube)
		return;
	running_now = running_load(manager, job->name, &running);
	if (job->kind == JOB_START && running_now && !job_find(manager, job->name, is_watch))
		begin_quietly(manager, JOB_WATCH, qube);
	/* Once: the second one would take away what others have got by then, as devices go to the next who asks. */
	if (job->kind == JOB_WATCH && running_now && !job_find(manager, job->name, is_clean))
		begin_quietly(manager, JOB_CLEAN, qube);
	if (!fine && job->kind == JOB_CLEAN)
		fprintf(stderr, "qube-manager: %s: not cleaned up\n", job->name);
	if ((job->kind == JOB_CLEAN || job->kind == JOB_START) && !running_now &&
	    qube->class == CLASS_DISPOSABLE) {
		volumes_remove(manager, job->name);
		if (config_remove(&manager->config, job->name, &problem) ||
		    save_config(manager, &problem))
			fprintf(stderr, "qube-manager: %s\n", problem.text);
	}
	/* A copy that has failed is no qube. */
	if (job->kind == JOB_COPY && !fine) {
		volumes_remove(manager, job->name);
		if (config_remove(&manager->config, job->name, &problem) ||
		    save_config(manager, &problem))
			fprintf(stderr, "qube-manager: %s\n", problem.text);
	}
	write_list(manager);
}

void job_ended(struct manager *manager, struct job *job)
{
	struct job **at = &manager->jobs, *clean;
	int status = 0;
	bool fine;

	waitpid(job->pid, &status, 0);
	fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	close(job->pid_fd);
	follow_up(manager, job, fine);
	clean = job_find(manager, job->name, is_clean);
	/* Who has asked for the end hears of it when nothing is left. */
	if (job->kind == JOB_SHUTDOWN && fine && clean && clean->client < 0)
		clean->client = job->client;
	else
		reply_end(job->client, fine ? 0 : 1);
	free(job);
}

static bool is_leftover(const struct manager *manager, const struct qube *qube)
{
	struct running running;

	if (running_load(manager, qube->name, &running) || qube_locked(manager, qube->name))
		return false;
	return qube->class == CLASS_DISPOSABLE || volumes_half_copied(manager, qube->name);
}

/* Disposables that ended with dom0, copies that nobody goes on with, and their files: who had to remove them is gone. */
static void forget_leftovers(struct manager *manager)
{
	struct problem problem = {""};
	bool changed = false;

	for (size_t i = manager->config.count; i-- > 0;) {
		const struct qube *qube = manager->config.qubes[i];
		char name[QUBE_NAME_MAX + 1];

		if (!is_leftover(manager, qube))
			continue;
		strcpy(name, qube->name);
		volumes_remove(manager, name);
		if (config_remove(&manager->config, name, &problem))
			fprintf(stderr, "qube-manager: %s\n", problem.text);
		else
			changed = true;
	}
	if (changed && save_config(manager, &problem))
		fprintf(stderr, "qube-manager: %s\n", problem.text);
}

void jobs_resume(struct manager *manager)
{
	forget_leftovers(manager);
	for (size_t i = 0; i < manager->config.count; i++) {
		const struct qube *qube = manager->config.qubes[i];
		char socket[PATH_MAX];
		struct running running;

		if (!running_load(manager, qube->name, &running))
			continue;
		/* One that was being started when the manager ended did not get to its socket. */
		place_of(manager, socket, "r/qrexec.%s", qube->name);
		begin_quietly(manager, access(socket, F_OK) ? JOB_CLEAN : JOB_WATCH, qube);
	}
	write_list(manager);
}
