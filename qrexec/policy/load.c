// SPDX-License-Identifier: GPL-2.0-or-later
// Files and directories of the policy, and its life as an object.
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct policy *policy_create(void)
{
	return calloc(1, sizeof(struct policy));
}

void policy_destroy(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->file_count; i++) {
		free(policy->files[i].path);
		free(policy->files[i].text);
	}
	free(policy->files);
	free(policy->rules);
	free(policy->hashes);
	free(policy);
}

size_t policy_rule_count(const struct policy *policy)
{
	return policy->rule_count;
}

const struct policy_rule *policy_rule_at(const struct policy *policy, size_t index)
{
	return &policy->rules[index];
}

static ssize_t read_all(int fd, char *buffer, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, buffer + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* Only regular files: a pipe or a device would let the caller wait. */
static int slurp(const char *path, char **ret_text, size_t *ret_length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	struct stat st;
	ssize_t got = 0;
	char *text = NULL;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	else if (st.st_size > POLICY_MAX_FILE_SIZE)
		rc = -EFBIG;
	if (!rc) {
		text = malloc((size_t)st.st_size + 1);
		rc = text ? 0 : -ENOMEM;
	}
	if (!rc) {
		got = read_all(fd, text, (size_t)st.st_size);
		rc = got < 0 ? (int)got : 0;
	}
	close(fd);
	if (rc) {
		free(text);
		return rc;
	}
	text[got] = '\0';
	*ret_text = text;
	*ret_length = (size_t)got;
	return 0;
}

static void load_file(struct policy_loader *loader, const struct policy_place *from,
		      const char *path, const char *service, const char *argument)
{
	char what[PATH_MAX + 64];
	char *text = NULL;
	size_t length = 0;
	int rc;

	if (loader->depth >= POLICY_MAX_DEPTH) {
		policy_problem(loader, from, "files include each other without end",
			       "take one of the includes out");
		return;
	}
	rc = slurp(path, &text, &length);
	if (rc) {
		snprintf(what, sizeof(what), "cannot read %s: %s", path, strerror(-rc));
		policy_problem(loader, from, what,
			       "paths are relative to the policy directory; check name and rights");
		return;
	}
	policy_parse_file(loader, path, text, length, service, argument);
}

static bool resolve(struct policy_loader *loader, const struct policy_place *place,
		    const char *path, char *ret_path)
{
	int length;

	if (path[0] == '/')
		length = snprintf(ret_path, PATH_MAX, "%s", path);
	else if (loader->include_dir)
		length = snprintf(ret_path, PATH_MAX, "%s/%s", loader->include_dir, path);
	else
		length = PATH_MAX;
	if (length < PATH_MAX)
		return true;
	policy_problem(loader, place, "the path is too long, or relative to nothing",
		       "shorten the path");
	return false;
}

void policy_include(struct policy_loader *loader, const struct policy_place *place,
		    const char *path, const char *service, const char *argument)
{
	char full[PATH_MAX];

	if (resolve(loader, place, path, full))
		load_file(loader, place, full, service, argument);
}

/* Names of files with the directory each is in. */
struct listing {
	struct entry {
		char *name;
		const char *dir;
		size_t dir_order;
	} * entries;
	size_t count;
};

static void listing_finish(struct listing *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->entries[i].name);
	free(list->entries);
}

static int listing_add(struct listing *list, const char *name, const char *dir, size_t dir_order)
{
	struct entry *entries = list->entries;

	if (!(list->count & (list->count - 1))) {
		entries = realloc(entries, (list->count ? list->count * 2 : 1) * sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		list->entries = entries;
	}
	entries[list->count] = (struct entry){strdup(name), dir, dir_order};
	if (!entries[list->count].name)
		return -ENOMEM;
	list->count++;
	return 0;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name), tail = strlen(suffix);

	return length > tail && !strcmp(name + length - tail, suffix);
}

/* Adds the names that `wanted` says yes to; false if the directory cannot be read. */
static int list_dir(struct listing *list, const char *path, size_t order,
		    bool (*wanted)(const char *name))
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int rc = 0;

	if (!dir)
		return -errno;
	while (!rc && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && wanted(entry->d_name))
			rc = listing_add(list, entry->d_name, path, order);
	closedir(dir);
	return rc;
}

static bool is_policy(const char *name)
{
	return has_suffix(name, ".policy");
}

static bool policy_name_valid(const char *name)
{
	return name[strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz_.-")] == '\0';
}

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int rc = strcmp(x->name, y->name);

	return rc ? rc : x->dir_order < y->dir_order ? -1 : x->dir_order > y->dir_order;
}

static void load_listing(struct policy_loader *loader, const struct policy_place *from,
			 struct listing *list)
{
	char path[PATH_MAX];

	if (list->count)
		qsort(list->entries, list->count, sizeof(*list->entries), by_name);
	for (size_t i = 0; i < list->count; i++) {
		struct policy_place place = {path, 0, NULL, NULL};
		int length = snprintf(path, sizeof(path), "%s/%s", list->entries[i].dir,
				      list->entries[i].name);

		if (length >= (int)sizeof(path) || !policy_name_valid(list->entries[i].name))
			policy_problem(loader, &place, "the file's name is not allowed",
				       "rename it: small letters, digits and _ . - only");
		else
			load_file(loader, from ? from : &place, path, NULL, NULL);
	}
}

