/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The qubes that there are, and what is set for them: what qubes.xml holds. */
#ifndef DESKTOP_CONFIG_H
#define DESKTOP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#define QUBE_NAME_MAX  31
#define QUBES_MAX      512
#define VALUE_TEXT_MAX 255

enum qube_class {
	CLASS_TEMPLATE, /* its root is its own, and the root of others */
	CLASS_APP,	/* root of its template, forgotten at its end; private volume of its own */
	CLASS_STANDALONE, /* both its own */
	CLASS_DISPOSABLE, /* as an app qube, but made of one, and removed at its end */
	CLASS_COUNT,
};

enum property {
	PROP_AUTOSTART,
	PROP_DEFAULT_DISPVM,
	PROP_DEFAULT_USER,
	PROP_KERNELOPTS,
	PROP_LABEL,
	PROP_MEMORY,
	PROP_PRIVATE_MIB,
	PROP_TEMPLATE,
	PROP_TEMPLATE_FOR_DISPVMS,
	PROP_VCPUS,
	PROP_VOLATILE_MIB,
	PROP_COUNT,
};

/* What was found wrong, for the user: the problem and what to do. */
struct problem {
	char text[512];
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int problem_set(struct problem *problem, const char *format, ...);

struct qube {
	char name[QUBE_NAME_MAX + 1];
	enum qube_class class;
	char *values[PROP_COUNT]; /* NULL: the default */
	char **tags;
	size_t tag_count;
};

struct config {
	struct qube **qubes; /* sorted by name */
	size_t count;
};

void config_finish(struct config *config);
struct qube *config_find(const struct config *config, const char *name);
bool qube_name_valid(const char *name);
const char *class_name(enum qube_class class);
int class_of(const char *name); /* or -1 */

/* A new one with defaults; -EEXIST, -EINVAL, -ENOSPC, -ENOMEM with a problem. */
int config_add(struct config *config, const char *name, enum qube_class class,
	       struct qube **ret_qube, struct problem *problem);
/* Refuses a qube that others refer to. */
int config_remove(struct config *config, const char *name, struct problem *problem);
/* A copy under a new name, without what it has on disks. */
int config_clone(struct config *config, const struct qube *source, const char *name,
		 enum qube_class class, struct qube **ret_qube, struct problem *problem);

const char *property_name(enum property property);
int property_of(const char *name); /* or -1 */
/* The value that holds: the qube's, or the default. Never NULL. */
const char *qube_value(const struct qube *qube, enum property property);
long qube_number(const struct qube *qube, enum property property);
bool qube_flag(const struct qube *qube, enum property property);
/* NULL: back to the default. -EINVAL with a problem, and nothing is changed. */
int qube_set(const struct config *config, struct qube *qube, enum property property,
	     const char *value, struct problem *problem);
int qube_add_tag(struct qube *qube, const char *tag, struct problem *problem);
int qube_remove_tag(struct qube *qube, const char *tag);

/* The template whose root it runs on: its own for templates and standalone qubes. NULL: there is none. */
const struct qube *qube_root_owner(const struct config *config, const struct qube *qube);
/* What must hold between qubes: every reference names a qube of the right kind. */
int config_check(const struct config *config, struct problem *problem);

/* qubes.xml. Loading checks it against the schema file; saving is atomic and keeps the old one as a revision. */
int config_load(struct config *ret_config, const char *path, const char *schema,
		struct problem *problem);
int config_save(const struct config *config, const char *path, const char *schema,
		unsigned int revisions, struct problem *problem);

#endif
