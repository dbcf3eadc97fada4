// SPDX-License-Identifier: GPL-2.0-or-later
// An X11 client for measurements: repaints a window at a fixed rate, or changes its colour with each key.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include <X11/Xlib.h>
#include <X11/Xutil.h>
#include <X11/extensions/XShm.h>

struct client {
	Display *display;
	Window window;
	GC gc;
	XImage *image;
	XShmSegmentInfo info;
	unsigned int width, height;
	bool shared;
};

static void fail(const char *what)
{
	fprintf(stderr, "gui-client: %s\n", what);
	exit(1);
}

static void open_window(struct client *client, const char *title)
{
	XSetWindowAttributes attributes = {.event_mask = ExposureMask | KeyPressMask |
							 StructureNotifyMask};
	XEvent event;

	client->display = XOpenDisplay(NULL);
	if (!client->display)
		fail("no display");
	client->window = XCreateWindow(client->display, DefaultRootWindow(client->display), 0, 0,
				       client->width, client->height, 0, CopyFromParent,
				       InputOutput, CopyFromParent, CWEventMask, &attributes);
	XStoreName(client->display, client->window, title);
	client->gc = XCreateGC(client->display, client->window, 0, NULL);
	XMapWindow(client->display, client->window);
	do
		XNextEvent(client->display, &event);
	while (event.type != Expose);
}

static void make_image(struct client *client)
{
	Display *display = client->display;

	client->shared = XShmQueryExtension(display);
	if (!client->shared) {
		client->image = XCreateImage(display, DefaultVisual(display, 0), 24, ZPixmap, 0,
					     calloc(client->height, client->width * 4),
					     client->width, client->height, 32, 0);
		if (!client->image || !client->image->data)
			fail("no image");
		return;
	}
	client->image = XShmCreateImage(display, DefaultVisual(display, 0), 24, ZPixmap, NULL,
					&client->info, client->width, client->height);
	if (!client->image)
		fail("no image");
	client->info.shmid = shmget(IPC_PRIVATE,
				    (size_t)client->image->bytes_per_line * client->height,
				    IPC_CREAT | 0600);
	client->info.shmaddr = client->image->data = shmat(client->info.shmid, NULL, 0);
	if (client->image->data == (void *)-1 || !XShmAttach(display, &client->info))
		fail("no shared memory");
	XSync(display, False);
	shmctl(client->info.shmid, IPC_RMID, NULL);
	memset(client->image->data, 0x55, (size_t)client->image->bytes_per_line * client->height);
}

/* Each frame differs from the one before in every pixel that it paints. */
static void paint(struct client *client, unsigned int frame, unsigned int size)
{
	unsigned int width = size ? size : client->width, height = size ? size : client->height;
	unsigned int x = size ? frame * 37 % (client->width - size) : 0;
	unsigned int y = size ? frame * 23 % (client->height - size) : 0, row;

	for (row = y; row < y + height; row++)
		memset(client->image->data + (size_t)row * (size_t)client->image->bytes_per_line +
			       (size_t)x * 4,
		       (int)(frame * 7 + row) & 255, (size_t)width * 4);
	if (client->shared)
		XShmPutImage(client->display, client->window, client->gc, client->image, (int)x,
			     (int)y, (int)x, (int)y, width, height, False);
	else
		XPutImage(client->display, client->window, client->gc, client->image, (int)x,
			  (int)y, (int)x, (int)y, width, height);
	XSync(client->display, False);
}

static void add_microseconds(struct timespec *time, long microseconds)
{
	time->tv_nsec += microseconds * 1000;
	while (time->tv_nsec >= 1000000000) {
		time->tv_nsec -= 1000000000;
		time->tv_sec++;
	}
}

/* `size` 0: the whole window. */
static void repaint(struct client *client, unsigned int frames, unsigned int rate,
		    unsigned int size)
{
	struct timespec next;
	unsigned int frame;

	make_image(client);
	paint(client, 0, 0);
	puts("ready");
	fflush(stdout);
	if (getchar() == EOF)
		return;
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (frame = 1; frame <= frames; frame++) {
		paint(client, frame, size);
		add_microseconds(&next, rate ? 1000000 / (long)rate : 0);
		if (rate)
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	puts("done");
	fflush(stdout);
	(void)getchar();
}

static void toggle(struct client *client)
{
	unsigned long colors[2] = {0x0000ff, 0x00ff00};
	unsigned int count = 0;
	XEvent event;

	for (;;) {
		XSetForeground(client->display, client->gc, colors[count & 1]);
		XFillRectangle(client->display, client->window, client->gc, 0, 0, client->width,
			       client->height);
		XFlush(client->display);
		do
			XNextEvent(client->display, &event);
		while (event.type != KeyPress && event.type != Expose);
		count += event.type == KeyPress;
	}
}

int main(int argc, char **argv)
{
	struct client client = {.width = 800, .height = 600};

	if (argc < 4)
		fail("usage: gui-client TITLE WIDTH HEIGHT [key | idle | FRAMES RATE SIZE]");
	client.width = (unsigned int)atoi(argv[2]);
	client.height = (unsigned int)atoi(argv[3]);
	open_window(&client, argv[1]);
	if (argc == 7)
		repaint(&client, (unsigned int)atoi(argv[4]), (unsigned int)atoi(argv[5]),
			(unsigned int)atoi(argv[6]));
	else
		toggle(&client);
	return 0;
}
