/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shapes of the pointer: the protocol has numbers of X's cursor font, clients have pictures. */
#ifndef AGENT_CURSOR_H
#define AGENT_CURSOR_H

struct agent;
struct wlr_surface;
struct wlr_xwayland;

/* To be called after input_create(). 0 or -errno. */
int cursor_create(struct agent *agent);
void cursor_destroy(struct agent *agent);

/* A surface that belongs to no window was committed: it may be a pointer's picture. */
void cursor_committed(struct agent *agent, struct wlr_surface *surface);
/* The pointer has left the qube's windows. */
void cursor_left(struct agent *agent);
/* X11's windows without a pointer of their own have that of the theme. */
void cursor_set_default(struct agent *agent, struct wlr_xwayland *xwayland);

#endif
