// SPDX-License-Identifier: GPL-2.0-or-later
// Windows on the display: creation, places, states, as the model asks for them.
#include "view_internal.h"

#include <X11/Xatom.h>
#include <X11/Xutil.h>
#include <X11/extensions/sync.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BACKGROUND 0x808080u /* where a window has no picture yet */

/* A program that was started in the menu may take so long to show its window. */
#define LAUNCH_SECONDS 60

void view_result(struct view *view, int code)
{
	if (code < 0)
		view->actions->failed(view->ctx, code);
}

static void set_property(struct frame *frame, const char *name, Atom type, int format,
			 const void *data, int count)
{
	struct view *view = frame->view;
	Atom atom = gdk_x11_get_xatom_by_name_for_display(view->display, name);

	XChangeProperty(view->x, GDK_WINDOW_XID(frame->outer), atom, type, format, PropModeReplace,
			data, count);
}

/* Names that window managers and icon services of Qubes OS look for. */
static void set_identity(struct frame *frame)
{
	const struct view_options *options = &frame->view->options;
	long label = (long)options->label, color = (long)options->color;
	long id = (long)frame->window->id, domain = options->domain;

	set_property(frame, "_QUBES_VMNAME", XA_STRING, 8, options->name,
		     (int)strlen(options->name));
	set_property(frame, "_QUBES_VMWINDOWID", XA_WINDOW, 32, &id, 1);
	set_property(frame, "_QUBES_LABEL", XA_CARDINAL, 32, &label, 1);
	set_property(frame, "_QUBES_LABEL_COLOR", XA_CARDINAL, 32, &color, 1);
	set_property(frame, "_QUBES_DOMID", XA_CARDINAL, 32, &domain, 1);
}

/* Thickness of the frame by what the window is now. */
static void choose_frame(struct frame *frame)
{
	const struct config *config = frame->view->options.config;
	const struct window *window = frame->window;

	frame->margin = frame->inset = 0;
	if (window->docked)
		frame->inset = (int)tray_border(config->trayicon_mode);
	else if (window->override_redirect)
		frame->inset = MODEL_INNER_FRAME;
	else
		frame->margin = (int)config->frame_width;
}

void view_place_inner(struct frame *frame)
{
	Display *x = frame->view->x;
	const struct rect *rect = &frame->window->rect;
	int width = (int)frame->window->rect.width - 2 * frame->inset;
	int height = (int)frame->window->rect.height - 2 * frame->inset;
	int at = frame->margin + frame->inset;

	XResizeWindow(x, frame->border, rect->width + 2 * (unsigned int)frame->margin,
		      rect->height + 2 * (unsigned int)frame->margin);
	if (width <= 0 || height <= 0) {
		XUnmapWindow(x, frame->inner);
		frame->inner_shown = false;
		return;
	}
	XMoveResizeWindow(x, frame->inner, at, at, (unsigned int)width, (unsigned int)height);
	if (!frame->inner_shown)
		XMapWindow(x, frame->inner);
	frame->inner_shown = true;
}

