// SPDX-License-Identifier: GPL-2.0-or-later
// QubesDB without a transport: paths, quotas, and what a daemon makes of the messages of its peer and of programs.
// links: qubesdb/base.c qubesdb/client.c qubesdb/link.c qubesdb/store.c qubesdb/stream.c qrexec/lib/endpoint.c qubesdb/wire.c
// links: vchan/libvchan.c vchan/local.c vchan/pace.c vchan/rendezvous.c vchan/shm.c vchan/uri.c vchan/xen.c
// links: vchan/xen_dev.c vchan/xs.c vchan/end.c
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../qubesdb/base.h"

static struct base base;

static int server(void **state)
{
	(void)state;
	if (base_init(&base, "work", true))
		return -1;
	link_start(&base, NULL);
	return 0;
}

static int qube(void **state)
{
	(void)state;
	if (base_init(&base, "dom0", false))
		return -1;
	link_start(&base, NULL);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	base_finish(&base);
	return 0;
}

static void feed(struct stream *stream, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size) {
		size_t n = stream_feed(stream, at, size);

		at += n;
		size -= n;
		if (stream == &base.link.stream)
			link_serve(&base);
		else
			client_serve(&base, &base.clients[0]);
	}
}

static void say(struct stream *stream, enum qdb_type type, const char *path, const char *value)
{
	struct qdb_header header;

	qdb_header_set(&header, type, path, (uint32_t)strlen(value));
	feed(stream, &header, sizeof(header));
	feed(stream, value, strlen(value));
}

/* What has been sent since the last call, as "type path value;…". */
static const char *sent(struct stream *stream)
{
	static const char *const names[] = {"read",  "write",	"multiread", "list",  "rm",
					    "watch", "unwatch", "ok",	     "noent", "error",
					    "value", "entry",	"name",	     "event"};
	static char text[4096];
	size_t at = 0;

	text[0] = '\0';
	while (at < stream->out_length) {
		struct qdb_header header;
		const uint8_t *message = stream->out + stream->out_start + at;

		memcpy(&header, message, sizeof(header));
		assert_memory_equal(header.zero, "\0\0\0", 3);
		sprintf(text + strlen(text), "%s %s%s%.*s;", names[header.type], header.path,
			header.length ? " " : "", (int)header.length,
			(const char *)message + sizeof(header));
		at += sizeof(header) + header.length;
	}
	assert_int_equal(at, stream->out_length);
	stream->out_length = stream->out_start = 0;
	return text;
}

#define link_sent()   sent(&base.link.stream)
#define client_sent() sent(&base.clients[0].stream)
#define peer(...)     say(&base.link.stream, __VA_ARGS__)
#define program(...)  say(&base.clients[0].stream, __VA_ARGS__)

static const char *value_of(const char *path)
{
	const struct entry *entry = store_find(&base.store, path);

	return entry ? entry->value : "(none)";
}

static void test_paths(void **state)
{
	char long_path[QDB_PATH_SIZE + 1];

	(void)state;
	memset(long_path, 'a', sizeof(long_path));
	long_path[QDB_PATH_SIZE] = '\0';
	assert_false(qdb_path_valid(long_path, sizeof(long_path)));
	assert_false(qdb_path_valid(long_path, QDB_PATH_SIZE));
	long_path[QDB_PATH_SIZE - 1] = '\0';
	assert_true(qdb_path_valid(long_path, QDB_PATH_SIZE));
	assert_true(qdb_path_valid("/a-Z_0.9:@", QDB_PATH_SIZE));
	assert_true(qdb_path_valid("", QDB_PATH_SIZE));
	for (const char *bad = " \n\t\\\"'*?#~+=,;%$()[]{}<>|&!^`\x7f\x80\xff"; *bad; bad++) {
		char path[] = {'/', *bad, '\0'};

		assert_false(qdb_path_valid(path, sizeof(path)));
	}
	assert_false(qdb_path_valid("-a", 3));
	assert_true(qdb_path_covers("/a/", "/a/b"));
	assert_false(qdb_path_covers("/a/", "/a"));
	assert_false(qdb_path_covers("/a", "/a/b"));
	assert_true(qdb_path_covers("/a", "/a"));
}

