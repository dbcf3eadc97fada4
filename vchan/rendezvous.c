// SPDX-License-Identifier: LGPL-2.1-or-later
// Local transport: named sockets in a directory, and the message that passes the memory.
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HELLO_FDS 3

struct hello {
	char magic[8];
	uint32_t version;
	uint32_t size; /* of the memory */
};
_Static_assert(sizeof(struct hello) == 16, "no padding");

static const char hello_magic[8] = {'b', 'h', '-', 'v', 'c', 'h', 'a', 'n'};
#define HELLO_VERSION 1

static int open_directory(const char *path)
{
	int fd;

	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A socket's address has 108 bytes, a path may have 4096: go through the open directory. */
static socklen_t address_of(struct sockaddr_un *address, int directory, const char *name)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", directory,
		 name);
	return sizeof(*address);
}

static int publish(struct vchan_local *local, int directory)
{
	static atomic_uint serial;
	struct sockaddr_un address;
	char temporary[80];
	struct stat st = {0};
	socklen_t length;
	int rc = 0;

	snprintf(temporary, sizeof(temporary), ".%d.%u", (int)getpid(),
		 atomic_fetch_add(&serial, 1));
	length = address_of(&address, directory, temporary);
	if (bind(local->listener, (struct sockaddr *)&address, length))
		return -errno;
	if (listen(local->listener, 16) || fstatat(directory, temporary, &st, AT_SYMLINK_NOFOLLOW))
		rc = -errno;
	/* The name appears with a socket that listens, and replaces that of a server that died. */
	if (!rc && renameat(directory, temporary, directory, local->name))
		rc = -errno;
	if (rc)
		unlinkat(directory, temporary, 0);
	else
		local->inode = st.st_ino;
	return rc;
}

int vchan_rendezvous_offer(struct vchan_local *local)
{
	int directory = open_directory(local->directory), rc = 0;

	if (directory < 0)
		return directory;
	local->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (local->listener < 0)
		rc = -errno;
	flock(directory, LOCK_EX);
	if (!rc)
		rc = publish(local, directory);
	if (rc && local->listener >= 0) {
		close(local->listener);
		local->listener = -1;
	}
	close(directory);
	return rc;
}

void vchan_rendezvous_withdraw(struct vchan_local *local)
{
	int directory = open(local->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (directory < 0)
		return;
	/* The lock keeps a new server from taking the name between the look and the removal. */
	flock(directory, LOCK_EX);
	if (!fstatat(directory, local->name, &st, AT_SYMLINK_NOFOLLOW) && st.st_ino == local->inode)
		unlinkat(directory, local->name, 0);
	close(directory);
}

int vchan_rendezvous_watch(struct vchan_local *local)
{
	int directory = open_directory(local->directory), rc = 0;

	if (directory < 0)
		return directory;
	local->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (local->inotify < 0 ||
	    inotify_add_watch(local->inotify, local->directory, IN_MOVED_TO) < 0)
		rc = -errno;
	close(directory);
	return rc;
}

int vchan_rendezvous_join(struct vchan_local *local)
{
	struct sockaddr_un address;
	char events[4096];
	int directory, rc = 0;

	/* First forget what appeared so far, then look: what appears later makes the descriptor readable. */
	while (read(local->inotify, events, sizeof(events)) > 0)
		continue;
	directory = open_directory(local->directory);
	if (directory < 0)
		return directory;
	local->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (local->socket < 0) {
		rc = -errno;
	} else if (connect(local->socket, (struct sockaddr *)&address,
			   address_of(&address, directory, local->name))) {
		/* Refused: the name is left over from a server that died. */
		rc = errno == ENOENT || errno == ECONNREFUSED ? 1 : -errno;
		close(local->socket);
		local->socket = -1;
	}
	close(directory);
	return rc;
}

int vchan_hello_send(const struct vchan_local *local)
{
	struct hello hello = {.version = HELLO_VERSION, .size = (uint32_t)local->map_size};
	const int fds[HELLO_FDS] = {local->memfd, local->event_in, local->event_out};
	struct iovec part = {.iov_base = &hello, .iov_len = sizeof(hello)};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(fds))];
	} control = {0};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	memcpy(hello.magic, hello_magic, sizeof(hello_magic));
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(rights), fds, sizeof(fds));
	if (sendmsg(local->socket, &message, MSG_NOSIGNAL) != (ssize_t)sizeof(hello))
		return -errno;
	return 0;
}

/* The descriptors of a message, all of them or none. */
static bool take_descriptors(struct msghdr *message, int fds[HELLO_FDS])
{
	struct cmsghdr *rights = CMSG_FIRSTHDR(message);
	int all[HELLO_FDS + 1] = {-1, -1, -1,
				  -1}; /* what fits into the control buffer with its alignment */
	size_t count, i;

	if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
		return false;
	count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(all, CMSG_DATA(rights), count * sizeof(int));
	memcpy(fds, all, HELLO_FDS * sizeof(int));
	if (count == HELLO_FDS && !(message->msg_flags & MSG_CTRUNC))
		return true;
	for (i = 0; i < count; i++)
		close(all[i]);
	return false;
}

/* Whether the memory is what was announced and will stay so; the orders are read once. */
static int check_memory(const struct vchan_local *local, uint32_t untrusted_size,
			uint16_t *ret_left, uint16_t *ret_right)
{
	uint16_t untrusted_orders[2];
	struct stat st;
	int memfd = local->memfd, seals = fcntl(memfd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(memfd, &st))
		return -EPROTO;
	if (pread(memfd, untrusted_orders, sizeof(untrusted_orders),
		  offsetof(struct vchan_page, left_order)) != sizeof(untrusted_orders))
		return -EPROTO;
	if (!vchan_orders_valid(untrusted_orders[0], untrusted_orders[1], local->base.order_max) ||
	    vchan_local_size(untrusted_orders[0], untrusted_orders[1]) != untrusted_size ||
	    st.st_size != (off_t)untrusted_size)
		return -EPROTO;
	*ret_left = untrusted_orders[0];
	*ret_right = untrusted_orders[1];
	return 0;
}

int vchan_hello_receive(struct vchan_local *local, uint16_t *ret_left, uint16_t *ret_right)
{
	struct hello untrusted_hello;
	int fds[HELLO_FDS];
	struct iovec part = {.iov_base = &untrusted_hello, .iov_len = sizeof(untrusted_hello)};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(fds))];
	} control;
	_Static_assert(sizeof(control.space) <= CMSG_LEN((HELLO_FDS + 1) * sizeof(int)), "fit");
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(local->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -errno;
	/* Also of a message that is wrong otherwise: descriptors must not leak. */
	if (!take_descriptors(&message, fds))
		return n == 0 ? -ECONNRESET : -EPROTO;
	local->memfd = fds[0];
	local->event_out = fds[1];
	local->event_in = fds[2];
	if (n != (ssize_t)sizeof(untrusted_hello) ||
	    memcmp(untrusted_hello.magic, hello_magic, sizeof(hello_magic)) ||
	    untrusted_hello.version != HELLO_VERSION)
		return -EPROTO;
	return check_memory(local, untrusted_hello.size, ret_left, ret_right);
}
