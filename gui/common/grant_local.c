// SPDX-License-Identifier: GPL-2.0-or-later
// Shared pages between processes of one host, the agent's end: memfds, sent ahead over a Unix socket.
#ifndef _GNU_SOURCE
# define _GNU_SOURCE
#endif
#include "grant_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grant_internal.h"
#include "../../vchan/internal.h"
#include "protocol.h"

struct local_buffer {
	struct gui_buffer base;
	struct local_buffer *next;
	uint32_t number;
	int fd;
	uint32_t refs[];
};

struct local_grants {
	struct gui_grants base;
	struct vchan_uri uri;
	int socket; /* -1: no daemon */
	uint32_t last_number;
	struct local_buffer *buffers;
};

int local_address(const struct vchan_uri *uri, int owner, int peer, struct sockaddr_un *ret_address,
		  int *ret_directory)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int directory;

	if (mkdir(uri->directory, 0700) && errno != EEXIST)
		return -errno;
	directory = open(uri->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	/* Through the descriptor, as the path of the directory may be longer than an address. */
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/gui.%d.%d.sock",
		 directory, owner, peer);
	*ret_address = address;
	*ret_directory = directory;
	return 0;
}

static int tell(int socket, enum local_op op, const struct local_buffer *buffer)
{
	struct local_message message = {.op = op,
					.buffer = buffer->number,
					.pages = buffer->base.pages};
	struct iovec iov = {.iov_base = &message, .iov_len = sizeof(message)};
	union local_control control;
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *cmsg;
	ssize_t sent;

	memcpy(message.magic, LOCAL_MAGIC, sizeof(message.magic));
	if (op == LOCAL_ADD) {
		memset(&control, 0, sizeof(control));
		header.msg_control = control.room;
		header.msg_controllen = sizeof(control.room);
		cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &buffer->fd, sizeof(int));
	}
	/* May wait for the daemon, which takes these at once: it is the one that must not wait. */
	do {
		sent = sendmsg(socket, &header, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static void detach(struct local_grants *local)
{
	if (local->socket >= 0)
		close(local->socket);
	local->socket = -1;
}

static void grants_destroy(struct gui_grants *grants)
{
	struct local_grants *local = (struct local_grants *)grants;

	detach(local);
	free(local);
}

static int meet(struct local_grants *local)
{
	struct sockaddr_un address;
	int directory = -1, rc;

	rc = local_address(&local->uri, local->uri.domain, local->base.peer, &address, &directory);
	if (rc)
		return rc;
	local->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (local->socket < 0 ||
	    connect(local->socket, (struct sockaddr *)&address, sizeof(address)))
		rc = -errno;
	close(directory);
	if (rc)
		detach(local);
	return rc;
}

static int grants_attach(struct gui_grants *grants)
{
	struct local_grants *local = (struct local_grants *)grants;
	struct local_buffer *buffer;
	int rc;

	detach(local);
	rc = meet(local);
	for (buffer = local->buffers; buffer && !rc; buffer = buffer->next)
		rc = tell(local->socket, LOCAL_ADD, buffer);
	return rc;
}

static bool number_taken(const struct local_grants *local, uint32_t number)
{
	const struct local_buffer *buffer;

	for (buffer = local->buffers; buffer; buffer = buffer->next)
		if (buffer->number == number)
			return true;
	return false;
}

static int choose_number(struct local_grants *local, uint32_t *ret_number)
{
	uint32_t number = local->last_number, tries;

	for (tries = 0; tries < LOCAL_BUFFER_MAX; tries++) {
		number = number % LOCAL_BUFFER_MAX + 1;
		if (number_taken(local, number))
			continue;
		local->last_number = number;
		*ret_number = number;
		return 0;
	}
	return -ENOSPC;
}

static int make_memory(struct local_buffer *buffer)
{
	off_t bytes = (off_t)buffer->base.bytes;
	int fd = memfd_create("gui-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING), rc;
	void *data;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, bytes) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		goto err_close;
	data = mmap(NULL, buffer->base.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		goto err_close;
	buffer->base.data = data;
	buffer->fd = fd;
	return 0;

err_close:
	rc = -errno;
	close(fd);
	return rc;
}

static int buffer_create(struct gui_grants *grants, uint32_t pages, struct gui_buffer **ret_buffer)
{
	struct local_grants *local = (struct local_grants *)grants;
	struct local_buffer *buffer = calloc(1, sizeof(*buffer) + (size_t)pages * sizeof(uint32_t));
	uint32_t i;
	int rc;

	if (!buffer)
		return -ENOMEM;
	buffer->base.pages = pages;
	buffer->base.bytes = (size_t)pages * GUI_PAGE_SIZE;
	buffer->base.refs = buffer->refs;
	rc = choose_number(local, &buffer->number);
	if (!rc)
		rc = make_memory(buffer);
	if (rc) {
		free(buffer);
		return rc;
	}
	for (i = 0; i < pages; i++)
		buffer->refs[i] = buffer->number << GUI_LOCAL_PAGE_BITS | i;
	buffer->next = local->buffers;
	local->buffers = buffer;
	if (local->socket >= 0 && tell(local->socket, LOCAL_ADD, buffer))
		detach(local);
	*ret_buffer = &buffer->base;
	return 0;
}

static void buffer_destroy(struct gui_grants *grants, struct gui_buffer *base)
{
	struct local_grants *local = (struct local_grants *)grants;
	struct local_buffer *buffer = (struct local_buffer *)base, **link;

	for (link = &local->buffers; *link != buffer; link = &(*link)->next)
		;
	*link = buffer->next;
	if (local->socket >= 0 && tell(local->socket, LOCAL_REMOVE, buffer))
		detach(local);
	munmap(base->data, base->bytes);
	close(buffer->fd);
	free(buffer);
}

static const struct gui_grants_ops grants_ops = {
	.destroy = grants_destroy,
	.attach = grants_attach,
	.buffer_create = buffer_create,
	.buffer_destroy = buffer_destroy,
};

int gui_local_grants(const struct vchan_uri *uri, int peer, struct gui_grants **ret_grants)
{
	struct local_grants *local = calloc(1, sizeof(*local));

	(void)peer;
	if (!local)
		return -ENOMEM;
	local->base.ops = &grants_ops;
	local->uri = *uri;
	local->socket = -1;
	*ret_grants = &local->base;
	return 0;
}
