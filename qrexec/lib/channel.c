// SPDX-License-Identifier: GPL-2.0-or-later
// Messages over a vchan or a Unix socket, and how both are set up.
#define _GNU_SOURCE
#include "channel.h"
#include "endpoint.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Room for nearly all messages. More is taken for a larger one, and given back after it: there are hundreds of channels. */
#define IN_ROOM_USUAL 1024

int channel_init(struct channel *channel, libvchan_t *vchan, int fd)
{
	*channel = (struct channel){.vchan = vchan, .fd = fd};
	if (vchan)
		libvchan_set_blocking(vchan, false);
	channel->in = malloc(IN_ROOM_USUAL);
	channel->in_room = IN_ROOM_USUAL;
	if (channel->in)
		return 0;
	channel_finish(channel);
	return -ENOMEM;
}

void channel_finish(struct channel *channel)
{
	if (channel->vchan)
		libvchan_close(channel->vchan);
	else if (channel->fd >= 0)
		close(channel->fd);
	free(channel->in);
	free(channel->out);
	*channel = (struct channel){.fd = -1};
}

int channel_flush(struct channel *channel)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < channel->out_length && n > 0) {
		n = endpoint_write(channel->vchan, channel->fd, channel->out + done,
				   channel->out_length - done);
		if (n > 0)
			done += (size_t)n;
	}
	if (done)
		memmove(channel->out, channel->out + done, channel->out_length - done);
	channel->out_length -= done;
	return n == -EPIPE ? -EPIPE : 0;
}

static bool make_room(struct channel *channel, size_t wanted)
{
	uint8_t *out;

	if (wanted <= channel->out_room)
		return true;
	if (wanted > CHANNEL_OUT_MAX)
		return false;
	out = realloc(channel->out, wanted);
	if (!out)
		return false;
	channel->out = out;
	channel->out_room = wanted;
	return true;
}

int channel_send(struct channel *channel, uint32_t type, const void *body, size_t length)
{
	struct wire_header header = {type, (uint32_t)length};

	if (!make_room(channel, channel->out_length + sizeof(header) + length))
		return -ENOBUFS;
	memcpy(channel->out + channel->out_length, &header, sizeof(header));
	if (length)
		memcpy(channel->out + channel->out_length + sizeof(header), body, length);
	channel->out_length += sizeof(header) + length;
	return channel_flush(channel);
}

int channel_send_exec(struct channel *channel, uint32_t type, const struct wire_exec *exec)
{
	size_t size = sizeof(uint32_t) * 2 + strlen(exec->text) + 1;
	uint8_t *body = malloc(size);
	int length = body ? wire_encode_exec(exec, body, size) : -ENOMEM;

	if (length >= 0)
		length = channel_send(channel, type, body, (size_t)length);
	free(body);
	return length;
}

int channel_send_hello(struct channel *channel, uint32_t version)
{
	return channel_send(channel, WIRE_HELLO, &version, sizeof(version));
}

static bool set_in_room(struct channel *channel, size_t room)
{
	uint8_t *in;

	if (room == channel->in_room)
		return true;
	in = realloc(channel->in, room);
	if (!in)
		return false;
	channel->in = in;
	channel->in_room = room;
	return true;
}

static int fill(struct channel *channel, size_t wanted)
{
	if (wanted > channel->in_room && !set_in_room(channel, wanted))
		return -ENOMEM;
	while (channel->in_length < wanted) {
		ssize_t n = endpoint_read(channel->vchan, channel->fd,
					  channel->in + channel->in_length,
					  wanted - channel->in_length);

		if (n < 0)
			return (int)n;
		channel->in_length += (size_t)n;
	}
	return 0;
}

int channel_receive(struct channel *channel, struct wire_header *ret_header, uint8_t **ret_body)
{
	struct wire_header untrusted_header;
	int rc;

	channel->in_length -= channel->in_taken;
	channel->in_taken = 0;
	/* That this fails, as memory cannot be moved, does not matter. */
	if (!channel->in_length)
		set_in_room(channel, IN_ROOM_USUAL);
	rc = fill(channel, sizeof(untrusted_header));
	if (rc)
		return rc == -EAGAIN ? 0 : rc;
	memcpy(&untrusted_header, channel->in, sizeof(untrusted_header));
	if (!wire_body_max(untrusted_header.type) ||
	    untrusted_header.length > wire_body_max(untrusted_header.type))
		return -EPROTO;
	rc = fill(channel, sizeof(untrusted_header) + untrusted_header.length);
	if (rc)
		return rc == -EAGAIN ? 0 : rc;
	channel->in_taken = channel->in_length;
	*ret_header = untrusted_header;
	*ret_body = channel->in + sizeof(untrusted_header);
	return 1;
}

long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* What is left to the deadline, for poll(); -1: none; 0 when it is over. */
static int left_ms(long long deadline)
{
	long long left = deadline - now_ms();

	return deadline < 0 ? -1 : left > 0 ? (int)left : 0;
}

int channel_receive_wait(struct channel *channel, int seconds, struct wire_header *ret_header,
			 uint8_t **ret_body)
{
	long long deadline = now_ms() + seconds * 1000LL;
	int rc;

	for (;;) {
		struct pollfd p = {channel_fd(channel), 0, 0};

		rc = channel_flush(channel);
		if (!rc)
			rc = channel_receive(channel, ret_header, ret_body);
		if (rc)
			return rc;
		p.events = channel_events(channel);
		rc = poll(&p, 1, left_ms(deadline));
		if (rc == 0)
			return -ETIMEDOUT;
		if (rc > 0)
			channel_polled(channel, p.revents);
	}
}

int channel_fd(const struct channel *channel)
{
	return channel->vchan ? libvchan_fd_for_select(channel->vchan) : channel->fd;
}

short channel_events(const struct channel *channel)
{
	return !channel->vchan && channel->out_length ? POLLIN | POLLOUT : POLLIN;
}

void channel_polled(struct channel *channel, short revents)
{
	if (channel->vchan && revents)
		libvchan_wait(channel->vchan);
}

int vchan_wait_client(libvchan_t *vchan, int seconds)
{
	long long deadline = now_ms() + seconds * 1000LL;
	struct pollfd p = {libvchan_fd_for_select(vchan), POLLIN, 0};
	int rc;

	while (libvchan_is_open(vchan) == VCHAN_WAITING) {
		rc = poll(&p, 1, left_ms(deadline));
		if (rc == 0)
			return -ETIMEDOUT;
		if (rc > 0)
			libvchan_wait(vchan);
	}
	return 0;
}

libvchan_t *vchan_connect(int domain, int port, int seconds)
{
	long long deadline = seconds ? now_ms() + seconds * 1000LL : -1;
	struct pollfd p = {.events = POLLIN};
	libvchan_t *vchan = libvchan_client_init_async(domain, port, &p.fd);
	int rc;

	if (!vchan)
		return NULL;
	for (;;) {
		rc = poll(&p, 1, left_ms(deadline));
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0) {
			errno = rc ? errno : ETIMEDOUT;
			break;
		}
		rc = libvchan_client_init_async_finish(vchan, true);
		if (!rc)
			return vchan;
		if (rc < 0)
			break;
	}
	rc = errno;
	libvchan_close(vchan);
	errno = rc;
	return NULL;
}
