// SPDX-License-Identifier: GPL-2.0-or-later
// The entries of one database: a sorted array, which is small enough to be moved.
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t cost(const struct entry *entry)
{
	return strlen(entry->path) + entry->length;
}

static void count(struct store *store, const struct entry *entry)
{
	store->counts[entry->owner]++;
	store->bytes[entry->owner] += cost(entry);
}

static void discount(struct store *store, const struct entry *entry)
{
	store->counts[entry->owner]--;
	store->bytes[entry->owner] -= cost(entry);
}

void store_init(struct store *store, unsigned int peer_shares)
{
	*store = (struct store){.peer_shares = peer_shares};
}

void store_finish(struct store *store)
{
	for (size_t i = 0; i < store->count; i++)
		free(store->entries[i]);
	free(store->entries);
	*store = (struct store){0};
}

size_t store_at(const struct store *store, const char *path)
{
	size_t low = 0, high = store->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(store->entries[middle]->path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct entry *store_find(const struct store *store, const char *path)
{
	size_t index = store_at(store, path);

	if (index < store->count && !strcmp(store->entries[index]->path, path))
		return store->entries[index];
	return NULL;
}

static bool make_room(struct store *store)
{
	struct entry **entries;
	size_t room = store->room ? store->room * 2 : 64;

	if (store->count < store->room)
		return true;
	entries = realloc(store->entries, room * sizeof(*entries));
	if (!entries)
		return false;
	store->entries = entries;
	store->room = room;
	return true;
}

/* Whether the owner may have this entry in place of the old one, which may be NULL. */
static bool within_quota(const struct store *store, const struct entry *old,
			 const struct entry *entry)
{
	size_t entries = store->counts[entry->owner] + 1;
	size_t bytes = store->bytes[entry->owner] + cost(entry);
	size_t shares = entry->owner == STORE_PEER ? store->peer_shares : 1;

	if (old && old->owner == entry->owner) {
		entries--;
		bytes -= cost(old);
	}
	return entries <= shares * STORE_ENTRIES_MAX && bytes <= shares * STORE_BYTES_MAX;
}

int store_write(struct store *store, const char *path, const char *value, uint32_t length,
		enum store_owner owner, struct entry **ret_entry)
{
	size_t index = store_at(store, path);
	struct entry *old = store_find(store, path);
	struct entry *entry = calloc(1, sizeof(*entry) + length + 1);

	if (!entry || (!old && !make_room(store))) {
		free(entry);
		return -ENOMEM;
	}
	strncpy(entry->path, path, sizeof(entry->path) - 1);
	entry->length = length;
	entry->owner = owner;
	if (length)
		memcpy(entry->value, value, length);
	if (!within_quota(store, old, entry)) {
		free(entry);
		return -ENOSPC;
	}
	if (old) {
		discount(store, old);
		free(old);
	} else {
		memmove(store->entries + index + 1, store->entries + index,
			(store->count - index) * sizeof(*store->entries));
		store->count++;
	}
	store->entries[index] = entry;
	count(store, entry);
	*ret_entry = entry;
	return 0;
}

void store_remove(struct store *store, size_t index)
{
	discount(store, store->entries[index]);
	free(store->entries[index]);
	store->count--;
	memmove(store->entries + index, store->entries + index + 1,
		(store->count - index) * sizeof(*store->entries));
}
