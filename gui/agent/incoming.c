// SPDX-License-Identifier: GPL-2.0-or-later
// Messages of the daemon, one function each. The bodies have their right lengths already.
#include "agent.h"
#include "clipboard.h"
#include "input.h"
#include "window.h"
#include "x11_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef void handler(struct agent *agent, struct window *window, const void *body, uint32_t length);

static void on_key(struct agent *agent, struct window *window, const void *body, uint32_t length)
{
	(void)length;
	input_key(agent, window, body);
}

static void on_button(struct agent *agent, struct window *window, const void *body, uint32_t length)
{
	(void)length;
	input_button(agent, window, body);
}

static void on_motion(struct agent *agent, struct window *window, const void *body, uint32_t length)
{
	(void)length;
	input_motion(agent, window, body);
}

static void on_crossing(struct agent *agent, struct window *window, const void *body,
			uint32_t length)
{
	(void)length;
	input_crossing(agent, window, body);
}

static void on_focus(struct agent *agent, struct window *window, const void *body, uint32_t length)
{
	(void)length;
	input_focus(agent, window, body);
}

static void on_keymap(struct agent *agent, struct window *window, const void *body, uint32_t length)
{
	(void)window;
	(void)length;
	input_keymap(agent, body);
}

static void on_configure(struct agent *agent, struct window *window, const void *body,
			 uint32_t length)
{
	const struct gui_configure *configure = body;
	struct wlr_box box = {.x = configure->x, .y = configure->y};

	(void)agent;
	(void)length;
	/* A window has a size; what is above the maximum is cut there. */
	box.width = (int)(configure->width < GUI_MAX_WIDTH ? configure->width : GUI_MAX_WIDTH);
	box.height = (int)(configure->height < GUI_MAX_HEIGHT ? configure->height : GUI_MAX_HEIGHT);
	window_configured(window, &box);
}

static void restored(struct window *window)
{
	window->minimized = false;
	window->flags &= ~GUI_FLAG_MINIMIZE;
	window->flags_told &= ~GUI_FLAG_MINIMIZE;
}

/* Sent when the user brings back a minimised window. */
static void on_map(struct agent *agent, struct window *window, const void *body, uint32_t length)
{
	(void)agent;
	(void)body;
	(void)length;
	if (!window->minimized)
		return;
	restored(window);
	window->ops->flags(window, 0, GUI_FLAG_MINIMIZE);
}

static void on_flags(struct agent *agent, struct window *window, const void *body, uint32_t length)
{
	const struct gui_flags *flags = body;

	(void)agent;
	(void)length;
	/* What was reached is what is wanted from now on: the client may ask for a change of that. */
	window->flags = (window->flags | flags->set) & ~flags->unset;
	window->flags_told = (window->flags_told | flags->set) & ~flags->unset;
	if (flags->set & GUI_FLAG_MINIMIZE)
		window->minimized = true;
	if (flags->unset & GUI_FLAG_MINIMIZE)
		restored(window);
	window->ops->flags(window, flags->set, flags->unset);
}

static void on_close(struct agent *agent, struct window *window, const void *body, uint32_t length)
{
	(void)agent;
	(void)body;
	(void)length;
	window->ops->close(window);
}

static void on_dump_ack(struct agent *agent, struct window *window, const void *body,
			uint32_t length)
{
	(void)agent;
	(void)body;
	(void)length;
	window_dump_acked(window);
}

static void on_clipboard_request(struct agent *agent, struct window *window, const void *body,
				 uint32_t length)
{
	(void)window;
	(void)body;
	(void)length;
	clipboard_requested(agent);
}

static void on_clipboard_data(struct agent *agent, struct window *window, const void *body,
			      uint32_t length)
{
	(void)window;
	clipboard_received(agent, body, length);
}

static const struct {
	uint32_t type;
	bool any_window; /* does not speak of one */
	handler *handle;
} handlers[] = {
	{GUI_KEYPRESS, false, on_key},
	{GUI_BUTTON, false, on_button},
	{GUI_MOTION, false, on_motion},
	{GUI_CROSSING, false, on_crossing},
	{GUI_FOCUS, false, on_focus},
	{GUI_MAP, false, on_map},
	{GUI_CONFIGURE, false, on_configure},
	{GUI_CLOSE, false, on_close},
	{GUI_CLIPBOARD_REQ, true, on_clipboard_request},
	{GUI_CLIPBOARD_DATA, true, on_clipboard_data},
	{GUI_KEYMAP_NOTIFY, true, on_keymap},
	{GUI_WINDOW_FLAGS, false, on_flags},
	{GUI_WINDOW_DUMP_ACK, false, on_dump_ack},
};

/* A message that came while others had to be done first. */
struct held {
	struct wl_list link;
	struct gui_header header;
	_Alignas(8) unsigned char body[];
};

static bool is_input(uint32_t type)
{
	return type == GUI_KEYPRESS || type == GUI_BUTTON || type == GUI_MOTION ||
	       type == GUI_CROSSING || type == GUI_FOCUS || type == GUI_KEYMAP_NOTIFY;
}

static bool hold(struct agent *agent, const struct gui_header *header, const void *body)
{
	struct held *held = malloc(sizeof(*held) + header->length);

	if (!held)
		return false;
	held->header = *header;
	if (header->length)
		memcpy(held->body, body, header->length);
	wl_list_insert(agent->held.prev, &held->link);
	return true;
}

static void handle(struct agent *agent, const struct gui_header *header, const void *body)
{
	struct window *window = window_by_id(agent, header->window);
	size_t i;

	for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (handlers[i].type != header->type)
			continue;
		/* Of a window that is gone the daemon may still speak: the messages have crossed. */
		if (handlers[i].any_window || (window && window->created))
			handlers[i].handle(agent, window, body, header->length);
		return;
	}
	/* RESIZE and EXECUTE mean nothing any more. */
}

static void handle_held(void *data)
{
	struct agent *agent = data;

	agent->held_idle = NULL;
	while (!wl_list_empty(&agent->held) && !x11_client_awaits(agent)) {
		struct held *held = wl_container_of(agent->held.next, held, link);

		wl_list_remove(&held->link);
		handle(agent, &held->header, held->body);
		free(held);
	}
	windows_sync(agent);
}

void incoming_continue(struct agent *agent)
{
	/* Whoever says so may be in the middle of something. */
	if (!wl_list_empty(&agent->held) && !agent->held_idle)
		agent->held_idle = wl_event_loop_add_idle(agent->loop, handle_held, agent);
}

void incoming_forget(struct agent *agent)
{
	struct held *held, *next;

	if (agent->held_idle)
		wl_event_source_remove(agent->held_idle);
	agent->held_idle = NULL;
	wl_list_for_each_safe(held, next, &agent->held, link)
	{
		wl_list_remove(&held->link);
		free(held);
	}
}

int incoming_message(struct agent *agent, const struct gui_header *header, const void *body)
{
	if (header->type == GUI_DESTROY) {
		windows_destroy_acked(agent, header->window);
		return 0;
	}
	if (is_input(header->type) && (x11_client_awaits(agent) || !wl_list_empty(&agent->held)))
		return hold(agent, header, body) ? 0 : -ENOMEM;
	handle(agent, header, body);
	return 0;
}
