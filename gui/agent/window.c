// SPDX-License-Identifier: GPL-2.0-or-later
// The model of windows: what the daemon should know of them and what it knows; the difference is told when it can be.
#include "window.h"
#include "agent.h"
#include "icons.h"
#include "input.h"
#include "surface.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More rectangles than this are told as the one around them: a message costs about as much as 1000 pixels. */
#define DAMAGE_RECTS_MAX 128

/* A window that is gone, until the daemon has said so. */
struct dying {
	struct wl_list link;
	uint32_t id;
	struct wl_list retired;
};

static int clamp(int value, int low, int high)
{
	return value < low ? low : value > high ? high : value;
}

/* A number may come back only when the daemon has forgotten the window that had it. */
static bool number_taken(struct agent *agent, uint32_t id)
{
	struct dying *dying;

	wl_list_for_each(dying, &agent->dying, link)
	{
		if (dying->id == id)
			return true;
	}
	return window_by_id(agent, id) != NULL;
}

void window_init(struct window *window, struct agent *agent, const struct window_ops *ops)
{
	*window = (struct window){.agent = agent, .ops = ops};
	do
		window->id = ++agent->last_id;
	while (!window->id || number_taken(agent, window->id));
	pixman_region32_init(&window->damage);
	wl_list_init(&window->retired);
	wl_list_insert(&agent->windows, &window->link);
}

/* Other users of grants in this domain (its disks, its network) must not be left without. */
static int share(struct agent *agent, uint32_t pages, struct gui_buffer **ret_buffer)
{
	uint32_t max = agent->options.pages_max;
	int rc;

	if (max && (pages > max || agent->pages > max - pages))
		return -ENOSPC;
	rc = gui_buffer_create(agent->grants, pages, ret_buffer);
	if (!rc)
		agent->pages += pages;
	return rc;
}

static void unshare(struct agent *agent, struct gui_buffer *buffer)
{
	agent->pages -= buffer->pages;
	gui_buffer_destroy(agent->grants, buffer);
}

static bool free_retired(struct agent *agent, struct wl_list *list, uint32_t acked)
{
	struct retired *retired, *next;
	bool freed = false;

	wl_list_for_each_safe(retired, next, list, link)
	{
		/* Counters of dumps may wrap. */
		if ((int32_t)(acked - retired->dump) < 0)
			continue;
		wl_list_remove(&retired->link);
		unshare(agent, retired->buffer);
		free(retired);
		freed = true;
	}
	return freed;
}

static void free_all_retired(struct agent *agent, struct wl_list *list)
{
	struct retired *retired, *next;

	wl_list_for_each_safe(retired, next, list, link)
	{
		wl_list_remove(&retired->link);
		unshare(agent, retired->buffer);
		free(retired);
	}
}

/* Windows that found no pages can try again. */
static void retry(void *data)
{
	struct agent *agent = data;
	struct window *window;

	wl_list_for_each(window, &agent->windows, link)
	{
		if (window->mapped && window->no_pages)
			surface_refresh(window);
	}
}

static void pages_freed(struct agent *agent)
{
	struct window *window;

	wl_list_for_each(window, &agent->windows, link)
	{
		if (window->mapped && window->no_pages) {
			wl_event_loop_add_idle(agent->loop, retry, agent);
			return;
		}
	}
}

/* Puts the current image aside until the daemon has acknowledged `dump` dumps of the window. */
static void retire(struct window *window, uint32_t dump)
{
	struct retired *retired;

	if (!window->buffer)
		return;
	retired = window->created && window->agent->connected && window->dumps_sent
			  ? malloc(sizeof(*retired))
			  : NULL;
	if (retired) {
		retired->buffer = window->buffer;
		retired->dump = dump;
		wl_list_insert(window->retired.prev, &retired->link);
	} else {
		unshare(window->agent, window->buffer);
	}
	window->buffer = NULL;
	window->image_width = window->image_height = 0;
	if (gui_has(window->agent->version, GUI_SINCE_DUMP_ACK) &&
	    free_retired(window->agent, &window->retired, window->dumps_acked))
		pages_freed(window->agent);
}

static void send_destroy(struct window *window)
{
	struct agent *agent = window->agent;
	struct dying *dying = NULL;

	link_send(agent, GUI_DESTROY, window->id, NULL, 0);
	if (gui_has(agent->version, GUI_SINCE_DESTROY_ACK))
		dying = malloc(sizeof(*dying));
	if (!dying) {
		free_all_retired(agent, &window->retired);
		return;
	}
	dying->id = window->id;
	wl_list_init(&dying->retired);
	wl_list_insert_list(&dying->retired, &window->retired);
	wl_list_init(&window->retired);
	wl_list_insert(&agent->dying, &dying->link);
}

