// SPDX-License-Identifier: GPL-2.0-or-later
// Shared pages between processes of one host, the daemon's end: takes memfds, maps runs of their pages.
#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grant_internal.h"
#include "grant_local.h"
#include "../../vchan/internal.h"
#include "protocol.h"

/* Each is an open descriptor, of which a process has 1024 by default. */
#define BUFFERS_MAX 512u

struct local_file {
	uint32_t number, pages;
	int fd;
};

struct local_maps {
	struct gui_maps base;
	int listener, connection; /* connection: -1 without an agent */
	int poll;		  /* epoll descriptor of both */
	struct local_file files[BUFFERS_MAX];
	unsigned int count;
};

static struct local_file *find(struct local_maps *local, uint32_t number)
{
	unsigned int i;

	for (i = 0; i < local->count; i++)
		if (local->files[i].number == number)
			return &local->files[i];
	return NULL;
}

static void forget(struct local_maps *local, struct local_file *file)
{
	close(file->fd);
	*file = local->files[--local->count];
}

static void hang_up(struct local_maps *local)
{
	while (local->count)
		forget(local, &local->files[0]);
	if (local->connection >= 0)
		close(local->connection);
	local->connection = -1;
}

/* Takes ownership of the descriptor if it returns true. */
static bool add(struct local_maps *local, const struct local_message *message, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	/* A file that can shrink would end the process that reads its pages. */
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st))
		return false;
	if (message->pages == 0 || message->pages > GUI_MAX_PAGES ||
	    st.st_size != (off_t)message->pages * (off_t)GUI_PAGE_SIZE)
		return false;
	if (local->count == BUFFERS_MAX || find(local, message->buffer))
		return false;
	local->files[local->count++] =
		(struct local_file){.number = message->buffer, .pages = message->pages, .fd = fd};
	return true;
}

/* False: what came makes no sense. `fd` may be -1; it is used up. */
static bool handle(struct local_maps *local, const struct local_message *message, int fd)
{
	struct local_file *file;
	bool good = !memcmp(message->magic, LOCAL_MAGIC, sizeof(message->magic)) &&
		    message->buffer >= 1 && message->buffer <= LOCAL_BUFFER_MAX;

	if (good && message->op == LOCAL_ADD && fd >= 0 && add(local, message, fd))
		return true;
	if (fd >= 0) {
		close(fd);
		return false;
	}
	file = good && message->op == LOCAL_REMOVE ? find(local, message->buffer) : NULL;
	if (file)
		forget(local, file);
	return file != NULL;
}

/* The one descriptor of a message, or -1; if there are several, none is kept. */
static int descriptor_of(struct msghdr *header)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
	size_t count, i;
	int fd;

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
		if (count == 1)
			return fd;
		close(fd);
	}
	return -1;
}

/* False: nothing more came. */
static bool take_one(struct local_maps *local)
{
	struct local_message message = {.op = 0};
	struct iovec iov = {.iov_base = &message, .iov_len = sizeof(message)};
	union local_control control;
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control.room,
				.msg_controllen = sizeof(control.room)};
	ssize_t count = recvmsg(local->connection, &header,
				MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);

	int fd;

	if (count < 0)
		return errno == EINTR;
	fd = descriptor_of(&header);
	if (count == sizeof(message) && handle(local, &message, fd))
		return true;
	if (count != sizeof(message) && fd >= 0)
		close(fd);
	hang_up(local);
	return false;
}

static void maps_receive(struct gui_maps *maps)
{
	struct local_maps *local = (struct local_maps *)maps;
	struct epoll_event event = {.events = EPOLLIN};
	int fd = accept4(local->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		hang_up(local);
		local->connection = fd;
		if (epoll_ctl(local->poll, EPOLL_CTL_ADD, fd, &event))
			hang_up(local);
	}
	while (local->connection >= 0 && take_one(local))
		;
}

