/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The entries of one database, sorted by path, with a quota for each side. */
#ifndef QUBESDB_STORE_H
#define QUBESDB_STORE_H

#include "wire.h"

/* One share of one side: what a side has written last counts for it. */
#define STORE_ENTRIES_MAX 4096u
#define STORE_BYTES_MAX	  (1u << 20) /* paths and values */

enum store_owner {
	STORE_LOCAL, /* programs on this side, and the own daemon */
	STORE_PEER,
	STORE_OWNERS,
};

struct entry {
	char path[QDB_PATH_SIZE];
	uint32_t length;
	enum store_owner owner;
	bool dirty; /* the other side has not said that it has this value */
	bool seen;  /* came in the synchronisation that is under way */
	char value[];
};

struct store {
	struct entry **entries;
	size_t count, room;
	size_t counts[STORE_OWNERS], bytes[STORE_OWNERS];
	unsigned int peer_shares; /* a qube has to hold what both sides have written in dom0: two */
};

void store_init(struct store *store, unsigned int peer_shares);
void store_finish(struct store *store);

struct entry *store_find(const struct store *store, const char *path);
/* Index of the first entry whose path is not below this text in the order of bytes. */
size_t store_at(const struct store *store, const char *path);

/* 0 and the entry; -ENOSPC: over the quota of its owner; -ENOMEM. Nothing is changed on failure. */
int store_write(struct store *store, const char *path, const char *value, uint32_t length,
		enum store_owner owner, struct entry **ret_entry);
void store_remove(struct store *store, size_t index);

#endif
