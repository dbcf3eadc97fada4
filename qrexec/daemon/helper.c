// SPDX-License-Identifier: GPL-2.0-or-later
// Programs that the daemon starts: the prompt, and the one that starts qubes.
#define _GNU_SOURCE
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* The text as a file: however long it is, nobody waits for a reader. */
static int input_of(const char *text)
{
	size_t length = strlen(text);
	int fd = memfd_create("question", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, text, length) == (ssize_t)length && !lseek(fd, 0, SEEK_SET))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

__attribute__((noreturn)) static void become_helper(int in, int out, char *const argv[])
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0)
		_exit(127);
	close_range(3, ~0u, 0);
	execv(argv[0], argv);
	_exit(127);
}

static pid_t spawn(const char *program, const char *verb, const char *word, const char *input,
		   int out)
{
	char *const argv[] = {(char *)program, (char *)verb, (char *)word, NULL};
	int in = input_of(input);
	pid_t pid = in < 0 ? -1 : fork();

	if (pid == 0)
		become_helper(in, out, argv);
	if (in >= 0)
		close(in);
	return pid;
}

pid_t helper_run(const char *program, const char *verb, const char *word, const char *input)
{
	return spawn(program, verb, word, input, STDERR_FILENO);
}

int helper_start(struct helper *helper, const char *program, const char *verb, const char *word,
		 const char *input)
{
	int pipe[2];

	if (access(program, X_OK) || pipe2(pipe, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	*helper = (struct helper){.out = pipe[0]};
	/* The program's end blocks, as programs expect it. */
	fcntl(pipe[1], F_SETFL, 0);
	helper->pid = spawn(program, verb, word, input, pipe[1]);
	close(pipe[1]);
	if (helper->pid > 0)
		return 0;
	close(pipe[0]);
	*helper = (struct helper){.out = -1};
	return -EAGAIN;
}

/* Takes what it has said. An answer that is too long cannot be one. */
static void read_answer(struct helper *helper)
{
	ssize_t n;

	while (helper->out >= 0) {
		n = read(helper->out, helper->answer + helper->length,
			 HELPER_ANSWER_MAX + 1 - helper->length);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		helper->length += n > 0 ? (size_t)n : 0;
		if (n > 0 && helper->length <= HELPER_ANSWER_MAX)
			continue;
		close(helper->out);
		helper->out = -1;
	}
}

void helper_reaped(struct helper *helper, pid_t pid, int status)
{
	if (helper->pid != pid)
		return;
	helper->pid = 0;
	helper->status = status;
}

bool helper_ended(struct helper *helper)
{
	size_t length;

	read_answer(helper);
	if (helper->pid)
		return false;
	/* A child of the program may hold the pipe: what it would say comes too late. */
	if (helper->out >= 0)
		close(helper->out);
	helper->out = -1;
	if (helper->length > HELPER_ANSWER_MAX) {
		helper->length = 0;
		helper->status = -1;
	}
	helper->answer[helper->length] = '\0';
	length = strcspn(helper->answer, "\n");
	helper->answer[length] = '\0';
	return true;
}

void helper_finish(struct helper *helper)
{
	if (helper->pid > 0)
		kill(helper->pid, SIGTERM);
	if (helper->out >= 0)
		close(helper->out);
	*helper = (struct helper){.out = -1};
}
