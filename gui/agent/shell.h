/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where windows come from: Wayland's xdg_shell and X11. */
#ifndef AGENT_SHELL_H
#define AGENT_SHELL_H

#include <stdbool.h>

#include <wayland-server-core.h>

struct agent;
struct wlr_box;
struct wlr_compositor;
struct wlr_surface;
struct wlr_xwayland;

struct shell {
	struct agent *agent;
	struct wlr_xwayland *xwayland; /* NULL: without X11 */
	struct wl_listener new_xdg_surface, new_decoration, activation;
	struct wl_listener new_xwayland_surface, xwayland_ready;
};

/* xdg.c: toplevels and popups of Wayland clients, decorations by the daemon. 0 or -errno. */
int xdg_create(struct shell *shell);
/* x11.c: Xwayland, started when the first X11 client connects. 0 or -errno. */
int x11_create(struct shell *shell, struct wlr_compositor *compositor);
void x11_destroy(struct shell *shell);

#endif
