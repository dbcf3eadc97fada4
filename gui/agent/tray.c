// SPDX-License-Identifier: GPL-2.0-or-later
// The system tray of X11 (System Tray Protocol 0.3, XEMBED 0.5): each icon gets a window around it, which is docked.
#include "agent.h"
#include "x11_client.h"

#include <stdlib.h>

#define ICON_SIZE     24 /* until the daemon says how large */
#define REQUEST_DOCK  0u
#define XEMBED_NOTIFY 0u /* XEMBED_EMBEDDED_NOTIFY */
#define ICONS_MAX     64 /* more than a panel can show */

struct icon {
	struct wl_list link;
	xcb_window_t window; /* the program's */
	xcb_window_t holder; /* ours */
};

static struct icon *find(struct x11_client *client, xcb_window_t window)
{
	struct icon *icon;

	wl_list_for_each(icon, &client->icons, link)
	{
		if (icon->window == window || icon->holder == window)
			return icon;
	}
	return NULL;
}

bool tray_has(struct agent *agent, xcb_window_t window)
{
	struct icon *icon = agent->x11_client ? find(agent->x11_client, window) : NULL;

	return icon && icon->holder == window;
}

static void tell(struct x11_client *client, xcb_window_t window, xcb_atom_t type, uint32_t mask,
		 const uint32_t data[5])
{
	xcb_client_message_event_t event = {.response_type = XCB_CLIENT_MESSAGE,
					    .format = 32,
					    .window = window,
					    .type = type};
	int i;

	for (i = 0; i < 5; i++)
		event.data.data32[i] = data[i];
	xcb_send_event(client->xcb, 0, window, mask, (const char *)&event);
}

void tray_start(struct x11_client *client)
{
	const uint32_t manager[5] = {XCB_CURRENT_TIME, client->atoms[X11_TRAY], client->window};

	xcb_set_selection_owner(client->xcb, client->window, client->atoms[X11_TRAY],
				XCB_CURRENT_TIME);
	tell(client, client->root, client->atoms[X11_MANAGER], XCB_EVENT_MASK_STRUCTURE_NOTIFY,
	     manager);
}

static void drop(struct x11_client *client, struct icon *icon)
{
	xcb_destroy_window(client->xcb, icon->holder);
	wl_list_remove(&icon->link);
	free(icon);
}

void tray_stop(struct x11_client *client)
{
	struct icon *icon, *next;

	wl_list_for_each_safe(icon, next, &client->icons, link)
	{
		wl_list_remove(&icon->link);
		free(icon);
	}
}

static void dock(struct x11_client *client, xcb_window_t window)
{
	const uint32_t holder_values[] = {client->black, 1,
					  XCB_EVENT_MASK_STRUCTURE_NOTIFY |
						  XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY};
	const uint32_t icon_values[] = {XCB_EVENT_MASK_STRUCTURE_NOTIFY};
	const uint32_t size[] = {0, 0, ICON_SIZE, ICON_SIZE};
	struct icon *icon;
	uint32_t notify[5] = {XCB_CURRENT_TIME, XEMBED_NOTIFY};

	if (find(client, window) || wl_list_length(&client->icons) >= ICONS_MAX)
		return;
	icon = calloc(1, sizeof(*icon));
	if (!icon)
		return;
	icon->window = window;
	icon->holder = xcb_generate_id(client->xcb);
	wl_list_insert(&client->icons, &icon->link);
	xcb_create_window(client->xcb, client->depth, icon->holder, client->root, 0, 0, ICON_SIZE,
			  ICON_SIZE, 0, XCB_WINDOW_CLASS_INPUT_OUTPUT, client->visual,
			  XCB_CW_BACK_PIXEL | XCB_CW_OVERRIDE_REDIRECT | XCB_CW_EVENT_MASK,
			  holder_values);
	xcb_change_window_attributes(client->xcb, window, XCB_CW_EVENT_MASK, icon_values);
	/* If the agent ends the icon is a window of its own again. */
	xcb_change_save_set(client->xcb, XCB_SET_MODE_INSERT, window);
	xcb_reparent_window(client->xcb, window, icon->holder, 0, 0);
	xcb_configure_window(client->xcb, window,
			     XCB_CONFIG_WINDOW_X | XCB_CONFIG_WINDOW_Y | XCB_CONFIG_WINDOW_WIDTH |
				     XCB_CONFIG_WINDOW_HEIGHT,
			     size);
	notify[3] = icon->holder;
	tell(client, window, client->atoms[X11_XEMBED], XCB_EVENT_MASK_NO_EVENT, notify);
	xcb_map_window(client->xcb, window);
	xcb_map_window(client->xcb, icon->holder);
}

/* The daemon has given the holder a size: the icon fills it. */
static void resize(struct x11_client *client, const xcb_configure_notify_event_t *event)
{
	const uint32_t size[] = {event->width, event->height};
	struct icon *icon = find(client, event->window);

	if (icon && icon->holder == event->window && event->event == event->window)
		xcb_configure_window(client->xcb, icon->window,
				     XCB_CONFIG_WINDOW_WIDTH | XCB_CONFIG_WINDOW_HEIGHT, size);
}

static void gone(struct x11_client *client, xcb_window_t window)
{
	struct icon *icon = find(client, window);

	if (icon && icon->window == window)
		drop(client, icon);
}

bool tray_event(struct x11_client *client, const xcb_generic_event_t *event)
{
	const xcb_client_message_event_t *message = (const void *)event;
	const xcb_reparent_notify_event_t *reparent = (const void *)event;
	struct icon *icon;

	switch (event->response_type & 0x7f) {
	case XCB_CLIENT_MESSAGE:
		if (message->type != client->atoms[X11_TRAY_OPCODE] || message->format != 32)
			return false;
		if (message->data.data32[1] == REQUEST_DOCK)
			dock(client, message->data.data32[2]);
		return true;
	case XCB_CONFIGURE_NOTIFY:
		resize(client, (const void *)event);
		return true;
	case XCB_DESTROY_NOTIFY:
		gone(client, ((const xcb_destroy_notify_event_t *)event)->window);
		return true;
	case XCB_UNMAP_NOTIFY:
		/* An icon that is hidden for a while has no way to say so in the protocol: it leaves the tray. */
		icon = find(client, ((const xcb_unmap_notify_event_t *)event)->window);
		if (icon && ((const xcb_unmap_notify_event_t *)event)->event == icon->holder)
			gone(client, ((const xcb_unmap_notify_event_t *)event)->window);
		return true;
	case XCB_REPARENT_NOTIFY:
		icon = find(client, reparent->window);
		if (icon && reparent->parent != icon->holder)
			gone(client, reparent->window);
		return true;
	default:
		return false;
	}
}
