// SPDX-License-Identifier: GPL-2.0-or-later
// qvm-open-in-vm: opens a file or a URL in another qube; what is changed there comes back.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/call.h"
#include "../lib/link.h"
#include "../lib/stream.h"

#define NAME_SIZE 256

static int failed(const char *what, int error)
{
	fprintf(stderr, "qvm-open-in-vm: %s: %s\n", what, strerror(error));
	return 1;
}

static int call_failed(const char *qube, int error)
{
	if (error != EACCES)
		return failed(qube, error);
	fprintf(stderr, "qvm-open-in-vm: request refused\n");
	return WIRE_EXIT_REFUSED;
}

static bool is_url(const char *text)
{
	return !strncmp(text, "http://", 7) || !strncmp(text, "https://", 8) ||
	       !strncmp(text, "ftp://", 6);
}

static int open_link(const char *qube, const char *service, struct call_channel *ret_call,
		     struct link *ret_link)
{
	int rc = call_service(NULL, qube, service, STREAM_RING, STREAM_RING, ret_call);

	if (rc)
		return rc;
	rc = link_open(ret_link, ret_call->vchan, false);
	if (rc)
		call_finish(ret_call);
	return rc;
}

static int send_url(const char *qube, const char *url)
{
	struct call_channel call;
	struct link link;
	int rc = open_link(qube, "qubes.OpenURL", &call, &link), code;

	if (rc)
		return call_failed(qube, -rc);
	rc = link_write(&link, url, strlen(url));
	if (!rc)
		rc = link_write(&link, "\n", 1);
	if (!rc)
		link_end(&link);
	code = link_wait_exit(&link);
	call_finish(&call);
	return code;
}

static int send_file(struct link *link, int fd, const char *path, bool view_only)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	char name[NAME_SIZE] = "", data[16384];
	ssize_t n;
	int rc;

	if (snprintf(name, sizeof(name), "%s%s", view_only ? "view-only-" : "", base) >=
	    (int)sizeof(name))
		return -ENAMETOOLONG;
	rc = link_write(link, name, sizeof(name));
	while (!rc && (n = read(fd, data, sizeof(data))))
		rc = n < 0 ? -errno : link_write(link, data, (size_t)n);
	return rc ? rc : link_end(link);
}

/* What comes back, into a new file. The count of bytes, or -errno. */
static long long receive(struct link *link, int fd)
{
	struct libvchan_piece pieces[2];
	long long sum = 0;
	ssize_t n;

	while ((n = link_peek(link, pieces, 65536)) > 0) {
		for (int i = 0; i < 2; i++)
			if (pieces[i].size &&
			    write(fd, pieces[i].data, pieces[i].size) != (ssize_t)pieces[i].size)
				return -EIO;
		link_consume(link, (size_t)n);
		sum += n;
	}
	return n < 0 ? n : sum;
}

/* The file changes only when all of its new contents are here, and then at once. */
static int take_back(struct link *link, const char *path, const struct stat *st)
{
	char *temporary;
	long long got;
	int fd, code;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return failed(path, ENOMEM);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		code = failed(temporary, errno);
		free(temporary);
		return code;
	}
	got = receive(link, fd);
	code = link_wait_exit(link);
	if (got < 0 || code)
		code = code ? code : failed(path, (int)-got);
	else if (got > 0 &&
		 (fchmod(fd, st->st_mode & 0777) || fsync(fd) || rename(temporary, path)))
		code = failed(path, errno);
	close(fd);
	unlink(temporary);
	free(temporary);
	return code;
}

static int open_file(const char *qube, const char *path, bool view_only)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
	struct call_channel call;
	struct link link;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return failed(path, errno);
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		if (S_ISDIR(st.st_mode))
			return failed(path, EISDIR);
		fprintf(stderr, "qvm-open-in-vm: %s: not a regular file\n", path);
		return 1;
	}
	rc = open_link(qube, "qubes.OpenInVM", &call, &link);
	if (rc) {
		close(fd);
		return call_failed(qube, -rc);
	}
	rc = send_file(&link, fd, path, view_only);
	close(fd);
	if (rc)
		rc = failed(path, -rc);
	else
		rc = view_only ? link_wait_exit(&link) : take_back(&link, path, &st);
	call_finish(&call);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"view-only", no_argument, NULL, 'v'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	bool view_only = false;
	int option;

	while ((option = getopt_long(argc, argv, "h", longs, NULL)) == 'v')
		view_only = true;
	if (option != -1 || argc - optind != 2) {
		fprintf(option == 'h' ? stdout : stderr,
			"usage: qvm-open-in-vm [--view-only] QUBE FILE|URL\n");
		return option == 'h' ? 0 : 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (is_url(argv[optind + 1]))
		return send_url(argv[optind], argv[optind + 1]);
	return open_file(argv[optind], argv[optind + 1], view_only);
}
