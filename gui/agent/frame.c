// SPDX-License-Identifier: GPL-2.0-or-later
// Pace of clients: each may draw the next frame when the last one was told to the daemon and is old enough.
#include "surface.h"
#include "agent.h"
#include "window.h"

#include <errno.h>
#include <time.h>

#include <wlr/types/wlr_surface.h>

#define INTERVAL_SHOWN	16   /* ms: about 60 frames per second */
#define INTERVAL_HIDDEN 1000 /* nobody sees it; zero would stop clients that wait for a frame */
#define INTERVAL_OTHER	50   /* pointers, icons of drags, windows to be */

static void send_done(struct wlr_surface *surface, int x, int y, void *data)
{
	(void)x;
	(void)y;
	wlr_surface_send_frame_done(surface, data);
}

static uint32_t interval(const struct window *window)
{
	return window->agent->connected && window->shown && !window->minimized ? INTERVAL_SHOWN
									       : INTERVAL_HIDDEN;
}

/* Milliseconds until the window's clients may draw; 0: now; -1: not before the daemon has read more. */
static int wait_for(const struct window *window, uint32_t now)
{
	uint32_t passed = now - window->last_frame, wanted = interval(window);

	if (window->agent->connected && window->shown &&
	    pixman_region32_not_empty((pixman_region32_t *)&window->damage))
		return -1;
	return passed >= wanted ? 0 : (int)(wanted - passed);
}

static int earlier(int a, int b)
{
	return a < 0 || b < a ? b : a;
}

static int update_windows(struct agent *agent, uint32_t now, struct timespec *time)
{
	struct window *window;
	int next = -1;

	wl_list_for_each(window, &agent->windows, link)
	{
		int wait;

		if (!window->frame_wanted || !window->surface)
			continue;
		wait = wait_for(window, now);
		if (wait > 0) {
			next = earlier(next, wait);
		} else if (!wait) {
			window->frame_wanted = false;
			window->last_frame = now;
			agent->stats.frames_done++;
			wlr_surface_for_each_surface(window->surface, send_done, time);
		}
	}
	return next;
}

void frames_update(struct agent *agent)
{
	struct surface *surface;
	struct timespec time;
	int next;

	/* One reading: clients see the pace in the times that they are told. */
	clock_gettime(CLOCK_MONOTONIC, &time);
	next = update_windows(agent,
			      (uint32_t)((uint64_t)time.tv_sec * 1000 +
					 (uint64_t)time.tv_nsec / 1000000),
			      &time);
	wl_list_for_each(surface, &agent->surfaces, link)
	{
		if (surface->callback_waits)
			next = earlier(next, INTERVAL_OTHER);
	}
	/* 0 stops the timer. */
	wl_event_source_timer_update(agent->frame_timer, next < 0 ? 0 : next);
}

static int handle_timer(void *data)
{
	struct agent *agent = data;
	struct surface *surface;
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	wl_list_for_each(surface, &agent->surfaces, link)
	{
		if (!surface->callback_waits)
			continue;
		surface->callback_waits = false;
		wlr_surface_send_frame_done(surface->wlr, &time);
	}
	frames_update(agent);
	return 0;
}

void frame_committed(struct surface *surface, struct window *window)
{
	if (wl_list_empty(&surface->wlr->current.frame_callback_list))
		return;
	if (window)
		window->frame_wanted = true;
	else
		surface->callback_waits = true;
	frames_update(surface->agent);
}

int frames_create(struct agent *agent)
{
	agent->frame_timer = wl_event_loop_add_timer(agent->loop, handle_timer, agent);
	return agent->frame_timer ? 0 : -ENOMEM;
}

void frames_destroy(struct agent *agent)
{
	wl_event_source_remove(agent->frame_timer);
}
