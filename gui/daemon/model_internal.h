/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the window model share. */
#ifndef GUI_MODEL_INTERNAL_H
#define GUI_MODEL_INTERNAL_H

#include "model.h"

int model_add(struct model *model, uint32_t id, struct window **ret_window);
void model_remove(struct model *model, struct window *window);
void model_drop_image(struct model *model, struct window *window);
int model_send(struct model *model, uint32_t type, uint32_t window, const void *body,
	       size_t length);
int model_send_configure(struct model *model, struct window *window);

/*
 * A window that covers the screen with its frame beyond the edges could show a desktop of its own, with questions that nobody has
 * asked. So all of it is in sight, as far as there is room, wherever the qube puts it; the user may move it elsewhere. Without
 * `place` only its size counts. True if that changed something.
 */
bool model_keep_in_sight(struct model *model, struct window *window, bool place);

#endif
