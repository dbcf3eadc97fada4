// SPDX-License-Identifier: GPL-2.0-or-later
// One end of a channel for tests and measurements, in processes of one host or in domains; see usage(). With -DSTOCK
// the same over libxenvchan.
#define _GNU_SOURCE
#ifdef STOCK
# include "stock.h"
#else
# include "libvchan.h"
#endif

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void usage(void)
{
	fputs("usage: vchan-echo [-u URI] [-r READ] [-w WRITE] [-a MOST] server|client DOMAIN PORT MODE [ARGUMENT…]\n"
	      "  -r, -w  least sizes of a server's rings\n"
	      "  -a      the largest ring that a client accepts\n"
	      "  echo               write back what arrives, until the peer closes\n"
	      "  sink               read and check the pattern, until the peer closes\n"
	      "  take BYTES         read and check so much of the pattern, then close\n"
	      "  source BYTES STEP  write the pattern in writes of STEP, wait until it is read, then close\n"
	      "  check BYTES STEP   the same, against 'echo': read it back and compare\n"
	      "  ping COUNT SIZE    COUNT messages of SIZE bytes against 'echo', each awaited\n"
	      "  hold               connect, then sleep until the peer is gone\n"
	      "The last line is a row of NAME=VALUE, its first result=ok or result=failed.\n",
	      stderr);
	exit(2);
}

static libvchan_t *channel;
static uint64_t moved;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint8_t pattern(uint64_t position)
{
	return (uint8_t)(position * 0x9e3779b97f4a7c15u >> 56);
}

static void fill(uint8_t *data, uint64_t position, size_t n)
{
	for (size_t i = 0; i < n; i++)
		data[i] = pattern(position + i);
}

static int compare(const uint8_t *data, uint64_t position, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (data[i] != pattern(position + i)) {
			fprintf(stderr, "byte %" PRIu64 " is wrong\n", position + i);
			return -1;
		}
	}
	return 0;
}

/* The pattern costs more than the transfer: with FAST=1 in the environment only the first byte of a step is set. */
static int fast(void)
{
	static int is_fast = -1;

	if (is_fast < 0)
		is_fast = getenv("FAST") != NULL;
	return is_fast;
}

/* With WORK=1 in the environment an end looks at each byte all the same, and so is slower than the other one. */
static bool works(void)
{
	static int work = -1;

	if (work < 0)
		work = getenv("WORK") != NULL;
	return work;
}

static volatile uint8_t seen;

static void look_at(const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		seen = (uint8_t)(seen + data[i]);
}

/* With POLL=1 in the environment an end that echoes or pings does not sleep in the library, but in poll(). */
static bool polls(void)
{
	static int poll = -1;

	if (poll < 0)
		poll = getenv("POLL") != NULL;
	return poll;
}

/* As libvchan_read() and libvchan_recv() of a handle that blocks. */
static int get(uint8_t *data, size_t size, bool whole)
{
	struct pollfd wait = {.events = POLLIN};

	if (polls()) {
		wait.fd = libvchan_fd_for_select(channel);
		libvchan_set_blocking(channel, false);
	}
	for (;;) {
		int n = whole ? libvchan_recv(channel, data, size)
			      : libvchan_read(channel, data, size);

		if (n || !polls())
			return n;
		if (poll(&wait, 1, -1) < 0 || libvchan_wait(channel) < 0)
			return -1;
	}
}

static int run_echo(void)
{
	static uint8_t data[65536];
	int n;

	while ((n = get(data, sizeof(data), false)) > 0) {
		if (libvchan_write(channel, data, (size_t)n) != n)
			return -1;
		moved += (uint64_t)n;
	}
	return 0;
}

static int run_sink(uint64_t bytes)
{
	static uint8_t data[65536];
	int n;

	while (moved < bytes && (n = libvchan_read(channel, data, sizeof(data))) > 0) {
		if (!fast() && compare(data, moved, (size_t)n))
			return -1;
		if (works())
			look_at(data, (size_t)n);
		moved += (uint64_t)n;
	}
	return 0;
}

static int run_source(uint64_t bytes, size_t step, int back)
{
	uint8_t *data = calloc(1, step), *answer = calloc(1, step);
	struct libvchan_stats stats;
	int rc = data && answer ? 0 : -1;

	while (!rc && moved < bytes) {
		size_t n = bytes - moved < step ? (size_t)(bytes - moved) : step;

		if (!fast())
			fill(data, moved, n);
		if (works())
			look_at(data, n);
		if (libvchan_write(channel, data, n) != (int)n)
			rc = -1;
		for (size_t got = 0; !rc && back && got < n;) {
			int part = libvchan_read(channel, answer, n - got);

			if (part <= 0 || compare(answer, moved + got, (size_t)part))
				rc = -1;
			else
				got += (size_t)part;
		}
		moved += n;
	}
	/* Old peers forget what is in the ring when its writer closes. */
	libvchan_get_stats(channel, &stats, sizeof(stats));
	while (!rc && libvchan_is_open(channel) == VCHAN_CONNECTED &&
	       libvchan_buffer_space(channel) < (int)stats.write_ring)
		libvchan_wait(channel);
	free(data);
	free(answer);
	return rc;
}

