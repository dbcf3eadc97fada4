// SPDX-License-Identifier: GPL-2.0-or-later
// Unix sockets at a path.
#define _GNU_SOURCE
#include "socket.h"

#include <errno.h>
#include <stdbool.h>
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

int socket_listen(const char *path, unsigned int mode)
{
	struct sockaddr_un address;
	int fd, error;

	if (!address_of(path, &address))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	unlink(path);
	/* The mode is set before there is anybody to accept. */
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) && !chmod(path, mode) &&
	    !listen(fd, SOMAXCONN))
		return fd;
	error = errno;
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
