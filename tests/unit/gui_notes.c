// SPDX-License-Identifier: GPL-2.0-or-later
// The view of tests: counts what is asked of it, and insists on what a view may rely on.
#include "gui_notes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../gui/common/grant_internal.h"

/* For fuzzing, too: there is nobody to tell but the sanitizers. */
static void require(bool condition)
{
	if (!condition)
		abort();
}

static int on_create(void *view, struct window *window)
{
	((struct notes *)view)->windows++;
	window->view = view;
	return 0;
}

static void on_destroy(void *view, struct window *window)
{
	require(window->view == view && !window->image.mapping);
	((struct notes *)view)->windows--;
}

static void check(const struct window *window)
{
	require(window->view != NULL);
	require(window->rect.width >= 1 && window->rect.width <= GUI_MAX_WIDTH);
	require(window->rect.height >= 1 && window->rect.height <= GUI_MAX_HEIGHT);
	require(window->rect.x >= -16384 && window->rect.x <= 16384);
	require(window->rect.y >= -6144 && window->rect.y <= 6144);
}

static void on_show(void *view, struct window *window)
{
	(void)view;
	check(window);
	require(window->mapped && window->id != GUI_WINDOW_SCREEN);
}

static void on_hide(void *view, struct window *window)
{
	(void)view;
	require(window->view != NULL);
}

static void on_place(void *view, struct window *window)
{
	(void)view;
	check(window);
}

static void on_describe(void *view, struct window *window)
{
	const struct gui_hints *hints = &window->hints;

	(void)view;
	require(memchr(window->title, 0, sizeof(window->title)) != NULL);
	require(!strncmp(window->title, "[work] ", 7));
	require(!strncmp(window->class_name, "work:", 5) && !strncmp(window->instance, "work:", 5));
	if (hints->flags & GUI_HINT_MAX_SIZE)
		require(hints->max_width >= 1 && hints->max_height >= 1 &&
			hints->max_width <= GUI_MAX_WIDTH && hints->max_height <= GUI_MAX_HEIGHT);
	if (hints->flags & GUI_HINT_INCREMENT)
		require(hints->width_inc && hints->height_inc);
}

static void on_state(void *view, struct window *window, uint32_t set, uint32_t unset)
{
	struct notes *notes = view;

	require(!window->override_redirect && !window->docked && !(set & unset));
	notes->state_set = set;
	notes->state_unset = unset;
}

static void on_dock(void *view, struct window *window)
{
	require(window->docked);
	((struct notes *)view)->docks++;
}

static void on_cursor(void *view, struct window *window, uint32_t id)
{
	(void)view;
	require(window->view && (id == 0 || (id >= GUI_CURSOR_FONT && id < GUI_CURSOR_END)));
}

/* Reads the picture like a painter, so that the sanitizers see what is out of bounds. */
static void on_damage(void *view, struct window *window, const struct rect *rect)
{
	struct notes *notes = view;
	const struct image *image;
	struct rect part = *rect;
	const volatile uint8_t *bytes;
	int32_t x, y;
	size_t at;

	notes->damages++;
	require(rect->width && rect->height && rect->x >= 0 && rect->y >= 0);
	require((uint32_t)rect->x + rect->width <= window->rect.width);
	require((uint32_t)rect->y + rect->height <= window->rect.height);
	image = model_image(&notes->model, window, &x, &y);
	if (!image)
		return;
	part.x += x;
	part.y += y;
	if (!rect_clip(&part, image->width, image->height))
		return;
	bytes = image->mapping->data;
	at = ((size_t)(part.y + (int32_t)part.height - 1) * image->width + (size_t)part.x +
	      part.width - 1) *
	     4;
	require(bytes[at + 3] == bytes[at + 3]);
}

static void on_image_gone(void *view, struct window *window)
{
	(void)view;
	require(window->image.mapping != NULL);
}

static void on_area(void *view, struct window *window, struct rect *ret_area)
{
	require(!window->override_redirect && !window->docked);
	*ret_area = ((struct notes *)view)->area;
}

static void on_work_area(void *view, uint32_t *ret_width, uint32_t *ret_height)
{
	(void)view;
	*ret_width = *ret_height = 1000;
}

static void on_clipboard(void *view, const char *text, uint32_t length)
{
	struct notes *notes = view;

	require((text != NULL) == (length <= notes->model.limits.clipboard));
	notes->clipboards++;
}

static void on_warn(void *view, const char *key, const char *text)
{
	require(key && text);
	((struct notes *)view)->warnings++;
}

static const struct view_ops ops = {
	.create = on_create,
	.destroy = on_destroy,
	.show = on_show,
	.hide = on_hide,
	.place = on_place,
	.describe = on_describe,
	.state = on_state,
	.dock = on_dock,
	.cursor = on_cursor,
	.damage = on_damage,
	.image_gone = on_image_gone,
	.area = on_area,
	.work_area = on_work_area,
	.clipboard = on_clipboard,
	.warn = on_warn,
};

static int on_send(void *ctx, uint32_t type, uint32_t window, const void *body, size_t length)
{
	struct notes *notes = ctx;

	(void)window;
	require(type < 256 && (body || !length));
	if (notes->answer)
		return notes->answer;
	notes->sent[type]++;
	return 0;
}

static size_t on_queued(void *ctx)
{
	return ((struct notes *)ctx)->queued;
}

/* A reference is good if it is not 0; a mapping is memory of exactly its pages. */
static int map(struct gui_maps *maps, const uint32_t *refs, uint32_t pages, void **ret_data)
{
	uint32_t i;

	(void)maps;
	for (i = 0; i < pages; i++)
		if (!refs[i])
			return -EINVAL;
	*ret_data = calloc(pages, GUI_PAGE_SIZE);
	return *ret_data ? 0 : -ENOMEM;
}

static void unmap(struct gui_maps *maps, void *data, uint32_t pages)
{
	(void)maps;
	(void)pages;
	free(data);
}

static const struct gui_maps_ops maps_ops = {.map = map, .unmap = unmap};

void notes_init(struct notes *notes)
{
	struct gui_maps *maps = calloc(1, sizeof(*maps));

	memset(notes, 0, sizeof(*notes));
	notes->area = (struct rect){-32768, -32768, 65535, 65535};
	require(maps != NULL);
	maps->ops = &maps_ops;
	maps->max_pages = 4096;
	notes->model = (struct model){
		.limits = {.windows = 50,
			   .clipboard = 1000,
			   .override_percent = 90,
			   .override_allowed = true,
			   .screen_width = 1000,
			   .screen_height = 1000},
		.name = "work",
		.prefix = "[work] ",
		.version = GUI_VERSION_OWN,
		.ops = &ops,
		.view = notes,
		.send = on_send,
		.queued = on_queued,
		.send_ctx = notes,
		.maps = maps,
	};
}

void notes_finish(struct notes *notes)
{
	require(notes->windows == notes->model.count);
	model_finish(&notes->model);
	require(!notes->windows && !notes->model.count && !notes->model.maps->used_pages);
	free(notes->model.maps);
}
