// SPDX-License-Identifier: GPL-2.0-or-later
// The GUI protocol: headers, versions, channel with handshake, shared pages; both ends in one process.
// links: gui/common/protocol.c gui/common/channel.c gui/common/grant.c gui/common/grant_local.c
// links: gui/common/map_local.c gui/common/grant_xen.c vchan/libvchan.c vchan/local.c vchan/pace.c
// links: vchan/rendezvous.c vchan/shm.c vchan/uri.c vchan/xen.c vchan/xen_dev.c vchan/xs.c vchan/end.c
// libs: -lxengnttab
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../gui/common/channel.h"
#include "../../gui/common/grant.h"
#include "../../vchan/libvchan.h"

#define AGENT_DOMAIN  7
#define DAEMON_DOMAIN 0

static char place[64], agent_uri[128], daemon_uri[128];

static int setup(void **state)
{
	(void)state;
	strcpy(place, "/tmp/test-gui.XXXXXX");
	if (!mkdtemp(place))
		return -1;
	snprintf(agent_uri, sizeof(agent_uri), "local:%s?domain=%d", place, AGENT_DOMAIN);
	snprintf(daemon_uri, sizeof(daemon_uri), "local:%s?domain=%d", place, DAEMON_DOMAIN);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", place);
	return system(command);
}

/* What one end has seen. */
struct seen {
	uint32_t version;
	struct gui_screen screen;
	unsigned int messages;
	struct gui_header last;
	uint8_t body[1024];
	int answer;
};

static int on_ready(void *ctx, uint32_t version, const struct gui_screen *screen)
{
	struct seen *seen = ctx;

	seen->version = version;
	seen->screen = *screen;
	return 0;
}

static int on_message(void *ctx, const struct gui_header *header, const void *body)
{
	struct seen *seen = ctx;

	assert_int_equal((uintptr_t)body % 8, 0);
	seen->messages++;
	seen->last = *header;
	memcpy(seen->body, body, header->length < 1024 ? header->length : 1024);
	return seen->answer;
}

static const struct gui_channel_ops ops = {.ready = on_ready, .message = on_message};
static const struct gui_screen screen = {1920, 1080, 24, 8101};

struct pair {
	struct gui_channel *agent, *daemon;
	struct seen at_agent, at_daemon;
};

/*
 * Both ends in turns, until neither has anything to do. Returns the first error. The time is for libvchan's
 * timers that moderate events, at most a few 100 µs: these expire in the kernel, whoever runs.
 */
static int run(struct pair *pair)
{
	struct pollfd fds[2] = {{.fd = gui_channel_fd(pair->agent), .events = POLLIN},
				{.fd = gui_channel_fd(pair->daemon), .events = POLLIN}};
	int rc_agent, rc_daemon;

	do {
		rc_agent = gui_channel_dispatch(pair->agent, 3);
		rc_daemon = gui_channel_dispatch(pair->daemon, 3);
		if (rc_agent < 0 || rc_daemon < 0)
			return rc_agent < 0 ? rc_agent : rc_daemon;
	} while (rc_agent || rc_daemon || poll(fds, 2, 50) > 0);
	return 0;
}

static void open_pair(struct pair *pair, uint32_t agent_version, uint32_t daemon_version)
{
	memset(pair, 0, sizeof(*pair));
	assert_int_equal(gui_channel_listen(agent_uri, DAEMON_DOMAIN, agent_version, &ops,
					    &pair->at_agent, &pair->agent),
			 0);
	assert_int_equal(gui_channel_connect(daemon_uri, AGENT_DOMAIN, daemon_version, &screen,
					     &ops, &pair->at_daemon, &pair->daemon),
			 0);
}

static void close_pair(struct pair *pair)
{
	gui_channel_destroy(pair->agent);
	gui_channel_destroy(pair->daemon);
}

