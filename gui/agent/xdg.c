// SPDX-License-Identifier: GPL-2.0-or-later
// Wayland's xdg_shell: toplevels are windows, popups are override-redirect windows at their real places.
#include "agent.h"
#include "monitors.h"
#include "shell.h"
#include "surface.h"
#include "window.h"

#include <errno.h>
#include <stdlib.h>

#include <wlr/types/wlr_server_decoration.h>
#include <wlr/types/wlr_surface.h>
#include <wlr/types/wlr_xdg_activation_v1.h>
#include <wlr/types/wlr_xdg_decoration_v1.h>
#include <wlr/types/wlr_xdg_shell.h>
#include <wlr/util/edges.h>

struct xdg_window {
	struct window window;
	struct wlr_xdg_surface *xdg;
	struct wlr_box restored; /* where it was before it was maximised; width 0: nowhere */
	uint32_t serial;	 /* of the configure event that the client has to answer first */
	bool serial_waits;
	bool maximized;

	struct wl_listener map, unmap, destroy;
	struct wl_listener set_title, set_app_id, set_parent;
	struct wl_listener request_maximize, request_fullscreen, request_minimize;
};

static struct xdg_window *xdg_of(struct window *window)
{
	struct xdg_window *self = wl_container_of(window, self, window);

	return self;
}

static struct window *window_of(struct wlr_surface *surface)
{
	struct wlr_xdg_surface *xdg;

	if (!surface || !wlr_surface_is_xdg_surface(surface))
		return NULL;
	xdg = wlr_xdg_surface_from_wlr_surface(surface);
	return xdg ? xdg->data : NULL;
}

/* The window is what the client calls its geometry: without shadows that it draws around itself. */
static void update_crop(struct xdg_window *self)
{
	wlr_xdg_surface_get_geometry(self->xdg, &self->window.crop);
	if (self->window.crop.width < 1)
		self->window.crop.width = 1;
	if (self->window.crop.height < 1)
		self->window.crop.height = 1;
}

static int limited(int value)
{
	int max = (int)GUI_MAX_WIDTH * 2;

	return value < -max ? -max : value > max ? max : value;
}

static void popup_place(struct xdg_window *self)
{
	struct wlr_xdg_popup *popup = self->xdg->popup;
	struct window *parent = window_of(popup->parent);
	struct wlr_box box = {.x = popup->geometry.x,
			      .y = popup->geometry.y,
			      .width = self->window.crop.width,
			      .height = self->window.crop.height};

	/* Clients say what they like: sums must not overflow. */
	box.x = limited(box.x) + (parent ? parent->box.x : 0);
	box.y = limited(box.y) + (parent ? parent->box.y : 0);
	window_set_parent(&self->window, parent);
	window_set_box(&self->window, &box);
}

/* Popups go where their parent goes. */
static void popups_place(struct wlr_xdg_surface *xdg)
{
	struct wlr_xdg_popup *popup;

	wl_list_for_each(popup, &xdg->popups, link)
	{
		if (popup->base->data)
			popup_place(xdg_of(popup->base->data));
		popups_place(popup->base);
	}
}

/* The screen in coordinates of the toplevel's surface, so that a popup is bent to stay on it. */
static void popup_constrain(struct wlr_xdg_popup *popup)
{
	struct wlr_surface *surface = popup->parent;
	struct wlr_box box, geometry;
	struct window *window;

	while (surface && wlr_surface_is_xdg_surface(surface)) {
		struct wlr_xdg_surface *xdg = wlr_xdg_surface_from_wlr_surface(surface);

		if (!xdg || xdg->role != WLR_XDG_SURFACE_ROLE_POPUP)
			break;
		surface = xdg->popup->parent;
	}
	window = window_of(surface);
	if (!window)
		return;
	wlr_xdg_surface_get_geometry(xdg_of(window)->xdg, &geometry);
	monitors_screen(window->agent, &box);
	box.x += geometry.x - window->box.x;
	box.y += geometry.y - window->box.y;
	wlr_xdg_popup_unconstrain_from_box(popup, &box);
}

