// SPDX-License-Identifier: GPL-2.0-or-later
// qrexec-client: dom0 runs a command or a service in a qube.
#define _GNU_SOURCE
#include "../lib/channel.h"
#include "../lib/service.h"
#include "../lib/stream.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAEMON_SECONDS 60

static int problem(const char *what, int error)
{
	fprintf(stderr, "qrexec-client: %s: %s\n", what, strerror(error));
	return WIRE_EXIT_PROBLEM;
}

/* The daemon speaks first, then tells where the data channel is to be. */
static int ask(struct channel *channel, const char *command, bool just_exec,
	       struct wire_exec *ret_where)
{
	struct wire_exec exec = {0, 0, command};
	struct wire_header header = {0};
	uint32_t type = just_exec ? WIRE_JUST_EXEC : WIRE_EXEC_CMDLINE, untrusted_version;
	uint8_t *body = NULL;
	int rc = channel_receive_wait(channel, DAEMON_SECONDS, &header, &body);

	if (rc <= 0)
		return problem("daemon", rc ? -rc : EPIPE);
	if (header.type != WIRE_HELLO ||
	    wire_decode_hello(body, header.length, &untrusted_version) ||
	    untrusted_version < WIRE_VERSION_LOCAL)
		return problem("daemon", EPROTO);
	rc = channel_send_hello(channel, WIRE_VERSION_LOCAL);
	if (!rc)
		rc = channel_send_exec(channel, type, &exec);
	if (!rc)
		rc = channel_receive_wait(channel, DAEMON_SECONDS, &header, &body);
	if (rc <= 0)
		return problem("the daemon does not take the call", rc ? -rc : EPIPE);
	if (header.type != type || wire_decode_exec(body, header.length, ret_where))
		return problem("daemon", EPROTO);
	return 0;
}

static int carry(const struct wire_exec *where, const char *local)
{
	char *const program[] = {"/bin/sh", "-c", (char *)local, NULL};
	struct service_pipes pipes = {STDOUT_FILENO, STDIN_FILENO, -1, -1};
	struct stream stream;
	libvchan_t *vchan;
	int rc;

	vchan = libvchan_server_init((int)where->domain, (int)where->port, STREAM_RING,
				     STREAM_RING);
	if (!vchan)
		return problem("data channel", errno);
	rc = vchan_wait_client(vchan, STREAM_CONNECT_SECONDS);
	if (rc) {
		libvchan_close(vchan);
		return problem("the qube", -rc);
	}
	rc = local ? service_spawn_local(program, &pipes) : 0;
	if (!rc) {
		stream = (struct stream){vchan, false, pipes.to, pipes.from, -1, pipes.pid};
		rc = stream_run(&stream);
	}
	libvchan_close(vchan);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"socket-dir", required_argument, NULL, 's'},
					      {NULL, 0, NULL, 0}};
	const char *dir = "/run/qubes", *qube = NULL, *local = NULL;
	char path[PATH_MAX];
	bool just_exec = false, good = true;
	struct channel channel;
	struct wire_exec where;
	int option, fd, rc;

	while ((option = getopt_long(argc, argv, "+d:l:es:", longs, NULL)) != -1)
		switch (option) {
		case 'd':
			qube = optarg;
			break;
		case 'l':
			local = optarg;
			break;
		case 'e':
			just_exec = true;
			break;
		case 's':
			dir = optarg;
			break;
		default:
			good = false;
		}
	if (!good || !qube || argc - optind != 1 || strchr(qube, '/')) {
		fprintf(stderr, "usage: qrexec-client [--socket-dir DIR] -d QUBE [-l PROGRAM] [-e] "
				"USER:COMMAND\n");
		return WIRE_EXIT_PROBLEM;
	}
	signal(SIGPIPE, SIG_IGN);
	if (snprintf(path, sizeof(path), "%s/qrexec.%s", dir, qube) >= (int)sizeof(path))
		return problem("path", ENAMETOOLONG);
	fd = socket_connect(path);
	if (fd < 0)
		return problem(path, errno);
	rc = channel_init(&channel, NULL, fd);
	if (rc)
		return problem("memory", -rc);
	rc = ask(&channel, argv[optind], just_exec, &where);
	if (!rc)
		rc = carry(&where, local);
	channel_finish(&channel);
	return rc;
}
