// SPDX-License-Identifier: LGPL-2.1-or-later
// The transport between domains: granted pages, event channels, and XenStore for meeting and for the death of domains.
#include "internal.h"
#include "end.h"
#include "xen_dev.h"
#include "xs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Where nobody tells an unprivileged domain of the end of another; libxenvchan looks this often, too. */
#define LOOK_SECONDS	       10
/* Watches are limited, to 128 per unprivileged domain: without one it is a look each second. */
#define LOOK_UNWATCHED_SECONDS 1

/* A ring with pages of its own, and the server's pages that list them. */
struct ring {
	void *map, *lists;
	size_t size, lists_size;
};

struct xen {
	struct libvchan base;
	int events; /* the event channel device */
	uint32_t port;
	struct vchan_xs xs; /* open while something can be learnt from it */
	int kick;	    /* client: makes the descriptor readable for the first step */
	int look;	    /* timer: look whether the peer's domain exists */
	int own;	    /* domain number */
	int line;	    /* tells of the end of the peer's domain: not this handle's; or -1 */
	bool seen;	    /* the peer's domain was seen to exist */
	bool shown;	    /* qube: domain 0 shows the peer's domain */
	bool published;	    /* server: there are keys to remove */
	bool parent;	    /* server: and at the end the directory that they were in */
	bool waiting;	    /* client: there are watches */
	bool nonblocking;   /* reading an event never sleeps */
	char path[80];	    /* of the directory with the keys */
	struct ring left, right;
};

static struct xen *xen_of(struct libvchan *ctrl)
{
	return (struct xen *)ctrl; /* its first member */
}

