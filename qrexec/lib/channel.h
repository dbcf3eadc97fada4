/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages over a vchan or a Unix socket, without ever waiting: buffers on both sides, with limits. */
#ifndef QREXEC_CHANNEL_H
#define QREXEC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../vchan/libvchan.h"
#include "wire.h"

/* What may wait for a peer that does not read. */
#define CHANNEL_OUT_MAX (1u << 20)

struct channel {
	libvchan_t *vchan; /* or NULL: then fd is a socket */
	int fd;
	uint8_t *in, *out;
	size_t in_length, in_taken, in_room, out_length, out_room;
};

/* Takes ownership of the vchan or descriptor, also when it fails (-ENOMEM). */
int channel_init(struct channel *channel, libvchan_t *vchan, int fd);
void channel_finish(struct channel *channel);

/* 0; -ENOBUFS: the peer reads too slowly; -EPIPE: it is gone. The message may leave later: channel_flush(). */
int channel_send(struct channel *channel, uint32_t type, const void *body, size_t length);
int channel_send_exec(struct channel *channel, uint32_t type, const struct wire_exec *exec);
int channel_send_hello(struct channel *channel, uint32_t version);
int channel_flush(struct channel *channel);

/*
 * 1: a message, whose body may be changed and is valid until the next call; 0: none so far; -EPROTO: not a
 * message that can be; -EPIPE: the peer is gone; -ENOMEM.
 */
int channel_receive(struct channel *channel, struct wire_header *ret_header, uint8_t **ret_body);
/* The same, but waits, at most to the end of `seconds`: -ETIMEDOUT. */
int channel_receive_wait(struct channel *channel, int seconds, struct wire_header *ret_header,
			 uint8_t **ret_body);

/* For poll(): the descriptor, and what to wait for. channel_polled() takes what poll() said. */
int channel_fd(const struct channel *channel);
short channel_events(const struct channel *channel);
void channel_polled(struct channel *channel, short revents);

/* Waits until a server has its client, at most `seconds`. */
int vchan_wait_client(libvchan_t *vchan, int seconds);
/* Connects, at most `seconds` (0: no limit). NULL: errno. */
libvchan_t *vchan_connect(int domain, int port, int seconds);
long long now_ms(void);

#endif
