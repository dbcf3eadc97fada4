/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether another window lies over one of ours. */
#ifndef PROMPT_COVER_H
#define PROMPT_COVER_H

#include <gdk/gdk.h>
#include <stdbool.h>

struct cover;

/* Calls back, also later, whenever the answer has changed; it is "covered" at first. Brings a covered window to the top. */
struct cover *cover_watch(GdkWindow *window, void (*changed)(void *ctx, bool covered), void *ctx);
void cover_finish(struct cover *cover);

#endif
