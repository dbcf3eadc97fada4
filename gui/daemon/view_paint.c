// SPDX-License-Identifier: GPL-2.0-or-later
// Pictures: damaged rectangles are copied once, from the qube's pages to memory shared with the X server.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "tint.h"
#include "view_internal.h"

/* What one picture carries at most; larger damage goes in several. A row always fits. */
#define SEGMENT_MAX    (16u << 20)
#define SEGMENT_MIN    (256u << 10)
/* Up to so many bytes it is cheaper to send the pixels along than to hear when shared memory was read. */
#define INLINE_MAX     8192u
/* But after so many pictures without an answer of the server, one is asked for. */
#define INLINE_RUN     32u
/* Above so many rectangles their common outline is cheaper. */
#define RECTANGLES_MAX 128

int paint_start(struct view *view)
{
	view->gc = XCreateGC(view->x, view->root, 0, NULL);
	XSetGraphicsExposures(view->x, view->gc, False);
	view->shm = XShmQueryExtension(view->x) && !g_getenv("GUI_DAEMON_NO_SHM");
	if (view->shm)
		view->shm_completion = XShmGetEventBase(view->x) + ShmCompletion;
	return view->gc ? 0 : -ENOMEM;
}

static void release_segment(struct view *view, struct segment *segment)
{
	if (!segment->size)
		return;
	if (view->shm) {
		XShmDetach(view->x, &segment->info);
		shmdt(segment->info.shmaddr);
	} else {
		free(segment->info.shmaddr);
	}
	memset(segment, 0, sizeof(*segment));
}

void paint_finish(struct view *view)
{
	size_t i;

	for (i = 0; i < PAINT_SEGMENTS; i++)
		release_segment(view, &view->segments[i]);
	if (view->gc)
		XFreeGC(view->x, view->gc);
}

/* A display on another machine cannot attach the memory. */
static bool attach(struct view *view, struct segment *segment)
{
	bool good;

	gdk_x11_display_error_trap_push(view->display);
	good = XShmAttach(view->x, &segment->info);
	XSync(view->x, False);
	return !gdk_x11_display_error_trap_pop(view->display) && good;
}

static bool allocate_segment(struct view *view, struct segment *segment, size_t size)
{
	size_t room = SEGMENT_MIN;

	while (room < size)
		room *= 2;
	if (segment->size >= size)
		return true;
	release_segment(view, segment);
	if (view->shm) {
		segment->info.shmid = shmget(IPC_PRIVATE, room, IPC_CREAT | 0600);
		if (segment->info.shmid < 0)
			return false;
		segment->info.shmaddr = shmat(segment->info.shmid, NULL, 0);
		segment->info.readOnly = True;
		if (segment->info.shmaddr == (void *)-1 || !attach(view, segment)) {
			if (segment->info.shmaddr != (void *)-1)
				shmdt(segment->info.shmaddr);
			view->shm = false;
		}
		/* It lives as long as somebody is attached. */
		shmctl(segment->info.shmid, IPC_RMID, NULL);
	}
	if (!view->shm) {
		segment->info.shmaddr = calloc(1, room);
		if (!segment->info.shmaddr)
			return false;
	}
	segment->size = room;
	return true;
}

static struct segment *free_segment(struct view *view)
{
	size_t i;

	for (i = 0; i < PAINT_SEGMENTS; i++)
		if (!view->segments[i].busy)
			return &view->segments[i];
	return NULL;
}

void paint_damage(struct frame *frame, const struct rect *rect)
{
	cairo_rectangle_int_t area = {.x = rect->x,
				      .y = rect->y,
				      .width = (int)rect->width,
				      .height = (int)rect->height};

	/* The colours of a tray icon depend on the whole of it. */
	if (frame->window->docked)
		area = (cairo_rectangle_int_t){.width = (int)frame->window->rect.width,
					       .height = (int)frame->window->rect.height};
	cairo_region_union_rectangle(frame->damage, &area);
	if (cairo_region_num_rectangles(frame->damage) > RECTANGLES_MAX) {
		cairo_region_get_extents(frame->damage, &area);
		cairo_region_union_rectangle(frame->damage, &area);
	}
	if (!frame->queued) {
		frame->queued = true;
		g_queue_push_tail(&frame->view->dirty, frame);
	}
}

void paint_forget(struct frame *frame)
{
	if (frame->queued)
		g_queue_remove(&frame->view->dirty, frame);
	frame->queued = false;
}

/* The part of the damage that can be seen and has a picture. `ret_x`, `ret_y`: of the window in the image. */
static const struct image *visible(struct frame *frame, int32_t *ret_x, int32_t *ret_y)
{
	const struct window *window = frame->window;
	const struct image *image = model_image(frame->view->model, window, ret_x, ret_y);
	cairo_rectangle_int_t area;

	if (!image)
		return NULL;
	area = (cairo_rectangle_int_t){frame->inset, frame->inset,
				       (int)window->rect.width - 2 * frame->inset,
				       (int)window->rect.height - 2 * frame->inset};
	if (area.width <= 0 || area.height <= 0)
		return NULL;
	cairo_region_intersect_rectangle(frame->damage, &area);
	area = (cairo_rectangle_int_t){-*ret_x, -*ret_y, (int)image->width, (int)image->height};
	cairo_region_intersect_rectangle(frame->damage, &area);
	return image;
}

/*
 * The one place that reads pages of a qube: each byte once, never to be interpreted. That it may change
 * meanwhile costs the qube's own picture only.
 */
