// SPDX-License-Identifier: GPL-2.0-or-later
// Client surfaces: what is committed goes into the image of its window, damaged rectangles only, and the buffer back.
//
// A window is mostly one surface: its pixels are copied once, at commit, from the client's buffer to the shared
// pages. Windows of several surfaces (or scaled, or turned ones) are rare: there each surface keeps a
// private copy, and what is damaged is composed from these into the pages.
#include "surface.h"
#include "agent.h"
#include "cursor.h"
#include "pixels.h"
#include "renderer.h"
#include "window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <wlr/types/wlr_compositor.h>
#include <wlr/types/wlr_output.h>
#include <wlr/types/wlr_surface.h>

static void shadow_drop(struct surface *surface)
{
	free(surface->shadow);
	surface->shadow = NULL;
}

static bool shadow_size(struct surface *surface, int width, int height)
{
	if (surface->shadow && surface->shadow_width == width && surface->shadow_height == height)
		return false;
	shadow_drop(surface);
	surface->shadow = calloc((size_t)width * (size_t)height, sizeof(uint32_t));
	surface->shadow_width = width;
	surface->shadow_height = height;
	return true;
}

/* Takes what was committed into the private copy. */
static void shadow_update(struct surface *surface)
{
	struct renderer_pixels pixels;
	pixman_region32_t region;

	if (!renderer_pixels_begin(surface->wlr, &pixels))
		return;
	pixman_region32_init(&region);
	if (shadow_size(surface, pixels.width, pixels.height))
		pixman_region32_union_rect(&region, &region, 0, 0, (unsigned int)pixels.width,
					   (unsigned int)pixels.height);
	else
		pixman_region32_intersect_rect(&region, &surface->wlr->buffer_damage, 0, 0,
					       (unsigned int)pixels.width,
					       (unsigned int)pixels.height);
	surface->shadow_opaque = pixels.opaque;
	if (surface->shadow)
		surface->agent->stats.shadow_bytes += pixels_copy(surface->shadow,
								  (size_t)pixels.width * 4,
								  pixels.data, pixels.stride, 0, 0,
								  &region);
	renderer_pixels_end(surface->wlr);
	renderer_release(surface->wlr);
	pixman_region32_fini(&region);
}

/* The window was one surface so far, and its buffer went back to the client: the image has what is left of it. */
static void shadow_from_image(struct surface *root)
{
	struct window *window = root->window;
	struct wlr_surface_state *state = &root->wlr->current;
	pixman_region32_t region;

	if (!window->buffer || state->scale != 1 ||
	    state->transform != WL_OUTPUT_TRANSFORM_NORMAL || state->buffer_width <= 0 ||
	    state->buffer_height <= 0)
		return;
	if (!shadow_size(root, state->buffer_width, state->buffer_height) || !root->shadow)
		return;
	root->shadow_opaque = true;
	pixman_region32_init_rect(&region, root->crop_x, root->crop_y,
				  (unsigned int)window->image_width,
				  (unsigned int)window->image_height);
	pixman_region32_intersect_rect(&region, &region, 0, 0, (unsigned int)root->shadow_width,
				       (unsigned int)root->shadow_height);
	pixels_copy(root->shadow, (size_t)root->shadow_width * 4, window->buffer->data,
		    (size_t)window->image_width * 4, -root->crop_x, -root->crop_y, &region);
	pixman_region32_fini(&region);
}

static bool is_plain(const struct wlr_surface *root)
{
	const struct wlr_surface_state *state = &root->current;

	return state->scale == 1 && state->transform == WL_OUTPUT_TRANSFORM_NORMAL &&
	       wl_list_empty(&state->subsurfaces_above) && wl_list_empty(&state->subsurfaces_below);
}

/* What is where in the tree of a window, as a number (FNV-1a): another number means: paint everything. */
struct walk {
	struct window *window;
	uint64_t layout;
	struct wlr_surface *wanted; /* whose place is looked for */
	int x, y;
	pixman_image_t *image;
};

static void mix(uint64_t *hash, uint64_t value)
{
	int i;

	for (i = 0; i < 64; i += 8) {
		*hash ^= value >> i & 0xff;
		*hash *= 0x100000001b3ull;
	}
}

