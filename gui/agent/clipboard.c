// SPDX-License-Identifier: GPL-2.0-or-later
// The clipboard of the qube: read from its owner on the user's request, replaced by what the user pastes.
#include "clipboard.h"
#include "agent.h"
#include "input.h"
#include "x11_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <wlr/types/wlr_data_device.h>
#include <wlr/types/wlr_seat.h>

/* An owner that does not deliver for so long has nothing, as far as the user is concerned. */
#define OWNER_LIMIT_MS 3000
/* One byte more than may be sent shows that there is more. */
#define ROOM	       (GUI_CLIPBOARD_BIG + 1u)

/* Names of plain text, best first: Wayland's, then X11's, which Xwayland passes through. */
static const char *const text_types[] = {"text/plain;charset=utf-8", "UTF8_STRING", "text/plain",
					 "STRING", "TEXT"};
#define TEXT_TYPES (sizeof(text_types) / sizeof(text_types[0]))

/* What the user pasted; lives as long as it is the selection or somebody reads it. */
struct text {
	size_t length;
	unsigned int users;
	char bytes[];
};

struct pasted {
	struct wlr_data_source base;
	struct agent *agent;
	struct text *text;
};

/* A client that reads the selection, as fast as it likes. */
struct writer {
	struct wl_list link;
	struct text *text;
	size_t offset;
	int fd;
	struct wl_event_source *source;
};

struct clipboard {
	struct agent *agent;
	struct wl_list writers;
	/* The reading of a selection for the daemon; fd -1: none. */
	int fd;
	struct wl_event_source *source, *timer;
	char *bytes;
	size_t length;
	bool x11; /* it is read from its owner in X11 instead */
};

static void text_unref(struct text *text)
{
	if (!--text->users)
		free(text);
}

static void reading_end(struct clipboard *clipboard)
{
	if (clipboard->fd < 0)
		return;
	wl_event_source_remove(clipboard->source);
	wl_event_source_timer_update(clipboard->timer, 0);
	close(clipboard->fd);
	clipboard->fd = -1;
	free(clipboard->bytes);
	clipboard->bytes = NULL;
}

static void answer(struct agent *agent, const char *bytes, size_t length)
{
	if (length > gui_clipboard_max(agent->version)) {
		if (gui_has(agent->version, GUI_SINCE_LARGE_CLIP)) {
			length = GUI_CLIPBOARD_BIG;
		} else {
			agent_log(
				"the clipboard has more than %u bytes, which this daemon cannot take",
				gui_clipboard_max(agent->version));
			length = 0;
		}
	}
	link_send(agent, GUI_CLIPBOARD_DATA, GUI_WINDOW_SCREEN, bytes, length);
}

static void reading_done(struct clipboard *clipboard)
{
	answer(clipboard->agent, clipboard->bytes, clipboard->length);
	reading_end(clipboard);
}

static int handle_readable(int fd, uint32_t mask, void *data)
{
	struct clipboard *clipboard = data;
	ssize_t n = read(fd, clipboard->bytes + clipboard->length, ROOM - clipboard->length);

	(void)mask;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0)
		clipboard->length += (size_t)n;
	if (n <= 0 || clipboard->length == ROOM)
		reading_done(clipboard);
	return 0;
}

static int handle_timer(void *data)
{
	struct clipboard *clipboard = data;

	agent_log("the program that owns the clipboard did not deliver its text");
	clipboard->length = 0;
	if (clipboard->x11)
		clipboard_x11_done(clipboard->agent, NULL, 0);
	else
		reading_done(clipboard);
	return 0;
}

static const char *text_type(const struct wlr_data_source *source)
{
	size_t i;
	char **offered;

	for (i = 0; i < TEXT_TYPES; i++) {
		wl_array_for_each(offered, &source->mime_types)
		{
			if (!strcmp(*offered, text_types[i]))
				return text_types[i];
		}
	}
	return NULL;
}

static bool reading_begin(struct clipboard *clipboard, struct wlr_data_source *source,
			  const char *type)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return false;
	/* Only our end: the owner may not expect that a write can fail like this. */
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK)) {
		close(ends[0]);
		close(ends[1]);
		return false;
	}
	clipboard->bytes = malloc(ROOM);
	clipboard->length = 0;
	clipboard->source = clipboard->bytes ? wl_event_loop_add_fd(clipboard->agent->loop, ends[0],
								    WL_EVENT_READABLE,
								    handle_readable, clipboard)
					     : NULL;
	if (!clipboard->source) {
		free(clipboard->bytes);
		clipboard->bytes = NULL;
		close(ends[0]);
		close(ends[1]);
		return false;
	}
	clipboard->fd = ends[0];
	wl_event_source_timer_update(clipboard->timer, OWNER_LIMIT_MS);
	wlr_data_source_send(source, type, ends[1]);
	return true;
}