static void test_versions(void **state)
{
	struct pair pair;
	uint32_t minor;

	(void)state;
	for (minor = 0; minor <= 9; minor++) {
		open_pair(&pair, GUI_VERSION(1, minor), GUI_VERSION_OWN);
		assert_int_equal(run(&pair), 0);
		assert_int_equal(pair.at_daemon.version, GUI_VERSION(1, minor < 8 ? minor : 8));
		assert_int_equal(pair.at_agent.version, pair.at_daemon.version);
		assert_memory_equal(&pair.at_agent.screen, &screen, sizeof(screen));
		assert_int_equal(gui_channel_version(pair.agent), pair.at_agent.version);
		close_pair(&pair);
	}
	open_pair(&pair, GUI_VERSION(2, 0), GUI_VERSION_OWN);
	assert_int_equal(run(&pair), -EPROTONOSUPPORT);
	assert_non_null(strstr(gui_channel_problem(pair.daemon), "0x20000"));
	assert_int_equal(gui_channel_send(pair.daemon, GUI_CLOSE, 1, NULL, 0), -ENOTCONN);
	close_pair(&pair);
	/* A daemon from before the negotiation: its screen is no version. */
	assert_false(gui_version_acceptable(1920, GUI_VERSION_OWN));
	assert_false(gui_version_acceptable(GUI_VERSION(1, 3), GUI_VERSION_OWN));
	assert_false(gui_version_acceptable(GUI_VERSION(1, 9), GUI_VERSION_OWN));
	assert_true(gui_version_acceptable(GUI_VERSION(1, 4), GUI_VERSION_OWN));
}

static void test_messages(void **state)
{
	struct gui_create create = {.x = -5, .y = 6, .width = 300, .height = 200};
	struct gui_key key = {.type = GUI_EVENT_PRESS, .keycode = 38};
	uint32_t *refs = calloc(GUI_MAX_PAGES, sizeof(*refs));
	struct gui_dump dump = {.width = GUI_MAX_WIDTH, .height = GUI_MAX_HEIGHT, .bpp = 24};
	struct pair pair;
	unsigned int i;

	(void)state;
	open_pair(&pair, GUI_VERSION_OWN, GUI_VERSION_OWN);
	assert_int_equal(run(&pair), 0);
	assert_int_equal(gui_channel_send(pair.agent, GUI_CREATE, 9, &create, sizeof(create)), 0);
	for (i = 0; i < 100; i++)
		assert_int_equal(gui_channel_send(pair.daemon, GUI_KEYPRESS, 9, &key, sizeof(key)),
				 0);
	assert_int_equal(run(&pair), 0);
	assert_int_equal(pair.at_daemon.messages, 1);
	assert_int_equal(pair.at_daemon.last.window, 9);
	assert_memory_equal(pair.at_daemon.body, &create, sizeof(create));
	assert_int_equal(pair.at_agent.messages, 100);
	/* The longest message there is, larger than the ring. */
	assert_int_equal(gui_channel_send_two(pair.agent, GUI_WINDOW_DUMP, 9, &dump, sizeof(dump),
					      refs, sizeof(*refs) * GUI_MAX_PAGES),
			 0);
	assert_true(gui_channel_queued(pair.agent) > 0);
	assert_int_equal(run(&pair), 0);
	assert_int_equal(gui_channel_queued(pair.agent), 0);
	assert_int_equal(pair.at_daemon.last.length, GUI_BODY_MAX);
	/* An unknown type is skipped by an agent, with its body. */
	assert_int_equal(gui_channel_send(pair.daemon, 200, 9, refs, 50000), 0);
	assert_int_equal(gui_channel_send(pair.daemon, GUI_CLOSE, 9, NULL, 0), 0);
	assert_int_equal(run(&pair), 0);
	assert_int_equal(pair.at_agent.messages, 101);
	assert_int_equal(pair.at_agent.last.type, GUI_CLOSE);
	/* It ends the session of a daemon. */
	assert_int_equal(gui_channel_send(pair.agent, 200, 9, refs, 4), 0);
	assert_int_equal(run(&pair), -EPROTO);
	assert_int_equal(gui_channel_dispatch(pair.daemon, 1), -EPROTO);
	close_pair(&pair);
	free(refs);
}

