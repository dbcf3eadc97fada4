/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connection, handshake and messages of the GUI protocol over a vchan, for both ends. Never waits. */
#ifndef GUI_CHANNEL_H
#define GUI_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

/* A peer that reads nothing for so long that this much is waiting for it is given up: -ENOBUFS. */
#define GUI_CHANNEL_QUEUE_MAX (4u << 20)

struct gui_channel;

/* Functions may send; they must not destroy the channel, but return an error and leave that to the caller. */
struct gui_channel_ops {
	/*
	 * The handshake is over. `version` is the agreed one. For an agent *screen is what the daemon said (not
	 * checked); for a daemon what it said itself.
	 */
	int (*ready)(void *ctx, uint32_t version, const struct gui_screen *screen);
	/*
	 * A message that passed gui_header_check(); the body, header->length bytes, aligned to 8, is valid until
	 * the function returns. Unknown types do not get here. 0, or -errno, which gui_channel_dispatch() returns.
	 */
	int (*message)(void *ctx, const struct gui_header *header, const void *body);
};

/*
 * The agent offers the channel to the domain `peer`. The version it announces is `version`, for tests;
 * else GUI_VERSION_OWN. 0 or -errno.
 */
int gui_channel_listen(const char *uri, int peer, uint32_t version,
		       const struct gui_channel_ops *ops, void *ctx,
		       struct gui_channel **ret_channel);
/*
 * The daemon begins to connect to the domain `peer`; its screen is sent in the handshake. 0 or -errno.
 */
int gui_channel_connect(const char *uri, int peer, uint32_t version,
			const struct gui_screen *screen, const struct gui_channel_ops *ops,
			void *ctx, struct gui_channel **ret_channel);
/* The daemon's screen has changed: an agent that has not been told its size yet is told this one. */
void gui_channel_set_screen(struct gui_channel *channel, const struct gui_screen *screen);
/* Closes at once; what was not written yet is lost. NULL is allowed. */
void gui_channel_destroy(struct gui_channel *channel);

/* To be polled for reading, for the life of the channel. After create and after each send no poll is due. */
int gui_channel_fd(const struct gui_channel *channel);

/*
 * To be called once after it was made, and whenever the descriptor is readable: connects, reads, writes. Handles
 * at most `budget` messages, so that a flood leaves time for others. 0: wait for the descriptor; 1: there may
 * be more, call again soon; -errno, the channel is of no more use: EPIPE the peer is gone; EPROTO it broke the
 * protocol; EPROTONOSUPPORT the majors differ or the version is not acceptable; EMSGSIZE, EOPNOTSUPP, see
 * gui_header_check(); ENOBUFS; ENOMEM; what a function of *ops said.
 */
int gui_channel_dispatch(struct gui_channel *channel, unsigned int budget);

/*
 * Sends a message, or queues what does not fit now. The body may have two parts (a structure and what
 * follows; second may be NULL with length 0). 0, -EPIPE, -ENOBUFS, -ENOMEM, -ENOTCONN before ready.
 */
int gui_channel_send(struct gui_channel *channel, uint32_t type, uint32_t window, const void *body,
		     size_t length);
int gui_channel_send_two(struct gui_channel *channel, uint32_t type, uint32_t window,
			 const void *first, size_t first_length, const void *second,
			 size_t second_length);

/*
 * Between these two calls, which nest, messages are only queued: the peer is woken once for all of them. What
 * the messages of one call of gui_channel_dispatch() are answered with goes out together, too. release: 0, or -EPIPE.
 */
void gui_channel_hold(struct gui_channel *channel);
int gui_channel_release(struct gui_channel *channel);

/* Bytes that are queued because the peer does not read. A sender of events that may be lost looks at it. */
size_t gui_channel_queued(const struct gui_channel *channel);
/* The agreed version; 0 before ready. */
uint32_t gui_channel_version(const struct gui_channel *channel);
/* Once connected: what broke the protocol, for a log; never NULL. */
const char *gui_channel_problem(const struct gui_channel *channel);

#endif
