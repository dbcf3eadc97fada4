// SPDX-License-Identifier: GPL-2.0-or-later
// X11's windows, by Xwayland: configured with the places that the daemon gives them.
#include "agent.h"
#include "monitors.h"
#include "cursor.h"
#include "input.h"
#include "shell.h"
#include "surface.h"
#include "window.h"
#include "x11_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <wlr/types/wlr_surface.h>
#include <wlr/xwayland.h>

#define HINTS_KNOWN                                                                    \
 (GUI_HINT_USER_POSITION | GUI_HINT_POSITION | GUI_HINT_MIN_SIZE | GUI_HINT_MAX_SIZE | \
  GUI_HINT_INCREMENT | GUI_HINT_BASE_SIZE)

struct x11_window {
	struct window window;
	struct wlr_xwayland_surface *x11;
	struct wlr_box restored; /* where it was before it was maximised; width 0: nowhere */

	struct wl_listener map, unmap, destroy;
	struct wl_listener request_configure, request_minimize, request_maximize;
	struct wl_listener request_fullscreen, request_activate;
	struct wl_listener set_title, set_class, set_parent, set_hints;
	struct wl_listener set_override_redirect, set_geometry;
};

static struct x11_window *x11_of(struct window *window)
{
	struct x11_window *self = wl_container_of(window, self, window);

	return self;
}

static void configure_client(struct x11_window *self, const struct wlr_box *box)
{
	wlr_xwayland_surface_configure(self->x11, (int16_t)box->x, (int16_t)box->y,
				       (uint16_t)box->width, (uint16_t)box->height);
}

static void x11_configure(struct window *window, const struct wlr_box *box)
{
	configure_client(x11_of(window), box);
}

static void x11_activate(struct window *window, bool active)
{
	struct x11_window *self = x11_of(window);

	if (self->x11->override_redirect)
		return;
	/* Keys that came before are on their way before. Not wl_display_flush_clients(), which may end clients. */
	if (window->surface)
		wl_client_flush(wl_resource_get_client(window->surface->resource));
	wlr_xwayland_surface_activate(self->x11, active);
	if (!active)
		return;
	wlr_xwayland_surface_restack(self->x11, NULL, XCB_STACK_MODE_ABOVE);
	x11_client_await(window->agent);
}

static void x11_close(struct window *window)
{
	wlr_xwayland_surface_close(x11_of(window)->x11);
}

static void x11_flags(struct window *window, uint32_t set, uint32_t unset)
{
	struct x11_window *self = x11_of(window);

	if ((set | unset) & GUI_FLAG_FULLSCREEN)
		wlr_xwayland_surface_set_fullscreen(self->x11, set & GUI_FLAG_FULLSCREEN);
	if ((set | unset) & GUI_FLAG_MINIMIZE)
		wlr_xwayland_surface_set_minimized(self->x11, set & GUI_FLAG_MINIMIZE);
}

static void update_crop(struct x11_window *self)
{
	struct wlr_surface *surface = self->x11->surface;

	self->window.crop = (struct wlr_box){.width = surface->current.width,
					     .height = surface->current.height};
	if (self->window.crop.width < 1)
		self->window.crop.width = 1;
	if (self->window.crop.height < 1)
		self->window.crop.height = 1;
}

static void x11_committed(struct window *window)
{
	update_crop(x11_of(window));
}

static const struct window_ops x11_ops = {
	.configure = x11_configure,
	.activate = x11_activate,
	.close = x11_close,
	.flags = x11_flags,
	.committed = x11_committed,
};

static uint32_t positive(int32_t value)
{
	return value > 0 ? (uint32_t)value : 0;
}

/*
 * WM_NORMAL_HINTS as the property has them (ICCCM 4.1.2.3). wlroots 0.15 copies them so into its structure, which has other
 * members after width_inc and height_inc; later versions have this order, too.
 */
struct size_hints {
	uint32_t flags;
	int32_t x, y, width, height;
	int32_t min_width, min_height, max_width, max_height;
	int32_t width_inc, height_inc;
	int32_t min_aspect[2], max_aspect[2];
	int32_t base_width, base_height;
	uint32_t gravity;
};
_Static_assert(sizeof(struct size_hints) == 18 * 4, "ICCCM 4.1.2.3");
_Static_assert(sizeof(*((struct wlr_xwayland_surface *)0)->size_hints) == sizeof(struct size_hints),
	       "wlroots");