static void copy_rectangle(char *to, const struct image *image, int x, int y, int width, int height)
{
	const char *from = (const char *)(uintptr_t)image->mapping->data;
	size_t stride = (size_t)image->width * 4, bytes = (size_t)width * 4;
	int row;

	from += (size_t)y * stride + (size_t)x * 4;
	if (bytes == stride) {
		memcpy(to, from, bytes * (size_t)height);
		return;
	}
	for (row = 0; row < height; row++, to += bytes, from += stride)
		memcpy(to, from, bytes);
}

static void decorate(struct frame *frame, char *pixels, size_t count)
{
	struct view *view = frame->view;
	enum tray_mode mode = view->options.config->trayicon_mode;
	uint32_t *words = (uint32_t *)(void *)pixels;

	if (!frame->window->docked || !count)
		return;
	if (tray_tints(mode))
		icon_tint(words, count, view->options.color);
	else if (mode == TRAY_BACKGROUND)
		icon_fill(words, count, words[0], view->options.color);
}

static void put(struct frame *frame, struct segment *segment, size_t offset,
		const cairo_rectangle_int_t *area, bool shared, bool last)
{
	struct view *view = frame->view;
	XImage *image;

	image = XShmCreateImage(view->x, view->visual, (unsigned int)view->depth, ZPixmap,
				segment->info.shmaddr + offset, &segment->info,
				(unsigned int)area->width, (unsigned int)area->height);
	if (!image)
		return;
	image->bytes_per_line = area->width * 4;
	if (shared) {
		XShmPutImage(view->x, frame->inner, view->gc, image, 0, 0, area->x - frame->inset,
			     area->y - frame->inset, (unsigned int)area->width,
			     (unsigned int)area->height, last);
	} else {
		image->obdata = NULL;
		XPutImage(view->x, frame->inner, view->gc, image, 0, 0, area->x - frame->inset,
			  area->y - frame->inset, (unsigned int)area->width,
			  (unsigned int)area->height);
	}
	image->data = NULL;
	XDestroyImage(image);
}

/* Rectangles of the damage, up to what a segment holds. */
static int choose(struct frame *frame, cairo_rectangle_int_t chosen[RECTANGLES_MAX],
		  size_t *ret_bytes)
{
	int count = 0, i, total = cairo_region_num_rectangles(frame->damage), rows;
	size_t bytes = 0, row;

	for (i = 0; i < total && count < RECTANGLES_MAX; i++) {
		cairo_region_get_rectangle(frame->damage, i, &chosen[count]);
		row = (size_t)chosen[count].width * 4;
		rows = (int)((SEGMENT_MAX - bytes) / row);
		if (rows == 0)
			break;
		if (rows < chosen[count].height)
			chosen[count].height = rows;
		bytes += row * (size_t)chosen[count].height;
		count++;
	}
	*ret_bytes = bytes;
	return count;
}

/* True if pictures were sent that the server still has to read from the segment. */
static bool paint_frame(struct frame *frame, struct segment *segment)
{
	bool shared;

	cairo_rectangle_int_t chosen[RECTANGLES_MAX];
	const struct image *image;
	size_t bytes, offset = 0;
	int32_t x, y;
	int count, i;

	image = frame->shown || frame->window->docked ? visible(frame, &x, &y) : NULL;
	count = image ? choose(frame, chosen, &bytes) : 0;
	if (!count || !allocate_segment(frame->view, segment, bytes)) {
		/* Nothing to be seen, or no memory for it: the next damage is another try. */
		cairo_region_destroy(frame->damage);
		frame->damage = cairo_region_create();
		return false;
	}
	shared = frame->view->shm && (bytes > INLINE_MAX || frame->inline_run >= INLINE_RUN);
	frame->inline_run = shared ? 0 : frame->inline_run + 1;
	for (i = 0; i < count; i++) {
		size_t size = (size_t)chosen[i].width * (size_t)chosen[i].height * 4;

		copy_rectangle(segment->info.shmaddr + offset, image, chosen[i].x + x,
			       chosen[i].y + y, chosen[i].width, chosen[i].height);
		decorate(frame, segment->info.shmaddr + offset, size / 4);
		put(frame, segment, offset, &chosen[i], shared, i == count - 1);
		cairo_region_subtract_rectangle(frame->damage, &chosen[i]);
		offset += size;
	}
	return shared;
}

void paint_flush(struct view *view)
{
	struct segment *segment;
	struct frame *frame;
	GList *link, *next;

	for (link = view->dirty.head; link; link = next) {
		next = link->next;
		frame = link->data;
		/* What the server has not shown yet need not be overtaken: later damage is joined. */
		if (frame->in_flight)
			continue;
		segment = free_segment(view);
		if (!segment)
			return;
		if (paint_frame(frame, segment)) {
			segment->busy = frame->inner;
			frame->in_flight = true;
		}
		if (cairo_region_is_empty(frame->damage)) {
			g_queue_delete_link(&view->dirty, link);
			frame->queued = false;
		} else if (!frame->in_flight) {
			next = link;
		}
	}
}

bool paint_event(struct view *view, const XEvent *event)
{
	const XShmCompletionEvent *done = (const XShmCompletionEvent *)event;
	struct frame *frame;
	size_t i;

	if (!view->shm_completion || event->type != view->shm_completion)
		return false;
	for (i = 0; i < PAINT_SEGMENTS; i++)
		if (view->segments[i].busy && view->segments[i].info.shmseg == done->shmseg)
			view->segments[i].busy = None;
	frame = g_hash_table_lookup(view->by_inner, GUINT_TO_POINTER(done->drawable));
	if (frame)
		frame->in_flight = false;
	view_flush(view);
	return true;
}
