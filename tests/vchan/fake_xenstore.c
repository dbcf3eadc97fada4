// SPDX-License-Identifier: GPL-2.0-or-later
// XenStore in a thread: paths, values, permissions, watches and what of transactions a test can see.
#define _GNU_SOURCE
#include "fake_xenstore.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#define DOMAINS	    4
#define MAX_NODES   512
#define MAX_CONNS   512
#define MAX_WATCHES 1024
#define PATH_SIZE   128

static struct node {
	char path[PATH_SIZE], value[64], perms[64]; /* "n1 r2" */
} nodes[MAX_NODES];

static struct conn {
	int fd; /* 0: unused */
	int domain;
} conns[MAX_CONNS];

static struct watch {
	int conn; /* -1: unused */
	char path[PATH_SIZE], given[PATH_SIZE], token[64];
} watches[MAX_WATCHES];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t thread;
static int wake[2];
static int listeners[DOMAINS];
static bool alive[DOMAINS], running;
static char directory[64], result[64];
static int watch_limit;
static bool secretive;

static struct node *find(const char *path)
{
	for (int i = 0; i < MAX_NODES; i++)
		if (nodes[i].path[0] && !strcmp(nodes[i].path, path))
			return &nodes[i];
	return NULL;
}

static bool below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return !strncmp(path, top, n) && (path[n] == 0 || path[n] == '/');
}

static void reply(struct conn *c, const struct xsd_sockmsg *to, uint32_t type, const void *body,
		  size_t size)
{
	struct xsd_sockmsg header = {.type = type,
				     .req_id = to->req_id,
				     .tx_id = to->tx_id,
				     .len = (uint32_t)size};
	char message[sizeof(header) + XENSTORE_PAYLOAD_MAX];

	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), body, size);
	if (send(c->fd, message, sizeof(header) + size, MSG_NOSIGNAL) < 0 && errno != EPIPE &&
	    errno != ECONNRESET)
		abort();
}

static bool may_read(const struct conn *c, const struct node *n)
{
	char owner[8], reader[8];

	snprintf(owner, sizeof(owner), "n%d", c->domain);
	snprintf(reader, sizeof(reader), "r%d", c->domain);
	/* The first entry is the owner, its letter what all others may do. */
	return c->domain == 0 || strstr(n->perms, owner) == n->perms || strstr(n->perms, reader) ||
	       n->perms[0] == 'r';
}

static void tell(const struct watch *w, const char *path)
{
	static const struct xsd_sockmsg none;
	char body[PATH_SIZE + 64];
	size_t n;

	n = (size_t)snprintf(body, sizeof(body), "%s%c%s", path, 0, w->token) + 1;
	reply(&conns[w->conn], &none, XS_WATCH_EVENT, body, n);
}

/* Watches of the node and of what is above it; of what is below as well if all of that went, by its own permissions. */
static void fire(const char *path, bool recurse)
{
	for (int i = 0; i < MAX_WATCHES; i++) {
		struct watch *w = &watches[i];
		struct node *n;

		if (w->conn < 0 || !(below(path, w->path) || (recurse && below(w->path, path))))
			continue;
		n = find(recurse && below(w->path, path) ? w->path : path);
		if (path[0] != '@' && n && !may_read(&conns[w->conn], n))
			continue;
		/* Unprivileged domains are not told of others. */
		if (path[0] == '@' && conns[w->conn].domain != 0)
			continue;
		tell(w, path);
	}
}

static struct node *make(const char *path, int domain)
{
	char parent[PATH_SIZE], *slash;
	struct node *n = find(path), *up;

	if (n)
		return n;
	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	*slash = 0;
	up = *parent ? make(parent, domain) : NULL;
	for (n = nodes; n->path[0]; n++)
		if (n == &nodes[MAX_NODES - 1])
			abort();
	snprintf(n->path, sizeof(n->path), "%s", path);
	n->value[0] = 0;
	if (up)
		memcpy(n->perms, up->perms, sizeof(n->perms));
	else
		snprintf(n->perms, sizeof(n->perms), "n0");
	/* What an unprivileged domain makes is its own. */
	if (domain && up && strchr(up->perms, ' '))
		snprintf(n->perms, sizeof(n->perms), "n%d%s", domain, strchr(up->perms, ' '));
	return n;
}

static void drop(const char *path)
{
	fire(path, true);
	for (int i = 0; i < MAX_NODES; i++)
		if (nodes[i].path[0] && below(nodes[i].path, path))
			nodes[i].path[0] = 0;
}

static const char *op_directory(struct conn *c, const struct xsd_sockmsg *m, const char *path)
{
	char list[XENSTORE_PAYLOAD_MAX];
	size_t n = 0, top = strlen(path);

	if (!find(path))
		return "ENOENT";
	for (int i = 0; i < MAX_NODES; i++) {
		const char *p = nodes[i].path;

		if (!*p || !below(p, path) || p[top] != '/' || strchr(p + top + 1, '/'))
			continue;
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s", p + top + 1) + 1;
	}
	reply(c, m, m->type, list, n);
	return NULL;
}

