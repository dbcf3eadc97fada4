/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the library share: the handle, and the interface of a transport. */
#ifndef VCHAN_INTERNAL_H
#define VCHAN_INTERNAL_H

#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif

#include "libvchan.h"
#include "shm.h"

/* Domain numbers from here on are special (DOMID_FIRST_RESERVED). */
#define VCHAN_DOMAIN_MAX 0x7fefu

enum vchan_state {
	VCHAN_STATE_NEW,   /* client: no rings yet */
	VCHAN_STATE_RINGS, /* the rings exist; the peer's live byte says more */
	VCHAN_STATE_DEAD,  /* the peer is gone */
};

struct vchan_uri {
	bool local;
	int domain;	      /* -1: not given */
	char directory[4096]; /* of sockets */
};

/* -EINVAL if the text makes no sense. NULL: from the environment. */
int vchan_uri_parse(const char *text, struct vchan_uri *ret_uri);

#define VCHAN_FOREVER (-1)

struct vchan_transport {
	/* Sends an event to the peer. 0 or -errno. */
	int (*notify)(struct libvchan *ctrl);
	/*
	 * Sleeps until there is an event, or for `timeout` nanoseconds, and takes the event. 0; -ETIMEDOUT;
	 * another -errno. May end early. Sets VCHAN_STATE_DEAD when it learns of it.
	 */
	int (*sleep)(struct libvchan *ctrl, int64_t timeout);
	/* Does without sleeping what has become possible: a server takes its client, death is noticed. */
	void (*progress)(struct libvchan *ctrl);
	/* Client: one step towards the connection. 0 done, 1 wait for the descriptor, -errno. */
	int (*connect)(struct libvchan *ctrl);
	/* Frees what belongs to the transport, and the handle. */
	void (*destroy)(struct libvchan *ctrl);
};

enum vchan_asked {
	VCHAN_ASKED_NOTHING,
	VCHAN_ASKED_ANY,
	VCHAN_ASKED_MOST
};

/* The waits of one direction, and whether it helps to ask for most of a ring. */
struct vchan_waits {
	enum vchan_asked asked; /* what the present one is for */
	bool needless;		/* most of a ring was there when any progress was asked for */
	uint8_t good;		/* waits for most of a ring that found it */
	uint8_t vain;		/* so many are left out after one that ran out of time, … */
	uint8_t left_out;	/* … and so many of these are to come */
	uint8_t slow;		/* log2 of how much longer a wait for space may be, … */
	uint8_t part;		/* … and of what part of most of a ring a wait for data is for */
	uint32_t before;	/* the space that there was when it began */
};

/* Moderation of events while data streams, see pace.c. */
struct vchan_pace {
	uint64_t streamed; /* bytes read in a row: since the last write or lull */
	struct vchan_waits data, space;
	int64_t deadline; /* of a wait by the caller, CLOCK_MONOTONIC nanoseconds; 0: none */
	int timer;	  /* shows the deadline to a caller that polls; -1: never needed so far */
	unsigned linger_skip, linger_misses; /* looks left out, since that many were in vain */
	uint32_t seen_index, seen_ready; /* what the caller found when it looked the last time */
};

struct libvchan {
	const struct vchan_transport *transport;
	enum vchan_state state;
	bool server, blocking;
	bool polled; /* the caller knows the descriptor: calls that fall short have to ask for events */
	int fd;	     /* what libvchan_fd_for_select() returns: an epoll descriptor */
	int domain, port;
	int failed;		   /* client: why the connection failed for good, -errno */
	uint16_t order_max;	   /* client: of the rings that it accepts */
	bool gone_reported;	   /* a wait has told that the peer is gone */
	uint32_t peeked, reserved; /* what the caller may still consume, commit */
	struct vchan_shm shm;
	struct vchan_pace pace;
	struct libvchan_stats stats;
};

/*
 * How much to ask for when `want` bytes of data (space) would do, and for how long that is right; *ret_timeout may be
 * VCHAN_FOREVER.
 */
uint32_t vchan_pace_data(struct libvchan *ctrl, uint32_t want, int64_t *ret_timeout);
uint32_t vchan_pace_space(struct libvchan *ctrl, uint32_t want, int64_t *ret_timeout);
/*
 * Looks for a moment whether `want` bytes of data (space) appear, before going to sleep for them: waking up takes longer
 * than a peer that runs needs for its next step. False: they did not.
 */
bool vchan_pace_linger(struct libvchan *ctrl, bool data, uint32_t want);
/*
 * The caller looks how much is ready, and that is what it saw before: it waits for more. Else it is about to read, and a
 * writer that sleeps for space is told when it has done so.
 */
bool vchan_pace_stuck(struct libvchan *ctrl, uint32_t ready);
/* A wait ended; without an event if the time that is set above ran out. */
void vchan_pace_woken(struct libvchan *ctrl, bool timed_out);
/* The caller is going to wait by itself, with libvchan_wait() or its descriptor. */
void vchan_pace_arm(struct libvchan *ctrl, int64_t timeout);
void vchan_pace_disarm(struct libvchan *ctrl);
/* That wait is to end at once. */
void vchan_pace_expire(struct libvchan *ctrl);
/* Time until the deadline, at least 0, or VCHAN_FOREVER. */
int64_t vchan_pace_left(const struct libvchan *ctrl);

/* Create a handle; on failure nothing is left. The rest of struct libvchan is filled by libvchan.c. */
int vchan_local_server(const struct vchan_uri *uri, int domain, int port, uint16_t left_order,
		       uint16_t right_order, struct libvchan **ret_ctrl);
int vchan_local_client(const struct vchan_uri *uri, int domain, int port,
		       struct libvchan **ret_ctrl);
int vchan_xen_server(const struct vchan_uri *uri, int domain, int port, uint16_t left_order,
		     uint16_t right_order, struct libvchan **ret_ctrl);
int vchan_xen_client(const struct vchan_uri *uri, int domain, int port, struct libvchan **ret_ctrl);

#endif