static int maps_fd(const struct gui_maps *maps)
{
	return ((const struct local_maps *)maps)->poll;
}

static void maps_destroy(struct gui_maps *maps)
{
	struct local_maps *local = (struct local_maps *)maps;

	hang_up(local);
	if (local->listener >= 0)
		close(local->listener);
	if (local->poll >= 0)
		close(local->poll);
	free(local);
}

/* Length of the run of pages in one buffer that starts refs[0]; 0: no such page. */
static uint32_t run_of(struct local_maps *local, const uint32_t *refs, uint32_t pages,
		       struct local_file **ret_file)
{
	uint32_t page = refs[0] & ((1u << GUI_LOCAL_PAGE_BITS) - 1), length = 1;
	struct local_file *file = find(local, refs[0] >> GUI_LOCAL_PAGE_BITS);

	if (!file || page >= file->pages)
		return 0;
	while (length < pages && page + length < file->pages && refs[length] == refs[0] + length)
		length++;
	*ret_file = file;
	return length;
}

static int map(struct gui_maps *maps, const uint32_t *refs, uint32_t pages, void **ret_data)
{
	struct local_maps *local = (struct local_maps *)maps;
	size_t bytes = (size_t)pages * GUI_PAGE_SIZE;
	struct local_file *file = NULL;
	uint32_t done, run;
	uint8_t *data;
	void *at;
	int rc;

	maps_receive(maps);
	data = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (data == MAP_FAILED)
		return -errno;
	for (done = 0; done < pages; done += run) {
		run = run_of(local, refs + done, pages - done, &file);
		if (!run) {
			rc = -EINVAL;
			goto err_unmap;
		}
		at = mmap(data + (size_t)done * GUI_PAGE_SIZE, (size_t)run * GUI_PAGE_SIZE,
			  PROT_READ, MAP_SHARED | MAP_FIXED, file->fd,
			  (off_t)(refs[done] & ((1u << GUI_LOCAL_PAGE_BITS) - 1)) *
				  (off_t)GUI_PAGE_SIZE);
		if (at == MAP_FAILED) {
			rc = -errno;
			goto err_unmap;
		}
	}
	*ret_data = data;
	return 0;

err_unmap:
	munmap(data, bytes);
	return rc;
}

static void unmap(struct gui_maps *maps, void *data, uint32_t pages)
{
	(void)maps;
	munmap(data, (size_t)pages * GUI_PAGE_SIZE);
}

static const struct gui_maps_ops maps_ops = {
	.destroy = maps_destroy,
	.fd = maps_fd,
	.receive = maps_receive,
	.map = map,
	.unmap = unmap,
};

static int start_listening(struct local_maps *local, const struct vchan_uri *uri, int owner)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct sockaddr_un address;
	int directory, rc;

	rc = local_address(uri, owner, uri->domain, &address, &directory);
	if (rc)
		return rc;
	local->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	local->poll = epoll_create1(EPOLL_CLOEXEC);
	if (local->listener < 0 || local->poll < 0)
		rc = -errno;
	/* What a daemon that ended left there. */
	if (!rc && unlink(address.sun_path) && errno != ENOENT)
		rc = -errno;
	if (!rc && (bind(local->listener, (struct sockaddr *)&address, sizeof(address)) ||
		    listen(local->listener, 4) ||
		    epoll_ctl(local->poll, EPOLL_CTL_ADD, local->listener, &event)))
		rc = -errno;
	close(directory);
	return rc;
}

int gui_local_maps(const struct vchan_uri *uri, int owner, struct gui_maps **ret_maps)
{
	struct local_maps *local = calloc(1, sizeof(*local));
	int rc;

	if (!local)
		return -ENOMEM;
	local->base.ops = &maps_ops;
	local->listener = local->connection = local->poll = -1;
	rc = start_listening(local, uri, owner);
	if (rc) {
		maps_destroy(&local->base);
		return rc;
	}
	*ret_maps = &local->base;
	return 0;
}
