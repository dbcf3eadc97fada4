// SPDX-License-Identifier: GPL-2.0-or-later
// The Xen transport on faked devices and XenStore; its other end is ours or Debian's libxenvchan, in both roles.
// links: vchan/libvchan.c vchan/pace.c vchan/shm.c vchan/uri.c vchan/local.c vchan/rendezvous.c vchan/xen.c
// links: vchan/end.c vchan/xen_dev.c vchan/xs.c tests/vchan/fake_xen.c tests/vchan/fake_xenstore.c
// cflags: -D_GNU_SOURCE
// libs: -Wl,--wrap=open,--wrap=__open_2,--wrap=ioctl,--wrap=mmap,--wrap=munmap,--wrap=close,--wrap=write
// libs: -Wl,--wrap=timerfd_settime -l:libxenvchan.a -l:libxengnttab.a -l:libxenevtchn.a -l:libxenstore.a
// libs: -l:libxentoolcore.a -l:libxentoollog.a -lpthread
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <libxenvchan.h>

#include "../../vchan/internal.h"
#include "../vchan/fake_xen.h"

#define URI  "xen:"
#define PORT 7

/* The published layout, field by field. */
#define SAME(ours, theirs)                                                                       \
 _Static_assert(offsetof(struct vchan_page, ours) == offsetof(struct vchan_interface, theirs) && \
			sizeof(((struct vchan_page *)0)->ours) ==                                \
				sizeof(((struct vchan_interface *)0)->theirs),                   \
		#ours)
SAME(left, left);
SAME(right, right);
SAME(left_order, left_order);
SAME(right_order, right_order);
SAME(cli_live, cli_live);
SAME(srv_live, srv_live);
SAME(cli_notify, cli_notify);
SAME(srv_notify, srv_notify);
_Static_assert(offsetof(struct vchan_page, grants) == offsetof(struct vchan_interface, grants),
	       "grants");
_Static_assert(offsetof(struct vchan_indices, cons) == offsetof(struct ring_shared, cons), "cons");
_Static_assert(offsetof(struct vchan_indices, prod) == offsetof(struct ring_shared, prod), "prod");
_Static_assert(VCHAN_BIT_WRITE == VCHAN_NOTIFY_WRITE && VCHAN_BIT_READ == VCHAN_NOTIFY_READ,
	       "bits");

/* One end of a channel, of either library. */
struct end {
	libvchan_t *ours;
	struct libxenvchan *stock;
	int domain;
};

static int end_write(struct end *e, const void *data, size_t n)
{
	return e->ours ? libvchan_write(e->ours, data, n) : libxenvchan_write(e->stock, data, n);
}

static int end_send(struct end *e, const void *data, size_t n)
{
	return e->ours ? libvchan_send(e->ours, data, n) : libxenvchan_send(e->stock, data, n);
}

static int end_read(struct end *e, void *data, size_t n)
{
	return e->ours ? libvchan_read(e->ours, data, n) : libxenvchan_read(e->stock, data, n);
}

static int end_recv(struct end *e, void *data, size_t n)
{
	return e->ours ? libvchan_recv(e->ours, data, n) : libxenvchan_recv(e->stock, data, n);
}

static int end_open(struct end *e)
{
	return e->ours ? libvchan_is_open(e->ours) : libxenvchan_is_open(e->stock);
}

static void end_close(struct end *e)
{
	libvchan_close(e->ours);
	if (e->stock)
		libxenvchan_close(e->stock);
	memset(e, 0, sizeof(*e));
}

static const char *directory_of(int server, int client)
{
	static char path[128];

	snprintf(path, sizeof(path), "/local/domain/%d/data/vchan/%d/%d", server, client, PORT);
	return path;
}

static void make_server(struct end *e, bool stock, int self, int peer, size_t read_min,
			size_t write_min)
{
	*e = (struct end){.domain = self};
	fake_xen_become(self);
	if (stock)
		e->stock = libxenvchan_server_init(NULL, peer, directory_of(self, peer), read_min,
						   write_min);
	else
		e->ours = libvchan_server_init_uri(URI, peer, PORT, read_min, write_min);
	assert_true(e->ours || e->stock);
	if (stock)
		e->stock->blocking = 1;
}

static void make_client(struct end *e, bool stock, int self, int peer)
{
	*e = (struct end){.domain = self};
	fake_xen_become(self);
	if (stock)
		e->stock = libxenvchan_client_init(NULL, peer, directory_of(peer, self));
	else
		e->ours = libvchan_client_init_uri(URI, peer, PORT);
	assert_true(e->ours || e->stock);
	if (stock)
		e->stock->blocking = 1;
}

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int resources_before, descriptors_before;

static int setup(void **state)
{
	(void)state;
	fake_xen_start();
	resources_before = fake_xen_resources();
	descriptors_before = descriptors();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_xen_become(0);
	assert_int_equal(fake_xen_resources(), resources_before);
	fake_xen_stop();
	return 0;
}

struct job {
	struct end *end;
	size_t total, step;
	bool whole; /* messages */
	unsigned seed;
	uint32_t sum;
	int failed;
};

static uint32_t add(uint32_t sum, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + data[i];
	return sum;
}

static size_t next_size(struct job *job, size_t done)
{
	size_t n = job->whole ? job->step : 1 + (size_t)rand_r(&job->seed) % job->step;

	return n < job->total - done ? n : job->total - done;
}

static void *writer(void *arg)
{
	struct job *job = arg;
	uint8_t *data = malloc(job->step);

	for (size_t done = 0, n; done < job->total; done += n) {
		n = next_size(job, done);
		for (size_t i = 0; i < n; i++)
			data[i] = (uint8_t)rand_r(&job->seed);
		job->sum = add(job->sum, data, n);
		if ((job->whole ? end_send : end_write)(job->end, data, n) != (int)n) {
			job->failed = errno ? errno : -1;
			break;
		}
	}
	free(data);
	return NULL;
}

static void *reader(void *arg)
{
	struct job *job = arg;
	uint8_t *data = malloc(job->step);

	for (size_t done = 0; done < job->total;) {
		size_t n = next_size(job, done);
		int got = (job->whole ? end_recv : end_read)(job->end, data, n);

		if (got <= 0 || (job->whole && got != (int)n)) {
			job->failed = errno ? errno : -1;
			break;
		}
		job->sum = add(job->sum, data, (size_t)got);
		done += (size_t)got;
	}
	free(data);
	return NULL;
}

/* One direction. */
static void pump(struct end *from, struct end *to, size_t total, size_t write_step,
		 size_t read_step, bool whole)
{
	struct job out = {
		.end = from, .total = total, .step = write_step, .whole = whole, .seed = 5};
	struct job in = {.end = to, .total = total, .step = read_step, .whole = whole, .seed = 9};
	pthread_t threads[2];

	errno = 0;
	pthread_create(&threads[0], NULL, writer, &out);
	pthread_create(&threads[1], NULL, reader, &in);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(out.failed, 0);
	assert_int_equal(in.failed, 0);
	assert_int_equal(out.sum, in.sum);
}

static const size_t ring_sizes[][2] = {
	{1024, 2048}, {2048, 1024},   {2048, 4096},	  {65536, 1500},
	{4096, 4096}, {65536, 65536}, {1048576, 1048576},
};

static void exchange(bool server_stock, bool client_stock, int server, int client)
{
	for (size_t i = 0; i < sizeof(ring_sizes) / sizeof(ring_sizes[0]); i++) {
		struct end s, c;
		char hello[8];

		make_server(&s, server_stock, server, client, ring_sizes[i][0], ring_sizes[i][1]);
		/* Before there is a client. */
		assert_int_equal(end_write(&s, "hello", 5), 5);
		make_client(&c, client_stock, client, server);
		assert_int_equal(end_recv(&c, hello, 5), 5);
		assert_memory_equal(hello, "hello", 5);
		assert_int_equal(end_open(&s), 1);
		assert_int_equal(end_open(&c), 1);
		pump(&c, &s, 300000, 3000, 5000, false);
		pump(&s, &c, 300000, 70000, 900, false);
		pump(&c, &s, 60000, 500, 1000, true);
		pump(&s, &c, 60000, 1000, 250, true);
		end_close(&c);
		end_close(&s);
	}
}

static void test_both_ours(void **state)
{
	(void)state;
	exchange(false, false, 1, 2);
	exchange(false, false, 0, 1);
	exchange(false, false, 1, 0);
}

static void test_stock_server(void **state)
{
	(void)state;
	exchange(true, false, 1, 2);
}

static void test_stock_client(void **state)
{
	(void)state;
	exchange(false, true, 1, 2);
}

/* What the fake has to get right to be of use. */
static void test_both_stock(void **state)
{
	(void)state;
	exchange(true, true, 1, 2);
}

static void test_rendezvous_keys(void **state)
{
	char key[160];
	struct end s, c;

	(void)state;
	make_server(&s, false, 1, 2, 4096, 4096);
	snprintf(key, sizeof(key), "%s/ring-ref", directory_of(1, 2));
	assert_true(atoi(fake_xen_value(key)) > 0);
	assert_string_equal(fake_xen_permissions(key), "n1 r2");
	snprintf(key, sizeof(key), "%s/event-channel", directory_of(1, 2));
	assert_true(atoi(fake_xen_value(key)) > 0);
	assert_string_equal(fake_xen_permissions(key), "n1 r2");
	assert_int_equal(libvchan_is_open(s.ours), VCHAN_WAITING);

	make_client(&c, false, 2, 1);
	assert_int_equal(libvchan_wait(s.ours), 0);
	assert_int_equal(libvchan_is_open(s.ours), VCHAN_CONNECTED);
	/* The keys are of no use to anybody else; the directory of the peer goes with the last channel. */
	assert_null(fake_xen_value(key));
	assert_null(fake_xen_value(directory_of(1, 2)));
	assert_non_null(fake_xen_value("/local/domain/1/data/vchan/2"));
	end_close(&c);
	end_close(&s);
	assert_null(fake_xen_value("/local/domain/1/data/vchan/2"));
	assert_non_null(fake_xen_value("/local/domain/1/data/vchan"));

	make_server(&s, false, 1, 2, 4096, 4096);
	fake_xen_set("/local/domain/1/data/vchan/2/8/ring-ref", "1");
	end_close(&s); /* without a client */
	assert_null(fake_xen_value(key));
	assert_non_null(fake_xen_value("/local/domain/1/data/vchan/2/8/ring-ref"));
}

static bool readable(int fd, int timeout)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout) == 1;
}