static int poll_add(struct libvchan *ctrl, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(ctrl->fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static void poll_drop(struct libvchan *ctrl, int fd)
{
	if (fd >= 0)
		epoll_ctl(ctrl->fd, EPOLL_CTL_DEL, fd, NULL);
}

static void store_close(struct xen *xen)
{
	poll_drop(&xen->base, xen->xs.fd);
	vchan_xs_close(&xen->xs);
}

static void stop_looking(struct xen *xen)
{
	poll_drop(&xen->base, xen->look);
	if (xen->look >= 0)
		close(xen->look);
	xen->look = -1;
}

static void drop_line(struct xen *xen)
{
	poll_drop(&xen->base, xen->line);
	xen->line = -1;
}

static int find_own(struct vchan_xs *xs, int *ret_own)
{
	uint32_t own;
	int rc = vchan_xs_read_number(xs, "domid", VCHAN_DOMAIN_MAX, &own);

	if (!rc)
		*ret_own = (int)own;
	return rc;
}

/*
 * The keys go as soon as the client is there: nobody else can use them. Their parent is shared by all ports for this peer;
 * to remove it takes a transaction, for which nobody waits at the end. Whether that works does not matter.
 */
static void unpublish(struct xen *xen, bool end)
{
	bool open = xen->xs.fd >= 0, keys = xen->published, parent = end && xen->parent;
	char *slash = strrchr(xen->path, '/');

	if (!keys && !parent)
		return;
	xen->published = false;
	if (!open && vchan_xs_open(&xen->xs))
		return;
	if (keys)
		vchan_xs_remove(&xen->xs, xen->path);
	if (parent && slash) {
		*slash = 0;
		vchan_xs_remove_empty(&xen->xs, xen->path);
		*slash = '/';
	}
	if (!open)
		vchan_xs_close(&xen->xs);
}

static void peer_gone(struct xen *xen)
{
	xen->base.state = VCHAN_STATE_DEAD;
	store_close(xen);
	stop_looking(xen);
	drop_line(xen);
}

static int start_looking(struct xen *xen, int seconds)
{
	struct itimerspec every = {.it_interval.tv_sec = seconds, .it_value.tv_sec = seconds};
	bool created = xen->look < 0;

	if (created)
		xen->look = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (xen->look < 0 || timerfd_settime(xen->look, 0, &every, NULL))
		return -errno;
	return created ? poll_add(&xen->base, xen->look) : 0;
}

/* A qube's own watch; where there is none, a timer. */
static int watch_shown(struct xen *xen)
{
	bool watched = !vchan_end_watch(&xen->xs, xen->base.domain);

	xen->shown = !vchan_end_look(&xen->xs, xen->base.domain);
	if (!xen->shown)
		return start_looking(xen, LOOK_SECONDS);
	return watched ? 0 : start_looking(xen, LOOK_UNWATCHED_SECONDS);
}

static int watch_for_death(struct xen *xen)
{
	if (xen->base.domain == 0)
		return 0; /* dom0 ends with the machine */
	if (xen->own == 0)
		return vchan_xs_watch(&xen->xs, "@releaseDomain");
	xen->line = vchan_end_line(xen->base.domain);
	return xen->line < 0 ? watch_shown(xen) : poll_add(&xen->base, xen->line);
}

/*
 * Whether the other domain may be there. Which domains there are XenStore 4.17 tells domain 0 alone; where that does
 * not show them, the live bytes still work.
 */
static bool look_for_domain(struct xen *xen)
{
	bool there = true;

	if (xen->line >= 0)
		return true;
	if (xen->own != 0) {
		int rc = vchan_end_look(&xen->xs, xen->base.domain);

		xen->shown |= !rc;
		if (xen->shown && rc == -ENOENT)
			peer_gone(xen);
		if (xen->shown)
			return rc != -ENOENT;
	}
	if (vchan_xs_introduced(&xen->xs, xen->base.domain, &there))
		return true;
	if (there)
		xen->seen = true;
	else if (xen->seen)
		peer_gone(xen);
	return there;
}

/* What the process says that this one relies on. When that ends without a word, this one looks for itself. */
static void ask_line(struct xen *xen)
{
	int told = xen->line >= 0 ? vchan_end_told(xen->line) : 0;

	if (told > 0)
		peer_gone(xen);
	if (told >= 0)
		return;
	drop_line(xen);
	if (xen->xs.fd < 0 && (vchan_xs_open(&xen->xs) || poll_add(&xen->base, xen->xs.fd)))
		store_close(xen);
	else if (!watch_shown(xen))
		look_for_domain(xen);
}

/* Takes what XenStore and the timer have to say. True: there was something. */
static bool heard(struct xen *xen)
{
	uint64_t expirations;
	bool any = false;

	if (xen->look >= 0)
		any = read(xen->look, &expirations, sizeof(expirations)) > 0;
	if (xen->xs.fd >= 0) {
		if (vchan_xs_drain(&xen->xs)) {
			store_close(xen);
			return any;
		}
		any |= xen->xs.fired;
		xen->xs.fired = false;
	}
	return any;
}

/* Connected: the end of the other domain is all that is left to learn, and dom0's is the machine's. */
static bool has_learnt_all(const struct xen *xen)
{
	return xen->base.domain == 0 || xen->line >= 0;
}

static void look_around(struct xen *xen)
{
	ask_line(xen);
	/* Again if a watch fired during the question: the descriptor no longer shows it. */
	while (heard(xen) && xen->xs.fd >= 0)
		look_for_domain(xen);
}

static void xen_progress(struct libvchan *ctrl)
{
	struct xen *xen = xen_of(ctrl);

	if (ctrl->state != VCHAN_STATE_RINGS)
		return;
	if (xen->published && atomic_load(ctrl->shm.peer_live) != VCHAN_LIVE_WAITING) {
		unpublish(xen, false);
		if (has_learnt_all(xen))
			store_close(xen);
	}
	look_around(xen);
}

static int xen_notify(struct libvchan *ctrl)
{
	return vchan_evtchn_notify(xen_of(ctrl)->events, xen_of(ctrl)->port);
}

static int take_event(struct libvchan *ctrl)
{
	struct xen *xen = xen_of(ctrl);
	int rc = vchan_evtchn_take(xen->events, xen->port);

	if (rc)
		return rc;
	ctrl->stats.events_taken++;
	if (xen->published)
		xen_progress(ctrl);
	return 0;
}

/*
 * Who polls comes when there is something, and mostly that is an event: the question what it is would be a system call
 * more. 0, or what take_event() says; -EAGAIN: it is something else.
 */
static int take_event_first(struct libvchan *ctrl)
{
	struct xen *xen = xen_of(ctrl);
	int flags;

	if (!ctrl->polled)
		return -EAGAIN;
	if (!xen->nonblocking) {
		flags = fcntl(xen->events, F_GETFL);
		if (flags < 0 || fcntl(xen->events, F_SETFL, flags | O_NONBLOCK))
			return -EAGAIN;
		xen->nonblocking = true;
	}
	return take_event(ctrl);
}

static int xen_sleep(struct libvchan *ctrl, int64_t timeout)
{
	struct xen *xen = xen_of(ctrl);
	struct timespec limit = {timeout / 1000000000, timeout % 1000000000};
	struct pollfd fds[] = {
		{.fd = xen->events, .events = POLLIN},
		{.fd = xen->xs.fd, .events = POLLIN},
		{.fd = xen->look, .events = POLLIN},
		{.fd = xen->line, .events = POLLIN},
	};
	int n = take_event_first(ctrl);

	if (n != -EAGAIN)
		return n;
	/* The read sleeps as well: one system call less. */
	if (!xen->nonblocking && timeout < 0 && xen->xs.fd < 0 && xen->look < 0 && xen->line < 0)
		return take_event(ctrl);
	do
		n = ppoll(fds, sizeof(fds) / sizeof(fds[0]), timeout >= 0 ? &limit : NULL, NULL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ETIMEDOUT;
	if (fds[1].revents || fds[2].revents || fds[3].revents)
		look_around(xen);
	return fds[0].revents ? take_event(ctrl) : 0;
}

static void unmap_ring(const struct ring *ring)
{
	if (ring->map)
		munmap(ring->map, ring->size);
	if (ring->lists)
		munmap(ring->lists, ring->lists_size);
}

static void xen_destroy(struct libvchan *ctrl)
{
	struct xen *xen = xen_of(ctrl);

	unpublish(xen, true);
	unmap_ring(&xen->left);
	unmap_ring(&xen->right);
	/* Last of the mappings and before the port: its removal clears our live byte and sends an event. */
	if (ctrl->shm.page)
		munmap(ctrl->shm.page, VCHAN_PAGE_SIZE);
	if (xen->events >= 0)
		close(xen->events);
	if (xen->kick >= 0)
		close(xen->kick);
	vchan_xs_close(&xen->xs);
	if (xen->look >= 0)
		close(xen->look);
	if (ctrl->fd >= 0)
		close(ctrl->fd);
	free(xen);
}

/* Server: lists in pages of their own what the shared one has no room for; the references of these are now in refs. */
static int grant_lists(struct xen *xen, uint32_t lists, uint32_t pages, uint32_t *refs,
		       struct ring *ring)
{
	uint32_t list_refs[VCHAN_GRANTS_MAX];
	int rc = vchan_pages_grant(xen->base.domain, lists, 0, NULL, list_refs, &ring->lists);

	if (rc)
		return rc;
	ring->lists_size = (size_t)lists * VCHAN_PAGE_SIZE;
	memcpy(ring->lists, refs, pages * sizeof(*refs));
	memcpy(refs, list_refs, lists * sizeof(*refs));
	return 0;
}

/* Server: a ring's pages, with their references in the shared one from *at on. */
static int grant_ring(struct xen *xen, uint16_t order, int peer_writes, uint32_t *at,
		      struct ring *ring)
{
	uint32_t pages = vchan_order_pages(order), lists = vchan_order_lists(order), i;
	uint32_t *refs;
	int rc;

	if (!pages)
		return 0;
	refs = calloc(pages, sizeof(*refs));
	if (!refs)
		return -ENOMEM;
	ring->size = (size_t)pages * VCHAN_PAGE_SIZE;
	rc = vchan_pages_grant(xen->base.domain, pages, peer_writes, NULL, refs, &ring->map);
	if (!rc && lists)
		rc = grant_lists(xen, lists, pages, refs, ring);
	for (i = 0; !rc && i < (lists ? lists : pages); i++)
		atomic_store(&xen->base.shm.page->grants[(*at)++], refs[i]);
	free(refs);
	return rc;
}

/* Server: all pages, with their references in the shared one. */
static int grant_rings(struct xen *xen, uint16_t left, uint16_t right, uint32_t *ret_page_ref)
{
	struct vchan_unmap_notice notice = {.offset = offsetof(struct vchan_page, srv_live),
					    .port = xen->port};
	uint32_t at = 0;
	int peer = xen->base.domain, rc;
	void *page;

	rc = vchan_pages_grant(peer, 1, 1, &notice, ret_page_ref, &page);
	if (rc)
		return rc;
	xen->base.shm.page = page;
	rc = grant_ring(xen, left, 1, &at, &xen->left);
	/* The client only reads the right ring. */
	if (!rc)
		rc = grant_ring(xen, right, 0, &at, &xen->right);
	if (rc)
		return rc;
	vchan_page_format(page, left, right);
	vchan_shm_attach(&xen->base.shm, page, true, left, right, xen->left.map, xen->right.map);
	xen->base.state = VCHAN_STATE_RINGS;
	return 0;
}

static int write_key(struct xen *xen, const char *name, uint32_t value)
{
	char path[sizeof(xen->path) + 16], number[16];

	snprintf(path, sizeof(path), "%s/%s", xen->path, name);
	snprintf(number, sizeof(number), "%u", (unsigned)value);
	return vchan_xs_write(&xen->xs, path, number);
}

static int publish(struct xen *xen, uint32_t page_ref)
{
	int rc;

	/* What a dead server left on this port would be taken for ours. */
	vchan_xs_remove(&xen->xs, xen->path);
	rc = vchan_xs_mkdir(&xen->xs, xen->path);
	if (rc)
		return rc;
	xen->published = xen->parent = true;
	rc = vchan_xs_share(&xen->xs, xen->path, xen->own, xen->base.domain);
	if (!rc)
		rc = write_key(xen, "ring-ref", page_ref);
	/* The client waits for this key alone: it has to be the last. No transaction is needed then. */
	return rc ? rc : write_key(xen, "event-channel", xen->port);
}

static int offer(struct xen *xen, int domain, int port, uint16_t left, uint16_t right)
{
	uint32_t page_ref;
	int rc;

	snprintf(xen->path, sizeof(xen->path), "data/vchan/%d/%d", domain, port);
	rc = vchan_evtchn_allocate(xen->events, domain, &xen->port);
	if (!rc)
		rc = grant_rings(xen, left, right, &page_ref);
	if (!rc)
		rc = poll_add(&xen->base, xen->events);
	if (!rc)
		rc = publish(xen, page_ref);
	if (rc)
		return rc;
	if (domain == 0) {
		store_close(xen); /* reopened to remove the keys */
		return 0;
	}
	rc = poll_add(&xen->base, xen->xs.fd);
	if (!rc)
		rc = watch_for_death(xen);
	if (rc)
		return rc;
	/* From now on its end is noticed; a domain that is not there yet may come. */
	look_for_domain(xen);
	look_around(xen);
	return 0;
}

/* Client: refs are those of the lists, and become those that are listed. */
static int read_lists(struct xen *xen, uint32_t lists, uint32_t pages, uint32_t *refs)
{
	void *map;
	int rc = vchan_pages_map(xen->base.domain, refs, lists, 0, NULL, &map);

	if (rc)
		return rc;
	memcpy(refs, map, pages * sizeof(*refs));
	munmap(map, (size_t)lists * VCHAN_PAGE_SIZE);
	return 0;
}

/* Client: maps a ring whose references are in the shared page from *at on. */
static int map_ring(struct xen *xen, uint16_t order, int writable, uint32_t *at, struct ring *ring)
{
	uint32_t pages = vchan_order_pages(order), lists = vchan_order_lists(order), i;
	uint32_t *refs;
	int rc = 0;

	if (!pages)
		return 0;
	refs = calloc(pages, sizeof(*refs));
	if (!refs)
		return -ENOMEM;
	for (i = 0; i < (lists ? lists : pages); i++)
		refs[i] = atomic_load(&xen->base.shm.page->grants[(*at)++]);
	if (lists)
		rc = read_lists(xen, lists, pages, refs);
	ring->size = (size_t)pages * VCHAN_PAGE_SIZE;
	if (!rc)
		rc = vchan_pages_map(xen->base.domain, refs, pages, writable, NULL, &ring->map);
	free(refs);
	return rc;
}

/* Client: maps what the server granted. The orders and references are read once. */
static int map_rings(struct xen *xen, uint32_t page_ref)
{
	struct vchan_unmap_notice notice = {.offset = offsetof(struct vchan_page, cli_live),
					    .port = xen->port};
	uint32_t at = 0;
	uint16_t left, right;
	struct vchan_page *page;
	int peer = xen->base.domain, rc;
	void *map;

	rc = vchan_pages_map(peer, &page_ref, 1, 1, &notice, &map);
	if (rc)
		return rc;
	xen->base.shm.page = page = map;
	left = atomic_load(&page->left_order);
	right = atomic_load(&page->right_order);
	if (!vchan_orders_valid(left, right, xen->base.order_max))
		return -EPROTO;
	rc = map_ring(xen, left, 1, &at, &xen->left);
	if (!rc)
		rc = map_ring(xen, right, 0, &at, &xen->right);
	if (rc)
		return rc;
	vchan_shm_attach(&xen->base.shm, page, false, left, right, xen->left.map, xen->right.map);
	xen->base.state = VCHAN_STATE_RINGS;
	return 0;
}

/* Client: where the server's keys are, by its own number as it is now; a restored domain has another one. */
static int find_keys(struct xen *xen)
{
	int own, rc = find_own(&xen->xs, &own);

	if (rc || xen->own == own)
		return rc;
	if (own == xen->base.domain)
		return -EINVAL;
	xen->own = own;
	snprintf(xen->path, sizeof(xen->path), "/local/domain/%d/data/vchan/%d/%d",
		 xen->base.domain, own, xen->base.port);
	return 0;
}

static int read_key(struct xen *xen, const char *name, uint32_t *ret_value)
{
	char path[sizeof(xen->path) + 16];

	snprintf(path, sizeof(path), "%s/%s", xen->path, name);
	return vchan_xs_read_number(&xen->xs, path, UINT32_MAX, ret_value);
}

static int watch_key(struct xen *xen, int (*call)(struct vchan_xs *, const char *))
{
	char path[sizeof(xen->path) + 16];

	/* The directory cannot be watched: a client may have no access to it. */
	snprintf(path, sizeof(path), "%s/event-channel", xen->path);
	return call(&xen->xs, path);
}

/* Client: the keys are there. What is left to learn afterwards is the end of the other domain. */
static int finish_connect(struct xen *xen, uint32_t remote_port, uint32_t page_ref)
{
	int rc = vchan_evtchn_bind(xen->events, xen->base.domain, remote_port, &xen->port);

	if (!rc)
		rc = map_rings(xen, page_ref);
	if (!rc)
		rc = poll_add(&xen->base, xen->events);
	if (!rc && !xen->waiting)
		rc = watch_for_death(xen);
	if (rc)
		return rc;
	xen->seen = true; /* it granted us pages */
	vchan_shm_announce(&xen->base.shm);
	xen_notify(&xen->base);
	if (has_learnt_all(xen)) {
		stop_looking(xen);
		store_close(xen);
		return 0;
	}
	if (xen->waiting) {
		watch_key(xen, vchan_xs_unwatch);
		vchan_xs_unwatch(&xen->xs, "domid");
	}
	look_around(xen);
	return 0;
}

static int try_connect(struct xen *xen)
{
	uint32_t remote_port, page_ref;
	int rc = find_keys(xen);

	if (!rc)
		rc = read_key(xen, "event-channel", &remote_port);
	if (!rc)
		rc = read_key(xen, "ring-ref", &page_ref);
	if (rc)
		return rc == -ENOENT ? 1 : rc;
	return finish_connect(xen, remote_port, page_ref);
}

/* Client: the keys are not there. 1, or -errno. */
static int start_waiting(struct xen *xen)
{
	int rc = xen->waiting ? 0 : watch_for_death(xen);

	if (rc)
		return rc;
	if (watch_key(xen, vchan_xs_watch))
		rc = start_looking(xen, LOOK_UNWATCHED_SECONDS);
	if (!xen->waiting)
		vchan_xs_watch(&xen->xs, "domid");
	xen->waiting = true;
	if (!look_for_domain(xen) && xen->base.domain != 0)
		return -EPIPE;
	/* The key may have come before its watch. */
	xen->xs.fired = true;
	return rc ? rc : 1;
}

static int xen_connect(struct libvchan *ctrl)
{
	struct xen *xen = xen_of(ctrl);
	int rc;

	if (xen->kick >= 0) {
		poll_drop(ctrl, xen->kick);
		close(xen->kick);
		xen->kick = -1;
	}
	do {
		int before = xen->own;

		look_around(xen);
		if (ctrl->state == VCHAN_STATE_DEAD)
			return -EPIPE;
		if (xen->xs.fd < 0)
			return -EIO;
		rc = try_connect(xen);
		/* Most servers are there at the first try: only now watches are worth their requests. */
		if (rc == 1 && (!xen->waiting || xen->own != before))
			rc = start_waiting(xen);
	} while (rc == 1 && xen->xs.fired);
	return rc;
}

static const struct vchan_transport xen_transport = {
	.notify = xen_notify,
	.sleep = xen_sleep,
	.progress = xen_progress,
	.connect = xen_connect,
	.destroy = xen_destroy,
};

static int create(bool server, int domain, int port, struct xen **ret_xen)
{
	struct xen *xen = calloc(1, sizeof(*xen));
	int rc = 0;

	if (!xen)
		return -ENOMEM;
	xen->base.transport = &xen_transport;
	xen->base.server = server;
	xen->base.domain = domain;
	xen->base.port = port;
	xen->look = xen->line = xen->xs.fd = xen->kick = xen->own = -1;
	xen->events = vchan_evtchn_open();
	xen->base.fd = epoll_create1(EPOLL_CLOEXEC);
	if (xen->base.fd < 0)
		rc = -errno;
	else if (xen->events < 0)
		rc = xen->events;
	if (!rc)
		rc = vchan_xs_open(&xen->xs);
	if (rc) {
		xen_destroy(&xen->base);
		return rc;
	}
	*ret_xen = xen;
	return 0;
}

int vchan_xen_server(const struct vchan_uri *uri, int domain, int port, uint16_t left_order,
		     uint16_t right_order, struct libvchan **ret_ctrl)
{
	struct xen *xen;
	int rc = create(true, domain, port, &xen);

	(void)uri; /* nothing to choose */
	if (rc)
		return rc;
	rc = find_own(&xen->xs, &xen->own);
	if (!rc)
		rc = offer(xen, domain, port, left_order, right_order);
	if (rc) {
		xen_destroy(&xen->base);
		return rc;
	}
	*ret_ctrl = &xen->base;
	return 0;
}

int vchan_xen_client(const struct vchan_uri *uri, int domain, int port, struct libvchan **ret_ctrl)
{
	struct xen *xen;
	int rc = create(false, domain, port, &xen);

	(void)uri;
	if (rc)
		return rc;
	rc = find_keys(xen);
	/* The caller waits for the descriptor before its first step, but a key that is there makes no event. */
	if (!rc) {
		xen->kick = eventfd(1, EFD_CLOEXEC);
		rc = xen->kick < 0 ? -errno : poll_add(&xen->base, xen->kick);
	}
	if (!rc)
		rc = poll_add(&xen->base, xen->xs.fd);
	if (rc) {
		xen_destroy(&xen->base);
		return rc;
	}
	*ret_ctrl = &xen->base;
	return 0;
}
