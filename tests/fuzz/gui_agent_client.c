// SPDX-License-Identifier: GPL-2.0-or-later
// The client of the fuzzed agent: owns a selection, answers what it has to answer, and redraws after each event.
#include "gui_agent_client.h"

#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../gui/wl_globals.h"
/* The tables of the protocol, which no library has. */
#include "xdg-shell.c"

#define WIDTH  40
#define HEIGHT 30

struct shown {
	struct wl_surface *surface;
	struct xdg_surface *xdg;
	struct xdg_toplevel *toplevel;
	struct xdg_popup *popup;
};

static struct wl_display *display;
static struct globals globals;
static struct wl_data_device *data_device;
static struct wl_buffer *buffer;
static struct shown shown[3];
static int step;

static void redraw(struct shown *window)
{
	wl_surface_attach(window->surface, buffer, 0, 0);
	wl_surface_damage(window->surface, 1, 1, 5, 5);
	wl_surface_commit(window->surface);
}

static void handle_configure(void *data, struct xdg_surface *xdg, uint32_t serial)
{
	xdg_surface_ack_configure(xdg, serial);
	redraw(data);
}

static const struct xdg_surface_listener xdg_listener = {.configure = handle_configure};

static void handle_toplevel(void *data, struct xdg_toplevel *toplevel, int32_t width,
			    int32_t height, struct wl_array *states)
{
	(void)data;
	(void)toplevel;
	(void)width;
	(void)height;
	(void)states;
}

static void handle_close(void *data, struct xdg_toplevel *toplevel)
{
	(void)data;
	/* Asks for something instead: requests are told to the daemon. */
	xdg_toplevel_set_fullscreen(toplevel, NULL);
	xdg_toplevel_set_maximized(toplevel);
}

static const struct xdg_toplevel_listener toplevel_listener = {.configure = handle_toplevel,
							       .close = handle_close};

static void handle_popup(void *data, struct xdg_popup *popup, int32_t x, int32_t y, int32_t width,
			 int32_t height)
{
	(void)data;
	(void)popup;
	(void)x;
	(void)y;
	(void)width;
	(void)height;
}

static void handle_done(void *data, struct xdg_popup *popup)
{
	(void)data;
	(void)popup;
}

static const struct xdg_popup_listener popup_listener = {.configure = handle_popup,
							 .popup_done = handle_done};

static void make_buffer(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct wl_shm_pool *pool;

	if (fd < 0 || ftruncate(fd, WIDTH * HEIGHT * 4))
		abort();
	pool = wl_shm_create_pool(globals.shm, fd, WIDTH * HEIGHT * 4);
	buffer = wl_shm_pool_create_buffer(pool, 0, WIDTH, HEIGHT, WIDTH * 4,
					   WL_SHM_FORMAT_ARGB8888);
	wl_shm_pool_destroy(pool);
	close(fd);
}

static void new_surface(struct shown *window)
{
	window->surface = wl_compositor_create_surface(globals.compositor);
	window->xdg = xdg_wm_base_get_xdg_surface(globals.wm_base, window->surface);
	xdg_surface_add_listener(window->xdg, &xdg_listener, window);
}

static void new_toplevel(struct shown *window)
{
	new_surface(window);
	window->toplevel = xdg_surface_get_toplevel(window->xdg);
	xdg_toplevel_add_listener(window->toplevel, &toplevel_listener, window);
	wl_surface_commit(window->surface);
}

static void new_popup(struct shown *window, struct shown *parent)
{
	struct xdg_positioner *positioner = xdg_wm_base_create_positioner(globals.wm_base);

	xdg_positioner_set_size(positioner, WIDTH, HEIGHT);
	xdg_positioner_set_anchor_rect(positioner, 0, 0, 10, 10);
	new_surface(window);
	window->popup = xdg_surface_get_popup(window->xdg, parent->xdg, positioner);
	xdg_positioner_destroy(positioner);
	xdg_popup_add_listener(window->popup, &popup_listener, window);
	wl_surface_commit(window->surface);
}

