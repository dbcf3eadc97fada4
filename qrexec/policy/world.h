/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the policy needs to know of the qubes that exist. */
#ifndef QREXEC_WORLD_H
#define QREXEC_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#define WORLD_NAME_SIZE 32 /* with the NUL */

struct world_qube {
	const char *name;
	const char *type;	    /* "" if unknown */
	const char *uuid;	    /* "" if unknown */
	const char *template;	    /* what a disposable was made of, else "" */
	const char *default_dispvm; /* "" if none */
	const char *tags;	    /* separated by commas */
	const char *label;	    /* its colour; "" if unknown */
	bool template_for_dispvms;
	int domid; /* -1: not running */
};

struct world;

/*
 * Reads a list of qubes: one line each, "NAME key=value…" with the keys class, uuid, template,
 * default_dispvm, tags, label, template_for_dispvms (yes or no) and domid; unknown keys are skipped. dom0 always
 * exists. NULL: errno says why, EINVAL for a line that is not understood; then *ret_line is its number.
 */
struct world *world_load(const char *path, unsigned int *ret_line);
struct world *world_parse(const char *text, size_t length, unsigned int *ret_line);
void world_destroy(struct world *world);

/* NULL if there is none. */
const struct world_qube *world_find(const struct world *world, const char *name);
const struct world_qube *world_find_uuid(const struct world *world, const char *uuid);
const struct world_qube *world_find_domid(const struct world *world, int domid);
size_t world_count(const struct world *world);
const struct world_qube *world_at(const struct world *world, size_t index);

bool world_has_tag(const struct world_qube *qube, const char *tag);
bool world_is_admin(const struct world_qube *qube);

/* Starts with a letter, then letters, digits and "_.-", 31 characters at most. */
bool world_name_valid(const char *name);

#endif