/* The flags of the protocol are those of the property. */
static void update_hints(struct x11_window *self)
{
	struct gui_hints hints = {0};
	struct size_hints from;

	if (self->x11->size_hints) {
		memcpy(&from, self->x11->size_hints, sizeof(from));
		hints.flags = from.flags & HINTS_KNOWN;
		hints.min_width = positive(from.min_width);
		hints.min_height = positive(from.min_height);
		hints.max_width = positive(from.max_width);
		hints.max_height = positive(from.max_height);
		hints.width_inc = positive(from.width_inc);
		hints.height_inc = positive(from.height_inc);
		hints.base_width = positive(from.base_width);
		hints.base_height = positive(from.base_height);
	}
	window_set_hints(&self->window, &hints);
	if (self->x11->hints_urgency)
		window_set_flags(&self->window, self->window.flags | GUI_FLAG_ATTENTION);
	else
		window_set_flags(&self->window, self->window.flags & ~GUI_FLAG_ATTENTION);
}

static void update_box(struct x11_window *self)
{
	struct wlr_box box = {.x = self->x11->x,
			      .y = self->x11->y,
			      .width = self->x11->width,
			      .height = self->x11->height};

	window_set_box(&self->window, &box);
}

static void update_parent(struct x11_window *self)
{
	struct wlr_xwayland_surface *parent = self->x11->parent;

	window_set_parent(&self->window, parent ? parent->data : NULL);
}

static void handle_map(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, map);

	(void)data;
	self->window.docked = tray_has(self->window.agent, self->x11->window_id);
	self->window.override_redirect = self->x11->override_redirect && !self->window.docked;
	update_hints(self);
	update_parent(self);
	update_box(self);
	update_crop(self);
	if (self->x11->fullscreen)
		window_set_flags(&self->window, self->window.flags | GUI_FLAG_FULLSCREEN);
	/* Above what it belongs to: Xwayland finds by the stack what is under the pointer. */
	wlr_xwayland_surface_restack(self->x11, NULL, XCB_STACK_MODE_ABOVE);
	window_map(&self->window, self->x11->surface);
	surface_show(&self->window);
}

static void handle_unmap(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, unmap);

	(void)data;
	surface_hide(&self->window);
	window_unmap(&self->window);
}

static void handle_request_configure(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, request_configure);
	const struct wlr_xwayland_surface_configure_event *event = data;
	struct wlr_box box = {.x = event->x,
			      .y = event->y,
			      .width = event->width,
			      .height = event->height};

	/* The client gets what it asks for; the daemon hears of it, and has the last word. */
	configure_client(self, &box);
	if (self->window.created || self->window.mapped)
		window_set_box(&self->window, &box);
}

static void handle_set_geometry(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, set_geometry);

	(void)data;
	if (self->x11->override_redirect)
		update_box(self);
}

static void handle_request_minimize(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, request_minimize);
	const struct wlr_xwayland_minimize_event *event = data;

	if (event->minimize)
		window_set_flags(&self->window, self->window.flags | GUI_FLAG_MINIMIZE);
	else
		window_set_flags(&self->window, self->window.flags & ~GUI_FLAG_MINIMIZE);
}

static void handle_request_maximize(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, request_maximize);
	bool wanted = self->x11->maximized_vert && self->x11->maximized_horz;
	struct wlr_box box = self->window.box;

	(void)data;
	if (wanted) {
		self->restored = self->window.mapped ? box : (struct wlr_box){0};
		monitors_screen(self->window.agent, &box);
	} else if (self->restored.width) {
		box = self->restored;
	}
	wlr_xwayland_surface_set_maximized(self->x11, wanted);
	configure_client(self, &box);
	window_set_box(&self->window, &box);
}

static void handle_request_fullscreen(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, request_fullscreen);

	(void)data;
	if (self->x11->fullscreen)
		window_set_flags(&self->window, self->window.flags | GUI_FLAG_FULLSCREEN);
	else
		window_set_flags(&self->window, self->window.flags & ~GUI_FLAG_FULLSCREEN);
}

static void handle_request_activate(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, request_activate);

	(void)data;
	if (self->window.mapped && !input_has_focus(self->window.agent, &self->window))
		window_set_flags(&self->window, self->window.flags | GUI_FLAG_ATTENTION);
}

static void handle_set_title(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, set_title);

	(void)data;
	window_set_title(&self->window, self->x11->title);
}

static void handle_set_class(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, set_class);

	(void)data;
	window_set_class(&self->window, self->x11->class, self->x11->instance);
}

static void handle_set_parent(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, set_parent);

	(void)data;
	update_parent(self);
}