static void walk_layout(struct wlr_surface *surface, int x, int y, void *data)
{
	struct walk *walk = data;

	mix(&walk->layout, (uintptr_t)surface);
	mix(&walk->layout, (uint64_t)(uint32_t)x << 32 | (uint32_t)y);
	mix(&walk->layout,
	    (uint64_t)(uint32_t)surface->current.width << 32 | (uint32_t)surface->current.height);
	if (surface == walk->wanted) {
		walk->x = x;
		walk->y = y;
	}
}

static void pixel_place(const struct wlr_surface *surface, int x, int y, struct wlr_box *ret_box)
{
	const struct wlr_surface_state *state = &surface->current;
	struct wlr_box box = {.x = x, .y = y, .width = 1, .height = 1};

	wlr_box_transform(ret_box, &box, wlr_output_transform_invert(state->transform),
			  state->width, state->height);
}

/* Where pixman finds the buffer's pixel for one of the surface. */
static void set_transform(pixman_image_t *image, const struct wlr_surface *surface)
{
	struct wlr_box origin, right, down;
	struct pixman_transform transform = {0};
	int scale = surface->current.scale, xx, xy, yx, yy;

	pixel_place(surface, 0, 0, &origin);
	pixel_place(surface, 1, 0, &right);
	pixel_place(surface, 0, 1, &down);
	xx = right.x - origin.x;
	yx = right.y - origin.y;
	xy = down.x - origin.x;
	yy = down.y - origin.y;
	transform.matrix[0][0] = pixman_int_to_fixed(xx * scale);
	transform.matrix[0][1] = pixman_int_to_fixed(xy * scale);
	transform.matrix[1][0] = pixman_int_to_fixed(yx * scale);
	transform.matrix[1][1] = pixman_int_to_fixed(yy * scale);
	/* Places are those of centres of pixels: the far edge is meant where a direction is turned. */
	transform.matrix[0][2] = pixman_int_to_fixed((origin.x + (xx + xy < 0)) * scale);
	transform.matrix[1][2] = pixman_int_to_fixed((origin.y + (yx + yy < 0)) * scale);
	transform.matrix[2][2] = pixman_fixed_1;
	pixman_image_set_transform(image, &transform);
	pixman_image_set_filter(image, PIXMAN_FILTER_NEAREST, NULL, 0);
}

static void walk_paint(struct wlr_surface *wlr, int x, int y, void *data)
{
	struct walk *walk = data;
	struct surface *surface = wlr->data;
	pixman_image_t *source;

	if (!surface || !surface->shadow)
		return;
	source = pixman_image_create_bits_no_clear(surface->shadow_opaque ? PIXMAN_x8r8g8b8
									  : PIXMAN_a8r8g8b8,
						   surface->shadow_width, surface->shadow_height,
						   surface->shadow, surface->shadow_width * 4);
	if (!source)
		return;
	if (wlr->current.scale != 1 || wlr->current.transform != WL_OUTPUT_TRANSFORM_NORMAL)
		set_transform(source, wlr);
	pixman_image_composite32(PIXMAN_OP_OVER, source, NULL, walk->image, 0, 0, 0, 0,
				 x - walk->window->crop.x, y - walk->window->crop.y,
				 wlr->current.width, wlr->current.height);
	pixman_image_unref(source);
}

static void compose(struct window *window, pixman_region32_t *region)
{
	struct walk walk = {.window = window};
	static const pixman_color_t behind = {.red = (PIXELS_BEHIND >> 16) * 0x101,
					      .green = (PIXELS_BEHIND >> 8 & 255) * 0x101,
					      .blue = (PIXELS_BEHIND & 255) * 0x101,
					      .alpha = 0xffff};
	int count;
	pixman_box32_t *boxes = pixman_region32_rectangles(region, &count);

	walk.image = pixman_image_create_bits_no_clear(PIXMAN_x8r8g8b8, window->image_width,
						       window->image_height, window->buffer->data,
						       window->image_width * 4);
	if (!walk.image)
		return;
	pixman_image_fill_boxes(PIXMAN_OP_SRC, walk.image, &behind, count, boxes);
	pixman_image_set_clip_region32(walk.image, region);
	wlr_surface_for_each_surface(window->surface, walk_paint, &walk);
	pixman_image_unref(walk.image);
}

/* Also of parts that were committed before they belonged to the tree. */
static void walk_shadow(struct wlr_surface *wlr, int x, int y, void *data)
{
	(void)x;
	(void)y;
	(void)data;
	if (wlr->data)
		shadow_update(wlr->data);
}

