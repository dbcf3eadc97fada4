/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unix sockets at a path. */
#ifndef QREXEC_SOCKET_H
#define QREXEC_SOCKET_H

#include <sys/socket.h>

/* Listens at a path, in place of what is there; the descriptor does not block. -1: errno. */
int socket_listen(const char *path, unsigned int mode);
/* Connects to one; flags: SOCK_NONBLOCK or 0. -1: errno. */
int socket_connect(const char *path, int flags);

#endif
