// SPDX-License-Identifier: GPL-2.0-or-later
// A data channel for a program that works on it directly.
#define _GNU_SOURCE
#include "link.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "stream.h"
#include "terminal.h"

#define HEADER sizeof(struct wire_header)

int link_open(struct link *link, libvchan_t *vchan, bool service)
{
	struct libvchan_stats stats = {0};
	int version = stream_handshake(vchan);

	if (version < 0)
		return version;
	libvchan_set_blocking(vchan, true);
	libvchan_get_stats(vchan, &stats, sizeof(stats));
	*link = (struct link){.vchan = vchan,
			      .service = service,
			      .version = version,
			      .exit_code = -1,
			      .err = service ? -1 : STDERR_FILENO,
			      .room = stats.write_ring};
	return 0;
}

/* As standard error has it: a terminal gets no more than text. */
static bool write_error(int fd, const struct libvchan_piece *piece)
{
	char text[512];
	size_t done = 0, part;

	for (; done < piece->size; done += part) {
		part = piece->size - done < sizeof(text) ? piece->size - done : sizeof(text);
		memcpy(text, (const char *)piece->data + done, part);
		if (isatty(fd))
			terminal_clean(text, part);
		if (write(fd, text, part) < 0)
			return false;
	}
	return true;
}

/* Drops a body, or passes it on as the service's standard error. */
static int skip_body(struct link *link, size_t length, int fd)
{
	struct libvchan_piece pieces[2];

	while (length) {
		int n = libvchan_peek(link->vchan, pieces, 1, length);

		if (n <= 0)
			return -EPIPE;
		for (int i = 0; i < 2; i++)
			if (fd >= 0 && !write_error(fd, &pieces[i]))
				fd = -1;
		libvchan_consume(link->vchan, (size_t)n);
		length -= (size_t)n;
	}
	return 0;
}

static int take_exit_code(struct link *link, size_t length)
{
	uint8_t body[sizeof(int32_t)];
	int code = 0;

	if (length != sizeof(body))
		return -EPROTO;
	if (libvchan_recv(link->vchan, body, sizeof(body)) != (int)sizeof(body))
		return -EPIPE;
	wire_decode_exit_code(body, sizeof(body), &code);
	link->exit_code = code & 0xff;
	link->ended = true;
	return 0;
}

/* Takes headers until there is a message with data, or the end. */
static int next_message(struct link *link)
{
	struct wire_header untrusted_header;
	int rc;

	while (!link->body_left && !link->ended) {
		if (libvchan_recv(link->vchan, &untrusted_header, HEADER) != (int)HEADER)
			return -EPIPE;
		if (untrusted_header.length > wire_chunk_max(link->version))
			return -EPROTO;
		switch (untrusted_header.type) {
		case WIRE_STDIN:
		case WIRE_STDOUT:
			link->body_left = untrusted_header.length;
			link->ended = !untrusted_header.length;
			continue;
		case WIRE_STDERR:
			rc = skip_body(link, untrusted_header.length, link->err);
			break;
		case WIRE_EXIT_CODE:
			rc = take_exit_code(link, untrusted_header.length);
			break;
		default:
			rc = -EPROTO;
		}
		if (rc)
			return rc;
	}
	return 0;
}

ssize_t link_peek(struct link *link, struct libvchan_piece pieces[2], size_t most)
{
	int rc = next_message(link);

	if (rc || link->ended)
		return rc;
	rc = libvchan_peek(link->vchan, pieces, 1, most < link->body_left ? most : link->body_left);
	return rc > 0 ? rc : -EPIPE;
}

void link_consume(struct link *link, size_t size)
{
	link->body_left -= size;
	libvchan_consume(link->vchan, size);
}

/* Whether a whole header is there, without taking it. */
static bool peek_header(struct link *link, struct wire_header *ret_header)
{
	struct libvchan_piece pieces[2];

	if (libvchan_data_ready(link->vchan) < (int)HEADER ||
	    libvchan_peek(link->vchan, pieces, HEADER, HEADER) < (int)HEADER)
		return false;
	pieces_get(pieces, ret_header, HEADER);
	return true;
}

