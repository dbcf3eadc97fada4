// SPDX-License-Identifier: GPL-2.0-or-later
// qube-session: in the user's session on dom0's screen, runs a gui-daemon for each running qube.
#define _GNU_SOURCE
#include "../../qrexec/follow/follow.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A daemon that ends by itself, with its qube still running, comes back; so many milliseconds after its start at the earliest. Where that
 * happens again and again, as with an agent that breaks the rules, it is done more and more seldom: each time there is a message.
 */
#define AGAIN	  2000
#define AGAIN_MAX 60000

/* Exit code of gui-daemon(1): the agent did not come in time. */
#define SILENT 5

static struct session {
	const char *run, *program;
} session;

static pid_t start(void *data, struct follow_qube *qube)
{
	char domain[16], list[PATH_MAX];
	/* That there is no agent has been said: the next one waits for it. */
	const char *set = qube->own ? "startup_timeout=0" : NULL;
	pid_t pid = follow_fork();

	(void)data;
	if (pid)
		return pid;
	snprintf(domain, sizeof(domain), "%d", qube->domain);
	snprintf(list, sizeof(list), "%s/" FOLLOW_LIST, session.run);
	execlp(session.program, "gui-daemon", "--domain", domain, "--name", qube->name, "--label",
	       qube->label, "--qubes", list, set ? "--set" : NULL, set, NULL);
	fprintf(stderr, "qube-session: %s: %s\n", session.program, strerror(errno));
	_exit(127);
}

static void ended(void *data, struct follow_qube *qube, int status, bool last)
{
	(void)data;
	(void)last;
	if (WIFEXITED(status) && WEXITSTATUS(status) == SILENT)
		qube->own = &session;
}

static int usage(FILE *to)
{
	fputs("usage: qube-session [--run DIR] [--gui-daemon PROGRAM]\n", to);
	return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"run", required_argument, NULL, 'r'},
					      {"gui-daemon", required_argument, NULL, 'g'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	static const struct follow_calls calls = {.start = start, .ended = ended, .fd = -1};
	struct follow_options options = {"qube-session", NULL, AGAIN, 0, AGAIN_MAX};
	struct follow *follow;
	int option, rc;

	session = (struct session){.run = "/run/qubes", .program = "gui-daemon"};
	while ((option = getopt_long(argc, argv, "r:g:h", longs, NULL)) != -1)
		if (option == 'r') {
			session.run = optarg;
		} else if (option == 'g') {
			session.program = optarg;
		} else {
			return usage(option == 'h' ? stdout : stderr);
		}
	if (optind < argc)
		return usage(stderr);
	options.dir = session.run;
	rc = follow_create(&follow, &options, &calls, NULL);
	if (!rc) {
		rc = follow_run(follow);
		follow_destroy(follow);
	}
	if (rc)
		fprintf(stderr, "qube-session: %s: %s\n", session.run, strerror(-rc));
	return rc ? 1 : 0;
}
