// SPDX-License-Identifier: GPL-2.0-or-later
// Changes of a database, and the programs that watch them.
#include "base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int base_init(struct base *base, const char *name, bool server)
{
	*base = (struct base){.server = server, .name = name};
	store_init(&base->store, server ? 1 : 2);
	stream_init(&base->link.stream, NULL, -1);
	base->link.pending = calloc(PENDING_MAX, sizeof(*base->link.pending));
	return base->link.pending ? 0 : -ENOMEM;
}

void base_finish(struct base *base)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (base->clients[i].used)
			client_drop(&base->clients[i]);
	stream_finish(&base->link.stream);
	free(base->link.pending);
	store_finish(&base->store);
}

/* One event for each watch that matches. */
static void fire(struct base *base, const char *path)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &base->clients[i];

		if (!client->used || client->broken)
			continue;
		for (const struct watch *watch = client->watches; watch; watch = watch->next)
			if (qdb_path_covers(watch->path, path) &&
			    stream_send(&client->stream, QDB_RESP_WATCH, path, NULL, 0))
				client->broken = true;
	}
}

void base_written(struct base *base, struct entry *entry)
{
	/* It has to be sent when there is a link again. */
	entry->dirty = entry->owner == STORE_LOCAL && base->link.state < LINK_SYNC;
	/* What is written while the entries are coming is not a leftover. */
	entry->seen = base->link.state == LINK_SYNC;
	fire(base, entry->path);
}

int base_write(struct base *base, const char *path, const char *value, uint32_t length,
	       enum store_owner owner)
{
	struct entry *entry;
	int rc = store_write(&base->store, path, value, length, owner, &entry);

	if (!rc)
		base_written(base, entry);
	return rc;
}

size_t base_remove(struct base *base, const char *pattern,
		   bool (*spared)(const struct link *link, const char *path))
{
	size_t index = store_at(&base->store, pattern), removed = 0;

	while (index < base->store.count) {
		char path[QDB_PATH_SIZE];

		memcpy(path, base->store.entries[index]->path, sizeof(path));
		if (!qdb_path_covers(pattern, path))
			break;
		if (spared && spared(&base->link, path)) {
			index++;
			continue;
		}
		store_remove(&base->store, index);
		fire(base, path);
		removed++;
	}
	return removed;
}
