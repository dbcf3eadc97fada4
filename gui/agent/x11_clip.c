// SPDX-License-Identifier: GPL-2.0-or-later
// The clipboard of X11 programs. wlroots takes it over only from programs that have a focused window.
#include "agent.h"
#include "clipboard.h"
#include "x11_client.h"

#include <stdlib.h>
#include <string.h>

#define ROOM (GUI_CLIPBOARD_BIG + 1u)

static xcb_window_t window_property(struct x11_client *client, xcb_atom_t property)
{
	xcb_get_property_reply_t *reply = xcb_get_property_reply(
		client->xcb,
		xcb_get_property(client->xcb, 0, client->root, property, XCB_ATOM_WINDOW, 0, 1),
		NULL);
	xcb_window_t window = XCB_WINDOW_NONE;

	if (reply && xcb_get_property_value_length(reply) == sizeof(window))
		memcpy(&window, xcb_get_property_value(reply), sizeof(window));
	free(reply);
	return window;
}

/* The owner, if that is a program: the window manager part of wlroots owns it for Wayland's clients. */
static xcb_window_t owner_of(struct x11_client *client)
{
	uint32_t mask = xcb_get_setup(client->xcb)->resource_id_mask;
	xcb_window_t manager = window_property(client, client->atoms[X11_SUPPORTING_WM]);
	xcb_get_selection_owner_reply_t *reply = xcb_get_selection_owner_reply(
		client->xcb, xcb_get_selection_owner(client->xcb, client->atoms[X11_CLIPBOARD]),
		NULL);
	xcb_window_t owner = reply ? reply->owner : XCB_WINDOW_NONE;

	free(reply);
	/* Resources of one connection differ only in the bits of the mask. */
	return (owner & ~mask) != (manager & ~mask) ? owner : XCB_WINDOW_NONE;
}

bool x11_clip_read(struct agent *agent)
{
	struct x11_client *client = agent->x11_client;

	if (!client || !client->xcb || owner_of(client) == XCB_WINDOW_NONE)
		return false;
	x11_clip_cancel(agent);
	client->bytes = malloc(ROOM);
	if (!client->bytes)
		return false;
	client->length = 0;
	client->pieces = false;
	xcb_delete_property(client->xcb, client->window, client->atoms[X11_PIECE]);
	xcb_convert_selection(client->xcb, client->window, client->atoms[X11_CLIPBOARD],
			      client->atoms[X11_UTF8_STRING], client->atoms[X11_PIECE],
			      XCB_CURRENT_TIME);
	x11_client_flush(client);
	return true;
}

void x11_clip_cancel(struct agent *agent)
{
	struct x11_client *client = agent->x11_client;

	if (!client)
		return;
	free(client->bytes);
	client->bytes = NULL;
}

static void done(struct x11_client *client)
{
	clipboard_x11_done(client->agent, client->bytes, client->length);
	x11_clip_cancel(client->agent);
}

/* Takes what is in the property. Returns its type, and in *ret_length how much it was. */
static xcb_atom_t take(struct x11_client *client, size_t *ret_length)
{
	xcb_get_property_reply_t *reply = xcb_get_property_reply(
		client->xcb,
		xcb_get_property(client->xcb, 1, client->window, client->atoms[X11_PIECE],
				 XCB_GET_PROPERTY_TYPE_ANY, 0, ROOM / 4 + 1),
		NULL);
	size_t length = reply ? (size_t)xcb_get_property_value_length(reply) : 0;
	xcb_atom_t type = reply ? reply->type : XCB_ATOM_NONE;

	*ret_length = length;
	if (length > ROOM - client->length)
		length = ROOM - client->length;
	if (type != client->atoms[X11_INCR] && length) {
		memcpy(client->bytes + client->length, xcb_get_property_value(reply), length);
		client->length += length;
	}
	free(reply);
	return type;
}

bool x11_clip_event(struct x11_client *client, const xcb_generic_event_t *event)
{
	const xcb_selection_notify_event_t *notify = (const void *)event;
	const xcb_property_notify_event_t *property = (const void *)event;
	size_t length;

	if (!client->bytes)
		return false;
	switch (event->response_type & 0x7f) {
	case XCB_SELECTION_NOTIFY:
		if (notify->selection != client->atoms[X11_CLIPBOARD])
			return false;
		if (notify->property == XCB_ATOM_NONE)
			done(client);
		else if (take(client, &length) == client->atoms[X11_INCR])
			client->pieces = true;
		else
			done(client);
		return true;
	case XCB_PROPERTY_NOTIFY:
		if (!client->pieces || property->atom != client->atoms[X11_PIECE] ||
		    property->state != XCB_PROPERTY_NEW_VALUE)
			return false;
		take(client, &length);
		/* An empty piece is the last one; more than the daemon can take is enough. */
		if (!length || client->length == ROOM)
			done(client);
		return true;
	default:
		return false;
	}
}
