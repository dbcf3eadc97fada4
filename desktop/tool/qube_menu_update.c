// SPDX-License-Identifier: GPL-2.0-or-later
// qube-menu-update: asks a template that runs for its applications, and keeps the list for the menu.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../qrexec/policy/world.h"
#include "../menu/entries.h"

#define LIMIT_SECONDS 60
#define NOBODY	      65534

static const char call[] = "DEFAULT:QUBESRPC qubes.GetAppmenus dom0";

/* The end of a pipe from which the answer of the qube comes. */
static int ask(const char *socket_dir, const char *name, pid_t *ret_pid)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	*ret_pid = fork();
	if (*ret_pid == 0) {
		int null = open("/dev/null", O_RDONLY);

		if (null < 0 || dup2(null, 0) < 0 || dup2(ends[1], 1) < 0)
			_exit(127);
		/* This may go to a log, which the qube has no business to write to. */
		execlp("qrexec-client", "qrexec-client", "--no-error", "--socket-dir", socket_dir,
		       "-d", name, call, NULL);
		fprintf(stderr, "qube-menu-update: qrexec-client: %s\n", strerror(errno));
		_exit(127);
	}
	close(ends[1]);
	if (*ret_pid > 0)
		return ends[0];
	close(ends[0]);
	return -1;
}

/* Reads what a qube has sent, without any right that would be of use to it. Its exit code. */
static int convert(int from, int to)
{
	struct entries entries;
	char *text;
	size_t length = 0;
	ssize_t n = 1;
	FILE *out;
	int rc;

	if (!geteuid() && (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
		return 1;
	text = malloc(ENTRIES_TEXT_MAX + 1);
	while (text && length <= ENTRIES_TEXT_MAX && n > 0) {
		n = read(from, text + length, ENTRIES_TEXT_MAX + 1 - length);
		length += n > 0 ? (size_t)n : 0;
	}
	if (text && !n)
		rc = entries_parse(text, length, &entries);
	else
		rc = !text || n < 0 ? -errno : -E2BIG;
	free(text);
	if (rc) {
		fprintf(stderr, "qube-menu-update: the list of applications: %s\n", strerror(-rc));
		return 1;
	}
	out = fdopen(to, "w");
	rc = !out || !entries.count || !entries_write(&entries, out) || fclose(out);
	if (!entries.count)
		fprintf(stderr, "qube-menu-update: no application is in the list\n");
	entries_finish(&entries);
	return rc;
}

static int await_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* From a qube, or from a file that has its answer. */
static int update(const char *from_path, const char *socket_dir, const char *name, int to)
{
	pid_t client = 0, reader;
	int from = from_path ? open(from_path, O_RDONLY | O_CLOEXEC)
			     : ask(socket_dir, name, &client);
	int rc;

	if (from < 0) {
		fprintf(stderr, "qube-menu-update: %s: %s\n", from_path ? from_path : name,
			strerror(errno));
		return 1;
	}
	reader = fork();
	if (reader == 0) {
		alarm(LIMIT_SECONDS);
		_exit(convert(from, to));
	}
	close(from);
	rc = reader < 0 ? 1 : await_child(reader);
	if (client && rc)
		kill(client, SIGTERM);
	if (client && await_child(client) && !rc)
		rc = 1;
	return rc;
}

static int usage(FILE *to)
{
	fputs("usage: qube-menu-update [--dir DIR] [--socket-dir DIR] [--from FILE] NAME\n", to);
	return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"dir", required_argument, NULL, 'd'},
					      {"from", required_argument, NULL, 'f'},
					      {"socket-dir", required_argument, NULL, 's'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	const char *dir = "/var/lib/qubes/menus", *socket_dir = "/run/qubes", *from = NULL;
	char path[PATH_MAX], new_path[PATH_MAX];
	int option, to, rc;

	while ((option = getopt_long(argc, argv, "d:f:s:h", longs, NULL)) != -1)
		if (option == 'd')
			dir = optarg;
		else if (option == 'f')
			from = optarg;
		else if (option == 's')
			socket_dir = optarg;
		else if (option == 'h')
			return usage(stdout);
		else
			return usage(stderr);
	if (argc - optind != 1 || !world_name_valid(argv[optind]))
		return usage(stderr);
	if (snprintf(path, sizeof(path), "%s/%s.list", dir, argv[optind]) >= (int)sizeof(path) ||
	    snprintf(new_path, sizeof(new_path), "%s/.%s.new", dir, argv[optind]) >=
		    (int)sizeof(new_path))
		return 1;
	if (mkdir(dir, 0755) && errno != EEXIST) {
		fprintf(stderr, "qube-menu-update: %s: %s\n", dir, strerror(errno));
		return 1;
	}
	to = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (to < 0) {
		fprintf(stderr, "qube-menu-update: %s: %s\n", new_path, strerror(errno));
		return 1;
	}
	/* Complete, or the old one stays. */
	rc = fchmod(to, 0644) ? 1 : update(from, socket_dir, argv[optind], to);
	close(to);
	if (!rc && rename(new_path, path)) {
		fprintf(stderr, "qube-menu-update: %s: %s\n", path, strerror(errno));
		rc = 1;
	}
	if (rc)
		unlink(new_path);
	return rc;
}