static void test_client_first(void **state)
{
	struct end s;
	libvchan_t *c;
	int fd = -1, rc;

	(void)state;
	for (int turn = 0; turn < 4; turn++) {
		bool limit = turn & 1;

		/* Without watches it takes a look each second (here: 5 ms). */
		fake_xen_limit_watches(limit ? 0 : 128);
		if (turn == 2)
			fake_xen_hide_domains();
		fake_xen_become(2);
		c = libvchan_client_init_async_uri(URI, 1, PORT, &fd);
		assert_non_null(c);
		assert_true(readable(fd, 0));
		assert_true(libvchan_client_init_async_finish(c, true) > 0);
		assert_int_equal(libvchan_is_open(c), VCHAN_WAITING);
		assert_int_equal(libvchan_read(c, &rc, 1), -1);
		if (!limit)
			assert_false(readable(fd, 20));
		make_server(&s, false, 1, 2, 4096, 4096);
		fake_xen_become(2);
		do
			assert_true(readable(fd, 5000));
		while ((rc = libvchan_client_init_async_finish(c, true)) > 0);
		assert_int_equal(rc, 0);
		assert_int_equal(libvchan_write(c, "x", 1), 1);
		assert_int_equal(libvchan_read(s.ours, &rc, 1), 1);
		libvchan_close(c);
		end_close(&s);
	}
}