static const char *op_watch(struct conn *c, const char *path, const char *given, const char *token)
{
	int used = 0;
	struct watch *w = watches;

	for (int i = 0; i < MAX_WATCHES; i++)
		used += watches[i].conn >= 0 && conns[watches[i].conn].domain == c->domain;
	if (c->domain && used >= watch_limit)
		return "E2BIG";
	while (w->conn >= 0)
		w++;
	w->conn = (int)(c - conns);
	snprintf(w->path, sizeof(w->path), "%s", path);
	snprintf(w->given, sizeof(w->given), "%.100s", given);
	snprintf(w->token, sizeof(w->token), "%.60s", token);
	/* Each watch fires once at first; before the answer, as the kernel may do it. */
	tell(w, given);
	return NULL;
}

static const char *op_unwatch(struct conn *c, const char *path, const char *token)
{
	for (int i = 0; i < MAX_WATCHES; i++) {
		struct watch *w = &watches[i];

		if (w->conn != (int)(c - conns) || strcmp(w->path, path) || strcmp(w->token, token))
			continue;
		w->conn = -1;
		return NULL;
	}
	return "ENOENT";
}

static const char *op_write(struct conn *c, const char *path, const char *value)
{
	struct node *n = find(path);

	if (n && c->domain && n->perms[1] - '0' != c->domain)
		return "EACCES";
	n = make(path, c->domain);
	if (value)
		snprintf(n->value, sizeof(n->value), "%.60s", value);
	fire(path, false);
	return NULL;
}

static const char *op_perms(struct conn *c, const char *path, const char *perms, const char *end)
{
	struct node *n = find(path);
	size_t length = 0;

	if (!n || (c->domain && n->perms[1] - '0' != c->domain))
		return n ? "EACCES" : "ENOENT";
	for (; perms < end; perms += strlen(perms) + 1)
		length += (size_t)snprintf(n->perms + length, sizeof(n->perms) - length, "%s%s",
					   length ? " " : "", perms);
	fire(path, false);
	return NULL;
}

/* NULL: answered, or to be answered by "OK". */
static const char *handle(struct conn *c, const struct xsd_sockmsg *m, char *body,
			  bool *ret_answered)
{
	char path[PATH_SIZE];
	const char *second = body + strlen(body) + 1, *end = body + m->len;
	struct node *n;

	if (body[0] == '/' || body[0] == '@')
		snprintf(path, sizeof(path), "%.100s", body);
	else
		snprintf(path, sizeof(path), "/local/domain/%d/%.90s", c->domain, body);
	n = find(path);
	*ret_answered = true;
	switch (m->type) {
	case XS_READ:
		if (!n || !may_read(c, n))
			return n ? "EACCES" : "ENOENT";
		reply(c, m, m->type, n->value, strlen(n->value));
		return NULL;
	case XS_DIRECTORY:
		return op_directory(c, m, path);
	case XS_IS_DOMAIN_INTRODUCED: {
		int domain = atoi(body);

		if (c->domain && secretive)
			return "EACCES";
		reply(c, m, m->type, domain < DOMAINS && alive[domain] ? "T" : "F", 2);
		return NULL;
	}
	case XS_TRANSACTION_START:
		reply(c, m, m->type, "17", 3);
		return NULL;
	default:
		break;
	}
	*ret_answered = false;
	switch (m->type) {
	case XS_WRITE:
		return op_write(c, path, second);
	case XS_MKDIR:
		return op_write(c, path, NULL);
	case XS_RM:
		if (!n)
			return "ENOENT";
		drop(path);
		return NULL;
	case XS_SET_PERMS:
		return op_perms(c, path, second, end);
	case XS_WATCH:
		return op_watch(c, path, body, second);
	case XS_UNWATCH:
		return op_unwatch(c, path, second);
	case XS_TRANSACTION_END:
		return NULL;
	default:
		return "ENOSYS";
	}
}

static void hang_up(struct conn *c)
{
	for (int i = 0; i < MAX_WATCHES; i++)
		if (watches[i].conn == (int)(c - conns))
			watches[i].conn = -1;
	close(c->fd);
	c->fd = 0;
}

static void serve(struct conn *c)
{
	char body[XENSTORE_PAYLOAD_MAX + 2] = {0};
	struct xsd_sockmsg m;
	const char *error;
	bool answered;

	if (recv(c->fd, &m, sizeof(m), MSG_WAITALL) != sizeof(m) || m.len > XENSTORE_PAYLOAD_MAX ||
	    (m.len && recv(c->fd, body, m.len, MSG_WAITALL) != (ssize_t)m.len)) {
		hang_up(c);
		return;
	}
	error = handle(c, &m, body, &answered);
	if (error)
		reply(c, &m, XS_ERROR, error, strlen(error) + 1);
	else if (!answered)
		reply(c, &m, m.type, "OK", 3);
}

static void welcome(int domain)
{
	struct conn *c = conns;

	while (c->fd)
		c++;
	c->fd = accept4(listeners[domain], NULL, NULL, SOCK_CLOEXEC);
	c->domain = domain;
	if (c->fd < 0)
		abort();
}

