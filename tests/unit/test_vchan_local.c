// SPDX-License-Identifier: GPL-2.0-or-later
// The local transport between processes: meeting, streams, polling, the end of a peer.
// links: vchan/libvchan.c vchan/pace.c vchan/shm.c vchan/uri.c vchan/local.c vchan/rendezvous.c vchan/xen.c
// links: vchan/xen_dev.c vchan/xs.c vchan/end.c
// cflags: -D_GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../vchan/libvchan.h"
#include "../../vchan/shm.h"

#define SERVER 1
#define CLIENT 2
#define PORT   513

static char directory[64], uris[3][96];

static int setup(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/test-vchan.XXXXXX");
	assert_non_null(mkdtemp(directory));
	for (int i = 0; i < 3; i++)
		snprintf(uris[i], sizeof(uris[i]), "local:%s?domain=%d", directory, i);
	return 0;
}

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = -2;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int teardown(void **state)
{
	(void)state;
	/* Servers leave nothing behind; those that were killed leave a socket, which the tests replace. */
	assert_int_equal(count_entries(directory), 0);
	return rmdir(directory);
}

static libvchan_t *new_server(int port, size_t read_min, size_t write_min)
{
	libvchan_t *s = libvchan_server_init_uri(uris[SERVER], CLIENT, port, read_min, write_min);

	assert_non_null(s);
	return s;
}

static bool readable(int fd, int timeout)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout) == 1;
}

static libvchan_t *start_client(int port, int *ret_fd)
{
	libvchan_t *c = libvchan_client_init_async_uri(uris[CLIENT], SERVER, port, ret_fd);

	assert_non_null(c);
	return c;
}

static void finish_client(libvchan_t *c, int fd)
{
	int rc;

	do
		assert_true(readable(fd, 5000));
	while ((rc = libvchan_client_init_async_finish(c, true)) > 0);
	assert_int_equal(rc, 0);
}

/* Both ends in this process: the server has to act between the client's steps. */
static void connect_pair(int port, size_t read_min, size_t write_min, libvchan_t **s,
			 libvchan_t **c)
{
	int fd;

	*s = new_server(port, read_min, write_min);
	*c = start_client(port, &fd);
	assert_int_equal(libvchan_is_open(*s), VCHAN_WAITING);
	finish_client(*c, fd);
	assert_int_equal(libvchan_is_open(*s), VCHAN_CONNECTED);
	assert_int_equal(libvchan_is_open(*c), VCHAN_CONNECTED);
}

