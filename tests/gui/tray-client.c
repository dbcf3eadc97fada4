// SPDX-License-Identifier: GPL-2.0-or-later
// An icon for the system tray of X11: red, green while a button is held on it. Prints what it hears.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xcb/xcb.h>

#define RED   0xff0000
#define GREEN 0x00ff00

static xcb_connection_t *xcb;

static xcb_atom_t atom(const char *name)
{
	xcb_intern_atom_reply_t *reply =
		xcb_intern_atom_reply(xcb, xcb_intern_atom(xcb, 0, (uint16_t)strlen(name), name),
				      NULL);
	xcb_atom_t value = reply ? reply->atom : XCB_ATOM_NONE;

	free(reply);
	return value;
}

static void fill(xcb_window_t window, uint32_t colour)
{
	xcb_change_window_attributes(xcb, window, XCB_CW_BACK_PIXEL, &colour);
	xcb_clear_area(xcb, 0, window, 0, 0, 0, 0);
}

static xcb_window_t manager(void)
{
	xcb_get_selection_owner_reply_t *reply = xcb_get_selection_owner_reply(
		xcb, xcb_get_selection_owner(xcb, atom("_NET_SYSTEM_TRAY_S0")), NULL);
	xcb_window_t owner = reply ? reply->owner : XCB_WINDOW_NONE;

	free(reply);
	return owner;
}

int main(void)
{
	xcb_client_message_event_t request = {.response_type = XCB_CLIENT_MESSAGE, .format = 32};
	const uint32_t values[] = {RED, XCB_EVENT_MASK_BUTTON_PRESS |
						XCB_EVENT_MASK_BUTTON_RELEASE |
						XCB_EVENT_MASK_STRUCTURE_NOTIFY};
	xcb_generic_event_t *event;
	xcb_screen_t *screen;
	xcb_window_t window;

	setvbuf(stdout, NULL, _IOLBF, 0);
	xcb = xcb_connect(NULL, NULL);
	if (xcb_connection_has_error(xcb))
		return 1;
	screen = xcb_setup_roots_iterator(xcb_get_setup(xcb)).data;
	window = xcb_generate_id(xcb);
	xcb_create_window(xcb, screen->root_depth, window, screen->root, 0, 0, 10, 10, 0,
			  XCB_WINDOW_CLASS_INPUT_OUTPUT, screen->root_visual,
			  XCB_CW_BACK_PIXEL | XCB_CW_EVENT_MASK, values);
	request.type = atom("_NET_SYSTEM_TRAY_OPCODE");
	/* The agent connects when Xwayland is ready, which may be after us. */
	while ((request.window = manager()) == XCB_WINDOW_NONE)
		usleep(10000);
	request.data.data32[2] = window;
	xcb_send_event(xcb, 0, request.window, XCB_EVENT_MASK_NO_EVENT, (const char *)&request);
	xcb_flush(xcb);
	while ((event = xcb_wait_for_event(xcb))) {
		const xcb_configure_notify_event_t *configure = (const void *)event;
		const xcb_client_message_event_t *message = (const void *)event;

		switch (event->response_type & 0x7f) {
		case XCB_CONFIGURE_NOTIFY:
			printf("size %u %u\n", configure->width, configure->height);
			break;
		case XCB_CLIENT_MESSAGE:
			if (message->type == atom("_XEMBED"))
				printf("embedded %u\n", message->data.data32[1]);
			break;
		case XCB_BUTTON_PRESS:
			fill(window, GREEN);
			printf("press\n");
			break;
		case XCB_BUTTON_RELEASE:
			fill(window, RED);
			printf("release\n");
			break;
		default:
			break;
		}
		free(event);
		xcb_flush(xcb);
	}
	return 0;
}
