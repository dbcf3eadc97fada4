// SPDX-License-Identifier: GPL-2.0-or-later
// The program that sends the icons of windows.
#include "icons.h"
#include "agent.h"
#include "window.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Two times: nobody has to wait for its end. */
static void become_program(const char *program, int from)
{
	sigset_t none;

	if (fork())
		_exit(0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(from, STDIN_FILENO) >= 0)
		execlp(program, program, NULL);
	fprintf(stderr, "bulkhead-gui-agent: %s: %s\n", program, strerror(errno));
	_exit(127);
}

void icons_start(struct agent *agent, const char *program)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC)) {
		agent_log("%s: %s", program, strerror(errno));
		return;
	}
	child = fork();
	if (!child)
		become_program(program, ends[0]);
	close(ends[0]);
	/* Lines that do not fit are left out: a window without an icon harms nobody. */
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	if (child > 0) {
		agent->icons_fd = ends[1];
		return;
	}
	agent_log("%s: %s", program, strerror(errno));
	close(ends[1]);
}

void icons_tell(struct agent *agent, const struct window *window)
{
	char line[160];
	int length, i;

	if (agent->icons_fd < 0 || window->override_redirect || window->docked)
		return;
	length = snprintf(line, sizeof(line), "%u %u %.64s", window->id, window->x11_window,
			  window->class.class_name);
	for (i = 0; i < length; i++)
		if (line[i] == '\n')
			line[i] = '_';
	line[length++] = '\n';
	if (write(agent->icons_fd, line, (size_t)length) >= 0 || errno == EAGAIN)
		return;
	agent_log("icons of windows are not sent any more: their program has ended");
	icons_finish(agent);
}

void icons_finish(struct agent *agent)
{
	if (agent->icons_fd >= 0)
		close(agent->icons_fd);
	agent->icons_fd = -1;
}
