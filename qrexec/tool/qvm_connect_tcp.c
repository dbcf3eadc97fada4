// SPDX-License-Identifier: GPL-2.0-or-later
// qvm-connect-tcp: a local port that leads to a port of another qube.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/call.h"
#include "../lib/stream.h"

/* Each has a call, of which two qubes have 128. */
#define MAX_CONNECTIONS 100

static int parse_port(const char *text)
{
	char *end;
	long port = strtol(text, &end, 10);

	return *text && !*end && port > 0 && port < 65536 ? (int)port : -1;
}

/* [LOCALPORT:][QUBE]:PORT. The text is cut. */
static bool parse(char *text, int *ret_local, const char **ret_qube, int *ret_port)
{
	char *last = strrchr(text, ':'), *first = strchr(text, ':');

	if (!last)
		return false;
	*last = '\0';
	*ret_port = parse_port(last + 1);
	*ret_local = *ret_port;
	*ret_qube = text;
	if (first != last) {
		*first = '\0';
		*ret_local = parse_port(text);
		*ret_qube = first + 1;
	}
	return *ret_port > 0 && *ret_local > 0 && !strchr(*ret_qube, ':');
}

static int listen_at(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, 64))
		return fd;
	close(fd);
	return -1;
}

static int carry(const char *qube, const char *service, int connection)
{
	struct stream stream = {.to_local = connection,
				.from_local = fcntl(connection, F_DUPFD_CLOEXEC, 3),
				.err_local = -1,
				.pid = -1,
				.socket = true};
	struct call_channel call;
	int rc = call_service(NULL, qube, service, STREAM_RING, STREAM_RING, &call);

	if (rc) {
		fprintf(stderr, "qvm-connect-tcp: %s\n",
			rc == -EACCES ? "request refused" : strerror(-rc));
		return 1;
	}
	stream.vchan = call.vchan;
	rc = stream_run(&stream);
	call_finish(&call);
	return rc;
}

static int serve(int listener, const char *qube, const char *service)
{
	int open = 0;

	for (;;) {
		int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		pid_t pid;

		while (open && waitpid(-1, NULL, open < MAX_CONNECTIONS ? WNOHANG : 0) > 0)
			open--;
		if (connection < 0 && errno != EINTR && errno != ECONNABORTED)
			return 1;
		if (connection < 0)
			continue;
		pid = fork();
		if (pid == 0) {
			close(listener);
			_exit(carry(qube, service, connection));
		}
		open += pid > 0;
		close(connection);
	}
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"foreground", no_argument, NULL, 'f'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	const char *qube;
	char service[64];
	bool foreground = false;
	int option, local, port, listener;

	while ((option = getopt_long(argc, argv, "fh", longs, NULL)) == 'f')
		foreground = true;
	if (option != -1 || argc - optind != 1 || !parse(argv[optind], &local, &qube, &port)) {
		fprintf(option == 'h' ? stdout : stderr,
			"usage: qvm-connect-tcp [--foreground] [LOCALPORT:][QUBE]:PORT\n");
		return option == 'h' ? 0 : 2;
	}
	listener = listen_at(local);
	if (listener < 0) {
		fprintf(stderr, "qvm-connect-tcp: port %d: %s\n", local, strerror(errno));
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	snprintf(service, sizeof(service), "qubes.ConnectTCP+%d", port);
	if (!foreground && daemon(1, 0)) {
		perror("qvm-connect-tcp");
		return 1;
	}
	return serve(listener, *qube ? qube : "@default", service);
}
