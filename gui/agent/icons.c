// SPDX-License-Identifier: GPL-2.0-or-later
// The program that sends the icons of windows, and which is started anew when it has ended.
#include "icons.h"
#include "agent.h"
#include "window.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Between its end and its next start, in ms; twice as long after each that did not live for the last of them. When that
 * is over the call is refused, and asking on would only annoy the user of the GUI domain.
 */
#define DELAY_FIRST 500u
#define DELAY_LAST  4000u

struct icons {
	struct agent *agent;
	char *program;
	int fd; /* its standard input; -1: it does not run */
	struct wl_event_source *end, *timer;
	uint32_t started, delay; /* ms */
};

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

/* The descriptor that it is told by, or -errno. */
static int run_program(const char *program)
{
	int ends[2], rc;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (!child)
		become_program(program, ends[0]);
	rc = -errno;
	close(ends[0]);
	if (child < 0) {
		close(ends[1]);
		return rc;
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	/* Lines that do not fit are left out: a window without an icon harms nobody. */
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	return ends[1];
}

static void forget(struct icons *icons)
{
	if (icons->end)
		wl_event_source_remove(icons->end);
	icons->end = NULL;
	if (icons->fd >= 0)
		close(icons->fd);
	icons->fd = -1;
}

/* Nobody reads any more: it has ended. */
static int handle_end(int fd, uint32_t mask, void *data)
{
	struct icons *icons = data;

	(void)fd;
	(void)mask;
	forget(icons);
	if (agent_now() - icons->started > DELAY_LAST)
		icons->delay = DELAY_FIRST;
	if (icons->delay > DELAY_LAST) {
		agent_log("%s has ended again and again: windows have no icons until the daemon "
			  "connects anew; is qubes.WindowIconUpdater allowed?",
			  icons->program);
		return 0;
	}
	wl_event_source_timer_update(icons->timer, (int)icons->delay);
	icons->delay *= 2;
	return 0;
}

static void start(struct icons *icons)
{
	struct window *window;
	int fd = run_program(icons->program);

	if (fd < 0) {
		agent_log("%s: %s", icons->program, strerror(-fd));
		return;
	}
	icons->fd = fd;
	icons->started = agent_now();
	/* No event but that there is no reader is asked for. */
	icons->end = wl_event_loop_add_fd(icons->agent->loop, fd, 0, handle_end, icons);
	wl_list_for_each(window, &icons->agent->windows, link)
	{
		if (window->shown)
			icons_tell(icons->agent, window);
	}
}

static int handle_timer(void *data)
{
	struct icons *icons = data;

	if (icons->fd < 0)
		start(icons);
	return 0;
}

void icons_start(struct agent *agent, const char *program)
{
	struct icons *icons = calloc(1, sizeof(*icons));

	if (icons) {
		icons->agent = agent;
		icons->fd = -1;
		icons->delay = DELAY_FIRST;
		icons->program = strdup(program);
		icons->timer = wl_event_loop_add_timer(agent->loop, handle_timer, icons);
	}
	agent->icons = icons;
	if (!icons || !icons->program || !icons->timer) {
		agent_log("no memory for icons");
		icons_finish(agent);
		return;
	}
	start(icons);
}

void icons_connected(struct agent *agent)
{
	struct icons *icons = agent->icons;

	if (!icons || icons->fd >= 0)
		return;
	icons->delay = DELAY_FIRST;
	wl_event_source_timer_update(icons->timer, DELAY_FIRST);
}

void icons_tell(struct agent *agent, const struct window *window)
{
	char line[160];
	int length, i;

	if (!agent->icons || agent->icons->fd < 0 || window->override_redirect || window->docked)
		return;
	length = snprintf(line, sizeof(line), "%u %u %.64s", window->id, window->x11_window,
			  window->class.class_name);
	for (i = 0; i < length; i++)
		if (line[i] == '\n')
			line[i] = '_';
	line[length++] = '\n';
	/* That it has ended is seen from the descriptor. */
	if (write(agent->icons->fd, line, (size_t)length) < 0 && errno != EAGAIN && errno != EPIPE)
		agent_log("%s: %s", agent->icons->program, strerror(errno));
}

void icons_finish(struct agent *agent)
{
	struct icons *icons = agent->icons;

	if (!icons)
		return;
	agent->icons = NULL;
	forget(icons);
	if (icons->timer)
		wl_event_source_remove(icons->timer);
	free(icons->program);
	free(icons);
}