void window_finish(struct window *window)
{
	struct agent *agent = window->agent;
	struct window *other;

	if (window->mapped)
		window_unmap(window);
	retire(window, window->dumps_sent);
	if (window->created && agent->connected)
		send_destroy(window);
	free_all_retired(agent, &window->retired);
	wl_list_remove(&window->link);
	wl_list_for_each(other, &agent->windows, link)
	{
		if (other->parent == window)
			other->parent = NULL;
	}
	pixman_region32_fini(&window->damage);
	pages_freed(agent);
}

struct window *window_by_id(struct agent *agent, uint32_t id)
{
	struct window *window;

	wl_list_for_each(window, &agent->windows, link)
	{
		if (window->id == id)
			return window;
	}
	return NULL;
}

struct window *window_at(struct agent *agent, int x, int y)
{
	struct window *window;

	wl_list_for_each(window, &agent->windows, link)
	{
		if (window->mapped && wlr_box_contains_point(&window->box, x, y))
			return window;
	}
	return NULL;
}

static void changed(struct window *window, uint32_t dirty)
{
	window->dirty |= dirty;
	if (window->created)
		window_sync(window);
}

void window_set_title(struct window *window, const char *text)
{
	struct gui_wmname title = {0};

	text_copy(title.text, sizeof(title.text), text ? text : "");
	if (!memcmp(&title, &window->title, sizeof(title)))
		return;
	window->title = title;
	changed(window, WINDOW_DIRTY_TITLE);
}

void window_set_class(struct window *window, const char *class_name, const char *instance)
{
	struct gui_wmclass class = {0};

	text_copy(class.class_name, sizeof(class.class_name), class_name ? class_name : "");
	text_copy(class.instance, sizeof(class.instance), instance ? instance : "");
	if (!memcmp(&class, &window->class, sizeof(class)))
		return;
	window->class = class;
	changed(window, WINDOW_DIRTY_CLASS);
}

void window_set_hints(struct window *window, const struct gui_hints *hints)
{
	if (!memcmp(hints, &window->hints, sizeof(*hints)))
		return;
	window->hints = *hints;
	changed(window, WINDOW_DIRTY_HINTS);
}

void window_set_flags(struct window *window, uint32_t flags)
{
	if (flags == window->flags)
		return;
	window->flags = flags;
	changed(window, WINDOW_DIRTY_FLAGS);
}

void window_set_cursor(struct window *window, uint32_t cursor)
{
	if (cursor == window->cursor)
		return;
	window->cursor = cursor;
	changed(window, WINDOW_DIRTY_CURSOR);
}

static struct wlr_box limited(const struct wlr_box *box)
{
	return (struct wlr_box){
		.x = clamp(box->x, -(int)GUI_MAX_WIDTH, (int)GUI_MAX_WIDTH),
		.y = clamp(box->y, -(int)GUI_MAX_HEIGHT, (int)GUI_MAX_HEIGHT),
		.width = clamp(box->width, 1, (int)GUI_MAX_WIDTH),
		.height = clamp(box->height, 1, (int)GUI_MAX_HEIGHT),
	};
}

static bool same_box(const struct wlr_box *a, const struct wlr_box *b)
{
	return a->x == b->x && a->y == b->y && a->width == b->width && a->height == b->height;
}

void window_set_box(struct window *window, const struct wlr_box *box)
{
	struct wlr_box wanted = limited(box);

	if (same_box(&wanted, &window->box))
		return;
	window->box = wanted;
	changed(window, WINDOW_DIRTY_CONFIGURE);
}

void window_configured(struct window *window, const struct wlr_box *box)
{
	struct wlr_box given = limited(box);
	bool news = !same_box(&given, &window->box);

	window->box = given;
	/* The answer first: what the client makes of it is another change. */
	window->dirty |= WINDOW_DIRTY_CONFIGURE;
	window_sync(window);
	if (news)
		window->ops->configure(window, &given);
}

void window_set_parent(struct window *window, struct window *parent)
{
	window->parent = parent != window ? parent : NULL;
}

void window_raise(struct window *window)
{
	wl_list_remove(&window->link);
	wl_list_insert(&window->agent->windows, &window->link);
}

void window_map(struct window *window, struct wlr_surface *surface)
{
	window->mapped = true;
	window->surface = surface;
	window_raise(window);
}

