// SPDX-License-Identifier: GPL-2.0-or-later
// The data channel of one call.
#define _GNU_SOURCE
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEADER sizeof(struct wire_header)

/* Of a pipe that poll() calls writable this much fits at least, so a blocking one does not block. */
#define SAFE_WRITE 4096

struct flow {
	libvchan_t *vchan;
	bool service, over;
	int version, to_local, from_local, err_local, peer_err;
	pid_t pid;
	int pid_fd, local_status; /* pid_fd < 0: the program has ended, or there is none */
	int exit_code;		  /* of the service; -1: not known so far */
	/* What has arrived: the rest of the current message, and of it what waits to be written. */
	struct wire_header untrusted_header;
	size_t body_left, in_at, in_length;
	int in_fd;
	bool writable;
	uint8_t in[WIRE_CHUNK_MAX], out[HEADER + WIRE_CHUNK_MAX];
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int fail(struct flow *flow)
{
	flow->over = true;
	return -EPROTO;
}

/* Where the body of a message goes; -1: nowhere. */
static int destination(const struct flow *flow, uint32_t type)
{
	if (type == WIRE_STDIN || type == WIRE_STDOUT)
		return flow->to_local;
	return type == WIRE_STDERR && !flow->service ? flow->peer_err : -1;
}

static int take_exit_code(struct flow *flow)
{
	uint8_t body[sizeof(int32_t)];
	int got, code = 0;

	if (flow->untrusted_header.length != sizeof(body))
		return fail(flow);
	got = libvchan_recv(flow->vchan, body, sizeof(body));
	if (got <= 0)
		return got;
	wire_decode_exit_code(body, sizeof(body), &code);
	flow->body_left = 0;
	if (!flow->service)
		flow->exit_code = code & 0xff;
	return 1;
}

static int take_header(struct flow *flow)
{
	struct wire_header *header = &flow->untrusted_header;
	int got = libvchan_recv(flow->vchan, header, HEADER);

	if (got <= 0)
		return got;
	if (header->type < WIRE_STDIN || header->type > WIRE_EXIT_CODE ||
	    header->length > wire_chunk_max(flow->version))
		return fail(flow);
	flow->body_left = header->length;
	flow->in_fd = destination(flow, header->type);
	if (!header->length && header->type != WIRE_EXIT_CODE && header->type != WIRE_STDERR)
		close_fd(&flow->to_local);
	return header->type == WIRE_EXIT_CODE && !header->length ? fail(flow) : 1;
}

static void write_local(struct flow *flow)
{
	size_t size = flow->in_length - flow->in_at;
	ssize_t n;

	n = write(flow->in_fd, flow->in + flow->in_at, size < SAFE_WRITE ? size : SAFE_WRITE);
	flow->writable = false;
	if (n >= 0) {
		flow->in_at += (size_t)n;
	} else if (errno != EAGAIN && errno != EINTR) {
		/* Nobody reads it any more: the rest of the stream is dropped, as a pipe would. */
		flow->in_at = flow->in_length;
		if (flow->in_fd == flow->to_local)
			close_fd(&flow->to_local);
		flow->in_fd = -1;
	}
}

/* 1: something was done; 0: there is nothing to do now; <0: the channel is of no more use. */
static int step_in(struct flow *flow)
{
	int got;

	if (flow->in_at < flow->in_length) {
		if (!flow->writable)
			return 0;
		write_local(flow);
		return 1;
	}
	if (!flow->body_left)
		return take_header(flow);
	if (flow->untrusted_header.type == WIRE_EXIT_CODE)
		return take_exit_code(flow);
	got = libvchan_read(flow->vchan, flow->in, flow->body_left);
	if (got <= 0)
		return got;
	flow->body_left -= (size_t)got;
	flow->in_at = 0;
	flow->in_length = flow->in_fd < 0 ? 0 : (size_t)got;
	return 1;
}

static int send_message(struct flow *flow, uint32_t type, size_t length)
{
	struct wire_header header = {type, (uint32_t)length};

	memcpy(flow->out, &header, HEADER);
	return libvchan_send(flow->vchan, flow->out, HEADER + length);
}

static int room_for_data(struct flow *flow)
{
	int space = libvchan_buffer_space(flow->vchan) - (int)HEADER;
	int limit = (int)wire_chunk_max(flow->version);

	return space < limit ? space : limit;
}

/* The descriptor is readable, or so poll() said. An end of file is a message without a body. */
static void step_out(struct flow *flow, int *fd, uint32_t type)
{
	int room = room_for_data(flow), rc;
	ssize_t n;

	if (room <= 0)
		return;
	n = read(*fd, flow->out + HEADER, (size_t)room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	rc = send_message(flow, type, n > 0 ? (size_t)n : 0);
	/* A peer that has closed may have left an exit code, so its messages are read to their end. */
	if (n <= 0 || rc < 0)
		close_fd(fd);
}

static void reap(struct flow *flow)
{
	int status;

	if (flow->pid_fd < 0 || waitpid(flow->pid, &status, WNOHANG) != flow->pid)
		return;
	flow->local_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	close_fd(&flow->pid_fd);
}

/* The service's exit code is the last message, behind all output. */
static int finish_service(struct flow *flow)
{
	int32_t code = flow->local_status;
	int rc;

	if (flow->from_local >= 0 || flow->err_local >= 0 || flow->pid_fd >= 0)
		return 0;
	memcpy(flow->out + HEADER, &code, sizeof(code));
	rc = send_message(flow, WIRE_EXIT_CODE, sizeof(code));
	if (rc > 0) {
		flow->exit_code = code;
		flow->over = true;
	}
	return rc;
}

static int wait_for_events(struct flow *flow)
{
	bool room = room_for_data(flow) > 0;
	struct pollfd p[] = {
		{libvchan_fd_for_select(flow->vchan), POLLIN, 0},
		{room ? flow->from_local : -1, POLLIN, 0},
		{room ? flow->err_local : -1, POLLIN, 0},
		{flow->in_at < flow->in_length ? flow->in_fd : -1, POLLOUT, 0},
		{flow->pid_fd, POLLIN, 0},
	};

	if (poll(p, sizeof(p) / sizeof(p[0]), -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[0].revents)
		libvchan_wait(flow->vchan);
	if (p[3].revents)
		flow->writable = true;
	if (p[4].revents)
		reap(flow);
	if (p[1].revents)
		step_out(flow, &flow->from_local, flow->service ? WIRE_STDOUT : WIRE_STDIN);
	if (p[2].revents)
		step_out(flow, &flow->err_local, WIRE_STDERR);
	return 0;
}

static void run(struct flow *flow)
{
	int rc = 0;

	while (!flow->over && rc >= 0) {
		do
			rc = step_in(flow);
		while (rc > 0 && flow->exit_code < 0);
		if (rc >= 0 && flow->service)
			rc = finish_service(flow);
		if (rc < 0 || flow->over || flow->exit_code >= 0)
			break;
		rc = wait_for_events(flow);
	}
}

/* Both ends say their version first; nothing else may be on the way before. */
static int handshake(libvchan_t *vchan)
{
	struct wire_header header = {WIRE_HELLO, sizeof(uint32_t)};
	uint32_t version = WIRE_VERSION, untrusted_version;
	uint8_t message[HEADER + sizeof(version)];
	long long deadline = now_ms() + STREAM_CONNECT_SECONDS * 1000LL;
	struct pollfd p = {libvchan_fd_for_select(vchan), POLLIN, 0};
	int got;

	libvchan_set_blocking(vchan, false);
	memcpy(message, &header, HEADER);
	memcpy(message + HEADER, &version, sizeof(version));
	if (libvchan_send(vchan, message, sizeof(message)) != (int)sizeof(message))
		return -EPIPE;
	while (!(got = libvchan_recv(vchan, message, sizeof(message)))) {
		if (now_ms() + 1 >= deadline)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)(deadline - now_ms())) > 0)
			libvchan_wait(vchan);
	}
	if (got < 0)
		return -EPIPE;
	memcpy(&header, message, HEADER);
	if (header.type != WIRE_HELLO ||
	    wire_decode_hello(message + HEADER, header.length, &untrusted_version))
		return -EPROTO;
	return wire_negotiate(WIRE_VERSION, untrusted_version);
}

