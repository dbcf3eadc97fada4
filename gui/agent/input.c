// SPDX-License-Identifier: GPL-2.0-or-later
// Pointer and focus: events of the daemon, which speak of windows, become a seat's, which speak of surfaces.
#include "input.h"
#include "agent.h"
#include "input_internal.h"
#include "cursor.h"
#include "surface.h"
#include "window.h"
#include "x11_client.h"

#include <errno.h>
#include <stdlib.h>

#include <linux/input-event-codes.h>
#include <wlr/backend/headless.h>
#include <wlr/types/wlr_data_device.h>
#include <wlr/types/wlr_primary_selection.h>
#include <wlr/types/wlr_seat.h>
#include <wlr/types/wlr_surface.h>
#include <wlr/types/wlr_xdg_shell.h>

/* X11: NotifyGrab and NotifyUngrab, modes of events that only say that a grab begins or ends. */
#define MODE_GRAB   1u
#define MODE_UNGRAB 2u

/* Somebody has grabbed the pointer who may give it back at once, as window managers do that look at each press. */
#define GRAB_LIMIT_MS 500

/* X11's buttons 4 to 7 are steps of a wheel; this is what libinput says for one. */
#define WHEEL_STEP 15.0

/* A pointer may be as far from a window as two windows are from each other (see window_configured()). */
#define POINTER_MAX (2 * (int)GUI_MAX_WIDTH)

#define BUTTON_MASK(n) (1u << (7 + (n))) /* X11: Button1Mask is 1 << 8 */

struct wlr_seat *input_seat(struct agent *agent)
{
	return agent->input->seat;
}

bool input_has_focus(struct agent *agent, const struct window *window)
{
	return agent->input->focus == window;
}

struct window *input_pointer_window(struct agent *agent)
{
	return agent->input->pointer;
}

static bool inside(const struct window *window, int x, int y)
{
	return x >= 0 && y >= 0 && x < window->box.width && y < window->box.height;
}

static int limited(int untrusted)
{
	if (untrusted < -POINTER_MAX)
		return -POINTER_MAX;
	return untrusted > POINTER_MAX ? POINTER_MAX : untrusted;
}

static void pointer_leave(struct input *input)
{
	wl_event_source_timer_update(input->grab_limit, 0);
	wlr_seat_pointer_notify_clear_focus(input->seat);
	input->pointer = NULL;
	cursor_left(input->agent);
}

/*
 * The pointer is taken from the window, but has not gone: a program that saw it leave and come back for each press would close
 * what it only shows under the pointer, and the press would miss it.
 */
static void pointer_grabbed(struct input *input)
{
	wl_event_source_timer_update(input->grab_limit, GRAB_LIMIT_MS);
}

static int handle_grab_limit(void *data)
{
	struct input *input = data;

	if (input->pointer && !input->seat->pointer_state.button_count) {
		pointer_leave(input);
		wlr_seat_pointer_notify_frame(input->seat);
	}
	return 0;
}

/* Enters the surface of the window that is at (x, y), which may be a part of it. */
static void pointer_enter(struct input *input, struct window *window, int x, int y)
{
	double root_x = (double)x + window->crop.x, root_y = (double)y + window->crop.y, sx, sy;
	struct wlr_surface *surface = wlr_surface_surface_at(window->surface, root_x, root_y, &sx,
							     &sy);

	if (!surface) {
		surface = window->surface;
		sx = root_x;
		sy = root_y;
	}
	input->pointer = window;
	input->offset_x = sx - x;
	input->offset_y = sy - y;
	wlr_seat_pointer_notify_enter(input->seat, surface, sx, sy);
}

/*
 * The pointer is at (x, y) of the window. While a button is held the surface where it was pressed keeps the pointer,
 * unless a menu or a drag wants to know what is really below.
 */