/* `surface`, one of the tree of the window, was committed; NULL: everything is to be painted. */
static void update_tree(struct window *window, struct surface *surface, bool fresh)
{
	struct surface *root = window->surface->data;
	struct walk walk = {.window = window,
			    .layout = 0xcbf29ce484222325ull,
			    .wanted = surface ? surface->wlr : NULL};
	pixman_region32_t region;

	if (!root->shadow)
		shadow_from_image(root);
	wlr_surface_for_each_surface(window->surface, walk_shadow, NULL);
	if (!window_resize_image(window, window->crop.width, window->crop.height, &fresh) &&
	    !window->buffer)
		return;
	wlr_surface_for_each_surface(window->surface, walk_layout, &walk);
	pixman_region32_init(&region);
	if (!surface || fresh || walk.layout != root->layout || root->crop_x != window->crop.x ||
	    root->crop_y != window->crop.y) {
		pixman_region32_union_rect(&region, &region, 0, 0,
					   (unsigned int)window->image_width,
					   (unsigned int)window->image_height);
	} else {
		wlr_surface_get_effective_damage(surface->wlr, &region);
		pixman_region32_translate(&region, walk.x - window->crop.x,
					  walk.y - window->crop.y);
		pixman_region32_intersect_rect(&region, &region, 0, 0,
					       (unsigned int)window->image_width,
					       (unsigned int)window->image_height);
	}
	root->layout = walk.layout;
	root->crop_x = window->crop.x;
	root->crop_y = window->crop.y;
	compose(window, &region);
	window_damage(window, &region);
	pixman_region32_fini(&region);
}

/* The region of the window's image that has to be copied from a buffer of this size. */
static void plain_region(struct window *window, struct surface *root, bool all,
			 const struct renderer_pixels *pixels, pixman_region32_t *region)
{
	if (all)
		pixman_region32_union_rect(region, region, 0, 0, (unsigned int)pixels->width,
					   (unsigned int)pixels->height);
	else
		pixman_region32_intersect_rect(region, &root->wlr->buffer_damage, 0, 0,
					       (unsigned int)pixels->width,
					       (unsigned int)pixels->height);
	pixman_region32_translate(region, -window->crop.x, -window->crop.y);
	pixman_region32_intersect_rect(region, region, 0, 0, (unsigned int)window->image_width,
				       (unsigned int)window->image_height);
}

/* Of what was copied, what the client does not promise to be opaque, as the corners of header bars. */
static void flatten(struct window *window, struct surface *root, pixman_region32_t *copied)
{
	pixman_region32_t rest;

	pixman_region32_init(&rest);
	pixman_region32_copy(&rest, &root->wlr->opaque_region);
	pixman_region32_translate(&rest, -window->crop.x, -window->crop.y);
	pixman_region32_subtract(&rest, copied, &rest);
	pixels_flatten(window->buffer->data, (size_t)window->image_width * 4, &rest);
	pixman_region32_fini(&rest);
}

static void update_plain(struct window *window, struct surface *root)
{
	struct renderer_pixels pixels;
	pixman_region32_t region;
	bool fresh;

	if (!renderer_pixels_begin(root->wlr, &pixels)) {
		/*
		 * What was given back cannot be read again: the image stays what it is, unless the last part of the
		 * window has just gone.
		 */
		if (root->shadow)
			update_tree(window, NULL, true);
		return;
	}
	if (!window_resize_image(window, window->crop.width, window->crop.height, &fresh) &&
	    !window->buffer) {
		/* The buffer is kept: it is shown as soon as there are pages. */
		renderer_pixels_end(root->wlr);
		return;
	}
	shadow_drop(root);
	fresh = fresh || root->crop_x != window->crop.x || root->crop_y != window->crop.y;
	pixman_region32_init(&region);
	plain_region(window, root, fresh, &pixels, &region);
	window->agent->stats.copied_bytes += pixels_copy(window->buffer->data,
							 (size_t)window->image_width * 4,
							 pixels.data, pixels.stride, window->crop.x,
							 window->crop.y, &region);
	if (!pixels.opaque)
		flatten(window, root, &region);
	root->crop_x = window->crop.x;
	root->crop_y = window->crop.y;
	renderer_pixels_end(root->wlr);
	renderer_release(root->wlr);
	window_damage(window, &region);
	pixman_region32_fini(&region);
}

