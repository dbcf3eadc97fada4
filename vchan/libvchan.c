// SPDX-License-Identifier: LGPL-2.1-or-later
// The API over any transport: when to copy, when to ask for events, when to sleep.
#include "internal.h"
#include "atomic.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static int failure(int error)
{
	errno = error < 0 ? -error : error;
	return -1;
}

/* A client has none before it is connected. */
static bool has_rings(const struct libvchan *ctrl)
{
	return ctrl->shm.rd.size != 0;
}

/* What can be known without a system call, of a handle with rings. A peer that is not there yet counts as open. */
static bool is_open(const struct libvchan *ctrl)
{
	return ctrl->state != VCHAN_STATE_DEAD &&
	       vchan_load(ctrl->shm.peer_live) != VCHAN_LIVE_GONE;
}

static void notify(struct libvchan *ctrl)
{
	/* It fails only when the peer is gone, and then nobody waits for it. */
	ctrl->stats.events_sent++;
	ctrl->transport->notify(ctrl);
}

/* Sleeps for an event or until asking for so much was wrong. */
static int sleep_for(struct libvchan *ctrl, int64_t timeout)
{
	int rc;

	ctrl->stats.sleeps++;
	rc = ctrl->transport->sleep(ctrl, timeout);
	vchan_pace_woken(ctrl, rc == -ETIMEDOUT);
	return rc == -ETIMEDOUT ? 0 : rc;
}

static void count_read(struct libvchan *ctrl, uint32_t n)
{
	ctrl->stats.bytes_read += n;
	ctrl->pace.streamed += n;
	ctrl->peeked = 0;
}

static void count_written(struct libvchan *ctrl, uint32_t n)
{
	ctrl->stats.bytes_written += n;
	/* Whoever answers wants its answer soon. */
	ctrl->pace.streamed = 0;
	ctrl->reserved = 0;
}

static uint32_t copy_out(struct libvchan *ctrl, void *data, uint32_t n)
{
	if (vchan_take(&ctrl->shm, data, n))
		notify(ctrl);
	count_read(ctrl, n);
	return n;
}

static uint32_t copy_in(struct libvchan *ctrl, const void *data, uint32_t n)
{
	if (vchan_put(&ctrl->shm, data, n))
		notify(ctrl);
	count_written(ctrl, n);
	return n;
}

