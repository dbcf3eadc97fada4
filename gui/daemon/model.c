// SPDX-License-Identifier: GPL-2.0-or-later
// The windows of a qube: finding them, their images, and what the user does to them.
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

static struct window **bucket_of(struct model *model, uint32_t id)
{
	/* A qube chooses the numbers; X's differ in the lower bits, and windows are limited in number. */
	return &model->buckets[(id ^ id >> 8 ^ id >> 16) % 256];
}

struct window *model_find(const struct model *model, uint32_t id)
{
	struct window *window = *bucket_of((struct model *)(uintptr_t)model, id);

	while (window && window->id != id)
		window = window->next;
	return window;
}

void model_each(struct model *model, model_visit_fn *visit, void *ctx)
{
	struct window *window, *next;
	size_t i;

	for (i = 0; i < 256; i++)
		for (window = model->buckets[i]; window; window = next) {
			next = window->next;
			visit(ctx, window);
		}
}

int model_add(struct model *model, uint32_t id, struct window **ret_window)
{
	struct window *window = calloc(1, sizeof(*window)), **bucket = bucket_of(model, id);
	int rc;

	if (!window)
		return -ENOMEM;
	window->id = id;
	rc = model->ops->create(model->view, window);
	if (rc) {
		free(window);
		return rc;
	}
	window->next = *bucket;
	*bucket = window;
	model->count++;
	*ret_window = window;
	return 0;
}

void model_drop_image(struct model *model, struct window *window)
{
	if (!window->image.mapping)
		return;
	model->ops->image_gone(model->view, window);
	gui_mapping_destroy(model->maps, window->image.mapping);
	memset(&window->image, 0, sizeof(window->image));
}

/* Frees a window that is in no bucket any more. */
static void discard(struct model *model, struct window *window)
{
	if (model->has_focus && model->focused == window->id)
		model->has_focus = false;
	model_drop_image(model, window);
	model->ops->destroy(model->view, window);
	model->count--;
	free(window);
}

void model_remove(struct model *model, struct window *window)
{
	struct window **link = bucket_of(model, window->id);

	while (*link != window)
		link = &(*link)->next;
	*link = window->next;
	discard(model, window);
}

void model_finish(struct model *model)
{
	struct window *window, *next;
	size_t i;

	for (i = 0; i < 256; i++) {
		window = model->buckets[i];
		model->buckets[i] = NULL;
		for (; window; window = next) {
			next = window->next;
			discard(model, window);
		}
	}
}

bool rect_clip(struct rect *rect, uint32_t width, uint32_t height)
{
	int64_t left = rect->x, top = rect->y;
	int64_t right = left + rect->width, bottom = top + rect->height;

	left = left < 0 ? 0 : left;
	top = top < 0 ? 0 : top;
	right = right > width ? width : right;
	bottom = bottom > height ? height : bottom;
	if (left >= right || top >= bottom)
		return false;
	rect->x = (int32_t)left;
	rect->y = (int32_t)top;
	rect->width = (uint32_t)(right - left);
	rect->height = (uint32_t)(bottom - top);
	return true;
}

const struct image *model_image(const struct model *model, const struct window *window,
				int32_t *ret_x, int32_t *ret_y)
{
	const struct window *whole;

	*ret_x = *ret_y = 0;
	if (window->image.mapping)
		return &window->image;
	whole = model_find(model, GUI_WINDOW_SCREEN);
	if (!whole || !whole->image.mapping)
		return NULL;
	*ret_x = window->rect.x;
	*ret_y = window->rect.y;
	return &whole->image;
}

int model_send(struct model *model, uint32_t type, uint32_t window, const void *body, size_t length)
{
	return model->send(model->send_ctx, type, window, body, length);
}

/* An agent that does not read loses events, not the session: it may only be paused. */
static bool congested(struct model *model)
{
	return model->queued(model->send_ctx) > MODEL_EVENTS_QUEUE;
}

