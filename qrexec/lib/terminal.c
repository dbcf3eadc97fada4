// SPDX-License-Identifier: GPL-2.0-or-later
// Texts of other qubes on a terminal.
#define _GNU_SOURCE
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

void terminal_clean(char *untrusted_text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)untrusted_text[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c > 0x7e)
			untrusted_text[i] = '_';
	}
}

static void copy(int from, int to)
{
	char data[4096];
	ssize_t n;

	while ((n = read(from, data, sizeof(data))) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0)
			terminal_clean(data, (size_t)n);
		for (ssize_t done = 0; done < n;) {
			ssize_t m = write(to, data + done, (size_t)(n - done));

			if (m < 0 && errno != EINTR)
				return;
			done += m > 0 ? m : 0;
		}
	}
}

/* The channel of the call, above all, must not stay open here when the caller has ended. */
__attribute__((noreturn)) static void become_copier(int from, int to)
{
	signal(SIGINT, SIG_IGN);
	if (dup2(from, STDIN_FILENO) < 0 || dup2(to, STDOUT_FILENO) < 0)
		_exit(1);
	close_range(STDERR_FILENO, ~0u, 0);
	copy(STDIN_FILENO, STDOUT_FILENO);
	_exit(0);
}

static pid_t guard(int fd)
{
	int pipe[2];
	pid_t pid;

	if (!isatty(fd))
		return -1;
	/* Rather nothing at all than what nobody has looked at. */
	pid = pipe2(pipe, 0) ? -1 : fork();
	if (pid == 0)
		become_copier(pipe[0], fd);
	if (pid < 0) {
		close(fd);
		return -1;
	}
	close(pipe[0]);
	dup2(pipe[1], fd);
	close(pipe[1]);
	return pid;
}

void terminal_guard(struct terminal *terminal)
{
	fflush(stdout);
	fflush(stderr);
	terminal->out = guard(STDOUT_FILENO);
	terminal->err = guard(STDERR_FILENO);
}

void terminal_finish(struct terminal *terminal)
{
	if (terminal->out > 0) {
		fflush(stdout);
		close(STDOUT_FILENO);
	}
	if (terminal->err > 0)
		close(STDERR_FILENO);
	if (terminal->out > 0)
		waitpid(terminal->out, NULL, 0);
	if (terminal->err > 0)
		waitpid(terminal->err, NULL, 0);
	terminal->out = terminal->err = -1;
}