static int on_create(void *ctx, struct window *window)
{
	struct view *view = ctx;
	struct frame *frame = g_new0(struct frame, 1);
	GdkWindowAttr attributes = {.event_mask = GDK_KEY_PRESS_MASK | GDK_KEY_RELEASE_MASK |
						  GDK_FOCUS_CHANGE_MASK | GDK_STRUCTURE_MASK |
						  GDK_PROPERTY_CHANGE_MASK,
				    .width = 1,
				    .height = 1,
				    .wclass = GDK_INPUT_OUTPUT,
				    .window_type = GDK_WINDOW_TOPLEVEL};
	XSetWindowAttributes inner = {.background_pixel = BACKGROUND,
				      .bit_gravity = NorthWestGravity,
				      .event_mask = ExposureMask | ButtonPressMask |
						    ButtonReleaseMask | PointerMotionMask |
						    EnterWindowMask | LeaveWindowMask};

	frame->view = view;
	frame->window = window;
	frame->damage = cairo_region_create();
	/* Not what GDK prefers, which is a visual that OpenGL can use. */
	attributes.visual = gdk_x11_screen_lookup_visual(gdk_display_get_default_screen(
								 view->display),
							 XVisualIDFromVisual(view->visual));
	frame->outer = gdk_window_new(NULL, &attributes, GDK_WA_VISUAL);
	frame->border = XCreateSimpleWindow(view->x, GDK_WINDOW_XID(frame->outer), 0, 0, 1, 1, 0, 0,
					    view->options.color);
	frame->inner = XCreateWindow(view->x, frame->border, 0, 0, 1, 1, 0, CopyFromParent,
				     InputOutput, CopyFromParent,
				     CWBackPixel | CWBitGravity | CWEventMask, &inner);
	XMapWindow(view->x, frame->border);
	g_hash_table_insert(view->by_inner, GUINT_TO_POINTER(frame->inner), frame);
	g_hash_table_insert(view->by_outer, frame->outer, frame);
	window->view = frame;
	set_identity(frame);
	if (view->icon) {
		GList icons = {.data = view->icon};

		gdk_window_set_icon_list(frame->outer, &icons);
	}
	return 0;
}

static void on_destroy(void *ctx, struct window *window)
{
	struct view *view = ctx;
	struct frame *frame = window->view;

	if (view->fullscreen == frame)
		bar_hide(view);
	input_popup(frame, false);
	if (view->entered == frame)
		view->entered = NULL;
	paint_forget(frame);
	g_hash_table_remove(view->by_inner, GUINT_TO_POINTER(frame->inner));
	g_hash_table_remove(view->by_outer, frame->outer);
	/* In a tray that ends at the same time the windows may be gone already. */
	gdk_x11_display_error_trap_push(view->display);
	XDestroyWindow(view->x, frame->border);
	gdk_window_destroy(frame->outer);
	gdk_x11_display_error_trap_pop_ignored(view->display);
	cairo_region_destroy(frame->damage);
	g_free(frame);
	window->view = NULL;
}

static void on_place(void *ctx, struct window *window)
{
	struct frame *frame = window->view;
	const struct rect *rect = &window->rect;

	(void)ctx;
	choose_frame(frame);
	if (!window->docked)
		gdk_window_move_resize(frame->outer, rect->x - frame->margin,
				       rect->y - frame->margin,
				       (int)rect->width + 2 * frame->margin,
				       (int)rect->height + 2 * frame->margin);
	view_place_inner(frame);
}

/* So many numbers of a property; false: it has fewer, or there is none. */
static bool get_longs(struct view *view, Window window, const char *name, Atom wanted, long count,
		      long values[])
{
	Atom atom = gdk_x11_get_xatom_by_name_for_display(view->display, name), type;
	unsigned long got = 0, left;
	unsigned char *data = NULL;
	int format;
	bool good;

	good = XGetWindowProperty(view->x, window, atom, 0, count, False, wanted, &type, &format,
				  &got, &left, &data) == Success &&
	       data && format == 32 && got == (unsigned long)count;
	if (good)
		memcpy(values, data, (size_t)count * sizeof(long));
	if (data)
		XFree(data);
	return good;
}

/* Sizes and places of a desktop are below this, whatever a property says. */
static long bound(long value, long least)
{
	return value < least ? least : value > 32767 ? 32767 : value;
}

/* The whole work area, or without one the screen: x, y, width, height. */
static void get_work_area(struct view *view, long area[4])
{
	uint32_t width, height;

	if (get_longs(view, view->root, "_NET_WORKAREA", XA_CARDINAL, 4, area))
		return;
	view_screen(view, &width, &height);
	area[0] = area[1] = 0;
	area[2] = (long)width;
	area[3] = (long)height;
}