bool link_ready(struct link *link)
{
	struct wire_header untrusted_header;

	/* What the service says on its standard error is no answer: it is passed on, and what comes behind it counts. */
	while (!link->ended && !link->body_left && peek_header(link, &untrusted_header)) {
		if (untrusted_header.type != WIRE_STDERR ||
		    untrusted_header.length > wire_chunk_max(link->version))
			return true;
		libvchan_consume(link->vchan, HEADER);
		if (skip_body(link, untrusted_header.length, link->err))
			return true;
	}
	return link->ended || (link->body_left && libvchan_data_ready(link->vchan) > 0) ||
	       libvchan_is_open(link->vchan) == VCHAN_DISCONNECTED;
}

ssize_t link_reserve(struct link *link, struct libvchan_piece pieces[2], size_t most)
{
	/* Half a ring at once, so that both ends are at work. */
	size_t limit = wire_chunk_max(link->version), half = link->room / 2;
	int n;

	if (most > limit)
		most = limit;
	if (most > half - HEADER)
		most = half - HEADER;
	n = libvchan_reserve(link->vchan, pieces, HEADER + most, HEADER + most);
	if (n <= (int)HEADER)
		return -EPIPE;
	/* The pieces for the data; the header goes in front of them. */
	for (size_t skip = HEADER, i = 0; i < 2; i++) {
		size_t off = skip < pieces[i].size ? skip : pieces[i].size;

		pieces[i].data = (uint8_t *)pieces[i].data + off;
		pieces[i].size -= off;
		skip -= off;
	}
	return n - (int)HEADER;
}

int link_commit(struct link *link, size_t size)
{
	struct wire_header header = {link->service ? WIRE_STDOUT : WIRE_STDIN, (uint32_t)size};
	struct libvchan_piece pieces[2];

	/* The same place again: nobody else writes to this ring. */
	if (libvchan_reserve(link->vchan, pieces, HEADER + size, HEADER + size) <= 0)
		return -EPIPE;
	pieces_put(pieces, 0, &header, HEADER);
	return libvchan_commit(link->vchan, HEADER + size) ? -EPIPE : 0;
}

int link_write(struct link *link, const void *data, size_t size)
{
	struct libvchan_piece pieces[2];
	size_t done = 0;

	while (done < size) {
		ssize_t n = link_reserve(link, pieces, size - done);

		if (n < 0)
			return (int)n;
		pieces_put(pieces, 0, (const uint8_t *)data + done, (size_t)n);
		if (link_commit(link, (size_t)n))
			return -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

static int send_message(struct link *link, uint32_t type, const void *body, size_t length)
{
	uint8_t message[HEADER + sizeof(int32_t)];
	struct wire_header header = {type, (uint32_t)length};

	memcpy(message, &header, HEADER);
	if (length)
		memcpy(message + HEADER, body, length);
	return libvchan_send(link->vchan, message, HEADER + length) > 0 ? 0 : -EPIPE;
}

int link_end(struct link *link)
{
	return send_message(link, link->service ? WIRE_STDOUT : WIRE_STDIN, NULL, 0);
}

int link_exit(struct link *link, int exit_code)
{
	int32_t code = exit_code;
	int rc = link_end(link);

	if (!rc)
		rc = send_message(link, WIRE_STDERR, NULL, 0);
	return rc ? rc : send_message(link, WIRE_EXIT_CODE, &code, sizeof(code));
}

int link_wait_exit(struct link *link)
{
	while (link->exit_code < 0) {
		if (skip_body(link, link->body_left, -1))
			break;
		link->body_left = 0;
		link->ended = false;
		if (next_message(link))
			break;
	}
	return link->exit_code < 0 ? WIRE_EXIT_PROBLEM : link->exit_code;
}
