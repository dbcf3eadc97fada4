/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages of QubesDB over a vchan or a Unix socket, without ever waiting: both directions are buffered, with limits. */
#ifndef QUBESDB_STREAM_H
#define QUBESDB_STREAM_H

#include "../vchan/libvchan.h"
#include "store.h"

/* A whole database fits in the buffer of a peer that does not read, and as many changes as that. */
#define STREAM_OUT_MAX \
 ((size_t)2 * STORE_OWNERS * (STORE_ENTRIES_MAX * sizeof(struct qdb_header) + STORE_BYTES_MAX))

struct stream {
	libvchan_t *vchan; /* or NULL: then fd is a socket, or -1: only what stream_feed() gave */
	int fd;
	size_t in_length, in_taken;
	uint8_t *out;
	size_t out_start, out_length, out_room;
	uint8_t in[sizeof(struct qdb_header) + QDB_DATA_MAX];
};

/* Takes ownership of the vchan or the descriptor. */
void stream_init(struct stream *stream, libvchan_t *vchan, int fd);
void stream_finish(struct stream *stream);

/* 0; -ENOBUFS: the peer reads too slowly; -ENOMEM; -EPIPE: it is gone. The rest leaves by stream_flush(). */
int stream_send(struct stream *stream, enum qdb_type type, const char *path, const void *value,
		uint32_t length);
int stream_flush(struct stream *stream);

/*
 * 1: a message; 0: none so far; -EINVAL: a message with a path that cannot be, to be answered with an error;
 * -EPROTO: not a message; -EPIPE: the sender is gone. The value is valid until the next call.
 */
int stream_receive(struct stream *stream, enum qdb_receiver receiver, struct qdb_header *ret_header,
		   const char **ret_value);
/* Bytes as if they had been received: at most what is missing of one message; returns how many were taken. */
size_t stream_feed(struct stream *stream, const uint8_t *data, size_t size);

/* For poll(): the descriptor, and what to wait for. stream_polled() takes what poll() said. */
int stream_fd(const struct stream *stream);
short stream_events(const struct stream *stream);
void stream_polled(struct stream *stream, short revents);

#endif