static void set_nonblocking(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int stream_run(const struct stream *stream)
{
	struct flow *flow = calloc(1, sizeof(*flow));
	int code;

	if (!flow)
		return WIRE_EXIT_PROBLEM;
	flow->vchan = stream->vchan;
	flow->service = stream->service;
	flow->to_local = stream->to_local;
	flow->from_local = stream->from_local;
	flow->err_local = stream->err_local;
	flow->peer_err = STDERR_FILENO;
	flow->pid = stream->pid;
	flow->pid_fd = stream->pid > 0 ? pidfd_open(stream->pid, 0) : -1;
	flow->in_fd = flow->exit_code = -1;
	/* The pipes of a program are ours; what a caller was started with is shared with others. */
	if (stream->pid > 0) {
		set_nonblocking(flow->to_local);
		set_nonblocking(flow->from_local);
		set_nonblocking(flow->err_local);
	}
	flow->version = handshake(flow->vchan);
	if (flow->version >= 0)
		run(flow);
	close_fd(&flow->to_local);
	close_fd(&flow->from_local);
	close_fd(&flow->err_local);
	/* A caller's program may have work left with what it got; a service without a caller has not. */
	if (!stream->service && flow->pid_fd >= 0)
		waitpid(flow->pid, NULL, 0);
	close_fd(&flow->pid_fd);
	code = flow->exit_code < 0 ? WIRE_EXIT_PROBLEM : flow->exit_code;
	free(flow);
	return code;
}

int stream_end(libvchan_t *vchan, int exit_code)
{
	static const uint32_t types[] = {WIRE_STDOUT, WIRE_STDERR, WIRE_EXIT_CODE};
	uint8_t message[HEADER + sizeof(int32_t)];
	int32_t code = exit_code;

	if (handshake(vchan) < 0)
		return WIRE_EXIT_PROBLEM;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct wire_header header = {types[i], i == 2 ? sizeof(code) : 0};

		memcpy(message, &header, HEADER);
		memcpy(message + HEADER, &code, sizeof(code));
		if (libvchan_send(vchan, message, HEADER + header.length) <= 0)
			return WIRE_EXIT_PROBLEM;
	}
	return exit_code;
}
