// SPDX-License-Identifier: GPL-2.0-or-later
// The keyboard: X11 keycodes and modifiers of the daemon, a keymap of the qube.
#include "agent.h"
#include "input.h"
#include "input_internal.h"
#include "window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <wlr/interfaces/wlr_keyboard.h>
#include <wlr/types/wlr_input_device.h>
#include <wlr/types/wlr_seat.h>

#define KEYCODE_MIN   8u /* X11's keycode is evdev's code + 8 */
#define KEYCODE_MAX   255u
#define MODIFIERS     0xffu /* of a state: Shift, Lock, Control, Mod1 to Mod5 */
#define MODIFIER_LOCK (1u << 1)
#define MODIFIER_NUM  (1u << 4) /* Mod2 in every keymap of xkeyboard-config */
#define GROUP_SHIFT   13	/* XKB protocol: bits 13 and 14 of a state */
#define LAYOUT_MAX    256
#define LAYOUT_FIELDS 3

static bool is_pressed(const struct wlr_keyboard *keyboard, uint32_t code)
{
	size_t i;

	for (i = 0; i < keyboard->num_keycodes; i++) {
		if (keyboard->keycodes[i] == code)
			return true;
	}
	return false;
}

/* The daemon's modifiers and group are the truth: of those that change elsewhere we see no key. */
static void sync_modifiers(struct wlr_keyboard *keyboard, uint32_t state)
{
	uint32_t wanted = state & MODIFIERS, group = state >> GROUP_SHIFT & 3;
	uint32_t locked = wanted & (MODIFIER_LOCK | MODIFIER_NUM);

	if (group >= xkb_keymap_num_layouts(keyboard->keymap))
		group = 0;
	if ((xkb_state_serialize_mods(keyboard->xkb_state, XKB_STATE_MODS_EFFECTIVE) & MODIFIERS) ==
		    wanted &&
	    xkb_state_serialize_layout(keyboard->xkb_state, XKB_STATE_LAYOUT_EFFECTIVE) == group)
		return;
	wlr_keyboard_notify_modifiers(keyboard, wanted & ~locked, 0, locked, group);
}

static void send_key(struct input *input, uint32_t code, enum wl_keyboard_key_state state)
{
	uint32_t time = agent_now();
	struct wlr_event_keyboard_key event = {.time_msec = time,
					       .keycode = code,
					       .update_state = true,
					       .state = state};

	wlr_seat_keyboard_notify_key(input->seat, time, code, state);
	wlr_keyboard_notify_key(input->keyboard->keyboard, &event);
}

void input_key(struct agent *agent, struct window *window, const struct gui_key *key)
{
	struct input *input = agent->input;
	struct wlr_keyboard *keyboard = input->keyboard->keyboard;
	uint32_t code = key->keycode - KEYCODE_MIN;
	bool pressed;

	if (key->keycode < KEYCODE_MIN || key->keycode > KEYCODE_MAX)
		return;
	if (!input->seat->keyboard_state.focused_surface && window->surface)
		wlr_seat_keyboard_notify_enter(input->seat, window->surface, keyboard->keycodes,
					       keyboard->num_keycodes, &keyboard->modifiers);
	sync_modifiers(keyboard, key->state);
	pressed = is_pressed(keyboard, code);
	if (key->type == GUI_EVENT_PRESS) {
		/* Repetition is the daemon's; Xwayland takes no second press without a release. */
		if (pressed)
			send_key(input, code, WL_KEYBOARD_KEY_STATE_RELEASED);
		send_key(input, code, WL_KEYBOARD_KEY_STATE_PRESSED);
	} else if (key->type == GUI_EVENT_RELEASE && pressed) {
		send_key(input, code, WL_KEYBOARD_KEY_STATE_RELEASED);
	}
}

void input_keymap(struct agent *agent, const struct gui_keymap *keymap)
{
	struct input *input = agent->input;
	struct wlr_keyboard *keyboard = input->keyboard->keyboard;
	uint32_t held[WLR_KEYBOARD_KEYS_CAP];
	size_t count = keyboard->num_keycodes, i;

	/* Keys released while another qube had the focus. Those pressed there are not this qube's business. */
	memcpy(held, keyboard->keycodes, count * sizeof(held[0]));
	for (i = 0; i < count; i++) {
		uint32_t keycode = held[i] + KEYCODE_MIN;

		if (!(keymap->keys[keycode >> 3] & 1u << (keycode & 7)))
			send_key(input, held[i], WL_KEYBOARD_KEY_STATE_RELEASED);
	}
}

static void handle_modifiers(struct wl_listener *listener, void *data)
{
	struct input *input = wl_container_of(listener, input, modifiers);

	(void)data;
	wlr_seat_keyboard_notify_modifiers(input->seat, &input->keyboard->keyboard->modifiers);
}

/* "us+intl+compose:ralt" and the like; missing or empty fields are defaults. */
static struct xkb_keymap *compile(struct xkb_context *context, const char *layout)
{
	char text[LAYOUT_MAX] = "", *fields[LAYOUT_FIELDS] = {NULL}, *rest = text;
	struct xkb_rule_names names;
	int i;

	if (!layout)
		return xkb_keymap_new_from_names(context, NULL, XKB_KEYMAP_COMPILE_NO_FLAGS);
	if (strlen(layout) >= sizeof(text))
		return NULL;
	strcpy(text, layout);
	for (i = 0; i < LAYOUT_FIELDS && rest; i++)
		fields[i] = strsep(&rest, "+");
	names = (struct xkb_rule_names){.rules = "evdev",
					.model = "pc105",
					.layout = fields[0],
					.variant = fields[1],
					.options = fields[2]};
	return xkb_keymap_new_from_names(context, &names, XKB_KEYMAP_COMPILE_NO_FLAGS);
}

int input_set_layout(struct agent *agent, const char *layout)
{
	struct xkb_context *context = xkb_context_new(XKB_CONTEXT_NO_FLAGS);
	struct xkb_keymap *keymap = context ? compile(context, layout) : NULL;
	bool set = keymap && wlr_keyboard_set_keymap(agent->input->keyboard->keyboard, keymap);

	xkb_keymap_unref(keymap);
	xkb_context_unref(context);
	return set ? 0 : -EINVAL;
}

int keyboard_create(struct input *input)
{
	struct wlr_keyboard *keyboard = input->keyboard->keyboard;
	int rc = input_set_layout(input->agent, input->agent->options.keyboard_layout);

	if (rc)
		return rc;
	/* 0: clients do not repeat keys by themselves. */
	wlr_keyboard_set_repeat_info(keyboard, 0, 0);
	wlr_seat_set_keyboard(input->seat, input->keyboard);
	input->modifiers.notify = handle_modifiers;
	wl_signal_add(&keyboard->events.modifiers, &input->modifiers);
	return 0;
}
