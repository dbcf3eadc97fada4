// SPDX-License-Identifier: LGPL-2.1-or-later
// Fewer events while data streams. An end that waits for data or space asks to be woken when most of a ring is there, but
// only for a short time: whatever comes by then has to do. Where that does not help it asks for any progress at all.
#include "internal.h"
#include "atomic.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Longest delay that asking for more may cause, per byte of the ring: filling it at 500 MB/s. */
#define NANOSECONDS_PER_BYTE 2
#define NANOSECONDS_MIN	     100000

/*
 * A wait for most of a ring does not help when its time runs out first: then some are left out. Nor where most of a ring is there anyway
 * when this end gets to run, as with both ends on one CPU: its timer would cost the kernel hypercalls for nothing. To see that, one of
 * so many is left out.
 */
#ifndef LEFT_OUT_MAX
# define LEFT_OUT_MAX 63
# define LOOK_EVERY   16
#endif

/*
 * Peers that go on, but slowly. While a writer waits its reader has a quarter of a ring: so it may wait up to 16 times as long. A reader
 * does not get its data later than that: it asks for half of what came in time the last time, down to a 16th.
 */
#ifndef SLOW_MAX
# define SLOW_MAX 4
# define PART_MAX 4
#endif

#define SECOND 1000000000

/* About what waking up costs; when it was in vain, the next looks are left out, up to so many. */
#ifndef LINGER_NANOSECONDS
# define LINGER_NANOSECONDS 20000
#endif
#define LINGER_SKIP_MAX 63

static uint32_t most_of(uint32_t size)
{
	/* The rest keeps the other end busy while this one wakes up. */
	return size - size / 4;
}

static int64_t patience(uint32_t size)
{
	int64_t time = (int64_t)size * NANOSECONDS_PER_BYTE;

	return time > NANOSECONDS_MIN ? time : NANOSECONDS_MIN;
}

/* Old peers send an event at any progress; a timer would be in vain. */
static bool peer_knows_targets(const struct libvchan *ctrl)
{
	return ctrl->shm.index_bit & vchan_load(ctrl->shm.told);
}

/* Whether the deadline can be shown to a caller that polls. */
static bool timer_ready(struct libvchan *ctrl)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd;

	if (!ctrl->polled || ctrl->pace.timer >= 0)
		return true;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0)
		return false;
	if (epoll_ctl(ctrl->fd, EPOLL_CTL_ADD, fd, &event)) {
		close(fd);
		return false;
	}
	ctrl->pace.timer = fd;
	return true;
}

/* Whether to wait for most of a ring this time. Who looks again before it sleeps begins no other wait. */
static bool worth_it(struct vchan_waits *waits)
{
	if (waits->asked != VCHAN_ASKED_NOTHING)
		return waits->asked == VCHAN_ASKED_MOST;
	waits->asked = VCHAN_ASKED_ANY;
	if (waits->needless)
		return false;
	if (waits->left_out) {
		waits->left_out--;
		return false;
	}
	if (waits->good >= LOOK_EVERY) {
		waits->good = 0;
		waits->part = (uint8_t)(waits->part - (waits->part > 0));
		return false;
	}
	waits->asked = VCHAN_ASKED_MOST;
	return true;
}

uint32_t vchan_pace_data(struct libvchan *ctrl, uint32_t want, int64_t *ret_timeout)
{
	struct vchan_waits *waits = &ctrl->pace.data;
	uint32_t size = ctrl->shm.rd.size, part;

	if (want >= size || ctrl->pace.streamed < size / 2 || !peer_knows_targets(ctrl) ||
	    !timer_ready(ctrl) || !worth_it(waits))
		return want;
	part = most_of(size) >> waits->part;
	if (want >= part && waits->part)
		return want;
	*ret_timeout = patience(size);
	return want < part ? part : size;
}

uint32_t vchan_pace_space(struct libvchan *ctrl, uint32_t want, int64_t *ret_timeout)
{
	struct vchan_waits *waits = &ctrl->pace.space;
	uint32_t size = ctrl->shm.wr.size;
	bool begins = waits->asked == VCHAN_ASKED_NOTHING;

	if (want >= size || !peer_knows_targets(ctrl) || !timer_ready(ctrl) || !worth_it(waits))
		return want;
	if (begins)
		waits->before = vchan_space(&ctrl->shm);
	/* A writer that sleeps does so until there is much to do; one that only looks disturbs nobody. */
	*ret_timeout = patience(size) << waits->slow;
	return want < most_of(size) ? most_of(size) : size;
}

bool vchan_pace_stuck(struct libvchan *ctrl, uint32_t ready)
{
	bool same = ctrl->pace.seen_index == ctrl->shm.rd.index && ctrl->pace.seen_ready == ready;

	ctrl->pace.seen_index = ctrl->shm.rd.index;
	ctrl->pace.seen_ready = ready;
	return same;
}

static void leave_out(struct vchan_waits *waits)
{
	waits->slow = waits->part = 0;
	waits->vain = (uint8_t)(waits->vain < LEFT_OUT_MAX ? waits->vain * 2 + 1 : LEFT_OUT_MAX);
	waits->left_out = waits->vain;
}

