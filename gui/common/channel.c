// SPDX-License-Identifier: GPL-2.0-or-later
// One channel: states of the handshake, whole messages in, a queue out.
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../vchan/libvchan.h"

/* Rings as the agent sees them: a page of input events is plenty, references of large images are many. */
#define RING_READ  (16u << 10)
#define RING_WRITE (64u << 10)
#define QUEUE_MIN  4096u
#define SKIP_CHUNK 4096u

enum state {
	CONNECTING, /* daemon: no channel so far */
	VERSION,    /* agent: of the daemon's choice; daemon: of the agent's version */
	SCREEN,	    /* agent only */
	HEADER,
	BODY,
	SKIP, /* a body that nobody wants */
};

struct gui_channel {
	libvchan_t *vchan;
	const struct gui_channel_ops *ops;
	void *ctx;
	enum gui_side side;
	enum state state;
	int failed; /* -errno: of no more use */
	bool lost;  /* writing is over; there may be something to read */
	bool is_ready;
	unsigned int held; /* see gui_channel_hold() */
	uint32_t own_version, version;
	struct gui_screen screen;
	/* what is being received: `have` of `want` bytes at `into` */
	uint8_t *into;
	size_t want, have;
	uint32_t number;
	struct gui_header raw, header;
	uint8_t *body;
	size_t body_room;
	/* what is queued: out[out_begin .. out_begin + out_length) */
	uint8_t *out;
	size_t out_room, out_begin, out_length;
	char problem[128];
};

static void expect(struct gui_channel *channel, enum state state, void *into, size_t want)
{
	channel->state = state;
	channel->into = into;
	channel->want = want;
	channel->have = 0;
}

/* Writes what is queued as far as it fits. */
static void flush(struct gui_channel *channel)
{
	int count;

	while (channel->out_length && !channel->lost && !channel->held) {
		count = libvchan_write(channel->vchan, channel->out + channel->out_begin,
				       channel->out_length);
		if (count < 0)
			channel->lost = true;
		if (count <= 0)
			return;
		channel->out_begin += (size_t)count;
		channel->out_length -= (size_t)count;
		if (!channel->out_length)
			channel->out_begin = 0;
	}
}

static int make_room(struct gui_channel *channel, size_t length)
{
	size_t needed = channel->out_length + length, room = channel->out_room;
	uint8_t *larger;

	if (needed > GUI_CHANNEL_QUEUE_MAX)
		return -ENOBUFS;
	if (channel->out_begin + needed <= room)
		return 0;
	if (channel->out_begin) {
		memmove(channel->out, channel->out + channel->out_begin, channel->out_length);
		channel->out_begin = 0;
	}
	if (needed <= room)
		return 0;
	if (room < QUEUE_MIN)
		room = QUEUE_MIN;
	while (room < needed)
		room *= 2;
	larger = realloc(channel->out, room);
	if (!larger)
		return -ENOMEM;
	channel->out = larger;
	channel->out_room = room;
	return 0;
}

static void append(struct gui_channel *channel, const void *data, size_t length)
{
	if (length)
		memcpy(channel->out + channel->out_begin + channel->out_length, data, length);
	channel->out_length += length;
}

static int send_raw(struct gui_channel *channel, const void *data, size_t length)
{
	int rc = make_room(channel, length);

	if (rc)
		return rc;
	append(channel, data, length);
	flush(channel);
	return 0;
}

static int create(libvchan_t *vchan, enum gui_side side, uint32_t version,
		  const struct gui_channel_ops *ops, void *ctx, struct gui_channel **ret_channel)
{
	struct gui_channel *channel = calloc(1, sizeof(*channel));

	if (!channel) {
		libvchan_close(vchan);
		return -ENOMEM;
	}
	libvchan_set_blocking(vchan, false);
	channel->vchan = vchan;
	channel->side = side;
	channel->own_version = version;
	channel->ops = ops;
	channel->ctx = ctx;
	*ret_channel = channel;
	return 0;
}

int gui_channel_listen(const char *uri, int peer, uint32_t version,
		       const struct gui_channel_ops *ops, void *ctx,
		       struct gui_channel **ret_channel)
{
	libvchan_t *vchan = libvchan_server_init_uri(uri, peer, GUI_PORT, RING_READ, RING_WRITE);
	struct gui_channel *channel;
	int rc;

