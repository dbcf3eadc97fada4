// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz target: data channels of calls, both ends, behind descriptors and directly. The first byte says which, and how much comes at a time.
// links: tests/fuzz/fake_vchan.c qrexec/lib/stream.c qrexec/lib/link.c qrexec/lib/terminal.c qrexec/lib/pieces.c qrexec/lib/wire.c
// links: qrexec/lib/channel.c qrexec/lib/endpoint.c
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../qrexec/lib/link.h"
#include "../../qrexec/lib/stream.h"
#include "fake_vchan.h"

static void run_stream(libvchan_t *vchan, bool service, bool socket)
{
	struct stream stream = {.vchan = vchan, .service = service, .pid = -1, .socket = socket};
	int pair[2];

	if (socket) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
			abort();
		stream.to_local = pair[0];
		stream.from_local = fcntl(pair[0], F_DUPFD_CLOEXEC, 3);
		close(pair[1]);
	} else {
		stream.to_local = open("/dev/null", O_WRONLY | O_CLOEXEC);
		stream.from_local = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	stream.err_local = -1;
	if (stream_run(&stream) < 0)
		abort();
}

static void run_link(libvchan_t *vchan, bool service)
{
	struct libvchan_piece pieces[2];
	uint8_t copy[4096];
	struct link link;
	ssize_t n;

	if (link_open(&link, vchan, service))
		return;
	link.err = -1;
	while ((n = link_peek(&link, pieces, sizeof(copy))) > 0) {
		pieces_get(pieces, copy, (size_t)n);
		link_consume(&link, (size_t)n);
	}
	if (service)
		link_exit(&link, 0);
	else if (link_wait_exit(&link) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	libvchan_t *vchan;

	if (!size)
		return 0;
	signal(SIGPIPE, SIG_IGN);
	vchan = fake_vchan_open(data + 1, size - 1, 1 + (size_t)(data[0] >> 3) * 5);
	if (data[0] & 1)
		run_link(vchan, data[0] & 2);
	else
		run_stream(vchan, data[0] & 2, data[0] & 4);
	libvchan_close(vchan);
	return 0;
}
