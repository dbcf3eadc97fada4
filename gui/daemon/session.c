// SPDX-License-Identifier: GPL-2.0-or-later
// The session: who is called when something arrives, and how it ends.
#include "session.h"

#include <errno.h>
#include <glib-unix.h>
#include <gtk/gtk.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../common/channel.h"
#include "delay.h"
#include "model.h"
#include "notify.h"
#include "sandbox.h"
#include "view.h"

/* Messages that are handled before the user's events get their turn. */
#define BUDGET	  256
/* All images of one qube: 4 GiB. */
#define PAGES_MAX (1u << 20)

struct session {
	const struct session_options *options;
	struct gui_maps *maps;
	struct gui_channel *channel;
	struct view *view;
	struct model model;
	struct delay *delay;
	struct clipboard clipboard;
	uint64_t stamp; /* of the clipboard when the user asked for a copy */
	GHashTable *warned;
	GMainLoop *loop;
	guint again, timeout;
	char prefix[64];
	enum session_end end;
	bool connected, ended, channel_gone;
};

static void say(struct session *session, const char *text, int urgent)
{
	notify_say(session->options->name, text, urgent);
}

static void finish(struct session *session, enum session_end end)
{
	if (session->ended)
		return;
	session->ended = true;
	session->end = end;
	g_main_loop_quit(session->loop);
}

static void on_failed(void *ctx, int code)
{
	struct session *session = ctx;
	const char *why;
	char *text;

	if (session->ended)
		return;
	if (code == -EPIPE || code == -ECONNRESET) {
		finish(session, session->connected ? SESSION_LOST : SESSION_OVER);
		return;
	}
	why = session->model.problem;
	if (!why)
		why = code == -ENOBUFS ? "it does not read what it is sent"
				       : gui_channel_problem(session->channel);
	text = g_strdup_printf("Its windows were closed: %s (%s). Restart the qube's programs; if "
			       "that happens again the qube may be compromised.",
			       why, g_strerror(-code));
	say(session, text, 1);
	g_free(text);
	finish(session, SESSION_DROPPED);
}

static gboolean on_again(gpointer data);

static void dispatch(struct session *session)
{
	int rc;

	rc = gui_channel_dispatch(session->channel, BUDGET);
	view_flush(session->view);
	if (rc < 0)
		on_failed(session, rc);
	else if (rc > 0 && !session->again)
		session->again = g_idle_add_full(G_PRIORITY_DEFAULT + 10, on_again, session, NULL);
}

static gboolean on_again(gpointer data)
{
	struct session *session = data;

	session->again = 0;
	if (!session->ended)
		dispatch(session);
	return G_SOURCE_REMOVE;
}

