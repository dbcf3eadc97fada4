// SPDX-License-Identifier: GPL-2.0-or-later
// The functions of libvchan that qrexec uses, on a buffer.
#include "fake_vchan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING 65536

struct libvchan {
	const uint8_t *data;
	size_t at, size, step, shown, written;
	int fd;
	uint8_t ring[RING];
};

libvchan_t *fake_vchan_open(const uint8_t *data, size_t size, size_t step)
{
	libvchan_t *ctrl = calloc(1, sizeof(*ctrl));

	if (!ctrl)
		abort();
	ctrl->data = data;
	ctrl->size = size;
	ctrl->step = step;
	ctrl->fd = eventfd(1, EFD_CLOEXEC); /* always something to look at */
	return ctrl;
}

size_t fake_vchan_written(const libvchan_t *ctrl)
{
	return ctrl->written;
}

static int gone(void)
{
	errno = EPIPE;
	return -1;
}

static size_t ready(const libvchan_t *ctrl)
{
	size_t left = ctrl->size - ctrl->at;

	return left < ctrl->step ? left : ctrl->step;
}

int libvchan_read(libvchan_t *ctrl, void *data, size_t size)
{
	size_t n = size < ready(ctrl) ? size : ready(ctrl);

	if (!n)
		return size ? gone() : 0;
	memcpy(data, ctrl->data + ctrl->at, n);
	ctrl->at += n;
	return (int)n;
}

int libvchan_recv(libvchan_t *ctrl, void *data, size_t size)
{
	if (size > ctrl->size - ctrl->at)
		return gone();
	memcpy(data, ctrl->data + ctrl->at, size);
	ctrl->at += size;
	return (int)size;
}

int libvchan_peek(libvchan_t *ctrl, struct libvchan_piece pieces[2], size_t least, size_t most)
{
	size_t n = most < ready(ctrl) ? most : ready(ctrl);

	if (n < least)
		return gone();
	/* Copies of exactly this size would be found to be overrun; the pieces lie in the input. */
	pieces[0] = (struct libvchan_piece){(void *)(ctrl->data + ctrl->at), n - n / 2};
	pieces[1] = (struct libvchan_piece){(void *)(ctrl->data + ctrl->at + n - n / 2), n / 2};
	ctrl->shown = n;
	return (int)n;
}

int libvchan_consume(libvchan_t *ctrl, size_t size)
{
	if (size > ctrl->shown)
		abort();
	ctrl->shown -= size;
	ctrl->at += size;
	return 0;
}

int libvchan_reserve(libvchan_t *ctrl, struct libvchan_piece pieces[2], size_t least, size_t most)
{
	size_t n = most < RING ? most : RING;

	if (least > RING)
		abort();
	pieces[0] = (struct libvchan_piece){ctrl->ring + RING - (n - n / 2), n - n / 2};
	pieces[1] = (struct libvchan_piece){ctrl->ring, n / 2};
	return (int)n;
}

int libvchan_commit(libvchan_t *ctrl, size_t size)
{
	ctrl->written += size;
	return 0;
}

int libvchan_send(libvchan_t *ctrl, const void *data, size_t size)
{
	if (size > RING)
		abort();
	memcpy(ctrl->ring, data, size);
	ctrl->written += size;
	return (int)size;
}

int libvchan_write(libvchan_t *ctrl, const void *data, size_t size)
{
	return libvchan_send(ctrl, data, size < RING ? size : RING);
}

int libvchan_wait(libvchan_t *ctrl)
{
	(void)ctrl;
	return 0;
}

EVTCHN libvchan_fd_for_select(libvchan_t *ctrl)
{
	return ctrl->fd;
}

int libvchan_is_open(libvchan_t *ctrl)
{
	return ctrl->at < ctrl->size ? VCHAN_CONNECTED : VCHAN_DISCONNECTED;
}

int libvchan_data_ready(libvchan_t *ctrl)
{
	return (int)ready(ctrl);
}

int libvchan_buffer_space(libvchan_t *ctrl)
{
	(void)ctrl;
	return RING;
}

void libvchan_set_blocking(libvchan_t *ctrl, bool blocking)
{
	(void)ctrl;
	(void)blocking;
}

void libvchan_get_stats(const libvchan_t *ctrl, struct libvchan_stats *ret_stats, size_t size)
{
	struct libvchan_stats stats = {.bytes_read = ctrl->at,
				       .read_ring = RING,
				       .write_ring = RING};

	memcpy(ret_stats, &stats, size < sizeof(stats) ? size : sizeof(stats));
}

/* There is nobody to meet. */
libvchan_t *libvchan_server_init(int domain, int port, size_t read_min, size_t write_min)
{
	(void)domain;
	(void)port;
	(void)read_min;
	(void)write_min;
	errno = ENOSYS;
	return NULL;
}

libvchan_t *libvchan_client_init_async(int domain, int port, EVTCHN *watch_fd)
{
	(void)watch_fd;
	return libvchan_server_init(domain, port, 0, 0);
}

int libvchan_client_init_async_finish(libvchan_t *ctrl, bool blocking)
{
	(void)ctrl;
	(void)blocking;
	return -1;
}

void libvchan_close(libvchan_t *ctrl)
{
	if (!ctrl)
		return;
	close(ctrl->fd);
	free(ctrl);
}