static void pointer_to(struct input *input, struct window *window, int untrusted_x, int untrusted_y,
		       uint32_t time)
{
	struct wlr_seat_pointer_state *state = &input->seat->pointer_state;
	bool grabbed = wlr_seat_pointer_has_grab(input->seat) || input->seat->drag;
	int x = limited(untrusted_x), y = limited(untrusted_y);

	wl_event_source_timer_update(input->grab_limit, 0);
	if (grabbed && (state->button_count || !inside(window, x, y))) {
		struct window *below = window_at(input->agent, window->box.x + x,
						 window->box.y + y);

		if (below && below->surface) {
			x += window->box.x - below->box.x;
			y += window->box.y - below->box.y;
			window = below;
			pointer_enter(input, window, x, y);
		} else if (!state->button_count) {
			pointer_leave(input);
			return;
		}
	} else if (!state->button_count || !input->pointer || !state->focused_surface) {
		pointer_enter(input, window, x, y);
	}
	if (input->pointer && input->pointer != window) {
		x += window->box.x - input->pointer->box.x;
		y += window->box.y - input->pointer->box.y;
	}
	wlr_seat_pointer_notify_motion(input->seat, time, x + input->offset_x, y + input->offset_y);
}

static uint32_t button_code(uint32_t button)
{
	switch (button) {
	case 1:
		return BTN_LEFT;
	case 2:
		return BTN_MIDDLE;
	case 3:
		return BTN_RIGHT;
	case 8:
		return BTN_SIDE;
	case 9:
		return BTN_EXTRA;
	default:
		return 0;
	}
}

static bool button_held(const struct input *input, uint32_t code)
{
	const struct wlr_seat_pointer_state *state = &input->seat->pointer_state;
	size_t i;

	for (i = 0; i < state->button_count; i++) {
		if (state->buttons[i] == code)
			return true;
	}
	return false;
}

/* A release that happened where the daemon could not see it must not leave a button held. */
static void sync_buttons(struct input *input, uint32_t state, uint32_t time)
{
	uint32_t button;

	for (button = 1; button <= 3; button++) {
		if (!(state & BUTTON_MASK(button)) && button_held(input, button_code(button)))
			wlr_seat_pointer_notify_button(input->seat, time, button_code(button),
						       WLR_BUTTON_RELEASED);
	}
}

static void wheel(struct input *input, uint32_t button, uint32_t time)
{
	bool vertical = button == 4 || button == 5, forward = button == 5 || button == 7;

	wlr_seat_pointer_notify_axis(input->seat, time,
				     vertical ? WLR_AXIS_ORIENTATION_VERTICAL
					      : WLR_AXIS_ORIENTATION_HORIZONTAL,
				     forward ? WHEEL_STEP : -WHEEL_STEP, forward ? 1 : -1,
				     WLR_AXIS_SOURCE_WHEEL);
}

void input_button(struct agent *agent, struct window *window, const struct gui_button *button)
{
	struct input *input = agent->input;
	uint32_t time = agent_now(), code = button_code(button->button);
	bool press = button->type == GUI_EVENT_BTN_PRESS;

	if (!window->surface || (!press && button->type != GUI_EVENT_BTN_RELEASE))
		return;
	sync_buttons(input, button->state, time);
	pointer_to(input, window, button->x, button->y, time);
	/* Xwayland takes a button at once, but a motion at the end of its frame: together it would press at the old place. */
	wlr_seat_pointer_notify_frame(input->seat);
	if (button->button >= 4 && button->button <= 7) {
		if (press)
			wheel(input, button->button, time);
	} else if (code && press != button_held(input, code)) {
		wlr_seat_pointer_notify_button(input->seat, time, code,
					       press ? WLR_BUTTON_PRESSED : WLR_BUTTON_RELEASED);
	}
	wlr_seat_pointer_notify_frame(input->seat);
}

