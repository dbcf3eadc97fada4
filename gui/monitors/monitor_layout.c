// SPDX-License-Identifier: GPL-2.0-or-later
// gui-monitor-layout: in the user's session on dom0's screen, tells running qubes which monitors there are.
#define _GNU_SOURCE
#include "../../qrexec/follow/follow.h"

#include <X11/Xlib.h>
#include <X11/extensions/Xrandr.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MONITORS_MAX 16	  /* an agent takes no more */
#define TEXT_SIZE    1024 /* for MONITORS_MAX lines */
/*
 * A call that fails, as the qube is not ready, is repeated after so many milliseconds, then more and more seldom: its agent may
 * come late. After so many of them that is said.
 */
#define AGAIN	     5000
#define AGAIN_MAX    60000
#define TRIES_TOLD   12
#define NO_SERVICE   127

static const char call[] = "DEFAULT:QUBESRPC qubes.SetMonitorLayout dom0";

/* What a qube knows, and what it is being told. */
struct knowledge {
	char told[TEXT_SIZE], telling[TEXT_SIZE];
	unsigned int failed; /* calls in a row */
};

static struct state {
	const char *run, *program;
	Display *display;
	Window root;
	int event_base;
	char layout[TEXT_SIZE];
	bool alone; /* one monitor, all of the screen: what agents hear of the gui-daemon */
	struct follow *follow;
} state;

/* The lines of the service's request. Sizes in millimetres are left out: a qube has no use for them. */
static void read_monitors(void)
{
	XWindowAttributes root;
	XRRMonitorInfo *monitors;
	int count = 0, i;
	size_t length = 0;

	XGetWindowAttributes(state.display, state.root, &root);
	monitors = XRRGetMonitors(state.display, state.root, True, &count);
	if (count > MONITORS_MAX)
		count = MONITORS_MAX;
	state.alone = count < 1 ||
		      (count == 1 && !monitors[0].x && !monitors[0].y &&
		       monitors[0].width == root.width && monitors[0].height == root.height);
	if (state.alone)
		snprintf(state.layout, sizeof(state.layout), "%d %d 0 0\n", root.width,
			 root.height);
	for (i = 0; i < count && !state.alone; i++)
		length += (size_t)snprintf(state.layout + length, sizeof(state.layout) - length,
					   "%d %d %d %d\n", monitors[i].width, monitors[i].height,
					   monitors[i].x, monitors[i].y);
	XRRFreeMonitors(monitors);
}

static void comes(void *data, struct follow_qube *qube)
{
	struct knowledge *known = calloc(1, sizeof(*known));

	(void)data;
	/* The gui-daemon tells the size of the screen to each agent that connects. */
	if (known && state.alone)
		strcpy(known->told, state.layout);
	qube->own = known;
}

static void goes(void *data, struct follow_qube *qube)
{
	(void)data;
	free(qube->own);
}

static bool wants(void *data, const struct follow_qube *qube)
{
	const struct knowledge *known = qube->own;

	(void)data;
	return known && strcmp(known->told, state.layout);
}

static void become_call(const struct follow_qube *qube, int from)
{
	int null = open("/dev/null", O_WRONLY);

	if (null >= 0 && dup2(from, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0)
		execlp(state.program, "qrexec-client", "--no-error", "--socket-dir", state.run,
		       "-d", qube->name, call, NULL);
	fprintf(stderr, "gui-monitor-layout: %s: %s\n", state.program, strerror(errno));
	_exit(EXIT_FAILURE);
}

static pid_t tell(void *data, struct follow_qube *qube)
{
	struct knowledge *known = qube->own;
	size_t length = strlen(state.layout);
	pid_t pid = -EIO;
	int ends[2];

	(void)data;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	strcpy(known->telling, state.layout);
	/* It fits into a pipe: nobody has to wait for the reader. */
	if (write(ends[1], state.layout, length) == (ssize_t)length)
		pid = follow_fork();
	if (pid == 0)
		become_call(qube, ends[0]);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static void ended(void *data, struct follow_qube *qube, int status, bool last)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
	struct knowledge *known = qube->own;

	(void)data;
	(void)last;
	/* A qube without the service, as one with Windows, is left alone. */
	if (code == 0 || code == NO_SERVICE) {
		strcpy(known->told, known->telling);
		known->failed = 0;
	} else if (++known->failed == TRIES_TOLD) {
		fprintf(stderr,
			"gui-monitor-layout: %s does not take the layout of monitors: %d; it is asked again from time to time\n",
			qube->name, code);
	}
}

static void take_events(void *data)
{
	bool changed = false;
	XEvent event;

	(void)data;
	while (XPending(state.display)) {
		XNextEvent(state.display, &event);
		changed = changed || event.type == state.event_base + RRScreenChangeNotify ||
			  event.type == state.event_base + RRNotify ||
			  event.type == ConfigureNotify;
		XRRUpdateConfiguration(&event);
	}
	if (changed) {
		read_monitors();
		follow_anew(state.follow);
	}
}

static int open_display(void)
{
	int error_base, major = 0, minor = 0;

	state.display = XOpenDisplay(NULL);
	if (!state.display) {
		fputs("gui-monitor-layout: cannot open the display: is DISPLAY right?\n", stderr);
		return -1;
	}
	if (!XRRQueryExtension(state.display, &state.event_base, &error_base) ||
	    !XRRQueryVersion(state.display, &major, &minor) ||
	    (major < 2 && !(major == 1 && minor >= 5))) {
		fputs("gui-monitor-layout: the display has no RandR 1.5\n", stderr);
		return -1;
	}
	state.root = DefaultRootWindow(state.display);
	XSelectInput(state.display, state.root, StructureNotifyMask);
	XRRSelectInput(state.display, state.root,
		       RRScreenChangeNotifyMask | RRCrtcChangeNotifyMask |
			       RROutputChangeNotifyMask);
	return 0;
}

static int usage(FILE *to)
{
	fputs("usage: gui-monitor-layout [--run DIR] [--qrexec-client PROGRAM]\n", to);
	return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"run", required_argument, NULL, 'r'},
					      {"qrexec-client", required_argument, NULL, 'c'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	struct follow_calls calls = {comes, goes, wants, tell, ended, take_events, -1};
	struct follow_options options = {"gui-monitor-layout", NULL, AGAIN, 0, AGAIN_MAX};
	int option, rc;

	state.run = "/run/qubes";
	state.program = "qrexec-client";
	while ((option = getopt_long(argc, argv, "r:c:h", longs, NULL)) != -1)
		if (option == 'r') {
			state.run = optarg;
		} else if (option == 'c') {
			state.program = optarg;
		} else {
			return usage(option == 'h' ? stdout : stderr);
		}
	if (optind < argc)
		return usage(stderr);
	if (open_display())
		return 1;
	read_monitors();
	options.dir = state.run;
	calls.fd = ConnectionNumber(state.display);
	rc = follow_create(&state.follow, &options, &calls, NULL);
	if (!rc) {
		rc = follow_run(state.follow);
		follow_destroy(state.follow);
	}
	if (rc)
		fprintf(stderr, "gui-monitor-layout: %s: %s\n", state.run, strerror(-rc));
	return rc ? 1 : 0;
}