static void source_send(void *data, struct wl_data_source *source, const char *type, int fd)
{
	(void)data;
	(void)source;
	(void)type;
	/* Closed without a byte: the reader may not wait for more. */
	close(fd);
}

static void source_target(void *data, struct wl_data_source *source, const char *type)
{
	(void)data;
	(void)source;
	(void)type;
}

static void source_cancelled(void *data, struct wl_data_source *source)
{
	(void)data;
	wl_data_source_destroy(source);
}

static const struct wl_data_source_listener source_listener = {.target = source_target,
							       .send = source_send,
							       .cancelled = source_cancelled};

static void key_map(void *data, struct wl_keyboard *keyboard, uint32_t format, int fd,
		    uint32_t size)
{
	(void)data;
	(void)keyboard;
	(void)format;
	(void)size;
	close(fd);
}

static void key_enter(void *data, struct wl_keyboard *keyboard, uint32_t serial,
		      struct wl_surface *surface, struct wl_array *keys)
{
	struct wl_data_source *source = wl_data_device_manager_create_data_source(
		globals.data_manager);

	(void)data;
	(void)keyboard;
	(void)surface;
	(void)keys;
	wl_data_source_add_listener(source, &source_listener, NULL);
	wl_data_source_offer(source, "text/plain");
	wl_data_device_set_selection(data_device, source, serial);
}

static void key_leave(void *data, struct wl_keyboard *keyboard, uint32_t serial,
		      struct wl_surface *surface)
{
	(void)data;
	(void)keyboard;
	(void)serial;
	(void)surface;
}

static void key_key(void *data, struct wl_keyboard *keyboard, uint32_t serial, uint32_t time,
		    uint32_t key, uint32_t state)
{
	(void)data;
	(void)keyboard;
	(void)serial;
	(void)time;
	(void)key;
	(void)state;
	redraw(&shown[0]);
}

static void key_modifiers(void *data, struct wl_keyboard *keyboard, uint32_t serial,
			  uint32_t depressed, uint32_t latched, uint32_t locked, uint32_t group)
{
	(void)data;
	(void)keyboard;
	(void)serial;
	(void)depressed;
	(void)latched;
	(void)locked;
	(void)group;
}

static void key_repeat(void *data, struct wl_keyboard *keyboard, int32_t rate, int32_t delay)
{
	(void)data;
	(void)keyboard;
	(void)rate;
	(void)delay;
}

static const struct wl_keyboard_listener keyboard_listener = {
	.keymap = key_map,
	.enter = key_enter,
	.leave = key_leave,
	.key = key_key,
	.modifiers = key_modifiers,
	.repeat_info = key_repeat,
};

void client_start(int fd)
{
	display = wl_display_connect_to_fd(fd);
	if (!display)
		abort();
	globals_listen(display, &globals);
}

void client_turn(void)
{
	struct pollfd fd = {.fd = wl_display_get_fd(display), .events = POLLIN};

	while (wl_display_prepare_read(display))
		wl_display_dispatch_pending(display);
	wl_display_flush(display);
	if (poll(&fd, 1, 0) > 0)
		wl_display_read_events(display);
	else
		wl_display_cancel_read(display);
	if (wl_display_dispatch_pending(display) < 0)
		abort();
}

void client_continue(void)
{
	struct wl_keyboard *keyboard;

	switch (step++) {
	case 1:
		make_buffer();
		keyboard = wl_seat_get_keyboard(globals.seat);
		wl_keyboard_add_listener(keyboard, &keyboard_listener, NULL);
		wl_seat_get_pointer(globals.seat);
		data_device = wl_data_device_manager_get_data_device(globals.data_manager,
								     globals.seat);
		new_toplevel(&shown[0]);
		new_toplevel(&shown[1]);
		break;
	case 3:
		new_popup(&shown[2], &shown[0]);
		break;
	default:
		break;
	}
}
