/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The globals of a compositor that clients of tests use. */
#ifndef TESTS_WL_GLOBALS_H
#define TESTS_WL_GLOBALS_H

#include <wayland-client.h>
#include "xdg-shell-client-protocol.h"

/* NULL: not announced so far. */
struct globals {
	struct wl_compositor *compositor;
	struct wl_subcompositor *subcompositor;
	struct wl_shm *shm;
	struct xdg_wm_base *wm_base;
	struct wl_seat *seat;
	struct wl_data_device_manager *data_manager;
};

/* Binds them as they are announced, into *globals, which has to stay. */
void globals_listen(struct wl_display *display, struct globals *globals);

#endif