void window_unmap(struct window *window)
{
	input_forget(window->agent, window);
	/* A docked one can only go for good. */
	if (window->shown && !window->docked && window->agent->connected)
		link_send(window->agent, GUI_UNMAP, window->id, NULL, 0);
	window->shown = false;
	window->mapped = false;
	window->surface = NULL;
	window->frame_wanted = false;
	window->no_pages = false;
	pixman_region32_clear(&window->damage);
	window->dirty &= ~(uint32_t)WINDOW_DIRTY_DUMP;
	retire(window, window->dumps_sent);
}

bool window_resize_image(struct window *window, int width, int height, bool *ret_fresh)
{
	struct agent *agent = window->agent;
	struct gui_buffer *buffer;
	int rc;

	*ret_fresh = false;
	width = clamp(width, 1, (int)GUI_MAX_WIDTH);
	height = clamp(height, 1, (int)GUI_MAX_HEIGHT);
	if (window->buffer && window->image_width == width && window->image_height == height)
		return true;
	rc = share(agent, gui_pages_of_image((uint32_t)width, (uint32_t)height), &buffer);
	if (rc) {
		if (!window->no_pages)
			agent_log(
				"window \"%s\" is not shown as it is: no pages to share for %dx%d pixels (%s); "
				"close other windows, or raise the limit of xen-gntalloc",
				window->title.text, width, height, strerror(-rc));
		window->no_pages = true;
		agent->stats.no_pages++;
		return false;
	}
	retire(window, window->dumps_sent + 1);
	window->no_pages = false;
	window->buffer = buffer;
	window->image_width = width;
	window->image_height = height;
	window->dirty |= WINDOW_DIRTY_DUMP;
	pixman_region32_clear(&window->damage);
	*ret_fresh = true;
	return true;
}

void window_damage(struct window *window, pixman_region32_t *region)
{
	pixman_region32_union(&window->damage, &window->damage, region);
	pixman_region32_intersect_rect(&window->damage, &window->damage, 0, 0,
				       (unsigned int)window->image_width,
				       (unsigned int)window->image_height);
}

static void sync_create(struct window *window)
{
	struct gui_create body = {
		.x = window->box.x,
		.y = window->box.y,
		.width = (uint32_t)window->box.width,
		.height = (uint32_t)window->box.height,
		.parent = 0,
		.override_redirect = window->override_redirect,
	};

	link_send(window->agent, GUI_CREATE, window->id, &body, sizeof(body));
	window->created = true;
	window->flags_told = 0;
	window->dumps_sent = window->dumps_acked = 0;
	window->dirty = WINDOW_DIRTY_ALL & ~(uint32_t)WINDOW_DIRTY_CONFIGURE;
	if (window->cursor == GUI_CURSOR_DEFAULT)
		window->dirty &= ~(uint32_t)WINDOW_DIRTY_CURSOR;
}

static void sync_configure(struct window *window)
{
	struct gui_configure body = {
		.x = window->box.x,
		.y = window->box.y,
		.width = (uint32_t)window->box.width,
		.height = (uint32_t)window->box.height,
		.override_redirect = window->override_redirect,
	};

	link_send(window->agent, GUI_CONFIGURE, window->id, &body, sizeof(body));
}

static void sync_flags(struct window *window)
{
	struct gui_flags body = {.set = window->flags & ~window->flags_told,
				 .unset = window->flags_told & ~window->flags};

	window->flags_told = window->flags;
	/* A daemon takes no request to restore a minimised window, see MAP. */
	body.unset &= ~GUI_FLAG_MINIMIZE;
	if (body.set || body.unset)
		link_send(window->agent, GUI_WINDOW_FLAGS, window->id, &body, sizeof(body));
}

static void sync_cursor(struct window *window)
{
	struct gui_cursor body = {.id = window->cursor};

	link_send(window->agent, GUI_CURSOR, window->id, &body, sizeof(body));
}

static void sync_dump(struct window *window)
{
	struct gui_buffer *buffer = window->buffer;
	struct gui_dump body = {.type = GUI_DUMP_GRANTS,
				.width = (uint32_t)window->image_width,
				.height = (uint32_t)window->image_height,
				.bpp = 24};

	link_send_two(window->agent, GUI_WINDOW_DUMP, window->id, &body, sizeof(body), buffer->refs,
		      buffer->pages * sizeof(buffer->refs[0]));
	window->dumps_sent++;
	window->agent->stats.dumps_sent++;
	/* Older daemons do not acknowledge: an image lives one dump longer than it is shown. */
	if (!gui_has(window->agent->version, GUI_SINCE_DUMP_ACK) &&
	    free_retired(window->agent, &window->retired, window->dumps_sent - 1))
		pages_freed(window->agent);
	pixman_region32_union_rect(&window->damage, &window->damage, 0, 0,
				   (unsigned int)window->image_width,
				   (unsigned int)window->image_height);
}

