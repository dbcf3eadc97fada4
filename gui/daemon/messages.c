// SPDX-License-Identifier: GPL-2.0-or-later
// One handler for each message of an agent: checks everything, then changes the model and tells the view.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model_internal.h"

#define HINTS_PLACE (GUI_HINT_USER_POSITION | GUI_HINT_POSITION)

/* A handler gets a window that exists, except those of CREATE and CLIPBOARD_DATA. */
typedef int handler_fn(struct model *model, struct window *window, const struct gui_header *header,
		       const void *untrusted_body);

static int end(struct model *model, int code, const char *problem)
{
	model->problem = problem;
	return code;
}

static int32_t clamp(int32_t value, int32_t limit)
{
	return value > limit ? limit : value < -limit ? -limit : value;
}

static uint32_t lower(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Position and size within the protocol's limits. */
static struct rect clamp_rect(int32_t x, int32_t y, uint32_t width, uint32_t height)
{
	return (struct rect){
		.x = clamp(x, (int32_t)GUI_MAX_WIDTH),
		.y = clamp(y, (int32_t)GUI_MAX_HEIGHT),
		.width = lower(width, GUI_MAX_WIDTH),
		.height = lower(height, GUI_MAX_HEIGHT),
	};
}

/* Popups have to show their frame: they stay on the screen. True if that changed the place. */
static bool keep_on_screen(const struct model *model, struct window *window)
{
	struct rect *rect = &window->rect, old = *rect;
	int32_t width = (int32_t)model->limits.screen_width;
	int32_t height = (int32_t)model->limits.screen_height;

	if (!window->override_redirect)
		return false;
	rect->width = lower(rect->width, model->limits.screen_width);
	rect->height = lower(rect->height, model->limits.screen_height);
	if (rect->x > width - (int32_t)rect->width)
		rect->x = width - (int32_t)rect->width;
	if (rect->y > height - (int32_t)rect->height)
		rect->y = height - (int32_t)rect->height;
	rect->x = rect->x < 0 ? 0 : rect->x;
	rect->y = rect->y < 0 ? 0 : rect->y;
	return memcmp(&old, rect, sizeof(old)) != 0;
}

struct area {
	const struct window *except;
	uint64_t sum;
};

static void add_popup(void *ctx, struct window *window)
{
	struct area *area = ctx;

	if (window->override_redirect && window->mapped && window != area->except)
		area->sum += (uint64_t)window->rect.width * window->rect.height;
}

/*
 * All popups of the qube together must leave some of the desktop in reach, else it could cover it and paint
 * one of its own. Each of them alone below the limit would not do.
 */
static bool may_override(struct model *model, const struct window *window)
{
	struct area area = {.except = window};
	uint32_t width, height;

	if (!model->limits.override_allowed || window->docked)
		return false;
	if (model->limits.override_percent >= 100)
		return true;
	model->ops->work_area(model->view, &width, &height);
	model_each(model, add_popup, &area);
	area.sum += (uint64_t)window->rect.width * window->rect.height;
	return area.sum * 100 <= (uint64_t)width * height * model->limits.override_percent;
}

static bool check_override(struct model *model, struct window *window)
{
	if (!window->override_redirect || may_override(model, window))
		return true;
	window->override_redirect = false;
	if (!window->docked)
		model->ops->warn(
			model->view, "override-redirect",
			"Windows without a frame of the window manager would cover too much "
			"of the screen; they got one.");
	return false;
}

static int on_create(struct model *model, struct window *window, const struct gui_header *header,
		     const void *untrusted_body)
{
	struct gui_create untrusted;
	int rc;

	if (window)
		return end(model, -EPROTO, "it created a window that exists already");
	if (model->count >= model->limits.windows)
		return end(model, -EMFILE, "it has too many windows (windows_count_limit)");
	memcpy(&untrusted, untrusted_body, sizeof(untrusted));
	if (untrusted.width > INT32_MAX || untrusted.height > INT32_MAX)
		return end(model, -EPROTO, "it created a window of a negative size");
	rc = model_add(model, header->window, &window);
	if (rc)
		return end(model, rc, "a window could not be created");
	window->rect = clamp_rect(untrusted.x, untrusted.y, untrusted.width, untrusted.height);
	/* Windows of X have at least one pixel. */
	if (!window->rect.width)
		window->rect.width = 1;
	if (!window->rect.height)
		window->rect.height = 1;
	window->override_redirect = untrusted.override_redirect != 0;
	snprintf(window->title, sizeof(window->title), "%s", model->prefix);
	snprintf(window->class_name, sizeof(window->class_name), "%s:", model->name);
	snprintf(window->instance, sizeof(window->instance), "%s:", model->name);
	if (window->id != GUI_WINDOW_SCREEN) {
		model->ops->describe(model->view, window);
		model->ops->place(model->view, window);
	}
	return 0;
}

static int on_destroy(struct model *model, struct window *window, const struct gui_header *header,
		      const void *untrusted_body)
{
	(void)untrusted_body;
	model_remove(model, window);
	if (!gui_has(model->version, GUI_SINCE_DESTROY_ACK))
		return 0;
	return model_send(model, GUI_DESTROY, header->window, NULL, 0);
}

static int on_map(struct model *model, struct window *window, const struct gui_header *header,
		  const void *untrusted_body)
{
	struct gui_map untrusted;

	(void)header;
	memcpy(&untrusted, untrusted_body, sizeof(untrusted));
	/* What is in the tray comes and goes with the tray; the whole screen is no window to show. */
	if (window->docked || window->id == GUI_WINDOW_SCREEN)
		return 0;
	if (untrusted.transient_for != window->id && model_find(model, untrusted.transient_for))
		window->transient_for = untrusted.transient_for;
	else
		window->transient_for = 0;
	if (window->mapped) {
		model->ops->show(model->view, window);
		return 0;
	}
	window->override_redirect = untrusted.override_redirect != 0;
	check_override(model, window);
	window->mapped = true;
	/* Where nobody wished for a place the window manager looks for one, see model_user_placed(). */
	if (keep_on_screen(model, window) ||
	    model_keep_in_sight(model, window, window->hints.flags & HINTS_PLACE)) {
		model->ops->place(model->view, window);
		model->ops->show(model->view, window);
		return model_send_configure(model, window);
	}
	model->ops->place(model->view, window);
	model->ops->show(model->view, window);
	return 0;
}

static int on_unmap(struct model *model, struct window *window, const struct gui_header *header,
		    const void *untrusted_body)
{
	(void)header;
	(void)untrusted_body;
	if (window->docked)
		return 0;
	if (window->id != GUI_WINDOW_SCREEN)
		model_drop_image(model, window);
	if (window->mapped) {
		window->mapped = false;
		window->state = 0;
		window->fullscreen_maximizes = false;
		model->ops->hide(model->view, window);
	}
	return 0;
}

/* Beyond what the user has seen of it. */
static bool reaches_out(const struct rect *old, const struct rect *rect)
{
	return rect->x != old->x || rect->y != old->y || rect->width > old->width ||
	       rect->height > old->height;
}

/* The agent moves or resizes the window. */
static int apply_configure(struct model *model, struct window *window, const struct rect *rect)
{
	bool moved, out = reaches_out(&window->rect, rect);

	window->rect = *rect;
	if (window->mapped && window->override_redirect && !check_override(model, window)) {
		/* It grew: from now on it is one for the window manager. */
		model->ops->hide(model->view, window);
		moved = model_keep_in_sight(model, window, true);
		model->ops->place(model->view, window);
		model->ops->show(model->view, window);
		return moved ? model_send_configure(model, window) : 0;
	}
	moved = window->mapped && (keep_on_screen(model, window) ||
				   (out && model_keep_in_sight(model, window, true)));
	if (window->id != GUI_WINDOW_SCREEN)
		model->ops->place(model->view, window);
	return moved ? model_send_configure(model, window) : 0;
}

static int on_configure(struct model *model, struct window *window, const struct gui_header *header,
			const void *untrusted_body)
{
	struct gui_configure untrusted;
	struct rect rect;

	(void)header;
	memcpy(&untrusted, untrusted_body, sizeof(untrusted));
	if (untrusted.width - 1 >= INT32_MAX || untrusted.height - 1 >= INT32_MAX)
		return end(model, -EPROTO, "it configured a window without a size");
	rect = clamp_rect(untrusted.x, untrusted.y, untrusted.width, untrusted.height);
	if (!memcmp(&rect, &window->rect, sizeof(rect))) {
		window->configure_pending = false;
		return 0;
	}
	/* The user was first, or the tray decides; the agent gets to know when it reads on. */
	if (window->configure_pending || window->docked)
		return model_send_configure(model, window);
	return apply_configure(model, window, &rect);
}

static int on_damage(struct model *model, struct window *window, const struct gui_header *header,
		     const void *untrusted_body)
{
	struct gui_damage untrusted;
	struct rect rect;

	(void)header;
	memcpy(&untrusted, untrusted_body, sizeof(untrusted));
	rect = (struct rect){untrusted.x, untrusted.y, untrusted.width, untrusted.height};
	if (window->id != GUI_WINDOW_SCREEN && window->mapped &&
	    rect_clip(&rect, window->rect.width, window->rect.height))
		model->ops->damage(model->view, window, &rect);
	return 0;
}

static int on_dump(struct model *model, struct window *window, const struct gui_header *header,
		   const void *untrusted_body)
{
	struct gui_dump untrusted;
	struct gui_mapping *mapping;
	struct rect all = {.width = window->rect.width, .height = window->rect.height};
	uint32_t pages, needed, width, height;
	int rc;

	memcpy(&untrusted, untrusted_body, sizeof(untrusted));
	pages = (header->length - (uint32_t)sizeof(untrusted)) / (uint32_t)sizeof(uint32_t);
	needed = gui_pages_of_image(untrusted.width, untrusted.height);
	if (untrusted.type != GUI_DUMP_GRANTS)
		return end(model, -EPROTO, "it shared an image in an unknown way");
	if (untrusted.bpp != 24 && untrusted.bpp != 32)
		return end(model, -EPROTO, "it shared an image of an unknown depth");
	if (!needed || pages < needed)
		return end(model, -EPROTO, "it shared an image with too few pages for its size");
	width = untrusted.width;
	height = untrusted.height;
	rc = gui_mapping_create(model->maps,
				(const uint32_t *)(const void *)((const char *)untrusted_body +
								 sizeof(untrusted)),
				needed, &mapping);
	if (rc)
		return end(model, rc, "it shared pages that cannot be mapped");
	model_drop_image(model, window);
	window->image = (struct image){mapping, width, height};
	if (window->id != GUI_WINDOW_SCREEN && window->mapped)
		model->ops->damage(model->view, window, &all);
	if (!gui_has(model->version, GUI_SINCE_DUMP_ACK))
		return 0;
	return model_send(model, GUI_WINDOW_DUMP_ACK, window->id, NULL, 0);
}

static int on_wmname(struct model *model, struct window *window, const struct gui_header *header,
		     const void *untrusted_body)
{
	const struct gui_wmname *untrusted = untrusted_body;
	size_t prefix = strlen(model->prefix);

	(void)header;
	if (prefix >= sizeof(window->title))
		prefix = sizeof(window->title) - 1;
	memcpy(window->title, model->prefix, prefix);
	text_clean(window->title + prefix, sizeof(window->title) - prefix, untrusted->text,
		   sizeof(untrusted->text), model->limits.utf8_titles);
	model->ops->describe(model->view, window);
	return 0;
}

static int on_wmclass(struct model *model, struct window *window, const struct gui_header *header,
		      const void *untrusted_body)
{
	const struct gui_wmclass *untrusted = untrusted_body;
	char class_name[64], instance[64];

	(void)header;
	if (window->mapped)
		return 0;
	text_clean(class_name, sizeof(class_name), untrusted->class_name,
		   sizeof(untrusted->class_name), false);
	text_clean(instance, sizeof(instance), untrusted->instance, sizeof(untrusted->instance),
		   false);
	snprintf(window->class_name, sizeof(window->class_name), "%s:%s", model->name, class_name);
	snprintf(window->instance, sizeof(window->instance), "%s:%s", model->name, instance);
	model->ops->describe(model->view, window);
	return 0;
}

static int on_dock(struct model *model, struct window *window, const struct gui_header *header,
		   const void *untrusted_body)
{
	(void)header;
	(void)untrusted_body;
	if (window->mapped || window->docked || window->id == GUI_WINDOW_SCREEN)
		return 0;
	window->docked = true;
	window->override_redirect = false;
	window->mapped = true;
	model->ops->dock(model->view, window);
	return 0;
}

/* Sizes from 1 (or 0) to the maximum, the least not above the most. */
static int on_hints(struct model *model, struct window *window, const struct gui_header *header,
		    const void *untrusted_body)
{
	const uint32_t known = GUI_HINT_USER_POSITION | GUI_HINT_POSITION | GUI_HINT_MIN_SIZE |
			       GUI_HINT_MAX_SIZE | GUI_HINT_INCREMENT | GUI_HINT_BASE_SIZE;
	struct gui_hints hints;

	(void)header;
	memcpy(&hints, untrusted_body, sizeof(hints));
	hints.flags &= known;
	hints.min_width = lower(hints.min_width, GUI_MAX_WIDTH);
	hints.min_height = lower(hints.min_height, GUI_MAX_HEIGHT);
	hints.max_width = lower(hints.max_width, GUI_MAX_WIDTH);
	hints.max_height = lower(hints.max_height, GUI_MAX_HEIGHT);
	hints.width_inc = lower(hints.width_inc, GUI_MAX_WIDTH);
	hints.height_inc = lower(hints.height_inc, GUI_MAX_HEIGHT);
	hints.base_width = lower(hints.base_width, GUI_MAX_WIDTH);
	hints.base_height = lower(hints.base_height, GUI_MAX_HEIGHT);
	/* A window manager may not expect nonsense. */
	if (!hints.max_width || !hints.max_height || hints.max_width < hints.min_width ||
	    hints.max_height < hints.min_height)
		hints.flags &= ~GUI_HINT_MAX_SIZE;
	if (!hints.width_inc || !hints.height_inc)
		hints.flags &= ~GUI_HINT_INCREMENT;
	window->hints = hints;
	model->ops->describe(model->view, window);
	return 0;
}

static int on_flags(struct model *model, struct window *window, const struct gui_header *header,
		    const void *untrusted_body)
{
	struct gui_flags untrusted;
	uint32_t set, unset;

	(void)header;
	memcpy(&untrusted, untrusted_body, sizeof(untrusted));
	if (untrusted.set & untrusted.unset)
		return end(model, -EPROTO, "it set and unset the same state of a window");
	set = untrusted.set & (GUI_FLAG_FULLSCREEN | GUI_FLAG_ATTENTION | GUI_FLAG_MINIMIZE);
	unset = untrusted.unset & (GUI_FLAG_FULLSCREEN | GUI_FLAG_ATTENTION);
	if (window->docked || window->override_redirect || window->id == GUI_WINDOW_SCREEN)
		return 0;
	if ((set & GUI_FLAG_FULLSCREEN) && !model->limits.fullscreen) {
		set = (set & ~GUI_FLAG_FULLSCREEN) | VIEW_MAXIMIZE;
		window->fullscreen_maximizes = true;
	}
	if ((unset & GUI_FLAG_FULLSCREEN) && window->fullscreen_maximizes)
		unset |= VIEW_MAXIMIZE;
	if (set || unset)
		model->ops->state(model->view, window, set, unset);
	return 0;
}

static int on_cursor(struct model *model, struct window *window, const struct gui_header *header,
		     const void *untrusted_body)
{
	struct gui_cursor untrusted;
	uint32_t id = GUI_CURSOR_DEFAULT;

	(void)header;
	memcpy(&untrusted, untrusted_body, sizeof(untrusted));
	if (untrusted.id >= GUI_CURSOR_FONT && untrusted.id < GUI_CURSOR_END)
		id = untrusted.id;
	model->ops->cursor(model->view, window, id);
	return 0;
}

static int on_clipboard(struct model *model, struct window *window, const struct gui_header *header,
			const void *untrusted_body)
{
	(void)window;
	if (!model->clipboard_requested)
		return 0;
	model->clipboard_requested = false;
	if (header->length > model->limits.clipboard)
		model->ops->clipboard(model->view, NULL, header->length);
	else
		model->ops->clipboard(model->view, untrusted_body, header->length);
	return 0;
}

static const struct {
	uint32_t type;
	handler_fn *handle;
} handlers[] = {
	{GUI_CREATE, on_create},
	{GUI_DESTROY, on_destroy},
	{GUI_MAP, on_map},
	{GUI_UNMAP, on_unmap},
	{GUI_CONFIGURE, on_configure},
	{GUI_SHMIMAGE, on_damage},
	{GUI_CLIPBOARD_DATA, on_clipboard},
	{GUI_WMNAME, on_wmname},
	{GUI_DOCK, on_dock},
	{GUI_WINDOW_HINTS, on_hints},
	{GUI_WINDOW_FLAGS, on_flags},
	{GUI_WMCLASS, on_wmclass},
	{GUI_WINDOW_DUMP, on_dump},
	{GUI_CURSOR, on_cursor},
};

int model_message(struct model *model, const struct gui_header *header, const void *untrusted_body)
{
	struct window *window = model_find(model, header->window);
	size_t i;

	model->problem = NULL;
	if (!window && header->type != GUI_CREATE && header->type != GUI_CLIPBOARD_DATA)
		return end(model, -EPROTO, "it spoke of a window that does not exist");
	for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].type == header->type)
			return handlers[i].handle(model, window, header, untrusted_body);
	return end(model, -EPROTO, "it sent a message that agents do not send");
}
