// SPDX-License-Identifier: GPL-2.0-or-later
// A Wayland client that does what lines on its standard input say, and prints what it hears.
//
//   toplevel NAME WIDTH HEIGHT COLOUR    a window, filled; it takes every size that it is given
//   popup NAME PARENT X Y W H GRAB       a popup below the anchor rectangle (X, Y, 10, 10) of PARENT; GRAB is 0 or 1
//   sub NAME PARENT X Y W H COLOUR       a subsurface that commits by itself
//   fill NAME X Y W H COLOUR             new pixels, damaged there, committed
//   place NAME X Y                       moves a subsurface (and commits its parent)
//   geometry NAME X Y W H                window geometry, with the next commit
//   scale NAME N / turn NAME N           scale and transform of the next buffers
//   limits NAME MINW MINH MAXW MAXH      size limits
//   title NAME TEXT / id NAME TEXT       title and application
//   parent NAME PARENT                   transient for
//   state NAME WHAT                      maximize unmaximize fullscreen unfullscreen minimize
//   cursor SIZE COLOUR | cursor hide     picture of the pointer, from now on
//   copy TEXT / paste                    owns the clipboard; reads it
//   repaint NAME COUNT                   full repaints at the pace of frame callbacks, then "repainted COUNT pace LEAST_MS"
//   toggle NAME                          from now on each key press changes the colour of the window
//   free NAME / sync                     destroys; prints "synced"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wl_globals.h"

#define NAME_MAX_LENGTH 32

struct window {
	struct wl_list link;
	char name[NAME_MAX_LENGTH];
	struct window *parent;
	struct wl_surface *surface;
	struct xdg_surface *xdg;
	struct xdg_toplevel *toplevel;
	struct xdg_popup *popup;
	struct wl_subsurface *sub;
	struct wl_buffer *buffer;
	uint32_t *pixels;
	int width, height, scale, given_width, given_height;
	uint32_t colour;
	int repaints, repainted;
	uint32_t framed, pace; /* ms: when the last one was, and the least that was between two */
	bool configured, toggles;
};

static struct wl_display *display;
static struct globals globals;
static struct wl_data_device *data_device;
static struct wl_data_offer *selection;
static struct wl_pointer *pointer;
static struct wl_surface *cursor_surface;
static bool cursor_set, cursor_hidden;
static uint32_t last_serial, enter_serial;
static char copied[300000];
static struct wl_list windows;

static struct window *find(const char *name)
{
	struct window *window;

	wl_list_for_each(window, &windows, link)
	{
		if (!strcmp(window->name, name))
			return window;
	}
	fprintf(stderr, "wl-client: no window %s\n", name);
	exit(1);
}

static const char *name_of(struct wl_surface *surface)
{
	struct window *window = surface ? wl_surface_get_user_data(surface) : NULL;

	return window ? window->name : "none";
}

static int last_file = -1; /* of the buffer that was made last */

static struct wl_buffer *new_buffer(int width, int height, uint32_t **ret_pixels)
{
	size_t bytes = (size_t)width * (size_t)height * 4;
	int fd = memfd_create("wl-client", MFD_CLOEXEC);
	struct wl_shm_pool *pool;
	struct wl_buffer *buffer;

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		exit(1);
	*ret_pixels = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pool = wl_shm_create_pool(globals.shm, fd, (int)bytes);
	buffer = wl_shm_pool_create_buffer(pool, 0, width, height, width * 4,
					   WL_SHM_FORMAT_XRGB8888);
	wl_shm_pool_destroy(pool);
	if (last_file >= 0)
		close(last_file);
	last_file = fd;
	return buffer;
}

static void handle_release(void *data, struct wl_buffer *buffer)
{
	struct window *window = data;

	(void)buffer;
	printf("release %s\n", window->name);
}

static const struct wl_buffer_listener buffer_listener = {.release = handle_release};

static void drop_buffer(struct window *window)
{
	if (!window->buffer)
		return;
	munmap(window->pixels, (size_t)window->width * (size_t)window->height * 4);
	wl_buffer_destroy(window->buffer);
	window->buffer = NULL;
}

