// SPDX-License-Identifier: GPL-2.0-or-later
// gui-icon-sender: in a qube, told of windows by the agent, sends their icons to the GUI domain's service.
#define _GNU_SOURCE
#include <X11/Xatom.h>
#include <X11/Xlib.h>
#include <errno.h>
#include <fcntl.h>
#include <gdk-pixbuf/gdk-pixbuf.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Pixels of a side: enough for panels, small enough for a call. */
#define SIDE	    48
#define WINDOWS_MAX 256
#define PATH_SIZE   512

struct known {
	unsigned int number;
	Window window;
};

static struct sender {
	Display *display; /* NULL: no X11 here */
	Atom net_icon;
	FILE *to;
	struct known known[WINDOWS_MAX]; /* X11 windows, whose icons may change */
	unsigned int next;
} sender;

/* Windows come and go between two calls: errors about them mean nothing. */
static int on_error(Display *display, XErrorEvent *event)
{
	(void)display;
	(void)event;
	return 0;
}

/* Standard output becomes the input of the command that calls the service. */
static bool start_call(char **command)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return false;
	switch (fork()) {
	case -1:
		return false;
	case 0:
		if (dup2(ends[0], STDIN_FILENO) >= 0)
			execvp(command[0], command);
		fprintf(stderr, "gui-icon-sender: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	default:
		close(ends[0]);
		sender.to = fdopen(ends[1], "w");
		return sender.to != NULL;
	}
}

/* Scales down what is larger, and sends it as the service takes it. */
static void send_picture(unsigned int number, GdkPixbuf *picture)
{
	int width = gdk_pixbuf_get_width(picture), height = gdk_pixbuf_get_height(picture), stride;
	GdkPixbuf *small = NULL, *whole;
	int longer = width > height ? width : height;

	if (longer > SIDE) {
		width = width * SIDE / longer > 0 ? width * SIDE / longer : 1;
		height = height * SIDE / longer > 0 ? height * SIDE / longer : 1;
		small = gdk_pixbuf_scale_simple(picture, width, height, GDK_INTERP_BILINEAR);
		picture = small;
	}
	whole = picture ? gdk_pixbuf_add_alpha(picture, FALSE, 0, 0, 0) : NULL;
	if (whole) {
		stride = gdk_pixbuf_get_rowstride(whole);
		fprintf(sender.to, "%u\n%d %d\n", number, width, height);
		for (int y = 0; y < height; y++)
			fwrite(gdk_pixbuf_read_pixels(whole) + (size_t)y * (size_t)stride, 4,
			       (size_t)width, sender.to);
		g_object_unref(whole);
	}
	if (small)
		g_object_unref(small);
	/* The service has ended, or was refused: then so is this. */
	if (fflush(sender.to))
		exit(0);
}

/* The smallest that is large enough, or else the largest, of the pictures in the property (EWMH, _NET_WM_ICON). */
static const long *choose(const long *data, unsigned long count)
{
	const long *best = NULL;

	while (count > 2 && data[0] > 0 && data[1] > 0 && data[0] <= 1024 && data[1] <= 1024 &&
	       (unsigned long)(data[0] * data[1]) <= count - 2) {
		unsigned long size = 2 + (unsigned long)(data[0] * data[1]);

		if (!best || (best[0] < SIDE && data[0] > best[0]) ||
		    (data[0] >= SIDE && data[0] < best[0]))
			best = data;
		data += size;
		count -= size;
	}
	return best;
}

static bool send_property(unsigned int number, Window window)
{
	unsigned long count = 0, left;
	unsigned char *data = NULL;
	const long *icon = NULL;
	GdkPixbuf *picture;
	guchar *to;
	int format;
	Atom type;

	if (XGetWindowProperty(sender.display, window, sender.net_icon, 0, 1 << 20, False,
			       XA_CARDINAL, &type, &format, &count, &left, &data) == Success &&
	    data && format == 32)
		icon = choose((const long *)(void *)data, count);
	if (icon) {
		picture = gdk_pixbuf_new(GDK_COLORSPACE_RGB, TRUE, 8, (int)icon[0], (int)icon[1]);
		to = gdk_pixbuf_get_pixels(picture);
		for (long i = 0; i < icon[0] * icon[1]; i++) {
			guchar *at = to + i / icon[0] * gdk_pixbuf_get_rowstride(picture) +
				     i % icon[0] * 4;
			unsigned long pixel = (unsigned long)icon[2 + i];

			at[0] = (guchar)(pixel >> 16);
			at[1] = (guchar)(pixel >> 8);
			at[2] = (guchar)pixel;
			at[3] = (guchar)(pixel >> 24);
		}
		send_picture(number, picture);
		g_object_unref(picture);
	}
	if (data)
		XFree(data);
	return icon != NULL;
}

