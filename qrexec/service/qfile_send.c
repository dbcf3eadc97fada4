// SPDX-License-Identifier: GPL-2.0-or-later
// Sends files and directories as a stream, from the file to the ring with one copy.
#define _GNU_SOURCE
#include "qfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../lib/crc32.h"
#include "../lib/link.h"

#define DEPTH_MAX 256 /* each level has an open directory */

static int put(struct qfile_sender *s, const void *data, size_t size)
{
	s->crc = crc32_add(s->crc, data, size);
	return link_write(s->link, data, size);
}

static void name_from(const struct stat *st, const char *name, uint64_t length,
		      struct qfile_header *ret_header)
{
	*ret_header = (struct qfile_header){
		.name_length = (uint32_t)strlen(name) + 1,
		.mode = st->st_mode,
		.length = length,
		.atime = (uint32_t)st->st_atim.tv_sec,
		.atime_ns = (uint32_t)st->st_atim.tv_nsec,
		.mtime = (uint32_t)st->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
	};
}

static int put_entry(struct qfile_sender *s, const struct stat *st, const char *name,
		     uint64_t length)
{
	struct qfile_header header;
	int rc;

	name_from(st, name, length, &header);
	rc = put(s, &header, sizeof(header));
	return rc ? rc : put(s, name, header.name_length);
}