static void test_refusals(void **state)
{
	char key[160];

	(void)state;
	fake_xen_become(1);
	assert_null(libvchan_client_init_uri(URI, 1, PORT)); /* itself */
	assert_int_equal(errno, EINVAL);
	assert_null(libvchan_server_init_uri(URI, 0x7ff0, PORT, 1, 1));
	assert_int_equal(errno, EINVAL);
	assert_null(libvchan_server_init_uri(URI, 2, PORT, VCHAN_SIZE_MAX + 1, 1));
	assert_int_equal(errno, EINVAL);
	assert_null(libvchan_server_init_uri(URI, 2, -1, 1, 1));
	assert_int_equal(errno, EINVAL);
	assert_null(libvchan_server_init_uri("xen:1", 2, 1, 1, 1));
	assert_int_equal(errno, EINVAL);

	/* Keys that a dead server left, or a hostile one made up; domain 0 may read all. */
	fake_xen_become(0);
	snprintf(key, sizeof(key), "%s/ring-ref", directory_of(1, 0));
	fake_xen_set(key, "99");
	snprintf(key, sizeof(key), "%s/event-channel", directory_of(1, 0));
	fake_xen_set(key, "4711"); /* no such port */
	assert_null(libvchan_client_init_uri(URI, 1, PORT));
	assert_int_equal(errno, EINVAL);
	fake_xen_set(key, "5x");
	assert_null(libvchan_client_init_uri(URI, 1, PORT));
	assert_int_equal(errno, EINVAL);
	fake_xen_set(key, "99999999999");
	assert_null(libvchan_client_init_uri(URI, 1, PORT));
	assert_int_equal(errno, EINVAL);
	fake_xen_kill_domain(3);
	assert_null(libvchan_client_init_uri(URI, 3, PORT)); /* there is no such domain */
	assert_int_equal(errno, EPIPE);
}

