/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What qrexec-daemon asks or tells the user: one JSON object, see docs/qrexec-programs.md. */
#ifndef PROMPT_QUESTION_H
#define PROMPT_QUESTION_H

#include <stddef.h>

#define QUESTION_TEXT_MAX    (1u << 20) /* bytes of the whole */
#define QUESTION_TARGETS_MAX 2048
#define QUESTION_LABELS_MAX  2048

struct question_label {
	char *qube, *label;
};

/* Texts are printable ASCII and never NULL: "" is what was not said. */
struct question {
	char *source, *service, *argument, *requested_target, *default_target;
	char *resolution, *target; /* of a notification */
	char **targets;
	size_t target_count;
	struct question_label *labels;
	size_t label_count;
};

/* -EINVAL: no such object, or without a source or service; -E2BIG; -ENOMEM. Nothing is left to free then. */
int question_parse(const char *text, size_t length, struct question *ret_question);
void question_finish(struct question *question);
/* The label of a qube, or of the template of "@dispvm:NAME"; NULL if it is not known. */
const char *question_label(const struct question *question, const char *name);
/* Whether the default is one of the targets; otherwise there is none. */
int question_default(const struct question *question, size_t *ret_index);

#endif
