/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A data channel for a program that works on it directly, without pipes and without copies. */
#ifndef QREXEC_LINK_H
#define QREXEC_LINK_H

#include <stdbool.h>
#include <sys/types.h>

#include "../../vchan/libvchan.h"
#include "pieces.h"
#include "wire.h"

struct link {
	libvchan_t *vchan;
	bool service; /* this end runs the service; else it is the caller */
	bool ended;   /* the peer's stream has ended */
	int version;
	int exit_code;	  /* caller: what the service said, or -1 */
	int err;	  /* caller: where its standard error goes, or -1 */
	size_t body_left; /* of the current data message */
	size_t room;	  /* of the ring to the peer */
};

/* Greets the peer. The vchan stays the caller's. 0 or -errno. */
int link_open(struct link *link, libvchan_t *vchan, bool service);

/*
 * What the peer sends, where it is in the ring: at least one byte, at most `most`; 0 at the end of its stream; -EPIPE if the
 * channel ended before that; -EPROTO. The peer may change the bytes meanwhile.
 */
ssize_t link_peek(struct link *link, struct libvchan_piece pieces[2], size_t most);
void link_consume(struct link *link, size_t size);
/* Whether link_peek() would not wait. */
bool link_ready(struct link *link);

/* Room for one message with up to `most` bytes: what was put there is sent by link_commit(). -EPIPE. */
ssize_t link_reserve(struct link *link, struct libvchan_piece pieces[2], size_t most);
int link_commit(struct link *link, size_t size);
int link_write(struct link *link, const void *data, size_t size);
/* The end of this end's stream. */
int link_end(struct link *link);
/* Service: all is said, with this exit code. */
int link_exit(struct link *link, int exit_code);
/* Caller: reads and drops until the service has ended. Its exit code. */
int link_wait_exit(struct link *link);

#endif