static void test_hold(void **state)
{
	struct gui_damage damage = {.width = 1, .height = 1};
	struct pair pair;
	int i;

	(void)state;
	open_pair(&pair, GUI_VERSION_OWN, GUI_VERSION_OWN);
	assert_int_equal(run(&pair), 0);
	gui_channel_hold(pair.agent);
	gui_channel_hold(pair.agent);
	for (i = 0; i < 5; i++)
		assert_int_equal(gui_channel_send(pair.agent, GUI_SHMIMAGE, 9, &damage,
						  sizeof(damage)),
				 0);
	assert_int_equal(gui_channel_release(pair.agent), 0);
	/* Reading and answering does not let them out before the outer release. */
	assert_int_equal(run(&pair), 0);
	assert_int_equal(pair.at_daemon.messages, 0);
	assert_int_equal(gui_channel_release(pair.agent), 0);
	assert_int_equal(gui_channel_queued(pair.agent), 0);
	assert_int_equal(run(&pair), 0);
	assert_int_equal(pair.at_daemon.messages, 5);
	close_pair(&pair);
}

static void test_queue_limit(void **state)
{
	struct gui_key key = {.type = GUI_EVENT_PRESS};
	struct pair pair;
	unsigned int sent = 0;

	(void)state;
	open_pair(&pair, GUI_VERSION_OWN, GUI_VERSION_OWN);
	assert_int_equal(run(&pair), 0);
	while (!gui_channel_send(pair.daemon, GUI_KEYPRESS, 1, &key, sizeof(key)))
		sent++;
	assert_int_equal(gui_channel_send(pair.daemon, GUI_KEYPRESS, 1, &key, sizeof(key)),
			 -ENOBUFS);
	assert_true(sent >= GUI_CHANNEL_QUEUE_MAX / 32);
	/* All of what was accepted arrives, in whole messages. */
	assert_int_equal(run(&pair), 0);
	assert_int_equal(pair.at_agent.messages, sent);
	/* The peer is gone: its last words are heard first. */
	assert_int_equal(gui_channel_send(pair.agent, GUI_UNMAP, 1, NULL, 0), 0);
	gui_channel_destroy(pair.agent);
	pair.agent = NULL;
	assert_int_equal(gui_channel_dispatch(pair.daemon, 10), -EPIPE);
	assert_int_equal(pair.at_daemon.last.type, GUI_UNMAP);
	assert_int_equal(gui_channel_send(pair.daemon, GUI_CLOSE, 1, NULL, 0), -EPIPE);
	close_pair(&pair);
}

static int check(uint32_t version, enum gui_side from, uint32_t type, uint32_t window,
		 uint32_t length, struct gui_header *ret_header)
{
	struct gui_header header = {type, window, length};

	return gui_header_check(version, from, &header, ret_header);
}