	if (!vchan)
		return -errno;
	rc = create(vchan, GUI_AGENT, version, ops, ctx, &channel);
	if (rc)
		return rc;
	if (gui_has(version, GUI_SINCE_NEGOTIATION))
		expect(channel, VERSION, &channel->number, sizeof(channel->number));
	else
		expect(channel, SCREEN, &channel->screen, sizeof(channel->screen));
	channel->version = version;
	rc = send_raw(channel, &version, sizeof(version));
	if (rc) {
		gui_channel_destroy(channel);
		return rc;
	}
	*ret_channel = channel;
	return 0;
}

int gui_channel_connect(const char *uri, int peer, uint32_t version,
			const struct gui_screen *screen, const struct gui_channel_ops *ops,
			void *ctx, struct gui_channel **ret_channel)
{
	EVTCHN ignored;
	libvchan_t *vchan = libvchan_client_init_async_uri(uri, peer, GUI_PORT, &ignored);
	struct gui_channel *channel;
	int rc;

	if (!vchan)
		return -errno;
	rc = create(vchan, GUI_DAEMON, version, ops, ctx, &channel);
	if (rc)
		return rc;
	channel->screen = *screen;
	*ret_channel = channel;
	return 0;
}

void gui_channel_set_screen(struct gui_channel *channel, const struct gui_screen *screen)
{
	if (channel && !channel->is_ready)
		channel->screen = *screen;
}

void gui_channel_destroy(struct gui_channel *channel)
{
	if (!channel)
		return;
	libvchan_close(channel->vchan);
	free(channel->body);
	free(channel->out);
	free(channel);
}

int gui_channel_fd(const struct gui_channel *channel)
{
	return libvchan_fd_for_select(channel->vchan);
}

static int fail(struct gui_channel *channel, int code, const char *what, uint32_t number)
{
	snprintf(channel->problem, sizeof(channel->problem), what, number);
	return code;
}

static int become_ready(struct gui_channel *channel)
{
	channel->is_ready = true;
	expect(channel, HEADER, &channel->raw, sizeof(channel->raw));
	return channel->ops->ready(channel->ctx, channel->version, &channel->screen);
}

static int take_version(struct gui_channel *channel)
{
	uint32_t untrusted_version = channel->number;
	int rc = 0;

	if (channel->side == GUI_AGENT) {
		if (!gui_version_acceptable(untrusted_version, channel->own_version))
			return fail(channel, -EPROTONOSUPPORT,
				    "the daemon chose protocol version 0x%x", untrusted_version);
		channel->version = untrusted_version;
		expect(channel, SCREEN, &channel->screen, sizeof(channel->screen));
		return 0;
	}
	channel->version = gui_version_choose(untrusted_version, channel->own_version);
	if (!channel->version)
		return fail(channel, -EPROTONOSUPPORT, "the agent speaks protocol version 0x%x",
			    untrusted_version);
	if (gui_has(untrusted_version, GUI_SINCE_NEGOTIATION))
		rc = send_raw(channel, &channel->version, sizeof(channel->version));
	if (!rc)
		rc = send_raw(channel, &channel->screen, sizeof(channel->screen));
	return rc ? rc : become_ready(channel);
}

static int body_room(struct gui_channel *channel, size_t length)
{
	uint8_t *larger;

	if (length <= channel->body_room)
		return 0;
	/* Lengths are bounded by gui_header_check(). */
	larger = realloc(channel->body, length);
	if (!larger)
		return -ENOMEM;
	channel->body = larger;
	channel->body_room = length;
	return 0;
}

static int take_header(struct gui_channel *channel)
{
	int rc = gui_header_check(channel->version,
				  channel->side == GUI_AGENT ? GUI_DAEMON : GUI_AGENT,
				  &channel->raw, &channel->header);

	if (rc == -ENOENT) {
		channel->header = channel->raw;
		rc = body_room(channel, SKIP_CHUNK);
		if (!rc)
			expect(channel, SKIP, channel->body, channel->header.length);
		return rc;
	}
	if (rc) {
		snprintf(channel->problem, sizeof(channel->problem),
			 "message %u (%s) of %u bytes cannot be", channel->raw.type,
			 gui_type_name(channel->raw.type), channel->raw.length);
		return rc;
	}
	/* Never without a buffer, so that a body has an address even when it is empty. */
	rc = body_room(channel, channel->header.length + 1);
	if (!rc)
		expect(channel, BODY, channel->body, channel->header.length);
	return rc;
}

static int take_body(struct gui_channel *channel)
{
	expect(channel, HEADER, &channel->raw, sizeof(channel->raw));
	return channel->ops->message(channel->ctx, &channel->header, channel->body);
}

