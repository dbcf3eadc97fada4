/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unix sockets at a path. */
#ifndef QREXEC_SOCKET_H
#define QREXEC_SOCKET_H

#include <sys/socket.h>

/*
 * Listens at a path, in place of what is there, which is done in one step: whoever finds it can connect. group: by name, whose it
 * shall be, if there is such a group and we may give it away; NULL: ours. The descriptor does not block. -1: errno.
 */
int socket_listen(const char *path, unsigned int mode, const char *group);
/* Connects to one; flags: SOCK_NONBLOCK or 0. -1: errno. */
int socket_connect(const char *path, int flags);

#endif