/* A wait may be over: there is as much now as it was for, or (true) it ran out of time. */
static bool ran_out(struct vchan_waits *waits, uint32_t now, uint32_t size, bool timed_out)
{
	if (waits->asked == VCHAN_ASKED_ANY) {
		waits->needless = now >= most_of(size);
	} else if (now >= most_of(size) >> waits->part) {
		waits->good++;
		waits->vain /= 2;
		timed_out = false;
	} else if (!timed_out) {
		return false; /* another event */
	}
	timed_out &= waits->asked == VCHAN_ASKED_MOST;
	waits->asked = VCHAN_ASKED_NOTHING;
	return timed_out;
}

static void woken_for_data(struct libvchan *ctrl, bool timed_out)
{
	struct vchan_waits *waits = &ctrl->pace.data;
	uint32_t size = ctrl->shm.rd.size, ready = vchan_ready(&ctrl->shm);

	/* The stream is at its end, or as good as that. */
	if (timed_out && ready < most_of(size) >> PART_MAX)
		ctrl->pace.streamed = 0;
	if (waits->asked == VCHAN_ASKED_NOTHING || !ran_out(waits, ready, size, timed_out))
		return;
	if (!ctrl->pace.streamed || waits->part == PART_MAX)
		leave_out(waits);
	else
		while (waits->part < PART_MAX && most_of(size) >> waits->part > ready / 2)
			waits->part++;
}

static void woken_for_space(struct libvchan *ctrl, bool timed_out)
{
	struct vchan_waits *waits = &ctrl->pace.space;
	uint32_t space = vchan_space(&ctrl->shm);

	if (ran_out(waits, space, ctrl->shm.wr.size, timed_out)) {
		if (space == waits->before)
			leave_out(waits);
		else if (waits->slow != SLOW_MAX)
			waits->slow++;
	}
	if (waits->asked == VCHAN_ASKED_NOTHING)
		waits->before = 0;
}

void vchan_pace_woken(struct libvchan *ctrl, bool timed_out)
{
	if (timed_out)
		ctrl->stats.timeouts++;
	if (timed_out || ctrl->pace.data.asked != VCHAN_ASKED_NOTHING)
		woken_for_data(ctrl, timed_out);
	if (ctrl->pace.space.asked != VCHAN_ASKED_NOTHING)
		woken_for_space(ctrl, timed_out);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static uint32_t progress(const struct libvchan *ctrl, bool data)
{
	return data ? vchan_ready(&ctrl->shm) : vchan_space(&ctrl->shm);
}

bool vchan_pace_linger(struct libvchan *ctrl, bool data, uint32_t want)
{
	int64_t end;
	int i;

	/* Only in the middle of a stream; who waits for an answer waits for work that takes its time. */
	if (LINGER_NANOSECONDS == 0 || (data && ctrl->pace.streamed < ctrl->shm.rd.size / 2))
		return false;
	if (ctrl->pace.linger_skip) {
		ctrl->pace.linger_skip--;
		return false;
	}
	end = now() + LINGER_NANOSECONDS;
	do {
		for (i = 0; i < 64; i++) {
			if (progress(ctrl, data) >= want) {
				ctrl->pace.linger_misses /= 2;
				return true;
			}
			relax();
		}
		/* The peer may be waiting for this very CPU. */
		sched_yield();
	} while (now() < end);
	if (ctrl->pace.linger_misses < LINGER_SKIP_MAX)
		ctrl->pace.linger_misses = ctrl->pace.linger_misses * 2 + 1;
	ctrl->pace.linger_skip = ctrl->pace.linger_misses;
	return false;
}

static void set_timer(struct libvchan *ctrl, int64_t time)
{
	struct itimerspec when = {.it_value = {time / SECOND, time % SECOND}};

	if (ctrl->pace.timer >= 0)
		timerfd_settime(ctrl->pace.timer, TFD_TIMER_ABSTIME, &when, NULL);
}

void vchan_pace_arm(struct libvchan *ctrl, int64_t timeout)
{
	int64_t time;

	if (timeout < 0)
		return;
	/* A deadline that is set is early enough, unless the caller was busy meanwhile: then it waits from now on. */
	time = now();
	if (ctrl->pace.deadline > time)
		return;
	ctrl->pace.deadline = time + timeout;
	set_timer(ctrl, ctrl->pace.deadline);
}

void vchan_pace_disarm(struct libvchan *ctrl)
{
	ctrl->pace.deadline = 0;
	set_timer(ctrl, 0);
}

void vchan_pace_expire(struct libvchan *ctrl)
{
	ctrl->pace.deadline = 1; /* long ago */
	if (timer_ready(ctrl))
		set_timer(ctrl, ctrl->pace.deadline);
}

int64_t vchan_pace_left(const struct libvchan *ctrl)
{
	int64_t left;

	if (!ctrl->pace.deadline)
		return VCHAN_FOREVER;
	left = ctrl->pace.deadline - now();
	return left > 0 ? left : 0;
}