static void set_bit(uint8_t keys[32], uint32_t keycode, bool value)
{
	uint8_t bit = (uint8_t)(1u << (keycode & 7));

	if (value)
		keys[keycode >> 3] |= bit;
	else
		keys[keycode >> 3] &= (uint8_t)~bit;
}

int model_user_key(struct model *model, struct window *window, const struct gui_key *key)
{
	bool press = key->type == GUI_EVENT_PRESS;

	if (key->keycode > 255 || (press && congested(model)))
		return 0;
	set_bit(model->pressed, key->keycode, press);
	model->in_use = model->in_use || press;
	return model_send(model, GUI_KEYPRESS, window->id, key, sizeof(*key));
}

int model_user_button(struct model *model, struct window *window, const struct gui_button *button)
{
	bool press = button->type == GUI_EVENT_BTN_PRESS;

	if (button->button > 31 || (press && congested(model)))
		return 0;
	model->in_use = model->in_use || press;
	if (press)
		model->buttons |= 1u << button->button;
	else
		model->buttons &= ~(1u << button->button);
	return model_send(model, GUI_BUTTON, window->id, button, sizeof(*button));
}

int model_user_motion(struct model *model, struct window *window, const struct gui_motion *motion)
{
	if (congested(model))
		return 0;
	return model_send(model, GUI_MOTION, window->id, motion, sizeof(*motion));
}

static int send_keymap(struct model *model, const uint8_t keys[32])
{
	struct gui_keymap keymap;

	memcpy(keymap.keys, keys, sizeof(keymap.keys));
	memcpy(model->pressed, keys, sizeof(model->pressed));
	return model_send(model, GUI_KEYMAP_NOTIFY, 0, &keymap, sizeof(keymap));
}

int model_user_crossing(struct model *model, struct window *window,
			const struct gui_crossing *crossing, const uint8_t keys[32])
{
	int rc = 0;

	if (congested(model))
		return 0;
	/* What is typed elsewhere is none of this qube's business. */
	if (crossing->type == GUI_EVENT_ENTER && model->has_focus)
		rc = send_keymap(model, keys);
	return rc ? rc : model_send(model, GUI_CROSSING, window->id, crossing, sizeof(*crossing));
}

int model_user_focus(struct model *model, struct window *window, bool in, uint32_t mode,
		     uint32_t detail, const uint8_t keys[32])
{
	struct gui_focus focus = {.type = in ? GUI_EVENT_FOCUS_IN : GUI_EVENT_FOCUS_OUT,
				  .mode = mode,
				  .detail = detail};
	int rc = 0;

	if (in)
		rc = send_keymap(model, keys);
	else if (model->has_focus && model->focused != window->id)
		return model_send(model, GUI_FOCUS, window->id, &focus, sizeof(focus));
	model->has_focus = in;
	model->focused = window->id;
	return rc ? rc : model_send(model, GUI_FOCUS, window->id, &focus, sizeof(focus));
}

struct turning {
	struct model *model;
	int rc;
};

static void leave_popup(void *ctx, struct window *window)
{
	struct turning *turning = ctx;
	struct gui_focus focus = {.type = GUI_EVENT_FOCUS_OUT, .detail = GUI_DETAIL_NONLINEAR};

	if (window->override_redirect && window->mapped && !turning->rc)
		turning->rc = model_send(turning->model, GUI_FOCUS, window->id, &focus,
					 sizeof(focus));
}

int model_user_elsewhere(struct model *model)
{
	struct turning turning = {.model = model};

	if (!model->in_use || congested(model))
		return 0;
	model->in_use = false;
	model_each(model, leave_popup, &turning);
	return turning.rc;
}

int model_send_configure(struct model *model, struct window *window)
{
	struct gui_configure configure = {.x = window->rect.x,
					  .y = window->rect.y,
					  .width = window->rect.width,
					  .height = window->rect.height,
					  .override_redirect = window->override_redirect};

	window->configure_pending = true;
	return model_send(model, GUI_CONFIGURE, window->id, &configure, sizeof(configure));
}

