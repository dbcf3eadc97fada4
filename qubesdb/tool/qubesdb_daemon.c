// SPDX-License-Identifier: GPL-2.0-or-later
// qubesdb-daemon: the database of one qube, in dom0, or its copy in the qube.
#define _GNU_SOURCE
#include "../../qrexec/lib/rate.h"
#include "../../qrexec/lib/socket.h"
#include "../base.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RING_BYTES  4096
#define RETRY_MS    1000
/* While a program has as much as this to read, nothing is taken from the link: a flood does not become its loss. */
#define BACKLOG_MAX (STREAM_OUT_MAX / 4)
/* A program that reads nothing of that for so long is dropped, or it would stop the link for ever. */
#define STALLED_MS  30000

enum {
	LISTEN_WRITERS,
	LISTEN_READERS,
	LISTENERS
};

static struct daemon {
	int domain; /* the other side */
	const char *name, *socket_dir, *pid_file;
	bool server, background, ready;
	int ready_fd; /* of the parent that waits in the foreground, or -1 */
	int listeners[LISTENERS];
	libvchan_t *joining; /* qube: on the way to dom0 */
	int joining_fd;
	int refusal; /* errno of the last channel that there was none of */
	long long retry_at;
	long long progress[CLIENTS_MAX]; /* when a program has last read something */
	struct base base;
} self;

static volatile sig_atomic_t ending;

static void end(int number)
{
	(void)number;
	ending = 1;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void report(const struct base *base, const char *what, const char *detail)
{
	static struct rate rate = {.burst = 100, .pause = 60000};

	/* The other side can cause it as often as it likes. */
	if (rate_take(&rate, now_ms()))
		fprintf(stderr, "qubesdb-daemon: %s: %s: %s\n", base->name, what, detail);
}

static void socket_path(int which, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/qubesdb%s%s%s.sock", self.socket_dir, self.name ? "." : "",
		 self.name ? self.name : "", which == LISTEN_READERS ? ".ro" : "");
}

/* Members of the group qubes may write, anybody may read. */
static int listen_for_programs(void)
{
	char path[PATH_MAX];

	for (int i = 0; i < LISTENERS; i++) {
		bool readers = i == LISTEN_READERS;

		socket_path(i, path, sizeof(path));
		self.listeners[i] = socket_listen(path, readers ? 0666 : 0660,
						  readers ? NULL : "qubes");
		if (self.listeners[i] < 0) {
			fprintf(stderr, "qubesdb-daemon: %s: %s\n", path, strerror(errno));
			return -1;
		}
	}
	return 0;
}

/* The protocol of sd_notify(3): one datagram. */
static void tell_systemd(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	int fd;

	if (!path || strlen(path) >= sizeof(address.sun_path))
		return;
	strcpy(address.sun_path, path);
	if (address.sun_path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&address,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) < 0)
		fprintf(stderr, "qubesdb-daemon: systemd at %s (NOTIFY_SOCKET) is not told: %s\n",
			path, strerror(errno));
	close(fd);
}

static int write_pid(void)
{
	FILE *file;

	if (!self.pid_file)
		return 0;
	file = fopen(self.pid_file, "w");
	if (file && fprintf(file, "%d\n", (int)getpid()) > 0 && !fclose(file))
		return 0;
	fprintf(stderr, "qubesdb-daemon: %s: %s\n", self.pid_file, strerror(errno));
	return -1;
}

/* The sockets are there when the entries are: in a qube, after dom0 has sent them. */
static int become_ready(void)
{
	if (self.ready)
		return 0;
	if (listen_for_programs() || write_pid())
		return -1;
	self.ready = true;
	tell_systemd();
	if (self.ready_fd >= 0) {
		if (write(self.ready_fd, "", 1) < 0)
			fprintf(stderr,
				"qubesdb-daemon: who started it is not told that it is ready: %s\n",
				strerror(errno));
		close(self.ready_fd);
		self.ready_fd = -1;
	}
	return 0;
}

