// SPDX-License-Identifier: GPL-2.0-or-later
// Unix sockets at a path.
#define _GNU_SOURCE
#include "socket.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool address_of(const char *path, struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret_address->sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	strcpy(ret_address->sun_path, path);
	return true;
}

static bool give_to(const char *path, const char *name)
{
	const struct group *group = name ? getgrnam(name) : NULL;

	/* Only root, and members of the group, can. */
	return !group || !chown(path, (uid_t)-1, group->gr_gid) || errno == EPERM;
}

int socket_listen(const char *path, unsigned int mode, const char *group)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct sockaddr_un address;
	char new_path[PATH_MAX];
	int fd, error;

	/* No other program's name begins with a dot. */
	if (snprintf(new_path, sizeof(new_path), "%.*s.%s", (int)(name - path), path, name) >=
		    (int)sizeof(new_path) ||
	    !address_of(new_path, &address)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	unlink(new_path);
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) && !chmod(new_path, mode) &&
	    give_to(new_path, group) && !listen(fd, SOMAXCONN) && !rename(new_path, path))
		return fd;
	error = errno;
	unlink(new_path);
	close(fd);
	errno = error;
	return -1;
}

int socket_connect(const char *path, int flags)
{
	struct sockaddr_un address;
	int fd, error;

	if (!address_of(path, &address))
		return -1;
	/* Without waiting for a full queue, a Unix socket connects at once or fails at once. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		error = errno;
		close(fd);
		errno = error;
		fd = -1;
	}
	return fd;
}
