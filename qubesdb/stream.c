// SPDX-License-Identifier: GPL-2.0-or-later
// Messages of QubesDB over a vchan or a Unix socket.
#define _GNU_SOURCE
#include "../qrexec/lib/endpoint.h"
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void stream_init(struct stream *stream, libvchan_t *vchan, int fd)
{
	*stream = (struct stream){.vchan = vchan, .fd = fd};
	if (vchan)
		libvchan_set_blocking(vchan, false);
}

void stream_finish(struct stream *stream)
{
	if (stream->vchan)
		libvchan_close(stream->vchan);
	else if (stream->fd >= 0)
		close(stream->fd);
	free(stream->out);
	*stream = (struct stream){.fd = -1};
}

int stream_flush(struct stream *stream)
{
	while (stream->out_length) {
		ssize_t n = endpoint_write(stream->vchan, stream->fd,
					   stream->out + stream->out_start, stream->out_length);

		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		stream->out_start += (size_t)n;
		stream->out_length -= (size_t)n;
	}
	/* What a large answer needed is not kept. */
	free(stream->out);
	stream->out = NULL;
	stream->out_start = stream->out_room = 0;
	return 0;
}

static int make_room(struct stream *stream, size_t more)
{
	size_t wanted = stream->out_length + more, room;
	uint8_t *out;

	if (wanted > STREAM_OUT_MAX)
		return -ENOBUFS;
	if (stream->out_start + wanted <= stream->out_room)
		return 0;
	/* Grows by half, so that a large answer is not moved for each of its messages. */
	room = wanted + wanted / 2 + 1024;
	out = malloc(room);
	if (!out)
		return -ENOMEM;
	if (stream->out_length)
		memcpy(out, stream->out + stream->out_start, stream->out_length);
	free(stream->out);
	stream->out = out;
	stream->out_start = 0;
	stream->out_room = room;
	return 0;
}

int stream_send(struct stream *stream, enum qdb_type type, const char *path, const void *value,
		uint32_t length)
{
	struct qdb_header header;
	int rc = make_room(stream, sizeof(header) + length);
	uint8_t *end;

	if (rc)
		return rc;
	qdb_header_set(&header, type, path, length);
	end = stream->out + stream->out_start + stream->out_length;
	memcpy(end, &header, sizeof(header));
	if (length)
		memcpy(end + sizeof(header), value, length);
	stream->out_length += sizeof(header) + length;
	return 0;
}

static size_t missing(const struct stream *stream)
{
	struct qdb_header untrusted_header;
	size_t wanted = sizeof(untrusted_header);

	if (stream->in_taken)
		return sizeof(untrusted_header);
	if (stream->in_length >= sizeof(untrusted_header)) {
		memcpy(&untrusted_header, stream->in, sizeof(untrusted_header));
		if (untrusted_header.length <= QDB_DATA_MAX)
			wanted += untrusted_header.length;
	}
	return wanted - stream->in_length;
}

static void forget_taken(struct stream *stream)
{
	if (stream->in_taken)
		stream->in_length = stream->in_taken = 0;
}

size_t stream_feed(struct stream *stream, const uint8_t *data, size_t size)
{
	size_t n = missing(stream);

	forget_taken(stream);
	if (n > size)
		n = size;
	memcpy(stream->in + stream->in_length, data, n);
	stream->in_length += n;
	return n;
}

static int fill(struct stream *stream, size_t wanted)
{
	while (stream->in_length < wanted) {
		ssize_t n = endpoint_read(stream->vchan, stream->fd, stream->in + stream->in_length,
					  wanted - stream->in_length);

		if (n < 0)
			return (int)n;
		stream->in_length += (size_t)n;
	}
	return 0;
}

int stream_receive(struct stream *stream, enum qdb_receiver receiver, struct qdb_header *ret_header,
		   const char **ret_value)
{
	struct qdb_header untrusted_header;
	int rc, verdict;

	forget_taken(stream);
	rc = fill(stream, sizeof(untrusted_header));
	if (rc)
		return rc == -EAGAIN ? 0 : rc;
	memcpy(&untrusted_header, stream->in, sizeof(untrusted_header));
	verdict = qdb_header_check(&untrusted_header, receiver);
	if (verdict == -EPROTO)
		return verdict;
	rc = fill(stream, sizeof(untrusted_header) + untrusted_header.length);
	if (rc)
		return rc == -EAGAIN ? 0 : rc;
	stream->in_taken = stream->in_length;
	if (memchr(stream->in + sizeof(untrusted_header), '\0', untrusted_header.length))
		verdict = -EINVAL;
	/* What came in the padding is nobody's business. */
	qdb_header_set(ret_header, untrusted_header.type, verdict ? "" : untrusted_header.path,
		       untrusted_header.length);
	*ret_value = (const char *)stream->in + sizeof(untrusted_header);
	return verdict ? verdict : 1;
}

int stream_fd(const struct stream *stream)
{
	return stream->vchan ? libvchan_fd_for_select(stream->vchan) : stream->fd;
}

short stream_events(const struct stream *stream)
{
	return !stream->vchan && stream->out_length ? POLLIN | POLLOUT : POLLIN;
}

void stream_polled(struct stream *stream, short revents)
{
	if (stream->vchan && revents)
		libvchan_wait(stream->vchan);
}
