// SPDX-License-Identifier: GPL-2.0-or-later
// Both ends in threads of one process, on one mapping, for the thread sanitizer: it cannot see through two mappings.
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TOTAL (3u << 20)

static struct libvchan ends[2];
static int events[2]; /* pending for that end */

static int end_notify(struct libvchan *ctrl)
{
	return eventfd_write(events[ctrl == &ends[0]], 1);
}

static int end_sleep(struct libvchan *ctrl, int64_t timeout)
{
	int fd = events[ctrl == &ends[1]];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct timespec limit = {timeout / 1000000000, timeout % 1000000000};
	eventfd_t count;

	if (ppoll(&p, 1, timeout >= 0 ? &limit : NULL, NULL) == 0)
		return -ETIMEDOUT;
	eventfd_read(fd, &count);
	return 0;
}

static void end_nothing(struct libvchan *ctrl)
{
	(void)ctrl;
}

static const struct vchan_transport transport = {
	.notify = end_notify,
	.sleep = end_sleep,
	.progress = end_nothing,
	.destroy = end_nothing,
};

static uint8_t pattern(uint32_t position)
{
	return (uint8_t)(position * 2654435761u >> 24);
}

static void die(const char *what)
{
	fprintf(stderr, "stress: %s\n", what);
	exit(1);
}

struct job {
	struct libvchan *end;
	uint32_t step;
	int whole;
};

static void *write_all(void *arg)
{
	struct job *job = arg;
	uint8_t *data = malloc(job->step);

	for (uint32_t done = 0, n; done < TOTAL; done += n) {
		n = TOTAL - done < job->step ? TOTAL - done : job->step;
		for (uint32_t i = 0; i < n; i++)
			data[i] = pattern(done + i);
		if ((job->whole ? libvchan_send : libvchan_write)(job->end, data, n) != (int)n)
			die("write");
	}
	free(data);
	libvchan_close(job->end);
	return NULL;
}

static void *read_all(void *arg)
{
	struct job *job = arg;
	uint8_t *data = malloc(job->step);
	uint32_t done = 0;

	for (;;) {
		uint32_t want = TOTAL - done < job->step && done < TOTAL ? TOTAL - done : job->step;
		int n = (job->whole ? libvchan_recv : libvchan_read)(job->end, data, want);

		if (n <= 0)
			break;
		for (int i = 0; i < n; i++, done++)
			if (data[i] != pattern(done))
				die("wrong byte");
	}
	if (errno != EPIPE || done != TOTAL)
		die("wrong end");
	free(data);
	return NULL;
}

/* The client writes, the server reads. */
static void run(uint16_t order, uint32_t write_step, uint32_t read_step, int whole)
{
	struct job writer = {&ends[1], write_step, whole}, reader = {&ends[0], read_step, whole};
	uint8_t *left = calloc(1, (size_t)1 << order), *right = calloc(1, (size_t)1 << order);
	struct vchan_page *page = aligned_alloc(VCHAN_PAGE_SIZE, VCHAN_PAGE_SIZE);
	pthread_t threads[2];

	memset(page, 0, VCHAN_PAGE_SIZE);
	memset(ends, 0, sizeof(ends));
	vchan_page_format(page, order, order);
	for (int i = 0; i < 2; i++) {
		vchan_shm_attach(&ends[i].shm, page, i == 0, order, order, left, right);
		ends[i].transport = &transport;
		ends[i].state = VCHAN_STATE_RINGS;
		ends[i].blocking = true;
		ends[i].pace.timer = -1;
		events[i] = eventfd(0, EFD_NONBLOCK);
	}
	vchan_shm_announce(&ends[1].shm);
	pthread_create(&threads[0], NULL, write_all, &writer);
	pthread_create(&threads[1], NULL, read_all, &reader);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	close(events[0]);
	close(events[1]);
	free(page);
	free(left);
	free(right);
}

int main(void)
{
	alarm(100);
	run(12, 1000, 3000, 0);
	run(12, 700, 3000, 1);
	run(14, 65536, 50000, 0);
	run(20, 65536, 65536, 0);
	run(20, 65536, 4096, 1);
	puts("stress: ok");
	return 0;
}
