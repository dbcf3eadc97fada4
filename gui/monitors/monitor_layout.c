// SPDX-License-Identifier: GPL-2.0-or-later
// gui-monitor-layout: in the user's session on dom0's screen, tells running qubes which monitors there are.
#define _GNU_SOURCE
#include "../../qrexec/policy/world.h"

#include <X11/Xlib.h>
#include <X11/extensions/Xrandr.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QUBES_MAX     512
#define LIST	      "qubes.list"
#define MONITORS_MAX  16   /* an agent takes no more */
#define TEXT_SIZE     1024 /* for MONITORS_MAX lines */
/* A call that fails, as the qube is not ready, is repeated after so many seconds, so often. */
#define AGAIN_SECONDS 5
#define TRIES_MAX     12
#define NO_SERVICE    127

static const char call[] = "DEFAULT:QUBESRPC qubes.SetMonitorLayout dom0";

struct qube {
	bool used, wanted;
	char name[WORLD_NAME_SIZE];
	int domain;
	pid_t pid; /* of the call; 0: there is none */
	unsigned int tries;
	time_t again;
	/* What it knows, and what it is being told. */
	char told[TEXT_SIZE], telling[TEXT_SIZE];
};

static struct state {
	const char *run, *program;
	Display *display;
	Window root;
	struct qube qubes[QUBES_MAX];
	char layout[TEXT_SIZE];
	bool alone; /* one monitor, all of the screen: what agents hear of the gui-daemon */
} state;

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

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
	for (i = 0; i < QUBES_MAX; i++)
		state.qubes[i].tries = 0;
}

static struct qube *find(const struct world_qube *wanted)
{
	for (size_t i = 0; i < QUBES_MAX; i++) {
		struct qube *qube = &state.qubes[i];

		if (qube->used && qube->domain == wanted->domid &&
		    !strcmp(qube->name, wanted->name))
			return qube;
	}
	return NULL;
}

static void want(const struct world_qube *wanted)
{
	struct qube *qube = find(wanted);

	for (size_t i = 0; i < QUBES_MAX && !qube; i++)
		if (!state.qubes[i].used && !state.qubes[i].pid) {
			qube = &state.qubes[i];
			*qube = (struct qube){.used = true, .domain = wanted->domid};
			snprintf(qube->name, sizeof(qube->name), "%s", wanted->name);
			/* The gui-daemon tells the size of the screen to each agent that connects. */
			if (state.alone)
				strcpy(qube->told, state.layout);
		}
	if (qube)
		qube->wanted = true;
}

/* A list that cannot be read changes nothing. */
static void read_list(void)
{
	char path[PATH_MAX];
	unsigned int line = 0;
	struct world *world;

	snprintf(path, sizeof(path), "%s/" LIST, state.run);
	world = world_load(path, &line);
	if (!world) {
		if (errno != ENOENT)
			fprintf(stderr, "gui-monitor-layout: %s:%u: %s\n", path, line,
				strerror(errno));
		return;
	}
	for (size_t i = 0; i < QUBES_MAX; i++)
		state.qubes[i].wanted = false;
	for (size_t i = 0; i < world_count(world); i++) {
		const struct world_qube *qube = world_at(world, i);

		/* Those that have a gui-daemon, see qube-session(1). */
		if (qube->domid > 0 && *qube->label)
			want(qube);
	}
	world_destroy(world);
	for (size_t i = 0; i < QUBES_MAX; i++)
		state.qubes[i].used = state.qubes[i].wanted;
}

static void become_call(const struct qube *qube, int from)
{
	int null = open("/dev/null", O_WRONLY);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null >= 0 && dup2(from, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0)
		execlp(state.program, "qrexec-client", "--socket-dir", state.run, "-d", qube->name,
		       call, NULL);
	fprintf(stderr, "gui-monitor-layout: %s: %s\n", state.program, strerror(errno));
	_exit(EXIT_FAILURE);
}

