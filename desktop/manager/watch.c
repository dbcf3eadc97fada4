// SPDX-License-Identifier: GPL-2.0-or-later
// The job that lives as long as a qube's domain. Where the agent in the qube is started anew, the daemon here ends: it
// gets a new one.
#define _GNU_SOURCE
#include "manager.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

/* How long to look whether it was the domain's end that ended the daemon. */
#define SETTLE_MS 2000

static pid_t await_domain(int domain)
{
	char number[16];
	pid_t pid;

	snprintf(number, sizeof(number), "%d", domain);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execlp("qube-domain", "qube-domain", "wait", number, NULL);
		fprintf(stderr, "qube-manager: qube-domain: %s\n", strerror(errno));
		_exit(127);
	}
	return pid;
}

/* Whether a process ends within that time; -1: without limit. */
static bool ends(int pid_fd, int other_fd, int timeout)
{
	struct pollfd p[] = {{pid_fd, POLLIN, 0}, {other_fd, POLLIN, 0}};

	while (poll(p, 2, timeout) < 0 && errno == EINTR)
		;
	return p[0].revents != 0;
}

int job_watch(const struct manager *manager, const struct qube *qube, struct problem *problem)
{
	struct running running;
	int domain_fd, qrexec_fd = -1;
	pid_t domain;

	/* The next manager has watchers of its own. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != manager->pid || !running_load(manager, qube->name, &running) ||
	    running.domain < 0)
		return 0;
	domain = await_domain(running.domain);
	domain_fd = domain > 0 ? pidfd_open(domain, 0) : -1;
	if (domain_fd < 0) {
		problem_set(problem, "%s: its end cannot be awaited: %s", qube->name,
			    strerror(errno));
		return -1;
	}
	for (;;) {
		qrexec_fd = running.qrexec > 0 ? pidfd_open(running.qrexec, 0) : -1;
		/* One that is gone already has no descriptor: it is replaced at once. */
		if (qrexec_fd >= 0 && ends(domain_fd, qrexec_fd, -1))
			break;
		if (ends(domain_fd, -1, SETTLE_MS) || !running_load(manager, qube->name, &running))
			break;
		if (qrexec_fd >= 0)
			close(qrexec_fd);
		if (start_qrexec(manager, qube, &running, problem))
			fprintf(stderr, "qube-manager: %s: %s\n", qube->name, problem->text);
	}
	if (qrexec_fd >= 0)
		close(qrexec_fd);
	close(domain_fd);
	return 0;
}