static bool send_file(unsigned int number, const char *path)
{
	/* Drawings have no size of their own; what is small stays so. */
	GdkPixbuf *picture = g_str_has_suffix(path, ".svg")
				     ? gdk_pixbuf_new_from_file_at_size(path, SIDE, SIDE, NULL)
				     : gdk_pixbuf_new_from_file(path, NULL);

	if (!picture)
		return false;
	send_picture(number, picture);
	g_object_unref(picture);
	return true;
}

/* An icon by its name, where the Icon Theme Specification's last resorts have it. */
static bool send_named(unsigned int number, const char *name)
{
	static const char *const places[] = {
		"icons/hicolor/48x48/apps/%s.png",
		"icons/hicolor/64x64/apps/%s.png",
		"icons/hicolor/scalable/apps/%s.svg",
		"icons/hicolor/128x128/apps/%s.png",
		"icons/hicolor/256x256/apps/%s.png",
		"icons/hicolor/32x32/apps/%s.png",
		"icons/Adwaita/48x48/legacy/%s.png",
		"icons/Adwaita/scalable/apps/%s.svg",
		"pixmaps/%s.png",
		"pixmaps/%s.xpm",
		"pixmaps/%s.svg",
	};
	const char *const *dirs = g_get_system_data_dirs();

	if (name[0] == '/')
		return send_file(number, name);
	for (; *dirs; dirs++)
		for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
			char *relative = g_strdup_printf(places[i], name);
			char *path = g_build_filename(*dirs, relative, NULL);
			bool sent = send_file(number, path);

			g_free(path);
			g_free(relative);
			if (sent)
				return true;
		}
	return false;
}

/* What the application's desktop file names; NULL: nothing. */
static char *icon_of_application(const char *class_name)
{
	GKeyFile *file = g_key_file_new();
	char *relative = g_strdup_printf("applications/%s.desktop", class_name), *icon = NULL;

	if (g_key_file_load_from_data_dirs(file, relative, NULL, G_KEY_FILE_NONE, NULL))
		icon = g_key_file_get_string(file, "Desktop Entry", "Icon", NULL);
	g_free(relative);
	g_key_file_unref(file);
	return icon;
}

static void send_class(unsigned int number, const char *class_name)
{
	char *lower = g_ascii_strdown(class_name, -1), *icon;

	/* No name of a file leads elsewhere. */
	if (!strchr(class_name, '/') && *class_name) {
		icon = icon_of_application(class_name);
		if (!icon)
			icon = icon_of_application(lower);
		if (!icon || !send_named(number, icon))
			(void)(send_named(number, class_name) || send_named(number, lower));
		g_free(icon);
	}
	g_free(lower);
}

static void take_line(char *line)
{
	unsigned int number, window;
	int end = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%u %u %n", &number, &window, &end) != 2 || !end)
		return;
	if (window && sender.display) {
		sender.known[sender.next++ % WINDOWS_MAX] = (struct known){number, window};
		XSelectInput(sender.display, window, PropertyChangeMask);
		if (send_property(number, window))
			return;
	}
	send_class(number, line + end);
}

static void take_events(void)
{
	XEvent event;

	while (sender.display && XPending(sender.display)) {
		XNextEvent(sender.display, &event);
		if (event.type != PropertyNotify || event.xproperty.atom != sender.net_icon)
			continue;
		for (size_t i = 0; i < WINDOWS_MAX; i++)
			if (sender.known[i].window == event.xproperty.window)
				send_property(sender.known[i].number, sender.known[i].window);
	}
}

int main(int argc, char **argv)
{
	static char *call[] = {"qrexec-client-vm", "@adminvm", "qubes.WindowIconUpdater", NULL};
	char line[256];
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
				{.fd = -1, .events = POLLIN}};

	if (argc > 1 && (argv[1][0] == '-' || argc < 2)) {
		fprintf(stderr, "usage: gui-icon-sender [COMMAND [ARGUMENT]...]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	if (!start_call(argc > 1 ? argv + 1 : call)) {
		fprintf(stderr, "gui-icon-sender: no process for the call of the service: %s\n",
			strerror(errno));
		return 1;
	}
	/* Lines come one at a time from poll(): none may wait in a buffer. */
	setvbuf(stdin, NULL, _IONBF, 0);
	sender.display = getenv("DISPLAY") ? XOpenDisplay(NULL) : NULL;
	if (getenv("DISPLAY") && !sender.display)
		fprintf(stderr,
			"gui-icon-sender: the display %s cannot be opened: windows of X11 get the icons of "
			"their applications only\n",
			getenv("DISPLAY"));
	if (sender.display) {
		XSetErrorHandler(on_error);
		sender.net_icon = XInternAtom(sender.display, "_NET_WM_ICON", False);
		fds[1].fd = ConnectionNumber(sender.display);
	}
	for (;;) {
		take_events();
		if (poll(fds, 2, -1) < 0 && errno != EINTR) {
			fprintf(stderr, "gui-icon-sender: poll: %s\n", strerror(errno));
			return 1;
		}
		if (fds[0].revents) {
			if (!fgets(line, sizeof(line), stdin))
				return 0;
			take_line(line);
		}
	}
}
