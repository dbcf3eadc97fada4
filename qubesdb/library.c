// SPDX-License-Identifier: GPL-2.0-or-later
// libqubesdb: what programs say to the daemon, and what they get.
#define _GNU_SOURCE
#include "qubesdb-client.h"
#include "stream.h"

#include "../qrexec/lib/socket.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct event {
	struct event *next;
	char path[QDB_PATH_SIZE];
};

struct qdb_handle {
	int fd;
	struct event *first, **last; /* events that came while an answer was awaited */
	unsigned int events;
	char value[QDB_DATA_MAX + 1]; /* of the last answer, with a NUL */
};

qdb_handle_t qdb_open(const char *qube)
{
	struct qdb_handle *handle = calloc(1, sizeof(*handle));
	/* Tests and other roots; not for programs that run with the rights of somebody else. */
	const char *dir = secure_getenv("QUBESDB_SOCKET_DIR");
	char path[PATH_MAX];
	int error;

	if (!handle)
		return NULL;
	handle->last = &handle->first;
	dir = dir ? dir : "/run/qubes";
	snprintf(path, sizeof(path), "%s/qubesdb%s%s.sock", dir, qube ? "." : "", qube ? qube : "");
	handle->fd = socket_connect(path, 0);
	if (handle->fd < 0 && errno == EACCES) {
		snprintf(path, sizeof(path), "%s/qubesdb%s%s.ro.sock", dir, qube ? "." : "",
			 qube ? qube : "");
		handle->fd = socket_connect(path, 0);
	}
	if (handle->fd >= 0)
		return handle;
	error = errno;
	free(handle);
	errno = error;
	return NULL;
}

void qdb_close(qdb_handle_t handle)
{
	if (!handle)
		return;
	while (handle->first) {
		struct event *event = handle->first;

		handle->first = event->next;
		free(event);
	}
	close(handle->fd);
	free(handle);
}

