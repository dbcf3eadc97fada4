// SPDX-License-Identifier: GPL-2.0-or-later
// The agent's own connection to Xwayland.
#include "x11_client.h"
#include "agent.h"
#include "clipboard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xcb/xcbext.h>

static const char *const atom_names[X11_ATOMS] = {
	[X11_CLIPBOARD] = "CLIPBOARD",
	[X11_INCR] = "INCR",
	[X11_MANAGER] = "MANAGER",
	[X11_PIECE] = "_BULKHEAD_CLIPBOARD",
	[X11_SUPPORTING_WM] = "_NET_SUPPORTING_WM_CHECK",
	[X11_TRAY] = "_NET_SYSTEM_TRAY_S0",
	[X11_TRAY_OPCODE] = "_NET_SYSTEM_TRAY_OPCODE",
	[X11_UTF8_STRING] = "UTF8_STRING",
	[X11_XEMBED] = "_XEMBED",
};

/* An Xwayland that does not answer must not keep Wayland's clients from their input. */
#define AWAIT_LIMIT_MS 500

static void stop_awaiting(struct x11_client *client)
{
	if (!client->awaits)
		return;
	client->awaits = false;
	wl_event_source_timer_update(client->limit, 0);
	incoming_continue(client->agent);
}

static int handle_limit(void *data)
{
	struct x11_client *client = data;

	if (client->awaits)
		xcb_discard_reply(client->xcb, client->awaited);
	stop_awaiting(client);
	return 0;
}

void x11_client_await(struct agent *agent)
{
	struct x11_client *client = agent->x11_client;

	if (!client || !client->xcb)
		return;
	if (client->awaits)
		xcb_discard_reply(client->xcb, client->awaited);
	/* Any request with an answer. */
	client->awaited = xcb_get_input_focus(client->xcb).sequence;
	client->awaits = true;
	xcb_flush(client->xcb);
	wl_event_source_timer_update(client->limit, AWAIT_LIMIT_MS);
}

bool x11_client_awaits(const struct agent *agent)
{
	return agent->x11_client && agent->x11_client->awaits;
}

static xcb_extension_t xtest = {.name = "XTEST"};

/* XTEST 2.2, FakeInput; libxcb has it in a library of its own. */
static void fake_input(struct x11_client *client, uint8_t type, uint8_t detail)
{
	struct {
		uint8_t major, minor; /* libxcb fills in the major one, and the length */
		uint16_t length;
		uint8_t type, detail;
		uint8_t unused[2];
		uint32_t delay, root;
		uint8_t unused_too[8];
		int16_t x, y;
		uint8_t unused_again[7], device;
	} request = {.type = type, .detail = detail, .root = client->root};
	const xcb_protocol_request_t protocol = {.count = 1,
						 .ext = &xtest,
						 .opcode = 2,
						 .isvoid = 1};
	struct iovec parts[3] = {[2] = {.iov_base = &request, .iov_len = sizeof(request)}};

	_Static_assert(sizeof(request) == 36, "nine words");
	/* The two before are libxcb's. */
	xcb_send_request(client->xcb, 0, parts + 2, &protocol);
}

void x11_client_click_outside(struct agent *agent)
{
	struct x11_client *client = agent->x11_client;
	const uint32_t shown[] = {0, 0, XCB_STACK_MODE_ABOVE}, hidden[] = {-10u, -10u};
	const uint16_t place = XCB_CONFIG_WINDOW_X | XCB_CONFIG_WINDOW_Y;

	const xcb_query_extension_reply_t *extension;

	if (!client || !client->xcb)
		return;
	extension = xcb_get_extension_data(client->xcb, &xtest);
	if (!extension || !extension->present)
		return;
	/* Our window takes the click when nobody has grabbed the pointer. It has no picture, but is above all others. */
	xcb_configure_window(client->xcb, client->window, place | XCB_CONFIG_WINDOW_STACK_MODE,
			     shown);
	xcb_map_window(client->xcb, client->window);
	fake_input(client, XCB_MOTION_NOTIFY, 0);
	fake_input(client, XCB_BUTTON_PRESS, XCB_BUTTON_INDEX_1);
	fake_input(client, XCB_BUTTON_RELEASE, XCB_BUTTON_INDEX_1);
	xcb_unmap_window(client->xcb, client->window);
	xcb_configure_window(client->xcb, client->window, place, hidden);
	xcb_flush(client->xcb);
}

static void take_awaited(struct x11_client *client)
{
	xcb_generic_error_t *error = NULL;
	void *reply = NULL;

	if (!client->awaits || !xcb_poll_for_reply(client->xcb, client->awaited, &reply, &error))
		return;
	free(reply);
	free(error);
	stop_awaiting(client);
}

