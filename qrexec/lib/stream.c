// SPDX-License-Identifier: GPL-2.0-or-later
// The data channel of one call. Data goes between the ring and the descriptors without a buffer of its own.
#define _GNU_SOURCE
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEADER sizeof(struct wire_header)

/* Of a pipe that poll() calls writable this much fits at least, so a blocking one does not block. */
#define SAFE_WRITE 4096

struct flow {
	const struct stream *stream;
	libvchan_t *vchan;
	bool service, over;
	bool socket;	 /* to_local is a socket */
	bool one_wanted; /* the program asked for that; from_local is drained first */
	int requests;	 /* where such a request comes from, or -1 */
	int one;	 /* the program's socket, until it is asked for; or -1 */
	int version, to_local, from_local, err_local;
	int pid_fd, local_status; /* pid_fd < 0: the program has ended, or there is none */
	int exit_code;		  /* of the service; -1: not known so far */
	/* The current message: what is left of it in the ring, and where that goes (-1: nowhere). */
	struct wire_header untrusted_header;
	size_t body_left;
	int in_fd;
	bool full; /* in_fd takes nothing at present */
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The end of what the peer sends. The descriptor of a socket stays: the other direction may go on. */
static void close_to_local(struct flow *flow)
{
	if (flow->socket && flow->to_local >= 0)
		shutdown(flow->to_local, SHUT_WR);
	close_fd(&flow->to_local);
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
	return type == WIRE_STDERR && !flow->service && !flow->stream->no_error ? STDERR_FILENO
										: -1;
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
		close_to_local(flow);
	return header->type == WIRE_EXIT_CODE && !header->length ? fail(flow) : 1;
}

/* Writes what does not block. Who owns the descriptor decides how that is found out. */
static ssize_t write_pieces(int fd, const struct libvchan_piece pieces[2])
{
	struct iovec parts[2] = {{pieces[0].data, pieces[0].size},
				 {pieces[1].data, pieces[1].size}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	struct pollfd p = {fd, POLLOUT, 0};
	struct stat st;
	ssize_t n;

	if (fcntl(fd, F_GETFL) & O_NONBLOCK)
		return writev(fd, parts, 2);
	n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 || errno != ENOTSOCK)
		return n;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return writev(fd, parts, 2);
	if (poll(&p, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(fd, parts[0].iov_base,
		     parts[0].iov_len < SAFE_WRITE ? parts[0].iov_len : SAFE_WRITE);
}

/* The body of a data message: from the ring to the descriptor. */
static int take_body(struct flow *flow)
{
	struct libvchan_piece pieces[2];
	int got = libvchan_peek(flow->vchan, pieces, 1, flow->body_left);
	ssize_t n = got;

	if (got <= 0)
		return got;
	if (flow->in_fd >= 0) {
		n = write_pieces(flow->in_fd, pieces);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			flow->full = errno == EAGAIN;
			return errno == EINTR;
		}
	}
	if (n < 0) {
		/* Nobody reads it any more: the rest of the stream is dropped, as a pipe would. */
		if (flow->in_fd == flow->to_local)
			close_to_local(flow);
		flow->in_fd = -1;
		n = got;
	}
	flow->body_left -= (size_t)n;
	flow->full = n < got;
	return libvchan_consume(flow->vchan, (size_t)n) ? -1 : 1;
}

/* 1: something was done; 0: there is nothing to do now; <0: the channel is of no more use. */
static int step_in(struct flow *flow)
{
	if (!flow->body_left)
		return take_header(flow);
	if (flow->untrusted_header.type == WIRE_EXIT_CODE)
		return take_exit_code(flow);
	return flow->full ? 0 : take_body(flow);
}

static int send_message(struct flow *flow, uint32_t type, const void *body, size_t length)
{
	uint8_t message[HEADER + sizeof(int32_t)];
	struct wire_header header = {type, (uint32_t)length};

	memcpy(message, &header, HEADER);
	if (length)
		memcpy(message + HEADER, body, length);
	return libvchan_send(flow->vchan, message, HEADER + length);
}

/* Asks for an event only if there is none. */
static bool room_for_data(struct flow *flow)
{
	struct libvchan_piece pieces[2];

	return libvchan_reserve(flow->vchan, pieces, HEADER + 1, HEADER + 1) > 0;
}

/* Copies into the two pieces from `at` on. */
static void place(const struct libvchan_piece pieces[2], const void *data, size_t size)
{
	size_t first = size < pieces[0].size ? size : pieces[0].size;

	memcpy(pieces[0].data, data, first);
	memcpy(pieces[1].data, (const uint8_t *)data + first, size - first);
}

static ssize_t read_behind_header(int fd, const struct libvchan_piece pieces[2])
{
	size_t skip = pieces[0].size < HEADER ? pieces[0].size : HEADER, rest = HEADER - skip;
	struct iovec parts[2] = {{(uint8_t *)pieces[0].data + skip, pieces[0].size - skip},
				 {(uint8_t *)pieces[1].data + rest, pieces[1].size - rest}};

	return readv(fd, parts, pieces[1].size > rest ? 2 : 1);
}

/* The program wants one socket for both directions: the one that it reads from. */
static void take_request(struct flow *flow)
{
	struct signalfd_siginfo info;

	if (read(flow->requests, &info, sizeof(info)) == sizeof(info))
		flow->one_wanted = flow->one >= 0;
}

static void become_one(struct flow *flow)
{
	close_fd(&flow->from_local);
	flow->from_local = flow->one;
	flow->one = -1;
	flow->one_wanted = false;
}

/* The descriptor is readable, or so poll() said. An end of file is a message without a body. */
static void step_out(struct flow *flow, int *fd, uint32_t type)
{
	struct libvchan_piece pieces[2];
	int room = libvchan_reserve(flow->vchan, pieces, HEADER + 1,
				    HEADER + wire_chunk_max(flow->version));
	struct wire_header header = {type, 0};
	ssize_t n;
	int rc;

	if (room <= 0)
		return;
	n = read_behind_header(*fd, pieces);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Whoever asked for one socket has closed this, but does not end there. */
	if (!n && flow->one_wanted && fd == &flow->from_local) {
		become_one(flow);
		return;
	}
	header.length = n > 0 ? (uint32_t)n : 0;
	place(pieces, &header, HEADER);
	rc = libvchan_commit(flow->vchan, HEADER + header.length);
	/* A peer that has closed may have left an exit code, so its messages are read to their end. */
	if (n <= 0 || rc < 0)
		close_fd(fd);
}

static void reap(struct flow *flow)
{
	int status;

	if (flow->pid_fd < 0 || waitpid(flow->stream->pid, &status, WNOHANG) != flow->stream->pid)
		return;
	flow->local_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	close_fd(&flow->pid_fd);
}

static bool service_ended(struct flow *flow)
{
	const struct stream *stream = flow->stream;
	bool client_ended = flow->to_local < 0;

	if (stream->socket && client_ended && stream->exit_on_client_eof) {
		/* What the service has to say still is of no interest. */
		if (flow->from_local >= 0)
			send_message(flow, WIRE_STDOUT, NULL, 0);
		close_fd(&flow->from_local);
	}
	if (flow->from_local >= 0 || flow->err_local >= 0 || flow->pid_fd >= 0)
		return false;
	return !stream->socket || client_ended || stream->exit_on_service_eof;
}

/* The service's exit code is the last message, behind all output. */
static int finish_service(struct flow *flow)
{
	int32_t code = flow->local_status;
	int rc;

	if (!service_ended(flow))
		return 0;
	rc = send_message(flow, WIRE_EXIT_CODE, &code, sizeof(code));
	if (rc > 0) {
		flow->exit_code = code;
		flow->over = true;
	}
	return rc;
}

static int wait_for_events(struct flow *flow)
{
	bool room = room_for_data(flow), drained = room && flow->one_wanted;
	struct pollfd p[] = {
		{libvchan_fd_for_select(flow->vchan), POLLIN, 0},
		{room ? flow->from_local : -1, POLLIN, 0},
		{room ? flow->err_local : -1, POLLIN, 0},
		{flow->full ? flow->in_fd : -1, POLLOUT, 0},
		{flow->pid_fd, POLLIN, 0},
		{flow->requests, POLLIN, 0},
	};

	if (poll(p, sizeof(p) / sizeof(p[0]), drained ? 0 : -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[0].revents)
		libvchan_wait(flow->vchan);
	if (p[3].revents)
		flow->full = false;
	if (p[4].revents)
		reap(flow);
	/* Before the end of standard output, which may follow the request at once; poll() has looked here last. */
	if (p[5].revents)
		take_request(flow);
	if (p[1].revents)
		step_out(flow, &flow->from_local, flow->service ? WIRE_STDOUT : WIRE_STDIN);
	if (p[2].revents)
		step_out(flow, &flow->err_local, WIRE_STDERR);
	/*
	 * What was written before the request is on its way; what comes behind it comes by the socket. That says only
	 * a poll() that began with the request: the one that saw it come had looked at standard output before.
	 */
	if (drained && flow->one_wanted && !p[1].revents)
		become_one(flow);
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

int stream_handshake(libvchan_t *vchan)
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

/*
 * Descriptors of our own do not block. A pipe that a caller was started with is shared with others, whom that would
 * disturb: it is opened once more, in the place of the old one.
 */
static void set_nonblocking(int fd, bool own, int access)
{
	char path[32];
	struct stat st;
	int again;

	if (fd < 0)
		return;
	if (own) {
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		return;
	}
	if (fstat(fd, &st) || !S_ISFIFO(st.st_mode))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, access | O_NONBLOCK | O_CLOEXEC);
	if (again < 0)
		return;
	dup2(again, fd);
	close(again);
}

static int open_requests(const struct stream *stream)
{
	sigset_t set;

	if (stream->pid <= 0)
		return -1;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int stream_run(const struct stream *stream)
{
	bool own = stream->pid > 0 || stream->socket;
	struct flow flow = {
		.stream = stream,
		.vchan = stream->vchan,
		.service = stream->service,
		.socket = own,
		.requests = open_requests(stream),
		.one = stream->pid > 0 ? fcntl(stream->to_local, F_DUPFD_CLOEXEC, 3) : -1,
		.to_local = stream->to_local,
		.from_local = stream->from_local,
		.err_local = stream->err_local,
		.pid_fd = stream->pid > 0 ? pidfd_open(stream->pid, 0) : -1,
		.exit_code = -1,
		.in_fd = -1,
	};

	set_nonblocking(flow.to_local, own, O_WRONLY);
	set_nonblocking(flow.from_local, own, O_RDONLY);
	set_nonblocking(flow.err_local, own, O_RDONLY);
	flow.version = stream_handshake(flow.vchan);
	if (flow.version >= 0)
		run(&flow);
	close_to_local(&flow);
	close_fd(&flow.from_local);
	close_fd(&flow.err_local);
	close_fd(&flow.requests);
	close_fd(&flow.one);
	/* A caller's program may have work left with what it got; a service without a caller has not. */
	if (!stream->service && flow.pid_fd >= 0)
		waitpid(stream->pid, NULL, 0);
	close_fd(&flow.pid_fd);
	return flow.exit_code < 0 ? WIRE_EXIT_PROBLEM : flow.exit_code;
}

int stream_end(libvchan_t *vchan, int exit_code)
{
	static const uint32_t types[] = {WIRE_STDOUT, WIRE_STDERR, WIRE_EXIT_CODE};
	struct flow flow = {.vchan = vchan, .requests = -1, .one = -1};
	int32_t code = exit_code;

	if (stream_handshake(vchan) < 0)
		return WIRE_EXIT_PROBLEM;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (send_message(&flow, types[i], &code, i == 2 ? sizeof(code) : 0) <= 0)
			return WIRE_EXIT_PROBLEM;
	return exit_code;
}