static void test_headers(void **state)
{
	static const enum qdb_type link_types[] = {QDB_CMD_WRITE,  QDB_CMD_MULTIREAD,
						   QDB_CMD_RM,	   QDB_RESP_OK,
						   QDB_RESP_ERROR, QDB_RESP_MULTIREAD};
	struct qdb_header header;

	(void)state;
	for (unsigned int type = 0; type < 256; type++) {
		bool link = false;

		for (size_t i = 0; i < sizeof(link_types) / sizeof(link_types[0]); i++)
			link |= type == link_types[i];
		qdb_header_set(&header, type, "/a", 0);
		assert_int_equal(qdb_header_check(&header, QDB_LINK), link ? 0 : -EPROTO);
		assert_int_equal(qdb_header_check(&header, QDB_LOCAL),
				 type <= QDB_CMD_UNWATCH ? 0 : -EPROTO);
		assert_int_equal(qdb_header_check(&header, QDB_PROGRAM),
				 type >= QDB_RESP_OK && type <= QDB_RESP_WATCH ? 0 : -EPROTO);
	}
	qdb_header_set(&header, QDB_CMD_WRITE, "/a", QDB_DATA_MAX);
	assert_int_equal(qdb_header_check(&header, QDB_LINK), 0);
	header.length = QDB_DATA_MAX + 1;
	assert_int_equal(qdb_header_check(&header, QDB_LINK), -EPROTO);
	qdb_header_set(&header, QDB_CMD_RM, "/a", 1);
	assert_int_equal(qdb_header_check(&header, QDB_LINK), -EPROTO);
	qdb_header_set(&header, QDB_CMD_RM, "/a b", 0);
	assert_int_equal(qdb_header_check(&header, QDB_LINK), -EINVAL);
	memset(header.path, 'a', sizeof(header.path));
	assert_int_equal(qdb_header_check(&header, QDB_LINK), -EINVAL);
}

static void test_qube_gets_all_once(void **state)
{
	(void)state;
	base_write(&base, "/b", "2", 1, STORE_LOCAL);
	base_write(&base, "/a", "1", 1, STORE_LOCAL);
	base_write(&base, "/c", "", 0, STORE_LOCAL);
	/* Before the qube has asked, it is told nothing. */
	link_push(&base, QDB_CMD_WRITE, "/a", store_find(&base.store, "/a"));
	assert_string_equal(link_sent(), "");
	peer(QDB_CMD_MULTIREAD, "", "");
	assert_string_equal(link_sent(), "entry /c;entry /b 2;entry /a 1;entry ;");
	assert_int_equal(base.link.state, LINK_LIVE);
	peer(QDB_CMD_MULTIREAD, "", "");
	assert_true(base.link.broken);
}

static void test_changes_go_both_ways(void **state)
{
	(void)state;
	assert_true(client_add(&base, -1, true));
	peer(QDB_CMD_MULTIREAD, "", "");
	link_sent();
	program(QDB_CMD_WATCH, "/d/", "");
	program(QDB_CMD_WATCH, "/d/x", "");
	assert_string_equal(client_sent(), "ok /d/;ok /d/x;");
	peer(QDB_CMD_WRITE, "/d/x", "qube");
	assert_string_equal(link_sent(), "ok /d/x;");
	assert_string_equal(client_sent(), "event /d/x;event /d/x;");
	program(QDB_CMD_WRITE, "/d/y", "dom0");
	assert_string_equal(client_sent(), "ok /d/y;event /d/y;");
	assert_string_equal(link_sent(), "write /d/y dom0;");
	peer(QDB_RESP_OK, "/d/y", "");
	program(QDB_CMD_UNWATCH, "/d/x", "");
	program(QDB_CMD_UNWATCH, "/d/x", "");
	assert_string_equal(client_sent(), "ok /d/x;noent /d/x;");
	program(QDB_CMD_MULTIREAD, "/d", "");
	assert_string_equal(client_sent(), "entry /d/x qube;entry /d/y dom0;entry ;");
	program(QDB_CMD_LIST, "/d/y", "");
	assert_string_equal(client_sent(), "name /d/y;name ;");
	program(QDB_CMD_READ, "/d/x", "");
	program(QDB_CMD_READ, "/d/", "");
	assert_string_equal(client_sent(), "value /d/x qube;noent /d/;");
	program(QDB_CMD_RM, "/d/", "");
	assert_string_equal(client_sent(), "ok /d/;event /d/x;event /d/y;");
	assert_string_equal(link_sent(), "rm /d/;");
	program(QDB_CMD_RM, "/d/", "");
	assert_string_equal(client_sent(), "noent /d/;");
	assert_string_equal(link_sent(), "");
	peer(QDB_RESP_OK, "/d/", "");
	assert_false(base.link.broken);
	/* A confirmation of nothing. */
	peer(QDB_RESP_OK, "/d/", "");
	assert_true(base.link.broken);
}

