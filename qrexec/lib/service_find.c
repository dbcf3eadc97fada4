// SPDX-License-Identifier: GPL-2.0-or-later
// What is behind the name of a service: a program, a socket, or a port of TCP.
#define _GNU_SOURCE
#include "service.h"
#include "socket.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Symbolic links to this path, which need not exist, stand for TCP: /dev/tcp[/HOST[/PORT]]. */
static const char tcp_prefix[] = "/dev/tcp";

/* HOST+PORT; the host may be an address of IPv6, whose colons became pluses on the way here. */
static bool split_argument(char *text, const char **ret_host, const char **ret_port)
{
	char *plus = strrchr(text, '+');

	if (!plus)
		return false;
	*plus = '\0';
	*ret_port = plus + 1;
	*ret_host = text;
	for (; *text; text++)
		if (*text == '+')
			*text = ':';
	return true;
}

/* What the link leaves open comes from the argument, and only that: no more, no less. */
static bool parse_tcp(const char *link, const char *full, char *ret_path, size_t size)
{
	char own[PATH_MAX], argument[SERVICE_NAME_MAX + 1] = "";
	const char *host = NULL, *port = NULL, *plus = strchr(full, '+');
	char *slash;
	int length;

	snprintf(own, sizeof(own), "%s", link + sizeof(tcp_prefix) - 1);
	if (*own == '/' && own[1]) {
		host = own + 1;
		slash = strchr(own + 1, '/');
		if (slash) {
			*slash = '\0';
			port = slash[1] ? slash + 1 : NULL;
		}
	}
	if (plus && strlen(plus + 1) < sizeof(argument))
		strcpy(argument, plus + 1);
	if (!host && !split_argument(argument, &host, &port))
		return false;
	if (!port)
		port = argument;
	if (!*host || !*port || strspn(port, "0123456789") != strlen(port) || strlen(port) > 5)
		return false;
	length = snprintf(ret_path, size, "%s%c%s", host, '\0', port);
	return length < (int)size;
}

static bool is_tcp(const char *path, const char *full, char *ret_path, size_t size)
{
	char link[PATH_MAX];
	ssize_t length = readlink(path, link, sizeof(link) - 1);
	char next;

	if (length < (ssize_t)sizeof(tcp_prefix) - 1)
		return false;
	link[length] = '\0';
	next = link[sizeof(tcp_prefix) - 1];
	return !strncmp(link, tcp_prefix, sizeof(tcp_prefix) - 1) && (!next || next == '/') &&
	       parse_tcp(link, full, ret_path, size);
}

static bool is_tcp_link(const char *path)
{
	char link[sizeof(tcp_prefix)];
	ssize_t length = readlink(path, link, sizeof(link));

	return length >= (ssize_t)sizeof(link) - 1 &&
	       !memcmp(link, tcp_prefix, sizeof(tcp_prefix) - 1) &&
	       (length == (ssize_t)sizeof(link) - 1 || link[length - 1] == '/');
}

bool service_find(const struct service_dirs *dirs, const char *full, enum service_kind *ret_kind,
		  char *ret_path, size_t size)
{
	/* NAME+ARGUMENT in any directory goes before NAME alone. */
	int lengths[] = {(int)strlen(full), (int)strcspn(full, "+")};
	char path[PATH_MAX];
	struct stat st;

	for (size_t try = 0; try < 2; try++)
		for (size_t i = 0; i < dirs->count; i++) {
			if (lengths[try] > SERVICE_NAME_MAX ||
			    snprintf(path, sizeof(path), "%s/%.*s", dirs->dirs[i], lengths[try],
				     full) >= (int)sizeof(path))
				continue;
			if (is_tcp_link(path)) {
				*ret_kind = SERVICE_TCP;
				return is_tcp(path, full, ret_path, size);
			}
			if (stat(path, &st) || strlen(path) >= size)
				continue;
			*ret_kind = S_ISSOCK(st.st_mode) ? SERVICE_SOCKET : SERVICE_PROGRAM;
			strcpy(ret_path, path);
			if (S_ISSOCK(st.st_mode) || (S_ISREG(st.st_mode) && !access(path, X_OK)))
				return true;
		}
	return false;
}

static int connect_tcp(const char *host, const char *port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int fd = -1;

	if (getaddrinfo(host, port, &hints, &list))
		return -1;
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen)) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd;
}

/* NAME+ARGUMENT SOURCE [name|keyword TARGET], with a NUL behind it. */
static bool send_descriptor(int fd, const struct service_call *call)
{
	struct iovec parts[] = {
		{(char *)call->full, strlen(call->full)},
		{" ", 1},
		{(char *)call->source, strlen(call->source)},
		{" ", call->target ? 1 : 0},
		{(char *)call->target_type, call->target ? strlen(call->target_type) : 0},
		{" ", call->target ? 1 : 0},
		{(char *)call->target, call->target ? strlen(call->target) : 0},
		{"", 1},
	};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = sizeof(parts) / sizeof(parts[0])};
	size_t total = 0;
	ssize_t sent;

	for (size_t i = 0; i < message.msg_iovlen; i++)
		total += parts[i].iov_len;
	sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	/* A service that does not read and has ended already may have said what it has to say. */
	return sent == (ssize_t)total || (sent < 0 && (errno == EPIPE || errno == ECONNRESET));
}

int service_connect(const struct service_call *call, enum service_kind kind, const char *path,
		    const struct service_config *config)
{
	int fd = kind == SERVICE_TCP ? connect_tcp(path, path + strlen(path) + 1)
				     : socket_connect(path, 0);

	if (fd < 0 || config->skip_descriptor || send_descriptor(fd, call))
		return fd;
	close(fd);
	return -1;
}
