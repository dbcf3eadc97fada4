/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The windows on the user's display: GTK 3 on its X11 backend. */
#ifndef GUI_VIEW_H
#define GUI_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "model.h"

struct view;

/* What the user asks of the daemon itself. */
struct view_actions {
	void (*copy)(void *ctx, struct window *window);	 /* from this window to the other qubes */
	void (*paste)(void *ctx, struct window *window); /* from the other qubes to this window */
	void (*clipboard)(void *ctx, const char *text, uint32_t length);
	void (*failed)(void *ctx, int code); /* sending to the agent failed */
	void (*warn)(void *ctx, const char *key, const char *text);
	/* The screen has another size. */
	void (*screen)(void *ctx);
};

struct view_options {
	const char *name;   /* of the qube */
	uint32_t color;	    /* 0xRRGGBB */
	unsigned int label; /* number of the label, for window managers that know it; 0: none */
	int domain;
	const char *icon; /* name in the icon theme, or a file; NULL: none */
	const struct config *config;
};

/* After gtk_init(). NULL: the display cannot do what is needed; *ret_problem says what. */
struct view *view_create(const struct view_options *options, const struct view_actions *actions,
			 void *ctx, const char **ret_problem);
void view_destroy(struct view *view);

/* The operations for a model, whose `view` is this one. */
const struct view_ops *view_operations(void);
void view_attach(struct view *view, struct model *model);

void view_screen(const struct view *view, uint32_t *ret_width, uint32_t *ret_height);
/* Shows what has changed since the last time. To be called within the main loop, when a batch of messages is done. */
void view_flush(struct view *view);

#endif