static int run_ping(uint64_t count, size_t size)
{
	uint8_t *data = calloc(1, size);
	int rc = data ? 0 : -1;

	for (uint64_t i = 0; !rc && i < count; i++) {
		if (libvchan_send(channel, data, size) != (int)size ||
		    get(data, size, true) != (int)size)
			rc = -1;
		moved += size;
	}
	free(data);
	return rc;
}

static int run_hold(void)
{
	printf("connected\n");
	fflush(stdout);
	while (libvchan_is_open(channel) != VCHAN_DISCONNECTED)
		if (libvchan_wait(channel))
			break;
	return libvchan_is_open(channel) == VCHAN_DISCONNECTED ? 0 : -1;
}

static int run(int argc, char **argv)
{
	uint64_t amount = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	size_t step = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;

	if (argc == 1 && !strcmp(argv[0], "echo"))
		return run_echo();
	if (argc == 1 && !strcmp(argv[0], "sink"))
		return run_sink(UINT64_MAX);
	if (argc == 1 && !strcmp(argv[0], "hold"))
		return run_hold();
	if (argc == 2 && !strcmp(argv[0], "take"))
		return run_sink(amount) || moved != amount ? -1 : 0;
	if (argc != 3 || !step || step > 1 << 30)
		usage();
	if (!strcmp(argv[0], "source"))
		return run_source(amount, step, 0);
	if (!strcmp(argv[0], "check"))
		return run_source(amount, step, 1);
	if (!strcmp(argv[0], "ping"))
		return run_ping(amount, step);
	usage();
	return -1;
}

static void report(int rc, double seconds)
{
	struct libvchan_stats s;

	libvchan_get_stats(channel, &s, sizeof(s));
	printf("result=%s bytes=%" PRIu64
	       " seconds=%.6f read_ring=%u write_ring=%u events_sent=%" PRIu64
	       " events_taken=%" PRIu64 " sleeps=%" PRIu64 " timeouts=%" PRIu64 "\n",
	       rc ? "failed" : "ok", moved, seconds, s.read_ring, s.write_ring, s.events_sent,
	       s.events_taken, s.sleeps, s.timeouts);
}

static libvchan_t *new_client(const char *uri, int domain, int port, size_t accepted)
{
#ifndef STOCK
	struct pollfd wait = {.events = POLLIN};
	libvchan_t *client;

	if (accepted) {
		client = libvchan_client_init_async_uri(uri, domain, port, &wait.fd);
		if (!client || libvchan_accept_rings(client, accepted))
			return NULL;
		for (;;) {
			int rc = libvchan_client_init_async_finish(client, true);

			if (rc <= 0)
				return rc ? NULL : client;
			poll(&wait, 1, -1);
		}
	}
#else
	(void)accepted;
#endif
	return libvchan_client_init_uri(uri, domain, port);
}

int main(int argc, char **argv)
{
	size_t read_min = 65536, write_min = 65536, accepted = 0;
	const char *uri = NULL;
	int option, domain, port, server, rc;
	double start;

	while ((option = getopt(argc, argv, "+u:r:w:a:")) != -1) {
		if (option == 'u')
			uri = optarg;
		else if (option == 'r')
			read_min = strtoull(optarg, NULL, 0);
		else if (option == 'w')
			write_min = strtoull(optarg, NULL, 0);
		else if (option == 'a')
			accepted = strtoull(optarg, NULL, 0);
		else
			usage();
	}
	argc -= optind;
	argv += optind;
	if (argc < 4 || (strcmp(argv[0], "server") && strcmp(argv[0], "client")))
		usage();
	server = argv[0][0] == 's';
	domain = atoi(argv[1]);
	port = atoi(argv[2]);
	channel = server ? libvchan_server_init_uri(uri, domain, port, read_min, write_min)
			 : new_client(uri, domain, port, accepted);
	if (!channel) {
		printf("result=failed error=%s\n", strerror(errno));
		return 1;
	}
	while (server && libvchan_is_open(channel) == VCHAN_WAITING)
		libvchan_wait(channel);
	start = now();
	rc = run(argc - 3, argv + 3);
	report(rc, now() - start);
	libvchan_close(channel);
	return rc ? 1 : 0;
}
