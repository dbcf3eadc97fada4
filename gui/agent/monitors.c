// SPDX-License-Identifier: GPL-2.0-or-later
// The screen of the GUI domain, as outputs: one for each of its monitors.
#include "monitors.h"
#include "agent.h"
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <wlr/interfaces/wlr_output.h>
#include <wlr/types/wlr_output.h>
#include <wlr/types/wlr_output_layout.h>
#include <wlr/types/wlr_xdg_output_v1.h>
#include <wlr/util/box.h>

#define LAYOUT_FILE  "bulkhead-gui.monitors" /* in XDG_RUNTIME_DIR; the service renames it to that */
/* Until a daemon says how large its screen is. */
#define FIRST_WIDTH  1024
#define FIRST_HEIGHT 768
#define REFRESH	     60000 /* mHz */

struct monitors {
	struct wlr_output_layout *layout;
	struct wlr_output *outputs[LAYOUT_MONITORS_MAX];
	size_t count;
	struct wlr_box screen;
	int inotify;
	struct wl_event_source *changes;
};

static bool output_commit(struct wlr_output *output)
{
	(void)output;
	return true;
}

static void output_destroy(struct wlr_output *output)
{
	free(output);
}

/* A screen that shows nothing: unlike that of wlroots' headless backend it has no clock that ticks for nobody. */
static const struct wlr_output_impl output_impl = {
	.commit = output_commit,
	.destroy = output_destroy,
};

static struct wlr_output *add_output(struct agent *agent, size_t index)
{
	struct wlr_output *output = calloc(1, sizeof(*output));
	char name[16];

	if (!output)
		return NULL;
	snprintf(name, sizeof(name), index ? "qube-%zu" : "qube", index + 1);
	wlr_output_init(output, agent->backend, &output_impl, agent->display);
	wlr_output_set_name(output, name);
	wlr_output_set_description(output, "The screen of the GUI domain");
	return output;
}

static int apply(struct agent *agent, const struct layout *layout)
{
	struct monitors *monitors = agent->monitors;
	size_t i;

	for (i = 0; i < layout->count; i++) {
		const struct layout_monitor *wanted = &layout->monitors[i];
		struct wlr_output *output;

		if (i == monitors->count) {
			output = add_output(agent, i);
			if (!output)
				return -ENOMEM;
			monitors->outputs[monitors->count++] = output;
		}
		output = monitors->outputs[i];
		/* Not by a commit of the output: that would want a picture for it. */
		wlr_output_update_custom_mode(output, wanted->width, wanted->height, REFRESH);
		if (!output->enabled)
			wlr_output_update_enabled(output, true);
		wlr_output_layout_add(monitors->layout, output, wanted->x, wanted->y);
	}
	while (monitors->count > layout->count)
		wlr_output_destroy(monitors->outputs[--monitors->count]);
	monitors->screen = (struct wlr_box){.width = layout->width, .height = layout->height};
	return 0;
}

/* One monitor. */
static int apply_size(struct agent *agent, int width, int height)
{
	const struct layout layout = {.count = 1,
				      .monitors = {{.width = width, .height = height}},
				      .width = width,
				      .height = height};

	return apply(agent, &layout);
}

static int layout_path(char path[PATH_MAX])
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	return dir && snprintf(path, PATH_MAX, "%s/" LAYOUT_FILE, dir) < PATH_MAX ? 0 : -ENOENT;
}

/* What the service was told last. */
static int read_layout(struct layout *ret_layout)
{
	char path[PATH_MAX], text[LAYOUT_TEXT_MAX + 1];
	ssize_t length;
	int fd, rc = layout_path(path);

	if (rc)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	length = read(fd, text, sizeof(text));
	rc = length < 0 ? -errno : layout_parse(text, (size_t)length, ret_layout);
	close(fd);
	return rc;
}

static void layout_changed(struct agent *agent)
{
	struct layout layout;
	int rc = read_layout(&layout);

	if (rc) {
		agent_log("the layout of monitors was not taken: %s", strerror(-rc));
		return;
	}
	rc = apply(agent, &layout);
	agent_log("%zu monitors, screen %dx%d%s", layout.count, layout.width, layout.height,
		  rc ? ": no memory for all of them" : "");
}

static int handle_changes(int fd, uint32_t mask, void *data)
{
	union {
		struct inotify_event event;
		char bytes[4096];
	} buffer;
	struct agent *agent = data;
	bool changed = false;
	ssize_t length, at;

	(void)mask;
	length = read(fd, &buffer, sizeof(buffer));
	for (at = 0; at < length;) {
		const struct inotify_event *event = (const void *)(buffer.bytes + at);

		changed = changed || (event->len && !strcmp(event->name, LAYOUT_FILE));
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	if (changed)
		layout_changed(agent);
	return 0;
}

void monitors_follow(struct agent *agent)
{
	struct monitors *monitors = agent->monitors;
	const char *dir = getenv("XDG_RUNTIME_DIR");

	monitors->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (!dir || monitors->inotify < 0 ||
	    inotify_add_watch(monitors->inotify, dir, IN_MOVED_TO) < 0) {
		agent_log("changes of the layout of monitors are not seen: %s",
			  dir ? strerror(errno) : "XDG_RUNTIME_DIR is not set");
		return;
	}
	monitors->changes = wl_event_loop_add_fd(agent->loop, monitors->inotify, WL_EVENT_READABLE,
						 handle_changes, agent);
}

void monitors_connected(struct agent *agent, int width, int height)
{
	struct layout layout;

	if (read_layout(&layout) || layout.width != width || layout.height != height)
		apply_size(agent, width, height);
	else
		apply(agent, &layout);
}

void monitors_screen(const struct agent *agent, struct wlr_box *ret_box)
{
	*ret_box = agent->monitors->screen;
}

int monitors_create(struct agent *agent)
{
	struct monitors *monitors = calloc(1, sizeof(*monitors));
	int rc;

	if (!monitors)
		return -ENOMEM;
	agent->monitors = monitors;
	monitors->inotify = -1;
	monitors->layout = wlr_output_layout_create();
	if (!monitors->layout)
		return -ENOMEM;
	rc = apply_size(agent, FIRST_WIDTH, FIRST_HEIGHT);
	if (rc)
		return rc;
	return wlr_xdg_output_manager_v1_create(agent->display, monitors->layout) ? 0 : -ENOMEM;
}

void monitors_destroy(struct agent *agent)
{
	struct monitors *monitors = agent->monitors;

	if (!monitors)
		return;
	agent->monitors = NULL;
	if (monitors->changes)
		wl_event_source_remove(monitors->changes);
	if (monitors->inotify >= 0)
		close(monitors->inotify);
	while (monitors->count)
		wlr_output_destroy(monitors->outputs[--monitors->count]);
	if (monitors->layout)
		wlr_output_layout_destroy(monitors->layout);
	free(monitors);
}