static void test_headers(void **state)
{
	static const struct {
		uint32_t type, agent, daemon;
	} lengths[] = {
		{GUI_KEYPRESS, -1u, 20},      {GUI_BUTTON, -1u, 20},
		{GUI_MOTION, -1u, 16},	      {GUI_CROSSING, -1u, 28},
		{GUI_FOCUS, -1u, 12},	      {GUI_CREATE, 24, -1u},
		{GUI_DESTROY, 0, 0},	      {GUI_MAP, 8, 8},
		{GUI_UNMAP, 0, -1u},	      {GUI_CONFIGURE, 20, 20},
		{GUI_SHMIMAGE, 16, -1u},      {GUI_CLOSE, -1u, 0},
		{GUI_CLIPBOARD_REQ, -1u, 0},  {GUI_WMNAME, 128, -1u},
		{GUI_DOCK, 0, -1u},	      {GUI_WINDOW_HINTS, 36, -1u},
		{GUI_WINDOW_FLAGS, 8, 8},     {GUI_WMCLASS, 128, -1u},
		{GUI_CURSOR, 4, -1u},	      {GUI_WINDOW_DUMP_ACK, -1u, 0},
		{GUI_KEYMAP_NOTIFY, -1u, 32},
	};
	struct gui_header header;
	uint32_t length;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (length = 0; length < 300; length++) {
			int agent = check(GUI_VERSION_OWN, GUI_AGENT, lengths[i].type, 1, length,
					  &header);
			int daemon = check(GUI_VERSION_OWN, GUI_DAEMON, lengths[i].type, 1, length,
					   &header);

			assert_int_equal(agent, length == lengths[i].agent ? 0 : -EPROTO);
			assert_int_equal(daemon, lengths[i].daemon == -1u      ? -ENOENT
						 : length == lengths[i].daemon ? 0
									       : -EPROTO);
		}
		/* Before 1.6 the type alone says it. */
		if (lengths[i].agent != -1u) {
			assert_int_equal(check(GUI_VERSION(1, 5), GUI_AGENT, lengths[i].type, 1,
					       0xdeadbeef, &header),
					 0);
			assert_int_equal(header.length, lengths[i].agent);
		}
	}
	for (i = 0; i < 1000; i++)
		if (i < GUI_KEYPRESS || i > GUI_WINDOW_DUMP_ACK) {
			assert_int_equal(check(GUI_VERSION_OWN, GUI_AGENT, (uint32_t)i, 0, 0,
					       &header),
					 -EPROTO);
			assert_string_equal(gui_type_name((uint32_t)i), "unknown");
		}
}

static void test_variable_headers(void **state)
{
	struct gui_header header;
	uint32_t own = GUI_VERSION_OWN;

	(void)state;
	assert_int_equal(check(own, GUI_AGENT, GUI_WINDOW_DUMP, 1, 15, &header), -EPROTO);
	assert_int_equal(check(own, GUI_AGENT, GUI_WINDOW_DUMP, 1, 18, &header), -EPROTO);
	assert_int_equal(check(own, GUI_AGENT, GUI_WINDOW_DUMP, 1, 16, &header), 0);
	assert_int_equal(check(own, GUI_AGENT, GUI_WINDOW_DUMP, 1, GUI_BODY_MAX, &header), 0);
	assert_int_equal(check(own, GUI_AGENT, GUI_WINDOW_DUMP, 1, GUI_BODY_MAX + 4, &header),
			 -EPROTO);
	assert_int_equal(check(own, GUI_AGENT, GUI_MFNDUMP, 1, 32, &header), -EOPNOTSUPP);
	assert_int_equal(check(own, GUI_AGENT, GUI_CLIPBOARD_DATA, 1, 256001, &header), 0);
	assert_int_equal(check(own, GUI_AGENT, GUI_CLIPBOARD_DATA, 1, 256002, &header), -EMSGSIZE);
	assert_int_equal(check(own, GUI_DAEMON, GUI_CLIPBOARD_DATA, 1, 256001, &header), -EMSGSIZE);
	assert_int_equal(check(GUI_VERSION(1, 7), GUI_AGENT, GUI_CLIPBOARD_DATA, 1, 65000, &header),
			 0);
	assert_int_equal(check(GUI_VERSION(1, 7), GUI_AGENT, GUI_CLIPBOARD_DATA, 1, 65001, &header),
			 -EMSGSIZE);
	assert_int_equal(check(GUI_VERSION(1, 1), GUI_AGENT, GUI_CLIPBOARD_DATA, 77, 5, &header),
			 0);
	assert_int_equal(header.length, 77);
	assert_int_equal(header.window, 0);
	assert_int_equal(check(GUI_VERSION(1, 1), GUI_AGENT, GUI_CLIPBOARD_DATA, 65001, 5, &header),
			 -EMSGSIZE);
	assert_int_equal(gui_pages_of_image(GUI_MAX_WIDTH, GUI_MAX_HEIGHT), 98304);
	assert_int_equal(gui_pages_of_image(GUI_MAX_WIDTH + 1, 1), 0);
	assert_int_equal(gui_pages_of_image(0, 5), 0);
	assert_int_equal(gui_pages_of_image(1, 1), 1);
	assert_int_equal(gui_pages_of_image(1024, 1), 1);
	assert_int_equal(gui_pages_of_image(1025, 1), 2);
	assert_int_equal(gui_screen_mem(1920, 1080), 8101);
}

