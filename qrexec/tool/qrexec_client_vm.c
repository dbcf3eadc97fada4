// SPDX-License-Identifier: GPL-2.0-or-later
// qrexec-client-vm: calls a service of another qube.
#define _GNU_SOURCE
#include "../lib/channel.h"
#include "../lib/service.h"
#include "../lib/stream.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A question to the user can take long: a day. */
#define ANSWER_SECONDS 86400

static int problem(const char *what, int error)
{
	fprintf(stderr, "qrexec-client-vm: %s: %s\n", what, strerror(error));
	return WIRE_EXIT_PROBLEM;
}

/* Asks the agent; 0 and where to serve the data, or an exit code. */
static int ask(struct channel *channel, const char *target, const char *service,
	       struct wire_exec *ret_where)
{
	struct wire_trigger trigger = {.ident = "", .service = service};
	static uint8_t body[WIRE_BODY_MAX];
	struct wire_header header = {0};
	uint8_t *answer = NULL;
	uint32_t type;
	int rc;

	if (strlen(target) >= sizeof(trigger.target))
		return problem("target", ENAMETOOLONG);
	strcpy(trigger.target, target);
	rc = wire_encode_trigger(WIRE_VERSION, &trigger, &type, body, sizeof(body));
	if (rc < 0)
		return problem("service", ENAMETOOLONG);
	rc = channel_send(channel, type, body, (size_t)rc);
	if (!rc)
		rc = channel_receive_wait(channel, ANSWER_SECONDS, &header, &answer);
	if (rc <= 0)
		return problem("no answer from the agent", rc ? -rc : EPIPE);
	if (header.type == WIRE_SERVICE_REFUSED) {
		fprintf(stderr, "qrexec-client-vm: request refused\n");
		return WIRE_EXIT_REFUSED;
	}
	if (header.type != WIRE_SERVICE_CONNECT ||
	    wire_decode_exec(answer, header.length, ret_where))
		return problem("agent", EPROTO);
	return 0;
}

static int carry(const struct wire_exec *where, char **program)
{
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
		return problem("the other qube", -rc);
	}
	rc = *program ? service_spawn_local(program, &pipes) : 0;
	if (!rc) {
		stream = (struct stream){vchan, false, pipes.to, pipes.from, -1, pipes.pid};
		rc = stream_run(&stream);
	}
	libvchan_close(vchan);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"socket", required_argument, NULL, 's'},
					      {NULL, 0, NULL, 0}};
	const char *path = "/run/qubes/qrexec-agent";
	struct channel channel;
	struct wire_exec where;
	int option, fd, rc;

	while ((option = getopt_long(argc, argv, "+s:", longs, NULL)) == 's')
		path = optarg;
	if (option != -1 || argc - optind < 2) {
		fprintf(stderr, "usage: qrexec-client-vm [--socket PATH] TARGET SERVICE[+ARGUMENT] "
				"[PROGRAM [ARGUMENT]…]\n");
		return WIRE_EXIT_PROBLEM;
	}
	signal(SIGPIPE, SIG_IGN);
	fd = socket_connect(path);
	if (fd < 0)
		return problem(path, errno);
	rc = channel_init(&channel, NULL, fd);
	if (rc)
		return problem("memory", -rc);
	/* The connection to the agent lasts as long as the call: its end frees the port. */
	rc = ask(&channel, argv[optind], argv[optind + 1], &where);
	if (!rc)
		rc = carry(&where, argv + optind + 2);
	channel_finish(&channel);
	return rc;
}
