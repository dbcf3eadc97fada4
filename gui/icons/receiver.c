// SPDX-License-Identifier: GPL-2.0-or-later
// gui-icon-receiver: the service qubes.WindowIconUpdater of the GUI domain. Gives the windows of the calling qube
// their icons, in the qube's colour.
#include <X11/Xatom.h>
#include <X11/Xlib.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../daemon/tint.h"
#include "stream.h"

/* Icons that are kept for windows that are not there yet. */
#define ICONS_MAX 256

struct entry {
	struct icon *icon;
	Window shown; /* which window has it; None: none yet */
};

static struct receiver {
	Display *display;
	Window root;
	const char *qube;
	Atom client_list, name, number, color, net_icon;
	struct entry entries[ICONS_MAX];
	unsigned int count, oldest;
} receiver;

/* Windows come and go between two calls: errors about them mean nothing. */
static int on_error(Display *display, XErrorEvent *event)
{
	(void)display;
	(void)event;
	return 0;
}

/* Up to `max` items of a property of longs; returns how many there are of them. To be freed with XFree(). */
static unsigned long get_longs(Window window, Atom property, Atom type, long max, long **ret_longs)
{
	unsigned long count = 0, left;
	unsigned char *data = NULL;
	Atom found;
	int format;

	if (XGetWindowProperty(receiver.display, window, property, 0, max, False, type, &found,
			       &format, &count, &left, &data) != Success ||
	    found != type || format != 32) {
		if (data)
			XFree(data);
		data = NULL;
		count = 0;
	}
	*ret_longs = (long *)(void *)data;
	return count;
}

static bool get_long(Window window, Atom property, Atom type, unsigned long *ret_value)
{
	long *data;
	bool found = get_longs(window, property, type, 1, &data) == 1;

	if (found)
		*ret_value = (unsigned long)data[0];
	if (data)
		XFree(data);
	return found;
}

static bool is_of_qube(Window window)
{
	unsigned long count = 0, left;
	unsigned char *data = NULL;
	Atom found;
	int format;
	bool same;

	if (XGetWindowProperty(receiver.display, window, receiver.name, 0, 64, False, XA_STRING,
			       &found, &format, &count, &left, &data) != Success)
		return false;
	same = data && found == XA_STRING && format == 8 && count == strlen(receiver.qube) &&
	       !memcmp(data, receiver.qube, count);
	if (data)
		XFree(data);
	return same;
}

static void set_icon(Window window, const struct icon *icon, uint32_t color)
{
	size_t count = (size_t)icon->width * icon->height, i;
	unsigned long *longs = calloc(count + 2, sizeof(*longs));
	uint32_t pixel;

	if (!longs)
		return;
	longs[0] = icon->width;
	longs[1] = icon->height;
	for (i = 0; i < count; i++) {
		pixel = icon->pixels[i];
		icon_tint(&pixel, 1, color);
		longs[i + 2] = pixel;
	}
	XChangeProperty(receiver.display, window, receiver.net_icon, XA_CARDINAL, 32,
			PropModeReplace, (unsigned char *)longs, (int)(count + 2));
	free(longs);
}

static void apply_to(Window window)
{
	unsigned long number, color;
	struct entry *entry;
	unsigned int i;

	if (!is_of_qube(window) || !get_long(window, receiver.number, XA_WINDOW, &number) ||
	    !get_long(window, receiver.color, XA_CARDINAL, &color))
		return;
	for (i = 0; i < receiver.count; i++) {
		entry = &receiver.entries[i];
		if (entry->icon->window != number || entry->shown == window)
			continue;
		set_icon(window, entry->icon, (uint32_t)color);
		entry->shown = window;
	}
}

/* Looks at all windows that the window manager has. */
static void apply(void)
{
	long *windows;
	unsigned long count, i;

	count = get_longs(receiver.root, receiver.client_list, XA_WINDOW, 10000, &windows);
	for (i = 0; i < count; i++)
		apply_to((Window)windows[i]);
	if (windows)
		XFree(windows);
	XFlush(receiver.display);
}

/* Keeps the icon instead of the window's last one, of none, or of the one that came first. */
static void keep(struct icon *icon)
{
	unsigned int i;

	for (i = 0; i < receiver.count; i++)
		if (receiver.entries[i].icon->window == icon->window)
			break;
	if (i == ICONS_MAX)
		i = receiver.oldest++ % ICONS_MAX;
	else if (i == receiver.count)
		receiver.count++;
	free(receiver.entries[i].icon);
	receiver.entries[i] = (struct entry){.icon = icon};
}

static int take_icon(void)
{
	static struct icon untrusted_icon;
	struct icon *icon;
	size_t size;
	int rc = icon_read(stdin, &untrusted_icon);

	if (rc <= 0)
		return rc;
	/* Few icons are as large as they may be. */
	size = offsetof(struct icon, pixels) +
	       (size_t)untrusted_icon.width * untrusted_icon.height * sizeof(uint32_t);
	icon = malloc(size);
	if (!icon)
		return -ENOMEM;
	memcpy(icon, &untrusted_icon, size);
	keep(icon);
	apply();
	return 1;
}

static void take_events(void)
{
	XEvent event;
	bool changed = false;

	while (XPending(receiver.display)) {
		XNextEvent(receiver.display, &event);
		changed = changed || (event.type == PropertyNotify &&
				      event.xproperty.atom == receiver.client_list);
	}
	if (changed)
		apply();
}

static bool start(void)
{
	receiver.qube = getenv("QREXEC_REMOTE_DOMAIN");
	if (!receiver.qube || !*receiver.qube) {
		fputs("gui-icon-receiver: QREXEC_REMOTE_DOMAIN is not set: it is a service for qrexec\n",
		      stderr);
		return false;
	}
	receiver.display = XOpenDisplay(NULL);
	if (!receiver.display) {
		fputs("gui-icon-receiver: cannot open the display: is DISPLAY right?\n", stderr);
		return false;
	}
	XSetErrorHandler(on_error);
	receiver.root = DefaultRootWindow(receiver.display);
	receiver.client_list = XInternAtom(receiver.display, "_NET_CLIENT_LIST", False);
	receiver.name = XInternAtom(receiver.display, "_QUBES_VMNAME", False);
	receiver.number = XInternAtom(receiver.display, "_QUBES_VMWINDOWID", False);
	receiver.color = XInternAtom(receiver.display, "_QUBES_LABEL_COLOR", False);
	receiver.net_icon = XInternAtom(receiver.display, "_NET_WM_ICON", False);
	XSelectInput(receiver.display, receiver.root, PropertyChangeMask);
	XFlush(receiver.display);
	return true;
}

int main(void)
{
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};
	int rc = 1;

	if (!start())
		return 1;
	/* Unbuffered: what poll() says of the descriptor has to be all that there is. */
	setvbuf(stdin, NULL, _IONBF, 0);
	fds[1].fd = ConnectionNumber(receiver.display);
	while (rc > 0) {
		take_events();
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			rc = take_icon();
	}
	if (rc < 0)
		fprintf(stderr, "gui-icon-receiver: %s: what it sent is no icon\n", receiver.qube);
	XCloseDisplay(receiver.display);
	return rc < 0;
}