static libvchan_t *accepting_client(int self, int peer, size_t most)
{
	libvchan_t *c;
	int fd, rc;

	fake_xen_become(self);
	c = libvchan_client_init_async_uri(URI, peer, PORT, &fd);
	assert_non_null(c);
	assert_int_equal(libvchan_accept_rings(c, most), 0);
	while ((rc = libvchan_client_init_async_finish(c, true)) > 0)
		assert_true(readable(fd, 5000));
	if (!rc) {
		assert_int_equal(libvchan_accept_rings(c, most), -1);
		assert_int_equal(errno, EINVAL);
		return c;
	}
	rc = errno;
	libvchan_close(c);
	errno = rc;
	return NULL;
}

/* Rings that are listed in pages of their own; for clients that accept them, of this library. */
static void test_large_rings(void **state)
{
	static const size_t sizes[][2] = {{2 << 20, 4096},
					  {65536, 4 << 20},
					  {2 << 20, 2 << 20},
					  {2 << 20, 1000}};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t most = sizes[i][0] > sizes[i][1] ? sizes[i][0] : sizes[i][1];
		struct end s, c = {.domain = 2};
		struct libvchan_stats stats;

		make_server(&s, false, 1, 2, sizes[i][0], sizes[i][1]);
		assert_int_equal(libvchan_accept_rings(s.ours, most), -1);
		fake_xen_become(2);
		assert_null(libxenvchan_client_init(NULL, 1, directory_of(1, 2)));
		assert_null(libvchan_client_init_uri(URI, 1, PORT));
		assert_int_equal(errno, EPROTO);
		assert_null(accepting_client(2, 1, most - 1));
		assert_int_equal(errno, EPROTO);
		c.ours = accepting_client(2, 1, most);
		assert_non_null(c.ours);
		libvchan_get_stats(c.ours, &stats, sizeof(stats));
		assert_int_equal(stats.write_ring, sizes[i][0]);
		pump(&c, &s, 9000000, 65536, 70000, false);
		pump(&s, &c, 9000000, 70000, 900, false);
		end_close(&c);
		end_close(&s);
	}
}

