// SPDX-License-Identifier: LGPL-2.1-or-later
// XenStore's wire protocol (xen/io/xs_wire.h), one request at a time.
#include "xs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#define DEVICE "/dev/xen/xenbus"

struct message {
	struct xsd_sockmsg header;
	char body[XENSTORE_PAYLOAD_MAX + 1];
};

int vchan_xs_open(struct vchan_xs *xs)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*xs = (struct vchan_xs){.fd = fd};
	return 0;
}

void vchan_xs_close(struct vchan_xs *xs)
{
	/* Watches belong to the open file and go with it. */
	if (xs->fd >= 0)
		close(xs->fd);
	xs->fd = -1;
}

static int read_all(int fd, void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, (char *)data + done, size - done);

		if (n == 0)
			return -EIO;
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int write_all(int fd, const void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(fd, (const char *)data + done, size - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int receive(struct vchan_xs *xs, struct message *message)
{
	int rc = read_all(xs->fd, &message->header, sizeof(message->header));

	if (rc)
		return rc;
	if (message->header.len > XENSTORE_PAYLOAD_MAX)
		return -EPROTO;
	rc = read_all(xs->fd, message->body, message->header.len);
	if (!rc)
		message->body[message->header.len] = 0;
	return rc;
}

static int error_number(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (!strcmp(name, xsd_errors[i].errstring))
			return -xsd_errors[i].errnum;
	return -EPROTO;
}

/* Sends one request of `count` parts; the answer is left in *message, ended by a NUL. */
static int transact(struct vchan_xs *xs, uint32_t type, uint32_t transaction,
		    const struct iovec *parts, unsigned count, struct message *message)
{
	uint32_t request = ++xs->request;
	size_t length = 0;
	unsigned i;
	int rc;

	for (i = 0; i < count; i++) {
		if (parts[i].iov_len > XENSTORE_PAYLOAD_MAX - length)
			return -E2BIG;
		memcpy(message->body + length, parts[i].iov_base, parts[i].iov_len);
		length += parts[i].iov_len;
	}
	message->header = (struct xsd_sockmsg){.type = type,
					       .req_id = request,
					       .tx_id = transaction,
					       .len = (uint32_t)length};
	rc = write_all(xs->fd, message, sizeof(message->header) + length);
	if (rc)
		return rc;
	for (;;) {
		rc = receive(xs, message);
		if (rc)
			return rc;
		if (message->header.type == XS_WATCH_EVENT)
			xs->fired = true;
		else if (message->header.req_id == request)
			break;
	}
	if (message->header.type == XS_ERROR)
		return error_number(message->body);
	return message->header.type == type ? 0 : -EPROTO;
}

static struct iovec text(const char *string)
{
	/* With its NUL: that separates the parts of most requests. */
	return (struct iovec){.iov_base = (void *)(uintptr_t)string, .iov_len = strlen(string) + 1};
}

static int simple(struct vchan_xs *xs, uint32_t type, const char *path)
{
	struct iovec part = text(path);
	struct message message;

	return transact(xs, type, 0, &part, 1, &message);
}

int vchan_xs_read(struct vchan_xs *xs, const char *path, char *ret_value, size_t size)
{
	struct iovec part = text(path);
	struct message message;
	int rc = transact(xs, XS_READ, 0, &part, 1, &message);

	if (rc)
		return rc == -EACCES ? -ENOENT : rc;
	if (message.header.len >= size)
		return -E2BIG;
	memcpy(ret_value, message.body, message.header.len + 1);
	return 0;
}

int vchan_xs_read_number(struct vchan_xs *xs, const char *path, uint32_t max, uint32_t *ret_value)
{
	char untrusted_text[16], *end;
	unsigned long value;
	int rc = vchan_xs_read(xs, path, untrusted_text, sizeof(untrusted_text));

	if (rc)
		return rc;
	if (!untrusted_text[0])
		return -ENOENT;
	if (untrusted_text[0] < '0' || untrusted_text[0] > '9')
		return -EINVAL;
	value = strtoul(untrusted_text, &end, 10);
	if (*end || value > max)
		return -EINVAL;
	*ret_value = (uint32_t)value;
	return 0;
}

int vchan_xs_write(struct vchan_xs *xs, const char *path, const char *value)
{
	struct iovec parts[2] = {text(path), text(value)};
	struct message message;

	parts[1].iov_len--; /* a value has no NUL */
	return transact(xs, XS_WRITE, 0, parts, 2, &message);
}

int vchan_xs_mkdir(struct vchan_xs *xs, const char *path)
{
	return simple(xs, XS_MKDIR, path);
}

int vchan_xs_remove(struct vchan_xs *xs, const char *path)
{
	return simple(xs, XS_RM, path);
}

static int is_empty(struct vchan_xs *xs, uint32_t transaction, const char *path)
{
	struct iovec part = text(path);
	struct message message;
	int rc = transact(xs, XS_DIRECTORY, transaction, &part, 1, &message);

	if (rc)
		return rc;
	return message.header.len ? -ENOTEMPTY : 0;
}

int vchan_xs_remove_empty(struct vchan_xs *xs, const char *path)
{
	struct iovec path_part = text(path), empty = text(""), verdict = text("T");
	struct message message;
	uint32_t transaction;
	/* Transactions are scarce (10 at once per domain): only when it is worth one. */
	int rc = is_empty(xs, 0, path);

	if (rc)
		return rc;
	rc = transact(xs, XS_TRANSACTION_START, 0, &empty, 1, &message);
	if (rc)
		return rc;
	transaction = (uint32_t)strtoul(message.body, NULL, 10);
	rc = is_empty(xs, transaction, path);
	if (!rc)
		rc = transact(xs, XS_RM, transaction, &path_part, 1, &message);
	if (rc)
		verdict = text("F");
	/* EAGAIN: somebody changed it meanwhile; whoever uses it last removes it. */
	transact(xs, XS_TRANSACTION_END, transaction, &verdict, 1, &message);
	return rc;
}

int vchan_xs_share(struct vchan_xs *xs, const char *path, int owner, int reader)
{
	char first[16], second[16];
	struct iovec parts[3];
	struct message message;

	snprintf(first, sizeof(first), "n%d", owner);
	snprintf(second, sizeof(second), "r%d", reader);
	parts[0] = text(path);
	parts[1] = text(first);
	parts[2] = text(second);
	return transact(xs, XS_SET_PERMS, 0, parts, 3, &message);
}

int vchan_xs_show(struct vchan_xs *xs, const char *path)
{
	struct iovec parts[2] = {text(path), text("r0")};
	struct message message;

	return transact(xs, XS_SET_PERMS, 0, parts, 2, &message);
}

static int watch_call(struct vchan_xs *xs, uint32_t type, const char *path)
{
	struct iovec parts[2] = {text(path), text("vchan")};
	struct message message;

	return transact(xs, type, 0, parts, 2, &message);
}

int vchan_xs_watch(struct vchan_xs *xs, const char *path)
{
	int rc = watch_call(xs, XS_WATCH, path);

	return rc == -EEXIST ? 0 : rc;
}

int vchan_xs_unwatch(struct vchan_xs *xs, const char *path)
{
	return watch_call(xs, XS_UNWATCH, path);
}

int vchan_xs_introduced(struct vchan_xs *xs, int domain, bool *ret_introduced)
{
	char number[16];
	struct iovec part;
	struct message message;
	int rc;

	snprintf(number, sizeof(number), "%d", domain);
	part = text(number);
	rc = transact(xs, XS_IS_DOMAIN_INTRODUCED, 0, &part, 1, &message);
	if (!rc)
		*ret_introduced = message.body[0] == 'T';
	return rc;
}

int vchan_xs_drain(struct vchan_xs *xs)
{
	struct pollfd ready = {.fd = xs->fd, .events = POLLIN};
	struct message message;

	while (poll(&ready, 1, 0) > 0) {
		int rc = receive(xs, &message);

		if (rc)
			return rc;
		if (message.header.type == XS_WATCH_EVENT)
			xs->fired = true;
	}
	return 0;
}