static void update_hints(struct xdg_window *self)
{
	struct wlr_xdg_toplevel_state *state = &self->xdg->toplevel->current;
	struct gui_hints hints = {0};

	if (state->min_width || state->min_height) {
		hints.flags |= GUI_HINT_MIN_SIZE;
		hints.min_width = state->min_width;
		hints.min_height = state->min_height;
	}
	if (state->max_width || state->max_height) {
		hints.flags |= GUI_HINT_MAX_SIZE;
		hints.max_width = state->max_width ? state->max_width : GUI_MAX_WIDTH;
		hints.max_height = state->max_height ? state->max_height : GUI_MAX_HEIGHT;
	}
	window_set_hints(&self->window, &hints);
}

/* A client that has seen the daemon's size and takes another one: that is a request. */
static void toplevel_size(struct xdg_window *self)
{
	struct wlr_box box = self->window.box;

	if (self->serial_waits) {
		if ((int32_t)(self->xdg->current.configure_serial - self->serial) < 0)
			return;
		self->serial_waits = false;
	}
	box.width = self->window.crop.width;
	box.height = self->window.crop.height;
	window_set_box(&self->window, &box);
}

static void xdg_committed(struct window *window)
{
	struct xdg_window *self = xdg_of(window);

	update_crop(self);
	if (self->xdg->role == WLR_XDG_SURFACE_ROLE_POPUP) {
		popup_place(self);
		return;
	}
	update_hints(self);
	toplevel_size(self);
}

static void wait_for(struct xdg_window *self, uint32_t serial)
{
	self->serial = serial;
	self->serial_waits = true;
}

static void xdg_configure(struct window *window, const struct wlr_box *box)
{
	struct xdg_window *self = xdg_of(window);

	if (self->xdg->role == WLR_XDG_SURFACE_ROLE_POPUP || !self->xdg->added) {
		popups_place(self->xdg);
		return;
	}
	if (box->width != self->window.crop.width || box->height != self->window.crop.height ||
	    self->serial_waits)
		wait_for(self, wlr_xdg_toplevel_set_size(self->xdg, (uint32_t)box->width,
							 (uint32_t)box->height));
	popups_place(self->xdg);
}

static void xdg_activate(struct window *window, bool active)
{
	struct xdg_window *self = xdg_of(window);

	if (self->xdg->role == WLR_XDG_SURFACE_ROLE_TOPLEVEL)
		wlr_xdg_toplevel_set_activated(self->xdg, active);
}

static void xdg_close(struct window *window)
{
	struct xdg_window *self = xdg_of(window);

	if (self->xdg->role == WLR_XDG_SURFACE_ROLE_TOPLEVEL)
		wlr_xdg_toplevel_send_close(self->xdg);
	else
		wlr_xdg_popup_destroy(self->xdg);
}

static void xdg_flags(struct window *window, uint32_t set, uint32_t unset)
{
	struct xdg_window *self = xdg_of(window);

	if (self->xdg->role != WLR_XDG_SURFACE_ROLE_TOPLEVEL)
		return;
	if ((set | unset) & GUI_FLAG_FULLSCREEN)
		wlr_xdg_toplevel_set_fullscreen(self->xdg, set & GUI_FLAG_FULLSCREEN);
}

static const struct window_ops xdg_ops = {
	.configure = xdg_configure,
	.activate = xdg_activate,
	.close = xdg_close,
	.flags = xdg_flags,
	.committed = xdg_committed,
};

static void handle_map(struct wl_listener *listener, void *data)
{
	struct xdg_window *self = wl_container_of(listener, self, map);

	(void)data;
	update_crop(self);
	if (self->xdg->role == WLR_XDG_SURFACE_ROLE_POPUP) {
		popup_place(self);
	} else {
		update_hints(self);
		toplevel_size(self);
	}
	window_map(&self->window, self->xdg->surface);
	surface_show(&self->window);
}

static void handle_unmap(struct wl_listener *listener, void *data)
{
	struct xdg_window *self = wl_container_of(listener, self, unmap);

	(void)data;
	surface_hide(&self->window);
	window_unmap(&self->window);
}

static void remove_toplevel_listeners(struct xdg_window *self)
{
	wl_list_remove(&self->set_title.link);
	wl_list_remove(&self->set_app_id.link);
	wl_list_remove(&self->set_parent.link);
	wl_list_remove(&self->request_maximize.link);
	wl_list_remove(&self->request_fullscreen.link);
	wl_list_remove(&self->request_minimize.link);
}