static void tell(struct qube *qube)
{
	size_t length = strlen(state.layout);
	pid_t pid = -1;
	int ends[2];

	qube->again = now() + AGAIN_SECONDS;
	qube->tries++;
	if (pipe2(ends, O_CLOEXEC))
		return;
	strcpy(qube->telling, state.layout);
	/* It fits into a pipe: nobody has to wait for the reader. */
	if (write(ends[1], state.layout, length) == (ssize_t)length)
		pid = fork();
	if (pid == 0)
		become_call(qube, ends[0]);
	if (pid > 0)
		qube->pid = pid;
	close(ends[0]);
	close(ends[1]);
}

static void ended(struct qube *qube, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;

	qube->pid = 0;
	/* A qube without the service, as one with Windows, is left alone. */
	if (code == 0 || code == NO_SERVICE)
		strcpy(qube->told, qube->telling);
	else if (qube->tries >= TRIES_MAX)
		fprintf(stderr, "gui-monitor-layout: %s does not take the layout of monitors: %d\n",
			qube->name, code);
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < QUBES_MAX; i++)
			if (state.qubes[i].pid == pid)
				ended(&state.qubes[i], status);
}

/* Starts what is due; returns milliseconds to the next that will be, or -1. */
static int start_due(void)
{
	int timeout = -1;

	for (size_t i = 0; i < QUBES_MAX; i++) {
		struct qube *qube = &state.qubes[i];

		if (!qube->used || qube->pid || qube->tries >= TRIES_MAX ||
		    !strcmp(qube->told, state.layout))
			continue;
		if (!qube->tries || now() >= qube->again)
			tell(qube);
		else
			timeout = 1000;
	}
	return timeout;
}

static void take_events(int event_base)
{
	bool changed = false;
	XEvent event;

	while (XPending(state.display)) {
		XNextEvent(state.display, &event);
		changed = changed || event.type == event_base + RRScreenChangeNotify ||
			  event.type == event_base + RRNotify || event.type == ConfigureNotify;
		XRRUpdateConfiguration(&event);
	}
	if (changed)
		read_monitors();
}

static int run(int watch, int signals, int event_base)
{
	struct pollfd p[] = {{watch, POLLIN, 0},
			     {signals, POLLIN, 0},
			     {ConnectionNumber(state.display), POLLIN, 0}};
	struct signalfd_siginfo info;
	char events[4096];

	read_monitors();
	read_list();
	for (;;) {
		take_events(event_base);
		if (poll(p, 3, start_due()) < 0 && errno != EINTR)
			return 1;
		if (p[1].revents && read(signals, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGCHLD)
				return 0;
			reap();
		}
		/* What has happened there does not matter: the list is read anew. */
		if (p[0].revents && read(watch, events, sizeof(events)) > 0)
			read_list();
	}
}

static int open_display(int *ret_event_base)
{
	int error_base, major = 0, minor = 0;

	state.display = XOpenDisplay(NULL);
	if (!state.display) {
		fputs("gui-monitor-layout: cannot open the display: is DISPLAY right?\n", stderr);
		return -1;
	}
	if (!XRRQueryExtension(state.display, ret_event_base, &error_base) ||
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

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"run", required_argument, NULL, 'r'},
					      {"qrexec-client", required_argument, NULL, 'c'},
					      {NULL, 0, NULL, 0}};
	int option, watch, signals, event_base;
	sigset_t set;

	state.run = "/run/qubes";
	state.program = "qrexec-client";
	while ((option = getopt_long(argc, argv, "r:c:", longs, NULL)) != -1)
		if (option == 'r') {
			state.run = optarg;
		} else if (option == 'c') {
			state.program = optarg;
		} else {
			fputs("usage: gui-monitor-layout [--run DIR] [--qrexec-client PROGRAM]\n",
			      stderr);
			return 2;
		}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	watch = inotify_init1(IN_CLOEXEC);
	/* The list is replaced, not written: the directory is what changes. */
	if (signals < 0 || watch < 0 || inotify_add_watch(watch, state.run, IN_MOVED_TO) < 0) {
		fprintf(stderr, "gui-monitor-layout: %s: %s\n", state.run, strerror(errno));
		return 1;
	}
	if (open_display(&event_base))
		return 1;
	return run(watch, signals, event_base);
}