static void *loop(void *unused)
{
	(void)unused;
	for (;;) {
		struct pollfd fds[MAX_CONNS + DOMAINS + 1];
		int who[MAX_CONNS + DOMAINS + 1], n = 0;

		pthread_mutex_lock(&lock);
		fds[n++] = (struct pollfd){.fd = wake[0], .events = POLLIN};
		for (int i = 0; i < DOMAINS; i++, n++) {
			fds[n] = (struct pollfd){.fd = listeners[i], .events = POLLIN};
			who[n] = -1 - i;
		}
		for (int i = 0; i < MAX_CONNS; i++) {
			if (!conns[i].fd)
				continue;
			fds[n] = (struct pollfd){.fd = conns[i].fd, .events = POLLIN};
			who[n++] = i;
		}
		pthread_mutex_unlock(&lock);
		poll(fds, (nfds_t)n, -1);
		if (!running)
			return NULL;
		pthread_mutex_lock(&lock);
		for (int i = 1; i < n; i++) {
			if (fds[i].revents && who[i] < 0)
				welcome(-1 - who[i]);
			else if (fds[i].revents && conns[who[i]].fd)
				serve(&conns[who[i]]);
		}
		pthread_mutex_unlock(&lock);
	}
}

static void address_of(struct sockaddr_un *address, int domain)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "%s/%d", directory, domain);
}

int fake_xenstore_connect(int domain)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address_of(&address, domain);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		abort();
	return fd;
}

void fake_xenstore_name(int domain)
{
	struct sockaddr_un address;

	address_of(&address, domain);
	setenv("XENSTORED_PATH", address.sun_path, 1);
}

void fake_xen_start(void)
{
	memset(nodes, 0, sizeof(nodes));
	for (int i = 0; i < MAX_WATCHES; i++)
		watches[i].conn = -1;
	watch_limit = 128;
	secretive = false;
	snprintf(directory, sizeof(directory), "/tmp/fake-xenstore.XXXXXX");
	if (!mkdtemp(directory) || pipe(wake))
		abort();
	for (int i = 0; i < DOMAINS; i++) {
		struct sockaddr_un address;
		char path[PATH_SIZE];
		struct node *n;

		address_of(&address, i);
		listeners[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(listeners[i], (struct sockaddr *)&address, sizeof(address)) ||
		    listen(listeners[i], 64))
			abort();
		alive[i] = true;
		snprintf(path, sizeof(path), "/local/domain/%d/domid", i);
		n = make(path, 0);
		snprintf(n->value, sizeof(n->value), "%d", i);
		/* As the toolstack does it: a domain may read its own, and write below data. */
		snprintf(n->perms, sizeof(n->perms), "n0 r%d", i);
		snprintf(path, sizeof(path), "/local/domain/%d/data", i);
		snprintf(make(path, 0)->perms, sizeof(n->perms), "n%d", i);
	}
	running = true;
	if (pthread_create(&thread, NULL, loop, NULL))
		abort();
}

void fake_xen_stop(void)
{
	running = false;
	if (write(wake[1], "", 1) != 1)
		abort();
	pthread_join(thread, NULL);
	for (int i = 0; i < MAX_CONNS; i++)
		if (conns[i].fd)
			hang_up(&conns[i]);
	for (int i = 0; i < DOMAINS; i++) {
		struct sockaddr_un address;

		address_of(&address, i);
		unlink(address.sun_path);
		close(listeners[i]);
	}
	close(wake[0]);
	close(wake[1]);
	rmdir(directory);
}

void fake_xenstore_release(int domain)
{
	char path[PATH_SIZE];

	pthread_mutex_lock(&lock);
	alive[domain] = false;
	snprintf(path, sizeof(path), "/local/domain/%d", domain);
	drop(path);
	fire("@releaseDomain", false);
	pthread_mutex_unlock(&lock);
}

static const char *copy(const char *text)
{
	snprintf(result, sizeof(result), "%s", text);
	return result;
}

const char *fake_xen_value(const char *path)
{
	struct node *n;
	const char *text;

	pthread_mutex_lock(&lock);
	n = find(path);
	text = n ? copy(n->value) : NULL;
	pthread_mutex_unlock(&lock);
	return text;
}

const char *fake_xen_permissions(const char *path)
{
	struct node *n;
	const char *text;

	pthread_mutex_lock(&lock);
	n = find(path);
	text = n ? copy(n->perms) : NULL;
	pthread_mutex_unlock(&lock);
	return text;
}

void fake_xen_set(const char *path, const char *value)
{
	pthread_mutex_lock(&lock);
	snprintf(make(path, 0)->value, sizeof(nodes[0].value), "%s", value);
	fire(path, false);
	pthread_mutex_unlock(&lock);
}

void fake_xen_limit_watches(int limit)
{
	watch_limit = limit;
}

int fake_xen_watches(int domain)
{
	int used = 0;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < MAX_WATCHES; i++)
		used += watches[i].conn >= 0 && conns[watches[i].conn].domain == domain;
	pthread_mutex_unlock(&lock);
	return used;
}

void fake_xen_hide_domains(void)
{
	pthread_mutex_lock(&lock);
	secretive = true;
	pthread_mutex_unlock(&lock);
}