static gboolean on_channel(gint fd, GIOCondition condition, gpointer data)
{
	struct session *session = data;

	(void)fd;
	(void)condition;
	if (!session->ended)
		dispatch(session);
	session->channel_gone = session->ended;
	return session->ended ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static gboolean on_maps(gint fd, GIOCondition condition, gpointer data)
{
	struct session *session = data;

	(void)fd;
	(void)condition;
	gui_maps_receive(session->maps);
	return G_SOURCE_CONTINUE;
}

static gboolean on_timeout(gpointer data)
{
	struct session *session = data;

	session->timeout = 0;
	say(session, "The qube's GUI agent did not connect in time (startup_timeout).", 0);
	finish(session, SESSION_SILENT);
	return G_SOURCE_REMOVE;
}

static gboolean on_signal(gpointer data)
{
	finish(data, SESSION_OVER);
	return G_SOURCE_CONTINUE;
}

static int on_ready(void *ctx, uint32_t version, const struct gui_screen *screen)
{
	struct session *session = ctx;
	int rc;

	/* Connecting took rights that are not needed any more; four bytes of the agent were read so far. */
	rc = sandbox_filter_calls();
	if (rc) {
		fprintf(stderr, "gui-daemon: system calls cannot be filtered: %s\n",
			g_strerror(-rc));
		finish(session, SESSION_FAILED);
		return rc;
	}
	session->connected = true;
	session->model.version = version;
	if (session->timeout)
		g_source_remove(session->timeout);
	session->timeout = 0;
	if (session->options->config.log_level > 0)
		fprintf(stderr, "gui-daemon: %s: protocol %u.%u, screen %ux%u\n",
			session->options->name, GUI_MAJOR(version), GUI_MINOR(version),
			screen->width, screen->height);
	return 0;
}

static int on_message(void *ctx, const struct gui_header *header, const void *body)
{
	struct session *session = ctx;

	if (session->options->config.log_level > 1)
		fprintf(stderr, "gui-daemon: %s: %s window 0x%x, %u bytes\n",
			session->options->name, gui_type_name(header->type), header->window,
			header->length);
	return model_message(&session->model, header, body);
}

static const struct gui_channel_ops channel_ops = {.ready = on_ready, .message = on_message};

static int send_now(void *ctx, uint32_t type, uint32_t window, const void *body, size_t length)
{
	struct session *session = ctx;

	return gui_channel_send(session->channel, type, window, body, length);
}

static bool is_input(uint32_t type)
{
	return type == GUI_KEYPRESS || type == GUI_BUTTON || type == GUI_MOTION ||
	       type == GUI_CROSSING || type == GUI_FOCUS || type == GUI_KEYMAP_NOTIFY;
}

static int send_message(void *ctx, uint32_t type, uint32_t window, const void *body, size_t length)
{
	struct session *session = ctx;

	if (session->delay && is_input(type))
		return delay_send(session->delay, type, window, body, length);
	return send_now(ctx, type, window, body, length);
}

static size_t queued(void *ctx)
{
	struct session *session = ctx;

	return gui_channel_queued(session->channel);
}

static void on_copy(void *ctx, struct window *window)
{
	struct session *session = ctx;
	int rc = model_user_copy(&session->model, window);

	session->stamp = clipboard_stamp(&session->clipboard);
	if (rc)
		on_failed(session, rc);
}

/* The text that a copy asked for has arrived. */
static void on_clipboard(void *ctx, const char *text, uint32_t length)
{
	struct session *session = ctx;
	char said[256];
	int rc;

	if (!text) {
		snprintf(said, sizeof(said),
			 "Nothing was copied: the text has %s%u bytes, the limit is %u "
			 "(max_clipboard_size).",
			 length >= GUI_CLIPBOARD_BIG ? "more than " : "",
			 length >= GUI_CLIPBOARD_BIG ? GUI_CLIPBOARD_MAX : length,
			 session->options->config.max_clipboard_size);
		say(session, said, 0);
		return;
	}
	/* A qube could wait with its answer until the user has copied something else, and put its text in the place of that. */
	if (clipboard_stamp(&session->clipboard) != session->stamp) {
		say(session,
		    "Nothing was copied: its answer came after the clipboard between qubes had changed.",
		    0);
		return;
	}
	rc = clipboard_store(&session->clipboard, session->options->name, text, length);
	if (rc)
		snprintf(said, sizeof(said), "Nothing was copied: %s.", g_strerror(-rc));
	else if (!length)
		snprintf(said, sizeof(said),
			 "It had nothing to copy; the clipboard between qubes is empty now.");
	else
		snprintf(said, sizeof(said),
			 "%u bytes were copied. They can be pasted once, into another qube.",
			 length);
	say(session, said, 0);
}

static void paste_text(struct session *session, struct window *window, const char *source)
{
	char said[256], *text = NULL;
	uint32_t length = 0;
	int rc = clipboard_take(&session->clipboard, source, &text, &length);

	if (rc) {
		snprintf(said, sizeof(said), "Nothing was pasted: %s.", g_strerror(-rc));
		say(session, said, 0);
		return;
	}
	rc = model_user_paste(&session->model, window, text, length);
	clipboard_forget(text, length);
	if (rc) {
		on_failed(session, rc);
		return;
	}
	snprintf(said, sizeof(said),
		 "%u bytes of %s were pasted here; the clipboard between qubes is empty now.",
		 length, source);
	say(session, said, 0);
}

static void on_paste(void *ctx, struct window *window)
{
	struct session *session = ctx;
	char source[CLIPBOARD_SOURCE_SIZE], reason[200], said[400];
	uint32_t length;

	if (!clipboard_peek(&session->clipboard, source, &length)) {
		say(session, "Nothing was pasted: the clipboard between qubes is empty.", 0);
		return;
	}
	if (!clipboard_allowed(&session->options->policy, source, session->options->name, reason,
			       sizeof(reason))) {
		snprintf(said, sizeof(said), "The policy forbids pasting text of %s here: %s.",
			 source, reason);
		say(session, said, 0);
		return;
	}
	if (length > gui_clipboard_max(session->model.version)) {
		snprintf(said, sizeof(said),
			 "Nothing was pasted: the text has %u bytes, this qube's agent takes %u.",
			 length, gui_clipboard_max(session->model.version));
		say(session, said, 0);
		return;
	}
	paste_text(session, window, source);
}

/* A qube that does something again and again is reported once. */
static void on_warn(void *ctx, const char *key, const char *text)
{
	struct session *session = ctx;

	if (g_hash_table_add(session->warned, (gpointer)(uintptr_t)key))
		say(session, text, 0);
}

static struct gui_screen screen_now(const struct session *session)
{
	struct gui_screen screen = {.depth = 24};

	view_screen(session->view, &screen.width, &screen.height);
	screen.mem = gui_screen_mem(screen.width, screen.height);
	return screen;
}

/* Popups have to stay on what is there now. Agents hear of it by qubes.SetMonitorLayout, see gui-monitor-layout(1). */
static void on_screen(void *ctx)
{
	struct session *session = ctx;
	struct gui_screen screen = screen_now(session);

	session->model.limits.screen_width = screen.width;
	session->model.limits.screen_height = screen.height;
	/* A qube may take its time to start. */
	gui_channel_set_screen(session->channel, &screen);
}

static const struct view_actions actions = {
	.copy = on_copy,
	.paste = on_paste,
	.clipboard = on_clipboard,
	.failed = on_failed,
	.warn = on_warn,
	.screen = on_screen,
};

static void fill_model(struct session *session)
{
	const struct config *config = &session->options->config;
	struct model *model = &session->model;

	snprintf(session->prefix, sizeof(session->prefix), "[%s] ", session->options->name);
	model->limits = (struct model_limits){
		.windows = config->windows_count_limit,
		.clipboard = config->max_clipboard_size,
		.override_percent = config->override_redirect_protection ? config->override_percent
									 : 100,
		.override_allowed = config->override_redirect,
		.fullscreen = config->allow_fullscreen,
		.utf8_titles = config->allow_utf8_titles,
	};
	view_screen(session->view, &model->limits.screen_width, &model->limits.screen_height);
	model->name = session->options->name;
	model->prefix = session->prefix;
	model->ops = view_operations();
	model->view = session->view;
	model->send = send_message;
	model->queued = queued;
	model->send_ctx = session;
	model->maps = session->maps;
	view_attach(session->view, model);
}

static bool start_view(struct session *session)
{
	const struct session_options *options = session->options;
	struct view_options view_options = {.name = options->name,
					    .color = options->color,
					    .label = options->label,
					    .domain = options->domain,
					    .icon = options->icon,
					    .config = &options->config};
	const char *problem;

	gdk_set_allowed_backends("x11");
	if (!gtk_init_check(NULL, NULL)) {
		fputs("gui-daemon: cannot open the display: is DISPLAY right?\n", stderr);
		return false;
	}
	session->view = view_create(&view_options, &actions, session, &problem);
	if (!session->view) {
		fprintf(stderr, "gui-daemon: %s\n", problem);
		return false;
	}
	return true;
}

static int connect_agent(struct session *session)
{
	const struct session_options *options = session->options;
	struct gui_screen screen = screen_now(session);
	int rc;

	rc = gui_maps_create(options->uri, options->domain, PAGES_MAX, &session->maps);
	if (rc) {
		fprintf(stderr, "gui-daemon: pages of domain %d cannot be mapped: %s\n",
			options->domain, g_strerror(-rc));
		return rc;
	}
	rc = gui_channel_connect(options->uri, options->domain, GUI_VERSION_OWN, &screen,
				 &channel_ops, session, &session->channel);
	if (rc)
		fprintf(stderr, "gui-daemon: no channel to domain %d: %s\n", options->domain,
			g_strerror(-rc));
	return rc;
}

static bool start(struct session *session)
{
	const struct session_options *options = session->options;
	int rc = sandbox_drop_rights();

	if (rc) {
		fprintf(stderr, "gui-daemon: rights cannot be dropped: %s\n", g_strerror(-rc));
		return false;
	}
	if (!start_view(session))
		return false;
	rc = clipboard_open(&session->clipboard, options->clipboard_dir);
	if (rc) {
		fprintf(stderr, "gui-daemon: the clipboard in %s cannot be used: %s\n",
			options->clipboard_dir, g_strerror(-rc));
		return false;
	}
	if (notify_start(options->color))
		fputs("gui-daemon: there is no notification service\n", stderr);
	if (connect_agent(session))
		return false;
	fill_model(session);
	if (options->config.events_max_delay)
		session->delay = delay_create(options->config.events_max_delay, send_now, on_failed,
					      session);
	return true;
}

static guint watch_channel(struct session *session)
{
	GSource *source = g_unix_fd_source_new(gui_channel_fd(session->channel), G_IO_IN);
	guint id;

	g_source_set_priority(source, G_PRIORITY_DEFAULT + 10);
	g_source_set_callback(source, G_SOURCE_FUNC(on_channel), session, NULL);
	/* There are no loops within loops; but GLib would take it out and put it back, which wakes the loop again. */
	g_source_set_can_recurse(source, TRUE);
	id = g_source_attach(source, NULL);
	g_source_unref(source);
	return id;
}

static void run(struct session *session)
{
	unsigned int seconds = session->options->config.startup_timeout;
	guint channel, maps = 0, term, interrupt;

	channel = watch_channel(session);
	if (gui_maps_fd(session->maps) >= 0)
		maps = g_unix_fd_add(gui_maps_fd(session->maps), G_IO_IN, on_maps, session);
	term = g_unix_signal_add(SIGTERM, on_signal, session);
	interrupt = g_unix_signal_add(SIGINT, on_signal, session);
	if (seconds)
		session->timeout = g_timeout_add_seconds(seconds, on_timeout, session);
	session->again = g_idle_add(on_again, session);
	g_main_loop_run(session->loop);
	if (maps)
		g_source_remove(maps);
	if (!session->channel_gone)
		g_source_remove(channel);
	g_source_remove(term);
	g_source_remove(interrupt);
	if (session->timeout)
		g_source_remove(session->timeout);
	if (session->again)
		g_source_remove(session->again);
}

enum session_end session_run(const struct session_options *options)
{
	struct session session = {.options = options, .clipboard = {-1, -1}};

	session.loop = g_main_loop_new(NULL, FALSE);
	session.warned = g_hash_table_new(g_str_hash, g_str_equal);
	session.end = SESSION_FAILED;
	if (start(&session))
		run(&session);
	if (session.model.ops)
		model_finish(&session.model);
	delay_destroy(session.delay);
	view_destroy(session.view);
	gui_channel_destroy(session.channel);
	gui_maps_destroy(session.maps);
	clipboard_close(&session.clipboard);
	notify_finish();
	g_hash_table_destroy(session.warned);
	g_main_loop_unref(session.loop);
	return session.end;
}
