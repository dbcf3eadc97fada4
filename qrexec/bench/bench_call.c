// SPDX-License-Identifier: GPL-2.0-or-later
// Measures: one empty call by steps, and a bare vchan that carries a file, as bench/qrexec.py asks for.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/call.h"
#include "../lib/link.h"
#include "../lib/stream.h"
#include "samples.h"

#define ROUNDS 41
#define STEP   65536
#define RING   (1u << 20)

enum {
	OPENED,	 /* asked, judged, both ends told, connected */
	GREETED, /* both ends know the version; the program is being started */
	ENDED,	 /* it has run, and its exit code is here */
	CLOSED,
	POINTS
};
static const char *const names[POINTS] = {"request, policy, connection", "greeting", "program",
					  "end"};

static void check(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

/* "call SOCKET TARGET SERVICE" or "execute DIRECTORY QUBE COMMAND". Prints the median of each step and of all. */
static void measure_calls(char **words)
{
	static double times[POINTS + 1][ROUNDS];
	bool service = !strcmp(words[0], "call");

	for (int i = 0; i < ROUNDS; i++) {
		double start = now_us(), at[POINTS], last = start;
		struct call_channel call;
		struct link link;

		check(!(service ? call_service(words[1], words[2], words[3], STREAM_RING,
					       STREAM_RING, &call)
				: call_execute(words[1], words[2], words[3], false, STREAM_RING,
					       STREAM_RING, &call)),
		      "call");
		at[OPENED] = now_us();
		check(!link_open(&link, call.vchan, false), "greeting");
		at[GREETED] = now_us();
		link_end(&link);
		check(!link_wait_exit(&link), "program");
		at[ENDED] = now_us();
		call_finish(&call);
		at[CLOSED] = now_us();
		for (int p = 0; p < POINTS; p++) {
			times[p][i] = at[p] - last;
			last = at[p];
		}
		times[POINTS][i] = last - start;
	}
	for (int p = 0; p <= POINTS; p++) {
		qsort(times[p], ROUNDS, sizeof(times[p][0]), by_value);
		printf("%s=%.0f\n", p < POINTS ? names[p] : "all", times[p][ROUNDS / 2]);
	}
}

/* "send FILE" and "receive FILE": a vchan between domain 1 and 2 with nothing around it. */
static void send_file(const char *path)
{
	libvchan_t *vchan = libvchan_server_init(2, 700, 4096, RING);
	int fd = open(path, O_RDONLY);
	static uint8_t data[STEP];
	ssize_t n;

	check(vchan && fd >= 0, path);
	while ((n = read(fd, data, STEP)) > 0)
		check(libvchan_write(vchan, data, (size_t)n) == (int)n, "write");
	while (libvchan_is_open(vchan) != VCHAN_DISCONNECTED)
		libvchan_wait(vchan);
	libvchan_close(vchan);
}

static void receive_file(const char *path, long long left)
{
	libvchan_t *vchan = libvchan_client_init(1, 700);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600), n;
	static uint8_t data[STEP];

	check(vchan && fd >= 0, path);
	for (; left > 0; left -= n) {
		n = libvchan_read(vchan, data, STEP);
		check(n > 0 && write(fd, data, (size_t)n) == n, "read");
	}
	libvchan_close(vchan);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 5)
		measure_calls(argv + 1);
	else if (argc == 3 && !strcmp(argv[1], "send"))
		send_file(argv[2]);
	else if (argc == 4 && !strcmp(argv[1], "receive"))
		receive_file(argv[2], atoll(argv[3]));
	else
		return 2;
	return 0;
}
