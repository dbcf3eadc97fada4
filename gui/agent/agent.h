/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent's parts in one structure, for the modules that need several of them. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <wayland-server-core.h>

#include "../common/channel.h"
#include "../common/grant.h"
#include "../common/protocol.h"

struct clipboard;
struct cursor;
struct icons;
struct input;
struct monitors;
struct shell;
struct wlr_backend;
struct wlr_renderer;
struct x11_client;

struct agent_options {
	const char *uri;	     /* as libvchan has it; NULL: from the environment */
	int peer;		     /* domain of the daemon */
	const char *keyboard_layout; /* LAYOUT[+VARIANT[+OPTIONS]]; NULL: from the environment */
	uint32_t version;	     /* to announce */
	bool xwayland;
	uint32_t pages_max; /* to share at most; 0: as many as the kernel gives */
};

/* Counted since the start, for tests and measurements; shown by SIGUSR1. */
struct agent_stats {
	uint64_t commits;      /* of surfaces that belong to windows */
	uint64_t copied_bytes; /* from client buffers into shared pages */
	uint64_t shadow_bytes; /* from client buffers into private copies, see surface.c */
	uint64_t damage_sent;  /* SHMIMAGE messages */
	uint64_t dumps_sent;
	uint64_t frames_done; /* frame callbacks answered, counted by window */
	uint64_t no_pages;    /* buffers that could not be shared */
};

struct agent {
	struct agent_options options;
	struct wl_display *display;
	struct wl_event_loop *loop;
	struct wlr_backend *backend;
	struct wlr_renderer *renderer;
	const char *socket; /* of Wayland's display */
	struct agent_stats stats;

	/* link.c */
	struct gui_channel *channel;
	struct gui_grants *grants; /* outlives all windows */
	bool connected;		   /* the handshake is over */
	bool broken;		   /* a message could not be sent */
	uint32_t version;
	struct wl_event_source *channel_source, *listen_timer, *again_source;
	int again_fd;

	/* incoming.c */
	struct wl_list held; /* input that waits, see x11_client_await() */
	struct wl_event_source *held_idle;

	/* window.c */
	struct wl_list windows; /* of struct window, most recently shown or focused first */
	struct wl_list dying;	/* destroyed, the daemon has not said so yet */
	uint32_t last_id;
	uint32_t pages; /* shared now, see options.pages_max */

	/* surface.c, frame.c */
	struct wl_list surfaces; /* of struct surface */
	struct wl_listener new_surface;
	struct wl_event_source *trees_idle; /* windows whose tree has changed without a commit */
	struct wl_event_source *frame_timer;

	struct monitors *monitors;
	struct shell *shell;
	struct input *input;
	struct cursor *cursor;
	struct clipboard *clipboard;
	struct x11_client *x11_client;
	struct icons *icons; /* NULL: nobody sends icons */
};

/* agent.c: the compositor and its parts. 0 or -errno; what is wrong was logged. */
int agent_create(struct agent *agent, const struct agent_options *options, const char *socket);
void agent_destroy(struct agent *agent);
/* Logs the counters. */
void agent_log_stats(const struct agent *agent);

/* Milliseconds of the monotonic clock, as input events and frame callbacks carry them. */
uint32_t agent_now(void);
void agent_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* link.c: connects to the daemon, again and again. 0 or -errno. */
int link_create(struct agent *agent);
void link_destroy(struct agent *agent);
/* Whether a message may be sent now: there is a daemon, and it reads what it gets. */
bool link_open(const struct agent *agent);
/* Sends; an error ends the connection later, not the caller's work. */
void link_send(struct agent *agent, uint32_t type, uint32_t window, const void *body,
	       size_t length);
void link_send_two(struct agent *agent, uint32_t type, uint32_t window, const void *first,
		   size_t first_length, const void *second, size_t second_length);

/* What is sent between these two goes out at the second: the daemon is woken once. */
void link_hold(struct agent *agent);
void link_release(struct agent *agent);

/* incoming.c: a checked message of the daemon. 0, or -errno: the connection has to end. */
int incoming_message(struct agent *agent, const struct gui_header *header, const void *body);
/* What x11_client_awaits() has held back may go on, soon. */
void incoming_continue(struct agent *agent);
/* The daemon is gone: what was held back is forgotten. */
void incoming_forget(struct agent *agent);

#endif
