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

#endif
