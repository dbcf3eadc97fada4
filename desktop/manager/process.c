// SPDX-License-Identifier: GPL-2.0-or-later
// Programs that jobs run.
#define _GNU_SOURCE
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Standard error goes with the output: it is what the user gets to read. */
static pid_t spawn(const char *const argv[], int out)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	execvp(argv[0], (char *const *)argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static size_t read_all(int fd, char *text, size_t size)
{
	size_t length = 0;
	char rest[512] = "";

	for (;;) {
		bool room = length + 1 < size;
		ssize_t n = read(fd, room ? text + length : rest,
				 room ? size - 1 - length : sizeof(rest));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (room)
			length += (size_t)n;
	}
	while (length && text[length - 1] == '\n')
		length--;
	text[length] = '\0';
	return length;
}

int process_run(const char *const argv[], char *ret_out, size_t size, struct problem *problem)
{
	char out[sizeof(problem->text) - 64];
	int ends[2], status = -1;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC)) {
		problem_set(problem, "%s: %s", argv[0], strerror(errno));
		return -1;
	}
	pid = spawn(argv, ends[1]);
	close(ends[1]);
	read_all(ends[0], out, sizeof(out));
	close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || status) {
		problem_set(problem, "%s: %s", argv[0], *out ? out : "failed");
		return -1;
	}
	if (ret_out)
		snprintf(ret_out, size, "%s", out);
	return 0;
}

pid_t process_start(const char *const argv[], const char *log, struct problem *problem)
{
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid = -1;

	if (out >= 0 && null >= 0)
		pid = fork();
	if (pid == 0) {
		setsid();
		signal(SIGTERM, SIG_DFL);
		if (dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
			_exit(127);
		execvp(argv[0], (char *const *)argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0)
		problem_set(problem, "%s: %s", argv[0], strerror(errno));
	if (out >= 0)
		close(out);
	if (null >= 0)
		close(null);
	return pid;
}

/* The number may long be another process's: its name has to be right. */
void process_end(pid_t pid, const char *program)
{
	char path[64], name[32] = "";
	FILE *file;

	if (pid <= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return;
	if (fscanf(file, "%31s", name) == 1 && !strncmp(name, program, 15))
		kill(pid, SIGTERM);
	fclose(file);
}
