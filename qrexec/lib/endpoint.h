/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes over a vchan or a Unix socket, whichever there is; neither waits. */
#ifndef QREXEC_ENDPOINT_H
#define QREXEC_ENDPOINT_H

#include <sys/types.h>

#include "../../vchan/libvchan.h"

/* How many bytes; -EAGAIN: not now, or there is neither of the two; -EPIPE: the other end is gone. The vchan does not block. */
ssize_t endpoint_read(libvchan_t *vchan, int fd, void *data, size_t size);
ssize_t endpoint_write(libvchan_t *vchan, int fd, const void *data, size_t size);

#endif
