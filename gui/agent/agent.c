// SPDX-License-Identifier: GPL-2.0-or-later
// The compositor: a display without a screen, whose windows are shown by somebody else.
#include "agent.h"
#include "icons.h"
#include "clipboard.h"
#include "cursor.h"
#include "input.h"
#include "monitors.h"
#include "renderer.h"
#include "shell.h"
#include "surface.h"
#include "window.h"
#include "x11_client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <wlr/backend.h>
#include <wlr/backend/headless.h>
#include <wlr/render/wlr_renderer.h>
#include <wlr/types/wlr_compositor.h>
#include <wlr/types/wlr_data_device.h>
#include <wlr/types/wlr_primary_selection_v1.h>

uint32_t agent_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

void agent_log(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("bulkhead-gui-agent: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

void agent_log_stats(const struct agent *agent)
{
	const struct agent_stats *stats = &agent->stats;

	agent_log(
		"stats: commits=%lu copied_bytes=%lu shadow_bytes=%lu damage_sent=%lu dumps_sent=%lu "
		"frames_done=%lu no_pages=%lu windows=%d dying=%d",
		stats->commits, stats->copied_bytes, stats->shadow_bytes, stats->damage_sent,
		stats->dumps_sent, stats->frames_done, stats->no_pages,
		wl_list_length(&agent->windows), wl_list_length(&agent->dying));
}

static int create_compositor(struct agent *agent, struct wlr_compositor **ret_compositor)
{
	agent->backend = wlr_headless_backend_create(agent->display);
	agent->renderer = renderer_create();
	if (!agent->backend || !agent->renderer ||
	    !wlr_renderer_init_wl_shm(agent->renderer, agent->display))
		return -ENOMEM;
	*ret_compositor = wlr_compositor_create(agent->display, agent->renderer);
	if (!*ret_compositor || !wlr_data_device_manager_create(agent->display) ||
	    !wlr_primary_selection_v1_device_manager_create(agent->display))
		return -ENOMEM;
	return surfaces_create(agent, *ret_compositor);
}

static int create_parts(struct agent *agent)
{
	struct wlr_compositor *compositor;
	int rc = create_compositor(agent, &compositor);

	if (rc)
		return rc;
	rc = monitors_create(agent);
	if (rc)
		return rc;
	rc = input_create(agent, agent->backend);
	if (rc) {
		if (rc == -EINVAL)
			agent_log(
				"there is no keyboard layout \"%s\"; it is LAYOUT[+VARIANT[+OPTIONS]]",
				agent->options.keyboard_layout);
		return rc;
	}
	rc = cursor_create(agent);
	if (rc)
		return rc;
	rc = clipboard_create(agent);
	if (rc)
		return rc;
	rc = xdg_create(agent->shell);
	if (rc || !agent->options.xwayland)
		return rc;
	rc = x11_client_create(agent);
	if (rc)
		return rc;
	rc = x11_create(agent->shell, compositor);
	if (rc)
		agent_log(
			"Xwayland does not start; is the package xwayland installed? Or use --no-x11");
	return rc;
}

static int start(struct agent *agent, const char *socket)
{
	if (socket) {
		if (wl_display_add_socket(agent->display, socket)) {
			agent_log("cannot offer the Wayland display \"%s\": %s", socket,
				  strerror(errno));
			return -EADDRINUSE;
		}
		agent->socket = socket;
	} else {
		agent->socket = wl_display_add_socket_auto(agent->display);
		if (!agent->socket) {
			agent_log(
				"cannot offer a Wayland display; is XDG_RUNTIME_DIR set to a directory of "
				"this user?");
			return -EADDRINUSE;
		}
	}
	return wlr_backend_start(agent->backend) ? 0 : -EIO;
}

int agent_create(struct agent *agent, const struct agent_options *options, const char *socket)
{
	int rc;

	*agent = (struct agent){.options = *options, .again_fd = -1};
	wl_list_init(&agent->windows);
	wl_list_init(&agent->dying);
	wl_list_init(&agent->surfaces);
	wl_list_init(&agent->held);
	agent->display = wl_display_create();
	agent->shell = calloc(1, sizeof(*agent->shell));
	if (!agent->display || !agent->shell) {
		rc = -ENOMEM;
	} else {
		agent->loop = wl_display_get_event_loop(agent->display);
		agent->shell->agent = agent;
		rc = create_parts(agent);
		if (!rc)
			rc = start(agent, socket);
		if (!rc)
			rc = link_create(agent);
	}
	if (rc) {
		if (rc == -ENOMEM)
			agent_log("no memory");
		agent_destroy(agent);
	}
	return rc;
}

void agent_destroy(struct agent *agent)
{
	icons_finish(agent);
	x11_client_destroy(agent);
	if (agent->shell)
		x11_destroy(agent->shell);
	if (agent->display)
		wl_display_destroy_clients(agent->display);
	if (agent->loop)
		link_destroy(agent);
	gui_grants_destroy(agent->grants);
	if (agent->clipboard)
		clipboard_destroy(agent);
	if (agent->frame_timer)
		surfaces_destroy(agent);
	monitors_destroy(agent);
	if (agent->input)
		input_stop(agent);
	if (agent->display)
		wl_display_destroy(agent->display);
	if (agent->cursor)
		cursor_destroy(agent);
	if (agent->input)
		input_destroy(agent);
	if (agent->renderer)
		renderer_destroy(agent->renderer);
	free(agent->shell);
}