static bool send_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t n = send(fd, at, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

static bool receive_all(int fd, void *data, size_t size)
{
	char *at = data;

	while (size) {
		ssize_t n = recv(fd, at, size, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EPIPE;
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

static bool request(struct qdb_handle *handle, enum qdb_type type, const char *path,
		    const char *value, unsigned int length)
{
	struct {
		struct qdb_header header;
		char value[QDB_DATA_MAX];
	} message;

	if (strlen(path) >= QDB_PATH_SIZE || !qdb_path_valid(path, QDB_PATH_SIZE) ||
	    length > QDB_DATA_MAX || (length && memchr(value, '\0', length))) {
		errno = EINVAL;
		return false;
	}
	qdb_header_set(&message.header, type, path, length);
	if (length)
		memcpy(message.value, value, length);
	/* In one piece: the daemon need not be woken twice. */
	return send_all(handle->fd, &message, sizeof(message.header) + length);
}

/* One message, whichever it is; its value is in the handle. */
static bool receive(struct qdb_handle *handle, struct qdb_header *ret_header)
{
	if (!receive_all(handle->fd, ret_header, sizeof(*ret_header)))
		return false;
	if (qdb_header_check(ret_header, QDB_PROGRAM)) {
		errno = EPROTO;
		return false;
	}
	if (!receive_all(handle->fd, handle->value, ret_header->length))
		return false;
	handle->value[ret_header->length] = '\0';
	return true;
}

static bool keep_event(struct qdb_handle *handle, const char *path)
{
	struct event *event = calloc(1, sizeof(*event));

	if (!event)
		return false;
	memcpy(event->path, path, sizeof(event->path));
	*handle->last = event;
	handle->last = &event->next;
	handle->events++;
	return true;
}

/* The answer to a request; events that come first are kept. */
static bool answer(struct qdb_handle *handle, enum qdb_type wanted, struct qdb_header *ret_header)
{
	do {
		if (!receive(handle, ret_header))
			return false;
		if (ret_header->type == QDB_RESP_WATCH && !keep_event(handle, ret_header->path))
			return false;
	} while (ret_header->type == QDB_RESP_WATCH);
	if (ret_header->type == wanted)
		return true;
	errno = ret_header->type == QDB_RESP_ERROR_NOENT ? ENOENT
		: ret_header->type == QDB_RESP_ERROR	 ? EPERM
							 : EPROTO;
	return false;
}

char *qdb_read(qdb_handle_t handle, const char *path, unsigned int *ret_length)
{
	struct qdb_header header;
	char *value;

	if (!request(handle, QDB_CMD_READ, path, NULL, 0) ||
	    !answer(handle, QDB_RESP_READ, &header))
		return NULL;
	value = malloc(header.length + 1);
	if (!value)
		return NULL;
	memcpy(value, handle->value, header.length + 1);
	if (ret_length)
		*ret_length = header.length;
	return value;
}

/* Entries as they come; with_values: two strings for each. */
struct list {
	char **strings;
	unsigned int *lengths, count, room;
};

static void list_free(struct list *list, unsigned int per_entry)
{
	for (unsigned int i = 0; list->strings && i < list->count * per_entry; i++)
		free(list->strings[i]);
	free(list->strings);
	free(list->lengths);
}

static bool list_grow(struct list *list)
{
	unsigned int room = list->room ? list->room * 2 : 32;
	char **strings = realloc(list->strings, (room * 2 + 2) * sizeof(*strings));
	unsigned int *lengths;

	if (strings)
		list->strings = strings;
	lengths = strings ? realloc(list->lengths, room * sizeof(*lengths)) : NULL;
	if (!lengths)
		return false;
	list->lengths = lengths;
	list->room = room;
	return true;
}

static bool list_add(struct list *list, const struct qdb_header *header, const char *value,
		     unsigned int per_entry)
{
	char **place;

	if (list->count == list->room && !list_grow(list))
		return false;
	place = list->strings + (size_t)list->count * per_entry;
	place[0] = strdup(header->path);
	if (per_entry == 2)
		place[1] = malloc(header->length + 1);
	if (!place[0] || (per_entry == 2 && !place[1])) {
		free(place[0]);
		return false;
	}
	if (per_entry == 2)
		memcpy(place[1], value, header->length + 1);
	list->lengths[list->count++] = header->length;
	return true;
}

static bool collect(struct qdb_handle *handle, enum qdb_type command, enum qdb_type wanted,
		    const char *prefix, unsigned int per_entry, struct list *ret_list)
{
	struct list list = {0};
	struct qdb_header header;
	bool fine = request(handle, command, prefix, NULL, 0) && list_grow(&list);

	while (fine && (fine = answer(handle, wanted, &header)) && *header.path)
		fine = list_add(&list, &header, handle->value, per_entry);
	if (!fine) {
		list_free(&list, per_entry);
		return false;
	}
	for (unsigned int i = 0; i < per_entry; i++)
		list.strings[list.count * per_entry + i] = NULL;
	*ret_list = list;
	return true;
}

char **qdb_list(qdb_handle_t handle, const char *prefix, unsigned int *ret_count)
{
	struct list list;

	if (!collect(handle, QDB_CMD_LIST, QDB_RESP_LIST, prefix, 1, &list))
		return NULL;
	free(list.lengths);
	if (ret_count)
		*ret_count = list.count;
	return list.strings;
}

char **qdb_multiread(qdb_handle_t handle, const char *prefix, unsigned int **ret_lengths,
		     unsigned int *ret_count)
{
	struct list list;

	if (!collect(handle, QDB_CMD_MULTIREAD, QDB_RESP_MULTIREAD, prefix, 2, &list))
		return NULL;
	if (ret_lengths)
		*ret_lengths = list.lengths;
	else
		free(list.lengths);
	if (ret_count)
		*ret_count = list.count;
	return list.strings;
}

static int change(struct qdb_handle *handle, enum qdb_type type, const char *path,
		  const char *value, unsigned int length)
{
	struct qdb_header header;

	return request(handle, type, path, value, length) && answer(handle, QDB_RESP_OK, &header);
}

int qdb_write(qdb_handle_t handle, const char *path, const char *value, unsigned int length)
{
	return change(handle, QDB_CMD_WRITE, path, value, length);
}

/* Nothing to remove is what was wanted. */
int qdb_rm(qdb_handle_t handle, const char *path)
{
	return change(handle, QDB_CMD_RM, path, NULL, 0) || errno == ENOENT;
}

int qdb_watch(qdb_handle_t handle, const char *path)
{
	return change(handle, QDB_CMD_WATCH, path, NULL, 0);
}

int qdb_unwatch(qdb_handle_t handle, const char *path)
{
	return change(handle, QDB_CMD_UNWATCH, path, NULL, 0);
}

char *qdb_read_watch(qdb_handle_t handle)
{
	struct event *event = handle->first;
	struct qdb_header header;
	char *path;

	if (!event) {
		if (!receive(handle, &header))
			return NULL;
		if (header.type == QDB_RESP_WATCH)
			return strdup(header.path);
		errno = EPROTO;
		return NULL;
	}
	path = strdup(event->path);
	if (!path)
		return NULL;
	handle->first = event->next;
	if (!handle->first)
		handle->last = &handle->first;
	handle->events--;
	free(event);
	return path;
}

int qdb_watch_fd(qdb_handle_t handle)
{
	return handle->fd;
}

unsigned int qdb_watch_pending(qdb_handle_t handle)
{
	return handle->events;
}