static void make_buffer(struct window *window, int width, int height)
{
	drop_buffer(window);
	window->width = width;
	window->height = height;
	window->buffer = new_buffer(width, height, &window->pixels);
	wl_buffer_add_listener(window->buffer, &buffer_listener, window);
}

static void fill(struct window *window, int x, int y, int width, int height, uint32_t colour)
{
	int i, j;

	for (j = y; j < y + height; j++) {
		for (i = x; i < x + width; i++)
			window->pixels[j * window->width + i] = colour;
	}
	wl_surface_attach(window->surface, window->buffer, 0, 0);
	wl_surface_damage_buffer(window->surface, x, y, width, height);
}

static void fill_all(struct window *window)
{
	fill(window, 0, 0, window->width, window->height, window->colour);
}

static void handle_configure(void *data, struct xdg_surface *xdg, uint32_t serial)
{
	struct window *window = data;
	int width = window->given_width ? window->given_width : window->width;
	int height = window->given_height ? window->given_height : window->height;

	xdg_surface_ack_configure(xdg, serial);
	if (!window->configured || width != window->width || height != window->height) {
		make_buffer(window, width, height);
		fill_all(window);
	}
	window->configured = true;
	wl_surface_commit(window->surface);
}

static const struct xdg_surface_listener xdg_listener = {.configure = handle_configure};

static void handle_toplevel(void *data, struct xdg_toplevel *toplevel, int32_t width,
			    int32_t height, struct wl_array *states)
{
	struct window *window = data;
	uint32_t *state;
	int edges = 0;

	(void)toplevel;
	window->given_width = width;
	window->given_height = height;
	printf("configure %s %d %d", window->name, width, height);
	wl_array_for_each(state, states)
	{
		if (*state == XDG_TOPLEVEL_STATE_ACTIVATED)
			printf(" activated");
		else if (*state == XDG_TOPLEVEL_STATE_FULLSCREEN)
			printf(" fullscreen");
		else if (*state == XDG_TOPLEVEL_STATE_MAXIMIZED)
			printf(" maximized");
		else
			edges++;
	}
	/* Four edges are tiled, always. */
	if (edges != 4)
		printf(" edges %d", edges);
	printf("\n");
}

static void handle_close(void *data, struct xdg_toplevel *toplevel)
{
	struct window *window = data;

	(void)toplevel;
	printf("close %s\n", window->name);
}

static const struct xdg_toplevel_listener toplevel_listener = {.configure = handle_toplevel,
							       .close = handle_close};

static void handle_popup(void *data, struct xdg_popup *popup, int32_t x, int32_t y, int32_t width,
			 int32_t height)
{
	struct window *window = data;

	(void)popup;
	window->given_width = width;
	window->given_height = height;
	printf("configure %s %d %d at %d %d\n", window->name, width, height, x, y);
}

static void handle_popup_done(void *data, struct xdg_popup *popup)
{
	struct window *window = data;

	(void)popup;
	printf("done %s\n", window->name);
}

static const struct xdg_popup_listener popup_listener = {.configure = handle_popup,
							 .popup_done = handle_popup_done};

static struct window *new_window(const char *name)
{
	struct window *window = calloc(1, sizeof(*window));

	if (!window)
		exit(1);
	snprintf(window->name, sizeof(window->name), "%s", name);
	window->surface = wl_compositor_create_surface(globals.compositor);
	wl_surface_set_user_data(window->surface, window);
	window->scale = 1;
	wl_list_insert(&windows, &window->link);
	return window;
}

static void do_toplevel(char *rest)
{
	char name[NAME_MAX_LENGTH];
	int width, height;
	unsigned int colour;
	struct window *window;

	if (sscanf(rest, "%31s %d %d %x", name, &width, &height, &colour) != 4)
		exit(1);
	window = new_window(name);
	window->width = width;
	window->height = height;
	window->colour = colour;
	window->xdg = xdg_wm_base_get_xdg_surface(globals.wm_base, window->surface);
	xdg_surface_add_listener(window->xdg, &xdg_listener, window);
	window->toplevel = xdg_surface_get_toplevel(window->xdg);
	xdg_toplevel_add_listener(window->toplevel, &toplevel_listener, window);
	wl_surface_commit(window->surface);
}