static void on_area(void *ctx, struct window *window, struct rect *ret_area)
{
	const struct frame *frame = window->view;
	struct view *view = ctx;
	long own = (long)view->options.config->frame_width, area[4];
	long extents[4] = {0, 0, 0, 0}; /* of the window manager: left, right, top, bottom */

	get_work_area(view, area);
	/* Before it is shown nobody knows them; they are looked at when it stands. */
	(void)get_longs(view, GDK_WINDOW_XID(frame->outer), "_NET_FRAME_EXTENTS", XA_CARDINAL, 4,
			extents);
	for (int i = 0; i < 4; i++) {
		area[i] = bound(area[i], 0);
		extents[i] = bound(extents[i], 0) + own;
	}
	*ret_area = (struct rect){
		.x = (int32_t)(area[0] + extents[0]),
		.y = (int32_t)(area[1] + extents[2]),
		.width = (uint32_t)bound(area[2] - extents[0] - extents[1], 1),
		.height = (uint32_t)bound(area[3] - extents[2] - extents[3], 1),
	};
}

static int lower(uint32_t a, uint32_t b)
{
	return (int)(a < b ? a : b);
}

static void on_describe(void *ctx, struct window *window)
{
	struct view *view = ctx;
	struct frame *frame = window->view;
	const struct gui_hints *hints = &window->hints;
	int extra = 2 * (int)view->options.config->frame_width;
	GdkGeometry geometry = {.win_gravity = GDK_GRAVITY_STATIC};
	GdkWindowHints mask = GDK_HINT_WIN_GRAVITY;
	struct rect area = {0};
	XClassHint class_hint = {.res_name = window->instance, .res_class = window->class_name};

	if (window->id == GUI_WINDOW_SCREEN)
		return;
	/* Neither may the window manager have to make it larger than can be seen. */
	if (hints->flags & (GUI_HINT_MIN_SIZE | GUI_HINT_BASE_SIZE))
		on_area(view, window, &area);
	if (hints->flags & GUI_HINT_MIN_SIZE) {
		geometry.min_width = lower(hints->min_width, area.width) + extra;
		geometry.min_height = lower(hints->min_height, area.height) + extra;
		mask |= GDK_HINT_MIN_SIZE;
	}
	if (hints->flags & GUI_HINT_MAX_SIZE) {
		geometry.max_width = (int)hints->max_width + extra;
		geometry.max_height = (int)hints->max_height + extra;
		mask |= GDK_HINT_MAX_SIZE;
	}
	if (hints->flags & GUI_HINT_INCREMENT) {
		geometry.width_inc = (int)hints->width_inc;
		geometry.height_inc = (int)hints->height_inc;
		mask |= GDK_HINT_RESIZE_INC;
	}
	if (hints->flags & GUI_HINT_BASE_SIZE) {
		geometry.base_width = lower(hints->base_width, area.width) + extra;
		geometry.base_height = lower(hints->base_height, area.height) + extra;
		mask |= GDK_HINT_BASE_SIZE;
	} else if (hints->flags & GUI_HINT_INCREMENT) {
		geometry.base_width = geometry.base_height = extra;
		mask |= GDK_HINT_BASE_SIZE;
	}
	/* Trays ask for nothing else, and give an icon without it one pixel. */
	if (window->docked) {
		geometry.min_width = (int)window->rect.width;
		geometry.min_height = (int)window->rect.height;
		mask = GDK_HINT_MIN_SIZE;
	}
	if (hints->flags & GUI_HINT_USER_POSITION)
		mask |= GDK_HINT_USER_POS;
	if (hints->flags & GUI_HINT_POSITION)
		mask |= GDK_HINT_POS;
	gdk_window_set_geometry_hints(frame->outer, &geometry, mask);
	gdk_window_set_title(frame->outer, window->title);
	XSetClassHint(view->x, GDK_WINDOW_XID(frame->outer), &class_hint);
}

/* Whether the user has not touched anything for a while: he is not in the middle of a word. */
static bool user_rests(struct view *view)
{
	unsigned int rest = view->options.config->keyboard_rest;
	XSyncValue idle;

	return !rest ||
	       (view->idle_counter && XSyncQueryCounter(view->x, view->idle_counter, &idle) &&
		(XSyncValueHigh32(idle) > 0 || XSyncValueLow32(idle) >= rest));
}

