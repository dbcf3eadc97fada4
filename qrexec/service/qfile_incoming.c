// SPDX-License-Identifier: GPL-2.0-or-later
// qubes.Filecopy around the unpacker: where files go, how many, and the answer.
#define _GNU_SOURCE
#include "qfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../lib/link.h"
#include "../lib/service.h"

static const char limits_file[] = "/etc/qubes/filecopy.conf";

#define ENTRIES_DEFAULT 1000000
/* What stays free of the file system, so that the qube itself can go on working. */
#define RESERVE		(64u << 20)

static const char *home(void)
{
	const char *path = getenv("HOME");
	const struct passwd *me;

	if (path && *path == '/')
		return path;
	me = getpwuid(geteuid());
	return me ? me->pw_dir : NULL;
}

static int open_directory(int at, const char *name)
{
	int fd;

	if (mkdirat(at, name, 0700) && errno != EEXIST)
		return -errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int qfile_open_incoming(const char *source)
{
	const char *path = home();
	int top, incoming, fd;

	if (!path || !*source || *source == '.' || strchr(source, '/'))
		return -EINVAL;
	top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return -errno;
	incoming = open_directory(top, "QubesIncoming");
	close(top);
	if (incoming < 0)
		return incoming;
	fd = open_directory(incoming, source);
	close(incoming);
	return fd;
}

/* "bytes NUMBER" and "entries NUMBER"; what is not understood limits nothing and allows nothing more. */
static void read_limits(struct qfile_limits *limits)
{
	FILE *file = fopen(limits_file, "re");
	unsigned long long value;
	char line[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "bytes %llu", &value) == 1 && value < limits->bytes)
			limits->bytes = value;
		if (sscanf(line, "entries %llu", &value) == 1)
			limits->entries = value;
	}
	if (file)
		fclose(file);
}

void qfile_default_limits(int directory, struct qfile_limits *ret_limits)
{
	struct statvfs fs;
	uint64_t room = UINT64_MAX;

	if (!fstatvfs(directory, &fs))
		room = (uint64_t)fs.f_bavail * fs.f_frsize;
	*ret_limits = (struct qfile_limits){.bytes = room > RESERVE ? room - RESERVE : 0,
					    .entries = ENTRIES_DEFAULT};
	read_limits(ret_limits);
}

size_t qfile_answer(int error, uint64_t crc, const char *name, uint8_t ret_answer[QFILE_ANSWER_MAX])
{
	struct qfile_result result = {(uint32_t)error, 0, crc};
	uint32_t length = (uint32_t)strnlen(name, QFILE_NAME_MAX);

	memcpy(ret_answer, &result, sizeof(result));
	memcpy(ret_answer + sizeof(result), &length, sizeof(length));
	memcpy(ret_answer + sizeof(result) + sizeof(length), name, length);
	return sizeof(result) + sizeof(length) + length;
}

static ssize_t peek(void *ctx, struct libvchan_piece pieces[2], size_t most)
{
	return link_peek(ctx, pieces, most);
}

static void consume(void *ctx, size_t size)
{
	link_consume(ctx, size);
}

static int receive(struct link *link, const struct service_call *call, uint8_t *answer, char *name)
{
	const struct qfile_source source = {peek, consume, link};
	const char *plus = strchr(call->full, '+');
	struct qfile_limits limits;
	uint64_t crc = 0;
	int directory = qfile_open_incoming(call->source), error;

	name[0] = '\0';
	if (directory < 0) {
		error = -directory;
	} else {
		qfile_default_limits(directory, &limits);
		limits.all_names = plus && !strcmp(plus + 1, "allow-all-names");
		error = qfile_unpack(&source, directory, &limits, &crc, name);
		close(directory);
	}
	link_write(link, answer, qfile_answer(error, crc, name, answer));
	return error ? 1 : 0;
}

int qfile_builtin(libvchan_t *vchan, const struct service_call *call)
{
	uint8_t *answer = malloc(QFILE_ANSWER_MAX);
	char *name = malloc(QFILE_NAME_MAX + 1);
	int code = WIRE_EXIT_PROBLEM;
	struct link link;

	umask(077);
	if (!link_open(&link, vchan, true)) {
		if (answer && name)
			code = receive(&link, call, answer, name);
		link_exit(&link, code);
	}
	free(answer);
	free(name);
	return code;
}
