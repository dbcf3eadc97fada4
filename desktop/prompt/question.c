// SPDX-License-Identifier: GPL-2.0-or-later
// Parser of what the user is to be asked or told.
#define _GNU_SOURCE
#include "question.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	const char *at, *end;
	int rc; /* the first problem */
};

static bool fail(struct reader *reader, int rc)
{
	if (!reader->rc)
		reader->rc = rc;
	return false;
}

static void skip_space(struct reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at)
		reader->at++;
}

/* Takes this character if it comes next. */
static bool take(struct reader *reader, char wanted)
{
	skip_space(reader);
	if (reader->at == reader->end || *reader->at != wanted)
		return false;
	reader->at++;
	return true;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdefABCDEF", *found = c ? strchr(digits, c) : NULL;

	if (!found)
		return -1;
	return (int)(found - digits) < 16 ? (int)(found - digits) : (int)(found - digits) - 6;
}

/* What is behind a backslash; -1 if nothing may be. */
static int take_escape(struct reader *reader)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *found;
	int value = 0;

	if (reader->at == reader->end)
		return -1;
	if (*reader->at != 'u') {
		found = *reader->at ? strchr(letters, *reader->at) : NULL;
		reader->at++;
		return found ? meant[found - letters] : -1;
	}
	if (reader->end - reader->at < 5)
		return -1;
	for (int i = 1; i <= 4; i++) {
		int digit = hex_digit(reader->at[i]);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	reader->at += 5;
	return value;
}

/* What cannot be shown as it is is shown as an underscore. */
static char *take_string(struct reader *reader)
{
	size_t length = 0;
	char *text, *small;

	if (!take(reader, '"')) {
		fail(reader, -EINVAL);
		return NULL;
	}
	text = malloc((size_t)(reader->end - reader->at) + 1);
	if (!text) {
		fail(reader, -ENOMEM);
		return NULL;
	}
	while (reader->at < reader->end && *reader->at != '"') {
		int c = (unsigned char)*reader->at++;

		if (c == '\\')
			c = take_escape(reader);
		if (c < 0) {
			free(text);
			fail(reader, -EINVAL);
			return NULL;
		}
		text[length++] = (char)(c >= 0x20 && c <= 0x7e ? c : '_');
	}
	if (!take(reader, '"')) {
		free(text);
		fail(reader, -EINVAL);
		return NULL;
	}
	text[length] = '\0';
	/* Most are short, and the room was for the longest. */
	small = realloc(text, length + 1);
	return small ? small : text;
}

static bool take_targets(struct reader *reader, struct question *question)
{
	if (question->targets || !take(reader, '['))
		return fail(reader, -EINVAL);
	question->targets = calloc(QUESTION_TARGETS_MAX, sizeof(*question->targets));
	if (!question->targets)
		return fail(reader, -ENOMEM);
	if (take(reader, ']'))
		return true;
	do {
		char *target;

		if (question->target_count == QUESTION_TARGETS_MAX)
			return fail(reader, -E2BIG);
		target = take_string(reader);
		if (!target)
			return fail(reader, -ENOMEM);
		question->targets[question->target_count++] = target;
	} while (take(reader, ','));
	return take(reader, ']') || fail(reader, -EINVAL);
}

static bool take_labels(struct reader *reader, struct question *question)
{
	if (question->labels || !take(reader, '{'))
		return fail(reader, -EINVAL);
	question->labels = calloc(QUESTION_LABELS_MAX, sizeof(*question->labels));
	if (!question->labels)
		return fail(reader, -ENOMEM);
	if (take(reader, '}'))
		return true;
	do {
		struct question_label *label = &question->labels[question->label_count];

		if (question->label_count == QUESTION_LABELS_MAX)
			return fail(reader, -E2BIG);
		question->label_count++;
		label->qube = take_string(reader);
		if (!label->qube || !take(reader, ':'))
			return fail(reader, -EINVAL);
		label->label = take_string(reader);
		if (!label->label)
			return fail(reader, -ENOMEM);
	} while (take(reader, ','));
	return take(reader, '}') || fail(reader, -EINVAL);
}

static bool take_member(struct reader *reader, struct question *question)
{
	const struct {
		const char *name;
		char **text;
	} texts[] = {
		{"source", &question->source},
		{"service", &question->service},
		{"argument", &question->argument},
		{"requested_target", &question->requested_target},
		{"default_target", &question->default_target},
		{"resolution", &question->resolution},
		{"target", &question->target},
	};
	char *name = take_string(reader), **text = NULL;
	bool targets, labels;

	if (!name)
		return fail(reader, -ENOMEM);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!strcmp(texts[i].name, name))
			text = texts[i].text;
	targets = !strcmp(name, "targets");
	labels = !strcmp(name, "labels");
	free(name);
	if (!take(reader, ':'))
		return fail(reader, -EINVAL);
	if (targets)
		return take_targets(reader, question);
	if (labels)
		return take_labels(reader, question);
	/* Said twice is not said clearly, and so is what is not known here. */
	if (!text || *text)
		return fail(reader, -EINVAL);
	*text = take_string(reader);
	return *text != NULL;
}

/* What was not said is "". */
static bool complete(struct question *question)
{
	char **texts[] = {&question->source,	 &question->service,
			  &question->argument,	 &question->requested_target,
			  &question->resolution, &question->default_target,
			  &question->target};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (!*texts[i])
			*texts[i] = strdup("");
		if (!*texts[i])
			return false;
	}
	return true;
}

int question_parse(const char *text, size_t length, struct question *ret_question)
{
	struct reader reader = {.at = text, .end = text + length};
	struct question question = {0};

	if (length > QUESTION_TEXT_MAX)
		return -E2BIG;
	if (!take(&reader, '{'))
		return -EINVAL;
	if (!take(&reader, '}')) {
		while (take_member(&reader, &question) && take(&reader, ','))
			continue;
		if (!reader.rc && !take(&reader, '}'))
			fail(&reader, -EINVAL);
	}
	skip_space(&reader);
	if (reader.at != reader.end)
		fail(&reader, -EINVAL);
	if (!reader.rc && !complete(&question))
		fail(&reader, -ENOMEM);
	if (!reader.rc && (!*question.source || !*question.service))
		fail(&reader, -EINVAL);
	if (reader.rc)
		question_finish(&question);
	else
		*ret_question = question;
	return reader.rc;
}

void question_finish(struct question *question)
{
	for (size_t i = 0; i < question->target_count; i++)
		free(question->targets[i]);
	for (size_t i = 0; i < question->label_count; i++) {
		free(question->labels[i].qube);
		free(question->labels[i].label);
	}
	free(question->targets);
	free(question->labels);
	free(question->source);
	free(question->service);
	free(question->argument);
	free(question->requested_target);
	free(question->default_target);
	free(question->resolution);
	free(question->target);
	*question = (struct question){0};
}

const char *question_label(const struct question *question, const char *name)
{
	static const char dispvm[] = "@dispvm:";

	if (!strncmp(name, dispvm, sizeof(dispvm) - 1))
		name += sizeof(dispvm) - 1;
	for (size_t i = 0; i < question->label_count; i++)
		if (!strcmp(question->labels[i].qube, name))
			return question->labels[i].label;
	return NULL;
}

int question_default(const struct question *question, size_t *ret_index)
{
	for (size_t i = 0; i < question->target_count; i++)
		if (!strcmp(question->targets[i], question->default_target)) {
			*ret_index = i;
			return 0;
		}
	return -ENOENT;
}