static void do_popup(char *rest)
{
	char name[NAME_MAX_LENGTH], parent[NAME_MAX_LENGTH];
	int x, y, width, height, grab;
	struct xdg_positioner *positioner = xdg_wm_base_create_positioner(globals.wm_base);
	struct window *window;

	if (sscanf(rest, "%31s %31s %d %d %d %d %d", name, parent, &x, &y, &width, &height,
		   &grab) != 7)
		exit(1);
	window = new_window(name);
	window->width = width;
	window->height = height;
	window->colour = 0x808080;
	window->parent = find(parent);
	window->xdg = xdg_wm_base_get_xdg_surface(globals.wm_base, window->surface);
	xdg_surface_add_listener(window->xdg, &xdg_listener, window);
	xdg_positioner_set_size(positioner, width, height);
	xdg_positioner_set_anchor_rect(positioner, x, y, 10, 10);
	xdg_positioner_set_anchor(positioner, XDG_POSITIONER_ANCHOR_BOTTOM_LEFT);
	xdg_positioner_set_gravity(positioner, XDG_POSITIONER_GRAVITY_BOTTOM_RIGHT);
	xdg_positioner_set_constraint_adjustment(
		positioner, XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_SLIDE_X |
				    XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_FLIP_Y);
	window->popup = xdg_surface_get_popup(window->xdg, window->parent->xdg, positioner);
	xdg_positioner_destroy(positioner);
	xdg_popup_add_listener(window->popup, &popup_listener, window);
	if (grab)
		xdg_popup_grab(window->popup, globals.seat, last_serial);
	wl_surface_commit(window->surface);
}

static void do_sub(char *rest)
{
	char name[NAME_MAX_LENGTH], parent[NAME_MAX_LENGTH];
	int x, y, width, height;
	unsigned int colour;
	struct window *window;

	if (sscanf(rest, "%31s %31s %d %d %d %d %x", name, parent, &x, &y, &width, &height,
		   &colour) != 7)
		exit(1);
	window = new_window(name);
	window->parent = find(parent);
	window->sub = wl_subcompositor_get_subsurface(globals.subcompositor, window->surface,
						      window->parent->surface);
	wl_subsurface_set_position(window->sub, x, y);
	wl_subsurface_set_desync(window->sub);
	window->colour = colour;
	make_buffer(window, width, height);
	fill_all(window);
	wl_surface_commit(window->surface);
	wl_surface_commit(window->parent->surface);
}

static void do_fill(char *rest)
{
	char name[NAME_MAX_LENGTH];
	int x, y, width, height;
	unsigned int colour;
	struct window *window;

	if (sscanf(rest, "%31s %d %d %d %d %x", name, &x, &y, &width, &height, &colour) != 6)
		exit(1);
	window = find(name);
	fill(window, x, y, width, height, colour);
	wl_surface_commit(window->surface);
}

/* Says that all of it has changed, and takes it away. */
static void do_shrink(char *rest)
{
	struct window *window = find(strsep(&rest, " "));

	wl_surface_attach(window->surface, window->buffer, 0, 0);
	wl_surface_damage_buffer(window->surface, 0, 0, window->width, window->height);
	if (ftruncate(last_file, 0))
		exit(1);
	wl_surface_commit(window->surface);
}

/* The buffer itself goes, not the window. */
static void do_drop(char *rest)
{
	drop_buffer(find(strsep(&rest, " ")));
}

/* Rectangles of 2x2 in one commit, none beside another. */
static void do_dots(char *rest)
{
	char name[NAME_MAX_LENGTH];
	struct window *window;
	int count, i;

	if (sscanf(rest, "%31s %d", name, &count) != 2)
		exit(1);
	window = find(name);
	for (i = 0; i < count; i++)
		fill(window, i * 8, i * 8, 2, 2, 0x00ff00);
	wl_surface_commit(window->surface);
}

static void do_place(char *rest)
{
	char name[NAME_MAX_LENGTH];
	int x, y;
	struct window *window;

	if (sscanf(rest, "%31s %d %d", name, &x, &y) != 3)
		exit(1);
	window = find(name);
	wl_subsurface_set_position(window->sub, x, y);
	wl_surface_commit(window->parent->surface);
}