void clipboard_requested(struct agent *agent)
{
	struct clipboard *clipboard = agent->clipboard;
	struct wlr_data_source *source = input_seat(agent)->selection_source;
	const char *type = source ? text_type(source) : NULL;

	/* Each request has one answer. */
	if (clipboard->fd >= 0) {
		clipboard->length = 0;
		reading_done(clipboard);
	}
	if (clipboard->x11)
		clipboard_x11_done(agent, NULL, 0);
	if (x11_clip_read(agent)) {
		clipboard->x11 = true;
		wl_event_source_timer_update(clipboard->timer, OWNER_LIMIT_MS);
		return;
	}
	if (!type || !reading_begin(clipboard, source, type))
		answer(agent, NULL, 0);
}

void clipboard_x11_done(struct agent *agent, const char *bytes, size_t length)
{
	struct clipboard *clipboard = agent->clipboard;

	if (!clipboard || !clipboard->x11)
		return;
	clipboard->x11 = false;
	wl_event_source_timer_update(clipboard->timer, 0);
	answer(agent, bytes, length);
	if (!bytes)
		x11_clip_cancel(agent);
}

static void writer_end(struct writer *writer)
{
	wl_list_remove(&writer->link);
	wl_event_source_remove(writer->source);
	close(writer->fd);
	text_unref(writer->text);
	free(writer);
}

static int handle_writable(int fd, uint32_t mask, void *data)
{
	struct writer *writer = data;
	size_t left = writer->text->length - writer->offset;
	ssize_t n = left ? write(fd, writer->text->bytes + writer->offset, left) : 0;

	(void)mask;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0)
		writer->offset += (size_t)n;
	if (n < 0 || writer->offset == writer->text->length)
		writer_end(writer);
	return 0;
}

static void pasted_send(struct wlr_data_source *base, const char *type, int32_t fd)
{
	struct pasted *pasted = wl_container_of(base, pasted, base);
	struct clipboard *clipboard = pasted->agent->clipboard;
	struct writer *writer = calloc(1, sizeof(*writer));

	(void)type;
	if (!writer || fcntl(fd, F_SETFL, O_NONBLOCK)) {
		free(writer);
		close(fd);
		return;
	}
	writer->fd = fd;
	writer->text = pasted->text;
	writer->source = wl_event_loop_add_fd(pasted->agent->loop, fd, WL_EVENT_WRITABLE,
					      handle_writable, writer);
	if (!writer->source) {
		free(writer);
		close(fd);
		return;
	}
	pasted->text->users++;
	wl_list_insert(&clipboard->writers, &writer->link);
}

static void pasted_destroy(struct wlr_data_source *base)
{
	struct pasted *pasted = wl_container_of(base, pasted, base);

	text_unref(pasted->text);
	free(pasted);
}

static const struct wlr_data_source_impl pasted_impl = {
	.send = pasted_send,
	.destroy = pasted_destroy,
};

static bool offer_text(struct wlr_data_source *source)
{
	size_t i;

	for (i = 0; i < TEXT_TYPES; i++) {
		char **slot = wl_array_add(&source->mime_types, sizeof(*slot));

		if (!slot)
			return false;
		*slot = strdup(text_types[i]);
		if (!*slot) {
			source->mime_types.size -= sizeof(*slot);
			return false;
		}
	}
	return true;
}

void clipboard_received(struct agent *agent, const void *bytes, size_t length)
{
	struct pasted *pasted = calloc(1, sizeof(*pasted));
	struct text *text = malloc(sizeof(*text) + length);

	if (!pasted || !text) {
		free(pasted);
		free(text);
		return;
	}
	text->length = length;
	text->users = 1;
	if (length)
		memcpy(text->bytes, bytes, length);
	pasted->agent = agent;
	pasted->text = text;
	wlr_data_source_init(&pasted->base, &pasted_impl);
	if (!offer_text(&pasted->base)) {
		wlr_data_source_destroy(&pasted->base);
		return;
	}
	wlr_seat_set_selection(input_seat(agent), &pasted->base,
			       wl_display_next_serial(agent->display));
}

void clipboard_disconnected(struct agent *agent)
{
	agent->clipboard->x11 = false;
	x11_clip_cancel(agent);
	reading_end(agent->clipboard);
}

int clipboard_create(struct agent *agent)
{
	struct clipboard *clipboard = calloc(1, sizeof(*clipboard));

	if (!clipboard)
		return -ENOMEM;
	clipboard->agent = agent;
	clipboard->fd = -1;
	wl_list_init(&clipboard->writers);
	clipboard->timer = wl_event_loop_add_timer(agent->loop, handle_timer, clipboard);
	if (!clipboard->timer) {
		free(clipboard);
		return -ENOMEM;
	}
	agent->clipboard = clipboard;
	return 0;
}

void clipboard_destroy(struct agent *agent)
{
	struct clipboard *clipboard = agent->clipboard;
	struct writer *writer, *next;

	if (!clipboard)
		return;
	reading_end(clipboard);
	wl_list_for_each_safe(writer, next, &clipboard->writers, link) writer_end(writer);
	wl_event_source_remove(clipboard->timer);
	free(clipboard);
	agent->clipboard = NULL;
}