static int remember(struct qfile_sender *s, const struct stat *st)
{
	struct qfile_sent *grown;

	if (!s->keep_list)
		return 0;
	if (s->count == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		grown = realloc(s->list, s->room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->list = grown;
	}
	s->list[s->count] = (struct qfile_sent){strdup(s->path), st->st_dev,  st->st_ino,
						st->st_mode,	 st->st_size, st->st_mtim};
	return s->list[s->count].path ? (s->count++, 0) : -ENOMEM;
}

static int send_data(struct qfile_sender *s, int fd, uint64_t left)
{
	struct libvchan_piece pieces[2];

	while (left) {
		ssize_t room = link_reserve(s->link, pieces,
					    left < SIZE_MAX ? (size_t)left : SIZE_MAX);
		struct iovec parts[2] = {{pieces[0].data, pieces[0].size},
					 {pieces[1].data, pieces[1].size}};
		size_t first;
		ssize_t n;

		if (room < 0)
			return (int)room;
		n = readv(fd, parts, 2);
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA; /* it became shorter meanwhile */
		first = (size_t)n < pieces[0].size ? (size_t)n : pieces[0].size;
		s->crc = crc32_add(s->crc, pieces[0].data, first);
		s->crc = crc32_add(s->crc, pieces[1].data, (size_t)n - first);
		if (link_commit(s->link, (size_t)n))
			return -EPIPE;
		left -= (uint64_t)n;
		s->bytes += (uint64_t)n;
		if (s->progress)
			s->progress(s);
	}
	return 0;
}

static int send_file(struct qfile_sender *s, int at, const char *base, const char *name)
{
	int fd = openat(at, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), rc;
	struct stat st;

	if (fd < 0)
		return -errno;
	rc = fstat(fd, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (!rc)
		rc = put_entry(s, &st, name, (uint64_t)st.st_size);
	if (!rc)
		rc = send_data(s, fd, (uint64_t)st.st_size);
	close(fd);
	return rc ? rc : remember(s, &st);
}

static int send_link(struct qfile_sender *s, int at, const char *base, const char *name,
		     const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t length;
	int rc;

	if (s->ignore_links)
		return 0;
	length = readlinkat(at, base, target, sizeof(target));
	if (length < 0 || length == (ssize_t)sizeof(target))
		return length < 0 ? -errno : -ENAMETOOLONG;
	rc = put_entry(s, st, name, (uint64_t)length);
	if (!rc)
		rc = put(s, target, (size_t)length);
	return rc ? rc : remember(s, st);
}

static int send_entry(struct qfile_sender *s, int at, const char *base, char *name, int depth);

/* Appends to both what the other end is told and what this one says in messages. */
static int send_child(struct qfile_sender *s, int fd, const char *child, char *name, int depth)
{
	size_t name_length = strlen(name), path_length = strlen(s->path), length = strlen(child);
	int rc;

	if (name_length + length + 2 > QFILE_NAME_MAX || path_length + length + 2 > sizeof(s->path))
		return -ENAMETOOLONG;
	snprintf(name + name_length, QFILE_NAME_MAX - name_length, "/%s", child);
	snprintf(s->path + path_length, sizeof(s->path) - path_length, "/%s", child);
	rc = send_entry(s, fd, child, name, depth + 1);
	if (!rc) {
		name[name_length] = '\0';
		s->path[path_length] = '\0';
	}
	return rc;
}

static int send_directory(struct qfile_sender *s, int at, const char *base, char *name, int depth)
{
	int fd = openat(at, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	if (!dir) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	rc = depth >= DEPTH_MAX ? -ELOOP : fstat(fd, &st) ? -errno : put_entry(s, &st, name, 0);
	errno = 0;
	while (!rc && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = send_child(s, fd, entry->d_name, name, depth);
	/* Once more, now that all that is in it is there: for its permissions and times. */
	if (!rc)
		rc = put_entry(s, &st, name, 0);
	if (!rc)
		rc = remember(s, &st);
	closedir(dir);
	return rc;
}

static int send_entry(struct qfile_sender *s, int at, const char *base, char *name, int depth)
{
	struct stat st;

	/* An answer before the end can only be a no. */
	if (link_ready(s->link))
		return -ECANCELED;
	if (fstatat(at, base, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (S_ISREG(st.st_mode))
		return send_file(s, at, base, name);
	if (S_ISDIR(st.st_mode))
		return send_directory(s, at, base, name, depth);
	if (S_ISLNK(st.st_mode))
		return send_link(s, at, base, name, &st);
	return -EINVAL;
}

/* The last component of a path, without slashes behind it; "." and ".." have another name. */
static int split(const char *path, char *ret_path, size_t size, const char **ret_base)
{
	size_t length = strlen(path);
	char *slash, *real;

	while (length > 1 && path[length - 1] == '/')
		length--;
	if (length >= size)
		return -ENAMETOOLONG;
	snprintf(ret_path, size, "%.*s", (int)length, path);
	slash = strrchr(ret_path, '/');
	*ret_base = slash ? slash + 1 : ret_path;
	if (strcmp(*ret_base, ".") != 0 && strcmp(*ret_base, "..") != 0)
		return **ret_base ? 0 : -EINVAL;
	real = realpath(path, NULL);
	if (!real)
		return -errno;
	snprintf(ret_path, size, "%s", real);
	free(real);
	slash = strrchr(ret_path, '/');
	*ret_base = slash + 1;
	return **ret_base ? 0 : -EINVAL;
}

int qfile_send(struct qfile_sender *sender, const char *path)
{
	char *name = malloc(QFILE_NAME_MAX + 1);
	const char *base;
	int rc;

	if (!name)
		return -ENOMEM;
	snprintf(sender->path, sizeof(sender->path), "%s", path);
	rc = split(path, sender->path, sizeof(sender->path), &base);
	if (!rc) {
		snprintf(name, QFILE_NAME_MAX, "%s", base);
		rc = send_entry(sender, AT_FDCWD, sender->path, name, 0);
	}
	free(name);
	return rc;
}

static int get(struct qfile_sender *s, void *data, size_t size)
{
	struct libvchan_piece pieces[2];

	for (size_t done = 0; done < size;) {
		ssize_t n = link_peek(s->link, pieces, size - done);

		if (n <= 0)
			return n ? (int)n : -EPIPE;
		pieces_get(pieces, (uint8_t *)data + done, (size_t)n);
		link_consume(s->link, (size_t)n);
		done += (size_t)n;
	}
	return 0;
}

/* What the other end calls the entry; it is for a message, so only plain characters stay. */
static void get_name(struct qfile_sender *s, char *ret_name, size_t size)
{
	uint32_t untrusted_length = 0;
	char c;

	*ret_name = '\0';
	if (get(s, &untrusted_length, sizeof(untrusted_length)))
		return;
	for (size_t i = 0; i < untrusted_length && i + 1 < size && !get(s, &c, 1); i++) {
		ret_name[i] = c >= ' ' && c <= '~' ? c : '_';
		ret_name[i + 1] = '\0';
	}
}

int qfile_finish(struct qfile_sender *sender, char *ret_name, size_t size)
{
	static const struct qfile_header end;
	struct qfile_result result;
	int rc = 0, exit_code;

	*ret_name = '\0';
	/* Whether that arrives does not matter when the answer has been sent. */
	if (!link_ready(sender->link) && !put(sender, &end, sizeof(end)))
		link_end(sender->link);
	rc = get(sender, &result, sizeof(result));
	if (!rc)
		get_name(sender, ret_name, size);
	exit_code = link_wait_exit(sender->link);
	if (rc)
		return rc;
	if (result.error)
		return (int)(result.error & INT_MAX);
	return result.crc != sender->crc ? -EBADMSG : exit_code ? -EPIPE : 0;
}

uint64_t qfile_size(const char *path)
{
	struct dirent *entry;
	uint64_t sum = 0;
	char child[8192];
	struct stat st;
	DIR *dir;

	if (lstat(path, &st))
		return 0;
	if (!S_ISDIR(st.st_mode))
		return S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    snprintf(child, sizeof(child), "%s/%s", path, entry->d_name) <
			    (int)sizeof(child))
			sum += qfile_size(child);
	if (dir)
		closedir(dir);
	return sum;
}

static bool unchanged(const struct qfile_sent *sent, const struct stat *st)
{
	if (st->st_dev != sent->dev || st->st_ino != sent->ino || st->st_mode != sent->mode)
		return false;
	/* Directories have changed by now: what was in them was removed. */
	return S_ISDIR(st->st_mode) ||
	       (st->st_size == sent->size && st->st_mtim.tv_sec == sent->mtime.tv_sec &&
		st->st_mtim.tv_nsec == sent->mtime.tv_nsec);
}

/* In the order in which they were sent: a directory comes behind what is in it. */
size_t qfile_remove_sent(struct qfile_sender *sender, FILE *log)
{
	size_t left = 0;
	struct stat st;

	for (size_t i = 0; i < sender->count; i++) {
		const struct qfile_sent *sent = &sender->list[i];
		int flags = S_ISDIR(sent->mode) ? AT_REMOVEDIR : 0;
		const char *why = NULL;

		if (lstat(sent->path, &st))
			why = strerror(errno);
		else if (!unchanged(sent, &st))
			why = "changed meanwhile";
		else if (unlinkat(AT_FDCWD, sent->path, flags))
			why = strerror(errno);
		if (!why)
			continue;
		left++;
		fprintf(log, "%s: not removed: %s\n", sent->path, why);
	}
	return left;
}

void qfile_sender_finish(struct qfile_sender *sender)
{
	for (size_t i = 0; i < sender->count; i++)
		free(sender->list[i].path);
	free(sender->list);
	sender->list = NULL;
	sender->count = sender->room = 0;
}