static void do_geometry(char *rest)
{
	char name[NAME_MAX_LENGTH];
	int x, y, width, height;

	if (sscanf(rest, "%31s %d %d %d %d", name, &x, &y, &width, &height) != 5)
		exit(1);
	xdg_surface_set_window_geometry(find(name)->xdg, x, y, width, height);
}

static void do_scale(char *rest)
{
	char name[NAME_MAX_LENGTH];
	int scale;

	if (sscanf(rest, "%31s %d", name, &scale) != 2)
		exit(1);
	wl_surface_set_buffer_scale(find(name)->surface, scale);
}

static void do_turn(char *rest)
{
	char name[NAME_MAX_LENGTH];
	int transform;

	if (sscanf(rest, "%31s %d", name, &transform) != 2)
		exit(1);
	wl_surface_set_buffer_transform(find(name)->surface, transform);
}

static void do_limits(char *rest)
{
	char name[NAME_MAX_LENGTH];
	int min_width, min_height, max_width, max_height;
	struct window *window;

	if (sscanf(rest, "%31s %d %d %d %d", name, &min_width, &min_height, &max_width,
		   &max_height) != 5)
		exit(1);
	window = find(name);
	xdg_toplevel_set_min_size(window->toplevel, min_width, min_height);
	xdg_toplevel_set_max_size(window->toplevel, max_width, max_height);
	wl_surface_commit(window->surface);
}

/* Splits "NAME TEXT". */
static struct window *named(char *rest, char **ret_text)
{
	char *name = strsep(&rest, " ");

	*ret_text = rest ? rest : name + strlen(name);
	return find(name);
}

static void do_title(char *rest)
{
	char *text;
	struct window *window = named(rest, &text);

	xdg_toplevel_set_title(window->toplevel, text);
}

static void do_id(char *rest)
{
	char *text;
	struct window *window = named(rest, &text);

	xdg_toplevel_set_app_id(window->toplevel, text);
}

static void do_parent(char *rest)
{
	char *text;
	struct window *window = named(rest, &text);

	xdg_toplevel_set_parent(window->toplevel, find(text)->toplevel);
}

static void do_state(char *rest)
{
	char *text;
	struct xdg_toplevel *toplevel = named(rest, &text)->toplevel;

	if (!strcmp(text, "maximize"))
		xdg_toplevel_set_maximized(toplevel);
	else if (!strcmp(text, "unmaximize"))
		xdg_toplevel_unset_maximized(toplevel);
	else if (!strcmp(text, "fullscreen"))
		xdg_toplevel_set_fullscreen(toplevel, NULL);
	else if (!strcmp(text, "unfullscreen"))
		xdg_toplevel_unset_fullscreen(toplevel);
	else
		xdg_toplevel_set_minimized(toplevel);
}

static void do_cursor(char *rest)
{
	int size, i;
	unsigned int colour;
	uint32_t *pixels;
	struct wl_buffer *buffer;

	cursor_set = true;
	cursor_hidden = !strcmp(rest, "hide");
	if (!cursor_hidden) {
		if (sscanf(rest, "%d %x", &size, &colour) != 2)
			exit(1);
		if (!cursor_surface)
			cursor_surface = wl_compositor_create_surface(globals.compositor);
		buffer = new_buffer(size, size, &pixels);
		for (i = 0; i < size * size; i++)
			pixels[i] = colour;
		wl_surface_attach(cursor_surface, buffer, 0, 0);
		wl_surface_damage_buffer(cursor_surface, 0, 0, size, size);
		wl_surface_commit(cursor_surface);
	}
	wl_pointer_set_cursor(pointer, enter_serial, cursor_hidden ? NULL : cursor_surface, 0, 0);
}

