// SPDX-License-Identifier: GPL-2.0-or-later
// What runs, in files: /run/qubes/state/NAME for the manager, /run/qubes/qubes.list for the policy.
#define _GNU_SOURCE
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

void place_of(const struct manager *manager, char path[PATH_MAX], const char *format, ...)
{
	va_list arguments;
	int length = 0;

	/* The first letter says where: l for lib, r for run, o for the output of daemons. */
	switch (format[0]) {
	case 'l':
		length = snprintf(path, PATH_MAX, "%s", manager->places.lib);
		break;
	case 'r':
		length = snprintf(path, PATH_MAX, "%s", manager->places.run);
		break;
	default:
		length = snprintf(path, PATH_MAX, "%s", manager->places.log);
		break;
	}
	va_start(arguments, format);
	if (length < PATH_MAX)
		vsnprintf(path + length, (size_t)(PATH_MAX - length), format + 1, arguments);
	va_end(arguments);
}

bool running_load(const struct manager *manager, const char *name, struct running *ret_running)
{
	struct running running = {.domain = -1};
	char path[PATH_MAX];
	FILE *file;
	bool fine;

	place_of(manager, path, "r/state/%s", name);
	file = fopen(path, "r");
	if (!file)
		return false;
	fine = fscanf(file, "%d %d %d %31s %31s %31s", &running.domain, &running.qrexec,
		      &running.gui, running.loops[0], running.loops[1], running.loops[2]) == 6;
	fclose(file);
	for (size_t i = 0; i < LOOPS_MAX; i++)
		if (!strcmp(running.loops[i], "-"))
			running.loops[i][0] = '\0';
	if (fine)
		*ret_running = running;
	return fine;
}

int running_save(const struct manager *manager, const char *name, const struct running *running)
{
	char path[PATH_MAX], new_path[PATH_MAX];
	FILE *file;
	int rc = 0;

	place_of(manager, path, "r/state/%s", name);
	place_of(manager, new_path, "r/state/.%s.new", name);
	file = fopen(new_path, "w");
	if (!file)
		return -errno;
	fprintf(file, "%d %d %d", running->domain, (int)running->qrexec, (int)running->gui);
	for (size_t i = 0; i < LOOPS_MAX; i++)
		fprintf(file, " %s", *running->loops[i] ? running->loops[i] : "-");
	if (fprintf(file, "\n") < 0)
		rc = -EIO;
	if (fclose(file) || rc || rename(new_path, path))
		return -EIO;
	return 0;
}

void running_forget(const struct manager *manager, const char *name)
{
	char path[PATH_MAX];

	place_of(manager, path, "r/state/%s", name);
	unlink(path);
}

static bool is_start(enum job_kind kind)
{
	return kind == JOB_START;
}

static bool is_end(enum job_kind kind)
{
	return kind == JOB_SHUTDOWN || kind == JOB_CLEAN;
}

enum qube_state qube_state(const struct manager *manager, const struct qube *qube)
{
	struct running running;

	if (job_find(manager, qube->name, is_start))
		return STATE_STARTING;
	if (!running_load(manager, qube->name, &running))
		return STATE_HALTED;
	return job_find(manager, qube->name, is_end) ? STATE_STOPPING : STATE_RUNNING;
}

const char *state_name(enum qube_state state)
{
	static const char *const names[] = {"Halted", "Starting", "Running", "Stopping"};

	return names[state];
}

static void write_qube(const struct manager *manager, FILE *file, const struct qube *qube)
{
	static const enum property words[] = {PROP_TEMPLATE, PROP_DEFAULT_DISPVM,
					      PROP_TEMPLATE_FOR_DISPVMS, PROP_LABEL};
	struct running running;

	fprintf(file, "%s class=%s", qube->name, class_name(qube->class));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (*qube_value(qube, words[i]))
			fprintf(file, " %s=%s", property_name(words[i]),
				qube_value(qube, words[i]));
	for (size_t i = 0; i < qube->tag_count; i++)
		fprintf(file, "%s%s", i ? "," : " tags=", qube->tags[i]);
	if (running_load(manager, qube->name, &running) && running.domain >= 0)
		fprintf(file, " domid=%d", running.domain);
	fputc('\n', file);
}

void write_list(const struct manager *manager)
{
	char path[PATH_MAX], new_path[PATH_MAX];
	FILE *file;

	place_of(manager, path, "r/qubes.list");
	place_of(manager, new_path, "r/qubes.list.new");
	file = fopen(new_path, "w");
	if (!file) {
		perror(new_path);
		return;
	}
	for (size_t i = 0; i < manager->config.count; i++)
		write_qube(manager, file, manager->config.qubes[i]);
	if (fclose(file) || rename(new_path, path))
		perror(path);
}

int save_config(struct manager *manager, struct problem *problem)
{
	struct problem ignored = {""};
	struct config old;
	char path[PATH_MAX];
	int rc;

	place_of(manager, path, "l/qubes.xml");
	rc = config_save(&manager->config, path, manager->places.schema, REVISIONS, problem);
	if (rc && !config_load(&old, path, manager->places.schema, &ignored)) {
		config_finish(&manager->config);
		manager->config = old;
	}
	write_list(manager);
	return rc;
}

static int open_lock(const struct manager *manager, const char *name)
{
	char path[PATH_MAX];

	place_of(manager, path, "r/state/.%s.lock", name);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

bool qube_lock(const struct manager *manager, const char *name)
{
	int fd = open_lock(manager, name), rc;

	if (fd < 0)
		return false;
	do
		rc = flock(fd, LOCK_EX);
	while (rc && errno == EINTR);
	return !rc;
}

bool qube_locked(const struct manager *manager, const char *name)
{
	int fd = open_lock(manager, name);
	bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	return locked;
}
