// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: what the daemon makes of a hostile peer and of programs. The input is a byte of flags, then pieces: a
// byte that says whose they are and how long, and as many bytes. After each the books have to be right.
// links: qubesdb/base.c qubesdb/client.c qubesdb/link.c qubesdb/store.c qubesdb/stream.c qrexec/lib/endpoint.c qubesdb/wire.c
// links: vchan/libvchan.c vchan/local.c vchan/pace.c vchan/rendezvous.c vchan/shm.c vchan/uri.c vchan/xen.c
// links: vchan/xen_dev.c vchan/xs.c vchan/end.c
#include <stdlib.h>
#include <string.h>

#include "../../qubesdb/base.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check(const struct base *base)
{
	size_t counts[STORE_OWNERS] = {0}, bytes[STORE_OWNERS] = {0};

	for (size_t i = 0; i < base->store.count; i++) {
		const struct entry *entry = base->store.entries[i];

		require(qdb_path_valid(entry->path, QDB_PATH_SIZE) &&
			qdb_path_is_entry(entry->path) && entry->length <= QDB_DATA_MAX);
		require(!memchr(entry->value, '\0', entry->length));
		require(!i || strcmp(base->store.entries[i - 1]->path, entry->path) < 0);
		counts[entry->owner]++;
		bytes[entry->owner] += strlen(entry->path) + entry->length;
	}
	for (int owner = 0; owner < STORE_OWNERS; owner++)
		require(counts[owner] == base->store.counts[owner] &&
			bytes[owner] == base->store.bytes[owner]);
	require(base->link.pending_count <= PENDING_MAX);
	require(base->link.stream.out_length <= STREAM_OUT_MAX);
}

static void feed(struct base *base, struct client *client, const uint8_t *data, size_t size)
{
	struct stream *stream = client ? &client->stream : &base->link.stream;

	while (size) {
		size_t n = stream_feed(stream, data, size);

		data += n;
		size -= n;
		if (client && client_serve(base, client) && client->broken)
			return;
		if (!client && link_serve(base) && base->link.broken)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct base base;
	size_t at = 1;

	if (!size || base_init(&base, "fuzz", data[0] & 1))
		return 0;
	link_start(&base, NULL);
	require(client_add(&base, -1, true) && client_add(&base, -1, data[0] & 2));
	while (at < size) {
		unsigned int who = data[at] >> 6;
		size_t length = (data[at] & 0x3f) ? (data[at] & 0x3f) : sizeof(struct qdb_header);

		at++;
		if (length > size - at)
			length = size - at;
		if (who < 2 && base.clients[who].used)
			feed(&base, &base.clients[who], data + at, length);
		else if (who >= 2)
			feed(&base, NULL, data + at, length);
		at += length;
		check(&base);
		for (size_t i = 0; i < 2; i++)
			if (base.clients[i].used && base.clients[i].broken)
				client_drop(&base.clients[i]);
		if (base.link.broken) {
			link_drop(&base);
			link_start(&base, NULL);
		}
	}
	base_finish(&base);
	return 0;
}
