// SPDX-License-Identifier: GPL-2.0-or-later
// Icons in the system tray: the freedesktop.org system tray protocol, 0.3, over XEMBED.
#include "view_internal.h"

#define SYSTEM_TRAY_REQUEST_DOCK 0

unsigned int tray_border(enum tray_mode mode)
{
	if (mode == TRAY_BORDER2 || mode == TRAY_TINT_BORDER2)
		return 2;
	return mode == TRAY_BORDER1 || mode == TRAY_TINT_BORDER1 ? 1 : 0;
}

bool tray_tints(enum tray_mode mode)
{
	return mode == TRAY_TINT || mode == TRAY_TINT_BORDER1 || mode == TRAY_TINT_BORDER2;
}

static Atom atom(struct view *view, const char *name)
{
	return gdk_x11_get_xatom_by_name_for_display(view->display, name);
}

void tray_dock(struct frame *frame)
{
	struct view *view = frame->view;
	char name[64];
	long info[2] = {0, 1}; /* version 0; to be mapped */
	XEvent event = {0};
	Window owner;

	g_snprintf(name, sizeof(name), "_NET_SYSTEM_TRAY_S%d", DefaultScreen(view->x));
	owner = XGetSelectionOwner(view->x, atom(view, name));
	if (!owner) {
		view->actions->warn(view->ctx, "tray",
				    "There is no system tray, so its icon is not shown.");
		return;
	}
	gdk_window_resize(frame->outer, (int)frame->window->rect.width,
			  (int)frame->window->rect.height);
	XChangeProperty(view->x, GDK_WINDOW_XID(frame->outer), atom(view, "_XEMBED_INFO"),
			atom(view, "_XEMBED_INFO"), 32, PropModeReplace, (unsigned char *)info, 2);
	event.xclient.type = ClientMessage;
	event.xclient.window = owner;
	event.xclient.message_type = atom(view, "_NET_SYSTEM_TRAY_OPCODE");
	event.xclient.format = 32;
	event.xclient.data.l[0] = CurrentTime;
	event.xclient.data.l[1] = SYSTEM_TRAY_REQUEST_DOCK;
	event.xclient.data.l[2] = (long)GDK_WINDOW_XID(frame->outer);
	/* The tray may end at any time. */
	gdk_x11_display_error_trap_push(view->display);
	XSendEvent(view->x, owner, False, NoEventMask, &event);
	gdk_x11_display_error_trap_pop_ignored(view->display);
	frame->shown = true;
}
