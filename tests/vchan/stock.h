/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The API of libvchan over Debian's libxenvchan, as far as vchan-echo needs it: the peer to test against and to beat. */
#ifndef TEST_VCHAN_STOCK_H
#define TEST_VCHAN_STOCK_H

#include <libxenvchan.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xen/sys/evtchn.h>
#include <xenstore.h>

#define VCHAN_DISCONNECTED 0
#define VCHAN_CONNECTED	   1
#define VCHAN_WAITING	   2

typedef struct libxenvchan libvchan_t;

struct libvchan_stats {
	uint64_t bytes_read, bytes_written, events_sent, events_taken, sleeps, timeouts;
	uint32_t read_ring, write_ring;
};

static inline void stock_path(char *path, size_t size, int server, int client, int port)
{
	struct xs_handle *xs = xs_open(0);
	unsigned length;
	char *own = xs ? xs_read(xs, XBT_NULL, "domid", &length) : NULL;
	int self = own ? atoi(own) : 0;

	free(own);
	if (xs)
		xs_close(xs);
	snprintf(path, size, "/local/domain/%d/data/vchan/%d/%d", server < 0 ? self : server,
		 client < 0 ? self : client, port);
}

static inline libvchan_t *libvchan_server_init_uri(const char *uri, int domain, int port,
						   size_t read_min, size_t write_min)
{
	libvchan_t *ctrl;
	char path[96];

	(void)uri;
	stock_path(path, sizeof(path), -1, domain, port);
	ctrl = libxenvchan_server_init(NULL, domain, path, read_min, write_min);
	if (ctrl)
		ctrl->blocking = 1;
	return ctrl;
}

/* That library does not wait for the server: try until it is there. */
static inline libvchan_t *libvchan_client_init_uri(const char *uri, int domain, int port)
{
	libvchan_t *ctrl = NULL;
	char path[96];
	int tries;

	(void)uri;
	stock_path(path, sizeof(path), domain, -1, port);
	for (tries = 0; !ctrl && tries < 600; tries++) {
		if (tries)
			usleep(100000);
		ctrl = libxenvchan_client_init(NULL, domain, path);
	}
	if (ctrl)
		ctrl->blocking = 1;
	return ctrl;
}

#define libvchan_read	       libxenvchan_read
#define libvchan_write	       libxenvchan_write
#define libvchan_recv	       libxenvchan_recv
#define libvchan_send	       libxenvchan_send
#define libvchan_wait	       libxenvchan_wait
#define libvchan_is_open       libxenvchan_is_open
#define libvchan_fd_for_select libxenvchan_fd_for_select
#define libvchan_close	       libxenvchan_close
#define libvchan_buffer_space  libxenvchan_buffer_space

/* It counts nothing: what it asks the kernel for is counted in its place. The linker puts this before the real one. */
static uint64_t stock_events;

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	stock_events += request == IOCTL_EVTCHN_NOTIFY;
	return __real_ioctl(fd, request, argument);
}

static inline void libvchan_get_stats(const libvchan_t *ctrl, struct libvchan_stats *ret_stats,
				      size_t size)
{
	memset(ret_stats, 0, size);
	ret_stats->events_sent = stock_events;
	ret_stats->read_ring = 1u << ctrl->read.order;
	ret_stats->write_ring = 1u << ctrl->write.order;
}

static inline void libvchan_set_blocking(libvchan_t *ctrl, bool blocking)
{
	ctrl->blocking = blocking;
}

#endif