/* What was expected is complete. */
static int take(struct gui_channel *channel)
{
	switch (channel->state) {
	case VERSION:
		return take_version(channel);
	case SCREEN:
		return become_ready(channel);
	case HEADER:
		return take_header(channel);
	case BODY:
		return take_body(channel);
	default:
		expect(channel, HEADER, &channel->raw, sizeof(channel->raw));
		return 0;
	}
}

/* 1: complete; 0: there is not more now; -errno. */
static int fill(struct gui_channel *channel)
{
	size_t left;
	int count;

	while (channel->have < channel->want) {
		left = channel->want - channel->have;
		if (channel->state == SKIP)
			count = libvchan_read(channel->vchan, channel->into,
					      left < SKIP_CHUNK ? left : SKIP_CHUNK);
		else
			count = libvchan_read(channel->vchan, channel->into + channel->have, left);
		if (count < 0)
			return errno ? -errno : -EPIPE;
		if (count == 0)
			return 0;
		channel->have += (size_t)count;
	}
	return 1;
}

static int receive(struct gui_channel *channel, unsigned int budget)
{
	bool message;
	int rc;

	for (;;) {
		if (!budget)
			return 1;
		rc = fill(channel);
		if (rc <= 0)
			return rc;
		message = channel->state == BODY || channel->state == SKIP;
		rc = take(channel);
		if (rc < 0)
			return rc;
		if (message)
			budget--;
	}
}

static int connect_step(struct gui_channel *channel)
{
	int rc = libvchan_client_init_async_finish(channel->vchan, false);

	if (rc < 0)
		return errno ? -errno : -EPIPE;
	if (rc == 0) {
		libvchan_set_blocking(channel->vchan, false);
		expect(channel, VERSION, &channel->number, sizeof(channel->number));
	}
	return 0;
}

static void take_event(struct gui_channel *channel)
{
	struct pollfd pollfd = {.fd = libvchan_fd_for_select(channel->vchan), .events = POLLIN};

	if (poll(&pollfd, 1, 0) == 1)
		(void)libvchan_wait(channel->vchan);
}

int gui_channel_dispatch(struct gui_channel *channel, unsigned int budget)
{
	int rc = 0;

	if (channel->failed)
		return channel->failed;
	if (channel->state == CONNECTING)
		rc = connect_step(channel);
	else
		take_event(channel);
	if (!rc && channel->state != CONNECTING) {
		flush(channel);
		gui_channel_hold(channel);
		rc = receive(channel, budget);
		(void)gui_channel_release(channel);
	}
	if (rc < 0)
		channel->failed = rc;
	return rc;
}

void gui_channel_hold(struct gui_channel *channel)
{
	channel->held++;
}

int gui_channel_release(struct gui_channel *channel)
{
	if (--channel->held == 0)
		flush(channel);
	return channel->lost ? -EPIPE : 0;
}

int gui_channel_send_two(struct gui_channel *channel, uint32_t type, uint32_t window,
			 const void *first, size_t first_length, const void *second,
			 size_t second_length)
{
	struct gui_header header = {.type = type, .window = window};
	int rc;

	if (!channel->is_ready)
		return -ENOTCONN;
	if (channel->lost || channel->failed)
		return -EPIPE;
	if (first_length > GUI_BODY_MAX || second_length > GUI_BODY_MAX - first_length)
		return -EMSGSIZE;
	header.length = (uint32_t)(first_length + second_length);
	if (channel->side == GUI_AGENT && type == GUI_CLIPBOARD_DATA &&
	    !gui_has(channel->version, GUI_SINCE_WINDOW_DUMP))
		header.window = header.length;
	rc = make_room(channel, sizeof(header) + header.length);
	if (rc)
		return rc;
	append(channel, &header, sizeof(header));
	append(channel, first, first_length);
	append(channel, second, second_length);
	flush(channel);
	return channel->lost ? -EPIPE : 0;
}

int gui_channel_send(struct gui_channel *channel, uint32_t type, uint32_t window, const void *body,
		     size_t length)
{
	return gui_channel_send_two(channel, type, window, body, length, NULL, 0);
}

size_t gui_channel_queued(const struct gui_channel *channel)
{
	return channel->out_length;
}

uint32_t gui_channel_version(const struct gui_channel *channel)
{
	return channel->is_ready ? channel->version : 0;
}

const char *gui_channel_problem(const struct gui_channel *channel)
{
	return channel->problem[0] ? channel->problem : "the connection ended";
}