void policy_include_dir(struct policy_loader *loader, const struct policy_place *place,
			const char *path)
{
	char full[PATH_MAX], what[PATH_MAX + 64];
	struct listing list = {0};
	int rc;

	if (!resolve(loader, place, path, full))
		return;
	rc = list_dir(&list, full, 0, is_policy);
	if (rc) {
		snprintf(what, sizeof(what), "cannot read %s: %s", full, strerror(-rc));
		policy_problem(loader, place, what, "name a directory below the policy directory");
	} else {
		load_listing(loader, place, &list);
	}
	listing_finish(&list);
}

static bool is_legacy(const char *name)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-+";

	return name[0] != '+' && name[strspn(name, chars)] == '\0' &&
	       !has_suffix(name, ".rpmsave") && !has_suffix(name, ".rpmnew") &&
	       !has_suffix(name, ".swp");
}

/* In the old form, what the file of a service does not allow is refused, whatever comes later. */
static void load_legacy_file(struct policy_loader *loader, const struct policy_place *from,
			     const struct entry *entry)
{
	char path[PATH_MAX];
	char *service, *argument, *plus, *names;
	struct policy_rule rest = {.source = {POLICY_ANY, ""},
				   .target = {POLICY_ANY, ""},
				   .action = POLICY_DENY,
				   .redirect = {POLICY_NOTHING, ""},
				   .default_target = {POLICY_NOTHING, ""},
				   .notify = true,
				   .autostart = true};
	int length;

	length = snprintf(path, sizeof(path), "%s/%s", entry->dir, entry->name);
	names = malloc(2 * strlen(entry->name) + 4);
	if (!names || length >= (int)sizeof(path)) {
		policy_problem(loader, from, "no memory, or a path too long", "shorten the path");
		free(names);
		return;
	}
	/* Service and argument live as long as the policy: they are kept like the text of a file. */
	service = strcpy(names, entry->name);
	argument = service + strlen(service) + 1;
	plus = strchr(service, '+');
	strcpy(argument, plus ? plus : "*");
	if (plus)
		*plus = '\0';
	rest.file = policy_keep_file(loader->policy, path, names);
	if (!rest.file) {
		policy_problem(loader, from, "too many files, or no memory",
			       "remove old policy files");
		free(names);
		return;
	}
	load_file(loader, from, path, service, argument);
	rest.service = service;
	rest.argument = plus ? argument : NULL;
	if (policy_add_rule(loader->policy, &rest))
		policy_problem(loader, from, "too many rules", "remove old policy files");
}

void policy_include_legacy(struct policy_loader *loader, const struct policy_place *place)
{
	struct listing list = {0};
	int rc = loader->legacy_dir ? list_dir(&list, loader->legacy_dir, 0, is_legacy) : 0;

	/* The directory of the old form may be gone: then there is nothing to be compatible with. */
	if (rc && rc != -ENOENT)
		policy_problem(loader, place, "cannot read the directory of the old policy",
			       "check its rights, or remove !compat-4.0");
	if (!rc && list.count)
		qsort(list.entries, list.count, sizeof(*list.entries), by_name);
	/* The more special files first: the first match decides. */
	for (int with_argument = 1; with_argument >= 0 && !rc; with_argument--)
		for (size_t i = 0; i < list.count; i++)
			if (!strchr(list.entries[i].name, '+') == !with_argument)
				load_legacy_file(loader, place, &list.entries[i]);
	listing_finish(&list);
}

unsigned int policy_load(struct policy *policy, const char *const *dirs, size_t count,
			 const char *legacy_dir, policy_report_fn *report, void *ctx)
{
	struct policy_loader loader = {.policy = policy,
				       .legacy_dir = legacy_dir,
				       .report = report,
				       .ctx = ctx};
	struct listing list = {0};

	loader.include_dir = count ? dirs[0] : NULL;
	for (size_t i = 0; i < count; i++) {
		struct policy_place place = {dirs[i], 0, NULL, NULL};
		int rc = list_dir(&list, dirs[i], i, is_policy);

		if (rc && (rc != -ENOENT || !i))
			policy_problem(&loader, &place, strerror(-rc),
				       "create the directory and make it readable");
	}
	load_listing(&loader, NULL, &list);
	listing_finish(&list);
	return loader.problems;
}

unsigned int policy_add_text(struct policy *policy, const char *name, const char *text,
			     size_t length, const char *include_dir, policy_report_fn *report,
			     void *ctx)
{
	struct policy_loader loader = {.policy = policy,
				       .include_dir = include_dir,
				       .report = report,
				       .ctx = ctx};
	struct policy_place place = {name, 0, NULL, NULL};
	char *copy = malloc(length + 1);

	if (!copy) {
		policy_problem(&loader, &place, "no memory", "free some");
		return loader.problems;
	}
	if (length)
		memcpy(copy, text, length);
	copy[length] = '\0';
	policy_parse_file(&loader, name, copy, length, NULL, NULL);
	return loader.problems;
}
