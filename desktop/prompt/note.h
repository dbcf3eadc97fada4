/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notifications of calls. */
#ifndef PROMPT_NOTE_H
#define PROMPT_NOTE_H

#include <stdbool.h>

#include "question.h"

/* Tells the user; false: no service of notifications has taken it. What was to be said goes to *ret_text, to be g_free()d. */
bool note_show(const struct question *note, char **ret_text);

#endif