/* Whether he has just started something in this qube from dom0's menu: "NAME SECONDS" of the clock. Counts once. */
static bool user_expects(struct view *view)
{
	const char *name = view->options.name;
	Atom atom = gdk_x11_get_xatom_by_name_for_display(view->display, "_QUBES_LAUNCHED"), type;
	unsigned long count = 0, left;
	unsigned char *data = NULL;
	size_t length = strlen(name);
	bool expects = false;
	gint64 age;
	int format;

	if (XGetWindowProperty(view->x, view->root, atom, 0, 32, False, XA_STRING, &type, &format,
			       &count, &left, &data) == Success &&
	    data && format == 8 && count > length + 1 && !memcmp(data, name, length) &&
	    data[length] == ' ') {
		age = g_get_real_time() / G_USEC_PER_SEC -
		      g_ascii_strtoll((const char *)data + length + 1, NULL, 10);
		expects = age >= 0 && age <= LAUNCH_SECONDS;
		XDeleteProperty(view->x, view->root, atom);
	}
	if (data)
		XFree(data);
	return expects;
}

/*
 * What the user types must not go to a window that came up between two keys: while another window is active, and in use, a qube
 * gets the keyboard only when the user says so.
 */
static bool may_take_keyboard(struct view *view)
{
	XWindowAttributes attributes = {.map_state = IsUnmapped};
	long active = 0;
	GdkWindow *own;

	if (view->model->has_focus ||
	    !get_longs(view, view->root, "_NET_ACTIVE_WINDOW", XA_WINDOW, 1, &active) || !active)
		return true;
	/* Window managers may name one that has gone. */
	gdk_x11_display_error_trap_push(view->display);
	XGetWindowAttributes(view->x, (Window)active, &attributes);
	gdk_x11_display_error_trap_pop_ignored(view->display);
	if (attributes.map_state != IsViewable)
		return true;
	own = gdk_x11_window_lookup_for_display(view->display, (Window)active);
	return (own && g_hash_table_contains(view->by_outer, own)) || user_rests(view);
}

/* 0 is for a window that does not want the keyboard when it appears (EWMH, _NET_WM_USER_TIME). */
static void set_user_time(struct frame *frame)
{
	struct view *view = frame->view;

	if (frame->window->override_redirect)
		return;
	if (user_expects(view))
		gdk_x11_window_set_user_time(frame->outer, gdk_x11_get_server_time(frame->outer));
	else if (!may_take_keyboard(view))
		gdk_x11_window_set_user_time(frame->outer, 0);
	else if (view->last_time && !view->model->has_focus)
		gdk_x11_window_set_user_time(frame->outer, view->last_time);
}

/* The agent shows what is shown already: a window that was minimised comes back. */
static void show_again(struct frame *frame)
{
	bool iconified = gdk_window_get_state(frame->outer) & GDK_WINDOW_STATE_ICONIFIED;

	if (!iconified)
		return;
	if (user_expects(frame->view) || may_take_keyboard(frame->view))
		gdk_window_deiconify(frame->outer);
	else
		gdk_window_set_urgency_hint(frame->outer, TRUE);
}

/* Whether there is a window manager, which will say where the window stands (EWMH, _NET_SUPPORTING_WM_CHECK). */
static bool has_manager(struct view *view)
{
	Atom name = gdk_x11_get_xatom_by_name_for_display(view->display,
							  "_NET_SUPPORTING_WM_CHECK");
	unsigned char *data = NULL;
	unsigned long count = 0, left;
	int format;
	Atom type;

	XGetWindowProperty(view->x, view->root, name, 0, 1, False, XA_WINDOW, &type, &format,
			   &count, &left, &data);
	if (data)
		XFree(data);
	return count == 1;
}

static void on_show(void *ctx, struct window *window)
{
	struct view *view = ctx;
	struct frame *frame = window->view;
	struct window *parent = model_find(view->model, window->transient_for);
	struct rect all = {.width = window->rect.width, .height = window->rect.height};

	if (frame->shown) {
		show_again(frame);
		return;
	}
	gdk_window_set_override_redirect(frame->outer, window->override_redirect);
	if (parent && window->transient_for && parent->view)
		gdk_window_set_transient_for(frame->outer, ((struct frame *)parent->view)->outer);
	set_user_time(frame);
	frame->shown = true;
	frame->placing = !window->override_redirect && has_manager(view);
	gdk_window_show(frame->outer);
	input_popup(frame, window->override_redirect);
	paint_damage(frame, &all);
	bar_raise(view);
}

