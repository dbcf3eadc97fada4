/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The windows of one qube as the rules of the protocol allow them, apart from any display. Messages come in through
 * model_message(), what the user does through the model_user_* functions; both end in calls of struct view_ops.
 */
#ifndef GUI_MODEL_H
#define GUI_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../common/grant.h"
#include "../common/protocol.h"

/* Thickness in pixels of the coloured frame that is drawn inside of override-redirect windows. */
#define MODEL_INNER_FRAME 2

/* Input events are dropped while more than this waits for an agent that does not read. */
#define MODEL_EVENTS_QUEUE (256u << 10)

/* Longest title: a decoration of the daemon's and the agent's text. */
#define MODEL_TITLE_SIZE 512

struct rect {
	int32_t x, y;
	uint32_t width, height;
};

struct image {
	struct gui_mapping *mapping; /* NULL: none */
	uint32_t width, height;
};

struct window {
	struct window *next; /* in the same bucket */
	uint32_t id;
	struct rect rect; /* of the contents, root coordinates */
	bool override_redirect, mapped, docked;
	bool configure_pending; /* the daemon's last CONFIGURE is not acknowledged */
	bool maximized;
	bool fullscreen_maximizes; /* the agent asked for fullscreen and got a maximised window */
	uint32_t transient_for;
	uint32_t state; /* GUI_FLAG_*, as last reported to the agent */
	struct gui_hints hints;
	struct image image;
	char title[MODEL_TITLE_SIZE];
	char class_name[128], instance[128];
	void *view; /* what the view keeps */
};

/* What the model asks of a display; all have to be there. */
struct view_ops {
	/* 0 or -errno. The window is not visible. */
	int (*create)(void *view, struct window *window);
	void (*destroy)(void *view, struct window *window);
	void (*show)(void *view, struct window *window);
	void (*hide)(void *view, struct window *window);
	/* Position or size changed by the agent or the rules. */
	void (*place)(void *view, struct window *window);
	void (*describe)(void *view, struct window *window); /* title, class, hints changed */
	/* Asks for states (GUI_FLAG_*, and VIEW_MAXIMIZE) as the user's window manager grants them. */
	void (*state)(void *view, struct window *window, uint32_t set, uint32_t unset);
	void (*dock)(void *view, struct window *window);
	void (*cursor)(void *view, struct window *window, uint32_t id);
	/* Contents changed: a rectangle that is not empty, within the window. */
	void (*damage)(void *view, struct window *window, const struct rect *rect);
	/* The mapping is about to go: nothing of it may be used any more. */
	void (*image_gone)(void *view, struct window *window);
	/* Where the contents of a managed window have to be for all of its frame and title to be in sight. */
	void (*area)(void *view, struct window *window, struct rect *ret_area);
	/* The area that override-redirect windows are measured against. */
	void (*work_area)(void *view, uint32_t *ret_width, uint32_t *ret_height);
	/* Text that was asked for with model_user_copy(); NULL: more than the limit. */
	void (*clipboard)(void *view, const char *text, uint32_t length);
	/* Something that the user should know; `key` distinguishes what is said only once. */
	void (*warn)(void *view, const char *key, const char *text);
};
#define VIEW_MAXIMIZE (1u << 16)

struct model_limits {
	unsigned int windows;
	uint32_t clipboard;	       /* bytes */
	unsigned int override_percent; /* of the work area; 100 or more: no limit */
	bool override_allowed;
	bool fullscreen; /* the agent may ask for it */
	bool utf8_titles;
	uint32_t screen_width, screen_height;
};

/* Sends to the agent: as gui_channel_send(). */
typedef int model_send_fn(void *ctx, uint32_t type, uint32_t window, const void *body,
			  size_t length);
typedef size_t model_queued_fn(void *ctx);

struct model {
	struct model_limits limits;
	const char *name;   /* of the qube */
	const char *prefix; /* before titles, "" for none */
	uint32_t version;
	const struct view_ops *ops;
	void *view;
	model_send_fn *send;
	model_queued_fn *queued;
	void *send_ctx;
	struct gui_maps *maps;
	struct window *buckets[256];
	unsigned int count;
	bool clipboard_requested;
	uint8_t pressed[32]; /* keys that the agent was told are down */
	uint32_t buttons;    /* bit n: button n */
	uint32_t focused;    /* window that has the focus, if has_focus */
	bool has_focus;
	bool in_use; /* the user has pressed something here, and then nothing elsewhere that was told */
	const char *problem; /* why the last message ended the session */
};

/* `model` is zeroed and then filled by the caller up to `maps`. */
void model_finish(struct model *model); /* destroys all windows */

struct window *model_find(const struct model *model, uint32_t id);
typedef void model_visit_fn(void *ctx, struct window *window);
void model_each(struct model *model, model_visit_fn *visit, void *ctx);

/*
 * Takes a message that passed gui_header_check(). 0, or -errno that ends the session; then model->problem
 * says why, in words for the user.
 */
int model_message(struct model *model, const struct gui_header *header, const void *untrusted_body);

/* The image that a window shows (its own or that of window 0), and where in it the window begins. */
const struct image *model_image(const struct model *model, const struct window *window,
				int32_t *ret_x, int32_t *ret_y);

/* What the user did. All return 0 or what sending said. */
int model_user_key(struct model *model, struct window *window, const struct gui_key *key);
int model_user_button(struct model *model, struct window *window, const struct gui_button *button);
int model_user_motion(struct model *model, struct window *window, const struct gui_motion *motion);
int model_user_crossing(struct model *model, struct window *window,
			const struct gui_crossing *crossing, const uint8_t keys[32]);
int model_user_focus(struct model *model, struct window *window, bool in, uint32_t mode,
		     uint32_t detail, const uint8_t keys[32]);
/*
 * A button was pressed that is no press in one of the qube's windows: popups are told that the focus is elsewhere. Once, until the
 * user presses something in this qube again: it is not to learn when others are clicked.
 */
int model_user_elsewhere(struct model *model);
/* The window has this place now, by the user or the window manager. */
int model_user_place(struct model *model, struct window *window, const struct rect *rect);
/* The window manager has found a place for a new window, which model_user_place() has told. */
int model_user_placed(struct model *model, struct window *window);
/* The states that the window has now, of GUI_FLAG_FULLSCREEN, GUI_FLAG_MINIMIZE, VIEW_MAXIMIZE. */
int model_user_state(struct model *model, struct window *window, uint32_t state);
int model_user_close(struct model *model, struct window *window);
/* Asks for the text of the window's selection. */
int model_user_copy(struct model *model, struct window *window);
/* The caller has checked the policy. -EMSGSIZE: more than this agent takes. */
int model_user_paste(struct model *model, struct window *window, const char *text, uint32_t length);
/* Lets go of everything: keys and buttons are released, popups are hidden until they are mapped again. */
int model_user_break(struct model *model);

/* Helpers that are tested alone. */
/* Copies printable text of `size` bytes at most, ending at a NUL: other characters become '_'. */
void text_clean(char *to, size_t to_size, const char *untrusted_text, size_t size, bool utf8);
/* False if nothing is left. */
bool rect_clip(struct rect *rect, uint32_t width, uint32_t height);

#endif