/* dom0 offers a channel, the qube looks for one. */
static void connect_link(void)
{
	libvchan_t *vchan;

	self.retry_at = now_ms() + RETRY_MS;
	if (!self.server) {
		self.joining = libvchan_client_init_async(self.domain, QDB_PORT, &self.joining_fd);
		return;
	}
	vchan = libvchan_server_init(self.domain, QDB_PORT, RING_BYTES, RING_BYTES);
	if (vchan) {
		self.refusal = 0;
		link_start(&self.base, vchan);
		return;
	}
	/* It is tried again and again: what has been said is not said again. */
	if (errno != self.refusal)
		fprintf(stderr, "qubesdb-daemon: %s: no channel: %s%s\n", self.base.name,
			strerror(errno),
			errno == ENOENT ? "; are the modules xen-gntalloc and xen-evtchn loaded?"
					: "");
	self.refusal = errno;
}

static void go_on_joining(void)
{
	libvchan_t *vchan = self.joining;
	int rc = libvchan_client_init_async_finish(vchan, false);

	if (rc > 0)
		return;
	self.joining = NULL;
	if (rc == 0)
		link_start(&self.base, vchan);
	else
		libvchan_close(vchan);
}

static void accept_program(int which)
{
	int fd = accept4(self.listeners[which], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (!client_add(&self.base, fd, which == LISTEN_WRITERS)) {
		fprintf(stderr, "qubesdb-daemon: %s: more than %d programs\n", self.base.name,
			CLIENTS_MAX);
		close(fd);
	}
}

static void flush_client(size_t index, long long now)
{
	struct client *client = &self.base.clients[index];
	size_t before = client->stream.out_length;

	if (stream_flush(&client->stream))
		client->broken = true;
	if (client->stream.out_length <= BACKLOG_MAX || client->stream.out_length < before)
		self.progress[index] = now;
	if (now - self.progress[index] > STALLED_MS)
		client->broken = true;
}

/* Sends what can be sent, and drops whom that is no longer possible for. Returns whether the link is held back. */
static bool flush(void)
{
	long long now = now_ms();
	bool held = false;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &self.base.clients[i];

		if (!client->used)
			continue;
		flush_client(i, now);
		if (client->broken)
			client_drop(client);
		else if (client->stream.out_length > BACKLOG_MAX)
			held = true;
	}
	if (self.base.link.state != LINK_DOWN && stream_flush(&self.base.link.stream))
		self.base.link.broken = true;
	if (self.base.link.broken) {
		link_drop(&self.base);
		/* A peer that comes and goes all the time does not keep this side busy. */
		self.retry_at = now + RETRY_MS;
	}
	return held;
}

enum {
	POLL_LINK,
	POLL_LISTENERS,
	POLL_CLIENTS = POLL_LISTENERS + LISTENERS
};

static void collect(struct pollfd *p, bool held)
{
	struct base *base = &self.base;

	p[POLL_LINK] = (struct pollfd){-1, POLLIN, 0};
	if (self.joining)
		p[POLL_LINK].fd = self.joining_fd;
	else if (base->link.state != LINK_DOWN && !held)
		p[POLL_LINK].fd = stream_fd(&base->link.stream);
	for (int i = 0; i < LISTENERS; i++)
		p[POLL_LISTENERS + i] = (struct pollfd){self.listeners[i], POLLIN, 0};
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		p[POLL_CLIENTS + i] = (struct pollfd){-1, 0, 0};
		if (base->clients[i].used)
			p[POLL_CLIENTS + i] =
				(struct pollfd){stream_fd(&base->clients[i].stream),
						stream_events(&base->clients[i].stream), 0};
	}
}

static int timeout_of(bool again, bool held)
{
	long long left = self.retry_at - now_ms();

	if (again)
		return 0;
	if (held)
		return RETRY_MS;
	if (self.base.link.state != LINK_DOWN || self.joining)
		return -1;
	return left < 0 ? 0 : left > RETRY_MS ? RETRY_MS : (int)left;
}