/* A hostile server: the client has to refuse what cannot be, and not to read it twice. */
static void test_hostile_orders(void **state)
{
	static const uint16_t orders[][2] = {{9, 12},  {12, 21}, {21, 12},     {10, 10},
					     {11, 11}, {0, 0},	 {0xffff, 12}, {63, 32}};
	struct end s;

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		make_server(&s, true, 1, 2, 4096, 4096);
		s.stock->ring->left_order = orders[i][0];
		s.stock->ring->right_order = orders[i][1];
		fake_xen_become(2);
		assert_null(libvchan_client_init_uri(URI, 1, PORT));
		assert_int_equal(errno, EPROTO);
		end_close(&s);
	}
	/* References that it never granted. */
	make_server(&s, true, 1, 2, 65536, 65536);
	s.stock->ring->grants[7] = 12345;
	fake_xen_become(2);
	assert_null(libvchan_client_init_uri(URI, 1, PORT));
	end_close(&s);
	/* The same in a list, a list that it never granted, and too much even so, for a client that accepts much. */
	for (int i = 0; i < 3; i++) {
		struct vchan_page *page;
		uint32_t *list;

		make_server(&s, false, 1, 2, 2 << 20, 4096);
		page = s.ours->shm.page;
		list = fake_xen_page(page->grants[0]);
		if (i == 0)
			list[500] = 12345;
		else if (i == 1)
			page->grants[0] = 12345;
		else
			page->left_order = VCHAN_ORDER_MAX + 1;
		munmap(list, VCHAN_PAGE_SIZE);
		assert_null(accepting_client(2, 1, VCHAN_SIZE_MAX));
		assert_int_equal(errno, i == 2 ? EPROTO : EINVAL);
		end_close(&s);
	}
}

/* How the other end learns that this one is gone: it sleeps in a call, or polls. */
struct sleeper {
	struct end *end;
	int rc, error;
};

static void *sleep_in_read(void *arg)
{
	struct sleeper *s = arg;
	char byte;

	s->rc = end_read(s->end, &byte, 1);
	s->error = errno;
	return NULL;
}

enum death {
	CLOSES,
	PROCESS_DIES,
	DOMAIN_DIES
};

