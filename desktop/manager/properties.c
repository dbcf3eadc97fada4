// SPDX-License-Identifier: GPL-2.0-or-later
// What can be set for a qube: names, kinds, defaults, limits.
#define _GNU_SOURCE
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind {
	KIND_NUMBER,
	KIND_FLAG,
	KIND_WORD, /* one of a list */
	KIND_QUBE, /* a qube's name, or empty */
	KIND_TEXT, /* printable ASCII */
	KIND_NAME, /* an account's name */
};

static const char *const labels[] = {"red",  "orange", "yellow", "green", "gray",
				     "blue", "purple", "black",	 NULL};

static const struct description {
	const char *name, *standard;
	enum kind kind;
	long least, most;
	const char *const *words;
} descriptions[PROP_COUNT] = {
	[PROP_AUTOSTART] = {"autostart", "no", KIND_FLAG, 0, 0, NULL},
	[PROP_DEFAULT_DISPVM] = {"default_dispvm", "", KIND_QUBE, 0, 0, NULL},
	[PROP_DEFAULT_USER] = {"default_user", "user", KIND_NAME, 0, 0, NULL},
	[PROP_KERNELOPTS] = {"kernelopts", "quiet", KIND_TEXT, 0, 0, NULL},
	[PROP_LABEL] = {"label", "red", KIND_WORD, 0, 0, labels},
	[PROP_MEMORY] = {"memory", "400", KIND_NUMBER, 128, 1 << 20, NULL},
	[PROP_PRIVATE_MIB] = {"private_mib", "2048", KIND_NUMBER, 64, 1 << 24, NULL},
	[PROP_TEMPLATE] = {"template", "", KIND_QUBE, 0, 0, NULL},
	[PROP_TEMPLATE_FOR_DISPVMS] = {"template_for_dispvms", "no", KIND_FLAG, 0, 0, NULL},
	[PROP_VCPUS] = {"vcpus", "1", KIND_NUMBER, 1, 128, NULL},
	[PROP_VOLATILE_MIB] = {"volatile_mib", "4096", KIND_NUMBER, 64, 1 << 24, NULL},
};

const char *property_name(enum property property)
{
	return descriptions[property].name;
}

int property_of(const char *name)
{
	for (int i = 0; i < PROP_COUNT; i++)
		if (!strcmp(descriptions[i].name, name))
			return i;
	return -1;
}

const char *qube_value(const struct qube *qube, enum property property)
{
	return qube->values[property] ? qube->values[property] : descriptions[property].standard;
}

long qube_number(const struct qube *qube, enum property property)
{
	return strtol(qube_value(qube, property), NULL, 10);
}

bool qube_flag(const struct qube *qube, enum property property)
{
	return !strcmp(qube_value(qube, property), "yes");
}

static int check_number(const struct description *is, const char *value, struct problem *problem)
{
	char *rest;
	long number;

	errno = 0;
	number = strtol(value, &rest, 10);
	if (errno || rest == value || *rest || number < is->least || number > is->most ||
	    value[0] == '+' || value[0] == ' ')
		return problem_set(problem, "%s: %s is no number from %ld to %ld", is->name, value,
				   is->least, is->most);
	return 0;
}

static int check_word(const struct description *is, const char *value, struct problem *problem)
{
	for (const char *const *word = is->words; *word; word++)
		if (!strcmp(*word, value))
			return 0;
	return problem_set(problem,
			   "%s: %s is none of red, orange, yellow, green, gray, blue, "
			   "purple, black",
			   is->name, value);
}

static int check_text(const struct description *is, const char *value, struct problem *problem)
{
	for (const char *c = value; *c; c++)
		if (*c < ' ' || *c > '~')
			return problem_set(problem, "%s: printable ASCII only", is->name);
	return 0;
}

static int check_value(const struct config *config, const struct description *is, const char *value,
		       struct problem *problem)
{
	static const char account[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	if (strlen(value) > VALUE_TEXT_MAX)
		return problem_set(problem, "%s: longer than %d characters", is->name,
				   VALUE_TEXT_MAX);
	switch (is->kind) {
	case KIND_NUMBER:
		return check_number(is, value, problem);
	case KIND_FLAG:
		if (!strcmp(value, "yes") || !strcmp(value, "no"))
			return 0;
		return problem_set(problem, "%s: %s is neither yes nor no", is->name, value);
	case KIND_WORD:
		return check_word(is, value, problem);
	case KIND_QUBE:
		if (!*value || !config || config_find(config, value))
			return 0;
		return problem_set(problem, "%s: there is no qube %s", is->name, value);
	case KIND_NAME:
		if (*value && *value != '-' && strspn(value, account) == strlen(value))
			return 0;
		return problem_set(problem, "%s: %s is no account's name", is->name, value);
	default:
		return check_text(is, value, problem);
	}
}

int qube_set(const struct config *config, struct qube *qube, enum property property,
	     const char *value, struct problem *problem)
{
	char *copy = NULL, *old = qube->values[property];
	int rc = value ? check_value(config, &descriptions[property], value, problem) : 0;

	if (rc)
		return rc;
	if (value) {
		copy = strdup(value);
		if (!copy) {
			problem_set(problem, "out of memory");
			return -ENOMEM;
		}
	}
	qube->values[property] = copy;
	/* Relations are of several qubes: tried with the new value, and taken back if they do not hold. */
	if (config && config_check(config, problem)) {
		qube->values[property] = old;
		free(copy);
		return -EINVAL;
	}
	free(old);
	return 0;
}
