// SPDX-License-Identifier: GPL-2.0-or-later
// Qubes and their relations.
#define _GNU_SOURCE
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const class_names[CLASS_COUNT] = {
	[CLASS_TEMPLATE] = "TemplateVM",
	[CLASS_APP] = "AppVM",
	[CLASS_STANDALONE] = "StandaloneVM",
	[CLASS_DISPOSABLE] = "DispVM",
};

int problem_set(struct problem *problem, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(problem->text, sizeof(problem->text), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

const char *class_name(enum qube_class class)
{
	return class_names[class];
}

int class_of(const char *name)
{
	for (int i = 0; i < CLASS_COUNT; i++)
		if (!strcmp(class_names[i], name))
			return i;
	return -1;
}

/* A letter, then letters, digits, '_' and '-': fit for a domain's name, a file's name and a policy. */
bool qube_name_valid(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char others[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t length = strlen(name);

	return length > 0 && length <= QUBE_NAME_MAX && strchr(letters, name[0]) &&
	       strspn(name, others) == length && strcmp(name, "dom0") != 0 &&
	       strcmp(name, "Domain-0") != 0 && strcmp(name, "none") != 0 &&
	       strcmp(name, "default") != 0;
}

static void qube_destroy(struct qube *qube)
{
	if (!qube)
		return;
	for (size_t i = 0; i < PROP_COUNT; i++)
		free(qube->values[i]);
	for (size_t i = 0; i < qube->tag_count; i++)
		free(qube->tags[i]);
	free(qube->tags);
	free(qube);
}

void config_finish(struct config *config)
{
	for (size_t i = 0; i < config->count; i++)
		qube_destroy(config->qubes[i]);
	free(config->qubes);
	*config = (struct config){0};
}

struct qube *config_find(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->count; i++)
		if (!strcmp(config->qubes[i]->name, name))
			return config->qubes[i];
	return NULL;
}

static int out_of_memory(struct problem *problem)
{
	problem_set(problem, "out of memory");
	return -ENOMEM;
}

/* Takes the qube over, into its place. */
static int insert(struct config *config, struct qube *qube, struct problem *problem)
{
	struct qube **qubes;
	size_t at = 0;

	if (config->count >= QUBES_MAX) {
		problem_set(problem, "there are %d qubes already", QUBES_MAX);
		return -ENOSPC;
	}
	qubes = realloc(config->qubes, (config->count + 1) * sizeof(struct qube *));
	if (!qubes)
		return out_of_memory(problem);
	config->qubes = qubes;
	while (at < config->count && strcmp(qubes[at]->name, qube->name) < 0)
		at++;
	memmove(qubes + at + 1, qubes + at, (config->count - at) * sizeof(struct qube *));
	qubes[at] = qube;
	config->count++;
	return 0;
}

int config_add(struct config *config, const char *name, enum qube_class class,
	       struct qube **ret_qube, struct problem *problem)
{
	struct qube *qube;
	int rc;

	if (!qube_name_valid(name))
		return problem_set(problem,
				   "%s: a name has 1 to %d letters, digits, - and _, and begins "
				   "with a letter",
				   name, QUBE_NAME_MAX);
	if (config_find(config, name)) {
		problem_set(problem, "%s: there is such a qube already", name);
		return -EEXIST;
	}
	qube = calloc(1, sizeof(*qube));
	if (!qube)
		return out_of_memory(problem);
	strcpy(qube->name, name);
	qube->class = class;
	rc = insert(config, qube, problem);
	if (rc)
		qube_destroy(qube);
	else
		*ret_qube = qube;
	return rc;
}

static bool refers_to(const struct qube *qube, const char *name)
{
	static const enum property references[] = {PROP_TEMPLATE, PROP_DEFAULT_DISPVM};

	for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++)
		if (!strcmp(qube_value(qube, references[i]), name))
			return true;
	return false;
}

int config_remove(struct config *config, const char *name, struct problem *problem)
{
	struct qube *qube = config_find(config, name);
	size_t at = 0;

	if (!qube) {
		problem_set(problem, "%s: there is no such qube", name);
		return -ENOENT;
	}
	for (size_t i = 0; i < config->count; i++) {
		if (config->qubes[i] == qube)
			at = i;
		else if (refers_to(config->qubes[i], name)) {
			problem_set(problem, "%s: %s refers to it; change or remove that first",
				    name, config->qubes[i]->name);
			return -EBUSY;
		}
	}
	qube_destroy(qube);
	config->count--;
	memmove(config->qubes + at, config->qubes + at + 1,
		(config->count - at) * sizeof(struct qube *));
	return 0;
}

static int copy_settings(struct qube *qube, const struct qube *source, struct problem *problem)
{
	for (size_t i = 0; i < PROP_COUNT; i++) {
		if (!source->values[i])
			continue;
		qube->values[i] = strdup(source->values[i]);
		if (!qube->values[i])
			return out_of_memory(problem);
	}
	for (size_t i = 0; i < source->tag_count; i++)
		if (qube_add_tag(qube, source->tags[i], problem))
			return -ENOMEM;
	return 0;
}

int config_clone(struct config *config, const struct qube *source, const char *name,
		 enum qube_class class, struct qube **ret_qube, struct problem *problem)
{
	struct problem ignored = {""};
	struct qube *qube;
	int rc = config_add(config, name, class, &qube, problem);

	if (rc)
		return rc;
	rc = copy_settings(qube, source, problem);
	if (rc)
		config_remove(config, name, &ignored);
	else
		*ret_qube = qube;
	return rc;
}

int qube_add_tag(struct qube *qube, const char *tag, struct problem *problem)
{
	char **tags;

	if (!qube_name_valid(tag))
		return problem_set(problem, "%s: not a tag", tag);
	for (size_t i = 0; i < qube->tag_count; i++)
		if (!strcmp(qube->tags[i], tag))
			return 0;
	tags = realloc(qube->tags, (qube->tag_count + 1) * sizeof(char *));
	if (!tags)
		return out_of_memory(problem);
	qube->tags = tags;
	tags[qube->tag_count] = strdup(tag);
	if (!tags[qube->tag_count])
		return out_of_memory(problem);
	qube->tag_count++;
	return 0;
}

int qube_remove_tag(struct qube *qube, const char *tag)
{
	for (size_t i = 0; i < qube->tag_count; i++) {
		if (strcmp(qube->tags[i], tag) != 0)
			continue;
		free(qube->tags[i]);
		qube->tag_count--;
		memmove(qube->tags + i, qube->tags + i + 1, (qube->tag_count - i) * sizeof(char *));
		return 0;
	}
	return -ENOENT;
}

const struct qube *qube_root_owner(const struct config *config, const struct qube *qube)
{
	/* A disposable is made of an app qube, which has a template. */
	for (int depth = 0; qube && depth < 3; depth++) {
		if (qube->class == CLASS_TEMPLATE || qube->class == CLASS_STANDALONE)
			return qube;
		qube = config_find(config, qube_value(qube, PROP_TEMPLATE));
	}
	return NULL;
}

/* The class that a qube's template has, or -1: it has none. */
static int template_class(enum qube_class class)
{
	return class == CLASS_APP ? CLASS_TEMPLATE : class == CLASS_DISPOSABLE ? CLASS_APP : -1;
}

static int check_qube(const struct config *config, const struct qube *qube, struct problem *problem)
{
	const char *name = qube_value(qube, PROP_TEMPLATE);
	const char *disposable = qube_value(qube, PROP_DEFAULT_DISPVM);
	const struct qube *template = config_find(config, name);
	int class = template_class(qube->class);

	if (class < 0 && *name)
		return problem_set(problem, "%s: a %s has no template", qube->name,
				   class_name(qube->class));
	if (class >= 0 && (!template || (int)template->class != class))
		return problem_set(problem, "%s: its template has to be a %s, but is %s%s",
				   qube->name, class_name(class), *name ? name : "not set",
				   template || !*name ? "" : ", which does not exist");
	if (qube->class == CLASS_DISPOSABLE && !qube_flag(template, PROP_TEMPLATE_FOR_DISPVMS))
		return problem_set(problem,
				   "%s: no disposables are made of %s; set its "
				   "template_for_dispvms to yes",
				   qube->name, name);
	template = config_find(config, disposable);
	if (*disposable && (!template || !qube_flag(template, PROP_TEMPLATE_FOR_DISPVMS)))
		return problem_set(problem, "%s: default_dispvm: no disposables are made of %s",
				   qube->name, disposable);
	return 0;
}

int config_check(const struct config *config, struct problem *problem)
{
	for (size_t i = 0; i < config->count; i++)
		if (check_qube(config, config->qubes[i], problem))
			return -EINVAL;
	return 0;
}
