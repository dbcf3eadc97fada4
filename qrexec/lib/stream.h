/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The data channel of one call: between a vchan and the descriptors of a local program or socket. */
#ifndef QREXEC_STREAM_H
#define QREXEC_STREAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "channel.h"

/* Size of each ring, as the known implementation has it, and how long a peer may take to connect. */
#define STREAM_RING	       65536
#define STREAM_CONNECT_SECONDS 120

struct stream {
	libvchan_t *vchan;
	bool service;	/* this end runs the service; else it is the caller */
	int to_local;	/* what the peer sends goes here; -1: nowhere */
	int from_local; /* what is read here goes to the peer */
	int err_local;	/* the service's standard error; the caller's own is where it comes out */
	bool no_error;	/* caller: it comes out nowhere */
	/*
	 * The local program, or -1. Its to_local is a socket: once it sends SIGUSR1 to this process, which has to be blocked here before
	 * the program starts, that takes the place of from_local, too.
	 */
	pid_t pid;
	/*
	 * to_local and from_local are one socket (and two descriptors): an end is passed on with shutdown(), and the
	 * call is over when both directions ended, or already with the end of one of them.
	 */
	bool socket, exit_on_client_eof, exit_on_service_eof;
};

/*
 * Carries the data until the call is over; closes the descriptors, but not the vchan. Returns the exit code
 * of the service; WIRE_EXIT_PROBLEM if the channel ended before there was one.
 */
int stream_run(const struct stream *stream);

/* The first step of every data channel: both ends say their version. Returns what they agree on, or -errno. */
int stream_handshake(libvchan_t *vchan);

/* The service's side of a call without data: it did not start, or nobody waits for it. */
int stream_end(libvchan_t *vchan, int exit_code);

#endif
