// SPDX-License-Identifier: GPL-2.0-or-later
// The list of qubes: parser and lookups.
#include "world.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_LIST_SIZE (16u << 20)

struct world {
	char *text; /* what the texts of the qubes point into */
	struct world_qube *qubes;
	size_t count;
};

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool world_name_valid(const char *name)
{
	size_t length = strnlen(name, WORLD_NAME_SIZE);

	if (!length || length == WORLD_NAME_SIZE || !is_alnum(name[0]) || name[0] <= '9')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_alnum(name[i]) && !strchr("_.-", name[i]))
			return false;
	return true;
}

static int parse_domid(const char *text)
{
	char *end;
	long value;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtol(text, &end, 10);
	return *end || errno || value >= 0x7ff0 ? -1 : (int)value;
}

static bool take_property(struct world_qube *qube, char *word)
{
	const struct {
		const char *key;
		const char **value;
	} texts[] = {
		{"class", &qube->type},	       {"uuid", &qube->uuid},
		{"template", &qube->template}, {"default_dispvm", &qube->default_dispvm},
		{"tags", &qube->tags},	       {"label", &qube->label},
	};
	char *value = strchr(word, '=');

	if (!value)
		return false;
	*value++ = '\0';
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!strcmp(word, texts[i].key)) {
			*texts[i].value = value;
			return true;
		}
	if (!strcmp(word, "template_for_dispvms")) {
		qube->template_for_dispvms = !strcmp(value, "yes");
		return qube->template_for_dispvms || !strcmp(value, "no");
	}
	if (!strcmp(word, "domid")) {
		qube->domid = parse_domid(value);
		return qube->domid >= 0;
	}
	return true;
}

static bool parse_line(char *line, struct world_qube *ret_qube)
{
	struct world_qube qube = {.name = "",
				  .type = "",
				  .uuid = "",
				  .template = "",
				  .default_dispvm = "",
				  .tags = "",
				  .label = "",
				  .domid = -1};
	char *save = NULL, *word = strtok_r(line, " \t\r", &save);

	if (!word || !world_name_valid(word))
		return false;
	qube.name = word;
	while ((word = strtok_r(NULL, " \t\r", &save)))
		if (!take_property(&qube, word))
			return false;
	*ret_qube = qube;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct world_qube *)a)->name, ((const struct world_qube *)b)->name);
}

static int append(struct world *world, const struct world_qube *qube)
{
	struct world_qube *more;

	/* Grows whenever the count is a power of two. */
	if (!(world->count & (world->count - 1))) {
		more = realloc(world->qubes, (world->count ? world->count * 2 : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		world->qubes = more;
	}
	world->qubes[world->count++] = *qube;
	return 0;
}

static bool blank(const char *line)
{
	line += strspn(line, " \t\r");
	return !*line || *line == '#';
}

static int parse_lines(struct world *world, unsigned int *ret_line)
{
	struct world_qube qube;
	unsigned int number = 0;
	char *next;

	for (char *line = world->text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		number++;
		if (blank(line))
			continue;
		if (!parse_line(line, &qube)) {
			*ret_line = number;
			return -EINVAL;
		}
		if (append(world, &qube))
			return -ENOMEM;
	}
	return 0;
}

/* Sorts, refuses names that occur twice, and sees to it that there is a dom0. */
static int complete(struct world *world)
{
	struct world_qube dom0 = {"dom0", "AdminVM", "", "", "", "", "", false, 0};
	bool found = false;

	for (size_t i = 0; i < world->count; i++)
		if (world_is_admin(&world->qubes[i])) {
			found = true;
			world->qubes[i].domid = 0;
		}
	if (!found && append(world, &dom0))
		return -ENOMEM;
	qsort(world->qubes, world->count, sizeof(*world->qubes), by_name);
	for (size_t i = 1; i < world->count; i++)
		if (!strcmp(world->qubes[i - 1].name, world->qubes[i].name))
			return -EINVAL;
	return 0;
}

struct world *world_parse(const char *text, size_t length, unsigned int *ret_line)
{
	struct world *world = calloc(1, sizeof(*world));
	int rc = -ENOMEM;

	*ret_line = 0;
	if (!world)
		return NULL;
	world->text = malloc(length + 1);
	if (world->text) {
		if (length)
			memcpy(world->text, text, length);
		world->text[length] = '\0';
		rc = memchr(world->text, '\0', length) ? -EINVAL : parse_lines(world, ret_line);
		if (!rc)
			rc = complete(world);
	}
	if (!rc)
		return world;
	world_destroy(world);
	errno = -rc;
	return NULL;
}

struct world *world_load(const char *path, unsigned int *ret_line)
{
	FILE *file = fopen(path, "re");
	struct world *world = NULL;
	size_t room, length = 0;
	char *text = NULL;
	struct stat st;
	int error;

	*ret_line = 0;
	if (!file)
		return NULL;
	/* Each call of a qube comes here. A byte more than the file has: the list is replaced, never changed, so it does not grow. */
	room = !fstat(fileno(file), &st) && S_ISREG(st.st_mode) && st.st_size < MAX_LIST_SIZE
		       ? (size_t)st.st_size + 1
		       : MAX_LIST_SIZE;
	text = malloc(room);
	if (text)
		length = fread(text, 1, room, file);
	error = !text ? ENOMEM : ferror(file) ? EIO : length == room ? EFBIG : 0;
	if (!error) {
		world = world_parse(text, length, ret_line);
		error = world ? 0 : errno;
	}
	free(text);
	fclose(file);
	errno = error;
	return world;
}

void world_destroy(struct world *world)
{
	if (!world)
		return;
	free(world->qubes);
	free(world->text);
	free(world);
}

const struct world_qube *world_find(const struct world *world, const char *name)
{
	struct world_qube key = {.name = name};

	return bsearch(&key, world->qubes, world->count, sizeof(key), by_name);
}

const struct world_qube *world_find_uuid(const struct world *world, const char *uuid)
{
	for (size_t i = 0; i < world->count; i++)
		if (*uuid && !strcmp(world->qubes[i].uuid, uuid))
			return &world->qubes[i];
	return NULL;
}

const struct world_qube *world_find_domid(const struct world *world, int domid)
{
	for (size_t i = 0; i < world->count; i++)
		if (world->qubes[i].domid >= 0 && world->qubes[i].domid == domid)
			return &world->qubes[i];
	return NULL;
}

size_t world_count(const struct world *world)
{
	return world->count;
}

const struct world_qube *world_at(const struct world *world, size_t index)
{
	return &world->qubes[index];
}

bool world_has_tag(const struct world_qube *qube, const char *tag)
{
	size_t length = strlen(tag);

	for (const char *at = qube->tags; *at;) {
		size_t this = strcspn(at, ",");

		if (this == length && !memcmp(at, tag, length))
			return true;
		at += this + (at[this] == ',');
	}
	return false;
}

bool world_is_admin(const struct world_qube *qube)
{
	return !strcmp(qube->name, "dom0");
}
