// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: the unpacker of files from a hostile qube. The first byte says how the stream is cut in pieces. Nothing may appear
// outside its directory, nothing in it unless all went well, and what appears has no special kind or mode.
// links: qrexec/service/qfile_unpack.c qrexec/service/qfile_names.c qrexec/lib/characters.c qrexec/service/qfile_tree.c qrexec/lib/crc32.c
// links: qrexec/lib/pieces.c
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../qrexec/service/qfile.h"

struct input {
	const uint8_t *data;
	size_t at, size, step;
};

static ssize_t peek(void *ctx, struct libvchan_piece pieces[2], size_t most)
{
	struct input *in = ctx;
	size_t left = in->size - in->at, n = left < in->step ? left : in->step;

	if (n > most)
		n = most;
	/* In two pieces, as a ring has them. */
	pieces[0] = (struct libvchan_piece){(void *)(in->data + in->at), n / 2};
	pieces[1] = (struct libvchan_piece){(void *)(in->data + in->at + n / 2), n - n / 2};
	return (ssize_t)n;
}

static void consume(void *ctx, size_t size)
{
	((struct input *)ctx)->at += size;
}

/* In memory: the unpacker waits until all is on the disk. */
static char top[] = "/dev/shm/fuzz-qfile.XXXXXX";
static int top_fd = -1, work_fd;

static void leave(void)
{
	qfile_remove_tree(AT_FDCWD, top);
}

static void enter(void)
{
	if (!mkdtemp(top))
		abort();
	atexit(leave);
	top_fd = open(top, O_RDONLY | O_DIRECTORY);
	if (mkdirat(top_fd, "work", 0700))
		abort();
	work_fd = openat(top_fd, "work", O_RDONLY | O_DIRECTORY);
}

/* Entries of a directory; aborts on kinds and modes that may not be. Removes them if told to. */
static size_t look(int fd, bool remove)
{
	DIR *dir = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *entry;
	size_t count = 0;
	struct stat st;

	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    (st.st_mode & 07000 && !S_ISDIR(st.st_mode)) ||
		    !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)))
			abort();
		count++;
		if (remove && qfile_remove_tree(fd, entry->d_name))
			abort();
	}
	closedir(dir);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, 1, size, 1};
	const struct qfile_source source = {peek, consume, &in};
	struct qfile_limits limits = {.bytes = 1 << 20, .entries = 100};
	static char name[QFILE_NAME_MAX + 1];
	uint64_t crc;
	int error;

	if (top_fd < 0)
		enter();
	if (!size)
		return 0;
	in.step = 1 + (size_t)(data[0] & 0x7f) * 3;
	limits.all_names = data[0] & 0x80;
	error = qfile_unpack(&source, work_fd, &limits, &crc, name);
	if (look(work_fd, true) && error)
		abort();
	if (look(top_fd, false) != 1)
		abort();
	return 0;
}