static void handle_destroy(struct wl_listener *listener, void *data)
{
	struct xdg_window *self = wl_container_of(listener, self, destroy);

	(void)data;
	surface_hide(&self->window);
	window_finish(&self->window);
	self->xdg->data = NULL;
	wl_list_remove(&self->map.link);
	wl_list_remove(&self->unmap.link);
	wl_list_remove(&self->destroy.link);
	if (self->xdg->role == WLR_XDG_SURFACE_ROLE_TOPLEVEL)
		remove_toplevel_listeners(self);
	free(self);
}

static void handle_set_title(struct wl_listener *listener, void *data)
{
	struct xdg_window *self = wl_container_of(listener, self, set_title);

	(void)data;
	window_set_title(&self->window, self->xdg->toplevel->title);
}

static void handle_set_app_id(struct wl_listener *listener, void *data)
{
	struct xdg_window *self = wl_container_of(listener, self, set_app_id);
	const char *id = self->xdg->toplevel->app_id;

	(void)data;
	window_set_class(&self->window, id, id);
}

static void handle_set_parent(struct wl_listener *listener, void *data)
{
	struct xdg_window *self = wl_container_of(listener, self, set_parent);
	struct wlr_xdg_surface *parent = self->xdg->toplevel->parent;

	(void)data;
	window_set_parent(&self->window, parent ? parent->data : NULL);
}

/* The protocol has no such request: the window asks for the place of the whole screen, the daemon decides. */
static void handle_request_maximize(struct wl_listener *listener, void *data)
{
	struct xdg_window *self = wl_container_of(listener, self, request_maximize);
	bool wanted = self->xdg->toplevel->requested.maximized;
	struct wlr_box box = self->window.box;

	(void)data;
	if (wanted && !self->maximized) {
		self->restored = self->window.mapped ? box : (struct wlr_box){0};
		monitors_screen(self->window.agent, &box);
	} else if (!wanted && self->maximized && self->restored.width) {
		box = self->restored;
	}
	self->maximized = wanted;
	wlr_xdg_toplevel_set_maximized(self->xdg, wanted);
	wait_for(self,
		 wlr_xdg_toplevel_set_size(self->xdg, (uint32_t)box.width, (uint32_t)box.height));
	window_set_box(&self->window, &box);
}

static void handle_request_fullscreen(struct wl_listener *listener, void *data)
{
	struct xdg_window *self = wl_container_of(listener, self, request_fullscreen);
	uint32_t flags = self->window.flags & ~GUI_FLAG_FULLSCREEN;

	(void)data;
	if (self->xdg->toplevel->requested.fullscreen)
		flags |= GUI_FLAG_FULLSCREEN;
	window_set_flags(&self->window, flags);
	/* The client must get an answer; what was reached comes from the daemon. */
	wlr_xdg_surface_schedule_configure(self->xdg);
}

static void handle_request_minimize(struct wl_listener *listener, void *data)
{
	struct xdg_window *self = wl_container_of(listener, self, request_minimize);

	(void)data;
	window_set_flags(&self->window, self->window.flags | GUI_FLAG_MINIMIZE);
}

static void add_toplevel_listeners(struct xdg_window *self)
{
	struct wlr_xdg_toplevel *toplevel = self->xdg->toplevel;

	self->set_title.notify = handle_set_title;
	wl_signal_add(&toplevel->events.set_title, &self->set_title);
	self->set_app_id.notify = handle_set_app_id;
	wl_signal_add(&toplevel->events.set_app_id, &self->set_app_id);
	self->set_parent.notify = handle_set_parent;
	wl_signal_add(&toplevel->events.set_parent, &self->set_parent);
	self->request_maximize.notify = handle_request_maximize;
	wl_signal_add(&toplevel->events.request_maximize, &self->request_maximize);
	self->request_fullscreen.notify = handle_request_fullscreen;
	wl_signal_add(&toplevel->events.request_fullscreen, &self->request_fullscreen);
	self->request_minimize.notify = handle_request_minimize;
	wl_signal_add(&toplevel->events.request_minimize, &self->request_minimize);
}