void input_motion(struct agent *agent, struct window *window, const struct gui_motion *motion)
{
	struct input *input = agent->input;
	uint32_t time = agent_now();

	if (!window->surface)
		return;
	sync_buttons(input, motion->state, time);
	pointer_to(input, window, motion->x, motion->y, time);
	wlr_seat_pointer_notify_frame(input->seat);
}

void input_crossing(struct agent *agent, struct window *window, const struct gui_crossing *crossing)
{
	struct input *input = agent->input;
	uint32_t time = agent_now();

	if (!window->surface)
		return;
	sync_buttons(input, crossing->state, time);
	if (crossing->type == GUI_EVENT_ENTER)
		pointer_to(input, window, crossing->x, crossing->y, time);
	else if (crossing->type == GUI_EVENT_LEAVE && input->pointer == window &&
		 !input->seat->pointer_state.button_count) {
		if (crossing->mode == MODE_GRAB)
			pointer_grabbed(input);
		else
			pointer_leave(input);
	}
	wlr_seat_pointer_notify_frame(input->seat);
}

/* The window whose menus hold the grab; NULL: no menus do. Others than drags and menus make no grabs. */
static struct window *window_with_menus(const struct input *input)
{
	struct wlr_seat_keyboard_grab *grab = input->seat->keyboard_state.grab;
	struct wlr_xdg_popup_grab *menus;
	struct wlr_xdg_popup *popup;
	struct surface *surface;
	struct window *window;

	if (!wlr_seat_keyboard_has_grab(input->seat) || input->seat->drag)
		return NULL;
	menus = wl_container_of(grab, menus, keyboard_grab);
	if (wl_list_empty(&menus->popups))
		return NULL;
	popup = wl_container_of(menus->popups.next, popup, grab_link);
	surface = popup->base->surface->data;
	window = surface ? surface->window : NULL;
	while (window && window->parent && window->override_redirect)
		window = window->parent;
	return window;
}

/*
 * The keyboard goes from `old` to `new` (NULL: to another qube). Menus of a window that has it neither before nor after
 * may stay: they were opened by the pointer, and the focus may still come to them. All others would wait for a click
 * that goes to somebody else.
 */
static void end_menus(struct input *input, const struct window *old, const struct window *new)
{
	const struct window *owner = window_with_menus(input);

	if (wlr_seat_pointer_has_grab(input->seat) && !input->seat->drag && owner != new &&
	    (!owner || owner == old || new))
		wlr_seat_pointer_end_grab(input->seat);
}

static void focus_out(struct input *input, const struct window *new)
{
	struct window *old = input->focus;

	end_menus(input, old, new);
	if (!old)
		return;
	input->focus = NULL;
	wlr_seat_keyboard_notify_clear_focus(input->seat);
	old->ops->activate(old, false);
}

static void focus_in(struct input *input, struct window *window)
{
	struct wlr_keyboard *keyboard = input->keyboard->keyboard;

	if (input->focus != window)
		focus_out(input, window);
	input->focus = window;
	window_raise(window);
	window->ops->activate(window, true);
	/* A menu that was there before the focus came keeps it away from all windows, its own included. */
	if (window_with_menus(input) == window)
		wlr_seat_keyboard_enter(input->seat, window->surface, keyboard->keycodes,
					keyboard->num_keycodes, &keyboard->modifiers);
	else
		wlr_seat_keyboard_notify_enter(input->seat, window->surface, keyboard->keycodes,
					       keyboard->num_keycodes, &keyboard->modifiers);
	window_set_flags(window, window->flags & ~GUI_FLAG_ATTENTION);
}

/* The user has turned to something else. Programs of X11 wait for the click that their menus have grabbed. */
static void end_all_menus(struct input *input)
{
	const struct window *window;

	if (wlr_seat_pointer_has_grab(input->seat) && !input->seat->drag)
		wlr_seat_pointer_end_grab(input->seat);
	wl_list_for_each(window, &input->agent->windows, link)
	{
		if (window->x11_window && window->override_redirect && window->mapped) {
			x11_client_click_outside(input->agent);
			return;
		}
	}
}

