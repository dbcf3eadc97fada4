// SPDX-License-Identifier: LGPL-2.1-or-later
// The transport between processes of one host: memfd and eventfds, handed over through Unix sockets in a directory.
#include "internal.h"
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct vchan_local *local_of(struct libvchan *ctrl)
{
	return (struct vchan_local *)ctrl; /* its first member */
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int poll_add(struct libvchan *ctrl, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(ctrl->fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* Takes a descriptor out of the public one, then closes it: a copy in a forked child may live on. */
static void poll_drop(struct libvchan *ctrl, int *fd)
{
	if (*fd >= 0)
		epoll_ctl(ctrl->fd, EPOLL_CTL_DEL, *fd, NULL);
	close_fd(fd);
}

static void local_destroy(struct libvchan *ctrl)
{
	struct vchan_local *local = local_of(ctrl);

	if (local->map)
		munmap(local->map, local->map_size);
	if (local->listener >= 0)
		vchan_rendezvous_withdraw(local);
	close_fd(&local->listener);
	close_fd(&local->socket);
	close_fd(&local->inotify);
	close_fd(&local->memfd);
	close_fd(&local->event_in);
	close_fd(&local->event_out);
	close_fd(&ctrl->fd);
	free(local);
}

static void peer_gone(struct libvchan *ctrl)
{
	ctrl->state = VCHAN_STATE_DEAD;
	poll_drop(ctrl, &local_of(ctrl)->socket);
}

/* The socket carries one message, from the server to its client. After that only its end is of interest. */
static void look_at_socket(struct libvchan *ctrl)
{
	struct vchan_local *local = local_of(ctrl);
	char byte;

	if (local->socket < 0)
		return;
	if (recv(local->socket, &byte, 1, MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EINTR))
		peer_gone(ctrl);
}

static void look_for_client(struct libvchan *ctrl)
{
	struct vchan_local *local = local_of(ctrl);
	int rc;

	if (local->listener < 0)
		return;
	local->socket = accept4(local->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (local->socket < 0)
		return;
	/* One client per server: further ones wait for the next server. */
	vchan_rendezvous_withdraw(local);
	poll_drop(ctrl, &local->listener);
	rc = poll_add(ctrl, local->socket);
	if (!rc)
		rc = vchan_hello_send(local);
	if (rc)
		peer_gone(ctrl);
}

static void local_progress(struct libvchan *ctrl)
{
	look_for_client(ctrl);
	look_at_socket(ctrl);
}

static int local_notify(struct libvchan *ctrl)
{
	uint64_t one = 1;

	/* EAGAIN: the counter is full, so an event is pending already. */
	if (write(local_of(ctrl)->event_out, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return -errno;
	return 0;
}

static bool take_event(struct libvchan *ctrl)
{
	uint64_t count;

	if (read(local_of(ctrl)->event_in, &count, sizeof(count)) != sizeof(count))
		return false;
	ctrl->stats.events_taken++;
	return true;
}

static int local_sleep(struct libvchan *ctrl, int64_t timeout)
{
	struct vchan_local *local = local_of(ctrl);
	struct timespec limit = {timeout / 1000000000, timeout % 1000000000};

	/* Who polls has mostly seen an event: one system call less. What else there is will be seen again. */
	if (ctrl->polled && take_event(ctrl))
		return 0;
	for (;;) {
		struct pollfd fds[] = {
			{.fd = local->event_in, .events = POLLIN},
			{.fd = local->listener >= 0 ? local->listener : local->socket,
			 .events = POLLIN},
		};
		int n = ppoll(fds, 2, timeout >= 0 ? &limit : NULL, NULL);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0)
			continue;
		if (fds[1].revents)
			local_progress(ctrl);
		if (fds[0].revents && take_event(ctrl))
			return 0;
		/*
		 * A client that only has been given the memory is not an event yet; it will send one. A caller that
		 * has other things to do should not wait for that, however.
		 */
		if (ctrl->state == VCHAN_STATE_DEAD || ctrl->polled)
			return 0;
	}
}

/* Maps the memory and finds the rings in it; everything was checked before. */
static int map_rings(struct vchan_local *local, uint16_t left, uint16_t right)
{
	size_t left_pages = vchan_order_pages(left), size = vchan_local_size(left, right);
	uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, local->memfd, 0);

	if (map == MAP_FAILED)
		return -errno;
	local->map = map;
	local->map_size = size;
	if (local->base.server)
		vchan_page_format((struct vchan_page *)map, left, right);
	vchan_shm_attach(&local->base.shm, (struct vchan_page *)map, local->base.server, left,
			 right, map + VCHAN_PAGE_SIZE, map + VCHAN_PAGE_SIZE * (1 + left_pages));
	local->base.state = VCHAN_STATE_RINGS;
	return 0;
}

/* Finds the server's socket. 0, 1: there is none so far. */
static int join(struct vchan_local *local)
{
	int rc;

	if (local->socket >= 0)
		return 0;
	rc = vchan_rendezvous_join(local);
	if (rc)
		return rc;
	if (local->inotify >= 0)
		poll_drop(&local->base, &local->inotify);
	return poll_add(&local->base, local->socket);
}

static int local_connect(struct libvchan *ctrl)
{
	struct vchan_local *local = local_of(ctrl);
	uint16_t left, right;
	int rc = join(local);

	if (!rc)
		rc = vchan_hello_receive(local, &left, &right);
	if (!rc)
		rc = poll_add(ctrl, local->event_in);
	if (!rc)
		rc = map_rings(local, left, right);
	if (rc)
		return rc;
	close_fd(&local->memfd);
	vchan_shm_announce(&ctrl->shm);
	local_notify(ctrl);
	return 0;
}

static const struct vchan_transport local_transport = {
	.notify = local_notify,
	.sleep = local_sleep,
	.progress = local_progress,
	.connect = local_connect,
	.destroy = local_destroy,
};

static struct vchan_local *create(const struct vchan_uri *uri, bool server, int peer, int port)
{
	struct vchan_local *local = calloc(1, sizeof(*local));

	if (!local)
		return NULL;
	local->listener = local->socket = local->inotify = local->memfd = -1;
	local->event_in = local->event_out = -1;
	local->base.transport = &local_transport;
	local->base.server = server;
	memcpy(local->directory, uri->directory, sizeof(local->directory));
	snprintf(local->name, sizeof(local->name), "vchan.%d.%d.%d.sock",
		 server ? uri->domain : peer, server ? peer : uri->domain, port);
	local->base.fd = epoll_create1(EPOLL_CLOEXEC);
	if (local->base.fd < 0) {
		free(local);
		return NULL;
	}
	return local;
}

static int offer(struct vchan_local *local, uint16_t left, uint16_t right)
{
	/* Sealed so that neither end can take pages away from under the other one. */
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int rc;

	local->memfd = memfd_create("vchan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (local->memfd < 0 || ftruncate(local->memfd, (off_t)vchan_local_size(left, right)) ||
	    fcntl(local->memfd, F_ADD_SEALS, seals))
		return -errno;
	local->event_in = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	local->event_out = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (local->event_in < 0 || local->event_out < 0)
		return -errno;
	rc = map_rings(local, left, right);
	if (!rc)
		rc = vchan_rendezvous_offer(local);
	if (!rc)
		rc = poll_add(&local->base, local->event_in);
	if (!rc)
		rc = poll_add(&local->base, local->listener);
	return rc;
}

int vchan_local_server(const struct vchan_uri *uri, int domain, int port, uint16_t left_order,
		       uint16_t right_order, struct libvchan **ret_ctrl)
{
	struct vchan_local *local = create(uri, true, domain, port);
	int rc;

	if (!local)
		return -errno;
	rc = offer(local, left_order, right_order);
	if (rc) {
		local_destroy(&local->base);
		return rc;
	}
	*ret_ctrl = &local->base;
	return 0;
}

int vchan_local_client(const struct vchan_uri *uri, int domain, int port,
		       struct libvchan **ret_ctrl)
{
	struct vchan_local *local;
	int rc;

	if (domain == uri->domain)
		return -EINVAL;
	local = create(uri, false, domain, port);
	if (!local)
		return -errno;
	/* Most often the server is there already, and a user has few inotify instances: one only if it is not. */
	rc = join(local);
	if (rc > 0)
		rc = vchan_rendezvous_watch(local);
	if (!rc && local->inotify >= 0)
		rc = poll_add(&local->base, local->inotify);
	/*
	 * Names that came before the watch make no event. What the server sends then does, so that part has to
	 * wait: the caller looks at the descriptor before it calls again.
	 */
	if (!rc)
		rc = join(local);
	if (rc < 0) {
		local_destroy(&local->base);
		return rc;
	}
	*ret_ctrl = &local->base;
	return 0;
}