int model_user_place(struct model *model, struct window *window, const struct rect *rect)
{
	if (!rect->width || !rect->height || !memcmp(rect, &window->rect, sizeof(*rect)))
		return 0;
	window->rect = *rect;
	return model_send_configure(model, window);
}

static void fit(int32_t *at, uint32_t *size, int32_t area_at, uint32_t area_size, bool place)
{
	if (*size > area_size)
		*size = area_size;
	if (!place)
		return;
	if (*at > area_at + (int32_t)(area_size - *size))
		*at = area_at + (int32_t)(area_size - *size);
	if (*at < area_at)
		*at = area_at;
}

bool model_keep_in_sight(struct model *model, struct window *window, bool place)
{
	struct rect *rect = &window->rect, old = *rect, area;

	if (window->override_redirect || window->docked || window->id == GUI_WINDOW_SCREEN)
		return false;
	model->ops->area(model->view, window, &area);
	fit(&rect->x, &rect->width, area.x, area.width, place);
	fit(&rect->y, &rect->height, area.y, area.height, place);
	return memcmp(&old, rect, sizeof(old)) != 0;
}

int model_user_placed(struct model *model, struct window *window)
{
	if (!model_keep_in_sight(model, window, true))
		return 0;
	model->ops->place(model->view, window);
	return model_send_configure(model, window);
}

int model_user_state(struct model *model, struct window *window, uint32_t state)
{
	struct gui_flags flags;
	uint32_t now = state & (GUI_FLAG_FULLSCREEN | GUI_FLAG_MINIMIZE);

	/* Not before it was reached: other changes may come first. */
	if (window->maximized && !(state & VIEW_MAXIMIZE))
		window->fullscreen_maximizes = false;
	window->maximized = (state & VIEW_MAXIMIZE) != 0;
	if (window->fullscreen_maximizes && window->maximized)
		now |= GUI_FLAG_FULLSCREEN;
	flags.set = now & ~window->state;
	flags.unset = window->state & ~now;
	if (!flags.set && !flags.unset)
		return 0;
	window->state = now;
	return model_send(model, GUI_WINDOW_FLAGS, window->id, &flags, sizeof(flags));
}

int model_user_close(struct model *model, struct window *window)
{
	return model_send(model, GUI_CLOSE, window->id, NULL, 0);
}

int model_user_copy(struct model *model, struct window *window)
{
	model->clipboard_requested = true;
	return model_send(model, GUI_CLIPBOARD_REQ, window->id, NULL, 0);
}

int model_user_paste(struct model *model, struct window *window, const char *text, uint32_t length)
{
	if (length > gui_clipboard_max(model->version))
		return -EMSGSIZE;
	return model_send(model, GUI_CLIPBOARD_DATA, window->id, text, length);
}

static void hide_popup(void *ctx, struct window *window)
{
	struct model *model = ctx;

	if (window->override_redirect && window->mapped) {
		window->mapped = false;
		model->ops->hide(model->view, window);
	}
}

int model_user_break(struct model *model)
{
	struct gui_button button = {.type = GUI_EVENT_BTN_RELEASE};
	struct gui_key key = {.type = GUI_EVENT_RELEASE};
	int rc = 0;

	model_each(model, hide_popup, model);
	for (key.keycode = 0; key.keycode < 256 && !rc; key.keycode++)
		if (model->pressed[key.keycode >> 3] & 1u << (key.keycode & 7))
			rc = model_send(model, GUI_KEYPRESS, model->focused, &key, sizeof(key));
	for (button.button = 0; button.button < 32 && !rc; button.button++)
		if (model->buttons & 1u << button.button)
			rc = model_send(model, GUI_BUTTON, model->focused, &button, sizeof(button));
	memset(model->pressed, 0, sizeof(model->pressed));
	model->buttons = 0;
	return rc;
}
