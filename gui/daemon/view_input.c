// SPDX-License-Identifier: GPL-2.0-or-later
// What the user does: pointer events of the inner windows, keys, focus, places and states of the outer ones.
#include <X11/Xutil.h>
#include <X11/extensions/XInput2.h>
#include <string.h>

#include "view_internal.h"

/* Modifiers that a shortcut can have: Shift, Control, Alt, Super; locks do not matter. */
#define SHORTCUT_MODIFIERS (1u | 4u | 8u | 64u)

static void pressed_keys(struct view *view, uint8_t keys[32])
{
	XQueryKeymap(view->x, (char *)keys);
}

/* By the key's place, so that it works whatever layout is active. */
static bool is_shortcut(struct view *view, const struct shortcut *shortcut,
			const GdkEventKey *event)
{
	GdkKeymap *keymap = gdk_keymap_get_for_display(view->display);
	guint keyval = gdk_keyval_from_name(shortcut->key);
	GdkKeymapKey *keys;
	gint count, i;
	bool found = false;

	if (!shortcut->enabled || (event->state & SHORTCUT_MODIFIERS) != shortcut->modifiers)
		return false;
	if (!gdk_keymap_get_entries_for_keyval(keymap, keyval, &keys, &count))
		return false;
	for (i = 0; i < count; i++)
		found = found || keys[i].keycode == event->hardware_keycode;
	g_free(keys);
	return found;
}

static void toggle_fullscreen(struct frame *frame)
{
	if (frame->window->override_redirect || frame->window->docked)
		return;
	if (gdk_window_get_state(frame->outer) & GDK_WINDOW_STATE_FULLSCREEN)
		gdk_window_unfullscreen(frame->outer);
	else
		gdk_window_fullscreen(frame->outer);
}

/* True if the key is for the daemon, not for the qube. */
static bool handle_shortcut(struct frame *frame, const GdkEventKey *event)
{
	struct view *view = frame->view;
	const struct config *config = view->options.config;

	if (is_shortcut(view, &config->copy, event))
		view->actions->copy(view->ctx, frame->window);
	else if (is_shortcut(view, &config->paste, event))
		view->actions->paste(view->ctx, frame->window);
	else if (is_shortcut(view, &config->fullscreen, event))
		toggle_fullscreen(frame);
	else if (is_shortcut(view, &config->release, event)) {
		gdk_window_unfullscreen(frame->outer);
		view_result(view, model_user_break(view->model));
	} else
		return false;
	return true;
}

static void on_key(struct frame *frame, const GdkEventKey *event)
{
	struct view *view = frame->view;
	bool press = event->type == GDK_KEY_PRESS;
	struct gui_key key = {.type = press ? GUI_EVENT_PRESS : GUI_EVENT_RELEASE,
			      .x = frame->x,
			      .y = frame->y,
			      .state = event->state & 0xffffu,
			      .keycode = event->hardware_keycode};

	view->last_time = event->time;
	if (view->swallowed == key.keycode) {
		/* The rest of a shortcut: repetitions, and the release. */
		if (!press)
			view->swallowed = 0;
		return;
	}
	if (press && handle_shortcut(frame, event)) {
		view->swallowed = key.keycode;
		return;
	}
	view_result(view, model_user_key(view->model, frame->window, &key));
}

static void on_focus(struct frame *frame, const GdkEventFocus *event)
{
	uint8_t keys[32];

	pressed_keys(frame->view, keys);
	if (!event->in)
		frame->view->swallowed = 0;
	view_result(frame->view, model_user_focus(frame->view->model, frame->window, event->in != 0,
						  NotifyNormal, NotifyNonlinear, keys));
}

/* The outer window has this place now. */
static void stands_at(struct frame *frame, int x, int y, int width, int height)
{
	struct window *window = frame->window;
	struct rect rect = {.x = x + frame->margin,
			    .y = y + frame->margin,
			    .width = 1,
			    .height = 1};

	if (width > 2 * frame->margin)
		rect.width = (uint32_t)(width - 2 * frame->margin);
	if (height > 2 * frame->margin)
		rect.height = (uint32_t)(height - 2 * frame->margin);
	if (rect.width > GUI_MAX_WIDTH || rect.height > GUI_MAX_HEIGHT)
		return;
	view_result(frame->view, model_user_place(frame->view->model, window, &rect));
	view_place_inner(frame);
}