static void source_send(void *data, struct wl_data_source *source, const char *type, int fd)
{
	size_t length = strlen(copied), done = 0;

	(void)data;
	(void)source;
	(void)type;
	while (done < length) {
		ssize_t n = write(fd, copied + done, length - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
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
	printf("cancelled\n");
}

static const struct wl_data_source_listener source_listener = {.target = source_target,
							       .send = source_send,
							       .cancelled = source_cancelled};

/* "copy *N" is a text of N letters. */
static void do_copy(char *rest)
{
	struct wl_data_source *source = wl_data_device_manager_create_data_source(
		globals.data_manager);

	memset(copied, 0, sizeof(copied));
	if (rest[0] == '*')
		memset(copied, 'x', (size_t)atoi(rest + 1));
	else
		snprintf(copied, sizeof(copied), "%s", rest);
	wl_data_source_add_listener(source, &source_listener, NULL);
	wl_data_source_offer(source, "text/html");
	wl_data_source_offer(source, "text/plain;charset=utf-8");
	wl_data_device_set_selection(data_device, source, last_serial);
}

static void do_paste(char *rest)
{
	int ends[2];
	size_t total = 0;
	ssize_t n;
	static char text[300000];

	(void)rest;
	if (!selection || pipe(ends)) {
		printf("pasted nothing\n");
		return;
	}
	wl_data_offer_receive(selection, "text/plain;charset=utf-8", ends[1]);
	close(ends[1]);
	wl_display_flush(display);
	while ((n = read(ends[0], text + total, sizeof(text) - 1 - total)) > 0)
		total += (size_t)n;
	close(ends[0]);
	text[total] = 0;
	printf("pasted %zu %.60s\n", total, text);
}

static const struct wl_callback_listener frame_listener;

static void repaint(struct window *window)
{
	struct wl_callback *callback = wl_surface_frame(window->surface);

	wl_callback_add_listener(callback, &frame_listener, window);
	window->colour ^= 0xffffff;
	fill_all(window);
	wl_surface_commit(window->surface);
}

static void handle_frame(void *data, struct wl_callback *callback, uint32_t time)
{
	struct window *window = data;

	wl_callback_destroy(callback);
	if (window->repainted++ && time - window->framed < window->pace)
		window->pace = time - window->framed;
	window->framed = time;
	if (window->repainted < window->repaints)
		repaint(window);
	else
		printf("repainted %d pace %u\n", window->repainted, window->pace);
}

static const struct wl_callback_listener frame_listener = {.done = handle_frame};

static void do_repaint(char *rest)
{
	char *text;
	struct window *window = named(rest, &text);

	window->repaints = atoi(text);
	window->repainted = 0;
	window->pace = UINT32_MAX;
	repaint(window);
}

static void do_toggle(char *rest)
{
	find(rest)->toggles = true;
}

static void do_free(char *rest)
{
	struct window *window = find(rest);

	if (window->popup)
		xdg_popup_destroy(window->popup);
	if (window->toplevel)
		xdg_toplevel_destroy(window->toplevel);
	if (window->xdg)
		xdg_surface_destroy(window->xdg);
	if (window->sub)
		wl_subsurface_destroy(window->sub);
	drop_buffer(window);
	wl_surface_destroy(window->surface);
	wl_list_remove(&window->link);
	free(window);
}

static void do_sync(char *rest)
{
	(void)rest;
	wl_display_roundtrip(display);
	printf("synced\n");
}

static const struct {
	const char *name;
	void (*run)(char *rest);
} commands[] = {
	{"toplevel", do_toplevel}, {"popup", do_popup},	    {"sub", do_sub},
	{"fill", do_fill},	   {"place", do_place},	    {"geometry", do_geometry},
	{"scale", do_scale},	   {"turn", do_turn},	    {"limits", do_limits},
	{"title", do_title},	   {"id", do_id},	    {"parent", do_parent},
	{"state", do_state},	   {"cursor", do_cursor},   {"copy", do_copy},
	{"paste", do_paste},	   {"repaint", do_repaint}, {"toggle", do_toggle},
	{"free", do_free},	   {"sync", do_sync},	    {"dots", do_dots},
	{"shrink", do_shrink},	   {"drop", do_drop},
};

static void run(char *line)
{
	char *name = strsep(&line, " ");
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(name, commands[i].name)) {
			commands[i].run(line ? line : name + strlen(name));
			return;
		}
	}
	fprintf(stderr, "wl-client: no command %s\n", name);
	exit(1);
}

/* Events of the seat */

static void key_map(void *data, struct wl_keyboard *keyboard, uint32_t format, int fd,
		    uint32_t size)
{
	(void)data;
	(void)keyboard;
	close(fd);
	printf("keymap %u %u\n", format, size);
}