static void handle_commit(struct wl_listener *listener, void *data)
{
	struct surface *surface = wl_container_of(listener, surface, commit);
	struct wlr_surface *root = wlr_surface_get_root_surface(surface->wlr);
	struct surface *owner = root ? root->data : NULL;
	struct window *window = owner ? owner->window : NULL;

	(void)data;
	if (!window) {
		cursor_committed(surface->agent, surface->wlr);
		frame_committed(surface, NULL);
		return;
	}
	surface->agent->stats.commits++;
	if (owner == surface)
		window->ops->committed(window);
	if (is_plain(root))
		update_plain(window, owner);
	else
		update_tree(window, surface, false);
	window_sync(window);
	frame_committed(surface, window);
}

void surface_refresh(struct window *window)
{
	struct surface *root = window->surface ? window->surface->data : NULL;

	if (!root || root->window != window)
		return;
	if (is_plain(root->wlr))
		update_plain(window, root);
	else
		update_tree(window, NULL, true);
	window_sync(window);
}

static void refresh_trees(void *data)
{
	struct agent *agent = data;
	struct window *window;

	agent->trees_idle = NULL;
	wl_list_for_each(window, &agent->windows, link)
	{
		struct surface *root = window->surface ? window->surface->data : NULL;

		if (root && root->shadow)
			surface_refresh(window);
	}
}

/* A subsurface that goes shows what was below it, without a commit of anything. */
static void trees_changed(struct agent *agent)
{
	if (!agent->trees_idle)
		agent->trees_idle = wl_event_loop_add_idle(agent->loop, refresh_trees, agent);
}

static void handle_destroy(struct wl_listener *listener, void *data)
{
	struct surface *surface = wl_container_of(listener, surface, destroy);

	(void)data;
	if (surface->window)
		surface->window->surface = NULL;
	surface->wlr->data = NULL;
	shadow_drop(surface);
	wl_list_remove(&surface->link);
	wl_list_remove(&surface->commit.link);
	wl_list_remove(&surface->destroy.link);
	wl_list_remove(&surface->new_subsurface.link);
	wl_list_remove(&surface->part_destroy.link);
	free(surface);
}

static void handle_part_destroy(struct wl_listener *listener, void *data)
{
	struct surface *surface = wl_container_of(listener, surface, part_destroy);

	(void)data;
	wl_list_remove(&surface->part_destroy.link);
	wl_list_init(&surface->part_destroy.link);
	trees_changed(surface->agent);
}

static void handle_new_subsurface(struct wl_listener *listener, void *data)
{
	struct wlr_subsurface *subsurface = data;
	struct surface *surface = subsurface->surface->data;

	(void)listener;
	if (surface)
		wl_signal_add(&subsurface->events.destroy, &surface->part_destroy);
}

static void handle_new_surface(struct wl_listener *listener, void *data)
{
	struct agent *agent = wl_container_of(listener, agent, new_surface);
	struct wlr_surface *wlr = data;
	struct surface *surface = calloc(1, sizeof(*surface));

	if (!surface) {
		wl_resource_post_no_memory(wlr->resource);
		return;
	}
	surface->agent = agent;
	surface->wlr = wlr;
	wlr->data = surface;
	surface->commit.notify = handle_commit;
	wl_signal_add(&wlr->events.commit, &surface->commit);
	surface->destroy.notify = handle_destroy;
	wl_signal_add(&wlr->events.destroy, &surface->destroy);
	surface->new_subsurface.notify = handle_new_subsurface;
	wl_signal_add(&wlr->events.new_subsurface, &surface->new_subsurface);
	surface->part_destroy.notify = handle_part_destroy;
	wl_list_init(&surface->part_destroy.link);
	wl_list_insert(&agent->surfaces, &surface->link);
}

int surfaces_create(struct agent *agent, struct wlr_compositor *compositor)
{
	wl_list_init(&agent->surfaces);
	agent->new_surface.notify = handle_new_surface;
	wl_signal_add(&compositor->events.new_surface, &agent->new_surface);
	return frames_create(agent);
}

void surfaces_destroy(struct agent *agent)
{
	if (agent->trees_idle)
		wl_event_source_remove(agent->trees_idle);
	frames_destroy(agent);
}

void surface_show(struct window *window)
{
	struct surface *root = window->surface->data;

	if (!root)
		return;
	root->window = window;
	surface_refresh(window);
}

void surface_hide(struct window *window)
{
	struct surface *root = window->surface ? window->surface->data : NULL;

	if (root)
		root->window = NULL;
}
