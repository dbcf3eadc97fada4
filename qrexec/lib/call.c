// SPDX-License-Identifier: GPL-2.0-or-later
// The caller's side of a call.
#define _GNU_SOURCE
#include "call.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "socket.h"
#include "stream.h"

/* A question to the user can take long: a day. So can the start of a qube that has to be made first. */
#define ANSWER_SECONDS 86400
#define DAEMON_SECONDS 60

static int open_control(struct call_channel *call, const char *path)
{
	int fd = socket_connect(path, SOCK_NONBLOCK);

	*call = (struct call_channel){.control.fd = -1};
	return fd < 0 ? -errno : channel_init(&call->control, NULL, fd);
}

/* The other end connects as soon as it was told to. */
static int open_data(struct call_channel *call, const struct wire_exec *where, size_t read_ring,
		     size_t write_ring)
{
	int rc;

	call->vchan = libvchan_server_init((int)where->domain, (int)where->port, read_ring,
					   write_ring);
	if (!call->vchan)
		return -errno;
	rc = vchan_wait_client(call->vchan, STREAM_CONNECT_SECONDS);
	return rc ? rc : libvchan_is_open(call->vchan) == VCHAN_DISCONNECTED ? -EPIPE : 0;
}

static int send_trigger(struct channel *channel, const char *target, const char *service)
{
	struct wire_trigger trigger = {.service = service};
	uint8_t *body;
	uint32_t type;
	int rc;

	if (strlen(target) >= sizeof(trigger.target))
		return -ENAMETOOLONG;
	strcpy(trigger.target, target);
	body = malloc(WIRE_BODY_MAX);
	if (!body)
		return -ENOMEM;
	rc = wire_encode_trigger(WIRE_VERSION, &trigger, &type, body, WIRE_BODY_MAX);
	if (rc >= 0)
		rc = channel_send(channel, type, body, (size_t)rc);
	free(body);
	return rc;
}

static int receive(struct channel *channel, int seconds, struct wire_header *ret_header,
		   uint8_t **ret_body)
{
	int rc = channel_receive_wait(channel, seconds, ret_header, ret_body);

	return rc > 0 ? 0 : rc ? rc : -EPIPE;
}

int call_service(const char *agent_socket, const char *target, const char *service,
		 size_t read_ring, size_t write_ring, struct call_channel *ret_call)
{
	struct wire_header header = {0};
	struct wire_exec where = {0};
	uint8_t *answer = NULL;
	int rc;

	if (!agent_socket)
		agent_socket = getenv("QREXEC_AGENT_SOCKET");
	rc = open_control(ret_call, agent_socket ? agent_socket : CALL_AGENT_SOCKET);
	if (!rc)
		rc = send_trigger(&ret_call->control, target, service);
	if (!rc)
		rc = receive(&ret_call->control, ANSWER_SECONDS, &header, &answer);
	if (!rc && header.type == WIRE_SERVICE_REFUSED)
		rc = -EACCES;
	else if (!rc && (header.type != WIRE_SERVICE_CONNECT ||
			 wire_decode_exec(answer, header.length, &where)))
		rc = -EPROTO;
	/* The agent, which watches the other qube for all calls, says so there when that has ended. */
	if (!rc)
		libvchan_end_from((int)where.domain, ret_call->control.fd);
	if (!rc)
		rc = open_data(ret_call, &where, read_ring, write_ring);
	if (rc)
		call_finish(ret_call);
	return rc;
}

/* The daemon speaks first, then tells where the data channel is to be. */
static int ask_daemon(struct channel *channel, const char *command, uint32_t type,
		      struct wire_exec *ret_where)
{
	struct wire_exec exec = {0, 0, command};
	struct wire_header header = {0};
	uint32_t untrusted_version;
	uint8_t *body = NULL;
	int rc = receive(channel, DAEMON_SECONDS, &header, &body);

	if (rc)
		return rc;
	if (header.type != WIRE_HELLO ||
	    wire_decode_hello(body, header.length, &untrusted_version) ||
	    untrusted_version < WIRE_VERSION_LOCAL)
		return -EPROTO;
	rc = channel_send_hello(channel, WIRE_VERSION_LOCAL);
	if (!rc)
		rc = channel_send_exec(channel, type, &exec);
	if (!rc)
		rc = receive(channel, DAEMON_SECONDS, &header, &body);
	if (rc)
		return rc;
	return header.type == type && !wire_decode_exec(body, header.length, ret_where) ? 0
											: -EPROTO;
}

int call_execute(const char *daemon_dir, const char *qube, const char *command, bool just_exec,
		 size_t read_ring, size_t write_ring, struct call_channel *ret_call)
{
	uint32_t type = just_exec ? WIRE_JUST_EXEC : WIRE_EXEC_CMDLINE;
	struct wire_exec where = {0};
	char path[PATH_MAX];
	int rc;

	*ret_call = (struct call_channel){.control.fd = -1};
	if (strchr(qube, '/'))
		return -EINVAL;
	if (!daemon_dir)
		daemon_dir = getenv("QREXEC_DAEMON_DIR");
	if (snprintf(path, sizeof(path), "%s/qrexec.%s", daemon_dir ? daemon_dir : CALL_DAEMON_DIR,
		     qube) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	rc = open_control(ret_call, path);
	if (!rc)
		rc = ask_daemon(&ret_call->control, command, type, &where);
	if (!rc)
		rc = open_data(ret_call, &where, read_ring, write_ring);
	if (rc)
		call_finish(ret_call);
	return rc;
}

void call_finish(struct call_channel *call)
{
	libvchan_close(call->vchan);
	call->vchan = NULL;
	libvchan_end_from(0, -1);
	channel_finish(&call->control);
}