static void key_enter(void *data, struct wl_keyboard *keyboard, uint32_t serial,
		      struct wl_surface *surface, struct wl_array *keys)
{
	(void)data;
	(void)keyboard;
	last_serial = serial;
	printf("focus %s %zu\n", name_of(surface), keys->size / 4);
}

static void key_leave(void *data, struct wl_keyboard *keyboard, uint32_t serial,
		      struct wl_surface *surface)
{
	(void)data;
	(void)keyboard;
	(void)serial;
	printf("blur %s\n", name_of(surface));
}

static void key_key(void *data, struct wl_keyboard *keyboard, uint32_t serial, uint32_t time,
		    uint32_t key, uint32_t state)
{
	struct window *window;

	(void)data;
	(void)keyboard;
	(void)time;
	last_serial = serial;
	wl_list_for_each(window, &windows, link)
	{
		if (!window->toggles || !state)
			continue;
		window->colour ^= 0xffffff;
		fill_all(window);
		wl_surface_commit(window->surface);
		wl_display_flush(display);
	}
	printf("key %u %u\n", key, state);
}

static void key_modifiers(void *data, struct wl_keyboard *keyboard, uint32_t serial,
			  uint32_t depressed, uint32_t latched, uint32_t locked, uint32_t group)
{
	(void)data;
	(void)keyboard;
	(void)serial;
	printf("modifiers %u %u %u %u\n", depressed, latched, locked, group);
}

static void key_repeat(void *data, struct wl_keyboard *keyboard, int32_t rate, int32_t delay)
{
	(void)data;
	(void)keyboard;
	printf("repeat %d %d\n", rate, delay);
}

static const struct wl_keyboard_listener keyboard_listener = {
	.keymap = key_map,
	.enter = key_enter,
	.leave = key_leave,
	.key = key_key,
	.modifiers = key_modifiers,
	.repeat_info = key_repeat,
};

static void pointer_enter(void *data, struct wl_pointer *self, uint32_t serial,
			  struct wl_surface *surface, wl_fixed_t x, wl_fixed_t y)
{
	(void)data;
	enter_serial = serial;
	if (cursor_set)
		wl_pointer_set_cursor(self, serial, cursor_hidden ? NULL : cursor_surface, 0, 0);
	printf("enter %s %d %d\n", name_of(surface), wl_fixed_to_int(x), wl_fixed_to_int(y));
}

static void pointer_leave(void *data, struct wl_pointer *self, uint32_t serial,
			  struct wl_surface *surface)
{
	(void)data;
	(void)self;
	(void)serial;
	printf("leave %s\n", name_of(surface));
}

static void pointer_motion(void *data, struct wl_pointer *self, uint32_t time, wl_fixed_t x,
			   wl_fixed_t y)
{
	(void)data;
	(void)self;
	(void)time;
	printf("motion %d %d\n", wl_fixed_to_int(x), wl_fixed_to_int(y));
}

static void pointer_button(void *data, struct wl_pointer *self, uint32_t serial, uint32_t time,
			   uint32_t button, uint32_t state)
{
	(void)data;
	(void)self;
	(void)time;
	last_serial = serial;
	printf("button %u %u\n", button, state);
}

static void pointer_axis(void *data, struct wl_pointer *self, uint32_t time, uint32_t axis,
			 wl_fixed_t value)
{
	(void)data;
	(void)self;
	(void)time;
	printf("axis %u %d\n", axis, wl_fixed_to_int(value));
}

static void pointer_frame(void *data, struct wl_pointer *self)
{
	(void)data;
	(void)self;
}

static void pointer_source(void *data, struct wl_pointer *self, uint32_t source)
{
	(void)data;
	(void)self;
	(void)source;
}

static void pointer_stop(void *data, struct wl_pointer *self, uint32_t time, uint32_t axis)
{
	(void)data;
	(void)self;
	(void)time;
	(void)axis;
}

static void pointer_discrete(void *data, struct wl_pointer *self, uint32_t axis, int32_t steps)
{
	(void)data;
	(void)self;
	printf("steps %u %d\n", axis, steps);
}

