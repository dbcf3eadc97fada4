// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacks a stream from a qube that may be hostile. It is kept in a hidden directory until all of it is there.
#define _GNU_SOURCE
#include "qfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/crc32.h"
#include "../lib/pieces.h"

#define COPY_SIZE 65536

static const char partial[] = ".qfile-partial-";

struct unpacker {
	const struct qfile_source *source;
	const struct qfile_limits *limits;
	int directory, staging;
	uint64_t bytes, entries;
	uint32_t crc;
	uint8_t *buffer; /* of COPY_SIZE */
	char *name;
	/* The directory of the last entry: the next one is often in the same. */
	int parent;
	size_t parent_length;
	char *parent_name;
};

/* >0, 0 at the end of the stream, -errno. */
static ssize_t peek(struct unpacker *u, struct libvchan_piece pieces[2], size_t most)
{
	return u->source->peek(u->source->ctx, pieces, most);
}

/* All of it, copied once; `at_start`: the stream may end here. 0, positive: an error. */
static int read_exactly(struct unpacker *u, void *data, size_t size, bool at_start)
{
	struct libvchan_piece pieces[2], copy[2] = {{NULL, 0}, {NULL, 0}};
	size_t done = 0;

	while (done < size) {
		ssize_t n = peek(u, pieces, size - done);

		if (n < 0)
			return (int)-n;
		if (n == 0)
			return at_start && !done ? EREMOTEIO : QFILE_TRUNCATED;
		copy[0].data = (uint8_t *)data + done;
		copy[0].size = (size_t)n;
		pieces_get(pieces, copy[0].data, (size_t)n);
		/* The sum is of the copy: nothing is read twice where decisions depend on it. */
		u->crc = crc32_add(u->crc, copy[0].data, (size_t)n);
		u->source->consume(u->source->ctx, (size_t)n);
		done += (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/*
 * By way of a buffer that stays in the cache. The kernel's copy straight from the ring takes many times as long as both of
 * these: the other CPU has just written there. And what is summed is what is written, whatever becomes of the ring.
 */
static int copy_data(struct unpacker *u, int fd, uint64_t length)
{
	while (length) {
		size_t part = length < COPY_SIZE ? (size_t)length : COPY_SIZE;
		int error = read_exactly(u, u->buffer, part, false);

		if (!error)
			error = write_all(fd, u->buffer, part);
		if (error)
			return error;
		length -= part;
	}
	return 0;
}

/* A path below the staging directory, without following anything. */
static int open_below(const struct unpacker *u, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, u->staging, path, &how, sizeof(how));
}

static void forget_parent(struct unpacker *u)
{
	if (u->parent >= 0)
		close(u->parent);
	u->parent = -1;
}

/* The directory that the entry is in; *ret_base is its name there. */
static int open_parent(struct unpacker *u, const char **ret_base, int *ret_fd)
{
	char *slash = strrchr(u->name, '/');
	size_t length = slash ? (size_t)(slash - u->name) : 0;

	*ret_base = slash ? slash + 1 : u->name;
	*ret_fd = u->staging;
	if (!slash)
		return 0;
	if (u->parent < 0 || u->parent_length != length ||
	    memcmp(u->parent_name, u->name, length) != 0) {
		forget_parent(u);
		memcpy(u->parent_name, u->name, length);
		u->parent_name[length] = '\0';
		u->parent_length = length;
		u->parent = open_below(u, u->parent_name);
		if (u->parent < 0)
			return errno;
	}
	*ret_fd = u->parent;
	return 0;
}

/* The name at the top must be free in the end, and is no name of ours. */
static int check_top(const struct unpacker *u)
{
	struct stat st;

	if (strchr(u->name, '/'))
		return 0;
	if (!strncmp(u->name, partial, sizeof(partial) - 1))
		return EINVAL;
	return fstatat(u->directory, u->name, &st, AT_SYMLINK_NOFOLLOW) ? 0 : EEXIST;
}

static void take_times(const struct qfile_header *header, struct timespec ret_times[2])
{
	ret_times[0] = (struct timespec){header->atime, header->atime_ns};
	ret_times[1] = (struct timespec){header->mtime, header->mtime_ns};
}

static int take_file(struct unpacker *u, const struct qfile_header *header)
{
	struct timespec times[2];
	const char *base;
	int parent, fd, error = open_parent(u, &base, &parent);

	if (error)
		return error;
	fd = openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	error = copy_data(u, fd, header->length);
	take_times(header, times);
	/* Neither set-user-ID nor any other bit beside the permissions. */
	if (!error && (fchmod(fd, header->mode & 0777) || futimens(fd, times)))
		error = errno;
	if (close(fd) && !error)
		error = errno;
	return error;
}

/* It comes twice: before what is in it, and afterwards, when its permissions and times can be set. */
static int take_directory(struct unpacker *u, const struct qfile_header *header)
{
	struct timespec times[2];
	const char *base;
	int parent, fd, error;

	if (header->length)
		return EINVAL;
	error = open_parent(u, &base, &parent);
	if (error)
		return error;
	if (!mkdirat(parent, base, 0700))
		return 0;
	if (errno != EEXIST)
		return errno;
	fd = openat(parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? EEXIST : errno;
	take_times(header, times);
	if (fchmod(fd, header->mode & 0777) || futimens(fd, times))
		error = errno;
	close(fd);
	return error;
}

static int take_link(struct unpacker *u, const struct qfile_header *header)
{
	struct timespec times[2];
	const char *base;
	int parent, error;
	char *target;

	if (header->length > QFILE_TARGET_MAX)
		return ENAMETOOLONG;
	target = calloc(1, QFILE_TARGET_MAX + 1);
	if (!target)
		return ENOMEM;
	error = read_exactly(u, target, (size_t)header->length, false);
	if (!error && memchr(target, '\0', (size_t)header->length))
		error = EINVAL;
	if (!error)
		error = -qfile_check_link(u->name, target);
	if (!error)
		error = open_parent(u, &base, &parent);
	take_times(header, times);
	if (!error && (symlinkat(target, parent, base) ||
		       utimensat(parent, base, times, AT_SYMLINK_NOFOLLOW)))
		error = errno;
	free(target);
	return error;
}

static int check_header(struct unpacker *u, const struct qfile_header *header)
{
	if (header->name_length > QFILE_NAME_MAX)
		return ENAMETOOLONG;
	if (header->atime_ns > 999999999 || header->mtime_ns > 999999999)
		return EINVAL;
	if (++u->entries > u->limits->entries || header->length > u->limits->bytes - u->bytes)
		return EDQUOT;
	u->bytes += header->length;
	return 0;
}

static int take_name(struct unpacker *u, size_t length)
{
	int error = read_exactly(u, u->name, length, false);

	if (error) {
		u->name[0] = '\0';
		return error;
	}
	if (memchr(u->name, '\0', length) != u->name + length - 1) {
		u->name[length - 1] = '\0';
		return EINVAL;
	}
	return -qfile_check_name(u->name, u->limits->all_names);
}

/* Positive: an error; 0: go on; -1: the end. */
static int take_entry(struct unpacker *u)
{
	struct qfile_header untrusted_header = {0};
	int error = read_exactly(u, &untrusted_header, sizeof(untrusted_header), true);

	if (error)
		return error;
	if (!untrusted_header.name_length)
		return -1;
	error = check_header(u, &untrusted_header);
	if (!error)
		error = take_name(u, untrusted_header.name_length);
	if (!error)
		error = check_top(u);
	if (error)
		return error;
	switch (untrusted_header.mode & S_IFMT) {
	case S_IFREG:
		return take_file(u, &untrusted_header);
	case S_IFDIR:
		return take_directory(u, &untrusted_header);
	case S_IFLNK:
		return take_link(u, &untrusted_header);
	default:
		return EINVAL;
	}
}

/* Moves an entry to its final place, where there must be none. */
static int publish_entry(struct unpacker *u, const char *name)
{
	struct timespec times[2];
	struct stat st;
	bool closed;

	if (fstatat(u->staging, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno;
	/* A directory that its owner may not write to could not be moved: its ".." changes. */
	closed = S_ISDIR(st.st_mode) && !(st.st_mode & S_IWUSR);
	if (closed && fchmodat(u->staging, name, 0700, 0))
		return errno;
	if (renameat2(u->staging, name, u->directory, name, RENAME_NOREPLACE)) {
		snprintf(u->name, QFILE_NAME_MAX + 1, "%s", name);
		return errno;
	}
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	utimensat(u->directory, name, times, AT_SYMLINK_NOFOLLOW);
	return closed && fchmodat(u->directory, name, st.st_mode & 0777, 0) ? errno : 0;
}

static int publish(struct unpacker *u)
{
	int fd, error = 0;
	struct dirent *entry;
	DIR *dir;

	forget_parent(u);
	/* Who moves files deletes his own when he hears that they are here. */
	if (syncfs(u->staging))
		return errno;
	fd = openat(u->staging, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return errno;
	while (!error && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			error = publish_entry(u, entry->d_name);
	closedir(dir);
	if (!error && fsync(u->directory))
		error = errno;
	return error;
}

/* What unpackers left that were killed. Nobody holds the lock of those. */
static void clean_up(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), old;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, partial, sizeof(partial) - 1) != 0)
			continue;
		old = openat(directory, entry->d_name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (old >= 0 && !flock(old, LOCK_EX | LOCK_NB))
			qfile_remove_tree(directory, entry->d_name);
		if (old >= 0)
			close(old);
	}
	if (dir)
		closedir(dir);
}

static int make_staging(int directory, char *ret_name, size_t size)
{
	static unsigned int serial;
	int fd;

	flock(directory, LOCK_EX);
	clean_up(directory);
	snprintf(ret_name, size, "%s%d-%u", partial, (int)getpid(), serial++);
	fd = mkdirat(directory, ret_name, 0700)
		     ? -1
		     : openat(directory, ret_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	if (fd >= 0)
		flock(fd, LOCK_EX);
	flock(directory, LOCK_UN);
	return fd;
}

int qfile_unpack(const struct qfile_source *source, int directory,
		 const struct qfile_limits *limits, uint64_t *ret_crc, char *ret_name)
{
	struct unpacker u = {.source = source,
			     .limits = limits,
			     .directory = directory,
			     .name = ret_name,
			     .parent = -1};
	char staging[64];
	int error;

	*ret_crc = 0;
	ret_name[0] = '\0';
	u.parent_name = malloc(QFILE_NAME_MAX + 1);
	u.buffer = malloc(COPY_SIZE);
	if (!u.parent_name || !u.buffer) {
		error = ENOMEM;
		goto err_memory;
	}
	u.staging = make_staging(directory, staging, sizeof(staging));
	if (u.staging < 0) {
		error = -u.staging;
		goto err_memory;
	}
	do
		error = take_entry(&u);
	while (!error);
	if (error < 0)
		error = publish(&u);
	forget_parent(&u);
	qfile_remove_tree(directory, staging);
	close(u.staging);
	*ret_crc = u.crc;
err_memory:
	free(u.buffer);
	free(u.parent_name);
	return error;
}