static void sync_map(struct window *window)
{
	struct gui_map body = {.override_redirect = window->override_redirect};

	if (window->docked) {
		link_send(window->agent, GUI_DOCK, window->id, NULL, 0);
	} else {
		if (window->parent && window->parent->created)
			body.transient_for = window->parent->id;
		link_send(window->agent, GUI_MAP, window->id, &body, sizeof(body));
		icons_tell(window->agent, window);
	}
	window->shown = true;
}

static void send_damage(struct window *window, const pixman_box32_t *box)
{
	struct gui_damage body = {.x = box->x1,
				  .y = box->y1,
				  .width = (uint32_t)(box->x2 - box->x1),
				  .height = (uint32_t)(box->y2 - box->y1)};

	link_send(window->agent, GUI_SHMIMAGE, window->id, &body, sizeof(body));
	window->agent->stats.damage_sent++;
}

static void sync_damage(struct window *window)
{
	int count, i;
	const pixman_box32_t *boxes = pixman_region32_rectangles(&window->damage, &count);

	if (count > DAMAGE_RECTS_MAX) {
		send_damage(window, pixman_region32_extents(&window->damage));
	} else {
		for (i = 0; i < count; i++)
			send_damage(window, &boxes[i]);
	}
	pixman_region32_clear(&window->damage);
}

/* Everything about a window but its contents. */
static void sync_properties(struct window *window, uint32_t dirty)
{
	struct agent *agent = window->agent;

	if ((dirty & WINDOW_DIRTY_CLASS) && gui_has(agent->version, GUI_SINCE_WMCLASS))
		link_send(agent, GUI_WMCLASS, window->id, &window->class, sizeof(window->class));
	if (dirty & WINDOW_DIRTY_HINTS)
		link_send(agent, GUI_WINDOW_HINTS, window->id, &window->hints,
			  sizeof(window->hints));
	if (dirty & WINDOW_DIRTY_TITLE)
		link_send(agent, GUI_WMNAME, window->id, &window->title, sizeof(window->title));
	if (dirty & WINDOW_DIRTY_CONFIGURE)
		sync_configure(window);
}

static void sync_all(struct window *window)
{
	uint32_t dirty;

	if (!window->created)
		sync_create(window);
	dirty = window->dirty;
	window->dirty = 0;
	sync_properties(window, dirty);
	if ((dirty & WINDOW_DIRTY_DUMP) && window->buffer)
		sync_dump(window);
	if (window->mapped && window->buffer && !window->shown)
		sync_map(window);
	if (dirty & WINDOW_DIRTY_FLAGS)
		sync_flags(window);
	if ((dirty & WINDOW_DIRTY_CURSOR) && gui_has(window->agent->version, GUI_SINCE_CURSOR))
		sync_cursor(window);
	if (window->shown)
		sync_damage(window);
}

void window_sync(struct window *window)
{
	struct agent *agent = window->agent;

	if (!link_open(agent) || (!window->created && (!window->mapped || !window->buffer)))
		return;
	/* Not more than one window at a time: link_open() takes what is held for a daemon that does not read. */
	link_hold(agent);
	sync_all(window);
	link_release(agent);
}

void windows_sync(struct agent *agent)
{
	struct window *window;

	/* Parents are mostly older than what belongs to them, and have to be known before. */
	wl_list_for_each_reverse(window, &agent->windows, link) window_sync(window);
	frames_update(agent);
}

void windows_connected(struct agent *agent)
{
	windows_sync(agent);
}

void windows_disconnected(struct agent *agent)
{
	struct window *window;
	struct dying *dying, *next;

	wl_list_for_each(window, &agent->windows, link)
	{
		free_all_retired(agent, &window->retired);
		window->created = window->shown = false;
		window->flags_told = 0;
		window->dirty = WINDOW_DIRTY_ALL;
	}
	wl_list_for_each_safe(dying, next, &agent->dying, link)
	{
		free_all_retired(agent, &dying->retired);
		wl_list_remove(&dying->link);
		free(dying);
	}
	pages_freed(agent);
}

void window_dump_acked(struct window *window)
{
	if (window->dumps_acked == window->dumps_sent)
		return;
	window->dumps_acked++;
	if (free_retired(window->agent, &window->retired, window->dumps_acked))
		pages_freed(window->agent);
}

void windows_destroy_acked(struct agent *agent, uint32_t id)
{
	struct dying *dying, *next;

	wl_list_for_each_safe(dying, next, &agent->dying, link)
	{
		if (dying->id != id)
			continue;
		free_all_retired(agent, &dying->retired);
		wl_list_remove(&dying->link);
		free(dying);
		pages_freed(agent);
		return;
	}
}
