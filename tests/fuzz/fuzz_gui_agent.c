// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzing: what a daemon sends to the agent, which has a Wayland client with windows and a menu in the same process.
// links: gui/agent/agent.c gui/agent/clipboard.c gui/agent/cursor.c gui/agent/frame.c gui/agent/icons.c gui/agent/incoming.c gui/agent/input.c
// links: gui/agent/keyboard.c gui/agent/layout.c gui/agent/monitors.c gui/agent/pixels.c gui/agent/renderer.c gui/agent/surface.c gui/agent/text.c
// links: gui/agent/tray.c gui/agent/window.c gui/agent/x11.c gui/agent/x11_client.c gui/agent/x11_clip.c gui/agent/xdg.c gui/common/protocol.c tests/fuzz/gui_agent_client.c tests/gui/wl_globals.c
// libs: -lwlroots -lwayland-server -lwayland-client -lxkbcommon -lpixman-1 -lxcb
#include "../../gui/agent/agent.h"
#include "../../gui/agent/input.h"
#include "../../gui/agent/window.h"
#include "gui_agent_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct agent agent;
static uint32_t next_ref = 1;

/* The windows live from one input to the next: after each one there is more or less than before. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* The link without a daemon: what the agent says has to be what the protocol allows. */

static void check(bool good)
{
	if (!good)
		abort();
}

int link_create(struct agent *self)
{
	(void)self;
	return 0;
}

void link_destroy(struct agent *self)
{
	(void)self;
}

static int held;

void link_hold(struct agent *self)
{
	(void)self;
	held++;
}

void link_release(struct agent *self)
{
	(void)self;
	check(--held >= 0);
}

bool link_open(const struct agent *self)
{
	return self->connected;
}

void link_send_two(struct agent *self, uint32_t type, uint32_t window, const void *first,
		   size_t first_length, const void *second, size_t second_length)
{
	struct gui_header header = {.type = type,
				    .window = window,
				    .length = (uint32_t)(first_length + second_length)};
	struct gui_header checked;
	const struct gui_configure *configure = first;

	(void)second;
	check(!gui_header_check(self->version, GUI_AGENT, &header, &checked));
	if (type == GUI_CONFIGURE)
		check(configure->width >= 1 && configure->width <= GUI_MAX_WIDTH &&
		      configure->height >= 1 && configure->height <= GUI_MAX_HEIGHT);
}

void link_send(struct agent *self, uint32_t type, uint32_t window, const void *body, size_t length)
{
	link_send_two(self, type, window, body, length, NULL, 0);
}

int gui_buffer_create(struct gui_grants *grants, uint32_t pages, struct gui_buffer **ret_buffer)
{
	struct gui_buffer *buffer = calloc(1, sizeof(*buffer));
	uint32_t *refs = calloc(pages, sizeof(*refs)), i;

	(void)grants;
	if (!buffer || !refs)
		abort();
	for (i = 0; i < pages; i++)
		refs[i] = next_ref++;
	buffer->data = calloc(pages, GUI_PAGE_SIZE);
	buffer->bytes = (size_t)pages * GUI_PAGE_SIZE;
	buffer->pages = pages;
	buffer->refs = refs;
	*ret_buffer = buffer;
	return 0;
}

void gui_buffer_destroy(struct gui_grants *grants, struct gui_buffer *buffer)
{
	(void)grants;
	free((void *)buffer->refs);
	free(buffer->data);
	free(buffer);
}

void gui_grants_destroy(struct gui_grants *grants)
{
	(void)grants;
}

/* Both ends of the Wayland connection are in this thread: each gets its turn until nothing is left to say. */
static void pump(void)
{
	int i;

	for (i = 0; i < 4; i++) {
		client_turn();
		wl_event_loop_dispatch(agent.loop, 0);
		wl_display_flush_clients(agent.display);
	}
}

static char directory[] = "/tmp/fuzz-gui-agent-XXXXXX";

static void clean(void)
{
	char command[sizeof(directory) + 8];

	snprintf(command, sizeof(command), "rm -r %s", directory);
	if (system(command))
		fprintf(stderr, "%s is left\n", directory);
}

static void start(void)
{
	struct agent_options options = {.uri = "local:/nonexistent?domain=1",
					.version = GUI_VERSION_OWN};
	int ends[2], i;

	if (!mkdtemp(directory) || setenv("XDG_RUNTIME_DIR", directory, 1) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		abort();
	atexit(clean);
	if (agent_create(&agent, &options, "fuzz") || !wl_client_create(agent.display, ends[0]))
		abort();
	client_start(ends[1]);
	for (i = 0; i < 8; i++) {
		pump();
		client_continue();
	}
	check(wl_list_length(&agent.windows) == 3);
}

/* Windows have numbers that a test can guess: small ones. */
static uint32_t pick_window(uint32_t byte)
{
	struct window *window;
	uint32_t place = byte % 5;

	wl_list_for_each(window, &agent.windows, link)
	{
		if (!place--)
			return window->id;
	}
	return byte;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t body[(GUI_CLIPBOARD_BIG + 7) / 8];

	if (!agent.display)
		start();
	if (size < 1)
		return 0;
	agent.version = GUI_VERSION(1, 4 + data[0] % 5);
	agent.connected = true;
	windows_connected(&agent);
	data++;
	size--;
	/* A message: type - KEYPRESS, window, length / 4 of the body, then the body. */
	while (size >= 3) {
		struct gui_header raw = {.type = GUI_KEYPRESS + data[0],
					 .window = pick_window(data[1]),
					 .length = data[2] * 4u};
		struct gui_header header;
		int rc;

		data += 3;
		size -= 3;
		if (raw.length > size)
			break;
		rc = gui_header_check(agent.version, GUI_DAEMON, &raw, &header);
		if (!rc) {
			memcpy(body, data, raw.length);
			rc = incoming_message(&agent, &header, body);
			check(!rc);
		}
		data += raw.length;
		size -= raw.length;
		pump();
	}
	agent.connected = false;
	input_forget(&agent, NULL);
	windows_disconnected(&agent);
	pump();
	return 0;
}