static void handle_set_hints(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, set_hints);

	(void)data;
	update_hints(self);
}

/* The daemon takes another kind only of a window that it shows anew. */
static void handle_set_override_redirect(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, set_override_redirect);
	struct wlr_surface *surface = self->window.surface;

	(void)data;
	if (surface) {
		surface_hide(&self->window);
		window_unmap(&self->window);
	}
	self->window.override_redirect = self->x11->override_redirect;
	if (surface) {
		window_map(&self->window, surface);
		surface_show(&self->window);
	}
}

static void handle_destroy(struct wl_listener *listener, void *data)
{
	struct x11_window *self = wl_container_of(listener, self, destroy);

	(void)data;
	surface_hide(&self->window);
	window_finish(&self->window);
	self->x11->data = NULL;
	wl_list_remove(&self->map.link);
	wl_list_remove(&self->unmap.link);
	wl_list_remove(&self->destroy.link);
	wl_list_remove(&self->request_configure.link);
	wl_list_remove(&self->request_minimize.link);
	wl_list_remove(&self->request_maximize.link);
	wl_list_remove(&self->request_fullscreen.link);
	wl_list_remove(&self->request_activate.link);
	wl_list_remove(&self->set_title.link);
	wl_list_remove(&self->set_class.link);
	wl_list_remove(&self->set_parent.link);
	wl_list_remove(&self->set_hints.link);
	wl_list_remove(&self->set_override_redirect.link);
	wl_list_remove(&self->set_geometry.link);
	free(self);
}

static void listen(struct wl_listener *listener, struct wl_signal *signal, wl_notify_func_t notify)
{
	listener->notify = notify;
	wl_signal_add(signal, listener);
}

static void handle_new_surface(struct wl_listener *listener, void *data)
{
	struct shell *shell = wl_container_of(listener, shell, new_xwayland_surface);
	struct wlr_xwayland_surface *x11 = data;
	struct x11_window *self = calloc(1, sizeof(*self));

	if (!self) {
		agent_log("no memory for a window of X11; it is not shown");
		return;
	}
	window_init(&self->window, shell->agent, &x11_ops);
	self->window.x11_window = x11->window_id;
	self->x11 = x11;
	x11->data = &self->window;
	listen(&self->map, &x11->events.map, handle_map);
	listen(&self->unmap, &x11->events.unmap, handle_unmap);
	listen(&self->destroy, &x11->events.destroy, handle_destroy);
	listen(&self->request_configure, &x11->events.request_configure, handle_request_configure);
	listen(&self->request_minimize, &x11->events.request_minimize, handle_request_minimize);
	listen(&self->request_maximize, &x11->events.request_maximize, handle_request_maximize);
	listen(&self->request_fullscreen, &x11->events.request_fullscreen,
	       handle_request_fullscreen);
	listen(&self->request_activate, &x11->events.request_activate, handle_request_activate);
	listen(&self->set_title, &x11->events.set_title, handle_set_title);
	listen(&self->set_class, &x11->events.set_class, handle_set_class);
	listen(&self->set_parent, &x11->events.set_parent, handle_set_parent);
	listen(&self->set_hints, &x11->events.set_hints, handle_set_hints);
	listen(&self->set_override_redirect, &x11->events.set_override_redirect,
	       handle_set_override_redirect);
	listen(&self->set_geometry, &x11->events.set_geometry, handle_set_geometry);
}

static void handle_ready(struct wl_listener *listener, void *data)
{
	struct shell *shell = wl_container_of(listener, shell, xwayland_ready);

	(void)data;
	cursor_set_default(shell->agent, shell->xwayland);
	x11_client_connect(shell->agent, shell->xwayland->display_name);
}

int x11_create(struct shell *shell, struct wlr_compositor *compositor)
{
	struct wlr_xwayland *xwayland = wlr_xwayland_create(shell->agent->display, compositor,
							    true);

	if (!xwayland)
		return -ENOENT;
	shell->xwayland = xwayland;
	wlr_xwayland_set_seat(xwayland, input_seat(shell->agent));
	shell->new_xwayland_surface.notify = handle_new_surface;
	wl_signal_add(&xwayland->events.new_surface, &shell->new_xwayland_surface);
	shell->xwayland_ready.notify = handle_ready;
	wl_signal_add(&xwayland->events.ready, &shell->xwayland_ready);
	return 0;
}

void x11_destroy(struct shell *shell)
{
	if (!shell->xwayland)
		return;
	wlr_xwayland_destroy(shell->xwayland);
	shell->xwayland = NULL;
}