static void test_programs_that_may_not_or_ask_nonsense(void **state)
{
	struct qdb_header header;

	(void)state;
	assert_true(client_add(&base, -1, false));
	program(QDB_CMD_WRITE, "/a", "1");
	program(QDB_CMD_RM, "/a", "");
	assert_string_equal(client_sent(), "error /a;error /a;");
	base.clients[0].writer = true;
	program(QDB_CMD_WRITE, "/a/", "1");
	program(QDB_CMD_WRITE, "", "1");
	program(QDB_CMD_RM, "", "");
	program(QDB_CMD_WATCH, "", "");
	assert_string_equal(client_sent(), "error /a/;error ;error ;error ;");
	/* A value with a NUL and a bad path: an error, and the next message is understood. */
	qdb_header_set(&header, QDB_CMD_WRITE, "/a", 3);
	feed(&base.clients[0].stream, &header, sizeof(header));
	feed(&base.clients[0].stream, "x\0y", 3);
	program(QDB_CMD_WRITE, "/a b", "1");
	program(QDB_CMD_WRITE, "/a", "1");
	assert_string_equal(client_sent(), "error ;error ;ok /a;");
	for (int i = 0; i < WATCHES_MAX; i++)
		program(QDB_CMD_WATCH, "/w", "");
	base.clients[0].stream.out_length = base.clients[0].stream.out_start = 0;
	program(QDB_CMD_WATCH, "/w", "");
	assert_string_equal(client_sent(), "error /w;");
	assert_false(base.clients[0].broken);
	program(QDB_RESP_OK, "/w", "");
	assert_true(base.clients[0].broken);
}

