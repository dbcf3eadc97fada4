// SPDX-License-Identifier: LGPL-2.1-or-later
// The end of domains, for qubes. XenStore tells only domain 0 which domains there are; but the node of a domain goes with
// the domain, and who may read a node hears of its removal.
#include "internal.h"
#include "end.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Below the domain's home, but not below what the domain itself may write. */
#define NODE "/local/domain/%d/vchan-domain"

struct path {
	char text[48];
};

static struct path path_of(int domain)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), NODE, domain);
	return path;
}

int vchan_end_look(struct vchan_xs *xs, int domain)
{
	char value[8];

	return vchan_xs_read(xs, path_of(domain).text, value, sizeof(value));
}

int vchan_end_watch(struct vchan_xs *xs, int domain)
{
	return vchan_xs_watch(xs, path_of(domain).text);
}

static int is_local(void)
{
	struct vchan_uri uri;
	int rc = vchan_uri_parse(NULL, &uri);

	return rc ? rc : uri.local;
}

static int result(int rc)
{
	errno = rc < 0 ? -rc : 0;
	return rc < 0 ? -1 : rc;
}

int libvchan_domain_show(int domain)
{
	struct vchan_xs xs;
	bool there = false;
	int rc = is_local();

	if (rc)
		return result(rc < 0 ? rc : 0);
	rc = vchan_xs_open(&xs);
	if (rc)
		return result(rc);
	/* The home of one that is not there would be made, and stay. */
	rc = vchan_xs_introduced(&xs, domain, &there);
	if (!rc && !there)
		rc = -ENOENT;
	if (!rc)
		rc = vchan_xs_mkdir(&xs, path_of(domain).text);
	if (!rc)
		rc = vchan_xs_show(&xs, path_of(domain).text);
	vchan_xs_close(&xs);
	return result(rc);
}

int libvchan_domain_watch(int domain)
{
	struct vchan_xs xs;
	int rc = is_local();

	if (rc)
		return result(rc < 0 ? rc : -ENOTSUP);
	rc = vchan_xs_open(&xs);
	if (rc)
		return result(rc);
	rc = vchan_end_watch(&xs, domain);
	if (!rc)
		rc = vchan_end_look(&xs, domain);
	if (rc)
		vchan_xs_close(&xs);
	return rc ? result(rc) : xs.fd;
}

int libvchan_domain_ended(int fd, int domain)
{
	struct vchan_xs xs = {.fd = fd};
	int rc;

	do {
		rc = vchan_xs_drain(&xs);
		xs.fired = false;
		if (!rc)
			rc = vchan_end_look(&xs, domain);
	} while (!rc && xs.fired);
	return rc == -ENOENT ? 1 : result(rc);
}

/* One is enough for a process that serves one call. */
static struct {
	bool set;
	int domain, fd;
} line;

void libvchan_end_from(int domain, int fd)
{
	line.set = fd >= 0;
	line.domain = domain;
	line.fd = fd;
}

int vchan_end_line(int domain)
{
	return line.set && line.domain == domain ? line.fd : -1;
}

int vchan_end_told(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int ready = 0;

	if (poll(&p, 1, 0) <= 0)
		return 0;
	return !ioctl(fd, FIONREAD, &ready) && ready > 0 ? 1 : -1;
}
