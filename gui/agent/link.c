// SPDX-License-Identifier: GPL-2.0-or-later
// The connection to the daemon: offered, lost, offered again; windows live on in between.
#include "agent.h"
#include "clipboard.h"
#include "icons.h"
#include "input.h"
#include "monitors.h"
#include "surface.h"
#include "window.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* More waits until the daemon has read: changes that follow each other are then told as one. */
#define QUEUE_HIGH (64u << 10)
/* Messages of the daemon in a row, before clients get their turn. */
#define BUDGET	   64
#define RETRY_MS   1000

static void offer(struct agent *agent);

bool link_open(const struct agent *agent)
{
	return agent->connected && gui_channel_queued(agent->channel) < QUEUE_HIGH;
}

/* Comes back to the channel from the event loop. */
static void again(struct agent *agent)
{
	uint64_t one = 1;

	/* The counter cannot be full: it is read before it is written again and again. */
	if (write(agent->again_fd, &one, sizeof(one)) != sizeof(one))
		agent_log("eventfd: %s", strerror(errno));
}

/* Whoever sends is in the middle of something: the channel is torn down later. */
static void has_broken(struct agent *agent)
{
	agent->broken = true;
	again(agent);
}

void link_hold(struct agent *agent)
{
	if (agent->channel)
		gui_channel_hold(agent->channel);
}

void link_release(struct agent *agent)
{
	if (agent->channel && gui_channel_release(agent->channel) && agent->connected)
		has_broken(agent);
}

void link_send_two(struct agent *agent, uint32_t type, uint32_t window, const void *first,
		   size_t first_length, const void *second, size_t second_length)
{
	if (!agent->connected)
		return;
	if (gui_channel_send_two(agent->channel, type, window, first, first_length, second,
				 second_length))
		has_broken(agent);
}

void link_send(struct agent *agent, uint32_t type, uint32_t window, const void *body, size_t length)
{
	link_send_two(agent, type, window, body, length, NULL, 0);
}

static int on_ready(void *ctx, uint32_t version, const struct gui_screen *screen)
{
	struct agent *agent = ctx;
	int rc;

	if (!screen->width || !screen->height || screen->width > GUI_MAX_WIDTH ||
	    screen->height > GUI_MAX_WIDTH) {
		agent_log("the daemon's screen of %ux%u pixels is impossible", screen->width,
			  screen->height);
		return -EPROTO;
	}
	rc = gui_grants_attach(agent->grants);
	if (rc) {
		agent_log("the daemon takes no shared pages: %s", strerror(-rc));
		return rc;
	}
	agent->version = version;
	agent->connected = true;
	monitors_connected(agent, (int)screen->width, (int)screen->height);
	agent_log("connected to domain %d, protocol %u.%u, screen %ux%u", agent->options.peer,
		  GUI_MAJOR(version), GUI_MINOR(version), screen->width, screen->height);
	icons_connected(agent);
	windows_connected(agent);
	return 0;
}

static int on_message(void *ctx, const struct gui_header *header, const void *body)
{
	return incoming_message(ctx, header, body);
}

static const struct gui_channel_ops channel_ops = {
	.ready = on_ready,
	.message = on_message,
};

static void drop(struct agent *agent)
{
	bool was_connected = agent->connected;

	if (agent->channel_source)
		wl_event_source_remove(agent->channel_source);
	agent->channel_source = NULL;
	agent->connected = agent->broken = false;
	gui_channel_destroy(agent->channel);
	agent->channel = NULL;
	incoming_forget(agent);
	if (was_connected) {
		input_forget(agent, NULL);
		clipboard_disconnected(agent);
		windows_disconnected(agent);
	}
}

static void work(struct agent *agent)
{
	int rc = agent->channel ? gui_channel_dispatch(agent->channel, BUDGET) : 0;

	if (rc >= 0 && agent->broken)
		rc = -EPIPE;
	if (rc < 0) {
		agent_log("connection to the daemon ended: %s (%s)",
			  gui_channel_problem(agent->channel), strerror(-rc));
		drop(agent);
		offer(agent);
		return;
	}
	if (rc > 0)
		again(agent);
	if (agent->connected)
		windows_sync(agent);
}

static int handle_channel(int fd, uint32_t mask, void *data)
{
	(void)fd;
	(void)mask;
	work(data);
	return 0;
}

static int handle_again(int fd, uint32_t mask, void *data)
{
	uint64_t count;

	(void)mask;
	if (read(fd, &count, sizeof(count)) == sizeof(count))
		work(data);
	return 0;
}

static void offer(struct agent *agent)
{
	int rc = gui_channel_listen(agent->options.uri, agent->options.peer, agent->options.version,
				    &channel_ops, agent, &agent->channel);

	if (!rc) {
		agent->channel_source = wl_event_loop_add_fd(agent->loop,
							     gui_channel_fd(agent->channel),
							     WL_EVENT_READABLE, handle_channel,
							     agent);
		rc = agent->channel_source ? 0 : -ENOMEM;
	}
	if (rc) {
		agent_log("cannot offer a channel to domain %d: %s; trying again",
			  agent->options.peer, strerror(-rc));
		drop(agent);
		wl_event_source_timer_update(agent->listen_timer, RETRY_MS);
		return;
	}
	/* The peer may be there already: what its event said was taken when the channel was made. */
	again(agent);
}

static int handle_listen_timer(void *data)
{
	offer(data);
	return 0;
}

int link_create(struct agent *agent)
{
	int rc = gui_grants_create(agent->options.uri, agent->options.peer, &agent->grants);

	if (rc) {
		agent_log(
			"cannot share pages with domain %d: %s; is the module xen-gntalloc loaded, and may "
			"this user open /dev/xen/gntalloc?",
			agent->options.peer, strerror(-rc));
		return rc;
	}
	agent->again_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (agent->again_fd < 0)
		return -errno;
	agent->again_source = wl_event_loop_add_fd(agent->loop, agent->again_fd, WL_EVENT_READABLE,
						   handle_again, agent);
	agent->listen_timer = wl_event_loop_add_timer(agent->loop, handle_listen_timer, agent);
	if (!agent->again_source || !agent->listen_timer)
		return -ENOMEM;
	offer(agent);
	return 0;
}

void link_destroy(struct agent *agent)
{
	drop(agent);
	if (agent->listen_timer)
		wl_event_source_remove(agent->listen_timer);
	if (agent->again_source)
		wl_event_source_remove(agent->again_source);
	if (agent->again_fd >= 0)
		close(agent->again_fd);
}