static void test_pair(void **state)
{
	libvchan_t *s, *c;
	char data[8];

	(void)state;
	connect_pair(PORT, 4096, 4096, &s, &c);
	assert_int_equal(libvchan_send(c, "question", 8), 8);
	assert_int_equal(libvchan_data_ready(s), 8);
	assert_int_equal(libvchan_recv(s, data, 8), 8);
	assert_memory_equal(data, "question", 8);
	assert_int_equal(libvchan_write(s, "answer", 6), 6);
	assert_int_equal(libvchan_read(c, data, 8), 6);
	assert_memory_equal(data, "answer", 6);
	assert_int_equal(libvchan_buffer_space(s), 4096);
	assert_int_equal(libvchan_send(s, data, 4097), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(libvchan_recv(s, data, 4097), -1);
	assert_int_equal(errno, EMSGSIZE);
	libvchan_set_blocking(s, false);
	assert_int_equal(libvchan_read(s, data, 8), 0);
	assert_int_equal(libvchan_recv(s, data, 8), 0);
	libvchan_close(c);
	libvchan_close(s);
	libvchan_close(NULL);
}

/* Transfers without a copy: the pieces wrap, and no more is taken than was shown. */
static void test_pieces(void **state)
{
	struct libvchan_piece p[2];
	libvchan_t *s, *c;
	char data[4096];

	(void)state;
	connect_pair(PORT, 4096, 4096, &s, &c);
	libvchan_set_blocking(c, false);
	libvchan_set_blocking(s, false);
	assert_int_equal(libvchan_peek(s, p, 1, 10), 0);
	assert_int_equal(libvchan_consume(s, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(libvchan_reserve(c, p, 4097, 4097), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(libvchan_reserve(c, p, 1, 4000), 4000);
	assert_int_equal(p[0].size, 4000);
	assert_int_equal(p[1].size, 0);
	memset(p[0].data, 'a', 4000);
	assert_int_equal(libvchan_data_ready(s), 0); /* not before it is committed */
	assert_int_equal(libvchan_commit(c, 4001), -1);
	assert_int_equal(libvchan_commit(c, 3000), 0);
	assert_int_equal(libvchan_commit(c, 1000), 0);
	assert_int_equal(libvchan_commit(c, 1), -1);
	assert_int_equal(libvchan_reserve(c, p, 1, 200), 96);
	assert_int_equal(libvchan_reserve(c, p, 97, 200), 0);
	assert_int_equal(libvchan_read(s, data, 3900), 3900);
	assert_int_equal(libvchan_reserve(c, p, 1, 200), 200);
	assert_int_equal(p[0].size, 96);
	assert_int_equal(p[1].size, 104);
	memset(p[0].data, 'b', 96);
	memset(p[1].data, 'c', 104);
	assert_int_equal(libvchan_commit(c, 200), 0);
	assert_int_equal(libvchan_peek(s, p, 1, 1000), 300);
	assert_int_equal(p[0].size, 196);
	assert_int_equal(p[1].size, 104);
	assert_memory_equal(p[0].data, "aaaa", 4);
	assert_memory_equal((char *)p[0].data + 100, "bbbb", 4);
	assert_memory_equal(p[1].data, "cccc", 4);
	assert_int_equal(libvchan_consume(s, 301), -1);
	assert_int_equal(libvchan_consume(s, 299), 0);
	assert_int_equal(libvchan_peek(s, p, 1, 1000), 1);
	assert_int_equal(libvchan_consume(s, 1), 0);
	libvchan_close(c);
	assert_int_equal(libvchan_peek(s, p, 1, 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(libvchan_reserve(s, p, 1, 1), -1);
	libvchan_close(s);
}

static void test_ring_sizes(void **state)
{
	static const size_t sizes[][4] = {
		{1, 1, 1024, 2048},	     {2048, 1024, 2048, 1024},
		{2048, 2048, 4096, 4096},    {128, 8192, 2048, 8192},
		{8192, 128, 8192, 2048},     {65536, 65537, 65536, 131072},
		{1 << 20, 1, 1 << 20, 2048},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct libvchan_stats stats;
		libvchan_t *s, *c;

		connect_pair(PORT, sizes[i][0], sizes[i][1], &s, &c);
		libvchan_get_stats(s, &stats, sizeof(stats));
		assert_int_equal(stats.read_ring, sizes[i][2]);
		assert_int_equal(stats.write_ring, sizes[i][3]);
		libvchan_get_stats(c, &stats, sizeof(stats));
		assert_int_equal(stats.write_ring, sizes[i][2]);
		assert_int_equal(stats.read_ring, sizes[i][3]);
		libvchan_close(s);
		libvchan_close(c);
	}
	assert_null(libvchan_server_init_uri(uris[1], 2, 1, VCHAN_SIZE_MAX + 1, 1));
	assert_int_equal(errno, EINVAL);
}

/* A client has no larger rings than it accepts, and accepts 1 MiB if it does not say otherwise. */
static void test_large_rings(void **state)
{
	static const size_t accepted[] = {0, (8 << 20) - 1, 8 << 20};

	(void)state;
	for (int i = 0; i < 3; i++) {
		libvchan_t *s = new_server(PORT, 8 << 20, 4096), *c;
		struct libvchan_stats stats;
		int fd;

		c = start_client(PORT, &fd);
		if (accepted[i])
			assert_int_equal(libvchan_accept_rings(c, accepted[i]), 0);
		assert_int_equal(libvchan_accept_rings(c, VCHAN_SIZE_MAX + 1), -1);
		assert_int_equal(libvchan_accept_rings(c, 1023), -1);
		assert_int_equal(libvchan_is_open(s), VCHAN_WAITING);
		if (i < 2) {
			assert_true(readable(fd, 5000));
			assert_int_equal(libvchan_client_init_async_finish(c, true), -1);
			assert_int_equal(errno, EPROTO);
		} else {
			finish_client(c, fd);
			libvchan_get_stats(c, &stats, sizeof(stats));
			assert_int_equal(stats.write_ring, 8 << 20);
		}
		libvchan_close(c);
		libvchan_close(s);
	}
}

/* A child process that is the client and runs a function. */
static pid_t spawn(int port, void (*body)(libvchan_t *))
{
	pid_t pid = fork();
	libvchan_t *c;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	alarm(60);
	c = libvchan_client_init_uri(uris[CLIENT], SERVER, port);
	if (!c)
		_exit(3);
	body(c);
	_exit(0);
}

static void reap(pid_t pid, int wanted)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), wanted);
}

#define STREAM (24u << 20)

static uint8_t byte_at(uint32_t position)
{
	return (uint8_t)(position * 2654435761u >> 24);
}

static void write_stream(libvchan_t *c)
{
	static uint8_t data[100000];
	unsigned seed = 3;

	for (uint32_t done = 0; done < STREAM;) {
		uint32_t n = 1 + (uint32_t)rand_r(&seed) % sizeof(data);

		if (n > STREAM - done)
			n = STREAM - done;
		for (uint32_t i = 0; i < n; i++)
			data[i] = byte_at(done + i);
		if (libvchan_write(c, data, n) != (int)n)
			_exit(4);
		done += n;
	}
	libvchan_close(c);
}

static uint32_t read_blocking(libvchan_t *s, uint32_t step)
{
	static uint8_t data[1 << 20];
	uint32_t done = 0;
	int n;

	while ((n = libvchan_read(s, data, step)) > 0)
		for (int i = 0; i < n; i++, done++)
			if (data[i] != byte_at(done))
				fail_msg("byte %u is wrong", done);
	assert_int_equal(n, -1);
	assert_int_equal(errno, EPIPE);
	return done;
}

static uint32_t read_polling(libvchan_t *s, uint32_t step)
{
	static uint8_t data[1 << 20];
	int fd = libvchan_fd_for_select(s);
	uint32_t done = 0;

	libvchan_set_blocking(s, false);
	for (;;) {
		int n = libvchan_read(s, data, step);

		if (n < 0)
			break;
		for (int i = 0; i < n; i++, done++)
			if (data[i] != byte_at(done))
				fail_msg("byte %u is wrong", done);
		if (n == (int)step)
			continue;
		assert_true(readable(fd, 20000));
		assert_int_equal(libvchan_wait(s), 0);
	}
	assert_int_equal(errno, EPIPE);
	return done;
}

static void test_streams(void **state)
{
	static const uint32_t rings[] = {1024, 4096, 65536, 1 << 20};

	(void)state;
	for (int i = 0; i < 8; i++) {
		libvchan_t *s = new_server(PORT, rings[i / 2], 4096);
		pid_t pid = spawn(PORT, write_stream);
		uint32_t got = (i % 2 ? read_polling : read_blocking)(s,
								      i / 2 == 3 ? 65536 : 30000);

		assert_int_equal(got, STREAM);
		assert_int_equal(libvchan_is_open(s), VCHAN_DISCONNECTED);
		libvchan_close(s);
		reap(pid, 0);
	}
}

static void trickle(libvchan_t *c)
{
	static uint8_t data[1 << 20];

	/* So much that the reader is willing to wait for most of a ring; then single bytes, each answered. */
	if (libvchan_write(c, data, sizeof(data)) != sizeof(data))
		_exit(4);
	for (int i = 0; i < 50; i++) {
		uint8_t byte = (uint8_t)i, answer;

		if (libvchan_send(c, &byte, 1) != 1 || libvchan_recv(c, &answer, 1) != 1 ||
		    answer != byte)
			_exit(5);
	}
}

static void test_moderation_does_not_delay_much(void **state)
{
	static uint8_t data[1 << 20];
	struct timespec start, end;
	libvchan_t *s = new_server(PORT, 1 << 20, 4096);
	pid_t pid = spawn(PORT, trickle);
	uint8_t byte;

	(void)state;
	for (uint32_t done = 0; done < sizeof(data);) {
		int n = libvchan_read(s, data, sizeof(data) - done);

		assert_true(n > 0);
		done += (uint32_t)n;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(libvchan_read(s, &byte, 1), 1);
		assert_int_equal(libvchan_write(s, &byte, 1), 1);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	/* 50 delays of 2 ms would be 100 ms; one is right. The machine may be busy with other things. */
	assert_true((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000 <
		    90);
	reap(pid, 0);
	libvchan_close(s);
}

static void test_write_before_client(void **state)
{
	libvchan_t *s = new_server(PORT, 4096, 4096), *c;
	static char data[5000], got[4096];
	int fd;

	(void)state;
	libvchan_set_blocking(s, false);
	memset(data, 'x', sizeof(data));
	assert_int_equal(libvchan_write(s, data, sizeof(data)), 4096);
	assert_int_equal(libvchan_buffer_space(s), 0);
	assert_int_equal(libvchan_data_ready(s), 0);
	c = start_client(PORT, &fd);
	assert_int_equal(libvchan_data_ready(s), 0); /* any call takes the client */
	finish_client(c, fd);
	assert_int_equal(libvchan_data_ready(c), 4096);
	assert_int_equal(libvchan_recv(c, got, 4096), 4096);
	assert_memory_equal(got, data, 4096);
	libvchan_close(c);
	libvchan_close(s);
}

static void test_client_waits_for_server(void **state)
{
	libvchan_t *c, *s;
	int fd;

	(void)state;
	c = start_client(PORT, &fd);
	assert_false(readable(fd, 20));
	assert_int_equal(libvchan_is_open(c), VCHAN_WAITING);
	assert_int_equal(libvchan_data_ready(c), -1);
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(libvchan_wait(c), -1);
	assert_int_equal(errno, ENOTCONN);
	s = new_server(PORT + 1, 4096, 4096); /* another port: perhaps a wake-up, no connection */
	libvchan_close(s);
	if (readable(fd, 0))
		assert_true(libvchan_client_init_async_finish(c, true) > 0);
	s = new_server(PORT, 4096, 4096);
	assert_true(readable(fd, 5000));
	assert_true(libvchan_client_init_async_finish(c, true) > 0);
	assert_int_equal(libvchan_is_open(s), VCHAN_WAITING); /* takes the client */
	finish_client(c, fd);
	libvchan_close(s);
	libvchan_close(c);
}

/* A server that was killed leaves its name; the next one takes it, and a client waits for that one. */
static void test_name_of_a_dead_server(void **state)
{
	libvchan_t *s, *c;
	pid_t pid = fork();
	int fd, status;

	(void)state;
	if (!pid) {
		libvchan_server_init_uri(uris[SERVER], CLIENT, PORT, 4096, 4096);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(count_entries(directory), 1);
	c = start_client(PORT, &fd);
	assert_false(readable(fd, 0));
	s = new_server(PORT, 4096, 4096);
	assert_int_equal(count_entries(directory), 1);
	assert_true(readable(fd, 1000));
	assert_true(libvchan_client_init_async_finish(c, true) > 0);
	assert_int_equal(libvchan_is_open(s), VCHAN_WAITING);
	finish_client(c, fd);
	libvchan_close(s);
	libvchan_close(c);
}

static void test_newer_server_keeps_the_name(void **state)
{
	libvchan_t *old = new_server(PORT, 4096, 4096), *s = new_server(PORT, 4096, 4096), *c;
	int fd;

	(void)state;
	libvchan_close(old);
	c = start_client(PORT, &fd);
	assert_int_equal(libvchan_is_open(s), VCHAN_WAITING);
	finish_client(c, fd);
	libvchan_close(c);
	libvchan_close(s);
}

static void test_server_dies_before_it_answers(void **state)
{
	libvchan_t *s = new_server(PORT, 4096, 4096), *c, *second;
	int fd, fd2;

	(void)state;
	c = start_client(PORT, &fd);
	assert_false(readable(fd, 0));
	libvchan_close(s);
	assert_true(readable(fd, 1000));
	assert_int_equal(libvchan_client_init_async_finish(c, true), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(libvchan_client_init_async_finish(c, true), -1);
	libvchan_close(c);

	/* So does a second client, when the server has taken the first. */
	s = new_server(PORT, 4096, 4096);
	c = start_client(PORT, &fd);
	second = start_client(PORT, &fd2);
	assert_int_equal(libvchan_is_open(s), VCHAN_WAITING);
	finish_client(c, fd);
	assert_true(readable(fd2, 1000));
	assert_int_equal(libvchan_client_init_async_finish(second, true), -1);
	libvchan_close(second);
	libvchan_close(c);
	libvchan_close(s);
}

static void test_client_dies_before_it_is_live(void **state)
{
	libvchan_t *s = new_server(PORT, 4096, 4096), *c;
	int fd, server_fd = libvchan_fd_for_select(s);

	(void)state;
	c = start_client(PORT, &fd);
	assert_int_equal(libvchan_data_ready(s), 0); /* the memory is handed over */
	libvchan_close(c);
	assert_int_equal(libvchan_data_ready(s), 0); /* notices it here … */
	assert_true(readable(server_fd, 1000));	     /* … and still wakes who polls */
	assert_int_equal(libvchan_wait(s), 0);
	assert_int_equal(libvchan_is_open(s), VCHAN_DISCONNECTED);
	assert_int_equal(libvchan_wait(s), -1);
	assert_false(readable(server_fd, 0));
	libvchan_close(s);
}

static void test_close_is_seen_once(void **state)
{
	libvchan_t *s, *c;
	char byte;
	int fd;

	(void)state;
	connect_pair(PORT, 4096, 4096, &s, &c);
	fd = libvchan_fd_for_select(s);
	while (readable(fd, 0))
		assert_int_equal(libvchan_wait(s), 0);
	assert_int_equal(libvchan_write(c, "z", 1), 1);
	libvchan_close(c);
	assert_true(readable(fd, 1000));
	assert_int_equal(libvchan_is_open(s), VCHAN_DISCONNECTED);
	assert_true(readable(fd, 1000));
	assert_int_equal(libvchan_wait(s), 0);
	/* What was written is there. */
	assert_int_equal(libvchan_read(s, &byte, 1), 1);
	assert_int_equal(byte, 'z');
	assert_int_equal(libvchan_read(s, &byte, 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(libvchan_write(s, &byte, 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(libvchan_wait(s), -1);
	assert_false(readable(fd, 0));
	libvchan_close(s);
}

static void transfer_forever(libvchan_t *c)
{
	static uint8_t data[70000];
	uint32_t done = 0;

	for (;;) {
		for (uint32_t i = 0; i < sizeof(data); i++)
			data[i] = byte_at(done + i);
		if (libvchan_write(c, data, sizeof(data)) < 0)
			_exit(7);
		done += sizeof(data);
	}
}

static void read_forever(libvchan_t *c)
{
	static uint8_t data[70000];

	while (libvchan_read(c, data, sizeof(data)) > 0)
		continue;
	_exit(7);
}

static void await_client(libvchan_t *s)
{
	while (libvchan_is_open(s) == VCHAN_WAITING)
		assert_int_equal(libvchan_wait(s), 0);
}

/* Peers killed at random points: the other end learns it at once, and has seen nothing but a prefix. */
static void test_killed_writer(void **state)
{
	unsigned seed = 11;

	(void)state;
	for (int i = 0; i < 40; i++) {
		libvchan_t *s = new_server(PORT, i % 2 ? 1 << 20 : 4096, 4096);
		pid_t pid = spawn(PORT, transfer_forever), killer;
		int status;

		await_client(s);
		killer = fork();
		if (!killer) {
			usleep((useconds_t)(1000 + rand_r(&seed) % 20000));
			_exit(kill(pid, SIGKILL));
		}
		rand_r(&seed);
		(i % 4 < 2 ? read_blocking : read_polling)(s, 50000);
		assert_int_equal(libvchan_is_open(s), VCHAN_DISCONNECTED);
		libvchan_close(s);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		waitpid(killer, &status, 0);
	}
}

static void test_killed_reader(void **state)
{
	static uint8_t data[100000];
	unsigned seed = 12;

	(void)state;
	for (int i = 0; i < 40; i++) {
		libvchan_t *s = new_server(PORT, 4096, i % 2 ? 1 << 20 : 4096);
		pid_t pid = spawn(PORT, read_forever), killer;
		int status;

		await_client(s);
		killer = fork();
		if (!killer) {
			usleep((useconds_t)(1000 + rand_r(&seed) % 20000));
			_exit(kill(pid, SIGKILL));
		}
		rand_r(&seed);
		while (libvchan_write(s, data, sizeof(data)) > 0)
			continue;
		assert_int_equal(errno, EPIPE);
		assert_int_equal(libvchan_is_open(s), VCHAN_DISCONNECTED);
		libvchan_close(s);
		waitpid(pid, &status, 0);
		waitpid(killer, &status, 0);
	}
}

static void sleep_forever(libvchan_t *c)
{
	(void)c;
	for (;;)
		pause();
}

static void test_killed_while_idle(void **state)
{
	libvchan_t *s = new_server(PORT, 4096, 4096);
	pid_t pid = spawn(PORT, sleep_forever);
	int fd = libvchan_fd_for_select(s), status;

	(void)state;
	await_client(s);
	while (readable(fd, 0))
		assert_int_equal(libvchan_wait(s), 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_true(readable(fd, 1000));
	assert_int_equal(libvchan_wait(s), 0);
	assert_int_equal(libvchan_is_open(s), VCHAN_DISCONNECTED);
	libvchan_close(s);
}

static void test_many_channels(void **state)
{
	enum {
		COUNT = 200
	};
	libvchan_t *s[COUNT], *c[COUNT];
	int before = count_entries("/proc/self/fd");
	char byte;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		connect_pair(PORT + i, 65536, 65536, &s[i], &c[i]);
	assert_int_equal(count_entries(directory), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(libvchan_write(c[i], &(char){(char)i}, 1), 1);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(libvchan_read(s[i], &byte, 1), 1);
		assert_int_equal((uint8_t)byte, i);
		libvchan_close(i % 2 ? s[i] : c[i]);
		libvchan_close(i % 2 ? c[i] : s[i]);
	}
	assert_int_equal(count_entries("/proc/self/fd"), before);
}

/* A server that is not ours: what it sends has to be what it says. */
struct fake {
	char magic[8];
	uint32_t version, size;
	size_t length, fds, file_size;
	bool sealed;
	uint16_t left, right;
};

static void send_fake(int socket, const struct fake *f)
{
	int memfd = memfd_create("fake", MFD_ALLOW_SEALING), fds[4];
	uint16_t orders[2] = {f->left, f->right};
	struct iovec part = {.iov_base = (void *)(uintptr_t)f, .iov_len = f->length};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(fds))];
	} control = {0};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *rights = &control.header;

	assert_int_equal(ftruncate(memfd, (off_t)f->file_size), 0);
	if (f->file_size >= 24)
		assert_int_equal(pwrite(memfd, orders, 4, 16), 4);
	if (f->sealed)
		assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	fds[0] = memfd;
	for (int i = 1; i < 4; i++)
		fds[i] = eventfd(0, 0);
	if (f->fds) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(f->fds * sizeof(int));
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(f->fds * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, f->fds * sizeof(int));
	}
	assert_true(sendmsg(socket, &m, 0) >= 0);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static int client_of_fake(const struct fake *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0), conn, fd, rc;
	libvchan_t *c;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/vchan.%d.%d.%d.sock", directory,
		 SERVER, CLIENT, PORT);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	c = start_client(PORT, &fd);
	conn = accept(listener, NULL, NULL);
	send_fake(conn, f);
	assert_true(readable(fd, 1000));
	rc = libvchan_client_init_async_finish(c, true);
	if (rc)
		rc = -errno;
	libvchan_close(c);
	close(conn);
	close(listener);
	unlink(address.sun_path);
	return rc;
}

static void test_hostile_hello(void **state)
{
	const struct fake good = {.magic = "bh-vchan",
				  .version = 1,
				  .size = 3 * 4096,
				  .length = 16,
				  .fds = 3,
				  .file_size = 3 * 4096,
				  .sealed = true,
				  .left = 12,
				  .right = 12};
	int before = count_entries("/proc/self/fd");
	struct fake bad;

	(void)state;
	assert_int_equal(client_of_fake(&good), 0);
#define REFUSED(change)                            \
 do {                                              \
  bad = good;                                      \
  bad.change;                                      \
  assert_int_equal(client_of_fake(&bad), -EPROTO); \
 } while (0)
	REFUSED(magic[0] = 'x');
	REFUSED(version = 2);
	REFUSED(size = 2 * 4096);
	REFUSED(file_size = 2 * 4096);
	REFUSED(file_size = 16);
	REFUSED(file_size = 4 * 4096);
	REFUSED(sealed = false);
	REFUSED(length = 15);
	REFUSED(fds = 0);
	REFUSED(fds = 2);
	REFUSED(fds = 4);
	REFUSED(left = 9);
	REFUSED(right = 21);
	REFUSED(left = 13);
	REFUSED(right = 0xffff);
	assert_int_equal(count_entries("/proc/self/fd"), before);
}

static void test_uris(void **state)
{
	static const char *const bad[] = {"",
					  "local",
					  "xen",
					  "xen:x",
					  "local:/tmp?domain=",
					  "local:/tmp?domain=-1",
					  "local:/tmp?domain=1x",
					  "local:/tmp?domain=32752",
					  "local:/tmp?port=1",
					  "local:/tmp" /* no domain */};
	char text[5000];
	libvchan_t *s;

	(void)state;
	unsetenv("LIBVCHAN_URI");
	unsetenv("VCHAN_DOMAIN");
	for (size_t i = 1; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(libvchan_server_init_uri(bad[i], 2, 1, 1, 1));
		assert_int_equal(errno, EINVAL);
	}
	memset(text, 'x', sizeof(text));
	memcpy(text, "local:/", 7);
	strcpy(text + 4900, "?domain=1");
	assert_null(libvchan_server_init_uri(text, 2, 1, 1, 1));

	setenv("LIBVCHAN_URI", uris[1], 1);
	s = libvchan_server_init(2, PORT, 1, 1);
	assert_non_null(s);
	libvchan_close(s);
	assert_null(libvchan_client_init(1, PORT)); /* itself */
	assert_int_equal(errno, EINVAL);

	setenv("LIBVCHAN_URI", "local:", 1);
	setenv("VCHAN_SOCKET_DIR", directory, 1);
	setenv("VCHAN_DOMAIN", "1", 1);
	s = libvchan_server_init(2, PORT, 1, 1);
	assert_non_null(s);
	assert_int_equal(count_entries(directory), 1);
	libvchan_close(s);
	unsetenv("LIBVCHAN_URI");
	s = libvchan_server_init(2, PORT, 1, 1);
	assert_non_null(s);
	libvchan_close(s);
	setenv("VCHAN_DOMAIN", "one", 1);
	assert_null(libvchan_server_init(2, PORT, 1, 1));
	unsetenv("VCHAN_DOMAIN");
	unsetenv("VCHAN_SOCKET_DIR");

	/* A directory that cannot be. */
	assert_null(libvchan_server_init_uri("local:/nonexistent/vchan?domain=1", 2, PORT, 1, 1));
	assert_int_equal(errno, ENOENT);
	assert_null(libvchan_client_init_uri("local:/nonexistent/vchan?domain=1", 2, PORT));
	assert_int_equal(errno, ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pair),
		TEST(pieces),
		TEST(ring_sizes),
		TEST(large_rings),
		TEST(streams),
		TEST(moderation_does_not_delay_much),
		TEST(write_before_client),
		TEST(client_waits_for_server),
		TEST(name_of_a_dead_server),
		TEST(newer_server_keeps_the_name),
		TEST(server_dies_before_it_answers),
		TEST(client_dies_before_it_is_live),
		TEST(close_is_seen_once),
		TEST(killed_writer),
		TEST(killed_reader),
		TEST(killed_while_idle),
		TEST(many_channels),
		TEST(hostile_hello),
		TEST(uris),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
