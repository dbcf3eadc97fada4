// SPDX-License-Identifier: GPL-2.0-or-later
// Shapes of the pointer: a client's picture is looked up among those of the cursor theme, which have names.
#include "cursor.h"
#include "agent.h"
#include "input.h"
#include "renderer.h"
#include "window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <wlr/types/wlr_seat.h>
#include <wlr/types/wlr_surface.h>
#include <wlr/xcursor.h>
#include <wlr/xwayland.h>

#define SIZE_DEFAULT  24
#define SIZE_MAX_SANE 512

/* Glyphs of X's cursor font in their order; the number of one is twice its place (X11/cursorfont.h). */
static const char *const glyphs[] = {
	"X_cursor",
	"arrow",
	"based_arrow_down",
	"based_arrow_up",
	"boat",
	"bogosity",
	"bottom_left_corner",
	"bottom_right_corner",
	"bottom_side",
	"bottom_tee",
	"box_spiral",
	"center_ptr",
	"circle",
	"clock",
	"coffee_mug",
	"cross",
	"cross_reverse",
	"crosshair",
	"diamond_cross",
	"dot",
	"dotbox",
	"double_arrow",
	"draft_large",
	"draft_small",
	"draped_box",
	"exchange",
	"fleur",
	"gobbler",
	"gumby",
	"hand1",
	"hand2",
	"heart",
	"icon",
	"iron_cross",
	"left_ptr",
	"left_side",
	"left_tee",
	"leftbutton",
	"ll_angle",
	"lr_angle",
	"man",
	"middlebutton",
	"mouse",
	"pencil",
	"pirate",
	"plus",
	"question_arrow",
	"right_ptr",
	"right_side",
	"right_tee",
	"rightbutton",
	"rtl_logo",
	"sailboat",
	"sb_down_arrow",
	"sb_h_double_arrow",
	"sb_left_arrow",
	"sb_right_arrow",
	"sb_up_arrow",
	"sb_v_double_arrow",
	"shuttle",
	"sizing",
	"spider",
	"spraycan",
	"star",
	"target",
	"tcross",
	"top_left_arrow",
	"top_left_corner",
	"top_right_corner",
	"top_side",
	"top_tee",
	"trek",
	"ul_angle",
	"umbrella",
	"ur_angle",
	"watch",
	"xterm",
};
#define GLYPHS (sizeof(glyphs) / sizeof(glyphs[0]))

/* What themes call them today. Pictures with several names get the first that is found: these come first. */
static const struct {
	const char *name, *glyph;
} names[] = {
	{"default", "left_ptr"},
	{"left_ptr", "left_ptr"},
	{"text", "xterm"},
	{"pointer", "hand2"},
	{"wait", "watch"},
	{"progress", "watch"},
	{"crosshair", "crosshair"},
	{"help", "question_arrow"},
	{"move", "fleur"},
	{"all-scroll", "fleur"},
	{"grab", "hand1"},
	{"grabbing", "fleur"},
	{"not-allowed", "circle"},
	{"no-drop", "circle"},
	{"ew-resize", "sb_h_double_arrow"},
	{"ns-resize", "sb_v_double_arrow"},
	{"col-resize", "sb_h_double_arrow"},
	{"row-resize", "sb_v_double_arrow"},
	{"n-resize", "top_side"},
	{"s-resize", "bottom_side"},
	{"e-resize", "right_side"},
	{"w-resize", "left_side"},
	{"ne-resize", "top_right_corner"},
	{"nw-resize", "top_left_corner"},
	{"se-resize", "bottom_right_corner"},
	{"sw-resize", "bottom_left_corner"},
	{"cell", "plus"},
	{"vertical-text", "xterm"},
};
#define NAMES (sizeof(names) / sizeof(names[0]))

struct picture {
	uint32_t width, height;
	uint64_t hash;
	uint32_t id;
};

struct cursor {
	struct agent *agent;
	struct picture *pictures;
	size_t count, room;
	struct wlr_surface
		*surface; /* that the client under the pointer has as its picture, or NULL */
	struct wl_listener request, surface_destroy;
};

static uint64_t hash_rows(const uint8_t *data, size_t stride, uint32_t width, uint32_t height)
{
	uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */
	uint32_t x, y;

	for (y = 0; y < height; y++) {
		for (x = 0; x < width * 4; x++)
			hash = (hash ^ data[y * stride + x]) * 0x100000001b3ull;
	}
	return hash;
}

static uint32_t glyph_id(const char *name)
{
	uint32_t i;

	for (i = 0; i < GLYPHS; i++) {
		if (!strcmp(glyphs[i], name))
			return GUI_CURSOR_FONT + 2 * i;
	}
	return GUI_CURSOR_DEFAULT;
}

static const struct picture *find(const struct cursor *cursor, uint32_t width, uint32_t height,
				  uint64_t hash)
{
	size_t i;

	for (i = 0; i < cursor->count; i++) {
		const struct picture *picture = &cursor->pictures[i];

		if (picture->hash == hash && picture->width == width && picture->height == height)
			return picture;
	}
	return NULL;
}

