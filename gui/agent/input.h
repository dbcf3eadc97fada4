/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The seat: keyboard, pointer and focus as the daemon reports them. */
#ifndef AGENT_INPUT_H
#define AGENT_INPUT_H

#include <stdbool.h>

#include "../common/protocol.h"

struct agent;
struct window;
struct wlr_backend;
struct wlr_seat;

/* 0 or -errno: EINVAL there is no such keyboard layout. */
int input_create(struct agent *agent, struct wlr_backend *backend);
/* Before the event loop goes; no input may come any more. */
void input_stop(struct agent *agent);
void input_destroy(struct agent *agent);
struct wlr_seat *input_seat(struct agent *agent);

/* Layout as LAYOUT[+VARIANT[+OPTIONS]]; NULL: the default of libxkbcommon. 0 or -errno; on failure the old one stays. */
int input_set_layout(struct agent *agent, const char *layout);

/* The messages of the same names. */
void input_key(struct agent *agent, struct window *window, const struct gui_key *key);
void input_button(struct agent *agent, struct window *window, const struct gui_button *button);
void input_motion(struct agent *agent, struct window *window, const struct gui_motion *motion);
void input_crossing(struct agent *agent, struct window *window,
		    const struct gui_crossing *crossing);
void input_focus(struct agent *agent, struct window *window, const struct gui_focus *focus);
void input_keymap(struct agent *agent, const struct gui_keymap *keymap);

/* Whether the window has the keyboard focus. */
bool input_has_focus(struct agent *agent, const struct window *window);
/* The window that the pointer is in, or NULL. */
struct window *input_pointer_window(struct agent *agent);
/* The window is not to be seen any more, or the daemon is gone (NULL: all of them). */
void input_forget(struct agent *agent, const struct window *window);

#endif
