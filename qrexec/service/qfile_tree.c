// SPDX-License-Identifier: GPL-2.0-or-later
// Trees of files: removal.
#define _GNU_SOURCE
#include "qfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* The next entry to remove: its name, or NULL. Reading starts anew each time, as the directory changes. */
static char *first_entry(int fd)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	char *name = NULL;
	struct dirent *entry;

	if (!dir) {
		if (again >= 0)
			close(again);
		return NULL;
	}
	while (!name && (entry = readdir(dir)))
		if (!is_dot(entry->d_name))
			name = strdup(entry->d_name);
	closedir(dir);
	return name;
}

/* Directories that cannot be entered become so first. */
static int open_to_empty(int directory, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct stat st;
	int fd;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if ((st.st_mode & 0700) != 0700 && S_ISDIR(st.st_mode) &&
	    fchmodat(directory, name, 0700, 0))
		return -errno;
	fd = openat(directory, name, flags);
	return fd < 0 ? -errno : fd;
}

/* Down without recursion: what a stream can nest is deeper than a stack. Moves deep directories up instead. */
int qfile_remove_tree(int directory, const char *name)
{
	int fd, rc = 0;
	char *entry;

	if (!unlinkat(directory, name, 0))
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	fd = open_to_empty(directory, name);
	if (fd < 0)
		return fd;
	while (!rc && (entry = first_entry(fd))) {
		if (unlinkat(fd, entry, 0) && unlinkat(fd, entry, AT_REMOVEDIR)) {
			int inner = open_to_empty(fd, entry);
			char *deep = inner < 0 ? NULL : first_entry(inner), up[64];
			static unsigned int serial;

			/* A directory with something in it: that comes up here, one entry after the other. */
			snprintf(up, sizeof(up), ".qfile-rm-%d-%u", (int)getpid(), serial++);
			if (!deep)
				rc = inner < 0 ? inner : -ENOTEMPTY;
			else if (unlinkat(inner, deep, 0)) {
				int last = open_to_empty(inner, deep);

				if (last >= 0)
					close(last);
				if (renameat(inner, deep, fd, up))
					rc = -errno;
			}
			free(deep);
			if (inner >= 0)
				close(inner);
		}
		free(entry);
	}
	close(fd);
	if (!rc && unlinkat(directory, name, AT_REMOVEDIR))
		rc = -errno;
	return rc;
}
