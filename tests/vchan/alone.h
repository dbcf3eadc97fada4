/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole of libvchan but its transports, in the file of a test, which defines VCHAN_STEP() before: what it does between any two
 * accesses to the shared page. Clocks and descriptors are none.
 */
#ifndef TESTS_VCHAN_ALONE_H
#define TESTS_VCHAN_ALONE_H

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

static inline int alone_no_timer(const struct itimerspec *when)
{
	(void)when;
	return 0;
}

static inline int alone_no_epoll(const struct epoll_event *event)
{
	(void)event;
	return 0;
}

#define LINGER_NANOSECONDS	    0
#define LEFT_OUT_MAX		    1
#define LOOK_EVERY		    1
#define SLOW_MAX		    0
#define PART_MAX		    1
#define timerfd_create(c, f)	    77
#define timerfd_settime(f, g, n, o) alone_no_timer(n)
#define epoll_ctl(e, o, f, v)	    alone_no_epoll(v)
#include "../../vchan/shm.c"
#include "../../vchan/pace.c"
#include "../../vchan/libvchan.c"

/* Nothing is ever connected. */
int vchan_uri_parse(const char *text, struct vchan_uri *ret_uri)
{
	(void)text, (void)ret_uri;
	return -EINVAL;
}

int vchan_local_server(const struct vchan_uri *uri, int domain, int port, uint16_t left_order,
		       uint16_t right_order, struct libvchan **ret_ctrl)
{
	(void)uri, (void)domain, (void)port, (void)left_order, (void)right_order, (void)ret_ctrl;
	return -EINVAL;
}

int vchan_xen_server(const struct vchan_uri *uri, int domain, int port, uint16_t left_order,
		     uint16_t right_order, struct libvchan **ret_ctrl)
{
	return vchan_local_server(uri, domain, port, left_order, right_order, ret_ctrl);
}

int vchan_local_client(const struct vchan_uri *uri, int domain, int port,
		       struct libvchan **ret_ctrl)
{
	return vchan_local_server(uri, domain, port, 0, 0, ret_ctrl);
}

int vchan_xen_client(const struct vchan_uri *uri, int domain, int port, struct libvchan **ret_ctrl)
{
	return vchan_local_server(uri, domain, port, 0, 0, ret_ctrl);
}

static inline void alone_nothing(struct libvchan *ctrl)
{
	(void)ctrl;
}

/* One end with its rings, of sizes by their orders, or of a size of its own where that is not 0. */
static inline void alone_attach(struct libvchan *c, struct vchan_page *page, bool server,
				uint16_t left_order, uint16_t right_order, uint8_t *left,
				uint8_t *right, uint32_t size)
{
	vchan_shm_attach(&c->shm, page, server, left_order, right_order, left, right);
	if (size) {
		c->shm.rd.data = server ? left : right;
		c->shm.wr.data = server ? right : left;
		c->shm.rd.size = c->shm.wr.size = size;
	}
	c->state = VCHAN_STATE_RINGS;
	c->server = server;
	c->pace.timer = -1;
}

#endif