static const struct wl_pointer_listener pointer_listener = {
	.enter = pointer_enter,
	.leave = pointer_leave,
	.motion = pointer_motion,
	.button = pointer_button,
	.axis = pointer_axis,
	.frame = pointer_frame,
	.axis_source = pointer_source,
	.axis_stop = pointer_stop,
	.axis_discrete = pointer_discrete,
};

static void device_offer(void *data, struct wl_data_device *device, struct wl_data_offer *offer)
{
	(void)data;
	(void)device;
	(void)offer;
}

static void device_enter(void *data, struct wl_data_device *device, uint32_t serial,
			 struct wl_surface *surface, wl_fixed_t x, wl_fixed_t y,
			 struct wl_data_offer *offer)
{
	(void)data;
	(void)device;
	(void)serial;
	(void)surface;
	(void)x;
	(void)y;
	(void)offer;
}

static void device_leave(void *data, struct wl_data_device *device)
{
	(void)data;
	(void)device;
}

static void device_motion(void *data, struct wl_data_device *device, uint32_t time, wl_fixed_t x,
			  wl_fixed_t y)
{
	(void)data;
	(void)device;
	(void)time;
	(void)x;
	(void)y;
}

static void device_selection(void *data, struct wl_data_device *device, struct wl_data_offer *offer)
{
	(void)data;
	(void)device;
	if (selection)
		wl_data_offer_destroy(selection);
	selection = offer;
	printf("selection %d\n", offer != NULL);
}

static const struct wl_data_device_listener device_listener = {
	.data_offer = device_offer,
	.enter = device_enter,
	.leave = device_leave,
	.motion = device_motion,
	.drop = device_leave,
	.selection = device_selection,
};

static void handle_ping(void *data, struct xdg_wm_base *base, uint32_t serial)
{
	(void)data;
	xdg_wm_base_pong(base, serial);
}

static const struct xdg_wm_base_listener base_listener = {.ping = handle_ping};

/* libwayland gives up when its buffer is full: it is emptied before. */
static void flush(void)
{
	while (wl_display_flush(display) < 0 && errno == EAGAIN) {
		struct pollfd fd = {.fd = wl_display_get_fd(display), .events = POLLOUT};

		poll(&fd, 1, -1);
	}
}

static void loop(void)
{
	char *line = NULL;
	size_t room = 0;

	for (;;) {
		struct pollfd fds[] = {{.fd = wl_display_get_fd(display), .events = POLLIN},
				       {.fd = STDIN_FILENO, .events = POLLIN}};

		while (wl_display_prepare_read(display))
			wl_display_dispatch_pending(display);
		flush();
		if (poll(fds, 2, -1) < 0)
			exit(1);
		if (fds[1].revents) {
			/*
			 * Instructions first, so that those that come together are followed before their effects. One
			 * line for each poll: standard input has no buffer, see main().
			 */
			ssize_t length;

			wl_display_cancel_read(display);
			length = getline(&line, &room, stdin);
			if (length <= 0)
				break;
			line[strcspn(line, "\n")] = 0;
			run(line);
			continue;
		}
		wl_display_read_events(display);
		if (wl_display_dispatch_pending(display) < 0) {
			printf("error %d\n", wl_display_get_error(display));
			exit(1);
		}
	}
	free(line);
}

int main(void)
{
	struct wl_keyboard *keyboard;

	wl_list_init(&windows);
	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	display = wl_display_connect(NULL);
	if (!display) {
		fprintf(stderr, "wl-client: no display\n");
		return 1;
	}
	globals_listen(display, &globals);
	wl_display_roundtrip(display);
	xdg_wm_base_add_listener(globals.wm_base, &base_listener, NULL);
	pointer = wl_seat_get_pointer(globals.seat);
	wl_pointer_add_listener(pointer, &pointer_listener, NULL);
	keyboard = wl_seat_get_keyboard(globals.seat);
	wl_keyboard_add_listener(keyboard, &keyboard_listener, NULL);
	data_device = wl_data_device_manager_get_data_device(globals.data_manager, globals.seat);
	wl_data_device_add_listener(data_device, &device_listener, NULL);
	wl_display_roundtrip(display);
	printf("ready\n");
	loop();
	wl_display_disconnect(display);
	return 0;
}