static uint32_t smaller(size_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

/* Does what has become possible. The end of the peer that is noticed here has still to be seen by whoever polls. */
static void look(struct libvchan *ctrl)
{
	bool dead = ctrl->state == VCHAN_STATE_DEAD;

	ctrl->transport->progress(ctrl);
	if (!dead && ctrl->state == VCHAN_STATE_DEAD)
		vchan_pace_expire(ctrl);
}

/* The caller found less than it wants, and is going to wait for an event that a peer that is gone cannot send. */
static void expect_end(struct libvchan *ctrl)
{
	ctrl->gone_reported = false;
	vchan_pace_expire(ctrl);
}

/* Common start of transfers: 0 if there are rings. A server that has no client yet looks for one. */
static int start(struct libvchan *ctrl)
{
	if (!has_rings(ctrl))
		return failure(ENOTCONN);
	if (vchan_load(ctrl->shm.peer_live) == VCHAN_LIVE_WAITING)
		look(ctrl);
	return 0;
}

/*
 * Who can use how much: a transfer of exactly `want` bytes, or of anything from `want` to `desired`, which may be more
 * than a ring: a caller that gets less is going to wait.
 */
struct need {
	uint32_t want, desired;
};

/*
 * Waits, if allowed, until need.want bytes are ready; asks for events where the caller will need one. Returns how
 * many are ready; if that is less than need.want, the handle does not block. -1 if they will never come.
 */
static int64_t await_data(struct libvchan *ctrl, struct need need)
{
	for (;;) {
		/* In this order: what was written before the end counts. */
		bool open = is_open(ctrl);
		uint32_t ready = vchan_ready(&ctrl->shm);
		uint32_t target = ready < need.want ? need.want : ready + 1;
		int64_t timeout = VCHAN_FOREVER;
		int rc;

		if (ready >= need.want && (!ctrl->polled || ready >= need.desired))
			return ready;
		if (!open && ready < need.want)
			return failure(EPIPE);
		if (!open) {
			expect_end(ctrl);
			return ready;
		}
		if (ctrl->blocking && ready < need.want && vchan_pace_linger(ctrl, true, need.want))
			continue;
		target = vchan_pace_data(ctrl, target, &timeout);
		ready = vchan_ask_ready(&ctrl->shm, target);
		if (ready < need.want && vchan_release_writer(&ctrl->shm))
			notify(ctrl);
		if (ctrl->polled)
			vchan_pace_arm(ctrl, timeout);
		if (ready >= need.want || !ctrl->blocking)
			return ready;
		rc = sleep_for(ctrl, timeout);
		if (rc < 0 && is_open(ctrl))
			return failure(rc);
	}
}

/* The same for space in the other ring. Nothing can be written to a peer that is gone. */
static int64_t await_space(struct libvchan *ctrl, struct need need)
{
	while (is_open(ctrl)) {
		uint32_t space = vchan_space(&ctrl->shm);
		uint32_t target = space < need.want ? need.want : space + 1;
		int64_t timeout = VCHAN_FOREVER;
		int rc;

		if (space >= need.want &&
		    (!ctrl->polled || ctrl->blocking || space >= need.desired))
			return space;
		if (ctrl->blocking && vchan_pace_linger(ctrl, false, need.want))
			continue;
		target = vchan_pace_space(ctrl, target, &timeout);
		space = vchan_ask_space(&ctrl->shm, target);
		if (ctrl->polled)
			vchan_pace_arm(ctrl, timeout);
		if (space >= need.want || !ctrl->blocking)
			return space;
		rc = sleep_for(ctrl, timeout);
		if (rc < 0 && is_open(ctrl))
			return failure(rc);
	}
	return failure(EPIPE);
}

int libvchan_read(libvchan_t *ctrl, void *data, size_t size)
{
	int64_t ready;

	if (start(ctrl))
		return -1;
	if (!size)
		return 0;
	ready = await_data(ctrl, (struct need){1, smaller(size, UINT32_MAX)});
	if (ready <= 0)
		return (int)ready;
	return (int)copy_out(ctrl, data, smaller(size, (uint32_t)ready));
}

int libvchan_recv(libvchan_t *ctrl, void *data, size_t size)
{
	int64_t ready;

	if (start(ctrl))
		return -1;
	if (size > ctrl->shm.rd.size)
		return failure(EMSGSIZE);
	if (!size)
		return 0;
	ready = await_data(ctrl, (struct need){(uint32_t)size, (uint32_t)size});
	if (ready < 0)
		return -1;
	return ready < (int64_t)size ? 0 : (int)copy_out(ctrl, data, (uint32_t)size);
}

int libvchan_send(libvchan_t *ctrl, const void *data, size_t size)
{
	int64_t space;

	if (start(ctrl))
		return -1;
	if (size > ctrl->shm.wr.size)
		return failure(EMSGSIZE);
	if (!size)
		return 0;
	space = await_space(ctrl, (struct need){(uint32_t)size, (uint32_t)size});
	if (space < 0)
		return -1;
	return space < (int64_t)size ? 0 : (int)copy_in(ctrl, data, (uint32_t)size);
}

int libvchan_write(libvchan_t *ctrl, const void *data, size_t size)
{
	size_t done = 0;

	if (start(ctrl))
		return -1;
	if (size > INT_MAX)
		size = INT_MAX;
	while (done < size) {
		uint32_t desired = smaller(size - done, UINT32_MAX);
		int64_t space = await_space(ctrl, (struct need){1, desired});

		if (space < 0)
			return -1;
		if (space == 0)
			break;
		done += copy_in(ctrl, (const char *)data + done, smaller(desired, (uint32_t)space));
		if (!ctrl->blocking)
			break;
	}
	return (int)done;
}

static int show(const struct vchan_ring *ring, uint32_t n, struct libvchan_piece pieces[2])
{
	pieces[0].size = vchan_pieces(ring, n, &pieces[0].data, &pieces[1].data);
	pieces[1].size = n - pieces[0].size;
	return (int)n;
}

int libvchan_peek(libvchan_t *ctrl, struct libvchan_piece pieces[2], size_t least, size_t most)
{
	int64_t ready;

	if (start(ctrl))
		return -1;
	ctrl->peeked = 0;
	if (least > ctrl->shm.rd.size)
		return failure(EMSGSIZE);
	ready = await_data(ctrl, (struct need){(uint32_t)least, (uint32_t)least});
	if (ready < 0)
		return -1;
	if (ready >= (int64_t)least)
		ctrl->peeked = smaller(most, (uint32_t)ready);
	return show(&ctrl->shm.rd, ctrl->peeked, pieces);
}

int libvchan_consume(libvchan_t *ctrl, size_t size)
{
	uint32_t left;

	if (size > ctrl->peeked)
		return failure(EINVAL);
	if (!size)
		return 0;
	left = ctrl->peeked - (uint32_t)size;
	if (vchan_took(&ctrl->shm, (uint32_t)size))
		notify(ctrl);
	count_read(ctrl, (uint32_t)size);
	ctrl->peeked = left;
	return 0;
}

int libvchan_reserve(libvchan_t *ctrl, struct libvchan_piece pieces[2], size_t least, size_t most)
{
	int64_t space;

	if (start(ctrl))
		return -1;
	ctrl->reserved = 0;
	if (least > ctrl->shm.wr.size)
		return failure(EMSGSIZE);
	space = await_space(ctrl, (struct need){(uint32_t)least, (uint32_t)least});
	if (space < 0)
		return -1;
	if (space >= (int64_t)least)
		ctrl->reserved = smaller(most, (uint32_t)space);
	return show(&ctrl->shm.wr, ctrl->reserved, pieces);
}

int libvchan_commit(libvchan_t *ctrl, size_t size)
{
	uint32_t left;

	if (size > ctrl->reserved)
		return failure(EINVAL);
	if (!size)
		return 0;
	left = ctrl->reserved - (uint32_t)size;
	if (vchan_filled(&ctrl->shm, (uint32_t)size))
		notify(ctrl);
	count_written(ctrl, (uint32_t)size);
	ctrl->reserved = left;
	return 0;
}

int libvchan_wait(libvchan_t *ctrl)
{
	bool open;
	int rc;

	if (!has_rings(ctrl))
		return failure(ENOTCONN);
	open = is_open(ctrl);
	/* Nobody who is gone sends events; those that were sent are taken, so that polling ends. */
	rc = open ? sleep_for(ctrl, vchan_pace_left(ctrl)) : ctrl->transport->sleep(ctrl, 0);
	if (ctrl->pace.deadline)
		vchan_pace_disarm(ctrl);
	if (!open && ctrl->gone_reported)
		return failure(EPIPE);
	if (!is_open(ctrl))
		ctrl->gone_reported = true;
	else if (rc < 0)
		return failure(rc);
	return 0;
}

int libvchan_is_open(libvchan_t *ctrl)
{
	if (!has_rings(ctrl))
		return ctrl->state == VCHAN_STATE_DEAD ? VCHAN_DISCONNECTED : VCHAN_WAITING;
	look(ctrl);
	if (ctrl->state == VCHAN_STATE_DEAD)
		return VCHAN_DISCONNECTED;
	switch (vchan_load(ctrl->shm.peer_live)) {
	case VCHAN_LIVE_GONE:
		return VCHAN_DISCONNECTED;
	case VCHAN_LIVE_WAITING:
		return VCHAN_WAITING;
	default:
		return VCHAN_CONNECTED;
	}
}

int libvchan_data_ready(libvchan_t *ctrl)
{
	int64_t timeout = VCHAN_FOREVER;
	uint32_t ready;
	bool open;

	if (start(ctrl))
		return -1;
	open = is_open(ctrl);
	ready = vchan_ready(&ctrl->shm);
	if (!open) {
		expect_end(ctrl);
	} else if (ready < ctrl->shm.rd.size) {
		/* A full ring cannot get more, whatever the caller waits for. */
		uint32_t target = vchan_pace_data(ctrl, ready + 1, &timeout);
		bool stuck = vchan_pace_stuck(ctrl, ready);

		/* Who finds much in the middle of a stream is going to read it; if not, it looks again in time. */
		if (stuck || timeout < 0 || ready < ctrl->shm.rd.size / 4)
			ready = vchan_ask_ready(&ctrl->shm, target);
		if (stuck && vchan_release_writer(&ctrl->shm))
			notify(ctrl);
		vchan_pace_arm(ctrl, timeout);
	}
	return (int)ready;
}

int libvchan_buffer_space(libvchan_t *ctrl)
{
	int64_t timeout = VCHAN_FOREVER;
	uint32_t space;

	if (start(ctrl))
		return -1;
	space = vchan_space(&ctrl->shm);
	if (!is_open(ctrl)) {
		expect_end(ctrl);
	} else if (space < ctrl->shm.wr.size) {
		space = vchan_ask_space(&ctrl->shm, vchan_pace_space(ctrl, space + 1, &timeout));
		vchan_pace_arm(ctrl, timeout);
	}
	return (int)space;
}

EVTCHN libvchan_fd_for_select(libvchan_t *ctrl)
{
	ctrl->polled = true;
	return ctrl->fd;
}

void libvchan_set_blocking(libvchan_t *ctrl, bool blocking)
{
	ctrl->blocking = blocking;
}

void libvchan_get_stats(const libvchan_t *ctrl, struct libvchan_stats *ret_stats, size_t size)
{
	struct libvchan_stats stats = ctrl->stats;

	if (has_rings(ctrl)) {
		stats.read_ring = ctrl->shm.rd.size;
		stats.write_ring = ctrl->shm.wr.size;
	}
	memcpy(ret_stats, &stats, size < sizeof(stats) ? size : sizeof(stats));
}

static bool arguments_valid(int domain, int port)
{
	return domain >= 0 && domain <= (int)VCHAN_DOMAIN_MAX && port >= 0;
}

static libvchan_t *created(struct libvchan *ctrl, int domain, int port)
{
	ctrl->blocking = true;
	ctrl->order_max = VCHAN_ORDER_PAGE;
	ctrl->pace.timer = -1;
	ctrl->domain = domain;
	ctrl->port = port;
	return ctrl;
}

libvchan_t *libvchan_server_init_uri(const char *text, int domain, int port, size_t read_min,
				     size_t write_min)
{
	struct libvchan *ctrl = NULL;
	struct vchan_uri uri;
	uint16_t left, right;
	int rc = arguments_valid(domain, port) ? vchan_uri_parse(text, &uri) : -EINVAL;

	if (!rc)
		rc = vchan_choose_orders(read_min, write_min, &left, &right);
	if (!rc)
		rc = (uri.local ? vchan_local_server : vchan_xen_server)(&uri, domain, port, left,
									 right, &ctrl);
	if (rc) {
		failure(rc);
		return NULL;
	}
	return created(ctrl, domain, port);
}

libvchan_t *libvchan_server_init(int domain, int port, size_t read_min, size_t write_min)
{
	return libvchan_server_init_uri(NULL, domain, port, read_min, write_min);
}

libvchan_t *libvchan_client_init_async_uri(const char *text, int domain, int port, EVTCHN *watch_fd)
{
	struct libvchan *ctrl = NULL;
	struct vchan_uri uri;
	int rc = arguments_valid(domain, port) ? vchan_uri_parse(text, &uri) : -EINVAL;

	if (!rc)
		rc = (uri.local ? vchan_local_client : vchan_xen_client)(&uri, domain, port, &ctrl);
	if (rc) {
		failure(rc);
		return NULL;
	}
	ctrl->polled = watch_fd != NULL;
	if (watch_fd)
		*watch_fd = ctrl->fd;
	return created(ctrl, domain, port);
}

libvchan_t *libvchan_client_init_async(int domain, int port, EVTCHN *watch_fd)
{
	return libvchan_client_init_async_uri(NULL, domain, port, watch_fd);
}

int libvchan_accept_rings(libvchan_t *ctrl, size_t most)
{
	uint16_t order = VCHAN_ORDER_MAX;

	if (ctrl->server || ctrl->state != VCHAN_STATE_NEW || most > VCHAN_SIZE_MAX ||
	    most < 1u << VCHAN_ORDER_MIN)
		return failure(EINVAL);
	while ((size_t)1 << order > most)
		order--;
	ctrl->order_max = order;
	return 0;
}

int libvchan_client_init_async_finish(libvchan_t *ctrl, bool blocking)
{
	int rc = ctrl->failed;

	if (!rc && ctrl->state == VCHAN_STATE_NEW)
		rc = ctrl->transport->connect(ctrl);
	if (rc < 0) {
		ctrl->failed = rc;
		return failure(rc);
	}
	if (rc == 0)
		ctrl->blocking = blocking;
	return rc;
}

libvchan_t *libvchan_client_init_uri(const char *text, int domain, int port)
{
	libvchan_t *ctrl = libvchan_client_init_async_uri(text, domain, port, NULL);
	int rc;

	if (!ctrl)
		return NULL;
	while ((rc = libvchan_client_init_async_finish(ctrl, true)) > 0) {
		struct pollfd wait = {.fd = ctrl->fd, .events = POLLIN};

		if (poll(&wait, 1, -1) < 0 && errno != EINTR) {
			rc = -1;
			break;
		}
	}
	if (rc < 0) {
		int error = errno;

		libvchan_close(ctrl);
		errno = error;
		return NULL;
	}
	return ctrl;
}

libvchan_t *libvchan_client_init(int domain, int port)
{
	return libvchan_client_init_uri(NULL, domain, port);
}

void libvchan_close(libvchan_t *ctrl)
{
	if (!ctrl)
		return;
	if (has_rings(ctrl)) {
		vchan_store(ctrl->shm.my_live, VCHAN_LIVE_GONE);
		ctrl->transport->notify(ctrl);
	}
	if (ctrl->pace.timer >= 0)
		close(ctrl->pace.timer);
	ctrl->transport->destroy(ctrl);
}