static void on_configure(struct frame *frame, const GdkEventConfigure *event)
{
	/* Popups go where the model said; of windows that are not shown the place means nothing. */
	if (frame->shown && !frame->placing && !frame->window->override_redirect)
		stands_at(frame, event->x, event->y, event->width, event->height);
}

/*
 * A window manager moves a new window several times, into its frame and with it. What the window passes on the way is nobody's wish:
 * it stands when its WM_STATE says that it is not withdrawn any more (ICCCM 4.1.3.1).
 */
static void on_property(struct frame *frame, const GdkEventProperty *event)
{
	struct view *view = frame->view;
	Atom name = gdk_x11_get_xatom_by_name_for_display(view->display, "WM_STATE"), type;
	unsigned long count = 0, left;
	unsigned char *data = NULL;
	int format, x, y;

	if (!frame->placing ||
	    event->atom != gdk_x11_xatom_to_atom_for_display(view->display, name))
		return;
	XGetWindowProperty(view->x, GDK_WINDOW_XID(frame->outer), name, 0, 1, False, name, &type,
			   &format, &count, &left, &data);
	if (count == 1 && format == 32 && *(long *)(void *)data != WithdrawnState) {
		frame->placing = false;
		gdk_window_get_origin(frame->outer, &x, &y);
		stands_at(frame, x, y, gdk_window_get_width(frame->outer),
			  gdk_window_get_height(frame->outer));
		view_result(view, model_user_placed(view->model, frame->window));
	}
	if (data)
		XFree(data);
}

static void on_state(struct frame *frame, const GdkEventWindowState *event)
{
	struct view *view = frame->view;
	uint32_t state = 0;

	if (!(event->changed_mask & (GDK_WINDOW_STATE_FULLSCREEN | GDK_WINDOW_STATE_MAXIMIZED |
				     GDK_WINDOW_STATE_ICONIFIED)))
		return;
	if (event->new_window_state & GDK_WINDOW_STATE_FULLSCREEN)
		state |= GUI_FLAG_FULLSCREEN;
	if (event->new_window_state & GDK_WINDOW_STATE_MAXIMIZED)
		state |= VIEW_MAXIMIZE;
	if (event->new_window_state & GDK_WINDOW_STATE_ICONIFIED)
		state |= GUI_FLAG_MINIMIZE;
	if (state & GUI_FLAG_FULLSCREEN)
		bar_show(view, frame);
	else if (view->fullscreen == frame)
		bar_hide(view);
	view_result(view, model_user_state(view->model, frame->window, state));
}

static void on_outer_event(struct frame *frame, GdkEvent *event)
{
	switch (event->type) {
	case GDK_KEY_PRESS:
	case GDK_KEY_RELEASE:
		on_key(frame, &event->key);
		break;
	case GDK_FOCUS_CHANGE:
		on_focus(frame, &event->focus_change);
		break;
	case GDK_CONFIGURE:
		on_configure(frame, &event->configure);
		break;
	case GDK_PROPERTY_NOTIFY:
		on_property(frame, &event->property);
		break;
	case GDK_WINDOW_STATE:
		on_state(frame, &event->window_state);
		break;
	case GDK_DELETE:
		view_result(frame->view, model_user_close(frame->view->model, frame->window));
		break;
	default:
		break;
	}
}

static void handle_event(GdkEvent *event, gpointer data)
{
	struct view *view = data;
	struct frame *frame = NULL;

	if (event->any.window)
		frame = g_hash_table_lookup(view->by_outer, event->any.window);
	if (!frame) {
		gtk_main_do_event(event);
		return;
	}
	on_outer_event(frame, event);
	view_flush(view);
}

static void on_button(struct frame *frame, const XButtonEvent *event)
{
	bool press = event->type == ButtonPress;
	struct gui_button button = {.type = press ? GUI_EVENT_BTN_PRESS : GUI_EVENT_BTN_RELEASE,
				    .x = frame->x = event->x + frame->inset,
				    .y = frame->y = event->y + frame->inset,
				    .state = event->state,
				    .button = event->button};

	frame->view->last_time = (guint32)event->time;
	view_result(frame->view, model_user_button(frame->view->model, frame->window, &button));
}

static void on_motion(struct frame *frame, const XMotionEvent *event)
{
	struct gui_motion motion = {.x = frame->x = event->x + frame->inset,
				    .y = frame->y = event->y + frame->inset,
				    .state = event->state};

	view_result(frame->view, model_user_motion(frame->view->model, frame->window, &motion));
}