static void toplevel_init(struct xdg_window *self)
{
	struct wlr_xdg_toplevel *toplevel = self->xdg->toplevel;

	add_toplevel_listeners(self);
	/*
	 * Edges that touch others: then toolkits draw no shadow, no round corners and no border for resizing, which the
	 * daemon's frame has no use for. Before version 2 of the protocol such windows would be called maximised.
	 */
	if (wl_resource_get_version(toplevel->resource) >=
	    XDG_TOPLEVEL_STATE_TILED_LEFT_SINCE_VERSION)
		wlr_xdg_toplevel_set_tiled(self->xdg, WLR_EDGE_TOP | WLR_EDGE_BOTTOM |
							      WLR_EDGE_LEFT | WLR_EDGE_RIGHT);
	/* What was set before the first commit was not signalled to us. */
	window_set_title(&self->window, toplevel->title);
	window_set_class(&self->window, toplevel->app_id, toplevel->app_id);
	window_set_parent(&self->window, toplevel->parent ? toplevel->parent->data : NULL);
	if (toplevel->requested.fullscreen)
		window_set_flags(&self->window, GUI_FLAG_FULLSCREEN);
}

static void handle_new_surface(struct wl_listener *listener, void *data)
{
	struct shell *shell = wl_container_of(listener, shell, new_xdg_surface);
	struct wlr_xdg_surface *xdg = data;
	struct xdg_window *self = calloc(1, sizeof(*self));

	if (!self) {
		wl_resource_post_no_memory(xdg->resource);
		return;
	}
	window_init(&self->window, shell->agent, &xdg_ops);
	self->xdg = xdg;
	xdg->data = &self->window;
	self->map.notify = handle_map;
	wl_signal_add(&xdg->events.map, &self->map);
	self->unmap.notify = handle_unmap;
	wl_signal_add(&xdg->events.unmap, &self->unmap);
	self->destroy.notify = handle_destroy;
	wl_signal_add(&xdg->events.destroy, &self->destroy);
	if (xdg->role == WLR_XDG_SURFACE_ROLE_TOPLEVEL) {
		toplevel_init(self);
	} else {
		self->window.override_redirect = true;
		popup_constrain(xdg->popup);
	}
}

static void handle_new_decoration(struct wl_listener *listener, void *data)
{
	struct wlr_xdg_toplevel_decoration_v1 *decoration = data;

	(void)listener;
	wlr_xdg_toplevel_decoration_v1_set_mode(decoration,
						WLR_XDG_TOPLEVEL_DECORATION_V1_MODE_SERVER_SIDE);
}

static void handle_activation(struct wl_listener *listener, void *data)
{
	const struct wlr_xdg_activation_v1_request_activate_event *event = data;
	struct window *window = window_of(event->surface);

	(void)listener;
	/* Whether it gets the focus is for the user to decide. */
	if (window && window->mapped)
		window_set_flags(window, window->flags | GUI_FLAG_ATTENTION);
}

int xdg_create(struct shell *shell)
{
	struct wl_display *display = shell->agent->display;
	struct wlr_xdg_shell *xdg_shell = wlr_xdg_shell_create(display);
	struct wlr_xdg_decoration_manager_v1 *decorations = wlr_xdg_decoration_manager_v1_create(
		display);
	struct wlr_server_decoration_manager *kde = wlr_server_decoration_manager_create(display);
	struct wlr_xdg_activation_v1 *activation = wlr_xdg_activation_v1_create(display);

	if (!xdg_shell || !decorations || !kde || !activation)
		return -ENOMEM;
	shell->new_xdg_surface.notify = handle_new_surface;
	wl_signal_add(&xdg_shell->events.new_surface, &shell->new_xdg_surface);
	shell->new_decoration.notify = handle_new_decoration;
	wl_signal_add(&decorations->events.new_toplevel_decoration, &shell->new_decoration);
	/* GTK 3 asks by this one, and takes its default. */
	wlr_server_decoration_manager_set_default_mode(kde,
						       WLR_SERVER_DECORATION_MANAGER_MODE_SERVER);
	shell->activation.notify = handle_activation;
	wl_signal_add(&activation->events.request_activate, &shell->activation);
	return 0;
}
