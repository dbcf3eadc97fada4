// SPDX-License-Identifier: GPL-2.0-or-later
// Notifications: a queue, and a thread that passes them on through libnotify.
#include "notify.h"

#include <errno.h>
#include <libnotify/notify.h>
#include <stdio.h>

struct item {
	char *title, *text;
	int urgent, last;
};

static GAsyncQueue *queue;
static GThread *thread;
/* What the service draws around each, as "#rrggbb": the name in the title alone is easily overlooked. */
static char frame_color[8];

static void show(const struct item *item)
{
	NotifyNotification *notification;
	char *body = g_markup_escape_text(item->text, -1);

	notification = notify_notification_new(item->title, body, "dialog-information");
	notify_notification_set_hint(notification, "frcolor", g_variant_new_string(frame_color));
	if (item->urgent) {
		notify_notification_set_urgency(notification, NOTIFY_URGENCY_CRITICAL);
		notify_notification_set_timeout(notification, NOTIFY_EXPIRES_NEVER);
	}
	/* Without a service there is nobody to tell; standard error has it already. */
	notify_notification_show(notification, NULL);
	g_object_unref(notification);
	g_free(body);
}

static gpointer work(gpointer unused)
{
	struct item *item;
	int last;

	do {
		item = g_async_queue_pop(queue);
		last = item->last;
		if (!last)
			show(item);
		g_free(item->title);
		g_free(item->text);
		g_free(item);
	} while (!last);
	return unused;
}

int notify_start(uint32_t color)
{
	char *name = NULL;

	snprintf(frame_color, sizeof(frame_color), "#%06x", color & 0xffffff);
	if (!notify_init("gui-daemon"))
		return -ENOTCONN;
	/* Connects now, as it may not be allowed to later. */
	if (!notify_get_server_info(&name, NULL, NULL, NULL)) {
		notify_uninit();
		return -ENOTCONN;
	}
	g_free(name);
	queue = g_async_queue_new();
	thread = g_thread_new("notify", work, NULL);
	return 0;
}

static void push(const char *title, const char *text, int urgent, int last)
{
	struct item *item = g_new0(struct item, 1);

	item->title = g_strdup(title);
	item->text = g_strdup(text);
	item->urgent = urgent;
	item->last = last;
	g_async_queue_push(queue, item);
}

void notify_finish(void)
{
	if (!thread)
		return;
	push(NULL, NULL, 0, 1);
	g_thread_join(thread);
	thread = NULL;
	g_async_queue_unref(queue);
	queue = NULL;
	notify_uninit();
}

void notify_say(const char *title, const char *text, int urgent)
{
	fprintf(stderr, "gui-daemon: %s: %s\n", title, text);
	if (thread)
		push(title, text, urgent, 0);
}
