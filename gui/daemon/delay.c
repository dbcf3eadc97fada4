// SPDX-License-Identifier: GPL-2.0-or-later
// A queue of input events with the times at which they leave.
#include "delay.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/random.h>

/* So many that no user is faster, and few enough that a paused qube costs no memory. */
#define QUEUE_MAX 20000u

struct event {
	gint64 due; /* g_get_monotonic_time() */
	uint32_t type, window;
	size_t length;
	uint8_t body[DELAY_BODY_MAX];
};

struct delay {
	unsigned int max_ms;
	delay_send_fn *send;
	void (*failed)(void *ctx, int code);
	void *ctx;
	GQueue events;
	guint timer;
};

static gboolean on_timer(gpointer data);

static void arm(struct delay *delay)
{
	const struct event *first = g_queue_peek_head(&delay->events);
	gint64 left;

	if (!first || delay->timer)
		return;
	left = (first->due - g_get_monotonic_time() + 999) / 1000;
	delay->timer = g_timeout_add(left > 0 ? (guint)left : 0, on_timer, delay);
}

static gboolean on_timer(gpointer data)
{
	struct delay *delay = data;
	struct event *event;
	int rc = 0;

	delay->timer = 0;
	while (!rc && (event = g_queue_peek_head(&delay->events)) != NULL &&
	       event->due <= g_get_monotonic_time()) {
		g_queue_pop_head(&delay->events);
		rc = delay->send(delay->ctx, event->type, event->window, event->body,
				 event->length);
		g_free(event);
	}
	arm(delay);
	if (rc)
		delay->failed(delay->ctx, rc);
	return G_SOURCE_REMOVE;
}

struct delay *delay_create(unsigned int max_ms, delay_send_fn *send,
			   void (*failed)(void *ctx, int code), void *ctx)
{
	struct delay *delay = g_new0(struct delay, 1);

	delay->max_ms = max_ms;
	delay->send = send;
	delay->failed = failed;
	delay->ctx = ctx;
	g_queue_init(&delay->events);
	return delay;
}

void delay_destroy(struct delay *delay)
{
	if (!delay)
		return;
	if (delay->timer)
		g_source_remove(delay->timer);
	g_queue_clear_full(&delay->events, g_free);
	g_free(delay);
}

int delay_send(struct delay *delay, uint32_t type, uint32_t window, const void *body, size_t length)
{
	const struct event *last = g_queue_peek_tail(&delay->events);
	struct event *event;
	uint32_t random;

	if (length > DELAY_BODY_MAX)
		return -EMSGSIZE;
	if (g_queue_get_length(&delay->events) >= QUEUE_MAX)
		return -ENOBUFS;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	event = g_new0(struct event, 1);
	event->due = g_get_monotonic_time() + (gint64)(random % (delay->max_ms * 1000u + 1));
	if (last && last->due > event->due)
		event->due = last->due;
	event->type = type;
	event->window = window;
	event->length = length;
	memcpy(event->body, body, length);
	g_queue_push_tail(&delay->events, event);
	arm(delay);
	return 0;
}