/* Each of these ends the link, and none changes anything. */
static void test_hostile_messages(void **state)
{
	static const struct {
		enum qdb_type type;
		const char *path, *value;
	} messages[] = {{QDB_CMD_READ, "/a", ""},	 {QDB_CMD_LIST, "", ""},
			{QDB_CMD_WATCH, "/", ""},	 {QDB_CMD_UNWATCH, "/", ""},
			{QDB_RESP_MULTIREAD, "/a", "x"}, {QDB_RESP_MULTIREAD, "", ""},
			{QDB_RESP_OK, "/a", ""},	 {QDB_RESP_ERROR, "/a", ""},
			{QDB_CMD_WRITE, "", "x"},	 {QDB_CMD_WRITE, "/a/", "x"},
			{QDB_CMD_WRITE, "/a b", "x"},	 {QDB_CMD_RM, "", ""},
			{QDB_CMD_RM, "/\x1b[2J", ""},	 {QDB_CMD_MULTIREAD, "/", ""},
			{QDB_RESP_WATCH, "/a", ""},	 {200, "/a", ""},
			{QDB_RESP_ERROR_NOENT, "/a", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		assert_false(base.link.broken);
		peer(messages[i].type, messages[i].path, messages[i].value);
		assert_true(base.link.broken);
		assert_int_equal(base.store.count, 0);
		link_drop(&base);
		link_start(&base, NULL);
	}
}

static void test_quota_of_the_qube(void **state)
{
	char path[32], *large = malloc(QDB_DATA_MAX + 1);

	(void)state;
	memset(large, 'x', QDB_DATA_MAX);
	large[QDB_DATA_MAX] = '\0';
	peer(QDB_CMD_MULTIREAD, "", "");
	for (unsigned int i = 0; i < STORE_ENTRIES_MAX; i++) {
		sprintf(path, "/q/%u", i);
		peer(QDB_CMD_WRITE, path, "");
	}
	assert_int_equal(base.store.count, STORE_ENTRIES_MAX);
	base.link.stream.out_length = base.link.stream.out_start = 0;
	peer(QDB_CMD_WRITE, "/one-more", "");
	peer(QDB_CMD_WRITE, "/q/7", "again");
	assert_string_equal(link_sent(), "error /one-more;ok /q/7;");
	assert_int_equal(base.store.count, STORE_ENTRIES_MAX);
	/* dom0's own part is not the qube's. */
	assert_int_equal(base_write(&base, "/dom0", "x", 1, STORE_LOCAL), 0);
	peer(QDB_CMD_RM, "/q/", "");
	assert_string_equal(link_sent(), "ok /q/;");
	assert_int_equal(base.store.count, 1);
	for (unsigned int i = 0; i < STORE_BYTES_MAX / (QDB_DATA_MAX + 8); i++) {
		sprintf(path, "/large%04u", i);
		peer(QDB_CMD_WRITE, path, large);
	}
	base.link.stream.out_length = base.link.stream.out_start = 0;
	peer(QDB_CMD_WRITE, "/too-large", large);
	assert_string_equal(link_sent(), "error /too-large;");
	assert_true(base.store.bytes[STORE_PEER] <= STORE_BYTES_MAX);
	/* A qube that takes over an entry of dom0 pays for it. */
	peer(QDB_CMD_WRITE, "/dom0", large);
	assert_string_equal(link_sent(), "error /dom0;");
	assert_string_equal(value_of("/dom0"), "x");
	free(large);
}

/* A qube that writes and never reads the confirmations. */
static void test_peer_that_does_not_read(void **state)
{
	unsigned int messages = 0;

	(void)state;
	peer(QDB_CMD_MULTIREAD, "", "");
	while (!base.link.broken && messages < 1000000) {
		peer(QDB_CMD_WRITE, "/a", "x");
		messages++;
	}
	assert_true(base.link.broken);
	assert_true(base.link.stream.out_room <= 2 * STREAM_OUT_MAX);
	/* The other way round: changes that are never confirmed. */
	link_drop(&base);
	link_start(&base, NULL);
	peer(QDB_CMD_MULTIREAD, "", "");
	for (unsigned int i = 0; i <= PENDING_MAX; i++) {
		assert_false(base.link.broken);
		base.link.stream.out_length = base.link.stream.out_start = 0;
		link_push(&base, QDB_CMD_RM, "/x", NULL);
	}
	assert_true(base.link.broken);
}

static void write_locally(const char *path, const char *value)
{
	assert_int_equal(base_write(&base, path, value, (uint32_t)strlen(value), STORE_LOCAL), 0);
	link_push(&base, QDB_CMD_WRITE, path, store_find(&base.store, path));
}

/* Both sides change an entry at a time: dom0 keeps its own, which the qube gets later than its own. */
static void test_crossing_changes_in_dom0(void **state)
{
	(void)state;
	peer(QDB_CMD_MULTIREAD, "", "");
	write_locally("/a", "dom0");
	peer(QDB_CMD_WRITE, "/a", "qube");
	assert_string_equal(value_of("/a"), "dom0");
	peer(QDB_CMD_RM, "/a", "");
	assert_string_equal(value_of("/a"), "dom0");
	peer(QDB_RESP_OK, "/a", "");
	peer(QDB_CMD_WRITE, "/a", "qube");
	assert_string_equal(value_of("/a"), "qube");
	/* A subtree that dom0 removes while the qube writes into it, and the other way round. */
	base_remove(&base, "/", NULL);
	link_push(&base, QDB_CMD_RM, "/", NULL);
	peer(QDB_CMD_WRITE, "/b", "qube");
	assert_string_equal(value_of("/b"), "(none)");
	peer(QDB_RESP_OK, "/", "");
	peer(QDB_CMD_WRITE, "/c/1", "qube");
	write_locally("/c/2", "dom0");
	peer(QDB_CMD_RM, "/c/", "");
	assert_string_equal(value_of("/c/1"), "(none)");
	assert_string_equal(value_of("/c/2"), "dom0");
	assert_false(base.link.broken);
}

static void test_qube_synchronises(void **state)
{
	(void)state;
	assert_true(client_add(&base, -1, true));
	program(QDB_CMD_WATCH, "/", "");
	client_sent();
	assert_string_equal(link_sent(), "multiread ;");
	peer(QDB_RESP_MULTIREAD, "/name", "work");
	peer(QDB_RESP_MULTIREAD, "/gone", "x");
	assert_int_equal(base.link.state, LINK_SYNC);
	peer(QDB_RESP_MULTIREAD, "", "");
	assert_int_equal(base.link.state, LINK_LIVE);
	assert_string_equal(client_sent(), "event /name;event /gone;");
	program(QDB_CMD_WRITE, "/mine", "1");
	program(QDB_CMD_WRITE, "/unconfirmed", "1");
	assert_string_equal(link_sent(), "write /mine 1;write /unconfirmed 1;");
	peer(QDB_RESP_OK, "/mine", "");
	/* Without a link, things change on both sides. */
	link_drop(&base);
	program(QDB_CMD_WRITE, "/late", "2");
	program(QDB_CMD_WRITE, "/name", "renamed");
	client_sent();
	link_start(&base, NULL);
	assert_string_equal(link_sent(), "multiread ;");
	peer(QDB_RESP_MULTIREAD, "/name", "work");
	peer(QDB_RESP_MULTIREAD, "/mine", "1");
	peer(QDB_RESP_MULTIREAD, "/new", "x");
	peer(QDB_RESP_MULTIREAD, "", "");
	assert_string_equal(client_sent(), "event /new;event /gone;");
	assert_string_equal(link_sent(), "write /late 2;write /name renamed;write /unconfirmed 1;");
	assert_string_equal(value_of("/gone"), "(none)");
	assert_string_equal(value_of("/name"), "renamed");
	assert_string_equal(value_of("/new"), "x");
	peer(QDB_RESP_MULTIREAD, "/after", "x");
	assert_true(base.link.broken);
}

/* What the qube changes while the entries are coming is later than they are. */
static void test_changes_during_synchronisation(void **state)
{
	(void)state;
	assert_true(client_add(&base, -1, true));
	assert_string_equal(link_sent(), "multiread ;");
	peer(QDB_RESP_MULTIREAD, "/b", "1");
	program(QDB_CMD_WRITE, "/a", "mine");
	program(QDB_CMD_RM, "/b", "");
	peer(QDB_RESP_MULTIREAD, "/a", "old");
	peer(QDB_RESP_MULTIREAD, "", "");
	assert_string_equal(link_sent(), "write /a mine;rm /b;");
	assert_string_equal(value_of("/a"), "mine");
	assert_string_equal(value_of("/b"), "(none)");
	peer(QDB_RESP_OK, "/a", "");
	peer(QDB_RESP_OK, "/b", "");
	assert_false(base.link.broken);
	/* Of a qube, dom0 cannot ask for the entries. */
	peer(QDB_CMD_MULTIREAD, "", "");
	assert_true(base.link.broken);
}

/* What a qube holds is what both sides have written in dom0. */
static void test_full_database_fits_in_a_qube(void **state)
{
	char path[32];

	(void)state;
	for (unsigned int i = 0; i < 2 * STORE_ENTRIES_MAX; i++) {
		sprintf(path, "/%u", i);
		peer(QDB_RESP_MULTIREAD, path, "");
	}
	peer(QDB_RESP_MULTIREAD, "", "");
	assert_int_equal(base.store.count, 2 * STORE_ENTRIES_MAX);
	assert_int_equal(base.link.state, LINK_LIVE);
}

int main(void)
{
#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, finish)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_headers),
		WITH(server, test_qube_gets_all_once),
		WITH(server, test_changes_go_both_ways),
		WITH(server, test_programs_that_may_not_or_ask_nonsense),
		WITH(server, test_hostile_messages),
		WITH(server, test_quota_of_the_qube),
		WITH(server, test_peer_that_does_not_read),
		WITH(server, test_crossing_changes_in_dom0),
		WITH(qube, test_qube_synchronises),
		WITH(qube, test_changes_during_synchronisation),
		WITH(qube, test_full_database_fits_in_a_qube),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