static void on_hide(void *ctx, struct window *window)
{
	struct view *view = ctx;
	struct frame *frame = window->view;

	if (view->fullscreen == frame)
		bar_hide(view);
	frame->shown = false;
	input_popup(frame, false);
	gdk_window_hide(frame->outer);
}

static void on_state(void *ctx, struct window *window, uint32_t set, uint32_t unset)
{
	struct frame *frame = window->view;

	(void)ctx;
	if (set & GUI_FLAG_FULLSCREEN)
		gdk_window_fullscreen(frame->outer);
	if (unset & GUI_FLAG_FULLSCREEN)
		gdk_window_unfullscreen(frame->outer);
	if (set & VIEW_MAXIMIZE)
		gdk_window_maximize(frame->outer);
	if (unset & VIEW_MAXIMIZE)
		gdk_window_unmaximize(frame->outer);
	if (set & GUI_FLAG_MINIMIZE)
		gdk_window_iconify(frame->outer);
	if ((set | unset) & GUI_FLAG_ATTENTION)
		gdk_window_set_urgency_hint(frame->outer, (set & GUI_FLAG_ATTENTION) != 0);
}

static void on_dock(void *ctx, struct window *window)
{
	choose_frame(window->view);
	view_place_inner(window->view);
	on_describe(ctx, window);
	tray_dock(window->view);
}

static void on_cursor(void *ctx, struct window *window, uint32_t id)
{
	struct view *view = ctx;
	struct frame *frame = window->view;
	uint32_t glyph = id - GUI_CURSOR_FONT;

	if (id == GUI_CURSOR_DEFAULT) {
		XUndefineCursor(view->x, frame->inner);
		return;
	}
	/* Of each pair the odd one is the mask. */
	glyph &= ~1u;
	if (!view->cursors[glyph])
		view->cursors[glyph] = XCreateFontCursor(view->x, glyph);
	XDefineCursor(view->x, frame->inner, view->cursors[glyph]);
}

static void on_damage(void *ctx, struct window *window, const struct rect *rect)
{
	(void)ctx;
	paint_damage(window->view, rect);
}

/* Pictures are copied before a call ends, so that nothing of the mapping is in use later. */
static void on_image_gone(void *ctx, struct window *window)
{
	(void)ctx;
	(void)window;
}

void view_screen(const struct view *view, uint32_t *ret_width, uint32_t *ret_height)
{
	XWindowAttributes attributes;

	XGetWindowAttributes(view->x, view->root, &attributes);
	*ret_width = (uint32_t)attributes.width;
	*ret_height = (uint32_t)attributes.height;
}

static void on_work_area(void *ctx, uint32_t *ret_width, uint32_t *ret_height)
{
	long area[4];

	get_work_area(ctx, area);
	*ret_width = (uint32_t)area[2];
	*ret_height = (uint32_t)area[3];
}

static void on_clipboard(void *ctx, const char *text, uint32_t length)
{
	struct view *view = ctx;

	view->actions->clipboard(view->ctx, text, length);
}

static void on_warn(void *ctx, const char *key, const char *text)
{
	struct view *view = ctx;

	view->actions->warn(view->ctx, key, text);
}

static const struct view_ops operations = {
	.create = on_create,
	.destroy = on_destroy,
	.show = on_show,
	.hide = on_hide,
	.place = on_place,
	.describe = on_describe,
	.state = on_state,
	.dock = on_dock,
	.cursor = on_cursor,
	.damage = on_damage,
	.image_gone = on_image_gone,
	.area = on_area,
	.work_area = on_work_area,
	.clipboard = on_clipboard,
	.warn = on_warn,
};

const struct view_ops *view_operations(void)
{
	return &operations;
}

void view_attach(struct view *view, struct model *model)
{
	view->model = model;
}

/* What is drawn goes out when GDK looks for events, before the loop sleeps: XFlush() would look for them, too. */
void view_flush(struct view *view)
{
	paint_flush(view);
}