static void test_pages(void **state)
{
	struct gui_mapping *mapping, *other, *third;
	struct gui_grants *grants;
	struct gui_buffer *one, *two;
	struct gui_maps *maps;
	uint32_t refs[4], bad;

	(void)state;
	assert_int_equal(gui_grants_create(agent_uri, DAEMON_DOMAIN, &grants), 0);
	assert_int_equal(gui_buffer_create(grants, 3, &one), 0);
	assert_int_equal(gui_buffer_create(grants, 0, &two), -EINVAL);
	assert_int_equal(gui_buffer_create(grants, GUI_MAX_PAGES + 1, &two), -EINVAL);
	assert_true(gui_grants_attach(grants) < 0);
	assert_int_equal(gui_maps_create(daemon_uri, AGENT_DOMAIN, 10, &maps), 0);
	/* Buffers from before the daemon came, and after. */
	assert_int_equal(gui_grants_attach(grants), 0);
	assert_int_equal(gui_buffer_create(grants, 2, &two), 0);
	memset(one->data, 'A', one->bytes);
	memset(two->data, 'B', two->bytes);
	assert_int_equal(gui_mapping_create(maps, one->refs, 3, &mapping), 0);
	assert_memory_equal((const void *)mapping->data, one->data, one->bytes);
	((char *)one->data)[4096] = 'C';
	assert_int_equal(((const volatile char *)mapping->data)[4096], 'C');
	/* Any order of pages. */
	refs[0] = two->refs[1];
	refs[1] = one->refs[1];
	refs[2] = one->refs[2];
	refs[3] = two->refs[1];
	assert_int_equal(gui_mapping_create(maps, refs, 4, &other), 0);
	assert_int_equal(((const volatile char *)other->data)[0], 'B');
	assert_int_equal(((const volatile char *)other->data)[4096], 'C');
	assert_int_equal(((const volatile char *)other->data)[3 * 4096], 'B');
	assert_int_equal(gui_mapping_create(maps, refs, 4, &third), -EDQUOT);
	bad = one->refs[2] + 1;
	assert_int_equal(gui_mapping_create(maps, &bad, 1, &third), -EINVAL);
	bad = 0;
	assert_int_equal(gui_mapping_create(maps, &bad, 1, &third), -EINVAL);
	/* What is mapped stays, what is not can no longer be. */
	gui_buffer_destroy(grants, one);
	assert_int_equal(gui_mapping_create(maps, refs + 1, 1, &third), -EINVAL);
	assert_int_equal(((const volatile char *)mapping->data)[4096], 'C');
	gui_mapping_destroy(maps, mapping);
	gui_mapping_destroy(maps, other);
	/* The daemon starts anew. */
	gui_maps_destroy(maps);
	assert_int_equal(gui_maps_create(daemon_uri, AGENT_DOMAIN, 10, &maps), 0);
	assert_int_equal(gui_mapping_create(maps, two->refs, 2, &mapping), -EINVAL);
	assert_int_equal(gui_grants_attach(grants), 0);
	assert_int_equal(gui_mapping_create(maps, two->refs, 2, &mapping), 0);
	gui_mapping_destroy(maps, mapping);
	gui_buffer_destroy(grants, two);
	gui_maps_destroy(maps);
	gui_grants_destroy(grants);
	gui_buffer_destroy(NULL, NULL);
	gui_grants_destroy(NULL);
	gui_maps_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_limit, setup, teardown),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_variable_headers),
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
