// SPDX-License-Identifier: GPL-2.0-or-later
// Volumes of qubes: sparse files behind loop devices. The root of a template is one device for all of its qubes.
#define _GNU_SOURCE
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LOOP_ROOT,
	LOOP_PRIVATE,
	LOOP_VOLATILE
};

static int make_directory(const char *path, struct problem *problem)
{
	if (!mkdir(path, 0750) || errno == EEXIST)
		return 0;
	problem_set(problem, "%s: %s", path, strerror(errno));
	return -1;
}

/* A sparse file of at least this size. It grows when the property has grown; it never shrinks. */
static int make_file(const char *path, long mib, bool anew, struct problem *problem)
{
	off_t size = (off_t)mib << 20;
	struct stat st;
	int fd, rc = 0;

	if (anew)
		unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) || (st.st_size < size && ftruncate(fd, size))) {
		problem_set(problem, "%s: %s", path, strerror(errno));
		rc = -1;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int attach(const char *path, bool read_only, char device[32], struct problem *problem)
{
	const char *argv[8] = {"losetup", "--show", "--find"};
	int at = 3;

	if (read_only)
		argv[at++] = "--read-only";
	argv[at] = path;
	return process_run(argv, device, 32, problem);
}

/* The device that a file already has, or "". */
static void find_device(const char *path, char device[32])
{
	const char *argv[] = {"losetup",      "--noheadings", "--output", "NAME",
			      "--associated", path,	      NULL};
	struct problem ignored = {""};

	if (process_run(argv, device, 32, &ignored))
		device[0] = '\0';
	device[strcspn(device, "\n ")] = '\0';
}

static void detach(char device[32])
{
	const char *argv[] = {"losetup", "--detach", device, NULL};
	struct problem problem = {""};

	if (*device && process_run(argv, NULL, 0, &problem))
		fprintf(stderr, "qube-manager: %s\n", problem.text);
	device[0] = '\0';
}

/* Two starts at a time must not both make the device of a template. */
static int lock_loops(const struct manager *manager)
{
	char path[PATH_MAX];
	int fd;

	place_of(manager, path, "r/state/.loops.lock");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int attach_root(const struct manager *manager, const struct qube *qube,
		       struct running *running, struct problem *problem)
{
	const struct qube *owner = qube_root_owner(&manager->config, qube);
	char path[PATH_MAX], *device = running->loops[LOOP_ROOT];
	int lock, rc = 0;

	if (!owner) {
		problem_set(problem, "%s: it has no template", qube->name);
		return -1;
	}
	place_of(manager, path, "l/qubes/%s/root.img", owner->name);
	if (access(path, R_OK)) {
		problem_set(problem, "%s: %s; install the template's image there", path,
			    strerror(errno));
		return -1;
	}
	if (owner == qube)
		return attach(path, false, device, problem);
	lock = lock_loops(manager);
	find_device(path, device);
	if (!*device)
		rc = attach(path, true, device, problem);
	if (lock >= 0)
		close(lock);
	return rc;
}

int volumes_attach(const struct manager *manager, const struct qube *qube, struct running *running,
		   struct problem *problem)
{
	char path[PATH_MAX];

	place_of(manager, path, "l/qubes/%s", qube->name);
	if (make_directory(path, problem) || attach_root(manager, qube, running, problem))
		return -1;
	place_of(manager, path, "l/qubes/%s/private.img", qube->name);
	if (make_file(path, qube_number(qube, PROP_PRIVATE_MIB), false, problem) ||
	    attach(path, false, running->loops[LOOP_PRIVATE], problem))
		return -1;
	place_of(manager, path, "l/qubes/%s/volatile.img", qube->name);
	if (make_file(path, qube_number(qube, PROP_VOLATILE_MIB), true, problem))
		return -1;
	return attach(path, false, running->loops[LOOP_VOLATILE], problem);
}

static bool root_in_use(const struct manager *manager, const char *name, const char *device)
{
	for (size_t i = 0; i < manager->config.count; i++) {
		const char *other = manager->config.qubes[i]->name;
		struct running running;

		if (strcmp(other, name) != 0 && running_load(manager, other, &running) &&
		    !strcmp(running.loops[LOOP_ROOT], device))
			return true;
	}
	return false;
}

void volumes_detach(const struct manager *manager, const char *name, struct running *running)
{
	char path[PATH_MAX];
	int lock = lock_loops(manager);

	detach(running->loops[LOOP_VOLATILE]);
	detach(running->loops[LOOP_PRIVATE]);
	if (!root_in_use(manager, name, running->loops[LOOP_ROOT]))
		detach(running->loops[LOOP_ROOT]);
	if (lock >= 0)
		close(lock);
	place_of(manager, path, "l/qubes/%s/volatile.img", name);
	unlink(path);
}

static int copy_file(const struct manager *manager, const char *what, const char *from,
		     const char *to, struct problem *problem)
{
	char source[PATH_MAX], part[PATH_MAX], target[PATH_MAX];
	const char *argv[] = {"cp", "--reflink=auto", "--sparse=always", source, part, NULL};

	place_of(manager, source, "l/qubes/%s/%s.img", from, what);
	place_of(manager, part, "l/qubes/%s/%s.img.part", to, what);
	place_of(manager, target, "l/qubes/%s/%s.img", to, what);
	if (access(source, F_OK))
		return 0;
	/* Nothing half-copied gets the name. */
	if (process_run(argv, NULL, 0, problem))
		return -1;
	if (!rename(part, target))
		return 0;
	problem_set(problem, "%s: %s", target, strerror(errno));
	return -1;
}

static void copy_mark(const struct manager *manager, const char *name, char path[PATH_MAX])
{
	place_of(manager, path, "l/qubes/%s/incomplete", name);
}

int volumes_absent(const struct manager *manager, const char *name, bool root,
		   struct problem *problem)
{
	static const char *const names[] = {"private.img", "root.img"};
	char path[PATH_MAX];

	for (size_t i = 0; i < (root ? 2 : 1); i++) {
		place_of(manager, path, "l/qubes/%s/%s", name, names[i]);
		if (!access(path, F_OK)) {
			problem_set(problem,
				    "%s is there already, of another %s; move it away first", path,
				    name);
			return -1;
		}
	}
	return 0;
}

int volumes_announce_copy(const struct manager *manager, const char *name, struct problem *problem)
{
	char path[PATH_MAX];
	int fd;

	place_of(manager, path, "l/qubes/%s", name);
	if (make_directory(path, problem))
		return -1;
	copy_mark(manager, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		problem_set(problem, "%s: %s", path, strerror(errno));
		return -1;
	}
	close(fd);
	return 0;
}

bool volumes_half_copied(const struct manager *manager, const char *name)
{
	char path[PATH_MAX];

	copy_mark(manager, name, path);
	return !access(path, F_OK);
}

int volumes_copy(const struct manager *manager, const struct qube *source,
		 const struct qube *target, struct problem *problem)
{
	char path[PATH_MAX];
	bool root = target->class == CLASS_TEMPLATE || target->class == CLASS_STANDALONE;
	const struct qube *owner = qube_root_owner(&manager->config, source);

	place_of(manager, path, "l/qubes/%s", target->name);
	if (make_directory(path, problem))
		return -1;
	if (root && owner && copy_file(manager, "root", owner->name, target->name, problem))
		return -1;
	if (copy_file(manager, "private", source->name, target->name, problem))
		return -1;
	copy_mark(manager, target->name, path);
	unlink(path);
	return 0;
}

void volumes_remove(const struct manager *manager, const char *name)
{
	static const char *const names[] = {"root.img",		"root.img.part", "private.img",
					    "private.img.part", "volatile.img",	 "incomplete"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		place_of(manager, path, "l/qubes/%s/%s", name, names[i]);
		unlink(path);
	}
	place_of(manager, path, "l/qubes/%s", name);
	rmdir(path);
}
