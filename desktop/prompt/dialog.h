/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The question on the screen. */
#ifndef PROMPT_DIALOG_H
#define PROMPT_DIALOG_H

#include <stdint.h>

#include "question.h"

struct dialog_options {
	uint32_t delay;	  /* milliseconds without disturbance before an answer counts */
	uint32_t timeout; /* seconds until the answer is no; 0: never */
};

/* Asks; the target that the user allows, or NULL. Needs gtk_init(). */
const char *dialog_run(const struct question *question, const struct dialog_options *options);

#endif
