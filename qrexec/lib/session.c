// SPDX-License-Identifier: GPL-2.0-or-later
// Sessions of users: a file for each one that is up, with what its programs have in their environment.
#define _GNU_SOURCE
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define SESSION_FILE_MAX 16384

/* Opens the file of a session. Everybody may make one there, so it has to be the user's own, or root's. */
static int open_session(const char *dir, const char *user)
{
	const struct passwd *entry = getpwnam(user);
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (!entry || snprintf(path, sizeof(path), "%s/%s", dir, user) >= (int)sizeof(path))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    (st.st_uid == 0 || st.st_uid == entry->pw_uid))
		return fd;
	close(fd);
	return -1;
}

static bool has_session(const char *dir, const char *user)
{
	int fd = open_session(dir, user);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool service_wait_session(const char *dir, const char *user, libvchan_t *vchan)
{
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd p[] = {{watch, POLLIN, 0},
			     {vchan ? libvchan_fd_for_select(vchan) : -1, POLLIN, 0}};
	char events[4096];
	bool there = false;

	/* The watch before the look: what comes between them is seen. */
	if (watch < 0 ||
	    inotify_add_watch(watch, dir, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ATTRIB) < 0) {
		if (watch >= 0)
			close(watch);
		return has_session(dir, user);
	}
	while (!(there = has_session(dir, user))) {
		if (vchan && libvchan_is_open(vchan) == VCHAN_DISCONNECTED)
			break;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		while (read(watch, events, sizeof(events)) > 0)
			continue;
		if (p[1].revents)
			libvchan_wait(vchan);
	}
	close(watch);
	return there;
}

static void take_variable(char *line)
{
	static const char *const names[] = {
		"DISPLAY",
		"WAYLAND_DISPLAY",
		"XAUTHORITY",
		"XDG_RUNTIME_DIR",
		"XDG_SESSION_TYPE",
		"XDG_CURRENT_DESKTOP",
		"DBUS_SESSION_BUS_ADDRESS",
		"LANG",
	};
	char *value = strchr(line, '=');

	if (!value)
		return;
	*value++ = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(line, names[i]))
			setenv(line, value, 1);
}

void service_take_session(const char *dir, const char *user)
{
	char text[SESSION_FILE_MAX + 1], *rest = text, *line;
	int fd = open_session(dir, user);
	ssize_t length;

	if (fd < 0)
		return;
	length = read(fd, text, SESSION_FILE_MAX);
	close(fd);
	if (length < 0)
		return;
	text[length] = '\0';
	while ((line = strsep(&rest, "\n")))
		take_variable(line);
}