static void on_screen(GdkScreen *screen, gpointer data)
{
	struct view *view = data;

	(void)screen;
	view->actions->screen(view->ctx);
	/* The way back has to stay in sight. */
	if (view->fullscreen)
		bar_show(view, view->fullscreen);
}

static bool has_32_bits(struct view *view)
{
	XPixmapFormatValues *formats;
	int count, i;
	bool found = false;

	formats = XListPixmapFormats(view->x, &count);
	for (i = 0; formats && i < count; i++)
		found = found || (formats[i].depth == 24 && formats[i].bits_per_pixel == 32);
	XFree(formats);
	return found;
}

static const char *check_display(struct view *view)
{
	const Visual *visual = view->visual;

	if (view->depth != 24 || visual->class != TrueColor || visual->red_mask != 0xff0000 ||
	    visual->green_mask != 0xff00 || visual->blue_mask != 0xff)
		return "the display has no 24 bit TrueColor visual as its default";
	if (ImageByteOrder(view->x) != LSBFirst || !has_32_bits(view))
		return "the display's pixels are not words of 32 bits, little-endian";
	return NULL;
}

/* SYNC, X Consortium standard: counters of the server have names. */
static void find_idle_counter(struct view *view)
{
	XSyncSystemCounter *counters;
	int event, error, major, minor, count = 0, i;

	if (!XSyncQueryExtension(view->x, &event, &error) ||
	    !XSyncInitialize(view->x, &major, &minor))
		return;
	counters = XSyncListSystemCounters(view->x, &count);
	for (i = 0; i < count; i++)
		if (!strcmp(counters[i].name, "IDLETIME"))
			view->idle_counter = counters[i].counter;
	if (counters)
		XSyncFreeSystemCounterList(counters);
}

struct view *view_create(const struct view_options *options, const struct view_actions *actions,
			 void *ctx, const char **ret_problem)
{
	struct view *view;
	GdkDisplay *display = gdk_display_get_default();

	if (!GDK_IS_X11_DISPLAY(display)) {
		*ret_problem = "no X11 display: set DISPLAY and GDK_BACKEND=x11";
		return NULL;
	}
	view = g_new0(struct view, 1);
	view->options = *options;
	view->actions = actions;
	view->ctx = ctx;
	view->display = display;
	/* The qube's pixels are the display's. */
	gdk_x11_display_set_window_scale(display, 1);
	view->x = GDK_DISPLAY_XDISPLAY(display);
	view->root = DefaultRootWindow(view->x);
	view->visual = DefaultVisual(view->x, DefaultScreen(view->x));
	view->depth = DefaultDepth(view->x, DefaultScreen(view->x));
	view->by_inner = g_hash_table_new(NULL, NULL);
	view->by_outer = g_hash_table_new(NULL, NULL);
	g_queue_init(&view->dirty);
	*ret_problem = check_display(view);
	if (!*ret_problem && paint_start(view))
		*ret_problem = "no memory for pictures";
	if (*ret_problem) {
		view_destroy(view);
		return NULL;
	}
	find_idle_counter(view);
	view->icon = icon_load(options->icon, options->color);
	g_signal_connect(gdk_display_get_default_screen(display), "size-changed",
			 G_CALLBACK(on_screen), view);
	g_signal_connect(gdk_display_get_default_screen(display), "monitors-changed",
			 G_CALLBACK(on_screen), view);
	input_start(view);
	return view;
}

void view_destroy(struct view *view)
{
	size_t i;

	if (!view)
		return;
	g_signal_handlers_disconnect_by_data(gdk_display_get_default_screen(view->display), view);
	input_finish(view);
	bar_finish(view);
	paint_finish(view);
	for (i = 0; i < sizeof(view->cursors) / sizeof(view->cursors[0]); i++)
		if (view->cursors[i])
			XFreeCursor(view->x, view->cursors[i]);
	g_clear_object(&view->icon);
	g_hash_table_destroy(view->by_inner);
	g_hash_table_destroy(view->by_outer);
	g_queue_clear(&view->dirty);
	g_free(view);
}