static void disconnect(struct x11_client *client)
{
	if (!client->xcb)
		return;
	stop_awaiting(client);
	tray_stop(client);
	if (client->bytes)
		clipboard_x11_done(client->agent, NULL, 0);
	x11_clip_cancel(client->agent);
	wl_event_source_remove(client->source);
	client->source = NULL;
	xcb_disconnect(client->xcb);
	client->xcb = NULL;
}

void x11_client_flush(struct x11_client *client)
{
	xcb_flush(client->xcb);
}

static int handle_events(int fd, uint32_t mask, void *data)
{
	struct x11_client *client = data;
	xcb_generic_event_t *event;
	int count = 0;

	(void)fd;
	/* Without a mask the event loop only asks for what is in memory already. */
	while ((event = mask ? xcb_poll_for_event(client->xcb)
			     : xcb_poll_for_queued_event(client->xcb))) {
		if (!tray_event(client, event))
			x11_clip_event(client, event);
		free(event);
		count++;
	}
	take_awaited(client);
	if (xcb_connection_has_error(client->xcb)) {
		/* Xwayland has ended; it starts anew with the next program. */
		disconnect(client);
		return 0;
	}
	if (count)
		xcb_flush(client->xcb);
	return count;
}

static bool intern_atoms(struct x11_client *client)
{
	xcb_intern_atom_cookie_t cookies[X11_ATOMS];
	bool good = true;
	int i;

	for (i = 0; i < X11_ATOMS; i++)
		cookies[i] = xcb_intern_atom(client->xcb, 0, (uint16_t)strlen(atom_names[i]),
					     atom_names[i]);
	for (i = 0; i < X11_ATOMS; i++) {
		xcb_intern_atom_reply_t *reply = xcb_intern_atom_reply(client->xcb, cookies[i],
								       NULL);

		client->atoms[i] = reply ? reply->atom : XCB_ATOM_NONE;
		good = good && reply;
		free(reply);
	}
	return good;
}

static bool make_window(struct x11_client *client)
{
	const xcb_setup_t *setup = xcb_get_setup(client->xcb);
	xcb_screen_iterator_t screens = xcb_setup_roots_iterator(setup);
	const uint32_t values[] = {1, XCB_EVENT_MASK_PROPERTY_CHANGE |
					      XCB_EVENT_MASK_STRUCTURE_NOTIFY};

	if (!screens.rem)
		return false;
	client->root = screens.data->root;
	client->visual = screens.data->root_visual;
	client->depth = screens.data->root_depth;
	client->black = screens.data->black_pixel;
	client->window = xcb_generate_id(client->xcb);
	xcb_create_window(client->xcb, 0, client->window, client->root, -10, -10, 1, 1, 0,
			  XCB_WINDOW_CLASS_INPUT_ONLY, XCB_COPY_FROM_PARENT,
			  XCB_CW_OVERRIDE_REDIRECT | XCB_CW_EVENT_MASK, values);
	return true;
}

void x11_client_connect(struct agent *agent, const char *display)
{
	struct x11_client *client = agent->x11_client;

	disconnect(client);
	client->xcb = xcb_connect(display, NULL);
	if (xcb_connection_has_error(client->xcb) || !intern_atoms(client) ||
	    !make_window(client)) {
		agent_log("cannot connect to Xwayland: there is no tray");
		xcb_disconnect(client->xcb);
		client->xcb = NULL;
		return;
	}
	client->source = wl_event_loop_add_fd(agent->loop, xcb_get_file_descriptor(client->xcb),
					      WL_EVENT_READABLE, handle_events, client);
	if (!client->source) {
		xcb_disconnect(client->xcb);
		client->xcb = NULL;
		return;
	}
	/* Events that arrive together with a reply wait in memory: the descriptor does not show them. */
	wl_event_source_check(client->source);
	tray_start(client);
	xcb_prefetch_extension_data(client->xcb, &xtest);
	xcb_flush(client->xcb);
}

int x11_client_create(struct agent *agent)
{
	agent->x11_client = calloc(1, sizeof(*agent->x11_client));
	if (!agent->x11_client)
		return -ENOMEM;
	agent->x11_client->agent = agent;
	wl_list_init(&agent->x11_client->icons);
	agent->x11_client->limit = wl_event_loop_add_timer(agent->loop, handle_limit,
							   agent->x11_client);
	return agent->x11_client->limit ? 0 : -ENOMEM;
}

void x11_client_destroy(struct agent *agent)
{
	if (!agent->x11_client)
		return;
	disconnect(agent->x11_client);
	if (agent->x11_client->limit)
		wl_event_source_remove(agent->x11_client->limit);
	free(agent->x11_client);
	agent->x11_client = NULL;
}