void input_focus(struct agent *agent, struct window *window, const struct gui_focus *focus)
{
	if (focus->mode == MODE_GRAB || focus->mode == MODE_UNGRAB)
		return;
	/* A popup never has it by itself: it is to go. */
	if (focus->type == GUI_EVENT_FOCUS_OUT && window->override_redirect &&
	    agent->input->focus != window)
		end_all_menus(agent->input);
	if (focus->type == GUI_EVENT_FOCUS_IN && window->surface)
		focus_in(agent->input, window);
	else if (focus->type == GUI_EVENT_FOCUS_OUT && agent->input->focus == window)
		focus_out(agent->input, NULL);
}

void input_forget(struct agent *agent, const struct window *window)
{
	struct input *input = agent->input;

	if (!input)
		return;
	if (!window && wlr_seat_pointer_has_grab(input->seat) && !input->seat->drag)
		wlr_seat_pointer_end_grab(input->seat);
	if (!window || input->focus == window)
		focus_out(input, NULL);
	if (!window || input->pointer == window) {
		input->pointer = NULL;
		wlr_seat_pointer_notify_clear_focus(input->seat);
		cursor_left(agent);
	}
}

static void handle_set_selection(struct wl_listener *listener, void *data)
{
	struct input *input = wl_container_of(listener, input, set_selection);
	struct wlr_seat_request_set_selection_event *event = data;

	wlr_seat_set_selection(input->seat, event->source, event->serial);
}

static void handle_set_primary(struct wl_listener *listener, void *data)
{
	struct input *input = wl_container_of(listener, input, set_primary);
	struct wlr_seat_request_set_primary_selection_event *event = data;

	wlr_seat_set_primary_selection(input->seat, event->source, event->serial);
}

static void handle_start_drag(struct wl_listener *listener, void *data)
{
	struct input *input = wl_container_of(listener, input, start_drag);
	struct wlr_seat_request_start_drag_event *event = data;

	if (wlr_seat_validate_pointer_grab_serial(input->seat, event->origin, event->serial))
		wlr_seat_start_pointer_drag(input->seat, event->drag, event->serial);
	else
		wlr_data_source_destroy(event->drag->source);
}

static void listen(struct wl_listener *listener, struct wl_signal *signal, wl_notify_func_t notify)
{
	listener->notify = notify;
	wl_signal_add(signal, listener);
}

int input_create(struct agent *agent, struct wlr_backend *backend)
{
	struct input *input = calloc(1, sizeof(*input));
	int rc;

	if (!input)
		return -ENOMEM;
	input->agent = agent;
	input->seat = wlr_seat_create(agent->display, "seat0");
	input->keyboard = wlr_headless_add_input_device(backend, WLR_INPUT_DEVICE_KEYBOARD);
	input->grab_limit = wl_event_loop_add_timer(agent->loop, handle_grab_limit, input);
	agent->input = input;
	rc = input->seat && input->keyboard && input->grab_limit ? keyboard_create(input) : -ENOMEM;
	if (rc) {
		if (input->grab_limit)
			wl_event_source_remove(input->grab_limit);
		agent->input = NULL;
		free(input);
		return rc;
	}
	listen(&input->set_selection, &input->seat->events.request_set_selection,
	       handle_set_selection);
	listen(&input->set_primary, &input->seat->events.request_set_primary_selection,
	       handle_set_primary);
	listen(&input->start_drag, &input->seat->events.request_start_drag, handle_start_drag);
	wlr_seat_set_capabilities(input->seat,
				  WL_SEAT_CAPABILITY_POINTER | WL_SEAT_CAPABILITY_KEYBOARD);
	return 0;
}

void input_stop(struct agent *agent)
{
	wl_event_source_remove(agent->input->grab_limit);
}

void input_destroy(struct agent *agent)
{
	free(agent->input);
	agent->input = NULL;
}
