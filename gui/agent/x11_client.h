/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent as a client of Xwayland: the system tray, and the clipboard of programs without a focused window. */
#ifndef AGENT_X11_CLIENT_H
#define AGENT_X11_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <wayland-server-core.h>
#include <xcb/xcb.h>

struct agent;

enum x11_atom {
	X11_CLIPBOARD,
	X11_INCR,
	X11_MANAGER,
	X11_PIECE, /* the property in which the clipboard's text is delivered */
	X11_SUPPORTING_WM,
	X11_TRAY,
	X11_TRAY_OPCODE,
	X11_UTF8_STRING,
	X11_XEMBED,
	X11_ATOMS,
};

struct x11_client {
	struct agent *agent;
	xcb_connection_t *xcb; /* NULL: Xwayland does not run */
	struct wl_event_source *source;
	xcb_window_t root, window;
	xcb_visualid_t visual;
	uint8_t depth;
	uint32_t black;
	xcb_atom_t atoms[X11_ATOMS];

	/* A request whose answer says that Xwayland has done what it was asked before; see x11_client_await(). */
	bool awaits;
	unsigned int awaited;
	struct wl_event_source *limit;

	struct wl_list icons; /* tray.c */

	/* x11_clip.c: the reading of a selection; `bytes` NULL: none */
	char *bytes;
	size_t length;
	bool pieces; /* the owner sends it in pieces (ICCCM 2.7.2) */
};

/* 0 or -errno. */
int x11_client_create(struct agent *agent);
void x11_client_destroy(struct agent *agent);
/* Xwayland has started: connects to its display. What fails is logged; the tray is missing then. */
void x11_client_connect(struct agent *agent, const char *display);
void x11_client_flush(struct x11_client *client);
/*
 * Input that follows is held back (see incoming.c) until Xwayland has done what it was asked so far, by whatever
 * connection: what comes from Wayland it takes before the requests of X11 clients that came earlier, so that keys
 * would be lost that follow a change of the focus at once.
 */
void x11_client_await(struct agent *agent);
bool x11_client_awaits(const struct agent *agent);
/* A click that only those see who have grabbed the pointer, as menus do: it is in no program's window. */
void x11_client_click_outside(struct agent *agent);

/* tray.c */

/* Offers the tray to programs. */
void tray_start(struct x11_client *client);
/* True: the event was the tray's. */
bool tray_event(struct x11_client *client, const xcb_generic_event_t *event);
/* The connection is gone. */
void tray_stop(struct x11_client *client);
/* Whether the X11 window is one that the tray made to hold an icon. */
bool tray_has(struct agent *agent, xcb_window_t window);

/* x11_clip.c */

/* True if a program of X11 owns the clipboard: its text comes by clipboard_x11_done(). */
bool x11_clip_read(struct agent *agent);
/* The reading is given up. */
void x11_clip_cancel(struct agent *agent);
bool x11_clip_event(struct x11_client *client, const xcb_generic_event_t *event);

#endif