static void add(struct cursor *cursor, const struct wlr_xcursor_image *image, uint32_t id)
{
	uint64_t hash = hash_rows(image->buffer, image->width * (size_t)4, image->width,
				  image->height);

	if (find(cursor, image->width, image->height, hash))
		return;
	if (cursor->count == cursor->room) {
		size_t room = cursor->room ? 2 * cursor->room : 128;
		struct picture *more = reallocarray(cursor->pictures, room,
						    sizeof(*cursor->pictures));

		if (!more)
			return;
		cursor->pictures = more;
		cursor->room = room;
	}
	cursor->pictures[cursor->count++] = (struct picture){.width = image->width,
							     .height = image->height,
							     .hash = hash,
							     .id = id};
}

static void add_named(struct cursor *cursor, struct wlr_xcursor_theme *theme, const char *name,
		      uint32_t id)
{
	const struct wlr_xcursor *shape = wlr_xcursor_theme_get_cursor(theme, name);
	unsigned int i;

	/* All steps of a moving one are the same shape. */
	for (i = 0; shape && i < shape->image_count; i++)
		add(cursor, shape->images[i], id);
}

static int theme_size(void)
{
	const char *text = getenv("XCURSOR_SIZE");
	int size = text ? atoi(text) : 0;

	return size > 0 && size <= SIZE_MAX_SANE ? size : SIZE_DEFAULT;
}

/* Only sums are kept of the theme, so that its pictures do not stay in memory. */
static void learn(struct cursor *cursor, int size)
{
	struct wlr_xcursor_theme *theme = wlr_xcursor_theme_load(getenv("XCURSOR_THEME"), size);
	size_t i;

	if (!theme)
		return;
	for (i = 0; i < NAMES; i++)
		add_named(cursor, theme, names[i].name, glyph_id(names[i].glyph));
	for (i = 0; i < GLYPHS; i++)
		add_named(cursor, theme, glyphs[i], GUI_CURSOR_FONT + 2 * (uint32_t)i);
	wlr_xcursor_theme_destroy(theme);
}

static void tell(struct cursor *cursor, uint32_t id)
{
	struct window *window = input_pointer_window(cursor->agent);

	if (window)
		window_set_cursor(window, id);
}

static void drop_surface(struct cursor *cursor)
{
	if (!cursor->surface)
		return;
	wl_list_remove(&cursor->surface_destroy.link);
	cursor->surface = NULL;
}

static void handle_surface_destroy(struct wl_listener *listener, void *data)
{
	struct cursor *cursor = wl_container_of(listener, cursor, surface_destroy);

	(void)data;
	drop_surface(cursor);
}

static void show(struct cursor *cursor)
{
	const struct picture *picture;
	struct renderer_pixels pixels;

	if (!renderer_pixels_begin(cursor->surface, &pixels))
		return;
	if (!cursor->pictures)
		learn(cursor, theme_size());
	picture = pixels.width <= SIZE_MAX_SANE && pixels.height <= SIZE_MAX_SANE
			  ? find(cursor, (uint32_t)pixels.width, (uint32_t)pixels.height,
				 hash_rows(pixels.data, pixels.stride, (uint32_t)pixels.width,
					   (uint32_t)pixels.height))
			  : NULL;
	renderer_pixels_end(cursor->surface);
	tell(cursor, picture ? picture->id : GUI_CURSOR_DEFAULT);
}

void cursor_committed(struct agent *agent, struct wlr_surface *surface)
{
	if (surface == agent->cursor->surface)
		show(agent->cursor);
}

static void handle_request(struct wl_listener *listener, void *data)
{
	struct cursor *cursor = wl_container_of(listener, cursor, request);
	const struct wlr_seat_pointer_request_set_cursor_event *event = data;
	struct wlr_seat *seat = input_seat(cursor->agent);

	if (event->seat_client != seat->pointer_state.focused_client)
		return;
	drop_surface(cursor);
	if (!event->surface) {
		/* The protocol has no hidden pointer. */
		tell(cursor, GUI_CURSOR_DEFAULT);
		return;
	}
	cursor->surface = event->surface;
	wl_signal_add(&event->surface->events.destroy, &cursor->surface_destroy);
	show(cursor);
}

void cursor_left(struct agent *agent)
{
	drop_surface(agent->cursor);
}

void cursor_set_default(struct agent *agent, struct wlr_xwayland *xwayland)
{
	struct wlr_xcursor_theme *theme = wlr_xcursor_theme_load(getenv("XCURSOR_THEME"),
								 theme_size());
	const struct wlr_xcursor *shape = theme ? wlr_xcursor_theme_get_cursor(theme, "left_ptr")
						: NULL;

	(void)agent;
	if (shape && shape->image_count) {
		const struct wlr_xcursor_image *image = shape->images[0];

		wlr_xwayland_set_cursor(xwayland, image->buffer, image->width * 4, image->width,
					image->height, (int32_t)image->hotspot_x,
					(int32_t)image->hotspot_y);
	}
	if (theme)
		wlr_xcursor_theme_destroy(theme);
}

int cursor_create(struct agent *agent)
{
	struct cursor *cursor = calloc(1, sizeof(*cursor));

	if (!cursor)
		return -ENOMEM;
	cursor->agent = agent;
	cursor->request.notify = handle_request;
	cursor->surface_destroy.notify = handle_surface_destroy;
	wl_signal_add(&input_seat(agent)->events.request_set_cursor, &cursor->request);
	agent->cursor = cursor;
	return 0;
}

void cursor_destroy(struct agent *agent)
{
	struct cursor *cursor = agent->cursor;

	if (!cursor)
		return;
	drop_surface(cursor);
	free(cursor->pictures);
	free(cursor);
	agent->cursor = NULL;
}