static void on_crossing(struct frame *frame, const XCrossingEvent *event)
{
	struct gui_crossing crossing = {.type = event->type == EnterNotify ? GUI_EVENT_ENTER
									   : GUI_EVENT_LEAVE,
					.x = event->x + frame->inset,
					.y = event->y + frame->inset,
					.state = event->state,
					.mode = (uint32_t)event->mode,
					.detail = (uint32_t)event->detail,
					.focus = event->focus != 0};
	uint8_t keys[32];

	if (event->type == EnterNotify)
		frame->view->entered = frame;
	else if (frame->view->entered == frame)
		frame->view->entered = NULL;
	pressed_keys(frame->view, keys);
	view_result(frame->view,
		    model_user_crossing(frame->view->model, frame->window, &crossing, keys));
}

static void on_inner_event(struct frame *frame, const XEvent *event)
{
	struct rect area;

	switch (event->type) {
	case ButtonPress:
	case ButtonRelease:
		on_button(frame, &event->xbutton);
		break;
	case MotionNotify:
		on_motion(frame, &event->xmotion);
		break;
	case EnterNotify:
	case LeaveNotify:
		on_crossing(frame, &event->xcrossing);
		break;
	case Expose:
		area = (struct rect){event->xexpose.x + frame->inset,
				     event->xexpose.y + frame->inset,
				     (uint32_t)event->xexpose.width,
				     (uint32_t)event->xexpose.height};
		paint_damage(frame, &area);
		break;
	default:
		break;
	}
}

/*
 * X Input 2.1: raw events tell of a press wherever it is, also while somebody has grabbed the pointer, and before
 * the crossing events of a grab that the press begins. GDK has fetched what comes with the event.
 */
static bool take_raw(struct view *view, const XGenericEventCookie *event)
{
	const XIRawEvent *raw = event->data;

	if (event->type != GenericEvent || event->extension != view->xi_opcode ||
	    event->evtype != XI_RawButtonPress)
		return false;
	/* Buttons 4 to 7 are wheels: looking further down in another window is no turning to it. */
	if (raw && (raw->detail < 4 || raw->detail > 7) && view->popups && !view->entered) {
		view_result(view, model_user_elsewhere(view->model));
		view_flush(view);
	}
	return true;
}

static void select_raw(struct view *view, bool wanted)
{
	unsigned char bits[XIMaskLen(XI_LASTEVENT)] = {0};
	XIEventMask events;

	events.deviceid = XIAllMasterDevices;
	events.mask_len = sizeof(bits);
	events.mask = bits;
	if (wanted)
		XISetMask(bits, XI_RawButtonPress);
	XISelectEvents(view->x, view->root, &events, 1);
}

void input_popup(struct frame *frame, bool shown)
{
	struct view *view = frame->view;

	if (frame->popup == shown || !view->xi_opcode)
		return;
	frame->popup = shown;
	if (shown && !view->popups++)
		select_raw(view, true);
	else if (!shown && !--view->popups)
		select_raw(view, false);
}

static GdkFilterReturn filter(GdkXEvent *gdk_event, GdkEvent *unused, gpointer data)
{
	struct view *view = data;
	const XEvent *event = gdk_event;
	struct frame *frame;

	(void)unused;
	if (paint_event(view, event))
		return GDK_FILTER_REMOVE;
	if (event->type == GenericEvent)
		return take_raw(view, &event->xcookie) ? GDK_FILTER_REMOVE : GDK_FILTER_CONTINUE;
	frame = g_hash_table_lookup(view->by_inner, GUINT_TO_POINTER(event->xany.window));
	if (!frame)
		return GDK_FILTER_CONTINUE;
	on_inner_event(frame, event);
	if (event->type != Expose || event->xexpose.count == 0)
		view_flush(view);
	return GDK_FILTER_REMOVE;
}

void input_start(struct view *view)
{
	int event, error, major = 2, minor = 3;

	/* The version that GDK has told the server already: a lower one would be an error. */
	if (!XQueryExtension(view->x, "XInputExtension", &view->xi_opcode, &event, &error) ||
	    XIQueryVersion(view->x, &major, &minor) != Success || (major == 2 && minor < 1))
		view->xi_opcode = 0;
	gdk_window_add_filter(NULL, filter, view);
	gdk_event_handler_set(handle_event, view, NULL);
}

static void forward(GdkEvent *event, gpointer data)
{
	(void)data;
	gtk_main_do_event(event);
}

void input_finish(struct view *view)
{
	gdk_window_remove_filter(NULL, filter, view);
	gdk_event_handler_set(forward, NULL, NULL);
}