static bool serve(const struct pollfd *p, bool held)
{
	struct base *base = &self.base;
	bool again = false;

	if (self.joining && p[POLL_LINK].revents)
		go_on_joining();
	else if (base->link.state != LINK_DOWN)
		stream_polled(&base->link.stream, p[POLL_LINK].revents);
	if (base->link.state != LINK_DOWN && !held)
		again = link_serve(base);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (base->clients[i].used && p[POLL_CLIENTS + i].revents)
			again |= client_serve(base, &base->clients[i]);
	for (int i = 0; i < LISTENERS; i++)
		if (p[POLL_LISTENERS + i].revents)
			accept_program(i);
	return again;
}

static int run(void)
{
	static struct pollfd p[POLL_CLIENTS + CLIENTS_MAX];
	bool again = false, held = false;

	while (!ending) {
		if (self.base.link.state == LINK_DOWN && !self.joining && now_ms() >= self.retry_at)
			connect_link();
		if ((self.server || self.base.link.state == LINK_LIVE) && become_ready())
			return 1;
		collect(p, held);
		if (poll(p, POLL_CLIENTS + CLIENTS_MAX, timeout_of(again, held)) < 0) {
			if (errno == EINTR)
				continue;
			fprintf(stderr, "qubesdb-daemon: %s: poll: %s\n", self.base.name,
				strerror(errno));
			return 1;
		}
		again = serve(p, held);
		held = flush();
	}
	return 0;
}

/* The parent leaves when the child is ready, or with its failure. Messages still go to standard error. */
static void go_to_background(void)
{
	int ends[2], null;
	pid_t pid;
	char byte;

	if (pipe2(ends, O_CLOEXEC) || (pid = fork()) < 0) {
		fprintf(stderr, "qubesdb-daemon: no process for the background: %s\n",
			strerror(errno));
		exit(1);
	}
	if (pid > 0) {
		close(ends[1]);
		exit(read(ends[0], &byte, 1) == 1 ? 0 : 1);
	}
	close(ends[0]);
	self.ready_fd = ends[1];
	setsid();
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0) {
		fprintf(stderr, "qubesdb-daemon: /dev/null cannot be its input and output: %s\n",
			strerror(errno));
		exit(1);
	}
	if (null > 1)
		close(null);
}

static int usage(FILE *to)
{
	fputs("usage: qubesdb-daemon [--socket-dir DIR] [--background] [--pid-file FILE] "
	      "DOMAIN [NAME]\n",
	      to);
	return to == stdout ? 0 : 2;
}

static bool parse_options(int argc, char **argv)
{
	static const struct option longs[] = {{"socket-dir", required_argument, NULL, 's'},
					      {"background", no_argument, NULL, 'b'},
					      {"pid-file", required_argument, NULL, 'p'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	int option;
	char *rest;
	long domain;

	while ((option = getopt_long(argc, argv, "s:bp:h", longs, NULL)) != -1)
		if (option == 's')
			self.socket_dir = optarg;
		else if (option == 'b')
			self.background = true;
		else if (option == 'p')
			self.pid_file = optarg;
		else if (option == 'h')
			exit(usage(stdout));
		else
			return false;
	if (argc - optind < 1 || argc - optind > 2)
		return false;
	domain = strtol(argv[optind], &rest, 10);
	if (*rest || rest == argv[optind] || domain < 0 || domain >= 0x7ff0)
		return false;
	self.domain = (int)domain;
	self.name = argv[optind + 1];
	self.server = self.name != NULL;
	return !self.server || (*self.name && !strchr(self.name, '/') && strlen(self.name) < 64);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = end};
	char path[PATH_MAX];
	int status;

	self.socket_dir = "/run/qubes";
	self.ready_fd = self.listeners[0] = self.listeners[1] = -1;
	if (!parse_options(argc, argv))
		return usage(stderr);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (self.background)
		go_to_background();
	if (base_init(&self.base, self.name ? self.name : "dom0", self.server)) {
		fputs("qubesdb-daemon: there is not enough memory for the database\n", stderr);
		return 1;
	}
	self.base.report = report;
	status = run();
	for (int i = 0; self.ready && i < LISTENERS; i++) {
		socket_path(i, path, sizeof(path));
		unlink(path);
	}
	if (self.ready && self.pid_file)
		unlink(self.pid_file);
	libvchan_close(self.joining);
	base_finish(&self.base);
	return status;
}
