// SPDX-License-Identifier: GPL-2.0-or-later
// Programs on local sockets: reading, changing and watching entries.
#include "base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool client_add(struct base *base, int fd, bool writer)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &base->clients[i];

		if (client->used)
			continue;
		*client = (struct client){.used = true, .writer = writer};
		stream_init(&client->stream, NULL, fd);
		return true;
	}
	return false;
}

void client_drop(struct client *client)
{
	while (client->watches) {
		struct watch *watch = client->watches;

		client->watches = watch->next;
		free(watch);
	}
	stream_finish(&client->stream);
	client->used = false;
}

static int answer(struct client *client, enum qdb_type type, const char *path)
{
	return stream_send(&client->stream, type, path, NULL, 0);
}

static int client_read(struct base *base, struct client *client, const struct qdb_header *header)
{
	const struct entry *entry = store_find(&base->store, header->path);

	if (!entry)
		return answer(client, QDB_RESP_ERROR_NOENT, header->path);
	return stream_send(&client->stream, QDB_RESP_READ, entry->path, entry->value,
			   entry->length);
}

/* The answer comes before the events of the program's own watches. */
static int client_write(struct base *base, struct client *client, const struct qdb_header *header,
			const char *value)
{
	struct entry *entry;
	int rc;

	if (!client->writer || !qdb_path_is_entry(header->path))
		return answer(client, QDB_RESP_ERROR, header->path);
	rc = store_write(&base->store, header->path, value, header->length, STORE_LOCAL, &entry);
	if (rc)
		return answer(client, QDB_RESP_ERROR, header->path);
	link_push(base, QDB_CMD_WRITE, header->path, entry);
	rc = answer(client, QDB_RESP_OK, header->path);
	base_written(base, entry);
	return rc;
}

static int client_rm(struct base *base, struct client *client, const struct qdb_header *header)
{
	size_t index = store_at(&base->store, header->path);

	if (!client->writer || !*header->path)
		return answer(client, QDB_RESP_ERROR, header->path);
	if (index == base->store.count ||
	    !qdb_path_covers(header->path, base->store.entries[index]->path))
		return answer(client, QDB_RESP_ERROR_NOENT, header->path);
	link_push(base, QDB_CMD_RM, header->path, NULL);
	if (answer(client, QDB_RESP_OK, header->path))
		return -ENOBUFS;
	base_remove(base, header->path, NULL);
	return 0;
}

/* All entries whose paths begin with a text; it need not end at a '/'. */
static int client_list(struct base *base, struct client *client, const struct qdb_header *header)
{
	bool values = header->type == QDB_CMD_MULTIREAD;
	enum qdb_type type = values ? QDB_RESP_MULTIREAD : QDB_RESP_LIST;
	size_t length = strlen(header->path);

	for (size_t i = store_at(&base->store, header->path); i < base->store.count; i++) {
		const struct entry *entry = base->store.entries[i];
		int rc;

		if (strncmp(entry->path, header->path, length))
			break;
		rc = stream_send(&client->stream, type, entry->path, entry->value,
				 values ? entry->length : 0);
		if (rc)
			return rc;
	}
	return answer(client, type, "");
}

static int client_watch(struct client *client, const struct qdb_header *header)
{
	struct watch *watch = NULL;

	if (*header->path && client->watch_count < WATCHES_MAX)
		watch = malloc(sizeof(*watch));
	if (!watch)
		return answer(client, QDB_RESP_ERROR, header->path);
	memcpy(watch->path, header->path, sizeof(watch->path));
	watch->next = client->watches;
	client->watches = watch;
	client->watch_count++;
	return answer(client, QDB_RESP_OK, header->path);
}

static int client_unwatch(struct client *client, const struct qdb_header *header)
{
	for (struct watch **at = &client->watches; *at; at = &(*at)->next) {
		struct watch *watch = *at;

		if (strcmp(watch->path, header->path))
			continue;
		*at = watch->next;
		free(watch);
		client->watch_count--;
		return answer(client, QDB_RESP_OK, header->path);
	}
	return answer(client, QDB_RESP_ERROR_NOENT, header->path);
}

static int handle(struct base *base, struct client *client, const struct qdb_header *header,
		  const char *value)
{
	switch (header->type) {
	case QDB_CMD_READ:
		return client_read(base, client, header);
	case QDB_CMD_WRITE:
		return client_write(base, client, header, value);
	case QDB_CMD_RM:
		return client_rm(base, client, header);
	case QDB_CMD_WATCH:
		return client_watch(client, header);
	case QDB_CMD_UNWATCH:
		return client_unwatch(client, header);
	default:
		return client_list(base, client, header);
	}
}

bool client_serve(struct base *base, struct client *client)
{
	struct qdb_header header;
	const char *value;

	for (int i = 0; i < TURN_MAX && !client->broken; i++) {
		int rc = stream_receive(&client->stream, QDB_LOCAL, &header, &value);

		if (rc == 0)
			return false;
		if (rc > 0)
			rc = handle(base, client, &header, value);
		else if (rc == -EINVAL)
			rc = answer(client, QDB_RESP_ERROR, "");
		if (rc < 0)
			client->broken = true;
	}
	return true;
}
