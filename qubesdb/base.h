/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One database: its entries, the programs that use it, and the link to the daemon on the other side. */
#ifndef QUBESDB_BASE_H
#define QUBESDB_BASE_H

#include "stream.h"

#define CLIENTS_MAX 256
#define WATCHES_MAX 256 /* of one program */
/* Changes that the other side has not confirmed. With more, the link begins anew. */
#define PENDING_MAX 8192u
/* Messages of one sender before it is the next one's turn. */
#define TURN_MAX    64

struct watch {
	struct watch *next;
	char path[QDB_PATH_SIZE];
};

struct client {
	bool used, writer;
	bool broken; /* to be dropped by whoever has no pointer to it */
	struct stream stream;
	struct watch *watches;
	unsigned int watch_count;
};

enum link_state {
	LINK_DOWN,    /* no channel */
	LINK_WAITING, /* a channel, but the peer is not there or has not asked for the entries */
	LINK_SYNC,    /* qube: the entries are coming */
	LINK_LIVE,
};

struct link {
	enum link_state state;
	bool broken;
	struct stream stream;
	/* Paths of own changes in the order in which they were sent, a ring of PENDING_MAX. */
	char (*pending)[QDB_PATH_SIZE];
	unsigned int pending_first, pending_count;
};

struct base {
	bool server; /* in dom0: it wins when both sides change an entry at a time */
	const char *name;
	void (*report)(const struct base *base, const char *what, const char *detail); /* or NULL */
	struct store store;
	struct link link;
	struct client clients[CLIENTS_MAX];
};

/* -ENOMEM. */
int base_init(struct base *base, const char *name, bool server);
void base_finish(struct base *base);

/* Tells the watches of an entry that store_write() has set. */
void base_written(struct base *base, struct entry *entry);
/* Both: sets an entry and tells the watches. Codes of store_write(). */
int base_write(struct base *base, const char *path, const char *value, uint32_t length,
	       enum store_owner owner);
/* Removes an entry or a subtree, but for what `spared` covers, and tells the watches. Returns the count. */
size_t base_remove(struct base *base, const char *pattern,
		   bool (*spared)(const struct link *link, const char *path));

/* Takes the descriptor of a program. False: there are too many. */
bool client_add(struct base *base, int fd, bool writer);
/* Handles what a program has sent; returns whether there may be more. */
bool client_serve(struct base *base, struct client *client);
void client_drop(struct client *client);

/* A new channel. The qube's side asks for the entries at once. */
void link_start(struct base *base, libvchan_t *vchan);
/* Handles what the peer has sent; returns whether there may be more. */
bool link_serve(struct base *base);
/* Sends a change of this side. */
void link_push(struct base *base, enum qdb_type type, const char *path, const struct entry *entry);
void link_drop(struct base *base);
/* Whether a change of this side to the path is on its way. */
bool link_pending(const struct link *link, const char *path);

#endif
