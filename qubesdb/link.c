// SPDX-License-Identifier: GPL-2.0-or-later
// The link to the daemon on the other side. For dom0 the other side is hostile: what breaks a rule ends the link.
#include "base.h"

#include <errno.h>
#include <string.h>

static void report(const struct base *base, const char *what, const char *detail)
{
	if (base->report)
		base->report(base, what, detail);
}

bool link_pending(const struct link *link, const char *path)
{
	for (unsigned int i = 0; i < link->pending_count; i++)
		if (qdb_path_covers(link->pending[(link->pending_first + i) % PENDING_MAX], path))
			return true;
	return false;
}

static void push(struct base *base, enum qdb_type type, const char *path, const char *value,
		 uint32_t length)
{
	struct link *link = &base->link;

	if (link->broken)
		return;
	if (link->pending_count == PENDING_MAX ||
	    stream_send(&link->stream, type, path, value, length)) {
		link->broken = true;
		return;
	}
	strncpy(link->pending[(link->pending_first + link->pending_count) % PENDING_MAX], path,
		QDB_PATH_SIZE);
	link->pending_count++;
}

void link_push(struct base *base, enum qdb_type type, const char *path, const struct entry *entry)
{
	if (base->link.state >= LINK_SYNC)
		push(base, type, path, entry ? entry->value : NULL, entry ? entry->length : 0);
}

/* Confirmations come in the order of the changes. */
static int confirmed(struct base *base, enum qdb_type type, const char *path)
{
	struct link *link = &base->link;

	if (!link->pending_count || strcmp(link->pending[link->pending_first], path))
		return -EPROTO;
	if (type == QDB_RESP_ERROR)
		report(base, "the other side refused to change", path);
	link->pending_first = (link->pending_first + 1) % PENDING_MAX;
	link->pending_count--;
	return 0;
}

/*
 * Where both sides change an entry at a time, the qube ends up with what dom0 has written last: that was sent after
 * the qube's change. So dom0 ignores a change of an entry while one of its own is on its way.
 */
static bool overruled(const struct link *link, const char *path)
{
	return link_pending(link, path);
}

static int received_write(struct base *base, const char *path, const char *value, uint32_t length)
{
	int rc = 0;

	if (!qdb_path_is_entry(path))
		return -EPROTO;
	if (!base->server || !overruled(&base->link, path))
		rc = base_write(base, path, value, length, STORE_PEER);
	return stream_send(&base->link.stream, rc ? QDB_RESP_ERROR : QDB_RESP_OK, path, NULL, 0);
}

static int received_rm(struct base *base, const char *pattern)
{
	if (!*pattern)
		return -EPROTO;
	/* Nothing to remove is no error: both sides may have removed it at a time. */
	base_remove(base, pattern, base->server ? overruled : NULL);
	return stream_send(&base->link.stream, QDB_RESP_OK, pattern, NULL, 0);
}

/* The qube asks for everything, once. The reverse order is the fastest one for a peer that keeps a sorted list. */
static int send_all(struct base *base, const char *path)
{
	struct link *link = &base->link;

	if (!base->server || link->state != LINK_WAITING || *path)
		return -EPROTO;
	for (size_t i = base->store.count; i > 0; i--) {
		const struct entry *entry = base->store.entries[i - 1];
		int rc = stream_send(&link->stream, QDB_RESP_MULTIREAD, entry->path, entry->value,
				     entry->length);

		if (rc)
			return rc;
	}
	link->state = LINK_LIVE;
	return stream_send(&link->stream, QDB_RESP_MULTIREAD, "", NULL, 0);
}

/* All of dom0's entries are here: what it no longer has goes, what was written here meanwhile is sent. */
static int end_sync(struct base *base)
{
	size_t index = 0;

	while (index < base->store.count) {
		struct entry *entry = base->store.entries[index];
		char path[QDB_PATH_SIZE];

		memcpy(path, entry->path, sizeof(path));
		if (!entry->seen && entry->owner == STORE_PEER) {
			base_remove(base, path, NULL);
			continue;
		}
		if (!entry->seen || entry->dirty)
			push(base, QDB_CMD_WRITE, path, entry->value, entry->length);
		entry->seen = entry->dirty = false;
		index++;
	}
	base->link.state = LINK_LIVE;
	return 0;
}

static int received_entry(struct base *base, const char *path, const char *value, uint32_t length)
{
	struct entry *entry;

	if (base->server || base->link.state != LINK_SYNC)
		return -EPROTO;
	if (!*path)
		return length ? -EPROTO : end_sync(base);
	if (!qdb_path_is_entry(path))
		return -EPROTO;
	entry = store_find(&base->store, path);
	if (entry && (entry->dirty || (entry->length == length &&
				       (!length || !memcmp(entry->value, value, length)))))
		entry->seen = true;
	else if (!link_pending(&base->link, path))
		return base_write(base, path, value, length, STORE_PEER);
	return 0;
}

static int handle(struct base *base, const struct qdb_header *header, const char *value)
{
	switch (header->type) {
	case QDB_CMD_WRITE:
		return received_write(base, header->path, value, header->length);
	case QDB_CMD_RM:
		return received_rm(base, header->path);
	case QDB_CMD_MULTIREAD:
		return send_all(base, header->path);
	case QDB_RESP_MULTIREAD:
		return received_entry(base, header->path, value, header->length);
	default:
		return confirmed(base, header->type, header->path);
	}
}

bool link_serve(struct base *base)
{
	struct link *link = &base->link;
	struct qdb_header header;
	const char *value;
	int rc = 0;

	for (int i = 0; i < TURN_MAX && link->state != LINK_DOWN && !link->broken; i++) {
		rc = stream_receive(&link->stream, QDB_LINK, &header, &value);
		if (rc == 0)
			return false;
		if (rc > 0)
			rc = handle(base, &header, value);
		/* Out of step with a peer that does not read, out of memory, out of the protocol: begin anew. */
		if (rc < 0) {
			if (rc != -EPIPE)
				report(base, "the link ends", strerror(-rc));
			link->broken = true;
		}
	}
	return true;
}

void link_start(struct base *base, libvchan_t *vchan)
{
	struct link *link = &base->link;

	stream_finish(&link->stream);
	stream_init(&link->stream, vchan, -1);
	link->state = LINK_WAITING;
	link->broken = false;
	if (base->server)
		return;
	for (size_t i = 0; i < base->store.count; i++)
		base->store.entries[i]->seen = false;
	link->state = LINK_SYNC;
	if (stream_send(&link->stream, QDB_CMD_MULTIREAD, "", NULL, 0))
		link->broken = true;
}

void link_drop(struct base *base)
{
	struct link *link = &base->link;

	stream_finish(&link->stream);
	link->state = LINK_DOWN;
	link->broken = false;
	/* What the peer has not confirmed it may not have. */
	for (; link->pending_count; link->pending_count--) {
		struct entry *entry = store_find(&base->store, link->pending[link->pending_first]);

		if (entry)
			entry->dirty = true;
		link->pending_first = (link->pending_first + 1) % PENDING_MAX;
	}
}