static void death(bool server_dies, enum death how, int server, int client)
{
	struct end s, c, *dead = server_dies ? &s : &c, *other = server_dies ? &c : &s;
	int dead_domain = server_dies ? server : client;
	struct sleeper sleeper = {.end = other};
	pthread_t thread;
	char data[4];

	make_server(&s, false, server, client, 4096, 4096);
	make_client(&c, false, client, server);
	assert_int_equal(end_write(dead, "last", 4), 4);
	assert_int_equal(end_recv(other, data, 4), 4);
	pthread_create(&thread, NULL, sleep_in_read, &sleeper);
	usleep(5000);
	assert_int_equal(end_write(dead, "", 0), 0);
	if (how == PROCESS_DIES)
		fake_xen_kill_process(dead_domain);
	else if (how == DOMAIN_DIES)
		fake_xen_kill_domain(dead_domain);
	else
		end_close(dead);
	pthread_join(thread, NULL);
	assert_int_equal(sleeper.rc, -1);
	assert_int_equal(sleeper.error, EPIPE);
	assert_int_equal(libvchan_is_open(other->ours), VCHAN_DISCONNECTED);
	assert_int_equal(libvchan_write(other->ours, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	libvchan_wait(other->ours);
	assert_int_equal(libvchan_wait(other->ours), -1);
	assert_int_equal(errno, EPIPE);
	/* Nobody who polls spins. */
	assert_false(readable(libvchan_fd_for_select(other->ours), 0));
	end_close(other);
	if (how != CLOSES)
		end_close(dead);
}

static void test_close_wakes(void **state)
{
	(void)state;
	death(true, CLOSES, 1, 2);
	death(false, CLOSES, 1, 2);
	death(false, CLOSES, 0, 2);
}

static void test_process_death_wakes(void **state)
{
	(void)state;
	death(true, PROCESS_DIES, 1, 2);
	death(false, PROCESS_DIES, 1, 2);
}

static void test_domain_death_wakes_dom0_server(void **state)
{
	(void)state;
	death(false, DOMAIN_DIES, 0, 2);
}

static void test_domain_death_wakes_dom0_client(void **state)
{
	(void)state;
	death(true, DOMAIN_DIES, 2, 0);
}

static void test_domain_death_is_noticed_by_qubes(void **state)
{
	(void)state;
	death(false, DOMAIN_DIES, 1, 2);
}

/* As in XenStore 4.17, with what dom0 shows in place of what it hides. */
static void show_domains(void)
{
	fake_xen_hide_domains();
	fake_xen_become(0);
	for (int domain = 1; domain < 4; domain++)
		assert_int_equal(libvchan_domain_show(domain), 0);
	assert_string_equal(fake_xen_permissions("/local/domain/1/vchan-domain"), "r0");
	assert_int_equal(libvchan_domain_show(17), -1);
	assert_int_equal(errno, ENOENT);
	assert_null(fake_xen_value("/local/domain/17"));
}

/* It is an event of XenStore that tells, and no timer. */
static void shown_death(bool server_dies)
{
	unsigned long timers = fake_xen_timers();

	show_domains();
	death(server_dies, DOMAIN_DIES, 1, 2);
	assert_int_equal(fake_xen_timers(), timers);
}

static void test_domain_death_wakes_qubes(void **state)
{
	(void)state;
	shown_death(false);
}

static void test_domain_death_wakes_qube_clients(void **state)
{
	(void)state;
	shown_death(true);
}

static void test_domain_death_without_watches(void **state)
{
	(void)state;
	show_domains();
	fake_xen_limit_watches(0);
	death(true, DOMAIN_DIES, 1, 2);
}

/* A process that knows tells many channels: they need no watch. */
static void test_domain_death_by_line(void **state)
{
	struct end s, c;
	int line[2], fd, watch;

	(void)state;
	show_domains();
	assert_int_equal(pipe(line), 0);
	libvchan_end_from(2, line[0]);
	make_server(&s, false, 1, 2, 4096, 4096);
	libvchan_end_from(0, -1);
	make_client(&c, false, 2, 1);
	assert_int_equal(libvchan_is_open(s.ours), VCHAN_CONNECTED);
	assert_int_equal(fake_xen_watches(1), 0);
	fake_xen_become(1);
	watch = libvchan_domain_watch(2);
	assert_true(watch >= 0);
	assert_int_equal(libvchan_domain_ended(watch, 2), 0);
	assert_false(readable(watch, 0));
	fake_xen_kill_domain(2);
	assert_true(readable(watch, 5000));
	assert_int_equal(libvchan_domain_ended(watch, 2), 1);
	close(watch);
	fd = libvchan_fd_for_select(s.ours);
	while (readable(fd, 0))
		assert_int_equal(libvchan_wait(s.ours), 0);
	assert_int_equal(libvchan_is_open(s.ours), VCHAN_CONNECTED);
	assert_int_equal(write(line[1], "", 1), 1);
	assert_true(readable(fd, 0));
	assert_int_equal(libvchan_wait(s.ours), 0);
	assert_int_equal(libvchan_is_open(s.ours), VCHAN_DISCONNECTED);
	assert_false(readable(fd, 0));
	end_close(&s);
	end_close(&c);
	close(line[0]);
	close(line[1]);
}

/* The process that knows has ended: each channel looks for itself. */
static void test_domain_death_behind_a_broken_line(void **state)
{
	struct end s, c;
	int line[2], fd;

	(void)state;
	show_domains();
	assert_int_equal(pipe(line), 0);
	libvchan_end_from(1, line[0]);
	make_server(&s, false, 1, 2, 4096, 4096);
	make_client(&c, false, 2, 1);
	libvchan_end_from(0, -1);
	assert_int_equal(fake_xen_watches(2), 0);
	fd = libvchan_fd_for_select(c.ours);
	close(line[1]);
	assert_true(readable(fd, 0));
	fake_xen_become(2);
	while (readable(fd, 0))
		assert_int_equal(libvchan_wait(c.ours), 0);
	assert_int_equal(libvchan_is_open(c.ours), VCHAN_CONNECTED);
	assert_int_equal(fake_xen_watches(2), 1);
	fake_xen_kill_domain(1);
	assert_true(readable(fd, 5000));
	assert_int_equal(libvchan_wait(c.ours), 0);
	assert_int_equal(libvchan_is_open(c.ours), VCHAN_DISCONNECTED);
	end_close(&s);
	end_close(&c);
	close(line[0]);
}

/* A server of dom0 whose client's domain ends before it connects. */
static void test_death_of_an_expected_client(void **state)
{
	struct end s;
	int fd;

	(void)state;
	make_server(&s, false, 0, 2, 4096, 4096);
	fd = libvchan_fd_for_select(s.ours);
	while (readable(fd, 0))
		assert_int_equal(libvchan_wait(s.ours), 0);
	fake_xen_kill_domain(3);
	assert_true(readable(fd, 5000)); /* somebody else */
	assert_int_equal(libvchan_wait(s.ours), 0);
	assert_int_equal(libvchan_is_open(s.ours), VCHAN_WAITING);
	fake_xen_kill_domain(2);
	assert_true(readable(fd, 5000));
	assert_int_equal(libvchan_wait(s.ours), 0);
	assert_int_equal(libvchan_is_open(s.ours), VCHAN_DISCONNECTED);
	end_close(&s);
}

/* A dom0 client that waits for a server whose domain ends. */
static void test_death_of_an_expected_server(void **state)
{
	libvchan_t *c;
	int fd, rc;

	(void)state;
	fake_xen_become(0);
	c = libvchan_client_init_async_uri(URI, 2, PORT, &fd);
	assert_true(readable(fd, 0));
	assert_true(libvchan_client_init_async_finish(c, true) > 0);
	fake_xen_kill_domain(2);
	do
		assert_true(readable(fd, 5000));
	while ((rc = libvchan_client_init_async_finish(c, true)) > 0);
	assert_int_equal(rc, -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(libvchan_client_init_async_finish(c, true), -1);
	libvchan_close(c);
}

static int end_space(struct end *e)
{
	return e->ours ? libvchan_buffer_space(e->ours) : libxenvchan_buffer_space(e->stock);
}

static int end_ready(struct end *e)
{
	return e->ours ? libvchan_data_ready(e->ours) : libxenvchan_data_ready(e->stock);
}

/*
 * How often the ends disturb each other while 32 MiB stream in messages of 64 KiB through a ring of
 * 1 MiB to a reader half as fast as its writer. Each end runs until it has nothing to do and then
 * sleeps until the other notifies it, in turns, so the number does not depend on the scheduler.
 */
static unsigned long stream_events(bool stock)
{
	const int step = 65536, total = 32 << 20;
	uint8_t *data = calloc(1, (size_t)step);
	unsigned long before = fake_xen_notifications(), events, seen;
	bool writes = true, reads = false;
	struct end s, c;
	int sent = 0, got = 0;

	make_server(&s, stock, 1, 2, 1 << 20, 1 << 20);
	make_client(&c, stock, 2, 1);
	while (got < total) {
		seen = fake_xen_notifications();
		for (int i = 0; i < 2 && writes && sent < total; i++) {
			writes = end_space(&c) >= step;
			if (writes)
				assert_int_equal(end_send(&c, data, (size_t)step), step);
			sent += writes ? step : 0;
		}
		reads |= fake_xen_notifications() != seen;
		seen = fake_xen_notifications();
		if (reads) {
			reads = end_ready(&s) >= step;
			if (reads)
				assert_int_equal(end_recv(&s, data, (size_t)step), step);
			got += reads ? step : 0;
		}
		writes |= fake_xen_notifications() != seen;
		assert_true(reads || (writes && sent < total) || got == total);
	}
	events = fake_xen_notifications() - before;
	end_close(&c);
	end_close(&s);
	free(data);
	return events;
}

static void test_fewer_events_than_stock(void **state)
{
	unsigned long ours = stream_events(false), stock = stream_events(true);

	(void)state;
	print_message("events for 32 MiB: %lu, libxenvchan %lu\n", ours, stock);
	assert_true(ours * 10 <= stock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_stock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stock_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stock_client, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rendezvous_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_orders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_rings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_wakes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_process_death_wakes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_domain_death_wakes_dom0_server, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_domain_death_wakes_dom0_client, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_domain_death_is_noticed_by_qubes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_domain_death_wakes_qubes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_domain_death_wakes_qube_clients, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_domain_death_without_watches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_domain_death_by_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_domain_death_behind_a_broken_line, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_death_of_an_expected_client, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death_of_an_expected_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fewer_events_than_stock, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
