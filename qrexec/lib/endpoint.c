// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes over a vchan or a Unix socket.
#include "endpoint.h"

#include <errno.h>
#include <sys/socket.h>

ssize_t endpoint_read(libvchan_t *vchan, int fd, void *data, size_t size)
{
	ssize_t n;

	if (vchan) {
		n = libvchan_read(vchan, data, size);
		return n > 0 ? n : n == 0 ? -EAGAIN : -EPIPE;
	}
	if (fd < 0)
		return -EAGAIN;
	do
		n = recv(fd, data, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n > 0 ? n : n < 0 && errno == EAGAIN ? -EAGAIN : -EPIPE;
}

ssize_t endpoint_write(libvchan_t *vchan, int fd, const void *data, size_t size)
{
	ssize_t n;

	if (vchan) {
		n = libvchan_write(vchan, data, size);
		return n > 0 ? n : n == 0 ? -EAGAIN : -EPIPE;
	}
	if (fd < 0)
		return -EAGAIN;
	do
		n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n > 0 ? n : n < 0 && errno == EAGAIN ? -EAGAIN : -EPIPE;
}
